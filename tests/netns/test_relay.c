// SPDX-License-Identifier: GPL-2.0-or-later
/* test_relay.c - the relay program does to real frames what its model says
 *
 * What must come out is computed by running tests/lib/impair.c here with the
 * same seed.  RELAY is the program.
 */
#include <signal.h>
#include <unistd.h>

#include "../lib/impair.h"
#include "../lib/mangle.h"
#include "t_relay.h"

#define BASE     61952 /* first port that trouble is meant for */
#define DEADLINE 10000 /* ms */
#define N        600   /* frames of one test */

static const char *relay_path;

/* Send N frames, and expect exactly what a model with these options lets out,
 * byte by byte and in its order. */
static void expect_as_modelled(struct t_relay *t, const struct impair_opts *o,
			       uint64_t seed, uint32_t payload)
{
	static struct impair_slot slots[4 * N];
	struct t_frame *f = malloc(sizeof(*f)), *got = malloc(sizeof(*got));
	struct impair *im = malloc(sizeof(*im));
	struct impair_out out;
	struct mangle m;
	unsigned int n = 0;
	uint32_t i;

	for (i = 0; i < N; i++) {
		t_frame_make(f, i, payload, 0, BASE);
		t_frame_send(t, f);
	}
	impair_init(im, o, seed, 0, slots, 4 * N);
	for (i = 0; i < N; i++) {
		struct impair_frame in = { .handle = i,
					   .len = f->len,
					   .ip_len = f->len - 14,
					   .is_subject = true };

		impair_push(im, 0, &in);
	}
	while (impair_pop(im, o->hold_ns, &out)) {
		t_frame_make(f, out.handle, payload, 0, BASE);
		mangle_look(f->b, f->len, &m);
		f->len =
			mangle_damage(f->b, f->len, &m, out.damage, out.random);
		if (!t_frame_recv(t, got, DEADLINE))
			fail_msg("frame %u, the %u-th, did not come",
				 out.handle, n);
		assert_int_equal(got->len, f->len);
		assert_memory_equal(got->b, f->b, f->len);
		n++;
	}
	t_relay_stop(t);
	assert_false(t_frame_recv(t, got, 0));
	assert_int_equal(t_relay_stat(t, "ab", "subject"), N);
	assert_int_equal(t_relay_stat(t, "ab", "lost"), im->stats.lost);
	assert_int_equal(t_relay_stat(t, "ab", "duplicated"),
			 im->stats.duplicated);
	assert_int_equal(t_relay_stat(t, "ab", "reordered"),
			 im->stats.reordered);
	assert_int_equal(t_relay_stat(t, "ab", "ring_dropped"), 0);
	assert_int_equal(t_relay_stat(t, "ab", "send_failed"), 0);
	free(im);
	free(got);
	free(f);
}

/* -- tests ------------------------------------------------------------------------------ */

static void relay__perfect_wire(void **state)
{
	struct impair_opts o = { 0 };

	t_relay_start(*state, relay_path, "--ports 61952-61999");
	expect_as_modelled(*state, &o, 1, 1000);
}

static void relay__loses_whom_the_model_loses(void **state)
{
	struct impair_opts o = { .loss = 0.3,
				 .burst_enter = 0.02,
				 .burst_leave = 0.2,
				 .burst_loss = 0.9 };

	t_relay_start(*state, relay_path,
		      "--ports 61952-61999 --seed 77 --loss 30% "
		      "--burst 2%,0.2,0.9");
	expect_as_modelled(*state, &o, 77, 1000);
}

static void relay__duplicates_and_damages(void **state)
{
	struct impair_opts o = { .duplicate = 0.3,
				 .damage = 0.4,
				 .damages = 1u << IMPAIR_PAYLOAD |
					    1u << IMPAIR_HEADER |
					    1u << IMPAIR_TRUNCATE |
					    1u << IMPAIR_SHORTEN };

	t_relay_start(*state, relay_path,
		      "--ports 61952-61999 --seed 5 --duplicate 30% "
		      "--corrupt 40%,payload+header+truncate+shorten");
	expect_as_modelled(*state, &o, 5, 1000);
}

static void relay__reorders(void **state)
{
	struct impair_opts o = { .reorder = 0.2,
				 .depth = 6,
				 .hold_ns = 1000000000 };
	struct t_relay *t = *state;

	t_relay_start(t, relay_path,
		      "--ports 61952-61999 --seed 9 --reorder 20%,6,1s");
	expect_as_modelled(t, &o, 9, 200);
}

