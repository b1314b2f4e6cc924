// SPDX-License-Identifier: GPL-2.0-or-later
/* qemu_proc.c - the process behind a monitor, and the files of its memory
 *
 * QMP does not say who answers.  The kernel does: SO_PEERCRED names the process
 * that made the socket listen.  That is QEMU, unless a launcher (libvirt) made
 * the socket and passed it on.  So nobody is believed who does not have the
 * guest's RAM mapped, shared, where qemu_mem.c found it; and if the one that
 * the socket names does not, all processes are gone through for one that has,
 * and has an end of a socket of that name open as well (/proc/PID/net/unix,
 * which lists accepted connections under their listener's name).  A pid is
 * held by a pidfd before its maps are read, so that it cannot be reused.
 *
 * The file: a mapping in /proc/PID/maps gives device and inode, and QEMU keeps
 * the descriptor of each backend open, so /proc/PID/fd has one of that device
 * and inode.  Opened from there it is the very file, even if it has no name (a
 * memfd, or unlinked) or another file has its name by now.  This takes the right
 * to trace QEMU, which logging its writes takes anyway.
 *
 * A block's memory may be several mappings in /proc/PID/maps (policies and
 * madvise split them) but is one range of one file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "qemu_priv.h"
#include "tracee_stop.h"
#include "util/fd.h"

/* -- mappings --------------------------------------------------------------- */

/* What a block is mapped from. */
struct span {
	dev_t dev;
	ino_t ino;
	uint64_t file_off;
	uint64_t covered; /* bytes from the block's beginning on */
};

/* Let @span grow by a line of maps, which are ascending. */
static void grow_span(struct span *span, const struct qemu_block *b,
		      const char *line)
{
	uint64_t start, end, off, at = b->hva + span->covered;
	unsigned int maj, min;
	uint64_t ino;
	char perms[5];

	if (sscanf(line,
		   "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64,
		   &start, &end, perms, &off, &maj, &min, &ino) != 7)
		return;
	if (span->covered == b->len || start > at || end <= at)
		return;
	if (perms[3] != 's' || !ino)
		return;
	off += at - start;
	if (!span->covered) {
		span->dev = makedev(maj, min);
		span->ino = (ino_t)ino;
		span->file_off = off;
	} else if (span->dev != makedev(maj, min) || span->ino != ino ||
		   off != span->file_off + span->covered) {
		return;
	}
	span->covered = end - b->hva < b->len ? end - b->hva : b->len;
}

/* Find all blocks in process @pid.  True, false, or -errno: cannot be read. */
static int find_spans(const struct qemu *q, pid_t pid, struct span *spans)
{
	char path[40], *line = NULL;
	size_t size = 0;
	unsigned int i;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	memset(spans, 0, q->n_blocks * sizeof(*spans));
	while (getline(&line, &size, f) > 0)
		for (i = 0; i < q->n_blocks; i++)
			grow_span(&spans[i], &q->block[i], line);
	free(line);
	fclose(f);
	for (i = 0; i < q->n_blocks; i++)
		if (spans[i].covered != q->block[i].len)
			return false;
	return true;
}

/* -- files ------------------------------------------------------------------ */

/* Call @cb for each descriptor of @pid until it returns non-zero; returns
 * that, 0, or -errno. */
static int each_fd(pid_t pid, int (*cb)(void *arg, const char *path), void *arg)
{
	char path[40 + sizeof(((struct dirent *)NULL)->d_name)];
	struct dirent *entry;
	int r = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!r && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid,
			 entry->d_name);
		r = cb(arg, path);
	}
	closedir(dir);
	return r;
}

struct same_file {
	dev_t dev;
	ino_t ino;
	int fd, err;
};

static int open_same(void *arg, const char *path)
{
	struct same_file *want = arg;
	struct stat st;

	if (stat(path, &st) || st.st_dev != want->dev || st.st_ino != want->ino)
		return 0;
	want->fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	want->err = want->fd < 0 ? errno : 0;
	return 1;
}

static int open_file(const struct qemu *q, struct qemu_block *b,
		     const struct span *span, struct xm_error *e)
{
	struct same_file want = { span->dev, span->ino, -1, 0 };
	struct statfs fs;
	int r = each_fd(q->pid, open_same, &want);

	if (r > 0 && want.err)
		r = -want.err;
	if (r < 0)
		return xm_fail(e, r,
			       r == -EACCES || r == -EPERM ?
				       XM_REASON_PERMISSION :
				       XM_REASON_MEMORY,
			       "%s: cannot open it as process %d has it: %s",
			       b->path, (int)q->pid, strerror(-r));
	if (!r)
		return xm_fail(e, -ENOENT, XM_REASON_MEMORY,
			       "%s: process %d has it mapped but not open",
			       b->path, (int)q->pid);
	b->fd = want.fd;
	b->file_off = span->file_off;
	if (fstatfs(b->fd, &fs))
		return xm_fail(e, -errno, XM_REASON_MEMORY, "%s: fstatfs: %s",
			       b->path, strerror(errno));
	b->page_size = (uint32_t)fs.f_type == HUGETLBFS_MAGIC ?
			       (size_t)fs.f_bsize :
			       XM_PAGE_SIZE;
	if ((uint32_t)fs.f_type != HUGETLBFS_MAGIC &&
	    (uint32_t)fs.f_type != TMPFS_MAGIC)
		return xm_fail(e, -EOPNOTSUPP, XM_REASON_MEMORY,
			       "%s: guest memory on a disk file system; use a "
			       "mem-path on tmpfs such as /dev/shm, or on "
			       "hugetlbfs",
			       b->path);
	return 0;
}

/* -- the process -------------------------------------------------------------- */

