/* SPDX-License-Identifier: GPL-2.0-or-later */
/* desc.h - one frame's TX descriptors, checked as the kernel will check them
 *
 * Pure: no ring, no system call.  Theory in desc.c.
 */
#ifndef XM_XSK_DESC_H
#define XM_XSK_DESC_H

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
	uint64_t umem_len; /* bytes */
	unsigned int max;  /* descriptors of a frame, at most XM_FRAME_DESCS */
	unsigned int n;
	struct xdp_desc desc[XM_FRAME_DESCS];
};

/* Begin a frame. */
void xsk_desc_init(struct xsk_desc_list *l, uint64_t umem_len,
		   unsigned int max);

/* Append [addr, addr + len) of the UMEM, which must be inside one chunk.
 * 0; -EINVAL: empty, crosses a chunk or outside the UMEM; -E2BIG: one
 * descriptor too many.  After a failure the list is as before. */
int xsk_desc_add(struct xsk_desc_list *l, uint64_t addr, uint32_t len);

/* Append [addr, addr + len), which may span chunks: cut where they meet. */
int xsk_desc_add_span(struct xsk_desc_list *l, uint64_t addr, uint32_t len);

/* End a frame: set XDP_PKT_CONTD on all but the last.  0, or -EINVAL when
 * there is no descriptor at all. */
int xsk_desc_seal(struct xsk_desc_list *l);

#endif
