// SPDX-License-Identifier: GPL-2.0-or-later
/* test_faults.c - what must be survived, and at what price
 *
 * Every test ends with the guest at the destination, byte for byte, and with
 * all invariants held on the way (story_must_pass()), or, where contact cannot
 * be had, with the guest at the source.  Where a fault could also be survived
 * by brute force, the test looks at the counters too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "story.h"

#define PERCENT (SIM_PPM / 100)

/* -- everything at once ------------------------------------------------------------- */

static void must_pass_30_30_30(unsigned int mtu, unsigned int n_channels)
{
	struct world_opts o = story_busy_world();

	o.mtu = mtu;
	o.n_channels = n_channels;
	story_bad_wire(&o.up);
	story_bad_wire(&o.down);
	for (o.seed = 1; o.seed <= 5; o.seed++)
		story_passes(&o);
}

static void all__30_percent_each_at_mtu_1500(void **state)
{
	(void)state;
	must_pass_30_30_30(1500, 1);
}

static void all__30_percent_each_at_mtu_3498(void **state)
{
	(void)state;
	must_pass_30_30_30(3498, 1);
}

static void all__30_percent_each_at_mtu_9000(void **state)
{
	(void)state;
	must_pass_30_30_30(9000, 1);
}

static void all__30_percent_each_at_mtu_65535(void **state)
{
	(void)state;
	must_pass_30_30_30(65535, 1);
}

static void all__30_percent_each_over_4_channels(void **state)
{
	(void)state;
	must_pass_30_30_30(9000, 4);
}

/* -- loss -------------------------------------------------------------------------------- */

static void loss__random_costs_little_more_than_itself(void **state)
{
	struct world_opts o = story_busy_world();
	struct xm_tx_stats s;
	struct world w;

	(void)state;
	o.guest.pages[0] = 400;
	o.guest.hole_ppm = 0;
	o.up.loss_ppm = 5 * PERCENT;
	o.seed = 3;
	story_must_pass(&w, &o);
	s = world_tx_stats(&w);
	/* p / (1 - p) is 5.3 %; tail probes and late ACKs take the rest */
	assert_in_range(s.frames_resent, 1, s.frames_sent * 9 / 100);
	assert_in_range(s.spurious, 0, s.frames_sent / 50);
	world_fini(&w);
}

static void loss__bursts(void **state)
{
	struct world_opts o = story_busy_world();

	(void)state;
	o.up.gilbert = (struct sim_gilbert){
		.good_ns = 200 * XM_US,
		.bad_ns = 50 * XM_US,
		.loss_bad_ppm = SIM_PPM,
	};
	o.down.gilbert = o.up.gilbert;
	for (o.seed = 1; o.seed <= 5; o.seed++)
		story_passes(&o);
}

static void loss__a_burst_of_64(void **state)
{
	struct world_opts o = story_busy_world();

	(void)state;
	o.up.pick[o.up.n_picks++] = (struct sim_pick){
		.what = SIM_DROP, .all_seqs = true, .from = 20, .n = 64
	};
	story_passes(&o);
}

static void loss__no_ack_for_two_seconds_makes_no_storm(void **state)
{
	struct world_opts o = story_busy_world();
	struct xm_tx_stats s;
	struct world w;

	(void)state;
	o.n_slots = 16;
	o.guest.pages[0] = 400;
	o.guest.write_ns = XM_MS;
	o.down.cut[0] = (struct sim_window){ XM_MS, 2001 * XM_MS };
	story_must_pass(&w, &o);
	s = world_tx_stats(&w);
	assert_true(w.sim.now.ns > 2 * XM_SEC);
	assert_in_range(s.timeouts, 3, 20);
	/* Each timeout asks with a window of four; what was in flight when the
	 * ACKs stopped is not sent again as a whole. */
	assert_in_range(s.frames_resent, 1, 4 * s.timeouts + 64);
	world_fini(&w);
}

/* The wait for an ACK that was lost is the sender's own timer's.  If that learns
 * from it, as of a peer that is late, it soon stands at its ceiling: then this
 * takes minutes. */
