// SPDX-License-Identifier: GPL-2.0-or-later
/* chan_dst.c - the receiving host's side of a simulated channel
 *
 * A fill ring with so many frames and no more: what arrives while all of them
 * hold packets is dropped, as by a device.  The receiver takes them in
 * batches, at a speed of its own, and not at all while it is stalled; when it
 * slept, for want of packets, it may wake up late, for a packet as for a timer,
 * as a thread does on a busy machine.  A payload reaches the core in pieces, cut where 4096-byte chunks with headroom
 * end, as a multi-buffer device would.
 */
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define CHUNK    4096
#define HEADROOM 256

static struct xm_time dst_now(const struct sim_dst *d)
{
	return d->w->sim.now;
}

/* How late a thread that sleeps now will wake up. */
static int64_t dst_late_ns(struct sim_dst *d)
{
	const struct world_opts *o = &d->w->opts;

	return o->rx_late_max_ns ?
		       sim_rng_range(&d->node.rng, o->rx_late_min_ns,
				     o->rx_late_max_ns) :
		       0;
}

/* Cut @len bytes, the first at offset @from of the whole frame. */
static unsigned int dst_cut(struct xm_vec *vec, uint8_t *base, size_t from,
			    size_t len)
{
	unsigned int n = 0;

	while (len) {
		size_t room = CHUNK - (from + HEADROOM) % CHUNK;
		size_t part = len < room ? len : room;

		vec[n++] = (struct xm_vec){ base, part };
		base += part;
		from += part;
		len -= part;
	}
	return n;
}

static void dst_take(struct sim_dst *d, struct sim_pkt *p)
{
	struct xm_vec vec[65536 / CHUNK + 2];
	const struct xm_encap *e = &d->last.is;
	size_t hdr_len = 0, at = 0;
	const uint8_t *hdr = NULL;
	struct xm_frame f;
	enum xm_drop drop;
	unsigned int n = 0;

	drop = xm_encap_next(&d->last, p->data, p->len, p->len);
	if (!drop) {
		hdr = p->data + e->payload;
		drop = xm_frame_begin(&hdr_len, hdr, e->len, e->len);
	}
	if (!drop && p->len == e->payload + e->len) {
		n = dst_cut(vec, p->data, 0, p->len);
		if (xm_rx_next(d->rx, dst_now(d), vec, n, e->payload, e->len,
			       e->ce) >= 0)
			return;
	}
	if (!drop) {
		at = e->payload + hdr_len;
		n = dst_cut(vec, p->data + at, at, e->len - hdr_len);
		drop = xm_seal_open(&d->seal, &f, hdr, hdr_len, vec, n, e->len);
	}
	if (drop) {
		xm_rx_drop(d->rx, drop);
		return;
	}
	if (f.type == XM_WIRE_PROBE) {
		prober_packet(&d->prober, d->w, e, &f, p->data + at);
		return;
	}
	xm_rx_packet(d->rx, dst_now(d), &f, vec, n, e->ce);
}

static void dst_ack(struct sim_dst *d)
{
	uint8_t buf[XM_ENCAP_MAX + XM_WIRE_HEADER_MAX + XM_ACK_LEN_MAX];
	size_t l2 = xm_encap_len(&d->path), len;

	while ((len = xm_rx_fill(d->rx, dst_now(d), buf + l2))) {
		xm_encap_put(buf, &d->path, len);
		if (xm_path_ip_len(&d->path) + 8 + len > d->w->opts.mtu)
			world_fail(d->w, WORLD_BROKEN, "ACK of %zu bytes", len);
		d->node.out->forward(d->node.out,
				     sim_pkt_new(buf, l2 + len, 0));
	}
}

static struct xm_time dst_next_at(const struct sim_node *n)
{
	const struct sim_dst *d = (const struct sim_dst *)n;
	struct xm_time t = xm_rx_expiry(d->rx), end;

