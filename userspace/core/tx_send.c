// SPDX-License-Identifier: GPL-2.0-or-later
/* tx_send.c - frames of one channel: they leave, and device and peer are done with them
 *
 * Most frames leave for the first time, one after the other, and look alike: whole
 * pages of one packet, as many in each.  Those go as a run.  What is asked, told and
 * counted for it is asked, told and counted once:
 *
 *      packet     HEADER | DATA DATA DATA DATA ... DATA DATA | DATA
 *                   one  |   a run of so many as may leave   |  one, with the
 *                        |                                   |  pages left over
 *
 * It is the same as handing them out one by one.  How many may leave is what as many
 * questions would have said: window, credit and tokens are all counted down by the
 * same amount for each.  All leave at one moment, as they do one by one in a turn, and
 * each has a number of nanoseconds of its own, which is what loss detection goes by.
 * Everything else, a HEADER, what is sent again, what is staged, a slice of a page,
 * goes alone.
 *
 * A run is looked at first (xm_tx_next_run) and taken afterwards (xm_tx_take_run),
 * as much of it as the driver could use: only it knows which pages the device can
 * read where they are, and a frame that was handed out counts as posted.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "multifd.h"
#include "tx_state.h"

/* -- one frame --------------------------------------------------------------- */

/* Where frame @k (from 1) of a packet starts and what it takes. */
static void tx_cut(const struct xm_geometry *geo, uint32_t k,
		   unsigned int n_normal, uint16_t *ret_page,
		   uint16_t *ret_n_segs, uint16_t *ret_start, uint16_t *ret_len)
{
	unsigned int page, left;

	k--;
	*ret_start = 0;
	*ret_len = XM_PAGE_SIZE;
	*ret_n_segs = 1;
	if (geo->pages) {
		page = k * geo->pages;
		left = n_normal - page;
		*ret_n_segs = (uint16_t)(left < geo->pages ? left : geo->pages);
	} else {
		page = k / geo->slices;
		*ret_start = (uint16_t)(k % geo->slices * geo->slice);
		left = XM_PAGE_SIZE - *ret_start;
		*ret_len = (uint16_t)(left < geo->slice ? left : geo->slice);
	}
	*ret_page = (uint16_t)page;
}

/* Describe frame @seq, whose state is @fs; tx_us and stage are the caller's. */
static void tx_describe(const struct xm_tx *tx, uint32_t seq,
			const struct tx_frame_state *fs,
			struct xm_tx_frame *out)
{
	const struct tx_slot *slot = &tx->slot[fs->slot];
	const uint8_t *hdr = (const uint8_t *)tx->opts.hdr_ring +
			     fs->slot * tx->opts.hdr_stride;
	struct xm_frame *f = &out->f;
	uint32_t k = seq - slot->first_seq;
	uint16_t n_segs, start;
	unsigned int i;

	out->slot = fs->slot;
	f->flags = 0;
	f->payload_crc = 0;
	f->is_payload_proven = false;
	f->channel = tx->opts.channel;
	f->cookie = tx->opts.cookie;
	f->epoch = tx->epoch;
	f->seq = seq;
	f->packet = slot->packet;
	if (!k) {
		f->type = XM_WIRE_HEADER;
		f->len = XM_MULTIFD_LEN;
		f->block = f->n_segs = 0;
		f->page = f->seg_len = 0;
		return;
	}
	f->type = XM_WIRE_DATA;
	f->block = slot->block;
	tx_cut(&tx->opts.geo, k, slot->n_normal, &f->page, &n_segs, &start,
	       &f->seg_len);
	f->n_segs = (uint8_t)n_segs;
	f->len = (uint16_t)(n_segs * f->seg_len);
	for (i = 0; i < n_segs; i++)
		f->seg[i] = xm_multifd_offset(hdr, f->page + i) + start;
}

/* Of @max frames from @seq on, which are as large as that one, whose state is @fs: how
 * many may leave?  Notes when to ask again. */
