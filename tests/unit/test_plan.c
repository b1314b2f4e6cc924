// SPDX-License-Identifier: GPL-2.0-or-later
/* test_plan.c - which engine, and do the sizes fit: devices x wishes
 *
 * Each test changes one thing in a device or a wish that are otherwise
 * ordinary, and states what must come out.
 */
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
static int setup(void **state)
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

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void t_dev(struct t_plan *t, const char *driver, uint64_t features,
		  uint32_t segs)
{
	snprintf(t->caps.driver, sizeof(t->caps.driver), "%s", driver);
	t->caps.xdp_features = features;
	t->caps.zc_max_segs = segs;
}

static void t_mtu(struct t_plan *t, unsigned int mtu)
{
	t->caps.mtu = t->wish.ip_max = mtu;
}

/* What must hold for any plan, whatever the device and the wish. */
static void t_check(const struct t_plan *t)
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

static void t_make(struct t_plan *t, enum xsk_engine want)
{
	int r = xsk_plan_make(&t->plan, &t->caps, &t->wish, &t->e);

	if (r)
		print_error("%s\n", t->e.msg);
	assert_int_equal(r, 0);
	assert_string_equal(xsk_engine_name(t->plan.opts.engine),
			    xsk_engine_name(want));
	t_check(t);
}

static void t_refuse(struct t_plan *t, int err, const char *because)
{
	assert_int_equal(xsk_plan_make(&t->plan, &t->caps, &t->wish, &t->e),
			 err);
	if (!strstr(t->e.msg, because)) {
		print_error("'%s' does not say '%s'\n", t->e.msg, because);
		fail();
	}
}

/* -- engines --------------------------------------------------------------------- */

static void engine__veth_copies_by_descriptor(void **state)
{
	struct t_plan *t = *state;

	t_make(t, XSK_COPY_SG);
	assert_int_equal(t->plan.ip_max, 9000);
	assert_int_equal(t->plan.opts.max_descs, 3);
	assert_int_equal(t->plan.opts.stage_len, 3 * 4096);
	assert_int_equal(t->plan.opts.n_slots, 20);
	assert_int_equal(t->plan.locked, GIB + umem_arena_len(&t->plan.opts));
}

static void engine__ice_is_zero_copy(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t_make(t, XSK_ZC_SG);
	assert_int_equal(t->plan.ip_max, 9000);
	assert_int_equal(t->plan.opts.max_descs, 3);
}

static void engine__two_descriptors_carry_one_page(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "two", ZC_SG, 2);
	t_mtu(t, 4200);
	t_make(t, XSK_ZC_SG);
	assert_int_equal(t->plan.opts.max_descs, 2);
	assert_int_equal(t->plan.ip_max, 4200);
}

static void engine__igb_stages_in_one_chunk(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "igb", ZC, 1);
	t_mtu(t, 3814);
	t_make(t, XSK_ZC_STAGED);
	assert_int_equal(t->plan.opts.max_descs, 1);
	assert_int_equal(t->plan.opts.stage_len, 4096);
	assert_int_equal(t->plan.ip_max, 3814);
}

static void engine__one_chunk_a_frame_bounds_ip_max(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "igb", ZC, 1);
	t->caps.mtu = 1500; /* its own MTU is small, the path's is not */
	t_make(t, XSK_ZC_STAGED);
	assert_int_equal(t->plan.ip_max, 3840 - 18);
}

static void engine__one_chunk_a_frame_and_a_large_mtu_is_copy_mode(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "igb", ZC, 1);
	t_mtu(t, 3815);
	t_make(t, XSK_COPY_SG);
}

static void engine__virtio_copy_mode_has_17_descriptors(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "virtio_net", ZC, 1);
	t_mtu(t, 65535);
	t_make(t, XSK_COPY_SG);
	assert_int_equal(t->plan.opts.max_descs, 16);
	assert_int_equal(t->plan.ip_max, 17 * 3840 - 18);
}

