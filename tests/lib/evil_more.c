// SPDX-License-Identifier: GPL-2.0-or-later
/* evil_more.c - hashes and device state of a peer that lies
 *
 * Hashes are made by docs/protocol.md 6.7 and not by the program's own code: a target
 * that is told the truth says what the source must come to by itself.
 */
#include "evil.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/be.h"

/* -- hashes ----------------------------------------------------------------------------- */

uint32_t evil_stripes(const struct evil *ev)
{
	return ev->map.n_stripes;
}

static uint64_t hash_page(const uint8_t *page, uint64_t number)
{
	static const uint8_t zeros[XM_PAGE_SIZE];
	uint8_t pair[16];

	if (!memcmp(page, zeros, sizeof(zeros)))
		return 0;
	xm_be64_put(pair, number);
	xm_be64_put(pair + 8, XXH3_64bits(page, XM_PAGE_SIZE));
	return XXH3_64bits(pair, sizeof(pair));
}

static uint64_t hash_stripe(struct evil *ev, uint32_t stripe)
{
	unsigned int block = xm_map_stripe_block(&ev->map, 0, stripe);
	uint64_t first, end, sum = 0;
	const uint8_t *page;

	xm_map_stripe_pages(&ev->map, block, stripe, &first, &end);
	for (; first < end; first++) {
		page = ev->map.block[block].hva + first * XM_PAGE_SIZE;
		sum += hash_page(page, first);
	}
	return sum;
}

bool evil_say_hashes(struct evil *ev, uint32_t first, unsigned int n,
		     unsigned int n_body)
{
	static uint8_t raw[XM_MSG_MAX];
	unsigned int i;
	uint64_t hash;

	evil_put_head(raw, XM_MSG_HASHES, 6 + 8 * n_body);
	xm_be32_put(raw + 8, first);
	xm_be16_put(raw + 12, (uint16_t)n);
	for (i = 0; i < n_body; i++) {
		hash = ev->map.block[0].hva && first + i < evil_stripes(ev) ?
			       hash_stripe(ev, first + i) :
			       0;
		xm_be64_put(raw + 14 + (size_t)8 * i, hash ^ !!ev->n_wrong);
	}
	return evil_say_raw(ev, raw, 14 + (size_t)8 * n_body);
}

void evil_verify(struct evil *ev)
{
	uint32_t n = 0;

	(void)evil_say_type(ev, XM_MSG_VERIFY);
	while (n < evil_stripes(ev)) {
		evil_hear(ev, XM_MSG_HASHES);
		n += ev->msg.hashes.n;
	}
}

/* -- device state ----------------------------------------------------------------------- */

bool evil_say_device(struct evil *ev, uint64_t offset, const uint8_t *bytes,
		     size_t len)
{
	struct xm_msg msg = { .type = XM_MSG_DEVICE };

	msg.device.offset = offset;
	msg.device.len = (uint32_t)len;
	msg.device.data = bytes;
	return evil_say(ev, &msg);
}

bool evil_say_device_end(struct evil *ev, uint64_t total)
{
	struct xm_msg msg = { .type = XM_MSG_DEVICE_END };

	msg.device_end.total = total;
	msg.device_end.runs = 1;
	return evil_say(ev, &msg);
}

void evil_give(struct evil *ev, size_t end)
{
	size_t len;

	while (ev->given < end) {
		len = end - ev->given;
		if (len > XM_DEVICE_CHUNK)
			len = XM_DEVICE_CHUNK;
		while (ev->given + len > ev->acked + XM_DEVICE_WINDOW)
			evil_hear(ev, XM_MSG_DEVICE_ACK);
		(void)evil_say_device(ev, ev->given, ev->stream + ev->given,
				      len);
		ev->given += len;
	}
}
