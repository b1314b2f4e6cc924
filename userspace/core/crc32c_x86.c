// SPDX-License-Identifier: GPL-2.0-or-later
/* crc32c_x86.c - CRC32C by the crc32 instruction or by folding
 *
 * sse4.2: three lanes.  crc32 takes 8 bytes in 3 cycles, but a new one can
 * start in each cycle.  So a block is cut in three lanes of n words which are
 * summed side by side:
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
 * Any n has its constant, so a block is as long as the message allows;
 * LANE_WORDS is such that a page of 4096 bytes is one block and two words.
 * (V. Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using CRC32
 * Instruction", Intel 2011.)
 *
 * avx512: folding.  A register of four 128-bit parts is carried along the
 * message.  With a part split in its first 64 bits L and its last H, taking
 * it D bits further is
 *
 *   (L * x^64 + H) * x^D  =  L * (x^(64+D) mod P) + H * (x^D mod P)
 *
 * two multiplications of 64 by 32 bits whose results, 96 bits long, fit in
 * the part D bits further on and are added to it.  Nothing is reduced on the
 * way.  VPCLMULQDQ does four parts at once, and four registers keep it busy,
 * so the main loop goes 256 bytes at a time.  At the end the registers are
 * folded into the last one, its parts into the last one, and two crc32 make
 * 32 bits of those 128.
 *
 * In reflected order a 32-bit constant in a 64-bit place stands 32 bits too
 * high, and the product one bit, as above.  So the constants are x^(D+31) and
 * x^(D-33): lane_shift[] again, at D/64 + 1 and D/64.  (V. Gopal et al., "Fast
 * CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel
 * 2009.)
 *
 * This reads and writes strictly upwards, which the three lanes do not, and
 * takes 36 ns for 4096 bytes in the first cache where they take 130 (summed or
 * copied, on a Xeon with AMX); at 264 bytes the two are even.
 */
#include "crc32c_x86.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "cpu.h"

#define WORD       sizeof(uint64_t)
#define LANE_WORDS 170 /* 3 * 170 * 8 = 4080 bytes */
#define LANE_MIN   8   /* words; below, a merge costs more than it gains */

#define TARGET_SSE42 __attribute__((target("sse4.2,pclmul")))
#define INLINE_SSE42 TARGET_SSE42 static inline __attribute__((always_inline))

#define VEC sizeof(__m512i)
#define TARGET_AVX512                                               \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl," \
			      "vpclmulqdq,sse4.2,pclmul")))
#define INLINE_AVX512 TARGET_AVX512 static inline __attribute__((always_inline))

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
	const size_t lane = n * WORD;
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

	while (len - at >= 3 * WORD * LANE_MIN) {
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
	sse42_copy,
};

/* The two constants that take a part @bytes further. */
INLINE_AVX512 __m128i avx512_dist(size_t bytes)
{
	return _mm_set_epi64x(lane_shift[bytes / WORD],
			      lane_shift[bytes / WORD + 1]);
}

/* @v moved by @dist, and @next added. */
INLINE_AVX512 __m512i avx512_fold(__m512i v, __m512i dist, __m512i next)
{
	return _mm512_ternarylogic_epi64(
		_mm512_clmulepi64_epi128(v, dist, 0x00),
		_mm512_clmulepi64_epi128(v, dist, 0x11), next, 0x96);
}

INLINE_AVX512 __m512i avx512_all(size_t bytes)
{
	return _mm512_broadcast_i32x4(avx512_dist(bytes));
}

/* Where a body's stores go: nowhere, into the caches, or past them, which
 * wants 64-byte alignment. */
enum avx512_store { AVX512_NONE, AVX512_CACHED, AVX512_STREAM };

/* Load 64 bytes once, see crc32c.c, and store them. */
INLINE_AVX512 __m512i avx512_load(enum avx512_store how, uint8_t *d,
				  const uint8_t *s, size_t at)
{
	__m512i v = _mm512_loadu_si512(s + at);

	__asm__("" : "+v"(v));
	if (how == AVX512_CACHED)
		_mm512_storeu_si512(d + at, v);
	else if (how == AVX512_STREAM)
		_mm512_stream_si512((void *)(d + at), v);
	return v;
}

