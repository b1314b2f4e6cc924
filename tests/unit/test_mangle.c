// SPDX-License-Identifier: GPL-2.0-or-later
/* test_mangle.c - what the relay sees in a frame, and does to it
 *
 * Frames are built by core/encap.c and judged by it, so that "the lengths
 * agree" means what the receiver means by it.
 */
#include "../lib/mangle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/encap.h"
#include "xdpmig/wire.h"

#define PAYLOAD 1000

struct t_frame {
	uint8_t b[1200];
	uint32_t len;
	struct mangle m;
};

static void frame_make(struct t_frame *f, bool ipv6, uint16_t vlan)
{
	struct xm_path path = {
		.vlan = vlan, .ipv6 = ipv6, .sport = 4000, .dport = 61955
	};
	size_t at = xm_encap_put(f->b, &path, PAYLOAD), i;

	for (i = 0; i < PAYLOAD; i++)
		f->b[at + i] = (uint8_t)(i * 13);
	f->b[at] = XM_WIRE_MAGIC >> 8;
	f->b[at + 1] = XM_WIRE_MAGIC & 0xff;
	f->b[at + 2] = XM_WIRE_VERSION;
	f->b[at + 3] = XM_WIRE_ACK;
	f->len = (uint32_t)at + PAYLOAD;
	mangle_look(f->b, f->len, &f->m);
}

static enum xm_drop frame_drop(const struct t_frame *f, struct xm_encap *ret)
{
	return xm_encap_get(ret, f->b, f->len, f->len);
}

/* Bits that differ, and where the first and last differing byte are. */
static unsigned int diff(const struct t_frame *a, const struct t_frame *b,
			 uint32_t *ret_first, uint32_t *ret_last)
{
	unsigned int bits = 0;
	uint32_t i;

	*ret_first = UINT32_MAX;
	*ret_last = 0;
	for (i = 0; i < a->len; i++) {
		if (a->b[i] == b->b[i])
			continue;
		bits += (unsigned int)__builtin_popcount(a->b[i] ^ b->b[i]);
		*ret_last = i;
		if (*ret_first == UINT32_MAX)
			*ret_first = i;
	}
	return bits;
}

/* -- looking ------------------------------------------------------------------------- */

static void expect_look(bool ipv6, uint16_t vlan, uint32_t ip)
{
	struct t_frame f;
	uint32_t ip_len = ipv6 ? 40 : 20;

	frame_make(&f, ipv6, vlan);
	assert_int_equal(f.m.ip, ip);
	assert_int_equal(f.m.udp, ip + ip_len);
	assert_int_equal(f.m.payload, ip + ip_len + 8);
	assert_int_equal(f.m.ip_len, f.len - ip);
	assert_int_equal(f.m.sport, 4000);
	assert_int_equal(f.m.dport, 61955);
	assert_int_equal(f.m.type, XM_WIRE_ACK);
	assert_int_equal(f.m.is_six, ipv6);
	assert_true(f.m.is_ect);
}

static void mangle_look__ipv4(void **state)
{
	(void)state;
	expect_look(false, 0, 14);
}

static void mangle_look__ipv6(void **state)
{
	(void)state;
	expect_look(true, 0, 14);
}

static void mangle_look__vlan(void **state)
{
	(void)state;
	expect_look(false, 100, 18);
	expect_look(true, 100, 18);
}

static void mangle_look__fragment_has_no_ports(void **state)
{
	struct t_frame f;

	(void)state;
	frame_make(&f, false, 0);
	f.b[14 + 7] = 1;
	mangle_look(f.b, f.len, &f.m);
	assert_int_equal(f.m.udp, 0);
	assert_int_equal(f.m.dport, 0);
}

static void mangle_look__not_ip(void **state)
{
	struct t_frame f;

	(void)state;
	frame_make(&f, false, 0);
	f.b[12] = 0x08;
	f.b[13] = 0x06;
	mangle_look(f.b, f.len, &f.m);
	assert_int_equal(f.m.ip, 0);
	assert_int_equal(f.m.type, 0);
	assert_int_equal(f.m.payload, 14);
}

