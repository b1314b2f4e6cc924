// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_ctl.c - the control connection's byte stream, cut wherever it may be
 *
 * parses: userspace/ctl/ctl.c userspace/core/msg.c
 *
 * Byte 0 of an input is how many reads there are sizes for, less one, bit 4:
 * the stream ends behind the input, bit 5: see below; then come the sizes, a
 * byte each, used in turn, where 255 is none yet; the rest is the stream.
 * Whatever is cut where, the messages must be the same that the stream has when
 * it is looked at as a whole, and those that can be decoded are what
 * xm_msg_put() would write.
 *
 * Bit 5: each message's magic, version and the upper half of its length are
 * made right before, as long as it lasts; a fuzzer does not guess 2^32.
 */
#include <errno.h>
#include <string.h>

#include "core/msg.h"
#include "ctl/stream.h"

#include "fuzz.h"

enum { SIZES = 15, ENDS = 16, SEAL = 32 };

struct stream {
	struct ctl_stream s;
	const uint8_t *data, *step;
	size_t at, len;
	unsigned int n_steps, turn;
	bool ends;
	bool is_late; /* there is more than what was read */
};

static ssize_t stream_read(struct ctl_stream *s, void *buf, size_t len,
			   struct xm_error *e)
{
	struct stream *st = (struct stream *)s;
	size_t n = st->step[st->turn++ % st->n_steps] + 1u;

	(void)e;
	FUZZ_CHECK(len);
	st->is_late = n > 255 && st->at < st->len && !st->is_late;
	if (st->is_late)
		return -EAGAIN;
	n = n < len ? n : len;
	n = n < st->len - st->at ? n : st->len - st->at;
	if (!n)
		return st->ends ? 0 : -EAGAIN;
	memcpy(buf, st->data + st->at, n);
	st->at += n;
	return (ssize_t)n;
}

static void stream_close(struct ctl_stream *s)
{
	(void)s;
}

static const struct ctl_stream_ops ops = { .read = stream_read,
					   .close = stream_close };

/* Make the headers of the messages right, as far as @data goes. */
static void seal(uint8_t *data, size_t len)
{
	size_t at, body;

	for (at = 0; at + XM_MSG_HEADER <= len; at += XM_MSG_HEADER + body) {
		data[at] = XM_MSG_MAGIC >> 8;
		data[at + 1] = XM_MSG_MAGIC & 0xff;
		data[at + 2] = XM_MSG_VERSION;
		data[at + 4] = data[at + 5] = 0;
		body = (size_t)data[at + 6] << 8 | data[at + 7];
	}
}

static void check_decoded(const uint8_t *msg, size_t len)
{
	static uint8_t again[XM_MSG_MAX];
	static struct xm_msg m, twice;
	size_t n;

	if (xm_msg_get(&m, msg, len))
		return;
	n = xm_msg_put(again, &m);
	FUZZ_CHECK(n <= sizeof(again));
	FUZZ_CHECK(!xm_msg_get(&twice, again, n) && twice.type == m.type);
}

/* What is at @at of the stream, by itself: a whole message of ret_len, 0; not
 * yet, -EAGAIN; or what is wrong. */
static int expect(const struct stream *st, size_t at, size_t *ret_len)
{
	const uint8_t *p = st->data + at;
	size_t have = st->len - at;

	if (have >= 2 && (p[0] << 8 | p[1]) != XM_MSG_MAGIC)
		return -EBADMSG;
	if (have >= XM_MSG_HEADER) {
		*ret_len = XM_MSG_HEADER +
			   ((size_t)p[4] << 24 | p[5] << 16 | p[6] << 8 | p[7]);
		if (*ret_len > XM_MSG_MAX)
			return -EMSGSIZE;
		if (*ret_len <= have)
			return 0;
	}
	return st->ends ? -EPIPE : -EAGAIN;
}

static void fuzz_stream(struct stream *st)
{
	struct xm_error e = { 0 };
	size_t at = 0, len, want_len = 0;
	const void *msg;
	struct ctl *ctl;
	int r, want;

	FUZZ_CHECK(!ctl_new(&ctl, &st->s, &e));
	do {
		want = expect(st, at, &want_len);
		do
			r = ctl_recv(ctl, &msg, &len, &e);
		while (r == -EAGAIN && st->is_late);
		FUZZ_CHECK(r == want);
		if (r)
			break;
		FUZZ_CHECK(len == want_len && !memcmp(msg, st->data + at, len));
		check_decoded(msg, len);
		at += len;
	} while (true);
	FUZZ_CHECK(r == -EAGAIN ? !e.err : e.err == r && e.msg[0]);
	ctl_close(ctl);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream st = { .s = { .ops = &ops, .fd = -1 } };
	uint8_t *copy;

	if (!size)
		return 0;
	st.n_steps = (data[0] & SIZES) + 1u;
	st.ends = data[0] & ENDS;
	st.step = data + 1;
	if (size < 1 + st.n_steps)
		return 0;
	st.len = size - 1 - st.n_steps;
	copy = malloc(st.len ? st.len : 1);
	if (!copy)
		return 0;
	memcpy(copy, data + 1 + st.n_steps, st.len);
	if (data[0] & SEAL)
		seal(copy, st.len);
	st.data = copy;
	fuzz_stream(&st);
	free(copy);
	return 0;
}
