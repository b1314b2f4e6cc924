// SPDX-License-Identifier: GPL-2.0-or-later
/* guardian_act.c - the guardian brings a guest back
 *
 * Its parent is dead, or has left the guest to it.  It tries until the guest is
 * back or QEMU has ended, which its pidfd tells and nothing else does: QEMU may
 * be stopped, swapped out, or wait for a disk, for minutes.
 *
 *   1. join    take over the connection that we share (qmp_adopt()): what was
 *              half said to QEMU is thrown away, what was said is done, in
 *              order, before we ask.  Is it broken, connect to the same path
 *              anew, and see by its virtual CPUs' threads that the same QEMU
 *              answers: whoever listens there now may be another
 *   2. look    query-migrate and query-status
 *   3. end     is our migration under way: migrate_cancel, until it has ended.
 *              Our end of QEMU's device state is closed, so it cannot hang
 *   4. start   paused or postmigrate: cont, until it is running
 *   5. settings  put back QEMU's, if ours may be there: last, no guest waits for
 *              them.  Refused, they are what they are, and the record says so
 *
 * A guest that was handed over (COMMIT) gets 1, 2 and 5 only: nobody may start it
 * but who knows what became of it at the target.  Nothing is written down then.
 *
 * Each that fails is begun again at 1 after a while, longer each time.  QEMU
 * restarts a guest by itself whose migration was cancelled or failed; 4 is for
 * the one that was stopped to drain its disks, and for a migration that QEMU
 * had completed and that was not committed.  There the target's QEMU may hold
 * the disks' locks, and cont is refused.
 *
 * In all that time others may do what they want with the guest, and a guest that
 * somebody else stopped or moved must not be started:
 *
 *   RESUME since the first look    it was back: whoever stopped it then, it was
 *                                  neither us nor for us
 *   our migration had ended, and   somebody else migrates it, or has: leave it,
 *   there is one, or it completed  and say that nobody knows where it runs
 *   a state of its own             shutdown, io-error, ...: its own business
 *
 * A migration of somebody else's has its own settings: they are left alone, too.
 *
 * What is done is written down, and what is tried.  Standard error gets one
 * line, and is let go of: who reads it waits for its end.
 */
#include "guardian_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guardian.h"
#include "qemu_priv.h"
#include "util/fd.h"
#include "util/now.h"
#include "util/record.h"

#define QMP_MS   5000 /* for an answer of QEMU's; then it is asked again */
#define FIRST_MS 50   /* until the second try; twice as long each time */
#define LAST_MS  2000 /* but no longer */
#define LINE_MS  1000 /* for this long it may still be quick */

struct act {
	struct guard *g;
	struct qmp *qmp;    /* NULL: none, or broken */
	bool has_looked;    /* once; events before that are not news */
	bool has_ended;     /* our migration was seen to */
	bool was_completed; /* and how */
	bool was_back;      /* RESUME */
	bool is_taken;      /* somebody else has it */
	bool is_settled;    /* the guest is; what is left is QEMU's settings */
	char left[200];     /* why they are not as before, "" none */
	char state[32], migration[32];
};