static uint32_t tx_allowed(struct xm_tx *tx, struct xm_time now, uint32_t seq,
			   const struct tx_frame_state *fs, uint32_t max)
{
	uint32_t bytes = fs->bytes, window;

	tx->paced_at = XM_TIME_NEVER;
	if (tx->force)
		return 1;
	if (tx->n_in_flight >= tx->credit || seq - tx->cum >= XM_WINDOW ||
	    !xm_cc_has_room(&tx->cc, tx->in_flight_bytes, bytes))
		return 0;
	if (tx_is_sync(tx, fs))
		return 1;
	if (!xm_cc_may_send(&tx->cc, now, tx->in_flight_bytes, bytes)) {
		tx->paced_at = xm_cc_expiry(&tx->cc, now);
		return 0;
	}
	if (max == 1)
		return 1;
	window = XM_WINDOW - (seq - tx->cum);
	if (max > window)
		max = window;
	if (max > tx->credit - tx->n_in_flight)
		max = tx->credit - tx->n_in_flight;
	return xm_cc_count(&tx->cc, tx->in_flight_bytes, bytes, max);
}

/* When the first of @n frames leaves, for the list `sent`: the others a nanosecond
 * after the one before each. */
static int64_t tx_stamp(struct xm_tx *tx, struct xm_time now, uint32_t n)
{
	int64_t first = tx->last_sent_ns + 1;

	if (now.ns > tx->last_sent_ns)
		first = now.ns;
	tx->last_sent_ns = first + n - 1;
	return first;
}

/* @n frames of @bytes together were put on list sent, and are posted. */
static void tx_count_flight(struct xm_tx *tx, struct xm_time now, uint32_t n,
			    uint32_t bytes)
{
	tx->n_in_flight += n;
	tx->in_flight_bytes += bytes;
	tx->n_posted += n;
	flush_on_sent(tx, now);
	xm_cc_on_sent(&tx->cc, bytes);
	loss_on_sent(tx, now);
}

/* Account for a transmission of @seq, whose state is @fs. */
static void tx_mark_sent(struct xm_tx *tx, struct xm_time now, uint32_t seq,
			 struct tx_frame_state *fs)
{
	if (fs->flags & TX_F_LOST)
		tx_list_remove(tx, &tx->lost, fs);
	fs->flags = (uint8_t)((fs->flags & ~(TX_F_LOST | TX_F_TIMED_OUT)) |
			      TX_F_SENT | TX_F_POSTED);
	fs->sent_ns = tx_stamp(tx, now, 1);
	if (fs->n_sent < UINT8_MAX)
		fs->n_sent++;
	tx_list_append(tx, &tx->sent, fs, seq);
	if (seq == tx->send_seq)
		tx->send_seq++;
	tx_count_flight(tx, now, 1, fs->bytes);
}

/* What the wire says of this moment. */
static uint32_t tx_wire_us(struct xm_tx *tx, struct xm_time now)
{
	if (tx->told.ns != now.ns) {
		tx->told = now;
		tx->told_us = xm_time_wire_us(now);
	}
	return tx->told_us;
}

static void tx_count_sent(struct xm_tx *tx, struct xm_time now,
			  const struct xm_tx_frame *out, unsigned int n_before)
{
	struct xm_tx_stats *st = &tx->stats;
	bool is_data = out->f.type == XM_WIRE_DATA;

	st->frames_sent++;
	if (is_data)
		st->bytes_sent += out->f.len;
	if (n_before) {
		tx->n_doubtful++;
		st->frames_resent++;
		if (is_data)
			st->bytes_resent += out->f.len;
	}
	if (out->stage) {
		st->frames_staged++;
		xm_trace(tx->opts.trace, now, XM_TRACE_STAGE, tx->opts.channel,
			 out->f.seq, 0);
	}
	xm_trace(tx->opts.trace, now, XM_TRACE_SEND, tx->opts.channel,
		 out->f.seq, n_before);
}

int xm_tx_next(struct xm_tx *tx, struct xm_time now,
	       struct xm_tx_frame *ret_frame)
{
	struct tx_frame_state *fs;
	unsigned int n_before;
	uint32_t seq;

	if (tx->err)
		return tx->err;
	seq = tx->lost.head;
	if (seq == TX_NONE) {
		if (tx->send_seq == tx->next_seq) {
			tx->paced_at = XM_TIME_NEVER;
			return XM_TX_E_IDLE;
		}
		seq = tx->send_seq;
	}
	fs = tx_frame(tx, seq);
	if (!tx_allowed(tx, now, seq, fs, 1)) {
		loss_on_blocked(tx, now);
		return XM_TX_E_WAIT;
	}
	tx->force = false;
	n_before = fs->n_sent;
	tx_describe(tx, seq, fs, ret_frame);
	ret_frame->f.tx_us = tx_wire_us(tx, now);
	ret_frame->stage = ret_frame->f.type == XM_WIRE_DATA &&
			   ((fs->flags & TX_F_STAGE) || n_before >= 2);
	if (n_before)
		ret_frame->f.flags |= XM_WIRE_F_RESENT;
	if (ret_frame->stage)
		ret_frame->f.flags |= XM_WIRE_F_STAGED;
	tx_mark_sent(tx, now, seq, fs);
	tx_count_sent(tx, now, ret_frame, n_before);
	return 0;
}

