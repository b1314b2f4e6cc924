/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reason.h - why a migration ended (docs/protocol.md 7)
 *
 * Stable numbers: they travel in ABORT, stand in --json by name and decide
 * the exit status.  Add at the end; never renumber.
 */
#ifndef XDPMIG_REASON_H
#define XDPMIG_REASON_H

enum xm_reason {
	XM_REASON_NONE = 0,
	XM_REASON_INTERNAL = 1,   /* a bug of ours */
	XM_REASON_USAGE = 2,      /* flags or configuration */
	XM_REASON_DEVICE = 3,     /* network device, queue, link */
	XM_REASON_STEERING = 4,   /* no XDP program, or no way to a queue */
	XM_REASON_PERMISSION = 5, /* capability or memlock limit missing */
	XM_REASON_MEMORY = 6,     /* guest memory or own memory */
	XM_REASON_ZERO_COPY = 7,  /* required, but not to be had */
	XM_REASON_CONNECT = 8,    /* control connection not made */
	XM_REASON_VERSION = 9,    /* peer speaks another version */
	XM_REASON_REFUSED = 10,   /* peer refused: size, name, channels, ... */
	XM_REASON_PROTOCOL = 11,  /* peer broke the protocol */
	XM_REASON_PATH = 12,      /* PROBE frames did not arrive */
	XM_REASON_STALLED = 13,   /* no progress before the deadline */
	XM_REASON_CANCELLED = 14, /* by the user, here */
	XM_REASON_PEER_CANCELLED = 15,
	XM_REASON_PEER_LOST = 16,       /* contact lost before COMMIT */
	XM_REASON_INTEGRITY = 17,       /* totals or hashes do not match */
	XM_REASON_UNKNOWN_OUTCOME = 18, /* contact lost after COMMIT */
	XM_REASON_NOT_CONVERGED = 19,   /* the guest writes too fast */
	XM_REASON__COUNT
};

#endif