/* No length makes it read beyond the end (the sanitizers watch). */
static void mangle_look__any_length(void **state)
{
	struct t_frame f;
	struct mangle m;
	uint32_t len;

	(void)state;
	frame_make(&f, true, 100);
	for (len = 0; len < 200; len++) {
		uint8_t exact[200];

		memcpy(exact, f.b, len);
		mangle_look(exact, len, &m);
		assert_true(m.payload <= len);
		assert_true(!m.type || len >= m.payload + 48);
	}
}

/* -- damaging --------------------------------------------------------------------------- */

static void mangle_damage__payload_bits_only_behind_udp(void **state)
{
	struct t_frame f, was;
	uint32_t first, last;
	uint64_t random;

	(void)state;
	for (random = 1; random < 1ULL << 63; random = random * 5 + 3) {
		frame_make(&was, false, 0);
		f = was;
		assert_int_equal(mangle_damage(f.b, f.len, &f.m, IMPAIR_PAYLOAD,
					       random),
				 f.len);
		assert_in_range(diff(&was, &f, &first, &last), 1, 4);
		assert_true(first >= f.m.payload);
	}
}

static void mangle_damage__header_bits_only_in_the_header(void **state)
{
	struct t_frame f, was;
	uint32_t first, last;
	uint64_t random;

	(void)state;
	for (random = 1; random < 1ULL << 63; random = random * 5 + 3) {
		frame_make(&was, true, 100);
		f = was;
		mangle_damage(f.b, f.len, &f.m, IMPAIR_HEADER, random);
		assert_in_range(diff(&was, &f, &first, &last), 1, 4);
		assert_true(first >= f.m.payload);
		assert_true(last < f.m.payload + XM_WIRE_HEADER_MIN);
	}
}

static void mangle_damage__truncated_lengths_disagree(void **state)
{
	struct xm_encap e;
	struct t_frame f;

	(void)state;
	frame_make(&f, false, 0);
	f.len = mangle_damage(f.b, f.len, &f.m, IMPAIR_TRUNCATE, 123456789);
	assert_in_range(f.len, f.m.payload, f.m.payload + PAYLOAD - 1);
	assert_int_equal(frame_drop(&f, &e), XM_DROP_BAD_LENGTH);
}

static void expect_shortened(bool ipv6, uint16_t vlan)
{
	struct xm_encap e;
	struct t_frame f;

	frame_make(&f, ipv6, vlan);
	f.len = mangle_damage(f.b, f.len, &f.m, IMPAIR_SHORTEN, 123456789);
	assert_in_range(f.len, f.m.payload, f.m.payload + PAYLOAD - 1);
	assert_int_equal(frame_drop(&f, &e), XM_DROP_NONE);
	assert_int_equal(e.len, f.len - f.m.payload);
}

static void mangle_damage__shortened_lengths_agree(void **state)
{
	(void)state;
	expect_shortened(false, 0);
	expect_shortened(false, 100);
	expect_shortened(true, 0);
}

/* A DATA frame of three segments. */
static void frame_make_data(struct t_frame *f, bool ipv6)
{
	frame_make(f, ipv6, 0);
	f->b[f->m.payload + 3] = XM_WIRE_DATA;
	f->b[f->m.payload + 6] = 3;
	mangle_look(f->b, f->len, &f->m);
}

/* Damaged that way, what differs is in [@from, @to) behind the UDP header. */
static void expect_differs_in(enum impair_damage damage, uint32_t from,
			      uint32_t to)
{
	struct t_frame f, was;
	uint32_t first, last;
	uint64_t random;

	for (random = 1; random < 1ULL << 63; random = random * 5 + 3) {
		frame_make_data(&was, random & 4);
		f = was;
		assert_int_equal(
			mangle_damage(f.b, f.len, &f.m, damage, random), f.len);
		assert_true(diff(&was, &f, &first, &last) > 0);
		assert_true(first >= f.m.payload + from);
		assert_true(last < f.m.payload + to);
	}
}

