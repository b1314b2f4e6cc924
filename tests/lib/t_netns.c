// SPDX-License-Identifier: GPL-2.0-or-later
/* t_netns.c - two hosts for one C test */
#include "t_netns.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CMD_MAX 2048

/* Addresses must be usable at once: no duplicate address detection. */
#define QUIET                                                                    \
	"cd /proc/sys/net/ipv6/conf && "                                         \
	"for c in all default; do echo 0 >$c/accept_dad; echo 0 >$c/accept_ra; " \
	"echo 0 >$c/router_solicitations; done; ip link set lo up; "

static const char here_cmd[] =
	"ip link add v0 address 02:00:00:00:00:01 type veth "
	"peer name v1 address 02:00:00:00:00:02 netns %d && "
	"ip link add w0 type veth peer name w1 netns %d && "
	"ip addr add 198.18.0.1/24 dev v0 && "
	"ip addr add fd00:18::1/64 dev v0 nodad && "
	"ip addr add 198.19.0.1/24 dev w0 && "
	"ip addr add fd00:19::1/64 dev w0 nodad && "
	"ip link set v0 up && ip link set w0 up";

static const char there_cmd[] = "ip addr add 198.18.0.2/24 dev v1 && "
				"ip addr add fd00:18::2/64 dev v1 nodad && "
				"ip addr add 198.19.0.2/24 dev w1 && "
				"ip addr add fd00:19::2/64 dev w1 nodad && "
				"ip link set v1 up && ip link set w1 up";

int64_t t_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Exit status of @cmd in the namespace @fd, or here with -1. */
static int run_in(int fd, const char *cmd)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (fd >= 0 && setns(fd, CLONE_NEWNET))
			_exit(126);
		execl("/bin/sh", "sh", "-ec", cmd, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run_fmt(int fd, char *cmd, const char *fmt, va_list ap)
{
	int n = vsnprintf(cmd, CMD_MAX, fmt, ap);

	return n < 0 || n >= CMD_MAX ? -1 : run_in(fd, cmd);
}

void t_here(const char *fmt, ...)
{
	char cmd[CMD_MAX];
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = run_fmt(-1, cmd, fmt, ap);
	va_end(ap);
	if (r)
		fail_msg("here: status %d: %s", r, cmd);
}

void t_there(const struct t_netns *net, const char *fmt, ...)
{
	char cmd[CMD_MAX];
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = run_fmt(net->there_fd, cmd, fmt, ap);
	va_end(ap);
	if (r)
		fail_msg("there: status %d: %s", r, cmd);
}

bool t_here_ok(const char *fmt, ...)
{
	char cmd[CMD_MAX];
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = run_fmt(-1, cmd, fmt, ap);
	va_end(ap);
	return !r;
}

/* The child: a namespace of its own, then only being there. */
static pid_t fork_there(void)
{
	int ready[2];
	char c;
	pid_t pid;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || write(ready[1], "", 1) != 1)
			_exit(1);
		close(ready[0]);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &c, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = -1;
	}
	close(ready[0]);
	return pid;
}

int t_netns_open(struct t_netns *net)
{
	char path[64], cmd[CMD_MAX];

	net->there_fd = -1;
	net->there = -1;
	if (unshare(CLONE_NEWNET))
		return -1;
	net->there = fork_there();
	if (net->there < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", net->there);
	net->there_fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(cmd, sizeof(cmd), here_cmd, net->there, net->there);
	if (net->there_fd < 0 || run_in(-1, QUIET) ||
	    run_in(net->there_fd, QUIET) || run_in(-1, cmd) ||
	    run_in(net->there_fd, there_cmd)) {
		t_netns_close(net);
		return -1;
	}
	return 0;
}

void t_netns_close(struct t_netns *net)
{
	if (net->there_fd >= 0)
		close(net->there_fd);
	if (net->there > 0) {
		kill(net->there, SIGKILL);
		waitpid(net->there, NULL, 0);
	}
	net->there_fd = -1;
	net->there = -1;
}

bool t_netns_skip(void)
{
	if (geteuid()) {
		puts("1..0 # SKIP needs root");
		return true;
	}
	if (run_in(-1, "command -v ip >/dev/null && unshare -n true")) {
		puts("1..0 # SKIP needs ip(8) and network namespaces");
		return true;
	}
	return false;
}
