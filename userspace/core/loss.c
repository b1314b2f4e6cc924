// SPDX-License-Identifier: GPL-2.0-or-later
/* loss.c - the sender's acknowledgements, loss detection and timers
 *
 * By time, not by counting gaps (RACK-TLP, RFC 8985), since channels reorder
 * freely and a retransmission has the number of its original:
 *
 *   Each ACK echoes the newest tx_us that arrived.  Whatever was sent before
 *   that moment, is not acknowledged, and has had a round trip and a reorder
 *   window to arrive, is lost.  The list `sent` is in order of transmission,
 *   so only its head is looked at.  Frames of one batch share a microsecond;
 *   among them the newest acknowledged one decides, since no two frames have
 *   the same sent_ns.  One that was sent again counts only if its batch is
 *   the echoed one: else it may be the original that arrived.
 *
 * The reorder window is a quarter of the least round trip, and grows by
 * another quarter each time the peer reports a duplicate (a retransmission
 * that was not needed), up to a whole smoothed round trip.
 *
 * Timers, one at a time:
 *   reorder    a frame may be lost, but its window is not over
 *   tail probe xm_cc_rto_ns() after the last transmission or progress: the
 *              newest frame in flight is sent again, to provoke an ACK that
 *              tells what is missing before it; the timer doubles
 *   timeout    no progress after the probe: all is lost, the window closes,
 *              the timer doubles again
 *              An ACK for a frame that timed out and was not sent again says
 *              that nothing was lost, the peer was merely slow (a thread
 *              that did not run): all of it is undone (as RFC 5682 and
 *              RFC 4015 do)
 *   stall      nothing new acknowledged, and no acknowledged frame completed,
 *              for stall_ns while a packet is unreleased: the channel has
 *              failed.  Completions alone are no progress: a device also
 *              completes what it sends into a dead path
 *
 * The first two ask a silent peer, and for that any frame will do.  So while the
 * pacer holds one back neither comes: that frame will soon leave and be answered,
 * and a frame sent twice would take its place under the cap.  If besides nothing
 * is in flight or lost, there is nobody to wait for, and that is no stall.
 *
 * A peer's thread may run milliseconds late, on a network of microseconds.  The
 * round trip does not show it: the echo is the newest frame's, which came just
 * before the thread looked.  So the timer knows the lag, too: what the oldest
 * frame that an ACK is the first to cover had to wait.  Not when the timer had
 * to ask and the answer came at once: then an ACK was lost, the wait was the
 * timer's own, and what learns from itself grows to its ceiling.
 *
 * A frame that the device still has is never lost (tx_state.h).  When nothing
 * at all may be sent (credit 0), the timer forces one frame out, so a lost
 * window update cannot stop the channel for ever.
 *
 * A checksum reject names a frame whose header arrived whole and whose payload
 * did not match: it is resent at once, from a staging copy, and says nothing
 * about congestion.
 */
#include <errno.h>
#include <string.h>

#include "crc32c.h"
#include "hint.h"
#include "seq.h"
#include "tx_state.h"

#define LOSS_REO_MAX 32 /* quarters of the least round trip */

/* -- state ---------------------------------------------------------------------- */

void loss_reset(struct xm_tx *tx, struct xm_time now)
{
	tx->rack_ns = tx->echo_ns = -1;
	tx->reo_mult = 1;
	tx->reo_at = tx->rto_at = tx->paced_at = XM_TIME_NEVER;
	tx->progress = now;
	tx->rto_ns = xm_cc_rto_ns(&tx->cc);
	tx->has_probed = false;
	tx->in_timeout = false;
	tx->force = false;
	tx->n_doubtful = 0;
}

static int64_t loss_reo_wnd_ns(const struct xm_tx *tx)
{
	int64_t wnd = tx->cc.min_rtt_ns / 4 * tx->reo_mult;

	return wnd < tx->cc.srtt_ns ? wnd : tx->cc.srtt_ns;
}

void loss_on_blocked(struct xm_tx *tx, struct xm_time now)
{
	if (xm_time_is_never(tx->rto_at))
		loss_on_sent(tx, now);
}

/* -- losses ---------------------------------------------------------------------- */

static void loss_leave_flight(struct xm_tx *tx, struct tx_frame_state *fs)
{
	tx_list_remove(tx, &tx->sent, fs);
	fs->flags &= (uint8_t)~TX_F_SENT;
	tx->n_in_flight--;
	tx->in_flight_bytes -= fs->bytes;
}

