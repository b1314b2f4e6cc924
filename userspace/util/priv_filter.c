// SPDX-License-Identifier: GPL-2.0-or-later
/* priv_filter.c - the system calls that are left
 *
 * A list of what may be called, for each kind of process; everything else is
 * refused with EPERM, and said on stderr once a call: a list that forgets
 * something is a bug, and a bug must be seen, but must not end the guest's
 * conductor where an error would do.  The refusal comes as SIGSYS, whose
 * handler says it and puts EPERM where the call's result is expected.
 *
 * Refused without a word is what is tried and not needed:
 *   clone3         ENOSYS: its flags are in memory, which a filter does not see;
 *                  the C library falls back to clone
 *   bpf            to load and to make: the kernel says EPERM anyway
 *   socket         AF_XDP: those we have were made before
 *
 * Arguments are looked at where the call is a door to much else: clone makes
 * threads only, mmap and mprotect nothing that can be run, prlimit changes
 * nothing, socket has four families, ioctl and bpf have a list of commands.
 *
 * Another architecture's way into the kernel (32 bit, x32) is used by nobody but
 * who broke in: it kills.
 *
 * Sanitizers call what they like, so with one of them there is no filter.
 */
#include "priv.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NO_FILTER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define NO_FILTER
#endif
#endif

/* The handler needs to know where a result goes. */
#if defined(__x86_64__)
#define RESULT(uc) ((uc)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define RESULT(uc) ((uc)->uc_mcontext.regs[0])
#endif

#define M (1U << PRIV_MIGRATION)
#define G (1U << PRIV_GUARDIAN)
#define K (1U << PRIV_KEEPER)

