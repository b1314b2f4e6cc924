// SPDX-License-Identifier: GPL-2.0-or-later
/* hash.c - what pages hold, in a number
 *
 *   H(range) = sum over its pages that are not all zeros, modulo 2^64, of
 *              XXH3(page number, XXH3(the page's bytes))
 *
 * XXH3 with 64 bits and no seed reads about as fast as memory can be read.  The
 * number of the page, in its block, is hashed with it: so pages that changed
 * places are seen, and a sum tells one set of pages from any other as well as the
 * hash tells one page from another.  Two that differ have the same hash once in
 * 2^64, by chance.  By intent it is easily done: a guest that does it to pages of
 * its own gains nothing by that, and who can change what others send (only without
 * --encrypt) is not found by this.
 *
 * Zeros count nothing, and a hole is zeros that nobody has to read: reading it
 * would allocate it.  So a guest of which one end has a hole where the other has
 * a page of zeros is the same guest.
 *
 * The library chooses the widest vectors this CPU has, where it was built so.
 */
#include "hash.h"

#include <endian.h>
#include <string.h>
#include <xxhash.h>
#ifdef XM_XXH_DISPATCH
#include <xxh_x86dispatch.h>
#endif

#include "xdpmig/limits.h"

static const uint8_t zeros[XM_PAGE_SIZE];

static uint64_t hash_page(uint64_t number, const uint8_t *page,
			  uint64_t hash_of_zeros)
{
	uint64_t h = XXH3_64bits(page, XM_PAGE_SIZE), pair[2];

	if (h == hash_of_zeros && !memcmp(page, zeros, XM_PAGE_SIZE))
		return 0;
	pair[0] = htobe64(number);
	pair[1] = htobe64(h);
	return XXH3_64bits(pair, sizeof(pair));
}

uint64_t guest_hash_pages(const uint8_t *hva, const uint64_t *populated,
			  uint64_t first, uint64_t end, uint64_t *bytes)
{
	uint64_t hash_of_zeros = XXH3_64bits(zeros, sizeof(zeros));
	uint64_t sum = 0, p;

	for (p = first; p < end; p++) {
		if (!(populated[p / 64] >> (p % 64) & 1))
			continue;
		sum += hash_page(p, hva + (p << XM_PAGE_SHIFT), hash_of_zeros);
		*bytes += XM_PAGE_SIZE;
	}
	return sum;
}
