// SPDX-License-Identifier: GPL-2.0-or-later
/* source_back.c - a QEMU's guest comes back to where it was
 *
 * From whatever state a migration has come to:
 *
 *   setup, active      migrate_cancel ends it; the guest has run all the time
 *   pre-switchover     the same, and QEMU lets the guest run
 *   device             the stream was closed, so QEMU fails to write, takes its
 *                      disks back and lets the guest run
 *   completed          the guest is in "postmigrate", its disks handed over:
 *                      "cont" takes them back, and is refused while the target
 *                      holds them: it is tried again
 *   none               stopped for a harvest: "cont"
 *   none, not stopped  nothing: whatever it is in was somebody else's doing
 *
 * QEMU says "cancelled", "failed" or "completed" a moment before its run state
 * follows ("finish-migrate" until then), so both are waited for.
 *
 * What takes longer than some seconds, or does not work, is left to the guardian
 * (guardian_act.c), which has time.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "qemu_priv.h"
#include "source_qemu.h"
#include "util/now.h"

#define BACK_NS 10000000000ll /* for each of the two */
#define LOOK_NS 2000000       /* between two looks at its state */
#define GONE_MS 500           /* from the end of its monitor to its own */
#define LAST_MS 3000          /* the same, when it decides where the guest is */

static void look_again(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
}

int source_arm(struct source_qemu *y, bool is_drain, struct xm_error *e)
{
	y->guardian.is_drain = is_drain;
	y->guardian.leave_paused = !y->s.was_running;
	return guardian_arm(&y->guardian, e);
}

/* -- talking to it ------------------------------------------------------------- */

