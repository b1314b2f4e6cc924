// SPDX-License-Identifier: GPL-2.0-or-later
/* seal.c - tags, transmission numbers, generations of keys (protocol.md 4.6)
 *
 * Who can send to our port can make any frame arrive.  In a session with keys,
 * which the control connection's TLS gives both ends, each frame carries a tag
 * that only the two can make: over header and segment table, and if the session
 * encrypts over the payload as well.  A frame without it has no effect but its
 * count among the dropped.
 *
 *   tag     AES-256-GCM: header and segments are the associated data, the
 *           payload, if encrypted, the plaintext.  Else the payload's CRC is in
 *           the header and so under the tag, and a payload may be summed while
 *           the device reads it from guest memory.
 *   nonce   the number of the transmission, never the sequence number: a
 *           retransmission may carry other bytes (the guest has written), and one
 *           nonce for two plaintexts gives both away, and with them the key that
 *           tags are made of.  So `count` only goes up, and at its end, 2^48, so
 *           does the session.
 *   keys    each direction of each channel has its own, so a frame cannot be sent
 *           back to who made it, nor to another channel.  They are renewed every
 *           2^XM_REKEY_SHIFT transmissions, far below what AES-GCM may encrypt
 *           with one (RFC 8446, 5.5).  The generation is the count's upper bits:
 *           nothing is negotiated, and a lost frame cannot lose a key.
 *
 * A receiver has keys of three generations: the newest that the peer has proven,
 * the one before, for what comes late, and the one behind, made before it is
 * needed.  Frames of others are dropped unseen: a forger cannot make us derive
 * keys.
 *
 * Replay.  HEADER and DATA of another epoch are stale and those of this one are
 * installed once for each sequence number (rx.c); another session has other keys.
 * An ACK or PROBE has neither rule, so its count must be new: above the newest
 * seen, or one of the 64 below it that has not come.  An ACK that more than 64
 * others have overtaken tells nothing that they did not.
 */
#include "seal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "xdpmig/limits.h"

static uint32_t seal_generation(uint64_t count)
{
	return (uint32_t)(count >> XM_REKEY_SHIFT);
}

static int seal_set_receive(struct xm_seal *s, uint32_t generation)
{
	return s->cipher->set_receive(s->ctx, generation % XM_SEAL_SLOTS,
				      generation);
}

int xm_seal_init(struct xm_seal *s, const struct xm_cipher *cipher, void *ctx,
		 bool encrypts)
{
	int r;

	assert(cipher || !encrypts);
	memset(s, 0, sizeof(*s));
	s->cipher = cipher;
	s->ctx = ctx;
	s->encrypts = encrypts;
	if (!cipher)
		return 0;
	r = cipher->set_send(ctx, 0);
	if (!r)
		r = seal_set_receive(s, 0);
	if (!r)
		r = seal_set_receive(s, 1);
	return r;
}

/* The next transmission's number, with its key ready. */
static int seal_next(struct xm_seal *s, uint64_t *ret_count)
{
	uint32_t generation = seal_generation(s->count);
	int r;

	if (s->count > XM_FRAME_COUNT_MAX)
		return -EOVERFLOW;
	if (generation != s->generation) {
		r = s->cipher->set_send(s->ctx, generation);
		if (r)
			return r;
		s->generation = generation;
	}
	*ret_count = s->count++;
	return 0;
}

void xm_seal_frame(struct xm_seal *s, void *hdr, size_t hdr_len,
		   uint32_t payload_crc, void *payload, size_t len)
{
	uint64_t count = 0;
	int r;

	if (!s || !s->cipher) {
		xm_frame_seal(hdr, payload_crc);
		return;
	}
	r = s->err ? s->err : seal_next(s, &count);
	if (!r) {
		xm_frame_set_crc(hdr, s->encrypts ? 0 : payload_crc);
		xm_frame_set_count(hdr, count);
		r = s->cipher->seal(s->ctx, count, hdr,
				    hdr_len - XM_WIRE_TAG_LEN, payload,
				    s->encrypts ? len : 0,
				    xm_frame_tag(hdr, hdr_len));
	}
	s->err = r;
}

/* Was this count seen, or is it too old to tell?  Else it is now. */
static bool seal_is_replayed(struct xm_seal *s, uint64_t count)
{
	uint64_t by;

	if (!s->has_seen || count > s->newest) {
		by = s->has_seen ? count - s->newest : 64;
		s->seen = by < 64 ? s->seen << by : 0;
		s->seen |= 1;
		s->newest = count;
		s->has_seen = true;
		return false;
	}
	by = s->newest - count;
	if (by >= 64 || s->seen >> by & 1)
		return true;
	s->seen |= 1ull << by;
	return false;
}

/* The peer has proven @generation, the one behind the newest: make the next. */
static void seal_advance(struct xm_seal *s, uint32_t generation)
{
	int r = seal_set_receive(s, generation + 1);

	if (r)
		s->err = r;
	s->peers = generation;
}

static enum xm_drop seal_open_tag(struct xm_seal *s, const void *hdr,
				  size_t hdr_len, const struct xm_vec *vec,
				  unsigned int n)
{
	size_t aad_len = hdr_len - XM_WIRE_TAG_LEN;
	uint64_t count = xm_frame_count(hdr);
	uint32_t generation = seal_generation(count);

	if (generation > s->peers + 1 || generation + 1 < s->peers)
		return XM_DROP_BAD_TAG;
	if (s->cipher->open(s->ctx, generation % XM_SEAL_SLOTS, count, hdr,
			    aad_len, vec, s->encrypts ? n : 0,
			    (const uint8_t *)hdr + aad_len))
		return XM_DROP_BAD_TAG;
	if (generation > s->peers)
		seal_advance(s, generation);
	return XM_DROP_NONE;
}

enum xm_drop xm_seal_open(struct xm_seal *s, struct xm_frame *ret_f,
			  const void *hdr, size_t hdr_len,
			  const struct xm_vec *vec, unsigned int n,
			  size_t total)
{
	bool has_keys = s && s->cipher;
	enum xm_drop drop = XM_DROP_NONE;
	struct xm_frame f;

	if (has_keys)
		drop = seal_open_tag(s, hdr, hdr_len, vec, n);
	else if (!xm_frame_is_whole(hdr, hdr_len))
		drop = XM_DROP_BAD_TAG;
	if (!drop)
		drop = xm_frame_check(&f, hdr, hdr_len, total);
	if (!drop && has_keys &&
	    (f.type == XM_WIRE_ACK || f.type == XM_WIRE_PROBE) &&
	    seal_is_replayed(s, xm_frame_count(hdr)))
		drop = XM_DROP_REPLAYED;
	if (drop)
		return drop;
	f.is_payload_proven = xm_seal_encrypts(s);
	*ret_f = f;
	return XM_DROP_NONE;
}
