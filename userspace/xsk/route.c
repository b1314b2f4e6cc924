// SPDX-License-Identifier: GPL-2.0-or-later
/* route.c - how to reach the peer by our device, or why not
 *
 * What a look at the kernel's tables leaves open is the neighbour: nobody may
 * have talked to the peer yet.  It is provoked and waited for, on the
 * neighbour table's own events, until the caller's deadline.  The kernel asks
 * three times, a second apart, and then gives up; it is provoked again as
 * long as there is time, so a peer that comes up late is still found.
 *
 * An entry that is STALE is used: it was right, and checking it takes five
 * seconds.  It is provoked too, so that a peer whose MAC changed while nobody
 * talked to it is noticed by the watch (route_watch.c).
 */
#include "route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <string.h>

#include "route_look.h"
#include "util/now.h"

#define POKE_EVERY_MS 200 /* provoke again; the kernel's pace is its own */

static int fail_down(const struct route_link *link, struct xm_error *e)
{
	return xm_fail(e, -ENETDOWN, XM_REASON_DEVICE,
		       "%s is down or has no carrier; see 'ip link show %s'",
		       link->name, link->name);
}

static int fail_other_dev(const struct route_look *look, const char *peer,
			  struct xm_error *e)
{
	const char *dev = look->dev.name, *out = look->out.name;

	if (look->dev.master == look->out.ifindex)
		return xm_fail(e, -EXDEV, XM_REASON_DEVICE,
			       "%s is a port of %s, which has the route to %s: "
			       "frames sent on a port would bypass %s; use a "
			       "device with an address of its own",
			       dev, out, peer, out);
	if (look->out.lower == look->dev.ifindex)
		return xm_fail(e, -EXDEV, XM_REASON_DEVICE,
			       "%s is reached by %s, which is on %s but is no "
			       "802.1Q VLAN; use a device with an address of "
			       "its own",
			       peer, out, dev);
	return xm_fail(e, -EXDEV, XM_REASON_DEVICE,
		       "%s is reached by %s, not by %s: use --dev %s, or an "
		       "address of the peer that is reached by %s",
		       peer, out, dev, out, dev);
}

static int fail_outcome(int outcome, const struct route_want *want,
			const struct route_look *look, struct xm_error *e)
{
	char peer[INET6_ADDRSTRLEN], src[INET6_ADDRSTRLEN];

	route_addr_text(&want->peer, peer);
	if (outcome > ROUTE_LOOK_E_NOT_ETHERNET && !look->dev.is_up)
		return fail_down(&look->dev, e); /* its routes are gone too */
	switch (outcome) {
	case ROUTE_LOOK_E_GONE:
		return xm_fail(e, -ENODEV, XM_REASON_DEVICE,
			       "%s: no such network device; see 'ip link'",
			       want->ifname);
	case ROUTE_LOOK_E_NOT_ETHERNET:
		return xm_fail(e, -EOPNOTSUPP, XM_REASON_DEVICE,
			       "%s is no Ethernet device", want->ifname);
	case ROUTE_LOOK_E_NO_ROUTE:
		return xm_fail(e, -ENETUNREACH, XM_REASON_CONNECT,
			       "there is no route to %s; see 'ip route get %s'",
			       peer, peer);
	case ROUTE_LOOK_E_BAD_SRC:
		return xm_fail(e, -EADDRNOTAVAIL, XM_REASON_CONNECT,
			       "%s is not an address of this host that can "
			       "reach %s",
			       route_addr_text(&want->src, src), peer);
	case ROUTE_LOOK_E_LOCAL:
		return xm_fail(e, -EADDRINUSE, XM_REASON_USAGE,
			       "%s is an address of this host; the peer must "
			       "be another one",
			       peer);
	case ROUTE_LOOK_E_NOT_UNICAST:
		return xm_fail(e, -EADDRNOTAVAIL, XM_REASON_USAGE,
			       "%s is not the address of one host", peer);
	case ROUTE_LOOK_E_OTHER_DEV:
		return fail_other_dev(look, peer, e);
	default:
		return xm_fail(e, outcome, XM_REASON_INTERNAL,
			       "cannot ask the kernel for the route to %s: %s",
			       peer, strerror(-outcome));
	}
}

