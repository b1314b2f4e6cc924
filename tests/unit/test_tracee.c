// SPDX-License-Identifier: GPL-2.0-or-later
/* System calls run in processes that check themselves all the time.  Needs
 * root, for the cases with a seccomp filter. */
#include "guest/tracee.h"

#include "../lib/t_tracee.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/resource.h>

static const uint64_t no_args[6];

static int64_t t_getpid(pid_t pid, pid_t tid)
{
	struct xm_error e = { 0 };
	int64_t got = 0;

	if (tracee_syscall(pid, tid, SYS_getpid, no_args, &got, &e))
		fail_msg("%s", e.msg);
	return got;
}

static void tracee_syscall__in_each_state(void **state)
{
	struct t_victim *v;
	int64_t until;
	uint64_t fed;
	unsigned int i, n;

	(void)state;
	for (i = 0; i < T_JOBS; i++) {
		v = t_start(t_jobs[i].work);
		until = t_now_ns() + 300000000;
		fed = 0;
		for (n = 0; t_now_ns() < until; n++) {
			t_feed(v, &fed);
			assert_int_equal(t_getpid(v->pid, v->pid), v->pid);
		}
		t_is_well(v, t_jobs[i].name, &fed);
		print_message("# %s: %u calls, %lu turns\n", t_jobs[i].name, n,
			      (unsigned long)v->turns);
		t_end(v);
	}
}

/* A sleep that is interrupted again and again ends when it should. */
static void t_long_poll(struct t_victim *v)
{
	int64_t since = t_now_ns();

	t_waited(v, "poll", poll(NULL, 0, 200), 0, since, 200000000);
	if (t_now_ns() - since > 2000000000)
		t_wrong(v, "poll was late", (long)(t_now_ns() - since), 0);
}

static void tracee_syscall__keeps_the_time_out(void **state)
{
	struct t_victim *v = t_start(t_long_poll);
	uint64_t fed = 0;

	(void)state;
	while (v->turns < 3)
		t_getpid(v->pid, v->pid);
	t_is_well(v, "long poll", &fed);
	t_end(v);
}

static void tracee_syscall__loses_no_signal(void **state)
{
	struct t_victim *v;
	unsigned int i, k, sent = 0;
	uint64_t fed = 0;
	int64_t until;

	(void)state;
	for (k = 0; k < 3; k++) {
		v = t_start(t_jobs[(unsigned int[]){ 0, 6, 7 }[k]].work);
		for (i = 0; i < 150; i++) {
			sent = i + 1;
			assert_int_equal(kill(v->pid, SIGUSR1), 0);
			t_getpid(v->pid, v->pid);
			t_feed(v, &fed);
			until = t_now_ns() + 5000000000LL;
			while (v->signals < sent && t_now_ns() < until)
				sched_yield();
			assert_int_equal(v->signals, sent);
		}
		t_is_well(v, t_jobs[k].name, &fed);
		assert_int_equal(v->signals, sent);
		t_end(v);
		fed = 0;
	}
}

/* -- many threads ------------------------------------------------------------------- */

static struct t_victim *t_crowd;

static void *t_thread(void *arg)
{
	unsigned int i = (unsigned int)(uintptr_t)arg;

	t_live(&t_crowd[i], t_jobs[i].work);
	return NULL;
}

/* A process with a thread for each job but reading and handling; their
 * records are in an array, [0] is the main thread's. */
static struct t_victim *t_start_crowd(void)
{
	struct t_victim *v = t_victims(6);
	pthread_t thread;
	uintptr_t i;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		t_crowd = v;
		for (i = 1; i < 6; i++)
			pthread_create(&thread, NULL, t_thread, (void *)i);
		t_live(&v[0], t_jobs[0].work);
	}
	for (i = 0; i < 6; i++) {
		v[i].pid = pid;
		while (!v[i].tid)
			sched_yield();
	}
	return v;
}

static void t_end_crowd(struct t_victim *v)
{
	kill(v->pid, SIGKILL);
	waitpid(v->pid, NULL, 0);
	munmap(v, 6 * sizeof(*v));
}

static void tracee_syscall__in_any_thread(void **state)
{
	struct t_victim *v = t_start_crowd();
	int64_t until = t_now_ns() + 500000000;
	unsigned int i;

	(void)state;
	while (t_now_ns() < until)
		for (i = 0; i < 6; i++)
			assert_int_equal(t_getpid(v->pid, v[i].tid), v->pid);
	for (i = 0; i < 6; i++)
		t_is_well(&v[i], t_jobs[i].name, &(uint64_t){ 1ULL << 62 });
	t_end_crowd(v);
}

