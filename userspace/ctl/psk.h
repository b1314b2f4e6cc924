/* SPDX-License-Identifier: GPL-2.0-or-later */
/* psk.h - pre-shared keys: their files, and what TLS is given of them
 *
 * docs/protocol.md 6.6 is normative for all of it.
 */
#ifndef XM_CTL_PSK_H
#define XM_CTL_PSK_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

#define PSK_NAME_MAX 64 /* bytes of the name in a key file */
#define PSK_KEY_MIN  32 /* bytes of key */
#define PSK_KEY_MAX  128
#define PSK_LEN      32 /* bytes that TLS uses: SHA-256 */
#define PSK_CONTEXT  "xdpmig/1"
#define PSK_ID_MAX   (2 + PSK_NAME_MAX + 2 + sizeof(PSK_CONTEXT) - 1 + 4)

/* To be kept in memory of secret_new(). */
struct psk {
	char name[PSK_NAME_MAX + 1];
	uint8_t id[PSK_ID_MAX]; /* what the handshake calls it */
	size_t id_len;
	uint8_t key[PSK_LEN];
};

/* The key of file @path.  0 or -errno with @e: others can read it, it is too
 * short, it is no key file, ... */
int psk_load(struct psk *ret, const char *path, struct xm_error *e);

/* Make the key file @path, which must not exist; only its owner can read it.
 * The key's name goes into @name.  0 or -errno with @e, and no file. */
int psk_make(const char *path, char name[PSK_NAME_MAX + 1], struct xm_error *e);

/* From what the line of a key file says to what TLS is given (RFC 9258): fills
 * id and key of @p, whose name is there.  0 or -errno. */
int psk_import(struct psk *p, const uint8_t *key, size_t len);

#endif
