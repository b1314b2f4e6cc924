// SPDX-License-Identifier: GPL-2.0-or-later
/* test_cc_loss.c - the window against losses, its own and other channels' */
#include "../lib/t_cc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* -- losses ---------------------------------------------------------------- */

/* At a thousand frames, in a round that has just begun. */
static struct xm_cc wide(void)
{
	struct xm_cc cc = avoiding(1);

	cc.cwnd = cc.ssthresh = 1000 * MSS;
	ack(&cc, 1000, 0);
	cc.cwnd = cc.ssthresh = 1000 * MSS;
	return cc;
}

/* The same, behind a queue: round trips are @by_ns longer, and all alike. */
static struct xm_cc queued(int64_t by_ns)
{
	struct xm_cc cc = wide();

	swell(&cc, by_ns);
	ack(&cc, 1000, 0);
	xm_cc_on_rtt(&cc, XM_MS + by_ns);
	ack(&cc, 1000, 0);
	xm_cc_on_rtt(&cc, XM_MS + by_ns);
	cc.cwnd = cc.ssthresh = 1000 * MSS;
	cc.extra = 0;
	return cc;
}

static void xm_cc_on_loss__a_random_one_is_free(void **state)
{
	struct xm_cc cc = wide();
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		xm_cc_on_loss(&cc, 1);
		ack(&cc, 99, 0);
	}
	assert_true(cc.cwnd >= 1000 * MSS);
	assert_int_equal(cc.n_cuts, 0);
}

static void xm_cc_on_loss__a_random_one_does_not_end_slow_start(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	xm_cc_on_loss(&cc, 1);
	ack(&cc, 31, 0);
	assert_int_equal(cc.cwnd, 63 * MSS);
}

static void xm_cc_on_loss__above_two_percent_they_are_congestion(void **state)
{
	struct xm_cc cc = wide();

	(void)state;
	xm_cc_on_loss(&cc, 20); /* so many at once may happen */
	assert_int_equal(cc.cwnd, 1000 * MSS);
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(cc.cwnd, 700 * MSS);
	assert_int_equal(cc.ssthresh, 700 * MSS);
	assert_int_equal(cc.n_cuts, 1);
}

static void xm_cc_on_loss__above_two_percent_in_the_long_run(void **state)
{
	struct xm_cc cc = wide();
	unsigned int i;

	(void)state;
	for (i = 0; i < 100 && !cc.n_cuts; i++) {
		xm_cc_on_loss(&cc, 4);
		ack(&cc, 96, 0);
	}
	assert_in_range(i, 5, 20);
}

static void xm_cc_on_loss__an_eighth_of_a_round_is(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	xm_cc_on_loss(&cc, 3);
	assert_int_equal(cc.cwnd, 20 * MSS);
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(cc.cwnd, 14 * MSS);
}

static void xm_cc_on_loss__in_slow_start_the_half_is_left(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	xm_cc_on_loss(&cc, 10);
	assert_int_equal(cc.cwnd, 16 * MSS);
	assert_int_equal(cc.ssthresh, 16 * MSS);
}

static void xm_cc_on_loss__once_for_a_window(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	ack(&cc, 15, 0); /* late in a round */
	cc.cwnd = 20 * MSS;
	xm_cc_on_loss(&cc, 5);
	assert_int_equal(cc.cwnd, 14 * MSS);
	ack(&cc, 10, 0);
	xm_cc_on_loss(&cc, 5);
	assert_int_equal(cc.cwnd, 14 * MSS);
	ack(&cc, 10, 0);
	xm_cc_on_loss(&cc, 5);
	assert_true(cc.cwnd < 11 * MSS);
}

static void xm_cc_on_loss__with_marks_they_are_congestion(void **state)
{
	struct xm_cc cc = wide();

	(void)state;
	ack(&cc, 100, 1);
	xm_cc_on_loss(&cc, 1);
	assert_in_range(cc.cwnd, 699 * MSS, 701 * MSS);
}

static void xm_cc_on_loss__with_the_delay_over_its_target(void **state)
{
	struct xm_cc cc = wide();

	(void)state;
	swell(&cc, 30 * XM_MS);
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(cc.cwnd, 700 * MSS);
}

static void xm_cc_on_loss__with_a_queue(void **state)
{
	struct xm_cc cc = queued(XM_MS);

	(void)state;
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(cc.cwnd, 700 * MSS);
}

