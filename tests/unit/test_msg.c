// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/msg.h"

#include "../lib/t_body.h"

/* Bytes that were appended to t_make_hello()'s: machine, name, page sizes. */
#define HELLO_MORE (2 + 10 + 2 + 4 + 2 * 4)

static void expect_the_same(struct t_body *t)
{
	memset(&t->out, 0xa5, sizeof(t->out));
	assert_int_equal(t_body_get(t, t->len), 0);
	assert_memory_equal(&t->out, &t->in, sizeof(t->in));
}

/* -- encoding -------------------------------------------------------------- */

static void xm_msg_put__header_is_exact_to_the_byte(void **state)
{
	static const uint8_t want[] = { 0x58, 0x4d, 1, 11, 0, 0, 0, 0 };
	struct t_body *t = *state;

	t_make_plain(t, XM_MSG_HEARTBEAT);
	assert_int_equal(t->len, sizeof(want));
	assert_memory_equal(t->buf, want, sizeof(want));
}

static void xm_msg_put__hello_is_exact_to_the_byte(void **state)
{
	static const uint8_t want[] = {
		0x58, 0x4d, 1,    1,    0,    0,    0,    0x5e, /* header */
		0,    1,    0,    7,                            /* versions */
		1,    2,    3,    4,    5,    6,    7,    8,    /* features */
		0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, /* session */
		0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
		0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, /* uuid */
		0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f,
		0,    16,   0xf2, 0,                         /* port */
		0,    0,    0x23, 0x28, 0,    15,            /* ip_max */
		0,    1,                                     /* blocks */
		0,    0,    0,    1,    0,    0,    0,    0, /* length */
		0,    6,    'p',  'c',  '.',  'r',  'a',  'm',
		0,    10,   'p',  'c',  '-',  'q',  '3',  '5', /* machine */
		'-',  '7',  '.',  '2',  0,    4,    'w',  'e',
		'b',  '1',           /* name */
		0,    0x20, 0,    0, /* page size */
	};
	struct t_body *t = *state;

	t_make_hello(t);
	t->in.hello.n_blocks = 1;
	t->len = xm_msg_put(t->buf, &t->in);
	assert_int_equal(t->len, sizeof(want));
	assert_memory_equal(t->buf, want, sizeof(want));
}

static void xm_msg_put__abort_is_exact_to_the_byte(void **state)
{
	static const uint8_t want[] = {
		0x58, 0x4d, 1, 10, 0, 0, 0, 6, 0, 17, 0, 2, 'n', 'o',
	};
	struct t_body *t = *state;

	t->in.type = XM_MSG_ABORT;
	t->in.abort.reason = XM_REASON_INTEGRITY;
	strcpy(t->in.abort.text, "no");
	t->len = xm_msg_put(t->buf, &t->in);
	assert_int_equal(t->len, sizeof(want));
	assert_memory_equal(t->buf, want, sizeof(want));
}

static void xm_msg_put__the_largest_messages_fit(void **state)
{
	struct t_body *t = *state;
	struct xm_msg_hello *m = &t->in.hello;
	unsigned int i;

	t_make_hello(t);
	m->n_blocks = XM_BLOCK_MAX;
	for (i = 0; i < XM_BLOCK_MAX; i++)
		memset(m->block[i].name, 'x', XM_BLOCK_NAME - 1);
	memset(m->machine, 'x', XM_MSG_NAME - 1);
	memset(m->name, 'x', XM_MSG_NAME - 1);
	assert_in_range(xm_msg_put(t->buf, &t->in), 1, XM_MSG_MAX);
	t_make_epoch(t, XM_MSG_EPOCH_END);
	assert_in_range(t->len, 1, XM_MSG_MAX);
}

static void xm_msg_put__cuts_a_text_without_an_end(void **state)
{
	struct t_body *t = *state;

	t_make_abort(t);
	memset(t->in.abort.text, 'x', XM_MSG_TEXT);
	t->len = xm_msg_put(t->buf, &t->in);
	assert_int_equal(t->len, XM_MSG_HEADER + 4 + XM_MSG_TEXT - 1);
	assert_int_equal(t_body_get(t, t->len), 0);
}

/* -- peeking --------------------------------------------------------------- */

