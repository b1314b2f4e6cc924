/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_loss.h - flights of five frames, and what was lost of them; and a flight
 * that the pacer holds back */
#ifndef T_LOSS_H
#define T_LOSS_H

#include "t_tx.h"

/* A round trip of @us is known, and frames 2 to 6 have just left. */
static inline struct t_tx *t_five_frames_after(void **state, int64_t us)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 2);
	t_tx_complete_all(t, 0, 1);
	t_tx_wait(t, us);
	t_tx_give_cum(t, 2);
	t_tx_packet(t, 8);
	(void)t_trace_take(&t->trace, XM_TRACE_SEND);
	return t;
}

/* The same without a sample: frames 0 to 4. */
static inline struct t_tx *t_five_frames(void **state)
{
	struct t_tx *t = t_tx_begin(*state);

	t_tx_packet(t, 8);
	(void)t_trace_take(&t->trace, XM_TRACE_SEND);
	return t;
}

static inline const char *t_lost(struct t_tx *t)
{
	return t_trace_take(&t->trace, XM_TRACE_LOST);
}

/* 100 kB/s: the first burst has left and arrived, 30 frames wait for theirs. */
static inline struct t_tx *t_paced(void **state)
{
	struct t_tx *t = *state;

	t->opts.cc.mss = 9000;
	t->opts.cc.rate = 100000;
	t->opts.stall_ns = 20 * XM_MS;
	t_tx_begin(t);
	assert_int_equal(t_tx_push(t, 128, 0), 0);
	while (!t_tx_next(t))
		t_tx_complete_all(t, t->out.f.seq, t->out.f.seq);
	t_tx_wait(t, 100);
	t_tx_give_cum(t, xm_tx_stats(t->tx)->frames_sent);
	assert_int_equal(t_tx_next(t), XM_TX_E_WAIT);
	return t;
}

#endif
