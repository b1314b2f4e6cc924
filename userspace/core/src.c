// SPDX-License-Identifier: GPL-2.0-or-later
/* src.c - the source's session machine (protocol.md 6.3)
 *
 * enum xm_src_state - what the sending side is doing
 *
 * INIT     nothing was said yet.  Next: HELLO at START
 * HELLO    we said who we are.  Next: PROBE on WELCOME
 * PROBE    channels are open, their paths are being proven at both sides.
 *          Next: HARVEST when we and the peer have said PROVEN
 * HARVEST  no epoch is open; the conductor decides: another epoch, hand the
 *          guest over (only after the final epoch), or give up.
 *          may: harvest, pause the guest        may not: post a page
 * OPEN     EPOCH_BEGIN is out.  Next: EPOCH on EPOCH_READY
 * EPOCH    pages of one harvest are on their way
 *          may: post, retransmit                may not: harvest
 *          Next: BARRIER when every channel's SYNC is acknowledged
 * BARRIER  EPOCH_END is out.  Next: HARVEST on EPOCH_DONE
 * VERIFY   VERIFY is out: both sides hash all memory.
 *          Next: HARVEST when the hashes were compared; FAILED if they take too
 *          long, or differ a second time
 * DEVICE   DEVICE_END is out: all memory and all device state are over there.
 *          Next: HARVEST on LOADED, and from there COMMIT
 * COMMIT   the peer was told to run the guest; there is no way back
 *          may not: resume the guest, cancel
 *          Next: DONE on COMMITTED, UNKNOWN when contact is lost
 * DONE     the guest is the peer's
 * FAILED   the guest is ours
 * UNKNOWN  nobody can say from here; ask the destination
 *
 * Until COMMIT every failure, on either side, ends in FAILED with a runnable
 * guest here.  From the moment COMMIT is handed to the control connection,
 * whether or not a byte of it has left, nothing ends in FAILED any more but an
 * ABORT of the peer, which says that it did not take the guest.
 *
 * Device state (protocol.md 6.5) flows beside all that, from HARVEST to BARRIER,
 * as its window allows: the guest's devices are saved while its last pages are
 * on their way.  When the feature is offered it is needed: memory without its
 * devices is no guest, so a WELCOME without it ends the migration.
 *
 * With --verify (protocol.md 6.7) no guest is handed over before its memory, as
 * it is at both ends while it is paused, was compared.  Once it may differ: then
 * what differs is sent again, in one more final epoch, and compared again.
 *
 * Every wait for the peer has a deadline (XM_CTL_STALL_MS since it was last
 * heard); HEARTBEATs keep it from running out while the other side works, but
 * not for ever where the guest may be paused (src_answer_deadline()).
 */
#include "src.h"

#include <assert.h>
#include <string.h>

#define TO(state) (1u << XM_SRC_##state)
static const uint32_t src_next[XM_SRC__COUNT] = {
	[XM_SRC_INIT] = TO(HELLO) | TO(FAILED),
	[XM_SRC_HELLO] = TO(PROBE) | TO(FAILED),
	[XM_SRC_PROBE] = TO(HARVEST) | TO(FAILED),
	[XM_SRC_HARVEST] = TO(OPEN) | TO(VERIFY) | TO(DEVICE) | TO(COMMIT) |
			   TO(FAILED),
	[XM_SRC_OPEN] = TO(EPOCH) | TO(FAILED),
	[XM_SRC_EPOCH] = TO(BARRIER) | TO(FAILED),
	[XM_SRC_BARRIER] = TO(HARVEST) | TO(FAILED),
	[XM_SRC_VERIFY] = TO(HARVEST) | TO(FAILED),
	[XM_SRC_DEVICE] = TO(HARVEST) | TO(FAILED),
	[XM_SRC_COMMIT] = TO(DONE) | TO(UNKNOWN) | TO(FAILED),
};

static void src_enter(struct xm_src *s, struct xm_time now,
		      enum xm_src_state next)
{
	assert(src_next[s->state] & (1u << next));
	xm_trace(s->trace, now, XM_TRACE_STATE, 0, s->state, next);
	s->state = next;
}

static bool src_is_over(const struct xm_src *s)
{
	return s->state == XM_SRC_DONE || s->state == XM_SRC_FAILED ||
	       s->state == XM_SRC_UNKNOWN;
}

static struct xm_msg *src_say(struct xm_src *s, struct xm_time now,
			      struct xm_actions *act, enum xm_msg_type type)
{
	s->spoken = now;
	return xm_actions_add(act, type);
}

