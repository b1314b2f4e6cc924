// SPDX-License-Identifier: GPL-2.0-or-later
/* test_run.c - names, records, and who asks for them; requests are in
 * test_run_next.c */
#include "t_run.h"

#include <signal.h>
#include <sys/wait.h>

#define TEN     "abcdef_.-9"
#define LONGEST TEN TEN TEN TEN TEN TEN "xyz"

/* -- names ------------------------------------------------------------------------ */

static void run_set_dir__too_long(void **state)
{
	(void)state;
	assert_int_equal(run_set_dir("/tmp/a-name-with-far-too-many-letters"),
			 -ENAMETOOLONG);
	/* and what was said before holds */
	assert_int_equal(access(t_path("vm1.sock"), F_OK), 0);
	assert_int_equal(run_ask_one("vm2", NULL, NULL, NULL), -ENOENT);
}

static void run_open__names(void **state)
{
	static const char *const good[] = { "a", "Z9", "web-1.example_org", "_",
					    LONGEST };
	static const char *const bad[] = { "",         ".",      "..",  ".vm",
					   "-vm",      "a/b",    "/vm", "a b",
					   "a\nb",     "vm\xc3", "a:b", "vm*",
					   LONGEST "x" };
	struct run *run = NULL;
	unsigned int i;

	(void)state;
	assert_int_equal(strlen(LONGEST), RUN_NAME - 1);
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct xm_error e = { 0 };
		char file[RUN_NAME + 8];

		if (run_open(&run, good[i], &e))
			fail_msg("'%s': %s", good[i], e.msg);
		snprintf(file, sizeof(file), "%s.sock", good[i]);
		assert_int_equal(access(t_path(file), F_OK), 0);
		run = run_close(run);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct xm_error e = { 0 };

		if (run_open(&run, bad[i], &e) != -EINVAL)
			fail_msg("'%s' is taken for a name", bad[i]);
		assert_int_equal(e.reason, XM_REASON_USAGE);
		assert_non_null(strstr(e.msg, "is no name for a migration"));
		assert_null(run);
		/* neither is it one to ask */
		assert_int_equal(run_ask_one(bad[i], NULL, NULL, NULL),
				 -EINVAL);
	}
}

static void run_open__name_is_taken(void **state)
{
	struct t *t = *state;
	struct run *other = NULL;

	assert_int_equal(run_open(&other, "vm1", &t->e), -EADDRINUSE);
	assert_int_equal(t->e.reason, XM_REASON_USAGE);
	assert_non_null(strstr(t->e.msg, "'vm1' is under way"));
	assert_null(other);
	/* who was refused has taken nothing away */
	assert_served(t, join("vm1"));
	t->e = (struct xm_error){ 0 };
	assert_int_equal(run_open(&other, "vm2", &t->e), 0);
	run_close(other);
}

static void run_open__name_is_free_again(void **state)
{
	struct t *t = *state;

	t->run = run_close(t->run);
	assert_int_equal(access(t_path("vm1.sock"), F_OK), -1);
	assert_int_equal(access(t_path("vm1.lock"), F_OK), -1);
	assert_int_equal(run_open(&t->run, "vm1", &t->e), 0);
	assert_served(t, join("vm1"));
}

