// SPDX-License-Identifier: GPL-2.0-or-later
/* route_watch.c - does the path still hold?
 *
 * Events only say that something may have changed.  What holds now is asked
 * for again (route_look.c) and compared with what the caller has:
 *
 *   event                               looked at when
 *   link NEW, DEL                       it is the device or the VLAN on it,
 *                                       or any while the path is down
 *   neighbour NEW, DEL                  on the route's interface
 *   address, route NEW, DEL             always: any of them may win now
 *   socket overflowed (ENOBUFS)         events are lost, so always
 *
 * So a burst of events costs one look, a lost event costs nothing, and no
 * event has to be understood.  A bridge's RTM_DELLINK, which only says that
 * a port left it, is an example of what need not be told apart.
 *
 * The neighbour may be unknown for a while: the kernel forgets neighbours it
 * does not talk to, and AF_XDP frames are no talking to it.  The MAC in use
 * stays in use then, and the kernel is provoked to find the neighbour again;
 * so it is when the entry goes stale.  If the MAC is another one, the answer
 * is the next event.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "route_look.h"

struct route_watch {
	struct mnl_socket *nl, *events;
	struct route_want want; /* src: what the caller uses */
	struct route now;       /* what the caller has, ports included */
	unsigned int agreed;    /* IP bytes that must fit */
	bool is_down;           /* as last reported */
	char ifname[16];
};

static const unsigned int watch_groups[] = {
	RTNLGRP_LINK,       RTNLGRP_NEIGH,       RTNLGRP_IPV4_ROUTE,
	RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
};

/* May this message concern the path? */
static int event_cb(const struct nlmsghdr *nlh, void *data)
{
	const void *p = mnl_nlmsg_get_payload(nlh);
	const struct route_watch *w = data;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK: {
		const struct ifinfomsg *ifi = p;

		if (w->is_down || ifi->ifi_index == w->now.ifindex ||
		    ifi->ifi_index == w->now.route_ifindex)
			return MNL_CB_STOP;
		return MNL_CB_OK;
	}
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH: {
		const struct ndmsg *ndm = p;

		return ndm->ndm_ifindex == w->now.route_ifindex ? MNL_CB_STOP :
								  MNL_CB_OK;
	}
	default:
		return MNL_CB_STOP;
	}
}

/* Empty the event socket.  1 when something in it may matter, 0 when nothing
 * does, or -errno. */
