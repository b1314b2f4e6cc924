// SPDX-License-Identifier: GPL-2.0-or-later
/* test_loss_timers.c - tail probe, retransmission timer, stall deadline
 *
 * With a round trip of 100 us the tail probe comes after XM_RTO_MIN_US, since
 * 2 x 100 us and the ACK delay are less.
 */
#include "core/tx.h"

#include <errno.h>

#include "../lib/t_tx.h"

/* A round trip of @us is known, and frames 2 to 6 have just left. */
static struct t_tx *five_frames_after(void **state, int64_t us)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 1);
	t_tx_wait(t, us);
	t_tx_give_cum(t, 2);
	t_tx_packet(t, 8);
	(void)t_trace_take(&t->trace, XM_TRACE_SEND);
	return t;
}

/* The same without a sample: frames 0 to 4. */
static struct t_tx *five_frames(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 8);
	(void)t_trace_take(&t->trace, XM_TRACE_SEND);
	return t;
}

static const char *lost(struct t_tx *t)
{
	return t_trace_take(&t->trace, XM_TRACE_LOST);
}

static const char *probed(struct t_tx *t)
{
	return t_trace_take(&t->trace, XM_TRACE_TAIL_PROBE);
}

/* -- when ------------------------------------------------------------------ */

static void xm_tx_expiry__never_when_all_is_released(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_give_cum(t, 5);
	assert_true(xm_time_is_never(xm_tx_expiry(t->tx)));
}

static void xm_tx_expiry__never_before_anything_left(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(t_tx_push(t, 2, 0), 0);
	assert_true(xm_time_is_never(xm_tx_expiry(t->tx)));
}

static void xm_tx_expiry__goes_on_until_the_device_is_done(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_give_cum(t, 5);
	assert_false(xm_time_is_never(xm_tx_expiry(t->tx)));
	t_tx_complete_all(t, 0, 4);
	assert_true(xm_time_is_never(xm_tx_expiry(t->tx)));
}

static void xm_tx_expiry__before_a_sample_the_initial_timeout(void **state)
{
	struct t_tx *t = five_frames(state);

	assert_int_equal(t_tx_expiry_us(t), XM_RTO_INIT_US);
}

static void xm_tx_expiry__no_pacing_deadline_is_left_over(void **state)
{
	struct t_tx *t = *state;

	t->opts.cc.mss = 9000;
	t->opts.cc.rate = 100000;
	t_tx_begin(t);
	t_tx_packet(t, 4);
	t_tx_complete_all(t, 0, 2);
	t_tx_wait(t, 100);
	t_tx_give_gap(t, 1, 3);
	t_tx_run_timer(t);
	assert_string_equal(lost(t), "1");
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	t_tx_give_cum(t, 3);
	assert_true(xm_time_is_never(xm_tx_expiry(t->tx)));
}

static void xm_tx_expiry__counts_from_the_last_transmission(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_wait(t, 15000);
	t_tx_packet(t, 2);
	assert_int_equal(t_tx_expiry_us(t), XM_RTO_INIT_US);
}

static void xm_tx_expiry__counts_from_the_last_news(void **state)
{
	struct t_tx *t = five_frames_after(state, 100);
	struct xm_ack a;

	t_tx_wait(t, 500);
	a = t_tx_ack(t);
	a.hold_us = 400;
	t_tx_give(t, 3, &a);
	assert_int_equal(t_tx_expiry_us(t), XM_RTO_MIN_US);
}

static void xm_tx_expiry__an_ack_without_news_moves_nothing(void **state)
{
	struct t_tx *t = five_frames_after(state, 100);

	t_tx_wait(t, 300);
	t_tx_give_cum(t, 2);
	assert_int_equal(t_tx_expiry_us(t), XM_RTO_MIN_US - 300);
}

