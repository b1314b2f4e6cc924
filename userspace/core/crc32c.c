// SPDX-License-Identifier: GPL-2.0-or-later
/* crc32c.c - the portable CRC32C, and the choice of a faster one
 *
 * CRC32C is the remainder of the message, taken as a polynomial over GF(2)
 * times x^32, by P = 0x1EDC6F41.  Bits are reflected: the first bit of the
 * message is the lowest of its first byte, and the register's bit 0 is
 * x^31, so P is 0x82F63B78 here.  The register starts as all ones and is
 * inverted at the end, which makes leading zeros count.
 *
 * An implementation is two functions over the bare register, without those
 * inversions: then it is linear, and crc(A ^ B) = crc(A) ^ crc(B).  From this
 * follow
 *   - the tables: the effect of a byte is the XOR of the effects of its bits,
 *     so eight constants per table are enough, and the compiler makes the 256
 *     entries of them.  Row k is what the bits 0..7 of a byte become when k
 *     zero bytes follow it; with eight rows a 64-bit word is done at once;
 *   - the lanes of crc32c_x86.c: parts of a message can be done side by side.
 *
 * Copy and sum are one pass, because the bytes may change in between: a frame
 * is placed from memory that the kernel or the network wrote, or staged from
 * a page that the guest is writing.  Each source word is loaded into a
 * register once, which the empty asm in crc_load() enforces: the compiler can
 * not know that it would find the same a second time, so it must not look.
 */
#include "crc32c.h"

#include <stdbool.h>
#include <string.h>

#include "crc32c_x86.h"

#define T1(b, c)             (b), (b) ^ (c)
#define T2(b, c, d)          T1(b, c), T1((b) ^ (d), c)
#define T3(b, c, d, e)       T2(b, c, d), T2((b) ^ (e), c, d)
#define T4(b, c, d, e, f)    T3(b, c, d, e), T3((b) ^ (f), c, d, e)
#define T5(b, c, d, e, f, g) T4(b, c, d, e, f), T4((b) ^ (g), c, d, e, f)
#define T6(b, c, d, e, f, g, h) \
	T5(b, c, d, e, f, g), T5((b) ^ (h), c, d, e, f, g)
#define T7(b, c, d, e, f, g, h, i) \
	T6(b, c, d, e, f, g, h), T6((b) ^ (i), c, d, e, f, g, h)
#define ROW(c, d, e, f, g, h, i, j)                                            \
	{                                                                      \
		T7(0u, c, d, e, f, g, h, i), T7(0u ^ (j), c, d, e, f, g, h, i) \
	}

static const uint32_t crc_table[8][256] = {
	ROW(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f,
	    0x20bd8ede, 0x417b1dbc, 0x82f63b78),
	ROW(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181,
	    0x7f8be302, 0xff17c604, 0xfbc3faf9),
	ROW(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a,
	    0xe144fb14, 0xc76580d9, 0x8b277743),
	ROW(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d,
	    0xd725148b, 0xaba65fe7, 0x52a0c93f),
	ROW(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3,
	    0x1ba8b557, 0x37516aae, 0x6ea2d55c),
	ROW(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e,
	    0x85f4168d, 0x0e045beb, 0x1c08b7d6),
	ROW(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6,
	    0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
	ROW(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4,
	    0x0d006599, 0x1a00cb32, 0x34019664),
};

static uint64_t crc_load(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	__asm__("" : "+r"(w));
	return w;
}

static uint8_t crc_load_byte(const uint8_t *p)
{
	return *(const volatile uint8_t *)p;
}

/* The table is indexed by the message's bytes in their order. */
static uint32_t table_word(uint32_t reg, uint64_t w)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	w ^= reg;
	return crc_table[7][w & 0xff] ^ crc_table[6][w >> 8 & 0xff] ^
	       crc_table[5][w >> 16 & 0xff] ^ crc_table[4][w >> 24 & 0xff] ^
	       crc_table[3][w >> 32 & 0xff] ^ crc_table[2][w >> 40 & 0xff] ^
	       crc_table[1][w >> 48 & 0xff] ^ crc_table[0][w >> 56];
}

static uint32_t table_byte(uint32_t reg, uint8_t byte)
{
	return reg >> 8 ^ crc_table[0][(reg ^ byte) & 0xff];
}

static uint32_t table_copy(uint32_t reg, void *dst, const void *src, size_t len)
{
	const uint8_t *s = src;
	uint8_t *d = dst, byte;
	uint64_t w;

	for (; len >= sizeof(w); len -= sizeof(w)) {
		w = crc_load(s);
		memcpy(d, &w, sizeof(w));
		reg = table_word(reg, w);
		s += sizeof(w);
		d += sizeof(w);
	}
	while (len--) {
		byte = crc_load_byte(s++);
		*d++ = byte;
		reg = table_byte(reg, byte);
	}
	return reg;
}

static uint32_t table_sum(uint32_t reg, const void *src, size_t len)
{
	const uint8_t *s = src;

	for (; len >= 8; len -= 8, s += 8)
		reg = table_word(reg, crc_load(s));
	while (len--)
		reg = table_byte(reg, *s++);
	return reg;
}

static const struct xm_crc32c_impl table_impl = {
	"table",
	table_sum,
	table_copy,
	table_copy,
};

/* Those this CPU can run, fastest first, and the one that is used. */
static const struct xm_crc32c_impl *impls[4] = { &table_impl };
static const struct xm_crc32c_impl *impl = &table_impl;

const char *xm_crc32c_init(void)
{
	unsigned int n = 0;

	n += xm_crc32c_x86_get(impls);
	impls[n] = &table_impl;
	impl = impls[0];
	return impl->name;
}

const struct xm_crc32c_impl *xm_crc32c_impl(unsigned int i)
{
	return i < sizeof(impls) / sizeof(impls[0]) ? impls[i] : NULL;
}

uint32_t xm_crc32c(uint32_t crc, const void *src, size_t len)
{
	return ~impl->sum(~crc, src, len);
}

uint32_t xm_crc32c_copy(uint32_t crc, void *dst, const void *src, size_t len)
{
	return ~impl->copy(~crc, dst, src, len);
}

uint32_t xm_crc32c_place(uint32_t crc, void *dst, const void *src, size_t len)
{
	return ~impl->place(~crc, dst, src, len);
}

uint32_t xm_crc32c_table(uint32_t crc, const void *src, size_t len)
{
	return ~table_sum(~crc, src, len);
}
