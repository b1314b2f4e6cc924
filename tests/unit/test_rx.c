// SPDX-License-Identifier: GPL-2.0-or-later
/* test_rx.c - what a receiver takes, and where it goes; packet headers are
 * test_rx_header.c's, acknowledgements test_rx_ack.c's
 */
#include "core/rx.h"

#include "../lib/t_rx.h"

#define PAGE ((size_t)XM_PAGE_SIZE)

/* -- beginning and end ----------------------------------------------------- */

static void xm_rx_init__refuses_no_map(void **state)
{
	struct t_rx *t = *state;

	t->opts.map = NULL;
	assert_null(t_rx_init(t));
}

static void xm_rx_init__refuses_a_channel_the_map_does_not_have(void **state)
{
	struct t_rx *t = *state;

	t->opts.channel = 2;
	assert_null(t_rx_init(t));
}

static void xm_rx_init__starts_closed(void **state)
{
	struct t_rx *t = *state;
	struct xm_frame f = t_rx_pages(t, 0, 0, 1);

	t->rx = t_rx_init(t);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_STALE_EPOCH);
	f.epoch = 0;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_STALE_EPOCH);
	assert_false(t_rx_ack(t));
	assert_true(xm_time_is_never(xm_rx_expiry(t->rx)));
}

static void xm_rx_epoch__takes_its_own_frames_only(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 1);

	xm_rx_epoch(t->rx, 2);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_STALE_EPOCH);
	f.epoch = 3;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_STALE_EPOCH);
	f.epoch = 2;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
}

static void xm_rx_epoch__numbers_start_anew(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f;

	t_rx_install(t, 0);
	t_rx_install(t, 7);
	xm_rx_epoch(t->rx, 2);
	f = t_rx_slice(t, 0, 0, 32);
	f.epoch = 2;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	f.seq = 7;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
}

static void xm_rx_epoch__totals_start_anew(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	const struct xm_rx_totals none = { 0 };
	struct xm_rx_totals totals;
	struct xm_frame f = t_rx_header(t, 0, 0, 1, 1);

	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	f = t_rx_pages(t, 1, 0, 1);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	xm_rx_epoch(t->rx, 2);
	totals = xm_rx_totals(t->rx);
	assert_memory_equal(&totals, &none, sizeof(none));
}

static void xm_rx_close__takes_no_frame_and_keeps_the_totals(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 1, 0, 1);

	t_rx_install(t, 0);
	xm_rx_close(t->rx);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_STALE_EPOCH);
	assert_int_equal(xm_rx_totals(t->rx).frames, 1);
	assert_false(t_rx_ack(t));
	assert_true(xm_time_is_never(xm_rx_expiry(t->rx)));
}

/* -- whose frame it is ----------------------------------------------------- */

static void xm_rx_packet__of_another_session(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 1);

	f.cookie ^= 1ULL << 63;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_COOKIE);
}

static void xm_rx_packet__of_another_channel(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 1);

	f.channel = 1;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_COOKIE);
}

static void xm_rx_packet__of_a_type_for_the_sender(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 1);

	f.type = XM_WIRE_ACK;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_TYPE);
	f.type = XM_WIRE_PROBE;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_TYPE);
}

static void xm_rx_packet__numbers_end_where_they_would_wrap(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0x80000000, 0, 1);

	assert_int_equal(t_rx_take(t, &f), XM_DROP_BEYOND_WINDOW);
	f.seq = UINT32_MAX;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BEYOND_WINDOW);
}

static void xm_rx_packet__a_window_above_the_first_missing(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_slice(t, XM_WINDOW, 0, 32);

	assert_int_equal(t_rx_take(t, &f), XM_DROP_BEYOND_WINDOW);
	t_rx_install(t, XM_WINDOW - 1);
	t_rx_install(t, 0);
	t_rx_install(t, XM_WINDOW);
}

static void xm_rx_packet__what_is_dropped_is_counted(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 1);

	f.cookie = 0;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_COOKIE);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_COOKIE);
	assert_int_equal(xm_rx_stats(t->rx)->drops.n[XM_DROP_BAD_COOKIE], 2);
	assert_int_equal(xm_rx_stats(t->rx)->frames, 0);
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_DROP)->a,
			 XM_DROP_BAD_COOKIE);
}

static void xm_rx_drop__is_counted_under_its_reason(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	xm_rx_drop(t->rx, XM_DROP_BAD_IP);
	assert_int_equal(xm_rx_stats(t->rx)->drops.n[XM_DROP_BAD_IP], 1);
}

/* -- placing pages --------------------------------------------------------- */

static void xm_rx_packet__pages_go_where_their_segments_say(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 3);
	const uint8_t *ram = t->map.block[0].hva;

	f.seg[0] = 0x1ff000;
	f.seg[1] = 0;
	f.seg[2] = 0x5ff000;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	assert_memory_equal(ram + 0x1ff000, t->payload, PAGE);
	assert_memory_equal(ram, t->payload + PAGE, PAGE);
	assert_memory_equal(ram + 0x5ff000, t->payload + 2 * PAGE, PAGE);
	assert_int_equal(xm_rx_stats(t->rx)->bytes_placed, 3 * PAGE);
}

