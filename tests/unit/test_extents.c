// SPDX-License-Identifier: GPL-2.0-or-later
/* Populated ranges of files on tmpfs and on a disk; hugetlbfs is tested by
 * test_ram_huge.c. */
#include "guest/extents.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "xdpmig/limits.h"

#define PAGE ((off_t)XM_PAGE_SIZE)
#define LEN  (256 * PAGE)

/* What was reported, as text: "0+1 4+2" in pages. */
struct t_list {
	char text[256];
	int stop_after; /* ranges; 0 never */
	int n;
};

static int t_list_add(void *arg, uint64_t offset, uint64_t len)
{
	struct t_list *l = arg;
	size_t used = strlen(l->text);

	assert_true(len > 0);
	assert_int_equal(offset % PAGE, 0);
	assert_int_equal(len % PAGE, 0);
	snprintf(l->text + used, sizeof(l->text) - used, "%s%lu+%lu",
		 used ? " " : "", (unsigned long)(offset / PAGE),
		 (unsigned long)(len / PAGE));
	return ++l->n == l->stop_after ? 7 : 0;
}

static void t_write(int fd, off_t offset, size_t len)
{
	static char buf[LEN];

	memset(buf, 0xa5, sizeof(buf));
	assert_int_equal(pwrite(fd, buf, len, offset), len);
}

static void t_assert_extents(int fd, const char *want)
{
	struct t_list l = { .text = "" };

	assert_int_equal(guest_extents_walk(fd, LEN, 0, t_list_add, &l), 0);
	assert_string_equal(l.text, want);
}

static int t_file;

static int setup_tmpfs(void **state)
{
	(void)state;
	t_file = memfd_create("t", MFD_CLOEXEC);
	return t_file < 0 || ftruncate(t_file, LEN) ? -1 : 0;
}

static int setup_disk(void **state)
{
	(void)state;
	t_file = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return t_file < 0 || ftruncate(t_file, LEN) ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	return close(t_file);
}

static void guest_extents_walk__all_hole(void **state)
{
	struct stat st;

	(void)state;
	t_assert_extents(t_file, "");
	assert_int_equal(fstat(t_file, &st), 0);
	assert_int_equal(st.st_blocks, 0);
}

static void guest_extents_walk__first_middle_and_last_page(void **state)
{
	struct stat st;

	(void)state;
	t_write(t_file, 0, 1);
	t_write(t_file, 7 * PAGE + 100, PAGE);
	t_write(t_file, 255 * PAGE, PAGE);
	t_assert_extents(t_file, "0+1 7+2 255+1");
	assert_int_equal(fstat(t_file, &st), 0);
	assert_int_equal(st.st_blocks, 4 * PAGE / 512);
}

static void guest_extents_walk__all_populated(void **state)
{
	(void)state;
	t_write(t_file, 0, LEN);
	t_assert_extents(t_file, "0+256");
}

static void guest_extents_walk__hole_punched_again(void **state)
{
	(void)state;
	t_write(t_file, 0, LEN);
	assert_int_equal(fallocate(t_file,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   10 * PAGE, 3 * PAGE),
			 0);
	t_assert_extents(t_file, "0+10 13+243");
}

/* Memory that is there but was never written reads as zeros all the same. */
static void guest_extents_walk__reserved_is_a_hole(void **state)
{
	(void)state;
	assert_int_equal(fallocate(t_file, 0, 0, LEN), 0);
	t_write(t_file, 3 * PAGE, 1);
	t_assert_extents(t_file, "3+1");
}

static void guest_extents_walk__ends_at_len(void **state)
{
	struct t_list l = { .text = "" };

	(void)state;
	t_write(t_file, 0, LEN);
	assert_int_equal(
		guest_extents_walk(t_file, 5 * PAGE, 0, t_list_add, &l), 0);
	assert_string_equal(l.text, "0+5");
}

static void guest_extents_walk__stops_when_told(void **state)
{
	struct t_list l = { .stop_after = 2 };

	(void)state;
	t_write(t_file, 0, 1);
	t_write(t_file, 4 * PAGE, 1);
	t_write(t_file, 8 * PAGE, 1);
	assert_int_equal(guest_extents_walk(t_file, LEN, 0, t_list_add, &l), 7);
	assert_string_equal(l.text, "0+1 4+1");
}

static void guest_extents_walk__disk_data_is_covered(void **state)
{
	struct t_list l = { .text = "" };

	(void)state;
	t_write(t_file, 16 * PAGE, 16 * PAGE);
	assert_int_equal(guest_extents_walk(t_file, LEN, 0, t_list_add, &l), 0);
	/* A file system that does not know its holes says "0+256". */
	if (strcmp(l.text, "0+256") != 0)
		assert_string_equal(l.text, "16+16");
}

static void guest_extents_walk__bad_descriptor(void **state)
{
	struct t_list l = { .text = "" };
	int dir = open("/", O_PATH);

	(void)state;
	assert_true(dir >= 0);
	assert_true(guest_extents_walk(dir, LEN, 0, t_list_add, &l) < 0);
	assert_string_equal(l.text, "");
	close(dir);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_tmpfs, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guest_extents_walk__all_hole),
		T(guest_extents_walk__first_middle_and_last_page),
		T(guest_extents_walk__all_populated),
		T(guest_extents_walk__hole_punched_again),
		T(guest_extents_walk__reserved_is_a_hole),
		T(guest_extents_walk__ends_at_len),
		T(guest_extents_walk__stops_when_told),
		cmocka_unit_test_setup_teardown(
			guest_extents_walk__disk_data_is_covered, setup_disk,
			teardown),
		T(guest_extents_walk__bad_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
