// SPDX-License-Identifier: GPL-2.0-or-later
/* rates.c - how fast a world migrates (rates.h) */
#include "rates.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cubic.h"

#define SLOTS 20 /* as --in-flight has it: 10 MB */

/* As xsk/plan.c and pump.c have it. */
static uint32_t rates_credit(const struct rates_opts *o)
{
	uint32_t pieces = (o->mtu + 18 + 3839) / 3840;
	uint32_t frames =
		(uint32_t)(o->rx_memory / o->channels / 4096 / pieces);

	return frames - frames / 8;
}

static struct world_opts rates_world(const struct rates_opts *o)
{
	struct world_opts w = world_defaults();

	w.seed = o->seed;
	w.n_channels = o->channels;
	w.mtu = o->mtu;
	w.n_slots = SLOTS;
	w.credit = rates_credit(o);
	w.dev.depth = 128;
	w.guest.is_folded = true;
	w.guest.pages[0] = (uint32_t)(o->size / XM_PAGE_SIZE);
	w.up.delay_ns = w.down.delay_ns = w.ctl.delay_ns = o->rtt_ns / 2;
	w.up.longer_ns = o->longer_ns;
	w.up.longer_at_ns = o->longer_at_ns;
	w.up.loss_ppm = w.down.loss_ppm = o->loss_ppm;
	if (o->queue) {
		w.up.rate = o->rate;
		w.up.queue = o->queue;
	} else {
		w.dev.rate = o->rate;
	}
	w.unchecked = true;
	return w;
}

static int64_t rates_epoch_ns(const struct world *w)
{
	struct xm_time begun = XM_TIME_NEVER, done = { 0 };
	unsigned int i;

	for (i = 0; i < w->opts.n_channels; i++) {
		begun = xm_time_min(begun, w->src[i].begun);
		if (xm_time_before(done, w->src[i].done))
			done = w->src[i].done;
	}
	return xm_time_sub(done, begun);
}

/* -- a rate for each slot of time ----------------------------------------------- */

struct slots {
	struct sim_node node;
	struct rates *r;
	int64_t ns;
	struct xm_time next;
	uint64_t placed; /* bytes, until the last one's end */
};

static struct xm_time slots_next_at(const struct sim_node *n)
{
	const struct slots *s = (const struct slots *)n;

	return s->r->n_slots < RATES_SLOTS ? s->next : XM_TIME_NEVER;
}

static void slots_run(struct sim_node *n, struct xm_time now)
{
	struct slots *s = (struct slots *)n;
	uint64_t placed = world_rx_stats((struct world *)n->sim).bytes_placed;

	s->r->slot_gbit_per_s[s->r->n_slots++] =
		(double)(placed - s->placed) * 8 / (double)s->ns;
	s->placed = placed;
	s->next = xm_time_add(now, s->ns);
}

static void slots_init(struct slots *s, struct rates *r, struct world *w,
		       int64_t ns)
{
	*s = (struct slots){
		.node = { .next_at = slots_next_at, .run = slots_run },
		.r = r,
		.ns = ns,
		.next = { ns },
	};
	sim_add(&w->sim, &s->node);
}

/* -- a migration ------------------------------------------------------------------ */

static int64_t rates_least_rtt(const struct world *w)
{
	int64_t most = 0, t;
	unsigned int i;

	for (i = 0; i < w->opts.n_channels; i++) {
		t = xm_tx_stats(w->src[i].tx)->min_rtt_ns;
		most = t > most ? t : most;
	}
	return most;
}

struct rates rates_of(const struct rates_opts *o, bool is_shared)
{
	struct world_opts opts = rates_world(o);
	struct world *w = malloc(sizeof(*w));
	struct sim_cubic cubic;
	struct xm_tx_stats t;
	struct rates r = { 0 };
	struct slots slots;
	int64_t ns;

	if (!w)
		abort();
	world_init(w, &opts);
	if (is_shared)
		cubic_init(&cubic, w, o->mtu + 14,
			   (struct xm_time){ o->other_at_ns });
	if (o->slot_ns)
		slots_init(&slots, &r, w, o->slot_ns);
	if (world_run(w) != WORLD_SAME) {
		fprintf(stderr,
			"%u channels, seed %" PRIu64 ", loss %u ppm: %s\n",
			o->channels, o->seed, o->loss_ppm, w->why);
		exit(1);
	}
	t = world_tx_stats(w);
	ns = rates_epoch_ns(w);
	r.gbit_per_s = (double)(t.bytes_sent - t.bytes_resent) * 8 / (double)ns;
	r.frames = t.frames_sent;
	r.resent = t.frames_resent;
	r.timeouts = t.timeouts;
	r.least_rtt_ns = rates_least_rtt(w);
	if (is_shared) {
		r.other_gbit_per_s = (double)cubic.delivered * 8 /
				     (double)(w->sim.now.ns - o->other_at_ns);
		cubic_fini(&cubic);
	}
	world_fini(w);
	free(w);
	return r;
}
