// SPDX-License-Identifier: GPL-2.0-or-later
/* test_pool.c - commands and answers between conductor and threads
 *
 * The real pool.c over pumps that are played: they say they are done when they
 * are told to be, and fail when they are told to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "cli/pool.h"

#define N_PUMPS 4

static atomic_bool is_installed, must_fail;
static atomic_bool pins_slowly, is_pinned; /* pinning lasts until the latter */
static atomic_uint n_made, n_pinned, n_opened;
static atomic_bool was_early, cannot_make;
static atomic_uint n_cuts[8], n_heard[8]; /* by channel: see pump_couple() */
static unsigned int n_threads_left = UINT_MAX; /* that can be had */

/* -- the pumps ---------------------------------------------------------------------- */

/* Channel 1 is the one that cannot be made. */
int pump_make(struct pump *p, const struct pump_opts *opts, struct xm_error *e)
{
	if (opts->channel == 1 && atomic_load(&cannot_make))
		return xm_fail(e, -EPERM, XM_REASON_PERMISSION, "no socket");
	p->opts = *opts;
	p->chan = (struct xsk_chan *)p; /* never looked into */
	atomic_fetch_add(&n_made, 1);
	return 0;
}

int pump_pin(struct pump *p, struct xm_error *e)
{
	(void)p;
	(void)e;
	if (atomic_load(&n_made) < N_PUMPS)
		atomic_store(&was_early, true);
	atomic_fetch_add(&n_pinned, 1);
	while (atomic_load(&pins_slowly) && !atomic_load(&is_pinned))
		(void)sched_yield();
	return 0;
}

int pump_open(struct pump *p, const struct pump_opts *opts, struct xm_error *e)
{
	(void)e;
	if (atomic_load(&n_pinned) < N_PUMPS)
		atomic_store(&was_early, true);
	atomic_fetch_add(&n_opened, 1);
	p->opts = *opts;
	p->path = opts->path;
	p->state = PUMP_OPEN;
	return 0;
}

void pump_close(struct pump *p)
{
	memset(p, 0, sizeof(*p));
}

void pump_begin_probe(struct pump *p)
{
	p->state = PUMP_PROBE;
}

bool pump_is_proven(const struct pump *p)
{
	return p->state == PUMP_PROBE;
}

void pump_set_path(struct pump *p, const struct xm_path *path)
{
	p->path = *path;
}

void pump_set_rate(struct pump *p, uint64_t bytes_per_s)
{
	p->opts.tx.cc.rate = bytes_per_s;
}

int pump_begin_epoch(struct pump *p, uint32_t epoch,
		     const struct xm_page_set *set, struct xm_time now,
		     struct xm_error *e)
{
	(void)set;
	(void)now;
	(void)e;
	p->epoch = epoch;
	p->state = PUMP_SEND;
	return 0;
}

bool pump_is_installed(const struct pump *p)
{
	(void)p;
	return atomic_load(&is_installed);
}

void pump_end_epoch(struct pump *p)
{
	p->state = PUMP_IDLE;
}

/* Tells of its cuts once. */
uint32_t pump_couple(struct pump *p, uint32_t n_all)
{
	atomic_store(&n_heard[p->opts.channel], n_all);
	return atomic_exchange(&n_cuts[p->opts.channel], 0);
}

/* Only channel 1 fails, and says nothing of why. */
int pump_turn(struct pump *p, struct xm_time now, struct xm_error *e)
{
	(void)now;
	(void)e;
	return p->opts.channel == 1 && atomic_load(&must_fail) ? -EPROTO : 0;
}

int pump_check(struct pump *p, struct xm_error *e)
{
	(void)p;
	(void)e;
	return 0;
}

struct xm_time pump_expiry(const struct pump *p, struct xm_time now)
{
	(void)p;
	return xm_time_add(now, XM_MS);
}

void pump_report(struct pump *p, struct pump_report *ret_report)
{
	memset(ret_report, 0, sizeof(*ret_report));
	ret_report->credit = p->opts.channel + 10 * p->epoch;
	ret_report->pages_done = p->path.sport;
	ret_report->locked = p->opts.tx.cc.rate;
}

int xsk_chan_fd(const struct xsk_chan *chan)
{
	(void)chan;
	return -1;
}

