// SPDX-License-Identifier: GPL-2.0-or-later
/* test_chan_tx.c - a channel posts frames and accounts for completions */
#include "t_chan.h"

/* -- the kernel's part ---------------------------------------------------------- */

/* Consume the TX ring, as sendto() would. */
static uint32_t k_send(struct t_chan *t)
{
	uint32_t n = t->tx.prod - t->tx.cons;

	t->tx.cons = t->tx.prod;
	return n;
}

static void k_complete(struct t_chan *t, uint64_t addr)
{
	assert_true(t->comp.prod - t->comp.cons < RING);
	t->comp.addr[t->comp.prod++ % RING] = addr;
}

/* Complete TX ring entries [from, to), counted from the first ever. */
static void k_complete_tx(struct t_chan *t, uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		k_complete(t, t->tx.desc[from % RING].addr);
}

/* -- the program's part ---------------------------------------------------------- */

/* Post a frame of @pages guest pages under @token. */
static void t_put(struct t_chan *t, unsigned int pages, uint64_t token)
{
	struct xsk_seg seg[17];
	uint64_t offset[17];
	struct xsk_buf buf;
	unsigned int i;

	for (i = 0; i < pages; i++)
		offset[i] = (4 + i) * PAGE;
	assert_true(xsk_seg_guest(&t->chan, 1, offset, pages, PAGE, seg));
	assert_true(xsk_tx_get(&t->chan, false, &buf));
	assert_int_equal(xsk_tx_put(&t->chan, &buf, 100, seg, pages,
				    pages * PAGE, token),
			 0);
}

static void t_put_staged(struct t_chan *t, uint32_t len, uint64_t token)
{
	struct xsk_buf buf;

	assert_true(xsk_tx_get(&t->chan, true, &buf));
	memset(buf.data, 0x55, len);
	assert_int_equal(
		xsk_tx_put(&t->chan, &buf, len, NULL, 0, len - 100, token), 0);
}

static void t_kick(struct t_chan *t)
{
	assert_int_equal(xsk_tx_kick(&t->chan, &t->e), 0);
}

static int t_reap(struct t_chan *t, struct xsk_done *done, unsigned int max)
{
	return xsk_tx_reap(&t->chan, done, max, &t->e);
}

/* -- sending ---------------------------------------------------------------------- */

static void xsk_tx_put__posts_header_and_pages(void **state)
{
	struct t_chan *t = *state;
	struct umem *u = &t->chan.umem;

	t_put(t, 2, 7);
	assert_int_equal(t->tx.prod, 0); /* not before the kick */
	t_kick(t);
	assert_int_equal(t->tx.prod, 3);
	assert_int_equal(t->tx.desc[0].addr, u->bufs_addr);
	assert_int_equal(t->tx.desc[0].len, 100);
	assert_int_equal(t->tx.desc[0].options, XDP_PKT_CONTD);
	assert_int_equal(t->tx.desc[2].addr, u->guest_addr + PAGE);
	assert_int_equal(t->tx.desc[2].len, PAGE);
	assert_int_equal(t->tx.desc[2].options, 0);
}

static void xsk_tx_put__posts_a_slot(void **state)
{
	struct t_chan *t = *state;
	struct xsk_seg seg = xsk_seg_slot(&t->chan, 3, 1344);
	struct xsk_buf buf;

	assert_true(xsk_tx_get(&t->chan, false, &buf));
	assert_int_equal(xsk_tx_put(&t->chan, &buf, 100, &seg, 1, 1344, 1), 0);
	t_kick(t);
	assert_int_equal(t->tx.desc[1].addr, 3 * XSK_SLOT_LEN);
	assert_ptr_equal(xsk_chan_slot(&t->chan, 3),
			 t->chan.umem.base + 3 * XSK_SLOT_LEN);
}

static void xsk_tx_put__cuts_a_staged_frame(void **state)
{
	struct t_chan *t = *state;

	t_put_staged(t, 2 * PAGE + 1, 1);
	t_kick(t);
	assert_int_equal(t->tx.prod, 3);
	assert_int_equal(t->tx.desc[0].len, PAGE);
	assert_int_equal(t->tx.desc[2].len, 1);
}

