/* SPDX-License-Identifier: GPL-2.0-or-later */
/* limits.h - every constant of the protocol, with its unit and its reason
 *
 * docs/protocol.md section 9 repeats this table; tests/check/docs-limits.sh
 * compares the two.  BPF and user space both include this file, so it holds
 * nothing but plain macros.
 */
#ifndef XDPMIG_LIMITS_H
#define XDPMIG_LIMITS_H

/* -- numbers of things ---------------------------------------------------- */
#define XM_CHAN_MAX     64  /* channels of one migration; one bit each in u64 */
#define XM_BLOCK_MAX    64  /* RAM blocks of one guest */
#define XM_BLOCK_NAME   256 /* bytes of a block's name, NUL included (QEMU) */
#define XM_PAGE_SIZE    4096 /* bytes; the target page size of x86 */
#define XM_PAGE_SHIFT   12
#define XM_PACKET_PAGES 128 /* pages in a packet: QEMU's 512 KiB / 4 KiB */
#define XM_PACKET_SIZE  (512 << 10) /* bytes of their payload */
#define XM_STRIPE_MIN   (2 << 20) /* bytes; one hugepage never has two channels */
#define XM_STRIPES_MAX  8192 /* stripes of a guest; each may cost one VMA */

/* -- frames ---------------------------------------------------------------- */
#define XM_FRAME_SEGS  15 /* pages in a frame: 15 + header <= 17 skb frags */
#define XM_FRAME_DESCS 18 /* TX descriptors of a frame, copy mode's limit */
#define XM_SLICE_ALIGN 32 /* bytes; slices of a page start at a multiple */
#define XM_REKEY_SHIFT 22 /* transmissions with one key, logarithm */
#define XM_COUNTS      8192 /* transmissions remembered, so as to take each once */
#define XM_MTU_MIN     1500  /* bytes; a HEADER frame must fit */
#define XM_MTU_MAX     65535 /* bytes; IPv4's total length */

/* -- windows ---------------------------------------------------------------- */
/* Frames between the first that is missing and the newest.  An ACK's bitmap must
 * reach the newest from any alignment: 64 * XM_SACK_WORDS - 64. */
#define XM_WINDOW       8128
#define XM_SACK_WORDS   128 /* 64-bit words of bitmap in an ACK: fits MTU 1500 */
#define XM_ACK_REJECTS  16  /* sequence numbers with a bad payload per ACK */
#define XM_ACK_EVERY    32 /* frames; one ACK for so many, or a quarter credit */
#define XM_ACK_DELAY_US 200 /* microseconds an ACK may be withheld */

/* -- device state ------------------------------------------------------------ */
#define XM_DEVICE_CHUNK  (60 << 10) /* bytes in a DEVICE: fits 64 KiB */
#define XM_DEVICE_WINDOW (1 << 20)  /* bytes that are not acknowledged */

/* -- verification ------------------------------------------------------------ */
#define XM_HASHES_CHUNK 2048 /* stripes' hashes in a HASHES: 16 KiB */

/* -- timers ------------------------------------------------------------------ */
#define XM_RTO_MIN_US     1000   /* floor of the retransmission timer */
#define XM_RTO_MAX_US     500000 /* its ceiling, after doubling */
#define XM_RTO_INIT_US    200000 /* before the first sample: flights queue */
#define XM_STALL_MS       10000 /* no progress for so long: the channel failed */
#define XM_PROBE_EVERY_US 10000 /* between bursts of PROBEs of one channel */
#define XM_PROBE_STALL_MS 5000  /* a channel not proven after this has failed */
#define XM_PROBE_PORTS    2048  /* source ports tried for a channel */
#define XM_PROBE_BURST    8     /* of them at a time */
#define XM_HEARTBEAT_MS   1000  /* control connection: HEARTBEAT when idle */
#define XM_HELLO_MS       3000 /* who has not said HELLO by then is a stranger */
#define XM_HANDSHAKE_MS   10000 /* TLS: until the peer is who it must be */
#define XM_CTL_STALL_MS   10000 /* control connection silent: contact is lost */
#define XM_ANSWER_MS      20000 /* heard, but what is waited for does not come */
#define XM_LOAD_MS        30000 /* DEVICE_END to LOADED: the guest is paused */
#define XM_VERIFY_MS      30000 /* VERIFY to the last HASHES: the same */
#define XM_VERIFY_GIB_MS  1000  /* and so much more for each GiB of the guest */

/* -- ports ------------------------------------------------------------------- */
/* Above Linux's default ephemeral range (32768-60999), so that the kernel
 * never hands one of them to another program. */
#define XM_PORT_CTL  61951 /* TCP, control connection */
#define XM_PORT_DATA 61952 /* UDP, channel 0; channel i is 61952 + i */

/* -- defaults ---------------------------------------------------------------- */
#define XM_IN_FLIGHT (10 << 20) /* bytes a channel may have unreleased */
#define XM_RX_MEMORY (32 << 20) /* bytes of staging UMEM, all channels */

#endif
