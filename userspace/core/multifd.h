/* SPDX-License-Identifier: GPL-2.0-or-later */
/* multifd.h - codec of QEMU's multifd INIT and RAM packets, exact to the byte
 *
 * Facts: QEMU migration/multifd.h.  Two forms are on the wire in the world:
 * 7.2's, where the field now called zero_pages is the upper half of an unused
 * 64-bit field, which that version leaves 0; and 9.0's, where it counts
 * page offsets that follow the normal ones.  So one codec serves both.
 *
 * QEMU up to 8.1 leaves next_packet_size, ramblock and the tail of offset[]
 * stale in packets without pages, may put SYNC on a packet with data, and
 * makes packets with neither pages nor SYNC: taken.  What could hurt us is
 * refused: see xm_multifd_get().
 */
#ifndef XM_CORE_MULTIFD_H
#define XM_CORE_MULTIFD_H

#include <stddef.h>
#include <stdint.h>

#include "xdpmig/limits.h"

#include "be.h"

#define XM_MULTIFD_MAGIC     0x11223344u
#define XM_MULTIFD_VERSION   1u
#define XM_MULTIFD_AT_OFFSET 320 /* of offset[] */
#define XM_MULTIFD_INIT_LEN  64
#define XM_MULTIFD_LEN       (320 + 8 * XM_PACKET_PAGES) /* 1344, always whole */

#define XM_MULTIFD_F_SYNC         0x01u
#define XM_MULTIFD_F_COMP         0x3eu /* compression; 0 is none */
#define XM_MULTIFD_F_DEVICE_STATE 0x40u /* a 276-byte header instead (10.0) */

struct xm_multifd_init {
	uint8_t uuid[16];
	uint8_t id; /* channel */
};

struct xm_multifd {
	uint32_t flags;
	uint32_t pages_alloc;      /* capacity the sender had, <= 128 */
	uint32_t normal_pages;     /* pages with payload */
	uint32_t zero_pages;       /* pages known zero (9.0+) */
	uint32_t next_packet_size; /* bytes of payload; as found, see above */
	uint64_t packet_num;
	char ramblock[XM_BLOCK_NAME];     /* NUL terminated */
	uint64_t offset[XM_PACKET_PAGES]; /* normal ones first, then zero ones */
};

/* Outcomes of the two _get functions. */
enum {
	XM_MULTIFD_E_MAGIC = 1,   /* not multifd */
	XM_MULTIFD_E_VERSION,     /* a version we do not know */
	XM_MULTIFD_E_CHANNEL,     /* INIT: id at or above n_channels */
	XM_MULTIFD_E_COUNTS,      /* more pages than the packet has room for */
	XM_MULTIFD_E_BLOCK,       /* pages of a block without a name */
	XM_MULTIFD_E_OFFSET,      /* an offset no page starts at */
	XM_MULTIFD_E_COMPRESSION, /* or device state, or an unknown flag */
};

/* Encode; @dst has XM_MULTIFD_INIT_LEN / XM_MULTIFD_LEN bytes, all written. */
void xm_multifd_init_put(void *dst, const struct xm_multifd_init *init);
void xm_multifd_put(void *dst, const struct xm_multifd *pkt);

/* Decode @src of the same lengths.  Return 0 or an outcome above.
 * xm_multifd_get() forces ramblock's last byte to NUL, sizes the payload from
 * normal_pages alone, and looks at ramblock and offset[] only as far as the
 * counts reach; the rest of @ret_pkt is zero.  Offsets are multiples of the
 * page size; whether the guest has such a block and such pages is for the
 * caller to ask xm_map_find() and xm_map_has(). */
int xm_multifd_init_get(struct xm_multifd_init *ret_init, const void *src,
			unsigned int n_channels);
int xm_multifd_get(struct xm_multifd *ret_pkt, const void *src);

/* Offset @i of an encoded packet: what a frame's segment table is made from. */
static inline uint64_t xm_multifd_offset(const void *pkt, unsigned int i)
{
	return xm_be64_get((const uint8_t *)pkt + XM_MULTIFD_AT_OFFSET +
			   8 * (size_t)i);
}

#endif
