// SPDX-License-Identifier: GPL-2.0-or-later
/* test_umem.c - the layout of a UMEM over memfds; nothing is registered here */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "xsk/umem.h"

#define PAGE ((uint64_t)4096)

struct t_umem {
	struct xsk_chan_opts opts;
	struct xsk_extent x[64];
	struct umem umem;
	struct xm_error e;
	int fd;
};

/* A memfd of 1024 pages whose page i begins with the number i. */
static int setup(void **state)
{
	struct t_umem *t = calloc(1, sizeof(*t));
	uint32_t i;

	t->fd = memfd_create("umem", MFD_CLOEXEC);
	if (t->fd < 0 || ftruncate(t->fd, 1024 * PAGE))
		return -1;
	for (i = 0; i < 64; i++)
		if (pwrite(t->fd, &i, sizeof(i), (off_t)(i * PAGE)) !=
		    sizeof(i))
			return -1;
	t->opts = (struct xsk_chan_opts){
		.max_descs = 18,
		.tx_ring = 64,
		.rx_ring = 64,
		.rx_chunks = 4,
		.n_slots = 3,
		.n_bufs = 17,
		.n_stages = 2,
		.stage_len = 3 * PAGE,
		.extents = t->x,
	};
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct t_umem *t = *state;

	umem_close(&t->umem);
	close(t->fd);
	free(t);
	return 0;
}

/* Append an extent of @n pages at page @page of @block and of the file. */
static void t_extent(struct t_umem *t, uint8_t block, uint64_t page,
		     uint64_t file_page, uint64_t n)
{
	t->x[t->opts.n_extents++] = (struct xsk_extent){
		.fd = t->fd,
		.block = block,
		.offset = page * PAGE,
		.file_off = file_page * PAGE,
		.len = n * PAGE,
	};
}

static int t_open(struct t_umem *t)
{
	return umem_open(&t->umem, &t->opts, &t->e);
}

/* Number at the start of the page that the UMEM has at this place. */
static uint32_t t_page(struct t_umem *t, uint8_t block, uint64_t page)
{
	uint64_t addr = umem_find(&t->umem, block, page * PAGE, PAGE);
	uint32_t n;

	assert_int_not_equal(addr, UMEM_NONE);
	memcpy(&n, t->umem.base + addr, sizeof(n));
	return n;
}

static void umem_arena_len__rounds_each_part_to_pages(void **state)
{
	struct t_umem *t = *state;

	/* 3 x 2048 -> 2 pages, 17 x 256 -> 2, 2 x 3, 4 */
	assert_int_equal(umem_arena_len(&t->opts), 14 * PAGE);
}

static void umem_open__lays_out_the_arena(void **state)
{
	struct t_umem *t = *state;

	assert_int_equal(t_open(t), 0);
	assert_int_equal(t->umem.slots_addr, 0);
	assert_int_equal(t->umem.bufs_addr, 2 * PAGE);
	assert_int_equal(t->umem.stages_addr, 4 * PAGE);
	assert_int_equal(t->umem.rx_addr, 10 * PAGE);
	assert_int_equal(t->umem.len, 14 * PAGE);
	assert_int_equal((uintptr_t)t->umem.base % PAGE, 0);
	memset(t->umem.base, 0xaa, t->umem.len);
}

/* As a destination's. */
static void umem_open__without_any_extents(void **state)
{
	struct t_umem *t = *state;

	t->opts.extents = NULL;
	assert_int_equal(t_open(t), 0);
	assert_int_equal(t->umem.len, 14 * PAGE);
}

static void umem_open__puts_extents_behind_one_another(void **state)
{
	struct t_umem *t = *state;

	t_extent(t, 0, 3, 3, 2);
	t_extent(t, 0, 10, 10, 1);
	t_extent(t, 1, 0, 20, 4);
	assert_int_equal(t_open(t), 0);
	assert_int_equal(t->umem.len, (14 + 7) * PAGE);
	assert_int_equal(t_page(t, 0, 4), 4);
	assert_int_equal(t_page(t, 0, 10), 10);
	assert_int_equal(t_page(t, 1, 3), 23);
	assert_int_equal(t->umem.left_out, 0);
}

