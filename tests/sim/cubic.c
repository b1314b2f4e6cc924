// SPDX-License-Identifier: GPL-2.0-or-later
/* cubic.c - a TCP flow with CUBIC (cubic.h)
 *
 * Packets leave where the world's do, through the same queue, and are taken out
 * where the world's arrive; the rest of the way up, the delay, is before that.  They
 * carry their number.  The way is a queue, so a gap in the numbers is a loss; like a
 * sender with SACK this one knows after an ACK's time.
 */
#include "cubic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define C_SCALE  0.4 /* RFC 9438, 5.1 */
#define C_BETA   0.7
#define C_RTO_NS (200 * XM_MS) /* Linux's floor */
#define C_MARK   0xcbcbcbcbcbcbcbcbULL

struct packet {
	uint64_t mark, seq;
};

static double cubic_time(const struct sim_cubic *c, struct xm_time now)
{
	return (double)xm_time_sub(now, c->began) / XM_SEC;
}

static void cubic_cut(struct sim_cubic *c)
{
	c->w_max = c->cwnd < c->w_max ? c->cwnd * (1 + C_BETA) / 2 : c->cwnd;
	c->cwnd = fmax(c->cwnd * C_BETA, 2);
	c->ssthresh = c->cwnd;
	c->recover = c->next;
	c->is_growing = false;
}

static void cubic_grow(struct sim_cubic *c, struct xm_time now)
{
	double t, target;

	if (c->cwnd < c->ssthresh) {
		c->cwnd++;
		return;
	}
	if (!c->is_growing) {
		c->is_growing = true;
		c->began = now;
		c->w_est = c->cwnd;
		c->w_max = fmax(c->w_max, c->cwnd);
		c->k_s = cbrt((c->w_max - c->cwnd) / C_SCALE);
	}
	t = cubic_time(c, now) - c->k_s;
	target = C_SCALE * t * t * t + c->w_max;
	target = fmin(fmax(target, c->cwnd), 1.5 * c->cwnd);
	c->w_est += 3 * (1 - C_BETA) / (1 + C_BETA) / c->cwnd;
	c->cwnd = fmax(c->cwnd + (target - c->cwnd) / c->cwnd, c->w_est);
}

static void cubic_send(struct sim_cubic *c)
{
	struct sim_node *wire = c->w->src[0].dev.node.out;
	struct packet data = { C_MARK, 0 };
	struct sim_pkt *p;

	while ((double)(c->next - c->acked) < c->cwnd) {
		data.seq = c->next++;
		p = sim_pkt_new(&data, sizeof(data), c->packet);
		memset(p->data + sizeof(data), 0, c->packet - sizeof(data));
		p->len = c->packet;
		wire->forward(wire, p);
	}
}

/* The ACK for @seq; all before it that did not come is lost. */
static void cubic_ack(struct sim_cubic *c, uint64_t seq, struct xm_time now)
{
	c->last = now;
	if (seq > c->acked && seq >= c->recover)
		cubic_cut(c);
	else
		cubic_grow(c, now);
	c->acked = seq + 1;
}

static void cubic_run(struct sim_node *n, struct xm_time now)
{
	struct sim_cubic *c = (struct sim_cubic *)n;
	struct packet data;
	struct sim_pkt *p;

	while (!xm_time_before(now, sim_pq_at(&c->acks))) {
		p = sim_pq_pop(&c->acks);
		memcpy(&data, p->data, sizeof(data));
		sim_pkt_free(p);
		cubic_ack(c, data.seq, now);
	}
	if (xm_time_sub(now, c->last) >= C_RTO_NS) {
		c->acked = c->next; /* all of it is lost */
		cubic_cut(c);
		c->cwnd = 1;
		c->last = now;
	}
	cubic_send(c);
}

static struct xm_time cubic_next_at(const struct sim_node *n)
{
	const struct sim_cubic *c = (const struct sim_cubic *)n;

	if (!c->next)
		return c->from;
	return xm_time_min(sim_pq_at(&c->acks), xm_time_add(c->last, C_RTO_NS));
}

/* In the place of the world's end of the way up. */
static void cubic_take(struct sim_node *n, struct sim_pkt *p)
{
	struct sim_cubic *c = ((struct world *)n->sim)->other;
	struct packet data;

	memcpy(&data, p->data, sizeof(data));
	if (data.mark != C_MARK) {
		c->to_world(n, p);
		return;
	}
	c->delivered += p->len;
	sim_pq_push(&c->acks, p, xm_time_add(n->sim->now, c->ack_ns));
}

void cubic_init(struct sim_cubic *c, struct world *w, unsigned int packet,
		struct xm_time from)
{
	memset(c, 0, sizeof(*c));
	c->w = w;
	c->from = c->last = from;
	c->packet = packet;
	c->ack_ns = w->opts.down.delay_ns;
	c->cwnd = 10; /* RFC 6928 */
	c->ssthresh = INFINITY;
	c->node.next_at = cubic_next_at;
	c->node.run = cubic_run;
	sim_add(&w->sim, &c->node);
	w->other = c;
	c->to_world = w->up_end.forward;
	w->up_end.forward = cubic_take;
}

void cubic_fini(struct sim_cubic *c)
{
	sim_pq_fini(&c->acks);
}
