/* SPDX-License-Identifier: GPL-2.0-or-later */
/* be.h - big-endian integers at any address
 *
 * Frames and packets lie where the driver or the peer put them, so nothing
 * is assumed of their alignment; compilers make one instruction of each of
 * these.
 */
#ifndef XM_CORE_BE_H
#define XM_CORE_BE_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define XM_BE(bits, v) __builtin_bswap##bits(v)
#else
#define XM_BE(bits, v) (v)
#endif

static inline uint16_t xm_be16_get(const void *src)
{
	uint16_t v;

	memcpy(&v, src, sizeof(v));
	return XM_BE(16, v);
}

static inline uint32_t xm_be32_get(const void *src)
{
	uint32_t v;

	memcpy(&v, src, sizeof(v));
	return XM_BE(32, v);
}

static inline uint64_t xm_be64_get(const void *src)
{
	uint64_t v;

	memcpy(&v, src, sizeof(v));
	return XM_BE(64, v);
}

static inline void xm_be16_put(void *dst, uint16_t v)
{
	v = XM_BE(16, v);
	memcpy(dst, &v, sizeof(v));
}

static inline void xm_be32_put(void *dst, uint32_t v)
{
	v = XM_BE(32, v);
	memcpy(dst, &v, sizeof(v));
}

static inline void xm_be64_put(void *dst, uint64_t v)
{
	v = XM_BE(64, v);
	memcpy(dst, &v, sizeof(v));
}

#endif
