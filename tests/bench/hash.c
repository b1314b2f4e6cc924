// SPDX-License-Identifier: GPL-2.0-or-later
/* hash.c - what hashing a guest's memory costs a CPU (send --verify)
 *
 *     hash [MIB]      default 1024
 *
 * Shared memory full of numbers, of which no page is like another, hashed by one
 * thread: when it was mapped a moment ago, as a target's QEMU's memory may be, and
 * once more.  CPU time of the thread per GiB, so that it says the same on a busy
 * machine.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "guest/hash.h"
#include "xdpmig/limits.h"

static double cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint8_t *map(int fd, size_t len, int prot)
{
	void *p = mmap(NULL, len, prot, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	return p;
}

static void fill(uint8_t *p, size_t len)
{
	uint64_t x = 1;
	size_t i;

	for (i = 0; i < len; i += sizeof(x)) {
		x = x * 6364136223846793005 + 1442695040888963407;
		memcpy(p + i, &x, sizeof(x));
	}
}

int main(int argc, char **argv)
{
	size_t len = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1024) << 20;
	size_t bits = len / XM_PAGE_SIZE / 8 + 8;
	uint64_t *populated = malloc(bits), bytes = 0, sum[2];
	int fd = memfd_create("bench", MFD_CLOEXEC), i;
	uint8_t *hva;

	if (!len || !populated || fd < 0 || ftruncate(fd, (off_t)len))
		fail("memory");
	memset(populated, 0xff, bits);
	hva = map(fd, len, PROT_READ | PROT_WRITE);
	fill(hva, len);
	(void)munmap(hva, len);
	hva = map(fd, len, PROT_READ);
	for (i = 0; i < 2; i++) {
		double begun = cpu_ms();

		sum[i] = guest_hash_pages(hva, populated, 0, len / XM_PAGE_SIZE,
					  &bytes);
		printf("%s: %.0f ms of CPU per GiB\n",
		       i ? "touched before" : "just mapped",
		       (cpu_ms() - begun) * (1 << 30) / (double)len);
	}
	return sum[0] != sum[1];
}
