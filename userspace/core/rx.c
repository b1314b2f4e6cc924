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
 * HEADER frames carry the multifd header: its zero pages are installed from
 * it, its normal pages are counted, so that the barrier can compare what was
 * announced with what was placed.
 *
 * ACKs: one for each XM_ACK_EVERY frames (or a quarter of the credit, when
 * that is less) or XM_ACK_DELAY_US, at once when
 * something is out of order, came twice, was rejected, or ends the epoch.
 *
 * Not here: IP and UDP (encap.c), the header's checks (frame.c), which epoch
 * it is (the session).
 *
 * Invariants (xm_rx_check): the bit of cum is clear; no bit at or above
 * max_seq; frames installed == cum + bits set.
 */
#include "rx.h"

#include <errno.h>
#include <string.h>

#include "crc32c.h"
#include "hint.h"
#include "multifd.h"
#include "seq.h"

/* A ring of bits; a window and an alignment always fit without overlap. */
#define RX_WORDS XM_SACK_WORDS
_Static_assert(XM_WINDOW + 64 <= RX_WORDS * 64, "limits.h: XM_WINDOW");

struct xm_rx {
	struct xm_rx_opts opts;
	struct xm_rx_stats stats;
	struct xm_rx_totals totals;
	uint32_t epoch; /* that frames are taken of; 0: closed */
	uint32_t ack_every;
	uint32_t cum, max_seq;
	uint32_t sync_seq;
	bool has_sync;

	uint32_t n_unacked; /* frames since the last ACK */
	bool ack_now;
	struct xm_time ack_at;
	bool has_echo;
	uint32_t echo_us;
	struct xm_time echo_at;
	uint32_t n_ce, n_dup; /* of this epoch */
	uint32_t rejects[XM_ACK_REJECTS];
	unsigned int n_rejects;

	uint64_t got[RX_WORDS]; /* ring of bits, index is seq % (64 * RX_WORDS) */
};

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
}

void xm_rx_close(struct xm_rx *rx)
{
	rx->epoch = 0;
	rx->ack_at = XM_TIME_NEVER;
}

/* -- the bitmap ------------------------------------------------------------------ */

static bool rx_has(const struct xm_rx *rx, uint32_t seq)
{
	return rx->got[seq / 64 % RX_WORDS] >> (seq % 64) & 1;
}

/* @seq, new and inside the window, is installed. */
static void rx_mark(struct xm_rx *rx, uint32_t seq)
{
	if (seq != rx->cum || rx->max_seq > seq + 1)
		rx->ack_now = true; /* a gap opens, stands or closes */
	if (seq >= rx->max_seq)
		rx->max_seq = seq + 1;
	rx->got[seq / 64 % RX_WORDS] |= 1ULL << (seq % 64);
	while (rx_has(rx, rx->cum)) {
		rx->got[rx->cum / 64 % RX_WORDS] &= ~(1ULL << (rx->cum % 64));
		rx->cum++;
	}
	rx->totals.frames++;
}

/* -- guest memory ------------------------------------------------------------------ */

static bool block_is_dirtied(const struct xm_block *b, uint64_t page)
{
	return b->dirtied[page / 64] >> (page % 64) & 1;
}

static void block_set_dirtied(struct xm_block *b, uint64_t page, bool on)
{
	uint64_t bit = 1ULL << (page % 64);

	if (on)
		b->dirtied[page / 64] |= bit;
	else
		b->dirtied[page / 64] &= ~bit;
}

/* A reader over the pieces of a payload. */
struct rx_cursor {
	const uint8_t *at;
	size_t left; /* in this piece */
	const struct xm_vec *next;
	unsigned int n; /* pieces behind this one */
};

typedef uint32_t rx_copy_fn(uint32_t crc, void *dst, const void *src,
			    size_t len);

static struct rx_cursor rx_read(const struct xm_vec *vec, unsigned int n)
{
	return (struct rx_cursor){ NULL, 0, vec, n };
}

