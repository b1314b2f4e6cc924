// SPDX-License-Identifier: GPL-2.0-or-later
/* faultin.c - ways to have guest memory at hand before it is needed
 *
 *   faultin MIB [ROUNDS] [FILE]
 *
 * Of shared memory, all of it there, as another process has filled it (a memfd; or
 * FILE, which is made, for instance on hugetlbfs).  Each way begins with a mapping of
 * its own that nothing was read or written in:
 *
 *   bare        nothing is done before
 *   populate    MADV_POPULATE_READ
 *   read        one byte of every 64 KiB is read (cli/pump_warm.c)
 *
 * and then, as a source, XDP_UMEM_REG pins it; or, as a destination, a byte of each
 * page is written.  Prints one line of JSON: medians of this thread's CPU time,
 * milliseconds per GiB; _before is what was done before, _pin and _write what came
 * then.
 *
 * A measuring tool, not a test.  Needs root, to pin.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_xdp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "xdpmig/limits.h"

#define ROUNDS_MAX 100
#define STEP       (64 << 10)

enum way { BARE, POPULATE, READ, N_WAYS };
enum then { PIN, WRITE, N_THEN };

static const char *const ways[N_WAYS] = { "bare", "populate", "read" };
static const char *const thens[N_THEN] = { "pin", "write" };

static struct {
	int fd;
	uint64_t len; /* bytes */
	double before[N_WAYS][ROUNDS_MAX * N_THEN];
	double after[N_WAYS][N_THEN][ROUNDS_MAX];
} f;

static void die(const char *what)
{
	fprintf(stderr, "faultin: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static volatile uint8_t *map(void)
{
	void *p =
		mmap(NULL, f.len, PROT_READ | PROT_WRITE, MAP_SHARED, f.fd, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void begin(uint64_t mib, const char *file)
{
	volatile uint8_t *p;
	uint64_t at;

	f.len = mib << 20;
	f.fd = file ? open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) :
		      memfd_create("faultin", MFD_CLOEXEC);
	if (f.fd < 0 || ftruncate(f.fd, (off_t)f.len))
		die(file ? file : "memfd");
	if (file && unlink(file))
		die(file);
	p = map();
	for (at = 0; at < f.len; at += XM_PAGE_SIZE)
		p[at] = (uint8_t)(at / XM_PAGE_SIZE) | 1;
	munmap((void *)p, f.len);
}

static void before(enum way way, volatile uint8_t *p)
{
	uint64_t at;

	if (way == POPULATE && madvise((void *)p, f.len, MADV_POPULATE_READ))
		die("MADV_POPULATE_READ");
	if (way == READ)
		for (at = 0; at < f.len; at += STEP)
			(void)p[at];
}

static void write_all(volatile uint8_t *p)
{
	uint64_t at;

	for (at = 0; at < f.len; at += XM_PAGE_SIZE)
		p[at] = (uint8_t)(at / XM_PAGE_SIZE) | 1;
}

static void pin(int fd, volatile uint8_t *p)
{
	struct xdp_umem_reg reg = {
		.addr = (uintptr_t)p,
		.len = f.len,
		.chunk_size = XM_PAGE_SIZE,
	};

	if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)))
		die("XDP_UMEM_REG");
}

static void round_of(unsigned int i, enum way way, enum then then)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	volatile uint8_t *p = map();
	double t[3];

	if (fd < 0)
		die("socket");
	t[0] = cpu_ms();
	before(way, p);
	t[1] = cpu_ms();
	if (then == PIN)
		pin(fd, p);
	else
		write_all(p);
	t[2] = cpu_ms();
	f.before[way][i * N_THEN + then] = t[1] - t[0];
	f.after[way][then][i] = t[2] - t[1];
	close(fd); /* what it pinned is let go in the background */
	munmap((void *)p, f.len);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *ms, unsigned int n)
{
	qsort(ms, n, sizeof(*ms), compare);
	return ms[n / 2] / ((double)f.len / (1 << 30));
}

static void report(unsigned int rounds)
{
	unsigned int way, then;

	printf("{\"what\":\"faultin\",\"bytes\":%" PRIu64 ",\"rounds\":%u",
	       f.len, rounds);
	for (way = 0; way < N_WAYS; way++) {
		printf(",\"%s_before\":%.1f", ways[way],
		       median(f.before[way], rounds * N_THEN));
		for (then = 0; then < N_THEN; then++)
			printf(",\"%s_%s\":%.1f", ways[way], thens[then],
			       median(f.after[way][then], rounds));
	}
	printf("}\n");
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 2 ? (unsigned int)atoi(argv[2]) : 5;
	uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	unsigned int i, way, then;

	if (!mib || !rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: faultin MIB [ROUNDS] [FILE]\n");
		return 2;
	}
	begin(mib, argc > 3 ? argv[3] : NULL);
	for (i = 0; i < rounds; i++)
		for (way = 0; way < N_WAYS; way++)
			for (then = 0; then < N_THEN; then++)
				round_of(i, (enum way)way, (enum then)then);
	report(rounds);
	return 0;
}
