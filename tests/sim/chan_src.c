// SPDX-License-Identifier: GPL-2.0-or-later
/* chan_src.c - the sending host's side of a simulated channel
 *
 * The driver's loop without rings and sockets: whatever happens (an ACK, a
 * completion, a timer), feed packets while the header ring has room, then post
 * frames while the device has room.  Two driver duties that the core leaves to
 * its caller are done here as the real driver does them: the payload is summed
 * when a frame is posted, and a frame that is to be staged, as any is when the
 * session encrypts, is copied first and the copy is summed, or encrypted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/multifd.h"
#include "core/zero.h"

#include "world.h"

#define HDR_STRIDE 1536 /* larger than a header, so that a wrong one shows */

static struct xm_time src_now(const struct sim_src *c)
{
	return c->w->sim.now;
}

static void src_failed(struct sim_src *c, int err, const char *what)
{
	if (err == -ETIMEDOUT)
		conduct_cancel_src(c->w, XM_REASON_STALLED, "no progress");
	else
		world_fail(c->w, WORLD_BROKEN, "channel %u: %s: error %d",
			   c->idx, what, -err);
}

/* -- from packets to the header ring ----------------------------------------------- */

static const uint8_t *src_hva(const struct sim_src *c, const struct sim_page *p)
{
	return c->w->guest.block[p->block].src + (size_t)p->page * XM_PAGE_SIZE;
}

/* Push one packet: the next pages of one block, normal ones first. */
static int src_push(struct sim_src *c)
{
	uint64_t offset[XM_PACKET_PAGES] = { 0 }, zero[XM_PACKET_PAGES];
	const struct sim_page *first = &c->page[c->next_page];
	unsigned int n_normal = 0, n_zero = 0, n = 0, i;
	int r;

	while (n < c->w->opts.packet_pages && c->next_page + n < c->n_pages &&
	       first[n].block == first->block) {
		uint64_t at = (uint64_t)first[n].page << XM_PAGE_SHIFT;

		if (xm_zero_is(src_hva(c, &first[n]), XM_PAGE_SIZE))
			zero[n_zero++] = at;
		else
			offset[n_normal++] = at;
		n++;
	}
	memcpy(offset + n_normal, zero, n_zero * sizeof(*zero));
	r = xm_tx_push(c->tx, first->block, offset, n_normal, n_zero);
	if (r)
		return r;
	for (i = 0; i < n_normal; i++)
		guest_note_sent(&c->w->guest, first->block,
				(uint32_t)(offset[i] >> XM_PAGE_SHIFT));
	c->next_page += n;
	c->n_packets++;
	c->n_normal += n_normal;
	c->n_zero += n_zero;
	return 0;
}

/* A flush answered @r; true when it is done.  What it says about copies is
 * compared with what the device said. */
static bool src_flushed(struct sim_src *c, int r, uint32_t max_pending)
{
	if (r == XM_TX_E_PENDING)
		return false;
	if (r < 0) {
		src_failed(c, r, "flush");
		return false;
	}
	if (r != (c->has_copied ? XM_TX_E_COPIED : 0))
		world_fail(c->w, WORLD_BROKEN,
			   "channel %u: flush(%u) says %d, copied: %d", c->idx,
			   max_pending, r, c->has_copied);
	c->has_copied = false;
	if (xm_tx_pending(c->tx) > max_pending)
		world_fail(c->w, WORLD_BROKEN,
			   "channel %u: flush(%u) done with %u pending", c->idx,
			   max_pending, xm_tx_pending(c->tx));
	return true;
}

static bool src_flush(struct sim_src *c, uint32_t max_pending)
{
	return src_flushed(c, xm_tx_flush(c->tx, max_pending), max_pending);
}

