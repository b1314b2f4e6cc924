// SPDX-License-Identifier: GPL-2.0-or-later
/* test_sweep.c - lists, order, medians, the rule, and what is written of them */
#include "cli/sweep.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct t {
	struct sweep_grid g;
	char why[200];
	char *text;
	size_t len;
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct t));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct t *t = *state;

	sweep_grid_free(&t->g);
	free(t->text);
	free(t);
	return 0;
}

static struct t *make(void **state, const char *slots, const char *channels,
		      const char *drains, unsigned int repeats)
{
	struct t *t = *state;

	assert_int_equal(sweep_parse_slots(&t->g, slots, t->why), 0);
	assert_int_equal(sweep_parse_channels(&t->g, channels, t->why), 0);
	assert_int_equal(sweep_parse_drains(&t->g, drains, t->why), 0);
	t->g.repeats = repeats;
	assert_int_equal(sweep_grid_make(&t->g), 0);
	return t;
}

static void measured(struct sweep_cell *c, double gbit_per_s)
{
	c->sample[c->n++] = (struct sweep_sample){
		.gbit_per_s = gbit_per_s,
		.dry_share = 0.25,
		.wait_share = 0.5,
		.waits = 7,
		.locked_bytes = 3 << 20,
	};
}

/* What @put writes. */
#define WRITTEN(t, put)                                          \
	do {                                                     \
		FILE *f = open_memstream(&(t)->text, &(t)->len); \
                                                                 \
		assert_non_null(f);                              \
		put;                                             \
		assert_int_equal(fclose(f), 0);                  \
	} while (0)

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

/* -- lists --------------------------------------------------------------------- */

static void sweep_parse_slots__ascends_and_takes_bytes(void **state)
{
	static const uint32_t want[] = { 1, 4, 20, 60, 1024 };
	struct t *t = *state;

	assert_int_equal(sweep_parse_slots(&t->g, "4,30M,10M,1024,1,20,512K",
					   t->why),
			 0);
	assert_int_equal(t->g.n_slots, 5);
	assert_memory_equal(t->g.slots, want, sizeof(want));
}

static void sweep_parse_slots__refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"0",
		"1,",
		"1,,2",
		"x",
		"-1",
		"1 ",
		"1025",
		"1K",
		"513M",
		"2G",
		"4.5",
		"10m",
		"1,2;3",
		"0x10",
		"10MB",
		"99999999999999999999",
	};
	struct t *t = *state;
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		t->why[0] = '\0';
		assert_int_equal(sweep_parse_slots(&t->g, bad[i], t->why),
				 -EINVAL);
		assert_true(t->why[0]);
	}
}

static void sweep_parse_slots__has_an_end(void **state)
{
	struct t *t = *state;
	char text[400] = "1";
	unsigned int i;

	for (i = 2; i <= SWEEP_LIST_MAX; i++)
		snprintf(text + strlen(text), 8, ",%u", i);
	assert_int_equal(sweep_parse_slots(&t->g, text, t->why), 0);
	strcat(text, ",99");
	assert_int_equal(sweep_parse_slots(&t->g, text, t->why), -EINVAL);
	assert_string_equal(t->why, "more than 32 values");
}

static void sweep_parse_channels__refuses_units_and_too_many(void **state)
{
	struct t *t = *state;

	assert_int_equal(sweep_parse_channels(&t->g, "64,1,64", t->why), 0);
	assert_int_equal(t->g.n_channels, 2);
	assert_int_equal(t->g.channels[1], 64);
	assert_int_equal(sweep_parse_channels(&t->g, "65", t->why), -EINVAL);
	assert_int_equal(sweep_parse_channels(&t->g, "1K", t->why), -EINVAL);
}

static void sweep_parse_drains__keeps_the_order_that_was_said(void **state)
{
	struct t *t = *state;

	assert_int_equal(sweep_parse_drains(&t->g, "full,half,full", t->why),
			 0);
	assert_int_equal(t->g.n_drains, 2);
	assert_int_equal(t->g.drain[0], XM_DRAIN_FULL);
	assert_int_equal(t->g.drain[1], XM_DRAIN_HALF);
	assert_int_equal(sweep_parse_drains(&t->g, "half,", t->why), -EINVAL);
	assert_int_equal(sweep_parse_drains(&t->g, "Half", t->why), -EINVAL);
}

/* -- order ------------------------------------------------------------------------ */

