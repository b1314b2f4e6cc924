// SPDX-License-Identifier: GPL-2.0-or-later
/* test_route_watch.c - what happens to a path, told by a real kernel
 *
 * Each test changes one thing on the hosts of tests/lib/t_netns.h and waits
 * for the outcome.  On the way to it others may come: a link that comes up
 * has no route for a moment.
 */
#include "xsk/route.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "../lib/t_route.h"

struct t_watch {
	struct route_watch *w;
	struct sockaddr_storage peer;
	struct route had, got;
};

static struct t_watch watch_open(const char *peer)
{
	struct xm_error e = { 0 };
	struct t_watch t;

	t_route_addr(&t.peer, peer);
	t.had = t_route_get("v0", peer, NULL);
	t.had.path.sport = 4000;
	t.had.path.dport = 4001;
	memset(&t.got, 0, sizeof(t.got));
	if (route_watch_open(&t.w, "v0", (struct sockaddr *)&t.peer, &t.had,
			     &e))
		fail_msg("%s", e.msg);
	return t;
}

/* Read once when there is something, within @ms; -EAGAIN when there is not. */
static int watch_next(struct t_watch *t, int ms)
{
	struct pollfd p = { .fd = route_watch_fd(t->w), .events = POLLIN };
	struct xm_error e = { 0 };
	int r;

	if (poll(&p, 1, ms) != 1)
		return -EAGAIN;
	r = route_watch_read(t->w, &t->got, &e);
	if (r < 0)
		fail_msg("%s", e.msg);
	return r;
}

static void expect(struct t_watch *t, int outcome)
{
	int64_t end = t_now_ms() + T_ROUTE_MS;
	int r = -1;

	while (t_now_ms() < end) {
		r = watch_next(t, 100);
		if (r == outcome)
			return;
	}
	fail_msg("outcome %d, not %d", r, outcome);
}

/* The change made events, yet none that matters. */
static void expect_same(struct t_watch *t)
{
	int r = watch_next(t, T_ROUTE_MS);

	assert_int_equal(r, ROUTE_E_SAME);
	while ((r = watch_next(t, 50)) != -EAGAIN)
		assert_int_equal(r, ROUTE_E_SAME);
}

static void watch_done(struct t_watch *t)
{
	t->w = route_watch_close(t->w);
	assert_null(t->w);
}

/* -- nothing that matters ----------------------------------------------------------- */

static void route_watch__nothing_to_read(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");
	struct xm_error e = { 0 };

	(void)state;
	while (watch_next(&t, 50) != -EAGAIN)
		;
	assert_int_equal(route_watch_read(t.w, &t.got, &e), ROUTE_E_SAME);
	watch_done(&t);
}

static void route_watch__other_device(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");

	(void)state;
	t_here("ip link set w0 down; ip link set w0 mtu 1300; ip link del w0");
	expect_same(&t);
	watch_done(&t);
}

static void route_watch__larger_mtu(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");

	(void)state;
	t_here("ip link set v0 mtu 9000");
	expect_same(&t);
	watch_done(&t);
}

static void route_watch__smaller_mtu_that_was_agreed(void **state)
{
	struct t_watch t;
	struct xm_error e = { 0 };

	(void)state;
	t_here("ip link set v0 mtu 9000");
	t.had = t_route_get("v0", "198.18.0.2", NULL);
	t.had.ip_max = 4000; /* what the two ends settled on */
	t_route_addr(&t.peer, "198.18.0.2");
	assert_int_equal(route_watch_open(&t.w, "v0",
					  (struct sockaddr *)&t.peer, &t.had,
					  &e),
			 0);
	t_here("ip link set v0 mtu 4000");
	expect_same(&t);
	t_here("ip link set v0 mtu 3999");
	expect(&t, ROUTE_E_SHRUNK);
	watch_done(&t);
}

/* Older kernels rename only what is down, so whether it was down in between is
 * no matter here: under its new name it is still the device. */
static void route_watch__renamed(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");

	(void)state;
	t_here("ip link set v0 name v9 || { ip link set v0 down; "
	       "ip link set v0 name v9; ip link set v9 up; }");
	t_here("ip link set v9 address 02:00:00:00:00:99");
	do
		expect(&t, ROUTE_E_CHANGED);
	while (t.got.path.src_mac[5] != 0x99);
	assert_int_equal(t.got.ifindex, t.had.ifindex);
	watch_done(&t);
}

/* The kernel forgets who AF_XDP alone talks to; the MAC stays in use and the
 * neighbour is looked for again. */
static void route_watch__neighbour_forgotten(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");
	int64_t end = t_now_ms() + T_ROUTE_MS;

	(void)state;
	t_here("ip neigh del 198.18.0.2 dev v0");
	expect_same(&t);
	while (!t_here_ok("ip neigh show 198.18.0.2 | grep -q REACHABLE"))
		assert_true(t_now_ms() < end);
	watch_done(&t);
}

