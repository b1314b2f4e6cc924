// SPDX-License-Identifier: GPL-2.0-or-later
/* caps.c - asking the kernel what a network device can do
 *
 * Nothing is read from /sys/class/net: a process moved into a network
 * namespace (nsenter --net) still sees the /sys of the one it came from, and
 * a device of the same name there would answer.  Sockets always speak for
 * the namespace they were made in.
 *
 *   what                            asked by
 *   index, MTU, MAC, carrier        rtnetlink, RTM_GETLINK
 *   queues in use                   ethtool channels; a driver without them:
 *                                   the number of queues that it has
 *   driver, bus address, ntuple     ethtool ioctl
 *   NUMA node                       /sys/bus/pci, by that bus address: the
 *                                   same in every network namespace
 *   XDP features, descriptors of a  generic netlink "netdev" (Linux 6.3; the
 *   zero-copy frame                 kernel's libbpf of that age is not here)
 *
 * An older kernel or a simpler driver leaves some of it unanswered.  That is
 * no error: the field then has the value that promises least, as caps.h says.
 * What a driver announces is a hint all the same; bind() decides.
 */
#include "caps.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "compat.h"
#include "nl.h"

#define CAPS_BUF 16384 /* bytes; a link message with its attributes */

/* Send a request and hand every answer to @cb.  0 or -errno. */
static int caps_ask(int bus, struct nlmsghdr *nlh, mnl_cb_t cb, void *data)
{
	struct mnl_socket *nl = mnl_socket_open2(bus, SOCK_CLOEXEC);
	char buf[CAPS_BUF];
	ssize_t len;
	int r = MNL_CB_OK;

	if (!nl)
		return -errno;
	nlh->nlmsg_seq = 1;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		r = MNL_CB_ERROR;
	while (r == MNL_CB_OK) {
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		r = len < 0 ? MNL_CB_ERROR :
			      mnl_cb_run(buf, (size_t)len, 1,
					 mnl_socket_get_portid(nl), cb, data);
	}
	r = r == MNL_CB_ERROR ? nl_error() : 0;
	mnl_socket_close(nl);
	return r;
}

/* An answer that is not what it claims to be. */
static int caps_bad(void)
{
	errno = EBADMSG;
	return MNL_CB_ERROR;
}

static bool caps_has(const struct nlattr *a, size_t len)
{
	return mnl_attr_get_payload_len(a) >= len;
}

/* -- rtnetlink ----------------------------------------------------------------- */

static void caps_on_link_attr(const struct nlattr *a, struct xsk_caps *caps,
			      bool *carrier)
{
	switch (mnl_attr_get_type(a)) {
	case IFLA_MTU:
		if (caps_has(a, 4))
			caps->mtu = mnl_attr_get_u32(a);
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(a) == sizeof(caps->mac))
			memcpy(caps->mac, mnl_attr_get_payload(a),
			       sizeof(caps->mac));
		break;
	case IFLA_CARRIER:
		if (caps_has(a, 1))
			*carrier = mnl_attr_get_u8(a);
		break;
	case IFLA_NUM_RX_QUEUES:
		if (caps_has(a, 4))
			caps->rx_queues = mnl_attr_get_u32(a);
		break;
	case IFLA_NUM_TX_QUEUES:
		if (caps_has(a, 4))
			caps->tx_queues = mnl_attr_get_u32(a);
		break;
	default:
		break;
	}
}

static int caps_on_link(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct xsk_caps *caps = data;
	const struct nlattr *a;
	bool carrier;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return caps_bad();
	carrier = ifi->ifi_flags & IFF_RUNNING;
	caps->ifindex = ifi->ifi_index;
	caps->is_ethernet = ifi->ifi_type == ARPHRD_ETHER;
	mnl_attr_for_each(a, nlh, sizeof(*ifi))
		caps_on_link_attr(a, caps, &carrier);
	caps->is_up = (ifi->ifi_flags & IFF_UP) && carrier;
	return MNL_CB_STOP; /* one device was asked for: one answer */
}

static int caps_get_link(struct xsk_caps *caps)
{
	char buf[512] = { 0 }; /* padding goes to the kernel */
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, caps->ifname);
	return caps_ask(NETLINK_ROUTE, nlh, caps_on_link, caps);
}

/* -- generic netlink ------------------------------------------------------------ */

static int caps_on_family(const struct nlmsghdr *nlh, void *data)
{
	uint16_t *family = data;
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(nlh) < GENL_HDRLEN)
		return caps_bad();
	mnl_attr_for_each(a, nlh, GENL_HDRLEN)
	{
		if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID &&
		    caps_has(a, 2))
			*family = mnl_attr_get_u16(a);
	}
	return MNL_CB_STOP;
}

