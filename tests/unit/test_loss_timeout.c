// SPDX-License-Identifier: GPL-2.0-or-later
/* test_loss_timeout.c - the retransmission timer, and timeouts that were none */
#include "core/tx.h"

#include <errno.h>

#include "../lib/t_loss.h"

/* -- timeout --------------------------------------------------------------- */

static void timeout__all_that_left_the_host_is_lost(void **state)
{
	struct t_tx *t = t_five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	assert_string_equal(t_lost(t), "0-4");
	assert_int_equal(xm_tx_stats(t->tx)->timeouts, 1);
}

static void timeout__not_what_the_device_still_has(void **state)
{
	struct t_tx *t = t_five_frames(state);

	t_tx_complete_all(t, 1, 3);
	t_tx_run_timer(t);
	assert_string_equal(t_lost(t), "1-3");
}

static void timeout__not_what_was_acknowledged(void **state)
{
	struct t_tx *t = t_five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	t_tx_complete_all(t, 0, 4);
	a.hold_us = 1000; /* no sample, so no tail probe */
	t_tx_give(t, 3, &a);
	t_tx_run_timer(t);
	assert_string_equal(t_lost(t), "3-4");
}

static void timeout__nothing_while_the_device_has_all(void **state)
{
	struct t_tx *t = t_five_frames(state);

	t_tx_run_timer(t);
	assert_string_equal(t_lost(t), "");
	assert_int_equal(xm_tx_stats(t->tx)->timeouts, 0);
	assert_int_equal(t_tx_expiry_us(t), XM_RTO_INIT_US);
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 0);
}

static void timeout__closes_the_window(void **state)
{
	struct t_tx *t = t_five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	assert_string_equal(t_trace_take(&t->trace, XM_TRACE_CUT), "4");
}

/* The tail probe of t_five_frames_after() was in vain. */
static struct t_tx *after_the_probe(void **state, int64_t us)
{
	struct t_tx *t = t_five_frames_after(state, us);

	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_complete_all(t, 6, 6);
	return t;
}

static void timeout__doubles(void **state)
{
	struct t_tx *t = after_the_probe(state, 5000);
	int64_t rto = 5000 + 4 * 2500 + XM_ACK_DELAY_US; /* RFC 6298 */

	/* the probe has doubled it once */
	assert_int_equal(t_tx_expiry_us(t), 2 * rto);
	t_tx_run_timer(t);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_TIMEOUT)->b, 4 * rto);
	t_tx_send(t, 4);
	assert_int_equal(t_tx_expiry_us(t), 4 * rto);
	t_tx_complete_all(t, 2, 5);
	t_tx_run_timer(t);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_TIMEOUT)->b, 8 * rto);
}

static void timeout__doubles_up_to_the_ceiling(void **state)
{
	struct t_tx *t = after_the_probe(state, 100);
	unsigned int i;

	for (i = 0; i < 10; i++) {
		t_tx_run_timer(t);
		t_tx_send(t, 1);
		t_tx_complete_all(t, t->out.f.seq, t->out.f.seq);
	}
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_TIMEOUT)->b,
			 XM_RTO_MAX_US);
	assert_int_equal(t_tx_expiry_us(t), XM_RTO_MAX_US);
}

static void timeout__news_end_the_doubling(void **state)
{
	struct t_tx *t = t_five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	t_tx_send(t, 5);
	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 100);
	t_tx_give_cum(t, 3);
	assert_int_equal(t_tx_expiry_us(t), XM_RTO_MIN_US);
}

static void timeout__forces_one_frame(void **state)
{
	struct t_tx *t = t_five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	t_tx_complete_all(t, 0, 4);
	a.credit = 0;
	a.hold_us = 1000;
	t_tx_give(t, 1, &a);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 1);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
}

/* Frames 0 to 4 timed out, 0 is on its way again; then the peer, which did not
 * run, acknowledges 0 to 2: it had 1 and 2 all the time. */
static void timeout__that_was_not_needed_is_undone(void **state)
{
	struct t_tx *t = t_five_frames(state);
	uint32_t cwnd = xm_tx_stats(t->tx)->cwnd_frames;
	struct xm_ack a = t_tx_ack(t); /* echoes one of them */

	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 0);
	t_tx_give(t, 3, &a);
	assert_int_equal(xm_tx_stats(t->tx)->undone, 1);
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
	assert_int_equal(xm_tx_stats(t->tx)->frames_resent, 1);
	assert_true(xm_tx_stats(t->tx)->cwnd_frames >= cwnd);
}

