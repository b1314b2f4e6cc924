// SPDX-License-Identifier: GPL-2.0-or-later
/* guestload.c - what a guest does while it is moved: it writes, reads and checks
 *
 * Runs in the guest, linked statically, as what guest-init.sh ends with:
 *
 *   guestload [rate=MB] [size=MIB] [words=N] [beat=MS] [disk=DEVICE,N]
 *
 * and on the host:
 *
 *   guestload make-disk FILE MIB
 *
 * - Writes pages of its own, at random, so many megabytes (4 KiB counts for a
 *   page) a second.  A page's words follow from its number and how often it was
 *   written, and a table elsewhere says how often; so a page that is lost, old
 *   or torn differs.  Each is verified before it is written again, and all
 *   in turn, written or not.
 *   words=N of 512 are written, spread over the page: an emulated CPU is slow.
 * - Reads a disk of known content past the cache, N requests at a time, into a
 *   large ring of buffers.  A buffer's page is filled with something else
 *   first.  All of the ring is verified again and again, long after the disk
 *   has written to it: an emulated disk writes to guest memory behind the
 *   virtual CPU's back.
 * - Says each so many milliseconds
 *      beat N t=MS work=PAGES sweeps=N reads=N ok
 *   with its own monotonic time, pages written, full verifications of the
 *   memory, and requests read; or, once and for ever, "CORRUPT ...".
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE       4096
#define PAGE_WORDS (PAGE / 8)
#define SLOTS      2048 /* buffers of one page that the disk is read into */
#define TICK_MS    10

struct page {
	uint64_t word[PAGE_WORDS];
};

static struct {
	uint64_t rate; /* bytes a second */
	uint64_t pages;
	unsigned int stride; /* between the words that are written */
	unsigned int beat_ms;
	char disk[64];
	unsigned int readers;
} opt = { .stride = PAGE_WORDS / 16, .beat_ms = 20 };

static struct page *memory;
static uint32_t *written; /* how often, of each page */
static atomic_ullong work, sweeps, reads;
static atomic_bool corrupt;

static struct slot {
	pthread_mutex_t lock;
	bool is_full;
	uint64_t block; /* of the disk, if it is full */
	struct page *page;
} slots[SLOTS];
static uint64_t disk_blocks;

static void die(const char *what)
{
	printf("failed: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void is_corrupt(const char *fmt, ...)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&once);
	if (!atomic_exchange(&corrupt, true))
		printf("CORRUPT %s\n", text);
	pthread_mutex_unlock(&once);
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000),
			       .tv_nsec = (long)(ns % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* -- memory ------------------------------------------------------------------ */

static uint64_t key(uint64_t page, uint32_t times)
{
	return mix(page << 32 | times);
}

static void write_page(uint64_t page, unsigned int stride)
{
	uint64_t k = key(page, ++written[page]);
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i += stride)
		memory[page].word[i] = k + i;
}

static void verify_page(uint64_t page)
{
	uint64_t k = key(page, written[page]);
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i += opt.stride) {
		if (memory[page].word[i] == k + i)
			continue;
		is_corrupt("page %llu word %u: %016llx, not %016llx, of %u",
			   (unsigned long long)page, i,
			   (unsigned long long)memory[page].word[i],
			   (unsigned long long)k + i, written[page]);
		return;
	}
}

/* Every page in 5 s at least, however little is written. */
static void verify_some(uint64_t n)
{
	static uint64_t next;

	for (n += opt.pages / (5000 / TICK_MS) + 1; n; n--) {
		verify_page(next);
		if (++next < opt.pages)
			continue;
		next = 0;
		atomic_fetch_add(&sweeps, 1);
	}
}

static void *write_memory(void *arg)
{
	uint64_t at = now_ns(), chance = 1, credit = 0, page, todo, i;

	for (;;) {
		at += TICK_MS * 1000000;
		sleep_until(at);
		if (now_ns() > at + 1000000000)
			at = now_ns(); /* too much was asked for */
		credit += opt.rate * TICK_MS / 1000;
		todo = credit / PAGE;
		credit %= PAGE;
		for (i = 0; i < todo; i++) {
			chance = mix(chance);
			page = chance % opt.pages;
			verify_page(page);
			write_page(page, opt.stride);
		}
		atomic_fetch_add(&work, todo);
		verify_some(todo);
	}
	return arg;
}

static void *map(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("no memory");
	return p;
}

static void start(void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	errno = pthread_create(&thread, &attr, run, arg);
	if (errno)
		die("no thread");
}

static void start_memory(void)
{
	uint64_t i;

	memory = map(opt.pages * PAGE);
	written = map(opt.pages * sizeof(*written));
	for (i = 0; i < opt.pages; i++)
		write_page(i, 1);
	start(write_memory, NULL);
}

/* -- the disk ------------------------------------------------------------------ */

static void fill_block(struct page *page, uint64_t block)
{
	uint64_t k = mix(~block);
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i++)
		page->word[i] = k + i;
}

