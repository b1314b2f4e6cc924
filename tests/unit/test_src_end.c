// SPDX-License-Identifier: GPL-2.0-or-later
/* test_src_end.c - how the source's session ends before COMMIT: cancelled,
 * aborted by the peer, contact lost; and its timers
 *
 * Whatever it is, the guest is the source's.
 */
#include "core/src.h"

#include "../lib/t_src.h"

/* -- cancelled here -------------------------------------------------------- */

static void cancelled_in(struct t_src *t, enum xm_src_state state)
{
	t_src_at(t, state);
	t_src_cancel(t, XM_REASON_STALLED, "channel 3 is stuck");
	t_src_assert_abort(t, XM_REASON_STALLED);
	assert_string_equal(t->s.outcome.text, "channel 3 is stuck");
}

static void cancel__in_init(void **state)
{
	cancelled_in(*state, XM_SRC_INIT);
}

static void cancel__in_hello(void **state)
{
	cancelled_in(*state, XM_SRC_HELLO);
}

static void cancel__in_probe(void **state)
{
	cancelled_in(*state, XM_SRC_PROBE);
}

static void cancel__in_harvest(void **state)
{
	cancelled_in(*state, XM_SRC_HARVEST);
}

static void cancel__in_open(void **state)
{
	cancelled_in(*state, XM_SRC_OPEN);
}

static void cancel__in_epoch(void **state)
{
	cancelled_in(*state, XM_SRC_EPOCH);
}

static void cancel__in_barrier(void **state)
{
	cancelled_in(*state, XM_SRC_BARRIER);
}

static void cancel__with_the_longest_text(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_EPOCH);
	char text[XM_MSG_TEXT];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	t_src_cancel(t, XM_REASON_INTERNAL, text);
	assert_string_equal(t->msg[0].abort.text, text);
	assert_string_equal(t->s.outcome.text, text);
}

/* -- aborted by the peer --------------------------------------------------- */

static void aborted_in(struct t_src *t, enum xm_src_state state)
{
	t_src_at(t, state);
	t_src_hear_type(t, XM_MSG_ABORT);
	assert_int_equal(t->act.flags, XM_ACT_FINISHED);
	assert_int_equal(t->act.n_msgs, 0);
	assert_int_equal(t->s.state, XM_SRC_FAILED);
	t_assert_outcome(&t->s.outcome, XM_REASON_MEMORY, XM_HOME_SOURCE, true);
	assert_string_equal(t->s.outcome.text, "no memory");
}

static void abort__in_hello(void **state)
{
	aborted_in(*state, XM_SRC_HELLO);
}

static void abort__in_probe(void **state)
{
	aborted_in(*state, XM_SRC_PROBE);
}

static void abort__in_harvest(void **state)
{
	aborted_in(*state, XM_SRC_HARVEST);
}

static void abort__in_open(void **state)
{
	aborted_in(*state, XM_SRC_OPEN);
}

static void abort__in_epoch(void **state)
{
	aborted_in(*state, XM_SRC_EPOCH);
}

static void abort__in_barrier(void **state)
{
	aborted_in(*state, XM_SRC_BARRIER);
}

static void abort__the_peers_user_is_not_ours(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_EPOCH);
	struct xm_msg m = t_abort(XM_REASON_CANCELLED, "");

	t_src_hear(t, &m);
	t_assert_outcome(&t->s.outcome, XM_REASON_PEER_CANCELLED,
			 XM_HOME_SOURCE, true);
}

/* -- contact lost ---------------------------------------------------------- */

static void lost_in(struct t_src *t, enum xm_src_state state)
{
	t_src_at(t, state);
	t_src_event(t, XM_EV_LOST);
	assert_int_equal(t->act.flags, XM_ACT_FINISHED);
	assert_int_equal(t->s.state, XM_SRC_FAILED);
	t_assert_outcome(&t->s.outcome, XM_REASON_PEER_LOST, XM_HOME_SOURCE,
			 false);
}

static void lost__in_init(void **state)
{
	lost_in(*state, XM_SRC_INIT);
}

static void lost__in_hello(void **state)
{
	lost_in(*state, XM_SRC_HELLO);
}

static void lost__in_probe(void **state)
{
	lost_in(*state, XM_SRC_PROBE);
}