static const struct call {
	int nr;
	unsigned int roles;
} calls[] = {
	/* memory and time */
	{ SCMP_SYS(brk), M | G | K },
	{ SCMP_SYS(munmap), M | G | K },
	{ SCMP_SYS(mremap), M | G | K },
	{ SCMP_SYS(madvise), M | G | K },
	{ SCMP_SYS(membarrier), M | G | K },
	{ SCMP_SYS(clock_gettime), M | G | K },
	{ SCMP_SYS(clock_getres), M | G | K },
	{ SCMP_SYS(gettimeofday), M | G | K },
	{ SCMP_SYS(time), M | G | K },
	{ SCMP_SYS(nanosleep), M | G | K },
	{ SCMP_SYS(clock_nanosleep), M | G | K },
	{ SCMP_SYS(getrandom), M | G | K },
	{ SCMP_SYS(timer_create), M }, /* tests preload what does this */
	{ SCMP_SYS(timer_settime), M },
	{ SCMP_SYS(timer_delete), M },
	/* threads, signals, the end */
	{ SCMP_SYS(futex), M | G | K },
	{ SCMP_SYS(set_robust_list), M | G | K },
	{ SCMP_SYS(rseq), M | G | K },
	{ SCMP_SYS(sched_yield), M | G | K },
	{ SCMP_SYS(sched_getaffinity), M },
	{ SCMP_SYS(sched_setaffinity), M },
	{ SCMP_SYS(get_mempolicy), M },
	{ SCMP_SYS(set_mempolicy), M },
	{ SCMP_SYS(mbind), M },
	{ SCMP_SYS(getcpu), M | G | K },
	{ SCMP_SYS(rt_sigaction), M | G | K },
	{ SCMP_SYS(rt_sigprocmask), M | G | K },
	{ SCMP_SYS(rt_sigreturn), M | G | K },
	{ SCMP_SYS(rt_sigtimedwait), M },
	{ SCMP_SYS(sigaltstack), M | G | K },
	{ SCMP_SYS(restart_syscall), M | G | K },
	{ SCMP_SYS(exit), M | G | K },
	{ SCMP_SYS(exit_group), M | G | K },
	{ SCMP_SYS(kill), M }, /* the guardian, a synthetic guest */
	{ SCMP_SYS(wait4), M },
	{ SCMP_SYS(waitid), M },
	/* who am I */
	{ SCMP_SYS(getpid), M | G | K },
	{ SCMP_SYS(gettid), M | G | K },
	{ SCMP_SYS(getppid), M | G | K },
	{ SCMP_SYS(getuid), M | G | K },
	{ SCMP_SYS(geteuid), M | G | K },
	{ SCMP_SYS(getgid), M | G | K },
	{ SCMP_SYS(getegid), M | G | K },
	{ SCMP_SYS(uname), M | G },
	{ SCMP_SYS(sysinfo), M | G },
	{ SCMP_SYS(getrusage), M | G | K },
	{ SCMP_SYS(times), M | G },
	{ SCMP_SYS(getrlimit), M | G },
	/* descriptors */
	{ SCMP_SYS(read), M | G | K },
	{ SCMP_SYS(write), M | G | K },
	{ SCMP_SYS(readv), M | G | K },
	{ SCMP_SYS(writev), M | G | K },
	{ SCMP_SYS(pread64), M },
	{ SCMP_SYS(pwrite64), M },
	{ SCMP_SYS(lseek), M | G },
	{ SCMP_SYS(close), M | G | K },
	{ SCMP_SYS(dup), M | G },
	{ SCMP_SYS(dup2), M | G },
	{ SCMP_SYS(dup3), M | G },
	{ SCMP_SYS(fcntl), M | G | K },
	{ SCMP_SYS(flock), M | G },
	{ SCMP_SYS(poll), M | G | K },
	{ SCMP_SYS(ppoll), M | G | K },
	{ SCMP_SYS(select), M },
	{ SCMP_SYS(pselect6), M },
	{ SCMP_SYS(epoll_create1), M },
	{ SCMP_SYS(epoll_ctl), M },
	{ SCMP_SYS(epoll_wait), M },
	{ SCMP_SYS(epoll_pwait), M },
	{ SCMP_SYS(eventfd2), M },
	{ SCMP_SYS(pipe2), M },
	{ SCMP_SYS(signalfd4), M },
	/* files */
	{ SCMP_SYS(open), M | G },
	{ SCMP_SYS(openat), M | G },
	{ SCMP_SYS(stat), M | G },
	{ SCMP_SYS(lstat), M | G },
	{ SCMP_SYS(fstat), M | G | K },
	{ SCMP_SYS(newfstatat), M | G | K },
	{ SCMP_SYS(statx), M | G | K },
	{ SCMP_SYS(statfs), M },
	{ SCMP_SYS(fstatfs), M },
	{ SCMP_SYS(access), M | G },
	{ SCMP_SYS(faccessat), M | G },
	{ SCMP_SYS(faccessat2), M | G },
	{ SCMP_SYS(readlink), M },
	{ SCMP_SYS(readlinkat), M },
	{ SCMP_SYS(getdents64), M },
	{ SCMP_SYS(getcwd), M },
	{ SCMP_SYS(unlink), M | G | K },
	{ SCMP_SYS(unlinkat), M | G | K },
	{ SCMP_SYS(rename), M | G },
	{ SCMP_SYS(renameat), M | G },
	{ SCMP_SYS(renameat2), M | G },
	{ SCMP_SYS(rmdir), M | G },
	{ SCMP_SYS(fsync), M | G },
	{ SCMP_SYS(fdatasync), M | G },
	{ SCMP_SYS(ftruncate), M },
	{ SCMP_SYS(fallocate), M },
	{ SCMP_SYS(fadvise64), M },
	{ SCMP_SYS(mincore), M },
	/* sockets */
	{ SCMP_SYS(socketpair), M },
	{ SCMP_SYS(connect), M | G },
	{ SCMP_SYS(bind), M },
	{ SCMP_SYS(listen), M },
	{ SCMP_SYS(accept), M },
	{ SCMP_SYS(accept4), M | K },
	{ SCMP_SYS(getsockname), M | G },
	{ SCMP_SYS(getpeername), M | G },
	{ SCMP_SYS(setsockopt), M | G | K },
	{ SCMP_SYS(getsockopt), M | G | K },
	{ SCMP_SYS(sendto), M | G | K },
	{ SCMP_SYS(recvfrom), M | G | K },
	{ SCMP_SYS(sendmsg), M | G | K },
	{ SCMP_SYS(recvmsg), M | G | K },
	{ SCMP_SYS(sendmmsg), M },
	{ SCMP_SYS(recvmmsg), M },
	{ SCMP_SYS(shutdown), M | G },
	/* the guest's process */
	{ SCMP_SYS(pidfd_open), M },
	{ SCMP_SYS(pidfd_send_signal), M },
	{ SCMP_SYS(process_vm_readv), M },
	{ SCMP_SYS(userfaultfd), M },
};

