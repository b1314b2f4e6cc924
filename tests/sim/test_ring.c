// SPDX-License-Identifier: GPL-2.0-or-later
/* test_ring.c - what the header ring does to a link: virtual time, so exact
 *
 * A port of 10 Gbit/s and a round trip of 1 ms: 2.4 packets fill it.  The guest
 * has 64 of them.  `xdpmig sweep` and sim-sweep measure the same for people.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/crc32c.h"

#include "world.h"

#define PACKETS 64
#define RTT     (1 * XM_MS)
#define RATE    (10000000000ull / 8)
/* All pages, on the wire and nothing around them. */
#define LEAST ((int64_t)(PACKETS * (uint64_t)XM_PACKET_SIZE * XM_SEC / RATE))

struct ring {
	int64_t ns; /* of the epoch */
	struct xm_tx_stats tx;
};

static struct ring run(uint32_t n_slots, enum xm_drain drain)
{
	struct world_opts o = world_defaults();
	struct world *w = malloc(sizeof(*w));
	struct ring ret;

	assert_non_null(w);
	o.n_slots = n_slots;
	o.drain = drain;
	o.credit = 4096;
	o.dev.rate = RATE;
	o.guest.is_folded = true;
	o.guest.pages[0] = PACKETS * XM_PACKET_PAGES;
	o.up.delay_ns = o.down.delay_ns = o.ctl.delay_ns = RTT / 2;
	o.unchecked = true;
	world_init(w, &o);
	if (world_run(w) != WORLD_SAME)
		fail_msg("%s", w->why);
	ret.ns = xm_time_sub(w->src[0].done, w->src[0].begun);
	ret.tx = world_tx_stats(w);
	world_fini(w);
	free(w);
	assert_true(ret.ns > LEAST);
	return ret;
}

static void one_slot__a_packet_takes_one_round_trip(void **state)
{
	struct ring r = run(1, XM_DRAIN_HALF);

	/* and itself, and the wait for its last ACK; two in the beginning,
	 * while the window opens */
	int64_t each = RTT + LEAST / PACKETS + 2 * XM_ACK_DELAY_US * XM_US;

	(void)state;
	assert_true(r.ns < PACKETS * each + 4 * RTT);
	assert_int_equal(r.tx.flush_space, PACKETS - 1);
	assert_int_equal(r.tx.dry, PACKETS - 1);
	assert_true(r.tx.dry_ns > (PACKETS - 1) * RTT);
	assert_true(r.tx.space_ns > r.tx.dry_ns);
}

static void half__a_ring_of_twice_the_link_never_runs_dry(void **state)
{
	struct ring r = run(16, XM_DRAIN_HALF);

	(void)state;
	assert_int_equal(r.tx.dry, 0);
	assert_int_equal(r.tx.dry_ns, 0);
	assert_true(r.tx.flush_space > 0);
	assert_true(r.ns < LEAST * 110 / 100 + 3 * RTT);
}

static void full__runs_dry_for_a_round_trip_each_time(void **state)
{
	struct ring r = run(16, XM_DRAIN_FULL);

	(void)state;
	assert_int_equal(r.tx.flush_space, PACKETS / 16 - 1);
	assert_int_equal(r.tx.dry, r.tx.flush_space);
	assert_true(r.tx.dry_ns >= (int64_t)r.tx.dry * RTT);
	assert_true(r.ns >= run(16, XM_DRAIN_HALF).ns + r.tx.dry_ns * 9 / 10);
}

static void one__needs_no_more_than_the_link_holds(void **state)
{
	/* 4 packets: the link's 2.4, and what ACKs are late */
	struct ring one = run(4, XM_DRAIN_ONE);

	(void)state;
	assert_int_equal(one.tx.dry, 0);
	assert_true(run(4, XM_DRAIN_HALF).tx.dry > 0);
	assert_true(one.ns < run(4, XM_DRAIN_HALF).ns);
	assert_true(run(4, XM_DRAIN_HALF).ns < run(4, XM_DRAIN_FULL).ns);
}

static void large_ring__all_drains_are_the_same(void **state)
{
	struct ring r = run(PACKETS + 1, XM_DRAIN_HALF);

	(void)state;
	assert_int_equal(r.tx.flush_space, 0);
	assert_int_equal(r.ns, run(PACKETS + 1, XM_DRAIN_FULL).ns);
	assert_int_equal(r.ns, run(PACKETS + 1, XM_DRAIN_ONE).ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_slot__a_packet_takes_one_round_trip),
		cmocka_unit_test(half__a_ring_of_twice_the_link_never_runs_dry),
		cmocka_unit_test(full__runs_dry_for_a_round_trip_each_time),
		cmocka_unit_test(one__needs_no_more_than_the_link_holds),
		cmocka_unit_test(large_ring__all_drains_are_the_same),
	};

	(void)xm_crc32c_init();
	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
