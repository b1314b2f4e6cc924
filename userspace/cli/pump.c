// SPDX-License-Identifier: GPL-2.0-or-later
/* pump.c - the bridge between one channel's rings and its protocol
 *
 * What a turn does, in this order and for a reason:
 *
 *   1. take what has come     ACKs that wait must count before a timer says
 *                             that they did not come; a batch at most, or who is
 *                             owed an ACK would wait for it
 *   2. drain the completions  a frame that has left the host can be lost; one
 *                             that has not cannot
 *   3. run the timers
 *   4. make packets, send     with all that is known; at a destination the ACK
 *   5. kick                   one system call for the whole batch
 *   6. drain the completions  in copy mode the kick has just made some
 *
 * The pump decides nothing about the protocol.  It knows where bytes are:
 *
 *     TX  [prefix|frame header] in a header buffer of the UMEM, then guest
 *         pages where they lie or the multifd header in its slot; or all of it
 *         one after another in a staging frame
 *     RX  pieces of the UMEM's chunks, prefix in the first; payload goes from there
 *         into guest memory, once
 *
 * Nearly all frames are like the one before.  A source sends those in runs
 * (pump_tx.c); at a destination xm_rx_next() takes one as it came, and only what is
 * not like the last is taken apart here.
 *
 * pump_tx.c has the source's part, pump_rx.c the destination's, pump_probe.c what both
 * do first, pump_warm.c what comes before the first frame.
 */
#include "pump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "core/hint.h"
#include "guest/fault.h"

/* A completion wakes nobody: look for it after so long. */
#define PUMP_REAP_NS (1 * XM_MS)

/* -- life ------------------------------------------------------------------------- */

/* Frames of @bytes together, and at most @frames. */
static unsigned int pump_frames(const struct xm_geometry *geo,
				unsigned int frames, unsigned int bytes)
{
	unsigned int n = (bytes - 1) / xm_geometry_payload(geo) + 1;

	return n < frames ? n : frames;
}

static unsigned int pump_turn_max(const struct xm_tx_opts *tx)
{
	unsigned int n = pump_frames(&tx->geo, PUMP_TX_BATCH, PUMP_TX_BYTES);
	unsigned int least =
		pump_frames(&tx->geo, PUMP_TX_LEAST, PUMP_TX_LEAST_BYTES);

	if (n > tx->credit / 2)
		n = tx->credit / 2;
	return n > least ? n : least;
}

static int pump_init_half(struct pump *p, struct xm_error *e)
{
	struct pump_opts *o = &p->opts;
	size_t len;

	if (o->is_sender) {
		o->tx.hdr_ring = xsk_chan_slot(p->chan, 0);
		o->tx.hdr_stride = XSK_SLOT_LEN;
		p->turn_max = pump_turn_max(&o->tx);
		len = xm_tx_footprint(&o->tx);
	} else {
		o->rx.credit = xsk_rx_credit(p->chan, o->ip_max + 18u);
		/* A frame given up for lost may still arrive and take its
		 * place besides the one sent for it. */
		o->rx.credit -= o->rx.credit / 8;
		o->rx.seal = &p->seal;
		len = xm_rx_footprint(&o->rx);
	}
	p->mem = aligned_alloc(64, (len + 63) & ~(size_t)63);
	p->linear = malloc(XM_MTU_MAX);
	if (!p->mem || !p->linear)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "channel %u: no memory for %zu bytes of state",
			       o->channel, len);
	if (o->is_sender)
		p->tx = xm_tx_init(p->mem, &o->tx);
	else if (o->rx.credit)
		p->rx = xm_rx_init(p->mem, &o->rx);
	if (!p->tx && !p->rx)
		return xm_fail(e, -EINVAL, XM_REASON_USAGE,
			       "channel %u: %u receive chunks hold no frame of "
			       "%u bytes: raise --rx-memory",
			       o->channel, o->chan.rx_chunks, o->ip_max);
	return 0;
}

/* -- steps of opening ----------------------------------------------------------------- */

int pump_make(struct pump *p, const struct pump_opts *opts, struct xm_error *e)
{
	const void *guest;
	size_t len;
	int r;

	memset(p, 0, sizeof(*p));
	p->opts = *opts;
	r = xsk_chan_make(&p->chan, &opts->chan, e);
	if (!r) {
		guest = xsk_guest_range(p->chan, &len);
		guest_fault_watch(opts->channel, guest, len);
	}
	return r;
}

int pump_pin(struct pump *p, struct xm_error *e)
{
	int r;

	if (p->opts.is_sender)
		pump_warm_slice(p);
	r = xsk_chan_pin(p->chan, e);
	if (!r && !p->opts.is_sender)
		pump_warm_guest(&p->opts);
	return r;
}

