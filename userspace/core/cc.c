// SPDX-License-Identifier: GPL-2.0-or-later
/* cc.c - how much one channel may have in flight, and how fast it may leave
 *
 * Three signals, one window:
 *   CE marks   DCTCP (RFC 8257): the window shrinks by half the marked
 *              fraction, once a round;
 *   delay      when the smoothed round trip and the least of the last rounds
 *              exceed the least known by more than the target, the window shrinks
 *              by an eighth.  Near the least window it is not this sender's queue:
 *              the path is longer than it was, or others fill theirs, and the
 *              least round trip is what is seen then;
 *   loss       x 0.7 (Cubic's factor, RFC 9438), once for each window in flight,
 *              if the loss is congestive: marks go with it, or a queue stands, or
 *              more than 2 % are lost (what BBRv2 allows).  Slow start, which has
 *              doubled the window meanwhile, ends with the half.  Any other loss
 *              is a damaged frame and says nothing of the window.
 * A round ends when as many bytes were delivered as were in flight when it
 * began, so no clock is needed for it.
 *
 * A queue stands when the least round trip of the last rounds (one, and a millisecond)
 * exceeds the least known by 80 us, by a 12th and by what round trips vary: the least,
 * since a queue is met by all frames, and a host is late for one or another.  A cut for a
 * queue leaves what the path carries without it, window x least / current round
 * trip (TCP Westwood's and H-TCP's): a sender alone that loses a frame at random
 * empties its own queue, and the path stays full.
 *
 * The least round trip ages: a path may become longer, and for a queue that is none
 * nothing would be taken, and much be cut, for ever.  (BBR's is good for 10 s, and each
 * 5 s half of what is out is held back to see it: draft-ietf-ccwg-bbr, ProbeRTT.)  Here
 * a channel that sees a queue looks every 2 s and 64 rounds: for three of them, half of
 * what was out is.  A queue in which it has a part is shorter then, by half of that
 * part; one that it made alone by half of a round trip.  If the round trip is not
 * shorter by a 16th, and none was near the least since the last look, it is the path's.
 * (With less than an 8th of the path, others' queue is taken for it, too: no reason to
 * do with still less.)  A period of the host's clock begins for all channels at once, so
 * they look together: one alone could not empty their queue.
 *
 * More than 2 %: each loss puts 50 into a bucket, each frame that arrives takes 1
 * out.  1000 in it are 20 losses more than 2 %: with 1 % random loss that does not
 * happen in a lifetime, of 10 % it takes 250 frames.  A cut leaves 875 in it, so
 * the next is not far.  Or an eighth of a round, four at least.
 *
 * The window has two parts, as Compound TCP's: TCP's, and `extra`.
 *   TCP's   slow start up to ssthresh, then 9/17 of a frame a round trip, which
 *           goes with 0.7 (RFC 9438), shared by all channels.  Cut by the signals
 *           above, and by nothing else.
 *   extra   what nobody uses: grows while frames wait for no longer than 40 us or a
 *           12th of the least round trip, ever faster from round to round, and is
 *           given back as soon as they do, as many bytes as wait.  So it fills the
 *           path that is left by other channels at their end, or by cuts, and a TCP
 *           flow that needs the room finds it.  In the 64 rounds after a cut it is
 *           slow: shallow queues must not overflow by it.  It begins small for each,
 *           and is given back in proportion, so channels become alike.
 * A host whose round trips vary by more than 40 us gets no extra.
 *
 * Sixteen channels share one flow's growth; they must share its cuts, too, or a
 * queue that overflows by a frame or two cuts one of them, a sixteenth of what a flow
 * would be cut.  So each tells when it cuts for a loss, and the others, if they see
 * the queue, cut as well (xm_cc_couple(); RFC 3124 is the idea).  Only a count is shared,
 * by who drives the channels: nothing here depends on threads, and with the same calls
 * the same happens.  They also share one flow's least window: below four frames a
 * channel still has four out if it can, but paced, so that its rate is that of the
 * window, however small.  And they share the first window, which leaves in two
 * halves a millisecond apart if there are several: before the first sample a lost
 * ACK would cost XM_RTO_INIT_US.
 *
 * The retransmission timer is made here since its estimates are: of the round
 * trip, and of the lag (loss.c says why there are two).
 *
 * Not here: pacing (cc_pace.c); credits, which count frames at the receiver, and the decision
 * that a frame is lost (loss.c).
 *
 * All arithmetic is in integers, so that a simulation is the same everywhere.
 */
