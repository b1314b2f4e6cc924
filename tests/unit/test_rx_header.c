// SPDX-License-Identifier: GPL-2.0-or-later
/* test_rx_header.c - packet headers: zero pages, SYNC, and the totals that the
 * barrier compares
 */
#include "core/rx.h"

#include "../lib/t_rx.h"

#define PAGE ((size_t)XM_PAGE_SIZE)

static void take(struct t_rx *t, struct xm_frame f)
{
	assert_int_equal(t_rx_take(t, &f), XM_DROP_NONE);
}

/* -- what is no header of ours --------------------------------------------- */

static void refuse(struct t_rx *t, struct xm_frame f, enum xm_drop reason)
{
	const struct xm_rx_totals none = { 0 };
	struct xm_rx_totals totals;

	assert_int_equal(t_rx_take(t, &f), reason);
	totals = xm_rx_totals(t->rx);
	assert_memory_equal(&totals, &none, sizeof(none));
	assert_int_equal(xm_rx_stats(t->rx)->packets, 0);
}

static void xm_rx_packet__header_of_another_length(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_header(t, 0, 0, 1, 0);

	f.len = XM_MULTIFD_LEN - 1;
	f.payload_crc = xm_crc32c(0, t->payload, f.len);
	refuse(t, f, XM_DROP_BAD_LENGTH);
}

static void xm_rx_packet__damaged_header_is_not_installed(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_header(t, 0, 0, 1, 0);

	t->payload[1343] ^= 1;
	refuse(t, f, XM_DROP_BAD_PAYLOAD_CRC);
	t->payload[1343] ^= 1;
	take(t, f);
}

static void xm_rx_packet__header_with_another_magic(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_header(t, 0, 0, 1, 0);

	t->payload[0] ^= 1;
	f.payload_crc = xm_crc32c(0, t->payload, f.len);
	refuse(t, f, XM_DROP_BAD_PACKET);
}

static void xm_rx_packet__header_without_pages_and_sync(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	refuse(t, t_rx_header(t, 0, 0, 0, 0), XM_DROP_BAD_PACKET);
}

static void xm_rx_packet__header_with_pages_and_sync(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	const struct xm_multifd pkt = {
		.flags = XM_MULTIFD_F_SYNC,
		.pages_alloc = XM_PACKET_PAGES,
		.normal_pages = 1,
		.ramblock = "pc.ram",
	};

	refuse(t, t_rx_packet(t, 0, &pkt), XM_DROP_BAD_PACKET);
	assert_false(xm_rx_is_installed(t->rx));
}

static void xm_rx_packet__header_of_an_unknown_block(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	const struct xm_multifd pkt = {
		.pages_alloc = XM_PACKET_PAGES,
		.normal_pages = 1,
		.ramblock = "pc.ra",
	};

	refuse(t, t_rx_packet(t, 0, &pkt), XM_DROP_BAD_PACKET);
}

static void xm_rx_packet__header_with_a_page_outside_the_block(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	refuse(t, t_rx_header(t, 0, 8 * T_MIB, 1, 0), XM_DROP_BAD_ADDRESS);
	refuse(t, t_rx_header(t, 0, 8 * T_MIB, 0, 1), XM_DROP_BAD_ADDRESS);
}

static void xm_rx_packet__header_with_another_channels_page(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	refuse(t, t_rx_header(t, 0, 2 * T_MIB - PAGE, 2, 0),
	       XM_DROP_BAD_CHANNEL);
	refuse(t, t_rx_header(t, 0, 2 * T_MIB - PAGE, 1, 1),
	       XM_DROP_BAD_CHANNEL);
}

static void xm_rx_packet__header_in_pieces(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_header(t, 0, 0, 3, 4);
	const size_t cut[] = { 1, 321, 1343 };

	assert_int_equal(t_rx_take_cut(t, &f, cut, 3), XM_DROP_NONE);
	assert_int_equal(xm_rx_totals(t->rx).pages_announced, 3);
	assert_int_equal(xm_rx_totals(t->rx).zero_pages, 4);
}

/* -- zero pages ------------------------------------------------------------ */

