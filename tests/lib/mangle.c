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
 *   extend    bytes behind the end, as padding is: to be ignored
 *   lengthen  bytes behind the end, and IP and UDP agree with that
 *   ip        1 to 4 bits of the IP header; IPv4's has a sum, IPv6's none
 *   ip-len    another length in the IP header, whose sum is right
 *   udp-len   another length in the UDP header
 *   segments  1 to 4 bits of the segment table: where pages belong
 *   run       1 to 64 bytes of the payload
 *   swap      two pieces of the payload, 64 bytes each, change places: a sum
 *             that does not know about order would not notice
 *   tag       1 to 4 bits of the tag, which proves the two
 *   FIELD     a field of the frame header, by its name in wire.h, has another
 *             value
 *
 * A frame is never cut within its IP or UDP header; runts of that kind do not
 * get past any switch.  What is not UDP loses bits behind its Ethernet header
 * and its end, and is the kernel's to refuse.
 *
 * The UDP checksum is left as it is: of our frames it is 0, not computed, and
 * so it is right whatever we do.
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
	HEADER_LEN = sizeof(struct xm_wire_frame),
	EPOCH_AT = offsetof(struct xm_wire_frame, epoch),
	N_SEGS_AT = offsetof(struct xm_wire_frame, n_segs),
};

#define SWAP_LEN 64

static const char *const kinds[] = {
	[IMPAIR_PAYLOAD] = "payload",
	[IMPAIR_HEADER] = "header",
	[IMPAIR_TRUNCATE] = "truncate",
	[IMPAIR_SHORTEN] = "shorten",
	[IMPAIR_EXTEND] = "extend",
	[IMPAIR_LENGTHEN] = "lengthen",
	[IMPAIR_IP] = "ip",
	[IMPAIR_IP_LEN] = "ip-len",
	[IMPAIR_UDP_LEN] = "udp-len",
	[IMPAIR_SEGMENTS] = "segments",
	[IMPAIR_RUN] = "run",
	[IMPAIR_SWAP] = "swap",
	[IMPAIR_TAG] = "tag",
};

#define FIELD(f)                                                         \
	{                                                                \
#f, (uint16_t)offsetof(struct xm_wire_frame, f),         \
			(uint16_t)sizeof(((struct xm_wire_frame *)0)->f) \
	}
static const struct {
	const char *name;
	uint16_t at, len;
} fields[] = {
	FIELD(magic),       FIELD(version), FIELD(type),     FIELD(channel),
	FIELD(flags),       FIELD(n_segs),  FIELD(block),    FIELD(cookie),
	FIELD(epoch),       FIELD(seq),     FIELD(packet),   FIELD(page),
	FIELD(seg_len),     FIELD(len),     FIELD(count_hi), FIELD(tx_us),
	FIELD(payload_crc), FIELD(count),
};
_Static_assert(IMPAIR_FIELD + sizeof(fields) / sizeof(fields[0]) ==
		       IMPAIR_DAMAGE__COUNT,
	       "impair.h: a kind for each field");

const char *mangle_name(enum impair_damage damage)
{
	return damage < IMPAIR_FIELD ? kinds[damage] :
				       fields[damage - IMPAIR_FIELD].name;
}

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
	if (m.type)
		m.epoch = (uint32_t)get16(p + m.payload + EPOCH_AT) << 16 |
			  get16(p + m.payload + EPOCH_AT + 2);
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

/* XOR @n bytes at @p with random ones; the first differs for sure. */
static void scramble(uint8_t *p, uint32_t n, uint64_t random)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		random = random * 0x5851f42d4c957f2dULL + 0x14057b7ef767814fULL;
		p[i] ^= (uint8_t)(random >> 56) | !i;
	}
}