static void loss__of_most_acks_does_not_stop_the_clock(void **state)
{
	struct world_opts o = story_busy_world();
	struct world w;

	(void)state;
	o.guest.pages[0] = 400;
	o.guest.hole_ppm = o.guest.zero_ppm = 0;
	o.guest.write_ns = XM_MS;
	o.down.loss_ppm = 65 * PERCENT;
	for (o.seed = 1; o.seed <= 5; o.seed++) {
		story_must_pass(&w, &o);
		assert_in_range(w.sim.now.ns, 0, 5 * XM_SEC);
		world_fini(&w);
	}
}

static void loss__both_ways_silent_for_two_seconds(void **state)
{
	struct world_opts o = story_busy_world();

	(void)state;
	o.up.cut[0] = (struct sim_window){ XM_MS, 2001 * XM_MS };
	o.down.cut[0] = o.up.cut[0];
	story_passes(&o);
}

static void loss__one_channel_of_sixteen_cut_for_a_second(void **state)
{
	struct world_opts o = story_busy_world();

	(void)state;
	o.n_channels = 16;
	o.guest.n_blocks = 16;
	o.guest.pages[0] = 16;
	o.up.pick[o.up.n_picks++] = (struct sim_pick){
		.what = SIM_DROP,
		.channel = 5,
		.all_seqs = true,
		.from = 3,
		.n = 12,
	};
	story_passes(&o);
}

static void loss__a_dead_path_leaves_the_guest_at_the_source(void **state)
{
	struct world_opts o = story_busy_world();
	struct world w;

	(void)state;
	o.up.cut[0] = (struct sim_window){ XM_MS, 100 * XM_SEC };
	assert_int_equal(story_run(&w, &o), WORLD_ENDED);
	assert_int_equal(w.ses_src.outcome.home, XM_HOME_SOURCE);
	assert_int_equal(w.ses_src.outcome.reason, XM_REASON_STALLED);
	assert_int_equal(w.ses_dst.outcome.reason, XM_REASON_STALLED);
	assert_true(w.guest.running);
	assert_false(w.dst_runs);
	assert_in_range(w.sim.now.ns, 10 * XM_SEC, 11 * XM_SEC);
	world_fini(&w);
}

/* -- order, copies, damage ------------------------------------------------------------------ */

static void reorder__half_of_all_frames_by_50_round_trips(void **state)
{
	struct world_opts o = story_busy_world();

	(void)state;
	o.up.reorder_ppm = o.down.reorder_ppm = 50 * PERCENT;
	o.up.reorder_ns = o.down.reorder_ns = 5 * XM_MS;
	story_passes(&o);
}

/* Only what comes after a receiver closed and opened again is stale. */
static void reorder__frames_held_back_over_three_epochs(void **state)
{
	struct world_opts o = story_busy_world();
	struct xm_rx_stats s;
	struct world w;

	(void)state;
	o.live_epochs = 4;
	o.guest.pattern = SIM_EVERY;
	o.guest.write_ns = XM_US;
	o.up.pick[o.up.n_picks++] = (struct sim_pick){
		.what = SIM_HOLD,
		.epoch = 1,
		.all_seqs = true,
		.from = 2,
		.n = 20,
		.until_epoch = 4,
	};
	story_must_pass(&w, &o);
	s = world_rx_stats(&w);
	assert_int_equal(s.drops.n[XM_DROP_STALE_EPOCH], 20);
	world_fini(&w);
}

static void duplicate__every_frame_twice(void **state)
{
	struct world_opts o = story_busy_world();
	struct xm_tx_stats tx;
	struct xm_rx_stats rx;
	struct world w;

	(void)state;
	o.up.dup_ppm = o.down.dup_ppm = SIM_PPM;
	o.up.reorder_ns = o.down.reorder_ns = 20 * XM_US;
	story_must_pass(&w, &o);
	tx = world_tx_stats(&w);
	rx = world_rx_stats(&w);
	assert_in_range(rx.drops.n[XM_DROP_DUPLICATE], tx.frames_sent * 9 / 10,
			tx.frames_sent);
	assert_in_range(tx.frames_resent, 0, tx.frames_sent / 50);
	world_fini(&w);
}