static void src_finish(struct xm_src *s, struct xm_time now,
		       enum xm_src_state state, enum xm_reason reason,
		       bool by_peer, const char *text, struct xm_actions *act)
{
	enum xm_home home = state == XM_SRC_DONE   ? XM_HOME_TARGET :
			    state == XM_SRC_FAILED ? XM_HOME_SOURCE :
						     XM_HOME_UNKNOWN;

	xm_outcome_set(&s->outcome, reason, home, by_peer, text);
	src_enter(s, now, state);
	act->flags |= XM_ACT_FINISHED;
}

/* End it from our side: tell the peer why. */
static void src_abort(struct xm_src *s, struct xm_time now,
		      enum xm_reason reason, const char *text,
		      struct xm_actions *act)
{
	struct xm_msg *msg = src_say(s, now, act, XM_MSG_ABORT);

	msg->abort.reason = reason;
	memcpy(msg->abort.text, text, strnlen(text, XM_MSG_TEXT - 1));
	src_finish(s, now, XM_SRC_FAILED, reason, false, text, act);
}

/* Contact is lost: before COMMIT the guest is ours, after it nobody knows. */
static void src_lose(struct xm_src *s, struct xm_time now, const char *text,
		     struct xm_actions *act)
{
	if (s->state == XM_SRC_COMMIT)
		src_finish(s, now, XM_SRC_UNKNOWN, XM_REASON_UNKNOWN_OUTCOME,
			   false, text, act);
	else
		src_finish(s, now, XM_SRC_FAILED, XM_REASON_PEER_LOST, false,
			   text, act);
}

static void src_take_proven(struct xm_src *s, struct xm_time now,
			    struct xm_actions *act)
{
	if (!s->is_proven || !s->peer_is_proven)
		return;
	src_enter(s, now, XM_SRC_HARVEST);
	act->flags |= XM_ACT_HARVEST;
}

/* -- messages ---------------------------------------------------------------------- */

static bool src_welcome_is_sane(const struct xm_src *s,
				const struct xm_msg_welcome *w)
{
	return w->version >= s->hello.version_min &&
	       w->version <= s->hello.version_max &&
	       w->n_channels == s->hello.n_channels &&
	       w->ip_max <= s->hello.ip_max && w->ip_max >= XM_MTU_MIN &&
	       w->max_pages <= s->hello.max_pages && w->credit &&
	       !(w->features & ~s->hello.features);
}

/* The message that @state waits for, or 0. */
static enum xm_msg_type src_awaits(enum xm_src_state state)
{
	switch (state) {
	case XM_SRC_HELLO:
		return XM_MSG_WELCOME;
	case XM_SRC_PROBE:
		return XM_MSG_PROVEN;
	case XM_SRC_OPEN:
		return XM_MSG_EPOCH_READY;
	case XM_SRC_BARRIER:
		return XM_MSG_EPOCH_DONE;
	case XM_SRC_VERIFY:
		return XM_MSG_HASHES;
	case XM_SRC_DEVICE:
		return XM_MSG_LOADED;
	case XM_SRC_COMMIT:
		return XM_MSG_COMMITTED;
	case XM_SRC_INIT:
	case XM_SRC_HARVEST:
	case XM_SRC_EPOCH:
	case XM_SRC_DONE:
	case XM_SRC_FAILED:
	case XM_SRC_UNKNOWN:
	case XM_SRC__COUNT:
		break;
	}
	return 0;
}

static bool src_epoch_matches(const struct xm_src *s, const struct xm_msg *m)
{
	return m->epoch.epoch == s->epoch;
}

static bool src_has_device(const struct xm_src *s)
{
	return s->agreed.features & XM_FEATURE_DEVICE;
}

static bool src_has_verify(const struct xm_src *s)
{
	return s->agreed.features & XM_FEATURE_VERIFY;
}

/* False: it agrees to what was not offered. */
static bool src_take_welcome(struct xm_src *s, struct xm_time now,
			     const struct xm_msg_welcome *w,
			     struct xm_actions *act)
{
	if (!src_welcome_is_sane(s, w))
		return false;
	if ((s->hello.features & ~w->features) & XM_FEATURE_DEVICE) {
		src_abort(s, now, XM_REASON_REFUSED,
			  "the target takes memory only, no device state", act);
		return true;
	}
	if ((s->hello.features & ~w->features) & XM_FEATURE_ENCRYPT) {
		src_abort(s, now, XM_REASON_REFUSED,
			  "the target does not decrypt memory", act);
		return true;
	}
	if ((s->hello.features & ~w->features) & XM_FEATURE_VERIFY) {
		src_abort(s, now, XM_REASON_REFUSED,
			  "the target's xdpmig is too old to verify memory",
			  act);
		return true;
	}
	s->agreed = *w;
	src_enter(s, now, XM_SRC_PROBE);
	act->flags |= XM_ACT_PROBE;
	return true;
}

