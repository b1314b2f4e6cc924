// SPDX-License-Identifier: GPL-2.0-or-later
/* world.c - building the world, running it, judging it
 *
 * A run ends with a verdict; the first thing that goes wrong is the one that
 * is told, and everything stands still from there on.
 */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_NS (600 * XM_SEC)

struct world_opts world_defaults(void)
{
	return (struct world_opts){
		.seed = 1,
		.n_channels = 1,
		.mtu = 9000,
		.n_slots = 4,
		.packet_pages = XM_PACKET_PAGES,
		.credit = 512,
		.rx_batch = 64,
		.stall_ns = XM_STALL_MS * XM_MS,
		.dev = { .depth = 64 },
		.guest = { .n_blocks = 1, .pages = { 16 } },
		.up = { .delay_ns = 50 * XM_US },
		.down = { .delay_ns = 50 * XM_US },
		.ctl = { .delay_ns = 50 * XM_US },
		.limit_ns = LIMIT_NS,
	};
}

void world_fail(struct world *w, enum world_verdict v, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (w->verdict)
		return;
	w->verdict = v;
	n = snprintf(w->why, sizeof(w->why), "at %lld us, epoch %u: ",
		     (long long)(w->sim.now.ns / XM_US), w->epoch);
	va_start(ap, fmt);
	vsnprintf(w->why + n, sizeof(w->why) - (size_t)n, fmt, ap);
	va_end(ap);
}

/* -- the network -------------------------------------------------------------------- */

/* Steering: the channel that a packet is for, by its port; the rest of the
 * host's traffic is none of ours.  A frame that the NIC hands to another
 * channel's queue is not seen. */
static int world_steer(struct world *w, const struct sim_pkt *p)
{
	struct xm_encap e;
	unsigned int channel, queue;

	if (xm_encap_get(&e, p->data, p->len, p->len) != XM_DROP_NONE)
		goto err_count;
	channel = (unsigned int)e.dport - XM_PORT_DATA;
	if (channel >= w->opts.n_channels)
		goto err_count;
	queue = channel;
	if (w->opts.rss)
		queue = ((e.sport * 40503u ^ e.dport * 30011u) >> 4) %
			w->opts.n_channels;
	if (queue == channel)
		return (int)channel;
err_count:
	w->n_unsteered++;
	return -1;
}

static void up_end_forward(struct sim_node *n, struct sim_pkt *p)
{
	struct world *w = (struct world *)n->sim;
	int i = world_steer(w, p);

	if (i < 0)
		sim_pkt_free(p);
	else
		dst_packet(&w->dst[i], p);
}

static void down_end_forward(struct sim_node *n, struct sim_pkt *p)
{
	struct world *w = (struct world *)n->sim;
	int i = world_steer(w, p);

	if (i < 0)
		sim_pkt_free(p);
	else
		src_packet(&w->src[i], p);
}

static struct sim_node *before(struct sim_node *n, struct sim_node *out)
{
	n->out = out;
	return n;
}

/* Build a direction from its end to its beginning, which is returned. */
static struct sim_node *world_path(struct world *w, struct sim_path_opts *o,
				   struct sim_node *end)
{
	static const struct sim_window none[SIM_WINDOWS_MAX];
	struct xm_time longer_at = XM_TIME_NEVER;
	struct sim *s = &w->sim;
	struct sim_node *n = end;