int pump_open(struct pump *p, const struct pump_opts *opts, struct xm_error *e)
{
	int r = xsk_chan_bind(p->chan, e);

	p->opts = *opts;
	p->path = opts->path;
	p->path.dport = (uint16_t)(opts->peer_base + opts->channel);
	if (!r)
		r = pump_init_half(p, e);
	if (!r) {
		p->seal.err = xm_seal_init(&p->seal, opts->cipher, opts->keys,
					   opts->encrypts);
		r = pump_check_seal(p, e);
	}
	if (!r)
		p->state = PUMP_OPEN;
	return r;
}

void pump_close(struct pump *p)
{
	if (p->chan)
		guest_fault_watch(p->opts.channel, NULL, 0);
	p->chan = xsk_chan_close(p->chan);
	free(p->mem);
	free(p->linear);
	memset(p, 0, sizeof(*p));
}

void pump_set_path(struct pump *p, const struct xm_path *path)
{
	uint16_t sport = p->path.sport, dport = p->path.dport;

	p->path = *path;
	p->path.sport = sport;
	p->path.dport = dport;
	xm_encap_make(&p->head, &p->path);
}

void pump_set_rate(struct pump *p, uint64_t bytes_per_s)
{
	if (p->tx)
		xm_tx_set_rate(p->tx, bytes_per_s);
}

/* -- receiving ----------------------------------------------------------------------- */

/* Cut frame @x to its payload: @len bytes, behind @skip bytes of the first piece. */
static void pump_trim(struct xsk_frame *x, size_t skip, size_t len)
{
	size_t rest = x->len - skip - len, cut; /* padding */
	struct xm_vec *last;

	x->piece[0].base = (uint8_t *)x->piece[0].base + skip;
	x->piece[0].len -= skip;
	for (; rest; rest -= cut) {
		last = &x->piece[x->n_pieces - 1];
		cut = rest < last->len ? rest : last->len;
		last->len -= cut;
		x->n_pieces -= !last->len;
	}
}

static const void *pump_linearise(struct pump *p, const struct xm_vec *vec,
				  unsigned int n)
{
	uint8_t *to = p->linear;
	unsigned int i;

	if (n == 1)
		return vec[0].base;
	for (i = 0; i < n; i++) {
		memcpy(to, vec[i].base, vec[i].len);
		to += vec[i].len;
	}
	return p->linear;
}

/* Frames that prove their sender and contradict what was agreed: its bug. */
static int pump_check_drop(const struct pump *p, enum xm_drop reason,
			   struct xm_error *e)
{
	if (!reason) /* mostly */
		return 0;
	if (reason != XM_DROP_BAD_ADDRESS && reason != XM_DROP_BAD_CHANNEL &&
	    reason != XM_DROP_BAD_PACKET)
		return 0;
	return xm_fail(e, -EPROTO, XM_REASON_PROTOCOL,
		       "channel %u: the peer sent a frame that does not fit "
		       "the memory map (%s)",
		       p->opts.channel, xm_drop_name(reason));
}

static int pump_dispatch(struct pump *p, struct xm_time now,
			 const struct xm_frame *f, const struct xm_vec *vec,
			 unsigned int n, const struct xm_encap *enc,
			 struct xm_error *e)
{
	enum xm_drop reason = XM_DROP_BAD_TYPE;

	if (f->type == XM_WIRE_PROBE) {
		if (p->state != PUMP_PROBE)
			return 0; /* a late one: it was of use in its time */
		reason = xm_probe_packet(&p->probe, now, f,
					 pump_linearise(p, vec, n),
					 enc->ip_len);
	} else if (p->tx) {
		xm_tx_packet(p->tx, now, f, pump_linearise(p, vec, n));
		return 0;
	} else if (p->rx) {
		reason = xm_rx_packet(p->rx, now, f, vec, n, enc->ce);
		return pump_check_drop(p, reason, e);
	}
	p->drops.n[reason]++;
	return 0;
}

/* A frame behind the prefix that p->last knows. */
static XM_APART int pump_open_frame(struct pump *p, struct xm_time now,
				    struct xsk_frame *x, struct xm_error *e)
{
	const struct xm_encap *enc = &p->last.is;
	const uint8_t *hdr = (uint8_t *)x->piece[0].base + enc->payload;
	enum xm_drop reason;
	struct xm_frame f;
	size_t hdr_len = 0;

	reason = xm_frame_begin(&hdr_len, hdr, x->piece[0].len - enc->payload,
				enc->len);
	if (!reason) {
		pump_trim(x, enc->payload + hdr_len, enc->len - hdr_len);
		reason = xm_seal_open(&p->seal, &f, hdr, hdr_len, x->piece,
				      x->n_pieces, enc->len);
	}
	if (reason) {
		p->drops.n[reason]++;
		return 0;
	}
	return pump_dispatch(p, now, &f, x->piece, x->n_pieces, enc, e);
}