/* Where device state may flow, until it has ended. */
static bool src_device_flows(const struct xm_src *s)
{
	return src_has_device(s) && s->state >= XM_SRC_HARVEST &&
	       s->state <= XM_SRC_BARRIER && !s->is_device_ended;
}

/* False: acknowledges what was never sent, or less than before. */
static bool src_take_device_ack(struct xm_src *s, uint64_t bytes,
				struct xm_actions *act)
{
	if (!src_has_device(s) || s->state < XM_SRC_HARVEST ||
	    bytes < s->device_acked || bytes > s->device_sent)
		return false;
	if (bytes > s->device_acked && src_device_flows(s))
		act->flags |= XM_ACT_DEVICE;
	s->device_acked = bytes;
	return true;
}

/* False: not the next ones, or more than there are. */
static bool src_take_hashes(struct xm_src *s, const struct xm_msg_hashes *m,
			    struct xm_actions *act)
{
	if (m->first != s->n_hashes ||
	    m->n > xm_hello_stripes(&s->hello) - s->n_hashes)
		return false;
	s->n_hashes += m->n;
	act->flags |= XM_ACT_HASHES;
	return true;
}

/* @m is what the state waits for.  False: its content breaks the protocol. */
static bool src_take_awaited(struct xm_src *s, struct xm_time now,
			     const struct xm_msg *m, struct xm_actions *act)
{
	if (m->type == XM_MSG_WELCOME) {
		return src_take_welcome(s, now, &m->welcome, act);
	} else if (m->type == XM_MSG_PROVEN) {
		if (s->peer_is_proven)
			return false;
		s->peer_is_proven = true;
		src_take_proven(s, now, act);
	} else if (m->type == XM_MSG_EPOCH_READY) {
		if (!src_epoch_matches(s, m))
			return false;
		src_enter(s, now, XM_SRC_EPOCH);
		act->flags |= XM_ACT_OPEN_EPOCH;
		act->epoch = s->epoch;
	} else if (m->type == XM_MSG_EPOCH_DONE) {
		if (!src_epoch_matches(s, m))
			return false;
		src_enter(s, now, XM_SRC_HARVEST);
		act->flags |= XM_ACT_HARVEST;
	} else if (m->type == XM_MSG_HASHES) {
		return src_take_hashes(s, &m->hashes, act);
	} else if (m->type == XM_MSG_LOADED) {
		s->is_loaded = true;
		src_enter(s, now, XM_SRC_HARVEST);
		act->flags |= XM_ACT_HARVEST;
	} else {
		src_finish(s, now, XM_SRC_DONE, XM_REASON_NONE, false, "", act);
	}
	return true;
}

static void src_take_message(struct xm_src *s, struct xm_time now,
			     const struct xm_msg *m, struct xm_actions *act)
{
	s->heard = now;
	if (m->type == XM_MSG_HEARTBEAT)
		return;
	if (m->type == XM_MSG_ABORT) {
		enum xm_reason reason = m->abort.reason;

		if (reason == XM_REASON_CANCELLED)
			reason = XM_REASON_PEER_CANCELLED;
		src_finish(s, now, XM_SRC_FAILED, reason, true, m->abort.text,
			   act);
		return;
	}
	if (m->type == src_awaits(s->state) && src_take_awaited(s, now, m, act))
		return;
	if (m->type == XM_MSG_DEVICE_ACK &&
	    src_take_device_ack(s, m->device_ack.bytes, act))
		return;
	if (s->state == XM_SRC_COMMIT)
		return; /* whatever it says, it cannot give the guest back */
	src_abort(s, now, XM_REASON_PROTOCOL,
		  "the peer sent a message that does not fit here", act);
}

/* When an answer takes too long, however well the peer is heard: the guest may be
 * paused all the while.  Loading devices is what takes long, and the destination,
 * which has a deadline for it, has more to say about it than we. */
static struct xm_time src_answer_deadline(const struct xm_src *s)
{
	int64_t ms = XM_ANSWER_MS;

