// SPDX-License-Identifier: GPL-2.0-or-later
/* claim.c - a device's queues are one migration's at a time
 *
 * Opening channels takes time, and queues are bound one after the other: two
 * migrations that begin together could each get some and both fail.  So all
 * queues are claimed in ascending order, by a source before it connects and by a
 * destination when it is asked for them, and who comes second fails at its first
 * queue that is taken.  Two hosts that begin to send to each other over the same
 * queues within one round trip both find the peer's taken, and both fail: with
 * nothing done yet, and guests that run where they were.
 *
 * A claim is an abstract UNIX socket's name: it is of the network namespace, as
 * devices are, needs no file system, and goes with the process however that
 * ends.  It keeps migrations out of each other's way and protects nothing: that
 * a queue has one socket is the kernel's to say.
 */
#include "claim.h"

#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util/fd.h"

static int claim_one(struct claim *c, const char *dev, unsigned int queue,
		     struct xm_error *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	unsigned int index = if_nametoindex(dev);
	int err, len, fd = -1;

	/* The number: a device may be renamed meanwhile. */
	len = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1,
		       "xdpmig/device-%u/queue-%u", index, queue);
	if (index)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    !bind(fd, (struct sockaddr *)&sa,
		  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			      (size_t)len))) {
		c->fd[c->n++] = fd;
		return 0;
	}
	err = errno;
	(void)fd_close(fd);
	if (err == EADDRINUSE)
		return xm_fail(e, -EBUSY, XM_REASON_DEVICE,
			       "%s: another migration has queue %u; wait until "
			       "it ends (see 'xdpmig status') or use other "
			       "--queues",
			       dev, queue);
	return xm_fail(e, -err, XM_REASON_INTERNAL,
		       "%s: queue %u cannot be claimed: %s", dev, queue,
		       strerror(err));
}

int claim_queues(struct claim *c, const char *dev, unsigned int first,
		 unsigned int n, struct xm_error *e)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < n && !r; i++)
		r = claim_one(c, dev, first + i, e);
	if (r)
		claim_drop(c);
	return r;
}

void claim_drop(struct claim *c)
{
	while (c->n)
		(void)fd_close(c->fd[--c->n]);
}