static void xm_tx_expiry__tail_probe_after_two_round_trips(void **state)
{
	struct t_tx *t = five_frames_after(state, 5000);

	assert_int_equal(t_tx_expiry_us(t), 2 * 5000 + XM_ACK_DELAY_US);
}

static void xm_tx_expiry__tail_probe_not_too_soon(void **state)
{
	struct t_tx *t = five_frames_after(state, 100);

	assert_int_equal(t_tx_expiry_us(t), XM_RTO_MIN_US);
}

/* -- tail probe ------------------------------------------------------------ */

static void tail_probe__sends_the_newest_frame_again(void **state)
{
	struct t_tx *t = five_frames_after(state, 100);

	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	assert_string_equal(probed(t), "6");
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 6);
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
}

static void tail_probe__chooses_the_newest_that_left_the_host(void **state)
{
	struct t_tx *t = five_frames_after(state, 100);

	t_tx_complete_all(t, 2, 4);
	t_tx_run_timer(t);
	assert_string_equal(probed(t), "4");
}

static void tail_probe__nothing_while_the_device_has_all(void **state)
{
	struct t_tx *t = five_frames_after(state, 100);

	t_tx_run_timer(t);
	assert_string_equal(probed(t), "");
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
	assert_int_equal(t_tx_expiry_us(t), XM_RTO_MIN_US);
	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	assert_string_equal(probed(t), "6");
}

static void tail_probe__leaves_whatever_the_windows_say(void **state)
{
	struct t_tx *t = five_frames_after(state, 100);
	struct xm_ack a = t_tx_ack(t);

	a.credit = 1;
	t_tx_give(t, 2, &a);
	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 6);
}

static void tail_probe__is_no_loss(void **state)
{
	struct t_tx *t = five_frames_after(state, 100);

	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	assert_int_equal(xm_tx_stats(t->tx)->lost, 0);
	assert_int_equal(xm_tx_stats(t->tx)->probes, 1);
	assert_int_equal(xm_tx_stats(t->tx)->timeouts, 0);
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 0);
}

static void tail_probe__its_ack_shows_what_is_missing(void **state)
{
	struct t_tx *t = five_frames_after(state, 100);

	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_complete_all(t, 6, 6);
	assert_string_equal(lost(t), "6");
	t_tx_wait(t, 100);
	t_tx_give_gap(t, 4, 7);
	assert_string_equal(lost(t), "4");
}

static void tail_probe__once_a_flight(void **state)
{
	struct t_tx *t = five_frames_after(state, 100);

	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_complete_all(t, 6, 6);
	t_tx_run_timer(t);
	assert_string_equal(probed(t), "6");
	assert_int_equal(xm_tx_stats(t->tx)->timeouts, 1);
}

static void tail_probe__again_after_news(void **state)
{
	struct t_tx *t = five_frames_after(state, 100);

	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_complete_all(t, 6, 6);
	t_tx_wait(t, 100);
	t_tx_give_cum(t, 6);
	t_tx_run_timer(t);
	assert_string_equal(probed(t), "6 6");
	assert_int_equal(xm_tx_stats(t->tx)->timeouts, 0);
}

/* -- timeout --------------------------------------------------------------- */

static void timeout__all_that_left_the_host_is_lost(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	assert_string_equal(lost(t), "0-4");
	assert_int_equal(xm_tx_stats(t->tx)->timeouts, 1);
}

static void timeout__not_what_the_device_still_has(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 1, 3);
	t_tx_run_timer(t);
	assert_string_equal(lost(t), "1-3");
}

static void timeout__not_what_was_acknowledged(void **state)
{
	struct t_tx *t = five_frames(state);
	struct xm_ack a = t_tx_ack(t);

	t_tx_complete_all(t, 0, 4);
	a.hold_us = 1000; /* no sample, so no tail probe */
	t_tx_give(t, 3, &a);
	t_tx_run_timer(t);
	assert_string_equal(lost(t), "3-4");
}