/* What was undone is in flight as before: lost when a later one arrives. */
static void timeout__undone_frames_can_still_be_lost(void **state)
{
	struct t_tx *t = t_five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_give_cum(t, 3);
	(void)t_lost(t);
	t_tx_complete(t, 0, 0);
	t_tx_wait(t, 1000000);
	t_tx_run_timer(t);
	assert_true(xm_tx_stats(t->tx)->probes + xm_tx_stats(t->tx)->timeouts >
		    1);
	t_tx_send(t, 1);
}

/* 0 and 1 are on their way again when the peer says that it had 4 all the time:
 * 2 and 3, which left before it, are lost, and the two that left later are
 * not. */
static void timeout__undone_frames_keep_their_order(void **state)
{
	struct t_tx *t = t_five_frames(state);
	struct xm_ack a = t_tx_ack(t); /* echoes the first flight, */

	a.hold_us = XM_RTO_INIT_US - 100; /* which came soon */
	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	t_tx_send(t, 2);
	t_tx_complete_all(t, 0, 1);
	assert_string_equal(t_lost(t), "0-4");
	t_tx_ack_bit(&a, 0, 4);
	t_tx_give(t, 0, &a);
	assert_int_equal(xm_tx_stats(t->tx)->undone, 1);
	assert_string_equal(t_lost(t), "2-3");
	/* five and then two; four were undone, one of them by its ACK */
	assert_int_equal(xm_tx_stats(t->tx)->lost, 5 - 2 + 2);
}

static void timeout__undone_frames_count_in_flight(void **state)
{
	struct t_tx *t = *state;
	struct xm_ack a;

	t->opts.credit = 5;
	t_five_frames(state);
	a = t_tx_ack(t);
	a.hold_us = UINT32_MAX; /* so that no time tells what is lost */
	assert_int_equal(t_tx_push(t, 8, 0), 0);
	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	t_tx_give(t, 1, &a);
	assert_int_equal(xm_tx_stats(t->tx)->undone, 1);
	t_tx_send(t, 1); /* with four undone, that makes five */
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
}

/* The ACK is for what was sent again only: the timeout stands. */
static void timeout__that_was_needed_stands(void **state)
{
	struct t_tx *t = t_five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_give_cum(t, 1);
	assert_int_equal(xm_tx_stats(t->tx)->undone, 0);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 1);
}

/* Each frame takes 82 ms, many times the least timeout and the deadline. */
static void timeout__not_while_the_pacer_is_waited_for(void **state)
{
	struct t_tx *t = t_paced(state);
	struct xm_time begin = t->now;
	uint32_t n = 0;

	while (n < 10) {
		t_tx_run_timer(t);
		if (t_tx_next(t))
			continue;
		t_tx_complete_all(t, t->out.f.seq, t->out.f.seq);
		t_tx_give_cum(t, t->out.f.seq + 1);
		assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
		n++;
	}
	assert_int_equal(xm_tx_stats(t->tx)->timeouts, 0);
	assert_true(xm_time_sub(t->now, begin) > 9 * 80 * XM_MS);
}

#define T(name) cmocka_unit_test_setup_teardown(name, t_tx_setup, t_tx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(timeout__all_that_left_the_host_is_lost),
		T(timeout__not_what_the_device_still_has),
		T(timeout__not_what_was_acknowledged),
		T(timeout__nothing_while_the_device_has_all),
		T(timeout__closes_the_window),
		T(timeout__doubles),
		T(timeout__doubles_up_to_the_ceiling),
		T(timeout__news_end_the_doubling),
		T(timeout__forces_one_frame),
		T(timeout__that_was_not_needed_is_undone),
		T(timeout__undone_frames_can_still_be_lost),
		T(timeout__undone_frames_keep_their_order),
		T(timeout__undone_frames_count_in_flight),
		T(timeout__that_was_needed_stands),
		T(timeout__not_while_the_pacer_is_waited_for),
	};

	return cmocka_run_group_tests_name("loss_timeout", tests, NULL, NULL);
}
