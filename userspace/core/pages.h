/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pages.h - one channel's walk over the pages of an epoch
 *
 * Goes through the channel's stripes in ascending order and cuts the pages
 * that are to be sent into packets: at most XM_PACKET_PAGES of one block,
 * zero pages apart from those with payload.  Pages are looked at when their
 * packet is made, just before they are sent, so that the zero test's read
 * also fetches them for the CRC.
 *
 * They may be mapped elsewhere than at the block's hva, a piece here and a piece
 * there, as in a UMEM: who has them so says where (xm_pages_look_at()), and then
 * the mapping at hva is not touched.
 */
#ifndef XM_CORE_PAGES_H
#define XM_CORE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "map.h"

/* What an epoch sends, per block a bitmap with a bit per page; all lent. */
struct xm_page_set {
	/* pages to send; NULL: all of them */
	uint64_t *todo[XM_BLOCK_MAX];
	/* pages that memory stands behind; the others are zero pages, and must
	 * not be touched, which would allocate them.  NULL: all of them */
	uint64_t *populated[XM_BLOCK_MAX];
};

/* Bytes [from, end) of a block in one piece. */
struct xm_page_view {
	uint64_t from, end;
	const uint8_t *at; /* where byte `from` is */
};

/* A view of @block that has the page at @offset, of any size from a page on. */
typedef void xm_page_find(void *arg, unsigned int block, uint64_t offset,
			  struct xm_page_view *ret_view);

struct xm_pages {
	const struct xm_map *map;
	const struct xm_page_set *set;
	unsigned int channel;
	unsigned int block;
	uint32_t stripe;    /* of the guest; n_stripes at the end */
	uint64_t page, end; /* rest of the stripe, page numbers in block */
	uint64_t n_done;    /* pages given out */
	xm_page_find *find; /* NULL: all is at hva */
	void *find_arg;
	struct xm_page_view view; /* of this block */
};

struct xm_page_batch {
	unsigned int block;
	unsigned int n_normal, n_zero;
	uint64_t offset[XM_PACKET_PAGES]; /* normal ones first */
};

/* Start over for an epoch.  @map must be sharded. */
void xm_pages_begin(struct xm_pages *p, const struct xm_map *map,
		    const struct xm_page_set *set, unsigned int channel);

/* From now on pages are looked at where @find, given @arg, says. */
void xm_pages_look_at(struct xm_pages *p, xm_page_find *find, void *arg);

/* The pages of the next packet.  False: there are none left. */
bool xm_pages_next(struct xm_pages *p, struct xm_page_batch *ret_batch);

/* Pages of @set on @channel that memory stands behind: what it has to send but
 * for the zeros among them. */
uint64_t xm_pages_count(const struct xm_map *map, const struct xm_page_set *set,
			unsigned int channel);

#endif
