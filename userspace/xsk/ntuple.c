// SPDX-License-Identifier: GPL-2.0-or-later
/* ntuple.c - rules in the NIC that bring a UDP port to a receive queue
 *
 * A socket takes only frames of its own queue, and XDP cannot move a frame to
 * another: the NIC must choose right.  Many NICs have a table of flow rules,
 * which `ethtool -N DEV flow-type udp4 dst-port P action Q` fills by the same
 * ioctl as this file.  Channel i's port goes to queue first + i, so a table
 * needs two entries (IPv4, IPv6) for each channel.
 *
 * A NIC without a table, with a full one, or with the feature switched off
 * (`ethtool -K DEV ntuple on`) is no failure: then a session searches for
 * source ports that hash to the right queues.
 *
 * Nothing remembers what was inserted, since the memory could get lost when
 * the table does not: rules are recognised by their form and their ports,
 * which nobody else has reason to use.
 *
 * Where in the table?  Some drivers choose the place themselves
 * (RX_CLS_LOC_SPECIAL).  The others want to be told: the highest free entry,
 * which has the lowest priority, as ethtool does.
 */
#include "ntuple.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "util/fd.h"
#include "xdpmig/limits.h"

/* -- one rule ---------------------------------------------------------------- */

void ntuple_build(struct ethtool_rx_flow_spec *ret_fs,
		  const struct ntuple_rule *rule)
{
	struct ethtool_rx_flow_spec fs = { .ring_cookie = rule->queue };

	if (rule->is_ipv6) {
		fs.flow_type = UDP_V6_FLOW;
		fs.h_u.udp_ip6_spec.pdst = htons(rule->dport);
		fs.m_u.udp_ip6_spec.pdst = 0xffff;
	} else {
		fs.flow_type = UDP_V4_FLOW;
		fs.h_u.udp_ip4_spec.pdst = htons(rule->dport);
		fs.m_u.udp_ip4_spec.pdst = 0xffff;
	}
	*ret_fs = fs;
}

/* Does the rule look at nothing but the destination port?  (Field by field:
 * the padding of a driver's answer is anybody's.) */
static bool is_by_port4(const struct ethtool_rx_flow_spec *fs)
{
	const struct ethtool_tcpip4_spec *m = &fs->m_u.udp_ip4_spec;

	return m->pdst == 0xffff && !m->psrc && !m->ip4src && !m->ip4dst &&
	       !m->tos;
}

static bool is_by_port6(const struct ethtool_rx_flow_spec *fs)
{
	static const __be32 any[4];
	const struct ethtool_tcpip6_spec *m = &fs->m_u.udp_ip6_spec;

	return m->pdst == 0xffff && !m->psrc && !m->tclass &&
	       !memcmp(m->ip6src, any, sizeof(any)) &&
	       !memcmp(m->ip6dst, any, sizeof(any));
}

/* The rule's port, host order; 0 when the rule is not by port alone. */
static uint16_t rule_port(const struct ethtool_rx_flow_spec *fs)
{
	if (fs->flow_type & FLOW_EXT &&
	    (fs->m_ext.vlan_etype || fs->m_ext.vlan_tci || fs->m_ext.data[0] ||
	     fs->m_ext.data[1]))
		return 0;
	switch (fs->flow_type & ~(uint32_t)FLOW_EXT) {
	case UDP_V4_FLOW:
		return is_by_port4(fs) ? ntohs(fs->h_u.udp_ip4_spec.pdst) : 0;
	case UDP_V6_FLOW:
		return is_by_port6(fs) ? ntohs(fs->h_u.udp_ip6_spec.pdst) : 0;
	default: /* other protocols; a MAC address or an RSS context as well */
		return 0;
	}
}

bool ntuple_is_ours(const struct ethtool_rx_flow_spec *fs)
{
	uint16_t dport = rule_port(fs);

	return dport >= XM_PORT_DATA && dport < XM_PORT_DATA + XM_CHAN_MAX &&
	       fs->ring_cookie < XM_CHAN_MAX;
}

/* -- the table ------------------------------------------------------------------ */

static int ntuple_ioctl(struct ntuple_dev *dev, struct ethtool_rxnfc *cmd)
{
	struct ifreq ifr = { .ifr_data = (void *)cmd };

	memcpy(ifr.ifr_name, dev->ifname, sizeof(dev->ifname));
	return ioctl(dev->fd, SIOCETHTOOL, &ifr) ? -errno : 0;
}

int ntuple_open(struct ntuple_dev *ret_dev, const char *ifname)
{
	struct ntuple_dev dev = { .call = ntuple_ioctl };

	dev.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)snprintf(dev.ifname, sizeof(dev.ifname), "%s", ifname);
	*ret_dev = dev;
	return dev.fd < 0 ? -errno : 0;
}

void ntuple_close(struct ntuple_dev *dev)
{
	dev->fd = fd_close(dev->fd);
}

/* The places in use: @ret_all is malloc'ed, rule_locs[0..rule_cnt), and data
 * the number of places or RX_CLS_LOC_SPECIAL. */
static int table_read(struct ntuple_dev *dev, struct ethtool_rxnfc **ret_all)
{
	struct ethtool_rxnfc cnt = { .cmd = ETHTOOL_GRXCLSRLCNT }, *all;
	int r = dev->call(dev, &cnt);

	if (r)
		return r;
	all = calloc(1, sizeof(*all) + cnt.rule_cnt * sizeof(uint32_t));
	if (!all)
		return -ENOMEM;
	all->cmd = ETHTOOL_GRXCLSRLALL;
	all->rule_cnt = cnt.rule_cnt;
	r = dev->call(dev, all);
	if (r) {
		free(all);
		return r;
	}
	if (all->rule_cnt > cnt.rule_cnt)
		all->rule_cnt = cnt.rule_cnt;
	if (cnt.data & RX_CLS_LOC_SPECIAL)
		all->data |= RX_CLS_LOC_SPECIAL;
	*ret_all = all;
	return 0;
}

