// SPDX-License-Identifier: GPL-2.0-or-later
/* The multifd codec on streams recorded from a real QEMU 7.2: what is in them
 * and how they were made is told in fixtures/README.md. */
#include "core/multifd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint32_t get32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	       (uint32_t)b[2] << 8 | b[3];
}

struct t_stream {
	uint8_t b[64 * 1024];
	size_t len, at;
	bool has_payload;
};

static struct t_stream stream;

static void open_stream(const char *path, bool has_payload)
{
	char name[4096];
	FILE *f;

	(void)snprintf(name, sizeof(name), "%s/%s", XM_FIXTURES, path);
	f = fopen(name, "rb");
	assert_non_null(f);
	stream.len = fread(stream.b, 1, sizeof(stream.b), f);
	assert_true(feof(f));
	(void)fclose(f);
	stream.at = XM_MULTIFD_INIT_LEN;
	stream.has_payload = has_payload;
	assert_true(stream.len > stream.at);
}

/* The next packet and, when asked for, its bytes; false at the end. */
static bool next_packet(struct xm_multifd *pkt, const uint8_t **ret_raw)
{
	if (stream.at == stream.len)
		return false;
	assert_true(stream.len - stream.at >= XM_MULTIFD_LEN);
	*ret_raw = stream.b + stream.at;
	assert_int_equal(xm_multifd_get(pkt, *ret_raw), 0);
	stream.at += XM_MULTIFD_LEN;
	if (stream.has_payload)
		stream.at += (size_t)pkt->normal_pages * XM_PAGE_SIZE;
	assert_true(stream.at <= stream.len);
	return true;
}

/* What a stream is made of. */
struct t_sum {
	unsigned int packets, pages, syncs, data_syncs, empty;
	unsigned int exact; /* re-encoded to the same 1344 bytes */
};

static void count_packet(struct t_sum *sum, const struct xm_multifd *pkt,
			 const uint8_t *raw)
{
	bool sync = pkt->flags & XM_MULTIFD_F_SYNC;
	uint8_t again[XM_MULTIFD_LEN];

	xm_multifd_put(again, pkt);
	sum->packets++;
	sum->pages += pkt->normal_pages;
	sum->syncs += sync;
	sum->data_syncs += sync && pkt->normal_pages;
	sum->empty += !sync && !pkt->normal_pages;
	sum->exact += !memcmp(again, raw, sizeof(again));
}

static struct t_sum sum_stream(const char *path, bool has_payload)
{
	struct t_sum sum = { 0 };
	struct xm_multifd pkt;
	const uint8_t *raw;

	open_stream(path, has_payload);
	while (next_packet(&pkt, &raw))
		count_packet(&sum, &pkt, raw);
	return sum;
}

static void qemu_7_2__init_without_uuid(void **state)
{
	const uint8_t none[16] = { 0 };
	struct xm_multifd_init init;
	uint8_t again[XM_MULTIFD_INIT_LEN];

	(void)state;
	open_stream("multifd-7.2/chan1.bin", true);
	assert_int_equal(xm_multifd_init_get(&init, stream.b, 2), 0);
	assert_int_equal(init.id, 1);
	assert_memory_equal(init.uuid, none, 16);
	xm_multifd_init_put(again, &init);
	assert_memory_equal(again, stream.b, sizeof(again));
}

static void qemu_7_2__init_with_uuid(void **state)
{
	const uint8_t uuid[16] = { 0x7f, 0x1c, 0x0a, 0x52, 0x93, 0xb4,
				   0x4d, 0x0e, 0x8a, 0x66, 0x0d, 0x2b,
				   0x5f, 0x3e, 0x9c, 0x11 };
	struct xm_multifd_init init;
	uint8_t again[XM_MULTIFD_INIT_LEN];

	(void)state;
	open_stream("multifd-7.2-headers/chan0.bin", false);
	assert_int_equal(xm_multifd_init_get(&init, stream.b, 2), 0);
	assert_int_equal(init.id, 0);
	assert_memory_equal(init.uuid, uuid, 16);
	xm_multifd_init_put(again, &init);
	assert_memory_equal(again, stream.b, sizeof(again));
}

static void qemu_7_2__whole_stream_of_channel_0(void **state)
{
	struct t_sum sum = sum_stream("multifd-7.2/chan0.bin", true);

	(void)state;
	assert_int_equal(sum.packets, 6);
	assert_int_equal(sum.pages, 4);
	assert_int_equal(sum.syncs, 3);
	assert_int_equal(sum.data_syncs, 1);
	assert_int_equal(sum.empty, 1);
}

static void qemu_7_2__whole_stream_of_channel_1(void **state)
{
	struct t_sum sum = sum_stream("multifd-7.2/chan1.bin", true);

	(void)state;
	assert_int_equal(sum.packets, 5);
	assert_int_equal(sum.pages, 2);
	assert_int_equal(sum.syncs, 3);
	assert_int_equal(sum.data_syncs, 1);
	assert_int_equal(sum.empty, 1);
}

static void qemu_7_2__full_packets(void **state)
{
	struct t_sum c0 = sum_stream("multifd-7.2-headers/chan0.bin", false);
	struct t_sum c1 = sum_stream("multifd-7.2-headers/chan1.bin", false);

	(void)state;
	assert_int_equal(c0.packets, 7);
	assert_int_equal(c0.pages, 128 + 45 + 1 + 1);
	assert_int_equal(c1.packets, 6);
	assert_int_equal(c1.pages, 128 + 1 + 1);
}

