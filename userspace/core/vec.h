/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vec.h - bytes in pieces */
#ifndef XM_CORE_VEC_H
#define XM_CORE_VEC_H

#include <stddef.h>

/* A piece of a frame's payload, in order.  Borrowed for the call. */
struct xm_vec {
	void *base;
	size_t len;
};

#endif