	if (s->state == XM_SRC_DEVICE)
		ms = XM_LOAD_MS + XM_CTL_STALL_MS;
	else if (s->state != XM_SRC_OPEN && s->state != XM_SRC_BARRIER &&
		 (s->state != XM_SRC_PROBE || !s->is_proven))
		return XM_TIME_NEVER;
	return xm_time_add(s->asked, ms * XM_MS);
}

/* -- the conductor --------------------------------------------------------------- */

static void src_begin_epoch(struct xm_src *s, struct xm_time now, bool is_final,
			    struct xm_actions *act)
{
	struct xm_msg *msg = src_say(s, now, act, XM_MSG_EPOCH_BEGIN);

	assert(!s->is_final || (s->must_repair && is_final));
	s->is_repaired = s->must_repair;
	s->must_repair = false;
	s->is_final = is_final;
	msg->epoch.epoch = ++s->epoch;
	msg->epoch.is_final = is_final;
	s->asked = now;
	src_enter(s, now, XM_SRC_OPEN);
}

static void src_end_epoch(struct xm_src *s, struct xm_time now,
			  const struct xm_msg *totals, struct xm_actions *act)
{
	struct xm_msg *msg = src_say(s, now, act, XM_MSG_EPOCH_END);

	msg->epoch = totals->epoch;
	msg->epoch.epoch = s->epoch;
	msg->epoch.is_final = s->is_final;
	s->asked = now;
	src_enter(s, now, XM_SRC_BARRIER);
}

static void src_verify(struct xm_src *s, struct xm_time now,
		       struct xm_actions *act)
{
	assert(s->state == XM_SRC_HARVEST && s->is_final && src_has_verify(s));
	assert(!s->is_verified && !s->must_repair);
	src_say(s, now, act, XM_MSG_VERIFY);
	s->n_hashes = 0;
	s->verify_begun = now;
	src_enter(s, now, XM_SRC_VERIFY);
	act->flags |= XM_ACT_HASH;
}

static void src_compared(struct xm_src *s, struct xm_time now, bool is_same,
			 struct xm_actions *act)
{
	assert(s->state == XM_SRC_VERIFY);
	assert(s->n_hashes == xm_hello_stripes(&s->hello));
	if (!is_same && s->is_repaired) {
		src_abort(
			s, now, XM_REASON_INTEGRITY,
			"memory at the target differs, and again after it was "
			"sent once more",
			act);
		return;
	}
	s->is_verified = is_same;
	s->must_repair = !is_same;
	src_enter(s, now, XM_SRC_HARVEST);
	act->flags |= XM_ACT_HARVEST;
}

static void src_device(struct xm_src *s, struct xm_time now,
		       const struct xm_msg_device *piece,
		       struct xm_actions *act)
{
	struct xm_msg *msg;

	assert(piece->len && piece->len <= XM_DEVICE_CHUNK);
	assert(piece->len <= xm_src_device_room(s));
	msg = src_say(s, now, act, XM_MSG_DEVICE);
	msg->device = *piece;
	msg->device.offset = s->device_sent;
	s->device_sent += piece->len;
}

static void src_end_device(struct xm_src *s, struct xm_time now, bool runs,
			   struct xm_actions *act)
{
	struct xm_msg *msg;

	assert(s->state == XM_SRC_HARVEST && s->is_final);
	assert(src_device_flows(s));
	assert(!src_has_verify(s) || s->is_verified);
	msg = src_say(s, now, act, XM_MSG_DEVICE_END);
	msg->device_end.total = s->device_sent;
	msg->device_end.runs = runs;
	s->is_device_ended = true;
	s->asked = now;
	src_enter(s, now, XM_SRC_DEVICE);
}

static void src_commit(struct xm_src *s, struct xm_time now,
		       struct xm_actions *act)
{
	assert(s->is_final && (!src_has_device(s) || s->is_loaded));
	assert(!src_has_verify(s) || s->is_verified);
	src_say(s, now, act, XM_MSG_COMMIT);
	src_enter(s, now, XM_SRC_COMMIT);
}

static void src_hello(struct xm_src *s, struct xm_time now,
		      struct xm_actions *act)
{
	src_say(s, now, act, XM_MSG_HELLO)->hello = s->hello;
	s->heard = now;
	src_enter(s, now, XM_SRC_HELLO);
}

/* When hashing takes too long there, however well the peer is heard. */
static struct xm_time src_verify_deadline(const struct xm_src *s)
{
	uint64_t gib = 0;
	unsigned int i;