/* The four parts of @v to the register they stand for. */
INLINE_AVX512 uint64_t avx512_reduce(__m512i v)
{
	__m512i dist = _mm512_castsi128_si512(avx512_dist(48));
	__m128i last = _mm512_extracti32x4_epi32(v, 3), sum;
	uint64_t reg;

	dist = _mm512_inserti32x4(dist, avx512_dist(32), 1);
	dist = _mm512_inserti32x4(dist, avx512_dist(16), 2);
	dist = _mm512_inserti32x4(dist, _mm_setzero_si128(), 3);
	v = avx512_fold(v, dist, _mm512_zextsi128_si512(last));
	sum = _mm_xor_si128(_mm512_castsi512_si128(v),
			    _mm512_extracti32x4_epi32(v, 1));
	sum = _mm_xor_si128(sum, _mm512_extracti32x4_epi32(v, 2));
	reg = _mm_crc32_u64(0, (uint64_t)_mm_extract_epi64(sum, 0));
	return _mm_crc32_u64(reg, (uint64_t)_mm_extract_epi64(sum, 1));
}

/* The whole 256-byte blocks, at least one, folded into 64 bytes. */
INLINE_AVX512 __m512i avx512_blocks(enum avx512_store how, uint64_t reg,
				    uint8_t *d, const uint8_t *s,
				    size_t n_blocks)
{
	const __m512i block = avx512_all(4 * VEC), vec = avx512_all(VEC);
	__m512i v0 = avx512_load(how, d, s, 0),
		v1 = avx512_load(how, d, s, VEC);
	__m512i v2 = avx512_load(how, d, s, 2 * VEC);
	__m512i v3 = avx512_load(how, d, s, 3 * VEC);
	size_t at = 0;

	v0 = _mm512_xor_si512(
		v0, _mm512_zextsi128_si512(_mm_cvtsi64_si128((int64_t)reg)));
	while (--n_blocks) {
		at += 4 * VEC;
		v0 = avx512_fold(v0, block, avx512_load(how, d, s, at));
		v1 = avx512_fold(v1, block, avx512_load(how, d, s, at + VEC));
		v2 = avx512_fold(v2, block,
				 avx512_load(how, d, s, at + 2 * VEC));
		v3 = avx512_fold(v3, block,
				 avx512_load(how, d, s, at + 3 * VEC));
	}
	v1 = avx512_fold(v0, vec, v1);
	v2 = avx512_fold(v1, vec, v2);
	return avx512_fold(v2, vec, v3);
}

INLINE_AVX512 uint32_t avx512_run(enum avx512_store how, uint32_t reg,
				  uint8_t *d, const uint8_t *s, size_t len)
{
	const __m512i vec = avx512_all(VEC);
	const size_t blocks = len & ~(4 * VEC - 1);
	size_t at = blocks;
	__m512i v;

	if (!blocks)
		return sse42_run(reg, d, s, len);
	v = avx512_blocks(how, reg, d, s, blocks / (4 * VEC));
	for (; len - at >= VEC; at += VEC)
		v = avx512_fold(v, vec, avx512_load(how, d, s, at));
	return sse42_run(avx512_reduce(v), d ? d + at : d, s + at, len - at);
}

TARGET_AVX512 static uint32_t avx512_sum(uint32_t reg, const void *src,
					 size_t len)
{
	return avx512_run(AVX512_NONE, reg, NULL, src, len);
}

TARGET_AVX512 static uint32_t avx512_copy(uint32_t reg, void *dst,
					  const void *src, size_t len)
{
	return len ? avx512_run(AVX512_CACHED, reg, dst, src, len) : reg;
}

/* Up to a line's begin through the caches, then past them. */
TARGET_AVX512 static uint32_t avx512_place(uint32_t reg, void *dst,
					   const void *src, size_t len)
{
	size_t head = -(uintptr_t)dst & (VEC - 1);

	if (len < head + 4 * VEC)
		return avx512_copy(reg, dst, src, len);
	reg = sse42_run(reg, dst, src, head);
	reg = avx512_run(AVX512_STREAM, reg, (uint8_t *)dst + head,
			 (const uint8_t *)src + head, len - head);
	_mm_sfence();
	return reg;
}

static const struct xm_crc32c_impl avx512_impl = {
	"avx512",
	avx512_sum,
	avx512_copy,
	avx512_place,
};

unsigned int xm_crc32c_x86_get(const struct xm_crc32c_impl **ret_impls)
{
	struct xm_cpu cpu = xm_cpu_get();
	unsigned int n = 0;

	if (!cpu.sse42)
		return 0;
	sse42_init();
	if (cpu.avx512)
		ret_impls[n++] = &avx512_impl;
	ret_impls[n++] = &sse42_impl;
	return n;
}

#else

unsigned int xm_crc32c_x86_get(const struct xm_crc32c_impl **ret_impls)
{
	(void)ret_impls; /* none to put there */
	return 0;
}

#endif
