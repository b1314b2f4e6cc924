// SPDX-License-Identifier: GPL-2.0-or-later
/* test_probe.c - proving a path, over pipes that lose, filter and shorten */
#include "core/probe.h"

#include "../lib/t_probe.h"

/* -- frames ---------------------------------------------------------------- */

static size_t fill(struct xm_probe *p, struct xm_time now, uint16_t *ret_port)
{
	uint8_t *buf = malloc(p->opts.size); /* the sanitizer looks on */
	size_t len;

	assert_non_null(buf);
	len = xm_probe_fill(p, now, buf, ret_port);
	free(buf);
	return len;
}

static void xm_probe_fill__begins_with_the_steered_port(void **state)
{
	struct t_pair *t = *state;
	uint16_t port = 0;

	assert_true(fill(&t->side[0], t->now, &port) > 0);
	assert_int_equal(port, T_PORT);
	assert_true(fill(&t->side[0], t->now, &port) > 0);
	assert_int_equal(port, T_FIRST);
	assert_true(fill(&t->side[0], t->now, &port) > 0);
	assert_int_equal(port, T_FIRST + 1);
}

static void xm_probe_fill__a_burst_and_then_a_pause(void **state)
{
	struct t_pair *t = *state;
	struct xm_time begin = t->now;
	unsigned int n = 0;
	uint16_t port;

	while (fill(&t->side[0], begin, &port))
		if (++n < XM_PROBE_BURST)
			assert_int_equal(xm_probe_expiry(&t->side[0]).ns, 0);
	assert_int_equal(n, XM_PROBE_BURST);
	assert_int_equal(xm_probe_expiry(&t->side[0]).ns,
			 xm_time_add(begin, XM_PROBE_EVERY_US * XM_US).ns);
	t->now = xm_time_add(begin, XM_PROBE_EVERY_US * XM_US - 1);
	assert_int_equal(fill(&t->side[0], t->now, &port), 0);
	t->now = xm_time_add(begin, XM_PROBE_EVERY_US * XM_US);
	assert_true(fill(&t->side[0], t->now, &port) > 0);
}

static void xm_probe_fill__all_ports_well_before_the_deadline(void **state)
{
	struct t_pair *t = *state;
	struct xm_time end = xm_time_add(t->now, XM_PROBE_STALL_MS * XM_MS / 2);
	bool tried[XM_PROBE_PORTS] = { false };
	unsigned int n = 0;
	uint16_t port;

	end = xm_time_add(end, XM_PROBE_STALL_MS * XM_MS / 4);
	for (; xm_time_before(t->now, end);
	     t->now = xm_time_add(t->now, XM_PROBE_EVERY_US * XM_US)) {
		while (fill(&t->side[0], t->now, &port)) {
			if (port == T_PORT)
				continue;
			assert_in_range(port, T_FIRST,
					T_FIRST + XM_PROBE_PORTS - 1);
			n += !tried[port - T_FIRST];
			tried[port - T_FIRST] = true;
		}
	}
	assert_int_equal(n, XM_PROBE_PORTS);
}

static void xm_probe_fill__is_a_small_frame_while_it_searches(void **state)
{
	struct t_pair *t = *state;
	struct xm_wire_probe w;
	struct xm_frame f;
	uint8_t buf[T_SIZE];
	uint16_t port;
	size_t len, hdr_len;

	(void)xm_probe_fill(&t->side[0], t->now, buf, &port);
	len = xm_probe_fill(&t->side[0], t->now, buf, &port);
	assert_int_equal(len, XM_WIRE_HEADER_MIN + 8);
	assert_int_equal(xm_frame_get(&f, &hdr_len, buf, len, len),
			 XM_DROP_NONE);
	memcpy(&w, buf + hdr_len, sizeof(w));
	assert_int_equal(f.type, XM_WIRE_PROBE);
	assert_int_equal(f.cookie, T_COOKIE);
	assert_int_equal(f.channel, 3);
	assert_int_equal(f.epoch, 0);
	assert_int_equal(f.seq, 1);
	assert_int_equal(__builtin_bswap16(w.size),
			 20 + 8 + XM_WIRE_HEADER_MIN + 8);
	assert_int_equal(__builtin_bswap16(w.my_port), T_FIRST);
	assert_int_equal(w.seen_port, 0);
	assert_int_equal(w.seen_size, 0);
}