static void sweep_order__each_round_has_every_cell_once(void **state)
{
	struct t *t = make(state, "1,2,4,8", "1,2", "half,full", 3);
	unsigned int order[48], seen[16], r, i;

	sweep_order(&t->g, 1, order);
	for (r = 0; r < 3; r++) {
		memset(seen, 0, sizeof(seen));
		for (i = 0; i < 16; i++)
			seen[order[r * 16 + i]]++;
		for (i = 0; i < 16; i++)
			assert_int_equal(seen[i], 1);
	}
	assert_memory_not_equal(order, order + 16, 16 * sizeof(*order));
}

static void sweep_order__is_the_seeds(void **state)
{
	struct t *t = make(state, "1,2,4,8", "1,2", "half,full", 1);
	unsigned int a[16], b[16], c[16];

	sweep_order(&t->g, 7, a);
	sweep_order(&t->g, 7, b);
	sweep_order(&t->g, 8, c);
	assert_memory_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, c, sizeof(a));
}

/* -- what it says ------------------------------------------------------------------- */

static void sweep_median__of_odd_even_and_none(void **state)
{
	struct t *t = make(state, "1", "1", "half", 4);
	struct sweep_cell *c = &t->g.cell[0];

	assert_true(sweep_median(c).gbit_per_s == 0);
	measured(c, 9);
	measured(c, 1);
	measured(c, 2);
	assert_true(sweep_median(c).gbit_per_s == 2);
	measured(c, 4);
	assert_true(sweep_median(c).gbit_per_s == 3);
	assert_true(c->sample[0].gbit_per_s ==
		    9); /* in the order of the runs */
	assert_int_equal(sweep_median(c).waits, 7);
}

static void sweep_median__of_each_figure(void **state)
{
	struct t *t = make(state, "1", "1", "half", 3);
	struct sweep_cell *c = &t->g.cell[0];
	struct sweep_sample m;
	unsigned int i;

	/* each has its middle in a run of its own, of three */
	for (i = 0; i < 3; i++)
		c->sample[c->n++] = (struct sweep_sample){
			.wait_share = (double)((i + 1) % 3) / 4,
			.dry_share = (double)((i + 2) % 3) / 8,
			.waits = 10 + i % 3,
			.dry = 20 + (i + 1) % 3,
			.locked_bytes = 30 + (i + 2) % 3,
			.credit = 40 + i % 3,
			.cpu_per_gib = (double)((i + 1) % 3) / 2,
		};
	m = sweep_median(c);
	assert_true(m.wait_share == 0.25);
	assert_true(m.dry_share == 0.125);
	assert_int_equal(m.waits, 11);
	assert_int_equal(m.dry, 21);
	assert_int_equal(m.locked_bytes, 31);
	assert_int_equal(m.credit, 41);
	assert_true(m.cpu_per_gib == 0.5);
}

static void sweep_flat__the_smallest_within_3_percent(void **state)
{
	static const double gbit[] = { 5.0, 9.69, 9.71, 9.8, 10.0, 9.9 };
	struct t *t = make(state, "1,2,4,8,16,32", "1", "half", 1);
	unsigned int i;

	for (i = 0; i < 6; i++)
		measured(sweep_cell(&t->g, 0, i, 0), gbit[i]);
	assert_int_equal(sweep_flat(&t->g, 0, 0)->slots, 4);
	assert_false(sweep_is_edge(&t->g, sweep_flat(&t->g, 0, 0)));
}

static void sweep_flat__the_largest_may_not_be_the_end(void **state)
{
	struct t *t = make(state, "1,2,4", "1", "half,full", 1);
	unsigned int i;

	for (i = 0; i < 3; i++)
		measured(sweep_cell(&t->g, 0, i, 1), 1 + i);
	assert_null(sweep_flat(&t->g, 0, 0)); /* half: not measured */
	assert_int_equal(sweep_flat(&t->g, 0, 1)->slots, 4);
	assert_true(sweep_is_edge(&t->g, sweep_flat(&t->g, 0, 1)));
}