bool source_is_gone(const struct source_qemu *y)
{
	struct pollfd p = { .fd = y->q.pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

int source_fail_gone(const struct source_qemu *y, struct xm_error *e)
{
	return xm_fail(e, -ESRCH, XM_REASON_MEMORY,
		       "%s: the guest's QEMU (process %d) is gone",
		       qmp_path(y->q.qmp), (int)y->q.pid);
}

/* Why did @r come from QEMU's monitor?  A closed one usually has one reason. */
int source_explain(const struct source_qemu *y, int r,
		   const struct xm_error *from, struct xm_error *e)
{
	struct pollfd p = { .fd = y->q.pidfd, .events = POLLIN };

	/* One that ends closes its monitor a moment before. */
	if (r == -EPIPE)
		(void)poll(&p, 1, GONE_MS);
	if (r && source_is_gone(y))
		return source_fail_gone(y, e);
	return r ? xm_fail(e, r, from->reason, "%s", from->msg) : 0;
}

/* A command without a result. */
int source_tell(struct source_qemu *y, const char *command, json_t *args,
		struct xm_error *e)
{
	struct xm_error from = { 0 };
	int r = qmp_run(y->q.qmp, command, args, NULL, &from);

	news_post(&y->news, 0);
	return source_explain(y, r, &from, e);
}

int source_run_state(struct source_qemu *y, char *ret_state, struct xm_error *e)
{
	struct xm_error from = { 0 };
	int r = qemu_run_state(&y->q, ret_state, SOURCE_STATE_LEN, &from);

	news_post(&y->news, 0);
	return source_explain(y, r, &from, e);
}

/* -- coming back ------------------------------------------------------------------ */

static int fail_late(const struct source_qemu *y, const char *what,
		     const char *state, struct xm_error *e)
{
	return xm_fail(e, -ETIMEDOUT, XM_REASON_MEMORY,
		       "%s: %s %lld s later: %s", qmp_path(y->q.qmp), what,
		       BACK_NS / 1000000000, state);
}

/* End the migration; @ret_completed: it was too late for that. */
static int cancel(struct source_qemu *y, bool *ret_completed,
		  struct xm_error *e)
{
	static const char *const ended[] = { "none", "cancelled", "failed",
					     "completed" };
	int64_t deadline = now_ns() + BACK_NS;
	const char *status;
	struct xm_error from = { 0 };
	char seen[SOURCE_STATE_LEN];
	json_t *info;
	unsigned int i;
	int r;

	r = source_tell(y, "migrate_cancel", NULL, e);
	while (!r) {
		r = qmp_run(y->q.qmp, "query-migrate", NULL, &info, &from);
		if (r)
			return source_explain(y, r, &from, e);
		status = json_string_value(json_object_get(info, "status"));
		snprintf(seen, sizeof(seen), "%s", status ? status : "none");
		json_decref(info);
		for (i = 0; i < sizeof(ended) / sizeof(*ended); i++)
			if (!strcmp(seen, ended[i]))
				break;
		*ret_completed = !strcmp(seen, "completed");
		if (i < sizeof(ended) / sizeof(*ended))
			return 0;
		if (now_ns() > deadline)
			return fail_late(y, "a cancelled migration is, ", seen,
					 e);
		if (!strcmp(seen, "cancelling"))
			qemu_free_cancelled(y->q.qmp);
		look_again();
	}
	return r;
}

/* Until the guest is as it was.  States that it got into by itself (shutdown,
 * io-error, guest-panicked, ...) are its own business. */
static int bring_back(struct source_qemu *y, struct xm_error *e)
{
	int64_t deadline = now_ns() + BACK_NS;
	struct xm_error why;
	char state[SOURCE_STATE_LEN];
	int r;

	for (;;) {
		r = source_run_state(y, state, e);
		if (r)
			return r;
		memset(&why, 0, sizeof(why));
		if (!strcmp(state, "paused") || !strcmp(state, "postmigrate")) {
			if (!y->s.was_running || y->has_quit)
				return 0;
			/* Refused while the target has the disks. */
			r = source_tell(y, "cont", NULL, &why);
			if (r && r != -EREMOTEIO)
				return xm_fail(e, r, why.reason, "%s", why.msg);
		} else if (strcmp(state, "finish-migrate")) {
			return 0;
		}
		if (now_ns() > deadline)
			return fail_late(y, "the guest is not back",
					 why.err ? why.msg : state, e);
		if (r || !strcmp(state, "finish-migrate"))
			look_again();
	}
}

int source_undrain(struct source_qemu *y, struct xm_error *e)
{
	char state[SOURCE_STATE_LEN];
	int r;

	if (!y->is_drained)
		return 0;
	r = source_run_state(y, state, e);
	/* "postmigrate" is somebody else's, who has the guest elsewhere. */
	if (!r && !strcmp(state, "paused"))
		r = source_tell(y, "cont", NULL, e);
	if (r)
		return r;
	y->is_drained = false;
	if (y->guardian.is_armed)
		guardian_disarm(&y->guardian);
	return 0;
}

static int come_back(struct source_qemu *y, bool *ret_completed,
		     struct xm_error *e)
{
	char state[SOURCE_STATE_LEN];
	int r;

	*ret_completed = false;
	if (y->is_migrating) {
		r = cancel(y, ret_completed, e);
		return r ? r : bring_back(y, e);
	}
	r = source_undrain(y, e);
	return r ? r : source_check_alone(y, state, e);
}

/* Tell the network where the guest is: the target, whose QEMU has loaded the
 * guest's devices, may have told it otherwise. */
static void announce(struct source_qemu *y)
{
	(void)source_tell(y, "announce-self",
			  json_pack("{s:i, s:i, s:i, s:i}", "initial", 50,
				    "max", 550, "rounds", 5, "step", 100),
			  NULL); /* it runs, with or without */
}

/* What is needed in any case, also if QEMU is gone. */
void source_let_go(struct source_qemu *y)
{
	throttle_close(&y->throttle);
	y->stream = fd_close(y->stream);
	y->log = dirtylog_close(y->log);
}

/* We cannot; it can wait for longer, and connect anew.  0: it has done it; -EBUSY with
 * @e, which matters more than what was there: the guest is somebody else's. */
static int leave_to_guardian(struct source_qemu *y, struct xm_error *e)
{
	int r = guardian_leave(&y->guardian, &y->s.guardian);

	y->is_settled = true;
	if (r != -EBUSY)
		return r;
	if (e)
		memset(e, 0, sizeof(*e));
	return xm_fail(e, r, XM_REASON_UNKNOWN_OUTCOME,
		       "%s: somebody else migrates the guest, or has, and says "
		       "where it runs",
		       qmp_path(y->q.qmp));
}

int source_restore(struct source_qemu *y, struct xm_error *e)
{
	bool are_known = settings_any(&y->old);
	int r = settings_restore(&y->old, y->q.qmp, e);

	/* What QEMU refuses it would refuse the guardian, too. */
	if (are_known && (!r || r == -EREMOTEIO))
		y->has_our_settings = false;
	return r;
}

static int fail_restore(const struct source_qemu *y, struct xm_error *e)
{
	return xm_fail(e, -ETIMEDOUT, XM_REASON_CONNECT,
		       "%s: QEMU may have migration settings of xdpmig's still",
		       qmp_path(y->q.qmp));
}

/* come_back() failed with @r.  If QEMU closed its monitor because it ends, that takes
 * the longer the more memory it has: so wait once more, and say that it is gone. */
static int look_again_for_end(const struct source_qemu *y, int r,
			      struct xm_error *e)
{
	struct pollfd p = { .fd = y->q.pidfd, .events = POLLIN };

	if (r == -ESRCH ||
	    poll(&p, 1, qmp_broken(y->q.qmp) == -EPIPE ? LAST_MS : 0) != 1)
		return r;
	if (e)
		memset(e, 0, sizeof(*e));
	return source_fail_gone(y, e);
}

/* What source_restore() could not do, and of whatever kind @r of it is.  0, or
 * -errno with @e: -EBUSY when the guest is somebody else's. */
static int leave_settings(struct source_qemu *y, int r, struct xm_error *e)
{
	int left = leave_to_guardian(y, e);

	if (!left || left == -EBUSY)
		return left;
	return r ? r : fail_restore(y, e);
}

int source_resume(struct guest_source *s, struct xm_error *e)
{
	struct source_qemu *y = (struct source_qemu *)s;
	bool completed;
	int r, r2;

	if (y->is_settled)
		return 0;
	source_let_go(y);
	if (source_is_gone(y)) {
		y->is_settled = true;
		return source_fail_gone(y, e);
	}
	/* After commit(), with the target's word: our death counts again. */
	if (y->is_migrating && !y->guardian.is_armed)
		(void)source_arm(y, false, NULL);
	r = come_back(y, &completed, e);
	if (r && (y->is_migrating || y->is_drained)) {
		r2 = leave_to_guardian(y, e);
		s->is_back = !r2 || r2 == -EREMOTEIO;
		return r2 == -EBUSY ? r2 : r;
	}
	if (r)
		r = look_again_for_end(y, r, e);
	/* Nothing was done: that a QEMU does not answer, or our connection to it
	 * is broken, is no reason to doubt that; that it has ended is. */
	s->is_back = !r || r == -ETIMEDOUT ||
		     (r != -ESRCH && qmp_broken(y->q.qmp));
	if (y->guardian.is_armed)
		guardian_disarm(&y->guardian);
	if (completed)
		announce(y);
	r2 = source_restore(y, r ? NULL : e);
	if (y->has_our_settings)
		r2 = leave_settings(y, r2, e);
	if (r2 == -EBUSY) {
		s->is_back = false;
		r = r2;
	}
	y->is_migrating = false;
	y->is_settled = true;
	return r ? r : r2;
}
