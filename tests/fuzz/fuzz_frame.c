// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_frame.c - frame headers and ACKs as the network may deliver them
 *
 * parses: userspace/core/frame.c
 *
 * The first byte of an input says what the rest is:
 *
 *   bit 0  an ACK's payload, not a frame
 *   bit 1  make the tag right: without that hardly an input would get
 *          past it, with it the checks behind it are what is tested
 *   bit 2  only half of the input is in the first piece
 */
#include <string.h>

#include "core/crc32c.h"
#include "core/frame.h"
#include "core/multifd.h"

#include "fuzz.h"

enum { ACK = 1, SEAL = 2, PIECES = 4 };

static void fuzz_ack(const uint8_t *data, size_t size)
{
	uint8_t again[XM_ACK_LEN_MAX];
	struct xm_ack ack;

	if (xm_ack_get(&ack, data, size) != XM_DROP_NONE)
		return;
	FUZZ_CHECK(size <= sizeof(again));
	FUZZ_CHECK(xm_ack_put(again, &ack) == size);
	FUZZ_CHECK(!memcmp(again, data, size));
}

static void check_data(const struct xm_frame *f)
{
	unsigned int i;

	FUZZ_CHECK(f->n_segs >= 1 && f->n_segs <= XM_FRAME_SEGS);
	FUZZ_CHECK(f->len == f->n_segs * f->seg_len && f->len > 0);
	FUZZ_CHECK(f->page + f->n_segs <= XM_PACKET_PAGES);
	for (i = 0; i < f->n_segs; i++)
		FUZZ_CHECK(f->seg[i] / XM_PAGE_SIZE ==
			   (f->seg[i] + f->seg_len - 1) / XM_PAGE_SIZE);
}

static void check_type(const struct xm_frame *f)
{
	if (f->type == XM_WIRE_DATA)
		check_data(f);
	else
		FUZZ_CHECK(f->n_segs == 0);
	if (f->type == XM_WIRE_HEADER)
		FUZZ_CHECK(f->len == XM_MULTIFD_LEN);
	if (f->type == XM_WIRE_ACK)
		FUZZ_CHECK(f->len <= XM_ACK_LEN_MAX);
	if (f->type == XM_WIRE_PROBE)
		FUZZ_CHECK(f->len >= sizeof(struct xm_wire_probe));
	FUZZ_CHECK(f->type >= XM_WIRE_HEADER && f->type <= XM_WIRE_PROBE);
}

/* What was taken says the same when it is written again. */
static void check_again(const struct xm_frame *f, size_t hdr_len, size_t total)
{
	uint8_t hdr[XM_WIRE_HEADER_MAX];
	struct xm_frame again;
	size_t len;

	FUZZ_CHECK(xm_frame_put(hdr, f) == hdr_len);
	xm_frame_sum(hdr, f->payload_crc);
	FUZZ_CHECK(xm_frame_get(&again, &len, hdr, hdr_len, total) ==
		   XM_DROP_NONE);
	FUZZ_CHECK(len == hdr_len);
	FUZZ_CHECK(again.cookie == f->cookie && again.seq == f->seq);
	FUZZ_CHECK(!memcmp(again.seg, f->seg, f->n_segs * sizeof(f->seg[0])));
	FUZZ_CHECK(again.page == f->page && again.block == f->block);
}

static void fuzz_frame(const uint8_t *data, size_t first, size_t total)
{
	struct xm_frame f;
	size_t hdr_len;

	if (xm_frame_get(&f, &hdr_len, data, first, total) != XM_DROP_NONE)
		return;
	FUZZ_CHECK(hdr_len <= first && hdr_len + f.len == total);
	check_type(&f);
	check_again(&f, hdr_len, total);
	if (f.type == XM_WIRE_ACK && first == total)
		fuzz_ack(data + hdr_len, f.len);
}

/* Make the tag right as far as there is one. */
static void seal(uint8_t *hdr, size_t len)
{
	uint32_t crc;

	if (len < XM_WIRE_HEADER_MIN || hdr[6] > XM_FRAME_SEGS ||
	    len < XM_WIRE_HEADER_MIN + 8u * hdr[6])
		return;
	memcpy(&crc, hdr + 40, sizeof(crc));
	xm_frame_sum(hdr, __builtin_bswap32(crc));
}

static void fuzz_one(uint8_t *data, size_t size, unsigned int how)
{
	size_t first = how & PIECES ? size / 2 : size;

	if (how & ACK) {
		fuzz_ack(data, size);
		return;
	}
	if (how & SEAL)
		seal(data, first);
	fuzz_frame(data, first, size);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	xm_crc32c_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (!size)
		return 0;
	copy = malloc(size - 1 ? size - 1 : 1); /* input must not be written */
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	fuzz_one(copy, size - 1, data[0]);
	free(copy);
	return 0;
}
