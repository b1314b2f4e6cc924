// SPDX-License-Identifier: GPL-2.0-or-later
/* cc.c - how much one channel may have in flight, and how fast it may leave
 *
 * Three signals, one window:
 *   CE marks   DCTCP (RFC 8257): the window shrinks by half the marked
 *              fraction, once a round;
 *   delay      when the smoothed round trip exceeds the least one seen by
 *              more than the target, the window shrinks by an eighth;
 *   loss       x 0.7 (Cubic's factor, RFC 9438) once a round, if the loss is
 *              congestive: marks or a swollen round trip go with it, or more
 *              than 2 % of the round is gone.  Any other loss is taken for a
 *              damaged frame and shrinks the window once in ten rounds at
 *              most.
 * A round ends when as many bytes were delivered as were in flight when it
 * began, so no clock is needed for it.
 *
 * Increase: slow start up to ssthresh, then one frame a round trip shared by
 * all channels of the migration, so that sixteen of them ask for what one TCP
 * flow asks for.
 *
 * Pacing spreads a window over a round trip, a little faster than the window
 * itself (x 2 in slow start, x 1.25 after).  Up to half a window may leave in
 * one go: the threads that call this sleep, and what the pacer withheld while
 * they slept would be lost.  A hard cap (--bandwidth) is paced exactly, with
 * bursts of 4 ms.  A thread that wakes up late for a frame that the cap held
 * back (ten milliseconds are nothing on a busy machine) finds up to 10 ms of
 * tokens, or the epoch would take longer than its bytes at the cap.
 *
 * The retransmission timer is made here since its estimates are: of the round
 * trip, and of the lag (loss.c says why there are two).
 *
 * Not here: credits, which count frames at the receiver, and the decision
 * that a frame is lost (loss.c).
 *
 * All arithmetic is in integers, so that a simulation is the same everywhere.
 */
#include "cc.h"

#include <string.h>

#include "xdpmig/limits.h"

#define CC_WINDOW_MIN      4    /* frames; below it loss detection starves */
#define CC_WINDOW_INIT     32   /* frames; one ACK's worth */
#define CC_ALPHA_ONE       1024 /* fixed point of alpha */
#define CC_LOSS_PERCENT    2  /* of a round's frames: above, it is congestion */
#define CC_CALM_ROUNDS     10 /* between cuts for losses that are not */
#define CC_DELAY_TARGET_NS (25 * XM_MS)
#define CC_CAP_BURST_NS    (4 * XM_MS)  /* of the hard cap's rate, */
#define CC_CAP_LATE_NS     (10 * XM_MS) /* and that a late sender makes up for */

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static int64_t max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void xm_cc_init(struct xm_cc *cc, const struct xm_cc_opts *opts)
{
	memset(cc, 0, sizeof(*cc));
	cc->opts = *opts;
	if (!cc->opts.n_channels)
		cc->opts.n_channels = 1;
	if (!cc->opts.delay_target_ns)
		cc->opts.delay_target_ns = CC_DELAY_TARGET_NS;
	cc->opts.cwnd_max =
		max_u64(cc->opts.cwnd_max, CC_WINDOW_MIN * (uint64_t)opts->mss);
	cc->cwnd = min_u64(CC_WINDOW_INIT * (uint64_t)opts->mss,
			   cc->opts.cwnd_max);
	cc->ssthresh = UINT64_MAX;
	cc->tokens = (int64_t)cc->cwnd;
	cc->rounds_since_loss_cut = CC_CALM_ROUNDS;
}

static bool cc_in_slow_start(const struct xm_cc *cc)
{
	return cc->cwnd < cc->ssthresh;
}

