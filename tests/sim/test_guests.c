// SPDX-License-Identifier: GPL-2.0-or-later
/* test_guests.c - every geometry, every kind of guest, every way to a queue
 *
 * As in test_faults.c, each world ends with the guest's memory the same at the
 * destination; here it is the guest and the shape of frames that differ.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "story.h"

#define PERCENT (SIM_PPM / 100)

/* -- geometries -------------------------------------------------------------------------------- */

static void must_pass_at(unsigned int mtu, unsigned int max_pages, bool ipv6)
{
	struct world_opts o = story_busy_world();

	o.mtu = mtu;
	o.max_pages = max_pages;
	o.ipv6 = ipv6;
	o.up.loss_ppm = o.up.dup_ppm = o.up.corrupt_ppm = 5 * PERCENT;
	story_passes(&o);
}

static void geometry__three_slices_a_page(void **state)
{
	(void)state;
	must_pass_at(1500, 0, false);
	must_pass_at(1500, 0, true);
}

static void geometry__two_slices_a_page(void **state)
{
	(void)state;
	must_pass_at(2176, 0, false);
	must_pass_at(3498, 0, true);
}

static void geometry__one_page_a_frame(void **state)
{
	(void)state;
	must_pass_at(4200, 0, false);
	must_pass_at(9000, 1, true);
}

static void geometry__two_pages_a_frame(void **state)
{
	(void)state;
	must_pass_at(9000, 0, false);
	must_pass_at(9000, 0, true);
}

static void geometry__fifteen_pages_a_frame(void **state)
{
	(void)state;
	must_pass_at(65535, 0, false);
	must_pass_at(65535, 0, true);
}

static void channels__sixteen_with_everything(void **state)
{
	struct world_opts o = story_busy_world();

	(void)state;
	o.n_channels = 16;
	o.guest.n_blocks = 32;
	o.guest.pages[0] = 8;
	story_bad_wire(&o.up);
	story_bad_wire(&o.down);
	story_passes(&o);
}

/* -- guests ------------------------------------------------------------------------------------- */

static void guest__a_page_at_a_megahertz_gets_through(void **state)
{
	struct world_opts o = story_busy_world();
	struct xm_tx_stats s;
	struct world w;

	(void)state;
	o.guest.pattern = SIM_HOT;
	o.guest.hole_ppm = 0;
	o.guest.write_ns = XM_US;
	o.guest.writes_max = 0;
	o.dev.dma_ns = 50 * XM_US;
	story_must_pass(&w, &o);
	s = world_tx_stats(&w);
	/* Once an epoch the CRC meets a changed page; never twice. */
	assert_in_range(s.frames_staged, 1, o.live_epochs);
	assert_int_equal(world_rx_stats(&w).drops.n[XM_DROP_BAD_PAYLOAD_CRC],
			 s.frames_staged);
	world_fini(&w);
}

static void guest__every_page_in_every_epoch(void **state)
{
	struct world_opts o = story_busy_world();

	(void)state;
	o.guest.pattern = SIM_EVERY;
	o.guest.write_ns = XM_US;
	o.mtu = 1500;
	story_passes(&o);
}

static void guest__pages_that_toggle_zero(void **state)
{
	struct world_opts o = story_busy_world();
	struct xm_rx_stats s;
	struct world w;

	(void)state;
	o.guest.pattern = SIM_TOGGLE;
	o.live_epochs = 6;
	story_must_pass(&w, &o);
	s = world_rx_stats(&w);
	/* zeros over data, and zeros that came first and stayed holes */
	assert_true(s.zero_pages > s.zero_holes);
	assert_true(s.zero_holes > 0);
	world_fini(&w);
}

static void guest__an_idle_one_of_zeros_touches_nothing(void **state)
{
	struct world_opts o = story_busy_world();
	struct xm_rx_stats s;
	struct world w;

	(void)state;
	o.guest.write_ns = 0;
	o.guest.zero_ppm = SIM_PPM;
	story_must_pass(&w, &o); /* which looks for touched pages */
	s = world_rx_stats(&w);
	assert_int_equal(s.bytes_placed, 0);
	assert_true(s.zero_pages > 0);
	assert_int_equal(s.zero_holes, s.zero_pages);
	world_fini(&w);
}

/* -- paths -------------------------------------------------------------------------------------- */

static void probe__ports_are_found_through_rss_and_loss(void **state)
{
	struct world_opts o = story_busy_world();

	(void)state;
	o.n_channels = 16;
	o.guest.n_blocks = 16;
	o.guest.pages[0] = 8;
	o.probe = o.rss = true;
	o.up.loss_ppm = o.down.loss_ppm = 30 * PERCENT;
	story_passes(&o);
}

static void probe__a_path_that_is_not_there_is_an_error(void **state)
{
	struct world_opts o = story_busy_world();
	struct world w;

	(void)state;
	o.probe = true;
	o.up.cut[0] = (struct sim_window){ 0, 100 * XM_SEC };
	assert_int_equal(story_run(&w, &o), WORLD_ENDED);
	assert_int_equal(w.ses_src.outcome.reason, XM_REASON_PATH);
	assert_int_equal(w.ses_src.outcome.home, XM_HOME_SOURCE);
	assert_true(w.guest.running);
	world_fini(&w);
}

/* Small frames arrive, full ones do not: nothing but a probe of the full size
 * finds out before the guest's memory is on its way. */
static void probe__a_narrow_path_is_an_error(void **state)
{
	struct world_opts o = story_busy_world();
	struct world w;

	(void)state;
	o.probe = true;
	o.up.narrow = 4000;
	assert_int_equal(story_run(&w, &o), WORLD_ENDED);
	assert_int_equal(w.ses_src.outcome.reason, XM_REASON_PATH);
	assert_int_equal(w.epoch, 0);
	world_fini(&w);
}

/* -- the simulation itself ------------------------------------------------------------------------ */

static uint64_t hash_of(uint64_t seed)
{
	struct world_opts o = story_busy_world();
	struct world w;
	uint64_t hash;

	o.seed = seed;
	story_bad_wire(&o.up);
	story_bad_wire(&o.down);
	story_must_pass(&w, &o);
	hash = w.log.hash;
	world_fini(&w);
	return hash;
}

static void seed__one_is_one_execution(void **state)
{
	(void)state;
	assert_true(hash_of(7) == hash_of(7));
	assert_true(hash_of(7) != hash_of(8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(geometry__three_slices_a_page),
		cmocka_unit_test(geometry__two_slices_a_page),
		cmocka_unit_test(geometry__one_page_a_frame),
		cmocka_unit_test(geometry__two_pages_a_frame),
		cmocka_unit_test(geometry__fifteen_pages_a_frame),
		cmocka_unit_test(channels__sixteen_with_everything),
		cmocka_unit_test(guest__a_page_at_a_megahertz_gets_through),
		cmocka_unit_test(guest__every_page_in_every_epoch),
		cmocka_unit_test(guest__pages_that_toggle_zero),
		cmocka_unit_test(guest__an_idle_one_of_zeros_touches_nothing),
		cmocka_unit_test(probe__ports_are_found_through_rss_and_loss),
		cmocka_unit_test(probe__a_path_that_is_not_there_is_an_error),
		cmocka_unit_test(probe__a_narrow_path_is_an_error),
		cmocka_unit_test(seed__one_is_one_execution),
	};

	return cmocka_run_group_tests_name("guests", tests, NULL, NULL);
}
