// SPDX-License-Identifier: GPL-2.0-or-later
/* test_route_nl.c - answers of rtnetlink, taken apart
 *
 * Answers are put together as the kernel does it, for devices that a test
 * machine need not have, and cut short, as nothing should ever do it.
 */
#include "xsk/route_nl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct t_msg {
	uint64_t buf[128];
	struct nlmsghdr *h;
};

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };

/* -- links ------------------------------------------------------------------------- */

static void msg_link(struct t_msg *m, unsigned int flags)
{
	struct ifinfomsg *ifi;

	memset(m, 0, sizeof(*m));
	m->h = mnl_nlmsg_put_header(m->buf);
	m->h->nlmsg_type = RTM_NEWLINK;
	ifi = mnl_nlmsg_put_extra_header(m->h, sizeof(*ifi));
	ifi->ifi_index = 7;
	ifi->ifi_type = ARPHRD_ETHER;
	ifi->ifi_flags = flags;
	mnl_attr_put_strz(m->h, IFLA_IFNAME, "ens1f0.100");
	mnl_attr_put(m->h, IFLA_ADDRESS, sizeof(mac), mac);
	mnl_attr_put_u32(m->h, IFLA_MTU, 9000);
}

static void msg_vlan(struct t_msg *m, const char *kind, uint16_t proto,
		     uint16_t id)
{
	struct nlattr *info, *data;

	mnl_attr_put_u32(m->h, IFLA_LINK, 3);
	info = mnl_attr_nest_start(m->h, IFLA_LINKINFO);
	mnl_attr_put_strz(m->h, IFLA_INFO_KIND, kind);
	data = mnl_attr_nest_start(m->h, IFLA_INFO_DATA);
	mnl_attr_put_u16(m->h, IFLA_VLAN_PROTOCOL, htons(proto));
	mnl_attr_put_u16(m->h, IFLA_VLAN_ID, id);
	mnl_attr_nest_end(m->h, data);
	mnl_attr_nest_end(m->h, info);
}

static void route_nl_parse_link__plain(void **state)
{
	struct route_link l;
	struct t_msg m;

	(void)state;
	msg_link(&m, IFF_UP | IFF_LOWER_UP);
	mnl_attr_put_u32(m.h, IFLA_MASTER, 9);
	assert_int_equal(route_nl_parse_link(m.h, &l), 0);
	assert_int_equal(l.ifindex, 7);
	assert_string_equal(l.name, "ens1f0.100");
	assert_memory_equal(l.mac, mac, 6);
	assert_int_equal(l.mtu, 9000);
	assert_int_equal(l.master, 9);
	assert_int_equal(l.lower, 0);
	assert_true(l.is_ether);
	assert_true(l.is_up);
	assert_false(l.is_vlan);
}

static void route_nl_parse_link__no_carrier_is_not_up(void **state)
{
	struct route_link l;
	struct t_msg m;

	(void)state;
	msg_link(&m, IFF_UP);
	assert_int_equal(route_nl_parse_link(m.h, &l), 0);
	assert_false(l.is_up);
}

static void route_nl_parse_link__vlan(void **state)
{
	struct route_link l;
	struct t_msg m;

	(void)state;
	msg_link(&m, IFF_UP | IFF_LOWER_UP);
	msg_vlan(&m, "vlan", ETH_P_8021Q, 100);
	assert_int_equal(route_nl_parse_link(m.h, &l), 0);
	assert_true(l.is_vlan);
	assert_int_equal(l.vlan, 100);
	assert_int_equal(l.lower, 3);
}

static void route_nl_parse_link__service_vlan_is_none_of_ours(void **state)
{
	struct route_link l;
	struct t_msg m;

	(void)state;
	msg_link(&m, IFF_UP);
	msg_vlan(&m, "vlan", ETH_P_8021AD, 100);
	assert_int_equal(route_nl_parse_link(m.h, &l), 0);
	assert_false(l.is_vlan);
}

/* Another kind's data has other attributes with the same numbers. */
static void route_nl_parse_link__other_kind(void **state)
{
	struct route_link l;
	struct t_msg m;

	(void)state;
	msg_link(&m, IFF_UP);
	msg_vlan(&m, "macvlan", ETH_P_8021Q, 100);
	assert_int_equal(route_nl_parse_link(m.h, &l), 0);
	assert_false(l.is_vlan);
	assert_int_equal(l.vlan, 0);
}

