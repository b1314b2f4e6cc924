// SPDX-License-Identifier: GPL-2.0-or-later
/* chan_tx.c - the sending half of a channel: TX ring and completion ring
 *
 *   _get   takes a buffer off its free list and promises TX ring entries for
 *          the largest frame it can begin; so _put never fails for space and
 *          a frame is never cut at the end of a batch.
 *   _put   writes all descriptors of the frame behind the ring's producer.
 *          (Of many frames that look alike chan_run.c does both at once.)
 *   _kick  moves the producer and wakes the kernel.  In copy mode the kernel
 *          sends inside that system call, and only there.
 *   _reap  reads completions (chan_reap.c); a whole frame gives its buffer back.
 *
 * Outcomes of the wake-up, all of them normal on a busy link:
 *
 *   EAGAIN   per-call budget, full completion ring, send buffer, or a device
 *            that pushes back; nothing is lost.  Goes on at once only if
 *            this call got somewhere, so that it cannot spin.
 *   EBUSY    the device dropped one frame; the rest is still in the ring
 *   ENOBUFS, ENOMEM   no memory for an skb right now
 *   ENETDOWN the device is down; frames stay in the ring
 *
 * A wake-up can get lost (a driver that ends its poll as we look at the flag),
 * and after EAGAIN or EBUSY the rest of the ring waits for the next one: so
 * _kick may be called at any time and calls the kernel as long as the TX ring
 * is not empty or, in zero-copy mode, a frame is not complete.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "chan_priv.h"
#include "compat.h"
#include "core/hint.h"
#include "desc.h"

#define TX_KICK_MAX 16 /* system calls of one _kick that get somewhere */

int chan_tx_init(struct xsk_chan *chan)
{
	const struct xsk_chan_opts *o = &chan->opts;
	struct chan_tx *tx = &chan->tx;
	uint32_t i;

	tx->frame_len = sizeof(struct chan_frame) +
			(o->max_descs - 1) * sizeof(uint64_t);
	tx->frames = calloc((size_t)o->n_bufs + o->n_stages + 1, tx->frame_len);
	tx->free_bufs = calloc((size_t)o->n_bufs + 1, sizeof(uint32_t));
	tx->free_stages = calloc((size_t)o->n_stages + 1, sizeof(uint32_t));
	if (!tx->frames || !tx->free_bufs || !tx->free_stages)
		return -ENOMEM;
	for (i = o->n_bufs; i;)
		tx->free_bufs[tx->n_free_bufs++] = --i;
	for (i = o->n_stages; i;)
		tx->free_stages[tx->n_free_stages++] = o->n_bufs + --i;
	tx->stage_descs = o->stage_len / XSK_CHUNK_LEN;
	tx->reap = CHAN_NONE;
	return 0;
}

void chan_tx_fini(struct xsk_chan *chan)
{
	free(chan->tx.frames);
	free(chan->tx.free_bufs);
	free(chan->tx.free_stages);
	memset(&chan->tx, 0, sizeof(chan->tx));
}

/* -- buffers ------------------------------------------------------------------- */

static uint32_t tx_room(const struct xsk_chan *chan, bool staged)
{
	return staged ? chan->tx.stage_descs : chan->opts.max_descs;
}

bool xsk_tx_get(struct xsk_chan *chan, bool staged, struct xsk_buf *ret_buf)
{
	struct chan_tx *tx = &chan->tx;
	uint32_t need = tx->lent + tx_room(chan, staged);

	if (staged ? !tx->n_free_stages : !tx->n_free_bufs)
		return false;
	if (xsk_prod_nb_free(&chan->sock.tx, need) < need)
		return false;
	tx->lent = need;
	ret_buf->idx = staged ? tx->free_stages[--tx->n_free_stages] :
				tx->free_bufs[--tx->n_free_bufs];
	ret_buf->data = chan->umem.base + chan_buf_addr(chan, ret_buf->idx);
	ret_buf->staged = staged;
	return true;
}

void xsk_tx_unget(struct xsk_chan *chan, const struct xsk_buf *buf)
{
	chan->tx.lent -= tx_room(chan, buf->staged);
	chan_free_buf(chan, buf->idx);
}

