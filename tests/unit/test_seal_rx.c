// SPDX-License-Identifier: GPL-2.0-or-later
/* test_seal_rx.c - what a receiver with keys does of what others send it */
#include "core/rx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/t_rx.h"
#include "core/seal.h"
#include "ctl/frame_keys.h"

struct t_ends {
	struct xm_seal src, dst;
	struct frame_keys *src_keys, *dst_keys;
	struct t_rx *t;
	uint8_t *b; /* the last frame, as it was sent */
	size_t len;
};

static void begin(struct t_ends *s, void **state, bool encrypts)
{
	static const uint8_t secret[FRAME_SECRET_LEN] = { 7 };

	memset(s, 0, sizeof(*s));
	s->t = t_rx_begin(*state);
	s->src_keys = frame_keys_new(secret, 0, true);
	s->dst_keys = frame_keys_new(secret, 0, false);
	assert_int_equal(xm_seal_init(&s->src, &frame_keys_cipher, s->src_keys,
				      encrypts),
			 0);
	assert_int_equal(xm_seal_init(&s->dst, &frame_keys_cipher, s->dst_keys,
				      encrypts),
			 0);
}

static void end(struct t_ends *s)
{
	frame_keys_free(s->src_keys);
	frame_keys_free(s->dst_keys);
	free(s->b);
}

/* Seal @f with the payload that t_rx.h has made for it. */
static void dispatch(struct t_ends *s, const struct xm_frame *f)
{
	size_t hdr_len;

	free(s->b);
	s->b = malloc(XM_WIRE_HEADER_MAX + f->len);
	assert_non_null(s->b);
	hdr_len = xm_frame_put(s->b, f);
	s->len = hdr_len + f->len;
	memcpy(s->b + hdr_len, s->t->payload, f->len);
	assert_int_equal(xm_seal_frame(&s->src, s->b, hdr_len, f->payload_crc,
				       s->b + hdr_len, f->len),
			 0);
}

/* A copy of what was sent last arrives, @ce: marked. */
static enum xm_drop arrive(struct t_ends *s, bool ce)
{
	uint8_t *b = malloc(s->len);
	size_t hdr_len = 0;
	enum xm_drop drop;
	struct xm_frame f;
	struct xm_vec v;

	assert_non_null(b);
	memcpy(b, s->b, s->len);
	assert_int_equal(xm_frame_begin(&hdr_len, b, s->len, s->len),
			 XM_DROP_NONE);
	v = (struct xm_vec){ b + hdr_len, s->len - hdr_len };
	drop = xm_seal_open(&s->dst, &f, b, hdr_len, &v, 1, s->len);
	if (!drop)
		drop = xm_rx_packet(s->t->rx, s->t->now, &f, &v, 1, ce);
	free(b);
	return drop;
}

static void data__repeated_by_a_stranger_has_no_effect(void **state)
{
	struct t_ends s;
	struct xm_frame f;
	unsigned int i;

	begin(&s, state, false);
	f = t_rx_slice(s.t, 0, 0, 32);
	dispatch(&s, &f);
	assert_int_equal(arrive(&s, false), XM_DROP_NONE);
	t_rx_wait(s.t, 1000);
	assert_true(t_rx_ack(s.t));
	for (i = 0; i < 10; i++)
		assert_int_equal(arrive(&s, true), XM_DROP_REPLAYED);
	assert_false(t_rx_ack(s.t));
	f = t_rx_slice(s.t, 1, 32, 32);
	dispatch(&s, &f);
	assert_int_equal(arrive(&s, false), XM_DROP_NONE);
	t_rx_wait(s.t, 1000);
	assert_true(t_rx_ack(s.t));
	assert_int_equal(s.t->ack.n_ce, 0);
	assert_int_equal(s.t->ack.n_dup, 0);
	end(&s);
}

static void data__sent_again_is_a_duplicate(void **state)
{
	struct t_ends s;
	struct xm_frame f;

	begin(&s, state, false);
	f = t_rx_slice(s.t, 0, 0, 32);
	dispatch(&s, &f);
	assert_int_equal(arrive(&s, false), XM_DROP_NONE);
	dispatch(&s, &f);
	assert_int_equal(arrive(&s, false), XM_DROP_DUPLICATE);
	assert_true(t_rx_ack(s.t));
	assert_int_equal(s.t->ack.n_dup, 1);
	end(&s);
}

/* The source says: the page at 0x5000 is zero.  Who passes the HEADER on cannot
 * make that another one. */
static void header__zeroes_what_was_announced_only(void **state)
{
	struct xm_multifd pkt = { .pages_alloc = XM_PACKET_PAGES,
				  .zero_pages = 1,
				  .ramblock = "pc.ram",
				  .offset = { 0x5000 } };
	struct t_ends s;
	struct xm_frame f;

	begin(&s, state, false);
	f = t_rx_pages(s.t, 0, 0x9000, 1);
	dispatch(&s, &f);
	assert_int_equal(arrive(&s, false), XM_DROP_NONE);
	assert_int_not_equal(s.t->map.block[0].hva[0x9000], 0);
	f = t_rx_packet(s.t, 1, &pkt);
	dispatch(&s, &f);
	s.b[XM_WIRE_HEADER_MIN + 320 + 6] = 0x90; /* offset[0] */
	assert_int_equal(arrive(&s, false), XM_DROP_BAD_TAG);
	s.b[XM_WIRE_HEADER_MIN + 320 + 6] = 0x50;
	assert_int_equal(arrive(&s, false), XM_DROP_NONE);
	assert_int_not_equal(s.t->map.block[0].hva[0x9000], 0);
	end(&s);
}

static void encrypted__is_placed_without_a_crc(void **state)
{
	struct t_ends s;
	struct xm_frame f;

	begin(&s, state, true);
	f = t_rx_pages(s.t, 0, 0x9000, 1);
	dispatch(&s, &f);
	s.b[s.len - 1] ^= 1;
	assert_int_equal(arrive(&s, false), XM_DROP_BAD_TAG);
	assert_int_equal(s.t->map.block[0].hva[0x9000], 0);
	s.b[s.len - 1] ^= 1;
	assert_int_equal(arrive(&s, false), XM_DROP_NONE);
	assert_memory_equal(s.t->map.block[0].hva + 0x9000, s.t->payload, 4096);
	end(&s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, t_rx_setup, t_rx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(data__repeated_by_a_stranger_has_no_effect),
		T(data__sent_again_is_a_duplicate),
		T(header__zeroes_what_was_announced_only),
		T(encrypted__is_placed_without_a_crc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
