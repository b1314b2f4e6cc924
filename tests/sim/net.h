/* SPDX-License-Identifier: GPL-2.0-or-later */
/* net.h - a network of nodes in virtual time
 *
 * A node takes packets (forward), says when it wants to run (next_at) and
 * runs (run); nodes are composed by pointing one's @out at the next.  The
 * loop jumps to the smallest next_at; ties go to the node that was added
 * first, packets due at the same instant leave in the order they came.  So
 * one seed is one execution.
 *
 * A packet is a buffer of real bytes, made by the core and the codec.  Its
 * owner is whoever it was forwarded to.
 */
#ifndef SIM_NET_H
#define SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/frame.h"
#include "core/time.h"

#include "rng.h"

#define SIM_NODES_MAX 256

struct sim_pkt {
	struct xm_time at; /* when the node that holds it lets it go */
	uint64_t order;    /* among packets with the same time */
	uint32_t len, cap; /* bytes used and allocated */
	uint8_t data[];    /* from the Ethernet header on */
};

struct sim_node {
	void (*forward)(struct sim_node *n, struct sim_pkt *p);
	struct xm_time (*next_at)(const struct sim_node *n);
	void (*run)(struct sim_node *n, struct xm_time now);
	void (*fini)(struct sim_node *n); /* NULL: nothing of its own */
	struct sim_node *out;
	struct sim *sim;
	struct sim_rng rng;
	bool heap; /* sim_fini() frees it */
};

struct sim {
	struct xm_time now;
	struct sim_rng rng;
	struct sim_node *node[SIM_NODES_MAX];
	unsigned int n_nodes;
	uint64_t steps;
	unsigned int steps_here; /* at this very instant */
	bool is_stuck;           /* too many of them */
};

void sim_init(struct sim *s, uint64_t seed);

/* Free the nodes that the functions below made, with their packets. */
void sim_fini(struct sim *s);

/* Add a node; unset methods become "pass on", "never" and "nothing". */
void sim_add(struct sim *s, struct sim_node *n);

/* Jump to the next event and run it.  False when nothing will ever happen, or
 * things happen for ever without time passing: is_stuck. */
bool sim_step(struct sim *s);

struct sim_pkt *sim_pkt_new(const void *data, size_t len, size_t cap);
struct sim_pkt *sim_pkt_copy(const struct sim_pkt *p, size_t extra);
void sim_pkt_free(struct sim_pkt *p);

/* Decode a packet's frame header; false when it is none of ours.  @ret_off:
 * where the frame header begins. */
bool sim_pkt_frame(const struct sim_pkt *p, struct xm_frame *f,
		   size_t *ret_off);

/* Set Congestion Experienced, if the packet is ECN-capable. */
void sim_pkt_mark_ce(struct sim_pkt *p);

/* -- a queue ordered by time ------------------------------------------------ */
struct sim_pq {
	struct sim_pkt **v;
	unsigned int n, cap;
	uint64_t order;
};

void sim_pq_push(struct sim_pq *q, struct sim_pkt *p, struct xm_time at);
struct sim_pkt *sim_pq_pop(struct sim_pq *q); /* the first, or NULL */
struct xm_time sim_pq_at(const struct sim_pq *q);
void sim_pq_fini(struct sim_pq *q);

/* -- nodes that take time ----------------------------------------------------- */

/* Every packet @ns later, in order. */
struct sim_node *sim_delay(struct sim *s, int64_t ns);

/* The same, and from @at on @longer_ns later still: the way has become longer. */
struct sim_node *sim_reroute(struct sim *s, int64_t ns, struct xm_time at,
			     int64_t longer_ns);

/* With a chance of @ppm a packet takes up to @max_ns longer than others. */
struct sim_node *sim_reorder(struct sim *s, uint32_t ppm, int64_t max_ns);

/* A link of @rate bytes/s behind a queue of @queue bytes; what does not fit is
 * dropped, what finds more than @ecn bytes waiting is marked (0 = never). */
struct sim_node *sim_rate(struct sim *s, uint64_t rate, uint64_t queue,
			  uint64_t ecn);

/* Packets end here; @ret_count counts them. */
struct sim_node *sim_sink(struct sim *s, uint64_t *ret_count);

#endif