static void lost__in_harvest(void **state)
{
	lost_in(*state, XM_SRC_HARVEST);
}

static void lost__in_open(void **state)
{
	lost_in(*state, XM_SRC_OPEN);
}

static void lost__in_epoch(void **state)
{
	lost_in(*state, XM_SRC_EPOCH);
}

static void lost__in_barrier(void **state)
{
	lost_in(*state, XM_SRC_BARRIER);
}

/* -- timers ---------------------------------------------------------------- */

static void xm_src_expiry__is_the_next_heartbeat(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);

	assert_int_equal(xm_src_expiry(&t->s).ns,
			 xm_time_add(t->now, XM_HEARTBEAT_MS * XM_MS).ns);
}

static void xm_src_expiry__or_the_peers_silence(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);
	struct xm_time begin = t->now;

	t_src_wait(t, XM_CTL_STALL_MS - 1);
	t_src_event(t, XM_EV_TIMER);
	t_assert_says(&t->act, XM_MSG_HEARTBEAT);
	assert_int_equal(xm_src_expiry(&t->s).ns,
			 xm_time_add(begin, XM_CTL_STALL_MS * XM_MS).ns);
}

static void timer__says_heartbeat_after_a_second(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_EPOCH);

	t_src_wait(t, XM_HEARTBEAT_MS - 1);
	t_src_event(t, XM_EV_TIMER);
	t_assert_nothing(&t->act);
	t_src_wait(t, 1);
	t_src_event(t, XM_EV_TIMER);
	t_assert_says(&t->act, XM_MSG_HEARTBEAT);
	assert_int_equal(t->act.flags, XM_ACT_SEND);
	t_src_event(t, XM_EV_TIMER);
	t_assert_nothing(&t->act);
}

static void timer__any_message_of_ours_is_a_heartbeat(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HARVEST);

	t_src_wait(t, XM_HEARTBEAT_MS - 1);
	t_src_event(t, XM_EV_NEXT_EPOCH);
	t_src_wait(t, XM_HEARTBEAT_MS - 1);
	t_src_event(t, XM_EV_TIMER);
	t_assert_nothing(&t->act);
}

static void timer__silence_is_lost_contact(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_EPOCH);

	t_src_wait(t, XM_CTL_STALL_MS - 1);
	t_src_event(t, XM_EV_TIMER);
	assert_int_equal(t->s.state, XM_SRC_EPOCH);
	t_src_wait(t, 1);
	t_src_event(t, XM_EV_TIMER);
	assert_int_equal(t->act.flags, XM_ACT_FINISHED);
	assert_int_equal(t->s.state, XM_SRC_FAILED);
	t_assert_outcome(&t->s.outcome, XM_REASON_PEER_LOST, XM_HOME_SOURCE,
			 false);
}

static void timer__a_heartbeat_ends_the_silence(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_EPOCH);

	t_src_wait(t, XM_CTL_STALL_MS - 1);
	t_src_hear_type(t, XM_MSG_HEARTBEAT);
	t_src_wait(t, XM_CTL_STALL_MS - 1);
	t_src_event(t, XM_EV_TIMER);
	assert_int_equal(t->s.state, XM_SRC_EPOCH);
}

static void timer__a_peer_that_never_answers_hello(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);

	t_src_wait(t, XM_CTL_STALL_MS);
	t_src_event(t, XM_EV_TIMER);
	assert_int_equal(t->s.state, XM_SRC_FAILED);
}

/* -- afterwards ------------------------------------------------------------ */

/* Nothing that happens now has an effect. */
static void assert_over(struct t_src *t)
{
	const struct xm_src before = t->s;

	t_src_wait(t, 60000);
	t_src_event(t, XM_EV_TIMER);
	t_assert_nothing(&t->act);
	t_src_event(t, XM_EV_LOST);
	t_assert_nothing(&t->act);
	t_src_event(t, XM_EV_PROVEN);
	t_assert_nothing(&t->act);
	t_src_cancel(t, XM_REASON_CANCELLED, "");
	t_assert_nothing(&t->act);
	t_src_hear_type(t, XM_MSG_ABORT);
	t_assert_nothing(&t->act);
	t_src_hear_type(t, XM_MSG_COMMITTED);
	t_assert_nothing(&t->act);
	assert_memory_equal(&t->s, &before, sizeof(before));
	assert_true(xm_time_is_never(xm_src_expiry(&t->s)));
}

