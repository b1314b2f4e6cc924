// SPDX-License-Identifier: GPL-2.0-or-later
/* test_converge.c - when to switch over: tables of single decisions, then
 * guests and links of which it is known how they must end
 */
#include "core/converge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "xdpmig/limits.h"

#define MB           1000000ull
#define GB           1000000000ull
#define PAGES(bytes) ((bytes) / XM_PAGE_SIZE)

struct t_conv {
	struct xm_converge c;
	struct xm_time now;
};

static struct xm_converge_opts limit_ms(int64_t ms)
{
	return (struct xm_converge_opts){ .max_downtime_ns = ms * XM_MS };
}

static void begin(struct t_conv *t, struct xm_converge_opts opts)
{
	t->now = (struct xm_time){ 7 * XM_SEC };
	xm_converge_begin(&t->c, &opts, t->now);
}

/* An epoch of @pages, none of them zero, at @rate bytes a second. */
static enum xm_converge_verdict epoch(struct t_conv *t, uint64_t pages,
				      uint64_t rate, uint64_t dirty)
{
	uint64_t bytes = pages * XM_PAGE_SIZE;
	int64_t ns = (int64_t)(bytes * 1000 / (rate / MB));

	t->now = xm_time_add(t->now, ns);
	return xm_converge_step(&t->c, t->now, pages, bytes, ns, dirty);
}

/* -- less than the limit ------------------------------------------------------ */

static struct xm_converge_opts more(unsigned int epochs)
{
	struct xm_converge_opts opts = limit_ms(300);

	opts.more_epochs = epochs;
	return opts;
}

static void more__epochs_while_each_halves_the_downtime(void **state)
{
	struct t_conv t;

	(void)state;
	begin(&t, more(4));
	/* 100 ms of pages, 10 ms written meanwhile; then 20 ms, 9 ms */
	assert_int_equal(epoch(&t, 1000000, 4096 * MB, 100000),
			 XM_CONVERGE_EPOCH);
	assert_int_equal(epoch(&t, 100000, 4096 * MB, 20000),
			 XM_CONVERGE_EPOCH);
	assert_int_equal(epoch(&t, 20000, 4096 * MB, 12000),
			 XM_CONVERGE_SWITCH);
}

static void more__not_for_a_few_pages(void **state)
{
	struct t_conv t;

	(void)state;
	begin(&t, more(4));
	assert_int_equal(epoch(&t, 1000000, 4096 * MB, 5000),
			 XM_CONVERGE_SWITCH);
}

static void more__not_for_ever(void **state)
{
	struct t_conv t;
	unsigned int i;

	(void)state;
	begin(&t, more(3));
	for (i = 0; i < 3; i++)
		assert_int_equal(epoch(&t, 1000000, 4096 * MB, 100000),
				 XM_CONVERGE_EPOCH);
	assert_int_equal(epoch(&t, 1000000, 4096 * MB, 100000),
			 XM_CONVERGE_SWITCH);
}

static void more__not_when_a_harvest_stops_the_guest_for_as_long(void **state)
{
	struct t_conv t;

	(void)state;
	begin(&t, more(4));
	t.c.drain_ns = 50 * XM_MS;
	assert_int_equal(epoch(&t, 1000000, 4096 * MB, 100000),
			 XM_CONVERGE_SWITCH);
}

static void more__not_past_the_deadline(void **state)
{
	struct xm_converge_opts opts = more(4);
	struct t_conv t;

	(void)state;
	opts.how = XM_CONVERGE_FAIL;
	opts.deadline_ns = 1 * XM_SEC;
	begin(&t, opts);
	assert_int_equal(epoch(&t, 1000000, 4096 * MB, 100000),
			 XM_CONVERGE_SWITCH);
}

/* -- the limit ------------------------------------------------------------- */

static void xm_converge_begin__knows_nothing(void **state)
{
	struct t_conv t;

	(void)state;
	begin(&t, limit_ms(300));
	assert_int_equal(t.c.epochs, 0);
	assert_int_equal(t.c.throttle, 0);
	assert_int_equal(t.c.bytes_per_s, 0);
	assert_int_equal(t.c.expected_ns, INT64_MAX);
	assert_true(xm_time_is_never(xm_converge_expiry(&t.c)));
}

static void xm_converge_step__measures(void **state)
{
	struct t_conv t;

	(void)state;
	begin(&t, limit_ms(300));
	assert_int_equal(epoch(&t, 1000000, 4096 * MB, 250000),
			 XM_CONVERGE_SWITCH);
	assert_int_equal(t.c.epochs, 1);
	assert_int_equal(t.c.last_pages, 1000000);
	assert_int_equal(t.c.bytes_per_s, 4096 * MB);
	assert_int_equal(t.c.dirty_per_s, 250000);
	assert_int_equal(t.c.expected_ns, 250 * XM_MS);
}

