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

/* Can what both sides say be believed?  True when the migration was done. */
static bool outcome_is_safe(struct world *w)
{
	const struct xm_outcome *src = &w->ses_src.outcome;
	const struct xm_outcome *dst = &w->ses_dst.outcome;

	assert_true(w->verdict == WORLD_SAME || w->verdict == WORLD_ENDED);
	assert_true(conduct_is_over(w));
	assert_true(w->dst_runs == (dst->home == XM_HOME_TARGET));
	assert_true(w->guest.running == (src->home == XM_HOME_SOURCE));
	assert_false(w->guest.running && w->dst_runs);
	if (src->home == XM_HOME_TARGET)
		assert_true(w->dst_runs);
	/* Once told to take the guest, the destination runs it, whatever
	 * becomes of the connection. */
	if (w->ctl.nth_commit && w->opts.ctl.what != SIM_CTL_CANCEL_DST)
		assert_true(w->dst_runs);
	if (src->home == XM_HOME_UNKNOWN)
		assert_int_equal(src->reason, XM_REASON_UNKNOWN_OUTCOME);
	return src->home == XM_HOME_TARGET;
}

unsigned int story_every_message(struct world_opts *o)
{
	unsigned int n, nth_commit, done = 0, unknown = 0;
	struct world w;

	story_must_pass(&w, o);
	n = w.ctl.n_arrived;
	nth_commit = w.ctl.nth_commit;
	world_fini(&w);
	assert_true(nth_commit >= 11 && n > nth_commit);
	for (o->ctl.nth = 1; o->ctl.nth <= n; o->ctl.nth++) {
		story_run(&w, o);
		done += outcome_is_safe(&w);
		unknown += w.ses_src.outcome.home == XM_HOME_UNKNOWN;
		world_fini(&w);
		/* COMMIT leaves when EPOCH_DONE arrives, not before. */
		if (o->ctl.nth + 1 < nth_commit)
			assert_int_equal(done + unknown, 0);
	}
	assert_true(done + unknown > 0);
	return unknown;
}
