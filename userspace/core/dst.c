// SPDX-License-Identifier: GPL-2.0-or-later
/* dst.c - the destination's session machine (protocol.md 6.4)
 *
 * enum xm_dst_state - what the receiving side is doing
 *
 * INIT     nothing.  Next: HELLO at START
 * HELLO    the peer has not said who it is.  Next: CONSIDER on HELLO
 * CONSIDER the conductor compares guests and opens channels.
 *          Next: PROBE at ACCEPT (we answer WELCOME), FAILED at CANCEL
 * PROBE    paths are being proven.  Next: READY when both said PROVEN
 * READY    no epoch is open: every frame is stale
 *          Next: OPEN on EPOCH_BEGIN; after the final epoch VERIFY on VERIFY,
 *          LOAD on DEVICE_END, and COMMIT on COMMIT, when verification that was
 *          agreed is done, and device state that was agreed is loaded
 * OPEN     the channels' threads are being told of the epoch.
 *          Next: EPOCH at OPENED (we answer EPOCH_READY)
 * EPOCH    frames of this epoch are placed.  Next: TOTALS on EPOCH_END
 * TOTALS   the channels are closed and counted.  Next: READY at INSTALLED, if
 *          our figures are the peer's and what was placed is what was
 *          announced (we answer EPOCH_DONE); FAILED if not
 * VERIFY   the conductor hashes all memory.  Next: READY when all hashes are
 *          said
 * LOAD     memory and device state are complete; the guest takes the latter in.
 *          may not: run.  Next: READY at LOADED (we answer LOADED), FAILED
 *          after XM_LOAD_MS: the source's guest is paused all the while, and
 *          heartbeats alone would keep it so for ever
 * COMMIT   the guest is ours and is being started.
 *          may not: be cancelled.  Next: DONE at COMMIT (we answer COMMITTED)
 * DONE     the guest is ours
 * FAILED   the guest is not ours: its memory here is worth nothing
 *
 * Device state (protocol.md 6.5) may come in any state from READY to TOTALS, in
 * order and within a window of what was acknowledged, until DEVICE_END.
 *
 * What the hashes came to the source knows: it may then send one more final
 * epoch, that repairs, and VERIFY once more (protocol.md 6.7).
 *
 * Losing contact in COMMIT changes nothing here: the source will not resume
 * its guest, so this side must run it.
 */
#include "dst.h"

#include <assert.h>
#include <string.h>

#include "map.h"

#define TO(state) (1u << XM_DST_##state)
static const uint32_t dst_next[XM_DST__COUNT] = {
	[XM_DST_INIT] = TO(HELLO) | TO(FAILED),
	[XM_DST_HELLO] = TO(CONSIDER) | TO(FAILED),
	[XM_DST_CONSIDER] = TO(PROBE) | TO(FAILED),
	[XM_DST_PROBE] = TO(READY) | TO(FAILED),
	[XM_DST_READY] = TO(OPEN) | TO(VERIFY) | TO(LOAD) | TO(COMMIT) |
			 TO(FAILED),
	[XM_DST_OPEN] = TO(EPOCH) | TO(FAILED),
	[XM_DST_EPOCH] = TO(TOTALS) | TO(FAILED),
	[XM_DST_TOTALS] = TO(READY) | TO(FAILED),
	[XM_DST_VERIFY] = TO(READY) | TO(FAILED),
	[XM_DST_LOAD] = TO(READY) | TO(FAILED),
	[XM_DST_COMMIT] = TO(DONE) | TO(FAILED),
};

static void dst_enter(struct xm_dst *d, struct xm_time now,
		      enum xm_dst_state next)
{
	assert(dst_next[d->state] & (1u << next));
	xm_trace(d->trace, now, XM_TRACE_STATE, 0, d->state, next);
	d->state = next;
}

static bool dst_is_over(const struct xm_dst *d)
{
	return d->state == XM_DST_DONE || d->state == XM_DST_FAILED;
}

static struct xm_msg *dst_say(struct xm_dst *d, struct xm_time now,
			      struct xm_actions *act, enum xm_msg_type type)
{
	d->spoken = now;
	return xm_actions_add(act, type);
}

