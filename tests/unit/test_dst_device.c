// SPDX-License-Identifier: GPL-2.0-or-later
/* test_dst_device.c - the destination's session with device state: what may
 * come when, its window, loading; all else is test_dst.c's
 */
#include "core/dst.h"

#include "../lib/t_dst.h"

static int device_setup(void **state)
{
	struct t_dst *t;

	t_dst_setup(state);
	t = *state;
	t->features = XM_FEATURE_DEVICE;
	return 0;
}

/* -- agreeing -------------------------------------------------------------- */

static void accept__agrees_to_what_was_offered(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_CONSIDER);
	struct xm_msg m = t_welcome();

	m.welcome.features = XM_FEATURE_DEVICE | 8;
	t_dst_event_msg(t, XM_EV_ACCEPT, &m);
	t_assert_says(&t->act, XM_MSG_WELCOME);
	assert_int_equal(t->msg[0].welcome.features, XM_FEATURE_DEVICE);
	assert_int_equal(t->d.agreed.features, XM_FEATURE_DEVICE);
}

static void accept__agrees_to_nothing_else(void **state)
{
	struct t_dst *t = *state;
	struct xm_msg m = t_welcome();

	t->features = 8;
	t_dst_at(t, XM_DST_CONSIDER);
	m.welcome.features = XM_FEATURE_DEVICE;
	t_dst_event_msg(t, XM_EV_ACCEPT, &m);
	assert_int_equal(t->msg[0].welcome.features, 0);
}

/* -- what comes ------------------------------------------------------------ */

static void device__is_handed_on_from_ready_to_totals(void **state)
{
	static const enum xm_dst_state states[] = { XM_DST_READY, XM_DST_OPEN,
						    XM_DST_EPOCH,
						    XM_DST_TOTALS };
	struct t_dst *t = *state;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		t_dst_at(t, states[i]);
		t_dst_hear_device(t, i * 10, 10);
		assert_int_equal(t->act.flags, XM_ACT_DEVICE);
		assert_int_equal(t->act.n_msgs, 0);
		assert_int_equal(t->d.state, states[i]);
		assert_int_equal(t->d.device_got, (i + 1) * 10);
	}
}

static void refuse_device_in(struct t_dst *t, enum xm_dst_state state,
			     uint64_t offset)
{
	t_dst_at(t, state);
	t_dst_hear_device(t, offset, 10);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void device__in_hello(void **state)
{
	refuse_device_in(*state, XM_DST_HELLO, 0);
}

static void device__in_consider(void **state)
{
	refuse_device_in(*state, XM_DST_CONSIDER, 0);
}

static void device__in_probe(void **state)
{
	refuse_device_in(*state, XM_DST_PROBE, 0);
}

static void device__in_load(void **state)
{
	refuse_device_in(*state, XM_DST_LOAD, 0);
}

static void device__without_the_feature(void **state)
{
	struct t_dst *t = *state;

	t->features = 0;
	refuse_device_in(t, XM_DST_READY, 0);
}

static void device__after_loaded(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);

	t_dst_event(t, XM_EV_LOADED);
	refuse_device_in(t, XM_DST_READY, 0);
}

static void device__with_a_gap(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_hear_device(t, 0, 10);
	refuse_device_in(t, XM_DST_READY, 11);
}

static void device__twice(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_hear_device(t, 0, 10);
	refuse_device_in(t, XM_DST_READY, 0);
}

/* -- the window ------------------------------------------------------------ */

static void fill_window(struct t_dst *t)
{
	uint64_t end = t->d.device_said + XM_DEVICE_WINDOW;
	uint64_t left;

	for (; t->d.device_got < end;) {
		left = end - t->d.device_got;
		t_dst_hear_device(t, t->d.device_got,
				  left < XM_DEVICE_CHUNK ? (uint32_t)left :
							   XM_DEVICE_CHUNK);
		assert_int_equal(t->act.flags, XM_ACT_DEVICE);
	}
}

static void window__may_be_filled(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_EPOCH);

	fill_window(t);
	assert_int_equal(t->d.device_got, XM_DEVICE_WINDOW);
}

