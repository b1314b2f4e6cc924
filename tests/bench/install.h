/* SPDX-License-Identifier: GPL-2.0-or-later */
/* install.h - the work that no migration of memory can leave out, for blast
 *
 * With --install blast does this to every frame, with the core's own functions,
 * and still nothing of the protocol.
 */
#ifndef XM_BENCH_INSTALL_H
#define XM_BENCH_INSTALL_H

#include "core/drop.h"
#include "core/encap.h"
#include "core/frame.h"
#include "guest/ram.h"
#include "xsk/chan.h"

/* Source: fault all of @ram in, for reading.  0 or -errno. */
int install_warm(const struct guest_ram *ram);

/* Destination: open the file @path, which must exist, and fault it in for
 * writing, holes too.  0, or -errno with @e. */
int install_open(struct guest_ram *ram, const char *path, struct xm_error *e);

/* Source: everything in front of the payload of DATA frame @f, whose pages are
 * looked at for zeros and summed.  Returns bytes written to @dst, or 0 with @e
 * when a page is zero: a migration would not send it. */
size_t install_put(void *dst, const struct xm_path *path,
		   const struct xm_frame *f, const struct xm_map *map,
		   struct xm_error *e);

/* Destination: check frame @x of lane @channel and place its pages.
 * XM_DROP_NONE with its payload's bytes in @ret_len, or what is wrong. */
enum xm_drop install_take(const struct xsk_frame *x, const struct xm_map *map,
			  uint64_t cookie, unsigned int channel,
			  uint32_t *ret_len);

#endif
