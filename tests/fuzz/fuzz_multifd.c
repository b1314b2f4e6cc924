// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_multifd.c - multifd packets of a hostile or unknown QEMU
 *
 * parses: userspace/core/multifd.c
 *
 * The first byte of an input chooses between INIT and a RAM packet; the rest
 * is laid over zeros, so that short inputs are packets too.
 */
#include <string.h>

#include "core/multifd.h"

#include "fuzz.h"

static void fuzz_init(const uint8_t *raw)
{
	struct xm_multifd_init init;
	uint8_t again[XM_MULTIFD_INIT_LEN];

	if (xm_multifd_init_get(&init, raw, 16))
		return;
	FUZZ_CHECK(init.id < 16);
	xm_multifd_init_put(again, &init);
	FUZZ_CHECK(!memcmp(again, raw, 25)); /* the rest is unused */
}

static void check_packet(const struct xm_multifd *pkt)
{
	unsigned int i, n = pkt->normal_pages + pkt->zero_pages;

	FUZZ_CHECK(pkt->normal_pages <= XM_PACKET_PAGES);
	FUZZ_CHECK(pkt->zero_pages <= XM_PACKET_PAGES);
	FUZZ_CHECK(n <= pkt->pages_alloc && n <= XM_PACKET_PAGES);
	FUZZ_CHECK(memchr(pkt->ramblock, '\0', XM_BLOCK_NAME));
	FUZZ_CHECK(!n == !pkt->ramblock[0]);
	for (i = 0; i < n; i++)
		FUZZ_CHECK(pkt->offset[i] % XM_PAGE_SIZE == 0);
	for (; i < XM_PACKET_PAGES; i++)
		FUZZ_CHECK(pkt->offset[i] == 0);
}

static void fuzz_packet(const uint8_t *raw)
{
	uint8_t again[XM_MULTIFD_LEN];
	struct xm_multifd pkt, twice;
	unsigned int i;

	if (xm_multifd_get(&pkt, raw))
		return;
	check_packet(&pkt);
	xm_multifd_put(again, &pkt);
	FUZZ_CHECK(!memcmp(again, raw, 36)); /* up to the unused fields */
	for (i = 0; i < pkt.normal_pages + pkt.zero_pages; i++)
		FUZZ_CHECK(xm_multifd_offset(raw, i) == pkt.offset[i]);
	FUZZ_CHECK(xm_multifd_get(&twice, again) == 0);
	FUZZ_CHECK(!memcmp(&twice, &pkt, sizeof(pkt)));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t full = size && data[0] & 1 ? XM_MULTIFD_INIT_LEN :
						  XM_MULTIFD_LEN;
	uint8_t *raw;

	if (!size || size - 1 > full)
		return 0;
	raw = calloc(1, full);
	if (!raw)
		return 0;
	memcpy(raw, data + 1, size - 1);
	if (data[0] & 1)
		fuzz_init(raw);
	else
		fuzz_packet(raw);
	free(raw);
	return 0;
}
