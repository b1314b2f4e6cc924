// SPDX-License-Identifier: GPL-2.0-or-later
/* tx.c - the sending half of one channel: packets, frames, flush
 *
 * Header ring.  A packet is QEMU's: a 1344-byte header and up to 128 pages of
 * one RAM block.  Its header stays in a slot of a ring that the caller lends
 * (in the UMEM), since a retransmission reads it again; the pages stay where
 * they are, in guest memory.  With N slots at most N packets are unreleased,
 * which is what --in-flight bounds.
 *
 *      slot 0      slot 1      slot 2              slot N-1
 *    +-----------+-----------+-----------+- - - -+-----------+
 *    | header    | header    | header    |       | header    |   lent by the
 *    +-----------+-----------+-----------+- - - -+-----------+   caller
 *      |           `- seq 65 ... 129
 *      `- seq 0 HEADER, seq 1 ... 64 DATA (two pages each at MTU 9000)
 *
 * Numbers.  A packet takes as many consecutive sequence numbers as it has
 * frames; number and geometry say what a frame holds, nothing is stored.  A
 * retransmission keeps its number (protocol.md 5.2), so the receiver can
 * install each at most once.
 *
 * Released.  A slot is released when each of its frames is complete (the
 * device gave its memory back) and acknowledged (the peer installed it).
 * Completion alone means nothing was delivered; an acknowledgement alone does
 * not mean that the device is done with the header.
 *
 * Live pages.  A page may change between the CRC and the device's read.  The
 * receiver then rejects the frame, and its next transmission is flagged
 * `stage`: copied first, and the copy summed.  A second retransmission for
 * whatever reason is staged too.  So no page can fail for ever.
 *
 * Not here: waiting for slots (flush.c), which pages to send (epoch by epoch,
 * from the caller), when a frame is lost (loss.c), how fast to send (cc.c).
 *
 * Invariants (xm_tx_check): the lists' lengths agree with the counters; an
 * acked frame is on no list; a slot's `open` is the number of its frames that
 * are posted or not acked; cum <= send_seq <= next_seq.
 */
#include "tx.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "multifd.h"
#include "seq.h"
#include "tx_state.h"

/* Around the payload: Ethernet, VLAN, IPv6, UDP, frame header, one segment. */
#define TX_OVERHEAD (14 + 4 + 40 + 8 + XM_WIRE_HEADER_MIN + 8)

/* -- memory ------------------------------------------------------------------ */

static uint32_t tx_frames_per_packet(const struct xm_tx_opts *opts)
{
	return 1 + xm_geometry_frames(&opts->geo, XM_PACKET_PAGES);
}

/* Numbers that can be in use at a time, as a power of two of at least 64. */
static uint64_t tx_capacity(const struct xm_tx_opts *opts)
{
	uint64_t want = (uint64_t)opts->n_slots * tx_frames_per_packet(opts);
	uint64_t cap = 64;

	while (cap < want)
		cap *= 2;
	return cap;
}

static bool tx_opts_are_sane(const struct xm_tx_opts *opts)
{
	const struct xm_geometry *geo = &opts->geo;

	return opts->map && opts->map->n_channels == opts->n_channels &&
	       opts->channel < opts->n_channels && opts->n_slots &&
	       opts->n_slots <= 1 << 16 && opts->hdr_ring &&
	       (unsigned int)opts->drain < XM_DRAIN__COUNT &&
	       opts->hdr_stride >= XM_MULTIFD_LEN && opts->stall_ns > 0 &&
	       opts->cc.mss &&
	       (geo->pages ? geo->pages <= XM_FRAME_SEGS :
			     geo->slices && geo->slice &&
				     geo->slice * geo->slices >= XM_PAGE_SIZE);
}

size_t xm_tx_footprint(const struct xm_tx_opts *opts)
{
	uint64_t cap = tx_capacity(opts);

	return sizeof(struct xm_tx) + opts->n_slots * sizeof(struct tx_slot) +
	       cap * sizeof(struct tx_frame_state) + cap / 8 + 3 * (size_t)64;
}

static uint8_t *align_64(uint8_t *p)
{
	return (uint8_t *)(((uintptr_t)p + 63) & ~(uintptr_t)63);
}

struct xm_tx *xm_tx_init(void *mem, const struct xm_tx_opts *opts)
{
	struct xm_tx *tx = mem;
	uint64_t cap;
	uint8_t *p;

