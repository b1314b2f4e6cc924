// SPDX-License-Identifier: GPL-2.0-or-later
/* test_guardian.c - who brings the guest back when xdpmig is killed */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t_guard.h"
#include <cmocka.h>

/* -- armed ------------------------------------------------------------------ */

static void guardian_arm__killed_at_the_switchover(void **state)
{
	struct t_guard *t = *state;

	t_move(t, act_switchover, false);
	t_qemu_wait(&t->qemu, "query-migrate", "pre-switchover");
	t_kill_mover(t);
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_qemu_wait(&t->qemu, "query-migrate", "cancelled");
	t_ended(t->guardian);
}

static void guardian_arm__another_migration_works_afterwards(void **state)
{
	struct t_guard *t = *state;

	guardian_arm__killed_at_the_switchover(state);
	guardian_arm__killed_at_the_switchover(state);
	t_qemu_wait(&t->qemu, "query-status", "running");
}

static void guardian_arm__killed_while_it_drained(void **state)
{
	struct t_guard *t = *state;

	t_move(t, act_stop, false);
	t_qemu_wait(&t->qemu, "query-status", "paused");
	t_kill_mover(t);
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_ended(t->guardian);
}

static void act_drain(struct mover *m)
{
	m->g.is_drain = true;
	act_stop(m);
}

static void guardian_arm__starts_a_guest_that_was_drained(void **state)
{
	struct t_guard *t = *state;

	t_move(t, act_drain, false);
	t_qemu_wait(&t->qemu, "query-status", "paused");
	t_kill_mover(t);
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_ended(t->guardian);
}

/* Somebody else's, who has the guest elsewhere now. */
static void act_drain_of_another(struct mover *m)
{
	struct xm_error e = { 0 };
	json_t *v;
	bool is_there = false;

	act_drain(m);
	tell(m, "migrate", json_pack("{s:s}", "uri", "exec:cat >/dev/null"));
	while (!is_there) {
		must(qmp_run(m->qmp, "query-status", NULL, &v, &e), &e);
		is_there =
			!strcmp(json_string_value(json_object_get(v, "status")),
				"postmigrate");
		json_decref(v);
		poll(NULL, 0, 2);
	}
}

static void guardian_arm__drained_leaves_what_another_moved(void **state)
{
	struct t_guard *t = *state;
	char status[32];

	t_move(t, act_drain_of_another, false);
	t_kill_mover(t);
	t_ended(t->guardian);
	t_qemu_status(&t->qemu, "query-status", status);
	assert_string_equal(status, "postmigrate");
}

static void guardian_arm__killed_after_qemu_had_completed(void **state)
{
	struct t_guard *t = *state;

	t_move(t, act_completed, false);
	t_qemu_wait(&t->qemu, "query-migrate", "completed");
	t_qemu_wait(&t->qemu, "query-status", "postmigrate");
	t_kill_mover(t);
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_ended(t->guardian);
}

static void act_running(struct mover *m)
{
	arm(m);
}

static void guardian_arm__killed_while_the_guest_ran(void **state)
{
	struct t_guard *t = *state;
	char status[32];

	t_move(t, act_running, false);
	t_kill_mover(t);
	t_ended(t->guardian);
	t_qemu_status(&t->qemu, "query-status", status);
	assert_string_equal(status, "running");
}

/* Commands without an answer that was read, and half a command. */
static void act_half(struct mover *m)
{
	static const char text[] =
		"{\"execute\":\"stop\",\"id\":\"one\"}"
		"{\"execute\":\"query-qmp-schema\",\"id\":\"two\"}"
		"{\"execute\":\"quit\",\"id\":\"three";
	char c;

	arm(m);
	(void)!send(qmp_fd(m->qmp), text, sizeof(text) - 1, 0);
	(void)!recv(qmp_fd(m->qmp), &c, 1, 0);
}

static void guardian_arm__killed_in_the_middle_of_a_command(void **state)
{
	struct t_guard *t = *state;

	t_move(t, act_half, false);
	t_qemu_wait(&t->qemu, "query-status", "paused");
	t_kill_mover(t);
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_ended(t->guardian);
}

static void act_heir(struct mover *m)
{
	act_stop(m);
	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, 0);
	alarm(T_SECONDS); /* holds all of the mover's descriptors till then */
	pause();
	_exit(0);
}

static void guardian_arm__a_child_of_the_dead_holds_the_pipe(void **state)
{
	struct t_guard *t = *state;

	t_move(t, act_heir, false);
	t_qemu_wait(&t->qemu, "query-status", "paused");
	t_kill_mover(t);
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_ended(t->guardian);
}

static void guardian_arm__leaves_a_paused_guest_paused(void **state)
{
	struct t_guard *t = *state;
	char status[32];

	t_move(t, act_switchover, true);
	t_kill_mover(t);
	t_qemu_wait(&t->qemu, "query-migrate", "cancelled");
	t_ended(t->guardian);
	t_qemu_status(&t->qemu, "query-status", status);
	assert_string_not_equal(status, "running");
	/* And it can go on. */
	json_decref(t_qemu_run(&t->qemu, "cont", NULL));
	t_qemu_wait(&t->qemu, "query-status", "running");
}

static void act_stop_armed(struct mover *m)
{
	act_stop(m);
	guardian_stop(&m->g);
}

static void guardian_stop__of_an_armed_one_is_a_death(void **state)
{
	struct t_guard *t = *state;

	t_move(t, act_stop_armed, false);
	t->guardian = 0; /* the mover has forgotten it */
	t_qemu_wait(&t->qemu, "query-status", "running");
}

