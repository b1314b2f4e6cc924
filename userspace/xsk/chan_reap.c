// SPDX-License-Identifier: GPL-2.0-or-later
/* chan_reap.c - the device is done with frames: the completion ring
 *
 * Which frame a completion belongs to is told by its address alone.  A frame
 * begins with a buffer that no other frame can have while it is posted, so
 * that buffer's address names it.  The kernel gives back all descriptors of a
 * frame in one run, header first: in copy mode they are written when its skb
 * is freed (frames among each other in any order), in zero-copy mode they are
 * in ring order.  A run may be cut by the end of a batch; chan_tx.reap and
 * reap_descs remember where.  Each address is compared with the one that was
 * posted.  Anything else is -EPROTO: accounting that is wrong once would give
 * memory back that the device still reads.
 *
 * A completion says that the memory is ours again, not that the frame left:
 * a frame that the kernel dropped completes too.
 *
 * Nearly all are whole frames with segments, one after the other: those are compared
 * where they lie, without noting how far each has come, and told as ranges.
 */
#include <errno.h>
#include <inttypes.h>

#include "chan_priv.h"
#include "core/hint.h"

#define TX_REAP_BATCH 256 /* completions between stores to the consumer */

/* The buffer that begins at @addr, or CHAN_NONE. */
static uint32_t tx_buf_at(const struct xsk_chan *chan, uint64_t addr)
{
	const struct umem *u = &chan->umem;
	uint64_t i;

	if (addr >= u->bufs_addr && addr < u->stages_addr) {
		i = (addr - u->bufs_addr) / XSK_BUF_LEN;
		if (!(addr % XSK_BUF_LEN) && i < chan->opts.n_bufs)
			return (uint32_t)i;
	} else if (addr >= u->stages_addr && addr < u->rx_addr) {
		i = addr - u->stages_addr;
		if (!(i % chan->opts.stage_len))
			return chan->opts.n_bufs +
			       (uint32_t)(i / chan->opts.stage_len);
	}
	return CHAN_NONE;
}

/* The first completion of a frame.  False when none is posted there. */
static bool tx_begin_reap(struct xsk_chan *chan, uint64_t addr)
{
	struct chan_tx *tx = &chan->tx;
	uint32_t idx = tx_buf_at(chan, addr);

	if (idx == CHAN_NONE || !chan_frame_at(tx, idx)->n_descs)
		return false;
	tx->reap = idx;
	tx->reap_descs = 1;
	return true;
}

/* Of @n completions from @at on, how many are of staging frame @idx from descriptor
 * @i on? */
static XM_SELDOM uint32_t tx_match_staged(const struct xsk_chan *chan,
					  uint32_t idx, uint32_t i, uint32_t at,
					  uint32_t n)
{
	uint64_t addr = chan_buf_addr(chan, idx) + (uint64_t)i * XSK_CHUNK_LEN;
	uint32_t k;

	for (k = 0; k < n; k++, addr += XSK_CHUNK_LEN)
		if (*xsk_ring_cons__comp_addr(&chan->sock.comp, at + k) != addr)
			break;
	return k;
}

/* The same of a frame with segments. */
static uint32_t tx_match_segs(const struct xsk_chan *chan, uint32_t idx,
			      uint32_t i, uint32_t at, uint32_t n)
{
	const uint64_t *addr = chan_frame_at(&chan->tx, idx)->addr + i - 1;
	uint32_t k;

	for (k = 0; k < n; k++)
		if (*xsk_ring_cons__comp_addr(&chan->sock.comp, at + k) !=
		    addr[k])
			break;
	return k;
}

/* Take from @n completions at @at what belongs to the frame being reaped.  Returns
 * how many; less than it could be when one is not the next of the frame. */
static uint32_t tx_take_run(struct xsk_chan *chan, uint32_t at, uint32_t n)
{
	struct chan_tx *tx = &chan->tx;
	uint32_t left = chan_frame_at(tx, tx->reap)->n_descs - tx->reap_descs;

	if (n > left)
		n = left;
	if (!n)
		return 0;
	if (chan_is_stage(chan, tx->reap))
		n = tx_match_staged(chan, tx->reap, tx->reap_descs, at, n);
	else
		n = tx_match_segs(chan, tx->reap, tx->reap_descs, at, n);
	tx->reap_descs += n;
	return n;
}

/* Frame @idx is complete: add it to the last of the @n @done, or put it behind them.
 * Returns how many those are then. */
static unsigned int tx_finish(struct xsk_chan *chan, uint32_t idx,
			      struct xsk_done *done, unsigned int n)
{
	struct chan_tx *tx = &chan->tx;
	struct chan_frame *f = chan_frame_at(tx, idx);

	f->n_descs = 0;
	tx->posted--;
	chan_free_buf(chan, idx);
	if (n && f->token == done[n - 1].token + done[n - 1].n &&
	    f->copied == done[n - 1].copied) {
		done[n - 1].n++;
		return n;
	}
	done[n] = (struct xsk_done){ f->token, 1, f->copied };
	return n + 1;
}

static XM_SELDOM int tx_fail_complete(struct xsk_chan *chan, uint32_t at,
				      struct xm_error *e)
{
	uint64_t addr = *xsk_ring_cons__comp_addr(&chan->sock.comp, at);

