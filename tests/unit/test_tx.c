// SPDX-License-Identifier: GPL-2.0-or-later
/* test_tx.c - packets and their headers; frames are test_tx_frames.c's, and
 * flush test_tx_flush.c's */
#include "core/tx.h"

#include <errno.h>

#include "../lib/t_tx.h"

/* -- memory ---------------------------------------------------------------- */

static void xm_tx_footprint__is_enough_for_every_frame(void **state)
{
	struct t_tx *t = *state;
	unsigned int i;

	t->opts.geo = (struct xm_geometry){ .slices = 3, .slice = 1376 };
	t->opts.n_slots = 5;
	t_tx_begin(t); /* in a block of that size: the sanitizer looks on */
	for (i = 0; i < 5; i++)
		t_tx_packet(t, XM_PACKET_PAGES);
	assert_int_equal(xm_tx_frames(t->tx), 5 * 385);
}

static void xm_tx_footprint__grows_with_the_ring(void **state)
{
	struct t_tx *t = *state;
	size_t small = xm_tx_footprint(&t->opts);

	t->opts.n_slots *= 100;
	assert_true(xm_tx_footprint(&t->opts) > 50 * small);
}

static void xm_tx_init__takes_the_smallest_ring(void **state)
{
	struct t_tx *t = *state;

	t->opts.n_slots = 1;
	t->opts.hdr_stride = XM_MULTIFD_LEN;
	assert_non_null(t_tx_init(t));
}

static void xm_tx_init__starts_with_nothing_to_do(void **state)
{
	struct t_tx *t = *state;

	t->tx = t_tx_init(t);
	assert_int_equal(xm_tx_pending(t->tx), 0);
	assert_int_equal(xm_tx_frames(t->tx), 0);
	assert_false(xm_tx_has_posted(t->tx));
	assert_true(xm_time_is_never(xm_tx_expiry(t->tx)));
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
}

static void xm_tx_init__refuses_no_map(void **state)
{
	struct t_tx *t = *state;

	t->opts.map = NULL;
	assert_null(t_tx_init(t));
}

static void xm_tx_init__refuses_a_map_dealt_to_other_channels(void **state)
{
	struct t_tx *t = *state;

	t->map.n_channels = 0;
	assert_null(t_tx_init(t));
	t->map.n_channels = 3;
	assert_null(t_tx_init(t));
}

static void xm_tx_init__refuses_a_ring_without_slots(void **state)
{
	struct t_tx *t = *state;

	t->opts.n_slots = 0;
	assert_null(t_tx_init(t));
}

static void xm_tx_init__refuses_a_ring_without_memory(void **state)
{
	struct t_tx *t = *state;

	t->opts.hdr_ring = NULL;
	assert_null(t_tx_init(t));
}

static void xm_tx_init__refuses_headers_that_overlap(void **state)
{
	struct t_tx *t = *state;

	t->opts.hdr_stride = XM_MULTIFD_LEN - 1;
	assert_null(t_tx_init(t));
}

static void xm_tx_init__refuses_a_channel_that_does_not_exist(void **state)
{
	struct t_tx *t = *state;

	t->opts.channel = 2;
	assert_null(t_tx_init(t));
}

static void xm_tx_init__refuses_no_stall_deadline(void **state)
{
	struct t_tx *t = *state;

	t->opts.stall_ns = 0;
	assert_null(t_tx_init(t));
}

static void xm_tx_init__refuses_no_frame_size(void **state)
{
	struct t_tx *t = *state;

	t->opts.cc.mss = 0;
	assert_null(t_tx_init(t));
}

static void xm_tx_init__refuses_an_empty_geometry(void **state)
{
	struct t_tx *t = *state;

	t->opts.geo = (struct xm_geometry){ 0 };
	assert_null(t_tx_init(t));
}

static void xm_tx_init__refuses_more_pages_than_a_frame_has(void **state)
{
	struct t_tx *t = *state;

	t->opts.geo.pages = XM_FRAME_SEGS + 1;
	assert_null(t_tx_init(t));
}

static void xm_tx_init__refuses_slices_that_leave_a_gap(void **state)
{
	struct t_tx *t = *state;

	t->opts.geo = (struct xm_geometry){ .slices = 3, .slice = 1365 };
	assert_null(t_tx_init(t));
}

/* -- epochs ---------------------------------------------------------------- */

