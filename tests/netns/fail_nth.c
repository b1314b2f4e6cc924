// SPDX-License-Identifier: GPL-2.0-or-later
/* fail_nth.c - let the n-th call of a kind fail
 *
 * Preloaded into xdpmig by nth.sh.  Calls of four kinds are counted, those of
 * xdpmig and those of the libraries it uses:
 *
 *   memory   malloc() and its relatives                            ENOMEM
 *   map      mmap(), mremap(), mlock(), madvise()                  ENOMEM
 *   fd       what makes a descriptor: open(), socket(), dup() ...  EMFILE
 *   call     other system calls, bpf() among them, and threads     ENOMEM
 *
 *   XM_FAIL="KIND N"        the n-th call of that kind fails, and no other
 *   XM_FAIL="KIND N+"       and all that come after it
 *   XM_FAIL="KIND N ERRNO"  with another error, a number
 *   XM_FAIL_LOG=FILE        gets a line for each call from a new place, which is
 *                           a function and who called it, down to main():
 *                           "KIND N FUNCTION MODULE+OFFSET<MODULE+OFFSET<...";
 *                           and at the end a line "KIND N calls" of each kind.
 *                           With XM_FAIL only the line of what failed.
 *
 * What the C library calls within itself is not seen, so fopen() is wrapped and
 * not the open() in it.  Failing, a call does nothing.  What is said on stdout
 * and stderr is always let through, or nobody would hear of the failure.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum kind { MEMORY, MAP, FD, CALL, N_KINDS };

static const char *const kind_name[] = { "memory", "map", "fd", "call" };
static const int kind_errno[] = { ENOMEM, ENOMEM, EMFILE, ENOMEM };

#define DEPTH 24
#define SITES 16384 /* a power of two */

static atomic_uint count[N_KINDS];
static _Atomic uint64_t seen[SITES];
static int log_fd = -1;
static char log_path[256];
static bool is_ready, is_on; /* is_on: XM_FAIL was given */
static enum kind fail_kind;
static unsigned int fail_at;
static bool fail_all;
static int fail_errno;

/* The wrapper's own calls are not counted. */
static __thread __attribute__((tls_model("initial-exec"))) bool is_inside;

static void read_environment(void)
{
	const char *what = getenv("XM_FAIL"), *path = getenv("XM_FAIL_LOG");
	char kind[16] = "", plus = ' ';
	int err = 0;

	if (path)
		snprintf(log_path, sizeof(log_path), "%s", path);
	if (path)
		log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			      0600);
	if (log_fd >= 0 && log_fd < 1000) { /* away from those of the program */
		int high = fcntl(log_fd, F_DUPFD_CLOEXEC, 1000);

		if (high >= 0) {
			close(log_fd);
			log_fd = high;
		}
	}
	if (!what)
		return;
	if (sscanf(what, "%15s %u%c %d", kind, &fail_at, &plus, &err) < 2)
		abort();
	while (strcmp(kind_name[fail_kind], kind))
		if (++fail_kind == N_KINDS)
			abort();
	fail_all = plus == '+';
	fail_errno = err ? err : kind_errno[fail_kind];
	is_on = true;
}

__attribute__((constructor)) static void begin(void)
{
	void *pc[DEPTH];

	is_inside = true;
	(void)backtrace(pc, DEPTH); /* loads a library */
	read_environment();
	is_inside = false;
	is_ready = true;
}

__attribute__((destructor)) static void end(void)
{
	unsigned int k;

	is_ready = false;
	if (log_fd >= 0 && !is_on)
		for (k = 0; k < N_KINDS; k++)
			dprintf(log_fd, "%s %u calls\n", kind_name[k],
				atomic_load(&count[k]));
}