static void timeout__nothing_while_the_device_has_all(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_run_timer(t);
	assert_string_equal(lost(t), "");
	assert_int_equal(xm_tx_stats(t->tx)->timeouts, 0);
	assert_int_equal(t_tx_expiry_us(t), XM_RTO_INIT_US);
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 0);
}

static void timeout__closes_the_window(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	assert_string_equal(t_trace_take(&t->trace, XM_TRACE_CUT), "4");
}

/* The tail probe of five_frames_after() was in vain. */
static struct t_tx *after_the_probe(void **state, int64_t us)
{
	struct t_tx *t = five_frames_after(state, us);

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

	assert_int_equal(t_tx_expiry_us(t), rto);
	t_tx_run_timer(t);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_TIMEOUT)->b, 2 * rto);
	t_tx_send(t, 4);
	assert_int_equal(t_tx_expiry_us(t), 2 * rto);
	t_tx_complete_all(t, 2, 5);
	t_tx_run_timer(t);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_TIMEOUT)->b, 4 * rto);
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
	struct t_tx *t = five_frames(state);

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
	struct t_tx *t = five_frames(state);
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
	struct t_tx *t = five_frames(state);
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
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_give_cum(t, 3);
	(void)lost(t);
	t_tx_complete(t, 0, 0);
	t_tx_wait(t, 1000000);
	t_tx_run_timer(t);
	assert_true(xm_tx_stats(t->tx)->probes + xm_tx_stats(t->tx)->timeouts >
		    1);
	t_tx_send(t, 1);
}

/* The ACK is for what was sent again only: the timeout stands. */
static void timeout__that_was_needed_stands(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_give_cum(t, 1);
	assert_int_equal(xm_tx_stats(t->tx)->undone, 0);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 1);
}

/* 100 kB/s: the first burst has left and arrived, 30 frames wait for theirs. */
static struct t_tx *paced(void **state)
{
	struct t_tx *t = *state;

	t->opts.cc.mss = 9000;
	t->opts.cc.rate = 100000;
	t->opts.stall_ns = 20 * XM_MS;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 128, 0), 0);
	while (!t_tx_next(t))
		t_tx_complete_all(t, t->out.f.seq, t->out.f.seq);
	t_tx_wait(t, 100);
	t_tx_give_cum(t, xm_tx_stats(t->tx)->frames_sent);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	return t;
}

/* Each frame takes 82 ms, many times the least timeout and the deadline. */
static void timeout__not_while_the_pacer_is_waited_for(void **state)
{
	struct t_tx *t = paced(state);
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

static void xm_tx_expire__too_early_does_nothing(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, XM_RTO_INIT_US - 1);
	assert_int_equal(t_tx_expire(t), 0);
	assert_string_equal(lost(t), "");
	assert_int_equal(t_tx_expiry_us(t), 1);
}

static void xm_tx_expire__without_a_timer_does_nothing(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_wait(t, 100000000);
	assert_int_equal(t_tx_expire(t), 0);
	t_tx_packet(t, 2);
	assert_int_equal(t_tx_expire(t), 0);
}

/* -- stall ----------------------------------------------------------------- */

static void stall__after_the_deadline_without_progress(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_wait(t, 10000000 - 1);
	assert_int_equal(t_tx_expire(t), 0);
	t_tx_wait(t, 1);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
}

static void stall__is_for_good(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_wait(t, 10000000);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
	t_tx_complete_all(t, 0, 4);
	t_tx_give_cum(t, 5);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
	assert_int_equal(t_tx_push(t, 2, 0), -ETIMEDOUT);
}

static void stall__is_among_what_expiry_names(void **state)
{
	struct t_tx *t = *state;

	t->opts.stall_ns = 7 * XM_MS;
	five_frames(state);
	assert_int_equal(t_tx_expiry_us(t), 7000);
}

static void stall__an_acknowledgement_is_progress(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 9000000);
	t_tx_give_cum(t, 1);
	t_tx_wait(t, 9000000);
	assert_int_equal(t_tx_expire(t), 0);
	t_tx_wait(t, 1000000);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
}

