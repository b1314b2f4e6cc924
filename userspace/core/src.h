/* SPDX-License-Identifier: GPL-2.0-or-later */
/* src.h - the source's session machine (theory and states in src.c) */
#ifndef XM_CORE_SRC_H
#define XM_CORE_SRC_H

#include "session.h"

enum xm_src_state {
	XM_SRC_INIT,
	XM_SRC_HELLO,
	XM_SRC_PROBE,
	XM_SRC_HARVEST,
	XM_SRC_OPEN,
	XM_SRC_EPOCH,
	XM_SRC_BARRIER,
	XM_SRC_VERIFY,
	XM_SRC_DEVICE,
	XM_SRC_COMMIT,
	XM_SRC_DONE,
	XM_SRC_FAILED,
	XM_SRC_UNKNOWN,
	XM_SRC__COUNT
};

struct xm_src {
	enum xm_src_state state;
	struct xm_msg_hello hello;    /* what we offer; lent fields none */
	struct xm_msg_welcome agreed; /* from PROBE on */
	uint32_t epoch;
	bool is_final;
	bool is_proven, peer_is_proven;
	uint64_t device_sent;  /* bytes of device state, from the first on */
	uint64_t device_acked; /* of them, handed to the guest there */
	bool is_device_ended;  /* DEVICE_END was said */
	bool is_loaded;        /* LOADED was heard */
	uint32_t n_hashes;     /* in VERIFY: stripes whose hash came */
	bool must_repair;      /* memory differs: the next epoch repairs it */
	bool is_repaired;      /* that epoch has begun */
	bool is_verified;      /* memory is the same */
	struct xm_time verify_begun; /* in VERIFY */
	struct xm_time asked;  /* since when an answer is due, if one is */
	struct xm_time heard;  /* last message of the peer */
	struct xm_time spoken; /* last message of ours */
	struct xm_outcome outcome;
	struct xm_trace *trace;
};

void xm_src_init(struct xm_src *s, const struct xm_msg_hello *hello,
		 struct xm_trace *trace);

/* @act is overwritten but for act->msg, which the caller provides. */
void xm_src_step(struct xm_src *s, struct xm_time now,
		 const struct xm_event *ev, struct xm_actions *act);
struct xm_time xm_src_expiry(const struct xm_src *s);

/* Bytes of device state that may be sent now (XM_EV_DEVICE, in pieces of at
 * most XM_DEVICE_CHUNK): 0 when the window is full, when it is not the time,
 * or when there is no XM_FEATURE_DEVICE. */
uint64_t xm_src_device_room(const struct xm_src *s);
const char *xm_src_state_name(enum xm_src_state state);

#endif
