// SPDX-License-Identifier: GPL-2.0-or-later
/* test_impair.c - the relay's link: every trouble is what it says
 *
 * Time is virtual, frame i comes at i microseconds unless said otherwise, and
 * the handle of a frame is its number.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "t_impair.h"

/* -- the wire ----------------------------------------------------------------------- */

static void impair__nothing_asked_nothing_done(void **state)
{
	struct impair_opts o = { 0 };
	struct t_link *t = *state;
	unsigned int i;

	link_init(t, &o, 1);
	pass(t, 500);
	assert_int_equal(t->n_out, 500);
	for (i = 0; i < 500; i++) {
		assert_int_equal(t->out[i].handle, i);
		assert_int_equal(t->out[i].damage, IMPAIR_INTACT);
		assert_false(t->out[i].mark);
		assert_int_equal(t->out_at[i], i * US);
	}
}

static void impair__delay(void **state)
{
	struct impair_opts o = { .delay_ns = 5 * MS };
	struct t_link *t = *state;

	link_init(t, &o, 1);
	pass(t, 10);
	assert_int_equal(t->n_out, 10);
	assert_int_equal(t->out_at[0], 5 * MS);
	assert_int_equal(t->out_at[9], 5 * MS + 9 * US);
}

static void impair__jitter_reorders_and_is_bounded(void **state)
{
	struct impair_opts o = { .delay_ns = 1 * MS, .jitter_ns = 100 * US };
	struct t_link *t = *state;
	unsigned int i, back = 0;

	link_init(t, &o, 1);
	pass(t, 500);
	assert_int_equal(t->n_out, 500);
	for (i = 0; i < 500; i++) {
		int64_t sent = t->out[i].handle * US;

		assert_true(t->out_at[i] >= sent + 1 * MS);
		assert_true(t->out_at[i] <= sent + 1 * MS + 100 * US);
		back += i && t->out[i].handle < t->out[i - 1].handle;
	}
	assert_true(back > 50);
}

/* 1014 bytes at 8.112 Mbit/s take a millisecond. */
static void impair__rate(void **state)
{
	struct impair_opts o = { .rate = 8112000 };
	struct t_link *t = *state;
	unsigned int i;

	link_init(t, &o, 1);
	pass(t, 20);
	assert_int_equal(t->n_out, 20);
	for (i = 0; i < 20; i++)
		assert_int_equal(t->out_at[i], (i + 1) * MS);
}

static void impair__full_queue_drops_the_last(void **state)
{
	struct impair_opts o = { .rate = 8112000, .queue_bytes = 5 * 1014 };
	struct t_link *t = *state;
	unsigned int i;

	link_init(t, &o, 1);
	pass(t, 20);
	assert_int_equal(t->im.stats.queue_full, 15);
	for (i = 0; i < 5; i++)
		assert_int_equal(t->out[i].handle, i);
}

static void impair__marks_before_it_drops(void **state)
{
	struct impair_opts o = { .rate = 8112000,
				 .queue_bytes = 5 * 1014,
				 .ecn_bytes = 2 * 1014 };
	struct t_link *t = *state;
	struct impair_frame plain = frame(100);

	link_init(t, &o, 1);
	plain.is_ect = false;
	plain.len = 60;
	impair_push(&t->im, 0, &plain);
	pass(t, 20);
	assert_int_equal(t->out[0].handle, 100);
	assert_false(t->out[1].mark); /* 60 bytes wait */
	assert_false(t->out[2].mark); /* 1074 */
	assert_true(t->out[3].mark);  /* 2088 */
	assert_true(t->out[4].mark);
	assert_int_equal(t->im.stats.marked, t->n_out - 3);
}

static void impair__not_ect_is_not_marked(void **state)
{
	struct impair_opts o = { .rate = 8112000, .ecn_bytes = 1 };
	struct impair_frame f = frame(0);
	struct t_link *t = *state;

	link_init(t, &o, 1);
	f.is_ect = false;
	impair_push(&t->im, 0, &f);
	impair_push(&t->im, 0, &f);
	run_to(t, 10 * MS);
	assert_int_equal(t->n_out, 2);
	assert_int_equal(t->im.stats.marked, 0);
}

