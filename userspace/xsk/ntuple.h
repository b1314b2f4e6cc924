/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ntuple.h - rules in the NIC that bring a UDP port to a receive queue */
#ifndef XM_XSK_NTUPLE_H
#define XM_XSK_NTUPLE_H

#include <linux/ethtool.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

/* UDP destination port @dport of one address family to @queue. */
struct ntuple_rule {
	bool is_ipv6;
	uint16_t dport;
	uint32_t queue;
};

/* A device's rule table.  @call does one ETHTOOL_* command and returns 0 or
 * -errno; ntuple_open() sets the real one, tests bring their own NIC. */
struct ntuple_dev {
	char ifname[16];
	int fd;
	int (*call)(struct ntuple_dev *dev, struct ethtool_rxnfc *cmd);
};

int ntuple_open(struct ntuple_dev *ret_dev, const char *ifname);
void ntuple_close(struct ntuple_dev *dev);

/* The rule as the kernel wants it; location not set. */
void ntuple_build(struct ethtool_rx_flow_spec *ret_fs,
		  const struct ntuple_rule *rule);

/* Is this a rule of ours: of exactly this form, its port among the
 * XM_CHAN_MAX from XM_PORT_DATA on, its queue below XM_CHAN_MAX? */
bool ntuple_is_ours(const struct ethtool_rx_flow_spec *fs);

/* Bring ports XM_PORT_DATA + i to queues first + i, i < @n, IPv4 and IPv6.
 * Returns the rules made; with 0 or half of them (a family all of whose rules
 * were taken back) @e says why.  Does not look for rules that exist. */
int ntuple_insert_all(struct ntuple_dev *dev, unsigned int first,
		      unsigned int n, struct xm_error *e);

/* Rules of ours in the table: how many, or -errno (-EOPNOTSUPP: the device has
 * none at all).  The second removes them: returns how many it could. */
int ntuple_count_ours(struct ntuple_dev *dev);
int ntuple_remove_ours(struct ntuple_dev *dev);

/* The last three on a device by name. */
int ntuple_insert(const char *ifname, unsigned int first, unsigned int n,
		  struct xm_error *e);
int ntuple_count(const char *ifname);
int ntuple_remove(const char *ifname);

#endif
