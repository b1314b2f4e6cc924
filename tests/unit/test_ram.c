// SPDX-License-Identifier: GPL-2.0-or-later
/* Guest RAM files: what is taken, what is refused and how, and that holes stay
 * holes.  Hugepages have a test of their own, test_ram_huge.c. */
#include "guest/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB  (1UL << 20)
#define PAGE XM_PAGE_SIZE

struct t_ram {
	char shm[64];   /* a directory on tmpfs */
	char disk[64];  /* a directory that is not */
	char path[300]; /* what t_path() made last */
	struct guest_ram ram;
	struct xm_error e;
};

static const char *t_path(struct t_ram *t, const char *dir, const char *name)
{
	snprintf(t->path, sizeof(t->path), "%s/%s", dir, name);
	return t->path;
}

/* A file of @len bytes, all hole. */
static const char *t_file(struct t_ram *t, const char *dir, const char *name,
			  off_t len)
{
	int fd = open(t_path(t, dir, name), O_RDWR | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, len), 0);
	close(fd);
	return t->path;
}

static void t_write(const char *path, off_t offset, size_t len)
{
	char *buf = malloc(len);
	int fd = open(path, O_RDWR);

	assert_non_null(buf);
	memset(buf, 0xa5, len);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, buf, len, offset), len);
	close(fd);
	free(buf);
}

static long t_blocks(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_blocks;
}

/* Ranges as text: "0+1 4+2" in pages. */
static int t_list_add(void *arg, uint64_t offset, uint64_t len)
{
	char *text = arg;
	size_t used = strlen(text);

	snprintf(text + used, 256 - used, "%s%lu+%lu", used ? " " : "",
		 (unsigned long)(offset / PAGE), (unsigned long)(len / PAGE));
	return 0;
}

/* The call failed with @err, said so about the path, and left no block. */
static void t_assert_failed(struct t_ram *t, int r, int err, const char *text)
{
	assert_int_equal(r, err);
	assert_int_equal(t->e.err, err);
	assert_int_equal(strncmp(t->e.msg, t->path, strlen(t->path)), 0);
	if (!strstr(t->e.msg, text))
		fail_msg("\"%s\" does not say \"%s\"", t->e.msg, text);
	assert_int_equal(t->ram.map.n_blocks, 0);
}

static int setup(void **state)
{
	struct t_ram *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	strcpy(t->shm, "/dev/shm/xm-test-ram-XXXXXX");
	strcpy(t->disk, "/var/tmp/xm-test-ram-XXXXXX");
	if (!mkdtemp(t->shm) || !mkdtemp(t->disk))
		return -1;
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct t_ram *t = *state;
	char cmd[200];
	int r;

	guest_ram_close(&t->ram);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s' '%s'", t->shm, t->disk);
	r = system(cmd);
	free(t);
	return r;
}

/* -- guest_ram_open ------------------------------------------------------------ */

static void guest_ram_open__shared_memory_can_be_pinned(void **state)
{
	struct t_ram *t = *state;

	t_file(t, t->shm, "ram", 2 * MIB);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "pc.ram", &t->e), 0);
	assert_true(t->ram.block[0].can_pin);
	assert_false(t->ram.block[0].created);
	assert_int_equal(t->ram.block[0].page_size, PAGE);
	assert_int_equal(t->ram.map.n_blocks, 1);
	assert_int_equal(t->ram.map.block[0].len, 2 * MIB);
	assert_string_equal(t->ram.map.block[0].name, "pc.ram");
	assert_null(t->ram.map.block[0].dirtied);
}

static void guest_ram_open__shows_what_the_guest_writes(void **state)
{
	struct t_ram *t = *state;

	t_file(t, t->shm, "ram", MIB);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "m", &t->e), 0);
	t_write(t->path, 5 * PAGE, 1);
	assert_int_equal(t->ram.map.block[0].hva[5 * PAGE], 0xa5);
}

static void guest_ram_open__takes_a_memfd_of_another_process(void **state)
{
	struct t_ram *t = *state;
	int fd = memfd_create("t", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, MIB), 0);
	snprintf(t->path, sizeof(t->path), "/proc/%d/fd/%d", getpid(), fd);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "m", &t->e), 0);
	assert_true(t->ram.block[0].can_pin);
	close(fd);
}

static void guest_ram_open__disk_file_is_not_for_pinning(void **state)
{
	struct t_ram *t = *state;

	t_file(t, t->disk, "ram", MIB);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "m", &t->e), 0);
	assert_false(t->ram.block[0].can_pin);
}

static void guest_ram_open__absent_file(void **state)
{
	struct t_ram *t = *state;
	int r = guest_ram_open(&t->ram, t_path(t, t->shm, "no"), "m", &t->e);

	t_assert_failed(t, r, -ENOENT, "No such file");
	assert_int_equal(t->e.reason, XM_REASON_MEMORY);
}

