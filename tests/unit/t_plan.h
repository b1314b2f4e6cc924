/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_plan.h - an ordinary device and wish, and what must hold for any plan */
#ifndef XM_TESTS_T_PLAN_H
#define XM_TESTS_T_PLAN_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xsk/compat.h"
#include "xsk/plan.h"
#include "xsk/umem.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define KIB 1024u

#define FEATURES (XSK_NETDEV_ACT_BASIC | XSK_NETDEV_ACT_REDIRECT)
#define ZC       (FEATURES | XSK_NETDEV_ACT_ZEROCOPY)
#define ZC_SG    (ZC | XSK_NETDEV_ACT_RX_SG)

struct t_plan {
	struct xsk_caps caps;
	struct xsk_wish wish;
	struct xsk_plan plan;
	struct xm_error e;
};

/* A sender of a 16 GiB guest on 16 channels of a veth, MTU 9000. */
static inline int t_setup(void **state)
{
	struct t_plan *t = calloc(1, sizeof(*t));

	t->caps = (struct xsk_caps){
		.ifname = "dev0",
		.ifindex = 2,
		.driver = "veth",
		.xdp_features = FEATURES | XSK_NETDEV_ACT_RX_SG,
		.zc_max_segs = 1,
		.rx_queues = 16,
		.tx_queues = 16,
		.mtu = 9000,
		.is_up = true,
	};
	t->wish = (struct xsk_wish){
		.is_sender = true,
		.n_channels = 16,
		.in_flight = 10 * MIB,
		.slice_max = GIB,
		.rx_memory = 32 * MIB,
		.ip_max = 9000,
		.is_native = true,
	};
	*state = t;
	return 0;
}

static inline int t_teardown(void **state)
{
	free(*state);
	return 0;
}

static inline void t_dev(struct t_plan *t, const char *driver,
			 uint64_t features, uint32_t segs)
{
	snprintf(t->caps.driver, sizeof(t->caps.driver), "%s", driver);
	t->caps.xdp_features = features;
	t->caps.zc_max_segs = segs;
}

static inline void t_mtu(struct t_plan *t, unsigned int mtu)
{
	t->caps.mtu = t->wish.ip_max = mtu;
}

/* What must hold for any plan, whatever the device and the wish. */
static inline void t_check(const struct t_plan *t)
{
	const struct xsk_chan_opts *o = &t->plan.opts;
	bool zc = o->engine == XSK_ZC_SG || o->engine == XSK_ZC_STAGED;
	uint64_t share = t->wish.lock_budget / t->wish.n_channels;
	uint32_t piece = zc && o->max_descs > 1 ? 3456 : 3840;
	uint32_t pieces = (t->plan.ip_max + 18 + piece - 1) / piece;

	assert_true(o->force_zero_copy == zc);
	assert_in_range(o->max_descs, 1, 18);
	assert_int_equal(o->stage_len % 4096, 0);
	assert_true(o->stage_len >= t->plan.ip_max + 18);
	assert_true(o->stage_len <= 4096 * o->max_descs);
	assert_true(o->n_stages >= 2);
	assert_true(o->rx_chunks >= 2 * pieces && pieces <= 18);
	assert_true(o->rx_ring >= o->rx_chunks);
	assert_true(!(o->rx_ring & (o->rx_ring - 1)));
	assert_true(!(o->tx_ring & (o->tx_ring - 1)));
	assert_true(t->plan.ip_max <= t->wish.ip_max);
	assert_true(t->plan.locked <= 16777215ull * 4096);
	assert_true(!o->max_locked || t->plan.locked <= o->max_locked);
	if (t->wish.lock_budget)
		assert_true(t->plan.locked <= share);
	assert_true(t->plan.maps_guest ==
		    (t->wish.is_sender &&
		     (o->engine == XSK_ZC_SG || o->engine == XSK_COPY_SG)));
	if (!t->plan.maps_guest)
		assert_int_equal(t->plan.locked, umem_arena_len(o));
	if (t->wish.is_sender && o->n_slots > 1)
		assert_true((uint64_t)o->n_slots * XM_PACKET_SIZE <=
			    t->wish.in_flight);
	assert_int_equal(!t->wish.is_sender, !o->n_slots);
	if (t->wish.is_sender)
		assert_int_equal(o->max_descs == 1, !o->n_bufs);
}

static inline void t_make(struct t_plan *t, enum xsk_engine want)
{
	int r = xsk_plan_make(&t->plan, &t->caps, &t->wish, &t->e);

	if (r)
		print_error("%s\n", t->e.msg);
	assert_int_equal(r, 0);
	assert_string_equal(xsk_engine_name(t->plan.opts.engine),
			    xsk_engine_name(want));
	t_check(t);
}

static inline void t_refuse(struct t_plan *t, int err, const char *because)
{
	assert_int_equal(xsk_plan_make(&t->plan, &t->caps, &t->wish, &t->e),
			 err);
	if (!strstr(t->e.msg, because)) {
		print_error("'%s' does not say '%s'\n", t->e.msg, because);
		fail();
	}
}

#endif
