// SPDX-License-Identifier: GPL-2.0-or-later
/* test_ctl_net.c - the control connection where the network fails it
 *
 * What loopback can do is in tests/unit/test_tcp.c.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "../lib/t_msg.h"
#include "../lib/t_route.h"

#include "util/fd.h"

struct t_pair {
	int listen_fd;
	struct ctl *here, *there;
};

static struct ctl_addr addr_of(const char *text)
{
	struct xm_error e = { 0 };
	struct ctl_addr a;

	if (ctl_addr_parse(&a, text, XM_PORT_CTL, &e))
		fail_msg("%s", e.msg);
	return a;
}

static int connect_err(const char *peer, int timeout_ms, struct xm_error *e)
{
	struct ctl_addr a = addr_of(peer);
	struct ctl *ctl = NULL;
	int r = ctl_connect(&ctl, &a, NULL, timeout_ms, e);

	ctl_close(ctl);
	return r;
}

/* Listen in the other namespace: a socket stays where it was made. */
static int listen_there(const struct t_netns *net, const char *addr)
{
	int fd, r, here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct ctl_addr a = addr_of(addr);
	struct xm_error e = { 0 };

	assert_true(here >= 0);
	assert_int_equal(setns(net->there_fd, CLONE_NEWNET), 0);
	r = ctl_listen(&fd, &a, &e);
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	close(here);
	if (r)
		fail_msg("%s", e.msg);
	return fd;
}

static void pair_open(struct t_pair *p, const struct t_netns *net,
		      const char *listen, const char *peer)
{
	struct ctl_addr a = addr_of(peer);
	struct xm_error e = { 0 };
	struct pollfd poll_in;

	p->listen_fd = listen_there(net, listen);
	if (ctl_connect(&p->here, &a, NULL, T_ROUTE_MS, &e))
		fail_msg("%s", e.msg);
	poll_in = (struct pollfd){ .fd = p->listen_fd, .events = POLLIN };
	assert_int_equal(poll(&poll_in, 1, T_ROUTE_MS), 1);
	assert_int_equal(ctl_accept(&p->there, p->listen_fd, &e), 0);
}

static void pair_close(struct t_pair *p)
{
	ctl_close(p->here);
	ctl_close(p->there);
	fd_close(p->listen_fd);
}

/* From here on no frame gets to the other host, either way, and nobody says
 * so. */
static void cut_silently(const struct t_netns *net)
{
	t_here("ip neigh replace 198.18.0.2 lladdr 02:00:00:00:00:99 dev v0 "
	       "nud permanent");
	t_there(net, "ip neigh replace 198.18.0.1 lladdr 02:00:00:00:00:99 "
		     "dev v1 nud permanent");
}

static void ctl_connect__no_route(void **state)
{
	struct xm_error e = { 0 };

	(void)state;
	assert_int_equal(connect_err("198.19.77.7", 1000, &e), -ENETUNREACH);
	assert_non_null(strstr(e.msg, "198.19.77.7:61951"));
	assert_non_null(strstr(e.msg, "no route"));
}

/* The kernel gives up after three questions, a second apart. */
static void ctl_connect__host_is_not_there(void **state)
{
	struct xm_error e = { 0 };

	(void)state;
	assert_int_equal(connect_err("198.18.0.77", 10000, &e), -EHOSTUNREACH);
	assert_non_null(strstr(e.msg, "198.18.0.77:61951"));
}

static void ctl_connect__silence(void **state)
{
	int64_t start = t_now_ms();
	struct xm_error e = { 0 };

	cut_silently(*state);
	assert_int_equal(connect_err("198.18.0.2", 300, &e), -ETIMEDOUT);
	assert_in_range(t_now_ms() - start, 300, 2000);
	assert_non_null(strstr(e.msg, "198.18.0.2:61951"));
	assert_int_equal(e.reason, XM_REASON_CONNECT);
}

static void ctl_connect__refused_by_a_host(void **state)
{
	struct xm_error e = { 0 };

	(void)state;
	assert_int_equal(connect_err("[fd00:18::2]", 5000, &e), -ECONNREFUSED);
	assert_non_null(strstr(e.msg, "[fd00:18::2]:61951"));
}

/* The kernel gives a device its link-local address and the route to others' once
 * it has heard of the carrier, which it looks at once a second. */
#define LINK_LOCAL                                            \
	"timeout 20 sh -c 'until ip -6 route show fe80::/64 " \
	"dev %s | grep -q .; do sleep 0.02; done'"

static void ctl_connect__link_local(void **state)
{
	struct t_pair p;
	char text[64];

	t_here(LINK_LOCAL, "v0");
	t_there(*state, LINK_LOCAL, "v1");
	pair_open(&p, *state, "::", "fe80::ff:fe00:2%v0");
	assert_string_equal(ctl_addr_text(ctl_peer(p.here), text, sizeof(text)),
			    "[fe80::ff:fe00:2%v0]:61951");
	pair_close(&p);
}

/* An idle connection and one with a message under way, cut at one moment:
 * both are found out, by keepalive and by the user timeout. */
static void ctl_recv__cut_cable(void **state)
{
	struct xm_error idle_e = { 0 }, busy_e = { 0 };
	struct t_pair idle, busy;
	struct pollfd p[2];
	int64_t start;
	int i;

	pair_open(&idle, *state, "198.18.0.2:5001", "198.18.0.2:5001");
	pair_open(&busy, *state, "198.18.0.2:5002", "198.18.0.2:5002");
	start = t_now_ms();
	cut_silently(*state);
	assert_int_equal(t_msg_send(busy.here, 1, 1000, &busy_e), 0);
	p[0] = (struct pollfd){ .fd = ctl_fd(idle.here), .events = POLLIN };
	p[1] = (struct pollfd){ .fd = ctl_fd(busy.here), .events = POLLIN };
	for (i = 0; i < 2; i++)
		assert_int_equal(poll(&p[i], 1, 2 * XM_CTL_STALL_MS), 1);
	assert_in_range(t_now_ms() - start, XM_CTL_STALL_MS / 2,
			2 * XM_CTL_STALL_MS);
	assert_int_equal(t_recv_err(idle.here, &idle_e), -ETIMEDOUT);
	assert_int_equal(t_recv_err(busy.here, &busy_e), -ETIMEDOUT);
	assert_int_equal(busy_e.reason, XM_REASON_PEER_LOST);
	assert_non_null(strstr(busy_e.msg, "198.18.0.2:5002"));
	pair_close(&idle);
	pair_close(&busy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_NETNS(ctl_connect__no_route),
		T_NETNS(ctl_connect__host_is_not_there),
		T_NETNS(ctl_connect__silence),
		T_NETNS(ctl_connect__refused_by_a_host),
		T_NETNS(ctl_connect__link_local),
		T_NETNS(ctl_recv__cut_cable),
	};

	if (t_netns_skip())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