/* -- changes -------------------------------------------------------------------------- */

static void route_watch__own_mac(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");

	(void)state;
	t_here("ip link set v0 address 02:00:00:00:00:99");
	expect(&t, ROUTE_E_CHANGED);
	assert_int_equal(t.got.path.src_mac[5], 0x99);
	assert_int_equal(t.got.path.sport, 4000);
	assert_int_equal(t.got.path.dport, 4001);
	watch_done(&t);
}

/* The peer has another MAC and says so by using it. */
static void expect_new_peer_mac(struct t_netns *net, const char *peer,
				const char *here)
{
	struct t_watch t = watch_open(peer);

	t_there(net, "ip link set v1 address 02:00:00:00:00:88; "
		     "ip neigh flush dev v1");
	t_there(net, "ping -q -c 3 -i 0.2 -W 1 %s >/dev/null || true", here);
	expect(&t, ROUTE_E_CHANGED);
	assert_int_equal(t.got.path.dst_mac[5], 0x88);
	watch_done(&t);
}

static void route_watch__peers_mac_ipv4(void **state)
{
	expect_new_peer_mac(*state, "198.18.0.2", "198.18.0.1");
}

static void route_watch__peers_mac_ipv6(void **state)
{
	expect_new_peer_mac(*state, "fd00:18::2", "fd00:18::1");
}

/* Nobody tells: the entry goes stale, is asked again, and answers. */
static void route_watch__peers_mac_after_stale(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");
	struct t_netns *net = *state;

	t_here("echo 1 >/proc/sys/net/ipv4/neigh/v0/delay_first_probe_time; "
	       "echo 100 >/proc/sys/net/ipv4/neigh/v0/retrans_time_ms");
	t_there(net, "ip link set v1 address 02:00:00:00:00:88");
	t_here("ip neigh change 198.18.0.2 dev v0 lladdr 02:00:00:00:00:02 "
	       "nud stale");
	expect(&t, ROUTE_E_CHANGED);
	assert_int_equal(t.got.path.dst_mac[5], 0x88);
	watch_done(&t);
}

static void route_watch__other_gateway(void **state)
{
	struct t_watch t;

	(void)state;
	t_here("ip route add 198.19.77.0/24 via 198.18.0.2");
	t_here("ip neigh replace 198.18.0.3 lladdr 02:00:00:00:00:03 dev v0 "
	       "nud permanent");
	t = watch_open("198.19.77.7");
	t_here("ip route replace 198.19.77.0/24 via 198.18.0.3");
	expect(&t, ROUTE_E_CHANGED);
	assert_int_equal(t.got.path.dst_mac[5], 0x03);
	watch_done(&t);
}

static void route_watch__source_address_lost(void **state)
{
	struct t_watch t;

	(void)state;
	t_here("ip addr flush dev v0; ip addr add 198.18.0.1/24 dev v0; "
	       "ip addr add 198.18.0.9/23 dev v0");
	t = watch_open("198.18.0.2");
	assert_int_equal(t.had.path.src[3], 1);
	t_here("ip addr del 198.18.0.1/24 dev v0");
	expect(&t, ROUTE_E_CHANGED);
	assert_int_equal(t.got.path.src[3], 9);
	watch_done(&t);
}

/* -- down and up ------------------------------------------------------------------------ */

static void route_watch__link_down_and_up_ipv4(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");

	(void)state;
	t_here("ip link set v0 down");
	expect(&t, ROUTE_E_DOWN);
	t_here("ip link set v0 up");
	expect(&t, ROUTE_E_CHANGED);
	assert_memory_equal(&t.got.path, &t.had.path, sizeof(t.had.path));
	watch_done(&t);
}

/* IPv6 addresses are lost with the link, unless kept, and come by hand. */
static void route_watch__link_down_and_up_ipv6(void **state)
{
	struct t_watch t = watch_open("fd00:18::2");

	(void)state;
	t_here("ip link set v0 down");
	expect(&t, ROUTE_E_DOWN);
	t_here("ip link set v0 up; ip addr add fd00:18::1/64 dev v0 nodad");
	expect(&t, ROUTE_E_CHANGED);
	assert_memory_equal(&t.got.path, &t.had.path, sizeof(t.had.path));
	watch_done(&t);
}

static void route_watch__carrier(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");
	struct t_netns *net = *state;

	t_there(net, "ip link set v1 down");
	expect(&t, ROUTE_E_DOWN);
	t_there(net, "ip link set v1 up");
	expect(&t, ROUTE_E_CHANGED);
	watch_done(&t);
}