static void window__a_byte_more_is_a_breach(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_EPOCH);

	fill_window(t);
	t_dst_hear_device(t, t->d.device_got, 1);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void window__moves_with_what_was_acknowledged(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_EPOCH);

	fill_window(t);
	t_dst_device_taken(t, 1000);
	t_assert_says(&t->act, XM_MSG_DEVICE_ACK);
	assert_int_equal(t->act.flags, XM_ACT_SEND);
	assert_int_equal(t->msg[0].device_ack.bytes, 1000);
	assert_int_equal(t->d.state, XM_DST_EPOCH);
	t_dst_hear_device(t, t->d.device_got, 1000);
	assert_int_equal(t->act.flags, XM_ACT_DEVICE);
	t_dst_hear_device(t, t->d.device_got, 1);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void taken__says_nothing_that_is_not_new(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_device_taken(t, 0);
	t_assert_nothing(&t->act);
	t_dst_hear_device(t, 0, 10);
	t_dst_device_taken(t, 10);
	t_assert_says(&t->act, XM_MSG_DEVICE_ACK);
	t_dst_device_taken(t, 10);
	t_assert_nothing(&t->act);
}

static void taken__may_come_while_it_loads(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_hear_device(t, 0, 10);
	t_dst_at(t, XM_DST_LOAD);
	t_dst_device_taken(t, 10);
	t_assert_says(&t->act, XM_MSG_DEVICE_ACK);
	assert_int_equal(t->d.state, XM_DST_LOAD);
}

static void taken__in_commit_is_too_late(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_hear_device(t, 0, 10);
	t_dst_at(t, XM_DST_COMMIT);
	t_dst_device_taken(t, 10);
	t_assert_nothing(&t->act);
	assert_int_equal(t->d.state, XM_DST_COMMIT);
}

/* -- the end of it --------------------------------------------------------- */

static void end__asks_to_load(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_hear_device(t, 0, 10);
	t_dst_whole_epoch(t, true);
	t_dst_hear_device_end(t, 10, true);
	assert_int_equal(t->act.flags, XM_ACT_DEVICE_END);
	assert_int_equal(t->act.n_msgs, 0);
	assert_int_equal(t->d.state, XM_DST_LOAD);
	assert_true(t->d.runs);
}

static void end__says_of_a_guest_that_was_paused_before(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_whole_epoch(t, true);
	t_dst_hear_device_end(t, 0, false);
	assert_int_equal(t->d.state, XM_DST_LOAD);
	assert_false(t->d.runs);
}

static void refuse_end(struct t_dst *t, uint64_t total)
{
	t_dst_hear_device_end(t, total, true);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void end__of_more_than_came(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_hear_device(t, 0, 10);
	t_dst_whole_epoch(t, true);
	refuse_end(t, 11);
}

static void end__of_less_than_came(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_hear_device(t, 0, 10);
	t_dst_whole_epoch(t, true);
	refuse_end(t, 9);
}

static void end__before_the_final_epoch(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_whole_epoch(t, false);
	refuse_end(t, 0);
}

static void end__within_the_final_epoch(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_hear_begin(t, 1, true);
	t_dst_event(t, XM_EV_OPENED);
	refuse_end(t, 0);
}

static void end__without_the_feature(void **state)
{
	struct t_dst *t = *state;

	t->features = 0;
	t_dst_at(t, XM_DST_READY);
	t_dst_whole_epoch(t, true);
	refuse_end(t, 0);
}

static void end__twice(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);

	t_dst_event(t, XM_EV_LOADED);
	refuse_end(t, 0);
}

/* -- LOAD ------------------------------------------------------------------ */

static void load__says_loaded(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);

	t_dst_event(t, XM_EV_LOADED);
	t_assert_says(&t->act, XM_MSG_LOADED);
	assert_int_equal(t->act.flags, XM_ACT_SEND);
	assert_int_equal(t->d.state, XM_DST_READY);
	assert_true(t->d.is_loaded);
}

static void load__takes_nothing(void **state)
{
	t_dst_takes_only(*state, XM_DST_LOAD, XM_MSG_HEARTBEAT);
}

static void load__commit_before_loaded_is_a_breach(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);

	t_dst_hear_type(t, XM_MSG_COMMIT);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void load__cancelled(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);

	t_dst_cancel(t, XM_REASON_MEMORY, "QEMU does not take it");
	t_dst_assert_abort(t, XM_REASON_MEMORY);
}

static void load__aborted_by_the_peer(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);

	t_dst_hear_type(t, XM_MSG_ABORT);
	assert_int_equal(t->act.flags, XM_ACT_FINISHED);
	assert_int_equal(t->d.state, XM_DST_FAILED);
}

static void load__contact_lost(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);

	t_dst_event(t, XM_EV_LOST);
	assert_int_equal(t->d.state, XM_DST_FAILED);
	t_assert_outcome(&t->d.outcome, XM_REASON_PEER_LOST, XM_HOME_SOURCE,
			 false);
}

