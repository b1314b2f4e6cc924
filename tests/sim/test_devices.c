// SPDX-License-Identifier: GPL-2.0-or-later
/* test_devices.c - running guests, with devices, that move
 *
 * Stories of a whole live migration and of the ways in which its device state
 * can go wrong; then every message of one in turn, as in test_sessions.c; then
 * guests of which core/converge.c decides when they are paused.  In each of
 * these worlds device.c watches that what is loaded is what was written, and
 * that no guest runs at the destination without it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "story.h"

#define TALK  (SIM_SHOW(STATE) | SIM_NOTE_CTL | SIM_NOTE_HOME | SIM_NOTE_EPOCH)
#define BRIEF (SIM_NOTE_CTL | SIM_NOTE_HOME | SIM_NOTE_EPOCH)

/* Three epochs, the last with the guest paused; devices of 100 KiB. */
static struct world_opts live(uint32_t show)
{
	struct world_opts o = world_defaults();

	o.guest.pages[0] = 8;
	o.guest.write_ns = 200 * XM_US;
	o.live_epochs = 2;
	o.device.len = 100 << 10;
	o.device.piece_max = 64 << 10;
	o.device.from_epoch = 3;
	o.device.write_ns = 20 * XM_US;
	o.device.read_ns = 10 * XM_US;
	o.device.load_ns = XM_MS;
	o.show = show;
	return o;
}

static void live__a_running_guest_moves_with_its_devices(void **state)
{
	struct world_opts o = live(TALK);

	(void)state;
	story(&o, WORLD_SAME,
	      "[     0] dst > init -> hello\n"
	      "[     0] src > init -> hello\n"
	      "[    50] ctl > dst gets HELLO\n"
	      "[    50] dst > hello -> consider\n"
	      "[    50] dst > consider -> probe\n"
	      "[   100] ctl > src gets WELCOME\n"
	      "[   100] src > hello -> probe\n"
	      "[   100] ctl > src gets PROVEN\n"
	      "[   100] src > probe -> harvest\n"
	      "[   100] guest > harvest 1: 8 pages\n"
	      "[   100] src > harvest -> open\n"
	      "[   150] ctl > dst gets PROVEN\n"
	      "[   150] dst > probe -> ready\n"
	      "[   150] ctl > dst gets EPOCH_BEGIN\n"
	      "[   150] dst > ready -> open\n"
	      "[   150] dst > open -> epoch\n"
	      "[   200] ctl > src gets EPOCH_READY\n"
	      "[   200] src > open -> epoch\n"
	      "[   600] src > epoch -> barrier\n"
	      "[   650] ctl > dst gets EPOCH_END\n"
	      "[   650] dst > epoch -> totals\n"
	      "[   650] dst > totals -> ready\n"
	      "[   700] ctl > src gets EPOCH_DONE\n"
	      "[   700] src > barrier -> harvest\n"
	      "[   700] ctl > epoch 1 is installed\n"
	      "[   700] guest > harvest 2: 2 pages\n"
	      "[   700] src > harvest -> open\n"
	      "[   750] ctl > dst gets EPOCH_BEGIN\n"
	      "[   750] dst > ready -> open\n"
	      "[   750] dst > open -> epoch\n"
	      "[   800] ctl > src gets EPOCH_READY\n"
	      "[   800] src > open -> epoch\n"
	      "[  1200] src > epoch -> barrier\n"
	      "[  1250] ctl > dst gets EPOCH_END\n"
	      "[  1250] dst > epoch -> totals\n"
	      "[  1250] dst > totals -> ready\n"
	      "[  1300] ctl > src gets EPOCH_DONE\n"
	      "[  1300] src > barrier -> harvest\n"
	      "[  1300] ctl > epoch 2 is installed\n"
	      "[  1300] guest > paused, harvest 3: 2 pages\n"
	      "[  1300] src > harvest -> open\n"
	      "[  1350] ctl > dst gets EPOCH_BEGIN\n"
	      "[  1350] dst > ready -> open\n"
	      "[  1350] dst > open -> epoch\n"
	      "[  1350] ctl > dst gets DEVICE\n"
	      "[  1368] ctl > dst gets DEVICE\n"
	      "[  1383] ctl > dst gets DEVICE\n"
	      "[  1400] ctl > src gets EPOCH_READY\n"
	      "[  1400] src > open -> epoch\n"
	      "[  1800] src > epoch -> barrier\n"
	      "[  1850] ctl > dst gets EPOCH_END\n"
	      "[  1850] dst > epoch -> totals\n"
	      "[  1850] dst > totals -> ready\n"
	      "[  1900] ctl > src gets EPOCH_DONE\n"
	      "[  1900] src > barrier -> harvest\n"
	      "[  1900] ctl > epoch 3 is installed\n"
	      "[  1950] ctl > dst gets DEVICE\n"
	      "[  1970] src > harvest -> device\n"
	      "[  1983] ctl > dst gets DEVICE\n"
	      "[  1996] ctl > dst gets DEVICE\n"
	      "[  2020] ctl > dst gets DEVICE\n"
	      "[  2020] ctl > dst gets DEVICE\n"
	      "[  2020] ctl > dst gets DEVICE_END\n"
	      "[  2020] dst > ready -> load\n"
	      "[  3039] dst > device state is loaded\n"
	      "[  3039] dst > load -> ready\n"
	      "[  3089] ctl > src gets LOADED\n"
	      "[  3089] src > device -> harvest\n"
	      "[  3089] src > harvest -> commit\n"
	      "[  3139] ctl > dst gets COMMIT\n"
	      "[  3139] dst > ready -> commit\n"
	      "[  3139] dst > the guest runs here\n"
	      "[  3139] dst > commit -> done\n"
	      "[  3189] ctl > src gets COMMITTED\n"
	      "[  3189] src > commit -> done\n"
	      "[  3189] src > the guest is gone\n");
}

