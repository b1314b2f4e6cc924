// SPDX-License-Identifier: GPL-2.0-or-later
/* probe.c - proving one channel's path at setup (protocol.md 5.1)
 *
 * Before a channel is used, both directions must be shown to carry frames of
 * the agreed size to the very queue its socket is bound to.  A frame can only
 * be read from that socket if it came by that queue, so arrival is proof.
 *
 * Both sides run this same machine, independent of each other:
 *
 *   search  small PROBEs leave with one candidate source port after another,
 *           a burst at a time.  On a NIC without steering rules the port
 *           decides, through the RSS hash, which queue they come to.  The
 *           first candidate is the port that channel would have by steering.
 *   size    the peer said which port it saw (seen_port): from then on PROBEs
 *           leave with that one and with the full size.  Small ones go with
 *           them until the peer's full size comes: where it cannot, the peer
 *           must still hear which of its ports we saw, or it would blame the
 *           ports.
 *   done    the peer saw the full size, and we saw the peer's.
 *
 * Who is done goes on answering, once per half a burst interval: the peer may
 * not know yet.  That both are
 * done is said over the control connection (PROVEN), which cannot be lost.
 *
 * PROBEs have epoch 0 and numbers of their own; they touch neither guest
 * memory nor the channel's windows.
 */
#include "probe.h"

#include <string.h>

#include "crc32c.h"

#define PROBE_UDP   8 /* bytes of the UDP header */
#define PROBE_SMALL 8 /* payload of a PROBE that only searches */
#define PROBE_BOTH  2 /* a burst of one that is small and one that is not */

void xm_probe_init(struct xm_probe *p, const struct xm_probe_opts *opts)
{
	memset(p, 0, sizeof(*p));
	p->opts = *opts;
}

static uint16_t probe_candidate(const struct xm_probe *p)
{
	if (!p->n_tried)
		return p->opts.port_base;
	return (uint16_t)(p->opts.port_first +
			  (p->n_tried - 1) % p->opts.n_ports);
}

static uint16_t be16(uint16_t v)
{
	return __builtin_bswap16(v);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "be16 above");

static size_t probe_write(struct xm_probe *p, struct xm_time now, void *dst,
			  uint16_t port, uint16_t size)
{
	struct xm_wire_probe w = {
		.size = be16(size),
		.my_port = be16(port),
		.seen_port = be16(p->seen_port),
		.seen_size = be16(p->seen_size),
	};
	struct xm_frame f = {
		.type = XM_WIRE_PROBE,
		.channel = p->opts.channel,
		.cookie = p->opts.cookie,
		.seq = p->n_sent++,
		.tx_us = xm_time_wire_us(now),
		.len = (uint16_t)(size - p->opts.ip_len - PROBE_UDP -
				  XM_WIRE_HEADER_MIN),
	};
	size_t hdr_len = xm_frame_put(dst, &f);
	uint8_t *payload = (uint8_t *)dst + hdr_len;
	uint32_t crc = 0;

	memset(payload, 0, f.len);
	memcpy(payload, &w, sizeof(w));
	if (!xm_seal_covers(p->opts.seal, f.type))
		crc = xm_crc32c(0, payload, f.len);
	if (xm_seal_frame(p->opts.seal, dst, hdr_len, crc, payload, f.len))
		return 0;
	return hdr_len + f.len;
}

size_t xm_probe_fill(struct xm_probe *p, struct xm_time now, void *dst,
		     uint16_t *ret_port)
{
	uint16_t size = (uint16_t)(p->opts.ip_len + PROBE_UDP +
				   XM_WIRE_HEADER_MIN + PROBE_SMALL);

	if (!p->has_begun) {
		p->has_begun = true;
		p->at = now;
		p->deadline =
			p->opts.waits_for_peer ?
				XM_TIME_NEVER :
				xm_time_add(now, XM_PROBE_STALL_MS * XM_MS);
	}
	if (!p->burst && !xm_time_before(now, p->at)) {
		p->at = xm_time_add(now, XM_PROBE_EVERY_US * XM_US);
		if (!xm_probe_is_done(p))
			p->burst = !p->my_port ? XM_PROBE_BURST :
				   p->seen_size < p->opts.size ? PROBE_BOTH :
								 1;
	}
	if (!p->burst && !p->is_owed)
		return 0;
	p->is_owed = false;
	if (p->my_port) {
		*ret_port = p->my_port;
		if (p->burst != PROBE_BOTH)
			size = p->opts.size;
	} else {
		*ret_port = probe_candidate(p);
		p->n_tried++;
	}
	if (p->burst)
		p->burst--;
	p->sent = now;
	return probe_write(p, now, dst, *ret_port, size);
}

/* Take in what a PROBE shows and says.  True: the peer should hear of it. */
static bool probe_learn(struct xm_probe *p, const struct xm_wire_probe *w,
			size_t ip_len)
{
	uint16_t port = be16(w->my_port);
	bool is_news = false;

	if (!p->seen_port)
		p->seen_port = port;
	if (p->seen_port == port && ip_len > p->seen_size) {
		p->seen_size = (uint16_t)ip_len;
		is_news = true;
	}
	if (!p->my_port && w->seen_port) {
		p->my_port = be16(w->seen_port);
		p->burst = 0;
		is_news = true;
	}
	if (p->my_port && p->my_port == be16(w->seen_port) &&
	    be16(w->seen_size) >= p->opts.size && !p->is_sent_proven) {
		p->is_sent_proven = true;
		is_news = true;
	}
	return is_news;
}

enum xm_drop xm_probe_packet(struct xm_probe *p, struct xm_time now,
			     const struct xm_frame *f, const void *payload,
			     size_t ip_len)
{
	struct xm_wire_probe w;

	if (f->type != XM_WIRE_PROBE)
		return XM_DROP_BAD_TYPE;
	if (f->cookie != p->opts.cookie || f->channel != p->opts.channel)
		return XM_DROP_BAD_COOKIE;
	if (f->len < sizeof(w))
		return XM_DROP_BAD_LENGTH;
	if (!f->is_payload_proven &&
	    xm_crc32c(0, payload, f->len) != f->payload_crc)
		return XM_DROP_BAD_PAYLOAD_CRC;
	memcpy(&w, payload, sizeof(w));
	if (be16(w.size) != ip_len)
		return XM_DROP_BAD_LENGTH;
	p->n_seen++;
	if (probe_learn(p, &w, ip_len) ||
	    (xm_probe_is_done(p) &&
	     xm_time_sub(now, p->sent) >= XM_PROBE_EVERY_US * XM_US / 2))
		p->is_owed = true;
	return XM_DROP_NONE;
}

bool xm_probe_is_done(const struct xm_probe *p)
{
	return p->is_sent_proven && p->seen_size >= p->opts.size;
}

bool xm_probe_has_failed(const struct xm_probe *p, struct xm_time now)
{
	return p->has_begun && !xm_probe_is_done(p) &&
	       !xm_time_before(now, p->deadline);
}

struct xm_time xm_probe_expiry(const struct xm_probe *p)
{
	if (!p->has_begun || p->burst || p->is_owed)
		return (struct xm_time){ 0 };
	if (xm_probe_is_done(p))
		return XM_TIME_NEVER;
	return xm_time_min(p->at, p->deadline);
}
