// SPDX-License-Identifier: GPL-2.0-or-later
/* test_loss_detect.c - what an ACK shows to be lost, and what the peer says
 * was rejected or came twice
 *
 * The first ACK comes after 100 us, so the reorder window is 25 us wide.
 */
#include "core/tx.h"

#include "../lib/t_tx.h"

/* Frames 0 to 4 leave at once. */
static struct t_tx *five_frames(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 8);
	return t;
}

static const char *lost(struct t_tx *t)
{
	return t_trace_take(&t->trace, XM_TRACE_LOST);
}

/* -- by time --------------------------------------------------------------- */

static void detect__waits_for_the_reorder_window(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	t_tx_give_gap(t, 2, 5);
	assert_string_equal(lost(t), "");
	assert_int_equal(t_tx_expiry_us(t), 25);
	t_tx_wait(t, 24);
	assert_int_equal(t_tx_expire(t), 0);
	assert_string_equal(lost(t), "");
	t_tx_wait(t, 2);
	assert_int_equal(t_tx_expire(t), 0);
	assert_string_equal(lost(t), "2");
	assert_int_equal(xm_tx_stats(t->tx)->lost, 1);
}

static void detect__at_once_when_the_window_is_over(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 50);
	t_tx_packet(t, 2);
	t_tx_wait(t, 100);
	t_tx_give_gap(t, 2, 7);
	assert_string_equal(lost(t), "2");
}

static void detect__only_what_left_before_the_echo(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 10);
	t_tx_packet(t, 8);
	t_tx_complete_all(t, 5, 9);
	t_tx_wait(t, 90);
	t_tx_ack_bit(&a, 0, 4);
	t_tx_give(t, 0, &a);
	t_tx_wait(t, 40);
	assert_int_equal(t_tx_expire(t), 0);
	assert_string_equal(lost(t), "0-3");
}

static void detect__nothing_behind_the_newest_that_came(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	t_tx_give_cum(t, 3);
	t_tx_wait(t, 500);
	assert_int_equal(t_tx_expire(t), 0);
	assert_string_equal(lost(t), "");
}

static void detect__not_what_the_device_still_has(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 1);
	t_tx_complete_all(t, 3, 4);
	t_tx_wait(t, 200);
	t_tx_give_gap(t, 1, 5);
	t_tx_run_timer(t);
	assert_string_equal(lost(t), "1");
}

static void detect__each_frame_once(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	t_tx_give_gap(t, 2, 5);
	t_tx_run_timer(t);
	assert_string_equal(lost(t), "2");
	t_tx_give_gap(t, 2, 5);
	assert_string_equal(lost(t), "");
}

static void detect__a_retransmission_can_be_lost_too(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	t_tx_give_gap(t, 2, 5);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_complete_all(t, 2, 2);
	t_tx_wait(t, 10);
	t_tx_packet(t, 2);
	t_tx_wait(t, 100);
	assert_string_equal(lost(t), "2");
	t_tx_give_gap(t, 2, 7);
	t_tx_run_timer(t);
	assert_string_equal(lost(t), "2");
}

static void detect__not_by_what_may_be_the_originals_arrival(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a;

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	t_tx_give_gap(t, 2, 5);
	a = t_tx_ack(t); /* echoes the first flight only */
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_complete_all(t, 2, 2);
	t_tx_packet(t, 2);
	t_tx_complete_all(t, 5, 6);
	assert_string_equal(lost(t), "2");
	/* number 2 came, but that says nothing of what left with its copy */
	t_tx_wait(t, 400);
	t_tx_give(t, 5, &a);
	assert_string_equal(lost(t), "");
}

static void detect__by_a_retransmission_of_the_same_batch(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a;

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 10);
	t_tx_packet(t, 2);
	t_tx_complete_all(t, 5, 6);
	t_tx_wait(t, 100);
	a = t_tx_ack(t);
	t_tx_ack_bit(&a, 1, 5);
	t_tx_ack_bit(&a, 1, 6);
	t_tx_give(t, 1, &a);
	t_tx_wait(t, 30);
	assert_int_equal(t_tx_expire(t), 0);
	assert_string_equal(lost(t), "1-4");
	t_tx_send(t, 4);
	t_tx_complete_all(t, 1, 4);
	t_tx_wait(t, 100);
	t_tx_give_gap(t, 1, 7);
	t_tx_run_timer(t);
	assert_string_equal(lost(t), "1");
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_TAIL_PROBE), 0);
}