static void impair__mtu(void **state)
{
	struct impair_opts o = { .mtu = 1000 };
	struct impair_frame fits = frame(1), larger = frame(2);
	struct t_link *t = *state;

	link_init(t, &o, 1);
	larger.ip_len = 1001;
	assert_int_equal(impair_push(&t->im, 0, &fits), 1);
	assert_int_equal(impair_push(&t->im, 0, &larger), 0);
	assert_int_equal(t->im.stats.too_long, 1);
}

/* -- loss ------------------------------------------------------------------------------ */

static void impair__mtu_shrinks(void **state)
{
	struct impair_opts o = { .mtu = 900, .mtu_from = 10 };
	struct t_link *t = *state;

	link_init(t, &o, 1);
	pass(t, 30);
	assert_int_equal(t->n_out, 10);
	assert_int_equal(t->im.stats.too_long, 20);
}

static void impair__loss_is_about_as_asked(void **state)
{
	struct impair_opts o = { .loss = 0.1 };
	struct t_link *t = *state;

	link_init(t, &o, 7);
	pass(t, 4000);
	assert_in_range(t->im.stats.lost, 320, 480); /* 4 sigma */
	assert_int_equal(t->n_out, 4000 - t->im.stats.lost);
}

static void impair__certain_loss(void **state)
{
	struct impair_opts o = { .loss = 1 };
	struct t_link *t = *state;

	link_init(t, &o, 7);
	pass(t, 1000);
	assert_int_equal(t->n_out, 0);
}

/* Bad for 20 frames on average, once in 200: a tenth is lost, and nearly
 * every lost frame has a lost neighbour. */
static void impair__bursts(void **state)
{
	struct impair_opts o = { .burst_enter = 0.005,
				 .burst_leave = 0.05,
				 .burst_loss = 1 };
	struct t_link *t = *state;
	unsigned int i, gaps = 0;

	link_init(t, &o, 3);
	pass(t, 4000);
	assert_in_range(t->im.stats.lost_in_bursts, 100, 900);
	assert_int_equal(t->im.stats.lost, 0);
	for (i = 1; i < t->n_out; i++)
		gaps += t->out[i].handle != t->out[i - 1].handle + 1;
	assert_true(gaps > 0);
	assert_true(t->im.stats.lost_in_bursts >= 8 * gaps);
}

static void impair__cut_window_starts_at_the_first_subject(void **state)
{
	struct impair_opts o = { .cut_at_ns = 10 * US, .cut_len_ns = 5 * US };
	struct impair_frame other = frame(77);
	struct t_link *t = *state;
	uint32_t i;

	link_init(t, &o, 1);
	other.is_subject = false;
	impair_push(&t->im, 0, &other);
	for (i = 0; i < 30; i++) {
		struct impair_frame f = frame(i);

		impair_push(&t->im, (1000 + i) * US, &f);
	}
	run_to(t, 10 * MS);
	assert_int_equal(t->im.stats.cut, 5);
	for (i = 0; i < 30; i++)
		assert_int_equal(times_out(t, i), i < 10 || i >= 15);
}

/* From the 11th on, five of them. */
static void impair__cut_by_frames(void **state)
{
	struct impair_opts o = { .cut_at_frames = 10, .cut_len_frames = 5 };
	struct t_link *t = *state;
	unsigned int i;

	link_init(t, &o, 1);
	pass(t, 30);
	assert_int_equal(t->n_out, 25);
	for (i = 0; i < 25; i++)
		assert_int_equal(t->out[i].handle, i < 10 ? i : i + 5);
	assert_int_equal(t->im.stats.cut, 5);
}