/* -- the system --------------------------------------------------------------------- */

int __real_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
			  void *(*main)(void *), void *arg);
int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
			  void *(*main)(void *), void *arg);

int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
			  void *(*main)(void *), void *arg)
{
	if (!n_threads_left)
		return EAGAIN;
	n_threads_left--;
	return __real_pthread_create(ret_thread, attr, main, arg);
}

/* -- helpers ------------------------------------------------------------------------- */

struct t_pool {
	struct pump_opts pumps[N_PUMPS];
	struct pool *pool;
	struct xm_error e;
};

static int setup_threads(void **state, unsigned int n_threads)
{
	static struct t_pool t;
	struct pool_opts opts = {
		.pumps = t.pumps,
		.n_pumps = N_PUMPS,
		.n_threads = n_threads,
		.numa_node = -1,
	};
	unsigned int i;

	memset(&t, 0, sizeof(t));
	for (i = 0; i < N_PUMPS; i++) {
		t.pumps[i].channel = i;
		t.pumps[i].is_sender = true;
	}
	atomic_store(&is_installed, true);
	atomic_store(&must_fail, false);
	atomic_store(&pins_slowly, false);
	atomic_store(&is_pinned, false);
	atomic_store(&n_made, 0);
	atomic_store(&n_pinned, 0);
	atomic_store(&n_opened, 0);
	atomic_store(&was_early, false);
	atomic_store(&cannot_make, false);
	for (i = 0; i < N_PUMPS; i++) {
		atomic_store(&n_cuts[i], 0);
		atomic_store(&n_heard[i], 0);
	}
	*state = &t;
	return pool_new(&t.pool, &opts, &t.e);
}

static int setup(void **state)
{
	return setup_threads(state, N_PUMPS);
}

static int setup_one_thread(void **state)
{
	return setup_threads(state, 1);
}

static int teardown(void **state)
{
	struct t_pool *t = *state;

	t->pool = pool_free(t->pool);
	return 0;
}

/* As the conductor: sleep until there is news, @ms at most; what it is. */
static int t_news(struct t_pool *t, int ms)
{
	struct pollfd fd = { .fd = pool_fd(t->pool), .events = POLLIN };

	return poll(&fd, 1, ms) > 0 ? pool_check(t->pool, &t->e) : POOL_E_BUSY;
}

static void t_phase(struct t_pool *t, enum pool_phase phase, uint32_t epoch)
{
	int r;

	pool_begin(t->pool, phase, epoch, NULL);
	do
		r = t_news(t, 5000);
	while (r == POOL_E_BUSY);
	assert_int_equal(r, 0);
}

/* -- tests ------------------------------------------------------------------------------ */

/* The last thread's answer may be seen before its wake-up comes. */
static void pool_check__tells_the_end_of_a_phase_once(void **state)
{
	struct t_pool *t = *state;
	uint32_t i;

	t_phase(t, POOL_OPEN, 0);
	for (i = 1; i < 2000; i++) {
		t_phase(t, POOL_EPOCH, i);
		assert_int_equal(t_news(t, i % 64 ? 0 : 1), POOL_E_BUSY);
	}
}

static void pool_check__busy_until_all_are_done(void **state)
{
	struct t_pool *t = *state;

	t_phase(t, POOL_OPEN, 0);
	atomic_store(&is_installed, false);
	pool_begin(t->pool, POOL_EPOCH, 1, NULL);
	assert_int_equal(t_news(t, 20), POOL_E_BUSY);
	atomic_store(&is_installed, true);
	while (t_news(t, 5000) == POOL_E_BUSY)
		;
	assert_int_equal(t->e.err, 0);
}

static void pool_check__a_failure_has_a_story(void **state)
{
	struct t_pool *t = *state;
	int r;

	t_phase(t, POOL_OPEN, 0);
	atomic_store(&is_installed, false);
	pool_begin(t->pool, POOL_EPOCH, 1, NULL);
	atomic_store(&must_fail, true);
	do
		r = t_news(t, 5000);
	while (r == POOL_E_BUSY);
	assert_int_equal(r, -EPROTO);
	assert_int_equal(t->e.err, -EPROTO);
	assert_int_equal(t->e.reason, XM_REASON_INTERNAL);
	assert_true(t->e.msg[0] != '\0');
}

