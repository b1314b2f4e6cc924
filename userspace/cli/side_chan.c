// SPDX-License-Identifier: GPL-2.0-or-later
/* side_chan.c - one end's channels, from pinning to their totals
 *
 *   source                              destination
 *   side_pin_channels()  HELLO -------->
 *     maps and pins, in the threads      side_open_channels()
 *                        <-------- WELCOME  maps, pins and binds
 *   side_open_channels()                side_go_live()
 *     binds
 *   side_go_live()
 *
 * So both ends pin at the same time.  What a source pins before the WELCOME is its
 * own memory: the device sees nothing of it before both sides have agreed, and
 * its sockets are bound.
 */
#include "side.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ctl/secret.h"

/* What needs no agreement. */
static void side_fill_chan(struct side *s, unsigned int i)
{
	struct pump_opts *p = &s->pump[i];

	memset(p, 0, sizeof(*p));
	p->channel = i;
	p->is_sender = s->is_sender;
	p->chan = s->plan.opts;
	p->chan.queue = s->first_queue + i;
	if (!s->is_sender) {
		p->rx.map = &s->ram.map;
		return;
	}
	p->tx.map = &s->ram.map;
	if (s->plan.maps_guest) {
		p->chan.extents = s->extents[i];
		p->chan.n_extents = s->n_extents[i];
	}
}

/* What the header ring can have on its way, with all that is around pages: a
 * window of less would hold back the ring's last frames for a round trip. */
static uint64_t side_ring_bytes(const struct side *s)
{
	uint64_t frames = 1 + xm_geometry_frames(&s->geo, XM_PACKET_PAGES);

	return s->plan.opts.n_slots * frames * (s->frame_max + 18);
}

static void side_fill_pump(struct side *s, unsigned int i, uint64_t bandwidth)
{
	struct pump_opts *p = &s->pump[i];

	side_fill_chan(s, i);
	p->path = s->route.path;
	p->my_base = s->my_base;
	p->peer_base = s->peer_base;
	p->cookie = s->agreed.cookie[i];
	p->cipher = s->trust.keys ? &frame_keys_cipher : NULL;
	p->keys = s->keys[i];
	p->encrypts = s->agreed.features & XM_FEATURE_ENCRYPT;
	p->ip_max = (uint16_t)s->frame_max;
	p->waits_for_peer = !s->is_sender;
	if (!s->is_sender) {
		p->rx = (struct xm_rx_opts){
			.map = &s->ram.map,
			.cookie = p->cookie,
			.channel = (uint8_t)i,
			.trace = side_trace(s),
		};
		return;
	}
	p->tx = (struct xm_tx_opts){
		.map = &s->ram.map,
		.geo = s->geo,
		.cookie = p->cookie,
		.channel = (uint8_t)i,
		.n_channels = s->n_channels,
		.n_slots = s->plan.opts.n_slots,
		.drain = s->drain,
		.trace = side_trace(s),
		.credit = s->agreed.credit,
		.stall_ns = (int64_t)s->opts->stall_ns,
		.cc = {
			.mss = s->frame_max + 18,
			.cwnd_max = side_ring_bytes(s),
			.n_channels = s->n_channels,
			.rate = bandwidth / 8 / s->n_channels,
		},
	};
}

/* From now on the path must carry the agreed frames.  It may have changed since
 * it was looked up: then look again. */
static int side_watch_route(struct side *s, struct xm_error *e)
{
	const struct sockaddr *peer =
		(const struct sockaddr *)&ctl_peer(s->ctl)->ss;
	const struct sockaddr *local =
		(const struct sockaddr *)&ctl_local(s->ctl)->ss;
	struct xm_error stale = { 0 };
	struct route needed = s->route;
	int r;

	needed.ip_max = s->frame_max;
	r = route_watch_open(&s->watch, s->dev, peer, &needed, &stale);
	if (r == -ESTALE) {
		r = route_get(&s->route, s->dev, peer, local, 2000, e);
		if (r)
			return r;
		needed = s->route;
		needed.ip_max = s->frame_max;
		return route_watch_open(&s->watch, s->dev, peer, &needed, e);
	}
	return r ? xm_fail(e, r, stale.reason, "%s", stale.msg) : 0;
}

static int side_new_pool(struct side *s, struct xm_error *e)
{
	struct pool_opts po = {
		.pumps = s->pump,
		.n_pumps = s->n_channels,
		.n_threads = s->opts->threads,
		.numa_node = s->caps.numa_node,
		.busy_poll = s->opts->busy_poll_ns != 0,
	};

	return pool_new(&s->pool, &po, e);
}

/* Keys for the frames of each channel, from the control connection's TLS. */
static int side_make_keys(struct side *s, struct xm_error *e)
{
	unsigned int i;
	int r;

	if (!s->trust.keys)
		return 0;
	s->frame_secret = secret_new(FRAME_SECRET_LEN);
	if (!s->frame_secret)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
			       "no memory for keys");
	r = frame_keys_export(s->ctl, s->frame_secret, e);
	for (i = 0; i < s->n_channels && !r; i++) {
		s->keys[i] = frame_keys_new(s->frame_secret, i, s->is_sender);
		if (!s->keys[i])
			r = xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
				    "no memory for keys");
	}
	return r;
}

int side_pin_channels(struct side *s, struct xm_error *e)
{
	unsigned int i;
	int r;

	for (i = 0; i < s->n_channels; i++)
		side_fill_chan(s, i);
	r = side_new_pool(s, e);
	if (!r)
		pool_begin(s->pool, POOL_PIN, 0, NULL);
	return r;
}

