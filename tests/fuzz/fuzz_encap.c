// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_encap.c - Ethernet frames of strangers
 *
 * parses: userspace/core/encap.c
 *
 * The first byte of an input says how the rest is taken:
 *
 *   bit 0  make the IPv4 header checksum right, untagged or tagged
 *   bit 1  only half of the input is in the first piece
 */
#include <string.h>

#include "core/encap.h"

#include "fuzz.h"

enum { SUM = 1, PIECES = 2 };

/* The path that @e came along, as far as a sender would write it. */
static struct xm_path path_of(const struct xm_encap *e, const uint8_t *data)
{
	const size_t hdr = e->ip_len - e->len - 8;
	const uint8_t *ip = data + e->payload - 8 - hdr;
	struct xm_path p = { .sport = e->sport, .dport = e->dport };

	p.ipv6 = hdr == 40;
	p.vlan = ip - data == 18 ? 1 : 0;
	memcpy(p.src, ip + (p.ipv6 ? 8 : 12), p.ipv6 ? 16 : 4);
	memcpy(p.dst, ip + (p.ipv6 ? 24 : 16), p.ipv6 ? 16 : 4);
	return p;
}

/* What was taken is taken again when it is written as we write it. */
static void check_again(const struct xm_encap *e, const uint8_t *data)
{
	const struct xm_path p = path_of(e, data);
	uint8_t b[XM_ENCAP_MAX];
	struct xm_encap again;
	size_t len = xm_encap_put(b, &p, e->len);

	FUZZ_CHECK(len == xm_encap_len(&p) && len == e->payload);
	FUZZ_CHECK(xm_encap_get(&again, b, len, len + e->len) == XM_DROP_NONE);
	FUZZ_CHECK(again.len == e->len && again.ip_len == e->ip_len);
	FUZZ_CHECK(again.sport == e->sport && again.dport == e->dport);
	FUZZ_CHECK(!again.ce);
}

static void fix_sum(uint8_t *data, size_t size)
{
	const size_t at = size > 12 && data[12] == 0x81 ? 18 : 14;
	uint32_t sum = 0;
	size_t i;

	if (size < at + 20)
		return;
	data[at + 10] = data[at + 11] = 0;
	for (i = at; i < at + 20; i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	data[at + 10] = (uint8_t)(~sum >> 8);
	data[at + 11] = (uint8_t)~sum;
}

static void fuzz_one(uint8_t *data, size_t size, unsigned int how)
{
	size_t first = how & PIECES ? size / 2 : size;
	struct xm_encap e;

	if (how & SUM)
		fix_sum(data, first);
	if (xm_encap_get(&e, data, first, size) != XM_DROP_NONE)
		return;
	FUZZ_CHECK(e.payload <= first && e.payload + e.len <= size);
	FUZZ_CHECK(e.ip_len >= e.len + 28 && e.ip_len <= size - 14);
	check_again(&e, data);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
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
