/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tx_state.h - what tx.c (packets), tx_send.c (frames), flush.c and loss.c (ACKs,
 * timers) share.  Nobody else includes it.
 *
 * A frame is in exactly one of these places:
 *   unsent   number at or above send_seq
 *   sent     on the time-ordered list `sent`: transmitted, neither
 *            acknowledged nor given up; counts as in flight
 *   lost     on the list `lost`, waiting to be transmitted again
 *   acked    on no list
 * and besides, POSTED or not: the device has its memory.  A posted frame has
 * not left the host for certain, so it is never moved to `lost`, and there is
 * never a second transmission of it beside the first.
 */
#ifndef XM_CORE_TX_STATE_H
#define XM_CORE_TX_STATE_H

#include <assert.h>

#include "tx.h"

#define TX_NONE UINT32_MAX /* end of a list */

enum {
	TX_F_POSTED = 0x01,
	TX_F_ACKED = 0x02,
	TX_F_SENT = 0x04,      /* on list sent */
	TX_F_LOST = 0x08,      /* on list lost */
	TX_F_TIMED_OUT = 0x20, /* on list lost because of a timeout */
	TX_F_STAGE = 0x10,     /* copy the payload when it is next sent */
};

struct tx_frame_state {
	int64_t sent_ns;     /* last transmission; no two are the same */
	uint32_t prev, next; /* sequence numbers, on list sent or lost */
	uint16_t slot;
	uint8_t flags;
	uint8_t n_sent; /* transmissions, stops at 255 */
	uint16_t bytes; /* counted in windows: payload and what is around it */
};

struct tx_list {
	uint32_t head, tail; /* sequence numbers or TX_NONE */
};

struct tx_slot {
	uint32_t first_seq;
	uint32_t n_frames;
	uint32_t open; /* frames not yet complete and acknowledged */
	uint32_t packet;
	uint16_t n_normal, n_zero;
	uint8_t block;
};

struct xm_tx {
	struct xm_tx_opts opts;
	struct xm_tx_stats stats;
	struct xm_cc cc;

	/* the header ring */
	struct tx_slot *slot;
	uint32_t next_slot;   /* to be taken by the next packet */
	uint32_t n_pending;   /* slots with open frames */
	uint32_t next_packet; /* number in the epoch */
	uint64_t n_packets;   /* ever: makes packet_num */
	bool is_flushing;     /* a flush answered PENDING */
	bool wants_space;     /* xm_tx_make_space() did, since ... */
	bool is_dry;          /* and the device has nothing, since ... */
	struct xm_time space_at, dry_at;
	bool was_copied; /* since the last flush that was done */

	/* the frames of the epoch; index is seq & mask */
	struct tx_frame_state *frame;
	uint64_t *acked; /* bitmap, the same index */
	uint32_t mask;
	uint32_t epoch;
	uint32_t cum;      /* all below are acknowledged */
	uint32_t send_seq; /* the next never sent */
	uint32_t next_seq; /* the next to be given out */
	struct tx_list sent, lost;
	uint32_t n_in_flight;
	uint64_t in_flight_bytes;
	uint32_t n_posted;

	/* what the peer said last */
	uint32_t credit;
	uint32_t peer_ce, peer_dup; /* of this epoch */

	/* loss detection and timers; see loss.c */
	int64_t rack_ns;       /* when the newest frame that arrived was sent */
	int64_t echo_ns;       /* the same as the last echo says, in whole us */
	int64_t rtt_ns;        /* last sample */
	int64_t last_sent_ns;  /* sent_ns of the newest transmission */
	struct xm_time told;   /* tx_us was made of this, and it */
	uint32_t told_us;      /* is this: a turn's frames share a moment */
	unsigned int reo_mult; /* reorder window in quarters of min RTT */
	struct xm_time reo_at; /* look for losses again */
	struct xm_time rto_at; /* tail probe or timeout */
	struct xm_time paced_at;
	struct xm_time progress; /* last sign of life, for the stall deadline */
	int64_t rto_ns;
	uint32_t n_doubtful; /* retransmissions not yet known to be needless */
	bool has_probed;     /* the tail probe of this flight is out */
	bool in_timeout;     /* frames that timed out wait on list lost */
	bool force;          /* one frame may leave whatever the windows say */
	int err;             /* sticky: the channel failed */
};

