/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_huge.h - hugepages, borrowed from the system until a test program ends */
#ifndef T_HUGE_H
#define T_HUGE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define T_HUGE         (2UL << 20) /* bytes */
#define T_HUGE_SETTING "/proc/sys/vm/nr_hugepages"

static long t_huge_before;

static inline long t_huge_get(void)
{
	FILE *f = fopen(T_HUGE_SETTING, "re");
	long n = -1;

	if (f && fscanf(f, "%ld", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	return n;
}

static inline bool t_huge_set(long n)
{
	FILE *f = fopen(T_HUGE_SETTING, "we");
	bool is_set;

	if (!f)
		return false;
	is_set = fprintf(f, "%ld\n", n) > 0;
	return !fclose(f) && is_set;
}

static inline void t_huge_return(void)
{
	(void)t_huge_set(t_huge_before);
}

/* @n more than there are, until the program ends.  False, with nothing borrowed: there
 * are none to be had, or not for us. */
static inline bool t_huge_borrow(unsigned int n)
{
	t_huge_before = t_huge_get();
	if (geteuid() || t_huge_before < 0 || atexit(t_huge_return))
		return false;
	return t_huge_set(t_huge_before + n) &&
	       t_huge_get() >= t_huge_before + n;
}

#endif
