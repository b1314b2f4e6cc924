// SPDX-License-Identifier: GPL-2.0-or-later
/* test_dispatch.c - whole command lines, with their output and exit status */
#include "t_cli.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/send_opts.h"

/* What the command `frob` does next. */
static struct {
	int ret;
	enum xm_reason reason;
	bool fills_error, puts_result, echoes;
	unsigned int runs;
} frob;

static int cmd_frob(struct cli_ctx *cli, const void *opts)
{
	const struct t_opts *o = opts;

	frob.runs++;
	assert_string_equal(o->pos, "it");
	if (frob.puts_result)
		cli_put_u64(cli_result(cli), "total_ms", 812);
	if (frob.echoes)
		cli_echo_options(cli);
	if (frob.fills_error)
		return xm_fail(&cli->err, frob.ret, frob.reason,
			       "it broke; fix it");
	return frob.ret;
}

static const struct cli_cmd cmds[] = {
	{ &t_spec, cmd_frob },
	{ 0 },
};

/* Both streams as files, from before a run until its texts were read. */
struct stream {
	int fd, saved, target;
	char text[16384];
};

static struct stream out, err;

static void stream_catch(struct stream *s, int target)
{
	s->fd = memfd_create("stream", MFD_CLOEXEC);
	s->target = target;
	s->saved = dup(target);
	assert_true(s->fd >= 0 && s->saved >= 0);
	assert_true(dup2(s->fd, target) >= 0);
}

static void stream_release(struct stream *s)
{
	ssize_t n;

	dup2(s->saved, s->target);
	n = pread(s->fd, s->text, sizeof(s->text) - 1, 0);
	s->text[n > 0 ? n : 0] = '\0';
	close(s->saved);
	close(s->fd);
}

