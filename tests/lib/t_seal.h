/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_seal.h - a channel's two ends with the keys of one session, and frames that
 * they seal and open
 */
#ifndef T_SEAL_H
#define T_SEAL_H

#include "core/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/crc32c.h"
#include "ctl/frame_keys.h"

#define PAYLOAD 8192
#define CHANNEL 3

struct t_end {
	struct frame_keys *keys;
	struct xm_seal seal;
};

/* A frame as it is sent, in memory that ends with it. */
struct t_frame {
	uint8_t *b;
	size_t hdr_len, len;
};

struct t_seal {
	uint8_t secret[FRAME_SECRET_LEN];
	struct t_end src, dst;
	struct xm_frame f; /* as the receiver sees it */
};

static inline void end_open(struct t_end *t, const uint8_t *secret,
			    unsigned int channel, bool is_source, bool encrypts)
{
	t->keys = frame_keys_new(secret, channel, is_source);
	assert_non_null(t->keys);
	assert_int_equal(xm_seal_init(&t->seal, &frame_keys_cipher, t->keys,
				      encrypts),
			 0);
}

static inline int setup_both(void **state, bool encrypts)
{
	struct t_seal *t = calloc(1, sizeof(*t));
	unsigned int i;

	assert_non_null(t);
	for (i = 0; i < sizeof(t->secret); i++)
		t->secret[i] = (uint8_t)i;
	end_open(&t->src, t->secret, CHANNEL, true, encrypts);
	end_open(&t->dst, t->secret, CHANNEL, false, encrypts);
	*state = t;
	return 0;
}

static inline int setup(void **state)
{
	return setup_both(state, false);
}

static inline int setup_encrypted(void **state)
{
	return setup_both(state, true);
}

static inline int teardown(void **state)
{
	struct t_seal *t = *state;

	frame_keys_free(t->src.keys);
	frame_keys_free(t->dst.keys);
	free(t);
	return 0;
}

/* The one of docs/protocol.md 11. */
static inline struct xm_frame two_pages(void)
{
	struct xm_frame f = {
		.type = XM_WIRE_DATA,
		.channel = CHANNEL,
		.n_segs = 2,
		.cookie = 0x1122334455667788,
		.epoch = 1,
		.seq = 5,
		.page = 8,
		.seg_len = 4096,
		.len = PAYLOAD,
		.tx_us = 1000000,
		.seg = { 0x600000, 0x602000 },
	};

	return f;
}

static inline struct xm_frame plain(uint8_t type, uint16_t len)
{
	struct xm_frame f = { .type = type, .epoch = 1, .len = len };

	return f;
}

static int t_err; /* of the last seal() */

static inline struct t_frame seal(struct xm_seal *s, struct xm_frame f)
{
	uint8_t hdr[XM_WIRE_HEADER_MAX], *payload;
	struct t_frame out;

	out.hdr_len = xm_frame_put(hdr, &f);
	out.len = out.hdr_len + f.len;
	out.b = malloc(out.len);
	assert_non_null(out.b);
	memcpy(out.b, hdr, out.hdr_len);
	payload = out.b + out.hdr_len;
	memset(payload, 0x55, f.len / 2);
	memset(payload + f.len / 2, 0xff, f.len - f.len / 2);
	t_err = xm_seal_frame(s, out.b, out.hdr_len,
			      xm_crc32c(0, payload, f.len), payload, f.len);
	return out;
}

/* What @s makes of the @len bytes at @frame, whose payload comes in pieces of
 * @piece bytes; they are decrypted in @frame. */
static inline enum xm_drop open_pieces(struct xm_seal *s,
				       struct xm_frame *ret_f, uint8_t *frame,
				       size_t len, size_t piece)
{
	struct xm_vec vec[XM_FRAME_DESCS];
	size_t hdr_len = 0, at, part;
	enum xm_drop drop = xm_frame_begin(&hdr_len, frame, len, len);
	unsigned int n = 0;

	if (drop)
		return drop;
	for (at = hdr_len; at < len; at += part) {
		part = len - at < piece ? len - at : piece;
		assert_in_range(n, 0, XM_FRAME_DESCS - 1);
		vec[n++] = (struct xm_vec){ frame + at, part };
	}
	return xm_seal_open(s, ret_f, frame, hdr_len, vec, n, len);
}

/* The same, of a copy. */
static inline enum xm_drop open_copy(struct xm_seal *s, struct xm_frame *ret_f,
				     const struct t_frame *p)
{
	uint8_t *copy = malloc(p->len);
	enum xm_drop drop;

	assert_non_null(copy);
	memcpy(copy, p->b, p->len);
	drop = open_pieces(s, ret_f, copy, p->len, PAYLOAD);
	free(copy);
	return drop;
}

/* Send @f from the source to the destination. */
static inline enum xm_drop cross(struct t_seal *t, struct xm_frame f)
{
	struct t_frame p = seal(&t->src.seal, f);
	enum xm_drop drop = open_copy(&t->dst.seal, &t->f, &p);

	free(p.b);
	return drop;
}

#endif
