// SPDX-License-Identifier: GPL-2.0-or-later
/* sweep.c - a grid of header rings: lists, order, medians, the rule
 *
 * Runs differ, by what else the machines do, and machines drift.  So each cell
 * is measured several times, in rounds: a round has every cell once, in an order
 * of its own, and of each figure the median counts.
 *
 * The rule.  Larger rings cost memory and cannot hurt but by noise; so the size
 * to take is the smallest whose median is within 3 % of the best of all sizes.
 * When that is the largest that was measured, nothing is said about what larger
 * ones would do.
 */
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WHY 200 /* bytes, see sweep.h */

static const char *const drain_names[] = {
	[XM_DRAIN_HALF] = "half",
	[XM_DRAIN_FULL] = "full",
	[XM_DRAIN_ONE] = "one",
};

const char *sweep_drain_name(enum xm_drain drain)
{
	return drain_names[drain];
}

/* -- lists ---------------------------------------------------------------------- */

/* The next word of the list @text, which moves behind it; false at its end.  An
 * empty word is one. */
static bool list_next(const char **text, char *word, size_t len)
{
	size_t n;

	if (!*text)
		return false;
	n = strcspn(*text, ",");
	snprintf(word, len, "%.*s", (int)n, *text);
	*text = (*text)[n] ? *text + n + 1 : NULL;
	return true;
}

/* A whole number from 1 on; @unit: a letter K, M or G behind it, or 0. */
static bool list_number(const char *word, uint64_t *ret, char *unit)
{
	char *end;

	if (*word < '0' || *word > '9')
		return false;
	errno = 0;
	*ret = strtoull(word, &end, 10);
	*unit = *end;
	if (*end && strchr("KMG", *end))
		end++;
	return !errno && !*end && *ret;
}

/* Insert into an ascending list; a value that is there already stays once. */
static bool list_add(uint32_t *list, unsigned int *n, uint32_t value)
{
	unsigned int i = 0;

	while (i < *n && list[i] < value)
		i++;
	if (i < *n && list[i] == value)
		return true;
	if (*n == SWEEP_LIST_MAX)
		return false;
	memmove(list + i + 1, list + i, (*n - i) * sizeof(*list));
	list[i] = value;
	(*n)++;
	return true;
}

static int list_too_long(char *why)
{
	snprintf(why, WHY, "more than %d values", SWEEP_LIST_MAX);
	return -EINVAL;
}

int sweep_parse_slots(struct sweep_grid *g, const char *text, char *why)
{
	static const char units[] = "KMG";
	char word[32], unit;
	uint64_t n;

	g->n_slots = 0;
	while (list_next(&text, word, sizeof(word))) {
		if (!list_number(word, &n, &unit)) {
			snprintf(why, WHY,
				 "'%.31s': want slots from 1 to %d, or bytes "
				 "with a unit, such as 1,2,4,10M",
				 word, SWEEP_SLOTS_MAX);
			return -EINVAL;
		}
		if (unit && n < 1ull << 32)
			n = (n << 10 * (strchr(units, unit) - units + 1)) /
			    XM_PACKET_SIZE;
		if (!n || n > SWEEP_SLOTS_MAX) {
			snprintf(why, WHY,
				 "'%.31s': a ring has 1 to %d slots of 512K "
				 "each, up to 512M",
				 word, SWEEP_SLOTS_MAX);
			return -EINVAL;
		}
		if (!list_add(g->slots, &g->n_slots, (uint32_t)n))
			return list_too_long(why);
	}
	return 0;
}

int sweep_parse_channels(struct sweep_grid *g, const char *text, char *why)
{
	char word[32], unit;
	uint64_t n;

	g->n_channels = 0;
	while (list_next(&text, word, sizeof(word))) {
		if (!list_number(word, &n, &unit) || unit || n > XM_CHAN_MAX) {
			snprintf(why, WHY,
				 "'%.31s': want numbers of channels from 1 to "
				 "%d, such as 1,4,16",
				 word, XM_CHAN_MAX);
			return -EINVAL;
		}
		if (!list_add(g->channels, &g->n_channels, (uint32_t)n))
			return list_too_long(why);
	}
	return 0;
}

int sweep_parse_drains(struct sweep_grid *g, const char *text, char *why)
{
	unsigned int i, k;
	char word[32];

	g->n_drains = 0;
	while (list_next(&text, word, sizeof(word))) {
		for (i = 0; i < XM_DRAIN__COUNT; i++)
			if (!strcmp(word, drain_names[i]))
				break;
		if (i == XM_DRAIN__COUNT) {
			snprintf(why, WHY,
				 "'%.31s': want some of half, full and one, "
				 "such as half,full",
				 word);
			return -EINVAL;
		}
		for (k = 0; k < g->n_drains && g->drain[k] != i; k++)
			;
		g->drain[k] = (enum xm_drain)i;
		if (k == g->n_drains)
			g->n_drains++;
	}
	return 0;
}

