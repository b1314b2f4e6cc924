// SPDX-License-Identifier: GPL-2.0-or-later
/* test_pump.c - two pumps, and between them what can happen to frames
 *
 * Everything of both ends is the program's own, from the walk over pages to the copy
 * into the other's memory.  Kernel and network are played (t_wire.h).  Some of the
 * guest's memory is in the UMEM, in pieces, some is not, and some is not there.  The
 * guest writes and frees pages while they are sent; what it frees stays pinned.  What
 * is at the target after the last epoch is what the guest has.
 */
#include "t_wire.h"

#include <fcntl.h>
#include <stdio.h>

#include "cli/clock.h"

#define TURN_NS (20 * XM_US)
#define EPOCHS  4

static const uint64_t block_len[N_BLOCKS] = { 5 << 20, (3 << 20) / 2 };

/* -- time -------------------------------------------------------------------------- */

static int64_t now_ns;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	ts->tv_sec = now_ns / XM_SEC;
	ts->tv_nsec = now_ns % XM_SEC;
	return 0;
}

/* -- both ends ----------------------------------------------------------------------- */

struct t_pump {
	struct t_end src, dst;
	int fd[N_BLOCKS];
	struct xsk_extent extent[2048];
	size_t n_extents;
	struct xm_page_set set;
	uint64_t *dirty[N_BLOCKS]; /* for the next epoch */
	bool is_live;
	struct xm_error e;
};

/* How a run goes. */
struct t_how {
	unsigned int seed, ip_max;
	bool has_keys, is_lossy, is_live;
};

static uint64_t t_words(unsigned int block)
{
	return (block_len[block] / PAGE + 63) / 64;
}

