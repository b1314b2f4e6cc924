/* SPDX-License-Identifier: GPL-2.0-or-later */
/* secret.h - memory for keys, and the files they come from */
#ifndef XM_CTL_SECRET_H
#define XM_CTL_SECRET_H

#include <stddef.h>
#include <sys/types.h>

#include "util/error.h"

/* @len zeroed bytes in pages of their own: not in core dumps, and zeros in a
 * process that is forked later.  NULL: no memory. */
void *secret_new(size_t len);
/* Wipe and unmap what secret_new() gave for @len.  NULL is fine.  Returns
 * NULL. */
void *secret_free(void *p, size_t len);

/* This process leaves no core dump from now on, and no process of the same user
 * may look into it: a TLS library keeps session keys where it likes. */
void secret_keep_process(void);

/* Read the file @path, at most @max bytes, into @buf (not terminated).  It must
 * be a regular file of ours or of root, with none of the permissions @forbidden
 * (bits of a mode).  The length, or -errno with @e. */
ssize_t secret_read(const char *path, void *buf, size_t max, mode_t forbidden,
		    struct xm_error *e);

#endif
