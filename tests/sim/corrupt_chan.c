// SPDX-License-Identifier: GPL-2.0-or-later
/* corrupt_chan.c - a channel in the middle of an epoch
 *
 * Both ends are the real ones: sender, receiver, path probes, seals with the
 * cipher that the program uses.  The sender's frames are laid out as on the wire,
 * Ethernet and all, and kept; those of epoch 1 and the first half of epoch 2 are
 * given to the receiver, so its windows, bitmaps and totals are those of a session
 * under way.  A frame is taken as cli/pump.c takes it: encap, header, seal, and
 * then whoever it is for.
 *
 *   ram   4 MiB: the pages of the epochs, and around them pages that nobody sends
 *   vga   1 MiB: none of it is sent
 *
 * The target's memory begins with a pattern of its own, so a page that nobody
 * should have written and somebody did is seen.  One page in eight is zero at the
 * source.
 *
 * A payload is placed while it is summed (rx.c), so one that is damaged does reach
 * memory: the page of a frame whose header is right and that has not come yet.
 * That is no installation: the number stays open, and the good frame overwrites
 * it.  What must not change is everything else, and that is compared.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/multifd.h"

#include "corrupt.h"

#define RAM_LEN    (4u << 20)
#define VGA_LEN    (1u << 20)
#define N_SLOTS    8
#define HDR_STRIDE 1536
#define PATTERN    0xa5
#define CHANNEL    1  /* of 2; pages of the other one's are not sent */
#define PAGES      48 /* in an epoch, every second one of our stripe */
#define CHUNK      4096
#define HEADROOM   256

#define MUST(x)                                                            \
	do {                                                               \
		if (!(x)) {                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, \
				#x);                                       \
			abort();                                           \
		}                                                          \
	} while (0)

static void *alloc(size_t len)
{
	void *p = aligned_alloc(4096, (len + 4095) & ~(size_t)4095);

	MUST(p);
	memset(p, 0, len);
	return p;
}

/* -- memory and both ends ---------------------------------------------------------- */

static void map_make(struct xm_map *map)
{
	MUST(!xm_map_add(map, "ram", RAM_LEN, alloc(RAM_LEN)));
	MUST(!xm_map_add(map, "vga", VGA_LEN, alloc(VGA_LEN)));
	MUST(!xm_map_shard(map, 2));
}

/* Page @i of an epoch: from our first stripe, every second one. */
static uint64_t page_at(const struct corrupt_chan *c, unsigned int i)
{
	uint64_t stripe = 1ull << c->src_map.stripe_shift;

	MUST(xm_map_channel(&c->src_map, 0, stripe) == CHANNEL);
	return stripe + 2ull * i * XM_PAGE_SIZE;
}

static bool page_is_zero(unsigned int i)
{
	return i % 8 == 7;
}

/* What the guest wrote for an epoch. */
static void guest_write(struct corrupt_chan *c, struct sim_rng *rng)
{
	unsigned int i, k;

	for (i = 0; i < PAGES; i++) {
		uint64_t *p =
			(uint64_t *)(c->src_map.block[0].hva + page_at(c, i));

		for (k = 0; k < XM_PAGE_SIZE / 8; k++)
			p[k] = page_is_zero(i) ? 0 : sim_rng_next(rng);
	}
}

static void ends_make(struct corrupt_chan *c, enum corrupt_keys keys,
		      uint64_t seed)
{
	uint8_t secret[FRAME_SECRET_LEN] = { 0 };
	unsigned int i;

	memcpy(secret, &seed, sizeof(seed));
	for (i = 0; i < 2; i++) {
		if (keys != KEYS_NONE) {
			c->keys[i] = frame_keys_new(secret, CHANNEL, !i);
			MUST(c->keys[i]);
		}
		MUST(!xm_seal_init(&c->seal[i],
				   c->keys[i] ? &frame_keys_cipher : NULL,
				   c->keys[i], keys == KEYS_ENCRYPT));
	}
}

