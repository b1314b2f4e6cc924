/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pool.h - the channels' threads (theory in pool.c) */
#ifndef XM_CLI_POOL_H
#define XM_CLI_POOL_H

#include "pump.h"

struct pool;

struct pool_opts {
	const struct pump_opts *pumps; /* n_pumps, lent until OPEN is done;
					* see pump.h for what counts when */
	unsigned int n_pumps;
	unsigned int n_threads; /* 0 = as many as CPUs, at most n_pumps */
	int numa_node;          /* to run on, -1 any */
	bool busy_poll;         /* never sleep while a phase is under way */
};

enum pool_phase {
	POOL_MAKE,  /* map memory and rings */
	POOL_PIN,   /* pin and fault in guest memory */
	POOL_OPEN,  /* bind the sockets; done when all are */
	POOL_PROBE, /* prove paths; done when all are, answers go on */
	POOL_EPOCH, /* source: done when all is installed; destination: frames
		     * are taken from now on, done at once */
	POOL_CLOSE, /* destination: take no more frames; done at once */
};

/* Make the threads; they wait for a command.  0 or -errno with @e. */
int pool_new(struct pool **ret_pool, const struct pool_opts *opts,
	     struct xm_error *e);

/* Stop the threads, close the sockets.  Returns NULL; NULL is fine.
 *
 * A thread that opens a channel may be in the kernel for as long as that takes
 * to pin many GiB, and nothing but the process's end gets it out of there.  So
 * it is waited for half a second; then the pool is returned as it is, and the
 * thread goes on to use it and what its pumps were lent until the process
 * exits, which should be soon.  Calling again waits again. */
struct pool *pool_free(struct pool *pool);

/* Begin a phase; the last one must be done.  What comes before POOL_OPEN and
 * was not begun is done on the way.  @set: of POOL_EPOCH at a source,
 * lent until the phase is done. */
void pool_begin(struct pool *pool, enum pool_phase phase, uint32_t epoch,
		const struct xm_page_set *set);

#define POOL_E_BUSY 1 /* the phase is not done */

/* 0 when the phase is done, POOL_E_BUSY, or the first failure with @e. */
int pool_check(struct pool *pool, struct xm_error *e);

/* Readable when pool_check() has news; reading it is pool_check()'s. */
int pool_fd(const struct pool *pool);

/* The path's MAC addresses or VLAN changed. */
void pool_set_path(struct pool *pool, const struct xm_path *path);

/* Source: a new cap for channel @i, bytes per second; 0 none.  After
 * POOL_OPEN. */
void pool_set_rate(struct pool *pool, unsigned int i, uint64_t bytes_per_s);

/* Descriptor of channel @i's socket, after POOL_OPEN. */
int pool_xsk_fd(const struct pool *pool, unsigned int i);
unsigned int pool_threads(const struct pool *pool);

/* Figures of channel @i: at most 100 ms old while a phase runs, exact when it
 * is done. */
void pool_report(struct pool *pool, unsigned int i,
		 struct pump_report *ret_report);

#endif