static int pump_take(struct pump *p, struct xm_time now, struct xsk_frame *x,
		     struct xm_error *e)
{
	const struct xm_encap *enc = &p->last.is;
	const uint8_t *hdr = x->piece[0].base;
	enum xm_drop reason;
	int r = -EAGAIN;

	reason = xm_encap_next(&p->last, hdr, x->piece[0].len, x->len);
	if (reason) {
		p->drops.n[reason]++;
		return 0;
	}
	if (p->rx && x->len == enc->payload + enc->len) /* no padding */
		r = xm_rx_next(p->rx, now, x->piece, x->n_pieces, enc->payload,
			       enc->len, enc->ce);
	return r >= 0 ? pump_check_drop(p, (enum xm_drop)r, e) :
			pump_open_frame(p, now, x, e);
}

/* The most frames of a turn.  One ACK is for all of them, and only then the peer hears
 * of room again: so a quarter of the credit, or what an ACK is for anyhow. */
static unsigned int pump_rx_batch(const struct pump *p)
{
	unsigned int n = p->rx ? p->opts.rx.credit / 4 : 0;

	if (n > PUMP_RX_BATCH)
		return PUMP_RX_BATCH;
	return n < PUMP_BATCH ? PUMP_BATCH : n;
}

/* Take up to a batch off the RX ring.  Returns how many, or -errno. */
static int pump_receive(struct pump *p, struct xm_time now, struct xm_error *e)
{
	unsigned int got, i, n = 0, most = pump_rx_batch(p);
	struct xsk_frame frames[PUMP_BATCH];
	size_t bytes = 0;
	int r = 0;

	while (n < most && bytes < PUMP_RX_BYTES && !r) {
		got = xsk_rx(p->chan, frames, PUMP_BATCH);
		bytes += got ? got * frames[got - 1].len : 0;
		for (i = 0; i < got && !r; i++)
			r = pump_take(p, now, &frames[i], e);
		xsk_rx_done(p->chan);
		n += got;
		if (got < PUMP_BATCH)
			break;
	}
	return r ? r : (int)n;
}

/* -- sending ----------------------------------------------------------------------------- */

int pump_put_whole(struct pump *p, const struct xsk_buf *buf, size_t frame_len,
		   uint16_t sport, struct xm_error *e)
{
	struct xm_path path = p->path;
	size_t prefix;
	int r;

	path.sport = sport;
	prefix = xm_encap_put(buf->data, &path, frame_len);
	r = xsk_tx_put(p->chan, buf, (uint32_t)(prefix + frame_len), NULL, 0, 0,
		       UINT64_MAX);
	if (r)
		return xm_fail(e, r, XM_REASON_INTERNAL,
			       "channel %u: a frame of %zu bytes cannot be "
			       "posted",
			       p->opts.channel, prefix + frame_len);
	return 0;
}

/* While the device is down frames wait in the ring; the stall deadline says
 * when that is too long. */
static int pump_kick(struct pump *p, struct xm_error *e)
{
	int r = xsk_tx_kick(p->chan, e);

	return r == -ENETDOWN ? xsk_chan_check(p->chan, e) : r;
}

static int pump_reap(struct pump *p, struct xm_time now, struct xm_error *e)
{
	struct xsk_done done[PUMP_BATCH];
	int i, n, r;

	do {
		n = xsk_tx_reap(p->chan, done, PUMP_BATCH, e);
		for (i = 0; i < n; i++) {
			if (done[i].token == UINT64_MAX)
				continue; /* an ACK or a PROBE */
			r = xm_tx_on_complete(p->tx, now,
					      (uint32_t)(done[i].token >> 32),
					      (uint32_t)done[i].token,
					      done[i].n, done[i].copied);
			if (r)
				return xm_fail(
					e, r, XM_REASON_INTERNAL,
					"channel %u: frame %u completed twice",
					p->opts.channel,
					(uint32_t)done[i].token);
		}
	} while (n == PUMP_BATCH);
	return n;
}

/* -- turns --------------------------------------------------------------------------------- */

int pump_begin_epoch(struct pump *p, uint32_t epoch,
		     const struct xm_page_set *set, struct xm_time now,
		     struct xm_error *e)
{
	int r = 0;

