/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stock.h - AF_XDP sockets, made while we may
 *
 * Making one takes CAP_NET_RAW, and two of its options CAP_NET_ADMIN; all that
 * is done with it later takes nothing.  So sockets are made first, and the
 * capabilities given up before the network is listened to.  Who never had them
 * gets sockets from the keeper (keeper.h).
 */
#ifndef XM_XSK_STOCK_H
#define XM_XSK_STOCK_H

#include <stdatomic.h>

#include "util/error.h"
#include "xdpmig/limits.h"

struct xsk_stock {
	int fd[XM_CHAN_MAX];
	unsigned int n;   /* that were made */
	atomic_uint next; /* to be taken; threads do */
};

/* What a socket is made for. */
struct xsk_stock_opts {
	const char *ifname;
	int ifindex;
	unsigned int n;            /* sockets, at most XM_CHAN_MAX */
	unsigned int busy_poll_us; /* 0: not */
};

/* 0, or -errno with @e: -EPERM: neither capability nor keeper. */
int xsk_stock_fill(struct xsk_stock *stock, const struct xsk_stock_opts *opts,
		   struct xm_error *e);

/* A socket, the caller's, or -1: none is left. */
int xsk_stock_take(struct xsk_stock *stock);

/* Close what was not taken. */
void xsk_stock_drop(struct xsk_stock *stock);

/* One socket: a descriptor, or -errno with @e.  -EPERM without CAP_NET_RAW. */
int xsk_stock_socket(const struct xsk_stock_opts *opts, struct xm_error *e);

#endif
