// SPDX-License-Identifier: GPL-2.0-or-later
/* test_pages.c - which pages a channel sends, packet by packet
 *
 * The guest's memory cannot be touched at all but where a test says so: a walk
 * that reads a page it must not ends the test program.
 */
#include "core/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define PAGE   ((size_t)XM_PAGE_SIZE)
#define MIB    (1ULL << 20)
#define STRIPE 512 /* pages */

struct t_guest {
	struct xm_map map;
	struct xm_page_set set;
	struct xm_pages pages;
	struct xm_page_batch batch;
};

static void add_block(struct t_guest *t, const char *name, uint64_t len)
{
	uint8_t *hva = mmap(NULL, len, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(hva, MAP_FAILED);
	assert_int_equal(xm_map_add(&t->map, name, len, hva), 0);
}

/* pc.ram has stripes 0 to 3, the last of them of one page only; vga.ram has
 * stripe 4, of 16 pages. */
static int setup(void **state)
{
	struct t_guest *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	add_block(t, "pc.ram", 6 * MIB + PAGE);
	add_block(t, "vga.ram", 16 * PAGE);
	assert_int_equal(xm_map_shard(&t->map, 1), 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct t_guest *t = *state;
	unsigned int i;

	for (i = 0; i < t->map.n_blocks; i++) {
		free(t->set.todo[i]);
		free(t->set.populated[i]);
		assert_int_equal(
			munmap(t->map.block[i].hva, t->map.block[i].len), 0);
	}
	free(t);
	return 0;
}

/* -- what a guest is like -------------------------------------------------- */

/* [@page, + @n) of @block may be read: zeros, or not. */
static void allow(struct t_guest *t, unsigned int block, size_t page, size_t n,
		  bool is_zero)
{
	uint8_t *at = t->map.block[block].hva + page * PAGE;
	size_t i;

	assert_int_equal(mprotect(at, n * PAGE, PROT_READ | PROT_WRITE), 0);
	for (i = 0; i < n && !is_zero; i++)
		at[i * PAGE + PAGE - 1] = 1;
}

/* A bitmap for all of @block, with nothing set. */
static uint64_t *bitmap(struct t_guest *t, unsigned int block)
{
	uint64_t *map = calloc((t->map.block[block].len / PAGE + 63) / 64, 8);

	assert_non_null(map);
	return map;
}

static void set_bits(uint64_t *map, size_t page, size_t n)
{
	for (; n; page++, n--)
		map[page / 64] |= 1ULL << (page % 64);
}

/* Only pages that a test names are to be sent. */
static struct t_guest *nothing_todo(void **state)
{
	struct t_guest *t = *state;

	t->set.todo[0] = bitmap(t, 0);
	t->set.todo[1] = bitmap(t, 1);
	return t;
}

/* Nothing stands behind the guest's memory. */
static struct t_guest *all_holes(void **state)
{
	struct t_guest *t = *state;

	t->set.populated[0] = bitmap(t, 0);
	t->set.populated[1] = bitmap(t, 1);
	return t;
}

static void begin(struct t_guest *t, unsigned int channel)
{
	xm_pages_begin(&t->pages, &t->map, &t->set, channel);
}

static bool next(struct t_guest *t)
{
	return xm_pages_next(&t->pages, &t->batch);
}

/* The next packet has so many pages of @block. */
static void expect(struct t_guest *t, unsigned int block, unsigned int n_normal,
		   unsigned int n_zero)
{
	assert_true(next(t));
	assert_int_equal(t->batch.block, block);
	assert_int_equal(t->batch.n_normal, n_normal);
	assert_int_equal(t->batch.n_zero, n_zero);
}

static size_t page(const struct t_guest *t, unsigned int i)
{
	return t->batch.offset[i] / PAGE;
}

/* -- one channel ----------------------------------------------------------- */

static void xm_pages_next__all_pages_without_bitmaps(void **state)
{
	struct t_guest *t = *state;
	unsigned int n = 0;

	allow(t, 0, 0, 3 * STRIPE + 1, false);
	allow(t, 1, 0, 16, false);
	begin(t, 0);
	for (n = 0; n < 3 * STRIPE / XM_PACKET_PAGES; n++)
		expect(t, 0, XM_PACKET_PAGES, 0);
	expect(t, 0, 1, 0);
	assert_int_equal(page(t, 0), 3 * STRIPE);
	expect(t, 1, 16, 0);
	assert_false(next(t));
	assert_int_equal(t->pages.n_done, 3 * STRIPE + 1 + 16);
}

static void xm_pages_next__in_ascending_order(void **state)
{
	struct t_guest *t = *state;
	unsigned int i;

	allow(t, 0, 0, STRIPE, false);
	begin(t, 0);
	expect(t, 0, XM_PACKET_PAGES, 0);
	expect(t, 0, XM_PACKET_PAGES, 0);
	for (i = 0; i < XM_PACKET_PAGES; i++)
		assert_int_equal(page(t, i), XM_PACKET_PAGES + i);
}

static void xm_pages_next__zero_pages_stand_behind_the_others(void **state)
{
	struct t_guest *t = nothing_todo(state);

	set_bits(t->set.todo[0], 0, 5);
	allow(t, 0, 0, 1, true);
	allow(t, 0, 1, 1, false);
	allow(t, 0, 2, 2, true);
	allow(t, 0, 4, 1, false);
	begin(t, 0);
	expect(t, 0, 2, 3);
	assert_int_equal(page(t, 0), 1);
	assert_int_equal(page(t, 1), 4);
	assert_int_equal(page(t, 2), 0);
	assert_int_equal(page(t, 3), 2);
	assert_int_equal(page(t, 4), 3);
	assert_false(next(t));
	assert_int_equal(t->pages.n_done, 5);
}

static void xm_pages_next__only_what_is_to_be_sent_is_read(void **state)
{
	struct t_guest *t = nothing_todo(state);

	set_bits(t->set.todo[0], 63, 2);
	set_bits(t->set.todo[0], 700, 1);
	allow(t, 0, 63, 2, false);
	allow(t, 0, 700, 1, false);
	begin(t, 0);
	expect(t, 0, 3, 0);
	assert_int_equal(page(t, 0), 63);
	assert_int_equal(page(t, 1), 64);
	assert_int_equal(page(t, 2), 700);
	assert_false(next(t));
}

static void xm_pages_next__the_last_pages_of_blocks_and_stripes(void **state)
{
	struct t_guest *t = nothing_todo(state);

	set_bits(t->set.todo[0], STRIPE - 1, 1);
	set_bits(t->set.todo[0], 3 * STRIPE, 1);
	set_bits(t->set.todo[1], 15, 1);
	allow(t, 0, STRIPE - 1, 1, false);
	allow(t, 0, 3 * STRIPE, 1, false);
	allow(t, 1, 15, 1, false);
	begin(t, 0);
	expect(t, 0, 2, 0);
	assert_int_equal(page(t, 0), STRIPE - 1);
	assert_int_equal(page(t, 1), 3 * STRIPE);
	expect(t, 1, 1, 0);
	assert_int_equal(page(t, 0), 15);
	assert_false(next(t));
}

static void xm_pages_next__bits_behind_a_block_are_no_pages(void **state)
{
	struct t_guest *t = nothing_todo(state);

	t->set.todo[1][0] = ~0ULL << 16;
	begin(t, 0);
	assert_false(next(t));
}

static void xm_pages_next__nothing_to_do(void **state)
{
	struct t_guest *t = nothing_todo(state);

	begin(t, 0);
	assert_false(next(t));
	assert_false(next(t));
	assert_int_equal(t->pages.n_done, 0);
}

static void xm_pages_next__packets_never_mix_blocks(void **state)
{
	struct t_guest *t = nothing_todo(state);

	set_bits(t->set.todo[0], 0, 1);
	set_bits(t->set.todo[0], 3 * STRIPE, 1);
	set_bits(t->set.todo[1], 0, 1);
	allow(t, 0, 0, 1, false);
	allow(t, 0, 3 * STRIPE, 1, true);
	allow(t, 1, 0, 1, true);
	begin(t, 0);
	expect(t, 0, 1, 1);
	expect(t, 1, 0, 1);
	assert_false(next(t));
}

static void
xm_pages_next__a_block_with_nothing_to_do_is_passed_over(void **state)
{
	struct t_guest *t = nothing_todo(state);

	set_bits(t->set.todo[1], 3, 1);
	allow(t, 1, 3, 1, false);
	begin(t, 0);
	expect(t, 1, 1, 0);
	assert_int_equal(page(t, 0), 3);
	assert_false(next(t));
}

static void xm_pages_next__todo_of_one_block_and_all_of_another(void **state)
{
	struct t_guest *t = *state;

	t->set.todo[0] = bitmap(t, 0);
	allow(t, 1, 0, 16, false);
	begin(t, 0);
	expect(t, 1, 16, 0);
	assert_false(next(t));
}

static void xm_pages_next__a_full_packet_of_zero_pages(void **state)
{
	struct t_guest *t = nothing_todo(state);

	set_bits(t->set.todo[0], 0, XM_PACKET_PAGES + 1);
	allow(t, 0, 0, XM_PACKET_PAGES + 1, true);
	begin(t, 0);
	expect(t, 0, 0, XM_PACKET_PAGES);
	expect(t, 0, 0, 1);
	assert_int_equal(page(t, 0), XM_PACKET_PAGES);
	assert_false(next(t));
}

/* -- pages that are elsewhere ---------------------------------------------- */

struct t_elsewhere {
	uint8_t mem[2][8 * PAGE]; /* both blocks' */
	unsigned int n_asked;
};

/* Two pages at a time. */
static void find_elsewhere(void *arg, unsigned int block, uint64_t offset,
			   struct xm_page_view *ret_view)
{
	struct t_elsewhere *e = arg;
	uint64_t from = offset / (2 * PAGE) * (2 * PAGE);

	e->n_asked++;
	*ret_view = (struct xm_page_view){ from, from + 2 * PAGE,
					   e->mem[block] + from };
}

/* Nobody may read at hva. */
static void xm_pages_look_at__reads_there_alone(void **state)
{
	struct t_guest *t = nothing_todo(state);
	struct t_elsewhere *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	set_bits(t->set.todo[0], 0, 5);
	set_bits(t->set.todo[1], 4, 1); /* where block 0 was seen last */
	e->mem[0][PAGE] = e->mem[0][3 * PAGE - 1] = e->mem[1][4 * PAGE] = 1;
	begin(t, 0);
	xm_pages_look_at(&t->pages, find_elsewhere, e);
	expect(t, 0, 2, 3);
	assert_int_equal(page(t, 0), 1);
	assert_int_equal(page(t, 1), 2);
	assert_int_equal(e->n_asked, 3);
	expect(t, 1, 1, 0);
	assert_int_equal(page(t, 0), 4);
	assert_int_equal(e->n_asked, 4);
	assert_false(next(t));
	free(e);
}

/* -- holes ----------------------------------------------------------------- */

static void xm_pages_next__holes_are_zero_pages_and_never_read(void **state)
{
	struct t_guest *t = all_holes(state);
	unsigned int n;

	begin(t, 0);
	for (n = 0; n < 3 * STRIPE / XM_PACKET_PAGES; n++)
		expect(t, 0, 0, XM_PACKET_PAGES);
	expect(t, 0, 0, 1);
	expect(t, 1, 0, 16);
	assert_false(next(t));
}

static void xm_pages_next__memory_among_holes_is_read(void **state)
{
	struct t_guest *t = all_holes(state);

	set_bits(t->set.populated[0], 100, 2);
	allow(t, 0, 100, 1, false);
	allow(t, 0, 101, 1, true);
	begin(t, 0);
	expect(t, 0, 1, XM_PACKET_PAGES - 1);
	assert_int_equal(page(t, 0), 100);
	assert_int_equal(page(t, 1), 0);
}

static void xm_pages_next__holes_that_need_not_be_sent(void **state)
{
	struct t_guest *t = all_holes(state);

	t->set.todo[0] = bitmap(t, 0);
	t->set.todo[1] = bitmap(t, 1);
	set_bits(t->set.todo[1], 7, 1);
	begin(t, 0);
	expect(t, 1, 0, 1);
	assert_int_equal(page(t, 0), 7);
	assert_false(next(t));
}

/* -- several channels ------------------------------------------------------ */

static void xm_pages_next__stripes_of_other_channels_are_skipped(void **state)
{
	struct t_guest *t = *state;
	unsigned int n;

	assert_int_equal(xm_map_shard(&t->map, 2), 0);
	allow(t, 0, STRIPE, STRIPE, false);
	allow(t, 0, 3 * STRIPE, 1, false);
	begin(t, 1);
	for (n = 0; n < STRIPE / XM_PACKET_PAGES; n++)
		expect(t, 0, XM_PACKET_PAGES, 0);
	assert_int_equal(page(t, XM_PACKET_PAGES - 1), 2 * STRIPE - 1);
	expect(t, 0, 1, 0);
	assert_int_equal(page(t, 0), 3 * STRIPE);
	assert_false(next(t));
}

static void xm_pages_next__a_packet_may_reach_over_stripes(void **state)
{
	struct t_guest *t = nothing_todo(state);

	assert_int_equal(xm_map_shard(&t->map, 2), 0);
	set_bits(t->set.todo[0], 0, 3 * STRIPE + 1);
	memset(t->set.todo[0], 0, STRIPE / 8 - 8); /* 64 pages are left */
	allow(t, 0, STRIPE - 64, 64, false);
	allow(t, 0, 2 * STRIPE, STRIPE, false);
	begin(t, 0);
	expect(t, 0, XM_PACKET_PAGES, 0);
	assert_int_equal(page(t, 0), STRIPE - 64);
	assert_int_equal(page(t, 63), STRIPE - 1);
	assert_int_equal(page(t, 64), 2 * STRIPE);
}

static void xm_pages_next__a_channel_whose_first_stripe_is_late(void **state)
{
	struct t_guest *t = *state;

	assert_int_equal(xm_map_shard(&t->map, 5), 0);
	allow(t, 1, 0, 16, false);
	begin(t, 4);
	expect(t, 1, 16, 0);
	assert_false(next(t));
}

static void xm_pages_next__a_channel_without_a_stripe(void **state)
{
	struct t_guest *t = *state;

	assert_int_equal(xm_map_shard(&t->map, 6), 0);
	begin(t, 5);
	assert_false(next(t));
}

static void xm_pages_next__pages_are_those_that_the_map_deals(void **state)
{
	struct t_guest *t = all_holes(state);
	unsigned int i, n = 0;

	assert_int_equal(xm_map_shard(&t->map, 3), 0);
	begin(t, 0);
	while (next(t)) {
		for (i = 0; i < t->batch.n_zero; i++)
			assert_int_equal(xm_map_channel(&t->map, t->batch.block,
							t->batch.offset[i]),
					 0);
		n += t->batch.n_zero;
	}
	assert_int_equal(n, STRIPE + 1);
}

static void xm_pages_begin__starts_over(void **state)
{
	struct t_guest *t = all_holes(state);

	begin(t, 0);
	expect(t, 0, 0, XM_PACKET_PAGES);
	begin(t, 0);
	assert_int_equal(t->pages.n_done, 0);
	expect(t, 0, 0, XM_PACKET_PAGES);
	assert_int_equal(page(t, 0), 0);
}

/* -- counts ---------------------------------------------------------------- */

static void xm_pages_count__all_on_one_channel(void **state)
{
	struct t_guest *t = *state;

	assert_int_equal(xm_pages_count(&t->map, &t->set, 0),
			 3 * STRIPE + 1 + 16);
}

static void xm_pages_count__of_each_channel(void **state)
{
	struct t_guest *t = *state;

	assert_int_equal(xm_map_shard(&t->map, 3), 0);
	assert_int_equal(xm_pages_count(&t->map, &t->set, 0), STRIPE + 1);
	assert_int_equal(xm_pages_count(&t->map, &t->set, 1), STRIPE + 16);
	assert_int_equal(xm_pages_count(&t->map, &t->set, 2), STRIPE);
}

static void xm_pages_count__of_a_channel_without_a_stripe(void **state)
{
	struct t_guest *t = *state;

	assert_int_equal(xm_map_shard(&t->map, 6), 0);
	assert_int_equal(xm_pages_count(&t->map, &t->set, 5), 0);
}

static void xm_pages_count__only_what_has_to_be_sent(void **state)
{
	struct t_guest *t = *state;
	uint64_t *todo = calloc(64, 8), *populated = calloc(64, 8);

	assert_true(todo && populated);
	todo[0] = 0xff;
	populated[0] = 0x0f;
	todo[STRIPE / 64] = populated[STRIPE / 64] = 1;
	t->set.todo[0] = todo;
	assert_int_equal(xm_pages_count(&t->map, &t->set, 0), 9 + 16);
	t->set.populated[0] = populated;
	assert_int_equal(xm_pages_count(&t->map, &t->set, 0), 5 + 16);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_pages_next__all_pages_without_bitmaps),
		T(xm_pages_next__in_ascending_order),
		T(xm_pages_next__zero_pages_stand_behind_the_others),
		T(xm_pages_next__only_what_is_to_be_sent_is_read),
		T(xm_pages_next__the_last_pages_of_blocks_and_stripes),
		T(xm_pages_next__bits_behind_a_block_are_no_pages),
		T(xm_pages_next__nothing_to_do),
		T(xm_pages_next__packets_never_mix_blocks),
		T(xm_pages_next__a_block_with_nothing_to_do_is_passed_over),
		T(xm_pages_next__todo_of_one_block_and_all_of_another),
		T(xm_pages_next__a_full_packet_of_zero_pages),
		T(xm_pages_next__holes_are_zero_pages_and_never_read),
		T(xm_pages_next__memory_among_holes_is_read),
		T(xm_pages_next__holes_that_need_not_be_sent),
		T(xm_pages_next__stripes_of_other_channels_are_skipped),
		T(xm_pages_next__a_packet_may_reach_over_stripes),
		T(xm_pages_next__a_channel_whose_first_stripe_is_late),
		T(xm_pages_next__a_channel_without_a_stripe),
		T(xm_pages_next__pages_are_those_that_the_map_deals),
		T(xm_pages_look_at__reads_there_alone),
		T(xm_pages_begin__starts_over),
		T(xm_pages_count__all_on_one_channel),
		T(xm_pages_count__of_each_channel),
		T(xm_pages_count__of_a_channel_without_a_stripe),
		T(xm_pages_count__only_what_has_to_be_sent),
	};

	return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