static void expect_through(struct t_relay *t, uint32_t payload, uint16_t vlan)
{
	struct t_frame *f = malloc(sizeof(*f)), *got = malloc(sizeof(*got));

	t_frame_make(f, 1, payload, vlan, BASE);
	t_frame_send(t, f);
	assert_true(t_frame_recv(t, got, DEADLINE));
	assert_int_equal(got->len, f->len);
	assert_memory_equal(got->b, f->b, f->len);
	free(got);
	free(f);
}

static void relay__every_size(void **state)
{
	static const uint32_t sizes[] = { 52,   1458, 1459,  4096,
					  8958, 8959, 30000, 65535 - 28 };
	struct t_relay *t = *state;
	size_t i;

	t_relay_start(t, relay_path, "");
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		expect_through(t, sizes[i], 0);
}

static void relay__vlan_tag_stays_where_it_was(void **state)
{
	struct t_relay *t = *state;

	t_relay_start(t, relay_path, "");
	expect_through(t, 1000, 0x123);
	expect_through(t, 1000, 1);
}

/* The control connection's frames are left alone. */
static void relay__other_ports_are_left_alone(void **state)
{
	struct t_frame *f = malloc(sizeof(*f)), *got = malloc(sizeof(*got));
	struct t_relay *t = *state;
	uint32_t i;

	t_relay_start(t, relay_path, "--ports 61952-61999 --loss 100%");
	for (i = 0; i < 100; i++) {
		t_frame_make(f, i, 200, 0, i % 2 ? BASE : BASE - 1);
		t_frame_send(t, f);
	}
	for (i = 0; i < 100; i += 2) {
		t_frame_make(f, i, 200, 0, BASE - 1);
		assert_true(t_frame_recv(t, got, DEADLINE));
		assert_memory_equal(got->b, f->b, f->len);
	}
	t_relay_stop(t);
	assert_int_equal(t_relay_stat(t, "ab", "lost"), 50);
	assert_false(t_frame_recv(t, got, 0));
	free(got);
	free(f);
}

/* Only one type of frame, and only one way. */
static void relay__only_acks(void **state)
{
	struct t_frame *f = malloc(sizeof(*f)), *got = malloc(sizeof(*got));
	struct t_relay *t = *state;
	uint32_t i;

	t_relay_start(t, relay_path, "--types ack --way ab --loss 100%");
	for (i = 0; i < 10; i++) {
		t_frame_make(f, i, 200, 0, BASE);
		t_frame_send(t, f);
	}
	for (i = 0; i < 10; i += 2) {
		t_frame_make(f, i, 200, 0, BASE);
		assert_true(t_frame_recv(t, got, DEADLINE));
		assert_memory_equal(got->b, f->b, f->len);
	}
	t_relay_stop(t);
	assert_int_equal(t_relay_stat(t, "ab", "lost"), 5);
	free(got);
	free(f);
}

static void relay__delay(void **state)
{
	struct t_relay *t = *state;
	int64_t start;

	t_relay_start(t, relay_path, "--delay 80ms");
	start = t_now_ms();
	expect_through(t, 500, 0);
	assert_in_range(t_now_ms() - start, 80, 2000);
}

/* 100 frames of 1042 bytes at 8 Mbit/s: 104 ms. */
static void relay__rate(void **state)
{
	struct t_frame *f = malloc(sizeof(*f));
	struct t_relay *t = *state;
	int64_t start;
	uint32_t i;

	t_relay_start(t, relay_path, "--rate 8M");
	start = t_now_ms();
	t_frame_make(f, 0, 1000, 0, BASE);
	for (i = 0; i < 100; i++)
		t_frame_send(t, f);
	for (i = 0; i < 100; i++)
		assert_true(t_frame_recv(t, f, DEADLINE));
	assert_in_range(t_now_ms() - start, 103, 3000);
	free(f);
}

static void relay__mtu(void **state)
{
	struct t_frame *f = malloc(sizeof(*f));
	struct t_relay *t = *state;

	t_relay_start(t, relay_path, "--ports 61952-61999 --mtu 4000");
	t_frame_make(f, 0, 4001 - 28, 0, BASE);
	t_frame_send(t, f);
	expect_through(t, 4000 - 28, 0);
	t_relay_stop(t);
	assert_int_equal(t_relay_stat(t, "ab", "too_long"), 1);
	free(f);
}

