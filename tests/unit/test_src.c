// SPDX-License-Identifier: GPL-2.0-or-later
/* test_src.c - the source's way to a migrated guest; how it ends otherwise is
 * test_src_end.c's
 */
#include "core/src.h"

#include "../lib/t_src.h"

/* -- beginning ------------------------------------------------------------- */

static void xm_src_init__waits_for_the_conductor(void **state)
{
	struct t_src *t = *state;

	assert_int_equal(t->s.state, XM_SRC_INIT);
	assert_true(xm_time_is_never(xm_src_expiry(&t->s)));
}

static void init__start_says_hello(void **state)
{
	struct t_src *t = *state;
	struct xm_msg hello = t_hello();

	t_src_event(t, XM_EV_START);
	t_assert_says(&t->act, XM_MSG_HELLO);
	assert_memory_equal(&t->msg[0].hello, &hello.hello,
			    sizeof(hello.hello));
	assert_int_equal(t->s.state, XM_SRC_HELLO);
}

/* -- HELLO ----------------------------------------------------------------- */

static void hello__welcome_opens_the_channels(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);
	struct xm_msg m = t_welcome();

	m.welcome.cookie[2] = 77;
	m.welcome.ip_max = 1500;
	m.welcome.max_pages = 1;
	t_src_hear(t, &m);
	assert_int_equal(t->act.flags, XM_ACT_PROBE);
	assert_int_equal(t->s.state, XM_SRC_PROBE);
	assert_int_equal(t->s.agreed.cookie[2], 77);
	assert_int_equal(t->s.agreed.ip_max, 1500);
}

static void refuse_welcome(struct t_src *t, const struct xm_msg *m)
{
	t_src_hear(t, m);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void hello__welcome_of_a_version_never_offered(void **state)
{
	struct t_src *t = *state;
	struct xm_msg m = t_welcome();

	t->s.hello.version_min = 2;
	t->s.hello.version_max = 3;
	t_src_at(t, XM_SRC_HELLO);
	refuse_welcome(t, &m);
}

static void hello__welcome_of_a_version_above_ours(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);
	struct xm_msg m = t_welcome();

	m.welcome.version = 2;
	refuse_welcome(t, &m);
}

static void hello__welcome_with_other_channels(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);
	struct xm_msg m = t_welcome();

	m.welcome.n_channels--;
	refuse_welcome(t, &m);
}

static void hello__welcome_with_larger_frames_than_offered(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);
	struct xm_msg m = t_welcome();

	m.welcome.ip_max++;
	refuse_welcome(t, &m);
}

static void hello__welcome_with_frames_too_small(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);
	struct xm_msg m = t_welcome();

	m.welcome.ip_max = XM_MTU_MIN - 1;
	refuse_welcome(t, &m);
}

static void hello__welcome_with_more_pages_than_offered(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);
	struct xm_msg m = t_welcome();

	m.welcome.max_pages++;
	refuse_welcome(t, &m);
}

static void hello__welcome_without_credit(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);
	struct xm_msg m = t_welcome();

	m.welcome.credit = 0;
	refuse_welcome(t, &m);
}

static void hello__takes_nothing_but_welcome(void **state)
{
	t_src_takes_only(*state, XM_SRC_HELLO, XM_MSG_WELCOME);
}

/* -- PROBE ----------------------------------------------------------------- */

static void probe__says_that_its_own_paths_are_proven(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_PROBE);

	t_src_event(t, XM_EV_PROVEN);
	t_assert_says(&t->act, XM_MSG_PROVEN);
	assert_int_equal(t->act.flags, XM_ACT_SEND);
	assert_int_equal(t->s.state, XM_SRC_PROBE);
}

static void probe__harvests_when_the_peer_is_second(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_PROBE);

	t_src_event(t, XM_EV_PROVEN);
	t_src_hear_type(t, XM_MSG_PROVEN);
	assert_int_equal(t->act.flags, XM_ACT_HARVEST);
	assert_int_equal(t->s.state, XM_SRC_HARVEST);
}

static void probe__harvests_when_the_peer_was_first(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_PROBE);

	t_src_hear_type(t, XM_MSG_PROVEN);
	t_assert_nothing(&t->act);
	assert_int_equal(t->s.state, XM_SRC_PROBE);
	t_src_event(t, XM_EV_PROVEN);
	t_assert_says(&t->act, XM_MSG_PROVEN);
	assert_int_equal(t->act.flags, XM_ACT_SEND | XM_ACT_HARVEST);
	assert_int_equal(t->s.state, XM_SRC_HARVEST);
}

static void probe__proven_twice_is_a_breach(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_PROBE);

	t_src_hear_type(t, XM_MSG_PROVEN);
	t_src_hear_type(t, XM_MSG_PROVEN);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void probe__takes_nothing_but_proven(void **state)
{
	t_src_takes_only(*state, XM_SRC_PROBE, XM_MSG_PROVEN);
}

