// SPDX-License-Identifier: GPL-2.0-or-later
/* test_ctl.c - cutting messages out of a stream that misbehaves as told
 *
 * The fake stream hands out at most @step bytes a read and takes at most
 * @room bytes in all, so that every cut through a message can be made.
 */
#include "ctl/ctl.h"

#include <malloc.h>

#include "../lib/t_msg.h"
#include "ctl/stream.h"

struct t_stream {
	struct ctl_stream s;
	uint8_t *in, *out;
	size_t in_len, in_off, out_len;
	size_t step; /* bytes a read gives at most */
	size_t room; /* bytes that are taken in all */
	bool ended;  /* after in: end of stream, not "later" */
	int write_err;
	unsigned int *n_closed;
};

static ssize_t t_read(struct ctl_stream *s, void *buf, size_t len,
		      struct xm_error *e)
{
	struct t_stream *t = (struct t_stream *)s;
	size_t n = t->in_len - t->in_off;

	(void)e;
	if (!n)
		return t->ended ? 0 : -EAGAIN;
	n = n < len ? n : len;
	n = n < t->step ? n : t->step;
	memcpy(buf, t->in + t->in_off, n);
	t->in_off += n;
	return (ssize_t)n;
}

static ssize_t t_write(struct ctl_stream *s, const void *buf, size_t len,
		       struct xm_error *e)
{
	struct t_stream *t = (struct t_stream *)s;
	size_t n = t->room - t->out_len;

	if (t->write_err)
		return xm_fail(e, -t->write_err, XM_REASON_PEER_LOST, "gone");
	if (!n)
		return -EAGAIN;
	n = n < len ? n : len;
	t->out = realloc(t->out, t->out_len + n);
	assert_non_null(t->out);
	memcpy(t->out + t->out_len, buf, n);
	t->out_len += n;
	return (ssize_t)n;
}

static bool t_wants_write(const struct ctl_stream *s)
{
	(void)s;
	return false;
}

static void t_close(struct ctl_stream *s)
{
	struct t_stream *t = (struct t_stream *)s;

	++*t->n_closed;
	free(t->in);
	free(t->out);
	free(t);
}

static void t_end(struct ctl_stream *s)
{
	(void)s;
}

static const struct ctl_stream_ops t_ops = { t_read, t_write, t_end,
					     t_wants_write, t_close };

struct t_ctl {
	struct t_stream *t;
	struct ctl *ctl;
	struct xm_error e;
	unsigned int n_closed;
};

static int setup(void **state)
{
	struct t_ctl *x = calloc(1, sizeof(*x));

	x->t = calloc(1, sizeof(*x->t));
	x->t->s.ops = &t_ops;
	x->t->s.fd = -1;
	x->t->step = SIZE_MAX;
	x->t->room = SIZE_MAX;
	x->t->n_closed = &x->n_closed;
	*state = x;
	return ctl_new(&x->ctl, &x->t->s, &x->e);
}

static int teardown(void **state)
{
	struct t_ctl *x = *state;
	unsigned int n;

	ctl_close(x->ctl);
	n = x->n_closed;
	free(x);
	return n == 1 ? 0 : -1;
}

static void feed(struct t_ctl *x, const void *p, size_t len)
{
	struct t_stream *t = x->t;

	t->in = realloc(t->in, t->in_len + len);
	assert_non_null(t->in);
	memcpy(t->in + t->in_len, p, len);
	t->in_len += len;
}

static void feed_msg(struct t_ctl *x, uint8_t type, uint32_t body)
{
	uint8_t *m = t_msg_make(type, body);

	feed(x, m, XM_MSG_HEADER + body);
	free(m);
}

/* -- receiving ---------------------------------------------------------------- */

static void ctl_recv__nothing_yet(void **state)
{
	struct t_ctl *x = *state;

	assert_int_equal(t_recv_err(x->ctl, &x->e), -EAGAIN);
	assert_int_equal(x->e.err, 0);
}

static void ctl_recv__byte_by_byte(void **state)
{
	struct t_ctl *x = *state;

	x->t->step = 1;
	feed_msg(x, 1, 300);
	feed_msg(x, 2, 0);
	t_msg_expect(x->ctl, 1, 300);
	t_msg_expect(x->ctl, 2, 0);
	assert_int_equal(t_recv_err(x->ctl, &x->e), -EAGAIN);
}

