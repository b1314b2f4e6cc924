// SPDX-License-Identifier: GPL-2.0-or-later
/* test_fault.c - guest memory that is not there any more
 *
 * The machine needs no hugepages: that nothing smaller can be mapped in their place is
 * played.
 */
#include "guest/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE    4096UL
#define HUGE    (2UL << 20)
#define LEN     (2 * HUGE)
#define CHANNEL 3

struct t_fault {
	struct guest_ram ram;
	uint8_t *resv;
	uint8_t *block, *chan; /* one file's memory, mapped twice */
	struct xm_error e;
};

static int t_refusal; /* of a fixed mapping that is less than a hugepage */

static void *t_mmap(void *addr, size_t len, int prot, int flags, int fd,
		    off_t off)
{
	if (t_refusal && flags & MAP_FIXED && len < HUGE) {
		errno = t_refusal;
		return MAP_FAILED;
	}
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, off);
}

/* Either is what the compiler makes of mmap(). */
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd,
		  off_t off);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd,
		  off_t off)
{
	return t_mmap(addr, len, prot, flags, fd, off);
}

void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd,
		    off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd,
		    off_t off)
{
	return t_mmap(addr, len, prot, flags, fd, off);
}

static uint8_t *t_map(const struct t_fault *t, uint8_t *at)
{
	void *p = mmap(at, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		       t->ram.block[0].fd, 0);

	assert_ptr_equal(p, at);
	return p;
}

static int t_setup(void **state)
{
	struct t_fault *t = calloc(1, sizeof(*t));
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint8_t *at;

	assert_non_null(t);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, LEN), 0);
	t->ram.block[0].fd = fd;
	t->resv = mmap(NULL, 2 * LEN + HUGE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(t->resv, MAP_FAILED);
	at = t->resv + HUGE - (uintptr_t)t->resv % HUGE;
	t->block = t_map(t, at);
	t->chan = t_map(t, at + LEN);
	snprintf(t->ram.block[0].path, sizeof(t->ram.block[0].path), "/guest");
	assert_int_equal(xm_map_add(&t->ram.map, "pc.ram", LEN, t->block), 0);
	t->block[1] = 7;
	*state = t;
	return 0;
}

static int t_teardown(void **state)
{
	struct t_fault *t = *state;

	t_refusal = 0;
	guest_fault_watch(CHANNEL, NULL, 0);
	munmap(t->resv, 2 * LEN + HUGE);
	close(t->ram.block[0].fd);
	free(t);
	return 0;
}

/* In the test itself: cmocka has a handler of its own around each. */
static struct t_fault *t_begin(void **state)
{
	struct t_fault *t = *state;

	assert_int_equal(guest_fault_catch(&t->ram, &t->e), 0);
	guest_fault_watch(CHANNEL, t->chan, LEN);
	return t;
}

static void t_cut(const struct t_fault *t, uint64_t len)
{
	assert_int_equal(ftruncate(t->ram.block[0].fd, (off_t)len), 0);
}

static uint8_t t_read(const uint8_t *at)
{
	return *(const volatile uint8_t *)at;
}

static void t_expect_error(struct t_fault *t, const char *what)
{
	assert_int_equal(guest_fault_check(&t->ram, &t->e), -ENOSPC);
	assert_int_equal(t->e.reason, XM_REASON_MEMORY);
	assert_non_null(strstr(t->e.msg, "/guest"));
	assert_non_null(strstr(t->e.msg, what));
}

/* Does reading there end a process? */
static bool t_kills(const uint8_t *at)
{
	const struct rlimit no_core = { 0, 0 };
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)t_read(at);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;
}

static void guest_fault_check__nothing_happened(void **state)
{
	struct t_fault *t = t_begin(state);

	assert_int_equal(t_read(t->block + 1), 7);
	assert_int_equal(t_read(t->chan + 1), 7);
	assert_int_equal(guest_fault_check(&t->ram, &t->e), 0);
}

static void guest_fault_catch__reads_zeros_and_goes_on(void **state)
{
	struct t_fault *t = t_begin(state);

	t_cut(t, HUGE);
	errno = 77;
	assert_int_equal(t_read(t->block + HUGE + 5 * PAGE), 0);
	assert_int_equal(errno, 77);
	assert_int_equal(t_read(t->block + 1), 7);
	t_expect_error(t, "offset 2117632"); /* HUGE and five pages */
}

static void guest_fault_watch__of_a_channel_names_the_short_file(void **state)
{
	struct t_fault *t = t_begin(state);

	t_cut(t, PAGE);
	assert_int_equal(t_read(t->chan + HUGE), 0);
	assert_int_equal(t_read(t->chan + 1), 7);
	t_expect_error(t, "offset 4096");
}

/* And has its length again when it is asked. */
static void guest_fault_watch__of_a_channel_with_a_hole(void **state)
{
	struct t_fault *t = t_begin(state);

	t_cut(t, PAGE);
	assert_int_equal(t_read(t->chan + HUGE), 0);
	t_cut(t, LEN);
	t_expect_error(t, "hole");
}

static void guest_fault_watch__no_longer(void **state)
{
	struct t_fault *t = t_begin(state);

	guest_fault_watch(CHANNEL, NULL, 0);
	t_cut(t, PAGE);
	assert_true(t_kills(t->chan + HUGE));
	assert_false(t_kills(t->block + HUGE));
}

/* Linux says EINVAL, and before 6.12 ENOMEM. */
static void guest_fault_catch__of_hugepages(void **state)
{
	static const int refusal[] = { EINVAL, ENOMEM };
	struct t_fault *t = t_begin(state);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(guest_fault_catch(&t->ram, &t->e), 0);
		t_map(t, t->block);
		t_cut(t, HUGE);
		t_refusal = refusal[i];
		assert_false(t_kills(t->block + HUGE + PAGE));
		assert_int_equal(t_read(t->block + HUGE + PAGE), 0);
		assert_int_equal(t_read(t->block + LEN - 1), 0);
		assert_int_equal(t_read(t->block + 1), 7);
		t_expect_error(t, "offset 2101248"); /* HUGE and a page */
		t_refusal = 0;
		t_cut(t, LEN);
	}
}

/* What is beside guest memory is somebody else's. */
static void guest_fault_catch__no_hugepage_where_less_is_watched(void **state)
{
	struct t_fault *t = t_begin(state);

	guest_fault_watch(CHANNEL, t->chan + PAGE, HUGE);
	t_cut(t, PAGE);
	t_refusal = ENOMEM;
	assert_true(t_kills(t->chan + 2 * PAGE));
}

#define T(f) cmocka_unit_test_setup_teardown(f, t_setup, t_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guest_fault_check__nothing_happened),
		T(guest_fault_catch__reads_zeros_and_goes_on),
		T(guest_fault_watch__of_a_channel_names_the_short_file),
		T(guest_fault_watch__of_a_channel_with_a_hole),
		T(guest_fault_watch__no_longer),
		T(guest_fault_catch__of_hugepages),
		T(guest_fault_catch__no_hugepage_where_less_is_watched),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
