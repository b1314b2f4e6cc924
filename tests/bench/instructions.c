// SPDX-License-Identifier: GPL-2.0-or-later
/* instructions.c - one channel's two ends in one process, to be counted by callgrind
 *
 *   instructions none|tag|encrypt MTU PAGES
 *
 *   source_turn()                                   target_turn()
 *     pump, core, seal, chan_tx, umem                 the same, of the other end
 *          |  sendto()                                     ^  rings
 *          `------> source_kick(): the played kernel ------'
 *
 * Everything that runs for a frame is the program's own: pumps, both halves of the
 * protocol, tags by GnuTLS, rings and UMEM with the plan's sizes for a veth.  Only
 * the kernel is played: --wrap gives xsk_sock_open(), _register() and _bind() and
 * sendto() to this file, which keeps the rings in plain memory and carries frames
 * from one end's TX ring into the other's chunks.  Time is played too, so every run
 * executes the same instructions.
 *
 * instructions.sh counts what is executed inside source_turn() without source_kick(),
 * or inside target_turn() without target_kick(), for two numbers of pages; in the
 * difference setup, probing and the epoch's end cancel out.
 *
 * All pages are of one channel and none is zero.  Prints how many frames there were.
 * Fails when memory differs at the end.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/pump.h"
#include "core/crc32c.h"
#include "core/geometry.h"
#include "ctl/frame_keys.h"
#include "xsk/chan_priv.h"
#include "xsk/compat.h"
#include "xsk/plan.h"

#define HEADROOM 256 /* XDP's, in front of a received frame */
#define FIRST_FD 100 /* of no file: names the end in sendto() */
#define TURN_NS  (20 * XM_US)

/* What the kernel and the program both see of a ring. */
struct ring {
	uint32_t prod, cons, flags, mask;
	void *mem;
};

/* One end. */
struct end {
	struct ring tx, comp, rx, fill;
	struct xsk_sock *sock;
	struct xsk_extent extent;
	struct xm_map map;
	struct xsk_plan plan;
	struct frame_keys *keys;
	struct pump pump;
	uint64_t drops; /* by the kernel: no chunk, or no room */
};

static struct end source, target;
static struct xm_error err;
static struct xm_time now = { XM_SEC };

static void die(const char *what)
{
	fprintf(stderr, "instructions: %s: %s\n", what,
		err.err ? err.msg : strerror(errno));
	exit(1);
}

static void *zalloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		die("memory");
	return p;
}

/* -- the played kernel -------------------------------------------------------------- */

static void *ring_init(struct ring *r, uint32_t n, size_t size)
{
	r->mask = n - 1;
	r->flags = XDP_RING_NEED_WAKEUP;
	r->mem = zalloc(n, size);
	return r->mem;
}

static void ring_prod(struct xsk_ring_prod *p, struct ring *r, uint32_t n,
		      size_t size)
{
	*p = (struct xsk_ring_prod){
		.cached_cons = n,
		.mask = n - 1,
		.size = n,
		.producer = &r->prod,
		.consumer = &r->cons,
		.ring = ring_init(r, n, size),
		.flags = &r->flags,
	};
}

static void ring_cons(struct xsk_ring_cons *c, struct ring *r, uint32_t n,
		      size_t size)
{
	*c = (struct xsk_ring_cons){
		.mask = n - 1,
		.size = n,
		.producer = &r->prod,
		.consumer = &r->cons,
		.ring = ring_init(r, n, size),
		.flags = &r->flags,
	};
}

/* The sizes are sock.c's. */
int __wrap_xsk_sock_open(struct xsk_sock *s, const struct xsk_chan_opts *o,
			 struct xm_error *e);
int __wrap_xsk_sock_open(struct xsk_sock *s, const struct xsk_chan_opts *o,
			 struct xm_error *e)
{
	struct end *end = o->queue ? &target : &source;

	(void)e;
	end->sock = s;
	s->fd = FIRST_FD + (int)o->queue;
	ring_prod(&s->tx, &end->tx, o->tx_ring, sizeof(struct xdp_desc));
	ring_cons(&s->comp, &end->comp, o->tx_ring, sizeof(uint64_t));
	ring_cons(&s->rx, &end->rx, o->rx_ring, sizeof(struct xdp_desc));
	ring_prod(&s->fill, &end->fill, 2 * o->rx_ring, sizeof(uint64_t));
	return 0;
}

int __wrap_xsk_sock_register(struct xsk_sock *s, const struct umem *umem,
			     const struct xsk_chan_opts *o, struct xm_error *e);
int __wrap_xsk_sock_register(struct xsk_sock *s, const struct umem *umem,
			     const struct xsk_chan_opts *o, struct xm_error *e)
{
	(void)s;
	(void)umem;
	(void)o;
	(void)e;
	return 0;
}

int __wrap_xsk_sock_bind(struct xsk_sock *s, const struct xsk_chan_opts *o,
			 struct xm_error *e);
