// SPDX-License-Identifier: GPL-2.0-or-later
/* sock.c - setting up an AF_XDP socket, and saying what went wrong
 *
 * Order matters and is the kernel's:
 *
 *   socket -> ring sizes -> XDP_MMAP_OFFSETS -> mmap of each ring -> socket
 *   options -> (caller fills the fill ring) -> XDP_UMEM_REG -> bind
 *
 * Registering could come as early as the socket.  But it holds the lock of the
 * process's mappings for as long as it pins, and each mmap() of another thread
 * waits for that: so the rings of all sockets are mapped before the first of
 * them registers (chan.h).
 *
 *   ring    entries   who produces   size
 *   fill    address   we             2 rx_ring, at least twice the chunks: the
 *                                    kernel publishes what it took from it
 *                                    after it has published the frames, so a
 *                                    chunk can be back here while its entry
 *                                    still counts as taken
 *   rx      desc      kernel         rx_ring: never full before fill is empty
 *   tx      desc      we             tx_ring
 *   comp    address   kernel         tx_ring: a full one would block TX
 *
 * libxdp 1.3.1's own setup is not used: it cannot take a UMEM that the rings'
 * owner outlives, leaves cached indices unset, and hides which step failed.
 * The step and the object are the whole point of an error here: the same
 * EINVAL means a queue that does not exist, an MTU too large for zero-copy or
 * a kernel without multi-buffer.
 *
 * Binding asks for XDP_ZEROCOPY or XDP_COPY, never for "whatever": with
 * XDP_USE_SG alone a driver without multi-buffer falls back to copying
 * without a word.  XDP_OPTIONS is read back all the same.
 *
 * EBUSY at bind is normal for a moment after another socket of this queue was
 * closed: the kernel releases its buffer pool asynchronously.  So is what that
 * had locked: a user with a limit, ENOBUFS, has it back a moment later.
 */
#include "sock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "caps.h"
#include "compat.h"
#include "stock.h"

#define BIND_TRIES   10
#define BIND_WAIT_MS 100
#define LOCK_TRIES   40
#define LOCK_WAIT_MS 25

static int sock_set(const struct xsk_sock *s, int name, const void *val,
		    socklen_t len)
{
	return setsockopt(s->fd, SOL_XDP, name, val, len) ? -errno : 0;
}

/* -- registration ------------------------------------------------------------ */

static int sock_reg(int fd, const uint8_t *addr, uint64_t len)
{
	struct xdp_umem_reg reg = {
		.addr = (uintptr_t)addr,
		.len = len,
		.chunk_size = XSK_CHUNK_LEN,
	};

	return setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) ?
		       -errno :
		       0;
}

/* Find the first mapping that cannot be pinned, with a socket a try: the
 * kernel only says that one of them could not, and when others could it does
 * not even say why (ENOMEM).  A socket that failed is as good as new, so the
 * first is @own; there may be no right to make others.  -errno with @ret_addr in
 * it, or 0: none. */
static int sock_blame(int own, const struct umem *umem, uint64_t *ret_addr)
{
	uint32_t i;
	int fd, r = 0;

	for (i = 0; i < umem->n_maps && !r; i++) {
		fd = i ? socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0) : own;
		if (fd < 0)
			return 0;
		r = sock_reg(fd, umem->base + umem->maps[i].addr,
			     XSK_CHUNK_LEN);
		if (i)
			close(fd);
		if (r != -EFAULT && r != -EOPNOTSUPP)
			r = 0;
		*ret_addr = umem->maps[i].addr;
	}
	return r;
}

static int sock_fail_memlock(const struct umem *umem,
			     const struct xsk_chan_opts *opts,
			     struct xm_error *e)
{
	struct rlimit lim = { 0 };

