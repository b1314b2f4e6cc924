// SPDX-License-Identifier: GPL-2.0-or-later
/* encap.c - the bytes in front of a frame
 *
 *   Ethernet 14 | [802.1Q 4] | IPv4 20 or IPv6 40 | UDP 8 | frame ...
 *
 * What is written is constant for a path but for the lengths and the IPv4
 * checksum over them.  So it is made once, with the sum of what is constant, and
 * copied in front of each frame.
 *
 * Every packet says ECT(0), so that a queue may mark it instead of dropping
 * it, and Don't Fragment.  With DF set the IPv4 identification has no use
 * (RFC 6864) and stays 0.  The UDP checksum is 0, "not computed".
 *
 * What is read was chosen by the XDP program, which passes everything else
 * to the kernel.  Yet the ring may hold packets from before a session, and
 * a parser must not rest on another program's care, so all is checked again:
 * no options, no fragments, no extension headers, lengths that agree with
 * each other, and the IPv4 header checksum, since no kernel looked at it.
 * The end of the packet comes from the IP header: Ethernet pads short frames
 * to 60 bytes.
 */
#include "encap.h"

#include <assert.h>
#include <string.h>

#include "be.h"

enum {
	ETH_LEN = 14,
	VLAN_LEN = 4,
	IP4_LEN = 20,
	IP6_LEN = 40,
	UDP_LEN = 8,

	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_IP6 = 0x86dd,
	ETHERTYPE_VLAN = 0x8100,

	PROTO_UDP = 17,
	TTL = 64,

	ECN_ECT0 = 2,
	ECN_CE = 3,
	ECN_MASK = 3,

	IP4_DF = 0x4000,
	IP4_FRAG = 0x3fff, /* More Fragments and the offset */
};

size_t xm_encap_len(const struct xm_path *p)
{
	return ETH_LEN + (p->vlan ? VLAN_LEN : 0) + xm_path_ip_len(p) + UDP_LEN;
}

/* The sum of an IPv4 header without options, in ones' complement and in the order
 * of its bytes in memory, which makes no difference (RFC 1071, 2 B). */
static uint64_t encap_ip4_sum(const uint8_t *ip)
{
	uint64_t a, b;
	uint32_t c;

	memcpy(&a, ip, sizeof(a));
	memcpy(&b, ip + 8, sizeof(b));
	memcpy(&c, ip + 16, sizeof(c));
	return (a & UINT32_MAX) + (a >> 32) + (b & UINT32_MAX) + (b >> 32) + c;
}

/* Such a sum, less than 2^48, as the checksum that it makes; 0 over a header with its
 * right one. */
