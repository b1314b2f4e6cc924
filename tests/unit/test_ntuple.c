// SPDX-License-Identifier: GPL-2.0-or-later
/* test_ntuple.c - flow rules: their form, and a NIC that takes them
 *
 * No device here has a rule table, so a NIC is played: a table of rules behind
 * the five commands, which can choose places itself or not, be full, refuse a
 * family, or have no table at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>

#include "xdpmig/limits.h"
#include "xsk/ntuple.h"

#define NIC_SIZE 256

struct t_nic {
	struct ntuple_dev dev; /* first: the callback gets it */
	struct ethtool_rx_flow_spec rule[NIC_SIZE];
	bool used[NIC_SIZE];
	uint32_t size;        /* places */
	bool is_choosing;     /* RX_CLS_LOC_SPECIAL */
	int insert_error;     /* for what insert_no names */
	uint32_t insert_no;   /* the n-th insertion from 1 fails; 0: none */
	uint32_t refuse_type; /* flow type not known; 0: all are */
	uint32_t inserts;
};

static uint32_t nic_count(const struct t_nic *nic)
{
	uint32_t i, n = 0;

	for (i = 0; i < NIC_SIZE; i++)
		n += nic->used[i];
	return n;
}

static int nic_all(struct t_nic *nic, struct ethtool_rxnfc *cmd)
{
	uint32_t i, n = 0;

	for (i = 0; i < nic->size; i++) {
		if (!nic->used[i])
			continue;
		if (n == cmd->rule_cnt)
			return -EMSGSIZE;
		cmd->rule_locs[n++] = i;
	}
	cmd->rule_cnt = n;
	cmd->data = nic->size;
	return 0;
}

static int nic_insert(struct t_nic *nic, struct ethtool_rxnfc *cmd)
{
	uint32_t loc = cmd->fs.location;

	if (++nic->inserts == nic->insert_no)
		return nic->insert_error;
	if (cmd->fs.flow_type == nic->refuse_type)
		return -EOPNOTSUPP;
	if (loc == RX_CLS_LOC_ANY) {
		if (!nic->is_choosing)
			return -EINVAL;
		for (loc = 0; loc < nic->size && nic->used[loc]; loc++)
			;
	}
	if (loc >= nic->size)
		return -ENOSPC;
	assert_false(nic->used[loc]); /* somebody else's rule */
	nic->used[loc] = true;
	nic->rule[loc] = cmd->fs;
	nic->rule[loc].location = cmd->fs.location = loc;
	return 0;
}

