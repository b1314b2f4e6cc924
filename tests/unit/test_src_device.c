// SPDX-License-Identifier: GPL-2.0-or-later
/* test_src_device.c - the source's session with device state: its window, its
 * end, and what a peer may say about it; all else is test_src.c's
 */
#include "core/src.h"

#include "../lib/t_src.h"

static int device_setup(void **state)
{
	struct t_src *t;

	t_src_setup(state);
	t = *state;
	t->s.hello.features = XM_FEATURE_DEVICE;
	return 0;
}

static void hear_ack(struct t_src *t, uint64_t bytes)
{
	struct xm_msg m = t_device_ack(bytes);

	t_src_hear(t, &m);
}

static void fill_window(struct t_src *t)
{
	while (xm_src_device_room(&t->s) >= XM_DEVICE_CHUNK)
		t_src_device(t, XM_DEVICE_CHUNK);
	if (xm_src_device_room(&t->s))
		t_src_device(t, (uint32_t)xm_src_device_room(&t->s));
	assert_int_equal(t->s.device_sent - t->s.device_acked,
			 XM_DEVICE_WINDOW);
}

/* -- agreeing -------------------------------------------------------------- */

static void hello__offers_device_state(void **state)
{
	struct t_src *t = *state;

	t_src_event(t, XM_EV_START);
	assert_int_equal(t->msg[0].hello.features, XM_FEATURE_DEVICE);
}

static void hello__a_target_for_memory_only_is_none(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);
	struct xm_msg m = t_welcome();

	t_src_hear(t, &m);
	t_src_assert_abort(t, XM_REASON_REFUSED);
}

static void hello__what_was_not_offered_cannot_be_agreed(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);
	struct xm_msg m = t_welcome();

	m.welcome.features = XM_FEATURE_DEVICE | 1ull << 40;
	t_src_hear(t, &m);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void hello__other_offers_need_not_be_taken(void **state)
{
	struct t_src *t = *state;
	struct xm_msg m = t_welcome();

	t->s.hello.features |= 1ull << 40;
	t_src_at(t, XM_SRC_HELLO);
	m.welcome.features = XM_FEATURE_DEVICE;
	t_src_hear(t, &m);
	assert_int_equal(t->s.state, XM_SRC_PROBE);
}

/* -- the window ------------------------------------------------------------ */

static void room__is_a_window_from_harvest_to_barrier(void **state)
{
	struct t_src *t = *state;

	assert_int_equal(xm_src_device_room(&t->s), 0);
	while (t->s.state != XM_SRC_HARVEST) {
		t_src_advance(t);
		assert_int_equal(
			xm_src_device_room(&t->s),
			t->s.state == XM_SRC_HARVEST ? XM_DEVICE_WINDOW : 0);
	}
	for (; t->s.state != XM_SRC_BARRIER; t_src_advance(t))
		assert_int_equal(xm_src_device_room(&t->s), XM_DEVICE_WINDOW);
	assert_int_equal(xm_src_device_room(&t->s), XM_DEVICE_WINDOW);
}

static void room__is_none_without_the_feature(void **state)
{
	struct t_src *t = *state;

	t->s.hello.features = 0;
	t_src_at(t, XM_SRC_HARVEST);
	assert_int_equal(xm_src_device_room(&t->s), 0);
}

static void room__is_none_after_the_end(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_DEVICE);

	assert_int_equal(xm_src_device_room(&t->s), 0);
	t_src_hear_type(t, XM_MSG_LOADED);
	assert_int_equal(t->s.state, XM_SRC_HARVEST);
	assert_int_equal(xm_src_device_room(&t->s), 0);
}

static void room__is_none_when_it_has_failed(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_EPOCH);

	t_src_event(t, XM_EV_LOST);
	assert_int_equal(xm_src_device_room(&t->s), 0);
}

static void device__is_said_with_its_offset(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_EPOCH);
	struct xm_msg m = t_device(99, 5);
	const struct xm_event ev = { .kind = XM_EV_DEVICE, .msg = &m };

	t_src_device(t, 7);
	t_src_step(t, &ev);
	t_assert_says(&t->act, XM_MSG_DEVICE);
	assert_int_equal(t->act.flags, XM_ACT_SEND);
	assert_int_equal(t->msg[0].device.offset, 7);
	assert_int_equal(t->msg[0].device.len, 5);
	assert_ptr_equal(t->msg[0].device.data, m.device.data);
	assert_int_equal(xm_src_device_room(&t->s), XM_DEVICE_WINDOW - 12);
	assert_int_equal(t->s.state, XM_SRC_EPOCH);
}

static void device__may_be_said_from_harvest_to_barrier(void **state)
{
	static const enum xm_src_state states[] = { XM_SRC_HARVEST, XM_SRC_OPEN,
						    XM_SRC_EPOCH,
						    XM_SRC_BARRIER };
	struct t_src *t = *state;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		t_src_at(t, states[i]);
		t_src_device(t, XM_DEVICE_CHUNK);
		t_assert_says(&t->act, XM_MSG_DEVICE);
		assert_int_equal(t->msg[0].device.offset, i * XM_DEVICE_CHUNK);
		assert_int_equal(t->s.state, states[i]);
	}
}

