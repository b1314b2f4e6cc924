// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/crc32c.h"
#include "core/multifd.h"

/* An encoded header, in memory that ends with it, so that a reader that goes
 * too far is seen by the address sanitizer. */
struct t_hdr {
	uint8_t b[XM_WIRE_HEADER_MAX];
	size_t len;
};

static struct xm_frame two_pages(void)
{
	struct xm_frame f = {
		.type = XM_WIRE_DATA,
		.channel = 3,
		.flags = XM_WIRE_F_RESENT,
		.n_segs = 2,
		.block = 1,
		.cookie = 0x0102030405060708,
		.epoch = 9,
		.seq = 0x0a0b0c0d,
		.packet = 17,
		.page = 126,
		.seg_len = 4096,
		.len = 8192,
		.tx_us = 0xfffffffe,
		.seg = { 0x123456000, 0x1000 },
	};

	return f;
}

static struct xm_frame slice(uint64_t offset, uint16_t len)
{
	struct xm_frame f = {
		.type = XM_WIRE_DATA,
		.n_segs = 1,
		.epoch = 1,
		.seg_len = len,
		.len = len,
		.seg = { offset },
	};

	return f;
}

static struct xm_frame plain(uint8_t type, uint16_t len)
{
	struct xm_frame f = { .type = type, .epoch = 1, .len = len };

	return f;
}

static struct t_hdr encode(struct xm_frame f)
{
	struct t_hdr h;

	memset(&h, 0xa5, sizeof(h));
	h.len = xm_frame_put(h.b, &f);
	xm_frame_sum(h.b, 0xdeadbeef);
	return h;
}

/* The verdict on a header with @payload bytes behind it. */
static enum xm_drop verdict(const struct t_hdr *h, size_t payload)
{
	struct xm_frame f;
	size_t hdr_len;

	return xm_frame_get(&f, &hdr_len, h->b, h->len, h->len + payload);
}

static enum xm_drop verdict_of(struct xm_frame f)
{
	struct t_hdr h = encode(f);

	return verdict(&h, f.len);
}

static void xm_frame_put__is_exact_to_the_byte(void **state)
{
	static const uint8_t want[] = {
		0x58, 0x4d, 1, 2,  3,    1,    2,    1,    /* magic .. block */
		1,    2,    3, 4,  5,    6,    7,    8,    /* cookie */
		0,    0,    0, 9,  0x0a, 0x0b, 0x0c, 0x0d, /* epoch seq */
		0,    0,    0, 17, 0,    126,  0x10, 0,    /* packet .. */
		0x20, 0,    0, 0,  0xff, 0xff, 0xff, 0xfe, /* len, tx_us */
		0,    0,    0, 0,  0,    0,    0,    0,    /* CRC, count */
		0,    0,    0, 1,  0x23, 0x45, 0x60, 0,    /* segments */
		0,    0,    0, 0,  0,    0,    0x10, 0,    0, 0, /* tag */
		0,    0,    0, 0,  0,    0,    0,    0,    0, 0, 0, 0, 0, 0,
	};
	struct xm_frame f = two_pages();
	uint8_t got[XM_WIRE_HEADER_MAX];

	(void)state;
	assert_int_equal(xm_frame_put(got, &f), sizeof(want));
	assert_memory_equal(got, want, sizeof(want));
}

static void xm_frame_put__writes_nothing_behind_the_tag(void **state)
{
	struct t_hdr h = encode(plain(XM_WIRE_HEADER, XM_MULTIFD_LEN));

	(void)state;
	assert_int_equal(h.len, XM_WIRE_HEADER_MIN);
	assert_int_equal(h.b[h.len], 0xa5);
}

static void xm_frame_sum__sums_header_and_segments(void **state)
{
	struct t_hdr h = encode(two_pages());
	static const uint8_t zeros[12];
	uint32_t crc = xm_crc32c_table(0, h.b, 64);

	(void)state;
	assert_int_equal(h.len, 64 + XM_WIRE_TAG_LEN);
	assert_int_equal(h.b[40] << 8 | h.b[41], 0xdead);
	assert_int_equal(h.b[42] << 8 | h.b[43], 0xbeef);
	assert_int_equal(h.b[64], crc >> 24);
	assert_int_equal(h.b[65], crc >> 16 & 0xff);
	assert_int_equal(h.b[66], crc >> 8 & 0xff);
	assert_int_equal(h.b[67], crc & 0xff);
	assert_memory_equal(h.b + 68, zeros, sizeof(zeros));
}

