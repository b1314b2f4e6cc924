// SPDX-License-Identifier: GPL-2.0-or-later
/* chan_tx.c - the sending half of a channel: TX ring and completion ring
 *
 *   _get   takes a buffer off its free list and promises TX ring entries for
 *          the largest frame it can begin; so _put never fails for space and
 *          a frame is never cut at the end of a batch.
 *   _put   writes all descriptors of the frame behind the ring's producer.
 *   _kick  moves the producer and wakes the kernel.  In copy mode the kernel
 *          sends inside that system call, and only there.
 *   _reap  reads completions; a whole frame gives its buffer back.
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
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "chan_priv.h"
#include "compat.h"
#include "core/hint.h"
#include "desc.h"

#define TX_REAP_BATCH 256 /* completions between stores to the consumer */
#define TX_KICK_MAX   16  /* system calls of one _kick that get somewhere */

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

static bool tx_is_stage(const struct xsk_chan *chan, uint32_t idx)
{
	return idx >= chan->opts.n_bufs;
}

/* UMEM address of buffer @idx: a frame's first descriptor. */
static uint64_t tx_buf_addr(const struct xsk_chan *chan, uint32_t idx)
{
	if (tx_is_stage(chan, idx))
		return chan->umem.stages_addr +
		       (uint64_t)(idx - chan->opts.n_bufs) *
			       chan->opts.stage_len;
	return chan->umem.bufs_addr + (uint64_t)idx * XSK_BUF_LEN;
}

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

static uint32_t tx_room(const struct xsk_chan *chan, bool staged)
{
	return staged ? chan->tx.stage_descs : chan->opts.max_descs;
}

static void tx_free(struct xsk_chan *chan, uint32_t idx)
{
	struct chan_tx *tx = &chan->tx;

	if (tx_is_stage(chan, idx))
		tx->free_stages[tx->n_free_stages++] = idx;
	else
		tx->free_bufs[tx->n_free_bufs++] = idx;
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
	ret_buf->data = chan->umem.base + tx_buf_addr(chan, ret_buf->idx);
	ret_buf->staged = staged;
	return true;
}

void xsk_tx_unget(struct xsk_chan *chan, const struct xsk_buf *buf)
{
	chan->tx.lent -= tx_room(chan, buf->staged);
	tx_free(chan, buf->idx);
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
	    xsk_desc_add_span(&l, tx_buf_addr(chan, buf->idx), len) ||
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

/* -- completions ------------------------------------------------------------------- */

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
	uint64_t addr = tx_buf_addr(chan, idx) + (uint64_t)i * XSK_CHUNK_LEN;
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
	if (tx_is_stage(chan, tx->reap))
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
	tx_free(chan, idx);
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