static void route_watch__route_deleted_and_back(void **state)
{
	struct t_watch t;

	(void)state;
	t_here("ip route add 198.19.77.0/24 via 198.18.0.2");
	t = watch_open("198.19.77.7");
	t_here("ip route del 198.19.77.0/24");
	expect(&t, ROUTE_E_DOWN);
	t_here("ip route add 198.19.77.0/24 via 198.18.0.2");
	expect(&t, ROUTE_E_CHANGED);
	watch_done(&t);
}

static void route_watch__route_moves_to_another_device(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");

	(void)state;
	t_here("ip route add 198.18.0.2/32 via 198.19.0.2");
	expect(&t, ROUTE_E_DOWN);
	watch_done(&t);
}

/* -- smaller, gone ------------------------------------------------------------------------ */

static void route_watch__mtu_of_the_link(void **state)
{
	struct t_watch t = watch_open("fd00:18::2");

	(void)state;
	t_here("ip link set v0 mtu 1400");
	expect(&t, ROUTE_E_SHRUNK);
	assert_int_equal(t.got.ip_max, 1400);
	watch_done(&t);
}

static void route_watch__mtu_of_the_route(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");

	(void)state;
	t_here("ip route add 198.18.0.2/32 dev v0 mtu 1300");
	expect(&t, ROUTE_E_SHRUNK);
	assert_int_equal(t.got.ip_max, 1300);
	watch_done(&t);
}

static void route_watch__device_deleted(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");

	(void)state;
	t_here("ip link del v0");
	expect(&t, ROUTE_E_GONE);
	watch_done(&t);
}

static void route_watch__device_moved_away(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");
	struct t_netns *net = *state;

	t_here("ip link set v0 netns %d", net->there);
	expect(&t, ROUTE_E_GONE);
	watch_done(&t);
}

/* -- lost events, opening --------------------------------------------------------------- */

/* More events than the socket holds, and the one that matters is among the
 * lost: it is found all the same. */
static void route_watch__overflow(void **state)
{
	struct t_watch t = watch_open("198.18.0.2");
	int tiny = 1;

	(void)state;
	assert_int_equal(setsockopt(route_watch_fd(t.w), SOL_SOCKET, SO_RCVBUF,
				    &tiny, sizeof(tiny)),
			 0);
	t_here("for i in 1 2 3 4 5 6 7 8; do "
	       "ip link set w0 mtu 130$i; done; "
	       "ip link set v0 address 02:00:00:00:00:99");
	expect(&t, ROUTE_E_CHANGED);
	assert_int_equal(t.got.path.src_mac[5], 0x99);
	watch_done(&t);
}

static void route_watch_open__changed_since(void **state)
{
	struct sockaddr_storage peer;
	struct xm_error e = { 0 };
	struct route_watch *w = NULL;
	struct route had = t_route_get("v0", "198.18.0.2", NULL);

	(void)state;
	t_route_addr(&peer, "198.18.0.2");
	t_here("ip link set v0 address 02:00:00:00:00:99");
	assert_int_equal(route_watch_open(&w, "v0", (struct sockaddr *)&peer,
					  &had, &e),
			 -ESTALE);
	assert_null(w);
	assert_int_equal(e.err, -ESTALE);
}

static void route_watch_close__null(void **state)
{
	(void)state;
	assert_null(route_watch_close(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_NETNS(route_watch__nothing_to_read),
		T_NETNS(route_watch__other_device),
		T_NETNS(route_watch__larger_mtu),
		T_NETNS(route_watch__smaller_mtu_that_was_agreed),
		T_NETNS(route_watch__renamed),
		T_NETNS(route_watch__neighbour_forgotten),
		T_NETNS(route_watch__own_mac),
		T_NETNS(route_watch__peers_mac_ipv4),
		T_NETNS(route_watch__peers_mac_ipv6),
		T_NETNS(route_watch__peers_mac_after_stale),
		T_NETNS(route_watch__other_gateway),
		T_NETNS(route_watch__source_address_lost),
		T_NETNS(route_watch__link_down_and_up_ipv4),
		T_NETNS(route_watch__link_down_and_up_ipv6),
		T_NETNS(route_watch__carrier),
		T_NETNS(route_watch__route_deleted_and_back),
		T_NETNS(route_watch__route_moves_to_another_device),
		T_NETNS(route_watch__mtu_of_the_link),
		T_NETNS(route_watch__mtu_of_the_route),
		T_NETNS(route_watch__device_deleted),
		T_NETNS(route_watch__device_moved_away),
		T_NETNS(route_watch__overflow),
		T_NETNS(route_watch_open__changed_since),
		cmocka_unit_test(route_watch_close__null),
	};

	if (t_netns_skip())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
