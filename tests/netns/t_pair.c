// SPDX-License-Identifier: GPL-2.0-or-later
/* t_pair.c - two channels over a veth pair, and frames from one to the other
 *
 * Both are as the planner says.  A frame is 64 bytes of header (its number, its first
 * page, how many) and then pages, whose content tells which page they are.
 */
#include "t_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "t_veth.h"
#include "xsk/compat.h"
#include "xsk/plan.h"

#define QUEUE 1u

struct t_head {
	uint8_t eth[14];
	uint16_t pages;
	uint32_t number, first;
};

/* As a card says it that joins @segs pieces to a frame without a copy; its own MTU
 * does not cut them. */
static void t_pretend(struct xsk_caps *caps, unsigned int segs)
{
	caps->xdp_features |= XSK_NETDEV_ACT_ZEROCOPY | XSK_NETDEV_ACT_RX_SG;
	caps->zc_max_segs = segs;
	caps->mtu = 1500;
}

/* @zc_segs 0: what the device says. */
static struct xsk_chan *t_open(struct t_pair *t, const char *ifname,
			       bool is_sender, unsigned int busy_poll_us,
			       unsigned int zc_segs)
{
	struct xsk_extent x = { .fd = t->guest_fd,
				.len = T_POPULATED * T_PAGE };
	struct xsk_wish wish = {
		.is_sender = is_sender,
		.n_channels = 16,
		.in_flight = XM_IN_FLIGHT,
		.slice_max = T_POPULATED * T_PAGE,
		.rx_memory = XM_RX_MEMORY,
		.is_native = true,
	};
	struct xsk_chan *chan;
	struct xsk_plan plan;
	struct xsk_caps caps;

	if (xsk_caps_get(&caps, ifname, &t->e))
		fail_msg("%s", t->e.msg);
	wish.ip_max = caps.mtu;
	if (zc_segs)
		t_pretend(&caps, zc_segs);
	if (xsk_plan_make(&plan, &caps, &wish, &t->e))
		fail_msg("%s", t->e.msg);
	plan.opts.force_zero_copy = false; /* no veth has it */
	plan.opts.ifname = ifname;
	plan.opts.ifindex = caps.ifindex;
	plan.opts.queue = QUEUE;
	plan.opts.busy_poll_us = busy_poll_us;
	if (plan.maps_guest) {
		plan.opts.extents = &x;
		plan.opts.n_extents = 1;
		t->max_pages = plan.opts.max_descs - 1 > XM_FRAME_SEGS ?
				       XM_FRAME_SEGS :
				       plan.opts.max_descs - 1;
	}
	if (xsk_chan_open(&chan, &plan.opts, &t->e))
		fail_msg("%s", t->e.msg);
	assert_int_equal(xsk_chan_locked(chan), plan.locked);
	return chan;
}

struct t_pair *t_pair_new(unsigned int mtu, const char *qdisc,
			  unsigned int busy_poll_us, unsigned int zc_segs)
{
	struct t_pair *t = calloc(1, sizeof(*t));
	uint64_t i;

	t_veth_add(t_va, t_vb, 2, mtu);
	if (qdisc)
		t_run("tc qdisc add dev %s root %s", t_va, qdisc);
	t->guest_fd = memfd_create("t_guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(t->guest_fd, T_GUEST * T_PAGE), 0);
	t->guest = mmap(NULL, T_GUEST * T_PAGE, PROT_READ | PROT_WRITE,
			MAP_SHARED, t->guest_fd, 0);
	assert_ptr_not_equal(t->guest, MAP_FAILED);
	for (i = 0; i < T_POPULATED * T_PAGE / 8; i++)
		t->guest[i] = i * 0x9e3779b97f4a7c15;
	t->a = t_open(t, t_va, true, busy_poll_us, zc_segs);
	t->b = t_open(t, t_vb, false, busy_poll_us, 0);
	t->map_a = t_redirect(t_va);
	t->map_b = t_redirect(t_vb);
	t_redirect_set(t->map_a, QUEUE, xsk_chan_fd(t->a));
	t_redirect_set(t->map_b, QUEUE, xsk_chan_fd(t->b));
	t->credit = xsk_rx_credit(t->b, mtu + 14);
	return t;
}

void t_pair_free(struct t_pair *t)
{
	t->a = xsk_chan_close(t->a);
	t->b = xsk_chan_close(t->b);
	close(t->map_a);
	close(t->map_b);
	munmap(t->guest, T_GUEST * T_PAGE);
	close(t->guest_fd);
	t_run("ip link del %s 2>/dev/null || :", t_va);
	free(t);
}

/* -- frames --------------------------------------------------------------------------- */

void t_write_head(void *dst, uint32_t number, uint32_t first,
		  unsigned int pages)
{
	struct t_head h = { .eth = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88,
				     0xb5 },
			    .pages = (uint16_t)pages,
			    .number = number,
			    .first = first };

	memset(dst, 0, T_HEAD);
	memcpy(dst, &h, sizeof(h));
}

