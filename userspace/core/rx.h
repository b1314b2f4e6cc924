/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rx.h - the receiving half of one channel (theory in rx.c) */
#ifndef XM_CORE_RX_H
#define XM_CORE_RX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drop.h"
#include "frame.h"
#include "map.h"
#include "seal.h"
#include "time.h"
#include "trace.h"
#include "vec.h"

struct xm_rx_opts {
	struct xm_map *map; /* agreed; lent for rx's life; hva and dirtied
				   * are written to */
	uint64_t cookie;
	uint8_t channel;
	uint32_t credit; /* frames the receiver can hold */
	/* For ACKs and xm_rx_next(); NULL: a session without keys. */
	struct xm_seal *seal;
	struct xm_trace *trace; /* or NULL */
};

struct xm_rx_stats {
	uint64_t frames, packets;
	uint64_t bytes_placed;                  /* of DATA */
	uint64_t pages, zero_pages, zero_holes; /* holes: first-time zeros */
	uint64_t acks_sent, n_ce;
	struct xm_drops drops;
};

/* Totals of the current epoch, for the barrier. */
struct xm_rx_totals {
	uint32_t frames;  /* installed, HEADER and DATA */
	uint32_t packets; /* HEADERs, SYNC included */
	uint64_t bytes_placed;
	uint64_t pages_announced; /* normal pages of all HEADERs */
	uint64_t zero_pages;
	/* Sums over pages of a hash of their address times bytes, in whatever
	 * order they came: equal when what was announced is what was placed. */
	uint64_t sum_announced, sum_placed;
	uint64_t sum_zero; /* the same over zero pages */
};

struct xm_rx;

size_t xm_rx_footprint(const struct xm_rx_opts *opts);
struct xm_rx *xm_rx_init(void *mem, const struct xm_rx_opts *opts);

/* From now on take frames of @epoch (> 0) only; totals start anew. */
void xm_rx_epoch(struct xm_rx *rx, uint32_t epoch);

/* Take no frame any more until the next xm_rx_epoch().  Totals stay.  A
 * receiver starts closed. */
void xm_rx_close(struct xm_rx *rx);

/* Is what was placed what was announced, page by page? */
bool xm_rx_totals_agree(const struct xm_rx_totals *t);

/* A frame arrived: decoded header @f, payload in @n pieces that together have
 * f->len bytes; @ce: its IP header carried Congestion Experienced.  DATA is
 * copied to the guest and summed in one pass; HEADER's zero pages are
 * installed.  Returns XM_DROP_NONE or the reason it was dropped, counted. */
enum xm_drop xm_rx_packet(struct xm_rx *rx, struct xm_time now,
			  const struct xm_frame *f, const struct xm_vec *vec,
			  unsigned int n, bool ce);

/* The shorter way for a frame that is like the one before.  It is here in @n pieces,
 * behind @skip bytes of the first, and to the end of the last: @total bytes, tag
 * and all, which nobody has looked at.  XM_DROP_NONE or the reason it was dropped,
 * counted, as by xm_rx_packet(); or -EAGAIN: nothing was done, xm_seal_open() and
 * xm_rx_packet() are to look at it. */
int xm_rx_next(struct xm_rx *rx, struct xm_time now, const struct xm_vec *vec,
	       unsigned int n, size_t skip, size_t total, bool ce);

void xm_rx_drop(struct xm_rx *rx, enum xm_drop reason);

/* Is an ACK due?  If so write a whole sealed frame (header and payload) to
 * @dst, XM_WIRE_HEADER_MAX + XM_ACK_LEN_MAX bytes, and return its length; else,
 * or when it cannot be sealed (opts.seal->err), return 0.  Call after each batch
 * of frames and at xm_rx_expiry(). */
size_t xm_rx_fill(struct xm_rx *rx, struct xm_time now, void *dst);

struct xm_time xm_rx_expiry(const struct xm_rx *rx);

/* SYNC and everything before it are installed. */
bool xm_rx_is_installed(const struct xm_rx *rx);

struct xm_rx_totals xm_rx_totals(const struct xm_rx *rx);
const struct xm_rx_stats *xm_rx_stats(const struct xm_rx *rx);
bool xm_rx_check(const struct xm_rx *rx);

#endif