static void tx_make(struct corrupt_chan *c, uint64_t cookie)
{
	struct xm_tx_opts o = {
		.map = &c->src_map,
		.cookie = cookie,
		.channel = CHANNEL,
		.n_channels = 2,
		.n_slots = N_SLOTS,
		.hdr_ring = alloc(N_SLOTS * HDR_STRIDE),
		.hdr_stride = HDR_STRIDE,
		.credit = 100000,
		.stall_ns = 1000 * XM_SEC,
		.cc = { .mss = 1 << 20, .cwnd_max = 1 << 30, .n_channels = 2 },
	};

	c->hdr_ring = o.hdr_ring;
	MUST(!xm_geometry_fit(&o.geo, c->mtu, xm_path_ip_len(&c->path[0]),
			      XM_FRAME_SEGS));
	c->tx_len = xm_tx_footprint(&o);
	c->tx_mem = alloc(c->tx_len);
	c->saved.tx = alloc(c->tx_len);
	c->tx = xm_tx_init(c->tx_mem, &o);
	MUST(c->tx);
}

static void rx_make(struct corrupt_chan *c, uint64_t cookie)
{
	struct xm_rx_opts o = { .map = &c->dst_map,
				.cookie = cookie,
				.channel = CHANNEL,
				.seal = &c->seal[1],
				.credit = 100000 };
	unsigned int i;

	for (i = 0; i < CHAN_BLOCKS; i++) {
		c->dirtied[i] =
			alloc(c->dst_map.block[i].len / XM_PAGE_SIZE / 8);
		c->dst_map.block[i].dirtied = c->dirtied[i];
		memset(c->dst_map.block[i].hva, PATTERN,
		       c->dst_map.block[i].len);
		memset(c->dirtied[i], 0xff,
		       c->dst_map.block[i].len / XM_PAGE_SIZE / 8);
	}
	c->rx_len = xm_rx_footprint(&o);
	c->rx_mem = alloc(c->rx_len);
	c->saved.rx = alloc(c->rx_len);
	c->rx = xm_rx_init(c->rx_mem, &o);
	MUST(c->rx);
}

/* -- frames ------------------------------------------------------------------------- */

/* A frame of @len bytes behind UDP, its first @hdr_len the header. */
static struct corrupt_frame *frame_new(struct corrupt_chan *c,
				       struct corrupt_frames *to,
				       bool to_source, size_t len)
{
	const struct xm_path *path = &c->path[to_source];
	struct corrupt_frame *f = &to->f[to->n++];

	MUST(to->n <= CHAN_FRAMES_MAX);
	f->data = alloc(XM_ENCAP_MAX + len + CHAN_ROOM);
	f->at = (uint32_t)xm_encap_put(f->data, path, len);
	f->ip = f->at - 8 - xm_path_ip_len(path);
	f->len = f->at + (uint32_t)len;
	f->to_source = to_source;
	return f;
}

static void frame_done(struct corrupt_frame *f, uint8_t type, size_t hdr_len)
{
	f->type = type;
	f->payload = f->at + (uint32_t)hdr_len;
	f->work = alloc(f->len + CHAN_ROOM);
	memcpy(f->work, f->data, f->len);
}

/* What the sender hands out, as the driver writes it. */
static void frame_of_tx(struct corrupt_chan *c, struct corrupt_frames *to,
			const struct xm_tx_frame *t)
{
	uint8_t hdr[XM_WIRE_HEADER_MAX], *p;
	size_t hdr_len = xm_frame_put(hdr, &t->f);
	struct corrupt_frame *f = frame_new(c, to, false, hdr_len + t->f.len);
	unsigned int i;

	memcpy(f->data + f->at, hdr, hdr_len);
	p = f->data + f->at + hdr_len;
	if (t->f.type == XM_WIRE_HEADER)
		memcpy(p, c->hdr_ring + t->slot * HDR_STRIDE, t->f.len);
	for (i = 0; i < t->f.n_segs; i++)
		memcpy(p + i * t->f.seg_len,
		       c->src_map.block[t->f.block].hva + t->f.seg[i],
		       t->f.seg_len);
	MUST(!xm_seal_frame(&c->seal[0], f->data + f->at, hdr_len,
			    xm_crc32c(0, p, t->f.len), p, t->f.len));
	frame_done(f, t->f.type, hdr_len);
	MUST(!xm_tx_on_complete(c->tx, c->now, t->f.epoch, t->f.seq, 1, 0));
}

static void send_all(struct corrupt_chan *c, struct corrupt_frames *to)
{
	struct xm_tx_frame t;
	int r;

	while (!(r = xm_tx_next(c->tx, c->now, &t)))
		frame_of_tx(c, to, &t);
	MUST(r == XM_TX_E_IDLE);
}

