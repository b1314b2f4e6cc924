// SPDX-License-Identifier: GPL-2.0-or-later
/* What recv says of a path before it waits for a source: every mistake that can
 * be seen without the guest's size, and nothing is touched. */
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
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

struct t_path {
	char shm[64], disk[64];
	char path[300];
	struct xm_error e;
};

static int setup(void **state)
{
	struct t_path *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	strcpy(t->shm, "/dev/shm/xdpmig-ram_path-XXXXXX");
	strcpy(t->disk, "/var/tmp/xdpmig-ram_path-XXXXXX");
	assert_non_null(mkdtemp(t->shm));
	assert_non_null(mkdtemp(t->disk));
	*state = t;
	return 0;
}

/* Folders are empty again, or the test has left something there. */
static int teardown(void **state)
{
	struct t_path *t = *state;
	int r = rmdir(t->shm) | rmdir(t->disk);

	free(t);
	return r;
}

static const char *t_name(struct t_path *t, const char *dir, const char *name)
{
	snprintf(t->path, sizeof(t->path), "%s/%s", dir, name);
	return t->path;
}

static void t_touch(struct t_path *t, const char *dir, mode_t mode)
{
	int fd = open(t_name(t, dir, "ram"), O_RDWR | O_CREAT | O_EXCL, mode);

	assert_true(fd >= 0);
	close(fd);
}

static int t_check(struct t_path *t)
{
	memset(&t->e, 0, sizeof(t->e));
	return guest_ram_check_path(t->path, &t->e);
}

static void t_refused(struct t_path *t, int r, int err, const char *text)
{
	assert_int_equal(r, err);
	assert_int_equal(t->e.err, err);
	if (!strstr(t->e.msg, text) || !strstr(t->e.msg, t->path))
		fail_msg("no '%s' for %s in: %s", text, t->path, t->e.msg);
}

static int t_check_as_user(struct t_path *t)
{
	uid_t uid = geteuid();
	int r;

	assert_int_equal(chmod(t->shm, 0755), 0);
	if (!uid)
		assert_int_equal(seteuid(65534), 0);
	r = t_check(t);
	if (!uid)
		assert_int_equal(seteuid(uid), 0);
	return r;
}

static void guest_ram_check_path__room_for_a_file(void **state)
{
	struct t_path *t = *state;

	t_name(t, t->shm, "new");
	assert_int_equal(t_check(t), 0);
	assert_int_equal(access(t->path, F_OK), -1); /* nothing is made */
}

static void guest_ram_check_path__a_file(void **state)
{
	struct t_path *t = *state;

	t_touch(t, t->shm, 0600);
	assert_int_equal(t_check(t), 0);
	unlink(t->path);
}

static void guest_ram_check_path__relative(void **state)
{
	struct t_path *t = *state;
	char was[300];

	assert_non_null(getcwd(was, sizeof(was)));
	assert_int_equal(chdir(t->shm), 0);
	strcpy(t->path, "new");
	assert_int_equal(t_check(t), 0);
	assert_int_equal(chdir(was), 0);
}

static void guest_ram_check_path__in_the_root(void **state)
{
	struct t_path *t = *state;
	struct statfs fs;
	int r;

	strcpy(t->path, "/xdpmig-ram_path-none");
	r = t_check(t);
	assert_int_equal(statfs("/", &fs), 0);
	if ((uint32_t)fs.f_type != 0x01021994) /* tmpfs, in a container */
		t_refused(t, r, -EOPNOTSUPP, "disk file system");
}

static void guest_ram_check_path__on_a_disk(void **state)
{
	struct t_path *t = *state;

	t_name(t, t->disk, "new");
	t_refused(t, t_check(t), -EOPNOTSUPP, "disk file system");
	t_touch(t, t->disk, 0600);
	t_refused(t, t_check(t), -EOPNOTSUPP, "disk file system");
	unlink(t->path);
}

static void guest_ram_check_path__no_such_directory(void **state)
{
	struct t_path *t = *state;

	t_name(t, t->shm, "no/such");
	t_refused(t, t_check(t), -ENOENT, "No such file");
}

static void guest_ram_check_path__below_a_file(void **state)
{
	struct t_path *t = *state;
	char file[300];

	t_touch(t, t->shm, 0600);
	strcpy(file, t->path);
	t_name(t, t->shm, "ram/below");
	t_refused(t, t_check(t), -ENOTDIR, "Not a directory");
	unlink(file);
}

static void guest_ram_check_path__what_is_no_file(void **state)
{
	struct t_path *t = *state;

	strcpy(t->path, t->shm);
	t_refused(t, t_check(t), -EISDIR, "is a directory");
	strcpy(t->path, "/dev/null");
	t_refused(t, t_check(t), -EINVAL, "is a device");
	assert_int_equal(mkfifo(t_name(t, t->shm, "fifo"), 0600), 0);
	t_refused(t, t_check(t), -EINVAL, "is a FIFO");
	unlink(t->path);
}

static void guest_ram_check_path__dangling_link(void **state)
{
	struct t_path *t = *state;

	t_name(t, t->shm, "link");
	assert_int_equal(symlink("/dev/shm/nowhere", t->path), 0);
	t_refused(t, t_check(t), -ENOENT,
		  "is a symbolic link to /dev/shm/nowhere, which does not "
		  "exist");
	unlink(t->path);
}

static void guest_ram_check_path__sealed(void **state)
{
	struct t_path *t = *state;
	int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	snprintf(t->path, sizeof(t->path), "/proc/self/fd/%d", fd);
	assert_int_equal(t_check(t), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	t_refused(t, t_check(t), -EPERM, "sealed");
	close(fd);
}

static void guest_ram_check_path__no_right_to_write(void **state)
{
	struct t_path *t = *state;

	t_touch(t, t->shm, 0444);
	t_refused(t, t_check_as_user(t), -EACCES, "Permission denied");
	assert_int_equal(t->e.reason, XM_REASON_PERMISSION);
	unlink(t->path);
	if (geteuid()) /* the folder is ours */
		return;
	t_name(t, t->shm, "new");
	t_refused(t, t_check_as_user(t), -EACCES, "cannot be created");
	assert_int_equal(t->e.reason, XM_REASON_PERMISSION);
}

static void guest_ram_check_path__too_long(void **state)
{
	struct t_path *t = *state;

	memset(t->path, 'x', sizeof(t->path) - 1);
	assert_int_equal(t_check(t), -ENAMETOOLONG);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guest_ram_check_path__room_for_a_file),
		T(guest_ram_check_path__a_file),
		T(guest_ram_check_path__relative),
		T(guest_ram_check_path__in_the_root),
		T(guest_ram_check_path__on_a_disk),
		T(guest_ram_check_path__no_such_directory),
		T(guest_ram_check_path__below_a_file),
		T(guest_ram_check_path__what_is_no_file),
		T(guest_ram_check_path__dangling_link),
		T(guest_ram_check_path__sealed),
		T(guest_ram_check_path__no_right_to_write),
		T(guest_ram_check_path__too_long),
	};

	return cmocka_run_group_tests_name("ram_path", tests, NULL, NULL);
}
