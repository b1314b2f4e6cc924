/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clock.h - where the core's time comes from */
#ifndef XM_CLI_CLOCK_H
#define XM_CLI_CLOCK_H

#include <sched.h>
#include <time.h>

#include "core/time.h"

static inline struct xm_time xm_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct xm_time){ ts.tv_sec * XM_SEC + ts.tv_nsec };
}

/* CPUs this process may run on. */
static inline unsigned int xm_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ?
		       1 :
		       (unsigned int)CPU_COUNT(&set);
}

#endif