static void tracee_hold__nothing_runs(void **state)
{
	struct t_victim *v = t_start_crowd();
	uint64_t turns[6];
	struct xm_error e = { 0 };
	pid_t tids[7];
	unsigned int i, n;
	int64_t until;

	(void)state;
	for (i = 0; i < 6; i++)
		tids[i] = v[i].tid;
	tids[6] = 0x3ffffff; /* no thread: skipped */
	for (n = 0; n < 15; n++) {
		if (tracee_hold(tids, 7, &e))
			fail_msg("%s", e.msg);
		assert_int_equal(tracee_hold(tids, 7, NULL), -EBUSY);
		for (i = 0; i < 6; i++)
			turns[i] = v[i].turns;
		until = t_now_ns() + 4000000;
		while (t_now_ns() < until)
			sched_yield();
		for (i = 0; i < 6; i++)
			assert_int_equal(v[i].turns, turns[i]);
		tracee_release(tids, 7);
		for (i = 0; i < 6; i++)
			t_is_well(&v[i], t_jobs[i].name,
				  &(uint64_t){ 1ULL << 62 });
	}
	t_end_crowd(v);
}

static void tracee_hold__signals_wait(void **state)
{
	struct t_victim *v = t_start(t_registers);
	uint64_t fed = 1ULL << 62;
	unsigned int i;
	int64_t until;

	(void)state;
	for (i = 1; i < 100; i++) {
		if (i & 1)
			kill(v->pid, SIGUSR1);
		assert_int_equal(tracee_hold(&v->pid, 1, NULL), 0);
		if (!(i & 1))
			kill(v->pid, SIGUSR1);
		tracee_release(&v->pid, 1);
		until = t_now_ns() + 5000000000LL;
		while (v->signals < i && t_now_ns() < until)
			sched_yield();
		assert_int_equal(v->signals, i);
	}
	t_is_well(v, "held", &fed);
	t_end(v);
}

/* -- refusals ---------------------------------------------------------------------- */

static void tracee_syscall__gone(void **state)
{
	struct t_victim *v = t_start(t_registers);
	struct xm_error e = { 0 };
	int64_t got;

	(void)state;
	kill(v->pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)v->pid, &(siginfo_t){ 0 },
				WEXITED | WNOWAIT),
			 0);
	assert_int_equal(tracee_syscall(v->pid, v->pid, SYS_getpid, no_args,
					&got, &e),
			 -ESRCH);
	assert_non_null(strstr(e.msg, "ended"));
	t_end(v);
}

static void tracee_syscall__traced_already(void **state)
{
	struct t_victim *v = t_start(t_poll);
	struct xm_error e = { 0 };
	uint64_t fed = 0;
	int64_t got;

	(void)state;
	assert_int_equal(tracee_hold(&v->pid, 1, NULL), 0);
	assert_int_equal(tracee_syscall(v->pid, v->pid, SYS_getpid, no_args,
					&got, &e),
			 -EPERM);
	assert_non_null(strstr(e.msg, "traced"));
	tracee_release(&v->pid, 1);
	t_is_well(v, "traced", &fed);
	t_end(v);
}

static void tracee_syscall__stopped_process(void **state)
{
	struct t_victim *v = t_start(t_nanosleep);
	uint64_t turns, fed = 0;
	int status;

	(void)state;
	kill(v->pid, SIGSTOP);
	assert_int_equal(waitpid(v->pid, &status, WUNTRACED), v->pid);
	turns = v->turns;
	assert_int_equal(t_getpid(v->pid, v->pid), v->pid);
	assert_int_equal(t_getpid(v->pid, v->pid), v->pid);
	assert_int_equal(v->turns, turns);
	kill(v->pid, SIGCONT);
	t_is_well(v, "stopped", &fed);
	t_end(v);
}

/* -- seccomp ------------------------------------------------------------------------ */

static uint32_t t_denied, t_verdict;

/* Install a filter that answers @t_verdict to call @t_denied. */
static void t_filter(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, t_denied, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, t_verdict),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, f };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(1);
}

static void t_filtered(struct t_victim *v)
{
	if (!v->turns)
		t_filter();
	t_nanosleep(v);
}

static void tracee_syscall__asks_the_filter(void **state)
{
	struct t_victim *v;
	struct xm_error e = { 0 };
	uint64_t fed = 0;
	int64_t got;

	(void)state;
	t_denied = SYS_userfaultfd;
	t_verdict = SECCOMP_RET_KILL_PROCESS;
	v = t_start(t_filtered);
	t_is_well(v, "filtered", &fed);
	assert_int_equal(t_getpid(v->pid, v->pid), v->pid);
	assert_int_equal(tracee_syscall(v->pid, v->pid, SYS_userfaultfd,
					no_args, &got, &e),
			 -EPERM);
	assert_non_null(strstr(e.msg, "seccomp"));
	t_is_well(v, "filtered", &fed);
	t_end(v);
}

