// SPDX-License-Identifier: GPL-2.0-or-later
/* map.c - building and dealing out the memory map; theory in map.h */
#include "map.h"

#include <errno.h>
#include <string.h>

_Static_assert(XM_PACKET_SIZE == XM_PACKET_PAGES * XM_PAGE_SIZE, "limits.h");

int xm_map_add(struct xm_map *map, const char *name, uint64_t len, uint8_t *hva)
{
	struct xm_block *b;

	if (map->n_blocks == XM_BLOCK_MAX)
		return -ENOSPC;
	if (!len || len % XM_PAGE_SIZE || len >> 62)
		return -EINVAL;
	if (!memchr(name, '\0', XM_BLOCK_NAME) || !name[0])
		return -EINVAL;
	if (xm_map_find(map, name) >= 0)
		return -EEXIST;
	b = &map->block[map->n_blocks++];
	memset(b, 0, sizeof(*b));
	memcpy(b->name, name, strlen(name));
	b->len = len;
	b->hva = hva;
	return 0;
}

int xm_map_find(const struct xm_map *map, const char *name)
{
	unsigned int i;

	for (i = 0; i < map->n_blocks; i++)
		if (!strcmp(map->block[i].name, name))
			return (int)i;
	return -ENOENT;
}

uint64_t xm_map_bytes(const struct xm_map *map)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < map->n_blocks; i++)
		sum += map->block[i].len;
	return sum;
}

uint64_t xm_map_pages(const struct xm_map *map)
{
	return xm_map_bytes(map) >> XM_PAGE_SHIFT;
}

uint64_t xm_page_hash_sum(unsigned int block, uint64_t len)
{
	uint64_t sum = 0, offset;

	for (offset = 0; offset < len; offset += XM_PAGE_SIZE)
		sum += xm_page_hash(block, offset) * XM_PAGE_SIZE;
	return sum;
}

/* Stripes that all blocks have together at this size. */
static uint64_t map_stripes_at(const uint64_t *len, unsigned int n_blocks,
			       unsigned int shift)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < n_blocks; i++)
		n += (len[i] >> shift) + !!(len[i] & ((1ull << shift) - 1));
	return n;
}

uint32_t xm_map_count_stripes(const uint64_t *len, unsigned int n,
			      unsigned int *ret_shift)
{
	unsigned int shift = 21;

	_Static_assert(XM_STRIPE_MIN == 1 << 21, "shift above");
	_Static_assert(XM_BLOCK_MAX * 2 <= XM_STRIPES_MAX, "63 is enough");
	while (shift < 63 && map_stripes_at(len, n, shift) > XM_STRIPES_MAX)
		shift++;
	*ret_shift = shift;
	return (uint32_t)map_stripes_at(len, n, shift);
}

int xm_map_shard(struct xm_map *map, unsigned int n_channels)
{
	uint64_t len[XM_BLOCK_MAX];
	unsigned int shift, i;
	uint32_t next = 0;

	if (!n_channels || n_channels > XM_CHAN_MAX || !map->n_blocks)
		return -EINVAL;
	for (i = 0; i < map->n_blocks; i++)
		len[i] = map->block[i].len;
	(void)xm_map_count_stripes(len, map->n_blocks, &shift);
	for (i = 0; i < map->n_blocks; i++) {
		map->block[i].first_stripe = next;
		next += (uint32_t)((map->block[i].len - 1) >> shift) + 1;
	}
	map->n_stripes = next;
	map->stripe_shift = shift;
	map->n_channels = n_channels;
	return 0;
}

unsigned int xm_map_stripe_block(const struct xm_map *map, unsigned int block,
				 uint32_t stripe)
{
	while (block + 1 < map->n_blocks &&
	       map->block[block + 1].first_stripe <= stripe)
		block++;
	return block;
}

void xm_map_stripe_pages(const struct xm_map *map, unsigned int block,
			 uint32_t stripe, uint64_t *ret_first,
			 uint64_t *ret_end)
{
	const struct xm_block *b = &map->block[block];
	unsigned int shift = map->stripe_shift - XM_PAGE_SHIFT;
	uint64_t n_pages = b->len >> XM_PAGE_SHIFT;
	uint64_t first = (uint64_t)(stripe - b->first_stripe) << shift;
	uint64_t end = first + (1ULL << shift);

	*ret_first = first;
	*ret_end = end < n_pages ? end : n_pages;
}
