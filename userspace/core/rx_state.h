/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rx_state.h - what rx.c (frames, ACKs) and rx_header.c (packet headers) share.
 * Nobody else includes it.
 */
#ifndef XM_CORE_RX_STATE_H
#define XM_CORE_RX_STATE_H

#include <string.h>

#include "rx.h"

/* A ring of bits; a window and an alignment always fit without overlap. */
#define RX_WORDS     XM_SACK_WORDS
#define RX_LIKE_NONE (SIZE_MAX / 2) /* more than any piece has */
_Static_assert(XM_WINDOW + 64 <= RX_WORDS * 64, "limits.h: XM_WINDOW");

struct xm_rx {
	struct xm_rx_opts opts;
	struct xm_rx_stats stats;
	struct xm_rx_totals totals;
	uint32_t epoch; /* that frames are taken of; 0: closed */
	uint32_t ack_every;
	uint32_t cum, max_seq;
	uint32_t sync_seq;
	bool has_sync;

	uint32_t n_unacked; /* frames since the last ACK */
	bool ack_now;
	struct xm_time ack_at;
	bool has_echo;
	uint32_t echo_us;
	struct xm_time echo_at;
	uint32_t n_ce, n_dup; /* of this epoch */
	uint32_t rejects[XM_ACK_REJECTS];
	unsigned int n_rejects;

	/* What the last DATA frame of this epoch that went the long way and was
	 * placed began with, up to the cookie; and its header's length. */
	uint8_t like[16];
	size_t like_len; /* RX_LIKE_NONE: there is none */
	/* A stripe of this channel's, as far as it is in its block. */
	struct {
		struct xm_block *b;
		uint64_t at, len;
		unsigned int block;
	} own;

	/* Hashes of pages in a row that the last HEADER announced, which DATA is
	 * mostly of: sum[i] is that of the first i. */
	struct {
		uint64_t at, len;
		unsigned int block;
		uint64_t sum[XM_PACKET_PAGES + 1];
	} told;

	uint64_t got[RX_WORDS]; /* ring of bits, index is seq % (64 * RX_WORDS) */
};

static inline bool block_is_dirtied(const struct xm_block *b, uint64_t page)
{
	return b->dirtied[page / 64] >> (page % 64) & 1;
}

/* The same of pages [@first, @last]. */
static inline void block_dirty(struct xm_block *b, uint64_t first,
			       uint64_t last)
{
	uint64_t *w = b->dirtied + first / 64;
	uint64_t bits = UINT64_MAX << (first % 64);

	for (; w < b->dirtied + last / 64; w++, bits = UINT64_MAX)
		*w |= bits;
	*w |= bits & UINT64_MAX >> (63 - last % 64);
}

static inline void block_clean(struct xm_block *b, uint64_t page)
{
	b->dirtied[page / 64] &= ~(1ULL << (page % 64));
}

/* A reader over the pieces of a payload. */
struct rx_cursor {
	const struct xm_vec *piece, *end;
	size_t at; /* bytes of the piece that were read */
};

typedef uint32_t rx_copy_fn(uint32_t crc, void *dst, const void *src,
			    size_t len);

static inline struct rx_cursor rx_read(const struct xm_vec *vec, unsigned int n)
{
	return (struct rx_cursor){ vec, vec + n, 0 };
}

/* Copy @len payload bytes to @dst and go on summing them. */
static inline uint32_t rx_copy(struct rx_cursor *c, rx_copy_fn *copy,
			       uint32_t crc, uint8_t *dst, size_t len)
{
	const struct xm_vec *piece = c->piece;
	size_t part, at = c->at;

	while (len && piece < c->end) {
		part = piece->len - at;
		if (part > len)
			part = len;
		crc = copy(crc, dst, (const uint8_t *)piece->base + at, part);
		dst += part;
		len -= part;
		at += part;
		if (at == piece->len) {
			piece++;
			at = 0;
		}
	}
	c->piece = piece;
	c->at = at;
	return crc;
}

/* A row: pages or segments one behind the other, @len bytes from @at on, a packet's
 * at most. */

/* rx_check_row() where the stripe is another than the last one's. */
enum xm_drop rx_look_row(struct xm_rx *rx, unsigned int block, uint64_t at,
			 uint64_t len);

/* Inside the map and on this channel's pages? */
static inline enum xm_drop rx_check_row(struct xm_rx *rx, unsigned int block,
					uint64_t at, uint64_t len)
{
	uint64_t in = at - rx->own.at; /* huge when it is before */

	if (block == rx->own.block && in < rx->own.len &&
	    len <= rx->own.len - in)
		return XM_DROP_NONE;
	return rx_look_row(rx, block, at, len);
}

/* Take the multifd header that is the payload of @f, in @n pieces: install its zero
 * pages, count its normal ones. */
enum xm_drop rx_take_header(struct xm_rx *rx, const struct xm_frame *f,
			    const struct xm_vec *vec, unsigned int n);

#endif
