// SPDX-License-Identifier: GPL-2.0-or-later
/* test_msg_device.c - what came to the messages with device state: four types
 * of their own, and what HELLO says about the guest; the others are
 * test_msg.c's
 */
#include "core/msg.h"

#include "../lib/t_body.h"

static const uint8_t piece[] = { 0xde, 0xad, 0xbe, 0xef, 0x00 };

static void make_device(struct t_body *t, uint64_t offset, const uint8_t *data,
			uint32_t len)
{
	t->in.type = XM_MSG_DEVICE;
	t->in.device.offset = offset;
	t->in.device.len = len;
	t->in.device.data = data;
	t->len = xm_msg_put(t->buf, &t->in);
}

static void expect_bytes(struct t_body *t, const uint8_t *want, size_t len)
{
	assert_int_equal(t->len, len);
	assert_memory_equal(t->buf, want, len);
}

/* -- DEVICE ---------------------------------------------------------------- */

static void xm_msg_put__device_is_exact_to_the_byte(void **state)
{
	static const uint8_t want[] = {
		0x58, 0x4d, 1, 12, 0,    0,    0,    17, /* header */
		1,    2,    3, 4,  5,    6,    7,    8,  /* offset */
		0,    0,    0, 5,  0xde, 0xad, 0xbe, 0xef, 0,
	};

	make_device(*state, 0x0102030405060708, piece, sizeof(piece));
	expect_bytes(*state, want, sizeof(want));
}

static void xm_msg_get__device_points_into_the_message(void **state)
{
	struct t_body *t = *state;

	make_device(t, 77, piece, sizeof(piece));
	assert_int_equal(xm_msg_get(&t->out, t->buf, t->len), 0);
	assert_int_equal(t->out.type, XM_MSG_DEVICE);
	assert_int_equal(t->out.device.offset, 77);
	assert_int_equal(t->out.device.len, sizeof(piece));
	assert_ptr_equal(t->out.device.data, t->buf + XM_MSG_HEADER + 12);
	assert_memory_equal(t->out.device.data, piece, sizeof(piece));
}

static void xm_msg_get__device_of_the_largest_size(void **state)
{
	static uint8_t data[XM_DEVICE_CHUNK];
	struct t_body *t = *state;

	memset(data, 0x77, sizeof(data));
	make_device(t, 0, data, sizeof(data));
	assert_in_range(t->len, sizeof(data), XM_MSG_MAX);
	assert_int_equal(xm_msg_get(&t->out, t->buf, t->len), 0);
	assert_memory_equal(t->out.device.data, data, sizeof(data));
}

static void xm_msg_get__device_of_one_byte_more(void **state)
{
	static uint8_t data[XM_DEVICE_CHUNK];
	struct t_body *t = *state;

	make_device(t, 0, data, sizeof(data));
	t->buf[XM_MSG_HEADER + 11]++;
	t->buf[t->len] = 1;
	t_body_set_len(t, t->len - XM_MSG_HEADER + 1);
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VALUE);
}

static void xm_msg_get__device_of_no_byte(void **state)
{
	struct t_body *t = *state;

	make_device(t, 0, piece, 1);
	t->buf[XM_MSG_HEADER + 11] = 0;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VALUE);
}

static void xm_msg_get__device_beyond_all_offsets(void **state)
{
	struct t_body *t = *state;

	make_device(t, UINT64_MAX - sizeof(piece), piece, sizeof(piece));
	assert_int_equal(t_body_get(t, t->len), 0);
	make_device(t, UINT64_MAX - sizeof(piece) + 1, piece, sizeof(piece));
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VALUE);
}

static void cut_everywhere(struct t_body *t)
{
	size_t whole = t->len, len;

	for (len = 0; len < whole - XM_MSG_HEADER; len++) {
		t_body_set_len(t, len);
		assert_int_equal(t_body_get(t, t->len), XM_MSG_E_LENGTH);
	}
}

static void xm_msg_get__device_cut_anywhere(void **state)
{
	make_device(*state, 77, piece, sizeof(piece));
	cut_everywhere(*state);
}

static void xm_msg_get__device_that_says_more_than_it_has(void **state)
{
	struct t_body *t = *state;

	make_device(t, 77, piece, sizeof(piece));
	t->buf[XM_MSG_HEADER + 11]++;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_LENGTH);
	memset(t->buf + XM_MSG_HEADER + 8, 0xff, 4);
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_LENGTH);
}

static void xm_msg_get__longer_device(void **state)
{
	struct t_body *t = *state;

	make_device(t, 77, piece, sizeof(piece));
	t_body_set_len(t, t->len - XM_MSG_HEADER + 3);
	assert_int_equal(xm_msg_get(&t->out, t->buf, t->len), 0);
	assert_int_equal(t->out.device.len, sizeof(piece));
}

/* -- DEVICE_ACK, DEVICE_END, LOADED ---------------------------------------- */

static void expect_the_same(struct t_body *t)
{
	memset(&t->out, 0xa5, sizeof(t->out));
	assert_int_equal(t_body_get(t, t->len), 0);
	assert_memory_equal(&t->out, &t->in, sizeof(t->in));
}