/* The sweep was ended before larger ones had their turn, or they failed. */
static void sweep_is_edge__when_no_larger_one_was_measured(void **state)
{
	struct t *t = make(state, "1,2,4", "1,2", "half,full", 1);

	measured(sweep_cell(&t->g, 0, 0, 0), 1);
	measured(sweep_cell(&t->g, 0, 1, 0), 2);
	measured(sweep_cell(&t->g, 0, 2, 1), 1); /* another drain */
	measured(sweep_cell(&t->g, 1, 2, 0), 1); /* other channels */
	assert_int_equal(sweep_flat(&t->g, 0, 0)->slots, 2);
	assert_true(sweep_is_edge(&t->g, sweep_flat(&t->g, 0, 0)));
	measured(sweep_cell(&t->g, 0, 2, 0), 2);
	assert_false(sweep_is_edge(&t->g, sweep_flat(&t->g, 0, 0)));
}

static void sweep_is_edge__not_of_the_largest_ring_there_is(void **state)
{
	struct t *t = make(state, "512,1024", "1", "half", 1);

	measured(&t->g.cell[1], 1);
	assert_false(sweep_is_edge(&t->g, sweep_flat(&t->g, 0, 0)));
}

/* -- what is written ------------------------------------------------------------------- */

static struct t *two_by_two(void **state)
{
	struct t *t = make(state, "1,20", "1,4", "half,full", 2);
	unsigned int i;

	for (i = 0; i < sweep_n_cells(&t->g); i++)
		measured(&t->g.cell[i], 2.5 * (i + 1));
	measured(&t->g.cell[0], 3.5);
	return t;
}

static void sweep_put_csv__a_line_for_each_run(void **state)
{
	struct t *t = two_by_two(state);

	WRITTEN(t, sweep_put_csv(f, &t->g));
	assert_int_equal(count(t->text, "\n"), 1 + 9);
	assert_non_null(strstr(t->text, "\n1,1,524288,half,2,3.5000,7,0.5000,"
					"0,0.2500,3145728,0,0.0000\n"));
	assert_non_null(strstr(t->text, "\n4,20,10485760,full,1,20.0000,"));
}

static void sweep_put_table__marks_what_is_flat(void **state)
{
	struct t *t = two_by_two(state);

	WRITTEN(t, sweep_put_table(f, &t->g));
	assert_int_equal(count(t->text, "*"), 4);
	assert_non_null(strstr(t->text, "\n4 channels\n"));
	assert_non_null(strstr(t->text, "half: not flat up to 20 slots"));
}

static void sweep_put_svg__is_whole_and_needs_nothing(void **state)
{
	struct t *t = two_by_two(state);

	WRITTEN(t, sweep_put_svg(f, &t->g, "<b> & \"c\"", "small print"));
	assert_int_equal(strncmp(t->text, "<svg ", 5), 0);
	assert_non_null(strstr(t->text, "</svg>\n"));
	assert_int_equal(count(t->text, "&lt;b&gt; &amp; &quot;c&quot;"), 2);
	assert_int_equal(count(t->text, ">default, 10 MiB</text>"), 2);
	assert_int_equal(count(t->text, "<title>"), 8);
	assert_int_equal(count(t->text, "<text"), count(t->text, "</text>"));
	assert_int_equal(count(t->text, "http"), 1); /* the name space */
	assert_int_equal(count(t->text, "prefers-color-scheme:dark"), 1);
	assert_int_equal(count(t->text, "Gbit/s of guest memory"), 1);
	assert_int_equal(count(t->text, "header slots a channel"), 2);
	assert_null(strstr(t->text, "nan"));
	assert_null(strstr(t->text, "inf"));
}

/* 2 and 9 Gbit/s in the upper panel, which reaches to 10, and 25 % in the lower. */
static void sweep_put_svg__draws_what_was_measured(void **state)
{
	struct t *t = make(state, "1,4", "1", "full", 1);
	double x0, y0, x1, y1, dx, d0, d1;
	const char *at;

	measured(&t->g.cell[0], 2.0);
	measured(&t->g.cell[1], 9.0);
	WRITTEN(t, sweep_put_svg(f, &t->g, "", ""));
	at = strstr(t->text, "\"l full dfull\" d=\"M");
	at = at ? strstr(at + 1, "\"l full dfull\" d=\"M") : NULL;
	assert_non_null(at); /* behind the legend's */
	assert_int_equal(sscanf(at, "\"l full dfull\" d=\"M%lf %lfL%lf %lf\"",
				&x0, &y0, &x1, &y1),
			 4);
	assert_true(x1 > x0 + 150);
	/* 190 high, up to 10 */
	assert_in_range((int)(y0 - y1 + 0.5), 190 * 7 / 10, 190 * 7 / 10);
	at = strstr(at + 1, "\"l full dfull\" d=\"M");
	assert_non_null(at);
	assert_int_equal(sscanf(at, "\"l full dfull\" d=\"M%lf %lfL%lf %lf\"",
				&dx, &d0, &x1, &d1),
			 4);
	assert_true(dx == x0 && d0 == d1);
	/* 16 below the panel, whose 2 are 38 above its end; 70 high */
	assert_true(d0 > y0 + 38 + 16 + 70 * 0.75 - 0.2 &&
		    d0 < y0 + 38 + 16 + 70 * 0.75 + 0.2);
	assert_non_null(strstr(
		t->text, "full drain, 4 slots (2.0 MiB) on 1 channel: 9.00 "
			 "Gbit/s (9.00 to 9.00); dry 25.0 % of the time, "
			 "waiting for a slot 50.0 %; 3.0 MiB locked<"));
}

