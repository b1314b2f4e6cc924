// SPDX-License-Identifier: GPL-2.0-or-later
/* test_cc.c - the window against marks, delay and losses; the pacer is
 * test_cc_pace.c's
 *
 * A frame is 1000 bytes in most tests, so the first window is 32000.
 */
#include "core/cc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "xdpmig/limits.h"

#define MSS 1000u

static struct xm_cc cc_of(unsigned int n_channels, uint64_t cwnd_max)
{
	const struct xm_cc_opts opts = {
		.mss = MSS,
		.cwnd_max = cwnd_max,
		.n_channels = n_channels,
	};
	struct xm_cc cc;

	xm_cc_init(&cc, &opts);
	return cc;
}

static struct xm_cc fresh(void)
{
	return cc_of(1, 1 << 30);
}

/* @frames of MSS bytes are acknowledged, @ce of them marked. */
static void ack(struct xm_cc *cc, uint32_t frames, uint32_t ce)
{
	xm_cc_on_ack(cc, (uint64_t)frames * MSS, frames, ce);
}

/* A whole window is: a round ends. */
static void round_of(struct xm_cc *cc, uint32_t ce)
{
	uint32_t frames = (uint32_t)((cc->cwnd + MSS - 1) / MSS);

	ack(cc, frames, ce);
}

/* Out of slow start, at 20 frames, in a round that has just begun. */
static struct xm_cc avoiding(unsigned int n_channels)
{
	struct xm_cc cc = cc_of(n_channels, 1 << 30);

	xm_cc_on_timeout(&cc);
	cc.cwnd = cc.ssthresh = 20 * MSS;
	ack(&cc, 20, 0);
	cc.cwnd = cc.ssthresh = 20 * MSS;
	cc.grow = 0;
	return cc;
}

/* -- beginning ------------------------------------------------------------- */

