// SPDX-License-Identifier: GPL-2.0-or-later
/* test_dst.c - the destination's way to a guest of its own; how it ends
 * otherwise is test_dst_end.c's
 */
#include "core/dst.h"

#include "../lib/t_dst.h"

/* -- beginning ------------------------------------------------------------- */

static void xm_dst_init__waits_for_the_conductor(void **state)
{
	struct t_dst *t = *state;

	assert_int_equal(t->d.state, XM_DST_INIT);
	assert_true(xm_time_is_never(xm_dst_expiry(&t->d)));
}

static void init__start_waits_for_hello(void **state)
{
	struct t_dst *t = *state;

	t_dst_event(t, XM_EV_START);
	t_assert_nothing(&t->act);
	assert_int_equal(t->d.state, XM_DST_HELLO);
}

/* -- HELLO ----------------------------------------------------------------- */

static void hello__is_considered(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_HELLO);
	struct xm_msg m = t_hello();

	t_dst_hear(t, &m);
	assert_int_equal(t->act.flags, XM_ACT_CONSIDER);
	assert_int_equal(t->act.n_msgs, 0);
	assert_int_equal(t->d.state, XM_DST_CONSIDER);
	assert_memory_equal(&t->d.hello, &m.hello, sizeof(m.hello));
}

static void hello__of_a_range_that_has_our_version(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_HELLO);
	struct xm_msg m = t_hello();

	m.hello.version_max = 9;
	t_dst_hear(t, &m);
	assert_int_equal(t->act.flags, XM_ACT_CONSIDER);
}

static void hello__of_later_versions_only(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_HELLO);
	struct xm_msg m = t_hello();

	m.hello.version_min = 2;
	m.hello.version_max = 9;
	t_dst_hear(t, &m);
	t_dst_assert_abort(t, XM_REASON_VERSION);
}

static void hello__of_earlier_versions_only(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_HELLO);
	struct xm_msg m = t_hello();

	m.hello.version_min = m.hello.version_max = 0;
	t_dst_hear(t, &m);
	t_dst_assert_abort(t, XM_REASON_VERSION);
}

static void hello__takes_nothing_but_hello(void **state)
{
	t_dst_takes_only(*state, XM_DST_HELLO, XM_MSG_HELLO);
}

/* -- CONSIDER -------------------------------------------------------------- */

static void consider__accepts_with_welcome(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_CONSIDER);
	struct xm_msg m = t_welcome();

	m.welcome.cookie[1] = 99;
	t_dst_event_msg(t, XM_EV_ACCEPT, &m);
	t_assert_says(&t->act, XM_MSG_WELCOME);
	assert_int_equal(t->act.flags, XM_ACT_SEND | XM_ACT_PROBE);
	assert_memory_equal(&t->msg[0].welcome, &m.welcome, sizeof(m.welcome));
	assert_int_equal(t->d.state, XM_DST_PROBE);
	assert_int_equal(t->d.agreed.cookie[1], 99);
}

static void consider__refuses(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_CONSIDER);

	t_dst_cancel(t, XM_REASON_REFUSED, "pc.ram: 2 GiB here, 4 GiB there");
	t_dst_assert_abort(t, XM_REASON_REFUSED);
	assert_string_equal(t->d.outcome.text,
			    "pc.ram: 2 GiB here, 4 GiB there");
}

static void consider__takes_nothing(void **state)
{
	t_dst_takes_only(*state, XM_DST_CONSIDER, XM_MSG_HEARTBEAT);
}

/* -- PROBE ----------------------------------------------------------------- */

static void probe__says_that_its_own_paths_are_proven(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_PROBE);

	t_dst_event(t, XM_EV_PROVEN);
	t_assert_says(&t->act, XM_MSG_PROVEN);
	assert_int_equal(t->act.flags, XM_ACT_SEND);
	assert_int_equal(t->d.state, XM_DST_PROBE);
}

static void probe__ready_when_the_peer_is_second(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_PROBE);

	t_dst_event(t, XM_EV_PROVEN);
	t_dst_hear_type(t, XM_MSG_PROVEN);
	t_assert_nothing(&t->act);
	assert_int_equal(t->d.state, XM_DST_READY);
}

static void probe__ready_when_the_peer_was_first(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_PROBE);

	t_dst_hear_type(t, XM_MSG_PROVEN);
	t_assert_nothing(&t->act);
	assert_int_equal(t->d.state, XM_DST_PROBE);
	t_dst_event(t, XM_EV_PROVEN);
	t_assert_says(&t->act, XM_MSG_PROVEN);
	assert_int_equal(t->d.state, XM_DST_READY);
}

