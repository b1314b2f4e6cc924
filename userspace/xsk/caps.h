/* SPDX-License-Identifier: GPL-2.0-or-later */
/* caps.h - what a network device says it can do */
#ifndef XM_XSK_CAPS_H
#define XM_XSK_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct xsk_caps {
	char ifname[16];
	int ifindex;
	char driver[32];
	uint64_t xdp_features; /* NETDEV_XDP_ACT_*; 0 when not told */
	uint32_t zc_max_segs;  /* descriptors of a zero-copy frame; 1 when the
				   * kernel does not tell */
	unsigned int rx_queues, tx_queues; /* in use now */
	unsigned int mtu;
	int numa_node; /* -1 unknown */
	uint8_t mac[6];
	bool is_ethernet;
	bool is_up;      /* administratively up and carrier */
	bool has_ntuple; /* takes flow steering rules */
};

/* 0, or -errno with @e naming the device. */
int xsk_caps_get(struct xsk_caps *ret_caps, const char *ifname,
		 struct xm_error *e);

#endif
