// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_crc.c - every CRC32C this CPU can run, against the table
 *
 * Bytes 0 and 1 of an input are where it is cut in two, byte 2 how source and
 * destination are aligned; the rest is summed and copied, and repeated so
 * that lengths beyond a page come up early.
 */
#include <string.h>

#include "core/crc32c.h"

#include "fuzz.h"

#define TIMES 5

static void check_impl(const struct xm_crc32c_impl *impl, uint8_t *dst,
		       const uint8_t *src, size_t len, size_t cut)
{
	uint32_t want = xm_crc32c_table(0, src, len);
	uint32_t reg = impl->sum(~0u, src, cut);

	FUZZ_CHECK(~impl->sum(reg, src + cut, len - cut) == want);
	memset(dst, 0, len);
	reg = impl->copy(~0u, dst, src, cut);
	FUZZ_CHECK(~impl->copy(reg, dst + cut, src + cut, len - cut) == want);
	FUZZ_CHECK(!memcmp(dst, src, len));
	memset(dst, 0, len);
	reg = impl->place(~0u, dst, src, cut);
	FUZZ_CHECK(~impl->place(reg, dst + cut, src + cut, len - cut) == want);
	FUZZ_CHECK(!memcmp(dst, src, len));
}

static void fuzz_one(const uint8_t *data, size_t size, size_t cut,
		     unsigned int align)
{
	const size_t len = TIMES * size, skew_src = align & 15,
		     skew_dst = align >> 4;
	uint8_t *src = malloc(len + skew_src + 1);
	uint8_t *dst = malloc(len + skew_dst + 1);
	const struct xm_crc32c_impl *impl;
	unsigned int i;

	if (src && dst) {
		for (i = 0; i < TIMES; i++)
			memcpy(src + skew_src + i * size, data, size);
		for (i = 0; (impl = xm_crc32c_impl(i)); i++)
			check_impl(impl, dst + skew_dst, src + skew_src, len,
				   cut % (len + 1));
	}
	free(src);
	free(dst);
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
	if (size < 3)
		return 0;
	fuzz_one(data + 3, size - 3, (size_t)data[0] << 8 | data[1], data[2]);
	return 0;
}