static void xm_msg_put__device_ack(void **state)
{
	static const uint8_t want[] = {
		0x58, 0x4d, 1, 13, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8,
	};
	struct t_body *t = *state;

	t->in.type = XM_MSG_DEVICE_ACK;
	t->in.device_ack.bytes = 0x0102030405060708;
	t->len = xm_msg_put(t->buf, &t->in);
	expect_bytes(t, want, sizeof(want));
	expect_the_same(t);
	cut_everywhere(t);
}

static void xm_msg_put__device_end(void **state)
{
	static const uint8_t want[] = {
		0x58, 0x4d, 1, 14, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 1,
	};
	struct t_body *t = *state;

	t->in.type = XM_MSG_DEVICE_END;
	t->in.device_end.total = 0x0102030405060708;
	t->in.device_end.runs = 1;
	t->len = xm_msg_put(t->buf, &t->in);
	expect_bytes(t, want, sizeof(want));
	expect_the_same(t);
	t->buf[t->len - 1] = 0x80; /* it ran, or it did not */
	expect_the_same(t);
	cut_everywhere(t);
}

static void xm_msg_put__loaded(void **state)
{
	static const uint8_t want[] = { 0x58, 0x4d, 1, 15, 0, 0, 0, 0 };
	struct t_body *t = *state;

	t_make_plain(t, XM_MSG_LOADED);
	expect_bytes(t, want, sizeof(want));
	expect_the_same(t);
}

/* -- HELLO ----------------------------------------------------------------- */

/* Where the fields begin that are behind the blocks of t_make_hello(). */
static size_t hello_more(struct t_body *t)
{
	t_make_hello(t);
	return t->len - (2 + strlen(t->in.hello.machine)) -
	       (2 + strlen(t->in.hello.name)) -
	       4 * (size_t)t->in.hello.n_blocks;
}

static void hello__an_older_peers_says_nothing_of_the_guest(void **state)
{
	struct t_body *t = *state;
	size_t at = hello_more(t);

	t_body_set_len(t, at - XM_MSG_HEADER);
	memset(&t->out, 0xa5, sizeof(t->out));
	assert_int_equal(t_body_get(t, t->len), 0);
	memset(t->in.hello.machine, 0, XM_MSG_NAME);
	memset(t->in.hello.name, 0, XM_MSG_NAME);
	t->in.hello.block[0].page_size = 0;
	assert_memory_equal(&t->out, &t->in, sizeof(t->in));
}

static void hello__names_that_are_too_long(void **state)
{
	struct t_body *t = *state;
	size_t at = hello_more(t);

	t->buf[at + 1] = XM_MSG_NAME;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VALUE);
	at = hello_more(t) + 2 + strlen(t->in.hello.machine);
	t->buf[at] = 0xff;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VALUE);
}

static void hello__names_without_an_end_are_cut(void **state)
{
	struct t_body *t = *state;

	t_make_hello(t);
	memset(t->in.hello.machine, 'x', XM_MSG_NAME);
	t->len = xm_msg_put(t->buf, &t->in);
	assert_int_equal(t_body_get(t, t->len), 0);
	assert_int_equal(strlen(t->out.hello.machine), XM_MSG_NAME - 1);
}

static int get_page_size(struct t_body *t, uint32_t size)
{
	t_make_hello(t);
	t->in.hello.block[1].page_size = size;
	t->len = xm_msg_put(t->buf, &t->in);
	return t_body_get(t, t->len);
}

static void hello__page_sizes_are_powers_of_two(void **state)
{
	assert_int_equal(get_page_size(*state, 0), 0);
	assert_int_equal(get_page_size(*state, 4096), 0);
	assert_int_equal(get_page_size(*state, 1u << 30), 0);
	assert_int_equal(get_page_size(*state, 1u << 31), 0);
	assert_int_equal(get_page_size(*state, 2048), XM_MSG_E_VALUE);
	assert_int_equal(get_page_size(*state, 4097), XM_MSG_E_VALUE);
	assert_int_equal(get_page_size(*state, 3 << 20), XM_MSG_E_VALUE);
	assert_int_equal(get_page_size(*state, UINT32_MAX), XM_MSG_E_VALUE);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, t_body_setup, t_body_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_msg_put__device_is_exact_to_the_byte),
		T(xm_msg_get__device_points_into_the_message),
		T(xm_msg_get__device_of_the_largest_size),
		T(xm_msg_get__device_of_one_byte_more),
		T(xm_msg_get__device_of_no_byte),
		T(xm_msg_get__device_beyond_all_offsets),
		T(xm_msg_get__device_cut_anywhere),
		T(xm_msg_get__device_that_says_more_than_it_has),
		T(xm_msg_get__longer_device),
		T(xm_msg_put__device_ack),
		T(xm_msg_put__device_end),
		T(xm_msg_put__loaded),
		T(hello__an_older_peers_says_nothing_of_the_guest),
		T(hello__names_that_are_too_long),
		T(hello__names_without_an_end_are_cut),
		T(hello__page_sizes_are_powers_of_two),
	};

	return cmocka_run_group_tests_name("msg_device", tests, NULL, NULL);
}
