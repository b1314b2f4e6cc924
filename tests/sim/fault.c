// SPDX-License-Identifier: GPL-2.0-or-later
/* fault.c - loss, duplication, corruption, cuts, and fates of chosen frames
 *
 * Damage is dealt to bytes without knowledge of what they mean, except that
 * headers are hit more often than their share: payload is 40 times longer,
 * and its damage is found by one CRC, that of headers by a dozen checks.
 */
#include "fault.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/encap.h"

struct fault_node {
	struct sim_node node;
	struct sim_pq q;
	uint32_t ppm;
	int64_t max_ns;
	unsigned int ip_max;
	struct sim_gilbert ge;
	bool bad;
	struct xm_time change; /* to the other state */
	struct sim_window cut[SIM_WINDOWS_MAX];
};

static struct xm_time fault_next_at(const struct sim_node *n)
{
	return sim_pq_at(&((const struct fault_node *)n)->q);
}

static void fault_run(struct sim_node *n, struct xm_time now)
{
	struct fault_node *f = (struct fault_node *)n;

	while (!xm_time_before(now, sim_pq_at(&f->q)))
		n->out->forward(n->out, sim_pq_pop(&f->q));
}

static void fault_fini(struct sim_node *n)
{
	sim_pq_fini(&((struct fault_node *)n)->q);
}

static struct fault_node *
fault_new(struct sim *s, void (*forward)(struct sim_node *, struct sim_pkt *))
{
	struct fault_node *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	f->node.forward = forward;
	f->node.next_at = fault_next_at;
	f->node.run = fault_run;
	f->node.fini = fault_fini;
	f->node.heap = true;
	sim_add(s, &f->node);
	return f;
}

static void loss_forward(struct sim_node *n, struct sim_pkt *p)
{
	if (sim_rng_chance(&n->rng, ((struct fault_node *)n)->ppm))
		sim_pkt_free(p);
	else
		n->out->forward(n->out, p);
}

struct sim_node *sim_loss(struct sim *s, uint32_t ppm)
{
	struct fault_node *f = fault_new(s, loss_forward);

	f->ppm = ppm;
	return &f->node;
}

static void gilbert_forward(struct sim_node *n, struct sim_pkt *p)
{
	struct fault_node *f = (struct fault_node *)n;

	while (!xm_time_before(n->sim->now, f->change)) {
		f->bad = !f->bad;
		f->change = xm_time_add(
			f->change, sim_rng_range(&n->rng, 1,
						 2 * (f->bad ? f->ge.bad_ns :
							       f->ge.good_ns)));
	}
	if (sim_rng_chance(&n->rng,
			   f->bad ? f->ge.loss_bad_ppm : f->ge.loss_good_ppm))
		sim_pkt_free(p);
	else
		n->out->forward(n->out, p);
}

struct sim_node *sim_gilbert(struct sim *s, const struct sim_gilbert *g)
{
	struct fault_node *f = fault_new(s, gilbert_forward);

	f->ge = *g;
	f->bad = true; /* its first change, at 0, makes it good */
	return &f->node;
}

static void dup_forward(struct sim_node *n, struct sim_pkt *p)
{
	struct fault_node *f = (struct fault_node *)n;

	if (sim_rng_chance(&n->rng, f->ppm))
		sim_pq_push(&f->q, sim_pkt_copy(p, 0),
			    xm_time_add(n->sim->now,
					sim_rng_range(&n->rng, 0, f->max_ns)));
	n->out->forward(n->out, p);
}

struct sim_node *sim_dup(struct sim *s, uint32_t ppm, int64_t max_ns)
{
	struct fault_node *f = fault_new(s, dup_forward);

	f->ppm = ppm;
	f->max_ns = max_ns;
	return &f->node;
}

static struct sim_pkt *damage(struct sim_rng *rng, struct sim_pkt *p)
{
	uint32_t hdr = p->len < 128 ? p->len : 128, at, i, n, apart;
	struct sim_pkt *longer;