static XM_SELDOM void loss_mark(struct xm_tx *tx, struct xm_time now,
				uint32_t seq)
{
	struct tx_frame_state *fs = tx_frame(tx, seq);

	loss_leave_flight(tx, fs);
	fs->flags |= TX_F_LOST;
	tx_list_append(tx, &tx->lost, fs, seq);
	tx->stats.lost++;
	xm_trace(tx->opts.trace, now, XM_TRACE_LOST, tx->opts.channel, seq, 0);
}

/* Give up what RACK says is lost; arm the reorder timer for what may be. */
static void loss_detect(struct xm_tx *tx, struct xm_time now)
{
	int64_t wait = tx->rtt_ns + loss_reo_wnd_ns(tx);
	uint32_t seq, next, n_lost = 0;

	tx->reo_at = XM_TIME_NEVER;
	for (seq = tx->sent.head; seq != TX_NONE; seq = next) {
		const struct tx_frame_state *fs = tx_frame(tx, seq);

		next = fs->next;
		if (fs->sent_ns >= tx->rack_ns)
			break;
		if (fs->flags & TX_F_POSTED)
			continue;
		if (fs->sent_ns + wait > now.ns) {
			tx->reo_at = (struct xm_time){ fs->sent_ns + wait };
			break;
		}
		loss_mark(tx, now, seq);
		n_lost++;
	}
	if (n_lost)
		xm_cc_on_loss(&tx->cc, n_lost);
}

/* Whatever made the window smaller than @cwnd, trace it. */
static void loss_trace_cut(const struct xm_tx *tx, struct xm_time now,
			   uint64_t cwnd)
{
	if (tx->cc.cwnd < cwnd)
		xm_trace(tx->opts.trace, now, XM_TRACE_CUT, tx->opts.channel,
			 tx->cc.cwnd / tx->opts.cc.mss, 0);
}

/* -- acknowledgements --------------------------------------------------------------- */

static void loss_ack_frame(struct xm_tx *tx, struct xm_time now, uint32_t seq,
			   struct loss_acked *acked)
{
	struct tx_frame_state *fs = tx_frame(tx, seq);

	acked->bytes += fs->bytes;
	acked->frames++;
	if (fs->n_sent == 1 &&
	    (!acked->oldest_ns || fs->sent_ns < acked->oldest_ns))
		acked->oldest_ns = fs->sent_ns;
	if (fs->sent_ns > tx->rack_ns &&
	    (fs->n_sent == 1 || fs->sent_ns < tx->echo_ns + XM_US))
		tx->rack_ns = fs->sent_ns;
	if (fs->flags & TX_F_SENT)
		loss_leave_flight(tx, fs);
	if (fs->flags & TX_F_LOST)
		tx_list_remove(tx, &tx->lost, fs);
	if (fs->flags & TX_F_TIMED_OUT)
		acked->was_timed_out = true;
	fs->flags = (uint8_t)((fs->flags &
			       ~(TX_F_LOST | TX_F_TIMED_OUT | TX_F_STAGE)) |
			      TX_F_ACKED);
	if (!(fs->flags & TX_F_POSTED))
		tx_close_frames(tx, now, fs->slot, 1);
}

/* Acknowledge the frames of bitmap word @w that are news; @base is the number
 * of its bit 0, a multiple of 64. */
static void loss_ack_word(struct xm_tx *tx, struct xm_time now, uint32_t base,
			  uint64_t w, struct loss_acked *acked)
{
	uint64_t *was = &tx->acked[(base & tx->mask) / 64];
	uint32_t i, n;

	w &= ~*was;
	*was |= w;
	while (w) {
		i = (uint32_t)__builtin_ctzll(w);
		n = ~(w >> i) ? (uint32_t)__builtin_ctzll(~(w >> i)) : 64;
		n = tx_ack_run(tx, now, base + i, n, acked);
		if (!n) {
			loss_ack_frame(tx, now, base + i, acked);
			n = 1;
		}
		w &= UINT64_MAX << i << (n - 1) << 1;
	}
}

/* Bits of the word that starts at @base which lie in [from, to). */
static uint64_t loss_range_mask(uint32_t base, uint32_t from, uint32_t to)
{
	uint64_t m = UINT64_MAX;

	if (from > base)
		m = from - base >= 64 ? 0 : m << (from - base);
	if (to < base + 64)
		m = to <= base ? 0 : m & (UINT64_MAX >> (base + 64 - to));
	return m;
}

