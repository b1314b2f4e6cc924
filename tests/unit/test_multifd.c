// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets here are laid out by hand from QEMU's documented table, most in the
 * form of 9.0 and later; those of a real QEMU 7.2 are in test_multifd_qemu.c. */
#include "core/multifd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* -- packets by hand ------------------------------------------------------ */

struct t_raw {
	uint8_t b[XM_MULTIFD_LEN];
};

static void set32(struct t_raw *r, size_t at, uint32_t v)
{
	r->b[at] = (uint8_t)(v >> 24);
	r->b[at + 1] = (uint8_t)(v >> 16);
	r->b[at + 2] = (uint8_t)(v >> 8);
	r->b[at + 3] = (uint8_t)v;
}

/* A packet of the 9.0 form: @normal pages from 1 MiB on, then @zero pages
 * from 2 MiB on. */
static struct t_raw raw_packet(uint32_t flags, uint32_t normal, uint32_t zero)
{
	struct t_raw r = { 0 };
	uint32_t i;

	set32(&r, 0, 0x11223344);
	set32(&r, 4, 1);
	set32(&r, 8, flags);
	set32(&r, 12, 128);
	set32(&r, 16, normal);
	set32(&r, 20, normal * 4096);
	set32(&r, 28, 77); /* packet_num, low half */
	set32(&r, 32, zero);
	memcpy(r.b + 64, "pc.ram", 6);
	for (i = 0; i < normal && i < 128; i++)
		set32(&r, 324 + 8 * i, 0x100000 + i * 4096);
	for (i = 0; i < zero && normal + i < 128; i++)
		set32(&r, 324 + 8 * (normal + i), 0x200000 + i * 4096);
	return r;
}

/* A SYNC of 9.0 and later: everything but the fixed fields is cleared. */
static struct t_raw raw_sync(void)
{
	struct t_raw r = { 0 };

	set32(&r, 0, 0x11223344);
	set32(&r, 4, 1);
	set32(&r, 8, XM_MULTIFD_F_SYNC);
	set32(&r, 28, 78);
	return r;
}

static int outcome(const struct t_raw *r)
{
	struct xm_multifd pkt;

	return xm_multifd_get(&pkt, r->b);
}

static void assert_encodes_to(const struct xm_multifd *pkt, const uint8_t *want)
{
	uint8_t got[XM_MULTIFD_LEN];

	memset(got, 0xa5, sizeof(got));
	xm_multifd_put(got, pkt);
	assert_memory_equal(got, want, sizeof(got));
}

/* -- INIT ----------------------------------------------------------------- */

static const uint8_t init_bytes[XM_MULTIFD_INIT_LEN] = {
	0x11, 0x22, 0x33, 0x44, 0,  0,  0,  1, /* magic, version */
	1,    2,    3,    4,    5,  6,  7,  8, 9,
	10,   11,   12,   13,   14, 15, 16, 7, /* id; the rest is 0 */
};

static void xm_multifd_init_put__is_exact_to_the_byte(void **state)
{
	const struct xm_multifd_init init = {
		.uuid = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
			  16 },
		.id = 7,
	};
	uint8_t got[XM_MULTIFD_INIT_LEN];

	(void)state;
	memset(got, 0xa5, sizeof(got));
	xm_multifd_init_put(got, &init);
	assert_memory_equal(got, init_bytes, sizeof(got));
}

static void xm_multifd_init_get__reads_uuid_and_channel(void **state)
{
	struct xm_multifd_init init;

	(void)state;
	assert_int_equal(xm_multifd_init_get(&init, init_bytes, 8), 0);
	assert_memory_equal(init.uuid, init_bytes + 8, 16);
	assert_int_equal(init.id, 7);
}

static void
xm_multifd_init_get__refuses_the_first_channel_too_many(void **state)
{
	struct xm_multifd_init init;

	(void)state;
	assert_int_equal(xm_multifd_init_get(&init, init_bytes, 7),
			 XM_MULTIFD_E_CHANNEL);
	assert_int_equal(xm_multifd_init_get(&init, init_bytes, 0),
			 XM_MULTIFD_E_CHANNEL);
}

static void xm_multifd_init_get__refuses_magic_and_version(void **state)
{
	uint8_t b[XM_MULTIFD_INIT_LEN];
	struct xm_multifd_init init;

	(void)state;
	memcpy(b, init_bytes, sizeof(b));
	b[7] = 2;
	assert_int_equal(xm_multifd_init_get(&init, b, 8),
			 XM_MULTIFD_E_VERSION);
	memcpy(b, "QEVM", 4);
	assert_int_equal(xm_multifd_init_get(&init, b, 8), XM_MULTIFD_E_MAGIC);
}