static void mangle_damage__parts_of_a_frame(void **state)
{
	const uint32_t header = sizeof(struct xm_wire_frame);
	const uint32_t tag = header + 24, payload = tag + XM_WIRE_TAG_LEN;

	(void)state;
	expect_differs_in(IMPAIR_SEGMENTS, header, tag);
	expect_differs_in(IMPAIR_TAG, tag, payload);
	expect_differs_in(IMPAIR_RUN, payload, PAYLOAD);
	expect_differs_in(IMPAIR_SWAP, payload, PAYLOAD);
}

/* Every field is hit, and each byte of the header is some field's. */
static void mangle_damage__fields(void **state)
{
	bool hit[sizeof(struct xm_wire_frame)] = { false };
	struct t_frame f, was;
	uint32_t first, last, i;
	unsigned int k;

	(void)state;
	for (k = IMPAIR_FIELD; k < IMPAIR_DAMAGE__COUNT; k++) {
		for (i = 0; i < 100; i++) {
			frame_make_data(&was, false);
			f = was;
			mangle_damage(f.b, f.len, &f.m, (enum impair_damage)k,
				      i * 0x123456789abcdefULL);
			assert_true(diff(&was, &f, &first, &last) > 0);
			memset(&hit[first - f.m.payload], true,
			       last - first + 1);
		}
	}
	for (i = 0; i < sizeof(hit); i++)
		assert_true(hit[i]);
}

static void mangle_damage__extended_is_padding(void **state)
{
	struct xm_encap e;
	struct t_frame f;

	(void)state;
	frame_make(&f, false, 0);
	f.len = mangle_damage(f.b, f.len, &f.m, IMPAIR_EXTEND, 123456789);
	assert_in_range(f.len, f.m.payload + PAYLOAD + 1,
			f.m.payload + PAYLOAD + MANGLE_ROOM);
	assert_int_equal(frame_drop(&f, &e), XM_DROP_NONE);
	assert_int_equal(e.len, PAYLOAD);
}

static void mangle_damage__lengthened_lengths_agree(void **state)
{
	struct xm_encap e;
	struct t_frame f;

	(void)state;
	frame_make(&f, true, 0);
	f.len = mangle_damage(f.b, f.len, &f.m, IMPAIR_LENGTHEN, 123456789);
	assert_int_equal(frame_drop(&f, &e), XM_DROP_NONE);
	assert_int_equal(e.len, f.len - f.m.payload);
	assert_true(e.len > PAYLOAD);
}

static void expect_dropped(enum impair_damage damage, bool ipv6,
			   enum xm_drop drop)
{
	struct xm_encap e;
	struct t_frame f;

	frame_make(&f, ipv6, 0);
	mangle_damage(f.b, f.len, &f.m, damage, 5);
	assert_int_equal(frame_drop(&f, &e), drop);
}

static void mangle_damage__ip_and_udp(void **state)
{
	(void)state;
	expect_dropped(IMPAIR_IP, false, XM_DROP_BAD_IP);
	expect_dropped(IMPAIR_IP_LEN, false, XM_DROP_BAD_LENGTH);
	expect_dropped(IMPAIR_IP_LEN, true, XM_DROP_BAD_LENGTH);
	expect_dropped(IMPAIR_UDP_LEN, false, XM_DROP_BAD_LENGTH);
	expect_dropped(IMPAIR_UDP_LEN, true, XM_DROP_BAD_LENGTH);
}

/* An ACK has no segment table, and a stranger's frame none of our fields. */
static void mangle_damage__what_is_not_there(void **state)
{
	struct t_frame f, was;
	uint32_t first, last;

	(void)state;
	frame_make(&was, false, 0);
	f = was;
	mangle_damage(f.b, f.len, &f.m, IMPAIR_SEGMENTS, 12345);
	assert_in_range(diff(&was, &f, &first, &last), 1, 4);
	was.b[was.m.payload] = 0;
	mangle_look(was.b, was.len, &was.m);
	assert_int_equal(was.m.type, 0);
	f = was;
	mangle_damage(f.b, f.len, &f.m, IMPAIR_FIELD, 12345);
	assert_in_range(diff(&was, &f, &first, &last), 1, 4);
}