/* Does the ACK acknowledge only what was sent?  Numbers do not wrap inside an
 * epoch (seq.h), so plain comparisons serve. */
static bool loss_ack_is_sane(const struct xm_tx *tx, uint32_t cum,
			     const struct xm_ack *ack)
{
	uint32_t base = cum & ~63u;
	unsigned int i;

	if (cum > tx->send_seq)
		return false;
	for (i = 0; i < ack->n_words; i++)
		if (ack->words[i] &
		    ~loss_range_mask(base + 64 * i, 0, tx->send_seq))
			return false;
	return true;
}

/* All below cum are acknowledged, again. */
static void loss_advance(struct xm_tx *tx)
{
	uint32_t left, n;
	uint64_t gaps;

	while (tx->cum < tx->send_seq) {
		gaps = ~tx->acked[(tx->cum & tx->mask) / 64] >> (tx->cum & 63);
		left = 64 - (tx->cum & 63);
		n = gaps ? (uint32_t)__builtin_ctzll(gaps) : left;
		if (n > tx->send_seq - tx->cum)
			n = tx->send_seq - tx->cum;
		tx->cum += n;
		if (n < left)
			break;
	}
}

static void loss_apply_ack(struct xm_tx *tx, struct xm_time now, uint32_t cum,
			   const struct xm_ack *ack, struct loss_acked *acked)
{
	uint32_t base, w_base;
	unsigned int i;

	for (base = tx->cum & ~63u; base < cum; base += 64)
		loss_ack_word(tx, now, base,
			      loss_range_mask(base, tx->cum, cum), acked);
	for (i = 0; i < ack->n_words; i++) {
		w_base = (cum & ~63u) + 64 * i;
		loss_ack_word(tx, now, w_base,
			      ack->words[i] & loss_range_mask(w_base, tx->cum,
							      tx->send_seq),
			      acked);
	}
	loss_advance(tx);
}

/* A round-trip sample and the moment RACK goes by. */
static void loss_take_echo(struct xm_tx *tx, struct xm_time now,
			   const struct xm_ack *ack)
{
	uint32_t age_us = xm_time_wire_us(now) - ack->echo_us;
	int64_t sent_ns;

	if (age_us > (uint32_t)(tx->opts.stall_ns / XM_US) ||
	    ack->hold_us > age_us)
		return; /* nothing of this flight arrived yet, or nonsense */
	sent_ns = now.ns / XM_US * XM_US - (int64_t)age_us * XM_US;
	if (sent_ns <= tx->echo_ns)
		return; /* nothing newer than the last ACK said */
	tx->echo_ns = sent_ns;
	if (sent_ns > tx->rack_ns)
		tx->rack_ns = sent_ns;
	tx->rtt_ns = ((int64_t)age_us - ack->hold_us) * XM_US;
	if (tx->rtt_ns < XM_US)
		tx->rtt_ns = XM_US;
	xm_cc_on_rtt(&tx->cc, tx->rtt_ns);
}

static void loss_take_rejects(struct xm_tx *tx, struct xm_time now,
			      const struct xm_ack *ack)
{
	struct tx_frame_state *fs;
	unsigned int i;
	uint32_t seq;

	for (i = 0; i < ack->n_rejects; i++) {
		seq = ack->rejects[i];
		if (seq < tx->cum || seq >= tx->send_seq)
			continue;
		fs = tx_frame(tx, seq);
		if (fs->flags & TX_F_ACKED)
			continue;
		fs->flags |= TX_F_STAGE;
		/* Resent since?  Then this is about the one before. */
		if (!(fs->flags & TX_F_SENT) || (fs->flags & TX_F_POSTED) ||
		    fs->sent_ns >= tx->echo_ns + XM_US)
			continue;
		loss_mark(tx, now, seq);
	}
}

/* A duplicate may be a retransmission of ours that was not needed: widen the
 * reorder window.  The network can make duplicates too, so not more steps
 * than there were retransmissions. */
static void loss_take_dups(struct xm_tx *tx, uint32_t n_dup)
{
	if (!xm_seq_before(tx->peer_dup, n_dup))
		return;
	tx->peer_dup = n_dup;
	if (!tx->n_doubtful)
		return;
	tx->n_doubtful--;
	tx->stats.spurious++;
	if (tx->reo_mult < LOSS_REO_MAX)
		tx->reo_mult++;
}

/* What timed out and waits is in flight after all, in the order of its
 * transmission. */
