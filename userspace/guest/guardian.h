/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guardian.h - a process that brings the guest back if ours is killed
 *
 * QEMU keeps a guest paused for a switchover as long as nobody tells it
 * otherwise.  The guardian shares our connection to QEMU's monitor and sleeps
 * on a pipe; when the pipe closes without a word of ours, it cancels the
 * migration and lets the guest run (theory in guardian.c).
 */
#ifndef XM_GUEST_GUARDIAN_H
#define XM_GUEST_GUARDIAN_H

#include <stdbool.h>
#include <sys/types.h>

#include "qmp.h"

struct guardian {
	int pipe; /* -1: none */
	pid_t pid;
	bool is_armed;
	bool leave_paused; /* the caller's, read by guardian_arm(): the guest
			    * was not running, so end the migration but do not
			    * start it */
	bool is_drain;     /* the same: the guest is only stopped for a moment,
			* and no migration is begun: end none */
};

/* Start it, unarmed.  Before any thread is made.  0 or -errno with @e. */
int guardian_start(struct guardian *g, const struct qmp *qmp,
		   struct xm_error *e);
/* From the return on our death brings the guest back: say so before anything
 * is done that could leave it paused.  0, or -errno with @e: -EPIPE: it is
 * gone, as it is when QEMU is. */
int guardian_arm(struct guardian *g, struct xm_error *e);
/* From the return on it does nothing when we die: the guest runs, or must
 * never run here again (COMMIT).  Confirmed by the guardian.  0, or -errno with
 * @e: it may act or not. */
int guardian_disarm(struct guardian *g, struct xm_error *e);
/* A disarmed one ends, and has ended on return.  An armed one takes it for our
 * death and acts, on the connection that it shares with us: leave that alone.
 * Safe on a zeroed or stopped one. */
void guardian_stop(struct guardian *g);

#endif
