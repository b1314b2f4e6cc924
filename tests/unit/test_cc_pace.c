// SPDX-License-Identifier: GPL-2.0-or-later
/* test_cc_pace.c - when the next frame may leave, and the hard cap */
#include "core/cc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MSS 9000u

static struct xm_cc capped(uint64_t rate)
{
	const struct xm_cc_opts opts = {
		.mss = MSS,
		.cwnd_max = 1ULL << 40,
		.n_channels = 1,
		.rate = rate,
	};
	struct xm_cc cc;

	xm_cc_init(&cc, &opts);
	return cc;
}

static struct xm_time at(int64_t ns)
{
	return (struct xm_time){ 5 * XM_SEC + ns };
}

/* Send frames of @len bytes at @now until the pacer says no.  What is in flight
 * is never the limit. */
static uint64_t send_all(struct xm_cc *cc, struct xm_time now, uint32_t len)
{
	uint64_t sent = 0;

	while (xm_cc_may_send(cc, now, 0, len)) {
		xm_cc_on_sent(cc, len);
		sent += len;
	}
	return sent;
}

/* Bytes that leave in a second when the sender looks every @step_ns. */
static uint64_t sent_in_a_second(struct xm_cc *cc, int64_t step_ns)
{
	uint64_t sent = 0;
	int64_t t;

	(void)send_all(cc, at(0), MSS);
	for (t = step_ns; t <= XM_SEC; t += step_ns)
		sent += send_all(cc, at(t), MSS);
	return sent;
}

/* -- the window ------------------------------------------------------------ */

static void xm_cc_may_send__up_to_the_window(void **state)
{
	struct xm_cc cc = capped(0);

	(void)state;
	assert_true(xm_cc_may_send(&cc, at(0), 31 * MSS, MSS));
	assert_false(xm_cc_may_send(&cc, at(0), 31 * MSS + 1, MSS));
}

static void xm_cc_may_send__one_frame_whatever_its_size(void **state)
{
	struct xm_cc cc = capped(0);

	(void)state;
	assert_true(xm_cc_may_send(&cc, at(0), 0, 100 * MSS));
	assert_false(xm_cc_may_send(&cc, at(0), 1, 100 * MSS));
}

static void xm_cc_may_send__consumes_nothing(void **state)
{
	struct xm_cc cc = capped(1000000);
	uint64_t sent;

	(void)state;
	(void)xm_cc_may_send(&cc, at(0), 0, MSS);
	(void)xm_cc_may_send(&cc, at(0), 0, MSS);
	sent = send_all(&cc, at(0), MSS);
	assert_int_equal(sent, 2 * MSS);
}

static void xm_cc_may_send__at_the_beginning_of_time(void **state)
{
	struct xm_cc cc = capped(0);

	(void)state;
	assert_true(xm_cc_may_send(&cc, (struct xm_time){ 0 }, 0, MSS));
}

/* -- pacing by round trips ------------------------------------------------- */

/* With a window of 100 frames over 10 ms, out of slow start or in it. */
static struct xm_cc windowed(bool in_slow_start)
{
	struct xm_cc cc = capped(0);

	xm_cc_on_rtt(&cc, 10 * XM_MS);
	cc.cwnd = 100 * MSS;
	cc.ssthresh = in_slow_start ? UINT64_MAX : cc.cwnd;
	(void)send_all(&cc, at(0), MSS);
	return cc;
}

static void xm_cc_may_send__a_window_a_round_trip_and_a_quarter(void **state)
{
	struct xm_cc cc = windowed(false);

	(void)state;
	assert_in_range(send_all(&cc, at(4 * XM_MS), MSS), 49 * MSS, 51 * MSS);
}

static void xm_cc_may_send__twice_of_it_in_slow_start(void **state)
{
	struct xm_cc cc = windowed(true);

	(void)state;
	assert_in_range(send_all(&cc, at(2 * XM_MS), MSS), 39 * MSS, 41 * MSS);
}