	p->path.sport = p->probe.my_port;
	xm_encap_make(&p->head, &p->path);
	p->epoch = epoch;
	if (p->rx) {
		xm_rx_epoch(p->rx, epoch);
		p->state = PUMP_RECV;
		return 0;
	}
	r = xm_tx_epoch(p->tx, epoch, now);
	if (r)
		return xm_fail(e, r, XM_REASON_INTERNAL,
			       "channel %u: epoch %u cannot begin",
			       p->opts.channel, epoch);
	xm_pages_begin(&p->pages, p->opts.tx.map, set, p->opts.channel);
	xm_pages_look_at(&p->pages, pump_find_page, p);
	p->epoch_base = *xm_tx_stats(p->tx);
	p->has_batch = p->makes_space = false;
	p->state = PUMP_SEND;
	return 0;
}

bool pump_is_installed(const struct pump *p)
{
	return p->state == PUMP_IDLE;
}

void pump_end_epoch(struct pump *p)
{
	xm_rx_close(p->rx);
	p->state = PUMP_IDLE;
}

int pump_check_seal(const struct pump *p, struct xm_error *e)
{
	if (!p->seal.err)
		return 0;
	return xm_fail(e, p->seal.err, XM_REASON_INTERNAL,
		       "channel %u: no keys for its frames: %s",
		       p->opts.channel, strerror(-p->seal.err));
}

int pump_turn(struct pump *p, struct xm_time now, struct xm_error *e)
{
	int n, r;

	if (p->state == PUMP_SHUT)
		return 0;
	n = pump_receive(p, now, e);
	if (n < 0)
		return n;
	r = pump_check_seal(p, e);
	if (!r)
		r = pump_reap(p, now, e);
	if (r < 0)
		return r;
	if (p->state == PUMP_PROBE)
		r = pump_probe_turn(p, now, e);
	else if (p->tx)
		r = pump_tx_turn(p, now, e);
	else
		r = pump_rx_turn(p, now, e);
	if (r < 0)
		return r;
	n += r;
	if (xsk_tx_posted(p->chan)) {
		r = pump_kick(p, e);
		if (r < 0)
			return r;
		/* what the kernel took to copy is no wait for the peer */
		r = pump_reap(p, xm_clock(), e);
		if (r < 0)
			return r;
	}
	return n > 0;
}

struct xm_time pump_expiry(const struct pump *p, struct xm_time now)
{
	struct xm_time t = XM_TIME_NEVER;

	if (p->state == PUMP_SHUT)
		return t;
	if (p->state == PUMP_PROBE)
		t = xm_probe_expiry(&p->probe);
	else if (p->tx)
		t = xm_tx_expiry(p->tx);
	else if (p->state == PUMP_RECV)
		t = xm_rx_expiry(p->rx);
	if (p->is_stuck)
		t = XM_TIME_NEVER; /* a timer cannot make room */
	if (p->is_stuck || xsk_tx_posted(p->chan))
		t = xm_time_min(t, xm_time_add(now, PUMP_REAP_NS));
	return t;
}

uint32_t pump_couple(struct pump *p, uint32_t n_all)
{
	return p->tx ? xm_tx_couple(p->tx, n_all) : 0;
}

int pump_check(struct pump *p, struct xm_error *e)
{
	return p->state == PUMP_SHUT ? 0 : xsk_chan_check(p->chan, e);
}

void pump_report(struct pump *p, struct pump_report *ret_report)
{
	struct pump_report *rep = ret_report;

	memset(rep, 0, sizeof(*rep));
	rep->drops = p->drops;
	if (p->state == PUMP_SHUT)
		return;
	rep->engine = xsk_chan_engine(p->chan);
	rep->is_zero_copy = xsk_chan_is_zero_copy(p->chan);
	rep->locked = xsk_chan_locked(p->chan);
	rep->left_out = xsk_chan_left_out(p->chan);
	xsk_chan_stats(p->chan, &rep->xsk);
	if (p->tx) {
		rep->tx = *xm_tx_stats(p->tx);
		rep->pages_done =
			rep->tx.pages_released - p->epoch_base.pages_released;
		rep->epoch = p->epoch;
		rep->is_sending = p->state == PUMP_SEND ||
				  p->state == PUMP_FLUSH ||
				  p->state == PUMP_SYNC;
		rep->totals.frames = xm_tx_frames(p->tx);
		rep->totals.packets =
			(uint32_t)(rep->tx.packets - p->epoch_base.packets);
		rep->totals.pages_announced =
			rep->tx.pages - p->epoch_base.pages;
		rep->totals.bytes_placed =
			rep->totals.pages_announced * XM_PAGE_SIZE;
		rep->totals.zero_pages =
			rep->tx.zero_pages - p->epoch_base.zero_pages;
	}
	if (p->rx) {
		rep->rx = *xm_rx_stats(p->rx);
		rep->totals = xm_rx_totals(p->rx);
		rep->credit = p->opts.rx.credit;
	}
}