static void xm_frame_sum__can_be_repeated(void **state)
{
	struct t_hdr once = encode(two_pages()), twice = once;

	(void)state;
	xm_frame_sum(twice.b, 1);
	xm_frame_sum(twice.b, 0xdeadbeef);
	assert_memory_equal(once.b, twice.b, once.len);
}

static void xm_frame_get__gives_back_what_was_put(void **state)
{
	struct xm_frame f = two_pages(), got;
	struct t_hdr h = encode(f);
	size_t hdr_len = 0;

	(void)state;
	assert_int_equal(xm_frame_get(&got, &hdr_len, h.b, h.len, h.len + 8192),
			 XM_DROP_NONE);
	assert_int_equal(hdr_len, 80);
	assert_int_equal(got.type, f.type);
	assert_int_equal(got.channel, f.channel);
	assert_int_equal(got.flags, f.flags);
	assert_int_equal(got.n_segs, f.n_segs);
	assert_int_equal(got.block, f.block);
	assert_int_equal(got.cookie, f.cookie);
	assert_int_equal(got.epoch, f.epoch);
	assert_int_equal(got.seq, f.seq);
	assert_int_equal(got.packet, f.packet);
	assert_int_equal(got.page, f.page);
	assert_int_equal(got.seg_len, f.seg_len);
	assert_int_equal(got.len, f.len);
	assert_int_equal(got.tx_us, f.tx_us);
	assert_int_equal(got.payload_crc, 0xdeadbeef);
	assert_memory_equal(got.seg, f.seg, f.n_segs * sizeof(f.seg[0]));
}

static void xm_frame_get__at_any_alignment(void **state)
{
	struct t_hdr h = encode(two_pages());
	uint8_t buf[XM_WIRE_HEADER_MAX + 8];
	struct xm_frame f;
	size_t hdr_len, i;

	(void)state;
	for (i = 0; i < 8; i++) {
		memcpy(buf + i, h.b, h.len);
		assert_int_equal(xm_frame_get(&f, &hdr_len, buf + i, h.len,
					      h.len + 8192),
				 XM_DROP_NONE);
	}
}

static void xm_frame_get__leaves_the_result_alone_on_a_drop(void **state)
{
	struct t_hdr h = encode(two_pages());
	struct xm_frame f, before;
	size_t hdr_len = 77;

	(void)state;
	memset(&f, 0x5a, sizeof(f));
	before = f;
	assert_int_equal(xm_frame_get(&f, &hdr_len, h.b, h.len, h.len),
			 XM_DROP_BAD_LENGTH);
	assert_int_equal(hdr_len, 77);
	assert_memory_equal(&f, &before, sizeof(f));
}

static void xm_frame_get__runt_at_every_shorter_length(void **state)
{
	struct t_hdr h = encode(two_pages());
	struct xm_frame f;
	size_t hdr_len, len;

	(void)state;
	for (len = 0; len < h.len; len++) {
		assert_int_equal(xm_frame_get(&f, &hdr_len, h.b, len,
					      h.len + 8192),
				 XM_DROP_RUNT);
		assert_int_equal(xm_frame_get(&f, &hdr_len, h.b, h.len, len),
				 XM_DROP_RUNT);
	}
}

static void xm_frame_get__bad_magic(void **state)
{
	struct t_hdr h = encode(two_pages());

	(void)state;
	h.b[0] ^= 1;
	assert_int_equal(verdict(&h, 8192), XM_DROP_BAD_MAGIC);
}

static void xm_frame_get__another_version_is_bad_magic(void **state)
{
	struct t_hdr h = encode(two_pages());

	(void)state;
	h.b[2]++;
	assert_int_equal(verdict(&h, 8192), XM_DROP_BAD_MAGIC);
}

static void xm_frame_get__more_than_15_segments(void **state)
{
	struct t_hdr h = encode(two_pages());

	(void)state;
	h.b[6] = XM_FRAME_SEGS + 1;
	assert_int_equal(verdict(&h, 8192), XM_DROP_BAD_SHAPE);
	h.b[6] = 255;
	assert_int_equal(verdict(&h, 8192), XM_DROP_BAD_SHAPE);
}

