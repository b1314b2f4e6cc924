// SPDX-License-Identifier: GPL-2.0-or-later
/* test_seal_counts.c - what is sent once is taken once, in whatever order */
#include "core/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../lib/t_seal.h"
#include "core/multifd.h"
#include "xdpmig/limits.h"

static void xm_seal_open__each_once(void **state)
{
	struct t_seal *t = *state;
	const struct xm_frame f[] = { two_pages(),
				      plain(XM_WIRE_HEADER, XM_MULTIFD_LEN),
				      plain(XM_WIRE_ACK, 24),
				      plain(XM_WIRE_PROBE, 8) };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct t_frame p = seal(&t->src.seal, f[i]);

		assert_int_equal(open_copy(&t->dst.seal, &t->f, &p),
				 XM_DROP_NONE);
		assert_int_equal(open_copy(&t->dst.seal, &t->f, &p),
				 XM_DROP_REPLAYED);
		free(p.b);
	}
}

/* Is the ACK with this count taken? */
static enum xm_drop take_count(struct t_seal *t, uint64_t count)
{
	struct t_frame p;
	enum xm_drop drop;

	t->dst.seal.count = count;
	p = seal(&t->dst.seal, plain(XM_WIRE_ACK, 24));
	drop = open_copy(&t->src.seal, &t->f, &p);
	free(p.b);
	return drop;
}

static void xm_seal_open__in_any_order(void **state)
{
	static const struct {
		uint64_t count;
		enum xm_drop drop;
	} step[] = {
		{ 3, XM_DROP_NONE },
		{ 1, XM_DROP_NONE },
		{ 2, XM_DROP_NONE },
		{ 66, XM_DROP_NONE },
		{ 65, XM_DROP_NONE },
		{ 4, XM_DROP_NONE },
		{ 66, XM_DROP_REPLAYED },
		{ 8191, XM_DROP_NONE },
		{ 0, XM_DROP_NONE }, /* the oldest that is remembered */
		{ 8193, XM_DROP_NONE },
		{ 1, XM_DROP_REPLAYED }, /* too old to tell */
		{ 2, XM_DROP_REPLAYED }, /* remembered */
		{ 5, XM_DROP_NONE },
		{ 8192, XM_DROP_NONE },
		{ 8191, XM_DROP_REPLAYED },
		{ 100000, XM_DROP_NONE },
		{ 8194, XM_DROP_REPLAYED },
		{ 100000 - 8191, XM_DROP_NONE },
		{ 100000 - 8192, XM_DROP_REPLAYED },
	};
	struct t_seal *t = *state;
	unsigned int i;

	for (i = 0; i < sizeof(step) / sizeof(step[0]); i++)
		assert_int_equal(take_count(t, step[i].count), step[i].drop);
}

/* Counts come in random order, each twice: each is taken once, unless it is
 * older than what is remembered. */
static void xm_seal_open__as_a_list_would_remember(void **state)
{
	static bool taken[40000];
	struct t_seal *t = *state;
	uint64_t newest = 0, count;
	unsigned int i;
	bool is_new;

	memset(taken, 0, sizeof(taken));
	for (i = 0; i < 20000; i++) {
		count = i + (uint64_t)random() % 20000;
		is_new = !taken[count] &&
			 (count > newest || newest - count < XM_COUNTS);
		assert_int_equal(take_count(t, count),
				 is_new ? XM_DROP_NONE : XM_DROP_REPLAYED);
		taken[count] = true;
		if (count > newest)
			newest = count;
	}
}

static void xm_seal_open__damage_does_not_spoil_the_frame(void **state)
{
	struct t_seal *t = *state;
	struct t_frame p = seal(&t->dst.seal, plain(XM_WIRE_ACK, 24));

	p.b[20] ^= 1;
	assert_int_equal(open_copy(&t->src.seal, &t->f, &p), XM_DROP_BAD_TAG);
	p.b[20] ^= 1;
	p.b[p.len - 1] ^= 1;
	assert_int_equal(open_copy(&t->src.seal, &t->f, &p), XM_DROP_BAD_TAG);
	p.b[p.len - 1] ^= 1;
	assert_int_equal(open_copy(&t->src.seal, &t->f, &p), XM_DROP_NONE);
	free(p.b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_seal_open__each_once),
		T(xm_seal_open__in_any_order),
		T(xm_seal_open__as_a_list_would_remember),
		T(xm_seal_open__damage_does_not_spoil_the_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
