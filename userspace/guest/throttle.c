// SPDX-License-Identifier: GPL-2.0-or-later
/* throttle.c - take time away from threads of another process
 *
 * A guest that writes faster than the network carries never gets its memory
 * across.  QEMU slows its own virtual CPUs for that (cpu-throttle), but only
 * inside a migration of its own, and ours it does not know before the
 * switchover.  So the virtual CPUs' threads are held from outside:
 *
 *        |<----- 20 ms ----->|
 *        |held.....|runs     |held.....|runs     |     50 %
 *
 * Held threads belong to the thread that holds them (ptrace), and are released
 * by the kernel when that one dies.  So it is a thread of ours, which lives
 * while the percentage is not zero, and our death, however it comes, lets the
 * guest go on.
 *
 * All threads are held together: a virtual CPU that spins on a lock while the
 * holder of the lock is away would only burn what it was left.
 *
 * The period is measured from its own beginning, so being late costs one
 * period's accuracy and does not add up.  Threads that cannot be held (somebody
 * attached a debugger) end the throttling; the next throttle_set() says so.
 */
#include "throttle.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "tracee.h"
#include "util/now.h"

#define PERCENT_MAX 99

/* Wait until @until, or until the percentage changes; locked. */
static void wait_until(struct throttle *t, int64_t until)
{
	unsigned int percent = t->percent;
	struct timespec ts = { .tv_sec = until / 1000000000,
			       .tv_nsec = until % 1000000000 };

	while (t->percent == percent)
		if (pthread_cond_timedwait(&t->changed, &t->lock, &ts))
			break;
}

/* One period; locked, but not while threads are being stopped, which waits for
 * them. */
static int throttle_period(struct throttle *t)
{
	int64_t begun = now_ns();
	struct xm_error failed = { 0 };
	int r;

	pthread_mutex_unlock(&t->lock);
	r = tracee_hold(t->tids, t->n, &failed);
	pthread_mutex_lock(&t->lock);
	if (r) {
		t->failed = failed;
		return r;
	}
	wait_until(t, begun + THROTTLE_PERIOD_NS / 100 * (int64_t)t->percent);
	tracee_release(t->tids, t->n);
	if (t->percent)
		wait_until(t, begun + THROTTLE_PERIOD_NS);
	return 0;
}

static void *throttle_thread(void *arg)
{
	struct throttle *t = arg;

	pthread_mutex_lock(&t->lock);
	while (t->percent)
		if (throttle_period(t))
			break;
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static int throttle_start(struct throttle *t, struct xm_error *e)
{
	pthread_condattr_t attr;
	sigset_t all, old;
	int r;

	memset(&t->failed, 0, sizeof(t->failed));
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->changed, &attr);
	pthread_condattr_destroy(&attr);
	/* Signals are for the thread that waits for them. */
	sigfillset(&all);
	sigdelset(&all, SIGSYS); /* of a call that the sandbox refuses */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&t->thread, NULL, throttle_thread, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!r) {
		t->is_started = true;
		return 0;
	}
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	return xm_fail(e, -r, XM_REASON_MEMORY,
		       "no thread to slow the guest down: %s", strerror(r));
}

/* Tell the thread; it is still there if it failed. */
static void throttle_tell(struct throttle *t, unsigned int percent,
			  struct xm_error *ret_failed)
{
	pthread_mutex_lock(&t->lock);
	t->percent = percent;
	*ret_failed = t->failed;
	pthread_cond_signal(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

static void throttle_stop(struct throttle *t)
{
	struct xm_error failed;

	if (!t->is_started)
		return;
	throttle_tell(t, 0, &failed);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	t->is_started = false;
}

int throttle_set(struct throttle *t, const pid_t *tids, unsigned int n,
		 unsigned int percent, struct xm_error *e)
{
	struct xm_error failed;

	if (percent > PERCENT_MAX)
		percent = PERCENT_MAX;
	if (!percent) {
		throttle_stop(t);
		return 0;
	}
	if (!t->is_started) {
		t->tids = tids;
		t->n = n;
		t->percent = percent;
		return throttle_start(t, e);
	}
	throttle_tell(t, percent, &failed);
	if (!failed.err)
		return 0;
	throttle_stop(t);
	return xm_fail(e, failed.err, failed.reason, "%s", failed.msg);
}

void throttle_close(struct throttle *t)
{
	throttle_stop(t);
	memset(t, 0, sizeof(*t));
}
