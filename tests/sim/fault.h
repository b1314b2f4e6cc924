/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fault.h - nodes that lose, repeat, damage and hold back packets
 *
 * They take no time themselves (what is held back waits in a queue ordered by
 * time) and are composed like the nodes of net.h.
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "log.h"
#include "net.h"

/* Each packet is lost with this chance. */
struct sim_node *sim_loss(struct sim *s, uint32_t ppm);

/* Gilbert-Elliott, by time: a good and a bad state, each for a while (up to
 * twice its mean), in which packets are lost with a chance of its own. */
struct sim_gilbert {
	int64_t good_ns, bad_ns; /* means */
	uint32_t loss_good_ppm, loss_bad_ppm;
};

struct sim_node *sim_gilbert(struct sim *s, const struct sim_gilbert *g);

/* A copy follows with this chance, up to @max_ns later. */
struct sim_node *sim_dup(struct sim *s, uint32_t ppm, int64_t max_ns);

/* Damage with this chance: bits flipped in the headers or anywhere, a byte or
 * a run of bytes overwritten, the end cut off, bytes appended. */
struct sim_node *sim_corrupt(struct sim *s, uint32_t ppm);

/* What is longer than @ip_max from the IP header on gets lost. */
struct sim_node *sim_narrow(struct sim *s, unsigned int ip_max);

/* Nothing gets through in these windows. */
struct sim_window {
	int64_t from_ns, to_ns; /* [from, to); empty when from == to */
};

#define SIM_WINDOWS_MAX 4

static inline bool sim_window_has(const struct sim_window *w, unsigned int n,
				  struct xm_time now, struct xm_time *ret_end)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (now.ns >= w[i].from_ns && now.ns < w[i].to_ns) {
			*ret_end = (struct xm_time){ w[i].to_ns };
			return true;
		}
	return false;
}

struct sim_node *sim_cut(struct sim *s, const struct sim_window *w);

/* What befalls chosen frames: those that match, the @from-th (1 = first) and
 * the @n - 1 that follow. */
enum sim_do {
	SIM_NOTHING,
	SIM_DROP,
	SIM_HOLD, /* for hold_ns, or until the world is in epoch until_epoch */
	SIM_FLIP, /* one bit of the payload */
	SIM_CE,   /* mark Congestion Experienced */
	SIM_MISPLACE, /* DATA: the next page's address, sealed again */
};

struct sim_pick {
	enum sim_do what;
	uint8_t type;    /* enum xm_wire_type, 0 = any */
	uint8_t channel; /* compared unless all_channels */
	uint32_t epoch;  /* 0 = any */
	uint32_t seq;    /* of HEADER and DATA, unless all_seqs */
	bool all_seqs, all_channels;
	unsigned int from, n; /* 0, 0: the first; n 0 with from: all after */
	int64_t hold_ns;      /* SIM_HOLD */
	uint32_t until_epoch; /* SIM_HOLD, 0 = by time */
	/* Breaking a rule of the protocol on purpose: what is let go after a
	 * SIM_HOLD gets this number, or the epoch that the receiver is in,
	 * and a header that is sealed again. */
	bool renumber, any_epoch;
	uint32_t new_seq;
	unsigned int seen; /* transmissions that matched so far */
};

#define SIM_PICKS_MAX 8

#define SIM_AFTER_ALL UINT32_MAX /* until_epoch: when the last one is over */

/* How far the world is. */
struct sim_phase {
	uint32_t epoch; /* that the receivers take */
	bool is_over;
};

/* @phase is read whenever the loop asks.  @picks are lent and counted in. */
struct sim_node *sim_picks(struct sim *s, struct sim_pick *picks,
			   unsigned int n, const struct sim_phase *phase,
			   struct sim_log *log);

#endif
