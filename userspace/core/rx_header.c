// SPDX-License-Identifier: GPL-2.0-or-later
/* rx_header.c - packet headers at the receiver
 *
 * A HEADER frame carries the multifd header: its zero pages are installed from
 * it, its normal pages are counted, so that the barrier can compare what was
 * announced with what was placed.
 */
#include <errno.h>
#include <string.h>

#include "crc32c.h"
#include "multifd.h"
#include "rx_state.h"

/* @ret_row, 0 at first: how many pages are in a row from the first on. */
static enum xm_drop rx_check_packet(struct xm_rx *rx,
				    const struct xm_multifd *pkt, int block,
				    uint32_t *ret_row)
{
	uint32_t i = 0, n = pkt->normal_pages + pkt->zero_pages;
	enum xm_drop reason = XM_DROP_NONE;
	uint64_t at, next;

	if ((pkt->flags & XM_MULTIFD_F_SYNC) ? n != 0 : n == 0)
		return XM_DROP_BAD_PACKET;
	if (n && block < 0)
		return XM_DROP_BAD_PACKET;
	while (i < n && !reason) {
		at = next = pkt->offset[i];
		do {
			next += XM_PAGE_SIZE;
		} while (++i < n && pkt->offset[i] == next);
		if (!*ret_row)
			*ret_row = i;
		reason = rx_check_row(rx, (unsigned int)block, at, next - at);
	}
	return reason;
}

/* The first @n_row pages are in a row. */
static void rx_count_announced(struct xm_rx *rx, unsigned int block,
			       const struct xm_multifd *pkt, uint32_t n_row)
{
	uint64_t sum = 0, at = pkt->offset[0];
	uint32_t i;

	if (n_row > pkt->normal_pages)
		n_row = pkt->normal_pages;
	for (i = 0; i < n_row; i++, at += XM_PAGE_SIZE) {
		rx->told.sum[i] = sum;
		sum += xm_page_hash(block, at);
	}
	rx->told.sum[i] = sum;
	rx->told.block = block;
	rx->told.at = pkt->offset[0];
	rx->told.len = (uint64_t)n_row * XM_PAGE_SIZE;
	for (; i < pkt->normal_pages; i++)
		sum += xm_page_hash(block, pkt->offset[i]);
	rx->totals.sum_announced += sum * XM_PAGE_SIZE;
	rx->totals.pages_announced += pkt->normal_pages;
	rx->stats.pages += pkt->normal_pages;
}

static void rx_install_zeros(struct xm_rx *rx, unsigned int block,
			     const struct xm_multifd *pkt)
{
	struct xm_block *b = &rx->opts.map->block[block];
	uint64_t offset;
	uint32_t i;

	for (i = 0; i < pkt->zero_pages; i++) {
		offset = pkt->offset[pkt->normal_pages + i];
		rx->totals.sum_zero +=
			xm_page_hash(block, offset) * XM_PAGE_SIZE;
		rx->stats.zero_pages++;
		rx->totals.zero_pages++;
		if (!block_is_dirtied(b, offset >> XM_PAGE_SHIFT)) {
			rx->stats.zero_holes++; /* still a hole: keep it */
			continue;
		}
		memset(b->hva + offset, 0, XM_PAGE_SIZE);
		block_clean(b, offset >> XM_PAGE_SHIFT);
	}
}

enum xm_drop rx_take_header(struct xm_rx *rx, const struct xm_frame *f,
			    const struct xm_vec *vec, unsigned int n)
{
	struct rx_cursor c = rx_read(vec, n);
	uint8_t raw[XM_MULTIFD_LEN];
	struct xm_multifd pkt;
	enum xm_drop reason;
	int block = -ENOENT;
	uint32_t n_row = 0;

	if (f->len != sizeof(raw))
		return XM_DROP_BAD_LENGTH;
	if (rx_copy(&c, xm_crc32c_copy, 0, raw, sizeof(raw)) !=
		    f->payload_crc &&
	    !f->is_payload_proven)
		return XM_DROP_BAD_PAYLOAD_CRC;
	if (xm_multifd_get(&pkt, raw))
		return XM_DROP_BAD_PACKET;
	if (pkt.normal_pages + pkt.zero_pages)
		block = xm_map_find(rx->opts.map, pkt.ramblock);
	reason = rx_check_packet(rx, &pkt, block, &n_row);
	if (reason)
		return reason;
	if (pkt.flags & XM_MULTIFD_F_SYNC) {
		rx->has_sync = true;
		rx->sync_seq = f->seq;
		rx->ack_now = true;
	} else {
		rx_count_announced(rx, (unsigned int)block, &pkt, n_row);
		rx_install_zeros(rx, block, &pkt);
	}
	rx->stats.packets++;
	rx->totals.packets++;
	return XM_DROP_NONE;
}
