/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plan.h - from a device's capabilities and the user's wishes to one channel's
 * engine and sizes.  Pure: what --dry-run prints is what a migration uses.
 */
#ifndef XM_XSK_PLAN_H
#define XM_XSK_PLAN_H

#include "caps.h"
#include "chan.h"

#define XSK_TX_RING 2048 /* descriptors: 5 MiB of frames at MTU 9000 */

struct xsk_wish {
	enum xsk_zero_copy zero_copy;
	bool is_sender;
	unsigned int n_channels;
	uint64_t in_flight;   /* bytes a channel */
	uint64_t lock_budget; /* bytes, whole migration; 0 = none */
	uint64_t slice_max;   /* bytes of the largest channel's populated guest
				  * memory */
	uint64_t rx_memory;   /* bytes, whole migration */
	unsigned int ip_max;  /* largest frame from the IP header on */
	bool is_native; /* XDP attached in native mode: zero-copy needs it */
	const char *why_copied; /* payload must be staged anyway: a clause that
				 * says why; NULL: it need not */
};

struct xsk_plan {
	struct xsk_chan_opts opts; /* all but ifname, ifindex, queue, extents */
	bool maps_guest;           /* extents go into the UMEM */
	uint64_t locked;           /* bytes one channel's UMEM pins at most */
	unsigned int ip_max; /* as wished, or less where the engine has one
				     * chunk a frame */
};

/* 0, or -errno with @e: zero-copy required but not to be had (says why), or a
 * budget below the least a channel needs (says how much). */
int xsk_plan_make(struct xsk_plan *ret_plan, const struct xsk_caps *caps,
		  const struct xsk_wish *wish, struct xm_error *e);

#endif
