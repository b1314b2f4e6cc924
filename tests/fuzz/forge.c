// SPDX-License-Identifier: GPL-2.0-or-later
/* forge.c - frames that nobody sent */
#include "forge.h"

#include <string.h>

#include "core/multifd.h"

/* Takes up to @n bytes of the input, zeros behind its end. */
static size_t take(uint8_t *buf, size_t n, const uint8_t *data, size_t size)
{
	size_t have = n < size ? n : size;

	memset(buf, 0, n);
	memcpy(buf, data, have);
	return have;
}

/* Its number, 16 bits; the length of its payload; that payload. */
static size_t forge_ack(struct forged *ret, const uint8_t *data, size_t size)
{
	uint8_t b[3];
	size_t n = take(b, 3, data, size);

	ret->f.seq = (uint32_t)(b[0] << 8 | b[1]);
	ret->f.len = b[2];
	return n + take(ret->payload, ret->f.len, data + n, size - n);
}

/* One page or a part: number 16 bits, block, where 16 bits (pages of 256 bytes),
 * length in units of 32 bytes, what it is filled with. */
static size_t forge_data(struct forged *ret, bool is_far, const uint8_t *data,
			 size_t size)
{
	struct xm_frame *f = &ret->f;
	uint8_t b[7];
	size_t n = take(b, 7, data, size);

	f->seq = (uint32_t)(b[0] << 8 | b[1]) << (is_far ? 16 : 0);
	f->block = b[2];
	f->seg[0] = (uint64_t)(int64_t)(int16_t)(b[3] << 8 | b[4]) << 8;
	f->n_segs = 1;
	f->seg_len = f->len = (uint16_t)((b[5] + 1) * 32);
	memset(ret->payload, b[6], f->len);
	return n;
}

/* Of a packet: number 16 bits; then eight bytes of pages: flags, normal, zero,
 * block's name, and the pages. */
static size_t forge_header(struct forged *ret, const uint8_t *data, size_t size)
{
	struct xm_multifd pkt = { .pages_alloc = XM_PACKET_PAGES };
	uint8_t b[10];
	size_t n = take(b, 10, data, size);
	unsigned int i;

	ret->f.seq = (uint32_t)(b[0] << 8 | b[1]);
	ret->f.len = XM_MULTIFD_LEN;
	pkt.flags = b[2] & XM_MULTIFD_F_SYNC;
	pkt.normal_pages = b[3] & 3;
	pkt.zero_pages = b[4] & 3;
	pkt.ramblock[0] = "\0abc"[b[5] & 3];
	for (i = 0; i < pkt.normal_pages + pkt.zero_pages && i < 4; i++)
		pkt.offset[i] = (uint64_t)(int8_t)b[6 + i] * XM_PAGE_SIZE;
	xm_multifd_put(ret->payload, &pkt);
	return n;
}

size_t forge(struct forged *ret, bool is_far, const uint8_t *data, size_t size)
{
	switch (ret->f.type) {
	case XM_WIRE_ACK:
		return forge_ack(ret, data, size);
	case XM_WIRE_DATA:
		return forge_data(ret, is_far, data, size);
	default:
		return forge_header(ret, data, size);
	}
}