	if (o->longer_ns)
		longer_at = (struct xm_time){ o->longer_at_ns };
	n = before(sim_reroute(s, o->delay_ns, longer_at, o->longer_ns), n);
	if (o->rate)
		n = before(sim_rate(s, o->rate, o->queue, o->ecn), n);
	if (o->narrow)
		n = before(sim_narrow(s, o->narrow), n);
	if (memcmp(o->cut, none, sizeof(none)))
		n = before(sim_cut(s, o->cut), n);
	if (o->reorder_ppm)
		n = before(sim_reorder(s, o->reorder_ppm, o->reorder_ns), n);
	if (o->corrupt_ppm)
		n = before(sim_corrupt(s, o->corrupt_ppm), n);
	if (o->gilbert.bad_ns)
		n = before(sim_gilbert(s, &o->gilbert), n);
	if (o->loss_ppm)
		n = before(sim_loss(s, o->loss_ppm), n);
	if (o->dup_ppm)
		n = before(sim_dup(s, o->dup_ppm, o->reorder_ns), n);
	if (o->n_picks)
		n = before(sim_picks(s, o->pick, o->n_picks, &w->phase,
				     &w->log),
			   n);
	return n;
}

/* -- judging ------------------------------------------------------------------------ */

static void world_check_channel(struct world *w, unsigned int i)
{
	const struct sim_src *c = &w->src[i];
	struct xm_rx_totals t = xm_rx_totals(w->dst[i].rx);

	if (!xm_rx_is_installed(w->dst[i].rx))
		world_fail(w, WORLD_TOTALS, "channel %u: not installed", i);
	if (t.frames != xm_tx_frames(c->tx) || t.packets != c->n_packets)
		world_fail(w, WORLD_TOTALS,
			   "channel %u: %u frames in %u packets sent, %u in %u "
			   "installed",
			   i, xm_tx_frames(c->tx), c->n_packets, t.frames,
			   t.packets);
	if (t.pages_announced != c->n_normal || t.zero_pages != c->n_zero ||
	    t.bytes_placed != t.pages_announced * XM_PAGE_SIZE)
		world_fail(w, WORLD_TOTALS,
			   "channel %u: %u + %u zero pages sent, %llu + %llu "
			   "announced, %llu bytes placed",
			   i, c->n_normal, c->n_zero,
			   (unsigned long long)t.pages_announced,
			   (unsigned long long)t.zero_pages,
			   (unsigned long long)t.bytes_placed);
}

void world_check_totals(struct world *w)
{
	unsigned int i;

	for (i = 0; i < w->opts.n_channels; i++)
		world_check_channel(w, i);
}

void world_compare(struct world *w)
{
	unsigned int block;
	uint32_t page;
	bool touched;

	if (!guest_same(&w->guest, &block, &page, &touched))
		world_fail(w, touched ? WORLD_TOUCHED : WORLD_RAM,
			   touched ? "block %u page %u was touched" :
				     "block %u page %u differs",
			   block, page);
}

static void world_check(struct world *w)
{
	unsigned int i;

	for (i = 0; i < w->opts.n_channels && !w->opts.unchecked; i++) {
		if (w->src[i].is_touched && !src_check(&w->src[i]))
			world_fail(w, WORLD_BROKEN,
				   "channel %u: xm_tx_check() is false", i);
		if (w->dst[i].is_touched && !dst_check(&w->dst[i]))
			world_fail(w, WORLD_BROKEN,
				   "channel %u: xm_rx_check() is false", i);
	}
}

enum world_verdict world_run(struct world *w)
{
	conduct_start(w);
	for (;;) {
		world_check(w);
		conduct_settle(w);
		if (!w->verdict && conduct_is_over(w)) {
			if (w->ses_src.outcome.home == XM_HOME_TARGET)
				return WORLD_SAME;
			world_fail(w, WORLD_ENDED, "src: %s; dst: %s",
				   w->ses_src.outcome.text,
				   w->ses_dst.outcome.text);
		}
		if (w->verdict)
			return w->verdict;
		if (!sim_step(&w->sim))
			world_fail(w, WORLD_STUCK,
				   w->sim.is_stuck ?
					   "time stands still" :
					   "nothing happens any more");
		else if (w->sim.now.ns > w->opts.limit_ns)
			world_fail(w, WORLD_STUCK, "it takes too long");
	}
}

void world_drain(struct world *w)
{
	w->phase.is_over = true;
	while (!w->verdict && sim_step(&w->sim))
		world_check(w);
}

/* -- life ----------------------------------------------------------------------------- */

