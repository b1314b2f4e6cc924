/* SPDX-License-Identifier: GPL-2.0-or-later */
/* extents.h - which parts of a file of memory are populated */
#ifndef XM_GUEST_EXTENTS_H
#define XM_GUEST_EXTENTS_H

#include <stddef.h>
#include <stdint.h>

typedef int guest_extent_fn(void *arg, uint64_t offset, uint64_t len);

/* Report the populated ranges of @fd below @len, ascending, aligned to 4 KiB,
 * never empty or adjacent.  @hugepage: the hugepage's size on hugetlbfs, else
 * 0.  Returns 0, the first non-zero value of @cb, or -errno. */
int guest_extents_walk(int fd, uint64_t len, size_t hugepage,
		       guest_extent_fn *cb, void *arg);

#endif
