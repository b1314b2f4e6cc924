// SPDX-License-Identifier: GPL-2.0-or-later
/* worker.c - one thread of the pool, and the channels it serves
 *
 *     take a command, if there is a new one
 *     begin it at each of the channels       may be long: see pool.h
 *     turn all channels                      a batch of frames each
 *     answer, when the command is carried out, or failed
 *     nothing to do: sleep until a socket is readable, a command comes, or a
 *     channel's timer is due
 *
 * A failure is answered once; then the thread only waits to be told to stop.
 * What is shared with the conductor, and how, is told in pool.c.
 */
#include "pool_priv.h"

#include <string.h>
#include <time.h>

#include "clock.h"
#include "near.h"

#define POOL_REPORT_NS (100 * XM_MS)

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

static int worker_pin(struct worker *w, unsigned int i, struct xm_error *e)
{
	int r;

	atomic_store(&w->is_opening, true);
	r = pump_pin(&w->pool->pump[i], e);
	atomic_store(&w->is_opening, false);
	return r;
}

static int worker_open(struct worker *w, unsigned int i, struct xm_error *e)
{
	struct pump_opts opts = w->pool->opts.pumps[i];
	int r;

	opts.stop = &w->pool->must_stop;
	atomic_store(&w->is_opening, true);
	r = pump_open(&w->pool->pump[i], &opts, e);
	atomic_store(&w->is_opening, false);
	pthread_mutex_lock(&w->lock);
	if (w->is_rerouted) /* since its options were written */
		pump_set_path(&w->pool->pump[i], &w->path);
	pthread_mutex_unlock(&w->lock);
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
		case POOL_MAKE:
			r = worker_make(w, i, e);
			break;
		case POOL_PIN:
			r = worker_pin(w, i, e);
			break;
		case POOL_OPEN:
			r = worker_open(w, i, e);
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

/* What another channel's thread adds meanwhile is heard at the next turn. */
static void worker_couple(struct worker *w, struct pump *p)
{
	atomic_uint *n = &w->pool->n_cuts;
	uint32_t own;

	if (w->pool->opts.n_pumps < 2)
		return;
	own = pump_couple(p, atomic_load_explicit(n, memory_order_relaxed));
	if (own)
		atomic_fetch_add_explicit(n, own, memory_order_relaxed);
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
		worker_couple(w, &w->pool->pump[i]);
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

/* Caps that were set, with the lock held. */
static void worker_take_rates(struct worker *w)
{
	const uint64_t *rate = w->pool->rate;
	unsigned int i;

	for_each_pump(w, i)
	{
		if (rate[i] != POOL_NO_RATE)
			pump_set_rate(&w->pool->pump[i], rate[i]);
	}
	w->has_rate = false;
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
		worker_take_rates(w);
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

void *worker_main(void *arg)
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
			is_open = cmd.phase >= POOL_OPEN;
			is_done = false;
		}
		if (!r && is_open)
			r = worker_turn(w, &e);
		(void)worker_explain(r, &e);
		if (r < 0 || (!is_done && worker_is_done(w, cmd.phase))) {
			worker_answer(w, r < 0 ? &e : NULL);
			is_done = true;
		}
		if (r < 0)
			is_open = false;
		if (r <= 0)
			worker_wait(w, e.err != 0, is_done);
		r = 0;
	}
	atomic_store(&w->has_ended, true);
	notify(w->pool->done_fd);
	return NULL;
}
