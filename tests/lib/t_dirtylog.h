/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_dirtylog.h - a process that writes its memory as it is told */
#ifndef T_DIRTYLOG_H
#define T_DIRTYLOG_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest/dirtylog.h"
#include "guest/dirtylog_priv.h"
#include "util/fd.h"

#define PAGE 4096UL

struct t_order {
	enum {
		T_STORE,
		T_LOAD,
		T_READ,   /* read(2) into it */
		T_PREAD,  /* pread(2), at an odd offset */
		T_THREAD, /* a store by another thread */
		T_DONTNEED,
		T_PUNCH,
		T_UNMAP,
		T_REMAP,
		T_COUNT /* write counters into random pages until told more */
	} what;
	uint64_t page, n;
};

struct t_writer {
	int mem_fd;
	uint8_t *mem; /* the same address there; this mapping is ours */
	uint64_t pages;
	pid_t pid;
	int pidfd;
	int orders, done; /* pipes */
	struct dirtylog *log;
	uint64_t *bits;
	struct xm_error e;
};

/* -- there ------------------------------------------------------------------------ */

static inline void *t_store_in_thread(void *at)
{
	*(volatile uint8_t *)at += 1;
	return NULL;
}

static inline void t_count(struct t_writer *w, int orders)
{
	uint64_t counter = 1, x = 88172645463325252ULL;
	unsigned int i;
	struct t_order o;

	fcntl(orders, F_SETFL, O_NONBLOCK);
	do {
		for (i = 0; i < 1000; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			*(volatile uint64_t *)(w->mem + x % w->pages * PAGE +
					       x / 7 % 512 * 8) = counter++;
		}
	} while (read(orders, &o, sizeof(o)) != sizeof(o));
	fcntl(orders, F_SETFL, 0);
}

static inline int t_obey(struct t_writer *w, const struct t_order *o,
			 int orders)
{
	uint8_t *at = w->mem + o->page * PAGE;
	uint64_t len = o->n * PAGE, i;
	int fd fd_cleanup = open("/dev/zero", O_RDONLY);
	pthread_t thread;

	switch (o->what) {
	case T_STORE:
		for (i = 0; i < o->n; i++)
			((volatile uint8_t *)at)[i * PAGE + o->page % PAGE]++;
		return 0;
	case T_LOAD:
		for (i = 0; i < o->n; i++)
			(void)((volatile uint8_t *)at)[i * PAGE];
		return 0;
	case T_READ:
		return read(fd, at, len) != (ssize_t)len;
	case T_PREAD:
		return pread(fd, at + 77, len - 77, 0) != (ssize_t)len - 77;
	case T_THREAD:
		return pthread_create(&thread, NULL, t_store_in_thread, at) ||
		       pthread_join(thread, NULL);
	case T_DONTNEED:
		return madvise(at, len, MADV_DONTNEED);
	case T_PUNCH:
		return fallocate(w->mem_fd,
				 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 (off_t)(o->page * PAGE), (off_t)len);
	case T_UNMAP:
		return munmap(at, len);
	case T_REMAP:
		return mmap(at, len, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_FIXED, w->mem_fd,
			    (off_t)(o->page * PAGE)) == MAP_FAILED;
	case T_COUNT:
		if (write(w->done, "", 1) != 1)
			_exit(1);
		t_count(w, orders);
		return 0;
	}
	return -1;
}

static inline void t_serve(struct t_writer *w, int orders)
{
	struct t_order o;
	uint8_t r;

	while (read(orders, &o, sizeof(o)) == sizeof(o)) {
		r = (uint8_t)t_obey(w, &o, orders);
		if (write(w->done, &r, 1) != 1)
			break;
	}
	_exit(0);
}

/* -- here ------------------------------------------------------------------------- */

static inline void t_begin(struct t_writer *w, const struct t_order *o)
{
	uint8_t r = 1;

	assert_int_equal(write(w->orders, o, sizeof(*o)), sizeof(*o));
	assert_int_equal(read(w->done, &r, 1), 1);
	assert_int_equal(r, 0);
}

static inline void t_do(struct t_writer *w, int what, uint64_t page, uint64_t n)
{
	t_begin(w, &(struct t_order){ what, page, n });
}

