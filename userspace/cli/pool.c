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
 * POOL_OPEN is two commands: all threads make their pumps, then all open them.
 * The kernel holds the lock of our mappings while it pins, and a thread that
 * maps a ring meanwhile, or whose malloc() maps, waits for it.
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
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "clock.h"
#include "near.h"
#include "util/fd.h"

#define POOL_REPORT_NS (100 * XM_MS)
#define POOL_STOP_NS   (500 * XM_MS) /* for threads that open a channel */

struct command {
	enum pool_phase phase;
	bool is_making; /* POOL_OPEN: make the pumps, do not open them yet */
	uint32_t epoch;
	const struct xm_page_set *set;
};

struct worker {
	struct pool *pool;
	unsigned int index;
	pthread_t thread;
	bool has_thread;
	int wake_fd;

	pthread_mutex_t lock; /* what follows, both ways */
	unsigned int want;    /* generation commanded */
	struct command cmd;
	struct xm_path path;
	bool has_path, has_rate;
	unsigned int done; /* generation carried out */
	struct xm_error err;

	atomic_bool is_opening; /* a channel: may be long in the kernel */

	/* the thread's own */
	unsigned int gen;
	struct xm_time reported;
	uint64_t polls;
	struct pollfd *fds;
};

struct pool {
	struct pool_opts opts;
	struct pump *pump;
	struct pump_report *report; /* each under its worker's lock */
	uint64_t *rate;             /* ditto */
	struct worker *worker;
	unsigned int n_workers;
	atomic_bool must_stop;
	int done_fd;
	/* the conductor's own */
	bool is_busy;   /* a phase is under way */
	bool is_making; /* it is POOL_OPEN, the first half of it */
};

static void notify(int fd)
{
	uint64_t one = 1;

	/* Fails only when the counter is full: then it is readable anyway. */
	(void)!write(fd, &one, sizeof(one));
}

static void drain(int fd)
{
	uint64_t n;

	(void)!read(fd, &n, sizeof(n)); /* EAGAIN: nothing there */
}

/* -- a thread's side -------------------------------------------------------------- */

#define for_each_pump(w, i)                                   \
	for ((i) = (w)->index; (i) < (w)->pool->opts.n_pumps; \
	     (i) += (w)->pool->n_workers)

static void worker_report(struct worker *w, struct xm_time now)
{
	struct pump_report rep;
	unsigned int i;

	for_each_pump(w, i)
	{
		pump_report(&w->pool->pump[i], &rep);
		rep.polls = i == w->index ? w->polls : 0;
		pthread_mutex_lock(&w->lock);
		w->pool->report[i] = rep;
		pthread_mutex_unlock(&w->lock);
	}
	w->reported = now;
}

static void worker_answer(struct worker *w, const struct xm_error *e)
{
	worker_report(w, xm_clock());
	pthread_mutex_lock(&w->lock);
	if (e)
		w->err = *e;
	w->done = w->gen;
	pthread_mutex_unlock(&w->lock);
	notify(w->pool->done_fd);
}

static int worker_make(struct worker *w, unsigned int i, struct xm_error *e)
{
	struct pump_opts opts = w->pool->opts.pumps[i];

	opts.stop = &w->pool->must_stop;
	return pump_make(&w->pool->pump[i], &opts, e);
}

static int worker_open(struct worker *w, unsigned int i, struct xm_error *e)
{
	int r;

	atomic_store(&w->is_opening, true);
	r = pump_open(&w->pool->pump[i], e);
	atomic_store(&w->is_opening, false);
	return r;
}

static int worker_begin(struct worker *w, const struct command *cmd,
			struct xm_error *e)
{
	struct pool *pool = w->pool;
	struct xm_time now = xm_clock();
	unsigned int i;
	int r = 0;

	for_each_pump(w, i)
	{
		struct pump *p = &pool->pump[i];

		if (atomic_load(&pool->must_stop))
			return 0; /* nobody waits for it any more */
		switch (cmd->phase) {
		case POOL_OPEN:
			r = cmd->is_making ? worker_make(w, i, e) :
					     worker_open(w, i, e);
			break;
		case POOL_PROBE:
			pump_begin_probe(p);
			break;
		case POOL_EPOCH:
			r = pump_begin_epoch(p, cmd->epoch, cmd->set, now, e);
			break;
		case POOL_CLOSE:
			pump_end_epoch(p);
			break;
		}
		if (r)
			return r;
	}
	return 0;
}

static bool worker_is_done(const struct worker *w, enum pool_phase phase)
{
	unsigned int i;

	for_each_pump(w, i)
	{
		const struct pump *p = &w->pool->pump[i];

		if (phase == POOL_PROBE && !pump_is_proven(p))
			return false;
		if (phase == POOL_EPOCH && p->opts.is_sender &&
		    !pump_is_installed(p))
			return false;
	}
	return true;
}

static int worker_turn(struct worker *w, struct xm_error *e)
{
	struct xm_time now = xm_clock();
	unsigned int i;
	int busy = 0, r;

	for_each_pump(w, i)
	{
		r = pump_turn(&w->pool->pump[i], now, e);
		if (r < 0)
			return r;
		busy |= r;
	}
	if (xm_time_sub(now, w->reported) < POOL_REPORT_NS)
		return busy;
	for_each_pump(w, i)
	{
		r = pump_check(&w->pool->pump[i], e);
		if (r < 0)
			return r;
	}
	worker_report(w, now);
	return busy;
}

