// SPDX-License-Identifier: GPL-2.0-or-later
/* ctl.c - cutting a byte stream into messages, and queueing for a slow reader
 *
 * A message on the stream (docs/protocol.md 6), integers big endian:
 *
 *   0        2         3      4              8
 *   +--------+---------+------+--------------+----------------- - -
 *   | magic  | version | type | body length  | body
 *   +--------+---------+------+--------------+----------------- - -
 *
 * Only magic and length matter here: the first says that this is a peer of
 * ours at all and is checked as soon as its two bytes are there, so that a
 * port scanner is turned away at once; the second says where the next message
 * starts.  What a version or a type means is for core/msg.h, which can answer
 * a version that it does not speak.
 *
 * Receiving: one buffer, [head, tail) is what was read and not handed out.
 *
 *     0        head                     tail            cap
 *     | old    | message | message | par|               |
 *
 * The buffer starts small and doubles only when it is full of bytes that
 * really came: a peer that announces a long message and sends nothing costs
 * nothing.  It never grows above XM_MSG_MAX.
 *
 * Sending: a buffer of the same kind.  A peer that stops reading fills the
 * socket first and then this buffer up to CTL_QUEUE_MAX; after that
 * ctl_send() fails without taking a part of the message, so that the stream
 * stays in step and the caller may still send when there is room again.
 *
 * Invariants: head <= tail <= cap; a returned message lies in
 * [head, head + given), and is given up by the next ctl_recv().
 */
#include "ctl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"
#include "trust.h"

#define BUF_START 4096 /* bytes; all messages but a large map fit */

/* how every TLS connection begins */
#define TLS_HANDSHAKE 0x16
#define TLS_MAJOR     0x03

struct ctl_buf {
	uint8_t *data;
	size_t head, tail, cap;
};

struct ctl {
	struct ctl_stream *stream;
	struct ctl_buf in, out;
	size_t given; /* bytes of the message the caller has borrowed */
	char peer[64];
};

/* Bytes waiting. */
static size_t buf_len(const struct ctl_buf *b)
{
	return b->tail - b->head;
}

/* Make sure that @room bytes fit behind tail; never above @max in all. */
static int buf_reserve(struct ctl_buf *b, size_t room, size_t max)
{
	size_t cap = b->cap ? b->cap : BUF_START;
	uint8_t *data;

	if (b->cap - b->tail >= room)
		return 0;
	if (b->head) {
		memmove(b->data, b->data + b->head, buf_len(b));
		b->tail -= b->head;
		b->head = 0;
	}
	if (b->cap - b->tail >= room)
		return 0;
	if (b->tail + room > max)
		return -ENOBUFS;
	while (cap - b->tail < room)
		cap *= 2;
	if (cap > max)
		cap = max;
	data = realloc(b->data, cap);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

static void buf_consume(struct ctl_buf *b, size_t len)
{
	b->head += len;
	assert(b->head <= b->tail);
	if (b->head == b->tail)
		b->head = b->tail = 0;
}

int ctl_new(struct ctl **ret_ctl, struct ctl_stream *s, struct xm_error *e)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));

	if (!ctl) {
		s->ops->close(s);
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "no memory for the control connection");
	}
	ctl->stream = s;
	ctl_addr_text(&s->peer, ctl->peer, sizeof(ctl->peer));
	*ret_ctl = ctl;
	return 0;
}

struct ctl_stream *ctl_get_stream(const struct ctl *ctl)
{
	return ctl->stream;
}

void ctl_set_stream(struct ctl *ctl, struct ctl_stream *s)
{
	ctl->stream = s;
}

int ctl_handshake(struct ctl *ctl, struct xm_error *e)
{
	const struct ctl_stream_ops *ops = ctl->stream->ops;

	return ops->handshake ? ops->handshake(ctl->stream, e) : 0;
}

int ctl_export(const struct ctl *ctl, const char *label, const void *context,
	       size_t context_len, void *out, size_t len, struct xm_error *e)
{
	const struct ctl_stream_ops *ops = ctl->stream->ops;

	if (!ops->export_keys)
		return xm_fail(e, -ENOTSUP, XM_REASON_INTERNAL,
			       "the control connection to %s has no keys",
			       ctl->peer);
	return ops->export_keys(ctl->stream, label, context, context_len, out,
				len, e);
}

void ctl_end(struct ctl *ctl)
{
	ctl->stream->ops->end(ctl->stream);
}

struct ctl *ctl_close(struct ctl *ctl)
{
	if (!ctl)
		return NULL;
	ctl->stream->ops->close(ctl->stream);
	free(ctl->in.data);
	free(ctl->out.data);
	free(ctl);
	return NULL;
}

int ctl_fd(const struct ctl *ctl)
{
	return ctl->stream->fd;
}

const struct ctl_addr *ctl_peer(const struct ctl *ctl)
{
	return &ctl->stream->peer;
}