/* Who called, as text: the same wherever the modules lie.  Returns a hash. */
static uint64_t site_of(const char *function, char *text, size_t size)
{
	uint64_t hash = 14695981039346656037u;
	size_t used = (size_t)snprintf(text, size, "%s ", function);
	void *pc[DEPTH];
	int i, n = backtrace(pc, DEPTH);
	const char *p;

	for (i = 3; i < n && used < size; i++) { /* not those of this file */
		Dl_info info;
		const char *name = "?";
		uintptr_t base = 0;

		if (dladdr(pc[i], &info) && info.dli_fname) {
			p = strrchr(info.dli_fname, '/');
			name = p ? p + 1 : info.dli_fname;
			base = (uintptr_t)info.dli_fbase;
		}
		used += (size_t)snprintf(text + used, size - used, "%s%s+%#lx",
					 i > 3 ? "<" : "", name,
					 (uintptr_t)pc[i] - base);
	}
	for (p = text; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	return hash ? hash : 1;
}

static bool is_new(uint64_t hash)
{
	size_t i, at;

	for (i = 0; i < SITES; i++) {
		uint64_t is = 0;

		at = (hash + i) & (SITES - 1);
		if (atomic_compare_exchange_strong(&seen[at], &is, hash))
			return true;
		if (is == hash)
			return false;
	}
	return false;
}

static __attribute__((noinline)) void note(enum kind kind, unsigned int n,
					   const char *function)
{
	char text[1500];
	uint64_t hash = site_of(function, text, sizeof(text));

	if (!is_on && !is_new(hash))
		return;
	/* a process that closed all that it had not opened */
	if (fcntl(log_fd, F_GETFD) < 0)
		log_fd = open(log_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	dprintf(log_fd, "%s %u %s\n", kind_name[kind], n, text);
}

/* Is this call to fail?  errno is set then, and else left as it was. */
static __attribute__((noinline)) bool fails(enum kind kind,
					    const char *function)
{
	int was = errno;
	unsigned int n;
	bool yes;

	if (!is_ready || is_inside)
		return false;
	is_inside = true;
	n = atomic_fetch_add(&count[kind], 1) + 1;
	yes = is_on && kind == fail_kind &&
	      (n == fail_at || (fail_all && n > fail_at));
	if (log_fd >= 0 && (!is_on || n == fail_at) && (!is_on || yes))
		note(kind, n, function);
	is_inside = false;
	errno = yes ? fail_errno : was;
	return yes;
}

/* WRAP(KIND, TYPE, FAILED, NAME, (PARAMETERS), (ARGUMENTS)).  The wrapper has its name
 * for the linker only: to the compiler it is none of those that headers declare. */
/* NOLINTBEGIN(bugprone-macro-parentheses): types and lists */
#define WRAP(kind, type, failed, name, params, args)             \
	type nth_##name params __asm__(#name);                   \
	type nth_##name params                                   \
	{                                                        \
		static type(*_Atomic next) params;               \
		type(*go) params = next;                         \
                                                                 \
		if (!go) {                                       \
			*(void **)&go = dlsym(RTLD_NEXT, #name); \
			next = go;                               \
		}                                                \
		if (fails(kind, #name))                          \
			return failed;                           \
		return go args;                                  \
	}

/* -- memory ------------------------------------------------------------------ */

WRAP(MEMORY, void *, NULL, malloc, (size_t a), (a))
WRAP(MEMORY, void *, NULL, calloc, (size_t a, size_t b), (a, b))
WRAP(MEMORY, void *, NULL, realloc, (void *p, size_t a), (p, a))
WRAP(MEMORY, void *, NULL, reallocarray, (void *p, size_t a, size_t b),
     (p, a, b))
WRAP(MEMORY, void *, NULL, aligned_alloc, (size_t a, size_t b), (a, b))
WRAP(MEMORY, int, errno, posix_memalign, (void **p, size_t a, size_t b),
     (p, a, b))

/* -- mappings ----------------------------------------------------------------- */

WRAP(MAP, void *, MAP_FAILED, mmap,
     (void *p, size_t n, int prot, int flags, int fd, off_t at),
     (p, n, prot, flags, fd, at))
WRAP(MAP, void *, MAP_FAILED, mmap64,
     (void *p, size_t n, int prot, int flags, int fd, off64_t at),
     (p, n, prot, flags, fd, at))
WRAP(MAP, int, -1, mlock, (const void *p, size_t n), (p, n))
WRAP(MAP, int, -1, madvise, (void *p, size_t n, int how), (p, n, how))

/* -- descriptors --------------------------------------------------------------- */

WRAP(FD, FILE *, NULL, fopen, (const char *p, const char *m), (p, m))
WRAP(FD, FILE *, NULL, fopen64, (const char *p, const char *m), (p, m))
WRAP(FD, DIR *, NULL, opendir, (const char *p), (p))
WRAP(FD, int, -1, socket, (int a, int b, int c), (a, b, c))
WRAP(FD, int, -1, socketpair, (int a, int b, int c, int fd[2]), (a, b, c, fd))
WRAP(FD, int, -1, accept4,
     (int fd, struct sockaddr *a, socklen_t *len, int flags),
     (fd, a, len, flags))
WRAP(FD, int, -1, epoll_create1, (int flags), (flags))
WRAP(FD, int, -1, eventfd, (unsigned int n, int flags), (n, flags))
WRAP(FD, int, -1, signalfd, (int fd, const sigset_t *s, int flags),
     (fd, s, flags))
WRAP(FD, int, -1, dup, (int fd), (fd))
WRAP(FD, int, -1, dup3, (int fd, int to, int flags), (fd, to, flags))
WRAP(FD, int, -1, pipe2, (int fd[2], int flags), (fd, flags))
WRAP(FD, int, -1, memfd_create, (const char *p, unsigned int flags), (p, flags))
WRAP(FD, int, -1, pidfd_open, (pid_t pid, unsigned int flags), (pid, flags))

/* -- everything else ------------------------------------------------------------- */

WRAP(CALL, int, errno == ENOMEM ? EAGAIN : errno, pthread_create,
     (pthread_t * t, const pthread_attr_t *a, void *(*f)(void *), void *arg),
     (t, a, f, arg))
WRAP(CALL, pid_t, -1, fork, (void), ())
WRAP(CALL, int, -1, setsockopt,
     (int fd, int level, int name, const void *v, socklen_t len),
     (fd, level, name, v, len))
WRAP(CALL, int, -1, getsockopt,
     (int fd, int level, int name, void *v, socklen_t *len),
     (fd, level, name, v, len))
WRAP(CALL, int, -1, bind, (int fd, const struct sockaddr *a, socklen_t len),
     (fd, a, len))
WRAP(CALL, int, -1, listen, (int fd, int n), (fd, n))
WRAP(CALL, int, -1, connect, (int fd, const struct sockaddr *a, socklen_t len),
     (fd, a, len))
WRAP(CALL, int, -1, getsockname, (int fd, struct sockaddr *a, socklen_t *len),
     (fd, a, len))
WRAP(CALL, int, -1, getpeername, (int fd, struct sockaddr *a, socklen_t *len),
     (fd, a, len))
WRAP(CALL, int, -1, epoll_ctl,
     (int fd, int op, int other, struct epoll_event *ev), (fd, op, other, ev))
WRAP(CALL, int, -1, epoll_wait,
     (int fd, struct epoll_event *ev, int n, int timeout), (fd, ev, n, timeout))
WRAP(CALL, int, -1, poll, (struct pollfd * p, nfds_t n, int timeout),
     (p, n, timeout))
WRAP(CALL, int, -1, ppoll,
     (struct pollfd * p, nfds_t n, const struct timespec *timeout,
      const sigset_t *s),
     (p, n, timeout, s))
WRAP(CALL, ssize_t, -1, send, (int fd, const void *p, size_t n, int flags),
     (fd, p, n, flags))
WRAP(CALL, ssize_t, -1, sendto,
     (int fd, const void *p, size_t n, int flags, const struct sockaddr *a,
      socklen_t len),
     (fd, p, n, flags, a, len))
WRAP(CALL, ssize_t, -1, sendmsg, (int fd, const struct msghdr *m, int flags),
     (fd, m, flags))
WRAP(CALL, ssize_t, -1, recv, (int fd, void *p, size_t n, int flags),
     (fd, p, n, flags))
WRAP(CALL, ssize_t, -1, recvfrom,
     (int fd, void *p, size_t n, int flags, struct sockaddr *a, socklen_t *len),
     (fd, p, n, flags, a, len))
WRAP(CALL, ssize_t, -1, recvmsg, (int fd, struct msghdr *m, int flags),
     (fd, m, flags))
WRAP(CALL, int, -1, shutdown, (int fd, int how), (fd, how))
WRAP(CALL, int, -1, fstat64, (int fd, struct stat64 *s), (fd, s))
WRAP(CALL, int, -1, stat64, (const char *p, struct stat64 *s), (p, s))
WRAP(CALL, int, -1, lstat64, (const char *p, struct stat64 *s), (p, s))
WRAP(CALL, int, -1, fstatfs64, (int fd, struct statfs64 *s), (fd, s))
WRAP(CALL, int, -1, statfs64, (const char *p, struct statfs64 *s), (p, s))
WRAP(CALL, int, -1, ftruncate64, (int fd, off64_t n), (fd, n))
WRAP(CALL, off64_t, -1, lseek64, (int fd, off64_t n, int how), (fd, n, how))
WRAP(CALL, ssize_t, -1, pread64, (int fd, void *p, size_t n, off64_t at),
     (fd, p, n, at))
WRAP(CALL, ssize_t, -1, pwrite64, (int fd, const void *p, size_t n, off64_t at),
     (fd, p, n, at))
WRAP(CALL, int, -1, fsync, (int fd), (fd))
WRAP(CALL, int, -1, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(CALL, int, -1, flock, (int fd, int how), (fd, how))
WRAP(CALL, int, -1, access, (const char *p, int how), (p, how))
WRAP(CALL, int, -1, mkdir, (const char *p, mode_t mode), (p, mode))
WRAP(CALL, int, -1, unlink, (const char *p), (p))
WRAP(CALL, int, -1, rmdir, (const char *p), (p))
WRAP(CALL, int, -1, rename, (const char *p, const char *q), (p, q))
WRAP(CALL, ssize_t, -1, getrandom, (void *p, size_t n, unsigned int flags),
     (p, n, flags))
WRAP(CALL, int, -1, getifaddrs, (struct ifaddrs * *p), (p))
WRAP(CALL, struct if_nameindex *, NULL, if_nameindex, (void), ())
WRAP(CALL, unsigned int, 0, if_nametoindex, (const char *p), (p))
WRAP(CALL, int, EAI_MEMORY, getaddrinfo,
     (const char *p, const char *q, const struct addrinfo *h,
      struct addrinfo **a),
     (p, q, h, a))
WRAP(CALL, int, -1, sigaction,
     (int n, const struct sigaction *a, struct sigaction *was), (n, a, was))

/* -- other processes -------------------------------------------------------------- */

/* Not ptrace() and waitid(): of a thread that is stopped they fail only when it is
 * killed, and then there is nothing to leave behind (live_faults.sh, unit/tracee). */

WRAP(CALL, ssize_t, -1, process_vm_readv,
     (pid_t pid, const struct iovec *here, unsigned long n,
      const struct iovec *there, unsigned long m, unsigned long flags),
     (pid, here, n, there, m, flags))
WRAP(CALL, ssize_t, -1, process_vm_writev,
     (pid_t pid, const struct iovec *here, unsigned long n,
      const struct iovec *there, unsigned long m, unsigned long flags),
     (pid, here, n, there, m, flags))
WRAP(CALL, pid_t, -1, waitpid, (pid_t pid, int *status, int options),
     (pid, status, options))
WRAP(CALL, int, -1, kill, (pid_t pid, int sig), (pid, sig))
WRAP(CALL, int, -1, pidfd_send_signal,
     (int fd, int sig, siginfo_t *si, unsigned int flags), (fd, sig, si, flags))
WRAP(CALL, int, -1, setns, (int fd, int what), (fd, what))
WRAP(CALL, pid_t, -1, setsid, (void), ())
WRAP(CALL, ssize_t, -1, readlink, (const char *p, char *to, size_t n),
     (p, to, n))
WRAP(CALL, int, -1, faccessat, (int dir, const char *p, int how, int flags),
     (dir, p, how, flags))
WRAP(CALL, int, -1, getrlimit64, (int what, struct rlimit64 *lim), (what, lim))
WRAP(CALL, int, -1, dup2, (int fd, int to), (fd, to))

/* An eventfd's 8 bytes: a number in the kernel, and nothing that could fail. */
static bool is_eventfd(size_t n)
{
	return n == sizeof(uint64_t);
}

ssize_t nth_read(int fd, void *p, size_t n) __asm__("read");
ssize_t nth_read(int fd, void *p, size_t n)
{
	ssize_t (*go)(int, void *, size_t);

	*(void **)&go = dlsym(RTLD_NEXT, "read");
	if (!is_eventfd(n) && fails(CALL, "read"))
		return -1;
	return go(fd, p, n);
}

/* What is said of it must come out. */
ssize_t nth_write(int fd, const void *p, size_t n) __asm__("write");
ssize_t nth_write(int fd, const void *p, size_t n)
{
	ssize_t (*go)(int, const void *, size_t);

	*(void **)&go = dlsym(RTLD_NEXT, "write");
	if (fd != STDOUT_FILENO && fd != STDERR_FILENO && !is_eventfd(n) &&
	    fails(CALL, "write"))
		return -1;
	return go(fd, p, n);
}

/* -- with arguments that may be there --------------------------------------------- */

/* An argument that is not there is a register's or the stack's rubbish, which the
 * kernel does not look at then. */
#define OPTIONAL(kind, type, name, first, last, pass)     \
	type nth_##name first __asm__(#name);             \
	type nth_##name first                             \
	{                                                 \
		type(*go) first;                          \
		unsigned long a[6];                       \
		va_list ap;                               \
		unsigned int i;                           \
                                                          \
		*(void **)&go = dlsym(RTLD_NEXT, #name);  \
		va_start(ap, last);                       \
		for (i = 0; i < 6; i++)                   \
			a[i] = va_arg(ap, unsigned long); \
		va_end(ap);                               \
		if (fails(kind, #name))                   \
			return -1;                        \
		return go pass;                           \
	}

OPTIONAL(FD, int, open, (const char *p, int flags, ...), flags,
	 (p, flags, (mode_t)a[0]))
OPTIONAL(FD, int, open64, (const char *p, int flags, ...), flags,
	 (p, flags, (mode_t)a[0]))
OPTIONAL(cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? FD : CALL, int, fcntl,
	 (int fd, int cmd, ...), cmd, (fd, cmd, a[0]))
OPTIONAL(cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? FD : CALL, int, fcntl64,
	 (int fd, int cmd, ...), cmd, (fd, cmd, a[0]))
OPTIONAL(CALL, int, ioctl, (int fd, unsigned long what, ...), what,
	 (fd, what, a[0]))
OPTIONAL(CALL, int, prctl, (int what, ...), what,
	 (what, a[0], a[1], a[2], a[3]))
OPTIONAL(CALL, long, syscall, (long n, ...), n,
	 (n, a[0], a[1], a[2], a[3], a[4], a[5]))
/* NOLINTEND(bugprone-macro-parentheses) */
