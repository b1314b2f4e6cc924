// SPDX-License-Identifier: GPL-2.0-or-later
/* test_plan.c - which engine for which device and wish
 *
 * Each test changes one thing in a device or a wish that are otherwise
 * ordinary, and states what must come out.
 */
#include "t_plan.h"

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

	t->wish.why_copied = "it is encrypted";
	t_make(t, XSK_COPY_STAGED);
}

static void engine__copied_payload_is_staged_with_zero_copy_too(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "ice", ZC_SG, 8);
	t->wish.why_copied = "it is encrypted";
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
	t->wish.why_copied = "it is encrypted";
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
#define T(name) cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)
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
		T(receiver__has_its_memory_in_chunks),
		T(receiver__takes_two_frames_at_least),
		T(receiver__of_a_one_chunk_device_bounds_ip_max),
		T(receiver__may_be_required_to_be_zero_copy),
		T(receiver__by_default_takes_what_there_is),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
