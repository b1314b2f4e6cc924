// SPDX-License-Identifier: GPL-2.0-or-later
/* test_plan_descs.c - no frame has more descriptors than its device takes
 *
 * For devices that join 2 to 18 pieces to a frame without a copy, of which none is
 * at hand: i40e and ice take 8, idpf says how many.
 */
#include "core/geometry.h"
#include "t_plan.h"

/* MTUs of devices, all that matter: where a frame gets another page or chunk. */
static const unsigned int mtus[] = {
	1500,  1501,  3456,  3497,  3498,  3814,  3840,  4095,  4096,
	4146,  4200,  6886,  6912,  8191,  8192,  8284,  8300,  9000,
	9001,  9702,  12288, 12289, 13798, 13824, 16384, 20000, 24576,
	27622, 27630, 27648, 30000, 40960, 57344, 61440, 65535,
};

static unsigned int t_div_up(unsigned int a, unsigned int b)
{
	return (a + b - 1) / b;
}

/* The largest frame of each shape that the core makes of this plan. */
static void t_frames_fit(const struct t_plan *t, unsigned int segs)
{
	const struct xsk_chan_opts *o = &t->plan.opts;
	struct xm_geometry geo;
	unsigned int ip_len, ip, v6;

	for (v6 = 0; v6 < 2; v6++) {
		ip_len = v6 ? 40 : 20;
		assert_int_equal(xm_geometry_fit(&geo, t->plan.ip_max, ip_len,
						 o->max_descs - 1),
				 0);
		/* its header, and its pages, a slice of one, or a slot */
		assert_true(1u + (geo.pages ? geo.pages : 1) <= o->max_descs);
		assert_true(o->max_descs <= segs);
		ip = xm_geometry_ip_len(&geo, ip_len);
		/* staged, for want of a place in the UMEM */
		assert_true(t_div_up(ip + 18, 4096) <= segs);
		assert_true(ip + 18 <= o->stage_len);
		/* at a peer with such a device */
		assert_true(t_div_up(ip + 18, XSK_PIECE_LEN_ZC_SG) <= segs);
	}
}

static void plan__no_frame_has_a_descriptor_too_many(void **state)
{
	struct t_plan *t = *state;
	unsigned int segs, i, zero_copy = 0;

	t->wish.zero_copy = XSK_ZERO_COPY_PREFER;
	for (segs = 2; segs <= 18; segs++) {
		t_dev(t, "ice", ZC_SG, segs);
		for (i = 0; i < sizeof(mtus) / sizeof(*mtus); i++) {
			t_mtu(t, mtus[i]);
			assert_int_equal(xsk_plan_make(&t->plan, &t->caps,
						       &t->wish, &t->e),
					 0);
			t_check(t);
			if (t->plan.opts.engine == XSK_COPY_SG)
				continue; /* the MTU does not fit */
			assert_int_equal(t->plan.opts.engine, XSK_ZC_SG);
			t_frames_fit(t, segs);
			zero_copy++;
		}
	}
	assert_true(zero_copy > 17 * 10);
}

/* The path may carry more than the device's own MTU tells. */
static void plan__a_path_larger_than_the_device(void **state)
{
	struct t_plan *t = *state;
	unsigned int segs, i;

	for (segs = 2; segs <= 18; segs++) {
		t_dev(t, "ice", ZC_SG, segs);
		for (i = 0; i < sizeof(mtus) / sizeof(*mtus); i++) {
			t->caps.mtu = 1500;
			t->wish.ip_max = mtus[i];
			t_make(t, XSK_ZC_SG);
			t_frames_fit(t, segs);
		}
	}
}

/* i40e and ice at their largest MTU: two pages a frame. */
static void plan__8_segments_at_mtu_9702(void **state)
{
	struct t_plan *t = *state;
	struct xm_geometry geo;

	t_dev(t, "i40e", ZC_SG, 8);
	t_mtu(t, 9702);
	t_make(t, XSK_ZC_SG);
	assert_int_equal(t->plan.opts.max_descs, 3);
	assert_int_equal(xm_geometry_fit(&geo, t->plan.ip_max, 20, 2), 0);
	assert_int_equal(geo.pages, 2);
}

/* Were their MTU larger: 6 pages behind a header, for 8 pieces of 3456 bytes at
 * the receiver are less than 7 pages. */
static void plan__8_segments_are_6_pages(void **state)
{
	struct t_plan *t = *state;
	struct xm_geometry geo;

	t_dev(t, "ice", ZC_SG, 8);
	t->caps.mtu = 1500;
	t->wish.ip_max = 65535;
	t_make(t, XSK_ZC_SG);
	assert_int_equal(t->plan.ip_max, 8 * 3456 - 18);
	assert_int_equal(t->plan.opts.max_descs, 7);
	assert_int_equal(xm_geometry_fit(&geo, t->plan.ip_max, 20, 6), 0);
	assert_int_equal(geo.pages, 6);
}

/* A device may take more than a frame of ours has: 18 pieces are the limit then, too. */
static void plan__200_segments_are_18(void **state)
{
	struct t_plan *t = *state;

	t_dev(t, "idpf", ZC_SG, 200);
	t->caps.mtu = 9000;
	t->wish.ip_max = 65535;
	t_make(t, XSK_ZC_SG);
	assert_int_equal(t->plan.ip_max, 18 * 3456 - 18);
	t_frames_fit(t, 18);
	t_mtu(t, 65535);
	t->wish.zero_copy = XSK_ZERO_COPY_REQUIRE;
	t_refuse(t, -EOPNOTSUPP, "above the");
}

/* It joins pieces when it says both, how many and that a receiver gets them; else
 * one chunk is a frame, and that may be all of it. */
static void plan__no_segments_without_rx_sg(void **state)
{
	struct t_plan *t = *state;

	t_mtu(t, 3814);
	t_dev(t, "some", ZC, 8);
	t_make(t, XSK_ZC_STAGED);
	assert_int_equal(t->plan.opts.max_descs, 1);
	t_dev(t, "some", ZC_SG, 1);
	t_make(t, XSK_ZC_STAGED);
	assert_int_equal(t->plan.opts.max_descs, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)
	const struct CMUnitTest tests[] = {
		T(plan__no_frame_has_a_descriptor_too_many),
		T(plan__a_path_larger_than_the_device),
		T(plan__8_segments_at_mtu_9702),
		T(plan__200_segments_are_18),
		T(plan__no_segments_without_rx_sg),
		T(plan__8_segments_are_6_pages),
	};

	return cmocka_run_group_tests_name("plan_descs", tests, NULL, NULL);
}
