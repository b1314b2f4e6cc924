/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guest.h - a guest that writes while its memory is being migrated
 *
 * Both copies of its memory, the dirty log, and a node that writes.  The log
 * is what WP_ASYNC and PAGEMAP_SCAN give: a bit per page, set by the first
 * write after a harvest; a harvest reads and clears it in one step.
 *
 * The destination starts out filled with a pattern that stands for "nothing is
 * here yet".  So a page that was never sent, or only ever as a zero page, must
 * still hold the pattern, with its dirtied bit clear, and counts as zeros;
 * whatever touched it shows.
 */
#ifndef SIM_GUEST_H
#define SIM_GUEST_H

#include "core/map.h"

#include "net.h"

enum sim_pattern {
	SIM_RANDOM, /* any page that is not a hole, now and then a hole */
	SIM_HOT,    /* one page, over and over */
	SIM_EVERY,  /* every page in turn */
	SIM_TOGGLE, /* pages become zero and come back */
	SIM_PATTERN__COUNT
};

struct sim_guest_opts {
	unsigned int n_blocks;
	uint32_t pages[XM_BLOCK_MAX]; /* per block; 0 = pages[0] */
	uint32_t hole_ppm, zero_ppm;  /* share of the pages, at the start */
	enum sim_pattern pattern;
	int64_t write_ns;    /* mean time between writes, 0 = idle */
	uint32_t writes_max; /* in an epoch, so that a slow one ends; 0 = any */
	bool is_folded; /* memory repeats every 2 MiB, and takes only that: for
			 * guests that are large and idle */
};

struct sim_block {
	uint32_t n_pages;
	uint8_t *src, *dst;
	uint64_t *dirty;   /* source: the dirty log */
	uint64_t *harvest; /* what the last harvest found */
	uint64_t *sent;    /* pages whose bytes were ever sent */
	uint64_t *dirtied; /* destination: see struct xm_block */
	/* Rule 4: a page that was replaced under its pin.  The device goes on
	 * reading the old page, which lives here; NULL otherwise. */
	uint8_t **pinned;
};

struct sim_guest {
	struct sim_node node; /* the writer */
	struct sim_guest_opts opts;
	struct sim_block block[XM_BLOCK_MAX];
	struct xm_map src_map, dst_map;
	uint32_t n_pages; /* of all blocks */
	bool running;
	struct xm_time next;
	uint32_t turn;         /* SIM_EVERY, SIM_HOT */
	uint32_t n_writes;     /* since the last harvest */
	unsigned int throttle; /* percent of its time taken away */
};

void guest_init(struct sim_guest *g, struct sim *s,
		const struct sim_guest_opts *opts, unsigned int n_channels);
void guest_fini(struct sim_guest *g);

void guest_run(struct sim_guest *g, bool running);

/* Read and clear the dirty log into block[].harvest, instead of what is there
 * or with @more besides; how many pages are in it then. */
uint32_t guest_harvest(struct sim_guest *g, bool more);

/* The page's bytes are being sent: it is no hole any more. */
void guest_note_sent(struct sim_guest *g, unsigned int block, uint32_t page);

/* Clear the log's bits of what was harvested, later: breaks rule 1. */
void guest_clear_late(struct sim_guest *g);

/* One write by the guest, as the writer does them. */
void guest_write(struct sim_guest *g, unsigned int block, uint32_t page,
		 uint32_t off, const void *src, uint32_t len);

/* Punch a hole under a registered page and write to the new page that the
 * guest then gets: breaks rule 4. */
void guest_replace(struct sim_guest *g, unsigned int block, uint32_t page);

/* Where a device that pinned the guest's memory reads @len bytes from. */
const uint8_t *guest_pinned(const struct sim_guest *g, unsigned int block,
			    uint64_t offset);

/* Are both copies the same, holes included?  False with the first page that
 * is not, and whether it was a page that should not have been touched. */
bool guest_same(const struct sim_guest *g, unsigned int *ret_block,
		uint32_t *ret_page, bool *ret_touched);

static inline bool guest_bit(const uint64_t *map, uint32_t page)
{
	return map[page / 64] >> (page % 64) & 1;
}

#endif
