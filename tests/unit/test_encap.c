// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/encap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PAYLOAD 100

static const struct xm_path path4 = {
	.src_mac = { 2, 0, 0, 0, 0, 1 },
	.dst_mac = { 2, 0, 0, 0, 0, 2 },
	.src = { 198, 18, 0, 1 },
	.dst = { 198, 18, 0, 2 },
	.sport = 40000,
	.dport = 61952,
};

static const struct xm_path path6 = {
	.src_mac = { 2, 0, 0, 0, 0, 1 },
	.dst_mac = { 2, 0, 0, 0, 0, 2 },
	.vlan = 0x123,
	.ipv6 = true,
	.src = { 0xfd, [15] = 1 },
	.dst = { 0xfd, [15] = 2 },
	.sport = 40000,
	.dport = 61953,
};

/* Prefixes byte for byte; the IPv4 sum was worked out by hand:
 * 4500+2 +0080 +4000 +4011 +c612+0001 +c612+0002 = 0x251ba, 0x51bc. */
static const uint8_t bytes4[] = {
	2,    0,    0,    0,    0,    2,    2,    0,   0,   0,
	0,    1,    0x08, 0x00,                      /* Ethernet */
	0x45, 0x02, 0x00, 0x80, 0,    0,    0x40, 0, /* length 128, DF */
	64,   17,   0xae, 0x43, 198,  18,   0,    1,   198, 18,
	0,    2,    0x9c, 0x40, 0xf2, 0x00, 0,    108, 0,   0, /* UDP */
};

static const uint8_t bytes6[] = {
	2,    0,    0,    0,    0,    2,    2, 0,   0, 0,   0,  1,  0x81, 0x00,
	0x01, 0x23, 0x86, 0xdd, 0x60, 0x20, 0, 0,   0, 108, 17, 64, 0xfd, 0,
	0,    0,    0,    0,    0,    0,    0, 0,   0, 0,   0,  0,  0,    1,
	0xfd, 0,    0,    0,    0,    0,    0, 0,   0, 0,   0,  0,  0,    0,
	0,    2,    0x9c, 0x40, 0xf2, 0x01, 0, 108, 0, 0, /* UDP */
};

/* A frame with PAYLOAD bytes of payload, whole. */
struct t_frame {
	uint8_t b[XM_ENCAP_MAX + PAYLOAD + 8];
	size_t ip;  /* where the IP header is */
	size_t len; /* of the frame */
};

static struct t_frame frame(const struct xm_path *p)
{
	struct t_frame f;

	memset(&f, 0x5a, sizeof(f));
	f.len = xm_encap_put(f.b, p, PAYLOAD) + PAYLOAD;
	f.ip = p->vlan ? 18 : 14;
	return f;
}

static enum xm_drop verdict(const struct t_frame *f)
{
	struct xm_encap e;

	return xm_encap_get(&e, f->b, f->len, f->len);
}