/* -- HARVEST --------------------------------------------------------------- */

static void harvest__begins_epoch_1(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HARVEST);

	t_src_event(t, XM_EV_NEXT_EPOCH);
	t_assert_says(&t->act, XM_MSG_EPOCH_BEGIN);
	assert_int_equal(t->act.flags, XM_ACT_SEND);
	assert_int_equal(t->msg[0].epoch.epoch, 1);
	assert_int_equal(t->msg[0].epoch.is_final, 0);
	assert_int_equal(t->s.state, XM_SRC_OPEN);
}

static void harvest__says_that_an_epoch_is_final(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HARVEST);

	t_src_next_epoch(t, true);
	assert_int_equal(t->msg[0].epoch.is_final, 1);
}

static void harvest__epochs_count_up(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HARVEST);

	t_src_whole_epoch(t, false);
	t_src_event(t, XM_EV_NEXT_EPOCH);
	assert_int_equal(t->msg[0].epoch.epoch, 2);
}

static void harvest__takes_nothing(void **state)
{
	t_src_takes_only(*state, XM_SRC_HARVEST, XM_MSG_HEARTBEAT);
}

/* -- OPEN ------------------------------------------------------------------ */

static void open__lets_the_channels_send(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_OPEN);

	t_src_hear_type(t, XM_MSG_EPOCH_READY);
	assert_int_equal(t->act.flags, XM_ACT_OPEN_EPOCH);
	assert_int_equal(t->act.epoch, 1);
	assert_int_equal(t->s.state, XM_SRC_EPOCH);
}

static void open__ready_for_another_epoch(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_OPEN);
	struct xm_msg m = t_epoch(XM_MSG_EPOCH_READY, 2);

	t_src_hear(t, &m);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void open__takes_nothing_but_ready(void **state)
{
	t_src_takes_only(*state, XM_SRC_OPEN, XM_MSG_EPOCH_READY);
}

/* -- EPOCH ----------------------------------------------------------------- */

static void epoch__ends_with_the_channels_totals(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_EPOCH);
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 99);

	t_src_installed(t, &m);
	t_assert_says(&t->act, XM_MSG_EPOCH_END);
	assert_int_equal(t->msg[0].epoch.epoch, 1);
	assert_int_equal(t->msg[0].epoch.n_channels, T_CHANNELS);
	assert_memory_equal(t->msg[0].epoch.totals, m.epoch.totals,
			    sizeof(m.epoch.totals));
	assert_int_equal(t->s.state, XM_SRC_BARRIER);
}

static void epoch__end_says_whether_it_was_final(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HARVEST);
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 1);

	t_src_next_epoch(t, true);
	t_src_hear_type(t, XM_MSG_EPOCH_READY);
	t_src_installed(t, &m);
	assert_int_equal(t->msg[0].epoch.is_final, 1);
}

static void epoch__takes_nothing(void **state)
{
	t_src_takes_only(*state, XM_SRC_EPOCH, XM_MSG_HEARTBEAT);
}

/* -- BARRIER --------------------------------------------------------------- */

static void barrier__harvests_again(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_BARRIER);

	t_src_hear_type(t, XM_MSG_EPOCH_DONE);
	assert_int_equal(t->act.flags, XM_ACT_HARVEST);
	assert_int_equal(t->s.state, XM_SRC_HARVEST);
}

static void barrier__done_with_another_epoch(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_BARRIER);
	struct xm_msg m = t_epoch(XM_MSG_EPOCH_DONE, 0);

	t_src_hear(t, &m);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void barrier__takes_nothing_but_done(void **state)
{
	t_src_takes_only(*state, XM_SRC_BARRIER, XM_MSG_EPOCH_DONE);
}

/* -- COMMIT ---------------------------------------------------------------- */

static void commit__hands_the_guest_over(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HARVEST);

	t_src_whole_epoch(t, true);
	t_src_event(t, XM_EV_COMMIT);
	t_assert_says(&t->act, XM_MSG_COMMIT);
	assert_int_equal(t->act.flags, XM_ACT_SEND);
	assert_int_equal(t->s.state, XM_SRC_COMMIT);
}

static void commit__committed_is_the_good_end(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_COMMIT);

	t_src_hear_type(t, XM_MSG_COMMITTED);
	assert_int_equal(t->act.flags, XM_ACT_FINISHED);
	assert_int_equal(t->s.state, XM_SRC_DONE);
	t_assert_outcome(&t->s.outcome, XM_REASON_NONE, XM_HOME_TARGET, false);
}

static void commit__ignores_what_does_not_fit(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_COMMIT);
	enum xm_msg_type type;

	for (type = XM_MSG_HELLO; type <= T_MSG_LAST; type++) {
		if (type == XM_MSG_COMMITTED || type == XM_MSG_ABORT)
			continue;
		t_src_hear_type(t, type);
		t_assert_nothing(&t->act);
		assert_int_equal(t->s.state, XM_SRC_COMMIT);
	}
}

