// SPDX-License-Identifier: GPL-2.0-or-later
/* net.c - the event loop, packets, and nodes that take time
 *
 * The loop asks every node for its next_at at every step.  With a few dozen
 * nodes that costs less than keeping a queue of events right would, and a node
 * can never be forgotten in one.
 *
 * A core whose timer is due but changes nothing would make the loop spin at
 * one instant; a million steps without time passing end the run.
 */
#include "net.h"

#include <stdlib.h>
#include <string.h>

#include "core/encap.h"

#define STEPS_HERE_MAX 1000000

static void node_forward(struct sim_node *n, struct sim_pkt *p)
{
	n->out->forward(n->out, p);
}

static struct xm_time node_never(const struct sim_node *n)
{
	(void)n;
	return XM_TIME_NEVER;
}

static void node_nothing(struct sim_node *n, struct xm_time now)
{
	(void)n;
	(void)now;
}

void sim_init(struct sim *s, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	s->rng.s = seed;
}

void sim_add(struct sim *s, struct sim_node *n)
{
	if (s->n_nodes == SIM_NODES_MAX)
		abort();
	if (!n->forward)
		n->forward = node_forward;
	if (!n->next_at)
		n->next_at = node_never;
	if (!n->run)
		n->run = node_nothing;
	n->sim = s;
	n->rng = sim_rng_fork(&s->rng);
	s->node[s->n_nodes++] = n;
}

void sim_fini(struct sim *s)
{
	unsigned int i;

	for (i = 0; i < s->n_nodes; i++) {
		struct sim_node *n = s->node[i];

		if (n->fini)
			n->fini(n);
		if (n->heap)
			free(n);
	}
	s->n_nodes = 0;
}

bool sim_step(struct sim *s)
{
	struct sim_node *first = NULL;
	struct xm_time at = XM_TIME_NEVER;
	unsigned int i;

	for (i = 0; i < s->n_nodes; i++) {
		struct xm_time t = s->node[i]->next_at(s->node[i]);

		if (xm_time_before(t, at)) {
			at = t;
			first = s->node[i];
		}
	}
	if (!first)
		return false;
	if (xm_time_before(s->now, at)) {
		s->now = at;
		s->steps_here = 0;
	}
	if (++s->steps_here > STEPS_HERE_MAX)
		s->is_stuck = true;
	if (s->is_stuck)
		return false;
	s->steps++;
	first->run(first, s->now);
	return true;
}

/* -- packets ----------------------------------------------------------------- */

struct sim_pkt *sim_pkt_new(const void *data, size_t len, size_t cap)
{
	struct sim_pkt *p;

	if (cap < len)
		cap = len;
	p = malloc(sizeof(*p) + cap);
	if (!p)
		abort();
	p->at = XM_TIME_NEVER;
	p->order = 0;
	p->len = (uint32_t)len;
	p->cap = (uint32_t)cap;
	if (data)
		memcpy(p->data, data, len);
	return p;
}

struct sim_pkt *sim_pkt_copy(const struct sim_pkt *p, size_t extra)
{
	return sim_pkt_new(p->data, p->len, p->len + extra);
}

void sim_pkt_free(struct sim_pkt *p)
{
	free(p);
}

bool sim_pkt_frame(const struct sim_pkt *p, struct xm_frame *f, size_t *ret_off)
{
	struct xm_encap e;
	size_t hdr_len;

	if (xm_encap_get(&e, p->data, p->len, p->len) != XM_DROP_NONE)
		return false;
	if (xm_frame_begin(&hdr_len, p->data + e.payload, e.len, e.len) ||
	    xm_frame_check(f, p->data + e.payload, hdr_len, e.len))
		return false;
	*ret_off = e.payload;
	return true;
}

