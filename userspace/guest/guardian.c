// SPDX-License-Identifier: GPL-2.0-or-later
/* guardian.c - a process that brings the guest back if ours is killed
 *
 * Forked before anything is done to the guest, so that it exists when it is
 * needed, and is no child of a session that Ctrl-C or a closed terminal ends.
 * It keeps three descriptors, and no memory of the guest's:
 *
 *   pipe     to us: one byte is a command, and the same byte is the answer
 *   monitor  our connection to QEMU, which has room for one client only
 *   stderr   one line, if it had to act
 *
 *   'A'   armed: our death brings the guest back
 *   'P'   armed, for a guest that was paused: ends the migration only
 *   'S'   armed, for a guest that we stopped and do not migrate: step 3 only,
 *         and not for postmigrate: that would be somebody else's migration
 *   'D'   disarmed: our death is none of its business
 *
 * Death is an end of file on the pipe, or the pidfd of its parent: a process
 * that we forked meanwhile may hold the pipe open.  A command that was written
 * before the death counts, so the pipe is read to its end first.
 *
 * Armed, and we are dead:
 *
 *   1. take the connection over (qmp_adopt()): what we had half said to QEMU is
 *      thrown away, what we had said is done, in order, before it is asked
 *   2. query-migrate; is it under way: migrate_cancel, until it has ended.  Our
 *      end of QEMU's device state is closed by our death, so it cannot hang
 *   3. query-status; paused or postmigrate: cont, until it is running
 *
 * QEMU itself restarts a guest whose migration was cancelled or failed; step 3
 * is for the one that we had stopped to drain its disks, and for a migration
 * that QEMU had completed and that we had not committed.  There the target's
 * QEMU may hold the disks' locks for a while and cont is refused: all of it is
 * tried again for RESCUE_MS.  Other states the guest got into by itself (it shut
 * down, its disk failed), or was never started; they stay.
 *
 * What stays behind are migration capabilities and parameters that we had set:
 * the next migration sets its own.  And nothing guards the guardian: who kills
 * both (a whole cgroup) has to say "cont" to QEMU himself.
 */
#include "guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/fd.h"

#define ANSWER_MS 5000  /* the guardian's, to us: it only ever sleeps */
#define QMP_MS    5000  /* QEMU's, to the guardian */
#define RESCUE_MS 30000 /* then it gives up */
#define AGAIN_MS  50    /* between two looks at QEMU */
#define END_MS    2000  /* for a disarmed guardian to end */

enum command { ARM = 'A', ARM_PAUSED = 'P', ARM_DRAIN = 'S', DISARM = 'D' };

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* -- the guardian: bringing a guest back -------------------------------------- */

static int ask_status(struct qmp *qmp, const char *command, char *ret_status,
		      size_t len, struct xm_error *e)
{
	json_t *v = NULL;
	const char *status;
	int r = qmp_run(qmp, command, NULL, &v, e);

	if (r)
		return r;
	status = json_string_value(json_object_get(v, "status"));
	snprintf(ret_status, len, "%s", status ? status : "none");
	json_decref(v);
	return 0;
}

static bool is_one_of(const char *status, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(status, *list))
			return true;
	return false;
}

/* No migration is under way any more when this returns 0. */
static int end_migration(struct qmp *qmp, int64_t until, struct xm_error *e)
{
	static const char *const ended[] = { "none", "cancelled", "failed",
					     "completed", NULL };
	bool is_cancelled = false;
	char status[32];
	int r;

	for (;;) {
		r = ask_status(qmp, "query-migrate", status, sizeof(status), e);
		if (r || is_one_of(status, ended))
			return r;
		if (!is_cancelled)
			r = qmp_run(qmp, "migrate_cancel", NULL, NULL, e);
		if (r)
			return r;
		is_cancelled = true;
		if (now_ms() > until)
			return xm_fail(e, -ETIMEDOUT, XM_REASON_STALLED,
				       "its migration is still %s", status);
		sleep_ms(AGAIN_MS);
	}
}

