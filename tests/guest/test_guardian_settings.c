// SPDX-License-Identifier: GPL-2.0-or-later
/* test_guardian_settings.c - QEMU has the migration settings that it had, however
 * xdpmig ended: its own next migration saves all of the guest, and ends */
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
#include <unistd.h>

#include "t_guard.h"
#include <cmocka.h>

/* All that QEMU can be told of migrations; the caller's. */
static json_t *t_settings(struct t_guard *t)
{
	return json_pack(
		"[o, o]",
		t_qemu_run(&t->qemu, "query-migrate-capabilities", NULL),
		t_qemu_run(&t->qemu, "query-migrate-parameters", NULL));
}

/* An operator's, of which ours change each. */
static json_t *t_some_settings(struct t_guard *t)
{
	json_decref(t_qemu_run(&t->qemu, "migrate-set-capabilities",
			       "{\"capabilities\": [{\"capability\": "
			       "\"auto-converge\", \"state\": true}]}"));
	json_decref(t_qemu_run(&t->qemu, "migrate-set-parameters",
			       "{\"max-bandwidth\": 1234567, "
			       "\"downtime-limit\": 77}"));
	return t_settings(t);
}

static void t_are_still(struct t_guard *t, json_t *want)
{
	json_t *have = t_settings(t);

	assert_true(json_equal(have, want));
	json_decref(have);
	json_decref(want);
}

/* As source_qemu.c does it. */
static void change(struct mover *m)
{
	struct settings old = { 0 }, ours = { 0 };
	struct xm_error e = { 0 };

	must(settings_plan(&old, &ours, m->qmp, false, &e), &e);
	must(guardian_settings(&m->g, &old, &e), &e);
	must(settings_change(&old, &ours, m->qmp, &e), &e);
}

/* QEMU's own migration of the guest: it ends, and has all the RAM. */
static void t_saves_all(struct t_guard *t)
{
	json_int_t zero = 0, other = 0;
	json_t *info;

	json_decref(t_qemu_run(&t->qemu, "migrate-set-parameters",
			       "{\"max-bandwidth\": 1000000000}"));
	json_decref(t_qemu_run(&t->qemu, "migrate",
			       "{\"uri\": \"exec:cat >/dev/null\"}"));
	t_qemu_wait(&t->qemu, "query-migrate", "completed");
	info = t_qemu_run(&t->qemu, "query-migrate", NULL);
	assert_int_equal(json_unpack(info, "{s:{s:I, s:I}}", "ram", "duplicate",
				     &zero, "normal", &other),
			 0);
	assert_true(zero + other >= 32 * 256); /* pages */
	json_decref(info);
}

/* -- the guest stays ------------------------------------------------------------ */

static void act_move(struct mover *m)
{
	change(m);
	act_switchover(m);
}

static void guardian_settings__killed_at_the_switchover(void **state)
{
	struct t_guard *t = *state;
	json_t *want = t_some_settings(t), *ours;

	t_move(t, act_move, false);
	ours = t_settings(t);
	assert_false(json_equal(ours, want));
	json_decref(ours);
	t_kill_mover(t);
	t_ended(t->guardian);
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_are_still(t, want);
	t_saves_all(t);
}

/* In the middle of the change, or before the guest is in danger. */
static void guardian_settings__killed_before_it_is_armed(void **state)
{
	struct t_guard *t = *state;
	json_t *want = t_some_settings(t);

	t_move(t, change, false);
	t_kill_mover(t);
	t_ended(t->guardian);
	t_are_still(t, want);
	t_record_says(t, "done", "source");
}

static void guardian_settings__of_a_guest_that_stays_paused(void **state)
{
	struct t_guard *t = *state;
	json_t *want = t_some_settings(t);
	char status[32];

	t_move(t, act_move, true);
	t_kill_mover(t);
	t_ended(t->guardian);
	t_are_still(t, want);
	t_qemu_status(&t->qemu, "query-status", status);
	assert_string_not_equal(status, "running");
}

/* It cannot be told now; then it is told. */
static void guardian_settings__when_qemu_answers_again(void **state)
{
	struct t_guard *t = *state;
	json_t *want = t_some_settings(t);

	t_move(t, act_move, false);
	kill(t->qemu.pid, SIGSTOP);
	t_kill_mover(t);
	t_record_says(t, "trying", "unknown");
	kill(t->qemu.pid, SIGCONT);
	t_ended(t->guardian);
	t_are_still(t, want);
}

/* The guest is where it was all the while. */
static void guardian_settings__only_they_are_missing(void **state)
{
	struct t_guard *t = *state;
	json_t *want = t_some_settings(t);

	t_move(t, change, false);
	kill(t->qemu.pid, SIGSTOP);
	t_kill_mover(t);
	t_record_says(t, "trying", "source");
	assert_non_null(strstr(t_recorded(t, "message"), "settings may not"));
	kill(t->qemu.pid, SIGCONT);
	t_ended(t->guardian);
	t_are_still(t, want);
	t_record_says(t, "done", "source");
}

/* -- the guest went --------------------------------------------------------------- */

static void act_hand_over(struct mover *m)
{
	change(m);
	act_completed(m);
	guardian_commit(&m->g);
}