/* HEARTBEATs come, and nothing else, for @ms: then, and not before, it ends. */
static void answers_within(struct t_src *t, enum xm_src_state state, int64_t ms)
{
	int64_t left;

	for (left = ms - 1; left > 0; left -= XM_HEARTBEAT_MS) {
		t_src_wait(t, left < XM_HEARTBEAT_MS ? left : XM_HEARTBEAT_MS);
		t_src_hear_type(t, XM_MSG_HEARTBEAT);
		t_src_event(t, XM_EV_TIMER);
	}
	assert_int_equal(t->s.state, state);
	t_src_wait(t, 1);
	assert_true(xm_src_expiry(&t->s).ns <= t->now.ns);
	t_src_event(t, XM_EV_TIMER);
	t_src_assert_abort(t, XM_REASON_STALLED);
}

static void timer__an_epoch_that_is_never_ready(void **state)
{
	answers_within(t_src_at(*state, XM_SRC_OPEN), XM_SRC_OPEN,
		       XM_ANSWER_MS);
}

static void timer__an_epoch_that_is_never_done(void **state)
{
	answers_within(t_src_at(*state, XM_SRC_BARRIER), XM_SRC_BARRIER,
		       XM_ANSWER_MS);
}

static void timer__paths_that_the_peer_never_proves(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_PROBE);

	t_src_event(t, XM_EV_PROVEN);
	answers_within(t, XM_SRC_PROBE, XM_ANSWER_MS);
}

/* What takes its time there, or here, has no deadline but the peer's silence. */
static void timer__heartbeats_are_enough(void **state)
{
	static const enum xm_src_state states[] = { XM_SRC_HELLO, XM_SRC_PROBE,
						    XM_SRC_HARVEST,
						    XM_SRC_EPOCH,
						    XM_SRC_COMMIT };
	const struct xm_src fresh = ((struct t_src *)*state)->s;
	unsigned int i, s;

	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct t_src *t = *state;

		t->s = fresh;
		t_src_at(t, states[i]);
		for (s = 0; s < 600; s++) {
			t_src_wait(t, 1000);
			t_src_hear_type(t, XM_MSG_HEARTBEAT);
			t_src_event(t, XM_EV_TIMER);
		}
		assert_int_equal(t->s.state, states[i]);
	}
}

static void done__is_final(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_COMMIT);

	t_src_hear_type(t, XM_MSG_COMMITTED);
	assert_over(t);
}

static void failed__is_final(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_EPOCH);

	t_src_event(t, XM_EV_LOST);
	assert_over(t);
}

static void unknown__is_final(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_COMMIT);

	t_src_event(t, XM_EV_LOST);
	assert_over(t);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, t_src_setup, t_src_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(cancel__in_init),
		T(cancel__in_hello),
		T(cancel__in_probe),
		T(cancel__in_harvest),
		T(cancel__in_open),
		T(cancel__in_epoch),
		T(cancel__in_barrier),
		T(cancel__with_the_longest_text),
		T(abort__in_hello),
		T(abort__in_probe),
		T(abort__in_harvest),
		T(abort__in_open),
		T(abort__in_epoch),
		T(abort__in_barrier),
		T(abort__the_peers_user_is_not_ours),
		T(lost__in_init),
		T(lost__in_hello),
		T(lost__in_probe),
		T(lost__in_harvest),
		T(lost__in_open),
		T(lost__in_epoch),
		T(lost__in_barrier),
		T(xm_src_expiry__is_the_next_heartbeat),
		T(xm_src_expiry__or_the_peers_silence),
		T(timer__says_heartbeat_after_a_second),
		T(timer__any_message_of_ours_is_a_heartbeat),
		T(timer__silence_is_lost_contact),
		T(timer__a_heartbeat_ends_the_silence),
		T(timer__a_peer_that_never_answers_hello),
		T(timer__an_epoch_that_is_never_ready),
		T(timer__an_epoch_that_is_never_done),
		T(timer__paths_that_the_peer_never_proves),
		T(timer__heartbeats_are_enough),
		T(done__is_final),
		T(failed__is_final),
		T(unknown__is_final),
	};

	return cmocka_run_group_tests_name("src_end", tests, NULL, NULL);
}