/* Set IPv4 header byte @at, and the checksum so that it is right again. */
static void set4(struct t_frame *f, size_t at, uint8_t value)
{
	uint8_t *ip = f->b + f->ip;
	uint32_t sum = 0;
	size_t i;

	ip[at] = value;
	ip[10] = ip[11] = 0;
	for (i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}

static void xm_encap_len__of_each_combination(void **state)
{
	struct xm_path p = path4;

	(void)state;
	assert_int_equal(xm_encap_len(&p), 42);
	p.vlan = 1;
	assert_int_equal(xm_encap_len(&p), 46);
	p.ipv6 = true;
	assert_int_equal(xm_encap_len(&p), XM_ENCAP_MAX);
	p.vlan = 0;
	assert_int_equal(xm_encap_len(&p), 62);
}

static void xm_encap_put__ipv4_is_exact_to_the_byte(void **state)
{
	struct t_frame f = frame(&path4);

	(void)state;
	assert_int_equal(f.len, sizeof(bytes4) + PAYLOAD);
	assert_memory_equal(f.b, bytes4, sizeof(bytes4));
	assert_int_equal(f.b[sizeof(bytes4)], 0x5a);
}

static void xm_encap_put__tagged_ipv6_is_exact_to_the_byte(void **state)
{
	struct t_frame f = frame(&path6);

	(void)state;
	assert_int_equal(f.len, sizeof(bytes6) + PAYLOAD);
	assert_memory_equal(f.b, bytes6, sizeof(bytes6));
	assert_int_equal(f.b[sizeof(bytes6)], 0x5a);
}

static void assert_own(const struct xm_path *p, size_t len)
{
	static uint8_t b[XM_ENCAP_MAX + 65535];
	size_t hdr = xm_encap_put(b, p, len);
	struct xm_encap e;

	assert_int_equal(xm_encap_get(&e, b, hdr, hdr + len), XM_DROP_NONE);
	assert_int_equal(e.payload, hdr);
	assert_int_equal(e.len, len);
	assert_int_equal(e.ip_len, xm_path_ip_len(p) + 8 + len);
	assert_int_equal(e.sport, p->sport);
	assert_int_equal(e.dport, p->dport);
	assert_false(e.ce);
}

static void xm_encap_get__takes_its_own(void **state)
{
	(void)state;
	assert_own(&path4, 0);
	assert_own(&path4, 1);
	assert_own(&path4, 65535 - 28);
	assert_own(&path6, 0);
	assert_own(&path6, 65535 - 48);
}

static void xm_encap_get__ipv4_checksum_at_every_length(void **state)
{
	uint8_t b[XM_ENCAP_MAX];
	struct xm_encap e;
	size_t len;

	(void)state;
	for (len = 0; len <= 65535 - 28; len++) {
		xm_encap_put(b, &path4, len);
		assert_int_equal(xm_encap_get(&e, b, 42, 42 + len),
				 XM_DROP_NONE);
	}
}

static void xm_encap_get__runt_at_every_shorter_length(void **state)
{
	struct t_frame f = frame(&path6);
	struct xm_encap e;
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(bytes6); len++) {
		/* a cut tag leaves an EtherType nobody knows */
		enum xm_drop want = len >= 14 && len < 18 ? XM_DROP_BAD_IP :
							    XM_DROP_RUNT;

		assert_int_equal(xm_encap_get(&e, f.b, len, f.len), want);
		assert_int_equal(xm_encap_get(&e, f.b, len, len), want);
	}
}

static void xm_encap_get__cuts_padding_off(void **state)
{
	struct t_frame f = frame(&path4);
	struct xm_encap e;

	(void)state;
	assert_int_equal(xm_encap_get(&e, f.b, f.len + 6, f.len + 6),
			 XM_DROP_NONE);
	assert_int_equal(e.len, PAYLOAD);
}

static void xm_encap_get__needs_only_the_first_piece(void **state)
{
	struct t_frame f = frame(&path4);
	struct xm_encap e;

	(void)state;
	assert_int_equal(xm_encap_get(&e, f.b, sizeof(bytes4), f.len),
			 XM_DROP_NONE);
	assert_int_equal(e.len, PAYLOAD);
}

static void xm_encap_get__other_ethertypes(void **state)
{
	struct t_frame f = frame(&path4);

	(void)state;
	f.b[13] = 0x06; /* ARP */
	assert_int_equal(verdict(&f), XM_DROP_BAD_IP);
}

static void xm_encap_get__priority_tag(void **state)
{
	struct t_frame f = frame(&path6);

	(void)state;
	f.b[14] = 0xe0; /* priority 7, VLAN 0 */
	f.b[15] = 0;
	assert_int_equal(verdict(&f), XM_DROP_NONE);
}

static void xm_encap_get__two_tags(void **state)
{
	struct t_frame f = frame(&path6);

	(void)state;
	f.b[16] = 0x81;
	f.b[17] = 0x00;
	assert_int_equal(verdict(&f), XM_DROP_BAD_IP);
}

static void xm_encap_get__congestion_experienced(void **state)
{
	struct t_frame f4 = frame(&path4), f6 = frame(&path6);
	struct xm_encap e;

	(void)state;
	set4(&f4, 1, 3);
	assert_int_equal(xm_encap_get(&e, f4.b, f4.len, f4.len), XM_DROP_NONE);
	assert_true(e.ce);
	f6.b[f6.ip + 1] |= 0x30;
	assert_int_equal(xm_encap_get(&e, f6.b, f6.len, f6.len), XM_DROP_NONE);
	assert_true(e.ce);
}