static void xm_cc_may_send__half_a_window_after_a_sleep(void **state)
{
	struct xm_cc cc = windowed(false);

	(void)state;
	assert_in_range(send_all(&cc, at(9 * XM_MS), MSS), 50 * MSS, 51 * MSS);
}

static void xm_cc_may_send__unpaced_before_the_first_sample(void **state)
{
	struct xm_cc cc = capped(0);

	(void)state;
	(void)send_all(&cc, at(0), MSS);
	assert_true(send_all(&cc, at(1), MSS) > 0);
	assert_true(xm_time_is_never(xm_cc_expiry(&cc, at(1))));
}

/* An ACK answers each half, so that one may be lost. */
static void xm_cc_may_send__channels_first_windows_in_two_halves(void **state)
{
	const struct xm_cc_opts opts = {
		.mss = MSS,
		.cwnd_max = 1ULL << 40,
		.n_channels = 16,
	};
	struct xm_cc cc;

	(void)state;
	xm_cc_init(&cc, &opts);
	assert_int_equal(send_all(&cc, at(0), MSS), 2 * MSS);
	assert_in_range(xm_cc_expiry(&cc, at(0)).ns, at(100 * XM_US).ns,
			at(XM_MS).ns);
	assert_int_equal(send_all(&cc, at(XM_MS), MSS), 2 * MSS);
}

/* A quarter of a frame in 10 ms. */
static void xm_cc_may_send__less_than_a_frame_a_round_trip(void **state)
{
	struct xm_cc cc = windowed(false);

	(void)state;
	cc.cwnd = MSS / 4;
	cc.tokens = 0;
	assert_in_range(sent_in_a_second(&cc, XM_MS), 24 * MSS, 27 * MSS);
}

/* -- the hard cap ---------------------------------------------------------- */

static void xm_cc_may_send__cap_is_kept_over_a_second(void **state)
{
	struct xm_cc cc = capped(100000000);

	(void)state;
	assert_in_range(sent_in_a_second(&cc, 50 * XM_US), 99000000, 100400000);
}

static void xm_cc_may_send__cap_is_kept_by_a_sender_that_sleeps(void **state)
{
	struct xm_cc cc = capped(100000000);

	(void)state;
	assert_in_range(sent_in_a_second(&cc, 2 * XM_MS), 99000000, 100400000);
}

static void xm_cc_may_send__cap_is_kept_by_a_sender_that_spins(void **state)
{
	struct xm_cc cc = capped(12500000); /* 100 Mbit/s: 12.5 bytes a us */

	(void)state;
	assert_in_range(sent_in_a_second(&cc, 150), 12300000, 12600000);
}

static void xm_cc_may_send__cap_is_kept_on_a_fast_link(void **state)
{
	struct xm_cc cc = capped(12500000000ULL);

	(void)state;
	cc.cwnd = 1ULL << 30;
	assert_in_range(sent_in_a_second(&cc, 20 * XM_US), 12400000000ULL,
			12600000000ULL);
}

/* Bytes that leave in @seconds when the sender sleeps as it is told. */
static uint64_t sent_by_a_sleeper(struct xm_cc *cc, int64_t seconds)
{
	struct xm_time t = at(0);
	uint64_t sent = 0;

	(void)send_all(cc, t, MSS);
	for (;;) {
		t = xm_cc_expiry(cc, t);
		if (!xm_time_before(t, at(seconds * XM_SEC)))
			return sent;
		sent += send_all(cc, t, MSS);
	}
}

static void xm_cc_may_send__cap_is_used_up_by_a_sleeper(void **state)
{
	struct xm_cc cc = capped(100000000);

	(void)state;
	assert_in_range(sent_by_a_sleeper(&cc, 1), 99000000, 100000000);
}

static void xm_cc_may_send__a_small_cap_is_used_up_by_a_sleeper(void **state)
{
	struct xm_cc cc = capped(200000);

	(void)state;
	assert_in_range(sent_by_a_sleeper(&cc, 10), 1980000, 2000000);
}

