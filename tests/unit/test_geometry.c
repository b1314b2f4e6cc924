// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/geometry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#define V4 20
#define V6 40

/* What comes out, as one number a reader can compare: pages, slices, slice. */
static void fits(unsigned int ip_max, unsigned int ip_len,
		 unsigned int max_pages, unsigned int pages,
		 unsigned int slices, unsigned int slice)
{
	struct xm_geometry geo;

	assert_int_equal(xm_geometry_fit(&geo, ip_max, ip_len, max_pages), 0);
	assert_int_equal(geo.pages, pages);
	assert_int_equal(geo.slices, slices);
	assert_int_equal(geo.slice, slice);
	assert_true(xm_geometry_ip_len(&geo, ip_len) <= ip_max);
}

static void xm_geometry_fit__refuses_less_than_1500(void **state)
{
	struct xm_geometry geo;

	(void)state;
	assert_int_equal(xm_geometry_fit(&geo, 1499, V4, 15), -EMSGSIZE);
	assert_int_equal(xm_geometry_fit(&geo, 0, V4, 15), -EMSGSIZE);
}

static void xm_geometry_fit__1500_is_a_page_in_three(void **state)
{
	(void)state;
	fits(1500, V4, 15, 0, 3, 1376);
	fits(1500, V6, 15, 0, 3, 1376);
}

static void xm_geometry_fit__half_a_page_from_2148_or_2168(void **state)
{
	(void)state;
	fits(2147, V4, 15, 0, 3, 1376);
	fits(2148, V4, 15, 0, 2, 2048);
	fits(2150, V4, 15, 0, 2, 2048);
	fits(2167, V6, 15, 0, 3, 1376);
	fits(2168, V6, 15, 0, 2, 2048);
}

static void xm_geometry_fit__3498_is_half_a_page(void **state)
{
	(void)state;
	fits(3498, V4, 15, 0, 2, 2048);
	fits(3498, V6, 15, 0, 2, 2048);
}

static void xm_geometry_fit__a_page_from_4196_or_4216(void **state)
{
	(void)state;
	fits(4195, V4, 15, 0, 2, 2048);
	fits(4196, V4, 15, 1, 1, 4096);
	fits(4215, V6, 15, 0, 2, 2048);
	fits(4216, V6, 15, 1, 1, 4096);
}

static void xm_geometry_fit__9000_is_two_pages(void **state)
{
	(void)state;
	fits(9000, V4, 15, 2, 1, 4096);
	fits(9000, V6, 15, 2, 1, 4096);
}

static void xm_geometry_fit__65535_is_fifteen_pages(void **state)
{
	(void)state;
	fits(65535, V4, 15, 15, 1, 4096);
	fits(65535, V6, 15, 15, 1, 4096);
}

static void xm_geometry_fit__fifteen_pages_from_61652_or_61672(void **state)
{
	(void)state;
	fits(61651, V4, 15, 14, 1, 4096);
	fits(61652, V4, 15, 15, 1, 4096);
	fits(61671, V6, 15, 14, 1, 4096);
	fits(61672, V6, 15, 15, 1, 4096);
}

static void xm_geometry_fit__obeys_max_pages(void **state)
{
	(void)state;
	fits(65535, V4, 4, 4, 1, 4096);
	fits(9000, V4, 1, 1, 1, 4096);
	fits(1500, V4, 1, 0, 3, 1376);
}

static void xm_geometry_fit__max_pages_0_is_one(void **state)
{
	(void)state;
	fits(65535, V4, 0, 1, 1, 4096);
}

static void xm_geometry_fit__never_above_15_pages(void **state)
{
	(void)state;
	fits(65535, V4, 100, 15, 1, 4096);
	fits(1u << 20, V4, 100, 15, 1, 4096);
}

/* Would one more page, or one slice less, still fit? */
static bool could_be_larger(const struct xm_geometry *geo, unsigned int ip_max,
			    unsigned int ip_len)
{
	struct xm_geometry next = { geo->pages + 1, 1, XM_PAGE_SIZE };

	if (geo->pages == XM_FRAME_SEGS)
		return false;
	if (!geo->pages && geo->slices == 3)
		next = (struct xm_geometry){ 0, 2, 2048 };
	return xm_geometry_ip_len(&next, ip_len) <= ip_max;
}

