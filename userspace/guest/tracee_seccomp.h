/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tracee_seccomp.h - would a thread's seccomp filters let a system call pass?
 *
 * A filter may answer with the death of the process, so this is asked before.
 */
#ifndef XM_GUEST_TRACEE_SECCOMP_H
#define XM_GUEST_TRACEE_SECCOMP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What @prog (@len instructions, checked by the kernel before) answers to @d:
 * SECCOMP_RET_*.  One that it could not be run to the end: RET_KILL_PROCESS. */
uint32_t tracee_seccomp_run(const struct sock_filter *prog, unsigned int len,
			    const struct seccomp_data *d);

/* All filters of thread @tid, which is traced by the calling thread and
 * stopped, and has filters.  1: every one allows @d; 0: not; -errno: they
 * cannot be read (-EACCES: needs CAP_SYS_ADMIN; -EIO: not in this kernel). */
int tracee_seccomp_allows(pid_t tid, const struct seccomp_data *d);

#endif
