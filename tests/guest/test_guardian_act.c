// SPDX-License-Identifier: GPL-2.0-or-later
/* test_guardian_act.c - the guardian takes its time, does no harm meanwhile, and
 * says what it did */
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

/* -- what it writes down ------------------------------------------------------ */

static void guardian_note__of_a_guest_that_ran(void **state)
{
	struct t_guard *t = *state;

	t_move(t, act_nothing, false);
	assert_int_equal(access(t->record, F_OK), -1);
	t_kill_mover(t);
	t_ended(t->guardian);
	t_record_says(t, "done", "source");
	assert_true(t_lock_is_free(t));
}

static void act_end(struct mover *m)
{
	guardian_stop(&m->g);
}

static void guardian_stop__writes_nothing_down(void **state)
{
	struct t_guard *t = *state;

	t_move(t, act_end, false);
	t->guardian = 0;
	t_kill_mover(t);
	assert_int_equal(access(t->record, F_OK), -1);
	assert_true(t_lock_is_free(t));
}

static void guardian_note__of_a_guest_that_ended(void **state)
{
	struct t_guard *t = *state;

	t_move(t, act_switchover, false);
	kill(t->qemu.pid, SIGSTOP);
	t_kill_mover(t);
	t_record_says(t, "trying", "unknown");
	t_reap(t->qemu.pid);
	t->qemu.pid = 0;
	t_ended(t->guardian);
	t_record_says(t, "gone", "unknown");
}

static void act_commit(struct mover *m)
{
	act_stop(m);
	guardian_commit(&m->g);
}

static void guardian_commit__killed_means_nothing(void **state)
{
	struct t_guard *t = *state;
	char status[32];

	t_move(t, act_commit, false);
	t_kill_mover(t);
	t_ended(t->guardian);
	t_qemu_status(&t->qemu, "query-status", status);
	assert_string_equal(status, "paused");
	assert_int_equal(access(t->record, F_OK), -1);
}

/* It cannot say that it heard it. */
static void act_commit_deaf(struct mover *m)
{
	act_stop(m);
	kill(m->g.pid, SIGSTOP);
	guardian_commit(&m->g);
}

static void guardian_commit__kills_one_that_does_not_answer(void **state)
{
	struct t_guard *t = *state;
	char status[32];

	t_move(t, act_commit_deaf, false);
	assert_int_equal(t->guardian, 0);
	t_kill_mover(t);
	t_qemu_status(&t->qemu, "query-status", status);
	assert_string_equal(status, "paused");
	assert_true(t_lock_is_free(t));
}

/* -- it takes its time ----------------------------------------------------------- */

/* QEMU answers nobody for a while. */
static void guardian_arm__goes_on_until_qemu_answers(void **state)
{
	struct t_guard *t = *state;
	struct xm_error e = { 0 };

	t_move(t, act_switchover, false);
	kill(t->qemu.pid, SIGSTOP);
	t_kill_mover(t);
	t_record_says(t, "trying", "unknown");
	assert_int_equal(guardian_check(t->qemu.pid, "monitor", &e), -EBUSY);
	assert_int_equal(e.reason, XM_REASON_UNKNOWN_OUTCOME);
	/* Once more than it would if the first answer were the last. */
	T_UNTIL(strstr(t_recorded(t, "message"), "did not answer"));
	assert_false(t_lock_is_free(t));
	kill(t->qemu.pid, SIGCONT);
	t_ended(t->guardian);
	t_record_says(t, "done", "source");
	assert_true(t_lock_is_free(t));
	assert_int_equal(guardian_check(t->qemu.pid, "monitor", &e), 0);
	t_qemu_wait(&t->qemu, "query-status", "running");
}

/* The mover's connection goes by way of a relay that ends. */
static pid_t t_relay(const struct t_guard *t, char path[64])
{
	snprintf(path, 64, "%s/relay", t->qemu.dir);
	(void)unlink(path);
	return t_listen(path, t_serve_relay, t->qemu.socket);
}

