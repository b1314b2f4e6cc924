// SPDX-License-Identifier: GPL-2.0-or-later
/* test_ram_fd.c - guest RAM that comes as a descriptor and a part of a file */
#include "guest/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096u

struct t_lent {
	struct guest_ram ram;
	struct guest_lent lent;
	struct xm_error e;
};

/* 8 pages of a memfd; page 2 and page 5 are populated, by their number. */
static int setup(void **state)
{
	struct t_lent *t = calloc(1, sizeof(*t));
	uint8_t page[PAGE];

	if (!t)
		return -1;
	t->lent = (struct guest_lent){
		.name = "ram0",
		.label = "memory of ram0",
		.fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING),
		.len = 8 * (uint64_t)PAGE,
	};
	assert_int_equal(ftruncate(t->lent.fd, 8 * PAGE), 0);
	memset(page, 2, PAGE);
	assert_int_equal(pwrite(t->lent.fd, page, PAGE, 2 * PAGE), PAGE);
	memset(page, 5, PAGE);
	assert_int_equal(pwrite(t->lent.fd, page, PAGE, 5 * PAGE), PAGE);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct t_lent *t = *state;

	guest_ram_close(&t->ram);
	close(t->lent.fd);
	free(t);
	return 0;
}

static int t_open(struct t_lent *t)
{
	return guest_ram_open_fd(&t->ram, &t->lent, &t->e);
}

static void t_refused(struct t_lent *t, int err)
{
	assert_int_equal(t_open(t), err);
	assert_int_equal(t->e.err, err);
	assert_non_null(strstr(t->e.msg, "memory of ram0"));
	assert_int_equal(t->ram.map.n_blocks, 0);
}

static void guest_ram_open_fd__reads(void **state)
{
	struct t_lent *t = *state;

	assert_int_equal(t_open(t), 0);
	assert_string_equal(t->ram.map.block[0].name, "ram0");
	assert_string_equal(t->ram.block[0].path, "memory of ram0");
	assert_int_equal(t->ram.map.block[0].len, 8 * PAGE);
	assert_int_equal(t->ram.map.block[0].hva[2 * PAGE], 2);
	assert_null(t->ram.map.block[0].dirtied);
	assert_true(t->ram.block[0].can_pin);
	assert_int_not_equal(t->ram.block[0].fd, t->lent.fd);
}

static void guest_ram_open_fd__writes_where_something_was(void **state)
{
	struct t_lent *t = *state;
	uint8_t got = 0;

	t->lent.for_writing = true;
	assert_int_equal(t_open(t), 0);
	assert_int_equal(t->ram.map.block[0].dirtied[0], 1 << 2 | 1 << 5);
	t->ram.map.block[0].hva[7 * PAGE] = 9;
	assert_int_equal(pread(t->lent.fd, &got, 1, 7 * PAGE), 1);
	assert_int_equal(got, 9);
}

struct t_extents {
	uint64_t off[4], len[4];
	unsigned int n;
};

static int t_extent(void *arg, uint64_t offset, uint64_t len)
{
	struct t_extents *x = arg;

	x->off[x->n] = offset;
	x->len[x->n++] = len;
	return 0;
}

static void guest_ram_open_fd__part_of_a_file(void **state)
{
	struct t_lent *t = *state;
	struct t_extents x = { 0 };

	t->lent.file_off = 4 * PAGE;
	t->lent.len = 3 * PAGE;
	t->lent.for_writing = true;
	assert_int_equal(t_open(t), 0);
	assert_int_equal(t->ram.block[0].file_off, 4 * PAGE);
	assert_int_equal(t->ram.map.block[0].hva[1 * PAGE], 5);
	assert_int_equal(t->ram.map.block[0].dirtied[0], 1 << 1);
	assert_int_equal(guest_ram_extents(&t->ram, 0, t_extent, &x, &t->e), 0);
	assert_int_equal(x.n, 1);
	assert_int_equal(x.off[0], 1 * PAGE);
	assert_int_equal(x.len[0], 1 * PAGE);
}