/* -- disarmed --------------------------------------------------------------- */

static void act_disarmed(struct mover *m)
{
	act_stop(m);
	guardian_disarm(&m->g);
}

static void guardian_disarm__killed_means_nothing(void **state)
{
	struct t_guard *t = *state;
	char status[32];

	t_move(t, act_disarmed, false);
	t_kill_mover(t);
	t_ended(t->guardian);
	t_qemu_status(&t->qemu, "query-status", status);
	assert_string_equal(status, "paused");
}

static void act_again(struct mover *m)
{
	act_disarmed(m);
	arm(m);
}

static void guardian_disarm__can_be_armed_again(void **state)
{
	struct t_guard *t = *state;

	t_move(t, act_again, false);
	t_kill_mover(t);
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_ended(t->guardian);
}

static void guardian_start__killed_before_it_is_armed(void **state)
{
	struct t_guard *t = *state;
	char status[32];

	t_move(t, to_switchover, false);
	t_kill_mover(t);
	t_ended(t->guardian);
	t_qemu_status(&t->qemu, "query-migrate", status);
	assert_string_equal(status, "pre-switchover");
}

/* -- the process ------------------------------------------------------------ */

static void t_own(struct t_guard *t, struct mover *m)
{
	struct xm_error e = { 0 };

	assert_int_equal(qmp_open(&m->qmp, t->qemu.socket, 10000, &e), 0);
	assert_int_equal(start(m, t->qemu.pid, &e), 0);
}

static void guardian_start__keeps_what_it_needs_only(void **state)
{
	struct mover m = { 0 };
	char path[64], name[32] = "";
	struct dirent *entry;
	unsigned int n = 0;
	FILE *f;
	DIR *d;

	t_own(*state, &m);
	assert_int_equal(guardian_arm(&m.g, NULL), 0);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)m.g.pid);
	d = opendir(path);
	assert_non_null(d);
	while ((entry = readdir(d)))
		n += entry->d_name[0] != '.';
	closedir(d);
	assert_int_equal(n, 5); /* stderr, pipe, monitor, two pidfds */
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)m.g.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(name, sizeof(name), f));
	fclose(f);
	assert_string_equal(name, "xdpmig-guardian\n");
	assert_int_equal(getsid(m.g.pid), m.g.pid);
	guardian_disarm(&m.g);
	guardian_stop(&m.g);
	qmp_close(m.qmp);
}

static void guardian_start__outlives_signals_of_a_terminal(void **state)
{
	struct mover m = { 0 };

	t_own(*state, &m);
	assert_int_equal(guardian_arm(&m.g, NULL), 0);
	kill(m.g.pid, SIGINT);
	kill(m.g.pid, SIGTERM);
	kill(m.g.pid, SIGHUP);
	kill(m.g.pid, SIGQUIT);
	guardian_disarm(&m.g);
	guardian_stop(&m.g);
	qmp_close(m.qmp);
}

static void guardian_stop__waits_and_frees_the_monitor(void **state)
{
	struct t_guard *t = *state;
	struct mover m = { 0 };
	struct xm_error e = { 0 };
	pid_t pid;

	t_own(t, &m);
	pid = m.g.pid;
	guardian_stop(&m.g);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	guardian_stop(&m.g);
	qmp_close(m.qmp);
	assert_int_equal(qmp_open(&m.qmp, t->qemu.socket, 10000, &e), 0);
	qmp_close(m.qmp);
}

static void guardian_arm__says_when_there_is_no_guardian(void **state)
{
	struct mover m = { 0 };
	struct xm_error e = { 0 };

	t_own(*state, &m);
	kill(m.g.pid, SIGKILL);
	t_ended(m.g.pid);
	assert_int_equal(guardian_arm(&m.g, &e), -EPIPE);
	assert_non_null(strstr(e.msg, "guardian"));
	guardian_stop(&m.g);
	qmp_close(m.qmp);
}

static void guardian_arm__ends_with_qemu(void **state)
{
	struct t_guard *t = *state;
	struct mover m = { 0 };

	t_own(t, &m);
	assert_int_equal(guardian_arm(&m.g, NULL), 0);
	t_reap(t->qemu.pid);
	t->qemu.pid = 0;
	t_ended(m.g.pid);
	guardian_stop(&m.g);
	qmp_close(m.qmp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guardian_arm__killed_at_the_switchover),
		T(guardian_arm__another_migration_works_afterwards),
		T(guardian_arm__killed_while_it_drained),
		T(guardian_arm__starts_a_guest_that_was_drained),
		T(guardian_arm__drained_leaves_what_another_moved),
		T(guardian_arm__killed_after_qemu_had_completed),
		T(guardian_arm__killed_while_the_guest_ran),
		T(guardian_arm__killed_in_the_middle_of_a_command),
		T(guardian_arm__a_child_of_the_dead_holds_the_pipe),
		T_PAUSED(guardian_arm__leaves_a_paused_guest_paused),
		T(guardian_stop__of_an_armed_one_is_a_death),
		T(guardian_disarm__killed_means_nothing),
		T(guardian_disarm__can_be_armed_again),
		T(guardian_start__killed_before_it_is_armed),
		T(guardian_start__keeps_what_it_needs_only),
		T(guardian_start__outlives_signals_of_a_terminal),
		T(guardian_stop__waits_and_frees_the_monitor),
		T(guardian_arm__says_when_there_is_no_guardian),
		T(guardian_arm__ends_with_qemu),
	};

	if (!t_qemu_is_there()) {
		puts("1..0 # SKIP no qemu-system-x86_64");
		return 0;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