static void xm_probe_fill__then_it_has_the_agreed_size(void **state)
{
	struct t_pair *t = *state;

	t_pair_talk(t, 2000);
	assert_int_equal(t->side[0].seen_size, T_SIZE);
	assert_int_equal(t->side[1].seen_size, T_SIZE);
}

static void xm_probe_fill__with_the_longer_header_of_ipv6(void **state)
{
	struct t_pair *t = *state;
	struct xm_probe_opts o = t_probe_opts();
	struct xm_wire_probe w;
	uint8_t buf[T_SIZE];
	uint16_t port;

	o.ip_len = 40;
	xm_probe_init(&t->side[0], &o);
	assert_int_equal(xm_probe_fill(&t->side[0], t->now, buf, &port),
			 XM_WIRE_HEADER_MIN + 8);
	memcpy(&w, buf + XM_WIRE_HEADER_MIN, sizeof(w));
	assert_int_equal(__builtin_bswap16(w.size),
			 40 + 8 + XM_WIRE_HEADER_MIN + 8);
}

static void xm_probe_fill__its_rest_is_zeros(void **state)
{
	struct t_pair *t = *state;
	uint8_t buf[T_SIZE], zero[T_SIZE] = { 0 };
	uint16_t port;
	size_t len;

	t->side[0].my_port = T_PORT;
	memset(buf, 0xa5, sizeof(buf));
	(void)xm_probe_fill(&t->side[0], t->now, buf, &port); /* small */
	len = xm_probe_fill(&t->side[0], t->now, buf, &port);
	assert_int_equal(len, T_SIZE - 28);
	assert_memory_equal(buf + XM_WIRE_HEADER_MIN + 8, zero,
			    len - XM_WIRE_HEADER_MIN - 8);
}

static void xm_probe_fill__a_port_found_ends_the_burst(void **state)
{
	struct t_pair *t = *state;
	struct t_frame f = { 0 };
	uint16_t port;

	(void)fill(&t->side[0], t->now, &port);
	t->side[1].seen_port = T_PORT;
	f.len = xm_probe_fill(&t->side[1], t->now, f.buf, &f.sport);
	assert_int_equal(t_pair_take(t, 0, &f), XM_DROP_NONE);
	assert_int_equal(fill(&t->side[0], t->now, &port), T_SIZE - 28);
	assert_int_equal(port, T_PORT);
	assert_int_equal(fill(&t->side[0], t->now, &port), 0);
}

static void xm_probe_fill__a_port_found_is_worth_an_answer(void **state)
{
	struct t_pair *t = *state;
	struct t_frame f = { 0 };
	uint16_t port;

	f.len = xm_probe_fill(&t->side[1], t->now, f.buf, &f.sport);
	assert_int_equal(t_pair_take(t, 0, &f), XM_DROP_NONE);
	while (fill(&t->side[0], t->now, &port))
		;
	t->side[1].seen_port = T_PORT;
	t->side[1].n_tried = 0;
	f.len = xm_probe_fill(&t->side[1], t->now, f.buf, &f.sport);
	assert_int_equal(t_pair_take(t, 0, &f), XM_DROP_NONE);
	assert_int_equal(xm_probe_expiry(&t->side[0]).ns, 0);
	assert_int_equal(fill(&t->side[0], t->now, &port), T_SIZE - 28);
}

static void xm_probe_fill__no_small_ones_once_the_peers_size_came(void **state)
{
	struct t_pair *t = *state;
	uint16_t port;

	t->to[1].mtu = T_SIZE - 1;
	t_pair_talk(t, 50000);
	assert_int_equal(t->side[0].seen_size, T_SIZE);
	t->now = xm_probe_expiry(&t->side[0]);
	assert_int_equal(fill(&t->side[0], t->now, &port), T_SIZE - 28);
	assert_int_equal(fill(&t->side[0], t->now, &port), 0);
}

/* -- paths ----------------------------------------------------------------- */

static void path__plain(void **state)
{
	struct t_pair *t = *state;

	t_pair_talk(t, 1000);
	t_pair_assert_done(t);
	assert_int_equal(t->side[0].my_port, T_PORT);
	assert_int_equal(t->side[1].my_port, T_PORT);
}