static void xm_frame_get__no_damaged_bit_goes_unseen(void **state)
{
	const struct t_hdr good = encode(two_pages());
	struct t_hdr h = good;
	unsigned int bit;

	(void)state;
	for (bit = 0; bit < 8 * good.len; bit++) {
		h.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(verdict(&h, 8192), XM_DROP_NONE);
		h.b[bit / 8] = good.b[bit / 8];
	}
	assert_int_equal(verdict(&h, 8192), XM_DROP_NONE);
}

static void xm_frame_get__damage_behind_the_magic_is_a_bad_tag(void **state)
{
	struct t_hdr h = encode(two_pages());

	(void)state;
	h.b[3] = 0xee; /* type */
	assert_int_equal(verdict(&h, 8192), XM_DROP_BAD_TAG);
	h = encode(two_pages());
	h.b[63] ^= 0x80; /* last byte of the segment table */
	assert_int_equal(verdict(&h, 8192), XM_DROP_BAD_TAG);
}

static void xm_frame_get__unknown_types(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(plain(0, 0)), XM_DROP_BAD_TYPE);
	assert_int_equal(verdict_of(plain(5, 0)), XM_DROP_BAD_TYPE);
	assert_int_equal(verdict_of(plain(255, 0)), XM_DROP_BAD_TYPE);
}

static void xm_frame_get__total_must_be_exact(void **state)
{
	struct t_hdr h = encode(two_pages());

	(void)state;
	assert_int_equal(verdict(&h, 8191), XM_DROP_BAD_LENGTH);
	assert_int_equal(verdict(&h, 8193), XM_DROP_BAD_LENGTH);
	assert_int_equal(verdict(&h, 8192), XM_DROP_NONE);
}

static void xm_frame_get__data_len_is_that_of_its_segments(void **state)
{
	struct xm_frame f = two_pages();

	(void)state;
	f.len = 4096;
	assert_int_equal(verdict_of(f), XM_DROP_BAD_LENGTH);
	f.len = 8193;
	assert_int_equal(verdict_of(f), XM_DROP_BAD_LENGTH);
}

static void xm_frame_get__data_without_segments(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(plain(XM_WIRE_DATA, 0)), XM_DROP_BAD_SHAPE);
}

static void xm_frame_get__data_of_fifteen_pages(void **state)
{
	struct xm_frame f = { .type = XM_WIRE_DATA, .epoch = 1 };

	(void)state;
	f.n_segs = 15;
	f.seg_len = 4096;
	f.len = 61440;
	f.page = 113;
	f.seg[14] = UINT64_MAX - 4095; /* whose memory that is: rx.c asks */
	assert_int_equal(verdict_of(f), XM_DROP_NONE);
}

static void xm_frame_get__pages_behind_the_packets_last(void **state)
{
	struct xm_frame f = two_pages();

	(void)state;
	f.page = 127;
	assert_int_equal(verdict_of(f), XM_DROP_BAD_SHAPE);
	f.page = 0xffff;
	assert_int_equal(verdict_of(f), XM_DROP_BAD_SHAPE);
}

static void xm_frame_get__unaligned_page(void **state)
{
	struct xm_frame f = two_pages();

	(void)state;
	f.seg[1] += 32;
	assert_int_equal(verdict_of(f), XM_DROP_BAD_SHAPE);
	assert_int_equal(verdict_of(slice(32, 4096)), XM_DROP_BAD_SHAPE);
}

static void xm_frame_get__two_slices_in_a_frame(void **state)
{
	struct xm_frame f = two_pages();

	(void)state;
	f.seg_len = 2048;
	f.len = 4096;
	assert_int_equal(verdict_of(f), XM_DROP_BAD_SHAPE);
}

static void xm_frame_get__segments_longer_than_a_page(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(slice(0, 4097)), XM_DROP_BAD_SHAPE);
	assert_int_equal(verdict_of(slice(0, 8192)), XM_DROP_BAD_SHAPE);
}

static void xm_frame_get__empty_slice(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(slice(0, 0)), XM_DROP_BAD_SHAPE);
}