/* The device below is in another namespace: its index means nothing here. */
static void route_nl_parse_link__lower_elsewhere(void **state)
{
	struct route_link l;
	struct t_msg m;

	(void)state;
	msg_link(&m, IFF_UP);
	msg_vlan(&m, "vlan", ETH_P_8021Q, 100);
	mnl_attr_put_u32(m.h, IFLA_LINK_NETNSID, 0);
	assert_int_equal(route_nl_parse_link(m.h, &l), 0);
	assert_int_equal(l.lower, 0);
}

static void route_nl_parse_link__not_ethernet(void **state)
{
	struct route_link l;
	struct t_msg m;

	(void)state;
	msg_link(&m, IFF_UP);
	((struct ifinfomsg *)mnl_nlmsg_get_payload(m.h))->ifi_type =
		ARPHRD_LOOPBACK;
	assert_int_equal(route_nl_parse_link(m.h, &l), 0);
	assert_false(l.is_ether);
}

/* Attributes of the wrong size are skipped, not read beyond. */
static void route_nl_parse_link__short_attributes(void **state)
{
	struct route_link l;
	struct t_msg m;

	(void)state;
	memset(&m, 0, sizeof(m));
	m.h = mnl_nlmsg_put_header(m.buf);
	m.h->nlmsg_type = RTM_NEWLINK;
	mnl_nlmsg_put_extra_header(m.h, sizeof(struct ifinfomsg));
	mnl_attr_put(m.h, IFLA_MTU, 2, mac);
	mnl_attr_put(m.h, IFLA_ADDRESS, 5, mac);
	mnl_attr_put(m.h, IFLA_LINK, 0, NULL);
	mnl_attr_put(m.h, IFLA_IFNAME, 0, NULL);
	assert_int_equal(route_nl_parse_link(m.h, &l), 0);
	assert_int_equal(l.mtu, 0);
	assert_int_equal(l.mac[0], 0);
	assert_int_equal(l.lower, 0);
	assert_string_equal(l.name, "");
}

static void route_nl_parse_link__not_a_link(void **state)
{
	struct route_link l;
	struct t_msg m;

	(void)state;
	msg_link(&m, IFF_UP);
	m.h->nlmsg_type = RTM_NEWROUTE;
	assert_int_equal(route_nl_parse_link(m.h, &l), -EBADMSG);
	m.h->nlmsg_type = RTM_NEWLINK;
	m.h->nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg) - 1);
	assert_int_equal(route_nl_parse_link(m.h, &l), -EBADMSG);
}

/* -- routes ---------------------------------------------------------------------------- */

static void msg_route(struct t_msg *m, int family)
{
	static const uint8_t dst[16] = { 198, 18, 0, 2 };
	struct rtmsg *rtm;

	memset(m, 0, sizeof(*m));
	m->h = mnl_nlmsg_put_header(m->buf);
	m->h->nlmsg_type = RTM_NEWROUTE;
	rtm = mnl_nlmsg_put_extra_header(m->h, sizeof(*rtm));
	rtm->rtm_family = (unsigned char)family;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put(m->h, RTA_DST, family == AF_INET ? 4 : 16, dst);
	mnl_attr_put_u32(m->h, RTA_OIF, 7);
}

static void route_nl_parse_hop__on_link(void **state)
{
	static const uint8_t src[4] = { 198, 18, 0, 1 };
	struct route_hop hop;
	struct t_msg m;

	(void)state;
	msg_route(&m, AF_INET);
	mnl_attr_put(m.h, RTA_PREFSRC, 4, src);
	assert_int_equal(route_nl_parse_hop(m.h, &hop), 0);
	assert_int_equal(hop.type, RTN_UNICAST);
	assert_int_equal(hop.ifindex, 7);
	assert_int_equal(hop.via.family, AF_INET);
	assert_int_equal(hop.via.bytes[3], 2);
	assert_int_equal(hop.src.family, AF_INET);
	assert_int_equal(hop.src.bytes[3], 1);
}

static void route_nl_parse_hop__gateway_before_destination(void **state)
{
	static const uint8_t gw[4] = { 198, 18, 0, 254 };
	struct route_hop hop;
	struct t_msg m;

	(void)state;
	msg_route(&m, AF_INET);
	mnl_attr_put(m.h, RTA_GATEWAY, 4, gw);
	assert_int_equal(route_nl_parse_hop(m.h, &hop), 0);
	assert_int_equal(hop.via.bytes[3], 254);
	assert_int_equal(hop.src.family, 0);
}

