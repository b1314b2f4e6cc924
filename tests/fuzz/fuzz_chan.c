// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_chan.c - a channel: sender, receiver, and a network that an input plays
 *
 * parses: userspace/core/tx.c userspace/core/loss.c userspace/core/rx.c userspace/core/cc.c userspace/core/seal.c
 *
 * Byte 0 of an input is how frames are cut (bits 0-1) and whether there are keys,
 * and encryption (bits 2-3).  Then each byte is a step: bits 0-3 say what
 * happens, bits 4-7 how.  Frames are sealed, so what stands in them is right but
 * for what an input forges: a fuzzer does not guess a CRC or a key.
 *
 * What must hold:
 *
 *   block 1      is another channel's: it is never written, whatever comes
 *   integrity    when both ends say that an epoch is there, it is, byte for
 *                byte, and the totals agree; until somebody forges a frame of
 *                this session
 *   no harm      from a frame of another session, or one that is damaged; with
 *                keys, from one that came before
 *   invariants   of both ends, after each step
 *   time         a timer that was served does not ask again at once
 */
#include <errno.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/rx.h"
#include "core/tx.h"
#include "core/zero.h"

#include "../sim/cipher.h"
#include "forge.h"
#include "fuzz.h"
#include "wire.h"

#define PAGES  32 /* of each block */
#define SLOTS  4  /* of the header ring */
#define STRIDE 1408
#define COOKIE 0x1122334455667788ULL

enum {
	PUSH,
	SEND,
	COMPLETE,
	DELIVER,
	REPEAT,
	DROP,
	DAMAGE,
	TIME,
	ACK,
	SYNC,
	EPOCH,
	FORGE_ACK,
	FORGE_DATA,
	FORGE_HEADER,
	RATE,
	ALL, /* or those that are sent back */
};

static struct world {
	struct xm_map tx_map, rx_map;
	struct xm_geometry geo;
	struct xm_time now;
	uint64_t dirtied[2]; /* a bit per page of each block */
	uint32_t posted[64]; /* numbers of frames that the device has */
	unsigned int n_posted;
	uint32_t epoch;
	uint64_t next_page;
	bool is_forged, has_sync, has_failed;
} w;

static struct wire to_rx, to_tx;
static struct xm_seal tx_seal, rx_seal;
static struct sim_cipher tx_cipher, rx_cipher;
static struct xm_tx *tx;
static struct xm_rx *rx;
static void *tx_mem, *rx_mem;
static size_t tx_size;
static uint8_t ring[SLOTS * STRIDE];
static uint8_t src[2][PAGES * XM_PAGE_SIZE] __attribute__((aligned(4096)));
static uint8_t dst[2][PAGES * XM_PAGE_SIZE] __attribute__((aligned(4096)));

static void check(void)
{
	FUZZ_CHECK(xm_tx_check(tx));
	FUZZ_CHECK(xm_rx_check(rx));
	FUZZ_CHECK(!w.dirtied[1]);
}

/* -- the network -------------------------------------------------------------------- */

/* Put @f and its payload on the wire, as the source seals it. */
static void wire_put(struct wire *to, const struct xm_frame *f,
		     const uint8_t *payload)
{
	struct piece *p = wire_add(to);
	size_t len = xm_frame_put(p->raw, f);

	FUZZ_CHECK(len + f->len <= sizeof(p->raw));
	memcpy(p->raw + len, payload, f->len);
	FUZZ_CHECK(!xm_seal_frame(&tx_seal, p->raw, len,
				  xm_crc32c(0, payload, f->len), p->raw + len,
				  f->len));
	p->len = (uint32_t)(len + f->len);
}

/* The payload of @p, at @raw, cut in two.  The header's length, or 0. */
static size_t cut_frame(const struct piece *p, uint8_t *raw, unsigned int how,
			struct xm_vec *vec)
{
	size_t len, cut;

