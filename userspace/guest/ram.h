/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ram.h - guest RAM as files of shared memory */
#ifndef XM_GUEST_RAM_H
#define XM_GUEST_RAM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/map.h"
#include "util/error.h"

struct guest_block {
	int fd;
	uint64_t file_off; /* of the block's byte 0 */
	bool can_pin;      /* shmem or hugetlbfs: may be part of a UMEM */
	size_t page_size;  /* of the file system: 4096, or a hugepage */
	char path[256];
};

struct guest_ram {
	struct xm_map map; /* hva and, at a receiver, dirtied are ours */
	struct guest_block block[XM_BLOCK_MAX];
};

/* Source: open @path, map it shared and add it to the map as @name.  A regular
 * disk file is taken with can_pin false.  0 or -errno with @e: absent, empty,
 * not a multiple of a page, no right to write (pinning needs it). */
int guest_ram_open(struct guest_ram *ram, const char *path, const char *name,
		   struct xm_error *e);

/* Destination: create @path with @len bytes, or check that it has them; refuse
 * anything but shared memory.  The dirtied bitmap starts with what is
 * populated.  Nothing is touched. */
int guest_ram_create(struct guest_ram *ram, const char *path, const char *name,
		     uint64_t len, struct xm_error *e);

void guest_ram_close(struct guest_ram *ram);

/* Populated ranges of a block (SEEK_DATA / SEEK_HOLE), page-aligned, in
 * ascending order; @len 0 in the range given to @cb never happens.  @cb
 * returns 0 to go on.  Returns 0, what @cb returned, or -errno. */
int guest_ram_extents(const struct guest_ram *ram, unsigned int block,
		      int (*cb)(void *arg, uint64_t offset, uint64_t len),
		      void *arg, struct xm_error *e);

#endif
