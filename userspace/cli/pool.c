// SPDX-License-Identifier: GPL-2.0-or-later
/* pool.c - the channels' threads
 *
 * Thread t of T runs the channels t, t + T, t + 2T ...: one each when there
 * are CPUs enough, several when there are not, never two threads at one
 * channel.  So nothing on the way of a frame is locked.
 *
 *     conductor                         thread t
 *       pool_begin(phase) --eventfd-->    carries the phase out for each of
 *                                         its pumps, turns them until done
 *       pool_check()      <--eventfd--    done, or failed
 *
 * Opening is three commands, each begun when all threads have done the one
 * before.  The kernel holds the lock of our mappings while it pins, and a thread
 * that maps a ring meanwhile, or whose malloc() maps, waits for it: so all is
 * mapped before anything is pinned.  A source pins while the destination opens
 * its own channels; only binding waits for what both agree on.
 *
 * What crosses between them is under the worker's mutex: the command (phase,
 * epoch, set, path, rate, generation) one way, the answer (generation done, error,
 * reports) the other.  The mutex is taken once a turn, which moves a batch of
 * frames, and nobody else wants it but ten times a second.  The answers'
 * wake-ups may come late, after the conductor has seen the last one: so it is
 * the conductor that knows whether a phase is under way, and it is told of its
 * end once.  Between phases a thread goes on turning its pumps, because
 * a proven path still answers PROBEs and an installed epoch still
 * acknowledges duplicates.
 *
 * Told to stop, a thread does so after the turn it is in.  Only opening a
 * channel can take longer: it ends early between two pieces of work, but
 * not while the kernel pins the guest's memory (pool.h says what then).
 *
 * A thread that has nothing to do sleeps in ppoll() until a socket is
 * readable, a command comes, or a pump's timer is due.  With busy_poll it
 * does not sleep while a phase is under way.
 */
#include "pool.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "clock.h"
#include "pool_priv.h"
#include "util/fd.h"

#define POOL_STOP_NS (500 * XM_MS) /* for threads that open a channel */

static int pool_start(struct pool *pool, struct xm_error *e)
{
	unsigned int i;
	int r;

	for (i = 0; i < pool->n_workers; i++) {
		struct worker *w = &pool->worker[i];

		w->pool = pool;
		w->index = i;
		pthread_mutex_init(&w->lock, NULL);
		w->fds = calloc(pool->opts.n_pumps + 1, sizeof(*w->fds));
		w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (!w->fds || w->wake_fd < 0)
			return xm_fail(e, -ENOMEM, XM_REASON_MEMORY,
				       "cannot make thread %u: %s", i,
				       strerror(errno));
		r = pthread_create(&w->thread, NULL, worker_main, w);
		if (r)
			return xm_fail(e, -r, XM_REASON_MEMORY,
				       "cannot make thread %u: %s", i,
				       strerror(r));
		w->has_thread = true;
	}
	return 0;
}

int pool_new(struct pool **ret_pool, const struct pool_opts *opts,
	     struct xm_error *e)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	unsigned int i;
	int r = -ENOMEM;

	if (!pool)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY, "out of memory");
	pool->opts = *opts;
	pool->n_workers = opts->n_threads;
	if (!pool->n_workers)
		pool->n_workers = xm_cpus();
	if (pool->n_workers > opts->n_pumps)
		pool->n_workers = opts->n_pumps;
	pool->pump = calloc(opts->n_pumps, sizeof(*pool->pump));
	pool->report = calloc(opts->n_pumps, sizeof(*pool->report));
	pool->rate = calloc(opts->n_pumps, sizeof(*pool->rate));
	pool->worker = calloc(pool->n_workers, sizeof(*pool->worker));
	pool->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; pool->worker && i < pool->n_workers; i++)
		pool->worker[i].wake_fd = -1;
	for (i = 0; pool->rate && i < opts->n_pumps; i++)
		pool->rate[i] = POOL_NO_RATE;
	if (pool->pump && pool->report && pool->rate && pool->worker &&
	    pool->done_fd >= 0)
		r = pool_start(pool, e);
	else
		(void)xm_fail(e, r, XM_REASON_MEMORY, "out of memory");
	if (r) {
		pool_free(pool);
		return r;
	}
	*ret_pool = pool;
	return 0;
}

/* Wait for the thread, at most until @until; then on, unless it opens a channel.
 * True: it is no more. */
static bool worker_join(struct worker *w, int64_t until)
{
	struct pollfd ended = { .events = POLLIN };
	int64_t left;

	if (!w->has_thread) /* and perhaps no pool */
		return true;
	ended.fd = w->pool->done_fd;
	while (!atomic_load(&w->has_ended)) {
		left = until - xm_clock().ns;
		if (left <= 0 && atomic_load(&w->is_opening))
			return false;
		if (left <= 0)
			break;
		(void)poll(&ended, 1, (int)(left / XM_MS) + 1);
		drain(w->pool->done_fd);
	}
	pthread_join(w->thread, NULL);
	w->has_thread = false;
	return true;
}