static void xm_frame_get__slices_stay_inside_their_page(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(slice(0, 1376)), XM_DROP_NONE);
	assert_int_equal(verdict_of(slice(0x5000 + 2752, 1344)), XM_DROP_NONE);
	assert_int_equal(verdict_of(slice(0x5000 + 2752, 1345)),
			 XM_DROP_BAD_SHAPE);
	assert_int_equal(verdict_of(slice(0x5fff, 1)), XM_DROP_NONE);
	assert_int_equal(verdict_of(slice(0x5fff, 2)), XM_DROP_BAD_SHAPE);
	assert_int_equal(verdict_of(slice(UINT64_MAX, 1)), XM_DROP_NONE);
	assert_int_equal(verdict_of(slice(UINT64_MAX, 2)), XM_DROP_BAD_SHAPE);
}

static void xm_frame_get__header_is_one_multifd_header(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(plain(XM_WIRE_HEADER, 1344)), XM_DROP_NONE);
	assert_int_equal(verdict_of(plain(XM_WIRE_HEADER, 1343)),
			 XM_DROP_BAD_LENGTH);
	assert_int_equal(verdict_of(plain(XM_WIRE_HEADER, 0)),
			 XM_DROP_BAD_LENGTH);
}

static void xm_frame_get__ack_lengths(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(plain(XM_WIRE_ACK, 24)), XM_DROP_NONE);
	assert_int_equal(verdict_of(plain(XM_WIRE_ACK, XM_ACK_LEN_MAX)),
			 XM_DROP_NONE);
	assert_int_equal(verdict_of(plain(XM_WIRE_ACK, 20)),
			 XM_DROP_BAD_LENGTH);
	assert_int_equal(verdict_of(plain(XM_WIRE_ACK, 26)),
			 XM_DROP_BAD_LENGTH);
	assert_int_equal(verdict_of(plain(XM_WIRE_ACK, XM_ACK_LEN_MAX + 4)),
			 XM_DROP_BAD_LENGTH);
}

static void xm_frame_get__probe_lengths(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(plain(XM_WIRE_PROBE, 7)),
			 XM_DROP_BAD_LENGTH);
	assert_int_equal(verdict_of(plain(XM_WIRE_PROBE, 8)), XM_DROP_NONE);
	assert_int_equal(verdict_of(plain(XM_WIRE_PROBE, 65443)), XM_DROP_NONE);
}

static void xm_frame_get__only_data_has_segments(void **state)
{
	struct xm_frame f = plain(XM_WIRE_HEADER, 1344);

	(void)state;
	f.n_segs = 1;
	assert_int_equal(verdict_of(f), XM_DROP_BAD_SHAPE);
	f = plain(XM_WIRE_ACK, 24);
	f.n_segs = 1;
	assert_int_equal(verdict_of(f), XM_DROP_BAD_SHAPE);
	f = plain(XM_WIRE_PROBE, 8);
	f.n_segs = 15;
	assert_int_equal(verdict_of(f), XM_DROP_BAD_SHAPE);
}

static void xm_frame_get__flags_and_count_decide_nothing(void **state)
{
	struct t_hdr h = encode(two_pages());

	(void)state;
	h.b[5] = 0xff;
	xm_frame_set_count(h.b, XM_FRAME_COUNT_MAX);
	xm_frame_sum(h.b, 0);
	assert_int_equal(verdict(&h, 8192), XM_DROP_NONE);
}

/* -- ACK ---------------------------------------------------------------- */

static struct xm_ack full_ack(void)
{
	struct xm_ack a = { 0 };
	unsigned int i;

	a.credit = 1;
	a.echo_us = 2;
	a.hold_us = 3;
	a.n_ce = 4;
	a.n_dup = 5;
	a.n_words = XM_SACK_WORDS;
	a.n_rejects = XM_ACK_REJECTS;
	for (i = 0; i < XM_SACK_WORDS; i++)
		a.words[i] = 0x0123456789abcdefull * i;
	for (i = 0; i < XM_ACK_REJECTS; i++)
		a.rejects[i] = 0x80000000 + i;
	return a;
}

static void xm_ack_put__is_exact_to_the_byte(void **state)
{
	static const uint8_t want[] = {
		0, 0, 0, 9, 0, 0, 0, 8, 0,    0,    0,    7,
		0, 0, 0, 6, 0, 0, 0, 5, 0,    1,    0,    1,
		1, 2, 3, 4, 5, 6, 7, 8, 0xaa, 0xbb, 0xcc, 0xdd,
	};
	const struct xm_ack a = {
		.credit = 9,
		.echo_us = 8,
		.hold_us = 7,
		.n_ce = 6,
		.n_dup = 5,
		.n_words = 1,
		.n_rejects = 1,
		.words = { 0x0102030405060708 },
		.rejects = { 0xaabbccdd },
	};
	uint8_t got[XM_ACK_LEN_MAX];

	(void)state;
	assert_int_equal(xm_ack_put(got, &a), sizeof(want));
	assert_memory_equal(got, want, sizeof(want));
}