	if (xm_frame_begin(&len, raw, p->len, p->len) != XM_DROP_NONE)
		return 0;
	cut = (p->len - len) * (how & 3u) / 4;
	vec[0] = (struct xm_vec){ raw + len, cut };
	vec[1] = (struct xm_vec){ raw + len + cut, p->len - len - cut };
	return len;
}

/* @p comes to the receiver, by the short way or by the long one.  False: it is none
 * of the source's. */
static bool arrive_rx(const struct piece *p, uint8_t *raw, unsigned int how)
{
	struct xm_vec vec[2] = { 0 };
	struct xm_frame f;
	size_t len = cut_frame(p, raw, how, vec);
	struct xm_vec whole[2] = { { raw, len + vec[0].len }, vec[1] };
	int r = -EAGAIN;

	if (!len)
		return false;
	if (!(how & 8))
		r = xm_rx_next(rx, w.now, whole, 2, 0, p->len, how & 4);
	if (r < 0 && xm_seal_open(&rx_seal, &f, raw, len, vec, 2, p->len))
		return false;
	if (r < 0)
		r = xm_rx_packet(rx, w.now, &f, vec, 2, how & 4);
	FUZZ_CHECK(r != XM_DROP_NONE || !p->is_damaged);
	return true;
}

/* The same of the sender. */
static bool arrive_tx(const struct piece *p, uint8_t *raw, unsigned int how)
{
	struct xm_vec vec[2];
	struct xm_frame f;
	size_t len = cut_frame(p, raw, how, vec);

	if (!len || xm_seal_open(&tx_seal, &f, raw, len, vec, 2, p->len))
		return false;
	FUZZ_CHECK(!tx_seal.cipher || !p->is_damaged);
	xm_tx_packet(tx, w.now, &f, vec[0].base);
	return true;
}

/* A frame arrives, in a heap block of its size. */
static void arrive(struct piece *p, bool at_rx, unsigned int how)
{
	uint8_t *raw = malloc(p->len);

	FUZZ_CHECK(raw);
	memcpy(raw, p->raw, p->len);
	if (at_rx ? arrive_rx(p, raw, how) : arrive_tx(p, raw, how)) {
		FUZZ_CHECK(!tx_seal.cipher || !p->is_used);
		p->is_used = true;
	}
	free(raw);
}

static void deliver(unsigned int how, bool keep)
{
	struct wire *to = how & 8 ? &to_tx : &to_rx;
	unsigned int i;

	if (!to->n)
		return;
	i = how & 4 ? to->n - 1 : 0;
	arrive(wire_piece(to, i), to == &to_rx, how);
	if (!keep)
		wire_remove(to, i);
}

/* The newest frame of each way comes to the side that it is not for. */
static void reflect(void)
{
	if (to_rx.n)
		arrive(wire_piece(&to_rx, to_rx.n - 1), false, 0);
	if (to_tx.n)
		arrive(wire_piece(&to_tx, to_tx.n - 1), true, 0);
}

static void damage(unsigned int how, uint8_t where, uint8_t what)
{
	struct wire *to = how & 8 ? &to_tx : &to_rx;
	struct piece *p;

	if (!to->n || !what)
		return;
	p = wire_piece(to, to->n - 1);
	if (p->is_damaged)
		return; /* twice could be none */
	p->raw[p->len * where / 256u] ^= what;
	p->is_damaged = true;
}

/* -- the sender ------------------------------------------------------------------------ */

/* The payload of @f, put together. */
static void gather(const struct xm_tx_frame *tf, uint8_t *payload)
{
	const struct xm_frame *f = &tf->f;
	unsigned int i;

	if (f->type == XM_WIRE_HEADER)
		memcpy(payload, ring + (size_t)tf->slot * STRIDE, f->len);
	for (i = 0; i < f->n_segs; i++)
		memcpy(payload + (size_t)i * f->seg_len,
		       src[f->block] + f->seg[i], f->seg_len);
}