static void guardian_settings__killed_after_commit(void **state)
{
	struct t_guard *t = *state;
	json_t *want = t_some_settings(t);
	char status[32];

	t_move(t, act_hand_over, false);
	t_qemu_wait(&t->qemu, "query-status", "postmigrate");
	t_kill_mover(t);
	t_ended(t->guardian);
	t_are_still(t, want);
	t_qemu_status(&t->qemu, "query-status", status);
	assert_string_equal(status, "postmigrate");
	assert_int_equal(access(t->record, F_OK), -1);
	/* The target does not have it, and somebody lets it run here. */
	json_decref(t_qemu_run(&t->qemu, "cont", NULL));
	t_saves_all(t);
}

/* The name is free at once, however long QEMU takes. */
static void guardian_settings__after_commit_the_record_is_not_its(void **state)
{
	struct t_guard *t = *state;
	json_t *want = t_some_settings(t);
	struct xm_error e = { 0 };

	t_move(t, act_hand_over, false);
	t_qemu_wait(&t->qemu, "query-status", "postmigrate");
	kill(t->qemu.pid, SIGSTOP);
	t_kill_mover(t);
	T_UNTIL(t_lock_is_free(t));
	assert_int_equal(kill(t->guardian, 0), 0);
	/* It does not try to let the guest run. */
	assert_int_equal(guardian_check(t->qemu.pid, "monitor", &e), 0);
	kill(t->qemu.pid, SIGCONT);
	t_ended(t->guardian);
	t_are_still(t, want);
	assert_int_equal(access(t->record, F_OK), -1);
}

/* -- not ours ----------------------------------------------------------------------- */

static void act_of_another(struct mover *m)
{
	change(m);
	to_switchover(m);
}

static void guardian_settings__leaves_those_of_a_migration(void **state)
{
	struct t_guard *t = *state;
	char status[32];
	json_t *want;

	t_move(t, act_of_another, false);
	want = t_settings(t);
	t_kill_mover(t);
	t_ended(t->guardian);
	t_are_still(t, want);
	t_qemu_status(&t->qemu, "query-migrate", status);
	assert_string_equal(status, "pre-switchover");
}

static void act_refused(struct mover *m)
{
	struct settings odd = { .parameters = json_pack("{s:i}",
							"downtime-limit", -1) };
	struct xm_error e = { 0 };

	must(guardian_settings(&m->g, &odd, &e), &e);
	act_stop(m);
}

static void guardian_settings__says_what_qemu_refuses(void **state)
{
	struct t_guard *t = *state;

	t_move(t, act_refused, false);
	t_kill_mover(t);
	t_ended(t->guardian);
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_record_says(t, "done", "source");
	assert_non_null(strstr(t_recorded(t, "message"),
			       "QEMU keeps migration settings of xdpmig's"));
}

/* Nobody may take it for done. */
static void guardian_leave__says_what_qemu_refuses(void **state)
{
	struct settings odd = { .parameters = json_pack("{s:i}",
							"downtime-limit", -1) };
	struct t_guard *t = *state;
	struct mover m = { 0 };
	struct xm_error e = { 0 };
	pid_t pid;

	assert_int_equal(qmp_open(&m.qmp, t->qemu.socket, 10000, &e), 0);
	assert_int_equal(start(&m, t->qemu.pid, &e), 0);
	assert_int_equal(guardian_settings(&m.g, &odd, &e), 0);
	assert_int_equal(guardian_leave(&m.g, &pid), -EREMOTEIO);
	qmp_close(m.qmp);
	settings_forget(&odd);
}

static void guardian_settings__too_many_are_refused(void **state)
{
	struct t_guard *t = *state;
	char text[16384];
	struct settings old = { 0 };
	struct mover m = { 0 };
	struct xm_error e = { 0 };

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	old.parameters = json_pack("{s:s}", "tls-creds", text);
	assert_int_equal(qmp_open(&m.qmp, t->qemu.socket, 10000, &e), 0);
	assert_int_equal(start(&m, t->qemu.pid, &e), 0);
	assert_int_equal(guardian_settings(&m.g, &old, &e), -E2BIG);
	/* And it hears what comes after. */
	assert_int_equal(guardian_arm(&m.g, &e), 0);
	guardian_disarm(&m.g);
	guardian_stop(&m.g);
	qmp_close(m.qmp);
	settings_forget(&old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guardian_settings__killed_at_the_switchover),
		T(guardian_settings__killed_before_it_is_armed),
		T_PAUSED(guardian_settings__of_a_guest_that_stays_paused),
		T(guardian_settings__when_qemu_answers_again),
		T(guardian_settings__only_they_are_missing),
		T(guardian_settings__killed_after_commit),
		T(guardian_settings__after_commit_the_record_is_not_its),
		T(guardian_settings__leaves_those_of_a_migration),
		T(guardian_settings__says_what_qemu_refuses),
		T(guardian_leave__says_what_qemu_refuses),
		T(guardian_settings__too_many_are_refused),
	};

	if (!t_qemu_is_there()) {
		puts("1..0 # SKIP no qemu-system-x86_64");
		return 0;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
