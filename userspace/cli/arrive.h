/* SPDX-License-Identifier: GPL-2.0-or-later */
/* arrive.h - what the destination sees of an arrival (theory in arrive.c) */
#ifndef XM_CLI_ARRIVE_H
#define XM_CLI_ARRIVE_H

#include "core/dst.h"
#include "side.h"

/* When things happened; 0: not (yet). */
struct arrive_times {
	struct xm_time begun;     /* the last epoch: the source's word came */
	struct xm_time installed; /* all of it is here */
	struct xm_time ended;     /* no more device state comes */
	struct xm_time loaded;    /* the guest has all of it */
	struct xm_time committed; /* the source's word came that it is ours */
	struct xm_time runs;
	struct xm_time last_begun; /* the epoch with the guest paused; not */
	struct xm_time last_installed; /* what repairs, if that follows */
};

struct arrive {
	struct arrive_times at;
	uint64_t pages, bytes;   /* of the last epoch that is here */
	uint32_t epochs;         /* installed */
	uint64_t frames;         /* that had come when last looked */
	struct xm_time progress; /* when there were more */
};

/* Note what the session machine wants done, before it is. */
void arrive_act(struct arrive *a, const struct xm_actions *act);

/* The epoch's pages are here, and @totals counts them: before the source
 * hears of it. */
void arrive_complete(struct arrive *a, const struct xm_msg_epoch *totals);
/* They are what was announced: the event is printed. */
void arrive_installed(struct arrive *a, const struct xm_dst *d,
		      struct cli_ctx *cli);

/* 0, or -ETIMEDOUT with @e: an epoch is open, and no frame of it came for
 * @stall_ns. */
int arrive_check_stall(struct arrive *a, const struct xm_dst *d,
		       struct side *side, uint64_t stall_ns,
		       struct xm_error *e);

/* The result's fields. */
void arrive_report(const struct arrive *a, const struct xm_dst *d, json_t *o);

#endif
