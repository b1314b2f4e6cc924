// SPDX-License-Identifier: GPL-2.0-or-later
/* soak.c - random worlds, one from each seed
 *
 *     soak --seeds N [--from S] [--trace]
 *
 * A seed decides everything: geometry, channels, window sizes, devices, faults
 * in both directions and what the guest does meanwhile.  Each world migrates
 * its guest; memory must be the same at the end, and once more after all that
 * was still on its way has arrived.  A world that fails is named by its seed,
 * with the command that shows it again; the others still run.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define TRACE_ALL         UINT32_MAX
#define SEEDS_TO_MEET_ALL 1000

/* What all worlds together went through: a soak that met nothing proves
 * nothing. */
struct soak_sum {
	uint64_t worlds, failed, migrated, stayed, unknown;
	uint64_t resent, staged, spurious, probes, timeouts, space;
	uint64_t holes, zeros, ce, overflow, unsteered;
	uint64_t verified, repaired;
	uint64_t loaded, full, device_acks, not_loaded;
	struct xm_drops tx_drops, rx_drops;
};

static const char *const verdicts[] = {
	[WORLD_SAME] = "same",       [WORLD_BROKEN] = "broken",
	[WORLD_TOTALS] = "totals",   [WORLD_RAM] = "ram",
	[WORLD_TOUCHED] = "touched", [WORLD_ENDED] = "ended",
	[WORLD_STUCK] = "stuck",
};

static uint32_t pick_u32(struct sim_rng *r, uint32_t lo, uint32_t hi)
{
	return (uint32_t)sim_rng_range(r, lo, hi);
}

/* Between @lo and @hi, small values as likely as large ones. */
static int64_t pick_log(struct sim_rng *r, int64_t lo, int64_t hi)
{
	int64_t top = lo;

	while (top < hi && sim_rng_chance(r, SIM_PPM * 3 / 4))
		top = top * 4 + 1;
	return sim_rng_range(r, lo, top < hi ? top : hi);
}

static void random_cuts(struct sim_rng *r, struct sim_window *w)
{
	int64_t at = 0;
	unsigned int i;

	for (i = 0; i < SIM_WINDOWS_MAX; i++) {
		at += pick_log(r, 10 * XM_US, XM_SEC);
		w[i].from_ns = at;
		at += pick_log(r, 10 * XM_US, 300 * XM_MS);
		w[i].to_ns = at;
	}
}

static void random_path(struct sim_rng *r, struct sim_path_opts *p)
{
	uint32_t half = SIM_PPM / 2, quarter = SIM_PPM / 4;

	p->delay_ns = pick_log(r, XM_US, 20 * XM_MS);
	p->reorder_ns = pick_log(r, XM_US, 5 * XM_MS);
	if (sim_rng_chance(r, half))
		p->loss_ppm = pick_u32(r, 1, 300000);
	if (sim_rng_chance(r, half))
		p->dup_ppm = pick_u32(r, 1, 300000);
	if (sim_rng_chance(r, half))
		p->corrupt_ppm = pick_u32(r, 1, 300000);
	if (sim_rng_chance(r, half))
		p->reorder_ppm = pick_u32(r, 1, 500000);
	if (sim_rng_chance(r, quarter)) {
		p->gilbert.good_ns = pick_log(r, 10 * XM_US, 100 * XM_MS);
		/* a path that is down most of the time is no path */
		p->gilbert.bad_ns = pick_log(r, XM_US, p->gilbert.good_ns);
		p->gilbert.loss_bad_ppm = pick_u32(r, 1, SIM_PPM);
	}
	if (sim_rng_chance(r, quarter))
		random_cuts(r, p->cut);
	if (sim_rng_chance(r, half)) {
		p->rate = (uint64_t)pick_log(r, 10000000, 10000000000);
		p->queue = (uint64_t)pick_log(r, 200000, 10000000);
		p->ecn = sim_rng_chance(r, half) ? p->queue / 4 : 0;
	}
}

static void random_guest(struct sim_rng *r, struct world_opts *o)
{
	struct sim_guest_opts *g = &o->guest;
	unsigned int i;

	g->n_blocks = pick_u32(r, 1, 2 * o->n_channels);
	for (i = 0; i < g->n_blocks; i++)
		g->pages[i] = pick_u32(r, 1, 300 / g->n_blocks);
	g->hole_ppm = pick_u32(r, 0, SIM_PPM / 2);
	g->zero_ppm = pick_u32(r, 0, SIM_PPM / 2);
	g->pattern = (enum sim_pattern)sim_rng_below(r, SIM_PATTERN__COUNT);
	if (!sim_rng_chance(r, SIM_PPM / 8))
		g->write_ns = pick_log(r, 200, 10 * XM_MS);
	g->writes_max = 2000;
}

