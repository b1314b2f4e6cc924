// SPDX-License-Identifier: GPL-2.0-or-later
/* test_rx_next.c - the short way of a frame does what the long one does
 *
 * Two receivers of the same guest are given the same frames, one by xm_rx_next() first
 * and one without it.  What each does to a frame, its totals, its ACKs and its memory
 * must be the same, whatever comes: mostly frames in order, and then what is lost,
 * late, repeated, damaged, lied about or of another session.
 */
#include "core/rx.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/t_rx.h"
#include "../sim/rng.h"
#include "core/seal.h"
#include "ctl/frame_keys.h"

#define STEPS  4000
#define PREFIX 42 /* bytes in front of a frame */
#define KEPT   8  /* frames that may come later, or again */

enum { SHORT, LONG, SIDES };

struct side {
	struct t_rx *t;
	struct xm_seal seal;
	struct frame_keys *keys;
	uint8_t ack[XM_WIRE_HEADER_MAX + XM_ACK_LEN_MAX];
};

struct sent {
	struct xm_frame f; /* as it was meant */
	bool is_bad;       /* must not be taken */
	uint64_t told;     /* HEADER: what it adds to sum_announced */
	uint8_t b[XM_WIRE_HEADER_MAX + XM_FRAME_SEGS * XM_PAGE_SIZE + 8];
	size_t len;
};

struct both {
	struct side side[SIDES];
	struct xm_seal source;
	struct frame_keys *keys;
	struct sim_rng rng;
	struct sent sent[KEPT];
	uint32_t n_sent, seq, n_short;
	uint64_t page;
	uint64_t announced, placed; /* sums, as they should be */
};

static void seal_init(struct xm_seal *seal, struct frame_keys **keys,
		      const char *what, bool is_source)
{
	static const uint8_t secret[FRAME_SECRET_LEN] = { 9 };
	const struct xm_cipher *cipher = NULL;

	if (strcmp(what, "none") != 0) {
		*keys = frame_keys_new(secret, 0, is_source);
		assert_non_null(*keys);
		cipher = &frame_keys_cipher;
	}
	assert_int_equal(
		xm_seal_init(seal, cipher, *keys, !strcmp(what, "encrypt")), 0);
}

static struct both *begin(const char *what)
{
	struct both *b = calloc(1, sizeof(*b));
	struct side *s;

	assert_non_null(b);
	b->rng.s = 7;
	seal_init(&b->source, &b->keys, what, true);
	for (s = b->side; s < b->side + SIDES; s++) {
		assert_int_equal(t_rx_setup((void **)&s->t), 0);
		seal_init(&s->seal, &s->keys, what, false);
		s->t->opts.seal = &s->seal;
		t_rx_begin(s->t);
	}
	return b;
}

static void end(struct both *b)
{
	struct side *s;

	for (s = b->side; s < b->side + SIDES; s++) {
		frame_keys_free(s->keys);
		assert_int_equal(t_rx_teardown((void **)&s->t), 0);
	}
	frame_keys_free(b->keys);
	free(b);
}

/* -- the source, and who else sends ------------------------------------------------- */

static bool chance(struct both *b, unsigned int of)
{
	return !sim_rng_below(&b->rng, of);
}

/* A packet's header, of pages from the next on, mostly in a row. */
static struct xm_frame make_header(struct both *b, struct sent *s)
{
	struct xm_multifd pkt = {
		.pages_alloc = XM_PACKET_PAGES,
		.normal_pages = 5,
		.zero_pages = 2,
		.ramblock = "pc.ram",
	};
	unsigned int i, gap = (unsigned int)sim_rng_below(&b->rng, 10);

	s->told = 0;
	for (i = 0; i < 7; i++) {
		pkt.offset[i] = (b->page + i + (i > gap)) * XM_PAGE_SIZE;
		if (i < pkt.normal_pages)
			s->told +=
				xm_page_hash(0, pkt.offset[i]) * XM_PAGE_SIZE;
	}
	return t_rx_packet(b->side[SHORT].t, b->seq++, &pkt);
}

