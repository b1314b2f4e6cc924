// SPDX-License-Identifier: GPL-2.0-or-later
/* test_chan.c - two channels over a veth pair (t_pair.h), through chan.h
 *
 * With the queueing discipline pfifo nothing may get lost; the receiver's memory is
 * respected as the protocol does, by credit.
 */
#include "t_pair.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "t_veth.h"
#include "xsk/chan_priv.h"

#define SETUP(name, ...)                          \
	static int name(void **state)             \
	{                                         \
		*state = t_pair_new(__VA_ARGS__); \
		return 0;                         \
	}
SETUP(setup, 9000, "pfifo", 0, 0)
SETUP(setup_large, 65535, "pfifo", 0, 0)
SETUP(setup_8_segs, 65535, "pfifo", 0, 8)
SETUP(setup_small, 1500, "pfifo", 0, 0)
SETUP(setup_noqueue, 9000, NULL, 0, 0)
SETUP(setup_busy_poll, 9000, "pfifo", 20, 0)

static int teardown(void **state)
{
	t_pair_free(*state);
	return 0;
}

static void t_check_stats(struct t_pair *t)
{
	struct xsk_stats a, b;

	xsk_chan_stats(t->a, &a);
	xsk_chan_stats(t->b, &b);
	assert_int_equal(a.tx_frames, t->sent);
	assert_int_equal(b.rx_frames, t->received);
	assert_int_equal(a.tx_invalid_descs, 0);
	assert_int_equal(b.rx_invalid_descs, 0);
	assert_int_equal(b.rx_dropped, 0);
	assert_int_equal(b.rx_ring_full, 0);
	assert_int_equal(b.rx_oversize, 0);
	assert_int_equal(xsk_tx_posted(t->a), 0);
	assert_true(a.syscalls >= a.kicks);
}

/* -- sending ---------------------------------------------------------------------------- */

static void send__pages_by_descriptor(void **state)
{
	struct t_pair *t = *state;

	assert_int_equal(xsk_chan_engine(t->a), XSK_COPY_SG);
	t_transfer(t, 5000, 2);
	assert_int_equal(t->received, 5000);
	/* 0, 1, 2 pages in turn; the kernel copied each once */
	assert_int_equal(t->copied, (5000 / 3 * 3 + 1) * (uint64_t)T_PAGE);
	t_check_stats(t);
}

static void send__staged(void **state)
{
	struct t_pair *t = *state;

	t->staged = true;
	t_transfer(t, 1500, 2);
	assert_int_equal(t->copied, 2 * 1500 * (uint64_t)T_PAGE);
	t_check_stats(t);
}

static void send__15_pages(void **state)
{
	struct t_pair *t = *state;

	assert_int_equal(t->max_pages, 15);
	t_transfer(t, 400, 15);
	t->staged = true;
	t_transfer(t, 500, 15);
	t_check_stats(t);
}

/* What i40e and ice would be given: the rules for descriptors are the same in both
 * modes, so this kernel must take each of them, and give it back once. */
static void send__frames_of_zc_sg(void **state)
{
	struct t_pair *t = *state;

	assert_int_equal(xsk_chan_engine(t->a), XSK_ZC_SG);
	assert_int_equal(t->max_pages, 6);
	t_transfer(t, 3000, 6);
	t->staged = true;
	t_transfer(t, 4000, 6);
	assert_int_equal(t->completed, 4000);
	t_check_stats(t);
}

static void send__without_a_page_in_a_frame(void **state)
{
	struct t_pair *t = *state;

	t_transfer(t, 3000, 0);
	t_check_stats(t);
}

static void send__noqueue_may_lose_but_completes(void **state)
{
	struct t_pair *t = *state;

	t->may_drop = true;
	t_transfer(t, 3000, 2);
	assert_int_equal(t->completed, 3000);
}

static void send__busy_polling(void **state)
{
	struct t_pair *t = *state;

	t_transfer(t, 1000, 2);
	t_check_stats(t);
}

