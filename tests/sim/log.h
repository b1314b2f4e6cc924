/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log.h - golden traces: what the core said it did, as lines of text
 *
 * A line is  [virtual microseconds] who > what.  Who is src or dst, with the
 * channel's number when there is more than one; net, ctl or guest.  Numbers of
 * frames that met the same fate at the same instant share a line, so a story
 * is as long as what happens in it.  Which kinds of event a story shows is
 * its own choice: those that define what the story is about, and none that
 * only show how a constant was chosen.
 *
 * A hash over all events, shown or not, proves that one seed is one
 * execution.
 */
#ifndef SIM_LOG_H
#define SIM_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/trace.h"

#define SIM_LOG_SIZE (64 << 10)
#define SIM_SHOW(k)  (1u << XM_TRACE_##k)

/* What the world itself says, in the bits above those of the core. */
enum sim_note {
	SIM_NOTE_NET = 1u << 24,   /* fates of chosen frames */
	SIM_NOTE_FLUSH = 1u << 25, /* flushes begun and done */
	SIM_NOTE_EPOCH = 1u << 26, /* harvests and barriers */
	SIM_NOTE_CTL = 1u << 27,   /* messages of the control connection */
	SIM_NOTE_HOME = 1u << 28,  /* where the guest runs */
};

struct sim_log {
	uint32_t show;       /* SIM_SHOW() and SIM_NOTE_ bits */
	struct xm_time base; /* is 0 in the lines */
	bool one_channel;    /* leave the channel's number out */
	uint64_t hash;
	char *text; /* SIM_LOG_SIZE bytes, or NULL: hash only */
	size_t len;
	/* the line that still grows */
	struct xm_time now;
	char who[16], what[32];
	uint32_t first, last;
	bool open;
};

/* One side of one channel; hand &side->trace to the core. */
struct sim_side {
	struct xm_trace trace; /* first */
	struct sim_log *log;
	const char *name; /* "src" or "dst" */
	/* a session's: names its states; NULL for a channel */
	const char *(*state_name)(unsigned int state);
};

void sim_log_init(struct sim_log *log, uint32_t show);
void sim_log_fini(struct sim_log *log);
void sim_side_init(struct sim_side *side, struct sim_log *log,
		   const char *name);

__attribute__((format(printf, 5, 6))) void
sim_log_note(struct sim_log *log, struct xm_time now, enum sim_note kind,
	     const char *who, const char *fmt, ...);

/* The text so far, the growing line closed. */
const char *sim_log_text(struct sim_log *log);

#endif
