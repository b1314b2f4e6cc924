// SPDX-License-Identifier: GPL-2.0-or-later
/* chan_rx.c - the receiving half of a channel: fill ring and RX ring
 *
 * A frame comes as one descriptor, or as several with XDP_PKT_CONTD on all
 * but the last, one for each chunk it fills.  A batch of descriptors may end
 * inside a frame; the pieces that came are kept until the others have come.
 *
 *   chunk   in the fill ring -> RX ring -> piece of a lent frame, and written
 *           behind the fill ring's producer -> in the fill ring, by
 *           xsk_rx_done(), which moves that
 *
 * Chunks are never lost: there are rx_chunks of them, and fill ring and RX ring
 * have room for all, so that none of them can overflow.  The fill ring has twice
 * the room: what is written behind its producer can be no entry that the kernel
 * has not read, as those and the chunks that are held are rx_chunks together.
 *
 * A frame with more pieces than any of ours is not read further than that:
 * its chunks go back, it counts as oversize.  Nothing else about a frame's
 * content is looked at here.
 *
 * A driver in zero-copy mode that finds the fill ring empty sleeps until it is
 * woken; it says so with the ring's need-wakeup flag.  Copy mode takes the
 * chunks when packets come and never needs that.
 */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "chan_priv.h"
#include "compat.h"
#include "core/hint.h"

#define RX_BATCH 64 /* descriptors between two stores to the shared consumer */