static void xm_msg_peek__tells_the_bodys_length(void **state)
{
	struct t_body *t = *state;
	size_t len = 0;

	t_make_abort(t);
	assert_int_equal(xm_msg_peek(t->buf, &len), 0);
	assert_int_equal(len, t->len - XM_MSG_HEADER);
}

static void xm_msg_peek__another_magic(void **state)
{
	struct t_body *t = *state;
	size_t len = 77;

	t_make_abort(t);
	t->buf[1] ^= 1;
	assert_int_equal(xm_msg_peek(t->buf, &len), XM_MSG_E_MAGIC);
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_MAGIC);
	assert_int_equal(len, 77);
}

static void xm_msg_peek__refuses_more_than_a_message_may_have(void **state)
{
	struct t_body *t = *state;
	size_t len = 0;

	t_make_abort(t);
	t_body_set_len(t, XM_MSG_MAX - XM_MSG_HEADER);
	assert_int_equal(xm_msg_peek(t->buf, &len), 0);
	assert_int_equal(len, XM_MSG_MAX - XM_MSG_HEADER);
	t_body_set_len(t, XM_MSG_MAX - XM_MSG_HEADER + 1);
	assert_int_equal(xm_msg_peek(t->buf, &len), XM_MSG_E_LENGTH);
	t_body_set_len(t, UINT32_MAX);
	assert_int_equal(xm_msg_peek(t->buf, &len), XM_MSG_E_LENGTH);
}

static void xm_msg_peek__lets_any_version_and_type_through(void **state)
{
	struct t_body *t = *state;
	size_t len;

	t_make_abort(t);
	t->buf[2] = 9;
	t->buf[3] = 99;
	assert_int_equal(xm_msg_peek(t->buf, &len), 0);
}

/* -- round trips ----------------------------------------------------------- */

static void xm_msg_get__hello(void **state)
{
	t_make_hello(*state);
	expect_the_same(*state);
}

static void xm_msg_get__hello_with_the_most_of_all(void **state)
{
	struct t_body *t = *state;
	struct xm_msg_hello *m = &t->in.hello;
	unsigned int i;

	t_make_hello(t);
	m->n_channels = XM_CHAN_MAX;
	m->port_base = 65536 - XM_CHAN_MAX;
	m->ip_max = XM_MTU_MAX;
	m->n_blocks = XM_BLOCK_MAX;
	for (i = 0; i < XM_BLOCK_MAX; i++)
		memset(m->block[i].name, 'a' + (int)i, XM_BLOCK_NAME - 1);
	memset(m->machine, 'x', XM_MSG_NAME - 1);
	memset(m->name, 'y', XM_MSG_NAME - 1);
	t->len = xm_msg_put(t->buf, &t->in);
	expect_the_same(t);
}

static void xm_msg_get__hello_with_the_least_of_all(void **state)
{
	struct t_body *t = *state;
	struct xm_msg_hello *m = &t->in.hello;

	t_make_hello(t);
	m->n_channels = 1;
	m->port_base = 1;
	m->ip_max = XM_MTU_MIN;
	m->max_pages = 1;
	m->n_blocks = 1;
	memset(&m->block[1], 0, sizeof(m->block[1]));
	t->len = xm_msg_put(t->buf, &t->in);
	expect_the_same(t);
}

static void xm_msg_get__welcome_with_the_highest_ports(void **state)
{
	struct t_body *t = *state;

	t_make_welcome(t);
	t->in.welcome.port_base = 65536 - XM_CHAN_MAX;
	t->len = xm_msg_put(t->buf, &t->in);
	expect_the_same(t);
}

static void xm_msg_get__welcome(void **state)
{
	t_make_welcome(*state);
	expect_the_same(*state);
}

static void xm_msg_get__proven(void **state)
{
	t_make_plain(*state, XM_MSG_PROVEN);
	expect_the_same(*state);
}

static void xm_msg_get__epoch_begin(void **state)
{
	t_make_epoch(*state, XM_MSG_EPOCH_BEGIN);
	expect_the_same(*state);
}

static void xm_msg_get__epoch_ready(void **state)
{
	t_make_epoch(*state, XM_MSG_EPOCH_READY);
	expect_the_same(*state);
}

static void xm_msg_get__epoch_end(void **state)
{
	t_make_epoch(*state, XM_MSG_EPOCH_END);
	expect_the_same(*state);
}

static void xm_msg_get__epoch_done(void **state)
{
	t_make_epoch(*state, XM_MSG_EPOCH_DONE);
	expect_the_same(*state);
}

