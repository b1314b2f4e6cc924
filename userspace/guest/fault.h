/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fault.h - memory that turns out not to be there
 *
 * A file system of shared memory can be full, and a file can be cut short by
 * somebody else: then the first touch of a page raises SIGBUS in the middle of
 * a copy.  That must end the migration, not the program.
 */
#ifndef XM_GUEST_FAULT_H
#define XM_GUEST_FAULT_H

#include "ram.h"

/* From now on a SIGBUS in @ram's mappings is noted, and a private page of zeros
 * put in the place, so that the thread can go on to somewhere it is told to
 * stop.  One guest_ram at a time.  0 or -errno with @e. */
int guest_fault_catch(const struct guest_ram *ram, struct xm_error *e);

/* The same of [addr, addr + len), where channel @channel (below XM_CHAN_MAX) has
 * guest memory mapped besides; NULL and 0: no longer.  From any thread. */
void guest_fault_watch(unsigned int channel, const void *addr, size_t len);

/* Has there been one?  Then what was placed or read is worth nothing: -ENOSPC
 * with @e naming the file. */
int guest_fault_check(const struct guest_ram *ram, struct xm_error *e);

#endif