static void xm_tx_epoch__must_increase(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(xm_tx_epoch(t->tx, 1, t->now), -EINVAL);
	assert_int_equal(xm_tx_epoch(t->tx, 0, t->now), -EINVAL);
	assert_int_equal(xm_tx_epoch(t->tx, 2, t->now), 0);
	assert_int_equal(xm_tx_epoch(t->tx, 1, t->now), -EINVAL);
}

static void xm_tx_epoch__busy_while_a_packet_is_unreleased(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	assert_int_equal(xm_tx_epoch(t->tx, 2, t->now), -EBUSY);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_epoch(t->tx, 2, t->now), -EBUSY);
	t_tx_complete_all(t, 0, 1);
	assert_int_equal(xm_tx_epoch(t->tx, 2, t->now), 0);
}

static void xm_tx_epoch__frames_and_packets_count_from_0(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 1);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_epoch(t->tx, 2, t->now), 0);
	assert_int_equal(xm_tx_frames(t->tx), 0);
	t_tx_packet(t, 2);
	assert_int_equal(t->out.f.epoch, 2);
	assert_int_equal(t->out.f.seq, 1);
	assert_int_equal(t->out.f.packet, 0);
}

static void xm_tx_epoch__refused_on_a_failed_channel(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	t_tx_wait(t, 10000000);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
	assert_int_equal(xm_tx_epoch(t->tx, 2, t->now), -ETIMEDOUT);
}

/* -- packets --------------------------------------------------------------- */

static int push_page(struct t_tx *t, unsigned int block, uint64_t offset)
{
	return xm_tx_push(t->tx, block, &offset, 1, 0);
}

static void xm_tx_push__needs_an_epoch(void **state)
{
	struct t_tx *t = *state;

	t->tx = t_tx_init(t);
	assert_int_equal(t_tx_push(t, 1, 0), -EINVAL);
}

static void xm_tx_push__full_when_the_next_slot_is_not_released(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	unsigned int i;

	for (i = 0; i < 4; i++)
		t_tx_packet(t, 2);
	assert_int_equal(t_tx_push(t, 2, 0), XM_TX_E_FULL);
	t_tx_complete_all(t, 0, 1);
	t_tx_give_cum(t, 2);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	assert_int_equal(t_tx_push(t, 2, 0), XM_TX_E_FULL);
}

static void xm_tx_push__full_though_a_later_slot_is_released(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_ack a;
	unsigned int i;

	for (i = 0; i < 4; i++)
		t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 7);
	a = t_tx_ack(t);
	t_tx_ack_bit(&a, 0, 4);
	t_tx_ack_bit(&a, 0, 5);
	t_tx_give(t, 0, &a);
	assert_int_equal(xm_tx_pending(t->tx), 3);
	assert_int_equal(t_tx_push(t, 2, 0), XM_TX_E_FULL);
}

static void xm_tx_push__refuses_another_channels_page(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(push_page(t, 0, 2 * T_MIB - 4096), 0);
	assert_int_equal(push_page(t, 0, 2 * T_MIB), -EINVAL);
	assert_int_equal(push_page(t, 0, 4 * T_MIB - 4096), -EINVAL);
	assert_int_equal(push_page(t, 0, 4 * T_MIB), 0);
}

static void xm_tx_push__refuses_a_page_that_is_not_aligned(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(push_page(t, 0, 2048), -EINVAL);
	assert_int_equal(push_page(t, 0, 1), -EINVAL);
}

static void xm_tx_push__refuses_a_page_outside_the_block(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(push_page(t, 1, T_MIB - 4096), 0);
	assert_int_equal(push_page(t, 1, T_MIB), -EINVAL);
	assert_int_equal(push_page(t, 0, UINT64_MAX - 4095), -EINVAL);
}

static void xm_tx_push__refuses_a_block_that_does_not_exist(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(push_page(t, 2, 0), -EINVAL);
	assert_int_equal(push_page(t, UINT32_MAX, 0), -EINVAL);
}

static void xm_tx_push__looks_at_zero_pages_too(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	const uint64_t offset[] = { 0, 2 * T_MIB };

	assert_int_equal(xm_tx_push(t->tx, 0, offset, 1, 1), -EINVAL);
}

static void xm_tx_push__takes_as_many_pages_as_a_packet_has(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(t_tx_push(t, 100, 28), 0);
	assert_int_equal(t_tx_push(t, 100, 29), -EINVAL);
	assert_int_equal(t_tx_push(t, 129, 0), -EINVAL);
}