static void dst_fail(struct xm_dst *d, struct xm_time now,
		     enum xm_reason reason, bool by_peer, const char *text,
		     struct xm_actions *act)
{
	xm_outcome_set(&d->outcome, reason, XM_HOME_SOURCE, by_peer, text);
	dst_enter(d, now, XM_DST_FAILED);
	act->flags |= XM_ACT_FINISHED;
}

static void dst_abort(struct xm_dst *d, struct xm_time now,
		      enum xm_reason reason, const char *text,
		      struct xm_actions *act)
{
	struct xm_msg *msg = dst_say(d, now, act, XM_MSG_ABORT);

	msg->abort.reason = reason;
	memcpy(msg->abort.text, text, strnlen(text, XM_MSG_TEXT - 1));
	dst_fail(d, now, reason, false, text, act);
}

static void dst_take_proven(struct xm_dst *d, struct xm_time now)
{
	if (d->is_proven && d->peer_is_proven)
		dst_enter(d, now, XM_DST_READY);
}

/* -- messages ---------------------------------------------------------------------- */

static void dst_take_hello(struct xm_dst *d, struct xm_time now,
			   const struct xm_msg_hello *hello,
			   struct xm_actions *act)
{
	dst_enter(d, now, XM_DST_CONSIDER);
	d->hello = *hello;
	if (hello->version_min > XM_MSG_VERSION ||
	    hello->version_max < XM_MSG_VERSION) {
		dst_abort(d, now, XM_REASON_VERSION,
			  "the destination speaks protocol version 1 only",
			  act);
		return;
	}
	act->flags |= XM_ACT_CONSIDER;
}

static bool dst_has_device(const struct xm_dst *d)
{
	return d->agreed.features & XM_FEATURE_DEVICE;
}

/* All memory is here, and hashed if that was agreed: the rest may follow. */
static bool dst_may_go(const struct xm_dst *d)
{
	return d->is_final &&
	       (d->is_verified || !(d->agreed.features & XM_FEATURE_VERIFY));
}

/* A piece of device state: may it come now, and is it the next one? */
static bool dst_take_device(struct xm_dst *d, const struct xm_msg_device *m,
			    struct xm_actions *act)
{
	if (!dst_has_device(d) || d->is_device_ended ||
	    d->state < XM_DST_READY || d->state > XM_DST_TOTALS)
		return false;
	if (m->offset != d->device_got ||
	    m->len > XM_DEVICE_WINDOW - (d->device_got - d->device_said))
		return false;
	d->device_got += m->len;
	act->flags |= XM_ACT_DEVICE;
	return true;
}

static bool dst_end_device(struct xm_dst *d, struct xm_time now,
			   const struct xm_msg_device_end *m,
			   struct xm_actions *act)
{
	if (!dst_has_device(d) || d->is_device_ended || !dst_may_go(d) ||
	    m->total != d->device_got)
		return false;
	d->is_device_ended = true;
	d->runs = m->runs;
	d->load_begun = now;
	dst_enter(d, now, XM_DST_LOAD);
	act->flags |= XM_ACT_DEVICE_END;
	return true;
}

/* Once more after a final one: what was hashed once, and differed. */
static bool dst_may_begin(const struct xm_dst *d, const struct xm_msg_epoch *m)
{
	return m->epoch == d->epoch + 1 &&
	       (!d->is_final || (m->is_final && d->n_verify == 1 &&
				 d->is_verified && !d->is_device_ended));
}

static bool dst_verify(struct xm_dst *d, struct xm_time now,
		       struct xm_actions *act)
{
	if (!(d->agreed.features & XM_FEATURE_VERIFY) || !d->is_final ||
	    d->is_verified)
		return false;
	d->n_verify++;
	d->n_hashes = 0;
	dst_enter(d, now, XM_DST_VERIFY);
	act->flags |= XM_ACT_HASH;
	return true;
}

