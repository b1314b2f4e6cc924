// SPDX-License-Identifier: GPL-2.0-or-later
/* dirtylog_uffd.c - userfaultfd that nobody reads, and PAGEMAP_SCAN
 *
 * A userfaultfd belongs to the memory of the process that made it; so it is
 * made there and brought here (tracee_take_fd()).  Everything else is done from
 * here.  With WP_ASYNC the kernel resolves a write to a protected page at once:
 * no message, no handler, no waiting; only the protection is gone, and that is
 * what PAGEMAP_SCAN calls "written".  As no fault is ever handed out, a
 * descriptor for user mode faults only does for those of the kernel too, and
 * the process needs no privilege to make it.
 *
 * All pages are protected at the beginning, also those that do not exist yet:
 * they get a marker in the page table (8 bytes a page), without which kernels
 * disagree on whether a hole was written.  A page that was written and whose
 * entry vanishes before the harvest (memory is reclaimed) counts as written.
 * Punching a hole into the memory is not a write: it is not reported.
 *
 * Scans go in pieces: one holds the memory's lock and makes a hypervisor drop
 * its own tables for all of the piece.  The kernel's vector of runs is bounded;
 * when it is full, the scan stops there and is taken up again.
 *
 * Protection, markers and registration end with the last descriptor of the
 * userfaultfd, and that is ours: also when we are killed.  In an orderly end
 * the protection is lifted piece by piece before, because the kernel would lock
 * the memory for all of it at once.
 */
#include "dirtylog_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tracee.h"
#include "uapi.h"
#include "util/fd.h"

#define AT_ONCE  (64UL << 20) /* bytes of a scan */
#define RUNS_MAX 512
#define FLAGS    (O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)

static int api_init(int uffd)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP |
			    UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
			    UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_ASYNC,
	};

	return ioctl(uffd, UFFDIO_API, &api) ? -errno : 0;
}

static int scan(int pagemap_fd, struct pm_scan_arg *arg)
{
	arg->size = sizeof(*arg);
	arg->flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC;
	arg->category_mask = PAGE_IS_WRITTEN;
	arg->return_mask = PAGE_IS_WRITTEN;
	return ioctl(pagemap_fd, PAGEMAP_SCAN, arg);
}

static bool uffd_is_known(void)
{
	int uffd fd_cleanup = (int)syscall(SYS_userfaultfd, FLAGS);
	int pagemap fd_cleanup =
		open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct page_region run;
	/* Nothing is mapped there; what matters is that it is understood. */
	struct pm_scan_arg arg = {
		.end = 1UL << DIRTYLOG_PAGE_BITS,
		.vec = (uintptr_t)&run,
		.vec_len = 1,
	};

	return uffd >= 0 && pagemap >= 0 && !api_init(uffd) &&
	       scan(pagemap, &arg) >= 0;
}

/* -- begin ---------------------------------------------------------------------- */

static uint64_t piece_len(const struct dirtylog_range *r, uint64_t from)
{
	uint64_t most = r->page_size > AT_ONCE ? r->page_size : AT_ONCE;
	uint64_t left = r->addr + r->len - from;

	return left < most ? left : most;
}

/* Protect all of @r, or lift that. */
static int protect(int uffd, const struct dirtylog_range *r, bool on)
{
	uint64_t at = r->addr, end = r->addr + r->len, len;

	for (; at < end; at += len) {
		struct uffdio_writeprotect wp = {
			.range = { at, len = piece_len(r, at) },
			.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
		};

		while (ioctl(uffd, UFFDIO_WRITEPROTECT, &wp))
			if (errno != EAGAIN && errno != EINTR)
				return -errno;
	}
	return 0;
}

static int range_begin(struct dirtylog *log, const struct dirtylog_range *r,
		       struct xm_error *e)
{
	struct uffdio_register reg = {
		.range = { r->addr, r->len },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int err;

