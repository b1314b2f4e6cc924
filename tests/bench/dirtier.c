// SPDX-License-Identifier: GPL-2.0-or-later
/* dirtier.c - a guest that writes so many bytes a second, and can be watched
 *
 * The only program of its Linux: linked statically, as /init of an initramfs,
 * with fill=MIB on the kernel's command line.  Random bytes fill so much of its
 * memory; then, each millisecond, one word is written in as many pages as are
 * due, one page after the other, round and round.  A page counts as 4096 bytes.
 *
 * Nothing is said on the console, which would cost an emulated guest more than
 * its work.  One page, the heart (heart.h), tells how far it is, and how much
 * it shall write.  Whoever has the guest's RAM file finds it by its mark, reads
 * it without the guest noticing, and may write the rate into it.
 *
 * A guest that was kept from its work (stopped, slowed down, or the machine is
 * busy) does not catch up: what is more than LAG behind is forgotten, and so is
 * missing from its work.  A beat is a turn of the loop, a millisecond at best,
 * whatever there is to write: the longest time without one is how long the guest
 * stood still.
 *
 * Each page knows its number and how often it was written, which is looked at
 * before it is written again: a page lost or old is counted as wrong.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "heart.h"

#define PAGE 4096
#define TICK 1000000  /* ns between two turns */
#define LAG  10000000 /* ns behind that are caught up with */

struct page {
	uint64_t number, times;
	uint64_t rest[PAGE / 8 - 2];
};

static struct page *memory;
static struct heart *heart;
static uint64_t n_pages;

static void *map(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		printf("failed: no memory\n");
		for (;;)
			pause(); /* init must not end */
	}
	return p;
}

static uint64_t mark_word(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15;
	return x ^ x >> 29;
}

static void fill(void)
{
	uint64_t i, x = 0x2545f4914f6cdd1d;
	unsigned int k;

	for (i = 0; i < n_pages; i++) {
		memory[i].number = i + 1;
		memory[i].times = 0;
		for (k = 0; k < PAGE / 8 - 2; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			memory[i].rest[k] = x;
		}
	}
}

static void write_pages(uint64_t n)
{
	static uint64_t next, round;

	heart->work += n;
	for (; n; n--) {
		struct page *p = &memory[next];

		if (p->number != next + 1 || p->times != round)
			heart->wrong++;
		p->times = round + 1;
		if (++next < n_pages)
			continue;
		next = 0;
		round++;
	}
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void sleep_until(int64_t ns)
{
	struct timespec ts = { .tv_sec = ns / 1000000000,
			       .tv_nsec = ns % 1000000000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

_Noreturn static void work_forever(void)
{
	int64_t at = now_ns(), now, was = at;
	uint64_t credit = 0; /* bytes, times 1e9 */

	for (;;) {
		heart->beats++;
		at += TICK;
		now = now_ns();
		if (at < now - LAG)
			at = now;
		else
			sleep_until(at);
		now = now_ns();
		if (now - was > LAG)
			was = now - LAG;
		credit += (uint64_t)(now - was) * heart->rate;
		was = now;
		write_pages(credit / 1000000000 / PAGE);
		credit %= 1000000000ull * PAGE;
	}
}

int main(void)
{
	const char *mib = getenv("fill"); /* the kernel hands it to init so */

	n_pages = (mib ? strtoull(mib, NULL, 10) : 16) * (1 << 20) / PAGE;
	memory = map(n_pages * PAGE);
	heart = map(PAGE);
	fill();
	/* The mark is nowhere in the program, so that it is found only once. */
	heart->mark[0] = mark_word(HEART_SEED);
	heart->mark[1] = mark_word(HEART_SEED + 1);
	printf("ready %llu\n", (unsigned long long)n_pages);
	fflush(stdout);
	work_forever();
}
