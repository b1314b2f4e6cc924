// SPDX-License-Identifier: GPL-2.0-or-later
/* test_cc.c - the window against marks and delay, what it takes besides, and the
 * retransmission timer; losses are test_cc_loss.c's, the pacer is test_cc_pace.c's
 */
#include "../lib/t_cc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "xdpmig/limits.h"

/* -- beginning ------------------------------------------------------------- */

static void xm_cc_init__begins_with_one_acks_worth(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	assert_int_equal(cc.cwnd, XM_ACK_EVERY * MSS);
}

static void xm_cc_init__channels_begin_with_it_together(void **state)
{
	struct xm_cc cc = cc_of(4, 1 << 30);

	(void)state;
	assert_int_equal(cc.cwnd, XM_ACK_EVERY / 4 * MSS);
	cc = cc_of(64, 1 << 30);
	assert_int_equal(cc.cwnd, 4 * MSS);
}

static void xm_cc_init__not_above_what_may_be_in_flight(void **state)
{
	struct xm_cc cc = cc_of(1, 10 * MSS);

	(void)state;
	assert_int_equal(cc.cwnd, 10 * MSS);
}

static void xm_cc_init__not_below_what_loss_detection_needs(void **state)
{
	struct xm_cc cc = cc_of(1, 1);

	(void)state;
	assert_int_equal(cc.cwnd, 4 * MSS);
	round_of(&cc, 0);
	assert_int_equal(cc.cwnd, 4 * MSS);
}

/* -- round trips ----------------------------------------------------------- */

static void xm_cc_on_rtt__first_sample(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	xm_cc_on_rtt(&cc, 800);
	assert_int_equal(cc.srtt_ns, 800);
	assert_int_equal(cc.rttvar_ns, 400);
	assert_int_equal(cc.min_rtt_ns, 800);
}

static void xm_cc_on_rtt__later_samples_are_smoothed(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	xm_cc_on_rtt(&cc, 800);
	xm_cc_on_rtt(&cc, 1600);
	assert_int_equal(cc.srtt_ns, 900);
	assert_int_equal(cc.rttvar_ns, 500);
	xm_cc_on_rtt(&cc, 100);
	assert_int_equal(cc.srtt_ns, 800);
	assert_int_equal(cc.rttvar_ns, 575);
}

static void xm_cc_on_rtt__keeps_the_least(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	xm_cc_on_rtt(&cc, 800);
	xm_cc_on_rtt(&cc, 500);
	xm_cc_on_rtt(&cc, 900);
	assert_int_equal(cc.min_rtt_ns, 500);
}

static void xm_cc_on_rtt__ignores_what_cannot_be(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	xm_cc_on_rtt(&cc, 800);
	xm_cc_on_rtt(&cc, 0);
	xm_cc_on_rtt(&cc, -5);
	assert_int_equal(cc.srtt_ns, 800);
	assert_int_equal(cc.min_rtt_ns, 800);
}

/* -- growing --------------------------------------------------------------- */

static void xm_cc_on_ack__slow_start_doubles_in_a_round(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	ack(&cc, 32, 0);
	assert_int_equal(cc.cwnd, 64 * MSS);
	ack(&cc, 64, 0);
	assert_int_equal(cc.cwnd, 128 * MSS);
}

static void xm_cc_on_ack__not_above_what_may_be_in_flight(void **state)
{
	struct xm_cc cc = cc_of(1, 50 * MSS);

	(void)state;
	ack(&cc, 32, 0);
	assert_int_equal(cc.cwnd, 50 * MSS);
}

/* RFC 9438's 9/17 of a frame, what goes with a cut to 0.7. */
static void xm_cc_on_ack__then_9_17_of_a_frame_a_round(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	ack(&cc, 19, 0);
	assert_in_range(cc.cwnd, 20 * MSS + 450, 20 * MSS + 529);
	ack(&cc, 1, 0);
	assert_in_range(cc.cwnd, 20 * MSS + 500, 20 * MSS + 530);
}

