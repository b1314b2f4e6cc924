// SPDX-License-Identifier: GPL-2.0-or-later
/* progress.c - flow control that costs nothing
 *
 * A sender that nobody slows down posts frames for which the receivers have no
 * room.  They cost the sender's CPU and arrive nowhere; where both hosts share
 * their CPUs, as on a veth pair, the receivers get less for it.  What could be
 * received at best shows when the sender knows how far they are, and for the
 * ceiling it must know without packets, windows and timers.  Both ends run on
 * one machine: a counter in shared memory tells it.
 *
 *    posted - lost - got  <  credit
 *
 * Frames that got lost nevertheless would count as under way for ever.  When
 * nothing moved for LOST_NS and there is no room, they are written off.
 */
#include "progress.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xdpmig/limits.h"

#define LEN     (XM_CHAN_MAX * sizeof(struct progress))
#define LOST_NS (100 * 1000000LL)

struct progress *progress_map(const char *path, bool is_receiver)
{
	int flags = is_receiver ? O_CREAT | O_TRUNC : 0;
	int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	void *p = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (!is_receiver || !ftruncate(fd, LEN))
		p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

uint64_t window_room(struct window *w, int64_t now_ns)
{
	uint64_t got, flight;

	if (!w->p)
		return UINT64_MAX;
	got = atomic_load_explicit(&w->p->got, memory_order_acquire);
	if (got != w->seen || !w->seen_ns) {
		w->seen = got;
		w->seen_ns = now_ns;
	}
	/* More than posted when what was written off came after all. */
	flight = w->lost + got < w->posted ? w->posted - w->lost - got : 0;
	if (flight >= w->p->credit && now_ns - w->seen_ns > LOST_NS) {
		w->lost += flight;
		flight = 0;
	}
	return flight < w->p->credit ? w->p->credit - flight : 0;
}
