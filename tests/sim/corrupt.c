// SPDX-License-Identifier: GPL-2.0-or-later
/* corrupt.c - damaged, foreign and old frames, a billion of them: none is taken
 *
 *     sim-corrupt --frames N [--seed S] [--keys tag|encrypt|none]
 *
 * Four channels, one for each kind of geometry (slices and pages, with and without
 * VLAN, IPv4 and IPv6), each in the middle of an epoch (corrupt_chan.c).  Over and
 * over a frame that has not come yet is damaged in one of the ways of
 * corrupt_damage.c, or one is chosen that is genuine and not to be taken: it came
 * before, is of the epoch before, of another channel, or of the other direction.
 * It arrives, and must be dropped.
 *
 * Taken is right in one case only: what is taken is a genuine frame, byte by byte
 * (damage may have met the Ethernet header only, or padding).  Then all is put back
 * to what it was.  Each million frames invariants and memory are looked at, and in
 * the end the genuine frames arrive: the epoch ends, and memory is the same.
 *
 * --keys none is a session without TLS: header and segments have a CRC only.  Its
 * misses, and those of a payload that is not encrypted, are expected once in 2^32
 * damaged frames; they are counted as collisions, and are a failure where CRC32C
 * excludes them or where there are more than chance explains.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/be.h"
#include "core/crc32c.h"

#include "corrupt.h"

#define N_CHANS     4
#define CHECK_EVERY (1u << 20)
#define TO_MEET_ALL 1000000

struct corrupt_run {
	struct sim_rng rng;
	enum corrupt_keys keys;
	struct corrupt_chan *chan[N_CHANS];
	uint64_t frames, unchanged, intact, old, collisions, may_collide;
	uint64_t by_class[32];
	uint64_t drops[XM_DROP__COUNT];
};

static const char *const key_names[] = {
	[KEYS_NONE] = "none",
	[KEYS_TAG] = "tag",
	[KEYS_ENCRYPT] = "encrypt",
};

static const struct corrupt_frame *pick(struct corrupt_run *r,
					const struct corrupt_frames *from)
{
	/* an ACK and two PROBEs are the last: as likely as 1 in 8 */
	if (from->n > 3 && sim_rng_below(&r->rng, 8))
		return &from->f[sim_rng_below(&r->rng, from->n - 3)];
	return &from->f[from->n - 1 - sim_rng_below(&r->rng, 3)];
}

/* -- what was taken ----------------------------------------------------------------- */

/* Does the genuine frame @f give just what was taken? */
static bool gives_the_same(struct corrupt_chan *c,
			   const struct corrupt_frame *f, const uint8_t *got,
			   size_t len)
{
	struct corrupt_taken t;
	bool same;

	chan_restore(c);
	memcpy(f->work, f->data, f->len);
	t = chan_take(c, f->work, f->len, f->to_source);
	same = !t.drop && t.len == len && !memcmp(t.frame, got, len);
	memcpy(f->work, f->data, f->len);
	return same;
}

/* Is all that is wrong a payload whose CRC happens to be the header's? */
static bool is_collision(const struct corrupt_run *r,
			 const struct corrupt_class *k,
			 const struct corrupt_work *w, const uint8_t *got,
			 size_t len)
{
	size_t head = w->f->payload - w->f->at;

	if (r->keys == KEYS_NONE)
		return true;
	return r->keys == KEYS_TAG && k->may_collide &&
	       w->f->type == XM_WIRE_DATA && len >= head &&
	       xm_crc32c(0, got + head, len - head) ==
		       xm_be32_get(got +
				   offsetof(struct xm_wire_frame, payload_crc));
}

/* A frame was taken that was not to be.  True if that is right all the same. */
static bool judge(struct corrupt_run *r, struct corrupt_chan *c,
		  const struct corrupt_class *k, const struct corrupt_work *w,
		  const struct corrupt_taken *t)
{
	uint8_t *got = malloc(t->len);
	bool ok;

	if (!got)
		abort();
	memcpy(got, t->frame, t->len);
	ok = gives_the_same(c, w->f, got, t->len) ||
	     gives_the_same(c, w->other, got, t->len) ||
	     (r->keys == KEYS_NONE && w->stale->type >= XM_WIRE_ACK &&
	      gives_the_same(c, w->stale, got, t->len)); /* see one_old() */
	r->intact += ok;
	if (!ok && is_collision(r, k, w, got, t->len)) {
		printf("collision: %s\n", k->name);
		r->collisions++;
		ok = true;
	}
	chan_restore(c);
	free(got);
	return ok;
}

/* -- one frame ------------------------------------------------------------------------ */

static void put_back(struct corrupt_run *r, struct corrupt_work *w)
{
	if (r->keys == KEYS_ENCRYPT) { /* it was decrypted in its place */
		w->lo = 0;
		w->hi = w->f->len;
	}
	if (w->hi > w->f->len)
		w->hi = w->f->len;
	if (w->lo < w->hi)
		memcpy(w->data + w->lo, w->f->data + w->lo, w->hi - w->lo);
}

