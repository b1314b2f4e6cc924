/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seq.h - sequence numbers are compared here and nowhere else
 *
 * Numbers start at 0 in each epoch and never wrap inside one: an epoch has at
 * most XM_SEQ_MAX frames a channel (2.7 TiB at three frames a page), which
 * xm_tx_push() enforces.  The comparison is wrap-safe all the same, so that a
 * hostile number is merely "far ahead" or "old".
 */
#ifndef XM_CORE_SEQ_H
#define XM_CORE_SEQ_H

#include <stdbool.h>
#include <stdint.h>

#define XM_SEQ_MAX 0x7fffffffu

static inline bool xm_seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

#endif