static void guest_ram_open_fd__extent_across_the_border(void **state)
{
	struct t_lent *t = *state;
	struct t_extents x = { 0 };
	uint8_t page[3 * PAGE];

	memset(page, 1, sizeof(page));
	assert_int_equal(pwrite(t->lent.fd, page, sizeof(page), 2 * PAGE),
			 sizeof(page));
	t->lent.file_off = 3 * PAGE;
	t->lent.len = 1 * PAGE;
	assert_int_equal(t_open(t), 0);
	assert_int_equal(guest_ram_extents(&t->ram, 0, t_extent, &x, &t->e), 0);
	assert_int_equal(x.n, 1);
	assert_int_equal(x.off[0], 0);
	assert_int_equal(x.len[0], 1 * PAGE);
}

static void guest_ram_open_fd__beyond_the_end(void **state)
{
	struct t_lent *t = *state;

	t->lent.file_off = PAGE;
	t_refused(t, -EINVAL);
}

static void guest_ram_open_fd__offset_beyond_all(void **state)
{
	struct t_lent *t = *state;

	t->lent.file_off = UINT64_MAX - PAGE + 1;
	t->lent.len = 2 * PAGE;
	t_refused(t, -EINVAL);
}

static void guest_ram_open_fd__part_of_a_page(void **state)
{
	struct t_lent *t = *state;

	t->lent.len = PAGE + 1;
	t_refused(t, -EINVAL);
}

static void guest_ram_open_fd__nothing(void **state)
{
	struct t_lent *t = *state;

	t->lent.len = 0;
	t_refused(t, -EINVAL);
}

static void guest_ram_open_fd__sealed(void **state)
{
	struct t_lent *t = *state;

	assert_int_equal(fcntl(t->lent.fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	t_refused(t, -EPERM);
}

static void guest_ram_open_fd__name_taken(void **state)
{
	struct t_lent *t = *state;

	assert_int_equal(t_open(t), 0);
	assert_int_equal(t_open(t), -EEXIST);
	assert_int_equal(t->ram.map.n_blocks, 1);
}

static void guest_ram_open_fd__sources_share(void **state)
{
	struct t_lent *t = *state;
	struct guest_ram other = { 0 };

	assert_int_equal(t_open(t), 0);
	assert_int_equal(guest_ram_open_fd(&other, &t->lent, &t->e), 0);
	guest_ram_close(&other);
}

static void guest_ram_open_fd__a_target_is_alone(void **state)
{
	struct t_lent *t = *state;
	struct guest_ram other = { 0 };

	assert_int_equal(guest_ram_open_fd(&other, &t->lent, &t->e), 0);
	t->lent.for_writing = true;
	t_refused(t, -EBUSY);
	/* The lock goes with the mapping, not with what was lent. */
	guest_ram_close(&other);
	assert_int_equal(t_open(t), 0);
}

static void guest_ram_check__what_was_lent_has_no_path(void **state)
{
	struct t_lent *t = *state;

	t->lent.for_writing = true;
	assert_int_equal(t_open(t), 0);
	assert_int_equal(guest_ram_check(&t->ram, &t->e), 0);
}

static void guest_ram_discard__leaves_what_was_lent(void **state)
{
	struct t_lent *t = *state;
	char path[] = "/dev/shm/t-ram-fd-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	t->lent = (struct guest_lent){ .name = "ram0",
				       .label = path,
				       .fd = fd,
				       .len = PAGE,
				       .for_writing = true };
	assert_int_equal(t_open(t), 0);
	guest_ram_discard(&t->ram);
	assert_int_equal(unlink(path), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guest_ram_open_fd__reads),
		T(guest_ram_open_fd__writes_where_something_was),
		T(guest_ram_open_fd__part_of_a_file),
		T(guest_ram_open_fd__extent_across_the_border),
		T(guest_ram_open_fd__beyond_the_end),
		T(guest_ram_open_fd__offset_beyond_all),
		T(guest_ram_open_fd__part_of_a_page),
		T(guest_ram_open_fd__nothing),
		T(guest_ram_open_fd__sealed),
		T(guest_ram_open_fd__name_taken),
		T(guest_ram_open_fd__sources_share),
		T(guest_ram_open_fd__a_target_is_alone),
		T(guest_ram_check__what_was_lent_has_no_path),
		T(guest_ram_discard__leaves_what_was_lent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
