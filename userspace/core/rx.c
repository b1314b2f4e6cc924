// SPDX-License-Identifier: GPL-2.0-or-later
/* rx.c - the receiving half of one channel: placing frames into guest memory
 *
 * A frame is placed when it arrives.  DATA says itself where it belongs, so
 * there is no reassembly, no reorder buffer and no order: block, offset and
 * length are covered by the frame's tag and checked against the memory
 * map before a byte is written, and then copy and payload CRC are one pass.
 *
 * Installed at most once.  Every sequence number has a bit; a number that is
 * installed is never placed again, so a delayed original that comes after its
 * own retransmission is a duplicate, not older data (protocol.md 5.2).  Frames
 * of another epoch are not looked at (5.3).
 *
 *      cum                      max_seq
 *       |  installed, bit = 1     |           cum + XM_WINDOW
 *   ----+--1--1-----1--1--1-------+----------------+--------->  seq
 *    all |  gaps: not arrived or  | nothing yet    | dropped
 *    in  |  rejected
 *
 * A payload that does not match its CRC has by then been copied.  That is
 * harmless: the place is right (the tag held), the number stays not
 * installed, so the barrier cannot pass before a good copy has overwritten
 * it.  The page's `dirtied` bit is set before the copy, so that a later zero
 * page clears it.
 *
 * ACKs: one for each XM_ACK_EVERY frames (or a quarter of the credit, when
 * that is less) or XM_ACK_DELAY_US, at once when
 * something is out of order, came twice, was rejected, or ends the epoch.
 *
 * Two ways.  The long one decodes a frame whose tag was found right, asks of each
 * field what can be wrong with it, and has a place for whatever comes.  Most DATA
 * frames need little of that: their first bytes (type, channel, block, number of
 * segments, cookie) are those of one that went that way in this epoch, nothing is
 * missing, the number and the count of the transmission are the next ones, and their
 * pages are in a row.  xm_rx_next() takes these and no others; what it does not ask,
 * equal bytes have answered.  Whatever it is in doubt of it leaves as it was to the
 * long way, which says what is wrong.  Both do the same (test_rx_next.c).
 *
 * Not here: IP and UDP (encap.c), the header's checks (frame.c), packets' headers
 * (rx_header.c), which epoch it is (the session).
 *
 * Invariants (xm_rx_check): the bit of cum is clear; no bit at or above
 * max_seq; frames installed == cum + bits set.
 */
#include "rx.h"

#include <errno.h>
#include <string.h>

#include "be.h"
#include "crc32c.h"
#include "hint.h"
#include "rx_state.h"
#include "seq.h"

size_t xm_rx_footprint(const struct xm_rx_opts *opts)
{
	(void)opts; /* the same for all, as yet */
	return sizeof(struct xm_rx);
}

struct xm_rx *xm_rx_init(void *mem, const struct xm_rx_opts *opts)
{
	struct xm_rx *rx = mem;

	if (!opts->map || opts->channel >= opts->map->n_channels)
		return NULL;
	memset(rx, 0, sizeof(*rx));
	rx->opts = *opts;
	rx->ack_at = XM_TIME_NEVER;
	rx->like_len = RX_LIKE_NONE;
	/* The sender must not run dry of credit before it hears of some. */
	rx->ack_every = opts->credit / 4 < XM_ACK_EVERY ? opts->credit / 4 :
							  XM_ACK_EVERY;
	return rx;
}

void xm_rx_epoch(struct xm_rx *rx, uint32_t epoch)
{
	rx->epoch = epoch;
	rx->cum = rx->max_seq = 0;
	rx->has_sync = false;
	memset(&rx->totals, 0, sizeof(rx->totals));
	memset(rx->got, 0, sizeof(rx->got));
	rx->n_unacked = 0;
	rx->ack_now = false;
	rx->ack_at = XM_TIME_NEVER;
	rx->has_echo = false;
	rx->n_ce = rx->n_dup = 0;
	rx->n_rejects = 0;
	rx->like_len = RX_LIKE_NONE;
	memset(&rx->own, 0, sizeof(rx->own));
}

void xm_rx_close(struct xm_rx *rx)
{
	rx->epoch = 0;
	rx->like_len = RX_LIKE_NONE;
	rx->ack_at = XM_TIME_NEVER;
}

/* -- the bitmap ------------------------------------------------------------------ */

static bool rx_has(const struct xm_rx *rx, uint32_t seq)
{
	return rx->got[seq / 64 % RX_WORDS] >> (seq % 64) & 1;
}

