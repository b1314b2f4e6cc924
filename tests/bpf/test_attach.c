// SPDX-License-Identifier: GPL-2.0-or-later
/* test_attach.c - attaching, detaching, finding again, on a real device */
#include "t_attach.h"

/* -- attach --------------------------------------------------------------------- */

static void steer_attach__native_by_default(void **state)
{
	struct steer_info info;
	struct xm_error e = { 0 };

	(void)state;
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 0, 0, &e), 0);
	assert_string_equal(info.ifname, "v0");
	assert_int_equal(info.mode, STEER_NATIVE);
	assert_true(info.has_frags);
	assert_int_equal(info.first_queue, 0);
	assert_int_equal(info.n_queues, 4);
	assert_int_equal(info.n_rules, 0);
	assert_int_equal(info.live, 0);
	assert_string_equal(info.why_generic, "");
	assert_non_null(strstr(info.why_no_rules, "v0"));
	assert_int_not_equal(info.prog_id, 0);
	/* In a dispatcher or alone, something is on the device. */
	assert_int_not_equal(xdp_id("v0"), 0);
	if (!info.has_dispatcher)
		assert_int_equal(xdp_id("v0"), info.prog_id);
}

static void steer_attach__generic(void **state)
{
	struct steer_info info;

	(void)state;
	assert_int_equal(steer_attach(&info, "v0", STEER_GENERIC, 1, 2, NULL),
			 0);
	assert_int_equal(info.mode, STEER_GENERIC);
	assert_int_equal(info.first_queue, 1);
	assert_int_equal(info.n_queues, 2);
}

/* The loopback device has no native mode: AUTO says so, NATIVE fails. */
/* An Ethernet device whose driver has no XDP. */
static void add_bridge(void)
{
	sh("ip link add br0 type bridge && ip link set br0 up");
}

static void steer_attach__auto_falls_back_and_says_why(void **state)
{
	struct steer_info info;

	(void)state;
	add_bridge();
	assert_int_equal(steer_attach(&info, "br0", STEER_AUTO, 0, 0, NULL), 0);
	assert_int_equal(info.mode, STEER_GENERIC);
	assert_non_null(strstr(info.why_generic, "native"));
}

static void steer_attach__native_is_not_to_be_had(void **state)
{
	struct steer_info info;
	struct xm_error e = { 0 };

	(void)state;
	add_bridge();
	assert_int_equal(steer_attach(&info, "br0", STEER_NATIVE, 0, 0, &e),
			 -EOPNOTSUPP);
	says(&e, "br0: cannot attach in native mode");
	says(&e, "does not support XDP"); /* the kernel's own words */
	assert_int_equal(xdp_id("br0"), 0);
}

static void steer_attach__no_ethernet(void **state)
{
	struct steer_info info;
	struct xm_error e = { 0 };

	(void)state;
	assert_int_equal(steer_attach(&info, "lo", STEER_AUTO, 0, 0, &e),
			 -EOPNOTSUPP);
	says(&e, "lo: is no Ethernet device");
	assert_int_equal(xdp_id("lo"), 0);
}

static void steer_attach__twice(void **state)
{
	struct steer_info info;
	struct xm_error e = { 0 };
	uint32_t id;

	(void)state;
	attach();
	id = xdp_id("v0");
	assert_int_equal(steer_attach(&info, "v0", STEER_GENERIC, 0, 0, &e),
			 -EEXIST);
	says(&e, "v0: xdpmig is attached already");
	assert_int_equal(xdp_id("v0"), id);
}

static void steer_attach__foreign_is_never_replaced(void **state)
{
	uint32_t id = foreign_attach("v0", XDP_FLAGS_DRV_MODE);
	struct steer_info info;
	struct xm_error e = { 0 };
	char text[32];

	(void)state;
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 0, 0, &e),
			 -EBUSY);
	says(&e, "their_pass");
	snprintf(text, sizeof(text), "id %u", id);
	says(&e, text);
	assert_int_equal(xdp_id("v0"), id);
}

static void steer_attach__foreign_generic_is_there(void **state)
{
	uint32_t id = foreign_attach("v0", XDP_FLAGS_SKB_MODE);
	struct steer_info info;

	(void)state;
	assert_int_equal(steer_attach(&info, "v0", STEER_NATIVE, 0, 0, NULL),
			 -EBUSY);
	assert_int_equal(xdp_id("v0"), id);
}

static void steer_attach__no_such_device(void **state)
{
	struct steer_info info;
	struct xm_error e = { 0 };

	(void)state;
	assert_int_equal(steer_attach(&info, "none0", STEER_AUTO, 0, 0, &e),
			 -ENODEV);
	says(&e, "none0");
}

static void steer_attach__more_queues_than_there_are(void **state)
{
	struct steer_info info;
	struct xm_error e = { 0 };

	(void)state;
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 0, 16, &e),
			 -ERANGE);
	says(&e, "15");
	says(&e, "4 receive queues");
	assert_int_equal(xdp_id("v0"), 0);
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 4, 0, NULL),
			 -ERANGE);
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 3, 2, NULL),
			 -ERANGE);
	assert_int_equal(steer_attach(&info, "v0", STEER_AUTO, 3, 1, NULL), 0);
}