static void load__heartbeats_go_on(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);

	t_dst_wait(t, XM_HEARTBEAT_MS);
	t_dst_event(t, XM_EV_TIMER);
	t_assert_says(&t->act, XM_MSG_HEARTBEAT);
	t_dst_hear_type(t, XM_MSG_HEARTBEAT);
	t_dst_wait(t, XM_CTL_STALL_MS - 1);
	t_dst_event(t, XM_EV_TIMER);
	assert_int_equal(t->d.state, XM_DST_LOAD);
	t_dst_wait(t, 1);
	t_dst_event(t, XM_EV_TIMER);
	assert_int_equal(t->d.state, XM_DST_FAILED);
}

/* -- COMMIT ---------------------------------------------------------------- */

static void commit__after_loaded(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);

	t_dst_event(t, XM_EV_LOADED);
	t_dst_hear_type(t, XM_MSG_COMMIT);
	assert_int_equal(t->act.flags, XM_ACT_TAKE_GUEST);
	assert_int_equal(t->d.state, XM_DST_COMMIT);
}

static void commit__without_device_state_is_a_breach(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_whole_epoch(t, true);
	t_dst_hear_type(t, XM_MSG_COMMIT);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void commit__ignores_all_talk_of_devices(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_COMMIT);
	enum xm_msg_type type;

	for (type = XM_MSG_DEVICE; type <= T_MSG_LAST; type++) {
		t_dst_hear_type(t, type);
		t_assert_nothing(&t->act);
		assert_int_equal(t->d.state, XM_DST_COMMIT);
	}
}

/* The peer is heard all the while: only the clock ends it. */
static void load__takes_too_long(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);
	struct xm_time end = xm_time_add(t->now, XM_LOAD_MS * XM_MS);

	while (t->d.state == XM_DST_LOAD) {
		assert_true(xm_time_before(t->now, end));
		t->now = xm_dst_expiry(&t->d);
		t_dst_hear_type(t, XM_MSG_HEARTBEAT);
		t_dst_event(t, XM_EV_TIMER);
	}
	assert_int_equal(t->now.ns, end.ns);
	t_dst_assert_abort(t, XM_REASON_STALLED);
}

static void loaded__may_wait_for_commit(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);
	unsigned int i;

	t_dst_event(t, XM_EV_LOADED);
	for (i = 0; i < 2 * XM_LOAD_MS / XM_HEARTBEAT_MS; i++) {
		t->now = xm_time_add(t->now, XM_HEARTBEAT_MS * XM_MS);
		t_dst_hear_type(t, XM_MSG_HEARTBEAT);
		t_dst_event(t, XM_EV_TIMER);
		assert_int_equal(t->d.state, XM_DST_READY);
	}
}

static void loaded__no_epoch_can_follow(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);

	t_dst_event(t, XM_EV_LOADED);
	t_dst_hear_begin(t, t->d.epoch + 1, true);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void load__no_epoch_can_begin(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_LOAD);

	t_dst_hear_begin(t, t->d.epoch + 1, false);
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void xm_dst_state_name__names_load(void **state)
{
	(void)state;
	assert_string_equal(xm_dst_state_name(XM_DST_LOAD), "load");
	assert_string_equal(xm_dst_state_name(XM_DST_COMMIT), "commit");
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, device_setup, t_dst_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(accept__agrees_to_what_was_offered),
		T(accept__agrees_to_nothing_else),
		T(device__is_handed_on_from_ready_to_totals),
		T(device__in_hello),
		T(device__in_consider),
		T(device__in_probe),
		T(device__in_load),
		T(device__without_the_feature),
		T(device__after_loaded),
		T(device__with_a_gap),
		T(device__twice),
		T(window__may_be_filled),
		T(window__a_byte_more_is_a_breach),
		T(window__moves_with_what_was_acknowledged),
		T(taken__says_nothing_that_is_not_new),
		T(taken__may_come_while_it_loads),
		T(taken__in_commit_is_too_late),
		T(end__asks_to_load),
		T(end__says_of_a_guest_that_was_paused_before),
		T(end__of_more_than_came),
		T(end__of_less_than_came),
		T(end__before_the_final_epoch),
		T(end__within_the_final_epoch),
		T(end__without_the_feature),
		T(end__twice),
		T(load__says_loaded),
		T(load__takes_nothing),
		T(load__commit_before_loaded_is_a_breach),
		T(load__cancelled),
		T(load__aborted_by_the_peer),
		T(load__contact_lost),
		T(load__heartbeats_go_on),
		T(commit__after_loaded),
		T(commit__without_device_state_is_a_breach),
		T(commit__ignores_all_talk_of_devices),
		T(load__takes_too_long),
		T(loaded__may_wait_for_commit),
		T(loaded__no_epoch_can_follow),
		T(load__no_epoch_can_begin),
		T(xm_dst_state_name__names_load),
	};

	return cmocka_run_group_tests_name("dst_device", tests, NULL, NULL);
}
