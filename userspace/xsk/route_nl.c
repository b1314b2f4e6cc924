// SPDX-License-Identifier: GPL-2.0-or-later
/* route_nl.c - asking the kernel about links, routes and neighbours
 *
 * Each question is one "get" request with one answer, so no dump is ever
 * walked and a router with a full table costs as much as a laptop:
 *
 *   RTM_GETLINK    by index or name          name, MAC, MTU, state, VLAN
 *   RTM_GETROUTE   by destination            as 'ip route get' does: policy
 *                                            rules and learned MTUs included
 *   RTM_GETNEIGH   by interface and address  MAC and how sure it is
 *
 * rtnetlink answers before sendmsg() returns, so asking does not block.  An
 * answer of another type or too short for what it claims is -EBADMSG, an
 * attribute we do not know is skipped.
 */
#include "route_nl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "nl.h"

#define ANSWER_MAX 32768 /* bytes; a link with many attributes has about 2000 */
#define EVENTS_BUF (1 << 20) /* bytes the kernel may queue before it drops */

static unsigned int addr_len(int family)
{
	return family == AF_INET6 ? 16 : 4;
}

int route_nl_open(struct mnl_socket **ret_nl, const unsigned int *groups,
		  unsigned int n_groups)
{
	struct mnl_socket *nl;
	int r, size = EVENTS_BUF;
	unsigned int i;

	nl = mnl_socket_open2(NETLINK_ROUTE,
			      SOCK_CLOEXEC | (n_groups ? SOCK_NONBLOCK : 0));
	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID))
		goto err_close;
	for (i = 0; i < n_groups; i++) {
		int group = (int)groups[i];

		if (mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &group,
					  sizeof(group)))
			goto err_close;
	}
	/* overflow is noticed and survived, so a refusal does not matter */
	if (n_groups)
		(void)setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUF,
				 &size, sizeof(size));
	*ret_nl = nl;
	return 0;
err_close:
	r = -errno;
	mnl_socket_close(nl);
	return r;
}

struct mnl_socket *route_nl_close(struct mnl_socket *nl)
{
	if (nl)
		mnl_socket_close(nl);
	return NULL;
}

/* Send @nlh and hand the one answer to @cb.  mnl_cb_run() turns the kernel's
 * error answer, and what @cb makes of a bad one, into -1 and errno. */
static int nl_ask(struct mnl_socket *nl, struct nlmsghdr *nlh, mnl_cb_t cb,
		  void *data)
{
	static _Thread_local unsigned int seq;
	uint64_t buf[ANSWER_MAX / 8]; /* aligned as its header must be */
	ssize_t n;
	int r;

	nlh->nlmsg_flags |= NLM_F_REQUEST;
	nlh->nlmsg_seq = ++seq;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)n, nlh->nlmsg_seq,
			       mnl_socket_get_portid(nl), cb, data);
		if (r < 0)
			return nl_error();
	} while (r > 0);
	return 0;
}

/* -- links -------------------------------------------------------------------- */

static bool attr_has(const struct nlattr *a, size_t len)
{
	return mnl_attr_get_payload_len(a) >= len;
}

static void parse_vlan(const struct nlattr *data, struct route_link *l)
{
	const struct nlattr *a;
	uint16_t proto = ETH_P_8021Q;

	mnl_attr_for_each_nested(a, data)
	{
		unsigned int type = mnl_attr_get_type(a);

		if (type == IFLA_VLAN_ID && attr_has(a, 2))
			l->vlan = mnl_attr_get_u16(a);
		else if (type == IFLA_VLAN_PROTOCOL && attr_has(a, 2))
			proto = ntohs(mnl_attr_get_u16(a));
	}
	/* 802.1ad has another Ethernet type, which frames of ours never have */
	l->is_vlan = proto == ETH_P_8021Q && l->vlan;
}