#include "cc.h"

#include <string.h>

#include "cc_priv.h"
#include "xdpmig/limits.h"

#define CC_WINDOW_INIT     32   /* frames of all channels; one ACK's worth */
#define CC_ALPHA_ONE       1024 /* fixed point of alpha */
#define CC_LOSS_PERCENT    2    /* of frames: above, it is congestion */
#define CC_BUCKET          1000 /* frames that make up for so many losses more */
#define CC_BUCKET_LEFT     875  /* by a cut */
#define CC_BURST           4 /* losses in a round, if they are an eighth of it */
#define CC_TAKE_NS         (40 * XM_US) /* nothing waits: extra grows */
#define CC_QUEUE_NS        (80 * XM_US) /* something does: losses are its */
#define CC_QUEUE_PART      12    /* or such a part of the least round trip */
#define CC_SPAN_NS         XM_MS /* or a round: late frames in it hide no queue */
#define CC_CALM_ROUNDS     64    /* without a cut: extra grows faster */
#define CC_AGE_NS          (2 * XM_SEC) /* not seen for so long, */
#define CC_AGE_ROUNDS      64           /* and for so many: it is looked for */
#define CC_LOOK_PART       16           /* of a round trip, at least: a queue */
#define CC_LOOK_SAMPLES    4
#define CC_DELAY_TARGET_NS (25 * XM_MS)

static int64_t max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

void xm_cc_init(struct xm_cc *cc, const struct xm_cc_opts *opts)
{
	memset(cc, 0, sizeof(*cc));
	cc->opts = *opts;
	if (!cc->opts.n_channels)
		cc->opts.n_channels = 1;
	if (!cc->opts.delay_target_ns)
		cc->opts.delay_target_ns = CC_DELAY_TARGET_NS;
	cc->opts.cwnd_max = max_u64(cc->opts.cwnd_max,
				    XM_CC_WINDOW_MIN * (uint64_t)opts->mss);
	cc->least =
		XM_CC_WINDOW_MIN * (uint64_t)opts->mss / cc->opts.n_channels;
	cc->cwnd =
		max_u64(CC_WINDOW_INIT / cc->opts.n_channels, XM_CC_WINDOW_MIN);
	cc->cwnd = min_u64(cc->cwnd * opts->mss, cc->opts.cwnd_max);
	cc->ssthresh = UINT64_MAX;
	cc->tokens = (int64_t)cc->cwnd;
	if (cc->opts.n_channels > 1)
		cc->tokens /= 2; /* the other half: see cc_rate() */
}

/* Both parts shrink alike.  A round begins: what is lost of the window that is out
 * now is the same congestion. */
static void cc_cut_to(struct xm_cc *cc, uint64_t cwnd)
{
	uint64_t was = cc->cwnd;

	cc->cwnd = max_u64(cwnd, cc->least);
	if (cc->cwnd < was)
		cc->extra = cc->extra * (cc->cwnd * 1024 / was) / 1024;
	else
		cc->extra = 0;
	cc->ssthresh = cc->cwnd;
	cc->cut_in_round = true;
	cc->n_free = cc->n_calm = 0;
	cc->grow = 0;
	cc->round_end = cc->delivered + max_u64(was, cc->opts.mss);
}

/* RFC 6298, with the sample's own variance at the first one. */
static void cc_smooth(int64_t *mean, int64_t *var, int64_t sample)
{
	int64_t diff = sample > *mean ? sample - *mean : *mean - sample;

	if (!*mean) {
		*mean = sample;
		*var = sample / 2;
		return;
	}
	*var += (diff - *var) / 4;
	*mean += (sample - *mean) / 8;
}

/* Frames that wait for longer wait in a queue. */
static int64_t cc_take_ns(const struct xm_cc *cc)
{
	return max_i64(CC_TAKE_NS, cc->min_rtt_ns / CC_QUEUE_PART);
}

void xm_cc_on_rtt(struct xm_cc *cc, int64_t rtt_ns)
{
	if (rtt_ns <= 0)
		return;
	if (!cc->srtt_ns || rtt_ns < cc->min_rtt_ns)
		cc->min_rtt_ns = rtt_ns;
	if (rtt_ns - cc->min_rtt_ns <= cc_take_ns(cc))
		cc->is_seen = true;
	if (!cc->n_looked++ || rtt_ns < cc->looked_rtt_ns)
		cc->looked_rtt_ns = rtt_ns;
	if (!cc->round_rtt_ns || rtt_ns < cc->round_rtt_ns)
		cc->round_rtt_ns = rtt_ns;
	cc_smooth(&cc->srtt_ns, &cc->rttvar_ns, rtt_ns);
}

