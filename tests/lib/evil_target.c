// SPDX-License-Identifier: GPL-2.0-or-later
/* evil_target.c - the course of a destination, up to its lie
 *
 * The receivers are the real ones (core/rx.c), into memory of their own: what is
 * acknowledged without a lie was received.
 */
#include "evil.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cli/clock.h"

static void target_map(struct evil *ev)
{
	unsigned int i;

	for (i = 0; i < ev->hello.n_blocks; i++) {
		uint64_t len = ev->hello.block[i].len;
		uint8_t *hva = calloc(1, len);
		uint64_t *bits = calloc(1, len / XM_PAGE_SIZE / 8 + 8);

		if (!hva || !bits ||
		    xm_map_add(&ev->map, ev->hello.block[i].name, len, hva))
			evil_die("map");
		ev->map.block[i].dirtied = bits;
	}
	if (xm_map_shard(&ev->map, ev->hello.n_channels))
		evil_die("map");
}

static void target_welcome(struct evil *ev)
{
	struct xm_msg_welcome *w = &ev->welcome;
	struct xm_msg msg = { .type = XM_MSG_WELCOME };

	evil_hear(ev, XM_MSG_HELLO);
	ev->hello = ev->msg.hello;
	target_map(ev);
	w->version = XM_MSG_VERSION;
	w->features = ev->hello.features &
		      (XM_FEATURE_DEVICE | XM_FEATURE_VERIFY);
	w->n_channels = ev->hello.n_channels;
	w->port_base = ev->port_base;
	w->ip_max = ev->hello.ip_max < 9000 ? ev->hello.ip_max : 9000;
	w->max_pages = ev->hello.max_pages < 2 ? ev->hello.max_pages : 2;
	w->credit = 256;
	(void)!getrandom(w->cookie, sizeof(w->cookie), 0);
	ev->peer_base = ev->hello.port_base;
	evil_moment(ev, WHEN_MET);
	msg.welcome = *w;
	if (!evil_say(ev, &msg))
		evil_exit(ev);
}

static void target_receivers(struct evil *ev)
{
	unsigned int c;

	for (c = 0; c < ev->n_chans; c++) {
		struct xm_rx_opts opts = {
			.map = &ev->map,
			.cookie = ev->welcome.cookie[c],
			.channel = (uint8_t)c,
			.credit = ev->welcome.credit,
		};
		void *mem = calloc(1, xm_rx_footprint(&opts));

		ev->chan[c].rx = mem ? xm_rx_init(mem, &opts) : NULL;
		if (!ev->chan[c].rx)
			evil_die("no memory");
	}
}

static void target_epoch(struct evil *ev)
{
	unsigned int c;

	ev->epoch = ev->msg.epoch.epoch;
	ev->is_final = ev->msg.epoch.is_final;
	for (c = 0; c < ev->n_chans; c++)
		xm_rx_epoch(ev->chan[c].rx, ev->epoch);
	evil_moment(ev, WHEN_OPEN);
	(void)evil_say_epoch(ev, XM_MSG_EPOCH_READY, ev->epoch, ev->is_final);
	evil_moment(ev, WHEN_TAKING);
}

static void target_ack_device(struct evil *ev)
{
	struct xm_msg msg = { .type = XM_MSG_DEVICE_ACK };

	msg.device_ack.bytes = ev->msg.device.offset + ev->msg.device.len;
	(void)evil_say(ev, &msg);
}

static void target_take(struct evil *ev)
{
	switch ((int)ev->msg.type) {
	case XM_MSG_EPOCH_BEGIN:
		target_epoch(ev);
		break;
	case XM_MSG_EPOCH_END:
		evil_moment(ev, WHEN_ENDED);
		(void)evil_say_epoch(ev, XM_MSG_EPOCH_DONE, ev->epoch,
				     ev->is_final);
		break;
	case XM_MSG_DEVICE:
		evil_moment(ev, WHEN_DEVICE);
		target_ack_device(ev);
		break;
	case XM_MSG_VERIFY:
		evil_moment(ev, WHEN_HASHED);
		(void)evil_say_hashes(ev, 0, evil_stripes(ev),
				      evil_stripes(ev));
		if (ev->n_wrong)
			ev->n_wrong--;
		break;
	case XM_MSG_DEVICE_END:
		evil_moment(ev, WHEN_LOADING);
		(void)evil_say_type(ev, XM_MSG_LOADED);
		break;
	case XM_MSG_COMMIT:
		evil_moment(ev, WHEN_COMMIT);
		(void)evil_say_type(ev, XM_MSG_COMMITTED);
		break;
	default:
		break;
	}
}

void evil_target(struct evil *ev)
{
	evil_meet(ev);
	target_welcome(ev);
	evil_net_open(ev);
	evil_moment(ev, WHEN_PROVING);
	evil_net_prove(ev);
	target_receivers(ev);
	evil_moment(ev, WHEN_PROVEN);
	for (;;) {
		evil_tick(ev);
		evil_net_turn(ev, 1);
		while (evil_hear_any(ev))
			target_take(ev);
	}
}