/* Nothing damaged is installed, and every kind of damage has its name. */
static void corrupt__every_third_frame(void **state)
{
	struct world_opts o = story_busy_world();
	struct xm_rx_stats s;
	struct world w;

	(void)state;
	o.guest.pages[0] = 200;
	o.up.corrupt_ppm = 33 * PERCENT;
	story_must_pass(&w, &o);
	s = world_rx_stats(&w);
	assert_true(s.drops.n[XM_DROP_BAD_MAGIC] > 0);
	assert_true(s.drops.n[XM_DROP_BAD_TAG] > 0);
	assert_true(s.drops.n[XM_DROP_BAD_PAYLOAD_CRC] > 0);
	assert_true(w.n_unsteered > 0);
	world_fini(&w);
}

/* -- receivers and devices -------------------------------------------------------------------- */

static void receiver__stalled_for_a_second(void **state)
{
	struct world_opts o = story_busy_world();
	struct world w;

	(void)state;
	o.guest.pages[0] = 200;
	o.credit = 64;
	o.rx_stall[0] = (struct sim_window){ XM_MS, 1001 * XM_MS };
	story_must_pass(&w, &o);
	assert_true(w.sim.now.ns > XM_SEC);
	world_fini(&w);
}

static void receiver__credit_is_never_exceeded(void **state)
{
	struct world_opts o = story_busy_world();
	struct world w;

	(void)state;
	o.credit = 5;
	o.rx_ns = 20 * XM_US; /* slower than anything before it */
	story_must_pass(&w, &o);
	assert_int_equal(w.dst[0].n_overflow, 0);
	world_fini(&w);
}

static void receiver__smaller_than_it_says(void **state)
{
	struct world_opts o = story_busy_world();
	struct world w;

	(void)state;
	o.credit = 512;
	o.rx_frames = 8;
	o.rx_ns = 10 * XM_US;
	o.rx_batch = 4;
	story_must_pass(&w, &o);
	assert_true(w.dst[0].n_overflow > 0);
	world_fini(&w);
}

static void receiver__takes_one_frame_at_a_time(void **state)
{
	struct world_opts o = story_busy_world();

	(void)state;
	o.credit = 1;
	story_passes(&o);
}

static void device__one_frame_deep_and_slow(void **state)
{
	struct world_opts o = story_busy_world();

	(void)state;
	o.dev.depth = 1;
	o.dev.done_ns = 300 * XM_US;
	story_passes(&o);
}

/* Completions may come later than ACKs, and in any order. */
static void device__completes_after_milliseconds_in_any_order(void **state)
{
	struct world_opts o = story_busy_world();
	struct xm_tx_stats s;
	struct world w;

	(void)state;
	o.dev.done_jitter_ns = 5 * XM_MS;
	o.dev.copies = true;
	story_must_pass(&w, &o);
	s = world_tx_stats(&w);
	assert_true(s.bytes_copied >= s.bytes_sent);
	world_fini(&w);
}

static void ecn__keeps_a_slow_link_from_losing(void **state)
{
	struct world_opts o = story_busy_world();
	struct xm_tx_stats s;
	struct world w;

	(void)state;
	o.guest.pages[0] = 1000;
	o.guest.hole_ppm = o.guest.zero_ppm = 0;
	o.guest.write_ns = XM_MS;
	o.n_slots = 20;
	o.up.rate = 125000000; /* 1 Gbit/s */
	o.up.queue = 2000000;
	o.up.ecn = 200000;
	story_must_pass(&w, &o);
	s = world_tx_stats(&w);
	assert_in_range(s.frames_resent, 0, s.frames_sent / 100);
	world_fini(&w);
}

static void rate__the_cap_is_kept_and_used(void **state)
{
	struct world_opts o = story_busy_world();
	struct xm_tx_stats s;
	struct world w;
	int64_t least_ns;

	(void)state;
	o.guest.pages[0] = 1000;
	o.guest.hole_ppm = o.guest.zero_ppm = 0;
	o.guest.write_ns = 0;
	o.live_epochs = 0;
	o.n_slots = 20;
	o.rate = 50000000;
	story_must_pass(&w, &o);
	s = world_tx_stats(&w);
	least_ns = (int64_t)(s.bytes_sent * XM_SEC / o.rate);
	/* a burst of 4 ms is free, headers cost extra */
	assert_in_range(w.sim.now.ns, least_ns - 4 * XM_MS,
			least_ns * 110 / 100);
	world_fini(&w);
}

