/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_trace.h - what the core traced, as texts that a test compares */
#ifndef T_TRACE_H
#define T_TRACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/trace.h"

#define T_TRACE_MAX 32768

struct t_trace {
	struct xm_trace trace; /* first, so that an event finds the rest */
	unsigned int n;
	struct xm_trace_event ev[T_TRACE_MAX];
	char text[512];
};

static inline void t_trace_event(struct xm_trace *trace,
				 const struct xm_trace_event *ev)
{
	struct t_trace *t = (struct t_trace *)trace;

	assert_in_range(t->n, 0, T_TRACE_MAX - 1);
	t->ev[t->n++] = *ev;
}

static inline struct xm_trace *t_trace_begin(struct t_trace *t)
{
	t->trace.event = t_trace_event;
	t->n = 0;
	return &t->trace;
}

static inline unsigned int t_trace_count(const struct t_trace *t,
					 enum xm_trace_kind kind)
{
	unsigned int i, n = 0;

	for (i = 0; i < t->n; i++)
		n += t->ev[i].kind == kind;
	return n;
}

/* The newest event of @kind; there must be one. */
static inline const struct xm_trace_event *t_trace_last(const struct t_trace *t,
							enum xm_trace_kind kind)
{
	unsigned int i = t->n;

	while (i--)
		if (t->ev[i].kind == kind)
			return &t->ev[i];
	fail_msg("no event %d was traced", kind);
	return NULL;
}

/* First arguments of all events of @kind so far, which are taken away:
 * "0-4 2 65".  Valid until the next call. */
static inline const char *t_trace_take(struct t_trace *t,
				       enum xm_trace_kind kind)
{
	unsigned int i, kept = 0;
	uint64_t from = 0, to = 0;
	bool is_open = false;
	size_t len = 0;

	t->text[0] = '\0';
	for (i = 0; i <= t->n; i++) {
		bool is_ours = i < t->n && t->ev[i].kind == kind;

		if (i < t->n && !is_ours) {
			t->ev[kept++] = t->ev[i];
			continue;
		}
		if (is_open && is_ours && t->ev[i].a == to + 1) {
			to++;
			continue;
		}
		if (is_open)
			len += (size_t)snprintf(
				t->text + len, sizeof(t->text) - len,
				from == to ? "%s%llu" : "%s%llu-%llu",
				len ? " " : "", (unsigned long long)from,
				(unsigned long long)to);
		assert_in_range(len, 0, sizeof(t->text) - 1);
		is_open = is_ours;
		if (is_ours)
			from = to = t->ev[i].a;
	}
	t->n = kept;
	return t->text;
}

#endif
