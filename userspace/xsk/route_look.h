/* SPDX-License-Identifier: GPL-2.0-or-later */
/* route_look.h - one look at what the kernel knows of a path, without waiting
 *
 * Private to route*.c: route_get() looks until the neighbour is there,
 * the watch looks again whenever something changed.
 */
#ifndef XM_XSK_ROUTE_LOOK_H
#define XM_XSK_ROUTE_LOOK_H

#include <netinet/in.h>

#include "route.h"
#include "route_nl.h"

/* Who to reach, from where, by what.  A device is named by index once it is
 * known, so that renaming it does not matter. */
struct route_want {
	int ifindex;        /* or 0: by name */
	const char *ifname; /* for ifindex 0 */
	struct route_addr peer;
	struct route_addr src; /* family 0: the kernel's choice */
	int scope;             /* interface of a link-local peer; 0 none */
};

struct route_look {
	struct route_link dev, out; /* the device; the route's interface */
	struct route_hop hop;
	struct route_neigh neigh;
	struct route_addr src;
	unsigned int ip_max;
};

enum {
	ROUTE_LOOK_E_GONE = 1, /* no such device */
	ROUTE_LOOK_E_NOT_ETHERNET,
	ROUTE_LOOK_E_NO_ROUTE,
	ROUTE_LOOK_E_BAD_SRC, /* not an address of this host */
	ROUTE_LOOK_E_LOCAL,   /* the peer is this host */
	ROUTE_LOOK_E_NOT_UNICAST,
	ROUTE_LOOK_E_OTHER_DEV, /* the route leaves by look->out instead */
};

/* 0 or -errno with @e: another family, or source and peer of two. */
int route_want_init(struct route_want *ret_want, int ifindex,
		    const char *ifname, const struct sockaddr *peer,
		    const struct sockaddr *src, struct xm_error *e);

/* 0, look->neigh may be unknown; ROUTE_LOOK_E_*, with as much in @look as was
 * found; or -errno, when netlink itself failed.  The link's state is in
 * @look, not in the outcome. */
int route_look(struct route_look *look, struct mnl_socket *nl,
	       const struct route_want *want);

/* Make the kernel resolve the next hop, or confirm it again. */
void route_poke(const struct route_want *want, const struct route_look *look);

/* @ret_route from a look whose neighbour is known. */
void route_from_look(struct route *ret_route, const struct route_want *want,
		     const struct route_look *look);

/* "fd00::2"; @buf has INET6_ADDRSTRLEN bytes. */
const char *route_addr_text(const struct route_addr *addr, char *buf);

#endif
