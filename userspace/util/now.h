/* SPDX-License-Identifier: GPL-2.0-or-later */
/* now.h - CLOCK_MONOTONIC, for deadlines of drivers (the core is told the time)
 */
#ifndef XM_UTIL_NOW_H
#define XM_UTIL_NOW_H

#include <stdint.h>
#include <time.h>

static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static inline int64_t now_ms(void)
{
	return now_ns() / 1000000;
}

#endif
