// SPDX-License-Identifier: GPL-2.0-or-later
/* test_loss.c - what an ACK does to the sender; timers are
 * test_loss_timers.c's, and what is lost and why test_loss_detect.c's
 */
#include "core/tx.h"

#include "../lib/t_tx.h"

/* Five frames left, and the device is done with them. */
static struct t_tx *five_frames(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 8);
	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	return t;
}

/* -- what is no ACK for us ------------------------------------------------- */

/* @f and @payload are dropped for @reason, and nothing but its counter is
 * another than before. */
static void expect_drop(struct t_tx *t, const struct xm_frame *f,
			const void *payload, enum xm_drop reason)
{
	uint64_t *counter = (uint64_t *)&xm_tx_stats(t->tx)->drops.n[reason];
	size_t len = xm_tx_footprint(&t->opts);
	uint8_t *before = malloc(len);

	assert_non_null(before);
	memcpy(before, t->mem, len);
	xm_tx_packet(t->tx, t->now, f, payload);
	assert_int_equal(*counter, 1);
	*counter = 0;
	assert_memory_equal(t->mem, before, len);
	free(before);
}

/* An ACK of the five frames, with a reject and all else it can have. */
static struct xm_frame full_ack(struct t_tx *t, uint8_t *payload)
{
	struct xm_frame f = t_tx_ack_frame(t, 3);
	struct xm_ack a = t_tx_ack(t);

	a.credit = 1;
	a.n_ce = 2;
	a.n_dup = 1;
	a.n_rejects = 1;
	a.rejects[0] = 3;
	t_tx_ack_bit(&a, 3, 4);
	f.len = (uint16_t)xm_ack_put(payload, &a);
	f.payload_crc = xm_crc32c(0, payload, f.len);
	return f;
}

static void xm_tx_packet__of_another_session(void **state)
{
	struct t_tx *t = five_frames(state);
	uint8_t payload[XM_ACK_LEN_MAX];
	struct xm_frame f = full_ack(t, payload);

	f.cookie ^= 1;
	expect_drop(t, &f, payload, XM_DROP_BAD_COOKIE);
}

static void xm_tx_packet__of_another_channel(void **state)
{
	struct t_tx *t = five_frames(state);
	uint8_t payload[XM_ACK_LEN_MAX];
	struct xm_frame f = full_ack(t, payload);

	f.channel = 1;
	expect_drop(t, &f, payload, XM_DROP_BAD_CHANNEL);
}

static void xm_tx_packet__of_another_epoch(void **state)
{
	struct t_tx *t = five_frames(state);
	uint8_t payload[XM_ACK_LEN_MAX];
	struct xm_frame f = full_ack(t, payload);

	f.epoch = 2;
	expect_drop(t, &f, payload, XM_DROP_STALE_EPOCH);
}

static void xm_tx_packet__of_another_type(void **state)
{
	struct t_tx *t = five_frames(state);
	uint8_t payload[XM_ACK_LEN_MAX];
	struct xm_frame f = full_ack(t, payload);

	f.type = XM_WIRE_PROBE;
	expect_drop(t, &f, payload, XM_DROP_BAD_TYPE);
}

static void xm_tx_packet__with_a_damaged_payload(void **state)
{
	struct t_tx *t = five_frames(state);
	uint8_t payload[XM_ACK_LEN_MAX];
	struct xm_frame f = full_ack(t, payload);

	payload[f.len - 1] ^= 0x10;
	expect_drop(t, &f, payload, XM_DROP_BAD_PAYLOAD_CRC);
}

static void xm_tx_packet__whose_counts_contradict_its_length(void **state)
{
	struct t_tx *t = five_frames(state);
	uint8_t payload[XM_ACK_LEN_MAX];
	struct xm_frame f = full_ack(t, payload);

	f.len -= 4;
	f.payload_crc = xm_crc32c(0, payload, f.len);
	expect_drop(t, &f, payload, XM_DROP_BAD_LENGTH);
}

