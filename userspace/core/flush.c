// SPDX-License-Identifier: GPL-2.0-or-later
/* flush.c - waiting until packets are released
 *
 * Two flushes, two reasons.  xm_tx_make_space() when the ring is full makes
 * space, flush(N-1) unless the user wants another drain, and lets the device run
 * on; xm_tx_flush(0) at the end of an epoch is the barrier that keeps an older
 * page from landing after a newer one.  Neither blocks: the caller drives the
 * channel until the answer is no longer XM_TX_E_PENDING.
 *
 * Dry.  While space is waited for, every frame that was pushed may be with the
 * peer, or on the way to it, and its ACK on the way back: then the device has
 * nothing to do although there is work, and only the ring is in the way.  That
 * is counted and timed: it is what a drain of a part is for.
 *
 *      ring full          last frame complete   its ACK: released
 *         |--- space_ns -------------------------------------|
 *                                  |--- dry_ns --------------|- next frame
 */
#include <errno.h>

#include "tx_state.h"

/* @waits: the counter of flushes that do. */
static int flush(struct xm_tx *tx, uint32_t max_pending, uint64_t *waits)
{
	bool was_copied = tx->was_copied;

	if (tx->err)
		return tx->err;
	/* The ring is used in order, so what makes space is that the slot
	 * max_pending places back is released, not just any. */
	if (tx->n_pending > max_pending || tx->slot[tx->next_slot].open) {
		if (!tx->is_flushing) {
			tx->is_flushing = true;
			(*waits)++;
		}
		return XM_TX_E_PENDING;
	}
	tx->is_flushing = false;
	tx->was_copied = false;
	return was_copied ? XM_TX_E_COPIED : 0;
}

int xm_tx_flush(struct xm_tx *tx, uint32_t max_pending)
{
	return flush(tx, max_pending,
		     max_pending ? &tx->stats.flush_space :
				   &tx->stats.flush_barrier);
}

/* Packets that may stay unreleased when space is made. */
static uint32_t flush_keep(const struct xm_tx_opts *opts)
{
	switch (opts->drain) {
	case XM_DRAIN_FULL:
		return 0;
	case XM_DRAIN_ONE:
		return opts->n_slots - 1;
	case XM_DRAIN_HALF:
	case XM_DRAIN__COUNT:
		break;
	}
	return opts->n_slots / 2;
}

void flush_look_dry(struct xm_tx *tx, struct xm_time now)
{
	if (!tx->wants_space || tx->is_dry || tx->n_posted ||
	    tx->send_seq != tx->next_seq || tx->lost.head != TX_NONE)
		return;
	tx->is_dry = true;
	tx->dry_at = now;
	tx->stats.dry++;
}

void flush_on_sent(struct xm_tx *tx, struct xm_time now)
{
	if (tx->is_dry)
		tx->stats.dry_ns += xm_time_sub(now, tx->dry_at);
	tx->is_dry = false;
}

int xm_tx_make_space(struct xm_tx *tx, struct xm_time now)
{
	int r = flush(tx, flush_keep(&tx->opts), &tx->stats.flush_space);

	if (r == XM_TX_E_PENDING && !tx->wants_space) {
		tx->wants_space = true;
		tx->space_at = now;
	} else if (r != XM_TX_E_PENDING && tx->wants_space) {
		tx->wants_space = false;
		tx->stats.space_ns += xm_time_sub(now, tx->space_at);
	}
	flush_look_dry(tx, now);
	return r;
}
