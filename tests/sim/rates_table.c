// SPDX-License-Identifier: GPL-2.0-or-later
/* rates_table.c - what losses cost, who gets what beside a TCP flow, and what a path costs
 * that becomes longer, computed
 *
 *     sim-rates goodput
 *     sim-rates share
 *     sim-rates reroute
 *
 * Tables for docs/performance.md, in virtual time: exact, and the same on every
 * machine.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"

#include "rates.h"

static const unsigned int channels[] = { 1, 4, 16 };
static const uint32_t losses[] = { 0, 100, 1000, 10000 };

#define STARTS  5
#define SECONDS 8

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* Median of three seeds. */
static double median(const struct rates_opts *o)
{
	struct rates_opts s = *o;
	double v[3], t;
	unsigned int i, j;

	for (i = 0; i < 3; i++) {
		s.seed = o->seed + i;
		v[i] = rates_of(&s, false).gbit_per_s;
		for (j = i; j && v[j] < v[j - 1]; j--) {
			t = v[j];
			v[j] = v[j - 1];
			v[j - 1] = t;
		}
	}
	return v[1];
}

static void goodput(uint64_t queue, const char *name)
{
	struct rates_opts o = {
		.rate = 12500000000,
		.queue = queue,
		.rtt_ns = 100 * XM_US,
		.mtu = 9000,
		.size = 2ull << 30,
		.rx_memory = XM_RX_MEMORY,
		.seed = 1,
	};
	double clean = 0, got;
	unsigned int i, k;

	printf("| %s | clean | 1e-4 | 1e-3 | 1e-2 |\n|---|---|---|---|---|\n",
	       name);
	for (i = 0; i < N(channels); i++) {
		o.channels = channels[i];
		printf("| %u |", o.channels);
		for (k = 0; k < N(losses); k++) {
			o.loss_ppm = losses[k];
			got = median(&o);
			if (!k) {
				clean = got;
				printf(" %.1f |", got);
			} else {
				printf(" %.1f (%.1f %%) |", got,
				       100 * got / clean);
			}
			fflush(stdout);
		}
		printf("\n");
	}
}

static double ratio(const struct rates *r)
{
	return r->gbit_per_s / r->other_gbit_per_s;
}

/* The flow begins at once, or later by parts of a round trip: by that little,
 * shares become others.  Sorted. */
static void share_starts(const struct rates_opts *o, struct rates *ret)
{
	struct rates_opts s = *o;
	struct rates t;
	unsigned int i, j;

	for (i = 0; i < STARTS; i++) {
		s.other_at_ns = o->rtt_ns * 7 * i / 10;
		ret[i] = rates_of(&s, true);
		for (j = i; j && ratio(&ret[j]) < ratio(&ret[j - 1]); j--) {
			t = ret[j];
			ret[j] = ret[j - 1];
			ret[j - 1] = t;
		}
	}
}

static void share(unsigned int n)
{
	static const int64_t rtt_us[] = { 200, 1000, 1000, 10000 };
	static const unsigned int mtu[] = { 1500, 1500, 9000, 9000 };
	static const unsigned int quarters[] = { 1, 4, 8 };
	struct rates_opts o = {
		.channels = n,
		.rate = 125000000,
		.size = 512 << 20,
		.rx_memory = XM_RX_MEMORY,
		.seed = 1,
	};
	static struct rates all[STARTS];
	const struct rates *r = &all[STARTS / 2];
	unsigned int i, k;

	printf("| %u channels | 0.25 BDP | 1 BDP | 2 BDP |\n"
	       "|---|---:|---:|---:|\n",
	       n);
	for (i = 0; i < N(rtt_us); i++) {
		o.mtu = mtu[i];
		o.rtt_ns = rtt_us[i] * XM_US;
		printf("| %g ms, MTU %u |", (double)rtt_us[i] / 1000, o.mtu);
		for (k = 0; k < N(quarters); k++) {
			o.queue = o.rate / 1000000 * (uint64_t)rtt_us[i] *
				  quarters[k] / 4;
			share_starts(&o, all);
			printf(" %.2f, %.2f to %.2f (%.0f, %.0f) |", ratio(r),
			       ratio(&all[0]), ratio(&all[STARTS - 1]),
			       r->gbit_per_s * 1000,
			       r->other_gbit_per_s * 1000);
			fflush(stdout);
		}
		printf("\n");
	}
}

/* Of a link of 1 Gbit/s, by seconds; the path becomes longer after the second. */
static void reroute(unsigned int n, int64_t longer_ms)
{
	const struct rates_opts o = {
		.channels = n,
		.mtu = 9000,
		.rate = 125000000,
		.queue = 1 << 20,
		.rtt_ns = XM_MS,
		.loss_ppm = 1000,
		.size = 1ull << 30,
		.rx_memory = XM_RX_MEMORY,
		.seed = 1,
		.longer_ns = longer_ms * XM_MS,
		.longer_at_ns = 2 * XM_SEC,
		.slot_ns = XM_SEC,
	};
	static struct rates r;
	unsigned int i;

	r = rates_of(&o, false);
	printf("| %u, %" PRId64 " ms |", n, longer_ms);
	for (i = 0; i < r.n_slots && i < SECONDS; i++)
		printf(" %.2f |", r.slot_gbit_per_s[i]);
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned int i;

	(void)xm_crc32c_init();
	if (argc > 1 && !strcmp(argv[1], "goodput")) {
		goodput(16 << 20, "a link with a queue of 16 MiB");
		goodput(0, "a card's port");
	} else if (argc > 1 && !strcmp(argv[1], "share")) {
		for (i = 0; i < N(channels); i++)
			share(channels[N(channels) - 1 - i]);
	} else if (argc > 1 && !strcmp(argv[1], "reroute")) {
		for (i = 0; i < N(channels); i++) {
			reroute(channels[i], 5);
			reroute(channels[i], 20);
		}
	} else {
		fprintf(stderr, "Usage: sim-rates goodput|share|reroute\n");
		return 2;
	}
	return 0;
}