/* The number behind the newest, and none is missing. */
static inline void rx_mark_next(struct xm_rx *rx)
{
	rx->max_seq = ++rx->cum;
	rx->totals.frames++;
}

/* @seq, new and inside the window, is installed. */
static void rx_mark(struct xm_rx *rx, uint32_t seq)
{
	if (seq == rx->cum && rx->max_seq == seq) {
		rx_mark_next(rx);
		return;
	}
	rx->totals.frames++;
	if (seq != rx->cum || rx->max_seq > seq + 1)
		rx->ack_now = true; /* a gap opens, stands or closes */
	if (seq >= rx->max_seq)
		rx->max_seq = seq + 1;
	rx->got[seq / 64 % RX_WORDS] |= 1ULL << (seq % 64);
	while (rx_has(rx, rx->cum)) {
		rx->got[rx->cum / 64 % RX_WORDS] &= ~(1ULL << (rx->cum % 64));
		rx->cum++;
	}
}

/* -- guest memory ------------------------------------------------------------------ */

/* The stripe that @at is in, which is this channel's: the next row is mostly there. */
static void rx_note_stripe(struct xm_rx *rx, unsigned int block, uint64_t at)
{
	struct xm_block *b = &rx->opts.map->block[block];
	unsigned int shift = rx->opts.map->stripe_shift;

	at = at >> shift << shift;
	rx->own.b = b;
	rx->own.block = block;
	rx->own.at = at;
	rx->own.len = b->len - at;
	if (rx->own.len >> shift)
		rx->own.len = 1ULL << shift;
}

XM_SELDOM enum xm_drop rx_look_row(struct xm_rx *rx, unsigned int block,
				   uint64_t at, uint64_t len)
{
	const struct xm_map *map = rx->opts.map;
	uint64_t last = at + len - 1;

	if (!xm_map_has(map, block, at, len))
		return XM_DROP_BAD_ADDRESS;
	/* No row is longer than a stripe. */
	_Static_assert(XM_PACKET_SIZE <= XM_STRIPE_MIN, "");
	if (xm_map_channel(map, block, at) != rx->opts.channel ||
	    ((at ^ last) >> map->stripe_shift &&
	     xm_map_channel(map, block, last) != rx->opts.channel))
		return XM_DROP_BAD_CHANNEL;
	rx_note_stripe(rx, block, last);
	return XM_DROP_NONE;
}

/* A row in @b, number @block, is about to be written.  Returns the sum of its pages'
 * hashes. */
static inline uint64_t rx_note_row(struct xm_rx *rx, struct xm_block *b,
				   unsigned int block, uint64_t at,
				   uint64_t len)
{
	uint64_t last = at + len - 1, in = at - rx->told.at;

	block_dirty(b, at >> XM_PAGE_SHIFT, last >> XM_PAGE_SHIFT);
	/* Mostly they are known already. */
	if (block == rx->told.block && in < rx->told.len &&
	    len <= rx->told.len - in)
		return rx->told.sum[((last - rx->told.at) >> XM_PAGE_SHIFT) + 1] -
		       rx->told.sum[in >> XM_PAGE_SHIFT];
	return xm_page_hash_row(block, at, len);
}

/* @len bytes were placed on pages with these hashes, @seg_len on each. */
static inline void rx_count_placed(struct xm_rx *rx, uint32_t len, uint64_t sum,
				   uint32_t seg_len)
{
	rx->stats.bytes_placed += len;
	rx->totals.bytes_placed += len;
	rx->totals.sum_placed += sum * seg_len;
}

struct rx_row {
	uint64_t at;
	uint32_t len;
};

/* Join @f's segments to rows.  Returns how many. */
static unsigned int rx_rows(const struct xm_frame *f, struct rx_row *ret_row)
{
	unsigned int i = 0, n = 0;

	while (i < f->n_segs) {
		ret_row[n] = (struct rx_row){ f->seg[i], f->seg_len };
		while (++i < f->n_segs &&
		       f->seg[i] == ret_row[n].at + ret_row[n].len)
			ret_row[n].len += f->seg_len;
		n++;
	}
	return n;
}

