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
 * core/seal.c's business.
 *
 * Two ways into the library.  A tag over one piece and nothing encrypted, which is
 * that of every frame of DATA in a session that does not encrypt, is made by the
 * cipher's interface in three steps, at either end: there is no text, so to check a
 * tag is to make it again and to compare them in constant time.  Of the AEAD
 * interface one call takes pieces and works in place; and its one-shot calls for
 * such a tag take a tenth more instructions to make it, and half as many again to
 * check it.
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
#include "core/hint.h"

#include "trust.h"

#define KEY_LEN   32
#define NONCE_LEN 12
#define AAD_MAX   (1 + XM_FRAME_DESCS) /* header, and a payload in pieces */
#define INFO      "xdpmig/1 frames"

/* Key and iv of one generation. */
struct frame_key {
	gnutls_aead_cipher_hd_t aead; /* NULL: none */
	gnutls_cipher_hd_t tags;      /* the same key */
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
	if (key->tags)
		gnutls_cipher_deinit(key->tags);
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
	const gnutls_datum_t iv = { out + KEY_LEN, NONCE_LEN };
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
		r = gnutls_cipher_init(&key->tags, GNUTLS_CIPHER_AES_256_GCM,
				       &aes, &iv);
	if (r) {
		key->tags = NULL;
		key_wipe(key);
	} else {
		memcpy(key->iv, out + KEY_LEN, NONCE_LEN);
	}
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
	const unsigned int at = NONCE_LEN - sizeof(count);

	memcpy(nonce, key->iv, at);
	xm_be64_put(nonce + at, xm_be64_get(key->iv + at) ^ count);
}

/* The tag over one piece, with nothing encrypted.  0 or an error of the library's. */
static int key_tag(const struct frame_key *key, uint64_t count,
		   const struct xm_vec *aad, uint8_t tag[XM_WIRE_TAG_LEN])
{
	uint8_t nonce[NONCE_LEN];
	int r;

	key_nonce(key, count, nonce);
	gnutls_cipher_set_iv(key->tags, nonce, NONCE_LEN);
	r = gnutls_cipher_add_auth(key->tags, aad->base, aad->len);
	return r ? r : gnutls_cipher_tag(key->tags, tag, XM_WIRE_TAG_LEN);
}

/* Time must not tell where the first difference is. */
static bool tag_is(const uint8_t a[XM_WIRE_TAG_LEN],
		   const uint8_t b[XM_WIRE_TAG_LEN])
{
	_Static_assert(XM_WIRE_TAG_LEN == 16, "two words");
	return !((xm_be64_get(a) ^ xm_be64_get(b)) |
		 (xm_be64_get(a + 8) ^ xm_be64_get(b + 8)));
}

static void keys_iov(giovec_t *iov, const struct xm_vec *vec, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		iov[i] = (giovec_t){ vec[i].base, vec[i].len };
}

/* A tag over pieces, or with a text.  0 or -errno. */
static XM_APART int key_seal(const struct frame_key *key, uint64_t count,
			     const struct xm_vec *aad, unsigned int n_aad,
			     void *text, size_t len,
			     uint8_t tag[XM_WIRE_TAG_LEN])
{
	giovec_t auth[AAD_MAX], plain = { text, len };
	size_t tag_len = XM_WIRE_TAG_LEN;
	uint8_t nonce[NONCE_LEN];
	int r;

	if (n_aad > AAD_MAX)
		return -EINVAL;
	key_nonce(key, count, nonce);
	keys_iov(auth, aad, n_aad);
	r = gnutls_aead_cipher_encryptv2(key->aead, nonce, NONCE_LEN, auth,
					 (int)n_aad, &plain, len ? 1 : 0, tag,
					 &tag_len);
	return r || tag_len != XM_WIRE_TAG_LEN ? -EIO : 0;
}

static int keys_seal(void *ctx, uint64_t count, const struct xm_vec *aad,
		     unsigned int n_aad, void *text, size_t len,
		     uint8_t tag[XM_WIRE_TAG_LEN])
{
	const struct frame_key *key = &((struct frame_keys *)ctx)->send;

	if (len || n_aad != 1)
		return key_seal(key, count, aad, n_aad, text, len, tag);
	return key_tag(key, count, aad, tag) ? -EIO : 0;
}

/* The opposite of key_seal(). */
static XM_APART int key_open(const struct frame_key *key, uint64_t count,
			     const struct xm_vec *aad, unsigned int n_aad,
			     const struct xm_vec *text, unsigned int n_text,
			     const uint8_t tag[XM_WIRE_TAG_LEN])
{
	giovec_t auth[AAD_MAX], cipher[XM_FRAME_DESCS];
	uint8_t nonce[NONCE_LEN];
	int r;

	if (n_aad > AAD_MAX || n_text > XM_FRAME_DESCS)
		return -EBADMSG;
	key_nonce(key, count, nonce);
	keys_iov(auth, aad, n_aad);
	keys_iov(cipher, text, n_text);
	r = gnutls_aead_cipher_decryptv2(key->aead, nonce, NONCE_LEN, auth,
					 (int)n_aad, cipher, (int)n_text,
					 (void *)tag, XM_WIRE_TAG_LEN);
	return r ? -EBADMSG : 0;
}

static int keys_open(void *ctx, unsigned int slot, uint64_t count,
		     const struct xm_vec *aad, unsigned int n_aad,
		     const struct xm_vec *text, unsigned int n_text,
		     const uint8_t tag[XM_WIRE_TAG_LEN])
{
	const struct frame_key *key =
		&((struct frame_keys *)ctx)->receive[slot];
	uint8_t want[XM_WIRE_TAG_LEN];

	if (!key->aead)
		return -EBADMSG;
	if (n_text || n_aad != 1)
		return key_open(key, count, aad, n_aad, text, n_text, tag);
	if (key_tag(key, count, aad, want) || !tag_is(want, tag))
		return -EBADMSG;
	return 0;
}

const struct xm_cipher frame_keys_cipher = {
	.set_send = keys_set_send,
	.set_receive = keys_set_receive,
	.seal = keys_seal,
	.open = keys_open,
};
