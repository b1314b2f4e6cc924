/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pool_priv.h - the inside of the pool, for pool.c and worker.c */
#ifndef XM_CLI_POOL_PRIV_H
#define XM_CLI_POOL_PRIV_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "pool.h"

/* A cap that nobody has set: that of the pump's options holds. */
#define POOL_NO_RATE UINT64_MAX

struct command {
	enum pool_phase phase;
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
	bool is_rerouted; /* path is newer than the pumps' options */
	bool has_path, has_rate;
	unsigned int done; /* generation carried out */
	struct xm_error err;

	atomic_bool is_opening; /* a channel: may be long in the kernel */
	atomic_bool has_ended;  /* and has told done_fd */

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
	uint64_t *rate;             /* ditto; or POOL_NO_RATE */
	struct worker *worker;
	unsigned int n_workers;
	atomic_bool must_stop;
	atomic_uint n_cuts; /* of all channels: see xm_cc_couple() */
	int done_fd;
	/* the conductor's own */
	bool is_busy;        /* a phase is under way */
	struct command goal; /* it */
	unsigned int built; /* of the phases up to POOL_OPEN, how many are done */
};

static inline void notify(int fd)
{
	uint64_t one = 1;

	/* Fails only when the counter is full: then it is readable anyway. */
	(void)!write(fd, &one, sizeof(one));
}

static inline void drain(int fd)
{
	uint64_t n;

	(void)!read(fd, &n, sizeof(n)); /* EAGAIN: nothing there */
}

/* A thread; @arg: its struct worker. */
void *worker_main(void *arg);

#endif
