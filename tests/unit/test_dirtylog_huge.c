// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes to hugepages.  Needs root: it borrows a few from the system. */
#include "../lib/t_dirtylog.h"
#include "../lib/t_huge.h"

#define HUGE   (T_HUGE / PAGE) /* pages of a hugepage */
#define N_HUGE 6UL

static void dirtylog_harvest__hugepages(void **state)
{
	int fd = memfd_create("memory", MFD_CLOEXEC | MFD_HUGETLB);
	struct dirtylog_range r;
	struct t_writer w;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)(N_HUGE * HUGE * PAGE)), 0);
	t_writer_start(&w, fd, N_HUGE * HUGE, 0);
	r = t_range(&w, 0, N_HUGE * HUGE);
	r.page_size = HUGE * PAGE;
	t_do(&w, T_STORE, 0, 1); /* the rest is a hole */
	if (dirtylog_open(&w.log, w.pid, w.pidfd, &r, 1, &w.e))
		fail_msg("%s", w.e.msg);
	t_harvest_is(&w, 0, 0);
	t_do(&w, T_STORE, 7, 1);
	t_harvest_is(&w, 0, HUGE);
	t_do(&w, T_STORE, 3 * HUGE + 9, 1);
	t_harvest_is(&w, 3 * HUGE, HUGE);
	t_do(&w, T_READ, 4 * HUGE - 1, 2); /* by the kernel, over a border */
	t_harvest_is(&w, 3 * HUGE, 2 * HUGE);
	t_do(&w, T_LOAD, 0, N_HUGE * HUGE);
	t_harvest_is(&w, 0, 0);
	/* A part, and not of whole hugepages. */
	w.log = dirtylog_close(w.log);
	r = t_range(&w, HUGE, 2 * HUGE);
	r.page_size = HUGE * PAGE;
	assert_int_equal(dirtylog_open(&w.log, w.pid, w.pidfd, &r, 1, &w.e), 0);
	t_do(&w, T_STORE, 0, N_HUGE * HUGE);
	assert_int_equal(t_harvest(&w), 2 * HUGE);
	w.log = dirtylog_close(w.log);
	r = t_range(&w, HUGE / 2, HUGE);
	r.page_size = HUGE * PAGE;
	assert_int_equal(dirtylog_open(&w.log, w.pid, w.pidfd, &r, 1, NULL),
			 -EINVAL);
	t_writer_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dirtylog_harvest__hugepages),
	};

	if (!dirtylog_uffd.is_known() || !t_huge_borrow(N_HUGE)) {
		puts("1..0 # SKIP needs root, Linux 6.7 and 12 MiB of hugepages");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
