// SPDX-License-Identifier: GPL-2.0-or-later
/* fd_pass.c - descriptors that go from one process to another */
#include "fd_pass.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"

union rights {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
};

ssize_t fd_pass_send(int sock, const void *buf, size_t len, const int *fds,
		     unsigned int n)
{
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union rights rights = { .align = { .cmsg_len =
						   CMSG_LEN(n * sizeof(int)),
					   .cmsg_level = SOL_SOCKET,
					   .cmsg_type = SCM_RIGHTS } };
	ssize_t sent;

	if (n > FD_PASS_MAX)
		return -E2BIG;
	if (n) {
		memcpy(CMSG_DATA(&rights.align), fds, n * sizeof(int));
		msg.msg_control = rights.buf;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

ssize_t fd_pass_recv(int sock, void *buf, size_t len, int flags, int *fds,
		     unsigned int max, unsigned int *ret_n)
{
	union rights rights;
	struct iovec iov = { buf, len };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = rights.buf,
			      .msg_controllen = sizeof(rights.buf) };
	ssize_t got = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	unsigned int i, n = 0;
	int fd;

	*ret_n = 0;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		n = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	for (i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
		if (i < max)
			fds[(*ret_n)++] = fd;
		else
			(void)fd_close(fd);
	}
	return got < 0 ? -errno : got;
}
