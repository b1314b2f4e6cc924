// SPDX-License-Identifier: GPL-2.0-or-later
/* test_late.c - a receiver whose thread wakes up late, as on a busy machine, is
 * no network that loses frames
 *
 * Nothing is lost here, so every frame that is sent twice is sent in vain: with
 * the peer late by more than a round trip, by chance, and with a cap that leaves
 * each frame alone in flight, the timers are tempted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "story.h"

#define MBIT (1000000 / 8) /* bytes a second */

/* Over three epochs, of which the first has them all. */
static struct world_opts late_world(unsigned int n_channels, uint64_t rate)
{
	struct world_opts o = world_defaults();

	o.n_channels = n_channels;
	o.n_slots = 20;
	o.guest.pages[0] = 8000;
	o.guest.write_ns = 20 * XM_US;
	o.guest.writes_max = 1000;
	o.live_epochs = 2;
	o.rate = rate / n_channels;
	o.rx_ns = 500;
	o.rx_late_min_ns = 200 * XM_US;
	o.rx_late_max_ns = 5 * XM_MS;
	return o;
}

/* At most one frame of @one_in is sent twice. */
static void resends_at_most(const struct world_opts *opts, uint64_t one_in)
{
	struct xm_tx_stats st;
	struct world w;

	story_must_pass(&w, opts);
	st = world_tx_stats(&w);
	world_fini(&w);
	assert_true(st.frames_sent >= 4000);
	assert_in_range(st.frames_resent, 0, st.frames_sent / one_in);
}

static void late__without_a_cap(void **state)
{
	struct world_opts o = late_world(1, 0);

	(void)state;
	resends_at_most(&o, 500);
}

static void late__without_a_cap_16_channels(void **state)
{
	struct world_opts o = late_world(16, 0);

	(void)state;
	resends_at_most(&o, 200);
}

static void late__with_a_cap(void **state)
{
	struct world_opts o = late_world(1, 400 * MBIT);

	(void)state;
	resends_at_most(&o, 500);
}

static void late__with_a_cap_16_channels(void **state)
{
	struct world_opts o = late_world(16, 2000 * MBIT);

	(void)state;
	resends_at_most(&o, 500);
}

/* Each frame is alone in flight. */
static void late__with_a_low_cap_16_channels(void **state)
{
	struct world_opts o = late_world(16, 100 * MBIT);

	(void)state;
	resends_at_most(&o, 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late__without_a_cap),
		cmocka_unit_test(late__without_a_cap_16_channels),
		cmocka_unit_test(late__with_a_cap),
		cmocka_unit_test(late__with_a_cap_16_channels),
		cmocka_unit_test(late__with_a_low_cap_16_channels),
	};

	return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