static void xm_multifd_init_get__ignores_unused_bytes(void **state)
{
	uint8_t b[XM_MULTIFD_INIT_LEN];
	struct xm_multifd_init init;

	(void)state;
	memcpy(b, init_bytes, sizeof(b));
	memset(b + 25, 0xff, sizeof(b) - 25);
	assert_int_equal(xm_multifd_init_get(&init, b, 8), 0);
}

/* -- RAM packets ------------------------------------------------------------ */

static void xm_multifd_put__is_exact_to_the_byte(void **state)
{
	const struct t_raw want = raw_packet(0, 2, 1);
	const struct xm_multifd pkt = {
		.pages_alloc = 128,
		.normal_pages = 2,
		.zero_pages = 1,
		.next_packet_size = 8192,
		.packet_num = 77,
		.ramblock = "pc.ram",
		.offset = { 0x100000, 0x101000, 0x200000, 0x555000 },
	};

	(void)state;
	assert_encodes_to(&pkt, want.b);
}

static void xm_multifd_put__longest_block_name(void **state)
{
	struct xm_multifd pkt = { .pages_alloc = 1, .normal_pages = 1 };
	uint8_t b[XM_MULTIFD_LEN];
	struct xm_multifd got;

	(void)state;
	memset(pkt.ramblock, 'x', XM_BLOCK_NAME);
	xm_multifd_put(b, &pkt);
	assert_int_equal(b[64 + 254], 'x');
	assert_int_equal(b[64 + 255], 0);
	assert_int_equal(xm_multifd_get(&got, b), 0);
	assert_int_equal(strlen(got.ramblock), 255);
}

static void xm_multifd_get__reads_every_field(void **state)
{
	struct t_raw r = raw_packet(XM_MULTIFD_F_SYNC, 2, 1);
	struct xm_multifd pkt;

	(void)state;
	set32(&r, 24, 0x01020304);
	assert_int_equal(xm_multifd_get(&pkt, r.b), 0);
	assert_int_equal(pkt.flags, XM_MULTIFD_F_SYNC);
	assert_int_equal(pkt.pages_alloc, 128);
	assert_int_equal(pkt.normal_pages, 2);
	assert_int_equal(pkt.zero_pages, 1);
	assert_int_equal(pkt.next_packet_size, 8192);
	assert_int_equal(pkt.packet_num, 0x010203040000004d);
	assert_string_equal(pkt.ramblock, "pc.ram");
	assert_int_equal(pkt.offset[0], 0x100000);
	assert_int_equal(pkt.offset[1], 0x101000);
	assert_int_equal(pkt.offset[2], 0x200000);
	assert_int_equal(pkt.offset[3], 0);
}

static void xm_multifd_get__full_packet_of_each_mixture(void **state)
{
	struct xm_multifd pkt;
	uint32_t normal;

	(void)state;
	for (normal = 0; normal <= 128; normal++) {
		struct t_raw r = raw_packet(0, normal, 128 - normal);

		assert_int_equal(xm_multifd_get(&pkt, r.b), 0);
		assert_encodes_to(&pkt, r.b);
	}
}

static void xm_multifd_get__takes_the_sync_of_9_0(void **state)
{
	struct t_raw r = raw_sync();
	struct xm_multifd pkt;

	(void)state;
	assert_int_equal(xm_multifd_get(&pkt, r.b), 0);
	assert_int_equal(pkt.flags, XM_MULTIFD_F_SYNC);
	assert_int_equal(pkt.pages_alloc, 0);
	assert_encodes_to(&pkt, r.b);
}

static void xm_multifd_get__takes_an_empty_packet(void **state)
{
	struct t_raw r = raw_packet(0, 0, 0);

	(void)state;
	assert_int_equal(outcome(&r), 0);
}

static void xm_multifd_get__ignores_what_7_2_leaves_stale(void **state)
{
	struct t_raw r = raw_packet(XM_MULTIFD_F_SYNC, 0, 0);
	struct xm_multifd pkt;

	(void)state;
	set32(&r, 20, 524288);
	memset(r.b + 64, 'x', 256);
	memset(r.b + 320, 0xff, 1024);
	assert_int_equal(xm_multifd_get(&pkt, r.b), 0);
	assert_int_equal(pkt.next_packet_size, 524288);
	assert_string_equal(pkt.ramblock, "");
	assert_int_equal(pkt.offset[0], 0);
}

