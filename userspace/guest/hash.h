/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hash.h - what pages hold, in a number (docs/protocol.md 6.7) */
#ifndef XM_GUEST_HASH_H
#define XM_GUEST_HASH_H

#include <stdint.h>

/* The hash of a block's pages [first, end) at @hva, the block's first byte: the
 * same at both ends when every byte of them is, whether zeros are a hole or take
 * memory.  @populated: a bit for each page of the block, set where it has memory
 * behind it; other pages are zeros and are not touched.  The bytes that were read
 * are added to @bytes. */
uint64_t guest_hash_pages(const uint8_t *hva, const uint64_t *populated,
			  uint64_t first, uint64_t end, uint64_t *bytes);

#endif
