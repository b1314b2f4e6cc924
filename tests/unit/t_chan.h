/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_chan.h - a channel without a kernel: the test is the rings' other end
 *
 * The four rings are plain memory.  So batches can be cut anywhere,
 * completions be wrong, and zero-copy mode and many pieces be had, none of
 * which a veth does at will.
 */
#ifndef XM_TESTS_T_CHAN_H
#define XM_TESTS_T_CHAN_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "xsk/chan_priv.h"
#include "xsk/compat.h"

#define RING 64
#define PAGE 4096u

/* One shared ring: the words the kernel and the program both see. */
struct t_ring {
	uint32_t prod, cons, flags;
	union {
		struct xdp_desc desc[RING];
		uint64_t addr[RING];
	};
};

struct t_chan {
	struct xsk_chan chan;
	struct t_ring tx, comp, rx, fill;
	struct xsk_extent x;
	struct xm_error e;
};

static inline void t_bind_prod(struct xsk_ring_prod *r, struct t_ring *mem)
{
	*r = (struct xsk_ring_prod){ 0,         RING,       RING - 1,
				     RING,      &mem->prod, &mem->cons,
				     mem->desc, &mem->flags };
}

static inline void t_bind_cons(struct xsk_ring_cons *r, struct t_ring *mem)
{
	*r = (struct xsk_ring_cons){ 0,         0,          RING - 1,
				     RING,      &mem->prod, &mem->cons,
				     mem->desc, &mem->flags };
}

/* 8 slots, 12 header buffers, 4 staging frames of 3 pages, 32 chunks, and 16
 * pages of guest memory: block 1 from page 4 on. */
static inline int t_setup(void **state)
{
	struct t_chan *t = calloc(1, sizeof(*t));
	struct xsk_chan *c = &t->chan;

	c->opts = (struct xsk_chan_opts){
		.ifname = "fake",
		.engine = XSK_COPY_SG,
		.max_descs = 18,
		.tx_ring = RING,
		.rx_ring = RING,
		.rx_chunks = 32,
		.n_slots = 8,
		.n_bufs = 12,
		.n_stages = 4,
		.stage_len = 3 * PAGE,
		.extents = &t->x,
		.n_extents = 1,
	};
	t->x = (struct xsk_extent){ .fd = memfd_create("g", MFD_CLOEXEC),
				    .block = 1,
				    .offset = 4 * PAGE,
				    .len = 16 * PAGE };
	if (t->x.fd < 0 || ftruncate(t->x.fd, t->x.len))
		return -1;
	memcpy(c->ifname, "fake", 5);
	c->sock.fd = -1;
	t_bind_prod(&c->sock.tx, &t->tx);
	t_bind_prod(&c->sock.fill, &t->fill);
	t_bind_cons(&c->sock.rx, &t->rx);
	t_bind_cons(&c->sock.comp, &t->comp);
	if (umem_open(&c->umem, &c->opts, &t->e) || chan_tx_init(c))
		return -1;
	chan_rx_init(c);
	*state = t;
	return 0;
}

static inline int t_teardown(void **state)
{
	struct t_chan *t = *state;

	chan_tx_fini(&t->chan);
	umem_close(&t->chan.umem);
	close(t->x.fd);
	free(t);
	return 0;
}

#endif