static void push(unsigned int how)
{
	uint64_t offset[8];
	unsigned int i, n = (how & 7) + 1, n_zero = how & 8 ? n / 2 : 0;

	if (w.has_sync || w.next_page + n > PAGES)
		return;
	for (i = 0; i < n; i++)
		offset[i] = (w.next_page + i) * XM_PAGE_SIZE;
	if (xm_tx_push(tx, 0, offset, n - n_zero, n_zero))
		return;
	for (i = n - n_zero; i < n; i++)
		memset(src[0] + offset[i], 0, XM_PAGE_SIZE);
	w.next_page += n;
}

static void post_frame(const struct xm_tx_frame *tf)
{
	uint8_t payload[3 * XM_PAGE_SIZE];

	gather(tf, payload);
	wire_put(&to_rx, &tf->f, payload);
	w.posted[w.n_posted++] = tf->f.seq;
}

/* As many as may leave together, but at most @max. */
static int post_run(uint32_t max)
{
	struct xm_tx_frame tf = { 0 };
	struct xm_tx_run run;
	uint32_t i, k;
	int r;

	r = xm_tx_next_run(tx, w.now, max, &run);
	if (r)
		return r;
	FUZZ_CHECK(run.n && run.n <= max);
	xm_tx_take_run(tx, w.now, &run, run.n);
	tf.f = run.f;
	for (i = 0; i < run.n; i++, tf.f.seq++) {
		for (k = 0; k < tf.f.n_segs; k++, run.segs += 8)
			tf.f.seg[k] = xm_be64_get(run.segs);
		post_frame(&tf);
		tf.f.page = (uint16_t)(tf.f.page + tf.f.n_segs);
	}
	return 0;
}

static void post(unsigned int how)
{
	uint32_t room = sizeof(w.posted) / sizeof(*w.posted) - w.n_posted;
	struct xm_tx_frame tf;

	if (!room)
		return;
	if (how & 1 && post_run(room < how ? room : how) != XM_TX_E_SINGLE)
		return;
	if (!xm_tx_next(tx, w.now, &tf))
		post_frame(&tf);
}

static void complete(unsigned int how)
{
	uint32_t seq;

	if (!w.n_posted)
		return;
	how %= w.n_posted;
	seq = w.posted[how];
	w.posted[how] = w.posted[--w.n_posted];
	FUZZ_CHECK(!xm_tx_on_complete(tx, w.now, w.epoch, seq, 1, how & 1));
}

static void complete_all(void)
{
	while (w.n_posted)
		complete(0);
}

/* Both ends say that the epoch is over: then it is. */
static void check_epoch(void)
{
	struct xm_rx_totals t = xm_rx_totals(rx);
	uint64_t page;

	if (!w.has_sync || w.is_forged || xm_tx_flush(tx, 0) < 0 ||
	    xm_tx_flush(tx, 0) == XM_TX_E_PENDING)
		return;
	FUZZ_CHECK(xm_rx_is_installed(rx) && xm_rx_totals_agree(&t));
	FUZZ_CHECK(t.frames == xm_tx_frames(tx));
	for (page = 0; page < w.next_page; page++)
		FUZZ_CHECK(!memcmp(dst[0] + page * XM_PAGE_SIZE,
				   src[0] + page * XM_PAGE_SIZE, XM_PAGE_SIZE));
}

static void fill_source(void)
{
	uint64_t i, word;

	for (i = 0; i < sizeof(src[0]); i += sizeof(word)) {
		word = xm_page_hash(w.epoch, i << XM_PAGE_SHIFT);
		memcpy(src[0] + i, &word, sizeof(word));
	}
}

static void next_epoch(void)
{
	check_epoch();
	if (w.n_posted || xm_tx_epoch(tx, w.epoch + 1, w.now))
		return;
	xm_rx_epoch(rx, ++w.epoch);
	w.next_page = 0;
	w.has_sync = false;
	w.is_forged = false;
	fill_source();
}

/* -- time ------------------------------------------------------------------------------- */

