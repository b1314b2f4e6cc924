/* SPDX-License-Identifier: GPL-2.0-or-later */
/* encap.h - Ethernet, VLAN, IP and UDP around a frame
 *
 * AF_XDP sends what it is given: no route, no neighbour table, no checksum
 * and no fragmentation behind it.  So the whole prefix is written here, from
 * a path that the driver found by netlink.  The UDP checksum is 0, also over
 * IPv6 (RFC 6936: both ends consent, and each frame has CRCs of its own).
 */
#ifndef XM_CORE_ENCAP_H
#define XM_CORE_ENCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "drop.h"

#define XM_ENCAP_MAX (14 + 4 + 40 + 8) /* bytes of the longest prefix */

struct xm_path {
	uint8_t src_mac[6], dst_mac[6];
	uint16_t vlan; /* VLAN id 1..4094, 0 = untagged */
	bool ipv6;
	uint8_t src[16], dst[16]; /* IPv4: the first 4 bytes */
	uint16_t sport, dport;
};

struct xm_encap {
	size_t payload; /* offset of the UDP payload in the frame */
	size_t len;     /* its length: Ethernet padding is cut off */
	size_t ip_len;  /* bytes from the IP header on */
	uint16_t sport, dport;
	bool ce; /* ECN says Congestion Experienced */
};

/* Bytes of the IP header: 20 or 40. */
static inline unsigned int xm_path_ip_len(const struct xm_path *p)
{
	return p->ipv6 ? 40 : 20;
}

/* Bytes of the whole prefix, at most XM_ENCAP_MAX. */
size_t xm_encap_len(const struct xm_path *p);

/* A path's prefix, but for what depends on a frame's length. */
struct xm_encap_head {
	uint8_t bytes[XM_ENCAP_MAX];
	uint8_t len; /* of them */
	uint8_t ip;  /* where the IP header begins */
	bool ipv6;
	uint64_t sum; /* of an IPv4 header without length and checksum */
};

/* Make it: ECT(0), Don't Fragment, TTL 64. */
void xm_encap_make(struct xm_encap_head *ret, const struct xm_path *p);

/* Write the prefix of a frame with @len bytes of UDP payload, which is to be written
 * after it: XM_ENCAP_MAX bytes at @dst are overwritten.  Returns its length. */
size_t xm_encap_copy(void *dst, const struct xm_encap_head *h, size_t len);

/* Both at once, and not a byte more: for a frame now and then. */
size_t xm_encap_put(void *dst, const struct xm_path *p, size_t len);

/* Parse a received frame of @total bytes whose first @first are at @src.
 * Takes Ethernet with at most one VLAN tag, IPv4 without options and
 * unfragmented, with a right header checksum, IPv6 without extension headers,
 * UDP.  XM_DROP_NONE, XM_DROP_RUNT, XM_DROP_BAD_IP or XM_DROP_BAD_LENGTH. */
enum xm_drop xm_encap_get(struct xm_encap *ret, const void *src, size_t first,
			  size_t total);

/* What the last frame of a flow began with, and what that says.  Zeroed at first. */
struct xm_encap_last {
	uint8_t bytes[XM_ENCAP_MAX];
	size_t first, total;
	struct xm_encap is;
};

static inline uint64_t xm_encap_differ(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return (x[0] ^ y[0]) | (x[1] ^ y[1]);
}

/* Are two prefixes of @len bytes, 42 to 66, the same? */
static inline bool xm_encap_is_same(const uint8_t *a, const uint8_t *b,
				    size_t len)
{
	uint64_t differ = xm_encap_differ(a, b) |
			  xm_encap_differ(a + 16, b + 16) |
			  xm_encap_differ(a + len - 16, b + len - 16);

	if (len > 48)
		differ |= xm_encap_differ(a + 32, b + 32) |
			  xm_encap_differ(a + len - 32, b + len - 32);
	return !differ;
}

/* xm_encap_get() for the frames of a flow: those of one length mostly begin with the
 * same bytes, which say the same.  @last->is then has it. */
static inline enum xm_drop xm_encap_next(struct xm_encap_last *last,
					 const void *src, size_t first,
					 size_t total)
{
	enum xm_drop reason;

	if (last->total && total == last->total && first == last->first &&
	    xm_encap_is_same(src, last->bytes, last->is.payload))
		return XM_DROP_NONE;
	last->total = 0;
	reason = xm_encap_get(&last->is, src, first, total);
	if (reason)
		return reason;
	last->first = first;
	last->total = total;
	memcpy(last->bytes, src, last->is.payload);
	return XM_DROP_NONE;
}

#endif
