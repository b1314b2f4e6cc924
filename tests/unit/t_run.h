/* SPDX-License-Identifier: GPL-2.0-or-later */
/* t_run.h - a folder for names of migrations, and a migration that answers */
#ifndef T_RUN_H
#define T_RUN_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/run.h"

#include <cmocka.h>

static char t_dir[] = "/tmp/xm-run-XXXXXX"; /* short, unlike TMPDIR perhaps */

/* Of a group: its names are in a folder of its own. */
static int t_dir_make(void **state)
{
	(void)state;
	return mkdtemp(t_dir) ? run_set_dir(t_dir) : -1;
}

/* Remove what is in it, a level deep; how many there were. */
static int t_dir_clear(void)
{
	DIR *d = opendir(t_dir);
	struct dirent *x;
	int n = 0;

	while (d && (x = readdir(d))) {
		if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, ".."))
			continue;
		n++;
		if (unlinkat(dirfd(d), x->d_name, 0))
			(void)unlinkat(dirfd(d), x->d_name, AT_REMOVEDIR);
	}
	if (d)
		closedir(d);
	return n;
}

static int t_dir_remove(void **state)
{
	(void)state;
	t_dir_clear();
	return rmdir(t_dir);
}

static inline const char *t_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", t_dir, name);
	return path;
}

static inline void t_write(const char *name, const char *text)
{
	FILE *f = fopen(t_path(name), "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* -- a migration in a thread of its own ---------------------------------------- */

struct t_server {
	struct run *run;
	pthread_t thread;
	int stop;            /* eventfd */
	const char *refusal; /* its answer, NULL: {"state": "copying"} */
	/* after t_server_stop() */
	struct run_request seen;
	unsigned int n_seen;
};

static void *t_server_work(void *arg)
{
	struct t_server *s = arg;
	struct run_request req;
	struct pollfd fds[2] = {
		{ .fd = run_fd(s->run), .events = POLLIN },
		{ .fd = s->stop, .events = POLLIN },
	};

	while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
		run_next(s->run, &req);
		if (req.ask == RUN_NOTHING)
			continue;
		s->seen = req;
		s->n_seen++;
		run_answer(s->run,
			   s->refusal ? NULL :
					json_pack("{s:s}", "state", "copying"),
			   s->refusal);
	}
	return NULL;
}

static inline void t_server_start(struct t_server *s, const char *name)
{
	struct xm_error e = { 0 };

	if (run_open(&s->run, name, &e))
		fail_msg("%s", e.msg);
	s->stop = eventfd(0, EFD_CLOEXEC);
	assert_true(s->stop >= 0);
	assert_int_equal(pthread_create(&s->thread, NULL, t_server_work, s), 0);
}

static inline void t_server_stop(struct t_server *s)
{
	assert_int_equal(eventfd_write(s->stop, 1), 0);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	close(s->stop);
	s->run = run_close(s->run);
}

/* -- a migration of this thread ------------------------------------------------ */

struct t {
	struct run *run; /* "vm1" */
	struct xm_error e;
};

static inline int t_setup(void **state)
{
	static struct t t;

	memset(&t, 0, sizeof(t));
	*state = &t;
	return run_open(&t.run, "vm1", &t.e);
}

/* Whatever was done, nothing but records may stay behind. */
static inline int t_teardown(void **state)
{
	struct t *t = *state;
	int n;

	t->run = run_close(t->run);
	(void)unlink(t_path("vm1.send.json"));
	n = t_dir_clear();
	if (n)
		print_error("%d files left behind\n", n);
	return n;
}

/* -- its clients --------------------------------------------------------------- */

static inline int join(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s.sock", t_dir, name);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static inline void say(int fd, const char *text, size_t len)
{
	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT), len);
}

/* What it was answered, or NULL: hung up.  An answer is there at once. */
static inline json_t *hear(int fd)
{
	char text[32768];
	ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);
	json_t *o;

	if (!n || (n < 0 && errno == ECONNRESET))
		return NULL;
	assert_true(n > 0);
	o = json_loadb(text, (size_t)n, 0, NULL);
	assert_non_null(o);
	return o;
}

static inline bool was_hung_up(int fd)
{
	json_t *o = hear(fd);

	json_decref(o);
	return !o;
}

static inline void assert_refused(int fd, const char *why)
{
	json_t *o = hear(fd);

	assert_non_null(o);
	assert_true(json_is_false(json_object_get(o, "ok")));
	assert_non_null(
		strstr(json_string_value(json_object_get(o, "error")), why));
	json_decref(o);
}

/* The client at @fd asks, is heard, and answered. */
static inline void assert_served(struct t *t, int fd)
{
	struct run_request req;
	json_t *o;

	say(fd, "{\"ask\": \"status\"}", 17);
	run_next(t->run, &req);
	assert_int_equal(req.ask, RUN_STATUS);
	run_answer(t->run, json_pack("{s:i}", "epoch", 3), NULL);
	o = hear(fd);
	assert_non_null(o);
	assert_true(json_is_true(json_object_get(o, "ok")));
	assert_int_equal(json_integer_value(json_object_get(o, "epoch")), 3);
	assert_null(json_object_get(o, "error"));
	json_decref(o);
}

static inline void assert_nothing(struct t *t)
{
	struct run_request req;

	run_next(t->run, &req);
	assert_int_equal(req.ask, RUN_NOTHING);
}

static inline bool has_more(const struct t *t)
{
	struct pollfd p = { .fd = run_fd(t->run), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

#endif
