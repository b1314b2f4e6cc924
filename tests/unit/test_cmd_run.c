// SPDX-License-Identifier: GPL-2.0-or-later
/* test_cmd_run.c - cancel, continue and set as users type them, at a migration
 * that is played */
#include "t_run.h"

#include <sys/mman.h>

#include "cli/cmd_run.h"

static const struct cli_cmd cmds[] = {
	{ &cli_cancel, cmd_cancel },
	{ &cli_continue, cmd_continue },
	{ &cli_set, cmd_set },
	{ 0 },
};

static struct t_server server;
static char out[8192], err[8192];

/* Catch what goes to @target until caught(). */
static int catch_stream(int target, int *ret_saved)
{
	int fd = memfd_create("stream", MFD_CLOEXEC);

	*ret_saved = dup(target);
	assert_true(fd >= 0 && *ret_saved >= 0);
	assert_true(dup2(fd, target) >= 0);
	return fd;
}

static void caught(int target, int saved, int fd, char *text, size_t size)
{
	ssize_t n;

	dup2(saved, target);
	close(saved);
	n = pread(fd, text, size - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
}

/* The exit status of "xdpmig @line", with a configuration file of its own. */
static int run(const char *line)
{
	char words[512], *argv[16] = { 0 }, *save, *w;
	int argc = 0, r, saved[2], fd[2];

	snprintf(words, sizeof(words), "xdpmig %s --config %s", line,
		 t_path("conf"));
	for (w = strtok_r(words, " ", &save); w && argc < 15;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	fflush(stdout);
	fd[0] = catch_stream(STDOUT_FILENO, &saved[0]);
	fd[1] = catch_stream(STDERR_FILENO, &saved[1]);
	r = cli_main(cmds, argc, argv);
	fflush(stdout);
	caught(STDOUT_FILENO, saved[0], fd[0], out, sizeof(out));
	caught(STDERR_FILENO, saved[1], fd[1], err, sizeof(err));
	return r;
}

/* A text of the result, the last line of --json. */
static void assert_result(const char *key, const char *value)
{
	json_t *o = json_loads(out, 0, NULL);

	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, key)), value);
	json_decref(o);
}

static int setup(void **state)
{
	(void)state;
	memset(&server, 0, sizeof(server));
	t_write("conf", "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (server.run)
		t_server_stop(&server);
	t_dir_clear();
	return 0;
}

static void cmd_cancel__is_asked_for(void **state)
{
	(void)state;
	t_server_start(&server, "vm1");
	assert_int_equal(run("cancel --json vm1"), CLI_EXIT_DONE);
	t_server_stop(&server);
	assert_int_equal(server.seen.ask, RUN_CANCEL);
	assert_result("status", "cancelling");
	assert_result("name", "vm1");
}

static void cmd_cancel__name_from_the_file(void **state)
{
	(void)state;
	t_write("conf", "name = vm1\n");
	t_server_start(&server, "vm1");
	assert_int_equal(run("cancel"), CLI_EXIT_DONE);
	t_server_stop(&server);
	assert_int_equal(server.seen.ask, RUN_CANCEL);
}

static void cmd_cancel__there_is_none(void **state)
{
	(void)state;
	assert_int_equal(run("cancel --json vm2"), CLI_EXIT_USAGE);
	assert_non_null(strstr(err, "xdpmig: cancel: no migration called "
				    "'vm2' is under way here"));
	assert_result("reason", "usage");
	assert_int_equal(run("cancel ../vm2"), CLI_EXIT_USAGE);
	assert_non_null(strstr(err, "'../vm2' is no name for a migration"));
	assert_int_equal(run("cancel"), CLI_EXIT_USAGE);
}

static void cmd_cancel__too_late(void **state)
{
	(void)state;
	server.refusal = "the guest was handed over: there is no way back";
	t_server_start(&server, "vm1");
	assert_int_equal(run("cancel vm1"), CLI_EXIT_USAGE);
	assert_string_equal(err, "xdpmig: cancel: migration 'vm1': the guest "
				 "was handed over: there is no way back\n");
	assert_string_equal(out, "");
}

static void cmd_continue__is_asked_for(void **state)
{
	(void)state;
	t_server_start(&server, "vm1");
	assert_int_equal(run("continue --json vm1"), CLI_EXIT_DONE);
	t_server_stop(&server);
	assert_int_equal(server.seen.ask, RUN_CONTINUE);
	assert_result("status", "continued");
}

static void cmd_set__what_is_said(void **state)
{
	(void)state;
	t_server_start(&server, "vm1");
	assert_int_equal(run("set vm1 --json --bandwidth 5G"), CLI_EXIT_DONE);
	t_server_stop(&server);
	assert_int_equal(server.seen.ask, RUN_SET);
	assert_true(server.seen.has_bandwidth);
	assert_int_equal(server.seen.bandwidth, 5000000000);
	assert_false(server.seen.has_max_downtime);
	assert_result("status", "set");
	assert_result("name", "vm1");
	assert_result("state", "copying"); /* how it is now */
}

static void cmd_set__all_of_it(void **state)
{
	(void)state;
	t_server_start(&server, "vm1");
	assert_int_equal(run("set vm1 --bandwidth none --max-downtime 50ms"),
			 CLI_EXIT_DONE);
	t_server_stop(&server);
	assert_true(server.seen.has_bandwidth);
	assert_int_equal(server.seen.bandwidth, 0);
	assert_true(server.seen.has_max_downtime);
	assert_int_equal(server.seen.max_downtime_ns, 50000000);
}

/* What a file says of all migrations is no order to change this one. */
static void cmd_set__nothing_to_change(void **state)
{
	(void)state;
	t_write("conf", "bandwidth = 5G\nmax-downtime = 1s\n");
	t_server_start(&server, "vm1");
	assert_int_equal(run("set vm1"), CLI_EXIT_USAGE);
	assert_non_null(strstr(err, "say --bandwidth or --max-downtime"));
	assert_int_equal(run("set vm1 --max-downtime 50ms"), CLI_EXIT_DONE);
	t_server_stop(&server);
	assert_int_equal(server.n_seen, 1);
	assert_false(server.seen.has_bandwidth);
	assert_int_equal(server.seen.max_downtime_ns, 50000000);
}

static void cmd_set__bad_values(void **state)
{
	(void)state;
	t_server_start(&server, "vm1");
	assert_int_equal(run("set vm1 --bandwidth 5"), CLI_EXIT_USAGE);
	assert_int_equal(run("set vm1 --bandwidth fast"), CLI_EXIT_USAGE);
	assert_int_equal(run("set vm1 --max-downtime 0"), CLI_EXIT_USAGE);
	assert_int_equal(run("set vm1 --max-downtime 2d"), CLI_EXIT_USAGE);
	t_server_stop(&server);
	assert_int_equal(server.n_seen, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(cmd_cancel__is_asked_for),
		CASE(cmd_cancel__name_from_the_file),
		CASE(cmd_cancel__there_is_none),
		CASE(cmd_cancel__too_late),
		CASE(cmd_continue__is_asked_for),
		CASE(cmd_set__what_is_said),
		CASE(cmd_set__all_of_it),
		CASE(cmd_set__nothing_to_change),
		CASE(cmd_set__bad_values),
	};

	return cmocka_run_group_tests(tests, t_dir_make, t_dir_remove);
}