static int fail_silent(const struct route_want *want,
		       const struct route_look *look, int timeout_ms,
		       struct xm_error *e)
{
	char peer[INET6_ADDRSTRLEN], via[INET6_ADDRSTRLEN];
	const char *how =
		look->hop.via.family == AF_INET ? "ARP" : "neighbour discovery";

	if (!look->dev.is_up || !look->out.is_up)
		return fail_down(look->dev.is_up ? &look->out : &look->dev, e);
	route_addr_text(&want->peer, peer);
	route_addr_text(&look->hop.via, via);
	if (strcmp(peer, via))
		return xm_fail(e, -EHOSTUNREACH, XM_REASON_CONNECT,
			       "%s, the gateway to %s, did not answer %s on %s "
			       "within %d ms",
			       via, peer, how, look->out.name, timeout_ms);
	return xm_fail(e, -EHOSTUNREACH, XM_REASON_CONNECT,
		       "%s did not answer %s on %s within %d ms", peer, how,
		       look->out.name, timeout_ms);
}

/* Sleep until the neighbour table changed or it is time to provoke again. */
static int wait_for_neigh(struct mnl_socket *events, int64_t left_ms,
			  struct xm_error *e)
{
	struct pollfd p = { .fd = mnl_socket_get_fd(events), .events = POLLIN };
	uint8_t buf[4096];

	if (left_ms > POKE_EVERY_MS)
		left_ms = POKE_EVERY_MS;
	if (poll(&p, 1, (int)left_ms) < 0)
		return xm_fail(e, -errno, XM_REASON_CANCELLED,
			       "interrupted while looking for the peer");
	/* what they say is asked for again; that some came is enough */
	while (recv(p.fd, buf, sizeof(buf), 0) > 0)
		;
	return 0;
}

int route_get(struct route *ret_route, const char *ifname,
	      const struct sockaddr *peer, const struct sockaddr *src,
	      int timeout_ms, struct xm_error *e)
{
	static const unsigned int groups[] = { RTNLGRP_NEIGH };
	struct mnl_socket *nl = NULL, *events = NULL;
	int64_t end = now_ms() + timeout_ms, left;
	struct route_want want;
	struct route_look look;
	int r;

	r = route_want_init(&want, 0, ifname, peer, src, e);
	if (r)
		return r;
	r = route_nl_open(&nl, NULL, 0);
	if (!r)
		r = route_nl_open(&events, groups, 1);
	if (r) {
		xm_fail(e, r, XM_REASON_INTERNAL,
			"cannot open a netlink socket: %s", strerror(-r));
		goto out;
	}
	for (;;) {
		r = route_look(&look, nl, &want);
		if (r) {
			r = fail_outcome(r, &want, &look, e);
			break;
		}
		if (!look.neigh.is_known || look.neigh.is_stale)
			route_poke(&want, &look);
		if (look.neigh.is_known) {
			route_from_look(ret_route, &want, &look);
			break;
		}
		left = end - now_ms();
		if (left <= 0) {
			r = fail_silent(&want, &look, timeout_ms, e);
			break;
		}
		r = wait_for_neigh(events, left, e);
		if (r)
			break;
	}
out:
	route_nl_close(events);
	route_nl_close(nl);
	return r;
}

int route_peek(struct route *ret_route, const char *ifname,
	       const struct sockaddr *peer, const struct sockaddr *src,
	       struct xm_error *e)
{
	struct mnl_socket *nl = NULL;
	struct route_want want;
	struct route_look look;
	int r;

	r = route_want_init(&want, 0, ifname, peer, src, e);
	if (r)
		return r;
	r = route_nl_open(&nl, NULL, 0);
	if (r)
		return xm_fail(e, r, XM_REASON_INTERNAL,
			       "cannot open a netlink socket: %s",
			       strerror(-r));
	r = route_look(&look, nl, &want);
	if (r)
		r = fail_outcome(r, &want, &look, e);
	else
		route_from_look(ret_route, &want, &look);
	route_nl_close(nl);
	return r;
}
