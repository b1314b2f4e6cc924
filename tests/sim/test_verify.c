// SPDX-License-Identifier: GPL-2.0-or-later
/* test_verify.c - memory that is compared before the guest is handed over
 *
 * What no epoch can see happens in these worlds: a byte of the destination's
 * memory changes when all of it is there.  It must never run with that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "story.h"

#define BRIEF (SIM_NOTE_CTL | SIM_NOTE_HOME | SIM_NOTE_EPOCH)

static struct world_opts verified(void)
{
	struct world_opts o = world_defaults();

	o.guest.pages[0] = 8;
	o.verify.is_on = true;
	o.verify.src_ns = 30 * XM_US;
	o.verify.dst_ns = 20 * XM_US;
	o.show = BRIEF;
	return o;
}

static void flip(struct world *w, unsigned int round)
{
	assert_true(verify_flip(w, 5 * round));
}

static void flip_once(struct world *w, unsigned int round)
{
	if (round == 1)
		flip(w, round);
}

/* -- stories --------------------------------------------------------------- */

static void verify__memory_that_is_the_same(void **state)
{
	struct world_opts o = verified();

	(void)state;
	o.show |= SIM_SHOW(STATE);
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
	      "[   100] guest > paused, harvest 1: 8 pages\n"
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
	      "[   700] src > harvest -> verify\n"
	      "[   750] ctl > dst gets VERIFY\n"
	      "[   750] dst > ready -> verify\n"
	      "[   770] dst > verify -> ready\n"
	      "[   820] ctl > src gets HASHES\n"
	      "[   820] src > verify -> harvest\n"
	      "[   820] src > harvest -> commit\n"
	      "[   870] ctl > dst gets COMMIT\n"
	      "[   870] dst > ready -> commit\n"
	      "[   870] dst > the guest runs here\n"
	      "[   870] dst > commit -> done\n"
	      "[   920] ctl > src gets COMMITTED\n"
	      "[   920] src > commit -> done\n"
	      "[   920] src > the guest is gone\n");
}

static void verify__what_differs_is_sent_again(void **state)
{
	struct world_opts o = verified();

	(void)state;
	o.verify.on_hash = flip_once;
	story(&o, WORLD_SAME,
	      "[    50] ctl > dst gets HELLO\n"
	      "[   100] ctl > src gets WELCOME\n"
	      "[   100] ctl > src gets PROVEN\n"
	      "[   100] guest > paused, harvest 1: 8 pages\n"
	      "[   150] ctl > dst gets PROVEN\n"
	      "[   150] ctl > dst gets EPOCH_BEGIN\n"
	      "[   200] ctl > src gets EPOCH_READY\n"
	      "[   650] ctl > dst gets EPOCH_END\n"
	      "[   700] ctl > src gets EPOCH_DONE\n"
	      "[   700] ctl > epoch 1 is installed\n"
	      "[   750] ctl > dst gets VERIFY\n"
	      "[   820] ctl > src gets HASHES\n"
	      "[   820] guest > repair, epoch 2: 8 pages\n"
	      "[   870] ctl > dst gets EPOCH_BEGIN\n"
	      "[   920] ctl > src gets EPOCH_READY\n"
	      "[  1370] ctl > dst gets EPOCH_END\n"
	      "[  1420] ctl > src gets EPOCH_DONE\n"
	      "[  1420] ctl > epoch 2 is installed\n"
	      "[  1470] ctl > dst gets VERIFY\n"
	      "[  1540] ctl > src gets HASHES\n"
	      "[  1590] ctl > dst gets COMMIT\n"
	      "[  1590] dst > the guest runs here\n"
	      "[  1640] ctl > src gets COMMITTED\n"
	      "[  1640] src > the guest is gone\n");
}

