/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drop.h - named reasons for not taking a frame
 *
 * A frame that cannot be taken is never an error: it is counted under one of
 * these and forgotten.  The names are part of --json and of
 * docs/operations.md.
 */
#ifndef XM_CORE_DROP_H
#define XM_CORE_DROP_H

#include <stdint.h>

enum xm_drop {
	XM_DROP_NONE,       /* taken; not counted */
	XM_DROP_RUNT,       /* shorter than its headers */
	XM_DROP_BAD_MAGIC,  /* not ours, or another version */
	XM_DROP_BAD_TYPE,   /* unknown, or not for this side */
	XM_DROP_BAD_LENGTH, /* lengths that contradict each other */
	XM_DROP_BAD_SHAPE,  /* segments that are no pages and no slice */
	XM_DROP_BAD_TAG,    /* header or segments damaged, or not the peer's */
	XM_DROP_BAD_PAYLOAD_CRC, /* payload damaged, or a live page changed */
	XM_DROP_BAD_COOKIE,      /* another session's */
	XM_DROP_BAD_CHANNEL, /* another channel's, or pages not this channel's */
	XM_DROP_STALE_EPOCH,   /* not the current epoch */
	XM_DROP_BEYOND_WINDOW, /* sequence number too far ahead */
	XM_DROP_DUPLICATE,     /* installed already */
	XM_DROP_REPLAYED,      /* this very transmission came before */
	XM_DROP_BAD_ADDRESS,   /* outside the agreed memory map */
	XM_DROP_BAD_PACKET,    /* a HEADER that is no multifd packet of ours */
	XM_DROP_BAD_ACK,       /* acknowledges what was never sent */
	XM_DROP_BAD_IP,        /* IP or UDP header the driver cannot take */
	XM_DROP__COUNT
};

struct xm_drops {
	uint64_t n[XM_DROP__COUNT];
};

/* "bad_magic" and so on; for XM_DROP_NONE "none". */
const char *xm_drop_name(enum xm_drop reason);

#endif
