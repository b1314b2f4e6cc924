/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cubic.h - a TCP flow with CUBIC that shares a world's way up
 *
 * A model of what counts at a bottleneck: the window (RFC 9438 with its
 * Reno-friendly region and fast convergence, slow start until the first loss), one
 * cut for each window of data, an ACK for each packet, and a timeout when nothing
 * comes back.  No handshake, no delayed ACKs; there is always data, and what is lost
 * need not be sent again: only packets count.
 */
#ifndef SIM_CUBIC_H
#define SIM_CUBIC_H

#include "world.h"

struct sim_cubic {
	struct sim_node node;
	struct world *w;
	void (*to_world)(struct sim_node *n, struct sim_pkt *p);
	unsigned int packet; /* bytes on the wire */
	int64_t ack_ns;      /* an ACK's way back */

	double cwnd, ssthresh; /* packets */
	double w_max, w_est, k_s;
	struct xm_time began; /* this growth, since the last cut */
	bool is_growing;      /* began is set */
	uint64_t next, acked; /* packet numbers: to be sent; not answered yet */
	uint64_t recover;     /* a loss before it has had its cut */
	struct xm_time from;
	struct xm_time last; /* ACK, or timeout */
	struct sim_pq acks;
	uint64_t delivered; /* bytes */
};

/* Add the flow to @w, before it runs; packets of @packet bytes, @from then on. */
void cubic_init(struct sim_cubic *c, struct world *w, unsigned int packet,
		struct xm_time from);
void cubic_fini(struct sim_cubic *c);

#endif