static void write_all(struct world *w, uint32_t epoch, bool is_final)
{
	uint8_t byte = (uint8_t)epoch;
	uint32_t page;

	(void)is_final;
	for (page = 0; epoch > 1 && page < w->guest.block[0].n_pages; page++)
		guest_write(&w->guest, 0, page, 100, &byte, 1);
}

/* The second epoch's first frame is missing for so long that those after it,
 * at the speed that the first epoch came to, fill the window. */
static void window__ends_where_an_ack_can_still_reach(void **state)
{
	struct world_opts o = world_defaults();
	struct world w;

	(void)state;
	o.mtu = 1500;
	o.guest.pages[0] = 3000; /* in three frames each */
	o.live_epochs = 1;
	o.on_epoch = write_all;
	o.n_slots = 32;
	o.credit = 100000;
	o.dev.depth = 1024;
	o.rx_batch = 1024;
	o.up.delay_ns = o.down.delay_ns = XM_MS;
	o.up.pick[o.up.n_picks++] = (struct sim_pick){
		.what = SIM_DROP,
		.type = XM_WIRE_HEADER,
		.epoch = 2,
		.from = 1,
		.n = 12,
	};
	story_must_pass(&w, &o);
	assert_true(xm_tx_frames(w.src[0].tx) > XM_WINDOW + 500);
	assert_int_equal(world_rx_stats(&w).drops.n[XM_DROP_BEYOND_WINDOW], 0);
	world_fini(&w);
}

static void rate__without_ecn_a_small_queue_is_survived(void **state)
{
	struct world_opts o = story_busy_world();

	(void)state;
	o.guest.pages[0] = 500;
	o.n_slots = 20;
	o.up.rate = 125000000;
	o.up.queue = 60000;
	story_passes(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all__30_percent_each_at_mtu_1500),
		cmocka_unit_test(all__30_percent_each_at_mtu_3498),
		cmocka_unit_test(all__30_percent_each_at_mtu_9000),
		cmocka_unit_test(all__30_percent_each_at_mtu_65535),
		cmocka_unit_test(all__30_percent_each_over_4_channels),
		cmocka_unit_test(loss__random_costs_little_more_than_itself),
		cmocka_unit_test(loss__bursts),
		cmocka_unit_test(loss__a_burst_of_64),
		cmocka_unit_test(loss__no_ack_for_two_seconds_makes_no_storm),
		cmocka_unit_test(loss__of_most_acks_does_not_stop_the_clock),
		cmocka_unit_test(loss__both_ways_silent_for_two_seconds),
		cmocka_unit_test(loss__one_channel_of_sixteen_cut_for_a_second),
		cmocka_unit_test(
			loss__a_dead_path_leaves_the_guest_at_the_source),
		cmocka_unit_test(reorder__half_of_all_frames_by_50_round_trips),
		cmocka_unit_test(reorder__frames_held_back_over_three_epochs),
		cmocka_unit_test(duplicate__every_frame_twice),
		cmocka_unit_test(corrupt__every_third_frame),
		cmocka_unit_test(receiver__stalled_for_a_second),
		cmocka_unit_test(receiver__credit_is_never_exceeded),
		cmocka_unit_test(receiver__smaller_than_it_says),
		cmocka_unit_test(receiver__takes_one_frame_at_a_time),
		cmocka_unit_test(device__one_frame_deep_and_slow),
		cmocka_unit_test(
			device__completes_after_milliseconds_in_any_order),
		cmocka_unit_test(ecn__keeps_a_slow_link_from_losing),
		cmocka_unit_test(rate__the_cap_is_kept_and_used),
		cmocka_unit_test(window__ends_where_an_ack_can_still_reach),
		cmocka_unit_test(rate__without_ecn_a_small_queue_is_survived),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
