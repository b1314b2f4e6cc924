// SPDX-License-Identifier: GPL-2.0-or-later
/* pages.c - one channel's walk over the pages of an epoch; theory in pages.h */
#include "pages.h"

#include <string.h>

#include "zero.h"

void xm_pages_begin(struct xm_pages *p, const struct xm_map *map,
		    const struct xm_page_set *set, unsigned int channel)
{
	memset(p, 0, sizeof(*p));
	p->map = map;
	p->set = set;
	p->channel = channel;
	p->stripe = channel;
	if (p->stripe >= map->n_stripes)
		return;
	p->block = xm_map_stripe_block(map, 0, p->stripe);
	xm_map_stripe_pages(map, p->block, p->stripe, &p->page, &p->end);
}

void xm_pages_look_at(struct xm_pages *p, xm_page_find *find, void *arg)
{
	p->find = find;
	p->find_arg = arg;
	p->view = (struct xm_page_view){ 0 };
}

/* The page at @offset of p->block, which memory stands behind. */
static const uint8_t *see_page(struct xm_pages *p, uint64_t offset)
{
	if (offset - p->view.from >= p->view.end - p->view.from) {
		if (p->find)
			p->find(p->find_arg, p->block, offset, &p->view);
		else
			p->view = (struct xm_page_view){
				0, p->map->block[p->block].len,
				p->map->block[p->block].hva
			};
	}
	return p->view.at + (offset - p->view.from);
}

static bool bit_is_set(const uint64_t *bitmap, uint64_t i)
{
	return !bitmap || (bitmap[i / 64] >> (i % 64) & 1);
}

/* The next page to send at or behind p->page, in this stripe; p->end if there
 * is none.  Whole words without a bit are skipped at once. */
static uint64_t next_page(const struct xm_pages *p)
{
	const uint64_t *todo = p->set->todo[p->block];
	uint64_t page = p->page, w;

	if (!todo)
		return page;
	while (page < p->end) {
		w = todo[page / 64] >> (page % 64);
		if (w) {
			page += (uint64_t)__builtin_ctzll(w);
			break;
		}
		page = (page | 63) + 1;
	}
	return page < p->end ? page : p->end;
}

/* Step to the channel's next stripe; false at the end of the guest. */
static bool next_stripe(struct xm_pages *p)
{
	unsigned int block;

	if (p->map->n_stripes - p->stripe <= p->map->n_channels) {
		p->stripe = p->map->n_stripes;
		return false;
	}
	p->stripe += p->map->n_channels;
	block = xm_map_stripe_block(p->map, p->block, p->stripe);
	if (block != p->block)
		p->view = (struct xm_page_view){ 0 };
	p->block = block;
	xm_map_stripe_pages(p->map, p->block, p->stripe, &p->page, &p->end);
	return true;
}

/* Where a row of set bits ends that begins with @page's, at the latest with its word
 * or at @end. */
static uint64_t row_end(const uint64_t *bitmap, uint64_t page, uint64_t end)
{
	uint64_t gaps, last;

	if (!bitmap)
		return end;
	gaps = ~(bitmap[page / 64] >> (page % 64));
	last = page + (gaps ? (uint64_t)__builtin_ctzll(gaps) : 64);
	return last < end ? last : end;
}

/* Pages of this stripe into @batch, until it is full, or there are no more. */
static void take_pages(struct xm_pages *p, struct xm_page_batch *batch,
		       uint64_t *zero)
{
	const uint64_t *populated = p->set->populated[p->block];
	unsigned int n_normal = batch->n_normal, n_zero = batch->n_zero;
	uint64_t page, end, offset;
	const uint8_t *at;

	while (n_normal + n_zero < XM_PACKET_PAGES) {
		page = next_page(p);
		if (page >= p->end) {
			p->page = p->end;
			break;
		}
		if (!bit_is_set(populated, page)) {
			zero[n_zero++] = page << XM_PAGE_SHIFT;
			p->page = page + 1;
			continue;
		}
		end = page + XM_PACKET_PAGES - n_normal - n_zero;
		end = row_end(p->set->todo[p->block], page,
			      end < p->end ? end : p->end);
		end = row_end(populated, page, end);
		offset = page << XM_PAGE_SHIFT;
		end <<= XM_PAGE_SHIFT;
		at = see_page(p, offset);
		if (end > p->view.end)
			end = p->view.end;
		p->page = end >> XM_PAGE_SHIFT;
		for (; offset < end; offset += XM_PAGE_SIZE) {
			if (xm_zero_is(at, XM_PAGE_SIZE))
				zero[n_zero++] = offset;
			else
				batch->offset[n_normal++] = offset;
			at += XM_PAGE_SIZE;
		}
	}
	batch->n_normal = n_normal;
	batch->n_zero = n_zero;
}

bool xm_pages_next(struct xm_pages *p, struct xm_page_batch *batch)
{
	uint64_t zero[XM_PACKET_PAGES];

	batch->n_normal = batch->n_zero = 0;
	if (p->stripe >= p->map->n_stripes)
		return false;
	batch->block = p->block;
	for (;;) {
		take_pages(p, batch, zero);
		if (p->page < p->end ||
		    batch->n_normal + batch->n_zero == XM_PACKET_PAGES ||
		    !next_stripe(p))
			break;
		if (p->block == batch->block)
			continue;
		if (batch->n_normal + batch->n_zero)
			break;
		batch->block = p->block;
	}
	memcpy(batch->offset + batch->n_normal, zero,
	       batch->n_zero * sizeof(*zero));
	p->n_done += batch->n_normal + batch->n_zero;
	return batch->n_normal + batch->n_zero > 0;
}

/* Bits of both bitmaps in pages [first, end); stripes begin at a word. */
static uint64_t count_bits(const uint64_t *todo, const uint64_t *populated,
			   uint64_t first, uint64_t end)
{
	uint64_t n = 0, w, page;

	for (page = first; page < end; page += 64) {
		w = todo ? todo[page / 64] : UINT64_MAX;
		if (populated)
			w &= populated[page / 64];
		if (end - page < 64)
			w &= (1ULL << (end - page)) - 1;
		n += (uint64_t)__builtin_popcountll(w);
	}
	return n;
}

uint64_t xm_pages_count(const struct xm_map *map, const struct xm_page_set *set,
			unsigned int channel)
{
	unsigned int block = 0;
	uint64_t n = 0, first, end;
	uint32_t s;

	for (s = channel; s < map->n_stripes; s += map->n_channels) {
		block = xm_map_stripe_block(map, block, s);
		xm_map_stripe_pages(map, block, s, &first, &end);
		n += count_bits(set->todo[block], set->populated[block], first,
				end);
	}
	return n;
}
