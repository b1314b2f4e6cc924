// SPDX-License-Identifier: GPL-2.0-or-later
#include "t_guard.h"

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

#include <cmocka.h>
void must(int r, const struct xm_error *e)
{
	if (!r)
		return;
	dprintf(STDERR_FILENO, "mover: %d %s\n", r, e->msg);
	_exit(1);
}

void tell(struct mover *m, const char *command, json_t *args)
{
	struct xm_error e = { 0 };

	must(qmp_run(m->qmp, command, args, NULL, &e), &e);
}

int start(struct mover *m, pid_t qemu, struct xm_error *e)
{
	m->q.qmp = m->qmp;
	m->q.pid = qemu;
	m->q.pidfd = (int)syscall(SYS_pidfd_open, qemu, 0);
	return guardian_start(&m->g, &m->q, e);
}

void arm(struct mover *m)
{
	struct xm_error e = { 0 };

	must(guardian_arm(&m->g, &e), &e);
}

/* Begin a migration to nowhere, up to pre-switchover. */
void to_switchover(struct mover *m)
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

int t_open_lock(const struct t_guard *t)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/lock", t->qemu.dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	return fd;
}

/* Let a mover do @act; it lives when this returns. */
void t_move(struct t_guard *t, void (*act)(struct mover *m), bool leave_paused)
{
	int news[2];

	assert_int_equal(pipe(news), 0);
	snprintf(t->record, sizeof(t->record), "%s/record", t->qemu.dir);
	t->lock = t_open_lock(t);
	assert_int_equal(flock(t->lock, LOCK_EX | LOCK_NB), 0);
	t->mover = fork();
	assert_true(t->mover >= 0);
	if (!t->mover) {
		struct mover m = { .g.leave_paused = leave_paused };
		struct xm_error e = { 0 };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(news[0]);
		must(chdir(t->qemu.dir), &e); /* a path may be relative */
		must(qmp_open(&m.qmp, t->socket ? t->socket : t->qemu.socket,
			      10000, &e),
		     &e);
		must(start(&m, t->qemu.pid, &e), &e);
		must(guardian_note(&m.g,
				   &(struct guest_note){ t->record,
							 "{\"guest\": \"g\"}",
							 t->lock },
				   &e),
		     &e);
		close(t->lock);
		act(&m);
		(void)!write(news[1], &m.g.pid, sizeof(m.g.pid));
		for (;;)
			pause();
	}
	close(news[1]);
	close(t->lock);
	assert_int_equal(read(news[0], &t->guardian, sizeof(t->guardian)),
			 sizeof(t->guardian));
	/* Nobody has the guardian keep this open. */
	assert_int_equal(poll(&(struct pollfd){ news[0], POLLIN, 0 }, 1, 0), 0);
	close(news[0]);
}

/* The guardian ends by itself.  We are its reaper once its parent is dead. */
void t_ended(pid_t guardian)
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

void t_kill_mover(struct t_guard *t)
{
	t_reap(t->mover);
	t->mover = 0;
}

int setup(void **state)
{
	struct t_guard *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t_qemu_start(&t->qemu, -1, RAM);
	t_qemu_wait(&t->qemu, "query-status", "running");
	*state = t;
	return 0;
}

int setup_paused(void **state)
{
	struct t_guard *t;

	setup(state);
	t = *state;
	json_decref(t_qemu_run(&t->qemu, "stop", NULL));
	return 0;
}

int teardown(void **state)
{
	struct t_guard *t = *state;

	if (t->mover > 0)
		t_reap(t->mover);
	if (t->qemu.pid > 0)
		t_reap(t->qemu.pid);
	t->qemu.pid = 0;
	if (t->guardian > 0) /* its last act is the record, in QEMU's folder */
		t_ended(t->guardian);
	t_qemu_stop(&t->qemu);
	free(t);
	return 0;
}

int setup_disk(void **state)
{
	struct t_guard *t = calloc(1, sizeof(*t));
	char path[64];
	int fd;

	assert_non_null(t);
	t_qemu_prepare(&t->qemu);
	snprintf(path, sizeof(path), "%s/disk", t->qemu.dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	t_qemu_start(&t->qemu, -1,
		     RAM "-drive if=none,id=d,format=raw,file=@/disk "
			 "-device virtio-blk-pci,drive=d");
	t_qemu_wait(&t->qemu, "query-status", "running");
	*state = t;
	return 0;
}

void act_nothing(struct mover *m)
{
	(void)m;
}

void act_stop(struct mover *m)
{
	arm(m);
	tell(m, "stop", NULL);
}

void act_switchover(struct mover *m)
{
	arm(m);
	to_switchover(m);
}

void act_completed(struct mover *m)
{
	arm(m);
	to_switchover(m);
	tell(m, "migrate-continue",
	     json_pack("{s:s}", "state", "pre-switchover"));
}

const char *t_recorded(const struct t_guard *t, const char *key)
{
	static char text[512];
	json_t *o = json_load_file(t->record, 0, NULL);
	const char *s = json_string_value(json_object_get(o, key));

	snprintf(text, sizeof(text), "%s", s ? s : "");
	json_decref(o);
	return text;
}

void t_record_says(const struct t_guard *t, const char *guardian,
		   const char *home)
{
	T_UNTIL(!strcmp(t_recorded(t, "guardian"), guardian));
	assert_string_equal(t_recorded(t, "guest_runs_at"), home);
	assert_string_equal(t_recorded(t, "guest"), "g");
	assert_true(*t_recorded(t, "time") && *t_recorded(t, "message"));
}

bool t_lock_is_free(const struct t_guard *t)
{
	int fd = t_open_lock(t);
	bool is_free = !flock(fd, LOCK_EX | LOCK_NB);

	close(fd);
	return is_free;
}
