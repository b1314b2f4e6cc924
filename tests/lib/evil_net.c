// SPDX-License-Identifier: GPL-2.0-or-later
/* evil_net.c - frames of a peer that lies
 *
 * They go through a packet socket, so the device needs no steering program: the
 * kernel spreads them over the device's queues by their ports, and the search of
 * core/probe.c finds which port leads where.  Whatever a frame says, it is sealed
 * with the session's keys: the peer is the one it must be.
 */
#include "evil.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "cli/clock.h"
#include "core/crc32c.h"
#include "core/encap.h"

#define NET_FRAME 9216
#define NET_ROOM  (16 << 20)

/* From which source port a frame goes that is not a PROBE. */
static uint16_t net_sport(const struct evil_chan *c)
{
	return c->probe.my_port ? c->probe.my_port : c->probe.opts.port_base;
}

static void net_open_socket(struct evil *ev)
{
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = ev->route.ifindex,
	};
	int room = NET_ROOM;

	ev->net_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			    htons(ETH_P_IP));
	if (ev->net_fd < 0 ||
	    setsockopt(ev->net_fd, SOL_SOCKET, SO_RCVBUFFORCE, &room,
		       sizeof(room)) ||
	    bind(ev->net_fd, (struct sockaddr *)&sll, sizeof(sll)))
		evil_die("packet socket: %s", strerror(errno));
}

static void net_open_chan(struct evil *ev, unsigned int i, uint16_t size)
{
	struct evil_chan *c = &ev->chan[i];
	struct xm_probe_opts probe = {
		.cookie = ev->welcome.cookie[i],
		.channel = (uint8_t)i,
		.port_base = (uint16_t)(ev->port_base + i),
		.port_first = 20000,
		.n_ports = XM_PROBE_PORTS,
		.size = size,
		.ip_len = 20,
		.waits_for_peer = true,
	};

	c->path = ev->route.path;
	c->path.dport = (uint16_t)(ev->peer_base + i);
	c->keys = frame_keys_new(ev->secret, i, ev->role == EVIL_SOURCE);
	if (!c->keys ||
	    xm_seal_init(&c->seal, &frame_keys_cipher, c->keys, false))
		evil_die("keys");
	xm_probe_init(&c->probe, &probe); /* sealed by evil_net_send() */
}

void evil_net_open(struct evil *ev)
{
	const struct sockaddr *peer = (const void *)&ctl_peer(ev->ctl)->ss;
	const struct sockaddr *local = (const void *)&ctl_local(ev->ctl)->ss;
	unsigned int i, n = ev->hello.n_channels;
	struct xm_geometry geo;
	struct xm_error e = { 0 };

	if (route_get(&ev->route, ev->dev, peer, local, 2000, &e))
		evil_die("%s", e.msg);
	if (xm_geometry_fit(&geo, ev->welcome.ip_max, 20,
			    ev->welcome.max_pages))
		evil_die("no frame fits %u bytes", ev->welcome.ip_max);
	net_open_socket(ev);
	for (i = 0; i < n; i++)
		net_open_chan(ev, i, (uint16_t)xm_geometry_ip_len(&geo, 20));
	ev->n_chans = n;
}

/* -- sending ------------------------------------------------------------------------ */

static void net_put(struct evil *ev, uint8_t *buf, size_t len)
{
	struct pollfd fd = { .fd = ev->net_fd, .events = POLLOUT };
	unsigned int i;

	for (i = 0; i < 100; i++) {
		if (send(ev->net_fd, buf, len, 0) >= 0)
			return;
		if (errno != EAGAIN && errno != ENOBUFS)
			return; /* the device is gone */
		(void)poll(&fd, 1, 10);
	}
}

void evil_net_put(struct evil *ev, unsigned int c, const uint8_t *frame,
		  size_t len, uint16_t sport)
{
	struct xm_path path = ev->chan[c].path;
	uint8_t buf[NET_FRAME];
	size_t prefix;

	path.sport = sport;
	prefix = xm_encap_put(buf, &path, len);
	memcpy(buf + prefix, frame, len);
	net_put(ev, buf, prefix + len);
}

void evil_net_send(struct evil *ev, unsigned int c, uint8_t *frame,
		   size_t hdr_len, size_t len, enum evil_at head,
		   enum evil_at at)
{
	uint8_t *payload = frame + hdr_len;
	uint32_t crc;

	memset(xm_frame_tag(frame, hdr_len), 0, XM_WIRE_TAG_LEN);
	evil_poke(ev, at, payload);
	if (evil_poke(ev, head, frame) && head == AT_DATA_HEAD && ev->lie->size)
		memset(payload, 'X', len); /* must be nowhere afterwards */
	crc = xm_crc32c(0, payload, len);
	if (ev->lie->at == head && ev->lie->offset == 40)
		crc++; /* a lie that sealing would undo */
	if (xm_seal_frame(&ev->chan[c].seal, frame, hdr_len, crc, payload, len))
		return; /* it has no numbers left */
	evil_net_put(ev, c, frame, hdr_len + len, net_sport(&ev->chan[c]));
}

