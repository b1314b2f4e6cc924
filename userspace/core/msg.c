// SPDX-License-Identifier: GPL-2.0-or-later
/* msg.c - codec of the control connection's messages (protocol.md 6)
 *
 * A writer and a reader walk over a buffer; the reader remembers when it ran
 * past the end, so that decoding is a straight line and one check at its end.
 * Counts are checked before anything is sized by them.  What a body holds
 * beyond the fields known here is ignored: later versions append.  And where
 * we appended, a body that ends before is an older peer's, whose fields are
 * zero; one that ends in the middle is damaged.
 */
#include "msg.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

struct msg_out {
	uint8_t *p;
};

struct msg_in {
	const uint8_t *p;
	size_t left;
	bool is_short;
};

/* -- integers and bytes ---------------------------------------------------------- */

static void put_uint(struct msg_out *o, uint64_t v, unsigned int bytes)
{
	while (bytes--)
		*o->p++ = (uint8_t)(v >> (8 * bytes));
}

static void put_bytes(struct msg_out *o, const void *src, size_t len)
{
	memcpy(o->p, src, len);
	o->p += len;
}

static uint64_t get_uint(struct msg_in *in, unsigned int bytes)
{
	uint64_t v = 0;

	if (in->left < bytes) {
		in->is_short = true;
		in->left = 0;
		return 0;
	}
	in->left -= bytes;
	while (bytes--)
		v = v << 8 | *in->p++;
	return v;
}

static void get_bytes(struct msg_in *in, void *dst, size_t len)
{
	if (in->left < len) {
		in->is_short = true;
		in->left = 0;
		return;
	}
	memcpy(dst, in->p, len);
	in->p += len;
	in->left -= len;
}

/* Texts and names travel with their length. */
static void put_text(struct msg_out *o, const char *text, size_t max)
{
	size_t len = strnlen(text, max - 1);

	put_uint(o, len, 2);
	put_bytes(o, text, len);
}

/* Into @dst of @max bytes, NUL terminated; longer ones are an error. */
static int get_text(struct msg_in *in, char *dst, size_t max)
{
	size_t len = get_uint(in, 2);

	if (len >= max)
		return XM_MSG_E_VALUE;
	get_bytes(in, dst, len);
	dst[len] = '\0';
	/* A NUL inside would be a name here and another one there. */
	return !in->is_short && memchr(dst, '\0', len) ? XM_MSG_E_VALUE : 0;
}

/* -- bodies ------------------------------------------------------------------------ */

static void put_hello(struct msg_out *o, const struct xm_msg_hello *m)
{
	unsigned int i;

	put_uint(o, m->version_min, 2);
	put_uint(o, m->version_max, 2);
	put_uint(o, m->features, 8);
	put_bytes(o, m->session, sizeof(m->session));
	put_bytes(o, m->uuid, sizeof(m->uuid));
	put_uint(o, m->n_channels, 2);
	put_uint(o, m->port_base, 2);
	put_uint(o, m->ip_max, 4);
	put_uint(o, m->max_pages, 2);
	put_uint(o, m->n_blocks, 2);
	for (i = 0; i < m->n_blocks; i++) {
		put_uint(o, m->block[i].len, 8);
		put_text(o, m->block[i].name, XM_BLOCK_NAME);
	}
	put_text(o, m->machine, sizeof(m->machine));
	put_text(o, m->name, sizeof(m->name));
	for (i = 0; i < m->n_blocks; i++)
		put_uint(o, m->block[i].page_size, 4);
}

/* What was appended to HELLO: all of it, or nothing. */
static int get_hello_more(struct msg_in *in, struct xm_msg_hello *m)
{
	unsigned int i;
	uint32_t size;
	int r;

	if (!in->left || in->is_short)
		return 0;
	r = get_text(in, m->machine, sizeof(m->machine));
	if (!r)
		r = get_text(in, m->name, sizeof(m->name));
	for (i = 0; !r && i < m->n_blocks; i++) {
		size = (uint32_t)get_uint(in, 4);
		if (size && (size < XM_PAGE_SIZE || size & (size - 1)))
			r = XM_MSG_E_VALUE;
		m->block[i].page_size = size;
	}
	return r;
}

