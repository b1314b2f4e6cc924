// SPDX-License-Identifier: GPL-2.0-or-later
/* listen.c - where recv waits for its source: --listen, or DEV's own address */
#include "listen.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

/* The device's first address: IPv4 before IPv6, no link-local one. */
static int listen_at_device(const char *dev, struct ctl_addr *ret_addr,
			    struct xm_error *e)
{
	struct ifaddrs *all, *i, *best = NULL;
	const struct sockaddr_in6 *v6;

	if (getifaddrs(&all))
		return xm_fail(e, -errno, XM_REASON_DEVICE,
			       "addresses of %s: %s", dev, strerror(errno));
	for (i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || strcmp(i->ifa_name, dev))
			continue;
		v6 = (const struct sockaddr_in6 *)i->ifa_addr;
		if (i->ifa_addr->sa_family == AF_INET) {
			best = i;
			break;
		}
		if (i->ifa_addr->sa_family == AF_INET6 && !best &&
		    !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
			best = i;
	}
	memset(ret_addr, 0, sizeof(*ret_addr));
	if (best && best->ifa_addr->sa_family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)&ret_addr->ss;

		memcpy(in, best->ifa_addr, sizeof(*in));
		in->sin_port = htons(XM_PORT_CTL);
		ret_addr->len = sizeof(*in);
	} else if (best) {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)&ret_addr->ss;

		memcpy(in, best->ifa_addr, sizeof(*in));
		in->sin6_port = htons(XM_PORT_CTL);
		ret_addr->len = sizeof(*in);
	}
	freeifaddrs(all);
	return best ? 0 :
		      xm_fail(e, -EADDRNOTAVAIL, XM_REASON_USAGE,
			      "%s has no address of its own: say where to "
			      "listen with --listen",
			      dev);
}

int listen_address(const char *listen, const char *dev,
		   struct ctl_addr *ret_addr, struct xm_error *e)
{
	return listen ? ctl_addr_parse(ret_addr, listen, XM_PORT_CTL, e) :
			listen_at_device(dev, ret_addr, e);
}
