// SPDX-License-Identifier: GPL-2.0-or-later
/* test_tx_frames.c - what leaves, and when it may
 *
 * In the default geometry a packet of n pages is frame 0, its header, and
 * then two pages a frame.
 */
#include "core/tx.h"

#include <errno.h>

#include "../lib/t_tx.h"

/* -- frames of a packet ---------------------------------------------------- */

static void assert_data(const struct t_tx *t, unsigned int page,
			unsigned int n_segs, unsigned int seg_len,
			uint64_t offset)
{
	const struct xm_frame *f = &t->out.f;

	assert_int_equal(f->type, XM_WIRE_DATA);
	assert_int_equal(f->page, page);
	assert_int_equal(f->n_segs, n_segs);
	assert_int_equal(f->seg_len, seg_len);
	assert_int_equal(f->len, n_segs * seg_len);
	assert_int_equal(f->seg[0], offset);
}

static void xm_tx_next__header_comes_first(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(t_tx_push(t, 2, 0), 0);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.type, XM_WIRE_HEADER);
	assert_int_equal(t->out.f.len, XM_MULTIFD_LEN);
	assert_int_equal(t->out.f.n_segs, 0);
	assert_int_equal(t->out.f.seq, 0);
	assert_int_equal(t->out.slot, 0);
}

static void xm_tx_next__says_whose_frame_it_is(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t->now = (struct xm_time){ 1234567890 };
	t_tx_packet(t, 2);
	assert_int_equal(t->out.f.cookie, T_COOKIE);
	assert_int_equal(t->out.f.channel, 0);
	assert_int_equal(t->out.f.epoch, 1);
	assert_int_equal(t->out.f.tx_us, 1234567);
	assert_int_equal(t->out.f.flags, 0);
	assert_false(t->out.stage);
}

static void xm_tx_next__names_its_channel(void **state)
{
	struct t_tx *t = *state;
	const uint64_t offset = 2 * T_MIB;

	t->opts.channel = 1;
	t_tx_begin(t);
	assert_int_equal(xm_tx_push(t->tx, 0, &offset, 1, 0), 0);
	t_tx_send(t, 2);
	assert_int_equal(t->out.f.channel, 1);
	assert_int_equal(t->out.f.seg[0], 2 * T_MIB);
}

static void xm_tx_next__names_the_pages_block(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	const uint64_t offset[] = { 0x3000, 0x9000 };

	assert_int_equal(xm_tx_push(t->tx, 1, offset, 2, 0), 0);
	t_tx_send(t, 2);
	assert_int_equal(t->out.f.block, 1);
	assert_int_equal(t->out.f.seg[0], 0x3000);
	assert_int_equal(t->out.f.seg[1], 0x9000);
}

static void xm_tx_next__packets_follow_one_another(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(t_tx_push(t, 2, 0), 0);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	t_tx_send(t, 3);
	assert_int_equal(t->out.f.type, XM_WIRE_HEADER);
	assert_int_equal(t->out.f.seq, 2);
	assert_int_equal(t->out.f.packet, 1);
	assert_int_equal(t->out.slot, 1);
}

static void xm_tx_next__two_pages_a_frame(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(t_tx_push(t, 5, 0), 0);
	t_tx_send(t, 2);
	assert_data(t, 0, 2, 4096, 0);
	t_tx_send(t, 1);
	assert_data(t, 2, 2, 4096, 0x2000);
	t_tx_send(t, 1);
	assert_data(t, 4, 1, 4096, 0x4000);
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
}

static void xm_tx_next__one_page_a_frame(void **state)
{
	struct t_tx *t = *state;

	t->opts.geo.pages = 1;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	t_tx_send(t, 2);
	assert_data(t, 0, 1, 4096, 0);
	t_tx_send(t, 1);
	assert_data(t, 1, 1, 4096, 0x1000);
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
}

static void xm_tx_next__fifteen_pages_a_frame(void **state)
{
	struct t_tx *t = *state;

	t->opts.geo.pages = 15;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 128, 0), 0);
	t_tx_send(t, 2);
	assert_data(t, 0, 15, 4096, 0);
	assert_int_equal(t->out.f.seg[14], 0xe000);
	t_tx_send(t, 8);
	assert_data(t, 120, 8, 4096, 0x78000);
	assert_int_equal(t->out.f.seg[7], 0x7f000);
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
}

