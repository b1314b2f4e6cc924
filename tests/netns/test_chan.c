// SPDX-License-Identifier: GPL-2.0-or-later
/* test_chan.c - two channels over a veth pair, through chan.h
 *
 *   guest memfd --- channel a ==== va - vb ==== channel b --- checked here
 *                   sender                      receiver
 *
 * Both are as the planner says.  A frame is 64 bytes of header (its
 * number, its first page, how many) and then pages, whose content tells which
 * page they are.  With the queueing discipline pfifo nothing may get lost;
 * the receiver's memory is respected as the protocol does, by credit.
 */
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "t_veth.h"
#include "xsk/chan_priv.h"
#include "xsk/plan.h"

#define PAGE      4096u
#define GUEST     512u /* pages; the last 64 are a hole */
#define POPULATED 448u
#define HEAD      64u
#define QUEUE     1u
#define FRAME_MAX 65600u
#define FRAMES    6000u /* the most a test sends */

struct t_head {
	uint8_t eth[14];
	uint16_t pages;
	uint32_t number, first;
};

struct t_pair {
	struct xsk_chan *a, *b;
	int map_a, map_b, guest_fd;
	uint64_t *guest;
	unsigned int max_pages; /* a frame can carry */
	uint32_t credit;
	uint32_t sent, received, completed;
	uint32_t lost; /* of those sent */
	uint64_t copied;
	bool staged;
	bool may_drop; /* the device may, as kicks_dropped tells */
	uint8_t seen[FRAMES], done[FRAMES];
	struct xm_error e;
};

static char va[16], vb[16];

/* -- two hosts --------------------------------------------------------------------- */

