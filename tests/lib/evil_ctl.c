// SPDX-License-Identifier: GPL-2.0-or-later
/* evil_ctl.c - the control connection of a peer that lies
 *
 * Messages leave as bytes, past everything that would keep ours right: the codec
 * makes them, the lie changes them, the stream (TLS) takes them.
 */
#include "evil.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <gnutls/gnutls.h>

#include "cli/clock.h"
#include "core/be.h"
#include "ctl/stream.h"

/* ctl/ has the session for itself: who links with --wrap sees it pass by. */
static gnutls_session_t session;

int __real_gnutls_handshake(gnutls_session_t s);
int __wrap_gnutls_handshake(gnutls_session_t s);
int __wrap_gnutls_handshake(gnutls_session_t s)
{
	session = s;
	return __real_gnutls_handshake(s);
}

void evil_meet(struct evil *ev)
{
	struct xm_error e = { 0 };
	struct pollfd fd = { .fd = -1, .events = POLLIN };
	struct ctl_addr addr;
	int r = ctl_addr_parse(&addr, ev->addr, XM_PORT_CTL, &e);

	if (!r && ev->role == EVIL_SOURCE)
		r = ctl_connect(&ev->ctl, &addr, NULL, 5000, &e);
	else if (!r)
		r = ctl_listen(&fd.fd, &addr, &e);
	if (!r && ev->role == EVIL_TARGET) {
		fprintf(stderr, "evil: waiting\n");
		(void)poll(&fd, 1, 20000);
		r = ctl_accept(&ev->ctl, fd.fd, &e);
	}
	if (!r)
		r = ctl_secure(ev->ctl, ev->trust, ev->role == EVIL_SOURCE, &e);
	if (!r)
		r = ctl_handshake_unless(ev->ctl, 10000, -1, &e);
	if (!r)
		r = frame_keys_export(ev->ctl, ev->secret, &e);
	if (r)
		evil_die("%d: %s", r, e.msg);
	ev->beat_ns = xm_clock().ns;
	evil_watch(ev);
}

/* -- saying ------------------------------------------------------------------------- */

bool evil_say_raw(struct evil *ev, const void *bytes, size_t len)
{
	struct ctl_stream *s = ctl_get_stream(ev->ctl);
	struct pollfd fd = { .fd = s->fd, .events = POLLOUT };
	const uint8_t *p = bytes;
	ssize_t n;

	ev->is_saying = true; /* no HEARTBEAT within a message */
	while (len && !ev->is_over) {
		n = s->ops->write(s, p, len, NULL);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n == -EAGAIN) {
			(void)poll(&fd, 1, 50);
			evil_tick(ev);
		} else {
			ev->is_over = true;
		}
	}
	ev->is_saying = false;
	return !ev->is_over;
}

void evil_put_head(uint8_t *dst, uint8_t type, uint32_t len)
{
	xm_be16_put(dst, XM_MSG_MAGIC);
	dst[2] = XM_MSG_VERSION;
	dst[3] = type;
	xm_be32_put(dst + 4, len);
}

static enum evil_at msg_at(enum xm_msg_type type)
{
	switch ((int)type) {
	case XM_MSG_HELLO:
		return AT_HELLO;
	case XM_MSG_WELCOME:
		return AT_WELCOME;
	case XM_MSG_EPOCH_BEGIN:
		return AT_BEGIN;
	case XM_MSG_EPOCH_READY:
		return AT_READY;
	case XM_MSG_EPOCH_END:
		return AT_END;
	case XM_MSG_EPOCH_DONE:
		return AT_DONE;
	default:
		return AT_NEVER;
	}
}

bool evil_say(struct evil *ev, const struct xm_msg *msg)
{
	static uint8_t wire[XM_MSG_MAX];
	size_t len = xm_msg_put(wire, msg);

	evil_poke(ev, msg_at(msg->type), wire);
	return evil_say_raw(ev, wire, len);
}

bool evil_say_type(struct evil *ev, enum xm_msg_type type)
{
	static const uint8_t byte[1];
	struct xm_msg msg = { .type = type };

	if (type == XM_MSG_DEVICE) {
		msg.device.data = byte;
		msg.device.len = 1;
	}
	return evil_say(ev, &msg);
}

bool evil_say_epoch(struct evil *ev, enum xm_msg_type type, uint32_t epoch,
		    bool is_final)
{
	struct xm_msg msg = { .type = type };
	unsigned int i;

	msg.epoch.epoch = epoch;
	msg.epoch.is_final = is_final;
	if (type == XM_MSG_EPOCH_END) {
		msg.epoch.n_channels = (uint16_t)ev->n_chans;
		for (i = 0; i < ev->n_chans; i++)
			msg.epoch.totals[i] = ev->chan[i].totals;
	}
	return evil_say(ev, &msg);
}

