/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_body.h - a message of each type that has a body, with every field in use */
#ifndef T_BODY_H
#define T_BODY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/msg.h"

/* An encoded message and what it is decoded to. */
struct t_body {
	uint8_t buf[XM_MSG_MAX];
	size_t len;
	struct xm_msg in, out;
};

static inline int t_body_setup(void **state)
{
	*state = calloc(1, sizeof(struct t_body));
	assert_non_null(*state);
	return 0;
}

static inline int t_body_teardown(void **state)
{
	free(*state);
	return 0;
}

/* Decode the first @len bytes, from a block of that size. */
static inline int t_body_get(struct t_body *t, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, t->buf, len);
	r = xm_msg_get(&t->out, copy, len);
	free(copy);
	return r;
}

static inline void t_body_set_len(struct t_body *t, size_t body)
{
	t->buf[4] = (uint8_t)(body >> 24);
	t->buf[5] = (uint8_t)(body >> 16);
	t->buf[6] = (uint8_t)(body >> 8);
	t->buf[7] = (uint8_t)body;
	t->len = XM_MSG_HEADER + body;
}

/* -- a message of each type, full ------------------------------------------ */

static inline void t_make_hello(struct t_body *t)
{
	struct xm_msg_hello *m = &t->in.hello;
	unsigned int i;

	t->in.type = XM_MSG_HELLO;
	m->version_min = 1;
	m->version_max = 7;
	m->features = 0x0102030405060708;
	for (i = 0; i < 16; i++) {
		m->session[i] = (uint8_t)(0x10 + i);
		m->uuid[i] = (uint8_t)(0x20 + i);
	}
	m->n_channels = 16;
	m->port_base = XM_PORT_DATA;
	m->ip_max = 9000;
	m->max_pages = 15;
	m->n_blocks = 2;
	strcpy(m->block[0].name, "pc.ram");
	m->block[0].len = 4ULL << 30;
	m->block[0].page_size = 2 << 20;
	memset(m->block[1].name, 'x', XM_BLOCK_NAME - 1);
	m->block[1].len = 4096;
	strcpy(m->machine, "pc-q35-7.2");
	strcpy(m->name, "web1");
	t->len = xm_msg_put(t->buf, &t->in);
}

static inline void t_make_welcome(struct t_body *t)
{
	struct xm_msg_welcome *m = &t->in.welcome;
	unsigned int i;

	t->in.type = XM_MSG_WELCOME;
	m->version = 1;
	m->features = 0x0102030405060708;
	m->n_channels = XM_CHAN_MAX;
	m->port_base = XM_PORT_DATA;
	m->ip_max = 1500;
	m->max_pages = 1;
	m->credit = 0x01020304;
	for (i = 0; i < XM_CHAN_MAX; i++)
		m->cookie[i] = 0x0123456789abcdef * (i + 1);
	t->len = xm_msg_put(t->buf, &t->in);
}

static inline void t_make_epoch(struct t_body *t, enum xm_msg_type type)
{
	struct xm_msg_epoch *m = &t->in.epoch;
	unsigned int i;

	t->in.type = type;
	m->epoch = 0x01020304;
	m->is_final = 1;
	if (type == XM_MSG_EPOCH_END) {
		m->n_channels = XM_CHAN_MAX;
		for (i = 0; i < XM_CHAN_MAX; i++)
			m->totals[i] = (struct xm_rx_totals){
				.frames = 0x01020304 + i,
				.packets = 0x11121314 + i,
				.bytes_placed = 0x2122232425262728 + i,
				.pages_announced = 0x3132333435363738 + i,
				.zero_pages = 0x4142434445464748 + i,
			};
	}
	t->len = xm_msg_put(t->buf, &t->in);
}

static inline void t_make_abort(struct t_body *t)
{
	t->in.type = XM_MSG_ABORT;
	t->in.abort.reason = XM_REASON_MEMORY;
	strcpy(t->in.abort.text, "no memory");
	t->len = xm_msg_put(t->buf, &t->in);
}

static inline void t_make_plain(struct t_body *t, enum xm_msg_type type)
{
	t->in.type = type;
	t->len = xm_msg_put(t->buf, &t->in);
}

#endif