	if (d->w->verdict)
		return XM_TIME_NEVER;
	if (!xm_time_is_never(t))
		t = xm_time_add(t, d->late_ns);
	t = xm_time_min(t, prober_expiry(&d->prober, dst_now(d)));
	if (d->ring_n)
		t = xm_time_min(t, d->free_at);
	if (xm_time_is_never(t))
		return t;
	if (xm_time_before(t, dst_now(d)))
		t = dst_now(d);
	if (sim_window_has(d->w->opts.rx_stall, SIM_WINDOWS_MAX, t, &end))
		t = end;
	return t;
}

static void dst_run(struct sim_node *n, struct xm_time now)
{
	struct sim_dst *d = (struct sim_dst *)n;
	unsigned int i;

	d->is_touched = true;
	d->late_ns = dst_late_ns(d);
	for (i = 0; i < d->w->opts.rx_batch && d->ring_n; i++) {
		struct sim_pkt *p = d->ring[d->ring_head];

		d->ring_head = (d->ring_head + 1) % d->ring_cap;
		d->ring_n--;
		dst_take(d, p);
		sim_pkt_free(p);
	}
	d->free_at = xm_time_add(now, i * d->w->opts.rx_ns);
	dst_ack(d);
	prober_fill(&d->prober, d->w, &d->path, d->node.out);
}

void dst_packet(struct sim_dst *d, struct sim_pkt *p)
{
	if (d->ring_n == d->ring_cap) {
		d->n_overflow++;
		sim_pkt_free(p);
		return;
	}
	if (!d->ring_n && !xm_time_before(dst_now(d), d->free_at))
		d->free_at = xm_time_add(dst_now(d), dst_late_ns(d));
	d->ring[(d->ring_head + d->ring_n++) % d->ring_cap] = p;
}

void dst_epoch(struct sim_dst *d, uint32_t epoch)
{
	d->is_touched = true;
	xm_rx_epoch(d->rx, epoch);
}

void dst_close(struct sim_dst *d)
{
	d->is_touched = true;
	d->prober.is_on = false;
	xm_rx_close(d->rx);
}

bool dst_check(struct sim_dst *d)
{
	d->is_touched = false;
	return xm_rx_check(d->rx);
}

void dst_init(struct sim_dst *d, struct world *w, unsigned int idx,
	      struct sim_node *wire)
{
	struct xm_rx_opts opts = {
		.map = &w->guest.dst_map,
		.cookie = 0xc00c1e0000000000ull + idx,
		.channel = (uint8_t)idx,
		.credit = w->opts.credit,
		.seal = &d->seal,
	};

	d->w = w;
	d->idx = idx;
	sim_cipher_init(&d->cipher, &d->seal, w->opts.keys, idx, false);
	d->seal.count = w->opts.count;
	d->path = w->src[idx].path;
	memcpy(d->path.src, w->src[idx].path.dst, sizeof(d->path.src));
	memcpy(d->path.dst, w->src[idx].path.src, sizeof(d->path.dst));
	sim_side_init(&d->side, &w->log, "dst");
	opts.trace = &d->side.trace;
	d->mem = aligned_alloc(64, (xm_rx_footprint(&opts) + 63) & ~63ul);
	if (!d->mem)
		abort();
	d->rx = xm_rx_init(d->mem, &opts);
	if (!d->rx)
		abort();
	d->ring_cap = w->opts.rx_frames ? w->opts.rx_frames : w->opts.credit;
	d->ring = calloc(d->ring_cap, sizeof(*d->ring));
	if (!d->ring)
		abort();
	d->node.next_at = dst_next_at;
	d->node.run = dst_run;
	d->node.out = wire;
	sim_add(&w->sim, &d->node);
}

void dst_fini(struct sim_dst *d)
{
	for (; d->ring_n; d->ring_n--) {
		sim_pkt_free(d->ring[d->ring_head]);
		d->ring_head = (d->ring_head + 1) % d->ring_cap;
	}
	free(d->ring);
	free(d->mem);
}
