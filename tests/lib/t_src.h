/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_src.h - the source's session machine, its conductor and peer by hand */
#ifndef T_SRC_H
#define T_SRC_H

#include "core/src.h"

#include "t_session.h"
#include "t_trace.h"

struct t_src {
	struct t_trace trace;
	struct xm_src s;
	struct xm_time now;
	struct xm_actions act; /* of the last step */
	struct xm_msg msg[XM_ACTIONS_MSGS];
};

static inline int t_src_setup(void **state)
{
	struct t_src *t = calloc(1, sizeof(*t));
	struct xm_msg hello = t_hello();

	assert_non_null(t);
	memset(&t->s, 0xa5, sizeof(t->s));
	xm_src_init(&t->s, &hello.hello, t_trace_begin(&t->trace));
	t->now = (struct xm_time){ 5 * XM_SEC };
	*state = t;
	return 0;
}

static inline int t_src_teardown(void **state)
{
	free(*state);
	return 0;
}

/* What the caller left in the actions must not matter. */
static inline void t_src_step(struct t_src *t, const struct xm_event *ev)
{
	t->act = (struct xm_actions){ ~0u, 99, t->msg, 99 };
	xm_src_step(&t->s, t->now, ev, &t->act);
}

static inline void t_src_event(struct t_src *t, enum xm_event_kind kind)
{
	const struct xm_event ev = { .kind = kind };

	t_src_step(t, &ev);
}

static inline void t_src_hear(struct t_src *t, const struct xm_msg *m)
{
	const struct xm_event ev = { .kind = XM_EV_MESSAGE, .msg = m };

	t_src_step(t, &ev);
}

static inline void t_src_hear_type(struct t_src *t, enum xm_msg_type type)
{
	struct xm_msg m = t_any(type, t->s.epoch);

	if (type == XM_MSG_WELCOME)
		m.welcome.features = t->s.hello.features;
	t_src_hear(t, &m);
}

static inline void t_src_next_epoch(struct t_src *t, bool is_final)
{
	const struct xm_event ev = { .kind = XM_EV_NEXT_EPOCH,
				     .is_final = is_final };

	t_src_step(t, &ev);
}

static inline void t_src_installed(struct t_src *t, const struct xm_msg *m)
{
	const struct xm_event ev = { .kind = XM_EV_INSTALLED, .msg = m };

	t_src_step(t, &ev);
}

static inline void t_src_cancel(struct t_src *t, enum xm_reason reason,
				const char *text)
{
	struct xm_msg m = t_abort(reason, text);
	const struct xm_event ev = { .kind = XM_EV_CANCEL, .msg = &m };

	t_src_step(t, &ev);
}

/* @len bytes of device state leave, for the window's sake. */
static inline void t_src_device(struct t_src *t, uint32_t len)
{
	struct xm_msg m = t_device(0, len);
	const struct xm_event ev = { .kind = XM_EV_DEVICE, .msg = &m };

	t_src_step(t, &ev);
}

static inline void t_src_device_end(struct t_src *t, bool runs)
{
	struct xm_msg m = t_device_end(0, runs);
	const struct xm_event ev = { .kind = XM_EV_DEVICE_END, .msg = &m };

	t_src_step(t, &ev);
}

static inline void t_src_wait(struct t_src *t, int64_t ms)
{
	t->now = xm_time_add(t->now, ms * XM_MS);
}

/* From HARVEST through an epoch, back to HARVEST. */
static inline void t_src_whole_epoch(struct t_src *t, bool is_final)
{
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 0);

	t_src_next_epoch(t, is_final);
	t_src_hear_type(t, XM_MSG_EPOCH_READY);
	t_src_installed(t, &m);
	t_src_hear_type(t, XM_MSG_EPOCH_DONE);
	assert_int_equal(t->s.state, XM_SRC_HARVEST);
}

static inline void t_src_advance(struct t_src *t)
{
	struct xm_msg m = t_totals(XM_MSG_EPOCH_END, 0);

	if (t->s.state == XM_SRC_INIT)
		t_src_event(t, XM_EV_START);
	else if (t->s.state == XM_SRC_HELLO)
		t_src_hear_type(t, XM_MSG_WELCOME);
	else if (t->s.state == XM_SRC_PROBE && !t->s.is_proven)
		t_src_event(t, XM_EV_PROVEN);
	else if (t->s.state == XM_SRC_PROBE)
		t_src_hear_type(t, XM_MSG_PROVEN);
	else if (t->s.state == XM_SRC_HARVEST)
		t_src_event(t, XM_EV_NEXT_EPOCH);
	else if (t->s.state == XM_SRC_OPEN)
		t_src_hear_type(t, XM_MSG_EPOCH_READY);
	else if (t->s.state == XM_SRC_EPOCH)
		t_src_installed(t, &m);
	else
		fail_msg("no way on from %s", xm_src_state_name(t->s.state));
}

/* Bring a fresh machine to @state: in epoch 1, if in any, or in DEVICE or
 * COMMIT, after one epoch; with device state, if that was offered. */
static inline struct t_src *t_src_at(struct t_src *t, enum xm_src_state state)
{
	bool is_late = state == XM_SRC_COMMIT || state == XM_SRC_DEVICE;
	enum xm_src_state way = is_late ? XM_SRC_HARVEST : state;

	while (t->s.state != way)
		t_src_advance(t);
	if (is_late)
		t_src_whole_epoch(t, true);
	if (is_late && t->s.hello.features & XM_FEATURE_DEVICE)
		t_src_device_end(t, true);
	if (state == XM_SRC_COMMIT) {
		if (t->s.state == XM_SRC_DEVICE)
			t_src_hear_type(t, XM_MSG_LOADED);
		t_src_event(t, XM_EV_COMMIT);
	}
	assert_int_equal(t->s.state, state);
	return t;
}

/* The last step ended it, and told the peer why. */
static inline void t_src_assert_abort(const struct t_src *t,
				      enum xm_reason reason)
{
	t_assert_says(&t->act, XM_MSG_ABORT);
	assert_int_equal(t->act.flags, XM_ACT_SEND | XM_ACT_FINISHED);
	assert_int_equal(t->msg[0].abort.reason, reason);
	assert_string_not_equal(t->msg[0].abort.text, "");
	assert_int_equal(t->s.state, XM_SRC_FAILED);
	t_assert_outcome(&t->s.outcome, reason, XM_HOME_SOURCE, false);
	assert_string_equal(t->s.outcome.text, t->msg[0].abort.text);
}

/* In @state every message is a breach of the protocol, but @legal and ABORT, and
 * HEARTBEAT and @idle, which change nothing. */
static inline void t_src_takes(struct t_src *t, enum xm_src_state state,
			       enum xm_msg_type legal, enum xm_msg_type idle)
{
	const struct xm_src fresh = t->s;
	enum xm_msg_type type;

	for (type = XM_MSG_HELLO; type <= T_MSG_LAST; type++) {
		t->s = fresh;
		t_src_at(t, state);
		t_src_hear_type(t, type);
		if (type == XM_MSG_HEARTBEAT || type == idle) {
			t_assert_nothing(&t->act);
			assert_int_equal(t->s.state, state);
		} else if (type != legal && type != XM_MSG_ABORT) {
			t_src_assert_abort(t, XM_REASON_PROTOCOL);
		}
	}
}

static inline void t_src_takes_only(struct t_src *t, enum xm_src_state state,
				    enum xm_msg_type legal)
{
	t_src_takes(t, state, legal, XM_MSG_HEARTBEAT);
}

#endif