/* From the 11th on, for 7 us. */
static void impair__cut_at_a_frame_for_a_time(void **state)
{
	struct impair_opts o = { .cut_at_frames = 10, .cut_len_ns = 7 * US };
	struct t_link *t = *state;

	link_init(t, &o, 1);
	pass(t, 30);
	assert_int_equal(t->im.stats.cut, 7);
	assert_int_equal(times_out(t, 9), 1);
	assert_int_equal(times_out(t, 10), 0);
	assert_int_equal(times_out(t, 16), 0);
	assert_int_equal(times_out(t, 17), 1);
}

/* Not after 1,000 frames of its own, but with the other way. */
static void impair_cut_with__begins_then(void **state)
{
	struct impair_opts o = { .cut_at_frames = 1000, .cut_len_ns = 7 * US };
	struct t_link *t = *state;
	struct impair other = { .cut_at = 10 * US };

	link_init(t, &o, 1);
	impair_cut_with(&t->im, &other);
	pass(t, 30);
	assert_int_equal(t->im.stats.cut, 7);
	assert_int_equal(times_out(t, 9), 1);
	assert_int_equal(times_out(t, 10), 0);
}

static void impair_cut__everything_until_mended(void **state)
{
	struct impair_opts o = { 0 };
	struct impair_frame f = frame(1);
	struct t_link *t = *state;

	link_init(t, &o, 1);
	f.is_subject = false;
	impair_cut(&t->im, true);
	assert_int_equal(impair_push(&t->im, 0, &f), 0);
	impair_cut(&t->im, false);
	assert_int_equal(impair_push(&t->im, 0, &f), 1);
	assert_int_equal(t->im.stats.cut, 1);
}

/* -- duplication, reordering, damage -------------------------------------------------------- */

static void impair__duplicates(void **state)
{
	struct impair_opts o = { .duplicate = 0.3 };
	struct t_link *t = *state;
	unsigned int i, twice = 0;

	link_init(t, &o, 5);
	pass(t, 1000);
	for (i = 0; i < 1000; i++) {
		assert_in_range(times_out(t, i), 1, 2);
		twice += times_out(t, i) == 2;
	}
	assert_int_equal(twice, t->im.stats.duplicated);
	assert_in_range(twice, 240, 360);
}

/* A held frame comes right behind the depth-th frame after it. */
static void impair__reorders_by_depth(void **state)
{
	struct impair_opts o = { .reorder = 1, .depth = 3, .hold_ns = MS };
	struct t_link *t = *state;
	struct impair_frame f = frame(0);
	uint32_t i;

	link_init(t, &o, 1);
	impair_push(&t->im, 0, &f);
	t->im.opts.reorder = 0;
	for (i = 1; i < 10; i++) {
		f = frame(i);
		impair_push(&t->im, i * US, &f);
		run_to(t, i * US);
	}
	assert_int_equal(t->n_out, 10);
	assert_int_equal(t->out[2].handle, 3);
	assert_int_equal(t->out[3].handle, 0);
	assert_int_equal(t->out[4].handle, 4);
	assert_int_equal(t->im.stats.reordered, 1);
}

/* Nothing comes after it: it is not held for ever. */
static void impair__held_frame_is_let_go(void **state)
{
	struct impair_opts o = { .reorder = 1, .depth = 3, .hold_ns = 50 * MS };
	struct impair_frame f = frame(0);
	struct t_link *t = *state;

	link_init(t, &o, 1);
	assert_int_equal(impair_push(&t->im, 0, &f), 1);
	assert_int_equal(impair_next(&t->im), 50 * MS);
	run_to(t, 50 * MS - 1);
	assert_int_equal(t->n_out, 0);
	run_to(t, 50 * MS);
	assert_int_equal(t->n_out, 1);
}

/* More held than there is room for: the others pass. */
static void impair__no_more_held_than_there_is_room(void **state)
{
	struct impair_opts o = { .reorder = 1,
				 .depth = 1000000,
				 .hold_ns = 1000 * MS };
	struct t_link *t = *state;

	link_init(t, &o, 1);
	pass(t, IMPAIR_HELD_MAX + 10);
	assert_int_equal(t->im.stats.reordered, IMPAIR_HELD_MAX);
	assert_int_equal(t->out[0].handle, IMPAIR_HELD_MAX);
	assert_int_equal(t->n_out, IMPAIR_HELD_MAX + 10);
}