bool xsk_tx_has_room(struct xsk_chan *chan)
{
	const struct chan_tx *tx = &chan->tx;
	/* No staging frame has more descriptors than a frame can have. */
	uint32_t need = tx->lent + chan->opts.max_descs;

	if (!tx->n_free_stages || (chan->opts.n_bufs && !tx->n_free_bufs))
		return false;
	return xsk_prod_nb_free(&chan->sock.tx, need) >= need;
}

/* -- segments -------------------------------------------------------------------- */

/* The pages from @i on, one of which is not in the map that had the last. */
static XM_SELDOM bool tx_look_for(struct xsk_chan *chan, uint8_t block,
				  const uint64_t *offset, unsigned int i,
				  unsigned int n, uint32_t len,
				  struct xsk_seg *ret_segs)
{
	for (; i < n; i++) {
		ret_segs[i].addr =
			umem_find(&chan->umem, block, offset[i], len);
		ret_segs[i].len = len;
		if (ret_segs[i].addr == UMEM_NONE)
			return false;
	}
	return true;
}

bool xsk_seg_guest(struct xsk_chan *chan, uint8_t block, const uint64_t *offset,
		   unsigned int n, uint32_t len, struct xsk_seg *ret_segs)
{
	const struct umem_map *m = chan->umem.maps + chan->umem.hit;
	unsigned int i;

	/* What is behind the maps may be one that was left out. */
	if (chan->umem.hit >= chan->umem.n_maps)
		return tx_look_for(chan, block, offset, 0, n, len, ret_segs);
	for (i = 0; i < n; i++) {
		if (!umem_map_has(m, block, offset[i], len))
			return tx_look_for(chan, block, offset, i, n, len,
					   ret_segs);
		ret_segs[i].addr = m->addr + (offset[i] - m->offset);
		ret_segs[i].len = len;
	}
	return true;
}

const void *xsk_seg_data(const struct xsk_chan *chan, const struct xsk_seg *seg)
{
	return chan->umem.base + seg->addr;
}

struct xsk_seg xsk_seg_slot(const struct xsk_chan *chan, uint32_t slot,
			    uint32_t len)
{
	bool is_one = slot < chan->opts.n_slots && len <= XSK_SLOT_LEN;

	return (struct xsk_seg){
		.addr = is_one ? chan->umem.slots_addr +
					 (uint64_t)slot * XSK_SLOT_LEN :
				 UMEM_NONE, /* which _put refuses */
		.len = len,
	};
}

/* -- posting --------------------------------------------------------------------- */

/* A frame begins in the ring; _get promised room. */
static void tx_begin(const struct xsk_chan *chan, struct xsk_desc_list *l)
{
	const struct xsk_ring_prod *ring = &chan->sock.tx;

	xsk_desc_init(l, ring->ring, ring->cached_prod, ring->mask,
		      chan->umem.len, chan->opts.max_descs);
}

/* Those of a header buffer and segments; the segments' addresses are kept. */
static int tx_build(const struct xsk_chan *chan, struct xsk_desc_list *l,
		    uint32_t idx, uint32_t len, const struct xsk_seg *seg,
		    unsigned int n_segs)
{
	uint64_t *addr = chan_frame_at(&chan->tx, idx)->addr;
	unsigned int i;

	if (n_segs >= chan->opts.max_descs || len > XSK_BUF_LEN ||
	    xsk_desc_add(l, chan->umem.bufs_addr + (uint64_t)idx * XSK_BUF_LEN,
			 len))
		return -EINVAL;
	for (i = 0; i < n_segs; i++) {
		if (xsk_desc_add(l, seg[i].addr, seg[i].len))
			return -EINVAL;
		addr[i] = seg[i].addr;
	}
	return xsk_desc_seal(l);
}

