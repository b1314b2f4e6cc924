// SPDX-License-Identifier: GPL-2.0-or-later
/* pump_probe.c - proving a channel's path, at either end
 *
 * What is sent, and when, and what it proves is core/probe.c's; here is where the
 * frames are written, and what the user is told when none gets through.
 */
#include "pump.h"

#include <errno.h>

void pump_begin_probe(struct pump *p)
{
	const struct pump_opts *o = &p->opts;
	struct xm_probe_opts opts = {
		.cookie = o->cookie,
		.channel = (uint8_t)o->channel,
		.port_base = (uint16_t)(o->my_base + o->channel),
		/* Below Linux's ephemeral range, where nothing listens. */
		.port_first = 20000,
		.n_ports = XM_PROBE_PORTS,
		.size = o->ip_max,
		.ip_len = (uint16_t)xm_path_ip_len(&p->path),
		.seal = &p->seal,
		.waits_for_peer = o->waits_for_peer,
	};

	xm_probe_init(&p->probe, &opts);
	p->state = PUMP_PROBE;
}

bool pump_is_proven(const struct pump *p)
{
	return p->state == PUMP_PROBE && xm_probe_is_done(&p->probe);
}

static int pump_fail_probe(const struct pump *p, struct xm_error *e)
{
	const struct xm_probe *b = &p->probe;
	const struct xsk_chan_opts *o = &p->opts.chan;

	if (!b->my_port)
		return xm_fail(
			e, -ENETUNREACH, XM_REASON_PATH,
			"%s: channel %u: no frame of queue %u here reached the "
			"peer's queue (UDP port %u, %u source ports tried)%s; "
			"check 'xdpmig status' and, on a NIC, 'ethtool -n DEV "
			"rx-flow-hash udp4' there%s",
			o->ifname, p->opts.channel, o->queue, p->path.dport,
			b->n_tried, b->n_seen ? "" : ", none came from it",
			xsk_chan_is_zero_copy(p->chan) ?
				", and try --zero-copy off here" :
				"");
	return xm_fail(
		e, -ENETUNREACH, XM_REASON_PATH,
		"%s: channel %u: frames of %u bytes do not get through "
		"from queue %u to the peer%s; check the MTU along the path",
		o->ifname, p->opts.channel, p->opts.ip_max, o->queue,
		b->is_sent_proven ? " and back" : "");
}

int pump_probe_turn(struct pump *p, struct xm_time now, struct xm_error *e)
{
	size_t prefix = xm_encap_len(&p->path), len;
	struct xsk_buf buf;
	uint16_t sport;
	int n = 0, r;

	if (xm_probe_has_failed(&p->probe, now))
		return pump_fail_probe(p, e);
	while (n < XM_PROBE_BURST) {
		p->is_stuck = !xsk_tx_get(p->chan, true, &buf);
		if (p->is_stuck)
			break;
		len = xm_probe_fill(&p->probe, now, buf.data + prefix, &sport);
		if (!len) {
			xsk_tx_unget(p->chan, &buf);
			break;
		}
		r = pump_put_whole(p, &buf, len, sport, e);
		if (r)
			return r;
		n++;
	}
	return n;
}