void world_init(struct world *w, const struct world_opts *opts)
{
	struct sim_node *up, *down;
	unsigned int i;

	memset(w, 0, sizeof(*w));
	w->opts = *opts;
	sim_log_init(&w->log, opts->show);
	w->log.one_channel = opts->n_channels == 1;
	if (xm_geometry_fit(&w->geo, opts->mtu, opts->ipv6 ? 40 : 20,
			    opts->max_pages ? opts->max_pages : XM_FRAME_SEGS))
		abort();
	sim_init(&w->sim, opts->seed);
	guest_init(&w->guest, &w->sim, &opts->guest, opts->n_channels);
	conduct_init(w);
	w->up_end.forward = up_end_forward;
	sim_add(&w->sim, &w->up_end);
	w->down_end.forward = down_end_forward;
	sim_add(&w->sim, &w->down_end);
	up = world_path(w, &w->opts.up, &w->up_end);
	down = world_path(w, &w->opts.down, &w->down_end);
	w->src = calloc(opts->n_channels, sizeof(*w->src));
	w->dst = calloc(opts->n_channels, sizeof(*w->dst));
	if (!w->src || !w->dst)
		abort();
	for (i = 0; i < opts->n_channels; i++) {
		src_init(&w->src[i], w, i, up);
		dst_init(&w->dst[i], w, i, down);
	}
	device_init(&w->device, w);
	verify_init(&w->verify, w);
}

void world_fini(struct world *w)
{
	unsigned int i;

	sim_fini(&w->sim); /* while its nodes are still there */
	for (i = 0; i < w->opts.n_channels; i++) {
		src_fini(&w->src[i]);
		dst_fini(&w->dst[i]);
	}
	free(w->src);
	free(w->dst);
	device_fini(&w->device);
	guest_fini(&w->guest);
	sim_log_fini(&w->log);
}

static void add_drops(struct xm_drops *sum, const struct xm_drops *d)
{
	unsigned int i;

	for (i = 0; i < XM_DROP__COUNT; i++)
		sum->n[i] += d->n[i];
}

struct xm_tx_stats world_tx_stats(struct world *w)
{
	struct xm_tx_stats sum = { 0 };
	unsigned int i;

	for (i = 0; i < w->opts.n_channels; i++) {
		const struct xm_tx_stats *s = xm_tx_stats(w->src[i].tx);

		sum.packets += s->packets;
		sum.bytes_sent += s->bytes_sent;
		sum.bytes_resent += s->bytes_resent;
		sum.frames_sent += s->frames_sent;
		sum.frames_resent += s->frames_resent;
		sum.frames_staged += s->frames_staged;
		sum.bytes_copied += s->bytes_copied;
		sum.pages += s->pages;
		sum.zero_pages += s->zero_pages;
		sum.flush_space += s->flush_space;
		sum.flush_barrier += s->flush_barrier;
		sum.space_ns += s->space_ns;
		sum.dry += s->dry;
		sum.dry_ns += s->dry_ns;
		sum.probes += s->probes;
		sum.timeouts += s->timeouts;
		sum.lost += s->lost;
		sum.spurious += s->spurious;
		add_drops(&sum.drops, &s->drops);
	}
	return sum;
}

struct xm_rx_stats world_rx_stats(const struct world *w)
{
	struct xm_rx_stats sum = { 0 };
	unsigned int i;

	for (i = 0; i < w->opts.n_channels; i++) {
		const struct xm_rx_stats *s = xm_rx_stats(w->dst[i].rx);

		sum.frames += s->frames;
		sum.packets += s->packets;
		sum.bytes_placed += s->bytes_placed;
		sum.pages += s->pages;
		sum.zero_pages += s->zero_pages;
		sum.zero_holes += s->zero_holes;
		sum.acks_sent += s->acks_sent;
		sum.n_ce += s->n_ce;
		add_drops(&sum.drops, &s->drops);
	}
	return sum;
}