/* From here on a write to the page ends the test program. */
static void forbid_writing(struct t_rx *t, uint64_t offset)
{
	assert_int_equal(
		mprotect(t->map.block[0].hva + offset, PAGE, PROT_NONE), 0);
}

static void xm_rx_packet__zero_page_on_a_hole_stays_a_hole(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	forbid_writing(t, 0);
	forbid_writing(t, PAGE);
	take(t, t_rx_header(t, 0, 0, 0, 2));
	assert_int_equal(xm_rx_stats(t->rx)->zero_pages, 2);
	assert_int_equal(xm_rx_stats(t->rx)->zero_holes, 2);
	assert_false(t_rx_is_dirtied(t, 0));
}

static void xm_rx_packet__zero_page_clears_what_was_placed(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	uint8_t zero[XM_PAGE_SIZE] = { 0 };
	struct xm_frame f;

	take(t, t_rx_pages(t, 0, 0, 2));
	xm_rx_epoch(t->rx, 2);
	f = t_rx_header(t, 0, 0, 0, 1);
	f.epoch = 2;
	take(t, f);
	assert_memory_equal(t->map.block[0].hva, zero, PAGE);
	assert_int_not_equal(t->map.block[0].hva[PAGE], 0);
	assert_int_equal(xm_rx_stats(t->rx)->zero_holes, 0);
}

static void xm_rx_packet__zero_page_clears_what_was_rejected(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	uint8_t zero[XM_PAGE_SIZE] = { 0 };
	struct xm_frame f = t_rx_pages(t, 1, 0, 1);

	f.payload_crc ^= 1;
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BAD_PAYLOAD_CRC);
	xm_rx_epoch(t->rx, 2);
	f = t_rx_header(t, 0, 0, 0, 1);
	f.epoch = 2;
	take(t, f);
	assert_memory_equal(t->map.block[0].hva, zero, PAGE);
}

static void xm_rx_packet__zero_page_once_cleared_is_left_alone(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	take(t, t_rx_pages(t, 0, 0, 1));
	take(t, t_rx_header(t, 1, 0, 0, 1));
	forbid_writing(t, 0);
	take(t, t_rx_header(t, 2, 0, 0, 1));
	assert_int_equal(xm_rx_stats(t->rx)->zero_holes, 1);
}

static void xm_rx_packet__zero_pages_are_those_behind_the_normal(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	take(t, t_rx_pages(t, 0, 0, 3));
	take(t, t_rx_header(t, 1, 0, 2, 1));
	assert_true(t_rx_is_dirtied(t, 0));
	assert_true(t_rx_is_dirtied(t, PAGE));
	assert_false(t_rx_is_dirtied(t, 2 * PAGE));
}

static void xm_rx_packet__a_header_again_clears_nothing(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f;

	take(t, t_rx_header(t, 0, 0, 0, 1));
	take(t, t_rx_pages(t, 1, 0, 1));
	f = t_rx_header(t, 0, 0, 0, 1);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_DUPLICATE);
	assert_int_not_equal(t->map.block[0].hva[0], 0);
	assert_int_equal(xm_rx_totals(t->rx).zero_pages, 1);
	assert_int_equal(xm_rx_totals(t->rx).packets, 1);
}

/* -- SYNC ------------------------------------------------------------------ */

static void xm_rx_is_installed__with_sync_and_all_before_it(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	take(t, t_rx_header(t, 0, 0, 1, 0));
	take(t, t_rx_pages(t, 1, 0, 1));
	assert_false(xm_rx_is_installed(t->rx));
	take(t, t_rx_sync(t, 2));
	assert_true(xm_rx_is_installed(t->rx));
	assert_int_equal(t_trace_last(&t->trace, XM_TRACE_INSTALLED)->a, 1);
}

static void xm_rx_is_installed__not_while_there_is_a_gap(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	take(t, t_rx_header(t, 0, 0, 1, 0));
	take(t, t_rx_sync(t, 2));
	assert_false(xm_rx_is_installed(t->rx));
	take(t, t_rx_pages(t, 1, 0, 1));
	assert_true(xm_rx_is_installed(t->rx));
}

