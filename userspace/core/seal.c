// SPDX-License-Identifier: GPL-2.0-or-later
/* seal.c - tags, transmission numbers, generations of keys (protocol.md 4.6)
 *
 * Who can send to our port can make any frame arrive.  In a session with keys,
 * which the control connection's TLS gives both ends, each frame carries a tag
 * that only the two can make.  A frame without it has no effect but its count
 * among the dropped.
 *
 *   tag     AES-256-GCM.  Header, segments, and payloads that mean something to
 *           the protocol (HEADER, ACK, PROBE) are its associated data.  DATA's
 *           payload is not: it is summed here, read by the device later and placed
 *           there before its sum is known, and its CRC, in the header, speaks for
 *           it.  A session that encrypts copies, and has every payload under the
 *           tag as the text.
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
 * Replay.  Every count is taken once: of those above the newest, or the last
 * XM_COUNTS up to it, that have not come.  What is later than that is sent again
 * with a count of its own.  So nobody who repeats what he has seen is answered, or
 * is counted as a duplicate or a congestion mark.
 */
#include "seal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "xdpmig/limits.h"

#include "hint.h"

static uint32_t seal_generation(uint64_t count)
{
	return (uint32_t)(count >> XM_REKEY_SHIFT);
}

static int seal_set_receive(struct xm_seal *s, uint32_t generation)
{
	return s->cipher->set_receive(s->ctx, generation % XM_SEAL_SLOTS,
				      generation);
}

static bool seal_has_keys(const struct xm_seal *s)
{
	return s && s->cipher;
}

int xm_seal_init(struct xm_seal *s, const struct xm_cipher *cipher, void *ctx,
		 bool encrypts)
{
	int r;

	memset(s, 0, sizeof(*s));
	s->next = XM_SEAL_NO_NEXT;
	if (!cipher)
		return encrypts ? -EINVAL : 0;
	s->cipher = cipher;
	s->ctx = ctx;
	s->encrypts = encrypts;
	r = cipher->set_send(ctx, 0);
	if (!r)
		r = seal_set_receive(s, 0);
	if (!r)
		r = seal_set_receive(s, 1);
	return r;
}

/* -- sending ------------------------------------------------------------------ */

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

/* xm_seal_frame() in a session with keys. */
static int seal_tag(struct xm_seal *s, void *hdr, size_t hdr_len,
		    uint32_t payload_crc, void *payload, size_t len)
{
	bool covers = xm_seal_covers(s, xm_frame_type(hdr));
	struct xm_vec aad[2] = { { hdr, hdr_len - XM_WIRE_TAG_LEN },
				 { payload, len } };
	uint64_t count = 0;

	assert(payload || !covers);
	if (!s->err)
		s->err = seal_next(s, &count);
	if (s->err)
		return s->err;
	xm_frame_set_crc(hdr, covers ? 0 : payload_crc);
	xm_frame_set_count(hdr, count);
	s->err = s->cipher->seal(s->ctx, count, aad,
				 covers && !s->encrypts ? 2 : 1, payload,
				 s->encrypts ? len : 0,
				 xm_frame_tag(hdr, hdr_len));
	return s->err;
}

int xm_seal_frame(struct xm_seal *s, void *hdr, size_t hdr_len,
		  uint32_t payload_crc, void *payload, size_t len)
{
	if (seal_has_keys(s))
		return seal_tag(s, hdr, hdr_len, payload_crc, payload, len);
	xm_frame_sum(hdr, payload_crc);
	return 0;
}

/* Numbers of @count's generation, from it on. */
static uint32_t seal_left(uint64_t count)
{
	const uint32_t all = 1u << XM_REKEY_SHIFT;

	return all - (uint32_t)(count & (all - 1));
}

/* xm_seal_run() with the numbers from @count on, whose key is ready. */
static int seal_some(const struct xm_seal *s, uint8_t *const *buf,
		     unsigned int n, size_t at, size_t hdr_len,
		     const uint32_t *crc, uint64_t count)
{
	struct xm_vec aad = { NULL, hdr_len - XM_WIRE_TAG_LEN };
	const struct xm_cipher *cipher = s->cipher;
	uint8_t *const *end = buf + n, *hdr;
	void *ctx = s->ctx;
	int r = 0;

	for (; buf != end && !r; buf++, crc++, count++) {
		hdr = *buf + at;
		xm_frame_set_crc(hdr, *crc);
		xm_frame_set_count(hdr, count);
		aad.base = hdr;
		r = cipher->seal(ctx, count, &aad, 1, NULL, 0, hdr + aad.len);
	}
	return r;
}

int xm_seal_run(struct xm_seal *s, uint8_t *const *buf, unsigned int n,
		size_t at, size_t hdr_len, const uint32_t *crc)
{
	uint64_t count = 0;
	unsigned int i, some;

	if (!seal_has_keys(s)) {
		for (i = 0; i < n; i++)
			xm_frame_sum(buf[i] + at, crc[i]);
		return 0;
	}
	assert(!s->encrypts);
	for (i = 0; i < n && !s->err; i += some) {
		s->err = seal_next(s, &count);
		if (s->err)
			break;
		some = seal_left(count);
		if (some > n - i)
			some = n - i;
		s->count = count + some; /* used, whatever becomes of them */
		s->err = seal_some(s, buf + i, some, at, hdr_len, crc + i,
				   count);
	}
	return s->err;
}

