/* SPDX-License-Identifier: GPL-2.0-or-later */
/* record.h - a file that says where a guest runs */
#ifndef XM_UTIL_RECORD_H
#define XM_UTIL_RECORD_H

#include <jansson.h>

#include "error.h"

/* Write @o, and "time" (now, in UTC), to @path: whoever reads it finds a whole
 * record, the last or this.  Nobody else may write it meanwhile.  @o stays the
 * caller's.  0 or -errno with @e. */
int record_write(const char *path, json_t *o, struct xm_error *e);

#endif
