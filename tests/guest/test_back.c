// SPDX-License-Identifier: GPL-2.0-or-later
/* A guest comes back to its source from every state a move has come to: when
 * told to, and when we are killed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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

/* -- resume ------------------------------------------------------------------------- */

static void t_resumes_from(struct t_move *m, enum t_step step)
{
	t_move_to(m, step);
	if (step >= T_LOADED)
		guest_target_abandon(m->t);
	T_OK(guest_source_resume(m->s, &m->e));
	t_vm_is_well(&m->a);
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
	t_vm_is_well(&m->a);
}

/* Nobody reads what QEMU sends: it waits in the middle of it. */
static void guest_source_resume__while_its_stream_is_full(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_COPIED);
	T_OK(guest_source_pause(m->s, &m->e));
	T_OK(guest_source_resume(m->s, &m->e));
	t_vm_is_well(&m->a);
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
	t_vm_is_well(&m->a);
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

/* The same before anything was done to the guest. */
static void guest_source_resume__when_the_monitor_is_closed_early(void **state)
{
	struct t_move *m = *state;
	struct source_qemu *y;

	t_move_to(m, T_COPIED);
	y = (struct source_qemu *)m->s;
	assert_int_equal(shutdown(qmp_fd(y->q.qmp), SHUT_RDWR), 0);
	assert_int_equal(guest_source_resume(m->s, &m->e), -EPIPE);
	assert_true(m->s->is_back);
	assert_int_equal(m->s->guardian, 0);
	t_vm_is_well(&m->a);
}

static void *t_kill_later(void *arg)
{
	usleep(1200000); /* as if it had much memory to give back */
	kill(*(pid_t *)arg, SIGKILL);
	return NULL;
}

/* It was closed because QEMU ends, which takes it a while: the guest is not as it
 * was. */
static void guest_source_resume__when_qemu_ends_in_between(void **state)
{
	struct t_move *m = *state;
	struct source_qemu *y;
	pthread_t killer;

	t_move_to(m, T_COPIED);
	y = (struct source_qemu *)m->s;
	assert_int_equal(shutdown(qmp_fd(y->q.qmp), SHUT_RDWR), 0);
	assert_int_equal(pthread_create(&killer, NULL, t_kill_later, &y->q.pid),
			 0);
	assert_int_equal(guest_source_resume(m->s, &m->e), -ESRCH);
	pthread_join(killer, NULL);
	assert_false(m->s->is_back);
}

/* There is no memory to say this command to QEMU; NULL: there is for all. */
static const char *t_unsaid;

/* NOLINTBEGIN(bugprone-reserved-identifier): ld's names */
ssize_t __real_sendmsg(int sock, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int sock, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int sock, const struct msghdr *msg, int flags)
{
	if (t_unsaid && memmem(msg->msg_iov->iov_base, msg->msg_iov->iov_len,
			       t_unsaid, strlen(t_unsaid))) {
		errno = ENOMEM;
		return -1;
	}
	return __real_sendmsg(sock, msg, flags);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static json_t *t_settings(struct t_vm *vm)
{
	return json_pack("[o, o]",
			 t_qemu_run(&vm->q, "query-migrate-capabilities", NULL),
			 t_qemu_run(&vm->q, "query-migrate-parameters", NULL));
}

/* The monitor breaks when some of QEMU's settings are changed, or all. */
static void
guest_source_resume__when_the_monitor_breaks_in_between(void **state)
{
	static const char *const commands[] = { "migrate-set-parameters",
						"\"getfd\"" };
	struct t_move *m = *state;
	json_t *was = t_settings(&m->a), *is;
	unsigned int i;

	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		t_move_to(m, T_COPIED);
		t_unsaid = commands[i];
		assert_int_equal(guest_source_pause(m->s, &m->e), -ENOMEM);
		t_unsaid = NULL;
		assert_int_not_equal(guest_source_resume(m->s, &m->e), 0);
		assert_true(m->s->is_back);
		assert_int_equal(m->s->guardian, 0);
		t_move_close(m);
		is = t_settings(&m->a);
		assert_true(json_equal(is, was));
		json_decref(is);
		t_vm_is_well(&m->a);
		t_vm_quit(&m->b);
		t_vm_start(&m->b, &t_move_target);
	}
	json_decref(was);
}