int __wrap_xsk_sock_bind(struct xsk_sock *s, const struct xsk_chan_opts *o,
			 struct xm_error *e)
{
	(void)s;
	(void)o;
	(void)e;
	return 0;
}

static uint8_t *end_base(const struct end *end)
{
	return end->pump.chan->umem.base;
}

static struct xdp_desc *ring_desc(const struct ring *r, uint32_t i)
{
	return (struct xdp_desc *)r->mem + (i & r->mask);
}

static uint64_t *ring_addr(const struct ring *r, uint32_t i)
{
	return (uint64_t *)r->mem + (i & r->mask);
}

/* Cut @len bytes into chunks of the fill ring, as a veth does. */
static void kernel_receive(struct end *to, const uint8_t *frame, uint32_t len)
{
	uint32_t n = (len - 1) / XSK_PIECE_LEN + 1, part;
	struct xdp_desc d = { 0 };

	if (to->fill.prod - to->fill.cons < n ||
	    to->rx.prod + n - to->rx.cons > to->rx.mask + 1) {
		to->drops++;
		return;
	}
	for (; len; frame += part, len -= part) {
		part = len < XSK_PIECE_LEN ? len : XSK_PIECE_LEN;
		d.addr = *ring_addr(&to->fill, to->fill.cons++) + HEADROOM;
		d.len = part;
		d.options = len > part ? XDP_PKT_CONTD : 0;
		memcpy(end_base(to) + d.addr, frame, part);
		*ring_desc(&to->rx, to->rx.prod++) = d;
	}
}

/* All frames of the TX ring to the other end, and their completions. */
static void kernel_send(struct end *from, struct end *to)
{
	static uint8_t frame[XM_FRAME_DESCS * XSK_CHUNK_LEN];
	struct ring *tx = &from->tx;
	uint32_t len = 0;

	while (tx->cons != tx->prod) {
		const struct xdp_desc *d = ring_desc(tx, tx->cons++);

		memcpy(frame + len, end_base(from) + d->addr, d->len);
		len += d->len;
		*ring_addr(&from->comp, from->comp.prod++) = d->addr;
		if (d->options & XDP_PKT_CONTD)
			continue;
		kernel_receive(to, frame, len);
		len = 0;
	}
}

static __attribute__((noinline)) void source_kick(void)
{
	kernel_send(&source, &target);
}

static __attribute__((noinline)) void target_kick(void)
{
	kernel_send(&target, &source);
}

ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags,
		      const struct sockaddr *to, socklen_t to_len);
ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags,
		      const struct sockaddr *to, socklen_t to_len)
{
	(void)buf;
	(void)len;
	(void)flags;
	(void)to;
	(void)to_len;
	if (fd == FIRST_FD)
		source_kick();
	else
		target_kick();
	return 0;
}

/* -- two ends ------------------------------------------------------------------------ */

static void end_memory(struct end *end, size_t len)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	void *hva;

	if (fd < 0 || ftruncate(fd, (off_t)len))
		die("memory");
	hva = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (hva == MAP_FAILED || xm_map_add(&end->map, "pc.ram", len, hva) ||
	    xm_map_shard(&end->map, 1))
		die("memory");
	end->map.block[0].dirtied = zalloc(len / XM_PAGE_SIZE / 64 + 1, 8);
	end->extent = (struct xsk_extent){ .fd = fd, .len = len };
}

/* Random numbers (Marsaglia's xorshift): no page is like another, or zero. */
static void fill(uint64_t *p, size_t len)
{
	uint64_t x = 88172645463325252ULL;
	size_t i;

	for (i = 0; i < len / sizeof(x); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = x;
	}
}

static void end_plan(struct end *end, unsigned int mtu, const char *why_copied)
{
	const struct xsk_caps caps = {
		.ifname = "played",
		.ifindex = 1,
		.driver = "veth",
		.xdp_features = XSK_NETDEV_ACT_BASIC | XSK_NETDEV_ACT_REDIRECT |
				XSK_NETDEV_ACT_RX_SG,
		.zc_max_segs = 1,
		.rx_queues = 1,
		.tx_queues = 1,
		.mtu = mtu,
		.is_up = true,
	};
	const struct xsk_wish wish = {
		.is_sender = end == &source,
		.n_channels = 1,
		.in_flight = XM_IN_FLIGHT,
		.slice_max = source.extent.len,
		.rx_memory = XM_RX_MEMORY,
		.ip_max = mtu,
		.is_native = true,
		.why_copied = why_copied,
	};

	if (xsk_plan_make(&end->plan, &caps, &wish, &err))
		die("plan");
}