static void xm_tx_next__three_frames_a_page(void **state)
{
	struct t_tx *t = *state;

	t->opts.geo = (struct xm_geometry){ .slices = 3, .slice = 1376 };
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	t_tx_send(t, 2);
	assert_data(t, 0, 1, 1376, 0);
	t_tx_send(t, 1);
	assert_data(t, 0, 1, 1376, 1376);
	t_tx_send(t, 1);
	assert_data(t, 0, 1, 1344, 2752);
	t_tx_send(t, 1);
	assert_data(t, 1, 1, 1376, 0x1000);
	t_tx_send(t, 2);
	assert_data(t, 1, 1, 1344, 0x1000 + 2752);
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
}

static void xm_tx_next__two_frames_a_page(void **state)
{
	struct t_tx *t = *state;

	t->opts.geo = (struct xm_geometry){ .slices = 2, .slice = 2048 };
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	t_tx_send(t, 2);
	assert_data(t, 0, 1, 2048, 0);
	t_tx_send(t, 1);
	assert_data(t, 0, 1, 2048, 2048);
	t_tx_send(t, 2);
	assert_data(t, 1, 1, 2048, 0x1000 + 2048);
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
}

static void xm_tx_next__zero_pages_travel_in_the_header(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(t_tx_push(t, 2, 126), 0);
	t_tx_send(t, 2);
	assert_data(t, 0, 2, 4096, 0);
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
}

static void xm_tx_next__every_frame_fits_the_codec(void **state)
{
	struct t_tx *t = *state;
	uint8_t hdr[XM_WIRE_HEADER_MAX];
	struct xm_frame f;
	size_t len, got;

	t->opts.geo = (struct xm_geometry){ .slices = 3, .slice = 1376 };
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 128, 0), 0);
	while (t_tx_next(t) == 0) {
		len = xm_frame_put(hdr, &t->out.f);
		xm_frame_sum(hdr, 0);
		assert_int_equal(xm_frame_get(&f, &got, hdr, len,
					      len + t->out.f.len),
				 XM_DROP_NONE);
	}
	assert_int_equal(t->out.f.seq, 384);
}

/* -- windows --------------------------------------------------------------- */

static void xm_tx_next__credit_limits_what_is_in_flight(void **state)
{
	struct t_tx *t = *state;

	t->opts.credit = 3;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 8, 0), 0);
	t_tx_send(t, 3);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	t_tx_complete_all(t, 0, 2);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	t_tx_give_cum(t, 1);
	t_tx_send(t, 1);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
}

static void xm_tx_next__new_credit_replaces_the_old(void **state)
{
	struct t_tx *t = *state;
	struct xm_ack a;

	t->opts.credit = 2;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 20, 0), 0);
	t_tx_send(t, 2);
	a = t_tx_ack(t);
	a.credit = 5;
	t_tx_give(t, 2, &a);
	t_tx_send(t, 5);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
}

static void xm_tx_next__no_number_a_window_above_the_first_missing(void **state)
{
	struct t_tx *t = *state;
	struct xm_ack a;
	unsigned int i;

	t->opts.geo = (struct xm_geometry){ .slices = 3, .slice = 1376 };
	t->opts.n_slots = 32;
	t_tx_begin(t);
	for (i = 0; i < 22; i++)
		assert_int_equal(t_tx_push(t, 128, 0), 0);
	for (i = 0; i < XM_WINDOW; i++)
		assert_int_equal(xm_tx_next(t->tx, t->now, &t->out), 0);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	a = t_tx_ack(t);
	for (i = 1; i < XM_WINDOW; i++)
		t_tx_ack_bit(&a, 0, i);
	t_tx_give(t, 0, &a);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	t_tx_give_cum(t, 1);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, XM_WINDOW);
}