static void commit__cannot_be_cancelled(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_COMMIT);

	t_src_cancel(t, XM_REASON_CANCELLED, "stop it");
	t_assert_nothing(&t->act);
	assert_int_equal(t->s.state, XM_SRC_COMMIT);
}

static void commit__lost_contact_leaves_it_unknown(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_COMMIT);

	t_src_event(t, XM_EV_LOST);
	assert_int_equal(t->act.flags, XM_ACT_FINISHED);
	assert_int_equal(t->s.state, XM_SRC_UNKNOWN);
	t_assert_outcome(&t->s.outcome, XM_REASON_UNKNOWN_OUTCOME,
			 XM_HOME_UNKNOWN, false);
}

static void commit__silence_leaves_it_unknown(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_COMMIT);

	t_src_wait(t, XM_CTL_STALL_MS);
	t_src_event(t, XM_EV_TIMER);
	assert_int_equal(t->s.state, XM_SRC_UNKNOWN);
	assert_int_equal(t->act.n_msgs, 0);
	t_assert_outcome(&t->s.outcome, XM_REASON_UNKNOWN_OUTCOME,
			 XM_HOME_UNKNOWN, false);
}

static void commit__the_peers_abort_gives_the_guest_back(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_COMMIT);

	t_src_hear_type(t, XM_MSG_ABORT);
	assert_int_equal(t->act.flags, XM_ACT_FINISHED);
	assert_int_equal(t->s.state, XM_SRC_FAILED);
	t_assert_outcome(&t->s.outcome, XM_REASON_MEMORY, XM_HOME_SOURCE, true);
}

static void commit__goes_on_saying_that_it_is_there(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_COMMIT);

	t_src_wait(t, XM_HEARTBEAT_MS);
	t_src_event(t, XM_EV_TIMER);
	t_assert_says(&t->act, XM_MSG_HEARTBEAT);
}

static void xm_src_step__traces_each_move(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_COMMIT);
	const struct xm_trace_event *ev;

	ev = t_trace_last(&t->trace, XM_TRACE_STATE);
	assert_int_equal(ev->a, XM_SRC_HARVEST);
	assert_int_equal(ev->b, XM_SRC_COMMIT);
	assert_int_equal(ev->now.ns, t->now.ns);
	assert_string_equal(t_trace_take(&t->trace, XM_TRACE_STATE), "0-6 3");
}

static void xm_src_state_name__names_every_state(void **state)
{
	(void)state;
	assert_string_equal(xm_src_state_name(XM_SRC_INIT), "init");
	assert_string_equal(xm_src_state_name(XM_SRC_BARRIER), "barrier");
	assert_string_equal(xm_src_state_name(XM_SRC_UNKNOWN), "unknown");
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, t_src_setup, t_src_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_src_init__waits_for_the_conductor),
		T(init__start_says_hello),
		T(hello__welcome_opens_the_channels),
		T(hello__welcome_of_a_version_never_offered),
		T(hello__welcome_of_a_version_above_ours),
		T(hello__welcome_with_other_channels),
		T(hello__welcome_with_larger_frames_than_offered),
		T(hello__welcome_with_frames_too_small),
		T(hello__welcome_with_more_pages_than_offered),
		T(hello__welcome_without_credit),
		T(hello__takes_nothing_but_welcome),
		T(probe__says_that_its_own_paths_are_proven),
		T(probe__harvests_when_the_peer_is_second),
		T(probe__harvests_when_the_peer_was_first),
		T(probe__proven_twice_is_a_breach),
		T(probe__takes_nothing_but_proven),
		T(harvest__begins_epoch_1),
		T(harvest__says_that_an_epoch_is_final),
		T(harvest__epochs_count_up),
		T(harvest__takes_nothing),
		T(open__lets_the_channels_send),
		T(open__ready_for_another_epoch),
		T(open__takes_nothing_but_ready),
		T(epoch__ends_with_the_channels_totals),
		T(epoch__end_says_whether_it_was_final),
		T(epoch__takes_nothing),
		T(barrier__harvests_again),
		T(barrier__done_with_another_epoch),
		T(barrier__takes_nothing_but_done),
		T(commit__hands_the_guest_over),
		T(commit__committed_is_the_good_end),
		T(commit__ignores_what_does_not_fit),
		T(commit__cannot_be_cancelled),
		T(commit__lost_contact_leaves_it_unknown),
		T(commit__silence_leaves_it_unknown),
		T(commit__the_peers_abort_gives_the_guest_back),
		T(commit__goes_on_saying_that_it_is_there),
		T(xm_src_step__traces_each_move),
		T(xm_src_state_name__names_every_state),
	};

	return cmocka_run_group_tests_name("src", tests, NULL, NULL);
}
