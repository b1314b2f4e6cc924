// SPDX-License-Identifier: GPL-2.0-or-later
/* route_look.c - what the kernel knows of a path
 *
 *   peer --RTM_GETROUTE--> interface, next hop, source address
 *            interface --RTM_GETLINK--> MAC, MTU, is it the device, or a VLAN
 *                                       on it?
 *            next hop --RTM_GETNEIGH--> MAC
 *   peer --UDP socket, connected--> path MTU
 *
 * The route is asked for without naming our device.  With it, IPv4 answers
 * "on link" when there is no such route at all, and frames would go to a MAC
 * that nobody has.  So the kernel says where it would send, and if that is
 * not our device, the user has to know.
 *
 * An AF_XDP frame leaves by the physical device.  A route by a VLAN device
 * on top of it is fine: the tag is written into the frame.  A route by
 * anything else on top (bridge, bond, macvlan, a VLAN in a VLAN) is another
 * device: frames written to the port would bypass what that device does.
 *
 * The path MTU comes from a connected UDP socket, since a route's answer says
 * nothing of the interface's own limits (IPv6 has one per interface) and the
 * socket's is what TCP would use.  The same socket provokes resolution: an
 * empty datagram to the discard port, with a hop limit of 1, so that it gets
 * as far as the next hop and no farther.  No privilege is needed for any of
 * it.
 */
#include "route_look.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>

#include "util/fd.h"
#include "xdpmig/limits.h"

#define DISCARD_PORT 9

/* A socket address, whichever family it has. */
union any_sockaddr {
	struct sockaddr sa;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

const char *route_addr_text(const struct route_addr *addr, char *buf)
{
	if (!inet_ntop(addr->family, addr->bytes, buf, INET6_ADDRSTRLEN))
		strcpy(buf, "?");
	return buf;
}

static bool addr_is_zero(const struct route_addr *a)
{
	static const uint8_t zero[16];

	return !memcmp(a->bytes, zero, sizeof(zero));
}

static bool addr_is_link_local(const struct route_addr *a)
{
	return a->family == AF_INET6 && a->bytes[0] == 0xfe &&
	       (a->bytes[1] & 0xc0) == 0x80;
}

/* -EAFNOSUPPORT unless IPv4 or IPv6. */
static int addr_from(struct route_addr *ret, const struct sockaddr *sa)
{
	union any_sockaddr u;

	memset(ret, 0, sizeof(*ret));
	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&u.four, sa, sizeof(u.four));
		memcpy(ret->bytes, &u.four.sin_addr, 4);
		break;
	case AF_INET6:
		memcpy(&u.six, sa, sizeof(u.six));
		memcpy(ret->bytes, &u.six.sin6_addr, 16);
		break;
	default:
		return -EAFNOSUPPORT;
	}
	ret->family = sa->sa_family;
	return 0;
}

static socklen_t addr_to(union any_sockaddr *ret, const struct route_addr *a,
			 unsigned short port, int scope)
{
	memset(ret, 0, sizeof(*ret));
	if (a->family == AF_INET) {
		ret->four.sin_family = AF_INET;
		ret->four.sin_port = htons(port);
		memcpy(&ret->four.sin_addr, a->bytes, 4);
		return sizeof(ret->four);
	}
	ret->six.sin6_family = AF_INET6;
	ret->six.sin6_port = htons(port);
	memcpy(&ret->six.sin6_addr, a->bytes, 16);
	if (addr_is_link_local(a))
		ret->six.sin6_scope_id = (uint32_t)scope;
	return sizeof(ret->six);
}

int route_want_init(struct route_want *ret_want, int ifindex,
		    const char *ifname, const struct sockaddr *peer,
		    const struct sockaddr *src, struct xm_error *e)
{
	struct route_want w = { .ifindex = ifindex, .ifname = ifname };
	union any_sockaddr u;

	if (addr_from(&w.peer, peer) || (src && addr_from(&w.src, src)))
		return xm_fail(e, -EAFNOSUPPORT, XM_REASON_USAGE,
			       "the peer's address is neither IPv4 nor IPv6");
	if (w.src.family && addr_is_zero(&w.src))
		w.src.family = 0;
	if (w.src.family && w.src.family != w.peer.family)
		return xm_fail(e, -EAFNOSUPPORT, XM_REASON_USAGE,
			       "source and peer address are not of one family");
	if (addr_is_link_local(&w.peer)) {
		memcpy(&u.six, peer, sizeof(u.six));
		w.scope = (int)u.six.sin6_scope_id;
	}
	*ret_want = w;
	return 0;
}

/* Is @out the device, or a VLAN right on it? */
static bool look_is_ours(const struct route_look *look)
{
	return look->out.ifindex == look->dev.ifindex ||
	       (look->out.is_vlan && look->out.lower == look->dev.ifindex);
}

static bool addr_is_multicast(const struct route_addr *a)
{
	return a->family == AF_INET6 ? a->bytes[0] == 0xff : a->bytes[0] >= 224;
}

/* Kernels differ in how they refuse a source that is not theirs, so it is
 * blamed when there is a way without it. */
static int look_no_route(struct route_look *look, struct mnl_socket *nl,
			 const struct route_want *want, int oif)
{
	if (want->src.family &&
	    !route_nl_hop(nl, &want->peer, NULL, oif, &look->hop))
		return ROUTE_LOOK_E_BAD_SRC;
	return ROUTE_LOOK_E_NO_ROUTE;
}

