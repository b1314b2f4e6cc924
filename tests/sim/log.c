// SPDX-License-Identifier: GPL-2.0-or-later
/* log.c - trace events to lines; what a line looks like is told in log.h */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/drop.h"

static void log_add(struct sim_log *log, const char *s)
{
	size_t n = strlen(s);

	if (!log->text || log->len + n >= SIM_LOG_SIZE)
		return;
	memcpy(log->text + log->len, s, n + 1);
	log->len += n;
}

static void log_head(struct sim_log *log, struct xm_time now, const char *who)
{
	char head[48];

	snprintf(head, sizeof(head), "[%6lld] %s > ",
		 (long long)(xm_time_sub(now, log->base) / XM_US), who);
	log_add(log, head);
}

/* A growing line ends with a range that is not written yet. */
static void log_put_range(struct sim_log *log)
{
	char s[32];

	if (log->first == log->last)
		snprintf(s, sizeof(s), " %u", log->first);
	else
		snprintf(s, sizeof(s), " %u-%u", log->first, log->last);
	log_add(log, s);
}

static void log_close(struct sim_log *log)
{
	if (!log->open)
		return;
	log_put_range(log);
	log_add(log, "\n");
	log->open = false;
}

/* "who > what 1 3-5": one line for all that happens to them at @now. */
static void log_seq(struct sim_log *log, struct xm_time now, const char *who,
		    const char *what, uint32_t seq)
{
	if (!log->text)
		return;
	if (log->open && log->now.ns == now.ns && !strcmp(log->who, who) &&
	    !strcmp(log->what, what)) {
		if (seq == log->last + 1) {
			log->last = seq;
			return;
		}
		log_put_range(log);
	} else {
		log_close(log);
		log_head(log, now, who);
		log_add(log, what);
		log->now = now;
		snprintf(log->who, sizeof(log->who), "%s", who);
		snprintf(log->what, sizeof(log->what), "%s", what);
		log->open = true;
	}
	log->first = log->last = seq;
}

void sim_log_note(struct sim_log *log, struct xm_time now, enum sim_note kind,
		  const char *who, const char *fmt, ...)
{
	char line[200];
	va_list ap;

	if (!log->text || !(log->show & kind))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_close(log);
	log_head(log, now, who);
	log_add(log, line);
	log_add(log, "\n");
}

static void log_line(struct sim_log *log, const struct xm_trace_event *ev,
		     const char *who, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void log_line(struct sim_log *log, const struct xm_trace_event *ev,
		     const char *who, const char *fmt, ...)
{
	char line[120];
	va_list ap;

	if (!log->text)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_close(log);
	log_head(log, ev->now, who);
	log_add(log, line);
	log_add(log, "\n");
}

/* Events that happen to one frame each. */
static bool log_frame(struct sim_log *log, const struct xm_trace_event *ev,
		      const char *who)
{
	static const char *const what[XM_TRACE__COUNT] = {
		[XM_TRACE_SEND] = "send",
		[XM_TRACE_STAGE] = "stage",
		[XM_TRACE_LOST] = "lost",
		[XM_TRACE_TAIL_PROBE] = "tail probe",
		[XM_TRACE_PLACE] = "place",
	};
	const char *w = what[ev->kind];

	if (ev->kind == XM_TRACE_SEND && ev->b)
		w = "resend";
	if (w)
		log_seq(log, ev->now, who, w, (uint32_t)ev->a);
	return w;
}

static void log_drop(struct sim_log *log, const struct xm_trace_event *ev,
		     const char *who)
{
	char what[32];

	snprintf(what, sizeof(what), "drop %s",
		 xm_drop_name((enum xm_drop)ev->a));
	log_seq(log, ev->now, who, what, (uint32_t)ev->b);
}

static void log_other(const struct sim_side *side,
		      const struct xm_trace_event *ev, const char *who)
{
	struct sim_log *log = side->log;
	unsigned long long a = ev->a, b = ev->b;

	switch (ev->kind) {
	case XM_TRACE_STATE:
		log_line(log, ev, who, "%s -> %s", side->state_name(ev->a),
			 side->state_name(ev->b));
		break;
	case XM_TRACE_EPOCH:
		log_line(log, ev, who, "epoch %llu", a);
		break;
	case XM_TRACE_ACK:
		log_line(log, ev, who, "acked below %llu, %llu new", a, b);
		break;
	case XM_TRACE_TIMEOUT:
		log_line(log, ev, who, "timeout at %llu, next in %llu us", a,
			 b);
		break;
	case XM_TRACE_RELEASE:
		log_line(log, ev, who, "release slot %llu, %llu pending", a, b);
		break;
	case XM_TRACE_DROP:
		log_drop(log, ev, who);
		break;
	case XM_TRACE_ACK_SENT:
		log_line(log, ev, who, "ack below %llu, credit %llu", a, b);
		break;
	case XM_TRACE_INSTALLED:
		log_line(log, ev, who, "epoch %llu installed", a);
		break;
	case XM_TRACE_CUT:
		log_line(log, ev, who, "window %llu frames", a);
		break;
	case XM_TRACE_SEND:
	case XM_TRACE_STAGE:
	case XM_TRACE_LOST:
	case XM_TRACE_TAIL_PROBE:
	case XM_TRACE_PLACE:
	case XM_TRACE__COUNT:
		break;
	}
}

static void log_hash(struct sim_log *log, const struct xm_trace_event *ev,
		     const char *name)
{
	const uint64_t v[] = { (uint64_t)ev->now.ns,
			       (uint64_t)ev->kind,
			       ev->channel,
			       ev->a,
			       ev->b,
			       (uint8_t)name[0] };
	unsigned int i;

	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		log->hash = (log->hash ^ v[i]) * 0x100000001b3ull;
}

static void side_event(struct xm_trace *t, const struct xm_trace_event *ev)
{
	struct sim_side *side = (struct sim_side *)t;
	struct sim_log *log = side->log;
	char who[16];

	log_hash(log, ev, side->name);
	if (!log->text || !(log->show & (1u << ev->kind)))
		return;
	if (log->one_channel || side->state_name)
		snprintf(who, sizeof(who), "%s", side->name);
	else
		snprintf(who, sizeof(who), "%s%u", side->name, ev->channel);
	if (!log_frame(log, ev, who))
		log_other(side, ev, who);
}

void sim_side_init(struct sim_side *side, struct sim_log *log, const char *name)
{
	side->trace.event = side_event;
	side->log = log;
	side->name = name;
}

void sim_log_init(struct sim_log *log, uint32_t show)
{
	memset(log, 0, sizeof(*log));
	log->show = show;
	log->hash = 0xcbf29ce484222325ull;
	log->text = show ? calloc(1, SIM_LOG_SIZE) : NULL;
}

void sim_log_fini(struct sim_log *log)
{
	free(log->text);
	memset(log, 0, sizeof(*log));
}

const char *sim_log_text(struct sim_log *log)
{
	log_close(log);
	return log->text ? log->text : "";
}
