/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cc_priv.h - what cc.c and cc_pace.c share, and nobody else */
#ifndef XM_CORE_CC_PRIV_H
#define XM_CORE_CC_PRIV_H

#include "cc.h"

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif
