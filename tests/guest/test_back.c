// SPDX-License-Identifier: GPL-2.0-or-later
/* A guest comes back to its source from every state a move has come to: when
 * told to, when we are killed, and when the target dies.  Its own QEMU's death
 * is an error, never a hang. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest/source_qemu.h"
#include "t_move.h"

static const struct t_vm_opts source = { .pace = 100 };
static const struct t_vm_opts target = { .pace = 100, .is_target = true };

static int t_setup(void **state)
{
	struct t_move *m = calloc(1, sizeof(*m));

	if (!m)
		return 1;
	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &target);
	*state = m;
	return 0;
}

static int t_teardown(void **state)
{
	struct t_move *m = *state;

	t_move_close(m);
	t_vm_quit(&m->a);
	t_vm_quit(&m->b);
	free(m);
	return 0;
}

/* It runs, and nothing happened to its memory. */
static void t_is_well(struct t_vm *vm)
{
	t_vm_goes_on(vm);
	t_vm_tell(vm, "stop");
	t_vm_check(vm);
	t_vm_tell(vm, "cont");
	t_vm_goes_on(vm);
}

/* -- resume ------------------------------------------------------------------------- */

static void t_resumes_from(struct t_move *m, enum t_step step)
{
	t_move_to(m, step);
	if (step >= T_LOADED)
		guest_target_abandon(m->t);
	T_OK(guest_source_resume(m->s, &m->e));
	t_is_well(&m->a);
	T_OK(guest_source_resume(m->s, &m->e)); /* idempotent */
	t_vm_goes_on(&m->a);
}

static void guest_source_resume__when_opened(void **state)
{
	t_resumes_from(*state, T_OPEN);
}

static void guest_source_resume__when_tracked(void **state)
{
	t_resumes_from(*state, T_TRACK);
}

static void guest_source_resume__when_copied(void **state)
{
	t_resumes_from(*state, T_COPIED);
}

static void guest_source_resume__when_paused(void **state)
{
	t_resumes_from(*state, T_PAUSED);
}

static void guest_source_resume__when_handed_over(void **state)
{
	t_resumes_from(*state, T_HANDED);
}

static void guest_source_resume__when_loaded(void **state)
{
	t_resumes_from(*state, T_LOADED);
}

static void guest_source_resume__when_the_target_did_not_take_it(void **state)
{
	t_resumes_from(*state, T_COMMIT);
}

/* In the first milliseconds of a pause QEMU may forget that it is cancelled
 * (qemu_priv.h): once in a few hundred times, so this meets it now and then. */
static void guest_source_resume__as_it_begins_to_pause(void **state)
{
	struct t_move *m = *state;
	useconds_t later;

	t_vm_quit(&m->b);
	for (later = 0; later < 3000; later += 100) {
		t_move_to(m, T_TRACK);
		T_OK(guest_source_pause(m->s, &m->e));
		usleep(later);
		T_OK(guest_source_resume(m->s, &m->e));
		t_move_close(m);
	}
	t_is_well(&m->a);
}

/* Nobody reads what QEMU sends: it waits in the middle of it. */
static void guest_source_resume__while_its_stream_is_full(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_COPIED);
	T_OK(guest_source_pause(m->s, &m->e));
	T_OK(guest_source_resume(m->s, &m->e));
	t_is_well(&m->a);
}

/* QEMU has closed it, with the guest at the switchover: resume() can do nothing,
 * the guardian connects anew. */
static void guest_source_resume__when_the_monitor_is_closed(void **state)
{
	struct t_move *m = *state;
	struct source_qemu *y;

	t_move_to(m, T_PAUSED);
	y = (struct source_qemu *)m->s;
	assert_int_equal(shutdown(qmp_fd(y->q.qmp), SHUT_RDWR), 0);
	assert_int_equal(guest_source_resume(m->s, &m->e), -EPIPE);
	assert_true(m->s->is_back);
	assert_int_equal(m->s->guardian, 0);
	t_is_well(&m->a);
}

/* Nobody brings it back, and nobody is said to. */
static void guest_source_resume__when_the_guardian_is_dead_too(void **state)
{
	struct t_move *m = *state;
	struct source_qemu *y;

	t_move_to(m, T_PAUSED);
	y = (struct source_qemu *)m->s;
	kill(y->guardian.pid, SIGKILL);
	assert_int_equal(shutdown(qmp_fd(y->q.qmp), SHUT_RDWR), 0);
	assert_int_equal(guest_source_resume(m->s, &m->e), -EPIPE);
	assert_false(m->s->is_back);
	assert_int_equal(m->s->guardian, 0);
	m->s = guest_source_close(m->s);
	assert_string_not_equal(t_vm_state(&m->a), "running");
}

/* As it was before a move that failed: QEMU 7.2 says "postmigrate" to that, and
 * 10.0 "paused". */