static void path__where_few_ports_reach_the_queue(void **state)
{
	struct t_pair *t = *state;

	t->to[0].modulus = t->to[1].modulus = 64;
	t->to[0].remainder = 17;
	t->to[1].remainder = 40;
	t_pair_talk(t, 400000);
	t_pair_assert_done(t);
	assert_int_equal(t->side[0].my_port % 64, 40);
	assert_int_equal(t->side[1].my_port % 64, 17);
}

static void path__where_the_last_port_reaches_the_queue(void **state)
{
	struct t_pair *t = *state;

	t->to[1].modulus = UINT16_MAX;
	t->to[1].remainder = T_FIRST + XM_PROBE_PORTS - 1;
	t_pair_talk(t, XM_PROBE_STALL_MS * 1000LL - 1);
	t_pair_assert_done(t);
	assert_int_equal(t->side[0].my_port, T_FIRST + XM_PROBE_PORTS - 1);
}

static void path__that_loses_every_second_frame(void **state)
{
	struct t_pair *t = *state;

	t->to[0].lose = t->to[1].lose = 50;
	t->to[1].dice = 1;
	t_pair_talk(t, 1000000);
	t_pair_assert_done(t);
}

static void path__that_loses_nine_of_ten_one_way(void **state)
{
	struct t_pair *t = *state;

	t->to[1].lose = 90;
	t_pair_talk(t, XM_PROBE_STALL_MS * 1000LL - 1);
	t_pair_assert_done(t);
}

static void path__of_exactly_the_size(void **state)
{
	struct t_pair *t = *state;

	t->to[0].mtu = t->to[1].mtu = T_SIZE;
	t_pair_talk(t, 1000);
	t_pair_assert_done(t);
}

static void path__of_a_byte_less(void **state)
{
	struct t_pair *t = *state;

	t->to[0].mtu = t->to[1].mtu = T_SIZE - 1;
	t_pair_talk(t, 1000000);
	assert_false(xm_probe_is_done(&t->side[0]));
	assert_false(xm_probe_is_done(&t->side[1]));
}

static void path__of_a_byte_less_one_way(void **state)
{
	struct t_pair *t = *state;

	t->to[1].mtu = T_SIZE - 1;
	t_pair_talk(t, 1000000);
	assert_false(xm_probe_is_done(&t->side[0]));
	assert_false(xm_probe_is_done(&t->side[1]));
	assert_int_equal(t->side[0].seen_size, T_SIZE);
	assert_int_equal(t->side[1].seen_size, 100);
}

static void path__of_a_byte_less_still_tells_the_port(void **state)
{
	struct t_pair *t = *state;

	t->to[0].mtu = t->to[1].mtu = T_SIZE - 1;
	t_pair_talk(t, 1000000);
	assert_int_equal(t->side[0].my_port, T_PORT);
	assert_int_equal(t->side[1].my_port, T_PORT);
}

static void path__one_way_only(void **state)
{
	struct t_pair *t = *state;

	t->to[0].mtu = 1;
	t_pair_talk(t, 1000000);
	assert_false(xm_probe_is_done(&t->side[0]));
	assert_false(xm_probe_is_done(&t->side[1]));
	assert_int_equal(t->side[0].n_seen, 0);
	assert_int_equal(t->side[1].seen_port, T_PORT);
	assert_int_equal(t->side[1].my_port, 0);
}

/* -- what is no PROBE for us ----------------------------------------------- */

/* What side 0 sends first. */
static struct t_frame first_frame(struct t_pair *t)
{
	struct t_frame f = { .at = t->now };

	f.len = xm_probe_fill(&t->side[0], t->now, f.buf, &f.sport);
	return f;
}

static void expect_drop(struct t_pair *t, const struct xm_frame *f,
			const void *payload, size_t ip_len, enum xm_drop reason)
{
	struct xm_probe before = t->side[1];

	assert_int_equal(xm_probe_packet(&t->side[1], t->now, f, payload,
					 ip_len),
			 reason);
	assert_memory_equal(&t->side[1], &before, sizeof(before));
}