static void acknowledge(void)
{
	uint8_t raw[XM_WIRE_HEADER_MAX + XM_ACK_LEN_MAX];
	size_t len = xm_rx_fill(rx, w.now, raw);
	struct piece *p;

	FUZZ_CHECK(len <= sizeof(raw));
	if (!len)
		return;
	p = wire_add(&to_tx);
	memcpy(p->raw, raw, len);
	p->len = (uint32_t)len;
	FUZZ_CHECK(xm_time_is_never(xm_rx_expiry(rx)));
}

static void wait(unsigned int how)
{
	struct xm_time at = xm_tx_expiry(tx);
	int r;

	if (how == 15 && !xm_time_is_never(at) && xm_time_before(w.now, at))
		w.now = at;
	else
		w.now = xm_time_add(w.now, XM_US << how);
	if (!xm_time_before(w.now, xm_tx_expiry(tx))) {
		r = xm_tx_expire(tx, w.now);
		FUZZ_CHECK(r == 0 || r == -ETIMEDOUT || w.has_failed);
		w.has_failed = w.has_failed || r;
		FUZZ_CHECK(r || xm_time_before(w.now, xm_tx_expiry(tx)));
	}
	if (!xm_time_before(w.now, xm_rx_expiry(rx)))
		acknowledge();
}

/* -- what nobody sent -------------------------------------------------------------------- */

/* To the sender, in a heap block of its size. */
static void forge_ack(const struct forged *p)
{
	struct xm_frame f = p->f;
	uint8_t *payload = malloc(f.len + 1u);

	FUZZ_CHECK(payload);
	memcpy(payload, p->payload, f.len);
	f.payload_crc = xm_crc32c(0, payload, f.len);
	xm_tx_packet(tx, w.now, &f, payload);
	free(payload);
}

/* It arrives at once.  Of this session, if bits 0-2 of @how are clear.  How many
 * bytes of the input it took. */
static size_t forge_frame(uint8_t type, unsigned int how, const uint8_t *data,
			  size_t size)
{
	static struct forged p;
	size_t n;

	w.is_forged = w.is_forged || !(how & 7);
	p.f = (struct xm_frame){
		.type = type,
		.channel = how & 1,
		.cookie = COOKIE ^ (how >> 1 & 1),
		.epoch = w.epoch + (how >> 2 & 1),
		.tx_us = xm_time_wire_us(w.now),
	};
	n = forge(&p, how & 8, data, size);
	if (type == XM_WIRE_ACK) {
		forge_ack(&p);
		return n;
	}
	wire_put(&to_rx, &p.f, p.payload);
	arrive(wire_piece(&to_rx, to_rx.n - 1), true, how >> 1);
	wire_remove(&to_rx, to_rx.n - 1);
	return n;
}

/* -- all of it ---------------------------------------------------------------------------- */

static void drop(unsigned int how)
{
	struct wire *to = how & 8 ? &to_tx : &to_rx;

	if (to->n)
		wire_remove(to, (how & 7) % to->n);
}

static void sync_up(void)
{
	if (!w.has_sync && !xm_tx_sync(tx))
		w.has_sync = true;
}

/* One step of the input; how many bytes it took. */
static size_t happen(const uint8_t *data, size_t size)
{
	unsigned int how = data[0] >> 4;

	switch (data[0] & 15) {
	case PUSH:
		push(how);
		break;
	case SEND:
		do
			post(how);
		while (how--);
		break;
	case COMPLETE:
		if (how == 15)
			complete_all();
		else
			complete(how);
		break;
	case DELIVER:
		deliver(how, false);
		break;
	case REPEAT:
		deliver(how, true);
		break;
	case DROP:
		drop(how);
		break;
	case DAMAGE:
		if (size < 3)
			return size;
		damage(how, data[1], data[2]);
		return 3;
	case TIME:
		wait(how);
		break;
	case ACK:
		acknowledge();
		break;
	case SYNC:
		sync_up();
		break;
	case EPOCH:
		next_epoch();
		break;
	case FORGE_ACK:
		return 1 + forge_frame(XM_WIRE_ACK, how, data + 1, size - 1);
	case FORGE_DATA:
		return 1 + forge_frame(XM_WIRE_DATA, how, data + 1, size - 1);
	case FORGE_HEADER:
		return 1 + forge_frame(XM_WIRE_HEADER, how, data + 1, size - 1);
	case RATE:
		xm_tx_set_rate(tx, how ? 1000ull << how : 0);
		break;
	case ALL:
	default:
		if (how & 8)
			reflect();
		else
			while (to_rx.n)
				deliver(0, false);
		break;
	}
	return 1;
}

