// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_session.c - two sessions, their conductors and the connection between
 * them, in whatever order an input says
 *
 * parses: userspace/core/src.c userspace/core/dst.c userspace/core/session.c
 *
 * A byte is a step: bits 0-2 say what happens, bit 3 to whom (0: the source),
 * bits 4-7 how.  Conductors do what they are asked to, and only that, but when
 * they please; the connection keeps the order of messages, and breaks at any
 * moment, for each side at another.  A first byte of 7 (bits 0-2) with bit 4
 * makes it a guest with devices, with bit 5 one whose memory is verified.
 *
 * What must hold (protocol.md 6.3, 6.4):
 *
 *   one home     never may both sides run the guest, and when the source knows
 *                that the destination does, it does.  A message that no peer
 *                sent (FORGE) ends this rule, since control messages are
 *                trusted, but none of the others
 *   no way back  from COMMIT on a source gets its guest back by ABORT only
 *   no theft     a destination takes the guest on COMMIT after the final epoch,
 *                and with its devices, if it has any, and neither side does
 *                without the verification that was agreed
 *   no quarrel   sides that keep to the protocol never accuse each other; their
 *                device state arrives whole, in order, within its window
 *   an end       what is over stays over, and says where the guest may run
 *   time         a timer that was served does not ask again at once
 */
#include <string.h>

#include "core/dst.h"
#include "core/map.h"
#include "core/src.h"

#include "fuzz.h"
#include "session_msg.h"

#define QUEUE 8 /* messages on their way; more break the connection */

#define RAW 128 /* a forged message: what it says is the input's */

enum { DELIVER, CONDUCT, CANCEL, LOSE, WAIT, FORGE, DEVICE, OPTIONS };
enum { SRC, DST };

struct queue {
	struct xm_msg msg[QUEUE];
	unsigned int first, n;
};

struct world {
	struct xm_src src;
	struct xm_dst dst;
	struct queue to[2];
	bool is_broken; /* what is said from now on does not arrive */
	bool is_forged;
	bool has_device, has_verify;
	struct xm_time now;
	struct xm_actions act;
	struct xm_msg msg[XM_ACTIONS_MSGS];
};

/* -- the machines ---------------------------------------------------------- */

static bool src_is_over(const struct world *w)
{
	return w->src.state == XM_SRC_DONE || w->src.state == XM_SRC_FAILED ||
	       w->src.state == XM_SRC_UNKNOWN;
}

static bool dst_is_over(const struct world *w)
{
	return w->dst.state == XM_DST_DONE || w->dst.state == XM_DST_FAILED;
}

static void check_outcome(const struct xm_outcome *o, enum xm_home home)
{
	FUZZ_CHECK(o->home == home);
	FUZZ_CHECK((o->reason == XM_REASON_NONE) == (home == XM_HOME_TARGET));
	FUZZ_CHECK(o->reason < XM_REASON__COUNT);
	FUZZ_CHECK(memchr(o->text, '\0', sizeof(o->text)));
}

/* May the side run the guest, as far as it knows? */
static bool src_has_guest(const struct world *w)
{
	return w->src.state != XM_SRC_COMMIT && w->src.state != XM_SRC_DONE &&
	       w->src.state != XM_SRC_UNKNOWN;
}

static bool dst_has_guest(const struct world *w)
{
	return w->dst.state == XM_DST_DONE;
}

/* Device state on its way: written >= arrived >= acknowledged >= known to be. */
static void check_device(const struct world *w)
{
	FUZZ_CHECK(w->src.device_sent - w->src.device_acked <=
		   XM_DEVICE_WINDOW);
	FUZZ_CHECK(w->dst.device_got - w->dst.device_said <= XM_DEVICE_WINDOW);
	FUZZ_CHECK(w->dst.is_device_ended || !w->dst.is_loaded);
	if (w->is_forged)
		return;
	FUZZ_CHECK(w->dst.device_got <= w->src.device_sent);
	FUZZ_CHECK(w->src.device_acked <= w->dst.device_said);
	FUZZ_CHECK(!w->dst.is_device_ended ||
		   w->dst.device_got == w->src.device_sent);
	FUZZ_CHECK(w->dst.is_loaded || !w->src.is_loaded);
}

/* What arrives from a peer that keeps to the protocol is never a breach. */
static void check_quarrel(const struct world *w, const struct xm_event *ev,
			  bool has_failed, const struct xm_outcome *o)
{
	FUZZ_CHECK(w->is_forged || ev->kind != XM_EV_MESSAGE || !has_failed ||
		   o->by_peer);
}

