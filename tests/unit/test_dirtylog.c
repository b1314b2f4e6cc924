// SPDX-License-Identifier: GPL-2.0-or-later
/* What a log reports, compared with what a process was told to write.  Needs
 * root, for a process of another user. */
#include "../lib/t_dirtylog.h"

#include <sys/stat.h>

static void dirtylog_bits_set__as_one_by_one(void **state)
{
	uint64_t fast[4], slow[4], first, n, i;

	(void)state;
	for (first = 0; first < 130; first++)
		for (n = 0; n <= 120; n++) {
			memset(fast, 0, sizeof(fast));
			memset(slow, 0, sizeof(slow));
			fast[1] = slow[1] = 1ULL << 40;
			dirtylog_bits_set(fast, first, n);
			for (i = first; i < first + n; i++)
				slow[i / 64] |= 1ULL << i % 64;
			assert_memory_equal(fast, slow, sizeof(fast));
		}
}

/* -- who writes, and how -------------------------------------------------------- */

static void dirtylog_harvest__random_stores(void **state)
{
	struct t_writer w;

	(void)state;
	t_start(&w, 3000);
	t_do(&w, T_STORE, 0, 1500); /* the rest is a hole */
	t_track(&w);
	assert_string_equal(dirtylog_kind(w.log), "uffd");
	assert_false(dirtylog_needs_stop(w.log));
	t_random_stores(&w);
	t_writer_end(&w);
}

/* More runs than fit into one answer, over more than one piece. */
static void dirtylog_harvest__every_other_page(void **state)
{
	const uint64_t pages = 20000; /* 78 MiB */
	struct t_writer w;
	uint64_t page;

	(void)state;
	t_start(&w, pages);
	t_track(&w);
	for (page = 0; page < pages; page += 2)
		t_do(&w, T_STORE, page, 1);
	assert_int_equal(t_harvest(&w), pages / 2);
	for (page = 0; page < pages; page++)
		assert_int_equal(t_bit(w.bits, page), !(page % 2));
	assert_int_equal(t_harvest(&w), 0);
	t_do(&w, T_STORE, 0, pages);
	t_harvest_is(&w, 0, pages);
	t_writer_end(&w);
}

static void each_kind_of_write(struct t_writer *w)
{
	static char bytes[2 * PAGE];
	struct iovec here = { bytes, sizeof(bytes) };
	struct iovec there = { w->mem + 40 * PAGE, sizeof(bytes) };

	t_do(w, T_STORE, 3, 1);
	t_harvest_is(w, 3, 1);
	t_do(w, T_READ, 10, 4);
	t_harvest_is(w, 10, 4);
	t_do(w, T_PREAD, 20, 3);
	t_harvest_is(w, 20, 3);
	t_do(w, T_THREAD, 30, 1);
	t_harvest_is(w, 30, 1);
	assert_int_equal(process_vm_writev(w->pid, &here, 1, &there, 1, 0),
			 sizeof(bytes));
	t_harvest_is(w, 40, 2);
	t_do(w, T_LOAD, 0, w->pages);
	t_harvest_is(w, 0, 0);
}

static void dirtylog_harvest__each_kind_of_write(void **state)
{
	struct t_writer w;

	(void)state;
	t_start(&w, 128);
	t_track(&w); /* all of it a hole */
	each_kind_of_write(&w);
	each_kind_of_write(&w); /* and now not */
	/* By another mapping: not seen. */
	w.mem[5 * PAGE] = 1;
	t_harvest_is(&w, 0, 0);
	t_writer_end(&w);
}

/* The descriptor is for user mode faults only, and the process may make no
 * other; the kernel writes its memory all the same. */
static void dirtylog_harvest__of_a_plain_user(void **state)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);
	struct t_writer w;

	(void)state;
	assert_int_equal(ftruncate(fd, 128 * PAGE), 0);
	t_writer_start(&w, fd, 128, 65534);
	t_do(&w, T_STORE, 0, 64);
	t_track(&w);
	each_kind_of_write(&w);
	t_writer_end(&w);
}

/* -- pages that come and go -------------------------------------------------------- */

static void dirtylog_harvest__written_after_a_punch(void **state)
{
	struct t_writer w;

	(void)state;
	t_start(&w, 2048);
	t_do(&w, T_STORE, 0, 1024);
	t_track(&w);
	t_do(&w, T_PUNCH, 100, 50);
	t_harvest(&w); /* may be reported, or not */
	t_do(&w, T_STORE, 120, 2);
	t_harvest_is(&w, 120, 2);
	t_do(&w, T_STORE, 130, 2);
	t_do(&w, T_PUNCH, 100, 50);
	t_do(&w, T_STORE, 140, 1);
	t_harvest(&w);
	assert_true(t_bit(w.bits, 130) && t_bit(w.bits, 131) &&
		    t_bit(w.bits, 140));
	t_writer_end(&w);
}

/* The page table forgets a page that was written, as it does when memory is
 * reclaimed; the log does not. */
