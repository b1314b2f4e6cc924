// SPDX-License-Identifier: GPL-2.0-or-later
/* converge.c - when to stop copying and switch over
 *
 * An epoch sends what the guest dirtied while the one before it was sent.  A
 * guest that dirties D bytes a second over a link that carries R leaves the
 * D/R-th part of each epoch to the next one: they shrink, and what is left will
 * at last be sent in the time that the guest may stand still; or D is too
 * close to R and they never will.
 *
 *   expected downtime = overhead + dirty bytes / rate       <= limit: SWITCH
 *
 * The overhead is what a switchover costs besides pages: the last harvest, the
 * round trips, the devices.  A limit that it alone would exceed can never be
 * met, so an eighth of the limit is always the pages': with it such a guest
 * switches when more epochs would no longer gain much.
 *
 * Within the limit less is better still: another epoch is sent as long as it
 * takes something off the downtime that is worth it, at least half of what the
 * pages would cost; what it costs itself, when a harvest stops the guest, counts
 * against it.  At most more_epochs of them, and none past the deadline.
 *
 * Rate: bytes over time of all epochs, each counting half as much as the one
 * after it.  Sums are halved, not quotients: an epoch of five pages is all
 * latency, and must not outweigh the gigabytes before it.  Zero pages cost
 * nothing, so an epoch of nothing else tells no rate.  As long as none is known
 * only a handful of pages is thought to be quick; unless the guest has been
 * seen to write zeros only, when what its pages cost is the best there is to
 * go by.
 *
 * Stagnation, as QEMU's auto-converge has it: an epoch at whose end at least
 * half as many pages are dirty as it sent.  AUTO takes virtual CPU time away
 * after two such epochs in a row: 20 %, then 10 % more after every two, to
 * 99 %.  It is never given back while the migration lasts: what made it
 * necessary would come back too.
 *
 * Deadline: whoever has one is told by it.  STOP switches over, AUTO and FAIL
 * give up; but a guest that can be switched over in time is, even then.
 * Without one a guest that stagnates is copied until the user has seen enough.
 */
#include "converge.h"

#include <string.h>

#include "xdpmig/limits.h"

#define TRIGGER_SHARE    2  /* 1/2 of an epoch's pages dirty: it stagnates */
#define TRIGGER_EPOCHS   2  /* so many of them in a row: throttle */
#define THROTTLE_INITIAL 20 /* percent */
#define THROTTLE_STEP    10
#define THROTTLE_MAX     99
#define PAGES_SHARE      8  /* 1/8 of max_downtime is always the pages' */
#define HANDFUL          64 /* pages, 256 KiB: 20 ms at 100 Mbit/s */
#define MORE_NS          (5 * XM_MS) /* pages that take less are not worth it */
#define US_PER_S         1000000

/* @n a second, when it took @us; saturates. */
static uint64_t converge_per_s(uint64_t n, uint64_t us)
{
	if (!us)
		us = 1;
	if (n <= UINT64_MAX / US_PER_S)
		return n * US_PER_S / us;
	n /= us;
	return n <= UINT64_MAX / US_PER_S ? n * US_PER_S : UINT64_MAX;
}

/* Nanoseconds that @n take at @per_s, which is not 0; saturates. */
static int64_t converge_ns(uint64_t n, uint64_t per_s)
{
	uint64_t us;

	if (n > UINT64_MAX / US_PER_S)
		return INT64_MAX;
	us = n * US_PER_S / per_s;
	return us > INT64_MAX / 1000 ? INT64_MAX : (int64_t)us * 1000;
}

static void converge_measure(struct xm_converge *c, uint64_t pages,
			     uint64_t bytes, int64_t ns, uint64_t dirty)
{
	uint64_t us = ns > 0 ? (uint64_t)ns / 1000 : 0;

	c->epochs++;
	c->last_pages = pages;
	c->dirty_per_s = converge_per_s(dirty, us);
	if (!bytes)
		return;
	if (bytes > INT64_MAX)
		bytes = INT64_MAX; /* so that the sum cannot wrap */
	c->sum_bytes = c->sum_bytes / 2 + bytes;
	c->sum_us = c->sum_us / 2 + us;
	c->bytes_per_s = converge_per_s(c->sum_bytes, c->sum_us);
	if (!c->bytes_per_s)
		c->bytes_per_s = 1; /* known, and hopeless */
}

