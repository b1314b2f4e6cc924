// SPDX-License-Identifier: GPL-2.0-or-later
/* multifd.c - QEMU's multifd packets between bytes and structs
 *
 * QEMU sends guest RAM over several connections, each a sequence of packets
 * after one INIT.  A RAM packet is a header that is always whole, 1344 bytes
 * for 4 KiB pages, followed by normal_pages pages of one RAM block.  All
 * integers are big endian:
 *
 *   INIT                             RAM packet
 *    0  magic 0x11223344               0  magic 0x11223344
 *    4  version 1                      4  version 1
 *    8  uuid[16] of the guest          8  flags
 *   24  id, channel number            12  pages_alloc
 *   25  unused[39]                    16  normal_pages
 *                                     20  next_packet_size
 *                                     24  packet_num (64 bits)
 *                                     32  zero_pages (9.0; before: unused)
 *                                     36  unused[28]
 *                                     64  ramblock[256]
 *                                    320  offset[128] (64 bits each)
 *
 * Where QEMU differs from release to release we take every form, and where a
 * peer could hurt us we take none:
 *
 *   field             taken                        refused
 *   magic, version    ours                         others
 *   flags             SYNC with or without pages;  compression with pages,
 *                     compression without pages    device state, unknown
 *   pages_alloc       0 (a SYNC of 9.0) .. 128     more
 *   normal_pages      up to pages_alloc            more
 *   zero_pages        up to the rest of it         more
 *   next_packet_size  anything: stale in 7.2; the  -
 *                     payload is normal_pages long
 *   packet_num        anything: QEMU itself takes  -
 *                     it for a hint
 *   ramblock          anything without pages:      pages of a nameless
 *                     stale in 7.2; no NUL: cut    block
 *                     at byte 255
 *   offset[]          the same page twice; stale   no multiple of the page
 *                     behind the pages             size, as far as used
 *   unused            anything                     -
 *   INIT id           below the channels agreed    others (QEMU's own test
 *                                                  is off by one)
 *
 * An unknown flag is refused since the last one that was added, device state,
 * brought another header length with it: going on would mean to take the
 * next packet's bytes for this one's.
 *
 * Not here: whether block and offset are memory of this guest.  That takes
 * the memory map, which xm_map_has() asks.
 */
#include "multifd.h"

#include <assert.h>
#include <string.h>

#include "be.h"

#define AT_ZERO_PAGES 32
#define AT_RAMBLOCK   64
#define AT_OFFSET     XM_MULTIFD_AT_OFFSET

#define F_KNOWN (XM_MULTIFD_F_SYNC | XM_MULTIFD_F_COMP)

_Static_assert(AT_OFFSET == AT_RAMBLOCK + XM_BLOCK_NAME, "layout above");

void xm_multifd_init_put(void *dst, const struct xm_multifd_init *init)
{
	uint8_t *p = dst;

	memset(p, 0, XM_MULTIFD_INIT_LEN);
	xm_be32_put(p, XM_MULTIFD_MAGIC);
	xm_be32_put(p + 4, XM_MULTIFD_VERSION);
	memcpy(p + 8, init->uuid, sizeof(init->uuid));
	p[24] = init->id;
}

void xm_multifd_put(void *dst, const struct xm_multifd *pkt)
{
	const unsigned int n = pkt->normal_pages + pkt->zero_pages;
	uint8_t *p = dst;
	unsigned int i;

	assert(pkt->normal_pages <= XM_PACKET_PAGES);
	assert(pkt->zero_pages <= XM_PACKET_PAGES - pkt->normal_pages);
	memset(p, 0, XM_MULTIFD_LEN);
	xm_be32_put(p, XM_MULTIFD_MAGIC);
	xm_be32_put(p + 4, XM_MULTIFD_VERSION);
	xm_be32_put(p + 8, pkt->flags);
	xm_be32_put(p + 12, pkt->pages_alloc);
	xm_be32_put(p + 16, pkt->normal_pages);
	xm_be32_put(p + 20, pkt->next_packet_size);
	xm_be64_put(p + 24, pkt->packet_num);
	xm_be32_put(p + AT_ZERO_PAGES, pkt->zero_pages);
	memcpy(p + AT_RAMBLOCK, pkt->ramblock,
	       strnlen(pkt->ramblock, XM_BLOCK_NAME - 1));
	for (i = 0; i < n; i++)
		xm_be64_put(p + AT_OFFSET + 8 * (size_t)i, pkt->offset[i]);
}

static int multifd_check_magic(const uint8_t *p)
{
	if (xm_be32_get(p) != XM_MULTIFD_MAGIC)
		return XM_MULTIFD_E_MAGIC;
	if (xm_be32_get(p + 4) != XM_MULTIFD_VERSION)
		return XM_MULTIFD_E_VERSION;
	return 0;
}

int xm_multifd_init_get(struct xm_multifd_init *ret_init, const void *src,
			unsigned int n_channels)
{
	const uint8_t *p = src;
	int r = multifd_check_magic(p);

	if (r)
		return r;
	if (p[24] >= n_channels)
		return XM_MULTIFD_E_CHANNEL;
	memcpy(ret_init->uuid, p + 8, sizeof(ret_init->uuid));
	ret_init->id = p[24];
	return 0;
}

/* Flags and counts, which must be right before the rest has a meaning. */
static int multifd_check_counts(const struct xm_multifd *pkt)
{
	if (pkt->flags & ~F_KNOWN)
		return XM_MULTIFD_E_COMPRESSION;
	if (pkt->pages_alloc > XM_PACKET_PAGES ||
	    pkt->normal_pages > pkt->pages_alloc ||
	    pkt->zero_pages > pkt->pages_alloc - pkt->normal_pages)
		return XM_MULTIFD_E_COUNTS;
	if ((pkt->flags & XM_MULTIFD_F_COMP) &&
	    (pkt->normal_pages || pkt->zero_pages))
		return XM_MULTIFD_E_COMPRESSION;
	return 0;
}

/* Block and offsets of a packet that has pages. */
static int multifd_get_pages(struct xm_multifd *pkt, const uint8_t *p)
{
	unsigned int i, n = pkt->normal_pages + pkt->zero_pages;
	uint64_t in_page = 0;

	if (!n)
		return 0;
	memcpy(pkt->ramblock, p + AT_RAMBLOCK,
	       strnlen((const char *)p + AT_RAMBLOCK, XM_BLOCK_NAME - 1));
	if (!pkt->ramblock[0])
		return XM_MULTIFD_E_BLOCK;
	for (i = 0; i < n; i++) {
		pkt->offset[i] = xm_multifd_offset(p, i);
		in_page |= pkt->offset[i];
	}
	return in_page % XM_PAGE_SIZE ? XM_MULTIFD_E_OFFSET : 0;
}

int xm_multifd_get(struct xm_multifd *ret_pkt, const void *src)
{
	const uint8_t *p = src;
	struct xm_multifd pkt;
	int r = multifd_check_magic(p);

	if (r)
		return r;
	memset(&pkt, 0, sizeof(pkt));
	pkt.flags = xm_be32_get(p + 8);
	pkt.pages_alloc = xm_be32_get(p + 12);
	pkt.normal_pages = xm_be32_get(p + 16);
	pkt.next_packet_size = xm_be32_get(p + 20);
	pkt.packet_num = xm_be64_get(p + 24);
	pkt.zero_pages = xm_be32_get(p + AT_ZERO_PAGES);
	r = multifd_check_counts(&pkt);
	if (!r)
		r = multifd_get_pages(&pkt, p);
	if (!r)
		*ret_pkt = pkt;
	return r;
}
