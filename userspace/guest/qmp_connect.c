// SPDX-License-Identifier: GPL-2.0-or-later
/* qmp_connect.c - to the socket of QEMU's monitor, or why not */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "qmp_priv.h"
#include "util/fd.h"

static int fail_connect(int err, const char *path, struct xm_error *e)
{
	if (err == EAGAIN) /* the listener's queue is full */
		return xm_fail(e, -ETIMEDOUT, XM_REASON_CONNECT,
			       "%s: other clients wait for this monitor "
			       "already; give QEMU a second -qmp socket",
			       path);
	if (err == ENOENT)
		return xm_fail(e, -ENOENT, XM_REASON_CONNECT,
			       "%s: no such socket; start QEMU with -qmp "
			       "unix:PATH,server=on,wait=off",
			       path);
	if (err == ECONNREFUSED)
		return xm_fail(e, -err, XM_REASON_CONNECT,
			       "%s: nobody listens; does its QEMU still run?",
			       path);
	return xm_fail(e, -err,
		       err == EACCES || err == EPERM ? XM_REASON_PERMISSION :
						       XM_REASON_CONNECT,
		       "%s: connect: %s", path, strerror(err));
}

int qmp_connect(const char *path, int timeout_ms, struct xm_error *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval tv = { timeout_ms / 1000, timeout_ms % 1000 * 1000L };
	int fd fd_cleanup = -1;

	if (strlen(path) >= sizeof(sun.sun_path))
		return xm_fail(
			e, -ENAMETOOLONG, XM_REASON_USAGE,
			"%.40s...: a socket's path has at most %zu bytes", path,
			sizeof(sun.sun_path) - 1);
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* A connect that does not wait would fail on a full queue at once. */
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
		return fail_connect(errno, path, e);
	return fd_steal(&fd);
}