static void check_world(const struct world *w)
{
	check_device(w);
	if (!w->is_forged) {
		FUZZ_CHECK(!(src_has_guest(w) && dst_has_guest(w)));
		FUZZ_CHECK(w->src.state != XM_SRC_DONE || dst_has_guest(w));
	}
	FUZZ_CHECK(xm_time_is_never(xm_src_expiry(&w->src)) ==
		   (w->src.state == XM_SRC_INIT || src_is_over(w)));
	FUZZ_CHECK(xm_time_is_never(xm_dst_expiry(&w->dst)) ==
		   (w->dst.state == XM_DST_INIT || dst_is_over(w)));
	if (src_is_over(w))
		check_outcome(&w->src.outcome,
			      w->src.state == XM_SRC_DONE   ? XM_HOME_TARGET :
			      w->src.state == XM_SRC_FAILED ? XM_HOME_SOURCE :
							      XM_HOME_UNKNOWN);
	if (dst_is_over(w))
		check_outcome(&w->dst.outcome, w->dst.state == XM_DST_DONE ?
						       XM_HOME_TARGET :
						       XM_HOME_SOURCE);
}

/* What was said is on its way, as bytes. */
static void send(struct world *w, unsigned int to)
{
	static uint8_t buf[XM_MSG_MAX];
	struct queue *q = &w->to[to];
	struct xm_msg *m;
	unsigned int i;
	size_t len;

	FUZZ_CHECK(w->act.n_msgs <= XM_ACTIONS_MSGS);
	FUZZ_CHECK(!w->act.n_msgs == !(w->act.flags & XM_ACT_SEND));
	for (i = 0; i < w->act.n_msgs; i++) {
		w->is_broken |= q->n == QUEUE;
		if (w->is_broken)
			return;
		len = xm_msg_put(buf, &w->msg[i]);
		m = &q->msg[(q->first + q->n++) % QUEUE];
		FUZZ_CHECK(xm_msg_get(m, buf, len) == 0);
		if (m->type != XM_MSG_DEVICE)
			continue;
		FUZZ_CHECK(!memcmp(m->device.data,
				   device_bytes(m->device.offset),
				   m->device.len));
		m->device.data = device_bytes(m->device.offset);
	}
}

static void step_src(struct world *w, const struct xm_event *ev)
{
	enum xm_src_state before = w->src.state;
	bool was_over = src_is_over(w);

	w->act = (struct xm_actions){ .msg = w->msg };
	xm_src_step(&w->src, w->now, ev, &w->act);
	if (was_over)
		FUZZ_CHECK(!w->act.flags && w->src.state == before);
	else
		FUZZ_CHECK(!(w->act.flags & XM_ACT_FINISHED) ==
			   !src_is_over(w));
	if (before == XM_SRC_COMMIT && w->src.state == XM_SRC_FAILED)
		FUZZ_CHECK(ev->kind == XM_EV_MESSAGE &&
			   ev->msg->type == XM_MSG_ABORT);
	if (before != XM_SRC_COMMIT && w->src.state == XM_SRC_COMMIT)
		FUZZ_CHECK(ev->kind == XM_EV_COMMIT && w->src.is_final &&
			   w->src.is_loaded == w->has_device &&
			   w->src.is_verified == w->has_verify);
	if (!was_over)
		check_quarrel(w, ev, w->src.state == XM_SRC_FAILED,
			      &w->src.outcome);
	if (ev->kind == XM_EV_TIMER)
		FUZZ_CHECK(xm_time_before(w->now, xm_src_expiry(&w->src)));
	send(w, DST);
	check_world(w);
}

static void step_dst(struct world *w, const struct xm_event *ev)
{
	enum xm_dst_state before = w->dst.state;
	bool was_over = dst_is_over(w);

	w->act = (struct xm_actions){ .msg = w->msg };
	xm_dst_step(&w->dst, w->now, ev, &w->act);
	if (was_over)
		FUZZ_CHECK(!w->act.flags && w->dst.state == before);
	else
		FUZZ_CHECK(!(w->act.flags & XM_ACT_FINISHED) ==
			   !dst_is_over(w));
	if (w->act.flags & XM_ACT_TAKE_GUEST)
		FUZZ_CHECK(ev->kind == XM_EV_MESSAGE &&
			   ev->msg->type == XM_MSG_COMMIT &&
			   before == XM_DST_READY && w->dst.is_final &&
			   w->dst.epoch > 0 &&
			   (w->dst.is_loaded ||
			    !(w->dst.agreed.features & XM_FEATURE_DEVICE)) &&
			   (w->dst.is_verified ||
			    !(w->dst.agreed.features & XM_FEATURE_VERIFY)));
	if (w->act.flags & XM_ACT_DEVICE)
		FUZZ_CHECK(ev->kind == XM_EV_MESSAGE &&
			   ev->msg->type == XM_MSG_DEVICE &&
			   ev->msg->device.offset + ev->msg->device.len ==
				   w->dst.device_got);
	if (!was_over)
		check_quarrel(w, ev, w->dst.state == XM_DST_FAILED,
			      &w->dst.outcome);
	if (before == XM_DST_COMMIT)
		FUZZ_CHECK(w->dst.state == XM_DST_COMMIT ||
			   ev->kind == XM_EV_COMMIT ||
			   ev->kind == XM_EV_CANCEL);
	if (ev->kind == XM_EV_TIMER)
		FUZZ_CHECK(xm_time_before(w->now, xm_dst_expiry(&w->dst)));
	send(w, SRC);
	check_world(w);
}