static void xm_converge_step__switches_at_the_limit(void **state)
{
	static const struct {
		int64_t limit_ms, overhead_ms;
		uint64_t dirty; /* at a million pages a second */
		enum xm_converge_verdict verdict;
	} table[] = {
		{ 300, 0, 0, XM_CONVERGE_SWITCH },
		{ 300, 0, 300000, XM_CONVERGE_SWITCH },
		{ 300, 0, 300001, XM_CONVERGE_EPOCH },
		{ 300, 100, 200000, XM_CONVERGE_SWITCH },
		{ 300, 100, 200001, XM_CONVERGE_EPOCH },
		/* an eighth is always the pages' */
		{ 80, 75, 10000, XM_CONVERGE_SWITCH },
		{ 80, 75, 10001, XM_CONVERGE_EPOCH },
		{ 80, 800, 10000, XM_CONVERGE_SWITCH },
		{ 80, 800, 10001, XM_CONVERGE_EPOCH },
		/* nothing is left to send, whatever the limit */
		{ 0, 800, 0, XM_CONVERGE_SWITCH },
		{ 0, 0, 1, XM_CONVERGE_EPOCH },
	};
	struct xm_converge_opts opts;
	struct t_conv t;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		opts = limit_ms(table[i].limit_ms);
		opts.overhead_ns = table[i].overhead_ms * XM_MS;
		begin(&t, opts);
		assert_int_equal(epoch(&t, 1000000, 4096 * MB, table[i].dirty),
				 table[i].verdict);
		assert_int_equal(t.c.expected_ns,
				 (int64_t)table[i].dirty * 1000 +
					 opts.overhead_ns);
	}
}

/* -- the rate -------------------------------------------------------------- */

static void rate__a_small_epoch_does_not_outweigh_a_large_one(void **state)
{
	struct t_conv t;

	(void)state;
	begin(&t, limit_ms(1));
	epoch(&t, PAGES(10 * GB), 5 * GB, 1000000);
	/* ten pages, one millisecond: 41 MB/s, all of it latency */
	xm_converge_step(&t.c, t.now, 10, 10 * XM_PAGE_SIZE, XM_MS, 1000000);
	assert_in_range(t.c.bytes_per_s, 4900 * MB, 5 * GB);
}

static void rate__follows_a_link_that_became_slower(void **state)
{
	struct t_conv t;
	unsigned int i;

	(void)state;
	begin(&t, limit_ms(1));
	epoch(&t, PAGES(GB), GB, 1000000);
	for (i = 0; i < 3; i++)
		epoch(&t, PAGES(GB), 100 * MB, 1000000);
	assert_in_range(t.c.bytes_per_s, 100 * MB, 108 * MB);
}

static void rate__follows_one_that_became_faster(void **state)
{
	struct t_conv t;
	unsigned int i;

	(void)state;
	begin(&t, limit_ms(1));
	epoch(&t, PAGES(GB), 100 * MB, 1000000);
	for (i = 0; i < 10; i++)
		epoch(&t, PAGES(GB), GB, 1000000);
	assert_in_range(t.c.bytes_per_s, 950 * MB, GB);
}

static void rate__is_unknown_while_only_zeros_are_sent(void **state)
{
	struct t_conv t;

	(void)state;
	begin(&t, limit_ms(300));
	assert_int_equal(xm_converge_step(&t.c, t.now, 1000000, 0, XM_MS, 65),
			 XM_CONVERGE_EPOCH);
	assert_int_equal(t.c.bytes_per_s, 0);
	assert_int_equal(t.c.expected_ns, INT64_MAX);
}

static void rate__unknown_or_not_a_handful_is_quick(void **state)
{
	struct t_conv t;

	(void)state;
	begin(&t, limit_ms(300));
	assert_int_equal(xm_converge_step(&t.c, t.now, 1000000, 0, XM_MS, 64),
			 XM_CONVERGE_SWITCH);
}

