/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu.h - what an unmodified QEMU says of its guest (theory in qemu.c)
 *
 * Everything is found by QMP and /proc: the process, its RAM blocks, their
 * files and host addresses, the virtual CPUs' threads, and what stands in the
 * way of a migration.
 */
#ifndef XM_GUEST_QEMU_H
#define XM_GUEST_QEMU_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest.h"
#include "qmp.h"
#include "ram.h"

struct qemu_block {
	char name[XM_BLOCK_NAME]; /* the memory backend's id */
	uint64_t len;
	uint64_t hva;      /* where QEMU's process has it */
	uint64_t file_off; /* of byte 0 in its file */
	size_t page_size;  /* of the backing file system */
	int fd;            /* the file, read-write; ours */
	char path[256];    /* for messages: mem-path, or "memfd of ID" */
};

struct qemu {
	struct qmp *qmp;
	pid_t pid;
	int pidfd;
	struct guest_identity id;
	struct qemu_block block[XM_BLOCK_MAX]; /* by name, ascending */
	unsigned int n_blocks;
	pid_t *vcpu; /* threads of the virtual CPUs, each once */
	unsigned int n_vcpus;
	bool has_direct_io; /* a disk whose reads the kernel writes straight
			     * into guest memory (cache.direct=on, or a file
			     * system not known to cache), behind the back of
			     * the dirty log: harvests must drain it */
	json_t *seen;       /* QOM paths of the devices looked at, as keys */
};

/* Connect to the monitor at @socket and describe the guest.  @is_target: a QEMU
 * that waits with -incoming defer.  Refused, with @e naming the object and what
 * to do: RAM that is not shared, not a file, or no backend at all; a vhost-user
 * or VFIO device, whose writes no log shows; a process that cannot be found or
 * may not be traced; at a target a guest that is not waiting.  0 or -errno; @q
 * is zero again after a failure. */
int qemu_open(struct qemu *q, const char *socket, bool is_target,
	      struct xm_error *e);

/* Close everything; the guest is left as it is.  A zeroed @q is fine. */
void qemu_close(struct qemu *q);

/* Add its blocks to @ram, in their order, as a source (read-only) or a target
 * (written, with dirtied bitmaps): guest_ram_open_fd().  0, or -errno with @e
 * and maybe some of them added. */
int qemu_map_ram(const struct qemu *q, struct guest_ram *ram, bool is_target,
		 struct xm_error *e);

/* Does its guest still have the RAM of qemu_open()?  0, or -errno with @e:
 * -EBUSY: a DIMM was plugged or unplugged meanwhile. */
int qemu_check_ram(const struct qemu *q, struct xm_error *e);

/* Does it wait for a guest still?  0 or -EBUSY with @e: it has one, or waits for
 * another's. */
int qemu_check_target(struct qemu *q, struct xm_error *e);

/* Lock its RAM until qemu_close(), and longer where a child has the same open
 * files.  0; -EBUSY, without @e: another xdpmig has it; other -errno with @e. */
int qemu_lock(const struct qemu *q, struct xm_error *e);

/* Is it a target for @want: same UUID, machine type, RAM blocks, page sizes?  Then
 * 0, and its blocks have the order of @want's.  Else -EINVAL with @e
 * (XM_REASON_REFUSED, names what differs). */
int qemu_match(struct qemu *q, const struct guest_identity *want,
	       struct xm_error *e);

/* Look at its devices and disks again, as qemu_open() did: some may have been
 * plugged.  0, perhaps with has_direct_io, which is not taken back; or -errno
 * with @e. */
int qemu_check_devices(struct qemu *q, struct xm_error *e);

/* The device at QOM path @path is gone.  Was it looked at before? */
bool qemu_forget_device(struct qemu *q, const char *path);

/* "running", "paused", "inmigrate", ...: query-status, fresh. */
int qemu_run_state(struct qemu *q, char *ret_state, size_t len,
		   struct xm_error *e);

/* Does it run as another user than we?  Then nothing but capabilities opens what
 * is its. */
bool qemu_is_others(const struct qemu *q);

#endif
