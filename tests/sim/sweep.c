// SPDX-License-Identifier: GPL-2.0-or-later
/* sweep.c - the header ring on a fast link, computed
 *
 *     sim-sweep --rate 100G --rtt 1ms --size 2G --slots 1,2,4,10M --svg FILE
 *
 * The grid of `xdpmig sweep`, in virtual time: real senders and receivers of the
 * core, an ideal card, an ideal wire and CPUs that take no time.  So the figures
 * are exact, the same on every machine, and say what the protocol and the header
 * ring do to a link, nothing of what a CPU or a driver does to it.
 *
 * The card: one port of --rate, which takes frames of all TX rings in the order
 * in which they were posted, and pushes back; a frame is complete when it has
 * left.  The wire: half of --rtt each way.  The receiver: as much memory as
 * --credit frames a channel.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/sweep.h"
#include "core/crc32c.h"

#include "world.h"

#define SLOTS    "1,2,4,8,16,32,64,128,256,512,1024,10M,20M,30M"
#define TX_DEPTH 128 /* frames: more would only wait there */

struct sweep_opts {
	uint64_t rate; /* bits a second */
	int64_t rtt_ns;
	uint64_t size; /* of the guest, bytes */
	unsigned int mtu;
	uint32_t credit;    /* frames a channel; 0: by rx_memory */
	uint64_t rx_memory; /* bytes, all channels */
	uint32_t loss_ppm;
	const char *csv, *svg, *title;
};

static const char usage[] =
	"Usage: sim-sweep [option...]\n"
	"  --rate BITS       of the link: 100G\n"
	"  --rtt TIME        there and back: 100us, 1ms\n"
	"  --size BYTES      of the guest: 1G\n"
	"  --mtu N           9000\n"
	"  --slots LIST      of the header ring, or bytes: 1,2,4,10M\n"
	"  --channels LIST   1,4,16\n"
	"  --drain LIST      half,full,one\n"
	"  --credit N        frames of receive memory a channel (8128); or\n"
	"  --rx-memory BYTES of all channels together, as xdpmig recv has it\n"
	"  --loss PPM        frames lost of a million, each way (0)\n"
	"  --csv FILE, --svg FILE, --title TEXT\n";

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "sim-sweep: %s: %s\n%s", what, why, usage);
	exit(2);
}

/* A number and a unit: of @units the n-th stands for @base to the n, @first for
 * the first. */
static uint64_t number(const char *name, const char *text, const char *units,
		       uint64_t base)
{
	const char *unit;
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	unit = *end ? strchr(units, *end) : NULL;
	if (end == text || !n || (*end && (!unit || end[1])))
		die(name, text);
	for (; unit && unit >= units; unit--)
		n *= base;
	return n;
}

static int64_t duration(const char *name, const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (end != text && n && !strcmp(end, "us"))
		return (int64_t)n * XM_US;
	if (end != text && n && !strcmp(end, "ms"))
		return (int64_t)n * XM_MS;
	die(name, text);
}

/* -- one run -------------------------------------------------------------------- */

static uint32_t credit_of(const struct sweep_opts *o, unsigned int channels)
{
	uint32_t pieces = (o->mtu + 18 + 3839) / 3840, frames;

	if (!o->rx_memory)
		return o->credit;
	/* as xsk/plan.c and pump.c have it */
	frames = (uint32_t)(o->rx_memory / channels / 4096 / pieces);
	return frames - frames / 8;
}

static struct world_opts world_of(const struct sweep_opts *o,
				  const struct sweep_cell *c)
{
	struct world_opts w = world_defaults();

	w.n_channels = c->channels;
	w.n_slots = c->slots;
	w.drain = c->drain;
	w.mtu = o->mtu;
	w.credit = credit_of(o, c->channels);
	w.dev.depth = TX_DEPTH;
	w.dev.rate = o->rate / 8;
	w.guest.is_folded = true;
	w.guest.pages[0] = (uint32_t)(o->size / XM_PAGE_SIZE);
	w.up.delay_ns = w.down.delay_ns = w.ctl.delay_ns = o->rtt_ns / 2;
	w.up.loss_ppm = w.down.loss_ppm = o->loss_ppm;
	w.unchecked = true;
	return w;
}

static void run(const struct sweep_opts *o, struct sweep_cell *c)
{
	struct world_opts opts = world_of(o, c);
	struct world *w = malloc(sizeof(*w));
	struct sweep_sample *s = &c->sample[c->n];
	struct xm_time begun = XM_TIME_NEVER, done = { 0 };
	struct xm_tx_stats t;
	unsigned int i;
	int64_t ns;

	if (!w)
		abort();
	world_init(w, &opts);
	if (world_run(w) != WORLD_SAME) {
		fprintf(stderr, "sim-sweep: %u channels, %u slots, %s: %s\n",
			c->channels, c->slots, sweep_drain_name(c->drain),
			w->why);
		exit(1);
	}
	for (i = 0; i < c->channels; i++) {
		begun = xm_time_min(begun, w->src[i].begun);
		if (xm_time_before(done, w->src[i].done))
			done = w->src[i].done;
	}
	ns = xm_time_sub(done, begun);
	t = world_tx_stats(w);
	s->gbit_per_s =
		(double)(t.bytes_sent - t.bytes_resent) * 8 / (double)ns;
	s->waits = t.flush_space;
	s->wait_share = (double)t.space_ns / (double)ns / c->channels;
	s->dry = t.dry;
	s->dry_share = (double)t.dry_ns / (double)ns / c->channels;
	s->credit = opts.credit;
	/* what the rings themselves take */
	s->locked_bytes = (uint64_t)c->slots * c->channels * 2048;
	c->n++;
	world_fini(w);
	free(w);
}