static void umem_open__touches_nothing(void **state)
{
	struct t_umem *t = *state;
	struct stat before, after;

	t_extent(t, 0, 0, 0, 1024);
	fstat(t->fd, &before);
	assert_int_equal(t_open(t), 0);
	fstat(t->fd, &after);
	assert_int_equal(before.st_blocks, after.st_blocks);
}

static void umem_open__joins_neighbours(void **state)
{
	struct t_umem *t = *state;

	t_extent(t, 0, 0, 0, 2);
	t_extent(t, 0, 2, 2, 2);
	t_extent(t, 0, 4, 9, 2); /* next to it in the block, not in the file */
	assert_int_equal(t_open(t), 0);
	assert_int_equal(t->umem.n_maps, 2);
	assert_int_equal(umem_find(&t->umem, 0, PAGE, 2 * PAGE),
			 t->umem.guest_addr + PAGE);
	assert_int_equal(t_page(t, 0, 4), 9);
}

static void umem_open__refuses_what_is_unaligned(void **state)
{
	struct t_umem *t = *state;

	t_extent(t, 0, 0, 0, 1);
	t->x[0].len = 100;
	assert_int_equal(t_open(t), -EINVAL);
	assert_non_null(strstr(t->e.msg, "unaligned"));
}

static void umem_open__refuses_what_is_out_of_order(void **state)
{
	struct t_umem *t = *state;

	t_extent(t, 0, 4, 4, 2);
	t_extent(t, 0, 5, 5, 1); /* overlaps */
	assert_int_equal(t_open(t), -EINVAL);
}

static void umem_open__says_which_file_is_read_only(void **state)
{
	struct t_umem *t = *state;
	char link[64];
	int fd = t->fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	t->fd = open(link, O_RDONLY | O_CLOEXEC);
	assert_true(t->fd >= 0);
	close(fd);
	t_extent(t, 2, 7, 7, 1);
	assert_int_equal(t_open(t), -EACCES);
	assert_non_null(strstr(t->e.msg, "memfd:umem"));
	assert_non_null(strstr(t->e.msg, "block 2, offset 0x7000"));
	assert_int_equal(t->e.reason, XM_REASON_MEMORY);
}

static void umem_open__keeps_the_largest_when_mappings_are_few(void **state)
{
	struct t_umem *t = *state;

	t_extent(t, 0, 0, 0, 1);
	t_extent(t, 0, 2, 2, 5);
	t_extent(t, 0, 8, 8, 1);
	t_extent(t, 0, 10, 10, 3);
	t->opts.max_maps = 2;
	assert_int_equal(t_open(t), 0);
	assert_int_equal(t->umem.n_maps, 2);
	assert_int_equal(t->umem.left_out, 2 * PAGE);
	assert_int_equal(t_page(t, 0, 6), 6);
	assert_int_equal(t_page(t, 0, 12), 12);
	assert_int_equal(umem_find(&t->umem, 0, 0, PAGE), UMEM_NONE);
	assert_int_equal(umem_find(&t->umem, 0, 8 * PAGE, PAGE), UMEM_NONE);
}

static void umem_open__pins_no_more_than_allowed(void **state)
{
	struct t_umem *t = *state;

	t_extent(t, 0, 0, 0, 4);
	t_extent(t, 0, 6, 6, 6);
	t->opts.max_locked = (14 + 8) * PAGE;
	assert_int_equal(t_open(t), 0);
	assert_int_equal(t->umem.len, t->opts.max_locked);
	assert_int_equal(t->umem.left_out, 2 * PAGE);
	assert_int_equal(t_page(t, 0, 1), 1);
	assert_int_equal(umem_find(&t->umem, 0, 2 * PAGE, PAGE), UMEM_NONE);
	assert_int_equal(t_page(t, 0, 11), 11);
}