static void engine__mtu_65535_has_15_pages_and_a_header(void **state)
{
	struct t_plan *t = *state;

	t_mtu(t, 65535);
	t_make(t, XSK_COPY_SG);
	assert_int_equal(t->plan.ip_max, 65535);
	assert_int_equal(t->plan.opts.stage_len, 17 * 4096);
	assert_int_equal(t->plan.opts.max_descs, 17);
}

static void engine__mtu_1500_still_has_a_header_and_a_slice(void **state)
{
	struct t_plan *t = *state;

	t_mtu(t, 1500);
	t_make(t, XSK_COPY_SG);
	assert_int_equal(t->plan.opts.max_descs, 2);
	assert_int_equal(t->plan.opts.stage_len, 4096);
}

static void engine__copied_payload_is_staged(void **state)
{
	struct t_plan *t = *state;

	t->wish.payload_copied = true;
	t_make(t, XSK_COPY_STAGED);
}

static void engine__copied_payload_is_staged_with_zero_copy_too(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t->wish.payload_copied = true;
	t_make(t, XSK_ZC_STAGED);
	assert_int_equal(t->plan.opts.max_descs, 3);
}

static void engine__a_device_with_many_segments_is_capped(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "idpf", ZC_SG, 200);
	t_make(t, XSK_ZC_SG);
}

/* -- --zero-copy -------------------------------------------------------------------- */

static void zero_copy__off_copies_where_it_is_to_be_had(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t->wish.zero_copy = XSK_ZERO_COPY_OFF;
	t_make(t, XSK_COPY_SG);
}

static void zero_copy__require_names_the_driver(void **state)
{
	struct t_plan *t = *state;

	t->wish.zero_copy = XSK_ZERO_COPY_REQUIRE;
	t_refuse(t, -EOPNOTSUPP, "driver veth has no AF_XDP zero-copy");
	assert_int_equal(t->e.reason, XM_REASON_ZERO_COPY);
}

static void zero_copy__require_is_not_staging(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "igb", ZC, 1);
	t_mtu(t, 1500);
	t->wish.zero_copy = XSK_ZERO_COPY_REQUIRE;
	t_refuse(t, -EOPNOTSUPP, "one descriptor a frame");
}

static void zero_copy__require_is_not_encryption(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t->wish.zero_copy = XSK_ZERO_COPY_REQUIRE;
	t->wish.payload_copied = true;
	t_refuse(t, -EOPNOTSUPP, "encrypted");
}

static void zero_copy__require_on_an_old_kernel_says_so(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", 0, 1);
	t->wish.zero_copy = XSK_ZERO_COPY_REQUIRE;
	t_refuse(t, -EOPNOTSUPP, "does not tell");
}

static void zero_copy__require_needs_native_mode(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t->wish.zero_copy = XSK_ZERO_COPY_REQUIRE;
	t->wish.is_native = false;
	t_refuse(t, -EOPNOTSUPP, "generic mode");
}

static void zero_copy__auto_never_falls_back_on_a_zero_copy_nic(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t->wish.is_native = false;
	t_refuse(t, -EOPNOTSUPP, "generic mode");
}

static void zero_copy__auto_says_when_the_mtu_is_too_large(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "two", ZC_SG, 2);
	t_refuse(t, -EOPNOTSUPP, "MTU 9000 is above the 6886 bytes");
}

static void zero_copy__prefer_falls_back(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t->wish.is_native = false;
	t->wish.zero_copy = XSK_ZERO_COPY_PREFER;
	t_make(t, XSK_COPY_SG);
}

static void zero_copy__auto_copies_where_staging_is_all_there_is(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "igb", ZC, 1);
	t_mtu(t, 1500);
	t->wish.is_native = false;
	t_make(t, XSK_COPY_SG);
}

/* -- limits ------------------------------------------------------------------------- */