	(void)getrlimit(RLIMIT_MEMLOCK, &lim); /* only for the text */
	return xm_fail(
		e, -ENOBUFS, XM_REASON_PERMISSION,
		"%s: queue %u: cannot lock %" PRIu64
		" bytes: RLIMIT_MEMLOCK is %" PRIu64
		" bytes for all channels of this user; raise it (ulimit -l), grant CAP_IPC_LOCK, or lock less with --lock-budget",
		opts->ifname, opts->queue, umem->len, (uint64_t)lim.rlim_cur);
}

/* The limit is looked at before anything is pinned, so to try again costs nothing. */
static int sock_reg_all(const struct xsk_sock *s, const struct umem *umem)
{
	const struct timespec wait = { .tv_nsec = LOCK_WAIT_MS * 1000000L };
	int i, r = sock_reg(s->fd, umem->base, umem->len);

	for (i = 1; r == -ENOBUFS && i < LOCK_TRIES; i++) {
		(void)nanosleep(&wait, NULL); /* a shorter wait does no harm */
		r = sock_reg(s->fd, umem->base, umem->len);
	}
	return r;
}

int xsk_sock_register(struct xsk_sock *s, const struct umem *umem,
		      const struct xsk_chan_opts *opts, struct xm_error *e)
{
	int r = sock_reg_all(s, umem), blamed;
	uint64_t addr = 0;
	char what[160];

	if (!r)
		return 0;
	if (r == -ENOBUFS)
		return sock_fail_memlock(umem, opts, e);
	blamed = sock_blame(s->fd, umem, &addr);
	if (blamed) {
		umem_describe(umem, addr, what, sizeof(what));
		return xm_fail(
			e, blamed, XM_REASON_MEMORY,
			"%s: queue %u: %s cannot be pinned (%s): it must be writable shared memory (memfd, shmem, hugetlbfs)",
			opts->ifname, opts->queue, what, strerror(-blamed));
	}
	return xm_fail(
		e, r, XM_REASON_MEMORY,
		"%s: queue %u: registering a UMEM of %" PRIu64 " bytes: %s%s",
		opts->ifname, opts->queue, umem->len, strerror(-r),
		r == -ENOMEM ?
			"; not enough memory, or guest memory went away" :
			"");
}

/* -- rings ------------------------------------------------------------------- */

static int sock_map_ring(struct xsk_sock *s, int which, off_t pgoff,
			 const struct xdp_ring_offset *off, uint32_t entries,
			 size_t entry_len)
{
	size_t len = off->desc + entries * entry_len;
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, s->fd, pgoff);

	if (p == MAP_FAILED)
		return -errno;
	s->map[which].addr = p;
	s->map[which].len = len;
	return 0;
}

static uint32_t sock_fill_ring(const struct xsk_chan_opts *o)
{
	return 2 * o->rx_ring;
}

/* <xdp/xsk.h> wants cached_cons of a producer ring one ring size ahead. */
#define SOCK_INIT_RING(r_, map_, off, entries, ahead)                   \
	do {                                                            \
		uint8_t *base_ = (map_);                                \
		(r_)->mask = (entries)-1;                               \
		(r_)->size = (entries);                                 \
		(r_)->producer = (uint32_t *)(base_ + (off)->producer); \
		(r_)->consumer = (uint32_t *)(base_ + (off)->consumer); \
		(r_)->flags = (uint32_t *)(base_ + (off)->flags);       \
		(r_)->ring = base_ + (off)->desc;                       \
		(r_)->cached_prod = *(r_)->producer;                    \
		(r_)->cached_cons = *(r_)->consumer + (ahead);          \
	} while (0)

