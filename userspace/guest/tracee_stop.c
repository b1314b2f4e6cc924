// SPDX-License-Identifier: GPL-2.0-or-later
/* tracee_stop.c - seize, wait, resume, detach (theory in tracee.c) */
#include "tracee_stop.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#define CALL_STOP (SIGTRAP | 0x80) /* with PTRACE_O_TRACESYSGOOD */

int64_t tracee_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

int tracee_thread_start(pthread_t *ret_thread, void *(*fn)(void *), void *arg,
			struct xm_error *e)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	sigdelset(&all, SIGSYS); /* of a call that the sandbox refuses */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(ret_thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return xm_fail(e, r, XM_REASON_MEMORY,
			       "thread to trace from: %s", strerror(-r));
	return 0;
}

int tracee_status(pid_t tid, const char *key, char *ret_value, size_t size)
{
	char path[64], *line = NULL;
	size_t room = 0, len = strlen(key);
	int r = -ENOENT;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (r && getline(&line, &room, f) >= 0)
		if (!strncmp(line, key, len)) {
			line[strcspn(line, "\n")] = '\0';
			snprintf(ret_value, size, "%s",
				 line + len + strspn(line + len, " \t"));
			r = 0;
		}
	if (r && ferror(f))
		r = -ESRCH;
	free(line);
	fclose(f);
	return r;
}

const char *tracee_why_silent(pid_t pid, const char *or_else)
{
	char state[32] = "";

	(void)tracee_status(pid, "State:", state, sizeof(state));
	return *state == 'T' || *state == 't' ?
		       "its process is stopped (SIGSTOP, or a debugger)" :
		       or_else;
}

/* Why a thread may not be traced. */
static int seize_failed(pid_t tid, int err, struct xm_error *e)
{
	char v[64] = "";

	if (err == ESRCH || tracee_status(tid, "State:", v, sizeof(v)) ||
	    v[0] == 'Z' || v[0] == 'X')
		return -ESRCH;
	if (!tracee_status(tid, "TracerPid:", v, sizeof(v)) && strcmp(v, "0"))
		return xm_fail(
			e, -EPERM, XM_REASON_PERMISSION,
			"thread %d is traced by process %s already (a debugger?): "
			"end that first",
			(int)tid, v);
	return xm_fail(
		e, -err, XM_REASON_PERMISSION,
		"thread %d: not allowed to trace it: %s (needs CAP_SYS_PTRACE)",
		(int)tid, strerror(err));
}

int tracee_seize(pid_t tid, struct xm_error *e)
{
	(void)prctl(PR_SET_TIMERSLACK, 1UL); /* only makes waits shorter */
	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)PTRACE_O_TRACESYSGOOD))
		return seize_failed(tid, errno, e);
	TRACEE_STEP();
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL))
		return -ESRCH; /* the only reason */
	TRACEE_STEP();
	return 0;
}

int tracee_wait_any(pid_t tid, int *ret_status, int64_t deadline_ns)
{
	const struct timespec nap = { .tv_nsec = 50000 };
	unsigned int turns;
	siginfo_t si;

	for (turns = 0;; turns++) {
		si.si_pid = 0;
		/* WNOWAIT: see "our death" in tracee.c. */
		if (waitid(P_PID, (id_t)tid, &si,
			   WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL))
			return -ESRCH;
		if (si.si_pid) {
			if (si.si_code != CLD_TRAPPED)
				return -ESRCH;
			*ret_status = si.si_status;
			return 0;
		}
		if (tracee_now_ns() > deadline_ns)
			return -ETIMEDOUT;
		if (turns < 100)
			sched_yield();
		else
			nanosleep(&nap, NULL);
	}
}

int tracee_signal(int status)
{
	/* Event stops are above a byte; SIGSTOP taking effect is one too. */
	return status >> 8 || status == CALL_STOP ? 0 : status;
}

static int resume_with(pid_t tid, enum tracee_until until, long sig)
{
	/* Any stop takes back what was asked for. */
	if (until == TRACEE_STOPPED &&
	    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL))
		return -ESRCH;
	if (ptrace(until == TRACEE_CALL ? PTRACE_SYSCALL : PTRACE_CONT, tid,
		   NULL, (void *)sig))
		return -ESRCH;
	return 0;
}

int tracee_wait(pid_t tid, enum tracee_until until, int64_t deadline_ns)
{
	int status = 0, r;

	for (;;) {
		r = tracee_wait_any(tid, &status, deadline_ns);
		TRACEE_STEP();
		if (r)
			return r;
		if (until == TRACEE_STOPPED ? status >> 8 == PTRACE_EVENT_STOP :
					      status == CALL_STOP)
			return 0;
		r = resume_with(tid, until, tracee_signal(status));
		if (r)
			return r;
	}
}

int tracee_resume(pid_t tid, enum tracee_until until, int64_t deadline_ns)
{
	int r = resume_with(tid, until, 0);

	TRACEE_STEP();
	return r ?: tracee_wait(tid, until, deadline_ns);
}

void tracee_detach(pid_t tid, int sig)
{
	/* Fails when it was killed: then there is nothing to let go. */
	(void)ptrace(PTRACE_DETACH, tid, NULL, (void *)(long)sig);
}