/* How long @dirty pages would take now, or INT64_MAX. */
static int64_t converge_pages_ns(const struct xm_converge *c, int64_t ns,
				 uint64_t dirty)
{
	uint64_t pages_per_s;

	if (!dirty)
		return 0;
	if (c->bytes_per_s)
		return dirty > UINT64_MAX / XM_PAGE_SIZE ?
			       INT64_MAX :
			       converge_ns(dirty * XM_PAGE_SIZE,
					   c->bytes_per_s);
	if (dirty <= HANDFUL)
		return 0;
	/* Epoch 1 was what the guest had, not what it writes. */
	if (c->epochs == 1)
		return INT64_MAX;
	pages_per_s =
		converge_per_s(c->last_pages, ns > 0 ? (uint64_t)ns / 1000 : 0);
	return pages_per_s ? converge_ns(dirty, pages_per_s) : INT64_MAX;
}

/* What the pages may take of the downtime. */
static int64_t converge_budget(const struct xm_converge *c)
{
	int64_t share = c->opts.max_downtime_ns / PAGES_SHARE;
	int64_t left = c->opts.max_downtime_ns - c->opts.overhead_ns;

	return left > share ? left : share;
}

/* Would another epoch shorten the downtime by enough? */
static bool converge_is_worth_more(const struct xm_converge *c,
				   int64_t pages_ns, uint64_t dirty)
{
	uint64_t us = (uint64_t)pages_ns / 1000, next;

	if (c->n_more >= c->opts.more_epochs || pages_ns <= MORE_NS ||
	    pages_ns == INT64_MAX)
		return false;
	/* what the guest writes while it is sent */
	next = us > UINT64_MAX / US_PER_S ||
			       c->dirty_per_s > UINT64_MAX / (us + 1) ?
		       UINT64_MAX :
		       c->dirty_per_s * us / US_PER_S;
	return next <= dirty / 2 && c->drain_ns < pages_ns / 2;
}

static void converge_throttle(struct xm_converge *c, uint64_t dirty)
{
	if (dirty < c->last_pages - c->last_pages / TRIGGER_SHARE) {
		c->n_stagnant = 0;
		return;
	}
	if (++c->n_stagnant % TRIGGER_EPOCHS || c->opts.how != XM_CONVERGE_AUTO)
		return;
	c->throttle = c->throttle ? c->throttle + THROTTLE_STEP :
				    THROTTLE_INITIAL;
	if (c->throttle > THROTTLE_MAX)
		c->throttle = THROTTLE_MAX;
}

enum xm_converge_verdict xm_converge_expire(const struct xm_converge *c,
					    struct xm_time now)
{
	if (xm_time_before(now, xm_converge_expiry(c)))
		return XM_CONVERGE_EPOCH;
	return c->opts.how == XM_CONVERGE_STOP ? XM_CONVERGE_SWITCH :
						 XM_CONVERGE_GIVE_UP;
}

enum xm_converge_verdict xm_converge_step(struct xm_converge *c,
					  struct xm_time now, uint64_t pages,
					  uint64_t bytes, int64_t ns,
					  uint64_t dirty)
{
	int64_t pages_ns;

	converge_measure(c, pages, bytes, ns, dirty);
	pages_ns = converge_pages_ns(c, ns, dirty);
	c->expected_ns = pages_ns > INT64_MAX - c->opts.overhead_ns ?
				 INT64_MAX :
				 pages_ns + c->opts.overhead_ns;
	if (pages_ns <= converge_budget(c)) { /* 0 when nothing is dirty */
		if (!converge_is_worth_more(c, pages_ns, dirty) ||
		    xm_converge_expire(c, now) != XM_CONVERGE_EPOCH)
			return XM_CONVERGE_SWITCH;
		c->n_more++;
		return XM_CONVERGE_EPOCH;
	}
	converge_throttle(c, dirty);
	return xm_converge_expire(c, now);
}

struct xm_time xm_converge_expiry(const struct xm_converge *c)
{
	if (!c->opts.deadline_ns)
		return XM_TIME_NEVER;
	return xm_time_add(c->begun, c->opts.deadline_ns);
}

void xm_converge_begin(struct xm_converge *c,
		       const struct xm_converge_opts *opts, struct xm_time now)
{
	memset(c, 0, sizeof(*c));
	c->opts = *opts;
	c->begun = now;
	c->expected_ns = INT64_MAX;
}
