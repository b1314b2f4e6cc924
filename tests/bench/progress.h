/* SPDX-License-Identifier: GPL-2.0-or-later */
/* progress.h - how far the receivers are, told in shared memory, for blast */
#ifndef XM_BENCH_PROGRESS_H
#define XM_BENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* One lane's, in a file that both sides map; a cache line of its own. */
struct progress {
	_Alignas(64) uint64_t credit; /* frames that its chunks hold */
	_Atomic uint64_t got;         /* frames whose chunks are given back */
};

/* Destination: make the file @path anew, with XM_CHAN_MAX lanes, all zero.
 * Source: map what it made.  NULL with errno. */
struct progress *progress_map(const char *path, bool is_receiver);

/* Source: one lane's frames under way.  Starts zeroed but for @p. */
struct window {
	struct progress *p; /* NULL: no limit */
	uint64_t posted, lost, seen;
	int64_t seen_ns;
};

/* Frames that may be posted now. */
uint64_t window_room(struct window *w, int64_t now_ns);

#endif
