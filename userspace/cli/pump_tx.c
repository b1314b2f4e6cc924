// SPDX-License-Identifier: GPL-2.0-or-later
/* pump_tx.c - the source's part of a turn: packets, frames, flushes
 *
 *   SEND   take pages from the walk, push packets while the ring has slots.
 *          A full ring means flush(N-1), or what --drain says: nothing is
 *          pushed until a slot is released, while the device works on the
 *          others.
 *   FLUSH  the walk is over: flush(0), then SYNC
 *   SYNC   flush(0) again; then the epoch is installed at the peer
 *
 * A frame goes out of guest memory where its pages are in the UMEM, and from
 * a staging frame where the engine has one descriptor a frame, a page is not
 * in the UMEM (it became populated later, or there were too many extents), or
 * the protocol asks for it (a live page failed its CRC), or the session encrypts.
 * Which of the two is known only after xm_tx_next() has chosen the frame, and then
 * it counts as posted: so there must be room for either before that is called.  A
 * run (tx_send.c) is only looked at, and what of it the driver cannot have is not
 * taken: that goes the other way.
 *
 * Pages are looked at for zeros, and summed, in the UMEM's own mapping of them where
 * they have one: what is summed there is what the kernel has pinned, unless a hole
 * was made in the file since; then the sum is that of the new page, the peer rejects
 * the frame, and what it gets is a copy.
 */
#include "pump.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/hint.h"
#include "core/multifd.h"

/* Packets made in a turn, as long as there is not enough to send: few enough that ACKs
 * are not kept waiting by a scan for zero pages.  None is made before: its pages,
 * which are looked at for zeros then, would be gone from the caches when they are
 * summed and sent. */
#define TX_PUSH_MAX 4

/* -- packets ----------------------------------------------------------------------- */

void pump_find_page(void *pump, unsigned int block, uint64_t offset,
		    struct xm_page_view *ret_view)
{
	const struct pump *p = pump;
	const struct xm_block *b = &p->opts.tx.map->block[block];

	if (xsk_guest_view(p->chan, (uint8_t)block, offset, ret_view))
		return;
	/* The next may be in the UMEM, unless none is. */
	*ret_view = p->opts.chan.n_extents ?
			    (struct xm_page_view){ offset,
						   offset + XM_PAGE_SIZE,
						   b->hva + offset } :
			    (struct xm_page_view){ 0, b->len, b->hva };
}

/* Push packets while there are slots and pages, until there is something to send for
 * this turn.  Returns steps made: packets pushed, and the one to FLUSH.  A channel
 * without a page makes just that one, and nothing would wake it for the next. */
static int tx_push(struct pump *p, struct xm_time now, struct xm_error *e)
{
	int n = 0, r;

	if (p->makes_space) {
		r = xm_tx_make_space(p->tx, now);
		if (r == XM_TX_E_PENDING)
			return 0;
		if (r < 0)
			return r;
		p->makes_space = false;
	}
	while (n < TX_PUSH_MAX && xm_tx_unsent(p->tx) < p->turn_max) {
		if (!p->has_batch && !xm_pages_next(&p->pages, &p->batch)) {
			p->state = PUMP_FLUSH;
			n++;
			break;
		}
		p->has_batch = true;
		r = xm_tx_push(p->tx, p->batch.block, p->batch.offset,
			       p->batch.n_normal, p->batch.n_zero);
		if (r == XM_TX_E_FULL) {
			p->makes_space = true;
			(void)xm_tx_make_space(p->tx, now); /* from now on */
			break;
		}
		if (r)
			return xm_fail(e, r, XM_REASON_INTERNAL,
				       "channel %u: a packet was not taken",
				       p->opts.channel);
		p->has_batch = false;
		n++;
	}
	return n;
}

/* The barrier: flush(0), SYNC, flush(0).  1 when a step was made. */
static int tx_barrier(struct pump *p, struct xm_error *e)
{
	int r = xm_tx_flush(p->tx, 0);

	if (r == XM_TX_E_PENDING)
		return 0;
	if (r < 0)
		return r;
	if (p->state == PUMP_SYNC) {
		p->state = PUMP_IDLE;
		return 1;
	}
	r = xm_tx_sync(p->tx);
	if (r)
		return xm_fail(e, r < 0 ? r : -EPROTO, XM_REASON_INTERNAL,
			       "channel %u: SYNC was not taken",
			       p->opts.channel);
	p->state = PUMP_SYNC;
	return 1;
}

/* -- frames -------------------------------------------------------------------------- */

static const uint8_t *tx_seg_hva(const struct pump *p, const struct xm_frame *f,
				 unsigned int i)
{
	return p->opts.tx.map->block[f->block].hva + f->seg[i];
}

static uint8_t *tx_slot(const struct pump *p, uint32_t slot)
{
	return (uint8_t *)p->opts.tx.hdr_ring +
	       (size_t)slot * p->opts.tx.hdr_stride;
}

