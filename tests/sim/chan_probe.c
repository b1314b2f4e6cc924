// SPDX-License-Identifier: GPL-2.0-or-later
/* chan_probe.c - driving the core's path probing, at either side
 *
 * PROBEs leave with a source port of their own choosing.  With opts.rss the
 * world hands a frame to the queue that a hash of its ports names, as a NIC
 * without steering rules does, so the port has to be found.
 */
#include <string.h>

#include "world.h"

void prober_init(struct sim_prober *p, const struct world *w, unsigned int idx,
		 struct xm_seal *seal)
{
	unsigned int ip_len = w->opts.ipv6 ? 40 : 20;
	struct xm_probe_opts opts = {
		.cookie = 0xc00c1e0000000000ull + idx,
		.channel = (uint8_t)idx,
		.port_base = (uint16_t)(XM_PORT_DATA + idx),
		.port_first = 10000,
		.n_ports = XM_PROBE_PORTS,
		.size = (uint16_t)xm_geometry_ip_len(&w->geo, ip_len),
		.ip_len = (uint16_t)ip_len,
		.seal = seal,
	};

	xm_probe_init(&p->probe, &opts);
	p->is_on = true;
}

void prober_fill(struct sim_prober *p, struct world *w, struct xm_path *path,
		 struct sim_node *wire)
{
	static uint8_t buf[XM_ENCAP_MAX + XM_WIRE_HEADER_MAX + XM_MTU_MAX];
	size_t l2 = xm_encap_len(path), len;
	struct xm_path out = *path;

	if (!p->is_on)
		return;
	while ((len = xm_probe_fill(&p->probe, w->sim.now, buf + l2,
				    &out.sport))) {
		xm_encap_put(buf, &out, len);
		wire->forward(wire, sim_pkt_new(buf, l2 + len, 0));
	}
	if (p->probe.my_port)
		path->sport = p->probe.my_port;
}

void prober_packet(struct sim_prober *p, struct world *w,
		   const struct xm_encap *e, const struct xm_frame *f,
		   const void *payload)
{
	if (p->is_on)
		xm_probe_packet(&p->probe, w->sim.now, f, payload, e->ip_len);
}

struct xm_time prober_expiry(const struct sim_prober *p, struct xm_time now)
{
	struct xm_time t;

	if (!p->is_on)
		return XM_TIME_NEVER;
	t = xm_probe_expiry(&p->probe);
	return xm_time_before(t, now) ? now : t;
}
