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
static const uint64_t no_args[6];

static void t_step(void)
{
	if (++t_steps == 1 && t_signal) {
		kill(t_signal, SIGUSR1);
		usleep(300); /* to be about to get it */
	}
	if (t_steps == t_die_at)
		kill(getpid(), SIGKILL);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tracee_syscall__killed_at_each_step),
		cmocka_unit_test(tracee_syscall__killed_any_time),
		cmocka_unit_test(tracee_syscall__killed_at_a_signal),
		cmocka_unit_test(tracee_hold__killed),
	};

	if (geteuid()) {
		print_message("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
