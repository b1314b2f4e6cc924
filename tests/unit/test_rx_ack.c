// SPDX-License-Identifier: GPL-2.0-or-later
/* test_rx_ack.c - when a receiver acknowledges, and what it says */
#include "core/rx.h"

#include "../lib/t_rx.h"

/* Installed in order and acknowledged: nothing is due. */
static void acked_up_to(struct t_rx *t, uint32_t end)
{
	t_rx_install_all(t, 0, end);
	t_rx_wait(t, XM_ACK_DELAY_US);
	assert_true(t_rx_ack(t));
	assert_false(t_rx_ack(t));
}

/* -- when ------------------------------------------------------------------ */

static void xm_rx_fill__nothing_before_a_frame_came(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	t_rx_wait(t, 1000000);
	assert_false(t_rx_ack(t));
	assert_true(xm_time_is_never(xm_rx_expiry(t->rx)));
}

static void xm_rx_fill__frames_in_order_wait_for_the_delay(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	t_rx_install(t, 0);
	assert_false(t_rx_ack(t));
	t_rx_wait(t, XM_ACK_DELAY_US - 1);
	t_rx_install(t, 1);
	assert_false(t_rx_ack(t));
	t_rx_wait(t, 1);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack_frame.seq, 2);
}

static void xm_rx_expiry__is_the_delay_after_the_first_frame(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_time due = xm_time_add(t->now, XM_ACK_DELAY_US * XM_US);

	t_rx_install(t, 0);
	assert_int_equal(xm_rx_expiry(t->rx).ns, due.ns);
	t_rx_wait(t, 50);
	t_rx_install(t, 1);
	assert_int_equal(xm_rx_expiry(t->rx).ns, due.ns);
}

static void xm_rx_expiry__never_after_an_ack(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	acked_up_to(t, 3);
	assert_true(xm_time_is_never(xm_rx_expiry(t->rx)));
}

static void xm_rx_fill__at_once_after_so_many_frames(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	t_rx_install_all(t, 0, XM_ACK_EVERY - 1);
	assert_false(t_rx_ack(t));
	t_rx_install(t, XM_ACK_EVERY - 1);
	assert_true(t_rx_ack(t));
	t_rx_install_all(t, XM_ACK_EVERY, 2 * XM_ACK_EVERY - 1);
	assert_false(t_rx_ack(t));
}

static void xm_rx_fill__sooner_when_there_is_little_credit(void **state)
{
	struct t_rx *t = *state;

	t->opts.credit = 40;
	t_rx_begin(t);
	t_rx_install_all(t, 0, 9);
	assert_false(t_rx_ack(t));
	t_rx_install(t, 9);
	assert_true(t_rx_ack(t));
}

static void xm_rx_fill__each_frame_when_there_is_hardly_any(void **state)
{
	struct t_rx *t = *state;

	t->opts.credit = 3;
	t_rx_begin(t);
	assert_false(t_rx_ack(t));
	t_rx_install(t, 0);
	assert_true(t_rx_ack(t));
	assert_false(t_rx_ack(t));
}

static void xm_rx_fill__at_once_when_a_gap_opens(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	acked_up_to(t, 3);
	t_rx_install(t, 4);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack_frame.seq, 3);
}

static void xm_rx_fill__at_once_while_a_gap_stands(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	t_rx_install(t, 4);
	assert_true(t_rx_ack(t));
	t_rx_install(t, 5);
	assert_true(t_rx_ack(t));
	t_rx_install(t, 0); /* the gap is 1 to 3 now */
	assert_true(t_rx_ack(t));
}

static void xm_rx_fill__at_once_when_a_gap_closes(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	t_rx_install(t, 1);
	assert_true(t_rx_ack(t));
	t_rx_install(t, 0);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack_frame.seq, 2);
	t_rx_install(t, 2);
	assert_false(t_rx_ack(t));
}

static void xm_rx_fill__at_once_after_a_duplicate(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f;

	acked_up_to(t, 3);
	f = t_rx_slice(t, 1, 0, 32);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_DUPLICATE);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.n_dup, 1);
}

static void xm_rx_fill__at_once_after_a_reject(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f;

	acked_up_to(t, 3);
	f = t_rx_slice(t, 3, 0, 32);
	f.payload_crc ^= 1;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_PAYLOAD_CRC);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.n_rejects, 1);
	assert_int_equal(t->ack.rejects[0], 3);
}

static void xm_rx_fill__at_once_after_sync(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f;

	acked_up_to(t, 3);
	f = t_rx_sync(t, 3);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack_frame.seq, 4);
}

static void xm_rx_fill__not_after_a_strangers_frame(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_slice(t, 0, 0, 32);

	f.cookie = 1;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_COOKIE);
	t_rx_wait(t, XM_ACK_DELAY_US);
	assert_false(t_rx_ack(t));
}