static int get_hello(struct msg_in *in, struct xm_msg_hello *m)
{
	unsigned int i;
	int r;

	m->version_min = (uint16_t)get_uint(in, 2);
	m->version_max = (uint16_t)get_uint(in, 2);
	m->features = get_uint(in, 8);
	get_bytes(in, m->session, sizeof(m->session));
	get_bytes(in, m->uuid, sizeof(m->uuid));
	m->n_channels = (uint16_t)get_uint(in, 2);
	m->port_base = (uint16_t)get_uint(in, 2);
	m->ip_max = (uint32_t)get_uint(in, 4);
	m->max_pages = (uint16_t)get_uint(in, 2);
	m->n_blocks = (uint16_t)get_uint(in, 2);
	if (in->is_short)
		return XM_MSG_E_LENGTH;
	if (!m->n_channels || m->n_channels > XM_CHAN_MAX || !m->n_blocks ||
	    m->n_blocks > XM_BLOCK_MAX || !m->port_base || !m->max_pages ||
	    m->port_base > 65536 - XM_CHAN_MAX || m->ip_max < XM_MTU_MIN ||
	    m->ip_max > XM_MTU_MAX)
		return XM_MSG_E_VALUE;
	for (i = 0; i < m->n_blocks; i++) {
		m->block[i].len = get_uint(in, 8);
		r = get_text(in, m->block[i].name, XM_BLOCK_NAME);
		if (r)
			return r;
		if (!in->is_short && !m->block[i].name[0])
			return XM_MSG_E_VALUE;
	}
	return get_hello_more(in, m);
}

static void put_welcome(struct msg_out *o, const struct xm_msg_welcome *m)
{
	unsigned int i;

	put_uint(o, m->version, 2);
	put_uint(o, m->features, 8);
	put_uint(o, m->n_channels, 2);
	put_uint(o, m->port_base, 2);
	put_uint(o, m->ip_max, 4);
	put_uint(o, m->max_pages, 2);
	put_uint(o, m->credit, 4);
	for (i = 0; i < m->n_channels; i++)
		put_uint(o, m->cookie[i], 8);
}

static int get_welcome(struct msg_in *in, struct xm_msg_welcome *m)
{
	unsigned int i;

	m->version = (uint16_t)get_uint(in, 2);
	m->features = get_uint(in, 8);
	m->n_channels = (uint16_t)get_uint(in, 2);
	m->port_base = (uint16_t)get_uint(in, 2);
	m->ip_max = (uint32_t)get_uint(in, 4);
	m->max_pages = (uint16_t)get_uint(in, 2);
	m->credit = (uint32_t)get_uint(in, 4);
	if (in->is_short)
		return XM_MSG_E_LENGTH;
	if (!m->n_channels || m->n_channels > XM_CHAN_MAX || !m->port_base ||
	    m->port_base > 65536 - XM_CHAN_MAX || !m->max_pages)
		return XM_MSG_E_VALUE;
	for (i = 0; i < m->n_channels; i++)
		m->cookie[i] = get_uint(in, 8);
	return 0;
}

static void put_epoch(struct msg_out *o, const struct xm_msg_epoch *m)
{
	unsigned int i;

	put_uint(o, m->epoch, 4);
	put_uint(o, m->is_final, 1);
	put_uint(o, m->n_channels, 2);
	for (i = 0; i < m->n_channels; i++) {
		put_uint(o, m->totals[i].frames, 4);
		put_uint(o, m->totals[i].packets, 4);
		put_uint(o, m->totals[i].bytes_placed, 8);
		put_uint(o, m->totals[i].pages_announced, 8);
		put_uint(o, m->totals[i].zero_pages, 8);
	}
}

static int get_epoch(struct msg_in *in, struct xm_msg_epoch *m)
{
	unsigned int i;

	m->epoch = (uint32_t)get_uint(in, 4);
	m->is_final = get_uint(in, 1) != 0;
	m->n_channels = (uint16_t)get_uint(in, 2);
	if (m->n_channels > XM_CHAN_MAX)
		return XM_MSG_E_VALUE;
	for (i = 0; i < m->n_channels; i++) {
		m->totals[i].frames = (uint32_t)get_uint(in, 4);
		m->totals[i].packets = (uint32_t)get_uint(in, 4);
		m->totals[i].bytes_placed = get_uint(in, 8);
		m->totals[i].pages_announced = get_uint(in, 8);
		m->totals[i].zero_pages = get_uint(in, 8);
	}
	return 0;
}