/* -- the grid --------------------------------------------------------------------- */

unsigned int sweep_n_cells(const struct sweep_grid *g)
{
	return g->n_channels * g->n_slots * g->n_drains;
}

struct sweep_cell *sweep_cell(const struct sweep_grid *g, unsigned int channels,
			      unsigned int slots, unsigned int drain)
{
	return &g->cell[(channels * g->n_slots + slots) * g->n_drains + drain];
}

int sweep_grid_make(struct sweep_grid *g)
{
	unsigned int c, s, d, i = 0, n = sweep_n_cells(g);
	struct sweep_cell *cell;

	g->cell = calloc(n, sizeof(*g->cell));
	g->samples = calloc((size_t)n * g->repeats, sizeof(*g->samples));
	if (!g->cell || !g->samples) {
		sweep_grid_free(g);
		return -ENOMEM;
	}
	for (c = 0; c < g->n_channels; c++)
		for (s = 0; s < g->n_slots; s++)
			for (d = 0; d < g->n_drains; d++) {
				cell = sweep_cell(g, c, s, d);
				cell->channels = g->channels[c];
				cell->slots = g->slots[s];
				cell->drain = g->drain[d];
				cell->sample =
					&g->samples[(size_t)i++ * g->repeats];
			}
	return 0;
}

void sweep_grid_free(struct sweep_grid *g)
{
	free(g->cell);
	free(g->samples);
	g->cell = NULL;
	g->samples = NULL;
}

/* SplitMix64: one seed is one order, on every machine. */
static uint64_t order_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void sweep_order(const struct sweep_grid *g, uint64_t seed, unsigned int *ret)
{
	unsigned int n = sweep_n_cells(g), r, i, k, t;

	for (r = 0; r < g->repeats; r++, ret += n) {
		for (i = 0; i < n; i++)
			ret[i] = i;
		for (i = n; i > 1; i--) {
			k = (unsigned int)(order_next(&seed) % i);
			t = ret[i - 1];
			ret[i - 1] = ret[k];
			ret[k] = t;
		}
	}
}

/* -- what it says -------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Of the field @f of all samples of @c. */
#define MEDIAN(c, f)                                            \
	({                                                      \
		double v_[SWEEP_REPEATS_MAX] = { 0 };           \
		unsigned int i_;                                \
                                                                \
		for (i_ = 0; i_ < (c)->n; i_++)                 \
			v_[i_] = (double)(c)->sample[i_].f;     \
		(__typeof__((c)->sample->f))median(v_, (c)->n); \
	})

struct sweep_sample sweep_median(const struct sweep_cell *c)
{
	struct sweep_sample m = { 0 };

	if (!c->n)
		return m;
	m.gbit_per_s = MEDIAN(c, gbit_per_s);
	m.wait_share = MEDIAN(c, wait_share);
	m.dry_share = MEDIAN(c, dry_share);
	m.waits = MEDIAN(c, waits);
	m.dry = MEDIAN(c, dry);
	m.locked_bytes = MEDIAN(c, locked_bytes);
	m.credit = MEDIAN(c, credit);
	m.cpu_per_gib = MEDIAN(c, cpu_per_gib);
	return m;
}

void sweep_range(const struct sweep_cell *c, double *ret_least,
		 double *ret_most)
{
	unsigned int i;

	*ret_least = *ret_most = c->n ? c->sample[0].gbit_per_s : 0;
	for (i = 1; i < c->n; i++) {
		if (c->sample[i].gbit_per_s < *ret_least)
			*ret_least = c->sample[i].gbit_per_s;
		if (c->sample[i].gbit_per_s > *ret_most)
			*ret_most = c->sample[i].gbit_per_s;
	}
}

const struct sweep_cell *sweep_flat(const struct sweep_grid *g,
				    unsigned int channels, unsigned int drain)
{
	const struct sweep_cell *c;
	double best = 0, least, v;
	unsigned int s;

	for (s = 0; s < g->n_slots; s++) {
		v = sweep_median(sweep_cell(g, channels, s, drain)).gbit_per_s;
		if (v > best)
			best = v;
	}
	least = best * (100 - SWEEP_FLAT_PERCENT) / 100;
	for (s = 0; s < g->n_slots; s++) {
		c = sweep_cell(g, channels, s, drain);
		if (c->n && sweep_median(c).gbit_per_s >= least)
			return c;
	}
	return NULL;
}

bool sweep_is_edge(const struct sweep_grid *g, const struct sweep_cell *c)
{
	const struct sweep_cell *o;
	unsigned int i;

	for (i = 0; i < sweep_n_cells(g); i++) {
		o = &g->cell[i];
		if (o->n && o->channels == c->channels &&
		    o->drain == c->drain && o->slots > c->slots)
			return false;
	}
	return c->slots < SWEEP_SLOTS_MAX;
}
