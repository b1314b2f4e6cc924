// SPDX-License-Identifier: GPL-2.0-or-later
/* control.c - what TLS costs the control connection
 *
 *   control [KEY]    over loopback: how long it takes until both ends may talk,
 *                    the median of 51 connections; and how fast device state
 *                    crosses, in messages of XM_DEVICE_CHUNK from one process
 *                    to another.  Without KEY over plain TCP.
 *
 * One line of JSON.  A process each side, so that the two take a CPU each.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ctl/trust.h"
#include "xdpmig/limits.h"

#define CONNECTIONS 51
#define BYTES       (1ull << 30)

static struct xm_error e;

static void check(int r)
{
	if (!r)
		return;
	fprintf(stderr, "control: %s (%d)\n", e.msg, r);
	exit(1);
}

static double now_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void wait_fd(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	(void)poll(&p, 1, 10000);
}

/* The receiving end: CONNECTIONS times only the handshake and a byte of an
 * answer, then one that takes all. */
static void serve(int listen_fd, struct ctl_trust *trust)
{
	struct ctl *ctl;
	const void *msg;
	size_t len;
	int i, r;

	for (i = 0; i <= CONNECTIONS; i++) {
		while ((r = ctl_accept(&ctl, listen_fd, &e)) == -EAGAIN)
			wait_fd(listen_fd, POLLIN);
		check(r);
		if (trust)
			check(ctl_secure(ctl, trust, false, &e));
		check(ctl_handshake_unless(ctl, 10000, -1, &e));
		while (!(r = ctl_recv(ctl, &msg, &len, NULL)) || r == -EAGAIN)
			if (r)
				wait_fd(ctl_fd(ctl), POLLIN);
		ctl_close(ctl);
	}
}

static struct ctl *reach(const struct ctl_addr *addr, struct ctl_trust *trust)
{
	struct ctl *ctl;

	check(ctl_connect(&ctl, addr, NULL, 5000, &e));
	if (trust)
		check(ctl_secure(ctl, trust, true, &e));
	check(ctl_handshake_unless(ctl, 10000, -1, &e));
	return ctl;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The peer hangs up when it has all. */
static void finish(struct ctl *ctl)
{
	const void *msg;
	size_t len;

	while (ctl_wants_write(ctl)) {
		wait_fd(ctl_fd(ctl), POLLOUT);
		check(ctl_flush(ctl, &e));
	}
	ctl_end(ctl);
	while (ctl_recv(ctl, &msg, &len, NULL) == -EAGAIN)
		wait_fd(ctl_fd(ctl), POLLIN);
	ctl_close(ctl);
}

static double stream(struct ctl *ctl)
{
	static uint8_t data[XM_DEVICE_CHUNK], wire[XM_MSG_MAX];
	struct xm_msg *msg = calloc(1, sizeof(*msg));
	double begin = now_us(CLOCK_MONOTONIC);
	size_t len;

	msg->type = XM_MSG_DEVICE;
	msg->device.data = data;
	msg->device.len = sizeof(data);
	while (msg->device.offset < BYTES) {
		len = xm_msg_put(wire, msg);
		while (ctl_wants_write(ctl)) {
			wait_fd(ctl_fd(ctl), POLLOUT);
			check(ctl_flush(ctl, &e));
		}
		check(ctl_send(ctl, wire, len, &e));
		msg->device.offset += sizeof(data);
	}
	finish(ctl);
	free(msg);
	return (double)BYTES / (now_us(CLOCK_MONOTONIC) - begin);
}

int main(int argc, char **argv)
{
	struct ctl_trust_files files = { .key = argc > 1 ? argv[1] : NULL };
	struct ctl_trust *trust = NULL;
	double us[CONNECTIONS], begin, cpu, rate;
	struct ctl_addr addr;
	struct ctl *ctl;
	int fd, i;
	pid_t pid;

	signal(SIGPIPE, SIG_IGN);
	if (argc > 1)
		check(ctl_trust_open(&trust, &files, &e));
	check(ctl_addr_parse(&addr, "127.0.0.1", 0, &e));
	check(ctl_listen(&fd, &addr, &e));
	if (getsockname(fd, (struct sockaddr *)&addr.ss, &addr.len))
		return 1;
	pid = fork();
	if (!pid) {
		if (argc > 1) /* a child has no keys of its parent's */
			check(ctl_trust_open(&trust, &files, &e));
		serve(fd, trust);
		_exit(0);
	}
	for (i = 0; i < CONNECTIONS; i++) {
		begin = now_us(CLOCK_MONOTONIC);
		ctl = reach(&addr, trust);
		us[i] = now_us(CLOCK_MONOTONIC) - begin;
		finish(ctl);
	}
	qsort(us, CONNECTIONS, sizeof(us[0]), by_size);
	ctl = reach(&addr, trust);
	cpu = now_us(CLOCK_PROCESS_CPUTIME_ID);
	rate = stream(ctl);
	cpu = now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("{\"tls\": %s, \"connect_us\": %.0f, \"mb_per_s\": %.0f, "
	       "\"sender_cpu_ms_per_gib\": %.0f}\n",
	       trust ? "true" : "false", us[CONNECTIONS / 2], rate, cpu / 1e3);
	waitpid(pid, &i, 0);
	ctl_trust_close(trust);
	return i ? 1 : 0;
}