/* Packets that may be unreleased after the drain that is wanted. */
static uint32_t src_keep(const struct sim_src *c)
{
	uint32_t n = c->w->opts.n_slots;

	if (c->w->opts.drain == XM_DRAIN_FULL)
		return 0;
	return c->w->opts.drain == XM_DRAIN_ONE ? n - 1 : n / 2;
}

static void src_enter(struct sim_src *c, enum src_step step, const char *what)
{
	c->step = step;
	sim_log_note(&c->w->log, src_now(c), SIM_NOTE_FLUSH, "src", "%s", what);
}

/* Push until the ring is full or the epoch has no more pages; false when only
 * time helps. */
static bool src_feed_pages(struct sim_src *c)
{
	uint32_t keep = src_keep(c);
	int r;

	if (c->wants_space) {
		r = xm_tx_make_space(c->tx, src_now(c));
		if (!src_flushed(c, r, keep))
			return false;
		c->wants_space = false;
		sim_log_note(&c->w->log, src_now(c), SIM_NOTE_FLUSH, "src",
			     "flush(%u) done", keep);
	}
	if (c->next_page == c->n_pages) {
		src_enter(c, SRC_DRAIN, "flush(0) before sync");
		return true;
	}
	r = src_push(c);
	if (r == XM_TX_E_FULL) {
		c->wants_space = true;
		(void)xm_tx_make_space(c->tx, src_now(c));
		sim_log_note(&c->w->log, src_now(c), SIM_NOTE_FLUSH, "src",
			     "ring full, flush(%u)", keep);
	} else if (r) {
		src_failed(c, r < 0 ? r : -EPROTO, "push");
		return false;
	}
	return true;
}

static void src_feed(struct sim_src *c)
{
	int r;

	while (c->step == SRC_PAGES && !c->w->verdict && src_feed_pages(c))
		;
	if (c->step == SRC_DRAIN && src_flush(c, 0)) {
		r = xm_tx_sync(c->tx);
		if (r)
			src_failed(c, r < 0 ? r : -EPROTO, "sync");
		c->n_packets++;
		src_enter(c, SRC_SYNC, "sync, flush(0)");
	}
	if (c->step == SRC_SYNC && src_flush(c, 0)) {
		if (xm_tx_has_posted(c->tx) || c->dev.n_used)
			world_fail(c->w, WORLD_BROKEN,
				   "channel %u: flushed with frames posted",
				   c->idx);
		src_enter(c, SRC_DONE, "barrier");
		c->done = src_now(c);
	}
}

/* -- from the header ring to the device ---------------------------------------------- */

/* Where frame @tf's payload is. */
static void src_describe(struct sim_src *c, const struct xm_tx_frame *tf,
			 struct sim_dev_frame *df)
{
	const struct xm_frame *f = &tf->f;
	unsigned int i;

	df->is_stable = f->type == XM_WIRE_HEADER;
	if (df->is_stable) {
		df->n_descs = 1;
		df->desc[0] = (struct sim_desc){
			.base = c->hdr_ring + (size_t)tf->slot * HDR_STRIDE,
			.len = f->len,
		};
		return;
	}
	df->n_descs = f->n_segs;
	for (i = 0; i < f->n_segs; i++)
		df->desc[i] = (struct sim_desc){
			.block = f->block,
			.offset = f->seg[i],
			.len = f->seg_len,
		};
}

/* What the CPU sees where the device will read later. */
static const uint8_t *src_view(const struct sim_src *c,
			       const struct sim_desc *s)
{
	const struct world *w = c->w;

	if (s->base)
		return s->base;
	if (w->opts.sum_pinned)
		return guest_pinned(&w->guest, s->block, s->offset);
	return w->guest.block[s->block].src + s->offset;
}

