// SPDX-License-Identifier: GPL-2.0-or-later
/* test_flush.c - making space in the header ring, and what the wait costs
 *
 * A ring of 4 slots, packets of 2 frames each: packet k has numbers 2k, 2k+1.
 */
#include "core/tx.h"

#include "../lib/t_tx.h"

static struct t_tx *begin(struct t_tx *t, enum xm_drain drain)
{
	t->opts.drain = drain;
	return t_tx_begin(t);
}

/* Four packets are pushed and leave, and the fifth does not fit. */
static void fill(struct t_tx *t)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		t_tx_packet(t, 2);
	assert_int_equal(t_tx_push(t, 2, 0), XM_TX_E_FULL);
}

/* Packets @from to @to are complete and acknowledged. */
static void release(struct t_tx *t, uint32_t from, uint32_t to)
{
	t_tx_complete_all(t, 2 * from, 2 * to + 1);
	t_tx_give_cum(t, 2 * to + 2);
}

static int make_space(struct t_tx *t)
{
	int r = xm_tx_make_space(t->tx, t->now);

	assert_true(xm_tx_check(t->tx));
	return r;
}

/* -- how much is waited for --------------------------------------------------- */

static void xm_tx_make_space__half_waits_for_the_older_half(void **state)
{
	struct t_tx *t = begin(*state, XM_DRAIN_HALF);

	fill(t);
	assert_int_equal(make_space(t), XM_TX_E_PENDING);
	release(t, 0, 0);
	assert_int_equal(make_space(t), XM_TX_E_PENDING);
	release(t, 1, 1);
	assert_int_equal(make_space(t), 0);
	assert_int_equal(xm_tx_pending(t->tx), 2);
}

static void xm_tx_make_space__full_waits_for_all(void **state)
{
	struct t_tx *t = begin(*state, XM_DRAIN_FULL);

	fill(t);
	release(t, 0, 2);
	assert_int_equal(make_space(t), XM_TX_E_PENDING);
	release(t, 3, 3);
	assert_int_equal(make_space(t), 0);
	assert_int_equal(xm_tx_pending(t->tx), 0);
}

static void xm_tx_make_space__one_waits_for_the_oldest(void **state)
{
	struct t_tx *t = begin(*state, XM_DRAIN_ONE);

	fill(t);
	assert_int_equal(make_space(t), XM_TX_E_PENDING);
	release(t, 0, 0);
	assert_int_equal(make_space(t), 0);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	assert_int_equal(t_tx_push(t, 2, 0), XM_TX_E_FULL);
}

static void xm_tx_make_space__one_is_not_another_than_the_oldest(void **state)
{
	struct t_tx *t = begin(*state, XM_DRAIN_ONE);
	struct xm_ack a;
	uint32_t seq;

	fill(t);
	a = t_tx_ack(t);
	for (seq = 2; seq < 8; seq++)
		t_tx_ack_bit(&a, 0, seq);
	t_tx_complete_all(t, 0, 7);
	t_tx_give(t, 0, &a);
	assert_int_equal(xm_tx_pending(t->tx), 1);
	assert_int_equal(make_space(t), XM_TX_E_PENDING);
	t_tx_give_cum(t, 8);
	assert_int_equal(make_space(t), 0);
}

static void xm_tx_make_space__of_one_slot_is_the_same_for_all(void **state)
{
	struct t_tx *t = *state;
	int drain;

	for (drain = 0; drain < XM_DRAIN__COUNT; drain++) {
		t->opts.n_slots = 1;
		begin(t, (enum xm_drain)drain);
		t_tx_packet(t, 2);
		assert_int_equal(t_tx_push(t, 2, 0), XM_TX_E_FULL);
		assert_int_equal(make_space(t), XM_TX_E_PENDING);
		assert_int_equal(xm_tx_stats(t->tx)->flush_space, 1);
		assert_int_equal(xm_tx_stats(t->tx)->flush_barrier, 0);
		release(t, 0, 0);
		assert_int_equal(make_space(t), 0);
		assert_int_equal(t_tx_push(t, 2, 0), 0);
	}
}

static void xm_tx_make_space__tells_of_copies(void **state)
{
	struct t_tx *t = begin(*state, XM_DRAIN_FULL);

	fill(t);
	assert_int_equal(t_tx_complete(t, 0, 1344), 0);
	t_tx_complete_all(t, 1, 7);
	t_tx_give_cum(t, 8);
	assert_int_equal(make_space(t), XM_TX_E_COPIED);
}

static void xm_tx_init__refuses_a_drain_there_is_not(void **state)
{
	struct t_tx *t = *state;

	t->opts.drain = XM_DRAIN__COUNT;
	assert_null(t_tx_init(t));
}

/* -- what it cost --------------------------------------------------------------- */

static void space__is_counted_once_and_timed_to_its_end(void **state)
{
	struct t_tx *t = begin(*state, XM_DRAIN_HALF);

	fill(t);
	assert_int_equal(make_space(t), XM_TX_E_PENDING);
	t_tx_wait(t, 30);
	assert_int_equal(make_space(t), XM_TX_E_PENDING);
	t_tx_wait(t, 40);
	release(t, 0, 1);
	assert_int_equal(make_space(t), 0);
	t_tx_wait(t, 1000);
	assert_int_equal(xm_tx_stats(t->tx)->flush_space, 1);
	assert_int_equal(xm_tx_stats(t->tx)->space_ns, 70 * XM_US);
}