	if (!tx_opts_are_sane(opts))
		return NULL;
	cap = tx_capacity(opts);
	memset(mem, 0, xm_tx_footprint(opts));
	tx->opts = *opts;
	p = align_64((uint8_t *)mem + sizeof(*tx));
	tx->frame = (struct tx_frame_state *)p;
	p = align_64(p + cap * sizeof(*tx->frame));
	tx->acked = (uint64_t *)p;
	p = align_64(p + cap / 8);
	tx->slot = (struct tx_slot *)p;
	tx->mask = (uint32_t)(cap - 1);
	tx->credit = opts->credit;
	xm_cc_init(&tx->cc, &opts->cc);
	tx->sent = tx->lost = (struct tx_list){ TX_NONE, TX_NONE };
	loss_reset(tx, (struct xm_time){ 0 });
	return tx;
}

/* -- lists -------------------------------------------------------------------- */

void tx_list_insert_after(struct xm_tx *tx, struct tx_list *list, uint32_t at,
			  uint32_t seq)
{
	struct tx_frame_state *f = tx_frame(tx, seq);

	f->prev = at;
	f->next = at == TX_NONE ? list->head : tx_frame(tx, at)->next;
	if (f->prev == TX_NONE)
		list->head = seq;
	else
		tx_frame(tx, f->prev)->next = seq;
	if (f->next == TX_NONE)
		list->tail = seq;
	else
		tx_frame(tx, f->next)->prev = seq;
}

/* -- epochs and packets -------------------------------------------------------- */

int xm_tx_epoch(struct xm_tx *tx, uint32_t epoch, struct xm_time now)
{
	if (tx->err)
		return tx->err;
	if (tx->n_pending)
		return -EBUSY;
	if (epoch <= tx->epoch)
		return -EINVAL;
	tx->epoch = epoch;
	tx->cum = tx->send_seq = tx->next_seq = 0;
	tx->next_packet = 0;
	tx->peer_ce = tx->peer_dup = 0;
	loss_reset(tx, now);
	xm_trace(tx->opts.trace, now, XM_TRACE_EPOCH, tx->opts.channel, epoch,
		 0);
	return 0;
}

static void tx_encode_header(struct xm_tx *tx, uint32_t slot,
			     unsigned int block, const uint64_t *offset,
			     unsigned int n_normal, unsigned int n_zero)
{
	struct xm_multifd pkt = {
		.pages_alloc = XM_PACKET_PAGES,
		.normal_pages = n_normal,
		.zero_pages = n_zero,
		.next_packet_size = n_normal * XM_PAGE_SIZE,
		.packet_num =
			tx->n_packets * tx->opts.n_channels + tx->opts.channel,
	};

	if (n_normal + n_zero) {
		memcpy(pkt.ramblock, tx->opts.map->block[block].name,
		       sizeof(pkt.ramblock));
		memcpy(pkt.offset, offset,
		       (n_normal + n_zero) * sizeof(*offset));
	} else {
		pkt.flags = XM_MULTIFD_F_SYNC;
	}
	xm_multifd_put((uint8_t *)tx->opts.hdr_ring +
			       slot * tx->opts.hdr_stride,
		       &pkt);
}

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

/* Frame @k of @slot's, which is in slot @s, has number @seq from now on. */
static void tx_number_frame(struct xm_tx *tx, uint32_t s, uint32_t seq,
			    uint32_t bytes)
{
	*tx_frame(tx, seq) = (struct tx_frame_state){
		.slot = (uint16_t)s,
		.bytes = (uint16_t)bytes,
	};
	tx->acked[(seq & tx->mask) / 64] &= ~(1ULL << (seq & 63));
}

/* Give the frames of slot @s their numbers. */
static void tx_number_frames(struct xm_tx *tx, uint32_t s)
{
	const struct tx_slot *slot = &tx->slot[s];
	uint16_t page, n_segs, start, len;
	uint32_t k;

	_Static_assert(TX_OVERHEAD + XM_FRAME_SEGS * XM_PAGE_SIZE <= UINT16_MAX,
		       "struct tx_frame_state");
	tx_number_frame(tx, s, slot->first_seq, TX_OVERHEAD + XM_MULTIFD_LEN);
	for (k = 1; k < slot->n_frames; k++) {
		tx_cut(&tx->opts.geo, k, slot->n_normal, &page, &n_segs, &start,
		       &len);
		tx_number_frame(tx, s, slot->first_seq + k,
				TX_OVERHEAD + (uint32_t)n_segs * len);
	}
}

