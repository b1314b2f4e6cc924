/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seal.h - one end of a channel proves its frames, and checks the peer's
 *
 * Theory in seal.c.  A seal belongs to one end of one channel and to the thread
 * that has it.
 */
#ifndef XM_CORE_SEAL_H
#define XM_CORE_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drop.h"
#include "frame.h"
#include "vec.h"
#include "xdpmig/limits.h"

/* Keys of the peer's that are kept at a time: of generation g in slot g % 3. */
#define XM_SEAL_SLOTS 3

/* AES-256-GCM with the keys of one channel, as docs/protocol.md 4.6 has it.  The
 * core has no cipher of its own: a driver lends one.  0 or -errno each. */
struct xm_cipher {
	/* Make the key of @generation ready: ours to send with, or in @slot
	 * that of the peer's frames.  What was there is wiped. */
	int (*set_send)(void *ctx, uint32_t generation);
	int (*set_receive)(void *ctx, unsigned int slot, uint32_t generation);
	/* Encrypt the @len bytes at @text where they are (0: nothing), and
	 * write the tag over the @n_aad pieces of @aad and what was
	 * encrypted. */
	int (*seal)(void *ctx, uint64_t count, const struct xm_vec *aad,
		    unsigned int n_aad, void *text, size_t len,
		    uint8_t tag[XM_WIRE_TAG_LEN]);
	/* The opposite, of a text in pieces.  -EBADMSG: something was changed,
	 * or it is not the peer's; the text is of no use then. */
	int (*open)(void *ctx, unsigned int slot, uint64_t count,
		    const struct xm_vec *aad, unsigned int n_aad,
		    const struct xm_vec *text, unsigned int n_text,
		    const uint8_t tag[XM_WIRE_TAG_LEN]);
};

struct xm_seal {
	const struct xm_cipher *cipher; /* NULL: a session without keys */
	void *ctx;
	bool encrypts;  /* payloads too */
	int err;        /* sticky: a key could not be made or a frame not be
			* sealed: abort */
	uint64_t count; /* of our next transmission */
	uint32_t generation;           /* of the key to send with */
	uint32_t peer_generation;      /* the newest that the peer has proven */
	uint64_t newest;               /* the highest count of the peer's */
	uint64_t seen[XM_COUNTS / 64]; /* a ring of bits, those up to it */
	bool has_seen;
	/* What xm_seal_open_next() takes: the count behind the newest; or none,
	 * XM_SEAL_NO_NEXT. */
	uint64_t next;
	unsigned int next_slot; /* of its key */
};

#define XM_SEAL_NO_NEXT UINT64_MAX

/* A seal of a channel whose keys @cipher has; both lent for its life.
 * @cipher NULL: a session without keys, which cannot encrypt: -EINVAL.  0 or
 * -errno. */
int xm_seal_init(struct xm_seal *s, const struct xm_cipher *cipher, void *ctx,
		 bool encrypts);

static inline bool xm_seal_encrypts(const struct xm_seal *s)
{
	return s && s->encrypts;
}

/* Is the payload of a frame of @type under the tag, and needs no CRC?  @s as for
 * xm_seal_frame(). */
static inline bool xm_seal_covers(const struct xm_seal *s, uint8_t type)
{
	return s && s->cipher && (s->encrypts || type != XM_WIRE_DATA);
}

/* Finish the frame whose header xm_frame_put() wrote to @hdr, @hdr_len bytes:
 * give it its number and its tag.  Each transmission is sealed anew.
 * @payload: its @len bytes, if xm_seal_covers() them; encrypted where they are if
 * xm_seal_encrypts(), else only read.  @payload_crc: of the others, which may be
 * elsewhere.  @s NULL: a session without keys.  0, or -errno: then the frame must
 * not be sent, and s->err says so from now on. */
__attribute__((warn_unused_result)) int
xm_seal_frame(struct xm_seal *s, void *hdr, size_t hdr_len,
	      uint32_t payload_crc, void *payload, size_t len);

/* The same of @n frames of DATA that are not encrypted, and whose headers are @at bytes
 * behind each @buf, with the CRC in @crc. */
__attribute__((warn_unused_result)) int
xm_seal_run(struct xm_seal *s, uint8_t *const *buf, unsigned int n, size_t at,
	    size_t hdr_len, const uint32_t *crc);

/* Is it the peer's, whole, and new?  @hdr, @hdr_len as xm_frame_begin() said, all
 * of it in one piece; the payload in @n pieces (at most XM_FRAME_DESCS),
 * decrypted where they are; @total as for xm_frame_get().  XM_DROP_NONE with
 * @ret_f, or the reason to drop it, and what is in @ret_f has no meaning. */
enum xm_drop xm_seal_open(struct xm_seal *s, struct xm_frame *ret_f,
			  const void *hdr, size_t hdr_len,
			  const struct xm_vec *vec, unsigned int n,
			  size_t total);

/* The shorter way for a DATA frame that xm_frame_check() is known to find right, in
 * a session that does not encrypt: is it the peer's and whole, and the transmission
 * behind the newest, as most are?  Then it has come.  If not nothing has happened,
 * and xm_seal_open() has the reason. */
static inline bool xm_seal_open_next(struct xm_seal *s, const void *hdr,
				     size_t hdr_len)
{
	size_t len = hdr_len - XM_WIRE_TAG_LEN;
	struct xm_vec aad = { (void *)hdr, len };
	uint64_t count;

	if (!s || !s->cipher)
		return xm_frame_is_whole(hdr, hdr_len);
	count = xm_frame_count(hdr);
	if (count != s->next ||
	    s->cipher->open(s->ctx, s->next_slot, count, &aad, 1, NULL, 0,
			    (const uint8_t *)hdr + len))
		return false;
	s->newest = count++;
	s->seen[s->newest % XM_COUNTS / 64] |= 1ull << s->newest % 64;
	s->next = count & ((1u << XM_REKEY_SHIFT) - 1) ? count :
							 XM_SEAL_NO_NEXT;
	return true;
}

#endif
