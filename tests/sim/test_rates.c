// SPDX-License-Identifier: GPL-2.0-or-later
/* test_rates.c - what losses cost, and who gets what beside a TCP flow
 *
 * Bounds of what docs/performance.md shows whole; figures and seeds are printed.
 */
#include <inttypes.h>
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

/* -- beside a CUBIC flow: 1 Gbit/s ---------------------------------------------- */

/* Of one flow's share; @queue in quarters of what is on its way. */
static double share(unsigned int mtu, int64_t rtt_us, unsigned int queue)
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
	};
	struct rates r = rates_of(&o, true);
	double got = r.gbit_per_s / r.other_gbit_per_s;

	print_message("# MTU %u, %" PRId64 " us, queue %" PRIu64
		      ", seed %" PRIu64 ": %.3f to %.3f Gbit/s\n",
		      mtu, rtt_us, o.queue, o.seed, r.gbit_per_s,
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
	assert_fair(share(1500, 200, 4));
	assert_fair(share(9000, 10000, 4));
}

static void share__behind_a_shallow_queue(void **state)
{
	(void)state;
	assert_fair(share(9000, 10000, 1));
}

static void share__behind_a_deep_queue(void **state)
{
	(void)state;
	assert_fair(share(9000, 10000, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goodput__of_one_channel),
		cmocka_unit_test(goodput__of_sixteen_channels),
		cmocka_unit_test(share__behind_a_queue_of_one_bdp),
		cmocka_unit_test(share__behind_a_shallow_queue),
		cmocka_unit_test(share__behind_a_deep_queue),
	};

	(void)xm_crc32c_init();
	return cmocka_run_group_tests_name("rates", tests, NULL, NULL);
}