static void end_open(struct end *end, const char *keys, unsigned int mtu,
		     uint32_t credit)
{
	static const uint8_t secret[FRAME_SECRET_LEN] = "no secret";
	static atomic_bool stop;
	bool is_source = end == &source, encrypts = !strcmp(keys, "encrypt");
	struct pump_opts o = {
		.chan = end->plan.opts,
		.path = { .src = { 198, 18, 0, 1 }, .dst = { 198, 18, 0, 2 } },
		.my_base = XM_PORT_DATA,
		.peer_base = XM_PORT_DATA,
		.cookie = 0x0123456789abcdefULL,
		.encrypts = encrypts,
		.ip_max = (uint16_t)mtu,
		.waits_for_peer = !is_source,
		.is_sender = is_source,
		.stop = &stop,
		.rx = { .map = &end->map, .cookie = 0x0123456789abcdefULL },
		.tx = {
			.map = &end->map,
			.cookie = 0x0123456789abcdefULL,
			.n_channels = 1,
			.n_slots = end->plan.opts.n_slots,
			.credit = credit,
			.stall_ns = XM_STALL_MS * XM_MS,
			.cc = { .mss = mtu + 18, .n_channels = 1,
				.cwnd_max = XM_IN_FLIGHT },
		},
	};

	o.chan.ifname = "played";
	o.chan.ifindex = 1;
	o.chan.queue = !is_source;
	if (end->plan.maps_guest) {
		o.chan.extents = &end->extent;
		o.chan.n_extents = 1;
	}
	if (strcmp(keys, "none") != 0) {
		o.cipher = &frame_keys_cipher;
		o.keys = frame_keys_new(secret, 0, is_source);
	}
	if (xm_geometry_fit(&o.tx.geo, mtu, 20, end->plan.opts.max_descs - 1) ||
	    pump_make(&end->pump, &o, &err) || pump_pin(&end->pump, &err) ||
	    pump_open(&end->pump, &o, &err))
		die("pump");
}

/* -- turns ---------------------------------------------------------------------------- */

static __attribute__((noinline)) int source_turn(void)
{
	return pump_turn(&source.pump, now, &err);
}

static __attribute__((noinline)) int target_turn(void)
{
	return pump_turn(&target.pump, now, &err);
}

/* Both turn until @done of the source. */
static void turn_until(bool (*done)(const struct pump *p))
{
	unsigned int idle = 0;
	int s, t;

	while (!done(&source.pump) && idle < 1000 * 1000) {
		s = source_turn();
		t = target_turn();
		if (s < 0 || t < 0)
			die("turn");
		idle = s || t ? 0 : idle + 1;
		now = xm_time_add(now, TURN_NS);
	}
	if (idle)
		die("nothing goes on");
}

static void migrate(size_t len)
{
	struct xm_page_set set = { 0 };
	struct xm_error *e = &err;

	pump_begin_probe(&source.pump);
	pump_begin_probe(&target.pump);
	turn_until(pump_is_proven);
	if (pump_begin_epoch(&target.pump, 1, &set, now, e) ||
	    pump_begin_epoch(&source.pump, 1, &set, now, e))
		die("epoch");
	turn_until(pump_is_installed);
	if (memcmp(source.map.block[0].hva, target.map.block[0].hva, len) != 0)
		die("memory differs");
}

int main(int argc, char **argv)
{
	unsigned long mtu = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned long pages = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	const char *keys = argc == 4 ? argv[1] : "";
	const struct xm_tx_stats *st;

	if ((strcmp(keys, "none") != 0 && strcmp(keys, "tag") != 0 &&
	     strcmp(keys, "encrypt") != 0) ||
	    mtu < XM_MTU_MIN || mtu > XM_MTU_MAX || !pages) {
		fprintf(stderr, "usage: instructions none|tag|encrypt MTU "
				"PAGES\n");
		return 2;
	}
	(void)xm_crc32c_init();
	end_memory(&source, pages * XM_PAGE_SIZE);
	end_memory(&target, pages * XM_PAGE_SIZE);
	fill((uint64_t *)source.map.block[0].hva, pages * XM_PAGE_SIZE);
	end_plan(&target, (unsigned int)mtu, NULL);
	end_plan(&source, target.plan.ip_max,
		 strcmp(keys, "encrypt") != 0 ? NULL : "it is encrypted");
	end_open(&target, keys, source.plan.ip_max, 0);
	end_open(&source, keys, source.plan.ip_max, target.pump.opts.rx.credit);
	migrate(pages * XM_PAGE_SIZE);
	st = xm_tx_stats(source.pump.tx);
	printf("{\"data\":%" PRIu64 ",\"frames\":%" PRIu64
	       ",\"resent\":%" PRIu64 ",\"acks\":%" PRIu64 ",\"kicks\":%" PRIu64
	       ",\"drops\":%" PRIu64 ",\"data_bytes\":%u}\n",
	       st->frames_sent - st->packets, st->frames_sent,
	       st->frames_resent, st->acks, source.pump.chan->stats.kicks,
	       source.drops + target.drops,
	       xm_geometry_payload(&source.pump.opts.tx.geo));
	return 0;
}
