// SPDX-License-Identifier: GPL-2.0-or-later
#include "cipher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"

#include "rng.h"

static int cipher_set_send(void *ctx, uint32_t generation)
{
	struct sim_cipher *c = ctx;

	if (c->has_send && generation != c->send + 1)
		abort(); /* counts go up one by one */
	c->has_send = true;
	c->send = generation;
	return 0;
}

static int cipher_set_receive(void *ctx, unsigned int slot, uint32_t generation)
{
	struct sim_cipher *c = ctx;

	c->has_receive[slot] = true;
	c->receive[slot] = generation;
	return 0;
}

/* The stream of one frame: direction, channel, generation and count name it. */
static struct sim_rng cipher_stream(const struct sim_cipher *c, bool from_src,
				    uint32_t generation, uint64_t count)
{
	struct sim_rng r = { (uint64_t)generation << 16 | c->channel << 1 |
			     from_src };

	r.s = sim_rng_next(&r) ^ count;
	(void)sim_rng_next(&r);
	return r;
}

static uint32_t cipher_sum(const struct xm_vec *vec, unsigned int n)
{
	uint32_t crc = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		crc = xm_crc32c(crc, vec[i].base, vec[i].len);
	return crc;
}

static void cipher_tag(struct sim_rng r, uint32_t aad_crc, uint32_t text_crc,
		       uint8_t tag[XM_WIRE_TAG_LEN])
{
	uint64_t word[2];

	r.s ^= (uint64_t)aad_crc << 32 | text_crc;
	word[0] = sim_rng_next(&r);
	word[1] = sim_rng_next(&r);
	memcpy(tag, word, sizeof(word));
}

/* Texts are xored by bytes: they come in pieces of any length. */
static void cipher_apply(struct sim_rng *r, uint8_t *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		text[i] ^= (uint8_t)(sim_rng_next(r) >> 56);
}

static int cipher_seal(void *ctx, uint64_t count, const struct xm_vec *aad,
		       unsigned int n_aad, void *text, size_t len,
		       uint8_t tag[XM_WIRE_TAG_LEN])
{
	const struct sim_cipher *c = ctx;
	struct sim_rng r = cipher_stream(c, c->is_src, c->send, count);
	struct sim_rng stream = r;

	cipher_apply(&stream, text, len);
	cipher_tag(r, cipher_sum(aad, n_aad), xm_crc32c(0, text, len), tag);
	return 0;
}

static int cipher_open(void *ctx, unsigned int slot, uint64_t count,
		       const struct xm_vec *aad, unsigned int n_aad,
		       const struct xm_vec *text, unsigned int n_text,
		       const uint8_t tag[XM_WIRE_TAG_LEN])
{
	const struct sim_cipher *c = ctx;
	uint8_t want[XM_WIRE_TAG_LEN];
	struct sim_rng r, stream;
	unsigned int i;

	if (!c->has_receive[slot])
		abort();
	r = stream = cipher_stream(c, !c->is_src, c->receive[slot], count);
	cipher_tag(r, cipher_sum(aad, n_aad), cipher_sum(text, n_text), want);
	for (i = 0; i < n_text; i++)
		cipher_apply(&stream, text[i].base, text[i].len);
	return memcmp(want, tag, sizeof(want)) ? -EBADMSG : 0;
}

static const struct xm_cipher sim_cipher = {
	.set_send = cipher_set_send,
	.set_receive = cipher_set_receive,
	.seal = cipher_seal,
	.open = cipher_open,
};

void sim_cipher_init(struct sim_cipher *c, struct xm_seal *seal,
		     enum sim_keys keys, unsigned int channel, bool is_src)
{
	memset(c, 0, sizeof(*c));
	c->channel = channel;
	c->is_src = is_src;
	if (xm_seal_init(seal, keys ? &sim_cipher : NULL, c,
			 keys == SIM_KEYS_ENCRYPT))
		abort();
}
