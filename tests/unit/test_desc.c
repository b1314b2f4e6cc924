// SPDX-License-Identifier: GPL-2.0-or-later
/* test_desc.c - the descriptor builder against a model of the kernel's checks
 *
 * The model follows xp_aligned_validate_desc() of net/xdp/xsk_queue.h, with
 * its own arithmetic: what the builder takes, the model must take.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "xsk/desc.h"

#define UMEM_LEN (16 * 4096)
#define RING     32

static bool kernel_takes_desc(const struct xdp_desc *d, uint64_t umem_len)
{
	uint64_t first = d->addr / 4096, last;

	if (!d->len || d->options & ~(uint32_t)XDP_PKT_CONTD)
		return false;
	last = (d->addr + d->len - 1) / 4096;
	return first == last && d->addr < umem_len;
}

static bool kernel_takes_frame(const struct xsk_desc_list *l)
{
	unsigned int i;

	if (!l->n || l->n > l->max)
		return false;
	for (i = 0; i < l->n; i++) {
		if (!kernel_takes_desc(xsk_desc_at(l, i), l->umem_len))
			return false;
		if (!!(xsk_desc_at(l, i)->options & XDP_PKT_CONTD) !=
		    (i + 1 < l->n))
			return false;
	}
	return true;
}

/* Each anywhere else in the ring. */
static struct xsk_desc_list t_list(unsigned int max)
{
	static struct xdp_desc ring[RING];
	static uint32_t at = UINT32_MAX - 3;
	struct xsk_desc_list l;

	xsk_desc_init(&l, ring, at++, RING - 1, UMEM_LEN, max);
	return l;
}

static void xsk_desc_add__takes_a_whole_page(void **state)
{
	struct xsk_desc_list l = t_list(18);

	(void)state;
	assert_int_equal(xsk_desc_add(&l, 4096, 4096), 0);
	assert_int_equal(xsk_desc_seal(&l), 0);
	assert_true(kernel_takes_frame(&l));
}

static void xsk_desc_add__takes_the_last_byte_of_the_umem(void **state)
{
	struct xsk_desc_list l = t_list(2);

	(void)state;
	assert_int_equal(xsk_desc_add(&l, 0, 64), 0);
	assert_int_equal(xsk_desc_add(&l, UMEM_LEN - 1, 1), 0);
	assert_int_equal(xsk_desc_seal(&l), 0);
	assert_true(kernel_takes_frame(&l));
}

static void xsk_desc_add__refuses_nothing(void **state)
{
	struct xsk_desc_list l = t_list(18);

	(void)state;
	assert_int_equal(xsk_desc_add(&l, 0, 0), -EINVAL);
	assert_int_equal(l.n, 0);
}

static void xsk_desc_add__refuses_one_byte_across_a_chunk(void **state)
{
	struct xsk_desc_list l = t_list(18);
	struct xdp_desc d = { .addr = 8192 - 64, .len = 65 };

	(void)state;
	assert_int_equal(xsk_desc_add(&l, d.addr, d.len), -EINVAL);
	assert_false(kernel_takes_desc(&d, UMEM_LEN));
	assert_int_equal(xsk_desc_add(&l, d.addr, d.len - 1), 0);
}

static void xsk_desc_add__refuses_more_than_a_chunk(void **state)
{
	struct xsk_desc_list l = t_list(18);

	(void)state;
	assert_int_equal(xsk_desc_add(&l, 4096, 4097), -EINVAL);
	assert_int_equal(xsk_desc_add(&l, 4096, UINT32_MAX), -EINVAL);
}

static void xsk_desc_add__refuses_what_is_behind_the_umem(void **state)
{
	struct xsk_desc_list l = t_list(18);

	(void)state;
	assert_int_equal(xsk_desc_add(&l, UMEM_LEN, 1), -EINVAL);
	assert_int_equal(xsk_desc_add(&l, UINT64_MAX - 4095, 4096), -EINVAL);
}

static void xsk_desc_add__refuses_an_odd_first_address(void **state)
{
	struct xsk_desc_list l = t_list(18);

	(void)state;
	/* its completion would name the even address below */
	assert_int_equal(xsk_desc_add(&l, 65, 64), -EINVAL);
	assert_int_equal(xsk_desc_add(&l, 64, 64), 0);
	assert_int_equal(xsk_desc_add(&l, 65, 64), 0);
}

static void t_fill(struct xsk_desc_list *l, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		assert_int_equal(xsk_desc_add(l, 64 * i, 64), 0);
}

static void xsk_desc_add__18_fit_and_19_do_not(void **state)
{
	struct xsk_desc_list l = t_list(18);

	(void)state;
	t_fill(&l, 18);
	assert_int_equal(xsk_desc_add(&l, 0, 64), -E2BIG);
	assert_int_equal(xsk_desc_seal(&l), 0);
	assert_int_equal(l.n, 18);
	assert_true(kernel_takes_frame(&l));
}