/* ioctl(): the device, the terminal, the guest's memory. */
static const unsigned int
	ioctls
		[] = {
			SIOCETHTOOL, SIOCGIFINDEX, SIOCGIFNAME, SIOCGIFFLAGS,
			TCGETS,      TIOCGWINSZ,   FIONREAD,    FIONBIO,
			0xc0606610, /* PAGEMAP_SCAN, of <linux/fs.h> since 6.7 */
		};
#define UFFD_IOCTLS 0xaa00u /* all of userfaultfd's; the second byte */

static const int ptraces[] = {
	PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH,
	PTRACE_CONT,  PTRACE_LISTEN,
};

static const int bpf_used[] = {
	BPF_MAP_LOOKUP_ELEM,   BPF_MAP_UPDATE_ELEM,    BPF_MAP_DELETE_ELEM,
	BPF_OBJ_GET,           BPF_OBJ_GET_INFO_BY_FD, BPF_PROG_TEST_RUN,
	BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID,   BPF_LINK_GET_FD_BY_ID,
	BPF_LINK_GET_NEXT_ID,
};
static const int bpf_tried[] = { BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_BTF_LOAD };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define RULE(action, call, ...) \
	seccomp_rule_add(f, action, SCMP_SYS(call), __VA_ARGS__)
#define ALLOW(call, ...) RULE(SCMP_ACT_ALLOW, call, __VA_ARGS__)
#define ONE(n, v)        1, SCMP_A##n(SCMP_CMP_EQ, (scmp_datum_t)(v))
#define BITS(n, mask, v) 1, SCMP_A##n(SCMP_CMP_MASKED_EQ, mask, v)

static int add_calls(scmp_filter_ctx f, unsigned int role)
{
	size_t i;
	int r = 0;

	/* What this architecture does not have needs no rule: -EDOM. */
	for (i = 0; !r && i < COUNT(calls); i++)
		if (calls[i].roles & role)
			r = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i].nr, 0);
	return r;
}

/* No code is made, no limit moved, no other process's thread signalled. */
static int add_process(scmp_filter_ctx f)
{
	int r = ALLOW(mmap, BITS(2, PROT_EXEC, 0));

	if (!r)
		r = ALLOW(mprotect, BITS(2, PROT_EXEC, 0));
	if (!r)
		r = ALLOW(tgkill, ONE(0, getpid()));
	if (!r)
		r = ALLOW(prlimit64, ONE(2, 0));
	if (!r)
		r = ALLOW(clone, BITS(0, CLONE_THREAD, CLONE_THREAD));
	if (!r)
		r = RULE(SCMP_ACT_ERRNO(ENOSYS), clone3, 0);
	if (!r)
		r = ALLOW(prctl, ONE(0, PR_SET_NAME));
	if (!r)
		r = ALLOW(prctl, ONE(0, PR_SET_TIMERSLACK));
	if (!r)
		r = ALLOW(prctl, ONE(0, PR_GET_DUMPABLE));
	return r;
}

static int add_sockets(scmp_filter_ctx f, enum priv_role role)
{
	static const int families[] = { AF_UNIX, AF_INET, AF_INET6,
					AF_NETLINK };
	size_t i, n = role == PRIV_GUARDIAN ? 1 : COUNT(families);
	int r = 0;

	if (role == PRIV_KEEPER)
		return ALLOW(socket, ONE(0, AF_XDP));
	for (i = 0; !r && i < n; i++)
		r = ALLOW(socket, ONE(0, families[i]));
	return r ? r : RULE(SCMP_ACT_ERRNO(EPERM), socket, ONE(0, AF_XDP));
}

