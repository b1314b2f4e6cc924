/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_msg.h - control messages with a recognisable body */
#ifndef T_MSG_H
#define T_MSG_H

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/ctl.h"

/* A message whose body bytes depend on their position and @type. */
static inline uint8_t *t_msg_make(uint8_t type, uint32_t body)
{
	uint8_t *m = malloc(XM_MSG_HEADER + body);
	uint32_t len = htobe32(body), i;

	assert_non_null(m);
	m[0] = 0x58;
	m[1] = 0x4d;
	m[2] = 1;
	m[3] = type;
	memcpy(m + 4, &len, 4);
	for (i = 0; i < body; i++)
		m[XM_MSG_HEADER + i] = (uint8_t)(i * 7 + type);
	return m;
}

static inline void t_msg_expect(struct ctl *ctl, uint8_t type, uint32_t body)
{
	uint8_t *m = t_msg_make(type, body);
	struct xm_error e = { 0 };
	const void *got;
	size_t len;

	assert_int_equal(ctl_recv(ctl, &got, &len, &e), 0);
	assert_int_equal(len, XM_MSG_HEADER + body);
	assert_memory_equal(got, m, len);
	assert_int_equal(e.err, 0);
	free(m);
}

static inline int t_recv_err(struct ctl *ctl, struct xm_error *e)
{
	const void *got;
	size_t len;

	return ctl_recv(ctl, &got, &len, e);
}

static inline int t_msg_send(struct ctl *ctl, uint8_t type, uint32_t body,
			     struct xm_error *e)
{
	uint8_t *m = t_msg_make(type, body);
	int r = ctl_send(ctl, m, XM_MSG_HEADER + body, e);

	free(m);
	return r;
}

#endif