static void expect_frame(struct t_relay *t, struct t_frame *want, uint32_t i)
{
	struct t_frame *got = malloc(sizeof(*got));

	t_frame_make(want, i, 300, 0, BASE);
	assert_true(t_frame_recv(t, got, DEADLINE));
	assert_int_equal(got->len, want->len);
	assert_memory_equal(got->b, want->b, want->len);
	free(got);
}

/* Ten are recorded; the next time they come again, two with each that passes. */
static void relay__replays_what_it_recorded(void **state)
{
	struct t_frame *f = malloc(sizeof(*f));
	char path[] = "/tmp/xm-relay-XXXXXX", args[128];
	struct t_relay *t = *state;
	uint32_t i;

	close(mkstemp(path));
	snprintf(args, sizeof(args), "--way ab --record %s", path);
	t_relay_start(t, relay_path, args);
	for (i = 0; i < 10; i++) {
		t_frame_make(f, i, 300, 0, BASE);
		t_frame_send(t, f);
		expect_frame(t, f, i);
	}
	t_relay_stop(t);
	assert_int_equal(t_relay_stat(t, "ab", "recorded"), 10);
	fclose(t->out);
	snprintf(args, sizeof(args), "--way ab --replay %s,2", path);
	t_relay_start(t, relay_path, args);
	for (i = 0; i < 5; i++) {
		t_frame_make(f, 100 + i, 300, 0, BASE);
		t_frame_send(t, f);
		expect_frame(t, f, 100 + i);
		expect_frame(t, f, 2 * i);
		expect_frame(t, f, 2 * i + 1);
	}
	t_relay_stop(t);
	assert_int_equal(t_relay_stat(t, "ab", "replayed"), 10);
	assert_false(t_frame_recv(t, f, 0));
	unlink(path);
	free(f);
}

static void relay__cut_by_signal_and_mended(void **state)
{
	struct t_frame *f = malloc(sizeof(*f));
	struct t_relay *t = *state;

	t_relay_start(t, relay_path, "");
	expect_through(t, 100, 0);
	t_relay_cut(t, SIGUSR1, true);
	t_frame_make(f, 0, 100, 0, BASE);
	t_frame_send(t, f);
	assert_false(t_frame_recv(t, f, 100));
	t_relay_cut(t, SIGUSR2, false);
	expect_through(t, 100, 0);
	free(f);
}

/* A mistake is told, not guessed around. */
static void relay__usage(void **state)
{
	static const char *const bad[] = { "--loss 101%",
					   "--loss x",
					   "--delay 5",
					   "--rate 1X",
					   "--burst 1%",
					   "--corrupt 1%,foo",
					   "--ports 9-8",
					   "--way up",
					   "--types bogus",
					   "--nonsense",
					   "--seed",
					   "--cut 1s",
					   "--cut 5f",
					   "--shrink 1500",
					   "--begin x",
					   "--record file",
					   "--way ab --repeat 0" };
	size_t i;

	(void)state;
	t_here("%s --help | grep -q -- --loss", relay_path);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		t_here("s=0; %s %s v0 w0 2>/dev/null || s=$?; [ $s = 2 ]",
		       relay_path, bad[i]);
	t_here("s=0; %s v0 2>/dev/null || s=$?; [ $s = 2 ]", relay_path);
	t_here("s=0; %s v0 nodev 2>/dev/null || s=$?; [ $s = 1 ]", relay_path);
}

#define T(f) cmocka_unit_test_setup_teardown(f, t_relay_setup, t_relay_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(relay__perfect_wire),
		T(relay__loses_whom_the_model_loses),
		T(relay__duplicates_and_damages),
		T(relay__reorders),
		T(relay__every_size),
		T(relay__vlan_tag_stays_where_it_was),
		T(relay__other_ports_are_left_alone),
		T(relay__only_acks),
		T(relay__delay),
		T(relay__rate),
		T(relay__mtu),
		T(relay__replays_what_it_recorded),
		T(relay__cut_by_signal_and_mended),
		T(relay__usage),
	};

	if (t_netns_skip())
		return 0;
	relay_path = getenv("RELAY");
	if (!relay_path) {
		puts("1..0 # SKIP RELAY does not name the relay program");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
