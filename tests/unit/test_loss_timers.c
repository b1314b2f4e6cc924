// SPDX-License-Identifier: GPL-2.0-or-later
/* test_loss_timers.c - tail probe and stall deadline; the retransmission timer
 * is test_loss_timeout.c's
 *
 * With a round trip of 100 us the tail probe comes after XM_RTO_MIN_US, since
 * 100 us, four times their variation and the ACK delay are less.
 */
#include "core/tx.h"

#include <errno.h>

#include "../lib/t_loss.h"

static const char *probed(struct t_tx *t)
{
	return t_trace_take(&t->trace, XM_TRACE_TAIL_PROBE);
}

/* -- when ------------------------------------------------------------------ */

static void xm_tx_expiry__never_when_all_is_released(void **state)
{
	struct t_tx *t = t_five_frames(state);

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
	struct t_tx *t = t_five_frames(state);

	t_tx_give_cum(t, 5);
	assert_false(xm_time_is_never(xm_tx_expiry(t->tx)));
	t_tx_complete_all(t, 0, 4);
	assert_true(xm_time_is_never(xm_tx_expiry(t->tx)));
}

static void xm_tx_expiry__before_a_sample_the_initial_timeout(void **state)
{
	struct t_tx *t = t_five_frames(state);

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
	assert_string_equal(t_lost(t), "1");
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	t_tx_give_cum(t, 3);
	assert_true(xm_time_is_never(xm_tx_expiry(t->tx)));
}

static void xm_tx_expiry__counts_from_the_last_transmission(void **state)
{
	struct t_tx *t = t_five_frames(state);

	t_tx_wait(t, 15000);
	t_tx_packet(t, 2);
	assert_int_equal(t_tx_expiry_us(t), XM_RTO_INIT_US);
}

static void xm_tx_expiry__counts_from_the_last_news(void **state)
{
	struct t_tx *t = t_five_frames_after(state, 100);
	struct xm_ack a;

	t_tx_wait(t, 500);
	a = t_tx_ack(t);
	a.hold_us = 400;
	t_tx_give(t, 3, &a);
	assert_int_equal(t_tx_expiry_us(t), XM_RTO_MIN_US);
}

static void xm_tx_expiry__an_ack_without_news_moves_nothing(void **state)
{
	struct t_tx *t = t_five_frames_after(state, 100);

	t_tx_wait(t, 300);
	t_tx_give_cum(t, 2);
	assert_int_equal(t_tx_expiry_us(t), XM_RTO_MIN_US - 300);
}

static void xm_tx_expiry__tail_probe_after_rfc_9002s_timeout(void **state)
{
	struct t_tx *t = t_five_frames_after(state, 5000);

	assert_int_equal(t_tx_expiry_us(t), 5000 + 4 * 2500 + XM_ACK_DELAY_US);
}

/* Frames 0 and 1 leave; when both are acknowledged, after @us, the peer says that
 * it had them for @hold_us.  Then frames 2 to 6. */
static struct t_tx *five_after_a_hold(void **state, int64_t us,
				      uint32_t hold_us)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_ack a;

	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 1);
	t_tx_wait(t, us);
	a = t_tx_ack(t);
	a.hold_us = hold_us;
	t_tx_give(t, 2, &a);
	t_tx_packet(t, 8);
	return t;
}

/* Its thread slept too long, not the network. */
static void xm_tx_expiry__covers_a_late_ack(void **state)
{
	struct t_tx *t = five_after_a_hold(state, 6200, 6100);

	assert_int_equal(t_tx_expiry_us(t), 3 * 6000 + XM_ACK_DELAY_US);
}

static void xm_tx_expiry__a_delay_that_is_agreed_on_is_not_late(void **state)
{
	struct t_tx *t = five_after_a_hold(state, 300, XM_ACK_DELAY_US);

	assert_int_equal(t_tx_expiry_us(t), XM_RTO_MIN_US);
}

static void xm_tx_expiry__tail_probe_not_too_soon(void **state)
{
	struct t_tx *t = t_five_frames_after(state, 100);

	assert_int_equal(t_tx_expiry_us(t), XM_RTO_MIN_US);
}

/* -- tail probe ------------------------------------------------------------ */

static void tail_probe__sends_the_newest_frame_again(void **state)
{
	struct t_tx *t = t_five_frames_after(state, 100);

	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	assert_string_equal(probed(t), "6");
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 6);
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
}

static void tail_probe__chooses_the_newest_that_left_the_host(void **state)
{
	struct t_tx *t = t_five_frames_after(state, 100);

	t_tx_complete_all(t, 2, 4);
	t_tx_run_timer(t);
	assert_string_equal(probed(t), "4");
}

static void tail_probe__nothing_while_the_device_has_all(void **state)
{
	struct t_tx *t = t_five_frames_after(state, 100);

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
	struct t_tx *t = t_five_frames_after(state, 100);
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
	struct t_tx *t = t_five_frames_after(state, 100);

	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	assert_int_equal(xm_tx_stats(t->tx)->lost, 0);
	assert_int_equal(xm_tx_stats(t->tx)->probes, 1);
	assert_int_equal(xm_tx_stats(t->tx)->timeouts, 0);
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_CUT), 0);
}

