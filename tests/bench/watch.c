// SPDX-License-Identifier: GPL-2.0-or-later
/* watch.c - a guest's heart at both ends of its journey, each millisecond
 *
 *   watch OFFSET SOURCE-RAM DESTINATION-RAM LOG
 *
 * Reads the heart (heart.h) at OFFSET of two RAM files and writes a line each
 * time one of them differs from what it was,
 *
 *   TIME-NS  SOURCE-BEATS WORK WRONG  DESTINATION-BEATS WORK WRONG
 *
 * with the time of CLOCK_MONOTONIC, until SIGTERM or SIGINT.  The last line is
 * "late NS": by how much the worst look was late, which is the error of all
 * times.  It runs with real-time priority if it may, or a busy machine would
 * look like a guest that stands still.  Read, not mapped: a hole in a file
 * stays one.
 *
 * A measuring tool, not a test.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "heart.h"

#define TICK 1000000 /* ns */

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "watch: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t sleep_until(int64_t ns)
{
	struct timespec ts = { .tv_sec = ns / 1000000000,
			       .tv_nsec = ns % 1000000000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	return now_ns() - ns;
}

static bool look(int fd, off_t offset, struct heart *h)
{
	struct heart was = *h;

	if (pread(fd, h, sizeof(*h), offset) != sizeof(*h))
		die("no heart there");
	return h->beats != was.beats || h->work != was.work ||
	       h->wrong != was.wrong;
}

static int64_t watch(const int *fd, off_t offset, FILE *log)
{
	int64_t at = now_ns(), late, worst = 0;
	struct heart h[2] = { 0 };
	bool news;

	while (!stopped) {
		at += TICK;
		late = sleep_until(at);
		if (late > worst)
			worst = late;
		if (late > TICK)
			at += late; /* no burst of looks afterwards */
		news = look(fd[0], offset, &h[0]);
		news = look(fd[1], offset, &h[1]) || news;
		if (!news)
			continue;
		fprintf(log,
			"%" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64
			" %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
			now_ns(), h[0].beats, h[0].work, h[0].wrong, h[1].beats,
			h[1].work, h[1].wrong);
	}
	return worst;
}

int main(int argc, char **argv)
{
	struct sched_param prio = { .sched_priority = 1 };
	struct sigaction sa = { .sa_handler = on_signal };
	static char buf[1 << 20];
	int64_t late;
	int fd[2];
	FILE *log;

	if (argc != 5) {
		fprintf(stderr, "usage: watch OFFSET SRC-RAM DST-RAM LOG\n");
		return 2;
	}
	fd[0] = open(argv[2], O_RDONLY | O_CLOEXEC);
	fd[1] = open(argv[3], O_RDONLY | O_CLOEXEC);
	log = fopen(argv[4], "w");
	if (fd[0] < 0 || fd[1] < 0 || !log)
		die("open");
	setvbuf(log, buf, _IOFBF, sizeof(buf));
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	(void)sched_setscheduler(0, SCHED_FIFO, &prio); /* if it may */
	late = watch(fd, strtoll(argv[1], NULL, 0), log);
	fprintf(log, "late %" PRId64 "\n", late);
	if (fclose(log))
		die("log");
	return 0;
}
