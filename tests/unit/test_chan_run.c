// SPDX-License-Identifier: GPL-2.0-or-later
/* test_chan_run.c - frames that look alike are posted together */
#include "core/be.h"

#include "t_chan.h"

/* Lend for a run of @n frames of @n_segs pages each, page by page from page @page of
 * the block on.  How many there are. */
static unsigned int t_get(struct t_chan *t, unsigned int page, unsigned int n,
			  unsigned int n_segs, struct xsk_run *ret_run)
{
	uint8_t table[XSK_RUN_PAGES * 8];
	unsigned int i;

	for (i = 0; i < n * n_segs && i < XSK_RUN_PAGES; i++)
		xm_be64_put(table + 8 * i, (page + i) * PAGE);
	return xsk_run_get(&t->chan, 1, table, n, n_segs, ret_run);
}

static int t_run(struct t_chan *t, unsigned int n, unsigned int n_segs,
		 uint64_t token)
{
	struct xsk_run run;

	assert_int_equal(t_get(t, 4, n, n_segs, &run), n);
	return xsk_run_put(&t->chan, &run, 100, token);
}

static void t_kick(struct t_chan *t)
{
	assert_int_equal(xsk_tx_kick(&t->chan, &t->e), 0);
}

/* What was posted leaves and is complete. */
static void k_complete_all(struct t_chan *t)
{
	for (; t->tx.cons != t->tx.prod; t->tx.cons++)
		t->comp.addr[t->comp.prod++ % RING] =
			t->tx.desc[t->tx.cons % RING].addr;
}

static void xsk_run_put__posts_headers_and_pages(void **state)
{
	struct t_chan *t = *state;
	struct umem *u = &t->chan.umem;
	unsigned int i;

	assert_int_equal(t_run(t, 3, 2, 7), 0);
	assert_int_equal(t->tx.prod, 0); /* not before the kick */
	t_kick(t);
	assert_int_equal(t->tx.prod, 9);
	for (i = 0; i < 9; i++)
		assert_int_equal(t->tx.desc[i].options,
				 i % 3 == 2 ? 0 : XDP_PKT_CONTD);
	assert_int_equal(t->tx.desc[3].addr, u->bufs_addr + XSK_BUF_LEN);
	assert_int_equal(t->tx.desc[3].len, 100);
	assert_int_equal(t->tx.desc[8].addr, u->guest_addr + 5 * PAGE);
	assert_int_equal(t->tx.desc[8].len, PAGE);
	assert_int_equal(xsk_tx_posted(&t->chan), 3);
	assert_int_equal(t->chan.stats.tx_frames, 3);
	assert_int_equal(t->chan.stats.tx_descs, 9);
	assert_int_equal(t->chan.tx.lent, 0);
}

static void xsk_run_put__completes_as_a_range(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[4];

	assert_int_equal(t_run(t, 3, 2, 7), 0);
	t_kick(t);
	k_complete_all(t);
	assert_int_equal(xsk_tx_reap(&t->chan, done, 4, &t->e), 1);
	assert_int_equal(done[0].token, 7);
	assert_int_equal(done[0].n, 3);
	assert_int_equal(done[0].copied, 2 * PAGE);
	assert_int_equal(t->chan.tx.n_free_bufs, 12);
}

/* Accounting that is wrong once would give memory back that is still read. */
static void xsk_run_put__completed_inside_a_buffer(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[4];

	assert_int_equal(t_run(t, 3, 2, 7), 0);
	t_kick(t);
	k_complete_all(t);
	t->comp.addr[3] += 64;
	assert_int_equal(xsk_tx_reap(&t->chan, done, 4, &t->e), -EPROTO);
}

static void xsk_run_put__refuses_what_no_buffer_holds(void **state)
{
	struct t_chan *t = *state;
	struct xsk_run run;

	assert_int_equal(t_get(t, 4, 3, 1, &run), 3);
	assert_int_equal(xsk_run_put(&t->chan, &run, XSK_BUF_LEN + 1, 1),
			 -EINVAL);
	assert_int_equal(xsk_run_put(&t->chan, &run, 0, 1), -EINVAL);
	assert_int_equal(xsk_tx_posted(&t->chan), 0);
	t_kick(t);
	assert_int_equal(t->tx.prod, 0);
}

static void xsk_run_put__is_zero_copy(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[1];

	t->chan.sock.is_zero_copy = true;
	assert_int_equal(t_run(t, 2, 1, 1), 0);
	t_kick(t);
	k_complete_all(t);
	assert_int_equal(xsk_tx_reap(&t->chan, done, 1, &t->e), 1);
	assert_int_equal(done[0].n, 2);
	assert_int_equal(done[0].copied, 0);
}