static void step(struct world *w, unsigned int side, enum xm_event_kind kind,
		 bool is_final, const struct xm_msg *msg)
{
	const struct xm_event ev = { kind, is_final, msg };

	if (side == SRC)
		step_src(w, &ev);
	else
		step_dst(w, &ev);
}

/* -- what happens ---------------------------------------------------------- */

/* Before its conductor has started it, a side hears nothing. */
static bool is_up(const struct world *w, unsigned int side)
{
	return side == SRC ? w->src.state != XM_SRC_INIT :
			     w->dst.state != XM_DST_INIT;
}

static void deliver(struct world *w, unsigned int side)
{
	struct queue *q = &w->to[side];
	static struct xm_msg m;

	if (!q->n || !is_up(w, side))
		return;
	m = q->msg[q->first];
	q->first = (q->first + 1) % QUEUE;
	q->n--;
	step(w, side, XM_EV_MESSAGE, false, &m);
}

/* Memory is to be compared, or was, or is to be sent again. */
static bool conduct_verify(struct world *w, unsigned int how)
{
	const struct xm_event ev = { .kind = XM_EV_COMPARED,
				     .is_same = how & 1 };

	if (w->src.state == XM_SRC_VERIFY) {
		if (w->src.n_hashes == xm_hello_stripes(&w->src.hello))
			step_src(w, &ev);
		return true;
	}
	if (w->src.state != XM_SRC_HARVEST || !w->has_verify ||
	    !w->src.is_final || w->src.is_verified)
		return false;
	if (w->src.must_repair)
		step(w, SRC, XM_EV_NEXT_EPOCH, true, NULL);
	else
		step(w, SRC, XM_EV_VERIFY, false, NULL);
	return true;
}

/* What the source's conductor may do now, if anything. */
static void conduct_src(struct world *w, unsigned int how)
{
	static struct xm_msg m;

	if (conduct_verify(w, how))
		return;
	if (w->src.state == XM_SRC_INIT) {
		step(w, SRC, XM_EV_START, false, NULL);
	} else if (w->src.state == XM_SRC_PROBE && !w->src.is_proven) {
		step(w, SRC, XM_EV_PROVEN, false, NULL);
	} else if (w->src.state == XM_SRC_HARVEST && w->has_device &&
		   w->src.is_final && !w->src.is_loaded) {
		make_device_end(&m, 0, how & 1);
		step(w, SRC, XM_EV_DEVICE_END, false, &m);
	} else if (w->src.state == XM_SRC_HARVEST) {
		step(w, SRC, w->src.is_final ? XM_EV_COMMIT : XM_EV_NEXT_EPOCH,
		     how & 1, NULL);
	} else if (w->src.state == XM_SRC_EPOCH) {
		make_totals(&m, 0, 0);
		step(w, SRC, XM_EV_INSTALLED, false, &m);
	}
}

static void conduct_dst(struct world *w, unsigned int how)
{
	uint32_t stripes = xm_hello_stripes(&w->dst.hello);
	static struct xm_msg m;

	if (w->dst.state == XM_DST_INIT) {
		step(w, DST, XM_EV_START, false, NULL);
	} else if (w->dst.state == XM_DST_CONSIDER) {
		make_welcome(&m);
		step(w, DST, XM_EV_ACCEPT, false, &m);
	} else if (w->dst.state == XM_DST_PROBE && !w->dst.is_proven) {
		step(w, DST, XM_EV_PROVEN, false, NULL);
	} else if (w->dst.state == XM_DST_OPEN) {
		step(w, DST, XM_EV_OPENED, false, NULL);
	} else if (w->dst.state == XM_DST_TOTALS) {
		make_totals(&m, w->dst.epoch, how);
		step(w, DST, XM_EV_INSTALLED, false, &m);
	} else if (w->dst.state == XM_DST_VERIFY) {
		make_hashes(&m, w->dst.n_hashes,
			    (uint16_t)(how & 1 ? 1 :
						 stripes - w->dst.n_hashes));
		step(w, DST, XM_EV_HASHES, false, &m);
	} else if (w->dst.state == XM_DST_LOAD) {
		step(w, DST, XM_EV_LOADED, false, NULL);
	} else if (w->dst.state == XM_DST_COMMIT) {
		step(w, DST, XM_EV_COMMIT, false, NULL);
	}
}