static void t_put_fails(struct t_chan *t, struct xsk_seg seg)
{
	struct xsk_buf buf;

	assert_true(xsk_tx_get(&t->chan, false, &buf));
	assert_int_equal(xsk_tx_put(&t->chan, &buf, 100, &seg, 1, seg.len, 1),
			 -EINVAL);
	xsk_tx_unget(&t->chan, &buf);
	assert_int_equal(xsk_tx_posted(&t->chan), 0);
	assert_int_equal(t->chan.tx.unpublished, 0);
	assert_int_equal(t->chan.tx.lent, 0);
}

static void xsk_tx_put__refuses_memory_outside_the_umem(void **state)
{
	struct t_chan *t = *state;

	t_put_fails(t, (struct xsk_seg){ t->chan.umem.len, PAGE });
}

static void xsk_seg_guest__needs_all_of_it_in_the_umem(void **state)
{
	uint64_t offset[3] = { 4 * PAGE, 19 * PAGE, 20 * PAGE };
	struct t_chan *t = *state;
	struct xsk_seg seg[3];

	assert_true(xsk_seg_guest(&t->chan, 1, offset, 2, PAGE, seg));
	assert_int_equal(seg[1].addr, t->chan.umem.guest_addr + 15 * PAGE);
	assert_int_equal(seg[1].len, PAGE);
	assert_false(xsk_seg_guest(&t->chan, 1, offset, 3, PAGE, seg));
	assert_false(xsk_seg_guest(&t->chan, 0, offset, 1, PAGE, seg));
}

/* umem_open() leaves them in the list, behind those that are mapped. */
static void xsk_seg_guest__not_where_a_map_was_left_out(void **state)
{
	struct t_chan *t = *state;
	uint64_t offset = 4 * PAGE;
	struct xsk_seg seg;

	t->chan.umem.n_maps = 0;
	assert_false(xsk_seg_guest(&t->chan, 1, &offset, 1, PAGE, &seg));
	assert_false(xsk_seg_guest(&t->chan, 1, &offset, 1, PAGE, &seg));
}

/* What is summed is what the kernel is told to send. */
static void xsk_seg_data__is_the_page_itself(void **state)
{
	struct t_chan *t = *state;
	uint64_t offset = 6 * PAGE;
	struct xm_page_view v;
	struct xsk_seg seg;

	assert_true(xsk_seg_guest(&t->chan, 1, &offset, 1, PAGE, &seg));
	assert_true(xsk_guest_view(&t->chan, 1, offset, &v));
	assert_ptr_equal(xsk_seg_data(&t->chan, &seg),
			 t->chan.umem.base + seg.addr);
	assert_ptr_equal(v.at + (offset - v.from),
			 xsk_seg_data(&t->chan, &seg));
}

static void xsk_guest_view__is_one_map(void **state)
{
	struct t_chan *t = *state;
	struct xm_page_view v;

	assert_true(xsk_guest_view(&t->chan, 1, 20 * PAGE - 1, &v));
	assert_int_equal(v.from, 4 * PAGE);
	assert_int_equal(v.end, 20 * PAGE);
	assert_false(xsk_guest_view(&t->chan, 1, 20 * PAGE, &v));
	assert_false(xsk_guest_view(&t->chan, 1, 4 * PAGE - 1, &v));
	assert_false(xsk_guest_view(&t->chan, 0, 4 * PAGE, &v));
}

static void xsk_tx_put__refuses_a_segment_across_pages(void **state)
{
	struct t_chan *t = *state;

	t_put_fails(t, (struct xsk_seg){ t->chan.umem.guest_addr + PAGE - 32,
					 64 });
}

static void xsk_tx_put__refuses_a_slot_that_is_not(void **state)
{
	struct t_chan *t = *state;

	t_put_fails(t, xsk_seg_slot(&t->chan, 8, 1344));
	t_put_fails(t, xsk_seg_slot(&t->chan, 1, XSK_SLOT_LEN + 1));
}

