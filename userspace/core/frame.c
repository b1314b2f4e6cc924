// SPDX-License-Identifier: GPL-2.0-or-later
/* frame.c - frame headers and ACKs between bytes and structs
 *
 * The codec is where bytes from the network become numbers that the rest of
 * the core believes.  It has no state and knows no session.
 *
 * Header, 48 bytes, then for DATA 8 bytes per segment, the tag, the payload:
 *
 *    0  magic 2, version 1, type 1       what the XDP program compares,
 *    4  channel, flags, n_segs, block    together with the cookie
 *    8  cookie 8
 *   16  epoch 4, seq 4
 *   24  packet 4, page 2, seg_len 2
 *   32  len 2, count_hi 2, tx_us 4
 *   40  payload_crc 4, count 4
 *   48  n_segs offsets in the block
 *       tag 16
 *
 * Two proofs, because they are asked for at different times.  The tag is checked
 * before anything in the header is acted on: a DATA payload goes to its place in
 * guest memory while it is summed, so its address must be known to be right
 * first.  The payload's CRC is computed by whoever moves the payload.  (With keys
 * one tag is over both, but for DATA that is not encrypted: seal.c.)
 *
 * Checks on input, in this order; the first that fails names the drop:
 *
 *   runt            fixed header, segment table and tag are not all in the
 *                   first piece
 *   bad_magic       magic or version
 *   bad_shape       more segments than a frame can have
 *   bad_tag         from here on whatever is wrong was sent so
 *   bad_type        none of the four
 *   bad_length      total is not header + segments + tag + len, or len not what
 *                   the type wants
 *   bad_shape       segments where none belong, or segments that are
 *                   neither whole pages nor one slice inside a page, or
 *                   that stand behind the packet's last page
 *
 * The number of segments comes before the tag because it says where that is.
 * flags are not looked at.
 */
#include "frame.h"

#include <assert.h>
#include <string.h>

#include "be.h"
#include "crc32c.h"
#include "multifd.h"

#define FRAME_LEN sizeof(struct xm_wire_frame)
#define SEG_LEN   sizeof(struct xm_wire_seg)

_Static_assert(XM_WIRE_HEADER_MIN == FRAME_LEN + XM_WIRE_TAG_LEN, "wire.h");
_Static_assert(XM_WIRE_HEADER_MAX ==
		       XM_WIRE_HEADER_MIN + XM_FRAME_SEGS * SEG_LEN,
	       "wire.h");

/* All in front of the segment table. */
static inline void frame_put_fixed(uint8_t *p, const struct xm_frame *f)
{
	assert(f->n_segs <= XM_FRAME_SEGS);
	xm_be16_put(p, XM_WIRE_MAGIC);
	p[2] = XM_WIRE_VERSION;
	p[3] = f->type;
	p[4] = f->channel;
	p[5] = f->flags;
	p[6] = f->n_segs;
	p[7] = f->block;
	xm_be64_put(p + 8, f->cookie);
	xm_be32_put(p + 16, f->epoch);
	xm_be32_put(p + 20, f->seq);
	xm_be32_put(p + 24, f->packet);
	xm_be16_put(p + 28, f->page);
	xm_be16_put(p + 30, f->seg_len);
	xm_be16_put(p + 32, f->len);
	xm_be16_put(p + 34, 0);
	xm_be32_put(p + 36, f->tx_us);
	xm_be32_put(p + 40, 0);
	xm_be32_put(p + 44, 0);
}

size_t xm_frame_put(void *dst, const struct xm_frame *f)
{
	uint8_t *p = dst;
	unsigned int i;

	frame_put_fixed(p, f);
	for (i = 0; i < f->n_segs; i++)
		xm_be64_put(p + FRAME_LEN + i * SEG_LEN, f->seg[i]);
	memset(p + FRAME_LEN + i * SEG_LEN, 0, XM_WIRE_TAG_LEN);
	return XM_WIRE_HEADER_MIN + f->n_segs * SEG_LEN;
}

