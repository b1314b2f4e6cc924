// SPDX-License-Identifier: GPL-2.0-or-later
/* test_seal.c - seals of a channel's two ends, with the cipher that they use
 *
 * The known answers were computed by another implementation of AES-GCM and HKDF.
 */
#include "core/seal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/t_seal.h"
#include "core/multifd.h"

/* -- known answers --------------------------------------------------------------- */

static void expect_tag(struct xm_seal *s, const uint8_t *want)
{
	struct t_frame p = seal(s, two_pages());

	assert_memory_equal(xm_frame_tag(p.b, p.hdr_len), want,
			    XM_WIRE_TAG_LEN);
	free(p.b);
}

static void xm_seal_frame__known_answer(void **state)
{
	static const uint8_t want[] = { 0x10, 0xe6, 0x52, 0x8b, 0xf9, 0xe5,
					0xcf, 0x95, 0x5b, 0x2f, 0x46, 0xb7,
					0x0e, 0xe6, 0x42, 0x60 };
	struct t_seal *t = *state;

	expect_tag(&t->src.seal, want);
}

static void xm_seal_frame__known_answer_of_generation_1(void **state)
{
	static const uint8_t want[] = { 0xb4, 0xad, 0xda, 0x14, 0x94, 0x4c,
					0x42, 0x22, 0xdf, 0xa1, 0x3e, 0xa5,
					0x42, 0x01, 0x1d, 0x89 };
	struct t_seal *t = *state;

	t->src.seal.count = (1ull << XM_REKEY_SHIFT) + 5;
	expect_tag(&t->src.seal, want);
}

static void xm_seal_frame__known_answer_encrypted(void **state)
{
	static const uint8_t want[] = { 0x96, 0x6c, 0xb4, 0x8c, 0x3e, 0x8b,
					0xcb, 0x5a, 0x37, 0xd9, 0x86, 0x2a,
					0x05, 0x06, 0x57, 0xf4 };
	static const uint8_t text[] = { 0xfd, 0xb6, 0x68, 0xfb, 0x93, 0xd3,
					0x01, 0xc6, 0xec, 0xf5, 0x4d, 0x5e,
					0xa8, 0xaa, 0x08, 0xdf };
	struct t_seal *t = *state;
	struct t_frame p;

	t->src.seal.count = 7;
	p = seal(&t->src.seal, two_pages());
	assert_memory_equal(xm_frame_tag(p.b, p.hdr_len), want, sizeof(want));
	assert_memory_equal(p.b + p.hdr_len, text, sizeof(text));
	free(p.b);
}

/* -- what is taken --------------------------------------------------------------- */

static void xm_seal_open__takes_the_peers(void **state)
{
	struct t_seal *t = *state;

	assert_int_equal(cross(t, two_pages()), XM_DROP_NONE);
	assert_int_equal(t->f.seg[1], 0x602000);
	assert_int_equal(t->f.payload_crc, 0xdbec908c);
	assert_false(t->f.is_payload_proven);
	assert_int_equal(cross(t, two_pages()), XM_DROP_NONE);
}

static void xm_seal_open__gives_the_plaintext_back(void **state)
{
	struct t_seal *t = *state;
	struct t_frame p = seal(&t->src.seal, two_pages());

	assert_int_equal(open_pieces(&t->dst.seal, &t->f, p.b, p.len, PAYLOAD),
			 XM_DROP_NONE);
	assert_true(t->f.is_payload_proven);
	assert_int_equal(t->f.payload_crc, 0);
	assert_int_equal(xm_crc32c(0, p.b + p.hdr_len, PAYLOAD), 0xdbec908c);
	free(p.b);
}

static void xm_seal_open__of_a_payload_in_pieces(void **state)
{
	struct t_seal *t = *state;
	size_t piece;

	for (piece = PAYLOAD / XM_FRAME_DESCS + 1; piece < PAYLOAD;
	     piece += 17) {
		struct t_frame p = seal(&t->src.seal, two_pages());

		assert_int_equal(open_pieces(&t->dst.seal, &t->f, p.b, p.len,
					     piece),
				 XM_DROP_NONE);
		assert_int_equal(xm_crc32c(0, p.b + p.hdr_len, PAYLOAD),
				 0xdbec908c);
		free(p.b);
	}
}

