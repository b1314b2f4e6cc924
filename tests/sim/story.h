/* SPDX-License-Identifier: GPL-2.0-or-later */
/* story.h - golden traces as tests
 *
 * Include last, after <cmocka.h> and what it needs.
 */
#ifndef SIM_STORY_H
#define SIM_STORY_H

#include "world.h"

/* Run the world of @opts to @verdict and to the last packet; what it says must
 * be @want, line by line.  When it is not, the whole trace is printed: if the
 * new one is right, it is the new golden one. */
void story(const struct world_opts *opts, enum world_verdict verdict,
	   const char *want);

/* Run; fail with what the world says unless it ends with WORLD_SAME.  The
 * world is the caller's to fini. */
void story_must_pass(struct world *w, const struct world_opts *opts);

/* The same without a look at the world afterwards. */
void story_passes(const struct world_opts *opts);

/* Run and return how it ended; the world is the caller's to fini. */
enum world_verdict story_run(struct world *w, const struct world_opts *opts);

/* A guest that writes all the time, in small memory, over three epochs. */
struct world_opts story_busy_world(void);

/* Lose, repeat and damage 30 % each. */
void story_bad_wire(struct sim_path_opts *p);

/* The same world, with each of its messages in turn befallen by o->ctl.what:
 * who owns the guest must always be clear, or said to be unknown.  Returns how
 * often it was unknown. */
unsigned int story_every_message(struct world_opts *o);

const char *story_verdict(enum world_verdict v);

#endif