/* Sleep until something may have happened; when the worker failed, until it is
 * told to stop. */
static void worker_wait(struct worker *w, bool has_failed, bool is_idle)
{
	struct xm_time now = xm_clock(), t = XM_TIME_NEVER;
	struct timespec ts, *timeout = NULL;
	unsigned int i, n = 1;
	int64_t ns;

	w->fds[0] = (struct pollfd){ .fd = w->wake_fd, .events = POLLIN };
	for_each_pump(w, i)
	{
		const struct pump *p = &w->pool->pump[i];

		if (!p->chan || has_failed)
			continue;
		w->fds[n++] = (struct pollfd){
			.fd = xsk_chan_fd(p->chan),
			.events = POLLIN,
		};
		t = xm_time_min(t, pump_expiry(p, now));
	}
	if (!xm_time_is_never(t)) {
		ns = xm_time_sub(t, now);
		if (ns < 0)
			ns = 0;
		ts.tv_sec = ns / XM_SEC;
		ts.tv_nsec = ns % XM_SEC;
		timeout = &ts;
	}
	if (w->pool->opts.busy_poll && !is_idle) {
		ts = (struct timespec){ 0 };
		timeout = &ts;
	}
	w->polls++;
	if (ppoll(w->fds, n, timeout, NULL) > 0 && w->fds[0].revents)
		drain(w->wake_fd);
}

/* Take a new command, if there is one.  False: stop. */
static bool worker_take(struct worker *w, bool *ret_new,
			struct command *ret_cmd)
{
	struct xm_path path;
	unsigned int i;
	bool has_path;

	pthread_mutex_lock(&w->lock);
	*ret_new = w->want != w->gen;
	w->gen = w->want;
	*ret_cmd = w->cmd;
	has_path = w->has_path;
	path = w->path;
	w->has_path = false;
	if (w->has_rate)
		for_each_pump(w, i)
			pump_set_rate(&w->pool->pump[i], w->pool->rate[i]);
	w->has_rate = false;
	pthread_mutex_unlock(&w->lock);
	if (has_path)
		for_each_pump(w, i) pump_set_path(&w->pool->pump[i], &path);
	return !atomic_load(&w->pool->must_stop);
}

/* A failure always has a story. */
static int worker_explain(int r, struct xm_error *e)
{
	return r < 0 ? xm_fail(e, r, XM_REASON_INTERNAL, "a channel failed: %s",
			       strerror(-r)) :
		       r;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct command cmd = { 0 };
	struct xm_error e = { 0 };
	bool is_open = false, is_done = true, is_new;
	int r = 0;

	near_node(w->pool->opts.numa_node);
	while (worker_take(w, &is_new, &cmd)) {
		if (is_new && !e.err) {
			r = worker_begin(w, &cmd, &e);
			is_open = !cmd.is_making;
			is_done = false;
		}
		if (!r && is_open)
			r = worker_turn(w, &e);
		(void)worker_explain(r, &e);
		if (r < 0 || (!is_done && worker_is_done(w, cmd.phase))) {
			if (!is_done || r < 0)
				worker_answer(w, r < 0 ? &e : NULL);
			is_done = true;
		}
		if (r < 0)
			is_open = false;
		if (r <= 0)
			worker_wait(w, e.err != 0, is_done);
		r = 0;
	}
	return NULL;
}

/* -- the conductor's side ------------------------------------------------------------ */

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

/* False: the thread is not to be waited for. */
static bool worker_join(struct worker *w, const struct timespec *until)
{
	if (w->has_thread &&
	    pthread_timedjoin_np(w->thread, NULL, until) == ETIMEDOUT) {
		if (atomic_load(&w->is_opening))
			return false;
		pthread_join(w->thread, NULL);
	}
	w->has_thread = false;
	return true;
}

/* True: no thread runs any more. */
static bool pool_stop(struct pool *pool)
{
	bool is_all = true;
	struct timespec ts;
	unsigned int i;

	atomic_store(&pool->must_stop, true);
	for (i = 0; i < pool->n_workers; i++)
		if (pool->worker[i].has_thread)
			notify(pool->worker[i].wake_fd);
	clock_gettime(CLOCK_REALTIME, &ts); /* what the join goes by */
	ts.tv_nsec += POOL_STOP_NS;
	ts.tv_sec += ts.tv_nsec / XM_SEC;
	ts.tv_nsec %= XM_SEC;
	for (i = 0; i < pool->n_workers; i++)
		is_all &= worker_join(&pool->worker[i], &ts);
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

static void pool_command(struct pool *pool, const struct command *cmd)
{
	unsigned int i;

	for (i = 0; i < pool->n_workers; i++) {
		struct worker *w = &pool->worker[i];

		pthread_mutex_lock(&w->lock);
		w->cmd = *cmd;
		w->want++;
		pthread_mutex_unlock(&w->lock);
		notify(w->wake_fd);
	}
}

void pool_begin(struct pool *pool, enum pool_phase phase, uint32_t epoch,
		const struct xm_page_set *set)
{
	struct command cmd = {
		.phase = phase,
		.is_making = phase == POOL_OPEN,
		.epoch = epoch,
		.set = set,
	};

	pool->is_busy = true;
	pool->is_making = cmd.is_making;
	pool_command(pool, &cmd);
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
	if (pool->is_making) {
		pool->is_making = false;
		pool_command(pool, &(struct command){ .phase = POOL_OPEN });
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
		w->has_path = true;
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