static void xsk_tx_put__refuses_a_staged_frame_with_segments(void **state)
{
	struct t_chan *t = *state;
	struct xsk_seg seg = xsk_seg_slot(&t->chan, 0, 64);
	struct xsk_buf buf;

	assert_true(xsk_tx_get(&t->chan, true, &buf));
	assert_int_equal(xsk_tx_put(&t->chan, &buf, 64, &seg, 1, 64, 1),
			 -EINVAL);
	assert_int_equal(xsk_tx_put(&t->chan, &buf, 3 * PAGE + 1, NULL, 0, 64,
				    1),
			 -EINVAL);
	xsk_tx_unget(&t->chan, &buf);
}

static void xsk_tx_get__promises_room_for_whole_frames(void **state)
{
	struct t_chan *t = *state;
	struct xsk_buf buf[4];

	/* 64 entries: three frames of 18 and, with 10 left, no fourth */
	assert_true(xsk_tx_get(&t->chan, false, &buf[0]));
	assert_true(xsk_tx_get(&t->chan, false, &buf[1]));
	assert_true(xsk_tx_get(&t->chan, false, &buf[2]));
	assert_false(xsk_tx_get(&t->chan, false, &buf[3]));
	assert_true(xsk_tx_get(&t->chan, true, &buf[3])); /* 3 entries */
	xsk_tx_unget(&t->chan, &buf[2]);
	xsk_tx_unget(&t->chan, &buf[3]);
	assert_true(xsk_tx_get(&t->chan, false, &buf[2]));
}

static void xsk_tx_has_room__for_whatever_is_asked_next(void **state)
{
	struct t_chan *t = *state;
	struct xsk_buf buf[12];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		assert_true(xsk_tx_has_room(&t->chan));
		assert_true(xsk_tx_get(&t->chan, false, &buf[i]));
	}
	assert_false(xsk_tx_has_room(&t->chan)); /* in the ring: 10 left */
	for (i = 0; i < 3; i++)
		xsk_tx_unget(&t->chan, &buf[i]);
	for (i = 0; i < 4; i++)
		assert_true(xsk_tx_get(&t->chan, true, &buf[i]));
	assert_false(xsk_tx_has_room(&t->chan)); /* of staging frames */
}

static void xsk_tx_get__ends_with_the_buffers(void **state)
{
	struct t_chan *t = *state;
	struct xsk_buf buf;
	unsigned int i;

	for (i = 0; i < 4; i++)
		t_put_staged(t, 200, i);
	assert_false(xsk_tx_get(&t->chan, true, &buf));
	assert_true(xsk_tx_get(&t->chan, false, &buf));
}

static void xsk_tx_get__lends_the_buffer_that_came_back_last(void **state)
{
	struct t_chan *t = *state;
	struct xsk_buf a, b;

	assert_true(xsk_tx_get(&t->chan, false, &a));
	xsk_tx_unget(&t->chan, &a);
	assert_true(xsk_tx_get(&t->chan, false, &b));
	assert_int_equal(a.idx, b.idx);
}

/* -- completions --------------------------------------------------------------------- */

static void xsk_tx_reap__gives_tokens_in_any_order(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[8];

	t_put(t, 2, 100);
	t_put(t, 1, 101);
	t_put_staged(t, PAGE + 1, 102);
	t_kick(t);
	assert_int_equal(k_send(t), 7);
	assert_int_equal(t_reap(t, done, 8), 0);
	k_complete_tx(t, 5, 7);
	k_complete_tx(t, 0, 3);
	assert_int_equal(t_reap(t, done, 8), 2);
	assert_int_equal(done[0].token, 102);
	assert_int_equal(done[1].token, 100);
	assert_int_equal(xsk_tx_posted(&t->chan), 1);
	k_complete_tx(t, 3, 5);
	assert_int_equal(t_reap(t, done, 8), 1);
	assert_int_equal(done[0].token, 101);
	assert_int_equal(xsk_tx_posted(&t->chan), 0);
	assert_int_equal(t->comp.cons, 7);
}

static void xsk_tx_reap__a_frame_cut_between_batches(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[8];

	t_put(t, 15, 1);
	t_put(t, 15, 2);
	t_kick(t);
	k_send(t);
	k_complete_tx(t, 0, 7);
	assert_int_equal(t_reap(t, done, 8), 0);
	assert_int_equal(t->comp.cons, 7);
	k_complete_tx(t, 7, 17);
	assert_int_equal(t_reap(t, done, 8), 1);
	assert_int_equal(done[0].token, 1);
	k_complete_tx(t, 17, 32);
	assert_int_equal(t_reap(t, done, 8), 1);
	assert_int_equal(done[0].token, 2);
}