/* All pages of an epoch, as packets of a dozen. */
static void send_pages(struct corrupt_chan *c, struct corrupt_frames *to)
{
	uint64_t offset[PAGES];
	unsigned int i, n, n_zero, first;

	for (first = 0; first < PAGES; first += 12) {
		for (n = 0, i = first; i < first + 12; i++)
			if (!page_is_zero(i))
				offset[n++] = page_at(c, i);
		for (n_zero = 0, i = first; i < first + 12; i++)
			if (page_is_zero(i))
				offset[n + n_zero++] = page_at(c, i);
		MUST(!xm_tx_push(c->tx, 0, offset, n, n_zero));
		send_all(c, to);
	}
}

static void probe_make(struct corrupt_chan *c, unsigned int from,
		       uint64_t cookie)
{
	struct xm_probe_opts o = {
		.cookie = cookie,
		.channel = CHANNEL,
		.port_base = XM_PORT_DATA + CHANNEL,
		.port_first = 20000,
		.n_ports = XM_PROBE_PORTS,
		.size = (uint16_t)c->mtu,
		.ip_len = (uint16_t)xm_path_ip_len(&c->path[0]),
		.seal = &c->seal[from],
	};

	xm_probe_init(&c->probe[from], &o);
}

static void frame_of_probe(struct corrupt_chan *c, unsigned int from,
			   struct corrupt_frames *to)
{
	static uint8_t b[65536 + 64];
	struct corrupt_frame *f;
	uint16_t port;
	size_t len = xm_probe_fill(&c->probe[from], c->now, b, &port);

	MUST(len);
	f = frame_new(c, to, from == 1, len);
	memcpy(f->data + f->at, b, len);
	frame_done(f, XM_WIRE_PROBE, XM_WIRE_HEADER_MIN);
}

static void frame_of_ack(struct corrupt_chan *c, struct corrupt_frames *to)
{
	uint8_t b[XM_WIRE_HEADER_MAX + XM_ACK_LEN_MAX];
	struct corrupt_frame *f;
	size_t len = xm_rx_fill(c->rx, c->now, b);

	MUST(len);
	f = frame_new(c, to, true, len);
	memcpy(f->data + f->at, b, len);
	frame_done(f, XM_WIRE_ACK, XM_WIRE_HEADER_MIN);
}

/* -- arrival ----------------------------------------------------------------------- */

/* As multi-buffer devices hand them out. */
static unsigned int pieces(struct xm_vec *vec, uint8_t *p, size_t from,
			   size_t len)
{
	unsigned int n = 0;

	while (len) {
		size_t room = CHUNK - (from + HEADROOM) % CHUNK;
		size_t part = len < room ? len : room;

		vec[n++] = (struct xm_vec){ p, part };
		p += part;
		from += part;
		len -= part;
	}
	return n;
}

static enum xm_drop take_at_source(struct corrupt_chan *c,
				   const struct xm_frame *f, const uint8_t *p)
{
	const struct xm_tx_stats *s = xm_tx_stats(c->tx);
	uint64_t acks = s->acks;
	struct xm_drops drops = s->drops;
	unsigned int i;

	xm_tx_packet(c->tx, c->now, f, p);
	s = xm_tx_stats(c->tx);
	if (s->acks != acks)
		return XM_DROP_NONE;
	for (i = 1; i < XM_DROP__COUNT; i++)
		if (s->drops.n[i] != drops.n[i])
			return (enum xm_drop)i;
	MUST(!"neither taken nor dropped");
	return XM_DROP_NONE;
}

