// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/drop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void xm_drop_name__every_reason_has_its_own(void **state)
{
	int i, j;

	(void)state;
	for (i = 0; i < XM_DROP__COUNT; i++)
		for (j = 0; j < i; j++)
			assert_string_not_equal(xm_drop_name(i),
						xm_drop_name(j));
}

static void xm_drop_name__none_is_unknown(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < XM_DROP__COUNT; i++)
		assert_string_not_equal(xm_drop_name(i), "unknown");
}

static void xm_drop_name__fits_a_json_key(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < XM_DROP__COUNT; i++)
		assert_int_equal(strspn(xm_drop_name(i),
					"abcdefghijklmnopqrstuvwxyz_"),
				 strlen(xm_drop_name(i)));
}

static void xm_drop_name__follows_the_enum(void **state)
{
	(void)state;
	assert_string_equal(xm_drop_name(XM_DROP_NONE), "none");
	assert_string_equal(xm_drop_name(XM_DROP_RUNT), "runt");
	assert_string_equal(xm_drop_name(XM_DROP_STALE_EPOCH), "stale_epoch");
	assert_string_equal(xm_drop_name(XM_DROP_BAD_IP), "bad_ip");
}

static void xm_drop_name__takes_any_number(void **state)
{
	(void)state;
	assert_string_equal(xm_drop_name(XM_DROP__COUNT), "unknown");
	assert_string_equal(xm_drop_name((enum xm_drop) - 1), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xm_drop_name__every_reason_has_its_own),
		cmocka_unit_test(xm_drop_name__none_is_unknown),
		cmocka_unit_test(xm_drop_name__fits_a_json_key),
		cmocka_unit_test(xm_drop_name__follows_the_enum),
		cmocka_unit_test(xm_drop_name__takes_any_number),
	};

	return cmocka_run_group_tests_name("drop", tests, NULL, NULL);
}
