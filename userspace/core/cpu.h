/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cpu.h - what this CPU can do, for the choice between implementations
 *
 * Straight from CPUID: compilers' own __builtin_cpu_supports() needs a
 * library symbol and a constructor, which the core does without.  CPUID traps
 * inside a virtual machine, so ask once and keep the answer.
 */
#ifndef XM_CORE_CPU_H
#define XM_CORE_CPU_H

#include <stdbool.h>

struct xm_cpu {
	bool sse42;  /* the crc32 instruction, with PCLMULQDQ to merge lanes */
	bool avx2;   /* and the system saves the upper register halves */
	bool avx512; /* F, BW, DQ and VL, with VPCLMULQDQ; registers saved */
};

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>

/* Register sets that the system saves on a context switch: XCR0. */
static inline uint32_t xm_cpu_xcr0(void)
{
	uint32_t eax, edx;

	__asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	return eax;
}

static inline struct xm_cpu xm_cpu_get(void)
{
	const unsigned int xcr0_avx = 0x6, xcr0_avx512 = 0xe6;
	const unsigned int leaf7_avx512 = bit_AVX512F | bit_AVX512DQ |
					  bit_AVX512BW | bit_AVX512VL;
	unsigned int a, b, c, d, xcr0 = 0;
	struct xm_cpu cpu = { false, false, false };

	if (!__get_cpuid(1, &a, &b, &c, &d))
		return cpu;
	cpu.sse42 = (c & bit_SSE4_2) && (c & bit_PCLMUL);
	if (c & bit_OSXSAVE)
		xcr0 = xm_cpu_xcr0();
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return cpu;
	cpu.avx2 = (b & bit_AVX2) && (xcr0 & xcr0_avx) == xcr0_avx;
	cpu.avx512 = (b & leaf7_avx512) == leaf7_avx512 &&
		     (c & bit_VPCLMULQDQ) &&
		     (xcr0 & xcr0_avx512) == xcr0_avx512;
	return cpu;
}

#else

static inline struct xm_cpu xm_cpu_get(void)
{
	return (struct xm_cpu){ false, false, false };
}

#endif
#endif
