// SPDX-License-Identifier: GPL-2.0-or-later
/* test_guardian.c - who brings the guest back when xdpmig is killed
 *
 * A "mover" is a process that opens QEMU's monitor, starts a guardian and
 * brings QEMU into some state; then it says so and waits to be killed.  What
 * becomes of the guest is looked at through a second monitor.
 */
#include "guest/guardian.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "t_qemu.h"

#define RAM                                                             \
	"-m 32 -object memory-backend-memfd,id=ram0,size=32M,share=on " \
	"-machine memory-backend=ram0 "

struct t_guard {
	struct t_qemu qemu;
	pid_t mover;
	pid_t guardian;
};

/* Of a mover, all without cmocka: it is another process. */
struct mover {
	struct qmp *qmp;
	struct guardian g;
};

static void must(int r, const struct xm_error *e)
{
	if (!r)
		return;
	dprintf(STDERR_FILENO, "mover: %d %s\n", r, e->msg);
	_exit(1);
}

static void tell(struct mover *m, const char *command, json_t *args)
{
	struct xm_error e = { 0 };

	must(qmp_run(m->qmp, command, args, NULL, &e), &e);
}

static void arm(struct mover *m)
{
	struct xm_error e = { 0 };

	must(guardian_arm(&m->g, &e), &e);
}

/* Begin a migration to nowhere, up to pre-switchover. */
static void to_switchover(struct mover *m)
{
	struct xm_error e = { 0 };
	json_t *v;
	bool is_there = false;

	tell(m, "migrate-set-capabilities",
	     json_pack("{s:[{s:s, s:b}, {s:s, s:b}]}", "capabilities",
		       "capability", "pause-before-switchover", "state", 1,
		       "capability", "x-ignore-shared", "state", 1));
	tell(m, "migrate", json_pack("{s:s}", "uri", "exec:cat >/dev/null"));
	while (!is_there) {
		must(qmp_run(m->qmp, "query-migrate", NULL, &v, &e), &e);
		is_there =
			!strcmp(json_string_value(json_object_get(v, "status")),
				"pre-switchover");
		json_decref(v);
		poll(NULL, 0, 2);
	}
}

/* Let a mover do @act; it lives when this returns. */
static void t_move(struct t_guard *t, void (*act)(struct mover *m),
		   bool leave_paused)
{
	int news[2];
	char c = 0;

	assert_int_equal(pipe(news), 0);
	t->mover = fork();
	assert_true(t->mover >= 0);
	if (!t->mover) {
		struct mover m = { .g.leave_paused = leave_paused };
		struct xm_error e = { 0 };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(news[0]);
		must(qmp_open(&m.qmp, t->qemu.socket, 10000, &e), &e);
		must(guardian_start(&m.g, m.qmp, &e), &e);
		act(&m);
		(void)!write(news[1], &m.g.pid, sizeof(m.g.pid));
		for (;;)
			pause();
	}
	close(news[1]);
	assert_int_equal(read(news[0], &t->guardian, sizeof(t->guardian)),
			 sizeof(t->guardian));
	/* Nobody has the guardian keep this open. */
	assert_int_equal(poll(&(struct pollfd){ news[0], POLLIN, 0 }, 1, 0), 0);
	(void)c;
	close(news[0]);
}

/* The guardian ends by itself.  We are its reaper once its parent is dead. */
static void t_ended(pid_t guardian)
{
	int fd = (int)syscall(SYS_pidfd_open, guardian, 0);

	if (fd >= 0)
		assert_int_equal(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1,
				      T_SECONDS * 1000),
				 1);
	if (fd >= 0)
		close(fd);
	(void)waitpid(guardian, NULL, WNOHANG);
}

static void t_kill_mover(struct t_guard *t)
{
	t_reap(t->mover);
	t->mover = 0;
}

static int setup(void **state)
{
	struct t_guard *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t_qemu_start(&t->qemu, -1, RAM);
	t_qemu_wait(&t->qemu, "query-status", "running");
	*state = t;
	return 0;
}

static int setup_paused(void **state)
{
	struct t_guard *t;

	setup(state);
	t = *state;
	json_decref(t_qemu_run(&t->qemu, "stop", NULL));
	return 0;
}

static int teardown(void **state)
{
	struct t_guard *t = *state;

	if (t->mover > 0)
		t_reap(t->mover);
	t_qemu_stop(&t->qemu);
	if (t->guardian > 0)
		t_ended(t->guardian);
	free(t);
	return 0;
}

/* -- armed ------------------------------------------------------------------ */

static void act_switchover(struct mover *m)
{
	arm(m);
	to_switchover(m);
}

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

static void act_stop(struct mover *m)
{
	arm(m);
	tell(m, "stop", NULL);
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

static void act_completed(struct mover *m)
{
	arm(m);
	to_switchover(m);
	tell(m, "migrate-continue",
	     json_pack("{s:s}", "state", "pre-switchover"));
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
	struct xm_error e = { 0 };

	act_stop(m);
	must(guardian_disarm(&m->g, &e), &e);
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
	assert_int_equal(guardian_start(&m->g, m->qmp, &e), 0);
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
	assert_int_equal(n, 4); /* stderr, pipe, monitor, pidfd */
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)m.g.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(name, sizeof(name), f));
	fclose(f);
	assert_string_equal(name, "xdpmig-guardian\n");
	assert_int_equal(getsid(m.g.pid), m.g.pid);
	assert_int_equal(guardian_disarm(&m.g, NULL), 0);
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
	assert_int_equal(guardian_disarm(&m.g, NULL), 0);
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

#define T(f)        cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T_PAUSED(f) cmocka_unit_test_setup_teardown(f, setup_paused, teardown)

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