static void xm_cc_init__begins_with_one_acks_worth(void **state)
{
	struct xm_cc cc = fresh();

	(void)state;
	assert_int_equal(cc.cwnd, XM_ACK_EVERY * MSS);
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

static void xm_cc_on_ack__then_one_frame_a_round(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	ack(&cc, 19, 0);
	assert_int_equal(cc.cwnd, 20 * MSS);
	ack(&cc, 1, 0);
	assert_int_equal(cc.cwnd, 21 * MSS);
	ack(&cc, 20, 0);
	assert_int_equal(cc.cwnd, 21 * MSS);
	ack(&cc, 1, 0);
	assert_int_equal(cc.cwnd, 22 * MSS);
}

static void xm_cc_on_ack__which_the_channels_share(void **state)
{
	struct xm_cc cc = avoiding(4);

	(void)state;
	ack(&cc, 79, 0);
	assert_int_equal(cc.cwnd, 20 * MSS);
	ack(&cc, 1, 0);
	assert_int_equal(cc.cwnd, 21 * MSS);
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

static void xm_cc_on_ack__a_marked_ack_does_not_grow_the_window(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	cc.ssthresh = 1000 * MSS; /* slow start */
	ack(&cc, 5, 1);
	assert_int_equal(cc.cwnd, 20 * MSS);
}

/* -- delay ----------------------------------------------------------------- */

static void swell(struct xm_cc *cc, int64_t by_ns)
{
	unsigned int i;

	xm_cc_on_rtt(cc, XM_MS);
	for (i = 0; i < 100; i++)
		xm_cc_on_rtt(cc, XM_MS + by_ns);
}

static void xm_cc_on_ack__delay_cuts_an_eighth_a_round(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	swell(&cc, 30 * XM_MS);
	ack(&cc, 19, 0);
	assert_int_equal(cc.cwnd, 20 * MSS);
	ack(&cc, 1, 0);
	assert_int_equal(cc.cwnd, 17500);
	ack(&cc, 5, 0);
	assert_int_equal(cc.cwnd, 17500);
}

static void xm_cc_on_ack__delay_below_the_target_is_fine(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	swell(&cc, 20 * XM_MS);
	ack(&cc, 20, 0);
	assert_int_equal(cc.cwnd, 21 * MSS);
}

static void xm_cc_on_ack__a_long_path_is_no_delay(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	xm_cc_on_rtt(&cc, 80 * XM_MS);
	ack(&cc, 20, 0);
	assert_int_equal(cc.cwnd, 21 * MSS);
}

static void xm_cc_on_ack__delay_target_is_an_option(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	cc.opts.delay_target_ns = 10 * XM_MS;
	swell(&cc, 20 * XM_MS);
	ack(&cc, 19, 0);
	ack(&cc, 1, 0);
	assert_int_equal(cc.cwnd, 17500);
}

/* -- losses ---------------------------------------------------------------- */

static void xm_cc_on_loss__many_are_congestion(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	xm_cc_on_loss(&cc, 1); /* of 20: 5 % */
	assert_int_equal(cc.cwnd, 14 * MSS);
	assert_int_equal(cc.ssthresh, 14 * MSS);
}

static void xm_cc_on_loss__once_a_round(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	xm_cc_on_loss(&cc, 5);
	xm_cc_on_loss(&cc, 5);
	assert_int_equal(cc.cwnd, 14 * MSS);
	ack(&cc, 20, 0); /* the next round */
	xm_cc_on_loss(&cc, 5);
	assert_true(cc.cwnd < 11 * MSS);
}

/* At a thousand frames, in a round that has just begun, with a cut for a
 * random loss behind it. */
static struct xm_cc wide_after_a_cut(void)
{
	struct xm_cc cc = avoiding(1);

	cc.cwnd = cc.ssthresh = 1000 * MSS;
	ack(&cc, 1000, 0);
	xm_cc_on_loss(&cc, 1);
	cc.cwnd = cc.ssthresh = 1000 * MSS;
	ack(&cc, 1000, 0);
	cc.cwnd = cc.ssthresh = 1000 * MSS;
	return cc;
}

static void xm_cc_on_loss__a_random_one_cuts_once(void **state)
{
	struct xm_cc cc = avoiding(1);

	(void)state;
	cc.cwnd = cc.ssthresh = 1000 * MSS;
	ack(&cc, 1000, 0);
	cc.cwnd = 1000 * MSS;
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(cc.cwnd, 700 * MSS);
}

static void xm_cc_on_loss__random_ones_then_are_free(void **state)
{
	struct xm_cc cc = wide_after_a_cut();

	(void)state;
	xm_cc_on_loss(&cc, 20); /* of 1000: 2 % */
	assert_int_equal(cc.cwnd, 1000 * MSS);
}

static void xm_cc_on_loss__above_two_percent_they_are_not(void **state)
{
	struct xm_cc cc = wide_after_a_cut();

	(void)state;
	xm_cc_on_loss(&cc, 20);
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(cc.cwnd, 700 * MSS);
}

static void xm_cc_on_loss__with_marks_they_are_not(void **state)
{
	struct xm_cc cc = wide_after_a_cut();

	(void)state;
	ack(&cc, 100, 1);
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(cc.cwnd, 700 * MSS);
}

static void xm_cc_on_loss__with_delay_they_are_not(void **state)
{
	struct xm_cc cc = wide_after_a_cut();

	(void)state;
	swell(&cc, 30 * XM_MS);
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(cc.cwnd, 700 * MSS);
}

static void xm_cc_on_loss__a_random_one_cuts_again_in_ten_rounds(void **state)
{
	struct xm_cc cc = wide_after_a_cut();
	unsigned int i;
	uint64_t before;

	(void)state;
	for (i = 0; i < 8; i++)
		round_of(&cc, 0);
	before = cc.cwnd;
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(cc.cwnd, before);
	round_of(&cc, 0);
	before = cc.cwnd;
	xm_cc_on_loss(&cc, 1);
	assert_int_equal(cc.cwnd, before * 7 / 10);
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
		T(xm_cc_init__not_above_what_may_be_in_flight),
		T(xm_cc_init__not_below_what_loss_detection_needs),
		T(xm_cc_on_rtt__first_sample),
		T(xm_cc_on_rtt__later_samples_are_smoothed),
		T(xm_cc_on_rtt__keeps_the_least),
		T(xm_cc_on_rtt__ignores_what_cannot_be),
		T(xm_cc_on_ack__slow_start_doubles_in_a_round),
		T(xm_cc_on_ack__not_above_what_may_be_in_flight),
		T(xm_cc_on_ack__then_one_frame_a_round),
		T(xm_cc_on_ack__which_the_channels_share),
		T(xm_cc_on_ack__first_marks_halve_and_end_slow_start),
		T(xm_cc_on_ack__marks_cut_at_the_end_of_the_round),
		T(xm_cc_on_ack__marks_cut_by_half_of_alpha),
		T(xm_cc_on_ack__more_marks_than_frames_are_all_of_them),
		T(xm_cc_on_ack__alpha_follows_the_marked_fraction),
		T(xm_cc_on_ack__alpha_decays_without_marks),
		T(xm_cc_on_ack__all_marked_halves_in_the_end),
		T(xm_cc_on_ack__marks_leave_the_least_window),
		T(xm_cc_on_ack__a_marked_ack_does_not_grow_the_window),
		T(xm_cc_on_ack__delay_cuts_an_eighth_a_round),
		T(xm_cc_on_ack__delay_below_the_target_is_fine),
		T(xm_cc_on_ack__a_long_path_is_no_delay),
		T(xm_cc_on_ack__delay_target_is_an_option),
		T(xm_cc_on_loss__many_are_congestion),
		T(xm_cc_on_loss__once_a_round),
		T(xm_cc_on_loss__a_random_one_cuts_once),
		T(xm_cc_on_loss__random_ones_then_are_free),
		T(xm_cc_on_loss__above_two_percent_they_are_not),
		T(xm_cc_on_loss__with_marks_they_are_not),
		T(xm_cc_on_loss__with_delay_they_are_not),
		T(xm_cc_on_loss__a_random_one_cuts_again_in_ten_rounds),
		T(xm_cc_on_timeout__closes_and_remembers_half),
		T(xm_cc_rto_ns__before_a_sample),
		T(xm_cc_rto_ns__is_rfc_6298s_and_the_ack_delay),
		T(xm_cc_rto_ns__at_least_two_round_trips),
		T(xm_cc_rto_ns__covers_the_lag_of_a_late_receiver),
		T(xm_cc_rto_ns__forgets_a_lag_that_is_over),
		T(xm_cc_rto_ns__has_a_floor_and_a_ceiling),
	};

	return cmocka_run_group_tests_name("cc", tests, NULL, NULL);
}
