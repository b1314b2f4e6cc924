// SPDX-License-Identifier: GPL-2.0-or-later
/* tracee.c - a system call in a process that must survive us
 *
 * The usual way is to save the thread's registers, poke a SYSCALL instruction,
 * run it and put everything back.  If the tracer is killed in between, the
 * thread goes on in borrowed code with borrowed registers, and the process is
 * lost.  Here whatever is lost is ours: from the first moment that the thread
 * differs from what it was, it can find its way back alone, and the kernel
 * moves it from one such state to the next in one step.
 *
 *  1 PTRACE_SEIZE, PTRACE_INTERRUPT.  The thread stops in the kernel's signal
 *    path: a system call it slept in has returned -ERESTART*, and the kernel
 *    decides when the thread leaves the stop what becomes of that.
 *  2 Look: registers, xstate, signal mask; is it a 64-bit program without
 *    shadow stack, do its seccomp filters allow the call, is it not in the
 *    middle of a restartable sequence (rseq)?
 *  3 Write a signal frame of our own making below its stack pointer, where any
 *    signal might put one (tracee_frame.c).  In it: the state in which the
 *    thread would have gone on.  Nobody looks there yet.
 *  4 PTRACE_SETREGSET, one step: rip is at a "syscall; ret" that the process
 *    has anyway, the registers hold the call, and rsp is at our frame, whose
 *    first word leads to the C library's rt_sigreturn.
 *  5 Block its signals; run into and out of the call; read the result; stop it
 *    again in the signal path.
 *  6 Set its signal mask, then, again in one step, the registers of 1 with
 *    orig_rax and -ERESTART*: the kernel restarts the call it slept in with
 *    what is left of its time.  Detach.
 *
 * Our death
 *   before 4  Nothing was changed but unused stack.
 *   4 to 6    The kernel detaches the thread; it does the call (or has done
 *             it), returns into rt_sigreturn, and that restores all of 3, the
 *             signal mask too.
 *   after 6   It is what it was.
 * What makes that hold in detail:
 * - Stops are waited for with WNOWAIT.  A wait that consumes the stop takes the
 *   signal away from a thread that is about to get it; if we died then, the
 *   signal would be lost.
 * - PTRACE_O_TRACESYSGOOD: when a tracer dies, a thread stopped at a system
 *   call is sent the signal of that stop.  With the option that is number 133,
 *   which the kernel does not send; without, SIGTRAP, which kills.
 * - The signal mask is changed after 4, so that the frame undoes it.
 * - No single steps, no breakpoints: they come as SIGTRAP.
 * - A tracer is a thread: each call makes one and ends it, which lets go of
 *   what could not be stopped in time.
 * What the dead cannot keep: rt_sigreturn forgets what the kernel knows of a
 * sleep with a relative time-out (-ERESTART_RESTARTBLOCK: nanosleep, poll,
 * futex).  Such a call then begins anew with its whole time, or, if it had been
 * interrupted once before, returns EINTR.
 *
 * Also when we live, a thread in one of the few calls that return EINTR when a
 * process is stopped and continued (signal(7): epoll_wait, sigtimedwait,
 * semop; KVM_RUN too) sees that, as with any SIGSTOP.
 */
#include "tracee.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <time.h>
#include <unistd.h>

#include "procmaps.h"
#include "tracee_frame.h"
#include "tracee_seccomp.h"
#include "tracee_stop.h"
#include "util/fd.h"

#if defined(__x86_64__)

#include <elf.h>
#include <linux/audit.h>

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

#define CS_64BIT     0x33
#define RSEQ_TRIES   100
#define CALL_NS      10000000000LL
#define TEXT_AT_ONCE (4UL << 20)

/* One injection. */
struct inject {
	pid_t pid, tid;
	long nr;
	const uint64_t *args;
	struct tracee_code code;
	struct user_regs_struct before; /* in the stop */
	struct user_regs_struct after;  /* as it would go on */
	uint64_t mask;
	size_t xlen;
	uint8_t xstate[TRACEE_XSTATE_MAX];
	uint8_t frame[TRACEE_XSTATE_MAX + 1024];
	uint64_t frame_addr;
	int frame_len;
	int64_t result;
	struct xm_error *e;
	int r;
};

/* -- memory there --------------------------------------------------------------- */

static bool mem_read(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct iovec here = { buf, len };
	struct iovec there = { (void *)addr, len };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)len;
}

static bool mem_write(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct iovec here = { buf, len };
	struct iovec there = { (void *)addr, len };

	return process_vm_writev(pid, &here, 1, &there, 1, 0) == (ssize_t)len;
}

/* -- code there ----------------------------------------------------------------- */

