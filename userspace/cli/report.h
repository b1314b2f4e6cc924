/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report.h - figures of a migration, while it runs and at its end */
#ifndef XM_CLI_REPORT_H
#define XM_CLI_REPORT_H

#include "side.h"

struct report {
	struct xm_time begun;    /* the command */
	struct xm_time sending;  /* first epoch's begin; 0 = not yet */
	struct xm_time finished; /* last epoch's end; 0 = not yet */
	struct xm_time seen;     /* the last progress line's */
	uint64_t seen_bytes;
	struct xm_time epoch_begun;
	uint32_t epoch;
	uint64_t epoch_bytes; /* of memory in this epoch; 0: all of it */
};

/* The first event: what goes where.  @guest: its kind. */
void report_start(struct side *s, const char *peer, const char *guest);

/* A progress line, if one is due. */
void report_progress(struct side *s, struct report *r);

/* How far it is, for who asks. */
void report_status(struct side *s, const struct report *r, json_t *o);

/* The result's fields.  Call before the pool is freed. */
void report_result(struct side *s, const struct report *r);

/* --dry-run: the plan, as far as both sides have the same.  How long it takes can
 * be told when nothing but a cap of @bandwidth bits per second decides; 0: none. */
void report_plan(struct side *s, uint64_t bandwidth);

#endif
