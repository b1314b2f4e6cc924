// SPDX-License-Identifier: GPL-2.0-or-later
/* test_chan_rx.c - a channel lends received frames and refills */
#include "t_chan.h"

/* -- the kernel's part ---------------------------------------------------------- */

/* Receive one piece into the next chunk of the fill ring. */
static uint64_t k_receive(struct t_chan *t, uint32_t len, bool more)
{
	uint64_t addr;

	assert_true(t->fill.prod != t->fill.cons);
	addr = t->fill.addr[t->fill.cons++ % RING] + 256;
	memset(t->chan.umem.base + addr, (int)(t->rx.prod & 0xff), len);
	t->rx.desc[t->rx.prod++ % RING] = (struct xdp_desc){
		.addr = addr,
		.len = len,
		.options = more ? XDP_PKT_CONTD : 0,
	};
	return addr;
}

/* -- receiving ----------------------------------------------------------------------- */

static void xsk_rx__lends_a_frame_of_one_piece(void **state)
{
	struct t_chan *t = *state;
	struct xsk_frame f[2];
	uint64_t addr = k_receive(t, 60, false);

	assert_int_equal(xsk_rx(&t->chan, f, 2), 1);
	assert_int_equal(f[0].n_pieces, 1);
	assert_int_equal(f[0].len, 60);
	assert_ptr_equal(f[0].piece[0].base, t->chan.umem.base + addr);
	assert_int_equal(t->rx.cons, 1);
	assert_int_equal(t->fill.prod - t->fill.cons, 31);
	xsk_rx_done(&t->chan);
	assert_int_equal(t->fill.prod - t->fill.cons, 32);
}

static void xsk_rx__joins_pieces(void **state)
{
	struct t_chan *t = *state;
	struct xsk_frame f[2];

	k_receive(t, 3840, true);
	k_receive(t, 3840, true);
	k_receive(t, 626, false);
	assert_int_equal(xsk_rx(&t->chan, f, 2), 1);
	assert_int_equal(f[0].n_pieces, 3);
	assert_int_equal(f[0].len, 8306);
	assert_int_equal(*(uint8_t *)f[0].piece[2].base, 2);
}

static void xsk_rx__keeps_a_frame_whose_tail_is_missing(void **state)
{
	struct t_chan *t = *state;
	struct xsk_frame f[2];

	k_receive(t, 60, false);
	k_receive(t, 3840, true);
	assert_int_equal(xsk_rx(&t->chan, f, 2), 1);
	xsk_rx_done(&t->chan);
	/* the piece that came is not given back */
	assert_int_equal(t->fill.prod - t->fill.cons, 31);
	assert_int_equal(xsk_rx(&t->chan, f, 2), 0);
	k_receive(t, 3840, true);
	assert_int_equal(xsk_rx(&t->chan, f, 2), 0);
	k_receive(t, 10, false);
	k_receive(t, 61, false);
	assert_int_equal(xsk_rx(&t->chan, f, 2), 2);
	assert_int_equal(f[0].n_pieces, 3);
	assert_int_equal(f[0].len, 7690);
	assert_int_equal(*(uint8_t *)f[0].piece[0].base, 1);
	assert_int_equal(*(uint8_t *)f[0].piece[2].base, 3);
	assert_int_equal(f[1].len, 61);
	xsk_rx_done(&t->chan);
	assert_int_equal(t->fill.prod - t->fill.cons, 32);
}

static void xsk_rx__leaves_what_was_not_asked_for(void **state)
{
	struct t_chan *t = *state;
	struct xsk_frame f[2];

	k_receive(t, 60, false);
	k_receive(t, 61, false);
	k_receive(t, 62, false);
	assert_int_equal(xsk_rx(&t->chan, f, 2), 2);
	assert_int_equal(t->rx.cons, 2);
	assert_int_equal(xsk_rx(&t->chan, f, 0), 0);
	assert_int_equal(xsk_rx(&t->chan, f, 2), 1);
	assert_int_equal(f[0].len, 62);
	xsk_rx_done(&t->chan);
	assert_int_equal(t->fill.prod - t->fill.cons, 32);
}

static void t_receive_pieces(struct t_chan *t, unsigned int n)
{
	while (--n)
		k_receive(t, 100, true);
	k_receive(t, 100, false);
}

static void xsk_rx__takes_18_pieces(void **state)
{
	struct t_chan *t = *state;
	struct xsk_frame f;

	t_receive_pieces(t, 18);
	assert_int_equal(xsk_rx(&t->chan, &f, 1), 1);
	assert_int_equal(f.n_pieces, 18);
	assert_int_equal(f.len, 1800);
}

