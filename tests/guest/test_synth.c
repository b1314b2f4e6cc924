// SPDX-License-Identifier: GPL-2.0-or-later
/* The synthetic guest: what it is told to be, its rate and pattern, that the
 * dirty log sees what it wrote, and that it pauses, slows down and ends. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest/guest.h"
#include "guest/synth.h"

#define PAGES (8192u) /* 32 MiB */
#define SIZE  "32M"

struct t_synth {
	struct guest_source *s;
	struct guest_ram ram;
	uint64_t *dirty[1];
	struct xm_error e;
};

static int t_setup(void **state)
{
	struct t_synth *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->dirty[0] = calloc(PAGES / 64, sizeof(uint64_t));
	assert_non_null(t->dirty[0]);
	*state = t;
	return 0;
}

static int t_teardown(void **state)
{
	struct t_synth *t = *state;

	guest_ram_close(&t->ram);
	guest_source_close(t->s);
	free(t->dirty[0]);
	free(t);
	return 0;
}

#define T_OK(call)                                        \
	do {                                              \
		if ((call) != 0)                          \
			fail_msg(#call ": %s", t->e.msg); \
	} while (0)

static void t_start(struct t_synth *t, const char *text)
{
	struct guest_synth opts;

	T_OK(guest_synth_parse(&opts, text, &t->e));
	T_OK(guest_source_synth(&t->s, &opts, &t->e));
	T_OK(guest_source_map(t->s, &t->ram, &t->e));
}

static int64_t t_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Bytes a second, over @ms. */
static uint64_t t_rate(struct t_synth *t, int ms)
{
	uint64_t was = guest_synth_written(t->s);
	int64_t begun = t_now(), ns;

	usleep((useconds_t)ms * 1000);
	ns = t_now() - begun;
	return (guest_synth_written(t->s) - was) * 1000000000 / (uint64_t)ns;
}

static void t_pause(struct t_synth *t)
{
	struct pollfd fds[GUEST_FDS_MAX];
	unsigned int news = 0;

	T_OK(guest_source_pause(t->s, &t->e));
	while (!(news & GUEST_PAUSED)) {
		assert_true(poll(fds, guest_source_fds(t->s, fds), 5000) > 0);
		T_OK(guest_source_turn(t->s, &news, &t->e));
	}
}

static uint64_t t_count(const uint64_t *bits)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < PAGES / 64; i++)
		n += (uint64_t)__builtin_popcountll(bits[i]);
	return n;
}

static const uint64_t *t_page(struct t_synth *t, unsigned int page)
{
	return (const uint64_t *)(t->ram.map.block[0].hva + page * 4096ull);
}

/* -- options -------------------------------------------------------------------- */

static void guest_synth_parse__takes_all_three(void **state)
{
	struct t_synth *t = *state;
	struct guest_synth o;

	T_OK(guest_synth_parse(&o, "2G,50M,hot", &t->e));
	assert_true(o.len == 2ull << 30);
	assert_true(o.rate == 50000000);
	assert_int_equal(o.pattern, GUEST_SYNTH_HOT);
}

static void guest_synth_parse__a_size_alone_writes_nothing(void **state)
{
	struct t_synth *t = *state;
	struct guest_synth o;

	T_OK(guest_synth_parse(&o, "4096", &t->e));
	assert_true(o.len == 4096 && o.rate == 0);
	assert_int_equal(o.pattern, GUEST_SYNTH_RANDOM);
}

static void t_refused(void **state, const char *text)
{
	struct t_synth *t = *state;
	struct guest_synth o;

	assert_int_equal(guest_synth_parse(&o, text, &t->e), -EINVAL);
	assert_int_equal(t->e.reason, XM_REASON_USAGE);
	assert_non_null(strstr(t->e.msg, text));
}

static void guest_synth_parse__refuses_no_size(void **state)
{
	t_refused(state, "");
}

static void guest_synth_parse__refuses_a_size_of_nothing(void **state)
{
	t_refused(state, "0");
}

static void guest_synth_parse__refuses_half_a_page(void **state)
{
	t_refused(state, "2K");
}

static void guest_synth_parse__refuses_too_much(void **state)
{
	t_refused(state, "99999999999999999999T");
}

static void guest_synth_parse__refuses_a_negative_rate(void **state)
{
	t_refused(state, "1G,-5");
}

