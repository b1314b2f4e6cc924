// SPDX-License-Identifier: GPL-2.0-or-later
/* clock_jump.c - somebody sets the clock, all the time; or time passes at once
 *
 * Preloaded into xdpmig.  XM_JUMP=SECONDS: the time of day, however it is asked for, is
 * later by that in every second answer.  "SECONDS-": in every answer, as on a host whose
 * clock is wrong.  Clocks that nobody sets are left alone.
 *
 * XM_LATE=SECONDS: from SIGUSR2 on it is so much later by the clock that nobody sets: a
 * deadline has come that no test has time for.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static atomic_long late;
static long late_then;

static void be_late(int sig)
{
	(void)sig;
	atomic_store(&late, late_then);
}

__attribute__((constructor)) static void prepare(void)
{
	const char *by = getenv("XM_LATE");

	if (!by)
		return;
	late_then = strtol(by, NULL, 10);
	(void)signal(SIGUSR2, be_late);
}

static time_t jump(void)
{
	static atomic_uint n;
	const char *by = getenv("XM_JUMP");
	char *end;
	time_t s;

	if (!by)
		return 0;
	s = (time_t)strtoll(by, &end, 10);
	return *end == '-' || atomic_fetch_add(&n, 1) % 2 ? s : 0;
}

int jump_clock_gettime(clockid_t clock,
		       struct timespec *ts) __asm__("clock_gettime");
int jump_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int (*next)(clockid_t, struct timespec *);
	int r;

	*(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
	r = next(clock, ts);
	if (!r && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		ts->tv_sec += jump();
	if (!r && clock == CLOCK_MONOTONIC)
		ts->tv_sec += atomic_load(&late);
	return r;
}

int jump_gettimeofday(struct timeval *tv, void *tz) __asm__("gettimeofday");
int jump_gettimeofday(struct timeval *tv, void *tz)
{
	int (*next)(struct timeval *, void *);
	int r;

	*(void **)&next = dlsym(RTLD_NEXT, "gettimeofday");
	r = next(tv, tz);
	if (!r)
		tv->tv_sec += jump();
	return r;
}

time_t jump_time(time_t *ret) __asm__("time");
time_t jump_time(time_t *ret)
{
	struct timespec ts = { 0 };

	(void)jump_clock_gettime(CLOCK_REALTIME, &ts);
	if (ret)
		*ret = ts.tv_sec;
	return ts.tv_sec;
}
