// SPDX-License-Identifier: GPL-2.0-or-later
/* test_chan_zc.c - a channel of engine zc-sg, as on i40e and ice: 8 descriptors a frame
 *
 * A driver with zero-copy takes descriptors when it polls, not in our system call; it
 * completes them in the order of the ring, as far as it came, and needs to be
 * woken for that too.
 */
#include <sys/socket.h>

#include "t_chan.h"

#define DESCS 8u

/* The device: takes what is in the TX ring, and completes it, in its order. */
struct t_nic {
	uint64_t log[4096];
	uint32_t taken, completed;
};

static int woken; /* the other end of where a wake-up goes */

static int zc_setup(void **state)
{
	struct t_chan *t;
	int pair[2];

	if (t_setup(state) ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	t = *state;
	woken = pair[1];
	chan_tx_fini(&t->chan);
	t->chan.opts.engine = XSK_ZC_SG;
	t->chan.opts.max_descs = DESCS;
	t->chan.sock.is_zero_copy = true;
	t->chan.sock.fd = pair[0];
	return chan_tx_init(&t->chan);
}

static int zc_teardown(void **state)
{
	struct t_chan *t = *state;

	close(t->chan.sock.fd);
	close(woken);
	return t_teardown(state);
}

static void nic_take(struct t_chan *t, struct t_nic *nic, uint32_t n)
{
	for (; n && t->tx.cons != t->tx.prod; n--)
		nic->log[nic->taken++ % 4096] =
			t->tx.desc[t->tx.cons++ % RING].addr;
}

static void nic_complete(struct t_chan *t, struct t_nic *nic, uint32_t n)
{
	for (; n && nic->completed != nic->taken &&
	       t->comp.prod - t->comp.cons < RING;
	     n--)
		t->comp.addr[t->comp.prod++ % RING] =
			nic->log[nic->completed++ % 4096];
}

static int t_put(struct t_chan *t, unsigned int pages, uint64_t token)
{
	uint64_t offset[16];
	struct xsk_seg seg[16];
	struct xsk_buf buf;
	unsigned int i;
	int r;

	for (i = 0; i < pages; i++)
		offset[i] = (4 + i) * PAGE;
	assert_true(xsk_seg_guest(&t->chan, 1, offset, pages, PAGE, seg));
	assert_true(xsk_tx_get(&t->chan, false, &buf));
	r = xsk_tx_put(&t->chan, &buf, 100, seg, pages, pages * PAGE, token);
	if (r)
		xsk_tx_unget(&t->chan, &buf);
	return r;
}

static void xsk_tx_put__8_descriptors_and_not_9(void **state)
{
	struct t_chan *t = *state;

	assert_int_equal(t_put(t, DESCS, 1), -EINVAL);
	assert_int_equal(xsk_tx_posted(&t->chan), 0);
	assert_int_equal(t_put(t, DESCS - 1, 1), 0);
	assert_int_equal(xsk_tx_kick(&t->chan, &t->e), 0);
	assert_int_equal(t->tx.prod, DESCS);
	assert_int_equal(t->tx.desc[DESCS - 2].options, XDP_PKT_CONTD);
	assert_int_equal(t->tx.desc[DESCS - 1].options, 0);
}

/* 64 entries are 8 frames of 8, and each of them is whole. */
static void xsk_tx_get__promises_8(void **state)
{
	struct t_chan *t = *state;
	struct xsk_buf buf;
	uint64_t i;

	for (i = 0; i < RING / DESCS; i++)
		assert_int_equal(t_put(t, DESCS - 1, i), 0);
	assert_false(xsk_tx_get(&t->chan, false, &buf));
	assert_int_equal(xsk_tx_kick(&t->chan, &t->e), 0);
	assert_int_equal(t->tx.prod, RING);
	for (i = 0; i < RING; i++)
		assert_int_equal(t->tx.desc[i].options,
				 i % DESCS == DESCS - 1 ? 0 : XDP_PKT_CONTD);
}

/* Nobody has copied a page but who staged it. */
static void xsk_tx_reap__copies_nothing(void **state)
{
	struct t_chan *t = *state;
	struct t_nic nic = { 0 };
	struct xsk_done done[2];
	struct xsk_buf buf;

	assert_int_equal(t_put(t, 5, 1), 0);
	assert_true(xsk_tx_get(&t->chan, true, &buf));
	assert_int_equal(
		xsk_tx_put(&t->chan, &buf, 3 * PAGE, NULL, 0, 2 * PAGE, 2), 0);
	assert_int_equal(xsk_tx_kick(&t->chan, &t->e), 0);
	nic_take(t, &nic, RING);
	nic_complete(t, &nic, RING);
	assert_int_equal(xsk_tx_reap(&t->chan, done, 2, &t->e), 2);
	assert_int_equal(done[0].copied, 0);
	assert_int_equal(done[1].copied, 2 * PAGE);
}

/* A driver may not look for completions before it is woken again. */
static void xsk_tx_kick__as_long_as_a_frame_is_out(void **state)
{
	struct t_chan *t = *state;
	struct t_nic nic = { 0 };
	struct xsk_done done[1];

	t->tx.flags = XDP_RING_NEED_WAKEUP;
	assert_int_equal(xsk_tx_kick(&t->chan, &t->e), 0);
	assert_int_equal(t->chan.stats.kicks, 0); /* nothing is out */
	assert_int_equal(t_put(t, 7, 1), 0);
	assert_int_equal(xsk_tx_kick(&t->chan, &t->e), 0);
	assert_int_equal(t->chan.stats.kicks, 1);
	nic_take(t, &nic, RING);
	assert_int_equal(xsk_tx_kick(&t->chan, &t->e), 0);
	assert_int_equal(t->chan.stats.kicks, 2);
	t->tx.flags = 0; /* it polls */
	assert_int_equal(xsk_tx_kick(&t->chan, &t->e), 0);
	assert_int_equal(t->chan.stats.kicks, 2);
	t->tx.flags = XDP_RING_NEED_WAKEUP;
	nic_complete(t, &nic, RING);
	assert_int_equal(xsk_tx_reap(&t->chan, done, 1, &t->e), 1);
	assert_int_equal(xsk_tx_kick(&t->chan, &t->e), 0);
	assert_int_equal(t->chan.stats.kicks, 2);
}

/* Frames of 1 to 8 descriptors, taken and completed in pieces of any size: each
 * is told once, in its order, and what it held is free again. */
static void xsk_tx_reap__in_order_and_cut_anywhere(void **state)
{
	struct t_chan *t = *state;
	static struct t_nic nic;
	uint64_t put = 0, told = 0;
	struct xsk_done done[5];
	struct xsk_buf buf;
	int i, n;

	srandom(8);
	while (told < 5000) {
		while (put < 5000 && random() % 8 &&
		       xsk_tx_get(&t->chan, false, &buf)) {
			xsk_tx_unget(&t->chan, &buf);
			assert_int_equal(
				t_put(t, (unsigned int)random() % DESCS, put++),
				0);
		}
		assert_int_equal(xsk_tx_kick(&t->chan, &t->e), 0);
		nic_take(t, &nic, (uint32_t)random() % 20);
		nic_complete(t, &nic, (uint32_t)random() % 20);
		n = xsk_tx_reap(&t->chan, done, 1 + (unsigned int)random() % 5,
				&t->e);
		assert_true(n >= 0);
		for (i = 0; i < n; i++) {
			assert_int_equal(done[i].token, told);
			told += done[i].n;
		}
	}
	assert_int_equal(xsk_tx_posted(&t->chan), 0);
	assert_int_equal(t->chan.tx.n_free_bufs, t->chan.opts.n_bufs);
	assert_int_equal(t->chan.tx.lent, 0);
	assert_int_equal(t->comp.cons, t->comp.prod);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, zc_setup, zc_teardown)
	const struct CMUnitTest tests[] = {
		T(xsk_tx_put__8_descriptors_and_not_9),
		T(xsk_tx_get__promises_8),
		T(xsk_tx_reap__copies_nothing),
		T(xsk_tx_kick__as_long_as_a_frame_is_out),
		T(xsk_tx_reap__in_order_and_cut_anywhere),
	};

	return cmocka_run_group_tests_name("chan_zc", tests, NULL, NULL);
}
