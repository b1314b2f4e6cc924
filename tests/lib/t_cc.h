/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_cc.h - windows in a known state
 *
 * A frame is 1000 bytes, so the first window is 32000.
 */
#ifndef T_CC_H
#define T_CC_H

#include "core/cc.h"

#define MSS 1000u

static inline struct xm_cc cc_of(unsigned int n_channels, uint64_t cwnd_max)
{
	const struct xm_cc_opts opts = {
		.mss = MSS,
		.cwnd_max = cwnd_max,
		.n_channels = n_channels,
	};
	struct xm_cc cc;

	xm_cc_init(&cc, &opts);
	return cc;
}

static inline struct xm_cc fresh(void)
{
	return cc_of(1, 1 << 30);
}

/* @frames of MSS bytes are acknowledged, @ce of them marked. */
static inline void ack(struct xm_cc *cc, uint32_t frames, uint32_t ce)
{
	xm_cc_on_ack(cc, cc->cwnd, (uint64_t)frames * MSS, frames, ce);
}

/* A whole window is: a round ends. */
static inline void round_of(struct xm_cc *cc, uint32_t ce)
{
	uint32_t frames = (uint32_t)((cc->cwnd + MSS - 1) / MSS);

	ack(cc, frames, ce);
}

/* Out of slow start, at 20 frames, in a round that has just begun. */
static inline struct xm_cc avoiding(unsigned int n_channels)
{
	struct xm_cc cc = cc_of(n_channels, 1 << 30);

	xm_cc_on_timeout(&cc);
	cc.cwnd = cc.ssthresh = 20 * MSS;
	ack(&cc, 20, 0);
	cc.cwnd = cc.ssthresh = 20 * MSS;
	cc.grow = 0;
	return cc;
}

/* The round trip is by so much longer than in some round before. */
static inline void swell(struct xm_cc *cc, int64_t by_ns)
{
	unsigned int i;

	xm_cc_on_rtt(cc, XM_MS);
	cc->round_rtt_ns = 0;
	for (i = 0; i < 100; i++)
		xm_cc_on_rtt(cc, XM_MS + by_ns);
}

#endif