static void t_is_paused(struct t_vm *vm)
{
	bool is_new = !strcmp(t_vm_state(vm), "paused");

	t_vm_rests(vm, is_new ? "paused" : "postmigrate");
}

static void guest_source_resume__paused_stays_paused(void **state)
{
	struct t_move *m = *state;

	t_vm_tell(&m->a, "stop");
	t_move_to(m, T_PAUSED);
	T_OK(guest_source_resume(m->s, &m->e));
	t_is_paused(&m->a);
	t_vm_tell(&m->a, "cont");
	t_is_well(&m->a);
}

static void guest_source_close__resumes(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_PAUSED);
	m->s = guest_source_close(m->s);
	t_is_well(&m->a);
}

static void guest_source_resume__then_a_second_move_succeeds(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_HANDED);
	guest_target_abandon(m->t);
	T_OK(guest_source_resume(m->s, &m->e));
	t_move_close(m);
	t_vm_quit(&m->b);
	t_vm_start(&m->b, &target);
	t_vm_goes_on(&m->a);
	t_move_to(m, T_MOVED);
	t_vm_rests(&m->a, "postmigrate");
	t_is_well(&m->b);
}

/* -- somebody else's doing ----------------------------------------------------------- */

/* QEMU's own migration, to nowhere, from beginning to end. */
static void t_takes_it_away(struct t_vm *vm)
{
	json_decref(t_qemu_run(&vm->q, "migrate",
			       "{\"uri\": \"exec:cat >/dev/null\"}"));
	T_UNTIL(!strcmp(t_vm_state(vm), "postmigrate"));
}

static void guest_source_resume__leaves_what_another_moved(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_COPIED);
	t_takes_it_away(&m->a);
	assert_int_equal(guest_source_resume(m->s, &m->e), -EBUSY);
	assert_int_equal(m->e.reason, XM_REASON_UNKNOWN_OUTCOME);
	m->s = guest_source_close(m->s);
	t_vm_rests(&m->a, "postmigrate");
}

static void guest_source_pause__refuses_what_another_moved(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_COPIED);
	t_takes_it_away(&m->a);
	assert_int_equal(guest_source_pause(m->s, &m->e), -EBUSY);
	assert_int_equal(m->e.reason, XM_REASON_UNKNOWN_OUTCOME);
	m->s = guest_source_close(m->s);
	t_vm_rests(&m->a, "postmigrate");
}

static void guest_source_turn__says_that_another_moves_it(void **state)
{
	struct t_move *m = *state;
	unsigned int news;
	int r = 0;

	t_move_to(m, T_COPIED);
	t_takes_it_away(&m->a);
	T_UNTIL((r = guest_source_turn(m->s, &news, &m->e)) != 0);
	assert_int_equal(r, -EBUSY);
	assert_int_equal(m->e.reason, XM_REASON_UNKNOWN_OUTCOME);
	m->s = guest_source_close(m->s);
	t_vm_rests(&m->a, "postmigrate");
}

static void guest_source_resume__leaves_what_another_stopped(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_COPIED);
	t_vm_tell(&m->a, "stop");
	T_OK(guest_source_resume(m->s, &m->e));
	t_vm_rests(&m->a, "paused");
}

static void guest_source_pause__asks_whether_it_runs_now(void **state)
{
	struct t_move *m = *state;

	t_vm_quit(
		&m->b); /* what it is sent here is of no guest it could load */
	t_vm_tell(&m->a, "stop");
	t_move_open(m);
	assert_false(m->s->was_running);
	T_OK(guest_source_track(m->s, &m->e));
	t_vm_tell(&m->a, "cont");
	T_OK(guest_source_pause(m->s, &m->e));
	t_move_await(m, GUEST_PAUSED);
	assert_true(m->s->was_running);
	T_OK(guest_source_resume(m->s, &m->e));
	t_is_well(&m->a);
}

/* Each has the guest for itself.  The test's monitor stays QEMU's. */
static void guest_source_qemu__one_at_a_time(void **state)
{
	struct t_move *m = *state;
	struct guest_source *other = NULL;
	struct xm_error e = { 0 };
	char ram[64];
	int fd;
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	t_move_open(m);
	snprintf(ram, sizeof(ram), "/proc/self/fd/%d", m->from.block[0].fd);
	fd = open(ram, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), -1);
	t_move_close(m);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	assert_int_equal(guest_source_qemu(&other, m->a.q.socket, &e), -EBUSY);
	assert_int_equal(e.reason, XM_REASON_UNKNOWN_OUTCOME);
	close(fd);
	t_vm_goes_on(&m->a);
}

