// SPDX-License-Identifier: GPL-2.0-or-later
/* side.c - building up and taking down what one end of a migration needs
 *
 *   source        device, memory, queues claimed, control connection, holes, plan
 *   destination   device, control connection, HELLO, queues claimed, plan, memory
 *
 * Then what both agree on, and channels (side_chan.c).  Everything that can be
 * refused is refused before a queue is taken, and nothing of the device's is
 * changed before the slots go live.
 */
#include "side.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/crc32c.h"
#include "ctl/secret.h"

/* What fits one receive buffer of every driver: 4096 less headroom, tailroom and
 * Ethernet header. */
#define SIDE_PAGE_MTU 3400

struct xm_trace *side_trace(struct side *s)
{
	return s->trace.file ? &s->trace.trace : NULL;
}

/* -- device ---------------------------------------------------------------------- */

int side_find_device(struct side *s, struct xm_error *e)
{
	char names[8][16];
	int n;

	if (s->opts->dev) {
		strncpy(s->dev, s->opts->dev, sizeof(s->dev) - 1);
		return 0;
	}
	n = steer_list(names, 8, e);
	if (n < 0)
		return n;
	if (!n)
		return xm_fail(e, -ENODEV, XM_REASON_STEERING,
			       "no device is attached here: run 'xdpmig attach "
			       "DEV' first");
	if (n > 1)
		return xm_fail(e, -ENODEV, XM_REASON_USAGE,
			       "%d devices are attached (%s, %s%s): say which "
			       "with --dev",
			       n, names[0], names[1], n > 2 ? ", ..." : "");
	memcpy(s->dev, names[0], sizeof(s->dev));
	return 0;
}

static int side_pick_queues(struct side *s, struct xm_error *e)
{
	const struct cli_queues *queues = &s->queues;
	const struct steer_info *info = &s->steer.info;
	unsigned int end = info->first_queue + info->n_queues;

	s->first_queue = info->first_queue;
	s->n_channels = info->n_queues;
	if (queues->n)
		s->n_channels = queues->n;
	else if (s->n_channels > XM_CHAN_MAX)
		s->n_channels = XM_CHAN_MAX;
	if (queues->is_range)
		s->first_queue = queues->first;
	if (s->n_channels > XM_CHAN_MAX)
		return xm_fail(e, -ERANGE, XM_REASON_USAGE,
			       "%u channels: a migration has at most %u",
			       s->n_channels, XM_CHAN_MAX);
	if (s->first_queue < info->first_queue ||
	    s->first_queue + s->n_channels > end)
		return xm_fail(e, -ERANGE, XM_REASON_USAGE,
			       "%s: queues %u-%u asked for, but 'xdpmig "
			       "attach' serves %u-%u: take up to %u of these, "
			       "or detach and attach with more",
			       s->dev, s->first_queue,
			       s->first_queue + s->n_channels - 1,
			       info->first_queue, end - 1, info->n_queues);
	/* A device's flow rules bring port base + i to attach's queue i. */
	s->my_base =
		(uint16_t)(s->opts->port + s->first_queue - info->first_queue);
	return 0;
}

static int side_check_device(struct side *s, struct xm_error *e)
{
	if (!s->caps.is_up)
		return xm_fail(e, -ENETDOWN, XM_REASON_DEVICE,
			       "%s is down or has no carrier: 'ip link set %s "
			       "up'",
			       s->dev, s->dev);
	if (!s->steer.info.has_frags && s->caps.mtu > SIDE_PAGE_MTU)
		return xm_fail(e, -EOPNOTSUPP, XM_REASON_STEERING,
			       "%s: frames larger than a page do not get "
			       "through, since another XDP program beside ours "
			       "cannot take them: detach it, or 'ip link set "
			       "%s mtu %u'",
			       s->dev, s->dev, SIDE_PAGE_MTU);
	return side_pick_queues(s, e);
}

