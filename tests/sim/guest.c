// SPDX-License-Identifier: GPL-2.0-or-later
/* guest.c - the simulated guest's memory, its dirty log and its writes
 *
 * Virtual time stands still while a node runs, so a write and its bit in the
 * log are one event here, as they are under write protection.  What is spread
 * over time is what matters: between the moment a frame is summed and the
 * moment the device reads it (dev.h) the writer may run, any number of times.
 */
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNTOUCHED 0xa5

static void *guest_alloc(size_t len)
{
	void *p = aligned_alloc(XM_PAGE_SIZE,
				(len + XM_PAGE_SIZE - 1) &
					~(size_t)(XM_PAGE_SIZE - 1));

	if (!p)
		abort();
	return p;
}

#define FOLD (2u << 20) /* bytes */

/* The same @FOLD bytes again and again, @len in all. */
static void *guest_fold(size_t len)
{
	int fd = memfd_create("sim-guest", MFD_CLOEXEC);
	uint8_t *p;
	size_t at;

	p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || ftruncate(fd, FOLD) || p == MAP_FAILED)
		abort();
	for (at = 0; at < len; at += FOLD)
		if (mmap(p + at, len - at < FOLD ? len - at : FOLD,
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			 0) == MAP_FAILED)
			abort();
	close(fd);
	return p;
}

static uint64_t *guest_bits(uint32_t n_pages)
{
	uint64_t *b = calloc((n_pages + 63) / 64, sizeof(*b));

	if (!b)
		abort();
	return b;
}

static void bit_set(uint64_t *map, uint32_t page)
{
	map[page / 64] |= 1ull << (page % 64);
}

static void page_fill(uint8_t *page, struct sim_rng *rng)
{
	unsigned int i;

	for (i = 0; i < XM_PAGE_SIZE; i += 8) {
		uint64_t v = sim_rng_next(rng);

		memcpy(page + i, &v, 8);
	}
}

static void guest_populate(struct sim_guest *g, struct sim_block *b)
{
	struct sim_rng *rng = &g->node.rng;
	uint32_t p;

	for (p = 0; p < b->n_pages; p++) {
		bit_set(b->dirty, p); /* the first epoch announces all */
		if (sim_rng_chance(rng, g->opts.hole_ppm))
			continue;
		if (g->opts.is_folded && p >= FOLD / XM_PAGE_SIZE)
			continue;
		if (!sim_rng_chance(rng, g->opts.zero_ppm))
			page_fill(b->src + (size_t)p * XM_PAGE_SIZE, rng);
	}
}

static void guest_add_block(struct sim_guest *g, unsigned int i)
{
	struct sim_block *b = &g->block[i];
	char name[16];
	size_t len;

	b->n_pages = g->opts.pages[i] ? g->opts.pages[i] : g->opts.pages[0];
	len = (size_t)b->n_pages * XM_PAGE_SIZE;
	b->src = g->opts.is_folded ? guest_fold(len) : guest_alloc(len);
	b->dst = g->opts.is_folded ? guest_fold(len) : guest_alloc(len);
	if (g->opts.is_folded && len > FOLD)
		len = FOLD;
	memset(b->src, 0, len);
	memset(b->dst, UNTOUCHED, len);
	len = (size_t)b->n_pages * XM_PAGE_SIZE;
	b->dirty = guest_bits(b->n_pages);
	b->harvest = guest_bits(b->n_pages);
	b->sent = guest_bits(b->n_pages);
	b->dirtied = guest_bits(b->n_pages);
	b->pinned = calloc(b->n_pages, sizeof(*b->pinned));
	if (!b->pinned)
		abort();
	snprintf(name, sizeof(name), "ram%u", i);
	if (xm_map_add(&g->src_map, name, len, b->src) ||
	    xm_map_add(&g->dst_map, name, len, b->dst))
		abort();
	g->dst_map.block[i].dirtied = b->dirtied;
	g->n_pages += b->n_pages;
}

