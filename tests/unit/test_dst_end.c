// SPDX-License-Identifier: GPL-2.0-or-later
/* test_dst_end.c - how the destination's session ends before COMMIT: cancelled,
 * aborted by the peer, contact lost; and its timers
 *
 * Whatever it is, the guest is the source's.
 */
#include "core/dst.h"

#include "../lib/t_dst.h"

/* -- cancelled here -------------------------------------------------------- */

static void cancelled_in(struct t_dst *t, enum xm_dst_state state)
{
	t_dst_at(t, state);
	t_dst_cancel(t, XM_REASON_DEVICE, "eth0: link is down");
	t_dst_assert_abort(t, XM_REASON_DEVICE);
	assert_string_equal(t->d.outcome.text, "eth0: link is down");
}

static void cancel__in_hello(void **state)
{
	cancelled_in(*state, XM_DST_HELLO);
}

static void cancel__in_consider(void **state)
{
	cancelled_in(*state, XM_DST_CONSIDER);
}

static void cancel__in_probe(void **state)
{
	cancelled_in(*state, XM_DST_PROBE);
}

static void cancel__in_ready(void **state)
{
	cancelled_in(*state, XM_DST_READY);
}

static void cancel__in_open(void **state)
{
	cancelled_in(*state, XM_DST_OPEN);
}

static void cancel__in_epoch(void **state)
{
	cancelled_in(*state, XM_DST_EPOCH);
}

static void cancel__in_totals(void **state)
{
	cancelled_in(*state, XM_DST_TOTALS);
}

/* -- aborted by the peer --------------------------------------------------- */

static void aborted_in(struct t_dst *t, enum xm_dst_state state)
{
	t_dst_at(t, state);
	t_dst_hear_type(t, XM_MSG_ABORT);
	assert_int_equal(t->act.flags, XM_ACT_FINISHED);
	assert_int_equal(t->act.n_msgs, 0);
	assert_int_equal(t->d.state, XM_DST_FAILED);
	t_assert_outcome(&t->d.outcome, XM_REASON_MEMORY, XM_HOME_SOURCE, true);
	assert_string_equal(t->d.outcome.text, "no memory");
}

static void abort__in_hello(void **state)
{
	aborted_in(*state, XM_DST_HELLO);
}

static void abort__in_consider(void **state)
{
	aborted_in(*state, XM_DST_CONSIDER);
}

static void abort__in_probe(void **state)
{
	aborted_in(*state, XM_DST_PROBE);
}

static void abort__in_ready(void **state)
{
	aborted_in(*state, XM_DST_READY);
}

static void abort__in_open(void **state)
{
	aborted_in(*state, XM_DST_OPEN);
}

static void abort__in_epoch(void **state)
{
	aborted_in(*state, XM_DST_EPOCH);
}

static void abort__in_totals(void **state)
{
	aborted_in(*state, XM_DST_TOTALS);
}

static void abort__the_peers_user_is_not_ours(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_EPOCH);
	struct xm_msg m = t_abort(XM_REASON_CANCELLED, "");

	t_dst_hear(t, &m);
	t_assert_outcome(&t->d.outcome, XM_REASON_PEER_CANCELLED,
			 XM_HOME_SOURCE, true);
}

/* -- contact lost ---------------------------------------------------------- */

static void lost_in(struct t_dst *t, enum xm_dst_state state)
{
	t_dst_at(t, state);
	t_dst_event(t, XM_EV_LOST);
	assert_int_equal(t->act.flags, XM_ACT_FINISHED);
	assert_int_equal(t->d.state, XM_DST_FAILED);
	t_assert_outcome(&t->d.outcome, XM_REASON_PEER_LOST, XM_HOME_SOURCE,
			 false);
}

static void lost__in_hello(void **state)
{
	lost_in(*state, XM_DST_HELLO);
}

static void lost__in_consider(void **state)
{
	lost_in(*state, XM_DST_CONSIDER);
}