static void detect__by_a_frame_that_came_and_was_rejected(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a;

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 10);
	t_tx_packet(t, 2);
	t_tx_complete_all(t, 5, 6);
	t_tx_wait(t, 200);
	a = t_tx_ack(t); /* echoes 5 or 6 */
	a.n_rejects = 1;
	a.rejects[0] = 6;
	t_tx_give(t, 4, &a);
	t_tx_run_timer(t);
	assert_string_equal(lost(t), "6 4");
}

/* More than an eighth of the window: congestion, and one. */
static void detect__shrinks_the_window_once_for_one_round(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_ack a;

	t_tx_packet(t, 128);
	t_tx_complete_all(t, 0, 31);
	t_tx_wait(t, 200);
	a = t_tx_ack(t);
	t_tx_ack_bit(&a, 0, 5);
	t_tx_give(t, 0, &a);
	t_tx_wait(t, 60);
	assert_int_equal(t_tx_expire(t), 0);
	assert_string_equal(lost(t), "0-4");
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 1);
	t_tx_ack_bit(&a, 0, 9);
	t_tx_wait(t, 1);
	t_tx_give(t, 0, &a);
	t_tx_wait(t, 900);
	assert_int_equal(t_tx_expire(t), 0);
	assert_string_equal(lost(t), "6-8");
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 1);
}

/* -- rejects --------------------------------------------------------------- */

/* The peer has all but @gap, whose payload did not match. */
static void give_reject(struct t_tx *t, uint32_t gap, uint32_t end)
{
	struct xm_ack a = t_tx_ack(t);
	uint32_t seq;

	for (seq = gap + 1; seq < end; seq++)
		t_tx_ack_bit(&a, gap, seq);
	a.n_rejects = 1;
	a.rejects[0] = gap;
	t_tx_give(t, gap, &a);
}

static void reject__is_resent_at_once_and_staged(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	give_reject(t, 2, 5);
	assert_string_equal(lost(t), "2");
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 2);
	assert_true(t->out.stage);
	assert_int_equal(t->out.f.flags, XM_WIRE_F_RESENT | XM_WIRE_F_STAGED);
}

static void reject__is_no_congestion(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	give_reject(t, 2, 5);
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 0);
}

static void reject__of_what_the_device_has_waits_for_it(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_wait(t, 100);
	give_reject(t, 2, 5);
	assert_string_equal(lost(t), "");
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 2);
	assert_true(t->out.stage);
}

static void reject__of_an_acknowledged_frame_is_old(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	t_tx_give_gap(t, 1, 5);
	a.n_rejects = 3;
	a.rejects[0] = 0; /* below cum */
	a.rejects[1] = 3; /* in the bitmap */
	a.rejects[2] = 4;
	t_tx_give(t, 1, &a);
	assert_string_equal(lost(t), "");
}

static void reject__of_a_frame_resent_since_is_about_the_old_one(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a;

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	t_tx_give_gap(t, 2, 5);
	a = t_tx_ack(t); /* echoes the first flight */
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_complete_all(t, 2, 2);
	assert_string_equal(lost(t), "2");
	a.n_rejects = 1;
	a.rejects[0] = 2;
	t_tx_wait(t, 1);
	t_tx_give(t, 2, &a);
	assert_string_equal(lost(t), "");
}

static void reject__of_a_frame_resent_since_stages_the_next(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	t_tx_give_gap(t, 2, 5);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_complete_all(t, 2, 2);
	a.n_rejects = 1;
	a.rejects[0] = 2;
	t_tx_give(t, 2, &a);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 2);
	assert_true(t->out.stage);
}

static void reject__of_a_number_never_sent_is_ignored(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	t_tx_complete_all(t, 0, 4);
	assert_int_equal(t_tx_push(t, 4, 0), 0);
	t_tx_send(t, 1);
	t_tx_wait(t, 100);
	a.n_rejects = 3;
	a.rejects[0] = 6;
	a.rejects[1] = 7;
	a.rejects[2] = UINT32_MAX;
	t_tx_give(t, 5, &a);
	t_tx_send(t, 1);
	assert_false(t->out.stage);
	t_tx_send(t, 1);
	assert_false(t->out.stage);
	assert_string_equal(lost(t), "");
}

static void reject__as_many_as_an_ack_can_name(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_ack a;
	unsigned int i;

	t_tx_packet(t, 40);
	t_tx_complete_all(t, 0, 20);
	t_tx_wait(t, 100);
	a = t_tx_ack(t);
	for (i = 0; i < XM_ACK_REJECTS; i++)
		a.rejects[a.n_rejects++] = 2 + i;
	t_tx_give(t, 2, &a);
	assert_string_equal(lost(t), "2-17");
}