static uint16_t encap_fold(uint64_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Both leave length and checksum 0. */
static void encap_put_ip4(uint8_t *ip, const struct xm_path *p)
{
	ip[0] = 0x45;
	ip[1] = ECN_ECT0;
	xm_be16_put(ip + 6, IP4_DF);
	ip[8] = TTL;
	ip[9] = PROTO_UDP;
	memcpy(ip + 12, p->src, 4);
	memcpy(ip + 16, p->dst, 4);
}

static void encap_put_ip6(uint8_t *ip, const struct xm_path *p)
{
	/* version 6, traffic class in bits 27..20, flow label 0 */
	xm_be32_put(ip, 0x60000000u | (uint32_t)ECN_ECT0 << 20);
	ip[6] = PROTO_UDP;
	ip[7] = TTL;
	memcpy(ip + 8, p->src, 16);
	memcpy(ip + 24, p->dst, 16);
}

void xm_encap_make(struct xm_encap_head *ret, const struct xm_path *p)
{
	uint8_t *b = ret->bytes;

	memset(ret, 0, sizeof(*ret));
	ret->len = (uint8_t)xm_encap_len(p);
	ret->ip = (uint8_t)(ret->len - UDP_LEN - xm_path_ip_len(p));
	ret->ipv6 = p->ipv6;
	memcpy(b, p->dst_mac, 6);
	memcpy(b + 6, p->src_mac, 6);
	b += 12;
	if (p->vlan) {
		xm_be16_put(b, ETHERTYPE_VLAN);
		xm_be16_put(b + 2, p->vlan);
		b += VLAN_LEN;
	}
	xm_be16_put(b, p->ipv6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	b += 2;
	if (p->ipv6)
		encap_put_ip6(b, p);
	else
		encap_put_ip4(b, p);
	ret->sum = encap_ip4_sum(b);
	b += xm_path_ip_len(p);
	xm_be16_put(b, p->sport);
	xm_be16_put(b + 2, p->dport);
}

size_t xm_encap_copy(void *dst, const struct xm_encap_head *h, size_t len)
{
	uint8_t *ip = (uint8_t *)dst + h->ip;
	uint16_t be, sum;

	memcpy(dst, h->bytes, sizeof(h->bytes));
	len += UDP_LEN;
	if (h->ipv6) {
		assert(len <= 0xffff - IP6_LEN);
		xm_be16_put(ip + 4, (uint16_t)len);
		xm_be16_put(ip + IP6_LEN + 4, (uint16_t)len);
		return h->len;
	}
	assert(len <= 0xffff - IP4_LEN);
	xm_be16_put(&be, (uint16_t)(IP4_LEN + len));
	memcpy(ip + 2, &be, sizeof(be));
	sum = encap_fold(h->sum + be);
	memcpy(ip + 10, &sum, sizeof(sum));
	xm_be16_put(ip + IP4_LEN + 4, (uint16_t)len);
	return h->len;
}

size_t xm_encap_put(void *dst, const struct xm_path *p, size_t len)
{
	uint8_t whole[XM_ENCAP_MAX];
	struct xm_encap_head h;

	xm_encap_make(&h, p);
	(void)xm_encap_copy(whole, &h, len);
	memcpy(dst, whole, h.len);
	return h.len;
}

/* Both IP parsers are given at least IP4_LEN or IP6_LEN bytes and set
 * ip_len, which may still say anything, and ce. */
static bool encap_get_ip4(struct xm_encap *e, const uint8_t *ip)
{
	e->ip_len = xm_be16_get(ip + 2);
	e->ce = (ip[1] & ECN_MASK) == ECN_CE;
	return ip[0] == 0x45 && !(xm_be16_get(ip + 6) & IP4_FRAG) &&
	       ip[9] == PROTO_UDP && !encap_fold(encap_ip4_sum(ip));
}

static bool encap_get_ip6(struct xm_encap *e, const uint8_t *ip)
{
	e->ip_len = IP6_LEN + (size_t)xm_be16_get(ip + 4);
	e->ce = (xm_be32_get(ip) >> 20 & ECN_MASK) == ECN_CE;
	return ip[0] >> 4 == 6 && ip[6] == PROTO_UDP;
}

/* Offset of the IP header, and which it is; false when neither. */
static bool encap_get_eth(const uint8_t *b, size_t len, size_t *ret_ip,
			  bool *ret_ipv6)
{
	size_t at = ETH_LEN;
	uint16_t type = xm_be16_get(b + 12);

	if (type == ETHERTYPE_VLAN && len >= ETH_LEN + VLAN_LEN) {
		type = xm_be16_get(b + 16);
		at += VLAN_LEN;
	}
	*ret_ip = at;
	*ret_ipv6 = type == ETHERTYPE_IP6;
	return type == ETHERTYPE_IP6 || type == ETHERTYPE_IP4;
}

enum xm_drop xm_encap_get(struct xm_encap *ret, const void *src, size_t first,
			  size_t total)
{
	const uint8_t *b = src, *udp;
	struct xm_encap e;
	size_t ip, ip_hdr;
	bool ipv6;

	if (first > total)
		first = total;
	if (first < ETH_LEN)
		return XM_DROP_RUNT;
	if (!encap_get_eth(b, first, &ip, &ipv6))
		return XM_DROP_BAD_IP;
	ip_hdr = ipv6 ? IP6_LEN : IP4_LEN;
	if (first < ip + ip_hdr + UDP_LEN)
		return XM_DROP_RUNT;
	if (!(ipv6 ? encap_get_ip6(&e, b + ip) : encap_get_ip4(&e, b + ip)))
		return XM_DROP_BAD_IP;
	udp = b + ip + ip_hdr;
	if (e.ip_len < ip_hdr + UDP_LEN || e.ip_len > total - ip ||
	    xm_be16_get(udp + 4) != e.ip_len - ip_hdr)
		return XM_DROP_BAD_LENGTH;
	e.sport = xm_be16_get(udp);
	e.dport = xm_be16_get(udp + 2);
	e.payload = ip + ip_hdr + UDP_LEN;
	e.len = e.ip_len - ip_hdr - UDP_LEN;
	*ret = e;
	return XM_DROP_NONE;
}
