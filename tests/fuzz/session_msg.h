/* SPDX-License-Identifier: GPL-2.0-or-later */
/* session_msg.h - what the two sides of fuzz_session.c say */
#ifndef XM_TESTS_FUZZ_SESSION_MSG_H
#define XM_TESTS_FUZZ_SESSION_MSG_H

#include <string.h>

#include "core/map.h"
#include "core/msg.h"

#define CHANNELS 2
#define PAGES    1000 /* of the guest */
#define PERIOD   251  /* of the device state's bytes */

static inline void make_hello(struct xm_msg *m)
{
	memset(m, 0, sizeof(*m));
	m->type = XM_MSG_HELLO;
	m->hello.version_min = m->hello.version_max = XM_MSG_VERSION;
	m->hello.n_channels = CHANNELS;
	m->hello.port_base = XM_PORT_DATA;
	m->hello.ip_max = 9000;
	m->hello.max_pages = 2;
	m->hello.n_blocks = 1;
	m->hello.block[0].len = PAGES * (uint64_t)XM_PAGE_SIZE;
	memcpy(m->hello.block[0].name, "pc.ram", 7);
}

static inline void make_welcome(struct xm_msg *m)
{
	memset(m, 0, sizeof(*m));
	m->type = XM_MSG_WELCOME;
	m->welcome.version = XM_MSG_VERSION;
	m->welcome.features = XM_FEATURE_DEVICE | XM_FEATURE_VERIFY;
	m->welcome.n_channels = CHANNELS;
	m->welcome.port_base = XM_PORT_DATA;
	m->welcome.ip_max = 1500;
	m->welcome.max_pages = 1;
	m->welcome.credit = 100;
}

static inline void make_epoch(struct xm_msg *m, enum xm_msg_type type,
			      uint32_t epoch)
{
	memset(m, 0, sizeof(*m));
	m->type = type;
	m->epoch.epoch = epoch;
}

/* Totals that agree with those of the other side; @how: or not. */
static inline void make_totals(struct xm_msg *m, uint32_t epoch,
			       unsigned int how)
{
	struct xm_rx_totals *t = m->epoch.totals;

	make_epoch(m, XM_MSG_EPOCH_END, epoch);
	m->epoch.n_channels = CHANNELS;
	t[0].pages_announced = PAGES - 7;
	t[0].bytes_placed = (PAGES - 7) * (uint64_t)XM_PAGE_SIZE;
	t[1].zero_pages = 7;
	t[1].sum_zero = xm_page_hash_sum(0, PAGES * (uint64_t)XM_PAGE_SIZE);
	if (how == 15)
		t[1].frames++;
	if (how == 14)
		t[0].sum_placed++;
	if (how == 13)
		t[0].pages_announced--;
}

static inline void make_abort(struct xm_msg *m, unsigned int how)
{
	memset(m, 0, sizeof(*m));
	m->type = XM_MSG_ABORT;
	m->abort.reason = (enum xm_reason)(1 + how);
	memcpy(m->abort.text, "why", 4);
}

/* What device state has at @offset: the bytes of it are known everywhere. */
static inline const uint8_t *device_bytes(uint64_t offset)
{
	static uint8_t bytes[PERIOD + XM_DEVICE_CHUNK];
	unsigned int i;

	for (i = 0; !bytes[0] && i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(1 + i % PERIOD);
	return bytes + offset % PERIOD;
}

static inline void make_device(struct xm_msg *m, uint64_t offset, uint32_t len)
{
	memset(m, 0, sizeof(*m));
	m->type = XM_MSG_DEVICE;
	m->device.offset = offset;
	m->device.len = len;
	m->device.data = device_bytes(offset);
}

static inline void make_device_ack(struct xm_msg *m, uint64_t bytes)
{
	memset(m, 0, sizeof(*m));
	m->type = XM_MSG_DEVICE_ACK;
	m->device_ack.bytes = bytes;
}

static inline void make_device_end(struct xm_msg *m, uint64_t total, bool runs)
{
	memset(m, 0, sizeof(*m));
	m->type = XM_MSG_DEVICE_END;
	m->device_end.total = total;
	m->device_end.runs = runs;
}

static inline void make_hashes(struct xm_msg *m, uint32_t first, uint16_t n)
{
	memset(m, 0, sizeof(*m));
	m->type = XM_MSG_HASHES;
	m->hashes.first = first;
	m->hashes.n = n;
}

/* What somebody says who is neither side: a good message at a bad time, or one
 * that is slightly wrong. */
static inline void make_forged(struct xm_msg *m, uint8_t type, uint8_t how)
{
	if (type == XM_MSG_HELLO) {
		make_hello(m);
		m->hello.version_min += how & 1;
		m->hello.version_max += how >> 1 & 1;
	} else if (type == XM_MSG_WELCOME) {
		make_welcome(m);
		m->welcome.version += how & 1;
		m->welcome.n_channels += how >> 1 & 1;
		m->welcome.ip_max += (how >> 2 & 3) * 5000;
		m->welcome.credit = how >> 4 & 1;
		m->welcome.features = how >> 5;
	} else if (type == XM_MSG_EPOCH_END) {
		make_totals(m, how & 3, how >> 4);
		m->epoch.n_channels += how >> 2 & 1;
	} else if (type == XM_MSG_ABORT) {
		make_abort(m, how % (XM_REASON__COUNT - 1));
	} else if (type == XM_MSG_DEVICE) {
		make_device(m, (how & 15) * 4096u,
			    how & 128 ? XM_DEVICE_CHUNK : 4096);
	} else if (type == XM_MSG_DEVICE_ACK) {
		make_device_ack(m, how * 4096u);
	} else if (type == XM_MSG_DEVICE_END) {
		make_device_end(m, (how & 127) * 4096u, how >> 7);
	} else if (type == XM_MSG_HASHES) {
		make_hashes(m, how & 3, (uint16_t)(1 + (how >> 2 & 3)));
	} else {
		make_epoch(m, (enum xm_msg_type)type, how & 3);
		m->epoch.is_final = how >> 2 & 1;
	}
}

#endif
