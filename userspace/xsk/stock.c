// SPDX-License-Identifier: GPL-2.0-or-later
/* stock.c - making AF_XDP sockets, or getting them
 *
 *   socket()           CAP_NET_RAW
 *   SO_SNDBUFFORCE     CAP_NET_ADMIN; without, net.core.wmem_max is the limit, and
 *                      a sender in copy mode makes more system calls
 *   SO_BUSY_POLL etc.  CAP_NET_ADMIN, if it is asked for
 *   everything else    nothing.  Memory counts against RLIMIT_MEMLOCK, of who
 *                      registers it (sock.c)
 *
 * The send buffer is that of the longest ring: what it allows beyond is not
 * used.
 */
#include "stock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "compat.h"
#include "keeper.h"
#include "plan.h"
#include "util/fd.h"

/* The largest that a ring of descriptors, a page each, comes to. */
#define STOCK_SNDBUF (XSK_TX_RING * 4096)

static int stock_busy_poll(int fd, const struct xsk_stock_opts *o,
			   struct xm_error *e)
{
	int on = 1, us = (int)o->busy_poll_us, budget = 64;

	if (!o->busy_poll_us)
		return 0;
	if (!setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof(on)) &&
	    !setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof(us)) &&
	    !setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget,
			sizeof(budget)))
		return 0;
	return xm_fail(e, -errno, XM_REASON_PERMISSION,
		       "%s: busy polling: %s%s", o->ifname, strerror(errno),
		       errno == EPERM ? "; it needs CAP_NET_ADMIN" : "");
}

int xsk_stock_socket(const struct xsk_stock_opts *o, struct xm_error *e)
{
	int fd fd_cleanup = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	int sndbuf = STOCK_SNDBUF, r;

	if (fd < 0)
		return xm_fail(e, -errno,
			       errno == EPERM ? XM_REASON_PERMISSION :
						XM_REASON_DEVICE,
			       "%s: AF_XDP socket: %s%s", o->ifname,
			       strerror(errno),
			       errno == EPERM ?
				       "; it needs CAP_NET_RAW, or an attach "
				       "with --user" :
			       errno == EAFNOSUPPORT ?
				       "; the kernel lacks CONFIG_XDP_SOCKETS" :
				       "");
	/* Only costs system calls, so a user without it is no error. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf)))
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf,
				 sizeof(sndbuf));
	r = stock_busy_poll(fd, o, e);
	return r ? r : fd_steal(&fd);
}

int xsk_stock_fill(struct xsk_stock *stock, const struct xsk_stock_opts *o,
		   struct xm_error *e)
{
	struct xm_error why = { 0 }, kept = { 0 };
	int fd = 0, r;

	for (stock->n = 0; stock->n < o->n; stock->n++) {
		fd = xsk_stock_socket(o, &why);
		if (fd < 0)
			break;
		stock->fd[stock->n] = fd;
	}
	if (stock->n == o->n)
		return 0;
	xsk_stock_drop(stock);
	if (fd != -EPERM)
		return xm_fail(e, fd, why.reason, "%s", why.msg);
	r = keeper_sockets(o, stock->fd, &kept);
	if (!r) {
		stock->n = o->n;
		return 0;
	}
	/* Nobody keeps them: then the capability is what is missing. */
	if (r == -ENOENT)
		return xm_fail(e, fd, why.reason, "%s", why.msg);
	return xm_fail(e, r, kept.reason, "%s", kept.msg);
}

int xsk_stock_take(struct xsk_stock *stock)
{
	unsigned int i = atomic_fetch_add(&stock->next, 1);

	return i < stock->n ? stock->fd[i] : -1;
}

void xsk_stock_drop(struct xsk_stock *stock)
{
	int fd;

	while ((fd = xsk_stock_take(stock)) >= 0)
		(void)fd_close(fd);
	stock->n = 0;
	atomic_store(&stock->next, 0);
}
