/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tracefile.h - --trace: the protocol's events, one a line
 *
 *   MICROSECONDS CHANNEL KIND A B       what A and B are: core/trace.h
 *
 * Any thread may report; a line is written whole.
 */
#ifndef XM_CLI_TRACEFILE_H
#define XM_CLI_TRACEFILE_H

#include <stdbool.h>
#include <stdio.h>

#include "core/trace.h"
#include "util/error.h"

struct tracefile {
	struct xm_trace trace; /* to be handed to the core */
	FILE *file;
	struct xm_time begun;
};

/* Make or overwrite @path.  0 or -errno with @e. */
int tracefile_open(struct tracefile *t, const char *path, struct xm_error *e);

/* A zeroed one is fine.  False when not everything was written. */
bool tracefile_close(struct tracefile *t);

#endif