static int sock_map_rings(struct xsk_sock *s, const struct xsk_chan_opts *o)
{
	struct xdp_mmap_offsets off;
	socklen_t len = sizeof(off);
	int r;

	if (getsockopt(s->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len))
		return -errno;
	r = sock_map_ring(s, SOCK_FILL, (off_t)XDP_UMEM_PGOFF_FILL_RING,
			  &off.fr, sock_fill_ring(o), sizeof(uint64_t));
	if (!r)
		r = sock_map_ring(s, SOCK_COMP,
				  (off_t)XDP_UMEM_PGOFF_COMPLETION_RING,
				  &off.cr, o->tx_ring, sizeof(uint64_t));
	if (!r)
		r = sock_map_ring(s, SOCK_RX, XDP_PGOFF_RX_RING, &off.rx,
				  o->rx_ring, sizeof(struct xdp_desc));
	if (!r)
		r = sock_map_ring(s, SOCK_TX, XDP_PGOFF_TX_RING, &off.tx,
				  o->tx_ring, sizeof(struct xdp_desc));
	if (r)
		return r;
	SOCK_INIT_RING(&s->fill, s->map[SOCK_FILL].addr, &off.fr,
		       sock_fill_ring(o), sock_fill_ring(o));
	SOCK_INIT_RING(&s->comp, s->map[SOCK_COMP].addr, &off.cr, o->tx_ring,
		       0);
	SOCK_INIT_RING(&s->rx, s->map[SOCK_RX].addr, &off.rx, o->rx_ring, 0);
	SOCK_INIT_RING(&s->tx, s->map[SOCK_TX].addr, &off.tx, o->tx_ring,
		       o->tx_ring);
	return 0;
}

static int sock_make_rings(struct xsk_sock *s, const struct xsk_chan_opts *o,
			   struct xm_error *e)
{
	uint32_t fill = sock_fill_ring(o);
	int r = sock_set(s, XDP_UMEM_FILL_RING, &fill, sizeof(fill));

	if (!r)
		r = sock_set(s, XDP_UMEM_COMPLETION_RING, &o->tx_ring,
			     sizeof(o->tx_ring));
	if (!r)
		r = sock_set(s, XDP_RX_RING, &o->rx_ring, sizeof(o->rx_ring));
	if (!r)
		r = sock_set(s, XDP_TX_RING, &o->tx_ring, sizeof(o->tx_ring));
	if (!r)
		r = sock_map_rings(s, o);
	if (!r)
		return 0;
	return xm_fail(e, r, XM_REASON_DEVICE,
		       "%s: queue %u: rings of %u and %u descriptors: %s",
		       o->ifname, o->queue, o->tx_ring, o->rx_ring,
		       strerror(-r));
}

/* -- options ------------------------------------------------------------------- */

/* Copy mode sends at most 32 descriptors a system call unless told otherwise
 * (6.17).  That only costs system calls, so a kernel without it is no error. */