static void xm_multifd_get__ignores_offsets_behind_the_pages(void **state)
{
	struct t_raw r = raw_packet(0, 1, 1);
	struct xm_multifd pkt;

	(void)state;
	memset(r.b + 320 + 16, 0xff, 1008);
	assert_int_equal(xm_multifd_get(&pkt, r.b), 0);
	assert_int_equal(pkt.offset[2], 0);
	assert_int_equal(pkt.offset[127], 0);
}

static void xm_multifd_get__ignores_unused_bytes(void **state)
{
	struct t_raw r = raw_packet(0, 1, 0);

	(void)state;
	memset(r.b + 36, 0xff, 28);
	assert_int_equal(outcome(&r), 0);
}

static void xm_multifd_get__takes_a_page_twice(void **state)
{
	struct t_raw r = raw_packet(0, 2, 0);

	(void)state;
	memcpy(r.b + 328, r.b + 320, 8);
	assert_int_equal(outcome(&r), 0);
}

static void xm_multifd_get__cuts_a_name_without_end(void **state)
{
	struct t_raw r = raw_packet(0, 1, 0);
	struct xm_multifd pkt;

	(void)state;
	memset(r.b + 64, 'x', 256);
	assert_int_equal(xm_multifd_get(&pkt, r.b), 0);
	assert_int_equal(strlen(pkt.ramblock), 255);
}

static void xm_multifd_get__drops_bytes_behind_the_names_end(void **state)
{
	struct t_raw r = raw_packet(0, 1, 0);
	const char nothing[XM_BLOCK_NAME] = { 0 };
	struct xm_multifd pkt;

	(void)state;
	memset(r.b + 64 + 7, 'x', 249);
	assert_int_equal(xm_multifd_get(&pkt, r.b), 0);
	assert_string_equal(pkt.ramblock, "pc.ram");
	assert_memory_equal(pkt.ramblock + 6, nothing, 250);
}

static void xm_multifd_get__refuses_magic_and_version(void **state)
{
	struct t_raw r = raw_packet(0, 1, 0);

	(void)state;
	set32(&r, 4, 2);
	assert_int_equal(outcome(&r), XM_MULTIFD_E_VERSION);
	set32(&r, 0, 0x5145564d);
	assert_int_equal(outcome(&r), XM_MULTIFD_E_MAGIC);
}

static void xm_multifd_get__refuses_more_than_128_pages(void **state)
{
	struct t_raw r = raw_packet(0, 129, 0);

	(void)state;
	set32(&r, 12, 129);
	assert_int_equal(outcome(&r), XM_MULTIFD_E_COUNTS);
	set32(&r, 12, 0xffffffff);
	set32(&r, 16, 0xffffffff);
	assert_int_equal(outcome(&r), XM_MULTIFD_E_COUNTS);
}

static void xm_multifd_get__refuses_more_than_pages_alloc(void **state)
{
	struct t_raw r = raw_packet(0, 2, 0);

	(void)state;
	set32(&r, 12, 1);
	assert_int_equal(outcome(&r), XM_MULTIFD_E_COUNTS);
	set32(&r, 12, 2);
	assert_int_equal(outcome(&r), 0);
}

static void xm_multifd_get__refuses_zero_pages_without_room(void **state)
{
	struct t_raw r = raw_packet(0, 64, 65);

	(void)state;
	assert_int_equal(outcome(&r), XM_MULTIFD_E_COUNTS);
	set32(&r, 32, 64);
	assert_int_equal(outcome(&r), 0);
	set32(&r, 32, 0xffffffc0); /* + 64 normal ones would be 0 */
	assert_int_equal(outcome(&r), XM_MULTIFD_E_COUNTS);
}

static void xm_multifd_get__refuses_pages_of_a_nameless_block(void **state)
{
	struct t_raw normal = raw_packet(0, 1, 0);
	struct t_raw zero = raw_packet(0, 0, 1);

	(void)state;
	memset(normal.b + 64, 0, 256);
	assert_int_equal(outcome(&normal), XM_MULTIFD_E_BLOCK);
	memset(zero.b + 64, 0, 256);
	assert_int_equal(outcome(&zero), XM_MULTIFD_E_BLOCK);
}

static void xm_multifd_get__refuses_unaligned_offsets(void **state)
{
	struct t_raw r = raw_packet(0, 64, 64);

	(void)state;
	r.b[320 + 8 * 63 + 7] = 1; /* last normal page */
	assert_int_equal(outcome(&r), XM_MULTIFD_E_OFFSET);
	r = raw_packet(0, 64, 64);
	r.b[320 + 8 * 127 + 6] = 0x08; /* last zero page, by half a page */
	assert_int_equal(outcome(&r), XM_MULTIFD_E_OFFSET);
}

