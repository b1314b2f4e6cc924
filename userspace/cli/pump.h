/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pump.h - the bridge between one channel's rings and its protocol
 *
 * A pump belongs to one thread (pool.h).  It owns the channel's socket and
 * the sending or receiving half of the protocol, and moves frames between
 * them: pump_turn() does as much as can be done without waiting.
 */
#ifndef XM_CLI_PUMP_H
#define XM_CLI_PUMP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/encap.h"
#include "core/pages.h"
#include "core/probe.h"
#include "core/rx.h"
#include "core/seal.h"
#include "core/tx.h"
#include "util/error.h"
#include "xsk/chan.h"

enum pump_state {
	PUMP_SHUT,  /* no socket yet, or it is not bound */
	PUMP_OPEN,  /* socket stands; frames are dropped */
	PUMP_PROBE, /* path is being proven, or proven and still answering */
	PUMP_IDLE,  /* between epochs */
	PUMP_SEND,  /* source: packets are made and sent */
	PUMP_FLUSH, /* source: flush(0) before SYNC */
	PUMP_SYNC,  /* source: SYNC is on its way: flush(0) again */
	PUMP_RECV,  /* destination: frames of the epoch are placed */
};

struct pump_opts {
	unsigned int channel;
	struct xsk_chan_opts chan;   /* extents lent until the pump is open */
	struct xm_path path;         /* ports are set by the pump */
	uint16_t my_base, peer_base; /* UDP ports of channel 0 */
	uint64_t cookie;
	const struct xm_cipher *cipher; /* NULL: a session without keys */
	void *keys;                     /* the cipher's, lent */
	bool encrypts;
	uint16_t ip_max;     /* agreed */
	bool waits_for_peer; /* do not give up probing: the peer does */
	bool is_sender;
	const atomic_bool *stop; /* set: opening may end half done.  The
				  * pool's, which fills it in */
	struct xm_tx_opts tx;    /* hdr_ring is filled in by the pump */
	struct xm_rx_opts rx;
};

/* Figures, copied out for other threads. */
struct pump_report {
	struct xm_tx_stats tx;
	struct xm_rx_stats rx;
	struct xsk_stats xsk;
	struct xm_rx_totals totals; /* of the last epoch: sent, or installed */
	uint32_t epoch;             /* src: last begun */
	uint64_t pages_done;        /* src: at the peer, this epoch */
	bool is_sending;            /* src: its part of the epoch is not done */
	uint64_t locked;            /* bytes the UMEM pins */
	uint64_t left_out;          /* bytes of guest memory not in the UMEM */
	uint32_t credit;
	uint64_t polls; /* system calls to wait, this worker's share */
	enum xsk_engine engine;
	bool is_zero_copy;
	struct xm_drops drops; /* of frames that no half took */
};

struct pump {
	struct pump_opts opts;
	enum pump_state state;
	struct xsk_chan *chan;
	struct xm_path path;
	struct xm_encap_head head; /* of the path, ports included */
	struct xm_encap_last last; /* of the frames that come */
	struct xm_seal seal;
	struct xm_probe probe;

	struct xm_tx *tx;
	struct xm_pages pages;
	struct xm_page_batch batch;
	bool has_batch;   /* a packet waits for a slot */
	bool makes_space; /* the ring was full: first there must be space */
	uint32_t epoch;
	struct xm_tx_stats epoch_base; /* at the epoch's begin */
	unsigned int turn_max;         /* frames to send in a turn */

	struct xm_rx *rx;
	void *mem;       /* of tx or rx */
	uint8_t *linear; /* XM_MTU_MAX bytes, for payloads in pieces */
	struct xm_drops drops;
	bool is_stuck; /* something is due, but the TX ring is full */
};

