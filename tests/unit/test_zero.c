// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/zero.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PAGE 4096

static _Alignas(64) uint8_t mem[3 * PAGE];

/* Both implementations, which must agree, on the page in the middle. */
static bool page_is_zero(size_t len)
{
	bool fast = xm_zero_is(mem + PAGE, len);

	assert_int_equal(xm_zero_is_base(mem + PAGE, len), fast);
	return fast;
}

static int setup(void **state)
{
	(void)state;
	memset(mem, 0, sizeof(mem));
	return 0;
}

static void xm_zero_is__true_for_zeros(void **state)
{
	(void)state;
	assert_true(page_is_zero(PAGE));
	assert_true(page_is_zero(256));
}

static void xm_zero_is__true_for_nothing(void **state)
{
	(void)state;
	memset(mem, 0xff, sizeof(mem));
	assert_true(page_is_zero(0));
}

static void xm_zero_is__sees_each_byte(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < PAGE; i++) {
		mem[PAGE + i] = 1;
		assert_false(page_is_zero(PAGE));
		mem[PAGE + i] = 0;
	}
}

static void xm_zero_is__sees_each_bit(void **state)
{
	unsigned int bit;

	(void)state;
	for (bit = 0; bit < 8; bit++) {
		mem[2 * PAGE - 1] = (uint8_t)(1u << bit);
		assert_false(page_is_zero(PAGE));
	}
}

static void xm_zero_is__looks_at_nothing_else(void **state)
{
	(void)state;
	mem[PAGE - 1] = 1;
	mem[2 * PAGE] = 1;
	assert_true(page_is_zero(PAGE));
	mem[PAGE + 256] = 1;
	assert_true(page_is_zero(256));
	assert_false(page_is_zero(512));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(xm_zero_is__true_for_zeros, setup),
		cmocka_unit_test_setup(xm_zero_is__true_for_nothing, setup),
		cmocka_unit_test_setup(xm_zero_is__sees_each_byte, setup),
		cmocka_unit_test_setup(xm_zero_is__sees_each_bit, setup),
		cmocka_unit_test_setup(xm_zero_is__looks_at_nothing_else,
				       setup),
	};

	return cmocka_run_group_tests_name("zero", tests, NULL, NULL);
}
