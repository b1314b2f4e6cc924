// SPDX-License-Identifier: GPL-2.0-or-later
/* guardian.c - a process that brings the guest back if ours cannot
 *
 * Forked before anything is done to the guest, so that it exists when it is
 * needed, and is no child of a session that Ctrl-C or a closed terminal ends.
 * It may be there for long after us, so it keeps what it needs and no more: no
 * memory of the guest's, nothing of the network (it goes to QEMU's network
 * namespace, if it may), no working directory, unless the monitor's path is
 * relative to it, and then no capability and few system calls (util/priv.h).
 *
 *   pipe     to us: a packet is a command, and its first byte is the answer
 *   monitor  our connection to QEMU, which has room for one client only
 *   pidfds   ours and QEMU's; when that ends, it ends
 *   locks    files of the guest's RAM, whose locks (source_check.c) are thus
 *            held until it ends: no other xdpmig moves the guest meanwhile,
 *            at whatever monitor; and the lock of the record's name
 *   stderr   one line, if it had to act
 *
 *   'A'   armed: our death brings the guest back
 *   'P'   armed, for a guest that was paused: ends the migration only
 *   'S'   armed, for a guest that we stopped and do not migrate: let it run,
 *         but not from postmigrate: that would be somebody else's migration
 *   'D'   disarmed: our death is written down
 *   'C'   the guest was handed over: our death is none of its business, but
 *         for QEMU's settings
 *   'N'   what to write down, and where (struct guest_note)
 *   'O'   QEMU's settings of before (struct settings, as JSON)
 *   'E'   we end, and all is well
 *
 * Death is an end of file on the pipe, or the pidfd of its parent: a process
 * that we forked meanwhile may hold the pipe open.  A command that was written
 * before the death counts, so the pipe is read to its end first.  What it does
 * then is in guardian_act.c.
 *
 * Before COMMIT it must be certain that it never lets the guest run.  So one that
 * does not confirm that is killed: it is our child, its number is nobody
 * else's.
 *
 * It is told QEMU's settings before any is changed, and puts them back wherever
 * the guest went: after COMMIT, too, for whoever lets it run here by hand when
 * the target does not have it.
 *
 * Nothing guards the guardian: who kills both (a whole cgroup) has to say "cont"
 * to QEMU himself, and to set what settings.c lists as it was before.
 */
#include "guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guardian_priv.h"
#include "procmaps.h"
#include "util/fd.h"
#include "util/fd_pass.h"
#include "util/now.h"
#include "util/priv.h"

#define ANSWER_MS 5000 /* the guardian's, to us: it only ever sleeps */
#define END_MS    2000 /* for one to end: disarmed, or if it is quick */
#define NOTE_LEN  8192 /* bytes of a command, at most */

enum { NOTE = 'N', OLD = 'O', END = 'E' };

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* -- the guardian: listening --------------------------------------------------- */

/* @text: path and fields, each with its NUL. */
static void keep_note(struct guard *g, const char *text, size_t len, int lock)
{
	size_t path_len = strnlen(text, len);

	free(g->path);
	json_decref(g->note);
	fd_close(g->lock);
	g->path = strndup(text, path_len);
	g->note = path_len < len ? json_loads(text + path_len + 1, 0, NULL) :
				   NULL;
	g->lock = lock;
	if (!g->note)
		g->note = json_object();
}

/* Take and confirm what was said.  False: nobody will say anything more. */
static bool listen_to(struct guard *g)
{
	char text[NOTE_LEN + 1];
	unsigned int n_fds;
	ssize_t n;
	int fd;

	while ((n = fd_pass_recv(g->pipe, text, NOTE_LEN, MSG_DONTWAIT, &fd, 1,
				 &n_fds)) > 0) {
		text[n] = '\0';
		if (text[0] == END)
			_exit(0);
		if (text[0] == NOTE)
			keep_note(g, text + 1, (size_t)n - 1, n_fds ? fd : -1);
		else if (text[0] == OLD)
			settings_load(&g->old, text + 1);
		else
			g->state = (enum guard_state)text[0];
		(void)send(g->pipe, text, 1,
			   MSG_NOSIGNAL); /* maybe to nobody */
	}
	return n == -EAGAIN || n == -EINTR;
}

/* The record and its name are who sends next's. */
static void hand_over(struct guard *g)
{
	free(g->path);
	g->path = NULL;
	g->lock = fd_close(g->lock);
}