static void rx_wake(struct xsk_chan *chan)
{
	chan->stats.syscalls++;
	/* A failure shows as frames that do not come; the send side reports
	 * what is wrong with the socket. */
	(void)recvfrom(chan->sock.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void rx_refill(struct xsk_chan *chan)
{
	uint32_t idx, n = chan->rx.n_back;

	if (!n)
		return;
	if (xsk_ring_prod__reserve(&chan->sock.fill, n, &idx) != n)
		assert(!"fill ring smaller than the receive chunks");
	xsk_ring_prod__submit(&chan->sock.fill, n);
	chan->rx.n_back = 0;
}

void chan_rx_init(struct xsk_chan *chan)
{
	struct xsk_ring_prod *fill = &chan->sock.fill;
	uint32_t i;

	for (i = 0; i < chan->opts.rx_chunks; i++)
		*xsk_ring_prod__fill_addr(fill, fill->cached_prod + i) =
			chan->umem.rx_addr + (uint64_t)i * XSK_CHUNK_LEN;
	chan->rx.n_back = chan->opts.rx_chunks;
	rx_refill(chan);
}

/* The last piece of a frame with too many is there. */
static XM_SELDOM void rx_swallow(struct xsk_chan *chan)
{
	chan->rx.is_swallowing = false;
	chan->stats.rx_oversize++;
}

static inline void rx_begin(struct xsk_frame *f)
{
	f->n_pieces = 0;
	f->len = 0;
}

/* Where the next chunk goes back to. */
static __u64 *rx_back(struct xsk_chan *chan)
{
	struct xsk_ring_prod *fill = &chan->sock.fill;

	return xsk_ring_prod__fill_addr(
		fill, fill->cached_prod + chan->rx.n_back + chan->rx.n_part);
}

/* Descriptors from number @idx of the RX ring on, @n at most, such that neither they
 * nor what is written for them wrap. */
static uint32_t rx_straight(struct xsk_chan *chan, uint32_t idx, uint32_t n)
{
	const struct xsk_ring_cons *ring = &chan->sock.rx;
	struct xsk_ring_prod *fill = &chan->sock.fill;
	uint32_t rx = ring->size - (idx & ring->mask);
	uint32_t back =
		(uint32_t)((__u64 *)fill->ring + fill->size - rx_back(chan));

	if (n > rx)
		n = rx;
	return n < back ? n : back;
}

/* Take descriptors, @n from @d on, up to the end of the last frame that there is room
 * for.  The first adds to *@frame, which may have pieces; that is moved to the frame
 * behind the last whole one, of which the same is true then, if there is room for it.
 * Returns how many. */
static inline uint32_t rx_run(struct xsk_chan *chan, const struct xdp_desc *d,
			      uint32_t n, struct xsk_frame **frame,
			      const struct xsk_frame *end)
{
	uint8_t *const base = chan->umem.base;
	struct chan_rx *rx = &chan->rx;
	struct xsk_frame *f = *frame;
	struct xm_vec *v = f->piece + f->n_pieces;
	__u64 *back = rx_back(chan);
	const __u64 *begin = back;
	const __u64 *whole = NULL; /* behind those of whole frames */
	uint32_t len = f->len;
	const struct xm_vec *full = f->piece + XM_FRAME_DESCS;
	const struct xdp_desc *first = d, *last = d + n;
	uint64_t addr;

	while (d < last) {
		addr = d->addr;
		*back++ = addr & ~(uint64_t)(XSK_CHUNK_LEN - 1);
		if (v < full) {
			v->base = base + addr;
			v->len = d->len;
			len += d->len;
			v++;
		} else {
			rx->is_swallowing = true;
		}
		if (d++->options & XDP_PKT_CONTD)
			continue;
		whole = back;
		if (rx->is_swallowing) {
			rx_swallow(chan);
		} else {
			f->n_pieces = (unsigned int)(v - f->piece);
			f->len = len;
			if (++f == end)
				break;
		}
		v = f->piece;
		full = v + XM_FRAME_DESCS;
		len = 0;
	}
	if (f != end) {
		f->n_pieces = (unsigned int)(v - f->piece);
		f->len = len;
	}
	if (rx->is_swallowing)
		whole = back; /* nobody wants them */
	if (whole) {
		rx->n_back += rx->n_part + (uint32_t)(whole - begin);
		rx->n_part = 0;
		begin = whole;
	}
	rx->n_part += (uint32_t)(back - begin);
	assert(rx->n_back + rx->n_part <= chan->opts.rx_chunks);
	*frame = f;
	return (uint32_t)(d - first);
}

unsigned int xsk_rx(struct xsk_chan *chan, struct xsk_frame *frames,
		    unsigned int max)
{
	const struct xsk_frame *end = frames + max;
	struct xsk_ring_cons *ring = &chan->sock.rx;
	struct xsk_frame *f = frames;
	uint32_t avail, n, idx;

	if (!max)
		return 0;
	rx_begin(f);
	if (chan->rx.n_part)
		*f = chan->rx.part;
	while (f < end) {
		avail = xsk_ring_cons__peek(ring, RX_BATCH, &idx);
		if (!avail)
			break;
		n = rx_run(chan, xsk_ring_cons__rx_desc(ring, idx),
			   rx_straight(chan, idx, avail), &f, end);
		xsk_ring_cons__cancel(ring, avail - n);
		xsk_ring_cons__release(ring, n);
	}
	if (f < end && chan->rx.n_part)
		chan->rx.part = *f;
	chan->stats.rx_frames += (uint64_t)(f - frames);
	if (f == frames && chan->opts.busy_poll_us)
		rx_wake(chan);
	return (unsigned int)(f - frames);
}

void xsk_rx_done(struct xsk_chan *chan)
{
	rx_refill(chan);
	if (xsk_ring_prod__needs_wakeup(&chan->sock.fill) &&
	    chan->sock.is_zero_copy)
		rx_wake(chan);
}

uint32_t xsk_rx_credit(const struct xsk_chan *chan, uint32_t frame_len)
{
	uint32_t piece = chan->sock.is_zero_copy && chan->opts.max_descs > 1 ?
				 XSK_PIECE_LEN_ZC_SG :
				 XSK_PIECE_LEN;

	if (frame_len <= piece)
		return chan->opts.rx_chunks;
	return chan->opts.rx_chunks / ((frame_len + piece - 1) / piece);
}
