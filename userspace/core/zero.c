// SPDX-License-Identifier: GPL-2.0-or-later
/* zero.c - finding pages of zeros
 *
 * Most of a young guest's memory is zeros, and a page of zeros costs 8 bytes
 * of a packet's header instead of 4096 of payload.  Looking costs one read of
 * the page, which the checksum would do anyway; the page that is not zero is
 * usually recognised in its first block.
 *
 * A block is 256 bytes, OR-ed together and tested once: few branches, and
 * small enough that a page with data at its beginning costs four cache lines.
 * SSE2 is part of x86-64; with AVX2 half the instructions do.  From DRAM both
 * are as fast as the memory.  The choice is made at the first call: threads
 * that make it together all find the same, so a relaxed atomic is enough.
 */
#include "zero.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cpu.h"

#define ZERO_BLOCK 256

#if defined(__x86_64__)
#include <immintrin.h>

bool xm_zero_is_base(const void *src, size_t len)
{
	const uint8_t *p = src, *end = p + len;
	unsigned int i;

	assert((uintptr_t)p % 64 == 0 && len % ZERO_BLOCK == 0);
	for (; p < end; p += ZERO_BLOCK) {
		const __m128i *v = (const __m128i *)p;
		__m128i any = _mm_setzero_si128();

		for (i = 0; i < ZERO_BLOCK / sizeof(*v); i++)
			any = _mm_or_si128(any, _mm_load_si128(v + i));
		any = _mm_cmpeq_epi8(any, _mm_setzero_si128());
		if (_mm_movemask_epi8(any) != 0xffff)
			return false;
	}
	return true;
}

__attribute__((target("avx2"))) static bool zero_is_avx2(const void *src,
							 size_t len)
{
	const uint8_t *p = src, *end = p + len;
	unsigned int i;

	assert((uintptr_t)p % 64 == 0 && len % ZERO_BLOCK == 0);
	for (; p < end; p += ZERO_BLOCK) {
		const __m256i *v = (const __m256i *)p;
		__m256i any = _mm256_setzero_si256();

		for (i = 0; i < ZERO_BLOCK / sizeof(*v); i++)
			any = _mm256_or_si256(any, _mm256_load_si256(v + i));
		if (!_mm256_testz_si256(any, any))
			return false;
	}
	return true;
}

static bool zero_has_avx2(void)
{
	enum { UNKNOWN, NO, YES };
	static int answer = UNKNOWN;
	int a = __atomic_load_n(&answer, __ATOMIC_RELAXED);

	if (a == UNKNOWN) {
		a = xm_cpu_get().avx2 ? YES : NO;
		__atomic_store_n(&answer, a, __ATOMIC_RELAXED);
	}
	return a == YES;
}

bool xm_zero_is(const void *src, size_t len)
{
	return zero_has_avx2() ? zero_is_avx2(src, len) :
				 xm_zero_is_base(src, len);
}

#else

bool xm_zero_is_base(const void *src, size_t len)
{
	const uint8_t *p = src, *end = p + len;

	assert((uintptr_t)p % 64 == 0 && len % ZERO_BLOCK == 0);
	for (; p < end; p += ZERO_BLOCK) {
		uint64_t any = 0, w;
		unsigned int i;

		for (i = 0; i < ZERO_BLOCK; i += sizeof(w)) {
			memcpy(&w, p + i, sizeof(w));
			any |= w;
		}
		if (any)
			return false;
	}
	return true;
}

bool xm_zero_is(const void *src, size_t len)
{
	return xm_zero_is_base(src, len);
}

#endif