const struct ctl_addr *ctl_local(const struct ctl *ctl)
{
	return &ctl->stream->local;
}

bool ctl_wants_write(const struct ctl *ctl)
{
	return buf_len(&ctl->out) || ctl->stream->ops->wants_write(ctl->stream);
}

int ctl_flush(struct ctl *ctl, struct xm_error *e)
{
	const struct ctl_stream_ops *ops = ctl->stream->ops;
	struct ctl_buf *b = &ctl->out;
	ssize_t n = ops->flush ? ops->flush(ctl->stream, e) : 0;

	if (n)
		return n == -EAGAIN ? 0 : (int)n;
	while (buf_len(b)) {
		n = ops->write(ctl->stream, b->data + b->head, buf_len(b), e);
		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return (int)n;
		buf_consume(b, (size_t)n);
	}
	return 0;
}

int ctl_send(struct ctl *ctl, const void *msg, size_t len, struct xm_error *e)
{
	size_t body;
	int r;

	assert(len >= XM_MSG_HEADER && len <= (size_t)XM_MSG_MAX);
	assert(!xm_msg_peek(msg, &body) && XM_MSG_HEADER + body == len);
	/* first what waits already: it may make the room that is missing */
	r = ctl_flush(ctl, e);
	if (r)
		return r;
	r = buf_reserve(&ctl->out, len, CTL_QUEUE_MAX);
	if (r == -ENOBUFS)
		return xm_fail(e, r, XM_REASON_STALLED,
			       "%s does not read its control connection: %zu "
			       "bytes are waiting",
			       ctl->peer, buf_len(&ctl->out));
	if (r)
		return xm_fail(e, r, XM_REASON_MEMORY,
			       "no memory for a message of %zu bytes to %s",
			       len, ctl->peer);
	memcpy(ctl->out.data + ctl->out.tail, msg, len);
	ctl->out.tail += len;
	return ctl_flush(ctl, e);
}

/* Bytes the message at head has in all, 0 when its header is not whole yet, or
 * -errno with @e. */
static ssize_t in_msg_len(const struct ctl *ctl, struct xm_error *e)
{
	const uint8_t *p = ctl->in.data + ctl->in.head;
	size_t have = buf_len(&ctl->in), body;

	if (have >= 2 && p[0] == TLS_HANDSHAKE && p[1] == TLS_MAJOR)
		return xm_fail(e, -EBADMSG, XM_REASON_PROTOCOL,
			       "%s speaks TLS: this end was started with "
			       "--insecure, that one was not",
			       ctl->peer);
	if (have >= 2 && (p[0] << 8 | p[1]) != XM_MSG_MAGIC)
		return xm_fail(e, -EBADMSG, XM_REASON_PROTOCOL,
			       "%s does not speak xdpmig: its message starts "
			       "with %02x%02x",
			       ctl->peer, p[0], p[1]);
	if (have < XM_MSG_HEADER)
		return 0;
	if (xm_msg_peek(p, &body))
		return xm_fail(e, -EMSGSIZE, XM_REASON_PROTOCOL,
			       "%s announces a message of more than the %u "
			       "bytes that are allowed",
			       ctl->peer, XM_MSG_MAX);
	return XM_MSG_HEADER + (ssize_t)body;
}

static int in_ended(const struct ctl *ctl, ssize_t want, struct xm_error *e)
{
	size_t have = buf_len(&ctl->in);

	if (have)
		return xm_fail(e, -EPIPE, XM_REASON_PEER_LOST,
			       "%s closed the control connection within a "
			       "message (%zu of %zd bytes came)",
			       ctl->peer, have, want ? want : XM_MSG_HEADER);
	return xm_fail(e, -EPIPE, XM_REASON_PEER_LOST,
		       "%s closed the control connection", ctl->peer);
}

int ctl_recv(struct ctl *ctl, const void **ret_msg, size_t *ret_len,
	     struct xm_error *e)
{
	struct ctl_buf *b = &ctl->in;
	ssize_t want, n;
	int r;

	buf_consume(b, ctl->given);
	ctl->given = 0;
	for (;;) {
		want = buf_len(b) ? in_msg_len(ctl, e) : 0;
		if (want < 0)
			return (int)want;
		if (want && buf_len(b) >= (size_t)want)
			break;
		r = buf_reserve(b, 1, (size_t)XM_MSG_MAX);
		if (r)
			return xm_fail(e, r, XM_REASON_MEMORY,
				       "no memory for a message of %zd bytes "
				       "from %s",
				       want, ctl->peer);
		n = ctl->stream->ops->read(ctl->stream, b->data + b->tail,
					   b->cap - b->tail, e);
		if (n < 0)
			return (int)n;
		if (!n)
			return in_ended(ctl, want, e);
		b->tail += (size_t)n;
	}
	ctl->given = (size_t)want;
	*ret_msg = b->data + b->head;
	*ret_len = ctl->given;
	return 0;
}