/* -- duplicates ------------------------------------------------------------ */

/* How long after its transmission a frame is taken for lost. */
static int64_t reorder_us(struct t_tx *t, uint32_t first)
{
	int64_t us;

	t_tx_packet(t, 4);
	t_tx_complete_all(t, first, first + 2);
	t_tx_wait(t, 100);
	t_tx_give_gap(t, first, first + 3);
	us = t_tx_expiry_us(t);
	t_tx_give_cum(t, first + 3);
	return us;
}

/* Frames 0 to 4 are resent for nothing, all of them. */
static struct t_tx *needless_retransmissions(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 10);
	t_tx_run_timer(t);
	t_tx_send(t, 5);
	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	t_tx_give_cum(t, 5);
	return t;
}

static void give_dups(struct t_tx *t, uint32_t cum, uint32_t n_dup)
{
	struct xm_ack a = t_tx_ack(t);

	a.n_dup = n_dup;
	t_tx_give(t, cum, &a);
}

static void dups__widen_the_reorder_window_a_quarter_each(void **state)
{
	struct t_tx *t = needless_retransmissions(state);

	assert_int_equal(reorder_us(t, 5), 25);
	give_dups(t, 8, 1);
	assert_int_equal(reorder_us(t, 8), 50);
	give_dups(t, 11, 2);
	assert_int_equal(reorder_us(t, 11), 75);
	assert_int_equal(xm_tx_stats(t->tx)->spurious, 2);
}

static void dups__up_to_a_round_trip(void **state)
{
	struct t_tx *t = needless_retransmissions(state);

	give_dups(t, 5, 1);
	give_dups(t, 5, 2);
	give_dups(t, 5, 3);
	give_dups(t, 5, 4);
	give_dups(t, 5, 5);
	give_dups(t, 5, 6); /* five were resent */
	assert_int_equal(xm_tx_stats(t->tx)->spurious, 5);
	assert_int_equal(reorder_us(t, 5), 100);
}

static void dups__no_more_steps_than_retransmissions(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	give_dups(t, 5, 1);
	give_dups(t, 5, 2);
	assert_int_equal(xm_tx_stats(t->tx)->spurious, 0);
	assert_int_equal(reorder_us(t, 5), 25);
}

static void dups__of_the_last_epochs_retransmissions_are_over(void **state)
{
	struct t_tx *t = needless_retransmissions(state);

	assert_int_equal(xm_tx_epoch(t->tx, 2, t->now), 0);
	t_tx_packet(t, 2);
	give_dups(t, 1, 1);
	assert_int_equal(xm_tx_stats(t->tx)->spurious, 0);
}

static void dups__are_news_once(void **state)
{
	struct t_tx *t = needless_retransmissions(state);

	give_dups(t, 5, 2);
	give_dups(t, 5, 2);
	give_dups(t, 5, 1); /* an old ACK */
	assert_int_equal(xm_tx_stats(t->tx)->spurious, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, t_tx_setup, t_tx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(detect__waits_for_the_reorder_window),
		T(detect__at_once_when_the_window_is_over),
		T(detect__only_what_left_before_the_echo),
		T(detect__nothing_behind_the_newest_that_came),
		T(detect__not_what_the_device_still_has),
		T(detect__each_frame_once),
		T(detect__a_retransmission_can_be_lost_too),
		T(detect__not_by_what_may_be_the_originals_arrival),
		T(detect__by_a_retransmission_of_the_same_batch),
		T(detect__by_a_frame_that_came_and_was_rejected),
		T(detect__shrinks_the_window_once_for_one_round),
		T(reject__is_resent_at_once_and_staged),
		T(reject__is_no_congestion),
		T(reject__of_what_the_device_has_waits_for_it),
		T(reject__of_an_acknowledged_frame_is_old),
		T(reject__of_a_frame_resent_since_is_about_the_old_one),
		T(reject__of_a_frame_resent_since_stages_the_next),
		T(reject__of_a_number_never_sent_is_ignored),
		T(reject__as_many_as_an_ack_can_name),
		T(dups__widen_the_reorder_window_a_quarter_each),
		T(dups__up_to_a_round_trip),
		T(dups__no_more_steps_than_retransmissions),
		T(dups__of_the_last_epochs_retransmissions_are_over),
		T(dups__are_news_once),
	};

	return cmocka_run_group_tests_name("loss_detect", tests, NULL, NULL);
}