static void xm_rx_packet__into_the_block_it_names(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, T_MIB - PAGE, 1);

	f.block = 1;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	assert_memory_equal(t->map.block[1].hva + T_MIB - PAGE, t->payload,
			    PAGE);
}

static void xm_rx_packet__fifteen_pages(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0x3000, 15);

	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	assert_memory_equal(t->map.block[0].hva + 0x3000, t->payload,
			    15 * PAGE);
}

static void xm_rx_packet__a_slice_leaves_the_rest_of_its_page(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_slice(t, 0, 0x1000 + 1376, 1376);
	uint8_t *page = t->map.block[0].hva + 0x1000;

	memset(page, 0xa5, PAGE);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	assert_memory_equal(page + 1376, t->payload, 1376);
	assert_int_equal(page[1375], 0xa5);
	assert_int_equal(page[2752], 0xa5);
}

static void xm_rx_packet__pages_it_places_are_dirtied(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 63 * PAGE, 2);

	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	assert_false(t_rx_is_dirtied(t, 62 * PAGE));
	assert_true(t_rx_is_dirtied(t, 63 * PAGE));
	assert_true(t_rx_is_dirtied(t, 64 * PAGE));
	assert_false(t_rx_is_dirtied(t, 65 * PAGE));
}

/* -- payload in pieces ----------------------------------------------------- */

static void take_in_pieces(struct t_rx *t, const size_t *cut, unsigned int n)
{
	struct xm_frame f = t_rx_pages(t, 0, 0, 2);

	assert_int_equal(t_rx_take_cut(t, &f, cut, n), XM_DROP_NONE);
	assert_memory_equal(t->map.block[0].hva, t->payload, 2 * PAGE);
}

static void xm_rx_packet__in_two_pieces_one_of_a_byte(void **state)
{
	take_in_pieces(t_rx_begin(*state), (const size_t[]){ 1 }, 1);
}

static void xm_rx_packet__in_two_pieces_the_last_of_a_byte(void **state)
{
	take_in_pieces(t_rx_begin(*state), (const size_t[]){ 2 * PAGE - 1 }, 1);
}

static void xm_rx_packet__in_pieces_cut_between_pages(void **state)
{
	take_in_pieces(t_rx_begin(*state), (const size_t[]){ PAGE }, 1);
}

static void xm_rx_packet__in_pieces_cut_around_a_page_border(void **state)
{
	const size_t cut[] = { PAGE - 1, PAGE, PAGE + 1 };

	take_in_pieces(t_rx_begin(*state), cut, 3);
}

static void xm_rx_packet__in_the_chunks_of_a_ring(void **state)
{
	const size_t cut[] = { 2048 - 106, 2 * 2048 - 106, 3 * 2048 - 106,
			       4 * 2048 - 106 };

	take_in_pieces(t_rx_begin(*state), cut, 4);
}

static void xm_rx_packet__with_a_piece_that_is_empty(void **state)
{
	const size_t cut[] = { 0, 100, 100 };

	take_in_pieces(t_rx_begin(*state), cut, 3);
}

static void xm_rx_packet__with_less_than_it_says(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 2);
	struct xm_vec vec = { t->payload, PAGE };

	assert_int_equal(xm_rx_packet(t->rx, t->now, &f, &vec, 1, false),
			 XM_DROP_BAD_PAYLOAD_CRC);
	assert_true(xm_rx_check(t->rx));
}

/* -- addresses ------------------------------------------------------------- */

/* Nothing of @f was written, though its first segment is good. */
static void expect_refused(struct t_rx *t, const struct xm_frame *f,
			   enum xm_drop reason)
{
	assert_int_equal(t_rx_take(t, f), reason);
	assert_int_equal(t->map.block[0].hva[0], 0);
	assert_false(t_rx_is_dirtied(t, 0));
	assert_int_equal(xm_rx_totals(t->rx).frames, 0);
}

static void xm_rx_packet__a_page_outside_the_block(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 2);

	f.seg[1] = 8 * T_MIB;
	expect_refused(t, &f, XM_DROP_BAD_ADDRESS);
	f.seg[1] = UINT64_MAX - 4095;
	expect_refused(t, &f, XM_DROP_BAD_ADDRESS);
}

static void xm_rx_packet__a_block_that_does_not_exist(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 1);

	f.block = 2;
	expect_refused(t, &f, XM_DROP_BAD_ADDRESS);
	f.block = 255;
	expect_refused(t, &f, XM_DROP_BAD_ADDRESS);
}

static void xm_rx_packet__a_page_of_another_channel(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 2);

	f.seg[1] = 2 * T_MIB;
	expect_refused(t, &f, XM_DROP_BAD_CHANNEL);
}

static void xm_rx_packet__what_was_refused_is_not_installed(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 8 * T_MIB, 1);

	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_ADDRESS);
	t_rx_install(t, 0);
}

/* -- at most once ---------------------------------------------------------- */