static void guest_source_commit__refuses_a_guest_that_runs(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_LOADED);
	t_vm_tell(&m->a, "cont");
	assert_int_equal(guest_source_commit(m->s, &m->e), -EBUSY);
	guest_target_abandon(m->t);
	memset(&m->e, 0, sizeof(m->e));
	T_OK(guest_source_resume(m->s, &m->e));
	t_is_well(&m->a);
}

/* Also if it was stopped again meanwhile. */
static void guest_source_turn__says_that_it_was_let_run(void **state)
{
	struct t_move *m = *state;
	unsigned int news;
	int r = 0;

	t_move_to(m, T_LOADED);
	t_vm_tell(&m->a, "cont");
	t_vm_tell(&m->a, "stop");
	T_UNTIL((r = guest_source_turn(m->s, &news, &m->e)) != 0);
	assert_int_equal(r, -EBUSY);
	assert_non_null(strstr(m->e.msg, "RESUME"));
}

/* -- we are killed ------------------------------------------------------------------ */

static _Noreturn void t_drive(struct t_move *m, enum t_step step, int said)
{
	alarm(60); /* whatever fails: the parent sees the pipe close */
	t_move_to(m, step);
	(void)!write(said, "x", 1);
	for (;;)
		pause();
}

/* A process of its own does all up to @step, and is killed. */
static void t_killed_at(struct t_move *m, enum t_step step)
{
	int said[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(said), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(said[0]);
		t_drive(m, step, said[1]);
	}
	close(said[1]);
	assert_int_equal(read(said[0], &byte, 1), 1);
	close(said[0]);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void guest__comes_back_when_we_are_killed_tracking(void **state)
{
	t_killed_at(*state, T_TRACK);
	t_is_well(&((struct t_move *)*state)->a);
}

static void guest__comes_back_when_we_are_killed_copying(void **state)
{
	t_killed_at(*state, T_COPIED);
	t_is_well(&((struct t_move *)*state)->a);
}

static void guest__comes_back_when_we_are_killed_paused(void **state)
{
	struct t_move *m = *state;

	t_killed_at(m, T_PAUSED);
	T_UNTIL(!strcmp(t_vm_state(&m->a), "running"));
	t_is_well(&m->a);
}

static void guest__comes_back_when_we_are_killed_handed_over(void **state)
{
	struct t_move *m = *state;

	t_killed_at(m, T_HANDED);
	T_UNTIL(!strcmp(t_vm_state(&m->a), "running"));
	t_is_well(&m->a);
}

static void guest__comes_back_when_we_are_killed_loaded(void **state)
{
	struct t_move *m = *state;

	t_killed_at(m, T_LOADED);
	T_UNTIL(!strcmp(t_vm_state(&m->a), "running"));
	t_is_well(&m->a);
	t_vm_rests(&m->b, "paused");
}

static void
guest__never_comes_back_when_we_are_killed_after_commit(void **state)
{
	struct t_move *m = *state;

	t_killed_at(m, T_COMMIT);
	t_vm_rests(&m->a, "postmigrate");
}

static void guest__paused_stays_paused_when_we_are_killed(void **state)
{
	struct t_move *m = *state;

	t_vm_tell(&m->a, "stop");
	t_killed_at(m, T_PAUSED);
	T_UNTIL(strcmp(t_vm_state(&m->a), "finish-migrate") != 0);
	t_is_paused(&m->a);
}

static void guest__moves_after_we_were_killed_once(void **state)
{
	struct t_move *m = *state;

	t_killed_at(m, T_PAUSED);
	T_UNTIL(!strcmp(t_vm_state(&m->a), "running"));
	t_vm_quit(&m->b);
	t_vm_start(&m->b, &target);
	t_move_to(m, T_MOVED);
	t_vm_rests(&m->a, "postmigrate");
	t_is_well(&m->b);
}

/* -- a QEMU is killed --------------------------------------------------------------- */

/* Turn until it is said that the source's QEMU is gone. */
static void t_source_gone(struct t_move *m, enum t_step step)
{
	struct pollfd fds[GUEST_FDS_MAX];
	unsigned int news;
	int r = 0, left = 200;

	t_move_to(m, step);
	t_vm_kill(&m->a);
	while (!r && left--) {
		poll(fds, guest_source_fds(m->s, fds), 100);
		r = guest_source_turn(m->s, &news, &m->e);
	}
	assert_int_equal(r, -ESRCH);
	assert_non_null(strstr(m->e.msg, "the guest's QEMU (process "));
	memset(&m->e, 0, sizeof(m->e));
	assert_int_equal(guest_source_resume(m->s, &m->e), -ESRCH);
}

static void guest_source_turn__says_that_qemu_died_opened(void **state)
{
	t_source_gone(*state, T_OPEN);
}

static void guest_source_turn__says_that_qemu_died_copied(void **state)
{
	t_source_gone(*state, T_COPIED);
}

static void guest_source_turn__says_that_qemu_died_paused(void **state)
{
	t_source_gone(*state, T_PAUSED);
}

static void guest_source_turn__says_that_qemu_died_handed_over(void **state)
{
	t_source_gone(*state, T_HANDED);
}

static void guest_source_harvest__says_that_qemu_died(void **state)
{
	struct t_move *m = *state;
	uint64_t pages;

	t_move_to(m, T_COPIED);
	t_vm_kill(&m->a);
	assert_int_equal(guest_source_harvest(m->s, m->dirty, &pages, &m->e),
			 -ESRCH);
	assert_true(*m->e.msg);
}

static void guest_source_pause__says_that_qemu_died(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_COPIED);
	t_vm_kill(&m->a);
	assert_int_equal(guest_source_pause(m->s, &m->e), -ESRCH);
	assert_non_null(strstr(m->e.msg, "is gone"));
}

