// SPDX-License-Identifier: GPL-2.0-or-later
/* synth.c - the process that plays a guest
 *
 * Measurements need a guest that writes so many bytes a second, no more and no
 * less, on any machine.  This is one, in a process of its own, so that its
 * writes are logged from outside just as a QEMU's are.
 *
 * Every page differs from every other, no page is zero, and each write changes
 * a page at both ends:
 *
 *   word 0        number of the page + 1
 *   word 1        how often it was written
 *   words 2-510   pseudo-random, from the number
 *   word 511      a hash of words 0 and 1
 *
 * so a copy tells whether it was made between the two.  A written page counts
 * as 4096 bytes.
 *
 * Pace: every millisecond as many pages as are due.  Who was kept from writing
 * (throttled, or a busy machine) does not catch up later, as a guest would not:
 * what is more than 3 ms behind is forgotten.
 *
 * Which pages: "random" any of them; "sequential" one after the other, round
 * and round; "hot" nine writes of ten go to the first tenth of memory.
 */
#include "synth.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "util/now.h"

#define PAGE_WORDS (XM_PAGE_SIZE / sizeof(uint64_t))
#define LAG_NS     3000000 /* 3 ms behind is forgotten */
#define TICK_MS    1

struct work {
	int ctl;
	uint8_t *base;
	uint64_t n_pages;
	const struct guest_synth *opts;
	struct synth_count *count;
	uint64_t random; /* of which page; never 0 */
	uint64_t next;   /* sequential */
	int64_t since;   /* pages are due from here on */
};

/* splitmix64's last step: every bit of the result depends on all of @x. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint64_t check_word(uint64_t number, uint64_t writes)
{
	return mix(number ^ mix(writes + 0x9e3779b97f4a7c15ull)) | 1;
}

static uint64_t *page_at(const uint8_t *base, uint64_t page)
{
	return (uint64_t *)(base + page * XM_PAGE_SIZE);
}

static void fill_page(uint8_t *base, uint64_t page)
{
	uint64_t *word = page_at(base, page), x = mix(page + 1) | 1;
	unsigned int i;

	word[0] = page + 1;
	word[1] = 0;
	for (i = 2; i < PAGE_WORDS - 1; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		word[i] = x;
	}
	word[PAGE_WORDS - 1] = check_word(page + 1, 0);
}

static void write_page(struct work *w, uint64_t page)
{
	uint64_t *word = page_at(w->base, page);

	word[1]++;
	word[PAGE_WORDS - 1] = check_word(word[0], word[1]);
}

bool synth_page_is_whole(const uint8_t *base, uint64_t page)
{
	const uint64_t *word = page_at(base, page);
	uint64_t x = mix(page + 1) | 1;
	unsigned int i;

	for (i = 2; i < PAGE_WORDS - 1; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (word[i] != x)
			return false;
	}
	return word[0] == page + 1 &&
	       word[PAGE_WORDS - 1] == check_word(word[0], word[1]);
}

static uint64_t next_random(struct work *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random >> 8;
}

static uint64_t next_page(struct work *w)
{
	uint64_t hot;

	switch (w->opts->pattern) {
	case GUEST_SYNTH_SEQUENTIAL:
		return w->next++ % w->n_pages;
	case GUEST_SYNTH_HOT:
		hot = w->n_pages / 10 ? w->n_pages / 10 : 1;
		if (next_random(w) % 10)
			return next_random(w) % hot;
		return next_random(w) % w->n_pages;
	case GUEST_SYNTH_RANDOM:
		break;
	}
	return next_random(w) % w->n_pages;
}

static int64_t time_for(const struct work *w, uint64_t pages)
{
	return (int64_t)((unsigned __int128)pages * XM_PAGE_SIZE * 1000000000 /
			 w->opts->rate);
}

/* Write what is due. */
static void write_due(struct work *w)
{
	int64_t page_ns = time_for(w, 1);
	int64_t lag = page_ns > LAG_NS ? page_ns : LAG_NS;
	int64_t now = now_ns();
	uint64_t due, i;

	if (now - w->since > lag)
		w->since = now - lag;
	due = (uint64_t)((unsigned __int128)(now - w->since) * w->opts->rate /
			 1000000000 / XM_PAGE_SIZE);
	for (i = 0; i < due; i++)
		write_page(w, next_page(w));
	w->since += time_for(w, due);
	__atomic_fetch_add(&w->count->writes, due, __ATOMIC_RELAXED);
}

static void tell(const struct work *w, char byte)
{
	if (write(w->ctl, &byte, 1) != 1)
		_exit(0); /* nobody is there any more */
}

static char listen_to(const struct work *w)
{
	char byte;
	ssize_t n;

	do
		n = read(w->ctl, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(0);
	return byte;
}

/* Take an order; stay in here while paused. */
static void obey(struct work *w)
{
	char byte = listen_to(w);

	while (byte == SYNTH_PAUSE) {
		tell(w, SYNTH_PAUSED);
		byte = listen_to(w);
	}
	w->since = now_ns();
	tell(w, SYNTH_RUNS);
}

_Noreturn void synth_work(int ctl, uint8_t *base,
			  const struct guest_synth *opts,
			  struct synth_count *count)
{
	struct work w = { .ctl = ctl,
			  .base = base,
			  .n_pages = opts->len / XM_PAGE_SIZE,
			  .opts = opts,
			  .count = count,
			  .random = 0x9e3779b97f4a7c15ull };
	struct pollfd p = { .fd = ctl, .events = POLLIN };
	uint64_t page;

	for (page = 0; page < w.n_pages; page++)
		fill_page(base, page);
	tell(&w, SYNTH_READY);
	w.since = now_ns();
	for (;;) {
		if (poll(&p, 1, opts->rate ? TICK_MS : -1) > 0)
			obey(&w);
		if (opts->rate)
			write_due(&w);
	}
}