static enum xm_drop rx_place(struct xm_rx *rx, const struct xm_frame *f,
			     const struct xm_vec *vec, unsigned int n)
{
	struct rx_cursor c = rx_read(vec, n);
	struct rx_row row[XM_FRAME_SEGS];
	unsigned int i, n_rows = rx_rows(f, row);
	enum xm_drop reason = XM_DROP_NONE;
	struct xm_block *b;
	uint32_t crc = 0;
	uint64_t sum = 0;

	for (i = 0; i < n_rows && !reason; i++)
		reason = rx_check_row(rx, f->block, row[i].at, row[i].len);
	if (reason)
		return reason;
	b = &rx->opts.map->block[f->block];
	for (i = 0; i < n_rows; i++) {
		sum += rx_note_row(rx, b, f->block, row[i].at, row[i].len);
		crc = rx_copy(&c, xm_crc32c_place, crc, b->hva + row[i].at,
			      row[i].len);
	}
	if (crc != f->payload_crc && !f->is_payload_proven)
		return XM_DROP_BAD_PAYLOAD_CRC;
	rx_count_placed(rx, f->len, sum, f->seg_len);
	return XM_DROP_NONE;
}

/* -- frames ---------------------------------------------------------------------- */

void xm_rx_drop(struct xm_rx *rx, enum xm_drop reason)
{
	rx->stats.drops.n[reason]++;
}

static enum xm_drop rx_check_session(const struct xm_rx *rx,
				     const struct xm_frame *f)
{
	if (f->cookie != rx->opts.cookie || f->channel != rx->opts.channel)
		return XM_DROP_BAD_COOKIE;
	if (f->type != XM_WIRE_HEADER && f->type != XM_WIRE_DATA)
		return XM_DROP_BAD_TYPE;
	if (!rx->epoch || f->epoch != rx->epoch)
		return XM_DROP_STALE_EPOCH;
	if (f->seq > XM_SEQ_MAX || (rx->has_sync && f->seq > rx->sync_seq))
		return XM_DROP_BEYOND_WINDOW;
	return XM_DROP_NONE;
}

/* The frame is of this session and its header is whole: it arrived, whatever
 * becomes of it. */
static void rx_note_arrival(struct xm_rx *rx, struct xm_time now,
			    uint32_t tx_us, bool ce)
{
	if (!xm_seq_before(tx_us, rx->echo_us)) {
		rx->echo_us = tx_us;
		rx->echo_at = now;
	}
	rx->stats.frames++;
	if (ce) {
		rx->stats.n_ce++;
		rx->n_ce++;
	}
	if (!rx->n_unacked++)
		rx->ack_at = xm_time_add(now, XM_ACK_DELAY_US * XM_US);
}

static XM_SELDOM void rx_note_reject(struct xm_rx *rx, uint32_t seq)
{
	rx->ack_now = true;
	if (rx->n_rejects < XM_ACK_REJECTS)
		rx->rejects[rx->n_rejects++] = seq;
}

/* The first bytes of DATA frame @f, of which cookie and channel are right. */
static void rx_note_like(struct xm_rx *rx, const struct xm_frame *f)
{
	xm_be64_put(rx->like, (uint64_t)XM_WIRE_MAGIC << 48 |
				      (uint64_t)XM_WIRE_VERSION << 40 |
				      (uint64_t)XM_WIRE_DATA << 32 |
				      (uint32_t)f->channel << 24 |
				      (uint32_t)f->flags << 16 |
				      (uint32_t)f->n_segs << 8 | f->block);
	xm_be64_put(rx->like + 8, f->cookie);
	rx->like_len =
		XM_WIRE_HEADER_MIN + f->n_segs * sizeof(struct xm_wire_seg);
}

/* What to do with a frame whose number is new. */
static enum xm_drop rx_install(struct xm_rx *rx, struct xm_time now,
			       const struct xm_frame *f,
			       const struct xm_vec *vec, unsigned int n)
{
	enum xm_drop reason;

	reason = f->type == XM_WIRE_DATA ? rx_place(rx, f, vec, n) :
					   rx_take_header(rx, f, vec, n);
	if (reason == XM_DROP_BAD_PAYLOAD_CRC)
		rx_note_reject(rx, f->seq);
	if (reason)
		return reason;
	rx_mark(rx, f->seq);
	xm_trace(rx->opts.trace, now, XM_TRACE_PLACE, rx->opts.channel, f->seq,
		 f->type);
	if (xm_rx_is_installed(rx))
		xm_trace(rx->opts.trace, now, XM_TRACE_INSTALLED,
			 rx->opts.channel, rx->epoch, 0);
	return XM_DROP_NONE;
}