/* A process with @pages pages of @mem_fd; @uid: whose (0: ours). */
static inline void t_writer_start(struct t_writer *w, int mem_fd,
				  uint64_t pages, uid_t uid)
{
	int orders[2], done[2];
	pid_t pid;

	*w = (struct t_writer){ .mem_fd = mem_fd, .pages = pages };
	assert_true(mem_fd >= 0);
	w->mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      mem_fd, 0);
	assert_ptr_not_equal(w->mem, MAP_FAILED);
	madvise(w->mem, pages * PAGE, MADV_NOHUGEPAGE);
	assert_int_equal(pipe2(orders, O_CLOEXEC), 0);
	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		w->done = done[1];
		close(orders[1]);
		if (uid && setresuid(uid, uid, uid))
			_exit(1);
		t_serve(w, orders[0]);
	}
	w->pid = pid;
	w->orders = orders[1];
	w->done = done[0];
	close(orders[0]);
	close(done[1]);
	w->pidfd = (int)syscall(434 /* pidfd_open */, pid, 0);
	w->bits = calloc(pages / 64 + 1, 8);
	assert_non_null(w->bits);
}

/* One of @pages pages of shared memory, ours. */
static inline void t_start(struct t_writer *w, uint64_t pages)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)(pages * PAGE)), 0);
	t_writer_start(w, fd, pages, 0);
}

static inline void t_writer_end(struct t_writer *w)
{
	w->log = dirtylog_close(w->log);
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	munmap(w->mem, w->pages * PAGE);
	close(w->mem_fd);
	close(w->pidfd);
	close(w->orders);
	close(w->done);
	free(w->bits);
}

static inline struct dirtylog_range t_range(const struct t_writer *w,
					    uint64_t page, uint64_t n)
{
	return (struct dirtylog_range){ (uintptr_t)w->mem + page * PAGE,
					n * PAGE, PAGE };
}

static inline void t_track(struct t_writer *w)
{
	struct dirtylog_range r = t_range(w, 0, w->pages);

	if (dirtylog_open(&w->log, w->pid, w->pidfd, &r, 1, &w->e))
		fail_msg("%s", w->e.msg);
}

static inline uint64_t t_harvest(struct t_writer *w)
{
	uint64_t pages = ~0ULL;

	memset(w->bits, 0, (w->pages / 64 + 1) * 8);
	if (dirtylog_harvest(w->log, &w->bits, &pages, &w->e))
		fail_msg("%s", w->e.msg);
	return pages;
}

static inline bool t_bit(const uint64_t *bits, uint64_t page)
{
	return bits[page / 64] >> page % 64 & 1;
}

/* The harvest is exactly @n pages from @page. */
static inline void t_harvest_is(struct t_writer *w, uint64_t page, uint64_t n)
{
	uint64_t got = t_harvest(w), i;

	for (i = 0; i < w->pages; i++)
		if (t_bit(w->bits, i) != (i >= page && i < page + n))
			fail_msg("page %lu: %d", (unsigned long)i,
				 t_bit(w->bits, i));
	assert_int_equal(got, n);
}

/* Each harvest is what was stored, twenty times, here and there. */
static inline void t_random_stores(struct t_writer *w)
{
	size_t size = (w->pages / 64 + 1) * 8;
	uint64_t *want = malloc(size), page, some;
	unsigned int round, i, n;

	assert_non_null(want);
	srandom(1);
	for (round = 0; round < 20; round++) {
		memset(want, 0, size);
		n = (unsigned int)random() % 60;
		for (i = 0; i < n; i++) {
			page = (uint64_t)random() % w->pages;
			some = 1 + (uint64_t)random() % 5;
			some = some < w->pages - page ? some : w->pages - page;
			t_do(w, T_STORE, page, some);
			dirtylog_bits_set(want, page, some);
		}
		t_harvest(w);
		assert_memory_equal(w->bits, want, size);
	}
	free(want);
}

/* What was harvested last, to @copy of all of its memory. */
static inline void t_copy_dirty(const struct t_writer *w, uint8_t *copy)
{
	uint64_t page;

	for (page = 0; page < w->pages; page++)
		if (t_bit(w->bits, page))
			memcpy(copy + page * PAGE, w->mem + page * PAGE, PAGE);
}

static inline void t_expect_copy(const struct t_writer *w, const uint8_t *copy)
{
	uint64_t page;

	for (page = 0; page < w->pages; page++)
		if (memcmp(copy + page * PAGE, w->mem + page * PAGE, PAGE))
			fail_msg("page %lu was lost", (unsigned long)page);
}

#endif
