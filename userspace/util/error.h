/* SPDX-License-Identifier: GPL-2.0-or-later */
/* error.h - how functions fail, everywhere in userspace/
 *
 *   0     done
 *   < 0   -errno: this program cannot go on here; pass it up unchanged
 *   > 0   XM_<MODULE>_E_*: an outcome the prototype documents; the caller
 *         handles it and never returns it as its own
 *
 * The human story travels in one struct xm_error, filled once, where the
 * failure happened, by a driver.  Callers pass the pointer on; only cli/
 * prints.  A text names the object (device, queue, file, address) and what
 * to do next.
 */
#ifndef XM_UTIL_ERROR_H
#define XM_UTIL_ERROR_H

#include "xdpmig/reason.h"

struct xm_error {
	int err;               /* negative errno, as returned */
	enum xm_reason reason; /* stable; decides the exit status */
	char msg[320];
};

/* Fill @e (may be NULL; the first failure wins, a later one does not
 * overwrite it) and return @err, which must be negative. */
int xm_fail(struct xm_error *e, int err, enum xm_reason reason, const char *fmt,
	    ...) __attribute__((format(printf, 4, 5)));

#endif