/* Page @nth of the guest, counted through all blocks. */
static struct sim_block *guest_page(struct sim_guest *g, uint32_t nth,
				    unsigned int *ret_block, uint32_t *ret_page)
{
	unsigned int i;

	for (i = 0; nth >= g->block[i].n_pages; i++)
		nth -= g->block[i].n_pages;
	*ret_block = i;
	*ret_page = nth;
	return &g->block[i];
}

void guest_write(struct sim_guest *g, unsigned int block, uint32_t page,
		 uint32_t off, const void *src, uint32_t len)
{
	struct sim_block *b = &g->block[block];

	memcpy(b->src + (size_t)page * XM_PAGE_SIZE + off, src, len);
	bit_set(b->dirty, page);
	g->n_writes++;
}

static void guest_write_some(struct sim_guest *g, unsigned int block,
			     uint32_t page)
{
	static const uint8_t zero[XM_PAGE_SIZE];
	uint8_t data[XM_PAGE_SIZE];
	struct sim_rng *rng = &g->node.rng;
	uint32_t off, len = 8;

	if (g->opts.pattern == SIM_TOGGLE && sim_rng_chance(rng, SIM_PPM / 2)) {
		guest_write(g, block, page, 0, zero, sizeof(zero));
		return;
	}
	page_fill(data, rng);
	if (sim_rng_chance(rng, SIM_PPM / 4))
		len = XM_PAGE_SIZE;
	else if (sim_rng_chance(rng, SIM_PPM / 2))
		len = (uint32_t)sim_rng_range(rng, 1, 512);
	off = (uint32_t)sim_rng_below(rng, XM_PAGE_SIZE - len + 1);
	guest_write(g, block, page, off, data, len);
}

static uint32_t guest_choose(struct sim_guest *g)
{
	switch (g->opts.pattern) {
	case SIM_HOT:
		return g->turn;
	case SIM_EVERY:
		return g->turn++ % g->n_pages;
	case SIM_RANDOM:
	case SIM_TOGGLE:
	case SIM_PATTERN__COUNT:
		break;
	}
	return (uint32_t)sim_rng_below(&g->node.rng, g->n_pages);
}

static struct xm_time writer_next_at(const struct sim_node *n)
{
	const struct sim_guest *g = (const struct sim_guest *)n;

	if (!g->running || !g->opts.write_ns ||
	    (g->opts.writes_max && g->n_writes >= g->opts.writes_max))
		return XM_TIME_NEVER;
	return xm_time_before(g->next, n->sim->now) ? n->sim->now : g->next;
}

static void writer_run(struct sim_node *n, struct xm_time now)
{
	struct sim_guest *g = (struct sim_guest *)n;
	unsigned int block;
	uint32_t page;

	guest_page(g, guest_choose(g), &block, &page);
	guest_write_some(g, block, page);
	g->next = xm_time_add(now,
			      sim_rng_range(&n->rng, 1, 2 * g->opts.write_ns) *
				      100 / (100 - g->throttle));
}

void guest_init(struct sim_guest *g, struct sim *s,
		const struct sim_guest_opts *opts, unsigned int n_channels)
{
	unsigned int i;

	memset(g, 0, sizeof(*g));
	g->opts = *opts;
	g->node.next_at = writer_next_at;
	g->node.run = writer_run;
	sim_add(s, &g->node);
	for (i = 0; i < opts->n_blocks; i++) {
		guest_add_block(g, i);
		guest_populate(g, &g->block[i]);
	}
	if (xm_map_shard(&g->src_map, n_channels) ||
	    xm_map_shard(&g->dst_map, n_channels))
		abort();
	g->turn = (uint32_t)sim_rng_below(&g->node.rng, g->n_pages);
}

static void guest_free(const struct sim_guest *g, void *p, uint32_t n_pages)
{
	if (g->opts.is_folded)
		munmap(p, (size_t)n_pages * XM_PAGE_SIZE);
	else
		free(p);
}