static void mangle_name__each_its_own(void **state)
{
	unsigned int i, k;

	(void)state;
	for (i = 1; i < IMPAIR_DAMAGE__COUNT; i++)
		for (k = 1; k < i; k++)
			assert_string_not_equal(
				mangle_name((enum impair_damage)i),
				mangle_name((enum impair_damage)k));
}

static void mangle_damage__intact(void **state)
{
	struct t_frame f, was;
	uint32_t first, last;

	(void)state;
	frame_make(&was, false, 0);
	f = was;
	assert_int_equal(mangle_damage(f.b, f.len, &f.m, IMPAIR_INTACT, 99),
			 f.len);
	assert_int_equal(diff(&was, &f, &first, &last), 0);
}

static void mangle_damage__nothing_behind_the_headers(void **state)
{
	struct t_frame f;

	(void)state;
	frame_make(&f, false, 0);
	f.len = f.m.payload;
	mangle_look(f.b, f.len, &f.m);
	assert_int_equal(mangle_damage(f.b, f.len, &f.m, IMPAIR_PAYLOAD, 5),
			 f.len);
	assert_int_equal(mangle_damage(f.b, f.len, &f.m, IMPAIR_TRUNCATE, 5),
			 f.len);
}

/* -- marking ------------------------------------------------------------------------------ */

static void expect_mark(bool ipv6)
{
	struct xm_encap e;
	struct t_frame f;

	frame_make(&f, ipv6, 0);
	assert_int_equal(frame_drop(&f, &e), XM_DROP_NONE);
	assert_false(e.ce);
	mangle_mark(f.b, &f.m);
	/* the receiver checks the IPv4 header's sum, too */
	assert_int_equal(frame_drop(&f, &e), XM_DROP_NONE);
	assert_true(e.ce);
}

static void mangle_mark__ipv4(void **state)
{
	(void)state;
	expect_mark(false);
}

static void mangle_mark__ipv6(void **state)
{
	(void)state;
	expect_mark(true);
}

static void mangle_mark__not_ect_stays(void **state)
{
	struct t_frame f, was;
	uint32_t first, last;

	(void)state;
	frame_make(&f, true, 0);
	f.b[14 + 1] &= 0x0f;
	mangle_look(f.b, f.len, &f.m);
	assert_false(f.m.is_ect);
	was = f;
	mangle_mark(f.b, &f.m);
	assert_int_equal(diff(&was, &f, &first, &last), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mangle_look__ipv4),
		cmocka_unit_test(mangle_look__ipv6),
		cmocka_unit_test(mangle_look__vlan),
		cmocka_unit_test(mangle_look__fragment_has_no_ports),
		cmocka_unit_test(mangle_look__not_ip),
		cmocka_unit_test(mangle_look__any_length),
		cmocka_unit_test(mangle_damage__payload_bits_only_behind_udp),
		cmocka_unit_test(mangle_damage__header_bits_only_in_the_header),
		cmocka_unit_test(mangle_damage__truncated_lengths_disagree),
		cmocka_unit_test(mangle_damage__shortened_lengths_agree),
		cmocka_unit_test(mangle_damage__parts_of_a_frame),
		cmocka_unit_test(mangle_damage__fields),
		cmocka_unit_test(mangle_damage__extended_is_padding),
		cmocka_unit_test(mangle_damage__lengthened_lengths_agree),
		cmocka_unit_test(mangle_damage__ip_and_udp),
		cmocka_unit_test(mangle_damage__what_is_not_there),
		cmocka_unit_test(mangle_name__each_its_own),
		cmocka_unit_test(mangle_damage__intact),
		cmocka_unit_test(mangle_damage__nothing_behind_the_headers),
		cmocka_unit_test(mangle_mark__ipv4),
		cmocka_unit_test(mangle_mark__ipv6),
		cmocka_unit_test(mangle_mark__not_ect_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