static void xm_msg_get__commit(void **state)
{
	t_make_plain(*state, XM_MSG_COMMIT);
	expect_the_same(*state);
}

static void xm_msg_get__committed(void **state)
{
	t_make_plain(*state, XM_MSG_COMMITTED);
	expect_the_same(*state);
}

static void xm_msg_get__abort(void **state)
{
	t_make_abort(*state);
	expect_the_same(*state);
}

static void xm_msg_get__abort_with_the_longest_text(void **state)
{
	struct t_body *t = *state;

	t_make_abort(t);
	memset(t->in.abort.text, 'x', XM_MSG_TEXT - 1);
	t->len = xm_msg_put(t->buf, &t->in);
	expect_the_same(t);
}

static void xm_msg_get__heartbeat(void **state)
{
	t_make_plain(*state, XM_MSG_HEARTBEAT);
	expect_the_same(*state);
}

/* -- what ends too soon ---------------------------------------------------- */

/* Each shorter body is too short, and each shorter message not whole; but for
 * a body of @older bytes, which an older peer sends. */
static void cut_everywhere_but(struct t_body *t, size_t older)
{
	size_t whole = t->len, len;

	for (len = 0; len < whole; len++)
		assert_int_equal(t_body_get(t, len), XM_MSG_E_LENGTH);
	for (len = 0; len < whole - XM_MSG_HEADER; len++) {
		t_body_set_len(t, len);
		assert_int_equal(t_body_get(t, t->len),
				 len == older ? 0 : XM_MSG_E_LENGTH);
	}
}

static void cut_everywhere(struct t_body *t)
{
	cut_everywhere_but(t, SIZE_MAX);
}

static void xm_msg_get__hello_cut_anywhere(void **state)
{
	struct t_body *t = *state;

	t_make_hello(t);
	cut_everywhere_but(t, t->len - XM_MSG_HEADER - HELLO_MORE);
}

static void xm_msg_get__welcome_cut_anywhere(void **state)
{
	t_make_welcome(*state);
	cut_everywhere(*state);
}

static void xm_msg_get__epoch_begin_cut_anywhere(void **state)
{
	t_make_epoch(*state, XM_MSG_EPOCH_BEGIN);
	cut_everywhere(*state);
}

static void xm_msg_get__epoch_end_cut_anywhere(void **state)
{
	t_make_epoch(*state, XM_MSG_EPOCH_END);
	cut_everywhere(*state);
}

static void xm_msg_get__abort_cut_anywhere(void **state)
{
	t_make_abort(*state);
	cut_everywhere(*state);
}

/* -- what goes on too long ------------------------------------------------- */

/* A later version's body: the fields known here, then others. */
static void lengthen(struct t_body *t)
{
	memset(t->buf + t->len, 0xa5, 9);
	t_body_set_len(t, t->len - XM_MSG_HEADER + 9);
}

static void xm_msg_get__longer_hello(void **state)
{
	t_make_hello(*state);
	lengthen(*state);
	expect_the_same(*state);
}

static void xm_msg_get__longer_welcome(void **state)
{
	t_make_welcome(*state);
	lengthen(*state);
	expect_the_same(*state);
}

static void xm_msg_get__longer_epoch_end(void **state)
{
	t_make_epoch(*state, XM_MSG_EPOCH_END);
	lengthen(*state);
	expect_the_same(*state);
}

static void xm_msg_get__longer_commit(void **state)
{
	t_make_plain(*state, XM_MSG_COMMIT);
	lengthen(*state);
	expect_the_same(*state);
}

static void xm_msg_get__more_bytes_than_its_length(void **state)
{
	struct t_body *t = *state;

	t_make_abort(t);
	assert_int_equal(t_body_get(t, t->len + 1), XM_MSG_E_LENGTH);
}

/* -- values ---------------------------------------------------------------- */

static void xm_msg_get__another_version(void **state)
{
	struct t_body *t = *state;

	t_make_abort(t);
	t->buf[2] = 2;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VERSION);
	t->buf[2] = 0;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VERSION);
}

static void xm_msg_get__unknown_types(void **state)
{
	struct t_body *t = *state;

	t_make_abort(t);
	t->buf[3] = 0;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_TYPE);
	t->buf[3] = XM_MSG_HASHES + 1;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_TYPE);
	t->buf[3] = 255;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_TYPE);
}

