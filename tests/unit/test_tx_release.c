// SPDX-License-Identifier: GPL-2.0-or-later
/* test_tx_release.c - completion, release of packets, and the two flushes
 *
 * In the default geometry a packet of two pages is two frames, and the header
 * ring has four slots.
 */
#include "core/tx.h"

#include <errno.h>

#include "../lib/t_tx.h"

/* Without an answer the timer resends all. */
static void timeout(struct t_tx *t, uint32_t last)
{
	t_tx_complete_all(t, 0, last);
	t_tx_run_timer(t);
	t_tx_send(t, last + 1);
}

/* -- completion and release ------------------------------------------------ */

static void
xm_tx_on_complete__released_when_acked_and_then_complete(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_pending(t->tx), 1);
	assert_int_equal(t_tx_complete(t, 0, 0), 0);
	assert_int_equal(xm_tx_pending(t->tx), 1);
	assert_int_equal(t_tx_complete(t, 1, 0), 0);
	assert_int_equal(xm_tx_pending(t->tx), 0);
}

static void
xm_tx_on_complete__released_when_complete_and_then_acked(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 1);
	assert_int_equal(xm_tx_pending(t->tx), 1);
	t_tx_give_cum(t, 1);
	assert_int_equal(xm_tx_pending(t->tx), 1);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_pending(t->tx), 0);
}

static void xm_tx_on_complete__a_retransmission_must_complete_too(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	timeout(t, 1);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_pending(t->tx), 1);
	t_tx_complete_all(t, 0, 1);
	assert_int_equal(xm_tx_pending(t->tx), 0);
}

static void xm_tx_on_complete__takes_any_order(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 4);
	assert_int_equal(t_tx_complete(t, 2, 0), 0);
	assert_int_equal(t_tx_complete(t, 0, 0), 0);
	assert_true(xm_tx_has_posted(t->tx));
	assert_int_equal(t_tx_complete(t, 1, 0), 0);
	assert_false(xm_tx_has_posted(t->tx));
}

static void xm_tx_on_complete__refuses_a_frame_that_never_left(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(t_tx_push(t, 4, 0), 0);
	t_tx_send(t, 1);
	assert_int_equal(t_tx_complete(t, 1, 0), -EPROTO);
	assert_int_equal(t_tx_complete(t, 1000, 0), -EPROTO);
	assert_int_equal(t_tx_complete(t, UINT32_MAX, 0), -EPROTO);
	assert_int_equal(t_tx_complete(t, 0, 0), 0);
}

static void xm_tx_on_complete__refuses_the_same_frame_twice(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 0);
	assert_int_equal(t_tx_complete(t, 0, 0), -EPROTO);
}

static void xm_tx_on_complete__refuses_another_epochs_frame(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	assert_int_equal(xm_tx_on_complete(t->tx, t->now, 2, 0, 1, 0), -EPROTO);
	assert_int_equal(xm_tx_on_complete(t->tx, t->now, 0, 0, 1, 0), -EPROTO);
}

static void
xm_tx_on_complete__refuses_a_number_the_ring_has_reused(void **state)
{
	struct t_tx *t = *state;
	uint32_t i;

	t->opts.n_slots = 1; /* 65 frames at most: numbers are kept for 128 */
	t_tx_begin(t);
	for (i = 0; i < 3; i++) {
		t_tx_packet(t, 128);
		t_tx_complete_all(t, 65 * i, 65 * i + 64);
		t_tx_give_cum(t, 65 * (i + 1));
	}
	t_tx_packet(t, 128);
	assert_int_equal(t_tx_complete(t, 195 - 128, 0), -EPROTO);
	assert_int_equal(t_tx_complete(t, 195, 0), 0);
}

static void xm_tx_on_complete__adds_up_what_was_copied(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	assert_int_equal(t_tx_complete(t, 0, 1344), 0);
	assert_int_equal(t_tx_complete(t, 1, 8192), 0);
	assert_int_equal(xm_tx_stats(t->tx)->bytes_copied, 1344 + 8192);
}

/* -- flush ----------------------------------------------------------------- */

/* Packet @k of those with two frames each is complete and acknowledged, and
 * so is all before it. */
static void release_up_to(struct t_tx *t, uint32_t k)
{
	t_tx_complete_all(t, 2 * k, 2 * k + 1);
	t_tx_give_cum(t, 2 * k + 2);
}

static void fill_ring(struct t_tx *t)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		t_tx_packet(t, 2);
}

static void xm_tx_flush__0_when_nothing_is_pending(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(xm_tx_flush(t->tx, 0), 0);
	assert_int_equal(xm_tx_flush(t->tx, 2), 0);
}

static void xm_tx_flush__0_when_all_went_without_a_copy(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	release_up_to(t, 0);
	assert_int_equal(xm_tx_flush(t->tx, 0), 0);
}

static void xm_tx_flush__copied_when_a_byte_was_copied(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	assert_int_equal(t_tx_complete(t, 0, 0), 0);
	assert_int_equal(t_tx_complete(t, 1, 1), 0);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_COPIED);
}

static void xm_tx_flush__copied_is_told_once(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	assert_int_equal(t_tx_complete(t, 0, 8192), 0);
	assert_int_equal(t_tx_complete(t, 1, 8192), 0);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_COPIED);
	assert_int_equal(xm_tx_flush(t->tx, 0), 0);
	t_tx_packet(t, 2);
	release_up_to(t, 1);
	assert_int_equal(xm_tx_flush(t->tx, 0), 0);
}

