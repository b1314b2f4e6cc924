/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_dst.h - the destination's session machine, its conductor and peer by hand */
#ifndef T_DST_H
#define T_DST_H

#include "core/dst.h"

#include "t_session.h"
#include "t_trace.h"

struct t_dst {
	struct t_trace trace;
	struct xm_dst d;
	struct xm_time now;
	uint64_t features;     /* that HELLO offers and WELCOME agrees to */
	struct xm_actions act; /* of the last step */
	struct xm_msg msg[XM_ACTIONS_MSGS];
};

static inline int t_dst_setup(void **state)
{
	struct t_dst *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	memset(&t->d, 0xa5, sizeof(t->d));
	xm_dst_init(&t->d, t_trace_begin(&t->trace));
	t->now = (struct xm_time){ 5 * XM_SEC };
	*state = t;
	return 0;
}

static inline int t_dst_teardown(void **state)
{
	free(*state);
	return 0;
}

/* What the caller left in the actions must not matter. */
static inline void t_dst_step(struct t_dst *t, const struct xm_event *ev)
{
	t->act = (struct xm_actions){ ~0u, 99, t->msg, 99 };
	xm_dst_step(&t->d, t->now, ev, &t->act);
}

static inline void t_dst_event(struct t_dst *t, enum xm_event_kind kind)
{
	const struct xm_event ev = { .kind = kind };

	t_dst_step(t, &ev);
}

/* An event of the conductor that brings a message with it. */
static inline void t_dst_event_msg(struct t_dst *t, enum xm_event_kind kind,
				   const struct xm_msg *m)
{
	const struct xm_event ev = { .kind = kind, .msg = m };

	t_dst_step(t, &ev);
}

static inline void t_dst_hear(struct t_dst *t, const struct xm_msg *m)
{
	t_dst_event_msg(t, XM_EV_MESSAGE, m);
}

static inline void t_dst_hear_type(struct t_dst *t, enum xm_msg_type type)
{
	struct xm_msg m = t_any(type, t->d.epoch);

	if (type == XM_MSG_HELLO)
		m.hello.features = t->features;
	t_dst_hear(t, &m);
}

static inline void t_dst_hear_begin(struct t_dst *t, uint32_t epoch,
				    bool is_final)
{
	struct xm_msg m = t_epoch(XM_MSG_EPOCH_BEGIN, epoch);

	m.epoch.is_final = is_final;
	t_dst_hear(t, &m);
}

static inline void t_dst_cancel(struct t_dst *t, enum xm_reason reason,
				const char *text)
{
	struct xm_msg m = t_abort(reason, text);

	t_dst_event_msg(t, XM_EV_CANCEL, &m);
}

static inline void t_dst_hear_device(struct t_dst *t, uint64_t offset,
				     uint32_t len)
{
	struct xm_msg m = t_device(offset, len);

	t_dst_hear(t, &m);
}

static inline void t_dst_hear_device_end(struct t_dst *t, uint64_t total,
					 bool runs)
{
	struct xm_msg m = t_device_end(total, runs);

	t_dst_hear(t, &m);
}

static inline void t_dst_device_taken(struct t_dst *t, uint64_t bytes)
{
	struct xm_msg m = t_device_ack(bytes);

	t_dst_event_msg(t, XM_EV_DEVICE_TAKEN, &m);
}

static inline void t_dst_wait(struct t_dst *t, int64_t ms)
{
	t->now = xm_time_add(t->now, ms * XM_MS);
}