/* What is in front of frame @f, which is written behind it.  Returns its length. */
static size_t tx_put_prefix(const struct pump *p, const struct xsk_buf *buf,
			    const struct xm_frame *f)
{
	size_t hdr_len =
		XM_WIRE_HEADER_MIN + f->n_segs * sizeof(struct xm_wire_seg);

	return xm_encap_copy(buf->data, &p->head, hdr_len + f->len);
}

static uint32_t tx_copy(bool sums, uint32_t crc, void *to, const void *from,
			size_t len)
{
	if (sums)
		return xm_crc32c_copy(crc, to, from, len);
	memcpy(to, from, len);
	return 0;
}

/* A session that encrypts does so in the copy: the guest may write to its pages
 * while it is made, and not while it is sealed. */
static XM_APART int tx_post_staged(struct pump *p, const struct xm_tx_frame *t,
				   const struct xsk_buf *buf, uint64_t token)
{
	size_t prefix = tx_put_prefix(p, buf, &t->f), hdr_len;
	bool sums = !xm_seal_covers(&p->seal, t->f.type);
	uint8_t *hdr = buf->data + prefix, *to;
	uint32_t crc = 0;
	unsigned int i;
	int r;

	hdr_len = xm_frame_put(hdr, &t->f);
	to = hdr + hdr_len;
	if (t->f.type == XM_WIRE_HEADER)
		crc = tx_copy(sums, 0, to, tx_slot(p, t->slot), t->f.len);
	for (i = 0; i < t->f.n_segs; i++)
		crc = tx_copy(sums, crc, to + (size_t)i * t->f.seg_len,
			      tx_seg_hva(p, &t->f, i), t->f.seg_len);
	r = xm_seal_frame(&p->seal, hdr, hdr_len, crc, to, t->f.len);
	if (r)
		return r;
	return xsk_tx_put(p->chan, buf, (uint32_t)(prefix + hdr_len + t->f.len),
			  NULL, 0, t->f.len, token);
}

/* The CRC of a frame's pages, read where they are pinned; those in a row are one
 * sum. */
static uint32_t tx_sum(const struct pump *p, const struct xsk_seg *seg,
		       unsigned int n)
{
	const struct xsk_seg *end = seg + n;
	const struct xsk_seg *first;
	uint32_t crc = 0;
	size_t len;

	while (seg < end) {
		first = seg;
		len = 0;
		do
			len += seg->len;
		while (++seg < end && seg->addr == first->addr + len);
		crc = xm_crc32c(crc, xsk_seg_data(p->chan, first), len);
	}
	return crc;
}

/* @seg: all pages of the frame, which are in the UMEM. */
static int tx_post_mapped(struct pump *p, const struct xm_tx_frame *t,
			  const struct xsk_buf *buf, struct xsk_seg *seg,
			  uint64_t token)
{
	size_t prefix = tx_put_prefix(p, buf, &t->f), hdr_len;
	uint8_t *hdr = buf->data + prefix;
	unsigned int n = t->f.n_segs;
	uint32_t crc = 0;
	void *slot = NULL;
	int r;

	assert(!xm_seal_encrypts(&p->seal)); /* the plan staged all of it */

	hdr_len = xm_frame_put(hdr, &t->f);
	if (t->f.type == XM_WIRE_HEADER) {
		slot = tx_slot(p, t->slot);
		if (!xm_seal_covers(&p->seal, t->f.type))
			crc = xm_crc32c(0, slot, t->f.len);
		seg[n++] = xsk_seg_slot(p->chan, t->slot, t->f.len);
	} else {
		crc = tx_sum(p, seg, n);
	}
	r = xm_seal_frame(&p->seal, hdr, hdr_len, crc, slot, t->f.len);
	if (r)
		return r;
	return xsk_tx_put(p->chan, buf, (uint32_t)(prefix + hdr_len), seg, n,
			  t->f.len, token);
}

static bool tx_has_segments(const struct pump *p)
{
	return p->opts.chan.engine == XSK_COPY_SG ||
	       p->opts.chan.engine == XSK_ZC_SG;
}

/* Frame or frames from @seq on are not posted: with @r. */
static XM_SELDOM int tx_fail_post(const struct pump *p, int r, uint32_t seq,
				  struct xm_error *e)
{
	return pump_check_seal(p, e) ?:
				       xm_fail(e, r, XM_REASON_INTERNAL,
					       "channel %u: frame %u cannot be posted",
					       p->opts.channel, seq);
}

/* Send one frame.  1; 0: nothing to send, or no room. */
static int tx_send(struct pump *p, struct xm_time now, struct xm_error *e)
{
	struct xsk_seg seg[XM_FRAME_SEGS];
	struct xsk_buf buf;
	struct xm_tx_frame t;
	uint64_t token;
	bool staged;
	int r;

	p->is_stuck = !xsk_tx_has_room(p->chan);
	if (p->is_stuck)
		return 0;
	r = xm_tx_next(p->tx, now, &t);
	if (r)
		return r < 0 ? r : 0;
	staged = !tx_has_segments(p) || t.stage ||
		 !xsk_seg_guest(p->chan, t.f.block, t.f.seg, t.f.n_segs,
				t.f.seg_len, seg);
	if (!xsk_tx_get(p->chan, staged, &buf))
		assert(!"_has_room promised it");
	token = (uint64_t)t.f.epoch << 32 | t.f.seq;
	r = staged ? tx_post_staged(p, &t, &buf, token) :
		     tx_post_mapped(p, &t, &buf, seg, token);
	if (r)
		return tx_fail_post(p, r, t.f.seq, e);
	return 1;
}

