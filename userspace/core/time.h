/* SPDX-License-Identifier: GPL-2.0-or-later */
/* time.h - an instant, typed so that a duration cannot be passed for one
 *
 * The core never asks for the time: every entry point takes @now, from any
 * monotonic clock.  Durations are plain int64_t nanoseconds, named _ns.
 */
#ifndef XM_CORE_TIME_H
#define XM_CORE_TIME_H

#include <stdbool.h>
#include <stdint.h>

struct xm_time {
	int64_t ns; /* since any fixed start, at least 0 */
};

#define XM_TIME_NEVER ((struct xm_time){ INT64_MAX })
#define XM_US         1000LL
#define XM_MS         1000000LL
#define XM_SEC        1000000000LL

static inline bool xm_time_before(struct xm_time a, struct xm_time b)
{
	return a.ns < b.ns;
}

static inline bool xm_time_is_never(struct xm_time t)
{
	return t.ns == INT64_MAX;
}

static inline struct xm_time xm_time_min(struct xm_time a, struct xm_time b)
{
	return a.ns < b.ns ? a : b;
}

static inline struct xm_time xm_time_add(struct xm_time t, int64_t d_ns)
{
	return xm_time_is_never(t) ? t : (struct xm_time){ t.ns + d_ns };
}

static inline int64_t xm_time_sub(struct xm_time a, struct xm_time b)
{
	return a.ns - b.ns;
}

/* The 32-bit microsecond clock of the wire; wraps after 71 minutes. */
static inline uint32_t xm_time_wire_us(struct xm_time t)
{
	return (uint32_t)(t.ns / XM_US);
}

#endif
