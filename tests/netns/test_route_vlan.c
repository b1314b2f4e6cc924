// SPDX-License-Identifier: GPL-2.0-or-later
/* test_route_vlan.c - a route by a VLAN device on top of ours
 *
 * Kernels built without 802.1Q have no such devices; then tests/unit/
 * test_route_nl.c, which feeds the answers such a kernel would give, is what
 * there is.
 */
#include "xsk/route.h"

#include <errno.h>
#include <stdio.h>

#include "../lib/t_route.h"

static void vlan_up(struct t_netns *net)
{
	t_here("ip addr flush dev v0; ip link add link v0 name v0.100 "
	       "address 02:00:00:00:00:64 type vlan id 100; "
	       "ip link set v0.100 up; ip addr add 198.18.0.1/24 dev v0.100; "
	       "ip addr add fd00:18::1/64 dev v0.100 nodad");
	t_there(net, "ip addr flush dev v1; ip link add link v1 name v1.100 "
		     "type vlan id 100; ip link set v1.100 up; "
		     "ip addr add 198.18.0.2/24 dev v1.100; "
		     "ip addr add fd00:18::2/64 dev v1.100 nodad");
}

static void route_get__by_a_vlan(void **state)
{
	struct route four, six;

	vlan_up(*state);
	four = t_route_get("v0", "198.18.0.2", NULL);
	six = t_route_get("v0", "fd00:18::2", NULL);
	assert_int_equal(four.path.vlan, 100);
	assert_int_equal(six.path.vlan, 100);
	assert_int_equal(four.path.src_mac[5], 0x64);
	assert_int_equal(four.path.dst_mac[5], 2);
	assert_int_equal(four.ifindex, if_nametoindex("v0"));
	assert_int_equal(four.route_ifindex, if_nametoindex("v0.100"));
}

static void route_get__mtu_of_the_vlan(void **state)
{
	vlan_up(*state);
	t_here("ip link set v0 mtu 9000; ip link set v0.100 mtu 4000");
	assert_int_equal(t_route_get("v0", "198.18.0.2", NULL).ip_max, 4000);
}

static void route_get__vlan_of_another_device(void **state)
{
	struct xm_error e = { 0 };

	vlan_up(*state);
	assert_int_equal(t_route_err("w0", "198.18.0.2", NULL, 0, &e), -EXDEV);
	assert_non_null(strstr(e.msg, "v0.100"));
}

static void route_get__vlan_in_a_vlan(void **state)
{
	struct xm_error e = { 0 };

	vlan_up(*state);
	t_here("ip addr flush dev v0.100; ip link add link v0.100 name qq "
	       "type vlan id 7; ip link set qq up; "
	       "ip addr add 198.18.0.1/24 dev qq");
	assert_int_equal(t_route_err("v0", "198.18.0.2", NULL, 0, &e), -EXDEV);
}

static void route_get__service_vlan(void **state)
{
	struct xm_error e = { 0 };

	(void)state;
	t_here("ip addr flush dev v0; ip link add link v0 name s0 type vlan "
	       "proto 802.1ad id 7; ip link set s0 up; "
	       "ip addr add 198.18.0.1/24 dev s0");
	assert_int_equal(t_route_err("v0", "198.18.0.2", NULL, 0, &e), -EXDEV);
	assert_non_null(strstr(e.msg, "802.1Q"));
}

static void route_watch__vlan_deleted(void **state)
{
	struct sockaddr_storage peer;
	struct xm_error e = { 0 };
	struct route_watch *w;
	struct route had, got;
	int64_t end = t_now_ms() + T_ROUTE_MS;

	vlan_up(*state);
	t_route_addr(&peer, "198.18.0.2");
	had = t_route_get("v0", "198.18.0.2", NULL);
	assert_int_equal(route_watch_open(&w, "v0", (struct sockaddr *)&peer,
					  &had, &e),
			 0);
	t_here("ip link del v0.100");
	while (route_watch_read(w, &got, &e) != ROUTE_E_DOWN)
		assert_true(t_now_ms() < end);
	route_watch_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_NETNS(route_get__by_a_vlan),
		T_NETNS(route_get__mtu_of_the_vlan),
		T_NETNS(route_get__vlan_of_another_device),
		T_NETNS(route_get__vlan_in_a_vlan),
		T_NETNS(route_get__service_vlan),
		T_NETNS(route_watch__vlan_deleted),
	};

	if (t_netns_skip())
		return 0;
	if (!t_here_ok("unshare -n sh -c 'ip link add a type veth peer b && "
		       "ip link add link a name a.1 type vlan id 1' "
		       "2>/dev/null")) {
		puts("1..0 # SKIP this kernel has no VLAN devices");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
