// SPDX-License-Identifier: GPL-2.0-or-later
/* Guest RAM on hugetlbfs.  Needs root: it borrows a few hugepages from the
 * system and mounts a hugetlbfs of its own, both undone at the end. */
#include "guest/fault.h"
#include "guest/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/t_huge.h"

#define HUGE   T_HUGE
#define N_HUGE 8

struct t_huge {
	char dir[64];
	char path[128];
	struct guest_ram ram;
	struct xm_error e;
};

/* Write a byte into hugepage @i, and so populate it. */
static void t_touch(const char *path, unsigned int i)
{
	int fd = open(path, O_RDWR);
	char *p;

	assert_true(fd >= 0);
	p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		 fd, (off_t)(i * HUGE));
	assert_ptr_not_equal(p, MAP_FAILED);
	p[1234] = 1;
	munmap(p, HUGE);
	close(fd);
}

static void t_file(struct t_huge *t, unsigned int pages)
{
	int fd = open(t->path, O_RDWR | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(pages * HUGE)), 0);
	close(fd);
}

static unsigned long t_populated(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (unsigned long)st.st_blocks * 512 / HUGE;
}

static int t_list_add(void *arg, uint64_t offset, uint64_t len)
{
	char *text = arg;
	size_t used = strlen(text);

	snprintf(text + used, 256 - used, "%s%lu+%lu", used ? " " : "",
		 (unsigned long)(offset / HUGE), (unsigned long)(len / HUGE));
	return 0;
}

static int setup(void **state)
{
	struct t_huge *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	strcpy(t->dir, "/tmp/xm-test-huge-XXXXXX");
	if (!mkdtemp(t->dir) ||
	    mount("none", t->dir, "hugetlbfs", 0, "pagesize=2M"))
		return -1;
	snprintf(t->path, sizeof(t->path), "%s/ram", t->dir);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct t_huge *t = *state;
	int r;

	guest_ram_close(&t->ram);
	r = umount2(t->dir, MNT_DETACH) | rmdir(t->dir);
	free(t);
	return r;
}

/* -- guest_ram_open ------------------------------------------------------------ */

static void guest_ram_open__hugepages_can_be_pinned(void **state)
{
	struct t_huge *t = *state;

	t_file(t, 2);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "m", &t->e), 0);
	assert_true(t->ram.block[0].can_pin);
	assert_int_equal(t->ram.block[0].page_size, HUGE);
	assert_int_equal(t_populated(t->path), 0);
}

/* -- guest_ram_create ------------------------------------------------------------ */

static void guest_ram_create__too_few_hugepages(void **state)
{
	struct t_huge *t = *state;

	assert_int_equal(guest_ram_create(&t->ram, t->path, "m", 1UL << 44,
					  &t->e),
			 -ENOMEM);
	assert_non_null(strstr(t->e.msg, "not enough free hugepages"));
	assert_int_equal(access(t->path, F_OK), -1);
}

static void guest_ram_create__new_file_is_one_hole(void **state)
{
	struct t_huge *t = *state;

	assert_int_equal(
		guest_ram_create(&t->ram, t->path, "m", 4 * HUGE, &t->e), 0);
	assert_int_equal(t_populated(t->path), 0);
	assert_int_equal(t->ram.map.block[0].dirtied[0], 0);
	t->ram.map.block[0].hva[HUGE] = 1;
	assert_int_equal(t_populated(t->path), 1);
}

static void guest_ram_create__not_a_multiple_of_a_hugepage(void **state)
{
	struct t_huge *t = *state;

	assert_int_equal(guest_ram_create(&t->ram, t->path, "m",
					  HUGE + XM_PAGE_SIZE, &t->e),
			 -EINVAL);
	assert_non_null(strstr(t->e.msg, "not a multiple of the pages here"));
	assert_int_equal(access(t->path, F_OK), -1);
}

static void guest_ram_create__dirtied_is_what_is_populated(void **state)
{
	struct t_huge *t = *state;

	t_file(t, 3);
	t_touch(t->path, 1);
	assert_int_equal(
		guest_ram_create(&t->ram, t->path, "m", 3 * HUGE, &t->e), 0);
	assert_int_equal(t->ram.map.block[0].dirtied[7], 0);
	assert_int_equal(t->ram.map.block[0].dirtied[8], ~0ULL);
	assert_int_equal(t->ram.map.block[0].dirtied[15], ~0ULL);
	assert_int_equal(t->ram.map.block[0].dirtied[16], 0);
	assert_int_equal(t_populated(t->path), 1);
}

