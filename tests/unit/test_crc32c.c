// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/crc32c.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BUF 20000

static uint8_t src[BUF], dst[BUF];

/* Bit by bit from the definition, which no implementation shares code with. */
static uint32_t crc_by_definition(const uint8_t *p, size_t len)
{
	uint32_t reg = 0xffffffff;
	size_t i;
	int bit;

	for (i = 0; i < len; i++) {
		reg ^= p[i];
		for (bit = 0; bit < 8; bit++)
			reg = reg >> 1 ^ (reg & 1 ? 0x82f63b78 : 0);
	}
	return ~reg;
}

static void assert_copies(uint32_t (*copy)(uint32_t, void *, const void *,
					   size_t),
			  size_t at, size_t dst_at, size_t len, uint32_t want)
{
	memset(dst, 0xa5, 16 + dst_at + len + 16);
	assert_int_equal(~copy(~0u, dst + 16 + dst_at, src + at, len), want);
	assert_memory_equal(dst + 16 + dst_at, src + at, len);
	assert_int_equal(dst[16 + dst_at - 1], 0xa5);
	assert_int_equal(dst[16 + dst_at + len], 0xa5);
}

/* Every implementation, sum, copy and place, gives @want for @len bytes at src
 * + @at; the copies are right and nothing around them was touched. */
static void assert_all(size_t at, size_t dst_at, size_t len, uint32_t want)
{
	const struct xm_crc32c_impl *impl;
	unsigned int i;

	for (i = 0; (impl = xm_crc32c_impl(i)); i++) {
		assert_int_equal(~impl->sum(~0u, src + at, len), want);
		assert_copies(impl->copy, at, dst_at, len, want);
		assert_copies(impl->place, at, dst_at, len, want);
	}
}

static int setup(void **state)
{
	size_t i;

	(void)state;
	srandom(1);
	for (i = 0; i < sizeof(src); i++)
		src[i] = (uint8_t)(random() >> 8);
	return 0;
}

static void xm_crc32c_init__names_the_first_implementation(void **state)
{
	(void)state;
	assert_string_equal(xm_crc32c_init(), xm_crc32c_impl(0)->name);
}

static void xm_crc32c_init__ends_with_the_table(void **state)
{
	unsigned int i = 0;

	(void)state;
	while (xm_crc32c_impl(i + 1))
		i++;
	assert_string_equal(xm_crc32c_impl(i)->name, "table");
}

#ifdef __x86_64__
static void xm_crc32c_init__uses_the_crc32_instruction(void **state)
{
	(void)state;
	if (__builtin_cpu_supports("sse4.2") &&
	    __builtin_cpu_supports("pclmul"))
		assert_string_not_equal(xm_crc32c_init(), "table");
	else
		assert_string_equal(xm_crc32c_init(), "table");
}
#endif

/* RFC 3720 B.4 prints the bytes as sent, lowest first. */
static void xm_crc32c__rfc3720_zeros(void **state)
{
	(void)state;
	memset(src, 0, 32);
	assert_all(0, 0, 32, 0x8a9136aa);
}

static void xm_crc32c__rfc3720_ones(void **state)
{
	(void)state;
	memset(src, 0xff, 32);
	assert_all(0, 0, 32, 0x62a8ab43);
}

static void xm_crc32c__rfc3720_incrementing(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 32; i++)
		src[i] = (uint8_t)i;
	assert_all(0, 0, 32, 0x46dd794e);
}

static void xm_crc32c__rfc3720_decrementing(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 32; i++)
		src[i] = (uint8_t)(31 - i);
	assert_all(0, 0, 32, 0x113fdb5c);
}

static void xm_crc32c__rfc3720_iscsi_read(void **state)
{
	static const uint8_t pdu[48] = {
		0x01,        0xc0,        [16] = 0x14, [22] = 0x04,
		[27] = 0x14, [31] = 0x18, 0x28,        [40] = 0x02,
	};

	(void)state;
	memcpy(src, pdu, sizeof(pdu));
	assert_all(0, 0, sizeof(pdu), 0xd9963a56);
}

static void xm_crc32c__check_value(void **state)
{
	(void)state;
	memcpy(src, "123456789", 9);
	assert_all(0, 0, 9, 0xe3069283);
}

static void xm_crc32c__of_nothing_is_what_it_was(void **state)
{
	(void)state;
	assert_int_equal(xm_crc32c(0, src, 0), 0);
	assert_int_equal(xm_crc32c(0x12345678, src, 0), 0x12345678);
	assert_int_equal(xm_crc32c(0x12345678, NULL, 0), 0x12345678);
	assert_int_equal(xm_crc32c_copy(0x12345678, NULL, NULL, 0), 0x12345678);
}

