// SPDX-License-Identifier: GPL-2.0-or-later
/* extents.c - which parts of a file of memory are populated
 *
 * A guest's RAM file is sparse until the guest has touched all of it.  The
 * holes must stay holes: registering a UMEM over one, or only reading it
 * through a mapping, makes the kernel allocate it.  So everybody asks here
 * first what there is.
 *
 * shmem and disk files answer SEEK_DATA and SEEK_HOLE.  A file system that
 * does not know its holes reports one range, the file: correct, if not frugal.
 *
 * hugetlbfs is such a file system, and there whole-file would cost real
 * hugepages.  mincore() and pagemap do not help: they look at this process's
 * page table, and the guest's process is the one that populated the file.
 * userfaultfd does: in a range registered for minor faults, UFFDIO_CONTINUE
 * maps a page that the file already has and fails with EFAULT where the file
 * has a hole, allocating nothing.  It is asked for the whole rest of the file
 * at once and stops at the first hole, so a file costs two system calls per
 * hole and one per run of pages.  The probe has a mapping of its own, which is
 * gone afterwards.  A fully populated file, by its block count, needs no
 * probe.  Linux 5.13.
 *
 * The answer is a snapshot: a running guest populates more the moment after.
 */
#include "extents.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "xdpmig/limits.h"

static int extents_seek(int fd, uint64_t len, guest_extent_fn *cb, void *arg)
{
	uint64_t start, end = 0;
	off_t data, hole;
	int r;

	while (end < len) {
		data = lseek(fd, (off_t)end, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 0; /* nothing but a hole from here on */
		if (data < 0 && errno == EINVAL)
			return cb(arg, end, len - end);
		if (data < 0)
			return -errno;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		/* A disk's blocks may be smaller than a page: round outward,
		 * and go on where this page ends. */
		start = (uint64_t)data & ~(uint64_t)(XM_PAGE_SIZE - 1);
		if (start < end)
			start = end;
		end = ((uint64_t)hole + XM_PAGE_SIZE - 1) &
		      ~(uint64_t)(XM_PAGE_SIZE - 1);
		if (end > len)
			end = len;
		if (start >= end)
			continue;
		r = cb(arg, start, end - start);
		if (r)
			return r;
	}
	return 0;
}

/* A userfaultfd that knows @len bytes at @base as a range of minor faults. */
static int huge_uffd(void *base, uint64_t len)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_MINOR_HUGETLBFS,
	};
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)base, .len = len },
		.mode = UFFDIO_REGISTER_MODE_MINOR,
	};
	int fd, r;

	/* USER_MODE_ONLY is what an unprivileged process may have. */
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg)) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* Bytes that are populated from @offset on, 0 at a hole, or -errno. */
static int64_t huge_run(int uffd, uint8_t *base, uint64_t offset, uint64_t len)
{
	struct uffdio_continue cont = {
		.range = { .start = (uintptr_t)(base + offset),
			   .len = len - offset },
		.mode = UFFDIO_CONTINUE_MODE_DONTWAKE,
	};

	if (!ioctl(uffd, UFFDIO_CONTINUE, &cont))
		return (int64_t)(len - offset);
	if (cont.mapped > 0)
		return cont.mapped;
	return errno == EFAULT ? 0 : -errno;
}

static int huge_probe(int uffd, uint8_t *base, uint64_t len, size_t hugepage,
		      guest_extent_fn *cb, void *arg)
{
	uint64_t offset = 0, start = 0, end = 0;
	int64_t run;
	int r;

	while (offset < len) {
		run = huge_run(uffd, base, offset, len);
		if (run < 0)
			return (int)run;
		if (!run) {
			offset += hugepage;
			continue;
		}
		/* A run may also end because a signal came: join it with the
		 * next. */
		if (offset != end && end != start) {
			r = cb(arg, start, end - start);
			if (r)
				return r;
		}
		if (offset != end)
			start = offset;
		offset += (uint64_t)run;
		end = offset;
	}
	return end != start ? cb(arg, start, end - start) : 0;
}

static int extents_huge(int fd, uint64_t len, size_t hugepage,
			guest_extent_fn *cb, void *arg)
{
	struct stat st;
	uint8_t *base;
	int uffd, r;

	if (fstat(fd, &st))
		return -errno;
	if (!st.st_blocks)
		return 0;
	if ((uint64_t)st.st_blocks * 512 >= len)
		return cb(arg, 0, len);
	base = mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	uffd = huge_uffd(base, len);
	if (uffd < 0) {
		munmap(base, len);
		return uffd;
	}
	r = huge_probe(uffd, base, len, hugepage, cb, arg);
	close(uffd);
	munmap(base, len);
	return r;
}

int guest_extents_walk(int fd, uint64_t len, size_t hugepage,
		       guest_extent_fn *cb, void *arg)
{
	if (hugepage)
		return extents_huge(fd, len, hugepage, cb, arg);
	return extents_seek(fd, len, cb, arg);
}