static void xsk_tx_reap__returns_no_more_than_asked(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[8];
	unsigned int i;

	for (i = 0; i < 6; i++)
		t_put(t, 1, 2 * i);
	t_kick(t);
	k_send(t);
	k_complete_tx(t, 0, 12);
	assert_int_equal(t_reap(t, done, 4), 4);
	assert_int_equal(t->comp.cons, 8);
	assert_int_equal(t_reap(t, done, 4), 2);
	assert_int_equal(done[1].token, 10);
	assert_int_equal(done[1].n, 1);
}

/* Tokens in a row, of frames that were copied alike, are one answer. */
static void xsk_tx_reap__gives_ranges(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[4];

	t_put(t, 1, 7);
	t_put(t, 1, 8);
	t_put(t, 1, 9);
	t_put(t, 2, 10); /* more was copied */
	t_put(t, 2, 12);
	t_kick(t);
	k_send(t);
	k_complete_tx(t, 0, 12);
	assert_int_equal(t_reap(t, done, 4), 3);
	assert_int_equal(done[0].token, 7);
	assert_int_equal(done[0].n, 3);
	assert_int_equal(done[0].copied, PAGE);
	assert_int_equal(done[1].token, 10);
	assert_int_equal(done[1].n, 1);
	assert_int_equal(done[1].copied, 2 * PAGE);
	assert_int_equal(done[2].token, 12);
	assert_int_equal(xsk_tx_posted(&t->chan), 0);
}

static void xsk_tx_reap__counts_copies(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[4];

	t_put(t, 2, 1);
	t_put_staged(t, 100 + 500, 2);
	t->chan.sock.is_zero_copy = true;
	t_put(t, 2, 3);
	t_put_staged(t, 100 + 500, 4);
	t_kick(t);
	k_complete_tx(t, 0, k_send(t));
	assert_int_equal(t_reap(t, done, 4), 4);
	assert_int_equal(done[0].copied, 2 * PAGE); /* the kernel */
	assert_int_equal(done[1].copied, 2 * 500);  /* the kernel and we */
	assert_int_equal(done[2].copied, 0);
	assert_int_equal(done[3].copied, 500); /* we */
}

static void xsk_tx_reap__refuses_an_address_never_posted(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[4];

	t_put(t, 1, 1);
	t_kick(t);
	k_send(t);
	k_complete(t, t->chan.umem.bufs_addr + XSK_BUF_LEN);
	assert_int_equal(t_reap(t, done, 4), -EPROTO);
	assert_non_null(strstr(t->e.msg, "fake: queue 0"));
}

static void xsk_tx_reap__refuses_a_page_of_another_frame(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[4];

	t_put(t, 2, 1);
	t_kick(t);
	k_send(t);
	k_complete_tx(t, 0, 1);
	k_complete_tx(t, 2, 3);
	assert_int_equal(t_reap(t, done, 4), -EPROTO);
}

static void xsk_tx_reap__refuses_a_page_twice(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[4];

	t_put(t, 2, 1);
	t_kick(t);
	k_send(t);
	k_complete_tx(t, 0, 2);
	k_complete_tx(t, 1, 2);
	assert_int_equal(t_reap(t, done, 4), -EPROTO);
}

static void xsk_tx_reap__refuses_a_second_completion(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[4];

	t_put(t, 1, 1);
	t_kick(t);
	k_send(t);
	k_complete_tx(t, 0, 2);
	assert_int_equal(t_reap(t, done, 4), 1);
	k_complete_tx(t, 0, 2);
	assert_int_equal(t_reap(t, done, 4), -EPROTO);
}

static void xsk_tx_reap__refuses_what_is_no_buffer(void **state)
{
	struct t_chan *t = *state;
	struct xsk_done done[4];

	k_complete(t, t->chan.umem.guest_addr);
	assert_int_equal(t_reap(t, done, 4), -EPROTO);
}