static void xm_geometry_fit__is_the_largest_at_every_size(void **state)
{
	const unsigned int ip_lens[] = { V4, V6 };
	struct xm_geometry geo;
	unsigned int ip_max, i;

	(void)state;
	for (ip_max = XM_MTU_MIN; ip_max <= XM_MTU_MAX; ip_max++) {
		for (i = 0; i < 2; i++) {
			assert_int_equal(xm_geometry_fit(&geo, ip_max,
							 ip_lens[i], 15),
					 0);
			assert_true(xm_geometry_ip_len(&geo, ip_lens[i]) <=
				    ip_max);
			assert_false(could_be_larger(&geo, ip_max, ip_lens[i]));
		}
	}
}

static void xm_geometry_fit__slices_cover_a_page_and_are_aligned(void **state)
{
	struct xm_geometry geo;
	unsigned int ip_max, last;

	(void)state;
	for (ip_max = XM_MTU_MIN; ip_max < 4196; ip_max++) {
		assert_int_equal(xm_geometry_fit(&geo, ip_max, V4, 15), 0);
		last = XM_PAGE_SIZE - (geo.slices - 1u) * geo.slice;
		assert_int_equal(geo.slice % XM_SLICE_ALIGN, 0);
		assert_in_range(last, 1, geo.slice);
	}
}

static void xm_geometry_frames__counts_whole_pages(void **state)
{
	const struct xm_geometry geo = { 15, 1, XM_PAGE_SIZE };

	(void)state;
	assert_int_equal(xm_geometry_frames(&geo, 0), 0);
	assert_int_equal(xm_geometry_frames(&geo, 1), 1);
	assert_int_equal(xm_geometry_frames(&geo, 15), 1);
	assert_int_equal(xm_geometry_frames(&geo, 16), 2);
	assert_int_equal(xm_geometry_frames(&geo, 128), 9);
}

static void xm_geometry_frames__counts_slices(void **state)
{
	const struct xm_geometry geo = { 0, 3, 1376 };

	(void)state;
	assert_int_equal(xm_geometry_frames(&geo, 0), 0);
	assert_int_equal(xm_geometry_frames(&geo, 128), 384);
}

static void xm_geometry_payload__is_that_of_the_largest_frame(void **state)
{
	const struct xm_geometry pages = { 2, 1, XM_PAGE_SIZE };
	const struct xm_geometry slices = { 0, 3, 1376 };

	(void)state;
	assert_int_equal(xm_geometry_payload(&pages), 8192);
	assert_int_equal(xm_geometry_payload(&slices), 1376);
}

static void xm_geometry_ip_len__is_that_of_data(void **state)
{
	const struct xm_geometry geo = { 2, 1, XM_PAGE_SIZE };

	(void)state;
	assert_int_equal(xm_geometry_ip_len(&geo, V4), 8300);
	assert_int_equal(xm_geometry_ip_len(&geo, V6), 8320);
}

static void xm_geometry_ip_len__holds_a_header_frame_too(void **state)
{
	const struct xm_geometry geo = { 0, 32, 128 };

	(void)state;
	assert_int_equal(xm_geometry_ip_len(&geo, V4), 20 + 8 + 64 + 1344);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xm_geometry_fit__refuses_less_than_1500),
		cmocka_unit_test(xm_geometry_fit__1500_is_a_page_in_three),
		cmocka_unit_test(
			xm_geometry_fit__half_a_page_from_2148_or_2168),
		cmocka_unit_test(xm_geometry_fit__3498_is_half_a_page),
		cmocka_unit_test(xm_geometry_fit__a_page_from_4196_or_4216),
		cmocka_unit_test(xm_geometry_fit__9000_is_two_pages),
		cmocka_unit_test(xm_geometry_fit__65535_is_fifteen_pages),
		cmocka_unit_test(
			xm_geometry_fit__fifteen_pages_from_61652_or_61672),
		cmocka_unit_test(xm_geometry_fit__obeys_max_pages),
		cmocka_unit_test(xm_geometry_fit__max_pages_0_is_one),
		cmocka_unit_test(xm_geometry_fit__never_above_15_pages),
		cmocka_unit_test(xm_geometry_fit__is_the_largest_at_every_size),
		cmocka_unit_test(
			xm_geometry_fit__slices_cover_a_page_and_are_aligned),
		cmocka_unit_test(xm_geometry_frames__counts_whole_pages),
		cmocka_unit_test(xm_geometry_frames__counts_slices),
		cmocka_unit_test(
			xm_geometry_payload__is_that_of_the_largest_frame),
		cmocka_unit_test(xm_geometry_ip_len__is_that_of_data),
		cmocka_unit_test(xm_geometry_ip_len__holds_a_header_frame_too),
	};

	return cmocka_run_group_tests_name("geometry", tests, NULL, NULL);
}