static void xm_encap_get__dscp_is_not_congestion(void **state)
{
	struct t_frame f4 = frame(&path4), f6 = frame(&path6);
	struct xm_encap e;

	(void)state;
	set4(&f4, 1, 0xfc);
	assert_int_equal(xm_encap_get(&e, f4.b, f4.len, f4.len), XM_DROP_NONE);
	assert_false(e.ce);
	f6.b[f6.ip] = 0x6f;
	f6.b[f6.ip + 1] = 0xcf;
	assert_int_equal(xm_encap_get(&e, f6.b, f6.len, f6.len), XM_DROP_NONE);
	assert_false(e.ce);
}

static void xm_encap_get__ip_options(void **state)
{
	struct t_frame f = frame(&path4);

	(void)state;
	set4(&f, 0, 0x46);
	assert_int_equal(verdict(&f), XM_DROP_BAD_IP);
}

static void xm_encap_get__ip_version_against_the_ethertype(void **state)
{
	struct t_frame f4 = frame(&path4), f6 = frame(&path6);

	(void)state;
	set4(&f4, 0, 0x65);
	assert_int_equal(verdict(&f4), XM_DROP_BAD_IP);
	f6.b[f6.ip] = 0x45;
	assert_int_equal(verdict(&f6), XM_DROP_BAD_IP);
}

static void xm_encap_get__fragments(void **state)
{
	struct t_frame f = frame(&path4);

	(void)state;
	set4(&f, 6, 0x20); /* more fragments */
	assert_int_equal(verdict(&f), XM_DROP_BAD_IP);
	set4(&f, 6, 0);
	assert_int_equal(verdict(&f), XM_DROP_NONE);
	set4(&f, 7, 1); /* offset 8 */
	assert_int_equal(verdict(&f), XM_DROP_BAD_IP);
}

static void xm_encap_get__other_protocols(void **state)
{
	struct t_frame f4 = frame(&path4), f6 = frame(&path6);

	(void)state;
	set4(&f4, 9, 6); /* TCP */
	assert_int_equal(verdict(&f4), XM_DROP_BAD_IP);
	f6.b[f6.ip + 6] = 44; /* fragment header */
	assert_int_equal(verdict(&f6), XM_DROP_BAD_IP);
}

