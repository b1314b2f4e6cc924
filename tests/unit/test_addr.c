// SPDX-License-Identifier: GPL-2.0-or-later
/* test_addr.c - addresses as people write them */
#include "ctl/ctl.h"

#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

struct addr_case {
	const char *text;
	int r;
	const char *shown; /* by ctl_addr_text(), when r is 0 */
};

static const struct addr_case addr_cases[] = {
	{ "198.18.0.2", 0, "198.18.0.2:61951" },
	{ "198.18.0.2:4000", 0, "198.18.0.2:4000" },
	{ "198.18.0.2:1", 0, "198.18.0.2:1" },
	{ "198.18.0.2:65535", 0, "198.18.0.2:65535" },
	{ "fd00::2", 0, "[fd00::2]:61951" },
	{ "::", 0, "[::]:61951" },
	{ "[fd00::2]", 0, "[fd00::2]:61951" },
	{ "[fd00::2]:4000", 0, "[fd00::2]:4000" },
	{ "[198.18.0.2]:4000", 0, "198.18.0.2:4000" },
	{ "fe80::1%lo", 0, "[fe80::1%lo]:61951" },
	{ "[fe80::1%lo]:9", 0, "[fe80::1%lo]:9" },
	{ "", -EINVAL, NULL },
	{ ":4000", -EINVAL, NULL },
	{ "[]", -EINVAL, NULL },
	{ "[fd00::2", -EINVAL, NULL },
	{ "[fd00::2]4000", -EINVAL, NULL },
	{ "[fd00::2]:", -EINVAL, NULL },
	{ "198.18.0.2:", -EINVAL, NULL },
	{ "198.18.0.2:0", -EINVAL, NULL },
	{ "198.18.0.2:65536", -EINVAL, NULL },
	{ "198.18.0.2:999999", -EINVAL, NULL },
	{ "198.18.0.2:-1", -EINVAL, NULL },
	{ "198.18.0.2:+1", -EINVAL, NULL },
	{ "198.18.0.2: 1", -EINVAL, NULL },
	{ "198.18.0.2:4k", -EINVAL, NULL },
	{ "198.18.0.2:http", -EINVAL, NULL },
	{ "no such host", -ENOENT, NULL },
};

static void ctl_addr_parse__table(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(addr_cases) / sizeof(addr_cases[0]); i++) {
		const struct addr_case *c = &addr_cases[i];
		struct xm_error e = { 0 };
		struct ctl_addr a;
		char text[64];
		int r = ctl_addr_parse(&a, c->text, 61951, &e);

		if (r != c->r || e.err != r || (r && !e.msg[0]))
			fail_msg("'%s': %d, not %d (%s)", c->text, r, c->r,
				 e.msg);
		if (r || !c->shown)
			continue;
		assert_string_equal(ctl_addr_text(&a, text, sizeof(text)),
				    c->shown);
	}
}

/* Where nothing knows that name (no /etc/hosts, as in the smallest of systems), that is
 * what is said. */
static void ctl_addr_parse__a_name(void **state)
{
	struct addrinfo *found = NULL;
	bool is_known = !getaddrinfo("localhost", NULL, NULL, &found);
	struct xm_error e = { 0 };
	struct ctl_addr a;
	int r = ctl_addr_parse(&a, "localhost:4000", 61951, &e);

	(void)state;
	if (is_known)
		freeaddrinfo(found);
	if (r != (is_known ? 0 : -ENOENT))
		fail_msg("%d: %s", r, e.msg);
}

static void ctl_addr_parse__too_long_a_name(void **state)
{
	struct xm_error e = { 0 };
	struct ctl_addr a;
	char text[400];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(ctl_addr_parse(&a, text, 1, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ctl_addr_parse__table),
		cmocka_unit_test(ctl_addr_parse__a_name),
		cmocka_unit_test(ctl_addr_parse__too_long_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
