// SPDX-License-Identifier: GPL-2.0-or-later
/* impair.c - one direction of a bad link
 *
 *   push                                                              pop
 *    |  mtu  cut  loss  burst    duplicate   damage, hold back         |
 *    +---+----+----+-----+-----------+---+-------+---------------+     |
 *        |    |    |     |           |   v       v               v     |
 *        v    v    v     v           +-> copy -> held --> rate, queue, |
 *       gone                                              ECN, delay --+
 *
 * A frame that is not subject to trouble (the control connection, if so
 * chosen) goes straight to the rate: it shares the wire, not the fate.
 *
 * Each copy of a duplicated frame is damaged and held back on its own, so
 * that the damaged original may come first and the good copy late.
 *
 * Held back: the frame waits until @depth later subject frames went by, or
 * hold_ns passed, and then joins as if it came now.  That is reordering by
 * position, which does not depend on how fast frames come.
 *
 * The rate is a virtual clock: link_free is when the last admitted frame will
 * have left, so (link_free - now) * rate is what waits in the queue.
 *
 * Random numbers are splitmix64, one state per kind of trouble; a state moves
 * once per frame it decides about, whatever it decides.
 */
#include "impair.h"

#include <assert.h>
#include <string.h>

enum {
	RNG_LOSS,
	RNG_STATE,
	RNG_BURST,
	RNG_DUP,
	RNG_DAMAGE,
	RNG_REORDER,
	RNG_JITTER,
	RNG_WHERE
};

static uint64_t rng_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* True with probability @p; always draws. */
static bool rng_hits(uint64_t *state, double p)
{
	return (double)(rng_next(state) >> 11) < p * 9007199254740992.0;
}

void impair_init(struct impair *im, const struct impair_opts *opts,
		 uint64_t seed, unsigned int direction,
		 struct impair_slot *slots, unsigned int n)
{
	uint64_t mix = seed ^ (0x6c696e6b00000000ULL + direction);
	size_t i;

	memset(im, 0, sizeof(*im));
	im->opts = *opts;
	im->slots = slots;
	im->max_slots = n;
	im->cut_at = IMPAIR_NEVER;
	for (i = 0; i < sizeof(im->rng) / sizeof(im->rng[0]); i++)
		im->rng[i] = rng_next(&mix);
}

unsigned int impair_inside(const struct impair *im)
{
	return im->n_slots + im->n_held;
}

void impair_cut(struct impair *im, bool is_cut)
{
	im->is_cut = is_cut;
}

void impair_cut_with(struct impair *im, const struct impair *other)
{
	if (im->cut_at == IMPAIR_NEVER)
		im->cut_at = other->cut_at;
}

/* -- the heap ------------------------------------------------------------------- */