static inline void t_dst_advance(struct t_dst *t)
{
	struct xm_msg welcome = t_welcome();
	struct xm_msg totals = t_totals(XM_MSG_EPOCH_END, t->d.epoch);

	welcome.welcome.features = t->features;
	if (t->d.state == XM_DST_INIT)
		t_dst_event(t, XM_EV_START);
	else if (t->d.state == XM_DST_HELLO)
		t_dst_hear_type(t, XM_MSG_HELLO);
	else if (t->d.state == XM_DST_CONSIDER)
		t_dst_event_msg(t, XM_EV_ACCEPT, &welcome);
	else if (t->d.state == XM_DST_PROBE && !t->d.is_proven)
		t_dst_event(t, XM_EV_PROVEN);
	else if (t->d.state == XM_DST_PROBE)
		t_dst_hear_type(t, XM_MSG_PROVEN);
	else if (t->d.state == XM_DST_READY)
		t_dst_hear_begin(t, t->d.epoch + 1, false);
	else if (t->d.state == XM_DST_OPEN)
		t_dst_event(t, XM_EV_OPENED);
	else if (t->d.state == XM_DST_EPOCH)
		t_dst_hear(t, &totals);
	else
		fail_msg("no way on from %s", xm_dst_state_name(t->d.state));
}

/* From READY through an epoch, back to READY. */
static inline void t_dst_whole_epoch(struct t_dst *t, bool is_final)
{
	struct xm_msg totals = t_totals(XM_MSG_EPOCH_END, t->d.epoch + 1);

	t_dst_hear_begin(t, t->d.epoch + 1, is_final);
	t_dst_event(t, XM_EV_OPENED);
	t_dst_hear(t, &totals);
	t_dst_event_msg(t, XM_EV_INSTALLED, &totals);
	assert_int_equal(t->d.state, XM_DST_READY);
}

/* Bring a fresh machine to @state: in epoch 1, if in any, or in LOAD or COMMIT,
 * after one epoch; with device state, if that is agreed. */
static inline struct t_dst *t_dst_at(struct t_dst *t, enum xm_dst_state state)
{
	bool is_late = state == XM_DST_COMMIT || state == XM_DST_LOAD;
	enum xm_dst_state way = is_late ? XM_DST_READY : state;

	while (t->d.state != way)
		t_dst_advance(t);
	if (is_late)
		t_dst_whole_epoch(t, true);
	if (is_late && t->features & XM_FEATURE_DEVICE)
		t_dst_hear_device_end(t, t->d.device_got, true);
	if (state == XM_DST_COMMIT) {
		if (t->d.state == XM_DST_LOAD)
			t_dst_event(t, XM_EV_LOADED);
		t_dst_hear_type(t, XM_MSG_COMMIT);
	}
	assert_int_equal(t->d.state, state);
	return t;
}

/* The last step ended it, and told the peer why. */
static inline void t_dst_assert_abort(const struct t_dst *t,
				      enum xm_reason reason)
{
	t_assert_says(&t->act, XM_MSG_ABORT);
	assert_int_equal(t->act.flags, XM_ACT_SEND | XM_ACT_FINISHED);
	assert_int_equal(t->msg[0].abort.reason, reason);
	assert_string_not_equal(t->msg[0].abort.text, "");
	assert_int_equal(t->d.state, XM_DST_FAILED);
	t_assert_outcome(&t->d.outcome, reason, XM_HOME_SOURCE, false);
	assert_string_equal(t->d.outcome.text, t->msg[0].abort.text);
}

/* In @state every message is a breach of the protocol, but @legal, HEARTBEAT
 * and ABORT. */
static inline void t_dst_takes_only(struct t_dst *t, enum xm_dst_state state,
				    enum xm_msg_type legal)
{
	const struct xm_dst fresh = t->d;
	enum xm_msg_type type;

	for (type = XM_MSG_HELLO; type <= T_MSG_LAST; type++) {
		t->d = fresh;
		t_dst_at(t, state);
		t_dst_hear_type(t, type);
		if (type == XM_MSG_HEARTBEAT) {
			t_assert_nothing(&t->act);
			assert_int_equal(t->d.state, state);
		} else if (type != legal && type != XM_MSG_ABORT) {
			t_dst_assert_abort(t, XM_REASON_PROTOCOL);
		}
	}
}

#endif
