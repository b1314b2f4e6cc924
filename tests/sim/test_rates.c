// SPDX-License-Identifier: GPL-2.0-or-later
/* test_rates.c - what losses cost, and who gets what beside a TCP flow
 *
 * Bounds of what docs/performance.md shows whole; figures and seeds are printed.
 */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/crc32c.h"

#include "rates.h"

/* -- random losses: 100 Gbit/s, a round trip of 100 us ------------------------- */

static double goodput(unsigned int channels, uint64_t size, uint32_t loss_ppm)
{
	const struct rates_opts o = {
		.channels = channels,
		.mtu = 9000,
		.rate = 12500000000,
		.queue = 16 << 20,
		.rtt_ns = 100 * XM_US,
		.loss_ppm = loss_ppm,
		.size = size,
		.rx_memory = XM_RX_MEMORY,
		.seed = 1,
	};
	double got = rates_of(&o, false).gbit_per_s;

	print_message("# %u channels, seed %" PRIu64 ", %u ppm: %.1f Gbit/s\n",
		      channels, o.seed, loss_ppm, got);
	return got;
}

static void goodput__of_one_channel(void **state)
{
	const uint64_t size = 512 << 20;
	double clean = goodput(1, size, 0);

	(void)state;
	assert_true(clean > 94);
	assert_true(goodput(1, size, 10000) > 0.95 * clean);
}

/* Long enough that slow start and the last frames are little of it. */
static void goodput__of_sixteen_channels(void **state)
{
	const uint64_t size = 2ull << 30;
	double clean = goodput(16, size, 0);

	(void)state;
	assert_true(clean > 94);
	assert_true(goodput(16, size, 1000) > 0.98 * clean);
	assert_true(goodput(16, size, 10000) > 0.95 * clean);
}

/* -- a path that becomes longer: 1 Gbit/s ---------------------------------------- */

#define SLOT_NS (250 * XM_MS)
#define AT      6 /* slots of the old path */

static struct rates rerouted(unsigned int channels, uint64_t size,
			     int64_t rtt_ns, int64_t longer_ns)
{
	const struct rates_opts o = {
		.channels = channels,
		.mtu = 9000,
		.rate = 125000000,
		.queue = 1 << 20,
		.rtt_ns = rtt_ns,
		.loss_ppm = 1000,
		.size = size,
		.rx_memory = XM_RX_MEMORY,
		.seed = 1,
		.longer_ns = longer_ns,
		.longer_at_ns = AT * SLOT_NS,
		.slot_ns = SLOT_NS,
	};

	return rates_of(&o, false);
}

/* Gbit/s in @n slots. */
static double mean(const struct rates *r, unsigned int from, unsigned int n)
{
	double sum = 0;
	unsigned int i;

	assert_true(from + n <= r->n_slots);
	for (i = from; i < from + n; i++)
		sum += r->slot_gbit_per_s[i];
	return sum / n;
}

/* From 4 s after the change on it is as if the path had always been so long. */
static void comes_back(unsigned int channels, int64_t longer_ns)
{
	struct rates is = rerouted(channels, 800 << 20, XM_MS, longer_ns);
	struct rates clean =
		rerouted(channels, 500 << 20, XM_MS + longer_ns, 0);
	double got = mean(&is, AT + 16, 4), want = mean(&clean, AT, 8);

	print_message("# %u channels, %" PRId64
		      " ms longer: %.3f of %.3f Gbit/s after 4 s\n",
		      channels, (int64_t)(longer_ns / XM_MS), got, want);
	assert_true(got >= 0.9 * want);
}

static void reroute__by_5_ms(void **state)
{
	(void)state;
	comes_back(16, 5 * XM_MS);
}

static void reroute__by_20_ms(void **state)
{
	(void)state;
	comes_back(16, 20 * XM_MS);
	comes_back(1, 20 * XM_MS);
}

/* -- beside a CUBIC flow: 1 Gbit/s ---------------------------------------------- */

/* Of one flow's share; @queue in quarters of what is on its way, @later in tenths of
 * a round trip: so much later the flow begins. */
static double share(unsigned int mtu, int64_t rtt_us, unsigned int queue,
		    unsigned int later)
{
	const struct rates_opts o = {
		.channels = 16,
		.mtu = mtu,
		.rate = 125000000,
		.queue = 125 * (uint64_t)rtt_us * queue / 4,
		.rtt_ns = rtt_us * XM_US,
		.size = 512 << 20,
		.rx_memory = XM_RX_MEMORY,
		.seed = 1,
		.other_at_ns = rtt_us * XM_US * later / 10,
	};
	struct rates r = rates_of(&o, true);
	double got = r.gbit_per_s / r.other_gbit_per_s;

	print_message("# MTU %u, %" PRId64 " us, queue %" PRIu64
		      ", seed %" PRIu64 ", flow %" PRId64
		      " us later: %.3f to %.3f Gbit/s\n",
		      mtu, rtt_us, o.queue, o.seed,
		      (int64_t)(o.other_at_ns / XM_US), r.gbit_per_s,
		      r.other_gbit_per_s);
	return got;
}

static void assert_fair(double share)
{
	assert_true(share > 0.5 && share < 2);
}

static void share__behind_a_queue_of_one_bdp(void **state)
{
	(void)state;
	assert_fair(share(1500, 200, 4, 0));
	assert_fair(share(9000, 10000, 4, 0));
}

/* There the flow's beginning counts. */
static void share__behind_a_shallow_queue(void **state)
{
	double a = share(9000, 10000, 1, 0);
	double b = share(9000, 10000, 1, 7), c = share(9000, 10000, 1, 14);

	(void)state;
	assert_fair(fmax(fmin(a, b), fmin(fmax(a, b), c))); /* the median */
}

static void share__behind_a_deep_queue(void **state)
{
	(void)state;
	assert_fair(share(9000, 10000, 8, 0));
}

/* The flow's queue never is empty, for twenty seconds. */
static void share__a_standing_queue_is_not_the_path(void **state)
{
	const struct rates_opts o = {
		.channels = 16,
		.mtu = 9000,
		.rate = 125000000,
		.queue = 1250000,
		.rtt_ns = 10 * XM_MS,
		.size = 1200 << 20,
		.rx_memory = XM_RX_MEMORY,
		.seed = 1,
	};
	struct rates r = rates_of(&o, true);

	(void)state;
	print_message("# seed %" PRIu64 ": %.3f to %.3f Gbit/s, round trips "
		      "from %.3f ms\n",
		      o.seed, r.gbit_per_s, r.other_gbit_per_s,
		      (double)r.least_rtt_ns / XM_MS);
	assert_fair(r.gbit_per_s / r.other_gbit_per_s);
	assert_true(r.least_rtt_ns < 11 * XM_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goodput__of_one_channel),
		cmocka_unit_test(goodput__of_sixteen_channels),
		cmocka_unit_test(reroute__by_5_ms),
		cmocka_unit_test(reroute__by_20_ms),
		cmocka_unit_test(share__behind_a_queue_of_one_bdp),
		cmocka_unit_test(share__behind_a_shallow_queue),
		cmocka_unit_test(share__behind_a_deep_queue),
		cmocka_unit_test(share__a_standing_queue_is_not_the_path),
	};

	(void)xm_crc32c_init();
	return cmocka_run_group_tests_name("rates", tests, NULL, NULL);
}
