/* SPDX-License-Identifier: GPL-2.0-or-later */
/* heart.h - the page by which a dirtier is watched (dirtier.c)
 *
 * At the beginning of a page of the guest's RAM file; little-endian.
 */
#ifndef XM_BENCH_HEART_H
#define XM_BENCH_HEART_H

#include <stdint.h>

/* mark[i] is x ^ x >> 29 of x = (HEART_SEED + i) * 0x9e3779b97f4a7c15 */
#define HEART_SEED 0x786d68656172ull

struct heart {
	uint64_t mark[2];
	volatile uint64_t rate;  /* bytes a second; written from outside */
	volatile uint64_t beats; /* turns of the loop, each 1 ms or longer */
	volatile uint64_t work;  /* pages written */
	volatile uint64_t wrong; /* of them, not as they were left */
};

#endif
