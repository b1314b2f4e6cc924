/* SPDX-License-Identifier: GPL-2.0-or-later */
/* procmaps.h - the mappings of another process, from /proc/PID/maps */
#ifndef XM_GUEST_PROCMAPS_H
#define XM_GUEST_PROCMAPS_H

#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

struct procmap {
	uint64_t start, end; /* addresses there, @end excluded */
	uint64_t file_off;   /* bytes */
	char perms[5];       /* "rwxp" or "rwxs", '-' for each it has not */
	unsigned int major, minor;
	uint64_t inode;   /* 0: no file */
	const char *path; /* "" anonymous, "[vdso]"; lent for the call */
};

/* Call @cb for each mapping of @pid, in ascending order, until it returns
 * something else than 0, which is then returned; it fills @e where that is
 * negative.  0: to the end.  -errno with @e: -ESRCH the process is gone, or has
 * no memory any more; -EPERM. */
int procmaps_each(pid_t pid, int (*cb)(void *arg, const struct procmap *map),
		  void *arg, struct xm_error *e);

#endif