/* True: no thread runs any more. */
static bool pool_stop(struct pool *pool)
{
	int64_t until = xm_clock().ns + POOL_STOP_NS;
	bool is_all = true;
	unsigned int i;

	atomic_store(&pool->must_stop, true);
	for (i = 0; i < pool->n_workers; i++)
		if (pool->worker[i].has_thread)
			notify(pool->worker[i].wake_fd);
	for (i = 0; i < pool->n_workers; i++)
		is_all &= worker_join(&pool->worker[i], until);
	return is_all;
}

static void *close_main(void *arg)
{
	pump_close(arg);
	return NULL;
}

/* The kernel waits for an RCU grace period at each socket's end, 10 to 20 ms:
 * sockets that are closed side by side share it. */
static void pool_close(struct pool *pool)
{
	pthread_t thread[XM_CHAN_MAX];
	bool has_thread[XM_CHAN_MAX] = { false };
	unsigned int i;

	for (i = 0; i + 1 < pool->opts.n_pumps; i++)
		has_thread[i] = !pthread_create(&thread[i], NULL, close_main,
						&pool->pump[i]);
	for (i = 0; i < pool->opts.n_pumps; i++)
		if (has_thread[i])
			pthread_join(thread[i], NULL);
		else
			pump_close(&pool->pump[i]);
}

struct pool *pool_free(struct pool *pool)
{
	unsigned int i;

	if (!pool || (pool->worker && !pool_stop(pool)))
		return pool;
	for (i = 0; pool->worker && i < pool->n_workers; i++) {
		fd_closep(&pool->worker[i].wake_fd);
		free(pool->worker[i].fds);
	}
	if (pool->pump)
		pool_close(pool);
	fd_closep(&pool->done_fd);
	free(pool->pump);
	free(pool->report);
	free(pool->rate);
	free(pool->worker);
	free(pool);
	return NULL;
}

/* The goal; or what comes before it, if that is not done. */
static void pool_command(struct pool *pool)
{
	struct command cmd = pool->goal;
	unsigned int i;

	if (cmd.phase <= POOL_OPEN)
		cmd.phase = (enum pool_phase)pool->built;
	for (i = 0; i < pool->n_workers; i++) {
		struct worker *w = &pool->worker[i];

		pthread_mutex_lock(&w->lock);
		w->cmd = cmd;
		w->want++;
		pthread_mutex_unlock(&w->lock);
		notify(w->wake_fd);
	}
}

void pool_begin(struct pool *pool, enum pool_phase phase, uint32_t epoch,
		const struct xm_page_set *set)
{
	pool->goal = (struct command){ phase, epoch, set };
	pool->is_busy = true;
	pool_command(pool);
}

int pool_check(struct pool *pool, struct xm_error *e)
{
	unsigned int i;
	int r = 0;

	drain(pool->done_fd);
	for (i = 0; i < pool->n_workers; i++) {
		struct worker *w = &pool->worker[i];

		pthread_mutex_lock(&w->lock);
		if (w->err.err && r >= 0) {
			r = xm_fail(e, w->err.err, w->err.reason, "%s",
				    w->err.msg);
		} else if (w->done != w->want && !r) {
			r = POOL_E_BUSY;
		}
		pthread_mutex_unlock(&w->lock);
	}
	if (r)
		return r;
	if (!pool->is_busy)
		return POOL_E_BUSY;
	if (pool->goal.phase <= POOL_OPEN && pool->built++ < pool->goal.phase) {
		pool_command(pool);
		return POOL_E_BUSY;
	}
	pool->is_busy = false;
	return 0;
}

int pool_fd(const struct pool *pool)
{
	return pool->done_fd;
}

void pool_set_path(struct pool *pool, const struct xm_path *path)
{
	unsigned int i;

	for (i = 0; i < pool->n_workers; i++) {
		struct worker *w = &pool->worker[i];

		pthread_mutex_lock(&w->lock);
		w->path = *path;
		w->has_path = w->is_rerouted = true;
		pthread_mutex_unlock(&w->lock);
		notify(w->wake_fd);
	}
}

void pool_set_rate(struct pool *pool, unsigned int i, uint64_t bytes_per_s)
{
	struct worker *w = &pool->worker[i % pool->n_workers];
	bool is_new;

	pthread_mutex_lock(&w->lock);
	is_new = pool->rate[i] != bytes_per_s;
	pool->rate[i] = bytes_per_s;
	w->has_rate = w->has_rate || is_new;
	pthread_mutex_unlock(&w->lock);
	if (is_new)
		notify(w->wake_fd);
}

int pool_xsk_fd(const struct pool *pool, unsigned int i)
{
	return xsk_chan_fd(pool->pump[i].chan);
}

unsigned int pool_threads(const struct pool *pool)
{
	return pool->n_workers;
}

void pool_report(struct pool *pool, unsigned int i,
		 struct pump_report *ret_report)
{
	struct worker *w = &pool->worker[i % pool->n_workers];

	pthread_mutex_lock(&w->lock);
	*ret_report = pool->report[i];
	pthread_mutex_unlock(&w->lock);
}
