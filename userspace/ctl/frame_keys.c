// SPDX-License-Identifier: GPL-2.0-or-later
/* frame_keys.c - AES-256-GCM for frames, by GnuTLS
 *
 *   exporter of the TLS session (RFC 8446, 7.5), label CTL_EXPORT_FRAMES
 *     `- secret, 32 bytes
 *          `- HKDF-Expand (RFC 5869), SHA-256, info =
 *               "xdpmig/1 frames" | direction | channel | generation
 *                 `- 32 bytes of key, 12 of iv
 *   nonce = iv xor the count of the transmission
 *
 * as in TLS 1.3 itself.  Which generation, and that no count is used twice, is
 * core/seal.c's business.  Two calls of the library each way: for a tag over one
 * piece the one-shot call does with fewer instructions than the other, which
 * takes pieces and works in place.
 *
 * A generation that is replaced is wiped by the library.  The secret is in
 * memory that no core dump and no forked process has.
 */
#include "frame_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "core/be.h"

#include "trust.h"

#define KEY_LEN   32
#define NONCE_LEN 12
#define AAD_MAX   (1 + XM_FRAME_DESCS) /* header, and a payload in pieces */
#define INFO      "xdpmig/1 frames"

/* Key and iv of one generation. */
struct frame_key {
	gnutls_aead_cipher_hd_t aead; /* NULL: none */
	uint8_t iv[NONCE_LEN];
};

struct frame_keys {
	const uint8_t *secret;
	uint8_t channel;
	bool is_source;
	struct frame_key send, receive[XM_SEAL_SLOTS];
};

int frame_keys_export(const struct ctl *ctl, uint8_t secret[FRAME_SECRET_LEN],
		      struct xm_error *e)
{
	return ctl_export(ctl, CTL_EXPORT_FRAMES, NULL, 0, secret,
			  FRAME_SECRET_LEN, e);
}

struct frame_keys *frame_keys_new(const uint8_t secret[FRAME_SECRET_LEN],
				  unsigned int channel, bool is_source)
{
	struct frame_keys *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->secret = secret;
	k->channel = (uint8_t)channel;
	k->is_source = is_source;
	return k;
}

static void key_wipe(struct frame_key *key)
{
	if (key->aead)
		gnutls_aead_cipher_deinit(key->aead);
	gnutls_memset(key, 0, sizeof(*key));
}

struct frame_keys *frame_keys_free(struct frame_keys *k)
{
	unsigned int i;

	if (!k)
		return NULL;
	key_wipe(&k->send);
	for (i = 0; i < XM_SEAL_SLOTS; i++)
		key_wipe(&k->receive[i]);
	free(k);
	return NULL;
}

static int key_make(const struct frame_keys *k, struct frame_key *key,
		    bool from_source, uint32_t generation)
{
	uint8_t info[sizeof(INFO) - 1 + 6], out[KEY_LEN + NONCE_LEN];
	const gnutls_datum_t secret = { (void *)k->secret, FRAME_SECRET_LEN };
	const gnutls_datum_t label = { info, sizeof(info) };
	const gnutls_datum_t aes = { out, KEY_LEN };
	int r;

	memcpy(info, INFO, sizeof(INFO) - 1);
	info[sizeof(INFO) - 1] = !from_source;
	info[sizeof(INFO)] = k->channel;
	xm_be32_put(info + sizeof(INFO) + 1, generation);
	key_wipe(key);
	r = gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &secret, &label, out,
			       sizeof(out));
	if (!r)
		r = gnutls_aead_cipher_init(&key->aead,
					    GNUTLS_CIPHER_AES_256_GCM, &aes);
	if (r)
		key->aead = NULL;
	else
		memcpy(key->iv, out + KEY_LEN, NONCE_LEN);
	gnutls_memset(out, 0, sizeof(out));
	return !r ? 0 : r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EIO;
}

static int keys_set_send(void *ctx, uint32_t generation)
{
	struct frame_keys *k = ctx;

	return key_make(k, &k->send, k->is_source, generation);
}

static int keys_set_receive(void *ctx, unsigned int slot, uint32_t generation)
{
	struct frame_keys *k = ctx;

	return key_make(k, &k->receive[slot], !k->is_source, generation);
}

static void key_nonce(const struct frame_key *key, uint64_t count,
		      uint8_t nonce[NONCE_LEN])
{
	uint8_t be[8];
	unsigned int i;

	xm_be64_put(be, count);
	memcpy(nonce, key->iv, NONCE_LEN);
	for (i = 0; i < sizeof(be); i++)
		nonce[NONCE_LEN - sizeof(be) + i] ^= be[i];
}

static void keys_iov(giovec_t *iov, const struct xm_vec *vec, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		iov[i] = (giovec_t){ vec[i].base, vec[i].len };
}

static int keys_seal(void *ctx, uint64_t count, const struct xm_vec *aad,
		     unsigned int n_aad, void *text, size_t len,
		     uint8_t tag[XM_WIRE_TAG_LEN])
{
	const struct frame_keys *k = ctx;
	giovec_t auth[AAD_MAX], plain = { text, len };
	size_t tag_len = XM_WIRE_TAG_LEN;
	uint8_t nonce[NONCE_LEN];
	int r;

	if (n_aad > AAD_MAX)
		return -EINVAL;
	key_nonce(&k->send, count, nonce);
	keys_iov(auth, aad, n_aad);
	if (len || n_aad > 1)
		r = gnutls_aead_cipher_encryptv2(k->send.aead, nonce, NONCE_LEN,
						 auth, (int)n_aad, &plain,
						 len ? 1 : 0, tag, &tag_len);
	else
		r = gnutls_aead_cipher_encrypt(k->send.aead, nonce, NONCE_LEN,
					       aad->base, aad->len,
					       XM_WIRE_TAG_LEN, "", 0, tag,
					       &tag_len);
	return r || tag_len != XM_WIRE_TAG_LEN ? -EIO : 0;
}

static int keys_open(void *ctx, unsigned int slot, uint64_t count,
		     const struct xm_vec *aad, unsigned int n_aad,
		     const struct xm_vec *text, unsigned int n_text,
		     const uint8_t tag[XM_WIRE_TAG_LEN])
{
	const struct frame_key *key =
		&((struct frame_keys *)ctx)->receive[slot];
	giovec_t auth[AAD_MAX], cipher[XM_FRAME_DESCS];
	uint8_t nonce[NONCE_LEN], none[1];
	size_t none_len = 0;
	int r;

	if (!key->aead || n_aad > AAD_MAX || n_text > XM_FRAME_DESCS)
		return -EBADMSG;
	key_nonce(key, count, nonce);
	keys_iov(auth, aad, n_aad);
	keys_iov(cipher, text, n_text);
	if (n_text || n_aad > 1)
		r = gnutls_aead_cipher_decryptv2(key->aead, nonce, NONCE_LEN,
						 auth, (int)n_aad, cipher,
						 (int)n_text, (void *)tag,
						 XM_WIRE_TAG_LEN);
	else
		r = gnutls_aead_cipher_decrypt(
			key->aead, nonce, NONCE_LEN, aad->base, aad->len,
			XM_WIRE_TAG_LEN, tag, XM_WIRE_TAG_LEN, none, &none_len);
	return r ? -EBADMSG : 0;
}

const struct xm_cipher frame_keys_cipher = {
	.set_send = keys_set_send,
	.set_receive = keys_set_receive,
	.seal = keys_seal,
	.open = keys_open,
};