/* Many frames through small rings: every token comes back exactly once, all
 * buffers end on their free lists. */
static void xsk_tx_reap__rings_wrap_many_times(void **state)
{
	struct t_chan *t = *state;
	uint32_t sent = 0, done_descs = 0, token = 0;
	struct xsk_done done[3];
	struct xsk_buf buf;
	uint64_t log[256], sum = 0;
	int i, n;

	srandom(11);
	while (token < 3000 || xsk_tx_posted(&t->chan)) {
		while (token < 3000 && random() % 8 &&
		       xsk_tx_get(&t->chan, false, &buf)) {
			xsk_tx_unget(&t->chan, &buf);
			t_put(t, (unsigned int)random() % 17, ++token);
		}
		t_kick(t);
		for (; t->tx.cons != t->tx.prod; t->tx.cons++)
			log[sent++ % 256] = t->tx.desc[t->tx.cons % RING].addr;
		for (i = (int)(random() % 40); i && done_descs != sent; i--)
			if (t->comp.prod - t->comp.cons < RING)
				k_complete(t, log[done_descs++ % 256]);
		n = t_reap(t, done, 3);
		assert_true(n >= 0);
		while (n--)
			while (done[n].n)
				sum += done[n].token + --done[n].n;
	}
	assert_int_equal(sum, 3000 * 3001 / 2);
	assert_int_equal(t->chan.tx.n_free_bufs, 12);
	assert_int_equal(t->chan.tx.lent, 0);
}

static void xsk_chan_open__refuses_sizes_that_contradict(void **state)
{
	struct t_chan *t = *state;
	struct xsk_chan_opts o = t->chan.opts;
	struct xsk_chan *c;

	o.ifindex = 1;
	o.stage_len = 19 * PAGE;
	assert_int_equal(xsk_chan_open(&c, &o, &t->e), -EINVAL);
	assert_non_null(strstr(t->e.msg, "stage_len"));
	o.stage_len = 3 * PAGE;
	o.rx_ring = 16;
	assert_int_equal(xsk_chan_open(&c, &o, &t->e), -EINVAL);
	o.rx_ring = 64;
	o.tx_ring = 63;
	assert_int_equal(xsk_chan_open(&c, &o, &t->e), -EINVAL);
	assert_null(xsk_chan_close(NULL));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)
	const struct CMUnitTest tests[] = {
		T(xsk_tx_put__posts_header_and_pages),
		T(xsk_tx_put__posts_a_slot),
		T(xsk_tx_put__cuts_a_staged_frame),
		T(xsk_tx_put__refuses_memory_outside_the_umem),
		T(xsk_seg_guest__needs_all_of_it_in_the_umem),
		T(xsk_seg_guest__not_where_a_map_was_left_out),
		T(xsk_seg_data__is_the_page_itself),
		T(xsk_guest_view__is_one_map),
		T(xsk_tx_put__refuses_a_segment_across_pages),
		T(xsk_tx_put__refuses_a_slot_that_is_not),
		T(xsk_tx_put__refuses_a_staged_frame_with_segments),
		T(xsk_tx_get__promises_room_for_whole_frames),
		T(xsk_tx_has_room__for_whatever_is_asked_next),
		T(xsk_tx_get__ends_with_the_buffers),
		T(xsk_tx_get__lends_the_buffer_that_came_back_last),
		T(xsk_tx_reap__gives_tokens_in_any_order),
		T(xsk_tx_reap__a_frame_cut_between_batches),
		T(xsk_tx_reap__returns_no_more_than_asked),
		T(xsk_tx_reap__gives_ranges),
		T(xsk_tx_reap__counts_copies),
		T(xsk_tx_reap__refuses_an_address_never_posted),
		T(xsk_tx_reap__refuses_a_page_of_another_frame),
		T(xsk_tx_reap__refuses_a_page_twice),
		T(xsk_tx_reap__refuses_a_second_completion),
		T(xsk_tx_reap__refuses_what_is_no_buffer),
		T(xsk_tx_reap__rings_wrap_many_times),
		T(xsk_chan_open__refuses_sizes_that_contradict),
	};

	return cmocka_run_group_tests_name("chan_tx", tests, NULL, NULL);
}