static void xm_cc_may_send__cap_below_a_kilobyte_starves_nobody(void **state)
{
	struct xm_cc cc = capped(900);

	(void)state;
	assert_in_range(sent_by_a_sleeper(&cc, 100), 80000, 90000);
}

static void xm_cc_may_send__tiny_intervals_starve_nobody(void **state)
{
	struct xm_cc cc = capped(1000000); /* a byte in a microsecond */

	(void)state;
	assert_in_range(sent_in_a_second(&cc, 90), 980000, 1020000);
}

static void xm_cc_may_send__cap_takes_the_burst_away(void **state)
{
	struct xm_cc cc = capped(10000000); /* 4 ms of it: 40000 bytes */

	(void)state;
	assert_int_equal(send_all(&cc, at(0), MSS), 5 * MSS);
}

/* A thread that always wakes up @late_ns after the moment it asked for. */
static uint64_t sent_by_a_late_one(struct xm_cc *cc, int64_t late_ns)
{
	struct xm_time t = at(0);
	uint64_t sent = 0;

	(void)send_all(cc, t, MSS);
	for (;;) {
		t = xm_time_add(xm_cc_expiry(cc, t), late_ns);
		if (!xm_time_before(t, at(XM_SEC)))
			return sent;
		sent += send_all(cc, t, MSS);
	}
}

static void xm_cc_may_send__cap_is_used_up_by_one_that_is_late(void **state)
{
	struct xm_cc cc = capped(25000000);

	(void)state;
	assert_in_range(sent_by_a_late_one(&cc, 7 * XM_MS), 24600000, 25100000);
}

static void xm_cc_may_send__not_beyond_ten_milliseconds_of_it(void **state)
{
	struct xm_cc cc = capped(25000000);
	uint64_t sent;

	(void)state;
	(void)send_all(&cc, at(0), MSS);
	sent = send_all(&cc, at(50 * XM_MS), MSS);
	assert_in_range(sent, 250000, 250000 + MSS);
}

static void xm_cc_may_send__a_quiet_one_saves_a_burst_only(void **state)
{
	struct xm_cc cc = capped(25000000); /* 4 ms of it: 100000 bytes */

	(void)state;
	(void)send_all(&cc, at(0), MSS);
	assert_true(xm_cc_may_send(&cc, at(50 * XM_MS), 0, MSS));
	xm_cc_on_sent(&cc, MSS); /* and has no more */
	assert_in_range(send_all(&cc, at(100 * XM_MS), MSS), 100000,
			100000 + MSS);
}

static void xm_cc_may_send__a_frame_above_the_burst_pays_later(void **state)
{
	struct xm_cc cc = capped(1000000);

	(void)state;
	assert_int_equal(send_all(&cc, at(0), 30000), 30000);
	assert_int_equal(send_all(&cc, at(11 * XM_MS), 30000), 0);
	assert_int_equal(send_all(&cc, at(13 * XM_MS), 30000), 30000);
}

static void xm_cc_may_send__cap_above_the_window_changes_nothing(void **state)
{
	struct xm_cc cc = windowed(false);

	(void)state;
	cc.opts.rate = 1000000000;
	assert_in_range(send_all(&cc, at(4 * XM_MS), MSS), 49 * MSS, 51 * MSS);
}

/* -- another cap -------------------------------------------------------------- */

static void xm_cc_set_rate__a_lower_one_holds_at_once(void **state)
{
	struct xm_cc cc = windowed(false);

	(void)state;
	cc.tokens = 50 * MSS;
	cc.filled = at(0);
	xm_cc_set_rate(&cc, 10000000); /* 4 ms of it: 40000 bytes */
	assert_int_equal(send_all(&cc, at(1), MSS), 5 * MSS);
	assert_in_range(sent_in_a_second(&cc, XM_MS), 9900000, 10100000);
}