/* True when @m is legal here. */
static bool dst_take_in_ready(struct xm_dst *d, struct xm_time now,
			      const struct xm_msg *m, struct xm_actions *act)
{
	if (m->type == XM_MSG_EPOCH_BEGIN && dst_may_begin(d, &m->epoch)) {
		d->is_verified = false;
		d->epoch = m->epoch.epoch;
		d->is_final = m->epoch.is_final;
		dst_enter(d, now, XM_DST_OPEN);
		act->flags |= XM_ACT_OPEN_EPOCH;
		act->epoch = d->epoch;
		return true;
	}
	if (m->type == XM_MSG_VERIFY)
		return dst_verify(d, now, act);
	if (m->type == XM_MSG_DEVICE_END)
		return dst_end_device(d, now, &m->device_end, act);
	if (m->type == XM_MSG_COMMIT && dst_may_go(d) &&
	    (!dst_has_device(d) || d->is_loaded)) {
		dst_enter(d, now, XM_DST_COMMIT);
		act->flags |= XM_ACT_TAKE_GUEST;
		return true;
	}
	return false;
}

static bool dst_take_legal(struct xm_dst *d, struct xm_time now,
			   const struct xm_msg *m, struct xm_actions *act)
{
	if (m->type == XM_MSG_DEVICE)
		return dst_take_device(d, &m->device, act);
	switch (d->state) {
	case XM_DST_HELLO:
		if (m->type != XM_MSG_HELLO)
			return false;
		dst_take_hello(d, now, &m->hello, act);
		return true;
	case XM_DST_PROBE:
		if (m->type != XM_MSG_PROVEN || d->peer_is_proven)
			return false;
		d->peer_is_proven = true;
		dst_take_proven(d, now);
		return true;
	case XM_DST_READY:
		return dst_take_in_ready(d, now, m, act);
	case XM_DST_EPOCH:
		if (m->type != XM_MSG_EPOCH_END || m->epoch.epoch != d->epoch ||
		    m->epoch.n_channels != d->agreed.n_channels)
			return false;
		d->announced = m->epoch;
		dst_enter(d, now, XM_DST_TOTALS);
		act->flags |= XM_ACT_TOTALS;
		return true;
	case XM_DST_INIT:
	case XM_DST_CONSIDER:
	case XM_DST_OPEN:
	case XM_DST_TOTALS:
	case XM_DST_VERIFY:
	case XM_DST_LOAD:
	case XM_DST_COMMIT:
	case XM_DST_DONE:
	case XM_DST_FAILED:
	case XM_DST__COUNT:
		break;
	}
	return false;
}

static void dst_take_message(struct xm_dst *d, struct xm_time now,
			     const struct xm_msg *m, struct xm_actions *act)
{
	enum xm_reason reason;

	d->heard = now;
	if (m->type == XM_MSG_HEARTBEAT || d->state == XM_DST_COMMIT)
		return;
	if (m->type == XM_MSG_ABORT) {
		reason = m->abort.reason == XM_REASON_CANCELLED ?
				 XM_REASON_PEER_CANCELLED :
				 m->abort.reason;
		dst_fail(d, now, reason, true, m->abort.text, act);
		return;
	}
	if (!dst_take_legal(d, now, m, act))
		dst_abort(d, now, XM_REASON_PROTOCOL,
			  "the peer sent a message that does not fit here",
			  act);
}

/* -- the conductor --------------------------------------------------------------- */

static bool dst_totals_match(const struct xm_rx_totals *theirs,
			     const struct xm_rx_totals *ours)
{
	return theirs->frames == ours->frames &&
	       theirs->packets == ours->packets &&
	       theirs->bytes_placed == ours->bytes_placed &&
	       theirs->pages_announced == ours->pages_announced &&
	       theirs->zero_pages == ours->zero_pages &&
	       xm_rx_totals_agree(ours);
}

/* protocol.md 5.3: what the memory held before does not matter. */
static bool dst_is_complete(const struct xm_dst *d,
			    const struct xm_msg_epoch *ours)
{
	uint64_t announced = 0, pages = 0, sum = 0;
	unsigned int i;

	for (i = 0; i < d->agreed.n_channels; i++) {
		announced += ours->totals[i].pages_announced +
			     ours->totals[i].zero_pages;
		sum += ours->totals[i].sum_announced + ours->totals[i].sum_zero;
	}
	for (i = 0; i < d->hello.n_blocks; i++)
		pages += d->hello.block[i].len >> XM_PAGE_SHIFT;
	if (announced != pages)
		return false; /* so only who sent that many makes us sum them */
	for (i = 0; i < d->hello.n_blocks; i++)
		sum -= xm_page_hash_sum(i, d->hello.block[i].len);
	return !sum; /* each page, and none twice */
}