static void xm_cc_on_ack__which_the_channels_share(void **state)
{
	struct xm_cc cc = avoiding(4);

	(void)state;
	ack(&cc, 20, 0);
	assert_in_range(cc.cwnd, 20 * MSS + 120, 20 * MSS + 133);
}

static void xm_cc_on_ack__not_while_half_the_window_is_unused(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	xm_cc_on_ack(&cc, 15 * MSS, 15 * MSS, 15, 0);
	assert_int_equal(cc.cwnd, 32 * MSS);
	xm_cc_on_ack(&cc, 16 * MSS, 16 * MSS, 16, 0);
	assert_int_equal(cc.cwnd, 48 * MSS);
}

/* -- what nobody uses ------------------------------------------------------ */

/* A round in which the least round trip was @rtt_ns. */
static void round_at(struct xm_cc *cc, int64_t rtt_ns)
{
	xm_cc_on_rtt(cc, rtt_ns);
	round_of(cc, 0);
}

/* The first rounds without a queue have just been. */
static struct xm_cc free_path(unsigned int n)
{
	struct xm_cc cc = avoiding(1);

	cc.cwnd = cc.ssthresh = 640 * MSS;
	while (n--)
		round_at(&cc, XM_MS);
	return cc;
}

static void xm_cc_extra__is_taken_ever_faster(void **state)
{
	struct xm_cc cc = free_path(1);
	uint64_t first, second;

	(void)state;
	first = cc.extra;
	round_at(&cc, XM_MS);
	second = cc.extra - first;
	assert_true(second > first);
	assert_true(second <= 4 * MSS);
}

static void
xm_cc_extra__is_taken_fast_after_64_rounds_without_a_cut(void **state)
{
	struct xm_cc cc = avoiding(1);
	uint64_t before;

	(void)state;
	cc.n_calm = 63;
	cc.n_free = 1;
	round_at(&cc, XM_MS);
	before = cc.cwnd;
	round_at(&cc, XM_MS);
	assert_in_range(cc.cwnd, before + before / 5, before * 3 / 2);
}

static void xm_cc_extra__is_not_taken_with_a_queue(void **state)
{
	struct xm_cc cc = free_path(1);
	uint64_t extra = cc.extra;

	(void)state;
	round_at(&cc, XM_MS + 100 * XM_US);
	assert_in_range(cc.extra, 0, extra);
}

static void xm_cc_extra__is_given_back_to_a_queue(void **state)
{
	struct xm_cc cc = free_path(6);
	uint64_t cwnd = cc.cwnd, extra = cc.extra;

	(void)state;
	assert_true(extra > 20 * MSS);
	round_at(&cc, XM_MS + 500 * XM_US);
	assert_int_equal(cc.extra, 0);
	assert_in_range(cc.cwnd, cwnd - extra, cwnd - extra + 2 * MSS);
}

/* What is not extra is TCP's, and stays. */
static void xm_cc_extra__is_all_that_a_queue_gets(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	xm_cc_on_rtt(&cc, XM_MS);
	round_at(&cc, XM_MS);
	cc.extra = 0;
	cc.cwnd = 20 * MSS;
	round_at(&cc, 3 * XM_MS);
	assert_in_range(cc.cwnd, 20 * MSS, 21 * MSS);
}

/* Many cuts have left little that is TCP's. */
static void xm_cc_extra__is_not_given_back_below_the_least(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	round_at(&cc, XM_MS);
	cc.cwnd = cc.ssthresh = 20 * MSS;
	cc.extra = 19 * MSS;
	xm_cc_on_rtt(&cc, 20 * XM_MS);
	xm_cc_on_ack(&cc, 0, 21 * MSS, 21, 0);
	assert_int_equal(cc.cwnd, 4 * MSS);
}

/* -- marks ----------------------------------------------------------------- */

static void xm_cc_on_ack__first_marks_halve_and_end_slow_start(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	ack(&cc, 32, 1);
	assert_int_equal(cc.cwnd, 16 * MSS);
	assert_int_equal(cc.ssthresh, 16 * MSS);
}

