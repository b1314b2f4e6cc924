/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ram.h - guest RAM as files of shared memory
 *
 * A struct guest_ram starts zeroed.  It owns its mappings and descriptors and
 * lends both (map.block[].hva, block[].fd) until guest_ram_close().
 */
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
	bool created;      /* by guest_ram_create(): guest_ram_discard()
			    * removes it again */
	bool lent;         /* by guest_ram_open_fd(): path is a label */
	size_t page_size;  /* of the file system: 4096, or a hugepage */
	char path[256];
};

struct guest_ram {
	struct xm_map map; /* hva and, at a receiver, dirtied are ours */
	struct guest_block block[XM_BLOCK_MAX];
};

/* Source: open @path, map it shared and read-only, and add it to the map as
 * @name.  A regular disk file is taken with can_pin false.  0, or -errno with
 * @e and @ram unchanged: absent, not a file, empty, not a multiple of a page,
 * no right to write (pinning needs it; a disk file may be read-only), sealed
 * against writing, name taken.
 *
 * Reading a hole through hva would allocate it: touch only what
 * guest_ram_extents() reports. */
int guest_ram_open(struct guest_ram *ram, const char *path, const char *name,
		   struct xm_error *e);

/* Destination: could guest_ram_create() take @path, as far as can be told
 * before the guest's size is known: a file of shared memory that may be written
 * and is not sealed, or room for one in a folder?  Changes nothing.  0 or -errno
 * with @e. */
int guest_ram_check_path(const char *path, struct xm_error *e);

/* Destination: create @path with @len bytes, all of them a hole, or check that
 * it has them; refuse anything but shared memory.  The dirtied bitmap starts
 * with what is populated.  Nothing is touched; hugepages are reserved, so that
 * too few of them are an error here and not a SIGBUS later.  0, or -errno with
 * @e, @ram unchanged and nothing left behind. */
int guest_ram_create(struct guest_ram *ram, const char *path, const char *name,
		     uint64_t len, struct xm_error *e);

/* Memory that a process has open, as a running QEMU. */
struct guest_lent {
	const char *name;  /* of the block */
	const char *label; /* for messages */
	int fd;            /* read-write; stays the caller's */
	uint64_t file_off; /* of the block's byte 0 */
	uint64_t len;
	bool for_writing; /* destination: as guest_ram_create(), else as
			   * guest_ram_open() */
};

/* Either side: map part of a file that is open already.  The descriptor is
 * opened anew, so that the lock (another xdpmig may not use the same file) goes
 * with @ram.  Only shared memory.  0, or -errno with @e and @ram unchanged. */
int guest_ram_open_fd(struct guest_ram *ram, const struct guest_lent *lent,
		      struct xm_error *e);

/* Destination: is what was written still the file that the path names?  0, or
 * -ENOENT with @e: it was removed or replaced, and the guest would be lost with
 * our descriptor.  What was lent has an owner and is not looked for. */
int guest_ram_check(const struct guest_ram *ram, struct xm_error *e);

/* Unmap and close everything; @ram is zero again.  Files stay. */
void guest_ram_close(struct guest_ram *ram);

/* The migration failed: remove the files that guest_ram_create() made; @ram
 * stays as it is. */
void guest_ram_unlink(const struct guest_ram *ram);

/* The same, and close.  A file that was there before stays, with what was
 * written. */
void guest_ram_discard(struct guest_ram *ram);

/* Populated ranges of a block, page-aligned, in ascending order and never
 * empty or adjacent; what is not reported reads as zeros.  @cb returns 0 to go
 * on, or fills @e where that is negative.  Returns 0, what @cb returned, or
 * -errno with @e. */
int guest_ram_extents(const struct guest_ram *ram, unsigned int block,
		      int (*cb)(void *arg, uint64_t offset, uint64_t len),
		      void *arg, struct xm_error *e);

/* The same as bits: set those of the block's pages that are populated, leave the
 * others alone. */
int guest_ram_mark(const struct guest_ram *ram, unsigned int block,
		   uint64_t *bits, struct xm_error *e);

#endif