static int get_abort(struct msg_in *in, struct xm_msg_abort *m)
{
	unsigned int reason = (unsigned int)get_uint(in, 2);

	/* A later version's reason is still an end. */
	m->reason = reason && reason < XM_REASON__COUNT ?
			    (enum xm_reason)reason :
			    XM_REASON_REFUSED;
	return get_text(in, m->text, sizeof(m->text));
}

static void put_device(struct msg_out *o, const struct xm_msg_device *m)
{
	assert(m->len && m->len <= XM_DEVICE_CHUNK);
	put_uint(o, m->offset, 8);
	put_uint(o, m->len, 4);
	put_bytes(o, m->data, m->len);
}

static int get_device(struct msg_in *in, struct xm_msg_device *m)
{
	m->offset = get_uint(in, 8);
	m->len = (uint32_t)get_uint(in, 4);
	if (in->is_short || in->left < m->len)
		return XM_MSG_E_LENGTH;
	if (!m->len || m->len > XM_DEVICE_CHUNK ||
	    m->offset > UINT64_MAX - m->len)
		return XM_MSG_E_VALUE;
	m->data = in->p;
	return 0;
}

static void put_hashes(struct msg_out *o, const struct xm_msg_hashes *m)
{
	unsigned int i;

	assert(m->n && m->n <= XM_HASHES_CHUNK);
	put_uint(o, m->first, 4);
	put_uint(o, m->n, 2);
	for (i = 0; i < m->n; i++)
		put_uint(o, m->hash[i], 8);
}

static int get_hashes(struct msg_in *in, struct xm_msg_hashes *m)
{
	unsigned int i;

	m->first = (uint32_t)get_uint(in, 4);
	m->n = (uint16_t)get_uint(in, 2);
	if (in->is_short)
		return XM_MSG_E_LENGTH;
	if (!m->n || m->n > XM_HASHES_CHUNK)
		return XM_MSG_E_VALUE;
	for (i = 0; i < m->n; i++)
		m->hash[i] = get_uint(in, 8);
	return 0;
}

/* -- messages ----------------------------------------------------------------------- */

size_t xm_msg_put(void *dst, const struct xm_msg *msg)
{
	struct msg_out o = { (uint8_t *)dst + XM_MSG_HEADER };
	size_t len;

	switch (msg->type) {
	case XM_MSG_HELLO:
		put_hello(&o, &msg->hello);
		break;
	case XM_MSG_WELCOME:
		put_welcome(&o, &msg->welcome);
		break;
	case XM_MSG_EPOCH_BEGIN:
	case XM_MSG_EPOCH_READY:
	case XM_MSG_EPOCH_END:
	case XM_MSG_EPOCH_DONE:
		put_epoch(&o, &msg->epoch);
		break;
	case XM_MSG_ABORT:
		put_uint(&o, msg->abort.reason, 2);
		put_text(&o, msg->abort.text, sizeof(msg->abort.text));
		break;
	case XM_MSG_DEVICE:
		put_device(&o, &msg->device);
		break;
	case XM_MSG_DEVICE_ACK:
		put_uint(&o, msg->device_ack.bytes, 8);
		break;
	case XM_MSG_DEVICE_END:
		put_uint(&o, msg->device_end.total, 8);
		put_uint(&o, msg->device_end.runs, 1);
		break;
	case XM_MSG_HASHES:
		put_hashes(&o, &msg->hashes);
		break;
	case XM_MSG_PROVEN:
	case XM_MSG_COMMIT:
	case XM_MSG_COMMITTED:
	case XM_MSG_HEARTBEAT:
	case XM_MSG_LOADED:
	case XM_MSG_VERIFY:
		break;
	}
	len = (size_t)(o.p - (uint8_t *)dst);
	o.p = dst;
	put_uint(&o, XM_MSG_MAGIC, 2);
	put_uint(&o, XM_MSG_VERSION, 1);
	put_uint(&o, msg->type, 1);
	put_uint(&o, len - XM_MSG_HEADER, 4);
	return len;
}

