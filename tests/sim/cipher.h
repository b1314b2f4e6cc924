/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cipher.h - what the simulated ends of a channel seal with
 *
 * It has the manners of AES-GCM, not its strength: another key, count, header or
 * text gives another tag, and text goes through a stream of numbers.  What can be
 * said about real ciphers is in tests/unit/test_seal.c; here it is about what
 * numbers, generations and replay do under loss and reordering.
 */
#ifndef SIM_CIPHER_H
#define SIM_CIPHER_H

#include "core/seal.h"

enum sim_keys {
	SIM_KEYS_NONE,
	SIM_KEYS_TAG,
	SIM_KEYS_ENCRYPT,
	SIM_KEYS__COUNT
};

/* One end's: generations in use, and whose. */
struct sim_cipher {
	unsigned int channel;
	bool is_src;
	bool has_send;
	uint32_t send, receive[XM_SEAL_SLOTS];
	bool has_receive[XM_SEAL_SLOTS];
};

/* @seal with @c as its cipher, or without one.  Aborts on failure. */
void sim_cipher_init(struct sim_cipher *c, struct xm_seal *seal,
		     enum sim_keys keys, unsigned int channel, bool is_src);

#endif