static void xm_tx_packet__whose_cum_was_not_sent(void **state)
{
	struct t_tx *t = five_frames(state);
	uint8_t payload[XM_ACK_LEN_MAX];
	struct xm_frame f = full_ack(t, payload);

	f.seq = 6;
	expect_drop(t, &f, payload, XM_DROP_BAD_ACK);
}

static void xm_tx_packet__whose_cum_wraps(void **state)
{
	struct t_tx *t = five_frames(state);
	uint8_t payload[XM_ACK_LEN_MAX];
	struct xm_frame f = full_ack(t, payload);

	f.seq = UINT32_MAX;
	expect_drop(t, &f, payload, XM_DROP_BAD_ACK);
}

/* The same but that frame @seq is acknowledged too, above @cum. */
static struct xm_frame ack_of(struct t_tx *t, uint8_t *payload, uint32_t seq)
{
	struct xm_frame f = t_tx_ack_frame(t, 1);
	struct xm_ack a = t_tx_ack(t);

	t_tx_ack_bit(&a, 1, 3);
	t_tx_ack_bit(&a, 1, seq);
	f.len = (uint16_t)xm_ack_put(payload, &a);
	f.payload_crc = xm_crc32c(0, payload, f.len);
	return f;
}

static void xm_tx_packet__whose_bitmap_was_not_sent(void **state)
{
	struct t_tx *t = five_frames(state);
	uint8_t payload[XM_ACK_LEN_MAX];
	struct xm_frame f = ack_of(t, payload, 5);

	expect_drop(t, &f, payload, XM_DROP_BAD_ACK);
}

static void xm_tx_packet__whose_last_bit_was_not_sent(void **state)
{
	struct t_tx *t = five_frames(state);
	uint8_t payload[XM_ACK_LEN_MAX];
	struct xm_frame f = ack_of(t, payload, 64 * XM_SACK_WORDS - 1);

	expect_drop(t, &f, payload, XM_DROP_BAD_ACK);
}

static void xm_tx_packet__queued_frames_are_not_sent_ones(void **state)
{
	struct t_tx *t = five_frames(state);
	uint8_t payload[XM_ACK_LEN_MAX];
	struct xm_frame f;

	assert_int_equal(t_tx_push(t, 2, 0), 0);
	f = ack_of(t, payload, 5);
	expect_drop(t, &f, payload, XM_DROP_BAD_ACK);
}

/* -- what is acknowledged -------------------------------------------------- */

/* Frames of @n two-page packets left and are complete; the ring has room. */
static struct t_tx *frames_in_slots(void **state, unsigned int n_slots)
{
	struct t_tx *t = *state;
	unsigned int i;

	t->opts.n_slots = n_slots;
	t_tx_begin(t);
	for (i = 0; i < n_slots; i++)
		t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 2 * n_slots - 1);
	t_tx_wait(t, 100);
	(void)t_trace_take(&t->trace, XM_TRACE_SEND);
	return t;
}

/* What is still missing comes out when the timer takes it for lost. */
static const char *missing(struct t_tx *t)
{
	t_tx_wait(t, 5000000);
	assert_int_equal(t_tx_expire(t), 0);
	return t_trace_take(&t->trace, XM_TRACE_LOST);
}

static void xm_tx_packet__cum_acknowledges_all_below(void **state)
{
	struct t_tx *t = frames_in_slots(state, 128);

	t_tx_give_cum(t, 130);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->a, 130);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->b, 130);
	assert_int_equal(xm_tx_pending(t->tx), 128 - 65);
}

static void xm_tx_packet__cum_moves_on_inside_a_word(void **state)
{
	struct t_tx *t = frames_in_slots(state, 128);

	t_tx_give_cum(t, 70);
	t_tx_give_cum(t, 75);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->b, 5);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->a, 75);
}

