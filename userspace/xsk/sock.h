/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sock.h - an AF_XDP socket with its four rings, by bare system calls
 *
 * The rings are driven with the accessors of <xdp/xsk.h>; nothing of libxdp's
 * library is called.  Theory in sock.c.
 */
#ifndef XM_XSK_SOCK_H
#define XM_XSK_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <xdp/xsk.h>

#include "chan.h"
#include "umem.h"

enum { SOCK_FILL, SOCK_COMP, SOCK_RX, SOCK_TX, SOCK_RING__COUNT };

struct xsk_sock {
	int fd;
	bool is_zero_copy; /* what XDP_OPTIONS says, after _bind */
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons comp, rx;
	struct {
		void *addr; /* NULL: not mapped */
		size_t len;
	} map[SOCK_RING__COUNT];
};

/* Socket, rings and socket options.  The fill ring can be filled then; drivers
 * in zero-copy mode want it filled before _bind.
 * 0, or -errno with @e; @s is to be closed either way. */
int xsk_sock_open(struct xsk_sock *s, const struct xsk_chan_opts *opts,
		  struct xm_error *e);

/* Register the UMEM: the kernel pins all of it.  Before _bind. */
int xsk_sock_register(struct xsk_sock *s, const struct umem *umem,
		      const struct xsk_chan_opts *opts, struct xm_error *e);

/* Bind to the queue, retrying EBUSY for a second, and read the mode back. */
int xsk_sock_bind(struct xsk_sock *s, const struct xsk_chan_opts *opts,
		  struct xm_error *e);

void xsk_sock_close(struct xsk_sock *s);

#endif
