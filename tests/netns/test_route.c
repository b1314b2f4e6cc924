// SPDX-License-Identifier: GPL-2.0-or-later
/* test_route.c - how to reach a peer, asked of a real kernel
 *
 * The hosts are drawn in tests/lib/t_netns.h.  VLAN devices, which not every
 * kernel has, are in test_route_vlan.c.
 */
#include "xsk/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/t_netns.h"
#include "../lib/t_route.h"

static const uint8_t mac_here[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t mac_there[6] = { 2, 0, 0, 0, 0, 2 };

/* -- it works ---------------------------------------------------------------------- */

static void route_get__on_link_ipv4(void **state)
{
	struct route r = t_route_get("v0", "198.18.0.2", NULL);
	static const uint8_t src[4] = { 198, 18, 0, 1 },
			     dst[4] = { 198, 18, 0, 2 };

	(void)state;
	assert_memory_equal(r.path.src_mac, mac_here, 6);
	assert_memory_equal(r.path.dst_mac, mac_there, 6);
	assert_memory_equal(r.path.src, src, 4);
	assert_memory_equal(r.path.dst, dst, 4);
	assert_false(r.path.ipv6);
	assert_int_equal(r.path.vlan, 0);
	assert_int_equal(r.path.sport, 0);
	assert_int_equal(r.path.dport, 0);
	assert_int_equal(r.ip_max, 1500);
	assert_int_equal(r.ifindex, if_nametoindex("v0"));
	assert_int_equal(r.route_ifindex, r.ifindex);
}

static void route_get__on_link_ipv6(void **state)
{
	struct route r = t_route_get("v0", "fd00:18::2", NULL);
	uint8_t src[16], dst[16];

	(void)state;
	inet_pton(AF_INET6, "fd00:18::1", src);
	inet_pton(AF_INET6, "fd00:18::2", dst);
	assert_memory_equal(r.path.src_mac, mac_here, 6);
	assert_memory_equal(r.path.dst_mac, mac_there, 6);
	assert_memory_equal(r.path.src, src, 16);
	assert_memory_equal(r.path.dst, dst, 16);
	assert_true(r.path.ipv6);
	assert_int_equal(r.ip_max, 1500);
}

/* The peer's MAC is the gateway's, its address is its own. */
static void route_get__by_a_gateway_ipv4(void **state)
{
	static const uint8_t dst[4] = { 198, 19, 77, 7 };
	struct route r;

	(void)state;
	t_here("ip route add 198.19.77.0/24 via 198.18.0.2");
	r = t_route_get("v0", "198.19.77.7", NULL);
	assert_memory_equal(r.path.dst_mac, mac_there, 6);
	assert_memory_equal(r.path.dst, dst, 4);
}

static void route_get__by_a_gateway_ipv6(void **state)
{
	struct route r;

	(void)state;
	t_here("ip route add fd00:77::/64 via fd00:18::2");
	r = t_route_get("v0", "fd00:77::7", NULL);
	assert_memory_equal(r.path.dst_mac, mac_there, 6);
	assert_int_equal(r.path.dst[15], 7);
}

static void route_get__ipv4_by_an_ipv6_gateway(void **state)
{
	struct route r;

	(void)state;
	t_here("ip route add 198.19.77.0/24 via inet6 fd00:18::2");
	r = t_route_get("v0", "198.19.77.7", NULL);
	assert_memory_equal(r.path.dst_mac, mac_there, 6);
	assert_false(r.path.ipv6);
}

static void route_get__routes_source_address(void **state)
{
	struct route r;

	(void)state;
	t_here("ip addr add 198.18.0.9/24 dev v0");
	t_here("ip route replace 198.18.0.0/24 dev v0 src 198.18.0.9");
	r = t_route_get("v0", "198.18.0.2", NULL);
	assert_int_equal(r.path.src[3], 9);
}

static void route_get__given_source_address_ipv4(void **state)
{
	struct route r;

	(void)state;
	t_here("ip addr add 198.18.0.9/24 dev v0");
	r = t_route_get("v0", "198.18.0.2", "198.18.0.9");
	assert_int_equal(r.path.src[3], 9);
}

static void route_get__given_source_address_ipv6(void **state)
{
	struct route r;

	(void)state;
	t_here("ip addr add fd00:18::9/64 dev v0 nodad");
	r = t_route_get("v0", "fd00:18::2", "fd00:18::9");
	assert_int_equal(r.path.src[15], 9);
}

static void route_get__any_source_address_is_none(void **state)
{
	struct route r = t_route_get("v0", "198.18.0.2", "0.0.0.0");

	(void)state;
	assert_int_equal(r.path.src[3], 1);
}

/* fe80::...:2 is on every link; the scope, else the device, says on which. */
static void route_get__link_local(void **state)
{
	struct route r;

	(void)state;
	r = t_route_get("v0", "fe80::ff:fe00:2%v0", NULL);
	assert_memory_equal(r.path.dst_mac, mac_there, 6);
	assert_int_equal(r.path.src[0], 0xfe);
	r = t_route_get("v0", "fe80::ff:fe00:2", NULL);
	assert_memory_equal(r.path.dst_mac, mac_there, 6);
}

static void route_get__link_local_of_another_link(void **state)
{
	struct xm_error e = { 0 };

	(void)state;
	/* The kernel gives a link its own route a while after it is up. */
	t_here("for i in $(seq 500); do "
	       "ip -6 route show dev w0 | grep -q ^fe80 && exit 0; "
	       "sleep 0.02; done; exit 1");
	assert_int_equal(t_route_err("v0", "fe80::ff:fe00:2%w0", NULL, 0, &e),
			 -EXDEV);
	assert_non_null(strstr(e.msg, "w0"));
}

static void route_get__without_privileges(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	t_here("ip neigh flush all");
	pid = fork();
	if (!pid) {
		struct sockaddr_storage peer;
		struct xm_error e = { 0 };
		struct route r;

		t_route_addr(&peer, "198.18.0.2");
		if (setgid(65534) || setuid(65534))
			_exit(2);
		_exit(route_get(&r, "v0", (struct sockaddr *)&peer, NULL, 3000,
				&e) ||
		      memcmp(r.path.dst_mac, mac_there, 6));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* -- the MTU ------------------------------------------------------------------------ */

static void route_get__mtu_of_the_link(void **state)
{
	(void)state;
	t_here("ip link set v0 mtu 9000");
	assert_int_equal(t_route_get("v0", "198.18.0.2", NULL).ip_max, 9000);
	assert_int_equal(t_route_get("v0", "fd00:18::2", NULL).ip_max, 9000);
}

static void route_get__largest_mtu(void **state)
{
	(void)state;
	t_here("ip link set v0 mtu 65535");
	assert_int_equal(t_route_get("v0", "198.18.0.2", NULL).ip_max, 65535);
	assert_int_equal(t_route_get("v0", "fd00:18::2", NULL).ip_max, 65535);
}

static void route_get__mtu_of_the_route_ipv4(void **state)
{
	(void)state;
	t_here("ip route replace 198.18.0.0/24 dev v0 mtu 1400");
	assert_int_equal(t_route_get("v0", "198.18.0.2", NULL).ip_max, 1400);
}

static void route_get__mtu_of_the_route_ipv6(void **state)
{
	(void)state;
	t_here("ip route add fd00:77::/64 via fd00:18::2 mtu 1400");
	assert_int_equal(t_route_get("v0", "fd00:77::7", NULL).ip_max, 1400);
}

static void route_get__mtu_of_the_ipv6_interface(void **state)
{
	(void)state;
	t_here("echo 1300 >/proc/sys/net/ipv6/conf/v0/mtu");
	assert_int_equal(t_route_get("v0", "fd00:18::2", NULL).ip_max, 1300);
	assert_int_equal(t_route_get("v0", "198.18.0.2", NULL).ip_max, 1500);
}

/* -- the neighbour -------------------------------------------------------------------- */

static void route_get__stale_neighbour_is_used(void **state)
{
	struct route r;

	(void)state;
	t_here("ip neigh replace 198.18.0.2 lladdr 02:00:00:00:00:77 dev v0 "
	       "nud stale");
	r = t_route_get("v0", "198.18.0.2", NULL);
	assert_int_equal(r.path.dst_mac[5], 0x77);
	/* and confirmed: it left its state, on the way to be asked again */
	assert_false(t_here_ok("ip neigh show 198.18.0.2 | grep -q STALE"));
}

static void route_get__permanent_neighbour(void **state)
{
	struct route r;

	(void)state;
	t_here("ip neigh replace 198.18.0.200 lladdr 02:00:00:00:00:c8 dev v0 "
	       "nud permanent");
	r = t_route_get("v0", "198.18.0.200", NULL);
	assert_int_equal(r.path.dst_mac[5], 0xc8);
}

static void expect_silence(const char *peer, const char *how)
{
	struct xm_error e = { 0 };
	int64_t start = t_now_ms(), took;

	assert_int_equal(t_route_err("v0", peer, NULL, 400, &e), -EHOSTUNREACH);
	took = t_now_ms() - start;
	assert_true(took >= 400 && took < 3000);
	assert_non_null(strstr(e.msg, peer));
	assert_non_null(strstr(e.msg, how));
}

static void route_get__silent_neighbour_ipv4(void **state)
{
	(void)state;
	expect_silence("198.18.0.77", "ARP");
}

static void route_get__silent_neighbour_ipv6(void **state)
{
	(void)state;
	expect_silence("fd00:18::77", "neighbour discovery");
}

static void route_get__silent_gateway_is_named(void **state)
{
	struct xm_error e = { 0 };

	(void)state;
	t_here("ip route add 198.19.77.0/24 via 198.18.0.88");
	assert_int_equal(t_route_err("v0", "198.19.77.7", NULL, 100, &e),
			 -EHOSTUNREACH);
	assert_non_null(strstr(e.msg, "198.18.0.88"));
	assert_non_null(strstr(e.msg, "198.19.77.7"));
}

/* The peer comes up while it is looked for. */
static void route_get__late_neighbour(void **state)
{
	struct t_netns *net = *state;
	struct route r;

	t_there(net, "(sleep 0.5; ip addr add 198.18.0.55/24 dev v1) "
		     ">/dev/null 2>&1 &");
	r = t_route_get("v0", "198.18.0.55", NULL);
	assert_memory_equal(r.path.dst_mac, mac_there, 6);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void route_get__interrupted(void **state)
{
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	struct itimerval in_50ms = { .it_value.tv_usec = 50000 };
	struct xm_error e = { 0 };

	(void)state;
	sigaction(SIGALRM, &sa, &old);
	setitimer(ITIMER_REAL, &in_50ms, NULL);
	assert_int_equal(t_route_err("v0", "198.18.0.77", NULL, 5000, &e),
			 -EINTR);
	sigaction(SIGALRM, &old, NULL);
	assert_int_equal(e.reason, XM_REASON_CANCELLED);
}

/* -- it cannot work ---------------------------------------------------------------------- */

static void expect_fail(const char *dev, const char *peer, const char *src,
			int err, const char *text)
{
	struct xm_error e = { 0 };

	assert_int_equal(t_route_err(dev, peer, src, 50, &e), err);
	assert_int_equal(e.err, err);
	if (!strstr(e.msg, text))
		fail_msg("no '%s' in '%s'", text, e.msg);
}

static void route_get__other_device_is_named(void **state)
{
	(void)state;
	expect_fail("v0", "198.19.0.2", NULL, -EXDEV, "--dev w0");
	expect_fail("v0", "fd00:19::2", NULL, -EXDEV, "--dev w0");
}

static void route_get__no_route(void **state)
{
	(void)state;
	expect_fail("v0", "198.19.77.7", NULL, -ENETUNREACH, "198.19.77.7");
	expect_fail("v0", "fd00:77::7", NULL, -ENETUNREACH, "fd00:77::7");
}

static void route_get__refusing_routes(void **state)
{
	(void)state;
	t_here("ip route add blackhole 198.19.77.0/24");
	t_here("ip route add prohibit 198.19.78.0/24");
	t_here("ip route add unreachable 198.19.79.0/24");
	t_here("ip route add blackhole fd00:77::/64");
	t_here("ip route add prohibit fd00:78::/64");
	t_here("ip route add unreachable fd00:79::/64");
	expect_fail("v0", "198.19.77.7", NULL, -ENETUNREACH, "no route");
	expect_fail("v0", "198.19.78.7", NULL, -ENETUNREACH, "no route");
	expect_fail("v0", "198.19.79.7", NULL, -ENETUNREACH, "no route");
	expect_fail("v0", "fd00:77::7", NULL, -ENETUNREACH, "no route");
	expect_fail("v0", "fd00:78::7", NULL, -ENETUNREACH, "no route");
	expect_fail("v0", "fd00:79::7", NULL, -ENETUNREACH, "no route");
}

static void route_get__this_host(void **state)
{
	(void)state;
	expect_fail("v0", "198.18.0.1", NULL, -EADDRINUSE, "this host");
	expect_fail("v0", "fd00:18::1", NULL, -EADDRINUSE, "this host");
	expect_fail("v0", "127.0.0.1", NULL, -EADDRINUSE, "this host");
}

static void route_get__not_one_host(void **state)
{
	(void)state;
	expect_fail("v0", "198.18.0.255", NULL, -EADDRNOTAVAIL, "one host");
	expect_fail("v0", "239.1.2.3", NULL, -EADDRNOTAVAIL, "one host");
}

static void route_get__foreign_source_address(void **state)
{
	(void)state;
	expect_fail("v0", "198.18.0.2", "198.18.0.66", -EADDRNOTAVAIL,
		    "198.18.0.66");
	expect_fail("v0", "fd00:18::2", "fd00:18::66", -EADDRNOTAVAIL,
		    "fd00:18::66");
}

static void route_get__two_families(void **state)
{
	(void)state;
	expect_fail("v0", "198.18.0.2", "fd00:18::1", -EAFNOSUPPORT, "family");
}

static void route_get__no_such_device(void **state)
{
	(void)state;
	expect_fail("nodev", "198.18.0.2", NULL, -ENODEV, "nodev");
	expect_fail("", "198.18.0.2", NULL, -ENODEV, "no such");
	expect_fail("a-name-longer-than-any", "198.18.0.2", NULL, -ENODEV,
		    "a-name-longer");
}

static void route_get__not_ethernet(void **state)
{
	(void)state;
	expect_fail("lo", "198.18.0.2", NULL, -EOPNOTSUPP, "lo");
}

static void route_get__device_is_down(void **state)
{
	(void)state;
	t_here("ip link set v0 down");
	expect_fail("v0", "198.18.0.2", NULL, -ENETDOWN, "v0 is down");
}

static void route_get__no_carrier(void **state)
{
	struct t_netns *net = *state;

	t_there(net, "ip link set v1 down");
	expect_fail("v0", "198.18.0.2", NULL, -ENETDOWN, "carrier");
}

/* The address is the bridge's, the device only its port. */
static void route_get__bridge_port(void **state)
{
	(void)state;
	t_here("ip addr flush dev v0; ip link add br0 type bridge; "
	       "ip link set v0 master br0; ip link set br0 up; "
	       "ip addr add 198.18.0.1/24 dev br0");
	expect_fail("v0", "198.18.0.2", NULL, -EXDEV, "port of br0");
}

/* Its frames have another source MAC than the device's. */
static void route_get__macvlan_is_no_vlan(void **state)
{
	(void)state;
	t_here("ip addr flush dev v0; ip link add link v0 name mv0 type macvlan; "
	       "ip link set mv0 up; ip addr add 198.18.0.1/24 dev mv0");
	expect_fail("v0", "198.18.0.2", NULL, -EXDEV, "mv0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_NETNS(route_get__on_link_ipv4),
		T_NETNS(route_get__on_link_ipv6),
		T_NETNS(route_get__by_a_gateway_ipv4),
		T_NETNS(route_get__by_a_gateway_ipv6),
		T_NETNS(route_get__ipv4_by_an_ipv6_gateway),
		T_NETNS(route_get__routes_source_address),
		T_NETNS(route_get__given_source_address_ipv4),
		T_NETNS(route_get__given_source_address_ipv6),
		T_NETNS(route_get__any_source_address_is_none),
		T_NETNS(route_get__link_local),
		T_NETNS(route_get__link_local_of_another_link),
		T_NETNS(route_get__without_privileges),
		T_NETNS(route_get__mtu_of_the_link),
		T_NETNS(route_get__largest_mtu),
		T_NETNS(route_get__mtu_of_the_route_ipv4),
		T_NETNS(route_get__mtu_of_the_route_ipv6),
		T_NETNS(route_get__mtu_of_the_ipv6_interface),
		T_NETNS(route_get__stale_neighbour_is_used),
		T_NETNS(route_get__permanent_neighbour),
		T_NETNS(route_get__silent_neighbour_ipv4),
		T_NETNS(route_get__silent_neighbour_ipv6),
		T_NETNS(route_get__silent_gateway_is_named),
		T_NETNS(route_get__late_neighbour),
		T_NETNS(route_get__interrupted),
		T_NETNS(route_get__other_device_is_named),
		T_NETNS(route_get__no_route),
		T_NETNS(route_get__refusing_routes),
		T_NETNS(route_get__this_host),
		T_NETNS(route_get__not_one_host),
		T_NETNS(route_get__foreign_source_address),
		T_NETNS(route_get__two_families),
		T_NETNS(route_get__no_such_device),
		T_NETNS(route_get__not_ethernet),
		T_NETNS(route_get__device_is_down),
		T_NETNS(route_get__no_carrier),
		T_NETNS(route_get__bridge_port),
		T_NETNS(route_get__macvlan_is_no_vlan),
	};

	if (t_netns_skip())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