static void xm_multifd_get__refuses_compressed_pages(void **state)
{
	uint32_t flag;

	(void)state;
	for (flag = 0x02; flag <= 0x20; flag <<= 1) {
		struct t_raw normal = raw_packet(flag, 1, 0);
		struct t_raw zero = raw_packet(flag, 0, 1);

		assert_int_equal(outcome(&normal), XM_MULTIFD_E_COMPRESSION);
		assert_int_equal(outcome(&zero), XM_MULTIFD_E_COMPRESSION);
	}
}

static void xm_multifd_get__takes_compression_without_pages(void **state)
{
	struct t_raw r = raw_packet(XM_MULTIFD_F_SYNC | 0x02, 0, 0);

	(void)state;
	assert_int_equal(outcome(&r), 0);
}

static void xm_multifd_get__refuses_device_state(void **state)
{
	struct t_raw r = raw_packet(XM_MULTIFD_F_DEVICE_STATE, 0, 0);

	(void)state;
	assert_int_equal(outcome(&r), XM_MULTIFD_E_COMPRESSION);
}

static void xm_multifd_get__refuses_unknown_flags(void **state)
{
	struct t_raw r = raw_packet(XM_MULTIFD_F_SYNC | 0x80, 0, 0);

	(void)state;
	assert_int_equal(outcome(&r), XM_MULTIFD_E_COMPRESSION);
	r = raw_packet(0x80000000, 1, 0);
	assert_int_equal(outcome(&r), XM_MULTIFD_E_COMPRESSION);
}

static void
xm_multifd_get__leaves_the_result_alone_when_it_refuses(void **state)
{
	struct t_raw r = raw_packet(0, 2, 0);
	struct xm_multifd pkt, before;

	(void)state;
	memset(&pkt, 0x5a, sizeof(pkt));
	before = pkt;
	r.b[335] = 1;
	assert_int_equal(xm_multifd_get(&pkt, r.b), XM_MULTIFD_E_OFFSET);
	assert_memory_equal(&pkt, &before, sizeof(pkt));
}

static void xm_multifd_offset__reads_any_of_them(void **state)
{
	struct t_raw r = raw_packet(0, 127, 1);

	(void)state;
	assert_int_equal(xm_multifd_offset(r.b, 0), 0x100000);
	assert_int_equal(xm_multifd_offset(r.b, 126), 0x17e000);
	assert_int_equal(xm_multifd_offset(r.b, 127), 0x200000);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_multifd_init_put__is_exact_to_the_byte),
		T(xm_multifd_init_get__reads_uuid_and_channel),
		T(xm_multifd_init_get__refuses_the_first_channel_too_many),
		T(xm_multifd_init_get__refuses_magic_and_version),
		T(xm_multifd_init_get__ignores_unused_bytes),
		T(xm_multifd_put__is_exact_to_the_byte),
		T(xm_multifd_put__longest_block_name),
		T(xm_multifd_get__reads_every_field),
		T(xm_multifd_get__full_packet_of_each_mixture),
		T(xm_multifd_get__takes_the_sync_of_9_0),
		T(xm_multifd_get__takes_an_empty_packet),
		T(xm_multifd_get__ignores_what_7_2_leaves_stale),
		T(xm_multifd_get__ignores_offsets_behind_the_pages),
		T(xm_multifd_get__ignores_unused_bytes),
		T(xm_multifd_get__takes_a_page_twice),
		T(xm_multifd_get__cuts_a_name_without_end),
		T(xm_multifd_get__drops_bytes_behind_the_names_end),
		T(xm_multifd_get__refuses_magic_and_version),
		T(xm_multifd_get__refuses_more_than_128_pages),
		T(xm_multifd_get__refuses_more_than_pages_alloc),
		T(xm_multifd_get__refuses_zero_pages_without_room),
		T(xm_multifd_get__refuses_pages_of_a_nameless_block),
		T(xm_multifd_get__refuses_unaligned_offsets),
		T(xm_multifd_get__refuses_compressed_pages),
		T(xm_multifd_get__takes_compression_without_pages),
		T(xm_multifd_get__refuses_device_state),
		T(xm_multifd_get__refuses_unknown_flags),
		T(xm_multifd_get__leaves_the_result_alone_when_it_refuses),
		T(xm_multifd_offset__reads_any_of_them),
	};

	return cmocka_run_group_tests_name("multifd", tests, NULL, NULL);
}