/* The payload lies where the counts say: page n of ram0 repeats n + 1. */
static void qemu_7_2__payload_is_where_normal_pages_says(void **state)
{
	struct xm_multifd pkt;
	const uint8_t *raw, *page;
	unsigned int i, seen = 0;

	(void)state;
	open_stream("multifd-7.2/chan0.bin", true);
	while (next_packet(&pkt, &raw)) {
		if (strcmp(pkt.ramblock, "ram0") != 0)
			continue;
		for (i = 0; i < pkt.normal_pages; i++, seen++) {
			page = raw + XM_MULTIFD_LEN + i * XM_PAGE_SIZE;
			assert_int_equal(get32(page + 4),
					 pkt.offset[i] / XM_PAGE_SIZE + 1);
			assert_memory_equal(page, page + 8, XM_PAGE_SIZE - 8);
		}
	}
	assert_int_equal(seen, 2);
}

/* A packet is encoded again byte for byte, but for what 7.2 left stale: block
 * and offsets of a packet without pages, offsets behind the last page.
 * next_packet_size is kept as found, stale or not. */
static void assert_same_but_stale(const struct xm_multifd *pkt,
				  const uint8_t *raw)
{
	uint8_t again[XM_MULTIFD_LEN];
	size_t used = 64;

	if (pkt->normal_pages)
		used = 320 + 8 * (size_t)pkt->normal_pages;
	xm_multifd_put(again, pkt);
	assert_memory_equal(again, raw, used);
}

static void assert_stream_same_but_stale(const char *path, bool has_payload)
{
	struct xm_multifd pkt;
	const uint8_t *raw;

	open_stream(path, has_payload);
	while (next_packet(&pkt, &raw))
		assert_same_but_stale(&pkt, raw);
}

static void qemu_7_2__encoded_again_but_for_what_was_stale(void **state)
{
	(void)state;
	assert_stream_same_but_stale("multifd-7.2/chan0.bin", true);
	assert_stream_same_but_stale("multifd-7.2/chan1.bin", true);
	assert_stream_same_but_stale("multifd-7.2-headers/chan0.bin", false);
	assert_stream_same_but_stale("multifd-7.2-headers/chan1.bin", false);
}

/* Where nothing is stale yet: the first SYNC, and each packet that has as
 * many pages as any before it on its channel. */
static void qemu_7_2__encoded_again_byte_for_byte(void **state)
{
	(void)state;
	assert_int_equal(sum_stream("multifd-7.2/chan0.bin", true).exact, 2);
	assert_int_equal(sum_stream("multifd-7.2/chan1.bin", true).exact, 3);
	assert_int_equal(
		sum_stream("multifd-7.2-headers/chan0.bin", false).exact, 2);
	assert_int_equal(
		sum_stream("multifd-7.2-headers/chan1.bin", false).exact, 2);
}

static void qemu_7_2__sync_after_data_is_stale(void **state)
{
	struct xm_multifd pkt, last = { 0 };
	const uint8_t *raw = NULL;

	(void)state;
	open_stream("multifd-7.2/chan0.bin", true);
	while (next_packet(&pkt, &raw))
		last = pkt;
	assert_int_equal(last.flags, XM_MULTIFD_F_SYNC);
	assert_int_equal(last.normal_pages, 0);
	assert_int_equal(last.next_packet_size, 4096);
	assert_string_equal((const char *)raw + 64, "/rom@etc/acpi/rsdp");
	assert_string_equal(last.ramblock, "");
}

/* Page 255 of ram0 is in packets of both channels: so "the same page twice in
 * a round" is something a real source does. */
static void qemu_7_2__same_page_on_two_channels(void **state)
{
	static const char *const paths[] = { "multifd-7.2-headers/chan0.bin",
					     "multifd-7.2-headers/chan1.bin" };
	struct xm_multifd pkt;
	const uint8_t *raw;
	unsigned int c, i, seen[2] = { 0 };

	(void)state;
	for (c = 0; c < 2; c++) {
		open_stream(paths[c], false);
		while (next_packet(&pkt, &raw))
			for (i = 0; i < pkt.normal_pages; i++)
				seen[c] += !strcmp(pkt.ramblock, "ram0") &&
					   pkt.offset[i] == 255 * 4096;
	}
	assert_int_equal(seen[0], 1);
	assert_int_equal(seen[1], 1);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(qemu_7_2__init_without_uuid),
		T(qemu_7_2__init_with_uuid),
		T(qemu_7_2__whole_stream_of_channel_0),
		T(qemu_7_2__whole_stream_of_channel_1),
		T(qemu_7_2__full_packets),
		T(qemu_7_2__payload_is_where_normal_pages_says),
		T(qemu_7_2__encoded_again_but_for_what_was_stale),
		T(qemu_7_2__encoded_again_byte_for_byte),
		T(qemu_7_2__sync_after_data_is_stale),
		T(qemu_7_2__same_page_on_two_channels),
	};

	return cmocka_run_group_tests_name("multifd_qemu", tests, NULL, NULL);
}
