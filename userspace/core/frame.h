/* SPDX-License-Identifier: GPL-2.0-or-later */
/* frame.h - codec of the data plane's frames (docs/protocol.md 4)
 *
 * Two steps each way.  To send: xm_frame_put() writes header and segment
 * table, and returns where the payload may follow; the caller, who knows where
 * that is, sums it, and xm_seal_frame() (seal.h) finishes the header.  To receive:
 * all that can be checked without the payload is checked first, whether the header
 * is whole and the peer's included, so that a payload may be placed while it is
 * being summed: its address is known to be right before its bytes are.
 */
#ifndef XM_CORE_FRAME_H
#define XM_CORE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xdpmig/limits.h"
#include "xdpmig/wire.h"

#include "be.h"
#include "drop.h"
#include "encap.h"

struct xm_frame {
	uint64_t cookie;
	uint64_t seg[XM_FRAME_SEGS]; /* offsets in the block, n_segs of them */
	uint32_t epoch, seq, packet;
	uint32_t tx_us;
	uint32_t payload_crc; /* by _get; _sum writes it */
	uint16_t page, seg_len, len;
	uint8_t type, channel, flags, n_segs, block;
	bool is_payload_proven; /* its tag was over the payload too: the CRC is
				 * not there, and not needed */
};

/* Write @f's header and segment table to @dst (XM_WIRE_HEADER_MAX bytes at
 * least); CRC, count and tag are zero.  Returns their length in bytes, tag
 * included: the payload's place. */
size_t xm_frame_put(void *dst, const struct xm_frame *f);

/* The same of @n frames that have the next number each, and begin f->n_segs pages
 * after the one before; @segs is the segment table of all, one after the other.  In
 * front of each header are the @prefix_len bytes of @prefix, XM_ENCAP_MAX at most; so
 * many can be read there.  Of each @dst XM_FRAME_HEAD_MAX bytes may be overwritten, and
 * what is in the tag's place means nothing: who seals the frame writes all of it. */
#define XM_FRAME_HEAD_MAX (XM_ENCAP_MAX + XM_WIRE_HEADER_MAX)
void xm_frame_put_run(uint8_t *const *dst, unsigned int n, const void *prefix,
		      size_t prefix_len, const struct xm_frame *f,
		      const uint8_t *segs);

/* In what _put wrote, set the payload's CRC and the tag of a session without
 * keys. */
void xm_frame_sum(void *hdr, uint32_t payload_crc);

/* Decode and check a frame header at @src, of which @len bytes are in one
 * piece.  @total is the whole frame: header, segment table, tag and payload.
 * Checked: magic, version, type, lengths against @total, segment counts,
 * shape of DATA (whole pages, or one slice inside a page; no page behind a
 * packet's last), the tag of a session without keys.  Not checked: cookie,
 * epoch, sequence number, block (the session's business).
 * Returns XM_DROP_NONE with @ret_f and the header's length @ret_hdr_len (tag
 * included) set, or the reason to drop it. */
enum xm_drop xm_frame_get(struct xm_frame *ret_f, size_t *ret_hdr_len,
			  const void *src, size_t len, size_t total);

/* The same in its three steps, for seal.c and for who must know where the
 * payload is before it is proven: where the header ends (XM_DROP_RUNT, BAD_MAGIC
 * or BAD_SHAPE); is its tag that of a session without keys; what does it say. */
static inline enum xm_drop xm_frame_begin(size_t *ret_hdr_len, const void *src,
					  size_t len, size_t total)
{
	const uint8_t *p = src;
	size_t hdr_len;

	if (len > total)
		len = total;
	if (len < sizeof(struct xm_wire_frame))
		return XM_DROP_RUNT;
	if (xm_be16_get(p) != XM_WIRE_MAGIC || p[2] != XM_WIRE_VERSION)
		return XM_DROP_BAD_MAGIC;
	if (p[6] > XM_FRAME_SEGS)
		return XM_DROP_BAD_SHAPE;
	hdr_len = XM_WIRE_HEADER_MIN + p[6] * sizeof(struct xm_wire_seg);
	if (len < hdr_len)
		return XM_DROP_RUNT;
	*ret_hdr_len = hdr_len;
	return XM_DROP_NONE;
}
bool xm_frame_is_whole(const void *hdr, size_t hdr_len);
enum xm_drop xm_frame_check(struct xm_frame *ret_f, const void *hdr,
			    size_t hdr_len, size_t total);

/* The part of _check that is about DATA's segments: whole pages, or one piece of a
 * page that does not reach into the next one.  @in_page: where in its page the
 * only segment begins, or 0 where all begin with one. */
static inline enum xm_drop xm_frame_check_segs(const void *hdr,
					       unsigned int n_segs,
					       unsigned int len,
					       unsigned int in_page)
{
	unsigned int page = xm_be16_get((const uint8_t *)hdr + 28);
	unsigned int seg_len = xm_be16_get((const uint8_t *)hdr + 30);

	if (!n_segs || page + n_segs > XM_PACKET_PAGES)
		return XM_DROP_BAD_SHAPE;
	if (len != n_segs * seg_len)
		return XM_DROP_BAD_LENGTH;
	if (seg_len == XM_PAGE_SIZE && !in_page)
		return XM_DROP_NONE;
	return n_segs == 1 && seg_len && in_page + seg_len <= XM_PAGE_SIZE ?
		       XM_DROP_NONE :
		       XM_DROP_BAD_SHAPE;
}

/* Of a header: its payload's CRC, the number of this transmission (48 bits),
 * its type, its tag. */
static inline void xm_frame_set_crc(void *hdr, uint32_t payload_crc)
{
	xm_be32_put((uint8_t *)hdr + 40, payload_crc);
}
#define XM_FRAME_COUNT_MAX ((1ull << 48) - 1)
static inline void xm_frame_set_count(void *hdr, uint64_t count)
{
	xm_be16_put((uint8_t *)hdr + 34, (uint16_t)(count >> 32));
	xm_be32_put((uint8_t *)hdr + 44, (uint32_t)count);
}
static inline uint64_t xm_frame_count(const void *hdr)
{
	return (uint64_t)xm_be16_get((const uint8_t *)hdr + 34) << 32 |
	       xm_be32_get((const uint8_t *)hdr + 44);
}
static inline uint8_t xm_frame_type(const void *hdr)
{
	return ((const uint8_t *)hdr)[3];
}
static inline uint8_t *xm_frame_tag(void *hdr, size_t hdr_len)
{
	return (uint8_t *)hdr + hdr_len - XM_WIRE_TAG_LEN;
}

/* An ACK's payload. */
struct xm_ack {
	uint32_t credit, echo_us, hold_us, n_ce, n_dup;
	uint16_t n_words, n_rejects;
	uint64_t words[XM_SACK_WORDS];
	uint32_t rejects[XM_ACK_REJECTS];
};

#define XM_ACK_LEN_MAX                                                 \
	(sizeof(struct xm_wire_ack) + sizeof(__be64) * XM_SACK_WORDS + \
	 sizeof(__be32) * XM_ACK_REJECTS)

/* Returns bytes written to @dst (XM_ACK_LEN_MAX at most). */
size_t xm_ack_put(void *dst, const struct xm_ack *ack);

/* XM_DROP_NONE or XM_DROP_BAD_LENGTH. */
enum xm_drop xm_ack_get(struct xm_ack *ret_ack, const void *src, size_t len);

#endif
