/* SPDX-License-Identifier: GPL-2.0-or-later */
/* frame_keys.h - the cipher of one channel's frames, keyed by the control
 * connection's TLS (docs/protocol.md 4.6)
 */
#ifndef XM_CTL_FRAME_KEYS_H
#define XM_CTL_FRAME_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/seal.h"

#include "ctl.h"

#define FRAME_SECRET_LEN 32 /* bytes that both ends export */

/* Get the secret that all keys of a session come from; @secret is memory of
 * secret_new().  After the handshake.  0, or with @e: -ENOTSUP, plain TCP has
 * none; other -errno. */
int frame_keys_export(const struct ctl *ctl, uint8_t secret[FRAME_SECRET_LEN],
		      struct xm_error *e);

struct frame_keys;

/* To be lent to xm_seal_init() with a struct frame_keys as ctx. */
extern const struct xm_cipher frame_keys_cipher;

/* Keys of @channel's end at the source or at the destination; @secret is lent.
 * May be made in one thread and then used in another.  NULL: no memory. */
struct frame_keys *frame_keys_new(const uint8_t secret[FRAME_SECRET_LEN],
				  unsigned int channel, bool is_source);
/* Wipes the keys.  NULL is fine.  Returns NULL. */
struct frame_keys *frame_keys_free(struct frame_keys *k);

#endif