static void space__of_a_second_wait_adds_up(void **state)
{
	struct t_tx *t = begin(*state, XM_DRAIN_FULL);
	uint32_t round;

	for (round = 0; round < 2; round++) {
		fill(t);
		assert_int_equal(make_space(t), XM_TX_E_PENDING);
		t_tx_wait(t, 50);
		release(t, 4 * round, 4 * round + 3);
		assert_int_equal(make_space(t), 0);
		t_tx_wait(t, 1000);
	}
	assert_int_equal(xm_tx_stats(t->tx)->flush_space, 2);
	assert_int_equal(xm_tx_stats(t->tx)->space_ns, 100 * XM_US);
}

static void dry__from_the_last_completion_to_the_next_frame(void **state)
{
	struct t_tx *t = begin(*state, XM_DRAIN_FULL);

	fill(t);
	assert_int_equal(make_space(t), XM_TX_E_PENDING);
	t_tx_wait(t, 10);
	t_tx_complete_all(t, 0, 6);
	assert_int_equal(xm_tx_stats(t->tx)->dry, 0);
	t_tx_wait(t, 10);
	t_tx_complete_all(t, 7, 7); /* now the device has nothing */
	assert_int_equal(xm_tx_stats(t->tx)->dry, 1);
	t_tx_wait(t, 100);
	t_tx_give_cum(t, 8);
	assert_int_equal(make_space(t), 0);
	assert_int_equal(t_tx_push(t, 2, 0), 0);
	t_tx_wait(t, 5);
	t_tx_send(t, 2);
	assert_int_equal(xm_tx_stats(t->tx)->dry, 1);
	assert_int_equal(xm_tx_stats(t->tx)->dry_ns, 105 * XM_US);
}

static void dry__also_when_all_was_complete_before(void **state)
{
	struct t_tx *t = begin(*state, XM_DRAIN_HALF);

	fill(t);
	t_tx_complete_all(t, 0, 7);
	t_tx_wait(t, 10);
	assert_int_equal(make_space(t), XM_TX_E_PENDING);
	t_tx_wait(t, 10);
	t_tx_give_cum(t, 4);
	assert_int_equal(make_space(t), 0);
	t_tx_packet(t, 2);
	assert_int_equal(xm_tx_stats(t->tx)->dry, 1);
	assert_int_equal(xm_tx_stats(t->tx)->dry_ns, 10 * XM_US);
}

static void dry__not_while_the_device_has_the_other_half(void **state)
{
	struct t_tx *t = begin(*state, XM_DRAIN_HALF);

	fill(t);
	assert_int_equal(make_space(t), XM_TX_E_PENDING);
	release(t, 0, 1); /* packets 2 and 3 are at the device */
	assert_int_equal(make_space(t), 0);
	t_tx_packet(t, 2);
	assert_int_equal(xm_tx_stats(t->tx)->dry, 0);
	assert_int_equal(xm_tx_stats(t->tx)->dry_ns, 0);
}

static void dry__not_while_frames_wait_for_the_window(void **state)
{
	struct t_tx *t = *state;
	unsigned int i;

	t->opts.credit = 4; /* frames: two packets */
	begin(t, XM_DRAIN_FULL);
	for (i = 0; i < 4; i++)
		assert_int_equal(t_tx_push(t, 2, 0), 0);
	t_tx_send(t, 4);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	assert_int_equal(make_space(t), XM_TX_E_PENDING);
	t_tx_complete_all(t, 0, 3);
	assert_int_equal(xm_tx_stats(t->tx)->dry, 0);
}

static void dry__not_when_there_is_no_more_work(void **state)
{
	struct t_tx *t = begin(*state, XM_DRAIN_HALF);

	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 1);
	assert_int_equal(xm_tx_flush(t->tx, 0), XM_TX_E_PENDING);
	t_tx_wait(t, 100);
	t_tx_give_cum(t, 2);
	assert_int_equal(xm_tx_flush(t->tx, 0), 0);
	assert_int_equal(xm_tx_stats(t->tx)->dry, 0);
}

static void dry__ends_when_a_lost_frame_leaves_again(void **state)
{
	struct t_tx *t = begin(*state, XM_DRAIN_FULL);

	fill(t);
	t_tx_complete_all(t, 0, 7);
	assert_int_equal(make_space(t), XM_TX_E_PENDING);
	assert_int_equal(xm_tx_stats(t->tx)->dry, 1);
	t_tx_run_timer(t);
	assert_int_equal(t_tx_next(t), 0);
	assert_true(xm_tx_stats(t->tx)->dry_ns > 0);
	do
		assert_int_equal(t_tx_complete(t, t->out.f.seq, 0), 0);
	while (!t_tx_next(t));
	assert_int_equal(xm_tx_stats(t->tx)->dry, 2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, t_tx_setup, t_tx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_tx_make_space__half_waits_for_the_older_half),
		T(xm_tx_make_space__full_waits_for_all),
		T(xm_tx_make_space__one_waits_for_the_oldest),
		T(xm_tx_make_space__one_is_not_another_than_the_oldest),
		T(xm_tx_make_space__of_one_slot_is_the_same_for_all),
		T(xm_tx_make_space__tells_of_copies),
		T(xm_tx_init__refuses_a_drain_there_is_not),
		T(space__is_counted_once_and_timed_to_its_end),
		T(space__of_a_second_wait_adds_up),
		T(dry__from_the_last_completion_to_the_next_frame),
		T(dry__also_when_all_was_complete_before),
		T(dry__not_while_the_device_has_the_other_half),
		T(dry__not_while_frames_wait_for_the_window),
		T(dry__not_when_there_is_no_more_work),
		T(dry__ends_when_a_lost_frame_leaves_again),
	};

	return cmocka_run_group_tests_name("flush", tests, NULL, NULL);
}