static void rate__of_a_guest_that_writes_zeros_is_in_pages(void **state)
{
	struct t_conv t;

	(void)state;
	begin(&t, limit_ms(300));
	xm_converge_step(&t.c, t.now, 1000000, 0, XM_SEC, 900000);
	assert_int_equal(xm_converge_step(&t.c, t.now, 900000, 0, XM_SEC,
					  800000),
			 XM_CONVERGE_EPOCH);
	assert_in_range(t.c.expected_ns, 888 * XM_MS, 889 * XM_MS);
	assert_int_equal(xm_converge_step(&t.c, t.now, 800000, 0, XM_SEC,
					  200000),
			 XM_CONVERGE_SWITCH);
	assert_int_equal(t.c.expected_ns, 250 * XM_MS);
}

static void rate__zeros_later_do_not_change_it(void **state)
{
	struct t_conv t;

	(void)state;
	begin(&t, limit_ms(1));
	epoch(&t, PAGES(GB), GB, 1000000);
	xm_converge_step(&t.c, t.now, 1000000, 0, 10 * XM_SEC, 1000000);
	assert_in_range(t.c.bytes_per_s, GB - MB, GB + MB);
}

/* No number makes it divide by zero, or wrap into a small one. */
static void numbers__may_be_any(void **state)
{
	static const uint64_t any[] = {
		0,          1,          64,         65,
		1 << 20,    1ull << 40, 1ull << 52, UINT64_MAX - 1,
		UINT64_MAX,
	};
	static const int64_t ns[] = { INT64_MIN, -1,   0,      1,
				      999,       1000, XM_SEC, INT64_MAX };
	const unsigned int n = sizeof(any) / sizeof(any[0]);
	struct t_conv t;
	unsigned int p, b, d, i;

	(void)state;
	for (i = 0; i < n * n * n * 8; i++) {
		p = i % n;
		b = i / n % n;
		d = i / n / n % n;
		if (!(i % 64))
			begin(&t, limit_ms(300));
		xm_converge_step(&t.c, t.now, any[p], any[b], ns[i / n / n / n],
				 any[d]);
		assert_true(t.c.expected_ns >= 0);
		assert_true(t.c.throttle <= 99);
	}
	begin(&t, limit_ms(300));
	assert_int_equal(epoch(&t, 1000, GB, UINT64_MAX), XM_CONVERGE_EPOCH);
	assert_int_equal(t.c.expected_ns, INT64_MAX);
}

/* -- stagnation ------------------------------------------------------------ */

static void throttle__comes_after_two_epochs_in_a_row(void **state)
{
	static const struct {
		uint64_t pages, dirty;
		unsigned int throttle, n_stagnant;
	} table[] = {
		{ 1000000, 500000, 0, 1 }, /* half: stagnates */
		{ 1000000, 499999, 0, 0 }, /* less does not */
		{ 1000000, 900000, 0, 1 },
		{ 900000, 900000, 20, 2 },
		{ 900000, 900000, 20, 3 },
		{ 900000, 1800000, 30, 4 }, /* any more is no more than that */
		{ 1800000, 800000, 30, 0 },
		{ 800000, 800000, 30, 1 },
		{ 800000, 800000, 40, 2 },
		{ 800001, 400001, 40, 3 },
		{ 800001, 400000, 40, 0 },
	};
	struct t_conv t;
	unsigned int i;

	(void)state;
	begin(&t, limit_ms(100));
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(epoch(&t, table[i].pages, 4096 * MB,
				       table[i].dirty),
				 XM_CONVERGE_EPOCH);
		assert_int_equal(t.c.throttle, table[i].throttle);
		assert_int_equal(t.c.n_stagnant, table[i].n_stagnant);
	}
}

static void throttle__ends_at_99(void **state)
{
	static const unsigned int want[] = { 20, 30, 40, 50, 60, 70,
					     80, 90, 99, 99, 99 };
	struct t_conv t;
	unsigned int i;

	(void)state;
	begin(&t, limit_ms(100));
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		epoch(&t, 1000000, 4096 * MB, 1000000);
		assert_int_equal(epoch(&t, 1000000, 4096 * MB, 1000000),
				 XM_CONVERGE_EPOCH);
		assert_int_equal(t.c.throttle, want[i]);
	}
}

static void throttle__is_for_auto_only(void **state)
{
	struct xm_converge_opts opts = limit_ms(100);
	struct t_conv t;
	unsigned int i;

	(void)state;
	opts.how = XM_CONVERGE_STOP;
	begin(&t, opts);
	for (i = 0; i < 5; i++)
		epoch(&t, 1000000, 4096 * MB, 1000000);
	assert_int_equal(t.c.throttle, 0);
	assert_int_equal(t.c.n_stagnant, 5);
}

/* -- the deadline ---------------------------------------------------------- */