/* veth's own limit, in the kernel's words; generic mode has none. */
static void steer_attach__peer_has_more_queues(void **state)
{
	struct steer_info info;
	struct xm_error e = { 0 };

	(void)state;
	sh("ip link add a0 numrxqueues 1 numtxqueues 1 type veth peer name a1"
	   " numrxqueues 2 numtxqueues 2");
	assert_int_equal(steer_attach(&info, "a0", STEER_NATIVE, 0, 0, &e),
			 -ENOSPC);
	says(&e, "queues");
	assert_int_equal(steer_attach(&info, "a0", STEER_AUTO, 0, 0, NULL), 0);
	assert_int_equal(info.mode, STEER_GENERIC);
}

/* -- detach ------------------------------------------------------------------------ */

static void steer_detach__takes_it_off(void **state)
{
	struct xm_error e = { 0 };
	struct steer s;

	(void)state;
	attach();
	assert_int_equal(steer_detach("v0", false, &e), 0);
	assert_int_equal(xdp_id("v0"), 0);
	assert_int_equal(steer_open(&s, "v0", &e), -ENOENT);
	says(&e, "xdpmig attach v0");
}

static void steer_detach__nothing(void **state)
{
	struct xm_error e = { 0 };

	(void)state;
	assert_int_equal(steer_detach("v0", false, &e), -ENOENT);
	says(&e, "v0");
}

static void steer_detach__foreign_stays(void **state)
{
	uint32_t id = foreign_attach("v0", XDP_FLAGS_DRV_MODE);
	struct xm_error e = { 0 };

	(void)state;
	assert_int_equal(steer_detach("v0", true, &e), -ENOENT);
	says(&e, "their_pass");
	assert_int_equal(xdp_id("v0"), id);
}

static void steer_detach__no_such_device(void **state)
{
	(void)state;
	assert_int_equal(steer_detach("none0", false, NULL), -ENODEV);
}

/* -- open, list --------------------------------------------------------------------------- */

static void steer_open__finds_what_attach_made(void **state)
{
	struct steer s;

	(void)state;
	attach();
	open_v0(&s);
	assert_int_equal(s.ifindex, if_nametoindex("v0"));
	assert_int_equal(s.info.n_queues, 4);
	assert_int_equal(s.info.mode, STEER_NATIVE);
	assert_true(s.info.has_frags);
	steer_close(&s);
	assert_int_equal(s.slots_fd, -1);
	assert_int_equal(s.xsks_fd, -1);
	assert_int_equal(s.verdicts_fd, -1);
	assert_int_equal(s.conf_fd, -1);
}

static void steer_open__foreign(void **state)
{
	struct xm_error e = { 0 };
	struct steer s;

	(void)state;
	foreign_attach("v0", 0);
	assert_int_equal(steer_open(&s, "v0", &e), -ENOENT);
	says(&e, "their_pass");
}

static void steer_open__another_version(void **state)
{
	struct xm_error e = { 0 };
	struct steer s, other;

	(void)state;
	attach();
	open_v0(&s);
	s.conf->version = XM_STEER_VERSION + 1;
	steer_close(&s);
	assert_int_equal(steer_open(&other, "v0", &e), -EPROTO);
	says(&e, "xdpmig detach v0");
	assert_int_equal(steer_detach("v0", false, NULL), 0);
}

static void steer_list__names_ours(void **state)
{
	char names[2][16];

	(void)state;
	assert_int_equal(steer_list(names, 2, NULL), 0);
	attach();
	foreign_attach("v1", 0);
	assert_int_equal(steer_list(names, 2, NULL), 1);
	assert_string_equal(names[0], "v0");
	assert_int_equal(steer_list(names, 0, NULL), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(steer_attach__native_by_default),
		CASE(steer_attach__generic),
		CASE(steer_attach__auto_falls_back_and_says_why),
		CASE(steer_attach__native_is_not_to_be_had),
		CASE(steer_attach__no_ethernet),
		CASE(steer_attach__twice),
		CASE(steer_attach__foreign_is_never_replaced),
		CASE(steer_attach__foreign_generic_is_there),
		CASE(steer_attach__no_such_device),
		CASE(steer_attach__more_queues_than_there_are),
		CASE(steer_attach__peer_has_more_queues),
		CASE(steer_detach__takes_it_off),
		CASE(steer_detach__nothing),
		CASE(steer_detach__foreign_stays),
		CASE(steer_detach__no_such_device),
		CASE(steer_open__finds_what_attach_made),
		CASE(steer_open__foreign),
		CASE(steer_open__another_version),
		CASE(steer_list__names_ours),
	};

	return can_run() ? cmocka_run_group_tests_name("attach", tests,
						       group_setup, NULL) :
			   0;
}