static void xm_rx_is_installed__not_in_the_next_epoch(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	take(t, t_rx_sync(t, 0));
	assert_true(xm_rx_is_installed(t->rx));
	xm_rx_epoch(t->rx, 2);
	assert_false(xm_rx_is_installed(t->rx));
}

static void xm_rx_epoch__forgets_where_the_last_one_ended(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f;

	take(t, t_rx_sync(t, 0));
	xm_rx_epoch(t->rx, 2);
	f = t_rx_slice(t, 5, 0, 32);
	f.epoch = 2;
	take(t, f);
}

static void xm_rx_packet__sync_again_is_a_duplicate(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f = t_rx_sync(t, 0);

	take(t, f);
	assert_true(t_rx_ack(t));
	assert_int_equal(t_rx_take(t, &f), XM_DROP_DUPLICATE);
	assert_true(t_rx_ack(t));
	assert_int_equal(t->ack_frame.seq, 1);
}

static void xm_rx_is_installed__not_with_frames_behind_sync(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	t_rx_install(t, 1);
	take(t, t_rx_sync(t, 0));
	assert_false(xm_rx_is_installed(t->rx));
}

static void xm_rx_packet__nothing_is_taken_behind_sync(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f;

	take(t, t_rx_sync(t, 3));
	f = t_rx_slice(t, 4, 0, 32);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BEYOND_WINDOW);
	t_rx_install_all(t, 0, 3);
	assert_true(xm_rx_is_installed(t->rx));
	f = t_rx_slice(t, 4, 0, 32);
	assert_int_equal(t_rx_take(t, &f), XM_DROP_BEYOND_WINDOW);
	assert_true(xm_rx_is_installed(t->rx));
}

/* -- totals ---------------------------------------------------------------- */

static bool totals_agree(const struct t_rx *t)
{
	struct xm_rx_totals totals = xm_rx_totals(t->rx);

	return xm_rx_totals_agree(&totals);
}

static void xm_rx_totals__count_what_is_installed(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_rx_totals totals;

	take(t, t_rx_header(t, 0, 0, 3, 2));
	take(t, t_rx_pages(t, 1, 0, 2));
	take(t, t_rx_pages(t, 2, 2 * PAGE, 1));
	take(t, t_rx_sync(t, 3));
	totals = xm_rx_totals(t->rx);
	assert_int_equal(totals.frames, 4);
	assert_int_equal(totals.packets, 2);
	assert_int_equal(totals.bytes_placed, 3 * PAGE);
	assert_int_equal(totals.pages_announced, 3);
	assert_int_equal(totals.zero_pages, 2);
	assert_int_equal(xm_rx_stats(t->rx)->frames, 4);
	assert_int_equal(xm_rx_stats(t->rx)->packets, 2);
	assert_int_equal(xm_rx_stats(t->rx)->pages, 3);
}

static void xm_rx_totals_agree__when_nothing_came(void **state)
{
	assert_true(totals_agree(t_rx_begin(*state)));
}

static void xm_rx_totals_agree__when_all_announced_was_placed(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	take(t, t_rx_header(t, 0, 0, 3, 2));
	take(t, t_rx_pages(t, 1, 0, 2));
	assert_false(totals_agree(t));
	take(t, t_rx_pages(t, 2, 2 * PAGE, 1));
	assert_true(totals_agree(t));
}

static void xm_rx_totals_agree__in_any_order(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	take(t, t_rx_pages(t, 2, 2 * PAGE, 1));
	take(t, t_rx_pages(t, 1, 0, 2));
	take(t, t_rx_header(t, 0, 0, 3, 0));
	assert_true(totals_agree(t));
}

static void xm_rx_totals_agree__when_pages_came_in_slices(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	take(t, t_rx_header(t, 0, 0x3000, 1, 0));
	take(t, t_rx_slice(t, 1, 0x3000, 1376));
	take(t, t_rx_slice(t, 2, 0x3000 + 1376, 1376));
	assert_false(totals_agree(t));
	take(t, t_rx_slice(t, 3, 0x3000 + 2752, 1344));
	assert_true(totals_agree(t));
}

