/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire.h - frames on their way, one way, for fuzz_chan.c */
#ifndef XM_TESTS_FUZZ_WIRE_H
#define XM_TESTS_FUZZ_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "xdpmig/limits.h"
#include "xdpmig/wire.h"

#define WIRE       32 /* frames; more push out the oldest */
#define WIRE_FRAME (XM_WIRE_HEADER_MAX + 3 * XM_PAGE_SIZE)

struct piece {
	uint32_t len;
	bool is_damaged, is_used;
	uint8_t raw[WIRE_FRAME];
};

/* The first n of `order` are on their way, oldest first; the rest are free. */
struct wire {
	struct piece pool[WIRE];
	uint8_t order[WIRE];
	unsigned int n;
};

static inline struct piece *wire_piece(struct wire *to, unsigned int i)
{
	return &to->pool[to->order[i]];
}

static inline void wire_remove(struct wire *to, unsigned int i)
{
	uint8_t freed = to->order[i];

	memmove(to->order + i, to->order + i + 1, --to->n - i);
	to->order[to->n] = freed;
}

static inline struct piece *wire_add(struct wire *to)
{
	struct piece *p;

	if (to->n == WIRE)
		wire_remove(to, 0);
	p = wire_piece(to, to->n++);
	p->is_damaged = p->is_used = false;
	return p;
}

static inline void wire_init(struct wire *to)
{
	unsigned int i;

	for (i = 0; i < WIRE; i++)
		to->order[i] = (uint8_t)i;
	to->n = 0;
}

#endif
