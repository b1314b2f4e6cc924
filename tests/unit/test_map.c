// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define TIB (1ull << 40)

static struct xm_map map;

static int setup(void **state)
{
	(void)state;
	memset(&map, 0, sizeof(map));
	return 0;
}

static void add(const char *name, uint64_t len)
{
	assert_int_equal(xm_map_add(&map, name, len, NULL), 0);
}

static void xm_map_add__keeps_name_length_and_address(void **state)
{
	static uint8_t host;

	(void)state;
	assert_int_equal(xm_map_add(&map, "pc.ram", 4096, &host), 0);
	assert_int_equal(map.n_blocks, 1);
	assert_string_equal(map.block[0].name, "pc.ram");
	assert_int_equal(map.block[0].len, 4096);
	assert_ptr_equal(map.block[0].hva, &host);
	assert_null(map.block[0].dirtied);
}

static void xm_map_add__refuses_odd_lengths(void **state)
{
	(void)state;
	assert_int_equal(xm_map_add(&map, "a", 0, NULL), -EINVAL);
	assert_int_equal(xm_map_add(&map, "a", 4095, NULL), -EINVAL);
	assert_int_equal(xm_map_add(&map, "a", 4097, NULL), -EINVAL);
	assert_int_equal(xm_map_add(&map, "a", 1ull << 62, NULL), -EINVAL);
	assert_int_equal(map.n_blocks, 0);
}

static void xm_map_add__refuses_odd_names(void **state)
{
	char name[XM_BLOCK_NAME + 1];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[XM_BLOCK_NAME] = '\0';
	assert_int_equal(xm_map_add(&map, "", 4096, NULL), -EINVAL);
	assert_int_equal(xm_map_add(&map, name, 4096, NULL), -EINVAL);
	assert_int_equal(map.n_blocks, 0);
}

static void xm_map_add__takes_the_longest_name(void **state)
{
	char name[XM_BLOCK_NAME];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	add(name, 4096);
	assert_string_equal(map.block[0].name, name);
}

static void xm_map_add__refuses_a_taken_name(void **state)
{
	(void)state;
	add("a", 4096);
	assert_int_equal(xm_map_add(&map, "a", 8192, NULL), -EEXIST);
	assert_int_equal(map.n_blocks, 1);
}

static void xm_map_add__is_full_at_the_limit(void **state)
{
	char name[16];
	unsigned int i;

	(void)state;
	for (i = 0; i < XM_BLOCK_MAX; i++) {
		(void)snprintf(name, sizeof(name), "block%u", i);
		add(name, 4096);
	}
	assert_int_equal(xm_map_add(&map, "one more", 4096, NULL), -ENOSPC);
}

static void xm_map_shard__needs_blocks_and_channels(void **state)
{
	(void)state;
	assert_int_equal(xm_map_shard(&map, 1), -EINVAL);
	add("a", 4096);
	assert_int_equal(xm_map_shard(&map, 0), -EINVAL);
	assert_int_equal(xm_map_shard(&map, XM_CHAN_MAX + 1), -EINVAL);
	assert_int_equal(xm_map_shard(&map, XM_CHAN_MAX), 0);
}

static void xm_map_shard__small_guest_has_the_least_stripe(void **state)
{
	(void)state;
	add("a", 5 * MIB);
	assert_int_equal(xm_map_shard(&map, 2), 0);
	assert_int_equal(1 << map.stripe_shift, XM_STRIPE_MIN);
	assert_int_equal(map.n_stripes, 3);
}

static void xm_map_shard__each_block_starts_a_stripe(void **state)
{
	(void)state;
	add("a", 4096);
	add("b", 4 * MIB + 4096);
	add("c", 2 * MIB);
	assert_int_equal(xm_map_shard(&map, 2), 0);
	assert_int_equal(map.block[0].first_stripe, 0);
	assert_int_equal(map.block[1].first_stripe, 1);
	assert_int_equal(map.block[2].first_stripe, 4);
	assert_int_equal(map.n_stripes, 5);
}

static void xm_map_shard__stripes_grow_with_the_guest(void **state)
{
	(void)state;
	add("a", 16 * GIB);
	assert_int_equal(xm_map_shard(&map, 16), 0);
	assert_int_equal(map.n_stripes, XM_STRIPES_MAX);
	assert_int_equal(map.stripe_shift, 21);
	add("b", 4096);
	assert_int_equal(xm_map_shard(&map, 16), 0);
	assert_int_equal(map.stripe_shift, 22);
	assert_int_equal(map.n_stripes, XM_STRIPES_MAX / 2 + 1);
}