/* The steps of xsk/chan.h.  0 or -errno with @e; the pump is to be closed either
 * way.
 *
 *   make  is quick.  Of @opts only is_sender, channel, stop, chan and the map
 *         count yet: what is known before the peer has said anything.
 *   pin   takes seconds for many GiB, of which the kernel's pinning is one system
 *         call; a destination faults its guest's memory in instead
 *   open  binds and makes the protocol; all of @opts counts, and what did before
 *         is the same */
int pump_make(struct pump *p, const struct pump_opts *opts, struct xm_error *e);
int pump_pin(struct pump *p, struct xm_error *e);
int pump_open(struct pump *p, const struct pump_opts *opts, struct xm_error *e);
void pump_close(struct pump *p); /* a zeroed pump is fine */

void pump_begin_probe(struct pump *p);
bool pump_is_proven(const struct pump *p);

/* A new path for the same flow: MAC or VLAN changed. */
void pump_set_path(struct pump *p, const struct xm_path *path);
/* Source: a new cap, bytes per second; 0 none. */
void pump_set_rate(struct pump *p, uint64_t bytes_per_s);

/* Source: send the pages of @set as epoch @epoch.  Destination: take them. */
int pump_begin_epoch(struct pump *p, uint32_t epoch,
		     const struct xm_page_set *set, struct xm_time now,
		     struct xm_error *e);
/* Source: everything of the epoch, SYNC included, is acknowledged. */
bool pump_is_installed(const struct pump *p);
/* Destination: take no more frames of it. */
void pump_end_epoch(struct pump *p);

/* One round of work.  1: something was done, call again; 0: nothing to do
 * before pump_expiry() or the socket becomes readable; -errno with @e. */
int pump_turn(struct pump *p, struct xm_time now, struct xm_error *e);
struct xm_time pump_expiry(const struct pump *p, struct xm_time now);

/* After a turn, if there are others: xm_cc_couple(). */
uint32_t pump_couple(struct pump *p, uint32_t n_all);

/* Now and then: is the device still there, does the kernel take what we post?
 * 0 or -errno with @e. */
int pump_check(struct pump *p, struct xm_error *e);

void pump_report(struct pump *p, struct pump_report *ret_report);

/* For pump.c and pump_*.c. */
/* A destination's guest memory that its channel will write; a source's that it will
 * pin.  Not all of it, once opts->stop is set. */
void pump_warm_guest(const struct pump_opts *opts);
void pump_warm_slice(const struct pump *p);
xm_page_find pump_find_page; /* of a source's pump */
int pump_probe_turn(struct pump *p, struct xm_time now, struct xm_error *e);
int pump_tx_turn(struct pump *p, struct xm_time now, struct xm_error *e);
int pump_rx_turn(struct pump *p, struct xm_time now, struct xm_error *e);
/* 0, or -errno with @e: frames can no longer be sealed, or the peer's not be
 * opened. */
int pump_check_seal(const struct pump *p, struct xm_error *e);
/* Put prefix and frame into a staging buffer whose frame begins at
 * prefix_len. */
int pump_put_whole(struct pump *p, const struct xsk_buf *buf, size_t frame_len,
		   uint16_t sport, struct xm_error *e);

/* What a turn sends at most.  It leaves with one system call, and what was summed
 * should still be in the second-level cache when the kernel copies it there, or the
 * device reads it.  And it must leave room at the peer: who sends all that fits, and
 * waits, has nothing to do while the peer works, and the other way round.  So it is at
 * most half of the peer's credit, but never less than _TX_LEAST. */
#define PUMP_TX_BATCH       72          /* frames, and */
#define PUMP_TX_BYTES       (576 << 10) /* bytes of payload */
#define PUMP_TX_LEAST       32
#define PUMP_TX_LEAST_BYTES (256 << 10)

/* What a turn receives at most.  It is placed at once, so the caches set no limit,
 * and each acknowledgement costs a system call. */
#define PUMP_RX_BATCH 128
#define PUMP_RX_BYTES (2 << 20)

/* Received frames that are lent at a time, and rows of completions that are taken. */
#define PUMP_BATCH 32

#endif