static enum guard_end watch(struct guard *g)
{
	struct pollfd p[] = {
		{ .fd = g->pipe, .events = POLLIN },
		{ .fd = g->parent, .events = POLLIN }, /* may be -1 */
		{ .fd = g->q->pidfd, .events = POLLIN },
	};
	bool is_alive = true;

	do {
		if (poll(p, 3, -1) < 0)
			continue;
		/* Dead or not is asked before: what is in the pipe after a
		 * death is all there will ever be. */
		is_alive = !p[1].revents;
		if (!listen_to(g))
			is_alive = false;
		if (is_alive && p[2].revents)
			return GUARD_OVER; /* no QEMU, no guest */
	} while (is_alive);
	if (g->state == GUARD_COMMIT)
		hand_over(g);
	else
		(void)prctl(PR_SET_NAME, GUARDIAN_ACTS);
	if (!settings_any(&g->old) &&
	    (g->state == GUARD_COMMIT || (g->state == GUARD_IDLE && !g->path)))
		return GUARD_OVER;
	return guardian_act(g);
}

/* -- the guardian: a process of its own ------------------------------------------ */

/* Move @n descriptors to 3 and up, and close all others but stderr. */
static void keep_only(int **fds, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) /* out of the way */
		*fds[i] = fcntl(*fds[i], F_DUPFD, 3 + n);
	for (i = 0; i < n; i++)
		if (*fds[i] >= 0)
			*fds[i] = dup2(*fds[i], (int)(3 + i));
	(void)close_range(3 + n, ~0u, 0);
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
}

/* Memory that others have, too, is none of ours: rings, maps of the kernel's,
 * and the guest's. */
static int unmap_shared(void *arg, const struct procmap *map)
{
	(void)arg; /* none */
	if (map->perms[3] == 's')
		(void)munmap((void *)(uintptr_t)map->start,
			     (size_t)(map->end - map->start));
	return 0;
}