static int add_commands(scmp_filter_ctx f)
{
	size_t i;
	int r = ALLOW(ioctl, BITS(1, 0xff00, UFFD_IOCTLS));

	for (i = 0; !r && i < COUNT(ioctls); i++)
		r = ALLOW(ioctl, ONE(1, ioctls[i]));
	for (i = 0; !r && i < COUNT(ptraces); i++)
		r = ALLOW(ptrace, ONE(0, ptraces[i]));
	for (i = 0; !r && i < COUNT(bpf_used); i++)
		r = ALLOW(bpf, ONE(0, bpf_used[i]));
	for (i = 0; !r && i < COUNT(bpf_tried); i++)
		r = RULE(SCMP_ACT_ERRNO(EPERM), bpf, ONE(0, bpf_tried[i]));
	return r;
}

static int add_all(scmp_filter_ctx f, enum priv_role role)
{
	int r = add_calls(f, 1U << role);

	if (!r)
		r = add_process(f);
	if (!r)
		r = add_sockets(f, role);
	if (!r && role == PRIV_MIGRATION)
		r = add_commands(f);
	if (!r && role == PRIV_KEEPER)
		r = ALLOW(ioctl, ONE(1, SIOCGIFNAME));
	return r;
}

/* -- what is refused ------------------------------------------------------------ */

#ifdef RESULT

#define CALLS_MAX 1024 /* numbers are below that; of others nothing is said */

/* Said already: bit per call. */
static _Atomic uint64_t said[CALLS_MAX / 64];

static void refused(int sig, siginfo_t *info, void *context)
{
	static const char head[] = "xdpmig: sandbox: system call ",
			  tail[] = " refused (a bug; --sandbox off lets it)\n";
	unsigned int nr = (unsigned int)info->si_syscall, n = nr;
	char line[sizeof(head) + 10 + sizeof(tail)], digits[10];
	size_t len = sizeof(head) - 1, k = 0;

	(void)sig;
	RESULT((ucontext_t *)context) = -EPERM;
	if (nr >= CALLS_MAX ||
	    atomic_fetch_or(&said[nr / 64], 1ULL << nr % 64) & 1ULL << nr % 64)
		return;
	do
		digits[k++] = (char)('0' + n % 10);
	while (n /= 10);
	memcpy(line, head, len);
	while (k)
		line[len++] = digits[--k];
	memcpy(line + len, tail, sizeof(tail) - 1);
	(void)!write(STDERR_FILENO, line, len + sizeof(tail) - 1);
}

static int catch_refusals(void)
{
	struct sigaction sa = { .sa_sigaction = refused,
				.sa_flags = SA_SIGINFO | SA_NODEFER };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	if (sigaction(SIGSYS, &sa, NULL) ||
	    sigprocmask(SIG_UNBLOCK, &set, NULL))
		return -errno;
	return 0;
}
#define REFUSE SCMP_ACT_TRAP
#else
static int catch_refusals(void)
{
	return 0;
}
#define REFUSE SCMP_ACT_ERRNO(EPERM)
#endif

bool priv_has_filter(void)
{
#ifdef NO_FILTER
	return false;
#else
	return true;
#endif
}

int priv_filter(enum priv_role role, struct xm_error *e)
{
	scmp_filter_ctx f;
	int r;

	if (!priv_has_filter())
		return 0;
	f = seccomp_init(REFUSE);
	r = f ? catch_refusals() : -ENOMEM;
	if (!r)
		r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH,
				     SCMP_ACT_KILL_PROCESS);
	if (!r) /* binary search, since data's way has many calls */
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!r)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!r)
		r = add_all(f, role);
	if (!r)
		r = seccomp_load(f);
	seccomp_release(f);
	return r ? xm_fail(e, r, XM_REASON_INTERNAL,
			   "the system call filter cannot be set: %s; "
			   "--sandbox off does without",
			   strerror(-r)) :
		   0;
}
