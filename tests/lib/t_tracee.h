/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_tracee.h - processes that notice when somebody tampers with them
 *
 * Each does one thing over and over and compares the outcome with what it must
 * be.  It counts its turns and what was wrong in memory that it shares with
 * the test.
 */
#ifndef T_TRACEE_H
#define T_TRACEE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct t_victim {
	_Atomic uint64_t turns, wrong, signals;
	_Atomic bool may_eintr; /* a sleep may have been cut short */
	_Atomic pid_t tid;
	_Atomic uint32_t futex;
	char what[120]; /* was wrong last */
	int pipe[2];
	pid_t pid;
};

static inline int64_t t_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static inline void t_wrong(struct t_victim *v, const char *what, long a, long b)
{
	snprintf(v->what, sizeof(v->what), "%s: %ld %ld", what, a, b);
	atomic_fetch_add(&v->wrong, 1);
}

/* A system call that waits @ns and returned @r. */
static inline void t_waited(struct t_victim *v, const char *what, long r,
			    long want, int64_t since, int64_t ns)
{
	int err = r < 0 ? errno : 0;

	if (err == EINTR && v->may_eintr)
		return;
	if ((want < 0 ? -err : r) != want)
		t_wrong(v, what, r, err);
	else if (t_now_ns() - since < ns)
		t_wrong(v, what, (long)(t_now_ns() - since), (long)ns);
}

/* -- what they do --------------------------------------------------------------- */

/* General, vector and x87 registers and the red zone keep what is in them over
 * a few microseconds of user code. */
static inline void t_registers(struct t_victim *v)
{
	static __thread uint8_t in[16][32], out[16][32];
	uint64_t bad = 0, n = 3000;
	double st = 0;
	unsigned int i;

	for (i = 0; i < sizeof(in); i++)
		((uint8_t *)in)[i] = (uint8_t)(v->turns * 31 + i * 7);
	__asm__ volatile("fldpi\n\t"
			 "vmovdqu 0(%[in]), %%ymm0\n\t"
			 "vmovdqu 32(%[in]), %%ymm1\n\t"
			 "vmovdqu 64(%[in]), %%ymm7\n\t"
			 "vmovdqu 96(%[in]), %%ymm15\n\t"
			 "mov %[n], -64(%%rsp)\n\t"
			 "mov %[n], -120(%%rsp)\n\t"
			 "mov %[n], %%r8\n\t"
			 "mov %[n], %%r11\n\t"
			 "mov %[n], %%r15\n\t"
			 "mov %[n], %%rcx\n"
			 "1:\n\t"
			 "dec %%rcx\n\t"
			 "jnz 1b\n\t"
			 "sub %[n], %%r8\n\t"
			 "sub %[n], %%r11\n\t"
			 "sub %[n], %%r15\n\t"
			 "or %%r8, %[bad]\n\t"
			 "or %%r11, %[bad]\n\t"
			 "or %%r15, %[bad]\n\t"
			 "mov -64(%%rsp), %%r8\n\t"
			 "sub %[n], %%r8\n\t"
			 "or %%r8, %[bad]\n\t"
			 "mov -120(%%rsp), %%r8\n\t"
			 "sub %[n], %%r8\n\t"
			 "or %%r8, %[bad]\n\t"
			 "vmovdqu %%ymm0, 0(%[out])\n\t"
			 "vmovdqu %%ymm1, 32(%[out])\n\t"
			 "vmovdqu %%ymm7, 64(%[out])\n\t"
			 "vmovdqu %%ymm15, 96(%[out])\n\t"
			 "fstpl %[st]\n\t"
			 : [bad] "+r"(bad), [st] "=m"(st)
			 : [in] "r"(in), [out] "r"(out), [n] "r"(n)
			 : "rcx", "r8", "r11", "r15", "ymm0", "ymm1", "ymm7",
			   "ymm15", "memory", "cc");
	if (bad || st < 3.14159 || st > 3.1416)
		t_wrong(v, "registers", (long)bad, (long)(st * 1000));
	if (memcmp(in, out, 128))
		t_wrong(v, "vector registers", 0, 0);
}

static inline void t_ppoll(struct t_victim *v)
{
	struct timespec ts = { .tv_nsec = 1000000 };
	int64_t since = t_now_ns();

	t_waited(v, "ppoll", ppoll(NULL, 0, &ts, NULL), 0, since, 1000000);
}

/* With a signal mask that is only valid while it waits. */
static inline void t_ppoll_mask(struct t_victim *v)
{
	struct timespec ts = { .tv_nsec = 1000000 };
	int64_t since = t_now_ns();
	sigset_t mask, now;

	sigfillset(&mask);
	t_waited(v, "ppoll with a mask", ppoll(NULL, 0, &ts, &mask), 0, since,
		 1000000);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	if (sigismember(&now, SIGUSR2) || !sigismember(&now, SIGURG))
		t_wrong(v, "signal mask", sigismember(&now, SIGUSR2),
			sigismember(&now, SIGURG));
}

static inline void t_poll(struct t_victim *v)
{
	int64_t since = t_now_ns();

	t_waited(v, "poll", poll(NULL, 0, 2), 0, since, 2000000);
}

