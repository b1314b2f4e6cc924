// SPDX-License-Identifier: GPL-2.0-or-later
/* mangle.c - looking into a frame on the wire, and damaging it
 *
 * The ways to damage differ in how far the frame still gets:
 *
 *   payload   1 to 4 bits behind the UDP header, anywhere: header, segment
 *             table or guest bytes; only the CRCs can notice
 *   header    the same within the first 48 bytes, the frame header
 *   truncate  the end is missing, IP and UDP lengths are as before: a
 *             receiver that trusts them reads beyond the frame
 *   shorten   the end is missing and IP and UDP agree with that: only our
 *             own lengths and CRCs can notice
 *
 * A frame is never cut within its IP or UDP header; runts of that kind do not
 * get past any switch.  What is not UDP loses bits behind its Ethernet header
 * and its end, and is the kernel's to refuse.
 *
 * The UDP checksum is left as it is: of our frames it is 0, not computed.
 */
#include "mangle.h"

#include <string.h>

#include "xdpmig/wire.h"

enum {
	ETH_LEN = 14,
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_IP6 = 0x86dd,
	ETHERTYPE_VLAN = 0x8100,
	PROTO_UDP = 17,
	UDP_LEN = 8,
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Offset behind the IP header when UDP follows, else 0. */
static uint32_t look_ip(const uint8_t *p, uint32_t len, struct mangle *m)
{
	const uint8_t *ip = p + m->ip;
	uint32_t left = len - m->ip, header;
	unsigned int ecn;

	if (m->is_six) {
		if (left < 40)
			return 0;
		ecn = ip[1] >> 4 & 3;
		m->is_ect = ecn == 1 || ecn == 2;
		return ip[6] == PROTO_UDP ? m->ip + 40 : 0;
	}
	header = (ip[0] & 15u) * 4;
	if (left < 20 || header < 20 || left < header)
		return 0;
	ecn = ip[1] & 3;
	m->is_ect = ecn == 1 || ecn == 2;
	if (ip[9] != PROTO_UDP || get16(ip + 6) & 0x1fff)
		return 0; /* not the first fragment: no ports */
	return m->ip + header;
}

void mangle_look(const uint8_t *p, uint32_t len, struct mangle *ret)
{
	struct mangle m = { 0 };
	uint32_t at = ETH_LEN, udp;
	uint16_t type;

	*ret = m;
	if (len < ETH_LEN + 4)
		return;
	type = get16(p + 12);
	if (type == ETHERTYPE_VLAN) {
		type = get16(p + 16);
		at += 4;
	}
	m.payload = at;
	m.ip_len = len - at;
	if (len > at && (type == ETHERTYPE_IP4 || type == ETHERTYPE_IP6)) {
		m.ip = at;
		m.is_six = type == ETHERTYPE_IP6;
		udp = look_ip(p, len, &m);
		if (udp && udp + UDP_LEN <= len) {
			m.udp = udp;
			m.payload = udp + UDP_LEN;
			m.sport = get16(p + udp);
			m.dport = get16(p + udp + 2);
		}
	}
	if (m.udp && len - m.payload >= XM_WIRE_HEADER_MIN &&
	    get16(p + m.payload) == XM_WIRE_MAGIC)
		m.type = p[m.payload + 3];
	*ret = m;
}

static void ip4_sum(uint8_t *ip)
{
	unsigned int header = (ip[0] & 15u) * 4, i;
	uint32_t sum = 0;

	put16(ip + 10, 0);
	for (i = 0; i < header; i += 2)
		sum += get16(ip + i);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~sum & 0xffff);
}

/* Flip 1 to 4 bits of the @n bytes at @p. */
static void flip(uint8_t *p, uint32_t n, uint64_t random)
{
	unsigned int times = 1 + (random >> 62), i;
	uint64_t bit;

	for (i = 0; i < times; i++) {
		/* an odd stride: no two of four fall on one bit, unless the
		 * place is that small */
		bit = (random + i * 0x9e3779b1ULL) % ((uint64_t)n * 8);
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void fix_lengths(uint8_t *p, uint32_t len, const struct mangle *m)
{
	if (!m->udp)
		return;
	put16(p + m->udp + 4, len - m->udp);
	if (m->is_six) {
		put16(p + m->ip + 4, len - m->ip - 40);
	} else {
		put16(p + m->ip + 2, len - m->ip);
		ip4_sum(p + m->ip);
	}
}

uint32_t mangle_damage(uint8_t *p, uint32_t len, const struct mangle *m,
		       enum impair_damage damage, uint64_t random)
{
	uint32_t n;

	if (!m->payload || len <= m->payload)
		return len;
	n = len - m->payload;
	switch (damage) {
	case IMPAIR_HEADER:
		if (n > XM_WIRE_HEADER_MIN)
			n = XM_WIRE_HEADER_MIN;
		/* fall through */
	case IMPAIR_PAYLOAD:
		flip(p + m->payload, n, random);
		return len;
	case IMPAIR_TRUNCATE:
		return m->payload + (uint32_t)(random % n);
	case IMPAIR_SHORTEN:
		len = m->payload + (uint32_t)(random % n);
		fix_lengths(p, len, m);
		return len;
	case IMPAIR_INTACT:
	case IMPAIR_DAMAGE__COUNT:
		break;
	}
	return len;
}

void mangle_mark(uint8_t *p, const struct mangle *m)
{
	if (!m->is_ect)
		return;
	if (m->is_six) {
		p[m->ip + 1] |= 3 << 4;
		return;
	}
	p[m->ip + 1] |= 3;
	ip4_sum(p + m->ip);
}