void evil_net_frame(struct evil *ev, unsigned int c, const struct xm_frame *f,
		    const void *payload, enum evil_at head, enum evil_at at)
{
	uint8_t buf[NET_FRAME];
	size_t hdr_len = xm_frame_put(buf, f);

	memcpy(buf + hdr_len, payload, f->len);
	evil_net_send(ev, c, buf, hdr_len, f->len, head, at);
}

void evil_net_ack(struct evil *ev, unsigned int c)
{
	uint8_t buf[XM_WIRE_HEADER_MAX + XM_ACK_LEN_MAX];
	size_t len = xm_rx_fill(ev->chan[c].rx, xm_clock(), buf);

	if (len && !ev->keeps_acks)
		evil_net_send(ev, c, buf, XM_WIRE_HEADER_MIN,
			      len - XM_WIRE_HEADER_MIN, AT_ACK_HEAD, AT_ACK);
}

static void net_probe(struct evil *ev, unsigned int c)
{
	struct xm_probe *p = &ev->chan[c].probe;
	uint8_t buf[NET_FRAME];
	uint16_t sport, keep;
	size_t len;

	while ((len = xm_probe_fill(p, xm_clock(), buf, &sport))) {
		keep = p->my_port;
		p->my_port = sport; /* what the frame leaves with */
		evil_net_send(ev, c, buf, XM_WIRE_HEADER_MIN,
			      len - XM_WIRE_HEADER_MIN, AT_NEVER, AT_PROBE);
		p->my_port = keep;
	}
}

/* -- receiving ---------------------------------------------------------------------- */

static void net_dispatch(struct evil *ev, unsigned int c,
			 const struct xm_frame *f, uint8_t *payload,
			 const struct xm_encap *enc)
{
	struct evil_chan *chan = &ev->chan[c];
	struct xm_vec vec = { payload, f->len };

	if (f->type == XM_WIRE_PROBE)
		(void)xm_probe_packet(&chan->probe, xm_clock(), f, payload,
				      enc->ip_len);
	else if (f->type == XM_WIRE_ACK && f->epoch == ev->epoch &&
		 f->seq > chan->cum)
		chan->cum = f->seq;
	else if (chan->rx)
		(void)xm_rx_packet(chan->rx, xm_clock(), f, &vec, 1, enc->ce);
}

static void net_take(struct evil *ev, uint8_t *buf, size_t len)
{
	struct xm_encap enc = { 0 };
	struct xm_vec vec;
	struct xm_frame f;
	unsigned int c;
	size_t hdr_len;
	uint8_t *hdr;

	if (xm_encap_get(&enc, buf, len, len) || enc.dport < ev->port_base ||
	    enc.dport >= ev->port_base + ev->n_chans)
		return;
	c = enc.dport - ev->port_base;
	hdr = buf + enc.payload;
	if (xm_frame_begin(&hdr_len, hdr, enc.len, enc.len))
		return;
	vec = (struct xm_vec){ hdr + hdr_len, enc.len - hdr_len };
	if (!xm_seal_open(&ev->chan[c].seal, &f, hdr, hdr_len, &vec, 1,
			  enc.len))
		net_dispatch(ev, c, &f, hdr + hdr_len, &enc);
}

void evil_net_turn(struct evil *ev, int ms)
{
	struct pollfd fd[] = { { .fd = ev->net_fd, .events = POLLIN },
			       { .fd = ctl_fd(ev->ctl), .events = POLLIN } };
	struct sockaddr_ll from = { 0 };
	uint8_t buf[NET_FRAME];
	unsigned int i;
	socklen_t len;
	ssize_t n;

	(void)poll(fd, ev->is_deaf ? 1 : 2, ms);
	for (i = 0; i < 64; i++) {
		len = sizeof(from);
		n = recvfrom(ev->net_fd, buf, sizeof(buf), 0,
			     (struct sockaddr *)&from, &len);
		if (n <= 0)
			break;
		if (from.sll_pkttype != PACKET_OUTGOING)
			net_take(ev, buf, (size_t)n);
	}
	for (i = 0; i < ev->n_chans; i++) {
		net_probe(ev, i);
		if (ev->chan[i].rx)
			evil_net_ack(ev, i);
	}
}

static bool net_is_proven(const struct evil *ev)
{
	unsigned int i;

	for (i = 0; i < ev->n_chans; i++)
		if (!xm_probe_is_done(&ev->chan[i].probe))
			return false;
	return true;
}

void evil_net_prove(struct evil *ev)
{
	bool is_proven = false, peer_is = false;

	while (!is_proven || !peer_is) {
		evil_net_turn(ev, 2);
		evil_tick(ev);
		if (!is_proven && net_is_proven(ev)) {
			is_proven = true;
			(void)evil_say_type(ev, XM_MSG_PROVEN);
		}
		/* what follows PROVEN is for later */
		while (!peer_is && evil_hear_any(ev))
			peer_is = ev->msg.type == XM_MSG_PROVEN;
	}
}