struct search {
	struct inject *j;
	bool everywhere; /* not only the C library and the vdso */
	uint8_t *text;
};

static int code_in_map(void *arg, const struct procmap *map)
{
	struct search *s = arg;
	struct inject *j = s->j;
	const char *name = strrchr(map->path, '/');
	uint64_t at = map->start;
	size_t len;

	if (strncmp(map->perms, "r-x", 3) || !map->path[0] ||
	    !strcmp(map->path, "[vsyscall]"))
		return 0;
	name = name ? name + 1 : map->path;
	if (!s->everywhere && strncmp(name, "libc.", 5) &&
	    strncmp(name, "libc-", 5) && strncmp(name, "ld-musl", 7) &&
	    strcmp(name, "[vdso]"))
		return 0;
	while (at < map->end) {
		len = map->end - at < TEXT_AT_ONCE ? map->end - at :
						     TEXT_AT_ONCE;
		if (!mem_read(j->pid, at, s->text, len))
			return 0; /* not ours to read: look elsewhere */
		if (tracee_code_scan(&j->code, s->text, len, at))
			return 1;
		at += len;
	}
	return 0;
}

/* Before anything is stopped: it takes a millisecond. */
static int code_find(struct inject *j)
{
	struct search s = { .j = j };
	int r;

	s.text = malloc(TEXT_AT_ONCE);
	if (!s.text)
		return xm_fail(j->e, -ENOMEM, XM_REASON_MEMORY,
			       "buffer for program text: %s", strerror(ENOMEM));
	r = procmaps_each(j->pid, code_in_map, &s, j->e);
	s.everywhere = true;
	if (!r)
		r = procmaps_each(j->pid, code_in_map, &s, j->e);
	free(s.text);
	if (r < 0)
		return r;
	if (!r)
		return xm_fail(
			j->e, -ENOTSUP, XM_REASON_MEMORY,
			"process %d: no \"syscall; ret\" and rt_sigreturn found "
			"in its code: not a 64-bit program with a C library?",
			(int)j->pid);
	return 0;
}

/* Is it still there? */
static bool code_is_there(const struct inject *j)
{
	struct tracee_code got = { 0 };
	uint8_t text[16];

	if (!mem_read(j->pid, j->code.syscall, text, 3))
		return false;
	tracee_code_scan(&got, text, 3, j->code.syscall);
	if (!mem_read(j->pid, j->code.sigreturn, text, j->code.sigreturn_len))
		return false;
	tracee_code_scan(&got, text, j->code.sigreturn_len, j->code.sigreturn);
	return got.syscall == j->code.syscall &&
	       got.sigreturn == j->code.sigreturn;
}

/* -- look ----------------------------------------------------------------------- */

static int gone(const struct inject *j)
{
	return xm_fail(j->e, -ESRCH, XM_REASON_MEMORY,
		       "thread %d of process %d has ended", (int)j->tid,
		       (int)j->pid);
}

static int refuse(const struct inject *j, const char *why)
{
	return xm_fail(
		j->e, -ENOTSUP, XM_REASON_MEMORY,
		"thread %d of process %d: no system call can be run in it: %s",
		(int)j->tid, (int)j->pid, why);
}

static int state_get(struct inject *j)
{
	struct iovec gen = { &j->before, sizeof(j->before) };
	struct iovec ext = { j->xstate, sizeof(j->xstate) };

	if (ptrace(PTRACE_GETREGSET, j->tid, (void *)NT_PRSTATUS, &gen))
		return gone(j);
	if (gen.iov_len != sizeof(j->before) || j->before.cs != CS_64BIT)
		return refuse(j, "it is a 32-bit program");
	if (ptrace(PTRACE_GETREGSET, j->tid, (void *)NT_X86_XSTATE, &ext))
		return errno == ESRCH ?
			       gone(j) :
			       refuse(j, "this processor has no XSAVE");
	j->xlen = ext.iov_len;
	if (ptrace(PTRACE_GETSIGMASK, j->tid, (void *)sizeof(j->mask),
		   &j->mask))
		return gone(j);
	tracee_frame_resume(&j->before, &j->after);
	return 0;
}

static int regs_set(const struct inject *j, struct user_regs_struct *regs)
{
	struct iovec gen = { regs, sizeof(*regs) };

	return ptrace(PTRACE_SETREGSET, j->tid, (void *)NT_PRSTATUS, &gen) ?
		       -ESRCH :
		       0;
}

/* Is it inside a restartable sequence, which the kernel would abort when it
 * returns there, and rt_sigreturn would not? */