static int caps_on_netdev(const struct nlmsghdr *nlh, void *data)
{
	struct xsk_caps *caps = data;
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(nlh) < GENL_HDRLEN)
		return caps_bad();
	mnl_attr_for_each(a, nlh, GENL_HDRLEN)
	{
		switch (mnl_attr_get_type(a)) {
		case XSK_NETDEV_A_XDP_FEATURES:
			if (caps_has(a, 8))
				caps->xdp_features = mnl_attr_get_u64(a);
			break;
		case XSK_NETDEV_A_ZC_MAX_SEGS:
			if (caps_has(a, 4))
				caps->zc_max_segs = mnl_attr_get_u32(a);
			break;
		default:
			break;
		}
	}
	return MNL_CB_STOP;
}

static struct nlmsghdr *caps_genl(void *buf, uint16_t family, uint8_t cmd)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *g;

	nlh->nlmsg_type = family;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));
	g->cmd = cmd;
	g->version = 1;
	return nlh;
}

/* A kernel without the family leaves "not told". */
static void caps_get_netdev(struct xsk_caps *caps)
{
	struct nlmsghdr *nlh;
	uint16_t family = 0;
	char buf[512] = { 0 };

	nlh = caps_genl(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, XSK_NETDEV_FAMILY);
	if (caps_ask(NETLINK_GENERIC, nlh, caps_on_family, &family) || !family)
		return;
	nlh = caps_genl(buf, family, XSK_NETDEV_CMD_DEV_GET);
	mnl_attr_put_u32(nlh, XSK_NETDEV_A_IFINDEX, (uint32_t)caps->ifindex);
	(void)caps_ask(NETLINK_GENERIC, nlh, caps_on_netdev, caps);
}

/* -- ethtool ------------------------------------------------------------------- */

static int caps_ethtool(int fd, const struct xsk_caps *caps, void *cmd)
{
	struct ifreq ifr = { 0 };

	memcpy(ifr.ifr_name, caps->ifname, sizeof(caps->ifname));
	ifr.ifr_data = cmd;
	return ioctl(fd, SIOCETHTOOL, &ifr) ? -errno : 0;
}

static int caps_numa_node(const char *bus_info)
{
	char path[96], text[16] = "", *end;
	long node = -1;
	FILE *f;

	if (strchr(bus_info, '/'))
		return -1;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.32s/numa_node",
		 bus_info);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fgets(text, sizeof(text), f)) {
		node = strtol(text, &end, 10);
		if (end == text || node < 0 || node > INT_MAX)
			node = -1;
	}
	fclose(f);
	return (int)node;
}

static void caps_get_ethtool(struct xsk_caps *caps)
{
	struct ethtool_channels ch = { .cmd = ETHTOOL_GCHANNELS };
	struct ethtool_drvinfo drv = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_value flags = { .cmd = ETHTOOL_GFLAGS };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (!caps_ethtool(fd, caps, &drv)) {
		drv.bus_info[sizeof(drv.bus_info) - 1] = '\0';
		snprintf(caps->driver, sizeof(caps->driver), "%.31s",
			 drv.driver);
		caps->numa_node = caps_numa_node(drv.bus_info);
	}
	if (!caps_ethtool(fd, caps, &ch)) {
		if (ch.rx_count + ch.combined_count)
			caps->rx_queues = ch.rx_count + ch.combined_count;
		if (ch.tx_count + ch.combined_count)
			caps->tx_queues = ch.tx_count + ch.combined_count;
	}
	if (!caps_ethtool(fd, caps, &flags))
		caps->has_ntuple = flags.data & ETH_FLAG_NTUPLE;
	close(fd);
}

int xsk_caps_get(struct xsk_caps *ret_caps, const char *ifname,
		 struct xm_error *e)
{
	struct xsk_caps caps = { .zc_max_segs = 1, .numa_node = -1 };
	int r;

	if (!ifname[0] || strlen(ifname) >= sizeof(caps.ifname))
		return xm_fail(e, -EINVAL, XM_REASON_DEVICE,
			       "'%s' is not the name of a network device",
			       ifname);
	snprintf(caps.ifname, sizeof(caps.ifname), "%s", ifname);
	r = caps_get_link(&caps);
	if (r == -ENODEV)
		return xm_fail(
			e, r, XM_REASON_DEVICE,
			"%s: no such device in this network namespace; see ip link",
			ifname);
	if (r)
		return xm_fail(e, r, XM_REASON_DEVICE,
			       "%s: asking for the link: %s", ifname,
			       strerror(-r));
	caps_get_netdev(&caps);
	caps_get_ethtool(&caps);
	if (!caps.zc_max_segs)
		caps.zc_max_segs = 1;
	*ret_caps = caps;
	return 0;
}