static void xsk_desc_add__one_descriptor_engine_has_one(void **state)
{
	struct xsk_desc_list l = t_list(1);

	(void)state;
	t_fill(&l, 1);
	assert_int_equal(xsk_desc_add(&l, 64, 64), -E2BIG);
	assert_int_equal(xsk_desc_seal(&l), 0);
	assert_int_equal(xsk_desc_at(&l, 0)->options, 0);
}

static void xsk_desc_add_span__cuts_where_chunks_meet(void **state)
{
	struct xsk_desc_list l = t_list(3);

	(void)state;
	assert_int_equal(xsk_desc_add_span(&l, 4096, 2 * 4096 + 10), 0);
	assert_int_equal(l.n, 3);
	assert_int_equal(xsk_desc_at(&l, 0)->len, 4096);
	assert_int_equal(xsk_desc_at(&l, 1)->addr, 2 * 4096);
	assert_int_equal(xsk_desc_at(&l, 2)->addr, 3 * 4096);
	assert_int_equal(xsk_desc_at(&l, 2)->len, 10);
	assert_int_equal(xsk_desc_seal(&l), 0);
	assert_true(kernel_takes_frame(&l));
}

static void xsk_desc_add_span__one_chunk_is_one_descriptor(void **state)
{
	struct xsk_desc_list l = t_list(1);

	(void)state;
	assert_int_equal(xsk_desc_add_span(&l, 4096, 4096), 0);
	assert_int_equal(l.n, 1);
}

static void xsk_desc_add_span__failure_takes_nothing(void **state)
{
	struct xsk_desc_list l = t_list(3);

	(void)state;
	t_fill(&l, 1);
	assert_int_equal(xsk_desc_add_span(&l, 4096, 2 * 4096 + 1), -E2BIG);
	assert_int_equal(l.n, 1);
	assert_int_equal(xsk_desc_add_span(&l, UMEM_LEN - 4096, 4097), -EINVAL);
	assert_int_equal(l.n, 1);
	assert_int_equal(xsk_desc_add_span(&l, 4096, 0), -EINVAL);
}

static void xsk_desc_seal__continues_all_but_the_last(void **state)
{
	struct xsk_desc_list l = t_list(18);

	(void)state;
	t_fill(&l, 3);
	assert_int_equal(xsk_desc_seal(&l), 0);
	assert_int_equal(xsk_desc_at(&l, 0)->options, XDP_PKT_CONTD);
	assert_int_equal(xsk_desc_at(&l, 1)->options, XDP_PKT_CONTD);
	assert_int_equal(xsk_desc_at(&l, 2)->options, 0);
}

static void xsk_desc_seal__refuses_an_empty_frame(void **state)
{
	struct xsk_desc_list l = t_list(18);

	(void)state;
	assert_int_equal(xsk_desc_seal(&l), -EINVAL);
}

/* Whatever is tried, in any order: what the builder takes is legal, and what
 * it refuses was not (but for the even first address, which is our rule). */
static void xsk_desc_add__agrees_with_the_kernel(void **state)
{
	struct xsk_desc_list l;
	unsigned int i, k;

	(void)state;
	srandom(0x5eed);
	for (i = 0; i < 2000; i++) {
		l = t_list(1 + (unsigned int)random() % 18);
		for (k = 0; k < 20; k++) {
			struct xdp_desc d = {
				.addr = (uint64_t)random() % (17 * 4096),
				.len = (uint32_t)random() % 5000,
			};
			bool legal = kernel_takes_desc(&d, UMEM_LEN) &&
				     l.n < l.max && (l.n || !(d.addr & 1));

			assert_int_equal(!xsk_desc_add(&l, d.addr, d.len),
					 legal);
		}
		if (!xsk_desc_seal(&l))
			assert_true(kernel_takes_frame(&l));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xsk_desc_add__takes_a_whole_page),
		cmocka_unit_test(xsk_desc_add__takes_the_last_byte_of_the_umem),
		cmocka_unit_test(xsk_desc_add__refuses_nothing),
		cmocka_unit_test(xsk_desc_add__refuses_one_byte_across_a_chunk),
		cmocka_unit_test(xsk_desc_add__refuses_more_than_a_chunk),
		cmocka_unit_test(xsk_desc_add__refuses_what_is_behind_the_umem),
		cmocka_unit_test(xsk_desc_add__refuses_an_odd_first_address),
		cmocka_unit_test(xsk_desc_add__18_fit_and_19_do_not),
		cmocka_unit_test(xsk_desc_add__one_descriptor_engine_has_one),
		cmocka_unit_test(xsk_desc_add_span__cuts_where_chunks_meet),
		cmocka_unit_test(
			xsk_desc_add_span__one_chunk_is_one_descriptor),
		cmocka_unit_test(xsk_desc_add_span__failure_takes_nothing),
		cmocka_unit_test(xsk_desc_seal__continues_all_but_the_last),
		cmocka_unit_test(xsk_desc_seal__refuses_an_empty_frame),
		cmocka_unit_test(xsk_desc_add__agrees_with_the_kernel),
	};

	return cmocka_run_group_tests_name("desc", tests, NULL, NULL);
}
