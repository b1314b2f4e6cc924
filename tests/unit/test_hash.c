// SPDX-License-Identifier: GPL-2.0-or-later
/* test_hash.c - what pages hold, in a number */
#include "guest/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <xxhash.h>

#include "xdpmig/limits.h"

#define PAGES 70

struct t_hash {
	uint8_t *hva;
	uint64_t populated[PAGES / 64 + 1];
	uint64_t bytes;
};

static int setup(void **state)
{
	struct t_hash *t = calloc(1, sizeof(*t));
	uint32_t x = 1;
	size_t i;

	assert_non_null(t);
	t->hva = mmap(NULL, (size_t)PAGES * XM_PAGE_SIZE,
		      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	assert_ptr_not_equal(t->hva, MAP_FAILED);
	for (i = 0; i < (size_t)PAGES * XM_PAGE_SIZE; i++) {
		x = x * 1664525 + 1013904223;
		t->hva[i] = (uint8_t)(x >> 24);
	}
	memset(t->populated, 0xff, sizeof(t->populated));
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct t_hash *t = *state;

	munmap(t->hva, (size_t)PAGES * XM_PAGE_SIZE);
	free(t);
	return 0;
}

static uint64_t hash(struct t_hash *t)
{
	t->bytes = 0;
	return guest_hash_pages(t->hva, t->populated, 0, PAGES, &t->bytes);
}

static uint8_t *page(struct t_hash *t, unsigned int nth)
{
	return t->hva + (size_t)nth * XM_PAGE_SIZE;
}

static void set_hole(struct t_hash *t, unsigned int nth)
{
	t->populated[nth / 64] &= ~(1ull << nth % 64);
}

static void guest_hash_pages__reads_all_that_is_populated(void **state)
{
	struct t_hash *t = *state;

	assert_true(hash(t));
	assert_int_equal(t->bytes, PAGES * XM_PAGE_SIZE);
	set_hole(t, 66);
	(void)hash(t);
	assert_int_equal(t->bytes, (PAGES - 1) * XM_PAGE_SIZE);
}

/* docs/protocol.md 6.7, by hand: both sides may be of different releases. */
static void guest_hash_pages__is_what_the_protocol_says(void **state)
{
	struct t_hash *t = *state;
	uint64_t want = 0, h;
	uint8_t pair[16];
	unsigned int p, i;

	memset(page(t, 3), 0, XM_PAGE_SIZE);
	for (p = 2; p < 5; p++) {
		if (p == 3)
			continue;
		h = XXH3_64bits(page(t, p), XM_PAGE_SIZE);
		for (i = 0; i < 8; i++) {
			pair[i] = (uint8_t)((uint64_t)p >> (8 * (7 - i)));
			pair[8 + i] = (uint8_t)(h >> (8 * (7 - i)));
		}
		want += XXH3_64bits(pair, sizeof(pair));
	}
	assert_int_equal(
		guest_hash_pages(t->hva, t->populated, 2, 5, &t->bytes), want);
}

static void guest_hash_pages__finds_a_bit_anywhere(void **state)
{
	struct t_hash *t = *state;
	uint64_t was = hash(t);
	size_t at;

	for (at = 0; at < (size_t)PAGES * XM_PAGE_SIZE; at += 509) {
		t->hva[at] ^= (uint8_t)(1 << at % 8);
		assert_int_not_equal(hash(t), was);
		t->hva[at] ^= (uint8_t)(1 << at % 8);
	}
	at = (size_t)PAGES * XM_PAGE_SIZE - 1;
	t->hva[at] ^= 0x80;
	assert_int_not_equal(hash(t), was);
	t->hva[at] ^= 0x80;
	assert_int_equal(hash(t), was);
}

static void guest_hash_pages__zeros_are_a_hole(void **state)
{
	struct t_hash *t = *state;
	uint64_t was = hash(t), zeros;

	memset(page(t, 65), 0, XM_PAGE_SIZE);
	zeros = hash(t);
	assert_int_not_equal(zeros, was);
	set_hole(t, 65);
	assert_int_equal(hash(t), zeros);
}

/* A page that the bitmap calls a hole faults here. */
static void guest_hash_pages__touches_no_hole(void **state)
{
	struct t_hash *t = *state;

	set_hole(t, 7);
	assert_int_equal(mprotect(page(t, 7), XM_PAGE_SIZE, PROT_NONE), 0);
	assert_true(hash(t));
}

static void guest_hash_pages__knows_pages_that_changed_places(void **state)
{
	struct t_hash *t = *state;
	uint8_t keep[XM_PAGE_SIZE];
	uint64_t was = hash(t);

	memcpy(keep, page(t, 1), XM_PAGE_SIZE);
	memcpy(page(t, 1), page(t, 69), XM_PAGE_SIZE);
	memcpy(page(t, 69), keep, XM_PAGE_SIZE);
	assert_int_not_equal(hash(t), was);
}

static void guest_hash_pages__a_page_that_is_there_twice_counts(void **state)
{
	struct t_hash *t = *state;
	uint64_t was;

	memset(page(t, 4), 0, XM_PAGE_SIZE);
	memset(page(t, 5), 0, XM_PAGE_SIZE);
	was = hash(t);
	memcpy(page(t, 4), page(t, 6), XM_PAGE_SIZE);
	memcpy(page(t, 5), page(t, 6), XM_PAGE_SIZE);
	assert_int_not_equal(hash(t), was);
}

static void guest_hash_pages__nothing_is_nothing(void **state)
{
	struct t_hash *t = *state;

	assert_int_equal(
		guest_hash_pages(t->hva, t->populated, 9, 9, &t->bytes), 0);
	memset(t->populated, 0, sizeof(t->populated));
	assert_int_equal(hash(t), 0);
	assert_int_equal(t->bytes, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guest_hash_pages__reads_all_that_is_populated),
		T(guest_hash_pages__is_what_the_protocol_says),
		T(guest_hash_pages__finds_a_bit_anywhere),
		T(guest_hash_pages__zeros_are_a_hole),
		T(guest_hash_pages__touches_no_hole),
		T(guest_hash_pages__knows_pages_that_changed_places),
		T(guest_hash_pages__a_page_that_is_there_twice_counts),
		T(guest_hash_pages__nothing_is_nothing),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