static int watch_drain(struct route_watch *w)
{
	uint64_t buf[32768 / 8];
	int concerns = 0;
	ssize_t n;

	for (;;) {
		n = mnl_socket_recvfrom(w->events, buf, sizeof(buf));
		if (n < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
			concerns = 1; /* lost some, or one did not fit */
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? concerns : -errno;
		/* events have sequence number and port of whoever caused them,
		 * so neither is checked; STOP (0) means "concerns us" */
		if (mnl_cb_run(buf, (size_t)n, 0, 0, event_cb, w) <= 0)
			concerns = 1;
	}
}

/* The path of a look, where an unknown neighbour keeps its MAC. */
static void watch_path(const struct route_watch *w,
		       const struct route_look *look, struct route *ret_route)
{
	route_from_look(ret_route, &w->want, look);
	ret_route->path.sport = w->now.path.sport;
	ret_route->path.dport = w->now.path.dport;
	if (!look->neigh.is_known)
		memcpy(ret_route->path.dst_mac, w->now.path.dst_mac,
		       sizeof(ret_route->path.dst_mac));
}

static bool path_is_same(const struct xm_path *a, const struct xm_path *b)
{
	return !memcmp(a->src_mac, b->src_mac, 6) &&
	       !memcmp(a->dst_mac, b->dst_mac, 6) && a->vlan == b->vlan &&
	       a->ipv6 == b->ipv6 && !memcmp(a->src, b->src, 16) &&
	       !memcmp(a->dst, b->dst, 16);
}

/* As route_look(), but a source address that this host lost gives way to the
 * kernel's next choice. */
static int watch_look(struct route_watch *w, struct route_look *look)
{
	int r = route_look(look, w->nl, &w->want);
	struct route_want any = w->want;

	if (r != ROUTE_LOOK_E_BAD_SRC)
		return r;
	any.src.family = 0;
	return route_look(look, w->nl, &any);
}

/* Look, compare, remember.  One of ROUTE_E_* or -errno with @e. */
static int watch_compare(struct route_watch *w, struct route *ret_route,
			 struct xm_error *e)
{
	struct route_look look;
	bool was_down = w->is_down;
	struct route route;
	int r;

	r = watch_look(w, &look);
	if (r < 0)
		return xm_fail(e, r, XM_REASON_INTERNAL,
			       "%s: cannot ask the kernel for the route: %s",
			       w->ifname, strerror(-r));
	if (r == ROUTE_LOOK_E_GONE)
		return ROUTE_E_GONE;
	if (r || !look.dev.is_up || !look.out.is_up) {
		w->is_down = true;
		return ROUTE_E_DOWN;
	}
	if (!look.neigh.is_known || look.neigh.is_stale)
		route_poke(&w->want, &look);
	watch_path(w, &look, &route);
	w->is_down = false;
	if (!was_down && route.ip_max >= w->agreed &&
	    path_is_same(&route.path, &w->now.path))
		return ROUTE_E_SAME;
	w->now = route;
	w->want.src = look.src;
	*ret_route = route;
	return route.ip_max < w->agreed ? ROUTE_E_SHRUNK : ROUTE_E_CHANGED;
}

int route_watch_open(struct route_watch **ret_watch, const char *ifname,
		     const struct sockaddr *peer, const struct route *route,
		     struct xm_error *e)
{
	struct route_watch *w = calloc(1, sizeof(*w));
	struct route changed;
	int r;

	if (!w)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "no memory to watch %s", ifname);
	strncpy(w->ifname, ifname, sizeof(w->ifname) - 1);
	r = route_want_init(&w->want, route->ifindex, w->ifname, peer, NULL, e);
	if (r)
		goto err_free;
	w->want.src.family = w->want.peer.family;
	memcpy(w->want.src.bytes, route->path.src, sizeof(route->path.src));
	w->now = *route;
	w->agreed = route->ip_max;
	r = route_nl_open(&w->nl, NULL, 0);
	if (!r)
		r = route_nl_open(&w->events, watch_groups,
				  sizeof(watch_groups) /
					  sizeof(watch_groups[0]));
	if (r) {
		xm_fail(e, r, XM_REASON_INTERNAL,
			"cannot open a netlink socket: %s", strerror(-r));
		goto err_close;
	}
	/* what changed since route_get() made no event for this socket */
	r = watch_compare(w, &changed, e);
	if (r > 0)
		r = xm_fail(e, -ESTALE, XM_REASON_DEVICE,
			    "%s: the route changed during setup; try again",
			    ifname);
	if (r)
		goto err_close;
	*ret_watch = w;
	return 0;
err_close:
	route_nl_close(w->events);
	route_nl_close(w->nl);
err_free:
	free(w);
	return r;
}

struct route_watch *route_watch_close(struct route_watch *w)
{
	if (!w)
		return NULL;
	route_nl_close(w->events);
	route_nl_close(w->nl);
	free(w);
	return NULL;
}

int route_watch_fd(const struct route_watch *w)
{
	return mnl_socket_get_fd(w->events);
}

int route_watch_read(struct route_watch *w, struct route *ret_route,
		     struct xm_error *e)
{
	int r = watch_drain(w);

	if (r < 0)
		return xm_fail(e, r, XM_REASON_INTERNAL,
			       "%s: cannot read netlink events: %s", w->ifname,
			       strerror(-r));
	return r ? watch_compare(w, ret_route, e) : ROUTE_E_SAME;
}