static void limit__64_gib_a_channel_need_more_channels(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t->wish.n_channels = 2;
	t->wish.slice_max = 70 * GIB;
	t->wish.zero_copy = XSK_ZERO_COPY_REQUIRE;
	t_refuse(t, -E2BIG, "at least 3 channels");
	t->wish.n_channels = 3;
	t->wish.slice_max = 140 * GIB / 3 / 4096 * 4096;
	memset(&t->e, 0, sizeof(t->e));
	t_make(t, XSK_ZC_SG);
}

static void limit__64_gib_a_channel_are_mapped_in_part(void **state)
{
	struct t_plan *t = *state;

	t->wish.slice_max = 100 * GIB;
	t_make(t, XSK_COPY_SG);
	assert_int_equal(t->plan.locked, 16777215ull * 4096);
}

static void limit__exactly_what_fits_is_mapped(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t->wish.zero_copy = XSK_ZERO_COPY_REQUIRE;
	t_make(t, XSK_ZC_SG);
	t->wish.slice_max = 16777215ull * 4096 - umem_arena_len(&t->plan.opts);
	t_make(t, XSK_ZC_SG);
	assert_int_equal(t->plan.locked, 16777215ull * 4096);
}

static void limit__mappings_are_shared_by_the_channels(void **state)
{
	struct t_plan *t = *state;

	t->wish.n_channels = XM_CHAN_MAX;
	t_make(t, XSK_COPY_SG);
	assert_true(t->plan.opts.max_maps * XM_CHAN_MAX < 65530 - 10000);
	assert_true(t->plan.opts.max_maps >= XM_STRIPES_MAX / XM_CHAN_MAX);
}

static void limit__in_flight_below_a_packet_is_one_slot(void **state)
{
	struct t_plan *t = *state;

	t->wish.in_flight = 4096;
	t_make(t, XSK_COPY_SG);
	assert_int_equal(t->plan.opts.n_slots, 1);
}

static void limit__in_flight_of_one_packet_is_one_slot(void **state)
{
	struct t_plan *t = *state;

	t->wish.in_flight = 1023 * KIB;
	t->wish.lock_budget = 16 * 512 * KIB;
	t_make(t, XSK_COPY_STAGED);
	assert_int_equal(t->plan.opts.n_slots, 1);
}

static void limit__in_flight_of_a_gibibyte(void **state)
{
	struct t_plan *t = *state;

	t->wish.in_flight = GIB;
	t_make(t, XSK_COPY_SG);
	assert_int_equal(t->plan.opts.n_slots, 2048);
}

static void limit__channels(void **state)
{
	struct t_plan *t = *state;

	t->wish.n_channels = XM_CHAN_MAX + 1;
	t_refuse(t, -EINVAL, "65 channels");
}

static void limit__mtu_below_1500(void **state)
{
	struct t_plan *t = *state;

	t_mtu(t, 1499);
	t_refuse(t, -EMSGSIZE, "1499");
}

/* -- --lock-budget -------------------------------------------------------------------- */

static void budget__that_holds_the_guest_maps_it(void **state)
{
	struct t_plan *t = *state;

	t->wish.lock_budget = 16 * (GIB + 4 * MIB);
	t_make(t, XSK_COPY_SG);
}

static void budget__that_just_holds_the_guest_shrinks_the_arena(void **state)
{
	struct t_plan *t = *state;

	t->wish.lock_budget = 16 * (GIB + 512 * KIB);
	t_make(t, XSK_COPY_SG);
	assert_true(t->plan.locked <= GIB + 512 * KIB);
}

static void budget__below_the_guest_stages(void **state)
{
	struct t_plan *t = *state;

	t->wish.lock_budget = 16 * GIB;
	t_make(t, XSK_COPY_STAGED);
	/* no more than the in-flight limit can use */
	assert_true(t->plan.locked < 12 * MIB);
}