static void probe__proven_twice_is_a_breach(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_PROBE);

	t_dst_hear_type(t, XM_MSG_PROVEN);
	t_dst_hear_type(t, XM_MSG_PROVEN);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void probe__takes_nothing_but_proven(void **state)
{
	t_dst_takes_only(*state, XM_DST_PROBE, XM_MSG_PROVEN);
}

/* -- READY ----------------------------------------------------------------- */

static void ready__opens_the_epoch_that_begins(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_hear_begin(t, 1, false);
	assert_int_equal(t->act.flags, XM_ACT_OPEN_EPOCH);
	assert_int_equal(t->act.epoch, 1);
	assert_int_equal(t->d.state, XM_DST_OPEN);
}

static void ready__epochs_count_up(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_whole_epoch(t, false);
	t_dst_hear_begin(t, 2, false);
	assert_int_equal(t->act.epoch, 2);
	assert_int_equal(t->d.state, XM_DST_OPEN);
}

static void ready__an_epoch_left_out_is_a_breach(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_hear_begin(t, 2, false);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void ready__an_epoch_again_is_a_breach(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_whole_epoch(t, false);
	t_dst_hear_begin(t, 1, false);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void ready__an_epoch_after_the_final_one_is_a_breach(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_whole_epoch(t, true);
	t_dst_hear_begin(t, 2, false);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void ready__commit_takes_the_guest(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_whole_epoch(t, true);
	t_dst_hear_type(t, XM_MSG_COMMIT);
	assert_int_equal(t->act.flags, XM_ACT_TAKE_GUEST);
	assert_int_equal(t->d.state, XM_DST_COMMIT);
}

static void ready__commit_before_any_epoch_is_a_breach(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_hear_type(t, XM_MSG_COMMIT);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void ready__commit_before_the_final_epoch_is_a_breach(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_whole_epoch(t, false);
	t_dst_hear_type(t, XM_MSG_COMMIT);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void ready__takes_nothing_else(void **state)
{
	/* t_any()'s EPOCH_BEGIN is of epoch 0, which is none */
	t_dst_takes_only(*state, XM_DST_READY, XM_MSG_HEARTBEAT);
}

/* -- OPEN ------------------------------------------------------------------ */

static void open__says_when_the_channels_take_it(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_OPEN);

	t_dst_event(t, XM_EV_OPENED);
	t_assert_says(&t->act, XM_MSG_EPOCH_READY);
	assert_int_equal(t->msg[0].epoch.epoch, 1);
	assert_int_equal(t->d.state, XM_DST_EPOCH);
}

static void open__says_whether_it_is_final(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_hear_begin(t, 1, true);
	t_dst_event(t, XM_EV_OPENED);
	t_assert_says(&t->act, XM_MSG_EPOCH_READY);
	assert_int_equal(t->msg[0].epoch.is_final, 1);
}

static void open__takes_nothing(void **state)
{
	t_dst_takes_only(*state, XM_DST_OPEN, XM_MSG_HEARTBEAT);
}

/* -- EPOCH ----------------------------------------------------------------- */

static void epoch__end_asks_for_totals(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_EPOCH);
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 1);

	t_dst_hear(t, &m);
	assert_int_equal(t->act.flags, XM_ACT_TOTALS);
	assert_int_equal(t->d.state, XM_DST_TOTALS);
}

static void epoch__end_of_another_epoch_is_a_breach(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_EPOCH);
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 2);

	t_dst_hear(t, &m);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void epoch__end_for_other_channels_is_a_breach(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_EPOCH);
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 1);

	m.epoch.n_channels--;
	t_dst_hear(t, &m);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void epoch__takes_nothing_but_end(void **state)
{
	t_dst_takes_only(*state, XM_DST_EPOCH, XM_MSG_EPOCH_END);
}

/* -- TOTALS ---------------------------------------------------------------- */

static void totals__done_when_they_are_the_same(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_TOTALS);
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 1);

	t_dst_event_msg(t, XM_EV_INSTALLED, &m);
	t_assert_says(&t->act, XM_MSG_EPOCH_DONE);
	assert_int_equal(t->act.flags, XM_ACT_SEND);
	assert_int_equal(t->msg[0].epoch.epoch, 1);
	assert_int_equal(t->d.state, XM_DST_READY);
}

