/* SPDX-License-Identifier: GPL-2.0-or-later */
/* throttle.h - take time away from threads of another process
 *
 * A struct throttle starts zeroed.  One thread uses it.
 */
#ifndef XM_GUEST_THROTTLE_H
#define XM_GUEST_THROTTLE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"

#define THROTTLE_PERIOD_NS 20000000 /* 20 ms: below what a guest calls a hang */

struct throttle {
	const pid_t *tids; /* lent, until throttle_close() */
	unsigned int n;
	pthread_t thread;
	bool is_started;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	unsigned int percent;
	struct xm_error failed; /* why the thread gave up */
};

/* Hold @tids for @percent of each period from now on: 0 stops that, more than
 * 99 is 99.  They run when this returns from 0, and when we die.  0 or -errno
 * with @e: also that of an earlier period in which they could not be held. */
int throttle_set(struct throttle *t, const pid_t *tids, unsigned int n,
		 unsigned int percent, struct xm_error *e);

/* The threads run at full speed.  Safe on a zeroed or closed one. */
void throttle_close(struct throttle *t);

#endif