static void verify__twice_is_once_too_often(void **state)
{
	struct world_opts o = verified();

	(void)state;
	o.verify.on_hash = flip;
	story(&o, WORLD_ENDED,
	      "[    50] ctl > dst gets HELLO\n"
	      "[   100] ctl > src gets WELCOME\n"
	      "[   100] ctl > src gets PROVEN\n"
	      "[   100] guest > paused, harvest 1: 8 pages\n"
	      "[   150] ctl > dst gets PROVEN\n"
	      "[   150] ctl > dst gets EPOCH_BEGIN\n"
	      "[   200] ctl > src gets EPOCH_READY\n"
	      "[   650] ctl > dst gets EPOCH_END\n"
	      "[   700] ctl > src gets EPOCH_DONE\n"
	      "[   700] ctl > epoch 1 is installed\n"
	      "[   750] ctl > dst gets VERIFY\n"
	      "[   820] ctl > src gets HASHES\n"
	      "[   820] guest > repair, epoch 2: 8 pages\n"
	      "[   870] ctl > dst gets EPOCH_BEGIN\n"
	      "[   920] ctl > src gets EPOCH_READY\n"
	      "[  1370] ctl > dst gets EPOCH_END\n"
	      "[  1420] ctl > src gets EPOCH_DONE\n"
	      "[  1420] ctl > epoch 2 is installed\n"
	      "[  1470] ctl > dst gets VERIFY\n"
	      "[  1540] ctl > src gets HASHES\n"
	      "[  1540] src > the guest runs here\n"
	      "[  1590] ctl > dst gets ABORT\n");
}

/* Without --verify the world sees it, and nobody else. */
static void verify__without_it_nobody_notices(void **state)
{
	struct world_opts o = verified();
	struct world w;
	uint32_t i;

	(void)state;
	o.verify.is_on = false;
	o.show = 0;
	o.take_ns = XM_MS;
	world_init(&w, &o);
	conduct_start(&w);
	while (w.ses_dst.state != XM_DST_COMMIT) {
		conduct_settle(&w);
		assert_true(sim_step(&w.sim));
	}
	assert_true(verify_flip(&w, 3));
	for (i = 0; i < 1000 && !conduct_is_over(&w); i++)
		(void)sim_step(&w.sim);
	assert_int_equal(w.verdict, WORLD_RAM);
	assert_int_equal(w.ses_dst.outcome.home, XM_HOME_TARGET);
	world_fini(&w);
}

static void verify__devices_come_after_it(void **state)
{
	struct world_opts o = verified();

	(void)state;
	o.device.len = 100 << 10;
	o.device.piece_max = 64 << 10;
	o.device.from_epoch = 1;
	o.device.load_ns = XM_MS;
	o.verify.on_hash = flip_once;
	story(&o, WORLD_SAME,
	      "[    50] ctl > dst gets HELLO\n"
	      "[   100] ctl > src gets WELCOME\n"
	      "[   100] ctl > src gets PROVEN\n"
	      "[   100] guest > paused, harvest 1: 8 pages\n"
	      "[   150] ctl > dst gets PROVEN\n"
	      "[   150] ctl > dst gets EPOCH_BEGIN\n"
	      "[   150] ctl > dst gets DEVICE\n"
	      "[   150] ctl > dst gets DEVICE\n"
	      "[   150] ctl > dst gets DEVICE\n"
	      "[   200] ctl > src gets EPOCH_READY\n"
	      "[   650] ctl > dst gets EPOCH_END\n"
	      "[   700] ctl > src gets EPOCH_DONE\n"
	      "[   700] ctl > epoch 1 is installed\n"
	      "[   750] ctl > dst gets VERIFY\n"
	      "[   820] ctl > src gets HASHES\n"
	      "[   820] guest > repair, epoch 2: 8 pages\n"
	      "[   870] ctl > dst gets EPOCH_BEGIN\n"
	      "[   920] ctl > src gets EPOCH_READY\n"
	      "[  1370] ctl > dst gets EPOCH_END\n"
	      "[  1420] ctl > src gets EPOCH_DONE\n"
	      "[  1420] ctl > epoch 2 is installed\n"
	      "[  1470] ctl > dst gets VERIFY\n"
	      "[  1540] ctl > src gets HASHES\n"
	      "[  1590] ctl > dst gets DEVICE\n"
	      "[  1590] ctl > dst gets DEVICE\n"
	      "[  1590] ctl > dst gets DEVICE\n"
	      "[  1590] ctl > dst gets DEVICE\n"
	      "[  1590] ctl > dst gets DEVICE\n"
	      "[  1590] ctl > dst gets DEVICE_END\n"
	      "[  2590] dst > device state is loaded\n"
	      "[  2640] ctl > src gets LOADED\n"
	      "[  2690] ctl > dst gets COMMIT\n"
	      "[  2690] dst > the guest runs here\n"
	      "[  2740] ctl > src gets COMMITTED\n"
	      "[  2740] src > the guest is gone\n");
}

static void verify__a_target_that_is_too_old(void **state)
{
	struct world_opts o = verified();

	(void)state;
	o.verify.is_unknown = true;
	story(&o, WORLD_ENDED,
	      "[    50] ctl > dst gets HELLO\n"
	      "[   100] ctl > src gets WELCOME\n"
	      "[   100] src > the guest runs here\n"
	      "[   100] ctl > src gets PROVEN\n"
	      "[   150] ctl > dst gets ABORT\n");
}