static void xm_seal_open__not_of_more_pieces_than_a_frame_has(void **state)
{
	struct t_seal *t = *state;
	struct t_frame p =
		seal(&t->src.seal, plain(XM_WIRE_HEADER, XM_MULTIFD_LEN));
	struct xm_vec vec[XM_FRAME_DESCS + 1];
	unsigned int i;

	for (i = 0; i < XM_FRAME_DESCS; i++)
		vec[i] = (struct xm_vec){ p.b + p.hdr_len + i, 1 };
	vec[i] = (struct xm_vec){ p.b + p.hdr_len + i,
				  XM_MULTIFD_LEN - XM_FRAME_DESCS };
	assert_int_equal(xm_seal_open(&t->dst.seal, &t->f, p.b, p.hdr_len, vec,
				      XM_FRAME_DESCS + 1, p.len),
			 XM_DROP_BAD_TAG);
	free(p.b);
}

static void xm_seal_frame__never_the_same_twice(void **state)
{
	struct t_seal *t = *state;
	struct t_frame a = seal(&t->src.seal, two_pages());
	struct t_frame b = seal(&t->src.seal, two_pages());

	assert_int_equal(xm_frame_count(a.b), 0);
	assert_int_equal(xm_frame_count(b.b), 1);
	assert_memory_not_equal(a.b + a.hdr_len, b.b + b.hdr_len, 16);
	free(a.b);
	free(b.b);
}

/* -- what is not ------------------------------------------------------------------- */