static void guest_ram_open__directory(void **state)
{
	struct t_ram *t = *state;
	int r = guest_ram_open(&t->ram, strcpy(t->path, t->shm), "m", &t->e);

	t_assert_failed(t, r, -EISDIR, "a directory");
}

static void guest_ram_open__fifo_does_not_wait(void **state)
{
	struct t_ram *t = *state;
	int r;

	assert_int_equal(mkfifo(t_path(t, t->shm, "fifo"), 0600), 0);
	r = guest_ram_open(&t->ram, t->path, "m", &t->e);
	t_assert_failed(t, r, -EINVAL, "a FIFO");
}

static void guest_ram_open__device(void **state)
{
	struct t_ram *t = *state;
	int r = guest_ram_open(&t->ram, strcpy(t->path, "/dev/null"), "m",
			       &t->e);

	t_assert_failed(t, r, -EINVAL, "a device");
}

static void guest_ram_open__empty_file(void **state)
{
	struct t_ram *t = *state;
	int r;

	t_file(t, t->shm, "ram", 0);
	r = guest_ram_open(&t->ram, t->path, "m", &t->e);
	t_assert_failed(t, r, -EINVAL, "has 0 bytes");
}

static void guest_ram_open__not_a_multiple_of_a_page(void **state)
{
	struct t_ram *t = *state;
	int r;

	t_file(t, t->shm, "ram", MIB + 1);
	r = guest_ram_open(&t->ram, t->path, "m", &t->e);
	t_assert_failed(t, r, -EINVAL, "1048577 bytes");
}

/* As a user without the right to write: root has every right. */
static int t_open_as_user(struct t_ram *t)
{
	uid_t uid = geteuid();
	int r;

	assert_int_equal(chmod(t->path, 0444), 0);
	assert_int_equal(chmod(t->shm, 0755), 0);
	assert_int_equal(chmod(t->disk, 0755), 0);
	if (!uid)
		assert_int_equal(seteuid(65534), 0);
	r = guest_ram_open(&t->ram, t->path, "m", &t->e);
	if (!uid)
		assert_int_equal(seteuid(uid), 0);
	return r;
}

static void guest_ram_open__shared_memory_without_right_to_write(void **state)
{
	struct t_ram *t = *state;

	t_file(t, t->shm, "ram", MIB);
	t_assert_failed(t, t_open_as_user(t), -EACCES, "no right to write");
	assert_int_equal(t->e.reason, XM_REASON_PERMISSION);
}

static void guest_ram_open__disk_file_without_right_to_write(void **state)
{
	struct t_ram *t = *state;

	t_file(t, t->disk, "ram", MIB);
	assert_int_equal(t_open_as_user(t), 0);
	assert_false(t->ram.block[0].can_pin);
}

static void guest_ram_open__sealed_memfd(void **state)
{
	struct t_ram *t = *state;
	int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	assert_int_equal(ftruncate(fd, MIB), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	snprintf(t->path, sizeof(t->path), "/proc/self/fd/%d", fd);
	r = guest_ram_open(&t->ram, t->path, "m", &t->e);
	t_assert_failed(t, r, -EPERM, "sealed");
	close(fd);
}

static void guest_ram_open__name_taken(void **state)
{
	struct t_ram *t = *state;

	t_file(t, t->shm, "ram", MIB);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "m", &t->e), 0);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "m", &t->e), -EEXIST);
	assert_non_null(strstr(t->e.msg, "called m already"));
	assert_int_equal(t->ram.map.n_blocks, 1);
}

static void guest_ram_open__path_too_long(void **state)
{
	struct t_ram *t = *state;

	memset(t->path, 'x', 256);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "m", &t->e),
			 -ENAMETOOLONG);
	assert_int_equal(t->e.err, -ENAMETOOLONG);
}

/* -- guest_ram_create ------------------------------------------------------------ */

static void guest_ram_create__new_file_is_one_hole(void **state)
{
	struct t_ram *t = *state;
	struct stat st;

	t_path(t, t->shm, "ram");
	assert_int_equal(
		guest_ram_create(&t->ram, t->path, "m", 64 * MIB, &t->e), 0);
	assert_int_equal(stat(t->path, &st), 0);
	assert_int_equal(st.st_size, 64 * MIB);
	assert_int_equal(st.st_blocks, 0);
	assert_true(t->ram.block[0].created);
	assert_int_equal(t->ram.map.block[0].dirtied[0], 0);
}