/* Copy @len payload bytes to @dst and go on summing them. */
static inline uint32_t rx_copy(struct rx_cursor *c, rx_copy_fn *copy,
			       uint32_t crc, uint8_t *dst, size_t len)
{
	size_t part;

	while (len) {
		while (!c->left) {
			if (!c->n)
				return crc;
			c->at = c->next->base;
			c->left = c->next->len;
			c->next++;
			c->n--;
		}
		part = c->left < len ? c->left : len;
		crc = copy(crc, dst, c->at, part);
		dst += part;
		len -= part;
		c->at += part;
		c->left -= part;
	}
	return crc;
}

/* All segments inside the map and on this channel's pages? */
static enum xm_drop rx_check_address(const struct xm_rx *rx,
				     const struct xm_frame *f)
{
	const struct xm_map *map = rx->opts.map;
	unsigned int i;

	for (i = 0; i < f->n_segs; i++) {
		if (!xm_map_has(map, f->block, f->seg[i], f->seg_len))
			return XM_DROP_BAD_ADDRESS;
		/* Mostly in the stripe of the one before. */
		if (i && !((f->seg[i] ^ f->seg[i - 1]) >> map->stripe_shift))
			continue;
		if (xm_map_channel(map, f->block, f->seg[i]) !=
		    rx->opts.channel)
			return XM_DROP_BAD_CHANNEL;
	}
	return XM_DROP_NONE;
}

/* Apart from its caller: both need all registers there are. */
static XM_APART enum xm_drop rx_place(struct xm_rx *rx,
				      const struct xm_frame *f,
				      const struct xm_vec *vec, unsigned int n)
{
	struct rx_cursor c = rx_read(vec, n);
	enum xm_drop reason = rx_check_address(rx, f);
	uint64_t sum = 0, at, len;
	struct xm_block *b;
	uint32_t crc = 0;
	unsigned int i;

	if (reason)
		return reason;
	b = &rx->opts.map->block[f->block];
	for (i = 0; i < f->n_segs;) {
		/* Pages in a row are one copy. */
		at = f->seg[i];
		len = 0;
		do {
			sum += xm_page_hash(f->block, f->seg[i]);
			block_set_dirtied(b, f->seg[i] >> XM_PAGE_SHIFT, true);
			len += f->seg_len;
		} while (++i < f->n_segs && f->seg[i] == at + len);
		crc = rx_copy(&c, xm_crc32c_place, crc, b->hva + at, len);
	}
	if (crc != f->payload_crc && !f->is_payload_proven)
		return XM_DROP_BAD_PAYLOAD_CRC;
	rx->stats.bytes_placed += f->len;
	rx->totals.bytes_placed += f->len;
	rx->totals.sum_placed += sum * f->seg_len;
	return XM_DROP_NONE;
}

/* -- packet headers -------------------------------------------------------------- */

static enum xm_drop rx_check_packet(const struct xm_rx *rx,
				    const struct xm_multifd *pkt, int block)
{
	uint32_t i, n = pkt->normal_pages + pkt->zero_pages;

	if ((pkt->flags & XM_MULTIFD_F_SYNC) ? n != 0 : n == 0)
		return XM_DROP_BAD_PACKET;
	if (n && block < 0)
		return XM_DROP_BAD_PACKET;
	for (i = 0; i < n; i++) {
		if (!xm_map_has(rx->opts.map, (unsigned int)block,
				pkt->offset[i], XM_PAGE_SIZE))
			return XM_DROP_BAD_ADDRESS;
		if (i && !((pkt->offset[i] ^ pkt->offset[i - 1]) >>
			   rx->opts.map->stripe_shift))
			continue;
		if (xm_map_channel(rx->opts.map, (unsigned int)block,
				   pkt->offset[i]) != rx->opts.channel)
			return XM_DROP_BAD_CHANNEL;
	}
	return XM_DROP_NONE;
}