static void guest_synth_parse__refuses_an_unknown_pattern(void **state)
{
	t_refused(state, "1G,5M,warm");
}

static void guest_synth_parse__refuses_an_empty_end(void **state)
{
	t_refused(state, "1G,5M,");
}

/* -- its memory ------------------------------------------------------------------- */

static void guest_source_synth__pages_are_distinct_and_whole(void **state)
{
	struct t_synth *t = *state;
	unsigned int i;

	t_start(t, SIZE);
	for (i = 0; i < PAGES; i++) {
		assert_true(synth_page_is_whole(t->ram.map.block[0].hva, i));
		assert_true(t_page(t, i)[0] == i + 1);
		assert_true(t_page(t, i)[1] == 0);
	}
	assert_false(t->s->is_live);
	assert_int_equal(guest_synth_written(t->s), 0);
}

static void guest_source_synth__every_write_changes_a_page(void **state)
{
	struct t_synth *t = *state;
	uint64_t writes = 0;
	unsigned int i;

	t_start(t, SIZE ",40M,random");
	while (guest_synth_written(t->s) < 1000 * 4096)
		usleep(1000);
	t_pause(t);
	for (i = 0; i < PAGES; i++) {
		assert_true(synth_page_is_whole(t->ram.map.block[0].hva, i));
		writes += t_page(t, i)[1];
	}
	assert_true(writes * 4096 == guest_synth_written(t->s));
}

static void guest_source_synth__sequential_goes_round(void **state)
{
	struct t_synth *t = *state;
	unsigned int i;
	uint64_t least = ~0ull, most = 0;

	t_start(t, SIZE ",400M,sequential");
	while (guest_synth_written(t->s) < 3ull * PAGES * 4096)
		usleep(1000);
	t_pause(t);
	for (i = 0; i < PAGES; i++) {
		least = least < t_page(t, i)[1] ? least : t_page(t, i)[1];
		most = most > t_page(t, i)[1] ? most : t_page(t, i)[1];
	}
	assert_true(least >= 3 && most <= least + 1);
}

static void guest_source_synth__hot_is_a_tenth(void **state)
{
	struct t_synth *t = *state;
	uint64_t hot = 0, all = 0;
	unsigned int i;

	t_start(t, SIZE ",80M,hot");
	while (guest_synth_written(t->s) < 5000 * 4096)
		usleep(1000);
	t_pause(t);
	for (i = 0; i < PAGES; i++) {
		all += t_page(t, i)[1];
		hot += i < PAGES / 10 ? t_page(t, i)[1] : 0;
	}
	assert_in_range(hot * 100 / all, 88, 94); /* 90 and a tenth of 10 */
}

static void guest_source_synth__never_writes_more_than_its_rate(void **state)
{
	struct t_synth *t = *state;
	uint64_t rate;

	t_start(t, SIZE ",40M,random");
	rate = t_rate(t, 500);
	assert_in_range(rate, 4000000, 44000000); /* less on a busy machine */
}

/* -- its life ----------------------------------------------------------------------- */

static void guest_source_synth__log_sees_what_it_wrote(void **state)
{
	struct t_synth *t = *state;
	uint64_t *was, pages;
	unsigned int i;

	was = malloc(PAGES * sizeof(*was));
	assert_non_null(was);
	t_start(t, SIZE ",40M,random");
	T_OK(guest_source_track(t->s, &t->e));
	for (i = 0; i < PAGES; i++)
		was[i] = t_page(t, i)[1];
	while (guest_synth_written(t->s) < 2000 * 4096)
		usleep(1000);
	T_OK(guest_source_harvest(t->s, t->dirty, &pages, &t->e));
	assert_true(pages > 0);
	t_pause(t);
	T_OK(guest_source_harvest(t->s, t->dirty, &pages, &t->e));
	for (i = 0; i < PAGES; i++)
		if (t_page(t, i)[1] != was[i])
			assert_true(t->dirty[0][i / 64] >> i % 64 & 1);
	memset(t->dirty[0], 0, PAGES / 8);
	T_OK(guest_source_harvest(t->s, t->dirty, &pages, &t->e));
	assert_int_equal(pages, 0);
	assert_int_equal(t_count(t->dirty[0]), 0);
	assert_true(t->s->harvest_ns > 0);
	free(was);
}