static bool table_has(const struct ethtool_rxnfc *all, uint32_t loc)
{
	uint32_t i;

	for (i = 0; i < all->rule_cnt; i++)
		if (all->rule_locs[i] == loc)
			return true;
	return false;
}

/* The highest free place below @loc, or -ENOSPC. */
static int table_next_free(const struct ethtool_rxnfc *all, uint32_t *loc)
{
	if (all->data & RX_CLS_LOC_SPECIAL) {
		*loc = RX_CLS_LOC_ANY;
		return 0;
	}
	while (*loc > 0)
		if (!table_has(all, --*loc))
			return 0;
	return -ENOSPC;
}

static int rule_delete(struct ntuple_dev *dev, uint32_t loc)
{
	struct ethtool_rxnfc cmd = { .cmd = ETHTOOL_SRXCLSRLDEL,
				     .fs.location = loc };

	return dev->call(dev, &cmd);
}

/* -- one family ------------------------------------------------------------------- */

struct family {
	bool is_ipv6;
	unsigned int first, n;
};

/* All rules of a family or none.  @loc goes down as places are used. */
static int family_insert(struct ntuple_dev *dev, const struct family *f,
			 const struct ethtool_rxnfc *all, uint32_t *loc)
{
	uint32_t made[XM_CHAN_MAX];
	unsigned int i;
	int r = 0;

	for (i = 0; i < f->n; i++) {
		struct ntuple_rule rule = { .is_ipv6 = f->is_ipv6,
					    .dport = (uint16_t)(XM_PORT_DATA +
								i),
					    .queue = f->first + i };
		struct ethtool_rxnfc cmd = { .cmd = ETHTOOL_SRXCLSRLINS };

		ntuple_build(&cmd.fs, &rule);
		r = table_next_free(all, loc);
		cmd.fs.location = *loc;
		if (!r)
			r = dev->call(dev, &cmd);
		if (r)
			break;
		made[i] = cmd.fs.location;
	}
	while (r && i-- > 0)
		(void)rule_delete(dev, made[i]); /* nothing better to do */
	return r;
}

static const char *why_hint(int err)
{
	switch (err) {
	case -EOPNOTSUPP:
	case -EINVAL:
		return "; `ethtool -K DEV ntuple on` may help";
	case -ENOSPC:
		return ": its table is full";
	default:
		return "";
	}
}

int ntuple_insert_all(struct ntuple_dev *dev, unsigned int first,
		      unsigned int n, struct xm_error *e)
{
	struct family f = { .first = first, .n = n };
	struct ethtool_rxnfc *all;
	int r = table_read(dev, &all), made = 0, family;
	uint32_t loc;

	if (r)
		return xm_fail(e, r, XM_REASON_STEERING,
			       "%s takes no flow rules (%s)", dev->ifname,
			       strerror(-r));
	loc = (uint32_t)all->data;
	for (family = 0; family < 2; family++) {
		f.is_ipv6 = family;
		r = family_insert(dev, &f, all, &loc);
		if (!r)
			made += (int)n;
		else
			(void)xm_fail(e, r, XM_REASON_STEERING,
				      "%s refused %u %s flow rules (%s)%s",
				      dev->ifname, n, family ? "udp6" : "udp4",
				      strerror(-r), why_hint(r));
	}
	free(all);
	return made;
}

/* -- ours, by their looks ----------------------------------------------------------- */

static int table_walk_ours(struct ntuple_dev *dev, bool remove)
{
	struct ethtool_rxnfc *all;
	int r = table_read(dev, &all), n = 0;
	uint32_t i;

	if (r)
		return r;
	for (i = 0; i < all->rule_cnt; i++) {
		struct ethtool_rxnfc get = { .cmd = ETHTOOL_GRXCLSRULE,
					     .fs.location = all->rule_locs[i] };

		if (dev->call(dev, &get) || !ntuple_is_ours(&get.fs))
			continue;
		if (remove && rule_delete(dev, all->rule_locs[i]))
			continue;
		n++;
	}
	free(all);
	return n;
}

int ntuple_count_ours(struct ntuple_dev *dev)
{
	return table_walk_ours(dev, false);
}

int ntuple_remove_ours(struct ntuple_dev *dev)
{
	return table_walk_ours(dev, true);
}

/* -- by name -------------------------------------------------------------------------- */

int ntuple_insert(const char *ifname, unsigned int first, unsigned int n,
		  struct xm_error *e)
{
	struct ntuple_dev dev;
	int r = ntuple_open(&dev, ifname);

	if (r)
		return xm_fail(e, r, XM_REASON_STEERING, "%s: socket: %s",
			       ifname, strerror(-r));
	r = ntuple_insert_all(&dev, first, n, e);
	ntuple_close(&dev);
	return r;
}

int ntuple_count(const char *ifname)
{
	struct ntuple_dev dev;
	int r = ntuple_open(&dev, ifname);

	if (r)
		return r;
	r = ntuple_count_ours(&dev);
	ntuple_close(&dev);
	return r;
}

int ntuple_remove(const char *ifname)
{
	struct ntuple_dev dev;
	int r = ntuple_open(&dev, ifname);

	if (r)
		return r;
	r = ntuple_remove_ours(&dev);
	ntuple_close(&dev);
	return r;
}