/* Replace the pieces by one copy; returns the sum of the copy. */
static uint32_t src_stage(struct sim_src *c, struct sim_dev_frame *df,
			  uint32_t len)
{
	uint32_t crc = 0, at = 0;
	unsigned int i;

	df->staged = malloc(len);
	if (!df->staged)
		abort();
	for (i = 0; i < df->n_descs; i++) {
		crc = xm_crc32c_copy(crc, df->staged + at,
				     src_view(c, &df->desc[i]),
				     df->desc[i].len);
		at += df->desc[i].len;
	}
	df->n_descs = 1;
	df->desc[0] = (struct sim_desc){ .base = df->staged, .len = len };
	return crc;
}

static void src_completed(struct sim_src *c, const struct sim_dev_frame *df)
{
	if (df->copied)
		c->has_copied = true;
	if (xm_tx_on_complete(c->tx, src_now(c), df->epoch, df->seq, 1,
			      df->copied))
		world_fail(c->w, WORLD_BROKEN,
			   "channel %u: completion of epoch %u seq %u refused",
			   c->idx, df->epoch, df->seq);
}

static void src_post(struct sim_src *c, const struct xm_tx_frame *tf)
{
	struct sim_dev_frame *df = dev_get(&c->dev);
	size_t l2 = xm_encap_len(&c->path), hdr;
	bool encrypts = xm_seal_encrypts(&c->seal);
	uint32_t crc = 0;
	unsigned int i;

	df->epoch = tf->f.epoch;
	df->seq = tf->f.seq;
	src_describe(c, tf, df);
	df->copied = c->dev.opts.copies || tf->stage || encrypts ? tf->f.len :
								   0;
	if (encrypts || (tf->stage && !c->w->opts.never_stage)) {
		crc = src_stage(c, df, tf->f.len);
	} else {
		for (i = 0; i < df->n_descs; i++)
			crc = xm_crc32c(crc, src_view(c, &df->desc[i]),
					df->desc[i].len);
	}
	hdr = xm_frame_put(df->hdr + l2, &tf->f);
	if (xm_seal_frame(&c->seal, df->hdr + l2, hdr, crc,
			  (void *)df->desc[0].base, tf->f.len))
		abort();
	df->payload_crc = encrypts ? xm_crc32c(0, df->staged, tf->f.len) : crc;
	if (xm_encap_put(df->hdr, &c->path, hdr + tf->f.len) != l2)
		abort();
	df->hdr_len = (uint32_t)(l2 + hdr);
	if (xm_path_ip_len(&c->path) + 8 + hdr + tf->f.len > c->w->opts.mtu)
		world_fail(c->w, WORLD_BROKEN, "seq %u does not fit the MTU",
			   tf->f.seq);
	dev_put(&c->dev, df);
	if (c->w->opts.complete_early)
		src_completed(c, df);
}

/* Post @run frame by frame. */
static void src_post_run(struct sim_src *c, const struct xm_tx_run *run)
{
	struct xm_tx_frame tf = { .f = run->f };
	unsigned int i, k;

	xm_tx_take_run(c->tx, src_now(c), run, run->n);
	for (i = 0; i < run->n; i++) {
		for (k = 0; k < run->f.n_segs; k++)
			tf.f.seg[k] = xm_be64_get(run->segs +
						  8 * (i * run->f.n_segs + k));
		src_post(c, &tf);
		tf.f.seq++;
		tf.f.page = (uint16_t)(tf.f.page + run->f.n_segs);
	}
}

static void src_send(struct sim_src *c)
{
	struct xm_tx_frame tf;
	struct xm_tx_run run;
	int r;

	while (c->step != SRC_IDLE && c->dev.n_used < c->dev.opts.depth) {
		r = xm_tx_next_run(c->tx, src_now(c),
				   c->dev.opts.depth - c->dev.n_used, &run);
		if (!r) {
			src_post_run(c, &run);
			continue;
		}
		if (r == XM_TX_E_SINGLE)
			r = xm_tx_next(c->tx, src_now(c), &tf);
		if (r == XM_TX_E_IDLE || r == XM_TX_E_WAIT)
			return;
		if (r) {
			src_failed(c, r < 0 ? r : -EPROTO, "next");
			return;
		}
		src_post(c, &tf);
	}
}

