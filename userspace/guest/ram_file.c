// SPDX-License-Identifier: GPL-2.0-or-later
/* ram_file.c - what a file of guest memory must be
 *
 * The questions that can be asked of a file, or of a path where there is none
 * yet, without mapping anything (which file systems are good for what is said
 * in ram.c).  A destination asks them twice: before it waits for a source, so
 * that the user hears of a mistake while they are there, and when the source
 * has come and the file is taken.
 */
#include "ram_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

int ram_file_errno(struct xm_error *e, const char *path, const char *what)
{
	int err = errno;

	return xm_fail(e, -err,
		       err == EACCES || err == EPERM ? XM_REASON_PERMISSION :
						       XM_REASON_MEMORY,
		       "%s: %s: %s", path, what, strerror(err));
}

int ram_file_check_type(const char *path, const struct stat *st,
			struct xm_error *e)
{
	const char *is = "not a file";

	if (S_ISREG(st->st_mode))
		return 0;
	if (S_ISDIR(st->st_mode))
		is = "a directory";
	else if (S_ISFIFO(st->st_mode))
		is = "a FIFO";
	else if (S_ISSOCK(st->st_mode))
		is = "a socket";
	else if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		is = "a device";
	return xm_fail(e, S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL,
		       XM_REASON_MEMORY,
		       "%s: is %s; guest memory is a file, for instance QEMU's "
		       "memory-backend-file,mem-path=...,share=on",
		       path, is);
}

int ram_file_learn(struct guest_block *b, struct xm_error *e)
{
	struct statfs fs;

	if (fstatfs(b->fd, &fs))
		return ram_file_errno(e, b->path, "fstatfs");
	/* The field is signed, and narrow on some machines. */
	b->can_pin = (uint32_t)fs.f_type == TMPFS_MAGIC;
	b->page_size = XM_PAGE_SIZE;
	if ((uint32_t)fs.f_type == HUGETLBFS_MAGIC) {
		b->can_pin = true;
		b->page_size = (size_t)fs.f_bsize;
	}
	return 0;
}

int ram_file_check_seals(const struct guest_block *b, struct xm_error *e)
{
	int seals = fcntl(b->fd, F_GET_SEALS);

	if (seals >= 0 && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return xm_fail(e, -EPERM, XM_REASON_PERMISSION,
			       "%s: sealed against writing; memory that is to "
			       "be pinned must not be",
			       b->path);
	return 0;
}

int ram_file_check_shared(struct guest_block *b, struct xm_error *e)
{
	int r = ram_file_learn(b, e);

	if (r)
		return r;
	if (!b->can_pin)
		return xm_fail(e, -EOPNOTSUPP, XM_REASON_MEMORY,
			       "%s: is on a disk file system, which would set "
			       "the pace; use shared memory (tmpfs such as "
			       "/dev/shm, memfd, hugetlbfs)",
			       b->path);
	return 0;
}

/* -- a path before it is used ------------------------------------------------- */

static int path_check_file(struct guest_block *b, const struct stat *st,
			   struct xm_error *e)
{
	int r = ram_file_check_type(b->path, st, e);

	if (r)
		return r;
	b->fd = open(b->path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (b->fd < 0)
		return ram_file_errno(e, b->path, "guest memory");
	r = ram_file_check_shared(b, e);
	return r ? r : ram_file_check_seals(b, e);
}

/* Could a file be made there? */
static int path_check_folder(struct guest_block *b, struct xm_error *e)
{
	char dir[sizeof(b->path)], *slash;
	int r;

	strcpy(dir, b->path);
	slash = strrchr(dir, '/');
	if (!slash)
		strcpy(dir, ".");
	else
		slash[slash == dir] = '\0'; /* of "/file" the slash stays */
	b->fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->fd < 0)
		return ram_file_errno(e, b->path, "guest memory");
	r = ram_file_check_shared(b, e);
	if (!r && faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS))
		return ram_file_errno(e, b->path, "cannot be created");
	return r;
}

/* Neither a file nor room for one: a link to nowhere. */
static int path_fail_link(const char *path, struct xm_error *e)
{
	char to[200];
	ssize_t len = readlink(path, to, sizeof(to) - 1);

	to[len > 0 ? len : 0] = '\0';
	return xm_fail(e, -ENOENT, XM_REASON_MEMORY,
		       "%s: is a symbolic link to %s, which does not exist; "
		       "remove the link, or name the file itself",
		       path, to);
}

int guest_ram_check_path(const char *path, struct xm_error *e)
{
	struct guest_block b = { .fd = -1 };
	struct stat st;
	int r;

	if (strlen(path) >= sizeof(b.path))
		return xm_fail(e, -ENAMETOOLONG, XM_REASON_MEMORY,
			       "%.40s...: path longer than %zu bytes", path,
			       sizeof(b.path) - 1);
	strcpy(b.path, path);
	if (!stat(path, &st))
		r = path_check_file(&b, &st, e);
	else if (errno != ENOENT)
		r = ram_file_errno(e, path, "guest memory");
	else if (!lstat(path, &st))
		r = path_fail_link(path, e);
	else
		r = path_check_folder(&b, e);
	if (b.fd >= 0)
		close(b.fd);
	return r;
}