static void live__devices_that_do_not_load_leave_it_where_it_was(void **state)
{
	struct world_opts o = live(BRIEF);

	(void)state;
	o.live_epochs = 0;
	o.device.from_epoch = 1;
	o.device.load_fails = true;
	story(&o, WORLD_ENDED,
	      "[    50] ctl > dst gets HELLO\n"
	      "[   100] ctl > src gets WELCOME\n"
	      "[   100] ctl > src gets PROVEN\n"
	      "[   100] guest > paused, harvest 1: 8 pages\n"
	      "[   150] ctl > dst gets PROVEN\n"
	      "[   150] ctl > dst gets EPOCH_BEGIN\n"
	      "[   150] ctl > dst gets DEVICE\n"
	      "[   168] ctl > dst gets DEVICE\n"
	      "[   183] ctl > dst gets DEVICE\n"
	      "[   200] ctl > src gets EPOCH_READY\n"
	      "[   650] ctl > dst gets EPOCH_END\n"
	      "[   700] ctl > src gets EPOCH_DONE\n"
	      "[   700] ctl > epoch 1 is installed\n"
	      "[   750] ctl > dst gets DEVICE\n"
	      "[   783] ctl > dst gets DEVICE\n"
	      "[   796] ctl > dst gets DEVICE\n"
	      "[   820] ctl > dst gets DEVICE\n"
	      "[   820] ctl > dst gets DEVICE\n"
	      "[   820] ctl > dst gets DEVICE_END\n"
	      "[  1889] ctl > src gets ABORT\n"
	      "[  1889] src > the guest runs here\n");
}

