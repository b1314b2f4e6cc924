// SPDX-License-Identifier: GPL-2.0-or-later
/* test_sessions.c - who owns the guest, whatever happens to the control
 * connection
 *
 * Stories for the ways a session can end, then every message of a migration
 * in turn: lost with the connection, the last to arrive, or the one at which a
 * user cancels.  In every one of these worlds conduct.c watches that the guest
 * never runs in two places; here it is asked whether it runs at all, and
 * whether what both sides say about it can be believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "story.h"

#define TALK (SIM_SHOW(STATE) | SIM_NOTE_CTL | SIM_NOTE_HOME)

static struct world_opts one_epoch(uint32_t show)
{
	struct world_opts o = world_defaults();

	o.guest.pages[0] = 8;
	o.show = show;
	return o;
}

static void commit__the_guest_moves(void **state)
{
	struct world_opts o = one_epoch(TALK);

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
	      "[   700] src > harvest -> commit\n"
	      "[   750] ctl > dst gets COMMIT\n"
	      "[   750] dst > ready -> commit\n"
	      "[   750] dst > the guest runs here\n"
	      "[   750] dst > commit -> done\n"
	      "[   800] ctl > src gets COMMITTED\n"
	      "[   800] src > commit -> done\n"
	      "[   800] src > the guest is gone\n");
}

static void commit__a_lost_one_leaves_the_outcome_unknown(void **state)
{
	struct world_opts o = one_epoch(SIM_NOTE_CTL | SIM_NOTE_HOME);

	(void)state;
	o.ctl.what = SIM_CTL_CUT_BEFORE;
	o.ctl.type = XM_MSG_COMMIT;
	story(&o, WORLD_ENDED,
	      "[    50] ctl > dst gets HELLO\n"
	      "[   100] ctl > src gets WELCOME\n"
	      "[   100] ctl > src gets PROVEN\n"
	      "[   150] ctl > dst gets PROVEN\n"
	      "[   150] ctl > dst gets EPOCH_BEGIN\n"
	      "[   200] ctl > src gets EPOCH_READY\n"
	      "[   650] ctl > dst gets EPOCH_END\n"
	      "[   700] ctl > src gets EPOCH_DONE\n"
	      "[   750] ctl > breaks\n"
	      "[   800] src > nobody knows where the guest is\n");
}

static void commit__a_lost_answer_leaves_the_outcome_unknown(void **state)
{
	struct world_opts o = one_epoch(SIM_NOTE_CTL | SIM_NOTE_HOME);

	(void)state;
	o.ctl.what = SIM_CTL_CUT_BEFORE;
	o.ctl.type = XM_MSG_COMMITTED;
	story(&o, WORLD_ENDED,
	      "[    50] ctl > dst gets HELLO\n"
	      "[   100] ctl > src gets WELCOME\n"
	      "[   100] ctl > src gets PROVEN\n"
	      "[   150] ctl > dst gets PROVEN\n"
	      "[   150] ctl > dst gets EPOCH_BEGIN\n"
	      "[   200] ctl > src gets EPOCH_READY\n"
	      "[   650] ctl > dst gets EPOCH_END\n"
	      "[   700] ctl > src gets EPOCH_DONE\n"
	      "[   750] ctl > dst gets COMMIT\n"
	      "[   750] dst > the guest runs here\n"
	      "[   800] ctl > breaks\n"
	      "[   850] src > nobody knows where the guest is\n");
}

static void commit__a_guest_that_does_not_start_comes_back(void **state)
{
	struct world_opts o = one_epoch(SIM_NOTE_CTL | SIM_NOTE_HOME);

	(void)state;
	o.take_ns = 10 * XM_MS;
	o.take_fails = true;
	story(&o, WORLD_ENDED,
	      "[    50] ctl > dst gets HELLO\n"
	      "[   100] ctl > src gets WELCOME\n"
	      "[   100] ctl > src gets PROVEN\n"
	      "[   150] ctl > dst gets PROVEN\n"
	      "[   150] ctl > dst gets EPOCH_BEGIN\n"
	      "[   200] ctl > src gets EPOCH_READY\n"
	      "[   650] ctl > dst gets EPOCH_END\n"
	      "[   700] ctl > src gets EPOCH_DONE\n"
	      "[   750] ctl > dst gets COMMIT\n"
	      "[ 10800] ctl > src gets ABORT\n"
	      "[ 10800] src > the guest runs here\n");
}

static void cancel__during_an_epoch_the_source_keeps_it(void **state)
{
	struct world_opts o = one_epoch(TALK);

	(void)state;
	o.ctl.what = SIM_CTL_CANCEL_SRC;
	o.ctl.type = XM_MSG_EPOCH_END;
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
	      "[   100] src > harvest -> open\n"
	      "[   150] ctl > dst gets PROVEN\n"
	      "[   150] dst > probe -> ready\n"
	      "[   150] ctl > dst gets EPOCH_BEGIN\n"
	      "[   150] dst > ready -> open\n"
	      "[   150] dst > open -> epoch\n"
	      "[   200] ctl > src gets EPOCH_READY\n"
	      "[   200] src > open -> epoch\n"
	      "[   600] src > epoch -> barrier\n"
	      "[   650] src > the user cancels\n"
	      "[   650] src > barrier -> failed\n"
	      "[   650] src > the guest runs here\n"
	      "[   650] ctl > dst gets EPOCH_END\n"
	      "[   650] dst > epoch -> totals\n"
	      "[   650] dst > totals -> ready\n"
	      "[   700] ctl > dst gets ABORT\n"
	      "[   700] dst > ready -> failed\n");
}

static void cancel__at_the_destination_the_source_keeps_it(void **state)
{
	struct world_opts o = one_epoch(TALK);

	(void)state;
	o.ctl.what = SIM_CTL_CANCEL_DST;
	o.ctl.type = XM_MSG_EPOCH_END;
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
	      "[   100] src > harvest -> open\n"
	      "[   150] ctl > dst gets PROVEN\n"
	      "[   150] dst > probe -> ready\n"
	      "[   150] ctl > dst gets EPOCH_BEGIN\n"
	      "[   150] dst > ready -> open\n"
	      "[   150] dst > open -> epoch\n"
	      "[   200] ctl > src gets EPOCH_READY\n"
	      "[   200] src > open -> epoch\n"
	      "[   600] src > epoch -> barrier\n"
	      "[   650] dst > the user cancels\n"
	      "[   650] dst > epoch -> failed\n"
	      "[   650] ctl > dst gets EPOCH_END\n"
	      "[   700] ctl > src gets ABORT\n"
	      "[   700] src > barrier -> failed\n"
	      "[   700] src > the guest runs here\n");
}

static void silence__ends_in_ten_seconds_at_the_source(void **state)
{
	struct world_opts o =
		one_epoch(SIM_SHOW(STATE) | SIM_NOTE_CTL | SIM_NOTE_HOME);

	(void)state;
	o.ctl.what = SIM_CTL_CUT_BEFORE;
	o.ctl.type = XM_MSG_EPOCH_DONE;
	o.ctl.is_silent = true;
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
	      "[   700] ctl > goes silent\n"
	      "[10000200] src > barrier -> failed\n"
	      "[10000200] src > the guest runs here\n"
	      "[10000650] dst > ready -> failed\n");
}

/* -- every message in turn ------------------------------------------------------------ */

