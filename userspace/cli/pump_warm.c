// SPDX-License-Identifier: GPL-2.0-or-later
/* pump_warm.c - guest memory faulted in before the clock starts
 *
 *   source        what its channel is about to pin
 *   destination   pages that a guest of before has left: no hole is filled
 *
 * One byte is read in every WARM_STEP.  Of shared memory the kernel then maps the 16
 * pages around it, as far as they are there, writable at once, in one fault.  Whoever
 * asks for them in another way pays page by page: pinning what is not mapped is a
 * fault for each, and so is writing; MADV_POPULATE_READ faults as we do, and then
 * walks the page tables for each.  Milliseconds of CPU per GiB (tests/bench/faultin):
 *
 *   source        pinned as it is      187     read, then pinned   88
 *   destination   MADV_POPULATE_READ    67     read                47
 *
 * Where the kernel maps less around a fault (fault_around_bytes of its debugfs) the
 * rest is faulted in when it is pinned, or written: only time is lost.  Where there is
 * no memory behind a page, this is the first to get its SIGBUS (guest/fault.c).
 */
#include "pump.h"

/* What Linux maps around a fault: an aligned window (mm/memory.c, fault_around_pages). */
#define WARM_STEP (64ul << 10)

static void warm_run(const struct pump_opts *o, const void *from, size_t len)
{
	const uint8_t *at = from, *end = at + len;

	while (at < end && !atomic_load(o->stop)) {
		(void)*(const volatile uint8_t *)at;
		at += WARM_STEP - (uintptr_t)at % WARM_STEP;
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
			warm_run(o, block->hva + (from << XM_PAGE_SHIFT),
				 (page - from) << XM_PAGE_SHIFT);
	}
}

void pump_warm_guest(const struct pump_opts *o)
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

void pump_warm_slice(const struct pump *p)
{
	size_t len;
	const void *guest = xsk_guest_range(p->chan, &len);

	warm_run(&p->opts, guest, len);
}