static void budget__below_the_guest_stages_on_a_zero_copy_nic(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t->wish.lock_budget = 64 * MIB;
	t_make(t, XSK_ZC_STAGED);
	assert_int_equal(t->plan.opts.n_slots, 8);
	assert_true(t->plan.locked > 3 * MIB);
}

static void budget__below_the_guest_is_no_zero_copy(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t->wish.lock_budget = 64 * MIB;
	t->wish.zero_copy = XSK_ZERO_COPY_REQUIRE;
	t_refuse(t, -ENOBUFS, "--lock-budget 67108864");
}

static void budget_512k(struct t_plan *t, unsigned int mtu)
{
	t_mtu(t, mtu);
	t->wish.lock_budget = 16 * 512 * KIB;
	t_make(t, XSK_COPY_STAGED);
	assert_int_equal(t->plan.opts.n_slots, 2);
	assert_true(t->plan.locked > 400 * KIB);
}

static void budget__512k_a_channel_at_1500(void **state)
{
	budget_512k(*state, 1500);
}

static void budget__512k_a_channel_at_9000(void **state)
{
	budget_512k(*state, 9000);
}

static void budget__512k_a_channel_at_65535(void **state)
{
	struct t_plan *t = *state;

	budget_512k(t, 65535);
	assert_true(t->plan.opts.n_stages >= 4);
}

static void budget__512k_a_channel_in_one_chunk_frames(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "igb", ZC, 1);
	t_mtu(t, 3814);
	t->wish.lock_budget = 16 * 512 * KIB;
	t_make(t, XSK_ZC_STAGED);
	assert_true(t->plan.opts.n_stages >= 90);
}

static void budget__512k_a_channel_of_a_receiver(void **state)
{
	struct t_plan *t = *state;

	t_mtu(t, 65535);
	t->wish.is_sender = false;
	t->wish.lock_budget = 16 * 512 * KIB;
	t_make(t, XSK_COPY_SG);
	assert_true(t->plan.opts.rx_chunks >= 80);
}

static void budget__too_small_says_how_much(void **state)
{
	struct t_plan *t = *state;

	t_mtu(t, 65535);
	t->wish.lock_budget = 16 * 64 * KIB;
	t_refuse(t, -ENOBUFS, "need at least");
	assert_int_equal(t->e.reason, XM_REASON_USAGE);
	/* what it names is enough */
	t->wish.lock_budget =
		strtoull(strstr(t->e.msg, "at least") + 9, NULL, 10);
	assert_true(t->wish.lock_budget > 16 * 64 * KIB);
	t_make(t, XSK_COPY_STAGED);
	t->wish.lock_budget--;
	t_refuse(t, -ENOBUFS, "");
}

static void budget__any_size_is_kept(void **state)
{
	static const unsigned int mtu[] = { 1500, 2150, 4200, 9000, 65535 };
	struct t_plan *t = *state;
	uint64_t share;
	unsigned int i;

	for (i = 0; i < 2 * 5; i++)
		for (share = 512 * KIB; share < 40 * MIB;
		     share += share / 7 + 100) {
			t_mtu(t, mtu[i / 2]);
			t->wish.is_sender = i % 2;
			t->wish.lock_budget = share * 16;
			t->wish.slice_max = 8 * MIB;
			assert_int_equal(xsk_plan_make(&t->plan, &t->caps,
						       &t->wish, &t->e),
					 0);
			t_check(t);
		}
}

/* -- receivers ---------------------------------------------------------------------- */

static void receiver__has_its_memory_in_chunks(void **state)
{
	struct t_plan *t = *state;

	t->wish.is_sender = false;
	t_make(t, XSK_COPY_SG);
	assert_int_equal(t->plan.opts.rx_chunks, 512);
	assert_int_equal(t->plan.opts.rx_ring, 512);
	assert_false(t->plan.maps_guest);
}

