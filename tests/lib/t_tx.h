/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_tx.h - a sender of two channels' guest, its device and its peer by hand
 *
 * Nothing limits it unless a test says so: large windows, much credit, no
 * pacing to speak of.  The guest has two blocks and no memory, since a sender
 * describes pages and does not read them.  After each step the sender's
 * invariants are checked.
 */
#ifndef T_TX_H
#define T_TX_H

#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/multifd.h"
#include "core/tx.h"

#include "t_trace.h"

#define T_MIB    (1ULL << 20)
#define T_COOKIE 0x1122334455667788ULL
#define T_STRIDE 1536 /* larger than a header, so that a wrong one shows */

struct t_tx {
	struct t_trace trace;
	struct xm_map map;
	struct xm_tx_opts opts;
	uint8_t *ring;
	void *mem;
	struct xm_tx *tx;
	struct xm_time now;
	struct xm_tx_frame out; /* what left last */
};

/* Channel 0 of 2: it has [0, 2 MiB) and [4 MiB, 6 MiB) of pc.ram, all of
 * vga.ram, and not [2 MiB, 4 MiB) of pc.ram. */
static inline int t_tx_setup(void **state)
{
	struct t_tx *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	assert_int_equal(xm_map_add(&t->map, "pc.ram", 8 * T_MIB, NULL), 0);
	assert_int_equal(xm_map_add(&t->map, "vga.ram", T_MIB, NULL), 0);
	assert_int_equal(xm_map_shard(&t->map, 2), 0);
	t->ring = malloc(256 * (size_t)T_STRIDE);
	assert_non_null(t->ring);
	t->opts = (struct xm_tx_opts){
		.map = &t->map,
		.geo = { .pages = 2, .slices = 1, .slice = XM_PAGE_SIZE },
		.cookie = T_COOKIE,
		.channel = 0,
		.n_channels = 2,
		.n_slots = 4,
		.hdr_ring = t->ring,
		.hdr_stride = T_STRIDE,
		.credit = 100000,
		.stall_ns = 10 * XM_SEC,
		.cc = { .mss = 1 << 20, .cwnd_max = 1 << 30, .n_channels = 1 },
		.trace = t_trace_begin(&t->trace),
	};
	t->now = (struct xm_time){ 5 * XM_SEC };
	*state = t;
	return 0;
}

static inline int t_tx_teardown(void **state)
{
	struct t_tx *t = *state;

	free(t->mem);
	free(t->ring);
	free(t);
	return 0;
}

/* Lay the sender out in memory of exactly the size it asks for. */
static inline struct xm_tx *t_tx_init(struct t_tx *t)
{
	free(t->mem);
	t->mem = NULL;
	assert_int_equal(posix_memalign(&t->mem, 64, xm_tx_footprint(&t->opts)),
			 0);
	return xm_tx_init(t->mem, &t->opts);
}

/* A sender with the options of @t, in epoch 1. */
static inline struct t_tx *t_tx_begin(struct t_tx *t)
{
	t->tx = t_tx_init(t);
	assert_non_null(t->tx);
	assert_int_equal(xm_tx_epoch(t->tx, 1, t->now), 0);
	assert_true(xm_tx_check(t->tx));
	return t;
}

/* -- the caller's side --------------------------------------------------------- */

/* Push a packet of pc.ram's first pages. */
static inline int t_tx_push(struct t_tx *t, unsigned int n_normal,
			    unsigned int n_zero)
{
	uint64_t offset[XM_PACKET_PAGES];
	unsigned int i;
	int r;

	for (i = 0; i < XM_PACKET_PAGES; i++)
		offset[i] = i * XM_PAGE_SIZE;
	r = xm_tx_push(t->tx, 0, offset, n_normal, n_zero);
	assert_true(xm_tx_check(t->tx));
	return r;
}

static inline int t_tx_next(struct t_tx *t)
{
	int r = xm_tx_next(t->tx, t->now, &t->out);

	assert_true(xm_tx_check(t->tx));
	return r;
}