/* What was promised to come out comes out, though the queue filled up. */
static void impair__held_frame_passes_a_full_queue(void **state)
{
	struct impair_opts o = { .reorder = 1,
				 .depth = 4,
				 .hold_ns = MS,
				 .rate = 8112000,
				 .queue_bytes = 2 * 1014 };
	struct impair_frame f = frame(0);
	struct t_link *t = *state;

	link_init(t, &o, 1);
	assert_int_equal(impair_push(&t->im, 0, &f), 1);
	t->im.opts.reorder = 0;
	for (f.handle = 1; f.handle < 5; f.handle++)
		impair_push(&t->im, 0, &f);
	run_to(t, 100 * MS);
	assert_int_equal(t->n_out, 3);
	assert_int_equal(t->out[2].handle, 0);
	assert_int_equal(t->im.stats.queue_full, 2);
}

static void impair__damages_of_the_kinds_asked_for(void **state)
{
	struct impair_opts o = { .damage = 0.5,
				 .damages = 1u << IMPAIR_HEADER |
					    1u << IMPAIR_SHORTEN };
	unsigned int i, kinds[IMPAIR_DAMAGE__COUNT] = { 0 };
	struct t_link *t = *state;

	link_init(t, &o, 9);
	pass(t, 1000);
	for (i = 0; i < t->n_out; i++)
		kinds[t->out[i].damage]++;
	assert_in_range(kinds[IMPAIR_INTACT], 430, 570);
	assert_in_range(kinds[IMPAIR_HEADER], 180, 320);
	assert_in_range(kinds[IMPAIR_SHORTEN], 180, 320);
	assert_int_equal(kinds[IMPAIR_PAYLOAD] + kinds[IMPAIR_TRUNCATE], 0);
	assert_int_equal(kinds[IMPAIR_HEADER],
			 t->im.stats.damaged[IMPAIR_HEADER]);
}

/* -- who is met ------------------------------------------------------------------------------ */

static void impair__others_only_share_the_wire(void **state)
{
	struct impair_opts o = { .loss = 1,
				 .duplicate = 1,
				 .damage = 1,
				 .damages = 1u << IMPAIR_PAYLOAD,
				 .reorder = 1,
				 .depth = 3,
				 .jitter_ns = MS,
				 .delay_ns = 2 * MS };
	struct impair_frame f = frame(4);
	struct t_link *t = *state;

	link_init(t, &o, 1);
	f.is_subject = false;
	assert_int_equal(impair_push(&t->im, 0, &f), 1);
	run_to(t, 10 * MS);
	assert_int_equal(t->n_out, 1);
	assert_int_equal(t->out_at[0], 2 * MS);
	assert_int_equal(t->out[0].damage, IMPAIR_INTACT);
	assert_int_equal(t->im.stats.subject, 0);
}

/* -- determinism ------------------------------------------------------------------------------ */

static const struct impair_opts all = {
	.loss = 0.1,
	.burst_enter = 0.01,
	.burst_leave = 0.1,
	.burst_loss = 0.5,
	.duplicate = 0.2,
	.reorder = 0.1,
	.depth = 5,
	.hold_ns = MS,
	.damage = 0.2,
	.damages = 1u << IMPAIR_PAYLOAD | 1u << IMPAIR_TRUNCATE,
	.delay_ns = 100 * US,
	.jitter_ns = 50 * US,
	.rate = 5000000000,
	.queue_bytes = 100000,
	.ecn_bytes = 20000,
};