	if (ioctl(log->uffd, UFFDIO_REGISTER, &reg)) {
		err = -errno;
		if (err == -EBUSY)
			return xm_fail(
				e, err, XM_REASON_MEMORY,
				"process %d: its memory at 0x%" PRIx64
				" is watched by a userfaultfd already: another "
				"migration or snapshot of it is running",
				(int)log->pid, r->addr);
		return xm_fail(e, err, XM_REASON_MEMORY,
			       "process %d: memory at 0x%" PRIx64 " (%" PRIu64
			       " bytes): UFFDIO_REGISTER: %s",
			       (int)log->pid, r->addr, r->len, strerror(-err));
	}
	log->n_registered++;
	err = protect(log->uffd, r, true);
	if (err)
		return xm_fail(e, err, XM_REASON_MEMORY,
			       "process %d: memory at 0x%" PRIx64 " (%" PRIu64
			       " bytes): UFFDIO_WRITEPROTECT: %s",
			       (int)log->pid, r->addr, r->len, strerror(-err));
	return 0;
}

static int uffd_begin(struct dirtylog *log, struct xm_error *e)
{
	const uint64_t args[6] = { FLAGS };
	unsigned int i;
	int r;

	r = tracee_take_fd(log->pid, log->pidfd, SYS_userfaultfd, args, e);
	if (r < 0)
		return r;
	log->uffd = r;
	r = api_init(log->uffd);
	if (r)
		return xm_fail(e, r, XM_REASON_MEMORY,
			       "process %d: UFFDIO_API: %s", (int)log->pid,
			       strerror(-r));
	for (i = 0; !r && i < log->n; i++)
		r = range_begin(log, &log->area[i].range, e);
	return r;
}

/* -- harvest -------------------------------------------------------------------- */

static uint64_t runs_take(const struct page_region *runs, int n,
			  const struct dirtylog_range *r, uint64_t *dirty)
{
	uint64_t pages, all = 0;
	int i;

	for (i = 0; i < n; i++) {
		pages = (runs[i].end - runs[i].start) >> DIRTYLOG_PAGE_BITS;
		dirtylog_bits_set(
			dirty, (runs[i].start - r->addr) >> DIRTYLOG_PAGE_BITS,
			pages);
		all += pages;
	}
	return all;
}

static int scan_failed(const struct dirtylog *log, uint64_t at, int err,
		       struct xm_error *e)
{
	if (err == -EPERM) /* not registered: something new is mapped there */
		return xm_fail(e, -EFAULT, XM_REASON_MEMORY,
			       "process %d: memory at 0x%" PRIx64
			       " is not mapped as it was: begin again",
			       (int)log->pid, at);
	return xm_fail(e, err, XM_REASON_MEMORY,
		       "process %d: PAGEMAP_SCAN at 0x%" PRIx64 ": %s",
		       (int)log->pid, at, strerror(-err));
}

static int uffd_harvest(struct dirtylog *log, unsigned int i, uint64_t *dirty,
			uint64_t *pages, struct xm_error *e)
{
	const struct dirtylog_range *r = &log->area[i].range;
	struct page_region runs[RUNS_MAX];
	uint64_t at = r->addr;
	int n;

	while (at < r->addr + r->len) {
		struct pm_scan_arg arg = {
			.start = at,
			.end = at + piece_len(r, at),
			.vec = (uintptr_t)runs,
			.vec_len = RUNS_MAX,
		};

		n = scan(log->pagemap_fd, &arg);
		if (n < 0)
			return scan_failed(log, at, -errno, e);
		*pages += runs_take(runs, n, r, dirty);
		if (arg.walk_end <= at)
			return scan_failed(log, at, -EIO, e);
		at = arg.walk_end;
	}
	return 0;
}

static void uffd_end(struct dirtylog *log)
{
	unsigned int i;

	/* Only what is ours: the kernel would take the protection off somebody
	 * else's memory too.  What fails here, it does itself when the
	 * descriptor closes. */
	for (i = 0; i < log->n_registered; i++) {
		struct uffdio_range range = { log->area[i].range.addr,
					      log->area[i].range.len };

		if (protect(log->uffd, &log->area[i].range, false) ||
		    ioctl(log->uffd, UFFDIO_UNREGISTER, &range))
			break;
	}
}

const struct dirtylog_way dirtylog_uffd = {
	.kind = "uffd",
	.is_known = uffd_is_known,
	.begin = uffd_begin,
	.harvest = uffd_harvest,
	.end = uffd_end,
};