/* -- a run --------------------------------------------------------------------- */

/* Frames from @send_seq on that could leave as a run, if windows allow: 0 for one that
 * has to go alone. */
static uint32_t tx_run_len(const struct xm_tx *tx)
{
	uint32_t pages = tx->opts.geo.pages, seq = tx->send_seq, k;
	const struct tx_slot *slot = &tx->slot[tx_frame(tx, seq)->slot];

	k = seq - slot->first_seq;
	if (!k || !pages || tx->force || tx->lost.head != TX_NONE)
		return 0;
	return slot->n_normal / pages - (k - 1);
}

static void tx_describe_run(struct xm_tx *tx, struct xm_time now, uint32_t n,
			    struct xm_tx_run *run)
{
	const struct xm_tx_opts *o = &tx->opts;
	uint32_t s = tx_frame(tx, tx->send_seq)->slot;
	const struct tx_slot *slot = &tx->slot[s];
	struct xm_frame *f = &run->f;

	run->n = n;
	f->type = XM_WIRE_DATA;
	f->channel = o->channel;
	f->flags = 0;
	f->n_segs = (uint8_t)o->geo.pages;
	f->block = slot->block;
	f->cookie = o->cookie;
	f->epoch = tx->epoch;
	f->seq = tx->send_seq;
	f->packet = slot->packet;
	f->page = (uint16_t)((f->seq - slot->first_seq - 1) * o->geo.pages);
	f->seg_len = XM_PAGE_SIZE;
	f->len = (uint16_t)(o->geo.pages * XM_PAGE_SIZE);
	f->tx_us = tx_wire_us(tx, now);
	f->payload_crc = 0;
	f->is_payload_proven = false;
	run->segs = (const uint8_t *)o->hdr_ring + s * o->hdr_stride +
		    XM_MULTIFD_AT_OFFSET + f->page * sizeof(struct xm_wire_seg);
}

int xm_tx_next_run(struct xm_tx *tx, struct xm_time now, uint32_t max,
		   struct xm_tx_run *ret_run)
{
	uint32_t n;

	if (tx->err)
		return tx->err;
	if (tx->send_seq == tx->next_seq)
		return XM_TX_E_SINGLE; /* or nothing */
	n = tx_run_len(tx);
	if (n > max)
		n = max;
	if (!n)
		return XM_TX_E_SINGLE;
	n = tx_allowed(tx, now, tx->send_seq, tx_frame(tx, tx->send_seq), n);
	if (!n) {
		loss_on_blocked(tx, now);
		return XM_TX_E_WAIT;
	}
	tx_describe_run(tx, now, n, ret_run);
	return 0;
}

/* The @n frames from @seq on, in a row in memory, leave @at and the nanoseconds after
 * it, behind frame @before on list sent. */
static void tx_mark_row(struct xm_tx *tx, uint32_t seq, uint32_t n, int64_t at,
			uint32_t before)
{
	struct tx_frame_state *fs = tx_frame(tx, seq), *end = fs + n;

	for (; fs != end; fs++) {
		fs->sent_ns = at++;
		fs->prev = before;
		before = seq++;
		fs->next = seq;
		fs->flags = TX_F_SENT | TX_F_POSTED;
		fs->n_sent = 1;
	}
}

void xm_tx_take_run(struct xm_tx *tx, struct xm_time now,
		    const struct xm_tx_run *run, uint32_t n)
{
	uint32_t seq = run->f.seq, end = seq + n, row = tx_row(tx, seq, n);
	int64_t at = tx_stamp(tx, now, n);
	uint32_t i;

	assert(n && n <= run->n && seq == tx->send_seq);
	tx_mark_row(tx, seq, row, at, tx->sent.tail);
	tx_mark_row(tx, seq + row, n - row, at + row, seq + row - 1);
	if (tx->sent.tail == TX_NONE)
		tx->sent.head = seq;
	else
		tx_frame(tx, tx->sent.tail)->next = seq;
	tx->sent.tail = end - 1;
	tx_frame(tx, end - 1)->next = TX_NONE;
	tx->send_seq = end;
	tx_count_flight(tx, now, n, n * tx_frame(tx, seq)->bytes);
	tx->stats.frames_sent += n;
	tx->stats.bytes_sent += (uint64_t)n * run->f.len;
	for (i = seq; tx->opts.trace && i != end; i++)
		xm_trace(tx->opts.trace, now, XM_TRACE_SEND, tx->opts.channel,
			 i, 0);
}

