/* SPDX-License-Identifier: GPL-2.0-or-later */
/* steer.h - what the XDP program and user space agree on
 *
 * Only <linux/types.h> and plain data: this file is compiled for BPF too.
 * Map and program names stay below 16 characters, the kernel's limit.
 */
#ifndef XDPMIG_STEER_H
#define XDPMIG_STEER_H

#include <linux/types.h>

#include "limits.h"

/* One slot per receive queue = per channel.  User space writes it when the
 * channel's socket is bound and clears it before the socket closes.  A slot
 * with dport 0 has no live session: everything on its queue is XDP_PASS. */
struct xm_steer_slot {
	__be64 cookie; /* of the live session's channel */
	__be16 dport;  /* UDP destination port, network order; 0 = not live */
	__u16 channel; /* channel number, as in the frame header */
	__u32 reserved;
};

/* What attach was asked for, and where to look for a strayed frame's home;
 * the one entry of map xm_conf, which is memory-mapped so that @home can be
 * written byte by byte.
 *
 * home[p % 64] is the queue whose slot last took UDP port p.  It is a hint:
 * the slot it names decides, so that an old one does no harm, and consecutive
 * ports never share a byte. */
struct xm_steer_conf {
	__u16 version; /* XM_STEER_VERSION: layout of these structures */
	__u8 first_queue, n_queues;
	__u32 reserved;
	__u8 home[XM_CHAN_MAX];
};
#define XM_STEER_VERSION 1

/* Verdicts, counted per CPU in map xm_verdicts. */
enum xm_steer_verdict {
	XM_STEER_REDIRECT,   /* ours, to the AF_XDP socket */
	XM_STEER_PASS_OTHER, /* not UDP/IP, or another port */
	XM_STEER_PASS_FRAG,  /* an IP fragment */
	XM_STEER_PASS_RUNT,  /* too short for the headers it announces */
	XM_STEER_PASS_OPTS,  /* IP options or IPv6 extension headers */
	XM_STEER_PASS_MAGIC, /* our port, but not our magic, version or cookie */
	XM_STEER_PASS_SOCKET, /* slot live, but no socket in the XSKMAP */
	XM_STEER_WRONG_QUEUE, /* a live session's frame on another queue: drop */
	XM_STEER__COUNT
};

#endif
