// SPDX-License-Identifier: GPL-2.0-or-later
/* test_src_verify.c - the source's session machine when memory is compared */
#include "../lib/t_src.h"

/* With --verify; without device state. */
static int verify_setup(void **state)
{
	int r = t_src_setup(state);
	struct t_src *t = *state;

	t->s.hello.features = XM_FEATURE_VERIFY;
	return r;
}

/* The final epoch is over there. */
static struct t_src * final(struct t_src *t)
{
	t_src_at(t, XM_SRC_HARVEST);
	t_src_whole_epoch(t, true);
	return t;
}

static struct t_src *verifying(struct t_src *t)
{
	final(t);
	t_src_event(t, XM_EV_VERIFY);
	assert_int_equal(t->s.state, XM_SRC_VERIFY);
	return t;
}

static void hear_hashes(struct t_src *t, uint32_t first, uint16_t n)
{
	struct xm_msg m = t_hashes(first, n);

	t_src_hear(t, &m);
}

static void compared(struct t_src *t, bool is_same)
{
	const struct xm_event ev = { .kind = XM_EV_COMPARED,
				     .is_same = is_same };

	t_src_step(t, &ev);
}

/* -- agreeing --------------------------------------------------------------- */

static void hello__offers_to_verify(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);

	assert_int_equal(t->msg[0].hello.features, XM_FEATURE_VERIFY);
}

static void hello__a_target_that_cannot_is_none(void **state)
{
	struct t_src *t = t_src_at(*state, XM_SRC_HELLO);
	struct xm_msg m = t_welcome();

	t_src_hear(t, &m);
	t_src_assert_abort(t, XM_REASON_REFUSED);
}