/* 14 ms of it, twice. */
static void xm_cc_set_rate__the_window_is_what_it_fills(void **state)
{
	struct xm_cc cc = windowed(false);

	(void)state;
	cc.cwnd = cc.ssthresh = 1000 * MSS;
	cc.extra = 500 * MSS;
	cc.round_end = cc.delivered + cc.cwnd;
	xm_cc_set_rate(&cc, 10000000);
	assert_in_range(cc.cwnd, 279000, 280000);
	assert_int_equal(cc.round_end, cc.delivered + cc.cwnd);
	assert_in_range(cc.extra, 130000, 140000);
}

/* Of 9 MB, thirteen cuts would take nothing from what is sent. */
static void xm_cc_set_rate__the_third_cut_slows_down(void **state)
{
	struct xm_cc cc = windowed(false);
	unsigned int i;

	(void)state;
	cc.cwnd = cc.ssthresh = 1000 * MSS;
	xm_cc_set_rate(&cc, 10000000);
	for (i = 0; i < 3; i++) {
		xm_cc_on_loss(&cc, 100);
		xm_cc_on_ack(&cc, 10000, 2 * cc.cwnd, 20, 0);
	}
	assert_true(100 * cc.cwnd < 10000000); /* round trips are 10 ms */
}

static void xm_cc_set_rate__a_cap_that_is_lifted_is_slow_start(void **state)
{
	struct xm_cc cc = windowed(false);

	(void)state;
	cc.cwnd = 1000 * MSS; /* it has grown since the last cut */
	cc.ssthresh = 700 * MSS;
	xm_cc_set_rate(&cc, 10000000);
	xm_cc_set_rate(&cc, 0);
	assert_true(xm_cc_in_slow_start(&cc));
	assert_int_equal(cc.ssthresh, 1000 * MSS);
}

static void xm_cc_set_rate__one_above_the_window_takes_nothing(void **state)
{
	struct xm_cc cc = windowed(false);

	(void)state;
	xm_cc_set_rate(&cc, 1000000000);
	assert_int_equal(cc.cwnd, 100 * MSS);
	cc = capped(0); /* nor does any before the first sample */
	xm_cc_set_rate(&cc, 1000);
	assert_int_equal(cc.cwnd, 32 * MSS);
}

static void xm_cc_set_rate__leaves_what_loss_detection_needs(void **state)
{
	struct xm_cc cc = windowed(false);

	(void)state;
	xm_cc_set_rate(&cc, 1);
	assert_int_equal(cc.cwnd, 8 * MSS);
}

/* -- when to ask again ----------------------------------------------------- */

static void xm_cc_expiry__never_while_there_are_tokens(void **state)
{
	struct xm_cc cc = capped(1000000);

	(void)state;
	assert_true(xm_cc_may_send(&cc, at(0), 0, MSS));
	assert_true(xm_time_is_never(xm_cc_expiry(&cc, at(0))));
}

static void xm_cc_expiry__then_a_frame_may_leave(void **state)
{
	struct xm_cc cc = capped(1000000);
	struct xm_time t;

	(void)state;
	(void)send_all(&cc, at(0), MSS);
	t = xm_cc_expiry(&cc, at(0));
	assert_true(xm_time_before(at(0), t));
	assert_true(xm_cc_may_send(&cc, t, 0, MSS));
}

static void xm_cc_expiry__wakes_for_a_batch_but_not_late(void **state)
{
	struct xm_cc cc = capped(100000000); /* a burst is 32 frames */

	(void)state;
	(void)send_all(&cc, at(0), MSS);
	assert_in_range(xm_cc_expiry(&cc, at(0)).ns, at(8 * 90 * XM_US).ns,
			at(9 * 90 * XM_US).ns);
}

static void xm_cc_expiry__not_beyond_a_tenth_of_a_second(void **state)
{
	struct xm_cc cc = capped(1000);

	(void)state;
	(void)send_all(&cc, at(0), MSS);
	assert_in_range(xm_cc_expiry(&cc, at(0)).ns, at(1).ns,
			at(101 * XM_MS).ns);
}