static void xm_encap_get__bad_header_checksum(void **state)
{
	const struct t_frame good = frame(&path4);
	struct t_frame f = good;
	unsigned int bit;

	(void)state;
	for (bit = 0; bit < 160; bit++) {
		f.b[14 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(verdict(&f), XM_DROP_BAD_IP);
		f = good;
	}
}

static void xm_encap_get__ip_length_below_its_headers(void **state)
{
	struct t_frame f4 = frame(&path4), f6 = frame(&path6);

	(void)state;
	set4(&f4, 3, 27);
	f4.b[sizeof(bytes4) - 3] = 7; /* UDP agrees */
	assert_int_equal(verdict(&f4), XM_DROP_BAD_LENGTH);
	f6.b[f6.ip + 5] = 7;
	f6.b[sizeof(bytes6) - 3] = 7;
	assert_int_equal(verdict(&f6), XM_DROP_BAD_LENGTH);
}

static void xm_encap_get__ip_length_above_the_frame(void **state)
{
	struct t_frame f4 = frame(&path4), f6 = frame(&path6);

	(void)state;
	f4.len--;
	assert_int_equal(verdict(&f4), XM_DROP_BAD_LENGTH);
	f6.len--;
	assert_int_equal(verdict(&f6), XM_DROP_BAD_LENGTH);
}

static void xm_encap_get__udp_length_against_ip_length(void **state)
{
	struct t_frame f4 = frame(&path4), f6 = frame(&path6);

	(void)state;
	f4.b[sizeof(bytes4) - 3]--;
	assert_int_equal(verdict(&f4), XM_DROP_BAD_LENGTH);
	f6.b[sizeof(bytes6) - 3]++;
	assert_int_equal(verdict(&f6), XM_DROP_BAD_LENGTH);
}

static void xm_encap_get__udp_checksum_decides_nothing(void **state)
{
	struct t_frame f = frame(&path4);

	(void)state;
	f.b[sizeof(bytes4) - 1] = 0xff;
	assert_int_equal(verdict(&f), XM_DROP_NONE);
}

static void xm_encap_get__leaves_the_result_alone_on_a_drop(void **state)
{
	struct t_frame f = frame(&path4);
	struct xm_encap e, before;

	(void)state;
	memset(&e, 0x5a, sizeof(e));
	before = e;
	assert_int_equal(xm_encap_get(&e, f.b, f.len - 1, f.len - 1),
			 XM_DROP_BAD_LENGTH);
	assert_memory_equal(&e, &before, sizeof(e));
}

/* -- the frames of a flow ---------------------------------------------------------- */

static void next_is_get(struct xm_encap_last *last, const struct t_frame *f,
			size_t first, size_t total)
{
	struct xm_encap e = { 0 };
	enum xm_drop want = xm_encap_get(&e, f->b, first, total);

	assert_int_equal(xm_encap_next(last, f->b, first, total), want);
	if (want)
		return;
	assert_int_equal(last->is.payload, e.payload);
	assert_int_equal(last->is.len, e.len);
	assert_int_equal(last->is.ip_len, e.ip_len);
	assert_int_equal(last->is.sport, e.sport);
	assert_int_equal(last->is.dport, e.dport);
	assert_int_equal(last->is.ce, e.ce);
}

/* A frame like @good comes, and then @f. */
static void after(const struct t_frame *good, const struct t_frame *f,
		  size_t first, size_t total)
{
	struct xm_encap_last last = { 0 };

	next_is_get(&last, good, good->len, good->len);
	next_is_get(&last, f, first, total);
	next_is_get(&last, good, good->len, good->len);
}

static void after_another(const struct xm_path *p)
{
	struct t_frame good = frame(p), f = good;
	size_t bit, len;

	after(&good, &good, good.len, good.len);
	for (bit = 0; bit < 8 * xm_encap_len(p); bit++) {
		f.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		after(&good, &f, f.len, f.len);
		f.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (len = 0; len < good.len + 8; len++) {
		after(&good, &good, len, len);
		after(&good, &good, len, good.len);
	}
	if (!p->ipv6) {
		set4(&f, 1, 3); /* Congestion Experienced, and a right sum */
		after(&good, &f, f.len, f.len);
	}
}

/* Whatever is another byte, or length, in each kind of prefix. */
static void xm_encap_next__is_get_whatever_came_before(void **state)
{
	struct xm_path tagged4 = path4, plain6 = path6;

	(void)state;
	tagged4.vlan = 5;
	plain6.vlan = 0;
	after_another(&path4);
	after_another(&tagged4);
	after_another(&plain6);
	after_another(&path6);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_encap_len__of_each_combination),
		T(xm_encap_put__ipv4_is_exact_to_the_byte),
		T(xm_encap_put__tagged_ipv6_is_exact_to_the_byte),
		T(xm_encap_get__takes_its_own),
		T(xm_encap_get__ipv4_checksum_at_every_length),
		T(xm_encap_get__runt_at_every_shorter_length),
		T(xm_encap_get__cuts_padding_off),
		T(xm_encap_get__needs_only_the_first_piece),
		T(xm_encap_get__other_ethertypes),
		T(xm_encap_get__priority_tag),
		T(xm_encap_get__two_tags),
		T(xm_encap_get__congestion_experienced),
		T(xm_encap_get__dscp_is_not_congestion),
		T(xm_encap_get__ip_options),
		T(xm_encap_get__ip_version_against_the_ethertype),
		T(xm_encap_get__fragments),
		T(xm_encap_get__other_protocols),
		T(xm_encap_get__bad_header_checksum),
		T(xm_encap_get__ip_length_below_its_headers),
		T(xm_encap_get__ip_length_above_the_frame),
		T(xm_encap_get__udp_length_against_ip_length),
		T(xm_encap_get__udp_checksum_decides_nothing),
		T(xm_encap_get__leaves_the_result_alone_on_a_drop),
		T(xm_encap_next__is_get_whatever_came_before),
	};

	return cmocka_run_group_tests_name("encap", tests, NULL, NULL);
}