/* A filter that does not know restart_syscall would kill the sleeper. */
static void tracee_syscall__restart_is_denied(void **state)
{
	struct t_victim *v;
	uint64_t fed = 0;
	unsigned int i;

	(void)state;
	t_denied = SYS_restart_syscall;
	t_verdict = SECCOMP_RET_KILL_PROCESS;
	v = t_start(t_filtered);
	t_is_well(v, "filtered", &fed);
	for (i = 0; i < 200; i++)
		assert_int_equal(t_getpid(v->pid, v->pid), v->pid);
	t_is_well(v, "filtered", &fed);
	t_end(v);
}

/* -- descriptors --------------------------------------------------------------------- */

static void tracee_take_fd__moves_it(void **state)
{
	struct t_victim *v = t_start(t_ppoll);
	const uint64_t args[6] = { 0, 0 }; /* epoll_create1(0) */
	struct xm_error e = { 0 };
	uint64_t fed = 0;
	char path[64], link[64] = "";
	int pidfd = (int)syscall(434 /* pidfd_open */, v->pid, 0);
	int fd, there;

	(void)state;
	fd = tracee_take_fd(v->pid, pidfd, SYS_epoll_create1, args, &e);
	if (fd < 0)
		fail_msg("%s", e.msg);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_true(readlink(path, link, sizeof(link) - 1) > 0);
	assert_string_equal(link, "anon_inode:[eventpoll]");
	for (there = 0; there < 64; there++) {
		memset(link, 0, sizeof(link));
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", v->pid, there);
		if (readlink(path, link, sizeof(link) - 1) > 0)
			assert_string_not_equal(link, "anon_inode:[eventpoll]");
	}
	t_is_well(v, "taken from", &fed);
	close(fd);

	/* What the call says, is said. */
	fd = tracee_take_fd(v->pid, pidfd, SYS_epoll_create1,
			    (uint64_t[6]){ 0x1234567 }, &e);
	assert_int_equal(fd, -EINVAL);
	close(pidfd);
	t_end(v);
}

/* How many it has of these. */
static unsigned int count_there(pid_t pid, const char *what)
{
	char path[64], link[64];
	unsigned int n = 0;
	int there;

	for (there = 0; there < 64; there++) {
		memset(link, 0, sizeof(link));
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, there);
		n += readlink(path, link, sizeof(link) - 1) > 0 &&
		     !strcmp(link, what);
	}
	return n;
}

/* There is room for the two ends that it is heard by, and none for what comes: first
 * one of them is closed, so two are too many by one. */
static void tracee_take_fd__leaves_none_there(void **state)
{
	struct t_victim *v = t_start(t_ppoll);
	const uint64_t args[6] = { 0, 0 }; /* epoll_create1(0) */
	struct rlimit was, lim;
	struct xm_error e = { 0 };
	uint64_t fed = 0;
	int pidfd = (int)syscall(434 /* pidfd_open */, v->pid, 0);
	int next, room, fd;

	(void)state;
	next = dup(pidfd);
	assert_true(next >= 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	for (room = 0; room < 3; room++) {
		memset(&e, 0, sizeof(e));
		lim = was;
		lim.rlim_cur = (rlim_t)next + (rlim_t)room;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
		fd = tracee_take_fd(v->pid, pidfd, SYS_epoll_create1, args, &e);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
		assert_int_equal(count_there(v->pid, "anon_inode:[eventpoll]"),
				 0);
		if (fd >= 0) { /* the end that was closed is the room for it */
			assert_int_equal(room, 2);
			close(fd);
		} else {
			assert_int_equal(fd, -EMFILE);
			assert_true(room < 2);
		}
		fd = dup(pidfd);
		assert_int_equal(fd, next); /* nor here */
		close(fd);
	}
	close(pidfd);
	t_is_well(v, "taken from", &fed);
	t_end(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tracee_syscall__in_each_state),
		cmocka_unit_test(tracee_syscall__keeps_the_time_out),
		cmocka_unit_test(tracee_syscall__loses_no_signal),
		cmocka_unit_test(tracee_syscall__in_any_thread),
		cmocka_unit_test(tracee_hold__nothing_runs),
		cmocka_unit_test(tracee_hold__signals_wait),
		cmocka_unit_test(tracee_syscall__gone),
		cmocka_unit_test(tracee_syscall__traced_already),
		cmocka_unit_test(tracee_syscall__stopped_process),
		cmocka_unit_test(tracee_syscall__asks_the_filter),
		cmocka_unit_test(tracee_syscall__restart_is_denied),
		cmocka_unit_test(tracee_take_fd__moves_it),
		cmocka_unit_test(tracee_take_fd__leaves_none_there),
	};

	if (geteuid()) {
		print_message("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
