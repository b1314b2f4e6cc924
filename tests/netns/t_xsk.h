/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_xsk.h - an AF_XDP socket with its rings laid bare, for probing the kernel
 *
 * Setup goes through the project's own sock.c; then the test writes whatever
 * descriptors it likes, which xsk_chan would refuse.
 */
#ifndef XM_TESTS_T_XSK_H
#define XM_TESTS_T_XSK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xsk/sock.h"

#define T_CHUNK  4096
#define T_CHUNKS 1024 /* of the UMEM: the first half is the fill ring's */
#define T_TX     (T_CHUNKS / 2) /* the first chunk to send from */
#define T_RING   1024

struct t_xsk {
	struct xsk_sock s;
	struct umem umem; /* base and len only */
	struct xsk_chan_opts opts;
	struct xm_error e;
};

/* Open on anonymous memory and bind in copy mode with XDP_USE_SG. */
void t_xsk_open(struct t_xsk *x, const char *ifname, unsigned int queue);
void t_xsk_close(struct t_xsk *x);

/* UMEM address of byte @off of TX chunk @chunk. */
static inline uint64_t t_tx_addr(unsigned int chunk, unsigned int off)
{
	return (uint64_t)(T_TX + chunk) * T_CHUNK + off;
}

/* Write one frame of the @n given descriptors (options are set here) behind
 * the producer; does not publish. */
void t_xsk_write(struct t_xsk *x, const struct xdp_desc *desc, unsigned int n);
/* Publish what was written. */
void t_xsk_publish(struct t_xsk *x, unsigned int n);
/* sendto(): 0 or -errno. */
int t_xsk_kick(struct t_xsk *x);

/* Read up to @max completions that are there. */
unsigned int t_xsk_reap(struct t_xsk *x, uint64_t *addr, unsigned int max);
/* Wait for exactly @n; fails the test when they do not come. */
void t_xsk_reap_all(struct t_xsk *x, uint64_t *addr, unsigned int n);

/* Take one frame if there is one: its bytes to @buf (up to @size), its chunks
 * back to the fill ring.  Returns its length, 0 when there is none. */
size_t t_xsk_recv(struct t_xsk *x, void *buf, size_t size);
/* The same, waiting; fails the test when none comes. */
size_t t_xsk_recv_wait(struct t_xsk *x, void *buf, size_t size);

uint64_t t_xsk_tx_invalid(const struct t_xsk *x);

#endif