/* The stream runs dry after every single byte of a message. */
static void ctl_recv__dry_after_every_byte(void **state)
{
	struct t_ctl *x = *state;
	uint8_t *m = t_msg_make(3, 40);
	int i;

	for (i = 0; i < XM_MSG_HEADER + 40 - 1; i++) {
		feed(x, m + i, 1);
		assert_int_equal(t_recv_err(x->ctl, &x->e), -EAGAIN);
	}
	feed(x, m + i, 1);
	t_msg_expect(x->ctl, 3, 40);
	free(m);
}

static void ctl_recv__several_in_one_read(void **state)
{
	struct t_ctl *x = *state;

	feed_msg(x, 1, 10);
	feed_msg(x, 2, 0);
	feed_msg(x, 3, 1000);
	t_msg_expect(x->ctl, 1, 10);
	t_msg_expect(x->ctl, 2, 0);
	t_msg_expect(x->ctl, 3, 1000);
	assert_int_equal(x->t->in_off, x->t->in_len);
}

/* The buffer ends within a message again and again. */
static void ctl_recv__messages_across_the_buffers_end(void **state)
{
	struct t_ctl *x = *state;
	uint32_t i;

	for (i = 0; i < 50; i++)
		feed_msg(x, (uint8_t)i, 1000 + 37 * i);
	for (i = 0; i < 50; i++)
		t_msg_expect(x->ctl, (uint8_t)i, 1000 + 37 * i);
}

static void ctl_recv__longest(void **state)
{
	struct t_ctl *x = *state;

	feed_msg(x, 1, 5);
	feed_msg(x, 2, XM_MSG_MAX - XM_MSG_HEADER);
	feed_msg(x, 3, XM_MSG_MAX - XM_MSG_HEADER);
	t_msg_expect(x->ctl, 1, 5);
	t_msg_expect(x->ctl, 2, XM_MSG_MAX - XM_MSG_HEADER);
	t_msg_expect(x->ctl, 3, XM_MSG_MAX - XM_MSG_HEADER);
}

static void ctl_recv__too_long(void **state)
{
	struct t_ctl *x = *state;
	uint8_t *m = t_msg_make(1, XM_MSG_MAX - XM_MSG_HEADER + 1);

	feed(x, m, XM_MSG_HEADER);
	free(m);
	assert_int_equal(t_recv_err(x->ctl, &x->e), -EMSGSIZE);
	assert_int_equal(x->e.reason, XM_REASON_PROTOCOL);
}

/* An announced length must not cost memory before the bytes come. */
static void ctl_recv__announcement_costs_nothing(void **state)
{
	struct t_ctl *x = *state;
	uint8_t *m = t_msg_make(1, XM_MSG_MAX - XM_MSG_HEADER);
	struct mallinfo2 before, after;

	feed(x, m, XM_MSG_HEADER + 1);
	before = mallinfo2();
	assert_int_equal(t_recv_err(x->ctl, &x->e), -EAGAIN);
	after = mallinfo2();
	free(m);
	assert_true(after.uordblks + after.hblkhd -
			    (before.uordblks + before.hblkhd) <=
		    8192);
}

static void ctl_recv__bad_magic(void **state)
{
	struct t_ctl *x = *state;

	feed_msg(x, 1, 10);
	feed(x, "GE", 2); /* two bytes are enough to know */
	t_msg_expect(x->ctl, 1, 10);
	assert_int_equal(t_recv_err(x->ctl, &x->e), -EBADMSG);
	assert_int_equal(x->e.reason, XM_REASON_PROTOCOL);
	assert_non_null(strstr(x->e.msg, "4745"));
}

static void ctl_recv__other_version_is_delivered(void **state)
{
	struct t_ctl *x = *state;
	uint8_t *m = t_msg_make(1, 4);
	const void *got;
	size_t len;

	m[2] = 9;
	feed(x, m, XM_MSG_HEADER + 4);
	assert_int_equal(ctl_recv(x->ctl, &got, &len, &x->e), 0);
	assert_memory_equal(got, m, len);
	free(m);
}

static void ctl_recv__closed_between_messages(void **state)
{
	struct t_ctl *x = *state;

	feed_msg(x, 1, 10);
	x->t->ended = true;
	t_msg_expect(x->ctl, 1, 10);
	assert_int_equal(t_recv_err(x->ctl, &x->e), -EPIPE);
	assert_null(strstr(x->e.msg, "within"));
	assert_int_equal(t_recv_err(x->ctl, NULL), -EPIPE);
}

static void ctl_recv__closed_within_header(void **state)
{
	struct t_ctl *x = *state;

	feed(x, "XM\1", 3);
	x->t->ended = true;
	assert_int_equal(t_recv_err(x->ctl, &x->e), -EPIPE);
	assert_non_null(strstr(x->e.msg, "3 of 8"));
}