static void xm_tx_next__congestion_window_counts_bytes(void **state)
{
	struct t_tx *t = *state;

	t->opts.cc.mss = 8314; /* two pages and what is around them */
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 128, 0), 0);
	t_tx_send(t, 1 + 31); /* 32 of them, but the header is smaller */
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	t_tx_give_cum(t, 1);
	t_tx_send(t, 1);
}

static void xm_tx_next__pacing_names_the_moment(void **state)
{
	struct t_tx *t = *state;

	t->opts.cc.mss = 9000;
	t->opts.cc.rate = 1000000;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 128, 0), 0);
	t_tx_send(t, 3); /* a burst is 18000 bytes, and one frame more */
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	assert_in_range(t_tx_expiry_us(t), 1, 20000);
	t->now = xm_tx_expiry(t->tx);
	t_tx_send(t, 1);
}

static void xm_tx_set_rate__holds_from_now_on(void **state)
{
	struct t_tx *t = *state;

	t->opts.cc.mss = 9000;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 128, 0), 0);
	t_tx_send(t, 20);
	xm_tx_set_rate(t->tx, 1000000);
	t_tx_wait(t, 1000);
	t_tx_send(t, 3);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
}

static void xm_tx_next__waiting_sets_a_timer_though_nothing_left(void **state)
{
	struct t_tx *t = *state;

	t->opts.credit = 0;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	assert_int_equal(t_tx_expiry_us(t), XM_RTO_INIT_US);
}

static void xm_tx_next__the_timer_forces_one_frame_past_credit_0(void **state)
{
	struct t_tx *t = *state;

	t->opts.credit = 0;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	t_tx_run_timer(t);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 0);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
}

static void xm_tx_next__sync_does_not_wait_for_the_pacer(void **state)
{
	struct t_tx *t = *state;
	uint32_t n = 0;

	t->opts.cc.mss = 9000;
	t->opts.cc.rate = 100000;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 8, 0), 0);
	for (n = 0; n < 5; n++)
		while (t_tx_next(t))
			t_tx_run_timer(t);
	t_tx_complete_all(t, 0, 4);
	t_tx_give_cum(t, 5);
	assert_int_equal(xm_tx_sync(t->tx), 0);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 5);
}

/* -- retransmissions ------------------------------------------------------- */

/* Frame @seq, which left the host, is lost: everything newer arrived. */
static void lose(struct t_tx *t, uint32_t seq, uint32_t end)
{
	t_tx_wait(t, 1000);
	t_tx_give_gap(t, seq, end);
	t_tx_run_timer(t);
}

static void xm_tx_next__retransmission_keeps_number_and_packet(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_frame f;

	t_tx_packet(t, 2);
	t_tx_packet(t, 2);
	f = t->out.f;
	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 5);
	lose(t, 3, 6);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.flags, XM_WIRE_F_RESENT);
	assert_int_equal(t->out.f.tx_us, xm_time_wire_us(t->now));
	t->out.f.flags = f.flags;
	t->out.f.tx_us = f.tx_us;
	assert_memory_equal(&t->out.f, &f, sizeof(f));
}

static void xm_tx_next__lost_frames_go_before_new_ones(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 8);
	t_tx_complete_all(t, 0, 4);
	assert_int_equal(t_tx_push(t, 8, 0), 0);
	lose(t, 2, 5);
	t_tx_send(t, 2);
	assert_string_equal(t_trace_take(&t->trace, XM_TRACE_SEND), "0-4 2 5");
}

static void xm_tx_next__first_retransmission_is_not_staged(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 8);
	t_tx_complete_all(t, 0, 4);
	lose(t, 2, 5);
	t_tx_send(t, 1);
	assert_false(t->out.stage);
	assert_int_equal(xm_tx_stats(t->tx)->frames_staged, 0);
}

/* Without an answer the timer resends all, again and again. */
static void timeout(struct t_tx *t, uint32_t last)
{
	t_tx_complete_all(t, 0, last);
	t_tx_run_timer(t);
	t_tx_send(t, last + 1);
}

static void xm_tx_next__second_retransmission_is_staged(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	timeout(t, 1);
	timeout(t, 1);
	assert_int_equal(t->out.f.seq, 1);
	assert_true(t->out.stage);
	assert_int_equal(t->out.f.flags, XM_WIRE_F_RESENT | XM_WIRE_F_STAGED);
	assert_int_equal(xm_tx_stats(t->tx)->frames_staged, 1);
}

