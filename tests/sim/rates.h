/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rates.h - how fast a world migrates: over a link that loses frames, and beside
 * a TCP flow */
#ifndef SIM_RATES_H
#define SIM_RATES_H

#include "world.h"

struct rates_opts {
	unsigned int channels, mtu;
	uint64_t rate;  /* of the link, bytes a second */
	uint64_t queue; /* before it, bytes, drop tail; 0: the link is a port of
			 * the source's card, which pushes back */
	int64_t rtt_ns;
	uint32_t loss_ppm;  /* of frames, up and down */
	uint64_t size;      /* of the guest, bytes */
	uint64_t rx_memory; /* of the receiver, all channels */
	uint64_t seed;
	int64_t longer_ns, longer_at_ns; /* the way up, from then on */
	int64_t other_at_ns;             /* a flow beside begins */
	int64_t slot_ns;                 /* see struct rates; 0: no slots */
};

#define RATES_SLOTS 1000

struct rates {
	double gbit_per_s;       /* payload over the epoch's time */
	double other_gbit_per_s; /* of the flow beside, on the wire */
	uint64_t frames, resent, timeouts;
	int64_t least_rtt_ns; /* in the end, of the channel that has the longest */
	/* the first RATES_SLOTS times of slot_ns, from the beginning of time */
	unsigned int n_slots;
	double slot_gbit_per_s[RATES_SLOTS];
};

/* Migrate; with a CUBIC flow beside from the first byte on, or alone.  Ends the
 * program when the migration does not succeed. */
struct rates rates_of(const struct rates_opts *opts, bool is_shared);

#endif