/* The next frame, with or without a lie in it. */
static struct xm_frame make_frame(struct both *b, struct sent *s)
{
	struct t_rx *t = b->side[SHORT].t;
	unsigned int n = 1 + (unsigned int)sim_rng_below(&b->rng, 3), i;
	struct xm_frame f;

	b->page = (b->page + n) % 500;
	if (chance(b, 20))
		return make_header(b, s);
	if (chance(b, 10))
		f = t_rx_slice(t, b->seq++, b->page * XM_PAGE_SIZE + 64, 1376);
	else
		f = t_rx_pages(t, b->seq++, b->page * XM_PAGE_SIZE,
			       chance(b, 3) ? n : 2);
	if (chance(b, 10))
		f.seg[f.n_segs - 1] ^= 8ull * XM_PAGE_SIZE; /* not in a row */
	if (chance(b, 8) && b->page < 240)
		f.block = 1;
	if (chance(b, 20))
		f.flags = XM_WIRE_F_RESENT;
	switch (sim_rng_below(&b->rng, 200)) {
	case 0:
		f.cookie++;
		break;
	case 1:
		f.epoch++;
		break;
	case 2:
		f.channel = 1;
		break;
	case 3:
		f.page = XM_PACKET_PAGES - 1;
		break;
	case 4:
		f.seg[f.n_segs - 1] = 8 * T_MIB;
		break;
	case 5:
		f.seg[0] = 2 * T_MIB;
		break;
	case 6:
		f.seg[0] += 32;
		break;
	case 7:
		f.block = 7;
		break;
	case 8:
		f.payload_crc++;
		break;
	case 9:
		f.seq += XM_WINDOW;
		break;
	case 10:
		for (i = 0; i < f.n_segs; i++) /* into the next stripe */
			f.seg[i] = 2 * T_MIB + (i - 1ull) * XM_PAGE_SIZE;
		s->is_bad = f.n_segs > 1;
		break;
	default:
		break;
	}
	return f;
}

static struct sent *send_frame(struct both *b)
{
	struct sent *s = &b->sent[b->n_sent++ % KEPT];
	struct xm_frame f;
	size_t hdr_len;

	s->is_bad = false;
	f = make_frame(b, s);
	hdr_len = xm_frame_put(s->b, &f);
	s->f = f;
	s->len = hdr_len + f.len;
	memcpy(s->b + hdr_len, b->side[SHORT].t->payload, f.len);
	assert_int_equal(xm_seal_frame(&b->source, s->b, hdr_len, f.payload_crc,
				       s->b + hdr_len, f.len),
			 0);
	if (chance(b, 60))
		s->b[sim_rng_below(&b->rng, s->len)] ^= 0x10;
	if (chance(b, 60)) {
		s->len += chance(b, 2) ? 4 : -4ull;
		s->is_bad = true;
	}
	return s;
}

/* -- the receivers ------------------------------------------------------------------ */

/* Cut like a device's chunks would, in heap memory of the payload's size. */
static unsigned int cut(struct xm_vec *vec, uint8_t *b, size_t len)
{
	unsigned int n = 0;
	size_t part;

	for (; len; b += part, len -= part) {
		part = len < 3840 ? len : 3840;
		vec[n++] = (struct xm_vec){ b, part };
	}
	return n;
}

static enum xm_drop arrive_long(struct side *s, uint8_t *b, size_t len, bool ce)
{
	struct xm_vec vec[XM_FRAME_DESCS];
	size_t hdr_len = 0;
	enum xm_drop drop = xm_frame_begin(&hdr_len, b, len, len);
	struct xm_frame f;
	unsigned int n;

	if (drop)
		return drop;
	n = cut(vec, b + hdr_len, len - hdr_len);
	drop = xm_seal_open(&s->seal, &f, b, hdr_len, vec, n, len);
	return drop ? drop : xm_rx_packet(s->t->rx, s->t->now, &f, vec, n, ce);
}

