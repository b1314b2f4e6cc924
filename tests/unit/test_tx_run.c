// SPDX-License-Identifier: GPL-2.0-or-later
/* test_tx_run.c - frames that leave together leave as if one by one */
#include "core/tx.h"

#include <errno.h>

#include "../lib/t_tx.h"

static int t_next_run(struct t_tx *t, uint32_t max, struct xm_tx_run *run)
{
	int r = xm_tx_next_run(t->tx, t->now, max, run);

	assert_true(xm_tx_check(t->tx));
	return r;
}

static void t_take(struct t_tx *t, const struct xm_tx_run *run, uint32_t n)
{
	xm_tx_take_run(t->tx, t->now, run, n);
	assert_true(xm_tx_check(t->tx));
}

/* -- what is in a run ----------------------------------------------------------- */

static void xm_tx_next_run__header_and_rest_go_alone(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_tx_run run;

	assert_int_equal(t_next_run(t, 32, &run), XM_TX_E_SINGLE); /* nothing */
	assert_int_equal(t_tx_push(t, 7, 0), 0);
	assert_int_equal(t_next_run(t, 32, &run), XM_TX_E_SINGLE);
	t_tx_send(t, 1);
	assert_int_equal(t_next_run(t, 32, &run), 0);
	assert_int_equal(run.n, 3);
	t_take(t, &run, 3);
	assert_int_equal(t_next_run(t, 32, &run), XM_TX_E_SINGLE);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 4);
	assert_int_equal(t->out.f.n_segs, 1);
}

static void xm_tx_next_run__describes_as_next_does(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_frame f;
	struct xm_tx_run run;
	unsigned int i;

	assert_int_equal(t_tx_push(t, 8, 3), 0);
	t_tx_send(t, 2);
	assert_int_equal(t_next_run(t, 32, &run), 0);
	assert_int_equal(run.n, 3);
	f = run.f;
	for (i = 0; i < 3; i++) {
		f.seq = run.f.seq + i;
		f.page = (uint16_t)(run.f.page + 2 * i);
		f.seg[0] = xm_be64_get(run.segs + 16 * i);
		f.seg[1] = xm_be64_get(run.segs + 16 * i + 8);
		t_tx_send(t, 1);
		assert_int_equal(f.n_segs, 2);
		assert_memory_equal(f.seg, t->out.f.seg, 16);
		assert_int_equal(f.type, t->out.f.type);
		assert_int_equal(f.channel, t->out.f.channel);
		assert_int_equal(f.flags, t->out.f.flags);
		assert_int_equal(f.block, t->out.f.block);
		assert_int_equal(f.cookie, t->out.f.cookie);
		assert_int_equal(f.epoch, t->out.f.epoch);
		assert_int_equal(f.seq, t->out.f.seq);
		assert_int_equal(f.packet, t->out.f.packet);
		assert_int_equal(f.page, t->out.f.page);
		assert_int_equal(f.seg_len, t->out.f.seg_len);
		assert_int_equal(f.len, t->out.f.len);
		assert_int_equal(f.tx_us, t->out.f.tx_us);
	}
}

/* It was only looked at: what is not taken leaves the next time. */
static void xm_tx_take_run__takes_a_part(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_tx_run run;

	assert_int_equal(t_tx_push(t, 20, 0), 0);
	t_tx_send(t, 1);
	assert_int_equal(t_next_run(t, 5, &run), 0);
	assert_int_equal(run.n, 5);
	t_take(t, &run, 2);
	assert_int_equal(t_next_run(t, 32, &run), 0);
	assert_int_equal(run.f.seq, 3);
	assert_int_equal(run.f.page, 4);
	assert_int_equal(run.n, 8);
}

static void xm_tx_next_run__never_slices(void **state)
{
	struct t_tx *t = *state;
	struct xm_tx_run run;

	t->opts.geo = (struct xm_geometry){ 0, 3, 1376 };
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 4, 0), 0);
	t_tx_send(t, 1);
	assert_int_equal(t_next_run(t, 32, &run), XM_TX_E_SINGLE);
}