static void t_target_gone(struct t_move *m, enum t_step step)
{
	struct pollfd fds[GUEST_FDS_MAX];
	unsigned int news;
	int r = 0, left = 200;

	t_move_to(m, step);
	t_vm_kill(&m->b);
	while (!r && left--) {
		poll(fds, guest_target_fds(m->t, fds), 100);
		r = guest_target_turn(m->t, &news, &m->e);
	}
	assert_int_equal(r, -ESRCH);
	assert_non_null(strstr(m->e.msg, "the target's QEMU (process "));
	guest_target_abandon(m->t);
	memset(&m->e, 0, sizeof(m->e));
	T_OK(guest_source_resume(m->s, &m->e));
	t_is_well(&m->a);
}

static void guest_target_turn__says_that_qemu_died_waiting(void **state)
{
	t_target_gone(*state, T_COPIED);
}

static void guest_target_turn__says_that_qemu_died_loading(void **state)
{
	t_target_gone(*state, T_HANDED);
}

static void guest_target_turn__says_that_qemu_died_loaded(void **state)
{
	t_target_gone(*state, T_COMMIT);
}

static void guest_target_run__of_a_dead_qemu_certainly_fails(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_COMMIT);
	t_vm_kill(&m->b);
	assert_int_equal(guest_target_run(m->t, false, &m->e), -ESRCH);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, t_setup, t_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(guest_source_resume__when_opened),
		CASE(guest_source_resume__when_tracked),
		CASE(guest_source_resume__when_copied),
		CASE(guest_source_resume__when_paused),
		CASE(guest_source_resume__when_handed_over),
		CASE(guest_source_resume__when_loaded),
		CASE(guest_source_resume__when_the_target_did_not_take_it),
		CASE(guest_source_resume__as_it_begins_to_pause),
		CASE(guest_source_resume__while_its_stream_is_full),
		CASE(guest_source_resume__when_the_monitor_is_closed),
		CASE(guest_source_resume__when_the_guardian_is_dead_too),
		CASE(guest_source_resume__paused_stays_paused),
		CASE(guest_source_close__resumes),
		CASE(guest_source_resume__then_a_second_move_succeeds),
		CASE(guest_source_resume__leaves_what_another_moved),
		CASE(guest_source_pause__refuses_what_another_moved),
		CASE(guest_source_turn__says_that_another_moves_it),
		CASE(guest_source_resume__leaves_what_another_stopped),
		CASE(guest_source_pause__asks_whether_it_runs_now),
		CASE(guest_source_qemu__one_at_a_time),
		CASE(guest_source_commit__refuses_a_guest_that_runs),
		CASE(guest_source_turn__says_that_it_was_let_run),
		CASE(guest__comes_back_when_we_are_killed_tracking),
		CASE(guest__comes_back_when_we_are_killed_copying),
		CASE(guest__comes_back_when_we_are_killed_paused),
		CASE(guest__comes_back_when_we_are_killed_handed_over),
		CASE(guest__comes_back_when_we_are_killed_loaded),
		CASE(guest__never_comes_back_when_we_are_killed_after_commit),
		CASE(guest__paused_stays_paused_when_we_are_killed),
		CASE(guest__moves_after_we_were_killed_once),
		CASE(guest_source_turn__says_that_qemu_died_opened),
		CASE(guest_source_turn__says_that_qemu_died_copied),
		CASE(guest_source_turn__says_that_qemu_died_paused),
		CASE(guest_source_turn__says_that_qemu_died_handed_over),
		CASE(guest_source_harvest__says_that_qemu_died),
		CASE(guest_source_pause__says_that_qemu_died),
		CASE(guest_target_turn__says_that_qemu_died_waiting),
		CASE(guest_target_turn__says_that_qemu_died_loading),
		CASE(guest_target_turn__says_that_qemu_died_loaded),
		CASE(guest_target_run__of_a_dead_qemu_certainly_fails),
	};

	if (!t_vm_possible())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
