/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cc.h - congestion window and pacing of one channel (theory in cc.c, cc_pace.c) */
#ifndef XM_CORE_CC_H
#define XM_CORE_CC_H

#include <stdbool.h>
#include <stdint.h>

#include "time.h"

#define XM_CC_WINDOW_MIN 4 /* frames; below it loss detection starves */

struct xm_cc_opts {
	uint32_t mss;            /* bytes of the largest frame on the wire */
	uint64_t cwnd_max;       /* bytes; what --in-flight allows */
	unsigned int n_channels; /* the channels together take one flow's share */
	int64_t delay_target_ns; /* queueing delay over the least RTT that is
				  * taken for congestion; 0 = 25 ms */
	uint64_t rate; /* bytes/s, hard cap of this channel; 0 = none */
};

struct xm_cc {
	struct xm_cc_opts opts;
	/* before a timeout; 0 = none */
	uint64_t prior_cwnd, prior_ssthresh, prior_extra;
	uint64_t cwnd, ssthresh; /* bytes */
	uint64_t extra; /* of cwnd: taken while nothing waited in a queue */
	uint64_t least; /* cwnd is never below */
	uint32_t frames, frames_ce, frames_lost; /* of this round */
	uint32_t alpha;     /* DCTCP's estimate, in 1/1024 */
	uint64_t bucket;    /* losses above 2 % of frames, in frames */
	uint64_t round_end; /* a round ends when so much was delivered */
	uint64_t delivered; /* bytes acknowledged so far */
	uint64_t grow;      /* bytes towards the next increase */
	unsigned int n_free, n_calm; /* rounds without a queue; without a cut */
	uint32_t n_cuts, n_told, n_heard; /* see xm_cc_couple() */
	bool cut_in_round;
	int64_t round_rtt_ns;   /* least of this round */
	int64_t span_rtt_ns[2]; /* least of some rounds, and of those before */
	int64_t span_ns;        /* they took so long so far */
	int64_t srtt_ns, rttvar_ns, min_rtt_ns;
	/* xm_cc_look() */
	int64_t age,
		age_from_ns;   /* the period of the clock, when it was begun */
	bool is_seen;          /* a round trip came near the least since then */
	bool may_learn;        /* none had, when the look began */
	bool is_drained;       /* the look's first frames are answered */
	unsigned int n_looked; /* samples since, and the least of them */
	uint64_t look; /* bytes that may be out meanwhile; 0 = there is none */
	int64_t looked_rtt_ns, look_rtt_ns; /* the latter: before the look */
	struct xm_time look_from;
	int64_t lag_ns, lagvar_ns; /* smoothed: until a frame is answered */
	int64_t tokens;            /* bytes that may leave now */
	struct xm_time filled;     /* when tokens was brought up to date */
	bool is_holding;           /* the pacer holds a frame back since then */
	bool is_late; /* tokens above a burst are those of a late sender */
};

void xm_cc_init(struct xm_cc *cc, const struct xm_cc_opts *opts);

/* A round-trip sample, the peer's hold time already taken off. */
void xm_cc_on_rtt(struct xm_cc *cc, int64_t rtt_ns);

/* The frame that waited longest for an ACK waited so long, the delay that is
 * agreed on taken off.  Not a round trip:
 * that is the newest frame's, which arrived last, and says little of a receiver
 * that came late to many. */
void xm_cc_on_lag(struct xm_cc *cc, int64_t lag_ns);

/* @bytes in @frames frames newly acknowledged, @ce of them marked; @in_flight bytes
 * were out before.  A window that is not half used does not grow. */
void xm_cc_on_ack(struct xm_cc *cc, uint64_t in_flight, uint64_t bytes,
		  uint32_t frames, uint32_t ce);

/* With each ACK, after xm_cc_on_rtt(): is the path longer than it was?  @in_flight
 * bytes were out before the ACK; nothing is learned with a window that is not half
 * used. */
void xm_cc_look(struct xm_cc *cc, struct xm_time now, uint64_t in_flight);