/* No bit of the first @n bytes of a frame can be changed. */
static void change_each_bit(struct t_seal *t, size_t n)
{
	struct t_frame p = seal(&t->src.seal, two_pages());
	size_t bit;

	for (bit = 0; bit < 8 * n; bit++) {
		p.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(open_copy(&t->dst.seal, &t->f, &p),
				     XM_DROP_NONE);
		p.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(open_copy(&t->dst.seal, &t->f, &p), XM_DROP_NONE);
	free(p.b);
}

static void xm_seal_open__no_bit_of_a_header_can_be_changed(void **state)
{
	change_each_bit(*state, 48 + 2 * 8 + XM_WIRE_TAG_LEN);
}

static void xm_seal_open__nor_of_an_encrypted_payload(void **state)
{
	change_each_bit(*state, 48 + 2 * 8 + XM_WIRE_TAG_LEN + 64);
}

static void xm_seal_open__nor_of_a_payload_that_means_something(void **state)
{
	static const struct {
		uint8_t type;
		uint16_t len;
	} kind[] = { { XM_WIRE_HEADER, XM_MULTIFD_LEN },
		     { XM_WIRE_ACK, 24 },
		     { XM_WIRE_PROBE, 100 } };
	struct t_seal *t = *state;
	struct t_frame p;
	size_t i, bit;

	for (i = 0; i < 3; i++) {
		p = seal(&t->src.seal, plain(kind[i].type, kind[i].len));
		assert_int_equal(t_err, 0);
		for (bit = 8 * p.hdr_len; bit < 8 * p.len; bit++) {
			p.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(open_copy(&t->dst.seal, &t->f, &p),
					 XM_DROP_BAD_TAG);
			p.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		assert_int_equal(open_copy(&t->dst.seal, &t->f, &p),
				 XM_DROP_NONE);
		assert_true(t->f.is_payload_proven);
		assert_int_equal(t->f.payload_crc, 0);
		free(p.b);
	}
}

static void xm_seal_open__changed_in_all_its_length(void **state)
{
	struct t_seal *t = *state;
	struct t_frame p = seal(&t->src.seal, two_pages());

	p.b[p.len - 1] ^= 0x80;
	assert_int_equal(open_copy(&t->dst.seal, &t->f, &p), XM_DROP_BAD_TAG);
	p.b[p.len - 1] ^= 0x80;
	p.len--;
	assert_int_equal(open_copy(&t->dst.seal, &t->f, &p), XM_DROP_BAD_TAG);
	free(p.b);
}

static void xm_seal_open__not_what_it_sent_itself(void **state)
{
	struct t_seal *t = *state;
	struct t_frame p = seal(&t->src.seal, two_pages());

	assert_int_equal(open_copy(&t->src.seal, &t->f, &p), XM_DROP_BAD_TAG);
	free(p.b);
}

static void xm_seal_open__not_another_channels(void **state)
{
	struct t_seal *t = *state;
	struct t_end other;
	struct t_frame p;

	end_open(&other, t->secret, CHANNEL + 1, true, false);
	p = seal(&other.seal, two_pages());
	assert_int_equal(open_copy(&t->dst.seal, &t->f, &p), XM_DROP_BAD_TAG);
	frame_keys_free(other.keys);
	free(p.b);
}

static void xm_seal_open__not_another_sessions(void **state)
{
	uint8_t secret[FRAME_SECRET_LEN] = { 1 };
	struct t_seal *t = *state;
	struct t_end other;
	struct t_frame p;

	end_open(&other, secret, CHANNEL, true, false);
	p = seal(&other.seal, two_pages());
	assert_int_equal(open_copy(&t->dst.seal, &t->f, &p), XM_DROP_BAD_TAG);
	frame_keys_free(other.keys);
	free(p.b);
}

static void xm_seal_open__not_without_keys(void **state)
{
	struct t_seal *t = *state;
	struct t_frame p = seal(NULL, two_pages());

	assert_int_equal(open_copy(NULL, &t->f, &p), XM_DROP_NONE);
	assert_int_equal(open_copy(&t->dst.seal, &t->f, &p), XM_DROP_BAD_TAG);
	free(p.b);
	p = seal(&t->src.seal, two_pages());
	assert_int_equal(open_copy(NULL, &t->f, &p), XM_DROP_BAD_TAG);
	free(p.b);
}

static void xm_seal_open__then_what_any_frame_is_checked_for(void **state)
{
	struct xm_frame f = two_pages();
	struct t_seal *t = *state;

	f.seg[1]++;
	assert_int_equal(cross(t, f), XM_DROP_BAD_SHAPE);
	assert_int_equal(cross(t, plain(5, 0)), XM_DROP_BAD_TYPE);
}

/* -- generations ------------------------------------------------------------------- */

/* From now on the source's transmissions are of @generation. */
static void go_to(struct t_seal *t, uint64_t generation, uint64_t more)
{
	t->src.seal.count = (generation << XM_REKEY_SHIFT) + more;
}

static void xm_seal_open__over_many_generations(void **state)
{
	struct t_seal *t = *state;
	uint64_t g;

	for (g = 1; g < 20; g++) {
		go_to(t, g, (uint64_t)-1);
		assert_int_equal(cross(t, two_pages()), XM_DROP_NONE);
		assert_int_equal(cross(t, two_pages()), XM_DROP_NONE);
		assert_int_equal(t->src.seal.generation, g);
		assert_int_equal(t->dst.seal.peer_generation, g);
	}
}

static void xm_seal_open__late_ones_of_the_generation_before(void **state)
{
	struct t_seal *t = *state;
	struct t_frame late[2];
	unsigned int i;

	go_to(t, 1, (uint64_t)-2);
	for (i = 0; i < 2; i++)
		late[i] = seal(&t->src.seal, two_pages());
	assert_int_equal(cross(t, two_pages()), XM_DROP_NONE);
	assert_int_equal(t->dst.seal.peer_generation, 1);
	assert_int_equal(open_copy(&t->dst.seal, &t->f, &late[1]),
			 XM_DROP_NONE);
	go_to(t, 2, 0);
	assert_int_equal(cross(t, two_pages()), XM_DROP_NONE);
	assert_int_equal(open_copy(&t->dst.seal, &t->f, &late[0]),
			 XM_DROP_BAD_TAG);
	for (i = 0; i < 2; i++)
		free(late[i].b);
}

static void xm_seal_open__no_generation_too_soon(void **state)
{
	struct t_seal *t = *state;

	go_to(t, 2, 0);
	assert_int_equal(cross(t, two_pages()), XM_DROP_BAD_TAG);
	go_to(t, 1, 0);
	assert_int_equal(cross(t, two_pages()), XM_DROP_NONE);
	go_to(t, 2, 0);
	assert_int_equal(cross(t, two_pages()), XM_DROP_NONE);
}

static unsigned int n_opened;

static int count_opened(void *ctx, unsigned int slot, uint64_t count,
			const struct xm_vec *aad, unsigned int n_aad,
			const struct xm_vec *text, unsigned int n_text,
			const uint8_t tag[XM_WIRE_TAG_LEN])
{
	n_opened++;
	return frame_keys_cipher.open(ctx, slot, count, aad, n_aad, text,
				      n_text, tag);
}

/* Frames whose keys are gone, or not due, are not looked at. */
static void xm_seal_open__other_generations_unseen(void **state)
{
	struct xm_cipher cipher = frame_keys_cipher;
	struct t_seal *t = *state;

	cipher.open = count_opened;
	t->dst.seal.cipher = &cipher;
	n_opened = 0;
	go_to(t, 1, 0);
	assert_int_equal(cross(t, two_pages()), XM_DROP_NONE);
	go_to(t, 2, 0);
	assert_int_equal(cross(t, two_pages()), XM_DROP_NONE);
	assert_int_equal(n_opened, 2);
	go_to(t, 0, 0);
	assert_int_equal(cross(t, two_pages()), XM_DROP_BAD_TAG);
	go_to(t, 4, 0);
	assert_int_equal(cross(t, two_pages()), XM_DROP_BAD_TAG);
	assert_int_equal(n_opened, 2);
}

static void xm_seal_open__forgery_renews_nothing(void **state)
{
	struct t_seal *t = *state;
	struct t_frame p = seal(&t->src.seal, two_pages());

	xm_frame_set_count(p.b, 1ull << XM_REKEY_SHIFT);
	assert_int_equal(open_copy(&t->dst.seal, &t->f, &p), XM_DROP_BAD_TAG);
	assert_int_equal(t->dst.seal.peer_generation, 0);
	free(p.b);
}

static void xm_seal_frame__ends_with_its_numbers(void **state)
{
	struct t_seal *t = *state;
	struct t_frame p;

	t->src.seal.count = XM_FRAME_COUNT_MAX;
	p = seal(&t->src.seal, two_pages());
	assert_int_equal(t->src.seal.err, 0);
	assert_int_equal(xm_frame_count(p.b), XM_FRAME_COUNT_MAX);
	free(p.b);
	p = seal(&t->src.seal, two_pages());
	assert_int_equal(t_err, -EOVERFLOW);
	assert_int_equal(t->src.seal.err, -EOVERFLOW);
	free(p.b);
}

static int no_second_key(void *ctx, uint32_t generation)
{
	(void)ctx;
	return generation ? -ENOMEM : 0;
}

static int any_key(void *ctx, unsigned int slot, uint32_t generation)
{
	(void)ctx;
	(void)slot;
	(void)generation;
	return 0;
}

static void xm_seal_frame__says_when_there_is_no_key(void **state)
{
	const struct xm_cipher cipher = { .set_send = no_second_key,
					  .set_receive = any_key };
	struct xm_seal s;
	struct t_frame p;

	(void)state;
	assert_int_equal(xm_seal_init(&s, &cipher, NULL, true), 0);
	s.count = 1ull << XM_REKEY_SHIFT;
	p = seal(&s, two_pages());
	assert_int_equal(t_err, -ENOMEM);
	free(p.b);
	p = seal(&s, two_pages());
	assert_int_equal(t_err, -ENOMEM);
	free(p.b);
}

static void xm_seal_init__encrypts_with_keys_only(void **state)
{
	struct xm_seal s;

	(void)state;
	assert_int_equal(xm_seal_init(&s, NULL, NULL, true), -EINVAL);
	assert_int_equal(xm_seal_init(&s, NULL, NULL, false), 0);
	assert_false(xm_seal_covers(&s, XM_WIRE_ACK));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define E(f) cmocka_unit_test_setup_teardown(f, setup_encrypted, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_seal_frame__known_answer),
		T(xm_seal_frame__known_answer_of_generation_1),
		E(xm_seal_frame__known_answer_encrypted),
		T(xm_seal_open__takes_the_peers),
		E(xm_seal_open__gives_the_plaintext_back),
		E(xm_seal_open__of_a_payload_in_pieces),
		T(xm_seal_open__not_of_more_pieces_than_a_frame_has),
		E(xm_seal_frame__never_the_same_twice),
		T(xm_seal_open__no_bit_of_a_header_can_be_changed),
		E(xm_seal_open__nor_of_an_encrypted_payload),
		T(xm_seal_open__nor_of_a_payload_that_means_something),
		E(xm_seal_open__changed_in_all_its_length),
		T(xm_seal_open__not_what_it_sent_itself),
		T(xm_seal_open__not_another_channels),
		T(xm_seal_open__not_another_sessions),
		T(xm_seal_open__not_without_keys),
		T(xm_seal_open__then_what_any_frame_is_checked_for),
		T(xm_seal_open__over_many_generations),
		T(xm_seal_open__late_ones_of_the_generation_before),
		T(xm_seal_open__no_generation_too_soon),
		T(xm_seal_open__other_generations_unseen),
		T(xm_seal_open__forgery_renews_nothing),
		T(xm_seal_frame__ends_with_its_numbers),
		T(xm_seal_frame__says_when_there_is_no_key),
		T(xm_seal_init__encrypts_with_keys_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
