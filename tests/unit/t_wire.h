/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_wire.h - what is between two pumps: their rings, a kernel and a network
 *
 * The kernel sends when it likes to, from memory that it has pinned, gives buffers back
 * late, in any order and cut anywhere.  The network loses and swaps frames.
 */
#ifndef XM_TESTS_T_WIRE_H
#define XM_TESTS_T_WIRE_H

#include "cli/pump.h"
#include "ctl/frame_keys.h"
#include "xsk/desc.h"

#include "t_chan.h"

#define N_BLOCKS 2
#define N_PAGES  1280 /* of a block at most */
#define HEADROOM 256  /* XDP's, in front of a received frame */
#define N_FLIES  64   /* packets on the wire */

static inline unsigned int t_dice(unsigned int n)
{
	return (unsigned int)random() % n;
}

/* -- both ends ----------------------------------------------------------------------- */

/* A frame that has left and whose completions have not come. */
struct gone {
	uint64_t addr[XM_FRAME_DESCS];
	unsigned int n;
};

struct packet {
	uint8_t data[32 << 10];
	uint32_t len;
};

struct t_end {
	struct pump p;
	struct xsk_chan chan;
	struct t_ring tx, comp, rx, fill;
	struct xm_map map;
	struct frame_keys *keys;
	struct gone gone[RING], coming; /* the latter: the rest of it */
	unsigned int n_gone, n_gone_descs;
	struct packet fly[N_FLIES]; /* to the other end */
	unsigned int n_fly;
	bool is_src, is_lossy;
	/* What the kernel has pinned of pages that the guest has freed. */
	uint8_t *orphan[N_BLOCKS][N_PAGES];
};

/* -- the played kernel ----------------------------------------------------------------- */

/* What the kernel has pinned at @addr. */
static inline const uint8_t *k_read(const struct t_end *e, uint64_t addr)
{
	const struct umem *u = &e->chan.umem;
	const uint8_t *gone = NULL;
	uint64_t at;
	uint32_t i;

	for (i = 0; i < u->n_maps && !gone; i++) {
		at = addr - u->maps[i].addr;
		if (at >= u->maps[i].len)
			continue;
		at += u->maps[i].offset;
		gone = e->orphan[u->maps[i].block][at / PAGE];
		gone = gone ? gone + at % PAGE : NULL;
	}
	return gone ? gone : u->base + addr;
}

/* The next frame of the TX ring leaves. */
static inline void k_send_one(struct t_end *e)
{
	struct gone *g = &e->gone[e->n_gone++];
	struct packet *k = &e->fly[e->n_fly];
	const struct xdp_desc *d;

	g->n = 0;
	k->len = 0;
	do {
		d = &e->tx.desc[e->tx.cons++ % RING];
		memcpy(k->data + k->len, k_read(e, d->addr), d->len);
		k->len += d->len;
		g->addr[g->n++] = d->addr;
		assert_true(e->tx.cons != e->tx.prod || !d->options);
	} while (d->options & XDP_PKT_CONTD);
	e->n_gone_descs += g->n;
	e->n_fly += !e->is_lossy || t_dice(30);
}

static inline void k_send(struct t_end *e)
{
	unsigned int n = t_dice(24);

	while (n-- && e->tx.cons != e->tx.prod && e->n_fly < N_FLIES &&
	       e->n_gone < RING &&
	       e->comp.prod - e->comp.cons + e->n_gone_descs +
			       e->chan.opts.max_descs <=
		       RING)
		k_send_one(e);
}

/* Buffers come back: frame by frame, in any order, and cut anywhere. */
static inline void k_complete(struct t_end *e)
{
	unsigned int n = t_dice(40), i;

	for (; n && (e->n_gone || e->coming.n); n--) {
		if (!e->coming.n) {
			i = t_dice(8) ? 0 : t_dice(e->n_gone);
			e->coming = e->gone[i];
			memmove(&e->gone[i], &e->gone[i + 1],
				(--e->n_gone - i) * sizeof(e->gone[0]));
		}
		e->comp.addr[e->comp.prod++ % RING] = e->coming.addr[0];
		memmove(e->coming.addr, e->coming.addr + 1,
			--e->coming.n * sizeof(e->coming.addr[0]));
		e->n_gone_descs--;
	}
}

/* Into the receiver's chunks, if it has enough. */
static inline void k_receive(struct t_end *e, const struct packet *k)
{
	uint32_t n = (k->len + XSK_PIECE_LEN - 1) / XSK_PIECE_LEN;
	uint32_t at = 0, len;
	uint64_t addr;

	if (e->fill.prod - e->fill.cons < n)
		return;
	for (; n; n--, at += len) {
		len = k->len - at < XSK_PIECE_LEN ? k->len - at : XSK_PIECE_LEN;
		addr = e->fill.addr[e->fill.cons++ % RING] + HEADROOM;
		memcpy(e->chan.umem.base + addr, k->data + at, len);
		e->rx.desc[e->rx.prod++ % RING] =
			(struct xdp_desc){ addr, len,
					   n > 1 ? XDP_PKT_CONTD : 0 };
	}
}

static inline void k_deliver(struct t_end *from, struct t_end *to)
{
	unsigned int n = t_dice(24), i;

	for (; n && from->n_fly; n--) {
		i = from->is_lossy && !t_dice(20) ? t_dice(from->n_fly) : 0;
		k_receive(to, &from->fly[i]);
		memmove(&from->fly[i], &from->fly[i + 1],
			(--from->n_fly - i) * sizeof(from->fly[0]));
	}
}

#endif