static void xm_probe_packet__drops_what_it_cannot_take(void **state)
{
	struct t_pair *t = *state;
	struct t_frame f = first_frame(t);
	struct xm_frame good, h;
	size_t hdr_len;

	assert_int_equal(xm_frame_get(&good, &hdr_len, f.buf, f.len, f.len),
			 XM_DROP_NONE);
	h = good;
	h.type = XM_WIRE_ACK;
	expect_drop(t, &h, f.buf + hdr_len, 100, XM_DROP_BAD_TYPE);
	h = good;
	h.cookie ^= 1;
	expect_drop(t, &h, f.buf + hdr_len, 100, XM_DROP_BAD_COOKIE);
	h = good;
	h.channel = 4;
	expect_drop(t, &h, f.buf + hdr_len, 100, XM_DROP_BAD_COOKIE);
	h = good;
	h.len = 7;
	expect_drop(t, &h, f.buf + hdr_len, 83, XM_DROP_BAD_LENGTH);
	h = good;
	h.payload_crc ^= 1;
	expect_drop(t, &h, f.buf + hdr_len, 100, XM_DROP_BAD_PAYLOAD_CRC);
}

static void
xm_probe_packet__drops_one_of_another_size_than_it_says(void **state)
{
	struct t_pair *t = *state;
	struct t_frame f = first_frame(t);
	struct xm_frame h;
	size_t hdr_len;

	assert_int_equal(xm_frame_get(&h, &hdr_len, f.buf, f.len, f.len),
			 XM_DROP_NONE);
	expect_drop(t, &h, f.buf + hdr_len, 85, XM_DROP_BAD_LENGTH);
}

static void xm_probe_packet__sizes_of_another_port_do_not_count(void **state)
{
	struct t_pair *t = *state;
	struct xm_probe other;
	struct xm_probe_opts o = t_probe_opts();
	struct t_frame f = first_frame(t);

	assert_int_equal(t_pair_take(t, 1, &f), XM_DROP_NONE);
	xm_probe_init(&other, &o);
	other.my_port = T_FIRST; /* so that it sends the full size */
	(void)xm_probe_fill(&other, t->now, f.buf, &f.sport);
	f.len = xm_probe_fill(&other, t->now, f.buf, &f.sport);
	assert_int_equal(f.len, T_SIZE - 28);
	assert_int_equal(f.sport, T_FIRST);
	assert_int_equal(t_pair_take(t, 1, &f), XM_DROP_NONE);
	assert_int_equal(t->side[1].seen_port, T_PORT);
	assert_int_equal(t->side[1].seen_size, 100);
}

/* -- done ------------------------------------------------------------------ */

static void xm_probe_is_done__neither_before_it_began(void **state)
{
	struct t_pair *t = *state;

	assert_false(xm_probe_is_done(&t->side[0]));
	assert_false(xm_probe_has_failed(&t->side[0], t->now));
	assert_int_equal(xm_probe_expiry(&t->side[0]).ns, 0);
}

static void xm_probe_is_done__then_silence(void **state)
{
	struct t_pair *t = *state;
	uint32_t n;

	t_pair_talk(t, 50000);
	t_pair_assert_done(t);
	n = t->side[0].n_sent + t->side[1].n_sent;
	assert_int_equal(t->side[0].n_seen + t->side[1].n_seen, n);
	t_pair_talk(t, 1000000);
	assert_int_equal(t->side[0].n_sent + t->side[1].n_sent, n);
	assert_true(xm_time_is_never(xm_probe_expiry(&t->side[0])));
}

static void xm_probe_is_done__answers_a_peer_that_does_not_know(void **state)
{
	struct t_pair *t = *state;

	while (t->side[1].seen_size < T_SIZE)
		t_pair_talk(t, 10);
	t->to[1].mtu = 1; /* that side 0 has seen its size is lost */
	t_pair_talk(t, 50000);
	assert_true(xm_probe_is_done(&t->side[0]));
	assert_false(xm_probe_is_done(&t->side[1]));
	t->to[1].mtu = 0;
	t_pair_talk(t, 50000);
	t_pair_assert_done(t);
}

static void xm_probe_is_done__answers_a_flood_once_in_a_while(void **state)
{
	struct t_pair *t = *state;
	struct t_frame f;
	uint32_t n;
	int i;

	t_pair_talk(t, 50000);
	t_pair_assert_done(t);
	t->side[0].is_owed = true; /* another copy of what it says */
	f = first_frame(t);
	n = t->side[1].n_sent;
	for (i = 0; i < 100; i++) {
		assert_int_equal(t_pair_take(t, 1, &f), XM_DROP_NONE);
		t_pair_leave(t, 1);
		t->now = xm_time_add(t->now, 100 * XM_US);
	}
	assert_in_range(t->side[1].n_sent - n, 2, 3); /* in 10 ms */
}

/* -- failure --------------------------------------------------------------- */

