// SPDX-License-Identifier: GPL-2.0-or-later
/* t_xsk.c - raw sending and receiving on an AF_XDP socket */
#include "t_xsk.h"

#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "t_veth.h"
#include "xsk/compat.h"

static void t_fill(struct t_xsk *x, uint64_t addr)
{
	uint32_t idx = 0;

	assert_int_equal(xsk_ring_prod__reserve(&x->s.fill, 1, &idx), 1);
	*xsk_ring_prod__fill_addr(&x->s.fill, idx) = addr;
	xsk_ring_prod__submit(&x->s.fill, 1);
}

void t_xsk_open(struct t_xsk *x, const char *ifname, unsigned int queue)
{
	unsigned int i;

	memset(x, 0, sizeof(*x));
	x->opts = (struct xsk_chan_opts){
		.ifname = ifname,
		.ifindex = (int)if_nametoindex(ifname),
		.queue = queue,
		.max_descs = 18,
		.tx_ring = T_RING,
		.rx_ring = T_RING,
	};
	x->umem.len = T_CHUNKS * T_CHUNK;
	x->umem.base = mmap(NULL, x->umem.len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(x->umem.base, MAP_FAILED);
	if (xsk_sock_open(&x->s, &x->opts, &x->e) ||
	    xsk_sock_register(&x->s, &x->umem, &x->opts, &x->e))
		fail_msg("%s", x->e.msg);
	for (i = 0; i < T_TX; i++)
		t_fill(x, i * T_CHUNK);
	if (xsk_sock_bind(&x->s, &x->opts, &x->e))
		fail_msg("%s", x->e.msg);
}

void t_xsk_close(struct t_xsk *x)
{
	xsk_sock_close(&x->s);
	munmap(x->umem.base, x->umem.len);
}

void t_xsk_write(struct t_xsk *x, const struct xdp_desc *desc, unsigned int n)
{
	struct xdp_desc *d;
	unsigned int i;
	uint32_t idx = 0;

	assert_int_equal(xsk_ring_prod__reserve(&x->s.tx, n, &idx), n);
	for (i = 0; i < n; i++) {
		d = xsk_ring_prod__tx_desc(&x->s.tx, idx + i);
		*d = desc[i];
		d->options = i + 1 < n ? XDP_PKT_CONTD : 0;
	}
}

void t_xsk_publish(struct t_xsk *x, unsigned int n)
{
	xsk_ring_prod__submit(&x->s.tx, n);
}

int t_xsk_kick(struct t_xsk *x)
{
	return sendto(x->s.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 ? -errno : 0;
}

unsigned int t_xsk_reap(struct t_xsk *x, uint64_t *addr, unsigned int max)
{
	uint32_t idx, i, n = xsk_ring_cons__peek(&x->s.comp, max, &idx);

	for (i = 0; i < n; i++)
		addr[i] = *xsk_ring_cons__comp_addr(&x->s.comp, idx + i);
	if (n)
		xsk_ring_cons__release(&x->s.comp, n);
	return n;
}

void t_xsk_reap_all(struct t_xsk *x, uint64_t *addr, unsigned int n)
{
	unsigned int got = 0;
	int64_t start = 0;

	for (;;) {
		got += t_xsk_reap(x, addr + got, n - got);
		if (got == n)
			return;
		if (!t_wait(&start))
			fail_msg("%u of %u completions came", got, n);
	}
}

size_t t_xsk_recv(struct t_xsk *x, void *buf, size_t size)
{
	struct xdp_desc d;
	size_t len = 0;
	uint32_t idx = 0;

	do {
		if (!xsk_ring_cons__peek(&x->s.rx, 1, &idx)) {
			assert_int_equal(len, 0); /* whole frames only */
			return 0;
		}
		d = *xsk_ring_cons__rx_desc(&x->s.rx, idx);
		xsk_ring_cons__release(&x->s.rx, 1);
		assert_true(len + d.len <= size);
		memcpy((uint8_t *)buf + len, x->umem.base + d.addr, d.len);
		len += d.len;
		t_fill(x, d.addr / T_CHUNK * T_CHUNK);
	} while (d.options & XDP_PKT_CONTD);
	return len;
}

size_t t_xsk_recv_wait(struct t_xsk *x, void *buf, size_t size)
{
	int64_t start = 0;
	size_t len;

	while (!(len = t_xsk_recv(x, buf, size)))
		if (!t_wait(&start))
			fail_msg("no frame came");
	return len;
}

uint64_t t_xsk_tx_invalid(const struct t_xsk *x)
{
	struct xdp_statistics st = { 0 };
	socklen_t len = sizeof(st);

	assert_int_equal(
		getsockopt(x->s.fd, SOL_XDP, XDP_STATISTICS, &st, &len), 0);
	return st.tx_invalid_descs;
}