struct corrupt_taken chan_take(struct corrupt_chan *c, uint8_t *data,
			       uint32_t len, bool to_source)
{
	size_t first = len < CHUNK - HEADROOM ? len : CHUNK - HEADROOM, hdr_len;
	struct corrupt_taken t = { .frame = data };
	struct xm_vec vec[65536 / CHUNK + 2];
	struct xm_encap e;
	struct xm_frame f;
	unsigned int n;
	uint8_t *p;

	t.drop = xm_encap_get(&e, data, first, len);
	if (t.drop)
		return t;
	t.frame = data + e.payload;
	t.len = e.len;
	t.drop = xm_frame_begin(&hdr_len, data + e.payload, first - e.payload,
				e.len);
	if (t.drop)
		return t;
	p = data + e.payload + hdr_len;
	n = pieces(vec, p, e.payload + hdr_len, e.len - hdr_len);
	t.drop = xm_seal_open(&c->seal[!to_source], &f, data + e.payload,
			      hdr_len, vec, n, e.len);
	if (t.drop)
		return t;
	t.is_opened = true;
	if (f.type == XM_WIRE_PROBE)
		t.drop = xm_probe_packet(&c->probe[!to_source], c->now, &f, p,
					 e.ip_len);
	else if (to_source)
		t.drop = take_at_source(c, &f, p);
	else
		t.drop = xm_rx_packet(c->rx, c->now, &f, vec, n, e.ce);
	return t;
}

/* A genuine frame arrives: it must be taken. */
static void arrive(struct corrupt_chan *c, const struct corrupt_frame *f)
{
	memcpy(f->work, f->data, f->len);
	MUST(!chan_take(c, f->work, f->len, f->to_source).drop);
	memcpy(f->work, f->data, f->len);
}

/* -- a session ------------------------------------------------------------------------ */

static void save(struct corrupt_chan *c)
{
	memcpy(c->saved.rx, c->rx_mem, c->rx_len);
	memcpy(c->saved.tx, c->tx_mem, c->tx_len);
	memcpy(c->saved.probe, c->probe, sizeof(c->probe));
	memcpy(c->saved.seal, c->seal, sizeof(c->seal));
}

void chan_restore(struct corrupt_chan *c)
{
	memcpy(c->rx_mem, c->saved.rx, c->rx_len);
	memcpy(c->tx_mem, c->saved.tx, c->tx_len);
	memcpy(c->probe, c->saved.probe, sizeof(c->probe));
	memcpy(c->seal, c->saved.seal, sizeof(c->seal));
}

static void later(struct corrupt_chan *c)
{
	c->now = xm_time_add(c->now, XM_MS);
}

/* Frames [@from, @to) of @all arrive, and what the receiver says goes to @acks. */
static void arrive_all(struct corrupt_chan *c, const struct corrupt_frames *all,
		       unsigned int from, unsigned int to,
		       struct corrupt_frames *acks)
{
	for (; from < to; from++)
		arrive(c, &all->f[from]);
	later(c);
	frame_of_ack(c, acks);
}

static void barrier(struct corrupt_chan *c, struct corrupt_frames *frames)
{
	unsigned int from = frames->n;

	MUST(!xm_tx_sync(c->tx));
	send_all(c, frames);
	arrive_all(c, frames, from, frames->n, frames);
	arrive(c, &frames->f[frames->n - 1]);
	MUST(xm_rx_is_installed(c->rx));
	MUST(xm_tx_flush(c->tx, 0) == 0);
}

static void epoch_begin(struct corrupt_chan *c, uint32_t epoch,
			struct sim_rng *rng)
{
	guest_write(c, rng);
	MUST(!xm_tx_epoch(c->tx, epoch, c->now));
	xm_rx_epoch(c->rx, epoch);
	later(c);
}

/* The first half of what is fresh is stale from now on. */
static void half_arrives(struct corrupt_chan *c)
{
	struct corrupt_frames *fresh = &c->fresh, *stale = &c->stale;
	unsigned int half = fresh->n / 2;

	arrive_all(c, fresh, 0, half, stale);
	arrive(c, &stale->f[stale->n - 1]);
	MUST(stale->n + half <= CHAN_FRAMES_MAX);
	memcpy(stale->f + stale->n, fresh->f, half * sizeof(fresh->f[0]));
	stale->n += half;
	fresh->n -= half;
	memmove(fresh->f, fresh->f + half, fresh->n * sizeof(fresh->f[0]));
}

struct corrupt_chan *chan_new(unsigned int mtu, const struct xm_path *path,
			      enum corrupt_keys keys, uint64_t seed)
{
	struct corrupt_chan *c = calloc(1, sizeof(*c));
	struct sim_rng rng = { seed };
	uint64_t cookie = sim_rng_next(&rng);