/* While we may: see sandbox.c. */
static int side_fill_stock(struct side *s, struct xm_error *e)
{
	const struct xsk_stock_opts want = {
		.ifname = s->dev,
		.ifindex = s->caps.ifindex,
		.n = s->n_channels,
		.busy_poll_us = (unsigned int)(s->opts->busy_poll_ns / XM_US),
	};

	return xsk_stock_fill(&s->stock, &want, e);
}

int side_open_device(struct side *s, const struct cli_queues *queues,
		     struct xm_error *e)
{
	int r = side_find_device(s, e);

	s->queues = *queues;
	cli_debug(s->cli, "CRC32C by %s", xm_crc32c_init());
	if (!r && s->opts->trace && !s->opts->dry_run)
		r = tracefile_open(&s->trace, s->opts->trace, e);
	if (!r)
		r = xsk_caps_get(&s->caps, s->dev, e);
	if (!r)
		r = steer_open(&s->steer, s->dev, e);
	if (r)
		return r;
	s->has_steer = true;
	r = side_check_device(s, e);
	return r || s->opts->dry_run ? r : side_fill_stock(s, e);
}

int side_renew_device(struct side *s, struct xm_error *e)
{
	int r = xsk_caps_get(&s->caps, s->dev, e);

	if (!r)
		r = steer_renew(&s->steer, e);
	if (r == STEER_E_OTHER)
		cli_info(s->cli, "%s: was attached anew meanwhile", s->dev);
	if (r >= 0)
		r = side_check_device(s, e);
	/* There are sockets for so many, whatever it has now. */
	if (!r && s->n_channels > s->stock.n)
		s->n_channels = s->stock.n;
	return r;
}

/* -- memory ------------------------------------------------------------------------- */

struct scan {
	struct side *s;
	unsigned int block;
	struct xm_error *e;
};

/* Append a range that lies in one stripe, merging it with the one before. */
static int scan_add(struct scan *sc, uint64_t offset, uint64_t len)
{
	struct side *s = sc->s;
	const struct guest_block *b = &s->ram.block[sc->block];
	unsigned int c = xm_map_channel(&s->ram.map, sc->block, offset);
	struct xsk_extent *last, *grown;
	size_t n = s->n_extents[c];

	last = n ? &s->extents[c][n - 1] : NULL;
	if (last && last->block == sc->block &&
	    last->offset + last->len == offset) {
		last->len += len;
		return 0;
	}
	if (!(n & (n - 1))) { /* grow at powers of two */
		grown = reallocarray(s->extents[c], n ? 2 * n : 1,
				     sizeof(*grown));
		if (!grown)
			return xm_fail(sc->e, -ENOMEM, XM_REASON_MEMORY,
				       "no memory for %zu extents", 2 * n);
		s->extents[c] = grown;
	}
	s->extents[c][s->n_extents[c]++] = (struct xsk_extent){
		.fd = b->fd,
		.block = (uint8_t)sc->block,
		.offset = offset,
		.file_off = b->file_off + offset,
		.len = len,
	};
	return 0;
}

static int scan_extent(void *arg, uint64_t offset, uint64_t len)
{
	struct scan *sc = arg;
	struct side *s = sc->s;
	uint64_t stripe = 1ULL << s->ram.map.stripe_shift, part, page;
	uint64_t *bits = s->pages.populated[sc->block];
	int r;

	s->populated += len;
	for (page = offset >> XM_PAGE_SHIFT;
	     page < (offset + len) >> XM_PAGE_SHIFT; page++)
		bits[page / 64] |= 1ULL << (page % 64);
	while (len) {
		part = stripe - (offset & (stripe - 1));
		if (part > len)
			part = len;
		r = scan_add(sc, offset, part);
		if (r)
			return r;
		offset += part;
		len -= part;
	}
	return 0;
}

