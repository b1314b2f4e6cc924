// SPDX-License-Identifier: GPL-2.0-or-later
/* chan_run.c - frames that look alike are lent for and posted together
 *
 * What chan_tx.c does for one frame, and for the same reasons: room in the TX ring is
 * there before a header buffer is lent, each descriptor is legal by the kernel's
 * rules (desc.c), each address is kept to be compared with its completion.  Asked and
 * counted once for all: room, buffers, the map the pages are in, the ring's producer,
 * the figures.
 *
 *     TX ring   hdr 0 | page page | hdr 1 | page page | hdr 2 | page page | ...
 *               CONTD   CONTD 0     CONTD   CONTD 0
 *
 * A run has whole pages, and all in one map of guest memory: so that their
 * descriptors are legal is known when they are looked up there, and they begin
 * where a chunk does.  Others go by themselves.
 */
#include <assert.h>

#include "chan_priv.h"
#include "compat.h"
#include "core/be.h"
#include "core/hint.h"
#include "desc.h"

/* Frames of @each descriptors for which there are buffers and room, @n at most. */
static uint32_t run_room(struct xsk_chan *chan, uint32_t n, uint32_t each)
{
	const struct chan_tx *tx = &chan->tx;
	uint32_t room;

	if (each > chan->opts.max_descs)
		return 0;
	if (n > tx->n_free_bufs)
		n = tx->n_free_bufs;
	if (n > XSK_RUN_MAX)
		n = XSK_RUN_MAX;
	room = xsk_prod_nb_free(&chan->sock.tx, tx->lent + n * each);
	if (room >= tx->lent + n * each)
		return n;
	return room > tx->lent ? (room - tx->lent) / each : 0;
}

/* UMEM addresses of the @n pages of @table, as far as they are in one map of
 * @block's.  Returns how many. */
static unsigned int run_find(struct xsk_chan *chan, uint8_t block,
			     const uint8_t *table, unsigned int n,
			     struct xsk_run *run)
{
	const struct umem_map *m;
	uint64_t first, last, addr, at, bits = 0;
	unsigned int i;

	/* Makes the map a hit that has the first. */
	if (!n || umem_find(&chan->umem, block, xm_be64_get(table),
			    XSK_CHUNK_LEN) == UMEM_NONE)
		return 0;
	m = chan->umem.maps + chan->umem.hit;
	first = m->offset;
	last = m->len - XSK_CHUNK_LEN;
	addr = m->addr;
	for (i = 0; i < n; i++) {
		/* huge when it is before */
		at = xm_be64_get(table + 8 * (size_t)i) - first;
		if (at > last)
			break;
		bits |= addr + at;
		run->addr[i] = addr + at;
	}
	return bits % XSK_CHUNK_LEN ? 0 : i;
}

unsigned int xsk_run_get(struct xsk_chan *chan, uint8_t block,
			 const uint8_t *table, unsigned int n,
			 unsigned int n_segs, struct xsk_run *ret_run)
{
	struct chan_tx *tx = &chan->tx;
	uint8_t *bufs = chan->umem.base + chan->umem.bufs_addr;
	const uint32_t *top = tx->free_bufs + tx->n_free_bufs;
	unsigned int found, i;

	n = run_room(chan, n, n_segs + 1);
	if (!n_segs || n * n_segs > XSK_RUN_PAGES)
		n = n_segs ? XSK_RUN_PAGES / n_segs : 0;
	found = run_find(chan, block, table, n * n_segs, ret_run);
	if (found < n * n_segs)
		n = found / n_segs;
	for (i = 0; i < n; i++) {
		ret_run->idx[i] = *--top;
		ret_run->hdr[i] = bufs + (size_t)*top * XSK_BUF_LEN;
	}
	ret_run->base = chan->umem.base;
	ret_run->n = n;
	ret_run->n_segs = n_segs;
	tx->n_free_bufs -= n;
	tx->lent += n * (n_segs + 1);
	return n;
}

/* What a run's frames have in common. */
struct run_post {
	struct chan_tx *tx;
	uint64_t bufs, token;
	uint32_t len, copied;
	const uint32_t *idx;  /* of the next frame */
	const uint64_t *addr; /* of its pages */
};

/* The next @n frames of @n_segs pages, whose descriptors are in a row in memory from @d
 * on. */
static inline void run_row(struct run_post *p, struct xdp_desc *d,
			   unsigned int n, unsigned int n_segs)
{
	const uint32_t *idx = p->idx, *stop = idx + n, len = p->len;
	const uint64_t *addr = p->addr, bufs = p->bufs;
	uint64_t token = p->token;
	struct chan_frame *f;
	unsigned int i;

	for (; idx != stop; idx++) {
		f = chan_frame_at(p->tx, *idx);
		f->token = token++;
		f->copied = p->copied;
		f->n_descs = (uint16_t)(n_segs + 1);
		*d++ = (struct xdp_desc){ bufs + (uint64_t)*idx * XSK_BUF_LEN,
					  len, XDP_PKT_CONTD };
		for (i = 0; i < n_segs; i++) {
			f->addr[i] = *addr;
			*d++ = (struct xdp_desc){ *addr++, XSK_CHUNK_LEN,
						  XDP_PKT_CONTD };
		}
		d[-1].options = 0;
	}
	p->idx = idx;
	p->addr = addr;
	p->token = token;
}

/* The next frame, in whose descriptors the ring's end is. */
static XM_SELDOM void run_wrap(struct run_post *p,
			       const struct xsk_ring_prod *ring, uint32_t at,
			       unsigned int n_segs)
{
	struct xdp_desc d[XM_FRAME_DESCS], *to = ring->ring;
	unsigned int i;

	run_row(p, d, 1, n_segs);
	for (i = 0; i <= n_segs; i++)
		to[(at + i) & ring->mask] = d[i];
}

/* All frames' descriptors, behind the ring's producer. */
static void run_post(struct run_post *p, const struct xsk_ring_prod *ring,
		     unsigned int n, unsigned int n_segs)
{
	uint32_t at = ring->cached_prod, left, row;
	struct xdp_desc *d = ring->ring;

	for (; n; n -= row, at += row * (n_segs + 1)) {
		left = ring->size - (at & ring->mask);
		row = left / (n_segs + 1);
		if (row > n)
			row = n;
		if (!row) {
			row = 1;
			run_wrap(p, ring, at, n_segs);
		} else if (n_segs == 2) { /* spelt out: the shape at MTU 9000 */
			run_row(p, d + (at & ring->mask), row, 2);
		} else {
			run_row(p, d + (at & ring->mask), row, n_segs);
		}
	}
}

int xsk_run_put(struct xsk_chan *chan, const struct xsk_run *run, uint32_t len,
		uint64_t token)
{
	uint32_t n_descs = run->n * (run->n_segs + 1);
	struct chan_tx *tx = &chan->tx;
	struct run_post p = {
		.tx = tx,
		.bufs = chan->umem.bufs_addr,
		.token = token,
		.len = len,
		.copied = run->n_segs * XSK_CHUNK_LEN,
		.idx = run->idx,
		.addr = run->addr,
	};

	if (!len || len > XSK_BUF_LEN || n_descs > tx->lent)
		return -EINVAL;
	if (chan->sock.is_zero_copy)
		p.copied = 0;
	run_post(&p, &chan->sock.tx, run->n, run->n_segs);
	chan->sock.tx.cached_prod += n_descs;
	tx->unpublished += n_descs;
	tx->lent -= n_descs;
	tx->posted += run->n;
	chan->stats.tx_descs += n_descs;
	chan->stats.tx_frames += run->n;
	return 0;
}