static enum xm_drop arrive(struct both *b, struct side *s,
			   const struct sent *sent, bool ce)
{
	struct xm_vec vec[XM_FRAME_DESCS];
	uint8_t *raw = malloc(PREFIX + sent->len);
	int r = -EAGAIN;

	assert_non_null(raw);
	memcpy(raw + PREFIX, sent->b, sent->len);
	if (s == &b->side[SHORT])
		r = xm_rx_next(s->t->rx, s->t->now, vec,
			       cut(vec, raw, PREFIX + sent->len), PREFIX,
			       sent->len, ce);
	if (r >= 0)
		b->n_short++;
	else
		r = (int)arrive_long(s, raw + PREFIX, sent->len, ce);
	free(raw);
	assert_true(xm_rx_check(s->t->rx));
	return (enum xm_drop)r;
}

/* Returns the totals. */
static struct xm_rx_totals check_same(struct both *b)
{
	struct xm_rx_totals t[SIDES];
	size_t len[SIDES];
	unsigned int i;

	for (i = 0; i < SIDES; i++) {
		struct side *s = &b->side[i];

		t[i] = xm_rx_totals(s->t->rx);
		len[i] = xm_rx_fill(s->t->rx, s->t->now, s->ack);
	}
	assert_memory_equal(&t[SHORT], &t[LONG], sizeof(*t));
	assert_memory_equal(xm_rx_stats(b->side[SHORT].t->rx),
			    xm_rx_stats(b->side[LONG].t->rx),
			    sizeof(struct xm_rx_stats));
	assert_int_equal(len[SHORT], len[LONG]);
	assert_memory_equal(b->side[SHORT].ack, b->side[LONG].ack, len[LONG]);
	return t[SHORT];
}

static void check_figures(struct both *b)
{
	struct xm_rx_totals t = check_same(b);

	assert_true(t.sum_announced == b->announced);
	assert_true(t.sum_placed == b->placed);
}

/* True: it was taken. */
static bool deliver(struct both *b, const struct sent *sent)
{
	bool ce = chance(b, 9);
	enum xm_drop a = arrive(b, &b->side[SHORT], sent, ce);
	const struct xm_frame *f = &sent->f;
	unsigned int i;

	assert_int_equal(a, arrive(b, &b->side[LONG], sent, ce));
	assert_false(!a && sent->is_bad);
	if (!a && f->type == XM_WIRE_HEADER)
		b->announced += sent->told;
	for (i = 0; i < f->n_segs && !a; i++)
		b->placed += xm_page_hash(f->block, f->seg[i]) * f->seg_len;
	check_figures(b);
	t_rx_wait(b->side[SHORT].t, 7);
	t_rx_wait(b->side[LONG].t, 7);
	return !a;
}

static void check_memory(struct both *b)
{
	const struct xm_map *m = &b->side[SHORT].t->map;
	const struct xm_map *n = &b->side[LONG].t->map;
	unsigned int i;

	for (i = 0; i < m->n_blocks; i++) {
		assert_memory_equal(m->block[i].hva, n->block[i].hva,
				    m->block[i].len);
		assert_memory_equal(m->block[i].dirtied, n->block[i].dirtied,
				    m->block[i].len / XM_PAGE_SIZE / 8);
	}
}

static void next_epoch(struct both *b)
{
	unsigned int i;

	for (i = 0; i < SIDES; i++)
		xm_rx_epoch(b->side[i].t->rx, 1);
	b->announced = b->placed = 0;
	b->seq = 0;
}

