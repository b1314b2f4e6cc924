// SPDX-License-Identifier: GPL-2.0-or-later
/* test_direct_io.c - what a dirty log does not see
 *
 * A process reads a file with O_DIRECT into memory that is logged.  The kernel
 * pins the page when the read is asked for, which the log reports as a write,
 * and writes to it when the file's content comes, past the page tables: that it
 * reports no more.  A harvest in between makes the page clean for ever with
 * what it had before.  So it is with a guest's disk that has cache=none, and
 * that is why such a guest's I/O is drained around each harvest
 * (userspace/guest/guest.h, has_drain).  If the first test fails on some new
 * kernel, draining is no longer needed there.
 *
 * The file is slow at will: tests/lib/slowdisk.c, $SLOWDISK.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest/dirtylog.h"

#define PAGE  4096
#define PAGES 16
#define AT    5 /* the page that is read into */

struct direct {
	char dir[32], file[64], mountpoint[64];
	pid_t disk, reader;
	int says[2];        /* disk's stdout */
	int go[2], done[2]; /* to and from the reader */
	int pidfd;
	uint8_t *ram;
	struct dirtylog *log;
};

static pid_t child(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* Until the disk says a line that begins with @what. */
static void disk_says(struct direct *d, const char *what)
{
	char line[64];
	size_t n = 0;

	for (;;) {
		assert_true(n < sizeof(line));
		assert_int_equal(read(d->says[0], &line[n], 1), 1);
		if (line[n++] != '\n')
			continue;
		if (!strncmp(line, what, strlen(what)))
			return;
		n = 0;
	}
}

static void start_disk(struct direct *d)
{
	FILE *f;
	int i;

	snprintf(d->file, sizeof(d->file), "%s/file", d->dir);
	snprintf(d->mountpoint, sizeof(d->mountpoint), "%s/disk", d->dir);
	f = fopen(d->file, "w");
	assert_non_null(f);
	for (i = 0; i < PAGES * PAGE; i++)
		assert_int_not_equal(fputc('D', f), EOF);
	assert_int_equal(fclose(f), 0);
	f = fopen(d->mountpoint, "w");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(pipe2(d->says, O_CLOEXEC), 0);
	d->disk = child();
	if (!d->disk) {
		dup2(d->says[1], STDOUT_FILENO);
		execl(getenv("SLOWDISK"), "slowdisk", d->file, d->mountpoint,
		      "0", NULL);
		_exit(127);
	}
	close(d->says[1]);
	disk_says(d, "ready");
}

/* For each byte it is given, one read; then a byte back. */
static void reader_run(struct direct *d)
{
	int fd = open(d->mountpoint, O_RDONLY | O_DIRECT);
	char c;

	if (fd < 0)
		_exit(1);
	memset(d->ram, 'r', PAGES * PAGE);
	while (write(d->done[1], "", 1) == 1 && read(d->go[0], &c, 1) == 1)
		if (pread(fd, d->ram + AT * PAGE, PAGE, 0) != PAGE)
			_exit(2);
	_exit(0);
}

static void reader_is_done(struct direct *d)
{
	char c;

	assert_int_equal(read(d->done[0], &c, 1), 1);
}

static void start_reader(struct direct *d)
{
	assert_int_equal(pipe2(d->go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(d->done, O_CLOEXEC), 0);
	d->ram = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(d->ram, MAP_FAILED);
	d->reader = child();
	if (!d->reader)
		reader_run(d);
	close(d->done[1]);
	close(d->go[0]);
	d->pidfd = (int)syscall(SYS_pidfd_open, d->reader, 0);
	assert_true(d->pidfd >= 0);
	reader_is_done(d);
}

static int setup(void **state)
{
	static struct direct direct;
	struct direct *d = &direct;
	struct dirtylog_range range;
	struct xm_error e = { 0 };

	*d = (struct direct){ .dir = "/tmp/xm-direct-XXXXXX" };
	assert_non_null(mkdtemp(d->dir));
	start_disk(d);
	start_reader(d);
	range = (struct dirtylog_range){ .addr = (uintptr_t)d->ram,
					 .len = PAGES * PAGE,
					 .page_size = PAGE };
	if (dirtylog_open(&d->log, d->reader, d->pidfd, &range, 1, &e))
		fail_msg("dirtylog_open: %s", e.msg);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	struct direct *d = *state;
	int status;

	d->log = dirtylog_close(d->log);
	kill(d->reader, SIGKILL);
	kill(d->disk, SIGTERM);
	assert_int_equal(waitpid(d->disk, &status, 0), d->disk);
	assert_int_equal(waitpid(d->reader, &status, 0), d->reader);
	close(d->go[1]);
	close(d->done[0]);
	close(d->says[0]);
	close(d->pidfd);
	munmap(d->ram, PAGES * PAGE);
	unlink(d->file);
	unlink(d->mountpoint);
	rmdir(d->dir);
	return 0;
}

static uint64_t harvest(struct direct *d)
{
	uint64_t bits = 0, pages, *dirty = &bits;
	struct xm_error e = { 0 };

	if (dirtylog_harvest(d->log, &dirty, &pages, &e))
		fail_msg("dirtylog_harvest: %s", e.msg);
	return bits;
}

static void direct_io__lands_behind_the_log(void **state)
{
	struct direct *d = *state;

	harvest(d);
	kill(d->disk, SIGUSR1);
	disk_says(d, "holding");
	assert_int_equal(write(d->go[1], "", 1), 1);
	disk_says(d, "held 1");
	/* pinned: that is seen; and sent, as it is now */
	assert_int_equal(harvest(d), 1 << AT);
	assert_int_equal(d->ram[AT * PAGE], 'r');
	kill(d->disk, SIGUSR2);
	reader_is_done(d);
	assert_int_equal(d->ram[AT * PAGE], 'D');
	assert_int_equal(harvest(d), 0); /* and that is not */
}

/* As it is when I/O is drained before a harvest. */
static void direct_io__is_seen_when_it_was_drained(void **state)
{
	struct direct *d = *state;

	harvest(d);
	assert_int_equal(write(d->go[1], "", 1), 1);
	reader_is_done(d);
	assert_int_equal(d->ram[AT * PAGE], 'D');
	assert_int_equal(harvest(d), 1 << AT);
	assert_int_equal(harvest(d), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(direct_io__lands_behind_the_log,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			direct_io__is_seen_when_it_was_drained, setup,
			teardown),
	};

	if (geteuid()) {
		puts("1..0 # SKIP needs root");
		return 0;
	}
	if (access("/dev/fuse", R_OK | W_OK)) {
		puts("1..0 # SKIP needs /dev/fuse");
		return 0;
	}
	/* mounts of our own, gone with us */
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		puts("1..0 # SKIP needs a mount namespace");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