static void deadline__decides_as_the_user_said(void **state)
{
	static const struct {
		enum xm_converge_how how;
		enum xm_converge_verdict verdict;
	} table[] = {
		{ XM_CONVERGE_AUTO, XM_CONVERGE_GIVE_UP },
		{ XM_CONVERGE_STOP, XM_CONVERGE_SWITCH },
		{ XM_CONVERGE_FAIL, XM_CONVERGE_GIVE_UP },
	};
	struct t_conv t;
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct xm_converge_opts opts = limit_ms(100);

		opts.how = table[i].how;
		opts.deadline_ns = 2 * XM_SEC;
		begin(&t, opts);
		assert_int_equal(xm_converge_expiry(&t.c).ns, 9 * XM_SEC);
		assert_int_equal(epoch(&t, 1000000, 4096 * MB, 1000000),
				 XM_CONVERGE_EPOCH);
		assert_int_equal(xm_converge_expire(&t.c, t.now),
				 XM_CONVERGE_EPOCH);
		assert_int_equal(epoch(&t, 1000000, 4096 * MB, 1000000),
				 table[i].verdict);
		assert_int_equal(xm_converge_expire(&t.c, t.now),
				 table[i].verdict);
		t.now.ns--;
		assert_int_equal(xm_converge_expire(&t.c, t.now),
				 XM_CONVERGE_EPOCH);
	}
}

static void deadline__a_guest_that_is_ready_moves_even_then(void **state)
{
	struct xm_converge_opts opts = limit_ms(100);
	struct t_conv t;

	(void)state;
	opts.how = XM_CONVERGE_FAIL;
	opts.deadline_ns = 1;
	begin(&t, opts);
	assert_int_equal(epoch(&t, 1000000, 4096 * MB, 10000),
			 XM_CONVERGE_SWITCH);
}

static void deadline__comes_with_an_unknown_rate_too(void **state)
{
	struct xm_converge_opts opts = limit_ms(100);
	struct t_conv t;

	(void)state;
	opts.deadline_ns = XM_SEC;
	begin(&t, opts);
	t.now = xm_time_add(t.now, XM_SEC);
	assert_int_equal(xm_converge_step(&t.c, t.now, 1000000, 0, XM_SEC,
					  500000),
			 XM_CONVERGE_GIVE_UP);
}

/* -- guests and links ------------------------------------------------------ */

/* A guest of @memory bytes that writes @dirty bytes a second, each time to
 * another page of a working set of @set bytes; the link carries @rate. */
struct t_guest {
	uint64_t memory, set, dirty, rate;
};

/* Migrate it; the verdict that ends it.  At most @max epochs. */
static enum xm_converge_verdict
migrate(struct t_conv *t, const struct t_guest *g, unsigned int max)
{
	enum xm_converge_verdict v = XM_CONVERGE_EPOCH;
	uint64_t pages = PAGES(g->memory), left;
	int64_t ns;

	while (v == XM_CONVERGE_EPOCH && t->c.epochs < max) {
		ns = (int64_t)(pages * XM_PAGE_SIZE * 1000 / (g->rate / MB));
		left = g->dirty * (100 - t->c.throttle) / 100 / MB *
		       (uint64_t)ns / 1000;
		if (left > g->set)
			left = g->set;
		v = epoch(t, pages, g->rate, PAGES(left));
		pages = PAGES(left);
	}
	return v;
}

/* Epoch k leaves memory * (dirty / rate)^k: this many epochs until what is
 * left takes 300 ms. */
static void guest__converges_in_as_many_epochs_as_it_must(void **state)
{
	static const struct {
		struct t_guest guest;
		unsigned int epochs;
	} table[] = {
		/* idle: one, and the final one */
		{ { 4 * GB, 4 * GB, 0, GB }, 1 },
		/* 4 s; leaves 200 MB: 200 ms */
		{ { 4 * GB, 4 * GB, 50 * MB, GB }, 1 },
		/* 4 s, 800 ms; leaves 160 MB */
		{ { 4 * GB, 4 * GB, 200 * MB, GB }, 2 },
		/* 4 s, 1.6 s, 0.64 s; leaves 256 MB */
		{ { 4 * GB, 4 * GB, 400 * MB, GB }, 3 },
		/* 400 s, 40 s, 4 s, 400 ms; leaves 40 ms */
		{ { 40 * GB, 40 * GB, 10 * MB, 100 * MB }, 4 },
		/* fast, but always the same 100 MB */
		{ { 4 * GB, 100 * MB, 5 * GB, GB }, 1 },
	};
	struct t_conv t;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		begin(&t, limit_ms(300));
		assert_int_equal(migrate(&t, &table[i].guest, 100),
				 XM_CONVERGE_SWITCH);
		assert_int_equal(t.c.epochs, table[i].epochs);
		assert_int_equal(t.c.throttle, 0);
		assert_true(t.c.expected_ns <= 300 * XM_MS);
	}
}

