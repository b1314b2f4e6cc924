/* SPDX-License-Identifier: GPL-2.0-or-later */
/* claim.h - a device's queues are one migration's at a time (theory in claim.c)
 */
#ifndef XM_CLI_CLAIM_H
#define XM_CLI_CLAIM_H

#include "util/error.h"
#include "xdpmig/limits.h"

/* Starts zeroed. */
struct claim {
	int fd[XM_CHAN_MAX];
	unsigned int n;
};

/* Take @n queues of @dev, from @first on, or none.  0, or with @e: -EBUSY:
 * another migration has one of them; other -errno.  Nothing waits. */
int claim_queues(struct claim *c, const char *dev, unsigned int first,
		 unsigned int n, struct xm_error *e);

/* Give them back.  A zeroed @c is fine. */
void claim_drop(struct claim *c);

#endif
