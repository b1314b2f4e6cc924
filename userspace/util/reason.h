/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reason.h - names of enum xm_reason */
#ifndef XM_UTIL_REASON_H
#define XM_UTIL_REASON_H

#include "xdpmig/reason.h"

/* "zero_copy" and so on, as in --json; "unlisted" for a number that a newer
 * peer may send. */
const char *xm_reason_name(enum xm_reason reason);

#endif
