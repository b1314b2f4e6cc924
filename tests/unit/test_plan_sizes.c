// SPDX-License-Identifier: GPL-2.0-or-later
/* test_plan_sizes.c - limits of the kernel and of the user are kept */
#include "t_plan.h"

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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests_name("plan_sizes", tests, NULL, NULL);
}
