/* SPDX-License-Identifier: GPL-2.0-or-later */
/* session.h - what the two session machines (src.h, dst.h) have in common
 *
 * A session is stepped: one event goes in, actions come out.  The conductor
 * (cli/, or the simulator) carries the actions out in the order of the fields
 * below: messages first.  Nothing else is done behind its back.
 */
#ifndef XM_CORE_SESSION_H
#define XM_CORE_SESSION_H

#include <stdbool.h>

#include "msg.h"
#include "time.h"
#include "trace.h"

enum xm_event_kind {
	XM_EV_START,   /* the control connection stands */
	XM_EV_MESSAGE, /* msg: decoded, arrived */
	XM_EV_ACCEPT,  /* dst: HELLO is acceptable; msg: WELCOME to answer with,
			 * channels are open.  Features: those that can be had
			 * here; of them, HELLO's come into force */
	XM_EV_PROVEN,  /* all channels' paths are proven at this side */
	XM_EV_NEXT_EPOCH, /* src: a harvest is complete; is_final: guest paused */
	XM_EV_OPENED,     /* dst: every channel takes the new epoch */
	XM_EV_INSTALLED, /* src: barrier passed on every channel; msg: EPOCH_END
			  * with totals.  dst: answer to XM_ACT_TOTALS; the same */
	XM_EV_COMMIT, /* src: hand the guest over.  dst: the guest was taken */
	XM_EV_CANCEL, /* end it; msg: ABORT with reason and text */
	XM_EV_LOST,   /* the control connection broke or was closed */
	XM_EV_TIMER,  /* the time xm_*_expiry() named has come */
	XM_EV_DEVICE, /* src: msg: DEVICE with what comes next of the device
		       * state (its offset is filled in), at most
		       * XM_DEVICE_CHUNK and xm_src_device_room() bytes */
	XM_EV_DEVICE_TAKEN, /* dst: msg: DEVICE_ACK, how many bytes of device
			     * state were handed to the guest, in all; at
			     * least after every half XM_DEVICE_WINDOW */
	XM_EV_DEVICE_END,   /* src, in HARVEST after the final epoch: msg:
			   * DEVICE_END with runs (total is filled in) */
	XM_EV_LOADED, /* dst: answer to XM_ACT_DEVICE_END: it is in, the guest
		       * is ready to run */
	XM_EV_VERIFY, /* src, in HARVEST after the final epoch: compare memory */
	XM_EV_HASHES,   /* dst: answer to XM_ACT_HASH, as many of them as it
		       * takes; msg: HASHES, from stripe 0 on, without gaps */
	XM_EV_COMPARED, /* src: own memory is hashed, all HASHES have come;
			 * is_same: and agree */
};

struct xm_event {
	enum xm_event_kind kind;
	bool is_final;
	const struct xm_msg *msg; /* borrowed for the call */
	bool is_same;
};

/* Actions, as flags. */
#define XM_ACT_SEND     0x001 /* send msg[0 .. n_msgs) */
#define XM_ACT_CONSIDER 0x002 /* dst: is HELLO acceptable?  ACCEPT or CANCEL */
#define XM_ACT_PROBE    0x004 /* open channels (src) and prove their paths */
/* src: all is proven, done, compared or loaded; NEXT_EPOCH, VERIFY, DEVICE_END,
 * COMMIT or CANCEL follows */
#define XM_ACT_HARVEST 0x008
/* src: channels may send epoch `epoch`.  dst: channels must take it; then
 * OPENED */
#define XM_ACT_OPEN_EPOCH 0x010
#define XM_ACT_TOTALS     0x020 /* dst: collect totals; then INSTALLED */
#define XM_ACT_TAKE_GUEST 0x040 /* dst: run the guest; then COMMIT */
#define XM_ACT_FINISHED   0x080 /* outcome is final; close after sending */
/* src: there is room for more device state.  dst: hand the bytes of this
 * DEVICE message on to the guest; DEVICE_TAKEN, now or later */
#define XM_ACT_DEVICE 0x100
/* dst: that was all of it; LOADED when the guest has it (d->runs: was it
 * running at the source?) */
#define XM_ACT_DEVICE_END 0x200
/* either: hash all memory now.  dst: then HASHES */
#define XM_ACT_HASH 0x400
/* src: the peer's hashes in this HASHES message; COMPARED when all are there */
#define XM_ACT_HASHES 0x800

struct xm_actions {
	unsigned int flags;
	unsigned int n_msgs;
	struct xm_msg *msg; /* room for XM_ACTIONS_MSGS, the caller's */
	uint32_t epoch;
};
#define XM_ACTIONS_MSGS 2

/* Where may the guest run?  The most important output. */
enum xm_home {
	XM_HOME_SOURCE,
	XM_HOME_TARGET,
	XM_HOME_UNKNOWN, /* contact lost after COMMIT: ask the destination */
};

struct xm_outcome {
	enum xm_reason reason; /* XM_REASON_NONE: migrated */
	enum xm_home home;
	bool by_peer; /* the peer said so in ABORT */
	char text[XM_MSG_TEXT];
};

const char *xm_home_name(enum xm_home home);

/* Stripes of the guest that @hello announces (map.h). */
uint32_t xm_hello_stripes(const struct xm_msg_hello *hello);

/* Shared by src.c and dst.c. */
struct xm_msg *xm_actions_add(struct xm_actions *act, enum xm_msg_type type);
void xm_outcome_set(struct xm_outcome *o, enum xm_reason reason,
		    enum xm_home home, bool by_peer, const char *text);

#endif
