/* SPDX-License-Identifier: GPL-2.0-or-later */
/* forge.h - frames that nobody sent, for fuzz_chan.c
 *
 * What stands in them is an input's choice, of few values, so that a fuzzer comes upon
 * those that matter.
 */
#ifndef XM_TESTS_FUZZ_FORGE_H
#define XM_TESTS_FUZZ_FORGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/frame.h"

#define FORGED_MAX (256 * 32) /* bytes of payload */

struct forged {
	struct xm_frame f;
	uint8_t payload[FORGED_MAX]; /* f.len of them */
};

/* Make @ret's number and payload of the @size bytes at @data, and zeros behind
 * them.  @ret->f says of which type (ACK, DATA, HEADER) and whose it is.  The high half
 * of DATA's number is chosen, not the low one, if @is_far.  How many bytes it took. */
size_t forge(struct forged *ret, bool is_far, const uint8_t *data, size_t size);

#endif
