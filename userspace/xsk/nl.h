/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nl.h - what a netlink answer's error means */
#ifndef XM_XSK_NL_H
#define XM_XSK_NL_H

#include <errno.h>

#define NL_ERRNO_MAX 4095 /* the kernel's MAX_ERRNO */

/* After mnl_cb_run() has failed: -errno, which is what the answer said or what a
 * callback thinks of it.  An answer may say any number: what is no errno is
 * -EBADMSG. */
static inline int nl_error(void)
{
	return errno > 0 && errno <= NL_ERRNO_MAX ? -errno : -EBADMSG;
}

#endif