static bool is_block(const struct page *page, uint64_t block)
{
	uint64_t k = mix(~block);
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i += 8)
		if (page->word[i] != k + i)
			return false;
	return true;
}

static void verify_slot(const struct slot *slot, const char *when)
{
	if (!is_block(slot->page, slot->block))
		is_corrupt("buffer %zu of disk block %llu, %s: %016llx",
			   (size_t)(slot - slots),
			   (unsigned long long)slot->block, when,
			   (unsigned long long)slot->page->word[0]);
}

static void read_slot(int fd, struct slot *slot, uint64_t block)
{
	pthread_mutex_lock(&slot->lock);
	slot->is_full = false;
	slot->block = block;
	memset(slot->page, 0xee, PAGE);
	if (pread(fd, slot->page, PAGE, (off_t)(block * PAGE)) != PAGE)
		die(opt.disk);
	slot->is_full = true;
	verify_slot(slot, "just read");
	pthread_mutex_unlock(&slot->lock);
	atomic_fetch_add(&reads, 1);
}

/* Reader @arg has every so-manieth slot. */
static void *read_disk(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg, i = me;
	uint64_t chance = me + 1;
	int fd = open(opt.disk, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		die(opt.disk);
	for (;;) {
		chance = mix(chance);
		read_slot(fd, &slots[i], chance % disk_blocks);
		i += opt.readers;
		if (i >= SLOTS)
			i = me;
	}
	return NULL;
}

static void *verify_slots(void *arg)
{
	unsigned int i;

	for (;;) {
		for (i = 0; i < SLOTS; i++) {
			if (pthread_mutex_trylock(&slots[i].lock))
				continue; /* it is being read */
			if (slots[i].is_full)
				verify_slot(&slots[i], "later");
			pthread_mutex_unlock(&slots[i].lock);
		}
		usleep(50000);
	}
	return arg;
}

static void start_disk(void)
{
	struct page *pages = map(SLOTS * sizeof(*pages));
	int fd = open(opt.disk, O_RDONLY | O_CLOEXEC);
	off_t len = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	unsigned int i;

	if (len < PAGE)
		die(opt.disk);
	close(fd);
	disk_blocks = (uint64_t)len / PAGE;
	for (i = 0; i < SLOTS; i++) {
		pthread_mutex_init(&slots[i].lock, NULL);
		slots[i].page = &pages[i];
	}
	for (i = 0; i < opt.readers; i++)
		start(read_disk, (void *)(uintptr_t)i);
	start(verify_slots, NULL);
}

static int make_disk(const char *path, uint64_t mib)
{
	FILE *f = fopen(path, "w");
	struct page page;
	uint64_t i;

	if (!f)
		die(path);
	for (i = 0; i < mib * ((1 << 20) / PAGE); i++) {
		fill_block(&page, i);
		if (fwrite(&page, PAGE, 1, f) != 1)
			die(path);
	}
	if (fclose(f))
		die(path);
	return 0;
}

/* -- the rest -------------------------------------------------------------------- */

static void beat_forever(void)
{
	uint64_t at = now_ns(), n = 0;

	for (;;) {
		printf("beat %llu t=%llu work=%llu sweeps=%llu reads=%llu %s\n",
		       (unsigned long long)++n,
		       (unsigned long long)(now_ns() / 1000000),
		       (unsigned long long)atomic_load(&work),
		       (unsigned long long)atomic_load(&sweeps),
		       (unsigned long long)atomic_load(&reads),
		       atomic_load(&corrupt) ? "CORRUPT" : "ok");
		at += (uint64_t)opt.beat_ms * 1000000;
		if (now_ns() > at)
			at = now_ns();
		sleep_until(at);
	}
}

static void parse(const char *arg)
{
	const char *value = strchr(arg, '=');
	unsigned long long n = value ? strtoull(value + 1, NULL, 10) : 0;

	if (!strncmp(arg, "rate=", 5))
		opt.rate = n * 1000000;
	else if (!strncmp(arg, "size=", 5))
		opt.pages = n * ((1 << 20) / PAGE);
	else if (!strncmp(arg, "words=", 6) && n && n <= PAGE_WORDS)
		opt.stride = PAGE_WORDS / (unsigned int)n;
	else if (!strncmp(arg, "beat=", 5) && n)
		opt.beat_ms = (unsigned int)n;
	else if (sscanf(arg, "disk=%63[^,],%u", opt.disk, &opt.readers) != 2 ||
		 !opt.readers || opt.readers > SLOTS) {
		printf("failed: what is '%s'?\n", arg);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	int i;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	if (argc == 4 && !strcmp(argv[1], "make-disk"))
		return make_disk(argv[2], strtoull(argv[3], NULL, 10));
	for (i = 1; i < argc; i++)
		parse(argv[i]);
	if (opt.pages)
		start_memory();
	if (opt.readers)
		start_disk();
	printf("ready %llu\n", (unsigned long long)opt.pages);
	beat_forever();
}
