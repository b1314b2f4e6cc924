/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rng.h - the simulation's only source of chance
 *
 * SplitMix64 (Steele, Lea, Flood 2014): 64 bits of state, every seed is good,
 * and a stream can be split.  Every node forks a stream of its own when it is
 * built, so a node that draws more numbers does not shift the luck of its
 * neighbours, and one seed is one execution on every machine.
 */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_PPM 1000000u /* chances are given in parts per million */

struct sim_rng {
	uint64_t s;
};

static inline uint64_t sim_rng_next(struct sim_rng *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline struct sim_rng sim_rng_fork(struct sim_rng *r)
{
	return (struct sim_rng){ sim_rng_next(r) };
}

/* 0 .. n - 1; 0 when n is 0. */
static inline uint64_t sim_rng_below(struct sim_rng *r, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)sim_rng_next(r) * n) >> 64);
}

static inline int64_t sim_rng_range(struct sim_rng *r, int64_t lo, int64_t hi)
{
	return lo + (int64_t)sim_rng_below(r, (uint64_t)(hi - lo + 1));
}

/* Always draws, so that a chance of 0 keeps the stream in step. */
static inline bool sim_rng_chance(struct sim_rng *r, uint32_t ppm)
{
	return sim_rng_below(r, SIM_PPM) < ppm;
}

#endif