int side_open_channels(struct side *s, uint64_t bandwidth, struct xm_error *e)
{
	unsigned int ip_len = xm_path_ip_len(&s->route.path), i;
	int r;

	r = xm_geometry_fit(&s->geo, s->agreed.ip_max, ip_len,
			    s->agreed.max_pages);
	if (r)
		return xm_fail(e, r, XM_REASON_REFUSED,
			       "no frame fits the %u bytes that both sides can "
			       "carry",
			       s->agreed.ip_max);
	s->frame_max = xm_geometry_ip_len(&s->geo, ip_len);
	r = side_check_bandwidth(s, bandwidth, e);
	if (!r)
		r = side_make_keys(s, e);
	if (!r)
		r = side_watch_route(s, e);
	if (r)
		return r;
	for (i = 0; i < s->n_channels; i++)
		side_fill_pump(s, i, bandwidth);
	r = s->pool ? 0 : side_new_pool(s, e);
	if (!r)
		pool_begin(s->pool, POOL_OPEN, 0, NULL);
	return r;
}

int side_check_bandwidth(const struct side *s, uint64_t bandwidth,
			 struct xm_error *e)
{
	double gap_s = bandwidth ? 8.0 * s->frame_max * s->n_channels /
					   (double)bandwidth :
				   0;

	if (gap_s * 8 * XM_SEC <= (double)s->opts->stall_ns)
		return 0;
	return xm_fail(e, -ERANGE, XM_REASON_USAGE,
		       "at %.1f Mbit/s each of %u channels sends a frame of %u "
		       "bytes every %.1f s, too rarely for --stall %.1fs: use "
		       "fewer --queues, or more --bandwidth",
		       (double)bandwidth / 1e6, s->n_channels, s->frame_max,
		       gap_s, (double)s->opts->stall_ns / XM_SEC);
}

void side_count_pages(struct side *s)
{
	unsigned int i;

	for (i = 0; i < s->n_channels; i++)
		s->todo[i] = xm_pages_count(&s->ram.map, &s->pages, i);
}

/* A quarter of the cap is dealt out evenly, so that no channel sends too rarely
 * (side_check_bandwidth()), and the rest by what is left. */
void side_share_bandwidth(struct side *s, uint64_t bandwidth, uint32_t epoch)
{
	uint64_t left[XM_CHAN_MAX] = { 0 }, sum = 0;
	struct pump_report rep;
	unsigned int i, n = 0;
	double share;

	for (i = 0; i < s->n_channels; i++) {
		pool_report(s->pool, i, &rep);
		if (rep.epoch == epoch && !rep.is_sending)
			continue; /* done: its share is free */
		if (!s->todo[i])
			continue; /* its SYNC does not wait for the pacer */
		left[i] = s->todo[i] + 1;
		if (rep.epoch == epoch && rep.pages_done < left[i])
			left[i] -= rep.pages_done;
		sum += left[i];
		n++;
	}
	for (i = 0; i < s->n_channels; i++) {
		if (!left[i])
			continue;
		share = 0.25 / n + 0.75 * (double)left[i] / (double)sum;
		pool_set_rate(s->pool, i,
			      (uint64_t)((double)bandwidth / 8 * share));
	}
}

/* Opening channels takes seconds, too.  Sockets are on a device and ports were
 * agreed: both must still be right. */
static int side_renew_steer(struct side *s, struct xm_error *e)
{
	unsigned int first = s->steer.info.first_queue;
	int r = steer_renew(&s->steer, e);

	if (r != STEER_E_OTHER)
		return r;
	if (s->steer.ifindex == s->caps.ifindex &&
	    s->steer.info.first_queue == first)
		return 0;
	return xm_fail(e, -ESTALE, XM_REASON_STEERING,
		       "%s: was made or attached anew while channels were "
		       "opened on it: try again",
		       s->dev);
}

int side_go_live(struct side *s, struct xm_error *e)
{
	int r = side_renew_steer(s, e);
	unsigned int i;

	if (!r)
		r = steer_refresh_verdicts(&s->steer, e);
	if (r)
		return r;
	s->wrong_queue = s->steer.info.verdicts[XM_STEER_WRONG_QUEUE];
	s->is_live = s->was_live = true;
	for (i = 0; i < s->n_channels && !r; i++) {
		struct xm_steer_slot slot = {
			.cookie = htobe64(s->agreed.cookie[i]),
			.dport = htobe16((uint16_t)(s->my_base + i)),
			.channel = (uint16_t)i,
		};

		r = steer_live(&s->steer, s->first_queue + i, &slot,
			       pool_xsk_fd(s->pool, i), e);
	}
	return r;
}

uint64_t side_wrong_queue(struct side *s)
{
	struct xm_error e = { 0 }; /* a figure less is no failure */

	if (!s->was_live || steer_refresh_verdicts(&s->steer, &e))
		return 0;
	return s->steer.info.verdicts[XM_STEER_WRONG_QUEUE] - s->wrong_queue;
}

void side_collect(struct side *s)
{
	struct pump_report rep;
	unsigned int i;

	memset(&s->msg, 0, sizeof(s->msg));
	s->msg.type = XM_MSG_EPOCH_END;
	s->msg.epoch.n_channels = (uint16_t)s->n_channels;
	for (i = 0; i < s->n_channels; i++) {
		pool_report(s->pool, i, &rep);
		s->msg.epoch.totals[i] = rep.totals;
	}
}