/* HELLO is refused when a field that is 16 or 32 bits wide has this value. */
static void refuse_hello(struct t_body *t, size_t at, uint32_t value,
			 unsigned int bytes)
{
	t_make_hello(t);
	while (bytes--) {
		t->buf[XM_MSG_HEADER + at + bytes] = (uint8_t)value;
		value >>= 8;
	}
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VALUE);
}

static void xm_msg_get__hello_with_no_or_too_many_channels(void **state)
{
	refuse_hello(*state, 44, 0, 2);
	refuse_hello(*state, 44, XM_CHAN_MAX + 1, 2);
	refuse_hello(*state, 44, UINT16_MAX, 2);
}

static void xm_msg_get__hello_with_ports_that_wrap(void **state)
{
	refuse_hello(*state, 46, 0, 2);
	refuse_hello(*state, 46, 65536 - XM_CHAN_MAX + 1, 2);
}

static void xm_msg_get__hello_with_frames_that_cannot_be(void **state)
{
	refuse_hello(*state, 48, XM_MTU_MIN - 1, 4);
	refuse_hello(*state, 48, XM_MTU_MAX + 1, 4);
	refuse_hello(*state, 52, 0, 2);
}

static void xm_msg_get__hello_with_no_or_too_many_blocks(void **state)
{
	refuse_hello(*state, 54, 0, 2);
	refuse_hello(*state, 54, XM_BLOCK_MAX + 1, 2);
	refuse_hello(*state, 54, UINT16_MAX, 2);
}

static void xm_msg_get__hello_with_a_name_too_long(void **state)
{
	refuse_hello(*state, 64, XM_BLOCK_NAME, 2);
	refuse_hello(*state, 64, UINT16_MAX, 2);
}

static void xm_msg_get__hello_with_a_block_without_a_name(void **state)
{
	refuse_hello(*state, 64, 0, 2);
	refuse_hello(*state, 66, 0, 1);
}

static void xm_msg_get__hello_with_a_name_cut_by_a_nul(void **state)
{
	refuse_hello(*state, 67, 0, 1);
}

static void refuse_welcome(struct t_body *t, size_t at, uint16_t value)
{
	t_make_welcome(t);
	t->buf[XM_MSG_HEADER + at] = (uint8_t)(value >> 8);
	t->buf[XM_MSG_HEADER + at + 1] = (uint8_t)value;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VALUE);
}

static void xm_msg_get__welcome_with_no_or_too_many_channels(void **state)
{
	refuse_welcome(*state, 10, 0);
	refuse_welcome(*state, 10, XM_CHAN_MAX + 1);
}

static void xm_msg_get__welcome_with_ports_that_wrap(void **state)
{
	refuse_welcome(*state, 12, 0);
	refuse_welcome(*state, 12, 65536 - XM_CHAN_MAX + 1);
}

static void xm_msg_get__welcome_with_frames_without_pages(void **state)
{
	refuse_welcome(*state, 18, 0);
}

static void xm_msg_get__epoch_end_with_too_many_channels(void **state)
{
	struct t_body *t = *state;

	t_make_epoch(t, XM_MSG_EPOCH_END);
	t->buf[XM_MSG_HEADER + 5] = 0xff;
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VALUE);
}

static void xm_msg_get__final_is_yes_or_no(void **state)
{
	struct t_body *t = *state;

	t_make_epoch(t, XM_MSG_EPOCH_BEGIN);
	t->buf[XM_MSG_HEADER + 4] = 0x80;
	expect_the_same(t);
}

static void xm_msg_get__abort_with_a_text_too_long(void **state)
{
	struct t_body *t = *state;

	t_make_abort(t);
	memset(t->buf + t->len, 'x', 400);
	t->buf[XM_MSG_HEADER + 3] = XM_MSG_TEXT;
	t_body_set_len(t, 400);
	assert_int_equal(t_body_get(t, t->len), XM_MSG_E_VALUE);
}