int side_scan_memory(struct side *s, struct xm_error *e)
{
	struct xm_map *map = &s->ram.map;
	unsigned int i;
	uint64_t sum;
	size_t k;
	int r;

	r = xm_map_shard(map, s->n_channels);
	if (r)
		return xm_fail(e, r, XM_REASON_MEMORY, "no guest memory");
	for (i = 0; i < map->n_blocks; i++) {
		struct scan sc = { s, i, e };
		uint64_t words = (map->block[i].len >> XM_PAGE_SHIFT) / 64 + 1;

		s->pages.populated[i] = calloc(words, sizeof(uint64_t));
		if (!s->pages.populated[i])
			return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
				       "no memory for a bitmap of %" PRIu64
				       " bytes",
				       words * 8);
		r = guest_ram_extents(&s->ram, i, scan_extent, &sc, e);
		if (r)
			return r;
	}
	for (i = 0; i < s->n_channels; i++) {
		for (sum = 0, k = 0; k < s->n_extents[i]; k++)
			sum += s->extents[i][k].len;
		if (sum > s->slice_max)
			s->slice_max = sum;
	}
	return 0;
}

int side_claim(struct side *s, struct xm_error *e)
{
	return claim_queues(&s->claim, s->dev, s->first_queue, s->n_channels,
			    e);
}

/* -- plan ------------------------------------------------------------------------------ */

static int side_find_route(struct side *s, const struct ctl_addr *peer,
			   const struct ctl_addr *src, struct xm_error *e)
{
	const struct sockaddr *to = (const struct sockaddr *)&peer->ss;
	const struct sockaddr *from = src ? (const struct sockaddr *)&src->ss :
					    NULL;

	return s->opts->dry_run ?
		       route_peek(&s->route, s->dev, to, from, e) :
		       route_get(&s->route, s->dev, to, from, 2000, e);
}

int side_plan(struct side *s, const struct ctl_addr *peer,
	      const struct ctl_addr *src, uint64_t in_flight,
	      struct xm_error *e)
{
	struct xsk_wish wish = {
		.zero_copy = (enum xsk_zero_copy)s->opts->zero_copy,
		.is_sender = s->is_sender,
		.n_channels = s->n_channels,
		.in_flight = in_flight,
		.lock_budget = s->opts->lock_budget,
		.slice_max = s->slice_max,
		.rx_memory = s->opts->rx_memory,
		.is_native = s->steer.info.mode == STEER_NATIVE,
	};
	unsigned int i;
	int r = peer ? side_find_route(s, peer, src, e) : 0;

	if (r)
		return r;
	wish.ip_max = peer ? s->route.ip_max : s->caps.mtu;
	if (wish.ip_max < XM_MTU_MIN)
		return xm_fail(e, -EMSGSIZE, XM_REASON_DEVICE,
			       "%s: MTU %u is below the %u that a frame needs: "
			       "'ip link set %s mtu %u'",
			       s->dev, wish.ip_max, XM_MTU_MIN, s->dev,
			       XM_MTU_MIN);
	if (wish.ip_max > XM_MTU_MAX)
		wish.ip_max = XM_MTU_MAX;
	for (i = 0; i < s->ram.map.n_blocks; i++)
		if (!s->ram.block[i].can_pin)
			wish.why_copied = "the guest's memory is in a file of "
					  "a disk, which cannot be pinned";
	if (s->opts->trust.encrypt)
		wish.why_copied = "a page is copied to be encrypted";
	r = xsk_plan_make(&s->plan, &s->caps, &wish, e);
	if (r)
		return r;
	s->plan.opts.ifname = s->dev;
	s->plan.opts.ifindex = s->caps.ifindex;
	s->plan.opts.busy_poll_us =
		(unsigned int)(s->opts->busy_poll_ns / XM_US);
	s->plan.opts.stock = s->stock.n ? &s->stock : NULL;
	return 0;
}

