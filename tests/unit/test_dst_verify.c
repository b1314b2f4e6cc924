// SPDX-License-Identifier: GPL-2.0-or-later
/* test_dst_verify.c - the destination's session machine when memory is compared */
#include "../lib/t_dst.h"

static int verify_setup(void **state)
{
	int r = t_dst_setup(state);
	struct t_dst *t = *state;

	t->features = XM_FEATURE_VERIFY;
	return r;
}

/* The final epoch is here. */
static struct t_dst * final(struct t_dst *t)
{
	t_dst_at(t, XM_DST_READY);
	t_dst_whole_epoch(t, true);
	return t;
}

static void say_hashes(struct t_dst *t, uint32_t first, uint16_t n)
{
	struct xm_msg m = t_hashes(first, n);

	t_dst_event_msg(t, XM_EV_HASHES, &m);
}

static struct t_dst *verifying(struct t_dst *t)
{
	final(t);
	t_dst_hear_type(t, XM_MSG_VERIFY);
	assert_int_equal(t->d.state, XM_DST_VERIFY);
	return t;
}

static struct t_dst *verified(struct t_dst *t)
{
	verifying(t);
	say_hashes(t, 0, T_STRIPES);
	assert_int_equal(t->d.state, XM_DST_READY);
	return t;
}

/* -- a round ---------------------------------------------------------------- */

static void verify__asks_to_hash(void **state)
{
	struct t_dst *t = final(*state);

	t_dst_hear_type(t, XM_MSG_VERIFY);
	assert_int_equal(t->act.flags, XM_ACT_HASH);
	assert_int_equal(t->act.n_msgs, 0);
	assert_int_equal(t->d.state, XM_DST_VERIFY);
}

static void hashes__are_said_until_there_are_no_more(void **state)
{
	struct t_dst *t = verifying(*state);

	say_hashes(t, 0, 1);
	t_assert_says(&t->act, XM_MSG_HASHES);
	assert_int_equal(t->act.flags, XM_ACT_SEND);
	assert_int_equal(t->msg[0].hashes.first, 0);
	assert_int_equal(t->msg[0].hashes.n, 1);
	assert_int_equal(t->msg[0].hashes.hash[0], 1000);
	assert_int_equal(t->d.state, XM_DST_VERIFY);
	assert_false(t->d.is_verified);
	say_hashes(t, 1, T_STRIPES - 1);
	t_assert_says(&t->act, XM_MSG_HASHES);
	assert_int_equal(t->d.state, XM_DST_READY);
	assert_true(t->d.is_verified);
}

static void verified__is_committed(void **state)
{
	struct t_dst *t = verified(*state);

	t_dst_hear_type(t, XM_MSG_COMMIT);
	assert_int_equal(t->act.flags, XM_ACT_TAKE_GUEST);
	assert_int_equal(t->d.state, XM_DST_COMMIT);
}

static void verified__is_repaired_once(void **state)
{
	struct t_dst *t = verified(*state);

	t_dst_whole_epoch(t, true);
	assert_int_equal(t->d.epoch, 2);
	assert_false(t->d.is_verified);
	t_dst_hear_type(t, XM_MSG_VERIFY);
	assert_int_equal(t->act.flags, XM_ACT_HASH);
	say_hashes(t, 0, T_STRIPES);
	t_dst_hear_type(t, XM_MSG_COMMIT);
	assert_int_equal(t->d.state, XM_DST_COMMIT);
}

static void verified__devices_follow(void **state)
{
	struct t_dst *t = *state;

	t->features |= XM_FEATURE_DEVICE;
	verified(t);
	t_dst_hear_device(t, 0, 10);
	assert_int_equal(t->act.flags, XM_ACT_DEVICE);
	t_dst_hear_device_end(t, 10, true);
	assert_int_equal(t->d.state, XM_DST_LOAD);
}

/* -- what a source may not -------------------------------------------------------- */

static void breach(struct t_dst *t)
{
	t_dst_assert_abort(t, XM_REASON_PROTOCOL);
}

static void verify__without_the_feature(void **state)
{
	struct t_dst *t = *state;

	t->features = 0;
	final(t);
	t_dst_hear_type(t, XM_MSG_VERIFY);
	breach(t);
}

static void verify__before_the_final_epoch(void **state)
{
	struct t_dst *t = t_dst_at(*state, XM_DST_READY);

	t_dst_whole_epoch(t, false);
	t_dst_hear_type(t, XM_MSG_VERIFY);
	breach(t);
}

static void verify__twice_without_a_repair(void **state)
{
	struct t_dst *t = verified(*state);

	t_dst_hear_type(t, XM_MSG_VERIFY);
	breach(t);
}

static void commit__of_what_was_not_verified(void **state)
{
	struct t_dst *t = final(*state);

	t_dst_hear_type(t, XM_MSG_COMMIT);
	breach(t);
}

static void commit__of_what_was_repaired_and_not_verified(void **state)
{
	struct t_dst *t = verified(*state);

	t_dst_whole_epoch(t, true);
	t_dst_hear_type(t, XM_MSG_COMMIT);
	breach(t);
}

static void devices__of_what_was_not_verified(void **state)
{
	struct t_dst *t = *state;

	t->features |= XM_FEATURE_DEVICE;
	final(t);
	t_dst_hear_device_end(t, 0, true);
	breach(t);
}

static void repair__before_there_was_a_look(void **state)
{
	struct t_dst *t = final(*state);

	t_dst_hear_begin(t, t->d.epoch + 1, true);
	breach(t);
}

static void repair__with_the_guest_running(void **state)
{
	struct t_dst *t = verified(*state);

	t_dst_hear_begin(t, t->d.epoch + 1, false);
	breach(t);
}

static void repair__twice(void **state)
{
	struct t_dst *t = verified(*state);

	t_dst_whole_epoch(t, true);
	t_dst_hear_begin(t, t->d.epoch + 1, true);
	breach(t);
}

static void repair__twice_with_a_look_between(void **state)
{
	struct t_dst *t = verified(*state);

	t_dst_whole_epoch(t, true);
	t_dst_hear_type(t, XM_MSG_VERIFY);
	say_hashes(t, 0, T_STRIPES);
	t_dst_hear_begin(t, t->d.epoch + 1, true);
	breach(t);
}

static void repair__after_the_devices(void **state)
{
	struct t_dst *t = *state;

	t->features |= XM_FEATURE_DEVICE;
	verified(t);
	t_dst_hear_device_end(t, 0, true);
	t_dst_event(t, XM_EV_LOADED);
	t_dst_hear_begin(t, t->d.epoch + 1, true);
	breach(t);
}

static void verify__takes_nothing_meanwhile(void **state)
{
	struct t_dst *t = *state;
	const struct xm_dst fresh = t->d;
	enum xm_msg_type type;

	t->features |= XM_FEATURE_DEVICE;
	for (type = XM_MSG_HELLO; type <= T_MSG_LAST; type++) {
		t->d = fresh;
		verifying(t);
		t_dst_hear_type(t, type);
		if (type == XM_MSG_HEARTBEAT)
			t_assert_nothing(&t->act);
		else if (type != XM_MSG_ABORT)
			breach(t);
	}
}

/* -- other ends ------------------------------------------------------------------ */

static void verify__acknowledges_what_came_before(void **state)
{
	struct t_dst *t = *state;

	t->features |= XM_FEATURE_DEVICE;
	t_dst_at(t, XM_DST_READY);
	t_dst_hear_device(t, 0, 10);
	verifying(t);
	t_dst_device_taken(t, 10);
	t_assert_says(&t->act, XM_MSG_DEVICE_ACK);
	assert_int_equal(t->d.state, XM_DST_VERIFY);
}

static void verify__heartbeats_go_on(void **state)
{
	struct t_dst *t = verifying(*state);

	t_dst_wait(t, XM_HEARTBEAT_MS);
	t_dst_event(t, XM_EV_TIMER);
	t_assert_says(&t->act, XM_MSG_HEARTBEAT);
	t_dst_wait(t, XM_CTL_STALL_MS - XM_HEARTBEAT_MS);
	t_dst_event(t, XM_EV_TIMER);
	t_assert_outcome(&t->d.outcome, XM_REASON_PEER_LOST, XM_HOME_SOURCE,
			 false);
}

static void verify__cancelled(void **state)
{
	struct t_dst *t = verifying(*state);

	t_dst_cancel(t, XM_REASON_CANCELLED, "enough");
	t_dst_assert_abort(t, XM_REASON_CANCELLED);
}

static void xm_dst_state_name__names_verify(void **state)
{
	(void)state;
	assert_string_equal(xm_dst_state_name(XM_DST_VERIFY), "verify");
	assert_string_equal(xm_dst_state_name(XM_DST_LOAD), "load");
	assert_string_equal(xm_dst_state_name(XM_DST_FAILED), "failed");
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, verify_setup, t_dst_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(verify__asks_to_hash),
		T(hashes__are_said_until_there_are_no_more),
		T(verified__is_committed),
		T(verified__is_repaired_once),
		T(verified__devices_follow),
		T(verify__without_the_feature),
		T(verify__before_the_final_epoch),
		T(verify__twice_without_a_repair),
		T(commit__of_what_was_not_verified),
		T(commit__of_what_was_repaired_and_not_verified),
		T(devices__of_what_was_not_verified),
		T(repair__before_there_was_a_look),
		T(repair__with_the_guest_running),
		T(repair__twice),
		T(repair__twice_with_a_look_between),
		T(repair__after_the_devices),
		T(verify__takes_nothing_meanwhile),
		T(verify__acknowledges_what_came_before),
		T(verify__heartbeats_go_on),
		T(verify__cancelled),
		T(xm_dst_state_name__names_verify),
	};

	return cmocka_run_group_tests_name("dst_verify", tests, NULL, NULL);
}