static inline void t_nanosleep(struct t_victim *v)
{
	struct timespec ts = { .tv_nsec = 1500000 };
	int64_t since = t_now_ns();

	t_waited(v, "nanosleep", nanosleep(&ts, NULL), 0, since, 1500000);
}

static inline void t_futex(struct t_victim *v)
{
	struct timespec ts = { .tv_nsec = 1000000 };
	int64_t since = t_now_ns();

	t_waited(v, "futex",
		 syscall(SYS_futex, &v->futex, FUTEX_WAIT, 0, &ts, NULL, 0),
		 -ETIMEDOUT, since, 1000000);
}

/* Bytes that the test sends, one by one. */
static inline void t_read(struct t_victim *v)
{
	uint8_t byte = 0;
	ssize_t n = read(v->pipe[0], &byte, 1);

	if (n != 1 || byte != (uint8_t)v->turns)
		t_wrong(v, "read", n < 0 ? -errno : n, byte);
}

static inline void t_calls(struct t_victim *v)
{
	if (syscall(SYS_gettid) != v->tid)
		t_wrong(v, "gettid", 0, 0);
}

static struct t_victim *t_of_handler;

static inline void t_on_alarm(int sig)
{
	(void)sig;
	t_registers(t_of_handler);
	atomic_fetch_add(&t_of_handler->signals, 1);
}

/* Most of its time in a signal handler, on a stack of its own. */
static inline void t_handler(struct t_victim *v)
{
	static uint8_t stack[65536];
	stack_t st = { .ss_sp = stack, .ss_size = sizeof(stack) }, now;
	struct sigaction sa = { .sa_handler = t_on_alarm,
				.sa_flags = SA_ONSTACK | SA_RESTART };
	struct itimerval it = { { 0, 100 }, { 0, 100 } };
	uint64_t signals = v->signals;

	if (!v->turns) {
		t_of_handler = v;
		sigaltstack(&st, NULL);
		sigaction(SIGALRM, &sa, NULL);
		setitimer(ITIMER_REAL, &it, NULL);
	}
	t_registers(v);
	while (v->signals == signals)
		;
	sigaltstack(NULL, &now);
	if (now.ss_sp != stack || now.ss_size != sizeof(stack) || now.ss_flags)
		t_wrong(v, "signal stack", now.ss_flags, (long)now.ss_size);
}

typedef void t_work(struct t_victim *v);

static const struct t_job {
	const char *name;
	t_work *work;
} t_jobs[] = {
	{ "registers", t_registers },
	{ "ppoll", t_ppoll },
	{ "ppoll_mask", t_ppoll_mask },
	{ "poll", t_poll },
	{ "nanosleep", t_nanosleep },
	{ "futex", t_futex },
	{ "read", t_read },
	{ "calls", t_calls },
	{ "handler", t_handler },
};
#define T_JOBS (sizeof(t_jobs) / sizeof(t_jobs[0]))

/* -- their lives ------------------------------------------------------------------ */

static inline void t_on_usr1(int sig)
{
	(void)sig;
	atomic_fetch_add(&t_of_handler->signals, 1);
}

static inline void t_live(struct t_victim *v, t_work *work)
{
	sigset_t mask;

	/* SIGURG is blocked and SIGUSR2 is not: a mask to be kept. */
	sigemptyset(&mask);
	sigaddset(&mask, SIGURG);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	v->tid = (pid_t)syscall(SYS_gettid);
	for (;;) {
		work(v);
		atomic_fetch_add(&v->turns, 1);
	}
}

static inline struct t_victim *t_victims(unsigned int n)
{
	struct t_victim *v = mmap(NULL, n * sizeof(*v), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(v, MAP_FAILED);
	return v;
}

static inline struct t_victim *t_start(t_work *work)
{
	struct t_victim *v = t_victims(1);
	pid_t pid;

	assert_int_equal(pipe2(v->pipe, O_CLOEXEC), 0);
	fcntl(v->pipe[1], F_SETFL, O_NONBLOCK);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		t_of_handler = v;
		signal(SIGUSR1, t_on_usr1);
		t_live(v, work);
	}
	v->pid = pid;
	while (!v->tid)
		sched_yield();
	return v;
}

static inline void t_end(struct t_victim *v)
{
	kill(v->pid, SIGKILL);
	waitpid(v->pid, NULL, 0);
	close(v->pipe[0]);
	close(v->pipe[1]);
	munmap(v, sizeof(*v));
}

/* What t_read() waits for: keep a few bytes ahead.  Nobody else reads any. */
static inline void t_feed(struct t_victim *v, uint64_t *fed)
{
	for (; *fed < v->turns + 3; (*fed)++) {
		uint8_t byte = (uint8_t)*fed;

		if (write(v->pipe[1], &byte, 1) != 1)
			break;
	}
}

/* It goes on, and has seen nothing odd. */
static inline void t_is_well(struct t_victim *v, const char *name,
			     uint64_t *fed)
{
	uint64_t before = v->turns;
	int64_t until = t_now_ns() + 5000000000LL;

	while (v->turns < before + 4) {
		t_feed(v, fed);
		if (t_now_ns() > until)
			fail_msg("%s: no turn in 5 s", name);
		sched_yield();
	}
	if (v->wrong)
		fail_msg("%s: %s", name, v->what);
}

#endif