unsigned int side_max_pages(const struct side *s)
{
	unsigned int pages = s->plan.opts.max_descs - 1;
	bool has_sg = s->plan.opts.engine == XSK_COPY_SG ||
		      s->plan.opts.engine == XSK_ZC_SG;

	return s->is_sender && has_sg && pages < XM_FRAME_SEGS ? pages :
								 XM_FRAME_SEGS;
}

int side_hello(const struct side *s, const struct guest_identity *id,
	       struct xm_msg_hello *h, struct xm_error *e)
{
	const struct xm_map *map = &s->ram.map;
	unsigned int i;

	memset(h, 0, sizeof(*h));
	h->version_min = h->version_max = XM_MSG_VERSION;
	if (getrandom(h->session, sizeof(h->session), 0) != sizeof(h->session))
		return xm_fail(e, -EIO, XM_REASON_INTERNAL,
			       "no random numbers");
	if (id->has_device)
		h->features |= XM_FEATURE_DEVICE;
	if (s->opts->trust.encrypt)
		h->features |= XM_FEATURE_ENCRYPT;
	memcpy(h->uuid, id->uuid, sizeof(h->uuid));
	memcpy(h->machine, id->machine, sizeof(h->machine));
	memcpy(h->name, id->name, sizeof(h->name));
	h->n_channels = (uint16_t)s->n_channels;
	h->port_base = s->my_base;
	h->ip_max = s->plan.ip_max;
	h->max_pages = (uint16_t)side_max_pages(s);
	h->n_blocks = (uint16_t)map->n_blocks;
	for (i = 0; i < map->n_blocks; i++) {
		memcpy(h->block[i].name, map->block[i].name, XM_BLOCK_NAME);
		h->block[i].len = map->block[i].len;
		h->block[i].page_size = id->block[i].page_size;
	}
	return 0;
}

/* -- the end ----------------------------------------------------------------------------- */

/* For who looks for memory that nobody points to: a thread does. */
static struct side *side_left;

void side_stop(struct side *s)
{
	unsigned int i;

	if (s->is_left)
		return;
	for (i = 0; s->is_live && i < s->n_channels; i++)
		steer_unlive(&s->steer, s->first_queue + i);
	s->is_live = false;
	s->pool = pool_free(s->pool);
	s->is_left = s->pool != NULL;
	if (s->is_left)
		side_left = s;
}

void side_discard_memory(struct side *s)
{
	if (s->is_left)
		guest_ram_unlink(&s->ram);
	else
		guest_ram_discard(&s->ram);
}

static void side_free_keys(struct side *s)
{
	unsigned int i;

	for (i = 0; i < XM_CHAN_MAX; i++)
		s->keys[i] = frame_keys_free(s->keys[i]);
	s->frame_secret = secret_free(s->frame_secret, FRAME_SECRET_LEN);
}

static void side_free_memory(struct side *s)
{
	unsigned int i;

	for (i = 0; i < XM_BLOCK_MAX; i++) {
		free(s->pages.populated[i]);
		s->pages.populated[i] = NULL;
	}
	for (i = 0; i < XM_CHAN_MAX; i++) {
		free(s->extents[i]);
		s->extents[i] = NULL;
	}
	guest_ram_close(&s->ram);
}

void side_close(struct side *s)
{
	side_stop(s);
	s->watch = route_watch_close(s->watch);
	s->ctl = ctl_close(s->ctl);
	trust_close(&s->trust);
	if (s->has_steer)
		steer_close(&s->steer);
	s->has_steer = false;
	if (!s->is_left)
		xsk_stock_drop(&s->stock);
	if (s->is_left) {
		cli_debug(s->cli,
			  "%s: memory is still being pinned; the "
			  "process's end stops that",
			  s->dev);
		return;
	}
	claim_drop(&s->claim);
	side_free_keys(s);
	side_free_memory(s);
	if (!tracefile_close(&s->trace))
		cli_warn(s->cli, "%s: the trace could not be written whole",
			 s->opts->trace);
}
