// SPDX-License-Identifier: GPL-2.0-or-later
/* evil_source.c - the course of a source, up to its lie
 *
 * Its guest is one block, EVIL_RAM bytes of "ram", of which every 128th page is
 * full of 'E' and the rest are zeros: few frames, and in the receiver's file
 * nothing but these two and what was there before.  Bytes of a lie are 'X'.
 */
#include "evil.h"

#include <string.h>
#include <sys/random.h>

#include "cli/clock.h"
#include "core/multifd.h"

/* -- frames ---------------------------------------------------------------------------- */

void evil_send_header(struct evil *ev, unsigned int c, uint32_t seq,
		      uint32_t packet, uint64_t first, unsigned int n_normal,
		      unsigned int n_zero)
{
	struct xm_frame f = {
		.type = XM_WIRE_HEADER,
		.channel = (uint8_t)c,
		.cookie = ev->welcome.cookie[c],
		.epoch = ev->epoch,
		.seq = seq,
		.packet = packet,
		.tx_us = xm_time_wire_us(xm_clock()),
		.len = XM_MULTIFD_LEN,
	};
	struct xm_multifd pkt = {
		.pages_alloc = XM_PACKET_PAGES,
		.normal_pages = n_normal,
		.zero_pages = n_zero,
		.next_packet_size = n_normal * XM_PAGE_SIZE,
		.packet_num = (uint64_t)packet * ev->n_chans + c,
		.flags = n_normal + n_zero ? 0 : XM_MULTIFD_F_SYNC,
	};
	uint8_t raw[XM_MULTIFD_LEN];
	unsigned int i;
	bool is_first = !c && !packet;

	if (n_normal + n_zero)
		strcpy(pkt.ramblock, ev->block);
	for (i = 0; i < n_normal + n_zero; i++)
		pkt.offset[i] = first + i * XM_PAGE_SIZE;
	xm_multifd_put(raw, &pkt);
	evil_net_frame(ev, c, &f, raw, is_first ? AT_HEADER_HEAD : AT_NEVER,
		       is_first ? AT_HEADER : AT_NEVER);
}

void evil_send_data(struct evil *ev, unsigned int c, uint32_t seq,
		    uint32_t packet, uint64_t offset)
{
	struct xm_frame f = {
		.type = XM_WIRE_DATA,
		.channel = (uint8_t)c,
		.cookie = ev->welcome.cookie[c],
		.epoch = ev->epoch,
		.seq = seq,
		.packet = packet,
		.tx_us = xm_time_wire_us(xm_clock()),
		.n_segs = 1,
		.seg_len = XM_PAGE_SIZE,
		.len = XM_PAGE_SIZE,
		.seg = { offset },
	};

	evil_net_frame(ev, c, &f, ev->page,
		       !c && !packet ? AT_DATA_HEAD : AT_NEVER, AT_NEVER);
}

/* Frame @seq of channel @c: packets of a HEADER and one DATA, then SYNC. */
static void source_send(struct evil *ev, unsigned int c, uint32_t seq)
{
	struct evil_chan *chan = &ev->chan[c];
	const uint64_t packet_len = XM_PACKET_PAGES * XM_PAGE_SIZE;
	uint32_t packet = seq / 2, n = 0;
	uint64_t offset;

	for (offset = 0; offset < ev->ram; offset += packet_len)
		if (xm_map_channel(&ev->map, 0, offset) == c && n++ == packet)
			break;
	if (seq + 1 == chan->n_frames)
		evil_send_header(ev, c, seq, packet, 0, 0, 0);
	else if (seq % 2)
		evil_send_data(ev, c, seq, packet, offset);
	else
		evil_send_header(ev, c, seq, packet, offset, 1,
				 XM_PACKET_PAGES - 1);
}

static void source_plan(struct evil *ev, unsigned int c, bool has_pages)
{
	const uint64_t packet_len = XM_PACKET_PAGES * XM_PAGE_SIZE;
	struct evil_chan *chan = &ev->chan[c];
	uint64_t offset;
	uint32_t n = 0;

	for (offset = 0; has_pages && offset < ev->ram; offset += packet_len)
		n += xm_map_channel(&ev->map, 0, offset) == c;
	chan->n_frames = 2 * n + 1;
	chan->cum = 0;
	chan->totals = (struct xm_rx_totals){
		.frames = chan->n_frames,
		.packets = n + 1,
		.bytes_placed = (uint64_t)n * XM_PAGE_SIZE,
		.pages_announced = n,
		.zero_pages = (uint64_t)n * (XM_PACKET_PAGES - 1),
	};
}

