/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tracee_stop.h - stop a thread of another process, and let it go
 *
 * All of it from one thread of ours, the tracer: that is whom the kernel ties
 * the other thread to, and when it ends, all that it had stopped goes on, also
 * what could not be let go in an orderly manner.  Theory in tracee.c.
 */
#ifndef XM_GUEST_TRACEE_STOP_H
#define XM_GUEST_TRACEE_STOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

/* A test dies here. */
#ifndef TRACEE_STEP
#define TRACEE_STEP() ((void)0)
#endif

#define TRACEE_DEADLINE_NS 2000000000LL

/* CLOCK_MONOTONIC. */
int64_t tracee_now_ns(void);

/* Run @fn with @arg in a thread that gets no signals.  0 with @ret_thread, to
 * be joined, or -errno with @e. */
int tracee_thread_start(pthread_t *ret_thread, void *(*fn)(void *), void *arg,
			struct xm_error *e);

/* The value of @key ("Seccomp:") in @tid's status file; -ESRCH: no thread;
 * -ENOENT: no such line. */
int tracee_status(pid_t tid, const char *key, char *ret_value, size_t size);

/* Why process @pid says nothing: that somebody stopped it, or @or_else. */
const char *tracee_why_silent(pid_t pid, const char *or_else);

/* Make the calling thread the tracer of @tid and ask it to stop.  0, -ESRCH
 * (no such thread, or only its remains; no @e), or another -errno with @e. */
int tracee_seize(pid_t tid, struct xm_error *e);

/* What a stopped thread is resumed with until it stops where we want it. */
enum tracee_until {
	TRACEE_STOPPED, /* asked to stop, in the signal path */
	TRACEE_CALL     /* at the entry or the exit of a system call */
};

/* Wait for it to be there, passing on signals that come before.  0; -ESRCH: it
 * ended; -ETIMEDOUT: not there @deadline_ns; no @e. */
int tracee_wait(pid_t tid, enum tracee_until until, int64_t deadline_ns);

/* Stopped, for whatever reason: nothing of it runs.  As above. */
int tracee_wait_any(pid_t tid, int *ret_status, int64_t deadline_ns);

/* The signal that a thread stopped with @status is about to get; 0: none. */
int tracee_signal(int status);

/* Let a stopped thread go on until it is there. */
int tracee_resume(pid_t tid, enum tracee_until until, int64_t deadline_ns);

/* Let it go for good, with the signal it was stopped at (0: none). */
void tracee_detach(pid_t tid, int sig);

#endif