static bool slot_before(const struct impair_slot *a,
			const struct impair_slot *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void heap_add(struct impair *im, const struct impair_slot *s)
{
	unsigned int i = im->n_slots++, up;

	for (; i; i = up) {
		up = (i - 1) / 2;
		if (!slot_before(s, &im->slots[up]))
			break;
		im->slots[i] = im->slots[up];
	}
	im->slots[i] = *s;
}

static void heap_take(struct impair *im, struct impair_slot *ret)
{
	struct impair_slot last = im->slots[--im->n_slots];
	unsigned int i = 0, down;

	*ret = im->slots[0];
	for (;; i = down) {
		down = 2 * i + 1;
		if (down >= im->n_slots)
			break;
		if (down + 1 < im->n_slots &&
		    slot_before(&im->slots[down + 1], &im->slots[down]))
			down++;
		if (!slot_before(&im->slots[down], &last))
			break;
		im->slots[i] = im->slots[down];
	}
	if (im->n_slots)
		im->slots[i] = last;
}

/* -- the wire: rate, queue, marks, delay ------------------------------------------- */

/* Nanoseconds @bytes take at the rate, and back. */
static int64_t wire_ns(const struct impair *im, uint64_t bytes)
{
	return (int64_t)((double)bytes * 8e9 / (double)im->opts.rate);
}

static uint64_t wire_bytes(const struct impair *im, int64_t ns)
{
	return (uint64_t)((double)ns * (double)im->opts.rate / 8e9);
}

/* Admit @s to the wire; false when the queue is full. */
static bool wire_enter(struct impair *im, int64_t now, struct impair_slot *s)
{
	const struct impair_opts *o = &im->opts;
	uint64_t waiting = 0;

	s->at = now;
	if (o->rate) {
		if (im->link_free < now)
			im->link_free = now;
		waiting = wire_bytes(im, im->link_free - now);
		if (o->queue_bytes && waiting + s->len > o->queue_bytes) {
			im->stats.queue_full++;
			return false;
		}
		if (o->ecn_bytes && s->is_ect && waiting >= o->ecn_bytes) {
			s->out.mark = true;
			im->stats.marked++;
		}
		im->link_free += wire_ns(im, s->len);
		s->at = im->link_free;
	}
	s->at += o->delay_ns;
	if (o->jitter_ns && s->is_subject)
		s->at += (int64_t)(rng_next(&im->rng[RNG_JITTER]) %
				   (uint64_t)(o->jitter_ns + 1));
	s->order = im->order++;
	heap_add(im, s);
	return true;
}

/* -- holding back ------------------------------------------------------------------- */

static void held_release(struct impair *im, unsigned int i, int64_t now)
{
	struct impair_slot s = im->held[i];

	im->n_held--;
	memmove(&im->held[i], &im->held[i + 1],
		(im->n_held - i) * sizeof(im->held[0]));
	/* it was promised to come out: a full queue is not a second chance to
	 * lose it, so it enters as the queue's last */
	if (!wire_enter(im, now, &s)) {
		im->stats.queue_full--;
		s.at = (im->link_free > now ? im->link_free : now) +
		       im->opts.delay_ns;
		s.order = im->order++;
		heap_add(im, &s);
	}
}

/* A frame went by the first @n of the held ones. */
static void held_count_one(struct impair *im, int64_t now, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		im->held[i].wait_for--;
	for (i = 0; i < n;) {
		if (im->held[i].wait_for) {
			i++;
			continue;
		}
		held_release(im, i, now);
		n--;
	}
}

/* Of the held ones, the time of the first that waited long enough. */
static int64_t held_next(const struct impair *im)
{
	return im->n_held ? im->held[0].at : IMPAIR_NEVER;
}

static void held_expire(struct impair *im, int64_t now)
{
	while (held_next(im) <= now)
		held_release(im, 0, im->held[0].at);
}

/* -- fate ------------------------------------------------------------------------------ */

static bool frame_is_cut(struct impair *im, int64_t now)
{
	const struct impair_opts *o = &im->opts;

	if (!o->cut_len_ns && !o->cut_len_frames)
		return false;
	if (im->cut_at == IMPAIR_NEVER) {
		if (im->stats.subject <= o->cut_at_frames)
			return false;
		im->cut_at = now + o->cut_at_ns;
	}
	if (now < im->cut_at)
		return false;
	if (!im->cut_from)
		im->cut_from = im->stats.subject;
	return now - im->cut_at < o->cut_len_ns ||
	       im->stats.subject - im->cut_from < o->cut_len_frames;
}

/* Is it lost?  Counted by what took it. */
static bool frame_is_lost(struct impair *im, int64_t now,
			  const struct impair_frame *f)
{
	const struct impair_opts *o = &im->opts;
	bool lost, flips, in_burst;

	if (o->mtu && f->ip_len > o->mtu && im->stats.subject > o->mtu_from) {
		im->stats.too_long++;
		return true;
	}
	if (frame_is_cut(im, now)) {
		im->stats.cut++;
		return true;
	}
	lost = rng_hits(&im->rng[RNG_LOSS], o->loss);
	flips = rng_hits(&im->rng[RNG_STATE],
			 im->is_bad ? o->burst_leave : o->burst_enter);
	im->is_bad ^= flips;
	in_burst = rng_hits(&im->rng[RNG_BURST], o->burst_loss) && im->is_bad;
	im->stats.lost += lost;
	im->stats.lost_in_bursts += !lost && in_burst;
	return lost || in_burst;
}

static enum impair_damage pick_damage(struct impair *im)
{
	const struct impair_opts *o = &im->opts;
	bool hit = rng_hits(&im->rng[RNG_DAMAGE], o->damage);
	uint64_t random = rng_next(&im->rng[RNG_DAMAGE]);
	unsigned int n = (unsigned int)__builtin_popcountll(o->damages), i;

	if (!hit || !n)
		return IMPAIR_INTACT;
	n = (unsigned int)(random % n);
	for (i = 0; i < IMPAIR_DAMAGE__COUNT; i++) {
		if (!(o->damages & 1ULL << i) || n--)
			continue;
		im->stats.damaged[i]++;
		return (enum impair_damage)i;
	}
	return IMPAIR_INTACT; /* a bit that is no kind of damage */
}

/* One copy of a subject frame; false when the queue was full. */
static bool push_copy(struct impair *im, int64_t now,
		      const struct impair_frame *f)
{
	struct impair_slot s = { .len = f->len,
				 .is_subject = true,
				 .is_ect = f->is_ect };
	bool hold = rng_hits(&im->rng[RNG_REORDER], im->opts.reorder);

	s.out.handle = f->handle;
	s.out.damage = pick_damage(im);
	s.out.random = rng_next(&im->rng[RNG_WHERE]);
	if (!hold || !im->opts.depth || im->n_held == IMPAIR_HELD_MAX)
		return wire_enter(im, now, &s);
	s.wait_for = im->opts.depth;
	s.at = now + im->opts.hold_ns;
	im->held[im->n_held++] = s;
	im->stats.reordered++;
	return true;
}

static unsigned int push_subject(struct impair *im, int64_t now,
				 const struct impair_frame *f)
{
	unsigned int n, out = 0, n_held = im->n_held;
	bool twice;

	im->stats.subject++;
	if (frame_is_lost(im, now, f))
		return 0;
	twice = rng_hits(&im->rng[RNG_DUP], im->opts.duplicate);
	im->stats.duplicated += twice;
	for (n = 0; n < 1u + twice; n++)
		out += push_copy(im, now, f);
	held_count_one(im, now, n_held); /* those already held see it pass */
	return out;
}

unsigned int impair_push(struct impair *im, int64_t now,
			 const struct impair_frame *f)
{
	struct impair_slot s = { .len = f->len, .is_ect = f->is_ect };

	im->stats.frames_in++;
	im->stats.bytes_in += f->len;
	if (im->is_cut) {
		im->stats.cut++;
		return 0;
	}
	/* room for both copies, and for all that are held */
	if (im->n_slots + im->n_held + 2 > im->max_slots) {
		im->stats.overflow++;
		return 0;
	}
	held_expire(im, now);
	if (f->is_subject)
		return push_subject(im, now, f);
	s.out.handle = f->handle;
	return wire_enter(im, now, &s);
}

bool impair_pop(struct impair *im, int64_t now, struct impair_out *ret)
{
	struct impair_slot s;

	held_expire(im, now);
	if (!im->n_slots || im->slots[0].at > now)
		return false;
	heap_take(im, &s);
	im->stats.frames_out++;
	im->stats.bytes_out += s.len;
	*ret = s.out;
	return true;
}

int64_t impair_next(const struct impair *im)
{
	int64_t held = held_next(im);
	int64_t due = im->n_slots ? im->slots[0].at : IMPAIR_NEVER;

	return held < due ? held : due;
}