void xm_cc_on_lag(struct xm_cc *cc, int64_t lag_ns)
{
	if (lag_ns > 0)
		cc_smooth(&cc->lag_ns, &cc->lagvar_ns, lag_ns);
}

/* The least round trip of the last round, or of a millisecond. */
static int64_t cc_least_rtt(const struct xm_cc *cc)
{
	int64_t least = cc->round_rtt_ns, t;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		t = cc->span_rtt_ns[i];
		if (!least || (t && t < least))
			least = t;
	}
	return least;
}

/* Not by the mean alone, which remembers for many rounds that a thread did not run. */
static bool cc_rtt_is_swollen(const struct xm_cc *cc)
{
	int64_t target = cc->min_rtt_ns + cc->opts.delay_target_ns;

	return cc->srtt_ns > target && cc_least_rtt(cc) > target;
}

/* A round is over. */
static void cc_span_rtt(struct xm_cc *cc)
{
	int64_t t = cc->round_rtt_ns;

	if (t && (!cc->span_rtt_ns[0] || t < cc->span_rtt_ns[0]))
		cc->span_rtt_ns[0] = t;
	cc->round_rtt_ns = 0;
	cc->span_ns += cc->srtt_ns;
	if (cc->span_ns < CC_SPAN_NS)
		return;
	cc->span_rtt_ns[1] = cc->span_rtt_ns[0];
	cc->span_rtt_ns[0] = 0;
	cc->span_ns = 0;
}

/* Does a queue stand that losses may come from?  A round trip that varies by more
 * than that tells nothing. */
static bool cc_has_queue(const struct xm_cc *cc, int64_t rtt)
{
	int64_t most = max_i64(CC_QUEUE_NS, cc->min_rtt_ns / CC_QUEUE_PART);

	return rtt - cc->min_rtt_ns > max_i64(most, cc->rttvar_ns);
}

/* End of a round: go on taking what nobody uses, or give back what waits in a
 * queue; a little is left there, so that the path does not run dry.  Where frames
 * were marked lately, marks say what may be taken. */
static void cc_look_free(struct xm_cc *cc)
{
	int64_t rtt = cc->round_rtt_ns, take = cc_take_ns(cc), over;
	uint64_t back;

	if (rtt && cc->bucket < CC_BUCKET_LEFT && !xm_cc_in_slow_start(cc) &&
	    cc->alpha < 16 && rtt - cc->min_rtt_ns <= take) {
		cc->n_free++;
		return;
	}
	cc->n_free = 0;
	over = rtt - cc->min_rtt_ns - take * 3 / 4;
	if (!rtt || over <= 0 || !cc->extra)
		return;
	back = cc->cwnd / 16 * (uint64_t)over / (uint64_t)rtt * 16;
	back = min_u64(back, min_u64(cc->extra, cc->cwnd - cc->least));
	cc->extra -= back;
	cc->cwnd -= back;
	cc->ssthresh = min_u64(cc->ssthresh, cc->cwnd);
}

/* End of a round with the delay over its target. */
static void cc_yield(struct xm_cc *cc)
{
	uint64_t left = cc->cwnd - cc->cwnd / 8;

	if (left < 2 * cc->least && cc->round_rtt_ns)
		cc->min_rtt_ns = cc->round_rtt_ns;
	cc_cut_to(cc, left);
}

/* End of a round: DCTCP's estimate, the delay signal, and a new round.  True: the
 * window was cut. */