static void xm_tx_next_run__lost_frames_go_before(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_tx_run run;

	assert_int_equal(t_tx_push(t, 20, 0), 0);
	t_tx_send(t, 4);
	t_tx_complete_all(t, 0, 3);
	t_tx_wait(t, 1000);
	t_tx_give_gap(t, 1, 4);
	t_tx_run_timer(t); /* the reorder window is over */
	assert_int_equal(t_next_run(t, 32, &run), XM_TX_E_SINGLE);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 1);
	assert_int_equal(t_next_run(t, 32, &run), 0);
	assert_int_equal(run.f.seq, 4);
}

/* -- how many may leave ----------------------------------------------------------- */

static void xm_tx_next_run__credit_limits_it(void **state)
{
	struct t_tx *t = *state;
	struct xm_tx_run run;

	t->opts.credit = 5;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 20, 0), 0);
	t_tx_send(t, 1);
	assert_int_equal(t_next_run(t, 32, &run), 0);
	assert_int_equal(run.n, 4);
	t_take(t, &run, 4);
	assert_int_equal(t_next_run(t, 32, &run), XM_TX_E_WAIT);
}

/* Frame 0 got lost. */
static void xm_tx_next_run__ends_with_the_window(void **state)
{
	struct t_tx *t = *state;
	struct xm_tx_run run = { .n = 0 };
	struct xm_ack a;
	uint32_t seq;

	t->opts.n_slots = 128;
	t->opts.cc.mss = 4 << 20; /* no limit */
	t_tx_begin(t);
	for (seq = 0; seq < 127; seq++)
		assert_int_equal(t_tx_push(t, 128, 0), 0);
	for (seq = 0; seq < XM_WINDOW; seq += run.n) {
		run.n = 1;
		if (xm_tx_next_run(t->tx, t->now, 70, &run))
			assert_int_equal(xm_tx_next(t->tx, t->now, &t->out), 0);
		else
			xm_tx_take_run(t->tx, t->now, &run, run.n);
	}
	assert_int_equal(seq, XM_WINDOW);
	assert_int_equal(t_next_run(t, 70, &run), XM_TX_E_WAIT);
	a = t_tx_ack(t);
	for (seq = 1; seq < XM_WINDOW; seq++)
		t_tx_ack_bit(&a, 0, seq);
	t_tx_give(t, 0, &a);
	assert_int_equal(t_next_run(t, 70, &run), XM_TX_E_WAIT);
	t_tx_give_cum(t, 1);
	assert_int_equal(t_next_run(t, 70, &run), 0);
	assert_int_equal(run.f.seq, XM_WINDOW);
	assert_int_equal(run.n, 62); /* the rest of its packet */
}

/* No credit, and nobody tells of more: one frame is to ask. */
static void xm_tx_next_run__not_when_one_is_forced(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_tx_run run;
	struct xm_ack a;

	assert_int_equal(t_tx_push(t, 20, 0), 0);
	t_tx_send(t, 2);
	t_tx_complete_all(t, 0, 1);
	t_tx_wait(t, 100);
	a = t_tx_ack(t);
	a.credit = 0;
	t_tx_give(t, 2, &a);
	assert_int_equal(t_next_run(t, 32, &run), XM_TX_E_WAIT);
	t_tx_run_timer(t);
	assert_int_equal(t_next_run(t, 32, &run), XM_TX_E_SINGLE);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 2);
	assert_int_equal(t_next_run(t, 32, &run), XM_TX_E_WAIT);
}

