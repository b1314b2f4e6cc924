// SPDX-License-Identifier: GPL-2.0-or-later
/* chan.c - opening and closing a channel: one queue, one socket, one UMEM
 *
 *             put            kick/sendto                      peer
 *   free  ---------> TX ring ----------> kernel, NIC ========> wire
 *   lists <--------- completion ring <--------'
 *             reap
 *             rx_done        XDP redirect                     peer
 *   lent  ---------> fill ring ---------> kernel <============ wire
 *         <--------- RX ring  <--------------'
 *             rx
 *
 * The layout of the memory, and who owns which part of it when, is drawn in
 * umem.c; sock.c makes the rings.  chan_tx.c posts frames, chan_run.c many that
 * look alike at once, chan_reap.c has them back; chan_rx.c receives.  Every
 * channel has both directions: a sender receives ACKs, a receiver sends them.
 *
 * A channel belongs to one thread: each of its rings has one producer and one
 * consumer, and only one channel is bound to a queue.  (Two sockets on one
 * queue would have their frames cut apart: the kernel serves them in turns of
 * 32 descriptors.)
 *
 * What was planned is asked for, and what was got is told: the engine of an
 * open channel is the planned one or xsk_chan_bind() failed.
 */
#include "chan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "chan_priv.h"
#include "compat.h"

const char *xsk_engine_name(enum xsk_engine engine)
{
	static const char *const name[XSK_ENGINE__COUNT] = {
		[XSK_COPY_SG] = "copy-sg",
		[XSK_COPY_STAGED] = "copy-staged",
		[XSK_ZC_STAGED] = "zc-staged",
		[XSK_ZC_SG] = "zc-sg",
	};

	return engine < XSK_ENGINE__COUNT ? name[engine] : "?";
}

static bool chan_is_pow2(uint32_t x)
{
	return x && !(x & (x - 1));
}

/* Sizes that contradict each other are a bug of the planner or its caller. */
static int chan_check_opts(const struct xsk_chan_opts *o, struct xm_error *e)
{
	const char *what = NULL;

	if (!o->ifname || o->ifindex <= 0)
		what = "no device";
	else if (!o->max_descs || o->max_descs > XM_FRAME_DESCS)
		what = "max_descs";
	else if (!chan_is_pow2(o->tx_ring) || o->tx_ring < o->max_descs)
		what = "tx_ring";
	else if (!chan_is_pow2(o->rx_ring) || o->rx_ring < o->rx_chunks)
		what = "rx_ring";
	else if (!o->rx_chunks)
		what = "rx_chunks";
	else if (o->n_stages && (!o->stage_len || o->stage_len % XSK_CHUNK_LEN))
		what = "stage_len";
	else if (o->n_stages && o->stage_len / XSK_CHUNK_LEN > o->max_descs)
		what = "stage_len above max_descs chunks";
	if (!what)
		return 0;
	return xm_fail(e, -EINVAL, XM_REASON_INTERNAL,
		       "%s: queue %u: channel options: %s",
		       o->ifname ? o->ifname : "?", o->queue, what);
}

static int chan_setup(struct xsk_chan *chan, const struct xsk_chan_opts *opts,
		      struct xm_error *e)
{
	int r = umem_open(&chan->umem, opts, e);

	if (r)
		return r;
	r = xsk_sock_open(&chan->sock, opts, e);
	if (r)
		return r;
	r = chan_tx_init(chan);
	if (r)
		return xm_fail(e, r, XM_REASON_MEMORY,
			       "%s: queue %u: out of memory", chan->ifname,
			       opts->queue);
	chan_rx_init(chan);
	return 0;
}

int xsk_chan_make(struct xsk_chan **ret_chan, const struct xsk_chan_opts *opts,
		  struct xm_error *e)
{
	struct xsk_chan *chan;
	int r = chan_check_opts(opts, e);

	if (r)
		return r;
	chan = calloc(1, sizeof(*chan));
	if (!chan)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "%s: queue %u: out of memory", opts->ifname,
			       opts->queue);
	chan->sock.fd = -1;
	chan->opts = *opts;
	snprintf(chan->ifname, sizeof(chan->ifname), "%s", opts->ifname);
	chan->opts.ifname = chan->ifname;
	chan->opts.extents = NULL;
	chan->opts.n_extents = 0;
	r = chan_setup(chan, opts, e);
	if (r) {
		xsk_chan_close(chan);
		return r;
	}
	*ret_chan = chan;
	return 0;
}