static void device__is_a_heartbeat(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_EPOCH);

	t_src_wait(t, XM_HEARTBEAT_MS - 1);
	t_src_device(t, 1);
	t_src_wait(t, XM_HEARTBEAT_MS - 1);
	t_src_event(t, XM_EV_TIMER);
	t_assert_nothing(&t->act);
}

static void ack__opens_the_window(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HARVEST);

	fill_window(t);
	assert_int_equal(xm_src_device_room(&t->s), 0);
	hear_ack(t, 100);
	assert_int_equal(t->act.flags, XM_ACT_DEVICE);
	assert_int_equal(t->act.n_msgs, 0);
	assert_int_equal(xm_src_device_room(&t->s), 100);
	hear_ack(t, XM_DEVICE_WINDOW);
	assert_int_equal(xm_src_device_room(&t->s), XM_DEVICE_WINDOW);
	fill_window(t);
	assert_int_equal(t->s.device_sent, 2 * XM_DEVICE_WINDOW);
}

static void ack__that_says_nothing_new_is_none(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HARVEST);

	t_src_device(t, 100);
	hear_ack(t, 50);
	hear_ack(t, 50);
	t_assert_nothing(&t->act);
	assert_int_equal(t->s.state, XM_SRC_HARVEST);
}

static void ack__may_come_from_harvest_on(void **state)
{
	static const enum xm_src_state states[] = { XM_SRC_HARVEST, XM_SRC_OPEN,
						    XM_SRC_EPOCH,
						    XM_SRC_BARRIER };
	struct t_src *t = *state;
	unsigned int i;

	t_src_at(t, XM_SRC_HARVEST);
	t_src_device(t, 100);
	for (i = 0; i < 4; i++) {
		t_src_at(t, states[i]);
		hear_ack(t, i + 1);
		assert_int_equal(t->act.flags, XM_ACT_DEVICE);
		assert_int_equal(t->s.state, states[i]);
	}
}

static void ack__after_the_end_asks_for_nothing(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HARVEST);

	t_src_device(t, 100);
	t_src_at(t, XM_SRC_DEVICE);
	hear_ack(t, 100);
	t_assert_nothing(&t->act);
	assert_int_equal(t->s.state, XM_SRC_DEVICE);
	assert_int_equal(t->s.device_acked, 100);
}

static void ack__of_more_than_was_sent(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HARVEST);

	t_src_device(t, 100);
	hear_ack(t, 101);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void ack__of_less_than_before(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_EPOCH);

	t_src_device(t, 100);
	hear_ack(t, 60);
	hear_ack(t, 59);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void ack__before_harvest(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_PROBE);

	hear_ack(t, 0);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void ack__without_the_feature(void **state)
{
	struct t_src *t = *state;

	t->s.hello.features = 0;
	t_src_at(t, XM_SRC_HARVEST);
	hear_ack(t, 0);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

/* -- the end of it --------------------------------------------------------- */

static void end__says_how_much_it_was(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HARVEST);

	t_src_device(t, 77);
	t_src_whole_epoch(t, true);
	t_src_device(t, 11);
	t_src_device_end(t, true);
	t_assert_says(&t->act, XM_MSG_DEVICE_END);
	assert_int_equal(t->act.flags, XM_ACT_SEND);
	assert_int_equal(t->msg[0].device_end.total, 88);
	assert_int_equal(t->msg[0].device_end.runs, 1);
	assert_int_equal(t->s.state, XM_SRC_DEVICE);
}

static void end__says_of_a_guest_that_was_paused_before(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HARVEST);

	t_src_whole_epoch(t, true);
	t_src_device_end(t, false);
	assert_int_equal(t->msg[0].device_end.runs, 0);
}

static void device__loaded_lets_it_commit(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_DEVICE);

	assert_false(t->s.is_loaded);
	t_src_hear_type(t, XM_MSG_LOADED);
	assert_int_equal(t->act.flags, XM_ACT_HARVEST);
	assert_int_equal(t->s.state, XM_SRC_HARVEST);
	assert_true(t->s.is_loaded);
	t_src_event(t, XM_EV_COMMIT);
	t_assert_says(&t->act, XM_MSG_COMMIT);
	assert_int_equal(t->s.state, XM_SRC_COMMIT);
}

/* Of nothing: t_any()'s. */
static void takes_acks_and(struct t_src *t, enum xm_src_state state,
			   enum xm_msg_type legal)
{
	t_src_takes(t, state, legal, XM_MSG_DEVICE_ACK);
}

static void harvest__takes_acks_only(void **state)
{
	takes_acks_and(*state, XM_SRC_HARVEST, XM_MSG_HEARTBEAT);
}

static void open__takes_acks_too(void **state)
{
	takes_acks_and(*state, XM_SRC_OPEN, XM_MSG_EPOCH_READY);
}

static void epoch__takes_acks_only(void **state)
{
	takes_acks_and(*state, XM_SRC_EPOCH, XM_MSG_HEARTBEAT);
}