	switch (sim_rng_below(rng, 6)) {
	case 0: /* one bit, in the headers */
		at = (uint32_t)sim_rng_below(rng, hdr);
		p->data[at] ^= (uint8_t)(1u << sim_rng_below(rng, 8));
		break;
	case 1: /* a few bits, anywhere, none of them twice */
		n = p->len < 8 ? 1 : (uint32_t)sim_rng_range(rng, 1, 8);
		at = (uint32_t)sim_rng_below(rng, p->len);
		apart = (uint32_t)sim_rng_range(rng, 1, (p->len + 7) / 8);
		for (i = 0; i < n; i++)
			p->data[(at + i * apart) % p->len] ^=
				(uint8_t)(1u << sim_rng_below(rng, 8));
		break;
	case 2: /* a byte, in the headers */
		at = (uint32_t)sim_rng_below(rng, hdr);
		p->data[at] =
			(uint8_t)(p->data[at] + sim_rng_range(rng, 1, 255));
		break;
	case 3: /* a run of bytes, anywhere */
		at = (uint32_t)sim_rng_below(rng, p->len);
		n = (uint32_t)sim_rng_range(rng, 1, 64);
		for (i = at; i < at + n && i < p->len; i++)
			p->data[i] ^= (uint8_t)sim_rng_range(rng, 1, 255);
		break;
	case 4: /* cut short */
		p->len = (uint32_t)sim_rng_below(rng, p->len);
		break;
	case 5: /* longer than it was */
		n = (uint32_t)sim_rng_range(rng, 1, 64);
		longer = sim_pkt_copy(p, n);
		sim_pkt_free(p);
		p = longer;
		for (i = 0; i < n; i++)
			p->data[p->len++] = (uint8_t)sim_rng_next(rng);
		break;
	}
	return p;
}

static void corrupt_forward(struct sim_node *n, struct sim_pkt *p)
{
	if (sim_rng_chance(&n->rng, ((struct fault_node *)n)->ppm) && p->len)
		p = damage(&n->rng, p);
	n->out->forward(n->out, p);
}

struct sim_node *sim_corrupt(struct sim *s, uint32_t ppm)
{
	struct fault_node *f = fault_new(s, corrupt_forward);

	f->ppm = ppm;
	return &f->node;
}

static void narrow_forward(struct sim_node *n, struct sim_pkt *p)
{
	struct xm_encap e;

	if (xm_encap_get(&e, p->data, p->len, p->len) == XM_DROP_NONE &&
	    e.ip_len > ((struct fault_node *)n)->ip_max)
		sim_pkt_free(p);
	else
		n->out->forward(n->out, p);
}

struct sim_node *sim_narrow(struct sim *s, unsigned int ip_max)
{
	struct fault_node *f = fault_new(s, narrow_forward);

	f->ip_max = ip_max;
	return &f->node;
}

static void cut_forward(struct sim_node *n, struct sim_pkt *p)
{
	struct fault_node *f = (struct fault_node *)n;
	struct xm_time end;

	if (sim_window_has(f->cut, SIM_WINDOWS_MAX, n->sim->now, &end))
		sim_pkt_free(p);
	else
		n->out->forward(n->out, p);
}

struct sim_node *sim_cut(struct sim *s, const struct sim_window *w)
{
	struct fault_node *f = fault_new(s, cut_forward);

	memcpy(f->cut, w, sizeof(f->cut));
	return &f->node;
}

/* -- chosen frames ------------------------------------------------------------- */

#define HELD_MAX 64

struct picks_node {
	struct sim_node node;
	struct sim_pick *pick;
	unsigned int n;
	const struct sim_phase *phase;
	struct sim_log *log;
	struct {
		struct sim_pkt *p;
		const struct sim_pick *why;
		struct xm_time at; /* NEVER: by epoch */
	} held[HELD_MAX];
};

static bool pick_matches(const struct sim_pick *k, const struct xm_frame *f)
{
	if (k->type && k->type != f->type)
		return false;
	if (!k->all_channels && k->channel != f->channel)
		return false;
	if (k->epoch && k->epoch != f->epoch)
		return false;
	return k->all_seqs || k->seq == f->seq;
}

/* Is it the turn of the transmission that was counted last? */
static bool pick_is_due(const struct sim_pick *k)
{
	unsigned int from = k->from ? k->from : 1;

	if (k->seen < from)
		return false;
	if (!k->from && !k->n)
		return k->seen == 1;
	return !k->n || k->seen < from + k->n;
}

static const char *frame_name(uint8_t type)
{
	return type == XM_WIRE_ACK    ? "ack" :
	       type == XM_WIRE_DATA   ? "data" :
	       type == XM_WIRE_HEADER ? "header" :
					"frame";
}

static void picks_note(struct picks_node *k, const char *verb,
		       const struct xm_frame *f)
{
	sim_log_note(k->log, k->node.sim->now, SIM_NOTE_NET, "net", "%s %s %u",
		     verb, frame_name(f->type), f->seq);
}

static void picks_hold(struct picks_node *k, struct sim_pkt *p,
		       const struct sim_pick *why)
{
	unsigned int i;

	for (i = 0; i < HELD_MAX && k->held[i].p; i++)
		;
	if (i == HELD_MAX)
		abort();
	k->held[i].p = p;
	k->held[i].why = why;
	k->held[i].at = why->until_epoch ?
				XM_TIME_NEVER :
				xm_time_add(k->node.sim->now, why->hold_ns);
}