/* The first @len bytes of @head are those of each frame, but for number and page. */
static inline void frame_put_heads(uint8_t *const *dst, unsigned int n,
				   const uint8_t *head, size_t len, size_t at,
				   const struct xm_frame *f,
				   const uint8_t *segs, unsigned int n_segs)
{
	uint8_t *const *end = dst + n, *p;
	uint32_t seq = f->seq;
	uint16_t page = f->page;
	unsigned int i;

	for (; dst != end; dst++) {
		p = *dst;
		memcpy(p, head, len);
		p += at;
		xm_be32_put(p + 20, seq++);
		xm_be16_put(p + 28, page);
		page = (uint16_t)(page + n_segs);
		for (i = 0; i < n_segs; i++, segs += SEG_LEN)
			memcpy(p + FRAME_LEN + i * SEG_LEN, segs, SEG_LEN);
	}
}

void xm_frame_put_run(uint8_t *const *dst, unsigned int n, const void *prefix,
		      size_t prefix_len, const struct xm_frame *f,
		      const uint8_t *segs)
{
	uint8_t head[128] = { 0 };

	_Static_assert(XM_ENCAP_MAX + FRAME_LEN <= sizeof(head) &&
			       sizeof(head) <= XM_FRAME_HEAD_MAX,
		       "the largest head");
	assert(prefix_len <= XM_ENCAP_MAX);
	memcpy(head, prefix, XM_ENCAP_MAX);
	frame_put_fixed(head + prefix_len, f);
	/* Spelt out: the shape at MTU 9000, over IPv4.  Lengths that a compiler
	 * knows are a few instructions. */
	if (prefix_len + FRAME_LEN <= 96 && f->n_segs == 2)
		frame_put_heads(dst, n, head, 96, prefix_len, f, segs, 2);
	else
		frame_put_heads(dst, n, head, sizeof(head), prefix_len, f, segs,
				f->n_segs);
}

/* The tag of a session without keys: the header's sum, and zeros. */
void xm_frame_sum(void *hdr, uint32_t payload_crc)
{
	uint8_t *p = hdr;
	size_t hdr_len = XM_WIRE_HEADER_MIN + p[6] * SEG_LEN;

	xm_frame_set_crc(p, payload_crc);
	p += hdr_len - XM_WIRE_TAG_LEN;
	xm_be32_put(p, xm_crc32c(0, hdr, hdr_len - XM_WIRE_TAG_LEN));
	memset(p + 4, 0, XM_WIRE_TAG_LEN - 4);
}

bool xm_frame_is_whole(const void *hdr, size_t hdr_len)
{
	const uint8_t *tag = (const uint8_t *)hdr + hdr_len - XM_WIRE_TAG_LEN;
	uint32_t crc = xm_crc32c(0, hdr, hdr_len - XM_WIRE_TAG_LEN);

	return xm_be32_get(tag) == crc && !xm_be32_get(tag + 4) &&
	       !xm_be64_get(tag + 8);
}

static void frame_decode(struct xm_frame *f, const uint8_t *p)
{
	unsigned int i;

	f->is_payload_proven = false;
	f->type = p[3];
	f->channel = p[4];
	f->flags = p[5];
	f->n_segs = p[6];
	f->block = p[7];
	f->cookie = xm_be64_get(p + 8);
	f->epoch = xm_be32_get(p + 16);
	f->seq = xm_be32_get(p + 20);
	f->packet = xm_be32_get(p + 24);
	f->page = xm_be16_get(p + 28);
	f->seg_len = xm_be16_get(p + 30);
	f->len = xm_be16_get(p + 32);
	f->tx_us = xm_be32_get(p + 36);
	f->payload_crc = xm_be32_get(p + 40);
	for (i = 0; i < f->n_segs; i++)
		f->seg[i] = xm_be64_get(p + FRAME_LEN + i * SEG_LEN);
}

static enum xm_drop frame_check_data(const uint8_t *p, unsigned int n_segs,
				     unsigned int len)
{
	unsigned int in_page = 0, i;

	for (i = 0; i < n_segs; i++)
		in_page |= xm_be16_get(p + FRAME_LEN + i * SEG_LEN + 6);
	return xm_frame_check_segs(p, n_segs, len, in_page % XM_PAGE_SIZE);
}

/* What is wrong with a frame whose header is as it was sent. */
static enum xm_drop frame_check_type(const uint8_t *p, unsigned int len)
{
	unsigned int n_segs = p[6];
	bool good;