static bool cc_end_round(struct xm_cc *cc, uint64_t in_flight)
{
	/* A duplicate's or a rejected frame's mark counts, its frame does not:
	 * there may be more marks than frames. */
	uint64_t ce = min_u64(cc->frames_ce, cc->frames);
	uint32_t frac =
		cc->frames ? (uint32_t)(ce * CC_ALPHA_ONE / cc->frames) : 0;
	bool was_cut = cc->cut_in_round, is_cut;

	cc->alpha = cc->alpha - cc->alpha / 16 + frac / 16;
	if (was_cut) {
		cc->n_free = 0;
	} else if (cc->frames_ce) {
		/* the first marks end slow start before alpha has grown */
		uint32_t alpha = xm_cc_in_slow_start(cc) ? CC_ALPHA_ONE :
							   cc->alpha;

		cc_cut_to(cc, cc->cwnd - cc->cwnd * alpha / CC_ALPHA_ONE / 2);
	} else if (cc_rtt_is_swollen(cc)) {
		cc_yield(cc);
	} else {
		cc_look_free(cc);
	}
	is_cut = cc->cut_in_round && !was_cut;
	cc->frames = cc->frames_ce = cc->frames_lost = 0;
	cc->cut_in_round = false;
	cc->n_calm++;
	cc_span_rtt(cc);
	cc->round_end = cc->delivered + max_u64(in_flight, cc->opts.mss);
	return is_cut;
}

/* @bytes were acknowledged, out of slow start. */
static void cc_grow(struct xm_cc *cc, uint64_t bytes)
{
	uint64_t mss = cc->opts.mss, step, add;

	/* 9/17 of a frame for each window's worth, shared by the channels: what
	 * goes with x 0.7 to be as fast as Reno (RFC 9438, 4.3) */
	cc->grow += 9 * bytes;
	step = 17 * cc->cwnd * cc->opts.n_channels;
	add = cc->grow * mss / step;
	if (add) {
		cc->grow -= add * step / mss;
		cc->cwnd += add;
	}
	if (!cc->n_free)
		return;
	/* as many 64ths of the window, or quarters, as there were free rounds;
	 * at most two frames for each, so that channels become alike */
	add = bytes * cc->n_free / (cc->n_calm < CC_CALM_ROUNDS ? 64 : 4);
	add = min_u64(add, 2 * (uint64_t)cc->n_free * mss * bytes / cc->cwnd);
	add = min_u64(add, bytes / 2);
	cc->cwnd += add;
	cc->extra += add;
}

void xm_cc_on_ack(struct xm_cc *cc, uint64_t in_flight, uint64_t bytes,
		  uint32_t frames, uint32_t ce)
{
	cc->delivered += bytes;
	cc->frames += frames;
	cc->frames_ce += ce;
	cc->bucket -= frames < cc->bucket ? frames : cc->bucket;
	if (cc->delivered >= cc->round_end && cc_end_round(cc, cc->cwnd))
		return;
	if (cc->cut_in_round || ce || 2 * in_flight < cc->cwnd)
		return;
	if (xm_cc_in_slow_start(cc))
		cc->cwnd += bytes;
	else
		cc_grow(cc, bytes);
	if (cc->cwnd > cc->opts.cwnd_max) {
		cc->extra -= min_u64(cc->extra, cc->cwnd - cc->opts.cwnd_max);
		cc->cwnd = cc->opts.cwnd_max;
	}
}

static void cc_begin_look(struct xm_cc *cc, struct xm_time now,
			  uint64_t in_flight)
{
	cc->look = min_u64(in_flight, cc->cwnd) / 2;
	cc->look_from = now;
	cc->look_rtt_ns = cc_least_rtt(cc);
	cc->is_drained = false;
	cc->may_learn = !cc->is_seen;
}

/* The first frames that meet the shorter queue leave after half a round trip, and
 * are answered after one and a half. */
static void cc_go_on_looking(struct xm_cc *cc, struct xm_time now)
{
	int64_t took = xm_time_sub(now, cc->look_from);
	int64_t was = cc->look_rtt_ns, is = cc->looked_rtt_ns;

	if (!cc->is_drained) {
		if (took < was * 3 / 2)
			return;
		cc->is_drained = true;
		cc->n_looked = 0;
	} else if (took >= 3 * was && cc->n_looked >= CC_LOOK_SAMPLES) {
		cc->look = 0;
		if (cc->may_learn && !cc->is_seen &&
		    was - is < was / CC_LOOK_PART)
			cc->min_rtt_ns = is;
	} else if (took >= CC_AGE_NS / 2) {
		cc->look = 0;
	}
}

void xm_cc_look(struct xm_cc *cc, struct xm_time now, uint64_t in_flight)
{
	int64_t age = now.ns / CC_AGE_NS;

	if (cc->look)
		cc_go_on_looking(cc, now);
	if (age == cc->age)
		return;
	cc->age = age;
	if (now.ns - cc->age_from_ns < CC_AGE_ROUNDS * cc->srtt_ns)
		return;
	if (2 * in_flight >= cc->cwnd &&
	    cc_least_rtt(cc) - cc->min_rtt_ns > cc_take_ns(cc))
		cc_begin_look(cc, now, in_flight);
	cc->is_seen = false;
	cc->age_from_ns = now.ns;
}

