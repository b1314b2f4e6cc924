// SPDX-License-Identifier: GPL-2.0-or-later
/* test_tcp.c - the control connection over real sockets, on loopback
 *
 * What needs a network to fail (no route, no answer, a cut cable) is in
 * tests/netns/.
 */
#include "ctl/stream.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>

#include "../lib/t_msg.h"
#include "util/fd.h"

#define DEADLINE 5000 /* ms; nothing here takes that long */

struct t_tcp {
	int listen_fd;
	struct ctl_addr addr; /* where it listens */
	struct ctl *a, *b;
	struct xm_error e;
};

static struct ctl_addr loopback(const char *host)
{
	struct ctl_addr a;

	/* port 0 cannot be written, only defaulted: the kernel chooses */
	assert_int_equal(ctl_addr_parse(&a, host, 0, NULL), 0);
	return a;
}

static void t_listen(struct t_tcp *t, const char *host)
{
	t->addr = loopback(host);
	assert_int_equal(ctl_listen(&t->listen_fd, &t->addr, &t->e), 0);
	assert_int_equal(getsockname(t->listen_fd,
				     (struct sockaddr *)&t->addr.ss,
				     &t->addr.len),
			 0);
}

static void t_wait(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	assert_int_equal(poll(&p, 1, DEADLINE), 1);
}

static void t_pair(struct t_tcp *t, const char *host)
{
	t_listen(t, host);
	assert_int_equal(ctl_connect(&t->a, &t->addr, NULL, DEADLINE, &t->e),
			 0);
	t_wait(t->listen_fd, POLLIN);
	assert_int_equal(ctl_accept(&t->b, t->listen_fd, &t->e), 0);
}

static int setup(void **state)
{
	struct t_tcp *t = calloc(1, sizeof(*t));

	t->listen_fd = -1;
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct t_tcp *t = *state;

	ctl_close(t->a);
	ctl_close(t->b);
	fd_close(t->listen_fd);
	free(t);
	return 0;
}

static int n_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void ctl_connect__round_trip(void **state)
{
	struct t_tcp *t = *state;
	char a[64], b[64];

	t_pair(t, "127.0.0.1");
	assert_int_equal(t_msg_send(t->a, 1, 3000, &t->e), 0);
	t_wait(ctl_fd(t->b), POLLIN);
	t_msg_expect(t->b, 1, 3000);
	assert_int_equal(t_msg_send(t->b, 2, 10, &t->e), 0);
	t_wait(ctl_fd(t->a), POLLIN);
	t_msg_expect(t->a, 2, 10);
	assert_string_equal(ctl_addr_text(ctl_local(t->a), a, sizeof(a)),
			    ctl_addr_text(ctl_peer(t->b), b, sizeof(b)));
	assert_string_equal(ctl_addr_text(ctl_peer(t->a), a, sizeof(a)),
			    ctl_addr_text(ctl_local(t->b), b, sizeof(b)));
}

static int int_opt(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int v = -1;

	assert_int_equal(getsockopt(fd, level, name, &v, &len), 0);
	return v;
}