static void xm_rx_fill__not_after_another_epochs_frame(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_slice(t, 0, 0, 32);

	f.epoch = 2;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_STALE_EPOCH);
	t_rx_wait(t, XM_ACK_DELAY_US);
	assert_false(t_rx_ack(t));
}

static void xm_rx_fill__not_what_was_due_in_the_last_epoch(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f;

	t_rx_install(t, 5);
	xm_rx_epoch(t->rx, 2);
	t_rx_wait(t, XM_ACK_DELAY_US);
	assert_false(t_rx_ack(t));
	f = t_rx_slice(t, 0, 0, 32);
	f.epoch = 2;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	assert_false(t_rx_ack(t));
}

static void xm_rx_fill__no_reject_of_the_last_epoch(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_slice(t, 3, 0, 32);

	f.payload_crc ^= 1;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_PAYLOAD_CRC);
	xm_rx_epoch(t->rx, 2);
	f = t_rx_slice(t, 1, 0, 32);
	f.epoch = 2;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.n_rejects, 0);
}

/* -- what ------------------------------------------------------------------ */

static void xm_rx_fill__says_whose_ack_it_is(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	acked_up_to(t, 3);
	assert_int_equal(t->ack_frame.cookie, T_COOKIE);
	assert_int_equal(t->ack_frame.channel, 0);
	assert_int_equal(t->ack_frame.epoch, 1);
	assert_int_equal(t->ack_frame.seq, 3);
	assert_int_equal(t->ack_frame.tx_us, xm_time_wire_us(t->now));
	assert_int_equal(t->ack.credit, 1000);
	assert_int_equal(xm_rx_stats(t->rx)->acks_sent, 1);
}

static void xm_rx_fill__no_bitmap_without_a_gap(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	acked_up_to(t, 70);
	assert_int_equal(t->ack.n_words, 0);
}

static void xm_rx_fill__bitmap_of_what_is_above_a_gap(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	t_rx_install_all(t, 0, 3);
	t_rx_install(t, 5);
	t_rx_install(t, 63);
	t_rx_install(t, 64);
	t_rx_install(t, 200);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack_frame.seq, 3);
	assert_int_equal(t->ack.n_words, 4);
	assert_true(t->ack.words[0] == (1ULL << 5 | 1ULL << 63));
	assert_true(t->ack.words[1] == 1);
	assert_true(t->ack.words[2] == 0);
	assert_true(t->ack.words[3] == 1ULL << (200 - 192));
}

static void xm_rx_fill__bitmap_starts_at_the_word_of_cum(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	t_rx_install_all(t, 0, 63);
	t_rx_install(t, 64);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.n_words, 2);
	assert_true(t->ack.words[0] == 0);
	assert_true(t->ack.words[1] == 1);
	t_rx_install(t, 63);
	t_rx_install(t, 66);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack_frame.seq, 65);
	assert_int_equal(t->ack.n_words, 1);
	assert_true(t->ack.words[0] == 1ULL << 2);
}

static void xm_rx_fill__bitmap_when_cum_is_a_multiple_of_64(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	t_rx_install_all(t, 0, 128);
	t_rx_install(t, 129);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack_frame.seq, 128);
	assert_int_equal(t->ack.n_words, 1);
	assert_true(t->ack.words[0] == 2);
}

static void xm_rx_fill__bitmap_reaches_the_newest_in_the_window(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	t_rx_install_all(t, 0, 63);
	t_rx_install(t, 63 + XM_WINDOW - 1);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.n_words, XM_SACK_WORDS);
	assert_true(t_rx_acked(t, 63 + XM_WINDOW - 1));
	assert_false(t_rx_acked(t, 63 + XM_WINDOW - 2));
}

static void xm_rx_fill__bitmap_behind_the_rings_end(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	const uint32_t cum = 64 * XM_SACK_WORDS + 8;

	t_rx_install_all(t, 0, cum);
	t_rx_install(t, cum + 2);
	t_rx_install(t, cum + 100);
	t_rx_install(t, cum + XM_WINDOW - 1);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack_frame.seq, cum);
	assert_true(t->ack.words[0] == 1ULL << 10);
	assert_true(t_rx_acked(t, cum + 100));
	assert_false(t_rx_acked(t, cum + 101));
	assert_true(t_rx_acked(t, cum + XM_WINDOW - 1));
	t_rx_install_all(t, cum, cum + 2);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack_frame.seq, cum + 3);
}

static void xm_rx_fill__numbers_two_rings_later_start_clear(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	t_rx_install_all(t, 0, 2 * 64 * XM_SACK_WORDS + 100);
	assert_int_equal(xm_rx_totals(t->rx).frames,
			 2 * 64 * XM_SACK_WORDS + 100);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.n_words, 0);
}

static void xm_rx_fill__echoes_the_newest_transmission(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_slice(t, 0, 0, 32);

	f.tx_us = 700;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	f.seq = 1;
	f.tx_us = 900;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	t_rx_wait(t, 30);
	f.seq = 2;
	f.tx_us = 800; /* overtaken on the way */
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	t_rx_wait(t, XM_ACK_DELAY_US);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.echo_us, 900);
	assert_int_equal(t->ack.hold_us, 30 + XM_ACK_DELAY_US);
}

