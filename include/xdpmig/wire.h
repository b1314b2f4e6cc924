/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wire.h - frames of the data plane, byte for byte (docs/protocol.md 4)
 *
 * A frame is  Ethernet [VLAN] / IPv4 or IPv6 / UDP / frame header
 * [segment table] tag / payload.  All integers are big endian.  The first 16
 * bytes are what the XDP program looks at (bpf/steer.bpf.c), so they are in
 * the same place in every type and every version.
 */
#ifndef XDPMIG_WIRE_H
#define XDPMIG_WIRE_H

#include <linux/types.h>

#define XM_WIRE_MAGIC   0x584d /* "XM" */
#define XM_WIRE_VERSION 1

enum xm_wire_type {
	XM_WIRE_HEADER = 1, /* a multifd packet's header, whole and exact */
	XM_WIRE_DATA = 2,   /* bytes to place into guest memory */
	XM_WIRE_ACK = 3,    /* what was installed; credit */
	XM_WIRE_PROBE = 4,  /* setup: shows that a path carries this size */
};

/* flags: for counters and traces only; a receiver never decides by them */
#define XM_WIRE_F_RESENT 0x01 /* not the first transmission of this seq */
#define XM_WIRE_F_STAGED 0x02 /* payload was copied before it was summed */

struct xm_wire_frame {
	__be16 magic;    /* XM_WIRE_MAGIC */
	__u8 version;    /* XM_WIRE_VERSION */
	__u8 type;       /* enum xm_wire_type */
	__u8 channel;    /* below the agreed number of channels */
	__u8 flags;      /* XM_WIRE_F_* */
	__u8 n_segs;     /* DATA: entries of the segment table, else 0 */
	__u8 block;      /* DATA: index into the agreed memory map, else 0 */
	__be64 cookie;   /* of this channel, from the control connection */
	__be32 epoch;    /* starts at 1; 0 in a PROBE */
	__be32 seq;      /* HEADER, DATA: number in epoch and channel, from 0;
			     * ACK: all below are installed; PROBE: a counter */
	__be32 packet;   /* HEADER, DATA: packet in epoch and channel, from 0 */
	__be16 page;     /* DATA: index of segment 0 in the packet's offset[] */
	__be16 seg_len;  /* DATA: bytes of each segment */
	__be16 len;      /* payload bytes behind header and segment table */
	__be16 count_hi; /* see count */
	__be32 tx_us;    /* sender's clock in microseconds, echoed in ACK */
	__be32 payload_crc; /* CRC32C of the payload; 0 when the tag is over it */
	__be32 count; /* with count_hi: transmissions of this end of the channel
		       * before this one; 0 in a session without keys */
};
_Static_assert(sizeof(struct xm_wire_frame) == 48, "docs/protocol.md 4.1");

/* The tag behind header and segment table: what proves them.  In a session with
 * keys that of AES-256-GCM; without, CRC32C (be32) and zeros. */
#define XM_WIRE_TAG_LEN 16

/* Segment table of a DATA frame: n_segs of these behind the frame header. */
struct xm_wire_seg {
	__be64 offset; /* first byte, from the start of the block */
};
_Static_assert(sizeof(struct xm_wire_seg) == 8, "docs/protocol.md 4.3");

/* Payload of an ACK.  Bit b of bitmap word w stands for sequence number
 * (seq & ~63) + 64 w + b; then come n_rejects sequence numbers (be32) whose
 * payload did not match its CRC since the last ACK. */
struct xm_wire_ack {
	__be32 credit;    /* frames the receiver can take beyond the acked */
	__be32 echo_us;   /* newest tx_us that arrived in this epoch */
	__be32 hold_us;   /* how long ago it arrived */
	__be32 n_ce;      /* frames of this epoch that came marked CE */
	__be32 n_dup;     /* frames of this epoch that came twice */
	__be16 n_words;   /* of bitmap, at most XM_SACK_WORDS */
	__be16 n_rejects; /* at most XM_ACK_REJECTS */
};
_Static_assert(sizeof(struct xm_wire_ack) == 24, "docs/protocol.md 4.4");

/* Payload of a PROBE, then zeros up to the size that is tested. */
struct xm_wire_probe {
	__be16 size;      /* of the whole frame, from the IP header on */
	__be16 my_port;   /* UDP source port this PROBE left with */
	__be16 seen_port; /* the peer's source port that reached this queue; 0
			   * none yet */
	__be16 seen_size; /* the largest size that came from it */
};
_Static_assert(sizeof(struct xm_wire_probe) == 8, "docs/protocol.md 4.5");

/* Header, segment table and tag: without segments, and the longest. */
#define XM_WIRE_HEADER_MIN 64
#define XM_WIRE_HEADER_MAX 184

#endif
