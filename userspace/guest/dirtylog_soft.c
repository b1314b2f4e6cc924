// SPDX-License-Identifier: GPL-2.0-or-later
/* dirtylog_soft.c - soft-dirty bits (CONFIG_MEM_SOFT_DIRTY)
 *
 * Writing 4 to /proc/PID/clear_refs protects all memory of the process and
 * clears bit 55 of its pagemap, which a write then sets.  Between reading and
 * clearing a write would be lost, so the process must be stopped for a harvest.
 *
 * The bit is in the page table of the process.  Where an entry came or went
 * since the last harvest, the bit is not to be trusted (the page was written,
 * reclaimed and perhaps read again), and the page counts as written.  What is
 * not seen is a page that was written, went and came, all between two harvests:
 * guest memory that is swapped while it migrates should not be logged this way.
 *
 * Hugepages of hugetlbfs have no such bit.
 */
#include "dirtylog_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/fd.h"

#define PM_SOFT_DIRTY (1ULL << 55)
#define PM_SWAP       (1ULL << 62)
#define PM_PRESENT    (1ULL << 63)
#define AT_ONCE       512 /* pagemap entries */

static bool soft_is_known(void)
{
	const size_t page = 1UL << DIRTYLOG_PAGE_BITS;
	int fd fd_cleanup = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;
	char *p;

	p = mmap(NULL, page, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	*(volatile char *)p = 1;
	if (fd < 0 || pread(fd, &entry, sizeof(entry),
			    (off_t)((uintptr_t)p / page * sizeof(entry))) !=
			      sizeof(entry))
		entry = 0;
	munmap(p, page);
	return entry & PM_SOFT_DIRTY;
}

/* Take @n entries, of pages from @first on.  Returns how many were written. */
static uint64_t entries_take(const uint64_t *entry, uint64_t n, uint64_t first,
			     uint64_t *mapped, uint64_t *dirty)
{
	uint64_t i, page, bit, pages = 0;
	bool is_mapped;

	for (i = 0; i < n; i++) {
		page = first + i;
		bit = 1ULL << page % 64;
		is_mapped = entry[i] & (PM_PRESENT | PM_SWAP);
		if (!(entry[i] & PM_SOFT_DIRTY) &&
		    is_mapped == !!(mapped[page / 64] & bit))
			continue;
		mapped[page / 64] &= ~bit;
		mapped[page / 64] |= is_mapped ? bit : 0;
		dirty[page / 64] |= bit;
		pages++;
	}
	return pages;
}

static int soft_harvest(struct dirtylog *log, unsigned int i, uint64_t *dirty,
			uint64_t *pages, struct xm_error *e)
{
	struct dirtylog_area *a = &log->area[i];
	const uint64_t n = a->range.len >> DIRTYLOG_PAGE_BITS;
	const uint64_t base = a->range.addr >> DIRTYLOG_PAGE_BITS;
	uint64_t entry[AT_ONCE], done, some;
	ssize_t len;

	for (done = 0; done < n; done += some) {
		some = n - done < AT_ONCE ? n - done : AT_ONCE;
		len = pread(log->pagemap_fd, entry, some * sizeof(entry[0]),
			    (off_t)((base + done) * sizeof(entry[0])));
		if (len < (ssize_t)sizeof(entry[0]))
			/* An address space that is no more reads as empty. */
			return xm_fail(e, len < 0 ? -errno : -ESRCH,
				       XM_REASON_MEMORY,
				       "/proc/%d/pagemap at 0x%" PRIx64 ": %s",
				       (int)log->pid,
				       (base + done) << DIRTYLOG_PAGE_BITS,
				       strerror(len < 0 ? errno : ESRCH));
		some = (uint64_t)len / sizeof(entry[0]);
		*pages += entries_take(entry, some, done, a->mapped, dirty);
	}
	return 0;
}

static int soft_begin_anew(struct dirtylog *log, struct xm_error *e)
{
	int err;

	if (pwrite(log->clear_fd, "4", 1, 0) == 1)
		return 0;
	err = -errno;
	return xm_fail(e, err, XM_REASON_MEMORY, "/proc/%d/clear_refs: %s",
		       (int)log->pid, strerror(-err));
}

/* What is mapped now, into area @i.  That nothing else was written is a claim
 * about before the log, so the bits found are thrown away. */
static int mapped_learn(struct dirtylog *log, unsigned int i,
			struct xm_error *e)
{
	struct dirtylog_area *a = &log->area[i];
	uint64_t words = ((a->range.len >> DIRTYLOG_PAGE_BITS) + 63) / 64;
	uint64_t *unused = calloc(words, sizeof(*unused)), pages = 0;
	int r;

	a->mapped = calloc(words, sizeof(*a->mapped));
	if (unused && a->mapped)
		r = soft_harvest(log, i, unused, &pages, e);
	else
		r = xm_fail(e, -ENOMEM, XM_REASON_MEMORY, "dirty log: %s",
			    strerror(ENOMEM));
	free(unused);
	return r;
}

static int soft_begin(struct dirtylog *log, struct xm_error *e)
{
	char path[64];
	unsigned int i;
	int r;

	for (i = 0; i < log->n; i++)
		if (log->area[i].range.page_size > 1UL << DIRTYLOG_PAGE_BITS)
			return xm_fail(
				e, -ENOTSUP, XM_REASON_MEMORY,
				"process %d: writes to hugepages can only be logged "
				"by Linux 6.7 or newer",
				(int)log->pid);
	snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)log->pid);
	log->clear_fd = open(path, O_WRONLY | O_CLOEXEC);
	if (log->clear_fd < 0) {
		r = errno == ENOENT ? -ESRCH : -errno;
		return xm_fail(e, r, XM_REASON_PERMISSION, "%s: %s", path,
			       strerror(-r));
	}
	/* In this order: what is written after the first line is reported. */
	r = soft_begin_anew(log, e);
	for (i = 0; !r && i < log->n; i++)
		r = mapped_learn(log, i, e);
	return r;
}

static void soft_end(struct dirtylog *log)
{
	/* The bits stay; each page faults once more when written. */
	(void)log;
}

const struct dirtylog_way dirtylog_soft = {
	.kind = "soft-dirty",
	.needs_stop = true,
	.is_known = soft_is_known,
	.begin = soft_begin,
	.harvest = soft_harvest,
	.begin_anew = soft_begin_anew,
	.end = soft_end,
};