static void xm_tx_packet__bits_count_from_the_word_of_cum(void **state)
{
	struct t_tx *t = frames_in_slots(state, 128);
	struct xm_ack a = t_tx_ack(t);

	a.n_words = 3;
	a.words[0] = ~0ULL << 7;           /* 71 to 127 */
	a.words[1] = ~(1ULL << 32);        /* all but 160 */
	a.words[2] = ~(1ULL | 1ULL << 63); /* all but 192 and 255 */
	t_tx_give(t, 70, &a);
	t_tx_wait(t, 1000);
	a = t_tx_ack(t);
	a.n_words = 0;
	t_tx_give(t, 70, &a);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->b, 0);
	assert_int_equal(xm_tx_pending(t->tx), 4);
	assert_string_equal(missing(t), "70 160 192 255");
}

static void xm_tx_packet__cum_catches_up_over_bits(void **state)
{
	struct t_tx *t = frames_in_slots(state, 128);

	t_tx_give_gap(t, 3, 200);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->a, 3);
	t_tx_give_cum(t, 4);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->a, 200);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->b, 1);
}

static void xm_tx_packet__bits_below_cum_change_nothing(void **state)
{
	struct t_tx *t = frames_in_slots(state, 128);
	struct xm_ack a = t_tx_ack(t);

	a.n_words = 1;
	a.words[0] = 0x3f; /* 64 to 69, all below cum */
	t_tx_give(t, 70, &a);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->a, 70);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->b, 70);
}

static void xm_tx_packet__the_same_again_is_no_news(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_give_gap(t, 2, 5);
	t_tx_give_gap(t, 2, 5);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->b, 0);
	assert_int_equal(xm_tx_stats(t->tx)->acks, 2);
}

static void xm_tx_packet__all_of_the_window_at_any_alignment(void **state)
{
	struct t_tx *t = *state;
	struct xm_ack a;
	unsigned int i;

	t->opts.geo = (struct xm_geometry){ .slices = 3, .slice = 1376 };
	t->opts.n_slots = 32;
	t_tx_begin(t);
	for (i = 0; i < 22; i++)
		assert_int_equal(t_tx_push(t, 128, 0), 0);
	for (i = 0; i < 63; i++)
		assert_int_equal(xm_tx_next(t->tx, t->now, &t->out), 0);
	t_tx_give_cum(t, 63);
	for (i = 0; i < XM_WINDOW; i++)
		assert_int_equal(xm_tx_next(t->tx, t->now, &t->out), 0);
	a = t_tx_ack(t);
	for (i = 64; i < 63 + XM_WINDOW; i++)
		t_tx_ack_bit(&a, 63, i);
	assert_int_equal(a.n_words, XM_SACK_WORDS);
	t_tx_give(t, 63, &a);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->b,
			 XM_WINDOW - 1);
}

static void xm_tx_packet__acknowledged_while_the_device_has_it(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 8);
	t_tx_wait(t, 100);
	t_tx_give_cum(t, 5);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->b, 5);
	assert_int_equal(xm_tx_pending(t->tx), 1);
}

static void xm_tx_packet__a_lost_frame_that_came_is_not_resent(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_give_gap(t, 2, 5);
	t_tx_run_timer(t);
	assert_string_equal(t_trace_take(&t->trace, XM_TRACE_LOST), "2");
	t_tx_give_cum(t, 5);
	assert_int_equal(xm_tx_pending(t->tx), 0);
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
}

/* -- an old ACK behind a newer one ----------------------------------------- */

static void xm_tx_packet__an_old_one_takes_nothing_back(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_give_cum(t, 4);
	t_tx_give_cum(t, 1);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->a, 4);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->b, 0);
	t_tx_give_cum(t, 5);
	assert_int_equal(xm_tx_pending(t->tx), 0);
}

static void xm_tx_packet__an_old_ones_credit_is_old(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	assert_int_equal(t_tx_push(t, 8, 0), 0);
	t_tx_give_cum(t, 4);
	a.credit = 1;
	t_tx_give(t, 3, &a);
	t_tx_send(t, 5);
}