static void guest_ram_create__more_than_all_memory(void **state)
{
	struct t_ram *t = *state;

	t_path(t, t->shm, "ram");
	assert_int_equal(
		guest_ram_create(&t->ram, t->path, "m", 1UL << 38, &t->e), 0);
	assert_int_equal(t_blocks(t->path), 0);
}

static void guest_ram_create__can_be_written(void **state)
{
	struct t_ram *t = *state;

	t_path(t, t->shm, "ram");
	assert_int_equal(guest_ram_create(&t->ram, t->path, "m", MIB, &t->e),
			 0);
	t->ram.map.block[0].hva[3 * PAGE] = 1;
	assert_int_equal(t_blocks(t->path), PAGE / 512);
}

static void guest_ram_create__existing_file_of_the_right_size(void **state)
{
	struct t_ram *t = *state;

	t_file(t, t->shm, "ram", MIB);
	assert_int_equal(guest_ram_create(&t->ram, t->path, "m", MIB, &t->e),
			 0);
	assert_false(t->ram.block[0].created);
}

static void guest_ram_create__dirtied_is_what_is_populated(void **state)
{
	struct t_ram *t = *state;
	uint64_t *bits;

	t_file(t, t->shm, "ram", MIB);
	t_write(t->path, 0, 1);
	t_write(t->path, 62 * PAGE, 70 * PAGE); /* 62 .. 131: three words */
	t_write(t->path, 255 * PAGE, 1);
	assert_int_equal(guest_ram_create(&t->ram, t->path, "m", MIB, &t->e),
			 0);
	bits = t->ram.map.block[0].dirtied;
	assert_int_equal(bits[0], 1ULL | 3ULL << 62);
	assert_int_equal(bits[1], ~0ULL);
	assert_int_equal(bits[2], 0xf);
	assert_int_equal(bits[3], 1ULL << 63);
	assert_int_equal(t_blocks(t->path), 72 * PAGE / 512);
}

static void guest_ram_create__wrong_size(void **state)
{
	struct t_ram *t = *state;
	int r;

	t_file(t, t->shm, "ram", 2 * MIB);
	r = guest_ram_create(&t->ram, t->path, "m", MIB, &t->e);
	t_assert_failed(t, r, -EINVAL, "has 2097152 bytes, the guest 1048576");
	assert_int_equal(access(t->path, F_OK), 0);
}

static void guest_ram_create__disk_file_is_refused(void **state)
{
	struct t_ram *t = *state;
	int r;

	t_file(t, t->disk, "ram", MIB);
	r = guest_ram_create(&t->ram, t->path, "m", MIB, &t->e);
	t_assert_failed(t, r, -EOPNOTSUPP, "disk file system");
	assert_int_equal(access(t->path, F_OK), 0);
}

static void guest_ram_create__leaves_nothing_on_a_disk(void **state)
{
	struct t_ram *t = *state;
	int r;

	t_path(t, t->disk, "ram");
	r = guest_ram_create(&t->ram, t->path, "m", MIB, &t->e);
	t_assert_failed(t, r, -EOPNOTSUPP, "disk file system");
	assert_int_equal(access(t->path, F_OK), -1);
}

static void guest_ram_create__bad_length_leaves_nothing(void **state)
{
	struct t_ram *t = *state;
	int r;

	t_path(t, t->shm, "ram");
	r = guest_ram_create(&t->ram, t->path, "m", MIB + 512, &t->e);
	t_assert_failed(t, r, -EINVAL, "not a multiple");
	assert_int_equal(access(t->path, F_OK), -1);
}

static void guest_ram_create__name_taken_leaves_nothing(void **state)
{
	struct t_ram *t = *state;

	t_path(t, t->shm, "one");
	assert_int_equal(guest_ram_create(&t->ram, t->path, "m", MIB, &t->e),
			 0);
	t_path(t, t->shm, "two");
	assert_int_equal(guest_ram_create(&t->ram, t->path, "m", MIB, &t->e),
			 -EEXIST);
	assert_int_equal(access(t->path, F_OK), -1);
	assert_int_equal(t->ram.map.n_blocks, 1);
}

static void guest_ram_create__no_such_directory(void **state)
{
	struct t_ram *t = *state;
	int r;

	t_path(t, t->shm, "no/ram");
	r = guest_ram_create(&t->ram, t->path, "m", MIB, &t->e);
	t_assert_failed(t, r, -ENOENT, "No such file");
}

static void guest_ram_create__directory(void **state)
{
	struct t_ram *t = *state;
	int r = guest_ram_create(&t->ram, strcpy(t->path, t->shm), "m", MIB,
				 &t->e);

	t_assert_failed(t, r, -EISDIR, "a directory");
}