static bool t_bit(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

static void t_set(uint64_t *bits, uint64_t i)
{
	bits[i / 64] |= 1ull << i % 64;
}

/* -- the guest ------------------------------------------------------------------------ */

static void t_write(struct t_pump *t, unsigned int block, uint64_t page)
{
	uint8_t *p = t->src.map.block[block].hva + page * PAGE;

	memset(p + t_dice(PAGE), t_dice(4) ? (int)t_dice(256) : 0, 1);
	if (!t_dice(3))
		memset(p, (int)t_dice(3), PAGE);
	t_set(t->dirty[block], page);
	t_set(t->set.populated[block], page);
}

static void t_free(struct t_pump *t, unsigned int block, uint64_t page)
{
	uint8_t **orphan = &t->src.orphan[block][page];

	if (!*orphan)
		*orphan = memcpy(malloc(PAGE),
				 t->src.map.block[block].hva + page * PAGE,
				 PAGE);
	assert_int_equal(fallocate(t->fd[block],
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   (off_t)(page * PAGE), PAGE),
			 0);
	t_set(t->dirty[block], page);
}

/* It writes where frames are just being made as well. */
static void t_live(struct t_pump *t)
{
	unsigned int block, i;
	uint64_t page;

	for (i = t_dice(8); i; i--) {
		block = t_dice(N_BLOCKS);
		page = t_dice((unsigned int)(block_len[block] / PAGE));
		if (t_dice(2))
			page = t->src.p.pages.block == block &&
					       t->src.p.pages.page > 64 ?
				       t->src.p.pages.page - t_dice(64) - 1 :
				       page;
		if (t_dice(8))
			t_write(t, block, page);
		else
			t_free(t, block, page);
	}
}

/* Rows of pages with memory; most of them can be pinned, in pieces. */
static void t_populate(struct t_pump *t, unsigned int block)
{
	uint8_t *hva = t->src.map.block[block].hva;
	uint64_t page = 0, end, n = block_len[block] / PAGE;

	for (; page < n; page = end) {
		end = page + 1 + t_dice(t_dice(4) ? 200 : 3);
		end = end < n ? end : n;
		if (!t_dice(5))
			continue;
		if (t_dice(8))
			t->extent[t->n_extents++] = (struct xsk_extent){
				.fd = t->fd[block],
				.block = (uint8_t)block,
				.offset = page * PAGE,
				.file_off = page * PAGE,
				.len = (end - page) * PAGE,
			};
		for (; page < end; page++) {
			t_set(t->set.populated[block], page);
			memset(hva + page * PAGE, 0, PAGE);
			if (!t_dice(9)) /* a page of zeros */
				continue;
			memset(hva + page * PAGE, (int)t_dice(5), PAGE);
			*(uint64_t *)(void *)(hva + page * PAGE) = page + 1;
		}
	}
}

static void t_make_guest(struct t_pump *t)
{
	static const char name[] = "a";
	unsigned int i;

	for (i = 0; i < N_BLOCKS; i++) {
		char n[2] = { (char)(name[0] + i), 0 };
		uint8_t *hva;

		t->fd[i] = memfd_create("guest", MFD_CLOEXEC);
		assert_int_equal(ftruncate(t->fd[i], (off_t)block_len[i]), 0);
		hva = mmap(NULL, block_len[i], PROT_READ | PROT_WRITE,
			   MAP_SHARED, t->fd[i], 0);
		assert_int_equal(xm_map_add(&t->src.map, n, block_len[i], hva),
				 0);
		hva = mmap(NULL, block_len[i], PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_int_equal(xm_map_add(&t->dst.map, n, block_len[i], hva),
				 0);
		t->dst.map.block[i].dirtied = calloc(t_words(i), 8);
		t->set.populated[i] = calloc(t_words(i) + 1, 8);
		t->dirty[i] = calloc(t_words(i) + 1, 8);
		t_populate(t, i);
	}
	assert_int_equal(xm_map_shard(&t->src.map, 1), 0);
	assert_int_equal(xm_map_shard(&t->dst.map, 1), 0);
}

/* -- making the ends ------------------------------------------------------------------- */

static void t_make_chan(struct t_pump *t, struct t_end *e, unsigned int ip_max)
{
	struct xsk_chan *c = &e->chan;
	uint32_t chunks = (ip_max + 18 + XSK_CHUNK_LEN - 1) / XSK_CHUNK_LEN;
	uint32_t descs = 1 + ip_max / PAGE;

	c->opts = (struct xsk_chan_opts){
		.ifname = "fake",
		.engine = XSK_COPY_SG,
		.max_descs = descs > chunks ? descs : chunks,
		.tx_ring = RING,
		.rx_ring = RING,
		.rx_chunks = 32,
		.n_slots = e->is_src ? 3 : 0,
		.n_bufs = 12,
		.n_stages = 2,
		.stage_len = chunks * XSK_CHUNK_LEN,
		.extents = t->extent,
		.n_extents = e->is_src ? t->n_extents : 0,
		.max_maps = 12, /* some are left out */
	};
	if (c->opts.max_descs < 2)
		c->opts.max_descs = 2;
	memcpy(c->ifname, "fake", 5);
	c->sock.fd = -1;
	t_bind_prod(&c->sock.tx, &e->tx);
	t_bind_prod(&c->sock.fill, &e->fill);
	t_bind_cons(&c->sock.rx, &e->rx);
	t_bind_cons(&c->sock.comp, &e->comp);
	assert_int_equal(umem_open(&c->umem, &c->opts, &t->e), 0);
	assert_int_equal(chan_tx_init(c), 0);
	chan_rx_init(c);
}

static void t_make_src(struct pump *p, uint32_t credit)
{
	struct xm_tx_opts *o = &p->opts.tx;

	o->cookie = p->opts.cookie;
	o->n_channels = 1;
	o->n_slots = p->chan->opts.n_slots;
	o->hdr_ring = xsk_chan_slot(p->chan, 0);
	o->hdr_stride = XSK_SLOT_LEN;
	o->drain = (enum xm_drain)t_dice(XM_DRAIN__COUNT);
	o->credit = credit;
	o->stall_ns = 10 * XM_SEC;
	o->cc.mss = xm_geometry_ip_len(&o->geo, 20) + 18;
	o->cc.cwnd_max = 4 << 20;
	p->turn_max = 16;
	p->mem = aligned_alloc(64, (xm_tx_footprint(o) + 63) & ~63ul);
	p->tx = xm_tx_init(p->mem, o);
	assert_non_null(p->tx);
}

static void t_make_dst(struct pump *p, uint32_t credit)
{
	struct xm_rx_opts *o = &p->opts.rx;

	o->cookie = p->opts.cookie;
	o->credit = credit;
	o->seal = &p->seal;
	p->mem = aligned_alloc(64, (xm_rx_footprint(o) + 63) & ~63ul);
	p->rx = xm_rx_init(p->mem, o);
	assert_non_null(p->rx);
}

static uint32_t t_credit(const struct t_end *dst, unsigned int ip_max)
{
	uint32_t credit = xsk_rx_credit(&dst->chan, ip_max + 18);

	return credit - credit / 8;
}

static void t_make_pump(struct t_pump *t, struct t_end *e,
			const struct t_how *how)
{
	static const uint8_t secret[FRAME_SECRET_LEN] = { 7 };
	struct pump *p = &e->p;

	p->chan = &e->chan;
	p->opts.chan = e->chan.opts;
	p->opts.is_sender = e->is_src;
	p->opts.cookie = 0x1234567890;
	p->opts.ip_max = (uint16_t)how->ip_max;
	p->path = (struct xm_path){ .dport = 4, .src = { 1 }, .dst = { 2 } };
	p->probe.my_port = 3;
	p->linear = malloc(XM_MTU_MAX);
	p->state = PUMP_IDLE;
	if (how->has_keys)
		e->keys = frame_keys_new(secret, 0, e->is_src);
	assert_int_equal(xm_seal_init(&p->seal,
				      e->keys ? &frame_keys_cipher : NULL,
				      e->keys, false),
			 0);
	if (e->is_src) {
		p->opts.tx.map = &e->map;
		assert_int_equal(xm_geometry_fit(&p->opts.tx.geo, how->ip_max,
						 20,
						 e->chan.opts.max_descs - 1),
				 0);
		t_make_src(p, t_credit(&t->dst, how->ip_max));
	} else {
		p->opts.rx.map = &e->map;
		t_make_dst(p, t_credit(e, how->ip_max));
	}
}

static void t_end_pump(struct t_end *e)
{
	free(e->p.mem);
	free(e->p.linear);
	frame_keys_free(e->keys);
	chan_tx_fini(&e->chan);
	umem_close(&e->chan.umem);
}

static struct t_pump *t_begin(const struct t_how *how)
{
	struct t_pump *t = calloc(1, sizeof(*t));

	srandom(how->seed);
	now_ns = XM_SEC;
	t->src.is_lossy = t->dst.is_lossy = how->is_lossy;
	t->is_live = how->is_live;
	t->src.is_src = true;
	t_make_guest(t);
	t_make_chan(t, &t->src, how->ip_max);
	t_make_chan(t, &t->dst, how->ip_max);
	t_make_pump(t, &t->src, how);
	t_make_pump(t, &t->dst, how);
	return t;
}

static void t_finish(struct t_pump *t)
{
	unsigned int i, page;

	t_end_pump(&t->src);
	t_end_pump(&t->dst);
	for (i = 0; i < N_BLOCKS; i++) {
		munmap(t->src.map.block[i].hva, block_len[i]);
		munmap(t->dst.map.block[i].hva, block_len[i]);
		free(t->dst.map.block[i].dirtied);
		free(t->set.populated[i]);
		free(t->dirty[i]);
		for (page = 0; page < N_PAGES; page++)
			free(t->src.orphan[i][page]);
		close(t->fd[i]);
	}
	free(t);
}

/* -- a migration ------------------------------------------------------------------------ */

static void k_turn(struct t_pump *t)
{
	k_send(&t->src);
	k_send(&t->dst);
	k_complete(&t->src);
	k_complete(&t->dst);
	k_deliver(&t->src, &t->dst);
	k_deliver(&t->dst, &t->src);
	now_ns += t_dice(TURN_NS);
}

static void t_turn(struct t_pump *t, struct t_end *e)
{
	int r = pump_turn(&e->p, xm_clock(), &t->e);

	if (r < 0)
		fail_msg("%s", t->e.msg);
}

/* What the next epoch sends. */
static void t_harvest(struct t_pump *t, uint32_t epoch)
{
	unsigned int i;

	for (i = 0; i < N_BLOCKS; i++) {
		if (epoch == 1)
			continue;
		free(t->set.todo[i]);
		t->set.todo[i] = t->dirty[i];
		t->dirty[i] = calloc(t_words(i) + 1, 8);
	}
}

static void t_epoch(struct t_pump *t, uint32_t epoch)
{
	struct xm_rx_totals got;
	unsigned int i;

	t_harvest(t, epoch);
	assert_int_equal(
		pump_begin_epoch(&t->dst.p, epoch, NULL, xm_clock(), &t->e), 0);
	assert_int_equal(pump_begin_epoch(&t->src.p, epoch, &t->set, xm_clock(),
					  &t->e),
			 0);
	for (i = 0; !pump_is_installed(&t->src.p); i++) {
		assert_true(i < 1000000);
		t_turn(t, &t->src);
		if (t->is_live && epoch < EPOCHS)
			t_live(t);
		k_turn(t);
		t_turn(t, &t->dst);
		assert_true(i % 16 || xm_tx_check(t->src.p.tx));
		assert_true(i % 16 || xm_rx_check(t->dst.p.rx));
	}
	pump_end_epoch(&t->dst.p);
	assert_true(xm_rx_is_installed(t->dst.p.rx));
	got = xm_rx_totals(t->dst.p.rx);
	assert_true(xm_rx_totals_agree(&got));
	assert_false(xm_tx_has_posted(t->src.p.tx));
}

static void t_compare(const struct t_pump *t, const struct t_how *how)
{
	unsigned int i;
	uint64_t page;

	for (i = 0; i < N_BLOCKS; i++)
		for (page = 0; page < block_len[i] / PAGE; page++)
			if (memcmp(t->src.map.block[i].hva + page * PAGE,
				   t->dst.map.block[i].hva + page * PAGE, PAGE))
				fail_msg("seed %u, MTU %u: block %u, page %u "
					 "of %s memory",
					 how->seed, how->ip_max, i,
					 (unsigned int)page,
					 t_bit(t->set.populated[i], page) ?
						 "populated" :
						 "no");
}

/* Every buffer is back, and nothing was damaged on the way. */
static void t_check_end(const struct t_end *e, bool is_live)
{
	const struct xsk_chan *c = &e->chan;

	assert_int_equal(c->tx.n_free_bufs + c->tx.n_free_stages +
				 xsk_tx_posted(c),
			 c->opts.n_bufs + c->opts.n_stages);
	assert_int_equal(c->tx.lent, 0);
	assert_int_equal(e->p.drops.n[XM_DROP_BAD_TAG], 0);
	assert_int_equal(e->p.drops.n[XM_DROP_BAD_IP], 0);
	if (e->p.rx && !is_live)
		assert_int_equal(
			xm_rx_stats(e->p.rx)->drops.n[XM_DROP_BAD_PAYLOAD_CRC],
			0);
}

static void t_migrate(const struct t_how *how)
{
	struct t_pump *t = t_begin(how);
	uint32_t epoch;
	unsigned int i;

	for (epoch = 1; epoch <= EPOCHS; epoch++)
		t_epoch(t, epoch);
	t_compare(t, how);
	t_check_end(&t->src, how->is_live);
	t_check_end(&t->dst, how->is_live);
	for (i = 0; i < N_BLOCKS; i++)
		free(t->set.todo[i]);
	t_finish(t);
}

static void t_migrate_all(bool is_lossy, bool is_live)
{
	static const unsigned int mtu[] = { 1500, 5000, 9000, 20000 };
	struct t_how how = { .is_lossy = is_lossy, .is_live = is_live };
	unsigned int i;

	for (how.seed = 1; how.seed <= 4; how.seed++)
		for (i = 0; i < 4; i++) {
			how.ip_max = mtu[i];
			how.has_keys = how.seed % 2;
			t_migrate(&how);
		}
}

static void pump_turn__memory_is_the_same(void **state)
{
	(void)state;
	t_migrate_all(false, false);
}

static void pump_turn__when_frames_are_lost(void **state)
{
	(void)state;
	t_migrate_all(true, false);
}

static void pump_turn__when_the_guest_writes(void **state)
{
	(void)state;
	t_migrate_all(false, true);
}

static void pump_turn__when_frames_are_lost_and_the_guest_writes(void **state)
{
	(void)state;
	t_migrate_all(true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pump_turn__memory_is_the_same),
		cmocka_unit_test(pump_turn__when_frames_are_lost),
		cmocka_unit_test(pump_turn__when_the_guest_writes),
		cmocka_unit_test(
			pump_turn__when_frames_are_lost_and_the_guest_writes),
	};

	return cmocka_run_group_tests_name("pump", tests, NULL, NULL);
}