static void ipv4_sum(uint8_t *ip)
{
	uint32_t sum = 0;
	unsigned int i;

	ip[10] = ip[11] = 0;
	for (i = 0; i < 20; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
}

void sim_pkt_mark_ce(struct sim_pkt *p)
{
	size_t l3 = 14;
	uint8_t *ip;

	if (p->len < 14 + 4 + 20)
		return;
	if (p->data[12] == 0x81 && p->data[13] == 0x00)
		l3 += 4;
	ip = p->data + l3;
	if (ip[0] >> 4 == 4) {
		if (!(ip[1] & 3))
			return;
		ip[1] |= 3;
		ipv4_sum(ip);
	} else if (ip[0] >> 4 == 6) {
		if (ip[1] & 0x30)
			ip[1] |= 0x30;
	}
}

/* -- a queue ordered by time: a binary heap ------------------------------------ */

static bool pkt_before(const struct sim_pkt *a, const struct sim_pkt *b)
{
	return a->at.ns != b->at.ns ? a->at.ns < b->at.ns : a->order < b->order;
}

void sim_pq_push(struct sim_pq *q, struct sim_pkt *p, struct xm_time at)
{
	unsigned int i;

	if (q->n == q->cap) {
		q->cap = q->cap ? 2 * q->cap : 16;
		q->v = realloc(q->v, q->cap * sizeof(*q->v));
		if (!q->v)
			abort();
	}
	p->at = at;
	p->order = q->order++;
	for (i = q->n++; i && pkt_before(p, q->v[(i - 1) / 2]); i = (i - 1) / 2)
		q->v[i] = q->v[(i - 1) / 2];
	q->v[i] = p;
}

struct sim_pkt *sim_pq_pop(struct sim_pq *q)
{
	struct sim_pkt *top, *last;
	unsigned int i = 0, child;

	if (!q->n)
		return NULL;
	top = q->v[0];
	last = q->v[--q->n];
	while ((child = 2 * i + 1) < q->n) {
		if (child + 1 < q->n &&
		    pkt_before(q->v[child + 1], q->v[child]))
			child++;
		if (!pkt_before(q->v[child], last))
			break;
		q->v[i] = q->v[child];
		i = child;
	}
	q->v[i] = last;
	return top;
}

struct xm_time sim_pq_at(const struct sim_pq *q)
{
	return q->n ? q->v[0]->at : XM_TIME_NEVER;
}

void sim_pq_fini(struct sim_pq *q)
{
	unsigned int i;

	for (i = 0; i < q->n; i++)
		sim_pkt_free(q->v[i]);
	free(q->v);
	memset(q, 0, sizeof(*q));
}

/* -- nodes that take time -------------------------------------------------------- */

struct queue_node {
	struct sim_node node;
	struct sim_pq q;
	/* delay, reorder */
	int64_t ns;
	uint32_t ppm;
	/* delay */
	struct xm_time longer_at;
	int64_t longer_ns;
	/* rate */
	uint64_t rate, limit, ecn;
	uint64_t waiting;       /* bytes in q */
	struct xm_time free_at; /* the link has sent what it has so far */
};

static struct xm_time queue_next_at(const struct sim_node *n)
{
	return sim_pq_at(&((const struct queue_node *)n)->q);
}

static void queue_run(struct sim_node *n, struct xm_time now)
{
	struct queue_node *q = (struct queue_node *)n;

	while (!xm_time_before(now, sim_pq_at(&q->q))) {
		struct sim_pkt *p = sim_pq_pop(&q->q);

		q->waiting -= p->len;
		n->out->forward(n->out, p);
	}
}

static void queue_fini(struct sim_node *n)
{
	sim_pq_fini(&((struct queue_node *)n)->q);
}

static struct queue_node *
queue_new(struct sim *s, void (*forward)(struct sim_node *, struct sim_pkt *))
{
	struct queue_node *q = calloc(1, sizeof(*q));

	if (!q)
		abort();
	q->node.forward = forward;
	q->node.next_at = queue_next_at;
	q->node.run = queue_run;
	q->node.fini = queue_fini;
	q->node.heap = true;
	sim_add(s, &q->node);
	return q;
}

static void delay_forward(struct sim_node *n, struct sim_pkt *p)
{
	struct queue_node *q = (struct queue_node *)n;

	q->waiting += p->len;
	if (!xm_time_before(n->sim->now, q->longer_at)) {
		q->ns += q->longer_ns;
		q->longer_at = XM_TIME_NEVER;
	}
	sim_pq_push(&q->q, p, xm_time_add(n->sim->now, q->ns));
}

struct sim_node *sim_delay(struct sim *s, int64_t ns)
{
	return sim_reroute(s, ns, XM_TIME_NEVER, 0);
}

struct sim_node *sim_reroute(struct sim *s, int64_t ns, struct xm_time at,
			     int64_t longer_ns)
{
	struct queue_node *q = queue_new(s, delay_forward);

	q->ns = ns;
	q->longer_at = at;
	q->longer_ns = longer_ns;
	return &q->node;
}

static void reorder_forward(struct sim_node *n, struct sim_pkt *p)
{
	struct queue_node *q = (struct queue_node *)n;

	if (!sim_rng_chance(&n->rng, q->ppm)) {
		n->out->forward(n->out, p);
		return;
	}
	q->waiting += p->len;
	sim_pq_push(&q->q, p,
		    xm_time_add(n->sim->now, sim_rng_range(&n->rng, 1, q->ns)));
}

struct sim_node *sim_reorder(struct sim *s, uint32_t ppm, int64_t max_ns)
{
	struct queue_node *q = queue_new(s, reorder_forward);

	q->ppm = ppm;
	q->ns = max_ns;
	return &q->node;
}

static void rate_forward(struct sim_node *n, struct sim_pkt *p)
{
	struct queue_node *q = (struct queue_node *)n;
	struct xm_time start = q->free_at;

	if (q->waiting + p->len > q->limit) {
		sim_pkt_free(p);
		return;
	}
	if (q->ecn && q->waiting > q->ecn)
		sim_pkt_mark_ce(p);
	if (xm_time_before(start, n->sim->now))
		start = n->sim->now;
	q->waiting += p->len;
	q->free_at = xm_time_add(
		start, (int64_t)((uint64_t)p->len * XM_SEC / q->rate));
	sim_pq_push(&q->q, p, q->free_at);
}

struct sim_node *sim_rate(struct sim *s, uint64_t rate, uint64_t queue,
			  uint64_t ecn)
{
	struct queue_node *q = queue_new(s, rate_forward);

	q->rate = rate;
	q->limit = queue;
	q->ecn = ecn;
	return &q->node;
}

struct sink_node {
	struct sim_node node;
	uint64_t *count;
};

static void sink_forward(struct sim_node *n, struct sim_pkt *p)
{
	++*((struct sink_node *)n)->count;
	sim_pkt_free(p);
}

struct sim_node *sim_sink(struct sim *s, uint64_t *ret_count)
{
	struct sink_node *k = calloc(1, sizeof(*k));

	if (!k)
		abort();
	k->node.forward = sink_forward;
	k->node.heap = true;
	k->count = ret_count;
	*ret_count = 0;
	sim_add(s, &k->node);
	return &k->node;
}