/* -- runs of frames -------------------------------------------------------------------- */

/* A run of frames on its way from the protocol to the driver. */
struct tx_run {
	struct xm_tx_run core;
	struct xsk_run bufs;
	uint32_t crc[XSK_RUN_MAX]; /* of each frame's */
};

_Static_assert(XM_PACKET_PAGES <= XSK_RUN_PAGES, "a run is of one packet");

/* Sum each frame's pages where they are pinned.  They ascend (pages.h), so they are in a
 * row if the last is as far from the first as that makes it. */
static XM_APART void tx_sum_run(struct tx_run *run)
{
	const unsigned int n_segs = run->bufs.n_segs;
	const uint32_t len = n_segs * XM_PAGE_SIZE;
	const uint8_t *base = run->bufs.base;
	const uint64_t *at = run->bufs.addr;
	uint32_t *crc = run->crc, *end = crc + run->bufs.n;
	unsigned int i;

	for (; crc != end; crc++, at += n_segs) {
		if (at[n_segs - 1] - at[0] == len - XM_PAGE_SIZE) {
			*crc = xm_crc32c(0, base + at[0], len);
			continue;
		}
		*crc = 0;
		for (i = 0; i < n_segs; i++)
			*crc = xm_crc32c(*crc, base + at[i], XM_PAGE_SIZE);
	}
}

/* Write all headers, sum the pages, seal.  Bytes of a header buffer that are used, or
 * -errno. */
static int tx_make_run(struct pump *p, struct tx_run *run)
{
	const struct xm_frame *f = &run->core.f;
	size_t hdr_len =
		XM_WIRE_HEADER_MIN + f->n_segs * sizeof(struct xm_wire_seg);
	uint8_t prefix[XM_ENCAP_MAX];
	size_t at = xm_encap_copy(prefix, &p->head, hdr_len + f->len);
	int r;

	xm_frame_put_run(run->bufs.hdr, run->bufs.n, prefix, at, f,
			 run->core.segs);
	tx_sum_run(run);
	r = xm_seal_run(&p->seal, run->bufs.hdr, run->bufs.n, at, hdr_len,
			run->crc);
	return r ? r : (int)(at + hdr_len);
}

/* Send up to @max frames.  Frames sent; 0: nothing to send, no room, or what is next
 * goes alone. */
static int tx_send_run(struct pump *p, struct xm_time now, unsigned int max,
		       struct xm_error *e)
{
	const struct xm_frame *f;
	struct tx_run run;
	unsigned int n;
	int r;

	if (xm_tx_next_run(p->tx, now, max, &run.core))
		return 0;
	f = &run.core.f;
	n = xsk_run_get(p->chan, f->block, run.core.segs, run.core.n, f->n_segs,
			&run.bufs);
	if (!n)
		return 0;
	r = tx_make_run(p, &run);
	if (r > 0)
		r = xsk_run_put(p->chan, &run.bufs, (uint32_t)r,
				(uint64_t)f->epoch << 32 | f->seq);
	if (r)
		return tx_fail_post(p, r, f->seq, e);
	xm_tx_take_run(p->tx, now, &run.core, n);
	return (int)n;
}

/* -- a turn ---------------------------------------------------------------------------- */

/* Frames that fit into a turn.  Returns how many were sent. */
static int tx_send_all(struct pump *p, struct xm_time now, struct xm_error *e)
{
	bool has_runs = tx_has_segments(p) && !xm_seal_encrypts(&p->seal) &&
			p->opts.tx.geo.pages;
	unsigned int n = 0;
	int r;

	p->is_stuck = false;
	while (n < p->turn_max) {
		r = has_runs ? tx_send_run(p, now, p->turn_max - n, e) : 0;
		if (!r)
			r = tx_send(p, now, e);
		if (r <= 0)
			return r < 0 ? r : (int)n;
		n += (unsigned int)r;
	}
	return (int)n;
}

int pump_tx_turn(struct pump *p, struct xm_time now, struct xm_error *e)
{
	int n, r = 0;

	if (!xm_time_before(now, xm_tx_expiry(p->tx)))
		r = xm_tx_expire(p->tx, now);
	if (r == -ETIMEDOUT)
		return xm_fail(e, r, XM_REASON_STALLED,
			       "channel %u: the peer acknowledged nothing for "
			       "%.1f s",
			       p->opts.channel,
			       (double)p->opts.tx.stall_ns / XM_SEC);
	if (!r && p->state == PUMP_SEND)
		r = tx_push(p, now, e);
	else if (!r && (p->state == PUMP_FLUSH || p->state == PUMP_SYNC))
		r = tx_barrier(p, e);
	if (r < 0)
		return r;
	n = r;
	r = tx_send_all(p, now, e);
	return r < 0 ? r : n + r;
}