static void xm_msg_get__unknown_reasons_are_refusals(void **state)
{
	struct t_body *t = *state;

	t_make_abort(t);
	t->buf[XM_MSG_HEADER] = 0xff;
	assert_int_equal(t_body_get(t, t->len), 0);
	assert_int_equal(t->out.abort.reason, XM_REASON_REFUSED);
	t->buf[XM_MSG_HEADER] = 0;
	t->buf[XM_MSG_HEADER + 1] = XM_REASON__COUNT;
	assert_int_equal(t_body_get(t, t->len), 0);
	assert_int_equal(t->out.abort.reason, XM_REASON_REFUSED);
	t->buf[XM_MSG_HEADER + 1] = XM_REASON_NONE;
	assert_int_equal(t_body_get(t, t->len), 0);
	assert_int_equal(t->out.abort.reason, XM_REASON_REFUSED);
}

/* -- names ----------------------------------------------------------------- */

static void xm_msg_name__as_the_protocol_writes_them(void **state)
{
	(void)state;
	assert_string_equal(xm_msg_name(XM_MSG_HELLO), "HELLO");
	assert_string_equal(xm_msg_name(XM_MSG_EPOCH_END), "EPOCH_END");
	assert_string_equal(xm_msg_name(XM_MSG_HEARTBEAT), "HEARTBEAT");
	assert_string_equal(xm_msg_name((enum xm_msg_type)0), "unknown");
	assert_string_equal(xm_msg_name(XM_MSG_DEVICE_ACK), "DEVICE_ACK");
	assert_string_equal(xm_msg_name(XM_MSG_LOADED), "LOADED");
	assert_string_equal(xm_msg_name((enum xm_msg_type)18), "unknown");
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, t_body_setup, t_body_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_msg_put__header_is_exact_to_the_byte),
		T(xm_msg_put__hello_is_exact_to_the_byte),
		T(xm_msg_put__abort_is_exact_to_the_byte),
		T(xm_msg_put__the_largest_messages_fit),
		T(xm_msg_put__cuts_a_text_without_an_end),
		T(xm_msg_peek__tells_the_bodys_length),
		T(xm_msg_peek__another_magic),
		T(xm_msg_peek__refuses_more_than_a_message_may_have),
		T(xm_msg_peek__lets_any_version_and_type_through),
		T(xm_msg_get__hello),
		T(xm_msg_get__hello_with_the_most_of_all),
		T(xm_msg_get__hello_with_the_least_of_all),
		T(xm_msg_get__welcome_with_the_highest_ports),
		T(xm_msg_get__welcome),
		T(xm_msg_get__proven),
		T(xm_msg_get__epoch_begin),
		T(xm_msg_get__epoch_ready),
		T(xm_msg_get__epoch_end),
		T(xm_msg_get__epoch_done),
		T(xm_msg_get__commit),
		T(xm_msg_get__committed),
		T(xm_msg_get__abort),
		T(xm_msg_get__abort_with_the_longest_text),
		T(xm_msg_get__heartbeat),
		T(xm_msg_get__hello_cut_anywhere),
		T(xm_msg_get__welcome_cut_anywhere),
		T(xm_msg_get__epoch_begin_cut_anywhere),
		T(xm_msg_get__epoch_end_cut_anywhere),
		T(xm_msg_get__abort_cut_anywhere),
		T(xm_msg_get__longer_hello),
		T(xm_msg_get__longer_welcome),
		T(xm_msg_get__longer_epoch_end),
		T(xm_msg_get__longer_commit),
		T(xm_msg_get__more_bytes_than_its_length),
		T(xm_msg_get__another_version),
		T(xm_msg_get__unknown_types),
		T(xm_msg_get__hello_with_no_or_too_many_channels),
		T(xm_msg_get__hello_with_ports_that_wrap),
		T(xm_msg_get__hello_with_frames_that_cannot_be),
		T(xm_msg_get__hello_with_no_or_too_many_blocks),
		T(xm_msg_get__hello_with_a_name_too_long),
		T(xm_msg_get__hello_with_a_block_without_a_name),
		T(xm_msg_get__hello_with_a_name_cut_by_a_nul),
		T(xm_msg_get__welcome_with_no_or_too_many_channels),
		T(xm_msg_get__welcome_with_ports_that_wrap),
		T(xm_msg_get__welcome_with_frames_without_pages),
		T(xm_msg_get__epoch_end_with_too_many_channels),
		T(xm_msg_get__final_is_yes_or_no),
		T(xm_msg_get__abort_with_a_text_too_long),
		T(xm_msg_get__unknown_reasons_are_refusals),
		T(xm_msg_name__as_the_protocol_writes_them),
	};

	return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