static void receiver__takes_two_frames_at_least(void **state)
{
	struct t_plan *t = *state;

	t_mtu(t, 65535);
	t->wish.is_sender = false;
	t->wish.rx_memory = 4096;
	t_make(t, XSK_COPY_SG);
	assert_int_equal(t->plan.opts.rx_chunks, 36);
}

static void receiver__of_a_one_chunk_device_bounds_ip_max(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "igb", ZC, 1);
	t->caps.mtu = 1500;
	t->wish.is_sender = false;
	t_make(t, XSK_ZC_STAGED);
	assert_int_equal(t->plan.ip_max, 3822);
}

static void receiver__may_be_required_to_be_zero_copy(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "igb", ZC, 1);
	t_mtu(t, 1500);
	t->wish.is_sender = false;
	t->wish.zero_copy = XSK_ZERO_COPY_REQUIRE;
	t_make(t, XSK_ZC_STAGED);
	t_dev(t, "veth", FEATURES, 1);
	t_refuse(t, -EOPNOTSUPP, "veth");
}

static void receiver__by_default_takes_what_there_is(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t->wish.is_native = false;
	t->wish.is_sender = false;
	t_make(t, XSK_COPY_SG);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(engine__veth_copies_by_descriptor),
		T(engine__ice_is_zero_copy),
		T(engine__two_descriptors_carry_one_page),
		T(engine__igb_stages_in_one_chunk),
		T(engine__one_chunk_a_frame_bounds_ip_max),
		T(engine__one_chunk_a_frame_and_a_large_mtu_is_copy_mode),
		T(engine__virtio_copy_mode_has_17_descriptors),
		T(engine__mtu_65535_has_15_pages_and_a_header),
		T(engine__mtu_1500_still_has_a_header_and_a_slice),
		T(engine__copied_payload_is_staged),
		T(engine__copied_payload_is_staged_with_zero_copy_too),
		T(engine__a_device_with_many_segments_is_capped),
		T(zero_copy__off_copies_where_it_is_to_be_had),
		T(zero_copy__require_names_the_driver),
		T(zero_copy__require_is_not_staging),
		T(zero_copy__require_is_not_encryption),
		T(zero_copy__require_on_an_old_kernel_says_so),
		T(zero_copy__require_needs_native_mode),
		T(zero_copy__auto_never_falls_back_on_a_zero_copy_nic),
		T(zero_copy__auto_says_when_the_mtu_is_too_large),
		T(zero_copy__prefer_falls_back),
		T(zero_copy__auto_copies_where_staging_is_all_there_is),
		T(limit__64_gib_a_channel_need_more_channels),
		T(limit__64_gib_a_channel_are_mapped_in_part),
		T(limit__exactly_what_fits_is_mapped),
		T(limit__mappings_are_shared_by_the_channels),
		T(limit__in_flight_below_a_packet_is_one_slot),
		T(limit__in_flight_of_one_packet_is_one_slot),
		T(limit__in_flight_of_a_gibibyte),
		T(limit__channels),
		T(limit__mtu_below_1500),
		T(budget__that_holds_the_guest_maps_it),
		T(budget__that_just_holds_the_guest_shrinks_the_arena),
		T(budget__below_the_guest_stages),
		T(budget__below_the_guest_stages_on_a_zero_copy_nic),
		T(budget__below_the_guest_is_no_zero_copy),
		T(budget__512k_a_channel_at_1500),
		T(budget__512k_a_channel_at_9000),
		T(budget__512k_a_channel_at_65535),
		T(budget__512k_a_channel_in_one_chunk_frames),
		T(budget__512k_a_channel_of_a_receiver),
		T(budget__too_small_says_how_much),
		T(budget__any_size_is_kept),
		T(receiver__has_its_memory_in_chunks),
		T(receiver__takes_two_frames_at_least),
		T(receiver__of_a_one_chunk_device_bounds_ip_max),
		T(receiver__may_be_required_to_be_zero_copy),
		T(receiver__by_default_takes_what_there_is),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
