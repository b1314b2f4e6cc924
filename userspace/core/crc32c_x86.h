/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crc32c_x86.h - the fast half of crc32c.c (theory in crc32c_x86.c) */
#ifndef XM_CORE_CRC32C_X86_H
#define XM_CORE_CRC32C_X86_H

#include "crc32c.h"

#define XM_CRC32C_X86_MAX 2

/* Compute the constants and put the implementations that this CPU can run
 * into @ret_impls (XM_CRC32C_X86_MAX at most), fastest first.  Returns their
 * number: 0 on other architectures. */
unsigned int xm_crc32c_x86_get(const struct xm_crc32c_impl **ret_impls);

#endif
