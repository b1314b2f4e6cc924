// SPDX-License-Identifier: GPL-2.0-or-later
/* pump_warm.c - a destination's guest memory faulted in before the clock starts
 *
 * In bulk, and side by side with the other channels.  Only the pages that a guest of
 * before has left: no hole is filled.  A kernel that cannot (before 5.14) faults page
 * by page later.  A source has nothing to warm: it reads pages where they are pinned.
 *
 * They are read, not written, though they are about to be overwritten: of shared
 * memory the kernel then maps 16 pages a fault, writable at once, in half the time.
 */
#include "pump.h"

#include <sys/mman.h>

/* Faulted in by one system call, which a user who gave up waits for. */
#define WARM_PIECE (16ull << 20)

static void warm_run(const struct pump_opts *o, const struct xm_block *block,
		     uint64_t offset, uint64_t len)
{
	uint64_t part;

	for (; len && !atomic_load(o->stop); offset += part, len -= part) {
		part = len < WARM_PIECE ? len : WARM_PIECE;
		(void)madvise(block->hva + offset, part, MADV_POPULATE_READ);
	}
}

/* The first page of [@page, @end) whose bit is @on, or @end.  A guest may be large,
 * and most of it not populated. */
static uint64_t warm_find(const uint64_t *bits, uint64_t page, uint64_t end,
			  bool on)
{
	uint64_t word;

	while (page < end) {
		word = on ? bits[page / 64] : ~bits[page / 64];
		word &= UINT64_MAX << page % 64;
		page -= page % 64;
		if (word)
			page += (uint64_t)__builtin_ctzll(word);
		if (word)
			break;
		page += 64;
	}
	return page < end ? page : end;
}

/* Runs of populated pages in stripe @stripe of @block. */
static void warm_stripe(const struct pump_opts *o, const struct xm_block *block,
			uint32_t stripe)
{
	const struct xm_map *map = o->rx.map;
	unsigned int shift = map->stripe_shift - XM_PAGE_SHIFT;
	uint64_t page = (uint64_t)(stripe - block->first_stripe) << shift;
	uint64_t end = page + (1ULL << shift), from;

	if (end > block->len >> XM_PAGE_SHIFT)
		end = block->len >> XM_PAGE_SHIFT;
	while (page < end) {
		from = warm_find(block->dirtied, page, end, true);
		page = warm_find(block->dirtied, from, end, false);
		if (page > from)
			warm_run(o, block, from << XM_PAGE_SHIFT,
				 (page - from) << XM_PAGE_SHIFT);
	}
}

void pump_warm(const struct pump_opts *o)
{
	const struct xm_map *map = o->rx.map;
	unsigned int b = 0;
	uint32_t s;

	for (s = o->channel; s < map->n_stripes && !atomic_load(o->stop);
	     s += map->n_channels) {
		b = xm_map_stripe_block(map, b, s);
		warm_stripe(o, &map->block[b], s);
	}
}