static bool rseq_is_inside(const struct inject *j)
{
	struct {
		uint64_t area;
		uint32_t size, signature, flags, pad;
	} conf;
	struct {
		uint32_t version, flags;
		uint64_t start, len, abort;
	} cs;
	uint64_t ptr;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, j->tid, (void *)sizeof(conf),
		   &conf) < 0 ||
	    !conf.area)
		return false;
	if (!mem_read(j->pid, conf.area + 8, &ptr, sizeof(ptr)) || !ptr ||
	    !mem_read(j->pid, ptr, &cs, sizeof(cs)))
		return false;
	return j->before.rip - cs.start < cs.len;
}

/* @nr at @ip, as its filters see it. */
static int seccomp_check(const struct inject *j, long nr, uint64_t ip)
{
	struct seccomp_data d = {
		.nr = (int)nr,
		.arch = AUDIT_ARCH_X86_64,
		.instruction_pointer = ip,
	};

	memcpy(d.args, j->args, sizeof(d.args));
	return tracee_seccomp_allows(j->tid, &d);
}

/* Its filters know the call that it sleeps in, but perhaps not the one by which
 * the kernel goes on with it: begin it anew instead. */
static void seccomp_restart(struct inject *j)
{
	if (j->before.rax == (unsigned long long)-TRACEE_ERESTART_BLOCK &&
	    seccomp_check(j, SYS_restart_syscall, j->before.rip) == 0 &&
	    !regs_set(j, &j->after))
		j->before = j->after;
}

static int seccomp_look(struct inject *j)
{
	char mode[16] = "";
	int r;

	r = tracee_status(j->tid, "Seccomp:", mode, sizeof(mode));
	if (r == -ENOENT || (!r && !strcmp(mode, "0")))
		return 0;
	if (r)
		return gone(j);
	if (strcmp(mode, "2"))
		return refuse(j, "it is in strict seccomp mode");
	seccomp_restart(j);
	r = seccomp_check(j, j->nr, j->code.syscall + 2);
	if (r > 0)
		r = seccomp_check(j, SYS_rt_sigreturn,
				  j->code.sigreturn + j->code.sigreturn_len);
	if (r < 0)
		return xm_fail(
			j->e, r, XM_REASON_PERMISSION,
			"thread %d of process %d has a seccomp filter, which "
			"cannot be read: %s (needs CAP_SYS_ADMIN)",
			(int)j->tid, (int)j->pid, strerror(-r));
	if (!r)
		return xm_fail(
			j->e, -EPERM, XM_REASON_PERMISSION,
			"process %d: its seccomp filter does not allow system "
			"call %ld: start it without (qemu: -sandbox off)",
			(int)j->pid, j->nr);
	return 0;
}

static int features_look(const struct inject *j)
{
	char v[128] = "";

	if (!tracee_status(j->tid, "x86_Thread_features:", v, sizeof(v)) &&
	    strstr(v, "shstk"))
		return refuse(j, "it uses a shadow stack");
	if (!code_is_there(j))
		return refuse(j, "its code is changing");
	return 0;
}

/* -- the frame -------------------------------------------------------------------- */

static int stack_in_map(void *arg, const struct procmap *map)
{
	const struct inject *j = arg;

	return map->start <= j->frame_addr && j->after.rsp <= map->end &&
	       !strncmp(map->perms, "rw", 2) && map->perms[3] == 'p';
}

static int frame_put(struct inject *j)
{
	int r;

	j->frame_len = tracee_frame_build(j->frame, sizeof(j->frame), &j->code,
					  &j->after, j->mask, j->xstate,
					  j->xlen, &j->frame_addr);
	if (j->frame_len < 0)
		return refuse(j, "its processor state is not understood");
	r = procmaps_each(j->pid, stack_in_map, j, j->e);
	if (r < 0)
		return r;
	if (!r ||
	    !mem_write(j->pid, j->frame_addr, j->frame, (size_t)j->frame_len))
		return refuse(j, "no room below its stack pointer");
	return 0;
}

/* -- the call --------------------------------------------------------------------- */

static int mask_set(const struct inject *j, uint64_t mask)
{
	return ptrace(PTRACE_SETSIGMASK, j->tid, (void *)sizeof(mask), &mask) ?
		       -ESRCH :
		       0;
}

static int call_begin(const struct inject *j)
{
	struct user_regs_struct regs = j->after;
	int r;

	regs.rip = j->code.syscall;
	regs.rsp = j->frame_addr;
	regs.rax = (unsigned long long)j->nr;
	regs.orig_rax = (unsigned long long)-1; /* nothing to restart */
	regs.rdi = j->args[0];
	regs.rsi = j->args[1];
	regs.rdx = j->args[2];
	regs.r10 = j->args[3];
	regs.r8 = j->args[4];
	regs.r9 = j->args[5];
	r = regs_set(j, &regs);
	TRACEE_STEP();
	return r ?: mask_set(j, ~0ULL);
}