static void src_pump(struct sim_src *c)
{
	c->is_touched = true;
	if (c->w->verdict)
		return;
	prober_fill(&c->prober, c->w, &c->path, c->dev.node.out);
	c->w->n_cuts += xm_tx_couple(c->tx, c->w->n_cuts);
	src_feed(c);
	src_send(c);
}

/* -- what happens to it ------------------------------------------------------------- */

static void src_on_complete(void *ctx, const struct sim_dev_frame *df)
{
	struct sim_src *c = ctx;

	if (!c->w->opts.complete_early)
		src_completed(c, df);
	if (c->dev.is_broken)
		world_fail(c->w, WORLD_BROKEN,
			   "channel %u: header of seq %u changed while posted",
			   c->idx, df->seq);
	src_pump(c);
}

void src_packet(struct sim_src *c, struct sim_pkt *p)
{
	struct xm_encap e;
	struct xm_frame f;
	enum xm_drop drop;
	struct xm_vec vec;
	size_t hdr_len = 0;
	uint8_t *hdr;

	drop = xm_encap_get(&e, p->data, p->len, p->len);
	hdr = p->data + (drop ? 0 : e.payload);
	if (!drop)
		drop = xm_frame_begin(&hdr_len, hdr, e.len, e.len);
	if (!drop) {
		vec = (struct xm_vec){ hdr + hdr_len, e.len - hdr_len };
		drop = xm_seal_open(&c->seal, &f, hdr, hdr_len, &vec, 1, e.len);
	}
	if (drop)
		xm_tx_drop(c->tx, drop);
	else if (f.type == XM_WIRE_PROBE)
		prober_packet(&c->prober, c->w, &e, &f,
			      p->data + e.payload + hdr_len);
	else
		xm_tx_packet(c->tx, src_now(c), &f,
			     p->data + e.payload + hdr_len);
	sim_pkt_free(p);
	src_pump(c);
}

static struct xm_time src_next_at(const struct sim_node *n)
{
	const struct sim_src *c = (const struct sim_src *)n;
	struct xm_time t = prober_expiry(&c->prober, src_now(c));

	if (c->w->verdict)
		return XM_TIME_NEVER;
	if (c->step != SRC_IDLE)
		t = xm_time_min(t, xm_tx_expiry(c->tx));
	return xm_time_before(t, src_now(c)) ? src_now(c) : t;
}

static void src_run(struct sim_node *n, struct xm_time now)
{
	struct sim_src *c = (struct sim_src *)n;
	int r;

	if (c->step != SRC_IDLE) {
		r = xm_tx_expire(c->tx, now);
		if (r)
			src_failed(c, r, "expire");
	}
	src_pump(c);
}

void src_stop(struct sim_src *c)
{
	c->step = SRC_IDLE;
	c->prober.is_on = false;
}

void src_begin(struct sim_src *c, uint32_t epoch)
{
	const struct sim_guest *g = &c->w->guest;
	unsigned int i;
	uint32_t p;
	int r;

	c->n_pages = c->next_page = 0;
	c->n_packets = c->n_normal = c->n_zero = 0;
	for (i = 0; i < g->opts.n_blocks; i++)
		for (p = 0; p < g->block[i].n_pages; p++)
			if (guest_bit(g->block[i].harvest, p) &&
			    xm_map_channel(&g->src_map, i,
					   (uint64_t)p << XM_PAGE_SHIFT) ==
				    c->idx)
				c->page[c->n_pages++] =
					(struct sim_page){ i, p };
	r = xm_tx_epoch(c->tx, epoch, src_now(c));
	if (r)
		src_failed(c, r < 0 ? r : -EPROTO, "epoch");
	c->step = SRC_PAGES;
	c->begun = src_now(c);
	src_pump(c);
}