static void xm_rx_totals_agree__not_when_another_page_was_placed(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	take(t, t_rx_header(t, 0, 0, 2, 0));
	take(t, t_rx_pages(t, 1, PAGE, 2));
	assert_int_equal(xm_rx_totals(t->rx).bytes_placed, 2 * PAGE);
	assert_false(totals_agree(t));
}

static void xm_rx_totals_agree__not_by_the_sum_of_addresses(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	take(t, t_rx_header(t, 0, 0, 1, 0));
	take(t, t_rx_header(t, 1, 3 * PAGE, 1, 0));
	take(t, t_rx_pages(t, 2, PAGE, 2));
	assert_false(totals_agree(t));
}

static void xm_rx_totals_agree__not_when_a_page_was_placed_twice(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	take(t, t_rx_header(t, 0, 0, 2, 0));
	take(t, t_rx_pages(t, 1, 0, 1));
	take(t, t_rx_pages(t, 2, 0, 1));
	assert_int_equal(xm_rx_totals(t->rx).bytes_placed, 2 * PAGE);
	assert_false(totals_agree(t));
}

static void xm_rx_totals_agree__not_when_it_was_another_blocks(void **state)
{
	struct t_rx *t = t_rx_begin(*state);
	struct xm_frame f;

	take(t, t_rx_header(t, 0, 0, 1, 0));
	f = t_rx_pages(t, 1, 0, 1);
	f.block = 1;
	take(t, f);
	assert_false(totals_agree(t));
}

static void xm_rx_totals_agree__not_when_more_was_placed(void **state)
{
	struct t_rx *t = t_rx_begin(*state);

	take(t, t_rx_header(t, 0, 0, 1, 0));
	take(t, t_rx_pages(t, 1, 0, 2));
	assert_false(totals_agree(t));
}

#define T(name) cmocka_unit_test_setup_teardown(name, t_rx_setup, t_rx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_rx_packet__header_of_another_length),
		T(xm_rx_packet__damaged_header_is_not_installed),
		T(xm_rx_packet__header_with_another_magic),
		T(xm_rx_packet__header_without_pages_and_sync),
		T(xm_rx_packet__header_with_pages_and_sync),
		T(xm_rx_packet__header_of_an_unknown_block),
		T(xm_rx_packet__header_with_a_page_outside_the_block),
		T(xm_rx_packet__header_with_another_channels_page),
		T(xm_rx_packet__header_in_pieces),
		T(xm_rx_packet__zero_page_on_a_hole_stays_a_hole),
		T(xm_rx_packet__zero_page_clears_what_was_placed),
		T(xm_rx_packet__zero_page_clears_what_was_rejected),
		T(xm_rx_packet__zero_page_once_cleared_is_left_alone),
		T(xm_rx_packet__zero_pages_are_those_behind_the_normal),
		T(xm_rx_packet__a_header_again_clears_nothing),
		T(xm_rx_is_installed__with_sync_and_all_before_it),
		T(xm_rx_is_installed__not_while_there_is_a_gap),
		T(xm_rx_is_installed__not_in_the_next_epoch),
		T(xm_rx_epoch__forgets_where_the_last_one_ended),
		T(xm_rx_packet__sync_again_is_a_duplicate),
		T(xm_rx_is_installed__not_with_frames_behind_sync),
		T(xm_rx_packet__nothing_is_taken_behind_sync),
		T(xm_rx_totals__count_what_is_installed),
		T(xm_rx_totals_agree__when_nothing_came),
		T(xm_rx_totals_agree__when_all_announced_was_placed),
		T(xm_rx_totals_agree__in_any_order),
		T(xm_rx_totals_agree__when_pages_came_in_slices),
		T(xm_rx_totals_agree__not_when_another_page_was_placed),
		T(xm_rx_totals_agree__not_by_the_sum_of_addresses),
		T(xm_rx_totals_agree__not_when_a_page_was_placed_twice),
		T(xm_rx_totals_agree__not_when_it_was_another_blocks),
		T(xm_rx_totals_agree__not_when_more_was_placed),
	};

	return cmocka_run_group_tests_name("rx_header", tests, NULL, NULL);
}