/* What a frame may be, and who carries how many of them. */
static void random_shape(struct sim_rng *r, struct world_opts *o)
{
	static const unsigned int mtus[] = { 1500, 3498, 9000, 65535 };

	o->n_channels = sim_rng_chance(r, SIM_PPM / 2) ? 1 : pick_u32(r, 2, 16);
	o->mtu = sim_rng_chance(r, SIM_PPM / 2) ?
			 mtus[sim_rng_below(r, 4)] :
			 (unsigned int)pick_log(r, 1500, 65535);
	o->max_pages = pick_u32(r, 1, XM_FRAME_SEGS);
	o->vlan = sim_rng_chance(r, SIM_PPM / 4) ? 100 : 0;
	o->ipv6 = sim_rng_chance(r, SIM_PPM / 2);
	o->n_slots = pick_u32(r, 1, 8);
	o->drain = (enum xm_drain)sim_rng_below(r, XM_DRAIN__COUNT);
	o->packet_pages = pick_u32(
		r, 1, sim_rng_chance(r, SIM_PPM / 2) ? 16 : XM_PACKET_PAGES);
	if (sim_rng_chance(r, SIM_PPM / 8))
		o->rate = (uint64_t)pick_log(r, 20000000, 1000000000);
}

static void random_hosts(struct sim_rng *r, struct world_opts *o)
{
	o->credit = (uint32_t)pick_log(r, 1, 512);
	if (sim_rng_chance(r, SIM_PPM / 4))
		o->rx_frames = (unsigned int)pick_log(r, 1, 512);
	o->rx_ns = pick_log(r, 0, 20 * XM_US);
	o->rx_batch = pick_u32(r, 1, 64);
	if (sim_rng_chance(r, SIM_PPM / 8))
		random_cuts(r, o->rx_stall);
	o->dev = (struct sim_dev_opts){
		.depth = pick_u32(r, 1, 128),
		.dma_ns = pick_log(r, 0, 50 * XM_US),
		.dma_jitter_ns = pick_log(r, 0, 50 * XM_US),
		.done_ns = pick_log(r, 0, 50 * XM_US),
		.done_jitter_ns = pick_log(r, 0, 500 * XM_US),
		.copies = sim_rng_chance(r, SIM_PPM / 2),
	};
}

static void random_session(struct sim_rng *r, struct world_opts *o)
{
	o->live_epochs = pick_u32(r, 0, 4);
	o->take_ns = pick_log(r, 0, 10 * XM_MS);
	if (sim_rng_chance(r, SIM_PPM / 8))
		o->tell_late_ns = pick_log(r, XM_US, 10 * XM_MS);
	/* Sixteen channels' PROBEs of 64 KiB need a link that carries them. */
	o->probe = sim_rng_chance(r, SIM_PPM / 4) && !o->up.rate &&
		   !o->down.rate;
	o->rss = o->probe && sim_rng_chance(r, SIM_PPM / 2);
	o->ctl.delay_ns = pick_log(r, XM_US, 20 * XM_MS);
	if (sim_rng_chance(r, SIM_PPM / 16)) {
		o->ctl.what = (enum sim_ctl_do)pick_u32(r, 1, 4);
		o->ctl.nth = pick_u32(r, 1, 24);
		o->ctl.is_silent = sim_rng_chance(r, SIM_PPM / 2);
	}
}

/* Two thirds of the sessions have keys; some of them, new ones soon. */
static void random_keys(struct sim_rng *r, struct world_opts *o)
{
	o->keys = (enum sim_keys)sim_rng_below(r, SIM_KEYS__COUNT);
	if (sim_rng_chance(r, SIM_PPM / 2))
		o->count = (1ull << XM_REKEY_SHIFT) - pick_u32(r, 0, 500);
}