static void xm_probe_has_failed__after_the_deadline(void **state)
{
	struct t_pair *t = *state;
	struct xm_time deadline =
		xm_time_add(t->now, XM_PROBE_STALL_MS * XM_MS);

	t_pair_leave(t, 0);
	t->now = deadline;
	t->now.ns--;
	assert_false(xm_probe_has_failed(&t->side[0], t->now));
	assert_true(xm_probe_has_failed(&t->side[0], deadline));
}

static void xm_probe_has_failed__expiry_names_the_deadline(void **state)
{
	struct t_pair *t = *state;
	struct xm_time deadline =
		xm_time_add(t->now, XM_PROBE_STALL_MS * XM_MS);

	t_pair_leave(t, 0);
	t->now = deadline;
	t->now.ns--;
	t_pair_leave(t, 0);
	assert_int_equal(xm_probe_expiry(&t->side[0]).ns, deadline.ns);
}

static void xm_probe_has_failed__not_when_done(void **state)
{
	struct t_pair *t = *state;

	t_pair_talk(t, 1000);
	t_pair_assert_done(t);
	t->now = xm_time_add(t->now, XM_PROBE_STALL_MS * XM_MS);
	assert_false(xm_probe_has_failed(&t->side[0], t->now));
}

static void xm_probe_has_failed__not_when_it_waits_for_the_peer(void **state)
{
	struct t_pair *t = *state;

	t->side[0].opts.waits_for_peer = true;
	t_pair_leave(t, 0);
	t->now = xm_time_add(t->now, 100 * XM_PROBE_STALL_MS * XM_MS);
	assert_false(xm_probe_has_failed(&t->side[0], t->now));
	t_pair_leave(t, 0);
	assert_int_equal(xm_probe_expiry(&t->side[0]).ns,
			 xm_time_add(t->now, XM_PROBE_EVERY_US * XM_US).ns);
}

static void xm_probe_has_failed__a_peer_that_waited_is_proven_late(void **state)
{
	struct t_pair *t = *state;
	int i;

	t->side[1].opts.waits_for_peer = true;
	for (i = 0; i < 3000; i++) { /* side 0 registers memory for 30 s */
		t_pair_leave(t, 1);
		t->to[0].n = 0;
		t->now = xm_time_add(t->now, 10 * XM_MS);
	}
	t_pair_talk(t, 50000);
	t_pair_assert_done(t);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, t_probe_setup, t_probe_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(xm_probe_fill__begins_with_the_steered_port),
		T(xm_probe_fill__a_burst_and_then_a_pause),
		T(xm_probe_fill__all_ports_well_before_the_deadline),
		T(xm_probe_fill__is_a_small_frame_while_it_searches),
		T(xm_probe_fill__then_it_has_the_agreed_size),
		T(xm_probe_fill__with_the_longer_header_of_ipv6),
		T(xm_probe_fill__its_rest_is_zeros),
		T(xm_probe_fill__a_port_found_ends_the_burst),
		T(xm_probe_fill__a_port_found_is_worth_an_answer),
		T(xm_probe_fill__no_small_ones_once_the_peers_size_came),
		T(path__plain),
		T(path__where_few_ports_reach_the_queue),
		T(path__where_the_last_port_reaches_the_queue),
		T(path__that_loses_every_second_frame),
		T(path__that_loses_nine_of_ten_one_way),
		T(path__of_exactly_the_size),
		T(path__of_a_byte_less),
		T(path__of_a_byte_less_one_way),
		T(path__of_a_byte_less_still_tells_the_port),
		T(path__one_way_only),
		T(xm_probe_packet__drops_what_it_cannot_take),
		T(xm_probe_packet__drops_one_of_another_size_than_it_says),
		T(xm_probe_packet__sizes_of_another_port_do_not_count),
		T(xm_probe_is_done__neither_before_it_began),
		T(xm_probe_is_done__then_silence),
		T(xm_probe_is_done__answers_a_peer_that_does_not_know),
		T(xm_probe_is_done__answers_a_flood_once_in_a_while),
		T(xm_probe_has_failed__after_the_deadline),
		T(xm_probe_has_failed__expiry_names_the_deadline),
		T(xm_probe_has_failed__not_when_done),
		T(xm_probe_has_failed__not_when_it_waits_for_the_peer),
		T(xm_probe_has_failed__a_peer_that_waited_is_proven_late),
	};

	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