static void barrier__takes_acks_too(void **state)
{
	takes_acks_and(*state, XM_SRC_BARRIER, XM_MSG_EPOCH_DONE);
}

static void device__takes_nothing_but_loaded(void **state)
{
	takes_acks_and(*state, XM_SRC_DEVICE, XM_MSG_LOADED);
}

static void loaded__twice_is_a_breach(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_DEVICE);

	t_src_hear_type(t, XM_MSG_LOADED);
	t_src_hear_type(t, XM_MSG_LOADED);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void commit__ignores_all_talk_of_devices(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_COMMIT);
	enum xm_msg_type type;

	for (type = XM_MSG_DEVICE; type <= T_MSG_LAST; type++) {
		t_src_hear_type(t, type);
		t_assert_nothing(&t->act);
		assert_int_equal(t->s.state, XM_SRC_COMMIT);
	}
	hear_ack(t, 12345);
	t_assert_nothing(&t->act);
	assert_int_equal(t->s.state, XM_SRC_COMMIT);
}

/* -- other ends ------------------------------------------------------------ */

static void device__cancelled(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_DEVICE);

	t_src_cancel(t, XM_REASON_CANCELLED, "enough");
	t_src_assert_abort(t, XM_REASON_CANCELLED);
}

static void device__aborted_by_the_peer(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_DEVICE);

	t_src_hear_type(t, XM_MSG_ABORT);
	assert_int_equal(t->s.state, XM_SRC_FAILED);
	t_assert_outcome(&t->s.outcome, XM_REASON_MEMORY, XM_HOME_SOURCE, true);
}

static void device__contact_lost(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_DEVICE);

	t_src_event(t, XM_EV_LOST);
	assert_int_equal(t->s.state, XM_SRC_FAILED);
	t_assert_outcome(&t->s.outcome, XM_REASON_PEER_LOST, XM_HOME_SOURCE,
			 false);
}

static void device__heartbeats_go_on(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_DEVICE);

	t_src_wait(t, XM_HEARTBEAT_MS);
	t_src_event(t, XM_EV_TIMER);
	t_assert_says(&t->act, XM_MSG_HEARTBEAT);
	t_src_hear_type(t, XM_MSG_HEARTBEAT);
	t_src_wait(t, XM_CTL_STALL_MS - 1);
	t_src_event(t, XM_EV_TIMER);
	assert_int_equal(t->s.state, XM_SRC_DEVICE);
	t_src_wait(t, 1);
	t_src_event(t, XM_EV_TIMER);
	assert_int_equal(t->s.state, XM_SRC_FAILED);
}

/* A destination that loads for ever says so itself, after XM_LOAD_MS. */
static void device__has_a_deadline(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_DEVICE);
	int ms;

	for (ms = 0; ms < XM_LOAD_MS + XM_CTL_STALL_MS; ms += 1000) {
		assert_int_equal(t->s.state, XM_SRC_DEVICE);
		t_src_wait(t, 1000);
		t_src_hear_type(t, XM_MSG_HEARTBEAT);
		t_src_event(t, XM_EV_TIMER);
	}
	t_src_assert_abort(t, XM_REASON_STALLED);
}

static void xm_src_state_name__names_device(void **state)
{
	(void)state;
	assert_string_equal(xm_src_state_name(XM_SRC_DEVICE), "device");
	assert_string_equal(xm_src_state_name(XM_SRC_COMMIT), "commit");
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, device_setup, t_src_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(hello__offers_device_state),
		T(hello__a_target_for_memory_only_is_none),
		T(hello__what_was_not_offered_cannot_be_agreed),
		T(hello__other_offers_need_not_be_taken),
		T(room__is_a_window_from_harvest_to_barrier),
		T(room__is_none_without_the_feature),
		T(room__is_none_after_the_end),
		T(room__is_none_when_it_has_failed),
		T(device__is_said_with_its_offset),
		T(device__may_be_said_from_harvest_to_barrier),
		T(device__is_a_heartbeat),
		T(ack__opens_the_window),
		T(ack__that_says_nothing_new_is_none),
		T(ack__may_come_from_harvest_on),
		T(ack__after_the_end_asks_for_nothing),
		T(ack__of_more_than_was_sent),
		T(ack__of_less_than_before),
		T(ack__before_harvest),
		T(ack__without_the_feature),
		T(end__says_how_much_it_was),
		T(end__says_of_a_guest_that_was_paused_before),
		T(device__loaded_lets_it_commit),
		T(harvest__takes_acks_only),
		T(open__takes_acks_too),
		T(epoch__takes_acks_only),
		T(barrier__takes_acks_too),
		T(device__takes_nothing_but_loaded),
		T(loaded__twice_is_a_breach),
		T(commit__ignores_all_talk_of_devices),
		T(device__cancelled),
		T(device__aborted_by_the_peer),
		T(device__contact_lost),
		T(device__heartbeats_go_on),
		T(device__has_a_deadline),
		T(xm_src_state_name__names_device),
	};

	return cmocka_run_group_tests_name("src_device", tests, NULL, NULL);
}