/* Half of the guests have devices, of up to three windows. */
static void random_device(struct sim_rng *r, struct world_opts *o)
{
	struct sim_device_opts *d = &o->device;

	if (sim_rng_chance(r, SIM_PPM / 2))
		return;
	d->len = (uint32_t)pick_log(r, 1, 3 << 20);
	d->piece_max = (uint32_t)pick_log(r, 1 << 10, 128 << 10);
	d->from_epoch = pick_u32(r, 1, o->live_epochs + 1);
	d->write_ns = pick_log(r, 0, XM_MS);
	d->read_ns = pick_log(r, 0, XM_MS);
	d->load_ns = pick_log(r, 0, 3 * XM_SEC);
	d->load_fails = sim_rng_chance(r, SIM_PPM / 32);
	d->was_paused = sim_rng_chance(r, SIM_PPM / 8);
	if (o->ctl.what && sim_rng_chance(r, SIM_PPM / 2))
		o->ctl.nth += pick_u32(r, 0, 60);
}

/* Of half of the guests memory is compared; of half of those it changed. */
static void flip_once(struct world *w, unsigned int round)
{
	if (round == 1)
		(void)verify_flip(w, (uint32_t)w->opts.seed);
}

static void random_verify(struct sim_rng *r, struct world_opts *o)
{
	struct sim_verify_opts *v = &o->verify;

	v->is_on = sim_rng_chance(r, SIM_PPM / 2);
	v->src_ns = pick_log(r, 0, XM_SEC);
	v->dst_ns = pick_log(r, 0, XM_SEC);
	v->chunk = pick_u32(r, 1, 4);
	if (sim_rng_chance(r, SIM_PPM / 2))
		v->on_hash = flip_once;
}

static void random_world(struct world_opts *o, uint64_t seed)
{
	struct sim_rng rng = { seed };

	*o = world_defaults();
	o->seed = sim_rng_next(&rng);
	o->stall_ns = 100 * XM_SEC;
	random_shape(&rng, o);
	random_hosts(&rng, o);
	random_guest(&rng, o);
	random_path(&rng, &o->up);
	random_path(&rng, &o->down);
	random_session(&rng, o);
	random_device(&rng, o);
	random_keys(&rng, o);
	random_verify(&rng, o);
}

static void sum_drops(struct xm_drops *sum, const struct xm_drops *d)
{
	unsigned int i;

	for (i = 0; i < XM_DROP__COUNT; i++)
		sum->n[i] += d->n[i];
}

static void sum_world(struct soak_sum *sum, struct world *w)
{
	struct xm_tx_stats tx = world_tx_stats(w);
	struct xm_rx_stats rx = world_rx_stats(w);
	unsigned int i;

	sum->worlds++;
	sum->migrated += w->ses_src.outcome.home == XM_HOME_TARGET;
	sum->stayed += w->ses_src.outcome.home == XM_HOME_SOURCE;
	sum->unknown += w->ses_src.outcome.home == XM_HOME_UNKNOWN;
	sum->resent += tx.frames_resent;
	sum->staged += tx.frames_staged;
	sum->spurious += tx.spurious;
	sum->probes += tx.probes;
	sum->timeouts += tx.timeouts;
	sum->space += tx.flush_space;
	sum->holes += rx.zero_holes;
	sum->zeros += rx.zero_pages - rx.zero_holes;
	sum->ce += rx.n_ce;
	for (i = 0; i < w->opts.n_channels; i++)
		sum->overflow += w->dst[i].n_overflow;
	sum->unsteered += w->n_unsteered;
	sum->loaded += w->device.is_loaded;
	sum->not_loaded += w->verdict == WORLD_ENDED && w->opts.device.len &&
			   w->ses_dst.is_device_ended && !w->device.is_loaded;
	sum->verified += w->ses_src.is_verified;
	sum->repaired += w->verify.n_repaired;
	sum->full += w->device.n_full;
	sum->device_acks += w->device.n_acks;
	sum_drops(&sum->tx_drops, &tx.drops);
	sum_drops(&sum->rx_drops, &rx.drops);
}