int xm_msg_peek(const void *src, size_t *ret_len)
{
	struct msg_in in = { src, XM_MSG_HEADER, false };
	size_t len;

	if (get_uint(&in, 2) != XM_MSG_MAGIC)
		return XM_MSG_E_MAGIC;
	(void)get_uint(&in, 2); /* version and type: xm_msg_get()'s business */
	len = get_uint(&in, 4);
	if (len > XM_MSG_MAX - XM_MSG_HEADER)
		return XM_MSG_E_LENGTH;
	*ret_len = len;
	return 0;
}

static int msg_get_body(struct msg_in *in, struct xm_msg *m)
{
	switch (m->type) {
	case XM_MSG_HELLO:
		return get_hello(in, &m->hello);
	case XM_MSG_WELCOME:
		return get_welcome(in, &m->welcome);
	case XM_MSG_EPOCH_BEGIN:
	case XM_MSG_EPOCH_READY:
	case XM_MSG_EPOCH_END:
	case XM_MSG_EPOCH_DONE:
		return get_epoch(in, &m->epoch);
	case XM_MSG_ABORT:
		return get_abort(in, &m->abort);
	case XM_MSG_DEVICE:
		return get_device(in, &m->device);
	case XM_MSG_DEVICE_ACK:
		m->device_ack.bytes = get_uint(in, 8);
		return 0;
	case XM_MSG_DEVICE_END:
		m->device_end.total = get_uint(in, 8);
		m->device_end.runs = get_uint(in, 1) != 0;
		return 0;
	case XM_MSG_HASHES:
		return get_hashes(in, &m->hashes);
	case XM_MSG_PROVEN:
	case XM_MSG_COMMIT:
	case XM_MSG_COMMITTED:
	case XM_MSG_HEARTBEAT:
	case XM_MSG_LOADED:
	case XM_MSG_VERIFY:
		return 0;
	}
	return XM_MSG_E_TYPE;
}

int xm_msg_get(struct xm_msg *ret_msg, const void *src, size_t len)
{
	struct msg_in in = { src, len, false };
	size_t body;
	int r;

	if (len < XM_MSG_HEADER)
		return XM_MSG_E_LENGTH;
	r = xm_msg_peek(src, &body);
	if (r)
		return r;
	if (body != len - XM_MSG_HEADER)
		return XM_MSG_E_LENGTH;
	memset(ret_msg, 0, sizeof(*ret_msg));
	(void)get_uint(&in, 2);
	if (get_uint(&in, 1) != XM_MSG_VERSION)
		return XM_MSG_E_VERSION;
	ret_msg->type = (enum xm_msg_type)get_uint(&in, 1);
	(void)get_uint(&in, 4);
	r = msg_get_body(&in, ret_msg);
	if (!r && in.is_short)
		r = XM_MSG_E_LENGTH;
	return r;
}

const char *xm_msg_name(enum xm_msg_type type)
{
	static const char *const names[] = {
		[XM_MSG_HELLO] = "HELLO",
		[XM_MSG_WELCOME] = "WELCOME",
		[XM_MSG_PROVEN] = "PROVEN",
		[XM_MSG_EPOCH_BEGIN] = "EPOCH_BEGIN",
		[XM_MSG_EPOCH_READY] = "EPOCH_READY",
		[XM_MSG_EPOCH_END] = "EPOCH_END",
		[XM_MSG_EPOCH_DONE] = "EPOCH_DONE",
		[XM_MSG_COMMIT] = "COMMIT",
		[XM_MSG_COMMITTED] = "COMMITTED",
		[XM_MSG_ABORT] = "ABORT",
		[XM_MSG_HEARTBEAT] = "HEARTBEAT",
		[XM_MSG_DEVICE] = "DEVICE",
		[XM_MSG_DEVICE_ACK] = "DEVICE_ACK",
		[XM_MSG_DEVICE_END] = "DEVICE_END",
		[XM_MSG_LOADED] = "LOADED",
		[XM_MSG_VERIFY] = "VERIFY",
		[XM_MSG_HASHES] = "HASHES",
	};

	return (unsigned int)type < sizeof(names) / sizeof(names[0]) &&
			       names[type] ?
		       names[type] :
		       "unknown";
}