static void umem_open__stays_below_the_kernels_chunks(void **state)
{
	struct t_umem *t = *state;
	uint64_t limit = 16777215 * PAGE;

	/* 64 GiB of addresses, of a sparse file: nothing is populated */
	assert_int_equal(ftruncate(t->fd, 64LL << 30), 0);
	t_extent(t, 0, 0, 0, (64ULL << 30) / PAGE);
	assert_int_equal(t_open(t), 0);
	assert_int_equal(t->umem.len, limit);
	assert_int_equal(t->umem.left_out, (64ULL << 30) - limit + 14 * PAGE);
}

static void umem_open__an_arena_above_the_limit_is_a_bug(void **state)
{
	struct t_umem *t = *state;

	t->opts.max_locked = 13 * PAGE;
	assert_int_equal(t_open(t), -EINVAL);
}

static void umem_find__needs_all_of_it_in_one_piece(void **state)
{
	struct t_umem *t = *state;

	t_extent(t, 0, 3, 3, 2);
	t_extent(t, 0, 6, 6, 1);
	assert_int_equal(t_open(t), 0);
	assert_int_equal(umem_find(&t->umem, 0, 3 * PAGE, 2 * PAGE),
			 t->umem.guest_addr);
	assert_int_equal(umem_find(&t->umem, 0, 3 * PAGE, 2 * PAGE + 1),
			 UMEM_NONE);
	assert_int_equal(umem_find(&t->umem, 0, 3 * PAGE - 1, 2), UMEM_NONE);
	assert_int_equal(umem_find(&t->umem, 0, 5 * PAGE, 1), UMEM_NONE);
	assert_int_equal(umem_find(&t->umem, 0, 7 * PAGE, 1), UMEM_NONE);
	assert_int_equal(umem_find(&t->umem, 1, 3 * PAGE, 1), UMEM_NONE);
	assert_int_equal(umem_find(&t->umem, 0, UINT64_MAX, 2), UMEM_NONE);
}

static void umem_find__without_extents_finds_nothing(void **state)
{
	struct t_umem *t = *state;

	assert_int_equal(t_open(t), 0);
	assert_int_equal(umem_find(&t->umem, 0, 0, 1), UMEM_NONE);
}

/* The cached position must never change an answer. */
static void umem_find__any_order_of_questions(void **state)
{
	struct t_umem *t = *state;
	unsigned int i;

	for (i = 0; i < 21; i++)
		t_extent(t, (uint8_t)(i / 7), 3 * (i % 7), 3 * i, 1 + i % 2);
	assert_int_equal(t_open(t), 0);
	srandom(7);
	for (i = 0; i < 5000; i++) {
		uint8_t block = (uint8_t)(random() % 4);
		uint64_t page = (uint64_t)(random() % 24);
		unsigned int x = block * 7 + (unsigned int)page / 3;
		uint64_t addr = umem_find(&t->umem, block, page * PAGE, PAGE);

		if (block < 3 && page < 21 && page % 3 < 1 + x % 2)
			assert_int_equal(t_page(t, block, page),
					 3 * x + page % 3);
		else
			assert_int_equal(addr, UMEM_NONE);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(umem_arena_len__rounds_each_part_to_pages),
		T(umem_open__lays_out_the_arena),
		T(umem_open__without_any_extents),
		T(umem_open__puts_extents_behind_one_another),
		T(umem_open__touches_nothing),
		T(umem_open__joins_neighbours),
		T(umem_open__refuses_what_is_unaligned),
		T(umem_open__refuses_what_is_out_of_order),
		T(umem_open__says_which_file_is_read_only),
		T(umem_open__keeps_the_largest_when_mappings_are_few),
		T(umem_open__pins_no_more_than_allowed),
		T(umem_open__stays_below_the_kernels_chunks),
		T(umem_open__an_arena_above_the_limit_is_a_bug),
		T(umem_find__needs_all_of_it_in_one_piece),
		T(umem_find__without_extents_finds_nothing),
		T(umem_find__any_order_of_questions),
	};

	return cmocka_run_group_tests_name("umem", tests, NULL, NULL);
}
