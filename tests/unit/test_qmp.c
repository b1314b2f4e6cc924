// SPDX-License-Identifier: GPL-2.0-or-later
/* test_qmp.c - a monitor that misbehaves as told
 *
 * What it says stands in each test (t_fake_qmp.h).  A real QEMU is asked in
 * tests/guest.
 */
#include "guest/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/t_fake_qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define DONE     "{\"return\": {}, \"id\": \"@\"}\r\n"
#define WAIT_MS  10000 /* an answer that comes */
#define SOON_MS  200   /* one that does not */

struct t_qmp {
	char dir[32], path[48];
	pid_t pid;
	struct qmp *qmp;
	struct xm_error e;
};

/* Listen, and play @script to the first who comes. */
static void t_fake(struct t_qmp *t, const char *script)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", t->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 1), 0);
	t->pid = fork();
	assert_true(t->pid >= 0);
	if (!t->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		play(accept4(fd, NULL, NULL, SOCK_CLOEXEC), script);
		_exit(0);
	}
	close(fd);
}

static int t_open(struct t_qmp *t, const char *script, int timeout_ms)
{
	t_fake(t, script);
	return qmp_open(&t->qmp, t->path, timeout_ms, &t->e);
}

/* A negotiated connection to a fake that goes on with @script. */
static void t_ready(struct t_qmp *t, const char *script, int timeout_ms)
{
	char all[1024];

	snprintf(all, sizeof(all), GREETING READ DONE "%s", script);
	if (t_open(t, all, timeout_ms))
		fail_msg("%s", t->e.msg);
}

static int t_run(struct t_qmp *t, json_t **ret_result)
{
	return qmp_run(t->qmp, "query-status", NULL, ret_result, &t->e);
}

/* Wait for an event, or for what is instead. */
static int t_event(struct t_qmp *t, json_t **ret_event)
{
	struct pollfd p = { qmp_fd(t->qmp), POLLIN, 0 };
	int r;

	while ((r = qmp_event(t->qmp, ret_event, &t->e)) == -EAGAIN)
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	return r;
}

static void t_says(const struct t_qmp *t, const char *what)
{
	if (!strstr(t->e.msg, what))
		fail_msg("'%s' does not say '%s'", t->e.msg, what);
}

static int setup(void **state)
{
	struct t_qmp *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	strcpy(t->dir, "/tmp/t-qmp-XXXXXX");
	if (!mkdtemp(t->dir))
		return -1;
	snprintf(t->path, sizeof(t->path), "%s/s", t->dir);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct t_qmp *t = *state;

	qmp_close(t->qmp);
	if (t->pid > 0) {
		kill(t->pid, SIGKILL);
		waitpid(t->pid, NULL, 0);
	}
	(void)unlink(t->path);
	(void)rmdir(t->dir);
	free(t);
	return 0;
}

/* -- open ------------------------------------------------------------------- */

static void qmp_open__negotiates(void **state)
{
	struct t_qmp *t = *state;

	t_ready(t, "", WAIT_MS);
	assert_string_equal(qmp_path(t->qmp), t->path);
	assert_int_equal(qmp_pid(t->qmp), getpid()); /* who called listen() */
}

static void qmp_open__in_single_bytes_and_pretty(void **state)
{
	struct t_qmp *t = *state;

	assert_int_equal(t_open(t,
				SPLIT "{\r\n    \"QMP\": {\r\n    \"}\\\"{\": 1"
				      "}\r\n}\r\n" READ
				      "{\r\n \"return\": {\r\n"
				      " },\r\n \"id\": \"@\"\r\n}\r\n",
				WAIT_MS),
			 0);
}

static void qmp_open__no_socket(void **state)
{
	struct t_qmp *t = *state;

	assert_int_equal(qmp_open(&t->qmp, t->path, SOON_MS, &t->e), -ENOENT);
	t_says(t, "-qmp unix:");
}

