// SPDX-License-Identifier: GPL-2.0-or-later
/* slowdisk.c - a file that takes its time to be read
 *
 *   slowdisk FILE MOUNTPOINT DELAY_MS [cached]
 *
 * Mounts a file system of one read-only file, with FILE's content, on the
 * existing file MOUNTPOINT; it speaks the kernel's FUSE protocol itself.  Each
 * read is answered DELAY_MS after it was asked for, any number at a time.
 *
 * Readers without O_DIRECT, too, read past the page cache, unless it is "cached".
 *
 * What this is for: a read with O_DIRECT has the reader's pages pinned when it
 * is asked for, and the kernel writes to them when it is answered, past the
 * reader's page tables.  A real disk does the same within a fraction of a
 * millisecond; here a test can look in between.
 *
 *   SIGUSR1    answer nothing from now on; says "holding"
 *   SIGUSR2    answer as before, and at once what was held
 *   SIGTERM    unmount
 *
 * On stdout: "ready"; while it holds, "held N" whenever the number of reads
 * that wait has grown.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define READ_MAX (1 << 17) /* what the kernel asks for at most */
#define WAIT_MAX 1024

struct read_req {
	uint64_t unique, offset, due_ns;
	uint32_t size;
};

static struct {
	int dev, file, signals;
	off_t len;
	uint64_t delay_ns;
	bool is_cached;
	bool is_holding;
	struct read_req wait[WAIT_MAX]; /* the oldest first */
	unsigned int n_wait;
} disk;

static void die(const char *what)
{
	fprintf(stderr, "slowdisk: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void reply(uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof(head) + len),
		.error = error,
		.unique = unique,
	};
	struct iovec iov[2] = { { &head, sizeof(head) },
				{ (void *)(uintptr_t)data, len } };

	/* ENOENT: the asker was interrupted */
	if (writev(disk.dev, iov, len ? 2 : 1) < 0 && errno != ENOENT)
		die("reply");
}

static struct fuse_attr attributes(void)
{
	return (struct fuse_attr){
		.ino = FUSE_ROOT_ID,
		.size = (uint64_t)disk.len,
		.blocks = (uint64_t)disk.len / 512,
		.mode = S_IFREG | 0444,
		.nlink = 1,
		.blksize = 4096,
	};
}

/* -- reads -------------------------------------------------------------------- */

static void read_later(const struct fuse_in_header *head,
		       const struct fuse_read_in *in)
{
	if (disk.n_wait == WAIT_MAX) {
		reply(head->unique, -EIO, NULL, 0);
		return;
	}
	disk.wait[disk.n_wait++] = (struct read_req){
		.unique = head->unique,
		.offset = in->offset,
		.size = in->size < READ_MAX ? in->size : READ_MAX,
		.due_ns = now_ns() + disk.delay_ns,
	};
	if (disk.is_holding)
		printf("held %u\n", disk.n_wait);
}

static void answer_first(void)
{
	static char buf[READ_MAX];
	const struct read_req req = disk.wait[0];
	ssize_t n = pread(disk.file, buf, req.size, (off_t)req.offset);

	memmove(disk.wait, disk.wait + 1, --disk.n_wait * sizeof(disk.wait[0]));
	if (n < 0)
		reply(req.unique, -errno, NULL, 0);
	else
		reply(req.unique, 0, buf, (size_t)n);
}

static void answer_due(void)
{
	while (!disk.is_holding && disk.n_wait &&
	       disk.wait[0].due_ns <= now_ns())
		answer_first();
}

static int until_due_ms(void)
{
	uint64_t now = now_ns();

	if (disk.is_holding || !disk.n_wait)
		return -1;
	if (disk.wait[0].due_ns <= now)
		return 0;
	return (int)((disk.wait[0].due_ns - now) / 1000000) + 1;
}

/* -- requests ------------------------------------------------------------------- */