/* -- guest_ram_extents ---------------------------------------------------------- */

static void guest_ram_extents__are_found_without_allocating(void **state)
{
	struct t_huge *t = *state;
	char text[256] = "";

	t_file(t, 16); /* more than there are: a hole must stay a hole */
	t_touch(t->path, 0);
	t_touch(t->path, 3);
	t_touch(t->path, 4);
	t_touch(t->path, 15);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "m", &t->e), 0);
	assert_int_equal(guest_ram_extents(&t->ram, 0, t_list_add, text, &t->e),
			 0);
	assert_string_equal(text, "0+1 3+2 15+1");
	assert_int_equal(t_populated(t->path), 4);
}

static void guest_ram_extents__all_hole(void **state)
{
	struct t_huge *t = *state;
	char text[256] = "";

	t_file(t, 16);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "m", &t->e), 0);
	assert_int_equal(guest_ram_extents(&t->ram, 0, t_list_add, text, &t->e),
			 0);
	assert_string_equal(text, "");
}

static void guest_ram_extents__all_populated(void **state)
{
	struct t_huge *t = *state;
	char text[256] = "";

	t_file(t, 2);
	t_touch(t->path, 0);
	t_touch(t->path, 1);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "m", &t->e), 0);
	assert_int_equal(guest_ram_extents(&t->ram, 0, t_list_add, text, &t->e),
			 0);
	assert_string_equal(text, "0+2");
}

/* -- guest_fault_catch ------------------------------------------------------------ */

static void t_expect_zeros(const uint8_t *page)
{
	assert_int_equal(*(const volatile uint8_t *)page, 0);
	assert_int_equal(*(const volatile uint8_t *)(page + HUGE - 1), 0);
}

/* What a smaller page in a hugepage's place is refused with depends on the kernel. */
static void guest_fault_catch__a_file_cut_short(void **state)
{
	struct t_huge *t = *state;
	uint8_t *first, *chan;

	t_file(t, 3);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "m", &t->e), 0);
	first = t->ram.map.block[0].hva;
	chan = mmap(NULL, 2 * HUGE, PROT_READ, MAP_SHARED | MAP_NORESERVE,
		    t->ram.block[0].fd, HUGE);
	assert_ptr_not_equal(chan, MAP_FAILED);
	t_touch(t->path, 0);
	t_touch(t->path, 1);
	assert_int_equal(guest_fault_catch(&t->ram, &t->e), 0);
	guest_fault_watch(0, chan, 2 * HUGE);
	assert_int_equal(truncate(t->path, HUGE), 0);
	assert_int_equal(first[1234], 1);
	assert_int_equal(guest_fault_check(&t->ram, &t->e), 0);
	t_expect_zeros(first + HUGE); /* was there */
	t_expect_zeros(chan + HUGE);  /* never was */
	assert_int_equal(first[1234], 1);
	guest_fault_watch(0, NULL, 0);
	munmap(chan, 2 * HUGE);
	assert_int_equal(guest_fault_check(&t->ram, &t->e), -ENOSPC);
	assert_non_null(strstr(t->e.msg, t->path));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guest_ram_open__hugepages_can_be_pinned),
		T(guest_ram_create__too_few_hugepages),
		T(guest_ram_create__new_file_is_one_hole),
		T(guest_ram_create__not_a_multiple_of_a_hugepage),
		T(guest_ram_create__dirtied_is_what_is_populated),
		T(guest_ram_extents__are_found_without_allocating),
		T(guest_ram_extents__all_hole),
		T(guest_ram_extents__all_populated),
		T(guest_fault_catch__a_file_cut_short),
	};

	if (!t_huge_borrow(N_HUGE)) {
		printf("1..0 # SKIP needs root and %d free hugepages\n",
		       N_HUGE);
		return 0;
	}
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		printf("1..0 # SKIP no mount namespace of its own: %s\n",
		       strerror(errno));
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
