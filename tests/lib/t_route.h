/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_route.h - routes by text, each test on two fresh hosts */
#ifndef T_ROUTE_H
#define T_ROUTE_H

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "t_netns.h"
#include "xsk/route.h"

#define T_ROUTE_MS 5000 /* deadline for what must come; it never takes long */

static inline int t_netns_setup(void **state)
{
	struct t_netns *net = malloc(sizeof(*net));

	*state = net;
	return net ? t_netns_open(net) : -1;
}

static inline int t_netns_teardown(void **state)
{
	t_netns_close(*state);
	free(*state);
	return 0;
}

#define T_NETNS(f) \
	cmocka_unit_test_setup_teardown(f, t_netns_setup, t_netns_teardown)

/* "198.18.0.2", "fd00::2", "fe80::2%v0" */
static inline void t_route_addr(struct sockaddr_storage *ret, const char *text)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	char host[64], *scope;

	memset(ret, 0, sizeof(*ret));
	snprintf(host, sizeof(host), "%s", text);
	scope = strchr(host, '%');
	if (scope) {
		*scope++ = '\0';
		six.sin6_scope_id = if_nametoindex(scope);
	}
	if (inet_pton(AF_INET, host, &four.sin_addr) == 1)
		memcpy(ret, &four, sizeof(four));
	else if (inet_pton(AF_INET6, host, &six.sin6_addr) == 1)
		memcpy(ret, &six, sizeof(six));
	else
		fail_msg("%s: not an address", text);
}

static inline int t_route_try(struct route *ret, const char *dev,
			      const char *peer, const char *src, int timeout_ms,
			      struct xm_error *e)
{
	struct sockaddr_storage p, s;

	t_route_addr(&p, peer);
	if (src)
		t_route_addr(&s, src);
	return route_get(ret, dev, (struct sockaddr *)&p,
			 src ? (struct sockaddr *)&s : NULL, timeout_ms, e);
}

static inline struct route t_route_get(const char *dev, const char *peer,
				       const char *src)
{
	struct xm_error e = { 0 };
	struct route r;

	if (t_route_try(&r, dev, peer, src, T_ROUTE_MS, &e))
		fail_msg("%s by %s: %s", peer, dev, e.msg);
	return r;
}

static inline int t_route_err(const char *dev, const char *peer,
			      const char *src, int timeout_ms,
			      struct xm_error *e)
{
	struct route r;

	return t_route_try(&r, dev, peer, src, timeout_ms, e);
}

#endif