static void qmp_open__nobody_listens(void **state)
{
	struct t_qmp *t = *state;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(sun.sun_path, t->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(qmp_open(&t->qmp, t->path, SOON_MS, &t->e),
			 -ECONNREFUSED);
	close(fd);
}

static void qmp_open__path_too_long(void **state)
{
	struct t_qmp *t = *state;
	char path[256];

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(qmp_open(&t->qmp, path, SOON_MS, &t->e),
			 -ENAMETOOLONG);
}

static void qmp_open__another_client_has_it(void **state)
{
	struct t_qmp *t = *state;

	assert_int_equal(t_open(t, READ, SOON_MS), -ETIMEDOUT);
	t_says(t, "another client has the monitor; give QEMU a second -qmp");
}

static void qmp_open__queue_of_others_is_full(void **state)
{
	struct t_qmp *t = *state;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), wait[2], i;

	strcpy(sun.sun_path, t->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 0), 0);
	for (i = 0; i < 2; i++) {
		wait[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(wait[i], (struct sockaddr *)&sun, sizeof(sun));
	}
	assert_int_equal(qmp_open(&t->qmp, t->path, SOON_MS, &t->e),
			 -ETIMEDOUT);
	t_says(t, "second -qmp");
	close(wait[0]);
	close(wait[1]);
	close(fd);
}

static void qmp_open__human_monitor(void **state)
{
	struct t_qmp *t = *state;

	assert_int_equal(t_open(t, "QEMU 7.2.22 monitor - type 'help'\r\n",
				WAIT_MS),
			 -EPROTO);
	t_says(t, "-qmp unix:");
}

static void qmp_open__json_of_somebody_else(void **state)
{
	struct t_qmp *t = *state;

	assert_int_equal(t_open(t, "{\"hello\": 1}\n", WAIT_MS), -EPROTO);
}

static void qmp_open__braces_that_are_no_json(void **state)
{
	struct t_qmp *t = *state;

	assert_int_equal(t_open(t, "{QMP}\n", WAIT_MS), -EPROTO);
}

static void qmp_open__closed_in_the_greeting(void **state)
{
	struct t_qmp *t = *state;

	assert_int_equal(t_open(t, "{\"QMP\": {" CLOSE, WAIT_MS), -EPIPE);
}

static void qmp_open__negotiation_refused(void **state)
{
	struct t_qmp *t = *state;

	assert_int_equal(t_open(t,
				GREETING READ
				"{\"error\": {\"class\": \"C\", \"desc\": "
				"\"not you\"}, \"id\": \"@\"}",
				WAIT_MS),
			 -EREMOTEIO);
	t_says(t, "not you");
}

/* -- run -------------------------------------------------------------------- */

static void qmp_run__gives_the_result(void **state)
{
	struct t_qmp *t = *state;
	json_t *v = NULL;

	t_ready(t,
		READ "{\"return\": {\"status\": \"running\"}, "
		     "\"id\": \"@\"}\r\n",
		WAIT_MS);
	assert_int_equal(t_run(t, &v), 0);
	assert_string_equal(json_string_value(json_object_get(v, "status")),
			    "running");
	json_decref(v);
}

static void qmp_run__refused_with_qemus_words(void **state)
{
	struct t_qmp *t = *state;
	json_t *v = NULL;

	t_ready(t,
		READ "{\"error\": {\"class\": \"CommandNotFound\", "
		     "\"desc\": \"never heard of it\"}, "
		     "\"id\": \"@\"}\r\n" READ DONE,
		WAIT_MS);
	assert_int_equal(t_run(t, &v), -EREMOTEIO);
	assert_null(v);
	t_says(t, "query-status");
	t_says(t, "never heard of it");
	/* That was the command's failure, not the connection's. */
	t->e = (struct xm_error){ 0 };
	assert_int_equal(t_run(t, NULL), 0);
}

static void qmp_run__error_without_words(void **state)
{
	struct t_qmp *t = *state;

	t_ready(t, READ "{\"error\": 7, \"id\": \"@\"}\r\n", WAIT_MS);
	assert_int_equal(t_run(t, NULL), -EREMOTEIO);
}

static void qmp_run__answers_of_others_are_skipped(void **state)
{
	struct t_qmp *t = *state;
	json_t *v = NULL;

	t_ready(t,
		READ "{\"return\": 1, \"id\": \"xdpmig-1-1\"}\r\n"
		     "{\"error\": {}, \"id\": \"other\"}\r\n"
		     "{\"return\": 2, \"id\": \"@\"}\r\n",
		WAIT_MS);
	assert_int_equal(t_run(t, &v), 0);
	assert_int_equal(json_integer_value(v), 2);
	json_decref(v);
}

static void qmp_run__not_understood(void **state)
{
	struct t_qmp *t = *state;

	t_ready(t, READ "{\"error\": {\"desc\": \"JSON parse error\"}}\r\n",
		WAIT_MS);
	assert_int_equal(t_run(t, NULL), -EPROTO);
}

