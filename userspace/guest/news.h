/* SPDX-License-Identifier: GPL-2.0-or-later */
/* news.h - what a guest will report at its next turn
 *
 * Some kinds of guest do at once what others take time for.  They report it
 * the same way, one turn later, and a descriptor wakes whoever polls.
 */
#ifndef XM_GUEST_NEWS_H
#define XM_GUEST_NEWS_H

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "util/error.h"
#include "util/fd.h"

struct guest_news {
	int fd; /* readable while there are any */
	unsigned int flags;
};

static inline int news_open(struct guest_news *n, struct xm_error *e)
{
	n->flags = 0;
	n->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (n->fd >= 0)
		return 0;
	return xm_fail(e, -errno, XM_REASON_MEMORY,
		       "no descriptor for the guest's events (eventfd): %m");
}

static inline void news_post(struct guest_news *n, unsigned int flags)
{
	n->flags |= flags;
	(void)eventfd_write(n->fd, 1); /* full is as readable as one */
}

static inline unsigned int news_take(struct guest_news *n)
{
	unsigned int flags = n->flags;
	eventfd_t count;

	(void)eventfd_read(n->fd, &count); /* there may be none */
	n->flags = 0;
	return flags;
}

static inline struct pollfd news_pollfd(const struct guest_news *n)
{
	return (struct pollfd){ .fd = n->fd, .events = POLLIN };
}

static inline void news_close(struct guest_news *n)
{
	n->fd = fd_close(n->fd);
}

#endif
