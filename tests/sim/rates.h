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
};

struct rates {
	double gbit_per_s;       /* payload over the epoch's time */
	double other_gbit_per_s; /* of the flow beside, on the wire */
	uint64_t frames, resent, timeouts;
};

/* Migrate; with a CUBIC flow beside from the first byte on, or alone.  Ends the
 * program when the migration does not succeed. */
struct rates rates_of(const struct rates_opts *opts, bool is_shared);

#endif
