/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_impair.h - a link of the relay in virtual time, and what came out of it */
#ifndef T_UNIT_IMPAIR_H
#define T_UNIT_IMPAIR_H

#include <stdlib.h>

#include "../lib/impair.h"

#define SLOTS 4096
#define US    1000LL
#define MS    1000000LL

struct t_link {
	struct impair im;
	struct impair_slot slots[SLOTS];
	/* what came out */
	struct impair_out out[SLOTS];
	int64_t out_at[SLOTS];
	unsigned int n_out;
};

static inline int setup(void **state)
{
	*state = calloc(1, sizeof(struct t_link));
	return *state ? 0 : -1;
}

static inline int teardown(void **state)
{
	free(*state);
	return 0;
}

static inline void link_init(struct t_link *t, const struct impair_opts *o,
			     uint64_t seed)
{
	t->n_out = 0;
	impair_init(&t->im, o, seed, 0, t->slots, SLOTS);
}

/* All frames are accounted for, at any time. */
static inline void link_check(const struct t_link *t)
{
	const struct impair_stats *s = &t->im.stats;

	assert_int_equal(s->frames_in + s->duplicated,
			 s->frames_out + s->lost + s->lost_in_bursts + s->cut +
				 s->too_long + s->queue_full + s->overflow +
				 impair_inside(&t->im));
}

static inline void drain(struct t_link *t, int64_t now)
{
	while (impair_pop(&t->im, now, &t->out[t->n_out])) {
		t->out_at[t->n_out] = now;
		assert_true(++t->n_out < SLOTS);
	}
	link_check(t);
}

/* Let time run to @end, jumping from event to event. */
static inline void run_to(struct t_link *t, int64_t end)
{
	int64_t at;

	while ((at = impair_next(&t->im)) <= end)
		drain(t, at);
	drain(t, end);
}

static inline struct impair_frame frame(uint32_t i)
{
	struct impair_frame f = { .handle = i,
				  .len = 1014,
				  .ip_len = 1000,
				  .is_subject = true,
				  .is_ect = true };

	return f;
}

/* @n frames, one a microsecond, then everything that is inside. */
static inline void pass(struct t_link *t, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct impair_frame f = frame(i);

		run_to(t, i * US);
		impair_push(&t->im, i * US, &f);
	}
	run_to(t, 3600000 * MS);
	assert_int_equal(impair_inside(&t->im), 0);
	assert_int_equal(impair_next(&t->im), IMPAIR_NEVER);
}

static inline unsigned int times_out(const struct t_link *t, uint32_t handle)
{
	unsigned int i, n = 0;

	for (i = 0; i < t->n_out; i++)
		n += t->out[i].handle == handle;
	return n;
}

#endif
