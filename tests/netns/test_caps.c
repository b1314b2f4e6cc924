// SPDX-License-Identifier: GPL-2.0-or-later
/* test_caps.c - what the kernel says of a veth, and of no device at all */
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "t_veth.h"
#include "xsk/caps.h"
#include "xsk/compat.h"

static void caps__of_a_veth(void **state)
{
	struct xsk_caps caps;
	struct xm_error e = { 0 };

	(void)state;
	t_run("ip link set %s address 02:00:00:00:00:07", t_va);
	assert_int_equal(xsk_caps_get(&caps, t_va, &e), 0);
	assert_string_equal(caps.driver, "veth");
	assert_int_equal(caps.ifindex, if_nametoindex(t_va));
	assert_int_equal(caps.mtu, 9000);
	assert_int_equal(caps.rx_queues, 4);
	assert_int_equal(caps.tx_queues, 4);
	assert_int_equal(caps.numa_node, -1);
	assert_memory_equal(caps.mac, "\2\0\0\0\0\7", 6);
	assert_true(caps.is_up);
	assert_false(caps.has_ntuple);
	assert_true(caps.xdp_features & XSK_NETDEV_ACT_BASIC);
	assert_false(caps.xdp_features & XSK_NETDEV_ACT_ZEROCOPY);
	assert_int_equal(caps.zc_max_segs, 1);
	/* queues that exist but are not in use do not count */
	t_run("ethtool -L %s rx 2 tx 2", t_va);
	assert_int_equal(xsk_caps_get(&caps, t_va, &e), 0);
	assert_int_equal(caps.rx_queues, 2);
	t_run("ip link set %s down", t_vb);
	assert_int_equal(xsk_caps_get(&caps, t_va, &e), 0);
	assert_false(caps.is_up);
}

static void caps__of_no_device(void **state)
{
	struct xsk_caps caps;
	struct xm_error e = { 0 };

	(void)state;
	assert_int_equal(xsk_caps_get(&caps, "nosuch0", &e), -ENODEV);
	assert_non_null(strstr(e.msg, "nosuch0: no such device"));
	memset(&e, 0, sizeof(e));
	assert_int_equal(xsk_caps_get(&caps, "a-name-too-long-for-it", &e),
			 -EINVAL);
}

int main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(name, t_veth_setup, t_veth_teardown)
	const struct CMUnitTest tests[] = {
		T(caps__of_a_veth),
		T(caps__of_no_device),
	};

	if (!t_netns_enter())
		return 0;
	return cmocka_run_group_tests_name("caps", tests, NULL, NULL);
}
