// SPDX-License-Identifier: GPL-2.0-or-later
/* tracee_hold.c - threads held for a moment
 *
 * A thread of ours stops them and waits for the release; its end lets go of
 * all, also of one that did not stop in time.  A thread that is held at a
 * signal gets it when it is let go.  Should nobody release them, they are let
 * go after HOLD_MAX_S.
 */
#include "tracee.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "tracee_stop.h"

#define HOLD_MAX_S 1

struct hold {
	bool is_held;
	pthread_t thread;
	const pid_t *tids;
	unsigned int n;
	sem_t stopped, release;
	struct xm_error *e;
	int r; /* of stopping */
};

/* One at a time in this process: its own lock, taken by whoever holds. */
static pthread_mutex_t hold_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hold hold;

static int hold_stop(struct hold *h)
{
	int64_t deadline_ns = tracee_now_ns() + TRACEE_DEADLINE_NS;
	unsigned int i;
	int r, status;

	/* All are asked before the first is waited for. */
	for (i = 0; i < h->n; i++) {
		r = tracee_seize(h->tids[i], h->e);
		if (r && r != -ESRCH)
			return r;
	}
	for (i = 0; i < h->n; i++) {
		r = tracee_wait_any(h->tids[i], &status, deadline_ns);
		if (r == -ETIMEDOUT)
			return xm_fail(
				h->e, r, XM_REASON_STALLED,
				"thread %d does not stop: it waits in the kernel, "
				"perhaps for a disk",
				(int)h->tids[i]);
	}
	return 0;
}

/* The end of this thread would do it too, but a little after it is joined. */
static void hold_let_go(const struct hold *h)
{
	unsigned int i;
	int status;

	for (i = 0; i < h->n; i++)
		if (!tracee_wait_any(h->tids[i], &status, 0))
			tracee_detach(h->tids[i], tracee_signal(status));
}

static void *hold_main(void *arg)
{
	struct hold *h = arg;
	struct timespec until;

	h->r = hold_stop(h);
	sem_post(&h->stopped);
	if (h->r) {
		hold_let_go(h);
		return NULL;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += HOLD_MAX_S;
	while (sem_clockwait(&h->release, CLOCK_MONOTONIC, &until) &&
	       errno == EINTR)
		;
	hold_let_go(h);
	return NULL;
}

int tracee_hold(const pid_t *tids, unsigned int n, struct xm_error *e)
{
	struct hold *h = &hold;
	int r;

	pthread_mutex_lock(&hold_lock);
	if (h->is_held) {
		pthread_mutex_unlock(&hold_lock);
		return xm_fail(e, -EBUSY, XM_REASON_INTERNAL,
			       "threads are held already");
	}
	*h = (struct hold){ .tids = tids, .n = n, .e = e };
	sem_init(&h->stopped, 0, 0);
	sem_init(&h->release, 0, 0);
	r = tracee_thread_start(&h->thread, hold_main, h, e);
	if (!r) {
		while (sem_wait(&h->stopped) && errno == EINTR)
			;
		r = h->r;
		if (r)
			pthread_join(h->thread, NULL);
		h->is_held = !r;
	}
	pthread_mutex_unlock(&hold_lock);
	return r;
}

void tracee_release(const pid_t *tids, unsigned int n)
{
	struct hold *h = &hold;

	(void)tids; /* the same as for tracee_hold() */
	(void)n;
	pthread_mutex_lock(&hold_lock);
	if (h->is_held) {
		sem_post(&h->release);
		pthread_join(h->thread, NULL);
		h->is_held = false;
	}
	pthread_mutex_unlock(&hold_lock);
}