static void xm_tx_push__refuses_a_packet_without_pages(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(t_tx_push(t, 0, 0), -EINVAL);
}

static void xm_tx_push__what_is_refused_takes_no_number(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(push_page(t, 0, 2 * T_MIB), -EINVAL);
	assert_int_equal(xm_tx_frames(t->tx), 0);
	assert_int_equal(xm_tx_pending(t->tx), 0);
	assert_int_equal(xm_tx_stats(t->tx)->packets, 0);
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
}

static void xm_tx_push__counts_packets_and_pages(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(t_tx_push(t, 5, 7), 0);
	assert_int_equal(t_tx_push(t, 0, 1), 0);
	assert_int_equal(xm_tx_stats(t->tx)->packets, 2);
	assert_int_equal(xm_tx_stats(t->tx)->pages, 5);
	assert_int_equal(xm_tx_stats(t->tx)->zero_pages, 8);
	assert_int_equal(xm_tx_pending(t->tx), 2);
	assert_int_equal(xm_tx_frames(t->tx), 4 + 1);
}

/* What QEMU 9.0 writes for a packet of these pages (MultiFDPacket_t). */
static void put_be(uint8_t *p, uint64_t v, unsigned int bytes)
{
	while (bytes--)
		*p++ = (uint8_t)(v >> (8 * bytes));
}

static void qemu_header(uint8_t *p, uint32_t flags, uint32_t normal,
			uint32_t zero, uint64_t packet_num)
{
	memset(p, 0, XM_MULTIFD_LEN);
	put_be(p, 0x11223344, 4);
	put_be(p + 4, 1, 4);
	put_be(p + 8, flags, 4);
	put_be(p + 12, 128, 4);
	put_be(p + 16, normal, 4);
	put_be(p + 20, 4096 * (uint64_t)normal, 4);
	put_be(p + 24, packet_num, 8);
	put_be(p + 32, zero, 4);
}

static void xm_tx_push__header_is_exact_to_the_byte(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	const uint64_t offset[] = { 0x1000, 0x400000, 0x5ff000 };
	uint8_t want[XM_MULTIFD_LEN];

	assert_int_equal(xm_tx_push(t->tx, 0, offset, 2, 1), 0);
	qemu_header(want, 0, 2, 1, 0);
	memcpy(want + 64, "pc.ram", 6);
	put_be(want + 320, 0x1000, 8);
	put_be(want + 328, 0x400000, 8);
	put_be(want + 336, 0x5ff000, 8);
	assert_memory_equal(t->ring, want, sizeof(want));
}

static void xm_tx_push__packet_num_counts_over_all_channels(void **state)
{
	struct t_tx *t = *state;
	uint8_t want[XM_MULTIFD_LEN];

	t->opts.channel = 1;
	t_tx_begin(t);
	assert_int_equal(push_page(t, 0, 2 * T_MIB), 0);
	assert_int_equal(push_page(t, 0, 2 * T_MIB), 0);
	assert_int_equal(push_page(t, 0, 2 * T_MIB), 0);
	qemu_header(want, 0, 1, 0, 2 * 2 + 1);
	memcpy(want + 64, "pc.ram", 6);
	put_be(want + 320, 0x200000, 8);
	assert_memory_equal(t->ring + 2 * (size_t)T_STRIDE, want, sizeof(want));
}

static void xm_tx_push__packet_num_goes_on_in_the_next_epoch(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_multifd pkt;

	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 1);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_epoch(t->tx, 2, t->now), 0);
	t_tx_packet(t, 2);
	assert_int_equal(xm_multifd_get(&pkt, t->ring + T_STRIDE), 0);
	assert_int_equal(pkt.packet_num, 1 * 2);
}

static void xm_tx_push__writes_one_slot_only(void **state)
{
	struct t_tx *t = *state;
	uint8_t *gap = t->ring + XM_MULTIFD_LEN;
	uint8_t before[T_STRIDE];

	memset(t->ring, 0xa5, 2 * (size_t)T_STRIDE);
	memset(before, 0xa5, sizeof(before));
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 128, 0), 0);
	assert_memory_equal(gap, before, T_STRIDE - XM_MULTIFD_LEN);
	assert_memory_equal(t->ring + T_STRIDE, before, T_STRIDE);
}