static void guest__that_writes_too_fast_is_slowed_down(void **state)
{
	/* as fast as the link; at 60 % of that, 20 % off after two epochs,
	 * half of it stays for the next one, and so on */
	const struct t_guest g = { 4 * GB, 4 * GB, GB, GB };
	struct t_conv t;

	(void)state;
	begin(&t, limit_ms(300));
	assert_int_equal(migrate(&t, &g, 100), XM_CONVERGE_SWITCH);
	assert_in_range(t.c.throttle, 20, 70);
	assert_in_range(t.c.epochs, 6, 16);
}

static void guest__that_writes_much_too_fast_is_stopped_almost(void **state)
{
	const struct t_guest g = { 4 * GB, 4 * GB, 20 * GB, GB };
	struct t_conv t;

	(void)state;
	begin(&t, limit_ms(300));
	assert_int_equal(migrate(&t, &g, 100), XM_CONVERGE_SWITCH);
	assert_int_equal(t.c.throttle, 99);
	assert_in_range(t.c.epochs, 18, 20);
}

static void guest__that_no_throttle_helps_is_copied_until_told(void **state)
{
	const struct t_guest g = { 4 * GB, 4 * GB, 2000 * GB, GB };
	struct xm_converge_opts opts = limit_ms(300);
	struct t_conv t;

	(void)state;
	begin(&t, opts);
	assert_int_equal(migrate(&t, &g, 1000), XM_CONVERGE_EPOCH);
	assert_int_equal(t.c.epochs, 1000);
	opts.deadline_ns = 120 * XM_SEC;
	begin(&t, opts);
	assert_int_equal(migrate(&t, &g, 1000), XM_CONVERGE_GIVE_UP);
	assert_in_range(xm_time_sub(t.now, t.c.begun), 120 * XM_SEC,
			125 * XM_SEC);
	opts.how = XM_CONVERGE_STOP;
	begin(&t, opts);
	assert_int_equal(migrate(&t, &g, 1000), XM_CONVERGE_SWITCH);
	assert_in_range(xm_time_sub(t.now, t.c.begun), 120 * XM_SEC,
			125 * XM_SEC);
	assert_true(t.c.expected_ns > 300 * XM_MS); /* whatever it costs */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xm_converge_begin__knows_nothing),
		cmocka_unit_test(more__epochs_while_each_halves_the_downtime),
		cmocka_unit_test(more__not_for_a_few_pages),
		cmocka_unit_test(more__not_for_ever),
		cmocka_unit_test(
			more__not_when_a_harvest_stops_the_guest_for_as_long),
		cmocka_unit_test(more__not_past_the_deadline),
		cmocka_unit_test(xm_converge_step__measures),
		cmocka_unit_test(xm_converge_step__switches_at_the_limit),
		cmocka_unit_test(
			rate__a_small_epoch_does_not_outweigh_a_large_one),
		cmocka_unit_test(rate__follows_a_link_that_became_slower),
		cmocka_unit_test(rate__follows_one_that_became_faster),
		cmocka_unit_test(rate__is_unknown_while_only_zeros_are_sent),
		cmocka_unit_test(rate__unknown_or_not_a_handful_is_quick),
		cmocka_unit_test(
			rate__of_a_guest_that_writes_zeros_is_in_pages),
		cmocka_unit_test(rate__zeros_later_do_not_change_it),
		cmocka_unit_test(numbers__may_be_any),
		cmocka_unit_test(throttle__comes_after_two_epochs_in_a_row),
		cmocka_unit_test(throttle__ends_at_99),
		cmocka_unit_test(throttle__is_for_auto_only),
		cmocka_unit_test(deadline__decides_as_the_user_said),
		cmocka_unit_test(
			deadline__a_guest_that_is_ready_moves_even_then),
		cmocka_unit_test(deadline__comes_with_an_unknown_rate_too),
		cmocka_unit_test(guest__converges_in_as_many_epochs_as_it_must),
		cmocka_unit_test(guest__that_writes_too_fast_is_slowed_down),
		cmocka_unit_test(
			guest__that_writes_much_too_fast_is_stopped_almost),
		cmocka_unit_test(
			guest__that_no_throttle_helps_is_copied_until_told),
	};

	return cmocka_run_group_tests_name("converge", tests, NULL, NULL);
}
