/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_session.h - what the tests of both session machines use */
#ifndef T_SESSION_H
#define T_SESSION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/map.h"
#include "core/session.h"

#define T_CHANNELS 3
#define T_PAGES    (70 + 72 + 74) /* those of t_totals() */
#define T_STRIPES  2              /* those of t_hello()'s blocks */
#define T_MSG_LAST XM_MSG_HASHES  /* the types there are end here */

static inline struct xm_msg t_hello(void)
{
	struct xm_msg m = { .type = XM_MSG_HELLO };

	m.hello.version_min = m.hello.version_max = XM_MSG_VERSION;
	m.hello.n_channels = T_CHANNELS;
	m.hello.port_base = XM_PORT_DATA;
	m.hello.ip_max = 9000;
	m.hello.max_pages = 2;
	m.hello.n_blocks = 2;
	m.hello.block[0].len = (T_PAGES - 16) * XM_PAGE_SIZE;
	memcpy(m.hello.block[0].name, "pc.ram", 7);
	m.hello.block[1].len = 16 * XM_PAGE_SIZE;
	memcpy(m.hello.block[1].name, "vga.ram", 8);
	return m;
}

static inline struct xm_msg t_welcome(void)
{
	struct xm_msg m = { .type = XM_MSG_WELCOME };

	m.welcome.version = XM_MSG_VERSION;
	m.welcome.n_channels = T_CHANNELS;
	m.welcome.port_base = XM_PORT_DATA;
	m.welcome.ip_max = 9000;
	m.welcome.max_pages = 2;
	m.welcome.credit = 100;
	return m;
}

static inline struct xm_msg t_epoch(enum xm_msg_type type, uint32_t epoch)
{
	struct xm_msg m = { .type = type };

	m.epoch.epoch = epoch;
	return m;
}

/* Totals of which no two are the same, and which agree, of all of the guest. */
static inline struct xm_msg t_totals(enum xm_msg_type type, uint32_t epoch)
{
	struct xm_msg m = t_epoch(type, epoch);
	unsigned int i;

	m.epoch.n_channels = T_CHANNELS;
	for (i = 0; i < T_CHANNELS; i++)
		m.epoch.totals[i] = (struct xm_rx_totals){
			.frames = 10 + i,
			.packets = 20 + i,
			.bytes_placed = (30 + i) * XM_PAGE_SIZE,
			.pages_announced = 30 + i,
			.zero_pages = 40 + i,
			.sum_announced = 50 + i,
			.sum_placed = 50 + i,
		};
	/* and together they are every page of t_hello()'s blocks */
	m.epoch.totals[0].sum_zero =
		xm_page_hash_sum(0, (T_PAGES - 16) * XM_PAGE_SIZE) +
		xm_page_hash_sum(1, 16 * XM_PAGE_SIZE);
	for (i = 0; i < T_CHANNELS; i++)
		m.epoch.totals[0].sum_zero -= m.epoch.totals[i].sum_announced;
	return m;
}

static inline struct xm_msg t_abort(enum xm_reason reason, const char *text)
{
	struct xm_msg m = { .type = XM_MSG_ABORT };

	m.abort.reason = reason;
	memcpy(m.abort.text, text, strlen(text) + 1);
	return m;
}

/* @len bytes of device state, which is all the same byte. */
static inline struct xm_msg t_device(uint64_t offset, uint32_t len)
{
	static const uint8_t bytes[XM_DEVICE_CHUNK] = { 0 };
	struct xm_msg m = { .type = XM_MSG_DEVICE };

	m.device.offset = offset;
	m.device.len = len;
	m.device.data = bytes;
	return m;
}

static inline struct xm_msg t_device_ack(uint64_t bytes)
{
	struct xm_msg m = { .type = XM_MSG_DEVICE_ACK };

	m.device_ack.bytes = bytes;
	return m;
}

static inline struct xm_msg t_device_end(uint64_t total, bool runs)
{
	struct xm_msg m = { .type = XM_MSG_DEVICE_END };

	m.device_end.total = total;
	m.device_end.runs = runs;
	return m;
}

/* Hashes of @n stripes from @first on, no two the same. */
static inline struct xm_msg t_hashes(uint32_t first, uint16_t n)
{
	struct xm_msg m = { .type = XM_MSG_HASHES };
	unsigned int i;

	m.hashes.first = first;
	m.hashes.n = n;
	for (i = 0; i < n; i++)
		m.hashes.hash[i] = 1000 + first + i;
	return m;
}

/* A well-formed message of @type, as a peer might send it in epoch @epoch. */
static inline struct xm_msg t_any(enum xm_msg_type type, uint32_t epoch)
{
	switch (type) {
	case XM_MSG_HELLO:
		return t_hello();
	case XM_MSG_WELCOME:
		return t_welcome();
	case XM_MSG_EPOCH_END:
		return t_totals(type, epoch);
	case XM_MSG_EPOCH_BEGIN:
	case XM_MSG_EPOCH_READY:
	case XM_MSG_EPOCH_DONE:
		return t_epoch(type, epoch);
	case XM_MSG_ABORT:
		return t_abort(XM_REASON_MEMORY, "no memory");
	case XM_MSG_DEVICE:
		return t_device(0, 8);
	case XM_MSG_DEVICE_ACK:
		return t_device_ack(0);
	case XM_MSG_DEVICE_END:
		return t_device_end(0, true);
	case XM_MSG_HASHES:
		return t_hashes(0, T_STRIPES);
	case XM_MSG_PROVEN:
	case XM_MSG_COMMIT:
	case XM_MSG_COMMITTED:
	case XM_MSG_HEARTBEAT:
	case XM_MSG_LOADED:
	case XM_MSG_VERIFY:
		break;
	}
	return (struct xm_msg){ .type = type };
}

/* Messages are all that was said, and one of @type. */
static inline void t_assert_says(const struct xm_actions *act,
				 enum xm_msg_type type)
{
	assert_true(act->flags & XM_ACT_SEND);
	assert_int_equal(act->n_msgs, 1);
	assert_int_equal(act->msg[0].type, type);
}

static inline void t_assert_nothing(const struct xm_actions *act)
{
	assert_int_equal(act->flags, 0);
	assert_int_equal(act->n_msgs, 0);
	assert_int_equal(act->epoch, 0);
}

static inline void t_assert_outcome(const struct xm_outcome *o,
				    enum xm_reason reason, enum xm_home home,
				    bool by_peer)
{
	assert_int_equal(o->reason, reason);
	assert_int_equal(o->home, home);
	assert_int_equal(o->by_peer, by_peer);
}

#endif