static void dst_take_totals(struct xm_dst *d, struct xm_time now,
			    const struct xm_msg_epoch *ours,
			    struct xm_actions *act)
{
	struct xm_msg *msg;
	unsigned int i;

	if (d->epoch == 1 && !dst_is_complete(d, ours)) {
		dst_abort(d, now, XM_REASON_INTEGRITY,
			  "the first epoch did not announce every page", act);
		return;
	}
	for (i = 0; i < d->agreed.n_channels; i++) {
		if (dst_totals_match(&d->announced.totals[i], &ours->totals[i]))
			continue;
		dst_abort(d, now, XM_REASON_INTEGRITY,
			  "what was installed is not what was sent", act);
		return;
	}
	msg = dst_say(d, now, act, XM_MSG_EPOCH_DONE);
	msg->epoch.epoch = d->epoch;
	msg->epoch.is_final = d->is_final;
	dst_enter(d, now, XM_DST_READY);
}

static void dst_accept(struct xm_dst *d, struct xm_time now,
		       const struct xm_msg_welcome *welcome,
		       struct xm_actions *act)
{
	d->agreed = *welcome;
	d->agreed.features &= d->hello.features;
	dst_say(d, now, act, XM_MSG_WELCOME)->welcome = d->agreed;
	dst_enter(d, now, XM_DST_PROBE);
	act->flags |= XM_ACT_PROBE;
}

static void dst_guest_taken(struct xm_dst *d, struct xm_time now,
			    struct xm_actions *act)
{
	dst_say(d, now, act, XM_MSG_COMMITTED);
	xm_outcome_set(&d->outcome, XM_REASON_NONE, XM_HOME_TARGET, false, "");
	dst_enter(d, now, XM_DST_DONE);
	act->flags |= XM_ACT_FINISHED;
}

/* When silence of the peer is too long. */
static struct xm_time dst_deadline(const struct xm_dst *d)
{
	if (d->state == XM_DST_COMMIT)
		return XM_TIME_NEVER;
	/* A stranger's heartbeats buy it no time (protocol.md 6.2). */
	return d->state == XM_DST_HELLO ?
		       xm_time_add(d->begun, XM_HELLO_MS * XM_MS) :
		       xm_time_add(d->heard, XM_CTL_STALL_MS * XM_MS);
}

/* When loading takes too long, however well the peer is heard. */
static struct xm_time dst_load_deadline(const struct xm_dst *d)
{
	return d->state == XM_DST_LOAD ?
		       xm_time_add(d->load_begun, XM_LOAD_MS * XM_MS) :
		       XM_TIME_NEVER;
}

static void dst_timer(struct xm_dst *d, struct xm_time now,
		      struct xm_actions *act)
{
	if (!xm_time_before(now, dst_load_deadline(d)))
		dst_abort(d, now, XM_REASON_STALLED,
			  "the target's QEMU does not finish loading the "
			  "devices: is it stopped, or its storage?",
			  act);
	else if (!xm_time_before(now, dst_deadline(d)))
		dst_fail(d, now, XM_REASON_PEER_LOST, false,
			 "the peer is silent", act);
	else if (xm_time_sub(now, d->spoken) >= XM_HEARTBEAT_MS * XM_MS)
		dst_say(d, now, act, XM_MSG_HEARTBEAT);
}

static void dst_opened(struct xm_dst *d, struct xm_time now,
		       struct xm_actions *act)
{
	struct xm_msg *msg = dst_say(d, now, act, XM_MSG_EPOCH_READY);

	msg->epoch.epoch = d->epoch;
	msg->epoch.is_final = d->is_final;
	dst_enter(d, now, XM_DST_EPOCH);
}

static void dst_proven(struct xm_dst *d, struct xm_time now,
		       struct xm_actions *act)
{
	d->is_proven = true;
	dst_say(d, now, act, XM_MSG_PROVEN);
	dst_take_proven(d, now);
}

