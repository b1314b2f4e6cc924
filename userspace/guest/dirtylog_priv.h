/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dirtylog_priv.h - what the ways of logging share (dirtylog.c) */
#ifndef XM_GUEST_DIRTYLOG_PRIV_H
#define XM_GUEST_DIRTYLOG_PRIV_H

#include "dirtylog.h"

#define DIRTYLOG_PAGE_BITS 12

struct dirtylog_way {
	const char *kind;
	bool needs_stop;
	/* Does this kernel have it?  Asked in our own process. */
	bool (*is_known)(void);
	int (*begin)(struct dirtylog *log, struct xm_error *e);
	/* Range @i into @dirty; *@pages grows. */
	int (*harvest)(struct dirtylog *log, unsigned int i, uint64_t *dirty,
		       uint64_t *pages, struct xm_error *e);
	/* After all ranges; may be NULL. */
	int (*begin_anew)(struct dirtylog *log, struct xm_error *e);
	void (*end)(struct dirtylog *log);
};

/* A range, and what was mapped there when the log was opened. */
struct dirtylog_area {
	struct dirtylog_range range;
	uint64_t inode, file_off;
	unsigned int major, minor;
	uint64_t seen;    /* checking: mapped up to this address */
	uint64_t *mapped; /* soft-dirty: pages mapped at the last harvest */
};

struct dirtylog {
	const struct dirtylog_way *way;
	pid_t pid;
	int pidfd;      /* lent, for begin() */
	int pagemap_fd; /* /proc/PID/pagemap */
	int uffd;
	unsigned int n_registered; /* areas, the first ones */
	int clear_fd;              /* /proc/PID/clear_refs */
	unsigned int n;
	struct dirtylog_area area[];
};

extern const struct dirtylog_way dirtylog_uffd, dirtylog_soft;

/* Set @n bits of @map from @first on. */
void dirtylog_bits_set(uint64_t *map, uint64_t first, uint64_t n);

#endif
