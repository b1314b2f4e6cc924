// SPDX-License-Identifier: GPL-2.0-or-later
/* dirtylog.c - what another process wrote, seen from outside
 *
 * The process shares its memory with us but does not tell when it writes.  Its
 * page tables do: a page is made read-only there, the first write faults, the
 * kernel lets it pass and remembers.  Two interfaces give that to somebody
 * else:
 *
 *   way         begin                      harvest
 *   uffd        userfaultfd made in the    PAGEMAP_SCAN: reads what was
 *               process (tracee.c), its    written and protects it again, as
 *               memory registered, all     one step for each page
 *               of it protected
 *   soft-dirty  clear_refs                 pagemap, bit 55, then clear_refs:
 *                                          what is written in between would
 *                                          be lost, so it must be stopped
 *
 * Which one is asked of the kernel in our own process, before the other one is
 * touched.  The details are in the file of each way.
 *
 * Order.  A page is reported after it was written, and protected again before
 * it is reported.  So whoever copies a page after a harvest has returned copies
 * at least what was there then; a later write faults, and the next harvest
 * reports it.  A page may be reported that was not written; never the other
 * way round.
 *
 * Not seen, whatever the way: writes through another mapping (another process,
 * a device that was given the memory), and by the kernel into pages that it had
 * pinned before they were protected (O_DIRECT, io_uring).
 *
 * The memory must stay where it is.  A piece that is unmapped simply reports
 * nothing; so after each harvest the mappings are compared with those found at
 * the beginning.
 */
#include "dirtylog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dirtylog_priv.h"
#include "procmaps.h"
#include "util/fd.h"

void dirtylog_bits_set(uint64_t *map, uint64_t first, uint64_t n)
{
	uint64_t end = first + n;

	for (; first < end && (first % 64 || end - first < 64); first++)
		map[first / 64] |= 1ULL << first % 64;
	for (; end - first >= 64; first += 64)
		map[first / 64] = ~0ULL;
	for (; first < end; first++)
		map[first / 64] |= 1ULL << first % 64;
}

/* -- is it mapped as it was? ------------------------------------------------------ */

/* A piece of an area's mapping: the first one says what the others must be. */
static bool piece_fits(struct dirtylog_area *a, const struct procmap *map,
		       bool is_first)
{
	/* Of the file, at the area's start. */
	uint64_t off = map->file_off + (a->range.addr - map->start);

	if (is_first) {
		a->inode = map->inode;
		a->file_off = off;
		a->major = map->major;
		a->minor = map->minor;
		return true;
	}
	return map->inode == a->inode && map->major == a->major &&
	       map->minor == a->minor && (!map->inode || off == a->file_off);
}

struct look {
	struct dirtylog *log;
	bool is_first; /* time */
};

static int look_at_map(void *arg, const struct procmap *map)
{
	struct look *l = arg;
	struct dirtylog_area *a;

	for (a = l->log->area; a < l->log->area + l->log->n; a++)
		if (map->start <= a->seen && a->seen < map->end &&
		    piece_fits(a, map, l->is_first && a->seen == a->range.addr))
			a->seen = map->end;
	return 0;
}

static int mappings_check(struct dirtylog *log, bool is_first,
			  struct xm_error *e)
{
	struct look l = { log, is_first };
	struct dirtylog_area *a;
	int r;

	for (a = log->area; a < log->area + log->n; a++)
		a->seen = a->range.addr;
	r = procmaps_each(log->pid, look_at_map, &l, e);
	if (r)
		return r;
	for (a = log->area; a < log->area + log->n; a++)
		if (a->seen < a->range.addr + a->range.len)
			return xm_fail(
				e, -EFAULT, XM_REASON_MEMORY,
				"process %d: memory at 0x%" PRIx64 " (%" PRIu64
				" bytes) is not mapped as it was: begin again",
				(int)log->pid, a->range.addr, a->range.len);
	return 0;
}

/* -- life ------------------------------------------------------------------------- */

static int ranges_check(const struct dirtylog_range *ranges, unsigned int n,
			struct xm_error *e)
{
	unsigned int i;
	size_t page;