bool src_check(struct sim_src *c)
{
	c->is_touched = false;
	return xm_tx_check(c->tx);
}

static struct xm_path src_path(unsigned int idx, bool ipv6, uint16_t vlan)
{
	struct xm_path p = {
		.src_mac = { 2, 0, 0, 0, 0, 1 },
		.dst_mac = { 2, 0, 0, 0, 0, 2 },
		.ipv6 = ipv6,
		.vlan = vlan,
		.sport = (uint16_t)(XM_PORT_DATA + idx),
		.dport = (uint16_t)(XM_PORT_DATA + idx),
	};
	static const uint8_t v4[2][4] = { { 198, 18, 0, 1 },
					  { 198, 18, 0, 2 } };

	if (ipv6) {
		p.src[0] = p.dst[0] = 0xfd;
		p.src[15] = 1;
		p.dst[15] = 2;
	} else {
		memcpy(p.src, v4[0], 4);
		memcpy(p.dst, v4[1], 4);
	}
	return p;
}

/* As cli/side_chan.c has it. */
static uint64_t src_ring_bytes(const struct world *w)
{
	uint64_t frames = 1 + xm_geometry_frames(&w->geo, XM_PACKET_PAGES);

	return w->opts.n_slots * frames *
	       (14 + xm_geometry_ip_len(&w->geo, w->opts.ipv6 ? 40 : 20));
}

static struct xm_tx_opts src_tx_opts(const struct sim_src *c)
{
	const struct world *w = c->w;

	return (struct xm_tx_opts){
		.map = &w->guest.src_map,
		.geo = w->geo,
		.cookie = 0xc00c1e0000000000ull + c->idx,
		.channel = (uint8_t)c->idx,
		.n_channels = w->opts.n_channels,
		.n_slots = w->opts.n_slots,
		.drain = w->opts.drain,
		.hdr_ring = c->hdr_ring,
		.hdr_stride = HDR_STRIDE,
		.credit = w->opts.credit,
		.stall_ns = w->opts.stall_ns,
		.cc = {
			.mss = 14 + xm_geometry_ip_len(&w->geo,
						       w->opts.ipv6 ? 40 : 20),
			.cwnd_max = src_ring_bytes(w),
			.n_channels = w->opts.n_channels,
		},
		.trace = (struct xm_trace *)&c->side.trace,
	};
}

void src_init(struct sim_src *c, struct world *w, unsigned int idx,
	      struct sim_node *wire)
{
	struct xm_tx_opts opts;
	size_t need;

	c->w = w;
	c->idx = idx;
	c->path = src_path(idx, w->opts.ipv6, w->opts.vlan);
	sim_cipher_init(&c->cipher, &c->seal, w->opts.keys, idx, true);
	c->seal.count = w->opts.count;
	sim_side_init(&c->side, &w->log, "src");
	c->page = calloc(w->guest.n_pages, sizeof(*c->page));
	c->hdr_ring = calloc(w->opts.n_slots, HDR_STRIDE);
	if (!c->page || !c->hdr_ring)
		abort();
	opts = src_tx_opts(c);
	need = (xm_tx_footprint(&opts) + 63) & ~(size_t)63;
	c->mem = aligned_alloc(64, need);
	if (!c->mem)
		abort();
	c->tx = xm_tx_init(c->mem, &opts);
	if (!c->tx)
		abort();
	xm_tx_set_rate(c->tx, w->opts.rate);
	dev_init(&c->dev, &w->sim, &w->guest, &w->opts.dev, wire);
	c->dev.on_complete = src_on_complete;
	c->dev.ctx = c;
	c->dev.wire = &w->wire;
	c->node.next_at = src_next_at;
	c->node.run = src_run;
	sim_add(&w->sim, &c->node);
}

void src_fini(struct sim_src *c)
{
	dev_fini(&c->dev);
	free(c->page);
	free(c->hdr_ring);
	free(c->mem);
}