/* -- receiving ---------------------------------------------------------------- */

static bool seal_bit(const struct xm_seal *s, uint64_t count)
{
	return s->seen[count % XM_COUNTS / 64] >> count % 64 & 1;
}

/* The short way is for DATA with the key that the newest count has, and for no text. */
static void seal_note_next(struct xm_seal *s)
{
	uint64_t next = s->newest + 1;

	s->next_slot = s->peer_generation % XM_SEAL_SLOTS;
	s->next = !s->encrypts && seal_generation(next) == s->peer_generation ?
			  next :
			  XM_SEAL_NO_NEXT;
}

/* Was this count seen, or is it too old to tell?  Else it is now. */
static bool seal_is_replayed(struct xm_seal *s, uint64_t count)
{
	if (s->has_seen && count <= s->newest) {
		if (s->newest - count >= XM_COUNTS || seal_bit(s, count))
			return true;
	} else if (!s->has_seen || count - s->newest >= XM_COUNTS) {
		memset(s->seen, 0, sizeof(s->seen));
		s->newest = count;
	} else {
		while (s->newest != count) {
			s->newest++;
			s->seen[s->newest % XM_COUNTS / 64] &=
				~(1ull << s->newest % 64);
		}
	}
	s->has_seen = true;
	s->seen[count % XM_COUNTS / 64] |= 1ull << count % 64;
	seal_note_next(s);
	return false;
}

/* The peer has proven @generation, the one behind the newest: make the next. */
static XM_SELDOM void seal_advance(struct xm_seal *s, uint32_t generation)
{
	int r = seal_set_receive(s, generation + 1);

	if (r)
		s->err = r;
	s->peer_generation = generation;
}

/* Is the tag at the end of @hdr that of its @len bytes before and the payload?  0 or
 * an error: for all but DATA that is not encrypted. */
static XM_APART int seal_open_more(struct xm_seal *s, unsigned int slot,
				   const void *hdr, size_t len,
				   const struct xm_vec *vec, unsigned int n)
{
	struct xm_vec aad[1 + XM_FRAME_DESCS];

	aad[0] = (struct xm_vec){ (void *)hdr, len };
	if (!s->encrypts)
		memcpy(aad + 1, vec, n * sizeof(*vec));
	return s->cipher->open(s->ctx, slot, xm_frame_count(hdr), aad,
			       s->encrypts ? 1 : 1 + n, vec,
			       s->encrypts ? n : 0, (const uint8_t *)hdr + len);
}

static enum xm_drop seal_open_tag(struct xm_seal *s, const void *hdr,
				  size_t hdr_len, const struct xm_vec *vec,
				  unsigned int n)
{
	size_t len = hdr_len - XM_WIRE_TAG_LEN;
	struct xm_vec aad = { (void *)hdr, len };
	uint64_t count = xm_frame_count(hdr);
	uint32_t generation = seal_generation(count);
	unsigned int slot = generation % XM_SEAL_SLOTS;
	int r;

	if (generation > s->peer_generation + 1 ||
	    generation + 1 < s->peer_generation || n > XM_FRAME_DESCS)
		return XM_DROP_BAD_TAG;
	if (s->encrypts || xm_frame_type(hdr) != XM_WIRE_DATA)
		r = seal_open_more(s, slot, hdr, len, vec, n);
	else
		r = s->cipher->open(s->ctx, slot, count, &aad, 1, NULL, 0,
				    (const uint8_t *)hdr + len);
	if (r)
		return XM_DROP_BAD_TAG;
	if (generation > s->peer_generation)
		seal_advance(s, generation);
	return XM_DROP_NONE;
}

/* xm_seal_open() in a session with keys. */
static enum xm_drop seal_open(struct xm_seal *s, struct xm_frame *ret_f,
			      const void *hdr, size_t hdr_len,
			      const struct xm_vec *vec, unsigned int n,
			      size_t total)
{
	enum xm_drop drop = seal_open_tag(s, hdr, hdr_len, vec, n);

	if (!drop)
		drop = xm_frame_check(ret_f, hdr, hdr_len, total);
	if (!drop && seal_is_replayed(s, xm_frame_count(hdr)))
		drop = XM_DROP_REPLAYED;
	if (!drop)
		ret_f->is_payload_proven = xm_seal_covers(s, ret_f->type);
	return drop;
}

enum xm_drop xm_seal_open(struct xm_seal *s, struct xm_frame *ret_f,
			  const void *hdr, size_t hdr_len,
			  const struct xm_vec *vec, unsigned int n,
			  size_t total)
{
	if (seal_has_keys(s))
		return seal_open(s, ret_f, hdr, hdr_len, vec, n, total);
	if (!xm_frame_is_whole(hdr, hdr_len))
		return XM_DROP_BAD_TAG;
	return xm_frame_check(ret_f, hdr, hdr_len, total);
}