/* Take the next slot and give its frames their numbers. */
static int tx_queue_packet(struct xm_tx *tx, unsigned int block,
			   const uint64_t *offset, unsigned int n_normal,
			   unsigned int n_zero)
{
	struct tx_slot *slot = &tx->slot[tx->next_slot];

	if (tx->err)
		return tx->err;
	if (slot->open)
		return XM_TX_E_FULL;
	slot->first_seq = tx->next_seq;
	slot->n_frames = 1 + xm_geometry_frames(&tx->opts.geo, n_normal);
	if (slot->n_frames > XM_SEQ_MAX - tx->next_seq)
		return -EINVAL;
	slot->open = slot->n_frames;
	slot->packet = tx->next_packet++;
	slot->n_normal = (uint16_t)n_normal;
	slot->n_zero = (uint16_t)n_zero;
	slot->block = (uint8_t)block;
	tx_encode_header(tx, tx->next_slot, block, offset, n_normal, n_zero);
	tx_number_frames(tx, tx->next_slot);
	tx->next_seq += slot->n_frames;
	tx->next_slot = (tx->next_slot + 1) % tx->opts.n_slots;
	tx->n_packets++;
	tx->n_pending++;
	tx->stats.packets++;
	tx->stats.pages += n_normal;
	tx->stats.zero_pages += n_zero;
	return 0;
}

int xm_tx_push(struct xm_tx *tx, unsigned int block, const uint64_t *offset,
	       unsigned int n_normal, unsigned int n_zero)
{
	const struct xm_map *map = tx->opts.map;
	uint64_t stripe = UINT64_MAX; /* of the page before: mostly the same */
	unsigned int i;

	if (!tx->epoch || !(n_normal + n_zero) ||
	    n_normal + n_zero > XM_PACKET_PAGES)
		return -EINVAL;
	for (i = 0; i < n_normal + n_zero; i++) {
		if (!xm_map_has(map, block, offset[i], XM_PAGE_SIZE) ||
		    offset[i] % XM_PAGE_SIZE)
			return -EINVAL;
		if (stripe == offset[i] >> map->stripe_shift)
			continue;
		stripe = offset[i] >> map->stripe_shift;
		if (xm_map_channel(map, block, offset[i]) != tx->opts.channel)
			return -EINVAL;
	}
	return tx_queue_packet(tx, block, offset, n_normal, n_zero);
}

int xm_tx_sync(struct xm_tx *tx)
{
	if (!tx->epoch)
		return -EINVAL;
	if (tx->n_pending)
		return -EBUSY;
	return tx_queue_packet(tx, 0, NULL, 0, 0);
}

/* -- frames -------------------------------------------------------------------- */

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

/* May frame @seq, whose state is @fs, leave?  Notes when to ask again. */
static bool tx_may_send(struct xm_tx *tx, struct xm_time now, uint32_t seq,
			const struct tx_frame_state *fs)
{
	uint32_t bytes = fs->bytes;

	tx->paced_at = XM_TIME_NEVER;
	if (tx->force)
		return true;
	if (tx->n_in_flight >= tx->credit || seq - tx->cum >= XM_WINDOW ||
	    !xm_cc_has_room(&tx->cc, tx->in_flight_bytes, bytes))
		return false;
	if (tx_is_sync(tx, fs))
		return true;
	if (xm_cc_may_send(&tx->cc, now, tx->in_flight_bytes, bytes))
		return true;
	tx->paced_at = xm_cc_expiry(&tx->cc, now);
	return false;
}