/* In COMMIT an acknowledgement has nobody left to read it. */
static void dst_device_taken(struct xm_dst *d, struct xm_time now,
			     uint64_t bytes, struct xm_actions *act)
{
	assert(bytes >= d->device_said && bytes <= d->device_got);
	if (d->state == XM_DST_COMMIT || bytes == d->device_said)
		return;
	d->device_said = bytes;
	dst_say(d, now, act, XM_MSG_DEVICE_ACK)->device_ack.bytes = bytes;
}

static void dst_hashes(struct xm_dst *d, struct xm_time now,
		       const struct xm_msg_hashes *m, struct xm_actions *act)
{
	uint32_t stripes = xm_hello_stripes(&d->hello);

	assert(d->state == XM_DST_VERIFY && m->first == d->n_hashes);
	assert(m->n && m->n <= stripes - d->n_hashes);
	dst_say(d, now, act, XM_MSG_HASHES)->hashes = *m;
	d->n_hashes += m->n;
	if (d->n_hashes < stripes)
		return;
	d->is_verified = true;
	dst_enter(d, now, XM_DST_READY);
}

static void dst_loaded(struct xm_dst *d, struct xm_time now,
		       struct xm_actions *act)
{
	assert(d->state == XM_DST_LOAD);
	d->is_loaded = true;
	dst_say(d, now, act, XM_MSG_LOADED);
	dst_enter(d, now, XM_DST_READY);
}

void xm_dst_step(struct xm_dst *d, struct xm_time now,
		 const struct xm_event *ev, struct xm_actions *act)
{
	act->flags = 0;
	act->n_msgs = 0;
	act->epoch = 0;
	if (dst_is_over(d))
		return;
	switch (ev->kind) {
	case XM_EV_START:
		d->begun = d->heard = d->spoken = now;
		dst_enter(d, now, XM_DST_HELLO);
		break;
	case XM_EV_MESSAGE:
		dst_take_message(d, now, ev->msg, act);
		break;
	case XM_EV_ACCEPT:
		dst_accept(d, now, &ev->msg->welcome, act);
		break;
	case XM_EV_PROVEN:
		dst_proven(d, now, act);
		break;
	case XM_EV_OPENED:
		dst_opened(d, now, act);
		break;
	case XM_EV_INSTALLED:
		dst_take_totals(d, now, &ev->msg->epoch, act);
		break;
	case XM_EV_COMMIT:
		dst_guest_taken(d, now, act);
		break;
	case XM_EV_CANCEL:
		/* In COMMIT: the guest could not be started here; the source
		 * may have it back, since nobody ran it. */
		dst_abort(d, now, ev->msg->abort.reason, ev->msg->abort.text,
			  act);
		break;
	case XM_EV_LOST:
		if (d->state != XM_DST_COMMIT)
			dst_fail(d, now, XM_REASON_PEER_LOST, false,
				 "the control connection broke", act);
		break;
	case XM_EV_TIMER:
		dst_timer(d, now, act);
		break;
	case XM_EV_DEVICE_TAKEN:
		dst_device_taken(d, now, ev->msg->device_ack.bytes, act);
		break;
	case XM_EV_LOADED:
		dst_loaded(d, now, act);
		break;
	case XM_EV_HASHES:
		dst_hashes(d, now, &ev->msg->hashes, act);
		break;
	case XM_EV_NEXT_EPOCH:
	case XM_EV_DEVICE:
	case XM_EV_DEVICE_END:
	case XM_EV_VERIFY:
	case XM_EV_COMPARED:
		assert(!"an event of the source");
		break;
	}
}

struct xm_time xm_dst_expiry(const struct xm_dst *d)
{
	struct xm_time beat = xm_time_add(d->spoken, XM_HEARTBEAT_MS * XM_MS);

	if (d->state == XM_DST_INIT || dst_is_over(d))
		return XM_TIME_NEVER;
	beat = xm_time_min(beat, dst_load_deadline(d));
	return xm_time_min(dst_deadline(d), beat);
}

void xm_dst_init(struct xm_dst *d, struct xm_trace *trace)
{
	memset(d, 0, sizeof(*d));
	d->trace = trace;
}

const char *xm_dst_state_name(enum xm_dst_state state)
{
	static const char *const names[XM_DST__COUNT] = {
		"init",   "hello", "consider", "probe",  "ready",
		"open",   "epoch", "totals",   "verify", "load",
		"commit", "done",  "failed",
	};

	return names[state];
}