/* How many descriptors a process has. */
static unsigned int t_count_fds(pid_t pid)
{
	char path[64];
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* QEMU has the stream's other end, and was not told to migrate. */
static void
guest_source_resume__when_the_monitor_breaks_after_getfd(void **state)
{
	struct t_move *m = *state;
	unsigned int was = t_count_fds(m->a.q.pid);

	t_move_to(m, T_COPIED);
	t_unsaid = "\"migrate\"";
	assert_int_equal(guest_source_pause(m->s, &m->e), -ENOMEM);
	t_unsaid = NULL;
	(void)guest_source_resume(m->s, &m->e);
	assert_true(m->s->is_back);
	t_move_close(m);
	t_vm_is_well(&m->a);
	assert_int_equal(t_count_fds(m->a.q.pid), was);
}

/* The monitor breaks before QEMU is told to migrate, and then somebody else migrates
 * the guest: the guardian sees it. */
static void guest_source_resume__when_another_moved_it_meanwhile(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_COPIED);
	t_unsaid = "\"getfd\"";
	assert_int_equal(guest_source_pause(m->s, &m->e), -ENOMEM);
	t_unsaid = NULL;
	json_decref(t_qemu_run(&m->a.q, "migrate-set-capabilities",
			       "{\"capabilities\": [{\"capability\": "
			       "\"pause-before-switchover\", "
			       "\"state\": false}]}"));
	json_decref(t_qemu_run(&m->a.q, "migrate",
			       "{\"uri\": \"exec:cat >/dev/null\"}"));
	t_qemu_wait(&m->a.q, "query-migrate", "completed");
	assert_int_equal(guest_source_resume(m->s, &m->e), -EBUSY);
	assert_int_equal(m->e.reason, XM_REASON_UNKNOWN_OUTCOME);
	assert_false(m->s->is_back);
	assert_int_equal(m->s->guardian, 0);
	t_move_close(m);
	t_vm_rests(&m->a, "postmigrate");
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
	t_vm_is_well(&m->a);
}

static void guest_source_close__resumes(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_PAUSED);
	m->s = guest_source_close(m->s);
	t_vm_is_well(&m->a);
}

static void guest_source_resume__then_a_second_move_succeeds(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_HANDED);
	guest_target_abandon(m->t);
	T_OK(guest_source_resume(m->s, &m->e));
	t_move_close(m);
	t_vm_quit(&m->b);
	t_vm_start(&m->b, &t_move_target);
	t_vm_goes_on(&m->a);
	t_move_to(m, T_MOVED);
	t_vm_rests(&m->a, "postmigrate");
	t_vm_is_well(&m->b);
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
	t_vm_is_well(&m->a);
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
	t_vm_is_well(&m->a);
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
	t_vm_is_well(&((struct t_move *)*state)->a);
}

static void guest__comes_back_when_we_are_killed_copying(void **state)
{
	t_killed_at(*state, T_COPIED);
	t_vm_is_well(&((struct t_move *)*state)->a);
}

static void guest__comes_back_when_we_are_killed_paused(void **state)
{
	struct t_move *m = *state;

	t_killed_at(m, T_PAUSED);
	T_UNTIL(!strcmp(t_vm_state(&m->a), "running"));
	t_vm_is_well(&m->a);
}

static void guest__comes_back_when_we_are_killed_handed_over(void **state)
{
	struct t_move *m = *state;

	t_killed_at(m, T_HANDED);
	T_UNTIL(!strcmp(t_vm_state(&m->a), "running"));
	t_vm_is_well(&m->a);
}

static void guest__comes_back_when_we_are_killed_loaded(void **state)
{
	struct t_move *m = *state;

	t_killed_at(m, T_LOADED);
	T_UNTIL(!strcmp(t_vm_state(&m->a), "running"));
	t_vm_is_well(&m->a);
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
	t_vm_start(&m->b, &t_move_target);
	t_move_to(m, T_MOVED);
	t_vm_rests(&m->a, "postmigrate");
	t_vm_is_well(&m->b);
}

#define CASE(f) \
	cmocka_unit_test_setup_teardown(f, t_move_setup, t_move_teardown)

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
		CASE(guest_source_resume__when_the_monitor_is_closed_early),
		CASE(guest_source_resume__when_qemu_ends_in_between),
		CASE(guest_source_resume__when_the_monitor_breaks_in_between),
		CASE(guest_source_resume__when_the_monitor_breaks_after_getfd),
		CASE(guest_source_resume__when_another_moved_it_meanwhile),
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
	};

	if (!t_vm_possible())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