static void ctl_recv__closed_within_body(void **state)
{
	struct t_ctl *x = *state;
	uint8_t *m = t_msg_make(1, 100);

	feed(x, m, 50);
	free(m);
	x->t->ended = true;
	assert_int_equal(t_recv_err(x->ctl, &x->e), -EPIPE);
	assert_non_null(strstr(x->e.msg, "50 of 108"));
}

/* -- sending ------------------------------------------------------------------- */

static void ctl_send__goes_out_at_once(void **state)
{
	struct t_ctl *x = *state;
	uint8_t *m = t_msg_make(4, 99);

	assert_int_equal(ctl_send(x->ctl, m, XM_MSG_HEADER + 99, &x->e), 0);
	assert_false(ctl_wants_write(x->ctl));
	assert_int_equal(x->t->out_len, XM_MSG_HEADER + 99);
	assert_memory_equal(x->t->out, m, XM_MSG_HEADER + 99);
	free(m);
}

/* The socket takes one byte at a time: nothing is lost, nothing reordered. */
static void ctl_flush__byte_by_byte(void **state)
{
	struct t_ctl *x = *state;
	uint8_t *a = t_msg_make(1, 20), *b = t_msg_make(2, 30);
	size_t all = 2 * XM_MSG_HEADER + 50;

	x->t->room = 0;
	assert_int_equal(ctl_send(x->ctl, a, XM_MSG_HEADER + 20, &x->e), 0);
	assert_int_equal(ctl_send(x->ctl, b, XM_MSG_HEADER + 30, &x->e), 0);
	while (x->t->room < all) {
		assert_true(ctl_wants_write(x->ctl));
		x->t->room++;
		assert_int_equal(ctl_flush(x->ctl, &x->e), 0);
		assert_int_equal(x->t->out_len, x->t->room);
	}
	assert_false(ctl_wants_write(x->ctl));
	assert_memory_equal(x->t->out, a, XM_MSG_HEADER + 20);
	assert_memory_equal(x->t->out + XM_MSG_HEADER + 20, b,
			    XM_MSG_HEADER + 30);
	free(a);
	free(b);
}

/* A peer that does not read costs at most CTL_QUEUE_MAX, and a refused
 * message leaves no part of itself in the stream. */
static void ctl_send__stalled_peer_is_bounded(void **state)
{
	struct t_ctl *x = *state;
	uint32_t body = 60000, n = 0;
	size_t i;
	int r;

	x->t->room = 5;
	while (!(r = t_msg_send(x->ctl, (uint8_t)n, body, &x->e)))
		assert_true(++n < 1000);
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(x->e.err, -ENOBUFS);
	assert_true(n * (XM_MSG_HEADER + body) <= CTL_QUEUE_MAX + 5);
	assert_true((n + 1) * (XM_MSG_HEADER + body) > CTL_QUEUE_MAX);

	x->t->room = SIZE_MAX;
	assert_int_equal(ctl_flush(x->ctl, NULL), 0);
	assert_int_equal(x->t->out_len, n * (XM_MSG_HEADER + body));
	for (i = 0; i < n; i++)
		assert_int_equal(x->t->out[i * (XM_MSG_HEADER + body) + 3], i);
	assert_int_equal(t_msg_send(x->ctl, 7, body, NULL), 0);
}

static void ctl_send__peer_gone(void **state)
{
	struct t_ctl *x = *state;

	x->t->write_err = EPIPE;
	assert_int_equal(t_msg_send(x->ctl, 1, 1, &x->e), -EPIPE);
	assert_int_equal(x->e.reason, XM_REASON_PEER_LOST);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ctl_recv__nothing_yet),
		T(ctl_recv__byte_by_byte),
		T(ctl_recv__dry_after_every_byte),
		T(ctl_recv__several_in_one_read),
		T(ctl_recv__messages_across_the_buffers_end),
		T(ctl_recv__longest),
		T(ctl_recv__too_long),
		T(ctl_recv__announcement_costs_nothing),
		T(ctl_recv__bad_magic),
		T(ctl_recv__other_version_is_delivered),
		T(ctl_recv__closed_between_messages),
		T(ctl_recv__closed_within_header),
		T(ctl_recv__closed_within_body),
		T(ctl_send__goes_out_at_once),
		T(ctl_flush__byte_by_byte),
		T(ctl_send__stalled_peer_is_bounded),
		T(ctl_send__peer_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
