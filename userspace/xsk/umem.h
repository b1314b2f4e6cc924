/* SPDX-License-Identifier: GPL-2.0-or-later */
/* umem.h - one channel's packet memory: an arena and guest pages in one range
 *
 * Layout and ownership are drawn at the head of umem.c.  A "UMEM address" is
 * the distance in bytes from @base, what descriptors carry.
 */
#ifndef XM_XSK_UMEM_H
#define XM_XSK_UMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chan.h"
#include "desc.h"

#define UMEM_NONE UINT64_MAX

/* A mapped range of guest memory. */
struct umem_map {
	uint64_t offset; /* in the block */
	uint64_t len;
	uint64_t addr; /* UMEM address of its first byte */
	uint64_t file_off;
	int fd; /* lent by the extent it came from */
	uint8_t block;
	bool is_huge; /* hugetlbfs: goes where hugepages are aligned */
};

struct umem {
	uint8_t *base;
	uint64_t len; /* what registration pins */
	uint64_t slots_addr, bufs_addr, stages_addr, rx_addr, guest_addr;
	struct umem_map *maps; /* ascending (block, offset) */
	uint32_t n_maps;
	uint32_t hit;      /* where the last lookup ended */
	uint64_t left_out; /* bytes of extents that are not mapped */
	void *resv;        /* the reserved range, larger than the UMEM */
	size_t resv_len;
};

/* Bytes of the arena that @opts ask for, a multiple of a page. */
uint64_t umem_arena_len(const struct xsk_chan_opts *opts);

/* Reserve the range and map arena and extents into it; nothing is touched or
 * pinned.  Extents beyond opts->max_maps or opts->max_locked are left out,
 * the smallest first.  0, or -errno with @e. */
int umem_open(struct umem *ret_umem, const struct xsk_chan_opts *opts,
	      struct xm_error *e);
void umem_close(struct umem *umem); /* a zeroed one is fine */

/* Is [offset, offset + len) of @block in @m? */
static inline bool umem_map_has(const struct umem_map *m, uint8_t block,
				uint64_t offset, uint32_t len)
{
	uint64_t at = offset - m->offset; /* huge when it is before */

	return m->block == block && at < m->len && len <= m->len - at;
}

/* umem_find() where the last map does not have it. */
uint64_t umem_look(struct umem *umem, uint8_t block, uint64_t offset,
		   uint32_t len);

/* UMEM address of [offset, offset + len) of a guest block, or UMEM_NONE when
 * not all of it is mapped in one piece. */
static inline uint64_t umem_find(struct umem *umem, uint8_t block,
				 uint64_t offset, uint32_t len)
{
	const struct umem_map *m = umem->maps + umem->hit;

	if (umem->hit < umem->n_maps && umem_map_has(m, block, offset, len))
		return m->addr + (offset - m->offset);
	return umem_look(umem, block, offset, len);
}

/* The map that has byte @offset of @block, or NULL: none. */
const struct umem_map *umem_map_at(const struct umem *umem, uint8_t block,
				   uint64_t offset);

/* Tell in @ret what the memory at UMEM address @addr is, for error texts. */
void umem_describe(const struct umem *umem, uint64_t addr, char *ret,
		   size_t size);

#endif