static void loss_undo_timeout(struct xm_tx *tx)
{
	uint32_t seq, prev, at = tx->sent.tail;

	for (seq = tx->lost.tail; seq != TX_NONE; seq = prev) {
		struct tx_frame_state *fs = tx_frame(tx, seq);

		prev = fs->prev;
		if (!(fs->flags & TX_F_TIMED_OUT))
			continue;
		tx_list_remove(tx, &tx->lost, fs);
		while (at != TX_NONE && tx_frame(tx, at)->sent_ns > fs->sent_ns)
			at = tx_frame(tx, at)->prev;
		tx_list_insert_after(tx, &tx->sent, at, seq);
		fs->flags =
			(uint8_t)((fs->flags & ~(TX_F_LOST | TX_F_TIMED_OUT)) |
				  TX_F_SENT);
		tx->n_in_flight++;
		tx->in_flight_bytes += fs->bytes;
		tx->stats.lost--;
	}
	xm_cc_undo_timeout(&tx->cc);
	tx->in_timeout = false;
	tx->force = false;
	tx->stats.undone++;
}

static void loss_check_timeout(struct xm_tx *tx, const struct loss_acked *acked)
{
	if (!tx->in_timeout)
		return;
	if (acked->was_timed_out) {
		loss_undo_timeout(tx);
	} else if (tx->lost.head == TX_NONE) {
		tx->in_timeout = false;
		xm_cc_end_timeout(&tx->cc);
	}
}

/* A peer that meant to withhold the ACK for so long is not late; one that
 * withheld it for longer is.  A peer that sleeps answers what it was asked meanwhile
 * any time later; one that does not, within a round trip. */
static void loss_take_lag(struct xm_tx *tx, struct xm_time now,
			  int64_t oldest_ns, const struct xm_ack *ack)
{
	uint32_t hold_us = ack->hold_us < XM_ACK_DELAY_US ? ack->hold_us :
							    XM_ACK_DELAY_US;
	int64_t lag_ns = now.ns - oldest_ns - hold_us * XM_US;
	bool has_asked = tx->has_probed || tx->in_timeout;

	if (!has_asked || tx->rtt_ns >= lag_ns / 4)
		xm_cc_on_lag(&tx->cc, lag_ns);
}

static void loss_take_ack(struct xm_tx *tx, struct xm_time now, uint32_t cum,
			  const struct xm_ack *ack)
{
	struct loss_acked acked = { 0 };
	uint64_t cwnd = tx->cc.cwnd, in_flight = tx->in_flight_bytes;
	uint32_t ce = 0;

	tx->stats.acks++;
	loss_take_echo(tx, now, ack);
	loss_apply_ack(tx, now, cum, ack, &acked);
	if (acked.oldest_ns)
		loss_take_lag(tx, now, acked.oldest_ns, ack);
	loss_check_timeout(tx, &acked);
	if (cum >= tx->cum)
		tx->credit = ack->credit; /* an old ACK's credit is old */
	if (xm_seq_before(tx->peer_ce, ack->n_ce)) {
		ce = ack->n_ce - tx->peer_ce;
		tx->peer_ce = ack->n_ce;
	}
	loss_take_dups(tx, ack->n_dup);
	xm_cc_look(&tx->cc, now, in_flight);
	if (acked.frames || ce)
		xm_cc_on_ack(&tx->cc, in_flight, acked.bytes, acked.frames, ce);
	xm_trace(tx->opts.trace, now, XM_TRACE_ACK, tx->opts.channel, tx->cum,
		 acked.frames);
	if (acked.frames) {
		tx->progress = now;
		tx->has_probed = false;
		tx->rto_ns = xm_cc_rto_ns(&tx->cc);
	}
	loss_take_rejects(tx, now, ack);
	loss_detect(tx, now);
	loss_trace_cut(tx, now, cwnd);
	if (acked.frames)
		loss_arm(tx, now);
}