static void guest_ram_create__fifo_does_not_wait(void **state)
{
	struct t_ram *t = *state;
	int r;

	assert_int_equal(mkfifo(t_path(t, t->shm, "fifo"), 0600), 0);
	r = guest_ram_create(&t->ram, t->path, "m", MIB, &t->e);
	t_assert_failed(t, r, -EINVAL, "a FIFO");
}

/* -- guest_ram_close, guest_ram_discard ---------------------------------------- */

static void guest_ram_close__keeps_what_was_created(void **state)
{
	struct t_ram *t = *state;

	t_path(t, t->shm, "ram");
	assert_int_equal(guest_ram_create(&t->ram, t->path, "m", MIB, &t->e),
			 0);
	guest_ram_close(&t->ram);
	assert_int_equal(access(t->path, F_OK), 0);
	assert_int_equal(t->ram.map.n_blocks, 0);
}

static void guest_ram_discard__removes_what_was_created(void **state)
{
	struct t_ram *t = *state;

	t_path(t, t->shm, "ram");
	assert_int_equal(guest_ram_create(&t->ram, t->path, "m", MIB, &t->e),
			 0);
	guest_ram_discard(&t->ram);
	assert_int_equal(access(t->path, F_OK), -1);
	assert_int_equal(t->ram.map.n_blocks, 0);
}

static void guest_ram_discard__keeps_what_was_there(void **state)
{
	struct t_ram *t = *state;

	t_file(t, t->shm, "ram", MIB);
	assert_int_equal(guest_ram_create(&t->ram, t->path, "m", MIB, &t->e),
			 0);
	guest_ram_discard(&t->ram);
	assert_int_equal(access(t->path, F_OK), 0);
}

static void guest_ram_discard__keeps_what_took_its_place(void **state)
{
	struct t_ram *t = *state;

	t_path(t, t->shm, "ram");
	assert_int_equal(guest_ram_create(&t->ram, t->path, "m", MIB, &t->e),
			 0);
	assert_int_equal(unlink(t->path), 0);
	t_file(t, t->shm, "ram", MIB);
	guest_ram_discard(&t->ram);
	assert_int_equal(access(t->path, F_OK), 0);
}

/* -- guest_ram_extents ---------------------------------------------------------- */

static void guest_ram_extents__are_those_of_the_file(void **state)
{
	struct t_ram *t = *state;
	char text[256] = "";

	t_file(t, t->shm, "ram", MIB);
	t_write(t->path, 0, 1);
	t_write(t->path, 7 * PAGE + 100, PAGE);
	assert_int_equal(guest_ram_open(&t->ram, t->path, "m", &t->e), 0);
	assert_int_equal(guest_ram_extents(&t->ram, 0, t_list_add, text, &t->e),
			 0);
	assert_string_equal(text, "0+1 7+2");
}

static void guest_ram_extents__no_such_block(void **state)
{
	struct t_ram *t = *state;

	assert_int_equal(guest_ram_extents(&t->ram, 0, t_list_add, NULL, &t->e),
			 -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guest_ram_open__shared_memory_can_be_pinned),
		T(guest_ram_open__shows_what_the_guest_writes),
		T(guest_ram_open__takes_a_memfd_of_another_process),
		T(guest_ram_open__disk_file_is_not_for_pinning),
		T(guest_ram_open__absent_file),
		T(guest_ram_open__directory),
		T(guest_ram_open__fifo_does_not_wait),
		T(guest_ram_open__device),
		T(guest_ram_open__empty_file),
		T(guest_ram_open__not_a_multiple_of_a_page),
		T(guest_ram_open__shared_memory_without_right_to_write),
		T(guest_ram_open__disk_file_without_right_to_write),
		T(guest_ram_open__sealed_memfd),
		T(guest_ram_open__name_taken),
		T(guest_ram_open__path_too_long),
		T(guest_ram_create__new_file_is_one_hole),
		T(guest_ram_create__more_than_all_memory),
		T(guest_ram_create__can_be_written),
		T(guest_ram_create__existing_file_of_the_right_size),
		T(guest_ram_create__dirtied_is_what_is_populated),
		T(guest_ram_create__wrong_size),
		T(guest_ram_create__disk_file_is_refused),
		T(guest_ram_create__leaves_nothing_on_a_disk),
		T(guest_ram_create__bad_length_leaves_nothing),
		T(guest_ram_create__name_taken_leaves_nothing),
		T(guest_ram_create__no_such_directory),
		T(guest_ram_create__directory),
		T(guest_ram_create__fifo_does_not_wait),
		T(guest_ram_close__keeps_what_was_created),
		T(guest_ram_discard__removes_what_was_created),
		T(guest_ram_discard__keeps_what_was_there),
		T(guest_ram_discard__keeps_what_took_its_place),
		T(guest_ram_extents__are_those_of_the_file),
		T(guest_ram_extents__no_such_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
