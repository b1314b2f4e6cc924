// SPDX-License-Identifier: GPL-2.0-or-later
#include "t_cli.h"

#include "cli/send_opts.h"

#include <errno.h>

static const struct cli_cmd cmds[] = { { &t_spec }, { &t_other }, { 0 } };
static const struct cli_vocabulary voc = { cmds };

struct t {
	struct cli_ctx cli;
	struct t_opts o;
	char *argv[16];
};

static int setup(void **state)
{
	static struct t t;

	memset(&t, 0, sizeof(t));
	t.cli.spec = &t_spec;
	t.cli.conf_path = "file";
	cli_opt_init(&t.cli, &t.o);
	*state = &t;
	return 0;
}

static int teardown(void **state)
{
	struct t *t = *state;

	cli_conf_free(&t->cli);
	return 0;
}

static int read_bytes(struct t *t, const char *text, size_t len)
{
	FILE *f = fmemopen((void *)text, len, "r");
	int r;

	assert_non_null(f);
	r = cli_conf_read(&t->cli, &voc, f, "file", &t->cli.err);
	fclose(f);
	return r;
}

static void good(struct t *t, const char *text)
{
	assert_int_equal(read_bytes(t, text, strlen(text)), 0);
}

static void bad(struct t *t, const char *text, const char *msg)
{
	assert_int_equal(read_bytes(t, text, strlen(text)), -EINVAL);
	assert_string_equal(t->cli.err.msg, msg);
	assert_int_equal(t->cli.err.reason, XM_REASON_USAGE);
}

/* A flag was given before the file is read, as always. */
static void flag(struct t *t, const char *word)
{
	char *argv[] = { (char *)"frob", (char *)word, NULL };

	assert_int_equal(cli_opt_argv(&t->cli, 2, argv, &t->cli.err), 0);
}

static void cli_conf_read__every_type(void **state)
{
	struct t *t = *state;

	good(t, "[frob]\n"
		"flag = yes\n"
		"name = ann\n"
		"number = 4\n"
		"size=1M\n"
		"rate = 80G\n"
		"time = 3s\n"
		"poll = 20us\n"
		"kind = apple\n"
		"queues = 0-7\n"
		"pos = there\n"
		"verbose = on\n");
	assert_true(t->o.flag);
	assert_string_equal(t->o.name, "ann");
	assert_int_equal(t->o.number, 4);
	assert_int_equal(t->o.size, 1 << 20);
	assert_int_equal(t->o.rate, 80000000000ull);
	assert_int_equal(t->o.time, 3000000000ull);
	assert_int_equal(t->o.poll, 20000);
	assert_int_equal(t->o.kind, 0);
	assert_int_equal(t->o.queues.n, 8);
	assert_string_equal(t->o.pos, "there");
	assert_true(t->cli.std.verbose);
	assert_int_equal(cli_opt_check(&t->cli, &t->cli.err), 0);
}

static void cli_conf_read__empty_file_and_comments(void **state)
{
	struct t *t = *state;

	good(t, "\n# size = 1M\n; size = 2M\n   \n[frob] ; ours\n"
		"number = 4 ; four\n");
	assert_int_equal(t->o.size, 10 << 20);
	assert_int_equal(t->o.number, 4);
}

static void cli_conf_read__crlf_bom_and_no_last_newline(void **state)
{
	struct t *t = *state;

	good(t, "\xef\xbb\xbfsize = 1M\r\nnumber = 4");
	assert_int_equal(t->o.size, 1 << 20);
	assert_int_equal(t->o.number, 4);
}

static void cli_conf_read__section_wins_over_default(void **state)
{
	struct t *t = *state;

	good(t, "[frob]\nnumber = 4\n[default]\nnumber = 5\nsize = 1M\n");
	assert_int_equal(t->o.number, 4);
	assert_int_equal(t->o.size, 1 << 20);
	assert_int_equal(cli_origin(&t->cli, "number"), CLI_FILE);
	assert_int_equal(cli_origin(&t->cli, "size"), CLI_FILE_DEFAULT);
}

static void cli_conf_read__default_before_section(void **state)
{
	struct t *t = *state;

	good(t, "name = ann\n[frob]\nname = bob\n");
	assert_string_equal(t->o.name, "bob");
}

static void cli_conf_read__flag_wins(void **state)
{
	struct t *t = *state;

	flag(t, "--number=6");
	flag(t, "--flag=no");
	good(t, "flag = yes\n[frob]\nnumber = 4\n");
	assert_int_equal(t->o.number, 6);
	assert_false(t->o.flag);
	assert_int_equal(cli_origin(&t->cli, "number"), CLI_FLAGGED);
}

static void cli_conf_read__bad_value_below_a_flag_is_still_bad(void **state)
{
	struct t *t = *state;

	flag(t, "--number=6");
	bad(t, "number = 99\n",
	    "file:1: number = '99': must be auto or from 2 to 64");
}

static void cli_conf_read__alias(void **state)
{
	struct t *t = *state;

	good(t, "title = ann\n");
	assert_string_equal(t->o.name, "ann");
}

static void cli_conf_read__remembers_the_line(void **state)
{
	struct t *t = *state;
	unsigned int i, n = 0;

	good(t, "# one\n\n[frob]\nsize = 1M\n");
	for (i = 0; i < t->cli.n_settings; i++)
		n += t->cli.setting[i].line;
	assert_int_equal(n, 4);
}

static void cli_conf_read__unknown_key(void **state)
{
	bad(*state, "[frob]\nwat = 1\n", "file:2: wat: no such option");
}

static void cli_conf_read__unknown_key_of_default(void **state)
{
	bad(*state, "# hello\nwat = 1\n", "file:2: wat: no such option");
}