static void cc_cut_to(struct xm_cc *cc, uint64_t cwnd)
{
	cc->cwnd = max_u64(cwnd, CC_WINDOW_MIN * (uint64_t)cc->opts.mss);
	cc->ssthresh = cc->cwnd;
	cc->cut_in_round = true;
	cc->grow = 0;
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

void xm_cc_on_rtt(struct xm_cc *cc, int64_t rtt_ns)
{
	if (rtt_ns <= 0)
		return;
	if (!cc->srtt_ns || rtt_ns < cc->min_rtt_ns)
		cc->min_rtt_ns = rtt_ns;
	cc_smooth(&cc->srtt_ns, &cc->rttvar_ns, rtt_ns);
}

void xm_cc_on_lag(struct xm_cc *cc, int64_t lag_ns)
{
	if (lag_ns > 0)
		cc_smooth(&cc->lag_ns, &cc->lagvar_ns, lag_ns);
}

static bool cc_rtt_is_swollen(const struct xm_cc *cc)
{
	return cc->srtt_ns - cc->min_rtt_ns > cc->opts.delay_target_ns;
}

/* End of a round: DCTCP's estimate, the delay signal, and a new round. */
static void cc_end_round(struct xm_cc *cc, uint64_t in_flight)
{
	/* A duplicate's or a rejected frame's mark counts, its frame does not:
	 * there may be more marks than frames. */
	uint64_t ce = min_u64(cc->frames_ce, cc->frames);
	uint32_t frac =
		cc->frames ? (uint32_t)(ce * CC_ALPHA_ONE / cc->frames) : 0;

	cc->alpha = cc->alpha - cc->alpha / 16 + frac / 16;
	if (cc->frames_ce && !cc->cut_in_round) {
		/* the first marks end slow start before alpha has grown */
		uint32_t alpha = cc_in_slow_start(cc) ? CC_ALPHA_ONE :
							cc->alpha;

		cc_cut_to(cc, cc->cwnd - cc->cwnd * alpha / CC_ALPHA_ONE / 2);
	} else if (cc_rtt_is_swollen(cc) && !cc->cut_in_round) {
		cc_cut_to(cc, cc->cwnd - cc->cwnd / 8);
	}
	cc->frames = cc->frames_ce = cc->frames_lost = 0;
	cc->cut_in_round = false;
	cc->rounds_since_loss_cut++;
	cc->round_end = cc->delivered + max_u64(in_flight, cc->opts.mss);
}

void xm_cc_on_ack(struct xm_cc *cc, uint64_t bytes, uint32_t frames,
		  uint32_t ce)
{
	uint64_t step;

	cc->delivered += bytes;
	cc->frames += frames;
	cc->frames_ce += ce;
	if (cc->delivered >= cc->round_end)
		cc_end_round(cc, cc->cwnd);
	if (cc->cut_in_round || ce)
		return;
	if (cc_in_slow_start(cc)) {
		cc->cwnd += bytes;
	} else {
		/* mss / n_channels for each window's worth of bytes */
		cc->grow += bytes;
		step = cc->cwnd * cc->opts.n_channels;
		if (cc->grow >= step) {
			cc->grow -= step;
			cc->cwnd += cc->opts.mss;
		}
	}
	cc->cwnd = min_u64(cc->cwnd, cc->opts.cwnd_max);
}

void xm_cc_on_loss(struct xm_cc *cc, uint32_t frames)
{
	bool is_congestive;

	cc->frames_lost += frames;
	if (cc->cut_in_round)
		return;
	is_congestive = cc->frames_ce || cc_rtt_is_swollen(cc) ||
			(uint64_t)cc->frames_lost * 100 >
				(uint64_t)CC_LOSS_PERCENT *
					max_u64(cc->frames + cc->frames_lost,
						cc->cwnd / cc->opts.mss);
	if (!is_congestive && cc->rounds_since_loss_cut < CC_CALM_ROUNDS)
		return;
	cc->rounds_since_loss_cut = 0;
	cc_cut_to(cc, cc->cwnd * 7 / 10);
}

void xm_cc_on_timeout(struct xm_cc *cc)
{
	uint64_t half = cc->cwnd / 2;

	if (!cc->prior_cwnd) {
		cc->prior_cwnd = cc->cwnd;
		cc->prior_ssthresh = cc->ssthresh;
	}
	cc_cut_to(cc, 0);
	cc->ssthresh = max_u64(half, cc->cwnd);
}

void xm_cc_undo_timeout(struct xm_cc *cc)
{
	if (cc->prior_cwnd > cc->cwnd)
		cc->cwnd = cc->prior_cwnd;
	if (cc->prior_ssthresh > cc->ssthresh)
		cc->ssthresh = cc->prior_ssthresh;
	cc->prior_cwnd = 0;
}

void xm_cc_end_timeout(struct xm_cc *cc)
{
	cc->prior_cwnd = 0;
}

/* Bytes per second the pacer lets through now, and the most tokens it keeps;
 * rate 0 = no pacing. */
static uint64_t cc_rate(const struct xm_cc *cc, uint64_t *ret_burst)
{
	uint64_t rate = 0, burst;

	burst = max_u64(32 * (uint64_t)cc->opts.mss, cc->cwnd / 2);
	if (cc->srtt_ns) {
		rate = cc->cwnd * (uint64_t)XM_SEC / (uint64_t)cc->srtt_ns;
		rate = cc_in_slow_start(cc) ? 2 * rate : rate + rate / 4;
	}
	if (cc->opts.rate && (!rate || cc->opts.rate < rate)) {
		rate = cc->opts.rate;
		burst = max_u64(2 * (uint64_t)cc->opts.mss,
				min_u64(burst,
					rate / (XM_SEC / CC_CAP_BURST_NS)));
	}
	*ret_burst = burst;
	return rate;
}

/* The most tokens that a sender finds that is late for a frame. */
static uint64_t cc_most(const struct xm_cc *cc, uint64_t rate, uint64_t burst)
{
	if (rate != cc->opts.rate)
		return burst;
	return max_u64(max_u64(burst, 4 * (uint64_t)cc->opts.mss),
		       rate / (XM_SEC / CC_CAP_LATE_NS));
}

/* What has passed since the last time, in tokens.  Only whole ones are taken,
 * and only their time counts as passed: however often a sender looks, it gets
 * the rate, and never more. */
void xm_cc_refill(struct xm_cc *cc, struct xm_time now)
{
	uint64_t burst, rate = cc_rate(cc, &burst), most, add;
	int64_t dt = xm_time_sub(now, cc->filled), room;

	if (dt <= 0)
		return;
	if (cc->is_holding)
		cc->is_late = true;
	else if (dt >= CC_CAP_LATE_NS || cc->tokens <= (int64_t)burst)
		cc->is_late = false;
	most = cc->is_late ? cc_most(cc, rate, burst) : burst;
	if (cc->tokens > (int64_t)most)
		cc->tokens = (int64_t)most;
	room = (int64_t)(cc->is_holding ? most : burst) - cc->tokens;
	cc->is_holding = false;
	if (room < 0)
		room = 0; /* what a late one found, and has not sent yet */
	if (!rate || (uint64_t)dt >= (uint64_t)room * XM_SEC / rate) {
		cc->tokens += room;
		cc->filled = now;
		return;
	}
	add = rate * (uint64_t)dt / XM_SEC; /* below room, so no overflow */
	cc->tokens += (int64_t)add;
	cc->filled = xm_time_add(cc->filled,
				 (int64_t)((add * XM_SEC + rate - 1) / rate));
}

struct xm_time xm_cc_expiry(const struct xm_cc *cc, struct xm_time now)
{
	uint64_t burst, rate = cc_rate(cc, &burst), want;
	int64_t wait;

	if (cc->tokens > 0 || !rate)
		return XM_TIME_NEVER;
	/* Wake for a batch, not for a frame: a quarter of the burst. */
	want = (uint64_t)-cc->tokens +
	       min_u64(burst / 4, 8 * (uint64_t)cc->opts.mss);
	wait = (int64_t)(want * 1000000 / max_u64(rate / 1000, 1));
	if (wait > 100 * XM_MS)
		wait = 100 * XM_MS;
	return xm_time_add(now, wait + 1);
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
