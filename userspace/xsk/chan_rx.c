// SPDX-License-Identifier: GPL-2.0-or-later
/* chan_rx.c - the receiving half of a channel: fill ring and RX ring
 *
 * A frame comes as one descriptor, or as several with XDP_PKT_CONTD on all
 * but the last, one for each chunk it fills.  A batch of descriptors may end
 * inside a frame; the pieces that came are kept until the others have come.
 *
 *   chunk   in the fill ring -> RX ring -> back[], and piece of a lent frame
 *           -> fill ring, by xsk_rx_done()
 *
 * Chunks are never lost: there are rx_chunks of them, and fill ring, RX ring
 * and back[] each have room for all, so that none of them can overflow.
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
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "chan_priv.h"
#include "compat.h"

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
	struct chan_rx *rx = &chan->rx;
	uint32_t i, idx, n = rx->n_back;

	if (!n)
		return;
	if (xsk_ring_prod__reserve(&chan->sock.fill, n, &idx) != n)
		assert(!"fill ring smaller than the receive chunks");
	for (i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&chan->sock.fill, idx + i) =
			rx->back[i];
	xsk_ring_prod__submit(&chan->sock.fill, n);
	for (i = 0; i < rx->n_part; i++)
		rx->back[i] = rx->back[n + i];
	rx->n_back = 0;
}

int chan_rx_init(struct xsk_chan *chan)
{
	struct chan_rx *rx = &chan->rx;
	uint32_t i;

	rx->back = calloc(chan->opts.rx_chunks, sizeof(*rx->back));
	if (!rx->back)
		return -ENOMEM;
	for (i = 0; i < chan->opts.rx_chunks; i++)
		rx->back[i] = chan->umem.rx_addr + (uint64_t)i * XSK_CHUNK_LEN;
	rx->n_back = chan->opts.rx_chunks;
	rx_refill(chan);
	return 0;
}

void chan_rx_fini(struct xsk_chan *chan)
{
	free(chan->rx.back);
	memset(&chan->rx, 0, sizeof(chan->rx));
}

/* One descriptor of the frame @f.  True when it was the last. */
static bool rx_piece(struct xsk_chan *chan, struct xsk_frame *f,
		     const struct xdp_desc *d)
{
	struct chan_rx *rx = &chan->rx;
	unsigned int n = f->n_pieces;

	assert(rx->n_back + rx->n_part < chan->opts.rx_chunks);
	rx->back[rx->n_back + rx->n_part++] = d->addr &
					      ~(uint64_t)(XSK_CHUNK_LEN - 1);
	if (n < XM_FRAME_DESCS) {
		f->piece[n].base = chan->umem.base + d->addr;
		f->piece[n].len = d->len;
		f->n_pieces = n + 1;
		f->len += d->len;
	} else {
		rx->is_swallowing = true;
		rx->n_back += rx->n_part;
		rx->n_part = 0;
	}
	return !(d->options & XDP_PKT_CONTD);
}

/* The frame is whole.  False when it is one to be swallowed. */
static bool rx_frame(struct xsk_chan *chan)
{
	struct chan_rx *rx = &chan->rx;

	rx->n_back += rx->n_part;
	rx->n_part = 0;
	if (!rx->is_swallowing) {
		chan->stats.rx_frames++;
		return true;
	}
	rx->is_swallowing = false;
	chan->stats.rx_oversize++;
	return false;
}

static void rx_begin(struct xsk_frame *f)
{
	f->n_pieces = 0;
	f->len = 0;
}

unsigned int xsk_rx(struct xsk_chan *chan, struct xsk_frame *frames,
		    unsigned int max)
{
	struct xsk_ring_cons *ring = &chan->sock.rx;
	struct xsk_frame *f = frames;
	uint32_t avail, i, idx;

	if (!max)
		return 0;
	*f = chan->rx.part; /* mostly empty */
	while (f < frames + max) {
		avail = xsk_ring_cons__peek(ring, RX_BATCH, &idx);
		if (!avail)
			break;
		for (i = 0; i < avail && f < frames + max; i++) {
			if (!rx_piece(chan, f,
				      xsk_ring_cons__rx_desc(ring, idx + i)))
				continue;
			if (rx_frame(chan) && ++f == frames + max)
				continue;
			rx_begin(f);
		}
		xsk_ring_cons__cancel(ring, avail - i);
		xsk_ring_cons__release(ring, i);
	}
	if (f < frames + max)
		chan->rx.part = *f;
	else
		rx_begin(&chan->rx.part);
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