static void send__a_header_slot(void **state)
{
	struct t_pair *t = *state;
	struct xsk_seg seg = xsk_seg_slot(t->a, 19, 1344);
	static uint8_t buf[T_FRAME_MAX];
	struct xsk_frame f;
	struct xsk_buf b;
	int64_t start = 0;

	memset(xsk_chan_slot(t->a, 19), 0xc3, 1344);
	assert_true(xsk_tx_get(t->a, false, &b));
	t_write_head(b.data, 0, 0, 0);
	assert_int_equal(xsk_tx_put(t->a, &b, T_HEAD, &seg, 1, 1344, 0), 0);
	t_kick(t, t->a);
	while (!xsk_rx(t->b, &f, 1))
		assert_true(t_wait(&start));
	assert_int_equal(t_join(&f, buf), T_HEAD + 1344);
	assert_int_equal(buf[T_HEAD], 0xc3);
	assert_int_equal(buf[T_HEAD + 1343], 0xc3);
	xsk_rx_done(t->b);
}

static void send__both_directions_at_once(void **state)
{
	struct t_pair *t = *state;
	struct xsk_stats st;
	uint32_t back = 0, i;
	int64_t start = 0;

	for (i = 0; i < 50; i++) {
		t_transfer(t, t->sent + 32, 2);
		/* an answer, staged, as a receiver does */
		t->staged = true;
		assert_true(t_put(t, t->b, 1));
		t->staged = false;
		back++;
		t_kick(t, t->b);
		while (!t_receive(t, t->a))
			assert_true(t_wait(&start));
		while (!t_complete(t, t->b))
			assert_true(t_wait(&start));
		start = 0;
	}
	xsk_chan_stats(t->b, &st);
	assert_int_equal(st.tx_frames, back);
	assert_int_equal(xsk_tx_posted(t->b), 0);
}

static void send__memory_that_was_a_hole_is_not_there(void **state)
{
	uint64_t offset[2] = { (T_POPULATED - 1) * T_PAGE,
			       T_POPULATED * T_PAGE };
	struct t_pair *t = *state;
	struct xsk_seg seg[2];

	assert_true(xsk_seg_guest(t->a, 0, offset, 1, T_PAGE, seg));
	assert_false(xsk_seg_guest(t->a, 0, offset, 2, T_PAGE, seg));
	assert_false(xsk_seg_guest(t->a, 1, offset, 1, T_PAGE, seg));
}

/* What the guest writes after registration is what is sent: the same pages. */
static void send__what_the_guest_wrote_since(void **state)
{
	struct t_pair *t = *state;
	uint32_t i;

	for (i = 0; i < T_POPULATED * T_PAGE / 8; i++)
		t->guest[i] ^= UINT64_MAX;
	t_transfer(t, 300, 2);
}

/* -- receiving ------------------------------------------------------------------------------ */

/* Frames that find no chunk are lost, but nothing else is. */
static void receive__goes_on_after_starving(void **state)
{
	struct t_pair *t = *state;
	struct xsk_stats st;
	uint32_t n = t->credit + 40;
	int64_t start = 0;

	while (t->sent < n || t->completed < n) {
		while (t->sent < n && t_put(t, t->a, 2))
			;
		t_kick(t, t->a);
		t_complete(t, t->a);
		assert_true(t_wait(&start));
	}
	while (t_receive(t, t->b))
		;
	xsk_chan_stats(t->b, &st);
	assert_true(t->received < n);
	assert_true(t->received >= t->credit);
	assert_true(st.rx_dropped > 0);
	t->lost = n - t->received;
	t_transfer(t, n + 500, 2);
}

/* A chunk may come back while the kernel has not yet published that it took the
 * chunk's old entry: then all of them count twice. */
static void receive__fill_ring_has_room_for_what_counts_twice(void **state)
{
	struct t_pair *t = *state;

	assert_true(t->b->sock.fill.size >= 2 * t->b->opts.rx_chunks);
}

