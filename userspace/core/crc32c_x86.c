// SPDX-License-Identifier: GPL-2.0-or-later
/* crc32c_x86.c - CRC32C by the crc32 instruction, three lanes at a time
 *
 * crc32 takes 8 bytes in 3 cycles, but a new one can start in each cycle.  So
 * a block is cut in three lanes of n words which are summed side by side:
 *
 *   | lane 0, n words | lane 1, n words | lane 2, n words |
 *
 * and then put together.  Bytes that follow a lane multiply its remainder by
 * x^8 each, so
 *
 *   crc(block) = crc0 * x^(128 n) + crc1 * x^(64 n) + crc2     (mod P)
 *
 * where lane 0 starts with the register so far and the others with 0.  The
 * products are carry-less multiplications (PCLMULQDQ) of 32 by 32 bits, the
 * reduction is done by crc32 itself: for a 64-bit v it computes v * x^32 mod
 * P.  In reflected bit order a 63-bit product sits one bit to the right of
 * where it belongs, which is another factor x.  Together they make x^33 too
 * much, hence the constants:
 *
 *   lane_shift[n] = x^(64 n - 33) mod P,  the factor for n words that follow
 *
 * lane_shift[1] is x^31, that is 1 in reflected order, and eight zero bytes
 * through the register make n + 1 of n.  So nothing is looked up: the table
 * is computed at the start, by the code it serves.
 *
 * (The method is that of V. Gopal et al., "Fast CRC Computation for iSCSI
 * Polynomial Using CRC32 Instruction", Intel 2011; the choice of n at run
 * time, for a merge without wasted bytes at any length, is ours.)
 *
 * LANE_WORDS is such that a page of 4096 bytes is one block and two words.
 */
#include "crc32c_x86.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "cpu.h"

#define WORD       8
#define LANE_WORDS 170 /* 3 * 170 * 8 = 4080 bytes */
#define LANE_MIN   8   /* words; below, a merge costs more than it gains */

#define TARGET_SSE42 __attribute__((target("sse4.2,pclmul")))
#define INLINE_SSE42 TARGET_SSE42 static inline __attribute__((always_inline))

static uint32_t lane_shift[2 * LANE_WORDS + 1];

INLINE_SSE42 uint64_t sse42_load(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	__asm__("" : "+r"(w)); /* once, see crc32c.c */
	return w;
}

/* Sum one word, and store it when there is a @d; "at" is in bytes. */
INLINE_SSE42 uint64_t sse42_word(uint64_t reg, uint8_t *d, const uint8_t *s,
				 size_t at)
{
	uint64_t w = sse42_load(s + at);

	if (d)
		memcpy(d + at, &w, sizeof(w));
	return _mm_crc32_u64(reg, w);
}

/* reg * x^(64 n) before the reduction. */
INLINE_SSE42 uint64_t sse42_shift(uint64_t reg, unsigned int n)
{
	__m128i a = _mm_cvtsi64_si128((int64_t)reg);
	__m128i b = _mm_cvtsi32_si128((int)lane_shift[n]);

	return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(a, b, 0));
}

INLINE_SSE42 uint64_t sse42_lanes(uint64_t reg, uint8_t *d, const uint8_t *s,
				  unsigned int n)
{
	const size_t lane = (size_t)n * WORD;
	uint64_t r0 = reg, r1 = 0, r2 = 0;
	size_t at;

	for (at = 0; at < lane; at += WORD) {
		r0 = sse42_word(r0, d, s, at);
		r1 = sse42_word(r1, d, s, at + lane);
		r2 = sse42_word(r2, d, s, at + 2 * lane);
	}
	return _mm_crc32_u64(0, sse42_shift(r0, 2 * n) ^ sse42_shift(r1, n)) ^
	       r2;
}

/* The one body of both functions; without @d nothing is stored. */
INLINE_SSE42 uint32_t sse42_run(uint64_t reg, uint8_t *d, const uint8_t *s,
				size_t len)
{
	size_t at = 0, n;

	while (len - at >= 3 * LANE_MIN * WORD) {
		n = (len - at) / (3 * WORD);
		n = n < LANE_WORDS ? n : LANE_WORDS;
		reg = sse42_lanes(reg, d ? d + at : d, s + at, (unsigned int)n);
		at += 3 * WORD * n;
	}
	for (; len - at >= WORD; at += WORD)
		reg = sse42_word(reg, d, s, at);
	for (; at < len; at++) {
		uint8_t byte = *(const volatile uint8_t *)(s + at);

		if (d)
			d[at] = byte;
		reg = _mm_crc32_u8((uint32_t)reg, byte);
	}
	return (uint32_t)reg;
}

TARGET_SSE42 static uint32_t sse42_sum(uint32_t reg, const void *src,
				       size_t len)
{
	return sse42_run(reg, NULL, src, len);
}

TARGET_SSE42 static uint32_t sse42_copy(uint32_t reg, void *dst,
					const void *src, size_t len)
{
	return len ? sse42_run(reg, dst, src, len) : reg;
}

TARGET_SSE42 static void sse42_init(void)
{
	unsigned int n;

	lane_shift[1] = 1;
	for (n = 2; n <= 2 * LANE_WORDS; n++)
		lane_shift[n] = (uint32_t)_mm_crc32_u64(lane_shift[n - 1], 0);
}

static const struct xm_crc32c_impl sse42_impl = {
	"sse4.2",
	sse42_sum,
	sse42_copy,
};

unsigned int xm_crc32c_x86_get(const struct xm_crc32c_impl **ret_impls)
{
	struct xm_cpu cpu = xm_cpu_get();
	unsigned int n = 0;

	if (cpu.sse42) {
		sse42_init();
		ret_impls[n++] = &sse42_impl;
	}
	return n;
}

#else

unsigned int xm_crc32c_x86_get(const struct xm_crc32c_impl **ret_impls)
{
	(void)ret_impls; /* none to put there */
	return 0;
}

#endif
