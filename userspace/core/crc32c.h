/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crc32c.h - CRC32C (Castagnoli, RFC 3720 appendix B.4), alone or while copying
 *
 * The implementation is chosen once, by xm_crc32c_init(), from what the CPU
 * answers to CPUID; before that call, and on CPUs without SSE 4.2, a table
 * does it.  All of them return the same.  Values chain: pass the result for
 * the first part as @crc for the next; start with 0.
 */
#ifndef XM_CORE_CRC32C_H
#define XM_CORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Choose the fastest implementation.  Call once before threads start.
 * Returns its name ("table", "sse4.2", "avx512"). */
const char *xm_crc32c_init(void);

uint32_t xm_crc32c(uint32_t crc, const void *src, size_t len);

/* Copy @len bytes and return the CRC of what was copied, reading each source
 * byte exactly once: the sum is of the bytes at @dst even when another
 * thread writes to @src meanwhile.  The two do not overlap. */
uint32_t xm_crc32c_copy(uint32_t crc, void *dst, const void *src, size_t len);

/* The same for a destination that is not read soon: where the CPU can, past its
 * caches, which then keep what is.  Ordered before later stores. */
uint32_t xm_crc32c_place(uint32_t crc, void *dst, const void *src, size_t len);

/* The portable one, for tests against the fast ones. */
uint32_t xm_crc32c_table(uint32_t crc, const void *src, size_t len);

/* One implementation.  Its functions work on the bare CRC register: what the
 * ones above do before and after, inverting it, is left to the caller. */
struct xm_crc32c_impl {
	const char *name;
	uint32_t (*sum)(uint32_t reg, const void *src, size_t len);
	uint32_t (*copy)(uint32_t reg, void *dst, const void *src, size_t len);
	uint32_t (*place)(uint32_t reg, void *dst, const void *src, size_t len);
};

/* The implementations that this CPU can run, fastest first: number @i, or
 * NULL behind the last, which is the table.  Valid after xm_crc32c_init(). */
const struct xm_crc32c_impl *xm_crc32c_impl(unsigned int i);

#endif