static void lost__in_probe(void **state)
{
	lost_in(*state, XM_DST_PROBE);
}

static void lost__in_ready(void **state)
{
	lost_in(*state, XM_DST_READY);
}

static void lost__in_ready_after_the_final_epoch(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_whole_epoch(t, true);
	lost_in(t, XM_DST_READY);
}

static void lost__in_open(void **state)
{
	lost_in(*state, XM_DST_OPEN);
}

static void lost__in_epoch(void **state)
{
	lost_in(*state, XM_DST_EPOCH);
}

static void lost__in_totals(void **state)
{
	lost_in(*state, XM_DST_TOTALS);
}

/* -- timers ---------------------------------------------------------------- */

static void xm_dst_expiry__is_the_next_heartbeat(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_EPOCH);

	assert_int_equal(xm_dst_expiry(&t->d).ns,
			 xm_time_add(t->now, XM_HEARTBEAT_MS * XM_MS).ns);
}

static void xm_dst_expiry__or_the_peers_silence(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_EPOCH);
	struct xm_time begin = t->now;

	t_dst_wait(t, XM_CTL_STALL_MS - 1);
	t_dst_event(t, XM_EV_TIMER);
	t_assert_says(&t->act, XM_MSG_HEARTBEAT);
	assert_int_equal(xm_dst_expiry(&t->d).ns,
			 xm_time_add(begin, XM_CTL_STALL_MS * XM_MS).ns);
}

static void xm_dst_expiry__no_deadline_in_commit(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_COMMIT);

	t_dst_wait(t, XM_CTL_STALL_MS - 1);
	t_dst_event(t, XM_EV_TIMER);
	assert_int_equal(xm_dst_expiry(&t->d).ns,
			 xm_time_add(t->now, XM_HEARTBEAT_MS * XM_MS).ns);
}

static void timer__says_heartbeat_after_a_second(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_EPOCH);

	t_dst_wait(t, XM_HEARTBEAT_MS - 1);
	t_dst_event(t, XM_EV_TIMER);
	t_assert_nothing(&t->act);
	t_dst_wait(t, 1);
	t_dst_event(t, XM_EV_TIMER);
	t_assert_says(&t->act, XM_MSG_HEARTBEAT);
	assert_int_equal(t->act.flags, XM_ACT_SEND);
	t_dst_event(t, XM_EV_TIMER);
	t_assert_nothing(&t->act);
}

static void timer__any_message_of_ours_is_a_heartbeat(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_OPEN);

	t_dst_wait(t, XM_HEARTBEAT_MS - 1);
	t_dst_event(t, XM_EV_OPENED);
	t_dst_wait(t, XM_HEARTBEAT_MS - 1);
	t_dst_event(t, XM_EV_TIMER);
	t_assert_nothing(&t->act);
}

static void timer__silence_is_lost_contact(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_EPOCH);

	t_dst_wait(t, XM_CTL_STALL_MS - 1);
	t_dst_event(t, XM_EV_TIMER);
	assert_int_equal(t->d.state, XM_DST_EPOCH);
	t_dst_wait(t, 1);
	t_dst_event(t, XM_EV_TIMER);
	assert_int_equal(t->act.flags, XM_ACT_FINISHED);
	assert_int_equal(t->d.state, XM_DST_FAILED);
	t_assert_outcome(&t->d.outcome, XM_REASON_PEER_LOST, XM_HOME_SOURCE,
			 false);
}

static void timer__a_heartbeat_ends_the_silence(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_EPOCH);

	t_dst_wait(t, XM_CTL_STALL_MS - 1);
	t_dst_hear_type(t, XM_MSG_HEARTBEAT);
	t_dst_wait(t, XM_CTL_STALL_MS - 1);
	t_dst_event(t, XM_EV_TIMER);
	assert_int_equal(t->d.state, XM_DST_EPOCH);
}

