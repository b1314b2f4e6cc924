// SPDX-License-Identifier: GPL-2.0-or-later
/* test_frame_run.c - headers that are written together are those that are written one
 * by one */
#include "core/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FRAMES 5
#define PAST   8 /* bytes behind what may be overwritten */

struct t_run {
	uint8_t prefix[XM_ENCAP_MAX];
	uint8_t segs[FRAMES * XM_FRAME_SEGS * sizeof(struct xm_wire_seg)];
	uint8_t buf[FRAMES][XM_FRAME_HEAD_MAX + PAST];
};

static struct xm_frame first_frame(unsigned int n_segs)
{
	return (struct xm_frame){
		.type = XM_WIRE_DATA,
		.channel = 63,
		.n_segs = (uint8_t)n_segs,
		.block = 0xfe,
		.cookie = 0x8182838485868788,
		.epoch = 0x91929394,
		.seq = 0x7ffffffe - FRAMES,
		.packet = 0xa1a2a3a4,
		.page = 3,
		.seg_len = 4096,
		.len = (uint16_t)(n_segs * 4096),
		.tx_us = 0xb1b2b3b4,
	};
}

/* Frame @i of the run, behind a prefix of @prefix_len bytes. */
static void check_frame(const struct t_run *t, unsigned int i,
			size_t prefix_len, unsigned int n_segs)
{
	const uint8_t *b = t->buf[i];
	struct xm_frame f = first_frame(n_segs);
	uint8_t want[XM_WIRE_HEADER_MAX];
	unsigned int k;
	size_t len;

	f.seq += i;
	f.page = (uint16_t)(f.page + i * n_segs);
	for (k = 0; k < n_segs; k++)
		f.seg[k] = (i * n_segs + k) * 0x100005000ull;
	len = xm_frame_put(want, &f) - XM_WIRE_TAG_LEN;
	assert_memory_equal(b, t->prefix, prefix_len);
	assert_memory_equal(b + prefix_len, want, len);
	for (k = 0; k < PAST; k++)
		assert_int_equal(b[XM_FRAME_HEAD_MAX + k], 0xee);
}

static void check_run(struct t_run *t, size_t prefix_len, unsigned int n_segs)
{
	struct xm_frame f = first_frame(n_segs);
	uint8_t *dst[FRAMES];
	unsigned int i;

	memset(t->buf, 0xee, sizeof(t->buf));
	for (i = 0; i < FRAMES; i++)
		dst[i] = t->buf[i];
	xm_frame_put_run(dst, FRAMES, t->prefix, prefix_len, &f, t->segs);
	for (i = 0; i < FRAMES; i++)
		check_frame(t, i, prefix_len, n_segs);
}

/* Ethernet, with and without a VLAN, IPv4 and IPv6. */
static void xm_frame_put_run__is_as_one_by_one(void **state)
{
	static const size_t prefix_len[] = { 42, 46, 62, 66 };
	struct t_run t;
	unsigned int i, n_segs;

	(void)state;
	for (i = 0; i < sizeof(t.prefix); i++)
		t.prefix[i] = (uint8_t)(0x40 + i);
	for (i = 0; i < FRAMES * XM_FRAME_SEGS; i++)
		xm_be64_put(t.segs + 8 * (size_t)i, i * 0x100005000ull);
	for (i = 0; i < 4; i++)
		for (n_segs = 1; n_segs <= XM_FRAME_SEGS; n_segs++)
			check_run(&t, prefix_len[i], n_segs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xm_frame_put_run__is_as_one_by_one),
	};

	return cmocka_run_group_tests_name("frame_run", tests, NULL, NULL);
}