static void guest_source_synth__pause_stops_it_and_resume_not(void **state)
{
	struct t_synth *t = *state;
	uint64_t written;

	t_start(t, SIZE ",40M,random");
	t_pause(t);
	written = guest_synth_written(t->s);
	usleep(50000);
	assert_true(guest_synth_written(t->s) == written);
	T_OK(guest_source_resume(t->s, &t->e));
	while (guest_synth_written(t->s) < written + 100 * 4096)
		usleep(1000);
	T_OK(guest_source_resume(t->s, &t->e)); /* idempotent */
}

static void guest_source_synth__pause_and_resume_at_once(void **state)
{
	struct t_synth *t = *state;
	uint64_t written;

	t_start(t, SIZE ",40M,random");
	T_OK(guest_source_pause(t->s, &t->e));
	T_OK(guest_source_resume(t->s, &t->e));
	written = guest_synth_written(t->s);
	while (guest_synth_written(t->s) < written + 100 * 4096)
		usleep(1000);
}

static void guest_source_synth__throttle_takes_its_time(void **state)
{
	struct t_synth *t = *state;
	uint64_t before, during, after;

	t_start(t, SIZE ",40M,random");
	before = t_rate(t, 400);
	T_OK(guest_source_throttle(t->s, 50, &t->e));
	during = t_rate(t, 1000);
	T_OK(guest_source_throttle(t->s, 90, &t->e));
	T_OK(guest_source_throttle(t->s, 0, &t->e));
	after = t_rate(t, 400);
	assert_true(during < before * 8 / 10);
	assert_true(during < after * 8 / 10);
}

static void guest_source_synth__is_reported_when_it_dies(void **state)
{
	struct t_synth *t = *state;
	struct pollfd fds[GUEST_FDS_MAX];
	unsigned int news;

	t_start(t, SIZE ",40M,random");
	assert_int_equal(kill(guest_synth_pid(t->s), SIGKILL), 0);
	assert_true(poll(fds, guest_source_fds(t->s, fds), 5000) > 0);
	assert_int_equal(guest_source_turn(t->s, &news, &t->e), -ESRCH);
	assert_non_null(strstr(t->e.msg, "is gone"));
}

static void guest_source_synth__ends_when_done(void **state)
{
	struct t_synth *t = *state;
	unsigned int news = 0;
	pid_t pid;
	char byte;

	t_start(t, SIZE ",40M,random");
	pid = guest_synth_pid(t->s);
	t_pause(t);
	T_OK(guest_source_hand_over(t->s, &t->e));
	assert_int_equal(guest_source_read_device(t->s, &byte, 1, &t->e), 0);
	T_OK(guest_source_turn(t->s, &news, &t->e));
	assert_int_equal(news, GUEST_DEVICE_END);
	T_OK(guest_source_commit(t->s, &t->e));
	guest_source_done(t->s);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(guest_synth_pid(t->s), 0);
	T_OK(guest_source_turn(t->s, &news, &t->e));
	assert_int_equal(news, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, t_setup, t_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(guest_synth_parse__takes_all_three),
		CASE(guest_synth_parse__a_size_alone_writes_nothing),
		CASE(guest_synth_parse__refuses_no_size),
		CASE(guest_synth_parse__refuses_a_size_of_nothing),
		CASE(guest_synth_parse__refuses_half_a_page),
		CASE(guest_synth_parse__refuses_too_much),
		CASE(guest_synth_parse__refuses_a_negative_rate),
		CASE(guest_synth_parse__refuses_an_unknown_pattern),
		CASE(guest_synth_parse__refuses_an_empty_end),
		CASE(guest_source_synth__pages_are_distinct_and_whole),
		CASE(guest_source_synth__every_write_changes_a_page),
		CASE(guest_source_synth__sequential_goes_round),
		CASE(guest_source_synth__hot_is_a_tenth),
		CASE(guest_source_synth__never_writes_more_than_its_rate),
		CASE(guest_source_synth__log_sees_what_it_wrote),
		CASE(guest_source_synth__pause_stops_it_and_resume_not),
		CASE(guest_source_synth__pause_and_resume_at_once),
		CASE(guest_source_synth__throttle_takes_its_time),
		CASE(guest_source_synth__is_reported_when_it_dies),
		CASE(guest_source_synth__ends_when_done),
	};

	if (geteuid()) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
