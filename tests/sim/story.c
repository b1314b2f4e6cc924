// SPDX-License-Identifier: GPL-2.0-or-later
/* story.c - running a world inside a test, see story.h */
#include "story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

const char *story_verdict(enum world_verdict v)
{
	static const char *const names[] = {
		[WORLD_SAME] = "same",       [WORLD_BROKEN] = "broken",
		[WORLD_TOTALS] = "totals",   [WORLD_RAM] = "ram",
		[WORLD_TOUCHED] = "touched", [WORLD_ENDED] = "ended",
		[WORLD_STUCK] = "stuck",
	};

	return names[v];
}

#define PERCENT (SIM_PPM / 100)

struct world_opts story_busy_world(void)
{
	struct world_opts o = world_defaults();

	o.guest.n_blocks = 4;
	o.guest.pages[0] = 48;
	o.guest.hole_ppm = 20 * PERCENT;
	o.guest.zero_ppm = 20 * PERCENT;
	o.guest.write_ns = 10 * XM_US;
	o.guest.writes_max = 2000;
	o.live_epochs = 3;
	o.dev.dma_ns = 5 * XM_US;
	o.dev.dma_jitter_ns = 5 * XM_US;
	o.dev.done_ns = 5 * XM_US;
	o.dev.done_jitter_ns = 50 * XM_US;
	return o;
}

void story_bad_wire(struct sim_path_opts *p)
{
	p->loss_ppm = p->dup_ppm = p->corrupt_ppm = 30 * PERCENT;
	p->reorder_ns = 200 * XM_US;
}

/* The line of @text in which it first differs from @want, from 1. */
static unsigned int first_difference(const char *text, const char *want)
{
	unsigned int line = 1;

	for (; *text && *text == *want; text++, want++)
		line += *text == '\n';
	return line;
}

void story(const struct world_opts *opts, enum world_verdict verdict,
	   const char *want)
{
	enum world_verdict got;
	struct world w;
	bool same;

	got = story_run(&w, opts);
	same = !strcmp(sim_log_text(&w.log), want);
	if (!same)
		fprintf(stderr, "the trace differs in line %u; it is\n%s",
			first_difference(sim_log_text(&w.log), want),
			sim_log_text(&w.log));
	if (got != verdict)
		fprintf(stderr, "it ends with %s: %s\n", story_verdict(got),
			w.why);
	world_fini(&w);
	assert_true(same);
	assert_int_equal(got, verdict);
}

enum world_verdict story_run(struct world *w, const struct world_opts *opts)
{
	world_init(w, opts);
	world_run(w);
	world_drain(w);
	if (w->verdict == WORLD_SAME)
		world_compare(w);
	return w->verdict;
}

void story_must_pass(struct world *w, const struct world_opts *opts)
{
	enum world_verdict v = story_run(w, opts);

	if (v != WORLD_SAME)
		fprintf(stderr, "it ends with %s: %s\n", story_verdict(v),
			w->why);
	assert_int_equal(v, WORLD_SAME);
}

void story_passes(const struct world_opts *opts)
{
	struct world w;

	story_must_pass(&w, opts);
	world_fini(&w);
}