static void timer__who_does_not_say_hello_is_a_stranger(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_HELLO);

	t_dst_wait(t, XM_HELLO_MS - 1);
	t_dst_event(t, XM_EV_TIMER);
	assert_int_equal(t->d.state, XM_DST_HELLO);
	t_dst_wait(t, 1);
	t_dst_event(t, XM_EV_TIMER);
	assert_int_equal(t->d.state, XM_DST_FAILED);
	t_assert_outcome(&t->d.outcome, XM_REASON_PEER_LOST, XM_HOME_SOURCE,
			 false);
}

static void timer__heartbeats_buy_a_stranger_no_time(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_HELLO);

	t_dst_wait(t, XM_HELLO_MS - 1);
	t_dst_hear_type(t, XM_MSG_HEARTBEAT);
	t_dst_wait(t, 1);
	t_dst_event(t, XM_EV_TIMER);
	assert_int_equal(t->d.state, XM_DST_FAILED);
}

/* -- afterwards ------------------------------------------------------------ */

/* Nothing that happens now has an effect. */
static void assert_over(struct t_dst *t)
{
	const struct xm_dst before = t->d;

	t_dst_wait(t, 60000);
	t_dst_event(t, XM_EV_TIMER);
	t_assert_nothing(&t->act);
	t_dst_event(t, XM_EV_LOST);
	t_assert_nothing(&t->act);
	t_dst_event(t, XM_EV_OPENED);
	t_assert_nothing(&t->act);
	t_dst_cancel(t, XM_REASON_CANCELLED, "");
	t_assert_nothing(&t->act);
	t_dst_hear_type(t, XM_MSG_ABORT);
	t_assert_nothing(&t->act);
	t_dst_hear_type(t, XM_MSG_COMMIT);
	t_assert_nothing(&t->act);
	assert_memory_equal(&t->d, &before, sizeof(before));
	assert_true(xm_time_is_never(xm_dst_expiry(&t->d)));
}

static void done__is_final(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_COMMIT);

	t_dst_event(t, XM_EV_COMMIT);
	assert_over(t);
}

static void failed__is_final(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_whole_epoch(t, true);
	t_dst_event(t, XM_EV_LOST);
	assert_over(t);
}

static void failed__after_commit_is_final(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_COMMIT);

	t_dst_cancel(t, XM_REASON_MEMORY, "cannot be mapped");
	assert_over(t);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, t_dst_setup, t_dst_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(cancel__in_hello),
		T(cancel__in_consider),
		T(cancel__in_probe),
		T(cancel__in_ready),
		T(cancel__in_open),
		T(cancel__in_epoch),
		T(cancel__in_totals),
		T(abort__in_hello),
		T(abort__in_consider),
		T(abort__in_probe),
		T(abort__in_ready),
		T(abort__in_open),
		T(abort__in_epoch),
		T(abort__in_totals),
		T(abort__the_peers_user_is_not_ours),
		T(lost__in_hello),
		T(lost__in_consider),
		T(lost__in_probe),
		T(lost__in_ready),
		T(lost__in_ready_after_the_final_epoch),
		T(lost__in_open),
		T(lost__in_epoch),
		T(lost__in_totals),
		T(xm_dst_expiry__is_the_next_heartbeat),
		T(xm_dst_expiry__or_the_peers_silence),
		T(xm_dst_expiry__no_deadline_in_commit),
		T(timer__says_heartbeat_after_a_second),
		T(timer__any_message_of_ours_is_a_heartbeat),
		T(timer__silence_is_lost_contact),
		T(timer__a_heartbeat_ends_the_silence),
		T(timer__who_does_not_say_hello_is_a_stranger),
		T(timer__heartbeats_buy_a_stranger_no_time),
		T(done__is_final),
		T(failed__is_final),
		T(failed__after_commit_is_final),
	};

	return cmocka_run_group_tests_name("dst_end", tests, NULL, NULL);
}