/* The source's QEMU wrote @how sixteenths of a chunk; the destination's read as
 * much of what it has not. */
static void device(struct world *w, unsigned int side, unsigned int how)
{
	uint64_t room = xm_src_device_room(&w->src), left;
	static struct xm_msg m;

	if (side == SRC) {
		left = how ? how * (XM_DEVICE_CHUNK / 15) : 1;
		if (!room)
			return;
		make_device(&m, w->src.device_sent,
			    (uint32_t)(left < room ? left : room));
		step(w, SRC, XM_EV_DEVICE, false, &m);
	} else if (w->dst.state >= XM_DST_READY) {
		left = w->dst.device_got - w->dst.device_said;
		make_device_ack(&m, w->dst.device_said + left * how / 15);
		step(w, DST, XM_EV_DEVICE_TAKEN, false, &m);
	}
}

static void cancel(struct world *w, unsigned int side, unsigned int how)
{
	static struct xm_msg m;

	make_abort(&m, how);
	step(w, side, XM_EV_CANCEL, false, &m);
}

/* The side sees the connection break: what is on its way to it is lost, and so
 * is all that is said from now on. */
static void lose(struct world *w, unsigned int side)
{
	w->is_broken = true;
	w->to[side].n = 0;
	step(w, side, XM_EV_LOST, false, NULL);
}

static void wait(struct world *w, unsigned int how)
{
	w->now = xm_time_add(w->now, (how + 1) * 250 * XM_MS);
	if (!xm_time_before(w->now, xm_src_expiry(&w->src)))
		step(w, SRC, XM_EV_TIMER, false, NULL);
	if (!xm_time_before(w->now, xm_dst_expiry(&w->dst)))
		step(w, DST, XM_EV_TIMER, false, NULL);
}

/* A message of @data: its body, in a message of @type.  False: it is none. */
static bool make_raw(struct xm_msg *m, uint8_t type, const uint8_t *data,
		     size_t len)
{
	static uint8_t buf[XM_MSG_HEADER + UINT8_MAX];

	memset(buf, 0, XM_MSG_HEADER);
	buf[0] = XM_MSG_MAGIC >> 8;
	buf[1] = XM_MSG_MAGIC & 0xff;
	buf[2] = XM_MSG_VERSION;
	buf[3] = type;
	buf[7] = (uint8_t)len;
	memcpy(buf + XM_MSG_HEADER, data, len);
	return !xm_msg_get(m, buf, XM_MSG_HEADER + len);
}

/* Of the bytes behind the step: a type and what is wrong with it; or RAW and a
 * type, a length, and so many bytes.  How many of them it took. */
static size_t forge(struct world *w, unsigned int side, const uint8_t *data,
		    size_t size)
{
	bool is_raw = data[0] & RAW;
	uint8_t type = data[0] & 127, how = data[1];
	size_t len = is_raw ? how < size - 2 ? how : size - 2 : 0;
	static struct xm_msg m;

	if (!is_up(w, side) || type < XM_MSG_HELLO || type > XM_MSG_HASHES)
		return 2 + len;
	if (!is_raw)
		make_forged(&m, type, how);
	else if (!make_raw(&m, type, data + 2, len))
		return 2 + len;
	w->is_forged = true;
	step(w, side, XM_EV_MESSAGE, false, &m);
	return 2 + len;
}

/* One step of the input; how many bytes it took. */
static size_t happen(struct world *w, const uint8_t *data, size_t size)
{
	unsigned int side = data[0] >> 3 & 1, how = data[0] >> 4;

	switch (data[0] & 7) {
	case DELIVER:
		deliver(w, side);
		break;
	case CONDUCT:
		if (side == SRC)
			conduct_src(w, how);
		else
			conduct_dst(w, how);
		break;
	case CANCEL:
		cancel(w, side, how);
		break;
	case LOSE:
		lose(w, side);
		break;
	case WAIT:
		wait(w, how);
		break;
	case FORGE:
		if (size < 3)
			return size;
		return 1 + forge(w, side, data + 1, size - 1);
	case DEVICE:
		device(w, side, how);
		break;
	default:
		break;
	}
	return 1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	static struct xm_msg hello;
	size_t n;

	memset(&w, 0, sizeof(w));
	make_hello(&hello);
	w.has_device = size && (data[0] & 0x17) == (OPTIONS | 0x10);
	w.has_verify = size && (data[0] & 0x27) == (OPTIONS | 0x20);
	hello.hello.features = (w.has_device ? XM_FEATURE_DEVICE : 0) |
			       (w.has_verify ? XM_FEATURE_VERIFY : 0);
	xm_src_init(&w.src, &hello.hello, NULL);
	xm_dst_init(&w.dst, NULL);
	for (; size; data += n, size -= n)
		n = happen(&w, data, size);
	return 0;
}
