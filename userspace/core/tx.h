/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tx.h - the sending half of one channel (theory in tx.c and tx_send.c)
 *
 * Life of a packet: xm_tx_push() takes the next slot of the header ring;
 * xm_tx_next() hands its frames out one by one, or xm_tx_next_run() and
 * xm_tx_take_run() many at a time; xm_tx_on_complete() says that the device is done
 * with frames' memory; xm_tx_packet() takes the ACKs.  When every frame of the
 * packet is complete and acknowledged its slot is released.
 */
#ifndef XM_CORE_TX_H
#define XM_CORE_TX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cc.h"
#include "drop.h"
#include "frame.h"
#include "geometry.h"
#include "map.h"
#include "time.h"
#include "trace.h"

/* When the ring is full: how much of it must be released before packets are
 * pushed again. */
enum xm_drain {
	XM_DRAIN_HALF, /* flush(N/2): the device works on the other half */
	XM_DRAIN_FULL, /* flush(0): the device runs dry */
	XM_DRAIN_ONE,  /* flush(N-1): as soon as the next slot is free */
	XM_DRAIN__COUNT,
};

struct xm_tx_opts {
	const struct xm_map *map; /* agreed memory map; lent for tx's life */
	struct xm_geometry geo;
	uint64_t cookie;
	uint8_t channel;
	unsigned int n_channels;
	uint32_t n_slots;  /* header ring entries, at least 1 */
	void *hdr_ring;    /* n_slots headers of XM_MULTIFD_LEN bytes, */
	size_t hdr_stride; /* so far apart; lent for tx's life */
	enum xm_drain drain;
	uint32_t credit;  /* frames, until the first ACK says more */
	int64_t stall_ns; /* no progress for so long is an error */
	struct xm_cc_opts cc;
	struct xm_trace *trace; /* or NULL */
};

/* A frame to be put on the wire.  f describes it whole; the payload is, for
 * DATA, f.n_segs pieces of f.seg_len bytes at the block's hva + f.seg[i], and
 * for HEADER, f.len bytes at hdr_ring + slot * hdr_stride. */
struct xm_tx_frame {
	struct xm_frame f;
	uint32_t slot;
	bool stage; /* the payload must be copied first and the copy be summed:
		     * a live page failed its CRC, or may have */
};

/* Frames of DATA that leave for the first time, one after the other, of one packet
 * and with as many whole pages in each. */
struct xm_tx_run {
	struct xm_frame f; /* the first, without f.seg; each other has the next
			    * number, and begins f.n_segs pages later */
	uint32_t n;
	const uint8_t *segs; /* the segment table of all, as on the wire;
			      * lent as long as the first is open */
};

struct xm_tx_stats {
	uint64_t packets, frames_sent, frames_resent, frames_staged;
	uint64_t bytes_sent, bytes_resent; /* payload of DATA */
	uint64_t bytes_copied; /* reported by on_complete's @copied */
	uint64_t pages, zero_pages;
	uint64_t pages_released; /* of either kind: they are at the peer */
	uint64_t flush_space, flush_barrier; /* flushes that had to wait */
	int64_t space_ns;                    /* in those for space */
	uint64_t dry;   /* times in them that the device had nothing left */
	int64_t dry_ns; /* until it had something again */
	uint64_t acks, probes, timeouts, lost, spurious;
	uint64_t undone; /* timeouts that turned out to be none */
	int64_t srtt_ns, min_rtt_ns;
	uint32_t cwnd_frames;
	struct xm_drops drops;
};

/* Positive outcomes. */
enum {
	XM_TX_E_COPIED = 1,  /* flush: done, but something was copied */
	XM_TX_E_PENDING = 2, /* flush: not yet */
	XM_TX_E_FULL = 3,    /* push: next slot not released; make space */
	XM_TX_E_IDLE = 4,    /* next: nothing to send */
	XM_TX_E_WAIT = 5,    /* next: not allowed to yet, see xm_tx_expiry() */
	XM_TX_E_SINGLE = 6,  /* next_run: it is xm_tx_next() that knows */
};

struct xm_tx;

/* Bytes of memory that xm_tx_init() needs for @opts. */
size_t xm_tx_footprint(const struct xm_tx_opts *opts);

/* Lay a sender out in @mem (64-byte aligned, xm_tx_footprint() bytes).
 * Returns it, or NULL when @opts contradict themselves. */
struct xm_tx *xm_tx_init(void *mem, const struct xm_tx_opts *opts);

/* Begin epoch @epoch (> the last).  Nothing may be unreleased: -EBUSY. */
int xm_tx_epoch(struct xm_tx *tx, uint32_t epoch, struct xm_time now);

