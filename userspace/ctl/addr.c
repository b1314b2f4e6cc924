// SPDX-License-Identifier: GPL-2.0-or-later
/* addr.c - addresses of the control connection, as people write them
 *
 * A port is what follows the last colon, unless the text is a bare IPv6
 * address, which is full of colons: then a port needs brackets, as in a URL.
 *
 *   198.18.0.2            198.18.0.2:4000          host        host:4000
 *   fd00::2               [fd00::2]:4000           [fd00::2]
 *   fe80::2%eth1          [fe80::2%eth1]:4000
 *
 * Numbers never reach the resolver, so that a broken name service cannot
 * delay a migration that does not need it.  Of a name's addresses the
 * resolver's first choice is taken.
 */
#include "ctl.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 256 /* a DNS name has at most 253 characters */

static int addr_bad(const char *text, const char *why, struct xm_error *e)
{
	return xm_fail(e, -EINVAL, XM_REASON_USAGE,
		       "%.80s: %s; write HOST, HOST:PORT or [IPV6]:PORT", text,
		       why);
}

/* Cut @text into host and port text; *ret_port is NULL when there is none. */
static int addr_split(const char *text, char host[HOST_MAX],
		      const char **ret_port, struct xm_error *e)
{
	const char *start = text, *end, *port = NULL;

	if (*text == '[') {
		start = text + 1;
		end = strchr(start, ']');
		if (!end)
			return addr_bad(text, "']' is missing", e);
		if (end[1] == ':')
			port = end + 2;
		else if (end[1])
			return addr_bad(text, "only :PORT may follow ']'", e);
	} else {
		const char *first = strchr(text, ':');

		end = text + strlen(text);
		if (first && !strchr(first + 1, ':')) {
			end = first;
			port = first + 1;
		}
	}
	if (end == start)
		return addr_bad(text, "the host is missing", e);
	if (end - start >= HOST_MAX)
		return addr_bad(text, "the host name is too long", e);
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	*ret_port = port;
	return 0;
}

/* Decimal digits only: strtoul() alone would take "-1", "+1" and " 1". */
static int addr_port(const char *text, const char *port, uint16_t *ret_port,
		     struct xm_error *e)
{
	size_t n = strspn(port, "0123456789");
	unsigned long v;

	if (!n || n > 5 || port[n])
		return addr_bad(text, "the port is not a number", e);
	v = strtoul(port, NULL, 10);
	if (!v || v > 65535)
		return addr_bad(text, "a port is 1 to 65535", e);
	*ret_port = (uint16_t)v;
	return 0;
}

static int addr_resolve(struct ctl_addr *ret_addr, const char *host,
			const char *service, struct xm_error *e)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct addrinfo *ai = NULL;
	int r, err;

	r = getaddrinfo(host, service, &hints, &ai);
	if (r == EAI_NONAME) {
		hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
		r = getaddrinfo(host, service, &hints, &ai);
	}
	err = errno;
	switch (r) {
	case 0:
		break;
	case EAI_SYSTEM:
		return xm_fail(e, err ? -err : -EIO, XM_REASON_CONNECT,
			       "%s: cannot look up the name: %s", host,
			       strerror(err));
	case EAI_MEMORY:
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "%s: no memory to look up the name", host);
	default:
		return xm_fail(e, -ENOENT, XM_REASON_CONNECT,
			       "%s: name not found (%s); use a numeric address "
			       "or check the resolver",
			       host, gai_strerror(r));
	}
	memset(ret_addr, 0, sizeof(*ret_addr));
	memcpy(&ret_addr->ss, ai->ai_addr, ai->ai_addrlen);
	ret_addr->len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return 0;
}

int ctl_addr_host(char *host, const char *text, struct xm_error *e)
{
	const char *port;

	return addr_split(text, host, &port, e);
}

int ctl_addr_parse(struct ctl_addr *ret_addr, const char *text, uint16_t port,
		   struct xm_error *e)
{
	char host[HOST_MAX], service[8];
	const char *port_text = NULL;
	int r;

	r = addr_split(text, host, &port_text, e);
	if (r)
		return r;
	if (port_text) {
		r = addr_port(text, port_text, &port, e);
		if (r)
			return r;
	}
	snprintf(service, sizeof(service), "%u", port);
	return addr_resolve(ret_addr, host, service, e);
}

const char *ctl_addr_text(const struct ctl_addr *addr, char *buf, size_t len)
{
	char host[NI_MAXHOST], service[NI_MAXSERV];

	if (getnameinfo((const struct sockaddr *)&addr->ss, addr->len, host,
			sizeof(host), service, sizeof(service),
			NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(buf, len, "unknown address");
	else if (addr->ss.ss_family == AF_INET6)
		snprintf(buf, len, "[%s]:%s", host, service);
	else
		snprintf(buf, len, "%s:%s", host, service);
	return buf;
}
