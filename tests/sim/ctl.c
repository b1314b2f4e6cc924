// SPDX-License-Identifier: GPL-2.0-or-later
/* ctl.c - the simulated control connection, see ctl.h */
#include "ctl.h"

#include <stdlib.h>
#include <string.h>

#include "world.h"

/* In the queue: one byte for the end it goes to, then the message; nothing
 * but that byte means that contact is lost. */
static void ctl_put(struct sim_ctl *c, enum sim_ctl_end to, const void *bytes,
		    size_t len)
{
	struct sim_pkt *p = sim_pkt_new(NULL, 1 + len, 0);

	p->data[0] = (uint8_t)to;
	if (len)
		memcpy(p->data + 1, bytes, len);
	sim_pq_push(&c->q, p, xm_time_add(c->node.sim->now, c->opts.delay_ns));
}

void ctl_send(struct sim_ctl *c, enum sim_ctl_end to, const struct xm_msg *msg)
{
	static uint8_t bytes[XM_MSG_MAX];

	if (!c->is_cut)
		ctl_put(c, to, bytes, xm_msg_put(bytes, msg));
}

void ctl_close(struct sim_ctl *c, enum sim_ctl_end end)
{
	if (!c->is_cut)
		ctl_put(c, end == SIM_CTL_SRC ? SIM_CTL_DST : SIM_CTL_SRC, NULL,
			0);
}

static void ctl_cut(struct sim_ctl *c)
{
	sim_log_note(&c->w->log, c->node.sim->now, SIM_NOTE_CTL, "ctl",
		     c->opts.is_silent ? "goes silent" : "breaks");
	sim_pq_fini(&c->q);
	if (!c->opts.is_silent) {
		ctl_put(c, SIM_CTL_SRC, NULL, 0);
		ctl_put(c, SIM_CTL_DST, NULL, 0);
	}
	c->is_cut = true;
}

static enum sim_ctl_do ctl_fault(const struct sim_ctl *c,
				 const struct xm_msg *msg)
{
	if (c->is_cut || !c->opts.what)
		return SIM_CTL_NOTHING;
	if (c->opts.nth ? c->n_arrived == c->opts.nth :
			  msg->type == c->opts.type)
		return c->opts.what;
	return SIM_CTL_NOTHING;
}

static void ctl_arrive(struct sim_ctl *c, enum sim_ctl_end to,
		       const struct xm_msg *msg)
{
	enum sim_ctl_do what;

	c->n_arrived++;
	what = ctl_fault(c, msg);
	if (what)
		c->opts.type = 0; /* the first of its type only */
	if (what == SIM_CTL_CUT_BEFORE) {
		ctl_cut(c);
		return;
	}
	if (what == SIM_CTL_CANCEL_SRC)
		conduct_cancel(c->w, SIM_CTL_SRC);
	if (what == SIM_CTL_CANCEL_DST)
		conduct_cancel(c->w, SIM_CTL_DST);
	if (msg->type == XM_MSG_COMMIT)
		c->nth_commit = c->n_arrived;
	sim_log_note(&c->w->log, c->node.sim->now, SIM_NOTE_CTL, "ctl",
		     "%s gets %s", to == SIM_CTL_SRC ? "src" : "dst",
		     xm_msg_name(msg->type));
	conduct_deliver(c->w, to, msg);
	if (what == SIM_CTL_CUT_AFTER)
		ctl_cut(c);
}

static struct xm_time ctl_next_at(const struct sim_node *n)
{
	return sim_pq_at(&((const struct sim_ctl *)n)->q);
}

static void ctl_run(struct sim_node *n, struct xm_time now)
{
	static struct xm_msg msg;
	struct sim_ctl *c = (struct sim_ctl *)n;
	struct sim_pkt *p = sim_pq_pop(&c->q);
	enum sim_ctl_end to = (enum sim_ctl_end)p->data[0];

	(void)now;
	if (p->len == 1)
		conduct_deliver(c->w, to, NULL);
	else if (xm_msg_get(&msg, p->data + 1, p->len - 1))
		world_fail(c->w, WORLD_BROKEN, "a message cannot be decoded");
	else
		ctl_arrive(c, to, &msg);
	sim_pkt_free(p);
}

static void ctl_fini(struct sim_node *n)
{
	sim_pq_fini(&((struct sim_ctl *)n)->q);
}

void ctl_init(struct sim_ctl *c, struct world *w,
	      const struct sim_ctl_opts *opts)
{
	c->w = w;
	c->opts = *opts;
	c->node.next_at = ctl_next_at;
	c->node.run = ctl_run;
	c->node.fini = ctl_fini;
	sim_add(&w->sim, &c->node);
}