int xsk_chan_pin(struct xsk_chan *chan, struct xm_error *e)
{
	return xsk_sock_register(&chan->sock, &chan->umem, &chan->opts, e);
}

int xsk_chan_bind(struct xsk_chan *chan, struct xm_error *e)
{
	return xsk_sock_bind(&chan->sock, &chan->opts, e);
}

int xsk_chan_open(struct xsk_chan **ret_chan, const struct xsk_chan_opts *opts,
		  struct xm_error *e)
{
	struct xsk_chan *chan;
	int r = xsk_chan_make(&chan, opts, e);

	if (r)
		return r;
	r = xsk_chan_pin(chan, e);
	if (!r)
		r = xsk_chan_bind(chan, e);
	if (r)
		xsk_chan_close(chan);
	else
		*ret_chan = chan;
	return r;
}

struct xsk_chan *xsk_chan_close(struct xsk_chan *chan)
{
	if (!chan)
		return NULL;
	xsk_sock_close(&chan->sock);
	chan_tx_fini(chan);
	umem_close(&chan->umem);
	free(chan);
	return NULL;
}

int xsk_chan_fd(const struct xsk_chan *chan)
{
	return chan->sock.fd;
}

enum xsk_engine xsk_chan_engine(const struct xsk_chan *chan)
{
	return chan->opts.engine;
}

bool xsk_chan_is_zero_copy(const struct xsk_chan *chan)
{
	return chan->sock.is_zero_copy;
}

size_t xsk_chan_locked(const struct xsk_chan *chan)
{
	return chan->umem.len;
}

uint64_t xsk_chan_left_out(const struct xsk_chan *chan)
{
	return chan->umem.left_out;
}

void *xsk_chan_slot(const struct xsk_chan *chan, uint32_t slot)
{
	return chan->umem.base + chan->umem.slots_addr +
	       (uint64_t)slot * XSK_SLOT_LEN;
}

const void *xsk_guest_range(const struct xsk_chan *chan, size_t *ret_len)
{
	*ret_len = chan->umem.len - chan->umem.guest_addr;
	return chan->umem.base + chan->umem.guest_addr;
}

bool xsk_guest_view(const struct xsk_chan *chan, uint8_t block, uint64_t offset,
		    struct xm_page_view *ret_view)
{
	const struct umem_map *m = umem_map_at(&chan->umem, block, offset);

	if (m)
		*ret_view = (struct xm_page_view){
			.from = m->offset,
			.end = m->offset + m->len,
			.at = chan->umem.base + m->addr,
		};
	return m != NULL;
}

/* Reads XDP_STATISTICS into chan->stats. */
static void chan_read_stats(struct xsk_chan *chan)
{
	struct xdp_statistics ks = { 0 };
	socklen_t len = sizeof(ks);

	chan->stats.syscalls++;
	if (getsockopt(chan->sock.fd, SOL_XDP, XDP_STATISTICS, &ks, &len))
		return;
	chan->stats.rx_dropped = ks.rx_dropped;
	chan->stats.rx_invalid_descs = ks.rx_invalid_descs;
	chan->stats.tx_invalid_descs = ks.tx_invalid_descs;
	chan->stats.rx_ring_full = ks.rx_ring_full;
	chan->stats.rx_fill_ring_empty_descs = ks.rx_fill_ring_empty_descs;
	chan->stats.tx_ring_empty_descs = ks.tx_ring_empty_descs;
}

/* A device that is unregistered unbinds the socket and leaves ENETDOWN in
 * SO_ERROR; poll() does not tell (no EPOLLERR). */
int xsk_chan_check(struct xsk_chan *chan, struct xm_error *e)
{
	socklen_t len = sizeof(int);
	int err = 0;

	chan->stats.syscalls++;
	if (getsockopt(chan->sock.fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (err)
		return xm_fail(e, -err, XM_REASON_DEVICE, "%s: queue %u: %s%s",
			       chan->ifname, chan->opts.queue,
			       err == ENETDOWN ? "the device is gone: " : "",
			       strerror(err));
	chan_read_stats(chan);
	if (chan->stats.tx_invalid_descs)
		return xm_fail(e, -EPROTO, XM_REASON_INTERNAL,
			       "%s: queue %u: the kernel rejected %" PRIu64
			       " descriptors, which may never complete",
			       chan->ifname, chan->opts.queue,
			       chan->stats.tx_invalid_descs);
	return 0;
}

void xsk_chan_stats(struct xsk_chan *chan, struct xsk_stats *ret_stats)
{
	chan_read_stats(chan);
	*ret_stats = chan->stats;
}