/* Wait @ms for QEMU's end. */
static bool is_gone(const struct guard *g, int ms)
{
	struct pollfd p = { .fd = g->q->pidfd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* -- joining -------------------------------------------------------------------- */

/* Is it the QEMU that we know? */
static int check_same(struct act *a, struct xm_error *e)
{
	const struct qemu *q = a->g->q;
	json_t *list = NULL, *cpu;
	size_t i, n = 0;
	int r = qmp_run(a->qmp, "query-cpus-fast", NULL, &list, e);

	if (r)
		return r;
	json_array_foreach(list, i, cpu) n +=
		qemu_has_thread(q, (pid_t)json_integer_value(
					   json_object_get(cpu, "thread-id")));
	if (!n || n != json_array_size(list) || is_gone(a->g, 0))
		r = xm_fail(e, -ESTALE, XM_REASON_CONNECT,
			    "%s: another QEMU has this monitor now, not "
			    "process %d",
			    qmp_path(q->qmp), (int)q->pid);
	json_decref(list);
	return r;
}

static int connect_anew(struct act *a, struct xm_error *e)
{
	int r = qmp_open(&a->qmp, qmp_path(a->g->q->qmp), QMP_MS, e);

	if (r)
		return r;
	r = check_same(a, e);
	if (r)
		a->qmp = qmp_close(a->qmp);
	return r;
}

static int adopt(struct act *a, struct xm_error *e)
{
	int fd = fcntl(a->g->monitor, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return xm_fail(e, -errno, XM_REASON_INTERNAL, "%s",
			       strerror(errno));
	return qmp_adopt(&a->qmp, fd, qmp_path(a->g->q->qmp), QMP_MS, e);
}

static int join(struct act *a, struct xm_error *e)
{
	struct xm_error broken = { 0 };
	int r;

	if (a->qmp)
		return 0;
	if (a->g->monitor < 0)
		return connect_anew(a, e);
	r = adopt(a, &broken);
	if (!r || r == -ETIMEDOUT)
		return r ? xm_fail(e, r, broken.reason, "%s", broken.msg) : 0;
	fd_closep(&a->g->monitor);
	return connect_anew(a, e);
}

/* After a failure: of what use is the connection still? */
static void part(struct act *a)
{
	int why = a->qmp ? qmp_broken(a->qmp) : 0;

	if (!why)
		return;
	a->qmp = qmp_close(a->qmp);
	if (why != -ETIMEDOUT) /* that: it was full, and can be adopted again */
		fd_closep(&a->g->monitor);
}

/* -- looking ---------------------------------------------------------------------- */

static int ask(struct act *a, const char *command, char ret_status[32],
	       struct xm_error *e)
{
	const char *status;
	json_t *v = NULL;
	int r = qmp_run(a->qmp, command, NULL, &v, e);

	if (r)
		return r;
	status = json_string_value(json_object_get(v, "status"));
	snprintf(ret_status, 32, "%s", status ? status : "none");
	json_decref(v);
	return 0;
}

static int take_events(struct act *a, struct xm_error *e)
{
	const char *name;
	json_t *event;
	int r;

	while (!(r = qmp_event(a->qmp, &event, e))) {
		name = json_string_value(json_object_get(event, "event"));
		if (a->has_looked && name && !strcmp(name, "RESUME"))
			a->was_back = true;
		json_decref(event);
	}
	return r == -EAGAIN ? 0 : r;
}

static int look(struct act *a, struct xm_error *e)
{
	int r = ask(a, "query-migrate", a->migration, e);

	if (!r)
		r = ask(a, "query-status", a->state, e);
	if (!r)
		r = take_events(a, e);
	if (!r)
		a->has_looked = true;
	return r;
}

static bool is_over(const char *migration)
{
	static const char *const ended[] = { "none", "cancelled", "failed",
					     "completed" };
	unsigned int i;

	for (i = 0; i < sizeof(ended) / sizeof(*ended); i++)
		if (!strcmp(migration, ended[i]))
			return true;
	return false;
}

static bool is_moved(const struct act *a)
{
	return !is_over(a->migration) || (!strcmp(a->state, "postmigrate") &&
					  !strcmp(a->migration, "completed"));
}

/* -- ending and starting ------------------------------------------------------------ */

static int not_yet(const char *what, const char *status, struct xm_error *e)
{
	return xm_fail(e, -EAGAIN, XM_REASON_STALLED, "%s is still %s", what,
		       status);
}

static int start(struct act *a, struct xm_error *e)
{
	int r = qmp_run(a->qmp, "cont", NULL, NULL, e);

	if (!r)
		r = look(a, e);
	if (r || a->was_back || strcmp(a->state, "paused"))
		return r;
	return not_yet("the guest", a->state, e);
}

static int end_migration(struct act *a, struct xm_error *e)
{
	int r;

	if (a->has_ended) {
		a->is_taken = !is_over(a->migration) ||
			      (!strcmp(a->migration, "completed") &&
			       !a->was_completed);
		return 0;
	}
	if (!is_over(a->migration)) {
		r = qmp_run(a->qmp, "migrate_cancel", NULL, NULL, e);
		qemu_free_cancelled(a->qmp);
		return r ? r : not_yet("its migration", a->migration, e);
	}
	a->has_ended = true;
	a->was_completed = !strcmp(a->migration, "completed");
	return 0;
}

/* The guest is as it was before, or in a state of its own, when this returns
 * 0. */
static int bring_back(struct act *a, struct xm_error *e)
{
	int r;

	if (a->g->state == GUARD_COMMIT)
		return 0;
	if (a->g->state == GUARD_IDLE || a->g->state == GUARD_DRAIN) {
		a->is_taken = is_moved(a);
		if (a->g->state == GUARD_IDLE || a->is_taken || a->was_back)
			return 0;
		return strcmp(a->state, "paused") ? 0 : start(a, e);
	}
	r = end_migration(a, e);
	if (!r && a->was_back)
		a->is_taken = a->is_taken || is_moved(a);
	if (r || a->is_taken || a->was_back)
		return r;
	if (!strcmp(a->state, "finish-migrate"))
		return not_yet("the guest", a->state, e);
	if (a->g->state == GUARD_PAUSED ||
	    (strcmp(a->state, "paused") && strcmp(a->state, "postmigrate")))
		return 0;
	return start(a, e);
}

/* What QEMU refuses it would refuse again. */
static int put_back(struct act *a, struct xm_error *e)
{
	struct xm_error why = { 0 };
	int r;

	if (a->is_taken || !is_over(a->migration))
		return 0;
	r = settings_put_back(&a->g->old, a->qmp, &why);
	if (r == -EREMOTEIO)
		snprintf(a->left, sizeof(a->left), "%.*s",
			 (int)sizeof(a->left) - 1, why.msg);
	if (!r || r == -EREMOTEIO)
		return 0;
	return xm_fail(e, r, why.reason, "%s", why.msg);
}

/* -- saying what is done --------------------------------------------------------------- */

static void write_down(const struct guard *g, const char *guardian,
		       const char *home, const char *message)
{
	json_t *o;

	if (!g->path)
		return;
	o = json_deep_copy(g->note);
	(void)json_object_set_new(o, "guest_runs_at", json_string(home));
	(void)json_object_set_new(o, "guardian", json_string(guardian));
	if (!strcmp(guardian, "trying"))
		(void)json_object_set_new(o, "guardian_pid",
					  json_integer(getpid()));
	(void)json_object_set_new(o, "message", json_string(message));
	(void)record_write(g->path, o, NULL); /* whom to tell? */
	json_decref(o);
}

static void say(const struct guard *g, const char *message)
{
	if (g->state != GUARD_IDLE && g->state != GUARD_COMMIT)
		dprintf(STDERR_FILENO, "xdpmig-guardian: %s: %s\n",
			qmp_path(g->q->qmp), message);
}

static void let_go_of_stderr(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)dup2(fd, STDERR_FILENO);
	if (fd != STDERR_FILENO)
		fd_close(fd);
}

/* Of a guest that nothing was done to, or that is back, only QEMU's settings are
 * missing. */
static void tell_trying(const struct act *a, const char *why)
{
	bool is_back = a->g->state == GUARD_IDLE || a->is_settled;
	char message[512];

	snprintf(
		message, sizeof(message),
		"send has ended, and %s: %s; the guardian (process %d) goes on "
		"trying",
		is_back ? "the guest is as it was, but QEMU's migration "
			  "settings may not be" :
			  "the guest is not back",
		why, (int)getpid());
	write_down(a->g, "trying",
		   is_back && !a->is_taken ? "source" : "unknown", message);
}

static void tell_over(const struct act *a, bool is_there)
{
	char message[512];

	if (!is_there)
		snprintf(message, sizeof(message),
			 "send has ended too early, and so has QEMU, and the "
			 "guest with it");
	else if (a->is_taken)
		snprintf(message, sizeof(message),
			 "send has ended too early, and somebody else migrates "
			 "the guest, or has; it is %s here",
			 a->state);
	else
		snprintf(message, sizeof(message),
			 "send has ended too early; its migration is over, "
			 "and the guest is %s here%s%s",
			 a->state,
			 *a->left ? "; QEMU keeps migration settings of "
				    "xdpmig's: " :
				    "",
			 a->left);
	say(a->g, message);
	write_down(a->g, is_there ? "done" : "gone",
		   is_there && !a->is_taken ? "source" : "unknown", message);
}

/* -- all of it --------------------------------------------------------------------------- */

static int try(struct act *a, struct xm_error *e)
{
	int r = join(a, e);

	if (!r)
		r = look(a, e);
	if (!r && !a->is_settled)
		r = bring_back(a, e);
	if (!r && !a->is_settled && a->g->state != GUARD_COMMIT)
		qemu_close_stream(a->qmp);
	if (!r)
		a->is_settled = true;
	if (!r)
		r = put_back(a, e);
	if (r)
		part(a);
	return r;
}

enum guard_end guardian_act(struct guard *g)
{
	struct act a = { .g = g };
	int64_t begun = now_ms();
	struct xm_error e, was = { 0 };
	bool is_told = false, is_there;
	int wait = FIRST_MS;

	tell_trying(&a, "it was not looked at yet");
	while (!is_gone(g, 0)) {
		e = (struct xm_error){ 0 };
		if (!try(&a, &e))
			break;
		if (strcmp(e.msg, was.msg))
			tell_trying(&a, e.msg);
		was = e;
		if (!is_told && now_ms() - begun > LINE_MS) {
			say(g, "send has ended, and the guest is not back yet; "
			       "trying on: see 'xdpmig status'");
			let_go_of_stderr();
			is_told = true;
		}
		(void)is_gone(g, wait);
		wait = wait < LAST_MS / 2 ? 2 * wait : LAST_MS;
	}
	is_there = !is_gone(g, 0);
	tell_over(&a, is_there);
	/* Our connection ends with us, after the locks: who waits for the
	 * monitor finds the guest free. */
	if (!is_there || g->state == GUARD_COMMIT)
		return GUARD_OVER;
	return a.is_taken ? GUARD_TAKEN : *a.left ? GUARD_LEFT : GUARD_BACK;
}