/* -- time ------------------------------------------------------------------- */

static void verify__a_target_that_never_ends(void **state)
{
	struct world_opts o = verified();
	struct world w;

	(void)state;
	o.show = 0;
	o.verify.dst_ns = (XM_VERIFY_MS + 1) * XM_MS;
	assert_int_equal(story_run(&w, &o), WORLD_ENDED);
	assert_int_equal(w.ses_src.outcome.reason, XM_REASON_STALLED);
	assert_int_equal(w.ses_src.outcome.home, XM_HOME_SOURCE);
	assert_int_equal(w.ses_dst.outcome.reason, XM_REASON_STALLED);
	assert_true(w.guest.running);
	world_fini(&w);
}

static void verify__may_take_long(void **state)
{
	struct world_opts o = verified();

	(void)state;
	o.show = 0;
	o.verify.dst_ns = (XM_VERIFY_MS - 10) * XM_MS;
	o.verify.src_ns = 40 * XM_SEC; /* its own has no end but its own */
	story_passes(&o);
}

/* -- shapes ----------------------------------------------------------------- */

static void verify__only_what_differs_is_sent_again(void **state)
{
	struct world_opts o = verified();
	struct world w;

	(void)state;
	o.show = 0;
	o.n_channels = 3;
	o.guest.n_blocks = 5;
	o.guest.hole_ppm = o.guest.zero_ppm = SIM_PPM / 10;
	o.verify.chunk = 2;
	o.verify.on_hash = flip_once;
	story_must_pass(&w, &o);
	assert_int_equal(w.verify.n_rounds, 2);
	assert_int_equal(w.verify.n_repaired, 1);
	assert_int_equal(world_tx_stats(&w).pages +
				 world_tx_stats(&w).zero_pages,
			 6 * 8);
	world_fini(&w);
}

static void verify__a_busy_guest_on_a_bad_wire(void **state)
{
	struct world_opts o = story_busy_world();

	(void)state;
	o.verify.is_on = true;
	o.verify.on_hash = flip_once;
	story_bad_wire(&o.up);
	story_bad_wire(&o.down);
	story_passes(&o);
}

/* -- every message, when memory must be repaired ------------------------------- */

static void every_message(enum sim_ctl_do what, bool is_silent)
{
	struct world_opts o = verified();

	o.show = 0;
	o.live_epochs = 1;
	o.device.len = 1000;
	o.device.piece_max = 1000;
	o.device.from_epoch = 1;
	o.verify.src_ns = 1500 * XM_MS; /* heartbeats go on meanwhile */
	o.verify.dst_ns = 2500 * XM_MS;
	o.verify.on_hash = flip_once;
	o.ctl.what = what;
	o.ctl.is_silent = is_silent;
	(void)story_every_message(&o);
}

static void every_message__lost_with_the_connection(void **state)
{
	(void)state;
	every_message(SIM_CTL_CUT_BEFORE, false);
}

static void every_message__the_last_before_silence(void **state)
{
	(void)state;
	every_message(SIM_CTL_CUT_AFTER, true);
}

static void every_message__cancelled_at_the_source(void **state)
{
	(void)state;
	every_message(SIM_CTL_CANCEL_SRC, false);
}

static void every_message__cancelled_at_the_destination(void **state)
{
	(void)state;
	every_message(SIM_CTL_CANCEL_DST, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verify__memory_that_is_the_same),
		cmocka_unit_test(verify__what_differs_is_sent_again),
		cmocka_unit_test(verify__twice_is_once_too_often),
		cmocka_unit_test(verify__without_it_nobody_notices),
		cmocka_unit_test(verify__devices_come_after_it),
		cmocka_unit_test(verify__a_target_that_is_too_old),
		cmocka_unit_test(verify__a_target_that_never_ends),
		cmocka_unit_test(verify__may_take_long),
		cmocka_unit_test(verify__only_what_differs_is_sent_again),
		cmocka_unit_test(verify__a_busy_guest_on_a_bad_wire),
		cmocka_unit_test(every_message__lost_with_the_connection),
		cmocka_unit_test(every_message__the_last_before_silence),
		cmocka_unit_test(every_message__cancelled_at_the_source),
		cmocka_unit_test(every_message__cancelled_at_the_destination),
	};

	return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