/* 12 buffers; 64 entries, which 3 frames of 17 leave 13 of. */
static void xsk_run_get__is_limited_by_buffers_and_ring(void **state)
{
	struct t_chan *t = *state;
	uint8_t table[XSK_RUN_PAGES * 8];
	struct xsk_run run, held;
	struct xsk_buf buf;
	unsigned int i;

	for (i = 0; i < XSK_RUN_PAGES; i++)
		xm_be64_put(table + 8 * i, 4 * PAGE); /* the same, fine */
	assert_int_equal(xsk_run_get(&t->chan, 1, table, 64, 18, &run), 0);
	assert_int_equal(xsk_run_get(&t->chan, 1, table, 64, 0, &run), 0);
	assert_int_equal(xsk_run_get(&t->chan, 1, table, 2, 16, &held), 2);
	assert_int_equal(xsk_run_get(&t->chan, 1, table, 7, 16, &run), 1);
	assert_int_equal(xsk_run_get(&t->chan, 1, table, 7, 16, &run), 0);
	assert_int_equal(xsk_run_get(&t->chan, 1, table, 64, 2, &run), 4);
	assert_false(xsk_tx_get(&t->chan, false, &buf));
	assert_int_equal(t->chan.tx.n_free_bufs, 5);
}

static void xsk_run_get__ends_with_the_buffers(void **state)
{
	struct t_chan *t = *state;
	struct xsk_run run;

	assert_int_equal(t_get(t, 4, 15, 1, &run), 12);
	assert_int_equal(t_get(t, 4, 1, 1, &run), 0);
}

/* Pages 4 to 19 are there. */
static void xsk_run_get__ends_with_the_map(void **state)
{
	uint8_t odd[16];
	struct t_chan *t = *state;
	struct xsk_run run;

	xm_be64_put(odd, 4 * PAGE);
	xm_be64_put(odd + 8, 5 * PAGE + 1);
	assert_int_equal(t_get(t, 15, 3, 2, &run), 2);
	assert_int_equal(run.addr[3], t->chan.umem.guest_addr + 14 * PAGE);
	assert_int_equal(t_get(t, 19, 1, 2, &run), 0);
	assert_int_equal(t_get(t, 3, 1, 1, &run), 0);
	assert_int_equal(t_get(t, 20, 1, 1, &run), 0);
	assert_int_equal(xsk_run_get(&t->chan, 0, odd, 1, 1, &run), 0);
	/* no descriptor may cross a chunk */
	assert_int_equal(xsk_run_get(&t->chan, 1, odd, 2, 1, &run), 0);
	assert_int_equal(t->chan.tx.n_free_bufs, 10);
}

/* Runs of all sizes through small rings, whose completions come in any order of
 * frames and cut anywhere: each token comes back once. */
static void xsk_run_put__rings_wrap_many_times(void **state)
{
	struct t_chan *t = *state;
	unsigned int n_segs, n, i, k;
	struct xsk_run run;
	uint64_t token = 0, sum = 0, frames = 0;
	struct xsk_done done[3];
	int got;

	srandom(12);
	while (token < 3000 || xsk_tx_posted(&t->chan)) {
		n_segs = (unsigned int)random() % 3 + 1;
		n = (unsigned int)random() % (16 / n_segs) + 1;
		n = token < 3000 ? t_get(t, 4, n, n_segs, &run) : 0;
		if (n)
			assert_int_equal(
				xsk_run_put(&t->chan, &run, 100, token), 0);
		token += n;
		t_kick(t);
		/* every second frame, then the others */
		for (k = 0; k < 2; k++) {
			uint32_t at = t->tx.cons;

			for (i = 0; at != t->tx.prod; at++) {
				if (i % 2 == k)
					t->comp.addr[t->comp.prod++ % RING] =
						t->tx.desc[at % RING].addr;
				i += !t->tx.desc[at % RING].options;
			}
		}
		t->tx.cons = t->tx.prod;
		while ((got = xsk_tx_reap(&t->chan, done,
					  1 + (unsigned int)random() % 3,
					  &t->e)) > 0) {
			while (got--) {
				frames += done[got].n;
				while (done[got].n)
					sum += done[got].token + --done[got].n;
			}
		}
		assert_int_equal(got, 0);
	}
	assert_int_equal(frames, token);
	assert_int_equal(sum, token * (token - 1) / 2);
	assert_int_equal(t->chan.tx.n_free_bufs, 12);
	assert_int_equal(t->chan.tx.lent, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)
	const struct CMUnitTest tests[] = {
		T(xsk_run_put__posts_headers_and_pages),
		T(xsk_run_put__completes_as_a_range),
		T(xsk_run_put__completed_inside_a_buffer),
		T(xsk_run_put__refuses_what_no_buffer_holds),
		T(xsk_run_put__is_zero_copy),
		T(xsk_run_get__is_limited_by_buffers_and_ring),
		T(xsk_run_get__ends_with_the_buffers),
		T(xsk_run_get__ends_with_the_map),
		T(xsk_run_put__rings_wrap_many_times),
	};

	return cmocka_run_group_tests_name("chan_run", tests, NULL, NULL);
}
