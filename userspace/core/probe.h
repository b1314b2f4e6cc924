/* SPDX-License-Identifier: GPL-2.0-or-later */
/* probe.h - proving one channel's path at setup (theory in probe.c) */
#ifndef XM_CORE_PROBE_H
#define XM_CORE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drop.h"
#include "frame.h"
#include "seal.h"
#include "time.h"

struct xm_probe_opts {
	uint64_t cookie;
	uint8_t channel;
	uint16_t port_base;  /* the first candidate for our source port */
	uint16_t port_first; /* the others: from here on, */
	uint16_t n_ports;    /* so many */
	uint16_t size;   /* bytes from the IP header on that must get through */
	uint16_t ip_len; /* bytes of the IP header */
	struct xm_seal *seal; /* NULL: a session without keys */
	bool waits_for_peer;  /* never give up: the peer, which may still be
			      * busy registering memory, does that */
};

struct xm_probe {
	struct xm_probe_opts opts;
	uint16_t my_port;    /* the source port that reaches the peer's queue; 0
			      * while it is searched for */
	bool is_sent_proven; /* the peer saw the full size from it */
	uint16_t seen_port;  /* the peer's port that reaches ours; 0 none yet */
	uint16_t seen_size;  /* the largest size that came from it */
	uint32_t n_sent, n_seen; /* PROBEs */
	uint16_t n_tried;        /* candidates */
	unsigned int burst;      /* PROBEs still to send at `at` */
	bool is_owed;            /* the peer needs an answer */
	bool has_begun;
	struct xm_time at, deadline, sent;
};

void xm_probe_init(struct xm_probe *p, const struct xm_probe_opts *opts);

/* Write a sealed PROBE to @dst (opts.size bytes are enough) and return its
 * length from the frame header on; it must leave with UDP
 * source port *@ret_port.  0: nothing due, see xm_probe_expiry(), or it
 * cannot be sealed (opts.seal->err). */
size_t xm_probe_fill(struct xm_probe *p, struct xm_time now, void *dst,
		     uint16_t *ret_port);

/* A PROBE arrived on this channel's queue: its header, payload in one piece,
 * and length from the IP header on.  Which port it left with it says itself,
 * under its CRC; the UDP header has none. */
enum xm_drop xm_probe_packet(struct xm_probe *p, struct xm_time now,
			     const struct xm_frame *f, const void *payload,
			     size_t ip_len);

/* Both directions are proven. */
bool xm_probe_is_done(const struct xm_probe *p);

/* XM_PROBE_STALL_MS passed without that, and opts.waits_for_peer is not set. */
bool xm_probe_has_failed(const struct xm_probe *p, struct xm_time now);

struct xm_time xm_probe_expiry(const struct xm_probe *p);

#endif