/* New keys come after few frames: 2^22 are too many for an input. */
static void begin_seals(unsigned int how)
{
	enum sim_keys keys = (how >> 2 & 3) % SIM_KEYS__COUNT;

	sim_cipher_init(&tx_cipher, &tx_seal, keys, 0, true);
	sim_cipher_init(&rx_cipher, &rx_seal, keys, 0, false);
	tx_seal.count = rx_seal.count = (1u << XM_REKEY_SHIFT) - 3;
}

static void begin(unsigned int how)
{
	static const struct xm_geometry geo[] = {
		{ .pages = 1, .slices = 1, .slice = XM_PAGE_SIZE },
		{ .pages = 3, .slices = 1, .slice = XM_PAGE_SIZE },
		{ .slices = 3, .slice = 1376 },
		{ .slices = 2, .slice = 2048 },
	};
	struct xm_tx_opts to;
	struct xm_rx_opts ro;

	memset(&w, 0, sizeof(w));
	wire_init(&to_rx);
	wire_init(&to_tx);
	begin_seals(how);
	memset(dst, 0, sizeof(dst));
	FUZZ_CHECK(!xm_map_add(&w.tx_map, "a", sizeof(src[0]), src[0]) &&
		   !xm_map_add(&w.tx_map, "b", sizeof(src[1]), src[1]) &&
		   !xm_map_add(&w.rx_map, "a", sizeof(dst[0]), dst[0]) &&
		   !xm_map_add(&w.rx_map, "b", sizeof(dst[1]), dst[1]));
	FUZZ_CHECK(!xm_map_shard(&w.tx_map, 2) && !xm_map_shard(&w.rx_map, 2));
	w.rx_map.block[0].dirtied = &w.dirtied[0];
	w.rx_map.block[1].dirtied = &w.dirtied[1];
	w.now = (struct xm_time){ XM_SEC };
	to = (struct xm_tx_opts){
		.map = &w.tx_map,
		.geo = geo[how & 3],
		.cookie = COOKIE,
		.n_channels = 2,
		.n_slots = SLOTS,
		.hdr_ring = ring,
		.hdr_stride = STRIDE,
		.credit = 64,
		.stall_ns = 2 * XM_SEC,
		.cc = { .mss = 4200, .cwnd_max = 1 << 20, .n_channels = 2 },
	};
	ro = (struct xm_rx_opts){ .map = &w.rx_map,
				  .cookie = COOKIE,
				  .seal = &rx_seal,
				  .credit = 64 };
	if (!tx_mem) {
		tx_size = 0;
		rx_mem = malloc(xm_rx_footprint(&ro));
	}
	if (tx_size != xm_tx_footprint(&to)) {
		free(tx_mem);
		tx_size = xm_tx_footprint(&to);
		FUZZ_CHECK(!posix_memalign(&tx_mem, 64, tx_size));
	}
	tx = xm_tx_init(tx_mem, &to);
	rx = xm_rx_init(rx_mem, &ro);
	FUZZ_CHECK(tx && rx);
	next_epoch();
	FUZZ_CHECK(w.epoch == 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	xm_crc32c_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = 1;

	if (!size)
		return 0;
	begin(data[0]);
	for (data += n, size -= n; size; data += n, size -= n) {
		n = happen(data, size);
		check();
	}
	check_epoch();
	FUZZ_CHECK(xm_zero_is(dst[1], sizeof(dst[1])));
	return 0;
}