static struct xsk_chan *t_open(struct t_pair *t, const char *ifname,
			       bool is_sender, unsigned int busy_poll_us)
{
	struct xsk_extent x = { .fd = t->guest_fd, .len = POPULATED * PAGE };
	struct xsk_wish wish = {
		.is_sender = is_sender,
		.n_channels = 16,
		.in_flight = XM_IN_FLIGHT,
		.slice_max = POPULATED * PAGE,
		.rx_memory = XM_RX_MEMORY,
		.is_native = true,
	};
	struct xsk_chan *chan;
	struct xsk_plan plan;
	struct xsk_caps caps;

	if (xsk_caps_get(&caps, ifname, &t->e))
		fail_msg("%s", t->e.msg);
	wish.ip_max = caps.mtu;
	if (xsk_plan_make(&plan, &caps, &wish, &t->e))
		fail_msg("%s", t->e.msg);
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

static struct t_pair *t_new(unsigned int mtu, const char *qdisc,
			    unsigned int busy_poll_us)
{
	struct t_pair *t = calloc(1, sizeof(*t));
	uint64_t i;

	t_veth_add(va, vb, 2, mtu);
	if (qdisc)
		t_run("tc qdisc add dev %s root %s", va, qdisc);
	t->guest_fd = memfd_create("t_guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(t->guest_fd, GUEST * PAGE), 0);
	t->guest = mmap(NULL, GUEST * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			t->guest_fd, 0);
	assert_ptr_not_equal(t->guest, MAP_FAILED);
	for (i = 0; i < POPULATED * PAGE / 8; i++)
		t->guest[i] = i * 0x9e3779b97f4a7c15;
	t->a = t_open(t, va, true, busy_poll_us);
	t->b = t_open(t, vb, false, busy_poll_us);
	t->map_a = t_redirect(va);
	t->map_b = t_redirect(vb);
	t_redirect_set(t->map_a, QUEUE, xsk_chan_fd(t->a));
	t_redirect_set(t->map_b, QUEUE, xsk_chan_fd(t->b));
	t->credit = xsk_rx_credit(t->b, mtu + 14);
	return t;
}

#define SETUP(name, ...)                     \
	static int name(void **state)        \
	{                                    \
		*state = t_new(__VA_ARGS__); \
		return 0;                    \
	}
SETUP(setup, 9000, "pfifo", 0)
SETUP(setup_large, 65535, "pfifo", 0)
SETUP(setup_small, 1500, "pfifo", 0)
SETUP(setup_noqueue, 9000, NULL, 0)
SETUP(setup_busy_poll, 9000, "pfifo", 20)

static int teardown(void **state)
{
	struct t_pair *t = *state;

	t->a = xsk_chan_close(t->a);
	t->b = xsk_chan_close(t->b);
	close(t->map_a);
	close(t->map_b);
	munmap(t->guest, GUEST * PAGE);
	close(t->guest_fd);
	free(t);
	t_run("ip link del %s 2>/dev/null || :", va);
	return 0;
}

/* -- frames --------------------------------------------------------------------------- */

static void t_write_head(void *dst, uint32_t number, uint32_t first,
			 unsigned int pages)
{
	struct t_head h = { .eth = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88,
				     0xb5 },
			    .pages = (uint16_t)pages,
			    .number = number,
			    .first = first };

	memset(dst, 0, HEAD);
	memcpy(dst, &h, sizeof(h));
}

/* Put frame number t->sent.  False when there is no buffer or no room. */
static bool t_put(struct t_pair *t, struct xsk_chan *from, unsigned int pages)
{
	uint32_t first = t->sent * 7 % (POPULATED - XM_FRAME_SEGS);
	uint32_t len = HEAD, n = 0;
	struct xsk_seg seg[XM_FRAME_SEGS];
	uint64_t offset[XM_FRAME_SEGS];
	struct xsk_buf buf;

	if (!xsk_tx_get(from, t->staged, &buf))
		return false;
	assert_true(buf.staged == t->staged);
	t_write_head(buf.data, t->sent, first, pages);
	if (t->staged) {
		memcpy(buf.data + HEAD, (uint8_t *)t->guest + first * PAGE,
		       pages * PAGE);
		len += pages * PAGE;
	} else {
		for (; n < pages; n++)
			offset[n] = (first + n) * (uint64_t)PAGE;
		assert_true(xsk_seg_guest(from, 0, offset, n, PAGE, seg));
	}
	assert_int_equal(
		xsk_tx_put(from, &buf, len, seg, n, pages * PAGE, t->sent), 0);
	t->sent++;
	return true;
}

/* All pieces of a frame in a row. */
static uint32_t t_join(const struct xsk_frame *f, uint8_t *buf)
{
	uint32_t len = 0;
	unsigned int i;

	for (i = 0; i < f->n_pieces; i++) {
		assert_true(len + f->piece[i].len <= FRAME_MAX);
		memcpy(buf + len, f->piece[i].base, f->piece[i].len);
		len += f->piece[i].len;
	}
	assert_int_equal(len, f->len);
	return len;
}

static void t_check_frame(struct t_pair *t, const struct xsk_frame *f)
{
	static uint8_t buf[FRAME_MAX];
	uint32_t len = t_join(f, buf);
	struct t_head h;

	memcpy(&h, buf, sizeof(h));
	assert_true(h.number < t->sent);
	assert_false(t->seen[h.number]++);
	assert_int_equal(len, HEAD + h.pages * PAGE);
	assert_memory_equal(buf + HEAD, (uint8_t *)t->guest + h.first * PAGE,
			    h.pages * PAGE);
	t->received++;
}

static unsigned int t_receive(struct t_pair *t, struct xsk_chan *at)
{
	struct xsk_frame f[16];
	unsigned int n = xsk_rx(at, f, 16), i;

	for (i = 0; i < n; i++)
		t_check_frame(t, &f[i]);
	xsk_rx_done(at);
	return n;
}

static unsigned int t_complete(struct t_pair *t, struct xsk_chan *at)
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

static void t_kick(struct t_pair *t, struct xsk_chan *at)
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

/* Send until frame number @end, of 0 to @max_pages pages each, and see all of
 * them completed and received. */
static void t_transfer(struct t_pair *t, uint32_t end, unsigned int max_pages)
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

static void t_check_stats(struct t_pair *t)
{
	struct xsk_stats a, b;

	xsk_chan_stats(t->a, &a);
	xsk_chan_stats(t->b, &b);
	assert_int_equal(a.tx_frames, t->sent);
	assert_int_equal(b.rx_frames, t->received);
	assert_int_equal(a.tx_invalid_descs, 0);
	assert_int_equal(b.rx_invalid_descs, 0);
	assert_int_equal(b.rx_dropped, 0);
	assert_int_equal(b.rx_ring_full, 0);
	assert_int_equal(b.rx_oversize, 0);
	assert_int_equal(xsk_tx_posted(t->a), 0);
	assert_true(a.syscalls >= a.kicks);
}

/* -- sending ---------------------------------------------------------------------------- */

static void send__pages_by_descriptor(void **state)
{
	struct t_pair *t = *state;

	assert_int_equal(xsk_chan_engine(t->a), XSK_COPY_SG);
	t_transfer(t, 5000, 2);
	assert_int_equal(t->received, 5000);
	/* 0, 1, 2 pages in turn; the kernel copied each once */
	assert_int_equal(t->copied, (5000 / 3 * 3 + 1) * (uint64_t)PAGE);
	t_check_stats(t);
}

static void send__staged(void **state)
{
	struct t_pair *t = *state;

	t->staged = true;
	t_transfer(t, 1500, 2);
	assert_int_equal(t->copied, 2 * 1500 * (uint64_t)PAGE);
	t_check_stats(t);
}

static void send__15_pages(void **state)
{
	struct t_pair *t = *state;

	assert_int_equal(t->max_pages, 15);
	t_transfer(t, 400, 15);
	t->staged = true;
	t_transfer(t, 500, 15);
	t_check_stats(t);
}

static void send__without_a_page_in_a_frame(void **state)
{
	struct t_pair *t = *state;

	t_transfer(t, 3000, 0);
	t_check_stats(t);
}

static void send__noqueue_may_lose_but_completes(void **state)
{
	struct t_pair *t = *state;

	t->may_drop = true;
	t_transfer(t, 3000, 2);
	assert_int_equal(t->completed, 3000);
}

static void send__busy_polling(void **state)
{
	struct t_pair *t = *state;

	t_transfer(t, 1000, 2);
	t_check_stats(t);
}

static void send__a_header_slot(void **state)
{
	struct t_pair *t = *state;
	struct xsk_seg seg = xsk_seg_slot(t->a, 19, 1344);
	static uint8_t buf[FRAME_MAX];
	struct xsk_frame f;
	struct xsk_buf b;
	int64_t start = 0;

	memset(xsk_chan_slot(t->a, 19), 0xc3, 1344);
	assert_true(xsk_tx_get(t->a, false, &b));
	t_write_head(b.data, 0, 0, 0);
	assert_int_equal(xsk_tx_put(t->a, &b, HEAD, &seg, 1, 1344, 0), 0);
	t_kick(t, t->a);
	while (!xsk_rx(t->b, &f, 1))
		assert_true(t_wait(&start));
	assert_int_equal(t_join(&f, buf), HEAD + 1344);
	assert_int_equal(buf[HEAD], 0xc3);
	assert_int_equal(buf[HEAD + 1343], 0xc3);
	xsk_rx_done(t->b);
}

static void send__both_directions_at_once(void **state)
{
	struct t_pair *t = *state;
	struct xsk_stats st;
	uint32_t back = 0, i;
	int64_t start = 0;

	for (i = 0; i < 50; i++) {
		t_transfer(t, t->sent + 32, 2);
		/* an answer, staged, as a receiver does */
		t->staged = true;
		assert_true(t_put(t, t->b, 1));
		t->staged = false;
		back++;
		t_kick(t, t->b);
		while (!t_receive(t, t->a))
			assert_true(t_wait(&start));
		while (!t_complete(t, t->b))
			assert_true(t_wait(&start));
		start = 0;
	}
	xsk_chan_stats(t->b, &st);
	assert_int_equal(st.tx_frames, back);
	assert_int_equal(xsk_tx_posted(t->b), 0);
}

static void send__memory_that_was_a_hole_is_not_there(void **state)
{
	uint64_t offset[2] = { (POPULATED - 1) * PAGE, POPULATED * PAGE };
	struct t_pair *t = *state;
	struct xsk_seg seg[2];

	assert_true(xsk_seg_guest(t->a, 0, offset, 1, PAGE, seg));
	assert_false(xsk_seg_guest(t->a, 0, offset, 2, PAGE, seg));
	assert_false(xsk_seg_guest(t->a, 1, offset, 1, PAGE, seg));
}

/* What the guest writes after registration is what is sent: the same pages. */
static void send__what_the_guest_wrote_since(void **state)
{
	struct t_pair *t = *state;
	uint32_t i;

	for (i = 0; i < POPULATED * PAGE / 8; i++)
		t->guest[i] ^= UINT64_MAX;
	t_transfer(t, 300, 2);
}

/* -- receiving ------------------------------------------------------------------------------ */

/* Frames that find no chunk are lost, but nothing else is. */
static void receive__goes_on_after_starving(void **state)
{
	struct t_pair *t = *state;
	struct xsk_stats st;
	uint32_t n = t->credit + 40;
	int64_t start = 0;

	while (t->sent < n || t->completed < n) {
		while (t->sent < n && t_put(t, t->a, 2))
			;
		t_kick(t, t->a);
		t_complete(t, t->a);
		assert_true(t_wait(&start));
	}
	while (t_receive(t, t->b))
		;
	xsk_chan_stats(t->b, &st);
	assert_true(t->received < n);
	assert_true(t->received >= t->credit);
	assert_true(st.rx_dropped > 0);
	t->lost = n - t->received;
	t_transfer(t, n + 500, 2);
}

/* A chunk may come back while the kernel has not yet published that it took the
 * chunk's old entry: then all of them count twice. */
static void receive__fill_ring_has_room_for_what_counts_twice(void **state)
{
	struct t_pair *t = *state;

	assert_true(t->b->sock.fill.size >= 2 * t->b->opts.rx_chunks);
}

/* -- links ---------------------------------------------------------------------------------- */

/* Post, without anybody receiving. */
static void t_post(struct t_pair *t, uint32_t n)
{
	while (n-- && t_put(t, t->a, 2))
		;
}

static void link__down_and_up_in_the_middle(void **state)
{
	struct t_pair *t = *state;

	t_transfer(t, 500, 2);
	t_run("ip link set %s down", va);
	t_post(t, 20);
	assert_int_equal(xsk_tx_kick(t->a, &t->e), -ENETDOWN);
	assert_int_equal(t->e.err, 0); /* nothing to report yet */
	assert_int_equal(xsk_tx_posted(t->a), 20);
	assert_int_equal(xsk_chan_check(t->a, &t->e), 0);
	t_run("ip link set %s up", va);
	t_carrier_wait(va);
	t_carrier_wait(vb);
	/* The frames waited in the ring; a device that comes up may drop some
	 * of them, and completes those too. */
	t->lost = 20;
	t_transfer(t, t->sent + 500, 2);
	t_check_stats(t);
}

static void link__peer_down_loses_and_completes(void **state)
{
	struct t_pair *t = *state;
	struct xsk_stats st;
	int64_t start = 0;

	t_transfer(t, 100, 2);
	t_run("ip link set %s down", vb);
	t_post(t, 20);
	while (t->completed < t->sent) {
		t_kick(t, t->a);
		t_complete(t, t->a);
		assert_true(t_wait(&start));
	}
	xsk_chan_stats(t->a, &st);
	assert_int_equal(st.kicks_dropped, 20); /* no carrier */
	t_run("ip link set %s up", vb);
	t_carrier_wait(va);
	t_carrier_wait(vb);
	t->lost = 20;
	t_transfer(t, t->sent + 200, 2);
	assert_int_equal(t->received, 300);
}

static void link__a_device_that_vanishes_is_told(void **state)
{
	struct t_pair *t = *state;
	int r;

	t_transfer(t, 50, 2);
	t_veth_del(va);
	assert_int_equal(xsk_chan_check(t->b, &t->e), -ENETDOWN);
	assert_non_null(strstr(t->e.msg, vb));
	assert_non_null(strstr(t->e.msg, "gone"));
	memset(&t->e, 0, sizeof(t->e));
	t_post(t, 1);
	r = xsk_tx_kick(t->a, &t->e);
	assert_true(r < 0 && r != -ENETDOWN);
	assert_non_null(strstr(t->e.msg, "gone"));
}

static void link__mtu_change_stops_nothing(void **state)
{
	struct t_pair *t = *state;

	t_transfer(t, 200, 2);
	t_run("ip link set %s mtu 8900", va);
	t_transfer(t, 400, 2);
	t_run("ip link set %s mtu 9000", va);
	t_transfer(t, 600, 2);
}

int main(void)
{
#define T(name, how) cmocka_unit_test_setup_teardown(name, setup##how, teardown)
	const struct CMUnitTest tests[] = {
		T(send__pages_by_descriptor, ),
		T(send__staged, ),
		T(send__15_pages, _large),
		T(send__without_a_page_in_a_frame, _small),
		T(send__noqueue_may_lose_but_completes, _noqueue),
		T(send__busy_polling, _busy_poll),
		T(send__a_header_slot, ),
		T(send__both_directions_at_once, ),
		T(send__memory_that_was_a_hole_is_not_there, ),
		T(send__what_the_guest_wrote_since, ),
		T(receive__goes_on_after_starving, ),
		T(receive__fill_ring_has_room_for_what_counts_twice, ),
		T(link__down_and_up_in_the_middle, ),
		T(link__peer_down_loses_and_completes, ),
		T(link__a_device_that_vanishes_is_told, ),
		T(link__mtu_change_stops_nothing, ),
	};

	if (!t_netns_enter())
		return 0;
	snprintf(va, sizeof(va), "a%d", getpid());
	snprintf(vb, sizeof(vb), "b%d", getpid());
	return cmocka_run_group_tests_name("netns-chan", tests, NULL, NULL);
}
