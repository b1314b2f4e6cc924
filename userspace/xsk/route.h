/* SPDX-License-Identifier: GPL-2.0-or-later */
/* route.h - next hop, source address, VLAN and MTU, by netlink
 *
 * AF_XDP transmits without routes, neighbours or an MTU check, so what the
 * kernel knows is asked for once and watched while frames flow.
 */
#ifndef XM_XSK_ROUTE_H
#define XM_XSK_ROUTE_H

#include <stdbool.h>
#include <sys/socket.h>

#include "core/encap.h"
#include "util/error.h"

struct route {
	struct xm_path path; /* ports not set */
	unsigned int ip_max; /* path MTU as far as this host knows it */
	int ifindex;         /* the device frames leave by, below any VLAN */
	int route_ifindex;   /* the interface the route names */
};

/* How to reach @peer (IPv4 or IPv6) by @ifname or a VLAN on it.  @src may be
 * NULL: then the kernel's choice.  Resolves the neighbour, by provoking
 * it, within @timeout_ms.  0, or with @e:
 *   -ENODEV         no such device
 *   -EOPNOTSUPP     it is no Ethernet device
 *   -EXDEV          the peer is reached by another device; @e names it
 *   -ENETUNREACH    no route
 *   -EHOSTUNREACH   the next hop does not answer
 *   -ENETDOWN       nor could it: the link is down
 *   -EADDRNOTAVAIL  @src is not ours, or @peer is not one host
 *   -EADDRINUSE     @peer is this host
 *   -EAFNOSUPPORT   neither IPv4 nor IPv6
 *   -EINTR          a signal was handled meanwhile */
int route_get(struct route *ret_route, const char *ifname,
	      const struct sockaddr *peer, const struct sockaddr *src,
	      int timeout_ms, struct xm_error *e);

/* The same for who only wants to know: nothing is sent, so a neighbour that the
 * kernel does not know stays unknown (path.dst_mac zero), and is no error. */
int route_peek(struct route *ret_route, const char *ifname,
	       const struct sockaddr *peer, const struct sockaddr *src,
	       struct xm_error *e);

struct route_watch;

/* Watch link, address, neighbour and route changes that concern @route, as
 * the caller uses it: its source address, its ports, and its ip_max, which is
 * what was agreed and must go on fitting.  0, or with @e: -ESTALE: it is not
 * what holds any more, get the route again; other -errno. */
int route_watch_open(struct route_watch **ret_watch, const char *ifname,
		     const struct sockaddr *peer, const struct route *route,
		     struct xm_error *e);
struct route_watch *route_watch_close(struct route_watch *w);
int route_watch_fd(const struct route_watch *w);

enum {
	ROUTE_E_SAME = 0, /* nothing that matters */
	ROUTE_E_CHANGED,  /* @ret_route is new (MAC, source address, VLAN), or
			   * holds again after DOWN */
	ROUTE_E_DOWN,     /* link down, or no route at the moment */
	ROUTE_E_SHRUNK,   /* MTU below what was agreed; @ret_route is new */
	ROUTE_E_GONE,     /* the device is gone */
};
/* Read pending messages when the descriptor is readable; one of the above, or
 * -errno with @e.  Never blocks.  DOWN, SHRUNK and GONE may be told again. */
int route_watch_read(struct route_watch *w, struct route *ret_route,
		     struct xm_error *e);

#endif
