/* SPDX-License-Identifier: GPL-2.0-or-later */
/* desc.h - one frame's TX descriptors, checked as the kernel will check them
 *
 * Pure: no system call.  Theory in desc.c.
 */
#ifndef XM_XSK_DESC_H
#define XM_XSK_DESC_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "compat.h"
#include "xdpmig/limits.h"

#define XSK_CHUNK_LEN 4096 /* bytes; the kernel takes no larger chunk */

/* Bytes of a received frame in one chunk: XDP's headroom of 256 is taken off,
 * and in zero-copy mode with several pieces skb_shared_info too (320, and
 * what is left is rounded down to 128). */
#define XSK_PIECE_LEN       3840
#define XSK_PIECE_LEN_ZC_SG 3456

/* Chunks of a UMEM: one more and bind() fails, with a kernel warning. */
#define XSK_CHUNKS_MAX 16777215u

struct xsk_desc_list {
	struct xdp_desc *ring;
	uint32_t at,
		mask;     /* the frame's first entry; entries of the ring - 1 */
	unsigned int max; /* descriptors of a frame, at most XM_FRAME_DESCS */
	unsigned int n;
	uint64_t umem_len; /* bytes */
};

/* Begin a frame at entry @at of @ring, where there is room for @max. */
static inline void xsk_desc_init(struct xsk_desc_list *l, struct xdp_desc *ring,
				 uint32_t at, uint32_t mask, uint64_t umem_len,
				 unsigned int max)
{
	*l = (struct xsk_desc_list){ ring, at, mask, max, 0, umem_len };
}

/* Its @i-th descriptor. */
static inline struct xdp_desc *xsk_desc_at(const struct xsk_desc_list *l,
					   unsigned int i)
{
	return &l->ring[(l->at + i) & l->mask];
}

/* May [addr, addr + len) be a descriptor in a UMEM of @umem_len bytes? */
static inline bool xsk_desc_is_legal(uint64_t addr, uint32_t len,
				     uint64_t umem_len)
{
	return len && len <= XSK_CHUNK_LEN - (addr & (XSK_CHUNK_LEN - 1)) &&
	       addr < umem_len;
}

/* Append [addr, addr + len) of the UMEM, which must be inside one chunk.
 * 0; -EINVAL: empty, crosses a chunk or outside the UMEM; -E2BIG: one
 * descriptor too many.  After a failure the list is as before. */
static inline int xsk_desc_add(struct xsk_desc_list *l, uint64_t addr,
			       uint32_t len)
{
	if (!xsk_desc_is_legal(addr, len, l->umem_len) || (!l->n && addr & 1))
		return -EINVAL;
	if (l->n == l->max)
		return -E2BIG;
	*xsk_desc_at(l, l->n++) = (struct xdp_desc){ addr, len, XDP_PKT_CONTD };
	return 0;
}

/* Append [addr, addr + len), which may span chunks: cut where they meet. */
int xsk_desc_add_span(struct xsk_desc_list *l, uint64_t addr, uint32_t len);

/* End a frame: XDP_PKT_CONTD is on all but the last.  0, or -EINVAL when there is
 * no descriptor at all. */
static inline int xsk_desc_seal(struct xsk_desc_list *l)
{
	if (!l->n)
		return -EINVAL;
	xsk_desc_at(l, l->n - 1)->options = 0;
	return 0;
}

#endif