/* Slow start has doubled the window meanwhile. */
static uint64_t cc_after_loss(const struct xm_cc *cc)
{
	return xm_cc_in_slow_start(cc) ? cc->cwnd / 2 : cc->cwnd * 7 / 10;
}

/* Frames were lost while a queue stood: by it, most likely.  Not below what the
 * path carries without the queue, which the round trips prove. */
static bool cc_cut_for_queue(struct xm_cc *cc)
{
	int64_t rtt = cc_least_rtt(cc);

	if (!cc_has_queue(cc, rtt))
		return false;
	cc_cut_to(cc,
		  max_u64(cc_after_loss(cc),
			  cc->cwnd * (uint64_t)cc->min_rtt_ns / (uint64_t)rtt));
	return true;
}

void xm_cc_on_loss(struct xm_cc *cc, uint32_t frames)
{
	uint64_t window = cc->cwnd / cc->opts.mss;

	cc->frames_lost += frames;
	cc->bucket =
		min_u64(cc->bucket + (uint64_t)frames * (100 / CC_LOSS_PERCENT),
			CC_BUCKET + 1);
	if (cc->cut_in_round)
		return;
	if (cc->frames_ce || cc_rtt_is_swollen(cc) || cc->bucket > CC_BUCKET ||
	    (cc->frames_lost >= CC_BURST &&
	     8 * (uint64_t)cc->frames_lost > max_u64(cc->frames, window)))
		cc_cut_to(cc, cc_after_loss(cc));
	else if (!cc_cut_for_queue(cc))
		return;
	cc->bucket = min_u64(cc->bucket, CC_BUCKET_LEFT);
	cc->n_cuts++;
}

uint32_t xm_cc_couple(struct xm_cc *cc, uint32_t n_all)
{
	uint32_t own = cc->n_cuts - cc->n_told;

	if (n_all != cc->n_heard && !cc->cut_in_round)
		(void)cc_cut_for_queue(cc);
	cc->n_told = cc->n_cuts;
	cc->n_heard = n_all + own;
	return own;
}

void xm_cc_on_timeout(struct xm_cc *cc)
{
	uint64_t half = cc->cwnd / 2;

	if (!cc->prior_cwnd) {
		cc->prior_extra = cc->extra;
		cc->prior_cwnd = cc->cwnd;
		cc->prior_ssthresh = cc->ssthresh;
	}
	cc_cut_to(cc, XM_CC_WINDOW_MIN * (uint64_t)cc->opts.mss);
	cc->extra = cc->look = 0;
	cc->ssthresh = max_u64(half, cc->cwnd);
	cc->cut_in_round = false; /* nothing is out: slow start begins */
	cc->round_end = cc->delivered + cc->cwnd;
}

void xm_cc_undo_timeout(struct xm_cc *cc)
{
	if (cc->prior_cwnd > cc->cwnd) {
		cc->cwnd = cc->prior_cwnd;
		cc->extra = cc->prior_extra;
	}
	if (cc->prior_ssthresh > cc->ssthresh)
		cc->ssthresh = cc->prior_ssthresh;
	cc->prior_cwnd = 0;
}

void xm_cc_end_timeout(struct xm_cc *cc)
{
	cc->prior_cwnd = 0;
}

/* RFC 9002's, but at least RFC 8985's two round trips; and the same of the lag,
 * which knows how late the peer's thread may run. */
int64_t xm_cc_rto_ns(const struct xm_cc *cc)
{
	int64_t rto;

	if (!cc->srtt_ns)
		return XM_RTO_INIT_US * XM_US;
	rto = max_i64(2 * cc->srtt_ns, cc->srtt_ns + 4 * cc->rttvar_ns);
	rto = max_i64(rto, cc->lag_ns + 4 * cc->lagvar_ns);
	rto += XM_ACK_DELAY_US * XM_US;
	if (rto < XM_RTO_MIN_US * XM_US)
		rto = XM_RTO_MIN_US * XM_US;
	if (rto > XM_RTO_MAX_US * XM_US)
		rto = XM_RTO_MAX_US * XM_US;
	return rto;
}