static void reply_init(uint64_t unique, const struct fuse_init_in *in)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = in->max_readahead,
		.flags = in->flags & FUSE_ASYNC_DIO,
		.max_write = READ_MAX,
		.max_background = WAIT_MAX,
		.congestion_threshold = WAIT_MAX,
	};

	if (in->minor < out.minor)
		out.minor = in->minor;
	reply(unique, 0, &out, sizeof(out));
}

static void reply_attr(uint64_t unique)
{
	struct fuse_attr_out out = { .attr_valid = 3600, .attr = attributes() };

	reply(unique, 0, &out, sizeof(out));
}

static void reply_open(uint64_t unique)
{
	struct fuse_open_out out = {
		.open_flags = disk.is_cached ? FOPEN_KEEP_CACHE :
					       FOPEN_DIRECT_IO,
	};

	reply(unique, 0, &out, sizeof(out));
}

static void handle(const struct fuse_in_header *head, const void *in)
{
	switch (head->opcode) {
	case FUSE_INIT:
		reply_init(head->unique, in);
		break;
	case FUSE_GETATTR:
		reply_attr(head->unique);
		break;
	case FUSE_OPEN:
		reply_open(head->unique);
		break;
	case FUSE_READ:
		read_later(head, in);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		reply(head->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break; /* no answer is expected */
	default:
		reply(head->unique, -ENOSYS, NULL, 0);
	}
}

static bool take_request(void)
{
	static char buf[READ_MAX + 4096];
	ssize_t n = read(disk.dev, buf, sizeof(buf));

	if (n < 0)
		return errno != ENODEV; /* ENODEV: unmounted */
	handle((struct fuse_in_header *)buf,
	       buf + sizeof(struct fuse_in_header));
	return true;
}

/* -- its life ---------------------------------------------------------------------- */

static bool take_signal(void)
{
	struct signalfd_siginfo info;
	unsigned int i;

	if (read(disk.signals, &info, sizeof(info)) != sizeof(info))
		die("signalfd");
	switch (info.ssi_signo) {
	case SIGUSR1:
		disk.is_holding = true;
		puts("holding");
		return true;
	case SIGUSR2:
		disk.is_holding = false;
		for (i = 0; i < disk.n_wait; i++)
			disk.wait[i].due_ns = 0;
		return true;
	default:
		return false;
	}
}

static void start(const char *file, const char *mountpoint)
{
	char options[100];
	struct stat st;
	sigset_t set;

	disk.file = open(file, O_RDONLY | O_CLOEXEC);
	if (disk.file < 0 || fstat(disk.file, &st))
		die(file);
	disk.len = st.st_size;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	disk.signals = signalfd(-1, &set, SFD_CLOEXEC);
	disk.dev = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (disk.dev < 0)
		die("/dev/fuse");
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=100444,user_id=0,group_id=0,allow_other",
		 disk.dev);
	if (mount("slowdisk", mountpoint, "fuse.slowdisk",
		  MS_NOSUID | MS_NODEV | MS_RDONLY, options))
		die(mountpoint);
}

static void serve(void)
{
	struct pollfd fds[2] = { { .fd = disk.dev, .events = POLLIN },
				 { .fd = disk.signals, .events = POLLIN } };

	for (;;) {
		if (poll(fds, 2, until_due_ms()) < 0)
			die("poll");
		if (fds[1].revents && !take_signal())
			return;
		if (fds[0].revents && !take_request())
			return;
		answer_due();
	}
}

int main(int argc, char **argv)
{
	if (argc != 4 && argc != 5) {
		fputs("usage: slowdisk FILE MOUNTPOINT DELAY_MS [cached]\n",
		      stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	disk.is_cached = argc == 5 && !strcmp(argv[4], "cached");
	disk.delay_ns = strtoull(argv[3], NULL, 10) * 1000000;
	start(argv[1], argv[2]);
	puts("ready");
	serve();
	umount2(argv[2], MNT_DETACH);
	return 0;
}
