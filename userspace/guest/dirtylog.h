/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dirtylog.h - which pages did another, unmodified process write?
 *
 * Two ways behind one interface (theory in dirtylog.c):
 *   uffd        a userfaultfd of that process with WP_ASYNC, and PAGEMAP_SCAN,
 *               which reads and clears in one step (Linux 6.7)
 *   soft-dirty  pagemap bit 55 and clear_refs, which does not: the process
 *               must be stopped during a harvest
 */
#ifndef XM_GUEST_DIRTYLOG_H
#define XM_GUEST_DIRTYLOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

struct dirtylog;

struct dirtylog_range {
	uint64_t addr; /* in that process */
	uint64_t len;
	size_t page_size; /* of its mapping: 4096, or a hugepage's */
};

/* Find out how this kernel logs; dirtylog_open() does, if it was not done.  Who
 * will not be dumpable when it comes to that, and is not root, does it before. */
void dirtylog_learn(void);

/* Log process @pid's writes to @ranges from now on (copied; @pidfd is lent until
 * the end of this call).  0, or -errno with @e: -ENOSYS: the kernel has neither
 * way; -EPERM; -EBUSY: somebody else has a userfaultfd on this memory; -ENOTSUP:
 * hugepages by soft-dirty, or tracee_syscall() says so; -EFAULT: nothing is
 * mapped there. */
int dirtylog_open(struct dirtylog **ret_log, pid_t pid, int pidfd,
		  const struct dirtylog_range *ranges, unsigned int n,
		  struct xm_error *e);

/* Stop logging; the process runs at full speed again.  Our death does the
 * same.  NULL is fine; returns NULL. */
struct dirtylog *dirtylog_close(struct dirtylog *log);

/* Must the process be stopped while dirtylog_harvest() runs? */
bool dirtylog_needs_stop(const struct dirtylog *log);
const char *
dirtylog_kind(const struct dirtylog *log); /* "uffd", "soft-dirty" */

/* Set the bit of each 4 KiB page written since open or the last harvest, in
 * dirty[i] of range i, and begin anew.  Of a hugepage all pages count as
 * written.  A hole punched into the memory is no write.  @ret_pages: how many were reported.
 * 0 or -errno with @e (-ESRCH: the process is gone; -EFAULT: a range is no
 * longer mapped as it was). */
int dirtylog_harvest(struct dirtylog *log, uint64_t *const *dirty,
		     uint64_t *ret_pages, struct xm_error *e);

#endif
