// SPDX-License-Identifier: GPL-2.0-or-later
/* trace.c - telling who listens; theory in trace.h */
#include "trace.h"

void xm_trace_tell(struct xm_trace *t, struct xm_time now,
		   enum xm_trace_kind kind, uint8_t channel, uint64_t a,
		   uint64_t b)
{
	struct xm_trace_event ev = { now, kind, channel, a, b };

	t->event(t, &ev);
}