static void rx_count_announced(struct xm_rx *rx, unsigned int block,
			       const struct xm_multifd *pkt)
{
	uint32_t i;

	for (i = 0; i < pkt->normal_pages; i++)
		rx->totals.sum_announced +=
			xm_page_hash(block, pkt->offset[i]) * XM_PAGE_SIZE;
	rx->totals.pages_announced += pkt->normal_pages;
	rx->stats.pages += pkt->normal_pages;
}

static void rx_install_zeros(struct xm_rx *rx, unsigned int block,
			     const struct xm_multifd *pkt)
{
	struct xm_block *b = &rx->opts.map->block[block];
	uint64_t offset;
	uint32_t i;

	for (i = 0; i < pkt->zero_pages; i++) {
		offset = pkt->offset[pkt->normal_pages + i];
		rx->totals.sum_zero +=
			xm_page_hash(block, offset) * XM_PAGE_SIZE;
		rx->stats.zero_pages++;
		rx->totals.zero_pages++;
		if (!block_is_dirtied(b, offset >> XM_PAGE_SHIFT)) {
			rx->stats.zero_holes++; /* still a hole: keep it */
			continue;
		}
		memset(b->hva + offset, 0, XM_PAGE_SIZE);
		block_set_dirtied(b, offset >> XM_PAGE_SHIFT, false);
	}
}

static XM_APART enum xm_drop rx_take_header(struct xm_rx *rx,
					    const struct xm_frame *f,
					    const struct xm_vec *vec,
					    unsigned int n)
{
	struct rx_cursor c = rx_read(vec, n);
	uint8_t raw[XM_MULTIFD_LEN];
	struct xm_multifd pkt;
	enum xm_drop reason;
	int block = -ENOENT;

	if (f->len != sizeof(raw))
		return XM_DROP_BAD_LENGTH;
	if (rx_copy(&c, xm_crc32c_copy, 0, raw, sizeof(raw)) !=
		    f->payload_crc &&
	    !f->is_payload_proven)
		return XM_DROP_BAD_PAYLOAD_CRC;
	if (xm_multifd_get(&pkt, raw))
		return XM_DROP_BAD_PACKET;
	if (pkt.normal_pages + pkt.zero_pages)
		block = xm_map_find(rx->opts.map, pkt.ramblock);
	reason = rx_check_packet(rx, &pkt, block);
	if (reason)
		return reason;
	if (pkt.flags & XM_MULTIFD_F_SYNC) {
		rx->has_sync = true;
		rx->sync_seq = f->seq;
		rx->ack_now = true;
	} else {
		rx_count_announced(rx, (unsigned int)block, &pkt);
		rx_install_zeros(rx, block, &pkt);
	}
	rx->stats.packets++;
	rx->totals.packets++;
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
			    const struct xm_frame *f, bool ce)
{
	if (!rx->has_echo || !xm_seq_before(f->tx_us, rx->echo_us)) {
		rx->has_echo = true;
		rx->echo_us = f->tx_us;
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

static void rx_note_reject(struct xm_rx *rx, uint32_t seq)
{
	rx->ack_now = true;
	if (rx->n_rejects < XM_ACK_REJECTS)
		rx->rejects[rx->n_rejects++] = seq;
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

enum xm_drop xm_rx_packet(struct xm_rx *rx, struct xm_time now,
			  const struct xm_frame *f, const struct xm_vec *vec,
			  unsigned int n, bool ce)
{
	enum xm_drop reason = rx_check_session(rx, f);

	if (!reason) {
		rx_note_arrival(rx, now, f, ce);
		if (f->seq < rx->cum ||
		    (f->seq - rx->cum < XM_WINDOW && rx_has(rx, f->seq))) {
			reason = XM_DROP_DUPLICATE;
			rx->n_dup++;
			rx->ack_now = true;
		} else if (f->seq - rx->cum >= XM_WINDOW) {
			reason = XM_DROP_BEYOND_WINDOW;
		} else {
			reason = rx_install(rx, now, f, vec, n);
		}
	}
	if (reason) {
		xm_rx_drop(rx, reason);
		xm_trace(rx->opts.trace, now, XM_TRACE_DROP, rx->opts.channel,
			 reason, f->seq);
	}
	return reason;
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