static void guardian_arm__connects_anew(void **state)
{
	struct t_guard *t = *state;
	char path[64];
	pid_t relay = t_relay(t, path);

	t->socket = "relay";
	t_move(t, act_switchover, false);
	t_reap(relay);
	t_kill_mover(t);
	T_UNTIL(strstr(t_recorded(t, "message"), "nobody listens"));
	relay = t_relay(t, path);
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_ended(t->guardian);
	t_record_says(t, "done", "source");
	t_reap(relay);
}

/* Another QEMU has the path now, with a guest that somebody stopped. */
static void guardian_arm__leaves_another_qemu_alone(void **state)
{
	struct t_guard *t = *state;
	struct t_guard other = { 0 };
	char path[64], status[32];
	pid_t relay = t_relay(t, path);

	t->socket = path;
	t_qemu_start(&other.qemu, -1, RAM);
	json_decref(t_qemu_run(&other.qemu, "stop", NULL));
	t_move(t, act_stop, false);
	t_reap(relay);
	(void)unlink(path);
	relay = t_listen(path, t_serve_relay, other.qemu.socket);
	t_kill_mover(t);
	T_UNTIL(strstr(t_recorded(t, "message"), "another QEMU has"));
	t_qemu_status(&other.qemu, "query-status", status);
	assert_string_equal(status, "paused");
	t_reap(relay);
	relay = t_relay(t, path);
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_reap(relay);
	t_qemu_stop(&other.qemu);
}

/* -- others are at the guest, too ------------------------------------------------ */

/* As the target's QEMU would have it. */
static int t_hold_disk(const struct t_guard *t)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/disk", t->qemu.dir);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

/* QEMU had completed, and refuses cont. */
static int t_to_refusal(struct t_guard *t)
{
	int disk;

	t_move(t, act_completed, false);
	t_qemu_wait(&t->qemu, "query-status", "postmigrate");
	disk = t_hold_disk(t);
	t_kill_mover(t);
	T_UNTIL(strstr(t_recorded(t, "message"), "refused cont"));
	t_record_says(t, "trying", "unknown");
	return disk;
}

static void guardian_arm__goes_on_until_qemu_does_it(void **state)
{
	struct t_guard *t = *state;

	close(t_to_refusal(t));
	t_qemu_wait(&t->qemu, "query-status", "running");
	t_ended(t->guardian);
	t_record_says(t, "done", "source");
}

/* Somebody lets it run, and moves it, before it looks again. */
static void guardian_arm__leaves_what_another_moved(void **state)
{
	struct t_guard *t = *state;
	int disk = t_to_refusal(t);
	char status[32];

	kill(t->guardian, SIGSTOP);
	close(disk);
	json_decref(t_qemu_run(&t->qemu, "cont", NULL));
	json_decref(t_qemu_run(&t->qemu, "migrate-set-capabilities",
			       "{\"capabilities\": [{\"capability\": "
			       "\"pause-before-switchover\", "
			       "\"state\": false}]}"));
	json_decref(t_qemu_run(&t->qemu, "migrate",
			       "{\"uri\": \"exec:cat >/dev/null\"}"));
	t_qemu_wait(&t->qemu, "query-status", "postmigrate");
	kill(t->guardian, SIGCONT);
	t_ended(t->guardian);
	t_record_says(t, "done", "unknown");
	t_qemu_status(&t->qemu, "query-status", status);
	assert_string_equal(status, "postmigrate");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(guardian_stop__writes_nothing_down),
		T(guardian_note__of_a_guest_that_ran),
		T(guardian_note__of_a_guest_that_ended),
		T(guardian_commit__killed_means_nothing),
		T(guardian_commit__kills_one_that_does_not_answer),
		T(guardian_arm__goes_on_until_qemu_answers),
		T(guardian_arm__connects_anew),
		T(guardian_arm__leaves_another_qemu_alone),
		T_DISK(guardian_arm__goes_on_until_qemu_does_it),
		T_DISK(guardian_arm__leaves_what_another_moved),
	};

	if (!t_qemu_is_there()) {
		puts("1..0 # SKIP no qemu-system-x86_64");
		return 0;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