static inline struct tx_frame_state *tx_frame(const struct xm_tx *tx,
					      uint32_t seq)
{
	return &tx->frame[seq & tx->mask];
}

/* Of the @n frames from @seq on: how many are in a row in memory? */
static inline uint32_t tx_row(const struct xm_tx *tx, uint32_t seq, uint32_t n)
{
	uint32_t left = tx->mask + 1 - (seq & tx->mask);

	return n < left ? n : left;
}

/* SYNC is one small frame an epoch, after a round trip in which nothing left,
 * and all wait for it: it leaves at once, and what comes next pays for it. */
static inline bool tx_is_sync(const struct xm_tx *tx,
			      const struct tx_frame_state *fs)
{
	const struct tx_slot *slot = &tx->slot[fs->slot];

	return !slot->n_normal && !slot->n_zero;
}

/* @f is frame @seq. */
static inline void tx_list_append(const struct xm_tx *tx, struct tx_list *list,
				  struct tx_frame_state *f, uint32_t seq)
{
	f->prev = list->tail;
	f->next = TX_NONE;
	if (list->tail == TX_NONE)
		list->head = seq;
	else
		tx_frame(tx, list->tail)->next = seq;
	list->tail = seq;
}

/* Take off what is from @first to @last, neighbours on @list. */
static inline void tx_list_cut(const struct xm_tx *tx, struct tx_list *list,
			       const struct tx_frame_state *first,
			       const struct tx_frame_state *last)
{
	if (first->prev == TX_NONE)
		list->head = last->next;
	else
		tx_frame(tx, first->prev)->next = last->next;
	if (last->next == TX_NONE)
		list->tail = first->prev;
	else
		tx_frame(tx, last->next)->prev = first->prev;
}

static inline void tx_list_remove(const struct xm_tx *tx, struct tx_list *list,
				  const struct tx_frame_state *f)
{
	tx_list_cut(tx, list, f, f);
}

/* @at TX_NONE: at the head. */
void tx_list_insert_after(struct xm_tx *tx, struct tx_list *list, uint32_t at,
			  uint32_t seq);

/* No frame of slot @s is open any more. */
void tx_release(struct xm_tx *tx, struct xm_time now, uint32_t s);

/* @n frames of slot @s are acknowledged and complete: so many open ones less. */
static inline void tx_close_frames(struct xm_tx *tx, struct xm_time now,
				   uint32_t s, uint32_t n)
{
	assert(tx->slot[s].open >= n);
	tx->slot[s].open -= n;
	if (!tx->slot[s].open)
		tx_release(tx, now, s);
}

/* The timer runs from now on: tail probe first, timeout after it; nothing once all
 * is released. */
static inline void loss_arm(struct xm_tx *tx, struct xm_time now)
{
	tx->rto_at = tx->n_pending ? xm_time_add(now, tx->rto_ns) :
				     XM_TIME_NEVER;
}

/* A frame was put on list sent just now. */
static inline void loss_on_sent(struct xm_tx *tx, struct xm_time now)
{
	if (xm_time_is_never(tx->rto_at))
		tx->progress = now; /* the stall clock starts with a flight */
	loss_arm(tx, now);
}

static inline void loss_on_complete(struct xm_tx *tx, struct xm_time now,
				    bool was_acked)
{
	if (was_acked)
		tx->progress = now;
	loss_arm(tx, now);
}

/* What an ACK has brought so far. */
struct loss_acked {
	uint64_t bytes;
	uint32_t frames;
	int64_t oldest_ns;  /* when one of them left that was sent once; 0 */
	bool was_timed_out; /* one of them, and had not been sent again */
};

/* tx_send.c.  Acknowledge as many of the @n frames from @seq on as left once, one
 * after the other, have been completed, and are of one slot: those come off the list
 * and out of the flight together.  Returns how many, maybe none. */
uint32_t tx_ack_run(struct xm_tx *tx, struct xm_time now, uint32_t seq,
		    uint32_t n, struct loss_acked *acked);

/* loss.c.  None may be sent: all the same the timers run from here on. */
void loss_on_blocked(struct xm_tx *tx, struct xm_time now);
void loss_reset(struct xm_tx *tx, struct xm_time now);

/* flush.c.  Space may be waited for: has the device anything left to do?  Now it
 * has. */
void flush_look_dry(struct xm_tx *tx, struct xm_time now);
void flush_on_sent(struct xm_tx *tx, struct xm_time now);

#endif
