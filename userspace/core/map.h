/* SPDX-License-Identifier: GPL-2.0-or-later */
/* map.h - the guest's RAM blocks as both sides agreed on them
 *
 * The memory map names each block by a small index, the index that DATA
 * frames carry.  Pages are sharded to channels in stripes: stripe s of the
 * guest (all blocks one after another, each starting a new stripe) belongs to
 * channel s % n_channels, for the whole migration.  So a page never travels
 * on two channels, channels share no byte and no bitmap word, and a hot
 * region of the guest is spread over all of them.
 *
 * A map lends host addresses to the core; it owns no memory.
 */
#ifndef XM_CORE_MAP_H
#define XM_CORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xdpmig/limits.h"

struct xm_block {
	char name[XM_BLOCK_NAME]; /* NUL terminated */
	uint64_t len;             /* bytes, a multiple of XM_PAGE_SIZE */
	uint8_t *hva;             /* host address of byte 0; lent */
	uint64_t *dirtied;     /* receiver: bit per page, set when the page may
				   * hold something else than zeros; a zero page
				   * with a clear bit stays a hole.  NULL at the
				   * sender.  Lent. */
	uint32_t first_stripe; /* set by xm_map_shard() */
};

struct xm_map {
	struct xm_block block[XM_BLOCK_MAX];
	unsigned int n_blocks;
	unsigned int n_channels;   /* set by xm_map_shard() */
	unsigned int stripe_shift; /* log2 of the stripe's bytes; ditto */
	uint32_t n_stripes;        /* ditto */
};

/* Append a block.  Returns 0, -ENOSPC (too many blocks), -EINVAL (empty,
 * unaligned or too long), -EEXIST (name taken). */
int xm_map_add(struct xm_map *map, const char *name, uint64_t len,
	       uint8_t *hva);

/* Stripes that blocks of these @n lengths have together, for any lengths.
 * @ret_shift: log2 of their bytes. */
uint32_t xm_map_count_stripes(const uint64_t *len, unsigned int n,
			      unsigned int *ret_shift);

/* Choose the stripe size and deal the stripes to @n_channels.  Both sides
 * compute the same from the same map.  Returns 0 or -EINVAL. */
int xm_map_shard(struct xm_map *map, unsigned int n_channels);

/* Index of the block called @name, or -ENOENT. */
int xm_map_find(const struct xm_map *map, const char *name);

uint64_t xm_map_bytes(const struct xm_map *map); /* of all blocks */
uint64_t xm_map_pages(const struct xm_map *map);

/* The block that @stripe, of the whole guest, is in; looked for from @block on,
 * the one of an earlier stripe, or 0. */
unsigned int xm_map_stripe_block(const struct xm_map *map, unsigned int block,
				 uint32_t stripe);

/* Pages [first, end) of @stripe, numbers in its block @block. */
void xm_map_stripe_pages(const struct xm_map *map, unsigned int block,
			 uint32_t stripe, uint64_t *ret_first,
			 uint64_t *ret_end);

/* Is [offset, offset + len) inside block @block?  Safe for any input. */
static inline bool xm_map_has(const struct xm_map *map, unsigned int block,
			      uint64_t offset, uint64_t len)
{
	return block < map->n_blocks && len <= map->block[block].len &&
	       offset <= map->block[block].len - len;
}

/* A number for a page, such that a sum of them tells which pages there were:
 * splitmix64's finaliser (Steele, Lea, Flood 2014) over block and page. */
static inline uint64_t xm_page_hash(unsigned int block, uint64_t offset)
{
	uint64_t z = (offset >> XM_PAGE_SHIFT) + ((uint64_t)block << 56);

	z += 0x9e3779b97f4a7c15ULL;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* The sum over the pages of [offset, offset + len), one at least. */
static inline uint64_t xm_page_hash_row(unsigned int block, uint64_t offset,
					uint64_t len)
{
	uint64_t last = (offset + len - 1) >> XM_PAGE_SHIFT, sum = 0;
	uint64_t page = offset >> XM_PAGE_SHIFT;

	for (; page <= last; page++)
		sum += xm_page_hash(block, page << XM_PAGE_SHIFT);
	return sum;
}

/* The sum over all pages of a block of @len bytes, each times its bytes.
 * About 0.1 s for 256 GiB. */
uint64_t xm_page_hash_sum(unsigned int block, uint64_t len);

/* The channel that carries the page at @offset of @block. */
static inline unsigned int xm_map_channel(const struct xm_map *map,
					  unsigned int block, uint64_t offset)
{
	return (map->block[block].first_stripe +
		(uint32_t)(offset >> map->stripe_shift)) %
	       map->n_channels;
}

#endif