static void xm_tx_packet__an_old_ones_bits_still_count(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	t_tx_give_cum(t, 2);
	t_tx_ack_bit(&a, 1, 3);
	t_tx_give(t, 1, &a);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->a, 2);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_ACK)->b, 1);
}

static void xm_tx_packet__an_old_echo_is_no_sample(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack old = t_tx_ack(t);

	t_tx_packet(t, 2);
	t_tx_wait(t, 50);
	t_tx_give_cum(t, 7);
	t_tx_wait(t, 800);
	t_tx_give(t, 5, &old);
	assert_int_equal(xm_tx_stats(t->tx)->srtt_ns, 50 * XM_US);
}

/* -- round trips ----------------------------------------------------------- */

static void xm_tx_packet__echo_gives_the_round_trip(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_give_cum(t, 5);
	assert_int_equal(xm_tx_stats(t->tx)->srtt_ns, 100 * XM_US);
	assert_int_equal(xm_tx_stats(t->tx)->min_rtt_ns, 100 * XM_US);
}

static void xm_tx_packet__the_peers_hold_time_is_taken_off(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	a.hold_us = 30;
	t_tx_give(t, 5, &a);
	assert_int_equal(xm_tx_stats(t->tx)->srtt_ns, 70 * XM_US);
}

static void xm_tx_packet__a_hold_time_above_the_age_is_no_sample(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	a.hold_us = 101;
	t_tx_give(t, 5, &a);
	assert_int_equal(xm_tx_stats(t->tx)->srtt_ns, 0);
	assert_int_equal(xm_tx_pending(t->tx), 0);
}

static void xm_tx_packet__an_echo_of_the_future_is_no_sample(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	a.echo_us += 101;
	t_tx_give(t, 5, &a);
	assert_int_equal(xm_tx_stats(t->tx)->srtt_ns, 0);
	assert_int_equal(xm_tx_pending(t->tx), 0);
}

static void xm_tx_packet__an_echo_in_the_same_microsecond(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_stats(t->tx)->srtt_ns, XM_US);
}

static void xm_tx_packet__the_wires_clock_wraps(void **state)
{
	struct t_tx *t = *state;

	t->now = (struct xm_time){ ((1LL << 32) - 40) * XM_US };
	five_frames(state);
	assert_int_equal(xm_time_wire_us(t->now), 60);
	t_tx_give_gap(t, 2, 5);
	assert_int_equal(xm_tx_stats(t->tx)->srtt_ns, 100 * XM_US);
	assert_int_equal(t_tx_expiry_us(t), 25);
	t_tx_run_timer(t);
	assert_string_equal(t_trace_take(&t->trace, XM_TRACE_LOST), "2");
}

/* -- congestion marks ------------------------------------------------------ */

static void xm_tx_packet__new_marks_shrink_the_window(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	a.n_ce = 1;
	t_tx_give(t, 5, &a);
	assert_string_equal(t_trace_take(&t->trace, XM_TRACE_CUT), "16");
}

/* Send what the window allows and have it acknowledged, @n_ce marks counted so
 * far. */
static void a_round(struct t_tx *t, uint32_t n_ce)
{
	struct xm_ack a;

	while (t_tx_next(t) == 0)
		assert_int_equal(t_tx_complete(t, t->out.f.seq, 0), 0);
	t_tx_wait(t, 100);
	a = t_tx_ack(t);
	a.n_ce = n_ce;
	t_tx_give(t, t->out.f.seq + 1, &a);
}

static struct t_tx *with_a_small_window(void **state)
{
	struct t_tx *t = *state;
	unsigned int i;

	t->opts.cc.mss = 8330;
	t->opts.n_slots = 8;
	t_tx_begin(t);
	for (i = 0; i < 8; i++)
		assert_int_equal(t_tx_push(t, 128, 0), 0);
	return t;
}

