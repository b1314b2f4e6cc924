/* SPDX-License-Identifier: GPL-2.0-or-later */
/* zero.h - is this page all zeros? */
#ifndef XM_CORE_ZERO_H
#define XM_CORE_ZERO_H

#include <stdbool.h>
#include <stddef.h>

/* @src: 64-byte aligned, @len a multiple of 256.  Vectorised; leaves at the
 * first block that is not zero. */
bool xm_zero_is(const void *src, size_t len);

/* The same with what every CPU of the architecture has, for tests. */
bool xm_zero_is_base(const void *src, size_t len);

#endif