static void hello__what_was_not_asked_cannot_be_agreed(void **state)
{
	struct t_src *t = *state;
	struct xm_msg m = t_welcome();

	t->s.hello.features = 0;
	t_src_at(t, XM_SRC_HELLO);
	m.welcome.features = XM_FEATURE_VERIFY;
	t_src_hear(t, &m);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

/* -- a round ---------------------------------------------------------------- */

static void verify__both_hash_at_once(void **state)
{
	struct t_src *t = final(*state);

	t_src_event(t, XM_EV_VERIFY);
	t_assert_says(&t->act, XM_MSG_VERIFY);
	assert_int_equal(t->act.flags, XM_ACT_SEND | XM_ACT_HASH);
	assert_int_equal(t->s.state, XM_SRC_VERIFY);
}

static void verify__no_device_state_flows_meanwhile(void **state)
{
	struct t_src *t = *state;

	t->s.hello.features |= XM_FEATURE_DEVICE;
	verifying(t);
	assert_int_equal(xm_src_device_room(&t->s), 0);
	hear_hashes(t, 0, T_STRIPES);
	compared(t, true);
	assert_int_equal(xm_src_device_room(&t->s), XM_DEVICE_WINDOW);
}

static void hashes__are_handed_on(void **state)
{
	struct t_src *t = verifying(*state);

	hear_hashes(t, 0, 1);
	assert_int_equal(t->act.flags, XM_ACT_HASHES);
	hear_hashes(t, 1, T_STRIPES - 1);
	assert_int_equal(t->act.flags, XM_ACT_HASHES);
	assert_int_equal(t->act.n_msgs, 0);
	assert_int_equal(t->s.n_hashes, T_STRIPES);
	assert_int_equal(t->s.state, XM_SRC_VERIFY);
}

static void same__lets_it_commit(void **state)
{
	struct t_src *t = verifying(*state);

	hear_hashes(t, 0, T_STRIPES);
	compared(t, true);
	assert_int_equal(t->act.flags, XM_ACT_HARVEST);
	assert_int_equal(t->s.state, XM_SRC_HARVEST);
	assert_true(t->s.is_verified);
	t_src_event(t, XM_EV_COMMIT);
	t_assert_says(&t->act, XM_MSG_COMMIT);
}

static void differs__is_repaired_by_another_final_epoch(void **state)
{
	struct t_src *t = verifying(*state);

	hear_hashes(t, 0, T_STRIPES);
	compared(t, false);
	assert_int_equal(t->act.flags, XM_ACT_HARVEST);
	assert_int_equal(t->s.state, XM_SRC_HARVEST);
	assert_true(t->s.must_repair);
	assert_false(t->s.is_verified);
	t_src_whole_epoch(t, true);
	assert_int_equal(t->s.epoch, 2);
	t_src_event(t, XM_EV_VERIFY);
	t_assert_says(&t->act, XM_MSG_VERIFY);
	hear_hashes(t, 0, T_STRIPES);
	compared(t, true);
	assert_true(t->s.is_verified);
	assert_int_equal(t->s.state, XM_SRC_HARVEST);
}

static void differs__twice_ends_it(void **state)
{
	struct t_src *t = verifying(*state);

	hear_hashes(t, 0, T_STRIPES);
	compared(t, false);
	t_src_whole_epoch(t, true);
	t_src_event(t, XM_EV_VERIFY);
	hear_hashes(t, 0, T_STRIPES);
	compared(t, false);
	t_src_assert_abort(t, XM_REASON_INTEGRITY);
}

/* -- lies ------------------------------------------------------------------- */

static void hashes__of_stripes_that_are_not_the_next(void **state)
{
	struct t_src *t = verifying(*state);

	hear_hashes(t, 1, 1);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void hashes__twice(void **state)
{
	struct t_src *t = verifying(*state);

	hear_hashes(t, 0, 1);
	hear_hashes(t, 0, 1);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void hashes__of_more_stripes_than_there_are(void **state)
{
	struct t_src *t = verifying(*state);

	hear_hashes(t, 0, T_STRIPES + 1);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void hashes__when_all_have_come(void **state)
{
	struct t_src *t = verifying(*state);

	hear_hashes(t, 0, T_STRIPES);
	hear_hashes(t, T_STRIPES, 1);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void hashes__that_nobody_asked_for(void **state)
{
	struct t_src *t = final(*state);

	hear_hashes(t, 0, T_STRIPES);
	t_src_assert_abort(t, XM_REASON_PROTOCOL);
}

static void verify__takes_nothing_but_hashes(void **state)
{
	struct t_src *t = *state;
	const struct xm_src fresh = t->s;
	enum xm_msg_type type;

	for (type = XM_MSG_HELLO; type <= T_MSG_LAST; type++) {
		t->s = fresh;
		verifying(t);
		t_src_hear_type(t, type);
		if (type == XM_MSG_HEARTBEAT)
			t_assert_nothing(&t->act);
		else if (type != XM_MSG_HASHES && type != XM_MSG_ABORT)
			t_src_assert_abort(t, XM_REASON_PROTOCOL);
	}
}

/* -- time, and other ends ----------------------------------------------------- */

static void wait_and_hear(struct t_src *t, int64_t ms)
{
	for (; ms > 1000; ms -= 1000) {
		t_src_wait(t, 1000);
		t_src_hear_type(t, XM_MSG_HEARTBEAT);
		t_src_event(t, XM_EV_TIMER);
	}
	t_src_wait(t, ms);
	t_src_hear_type(t, XM_MSG_HEARTBEAT);
}

static void verify__must_not_take_for_ever(void **state)
{
	struct t_src *t = verifying(*state);

	wait_and_hear(t, XM_VERIFY_MS - 1);
	t_src_event(t, XM_EV_TIMER);
	assert_int_equal(t->s.state, XM_SRC_VERIFY);
	assert_int_equal(xm_src_expiry(&t->s).ns,
			 xm_time_add(t->now, XM_MS).ns);
	t_src_wait(t, 1);
	t_src_event(t, XM_EV_TIMER);
	t_src_assert_abort(t, XM_REASON_STALLED);
}

static void verify__a_large_guest_takes_longer(void **state)
{
	struct t_src *t = *state;

	t->s.hello.block[0].len = 3ull << 30;
	verifying(t);
	wait_and_hear(t, XM_VERIFY_MS + 3 * XM_VERIFY_GIB_MS - 1);
	t_src_event(t, XM_EV_TIMER);
	assert_int_equal(t->s.state, XM_SRC_VERIFY);
	t_src_wait(t, 1);
	t_src_event(t, XM_EV_TIMER);
	t_src_assert_abort(t, XM_REASON_STALLED);
}

static void verify__our_own_hashes_have_no_deadline(void **state)
{
	struct t_src *t = verifying(*state);

	hear_hashes(t, 0, T_STRIPES);
	wait_and_hear(t, 2 * XM_VERIFY_MS);
	t_src_event(t, XM_EV_TIMER);
	assert_int_equal(t->s.state, XM_SRC_VERIFY);
	compared(t, true);
	assert_int_equal(t->s.state, XM_SRC_HARVEST);
}

static void verify__cancelled(void **state)
{
	struct t_src *t = verifying(*state);

	t_src_cancel(t, XM_REASON_CANCELLED, "enough");
	t_src_assert_abort(t, XM_REASON_CANCELLED);
}

static void verify__contact_lost(void **state)
{
	struct t_src *t = verifying(*state);

	t_src_event(t, XM_EV_LOST);
	assert_int_equal(t->s.state, XM_SRC_FAILED);
	t_assert_outcome(&t->s.outcome, XM_REASON_PEER_LOST, XM_HOME_SOURCE,
			 false);
}

static void xm_src_state_name__names_verify(void **state)
{
	(void)state;
	assert_string_equal(xm_src_state_name(XM_SRC_VERIFY), "verify");
	assert_string_equal(xm_src_state_name(XM_SRC_DEVICE), "device");
	assert_string_equal(xm_src_state_name(XM_SRC_UNKNOWN), "unknown");
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, verify_setup, t_src_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(hello__offers_to_verify),
		T(hello__a_target_that_cannot_is_none),
		T(hello__what_was_not_asked_cannot_be_agreed),
		T(verify__both_hash_at_once),
		T(verify__no_device_state_flows_meanwhile),
		T(hashes__are_handed_on),
		T(same__lets_it_commit),
		T(differs__is_repaired_by_another_final_epoch),
		T(differs__twice_ends_it),
		T(hashes__of_stripes_that_are_not_the_next),
		T(hashes__twice),
		T(hashes__of_more_stripes_than_there_are),
		T(hashes__when_all_have_come),
		T(hashes__that_nobody_asked_for),
		T(verify__takes_nothing_but_hashes),
		T(verify__must_not_take_for_ever),
		T(verify__a_large_guest_takes_longer),
		T(verify__our_own_hashes_have_no_deadline),
		T(verify__cancelled),
		T(verify__contact_lost),
		T(xm_src_state_name__names_verify),
	};

	return cmocka_run_group_tests_name("src_verify", tests, NULL, NULL);
}