	switch (p[3]) {
	case XM_WIRE_DATA:
		return frame_check_data(p, n_segs, len);
	case XM_WIRE_HEADER:
		good = len == XM_MULTIFD_LEN;
		break;
	case XM_WIRE_ACK:
		good = len >= sizeof(struct xm_wire_ack) &&
		       len <= XM_ACK_LEN_MAX && len % 4 == 0;
		break;
	case XM_WIRE_PROBE:
		good = len >= sizeof(struct xm_wire_probe);
		break;
	default:
		return XM_DROP_BAD_TYPE;
	}
	if (n_segs)
		return XM_DROP_BAD_SHAPE;
	return good ? XM_DROP_NONE : XM_DROP_BAD_LENGTH;
}

enum xm_drop xm_frame_check(struct xm_frame *ret_f, const void *hdr,
			    size_t hdr_len, size_t total)
{
	unsigned int len = xm_be16_get((const uint8_t *)hdr + 32);
	enum xm_drop drop = frame_check_type(hdr, len);

	if (drop == XM_DROP_NONE && total != hdr_len + len)
		drop = XM_DROP_BAD_LENGTH;
	if (drop == XM_DROP_NONE)
		frame_decode(ret_f, hdr);
	return drop;
}

enum xm_drop xm_frame_get(struct xm_frame *ret_f, size_t *ret_hdr_len,
			  const void *src, size_t len, size_t total)
{
	size_t hdr_len = 0;
	enum xm_drop drop = xm_frame_begin(&hdr_len, src, len, total);

	if (!drop && !xm_frame_is_whole(src, hdr_len))
		drop = XM_DROP_BAD_TAG;
	if (!drop)
		drop = xm_frame_check(ret_f, src, hdr_len, total);
	if (!drop)
		*ret_hdr_len = hdr_len;
	return drop;
}

size_t xm_ack_put(void *dst, const struct xm_ack *ack)
{
	uint8_t *p = dst;
	unsigned int i;

	assert(ack->n_words <= XM_SACK_WORDS);
	assert(ack->n_rejects <= XM_ACK_REJECTS);
	xm_be32_put(p, ack->credit);
	xm_be32_put(p + 4, ack->echo_us);
	xm_be32_put(p + 8, ack->hold_us);
	xm_be32_put(p + 12, ack->n_ce);
	xm_be32_put(p + 16, ack->n_dup);
	xm_be16_put(p + 20, ack->n_words);
	xm_be16_put(p + 22, ack->n_rejects);
	p += sizeof(struct xm_wire_ack);
	for (i = 0; i < ack->n_words; i++, p += 8)
		xm_be64_put(p, ack->words[i]);
	for (i = 0; i < ack->n_rejects; i++, p += 4)
		xm_be32_put(p, ack->rejects[i]);
	return (size_t)(p - (uint8_t *)dst);
}

enum xm_drop xm_ack_get(struct xm_ack *ret_ack, const void *src, size_t len)
{
	const uint8_t *p = src;
	uint16_t n_words, n_rejects;
	unsigned int i;

	if (len < sizeof(struct xm_wire_ack))
		return XM_DROP_BAD_LENGTH;
	n_words = xm_be16_get(p + 20);
	n_rejects = xm_be16_get(p + 22);
	if (n_words > XM_SACK_WORDS || n_rejects > XM_ACK_REJECTS ||
	    len != sizeof(struct xm_wire_ack) + sizeof(__be64) * n_words +
			    sizeof(__be32) * n_rejects)
		return XM_DROP_BAD_LENGTH;
	memset(ret_ack, 0, sizeof(*ret_ack));
	ret_ack->credit = xm_be32_get(p);
	ret_ack->echo_us = xm_be32_get(p + 4);
	ret_ack->hold_us = xm_be32_get(p + 8);
	ret_ack->n_ce = xm_be32_get(p + 12);
	ret_ack->n_dup = xm_be32_get(p + 16);
	ret_ack->n_words = n_words;
	ret_ack->n_rejects = n_rejects;
	p += sizeof(struct xm_wire_ack);
	for (i = 0; i < n_words; i++, p += 8)
		ret_ack->words[i] = xm_be64_get(p);
	for (i = 0; i < n_rejects; i++, p += 4)
		ret_ack->rejects[i] = xm_be32_get(p);
	return XM_DROP_NONE;
}