/* What a sender's bug would do: the right page for the wrong address. */
static void pkt_misplace(struct sim_pkt *p, const struct xm_frame *f,
			 size_t off)
{
	uint64_t be = htobe64(f->seg[0] + XM_PAGE_SIZE);

	memcpy(p->data + off + sizeof(struct xm_wire_frame), &be, 8);
	xm_frame_sum(p->data + off, f->payload_crc);
}

static void picks_forward(struct sim_node *n, struct sim_pkt *p)
{
	struct picks_node *k = (struct picks_node *)n;
	const struct sim_pick *hit = NULL;
	struct xm_frame f;
	unsigned int i;
	size_t off;

	if (sim_pkt_frame(p, &f, &off))
		for (i = 0; i < k->n && !hit; i++) {
			if (!pick_matches(&k->pick[i], &f))
				continue;
			k->pick[i].seen++;
			if (pick_is_due(&k->pick[i]))
				hit = &k->pick[i];
		}
	switch (hit ? hit->what : SIM_NOTHING) {
	case SIM_DROP:
		picks_note(k, "drop", &f);
		sim_pkt_free(p);
		return;
	case SIM_HOLD:
		picks_note(k, "hold back", &f);
		picks_hold(k, p, hit);
		return;
	case SIM_FLIP:
		picks_note(k, "damage", &f);
		p->data[p->len - 1] ^= 1;
		break;
	case SIM_CE:
		sim_pkt_mark_ce(p);
		break;
	case SIM_MISPLACE:
		pkt_misplace(p, &f, off);
		break;
	case SIM_NOTHING:
		break;
	}
	n->out->forward(n->out, p);
}

static bool held_is_due(const struct picks_node *k, unsigned int i,
			struct xm_time now)
{
	if (!k->held[i].p)
		return false;
	if (k->held[i].why->until_epoch == SIM_AFTER_ALL)
		return k->phase->is_over;
	if (k->held[i].why->until_epoch)
		return k->phase->epoch >= k->held[i].why->until_epoch;
	return !xm_time_before(now, k->held[i].at);
}

static struct xm_time picks_next_at(const struct sim_node *n)
{
	const struct picks_node *k = (const struct picks_node *)n;
	struct xm_time t = XM_TIME_NEVER;
	unsigned int i;

	for (i = 0; i < HELD_MAX; i++) {
		if (held_is_due(k, i, n->sim->now))
			return n->sim->now;
		if (k->held[i].p)
			t = xm_time_min(t, k->held[i].at);
	}
	return t;
}

/* Breaks a rule of the protocol: see struct sim_pick. */
static void picks_rewrite(struct picks_node *k, const struct sim_pick *why,
			  struct sim_pkt *p)
{
	struct xm_frame f;
	uint32_t be;
	size_t off;

	if (!why->renumber && !why->any_epoch)
		return;
	if (!sim_pkt_frame(p, &f, &off))
		abort();
	be = htobe32(why->renumber ? why->new_seq : f.seq);
	memcpy(p->data + off + offsetof(struct xm_wire_frame, seq), &be, 4);
	be = htobe32(why->any_epoch ? k->phase->epoch : f.epoch);
	memcpy(p->data + off + offsetof(struct xm_wire_frame, epoch), &be, 4);
	xm_frame_sum(p->data + off, f.payload_crc);
}

static void picks_run(struct sim_node *n, struct xm_time now)
{
	struct picks_node *k = (struct picks_node *)n;
	struct xm_frame f;
	unsigned int i;
	size_t off;

	for (i = 0; i < HELD_MAX; i++) {
		struct sim_pkt *p = k->held[i].p;

		if (!held_is_due(k, i, now))
			continue;
		k->held[i].p = NULL;
		if (sim_pkt_frame(p, &f, &off))
			picks_note(k, "let go of", &f);
		picks_rewrite(k, k->held[i].why, p);
		n->out->forward(n->out, p);
	}
}

static void picks_fini(struct sim_node *n)
{
	struct picks_node *k = (struct picks_node *)n;
	unsigned int i;

	for (i = 0; i < HELD_MAX; i++)
		sim_pkt_free(k->held[i].p);
}

struct sim_node *sim_picks(struct sim *s, struct sim_pick *picks,
			   unsigned int n, const struct sim_phase *phase,
			   struct sim_log *log)
{
	struct picks_node *k = calloc(1, sizeof(*k));

	if (!k)
		abort();
	k->node.forward = picks_forward;
	k->node.next_at = picks_next_at;
	k->node.run = picks_run;
	k->node.fini = picks_fini;
	k->node.heap = true;
	k->pick = picks;
	k->n = n;
	k->phase = phase;
	k->log = log;
	sim_add(s, &k->node);
	return &k->node;
}
