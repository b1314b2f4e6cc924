/* SPDX-License-Identifier: GPL-2.0-or-later */
/* converge.h - when to stop copying and switch over (theory in converge.c)
 *
 * Asked after each harvest, with what is left and how fast things went.
 */
#ifndef XM_CORE_CONVERGE_H
#define XM_CORE_CONVERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "time.h"

enum xm_converge_how {
	XM_CONVERGE_AUTO, /* slow the guest down step by step */
	XM_CONVERGE_STOP, /* at the deadline switch over, whatever it costs */
	XM_CONVERGE_FAIL, /* at the deadline give up */
};

struct xm_converge_opts {
	enum xm_converge_how how;
	int64_t max_downtime_ns;
	int64_t deadline_ns; /* since begin; 0: none.  AUTO gives up at it */
	int64_t overhead_ns; /* of a switchover, besides sending pages */
	unsigned int more_epochs; /* at most so many for less downtime than
				   * max_downtime, where each halves it */
};

struct xm_converge {
	struct xm_converge_opts opts;
	struct xm_time begun;
	uint32_t epochs;         /* that were sent whole */
	uint64_t last_pages;     /* of the last one */
	unsigned int throttle;   /* percent, now; 0 unless AUTO */
	unsigned int n_stagnant; /* epochs in a row that gained too little */
	uint64_t bytes_per_s;    /* measured, smoothed; 0: not known yet */
	uint64_t dirty_per_s;    /* pages, of the last epoch */
	int64_t expected_ns;     /* downtime, were it now; INT64_MAX: unknown */
	uint64_t sum_bytes, sum_us; /* what bytes_per_s is made of */
	unsigned int n_more; /* epochs sent though it could have switched */
	int64_t drain_ns;    /* the caller's: a harvest stops the guest for so
			      * long; 0: it runs on */
};

enum xm_converge_verdict {
	XM_CONVERGE_EPOCH,  /* send another epoch */
	XM_CONVERGE_SWITCH, /* pause the guest now */
	XM_CONVERGE_GIVE_UP,
};

void xm_converge_begin(struct xm_converge *c,
		       const struct xm_converge_opts *opts, struct xm_time now);

/* An epoch of @pages that took @ns, in which @bytes were really sent (zero
 * pages cost nothing), is installed, and the harvest behind it found @dirty
 * pages.  c->throttle may have risen. */
enum xm_converge_verdict xm_converge_step(struct xm_converge *c,
					  struct xm_time now, uint64_t pages,
					  uint64_t bytes, int64_t ns,
					  uint64_t dirty);

/* When the deadline comes, or XM_TIME_NEVER: an epoch may take much longer
 * than what is left until then. */
struct xm_time xm_converge_expiry(const struct xm_converge *c);

/* In the middle of an epoch: EPOCH: go on with it.  SWITCH: the deadline has
 * come, pause the guest now; the epoch goes on to its end, and the next is the
 * final one.  GIVE_UP: the deadline has come. */
enum xm_converge_verdict xm_converge_expire(const struct xm_converge *c,
					    struct xm_time now);

#endif