static int look_hop(struct route_look *look, struct mnl_socket *nl,
		    const struct route_want *want)
{
	int oif = 0, r;

	if (addr_is_multicast(&want->peer))
		return ROUTE_LOOK_E_NOT_UNICAST;
	/* a link-local address is no place without an interface */
	if (addr_is_link_local(&want->peer))
		oif = want->scope ? want->scope : look->dev.ifindex;
	r = route_nl_hop(nl, &want->peer, want->src.family ? &want->src : NULL,
			 oif, &look->hop);
	switch (r) {
	case 0:
		break;
	case -ENETUNREACH:
	case -EHOSTUNREACH:
	case -EINVAL: /* type blackhole, or a foreign source */
	case -EACCES: /* type prohibit */
	case -ENODEV: /* the scope's interface is gone */
	case -ENETDOWN:
		return look_no_route(look, nl, want, oif);
	default:
		return r;
	}
	switch (look->hop.type) {
	case RTN_UNICAST:
		return 0;
	case RTN_LOCAL:
		return ROUTE_LOOK_E_LOCAL;
	case RTN_BROADCAST:
	case RTN_MULTICAST:
	case RTN_ANYCAST:
		return ROUTE_LOOK_E_NOT_UNICAST;
	default:
		return ROUTE_LOOK_E_NO_ROUTE;
	}
}

/* The UDP socket of the file's head: bound, connected, nothing sent.  The
 * descriptor, or -errno. */
static int udp_open(const struct route_want *want,
		    const struct route_look *look)
{
	bool is_six = want->peer.family == AF_INET6;
	int fd fd_cleanup = -1;
	union any_sockaddr u;
	int one = 1;
	socklen_t len;

	fd = socket(want->peer.family,
		    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, is_six ? IPPROTO_IPV6 : IPPROTO_IP,
		       is_six ? IPV6_UNICAST_HOPS : IP_TTL, &one, sizeof(one)))
		return -errno;
	if (look->src.family) {
		len = addr_to(&u, &look->src, 0, look->out.ifindex);
		if (bind(fd, &u.sa, len))
			return -errno;
	}
	len = addr_to(&u, &want->peer, DISCARD_PORT, look->out.ifindex);
	if (connect(fd, &u.sa, len))
		return -errno;
	return fd_steal(&fd);
}

static unsigned int min_uint(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Source address and path MTU, as a socket would have them. */
static int look_socket(struct route_look *look, const struct route_want *want)
{
	bool is_six = want->peer.family == AF_INET6;
	int fd fd_cleanup = -1;
	union any_sockaddr u;
	int mtu;
	socklen_t len = sizeof(mtu);

	look->src = want->src.family ? want->src : look->hop.src;
	fd = udp_open(want, look);
	if (fd == -EADDRNOTAVAIL)
		return ROUTE_LOOK_E_BAD_SRC;
	if (fd == -ENETUNREACH || fd == -EHOSTUNREACH || fd == -ENODEV ||
	    fd == -EACCES || fd == -EINVAL)
		return ROUTE_LOOK_E_NO_ROUTE;
	if (fd < 0)
		return fd;
	if (getsockopt(fd, is_six ? IPPROTO_IPV6 : IPPROTO_IP,
		       is_six ? IPV6_MTU : IP_MTU, &mtu, &len))
		return -errno;
	look->ip_max = min_uint((unsigned int)mtu, look->out.mtu);
	look->ip_max = min_uint(look->ip_max, look->dev.mtu);
	look->ip_max = min_uint(look->ip_max, XM_MTU_MAX);
	if (!look->src.family) {
		len = sizeof(u);
		if (getsockname(fd, &u.sa, &len))
			return -errno;
		return addr_from(&look->src, &u.sa);
	}
	return 0;
}

int route_look(struct route_look *look, struct mnl_socket *nl,
	       const struct route_want *want)
{
	int r;

	memset(look, 0, sizeof(*look));
	r = route_nl_link(nl, want->ifindex, want->ifname, &look->dev);
	if (r == -ENODEV)
		return ROUTE_LOOK_E_GONE;
	if (r)
		return r;
	if (!look->dev.is_ether)
		return ROUTE_LOOK_E_NOT_ETHERNET;
	r = look_hop(look, nl, want);
	if (r)
		return r;
	r = route_nl_link(nl, look->hop.ifindex, "", &look->out);
	if (r == -ENODEV) /* gone between the two questions */
		return ROUTE_LOOK_E_NO_ROUTE;
	if (r)
		return r;
	if (!look_is_ours(look))
		return ROUTE_LOOK_E_OTHER_DEV;
	r = look_socket(look, want);
	if (r)
		return r;
	return route_nl_neigh(nl, look->hop.ifindex, &look->hop.via,
			      &look->neigh);
}

void route_poke(const struct route_want *want, const struct route_look *look)
{
	int fd fd_cleanup = udp_open(want, look);

	if (fd >= 0)
		(void)!send(fd, "", 0, MSG_NOSIGNAL); /* the table tells */
}

void route_from_look(struct route *ret_route, const struct route_want *want,
		     const struct route_look *look)
{
	struct route r = { 0 };

	r.ifindex = look->dev.ifindex;
	r.route_ifindex = look->out.ifindex;
	r.ip_max = look->ip_max;
	r.path.ipv6 = want->peer.family == AF_INET6;
	r.path.vlan = look->out.vlan;
	memcpy(r.path.src_mac, look->out.mac, sizeof(r.path.src_mac));
	memcpy(r.path.dst_mac, look->neigh.mac, sizeof(r.path.dst_mac));
	memcpy(r.path.src, look->src.bytes, sizeof(r.path.src));
	memcpy(r.path.dst, want->peer.bytes, sizeof(r.path.dst));
	*ret_route = r;
}