/* All of the child; does not return. */
static void be_guardian(struct guard *g, struct qemu *q, pid_t parent)
{
	static const int ignored[] = { SIGINT,  SIGTERM, SIGHUP,
				       SIGQUIT, SIGPIPE, SIGUSR1,
				       SIGUSR2, SIGALRM, SIGTSTP };
	int *fds[4 + XM_BLOCK_MAX] = { &g->pipe, &g->monitor, &q->pidfd,
				       &g->parent };
	/* to open the monitor of another user's QEMU anew */
	const uint64_t keep = qemu_is_others(q) ? PRIV_CAP(CAP_DAC_OVERRIDE) :
						  0;
	enum guard_end end = GUARD_OVER;
	unsigned int i;

	for (i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
	(void)setsid(); /* it cannot fail in a child */
	(void)prctl(PR_SET_NAME, GUARDIAN_WAITS);
	g->parent = (int)syscall(SYS_pidfd_open, parent, 0);
	if (getppid() != parent)
		_exit(0); /* dead already, and never armed */
	for (i = 0; i < q->n_blocks; i++)
		fds[4 + i] = &q->block[i].fd;
	keep_only(fds, 4 + q->n_blocks);
	(void)procmaps_each(getpid(), unmap_shared, NULL, NULL);
	(void)setns(q->pidfd,
		    CLONE_NEWNET); /* where QEMU is, we are no burden */
	if (qmp_path(q->qmp)[0] == '/')
		(void)!chdir("/");
	/* What goes wrong here leaves it with more than it uses, no less. */
	(void)priv_confine(PRIV_GUARDIAN, keep, NULL);
	if (g->pipe >= 0 && g->monitor >= 0 && q->pidfd >= 0)
		end = watch(g);
	fd_close(g->lock);
	for (i = 0; i < q->n_blocks; i++)
		fd_close(q->block[i].fd);
	_exit((int)end);
}

/* -- ours ------------------------------------------------------------------- */

int guardian_start(struct guardian *g, const struct qemu *q, struct xm_error *e)
{
	struct guard its = { .q = q, .state = GUARD_IDLE, .lock = -1 };
	pid_t parent = getpid();
	int pair[2];

	g->pipe = -1;
	g->is_armed = false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
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
	if (!g->pid) {
		struct qemu own = *q; /* its descriptors have other numbers */

		its.q = &own;
		its.pipe = pair[1];
		its.monitor = qmp_fd(q->qmp);
		be_guardian(&its, &own, parent);
	}
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

/* Wait until it has heard @command. */
static int await(struct guardian *g, char command, struct xm_error *e)
{
	int64_t until = now_ms() + ANSWER_MS;
	struct pollfd p = { .fd = g->pipe, .events = POLLIN };
	char answer = 0;
	int64_t left;

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

/* Say @text, which begins with the command. */
static int say_text(struct guardian *g, const char *text, size_t len,
		    struct xm_error *e)
{
	if (send(g->pipe, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		return fail_guardian(g, -EPIPE, e);
	return await(g, text[0], e);
}

static int say(struct guardian *g, char command, struct xm_error *e)
{
	return say_text(g, &command, 1, e);
}

static int send_note(struct guardian *g, const struct guest_note *note,
		     struct xm_error *e)
{
	char text[NOTE_LEN];
	int len = snprintf(text, sizeof(text), "%c%s%c%s", NOTE, note->path, 0,
			   note->text);

	if ((size_t)len >= sizeof(text))
		return xm_fail(e, -E2BIG, XM_REASON_INTERNAL,
			       "too much to be written down of the guest");
	if (fd_pass_send(g->pipe, text, (size_t)len, &note->lock,
			 note->lock >= 0) != len)
		return fail_guardian(g, -EPIPE, e);
	return await(g, NOTE, e);
}

int guardian_note(struct guardian *g, const struct guest_note *note,
		  struct xm_error *e)
{
	return send_note(g, note, e);
}

int guardian_settings(struct guardian *g, const struct settings *old,
		      struct xm_error *e)
{
	char *json = settings_dump(old);
	char text[NOTE_LEN];
	int len = snprintf(text, sizeof(text), "%c%s", OLD, json ? json : "");

	free(json);
	if (len <= 1 || (size_t)len >= sizeof(text))
		return xm_fail(e, -E2BIG, XM_REASON_INTERNAL,
			       "too many migration settings of QEMU's to be "
			       "put back");
	return say_text(g, text, (size_t)len, e);
}

int guardian_arm(struct guardian *g, struct xm_error *e)
{
	int r = say(g,
		    g->is_drain     ? GUARD_DRAIN :
		    g->leave_paused ? GUARD_PAUSED :
				      GUARD_RUN,
		    e);

	if (!r)
		g->is_armed = true;
	return r;
}

/* Wait until it has ended, but not for ever.  Its status, or -1: it has not, or
 * badly. */
static int wait_for_end(pid_t pid)
{
	int64_t until = now_ms() + END_MS;
	int status = -1;

	while (!waitpid(pid, &status, WNOHANG) && now_ms() < until)
		sleep_ms(1);
	return status;
}

/* If it cannot be told, it ends: a killed process does nothing more, even if it
 * takes its time to be gone. */
static void silence(struct guardian *g, enum guard_state state)
{
	g->is_armed = false;
	if (g->pid <= 0 || !say(g, (char)state, NULL))
		return;
	(void)kill(g->pid, SIGKILL);
	(void)wait_for_end(g->pid);
	g->pipe = fd_close(g->pipe);
	g->pid = 0;
}

void guardian_disarm(struct guardian *g)
{
	silence(g, GUARD_IDLE);
}

void guardian_commit(struct guardian *g)
{
	silence(g, GUARD_COMMIT);
}

void guardian_stop(struct guardian *g)
{
	static const char end = END;

	if (g->pid <= 0)
		return;
	if (!g->is_armed)
		(void)send(g->pipe, &end, 1, MSG_NOSIGNAL);
	/* Whoever else has this descriptor: it ends for all. */
	(void)shutdown(g->pipe, SHUT_RDWR);
	g->pipe = fd_close(g->pipe);
	if (!g->is_armed)
		(void)wait_for_end(g->pid);
	*g = (struct guardian){ .pipe = -1 };
}

int guardian_leave(struct guardian *g, pid_t *ret_pid)
{
	pid_t pid = g->pid;
	int status;

	g->is_armed = true;
	guardian_stop(g);
	if (pid <= 0)
		return -ECHILD;
	status = wait_for_end(pid);
	if (status == -1) {
		*ret_pid = pid;
		return kill(pid, 0) ? -ECHILD : -EINPROGRESS;
	}
	switch (WIFEXITED(status) ? WEXITSTATUS(status) : GUARD_OVER) {
	case GUARD_BACK:
		return 0;
	case GUARD_TAKEN:
		return -EBUSY;
	case GUARD_LEFT:
		return -EREMOTEIO;
	default:
		return -ECHILD;
	}
}