static XM_SELDOM void rx_note_drop(struct xm_rx *rx, struct xm_time now,
				   enum xm_drop reason, uint32_t seq)
{
	xm_rx_drop(rx, reason);
	xm_trace(rx->opts.trace, now, XM_TRACE_DROP, rx->opts.channel, reason,
		 seq);
}

enum xm_drop xm_rx_packet(struct xm_rx *rx, struct xm_time now,
			  const struct xm_frame *f, const struct xm_vec *vec,
			  unsigned int n, bool ce)
{
	enum xm_drop reason = rx_check_session(rx, f);

	if (!reason) {
		if (!rx->has_echo) /* nothing to be compared with */
			rx->echo_us = f->tx_us;
		rx->has_echo = true;
		rx_note_arrival(rx, now, f->tx_us, ce);
		if (f->seq < rx->cum ||
		    (f->seq - rx->cum < XM_WINDOW && rx_has(rx, f->seq))) {
			reason = XM_DROP_DUPLICATE;
			rx->n_dup++;
			rx->ack_now = true;
		} else if (f->seq - rx->cum >= XM_WINDOW) {
			reason = XM_DROP_BEYOND_WINDOW;
		} else {
			reason = rx_install(rx, now, f, vec, n);
			if (!reason && f->type == XM_WIRE_DATA)
				rx_note_like(rx, f);
		}
	}
	if (reason)
		rx_note_drop(rx, now, reason, f->seq);
	return reason;
}

/* The segments of @p, which is like the DATA frame before, if they are one row, and
 * the rest of the header is as xm_frame_check() wants it. */
static inline bool rx_decode_like(const struct xm_rx *rx, const uint8_t *p,
				  size_t total, struct rx_row *ret_row)
{
	const uint8_t *seg = p + sizeof(struct xm_wire_frame);
	unsigned int i, n_segs = p[6], seg_len = xm_be16_get(p + 30);
	uint64_t at = xm_be64_get(seg), next = at;

	for (i = 1; i < n_segs; i++) {
		seg += sizeof(struct xm_wire_seg);
		next += seg_len;
		if (xm_be64_get(seg) != next)
			return false;
	}
	ret_row->at = at;
	ret_row->len = xm_be16_get(p + 32);
	return total == rx->like_len + ret_row->len &&
	       !xm_frame_check_segs(p, n_segs, ret_row->len, at % XM_PAGE_SIZE);
}

/* Copy and sum all that is in @n pieces, behind @skip bytes of the first, but no more
 * than @len bytes. */
static inline uint32_t rx_copy_all(uint8_t *dst, size_t len,
				   const struct xm_vec *vec, unsigned int n,
				   size_t skip)
{
	const uint8_t *from = (const uint8_t *)vec->base + skip;
	const struct xm_vec *end = vec + n;
	size_t part = vec->len - skip;
	uint32_t crc = 0;

	while (part <= len) {
		crc = xm_crc32c_place(crc, dst, from, part);
		dst += part;
		len -= part;
		if (++vec == end)
			break;
		from = vec->base;
		part = vec->len;
	}
	return crc;
}

int xm_rx_next(struct xm_rx *rx, struct xm_time now, const struct xm_vec *vec,
	       unsigned int n, size_t skip, size_t total, bool ce)
{
	const uint8_t *p = (const uint8_t *)vec->base + skip;
	struct rx_row row;
	uint32_t crc;
	uint64_t sum;

	if (vec->len < skip + rx->like_len ||
	    memcmp(p, rx->like, sizeof(rx->like)) != 0 ||
	    xm_be64_get(p + 16) != ((uint64_t)rx->epoch << 32 | rx->cum) ||
	    rx->max_seq != rx->cum || rx->has_sync || rx->cum > XM_SEQ_MAX ||
	    !rx_decode_like(rx, p, total, &row) ||
	    rx_check_row(rx, p[7], row.at, row.len) ||
	    !xm_seal_open_next(rx->opts.seal, p, rx->like_len))
		return -EAGAIN;
	rx_note_arrival(rx, now, xm_be32_get(p + 36), ce);
	sum = rx_note_row(rx, rx->own.b, p[7], row.at, row.len);
	crc = rx_copy_all(rx->own.b->hva + row.at, row.len, vec, n,
			  skip + rx->like_len);
	if (crc != xm_be32_get(p + 40)) {
		rx_note_reject(rx, rx->cum);
		rx_note_drop(rx, now, XM_DROP_BAD_PAYLOAD_CRC, rx->cum);
		return XM_DROP_BAD_PAYLOAD_CRC;
	}
	rx_count_placed(rx, row.len, sum, xm_be16_get(p + 30));
	xm_trace(rx->opts.trace, now, XM_TRACE_PLACE, rx->opts.channel, rx->cum,
		 XM_WIRE_DATA);
	rx_mark_next(rx);
	return XM_DROP_NONE;
}