	return xm_fail(e, -EPROTO, XM_REASON_DEVICE,
		       "%s: queue %u: the kernel completed address 0x%" PRIx64
		       ", which was not posted%s",
		       chan->ifname, chan->opts.queue, addr,
		       chan->tx.reap == CHAN_NONE ? "" : " next in its frame");
}

/* Are the first of @left completions from @c on those of @f, all of them?  Returns how
 * many those are, or 0. */
static inline unsigned int tx_whole(const struct chan_frame *f, const __u64 *c,
				    size_t left)
{
	unsigned int i = f->n_descs;

	if (i == 3) /* spelt out: the shape at MTU 9000 */
		return left >= 3 && c[1] == f->addr[0] && c[2] == f->addr[1] ?
			       3 :
			       0;
	if (!i || i > left)
		return 0;
	while (--i && c[i] == f->addr[i - 1])
		;
	return i ? 0 : f->n_descs;
}

/* Whole frames with segments, as nearly all are, of the @left completions from @c on,
 * which are in a row in memory.  Returns how many completions: the next one is of
 * something else, or cut, or not posted; or @done is full: *ret_n of @max. */
static uint32_t tx_reap_whole(struct xsk_chan *chan, const __u64 *c,
			      size_t left, struct xsk_done *done,
			      unsigned int max, unsigned int *ret_n)
{
	struct chan_tx *tx = &chan->tx;
	const uint64_t bufs = chan->umem.bufs_addr;
	const uint64_t bufs_len = (uint64_t)chan->opts.n_bufs * XSK_BUF_LEN;
	uint32_t *top = tx->free_bufs + tx->n_free_bufs, *bottom = top;
	/* none yet: no frame's copies are so many */
	struct xsk_done last = { 0, 0, UINT32_MAX };
	unsigned int n = *ret_n, n_descs;
	const __u64 *first = c;
	struct chan_frame *f;
	uint64_t at;

	if (n)
		last = done[--n];
	for (; left; c += n_descs, left -= n_descs) {
		at = *c - bufs;
		if (at >= bufs_len || at % XSK_BUF_LEN)
			break;
		f = chan_frame_at(tx, (uint32_t)(at / XSK_BUF_LEN));
		n_descs = tx_whole(f, c, left);
		if (!n_descs)
			break;
		if (f->token != last.token + last.n ||
		    f->copied != last.copied) {
			if (last.n) {
				if (n + 1 == max)
					break;
				done[n++] = last;
			}
			last = (struct xsk_done){ f->token, 0, f->copied };
		}
		last.n++;
		f->n_descs = 0;
		*top++ = (uint32_t)(at / XSK_BUF_LEN);
	}
	if (last.n)
		done[n++] = last;
	tx->n_free_bufs += (uint32_t)(top - bottom);
	tx->posted -= (uint32_t)(top - bottom);
	*ret_n = n;
	return (uint32_t)(c - first);
}

/* The same of what is in pieces, or staged: *ret_i of the completions.  False: the
 * next one is not of a frame, or of the one being reaped. */
static bool tx_reap_part(struct xsk_chan *chan, uint32_t at, uint32_t avail,
			 struct xsk_done *done, unsigned int *ret_n,
			 uint32_t *ret_i)
{
	struct chan_tx *tx = &chan->tx;
	uint32_t i = 0;

	*ret_i = 0;
	if (tx->reap == CHAN_NONE) {
		if (!tx_begin_reap(chan, *xsk_ring_cons__comp_addr(
						 &chan->sock.comp, at)))
			return false;
		i++;
	}
	i += tx_take_run(chan, at + i, avail - i);
	*ret_i = i;
	if (tx->reap_descs < chan_frame_at(tx, tx->reap)->n_descs)
		return i == avail;
	*ret_n = tx_finish(chan, tx->reap, done, *ret_n);
	tx->reap = CHAN_NONE;
	return true;
}

int xsk_tx_reap(struct xsk_chan *chan, struct xsk_done *done, unsigned int max,
		struct xm_error *e)
{
	struct xsk_ring_cons *ring = &chan->sock.comp;
	uint32_t avail, i, row, part, idx;
	const __u64 *c;
	unsigned int n = 0;

	while (n < max) {
		avail = xsk_ring_cons__peek(ring, TX_REAP_BATCH, &idx);
		if (!avail)
			break;
		for (i = 0; i < avail && n < max; i += part) {
			c = xsk_ring_cons__comp_addr(ring, idx + i);
			row = ring->size - ((idx + i) & ring->mask);
			if (row > avail - i)
				row = avail - i;
			part = 0;
			if (chan->tx.reap == CHAN_NONE &&
			    *c < chan->umem.stages_addr)
				part = tx_reap_whole(chan, c, row, done, max,
						     &n);
			if (!part && !tx_reap_part(chan, idx + i, avail - i,
						   done, &n, &part))
				return tx_fail_complete(chan, idx + i + part,
							e);
		}
		xsk_ring_cons__cancel(ring, avail - i);
		xsk_ring_cons__release(ring, i);
	}
	return (int)n;
}