/* Into the call and out again. */
static int call_run(struct inject *j, int64_t deadline_ns)
{
	struct user_regs_struct regs;
	struct iovec gen = { &regs, sizeof(regs) };
	unsigned int i;
	int r;

	for (i = 0; i < 2; i++) {
		r = tracee_resume(j->tid, TRACEE_CALL, deadline_ns);
		TRACEE_STEP();
		if (r)
			return r;
	}
	if (ptrace(PTRACE_GETREGSET, j->tid, (void *)NT_PRSTATUS, &gen))
		return -ESRCH;
	if (regs.rip != j->code.syscall + 2 || (long)regs.orig_rax != j->nr)
		return -EIO;
	j->result = (int64_t)regs.rax;
	return 0;
}

/* From the stop to the stop; the frame is in place. */
static int call_do(struct inject *j)
{
	int64_t deadline_ns = tracee_now_ns() + CALL_NS;
	int r;

	r = call_begin(j);
	TRACEE_STEP();
	r = r ?: call_run(j, deadline_ns);
	TRACEE_STEP();
	r = r ?: tracee_resume(j->tid, TRACEE_STOPPED, deadline_ns);
	TRACEE_STEP();
	r = r ?: mask_set(j, j->mask);
	TRACEE_STEP();
	r = r ?: regs_set(j, &j->before);
	TRACEE_STEP();
	if (r == -ESRCH)
		return gone(j);
	/* What has gone wrong now, the frame puts right. */
	if (r)
		return xm_fail(
			j->e, r, XM_REASON_STALLED,
			"thread %d of process %d: system call %ld did not end: "
			"%s",
			(int)j->tid, (int)j->pid, j->nr, strerror(-r));
	return 0;
}

/* -- one injection ------------------------------------------------------------------ */

/* Stopped, outside of restartable sequences, its state read. */
static int inject_stop(struct inject *j)
{
	int64_t deadline_ns = tracee_now_ns() + TRACEE_DEADLINE_NS;
	unsigned int tries;
	int r;

	r = tracee_seize(j->tid, j->e);
	if (r)
		return r == -ESRCH ? gone(j) : r;
	for (tries = 0; tries < RSEQ_TRIES; tries++) {
		r = tracee_wait(j->tid, TRACEE_STOPPED, deadline_ns);
		if (r == -ESRCH)
			return gone(j);
		if (r)
			return xm_fail(
				j->e, r, XM_REASON_STALLED,
				"thread %d of process %d does not stop: it waits "
				"in the kernel, perhaps for a disk",
				(int)j->tid, (int)j->pid);
		r = state_get(j);
		if (r || !rseq_is_inside(j))
			return r;
		if (ptrace(PTRACE_CONT, j->tid, NULL, NULL) ||
		    nanosleep(&(struct timespec){ .tv_nsec = 1000 }, NULL) ||
		    ptrace(PTRACE_INTERRUPT, j->tid, NULL, NULL))
			return gone(j);
	}
	return refuse(j, "it is always in a restartable sequence");
}

static void *inject_main(void *arg)
{
	struct inject *j = arg;
	int r;

	r = inject_stop(j);
	TRACEE_STEP();
	r = r ?: features_look(j);
	r = r ?: seccomp_look(j);
	r = r ?: frame_put(j);
	TRACEE_STEP();
	r = r ?: call_do(j);
	tracee_detach(j->tid, 0);
	TRACEE_STEP();
	j->r = r;
	return NULL;
}

int tracee_syscall(pid_t pid, pid_t tid, long nr, const uint64_t args[6],
		   int64_t *ret_result, struct xm_error *e)
{
	struct inject *j = calloc(1, sizeof(*j));
	pthread_t thread;
	int r;

	if (!j)
		return xm_fail(e, -ENOMEM, XM_REASON_MEMORY, "tracing: %s",
			       strerror(ENOMEM));
	j->pid = pid;
	j->tid = tid;
	j->nr = nr;
	j->args = args;
	j->e = e;
	r = code_find(j);
	if (!r)
		r = tracee_thread_start(&thread, inject_main, j, e);
	if (!r) {
		pthread_join(thread, NULL);
		r = j->r;
	}
	if (!r)
		*ret_result = j->result;
	free(j);
	return r;
}

#else

int tracee_syscall(pid_t pid, pid_t tid, long nr, const uint64_t args[6],
		   int64_t *ret_result, struct xm_error *e)
{
	(void)tid;
	(void)nr;
	(void)args;
	(void)ret_result;
	return xm_fail(
		e, -ENOTSUP, XM_REASON_MEMORY,
		"process %d: running a system call in it is only known for "
		"x86-64",
		(int)pid);
}

#endif