/* -- hearing ------------------------------------------------------------------------ */

bool evil_hear_any(struct evil *ev)
{
	struct xm_error e = { 0 };
	const void *raw;
	size_t len;
	int r;

	if (ev->is_deaf)
		return false;
	r = ctl_recv(ev->ctl, &raw, &len, &e);
	if (r == -EAGAIN)
		return false;
	if (r || ev->is_over) {
		fprintf(stderr, "evil: over: %s\n", e.msg);
		evil_exit(ev);
	}
	if (xm_msg_get(&ev->msg, raw, len) || ev->msg.type == XM_MSG_HEARTBEAT)
		return false;
	if (ev->msg.type == XM_MSG_ABORT) {
		fprintf(stderr, "evil: the peer says ABORT: %d %s\n",
			ev->msg.abort.reason, ev->msg.abort.text);
		evil_exit(ev);
	}
	if (ev->msg.type == XM_MSG_DEVICE_ACK)
		ev->acked = ev->msg.device_ack.bytes;
	return true;
}

void evil_hear(struct evil *ev, enum xm_msg_type type)
{
	struct pollfd fd = { .fd = ctl_fd(ev->ctl), .events = POLLIN };

	for (;;) {
		while (evil_hear_any(ev))
			if (ev->msg.type == type)
				return;
		evil_tick(ev);
		if (ev->n_chans && !ev->is_dumb)
			evil_net_turn(ev, 1);
		else
			(void)poll(&fd, 1, 20);
	}
}

void evil_rest(struct evil *ev)
{
	evil_told(ev);
	for (;;)
		evil_hear(ev, 0);
}

void evil_say_and_rest(struct evil *ev, enum xm_msg_type type)
{
	(void)evil_say_type(ev, type);
	evil_rest(ev);
}

void evil_say_commit(struct evil *ev)
{
	evil_say_and_rest(ev, XM_MSG_COMMIT);
}

void evil_say_committed(struct evil *ev)
{
	evil_say_and_rest(ev, XM_MSG_COMMITTED);
}

void evil_say_loaded(struct evil *ev)
{
	evil_say_and_rest(ev, XM_MSG_LOADED);
}

void evil_say_proven(struct evil *ev)
{
	evil_say_and_rest(ev, XM_MSG_PROVEN);
}

void evil_flood(struct evil *ev, const void *bytes, size_t len)
{
	evil_told(ev);
	while (evil_say_raw(ev, bytes, len)) {
		evil_tick(ev);
		(void)evil_hear_any(ev);
	}
	evil_exit(ev);
}

void evil_flood_keys(struct evil *ev)
{
	struct pollfd fd = { .fd = ctl_fd(ev->ctl), .events = POLLOUT };
	int r;

	evil_told(ev);
	do {
		r = gnutls_session_key_update(session, GNUTLS_KU_PEER);
		if (r == GNUTLS_E_AGAIN)
			(void)poll(&fd, 1, 50);
		evil_tick(ev);
		(void)evil_hear_any(ev);
	} while (!r || !gnutls_error_is_fatal(r));
	evil_exit(ev);
}

void evil_silence(struct evil *ev)
{
	ev->is_mute = true;
	evil_rest(ev);
}

void evil_no_frames(struct evil *ev)
{
	ev->is_dumb = true;
	evil_rest(ev);
}

void evil_hangup(struct evil *ev)
{
	ctl_end(ev->ctl);
	ev->is_mute = true;
	evil_rest(ev);
}

void evil_say_half(struct evil *ev)
{
	uint8_t raw[XM_MSG_HEADER];

	evil_put_head(raw, 99, XM_MSG_MAX - XM_MSG_HEADER);
	(void)evil_say_raw(ev, raw, sizeof(raw));
	evil_silence(ev);
}

void evil_flood_heads(struct evil *ev, uint8_t type)
{
	uint8_t raw[64 * XM_MSG_HEADER];
	unsigned int i;

	for (i = 0; i < 64; i++)
		evil_put_head(raw + (size_t)i * XM_MSG_HEADER, type, 0);
	evil_flood(ev, raw, sizeof(raw));
}

void evil_flood_beats(struct evil *ev)
{
	evil_flood_heads(ev, XM_MSG_HEARTBEAT);
}

void evil_flood_unknown(struct evil *ev)
{
	static uint8_t raw[XM_MSG_MAX];

	evil_put_head(raw, 200, XM_MSG_MAX - XM_MSG_HEADER);
	evil_flood(ev, raw, sizeof(raw));
}