/* The guest runs, or is in a state of its own, when this returns 0. */
static int start_guest(struct qmp *qmp, int64_t until, struct xm_error *e)
{
	static const char *const stopped[] = { "paused", "postmigrate", NULL };
	char status[32];
	int r;

	for (;;) {
		r = ask_status(qmp, "query-status", status, sizeof(status), e);
		if (r)
			return r;
		if (is_one_of(status, stopped))
			return qmp_run(qmp, "cont", NULL, NULL, e);
		if (strcmp(status, "finish-migrate"))
			return 0;
		if (now_ms() > until)
			return xm_fail(e, -ETIMEDOUT, XM_REASON_STALLED,
				       "it is still %s", status);
		sleep_ms(AGAIN_MS);
	}
}

/* We stopped it, and migrated nothing: nor is a migration ours to end. */
static int end_drain(struct qmp *qmp, struct xm_error *e)
{
	char status[32];
	int r = ask_status(qmp, "query-status", status, sizeof(status), e);

	return r || strcmp(status, "paused") ?
		       r :
		       qmp_run(qmp, "cont", NULL, NULL, e);
}

static int try_rescue(int monitor, const char *path, char how, int64_t until,
		      char *ret_state, size_t len, struct xm_error *e)
{
	struct qmp *qmp = NULL;
	int fd = fcntl(monitor, F_DUPFD_CLOEXEC, 3);
	int r;

	if (fd < 0)
		return xm_fail(e, -errno, XM_REASON_INTERNAL, "%s",
			       strerror(errno));
	r = qmp_adopt(&qmp, fd, path, QMP_MS, e);
	if (!r)
		r = how == ARM_DRAIN ? end_drain(qmp, e) :
				       end_migration(qmp, until, e);
	if (!r && how == ARM)
		r = start_guest(qmp, until, e);
	if (!r)
		r = ask_status(qmp, "query-status", ret_state, len, e);
	qmp_close(qmp);
	return r;
}

static void rescue(int monitor, const char *path, char how)
{
	int64_t until = now_ms() + RESCUE_MS;
	struct xm_error e;
	char state[32];
	int r;

	for (;;) {
		e = (struct xm_error){ 0 };
		r = try_rescue(monitor, path, how, until, state, sizeof(state),
			       &e);
		if (!r || r == -EPIPE || now_ms() > until)
			break;
		sleep_ms(AGAIN_MS);
	}
	if (!r)
		dprintf(STDERR_FILENO,
			"xdpmig-guardian: %s: xdpmig was killed; the migration "
			"is over, and the guest here is %s\n",
			path, state);
	else if (r == -EPIPE)
		dprintf(STDERR_FILENO,
			"xdpmig-guardian: %s: xdpmig was killed, and QEMU is "
			"gone\n",
			path);
	else
		dprintf(STDERR_FILENO,
			"xdpmig-guardian: %s: xdpmig was killed, and the guest "
			"could not be brought back in %d s (%s); see "
			"query-status, and say cont\n",
			path, RESCUE_MS / 1000, e.msg);
}

/* -- the guardian: waiting ---------------------------------------------------- */

