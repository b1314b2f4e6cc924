// SPDX-License-Identifier: GPL-2.0-or-later
/* test_seal_counts.c - what is sent once is taken once, in whatever order; and no two
 * transmissions have one count, also when they are sealed together */
#include "core/seal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../lib/t_seal.h"
#include "core/multifd.h"
#include "xdpmig/limits.h"

static void xm_seal_open__each_once(void **state)
{
	struct t_seal *t = *state;
	const struct xm_frame f[] = { two_pages(),
				      plain(XM_WIRE_HEADER, XM_MULTIFD_LEN),
				      plain(XM_WIRE_ACK, 24),
				      plain(XM_WIRE_PROBE, 8) };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct t_frame p = seal(&t->src.seal, f[i]);

		assert_int_equal(open_copy(&t->dst.seal, &t->f, &p),
				 XM_DROP_NONE);
		assert_int_equal(open_copy(&t->dst.seal, &t->f, &p),
				 XM_DROP_REPLAYED);
		free(p.b);
	}
}

/* Is the ACK with this count taken? */
static enum xm_drop take_count(struct t_seal *t, uint64_t count)
{
	struct t_frame p;
	enum xm_drop drop;

	t->dst.seal.count = count;
	p = seal(&t->dst.seal, plain(XM_WIRE_ACK, 24));
	drop = open_copy(&t->src.seal, &t->f, &p);
	free(p.b);
	return drop;
}

static void xm_seal_open__in_any_order(void **state)
{
	static const struct {
		uint64_t count;
		enum xm_drop drop;
	} step[] = {
		{ 3, XM_DROP_NONE },
		{ 1, XM_DROP_NONE },
		{ 2, XM_DROP_NONE },
		{ 66, XM_DROP_NONE },
		{ 65, XM_DROP_NONE },
		{ 4, XM_DROP_NONE },
		{ 66, XM_DROP_REPLAYED },
		{ 8191, XM_DROP_NONE },
		{ 0, XM_DROP_NONE }, /* the oldest that is remembered */
		{ 8193, XM_DROP_NONE },
		{ 1, XM_DROP_REPLAYED }, /* too old to tell */
		{ 2, XM_DROP_REPLAYED }, /* remembered */
		{ 5, XM_DROP_NONE },
		{ 8192, XM_DROP_NONE },
		{ 8191, XM_DROP_REPLAYED },
		{ 100000, XM_DROP_NONE },
		{ 8194, XM_DROP_REPLAYED },
		{ 100000 - 8191, XM_DROP_NONE },
		{ 100000 - 8192, XM_DROP_REPLAYED },
	};
	struct t_seal *t = *state;
	unsigned int i;

	for (i = 0; i < sizeof(step) / sizeof(step[0]); i++)
		assert_int_equal(take_count(t, step[i].count), step[i].drop);
}

/* Counts come in random order, each twice: each is taken once, unless it is
 * older than what is remembered. */
static void xm_seal_open__as_a_list_would_remember(void **state)
{
	static bool taken[40000];
	struct t_seal *t = *state;
	uint64_t newest = 0, count;
	unsigned int i;
	bool is_new;

	memset(taken, 0, sizeof(taken));
	for (i = 0; i < 20000; i++) {
		count = i + (uint64_t)random() % 20000;
		is_new = !taken[count] &&
			 (count > newest || newest - count < XM_COUNTS);
		assert_int_equal(take_count(t, count),
				 is_new ? XM_DROP_NONE : XM_DROP_REPLAYED);
		taken[count] = true;
		if (count > newest)
			newest = count;
	}
}

static void xm_seal_open__damage_does_not_spoil_the_frame(void **state)
{
	struct t_seal *t = *state;
	struct t_frame p = seal(&t->dst.seal, plain(XM_WIRE_ACK, 24));

	p.b[20] ^= 1;
	assert_int_equal(open_copy(&t->src.seal, &t->f, &p), XM_DROP_BAD_TAG);
	p.b[20] ^= 1;
	p.b[p.len - 1] ^= 1;
	assert_int_equal(open_copy(&t->src.seal, &t->f, &p), XM_DROP_BAD_TAG);
	p.b[p.len - 1] ^= 1;
	assert_int_equal(open_copy(&t->src.seal, &t->f, &p), XM_DROP_NONE);
	free(p.b);
}

/* -- runs ------------------------------------------------------------------------- */

#define RUN 7
#define AT  42 /* of a header in its buffer */

/* Frames of DATA whose headers are written, and not sealed yet. */
struct t_run {
	uint8_t b[RUN][AT + XM_WIRE_HEADER_MAX];
	uint8_t *buf[RUN];
	uint32_t crc[RUN];
	size_t hdr_len;
};

static void run_put(struct t_run *run)
{
	struct xm_frame f = two_pages();
	unsigned int i;

	for (i = 0; i < RUN; i++, f.seq++) {
		run->buf[i] = run->b[i];
		run->crc[i] = 0x01020304 * (i + 1);
		run->hdr_len = xm_frame_put(run->b[i] + AT, &f);
	}
}