void xm_tx_packet(struct xm_tx *tx, struct xm_time now,
		  const struct xm_frame *f, const void *payload)
{
	struct xm_ack ack;
	enum xm_drop reason = XM_DROP_NONE;

	if (f->type != XM_WIRE_ACK)
		reason = XM_DROP_BAD_TYPE;
	else if (f->channel != tx->opts.channel)
		reason = XM_DROP_BAD_CHANNEL;
	else if (f->cookie != tx->opts.cookie)
		reason = XM_DROP_BAD_COOKIE;
	else if (!f->is_payload_proven &&
		 xm_crc32c(0, payload, f->len) != f->payload_crc)
		reason = XM_DROP_BAD_PAYLOAD_CRC;
	else if (f->epoch != tx->epoch)
		reason = XM_DROP_STALE_EPOCH;
	else
		reason = xm_ack_get(&ack, payload, f->len);
	if (!reason && !loss_ack_is_sane(tx, f->seq, &ack))
		reason = XM_DROP_BAD_ACK;
	if (reason) {
		xm_tx_drop(tx, reason);
		return;
	}
	loss_take_ack(tx, now, f->seq, &ack);
}

/* -- timers ------------------------------------------------------------------------ */

/* Nobody answered: wait twice as long. */
static void loss_back_off(struct xm_tx *tx)
{
	tx->rto_ns *= 2;
	if (tx->rto_ns > XM_RTO_MAX_US * XM_US)
		tx->rto_ns = XM_RTO_MAX_US * XM_US;
}

/* Send the newest frame in flight that has left the host again: its ACK shows
 * what is missing.  If none has left, there is nothing to ask for yet. */
static void loss_tail_probe(struct xm_tx *tx, struct xm_time now)
{
	uint32_t seq = tx->sent.tail;

	while (seq != TX_NONE && (tx_frame(tx, seq)->flags & TX_F_POSTED))
		seq = tx_frame(tx, seq)->prev;
	if (seq == TX_NONE)
		return;
	tx->has_probed = true;
	xm_trace(tx->opts.trace, now, XM_TRACE_TAIL_PROBE, tx->opts.channel,
		 seq, 0);
	tx->stats.probes++;
	loss_mark(tx, now, seq);
	loss_back_off(tx);
	tx->stats.lost--; /* not known to be */
	tx->force = true;
}

static void loss_timeout(struct xm_tx *tx, struct xm_time now)
{
	uint32_t seq, next, n = 0;

	for (seq = tx->sent.head; seq != TX_NONE; seq = next) {
		next = tx_frame(tx, seq)->next;
		if (tx_frame(tx, seq)->flags & TX_F_POSTED)
			continue;
		loss_mark(tx, now, seq);
		tx_frame(tx, seq)->flags |= TX_F_TIMED_OUT;
		n++;
	}
	if (!n && tx->n_in_flight)
		return; /* the device has them all: nothing timed out */
	if (n) {
		xm_cc_on_timeout(&tx->cc);
		tx->in_timeout = true;
	}
	loss_back_off(tx);
	tx->stats.timeouts++;
	tx->force = true;
	xm_trace(tx->opts.trace, now, XM_TRACE_TIMEOUT, tx->opts.channel,
		 tx->cum, (uint64_t)(tx->rto_ns / XM_US));
}

struct xm_time xm_tx_expiry(const struct xm_tx *tx)
{
	struct xm_time t;

	if (xm_time_is_never(tx->rto_at))
		return XM_TIME_NEVER; /* all is released; others are left over */
	t = xm_time_min(tx->reo_at, tx->rto_at);
	t = xm_time_min(t, tx->paced_at);
	return xm_time_min(t, xm_time_add(tx->progress, tx->opts.stall_ns));
}

static void loss_on_timer(struct xm_tx *tx, struct xm_time now)
{
	if (tx->n_in_flight && !tx->has_probed && tx->cc.srtt_ns)
		loss_tail_probe(tx, now);
	else
		loss_timeout(tx, now);
}

int xm_tx_expire(struct xm_tx *tx, struct xm_time now)
{
	bool is_paced = !xm_time_is_never(tx->paced_at);
	uint64_t cwnd = tx->cc.cwnd;

	if (tx->err)
		return tx->err;
	if (xm_time_is_never(tx->rto_at))
		return 0;
	if (is_paced && !tx->n_in_flight && tx->lost.head == TX_NONE)
		tx->progress = now;
	if (xm_time_sub(now, tx->progress) >= tx->opts.stall_ns) {
		tx->err = -ETIMEDOUT;
		return tx->err;
	}
	if (!xm_time_before(now, tx->paced_at))
		tx->paced_at = XM_TIME_NEVER;
	if (!xm_time_before(now, tx->reo_at))
		loss_detect(tx, now);
	if (!xm_time_before(now, tx->rto_at)) {
		if (!is_paced)
			loss_on_timer(tx, now);
		loss_arm(tx, now);
	}
	loss_trace_cut(tx, now, cwnd);
	return 0;
}