static void qmp_run__no_answer(void **state)
{
	struct t_qmp *t = *state;
	json_t *v = NULL;

	/* The answer comes when it is waited for no more. */
	t_ready(t,
		READ READ "{\"return\": 1, \"id\": \"xdpmig-0-0\"}\r\n"
			  "{\"return\": 2, \"id\": \"@\"}\r\n",
		SOON_MS);
	assert_int_equal(t_run(t, NULL), -ETIMEDOUT);
	t_says(t, "query-status");
	t->e = (struct xm_error){ 0 };
	assert_int_equal(t_run(t, &v), 0);
	assert_int_equal(json_integer_value(v), 2);
	json_decref(v);
}

static void qmp_run__closed(void **state)
{
	struct t_qmp *t = *state;

	t_ready(t, READ "{\"return\": " CLOSE, WAIT_MS);
	assert_int_equal(t_run(t, NULL), -EPIPE);
	t->e = (struct xm_error){ 0 };
	assert_int_equal(t_run(t, NULL), -EPIPE); /* and no SIGPIPE */
}

static void qmp_run__garbage(void **state)
{
	struct t_qmp *t = *state;

	t_ready(t, READ "}{\"return\": 1, \"id\": \"@\"}\r\n", WAIT_MS);
	assert_int_equal(t_run(t, NULL), -EPROTO);
	t->e = (struct xm_error){ 0 };
	assert_int_equal(t_run(t, NULL), -EPROTO);
}

static void qmp_run__long_answer(void **state)
{
	struct t_qmp *t = *state;
	json_t *v = NULL;

	t_ready(t, READ LONG READ DONE, WAIT_MS);
	assert_int_equal(t_run(t, &v), 0);
	assert_int_equal(json_string_length(v), 4 << 20);
	json_decref(v);
	assert_int_equal(t_run(t, NULL), 0);
}

static void qmp_run__endless_answer(void **state)
{
	struct t_qmp *t = *state;

	t_ready(t, READ HUGE, WAIT_MS);
	assert_int_equal(t_run(t, NULL), -EPROTO);
	t_says(t, "16 MiB");
}

static void qmp_run__arguments_travel(void **state)
{
	struct t_qmp *t = *state;

	t_ready(t, READ DONE, WAIT_MS);
	assert_int_equal(qmp_run(t->qmp, "migrate",
				 json_pack("{s:s}", "uri", "fd:x}{\"\\"), NULL,
				 &t->e),
			 0);
}

/* -- descriptors ------------------------------------------------------------ */

static void qmp_give_fd__arrives(void **state)
{
	struct t_qmp *t = *state;
	char got[6] = "";
	int p[2];

	assert_int_equal(pipe(p), 0);
	t_ready(t, TAKE DONE, WAIT_MS);
	assert_int_equal(qmp_give_fd(t->qmp, "x", p[1], &t->e), 0);
	assert_int_equal(read(p[0], got, 5), 5);
	assert_string_equal(got, "given");
	close(p[0]);
	close(p[1]);
}

/* -- events ----------------------------------------------------------------- */

static void qmp_event__none(void **state)
{
	struct t_qmp *t = *state;
	json_t *v = NULL;

	t_ready(t, "", WAIT_MS);
	assert_int_equal(qmp_event(t->qmp, &v, &t->e), -EAGAIN);
	assert_null(v);
}

static void qmp_event__in_order_whenever_they_come(void **state)
{
	struct t_qmp *t = *state;
	json_t *v = NULL;
	int i;

	t_ready(t,
		"{\"event\": \"1\"}\r\n" READ "{\"event\": \"2\"}\r\n" DONE
		"{\"event\": \"3\"}\r\n",
		WAIT_MS);
	assert_int_equal(t_run(t, NULL), 0);
	for (i = 1; i <= 3; i++) {
		assert_int_equal(t_event(t, &v), 0);
		assert_int_equal(
			atoi(json_string_value(json_object_get(v, "event"))),
			i);
		json_decref(v);
	}
}

static void qmp_event__kept_ones_outlive_qemu(void **state)
{
	struct t_qmp *t = *state;
	json_t *v = NULL;

	t_ready(t, READ "{\"event\": \"SHUTDOWN\"}\r\n" CLOSE, WAIT_MS);
	assert_int_equal(t_run(t, NULL), -EPIPE);
	assert_int_equal(t_event(t, &v), 0);
	json_decref(v);
	t->e = (struct xm_error){ 0 };
	assert_int_equal(t_event(t, &v), -EPIPE);
	assert_int_equal(t->e.err, -EPIPE);
}

