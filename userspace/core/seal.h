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

/* Keys of the peer's that are kept at a time: of generation g in slot g % 3. */
#define XM_SEAL_SLOTS 3

/* AES-256-GCM with the keys of one channel, as docs/protocol.md 4.6 has it.  The
 * core has no cipher of its own: a driver lends one.  0 or -errno each. */
struct xm_cipher {
	/* Make the key of @generation ready: ours to send with, or in @slot
	 * that of the peer's frames.  What was there is wiped. */
	int (*set_send)(void *ctx, uint32_t generation);
	int (*set_receive)(void *ctx, unsigned int slot, uint32_t generation);
	/* Encrypt the @len bytes at @payload where they are (0: nothing), and
	 * write the tag over them and the @aad_len bytes at @aad, in this
	 * order behind them. */
	int (*seal)(void *ctx, uint64_t count, const void *aad, size_t aad_len,
		    void *payload, size_t len, uint8_t tag[XM_WIRE_TAG_LEN]);
	/* The opposite.  -EBADMSG: something was changed, or it is not the
	 * peer's; the payload's bytes are of no use then. */
	int (*open)(void *ctx, unsigned int slot, uint64_t count,
		    const void *aad, size_t aad_len, const struct xm_vec *vec,
		    unsigned int n, const uint8_t tag[XM_WIRE_TAG_LEN]);
};

struct xm_seal {
	const struct xm_cipher *cipher; /* NULL: a session without keys */
	void *ctx;
	bool encrypts; /* payloads too */
	int err;       /* sticky: a frame could not be sealed or a key not made;
			* what was written proves nothing: abort */
	uint64_t count;      /* of our next transmission */
	uint32_t generation; /* of the key to send with */
	uint32_t peers;      /* the newest generation that the peer proved */
	uint64_t newest;     /* the highest count of an ACK or PROBE of its */
	uint64_t seen;       /* bit i: newest - i came */
	bool has_seen;
};

/* A seal of a channel whose keys @cipher has; both lent for its life.
 * @cipher NULL: frames are summed only.  0 or -errno. */
int xm_seal_init(struct xm_seal *s, const struct xm_cipher *cipher, void *ctx,
		 bool encrypts);

static inline bool xm_seal_encrypts(const struct xm_seal *s)
{
	return s && s->encrypts;
}

/* Finish the frame whose header xm_frame_put() wrote to @hdr, @hdr_len bytes:
 * give it its number and its tag.  Each transmission is sealed anew.
 * @payload_crc: of the @len bytes of payload, which may be elsewhere; not used
 * when the session encrypts: then @payload is where they are, and encrypted
 * there.  @s NULL: a session without keys. */
void xm_seal_frame(struct xm_seal *s, void *hdr, size_t hdr_len,
		   uint32_t payload_crc, void *payload, size_t len);

/* Is it the peer's, whole, and, if an ACK or PROBE, new?  @hdr, @hdr_len as
 * xm_frame_begin() said, all of it in one piece; the payload in @n pieces,
 * decrypted where they are; @total as for xm_frame_get().  XM_DROP_NONE with
 * @ret_f, or the reason to drop it. */
enum xm_drop xm_seal_open(struct xm_seal *s, struct xm_frame *ret_f,
			  const void *hdr, size_t hdr_len,
			  const struct xm_vec *vec, unsigned int n,
			  size_t total);

#endif