static void xm_ack_get__gives_back_what_was_put(void **state)
{
	struct xm_ack a = full_ack(), got;
	uint8_t b[XM_ACK_LEN_MAX];
	size_t len = xm_ack_put(b, &a);

	(void)state;
	assert_int_equal(len, XM_ACK_LEN_MAX);
	memset(&got, 0xa5, sizeof(got));
	assert_int_equal(xm_ack_get(&got, b, len), XM_DROP_NONE);
	assert_memory_equal(&got, &a, sizeof(a));
}

static void xm_ack_get__clears_what_was_not_sent(void **state)
{
	const struct xm_ack empty = { 0 };
	struct xm_ack got;
	uint8_t b[XM_ACK_LEN_MAX];

	(void)state;
	memset(&got, 0xa5, sizeof(got));
	assert_int_equal(xm_ack_get(&got, b, xm_ack_put(b, &empty)),
			 XM_DROP_NONE);
	assert_memory_equal(&got, &empty, sizeof(empty));
}

static void xm_ack_get__every_other_length_is_bad(void **state)
{
	struct xm_ack a = full_ack(), got;
	uint8_t b[XM_ACK_LEN_MAX + 8] = { 0 };
	size_t len, right = xm_ack_put(b, &a);

	(void)state;
	for (len = 0; len < sizeof(b); len++)
		assert_int_equal(xm_ack_get(&got, b, len),
				 len == right ? XM_DROP_NONE :
						XM_DROP_BAD_LENGTH);
}

static void xm_ack_get__counts_above_the_limits(void **state)
{
	uint8_t b[24 + 8 * (XM_SACK_WORDS + 1)] = { 0 };
	struct xm_ack got;

	(void)state;
	b[21] = XM_SACK_WORDS + 1;
	assert_int_equal(xm_ack_get(&got, b, sizeof(b)), XM_DROP_BAD_LENGTH);
	b[21] = 0;
	b[23] = XM_ACK_REJECTS + 1;
	assert_int_equal(xm_ack_get(&got, b, 24 + 4 * (XM_ACK_REJECTS + 1)),
			 XM_DROP_BAD_LENGTH);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_frame_put__is_exact_to_the_byte),
		T(xm_frame_put__writes_nothing_behind_the_tag),
		T(xm_frame_sum__sums_header_and_segments),
		T(xm_frame_sum__can_be_repeated),
		T(xm_frame_get__gives_back_what_was_put),
		T(xm_frame_get__at_any_alignment),
		T(xm_frame_get__leaves_the_result_alone_on_a_drop),
		T(xm_frame_get__runt_at_every_shorter_length),
		T(xm_frame_get__bad_magic),
		T(xm_frame_get__another_version_is_bad_magic),
		T(xm_frame_get__more_than_15_segments),
		T(xm_frame_get__no_damaged_bit_goes_unseen),
		T(xm_frame_get__damage_behind_the_magic_is_a_bad_tag),
		T(xm_frame_get__unknown_types),
		T(xm_frame_get__total_must_be_exact),
		T(xm_frame_get__data_len_is_that_of_its_segments),
		T(xm_frame_get__data_without_segments),
		T(xm_frame_get__data_of_fifteen_pages),
		T(xm_frame_get__pages_behind_the_packets_last),
		T(xm_frame_get__unaligned_page),
		T(xm_frame_get__two_slices_in_a_frame),
		T(xm_frame_get__segments_longer_than_a_page),
		T(xm_frame_get__empty_slice),
		T(xm_frame_get__slices_stay_inside_their_page),
		T(xm_frame_get__header_is_one_multifd_header),
		T(xm_frame_get__ack_lengths),
		T(xm_frame_get__probe_lengths),
		T(xm_frame_get__only_data_has_segments),
		T(xm_frame_get__flags_and_count_decide_nothing),
		T(xm_ack_put__is_exact_to_the_byte),
		T(xm_ack_get__gives_back_what_was_put),
		T(xm_ack_get__clears_what_was_not_sent),
		T(xm_ack_get__every_other_length_is_bad),
		T(xm_ack_get__counts_above_the_limits),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