static void parse_linkinfo(const struct nlattr *info, struct route_link *l)
{
	const struct nlattr *a, *data = NULL;
	bool is_vlan = false;

	mnl_attr_for_each_nested(a, info)
	{
		unsigned int type = mnl_attr_get_type(a);

		if (type == IFLA_INFO_KIND)
			is_vlan = attr_has(a, 5) &&
				  !memcmp(mnl_attr_get_payload(a), "vlan", 5);
		else if (type == IFLA_INFO_DATA)
			data = a;
	}
	if (is_vlan && data)
		parse_vlan(data, l);
}

static void parse_link_attr(const struct nlattr *a, struct route_link *l,
			    bool *is_lower_foreign)
{
	size_t len = mnl_attr_get_payload_len(a);

	switch (mnl_attr_get_type(a)) {
	case IFLA_IFNAME:
		if (len && len <= sizeof(l->name))
			memcpy(l->name, mnl_attr_get_payload(a), len);
		l->name[sizeof(l->name) - 1] = '\0';
		break;
	case IFLA_ADDRESS:
		if (len == sizeof(l->mac))
			memcpy(l->mac, mnl_attr_get_payload(a), len);
		break;
	case IFLA_MTU:
		if (attr_has(a, 4))
			l->mtu = mnl_attr_get_u32(a);
		break;
	case IFLA_LINK:
		if (attr_has(a, 4))
			l->lower = (int)mnl_attr_get_u32(a);
		break;
	case IFLA_MASTER:
		if (attr_has(a, 4))
			l->master = (int)mnl_attr_get_u32(a);
		break;
	case IFLA_LINK_NETNSID: /* then IFLA_LINK is an index over there */
		*is_lower_foreign = true;
		break;
	case IFLA_LINKINFO:
		parse_linkinfo(a, l);
		break;
	default:
		break;
	}
}

int route_nl_parse_link(const struct nlmsghdr *nlh, struct route_link *ret_link)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct route_link l = { 0 };
	bool is_lower_foreign = false;
	const struct nlattr *a;

	if (nlh->nlmsg_type != RTM_NEWLINK ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return -EBADMSG;
	l.ifindex = ifi->ifi_index;
	l.is_ether = ifi->ifi_type == ARPHRD_ETHER;
	l.is_up = (ifi->ifi_flags & IFF_UP) && (ifi->ifi_flags & IFF_LOWER_UP);
	mnl_attr_for_each(a, nlh, sizeof(*ifi))
		parse_link_attr(a, &l, &is_lower_foreign);
	if (is_lower_foreign)
		l.lower = 0;
	*ret_link = l;
	return 0;
}

static int link_cb(const struct nlmsghdr *nlh, void *data)
{
	errno = -route_nl_parse_link(nlh, data);
	return errno ? MNL_CB_ERROR : MNL_CB_STOP;
}

int route_nl_link(struct mnl_socket *nl, int ifindex, const char *name,
		  struct route_link *ret_link)
{
	uint64_t buf[32] = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	if (!ifindex && (!*name || strlen(name) >= IFNAMSIZ))
		return -ENODEV;
	nlh->nlmsg_type = RTM_GETLINK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = ifindex;
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (!ifindex)
		mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return nl_ask(nl, nlh, link_cb, ret_link);
}

/* -- routes ------------------------------------------------------------------------ */

static void parse_addr(const struct nlattr *a, int family,
		       struct route_addr *addr)
{
	if (!attr_has(a, addr_len(family)))
		return;
	addr->family = family;
	memcpy(addr->bytes, mnl_attr_get_payload(a), addr_len(family));
}

/* An IPv4 route may have an IPv6 next hop (RFC 5549). */
static void parse_via(const struct nlattr *a, struct route_addr *addr)
{
	const struct rtvia *via = mnl_attr_get_payload(a);

	if (!attr_has(a, sizeof(*via)) ||
	    (via->rtvia_family != AF_INET && via->rtvia_family != AF_INET6) ||
	    !attr_has(a, sizeof(*via) + addr_len(via->rtvia_family)))
		return;
	addr->family = via->rtvia_family;
	memcpy(addr->bytes, via->rtvia_addr, addr_len(addr->family));
}