	if (s->state != XM_SRC_VERIFY ||
	    s->n_hashes == xm_hello_stripes(&s->hello))
		return XM_TIME_NEVER;
	for (i = 0; i < s->hello.n_blocks; i++)
		gib += s->hello.block[i].len >> 30;
	return xm_time_add(s->verify_begun,
			   (XM_VERIFY_MS + (int64_t)gib * XM_VERIFY_GIB_MS) *
				   XM_MS);
}

static void src_timer(struct xm_src *s, struct xm_time now,
		      struct xm_actions *act)
{
	if (!xm_time_before(now, src_verify_deadline(s)))
		src_abort(s, now, XM_REASON_STALLED,
			  "the target does not finish hashing its memory", act);
	else if (xm_time_sub(now, s->heard) >= XM_CTL_STALL_MS * XM_MS)
		src_lose(s, now, "the peer is silent", act);
	else if (!xm_time_before(now, src_answer_deadline(s)))
		src_abort(s, now, XM_REASON_STALLED,
			  "the peer does not answer, though it is heard", act);
	else if (xm_time_sub(now, s->spoken) >= XM_HEARTBEAT_MS * XM_MS)
		src_say(s, now, act, XM_MSG_HEARTBEAT);
}

void xm_src_step(struct xm_src *s, struct xm_time now,
		 const struct xm_event *ev, struct xm_actions *act)
{
	act->flags = 0;
	act->n_msgs = 0;
	act->epoch = 0;
	if (src_is_over(s))
		return;
	switch (ev->kind) {
	case XM_EV_START:
		src_hello(s, now, act);
		break;
	case XM_EV_MESSAGE:
		src_take_message(s, now, ev->msg, act);
		break;
	case XM_EV_PROVEN:
		assert(s->state == XM_SRC_PROBE);
		s->is_proven = true;
		s->asked = now;
		src_say(s, now, act, XM_MSG_PROVEN);
		src_take_proven(s, now, act);
		break;
	case XM_EV_NEXT_EPOCH:
		src_begin_epoch(s, now, ev->is_final, act);
		break;
	case XM_EV_INSTALLED:
		src_end_epoch(s, now, ev->msg, act);
		break;
	case XM_EV_COMMIT:
		src_commit(s, now, act);
		break;
	case XM_EV_DEVICE:
		src_device(s, now, &ev->msg->device, act);
		break;
	case XM_EV_DEVICE_END:
		src_end_device(s, now, ev->msg->device_end.runs, act);
		break;
	case XM_EV_VERIFY:
		src_verify(s, now, act);
		break;
	case XM_EV_COMPARED:
		src_compared(s, now, ev->is_same, act);
		break;
	case XM_EV_CANCEL:
		if (s->state != XM_SRC_COMMIT)
			src_abort(s, now, ev->msg->abort.reason,
				  ev->msg->abort.text, act);
		break;
	case XM_EV_LOST:
		src_lose(s, now, "the control connection broke", act);
		break;
	case XM_EV_TIMER:
		src_timer(s, now, act);
		break;
	case XM_EV_ACCEPT:
	case XM_EV_OPENED:
	case XM_EV_DEVICE_TAKEN:
	case XM_EV_LOADED:
	case XM_EV_HASHES:
		assert(!"an event of the destination");
		break;
	}
}

struct xm_time xm_src_expiry(const struct xm_src *s)
{
	struct xm_time beat = xm_time_add(s->spoken, XM_HEARTBEAT_MS * XM_MS);

	if (s->state == XM_SRC_INIT || src_is_over(s))
		return XM_TIME_NEVER;
	beat = xm_time_min(beat, src_verify_deadline(s));
	beat = xm_time_min(beat, src_answer_deadline(s));
	return xm_time_min(xm_time_add(s->heard, XM_CTL_STALL_MS * XM_MS),
			   beat);
}

uint64_t xm_src_device_room(const struct xm_src *s)
{
	if (!src_device_flows(s))
		return 0;
	return XM_DEVICE_WINDOW - (s->device_sent - s->device_acked);
}

void xm_src_init(struct xm_src *s, const struct xm_msg_hello *hello,
		 struct xm_trace *trace)
{
	memset(s, 0, sizeof(*s));
	s->hello = *hello;
	s->trace = trace;
}

const char *xm_src_state_name(enum xm_src_state state)
{
	static const char *const names[XM_SRC__COUNT] = {
		"init",  "hello",   "probe",   "harvest", "open",
		"epoch", "barrier", "verify",  "device",  "commit",
		"done",  "failed",  "unknown",
	};

	return names[state];
}