static void totals__the_peers_sums_are_not_told(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_TOTALS);
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 1);

	t->d.announced.totals[0].sum_announced = 0;
	t->d.announced.totals[0].sum_placed = 0;
	t_dst_event_msg(t, XM_EV_INSTALLED, &m);
	t_assert_says(&t->act, XM_MSG_EPOCH_DONE);
}

static void totals__done_says_whether_it_was_final(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_whole_epoch(t, true);
	t_assert_says(&t->act, XM_MSG_EPOCH_DONE);
	assert_int_equal(t->msg[0].epoch.is_final, 1);
}

static void totals__the_first_epoch_must_be_of_all_pages(void **state)
{
	struct t_dst *t = *state;
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 1);

	t_dst_at(t, XM_DST_EPOCH);
	m.epoch.totals[1].zero_pages--;
	t_dst_hear(t, &m);
	t_dst_event_msg(t, XM_EV_INSTALLED, &m);
	t_dst_assert_abort(t, XM_REASON_INTEGRITY);
}

static void totals__a_later_epoch_need_not(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 2);

	t_dst_whole_epoch(t, false);
	t_dst_at(t, XM_DST_EPOCH);
	m.epoch.totals[1].zero_pages--;
	t_dst_hear(t, &m);
	t_dst_event_msg(t, XM_EV_INSTALLED, &m);
	t_assert_says(&t->act, XM_MSG_EPOCH_DONE);
}

/* In epoch 2, which need not be of all pages. */
static void refuse_totals(struct t_dst *t, const struct xm_msg *m)
{
	t_dst_at(t, XM_DST_READY);
	t_dst_whole_epoch(t, false);
	t_dst_at(t, XM_DST_TOTALS);
	t_dst_event_msg(t, XM_EV_INSTALLED, m);
	t_dst_assert_abort(t, XM_REASON_INTEGRITY);
}

static void totals__frames_missing(void **state)
{
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 2);

	m.epoch.totals[0].frames--;
	refuse_totals(*state, &m);
}

static void totals__packets_missing(void **state)
{
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 2);

	m.epoch.totals[1].packets--;
	refuse_totals(*state, &m);
}

static void totals__pages_missing(void **state)
{
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 2);

	m.epoch.totals[1].bytes_placed -= XM_PAGE_SIZE;
	m.epoch.totals[1].pages_announced--;
	refuse_totals(*state, &m);
}

static void totals__bytes_too_many(void **state)
{
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 2);

	m.epoch.totals[0].bytes_placed++;
	refuse_totals(*state, &m);
}

static void totals__zero_pages_missing_on_the_last_channel(void **state)
{
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 2);

	m.epoch.totals[T_CHANNELS - 1].zero_pages--;
	refuse_totals(*state, &m);
}

static void totals__other_pages_than_announced(void **state)
{
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 2);

	m.epoch.totals[2].sum_placed++;
	refuse_totals(*state, &m);
}

static void totals__takes_nothing(void **state)
{
	t_dst_takes_only(*state, XM_DST_TOTALS, XM_MSG_HEARTBEAT);
}

/* The number is right, but a page came twice and another never. */
static void totals__the_first_epoch_must_be_of_each_page(void **state)
{
	struct t_dst *t = *state;
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 1);

	t_dst_at(t, XM_DST_EPOCH);
	t_dst_hear(t, &m);
	m.epoch.totals[1].sum_zero +=
		(xm_page_hash(0, 0) - xm_page_hash(0, 4096)) * XM_PAGE_SIZE;
	t_dst_event_msg(t, XM_EV_INSTALLED, &m);
	t_dst_assert_abort(t, XM_REASON_INTEGRITY);
}

/* -- COMMIT ---------------------------------------------------------------- */

static void commit__says_that_the_guest_was_taken(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_COMMIT);

	t_dst_event(t, XM_EV_COMMIT);
	t_assert_says(&t->act, XM_MSG_COMMITTED);
	assert_int_equal(t->act.flags, XM_ACT_SEND | XM_ACT_FINISHED);
	assert_int_equal(t->d.state, XM_DST_DONE);
	t_assert_outcome(&t->d.outcome, XM_REASON_NONE, XM_HOME_TARGET, false);
}

static void commit__whatever_the_peer_says(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_COMMIT);
	enum xm_msg_type type;

	for (type = XM_MSG_HELLO; type <= T_MSG_LAST; type++) {
		t_dst_hear_type(t, type);
		t_assert_nothing(&t->act);
		assert_int_equal(t->d.state, XM_DST_COMMIT);
	}
}