static void xm_tx_push__leaves_the_header_of_a_full_ring_alone(void **state)
{
	struct t_tx *t = *state;
	uint8_t before[T_STRIDE];

	t->opts.n_slots = 1;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 3, 0), 0);
	memcpy(before, t->ring, sizeof(before));
	assert_int_equal(t_tx_push(t, 5, 0), XM_TX_E_FULL);
	assert_memory_equal(t->ring, before, sizeof(before));
}

static void xm_tx_sync__needs_an_epoch(void **state)
{
	struct t_tx *t = *state;

	t->tx = t_tx_init(t);
	assert_int_equal(xm_tx_sync(t->tx), -EINVAL);
}

static void xm_tx_sync__busy_before_all_is_released(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	assert_int_equal(xm_tx_sync(t->tx), -EBUSY);
	t_tx_complete_all(t, 0, 1);
	assert_int_equal(xm_tx_sync(t->tx), -EBUSY);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_sync(t->tx), 0);
}

static void xm_tx_sync__header_is_exact_to_the_byte(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	uint8_t want[XM_MULTIFD_LEN];

	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 1);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_sync(t->tx), 0);
	qemu_header(want, 1, 0, 0, 1 * 2);
	assert_memory_equal(t->ring + T_STRIDE, want, sizeof(want));
}

static void xm_tx_sync__is_one_frame(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(xm_tx_sync(t->tx), 0);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.type, XM_WIRE_HEADER);
	assert_int_equal(t_tx_next(t), XM_TX_E_IDLE);
	assert_int_equal(xm_tx_frames(t->tx), 1);
}

static void xm_tx_sync__is_pending_like_any_packet(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(xm_tx_sync(t->tx), 0);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_PENDING);
	assert_int_equal(xm_tx_sync(t->tx), -EBUSY);
}

#define T(name) cmocka_unit_test_setup_teardown(name, t_tx_setup, t_tx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_tx_footprint__is_enough_for_every_frame),
		T(xm_tx_footprint__grows_with_the_ring),
		T(xm_tx_init__takes_the_smallest_ring),
		T(xm_tx_init__starts_with_nothing_to_do),
		T(xm_tx_init__refuses_no_map),
		T(xm_tx_init__refuses_a_map_dealt_to_other_channels),
		T(xm_tx_init__refuses_a_ring_without_slots),
		T(xm_tx_init__refuses_a_ring_without_memory),
		T(xm_tx_init__refuses_headers_that_overlap),
		T(xm_tx_init__refuses_a_channel_that_does_not_exist),
		T(xm_tx_init__refuses_no_stall_deadline),
		T(xm_tx_init__refuses_no_frame_size),
		T(xm_tx_init__refuses_an_empty_geometry),
		T(xm_tx_init__refuses_more_pages_than_a_frame_has),
		T(xm_tx_init__refuses_slices_that_leave_a_gap),
		T(xm_tx_epoch__must_increase),
		T(xm_tx_epoch__busy_while_a_packet_is_unreleased),
		T(xm_tx_epoch__frames_and_packets_count_from_0),
		T(xm_tx_epoch__refused_on_a_failed_channel),
		T(xm_tx_push__needs_an_epoch),
		T(xm_tx_push__full_when_the_next_slot_is_not_released),
		T(xm_tx_push__full_though_a_later_slot_is_released),
		T(xm_tx_push__refuses_another_channels_page),
		T(xm_tx_push__refuses_a_page_that_is_not_aligned),
		T(xm_tx_push__refuses_a_page_outside_the_block),
		T(xm_tx_push__refuses_a_block_that_does_not_exist),
		T(xm_tx_push__looks_at_zero_pages_too),
		T(xm_tx_push__takes_as_many_pages_as_a_packet_has),
		T(xm_tx_push__refuses_a_packet_without_pages),
		T(xm_tx_push__what_is_refused_takes_no_number),
		T(xm_tx_push__counts_packets_and_pages),
		T(xm_tx_push__header_is_exact_to_the_byte),
		T(xm_tx_push__packet_num_counts_over_all_channels),
		T(xm_tx_push__packet_num_goes_on_in_the_next_epoch),
		T(xm_tx_push__writes_one_slot_only),
		T(xm_tx_push__leaves_the_header_of_a_full_ring_alone),
		T(xm_tx_sync__needs_an_epoch),
		T(xm_tx_sync__busy_before_all_is_released),
		T(xm_tx_sync__header_is_exact_to_the_byte),
		T(xm_tx_sync__is_one_frame),
		T(xm_tx_sync__is_pending_like_any_packet),
	};

	return cmocka_run_group_tests_name("tx", tests, NULL, NULL);
}