static void qmp_event__floods_are_kept(void **state)
{
	struct t_qmp *t = *state;
	json_t *v = NULL;
	int i;

	t_ready(t, READ FLOOD FLOOD FLOOD DONE, WAIT_MS);
	assert_int_equal(t_run(t, NULL), 0);
	for (i = 0; i < 300; i++) {
		int n;

		assert_int_equal(t_event(t, &v), 0);
		n = (int)json_integer_value(
			json_object_get(json_object_get(v, "data"), "n"));
		assert_int_equal(n, i % 100);
		json_decref(v);
	}
}

static void qmp_event__a_deluge_is_an_error(void **state)
{
	struct t_qmp *t = *state;

	t_ready(t,
		READ FLOOD FLOOD FLOOD FLOOD FLOOD FLOOD FLOOD FLOOD FLOOD FLOOD
			FLOOD DONE,
		WAIT_MS);
	assert_int_equal(t_run(t, NULL), -ENOBUFS);
}

/* -- adopt ------------------------------------------------------------------ */

static void t_adopt(struct t_qmp *t)
{
	struct qmp *first = t->qmp;
	int fd = dup(qmp_fd(first));

	assert_int_equal(qmp_adopt(&t->qmp, fd, t->path, WAIT_MS, &t->e), 0);
	qmp_close(first);
}

static void qmp_adopt__skips_what_another_half_read(void **state)
{
	struct t_qmp *t = *state;
	json_t *v = NULL;

	/* The tail of an answer, the error for 0xff, and an answer to nobody
	 * who lives.  A tail has no line of its own: the first may have left
	 * the end of one before it. */
	t_ready(t,
		RESET "1}}, \"id\": \"x\"}\r\n{\"error\": {\"desc\": "
		      "\"JSON parse error\"}}\r\n{\"return\": 1, \"id\": "
		      "\"xdpmig-1-1\"}\r\n" READ "{\"return\": 5, \"id\": "
		      "\"@\"}\r\n",
		WAIT_MS);
	t_adopt(t);
	assert_int_equal(t_run(t, &v), 0);
	assert_int_equal(json_integer_value(v), 5);
	json_decref(v);
}

static void qmp_adopt__nothing_was_left(void **state)
{
	struct t_qmp *t = *state;

	t_ready(t,
		RESET
		"{\"error\": {\"desc\": \"JSON parse error\"}}\r\n" READ DONE,
		WAIT_MS);
	t_adopt(t);
	assert_int_equal(t_run(t, NULL), 0);
}

static void qmp_adopt__nobody_there(void **state)
{
	struct t_qmp *t = *state;
	struct qmp *q = NULL;
	int p[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	close(p[1]);
	assert_int_equal(qmp_adopt(&q, p[0], "x", SOON_MS, &t->e), -EPIPE);
	assert_null(q);
	assert_int_equal(fcntl(p[0], F_GETFD), -1); /* it was taken over */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(qmp_open__negotiates),
		T(qmp_open__in_single_bytes_and_pretty),
		T(qmp_open__no_socket),
		T(qmp_open__nobody_listens),
		T(qmp_open__path_too_long),
		T(qmp_open__another_client_has_it),
		T(qmp_open__queue_of_others_is_full),
		T(qmp_open__human_monitor),
		T(qmp_open__json_of_somebody_else),
		T(qmp_open__braces_that_are_no_json),
		T(qmp_open__closed_in_the_greeting),
		T(qmp_open__negotiation_refused),
		T(qmp_run__gives_the_result),
		T(qmp_run__refused_with_qemus_words),
		T(qmp_run__error_without_words),
		T(qmp_run__answers_of_others_are_skipped),
		T(qmp_run__not_understood),
		T(qmp_run__no_answer),
		T(qmp_run__closed),
		T(qmp_run__garbage),
		T(qmp_run__long_answer),
		T(qmp_run__endless_answer),
		T(qmp_run__arguments_travel),
		T(qmp_give_fd__arrives),
		T(qmp_event__none),
		T(qmp_event__in_order_whenever_they_come),
		T(qmp_event__kept_ones_outlive_qemu),
		T(qmp_event__floods_are_kept),
		T(qmp_event__a_deluge_is_an_error),
		T(qmp_adopt__skips_what_another_half_read),
		T(qmp_adopt__nothing_was_left),
		T(qmp_adopt__nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