/* Account for a transmission of @seq, whose state is @fs. */
static void tx_mark_sent(struct xm_tx *tx, struct xm_time now, uint32_t seq,
			 struct tx_frame_state *fs)
{
	if (fs->flags & TX_F_LOST)
		tx_list_remove(tx, &tx->lost, fs);
	fs->flags = (uint8_t)((fs->flags & ~(TX_F_LOST | TX_F_TIMED_OUT)) |
			      TX_F_SENT | TX_F_POSTED);
	if (now.ns > tx->last_sent_ns)
		tx->last_sent_ns = now.ns;
	else
		tx->last_sent_ns++; /* the order inside a batch, see loss.c */
	fs->sent_ns = tx->last_sent_ns;
	if (fs->n_sent < UINT8_MAX)
		fs->n_sent++;
	tx_list_append(tx, &tx->sent, fs, seq);
	tx->n_in_flight++;
	tx->in_flight_bytes += fs->bytes;
	tx->n_posted++;
	flush_on_sent(tx, now);
	if (seq == tx->send_seq)
		tx->send_seq++;
	xm_cc_on_sent(&tx->cc, fs->bytes);
	loss_on_sent(tx, now);
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
	if (!tx_may_send(tx, now, seq, fs)) {
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

/* -- completion ---------------------------------------------------------------- */

void tx_release(struct xm_tx *tx, struct xm_time now, uint32_t s)
{
	const struct tx_slot *slot = &tx->slot[s];

	tx->n_pending--;
	tx->stats.pages_released += slot->n_normal + slot->n_zero;
	xm_trace(tx->opts.trace, now, XM_TRACE_RELEASE, tx->opts.channel, s,
		 tx->n_pending);
}

int xm_tx_on_complete(struct xm_tx *tx, struct xm_time now, uint32_t epoch,
		      uint32_t seq, uint32_t copied)
{
	struct tx_frame_state *fs = tx_frame(tx, seq);

	if (epoch != tx->epoch || !xm_seq_before(seq, tx->send_seq) ||
	    tx->send_seq - seq > tx->mask + 1 || !(fs->flags & TX_F_POSTED))
		return -EPROTO;
	fs->flags &= (uint8_t)~TX_F_POSTED;
	tx->n_posted--;
	if (copied) {
		tx->was_copied = true;
		tx->stats.bytes_copied += copied;
	}
	if (fs->flags & TX_F_ACKED)
		tx_close_frame(tx, now, fs->slot);
	loss_on_complete(tx, now, fs->flags & TX_F_ACKED);
	flush_look_dry(tx, now);
	return 0;
}

/* -- the rest ------------------------------------------------------------------- */

void xm_tx_drop(struct xm_tx *tx, enum xm_drop reason)
{
	tx->stats.drops.n[reason]++;
}

void xm_tx_set_rate(struct xm_tx *tx, uint64_t bytes_per_s)
{
	tx->cc.opts.rate = bytes_per_s;
}

uint32_t xm_tx_couple(struct xm_tx *tx, uint32_t n_all)
{
	return xm_cc_couple(&tx->cc, n_all);
}

uint32_t xm_tx_pending(const struct xm_tx *tx)
{
	return tx->n_pending;
}

bool xm_tx_has_posted(const struct xm_tx *tx)
{
	return tx->n_posted > 0;
}

uint32_t xm_tx_frames(const struct xm_tx *tx)
{
	return tx->next_seq;
}

const struct xm_tx_stats *xm_tx_stats(struct xm_tx *tx)
{
	tx->stats.srtt_ns = tx->cc.srtt_ns;
	tx->stats.min_rtt_ns = tx->cc.min_rtt_ns;
	tx->stats.cwnd_frames = (uint32_t)(tx->cc.cwnd / tx->opts.cc.mss);
	return &tx->stats;
}

/* Frames on @list, all of which must carry @flag; UINT32_MAX when one does
 * not or the list runs in circles. */
static uint32_t tx_count_list(const struct xm_tx *tx,
			      const struct tx_list *list, uint8_t flag)
{
	uint32_t seq, n = 0;

	for (seq = list->head; seq != TX_NONE; seq = tx_frame(tx, seq)->next) {
		if (!(tx_frame(tx, seq)->flags & flag) || n > tx->mask)
			return UINT32_MAX;
		n++;
	}
	return n;
}

static bool tx_check_slot(const struct xm_tx *tx, const struct tx_slot *slot)
{
	uint32_t i, open = 0;
	uint8_t flags;

	if (!slot->open)
		return true;
	for (i = 0; i < slot->n_frames; i++) {
		flags = tx_frame(tx, slot->first_seq + i)->flags;
		open += !(flags & TX_F_ACKED) || (flags & TX_F_POSTED);
		if ((flags & TX_F_ACKED) && (flags & (TX_F_SENT | TX_F_LOST)))
			return false;
		if ((flags & TX_F_LOST) && (flags & (TX_F_SENT | TX_F_POSTED)))
			return false;
	}
	return open == slot->open;
}

bool xm_tx_check(const struct xm_tx *tx)
{
	uint32_t i, n_pending = 0;

	if (xm_seq_before(tx->send_seq, tx->cum) ||
	    xm_seq_before(tx->next_seq, tx->send_seq))
		return false;
	if (tx_count_list(tx, &tx->sent, TX_F_SENT) != tx->n_in_flight ||
	    tx_count_list(tx, &tx->lost, TX_F_LOST) == UINT32_MAX)
		return false;
	for (i = 0; i < tx->opts.n_slots; i++) {
		n_pending += tx->slot[i].open > 0;
		if (!tx_check_slot(tx, &tx->slot[i]))
			return false;
	}
	return n_pending == tx->n_pending;
}