/* Queue one packet: @n_normal pages with payload, then @n_zero zero pages, of
 * one block, all of this channel.  0, XM_TX_E_FULL, or -EINVAL. */
int xm_tx_push(struct xm_tx *tx, unsigned int block, const uint64_t *offset,
	       unsigned int n_normal, unsigned int n_zero);

/* Queue the packet that ends the epoch: no pages, SYNC set.  0 or
 * XM_TX_E_FULL; or -EBUSY when something before it is unreleased, since a
 * barrier is flush(0), then SYNC, then flush(0) again. */
int xm_tx_sync(struct xm_tx *tx);

/* Are at most @max_pending packets unreleased?  QEMU's values:
 *   0               yes, and everything since the last flush that answered
 *                   0 or 1 was really sent zero-copy, or nothing was pending
 *   XM_TX_E_COPIED  yes, but something was copied on the way
 *   XM_TX_E_PENDING no; go on with next/packet/on_complete and ask again
 *   -errno          the channel failed; abort the migration
 * 0 is the epoch's barrier. */
int xm_tx_flush(struct xm_tx *tx, uint32_t max_pending);

/* After XM_TX_E_FULL: xm_tx_flush() as far as opts.drain says, N/2 for instance.
 * Call it at once, so that the wait is timed from there, and until the answer is
 * no longer XM_TX_E_PENDING; only then push again. */
int xm_tx_make_space(struct xm_tx *tx, struct xm_time now);

/* The next frame to send.  0 with @ret_frame: it counts as posted now.
 * XM_TX_E_IDLE, XM_TX_E_WAIT, or -errno when the channel failed. */
int xm_tx_next(struct xm_tx *tx, struct xm_time now,
	       struct xm_tx_frame *ret_frame);

/* Which frames, @max at most, may leave as a run?  0 with @ret_run: it was only
 * looked at, and holds until anything else is asked of @tx.  If any of it leaves
 * xm_tx_take_run() is to come before that; if not, xm_tx_next() has the first.
 * XM_TX_E_WAIT, or -errno, as xm_tx_next() would say; XM_TX_E_SINGLE: ask that. */
int xm_tx_next_run(struct xm_tx *tx, struct xm_time now, uint32_t max,
		   struct xm_tx_run *ret_run);

/* The first @n of @run, at least 1, count as posted now. */
void xm_tx_take_run(struct xm_tx *tx, struct xm_time now,
		    const struct xm_tx_run *run, uint32_t n);

/* The device gave back all descriptors of the @n frames from @seq on of @epoch.
 * @copied: payload bytes that a CPU copied to send each (kernel or staging).
 * Returns 0, or -EPROTO when one of them is not posted, and then the channel is of no
 * further use. */
int xm_tx_on_complete(struct xm_tx *tx, struct xm_time now, uint32_t epoch,
		      uint32_t seq, uint32_t n, uint32_t copied);

/* A frame arrived: header @f, of an ACK, and its payload in one piece, CRC not
 * checked yet.  Anything that does not fit is counted and dropped. */
void xm_tx_packet(struct xm_tx *tx, struct xm_time now,
		  const struct xm_frame *f, const void *payload);

/* Count a frame that did not get so far as xm_tx_packet(). */
void xm_tx_drop(struct xm_tx *tx, enum xm_drop reason);

/* When xm_tx_expire() wants to be called, or XM_TIME_NEVER. */
struct xm_time xm_tx_expiry(const struct xm_tx *tx);

/* Timers.  0, or -ETIMEDOUT: no progress for stall_ns. */
int xm_tx_expire(struct xm_tx *tx, struct xm_time now);

/* This channel's part of --bandwidth, bytes per second; 0 = no cap. */
void xm_tx_set_rate(struct xm_tx *tx, uint64_t bytes_per_s);

/* See xm_cc_couple(): after each turn, if there are other channels. */
uint32_t xm_tx_couple(struct xm_tx *tx, uint32_t n_all);

uint32_t xm_tx_pending(const struct xm_tx *tx); /* unreleased packets */
bool xm_tx_has_posted(const struct xm_tx *tx);  /* completions outstanding */
uint32_t xm_tx_unsent(const struct xm_tx *tx);  /* frames that never left */
uint32_t xm_tx_frames(const struct xm_tx *tx);  /* numbers used in the epoch */
const struct xm_tx_stats *xm_tx_stats(struct xm_tx *tx);

/* Invariants; false is a bug of ours.  For tests and --self-check. */
bool xm_tx_check(const struct xm_tx *tx);

#endif
