// SPDX-License-Identifier: GPL-2.0-or-later
/* psk.c - pre-shared keys: their files, and what TLS is given of them
 *
 * A key file is one line, as GnuTLS' psktool and QEMU have it: NAME:HEX.  The
 * name travels in the clear and says which key is meant; it is no secret and
 * proves nothing.
 *
 * The bytes of the file never are the key of a handshake.  They go through the
 * importer of RFC 9258 first, which mixes in what the key is for:
 *
 *   id   = ImportedIdentity { NAME, "xdpmig/1", TLS 1.3, HKDF-SHA256 }
 *   key  = HKDF-Expand-Label(HKDF-Extract(0, bytes of the file),
 *                            "derived psk", SHA-256(id), 32)
 *
 * so a file that is also given to another program, to another version of this
 * protocol, or to a TLS with another hash gives each of them another key: what
 * one of them gives away is of no use at the others (RFC 9257, 4 and 5).  One
 * thing of RFC 9258 is missing: the binder's label is "ext binder" and not "imp
 * binder", since GnuTLS of Debian 12 knows no other.  That label separates
 * imported keys from others that happen to have the same bytes, which a hash's
 * output does not have.
 *
 * A key proves that the peer has it, not who the peer is: with more than two
 * hosts behind one key each of them can stand for any other (RFC 9257, 4.1).
 */
#include "psk.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secret.h"
#include "util/fd.h"

#define FILE_MAX   4096 /* bytes of a key file */
#define TLS_1_3    0x0304
#define KDF_SHA256 0x0001

static bool psk_is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("._-@", c));
}

/* -- what TLS is given -------------------------------------------------------- */

static size_t put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return 2;
}

static size_t put_text(uint8_t *p, const char *text, size_t len)
{
	put16(p, len);
	memcpy(p + 2, text, len);
	return 2 + len;
}

/* HKDF-Expand-Label of TLS 1.3, of PSK_LEN bytes. */
static int expand_label(uint8_t *out, const uint8_t *prk, const char *label,
			const uint8_t *hash)
{
	uint8_t info[2 + 1 + 32 + 1 + 32];
	const gnutls_datum_t key = { (unsigned char *)prk, PSK_LEN };
	gnutls_datum_t i = { info, 0 };
	size_t n = put16(info, PSK_LEN);

	n += (size_t)sprintf((char *)info + n, "%ctls13 %s",
			     (int)(6 + strlen(label)), label);
	info[n++] = PSK_LEN;
	memcpy(info + n, hash, PSK_LEN);
	i.size = (unsigned int)(n + PSK_LEN);
	return gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &key, &i, out, PSK_LEN);
}

int psk_import(struct psk *p, const uint8_t *key, size_t len)
{
	uint8_t hash[PSK_LEN], prk[PSK_LEN], zeros[PSK_LEN] = { 0 };
	const gnutls_datum_t salt = { zeros, sizeof(zeros) };
	const gnutls_datum_t ikm = { (unsigned char *)key, (unsigned int)len };
	uint8_t *id = p->id;
	int r;

	id += put_text(id, p->name, strlen(p->name));
	id += put_text(id, PSK_CONTEXT, strlen(PSK_CONTEXT));
	id += put16(id, TLS_1_3);
	id += put16(id, KDF_SHA256);
	p->id_len = (size_t)(id - p->id);
	r = gnutls_hash_fast(GNUTLS_DIG_SHA256, p->id, p->id_len, hash);
	if (!r)
		r = gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &ikm, &salt, prk);
	if (!r)
		r = expand_label(p->key, prk, "derived psk", hash);
	explicit_bzero(prk, sizeof(prk));
	return r ? -EIO : 0;
}

/* -- files ---------------------------------------------------------------------- */

static int psk_bad(const char *path, const char *why, struct xm_error *e)
{
	return xm_fail(e, -EINVAL, XM_REASON_USAGE,
		       "%s: %s; 'xdpmig keygen FILE' makes a key", path, why);
}

/* @text: the file's @len bytes; @key has room for PSK_KEY_MAX. */
static int psk_parse(struct psk *p, const char *path, const char *text,
		     size_t len, uint8_t *key, struct xm_error *e)
{
	size_t at = 0, n = PSK_KEY_MAX;
	gnutls_datum_t hex;
	int r;

	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	while (at < len && at < PSK_NAME_MAX && psk_is_name(text[at]))
		at++;
	if (!at || at == len || text[at] != ':')
		return psk_bad(path,
			       "not a key file, which is one line NAME:HEX", e);
	memcpy(p->name, text, at++);
	hex = (gnutls_datum_t){ (void *)(text + at), (unsigned int)(len - at) };
	r = gnutls_hex_decode(&hex, key, &n);
	if (r == GNUTLS_E_SHORT_MEMORY_BUFFER)
		return psk_bad(path, "the key is too long", e);
	if (r)
		return psk_bad(path,
			       "what follows the colon is not pairs of "
			       "hexadecimal digits",
			       e);
	if (n < PSK_KEY_MIN)
		return psk_bad(path, "the key is shorter than 32 bytes", e);
	if (psk_import(p, key, n))
		return xm_fail(e, -EIO, XM_REASON_INTERNAL,
			       "%s: the key cannot be derived", path);
	return 0;
}

int psk_load(struct psk *ret, const char *path, struct xm_error *e)
{
	struct room {
		char text[FILE_MAX];
		uint8_t key[PSK_KEY_MAX];
	} *room = secret_new(sizeof(*room));
	ssize_t n;
	int r;

	if (!room)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "no memory to read %s", path);
	memset(ret, 0, sizeof(*ret));
	n = secret_read(path, room->text, sizeof(room->text), 0077, e);
	r = n < 0 ? (int)n :
		    psk_parse(ret, path, room->text, (size_t)n, room->key, e);
	secret_free(room, sizeof(*room));
	return r;
}

static int psk_write(int fd, const char *line, size_t len)
{
	ssize_t n = write(fd, line, len);

	if (n != (ssize_t)len)
		return n < 0 ? -errno : -ENOSPC;
	return fsync(fd) ? -errno : 0;
}

int psk_make(const char *path, char name[PSK_NAME_MAX + 1], struct xm_error *e)
{
	uint8_t id[4], key[PSK_KEY_MIN];
	char line[32 + 2 * PSK_KEY_MIN];
	int fd fd_cleanup = -1;
	size_t i, n;
	int r;

	if (getrandom(id, sizeof(id), 0) != sizeof(id) ||
	    getrandom(key, sizeof(key), 0) != sizeof(key))
		return xm_fail(e, -EIO, XM_REASON_INTERNAL,
			       "no random numbers");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		  0600);
	if (fd < 0)
		return xm_fail(e, -errno, XM_REASON_USAGE, "%s: %s%s", path,
			       strerror(errno),
			       errno == EEXIST ?
				       "; a key is never "
				       "overwritten: remove it first" :
				       "");
	sprintf(name, "xdpmig-%02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
	n = (size_t)sprintf(line, "%s:", name);
	for (i = 0; i < sizeof(key); i++)
		n += (size_t)sprintf(line + n, "%02x", key[i]);
	line[n++] = '\n';
	/* an umask may have taken the owner's bits */
	r = fchmod(fd, 0600) ? -errno : psk_write(fd, line, n);
	explicit_bzero(line, sizeof(line));
	explicit_bzero(key, sizeof(key));
	if (!r)
		return 0;
	(void)unlink(path);
	return xm_fail(e, r, XM_REASON_USAGE, "%s: %s", path, strerror(-r));
}