static bool is_unchanged(const struct corrupt_work *w)
{
	uint32_t hi = w->hi < w->f->len ? w->hi : w->f->len;

	return w->len == w->f->len &&
	       (w->lo >= hi ||
		!memcmp(w->data + w->lo, w->f->data + w->lo, hi - w->lo));
}

/* A damaged frame arrives.  False: it was taken, and is not what was sent. */
static bool one_damaged(struct corrupt_run *r, struct corrupt_chan *c,
			unsigned int which)
{
	const struct corrupt_class *k = &corrupt_class[which];
	struct corrupt_work w = { .rng = &r->rng,
				  .f = pick(r, &c->fresh),
				  .other = pick(r, &c->fresh),
				  .stale = pick(r, &c->stale),
				  .lo = UINT32_MAX };
	struct corrupt_taken t;
	bool ok = true;

	w.data = w.f->work;
	w.len = w.f->len;
	k->damage(&w);
	if (is_unchanged(&w)) {
		r->unchanged++;
		return true;
	}
	t = chan_take(c, w.data, w.len, w.f->to_source);
	r->by_class[which]++;
	r->drops[t.drop]++;
	r->may_collide += k->may_collide && t.drop == XM_DROP_BAD_PAYLOAD_CRC;
	if (!t.drop)
		ok = judge(r, c, k, &w, &t);
	else if (t.is_opened) /* the good one is to come yet */
		memcpy(c->seal, c->saved.seal, sizeof(c->seal));
	put_back(r, &w);
	return ok;
}

/* A genuine frame that is not to be taken: it came, or it is another's. */
static bool one_old(struct corrupt_run *r, unsigned int idx)
{
	struct corrupt_chan *c = r->chan[idx],
			    *other = r->chan[(idx + 1) % N_CHANS];
	const struct corrupt_frame *f;
	unsigned int how = (unsigned int)sim_rng_below(&r->rng, 3);
	struct corrupt_taken t;
	bool to_source;

	f = pick(r, how == 0 ? &c->stale :
		    how == 1 ? &other->fresh :
			       &c->fresh);
	to_source = f->to_source ^ (how == 2);
	/* without keys who asks twice is answered twice, and an ACK says again
	 * what it said */
	if (r->keys == KEYS_NONE && f->type >= XM_WIRE_ACK)
		return true;
	memcpy(f->work, f->data, f->len);
	t = chan_take(c, f->work, f->len, to_source);
	memcpy(f->work, f->data, f->len);
	r->old++;
	r->drops[t.drop]++;
	return t.drop;
}

static bool one(struct corrupt_run *r)
{
	unsigned int idx = (unsigned int)sim_rng_below(&r->rng, N_CHANS), k;

	k = (unsigned int)sim_rng_below(&r->rng, corrupt_n_classes + 1);
	if (k < corrupt_n_classes && corrupt_class[k].needs_keys &&
	    r->keys == KEYS_NONE)
		k = corrupt_n_classes;
	r->frames++;
	if (k == corrupt_n_classes ? one_old(r, idx) :
				     one_damaged(r, r->chan[idx], k))
		return true;
	printf("taken: %s, frame %" PRIu64 ", channel %u (MTU %u)\n",
	       k == corrupt_n_classes ? "an old or foreign frame" :
					corrupt_class[k].name,
	       r->frames, idx, r->chan[idx]->mtu);
	return false;
}

/* -- all of them ------------------------------------------------------------------------ */

static void make_chans(struct corrupt_run *r, uint64_t seed)
{
	static const struct {
		unsigned int mtu;
		bool ipv6;
		uint16_t vlan;
	} kind[N_CHANS] = { { 1500, false, 0 },
			    { 3498, true, 0 },
			    { 9000, false, 100 },
			    { 65535, true, 100 } };
	unsigned int i;

	for (i = 0; i < N_CHANS; i++) {
		struct xm_path path = { .src_mac = { 2, 0, 0, 0, 0, 1 },
					.dst_mac = { 2, 0, 0, 0, 0, 2 },
					.vlan = kind[i].vlan,
					.ipv6 = kind[i].ipv6,
					.src = { 198, 18, 0, 1 },
					.dst = { 198, 18, 0, 2 },
					.sport = 20000,
					.dport = XM_PORT_DATA + 1 };

		r->chan[i] = chan_new(kind[i].mtu, &path, r->keys,
				      seed * N_CHANS + i);
	}
}

static bool check_chans(const struct corrupt_run *r,
			bool (*check)(struct corrupt_chan *))
{
	unsigned int i;

	for (i = 0; i < N_CHANS; i++)
		if (!check(r->chan[i])) {
			printf("channel %u (MTU %u): memory or state is not "
			       "what it should be\n",
			       i, r->chan[i]->mtu);
			return false;
		}
	return true;
}