static void xm_cc_on_ack__marks_cut_at_the_end_of_the_round(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	ack(&cc, 10, 10);
	assert_int_equal(cc.cwnd, 20 * MSS);
	ack(&cc, 10, 0);
	assert_true(cc.cwnd < 20 * MSS);
}

static void xm_cc_on_ack__marks_cut_by_half_of_alpha(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	ack(&cc, 20, 20);
	assert_int_equal(cc.alpha, 1024 / 16);
	assert_int_equal(cc.cwnd, 20 * MSS - 20 * MSS * 64 / 1024 / 2);
}

static void xm_cc_on_ack__more_marks_than_frames_are_all_of_them(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	ack(&cc, 20, 5000000);
	assert_int_equal(cc.alpha, 1024 / 16);
}

static void xm_cc_on_ack__alpha_follows_the_marked_fraction(void **state)
{
	struct xm_cc cc = avoiding(1);
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++)
		round_of(&cc, (uint32_t)((cc.cwnd + MSS - 1) / MSS) / 2);
	assert_in_range(cc.alpha, 450, 530);
}

static void xm_cc_on_ack__alpha_decays_without_marks(void **state)
{
	struct xm_cc cc = avoiding(1);
	unsigned int i;

	(void)state;
	ack(&cc, 20, 20);
	for (i = 0; i < 40; i++)
		round_of(&cc, 0);
	assert_in_range(cc.alpha, 0, 20);
}

static void xm_cc_on_ack__all_marked_halves_in_the_end(void **state)
{
	struct xm_cc cc = avoiding(1);
	unsigned int i;

	(void)state;
	for (i = 0; i < 120; i++)
		round_of(&cc, (uint32_t)((cc.cwnd + MSS - 1) / MSS));
	cc.cwnd = cc.ssthresh = 1000 * MSS;
	round_of(&cc, 1000);
	assert_in_range(cc.cwnd, 500 * MSS, 520 * MSS);
}

static void xm_cc_on_ack__marks_leave_the_least_window(void **state)
{
	struct xm_cc cc = fresh();
	unsigned int i;

	(void)state;
	for (i = 0; i < 200; i++)
		round_of(&cc, (uint32_t)((cc.cwnd + MSS - 1) / MSS));
	assert_int_equal(cc.cwnd, 4 * MSS);
}

static void xm_cc_on_ack__marks_leave_channels_one_least_window(void **state)
{
	struct xm_cc cc = cc_of(16, 1 << 30);
	unsigned int i;

	(void)state;
	for (i = 0; i < 400; i++)
		round_of(&cc, (uint32_t)((cc.cwnd + MSS - 1) / MSS));
	assert_int_equal(cc.cwnd, MSS / 4);
	assert_true(xm_cc_has_room(&cc, 3 * MSS, MSS));
	assert_false(xm_cc_has_room(&cc, 4 * MSS, MSS));
}

static void xm_cc_on_ack__a_marked_ack_does_not_grow_the_window(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	cc.ssthresh = 1000 * MSS; /* slow start */
	ack(&cc, 5, 1);
	assert_int_equal(cc.cwnd, 20 * MSS);
}

/* -- delay ----------------------------------------------------------------- */

static void xm_cc_on_ack__delay_cuts_an_eighth_a_round(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	swell(&cc, 30 * XM_MS);
	ack(&cc, 20, 0);
	assert_in_range(cc.cwnd, 17500, 18300);
	ack(&cc, 5, 0);
	assert_in_range(cc.cwnd, 17500, 18300);
}

static void xm_cc_on_ack__delay_below_the_target_is_fine(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	swell(&cc, 20 * XM_MS);
	ack(&cc, 20, 0);
	assert_in_range(cc.cwnd, 20 * MSS, 21 * MSS);
}

