// SPDX-License-Identifier: GPL-2.0-or-later
/* test_msg_hashes.c - what came to the messages with --verify: VERIFY, HASHES */
#include "core/msg.h"

#include "../lib/t_body.h"

static void make_hashes(struct t_body *t, uint32_t first, uint16_t n)
{
	unsigned int i;

	t->in.type = XM_MSG_HASHES;
	t->in.hashes.first = first;
	t->in.hashes.n = n;
	for (i = 0; i < n; i++)
		t->in.hashes.hash[i] = 0x0102030405060708 + i;
	t->len = xm_msg_put(t->buf, &t->in);
}

static void expect_the_same(struct t_body *t)
{
	memset(&t->out, 0xa5, sizeof(t->out));
	assert_int_equal(t_body_get(t, t->len), 0);
	assert_memory_equal(&t->out, &t->in, sizeof(t->in));
}

static void xm_msg_put__verify(void **state)
{
	static const uint8_t want[] = { 0x58, 0x4d, 1, 16, 0, 0, 0, 0 };
	struct t_body *t = *state;

	t_make_plain(t, XM_MSG_VERIFY);
	assert_int_equal(t->len, sizeof(want));
	assert_memory_equal(t->buf, want, sizeof(want));
	expect_the_same(t);
}

static void xm_msg_put__hashes_are_exact_to_the_byte(void **state)
{
	static const uint8_t want[] = {
		0x58, 0x4d, 1, 17, 0, 0, 0, 22, /* header */
		0xa,  0xb,  0, 0,  0, 2,        /* first, n */
		1,    2,    3, 4,  5, 6, 7, 8,  1, 2, 3, 4, 5, 6, 7, 9,
	};
	struct t_body *t = *state;

	make_hashes(t, 0x0a0b0000, 2);
	assert_int_equal(t->len, sizeof(want));
	assert_memory_equal(t->buf, want, sizeof(want));
	expect_the_same(t);
}

static void xm_msg_put__as_many_hashes_as_a_message_takes(void **state)
{
	struct t_body *t = *state;

	make_hashes(t, XM_STRIPES_MAX - XM_HASHES_CHUNK, XM_HASHES_CHUNK);
	assert_true(t->len <= XM_MSG_MAX);
	expect_the_same(t);
}

static void xm_msg_get__hashes_cut_anywhere(void **state)
{
	struct t_body *t = *state;
	size_t len;

	make_hashes(t, 5, 3);
	for (len = 0; len < 6 + 3 * 8; len++) {
		t_body_set_len(t, len);
		assert_int_equal(t_body_get(t, t->len), XM_MSG_E_LENGTH);
	}
}

static void xm_msg_get__no_hashes_at_all(void **state)
{
	struct t_body *t = *state;

	make_hashes(t, 5, 3);
	t->buf[XM_MSG_HEADER + 5] = 0;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VALUE);
}

static void xm_msg_get__more_hashes_than_a_message_takes(void **state)
{
	struct t_body *t = *state;

	make_hashes(t, 0, XM_HASHES_CHUNK);
	t_body_set_len(t, t->len - XM_MSG_HEADER + 8);
	t->buf[XM_MSG_HEADER + 4] = (XM_HASHES_CHUNK + 1) >> 8;
	t->buf[XM_MSG_HEADER + 5] = (XM_HASHES_CHUNK + 1) & 0xff;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VALUE);
}

static void xm_msg_get__longer_hashes(void **state)
{
	struct t_body *t = *state;

	make_hashes(t, 5, 3);
	t_body_set_len(t, t->len - XM_MSG_HEADER + 3);
	expect_the_same(t);
}

static void xm_msg_name__names_them(void **state)
{
	(void)state;
	assert_string_equal(xm_msg_name(XM_MSG_VERIFY), "VERIFY");
	assert_string_equal(xm_msg_name(XM_MSG_HASHES), "HASHES");
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, t_body_setup, t_body_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_msg_put__verify),
		T(xm_msg_put__hashes_are_exact_to_the_byte),
		T(xm_msg_put__as_many_hashes_as_a_message_takes),
		T(xm_msg_get__hashes_cut_anywhere),
		T(xm_msg_get__no_hashes_at_all),
		T(xm_msg_get__more_hashes_than_a_message_takes),
		T(xm_msg_get__longer_hashes),
		T(xm_msg_name__names_them),
	};

	return cmocka_run_group_tests_name("msg_hashes", tests, NULL, NULL);
}