static void stall__an_ack_without_news_is_no_progress(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 9000000);
	t_tx_give_cum(t, 0);
	t_tx_wait(t, 1000000);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
}

static void stall__a_completion_alone_is_no_progress(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_wait(t, 9000000);
	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 1000000);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
}

static void stall__the_completion_of_an_acknowledged_frame_is(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_give_cum(t, 5);
	t_tx_wait(t, 9000000);
	t_tx_complete_all(t, 0, 3);
	t_tx_wait(t, 9000000);
	assert_int_equal(t_tx_expire(t), 0);
	t_tx_wait(t, 1000000);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
}

static void stall__not_while_nothing_is_unreleased(void **state)
{
	struct t_tx *t = five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_give_cum(t, 5);
	t_tx_wait(t, 60000000);
	t_tx_packet(t, 2);
	t_tx_wait(t, 9000000);
	assert_int_equal(t_tx_expire(t), 0);
}

static void stall__also_when_nothing_may_leave(void **state)
{
	struct t_tx *t = *state;

	t->opts.credit = 0;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	t_tx_wait(t, 10000000);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, t_tx_setup, t_tx_teardown)

/* What was sent and lost waits for the pacer too. */
static void stall__is_not_put_off_by_the_pacer(void **state)
{
	struct t_tx *t = paced(state);
	struct xm_time begin;
	int r = 0;

	while (t_tx_next(t))
		t_tx_run_timer(t);
	begin = t->now;
	while (!r) {
		t_tx_complete_all(t, t->out.f.seq, t->out.f.seq);
		t->now = xm_tx_expiry(t->tx);
		r = t_tx_expire(t);
		(void)t_tx_next(t);
	}
	assert_int_equal(r, -ETIMEDOUT);
	assert_true(xm_time_sub(t->now, begin) <= 20 * XM_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_tx_expiry__never_when_all_is_released),
		T(xm_tx_expiry__never_before_anything_left),
		T(xm_tx_expiry__goes_on_until_the_device_is_done),
		T(xm_tx_expiry__before_a_sample_the_initial_timeout),
		T(xm_tx_expiry__no_pacing_deadline_is_left_over),
		T(xm_tx_expiry__counts_from_the_last_transmission),
		T(xm_tx_expiry__counts_from_the_last_news),
		T(xm_tx_expiry__an_ack_without_news_moves_nothing),
		T(xm_tx_expiry__tail_probe_after_two_round_trips),
		T(xm_tx_expiry__tail_probe_not_too_soon),
		T(tail_probe__sends_the_newest_frame_again),
		T(tail_probe__chooses_the_newest_that_left_the_host),
		T(tail_probe__nothing_while_the_device_has_all),
		T(tail_probe__leaves_whatever_the_windows_say),
		T(tail_probe__is_no_loss),
		T(tail_probe__its_ack_shows_what_is_missing),
		T(tail_probe__once_a_flight),
		T(tail_probe__again_after_news),
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
		T(timeout__that_was_needed_stands),
		T(timeout__not_while_the_pacer_is_waited_for),
		T(xm_tx_expire__too_early_does_nothing),
		T(xm_tx_expire__without_a_timer_does_nothing),
		T(stall__after_the_deadline_without_progress),
		T(stall__is_for_good),
		T(stall__is_among_what_expiry_names),
		T(stall__an_acknowledgement_is_progress),
		T(stall__an_ack_without_news_is_no_progress),
		T(stall__a_completion_alone_is_no_progress),
		T(stall__the_completion_of_an_acknowledged_frame_is),
		T(stall__not_while_nothing_is_unreleased),
		T(stall__also_when_nothing_may_leave),
		T(stall__is_not_put_off_by_the_pacer),
	};

	return cmocka_run_group_tests_name("loss_timers", tests, NULL, NULL);
}