static void
live__contact_lost_while_loading_leaves_it_where_it_was(void **state)
{
	struct world_opts o = live(BRIEF | SIM_SHOW(STATE));

	(void)state;
	o.live_epochs = 0;
	o.device.from_epoch = 1;
	o.ctl.what = SIM_CTL_CUT_AFTER;
	o.ctl.type = XM_MSG_DEVICE_END;
	story(&o, WORLD_ENDED,
	      "[     0] dst > init -> hello\n"
	      "[     0] src > init -> hello\n"
	      "[    50] ctl > dst gets HELLO\n"
	      "[    50] dst > hello -> consider\n"
	      "[    50] dst > consider -> probe\n"
	      "[   100] ctl > src gets WELCOME\n"
	      "[   100] src > hello -> probe\n"
	      "[   100] ctl > src gets PROVEN\n"
	      "[   100] src > probe -> harvest\n"
	      "[   100] guest > paused, harvest 1: 8 pages\n"
	      "[   100] src > harvest -> open\n"
	      "[   150] ctl > dst gets PROVEN\n"
	      "[   150] dst > probe -> ready\n"
	      "[   150] ctl > dst gets EPOCH_BEGIN\n"
	      "[   150] dst > ready -> open\n"
	      "[   150] dst > open -> epoch\n"
	      "[   150] ctl > dst gets DEVICE\n"
	      "[   168] ctl > dst gets DEVICE\n"
	      "[   183] ctl > dst gets DEVICE\n"
	      "[   200] ctl > src gets EPOCH_READY\n"
	      "[   200] src > open -> epoch\n"
	      "[   600] src > epoch -> barrier\n"
	      "[   650] ctl > dst gets EPOCH_END\n"
	      "[   650] dst > epoch -> totals\n"
	      "[   650] dst > totals -> ready\n"
	      "[   700] ctl > src gets EPOCH_DONE\n"
	      "[   700] src > barrier -> harvest\n"
	      "[   700] ctl > epoch 1 is installed\n"
	      "[   750] ctl > dst gets DEVICE\n"
	      "[   770] src > harvest -> device\n"
	      "[   783] ctl > dst gets DEVICE\n"
	      "[   796] ctl > dst gets DEVICE\n"
	      "[   820] ctl > dst gets DEVICE\n"
	      "[   820] ctl > dst gets DEVICE\n"
	      "[   820] ctl > dst gets DEVICE_END\n"
	      "[   820] dst > ready -> load\n"
	      "[   820] ctl > breaks\n"
	      "[   870] src > device -> failed\n"
	      "[   870] src > the guest runs here\n"
	      "[   870] dst > load -> failed\n");
}

static void live__cancelled_while_loading(void **state)
{
	struct world_opts o = live(BRIEF);

	(void)state;
	o.live_epochs = 0;
	o.device.from_epoch = 1;
	o.ctl.what = SIM_CTL_CANCEL_SRC;
	o.ctl.type = XM_MSG_DEVICE_END;
	story(&o, WORLD_ENDED,
	      "[    50] ctl > dst gets HELLO\n"
	      "[   100] ctl > src gets WELCOME\n"
	      "[   100] ctl > src gets PROVEN\n"
	      "[   100] guest > paused, harvest 1: 8 pages\n"
	      "[   150] ctl > dst gets PROVEN\n"
	      "[   150] ctl > dst gets EPOCH_BEGIN\n"
	      "[   150] ctl > dst gets DEVICE\n"
	      "[   168] ctl > dst gets DEVICE\n"
	      "[   183] ctl > dst gets DEVICE\n"
	      "[   200] ctl > src gets EPOCH_READY\n"
	      "[   650] ctl > dst gets EPOCH_END\n"
	      "[   700] ctl > src gets EPOCH_DONE\n"
	      "[   700] ctl > epoch 1 is installed\n"
	      "[   750] ctl > dst gets DEVICE\n"
	      "[   783] ctl > dst gets DEVICE\n"
	      "[   796] ctl > dst gets DEVICE\n"
	      "[   820] ctl > dst gets DEVICE\n"
	      "[   820] ctl > dst gets DEVICE\n"
	      "[   820] src > the user cancels\n"
	      "[   820] src > the guest runs here\n"
	      "[   820] ctl > dst gets DEVICE_END\n"
	      "[   870] ctl > dst gets ABORT\n");
}