/* 1 was sent again between 4 and 5, and is still out when those arrive. */
static void xm_tx_packet__a_row_with_another_between(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_ack a;

	assert_int_equal(t_tx_push(t, 20, 0), 0);
	t_tx_send(t, 4);
	t_tx_complete_all(t, 0, 3);
	t_tx_wait(t, 1000);
	t_tx_give_gap(t, 1, 4);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 4);
	t_tx_run_timer(t); /* the reorder window is over */
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 1);
	t_tx_send(t, 1);
	assert_int_equal(t->out.f.seq, 5);
	t_tx_complete_all(t, 1, 1);
	t_tx_complete_all(t, 4, 5);
	a = t_tx_ack(t);
	t_tx_ack_bit(&a, 1, 4);
	t_tx_ack_bit(&a, 1, 5);
	t_tx_give(t, 1, &a);
	t_tx_give_cum(t, 6);
	t_tx_send(t, 5);
	t_tx_complete_all(t, 6, 10);
	t_tx_give_cum(t, 11);
	assert_int_equal(xm_tx_pending(t->tx), 0);
}

static void xm_tx_next_run__refused_on_a_failed_channel(void **state)
{
	struct t_tx *t = t_tx_begin(*state);
	struct xm_tx_run run;

	t_tx_packet(t, 2);
	t_tx_wait(t, t->opts.stall_ns / XM_US);
	assert_int_equal(t_tx_expire(t), -ETIMEDOUT);
	assert_int_equal(t_next_run(t, 32, &run), -ETIMEDOUT);
}

/* -- as if one by one -------------------------------------------------------------- */

#define FRAMES 4096 /* of an epoch, more than the test sends */

/* Two senders, of which one sends in runs, one device and one peer of both. */
struct t_both {
	struct t_tx *one, *runs;
	uint8_t posted[FRAMES], arrived[FRAMES];
	unsigned int seen; /* events */
	uint32_t end;      /* numbers sent */
};

/* @max frames, or as many as may leave; of each run no more than @part. */
static void both_send(struct t_both *b, uint32_t max, uint32_t part)
{
	struct xm_tx_run run;
	uint32_t n, left;
	int r = 0;

	for (left = max; left && !t_tx_next(b->one); left--)
		;
	for (left = max; left; left -= n) {
		r = t_next_run(b->runs, left, &run);
		n = 1;
		if (!r) {
			n = run.n < part ? run.n : part;
			t_take(b->runs, &run, n);
		} else if (r != XM_TX_E_SINGLE || t_tx_next(b->runs)) {
			break;
		}
	}
}

/* What both did since is the same; the device has what was sent. */
static void both_compare(struct t_both *b)
{
	const struct xm_trace_event *x = b->one->trace.ev,
				    *y = b->runs->trace.ev;
	unsigned int i;

	assert_int_equal(b->one->trace.n, b->runs->trace.n);
	for (i = b->seen; i < b->one->trace.n; i++) {
		assert_int_equal(x[i].now.ns, y[i].now.ns);
		assert_int_equal(x[i].kind, y[i].kind);
		assert_int_equal(x[i].a, y[i].a);
		assert_int_equal(x[i].b, y[i].b);
		if (x[i].kind == XM_TRACE_SEND) {
			b->posted[x[i].a] = 1;
			if (b->end <= x[i].a)
				b->end = (uint32_t)x[i].a + 1;
		}
	}
	b->seen = 0;
	b->one->trace.n = b->runs->trace.n = 0;
	assert_memory_equal(xm_tx_stats(b->one->tx), xm_tx_stats(b->runs->tx),
			    sizeof(struct xm_tx_stats));
	assert_int_equal(xm_tx_expiry(b->one->tx).ns,
			 xm_tx_expiry(b->runs->tx).ns);
}

/* The device is done with a row of frames: told one by one, or at once. */
static void both_complete(struct t_both *b, uint32_t from, uint32_t max)
{
	uint32_t n = 0;

	for (; n < max && from + n < b->end && b->posted[from + n]; n++) {
		assert_int_equal(t_tx_complete(b->one, from + n, 100), 0);
		b->posted[from + n] = 0;
	}
	if (n)
		assert_int_equal(xm_tx_on_complete(b->runs->tx, b->runs->now, 1,
						   from, n, 100),
				 0);
	assert_true(xm_tx_check(b->runs->tx));
}