int route_nl_parse_hop(const struct nlmsghdr *nlh, struct route_hop *ret_hop)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct route_addr dst = { 0 };
	struct route_hop hop = { 0 };
	const struct nlattr *a;

	if (nlh->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return -EBADMSG;
	hop.type = rtm->rtm_type;
	mnl_attr_for_each(a, nlh, sizeof(*rtm))
	{
		switch (mnl_attr_get_type(a)) {
		case RTA_DST:
			parse_addr(a, rtm->rtm_family, &dst);
			break;
		case RTA_OIF:
			if (attr_has(a, 4))
				hop.ifindex = (int)mnl_attr_get_u32(a);
			break;
		case RTA_GATEWAY:
			parse_addr(a, rtm->rtm_family, &hop.via);
			break;
		case RTA_VIA:
			parse_via(a, &hop.via);
			break;
		case RTA_PREFSRC:
			parse_addr(a, rtm->rtm_family, &hop.src);
			break;
		default:
			break;
		}
	}
	if (!hop.via.family)
		hop.via = dst;
	if (!hop.via.family)
		return -EBADMSG;
	*ret_hop = hop;
	return 0;
}

static int hop_cb(const struct nlmsghdr *nlh, void *data)
{
	errno = -route_nl_parse_hop(nlh, data);
	return errno ? MNL_CB_ERROR : MNL_CB_STOP;
}

int route_nl_hop(struct mnl_socket *nl, const struct route_addr *dst,
		 const struct route_addr *src, int oif,
		 struct route_hop *ret_hop)
{
	unsigned int len = addr_len(dst->family);
	uint64_t buf[32] = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm;

	nlh->nlmsg_type = RTM_GETROUTE;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = (unsigned char)dst->family;
	rtm->rtm_dst_len = (unsigned char)(len * 8);
	mnl_attr_put(nlh, RTA_DST, len, dst->bytes);
	if (src) {
		rtm->rtm_src_len = (unsigned char)(len * 8);
		mnl_attr_put(nlh, RTA_SRC, len, src->bytes);
	}
	if (oif)
		mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)oif);
	return nl_ask(nl, nlh, hop_cb, ret_hop);
}

/* -- neighbours -------------------------------------------------------------------- */

int route_nl_parse_neigh(const struct nlmsghdr *nlh,
			 struct route_neigh *ret_neigh)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct route_neigh n = { 0 };
	const struct nlattr *a;

	if (nlh->nlmsg_type != RTM_NEWNEIGH ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*ndm))
		return -EBADMSG;
	mnl_attr_for_each(a, nlh, sizeof(*ndm))
	{
		if (mnl_attr_get_type(a) != NDA_LLADDR ||
		    mnl_attr_get_payload_len(a) != sizeof(n.mac))
			continue;
		memcpy(n.mac, mnl_attr_get_payload(a), sizeof(n.mac));
		n.is_known = ndm->ndm_state &
			     (NUD_REACHABLE | NUD_STALE | NUD_DELAY |
			      NUD_PROBE | NUD_NOARP | NUD_PERMANENT);
		n.is_stale = ndm->ndm_state & NUD_STALE;
	}
	*ret_neigh = n;
	return 0;
}

static int neigh_cb(const struct nlmsghdr *nlh, void *data)
{
	errno = -route_nl_parse_neigh(nlh, data);
	return errno ? MNL_CB_ERROR : MNL_CB_STOP;
}

int route_nl_neigh(struct mnl_socket *nl, int ifindex,
		   const struct route_addr *addr, struct route_neigh *ret_neigh)
{
	uint64_t buf[32] = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct route_neigh none = { 0 };
	struct ndmsg *ndm;
	int r;

	nlh->nlmsg_type = RTM_GETNEIGH;
	ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	ndm->ndm_family = (unsigned char)addr->family;
	ndm->ndm_ifindex = ifindex;
	mnl_attr_put(nlh, NDA_DST, addr_len(addr->family), addr->bytes);
	r = nl_ask(nl, nlh, neigh_cb, ret_neigh);
	if (r != -ENOENT)
		return r;
	*ret_neigh = none;
	return 0;
}