static void tail_probe__its_ack_shows_what_is_missing(void **state)
{
	struct t_tx *t = t_five_frames_after(state, 100);

	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_complete_all(t, 6, 6);
	assert_string_equal(t_lost(t), "6");
	t_tx_wait(t, 100);
	t_tx_give_gap(t, 4, 7);
	assert_string_equal(t_lost(t), "4");
}

static void tail_probe__once_a_flight(void **state)
{
	struct t_tx *t = t_five_frames_after(state, 100);

	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_complete_all(t, 6, 6);
	t_tx_run_timer(t);
	assert_string_equal(probed(t), "6");
	assert_int_equal(xm_tx_stats(t->tx)->timeouts, 1);
}

/* What leaves next provokes an ACK as well, and is not sent in vain. */
static void tail_probe__not_while_the_pacer_holds_the_next(void **state)
{
	struct t_tx *t = *state;
	unsigned int n;

	t->opts.cc.mss = 9000;
	t->opts.cc.rate = 100000; /* a frame in 90 ms */
	t_tx_begin(t);
	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 1);
	t_tx_wait(t, 100);
	t_tx_give_cum(t, 2);
	assert_int_equal(t_tx_push(t, 128, 0), 0);
	for (n = 0; n < 10; n++) {
		while (t_tx_next(t))
			t_tx_run_timer(t);
		t_tx_complete_all(t, t->out.f.seq, t->out.f.seq);
	}
	assert_string_equal(probed(t), "");
	assert_int_equal(xm_tx_stats(t->tx)->timeouts, 0);
}

/* The pacer would hold it too, but time alone does not help. */
static void tail_probe__when_the_window_holds_the_next(void **state)
{
	struct t_tx *t = *state;

	t->opts.cc.mss = 9000;
	t->opts.cc.rate = 1000000;
	t->opts.credit = 2;
	t_tx_begin(t);
	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 1);
	t_tx_wait(t, 100);
	t_tx_give_cum(t, 2);
	assert_int_equal(t_tx_push(t, 8, 0), 0);
	while (xm_tx_stats(t->tx)->frames_sent < 4)
		if (t_tx_next(t))
			t_tx_run_timer(t);
	t_tx_complete_all(t, 2, 3);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	t_tx_run_timer(t);
	assert_string_equal(probed(t), "3");
}

static void tail_probe__again_after_news(void **state)
{
	struct t_tx *t = t_five_frames_after(state, 100);

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

static void tail_probe__in_the_next_epoch_too(void **state)
{
	struct t_tx *t = t_five_frames_after(state, 100);

	t_tx_complete_all(t, 2, 6);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	t_tx_complete_all(t, 6, 6);
	t_tx_give_cum(t, 7);
	assert_int_equal(xm_tx_epoch(t->tx, 2, t->now), 0);
	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 1);
	t_tx_run_timer(t);
	assert_string_equal(probed(t), "6 1");
}

/* -- too early, or not at all ---------------------------------------------- */

static void xm_tx_expire__too_early_does_nothing(void **state)
{
	struct t_tx *t = t_five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, XM_RTO_INIT_US - 1);
	assert_int_equal(t_tx_expire(t), 0);
	assert_string_equal(t_lost(t), "");
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
	struct t_tx *t = t_five_frames(state);

	t_tx_wait(t, 10000000 - 1);
	assert_int_equal(t_tx_expire(t), 0);
	t_tx_wait(t, 1);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
}

static void stall__is_for_good(void **state)
{
	struct t_tx *t = t_five_frames(state);

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
	t_five_frames(state);
	assert_int_equal(t_tx_expiry_us(t), 7000);
}

static void stall__an_acknowledgement_is_progress(void **state)
{
	struct t_tx *t = t_five_frames(state);

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
	struct t_tx *t = t_five_frames(state);

	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 9000000);
	t_tx_give_cum(t, 0);
	t_tx_wait(t, 1000000);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
}

static void stall__a_completion_alone_is_no_progress(void **state)
{
	struct t_tx *t = t_five_frames(state);

	t_tx_wait(t, 9000000);
	t_tx_complete_all(t, 0, 4);
	t_tx_wait(t, 1000000);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
}

static void stall__the_completion_of_an_acknowledged_frame_is(void **state)
{
	struct t_tx *t = t_five_frames(state);

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
	struct t_tx *t = t_five_frames(state);

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

/* What was sent and lost waits for the pacer too. */
static void stall__is_not_put_off_by_the_pacer(void **state)
{
	struct t_tx *t = t_paced(state);
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

#define T(name) cmocka_unit_test_setup_teardown(name, t_tx_setup, t_tx_teardown)

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
		T(xm_tx_expiry__tail_probe_after_rfc_9002s_timeout),
		T(xm_tx_expiry__covers_a_late_ack),
		T(xm_tx_expiry__a_delay_that_is_agreed_on_is_not_late),
		T(xm_tx_expiry__tail_probe_not_too_soon),
		T(tail_probe__sends_the_newest_frame_again),
		T(tail_probe__chooses_the_newest_that_left_the_host),
		T(tail_probe__nothing_while_the_device_has_all),
		T(tail_probe__leaves_whatever_the_windows_say),
		T(tail_probe__is_no_loss),
		T(tail_probe__its_ack_shows_what_is_missing),
		T(tail_probe__once_a_flight),
		T(tail_probe__not_while_the_pacer_holds_the_next),
		T(tail_probe__when_the_window_holds_the_next),
		T(tail_probe__again_after_news),
		T(tail_probe__in_the_next_epoch_too),
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