/* Misses of a CRC of 32 bits: more than chance explains (once in a million runs
 * or so: the mean, five deviations above, and three). */
static bool too_many_collisions(const struct corrupt_run *r)
{
	uint64_t n = r->keys == KEYS_NONE ? r->frames : r->may_collide;
	double mean = (double)n / 4294967296.0, excess;

	excess = (double)r->collisions - mean - 3;
	return excess > 0 && excess * excess > 25 * mean;
}

static bool met_all(const struct corrupt_run *r)
{
	static const enum xm_drop must[] = {
		XM_DROP_RUNT,      XM_DROP_BAD_MAGIC, XM_DROP_BAD_LENGTH,
		XM_DROP_BAD_SHAPE, XM_DROP_BAD_TAG,   XM_DROP_BAD_IP,
	};
	unsigned int i;
	bool met = true;

	for (i = 0; i < sizeof(must) / sizeof(must[0]); i++)
		met &= r->drops[must[i]] > 0;
	/* with keys a number that came before is enough */
	met &= r->keys == KEYS_NONE ? r->drops[XM_DROP_DUPLICATE] &&
					      r->drops[XM_DROP_STALE_EPOCH] :
				      r->drops[XM_DROP_REPLAYED] > 0;
	met &= r->keys == KEYS_ENCRYPT || r->drops[XM_DROP_BAD_PAYLOAD_CRC];
	for (i = 0; i < corrupt_n_classes; i++)
		met &= r->by_class[i] > 0 ||
		       (r->keys == KEYS_NONE && corrupt_class[i].needs_keys);
	return met && r->old && r->intact;
}

static void print_run(const struct corrupt_run *r, double s)
{
	unsigned int i;

	printf("%" PRIu64 " frames in %.1f s, keys: %s\n", r->frames, s,
	       key_names[r->keys]);
	for (i = 0; i < corrupt_n_classes; i++)
		printf("  %-20s %12" PRIu64 "\n", corrupt_class[i].name,
		       r->by_class[i]);
	printf("  %-20s %12" PRIu64 "\n", "old or foreign", r->old);
	puts("dropped");
	for (i = 1; i < XM_DROP__COUNT; i++)
		if (r->drops[i])
			printf("  %-20s %12" PRIu64 "\n",
			       xm_drop_name((enum xm_drop)i), r->drops[i]);
	printf("unchanged by the damage: %" PRIu64
	       ", taken as they were sent: %" PRIu64 "\n",
	       r->unchanged, r->intact);
	printf("missed by CRC32C: %" PRIu64 ", of %" PRIu64
	       " of which it may miss %.2g\n",
	       r->collisions, r->may_collide,
	       (double)r->may_collide / 4294967296.0);
}

static bool run(struct corrupt_run *r, uint64_t frames, uint64_t seed)
{
	bool ok = true;

	make_chans(r, seed);
	while (ok && r->frames < frames) {
		ok = one(r);
		if (ok && !(r->frames % CHECK_EVERY))
			ok = check_chans(r, chan_check);
	}
	return ok && check_chans(r, chan_check) && check_chans(r, chan_finish);
}

static int usage(const char *self)
{
	fprintf(stderr,
		"usage: %s --frames N [--seed S] [--keys tag|encrypt|none]\n",
		self);
	return 2;
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static bool get_keys(const char *name, enum corrupt_keys *ret)
{
	unsigned int i;

	for (i = 0; i < sizeof(key_names) / sizeof(key_names[0]); i++)
		if (!strcmp(name, key_names[i])) {
			*ret = (enum corrupt_keys)i;
			return true;
		}
	return false;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "frames", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "keys", required_argument, NULL, 'k' },
		{ 0 },
	};
	struct corrupt_run r = { .keys = KEYS_TAG };
	uint64_t frames = 0, seed = 1;
	double began = now_s();
	bool ok, met = true;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'n') /* 1e9, too */
			frames = (uint64_t)strtod(optarg, NULL);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (c != 'k' || !get_keys(optarg, &r.keys))
			return usage(argv[0]);
	}
	if (!frames || optind != argc)
		return usage(argv[0]);
	xm_crc32c_init();
	r.rng = (struct sim_rng){ seed };
	ok = run(&r, frames, seed);
	print_run(&r, now_s() - began);
	if (ok && frames >= TO_MEET_ALL)
		met = met_all(&r);
	if (!met)
		puts("something was never met: the damage is too kind");
	if (too_many_collisions(&r)) {
		puts("CRC32C missed more than chance explains");
		ok = false;
	}
	for (c = 0; c < N_CHANS; c++)
		chan_free(r.chan[c]);
	if (!ok)
		printf("replay: %s --frames %" PRIu64 " --seed %" PRIu64
		       " --keys %s\n",
		       argv[0], r.frames, seed, key_names[r.keys]);
	return !ok || !met;
}