static void xm_cc_on_ack__a_long_path_is_no_delay(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	xm_cc_on_rtt(&cc, 80 * XM_MS);
	ack(&cc, 20, 0);
	assert_in_range(cc.cwnd, 20 * MSS, 21 * MSS);
}

/* A thread did not run for a while: of a round's frames some came late, or the first
 * sample of all did, and the mean remembers it for long. */
static void xm_cc_on_ack__a_late_thread_is_no_delay(void **state)
{
	struct xm_cc cc = fresh();
	unsigned int i;

	(void)state;
	xm_cc_on_rtt(&cc, 60 * XM_MS);
	round_of(&cc, 0);
	for (i = 0; i < 4; i++)
		round_at(&cc, 2 * XM_MS);
	assert_true(cc.srtt_ns > cc.min_rtt_ns + cc.opts.delay_target_ns);
	assert_int_equal(cc.cwnd, 32 * MSS << 5);
	xm_cc_on_rtt(&cc, 400 * XM_MS);
	round_at(&cc, 2 * XM_MS);
	assert_int_equal(cc.cwnd, 32 * MSS << 6);
}

static void xm_cc_on_ack__delay_target_is_an_option(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	cc.opts.delay_target_ns = 10 * XM_MS;
	swell(&cc, 20 * XM_MS);
	ack(&cc, 20, 0);
	assert_in_range(cc.cwnd, 17500, 18300);
}

/* Which it would never know with a window that stays at its least. */
static void grows_on_a_path_that_is_longer_now(unsigned int n_channels)
{
	struct xm_cc cc = avoiding(n_channels);
	uint64_t least = UINT64_MAX;
	unsigned int i;

	swell(&cc, 0);
	for (i = 0; i < 500; i++) {
		xm_cc_on_rtt(&cc, 41 * XM_MS);
		round_of(&cc, 0);
		least = cc.cwnd < least ? cc.cwnd : least;
	}
	assert_in_range(least, cc.least, 3 * cc.least);
	assert_true(cc.cwnd > 20 * MSS);
}

static void xm_cc_on_ack__a_path_may_become_longer(void **state)
{
	(void)state;
	grows_on_a_path_that_is_longer_now(1);
	grows_on_a_path_that_is_longer_now(16);
}

/* -- retransmission timer -------------------------------------------------- */

static void xm_cc_rto_ns__before_a_sample(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	assert_int_equal(xm_cc_rto_ns(&cc), XM_RTO_INIT_US * XM_US);
}

static void xm_cc_rto_ns__is_rfc_6298s_and_the_ack_delay(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	xm_cc_on_rtt(&cc, 10 * XM_MS);
	assert_int_equal(xm_cc_rto_ns(&cc),
			 30 * XM_MS + XM_ACK_DELAY_US * XM_US);
}

/* So many samples that what came before is forgotten. */
static void rtts(struct xm_cc *cc, int64_t rtt_ns)
{
	unsigned int i;

	for (i = 0; i < 200; i++)
		xm_cc_on_rtt(cc, rtt_ns);
}

static void xm_cc_rto_ns__at_least_two_round_trips(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	rtts(&cc, 10 * XM_MS);
	assert_in_range(xm_cc_rto_ns(&cc), 20 * XM_MS + XM_ACK_DELAY_US * XM_US,
			20 * XM_MS + XM_ACK_DELAY_US * XM_US + 100);
}

/* The newest frames arrive when the receiver looks: their round trips are short
 * and alike, however late it is for the others. */
static void xm_cc_rto_ns__covers_the_lag_of_a_late_receiver(void **state)
{
	struct xm_cc cc = fresh();
	unsigned int i;

	(void)state;
	rtts(&cc, XM_MS);
	for (i = 0; i < 200; i++)
		xm_cc_on_lag(&cc, i % 2 ? 2 * XM_MS : 6 * XM_MS);
	assert_in_range(xm_cc_rto_ns(&cc), 9 * XM_MS, 14 * XM_MS);
}

