// SPDX-License-Identifier: GPL-2.0-or-later
/* tx.c - the sending half of one channel: packets and their slots
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
 * Not here: how frames leave (tx_send.c), waiting for slots (flush.c), which pages
 * to send (epoch by epoch, from the caller), when a frame is lost (loss.c), how fast
 * to send (cc.c).
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

/* The @n frames from @seq on are of slot @s from now on, of @bytes each. */
static void tx_number(struct xm_tx *tx, uint32_t s, uint32_t seq, uint32_t n,
		      uint32_t bytes)
{
	uint32_t end = seq + n, i, some;
	struct tx_frame_state *fs, *stop;

	for (i = seq; i != end; i += some) {
		some = tx_row(tx, i, end - i);
		fs = tx_frame(tx, i);
		for (stop = fs + some; fs != stop; fs++) {
			fs->slot = (uint16_t)s;
			fs->flags = 0;
			fs->n_sent = 0;
			fs->bytes = (uint16_t)bytes;
		}
	}
	for (i = seq; i != end; i += some) {
		some = 64 - (i & 63);
		if (some > end - i)
			some = end - i;
		tx->acked[(i & tx->mask) / 64] &=
			~(UINT64_MAX >> (64 - some) << (i & 63));
	}
}

/* Give the frames of slot @s their numbers. */
static void tx_number_frames(struct xm_tx *tx, uint32_t s)
{
	const struct xm_geometry *geo = &tx->opts.geo;
	const struct tx_slot *slot = &tx->slot[s];
	uint32_t first = slot->first_seq, n = slot->n_frames - 1, k, last;

	_Static_assert(TX_OVERHEAD + XM_FRAME_SEGS * XM_PAGE_SIZE <= UINT16_MAX,
		       "struct tx_frame_state");
	tx_number(tx, s, first, 1, TX_OVERHEAD + XM_MULTIFD_LEN);
	tx_number(tx, s, first + 1, n, TX_OVERHEAD + xm_geometry_payload(geo));
	/* The packet's last pages, or each page's last slice, may be less. */
	if (geo->pages && n) {
		last = slot->n_normal - (n - 1) * geo->pages;
		tx_frame(tx, first + n)->bytes =
			(uint16_t)(TX_OVERHEAD + last * XM_PAGE_SIZE);
	} else if (!geo->pages) {
		last = XM_PAGE_SIZE - (geo->slices - 1u) * geo->slice;
		for (k = geo->slices; k <= n; k += geo->slices)
			tx_frame(tx, first + k)->bytes =
				(uint16_t)(TX_OVERHEAD + last);
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

/* Are the @n pages at @offset all of @block and of this channel? */
static bool tx_has_pages(const struct xm_tx *tx, unsigned int block,
			 const uint64_t *offset, unsigned int n)
{
	const struct xm_map *map = tx->opts.map;
	const uint64_t first = offset[0];
	uint64_t odd = 0, differ = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		odd |= offset[i];
		differ |= offset[i] ^ first;
	}
	if (odd % XM_PAGE_SIZE)
		return false;
	/* Mostly all are of one stripe, which ends in the block. */
	if (!(differ >> map->stripe_shift) &&
	    xm_map_has(map, block, first | ((1ULL << map->stripe_shift) - 1),
		       1))
		return xm_map_channel(map, block, first) == tx->opts.channel;
	for (i = 0; i < n; i++)
		if (!xm_map_has(map, block, offset[i], XM_PAGE_SIZE) ||
		    xm_map_channel(map, block, offset[i]) != tx->opts.channel)
			return false;
	return true;
}

int xm_tx_push(struct xm_tx *tx, unsigned int block, const uint64_t *offset,
	       unsigned int n_normal, unsigned int n_zero)
{
	unsigned int n = n_normal + n_zero;

	if (!tx->epoch || !n || n > XM_PACKET_PAGES ||
	    !tx_has_pages(tx, block, offset, n))
		return -EINVAL;
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

/* -- the rest ------------------------------------------------------------------- */

void xm_tx_drop(struct xm_tx *tx, enum xm_drop reason)
{
	tx->stats.drops.n[reason]++;
}

void xm_tx_set_rate(struct xm_tx *tx, uint64_t bytes_per_s)
{
	xm_cc_set_rate(&tx->cc, bytes_per_s);
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

uint32_t xm_tx_unsent(const struct xm_tx *tx)
{
	return tx->next_seq - tx->send_seq;
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
