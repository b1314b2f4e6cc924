// SPDX-License-Identifier: GPL-2.0-or-later
/* test_cc_any.c - the window, whatever comes: it stays in its bounds, and when all is
 * well again it grows
 */
#include "core/cc.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define STEPS 20000

struct any {
	struct xm_cc cc;
	uint64_t chance; /* xorshift64's state */
	int64_t base_ns; /* round trip without a queue */
	struct xm_time now;
};

static uint64_t any(struct any *a, uint64_t below)
{
	a->chance ^= a->chance << 13;
	a->chance ^= a->chance >> 7;
	a->chance ^= a->chance << 17;
	return a->chance % below;
}

static void assert_in_bounds(const struct xm_cc *cc)
{
	assert_true(cc->cwnd >= cc->least);
	assert_true(cc->cwnd <= cc->opts.cwnd_max);
	assert_true(cc->extra < cc->cwnd);
	assert_true(cc->tokens <=
		    (int64_t)(cc->opts.cwnd_max + 32 * (uint64_t)cc->opts.mss));
}

static void send_and_ack(struct any *a, uint32_t ce)
{
	uint32_t mss = a->cc.opts.mss;
	uint64_t n = 1 + any(a, a->cc.cwnd / mss + 1);

	xm_cc_look(&a->cc, a->now, n * mss);
	if (xm_cc_may_send(&a->cc, a->now, 0, mss))
		xm_cc_on_sent(&a->cc, mss);
	xm_cc_on_ack(&a->cc, any(a, 2) ? a->cc.cwnd : n * mss, n * mss,
		     (uint32_t)n, ce);
}

static void step(struct any *a)
{
	a->now = xm_time_add(a->now, (int64_t)any(a, 2 * XM_MS));
	switch (any(a, 16)) {
	case 0:
		xm_cc_on_loss(&a->cc, 1 + (uint32_t)any(a, 40));
		break;
	case 1:
		(void)xm_cc_couple(&a->cc, (uint32_t)any(a, 4));
		break;
	case 2:
		send_and_ack(a, (uint32_t)any(a, 3));
		break;
	case 3:
		if (!any(a, 8))
			xm_cc_on_timeout(&a->cc);
		break;
	case 4:
		if (any(a, 2))
			xm_cc_undo_timeout(&a->cc);
		else
			xm_cc_end_timeout(&a->cc);
		break;
	case 5:
		if (!any(a, 64))
			a->base_ns = 1 + (int64_t)any(a, 200 * XM_MS);
		break;
	case 6:
	case 7:
		xm_cc_on_rtt(&a->cc, a->base_ns + (int64_t)any(a, 30 * XM_MS));
		break;
	default:
		xm_cc_on_rtt(&a->cc, a->base_ns);
		send_and_ack(a, 0);
	}
}

/* A path without losses, marks or a queue: no round trip is like any before. */
static void is_well_again(struct any *a)
{
	uint64_t most = a->cc.opts.cwnd_max / 2;
	unsigned int i;

	xm_cc_end_timeout(&a->cc);
	for (i = 0; i < 30000 && a->cc.cwnd < most; i++) {
		xm_cc_on_rtt(&a->cc, a->base_ns);
		xm_cc_on_ack(&a->cc, a->cc.cwnd, a->cc.cwnd + a->cc.opts.mss, 1,
			     0);
	}
	assert_true(a->cc.cwnd >= most);
}

static void goes_through(unsigned int n_channels, uint32_t mss, uint64_t seed)
{
	const struct xm_cc_opts opts = {
		.mss = mss,
		.cwnd_max = 1000 * (uint64_t)mss,
		.n_channels = n_channels,
	};
	struct any a = { .chance = seed, .base_ns = 100 * XM_US };
	unsigned int i, k;

	print_message("# %u channels, frames of %" PRIu32 ", seed %" PRIu64
		      "\n",
		      n_channels, mss, seed);
	xm_cc_init(&a.cc, &opts);
	for (k = 0; k < 10; k++) {
		for (i = 0; i < STEPS; i++) {
			step(&a);
			assert_in_bounds(&a.cc);
		}
		a.base_ns = a.cc.min_rtt_ns + (int64_t)any(&a, 300 * XM_MS);
		is_well_again(&a);
	}
}

static void xm_cc__one_channel(void **state)
{
	(void)state;
	goes_through(1, 1000, 1);
	goes_through(1, 65553, 2);
}

static void xm_cc__sixteen_channels(void **state)
{
	(void)state;
	goes_through(16, 1518, 3);
	goes_through(16, 9018, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xm_cc__one_channel),
		cmocka_unit_test(xm_cc__sixteen_channels),
	};

	return cmocka_run_group_tests_name("cc_any", tests, NULL, NULL);
}