static void xm_tx_packet__marks_are_counted_once(void **state)
{
	struct t_tx *t = with_a_small_window(state);

	a_round(t, 1);
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 1);
	a_round(t, 1);
	a_round(t, 1);
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 1);
	a_round(t, 0); /* an old ACK */
	a_round(t, 1);
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 1);
	a_round(t, 2);
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 2);
}

static void xm_tx_packet__marks_of_the_next_epoch_count_anew(void **state)
{
	struct t_tx *t = *state;

	t->opts.cc.mss = 8330;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 8, 0), 0);
	a_round(t, 1);
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 1);
	assert_int_equal(xm_tx_epoch(t->tx, 2, t->now), 0);
	assert_int_equal(t_tx_push(t, 128, 0), 0);
	a_round(t, 1);
	a_round(t, 1);
	a_round(t, 1);
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 2);
}

static void xm_tx_packet__what_is_acknowledged_grows_the_window(void **state)
{
	struct t_tx *t = with_a_small_window(state);

	a_round(t, 0);
	assert_in_range(xm_tx_stats(t->tx)->cwnd_frames, 60, 64);
}

static void xm_tx_packet__what_is_acknowledged_leaves_the_window(void **state)
{
	struct t_tx *t = with_a_small_window(state);

	a_round(t, 0);
	t_tx_send(t, 32); /* a burst */
	t_tx_wait(t, 100);
	t_tx_send(t, 28);
}

#define T(name) cmocka_unit_test_setup_teardown(name, t_tx_setup, t_tx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_tx_packet__of_another_session),
		T(xm_tx_packet__of_another_channel),
		T(xm_tx_packet__of_another_epoch),
		T(xm_tx_packet__of_another_type),
		T(xm_tx_packet__with_a_damaged_payload),
		T(xm_tx_packet__whose_counts_contradict_its_length),
		T(xm_tx_packet__whose_cum_was_not_sent),
		T(xm_tx_packet__whose_cum_wraps),
		T(xm_tx_packet__whose_bitmap_was_not_sent),
		T(xm_tx_packet__whose_last_bit_was_not_sent),
		T(xm_tx_packet__queued_frames_are_not_sent_ones),
		T(xm_tx_packet__cum_acknowledges_all_below),
		T(xm_tx_packet__cum_moves_on_inside_a_word),
		T(xm_tx_packet__bits_count_from_the_word_of_cum),
		T(xm_tx_packet__cum_catches_up_over_bits),
		T(xm_tx_packet__bits_below_cum_change_nothing),
		T(xm_tx_packet__the_same_again_is_no_news),
		T(xm_tx_packet__all_of_the_window_at_any_alignment),
		T(xm_tx_packet__acknowledged_while_the_device_has_it),
		T(xm_tx_packet__a_lost_frame_that_came_is_not_resent),
		T(xm_tx_packet__an_old_one_takes_nothing_back),
		T(xm_tx_packet__an_old_ones_credit_is_old),
		T(xm_tx_packet__an_old_ones_bits_still_count),
		T(xm_tx_packet__an_old_echo_is_no_sample),
		T(xm_tx_packet__echo_gives_the_round_trip),
		T(xm_tx_packet__the_peers_hold_time_is_taken_off),
		T(xm_tx_packet__a_hold_time_above_the_age_is_no_sample),
		T(xm_tx_packet__an_echo_of_the_future_is_no_sample),
		T(xm_tx_packet__an_echo_in_the_same_microsecond),
		T(xm_tx_packet__the_wires_clock_wraps),
		T(xm_tx_packet__new_marks_shrink_the_window),
		T(xm_tx_packet__marks_are_counted_once),
		T(xm_tx_packet__marks_of_the_next_epoch_count_anew),
		T(xm_tx_packet__what_is_acknowledged_grows_the_window),
		T(xm_tx_packet__what_is_acknowledged_leaves_the_window),
	};

	return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}
