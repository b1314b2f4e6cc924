/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ram_file.h - inside of guest RAM: what a file must be */
#ifndef XM_GUEST_RAM_FILE_H
#define XM_GUEST_RAM_FILE_H

#include <sys/stat.h>

#include "ram.h"

/* @what failed with errno for the file @path.  Returns -errno. */
int ram_file_errno(struct xm_error *e, const char *path, const char *what);

/* Is @st, of @path, a file?  Asked before it is opened: opening a FIFO waits,
 * and opening a device may do anything. */
int ram_file_check_type(const char *path, const struct stat *st,
			struct xm_error *e);

/* Fill in what the file system says about @b->fd. */
int ram_file_learn(struct guest_block *b, struct xm_error *e);

/* The same, and it must be shared memory. */
int ram_file_check_shared(struct guest_block *b, struct xm_error *e);

/* May @b->fd be pinned, as far as its seals say? */
int ram_file_check_seals(const struct guest_block *b, struct xm_error *e);

#endif