/* -- command line ------------------------------------------------------------------ */

enum {
	O_RATE,
	O_RTT,
	O_SIZE,
	O_MTU,
	O_SLOTS,
	O_CHANNELS,
	O_DRAIN,
	O_CREDIT,
	O_RX_MEMORY,
	O_LOSS,
	O_CSV,
	O_SVG,
	O_TITLE
};

static const struct option options[] = {
	{ "rate", 1, NULL, O_RATE },   { "rtt", 1, NULL, O_RTT },
	{ "size", 1, NULL, O_SIZE },   { "mtu", 1, NULL, O_MTU },
	{ "slots", 1, NULL, O_SLOTS }, { "channels", 1, NULL, O_CHANNELS },
	{ "drain", 1, NULL, O_DRAIN }, { "credit", 1, NULL, O_CREDIT },
	{ "loss", 1, NULL, O_LOSS },   { "rx-memory", 1, NULL, O_RX_MEMORY },
	{ "csv", 1, NULL, O_CSV },     { "svg", 1, NULL, O_SVG },
	{ "title", 1, NULL, O_TITLE }, { 0 },
};

static void option(struct sweep_opts *o, struct sweep_grid *g, int which)
{
	char why[200];
	int r = 0;

	switch (which) {
	case O_RATE:
		o->rate = number("--rate", optarg, "KMGT", 1000);
		break;
	case O_RTT:
		o->rtt_ns = duration("--rtt", optarg);
		break;
	case O_SIZE:
		o->size = number("--size", optarg, "KMGT", 1024);
		break;
	case O_MTU:
		o->mtu = (unsigned int)number("--mtu", optarg, "", 1);
		break;
	case O_SLOTS:
		r = sweep_parse_slots(g, optarg, why);
		break;
	case O_CHANNELS:
		r = sweep_parse_channels(g, optarg, why);
		break;
	case O_DRAIN:
		r = sweep_parse_drains(g, optarg, why);
		break;
	case O_CREDIT:
		o->credit = (uint32_t)number("--credit", optarg, "", 1);
		break;
	case O_RX_MEMORY:
		o->rx_memory = number("--rx-memory", optarg, "KMGT", 1024);
		break;
	case O_LOSS:
		o->loss_ppm = (uint32_t)number("--loss", optarg, "", 1);
		break;
	case O_CSV:
		o->csv = optarg;
		break;
	case O_SVG:
		o->svg = optarg;
		break;
	case O_TITLE:
		o->title = optarg;
		break;
	default:
		exit(2);
	}
	if (r)
		die(optarg, why);
}

static FILE *open_out(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f) {
		perror(path);
		exit(1);
	}
	return f;
}

int main(int argc, char **argv)
{
	struct sweep_opts o = { .rate = 100000000000,
				.rtt_ns = XM_MS,
				.size = 1ull << 30,
				.mtu = 9000,
				.credit = XM_WINDOW,
				.title = "header ring" };
	struct sweep_grid g = { .repeats = 1 };
	char why[200], note[200];
	unsigned int i;
	FILE *f;
	int c;

	(void)xm_crc32c_init();
	(void)sweep_parse_slots(&g, SLOTS, why);
	(void)sweep_parse_channels(&g, "1,4,16", why);
	(void)sweep_parse_drains(&g, "half,full,one", why);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		option(&o, &g, c);
	if (sweep_grid_make(&g))
		abort();
	for (i = 0; i < sweep_n_cells(&g); i++) {
		fprintf(stderr, "\r%u of %u ", i, sweep_n_cells(&g));
		run(&o, &g.cell[i]);
	}
	fputs("\r                \r", stderr);
	sweep_put_table(stdout, &g);
	if (o.csv) {
		f = open_out(o.csv);
		sweep_put_csv(f, &g);
		fclose(f);
	}
	if (o.svg) {
		snprintf(note, sizeof(note),
			 "simulated: %g Gbit/s, round trip %g ms, guest of %g "
			 "MiB, MTU %u",
			 (double)o.rate / 1e9, (double)o.rtt_ns / XM_MS,
			 (double)o.size / (1 << 20), o.mtu);
		f = open_out(o.svg);
		sweep_put_svg(f, &g, o.title, note);
		fclose(f);
	}
	sweep_grid_free(&g);
	return 0;
}