/* -- acknowledgements --------------------------------------------------------------- */

static bool rx_ack_is_due(const struct xm_rx *rx, struct xm_time now)
{
	if (!rx->epoch || !rx->n_unacked)
		return false;
	return rx->ack_now || rx->n_unacked >= rx->ack_every ||
	       !xm_time_before(now, rx->ack_at);
}

static void rx_make_ack(const struct xm_rx *rx, struct xm_time now,
			struct xm_ack *ack)
{
	uint32_t base = rx->cum & ~63u;
	uint32_t words = (rx->max_seq - base + 63) / 64;
	unsigned int i;

	ack->credit = rx->opts.credit;
	ack->echo_us = rx->echo_us;
	ack->hold_us = (uint32_t)(xm_time_sub(now, rx->echo_at) / XM_US);
	ack->n_ce = rx->n_ce;
	ack->n_dup = rx->n_dup;
	if (rx->max_seq == rx->cum)
		words = 0;
	if (words > XM_SACK_WORDS)
		words = XM_SACK_WORDS;
	ack->n_words = (uint16_t)words;
	for (i = 0; i < words; i++)
		ack->words[i] = rx->got[(base / 64 + i) % RX_WORDS];
	/* Below cum the ring's word already serves numbers a window later. */
	if (words)
		ack->words[0] &= UINT64_MAX << (rx->cum % 64);
	ack->n_rejects = (uint16_t)rx->n_rejects;
	memcpy(ack->rejects, rx->rejects, sizeof(ack->rejects));
}

size_t xm_rx_fill(struct xm_rx *rx, struct xm_time now, void *dst)
{
	struct xm_frame f = {
		.type = XM_WIRE_ACK,
		.channel = rx->opts.channel,
		.cookie = rx->opts.cookie,
		.epoch = rx->epoch,
		.seq = rx->cum,
		.tx_us = xm_time_wire_us(now),
	};
	struct xm_ack ack;
	uint32_t crc = 0;
	uint8_t *payload;
	size_t hdr_len;

	if (!rx_ack_is_due(rx, now))
		return 0;
	rx_make_ack(rx, now, &ack);
	payload = (uint8_t *)dst + XM_WIRE_HEADER_MIN;
	f.len = (uint16_t)xm_ack_put(payload, &ack);
	hdr_len = xm_frame_put(dst, &f);
	if (!xm_seal_covers(rx->opts.seal, f.type))
		crc = xm_crc32c(0, payload, f.len);
	if (xm_seal_frame(rx->opts.seal, dst, hdr_len, crc, payload, f.len))
		return 0;
	rx->n_unacked = 0;
	rx->ack_now = false;
	rx->ack_at = XM_TIME_NEVER;
	rx->n_rejects = 0;
	rx->stats.acks_sent++;
	xm_trace(rx->opts.trace, now, XM_TRACE_ACK_SENT, rx->opts.channel,
		 rx->cum, ack.credit);
	return hdr_len + f.len;
}

struct xm_time xm_rx_expiry(const struct xm_rx *rx)
{
	return rx->ack_at;
}

/* -- the rest ----------------------------------------------------------------------- */

bool xm_rx_is_installed(const struct xm_rx *rx)
{
	return rx->has_sync && rx->cum == rx->sync_seq + 1 &&
	       rx->max_seq == rx->cum;
}

bool xm_rx_totals_agree(const struct xm_rx_totals *t)
{
	return t->bytes_placed == t->pages_announced * XM_PAGE_SIZE &&
	       t->sum_placed == t->sum_announced;
}

struct xm_rx_totals xm_rx_totals(const struct xm_rx *rx)
{
	return rx->totals;
}

const struct xm_rx_stats *xm_rx_stats(const struct xm_rx *rx)
{
	return &rx->stats;
}

bool xm_rx_check(const struct xm_rx *rx)
{
	uint32_t n = rx->cum, seq;

	if (rx->max_seq < rx->cum || rx->max_seq - rx->cum > XM_WINDOW)
		return false;
	if (rx_has(rx, rx->cum))
		return false;
	for (seq = 0; seq < RX_WORDS; seq++)
		n += (uint32_t)__builtin_popcountll(rx->got[seq]);
	return n == rx->totals.frames;
}
