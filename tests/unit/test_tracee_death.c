// SPDX-License-Identifier: GPL-2.0-or-later
/* A tracer that is killed, at each step of an injection and at any moment.  The
 * process it was at must notice nothing. */
#define TRACEE_STEP() t_step()

static void t_step(void);

/* Its steps are ours to die at. */
/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "guest/tracee_stop.c"

/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "guest/tracee.c"

#include "../lib/t_tracee.h"

static unsigned int t_steps, t_die_at;
static pid_t t_signal; /* whom, between seizing and stopping it; 0: nobody */
static pid_t t_dies;   /* who dies, or its group; 0: who is at that step */
static const uint64_t no_args[6];

static void t_step(void)
{
	if (++t_steps == 1 && t_signal) {
		kill(t_signal, SIGUSR1);
		usleep(300); /* to be about to get it */
	}
	if (t_steps == t_die_at)
		kill(t_dies ? t_dies : getpid(), SIGKILL);
}

/* Steps of one whole injection. */
static unsigned int t_count_steps(void)
{
	struct t_victim *v = t_start(t_ppoll);
	int64_t got;

	t_steps = t_die_at = 0;
	assert_int_equal(tracee_syscall(v->pid, v->pid, SYS_getpid, no_args,
					&got, NULL),
			 0);
	t_end(v);
	return t_steps;
}

/* Inject into @v in a process of its own that dies at step @at; 0: is killed
 * after @after_ns. */