/* Take and confirm what was said.  False: nobody will say anything more. */
static bool listen_to(int pipe, char *state)
{
	char c;
	ssize_t n;

	while ((n = recv(pipe, &c, 1, MSG_DONTWAIT)) == 1) {
		*state = c;
		(void)send(pipe, &c, 1, MSG_NOSIGNAL); /* maybe to nobody */
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void watch(int pipe, int monitor, int parent, const char *path)
{
	struct pollfd p[] = {
		{ .fd = pipe, .events = POLLIN },
		{ .fd = parent, .events = POLLIN }, /* may be -1 */
		{ .fd = monitor, .events = 0 },     /* hang-up only */
	};
	char state = DISARM;
	bool is_alive = true;

	do {
		if (poll(p, 3, -1) < 0)
			continue;
		/* Dead or not is asked before: what is in the pipe after a
		 * death is all there will ever be. */
		is_alive = !p[1].revents;
		if (!listen_to(pipe, &state))
			is_alive = false;
		if (is_alive && p[2].revents)
			return; /* no QEMU, no guest */
	} while (is_alive);
	if (state != DISARM)
		rescue(monitor, path, state);
}

/* All of the child; does not return. */
static void be_guardian(int pipe, int monitor, const char *path, pid_t parent)
{
	static const int ignored[] = { SIGINT,  SIGTERM, SIGHUP,
				       SIGQUIT, SIGPIPE, SIGUSR1,
				       SIGUSR2, SIGALRM, SIGTSTP };
	int fds[3] = { pipe, monitor, -1 }, i;

	for (i = 0; i < (int)(sizeof(ignored) / sizeof(*ignored)); i++)
		signal(ignored[i], SIG_IGN);
	(void)setsid(); /* it cannot fail in a child */
	(void)prctl(PR_SET_NAME, "xdpmig-guardian");
	fds[2] = (int)syscall(SYS_pidfd_open, parent, 0);
	if (getppid() != parent)
		_exit(0); /* dead already, and never armed */
	/* Out of the way of 3, 4 and 5, then there, and nothing else stays. */
	for (i = 0; i < 3; i++)
		fds[i] = fcntl(fds[i], F_DUPFD, 16);
	for (i = 0; i < 3; i++)
		if (fds[i] >= 0)
			fds[i] = dup2(fds[i], 3 + i);
	(void)close_range(fds[2] >= 0 ? 6 : 5, ~0u, 0);
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	if (fds[0] >= 0 && fds[1] >= 0)
		watch(fds[0], fds[1], fds[2], path);
	_exit(0);
}

/* -- ours ------------------------------------------------------------------- */

int guardian_start(struct guardian *g, const struct qmp *qmp,
		   struct xm_error *e)
{
	pid_t parent = getpid();
	int pair[2];

	g->pipe = -1;
	g->is_armed = false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return xm_fail(e, -errno, XM_REASON_INTERNAL,
			       "no pipe for the guardian: %s", strerror(errno));
	g->pid = fork();
	if (g->pid < 0) {
		int err = errno;

		close(pair[0]);
		close(pair[1]);
		g->pid = 0;
		return xm_fail(e, -err, XM_REASON_MEMORY,
			       "no process for the guardian: %s",
			       strerror(err));
	}
	if (!g->pid)
		be_guardian(pair[1], qmp_fd(qmp), qmp_path(qmp), parent);
	close(pair[1]);
	g->pipe = pair[0];
	return 0;
}

static int fail_guardian(const struct guardian *g, int err, struct xm_error *e)
{
	return xm_fail(e, err, XM_REASON_INTERNAL,
		       "the guardian (process %d) %s", (int)g->pid,
		       err == -ETIMEDOUT ? "does not answer" :
					   "is gone, as it is when QEMU is; "
					   "without it the guest is not safe");
}

/* Say @command, and wait until it is heard. */
static int say(struct guardian *g, char command, struct xm_error *e)
{
	int64_t until = now_ms() + ANSWER_MS;
	struct pollfd p = { .fd = g->pipe, .events = POLLIN };
	char answer = 0;
	int64_t left;

	if (send(g->pipe, &command, 1, MSG_NOSIGNAL) != 1)
		return fail_guardian(g, -EPIPE, e);
	while (answer != command) {
		left = until - now_ms();
		if (left <= 0)
			return fail_guardian(g, -ETIMEDOUT, e);
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		/* An answer that came too late for its command is passed by. */
		if (recv(g->pipe, &answer, 1, 0) != 1)
			return fail_guardian(g, -EPIPE, e);
	}
	return 0;
}

int guardian_arm(struct guardian *g, struct xm_error *e)
{
	int r = say(g,
		    g->is_drain     ? ARM_DRAIN :
		    g->leave_paused ? ARM_PAUSED :
				      ARM,
		    e);

	if (!r)
		g->is_armed = true;
	return r;
}

int guardian_disarm(struct guardian *g, struct xm_error *e)
{
	int r = say(g, DISARM, e);

	if (!r)
		g->is_armed = false;
	return r;
}

void guardian_stop(struct guardian *g)
{
	int64_t until = now_ms() + END_MS;

	if (g->pid <= 0)
		return;
	/* Whoever else has this descriptor: it ends for all. */
	(void)shutdown(g->pipe, SHUT_RDWR);
	g->pipe = fd_close(g->pipe);
	while (!g->is_armed && !waitpid(g->pid, NULL, WNOHANG) &&
	       now_ms() < until)
		sleep_ms(1);
	*g = (struct guardian){ .pipe = -1 };
}