static void play(const char *what)
{
	struct both *b = begin(what);
	const struct sent *kept = NULL;
	struct sent *s;
	unsigned int i;

	for (i = 1; i <= STEPS; i++) {
		if (!(i % (STEPS / 4)))
			next_epoch(b);
		s = send_frame(b);
		if (chance(b, 30) && !kept) {
			kept = s; /* comes late */
			continue;
		}
		if (!deliver(b, s))
			b->seq--; /* the next one has its number */
		if (chance(b, 30))
			(void)deliver(b, s);
		if (kept && chance(b, 2)) {
			(void)deliver(b, kept);
			kept = NULL;
		}
	}
	check_memory(b);
	/* or nothing was tested */
	if (xm_seal_encrypts(&b->source))
		assert_int_equal(b->n_short, 0);
	else
		assert_in_range(b->n_short, STEPS / 20, STEPS);
	end(b);
}

static void rx_next__is_the_long_way(void **state)
{
	(void)state;
	play("none");
}

static void rx_next__is_the_long_way_with_tags(void **state)
{
	(void)state;
	play("tag");
}

static void rx_next__is_the_long_way_encrypted(void **state)
{
	(void)state;
	play("encrypt");
}

/* Seal @f, with the payload that t_rx.h has made for it, and bit @bit of its header
 * turned; UINT_MAX: none. */
static struct sent *seal_turned(struct both *b, const struct xm_frame *f,
				unsigned int bit)
{
	struct sent *s = &b->sent[0];
	size_t hdr_len = xm_frame_put(s->b, f);

	memcpy(s->b + hdr_len, b->side[SHORT].t->payload, f->len);
	if (bit / 8 < hdr_len)
		s->b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	assert_int_equal(xm_seal_frame(&b->source, s->b, hdr_len,
				       f->payload_crc, s->b + hdr_len, f->len),
			 0);
	s->f = *f;
	s->len = hdr_len + f->len;
	return s;
}

static struct sent *seal(struct both *b, const struct xm_frame *f)
{
	return seal_turned(b, f, UINT_MAX);
}

/* Two pages with number @seq arrive.  Returns the outcome, and whether it was the short
 * way's. */
static enum xm_drop arrive_pages(struct both *b, uint32_t seq, bool *ret_short)
{
	struct xm_frame f =
		t_rx_pages(b->side[SHORT].t, seq, seq * 2ull * XM_PAGE_SIZE, 2);
	uint32_t before = b->n_short;
	enum xm_drop drop = arrive(b, &b->side[SHORT], seal(b, &f), false);

	*ret_short = b->n_short != before;
	return drop;
}

/* The peer says bit @bit of a header otherwise than it would be in the frame behind the
 * one before, and means it. */
static void turn_bit(struct both *b, unsigned int bit)
{
	uint32_t before = b->n_short, seq;
	const struct sent *s;
	struct xm_frame f;

	next_epoch(b);
	for (seq = 0; seq < 3; seq++) {
		f = t_rx_pages(b->side[SHORT].t, seq, seq * 2ull * XM_PAGE_SIZE,
			       2);
		s = seal_turned(b, &f, seq == 2 ? bit : UINT_MAX);
		assert_int_equal(arrive(b, &b->side[SHORT], s, false),
				 arrive(b, &b->side[LONG], s, false));
		(void)check_same(b);
		if (seq == 1)
			assert_int_equal(b->n_short, before + 1);
	}
}

static void turn_each_bit(const char *what)
{
	struct both *b = begin(what);
	unsigned int bit;

	for (bit = 0; bit < 8 * (XM_WIRE_HEADER_MIN - XM_WIRE_TAG_LEN + 16);
	     bit++)
		turn_bit(b, bit);
	check_memory(b);
	end(b);
}

static void rx_next__looks_at_each_bit(void **state)
{
	(void)state;
	turn_each_bit("none");
	turn_each_bit("tag");
}

