/* SPDX-License-Identifier: GPL-2.0-or-later */
/* trace.h - what happened inside the core, for golden traces and --trace
 *
 * The core never logs.  It tells this one function of state changes, losses,
 * window cuts and epoch borders; a NULL trace costs one test.
 */
#ifndef XM_CORE_TRACE_H
#define XM_CORE_TRACE_H

#include <stdint.h>

#include "time.h"

enum xm_trace_kind {
	XM_TRACE_STATE, /* a: from, b: to (src or dst session state) */
	XM_TRACE_EPOCH, /* a: epoch begun */
	XM_TRACE_SEND,  /* a: seq, b: how often it was sent before */
	XM_TRACE_STAGE, /* a: seq; sent from a staging copy */
	XM_TRACE_ACK,   /* a: cumulative seq, b: newly acknowledged frames */
	XM_TRACE_LOST,  /* a: seq */
	XM_TRACE_TAIL_PROBE, /* a: seq */
	XM_TRACE_TIMEOUT,    /* a: first unacknowledged seq, b: new RTO, us */
	XM_TRACE_RELEASE,    /* a: slot, b: packets still pending */
	XM_TRACE_PLACE,      /* a: seq */
	XM_TRACE_DROP,       /* a: enum xm_drop, b: seq when known */
	XM_TRACE_ACK_SENT,   /* a: cumulative seq, b: credit */
	XM_TRACE_INSTALLED,  /* a: epoch; SYNC and all before it installed */
	XM_TRACE_CUT,        /* a: new window in frames */
	XM_TRACE__COUNT
};

struct xm_trace_event {
	struct xm_time now; /* of the call in which it happened */
	enum xm_trace_kind kind;
	uint8_t channel;
	uint64_t a, b;
};

struct xm_trace {
	void (*event)(struct xm_trace *t, const struct xm_trace_event *ev);
};

/* xm_trace() with a @t.  Not inline, so that it costs those who have none just the
 * test. */
void xm_trace_tell(struct xm_trace *t, struct xm_time now,
		   enum xm_trace_kind kind, uint8_t channel, uint64_t a,
		   uint64_t b);

static inline void xm_trace(struct xm_trace *t, struct xm_time now,
			    enum xm_trace_kind kind, uint8_t channel,
			    uint64_t a, uint64_t b)
{
	if (t)
		xm_trace_tell(t, now, kind, channel, a, b);
}

#endif