/* One in sixteen of those that left gets lost, and an ACK says so. */
static void both_ack(struct t_both *b)
{
	struct xm_ack a = { .credit = b->one->opts.credit };
	uint32_t cum = 0, i;

	for (i = 0; i < b->end; i++)
		b->arrived[i] |= random() % 16 != 0;
	while (cum < b->end && b->arrived[cum])
		cum++;
	for (i = cum; i < b->end && i < cum + 512; i++)
		if (b->arrived[i])
			t_tx_ack_bit(&a, cum, i);
	a.echo_us = xm_time_wire_us(b->one->now) - (uint32_t)(random() % 100);
	b->one->out.f.epoch = b->runs->out.f.epoch = 1;
	t_tx_give(b->one, cum, &a);
	t_tx_give(b->runs, cum, &a);
}

static void both_act(struct t_both *b)
{
	uint32_t x = (uint32_t)random(), y = (uint32_t)random() % 100;

	switch (random() % 8) {
	case 0:
	case 1:
		if (xm_tx_frames(b->one->tx) < FRAMES - 70)
			assert_int_equal(t_tx_push(b->one, x % 128 + 1, 0),
					 t_tx_push(b->runs, x % 128 + 1, 0));
		break;
	case 2:
	case 3:
		both_send(b, x % 70 + 1, y + 1);
		break;
	case 4: /* from the first on */
		for (x = 0; x < b->end && !b->posted[x]; x++)
			;
		both_complete(b, x, y);
		break;
	case 5: /* or from any */
		both_complete(b, b->end ? x % b->end : 0, y);
		break;
	case 6:
		both_ack(b);
		break;
	default:
		t_tx_wait(b->one, x % 200);
		t_tx_wait(b->runs, x % 200);
		if (!xm_time_before(b->one->now, xm_tx_expiry(b->one->tx)))
			assert_int_equal(t_tx_expire(b->one),
					 t_tx_expire(b->runs));
	}
	both_compare(b);
}

static void both_begin(struct t_tx *t, uint64_t rate)
{
	t->opts.cc = (struct xm_cc_opts){ .mss = 8300,
					  .cwnd_max = 200 * 8300,
					  .n_channels = 2,
					  .rate = rate };
	t->opts.credit = 150;
	t_tx_begin(t);
}

/* Windows, credit, pacing and a cap bite; frames get lost, complete in pieces and out
 * of order, are probed for, time out. */
static void xm_tx_take_run__is_as_one_by_one(void **state)
{
	static struct t_both b;
	void *one, *runs;
	unsigned int round, i;

	(void)state;

	for (round = 0; round < 8; round++) {
		memset(&b, 0, sizeof(b));
		assert_int_equal(t_tx_setup(&one), 0);
		assert_int_equal(t_tx_setup(&runs), 0);
		b.one = one;
		b.runs = runs;
		both_begin(b.one, round % 2 ? 400 << 20 : 0);
		both_begin(b.runs, round % 2 ? 400 << 20 : 0);
		srandom(round);
		for (i = 0; i < 2000; i++)
			both_act(&b);
		assert_in_range(b.end, 500, FRAMES);
		assert_in_range(xm_tx_stats(b.runs->tx)->frames_resent, 1,
				b.end);
		t_tx_teardown(&one);
		t_tx_teardown(&runs);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, t_tx_setup, t_tx_teardown)
	const struct CMUnitTest tests[] = {
		T(xm_tx_next_run__header_and_rest_go_alone),
		T(xm_tx_next_run__describes_as_next_does),
		T(xm_tx_take_run__takes_a_part),
		T(xm_tx_next_run__never_slices),
		T(xm_tx_next_run__lost_frames_go_before),
		T(xm_tx_next_run__credit_limits_it),
		T(xm_tx_next_run__ends_with_the_window),
		T(xm_tx_next_run__not_when_one_is_forced),
		T(xm_tx_packet__a_row_with_another_between),
		T(xm_tx_next_run__refused_on_a_failed_channel),
		T(xm_tx_take_run__is_as_one_by_one),
	};

	return cmocka_run_group_tests_name("tx_run", tests, NULL, NULL);
}