	for (i = 0; i < n; i++) {
		page = ranges[i].page_size;
		if (page < 1UL << DIRTYLOG_PAGE_BITS || page & (page - 1) ||
		    !ranges[i].len || ranges[i].addr % page ||
		    ranges[i].len % page)
			return xm_fail(
				e, -EINVAL, XM_REASON_INTERNAL,
				"memory at 0x%" PRIx64 ", %" PRIu64
				" bytes: not of whole pages of %zu bytes",
				ranges[i].addr, ranges[i].len, page);
	}
	return 0;
}

/* Asked of ourselves, once: a process that holds keys is not dumpable, and then
 * only root may open its own /proc/self/pagemap. */
static const struct dirtylog_way *way_known;
static bool way_was_asked;

void dirtylog_learn(void)
{
	if (way_was_asked)
		return;
	way_was_asked = true;
	if (dirtylog_uffd.is_known())
		way_known = &dirtylog_uffd;
	else if (dirtylog_soft.is_known())
		way_known = &dirtylog_soft;
}

static int log_begin(struct dirtylog *log, struct xm_error *e)
{
	char path[64];
	int r;

	dirtylog_learn();
	log->way = way_known;
	if (!log->way)
		return xm_fail(
			e, -ENOSYS, XM_REASON_MEMORY,
			"this kernel cannot log what another process writes: needs "
			"Linux 6.7 with CONFIG_USERFAULTFD, or CONFIG_MEM_SOFT_DIRTY");
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)log->pid);
	log->pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (log->pagemap_fd < 0) {
		r = errno == ENOENT ? -ESRCH :
		    errno == EACCES ? -EPERM :
				      -errno;
		return xm_fail(e, r, XM_REASON_PERMISSION,
			       "%s: %s (needs CAP_SYS_PTRACE)", path,
			       strerror(-r));
	}
	r = mappings_check(log, true, e);
	return r ?: log->way->begin(log, e);
}

int dirtylog_open(struct dirtylog **ret_log, pid_t pid, int pidfd,
		  const struct dirtylog_range *ranges, unsigned int n,
		  struct xm_error *e)
{
	struct dirtylog *log;
	unsigned int i;
	int r;

	r = ranges_check(ranges, n, e);
	if (r)
		return r;
	log = calloc(1, sizeof(*log) + n * sizeof(log->area[0]));
	if (!log)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY, "dirty log: %s",
			       strerror(ENOMEM));
	log->pid = pid;
	log->pidfd = pidfd;
	log->pagemap_fd = -1;
	log->uffd = -1;
	log->clear_fd = -1;
	log->n = n;
	for (i = 0; i < n; i++)
		log->area[i].range = ranges[i];
	r = log_begin(log, e);
	if (r)
		dirtylog_close(log);
	else
		*ret_log = log;
	return r;
}

struct dirtylog *dirtylog_close(struct dirtylog *log)
{
	unsigned int i;

	if (!log)
		return NULL;
	if (log->way)
		log->way->end(log);
	for (i = 0; i < log->n; i++)
		free(log->area[i].mapped);
	fd_close(log->pagemap_fd);
	fd_close(log->uffd);
	fd_close(log->clear_fd);
	free(log);
	return NULL;
}

bool dirtylog_needs_stop(const struct dirtylog *log)
{
	return log->way->needs_stop;
}

const char *dirtylog_kind(const struct dirtylog *log)
{
	return log->way->kind;
}

int dirtylog_harvest(struct dirtylog *log, uint64_t *const *dirty,
		     uint64_t *ret_pages, struct xm_error *e)
{
	uint64_t pages = 0;
	unsigned int i;
	int r = 0;

	for (i = 0; !r && i < log->n; i++)
		r = log->way->harvest(log, i, dirty[i], &pages, e);
	if (!r && log->way->begin_anew)
		r = log->way->begin_anew(log, e);
	r = r ?: mappings_check(log, false, e);
	if (!r)
		*ret_pages = pages;
	return r;
}