void guest_fini(struct sim_guest *g)
{
	unsigned int i;
	uint32_t p;

	for (i = 0; i < g->opts.n_blocks; i++) {
		struct sim_block *b = &g->block[i];

		for (p = 0; p < b->n_pages; p++)
			free(b->pinned[p]);
		free(b->pinned);
		guest_free(g, b->src, b->n_pages);
		guest_free(g, b->dst, b->n_pages);
		free(b->dirty);
		free(b->harvest);
		free(b->sent);
		free(b->dirtied);
	}
}

void guest_run(struct sim_guest *g, bool running)
{
	g->running = running;
	g->next = xm_time_add(g->node.sim->now, 1);
}

uint32_t guest_harvest(struct sim_guest *g, bool more)
{
	uint32_t found = 0;
	unsigned int i, w;

	g->n_writes = 0;
	for (i = 0; i < g->opts.n_blocks; i++) {
		struct sim_block *b = &g->block[i];

		for (w = 0; w < (b->n_pages + 63) / 64; w++) {
			b->harvest[w] = b->dirty[w] |
					(more ? b->harvest[w] : 0);
			b->dirty[w] = 0;
			found += (uint32_t)__builtin_popcountll(b->harvest[w]);
		}
	}
	return found;
}

void guest_note_sent(struct sim_guest *g, unsigned int block, uint32_t page)
{
	bit_set(g->block[block].sent, page);
}

void guest_clear_late(struct sim_guest *g)
{
	unsigned int i, w;

	for (i = 0; i < g->opts.n_blocks; i++)
		for (w = 0; w < (g->block[i].n_pages + 63) / 64; w++)
			g->block[i].dirty[w] &= ~g->block[i].harvest[w];
}

void guest_replace(struct sim_guest *g, unsigned int block, uint32_t page)
{
	struct sim_block *b = &g->block[block];
	uint8_t *now = b->src + (size_t)page * XM_PAGE_SIZE;
	uint8_t fresh[XM_PAGE_SIZE];

	if (!b->pinned[page]) {
		b->pinned[page] = guest_alloc(XM_PAGE_SIZE);
		memcpy(b->pinned[page], now, XM_PAGE_SIZE);
	}
	page_fill(fresh, &g->node.rng);
	guest_write(g, block, page, 0, fresh, XM_PAGE_SIZE);
}

const uint8_t *guest_pinned(const struct sim_guest *g, unsigned int block,
			    uint64_t offset)
{
	const struct sim_block *b = &g->block[block];
	const uint8_t *old = b->pinned[offset >> XM_PAGE_SHIFT];

	return old ? old + offset % XM_PAGE_SIZE : b->src + offset;
}

static bool page_is(const uint8_t *page, uint8_t byte)
{
	return page[0] == byte && !memcmp(page, page + 1, XM_PAGE_SIZE - 1);
}

/* Does the destination's page stand for what the source's holds? */
static bool page_same(const struct sim_block *b, uint32_t p, bool *ret_touched)
{
	const uint8_t *s = b->src + (size_t)p * XM_PAGE_SIZE;
	const uint8_t *d = b->dst + (size_t)p * XM_PAGE_SIZE;

	*ret_touched = false;
	if (guest_bit(b->dirtied, p))
		return guest_bit(b->sent, p) && !memcmp(s, d, XM_PAGE_SIZE);
	if (guest_bit(b->sent, p))
		return page_is(s, 0) && page_is(d, 0);
	*ret_touched = !page_is(d, UNTOUCHED);
	return !*ret_touched && page_is(s, 0);
}

bool guest_same(const struct sim_guest *g, unsigned int *ret_block,
		uint32_t *ret_page, bool *ret_touched)
{
	unsigned int i;
	uint32_t p;

	for (i = 0; i < g->opts.n_blocks; i++)
		for (p = 0; p < g->block[i].n_pages; p++)
			if (!page_same(&g->block[i], p, ret_touched)) {
				*ret_block = i;
				*ret_page = p;
				return false;
			}
	return true;
}