/* How many channels have heard of exactly @n cuts? */
static unsigned int t_heard(unsigned int n)
{
	unsigned int i, sum = 0;

	for (i = 0; i < N_PUMPS; i++)
		sum += atomic_load(&n_heard[i]) == n;
	return sum;
}

static void pool_begin__channels_hear_of_each_others_cuts(void **state)
{
	struct t_pool *t = *state;
	unsigned int i;

	t_phase(t, POOL_OPEN, 0);
	atomic_store(&is_installed, false);
	pool_begin(t->pool, POOL_EPOCH, 1, NULL);
	atomic_store(&n_cuts[0], 2);
	atomic_store(&n_cuts[3], 1);
	for (i = 0; i < 500 && t_heard(3) < N_PUMPS; i++)
		assert_int_equal(t_news(t, 10), POOL_E_BUSY);
	assert_int_equal(t_heard(3), N_PUMPS);
}

static void pool_report__is_exact_when_the_phase_is_done(void **state)
{
	struct t_pool *t = *state;
	struct pump_report rep;

	t_phase(t, POOL_OPEN, 0);
	t_phase(t, POOL_EPOCH, 7);
	pool_report(t->pool, 3, &rep);
	assert_int_equal(rep.credit, 3 + 10 * 7);
}

static void pool_free__in_the_middle_of_a_phase(void **state)
{
	struct t_pool *t = *state;

	t_phase(t, POOL_OPEN, 0);
	atomic_store(&is_installed, false);
	pool_begin(t->pool, POOL_EPOCH, 1, NULL);
	t->pool = pool_free(t->pool);
	assert_null(t->pool);
}

/* Mapping waits for pins. */
static void pool_begin__takes_all_a_step_further_at_once(void **state)
{
	struct t_pool *t = *state;

	t_phase(t, POOL_OPEN, 0);
	assert_int_equal(atomic_load(&n_made), N_PUMPS);
	assert_int_equal(atomic_load(&n_pinned), N_PUMPS);
	assert_int_equal(atomic_load(&n_opened), N_PUMPS);
	assert_false(atomic_load(&was_early));
}

/* What both sides agree on is known only when memory is pinned. */
static void pool_begin__opens_with_what_is_known_then(void **state)
{
	struct t_pool *t = *state;
	struct pump_report rep;

	t_phase(t, POOL_PIN, 0);
	assert_int_equal(atomic_load(&n_pinned), N_PUMPS);
	assert_int_equal(atomic_load(&n_opened), 0);
	t->pumps[2].channel = 5;
	t_phase(t, POOL_OPEN, 0);
	assert_int_equal(atomic_load(&n_made), N_PUMPS);
	assert_int_equal(atomic_load(&n_pinned), N_PUMPS);
	assert_int_equal(atomic_load(&n_opened), N_PUMPS);
	pool_report(t->pool, 2, &rep);
	assert_int_equal(rep.credit, 5);
}

static void pool_set_path__is_not_lost_while_channels_open(void **state)
{
	const struct xm_path moved = { .sport = 7 };
	struct t_pool *t = *state;
	struct pump_report rep;
	unsigned int i;

	t_phase(t, POOL_PIN, 0);
	pool_set_path(t->pool, &moved);
	t_phase(t, POOL_OPEN, 0);
	for (i = 0; i < N_PUMPS; i++) {
		pool_report(t->pool, i, &rep);
		assert_int_equal(rep.pages_done, 7);
	}
}

static uint64_t t_rate(const struct t_pool *t, unsigned int i)
{
	struct pump_report rep;

	pool_report(t->pool, i, &rep);
	return rep.locked;
}

/* One with a cap since its beginning may have it lifted before it sends; what
 * nobody speaks of stays. */
