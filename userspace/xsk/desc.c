// SPDX-License-Identifier: GPL-2.0-or-later
/* desc.c - building the TX descriptors of one frame
 *
 * A frame is a header buffer and up to 17 pieces of guest memory, or one
 * staging frame cut into chunks.  The kernel checks descriptors when it
 * consumes them, long after the program moved on: what it rejects is counted
 * in tx_invalid_descs and, before 6.18, silently lost together with its
 * completion.  So every descriptor is checked here first, by the kernel's own
 * rules, and a rejected one is a bug of ours.
 *
 * The rules (aligned mode, no TX metadata), all of them:
 *
 *   length   not 0
 *   address  below the UMEM's length
 *   chunk    may start anywhere in its 4096-byte chunk, must end in it; a whole
 *            page from its first byte is legal, there is no headroom to TX
 *   options  XDP_PKT_CONTD on all but the last of a frame, no other bit
 *   count    18 in copy mode (17 page fragments behind a linear part), what
 *            the device reports in zero-copy mode, 1 without XDP_USE_SG
 *   bit 0    of a single descriptor's address does not survive to its
 *            completion: the first address of a frame has to be even
 *
 * Frames are built in the ring, behind what the producer says: the kernel must
 * never see a part of a frame at the ring's end.
 */
#include "desc.h"

int xsk_desc_add_span(struct xsk_desc_list *l, uint64_t addr, uint32_t len)
{
	unsigned int n = l->n;
	uint32_t part;
	int r;

	if (!len)
		return -EINVAL;
	for (; len; addr += part, len -= part) {
		part = XSK_CHUNK_LEN - (uint32_t)(addr & (XSK_CHUNK_LEN - 1));
		if (part > len)
			part = len;
		r = xsk_desc_add(l, addr, part);
		if (r) {
			l->n = n;
			return r;
		}
	}
	return 0;
}