/* Bytes that were right in one epoch say nothing in the next. */
static void rx_next__knows_nothing_of_another_epoch(void **state)
{
	struct both *b = begin("none");
	struct xm_frame f;
	bool is_short;

	(void)state;
	assert_int_equal(arrive_pages(b, 0, &is_short), XM_DROP_NONE);
	assert_false(is_short);
	assert_int_equal(arrive_pages(b, 1, &is_short), XM_DROP_NONE);
	assert_true(is_short);
	next_epoch(b);
	assert_int_equal(arrive_pages(b, 0, &is_short), XM_DROP_NONE);
	assert_false(is_short);
	xm_rx_close(b->side[SHORT].t->rx);
	assert_int_equal(arrive_pages(b, 1, &is_short), XM_DROP_STALE_EPOCH);
	/* nor of one that a closed receiver could take for its own */
	f = t_rx_pages(b->side[SHORT].t, 1, 2 * XM_PAGE_SIZE, 2);
	f.epoch = 0;
	assert_int_equal(arrive(b, &b->side[SHORT], seal(b, &f), false),
			 XM_DROP_STALE_EPOCH);
	end(b);
}

/* A header in two pieces is no frame's, but not for the short way to say. */
static void rx_next__wants_the_header_in_one_piece(void **state)
{
	enum { CUT = PREFIX + XM_WIRE_HEADER_MIN + 16 - 1 };
	struct both *b = begin("none");
	struct t_rx *t = b->side[SHORT].t;
	uint8_t wire[PREFIX + 3 * XM_PAGE_SIZE];
	const struct sent *s;
	struct xm_frame f;
	bool is_short;
	size_t cut;

	(void)state;
	assert_int_equal(arrive_pages(b, 0, &is_short), XM_DROP_NONE);
	f = t_rx_pages(t, 1, 2 * XM_PAGE_SIZE, 2);
	s = seal(b, &f);
	memcpy(wire + PREFIX, s->b, s->len);
	for (cut = CUT + 1; cut >= CUT; cut--) {
		struct xm_vec vec[2] = {
			{ wire, cut }, { wire + cut, PREFIX + s->len - cut }
		};

		assert_int_equal(xm_rx_next(t->rx, t->now, vec, 2, PREFIX,
					    s->len, false),
				 cut == CUT ? -EAGAIN : XM_DROP_NONE);
		xm_rx_epoch(t->rx, 1);
		assert_int_equal(arrive_pages(b, 0, &is_short), XM_DROP_NONE);
	}
	end(b);
}

static void rx_next__takes_nothing_behind_sync(void **state)
{
	struct both *b = begin("tag");
	struct xm_frame f;
	bool is_short;

	(void)state;
	assert_int_equal(arrive_pages(b, 0, &is_short), XM_DROP_NONE);
	f = t_rx_sync(b->side[SHORT].t, 1);
	assert_int_equal(arrive(b, &b->side[SHORT], seal(b, &f), false),
			 XM_DROP_NONE);
	assert_int_equal(arrive_pages(b, 2, &is_short), XM_DROP_BEYOND_WINDOW);
	end(b);
}

/* The first frame with another generation's key goes the long way, and the second
 * does not. */
static void rx_next__follows_a_new_key(void **state)
{
	struct both *b = begin("tag");
	bool is_short;
	uint32_t seq;

	(void)state;
	b->source.count = (1u << XM_REKEY_SHIFT) - 2;
	for (seq = 0; seq < 5; seq++) {
		assert_int_equal(arrive_pages(b, seq, &is_short), XM_DROP_NONE);
		assert_int_equal(is_short, seq != 0 && seq != 2);
	}
	assert_int_equal(b->side[SHORT].seal.peer_generation, 1);
	end(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rx_next__is_the_long_way),
		cmocka_unit_test(rx_next__is_the_long_way_with_tags),
		cmocka_unit_test(rx_next__is_the_long_way_encrypted),
		cmocka_unit_test(rx_next__looks_at_each_bit),
		cmocka_unit_test(rx_next__knows_nothing_of_another_epoch),
		cmocka_unit_test(rx_next__wants_the_header_in_one_piece),
		cmocka_unit_test(rx_next__takes_nothing_behind_sync),
		cmocka_unit_test(rx_next__follows_a_new_key),
	};

	return cmocka_run_group_tests_name("rx_next", tests, NULL, NULL);
}