/* The frame @l, which is in the ring behind the producer, is to be sent. */
static void tx_post(struct xsk_chan *chan, const struct xsk_desc_list *l,
		    const struct xsk_buf *buf, uint32_t payload_len,
		    uint64_t token)
{
	struct chan_frame *f = chan_frame_at(&chan->tx, buf->idx);

	chan->sock.tx.cached_prod += l->n;
	chan->tx.unpublished += l->n;
	chan->stats.tx_descs += l->n;
	chan->stats.tx_frames++;
	chan->tx.lent -= tx_room(chan, buf->staged);
	chan->tx.posted++;
	f->token = token;
	f->copied = chan->sock.is_zero_copy ? 0 : payload_len;
	if (buf->staged)
		f->copied += payload_len;
	f->n_descs = (uint16_t)l->n;
}

static XM_SELDOM int tx_put_staged(struct xsk_chan *chan,
				   const struct xsk_buf *buf, uint32_t len,
				   uint32_t payload_len, uint64_t token)
{
	struct xsk_desc_list l;

	tx_begin(chan, &l);
	if (len > chan->opts.stage_len ||
	    xsk_desc_add_span(&l, chan_buf_addr(chan, buf->idx), len) ||
	    xsk_desc_seal(&l))
		return -EINVAL;
	tx_post(chan, &l, buf, payload_len, token);
	return 0;
}

int xsk_tx_put(struct xsk_chan *chan, const struct xsk_buf *buf, uint32_t len,
	       const struct xsk_seg *seg, unsigned int n_segs,
	       uint32_t payload_len, uint64_t token)
{
	struct xsk_desc_list l;

	if (buf->staged)
		return n_segs ? -EINVAL :
				tx_put_staged(chan, buf, len, payload_len,
					      token);
	tx_begin(chan, &l);
	if (tx_build(chan, &l, buf->idx, len, seg, n_segs))
		return -EINVAL;
	tx_post(chan, &l, buf, payload_len, token);
	return 0;
}

uint32_t xsk_tx_posted(const struct xsk_chan *chan)
{
	return chan->tx.posted;
}

/* -- waking the kernel --------------------------------------------------------- */

static uint32_t tx_consumer(const struct xsk_chan *chan)
{
	return __atomic_load_n(chan->sock.tx.consumer, __ATOMIC_ACQUIRE);
}

static bool tx_wants_kick(const struct xsk_chan *chan)
{
	if (!chan->tx.posted || !xsk_ring_prod__needs_wakeup(&chan->sock.tx))
		return false;
	return chan->sock.is_zero_copy ||
	       tx_consumer(chan) != *chan->sock.tx.producer;
}

/* The wake-up failed with @err.  1: try again, 0: enough, -errno. */
static XM_SELDOM int tx_kick_failed(struct xsk_chan *chan, int err,
				    bool advanced, struct xm_error *e)
{
	switch (err) {
	case EAGAIN:
	case EINTR:
		chan->stats.kicks_again++;
		return advanced;
	case ENOBUFS:
	case ENOMEM:
		chan->stats.kicks_again++;
		return 0;
	case EBUSY:
		chan->stats.kicks_dropped++;
		return 0;
	case ENETDOWN:
		return -ENETDOWN;
	default:
		break;
	}
	return xm_fail(
		e, -err, XM_REASON_DEVICE, "%s: queue %u: sending: %s%s",
		chan->ifname, chan->opts.queue, strerror(err),
		!chan->sock.is_zero_copy ?
			"; is the device gone?" :
		err == EINVAL || err == ENXIO ?
			"; the driver has no XDP rings: attach an XDP program in native mode" :
			"");
}

int xsk_tx_kick(struct xsk_chan *chan, struct xm_error *e)
{
	uint32_t before;
	int i, r;

	if (chan->tx.unpublished) {
		xsk_ring_prod__submit(&chan->sock.tx, chan->tx.unpublished);
		chan->tx.unpublished = 0;
	}
	/* The producer must be seen before the flag is read: a driver sets
	 * the flag and then looks at the ring a last time. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (i = 0; i < TX_KICK_MAX && tx_wants_kick(chan); i++) {
		before = tx_consumer(chan);
		chan->stats.kicks++;
		chan->stats.syscalls++;
		if (sendto(chan->sock.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			return 0;
		r = tx_kick_failed(chan, errno, tx_consumer(chan) != before, e);
		if (r <= 0)
			return r;
	}
	return 0;
}