static struct world_opts two_epochs(enum sim_ctl_do what, bool is_silent)
{
	struct world_opts o = one_epoch(0);

	o.live_epochs = 1;
	o.guest.write_ns = 100 * XM_US;
	o.guest.writes_max = 100;
	o.take_ns = 3 * XM_SEC; /* heartbeats go on meanwhile */
	o.ctl.what = what;
	o.ctl.is_silent = is_silent;
	return o;
}

static void every_message__lost_with_the_connection(void **state)
{
	struct world_opts o = two_epochs(SIM_CTL_CUT_BEFORE, false);

	(void)state;
	assert_true(story_every_message(&o) > 0);
}

static void every_message__lost_into_silence(void **state)
{
	struct world_opts o = two_epochs(SIM_CTL_CUT_BEFORE, true);

	(void)state;
	assert_true(story_every_message(&o) > 0);
}

static void every_message__the_last_to_arrive(void **state)
{
	struct world_opts o = two_epochs(SIM_CTL_CUT_AFTER, false);

	(void)state;
	assert_true(story_every_message(&o) > 0);
}

static void every_message__the_last_before_silence(void **state)
{
	struct world_opts o = two_epochs(SIM_CTL_CUT_AFTER, true);

	(void)state;
	assert_true(story_every_message(&o) > 0);
}

static void every_message__cancelled_at_the_source(void **state)
{
	struct world_opts o = two_epochs(SIM_CTL_CANCEL_SRC, false);

	(void)state;
	assert_int_equal(story_every_message(&o), 0);
}

static void every_message__cancelled_at_the_destination(void **state)
{
	struct world_opts o = two_epochs(SIM_CTL_CANCEL_DST, false);

	(void)state;
	assert_int_equal(story_every_message(&o), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commit__the_guest_moves),
		cmocka_unit_test(commit__a_lost_one_leaves_the_outcome_unknown),
		cmocka_unit_test(
			commit__a_lost_answer_leaves_the_outcome_unknown),
		cmocka_unit_test(
			commit__a_guest_that_does_not_start_comes_back),
		cmocka_unit_test(cancel__during_an_epoch_the_source_keeps_it),
		cmocka_unit_test(
			cancel__at_the_destination_the_source_keeps_it),
		cmocka_unit_test(silence__ends_in_ten_seconds_at_the_source),
		cmocka_unit_test(every_message__lost_with_the_connection),
		cmocka_unit_test(every_message__lost_into_silence),
		cmocka_unit_test(every_message__the_last_to_arrive),
		cmocka_unit_test(every_message__the_last_before_silence),
		cmocka_unit_test(every_message__cancelled_at_the_source),
		cmocka_unit_test(every_message__cancelled_at_the_destination),
	};

	return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