/* -- completion ---------------------------------------------------------------- */

void tx_release(struct xm_tx *tx, struct xm_time now, uint32_t s)
{
	const struct tx_slot *slot = &tx->slot[s];

	tx->n_pending--;
	tx->stats.pages_released += slot->n_normal + slot->n_zero;
	xm_trace(tx->opts.trace, now, XM_TRACE_RELEASE, tx->opts.channel, s,
		 tx->n_pending);
}

/* The @n frames from @seq on, in a row in memory, are complete.  Returns the flags of
 * all together, or -EPROTO when one is not posted. */
static int tx_complete_row(struct xm_tx *tx, struct xm_time now, uint32_t seq,
			   uint32_t n)
{
	struct tx_frame_state *fs = tx_frame(tx, seq), *end = fs + n;
	int flags, any = 0;

	for (; fs != end; fs++) {
		flags = fs->flags;
		if (!(flags & TX_F_POSTED))
			return -EPROTO;
		any |= flags;
		fs->flags = (uint8_t)(flags & ~TX_F_POSTED);
		if (flags & TX_F_ACKED)
			tx_close_frames(tx, now, fs->slot, 1);
	}
	return any;
}

int xm_tx_on_complete(struct xm_tx *tx, struct xm_time now, uint32_t epoch,
		      uint32_t seq, uint32_t n, uint32_t copied)
{
	uint32_t end = seq + n, row;
	int any = 0, r;

	if (epoch != tx->epoch || seq > tx->send_seq ||
	    n > tx->send_seq - seq || tx->send_seq - seq > tx->mask + 1)
		return -EPROTO;
	for (; seq != end; seq += row) {
		row = tx_row(tx, seq, end - seq);
		r = tx_complete_row(tx, now, seq, row);
		if (r < 0)
			return r;
		any |= r;
	}
	tx->n_posted -= n;
	if (copied) {
		tx->was_copied = true;
		tx->stats.bytes_copied += (uint64_t)n * copied;
	}
	loss_on_complete(tx, now, any & TX_F_ACKED);
	flush_look_dry(tx, now);
	return 0;
}

/* -- acknowledgement ------------------------------------------------------------- */

/* Do both have the same slot, flags and number of transmissions? */
static bool tx_is_alike(const struct tx_frame_state *a,
			const struct tx_frame_state *b)
{
	_Static_assert(offsetof(struct tx_frame_state, bytes) ==
			       offsetof(struct tx_frame_state, slot) + 4,
		       "what is compared");
	return !memcmp(
		(const uint8_t *)a + offsetof(struct tx_frame_state, slot),
		(const uint8_t *)b + offsetof(struct tx_frame_state, slot), 4);
}

uint32_t tx_ack_run(struct xm_tx *tx, struct xm_time now, uint32_t seq,
		    uint32_t n, struct loss_acked *acked)
{
	struct tx_frame_state *fs = tx_frame(tx, seq), *last;
	const struct tx_frame_state first = *fs;
	uint32_t i = 0, bytes = 0;

	if (first.flags != TX_F_SENT || first.n_sent != 1)
		return 0;
	n = tx_row(tx, seq, n);
	do {
		last = fs++;
		bytes += last->bytes;
		last->flags = TX_F_ACKED;
	} while (++i != n && last->next == seq + i && tx_is_alike(fs, &first));
	tx_list_cut(tx, &tx->sent, &first, last);
	tx->n_in_flight -= i;
	tx->in_flight_bytes -= bytes;
	acked->bytes += bytes;
	acked->frames += i;
	if (!acked->oldest_ns || first.sent_ns < acked->oldest_ns)
		acked->oldest_ns = first.sent_ns;
	if (last->sent_ns > tx->rack_ns)
		tx->rack_ns = last->sent_ns;
	tx_close_frames(tx, now, first.slot, i);
	return i;
}
