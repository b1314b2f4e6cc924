// SPDX-License-Identifier: GPL-2.0-or-later
/* tracefile.c - --trace: the protocol's events, one a line */
#include "tracefile.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "clock.h"

static const char *const kind_name[XM_TRACE__COUNT] = {
	[XM_TRACE_STATE] = "state",
	[XM_TRACE_EPOCH] = "epoch",
	[XM_TRACE_SEND] = "send",
	[XM_TRACE_STAGE] = "stage",
	[XM_TRACE_ACK] = "ack",
	[XM_TRACE_LOST] = "lost",
	[XM_TRACE_TAIL_PROBE] = "tail_probe",
	[XM_TRACE_TIMEOUT] = "timeout",
	[XM_TRACE_RELEASE] = "release",
	[XM_TRACE_PLACE] = "place",
	[XM_TRACE_DROP] = "drop",
	[XM_TRACE_ACK_SENT] = "ack_sent",
	[XM_TRACE_INSTALLED] = "installed",
	[XM_TRACE_CUT] = "cut",
};

static void tracefile_event(struct xm_trace *trace,
			    const struct xm_trace_event *ev)
{
	struct tracefile *t = (struct tracefile *)trace; /* first member */

	fprintf(t->file, "%" PRId64 " %u %s %" PRIu64 " %" PRIu64 "\n",
		(int64_t)(xm_time_sub(ev->now, t->begun) / XM_US), ev->channel,
		kind_name[ev->kind], ev->a, ev->b);
}

int tracefile_open(struct tracefile *t, const char *path, struct xm_error *e)
{
	t->file = fopen(path, "we");
	if (!t->file)
		return xm_fail(e, -errno, XM_REASON_USAGE,
			       "%s: cannot write the trace: %s", path,
			       strerror(errno));
	t->begun = xm_clock();
	t->trace.event = tracefile_event;
	return 0;
}

bool tracefile_close(struct tracefile *t)
{
	bool is_whole;

	if (!t->file)
		return true;
	is_whole = !ferror(t->file);
	is_whole &= !fclose(t->file);
	t->file = NULL;
	return is_whole;
}