static void live__a_guest_that_was_paused_stays_so(void **state)
{
	struct world_opts o = live(0);
	struct world w;

	(void)state;
	o.guest.write_ns = 0;
	o.device.was_paused = true;
	story_must_pass(&w, &o); /* device.c looks at what DEVICE_END says */
	assert_false(w.ses_dst.runs);
	world_fini(&w);
}

/* -- the window --------------------------------------------------------------------- */

static void window__is_smaller_than_the_stream(void **state)
{
	struct world_opts o = live(0);
	struct world w;

	(void)state;
	o.device.len = (5 << 20) + 1;
	o.device.write_ns = XM_US;
	o.device.read_ns = 100 * XM_US;
	story_must_pass(&w, &o);
	assert_true(w.device.n_full > 0);
	assert_in_range(w.device.n_acks, 6, 10);
	assert_int_equal(w.ses_src.device_sent, o.device.len);
	world_fini(&w);
}

static void window__carries_single_bytes(void **state)
{
	struct world_opts o = live(0);

	(void)state;
	o.device.len = 300;
	o.device.piece_max = 1;
	story_passes(&o);
}

/* From the first harvest on, through every epoch, with the guest running. */
static void window__is_open_from_the_first_harvest_to_the_last(void **state)
{
	struct world_opts o = live(0);
	struct world w;

	(void)state;
	o.device.from_epoch = 1;
	o.device.len = 3 << 20;
	o.device.write_ns = 50 * XM_US;
	o.up.loss_ppm = o.down.loss_ppm = SIM_PPM / 10;
	story_must_pass(&w, &o);
	assert_true(w.ses_src.is_loaded);
	world_fini(&w);
}

/* -- every message in turn ------------------------------------------------------------ */

static struct world_opts three_epochs(enum sim_ctl_do what, bool is_silent)
{
	struct world_opts o = live(0);

	o.guest.writes_max = 100;
	o.device.len = 3 << 19;
	o.device.from_epoch = 2;
	o.device.read_ns = 100 * XM_US;
	o.device.load_ns = 2500 * XM_MS; /* heartbeats go on meanwhile */
	o.take_ns = 1500 * XM_MS;
	o.ctl.what = what;
	o.ctl.is_silent = is_silent;
	return o;
}

static void every_message__lost_with_the_connection(void **state)
{
	struct world_opts o = three_epochs(SIM_CTL_CUT_BEFORE, false);

	(void)state;
	assert_true(story_every_message(&o) > 0);
}

static void every_message__lost_into_silence(void **state)
{
	struct world_opts o = three_epochs(SIM_CTL_CUT_BEFORE, true);

	(void)state;
	assert_true(story_every_message(&o) > 0);
}

static void every_message__the_last_to_arrive(void **state)
{
	struct world_opts o = three_epochs(SIM_CTL_CUT_AFTER, false);

	(void)state;
	assert_true(story_every_message(&o) > 0);
}

static void every_message__the_last_before_silence(void **state)
{
	struct world_opts o = three_epochs(SIM_CTL_CUT_AFTER, true);

	(void)state;
	assert_true(story_every_message(&o) > 0);
}

static void every_message__cancelled_at_the_source(void **state)
{
	struct world_opts o = three_epochs(SIM_CTL_CANCEL_SRC, false);

	(void)state;
	assert_int_equal(story_every_message(&o), 0);
}

static void every_message__cancelled_at_the_destination(void **state)
{
	struct world_opts o = three_epochs(SIM_CTL_CANCEL_DST, false);

	(void)state;
	assert_int_equal(story_every_message(&o), 0);
}

/* -- when to switch over ----------------------------------------------------------------- */

/* 512 pages over a link of 100 MB/s, which takes 21 ms for them. */
static struct world_opts slow_link(int64_t write_ns)
{
	struct world_opts o = live(0);

	o.guest.pages[0] = 512;
	o.guest.write_ns = write_ns;
	o.up.rate = 100000000;
	o.up.queue = 1 << 20;
	o.device.from_epoch = 1;
	o.converges = true;
	o.converge.max_downtime_ns = 2 * XM_MS;
	return o;
}

