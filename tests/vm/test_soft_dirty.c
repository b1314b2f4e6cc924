// SPDX-License-Identifier: GPL-2.0-or-later
/* What a soft-dirty log reports, compared with what a process was told to write.
 * Needs a kernel that has this way and not the better one; kernel.sh boots
 * one. */
#include "../lib/t_dirtylog.h"

/* As a guest must be while it is harvested. */
static void t_pause(const struct t_writer *w)
{
	int status = 0;

	assert_int_equal(kill(w->pid, SIGSTOP), 0);
	assert_int_equal(waitpid(w->pid, &status, WUNTRACED), w->pid);
	assert_true(WIFSTOPPED(status));
}

static void t_run(const struct t_writer *w)
{
	assert_int_equal(kill(w->pid, SIGCONT), 0);
}

/* -- who writes, and how -------------------------------------------------------- */

static void dirtylog_open__chooses_soft_dirty(void **state)
{
	struct t_writer w;

	(void)state;
	t_start(&w, 256);
	t_track(&w);
	assert_string_equal(dirtylog_kind(w.log), "soft-dirty");
	assert_true(dirtylog_needs_stop(w.log));
	t_writer_end(&w);
}

static void dirtylog_harvest__random_stores(void **state)
{
	struct t_writer w;

	(void)state;
	t_start(&w, 3000);
	t_do(&w, T_STORE, 0, 1500); /* the rest is a hole */
	t_track(&w);
	t_random_stores(&w);
	t_writer_end(&w);
}

static void dirtylog_harvest__each_kind_of_write(void **state)
{
	static char bytes[2 * PAGE];
	struct iovec here = { bytes, sizeof(bytes) }, there;
	struct t_writer w;

	(void)state;
	t_start(&w, 128);
	t_do(&w, T_STORE, 0, 128);
	t_track(&w);
	t_do(&w, T_STORE, 3, 1);
	t_harvest_is(&w, 3, 1);
	t_do(&w, T_READ, 10, 4);
	t_harvest_is(&w, 10, 4);
	t_do(&w, T_PREAD, 20, 3);
	t_harvest_is(&w, 20, 3);
	t_do(&w, T_THREAD, 30, 1);
	t_harvest_is(&w, 30, 1);
	there = (struct iovec){ w.mem + 40 * PAGE, sizeof(bytes) };
	assert_int_equal(process_vm_writev(w.pid, &here, 1, &there, 1, 0),
			 sizeof(bytes));
	t_harvest_is(&w, 40, 2);
	t_do(&w, T_LOAD, 0, w.pages);
	t_harvest_is(&w, 0, 0);
	/* By another mapping: not seen. */
	w.mem[5 * PAGE] = 1;
	t_harvest_is(&w, 0, 0);
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
	assert_true(t_bit(w.bits, 140));
	t_writer_end(&w);
}

/* The page table forgets a page that was written, and with it the bit. */
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
	t_do(&w, T_STORE, 512, 512);
	t_harvest(&w);
	t_do(&w, T_STORE, 512, 512);
	t_do(&w, T_DONTNEED, 512, 512); /* a page table's worth */
	t_harvest_is(&w, 512, 512);
	t_writer_end(&w);
}

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

/* -- while it writes ------------------------------------------------------------- */

/* It is paused for each harvest, and writes on while its pages are copied. */
static void dirtylog_harvest__loses_nothing(void **state)
{
	const uint64_t pages = 4096;
	struct t_writer w;
	uint64_t some, all = 0;
	uint8_t *copy = malloc(pages * PAGE);
	unsigned int i;

	(void)state;
	assert_non_null(copy);
	t_start(&w, pages);
	t_track(&w);
	memcpy(copy, w.mem, pages * PAGE);
	t_do(&w, T_COUNT, 0, 0);
	for (i = 0; i < 30 || all <= 4 * pages; i++) {
		assert_true(i < 100000);
		t_pause(&w);
		some = t_harvest(&w);
		t_run(&w);
		t_copy_dirty(&w, copy);
		all += some;
	}
	t_pause(&w);
	all += t_harvest(&w);
	t_copy_dirty(&w, copy);
	t_expect_copy(&w, copy);
	print_message("# %lu pages copied\n", (unsigned long)all);
	assert_int_equal(t_harvest(&w), 0);
	free(copy);
	t_writer_end(&w);
}

/* -- again, and no more ------------------------------------------------------------- */

static void dirtylog_close__can_be_opened_again(void **state)
{
	struct t_writer w;

	(void)state;
	t_start(&w, 2048);
	t_track(&w);
	t_do(&w, T_STORE, 0, 100);
	w.log = dirtylog_close(w.log);
	t_do(&w, T_STORE, 200, 100);
	t_track(&w);
	t_harvest_is(&w, 0, 0);
	t_do(&w, T_STORE, 250, 2);
	t_harvest_is(&w, 250, 2);
	t_writer_end(&w);
}

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
	t_writer_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dirtylog_open__chooses_soft_dirty),
		cmocka_unit_test(dirtylog_harvest__random_stores),
		cmocka_unit_test(dirtylog_harvest__each_kind_of_write),
		cmocka_unit_test(dirtylog_harvest__written_after_a_punch),
		cmocka_unit_test(dirtylog_harvest__forgotten_is_written),
		cmocka_unit_test(dirtylog_harvest__only_the_ranges),
		cmocka_unit_test(dirtylog_harvest__loses_nothing),
		cmocka_unit_test(dirtylog_close__can_be_opened_again),
		cmocka_unit_test(dirtylog_harvest__of_the_dead),
		cmocka_unit_test(dirtylog_harvest__of_other_mappings),
	};

	if (geteuid() || dirtylog_uffd.is_known() ||
	    !dirtylog_soft.is_known()) {
		puts("1..0 # SKIP needs root, and a kernel with soft-dirty and without PAGEMAP_SCAN");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