static void commit__whatever_becomes_of_the_connection(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_COMMIT);

	t_dst_event(t, XM_EV_LOST);
	t_assert_nothing(&t->act);
	assert_int_equal(t->d.state, XM_DST_COMMIT);
	t_dst_event(t, XM_EV_COMMIT);
	t_assert_outcome(&t->d.outcome, XM_REASON_NONE, XM_HOME_TARGET, false);
}

static void commit__however_long_the_peer_is_silent(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_COMMIT);

	t_dst_wait(t, 100 * XM_CTL_STALL_MS);
	t_dst_event(t, XM_EV_TIMER);
	t_assert_says(&t->act, XM_MSG_HEARTBEAT);
	assert_int_equal(t->d.state, XM_DST_COMMIT);
}

static void commit__gives_a_guest_back_that_cannot_run(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_COMMIT);

	t_dst_cancel(t, XM_REASON_MEMORY, "cannot be mapped");
	t_dst_assert_abort(t, XM_REASON_MEMORY);
}

static void xm_dst_step__traces_each_move(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_COMMIT);
	const struct xm_trace_event *ev;

	ev = t_trace_last(&t->trace, XM_TRACE_STATE);
	assert_int_equal(ev->a, XM_DST_READY);
	assert_int_equal(ev->b, XM_DST_COMMIT);
	assert_int_equal(ev->now.ns, t->now.ns);
	assert_string_equal(t_trace_take(&t->trace, XM_TRACE_STATE), "0-7 4");
}

static void xm_dst_state_name__names_every_state(void **state)
{
	(void)state;
	assert_string_equal(xm_dst_state_name(XM_DST_INIT), "init");
	assert_string_equal(xm_dst_state_name(XM_DST_TOTALS), "totals");
	assert_string_equal(xm_dst_state_name(XM_DST_FAILED), "failed");
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, t_dst_setup, t_dst_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_dst_init__waits_for_the_conductor),
		T(init__start_waits_for_hello),
		T(hello__is_considered),
		T(hello__of_a_range_that_has_our_version),
		T(hello__of_later_versions_only),
		T(hello__of_earlier_versions_only),
		T(hello__takes_nothing_but_hello),
		T(consider__accepts_with_welcome),
		T(consider__refuses),
		T(consider__takes_nothing),
		T(probe__says_that_its_own_paths_are_proven),
		T(probe__ready_when_the_peer_is_second),
		T(probe__ready_when_the_peer_was_first),
		T(probe__proven_twice_is_a_breach),
		T(probe__takes_nothing_but_proven),
		T(ready__opens_the_epoch_that_begins),
		T(ready__epochs_count_up),
		T(ready__an_epoch_left_out_is_a_breach),
		T(ready__an_epoch_again_is_a_breach),
		T(ready__an_epoch_after_the_final_one_is_a_breach),
		T(ready__commit_takes_the_guest),
		T(ready__commit_before_any_epoch_is_a_breach),
		T(ready__commit_before_the_final_epoch_is_a_breach),
		T(ready__takes_nothing_else),
		T(open__says_when_the_channels_take_it),
		T(open__says_whether_it_is_final),
		T(open__takes_nothing),
		T(epoch__end_asks_for_totals),
		T(epoch__end_of_another_epoch_is_a_breach),
		T(epoch__end_for_other_channels_is_a_breach),
		T(epoch__takes_nothing_but_end),
		T(totals__done_when_they_are_the_same),
		T(totals__the_peers_sums_are_not_told),
		T(totals__done_says_whether_it_was_final),
		T(totals__the_first_epoch_must_be_of_all_pages),
		T(totals__the_first_epoch_must_be_of_each_page),
		T(totals__a_later_epoch_need_not),
		T(totals__frames_missing),
		T(totals__packets_missing),
		T(totals__pages_missing),
		T(totals__bytes_too_many),
		T(totals__zero_pages_missing_on_the_last_channel),
		T(totals__other_pages_than_announced),
		T(totals__takes_nothing),
		T(commit__says_that_the_guest_was_taken),
		T(commit__whatever_the_peer_says),
		T(commit__whatever_becomes_of_the_connection),
		T(commit__however_long_the_peer_is_silent),
		T(commit__gives_a_guest_back_that_cannot_run),
		T(xm_dst_step__traces_each_move),
		T(xm_dst_state_name__names_every_state),
	};

	return cmocka_run_group_tests_name("dst", tests, NULL, NULL);
}