static void converge__an_idle_guest_in_one_epoch(void **state)
{
	struct world_opts o = slow_link(0);
	struct world w;

	(void)state;
	story_must_pass(&w, &o);
	assert_int_equal(w.epoch, 2);
	assert_int_equal(w.converge.throttle, 0);
	world_fini(&w);
}

/* It dirties a quarter of what the link carries: 21 ms, 5 ms; 1.3 ms. */
static void converge__a_busy_guest_in_more(void **state)
{
	struct world_opts o = slow_link(160 * XM_US);
	struct world w;

	(void)state;
	story_must_pass(&w, &o);
	assert_in_range(w.epoch, 3, 4);
	assert_int_equal(w.converge.throttle, 0);
	assert_in_range(w.converge.bytes_per_s, 50000000, 100000000);
	world_fini(&w);
}

/* Every page of it is dirty again before it has been sent: only a slower guest
 * can be moved. */
static void converge__a_guest_that_must_be_slowed_down(void **state)
{
	struct world_opts o = slow_link(10 * XM_US);
	struct world w;

	(void)state;
	o.guest.pattern = SIM_EVERY;
	story_must_pass(&w, &o);
	assert_in_range(w.converge.throttle, 50, 99);
	assert_in_range(w.epoch, 8, 24);
	world_fini(&w);
}

static void converge__a_deadline_that_gives_up(void **state)
{
	struct world_opts o = slow_link(10 * XM_US);
	struct world w;

	(void)state;
	o.guest.pattern = SIM_EVERY;
	o.converge.how = XM_CONVERGE_FAIL;
	o.converge.deadline_ns = 100 * XM_MS;
	assert_int_equal(story_run(&w, &o), WORLD_ENDED);
	assert_int_equal(w.ses_src.outcome.reason, XM_REASON_STALLED);
	assert_int_equal(w.ses_src.outcome.home, XM_HOME_SOURCE);
	assert_true(w.guest.running);
	assert_int_equal(w.converge.throttle, 0);
	world_fini(&w);
}

static void converge__a_deadline_that_switches_over(void **state)
{
	struct world_opts o = slow_link(10 * XM_US);
	struct world w;

	(void)state;
	o.guest.pattern = SIM_EVERY;
	o.converge.how = XM_CONVERGE_STOP;
	o.converge.deadline_ns = 100 * XM_MS;
	story_must_pass(&w, &o);
	assert_int_equal(w.converge.throttle, 0);
	assert_true(w.converge.expected_ns > o.converge.max_downtime_ns);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(live__a_running_guest_moves_with_its_devices),
		cmocka_unit_test(
			live__devices_that_do_not_load_leave_it_where_it_was),
		cmocka_unit_test(
			live__contact_lost_while_loading_leaves_it_where_it_was),
		cmocka_unit_test(live__cancelled_while_loading),
		cmocka_unit_test(live__a_guest_that_was_paused_stays_so),
		cmocka_unit_test(window__is_smaller_than_the_stream),
		cmocka_unit_test(window__carries_single_bytes),
		cmocka_unit_test(
			window__is_open_from_the_first_harvest_to_the_last),
		cmocka_unit_test(every_message__lost_with_the_connection),
		cmocka_unit_test(every_message__lost_into_silence),
		cmocka_unit_test(every_message__the_last_to_arrive),
		cmocka_unit_test(every_message__the_last_before_silence),
		cmocka_unit_test(every_message__cancelled_at_the_source),
		cmocka_unit_test(every_message__cancelled_at_the_destination),
		cmocka_unit_test(converge__an_idle_guest_in_one_epoch),
		cmocka_unit_test(converge__a_busy_guest_in_more),
		cmocka_unit_test(converge__a_guest_that_must_be_slowed_down),
		cmocka_unit_test(converge__a_deadline_that_gives_up),
		cmocka_unit_test(converge__a_deadline_that_switches_over),
	};

	return cmocka_run_group_tests_name("devices", tests, NULL, NULL);
}