#define T(name) cmocka_unit_test(name)

/* -- how many ---------------------------------------------------------------- */

/* As many as would leave one by one, whatever limits it. */
static void xm_cc_count__as_one_by_one(void **state)
{
	struct xm_cc cc = capped(0), one;
	int64_t tokens;
	uint64_t out;
	uint32_t n;

	(void)state;
	(void)xm_cc_may_send(&cc, at(0), 0, MSS);
	for (tokens = 1; tokens < 6 * MSS; tokens += MSS / 6)
		for (out = 26 * MSS; out <= 31 * MSS; out += MSS / 2) {
			cc.tokens = tokens;
			one = cc;
			for (n = 0; n < 4; n++) {
				if (!xm_cc_may_send(&one, at(0), out + n * MSS,
						    MSS))
					break;
				xm_cc_on_sent(&one, MSS);
			}
			assert_int_equal(xm_cc_count(&cc, out, MSS, 4), n);
		}
	cc.tokens = 2 * MSS; /* and not one more, on credit */
	assert_int_equal(xm_cc_count(&cc, 0, MSS, 4), 2);
	cc.tokens++;
	assert_int_equal(xm_cc_count(&cc, 0, MSS, 4), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_cc_may_send__up_to_the_window),
		T(xm_cc_may_send__one_frame_whatever_its_size),
		T(xm_cc_may_send__consumes_nothing),
		T(xm_cc_may_send__at_the_beginning_of_time),
		T(xm_cc_may_send__a_window_a_round_trip_and_a_quarter),
		T(xm_cc_may_send__twice_of_it_in_slow_start),
		T(xm_cc_may_send__half_a_window_after_a_sleep),
		T(xm_cc_may_send__unpaced_before_the_first_sample),
		T(xm_cc_may_send__channels_first_windows_in_two_halves),
		T(xm_cc_may_send__less_than_a_frame_a_round_trip),
		T(xm_cc_may_send__cap_is_kept_over_a_second),
		T(xm_cc_may_send__cap_is_kept_by_a_sender_that_sleeps),
		T(xm_cc_may_send__cap_is_kept_by_a_sender_that_spins),
		T(xm_cc_may_send__cap_is_kept_on_a_fast_link),
		T(xm_cc_may_send__cap_is_used_up_by_a_sleeper),
		T(xm_cc_may_send__a_small_cap_is_used_up_by_a_sleeper),
		T(xm_cc_may_send__cap_below_a_kilobyte_starves_nobody),
		T(xm_cc_may_send__tiny_intervals_starve_nobody),
		T(xm_cc_may_send__cap_takes_the_burst_away),
		T(xm_cc_may_send__cap_is_used_up_by_one_that_is_late),
		T(xm_cc_may_send__not_beyond_ten_milliseconds_of_it),
		T(xm_cc_may_send__a_quiet_one_saves_a_burst_only),
		T(xm_cc_may_send__a_frame_above_the_burst_pays_later),
		T(xm_cc_may_send__cap_above_the_window_changes_nothing),
		T(xm_cc_set_rate__a_lower_one_holds_at_once),
		T(xm_cc_set_rate__the_window_is_what_it_fills),
		T(xm_cc_set_rate__the_third_cut_slows_down),
		T(xm_cc_set_rate__a_cap_that_is_lifted_is_slow_start),
		T(xm_cc_set_rate__one_above_the_window_takes_nothing),
		T(xm_cc_set_rate__leaves_what_loss_detection_needs),
		T(xm_cc_expiry__never_while_there_are_tokens),
		T(xm_cc_expiry__then_a_frame_may_leave),
		T(xm_cc_expiry__wakes_for_a_batch_but_not_late),
		T(xm_cc_expiry__not_beyond_a_tenth_of_a_second),
		T(xm_cc_count__as_one_by_one),
	};

	return cmocka_run_group_tests_name("cc_pace", tests, NULL, NULL);
}