static void impair__same_seed_same_fate(void **state)
{
	struct t_link *a = *state, *b = calloc(1, sizeof(*b));

	link_init(a, &all, 42);
	link_init(b, &all, 42);
	pass(a, 1500);
	pass(b, 1500);
	assert_int_equal(a->n_out, b->n_out);
	assert_memory_equal(a->out, b->out, a->n_out * sizeof(a->out[0]));
	assert_memory_equal(a->out_at, b->out_at,
			    a->n_out * sizeof(a->out_at[0]));
	assert_memory_equal(&a->im.stats, &b->im.stats, sizeof(a->im.stats));
	free(b);
}

static void impair__other_seed_or_way_other_fate(void **state)
{
	struct impair_opts o = { .loss = 0.5 };
	struct t_link *t = *state;
	unsigned int i, same[2] = { 0, 0 };
	bool first[64];

	link_init(t, &o, 42);
	pass(t, 64);
	for (i = 0; i < 64; i++)
		first[i] = times_out(t, i);
	link_init(t, &o, 43);
	pass(t, 64);
	for (i = 0; i < 64; i++)
		same[0] += first[i] == times_out(t, i);
	t->n_out = 0;
	impair_init(&t->im, &o, 42, 1, t->slots, SLOTS);
	pass(t, 64);
	for (i = 0; i < 64; i++)
		same[1] += first[i] == times_out(t, i);
	assert_in_range(same[0], 10, 54);
	assert_in_range(same[1], 10, 54);
}

/* Turning on another trouble does not change who is lost. */
static void impair__troubles_do_not_disturb_each_other(void **state)
{
	struct impair_opts o = { .loss = 0.3 };
	struct t_link *t = *state;
	bool alone[1000];
	unsigned int i;

	link_init(t, &o, 11);
	pass(t, 1000);
	for (i = 0; i < 1000; i++)
		alone[i] = times_out(t, i);
	o.duplicate = 0.3;
	o.damage = 0.3;
	o.damages = 1u << IMPAIR_PAYLOAD;
	o.reorder = 0.3;
	o.depth = 4;
	o.hold_ns = MS;
	o.jitter_ns = 10 * US;
	link_init(t, &o, 11);
	pass(t, 1000);
	for (i = 0; i < 1000; i++)
		assert_int_equal(alone[i], times_out(t, i) > 0);
}

static void impair__no_slot_left(void **state)
{
	struct impair_opts o = { .delay_ns = MS };
	struct t_link *t = *state;
	struct impair_frame f = frame(0);

	impair_init(&t->im, &o, 1, 0, t->slots, 4);
	assert_int_equal(impair_push(&t->im, 0, &f), 1);
	assert_int_equal(impair_push(&t->im, 0, &f), 1);
	assert_int_equal(impair_push(&t->im, 0, &f), 1);
	assert_int_equal(impair_push(&t->im, 0, &f), 0);
	assert_int_equal(t->im.stats.overflow, 1);
	link_check(t);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(impair__nothing_asked_nothing_done),
		T(impair__delay),
		T(impair__jitter_reorders_and_is_bounded),
		T(impair__rate),
		T(impair__full_queue_drops_the_last),
		T(impair__marks_before_it_drops),
		T(impair__not_ect_is_not_marked),
		T(impair__mtu),
		T(impair__mtu_shrinks),
		T(impair__loss_is_about_as_asked),
		T(impair__certain_loss),
		T(impair__bursts),
		T(impair__cut_window_starts_at_the_first_subject),
		T(impair__cut_by_frames),
		T(impair__cut_at_a_frame_for_a_time),
		T(impair_cut_with__begins_then),
		T(impair_cut__everything_until_mended),
		T(impair__duplicates),
		T(impair__reorders_by_depth),
		T(impair__held_frame_is_let_go),
		T(impair__no_more_held_than_there_is_room),
		T(impair__held_frame_passes_a_full_queue),
		T(impair__damages_of_the_kinds_asked_for),
		T(impair__others_only_share_the_wire),
		T(impair__same_seed_same_fate),
		T(impair__other_seed_or_way_other_fate),
		T(impair__troubles_do_not_disturb_each_other),
		T(impair__no_slot_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