static void t_die(struct t_victim *v, unsigned int at, long after_ns)
{
	int64_t got = 0;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		t_steps = 0;
		t_die_at = at;
		do {
			if (tracee_syscall(v->pid, v->pid, SYS_getpid, no_args,
					   &got, NULL) ||
			    got != v->pid)
				_exit(1);
		} while (!at);
		_exit(2); /* it should not get here */
	}
	if (!at) {
		nanosleep(&(struct timespec){ .tv_nsec = after_ns }, NULL);
		kill(pid, SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void t_again(struct t_victim *v)
{
	struct xm_error e = { 0 };
	int64_t got = 0;
	int tries;

	/* The kernel lets go of it when the dead one's last thread ends. */
	for (tries = 0; tries < 1000; tries++) {
		memset(&e, 0, sizeof(e));
		if (tracee_syscall(v->pid, v->pid, SYS_getpid, no_args, &got,
				   &e) != -EPERM)
			break;
		usleep(1000);
	}
	if (got != v->pid)
		fail_msg("%s", e.msg);
}

static void tracee_syscall__killed_at_each_step(void **state)
{
	unsigned int n, i, k, round;
	struct t_victim *v;
	uint64_t fed;

	(void)state;
	n = t_count_steps();
	assert_true(n >= 10);
	for (i = 0; i < T_JOBS; i++) {
		v = t_start(t_jobs[i].work);
		v->may_eintr = true;
		fed = 0;
		for (round = 0; round < 2; round++)
			for (k = 1; k <= n; k++) {
				t_feed(v, &fed);
				t_die(v, k, 0);
				t_is_well(v, t_jobs[i].name, &fed);
			}
		t_die_at = 0;
		t_again(v);
		t_is_well(v, t_jobs[i].name, &fed);
		t_end(v);
	}
	print_message("# %u steps\n", n);
}

static void tracee_syscall__killed_any_time(void **state)
{
	struct t_victim *v;
	unsigned int i;
	int64_t until;
	uint64_t fed;

	(void)state;
	srandom((unsigned int)getpid());
	t_die_at = 0;
	for (i = 0; i < T_JOBS; i++) {
		v = t_start(t_jobs[i].work);
		v->may_eintr = true;
		fed = 0;
		for (until = t_now_ns() + 250000000; t_now_ns() < until;) {
			t_feed(v, &fed);
			t_die(v, 0, random() % 5000000);
			t_is_well(v, t_jobs[i].name, &fed);
		}
		t_again(v);
		t_is_well(v, t_jobs[i].name, &fed);
		t_end(v);
	}
}

/* The tracer finds the thread about to get a signal, and dies: the signal
 * arrives, once. */
static void tracee_syscall__killed_at_a_signal(void **state)
{
	static const unsigned int jobs[] = { 0, 1, 7 };
	unsigned int n = t_count_steps(), i, k;
	struct t_victim *v;
	uint64_t fed = 0;
	int64_t until;

	(void)state;
	for (i = 0; i < 3; i++) {
		v = t_start(t_jobs[jobs[i]].work);
		v->may_eintr = true;
		t_signal = v->pid;
		for (k = 1; k <= 2 * n; k++) {
			t_die(v, 1 + (k - 1) % n, 0);
			until = t_now_ns() + 5000000000LL;
			while (v->signals < k && t_now_ns() < until)
				sched_yield();
			assert_int_equal(v->signals, k);
		}
		t_signal = 0;
		t_is_well(v, t_jobs[jobs[i]].name, &fed);
		assert_int_equal(v->signals, 2 * n);
		t_end(v);
	}
}

/* A tracer that dies with threads held lets go of them. */
static void tracee_hold__killed(void **state)
{
	struct t_victim *v = t_start(t_registers);
	uint64_t fed = 0;
	unsigned int i;
	pid_t pid;

	(void)state;
	for (i = 0; i < 20; i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			if (tracee_hold(&v->pid, 1, NULL))
				_exit(1);
			kill(v->pid, SIGUSR1);
			kill(getpid(), SIGKILL);
		}
		waitpid(pid, NULL, 0);
		t_is_well(v, "held", &fed);
		assert_int_equal(v->signals, i + 1);
	}
	t_end(v);
}

/* How many descriptors of that kind it has. */
static unsigned int t_count_epolls(pid_t pid)
{
	char path[64], link[64];
	unsigned int there, n = 0;

	for (there = 0; there < 64; there++) {
		memset(link, 0, sizeof(link));
		snprintf(path, sizeof(path), "/proc/%d/fd/%u", pid, there);
		n += readlink(path, link, sizeof(link) - 1) > 0 &&
		     !strcmp(link, "anon_inode:[eventpoll]");
	}
	return n;
}

/* Take a descriptor from @v in a process that dies at step @at, and its whole group
 * with it, if @is_group.  0: it did. */
static int t_take_and_die(struct t_victim *v, unsigned int at, bool is_group)
{
	const uint64_t args[6] = { 0 }; /* epoll_create1(0) */
	struct xm_error e = { 0 };
	int pidfd, status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		t_steps = 0;
		t_die_at = at;
		t_dies = getpid();
		if (is_group && !setpgid(0, 0))
			t_dies = -t_dies;
		pidfd = (int)syscall(SYS_pidfd_open, v->pid, 0);
		_exit(tracee_take_fd(v->pid, pidfd, SYS_epoll_create1, args,
				     &e) < 0 ?
			      1 :
			      2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 0 : WEXITSTATUS(status);
}

static void t_killed_at_each_step(bool is_group)
{
	struct t_victim *v = t_start(t_ppoll);
	unsigned int k = 0;
	uint64_t fed = 0;
	int how, status;

	v->may_eintr = true;
	/* What the dead leave behind is our child then. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	do {
		how = t_take_and_die(v, ++k, is_group);
		if (!how) {
			assert_true(waitpid(-1, &status, 0) > 0);
			assert_int_equal(status, 0);
		}
		assert_int_equal(t_count_epolls(v->pid), 0);
		t_is_well(v, "taken from", &fed);
	} while (!how);
	assert_int_equal(how, 2);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	assert_true(k > 2 * t_count_steps() - 2);
	t_end(v);
}

/* Whenever it is killed, the process keeps no descriptor that was for us. */
static void tracee_take_fd__killed_at_each_step(void **state)
{
	(void)state;
	t_killed_at_each_step(false);
}

/* A shell's "kill -9 %1", and "timeout -s KILL", kill all of a group. */
static void tracee_take_fd__group_killed_at_each_step(void **state)
{
	(void)state;
	t_killed_at_each_step(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tracee_syscall__killed_at_each_step),
		cmocka_unit_test(tracee_syscall__killed_any_time),
		cmocka_unit_test(tracee_syscall__killed_at_a_signal),
		cmocka_unit_test(tracee_hold__killed),
		cmocka_unit_test(tracee_take_fd__killed_at_each_step),
		cmocka_unit_test(tracee_take_fd__group_killed_at_each_step),
	};

	if (geteuid()) {
		print_message("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