static void sock_widen(const struct xsk_sock *s, const struct xsk_chan_opts *o)
{
	int budget = (int)o->tx_ring;

	(void)sock_set(s, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
}

static int sock_get(const struct xsk_chan_opts *o, struct xm_error *e)
{
	const struct xsk_stock_opts want = {
		.ifname = o->ifname,
		.ifindex = o->ifindex,
		.n = 1,
		.busy_poll_us = o->busy_poll_us,
	};
	int fd;

	if (!o->stock)
		return xsk_stock_socket(&want, e);
	fd = xsk_stock_take(o->stock);
	return fd >= 0 ? fd :
			 xm_fail(e, -ENOBUFS, XM_REASON_INTERNAL,
				 "%s: queue %u: no socket is left for it",
				 o->ifname, o->queue);
}

int xsk_sock_open(struct xsk_sock *s, const struct xsk_chan_opts *opts,
		  struct xm_error *e)
{
	int r;

	memset(s, 0, sizeof(*s));
	s->fd = sock_get(opts, e);
	if (s->fd < 0) {
		r = s->fd;
		s->fd = -1;
		return r;
	}
	r = sock_make_rings(s, opts, e);
	if (r)
		return r;
	sock_widen(s, opts);
	return 0;
}

/* -- bind ---------------------------------------------------------------------- */

static int sock_fail_invalid(const struct xsk_chan_opts *o, struct xm_error *e)
{
	struct xsk_caps caps;

	if (!xsk_caps_get(&caps, o->ifname, NULL)) {
		if (o->queue >= caps.rx_queues)
			return xm_fail(
				e, -EINVAL, XM_REASON_DEVICE,
				"%s has no queue %u: %u are in use; see ethtool -L %s",
				o->ifname, o->queue, caps.rx_queues, o->ifname);
		if (o->force_zero_copy)
			return xm_fail(
				e, -EINVAL, XM_REASON_ZERO_COPY,
				"%s: queue %u: zero-copy refused at MTU %u: lower the MTU, attach XDP in native mode, or use --zero-copy off",
				o->ifname, o->queue, caps.mtu);
	}
	return xm_fail(e, -EINVAL, XM_REASON_DEVICE,
		       "%s: queue %u: bind refused: %s%s", o->ifname, o->queue,
		       strerror(EINVAL),
		       o->max_descs > 1 ?
			       "; several descriptors a frame need Linux 6.6" :
			       "");
}

static int sock_fail_bind(const struct xsk_chan_opts *o, int r,
			  struct xm_error *e)
{
	switch (r) {
	case -EBUSY:
		return xm_fail(
			e, r, XM_REASON_DEVICE,
			"%s: queue %u already has an AF_XDP socket of another program; end it or choose other queues",
			o->ifname, o->queue);
	case -EINVAL:
		return sock_fail_invalid(o, e);
	case -EOPNOTSUPP:
		return xm_fail(
			e, r, XM_REASON_ZERO_COPY,
			"%s: queue %u: the driver has no AF_XDP zero-copy%s; use --zero-copy prefer or off",
			o->ifname, o->queue,
			o->max_descs > 1 ? " with several descriptors a frame" :
					   "");
	case -ENODEV:
		return xm_fail(e, r, XM_REASON_DEVICE, "%s: no such device",
			       o->ifname);
	case -ENOMEM:
		return xm_fail(
			e, r, XM_REASON_MEMORY,
			"%s: queue %u: no memory for the buffer pool (128 bytes of kernel memory for 4 KiB of UMEM); use --lock-budget",
			o->ifname, o->queue);
	default:
		return xm_fail(e, r, XM_REASON_DEVICE, "%s: queue %u: bind: %s",
			       o->ifname, o->queue, strerror(-r));
	}
}

int xsk_sock_bind(struct xsk_sock *s, const struct xsk_chan_opts *o,
		  struct xm_error *e)
{
	const struct timespec wait = { .tv_nsec = BIND_WAIT_MS * 1000000L };
	struct sockaddr_xdp sa = {
		.sxdp_family = AF_XDP,
		.sxdp_ifindex = (uint32_t)o->ifindex,
		.sxdp_queue_id = o->queue,
		.sxdp_flags = XDP_USE_NEED_WAKEUP,
	};
	struct xdp_options xo = { 0 };
	socklen_t len = sizeof(xo);
	int r, i;

	sa.sxdp_flags |= o->force_zero_copy ? XDP_ZEROCOPY : XDP_COPY;
	if (o->max_descs > 1)
		sa.sxdp_flags |= XDP_USE_SG;
	for (i = 1;; i++) {
		r = bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)) ? -errno :
								      0;
		if (r != -EBUSY || i == BIND_TRIES)
			break;
		(void)nanosleep(&wait, NULL); /* a shorter wait does no harm */
	}
	if (r)
		return sock_fail_bind(o, r, e);
	if (getsockopt(s->fd, SOL_XDP, XDP_OPTIONS, &xo, &len))
		return xm_fail(e, -errno, XM_REASON_DEVICE,
			       "%s: queue %u: XDP_OPTIONS: %s", o->ifname,
			       o->queue, strerror(errno));
	s->is_zero_copy = xo.flags & XDP_OPTIONS_ZEROCOPY;
	return 0;
}

void xsk_sock_close(struct xsk_sock *s)
{
	unsigned int i;

	for (i = 0; i < SOCK_RING__COUNT; i++)
		if (s->map[i].addr)
			munmap(s->map[i].addr, s->map[i].len);
	if (s->fd >= 0)
		close(s->fd);
	memset(s, 0, sizeof(*s));
	s->fd = -1;
}