static void xm_tx_next__a_header_is_never_staged(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(xm_tx_sync(t->tx), 0);
	t_tx_send(t, 1);
	timeout(t, 0);
	timeout(t, 0);
	timeout(t, 0);
	assert_int_equal(t->out.f.type, XM_WIRE_HEADER);
	assert_false(t->out.stage);
	assert_int_equal(t->out.f.flags, XM_WIRE_F_RESENT);
}

static void xm_tx_next__counts_what_it_sends(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 8);
	t_tx_complete_all(t, 0, 4);
	lose(t, 2, 5);
	t_tx_send(t, 1);
	assert_int_equal(xm_tx_stats(t->tx)->frames_sent, 6);
	assert_int_equal(xm_tx_stats(t->tx)->frames_resent, 1);
	assert_int_equal(xm_tx_stats(t->tx)->bytes_sent, 10 * 4096);
	assert_int_equal(xm_tx_stats(t->tx)->bytes_resent, 2 * 4096);
}

static void xm_tx_next__refused_on_a_failed_channel(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	t_tx_wait(t, 10000000);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
	assert_int_equal(t_tx_next(t), -ETIMEDOUT);
}

/* -- the rest -------------------------------------------------------------- */

static void xm_tx_drop__is_counted_under_its_reason(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	xm_tx_drop(t->tx, XM_DROP_BAD_IP);
	assert_int_equal(xm_tx_stats(t->tx)->drops.n[XM_DROP_BAD_IP], 1);
	assert_int_equal(xm_tx_stats(t->tx)->drops.n[XM_DROP_RUNT], 0);
}

static void xm_tx_stats__tells_the_window_in_frames(void **state)
{
	struct t_tx *t = *state;

	t->opts.cc.mss = 9000;
	t_tx_begin(t);
	assert_int_equal(xm_tx_stats(t->tx)->cwnd_frames, 32);
}

#define T(name) cmocka_unit_test_setup_teardown(name, t_tx_setup, t_tx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_tx_next__header_comes_first),
		T(xm_tx_next__says_whose_frame_it_is),
		T(xm_tx_next__names_its_channel),
		T(xm_tx_next__names_the_pages_block),
		T(xm_tx_next__packets_follow_one_another),
		T(xm_tx_next__two_pages_a_frame),
		T(xm_tx_next__one_page_a_frame),
		T(xm_tx_next__fifteen_pages_a_frame),
		T(xm_tx_next__three_frames_a_page),
		T(xm_tx_next__two_frames_a_page),
		T(xm_tx_next__zero_pages_travel_in_the_header),
		T(xm_tx_next__every_frame_fits_the_codec),
		T(xm_tx_next__credit_limits_what_is_in_flight),
		T(xm_tx_next__new_credit_replaces_the_old),
		T(xm_tx_next__no_number_a_window_above_the_first_missing),
		T(xm_tx_next__congestion_window_counts_bytes),
		T(xm_tx_next__pacing_names_the_moment),
		T(xm_tx_set_rate__holds_from_now_on),
		T(xm_tx_next__waiting_sets_a_timer_though_nothing_left),
		T(xm_tx_next__the_timer_forces_one_frame_past_credit_0),
		T(xm_tx_next__sync_does_not_wait_for_the_pacer),
		T(xm_tx_next__retransmission_keeps_number_and_packet),
		T(xm_tx_next__lost_frames_go_before_new_ones),
		T(xm_tx_next__first_retransmission_is_not_staged),
		T(xm_tx_next__second_retransmission_is_staged),
		T(xm_tx_next__a_header_is_never_staged),
		T(xm_tx_next__counts_what_it_sends),
		T(xm_tx_next__refused_on_a_failed_channel),
		T(xm_tx_drop__is_counted_under_its_reason),
		T(xm_tx_stats__tells_the_window_in_frames),
	};

	return cmocka_run_group_tests_name("tx_frames", tests, NULL, NULL);
}
