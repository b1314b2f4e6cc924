/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl.h - the control connection: a stream that is late, and can break
 *
 * Messages cross it encoded, in order, @delay_ns later.  It breaks as TCP
 * does: what had not arrived is gone, and either both ends learn of it, or, if
 * the break is silent, neither does.
 */
#ifndef SIM_CTL_H
#define SIM_CTL_H

#include "core/msg.h"

#include "net.h"

struct world;

enum sim_ctl_end { SIM_CTL_SRC, SIM_CTL_DST };

enum sim_ctl_do {
	SIM_CTL_NOTHING,
	SIM_CTL_CUT_BEFORE, /* the message is lost with the connection */
	SIM_CTL_CUT_AFTER,  /* it arrives, what follows does not */
	SIM_CTL_CANCEL_SRC, /* the user cancels at the source, then it arrives */
	SIM_CTL_CANCEL_DST,
};

struct sim_ctl_opts {
	int64_t delay_ns;
	enum sim_ctl_do what;
	unsigned int nth;      /* at the nth message, counting from 1, */
	enum xm_msg_type type; /* or at the first of this type */
	bool is_silent;        /* a break that nobody is told of */
};

struct sim_ctl {
	struct sim_node node;
	struct world *w;
	struct sim_ctl_opts opts;
	struct sim_pq q;
	unsigned int n_arrived;
	unsigned int nth_commit; /* COMMIT's number, once it arrived */
	bool is_cut;
};

void ctl_init(struct sim_ctl *c, struct world *w,
	      const struct sim_ctl_opts *opts);
void ctl_send(struct sim_ctl *c, enum sim_ctl_end to, const struct xm_msg *msg);

/* @end closes its side: the other one learns after what was sent. */
void ctl_close(struct sim_ctl *c, enum sim_ctl_end end);

#endif
