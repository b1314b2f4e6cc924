// SPDX-License-Identifier: GPL-2.0-or-later
/* harvest.c - what a dirty log costs: us, who read it, and the guest, who is logged
 *
 *   harvest MIB [ROUNDS]
 *
 * A process of its own with so much shared memory, all of it there, touches one
 * word of each page when told to, as a guest would.  Its writes are logged from
 * here as a QEMU's are (guest/dirtylog.h).  Each round:
 *
 *   touch     every page, first since a log ended          what a guest pays
 *   touch     every page, without a log                    what a guest pays
 *   open      the log begins: all pages become protected
 *   clean     harvest; nothing was written
 *   touch     every page: each write is a fault            what a guest pays
 *   dirty     harvest; everything was written
 *   touch     every page again, faults again
 *   sparse    harvest; every 64th page was written
 *
 * Prints one line of JSON: the medians, in microseconds per GiB, and nanoseconds
 * per page for touches.
 *
 * A measuring tool, not a test.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/dirtylog.h"
#include "xdpmig/limits.h"

#define ROUNDS_MAX 100
#define SPARSE     64

enum what {
	TOUCH_AFTER,
	TOUCH_PLAIN,
	OPEN,
	CLEAN,
	TOUCH_LOGGED,
	DIRTY,
	TOUCH_SPARSE,
	SPARSELY,
	CLOSE,
	N_WHAT
};

static const char *const names[N_WHAT] = {
	[TOUCH_AFTER] = "touch_after",
	[TOUCH_PLAIN] = "touch_plain",
	[OPEN] = "open",
	[CLEAN] = "clean",
	[TOUCH_LOGGED] = "touch_logged",
	[DIRTY] = "dirty",
	[TOUCH_SPARSE] = "touch_sparse",
	[SPARSELY] = "sparse",
	[CLOSE] = "close",
};

static struct {
	uint8_t *base;
	uint64_t len; /* bytes */
	int ctl;
	pid_t pid;
	int pidfd;
	uint64_t *bits;
	struct dirtylog *log;
	double us[N_WHAT][ROUNDS_MAX];
} h;

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void die(const char *what, const struct xm_error *e)
{
	fprintf(stderr, "harvest: %s: %s\n", what,
		e && e->err ? e->msg : strerror(errno));
	exit(1);
}

/* -- the process that is logged ------------------------------------------------ */

static void touch(uint32_t step)
{
	uint64_t at;

	for (at = 0; at < h.len; at += (uint64_t)step * XM_PAGE_SIZE)
		(*(volatile uint64_t *)(h.base + at))++;
}

_Noreturn static void play(int ctl)
{
	uint32_t step;
	double us = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(ctl, &step, sizeof(step)) == sizeof(step)) {
		us = now_us();
		touch(step);
		us = now_us() - us;
		if (write(ctl, &us, sizeof(us)) != sizeof(us))
			break;
	}
	_exit(0);
}

static double order(uint32_t step)
{
	double us = 0;

	if (write(h.ctl, &step, sizeof(step)) != sizeof(step) ||
	    read(h.ctl, &us, sizeof(us)) != sizeof(us))
		die("the process that writes", NULL);
	return us;
}

static void begin(uint64_t mib)
{
	int pair[2];

	h.len = mib << 20;
	h.base = mmap(NULL, h.len, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	h.bits = calloc(h.len / XM_PAGE_SIZE / 64 + 1, sizeof(*h.bits));
	if (h.base == MAP_FAILED || !h.bits ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("memory", NULL);
	h.pid = fork();
	if (h.pid < 0)
		die("fork", NULL);
	if (!h.pid) {
		close(pair[0]); /* or it would never see our end */
		play(pair[1]);
	}
	h.ctl = pair[0];
	close(pair[1]);
	h.pidfd = (int)syscall(SYS_pidfd_open, h.pid, 0);
	if (h.pidfd < 0)
		die("pidfd_open", NULL);
	(void)order(1); /* all of it is there from now on */
}

/* -- rounds -------------------------------------------------------------------- */

static double open_log(void)
{
	struct dirtylog_range range = { .addr = (uintptr_t)h.base,
					.len = h.len,
					.page_size = XM_PAGE_SIZE };
	double us = now_us();
	struct xm_error e = { 0 };

	if (dirtylog_open(&h.log, h.pid, h.pidfd, &range, 1, &e))
		die("dirtylog_open", &e);
	return now_us() - us;
}

static double harvest(uint64_t want)
{
	uint64_t *const dirty[1] = { h.bits };
	struct xm_error e = { 0 };
	double us = now_us();
	uint64_t pages = 0;

	if (dirtylog_harvest(h.log, dirty, &pages, &e))
		die("dirtylog_harvest", &e);
	us = now_us() - us;
	if (pages != want) {
		fprintf(stderr, "harvest: %" PRIu64 " pages, not %" PRIu64 "\n",
			pages, want);
		exit(1);
	}
	return us;
}

static void round_of(unsigned int i)
{
	uint64_t pages = h.len / XM_PAGE_SIZE;
	double us;

	h.us[TOUCH_AFTER][i] = order(1);
	h.us[TOUCH_PLAIN][i] = order(1);
	h.us[OPEN][i] = open_log();
	h.us[CLEAN][i] = harvest(0);
	h.us[TOUCH_LOGGED][i] = order(1);
	h.us[DIRTY][i] = harvest(pages);
	h.us[TOUCH_SPARSE][i] = order(SPARSE);
	h.us[SPARSELY][i] = harvest((pages + SPARSE - 1) / SPARSE);
	us = now_us();
	h.log = dirtylog_close(h.log);
	h.us[CLOSE][i] = now_us() - us;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(enum what w, unsigned int rounds)
{
	qsort(h.us[w], rounds, sizeof(double), compare);
	return h.us[w][rounds / 2];
}

static void report(unsigned int rounds, const char *kind)
{
	double gib = (double)h.len / (1 << 30);
	double pages = (double)h.len / XM_PAGE_SIZE, us;
	unsigned int w;

	printf("{\"what\":\"harvest\",\"bytes\":%" PRIu64
	       ",\"rounds\":%u,\"log\":\"%s\"",
	       h.len, rounds, kind);
	for (w = 0; w < N_WHAT; w++) {
		us = median(w, rounds);
		if (w <= TOUCH_PLAIN || w == TOUCH_LOGGED)
			printf(",\"%s_ns_per_page\":%.1f", names[w],
			       us * 1e3 / pages);
		else if (w == TOUCH_SPARSE)
			printf(",\"%s_ns_per_page\":%.1f", names[w],
			       us * 1e3 * SPARSE / pages);
		else
			printf(",\"%s_us_per_gib\":%.1f", names[w], us / gib);
	}
	printf("}\n");
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 2 ? (unsigned int)atoi(argv[2]) : 5, i;
	uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	char kind[32];

	if (!mib || !rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: harvest MIB [ROUNDS]\n");
		return 2;
	}
	begin(mib);
	(void)open_log();
	snprintf(kind, sizeof(kind), "%s", dirtylog_kind(h.log));
	h.log = dirtylog_close(h.log);
	for (i = 0; i < rounds; i++)
		round_of(i);
	report(rounds, kind);
	close(h.ctl);
	waitpid(h.pid, NULL, 0);
	return 0;
}