static int run_seal(struct xm_seal *s, struct t_run *run)
{
	run_put(run);
	return xm_seal_run(s, run->buf, RUN, AT, run->hdr_len, run->crc);
}

/* From @count on a run has the bytes that one frame after the other has, and the peer
 * takes it. */
static void check_run(struct t_seal *t, uint64_t count)
{
	struct t_run run, one;
	struct t_end other;
	unsigned int i;

	end_open(&other, t->secret, CHANNEL, true, false);
	t->src.seal.count = other.seal.count = count;
	assert_int_equal(run_seal(&t->src.seal, &run), 0);
	assert_int_equal(t->src.seal.count, count + RUN);
	run_put(&one);
	for (i = 0; i < RUN; i++) {
		assert_int_equal(xm_seal_frame(&other.seal, one.b[i] + AT,
					       one.hdr_len, one.crc[i], NULL,
					       PAYLOAD),
				 0);
		assert_memory_equal(run.b[i] + AT, one.b[i] + AT, one.hdr_len);
		assert_int_equal(xm_frame_count(run.b[i] + AT), count + i);
		assert_int_equal(xm_seal_open(&t->dst.seal, &t->f,
					      run.b[i] + AT, run.hdr_len, NULL,
					      0, run.hdr_len + PAYLOAD),
				 XM_DROP_NONE);
		assert_int_equal(t->f.payload_crc, run.crc[i]);
	}
	frame_keys_free(other.keys);
}

static void xm_seal_run__is_as_one_by_one(void **state)
{
	check_run(*state, 0);
}

/* With a new key from the fourth frame on, and from the first. */
static void xm_seal_run__renews_the_key_where_it_is_due(void **state)
{
	check_run(*state, (1ull << XM_REKEY_SHIFT) - 3);
	check_run(*state, (2ull << XM_REKEY_SHIFT) - RUN);
	check_run(*state, 2ull << XM_REKEY_SHIFT);
}

static void xm_seal_run__without_keys(void **state)
{
	struct t_run run, one;
	struct xm_seal s;
	unsigned int i;

	(void)state;
	assert_int_equal(xm_seal_init(&s, NULL, NULL, false), 0);
	assert_int_equal(run_seal(&s, &run), 0);
	run_put(&one);
	for (i = 0; i < RUN; i++) {
		xm_frame_sum(one.b[i] + AT, one.crc[i]);
		assert_memory_equal(run.b[i] + AT, one.b[i] + AT, one.hdr_len);
	}
}

static void xm_seal_run__ends_with_the_counts(void **state)
{
	struct t_seal *t = *state;
	struct t_run run;

	t->src.seal.count = XM_FRAME_COUNT_MAX - 2;
	assert_int_equal(run_seal(&t->src.seal, &run), -EOVERFLOW);
	assert_int_equal(t->src.seal.count, XM_FRAME_COUNT_MAX + 1);
	t->src.seal.count = 0; /* nothing makes up for it */
	assert_int_equal(run_seal(&t->src.seal, &run), -EOVERFLOW);
	assert_int_equal(t->src.seal.count, 0);
}

static unsigned int t_seals; /* calls until one fails */

static int seal_or_fail(void *ctx, uint64_t count, const struct xm_vec *aad,
			unsigned int n_aad, void *text, size_t len,
			uint8_t tag[XM_WIRE_TAG_LEN])
{
	return t_seals-- ? frame_keys_cipher.seal(ctx, count, aad, n_aad, text,
						  len, tag) :
			   -EIO;
}

static int make_or_fail(void *ctx, uint32_t generation)
{
	return generation ? -ENOMEM :
			    frame_keys_cipher.set_send(ctx, generation);
}

/* What was begun with a count never has it again. */
static void xm_seal_run__no_count_again_after_a_failure(void **state)
{
	struct xm_cipher cipher = frame_keys_cipher;
	struct t_seal *t = *state;
	struct xm_seal *s = &t->src.seal;
	struct t_run run;

	cipher.seal = seal_or_fail;
	cipher.set_send = make_or_fail;
	assert_int_equal(xm_seal_init(s, &cipher, t->src.keys, false), 0);
	t_seals = 3;
	assert_int_equal(run_seal(s, &run), -EIO);
	assert_in_range(s->count, 4, RUN);
	assert_int_equal(run_seal(s, &run), -EIO);

	assert_int_equal(xm_seal_init(s, &cipher, t->src.keys, false), 0);
	t_seals = 2 * RUN;
	s->count = 1ull << XM_REKEY_SHIFT;
	assert_int_equal(run_seal(s, &run), -ENOMEM);
	assert_int_equal(s->count, 1ull << XM_REKEY_SHIFT);
	assert_int_equal(t_seals, 2 * RUN);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_seal_open__each_once),
		T(xm_seal_open__in_any_order),
		T(xm_seal_open__as_a_list_would_remember),
		T(xm_seal_open__damage_does_not_spoil_the_frame),
		T(xm_seal_run__is_as_one_by_one),
		T(xm_seal_run__renews_the_key_where_it_is_due),
		T(xm_seal_run__without_keys),
		T(xm_seal_run__ends_with_the_counts),
		T(xm_seal_run__no_count_again_after_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
