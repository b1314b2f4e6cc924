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
 * Returns its name ("table", "sse4.2", ...). */
const char *xm_crc32c_init(void);

uint32_t xm_crc32c(uint32_t crc, const void *src, size_t len);

/* Copy @len bytes and return the CRC of what was copied, reading each source
 * byte exactly once: the sum is of the bytes at @dst even when another
 * thread writes to @src meanwhile. */
uint32_t xm_crc32c_copy(uint32_t crc, void *dst, const void *src, size_t len);

/* The portable one, for tests against the fast ones. */
uint32_t xm_crc32c_table(uint32_t crc, const void *src, size_t len);

#endif
