// SPDX-License-Identifier: GPL-2.0-or-later
/* cc_pace.c - when the frames of a window leave, and the hard cap
 *
 * Pacing spreads a window over a round trip, a little faster than the window
 * itself (x 2 in slow start, x 1.25 after).  Up to half a window may leave in
 * one go: the threads that call this sleep, and what the pacer withheld while
 * they slept would be lost.  A hard cap (--bandwidth) is paced exactly, with
 * bursts of 4 ms.  A thread that wakes up late for a frame that the cap held
 * back (ten milliseconds are nothing on a busy machine) finds up to 10 ms of
 * tokens, or the epoch would take longer than its bytes at the cap.
 *
 * A cap that is lowered holds at once, and the window becomes what it can fill,
 * twice: more would stay, since a window that is not half used does not grow, and
 * cuts of what nobody uses would slow nothing down (RFC 7661).  The window before
 * is remembered as where slow start may lead when the cap is lifted.
 */
#include "cc_priv.h"

#include "xdpmig/limits.h"

#define CC_CAP_BURST_NS (4 * XM_MS)  /* of the hard cap's rate, */
#define CC_CAP_LATE_NS  (10 * XM_MS) /* and that a late sender makes up for */

/* Bytes per second the pacer lets through now, and the most tokens it keeps;
 * rate 0 = no pacing. */
static uint64_t cc_rate(const struct xm_cc *cc, uint64_t *ret_burst)
{
	uint64_t rate = 0, burst, cwnd = xm_cc_window(cc);

	burst = max_u64(32 * (uint64_t)cc->opts.mss, cwnd / 2);
	if (!cc->srtt_ns && cc->opts.n_channels > 1) {
		burst = cwnd / 2;
		rate = burst * (uint64_t)(XM_SEC / XM_MS);
	} else if (cc->srtt_ns) {
		rate = cwnd * (uint64_t)XM_SEC / (uint64_t)cc->srtt_ns;
		if (cwnd < XM_CC_WINDOW_MIN * (uint64_t)cc->opts.mss)
			burst = cc->opts.mss;
		else
			rate = xm_cc_in_slow_start(cc) ? 2 * rate :
							 rate + rate / 4;
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

/* The window that a cap fills half. */
static uint64_t cc_filled_by(const struct xm_cc *cc, uint64_t rate)
{
	uint64_t us = (uint64_t)(cc->srtt_ns + CC_CAP_BURST_NS) / 1000;

	return 2 * max_u64(us * (rate / 1000) / 1000,
			   XM_CC_WINDOW_MIN * (uint64_t)cc->opts.mss);
}

void xm_cc_set_rate(struct xm_cc *cc, uint64_t rate)
{
	uint64_t burst, cwnd;

	cc->opts.rate = rate;
	if (!rate)
		return;
	(void)cc_rate(cc, &burst);
	if (cc->tokens > (int64_t)burst)
		cc->tokens = (int64_t)burst;
	cwnd = cc_filled_by(cc, rate);
	if (!cc->srtt_ns || cwnd >= cc->cwnd)
		return;
	cc->ssthresh = max_u64(cc->ssthresh, cc->cwnd);
	cc->extra = cc->extra * (cwnd * 1024 / cc->cwnd) / 1024;
	cc->cwnd = cwnd;
	cc->round_end = min_u64(cc->round_end, cc->delivered + cwnd);
}