static int run(const char *line)
{
	char words[256], *argv[16] = { 0 }, *save, *w;
	int argc = 0, r;

	/* a file of this machine must not decide */
	snprintf(words, sizeof(words), "xdpmig %s%s", line,
		 strncmp(line, "frob", 4) || strstr(line, "--config") ?
			 "" :
			 " --config /dev/null");
	for (w = strtok_r(words, " ", &save); w && argc < 15;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	fflush(stdout);
	stream_catch(&out, STDOUT_FILENO);
	stream_catch(&err, STDERR_FILENO);
	r = cli_main(cmds, argc, argv);
	fflush(stdout);
	stream_release(&out);
	stream_release(&err);
	return r;
}

static int setup(void **state)
{
	(void)state;
	memset(&frob, 0, sizeof(frob));
	return 0;
}

static void cli_main__runs_the_command(void **state)
{
	(void)state;
	assert_int_equal(run("frob it"), CLI_EXIT_DONE);
	assert_int_equal(frob.runs, 1);
	assert_string_equal(out.text, "");
	assert_string_equal(err.text, "");
}

static void cli_main__failure_is_one_message(void **state)
{
	(void)state;
	frob.ret = -EBUSY;
	frob.fills_error = true;
	frob.reason = XM_REASON_DEVICE;
	assert_int_equal(run("frob it"), CLI_EXIT_LOCAL);
	assert_string_equal(err.text, "xdpmig: frob: it broke; fix it\n");
	assert_string_equal(out.text, "");
}

static void cli_main__failure_without_a_story(void **state)
{
	(void)state;
	frob.ret = -EBUSY;
	assert_int_equal(run("frob it --json"), CLI_EXIT_LOCAL);
	assert_string_equal(err.text, "xdpmig: frob: frob: Device or resource "
				      "busy\n");
	assert_has(out.text, "\"reason\":\"internal\"");
}

static void cli_main__reason_decides_the_status(void **state)
{
	(void)state;
	frob.ret = -EPROTO;
	frob.fills_error = true;
	frob.reason = XM_REASON_UNKNOWN_OUTCOME;
	assert_int_equal(run("frob it"), CLI_EXIT_UNKNOWN);
	frob.reason = XM_REASON_VERSION;
	assert_int_equal(run("frob it"), CLI_EXIT_REFUSED);
}

static void cli_main__json_result_after_failure(void **state)
{
	(void)state;
	frob.ret = -EBUSY;
	frob.fills_error = frob.puts_result = true;
	frob.reason = XM_REASON_STALLED;
	assert_int_equal(run("frob it --json"), CLI_EXIT_NOT_DONE);
	assert_string_equal(out.text, "{\"event\":\"result\",\"schema\":1,"
				      "\"status\":\"failed\",\"exit_status\":4,"
				      "\"reason\":\"stalled\","
				      "\"message\":\"it broke; fix it\","
				      "\"total_ms\":812}\n");
}

static void cli_main__json_result_after_usage_error(void **state)
{
	(void)state;
	assert_int_equal(run("frob it --size 10X --json"), CLI_EXIT_USAGE);
	assert_has(out.text, "\"event\":\"result\"");
	assert_has(out.text, "\"exit_status\":2");
	assert_int_equal(frob.runs, 0);
}

static void cli_main__usage_error_points_to_help(void **state)
{
	(void)state;
	assert_int_equal(run("frob it --wat"), CLI_EXIT_USAGE);
	assert_string_equal(err.text, "xdpmig: frob: --wat: no such option\n"
				      "Try 'xdpmig frob --help'.\n");
	assert_string_equal(out.text, "");
}

static void cli_main__no_command(void **state)
{
	(void)state;
	assert_int_equal(run(""), CLI_EXIT_USAGE);
	assert_has(err.text, "Try 'xdpmig --help'.");
	assert_int_equal(run("wat"), CLI_EXIT_USAGE);
	assert_has(err.text, "no such command 'wat'");
	assert_int_equal(run("--json frob it"), CLI_EXIT_USAGE);
	assert_has(err.text, "no such option '--json'");
}

static void cli_main__version(void **state)
{
	(void)state;
	assert_int_equal(run("--version"), CLI_EXIT_DONE);
	assert_string_equal(out.text, "xdpmig " XM_VERSION "\n");
}

static void cli_main__help_lists_commands(void **state)
{
	char text[sizeof(out.text)];

	(void)state;
	assert_int_equal(run("--help"), CLI_EXIT_DONE);
	assert_has(out.text, "\n  frob       frob it\n");
	assert_has(out.text, "Exit status: 0 done;");
	assert_string_equal(err.text, "");
	memcpy(text, out.text, sizeof(text));
	assert_int_equal(run("help"), CLI_EXIT_DONE);
	assert_string_equal(out.text, text);
}

static void cli_main__help_of_a_command(void **state)
{
	char text[sizeof(out.text)];

	(void)state;
	/* needs no argument, and no configuration file */
	assert_int_equal(run("frob --config /nonexistent --help"),
			 CLI_EXIT_DONE);
	assert_has(out.text, "Usage: xdpmig frob [OPTION]... POS\n");
	assert_has(out.text,
		   "      --size BYTES          a size (default 10M)\n");
	assert_has(out.text, "  -f, --flag                a flag\n");
	assert_has(out.text,
		   "      --number N            a number (default 8)");
	assert_has(out.text, "      --rate RATE           a rate (default "
			     "none)\n");
	assert_has(out.text, "      --poll[=TIME]  ");
	assert_has(out.text, "      --kind apple|pear     a kind (default "
			     "pear)\n");
	assert_has(out.text, "      --name NAME           a name (default "
			     "joe)\n");
	assert_has(out.text, "  -h, --help  ");
	assert_int_equal(frob.runs, 0);
	memcpy(text, out.text, sizeof(text));
	assert_int_equal(run("help frob"), CLI_EXIT_DONE);
	assert_string_equal(out.text, text);
	assert_int_equal(run("help wat"), CLI_EXIT_USAGE);
	assert_int_equal(run("help frob it"), CLI_EXIT_USAGE);
}

/* No line is longer than a terminal is wide. */
static void cli_main__help_fits_80_columns(void **state)
{
	const char *p, *nl;

	(void)state;
	run("frob --help");
	for (p = out.text; (nl = strchr(p, '\n')); p = nl + 1)
		assert_true(nl - p < 80);
	assert_int_equal(*p, 0);
}

static void cli_main__lost_stdout_keeps_the_status(void **state)
{
	int full, saved;

	(void)state;
	frob.puts_result = true;
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	stream_catch(&err, STDERR_FILENO);
	dup2(full, STDOUT_FILENO);
	{
		char *argv[] = { (char *)"xdpmig", (char *)"frob", (char *)"it",
				 (char *)"--config=/dev/null", NULL };

		assert_int_equal(cli_main(cmds, 4, argv), CLI_EXIT_DONE);
	}
	dup2(saved, STDOUT_FILENO);
	clearerr(stdout);
	stream_release(&err);
	close(saved);
	close(full);
	assert_has(err.text, "standard output could not be written");
}

/* As of `xdpmig help | head -1`: nobody lost anything. */
static void cli_main__help_may_be_read_in_part(void **state)
{
	char *argv[] = { (char *)"xdpmig", (char *)"frob", (char *)"--help",
			 NULL };
	int ends[2], saved;

	(void)state;
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	stream_catch(&err, STDERR_FILENO);
	dup2(ends[1], STDOUT_FILENO);
	assert_int_equal(cli_main(cmds, 3, argv), CLI_EXIT_DONE);
	dup2(saved, STDOUT_FILENO);
	clearerr(stdout);
	stream_release(&err);
	close(saved);
	close(ends[1]);
	assert_string_equal(err.text, "");
}

static void cli_echo_options__value_and_origin(void **state)
{
	char path[] = "/tmp/test_dispatch.XXXXXX", line[100], want[200];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_true(write(fd, "# mine\nsize = 1M\n", 17) == 17);
	close(fd);
	frob.echoes = true;
	snprintf(line, sizeof(line), "frob it --json --rate 80G --config %s",
		 path);
	assert_int_equal(run(line), CLI_EXIT_DONE);
	unlink(path);
	snprintf(want, sizeof(want),
		 "{\"name\":\"size\",\"value\":\"1M\",\"from\":\"%s:2\"}",
		 path);
	assert_has(out.text, want);
	assert_has(out.text, "{\"name\":\"rate\",\"value\":\"80G\","
			     "\"from\":\"command line\"}");
	assert_has(out.text, "{\"name\":\"time\",\"value\":\"10s\","
			     "\"from\":\"default\"}");
	assert_has(out.text, "{\"name\":\"pos\",\"value\":\"it\","
			     "\"from\":\"command line\"}");
}

static void cli_exit_status__of_every_reason(void **state)
{
	static const enum cli_exit want[] = {
		1, 1, 2, 1, 1, 1, 1, 1, 1, 3, 3, 3, 1, 4, 4, 4, 4, 5, 6, 4,
	};
	int i;

	(void)state;
	assert_int_equal(sizeof(want) / sizeof(want[0]), XM_REASON__COUNT);
	for (i = 0; i < XM_REASON__COUNT; i++)
		assert_int_equal(cli_exit_status((enum xm_reason)i), want[i]);
	assert_int_equal(cli_exit_status((enum xm_reason)999), CLI_EXIT_LOCAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(cli_main__runs_the_command, setup),
		cmocka_unit_test_setup(cli_main__failure_is_one_message, setup),
		cmocka_unit_test_setup(cli_main__failure_without_a_story,
				       setup),
		cmocka_unit_test_setup(cli_main__reason_decides_the_status,
				       setup),
		cmocka_unit_test_setup(cli_main__json_result_after_failure,
				       setup),
		cmocka_unit_test_setup(cli_main__json_result_after_usage_error,
				       setup),
		cmocka_unit_test_setup(cli_main__usage_error_points_to_help,
				       setup),
		cmocka_unit_test_setup(cli_main__no_command, setup),
		cmocka_unit_test_setup(cli_main__version, setup),
		cmocka_unit_test_setup(cli_main__help_lists_commands, setup),
		cmocka_unit_test_setup(cli_main__help_of_a_command, setup),
		cmocka_unit_test_setup(cli_main__help_fits_80_columns, setup),
		cmocka_unit_test_setup(cli_main__lost_stdout_keeps_the_status,
				       setup),
		cmocka_unit_test_setup(cli_main__help_may_be_read_in_part,
				       setup),
		cmocka_unit_test_setup(cli_echo_options__value_and_origin,
				       setup),
		cmocka_unit_test(cli_exit_status__of_every_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