static void ctl_connect__both_ends_are_tuned(void **state)
{
	struct t_tcp *t = *state;

	t_pair(t, "127.0.0.1");
	assert_int_equal(int_opt(ctl_fd(t->a), IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(int_opt(ctl_fd(t->b), IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(int_opt(ctl_fd(t->a), SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(int_opt(ctl_fd(t->b), SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_true(int_opt(ctl_fd(t->b), IPPROTO_TCP, TCP_KEEPCNT) > 0);
}

static void ctl_accept__ipv4_peer_of_an_ipv6_socket_is_ipv4(void **state)
{
	struct t_tcp *t = *state;
	struct ctl_addr four = loopback("127.0.0.1");
	struct sockaddr_in sin;

	t_listen(t, "::");
	memcpy(&sin, &four.ss, sizeof(sin));
	sin.sin_port = ((struct sockaddr_in6 *)&t->addr.ss)->sin6_port;
	memcpy(&four.ss, &sin, sizeof(sin));
	assert_int_equal(ctl_connect(&t->a, &four, NULL, DEADLINE, &t->e), 0);
	t_wait(t->listen_fd, POLLIN);
	assert_int_equal(ctl_accept(&t->b, t->listen_fd, &t->e), 0);
	assert_int_equal(ctl_peer(t->b)->ss.ss_family, AF_INET);
	assert_int_equal(ctl_local(t->b)->ss.ss_family, AF_INET);
}

static void ctl_connect__from_a_source_address(void **state)
{
	struct t_tcp *t = *state;
	struct ctl_addr src = loopback("127.0.0.7");
	char text[64];

	t_listen(t, "127.0.0.1");
	assert_int_equal(ctl_connect(&t->a, &t->addr, &src, DEADLINE, &t->e),
			 0);
	ctl_addr_text(ctl_local(t->a), text, sizeof(text));
	assert_memory_equal(text, "127.0.0.7:", 10);
}

static void ctl_connect__from_a_foreign_source_address(void **state)
{
	struct t_tcp *t = *state;
	struct ctl_addr src = loopback("198.18.255.254");

	t_listen(t, "127.0.0.1");
	assert_int_equal(ctl_connect(&t->a, &t->addr, &src, DEADLINE, &t->e),
			 -EADDRNOTAVAIL);
	assert_non_null(strstr(t->e.msg, "198.18.255.254"));
}

static void ctl_connect__refused(void **state)
{
	struct t_tcp *t = *state;
	char text[64];
	int before;

	t_listen(t, "127.0.0.1");
	t->listen_fd = fd_close(t->listen_fd);
	before = n_fds();
	assert_int_equal(ctl_connect(&t->a, &t->addr, NULL, DEADLINE, &t->e),
			 -ECONNREFUSED);
	assert_int_equal(t->e.reason, XM_REASON_CONNECT);
	ctl_addr_text(&t->addr, text, sizeof(text));
	assert_non_null(strstr(t->e.msg, text));
	assert_int_equal(n_fds(), before);
}

/* Fill the accept queue of a listener that never accepts: the kernel ignores
 * further SYNs, which is what a silent host looks like. */
static void t_deaf(struct t_tcp *t, struct ctl *fill[4])
{
	int i;

	t_listen(t, "127.0.0.1");
	assert_int_equal(listen(t->listen_fd, 0), 0);
	for (i = 0; i < 4; i++)
		if (ctl_connect(&fill[i], &t->addr, NULL, 200, NULL))
			break;
	assert_in_range(i, 1, 3);
}

static void ctl_connect__timeout(void **state)
{
	struct ctl *fill[4] = { 0 };
	struct t_tcp *t = *state;
	int i;

	t_deaf(t, fill);
	assert_int_equal(ctl_connect(&t->a, &t->addr, NULL, 50, &t->e),
			 -ETIMEDOUT);
	assert_int_equal(t->e.reason, XM_REASON_CONNECT);
	assert_non_null(strstr(t->e.msg, "127.0.0.1:"));
	for (i = 0; i < 4; i++)
		ctl_close(fill[i]);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void ctl_connect__interrupted(void **state)
{
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	struct itimerval in_50ms = { .it_value.tv_usec = 50000 };
	struct ctl *fill[4] = { 0 };
	struct t_tcp *t = *state;
	int i;

	t_deaf(t, fill);
	sigaction(SIGALRM, &sa, &old);
	setitimer(ITIMER_REAL, &in_50ms, NULL);
	assert_int_equal(ctl_connect(&t->a, &t->addr, NULL, DEADLINE, &t->e),
			 -EINTR);
	sigaction(SIGALRM, &old, NULL);
	assert_int_equal(t->e.reason, XM_REASON_CANCELLED);
	for (i = 0; i < 4; i++)
		ctl_close(fill[i]);
}

static void ctl_listen__address_in_use(void **state)
{
	struct t_tcp *t = *state;
	int before, fd = -1;

	t_listen(t, "127.0.0.1");
	before = n_fds();
	assert_int_equal(ctl_listen(&fd, &t->addr, &t->e), -EADDRINUSE);
	assert_int_equal(fd, -1);
	assert_non_null(strstr(t->e.msg, "127.0.0.1:"));
	assert_int_equal(n_fds(), before);
}

static void ctl_listen__foreign_address(void **state)
{
	struct t_tcp *t = *state;
	struct ctl_addr a = loopback("198.18.255.254");

	assert_int_equal(ctl_listen(&t->listen_fd, &a, &t->e), -EADDRNOTAVAIL);
	assert_non_null(strstr(t->e.msg, "not an address of this host"));
}

static void ctl_accept__nobody(void **state)
{
	struct t_tcp *t = *state;

	t_listen(t, "127.0.0.1");
	assert_int_equal(ctl_accept(&t->a, t->listen_fd, &t->e), -EAGAIN);
	assert_int_equal(t->e.err, 0);
}

/* A connection that is reset in the accept queue is no failure of ours. */
static void ctl_accept__reset_while_waiting(void **state)
{
	struct linger now = { .l_onoff = 1 };
	struct t_tcp *t = *state;
	int before;

	t_listen(t, "127.0.0.1");
	before = n_fds();
	assert_int_equal(ctl_connect(&t->a, &t->addr, NULL, DEADLINE, &t->e),
			 0);
	t_wait(t->listen_fd, POLLIN);
	setsockopt(ctl_fd(t->a), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	t->a = ctl_close(t->a);
	assert_int_equal(ctl_accept(&t->b, t->listen_fd, &t->e), -EAGAIN);
	assert_int_equal(t->e.err, 0);
	assert_int_equal(n_fds(), before);
}

/* The peer says why it leaves, and leaves; we find out by a failing send.
 * What it said is still there. */
static void ctl_recv__last_words_after_a_failed_send(void **state)
{
	struct t_tcp *t = *state;
	int i, r = 0;

	t_pair(t, "127.0.0.1");
	assert_int_equal(t_msg_send(t->a, 1, 8, &t->e), 0);
	t_wait(ctl_fd(t->b), POLLIN); /* unread at close: that makes a reset */
	assert_int_equal(t_msg_send(t->b, 42, 30, &t->e), 0);
	t->b = ctl_close(t->b);
	t_wait(ctl_fd(t->a), POLLERR);
	for (i = 0; i < 3 && !r; i++)
		r = t_msg_send(t->a, 2, 8, &t->e);
	assert_true(r == -EPIPE || r == -ECONNRESET);
	t_msg_expect(t->a, 42, 30);
}

static void ctl_recv__peer_closes_the_socket(void **state)
{
	struct t_tcp *t = *state;

	t_pair(t, "::1");
	t->b = ctl_close(t->b);
	t_wait(ctl_fd(t->a), POLLIN);
	assert_int_equal(t_recv_err(t->a, &t->e), -EPIPE);
	assert_non_null(strstr(t->e.msg, "[::1]:"));
}

/* Real sockets, a reader that reads late, messages larger than their buffers:
 * all arrive, in order. */
static void ctl_send__slow_reader(void **state)
{
	struct t_tcp *t = *state;
	uint32_t sent = 0, got = 0, body = 60000;
	const void *msg;
	size_t len;

	t_pair(t, "127.0.0.1");
	while (sent < 60)
		assert_int_equal(t_msg_send(t->a, (uint8_t)sent++, body, &t->e),
				 0);
	while (got < 60) {
		int r;

		t_wait(ctl_fd(t->b), POLLIN);
		while (!(r = ctl_recv(t->b, &msg, &len, &t->e))) {
			assert_int_equal(len, XM_MSG_HEADER + body);
			assert_int_equal(((const uint8_t *)msg)[3], got++);
		}
		assert_int_equal(r, -EAGAIN);
		assert_int_equal(ctl_flush(t->a, &t->e), 0);
	}
	assert_false(ctl_wants_write(t->a));
}

/* a says its last word while something of b's is unread at a: closing at once
 * would reset the connection and could take that word away from b. */
static void ctl_end__last_word_survives_unread_input(void **state)
{
	struct t_tcp *t = *state;
	const void *msg;
	size_t len;

	t_pair(t, "127.0.0.1");
	assert_int_equal(t_msg_send(t->b, 11, 0, &t->e), 0);
	t_wait(ctl_fd(t->a), POLLIN);
	assert_int_equal(t_msg_send(t->a, 9, 0, &t->e), 0);
	ctl_end(t->a);
	t_wait(ctl_fd(t->b), POLLIN);
	assert_int_equal(ctl_recv(t->b, &msg, &len, &t->e), 0);
	assert_int_equal(((const uint8_t *)msg)[3], 9);
	assert_int_equal(ctl_recv(t->b, &msg, &len, NULL), -EPIPE);
	t->b = ctl_close(t->b);
	assert_int_equal(ctl_recv(t->a, &msg, &len, &t->e), 0);
	assert_int_equal(ctl_recv(t->a, &msg, &len, NULL), -EPIPE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ctl_connect__round_trip),
		T(ctl_connect__both_ends_are_tuned),
		T(ctl_accept__ipv4_peer_of_an_ipv6_socket_is_ipv4),
		T(ctl_connect__from_a_source_address),
		T(ctl_connect__from_a_foreign_source_address),
		T(ctl_connect__refused),
		T(ctl_connect__timeout),
		T(ctl_connect__interrupted),
		T(ctl_listen__address_in_use),
		T(ctl_listen__foreign_address),
		T(ctl_accept__nobody),
		T(ctl_accept__reset_while_waiting),
		T(ctl_recv__last_words_after_a_failed_send),
		T(ctl_recv__peer_closes_the_socket),
		T(ctl_send__slow_reader),
		T(ctl_end__last_word_survives_unread_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