/* Two pieces of the @n bytes at @p.  False when no two of them differ. */
static bool swap(uint8_t *p, uint32_t n, uint64_t random)
{
	uint8_t kept[SWAP_LEN], *a, *b;
	uint32_t half = n / 2;

	if (half < SWAP_LEN)
		return false;
	a = p + random % (half - SWAP_LEN + 1);
	b = p + half + (random >> 32) % (half - SWAP_LEN + 1);
	if (!memcmp(a, b, SWAP_LEN))
		return false;
	memcpy(kept, a, SWAP_LEN);
	memcpy(a, b, SWAP_LEN);
	memcpy(b, kept, SWAP_LEN);
	return true;
}

/* Another value for the 16 bits at @p. */
static void other16(uint8_t *p, uint64_t random)
{
	put16(p, (get16(p) + 1 + random % 65535) & 0xffff);
}

static bool damage_ip(uint8_t *p, const struct mangle *m,
		      enum impair_damage damage, uint64_t random)
{
	if (!m->udp)
		return false;
	if (damage == IMPAIR_IP) {
		flip(p + m->ip, m->udp - m->ip, random);
	} else if (damage == IMPAIR_UDP_LEN) {
		other16(p + m->udp + 4, random);
	} else if (damage == IMPAIR_IP_LEN) {
		other16(p + m->ip + (m->is_six ? 4 : 2), random);
		if (!m->is_six)
			ip4_sum(p + m->ip);
	} else {
		return false;
	}
	return true;
}

/* What is behind UDP, @n bytes at @p; false when it has no such part. */
static bool damage_frame(uint8_t *p, uint32_t n, enum impair_damage damage,
			 uint64_t random)
{
	uint32_t tag, at;

	if (damage >= IMPAIR_FIELD) {
		scramble(p + fields[damage - IMPAIR_FIELD].at,
			 fields[damage - IMPAIR_FIELD].len, random);
		return true;
	}
	tag = HEADER_LEN + p[N_SEGS_AT] * (uint32_t)sizeof(struct xm_wire_seg);
	at = tag + XM_WIRE_TAG_LEN;
	if (at > n)
		return false;
	if (damage == IMPAIR_SEGMENTS && tag > HEADER_LEN) {
		flip(p + HEADER_LEN, tag - HEADER_LEN, random);
		return true;
	}
	if (damage == IMPAIR_TAG) {
		flip(p + tag, XM_WIRE_TAG_LEN, random);
		return true;
	}
	if (damage == IMPAIR_RUN && n > at) {
		at += (uint32_t)(random % (n - at));
		n -= at;
		scramble(p + at, n < 64 ? n : 1 + random % 64, random);
		return true;
	}
	return damage == IMPAIR_SWAP && swap(p + at, n - at, random);
}

/* Cut off, or longer.  Returns the new length. */
static uint32_t resize(uint8_t *p, uint32_t len, const struct mangle *m,
		       enum impair_damage damage, uint64_t random)
{
	uint32_t more = 1 + (uint32_t)(random % MANGLE_ROOM);

	if (damage == IMPAIR_EXTEND || damage == IMPAIR_LENGTHEN) {
		scramble(p + len, more, random);
		len += more;
	} else {
		len = m->payload + (uint32_t)(random % (len - m->payload));
	}
	if (damage == IMPAIR_SHORTEN || damage == IMPAIR_LENGTHEN)
		fix_lengths(p, len, m);
	return len;
}

uint32_t mangle_damage(uint8_t *p, uint32_t len, const struct mangle *m,
		       enum impair_damage damage, uint64_t random)
{
	uint32_t n = len - m->payload;

	if (!m->payload || len <= m->payload || damage == IMPAIR_INTACT)
		return len;
	if (damage >= IMPAIR_TRUNCATE && damage <= IMPAIR_LENGTHEN)
		return resize(p, len, m, damage, random);
	if (damage == IMPAIR_HEADER)
		n = n < XM_WIRE_HEADER_MIN ? n : XM_WIRE_HEADER_MIN;
	else if (damage_ip(p, m, damage, random) ||
		 (m->type && damage_frame(p + m->payload, n, damage, random)))
		return len;
	flip(p + m->payload, n, random);
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