/* Is everything acknowledged? */
static bool source_turn(struct evil *ev, bool again)
{
	bool is_done = true;
	unsigned int c;
	uint32_t seq;

	for (c = 0; c < ev->n_chans; c++) {
		struct evil_chan *chan = &ev->chan[c];

		for (seq = chan->cum; again && seq < chan->n_frames; seq++)
			source_send(ev, c, seq);
		is_done &= chan->cum == chan->n_frames;
	}
	return is_done;
}

/* What is not acknowledged goes out again five times a second.  After a lie about
 * frames some are never taken: then the peer is told that they were. */
void evil_send_pages(struct evil *ev)
{
	int64_t next = 0, give_up = xm_clock().ns + 800 * XM_MS, now;
	bool is_done;

	do {
		now = xm_clock().ns;
		is_done = source_turn(ev, now >= next);
		if (now >= next)
			next = now + 200 * XM_MS;
		evil_net_turn(ev, 1);
		evil_tick(ev);
		(void)evil_hear_any(ev);
	} while (!is_done && !(ev->has_lied && now >= give_up));
}

/* -- the course ---------------------------------------------------------------------- */

static void source_hello(struct evil *ev)
{
	struct xm_msg msg = { .type = XM_MSG_HELLO };

	evil_moment(ev, WHEN_MET);
	msg.hello = ev->hello;
	if (!evil_say(ev, &msg))
		evil_exit(ev);
	evil_hear(ev, XM_MSG_WELCOME);
	ev->welcome = ev->msg.welcome;
	ev->peer_base = ev->welcome.port_base;
	if (xm_map_add(&ev->map, ev->block, ev->ram, NULL) ||
	    xm_map_shard(&ev->map, ev->hello.n_channels))
		evil_die("map");
}

void evil_send_epoch(struct evil *ev)
{
	unsigned int c;

	(void)evil_say_epoch(ev, XM_MSG_EPOCH_BEGIN, ev->epoch, ev->is_final);
	evil_hear(ev, XM_MSG_EPOCH_READY);
	for (c = 0; c < ev->n_chans; c++)
		source_plan(ev, c, true);
	evil_moment(ev, WHEN_OPEN);
	evil_send_pages(ev);
	evil_moment(ev, WHEN_SENT);
	(void)evil_say_epoch(ev, XM_MSG_EPOCH_END, ev->epoch, ev->is_final);
	evil_hear(ev, XM_MSG_EPOCH_DONE);
}

static void source_verify(struct evil *ev)
{
	evil_moment(ev, WHEN_FINAL);
	evil_verify(ev);
	evil_moment(ev, WHEN_HASHED);
}

static void source_devices(struct evil *ev)
{
	evil_moment(ev, WHEN_STREAM);
	evil_give(ev, ev->stream_len);
	evil_moment(ev, WHEN_WRITTEN);
	(void)evil_say_device_end(ev, ev->given);
	evil_hear(ev, XM_MSG_LOADED);
}

void evil_source(struct evil *ev)
{
	ev->hello.version_min = ev->hello.version_max = XM_MSG_VERSION;
	(void)!getrandom(ev->hello.session, sizeof(ev->hello.session), 0);
	ev->hello.n_channels = ev->lie->channels ? ev->lie->channels : 1;
	ev->hello.port_base = ev->port_base;
	ev->hello.ip_max = 9000;
	ev->hello.max_pages = 2;
	ev->hello.n_blocks = 1;
	ev->hello.block[0].len = ev->ram;
	strcpy(ev->hello.block[0].name, ev->block);
	if (!strncmp(ev->lie->name, "live-", 5))
		ev->hello.features |= XM_FEATURE_DEVICE;
	if (strstr(ev->lie->name, "verify-"))
		ev->hello.features |= XM_FEATURE_VERIFY;
	strcpy(ev->hello.name, "evil");
	memset(ev->page, 'E', sizeof(ev->page));
	evil_meet(ev);
	source_hello(ev);
	evil_net_open(ev);
	evil_moment(ev, WHEN_PROVING);
	evil_net_prove(ev);
	ev->is_final = true;
	ev->epoch = 1;
	evil_moment(ev, WHEN_PROVEN);
	evil_send_epoch(ev);
	if (ev->then)
		ev->then(ev);
	if (ev->hello.features & XM_FEATURE_VERIFY &&
	    strstr(ev->lie->name, "verify-"))
		source_verify(ev);
	if (ev->hello.features & XM_FEATURE_DEVICE)
		source_devices(ev);
	evil_moment(ev, WHEN_DONE);
	(void)evil_say_type(ev, XM_MSG_COMMIT);
	evil_hear(ev, XM_MSG_COMMITTED);
	evil_rest(ev);
}