static void pool_set_rate__none_is_news(void **state)
{
	struct t_pool *t = *state;
	unsigned int i;

	for (i = 0; i < N_PUMPS; i++)
		t->pumps[i].tx.cc.rate = 1000;
	t_phase(t, POOL_OPEN, 0);
	pool_set_rate(t->pool, 2, 0);
	t_phase(t, POOL_EPOCH, 1);
	for (i = 0; i < N_PUMPS; i++)
		assert_int_equal(t_rate(t, i), i == 2 ? 0 : 1000);
	pool_set_rate(t->pool, 0, 7);
	t_phase(t, POOL_EPOCH, 2);
	for (i = 0; i < N_PUMPS; i++)
		assert_int_equal(t_rate(t, i), !i ? 7 : i == 2 ? 0 : 1000);
}

static void pool_begin__pins_none_when_one_cannot_be_made(void **state)
{
	struct t_pool *t = *state;
	int r;

	atomic_store(&cannot_make, true);
	pool_begin(t->pool, POOL_OPEN, 0, NULL);
	do
		r = t_news(t, 5000);
	while (r == POOL_E_BUSY);
	assert_int_equal(r, -EPERM);
	assert_int_equal(t->e.reason, XM_REASON_PERMISSION);
	t->pool = pool_free(t->pool);
	assert_null(t->pool);
	assert_int_equal(atomic_load(&n_pinned), 0);
}

/* As Ctrl-C does while the kernel pins a large guest. */
static void t_begin_slowly(struct t_pool *t, unsigned int n)
{
	atomic_store(&pins_slowly, true);
	pool_begin(t->pool, POOL_OPEN, 0, NULL);
	while (atomic_load(&n_pinned) < n)
		(void)t_news(t, 1); /* all are made, go on */
}

static void pool_free__does_not_wait_for_the_kernel(void **state)
{
	struct t_pool *t = *state;
	struct pool *pool = t->pool;

	t_begin_slowly(t, N_PUMPS);
	assert_ptr_equal(pool_free(pool), pool);
	/* what the threads use is still there */
	atomic_store(&is_pinned, true);
	t->pool = pool_free(pool);
	assert_null(t->pool);
}

static void pool_free__pins_no_further_channel(void **state)
{
	struct t_pool *t = *state;

	t_begin_slowly(t, 1);
	assert_ptr_equal(pool_free(t->pool), t->pool);
	atomic_store(&is_pinned, true);
	t->pool = pool_free(t->pool);
	assert_null(t->pool);
	assert_int_equal(atomic_load(&n_pinned), 1);
	assert_int_equal(atomic_load(&n_opened), 0);
}

/* Those that there are end, and the error says which is missing. */
static void pool_new__without_threads_enough(void **state)
{
	struct t_pool *t = *state;
	struct pool_opts opts = {
		.pumps = t->pumps,
		.n_pumps = N_PUMPS,
		.n_threads = N_PUMPS,
		.numa_node = -1,
	};
	struct pool *pool = NULL;
	unsigned int n;

	for (n = 0; n < N_PUMPS; n++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "make thread %u:", n);
		t->e = (struct xm_error){ 0 };
		n_threads_left = n;
		assert_int_equal(pool_new(&pool, &opts, &t->e), -EAGAIN);
		n_threads_left = UINT_MAX;
		assert_null(pool);
		assert_int_equal(t->e.reason, XM_REASON_MEMORY);
		assert_non_null(strstr(t->e.msg, text));
	}
}

#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T1(f) cmocka_unit_test_setup_teardown(f, setup_one_thread, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pool_check__tells_the_end_of_a_phase_once),
		T(pool_check__busy_until_all_are_done),
		T(pool_check__a_failure_has_a_story),
		T(pool_begin__channels_hear_of_each_others_cuts),
		T1(pool_begin__channels_hear_of_each_others_cuts),
		T(pool_report__is_exact_when_the_phase_is_done),
		T(pool_free__in_the_middle_of_a_phase),
		T(pool_begin__takes_all_a_step_further_at_once),
		T1(pool_begin__takes_all_a_step_further_at_once),
		T(pool_begin__opens_with_what_is_known_then),
		T(pool_set_path__is_not_lost_while_channels_open),
		T(pool_set_rate__none_is_news),
		T1(pool_set_rate__none_is_news),
		T(pool_begin__pins_none_when_one_cannot_be_made),
		T(pool_free__does_not_wait_for_the_kernel),
		T1(pool_free__pins_no_further_channel),
		T(pool_new__without_threads_enough),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
