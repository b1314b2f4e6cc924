// SPDX-License-Identifier: GPL-2.0-or-later
/* verify.c - memory is hashed and compared, see verify.h */
#include "verify.h"

#include <stdlib.h>
#include <string.h>

#include "core/src.h"

#include "world.h"

static struct sim_verify *verify_of(const struct sim_node *n)
{
	return &((struct world *)n->sim)->verify;
}

/* FNV-1a over each page's number and bytes; zeros count nothing. */
static uint64_t hash_page(uint32_t number, const uint8_t *page)
{
	uint64_t h = (0xcbf29ce484222325ull ^ number) * 0x100000001b3ull;
	unsigned int i;

	if (!page[0] && !memcmp(page, page + 1, XM_PAGE_SIZE - 1))
		return 0;
	for (i = 0; i < XM_PAGE_SIZE; i++)
		h = (h ^ page[i]) * 0x100000001b3ull;
	return h;
}

static uint32_t n_stripes(const struct sim_verify *v)
{
	uint32_t n = v->w->guest.src_map.n_stripes;

	if (n > SIM_STRIPES_MAX)
		abort();
	return n;
}

/* At the destination a page that nothing was placed in is a hole, whatever
 * stands for one. */
static void hash_all(struct sim_verify *v, bool is_dst, uint64_t *hash)
{
	const struct xm_map *map = &v->w->guest.src_map;
	uint64_t first, end, p;
	unsigned int block = 0;
	uint32_t s;

	for (s = 0; s < n_stripes(v); s++) {
		const struct sim_block *b;

		block = xm_map_stripe_block(map, block, s);
		b = &v->w->guest.block[block];
		xm_map_stripe_pages(map, block, s, &first, &end);
		for (hash[s] = 0, p = first; p < end; p++)
			if (!is_dst)
				hash[s] += hash_page((uint32_t)p,
						     b->src + p * XM_PAGE_SIZE);
			else if (guest_bit(b->dirtied, (uint32_t)p))
				hash[s] += hash_page((uint32_t)p,
						     b->dst + p * XM_PAGE_SIZE);
	}
}

/* -- the source ------------------------------------------------------------ */

static void verify_compare(struct sim_verify *v)
{
	struct xm_event ev = { .kind = XM_EV_COMPARED };
	uint32_t s;

	if (!v->is_done || v->w->ses_src.n_hashes < n_stripes(v))
		return;
	for (v->n_differ = 0, s = 0; s < n_stripes(v); s++)
		v->n_differ += v->ours[s] != v->theirs[s];
	ev.is_same = !v->n_differ;
	conduct_src_event(v->w, &ev);
}

void verify_begin_src(struct sim_verify *v)
{
	v->n_rounds++;
	v->is_done = false;
	v->src_at = xm_time_add(v->w->sim.now, v->opts.src_ns);
}

void verify_got(struct sim_verify *v, const struct xm_msg_hashes *m)
{
	memcpy(v->theirs + m->first, m->hash, m->n * sizeof(*m->hash));
	verify_compare(v);
}

static uint32_t verify_mark(struct sim_verify *v)
{
	struct sim_guest *g = &v->w->guest;
	uint64_t first, end, p;
	unsigned int block = 0;
	uint32_t s, n = 0;

	for (s = 0; s < n_stripes(v); s++) {
		if (v->ours[s] == v->theirs[s])
			continue;
		block = xm_map_stripe_block(&g->src_map, block, s);
		xm_map_stripe_pages(&g->src_map, block, s, &first, &end);
		for (p = first; p < end; p++, n++)
			g->block[block].harvest[p / 64] |= 1ull << p % 64;
	}
	return n;
}

/* The guest is paused, so nothing was written. */
void verify_repair(struct sim_verify *v)
{
	struct world *w = v->w;
	uint32_t pages;

	w->epoch++;
	v->n_repaired++;
	(void)guest_harvest(&w->guest, false);
	pages = verify_mark(v);
	sim_log_note(&w->log, w->sim.now, SIM_NOTE_EPOCH, "guest",
		     "repair, epoch %u: %u pages", w->epoch, pages);
	conduct_src_event(w, &(struct xm_event){ .kind = XM_EV_NEXT_EPOCH,
						 .is_final = true });
}

bool verify_flip(struct world *w, uint32_t nth)
{
	uint32_t n = w->guest.n_pages, i, p;
	unsigned int block;

	for (i = 0; i < n; i++) {
		p = (nth + i) % n;
		for (block = 0; p >= w->guest.block[block].n_pages; block++)
			p -= w->guest.block[block].n_pages;
		if (!guest_bit(w->guest.block[block].dirtied, p))
			continue;
		w->guest.block[block]
			.dst[(size_t)p * XM_PAGE_SIZE + nth % 4096] ^= 0x10;
		return true;
	}
	return false;
}

bool verify_is_missing(const struct sim_verify *v)
{
	return v->opts.is_on && !v->w->ses_src.is_verified;
}

static struct xm_time src_next_at(const struct sim_node *n)
{
	const struct sim_verify *v = verify_of(n);

	return v->w->ses_src.state == XM_SRC_VERIFY ? v->src_at : XM_TIME_NEVER;
}

static void src_run(struct sim_node *n, struct xm_time now)
{
	struct sim_verify *v = verify_of(n);

	(void)now;
	v->src_at = XM_TIME_NEVER;
	hash_all(v, false, v->ours);
	v->is_done = true;
	verify_compare(v);
}

/* -- the destination --------------------------------------------------------- */

void verify_begin_dst(struct sim_verify *v)
{
	if (v->opts.on_hash)
		v->opts.on_hash(v->w, v->w->ses_dst.n_verify);
	v->dst_at = xm_time_add(v->w->sim.now, v->opts.dst_ns);
}

static struct xm_time dst_next_at(const struct sim_node *n)
{
	const struct sim_verify *v = verify_of(n);

	return v->w->ses_dst.state == XM_DST_VERIFY ? v->dst_at : XM_TIME_NEVER;
}

static void dst_run(struct sim_node *n, struct xm_time now)
{
	struct sim_verify *v = verify_of(n);
	static struct xm_msg msg;
	uint64_t hash[SIM_STRIPES_MAX];
	uint32_t s, left;

	(void)now;
	v->dst_at = XM_TIME_NEVER;
	hash_all(v, true, hash);
	memset(&msg, 0, sizeof(msg));
	msg.type = XM_MSG_HASHES;
	for (s = 0; s < n_stripes(v); s += msg.hashes.n) {
		left = n_stripes(v) - s;
		if (v->opts.chunk && left > v->opts.chunk)
			left = v->opts.chunk;
		msg.hashes.first = s;
		msg.hashes.n = (uint16_t)left;
		memcpy(msg.hashes.hash, hash + s, left * sizeof(*hash));
		conduct_dst_msg(v->w, XM_EV_HASHES, &msg);
	}
}

void verify_init(struct sim_verify *v, struct world *w)
{
	v->w = w;
	v->opts = w->opts.verify;
	v->src_at = v->dst_at = XM_TIME_NEVER;
	v->src.next_at = src_next_at;
	v->src.run = src_run;
	sim_add(&w->sim, &v->src);
	v->dst.next_at = dst_next_at;
	v->dst.run = dst_run;
	sim_add(&w->sim, &v->dst);
}