static void dirtylog_harvest__forgotten_is_written(void **state)
{
	struct t_writer w;

	(void)state;
	t_start(&w, 2048);
	t_do(&w, T_STORE, 0, 1024);
	t_track(&w);
	t_do(&w, T_STORE, 7, 3);
	t_do(&w, T_DONTNEED, 0, 600);
	t_harvest(&w);
	assert_true(t_bit(w.bits, 7) && t_bit(w.bits, 8) && t_bit(w.bits, 9));
	t_do(&w, T_STORE, 512, 512); /* a page table's worth */
	t_do(&w, T_DONTNEED, 512, 512);
	t_harvest_is(&w, 512, 512);
	t_writer_end(&w);
}

/* -- parts ------------------------------------------------------------------------- */

static void dirtylog_harvest__only_the_ranges(void **state)
{
	uint64_t a[2] = { 0 }, b[2] = { 0 }, pages = 0;
	struct dirtylog_range r[2];
	struct t_writer w;

	(void)state;
	t_start(&w, 256);
	r[0] = t_range(&w, 128, 64); /* in no order */
	r[1] = t_range(&w, 10, 100);
	assert_int_equal(dirtylog_open(&w.log, w.pid, w.pidfd, r, 2, &w.e), 0);
	t_do(&w, T_STORE, 0, 256);
	assert_int_equal(dirtylog_harvest(w.log, (uint64_t *[]){ a, b }, &pages,
					  &w.e),
			 0);
	assert_int_equal(pages, 164);
	assert_true(a[0] == ~0ULL && a[1] == 0);
	assert_true(b[0] == ~0ULL && b[1] == (1ULL << 36) - 1);
	t_writer_end(&w);
}

static void dirtylog_open__odd_ranges(void **state)
{
	struct dirtylog_range r;
	struct t_writer w;

	(void)state;
	t_start(&w, 16);
	r = t_range(&w, 0, 16);
	r.addr += 8;
	assert_int_equal(dirtylog_open(&w.log, w.pid, w.pidfd, &r, 1, NULL),
			 -EINVAL);
	r = t_range(&w, 0, 16);
	r.len = 0;
	assert_int_equal(dirtylog_open(&w.log, w.pid, w.pidfd, &r, 1, NULL),
			 -EINVAL);
	r = t_range(&w, 0, 16);
	r.addr = 1 << 20; /* nothing is there */
	assert_int_equal(dirtylog_open(&w.log, w.pid, w.pidfd, &r, 1, &w.e),
			 -EFAULT);
	assert_null(w.log);
	t_writer_end(&w);
}

/* -- while it writes ------------------------------------------------------------- */

static void dirtylog_harvest__loses_nothing(void **state)
{
	const uint64_t pages = 4096;
	struct t_writer w;
	uint64_t all = 0;
	uint8_t *copy = malloc(pages * PAGE), r;
	unsigned int i;
	bool is_last;

	(void)state;
	assert_non_null(copy);
	t_start(&w, pages);
	t_track(&w);
	memcpy(copy, w.mem, pages * PAGE);
	t_do(&w, T_COUNT, 0, 0);
	for (i = 0, is_last = false; !is_last; i++) {
		is_last = i > 30 && all > 4 * pages;
		assert_true(i < 100000);
		if (is_last) { /* it stops */
			assert_int_equal(write(w.orders, &(struct t_order){ 0 },
					       sizeof(struct t_order)),
					 sizeof(struct t_order));
			assert_int_equal(read(w.done, &r, 1), 1);
		}
		all += t_harvest(&w);
		t_copy_dirty(&w, copy);
	}
	t_expect_copy(&w, copy);
	print_message("# %lu pages copied\n", (unsigned long)all);
	assert_int_equal(t_harvest(&w), 0);
	free(copy);
	t_writer_end(&w);
}

/* -- nothing stays behind ---------------------------------------------------------- */

static bool smaps_say(const struct t_writer *w, const char *flag)
{
	char path[64], *line = NULL, want[32];
	bool is_ours = false, found = false;
	unsigned long start, end;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", w->pid);
	snprintf(want, sizeof(want), " %s", flag);
	f = fopen(path, "r");
	assert_non_null(f);
	while (getline(&line, &size, f) > 0) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			is_ours = start >= (uintptr_t)w->mem &&
				  end <= (uintptr_t)w->mem + w->pages * PAGE;
		if (is_ours && !strncmp(line, "VmFlags:", 8))
			found |= !!strstr(line, want);
	}
	free(line);
	fclose(f);
	return found;
}

static uint64_t pages_protected(const struct t_writer *w)
{
	char path[64];
	uint64_t entry, i, n = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", w->pid);
	fd = open(path, O_RDONLY);
	for (i = 0; i < w->pages; i++) {
		assert_int_equal(
			pread(fd, &entry, 8,
			      (off_t)(((uintptr_t)w->mem / PAGE + i) * 8)),
			8);
		n += entry >> 57 & 1; /* PM_UFFD_WP */
	}
	close(fd);
	return n;
}