static void xm_map_shard__takes_the_largest_guest(void **state)
{
	(void)state;
	add("a", 16 * TIB);
	assert_int_equal(xm_map_shard(&map, 64), 0);
	assert_in_range(map.n_stripes, 1, XM_STRIPES_MAX);
}

static void xm_map_find__finds_by_name(void **state)
{
	(void)state;
	add("a", 4096);
	add("ab", 4096);
	assert_int_equal(xm_map_find(&map, "a"), 0);
	assert_int_equal(xm_map_find(&map, "ab"), 1);
	assert_int_equal(xm_map_find(&map, "b"), -ENOENT);
}

static void xm_map_bytes__adds_up(void **state)
{
	(void)state;
	assert_int_equal(xm_map_bytes(&map), 0);
	add("a", 4096);
	add("b", 12 * GIB);
	assert_int_equal(xm_map_bytes(&map), 12 * GIB + 4096);
}

static void xm_map_pages__adds_up(void **state)
{
	(void)state;
	add("a", 4096);
	add("b", 12 * GIB);
	assert_int_equal(xm_map_pages(&map), 12 * GIB / 4096 + 1);
}

static void xm_map_has__whole_block_and_not_a_byte_more(void **state)
{
	(void)state;
	add("a", 8192);
	assert_true(xm_map_has(&map, 0, 0, 8192));
	assert_true(xm_map_has(&map, 0, 8191, 1));
	assert_true(xm_map_has(&map, 0, 8192, 0));
	assert_false(xm_map_has(&map, 0, 0, 8193));
	assert_false(xm_map_has(&map, 0, 1, 8192));
	assert_false(xm_map_has(&map, 0, 8192, 1));
}

static void xm_map_has__sums_do_not_wrap(void **state)
{
	(void)state;
	add("a", 8192);
	assert_false(xm_map_has(&map, 0, UINT64_MAX, 1));
	assert_false(xm_map_has(&map, 0, UINT64_MAX - 4095, 8192));
	assert_false(xm_map_has(&map, 0, 4096, UINT64_MAX));
}

static void xm_map_has__no_such_block(void **state)
{
	const unsigned int none[] = { 1, XM_BLOCK_MAX, UINT32_MAX };
	unsigned int i;

	(void)state;
	add("a", 8192);
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(xm_map_has(&map, none[i], 0, 4096));
}

static void xm_map_channel__deals_stripes_in_turn(void **state)
{
	(void)state;
	add("a", 6 * MIB);
	add("b", 2 * MIB);
	assert_int_equal(xm_map_shard(&map, 3), 0);
	assert_int_equal(xm_map_channel(&map, 0, 0), 0);
	assert_int_equal(xm_map_channel(&map, 0, 2 * MIB - 4096), 0);
	assert_int_equal(xm_map_channel(&map, 0, 2 * MIB), 1);
	assert_int_equal(xm_map_channel(&map, 0, 4 * MIB), 2);
	assert_int_equal(xm_map_channel(&map, 1, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			xm_map_add__keeps_name_length_and_address, setup),
		cmocka_unit_test_setup(xm_map_add__refuses_odd_lengths, setup),
		cmocka_unit_test_setup(xm_map_add__refuses_odd_names, setup),
		cmocka_unit_test_setup(xm_map_add__takes_the_longest_name,
				       setup),
		cmocka_unit_test_setup(xm_map_add__refuses_a_taken_name, setup),
		cmocka_unit_test_setup(xm_map_add__is_full_at_the_limit, setup),
		cmocka_unit_test_setup(xm_map_shard__needs_blocks_and_channels,
				       setup),
		cmocka_unit_test_setup(
			xm_map_shard__small_guest_has_the_least_stripe, setup),
		cmocka_unit_test_setup(xm_map_shard__each_block_starts_a_stripe,
				       setup),
		cmocka_unit_test_setup(
			xm_map_shard__stripes_grow_with_the_guest, setup),
		cmocka_unit_test_setup(xm_map_shard__takes_the_largest_guest,
				       setup),
		cmocka_unit_test_setup(xm_map_find__finds_by_name, setup),
		cmocka_unit_test_setup(xm_map_bytes__adds_up, setup),
		cmocka_unit_test_setup(xm_map_pages__adds_up, setup),
		cmocka_unit_test_setup(
			xm_map_has__whole_block_and_not_a_byte_more, setup),
		cmocka_unit_test_setup(xm_map_has__sums_do_not_wrap, setup),
		cmocka_unit_test_setup(xm_map_has__no_such_block, setup),
		cmocka_unit_test_setup(xm_map_channel__deals_stripes_in_turn,
				       setup),
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