static void xm_rx_packet__a_duplicate_never_writes(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 1);
	uint8_t first[XM_PAGE_SIZE];

	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	memcpy(first, t->payload, PAGE);
	t_rx_fill_payload(t, &f, PAGE, 99);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_DUPLICATE);
	assert_memory_equal(t->map.block[0].hva, first, PAGE);
	assert_int_equal(xm_rx_totals(t->rx).frames, 1);
	assert_int_equal(xm_rx_totals(t->rx).bytes_placed, PAGE);
}

static void xm_rx_packet__a_duplicate_above_a_gap_never_writes(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 5, 0, 1);
	uint8_t first[XM_PAGE_SIZE];

	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	memcpy(first, t->payload, PAGE);
	t_rx_fill_payload(t, &f, PAGE, 99);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_DUPLICATE);
	assert_memory_equal(t->map.block[0].hva, first, PAGE);
}

static void xm_rx_packet__a_duplicate_a_window_later_never_writes(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 3, PAGE, 1);

	t_rx_install_all(t, 0, 64 * XM_SACK_WORDS + 10);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_DUPLICATE);
	assert_int_equal(t->map.block[0].hva[PAGE], 0);
}

/* -- a payload that does not match ----------------------------------------- */

static void xm_rx_packet__a_damaged_payload_is_not_installed(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 2);

	t->payload[5000] ^= 4;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_PAYLOAD_CRC);
	assert_int_equal(xm_rx_totals(t->rx).frames, 0);
	assert_int_equal(xm_rx_totals(t->rx).bytes_placed, 0);
	assert_int_equal(xm_rx_totals(t->rx).sum_placed, 0);
	assert_int_equal(t_trace_count(&t->trace, XM_TRACE_PLACE), 0);
}

static void xm_rx_packet__a_good_copy_replaces_a_damaged_one(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 2);

	t->payload[5000] ^= 4;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_PAYLOAD_CRC);
	t->payload[5000] ^= 4;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	assert_memory_equal(t->map.block[0].hva, t->payload, 2 * PAGE);
	assert_int_equal(xm_rx_totals(t->rx).frames, 1);
}

static void xm_rx_packet__damaged_pages_are_dirtied_too(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 2);

	t->payload[5000] ^= 4;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_PAYLOAD_CRC);
	assert_true(t_rx_is_dirtied(t, 0));
	assert_true(t_rx_is_dirtied(t, PAGE));
}

static void xm_rx_packet__flags_decide_nothing(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_pages(t, 0, 0, 1);

	f.flags = 0xff;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_DUPLICATE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, t_rx_setup, t_rx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_rx_init__refuses_no_map),
		T(xm_rx_init__refuses_a_channel_the_map_does_not_have),
		T(xm_rx_init__starts_closed),
		T(xm_rx_epoch__takes_its_own_frames_only),
		T(xm_rx_epoch__numbers_start_anew),
		T(xm_rx_epoch__totals_start_anew),
		T(xm_rx_close__takes_no_frame_and_keeps_the_totals),
		T(xm_rx_packet__of_another_session),
		T(xm_rx_packet__of_another_channel),
		T(xm_rx_packet__of_a_type_for_the_sender),
		T(xm_rx_packet__numbers_end_where_they_would_wrap),
		T(xm_rx_packet__a_window_above_the_first_missing),
		T(xm_rx_packet__what_is_dropped_is_counted),
		T(xm_rx_drop__is_counted_under_its_reason),
		T(xm_rx_packet__pages_go_where_their_segments_say),
		T(xm_rx_packet__into_the_block_it_names),
		T(xm_rx_packet__fifteen_pages),
		T(xm_rx_packet__a_slice_leaves_the_rest_of_its_page),
		T(xm_rx_packet__pages_it_places_are_dirtied),
		T(xm_rx_packet__in_two_pieces_one_of_a_byte),
		T(xm_rx_packet__in_two_pieces_the_last_of_a_byte),
		T(xm_rx_packet__in_pieces_cut_between_pages),
		T(xm_rx_packet__in_pieces_cut_around_a_page_border),
		T(xm_rx_packet__in_the_chunks_of_a_ring),
		T(xm_rx_packet__with_a_piece_that_is_empty),
		T(xm_rx_packet__with_less_than_it_says),
		T(xm_rx_packet__a_page_outside_the_block),
		T(xm_rx_packet__a_block_that_does_not_exist),
		T(xm_rx_packet__a_page_of_another_channel),
		T(xm_rx_packet__what_was_refused_is_not_installed),
		T(xm_rx_packet__a_duplicate_never_writes),
		T(xm_rx_packet__a_duplicate_above_a_gap_never_writes),
		T(xm_rx_packet__a_duplicate_a_window_later_never_writes),
		T(xm_rx_packet__a_damaged_payload_is_not_installed),
		T(xm_rx_packet__a_good_copy_replaces_a_damaged_one),
		T(xm_rx_packet__damaged_pages_are_dirtied_too),
		T(xm_rx_packet__flags_decide_nothing),
	};

	return cmocka_run_group_tests_name("rx", tests, NULL, NULL);
}