static void xm_rx_fill__echoes_over_the_wrap_of_the_clock(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_slice(t, 0, 0, 32);

	f.tx_us = UINT32_MAX - 5;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	f.seq = 1;
	f.tx_us = 4;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	t_rx_wait(t, XM_ACK_DELAY_US);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.echo_us, 4);
}

static void xm_rx_fill__echoes_a_frame_it_rejected(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_slice(t, 0, 0, 32);

	f.tx_us = 700;
	f.payload_crc ^= 1;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_PAYLOAD_CRC);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.echo_us, 700);
}

static void xm_rx_fill__echo_starts_anew_with_an_epoch(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_slice(t, 0, 0, 32);

	f.tx_us = 900;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	xm_rx_epoch(t->rx, 2);
	f.epoch = 2;
	f.tx_us = 100;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	t_rx_wait(t, XM_ACK_DELAY_US);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.echo_us, 100);
}

static void xm_rx_fill__counts_congestion_marks_of_the_epoch(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_slice(t, 0, 0, 32);
	struct xm_vec vec = { t->payload, 32 };

	(void)xm_rx_packet(t->rx, t->now, &f, &vec, 1, true);
	(void)xm_rx_packet(t->rx, t->now, &f, &vec, 1, true);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.n_ce, 2);
	assert_int_equal(xm_rx_stats(t->rx)->n_ce, 2);
	xm_rx_epoch(t->rx, 2);
	f.epoch = 2;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	t_rx_wait(t, XM_ACK_DELAY_US);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.n_ce, 0);
	assert_int_equal(t->ack.n_dup, 0);
	assert_int_equal(xm_rx_stats(t->rx)->n_ce, 2);
}

static void xm_rx_fill__names_a_reject_once(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_slice(t, 0, 0, 32);

	f.payload_crc ^= 1;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_PAYLOAD_CRC);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.n_rejects, 1);
	t_rx_install(t, 1);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.n_rejects, 0);
}

static void xm_rx_fill__names_as_many_rejects_as_there_is_room(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_slice(t, 1000, 0, 32);

	f.payload_crc ^= 1;
	for (; f.seq <= 1000 + XM_ACK_REJECTS; f.seq++)
		assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_PAYLOAD_CRC);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack.n_rejects, XM_ACK_REJECTS);
	assert_int_equal(t->ack.rejects[XM_ACK_REJECTS - 1],
			 1000 + XM_ACK_REJECTS - 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, t_rx_setup, t_rx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_rx_fill__nothing_before_a_frame_came),
		T(xm_rx_fill__frames_in_order_wait_for_the_delay),
		T(xm_rx_expiry__is_the_delay_after_the_first_frame),
		T(xm_rx_expiry__never_after_an_ack),
		T(xm_rx_fill__at_once_after_so_many_frames),
		T(xm_rx_fill__sooner_when_there_is_little_credit),
		T(xm_rx_fill__each_frame_when_there_is_hardly_any),
		T(xm_rx_fill__at_once_when_a_gap_opens),
		T(xm_rx_fill__at_once_while_a_gap_stands),
		T(xm_rx_fill__at_once_when_a_gap_closes),
		T(xm_rx_fill__at_once_after_a_duplicate),
		T(xm_rx_fill__at_once_after_a_reject),
		T(xm_rx_fill__at_once_after_sync),
		T(xm_rx_fill__not_after_a_strangers_frame),
		T(xm_rx_fill__not_after_another_epochs_frame),
		T(xm_rx_fill__not_what_was_due_in_the_last_epoch),
		T(xm_rx_fill__no_reject_of_the_last_epoch),
		T(xm_rx_fill__says_whose_ack_it_is),
		T(xm_rx_fill__no_bitmap_without_a_gap),
		T(xm_rx_fill__bitmap_of_what_is_above_a_gap),
		T(xm_rx_fill__bitmap_starts_at_the_word_of_cum),
		T(xm_rx_fill__bitmap_when_cum_is_a_multiple_of_64),
		T(xm_rx_fill__bitmap_reaches_the_newest_in_the_window),
		T(xm_rx_fill__bitmap_behind_the_rings_end),
		T(xm_rx_fill__numbers_two_rings_later_start_clear),
		T(xm_rx_fill__echoes_the_newest_transmission),
		T(xm_rx_fill__echoes_over_the_wrap_of_the_clock),
		T(xm_rx_fill__echoes_a_frame_it_rejected),
		T(xm_rx_fill__echo_starts_anew_with_an_epoch),
		T(xm_rx_fill__counts_congestion_marks_of_the_epoch),
		T(xm_rx_fill__names_a_reject_once),
		T(xm_rx_fill__names_as_many_rejects_as_there_is_room),
	};

	return cmocka_run_group_tests_name("rx_ack", tests, NULL, NULL);
}
