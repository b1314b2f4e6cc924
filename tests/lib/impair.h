/* SPDX-License-Identifier: GPL-2.0-or-later */
/* impair.h - one direction of a bad link: what happens to each frame, and when
 *
 * Pure: time comes in, decisions go out, frames are numbers of the caller's.
 * The same options, seed and sequence of calls give the same decisions, and
 * each kind of trouble draws from a random stream of its own, so that turning
 * one on does not move the others.
 */
#ifndef T_IMPAIR_H
#define T_IMPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMPAIR_NEVER    INT64_MAX
#define IMPAIR_HELD_MAX 256 /* frames held back at once, others pass */

enum impair_damage {
	IMPAIR_INTACT,
	IMPAIR_PAYLOAD,  /* bits flipped anywhere behind the UDP header */
	IMPAIR_HEADER,   /* bits flipped in the frame header only */
	IMPAIR_TRUNCATE, /* cut off; the lengths in the headers stay */
	IMPAIR_SHORTEN,  /* cut off, and the headers say so */
	IMPAIR_EXTEND,   /* longer; the lengths in the headers stay */
	IMPAIR_LENGTHEN, /* longer, and the headers say so */
	IMPAIR_IP,       /* bits flipped in the IP header, sum and all */
	IMPAIR_IP_LEN,   /* another length there, with a right sum */
	IMPAIR_UDP_LEN,
	IMPAIR_SEGMENTS, /* bits flipped in the segment table */
	IMPAIR_RUN,      /* up to 64 bytes of the payload overwritten */
	IMPAIR_SWAP,     /* two pieces of the payload in each other's place */
	IMPAIR_TAG,      /* bits flipped in the tag */
	IMPAIR_FIELD,    /* this one and the next: a field of the frame header
			  * has another value (mangle.c says which) */
	IMPAIR_DAMAGE__COUNT = IMPAIR_FIELD + 18
};
_Static_assert(IMPAIR_DAMAGE__COUNT < 64, "impair_opts.damages has a bit each");

/* Probabilities 0..1, times in nanoseconds; all 0 is a perfect wire. */
struct impair_opts {
	double loss;
	double burst_enter, burst_leave, burst_loss; /* Gilbert-Elliott: per
			* frame good -> bad, bad -> good, loss while bad */
	double duplicate;
	double reorder;     /* held back ... */
	unsigned int depth; /* ... until so many others passed */
	int64_t hold_ns;    /* ... or for so long, if none come */
	double damage;
	uint64_t damages; /* bits 1 << enum impair_damage to choose from */
	int64_t delay_ns;
	int64_t jitter_ns;    /* 0..jitter more, which reorders too */
	uint64_t rate;        /* bits a second, 0 = no limit */
	uint64_t queue_bytes; /* waiting for the rate; 0 = no limit */
	uint64_t ecn_bytes;   /* mark from here on; 0 = never */
	/* Nothing gets through for a while, which begins so many subject
	 * frames and so much time after the first, and has a length in either;
	 * both 0 is never. */
	uint64_t cut_at_frames, cut_len_frames;
	int64_t cut_at_ns, cut_len_ns;
	unsigned int mtu;  /* IP bytes; larger ones vanish; 0 = no limit */
	uint64_t mtu_from; /* only after so many subject frames */
};

struct impair_stats {
	uint64_t frames_in, bytes_in, frames_out, bytes_out;
	uint64_t subject; /* of frames_in: those that random trouble may meet */
	uint64_t lost, lost_in_bursts, cut, too_long, queue_full;
	uint64_t overflow; /* no slot: the relay's own limit, not the link's */
	uint64_t duplicated, reordered, marked;
	uint64_t damaged[IMPAIR_DAMAGE__COUNT];
};

struct impair_frame {
	uint32_t handle; /* comes out again */
	uint32_t len;    /* bytes on the wire */
	uint32_t ip_len; /* bytes from the IP header on, for the MTU */
	bool is_subject; /* else only rate, queue and delay apply */
	bool is_ect;     /* may be marked instead of waiting unmarked */
};

struct impair_out {
	uint32_t handle;
	enum impair_damage damage;
	uint64_t random; /* where to damage it */
	bool mark;       /* set Congestion Experienced */
};

/* A frame on its way; the caller provides the memory. */
struct impair_slot {
	int64_t at;
	uint64_t order;
	uint32_t len;
	unsigned int wait_for; /* frames yet to pass, while held back */
	bool is_subject, is_ect;
	struct impair_out out;
};

struct impair {
	struct impair_opts opts;
	struct impair_stats stats;
	struct impair_slot *slots; /* a heap by (at, order) */
	unsigned int n_slots, max_slots;
	struct impair_slot held[IMPAIR_HELD_MAX];
	unsigned int n_held;
	uint64_t order;
	int64_t link_free; /* when the rate has room again */
	int64_t cut_at;    /* IMPAIR_NEVER until it is known */
	uint64_t cut_from; /* number of the first frame that was cut, or 0 */
	bool is_bad;       /* Gilbert-Elliott */
	bool is_cut;       /* by the user, until taken back */
	uint64_t rng[8];
};

/* @slots is the caller's, of @n entries, as long as @im lives.  @direction
 * makes two links of one seed independent. */
void impair_init(struct impair *im, const struct impair_opts *opts,
		 uint64_t seed, unsigned int direction,
		 struct impair_slot *slots, unsigned int n);

/* A frame enters.  Returns how often it will come out: 0, 1 or 2. */
unsigned int impair_push(struct impair *im, int64_t now,
			 const struct impair_frame *f);

/* The next frame that is due at @now; false when there is none. */
bool impair_pop(struct impair *im, int64_t now, struct impair_out *ret);

/* When to call impair_pop() again; IMPAIR_NEVER. */
int64_t impair_next(const struct impair *im);

/* Frames inside. */
unsigned int impair_inside(const struct impair *im);

/* The cut of the other way begins: this one's does, too, if it has one. */
void impair_cut_with(struct impair *im, const struct impair *other);

/* Everything is lost (or not any more), subject or not. */
void impair_cut(struct impair *im, bool is_cut);

#endif
