/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fd.h - file descriptors that close themselves
 *
 * A descriptor starts at -1 and is -1 again after closing, so that every
 * unwinding path may close everything.
 */
#ifndef XM_UTIL_FD_H
#define XM_UTIL_FD_H

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Close @fd if it is one.  Returns -1, to be assigned back. */
static inline int fd_close(int fd)
{
	if (fd >= 0)
		(void)close(fd); /* nothing of ours is buffered behind it */
	return -1;
}

static inline void fd_closep(int *fd)
{
	*fd = fd_close(*fd);
}

/* A descriptor, the caller's, that is readable when @a or @b is; or -errno. */
static inline int fd_either(int a, int b)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = epoll_create1(EPOLL_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	if (!epoll_ctl(fd, EPOLL_CTL_ADD, a, &ev) &&
	    !epoll_ctl(fd, EPOLL_CTL_ADD, b, &ev))
		return fd;
	err = errno;
	(void)fd_close(fd);
	return -err;
}

/* Hand the descriptor out of a cleanup variable's scope. */
static inline int fd_steal(int *fd)
{
	int out = *fd;

	*fd = -1;
	return out;
}

/* int fd fd_cleanup = open(...); */
#define fd_cleanup __attribute__((cleanup(fd_closep)))

#endif