static void xm_crc32c__all_agree_at_every_short_length(void **state)
{
	size_t len;

	(void)state;
	for (len = 0; len <= 700; len++)
		assert_all(0, 0, len, crc_by_definition(src, len));
}

static void xm_crc32c__all_agree_at_every_alignment(void **state)
{
	size_t at;

	(void)state;
	for (at = 0; at < 64; at++) {
		assert_all(at, 0, 300, crc_by_definition(src + at, 300));
		assert_all(0, at, 300, crc_by_definition(src, 300));
		assert_all(at, 64 - at, 1376,
			   crc_by_definition(src + at, 1376));
	}
}

static void xm_crc32c__all_agree_on_payload_sizes(void **state)
{
	static const size_t lens[] = { 1344, 1376, 2048, 4080,  4095,
				       4096, 4097, 8192, 12288, 19900 };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		assert_all(3, 5, lens[i], crc_by_definition(src + 3, lens[i]));
}

static void xm_crc32c__each_bit_of_a_page_counts(void **state)
{
	uint32_t whole;
	unsigned int bit;

	(void)state;
	whole = xm_crc32c(0, src, 4096);
	for (bit = 0; bit < 8 * 4096; bit++) {
		src[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(xm_crc32c(0, src, 4096), whole);
		src[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void xm_crc32c__chains_at_every_cut(void **state)
{
	const struct xm_crc32c_impl *impl;
	uint32_t whole = crc_by_definition(src, 1000), reg;
	unsigned int i;
	size_t cut;

	(void)state;
	for (i = 0; (impl = xm_crc32c_impl(i)); i++) {
		for (cut = 0; cut <= 1000; cut++) {
			reg = impl->sum(~0u, src, cut);
			reg = impl->copy(reg, dst, src + cut, 1000 - cut);
			assert_int_equal(~reg, whole);
		}
	}
}

static void xm_crc32c__chains_from_one_to_the_other(void **state)
{
	uint32_t crc;

	(void)state;
	crc = xm_crc32c(0, src, 4096);
	crc = xm_crc32c_table(crc, src + 4096, 100);
	crc = xm_crc32c_copy(crc, dst, src + 4196, 5000);
	assert_int_equal(crc, crc_by_definition(src, 9196));
}

/* -- reading once: a page that is written while it is copied -------------- */

static bool stop_writing;

static void *write_for_ever(void *arg)
{
	volatile uint64_t *word = arg;
	uint64_t n = 0;
	unsigned int i;

	while (!__atomic_load_n(&stop_writing, __ATOMIC_RELAXED))
		for (n++, i = 0; i < 4096 / sizeof(*word); i++)
			word[i] = n;
	return NULL;
}

/* True when the sum was, each time, that of the bytes that were stored.  The
 * address sanitizer's kin that look for races would rightly object to what
 * is tested here: a guest does not take locks. */
static bool sum_is_of_copy(const struct xm_crc32c_impl *impl, uint8_t *page)
{
	uint32_t reg;
	int i;

	for (i = 0; i < 3000; i++) {
		reg = impl->copy(~0u, dst, page, 4096);
		if (reg != impl->sum(~0u, dst, 4096))
			return false;
	}
	return true;
}

static void xm_crc32c_copy__sums_what_it_stored(void **state)
{
	static _Alignas(64) uint8_t page[4096];
	const struct xm_crc32c_impl *impl;
	bool good = true;
	pthread_t writer;
	unsigned int i;

	(void)state;
	stop_writing = false;
	assert_int_equal(pthread_create(&writer, NULL, write_for_ever, page),
			 0);
	for (i = 0; (impl = xm_crc32c_impl(i)); i++)
		good = sum_is_of_copy(impl, page) && good;
	__atomic_store_n(&stop_writing, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(writer, NULL), 0);
	assert_true(good);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_crc32c_init__names_the_first_implementation),
		T(xm_crc32c_init__ends_with_the_table),
#ifdef __x86_64__
		T(xm_crc32c_init__uses_the_crc32_instruction),
#endif
		T(xm_crc32c__rfc3720_zeros),
		T(xm_crc32c__rfc3720_ones),
		T(xm_crc32c__rfc3720_incrementing),
		T(xm_crc32c__rfc3720_decrementing),
		T(xm_crc32c__rfc3720_iscsi_read),
		T(xm_crc32c__check_value),
		T(xm_crc32c__of_nothing_is_what_it_was),
		T(xm_crc32c__all_agree_at_every_short_length),
		T(xm_crc32c__all_agree_at_every_alignment),
		T(xm_crc32c__all_agree_on_payload_sizes),
		T(xm_crc32c__each_bit_of_a_page_counts),
		T(xm_crc32c__chains_at_every_cut),
		T(xm_crc32c__chains_from_one_to_the_other),
		T(xm_crc32c_copy__sums_what_it_stored),
	};

	xm_crc32c_init();
	return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