/* @n frames leave now. */
static inline void t_tx_send(struct t_tx *t, unsigned int n)
{
	while (n--)
		assert_int_equal(t_tx_next(t), 0);
}

/* A packet of @pages pages is pushed and all of it leaves. */
static inline void t_tx_packet(struct t_tx *t, unsigned int pages)
{
	assert_int_equal(t_tx_push(t, pages, 0), 0);
	t_tx_send(t, 1 + xm_geometry_frames(&t->opts.geo, pages));
}

static inline void t_tx_wait(struct t_tx *t, int64_t us)
{
	t->now = xm_time_add(t->now, us * XM_US);
}

/* Microseconds from now until the sender wants to be called. */
static inline int64_t t_tx_expiry_us(const struct t_tx *t)
{
	struct xm_time at = xm_tx_expiry(t->tx);

	assert_false(xm_time_is_never(at));
	return xm_time_sub(at, t->now) / XM_US;
}

static inline int t_tx_expire(struct t_tx *t)
{
	int r = xm_tx_expire(t->tx, t->now);

	assert_true(xm_tx_check(t->tx));
	return r;
}

/* Let the time pass that the sender's timer takes, and call it. */
static inline void t_tx_run_timer(struct t_tx *t)
{
	t->now = xm_tx_expiry(t->tx);
	assert_false(xm_time_is_never(t->now));
	assert_int_equal(t_tx_expire(t), 0);
}

/* -- the device ------------------------------------------------------------------ */

static inline int t_tx_complete(struct t_tx *t, uint32_t seq, uint32_t copied)
{
	int r = xm_tx_on_complete(t->tx, t->now, t->out.f.epoch, seq, 1,
				  copied);

	assert_true(xm_tx_check(t->tx));
	return r;
}

/* The device is done with frames @from to @to. */
static inline void t_tx_complete_all(struct t_tx *t, uint32_t from, uint32_t to)
{
	for (; from <= to; from++)
		assert_int_equal(t_tx_complete(t, from, 0), 0);
}

/* -- the peer -------------------------------------------------------------------- */

/* An ACK that echoes the frame that left last. */
static inline struct xm_ack t_tx_ack(const struct t_tx *t)
{
	return (struct xm_ack){
		.credit = t->opts.credit,
		.echo_us = t->out.f.tx_us,
	};
}

/* Frame @seq arrived, though all below @cum is not all that did. */
static inline void t_tx_ack_bit(struct xm_ack *a, uint32_t cum, uint32_t seq)
{
	uint32_t i = seq - (cum & ~63u);

	a->words[i / 64] |= 1ULL << (i % 64);
	if (i / 64 >= a->n_words)
		a->n_words = (uint16_t)(i / 64 + 1);
}

static inline struct xm_frame t_tx_ack_frame(const struct t_tx *t, uint32_t cum)
{
	return (struct xm_frame){
		.type = XM_WIRE_ACK,
		.channel = t->opts.channel,
		.cookie = t->opts.cookie,
		.epoch = t->out.f.epoch,
		.seq = cum,
	};
}

static inline void t_tx_give(struct t_tx *t, uint32_t cum,
			     const struct xm_ack *a)
{
	struct xm_frame f = t_tx_ack_frame(t, cum);
	uint8_t payload[XM_ACK_LEN_MAX];

	f.len = (uint16_t)xm_ack_put(payload, a);
	f.payload_crc = xm_crc32c(0, payload, f.len);
	xm_tx_packet(t->tx, t->now, &f, payload);
	assert_true(xm_tx_check(t->tx));
}

/* All below @cum arrived. */
static inline void t_tx_give_cum(struct t_tx *t, uint32_t cum)
{
	struct xm_ack a = t_tx_ack(t);

	t_tx_give(t, cum, &a);
}

/* All below @end arrived but @gap. */
static inline void t_tx_give_gap(struct t_tx *t, uint32_t gap, uint32_t end)
{
	struct xm_ack a = t_tx_ack(t);
	uint32_t seq;

	for (seq = gap + 1; seq < end; seq++)
		t_tx_ack_bit(&a, gap, seq);
	t_tx_give(t, gap, &a);
}

#endif