void xm_cc_on_loss(struct xm_cc *cc, uint32_t frames);

/* The channels of a migration cut together, as one flow does.  Who drives them counts
 * cuts for losses; @n_all is that count as it is now.  If it is news here, another
 * channel has cut, and this one does, too, should it see a queue as well.  Returns
 * how many this channel has cut since it was asked last: to be added to the count. */
uint32_t xm_cc_couple(struct xm_cc *cc, uint32_t n_all);

/* A retransmission timeout: nothing came back at all. */
void xm_cc_on_timeout(struct xm_cc *cc);

/* The frames of the last timeouts turned out to have arrived: the window is
 * what it was before them.  Or they had not, and the timeouts are history. */
void xm_cc_undo_timeout(struct xm_cc *cc);
void xm_cc_end_timeout(struct xm_cc *cc);

static inline bool xm_cc_in_slow_start(const struct xm_cc *cc)
{
	return cc->cwnd < cc->ssthresh;
}

/* The window, or less of it while xm_cc_look() looks. */
static inline uint64_t xm_cc_window(const struct xm_cc *cc)
{
	return cc->look && cc->look < cc->cwnd ? cc->look : cc->cwnd;
}

/* Does the window hold @bytes more, with @in_flight bytes out?  Four frames are out
 * also in a smaller one, which the pacer spreads, since losses are found by what
 * arrives behind them. */
static inline bool xm_cc_has_room(const struct xm_cc *cc, uint64_t in_flight,
				  uint32_t bytes)
{
	return !in_flight || in_flight + bytes <= xm_cc_window(cc) ||
	       in_flight + bytes <= XM_CC_WINDOW_MIN * (uint64_t)cc->opts.mss;
}

/* Another hard cap, bytes/s; 0 = none.  What it cannot fill of the window goes. */
void xm_cc_set_rate(struct xm_cc *cc, uint64_t rate);

/* Bring the pacer's tokens up to date: for xm_cc_may_send(). */
void xm_cc_refill(struct xm_cc *cc, struct xm_time now);

/* May @bytes more leave now, with @in_flight bytes out?  Consumes nothing. */
static inline bool xm_cc_may_send(struct xm_cc *cc, struct xm_time now,
				  uint64_t in_flight, uint32_t bytes)
{
	if (!xm_cc_has_room(cc, in_flight, bytes))
		return false;
	/* Tokens may go below zero by one frame: so a frame larger than the
	 * burst can leave, and pays afterwards. */
	if (cc->tokens <= 0 || xm_time_sub(now, cc->filled) > 100 * XM_US)
		xm_cc_refill(cc, now);
	cc->is_holding = cc->tokens <= 0;
	return !cc->is_holding;
}

/* xm_cc_may_send() has said yes to the first of @max frames of @bytes: how many may
 * leave, one right after the other? */
static inline uint32_t xm_cc_count(const struct xm_cc *cc, uint64_t in_flight,
				   uint32_t bytes, uint32_t max)
{
	uint64_t room, n = ((uint64_t)cc->tokens + bytes - 1) / bytes;
	uint64_t cwnd = xm_cc_window(cc);

	if (in_flight + bytes > cwnd)
		return 1; /* of the four that are out also then */
	room = (cwnd - in_flight) / bytes;
	if (n > room)
		n = room;
	return n < max ? (uint32_t)n : max;
}

static inline void xm_cc_on_sent(struct xm_cc *cc, uint32_t bytes)
{
	cc->tokens -= bytes;
}

/* When the pacer will let the next frame go; NEVER when it is not what
 * holds it (the window is not looked at). */
struct xm_time xm_cc_expiry(const struct xm_cc *cc, struct xm_time now);

/* After so long without news from a peer that has something to say, it is asked:
 * the largest of 2 SRTT, SRTT + 4 RTTVAR and the lag's own SRTT + 4 RTTVAR, and
 * XM_ACK_DELAY_US, in bounds. */
int64_t xm_cc_rto_ns(const struct xm_cc *cc);

#endif
