/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_rx.h - a receiver of two channels' guest, and frames for it
 *
 * The guest's memory is real and untouched, with a bit per page for what may
 * have been written.  Payloads depend on a seed and reach the receiver in heap
 * blocks of exactly their size, so that a reader that goes too far is seen by
 * the address sanitizer.  After each step the invariants are checked.
 */
#ifndef T_RX_H
#define T_RX_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/crc32c.h"
#include "core/multifd.h"
#include "core/rx.h"

#include "t_trace.h"

#define T_MIB    (1ULL << 20)
#define T_COOKIE 0x1122334455667788ULL
#define T_PIECES 8

struct t_rx {
	struct t_trace trace;
	struct xm_map map;
	struct xm_rx_opts opts;
	struct xm_rx *rx;
	struct xm_time now;
	uint8_t payload[XM_FRAME_SEGS * XM_PAGE_SIZE]; /* of the last frame */
	struct xm_frame ack_frame;                     /* the last ACK */
	struct xm_ack ack;
};

static inline void t_rx_add_block(struct t_rx *t, const char *name,
				  uint64_t len)
{
	uint8_t *hva = mmap(NULL, len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned int i = t->map.n_blocks;

	assert_ptr_not_equal(hva, MAP_FAILED);
	assert_int_equal(xm_map_add(&t->map, name, len, hva), 0);
	t->map.block[i].dirtied = calloc(len / XM_PAGE_SIZE / 64, 8);
	assert_non_null(t->map.block[i].dirtied);
}

/* Channel 0 of 2: it has [0, 2 MiB) and [4 MiB, 6 MiB) of pc.ram, all of
 * vga.ram, and not [2 MiB, 4 MiB) of pc.ram. */
static inline int t_rx_setup(void **state)
{
	struct t_rx *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t_rx_add_block(t, "pc.ram", 8 * T_MIB);
	t_rx_add_block(t, "vga.ram", T_MIB);
	assert_int_equal(xm_map_shard(&t->map, 2), 0);
	t->opts = (struct xm_rx_opts){
		.map = &t->map,
		.cookie = T_COOKIE,
		.channel = 0,
		.credit = 1000,
		.trace = t_trace_begin(&t->trace),
	};
	t->now = (struct xm_time){ 5 * XM_SEC };
	*state = t;
	return 0;
}

static inline int t_rx_teardown(void **state)
{
	struct t_rx *t = *state;
	unsigned int i;

	for (i = 0; i < t->map.n_blocks; i++) {
		free(t->map.block[i].dirtied);
		assert_int_equal(
			munmap(t->map.block[i].hva, t->map.block[i].len), 0);
	}
	free(t->rx);
	free(t);
	return 0;
}

static inline struct xm_rx *t_rx_init(struct t_rx *t)
{
	void *mem = malloc(xm_rx_footprint(&t->opts));
	struct xm_rx *rx;

	assert_non_null(mem);
	rx = xm_rx_init(mem, &t->opts);
	if (!rx)
		free(mem);
	return rx;
}

/* A receiver with the options of @t, in epoch 1. */
static inline struct t_rx *t_rx_begin(struct t_rx *t)
{
	t->rx = t_rx_init(t);
	assert_non_null(t->rx);
	xm_rx_epoch(t->rx, 1);
	assert_true(xm_rx_check(t->rx));
	return t;
}

static inline void t_rx_wait(struct t_rx *t, int64_t us)
{
	t->now = xm_time_add(t->now, us * XM_US);
}

/* -- frames -------------------------------------------------------------------- */

static inline struct xm_frame t_rx_frame(const struct t_rx *t, uint8_t type,
					 uint32_t seq)
{
	return (struct xm_frame){
		.type = type,
		.channel = t->opts.channel,
		.cookie = T_COOKIE,
		.epoch = 1,
		.seq = seq,
		.tx_us = xm_time_wire_us(t->now),
	};
}

/* The payload is @len bytes that depend on @seed. */
static inline void t_rx_fill_payload(struct t_rx *t, struct xm_frame *f,
				     size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		t->payload[i] = (uint8_t)((i * 7 + i / 251 + seed) | 1);
	f->len = (uint16_t)len;
	f->payload_crc = xm_crc32c(0, t->payload, len);
}

/* @n pages from @offset on, in block 0. */
static inline struct xm_frame t_rx_pages(struct t_rx *t, uint32_t seq,
					 uint64_t offset, unsigned int n)
{
	struct xm_frame f = t_rx_frame(t, XM_WIRE_DATA, seq);
	unsigned int i;

	f.n_segs = (uint8_t)n;
	f.seg_len = XM_PAGE_SIZE;
	for (i = 0; i < n; i++)
		f.seg[i] = offset + i * XM_PAGE_SIZE;
	t_rx_fill_payload(t, &f, n * XM_PAGE_SIZE, seq);
	return f;
}

/* @len bytes at @offset, in block 0. */
static inline struct xm_frame t_rx_slice(struct t_rx *t, uint32_t seq,
					 uint64_t offset, uint16_t len)
{
	struct xm_frame f = t_rx_frame(t, XM_WIRE_DATA, seq);

	f.n_segs = 1;
	f.seg_len = len;
	f.seg[0] = offset;
	t_rx_fill_payload(t, &f, len, seq);
	return f;
}

/* A packet's header; the payload is left in t->payload. */
static inline struct xm_frame t_rx_packet(struct t_rx *t, uint32_t seq,
					  const struct xm_multifd *pkt)
{
	struct xm_frame f = t_rx_frame(t, XM_WIRE_HEADER, seq);

	xm_multifd_put(t->payload, pkt);
	f.len = XM_MULTIFD_LEN;
	f.payload_crc = xm_crc32c(0, t->payload, f.len);
	return f;
}

/* A packet of pc.ram: @n_normal pages from @offset on, then @n_zero. */
static inline struct xm_frame t_rx_header(struct t_rx *t, uint32_t seq,
					  uint64_t offset,
					  unsigned int n_normal,
					  unsigned int n_zero)
{
	struct xm_multifd pkt = {
		.pages_alloc = XM_PACKET_PAGES,
		.normal_pages = n_normal,
		.zero_pages = n_zero,
		.ramblock = "pc.ram",
	};
	unsigned int i;

	for (i = 0; i < n_normal + n_zero; i++)
		pkt.offset[i] = offset + i * XM_PAGE_SIZE;
	return t_rx_packet(t, seq, &pkt);
}

static inline struct xm_frame t_rx_sync(struct t_rx *t, uint32_t seq)
{
	const struct xm_multifd pkt = {
		.flags = XM_MULTIFD_F_SYNC,
		.pages_alloc = XM_PACKET_PAGES,
	};

	return t_rx_packet(t, seq, &pkt);
}

/* -- the wire ------------------------------------------------------------------ */

/* @f arrives with t->payload behind it, cut at @cut[0 .. n). */
static inline enum xm_drop t_rx_take_cut(struct t_rx *t,
					 const struct xm_frame *f,
					 const size_t *cut, unsigned int n)
{
	struct xm_vec vec[T_PIECES];
	size_t from = 0, to;
	enum xm_drop reason;
	unsigned int i;
	void *piece;

	assert_in_range(n, 0, T_PIECES - 1);
	for (i = 0; i <= n; i++) {
		to = i < n ? cut[i] : f->len;
		piece = malloc(to - from);
		assert_non_null(piece);
		memcpy(piece, t->payload + from, to - from);
		vec[i] = (struct xm_vec){ piece, to - from };
		from = to;
	}
	reason = xm_rx_packet(t->rx, t->now, f, vec, n + 1, false);
	for (i = 0; i <= n; i++)
		free((void *)vec[i].base);
	assert_true(xm_rx_check(t->rx));
	return reason;
}

static inline enum xm_drop t_rx_take(struct t_rx *t, const struct xm_frame *f)
{
	return t_rx_take_cut(t, f, NULL, 0);
}

/* A small slice with number @seq arrives and is installed. */
static inline void t_rx_install(struct t_rx *t, uint32_t seq)
{
	struct xm_frame f = t_rx_slice(t, seq, 0, 32);

	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
}

/* All of the numbers [@from, @end) do. */
static inline void t_rx_install_all(struct t_rx *t, uint32_t from, uint32_t end)
{
	for (; from < end; from++)
		t_rx_install(t, from);
}

/* Does an ACK leave?  It is decoded into t->ack. */
static inline bool t_rx_ack(struct t_rx *t)
{
	uint8_t *buf = malloc(XM_WIRE_HEADER_MAX + XM_ACK_LEN_MAX);
	size_t len, hdr_len;

	assert_non_null(buf);
	len = xm_rx_fill(t->rx, t->now, buf);
	if (len) {
		assert_int_equal(xm_frame_get(&t->ack_frame, &hdr_len, buf, len,
					      len),
				 XM_DROP_NONE);
		assert_int_equal(t->ack_frame.type, XM_WIRE_ACK);
		assert_int_equal(xm_crc32c(0, buf + hdr_len, t->ack_frame.len),
				 t->ack_frame.payload_crc);
		assert_int_equal(xm_ack_get(&t->ack, buf + hdr_len,
					    t->ack_frame.len),
				 XM_DROP_NONE);
	}
	free(buf);
	return len > 0;
}

/* Does the last ACK's bitmap say that @seq is installed? */
static inline bool t_rx_acked(const struct t_rx *t, uint32_t seq)
{
	uint32_t i = seq - (t->ack_frame.seq & ~63u);

	assert_in_range(i, 0, 64 * XM_SACK_WORDS - 1);
	return i / 64 < t->ack.n_words && t->ack.words[i / 64] >> (i % 64) & 1;
}

static inline bool t_rx_is_dirtied(const struct t_rx *t, uint64_t offset)
{
	uint64_t page = offset / XM_PAGE_SIZE;

	return t->map.block[0].dirtied[page / 64] >> (page % 64) & 1;
}

#endif