	MUST(c);
	c->mtu = mtu;
	c->now = (struct xm_time){ 5 * XM_SEC };
	c->path[0] = c->path[1] = *path;
	memcpy(c->path[1].src, path->dst, sizeof(path->dst));
	memcpy(c->path[1].dst, path->src, sizeof(path->src));
	map_make(&c->src_map);
	map_make(&c->dst_map);
	ends_make(c, keys, seed);
	tx_make(c, cookie);
	rx_make(c, cookie);
	probe_make(c, 0, cookie);
	probe_make(c, 1, cookie);
	frame_of_probe(c, 0, &c->stale);
	frame_of_probe(c, 1, &c->stale);
	arrive(c, &c->stale.f[0]);
	arrive(c, &c->stale.f[1]);
	epoch_begin(c, 1, &rng);
	send_pages(c, &c->stale);
	arrive_all(c, &c->stale, 2, c->stale.n, &c->stale);
	arrive(c, &c->stale.f[c->stale.n - 1]);
	barrier(c, &c->stale);
	epoch_begin(c, 2, &rng);
	send_pages(c, &c->fresh);
	half_arrives(c);
	arrive(c, &c->fresh.f[0]);
	later(c);
	frame_of_ack(c, &c->fresh);
	c->stale.f[c->stale.n++] = c->fresh.f[0];
	memmove(c->fresh.f, c->fresh.f + 1,
		--c->fresh.n * sizeof(c->fresh.f[0]));
	frame_of_probe(c, 0, &c->fresh);
	frame_of_probe(c, 1, &c->fresh);
	save(c);
	return c;
}

static void frames_free(struct corrupt_frames *frames)
{
	while (frames->n--) {
		free(frames->f[frames->n].data);
		free(frames->f[frames->n].work);
	}
}

void chan_free(struct corrupt_chan *c)
{
	unsigned int i;

	frames_free(&c->fresh);
	frames_free(&c->stale);
	for (i = 0; i < CHAN_BLOCKS; i++) {
		free(c->src_map.block[i].hva);
		free(c->dst_map.block[i].hva);
		free(c->dirtied[i]);
		c->keys[i] = frame_keys_free(c->keys[i]);
	}
	free(c->hdr_ring);
	free(c->tx_mem);
	free(c->rx_mem);
	free(c->saved.tx);
	free(c->saved.rx);
	free(c);
}

/* -- judgement ------------------------------------------------------------------------ */

/* Page @page of block @block: what should the target have?  NULL: nobody knows,
 * its frame has not come. */
static bool page_is_right(const struct corrupt_chan *c, unsigned int block,
			  uint64_t offset, bool is_over)
{
	const uint8_t *dst = c->dst_map.block[block].hva + offset;
	const uint8_t *src = c->src_map.block[block].hva + offset;
	uint64_t first = page_at(c, 0), end = page_at(c, PAGES);
	bool is_sent = !block && offset >= first && offset < end &&
		       (offset - first) / XM_PAGE_SIZE % 2 == 0;
	unsigned int i;

	if (!is_sent) {
		for (i = 0; i < XM_PAGE_SIZE; i++)
			if (dst[i] != PATTERN)
				return false;
		return true;
	}
	/* page by page and packet by packet, the first half has come */
	if (!is_over && offset >= page_at(c, 12))
		return true;
	return !memcmp(dst, src, XM_PAGE_SIZE);
}

static bool memory_is_right(const struct corrupt_chan *c, bool is_over)
{
	unsigned int b;
	uint64_t at;

	for (b = 0; b < CHAN_BLOCKS; b++)
		for (at = 0; at < c->dst_map.block[b].len; at += XM_PAGE_SIZE)
			if (!page_is_right(c, b, at, is_over))
				return false;
	return true;
}

bool chan_check(struct corrupt_chan *c)
{
	return xm_rx_check(c->rx) && xm_tx_check(c->tx) && !c->seal[0].err &&
	       !c->seal[1].err && memory_is_right(c, false);
}

bool chan_finish(struct corrupt_chan *c)
{
	struct xm_rx_totals t;
	unsigned int i;

	for (i = 0; i < c->fresh.n; i++)
		arrive(c, &c->fresh.f[i]);
	later(c);
	frame_of_ack(c, &c->fresh);
	arrive(c, &c->fresh.f[c->fresh.n - 1]);
	barrier(c, &c->fresh);
	t = xm_rx_totals(c->rx);
	return chan_check(c) && xm_rx_totals_agree(&t) &&
	       memory_is_right(c, true);
}
