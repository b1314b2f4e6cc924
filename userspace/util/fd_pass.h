/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fd_pass.h - descriptors that go from one process to another (unix(7), SCM_RIGHTS) */
#ifndef XM_UTIL_FD_PASS_H
#define XM_UTIL_FD_PASS_H

#include <stddef.h>
#include <sys/types.h>

#define FD_PASS_MAX 64 /* of one packet; the kernel takes 253 */

/* Send @len bytes, more than none, on unix socket @sock, and with them @n
 * descriptors at @fds, at most FD_PASS_MAX, which stay the caller's.  Bytes sent, or
 * -errno. */
ssize_t fd_pass_send(int sock, const void *buf, size_t len, const int *fds,
		     unsigned int n);
/* Take what comes, with recvmsg(2)'s @flags: at most @len bytes into @buf and @max
 * descriptors, close-on-exec, into @fds; *@ret_n: how many.  More than @max are
 * closed.  Bytes, 0 at the end, or -errno. */
ssize_t fd_pass_recv(int sock, void *buf, size_t len, int flags, int *fds,
		     unsigned int max, unsigned int *ret_n);

#endif
