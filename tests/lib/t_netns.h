/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_netns.h - two hosts for one C test
 *
 *   this process                         a child that only keeps it alive
 *   netns "here"                         netns "there"
 *   +---------------------+              +---------------------+
 *   |  v0  198.18.0.1/24  |==== veth ====|  v1  198.18.0.2/24  |
 *   |      fd00:18::1/64  |              |      fd00:18::2/64  |
 *   |      02:..:00:01    |              |      02:..:00:02    |
 *   |  w0  198.19.0.1/24  |==== veth ====|  w1  198.19.0.2/24  |
 *   |      fd00:19::1/64  |              |      fd00:19::2/64  |
 *   +---------------------+              +---------------------+
 *
 * The namespaces have no names and vanish with their last process, so that
 * nothing is left whatever happens to the test.
 */
#ifndef T_NETNS_H
#define T_NETNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Made and left by cmocka's setup and teardown of each test. */
struct t_netns {
	pid_t there;  /* the child */
	int there_fd; /* its namespace */
};

/* A new pair of hosts; this process moves into "here".  0 or -1. */
int t_netns_open(struct t_netns *net);
void t_netns_close(struct t_netns *net);

/* Run a shell command on a host; it must succeed. */
void t_here(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void t_there(const struct t_netns *net, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Does it succeed? */
bool t_here_ok(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The whole binary needs root, ip(8) and namespaces: print TAP's skip line and
 * return true when they are not to be had.  Call before the group runs. */
bool t_netns_skip(void);

int64_t t_now_ms(void);

#endif