bool t_put(struct t_pair *t, struct xsk_chan *from, unsigned int pages)
{
	uint32_t first = t->sent * 7 % (T_POPULATED - XM_FRAME_SEGS);
	uint32_t len = T_HEAD, n = 0;
	struct xsk_seg seg[XM_FRAME_SEGS];
	uint64_t offset[XM_FRAME_SEGS];
	struct xsk_buf buf;

	if (!xsk_tx_get(from, t->staged, &buf))
		return false;
	assert_true(buf.staged == t->staged);
	t_write_head(buf.data, t->sent, first, pages);
	if (t->staged) {
		memcpy(buf.data + T_HEAD, (uint8_t *)t->guest + first * T_PAGE,
		       pages * T_PAGE);
		len += pages * T_PAGE;
	} else {
		for (; n < pages; n++)
			offset[n] = (first + n) * (uint64_t)T_PAGE;
		assert_true(xsk_seg_guest(from, 0, offset, n, T_PAGE, seg));
	}
	assert_int_equal(xsk_tx_put(from, &buf, len, seg, n, pages * T_PAGE,
				    t->sent),
			 0);
	t->sent++;
	return true;
}

uint32_t t_join(const struct xsk_frame *f, uint8_t *buf)
{
	uint32_t len = 0;
	unsigned int i;

	for (i = 0; i < f->n_pieces; i++) {
		assert_true(len + f->piece[i].len <= T_FRAME_MAX);
		memcpy(buf + len, f->piece[i].base, f->piece[i].len);
		len += f->piece[i].len;
	}
	assert_int_equal(len, f->len);
	return len;
}

static void t_check_frame(struct t_pair *t, const struct xsk_frame *f)
{
	static uint8_t buf[T_FRAME_MAX];
	uint32_t len = t_join(f, buf);
	struct t_head h;

	memcpy(&h, buf, sizeof(h));
	assert_true(h.number < t->sent);
	assert_false(t->seen[h.number]++);
	assert_int_equal(len, T_HEAD + h.pages * T_PAGE);
	assert_memory_equal(buf + T_HEAD,
			    (uint8_t *)t->guest + h.first * T_PAGE,
			    h.pages * T_PAGE);
	t->received++;
}

unsigned int t_receive(struct t_pair *t, struct xsk_chan *at)
{
	struct xsk_frame f[16];
	unsigned int n = xsk_rx(at, f, 16), i;

	for (i = 0; i < n; i++)
		t_check_frame(t, &f[i]);
	xsk_rx_done(at);
	return n;
}

unsigned int t_complete(struct t_pair *t, struct xsk_chan *at)
{
	struct xsk_done done[32];
	int n = xsk_tx_reap(at, done, 32, &t->e), i;
	uint32_t k;

	if (n < 0)
		fail_msg("%s", t->e.msg);
	for (i = 0; i < n; i++) {
		for (k = 0; k < done[i].n; k++) {
			assert_true(done[i].token + k < t->sent);
			assert_false(t->done[done[i].token + k]++);
			t->copied += done[i].copied;
			t->completed++;
		}
	}
	return (unsigned int)n;
}

void t_kick(struct t_pair *t, struct xsk_chan *at)
{
	if (xsk_tx_kick(at, &t->e))
		fail_msg("%s", t->e.msg);
}

/* Frames that will not arrive, as far as is known. */
static uint32_t t_lost(struct t_pair *t)
{
	struct xsk_stats st;

	xsk_chan_stats(t->a, &st);
	return t->lost + (t->may_drop ? (uint32_t)st.kicks_dropped : 0);
}

/* Has the last of @end frames come?  Frames of one queue stay in order. */
static bool t_arrived(struct t_pair *t, uint32_t end)
{
	if (t->may_drop)
		return t->received + t_lost(t) >= end;
	return t->seen[end - 1];
}

void t_transfer(struct t_pair *t, uint32_t end, unsigned int max_pages)
{
	int64_t start = 0;

	for (;;) {
		uint32_t lost = t_lost(t);
		bool moved = false;

		while (t->sent < end &&
		       t->sent < t->received + lost + t->credit &&
		       t_put(t, t->a, t->sent % (max_pages + 1)))
			moved = true;
		t_kick(t, t->a);
		while (t_receive(t, t->b))
			moved = true;
		while (t_complete(t, t->a))
			moved = true;
		if (t->sent == end && t->completed == end && t_arrived(t, end))
			break;
		if (moved)
			start = 0;
		else if (!t_wait(&start))
			fail_msg("stuck: %u sent, %u completed, %u received",
				 t->sent, t->completed, t->received);
	}
	assert_true(t->received + t_lost(t) >= end);
}

void t_post(struct t_pair *t, uint32_t n)
{
	while (n-- && t_put(t, t->a, 2))
		;
}