/* -- links ---------------------------------------------------------------------------------- */

static void link__down_and_up_in_the_middle(void **state)
{
	struct t_pair *t = *state;

	t_transfer(t, 500, 2);
	t_run("ip link set %s down", t_va);
	t_post(t, 20);
	assert_int_equal(xsk_tx_kick(t->a, &t->e), -ENETDOWN);
	assert_int_equal(t->e.err, 0); /* nothing to report yet */
	assert_int_equal(xsk_tx_posted(t->a), 20);
	assert_int_equal(xsk_chan_check(t->a, &t->e), 0);
	t_run("ip link set %s up", t_va);
	t_carrier_wait(t_va);
	t_carrier_wait(t_vb);
	/* The frames waited in the ring; a device that comes up may drop some
	 * of them, and completes those too. */
	t->lost = 20;
	t_transfer(t, t->sent + 500, 2);
	t_check_stats(t);
}

static void link__peer_down_loses_and_completes(void **state)
{
	struct t_pair *t = *state;
	struct xsk_stats st;
	int64_t start = 0;

	t_transfer(t, 100, 2);
	t_run("ip link set %s down", t_vb);
	t_post(t, 20);
	while (t->completed < t->sent) {
		t_kick(t, t->a);
		t_complete(t, t->a);
		assert_true(t_wait(&start));
	}
	xsk_chan_stats(t->a, &st);
	assert_int_equal(st.kicks_dropped, 20); /* no carrier */
	t_run("ip link set %s up", t_vb);
	t_carrier_wait(t_va);
	t_carrier_wait(t_vb);
	t->lost = 20;
	t_transfer(t, t->sent + 200, 2);
	assert_int_equal(t->received, 300);
}

static void link__a_device_that_vanishes_is_told(void **state)
{
	struct t_pair *t = *state;
	int r;

	t_transfer(t, 50, 2);
	t_veth_del(t_va);
	assert_int_equal(xsk_chan_check(t->b, &t->e), -ENETDOWN);
	assert_non_null(strstr(t->e.msg, t_vb));
	assert_non_null(strstr(t->e.msg, "gone"));
	memset(&t->e, 0, sizeof(t->e));
	t_post(t, 1);
	r = xsk_tx_kick(t->a, &t->e);
	assert_true(r < 0 && r != -ENETDOWN);
	assert_non_null(strstr(t->e.msg, "gone"));
}

static void link__mtu_change_stops_nothing(void **state)
{
	struct t_pair *t = *state;

	t_transfer(t, 200, 2);
	t_run("ip link set %s mtu 8900", t_va);
	t_transfer(t, 400, 2);
	t_run("ip link set %s mtu 9000", t_va);
	t_transfer(t, 600, 2);
}

int main(void)
{
#define T(name, how) cmocka_unit_test_setup_teardown(name, setup##how, teardown)
	const struct CMUnitTest tests[] = {
		T(send__pages_by_descriptor, ),
		T(send__staged, ),
		T(send__15_pages, _large),
		T(send__frames_of_zc_sg, _8_segs),
		T(send__without_a_page_in_a_frame, _small),
		T(send__noqueue_may_lose_but_completes, _noqueue),
		T(send__busy_polling, _busy_poll),
		T(send__a_header_slot, ),
		T(send__both_directions_at_once, ),
		T(send__memory_that_was_a_hole_is_not_there, ),
		T(send__what_the_guest_wrote_since, ),
		T(receive__goes_on_after_starving, ),
		T(receive__fill_ring_has_room_for_what_counts_twice, ),
		T(link__down_and_up_in_the_middle, ),
		T(link__peer_down_loses_and_completes, ),
		T(link__a_device_that_vanishes_is_told, ),
		T(link__mtu_change_stops_nothing, ),
	};

	if (!t_netns_enter())
		return 0;
	return cmocka_run_group_tests_name("netns-chan", tests, NULL, NULL);
}