/* 1: it is @pid, held by q->pidfd; 0: it is not; -errno: cannot be told. */
static int try_process(struct qemu *q, pid_t pid, struct span *spans)
{
	int fd fd_cleanup = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd gone = { .events = POLLIN };
	int r;

	if (fd < 0)
		return errno == ESRCH ? 0 : -errno;
	r = find_spans(q, pid, spans);
	gone.fd = fd;
	if (r <= 0 || poll(&gone, 1, 0))
		return r < 0 ? r : 0;
	q->pid = pid;
	q->pidfd = fd_steal(&fd);
	return 1;
}

struct sockets {
	ino_t *ino;
	unsigned int n;
};

/* The inodes of all sockets called @name, as @pid's network namespace has
 * them. */
static int list_sockets(pid_t pid, const char *name, struct sockets *s)
{
	char path[40], *line = NULL;
	size_t size = 0;
	ino_t *grown;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/net/unix", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0) {
		uint64_t ino;
		int at = 0;

		/* Num RefCount Protocol Flags Type St Inode Path */
		if (sscanf(line, "%*s %*x %*x %*x %*x %*x %" SCNu64 " %n", &ino,
			   &at) != 1 ||
		    !at)
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line + at, name))
			continue;
		grown = reallocarray(s->ino, s->n + 1, sizeof(*s->ino));
		if (!grown)
			break;
		s->ino = grown;
		s->ino[s->n++] = (ino_t)ino;
	}
	free(line);
	fclose(f);
	return 0;
}

static int is_one_of(void *arg, const char *path)
{
	const struct sockets *s = arg;
	unsigned int i;
	struct stat st;

	if (stat(path, &st) || !S_ISSOCK(st.st_mode))
		return 0;
	for (i = 0; i < s->n; i++)
		if (s->ino[i] == st.st_ino)
			return 1;
	return 0;
}

static bool has_socket(pid_t pid, const char *name)
{
	struct sockets s = { 0 };
	bool has;

	has = !list_sockets(pid, name, &s) && each_fd(pid, is_one_of, &s) > 0;
	free(s.ino);
	return has;
}

/* Go through all processes. */
static int search(struct qemu *q, struct span *spans)
{
	struct sockaddr_un peer = { 0 };
	socklen_t len = sizeof(peer) - 1; /* stays terminated */
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	if (getpeername(qmp_fd(q->qmp), (struct sockaddr *)&peer, &len))
		return -errno;
	dir = opendir("/proc");
	if (!dir)
		return -errno;
	while (r <= 0 && (entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid <= 0)
			continue;
		r = try_process(q, pid, spans);
		if (r > 0 && !has_socket(pid, peer.sun_path)) {
			q->pidfd = fd_close(q->pidfd);
			r = 0;
		}
	}
	closedir(dir);
	return r > 0;
}

static int fail_process(const struct qemu *q, int why, struct xm_error *e)
{
	pid_t pid = qmp_pid(q->qmp);

	if (why == -EACCES || why == -EPERM)
		return xm_fail(e, why, XM_REASON_PERMISSION,
			       "%s: no right to look into process %d (%s); run "
			       "xdpmig as root, or as QEMU's user with "
			       "CAP_SYS_PTRACE",
			       qmp_path(q->qmp), (int)pid, strerror(-why));
	return xm_fail(e, -ESRCH, XM_REASON_MEMORY,
		       "%s: process %d made this socket but does not have the "
		       "guest's RAM (%s) mapped, and no process that has it "
		       "and this socket open is to be seen in /proc; run "
		       "xdpmig in QEMU's pid namespace, as root",
		       qmp_path(q->qmp), (int)pid, q->block[0].path);
}

int qemu_find_process(struct qemu *q, struct xm_error *e)
{
	struct span spans[XM_BLOCK_MAX] = { 0 };
	pid_t pid = qmp_pid(q->qmp);
	unsigned int i;
	int why, r;

	why = pid > 0 ? try_process(q, pid, spans) : 0;
	if (why <= 0 && search(q, spans) <= 0)
		return fail_process(q, why, e);
	r = 0;
	for (i = 0; !r && i < q->n_blocks; i++)
		r = open_file(q, &q->block[i], &spans[i], e);
	return r;
}

bool qemu_is_others(const struct qemu *q)
{
	unsigned int uid[4] = { 0 };
	char ids[64] = "";

	/* real, effective, saved, of the file system */
	(void)tracee_status(q->pid, "Uid:", ids, sizeof(ids));
	return sscanf(ids, "%u %u %u %u", &uid[0], &uid[1], &uid[2], &uid[3]) !=
		       4 ||
	       uid[0] != geteuid() || uid[3] != geteuid();
}

bool qemu_has_thread(const struct qemu *q, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)q->pid, (int)tid);
	return tid > 0 && !access(path, F_OK);
}

bool qemu_file_is_cached(const struct qemu *q, const char *path)
{
	/* A FUSE file system may have its pages written straight into the
	 * reader's memory whatever QEMU asked for, and so may network file
	 * systems without a cache. */
	static const unsigned long cached[] = {
		EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
		F2FS_SUPER_MAGIC, TMPFS_MAGIC,     NFS_SUPER_MAGIC,
	};
	char there[PATH_MAX];
	struct statfs fs;
	unsigned int i;
	int n;

	n = snprintf(there, sizeof(there), "/proc/%d/%s/%s", (int)q->pid,
		     path[0] == '/' ? "root" : "cwd", path);
	if (n < 0 || (size_t)n >= sizeof(there) || statfs(there, &fs))
		return false;
	for (i = 0; i < sizeof(cached) / sizeof(*cached); i++)
		if ((unsigned long)fs.f_type == cached[i])
			return true;
	return false;
}