/* Print what was met; true when nothing that should have been is missing. */
static bool sum_print(const struct soak_sum *s)
{
	const struct {
		const char *name;
		uint64_t n;
	} met[] = {
		{ "migrated", s->migrated },
		{ "stayed", s->stayed },
		{ "unknown", s->unknown },
		{ "resent", s->resent },
		{ "staged", s->staged },
		{ "spurious", s->spurious },
		{ "tail probes", s->probes },
		{ "timeouts", s->timeouts },
		{ "space flushes", s->space },
		{ "holes kept", s->holes },
		{ "zeros", s->zeros },
		{ "marked", s->ce },
		{ "overflow", s->overflow },
		{ "unsteered", s->unsteered },
		{ "loaded", s->loaded },
		{ "not loaded", s->not_loaded },
		{ "window full", s->full },
		{ "verified", s->verified },
		{ "repaired", s->repaired },
		{ "device ACKs", s->device_acks },
		{ "bad magic", s->rx_drops.n[XM_DROP_BAD_MAGIC] },
		{ "bad header", s->rx_drops.n[XM_DROP_BAD_TAG] },
		{ "bad payload", s->rx_drops.n[XM_DROP_BAD_PAYLOAD_CRC] },
		{ "bad cookie", s->rx_drops.n[XM_DROP_BAD_COOKIE] },
		{ "stale", s->rx_drops.n[XM_DROP_STALE_EPOCH] },
		{ "duplicate", s->rx_drops.n[XM_DROP_DUPLICATE] },
		{ "bad ACK header", s->tx_drops.n[XM_DROP_BAD_TAG] },
		{ "bad ACK", s->tx_drops.n[XM_DROP_BAD_PAYLOAD_CRC] },
		{ "stale ACK", s->tx_drops.n[XM_DROP_STALE_EPOCH] },
		{ "replayed ACK", s->tx_drops.n[XM_DROP_REPLAYED] },
	};
	bool all = true;
	unsigned int i;

	printf("met:");
	for (i = 0; i < sizeof(met) / sizeof(met[0]); i++) {
		printf(" %s %" PRIu64, met[i].name, met[i].n);
		all = all && met[i].n;
	}
	printf("\n%" PRIu64 " worlds, %" PRIu64 " failed\n", s->worlds,
	       s->failed);
	return all;
}

/* Did it end as it should?  One whose control connection was not tampered
 * with, and whose devices load, migrates; any other may also end otherwise,
 * with the guest in one place, which the world itself watches. */
static bool soak_ended_well(struct world *w)
{
	if (w->verdict == WORLD_ENDED)
		return w->opts.ctl.what || w->opts.device.load_fails;
	if (w->verdict != WORLD_SAME)
		return false;
	world_drain(w);
	if (!w->verdict)
		world_compare(w); /* nothing that came late changed it */
	return w->verdict == WORLD_SAME;
}

static void soak_one(uint64_t seed, bool trace, const char *self,
		     struct soak_sum *sum)
{
	struct world_opts opts;
	struct world w;
	bool ok;

	random_world(&opts, seed);
	opts.show = trace ? TRACE_ALL : 0;
	world_init(&w, &opts);
	world_run(&w);
	ok = soak_ended_well(&w);
	sum_world(sum, &w);
	sum->failed += !ok;
	if (trace)
		fputs(sim_log_text(&w.log), stdout);
	if (trace || !ok)
		printf("seed %" PRIu64 ": %s %s (%u channels, MTU %u, "
		       "%" PRIu64 " steps, %lld us)\n",
		       seed, verdicts[w.verdict], w.why, opts.n_channels,
		       opts.mtu, w.sim.steps,
		       (long long)(w.sim.now.ns / XM_US));
	if (!ok)
		printf("replay: %s --seeds 1 --from %" PRIu64 " --trace\n",
		       self, seed);
	world_fini(&w);
}

static int usage(const char *self)
{
	fprintf(stderr, "usage: %s --seeds N [--from S] [--trace]\n", self);
	return 2;
}

static bool get_u64(const char *s, uint64_t *ret)
{
	char *end;

	*ret = strtoull(s, &end, 0);
	return *s && !*end;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seeds", required_argument, NULL, 'n' },
		{ "from", required_argument, NULL, 'f' },
		{ "trace", no_argument, NULL, 't' },
		{ 0 },
	};
	struct soak_sum sum = { 0 };
	uint64_t seeds = 0, from = 1, i;
	bool trace = false, met;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 't')
			trace = true;
		else if (c == '?' ||
			 !get_u64(optarg, c == 'n' ? &seeds : &from))
			return usage(argv[0]);
	}
	if (!seeds || optind != argc)
		return usage(argv[0]);
	for (i = 0; i < seeds; i++)
		soak_one(from + i, trace, argv[0], &sum);
	met = sum_print(&sum);
	if (!met && seeds >= SEEDS_TO_MEET_ALL)
		printf("something was never met: the worlds are too kind\n");
	return sum.failed || (!met && seeds >= SEEDS_TO_MEET_ALL);
}