static unsigned int width(const struct t *t)
{
	const char *at = strstr(t->text, " width=\"");

	return at ? (unsigned int)strtoul(at + 8, NULL, 10) : 0;
}

/* What stands above one panel may be longer than that is wide. */
static void sweep_put_svg__has_room_for_its_words(void **state)
{
	struct t *t = make(state, "1", "1", "half", 1);
	char note[200] = "";

	WRITTEN(t, sweep_put_svg(f, &t->g, "title", note));
	assert_int_equal(width(t), 640);
	memset(note, 'n', 150);
	free(t->text);
	WRITTEN(t, sweep_put_svg(f, &t->g, "title", note));
	assert_in_range(width(t), 1050, 1200);
	free(t->text);
	WRITTEN(t, sweep_put_svg(f, &t->g, note, ""));
	assert_in_range(width(t), 1400, 1700);
}

/* Behind three drains its words begin at 470. */
static void sweep_put_svg__has_room_for_its_legend(void **state)
{
	struct t *t = make(state, "1", "1", "half,full,one", 1);
	const char *words = "smallest within 3 % of the best";

	WRITTEN(t, sweep_put_svg(f, &t->g, "title", ""));
	assert_non_null(strstr(t->text, " x=\"470\" y=\"60\">smallest"));
	assert_in_range(width(t), 470 + 7 * strlen(words), 800);
}

static void sweep_put_svg__of_nothing_is_whole_too(void **state)
{
	struct t *t = make(state, "1", "1,2", "half,full,one", 1);

	WRITTEN(t, sweep_put_svg(f, &t->g, "", ""));
	assert_non_null(strstr(t->text, "</svg>\n"));
	assert_null(strstr(t->text, "nan"));
	assert_null(strstr(t->text, "inf"));
}

static void sweep_put_html__has_picture_and_table(void **state)
{
	struct t *t = two_by_two(state);

	WRITTEN(t, sweep_put_html(f, &t->g, "a < b", "small print"));
	assert_int_equal(count(t->text, "<svg "), 1);
	assert_int_equal(count(t->text, "<tr><td>"), 4);
	assert_int_equal(count(t->text, "class=flat"), 4);
	assert_non_null(strstr(t->text, "<title>a &lt; b</title>"));
	assert_null(strstr(t->text, "src="));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sweep_parse_slots__ascends_and_takes_bytes),
		T(sweep_parse_slots__refuses),
		T(sweep_parse_slots__has_an_end),
		T(sweep_parse_channels__refuses_units_and_too_many),
		T(sweep_parse_drains__keeps_the_order_that_was_said),
		T(sweep_order__each_round_has_every_cell_once),
		T(sweep_order__is_the_seeds),
		T(sweep_median__of_odd_even_and_none),
		T(sweep_median__of_each_figure),
		T(sweep_flat__the_smallest_within_3_percent),
		T(sweep_flat__the_largest_may_not_be_the_end),
		T(sweep_is_edge__when_no_larger_one_was_measured),
		T(sweep_is_edge__not_of_the_largest_ring_there_is),
		T(sweep_put_csv__a_line_for_each_run),
		T(sweep_put_table__marks_what_is_flat),
		T(sweep_put_svg__is_whole_and_needs_nothing),
		T(sweep_put_svg__draws_what_was_measured),
		T(sweep_put_svg__has_room_for_its_words),
		T(sweep_put_svg__has_room_for_its_legend),
		T(sweep_put_svg__of_nothing_is_whole_too),
		T(sweep_put_html__has_picture_and_table),
	};

	return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
