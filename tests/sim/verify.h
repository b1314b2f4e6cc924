/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify.h - both sides hash all memory, and the source compares
 *
 * The simulated cli/verify.c.  Each side takes its time; what is hashed is what
 * memory holds when that time is over, which is the worst moment for whoever
 * thinks that nothing changes meanwhile.
 */
#ifndef SIM_VERIFY_H
#define SIM_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/msg.h"

#include "net.h"

#define SIM_STRIPES_MAX (2 * XM_BLOCK_MAX)

struct world;

struct sim_verify_opts {
	bool is_on;             /* the source asks for it */
	bool is_unknown;        /* to the destination */
	int64_t src_ns, dst_ns; /* that hashing takes */
	uint32_t chunk;         /* hashes in a message; 0: all */
	/* called when VERIFY came, before the destination hashes */
	void (*on_hash)(struct world *w, unsigned int round);
};

struct sim_verify {
	struct sim_node src, dst;
	struct world *w;
	struct sim_verify_opts opts;
	struct xm_time src_at, dst_at;
	bool is_done; /* the source's own */
	uint64_t ours[SIM_STRIPES_MAX], theirs[SIM_STRIPES_MAX];
	unsigned int n_rounds;
	uint32_t n_differ;   /* stripes, in the last round */
	uint32_t n_repaired; /* epochs */
};

void verify_init(struct sim_verify *v, struct world *w);

/* VERIFY was said, or came: begin. */
void verify_begin_src(struct sim_verify *v);
void verify_begin_dst(struct sim_verify *v);
/* Source: hashes came. */
void verify_got(struct sim_verify *v, const struct xm_msg_hashes *m);
/* Source: what differed is what the next epoch sends: begin it. */
void verify_repair(struct sim_verify *v);
/* Change a byte of the destination's memory that was placed; @nth of those pages.
 * False: there is none. */
bool verify_flip(struct world *w, uint32_t nth);
/* Is it asked for, and not done? */
bool verify_is_missing(const struct sim_verify *v);

#endif