static void xm_tx_flush__copied_is_kept_while_it_is_pending(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	t_tx_packet(t, 2);
	assert_int_equal(t_tx_complete(t, 0, 8192), 0);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_PENDING);
	t_tx_complete_all(t, 1, 3);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_PENDING);
	t_tx_give_cum(t, 4);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_COPIED);
}

static void xm_tx_flush__pending_while_a_packet_is_unreleased(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_PENDING);
	t_tx_complete_all(t, 0, 1);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_PENDING);
	t_tx_give_cum(t, 1);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_PENDING);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_flush(t->tx, 0), 0);
}

static void xm_tx_flush__pending_while_a_packet_has_not_left(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	assert_int_equal(t_tx_push(t, 2, 0), 0);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_PENDING);
}

static void xm_tx_flush__half_a_ring_waits_for_the_older_half(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	fill_ring(t);
	assert_int_equal(xm_tx_flush(t->tx, 2), XM_TX_E_PENDING);
	release_up_to(t, 0);
	assert_int_equal(xm_tx_flush(t->tx, 2), XM_TX_E_PENDING);
	release_up_to(t, 1);
	assert_int_equal(xm_tx_flush(t->tx, 2), 0);
	assert_int_equal(xm_tx_pending(t->tx), 2);
}

static void xm_tx_flush__pending_behind_the_oldest_slot(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_ack a;
	uint32_t seq;

	fill_ring(t);
	t_tx_complete_all(t, 0, 7);
	a = t_tx_ack(t);
	for (seq = 2; seq < 8; seq++)
		t_tx_ack_bit(&a, 0, seq);
	t_tx_give(t, 0, &a);
	assert_int_equal(xm_tx_pending(t->tx), 1);
	assert_int_equal(xm_tx_flush(t->tx, 2), XM_TX_E_PENDING);
	t_tx_give_cum(t, 8);
	assert_int_equal(xm_tx_flush(t->tx, 2), 0);
}

static void xm_tx_flush__done_means_that_a_push_succeeds(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	fill_ring(t);
	release_up_to(t, 0);
	release_up_to(t, 1);
	assert_int_equal(xm_tx_flush(t->tx, 2), 0);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	assert_int_equal(t_tx_push(t, 2, 0), XM_TX_E_FULL);
}

static void xm_tx_flush__counts_waiting_for_space_once_each(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	fill_ring(t);
	assert_int_equal(xm_tx_flush(t->tx, 2), XM_TX_E_PENDING);
	assert_int_equal(xm_tx_flush(t->tx, 2), XM_TX_E_PENDING);
	assert_int_equal(xm_tx_stats(t->tx)->flush_space, 1);
	release_up_to(t, 0);
	release_up_to(t, 1);
	assert_int_equal(xm_tx_flush(t->tx, 2), 0);
	t_tx_packet(t, 2);
	t_tx_packet(t, 2);
	assert_int_equal(xm_tx_flush(t->tx, 2), XM_TX_E_PENDING);
	assert_int_equal(xm_tx_stats(t->tx)->flush_space, 2);
	assert_int_equal(xm_tx_stats(t->tx)->flush_barrier, 0);
}

static void xm_tx_flush__counts_waiting_at_a_barrier(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_PENDING);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_PENDING);
	assert_int_equal(xm_tx_stats(t->tx)->flush_barrier, 1);
	assert_int_equal(xm_tx_stats(t->tx)->flush_space, 0);
}

static void xm_tx_flush__that_need_not_wait_is_not_counted(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	assert_int_equal(xm_tx_flush(t->tx, 2), 0);
	release_up_to(t, 0);
	assert_int_equal(xm_tx_flush(t->tx, 0), 0);
	assert_int_equal(xm_tx_stats(t->tx)->flush_space, 0);
	assert_int_equal(xm_tx_stats(t->tx)->flush_barrier, 0);
}

static void xm_tx_flush__tells_that_the_channel_failed(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	t_tx_wait(t, 10000000);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
	assert_int_equal(xm_tx_flush(t->tx, 0), -ETIMEDOUT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, t_tx_setup, t_tx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_tx_on_complete__released_when_acked_and_then_complete),
		T(xm_tx_on_complete__released_when_complete_and_then_acked),
		T(xm_tx_on_complete__a_retransmission_must_complete_too),
		T(xm_tx_on_complete__takes_any_order),
		T(xm_tx_on_complete__refuses_a_frame_that_never_left),
		T(xm_tx_on_complete__refuses_the_same_frame_twice),
		T(xm_tx_on_complete__refuses_another_epochs_frame),
		T(xm_tx_on_complete__refuses_a_number_the_ring_has_reused),
		T(xm_tx_on_complete__adds_up_what_was_copied),
		T(xm_tx_flush__0_when_nothing_is_pending),
		T(xm_tx_flush__0_when_all_went_without_a_copy),
		T(xm_tx_flush__copied_when_a_byte_was_copied),
		T(xm_tx_flush__copied_is_told_once),
		T(xm_tx_flush__copied_is_kept_while_it_is_pending),
		T(xm_tx_flush__pending_while_a_packet_is_unreleased),
		T(xm_tx_flush__pending_while_a_packet_has_not_left),
		T(xm_tx_flush__half_a_ring_waits_for_the_older_half),
		T(xm_tx_flush__pending_behind_the_oldest_slot),
		T(xm_tx_flush__done_means_that_a_push_succeeds),
		T(xm_tx_flush__counts_waiting_for_space_once_each),
		T(xm_tx_flush__counts_waiting_at_a_barrier),
		T(xm_tx_flush__that_need_not_wait_is_not_counted),
		T(xm_tx_flush__tells_that_the_channel_failed),
	};

	return cmocka_run_group_tests_name("tx_release", tests, NULL, NULL);
}
