// SPDX-License-Identifier: GPL-2.0-or-later
/* Soft-dirty bits decoded from a pagemap of our own making. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): its statics are tested */
#include "guest/dirtylog_soft.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "guest/dirtylog.h"

#define BASE  0x100 /* page number of the area */
#define PAGES 1300  /* more than one read, and not of whole words */

struct t_soft {
	struct dirtylog *log;
	uint64_t dirty[PAGES / 64 + 1];
	uint64_t mapped[PAGES / 64 + 1];
};

static int t_setup(void **state)
{
	struct t_soft *t = calloc(1, sizeof(*t));

	t->log = calloc(1, sizeof(*t->log) + sizeof(t->log->area[0]));
	t->log->n = 1;
	t->log->area[0].range =
		(struct dirtylog_range){ BASE * 4096, PAGES * 4096, 4096 };
	t->log->area[0].mapped = t->mapped;
	t->log->pagemap_fd = memfd_create("pagemap", MFD_CLOEXEC);
	t->log->clear_fd = memfd_create("clear_refs", MFD_CLOEXEC);
	*state = t;
	return ftruncate(t->log->pagemap_fd, (BASE + PAGES) * 8);
}

static int t_teardown(void **state)
{
	struct t_soft *t = *state;

	close(t->log->pagemap_fd);
	close(t->log->clear_fd);
	free(t->log);
	free(t);
	return 0;
}

static void t_entry(struct t_soft *t, unsigned int page, uint64_t entry)
{
	assert_int_equal(
		pwrite(t->log->pagemap_fd, &entry, 8, (BASE + page) * 8), 8);
}

static uint64_t t_harvest(struct t_soft *t)
{
	uint64_t pages = 0;

	memset(t->dirty, 0, sizeof(t->dirty));
	assert_int_equal(soft_harvest(t->log, 0, t->dirty, &pages, NULL), 0);
	return pages;
}

static bool t_is_dirty(const struct t_soft *t, unsigned int page)
{
	return t->dirty[page / 64] >> page % 64 & 1;
}

static void dirtylog_soft__bit_55(void **state)
{
	static const unsigned int at[] = { 0, 1, 63, 64, 511, 512, 1299 };
	struct t_soft *t = *state;
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		t_entry(t, i, PM_PRESENT | 0x1234);
	assert_int_equal(t_harvest(t), PAGES); /* all of them are new */
	assert_int_equal(t_harvest(t), 0);
	for (i = 0; i < 7; i++)
		t_entry(t, at[i], PM_PRESENT | PM_SOFT_DIRTY | 0x1234);
	t_entry(t, 700, PM_SWAP | PM_SOFT_DIRTY);
	t_entry(t, 701, PM_SWAP);
	assert_int_equal(t_harvest(t), 8);
	for (i = 0; i < 7; i++)
		assert_true(t_is_dirty(t, at[i]));
	assert_true(t_is_dirty(t, 700));
	assert_false(t_is_dirty(t, 701));
}

static void dirtylog_soft__come_and_gone(void **state)
{
	struct t_soft *t = *state;

	assert_int_equal(t_harvest(t), 0); /* a hole */
	t_entry(t, 5, PM_PRESENT);
	assert_int_equal(t_harvest(t), 1);
	assert_int_equal(t_harvest(t), 0);
	t_entry(t, 5, 0);
	assert_int_equal(t_harvest(t), 1);
	assert_true(t_is_dirty(t, 5));
	assert_int_equal(t_harvest(t), 0);
}

static void dirtylog_soft__clears(void **state)
{
	struct t_soft *t = *state;
	char got[4] = "";

	assert_int_equal(soft_begin_anew(t->log, NULL), 0);
	assert_int_equal(pread(t->log->clear_fd, got, sizeof(got), 0), 1);
	assert_string_equal(got, "4");
}

static void dirtylog_soft__ends_with_the_process(void **state)
{
	struct t_soft *t = *state;
	uint64_t pages = 0;

	assert_int_equal(ftruncate(t->log->pagemap_fd, 0), 0);
	assert_int_equal(soft_harvest(t->log, 0, t->dirty, &pages, NULL),
			 -ESRCH);
}

static void dirtylog_soft__no_hugepages(void **state)
{
	struct t_soft *t = *state;
	struct xm_error e = { 0 };

	t->log->area[0].range.page_size = 2 << 20;
	assert_int_equal(dirtylog_soft.begin(t->log, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "hugepages"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, t_setup, t_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(dirtylog_soft__bit_55),
		T(dirtylog_soft__come_and_gone),
		T(dirtylog_soft__clears),
		T(dirtylog_soft__ends_with_the_process),
		T(dirtylog_soft__no_hugepages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
