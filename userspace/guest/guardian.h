/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guardian.h - a process that brings the guest back if ours cannot
 *
 * QEMU keeps a guest paused for a switchover as long as nobody tells it
 * otherwise.  The guardian shares our connection to QEMU's monitor and sleeps
 * on a pipe; when the pipe closes without a word of ours, it cancels the
 * migration and lets the guest run, however long QEMU takes, and puts back what
 * we had changed of QEMU's settings (theory in guardian.c and guardian_act.c).
 * Until it has, it holds the guest's locks, so that no other xdpmig begins to
 * move it.
 */
#ifndef XM_GUEST_GUARDIAN_H
#define XM_GUEST_GUARDIAN_H

#include <stdbool.h>
#include <sys/types.h>

#include "qemu.h"
#include "settings.h"

/* What it is called (comm): while it waits, and when it acts. */
#define GUARDIAN_WAITS "xdpmig-guardian"
#define GUARDIAN_ACTS  "xdpmig-rescue"

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

/* Start it, unarmed.  Before any thread is made.  It keeps open, of @q, what
 * its locks are on.  0 or -errno with @e. */
int guardian_start(struct guardian *g, const struct qemu *q,
		   struct xm_error *e);
/* From the return on our death leaves a record: @note, or another than before.
 * 0 or -errno with @e. */
int guardian_note(struct guardian *g, const struct guest_note *note,
		  struct xm_error *e);
/* From the return on our death puts back @old, or another than before, wherever
 * the guest is, once no migration of ours is under way: say so before anything
 * of it is changed.  0 or -errno with @e. */
int guardian_settings(struct guardian *g, const struct settings *old,
		      struct xm_error *e);
/* From the return on our death brings the guest back: say so before anything
 * is done that could leave it paused.  0, or -errno with @e: -EPIPE: it is
 * gone, as it is when QEMU is. */
int guardian_arm(struct guardian *g, struct xm_error *e);
/* From the return on it does nothing to the guest when we die: the guest runs.
 * One that does not confirm it is killed, so this does not fail. */
void guardian_disarm(struct guardian *g);
/* The same before COMMIT: it must never run here again, and what the record
 * says of it is ours to say.  QEMU's settings are put back nevertheless. */
void guardian_commit(struct guardian *g);
/* A disarmed one ends, and has ended on return.  An armed one takes it for our
 * death and acts, on the connection that it shares with us: leave that alone.
 * Safe on a zeroed or stopped one. */
void guardian_stop(struct guardian *g);
/* The same for what we could not do, armed or not: it takes it for our death, and
 * this waits a moment whether it can.  0: the guest is back, or was never away, and
 * QEMU's settings are as they were; -EINPROGRESS with @ret_pid: it goes on trying;
 * -EREMOTEIO: the guest is, and QEMU refused the settings; -EBUSY: somebody else
 * migrates the guest, or has; -ECHILD: it has ended, and nobody knows. */
int guardian_leave(struct guardian *g, pid_t *ret_pid);

/* Does a guardian bring back the guest of process @qemu, whose monitor is at
 * @monitor?  0: none that is to be seen; -EBUSY with @e:
 * XM_REASON_UNKNOWN_OUTCOME. */
int guardian_check(pid_t qemu, const char *monitor, struct xm_error *e);

#endif
