// SPDX-License-Identifier: GPL-2.0-or-later
/* tracee_fd.c - a descriptor out of a process that must survive us
 *
 * It is two system calls in that process: one makes the descriptor, the other
 * closes it there when we have a copy.  Each alone survives our death
 * (tracee.c).  Between them the process has a descriptor that only we know of,
 * and nobody would ever close it.
 *
 * So a process of its own makes both, in a session of its own: Ctrl-C or a kill of
 * ours, or of our whole group, does not reach it.  It holds nothing of ours but what
 * it needs, takes milliseconds, goes on to its end, which the deadlines of an
 * injection bound, when there is nobody left to give the copy to, and closes that
 * with itself.
 */
#include "tracee.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/fd_pass.h"

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

struct take {
	pid_t pid;
	int pidfd;
	long nr;
	const uint64_t *args;
};

struct taken {
	int r; /* 0: a descriptor comes with this */
	struct xm_error e;
};

/* -- the process of its own ------------------------------------------------------- */

/* What its descriptor @there is, or "" if there is none. */
static void name_there(pid_t pid, int there, char ret_name[64])
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, there);
	n = readlink(path, ret_name, 63);
	ret_name[n > 0 ? n : 0] = '\0';
}

/* If memory is out for a moment, it must not keep what was for us.  Of a try that
 * failed it may not be known whether the call was made; then the number may be of
 * something else already. */
static int close_there(pid_t pid, int there, struct xm_error *e)
{
	char was[64], is[64];
	const struct timespec nap = { .tv_nsec = 10000000 };
	const uint64_t args[6] = { (uint64_t)there };
	struct xm_error why = { 0 };
	unsigned int tries;
	int64_t result;
	int r = -EAGAIN;

	name_there(pid, there, was);
	for (tries = 0; r && r != -ESRCH && tries < 5; tries++) {
		if (tries) {
			(void)nanosleep(&nap, NULL);
			name_there(pid, there, is);
			if (strcmp(is, was))
				return 0;
		}
		why = (struct xm_error){ 0 };
		r = tracee_syscall(pid, pid, SYS_close, args, &result, &why);
	}
	return r ? xm_fail(e, r, why.reason, "%s", why.msg) : 0;
}

static int take(const struct take *t, int *ret_fd, struct xm_error *e)
{
	int fd fd_cleanup = -1;
	int64_t result = 0;
	int r, err;

	r = tracee_syscall(t->pid, t->pid, t->nr, t->args, &result, e);
	if (r)
		return r;
	if (result < 0)
		return xm_fail(e, (int)result, XM_REASON_PERMISSION,
			       "process %d: system call %ld in it: %s",
			       (int)t->pid, t->nr, strerror((int)-result));
	fd = (int)syscall(SYS_pidfd_getfd, t->pidfd, (int)result, 0);
	err = fd < 0 ? -errno : 0;
	r = close_there(t->pid, (int)result, e);
	if (r)
		return r;
	if (err)
		return xm_fail(e, err, XM_REASON_PERMISSION,
			       "process %d: taking a descriptor from it: %s",
			       (int)t->pid, strerror(-err));
	*ret_fd = fd_steal(&fd);
	return 0;
}

/* All but @a and @b. */
static void keep_only(int a, int b)
{
	unsigned int low = (unsigned int)(a < b ? a : b);
	unsigned int high = (unsigned int)(a < b ? b : a);

	if (low)
		(void)close_range(0, low - 1, 0);
	if (high - low > 1)
		(void)close_range(low + 1, high - 1, 0);
	(void)close_range(high + 1, ~0u, 0);
}

static _Noreturn void taker_main(const struct take *t, int to)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct taken taken = { 0 };
	int fd = -1;
	size_t i;

	for (i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
	(void)setsid(); /* it cannot fail in a child */
	(void)prctl(PR_SET_NAME, "xdpmig-taker");
	keep_only(to, t->pidfd);
	taken.r = take(t, &fd, &taken.e);
	(void)fd_pass_send(to, &taken, sizeof(taken), &fd, !taken.r);
	_exit(0);
}

/* -- ours ----------------------------------------------------------------------------- */

static int hear(const struct take *t, int from, struct xm_error *e)
{
	struct taken taken;
	unsigned int n;
	ssize_t got;
	int fd;

	do
		got = fd_pass_recv(from, &taken, sizeof(taken), 0, &fd, 1, &n);
	while (got == -EINTR);
	if (got != sizeof(taken))
		return xm_fail(e, -ECHILD, XM_REASON_INTERNAL,
			       "process %d: who was to take a descriptor from "
			       "it was killed, or could not hand it over; look "
			       "whether it keeps one (/proc/%d/fd)",
			       (int)t->pid, (int)t->pid);
	if (taken.r)
		return xm_fail(e, taken.r, taken.e.reason, "%s", taken.e.msg);
	if (!n) /* it came, and there was no number for it */
		return xm_fail(e, -EMFILE, XM_REASON_PERMISSION,
			       "process %d: taking a descriptor from it: %s",
			       (int)t->pid, strerror(EMFILE));
	return fd;
}

int tracee_take_fd(pid_t pid, int pidfd, long nr, const uint64_t args[6],
		   struct xm_error *e)
{
	const struct take t = { pid, pidfd, nr, args };
	pid_t taker;
	int pair[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return xm_fail(e, -errno, XM_REASON_INTERNAL,
			       "process %d: taking a descriptor from it: %s",
			       (int)pid, strerror(errno));
	taker = fork();
	if (!taker)
		taker_main(&t, pair[1]);
	r = taker < 0 ? -errno : 0;
	(void)fd_close(pair[1]);
	if (r)
		r = xm_fail(e, r, XM_REASON_MEMORY,
			    "no process to take a descriptor from process %d: "
			    "%s",
			    (int)pid, strerror(-r));
	else
		r = hear(&t, pair[0], e);
	(void)fd_close(pair[0]);
	while (taker > 0 && waitpid(taker, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}