static void route_nl_parse_hop__via_of_another_family(void **state)
{
	uint8_t via[2 + 16] = { 0 };
	uint16_t six = AF_INET6;
	struct route_hop hop;
	struct t_msg m;

	(void)state;
	memcpy(via, &six, 2);
	via[2] = 0xfe;
	via[3] = 0x80;
	msg_route(&m, AF_INET);
	mnl_attr_put(m.h, RTA_VIA, sizeof(via), via);
	assert_int_equal(route_nl_parse_hop(m.h, &hop), 0);
	assert_int_equal(hop.via.family, AF_INET6);
	assert_int_equal(hop.via.bytes[0], 0xfe);
}

static void route_nl_parse_hop__short_via(void **state)
{
	uint8_t via[2 + 4] = { 0 };
	uint16_t six = AF_INET6;
	struct route_hop hop;
	struct t_msg m;

	(void)state;
	memcpy(via, &six, 2);
	msg_route(&m, AF_INET);
	mnl_attr_put(m.h, RTA_VIA, sizeof(via), via);
	assert_int_equal(route_nl_parse_hop(m.h, &hop), 0);
	assert_int_equal(hop.via.family, AF_INET); /* the destination */
}

static void route_nl_parse_hop__without_destination(void **state)
{
	struct route_hop hop;
	struct t_msg m;

	(void)state;
	msg_route(&m, AF_INET);
	m.h->nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg));
	assert_int_equal(route_nl_parse_hop(m.h, &hop), -EBADMSG);
	m.h->nlmsg_len = NLMSG_LENGTH(4);
	assert_int_equal(route_nl_parse_hop(m.h, &hop), -EBADMSG);
}

/* -- neighbours ---------------------------------------------------------------------------- */

static int neigh_of(unsigned int nud, unsigned int mac_len,
		    struct route_neigh *ret)
{
	struct ndmsg *ndm;
	struct t_msg m;

	memset(&m, 0, sizeof(m));
	m.h = mnl_nlmsg_put_header(m.buf);
	m.h->nlmsg_type = RTM_NEWNEIGH;
	ndm = mnl_nlmsg_put_extra_header(m.h, sizeof(*ndm));
	ndm->ndm_state = (uint16_t)nud;
	if (mac_len)
		mnl_attr_put(m.h, NDA_LLADDR, mac_len, mac);
	return route_nl_parse_neigh(m.h, ret);
}

static void route_nl_parse_neigh__states(void **state)
{
	struct route_neigh n;

	(void)state;
	assert_int_equal(neigh_of(NUD_REACHABLE, 6, &n), 0);
	assert_true(n.is_known && !n.is_stale);
	assert_memory_equal(n.mac, mac, 6);
	assert_int_equal(neigh_of(NUD_STALE, 6, &n), 0);
	assert_true(n.is_known && n.is_stale);
	assert_int_equal(neigh_of(NUD_PERMANENT, 6, &n), 0);
	assert_true(n.is_known);
	assert_int_equal(neigh_of(NUD_FAILED, 6, &n), 0);
	assert_false(n.is_known);
	assert_int_equal(neigh_of(NUD_INCOMPLETE, 0, &n), 0);
	assert_false(n.is_known);
}

static void route_nl_parse_neigh__address_of_another_length(void **state)
{
	struct route_neigh n;

	(void)state;
	assert_int_equal(neigh_of(NUD_REACHABLE, 4, &n), 0);
	assert_false(n.is_known);
	assert_int_equal(neigh_of(NUD_REACHABLE, 0, &n), 0);
	assert_false(n.is_known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(route_nl_parse_link__plain),
		cmocka_unit_test(route_nl_parse_link__no_carrier_is_not_up),
		cmocka_unit_test(route_nl_parse_link__vlan),
		cmocka_unit_test(
			route_nl_parse_link__service_vlan_is_none_of_ours),
		cmocka_unit_test(route_nl_parse_link__other_kind),
		cmocka_unit_test(route_nl_parse_link__lower_elsewhere),
		cmocka_unit_test(route_nl_parse_link__not_ethernet),
		cmocka_unit_test(route_nl_parse_link__short_attributes),
		cmocka_unit_test(route_nl_parse_link__not_a_link),
		cmocka_unit_test(route_nl_parse_hop__on_link),
		cmocka_unit_test(
			route_nl_parse_hop__gateway_before_destination),
		cmocka_unit_test(route_nl_parse_hop__via_of_another_family),
		cmocka_unit_test(route_nl_parse_hop__short_via),
		cmocka_unit_test(route_nl_parse_hop__without_destination),
		cmocka_unit_test(route_nl_parse_neigh__states),
		cmocka_unit_test(
			route_nl_parse_neigh__address_of_another_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
