// SPDX-License-Identifier: GPL-2.0-or-later
/* fault_at.c - let a program end, stop or fall silent at a control message, or
 * be slow in setup
 *
 * Preloaded into xdpmig by commit.sh: what happens between two messages takes
 * microseconds, and no script hits it from outside.  It looks at what the TLS
 * library, or send(2), is given, where the control connection's messages follow
 * each other (userspace/ctl/ctl.c), and at the first message of the type in
 * XM_FAULT does
 *
 *   die 9        SIGKILL instead of sending it and what comes with it
 *   die-after 9  SIGKILL when it was sent
 *   stop 9       SIGSTOP before sending it
 *   mute 9       not send it nor anything after it, and say that it was sent
 *   die-in 9 50  SIGKILL 50 us after sending it, whatever is done then
 *   die-in 0 50  the same after the program's begin
 *
 * "stop 9 #2": at the second one.
 *
 * With XM_PIN_UNTIL=FILE registering a UMEM, which pins the guest's memory, takes
 * long, as that of a large guest does: until FILE is there, or half a minute.
 * "pinning" on stderr says that it began.
 */
#include <dlfcn.h>
#include <gnutls/gnutls.h>
#include <linux/if_xdp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "core/msg.h"

static bool is_mute;
static size_t rest; /* bytes to come of a message that was taken in part */

/* Has the buffer a message of @type? */
static bool has_message(const uint8_t *p, size_t len, unsigned int type)
{
	size_t whole;

	if (rest >= len)
		return false;
	p += rest;
	len -= rest;
	while (len >= XM_MSG_HEADER && (p[0] << 8 | p[1]) == XM_MSG_MAGIC) {
		if (p[3] == type)
			return true;
		whole = XM_MSG_HEADER +
			((size_t)p[4] << 24 | p[5] << 16 | p[6] << 8 | p[7]);
		if (whole > len)
			return false;
		p += whole;
		len -= whole;
	}
	return false;
}

/* @len bytes of the buffer were taken. */
static void took(const uint8_t *p, size_t len)
{
	size_t skip;

	for (;;) {
		skip = rest < len ? rest : len;
		rest -= skip;
		p += skip;
		len -= skip;
		if (len < XM_MSG_HEADER || (p[0] << 8 | p[1]) != XM_MSG_MAGIC)
			return;
		rest = XM_MSG_HEADER +
		       ((size_t)p[4] << 24 | p[5] << 16 | p[6] << 8 | p[7]);
	}
}

/* The kernel does it; no thread of ours is in the way. */
static void die_in(unsigned int us)
{
	struct sigevent how = { .sigev_notify = SIGEV_SIGNAL,
				.sigev_signo = SIGKILL };
	struct itimerspec in = {
		.it_value = { .tv_sec = us / 1000000,
			      .tv_nsec = us % 1000000 * 1000L + 1 },
	};
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &how, &timer) ||
	    timer_settime(timer, 0, &in, NULL))
		abort();
}

__attribute__((constructor)) static void begin(void)
{
	const char *fault = getenv("XM_FAULT");
	unsigned int us;

	if (fault && sscanf(fault, "die-in 0 %u", &us) == 1)
		die_in(us);
}

/* What XM_FAULT says is to be done at this buffer, once; else "". */
static const char *fault_of(const void *buf, size_t n, unsigned int *us)
{
	const char *fault = getenv("XM_FAULT");
	static unsigned int seen;
	static char what[16];
	const char *nth = fault ? strchr(fault, '#') : NULL;
	unsigned int type;

	if (!fault || sscanf(fault, "%15s %u %u", what, &type, us) < 2 ||
	    !has_message(buf, n, type))
		return "";
	if (++seen < (nth ? strtoul(nth + 1, NULL, 10) : 1))
		return "";
	unsetenv("XM_FAULT");
	return what;
}

static void before(const char *what)
{
	if (!strcmp(what, "die"))
		raise(SIGKILL);
	if (!strcmp(what, "stop"))
		raise(SIGSTOP);
	is_mute |= !strcmp(what, "mute");
}

static void after(const char *what, unsigned int us)
{
	if (!strcmp(what, "die-after"))
		raise(SIGKILL);
	if (!strcmp(what, "die-in"))
		die_in(us);
}

/* With TLS: what it is given in the clear.  It is sent when this returns, or
 * rather when its caller has (userspace/ctl/tls.c): "after" comes with that. */
static const char *later = "";
static unsigned int later_us;

ssize_t gnutls_record_send(gnutls_session_t session, const void *data,
			   size_t data_size)
{
	ssize_t (*next)(gnutls_session_t, const void *, size_t);
	unsigned int us = 0;
	const char *what = fault_of(data, data_size, &us);
	ssize_t sent;

	*(void **)&next = dlsym(RTLD_NEXT, "gnutls_record_send");
	before(what);
	if (is_mute)
		return (ssize_t)data_size;
	sent = next(session, data, data_size);
	if (sent > 0)
		took(data, (size_t)sent);
	later = what;
	later_us = us;
	return sent;
}

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	ssize_t (*next)(int, const void *, size_t, int);
	unsigned int us = 0;
	const char *what = fault_of(buf, n, &us);
	ssize_t sent;

	*(void **)&next = dlsym(RTLD_NEXT, "send");
	before(what);
	if (is_mute)
		return (ssize_t)n;
	sent = next(fd, buf, n, flags);
	after(what, us);
	after(later, later_us);
	later = "";
	return sent;
}

int setsockopt(int fd, int level, int optname, const void *optval,
	       socklen_t optlen)
{
	int (*next)(int, int, int, const void *, socklen_t);
	const char *until = getenv("XM_PIN_UNTIL");
	unsigned int i;

	*(void **)&next = dlsym(RTLD_NEXT, "setsockopt");
	if (until && level == SOL_XDP && optname == XDP_UMEM_REG) {
		fprintf(stderr, "pinning\n");
		for (i = 0; i < 3000 && access(until, F_OK); i++)
			(void)usleep(10000);
	}
	return next(fd, level, optname, optval, optlen);
}
