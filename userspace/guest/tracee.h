/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tracee.h - a system call in another process, and threads held for a moment
 *
 * The other process may be a guest's: it must survive us.  If this process is
 * killed at any instruction in here, the thread it had stopped goes on as if
 * nothing had been (theory in tracee.c).
 *
 * A wait of another thread of ours for "any child" would take stops away from
 * these functions: wait for the child that is meant.
 */
#ifndef XM_GUEST_TRACEE_H
#define XM_GUEST_TRACEE_H

#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

/* Run system call @nr with @args in thread @tid of process @pid (usually the
 * main thread), and give its result in @ret_result (-errno as the kernel's).  A
 * system call the thread was in is restarted, with its time out as it was.  0,
 * or -errno with @e: -EPERM (not allowed to trace, or traced by somebody
 * else), -ESRCH, -ENOTSUP (a machine or a program this cannot be done in). */
int tracee_syscall(pid_t pid, pid_t tid, long nr, const uint64_t args[6],
		   int64_t *ret_result, struct xm_error *e);

/* Make a descriptor in process @pid by system call @nr, bring a copy of it
 * here (pidfd_getfd) and close it there again.  The new descriptor, or -errno
 * with @e. */
int tracee_take_fd(pid_t pid, int pidfd, long nr, const uint64_t args[6],
		   struct xm_error *e);

/* Hold threads: they execute nothing until tracee_release() with the same
 * @tids, but for a second at most, and not when we die.  Signals wait.  Threads
 * that ended meanwhile are skipped.  0 or -errno with @e, then none is held:
 * -EBUSY: some are already. */
int tracee_hold(const pid_t *tids, unsigned int n, struct xm_error *e);
void tracee_release(const pid_t *tids, unsigned int n);

#endif