/* Take @name in a process, and kill that. */
static void take_and_die(const char *name)
{
	struct run *run;
	int ready[2], status;
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (run_open(&run, name, NULL) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void run_open__name_of_a_killed_process(void **state)
{
	struct t *t = *state;

	t->run = run_close(t->run);
	take_and_die("vm1");
	assert_int_equal(access(t_path("vm1.sock"), F_OK), 0);
	assert_int_equal(run_ask_one("vm1", NULL, NULL, &t->e), -ENOENT);
	t->e = (struct xm_error){ 0 };
	assert_int_equal(run_open(&t->run, "vm1", &t->e), 0);
	assert_served(t, join("vm1"));
}

static void run_open__no_place_for_it(void **state)
{
	struct t *t = *state;
	struct run *other = NULL;

	t_write("file", "");
	assert_int_equal(run_set_dir(t_path("file")), 0);
	assert_int_equal(run_open(&other, "vm2", &t->e), -ENOTDIR);
	assert_int_equal(t->e.reason, XM_REASON_PERMISSION);
	assert_null(other);
	assert_int_equal(run_set_dir(t_dir), 0);
	(void)unlink(t_path("file"));
}

static void run_open__is_for_its_user_alone(void **state)
{
	struct t *t = *state;
	struct stat st;

	assert_int_equal(stat(t_path("vm1.lock"), &st), 0);
	assert_int_equal(st.st_mode & 0077, 0);
	assert_int_equal(run_record(t->run,
				    json_pack("{s:s}", "command", "send"),
				    &t->e),
			 0);
	assert_int_equal(stat(t_path("vm1.send.json"), &st), 0);
	assert_int_equal(st.st_mode & 0077, 0);
	/* a folder that had to be made, too */
	t->run = run_close(t->run);
	assert_int_equal(run_set_dir(t_path("made")), 0);
	assert_int_equal(run_open(&t->run, "vm1", &t->e), 0);
	assert_int_equal(stat(t_path("made"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	t->run = run_close(t->run);
	assert_int_equal(rmdir(t_path("made")), 0);
	assert_int_equal(run_set_dir(t_dir), 0);
}

/* Who else may write there may answer in its place. */
static void run_open__not_where_others_write(void **state)
{
	struct t *t = *state;
	json_t *list = json_array();
	struct run *other = NULL;

	assert_int_equal(mkdir(t_path("open"), 0700), 0);
	assert_int_equal(run_set_dir(t_path("open")), 0);
	assert_int_equal(chmod(t_path("open"), 0770), 0);
	assert_int_equal(run_open(&other, "vm2", &t->e), -EPERM);
	assert_int_equal(t->e.reason, XM_REASON_PERMISSION);
	assert_int_equal(run_ask_one("vm2", NULL, NULL, NULL), -EPERM);
	assert_int_equal(run_list(list, NULL), -EPERM);
	assert_int_equal(chmod(t_path("open"), 0755), 0);
	if (!geteuid()) {
		assert_int_equal(chown(t_path("open"), 65534, 0), 0);
		assert_int_equal(run_open(&other, "vm2", NULL), -EPERM);
		assert_int_equal(chown(t_path("open"), 0, 0), 0);
	}
	assert_int_equal(run_open(&other, "vm2", NULL), 0);
	other = run_close(other);
	assert_int_equal(rmdir(t_path("open")), 0);
	assert_int_equal(run_set_dir(t_dir), 0);
	json_decref(list);
}

/* In a process that is not root, or not any more: 0 when all is well. */
static int not_root(void)
{
	struct xm_error e = { 0 };
	struct run *run = NULL;

	if (run_set_dir("") || (!geteuid() && setresuid(65534, 65534, 65534)))
		return 1;
	unsetenv("XDG_RUNTIME_DIR");
	if (run_open(&run, "vm3", &e) != -EACCES ||
	    e.reason != XM_REASON_PERMISSION || !strstr(e.msg, "XDG_RUNTIME"))
		return 2;
	setenv("XDG_RUNTIME_DIR", "/tmp/a-name-with-far-too-many-letters", 1);
	if (run_open(&run, "vm3", NULL) != -EACCES)
		return 3;
	setenv("XDG_RUNTIME_DIR", t_dir, 1);
	if (run_open(&run, "vm3", NULL) ||
	    access(t_path("xdpmig/vm3.sock"), F_OK))
		return 4;
	run = run_close(run);
	return rmdir(t_path("xdpmig")) ? 5 : 0;
}

static void run_open__who_is_not_root_has_a_place_too(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(chmod(t_dir, 0777), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(not_root());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(t_dir, 0700), 0);
}

/* Somebody else has its lock, and goes on. */
static void run_leave__the_name_stays_taken(void **state)
{
	char record[RUN_RECORD];
	struct t *t = *state;
	int lock;

	lock = dup(run_lend(t->run, "send", record));
	assert_true(lock >= 0);
	assert_string_equal(record, t_path("vm1.send.json"));
	run_leave(t->run);
	t->run = run_close(t->run);
	assert_int_equal(run_open(&t->run, "vm1", &t->e), -EADDRINUSE);
	close(lock);
	memset(&t->e, 0, sizeof(t->e));
	assert_int_equal(run_open(&t->run, "vm1", &t->e), 0);
}

static void run_close__null(void **state)
{
	(void)state;
	assert_null(run_close(NULL));
}

/* -- records ------------------------------------------------------------------------- */

static void assert_record(const char *home)
{
	json_t *o = json_load_file(t_path("vm1.send.json"), 0, NULL);

	assert_non_null(o);
	assert_string_equal(
		json_string_value(json_object_get(o, "guest_runs_at")), home);
	json_decref(o);
}

static json_t *record(const char *home)
{
	return json_pack("{s:s, s:s}", "command", "send", "guest_runs_at",
			 home);
}

static void run_record__is_replaced(void **state)
{
	struct t *t = *state;
	char text[256] = "";
	int before;

	assert_int_equal(run_record(t->run, record("unknown"), &t->e), 0);
	assert_record("unknown");
	before = open(t_path("vm1.send.json"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(run_record(t->run, record("target"), &t->e), 0);
	assert_record("target");
	/* who had opened the one before has all of that */
	assert_true(read(before, text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "\"guest_runs_at\":\"unknown\""));
	assert_string_equal(text + strlen(text) - 1, "}");
	close(before);
	assert_int_equal(access(t_path("vm1.send.json.new"), F_OK), -1);
}

static void run_record__stays_when_the_name_is_given_back(void **state)
{
	struct t *t = *state;

	assert_int_equal(run_record(t->run, record("target"), &t->e), 0);
	t->run = run_close(t->run);
	assert_record("target");
}

static const char *text_in(const char *file, const char *key, char *text)
{
	json_t *o = json_load_file(t_path(file), 0, NULL);
	const char *v = json_string_value(json_object_get(o, key));

	snprintf(text, 64, "%s", v ? v : "(none)");
	json_decref(o);
	return text;
}

static void run_record__each_role_has_its_own(void **state)
{
	static const uint8_t session[16] = { 0x00, 0x9f, [15] = 0xa1 };
	json_t *came = json_pack("{s:s, s:s}", "command", "recv",
				 "guest_runs_at", "target");
	struct t *t = *state;
	struct tm tm;
	char text[64];

	run_put_session(came, session);
	assert_int_equal(run_record(t->run, came, &t->e), 0);
	assert_int_equal(run_record(t->run, record("unknown"), &t->e), 0);
	assert_record("unknown");
	assert_string_equal(text_in("vm1.recv.json", "guest_runs_at", text),
			    "target");
	assert_string_equal(text_in("vm1.recv.json", "session", text),
			    "009f00000000000000000000000000a1");
	text_in("vm1.recv.json", "time", text);
	assert_non_null(strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm));
	assert_in_range(timegm(&tm), time(NULL) - 60, time(NULL));
	assert_int_equal(unlink(t_path("vm1.recv.json")), 0);
}

/* What it says is of another migration. */
static void run_open_as__removes_the_record_of_the_last(void **state)
{
	struct t *t = *state;

	t->run = run_close(t->run);
	t_write("vm1.send.json", "{}");
	t_write("vm1.recv.json", "{}");
	assert_int_equal(run_open_as(&t->run, "vm1", "", "recv", &t->e), 0);
	assert_int_equal(access(t_path("vm1.recv.json"), F_OK), -1);
	assert_int_equal(access(t_path("vm1.send.json"), F_OK), 0);
	t->run = run_close(t->run);
	assert_int_equal(run_open_as(&t->run, NULL, "vm1", "send", &t->e), 0);
	assert_int_equal(access(t_path("vm1.send.json"), F_OK), -1);
}

static void run_open_as__cannot_remove_it(void **state)
{
	struct t *t = *state;

	t->run = run_close(t->run);
	assert_int_equal(mkdir(t_path("vm1.recv.json"), 0700), 0);
	assert_true(run_open_as(&t->run, "vm1", "", "recv", &t->e) < 0);
	assert_non_null(strstr(t->e.msg, "cannot remove"));
	t->run = NULL;
	assert_int_equal(access(t_path("vm1.lock"), F_OK), -1);
	assert_int_equal(rmdir(t_path("vm1.recv.json")), 0);
}

static void run_record__half_of_one_is_overwritten(void **state)
{
	struct t *t = *state;

	t_write("vm1.send.json.new",
		"{\"guest_runs_at\":\"a long one, not whole");
	assert_int_equal(run_record(t->run, record("source"), &t->e), 0);
	assert_record("source");
}

static void run_record__cannot_be_written(void **state)
{
	struct t *t = *state;

	assert_int_equal(mkdir(t_path("vm1.send.json"), 0700), 0);
	assert_true(run_record(t->run, record("target"), &t->e) < 0);
	assert_int_equal(t->e.reason, XM_REASON_PERMISSION);
	assert_non_null(strstr(t->e.msg, "where the guest runs"));
	assert_int_equal(access(t_path("vm1.send.json.new"), F_OK), -1);
	assert_int_equal(rmdir(t_path("vm1.send.json")), 0);
}

/* -- asking ---------------------------------------------------------------------------- */

static void run_ask_one__answer(void **state)
{
	struct t_server s = { 0 };
	json_t *answer = NULL;
	struct t *t = *state;

	t_server_start(&s, "vm2");
	if (run_ask_one("vm2", NULL, &answer, &t->e))
		fail_msg("%s", t->e.msg);
	assert_string_equal(json_string_value(json_object_get(answer, "state")),
			    "copying");
	assert_null(json_object_get(answer, "ok"));
	json_decref(answer);
	assert_int_equal(run_ask_one("vm2", NULL, NULL, &t->e), 0);
	t_server_stop(&s);
	assert_int_equal(s.n_seen, 2);
	assert_int_equal(s.seen.ask, RUN_STATUS);
}

static void run_ask_one__error(void **state)
{
	struct t_server s = { .refusal = "the guest is on its way" };
	json_t *answer = NULL;
	struct t *t = *state;

	t_server_start(&s, "vm2");
	assert_int_equal(run_ask_one("vm2", json_pack("{s:s}", "ask", "cancel"),
				     &answer, &t->e),
			 -EREMOTEIO);
	t_server_stop(&s);
	assert_null(answer);
	assert_int_equal(s.seen.ask, RUN_CANCEL);
	assert_string_equal(t->e.msg,
			    "migration 'vm2': the guest is on its way");
}

static void run_ask_one__there_is_none(void **state)
{
	struct t *t = *state;

	assert_int_equal(run_ask_one("vm2", NULL, NULL, &t->e), -ENOENT);
	assert_int_equal(t->e.reason, XM_REASON_USAGE);
	assert_non_null(strstr(t->e.msg, "no migration called 'vm2'"));
}

/* A migration that ends instead of answering. */
static void *end_it(void *arg)
{
	struct t *t = arg;
	struct pollfd p = { .fd = run_fd(t->run), .events = POLLIN };
	struct run_request req = { 0 };

	while (req.ask == RUN_NOTHING && poll(&p, 1, -1) > 0)
		run_next(t->run, &req);
	t->run = run_close(t->run);
	return NULL;
}

static void run_ask_one__it_has_just_ended(void **state)
{
	struct t *t = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, end_it, t), 0);
	assert_int_equal(run_ask_one("vm1", NULL, NULL, &t->e), -ENOENT);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_non_null(strstr(t->e.msg, "'vm1' has just ended"));
}

/* -- listing ---------------------------------------------------------------------------- */

static const json_t *row(const json_t *list, const char *name)
{
	const json_t *o, *found = NULL;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		o = json_array_get(list, i);
		if (strcmp(json_string_value(json_object_get(o, "name")), name))
			continue;
		assert_null(found); /* once */
		found = o;
	}
	assert_non_null(found);
	return found;
}

static void run_list__no_folder(void **state)
{
	struct t *t = *state;
	json_t *list = json_array();

	assert_int_equal(run_set_dir(t_path("none")), 0);
	assert_int_equal(run_list(list, &t->e), 0);
	assert_int_equal(json_array_size(list), 0);
	assert_int_equal(run_set_dir(t_dir), 0);
	json_decref(list);
}

static void run_list__all_there_is(void **state)
{
	struct t_server a = { 0 }, b = { .refusal = "busy" };
	json_t *list = json_array();
	struct t *t = *state;
	const json_t *o;

	t->run = run_close(t->run);
	t_server_start(&a, "new");
	t_server_start(&b, "odd");
	take_and_die("killed");
	take_and_die("stray");
	t_write("new.send.json", "{\"guest_runs_at\": \"source\"}");
	t_write("odd.send.json", "{\"guest_runs_at\": \"source\"}");
	t_write("killed.send.json", "{\"guest_runs_at\": \"unknown\"}");
	t_write("old.send.json", "{\"guest_runs_at\": \"target\"}");
	t_write("left.send.json", "{\"guest_runs_at\": \"unknown\", "
				  "\"guardian\": \"trying\", "
				  "\"guardian_pid\": 1}");
	t_write("half.send.json", "{\"guest_runs_at\": ");
	t_write("no.send.json.new", "{}");
	t_write("README", "");
	t_write(".send.json", "{}");
	t_write("former.json", "{}");
	if (run_list(list, &t->e))
		fail_msg("%s", t->e.msg);
	assert_int_equal(json_array_size(list), 5);
	o = row(list, "left"); /* process 1 is no guardian */
	assert_string_equal(json_string_value(json_object_get(o, "guardian")),
			    "killed");
	o = row(list, "new");
	assert_true(json_is_true(json_object_get(o, "under_way")));
	assert_string_equal(json_string_value(json_object_get(o, "state")),
			    "copying");
	assert_null(
		json_object_get(o, "guest_runs_at")); /* of the one before */
	o = row(list, "odd");
	assert_true(json_is_true(json_object_get(o, "under_way")));
	assert_non_null(json_object_get(o, "error"));
	o = row(list, "killed");
	assert_true(json_is_false(json_object_get(o, "under_way")));
	assert_string_equal(
		json_string_value(json_object_get(o, "guest_runs_at")),
		"unknown");
	o = row(list, "old");
	assert_true(json_is_false(json_object_get(o, "under_way")));
	json_decref(list);
	t_server_stop(&a);
	t_server_stop(&b);
	t_dir_clear();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(run_set_dir__too_long),
		CASE(run_open__names),
		CASE(run_open__name_is_taken),
		CASE(run_open__name_is_free_again),
		CASE(run_open__name_of_a_killed_process),
		CASE(run_open__no_place_for_it),
		CASE(run_open__is_for_its_user_alone),
		CASE(run_open__not_where_others_write),
		CASE(run_open__who_is_not_root_has_a_place_too),
		CASE(run_leave__the_name_stays_taken),
		CASE(run_close__null),
		CASE(run_record__is_replaced),
		CASE(run_record__each_role_has_its_own),
		CASE(run_open_as__removes_the_record_of_the_last),
		CASE(run_open_as__cannot_remove_it),
		CASE(run_record__stays_when_the_name_is_given_back),
		CASE(run_record__half_of_one_is_overwritten),
		CASE(run_record__cannot_be_written),
		CASE(run_ask_one__answer),
		CASE(run_ask_one__error),
		CASE(run_ask_one__there_is_none),
		CASE(run_ask_one__it_has_just_ended),
		CASE(run_list__no_folder),
		CASE(run_list__all_there_is),
	};

	return cmocka_run_group_tests(tests, t_dir_make, t_dir_remove);
}