static int nic_call(struct ntuple_dev *dev, struct ethtool_rxnfc *cmd)
{
	struct t_nic *nic = (struct t_nic *)dev;

	if (!nic->size)
		return -EOPNOTSUPP;
	switch (cmd->cmd) {
	case ETHTOOL_GRXCLSRLCNT:
		cmd->rule_cnt = nic_count(nic);
		cmd->data = nic->is_choosing ? RX_CLS_LOC_SPECIAL : 0;
		return 0;
	case ETHTOOL_GRXCLSRLALL:
		return nic_all(nic, cmd);
	case ETHTOOL_GRXCLSRULE:
		if (!nic->used[cmd->fs.location])
			return -EINVAL;
		cmd->fs = nic->rule[cmd->fs.location];
		return 0;
	case ETHTOOL_SRXCLSRLINS:
		return nic_insert(nic, cmd);
	case ETHTOOL_SRXCLSRLDEL:
		if (!nic->used[cmd->fs.location])
			return -EINVAL;
		nic->used[cmd->fs.location] = false;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int nic_setup(void **state)
{
	struct t_nic *nic = calloc(1, sizeof(*nic));

	*state = nic;
	if (!nic)
		return -1;
	nic->dev.call = nic_call;
	strcpy(nic->dev.ifname, "nic0");
	nic->size = NIC_SIZE;
	return 0;
}

static int nic_teardown(void **state)
{
	free(*state);
	return 0;
}

/* A rule of the administrator's own. */
static void nic_foreign(struct t_nic *nic, uint32_t loc, uint16_t dport)
{
	struct ntuple_rule r = { .dport = dport, .queue = 1 };

	ntuple_build(&nic->rule[loc], &r);
	nic->rule[loc].location = loc;
	nic->used[loc] = true;
}

/* Where does the table send this port?  -1: nowhere. */
static int nic_queue(const struct t_nic *nic, uint32_t type, uint16_t dport)
{
	uint32_t i;

	for (i = 0; i < NIC_SIZE; i++) {
		const struct ethtool_rx_flow_spec *fs = &nic->rule[i];

		if (!nic->used[i] || fs->flow_type != type)
			continue;
		if (ntohs(type == UDP_V4_FLOW ?
				  fs->h_u.udp_ip4_spec.pdst :
				  fs->h_u.udp_ip6_spec.pdst) == dport)
			return (int)fs->ring_cookie;
	}
	return -1;
}

/* -- one rule ------------------------------------------------------------------ */

static void ntuple_build__ipv4(void **state)
{
	struct ntuple_rule rule = { .dport = 61955, .queue = 3 };
	struct ethtool_rx_flow_spec fs, want = { 0 };

	(void)state;
	ntuple_build(&fs, &rule);
	want.flow_type = UDP_V4_FLOW;
	want.h_u.udp_ip4_spec.pdst = htons(61955);
	want.m_u.udp_ip4_spec.pdst = 0xffff;
	want.ring_cookie = 3;
	assert_memory_equal(&fs, &want, sizeof(fs));
}

static void ntuple_build__ipv6(void **state)
{
	struct ntuple_rule rule = { .is_ipv6 = true,
				    .dport = 61952,
				    .queue = 63 };
	struct ethtool_rx_flow_spec fs, want = { 0 };

	(void)state;
	ntuple_build(&fs, &rule);
	want.flow_type = UDP_V6_FLOW;
	want.h_u.udp_ip6_spec.pdst = htons(61952);
	want.m_u.udp_ip6_spec.pdst = 0xffff;
	want.ring_cookie = 63;
	assert_memory_equal(&fs, &want, sizeof(fs));
}

static struct ethtool_rx_flow_spec spec(bool is_ipv6, uint16_t dport,
					uint32_t queue)
{
	struct ntuple_rule rule = { .is_ipv6 = is_ipv6,
				    .dport = dport,
				    .queue = queue };
	struct ethtool_rx_flow_spec fs;

	ntuple_build(&fs, &rule);
	return fs;
}

static void ntuple_is_ours__what_was_built(void **state)
{
	struct ethtool_rx_flow_spec fs = spec(false, XM_PORT_DATA, 0);

	(void)state;
	assert_true(ntuple_is_ours(&fs));
	fs = spec(true, XM_PORT_DATA + XM_CHAN_MAX - 1, XM_CHAN_MAX - 1);
	assert_true(ntuple_is_ours(&fs));
	fs.location = 1234;       /* wherever the driver put it */
	fs.flow_type |= FLOW_EXT; /* some drivers add it, with empty masks */
	assert_true(ntuple_is_ours(&fs));
}

static void ntuple_is_ours__not_other_ports(void **state)
{
	struct ethtool_rx_flow_spec fs = spec(false, XM_PORT_DATA - 1, 0);

	(void)state;
	assert_false(ntuple_is_ours(&fs));
	fs = spec(true, XM_PORT_DATA + XM_CHAN_MAX, 0);
	assert_false(ntuple_is_ours(&fs));
	fs = spec(false, 53, 0);
	assert_false(ntuple_is_ours(&fs));
}

static void ntuple_is_ours__not_a_drop_rule(void **state)
{
	struct ethtool_rx_flow_spec fs = spec(false, XM_PORT_DATA, 0);

	(void)state;
	fs.ring_cookie = RX_CLS_FLOW_DISC;
	assert_false(ntuple_is_ours(&fs));
	fs.ring_cookie = XM_CHAN_MAX;
	assert_false(ntuple_is_ours(&fs));
}

static void ntuple_is_ours__not_another_protocol(void **state)
{
	struct ethtool_rx_flow_spec fs = spec(false, XM_PORT_DATA, 0);

	(void)state;
	fs.flow_type = TCP_V4_FLOW;
	assert_false(ntuple_is_ours(&fs));
	fs.flow_type = UDP_V4_FLOW | FLOW_RSS;
	assert_false(ntuple_is_ours(&fs));
	fs.flow_type = UDP_V4_FLOW | FLOW_MAC_EXT;
	assert_false(ntuple_is_ours(&fs));
}

static void ntuple_is_ours__not_a_finer_ipv4_rule(void **state)
{
	struct ethtool_rx_flow_spec fs = spec(false, XM_PORT_DATA, 0);

	(void)state;
	fs.m_u.udp_ip4_spec.ip4src = 0xffffffff;
	assert_false(ntuple_is_ours(&fs));
	fs = spec(false, XM_PORT_DATA, 0);
	fs.m_u.udp_ip4_spec.psrc = 1;
	assert_false(ntuple_is_ours(&fs));
	fs = spec(false, XM_PORT_DATA, 0);
	fs.m_u.udp_ip4_spec.tos = 1;
	assert_false(ntuple_is_ours(&fs));
	fs = spec(false, XM_PORT_DATA, 0);
	fs.m_u.udp_ip4_spec.pdst = htons(0xfff0); /* a range of ports */
	assert_false(ntuple_is_ours(&fs));
}

static void ntuple_is_ours__not_a_finer_ipv6_rule(void **state)
{
	struct ethtool_rx_flow_spec fs = spec(true, XM_PORT_DATA, 0);

	(void)state;
	fs.m_u.udp_ip6_spec.ip6dst[3] = 1;
	assert_false(ntuple_is_ours(&fs));
	fs = spec(true, XM_PORT_DATA, 0);
	fs.m_u.udp_ip6_spec.tclass = 1;
	assert_false(ntuple_is_ours(&fs));
}

static void ntuple_is_ours__not_a_rule_by_vlan(void **state)
{
	struct ethtool_rx_flow_spec fs = spec(false, XM_PORT_DATA, 0);

	(void)state;
	fs.flow_type |= FLOW_EXT;
	fs.m_ext.vlan_tci = htons(0xfff);
	assert_false(ntuple_is_ours(&fs));
}

/* -- the table -------------------------------------------------------------------- */

static void ntuple_insert_all__ports_to_queues(void **state)
{
	struct t_nic *nic = *state;
	struct xm_error e = { 0 };

	assert_int_equal(ntuple_insert_all(&nic->dev, 0, 16, &e), 32);
	assert_int_equal(e.err, 0);
	assert_int_equal(nic_count(nic), 32);
	assert_int_equal(nic_queue(nic, UDP_V4_FLOW, XM_PORT_DATA), 0);
	assert_int_equal(nic_queue(nic, UDP_V4_FLOW, XM_PORT_DATA + 15), 15);
	assert_int_equal(nic_queue(nic, UDP_V6_FLOW, XM_PORT_DATA + 7), 7);
	assert_int_equal(nic_queue(nic, UDP_V6_FLOW, XM_PORT_DATA + 16), -1);
}

static void ntuple_insert_all__from_another_first_queue(void **state)
{
	struct t_nic *nic = *state;

	assert_int_equal(ntuple_insert_all(&nic->dev, 4, 2, NULL), 4);
	assert_int_equal(nic_queue(nic, UDP_V4_FLOW, XM_PORT_DATA), 4);
	assert_int_equal(nic_queue(nic, UDP_V6_FLOW, XM_PORT_DATA + 1), 5);
}

/* The highest places: others' rules keep their priority and their place. */
static void ntuple_insert_all__around_foreign_rules(void **state)
{
	struct t_nic *nic = *state;

	nic_foreign(nic, NIC_SIZE - 1, 80);
	nic_foreign(nic, NIC_SIZE - 3, 443);
	nic_foreign(nic, 0, 53);
	assert_int_equal(ntuple_insert_all(&nic->dev, 0, 2, NULL), 4);
	assert_true(nic->used[NIC_SIZE - 2]);
	assert_true(nic->used[NIC_SIZE - 6]);
	assert_false(nic->used[NIC_SIZE - 7]);
	assert_int_equal(nic_queue(nic, UDP_V4_FLOW, 443), 1);
}

static void ntuple_insert_all__where_the_nic_chooses(void **state)
{
	struct t_nic *nic = *state;

	nic->is_choosing = true;
	nic_foreign(nic, 1, 80);
	assert_int_equal(ntuple_insert_all(&nic->dev, 0, 4, NULL), 8);
	assert_int_equal(nic_count(nic), 9);
	assert_int_equal(ntuple_remove_ours(&nic->dev), 8);
	assert_int_equal(nic_count(nic), 1);
}

static void ntuple_insert_all__one_family_refused(void **state)
{
	struct t_nic *nic = *state;
	struct xm_error e = { 0 };

	nic->refuse_type = UDP_V6_FLOW;
	assert_int_equal(ntuple_insert_all(&nic->dev, 0, 4, &e), 4);
	assert_int_equal(nic_count(nic), 4);
	assert_int_equal(e.err, -EOPNOTSUPP);
	assert_non_null(strstr(e.msg, "nic0"));
	assert_non_null(strstr(e.msg, "udp6"));
}

/* All ports of a family or none: half of them would help no session. */
static void ntuple_insert_all__takes_back_half_a_family(void **state)
{
	struct t_nic *nic = *state;
	struct xm_error e = { 0 };

	nic->insert_no = 3;
	nic->insert_error = -EBUSY;
	assert_int_equal(ntuple_insert_all(&nic->dev, 0, 4, &e), 4);
	assert_int_equal(e.err, -EBUSY);
	assert_int_equal(nic_count(nic), 4);
	assert_int_equal(nic_queue(nic, UDP_V4_FLOW, XM_PORT_DATA), -1);
	assert_int_equal(nic_queue(nic, UDP_V6_FLOW, XM_PORT_DATA), 0);
}

static void ntuple_insert_all__table_full(void **state)
{
	struct t_nic *nic = *state;
	struct xm_error e = { 0 };

	nic->size = 3;
	nic_foreign(nic, 1, 80);
	assert_int_equal(ntuple_insert_all(&nic->dev, 0, 4, &e), 0);
	assert_int_equal(e.err, -ENOSPC);
	assert_int_equal(nic_count(nic), 1);
	assert_true(nic->used[1]);
}

static void ntuple_insert_all__no_table(void **state)
{
	struct t_nic *nic = *state;
	struct xm_error e = { 0 };

	nic->size = 0;
	assert_int_equal(ntuple_insert_all(&nic->dev, 0, 4, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.msg, "nic0"));
	assert_int_equal(ntuple_count_ours(&nic->dev), -EOPNOTSUPP);
	assert_int_equal(ntuple_remove_ours(&nic->dev), -EOPNOTSUPP);
}

static void ntuple_remove_ours__leaves_the_rest(void **state)
{
	struct t_nic *nic = *state;

	nic_foreign(nic, 3, 80);
	nic_foreign(nic, 200, XM_PORT_DATA - 1);
	assert_int_equal(ntuple_insert_all(&nic->dev, 0, 8, NULL), 16);
	assert_int_equal(ntuple_count_ours(&nic->dev), 16);
	assert_int_equal(ntuple_remove_ours(&nic->dev), 16);
	assert_int_equal(ntuple_count_ours(&nic->dev), 0);
	assert_int_equal(nic_count(nic), 2);
	assert_true(nic->used[3] && nic->used[200]);
	assert_int_equal(ntuple_remove_ours(&nic->dev), 0);
}

/* -- a real device without a table ---------------------------------------------------- */

static void ntuple_insert__on_loopback(void **state)
{
	struct xm_error e = { 0 };

	(void)state;
	assert_int_equal(ntuple_insert("lo", 0, 1, &e), -EOPNOTSUPP);
	assert_int_equal(e.reason, XM_REASON_STEERING);
	assert_int_equal(ntuple_count("lo"), -EOPNOTSUPP);
	assert_int_equal(ntuple_remove("lo"), -EOPNOTSUPP);
}

static void ntuple_count__no_such_device(void **state)
{
	(void)state;
	assert_int_equal(ntuple_count("xm-none"), -ENODEV);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, nic_setup, nic_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ntuple_build__ipv4),
		cmocka_unit_test(ntuple_build__ipv6),
		cmocka_unit_test(ntuple_is_ours__what_was_built),
		cmocka_unit_test(ntuple_is_ours__not_other_ports),
		cmocka_unit_test(ntuple_is_ours__not_a_drop_rule),
		cmocka_unit_test(ntuple_is_ours__not_another_protocol),
		cmocka_unit_test(ntuple_is_ours__not_a_finer_ipv4_rule),
		cmocka_unit_test(ntuple_is_ours__not_a_finer_ipv6_rule),
		cmocka_unit_test(ntuple_is_ours__not_a_rule_by_vlan),
		CASE(ntuple_insert_all__ports_to_queues),
		CASE(ntuple_insert_all__from_another_first_queue),
		CASE(ntuple_insert_all__around_foreign_rules),
		CASE(ntuple_insert_all__where_the_nic_chooses),
		CASE(ntuple_insert_all__one_family_refused),
		CASE(ntuple_insert_all__takes_back_half_a_family),
		CASE(ntuple_insert_all__table_full),
		CASE(ntuple_insert_all__no_table),
		CASE(ntuple_remove_ours__leaves_the_rest),
		cmocka_unit_test(ntuple_insert__on_loopback),
		cmocka_unit_test(ntuple_count__no_such_device),
	};

	return cmocka_run_group_tests_name("ntuple", tests, NULL, NULL);
}