static void cli_conf_read__key_of_another_command(void **state)
{
	struct t *t = *state;

	good(t, "other = 1\n[brew]\nother = 2\n");
	bad(t, "[frob]\nother = 1\n", "file:2: other: no such option");
}

static void cli_conf_read__other_sections_are_not_looked_into(void **state)
{
	good(*state, "[brew]\nwat = 1\n");
}

static void cli_conf_read__unknown_section(void **state)
{
	bad(*state, "[forb]\nsize = 1M\n",
	    "file:2: section forb: no such command");
}

static void cli_conf_read__file_names_no_file(void **state)
{
	bad(*state, "config = /else\n", "file:1: config: no such option");
}

static void cli_conf_read__key_twice(void **state)
{
	bad(*state,
	    "[frob]\nsize = 1M\n[default]\nsize = 2M\n[frob]\n"
	    "size = 3M\n",
	    "file:6: size: given on line 2 already");
}

static void cli_conf_read__key_and_its_alias(void **state)
{
	bad(*state, "name = a\ntitle = b\n",
	    "file:2: title: given on line 1 already");
}

static void cli_conf_read__line_without_a_value(void **state)
{
	bad(*state, "size 1M\n",
	    "file:1: not 'key = value', '[section]' or '#'");
}

static void cli_conf_read__first_bad_line_is_named(void **state)
{
	bad(*state, "size = 1M\n[frob\nwat = 1\n",
	    "file:2: not 'key = value', '[section]' or '#'");
}

static void cli_conf_read__no_key(void **state)
{
	bad(*state, "= 1\n", "file:1: not 'key = value', '[section]' or '#'");
}

static void cli_conf_read__no_value(void **state)
{
	bad(*state, "name =\n", "file:1: name = '': may not be empty");
}

/* inih would take the second line for more of the first one's value */
static void cli_conf_read__indented_line_is_a_line(void **state)
{
	struct t *t = *state;

	good(t, "[frob]\n  name = ann\n\tnumber = 4\n");
	assert_string_equal(t->o.name, "ann");
	assert_int_equal(t->o.number, 4);
}

static void cli_conf_read__long_line_is_not_two(void **state)
{
	char text[400];

	snprintf(text, sizeof(text), "name = %0300d\n", 3);
	assert_int_equal(read_bytes(*state, text, strlen(text)), -EINVAL);
	assert_has(((struct t *)*state)->cli.err.msg, "file:1: line longer");
}

static void cli_conf_read__long_comment(void **state)
{
	struct t *t = *state;
	char text[400];

	snprintf(text, sizeof(text), "# %0300d\nsize = 1M\n", 3);
	good(t, text);
	assert_int_equal(t->o.size, 1 << 20);
}

static void cli_conf_read__nul_byte(void **state)
{
	static const char text[] = "size = 1M\nnu\0mber = 4\n";
	struct t *t = *state;

	assert_int_equal(read_bytes(t, text, sizeof(text) - 1), -EINVAL);
	assert_string_equal(t->cli.err.msg,
			    "file:2: NUL byte: not a text file");
}

static void cli_conf_read__ipv6_peer(void **state)
{
	struct t *t = *state;

	good(t, "pos = [fd00::1]:7000\n");
	assert_string_equal(t->o.pos, "[fd00::1]:7000");
}

static void cli_conf_load__named_file_must_exist(void **state)
{
	struct t *t = *state;

	t->cli.std.config = "/nonexistent/xdpmig.conf";
	assert_int_equal(cli_conf_load(&t->cli, &voc, &t->cli.err), -ENOENT);
	assert_string_equal(t->cli.err.msg,
			    "configuration file /nonexistent/xdpmig.conf: No "
			    "such file or directory");
	assert_int_equal(t->cli.err.reason, XM_REASON_USAGE);
}

static void cli_conf_load__directory_is_no_file(void **state)
{
	struct t *t = *state;

	t->cli.std.config = "/";
	assert_int_equal(cli_conf_load(&t->cli, &voc, &t->cli.err), -EIO);
	assert_non_null(strstr(t->cli.err.msg, "Is a directory"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(cli_conf_read__every_type),
		CASE(cli_conf_read__empty_file_and_comments),
		CASE(cli_conf_read__crlf_bom_and_no_last_newline),
		CASE(cli_conf_read__section_wins_over_default),
		CASE(cli_conf_read__default_before_section),
		CASE(cli_conf_read__flag_wins),
		CASE(cli_conf_read__bad_value_below_a_flag_is_still_bad),
		CASE(cli_conf_read__alias),
		CASE(cli_conf_read__remembers_the_line),
		CASE(cli_conf_read__unknown_key),
		CASE(cli_conf_read__unknown_key_of_default),
		CASE(cli_conf_read__key_of_another_command),
		CASE(cli_conf_read__other_sections_are_not_looked_into),
		CASE(cli_conf_read__unknown_section),
		CASE(cli_conf_read__file_names_no_file),
		CASE(cli_conf_read__key_twice),
		CASE(cli_conf_read__key_and_its_alias),
		CASE(cli_conf_read__line_without_a_value),
		CASE(cli_conf_read__first_bad_line_is_named),
		CASE(cli_conf_read__no_key),
		CASE(cli_conf_read__no_value),
		CASE(cli_conf_read__indented_line_is_a_line),
		CASE(cli_conf_read__long_line_is_not_two),
		CASE(cli_conf_read__long_comment),
		CASE(cli_conf_read__nul_byte),
		CASE(cli_conf_read__ipv6_peer),
		CASE(cli_conf_load__named_file_must_exist),
		CASE(cli_conf_load__directory_is_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