static void xm_cc_on_loss__leaves_what_needs_no_queue(void **state)
{
	struct xm_cc cc = queued(250 * XM_US);

	(void)state;
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(cc.cwnd, 800 * MSS);
}

static void xm_cc_on_loss__late_frames_are_no_queue(void **state)
{
	struct xm_cc cc = queued(XM_MS);

	(void)state;
	xm_cc_on_rtt(&cc, XM_MS + 50 * XM_US); /* one that was not late */
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(cc.cwnd, 1000 * MSS);
}

/* -- other channels -------------------------------------------------------- */

static void xm_cc_couple__tells_of_each_cut_once(void **state)
{
	struct xm_cc cc = wide();

	(void)state;
	assert_int_equal(xm_cc_couple(&cc, 0), 0);
	xm_cc_on_loss(&cc, 100);
	assert_int_equal(xm_cc_couple(&cc, 0), 1);
	assert_int_equal(xm_cc_couple(&cc, 1), 0);
	assert_int_equal(cc.cwnd, 700 * MSS);
}

static void xm_cc_couple__another_channels_cut_is_this_ones(void **state)
{
	struct xm_cc cc = queued(XM_MS);

	(void)state;
	assert_int_equal(xm_cc_couple(&cc, 1), 0);
	assert_int_equal(cc.cwnd, 700 * MSS);
	ack(&cc, 1000, 0); /* old news by then */
	assert_int_equal(xm_cc_couple(&cc, 1), 0);
	assert_true(cc.cwnd >= 700 * MSS);
}

static void xm_cc_couple__but_not_without_a_queue(void **state)
{
	struct xm_cc cc = wide();

	(void)state;
	(void)xm_cc_couple(&cc, 1);
	assert_int_equal(cc.cwnd, 1000 * MSS);
}

static void xm_cc_couple__nor_twice_for_a_window(void **state)
{
	struct xm_cc cc = queued(XM_MS);

	(void)state;
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(xm_cc_couple(&cc, 5), 1);
	assert_int_equal(xm_cc_couple(&cc, 6), 0);
	assert_int_equal(cc.cwnd, 700 * MSS);
}

static void xm_cc_on_timeout__closes_and_remembers_half(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	xm_cc_on_timeout(&cc);
	assert_int_equal(cc.cwnd, 4 * MSS);
	assert_int_equal(cc.ssthresh, 16 * MSS);
	ack(&cc, 4, 0); /* slow start again, up to there */
	assert_int_equal(cc.cwnd, 8 * MSS);
}

static void
xm_cc_undo_timeout__what_was_taken_besides_is_that_again(void **state)
{
	struct xm_cc cc = wide();

	(void)state;
	xm_cc_end_timeout(&cc);
	cc.extra = 300 * MSS;
	xm_cc_on_timeout(&cc);
	xm_cc_on_timeout(&cc);
	assert_int_equal(cc.extra, 0);
	xm_cc_undo_timeout(&cc);
	assert_int_equal(cc.cwnd, 1000 * MSS);
	assert_int_equal(cc.extra, 300 * MSS);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_cc_on_loss__a_random_one_is_free),
		T(xm_cc_on_loss__a_random_one_does_not_end_slow_start),
		T(xm_cc_on_loss__above_two_percent_they_are_congestion),
		T(xm_cc_on_loss__above_two_percent_in_the_long_run),
		T(xm_cc_on_loss__an_eighth_of_a_round_is),
		T(xm_cc_on_loss__in_slow_start_the_half_is_left),
		T(xm_cc_on_loss__once_for_a_window),
		T(xm_cc_on_loss__with_marks_they_are_congestion),
		T(xm_cc_on_loss__with_the_delay_over_its_target),
		T(xm_cc_on_loss__with_a_queue),
		T(xm_cc_on_loss__leaves_what_needs_no_queue),
		T(xm_cc_on_loss__late_frames_are_no_queue),
		T(xm_cc_couple__tells_of_each_cut_once),
		T(xm_cc_couple__another_channels_cut_is_this_ones),
		T(xm_cc_couple__but_not_without_a_queue),
		T(xm_cc_couple__nor_twice_for_a_window),
		T(xm_cc_on_timeout__closes_and_remembers_half),
		T(xm_cc_undo_timeout__what_was_taken_besides_is_that_again),
	};

	return cmocka_run_group_tests_name("cc_loss", tests, NULL, NULL);
}
