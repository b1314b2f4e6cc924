/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dst.h - the destination's session machine (theory and states in dst.c) */
#ifndef XM_CORE_DST_H
#define XM_CORE_DST_H

#include "session.h"

enum xm_dst_state {
	XM_DST_INIT,
	XM_DST_HELLO,
	XM_DST_CONSIDER,
	XM_DST_PROBE,
	XM_DST_READY,
	XM_DST_OPEN,
	XM_DST_EPOCH,
	XM_DST_TOTALS,
	XM_DST_VERIFY,
	XM_DST_LOAD,
	XM_DST_COMMIT,
	XM_DST_DONE,
	XM_DST_FAILED,
	XM_DST__COUNT
};

struct xm_dst {
	enum xm_dst_state state;
	struct xm_msg_hello hello;    /* from CONSIDER on */
	struct xm_msg_welcome agreed; /* from PROBE on; as it was said */
	uint32_t epoch;
	bool is_final;
	bool is_proven, peer_is_proven;
	struct xm_msg_epoch announced; /* EPOCH_END's totals */
	uint64_t device_got;           /* bytes of device state that came */
	uint64_t device_said;          /* of them, acknowledged */
	bool is_device_ended;          /* DEVICE_END came */
	bool runs;             /* with it: the guest ran at the source */
	bool is_loaded;        /* LOADED was said */
	unsigned int n_verify; /* times that VERIFY came */
	uint32_t n_hashes;     /* in VERIFY: stripes whose hash was said */
	bool is_verified;      /* all were, and no epoch came since */
	struct xm_time begun, heard, spoken;
	struct xm_time load_begun; /* in LOAD: DEVICE_END came */
	struct xm_outcome outcome;
	struct xm_trace *trace;
};

void xm_dst_init(struct xm_dst *d, struct xm_trace *trace);
void xm_dst_step(struct xm_dst *d, struct xm_time now,
		 const struct xm_event *ev, struct xm_actions *act);
struct xm_time xm_dst_expiry(const struct xm_dst *d);
const char *xm_dst_state_name(enum xm_dst_state state);

#endif