static void xsk_rx__swallows_a_frame_of_19_pieces(void **state)
{
	struct t_chan *t = *state;
	struct xsk_frame f[2];

	k_receive(t, 60, false);
	t_receive_pieces(t, 19);
	k_receive(t, 61, false);
	assert_int_equal(xsk_rx(&t->chan, f, 2), 2);
	assert_int_equal(f[0].len, 60);
	assert_int_equal(f[1].len, 61);
	assert_int_equal(f[1].n_pieces, 1);
	assert_int_equal(t->chan.stats.rx_oversize, 1);
	assert_int_equal(t->chan.stats.rx_frames, 2);
	xsk_rx_done(&t->chan);
	assert_int_equal(t->fill.prod - t->fill.cons, 32);
}

static void xsk_rx__swallows_across_calls(void **state)
{
	struct t_chan *t = *state;
	struct xsk_frame f[2];
	unsigned int i;

	for (i = 0; i < 20; i++) {
		k_receive(t, 100, true);
		assert_int_equal(xsk_rx(&t->chan, f, 2), 0);
		xsk_rx_done(&t->chan);
	}
	k_receive(t, 100, false);
	k_receive(t, 61, false);
	assert_int_equal(xsk_rx(&t->chan, f, 2), 1);
	assert_int_equal(f[0].len, 61);
	xsk_rx_done(&t->chan);
	assert_int_equal(t->fill.prod - t->fill.cons, 32);
}

/* Any mixture, cut anywhere: lengths come out as they went in, no chunk is
 * lost and none is given back twice. */
/* The chunk in entry @at of the fill ring. */
static uint32_t t_chunk(const struct t_chan *t, uint32_t at)
{
	uint64_t addr = t->fill.addr[at % RING] - t->chan.umem.rx_addr;

	assert_true(addr / PAGE < 32);
	return (uint32_t)(addr / PAGE);
}

/* The kernel fills its next chunk before this one, or after. */
static void k_swap(struct t_chan *t)
{
	uint64_t *a = &t->fill.addr[t->fill.cons % RING];
	uint64_t *b = &t->fill.addr[(t->fill.cons + 1) % RING], was = *a;

	if (random() % 2)
		return;
	*a = *b;
	*b = was;
}

/* Those that are given back were out: @is_out. */
static void t_give_back(struct t_chan *t, bool is_out[32])
{
	uint32_t at = t->fill.prod;

	xsk_rx_done(&t->chan);
	for (; at != t->fill.prod; at++) {
		assert_true(is_out[t_chunk(t, at)]);
		is_out[t_chunk(t, at)] = false;
	}
}

static void xsk_rx__rings_wrap_many_times(void **state)
{
	struct t_chan *t = *state;
	uint32_t want[64], got = 0, made = 0, open = 0, i, n, seen[64];
	bool is_out[32] = { false };
	struct xsk_frame f[5];

	srandom(3);
	while (got < 2000) {
		while (t->fill.prod - t->fill.cons > 8 && random() % 6) {
			uint32_t len = 1 + (uint32_t)random() % 3840;
			bool more = random() % 3 && open < 4 * 3840;

			k_swap(t);
			n = t_chunk(t, t->fill.cons);
			assert_false(is_out[n]);
			is_out[n] = true;
			k_receive(t, len, more);
			open += len;
			if (!more) {
				want[made++ % 64] = open;
				open = 0;
			}
		}
		n = xsk_rx(&t->chan, f, 1 + (unsigned int)random() % 5);
		for (i = 0; i < n; i++)
			assert_int_equal(f[i].len, want[got++ % 64]);
		if (random() % 2)
			t_give_back(t, is_out);
	}
	t_give_back(t, is_out);
	memset(seen, 0, sizeof(seen));
	for (i = t->fill.cons; i != t->fill.prod; i++) {
		n = t_chunk(t, i);
		assert_true(!seen[n]++);
	}
}

static void xsk_rx_credit__counts_whole_frames(void **state)
{
	struct t_chan *t = *state;

	assert_int_equal(xsk_rx_credit(&t->chan, 60), 32);
	assert_int_equal(xsk_rx_credit(&t->chan, 3840), 32);
	assert_int_equal(xsk_rx_credit(&t->chan, 3841), 16);
	assert_int_equal(xsk_rx_credit(&t->chan, 9014), 10);
	assert_int_equal(xsk_rx_credit(&t->chan, 65549), 1);
	t->chan.sock.is_zero_copy = true;
	assert_int_equal(xsk_rx_credit(&t->chan, 3840), 16);
	t->chan.opts.max_descs = 1;
	assert_int_equal(xsk_rx_credit(&t->chan, 3840), 32);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)
	const struct CMUnitTest tests[] = {
		T(xsk_rx__lends_a_frame_of_one_piece),
		T(xsk_rx__joins_pieces),
		T(xsk_rx__keeps_a_frame_whose_tail_is_missing),
		T(xsk_rx__leaves_what_was_not_asked_for),
		T(xsk_rx__takes_18_pieces),
		T(xsk_rx__swallows_a_frame_of_19_pieces),
		T(xsk_rx__swallows_across_calls),
		T(xsk_rx__rings_wrap_many_times),
		T(xsk_rx_credit__counts_whole_frames),
	};

	return cmocka_run_group_tests_name("chan_rx", tests, NULL, NULL);
}