static unsigned int fds_of(pid_t pid)
{
	char path[64];
	struct stat st;
	unsigned int i, n = 0;

	for (i = 0; i < 256; i++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%u", pid, i);
		n += !lstat(path, &st);
	}
	return n;
}

static void dirtylog_close__leaves_nothing(void **state)
{
	struct t_writer w;
	unsigned int fds;

	(void)state;
	t_start(&w, 2048);
	t_do(&w, T_STORE, 0, 1024);
	fds = fds_of(w.pid);
	t_track(&w);
	assert_int_equal(fds_of(w.pid), fds);
	assert_true(smaps_say(&w, "uw"));
	assert_int_equal(pages_protected(&w), 2048);
	t_do(&w, T_STORE, 0, 100);
	assert_int_equal(pages_protected(&w), 1948);
	w.log = dirtylog_close(w.log);
	assert_false(smaps_say(&w, "uw"));
	assert_int_equal(pages_protected(&w), 0);
	t_track(&w);
	t_do(&w, T_STORE, 5, 1);
	t_harvest_is(&w, 5, 1);
	t_writer_end(&w);
}

static void dirtylog__ends_when_we_are_killed(void **state)
{
	struct t_writer w;
	unsigned int i;
	int64_t tries;
	pid_t pid;

	(void)state;
	t_start(&w, 2048);
	t_do(&w, T_STORE, 0, 1024);
	for (i = 0; i < 5; i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			t_track(&w);
			t_do(&w, T_STORE, 100, 1);
			t_harvest_is(&w, 100, 1);
			kill(getpid(), SIGKILL);
		}
		waitpid(pid, NULL, 0);
		/* The kernel may close the descriptor a little later. */
		for (tries = 0; tries < 1000 && smaps_say(&w, "uw"); tries++)
			usleep(1000);
		assert_false(smaps_say(&w, "uw"));
		assert_int_equal(pages_protected(&w), 0);
		t_do(&w, T_STORE, 0, 2048);
	}
	t_track(&w);
	t_do(&w, T_STORE, 7, 1);
	t_harvest_is(&w, 7, 1);
	t_writer_end(&w);
}

static void dirtylog_open__twice(void **state)
{
	struct dirtylog *other = NULL;
	struct dirtylog_range r;
	struct t_writer w;

	(void)state;
	t_start(&w, 256);
	t_track(&w);
	r = t_range(&w, 128, 128);
	assert_int_equal(dirtylog_open(&other, w.pid, w.pidfd, &r, 1, &w.e),
			 -EBUSY);
	assert_non_null(strstr(w.e.msg, "userfaultfd already"));
	assert_null(other);
	t_do(&w, T_STORE, 130, 2);
	t_harvest_is(&w, 130, 2);
	t_writer_end(&w);
}

/* -- it goes ------------------------------------------------------------------------ */

static void dirtylog_harvest__of_the_dead(void **state)
{
	uint64_t pages;
	struct t_writer w;

	(void)state;
	t_start(&w, 256);
	t_track(&w);
	kill(w.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)w.pid, &(siginfo_t){ 0 },
				WEXITED | WNOWAIT),
			 0);
	assert_int_equal(dirtylog_harvest(w.log, &w.bits, &pages, &w.e),
			 -ESRCH);
	t_writer_end(&w);
}

static void dirtylog_harvest__of_other_mappings(void **state)
{
	uint64_t pages;
	struct t_writer w;

	(void)state;
	t_start(&w, 256);
	t_track(&w);
	t_do(&w, T_UNMAP, 16, 1);
	assert_int_equal(dirtylog_harvest(w.log, &w.bits, &pages, &w.e),
			 -EFAULT);
	assert_non_null(strstr(w.e.msg, "not mapped as it was"));
	t_do(&w, T_REMAP, 16, 1);
	assert_int_equal(dirtylog_harvest(w.log, &w.bits, &pages, NULL),
			 -EFAULT);
	t_writer_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dirtylog_bits_set__as_one_by_one),
		cmocka_unit_test(dirtylog_harvest__random_stores),
		cmocka_unit_test(dirtylog_harvest__every_other_page),
		cmocka_unit_test(dirtylog_harvest__each_kind_of_write),
		cmocka_unit_test(dirtylog_harvest__of_a_plain_user),
		cmocka_unit_test(dirtylog_harvest__written_after_a_punch),
		cmocka_unit_test(dirtylog_harvest__forgotten_is_written),
		cmocka_unit_test(dirtylog_harvest__only_the_ranges),
		cmocka_unit_test(dirtylog_open__odd_ranges),
		cmocka_unit_test(dirtylog_harvest__loses_nothing),
		cmocka_unit_test(dirtylog_close__leaves_nothing),
		cmocka_unit_test(dirtylog__ends_when_we_are_killed),
		cmocka_unit_test(dirtylog_open__twice),
		cmocka_unit_test(dirtylog_harvest__of_the_dead),
		cmocka_unit_test(dirtylog_harvest__of_other_mappings),
	};

	if (geteuid() || !dirtylog_uffd.is_known()) {
		print_message("1..0 # SKIP needs root and Linux 6.7\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