static void xm_cc_rto_ns__forgets_a_lag_that_is_over(void **state)
{
	struct xm_cc cc = fresh();
	unsigned int i;

	(void)state;
	rtts(&cc, XM_MS);
	xm_cc_on_lag(&cc, 50 * XM_MS);
	assert_true(xm_cc_rto_ns(&cc) > 50 * XM_MS);
	for (i = 0; i < 100; i++)
		xm_cc_on_lag(&cc, XM_MS);
	assert_in_range(xm_cc_rto_ns(&cc), 2 * XM_MS, 3 * XM_MS);
}

static void xm_cc_rto_ns__has_a_floor_and_a_ceiling(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	xm_cc_on_rtt(&cc, XM_US);
	assert_int_equal(xm_cc_rto_ns(&cc), XM_RTO_MIN_US * XM_US);
	cc = fresh();
	xm_cc_on_rtt(&cc, 10 * XM_SEC);
	assert_int_equal(xm_cc_rto_ns(&cc), XM_RTO_MAX_US * XM_US);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_cc_init__begins_with_one_acks_worth),
		T(xm_cc_init__channels_begin_with_it_together),
		T(xm_cc_init__not_above_what_may_be_in_flight),
		T(xm_cc_init__not_below_what_loss_detection_needs),
		T(xm_cc_on_rtt__first_sample),
		T(xm_cc_on_rtt__later_samples_are_smoothed),
		T(xm_cc_on_rtt__keeps_the_least),
		T(xm_cc_on_rtt__ignores_what_cannot_be),
		T(xm_cc_on_ack__slow_start_doubles_in_a_round),
		T(xm_cc_on_ack__not_above_what_may_be_in_flight),
		T(xm_cc_on_ack__then_9_17_of_a_frame_a_round),
		T(xm_cc_on_ack__which_the_channels_share),
		T(xm_cc_on_ack__not_while_half_the_window_is_unused),
		T(xm_cc_extra__is_taken_ever_faster),
		T(xm_cc_extra__is_taken_fast_after_64_rounds_without_a_cut),
		T(xm_cc_extra__is_not_taken_with_a_queue),
		T(xm_cc_extra__is_given_back_to_a_queue),
		T(xm_cc_extra__is_all_that_a_queue_gets),
		T(xm_cc_extra__is_not_given_back_below_the_least),
		T(xm_cc_on_ack__first_marks_halve_and_end_slow_start),
		T(xm_cc_on_ack__marks_cut_at_the_end_of_the_round),
		T(xm_cc_on_ack__marks_cut_by_half_of_alpha),
		T(xm_cc_on_ack__more_marks_than_frames_are_all_of_them),
		T(xm_cc_on_ack__alpha_follows_the_marked_fraction),
		T(xm_cc_on_ack__alpha_decays_without_marks),
		T(xm_cc_on_ack__all_marked_halves_in_the_end),
		T(xm_cc_on_ack__marks_leave_the_least_window),
		T(xm_cc_on_ack__marks_leave_channels_one_least_window),
		T(xm_cc_on_ack__a_marked_ack_does_not_grow_the_window),
		T(xm_cc_on_ack__delay_cuts_an_eighth_a_round),
		T(xm_cc_on_ack__delay_below_the_target_is_fine),
		T(xm_cc_on_ack__a_long_path_is_no_delay),
		T(xm_cc_on_ack__a_late_thread_is_no_delay),
		T(xm_cc_on_ack__delay_target_is_an_option),
		T(xm_cc_on_ack__a_path_may_become_longer),
		T(xm_cc_rto_ns__before_a_sample),
		T(xm_cc_rto_ns__is_rfc_6298s_and_the_ack_delay),
		T(xm_cc_rto_ns__at_least_two_round_trips),
		T(xm_cc_rto_ns__covers_the_lag_of_a_late_receiver),
		T(xm_cc_rto_ns__forgets_a_lag_that_is_over),
		T(xm_cc_rto_ns__has_a_floor_and_a_ceiling),
	};

	return cmocka_run_group_tests_name("cc", tests, NULL, NULL);
}
