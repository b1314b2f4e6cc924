// SPDX-License-Identifier: GPL-2.0-or-later
#include "t_cli.h"

#include "cli/send_opts.h"

#include <errno.h>

struct t {
	struct cli_ctx cli;
	union {
		struct t_opts frob;
		struct cli_send_opts send;
		struct cli_recv_opts recv;
	} o;
	char words[256], *argv[16];
};

/* Parse @line, cut at blanks; its first word names the command. */
static int parse(struct t *t, const struct cli_spec *spec, const char *line)
{
	int argc = 0;
	char *save, *w;

	memset(t, 0, sizeof(*t));
	t->cli.spec = spec;
	t->cli.conf_path = "file";
	snprintf(t->words, sizeof(t->words), "%s", line);
	for (w = strtok_r(t->words, " ", &save); w && argc < 15;
	     w = strtok_r(NULL, " ", &save))
		t->argv[argc++] = w;
	cli_opt_init(&t->cli, &t->o);
	return cli_opt_argv(&t->cli, argc, t->argv, &t->cli.err);
}

static struct t_opts *good(struct t *t, const char *line)
{
	assert_int_equal(parse(t, &t_spec, line), 0);
	return &t->o.frob;
}

static const char *bad(struct t *t, const char *line)
{
	assert_int_equal(parse(t, &t_spec, line), -EINVAL);
	assert_int_equal(t->cli.err.reason, XM_REASON_USAGE);
	return t->cli.err.msg;
}

static void cli_opt_init__gives_defaults(void **state)
{
	struct t t;
	struct t_opts *o = good(&t, "frob x");

	(void)state;
	assert_false(o->flag);
	assert_string_equal(o->name, "joe");
	assert_int_equal(o->number, 8);
	assert_int_equal(o->size, 10 << 20);
	assert_int_equal(o->kind, 1);
	assert_int_equal(cli_origin(&t.cli, "size"), CLI_DEFAULTED);
	assert_int_equal(cli_origin(&t.cli, "pos"), CLI_FLAGGED);
}

static void cli_opt_argv__value_apart_and_attached(void **state)
{
	struct t t;
	struct t_opts *o = good(&t, "frob x --size 1M --number=4");

	(void)state;
	assert_int_equal(o->size, 1 << 20);
	assert_int_equal(o->number, 4);
	assert_int_equal(cli_origin(&t.cli, "size"), CLI_FLAGGED);
}

static void cli_opt_argv__flags_after_the_positional(void **state)
{
	struct t t;
	struct t_opts *o = good(&t, "frob --number 4 x --flag --size 2M -v");

	(void)state;
	assert_string_equal(o->pos, "x");
	assert_int_equal(o->number, 4);
	assert_int_equal(o->size, 2 << 20);
	assert_true(o->flag);
	assert_true(t.cli.std.verbose);
}

static void cli_opt_argv__two_dashes_end_the_flags(void **state)
{
	struct t t;

	(void)state;
	assert_string_equal(good(&t, "frob --flag -- --size")->pos, "--size");
}

static void cli_opt_argv__letters_in_one_word(void **state)
{
	struct t t;

	(void)state;
	assert_true(good(&t, "frob -qfv x")->flag);
	assert_true(t.cli.std.quiet);
	assert_true(t.cli.std.verbose);
}

static void cli_opt_argv__last_one_wins(void **state)
{
	struct t t;

	(void)state;
	assert_int_equal(good(&t, "frob --number 4 --number 5 x")->number, 5);
	assert_false(good(&t, "frob --flag --flag=no x")->flag);
}

static void cli_opt_argv__option_that_may_stand_alone(void **state)
{
	struct t t;

	(void)state;
	assert_int_equal(good(&t, "frob x")->poll, 0);
	assert_int_equal(good(&t, "frob --poll x")->poll, 50000);
	assert_string_equal(t.o.frob.pos, "x");
	assert_int_equal(good(&t, "frob --poll=20us x")->poll, 20000);
	assert_int_equal(good(&t, "frob --poll=off x")->poll, 0);
}

static void cli_opt_argv__bad_value_names_flag_and_value(void **state)
{
	struct t t;

	(void)state;
	assert_string_equal(bad(&t, "frob x --size 10X"),
			    "--size '10X': not a number of bytes, such as "
			    "512K, 10M or 4G");
	assert_has(bad(&t, "frob x --queues=0-99"), "--queues '0-99': ");
	assert_has(bad(&t, "frob x --flag=perhaps"), "--flag 'perhaps': ");
}

static void cli_opt_argv__missing_value(void **state)
{
	struct t t;

	(void)state;
	assert_string_equal(bad(&t, "frob x --size"), "--size: needs a value");
}

static void cli_opt_argv__value_where_there_is_none(void **state)
{
	struct t t;

	(void)state;
	assert_string_equal(bad(&t, "frob --help=me"),
			    "--help: takes no value");
}

static void cli_opt_argv__unknown_option(void **state)
{
	struct t t;

	(void)state;
	assert_string_equal(bad(&t, "frob --wat=3 x"), "--wat: no such option");
	assert_string_equal(bad(&t, "frob -fz x"), "-z: no such option");
	assert_has(bad(&t, "frob --=x"), "no such option");
	assert_has(bad(&t, "frob --=="), "no such option");
	/* positionals and words of the file are no flags */
	assert_has(bad(&t, "frob --pos x"), "no such option");
	assert_has(bad(&t, "frob --title x"), "no such option");
}

static void cli_opt_argv__abbreviation_is_refused(void **state)
{
	struct t t;

	(void)state;
	assert_has(bad(&t, "frob x --siz 4M"), "--siz: no such option");
	assert_has(bad(&t, "frob x --siz=4M"), "--siz: no such option");
	assert_has(bad(&t, "frob x --fl"), "--fl: no such option");
	assert_has(bad(&t, "frob --hel"), "--hel: no such option");
}

static void cli_opt_argv__one_argument_too_many(void **state)
{
	struct t t;

	(void)state;
	assert_string_equal(bad(&t, "frob x y"), "unexpected argument 'y'");
}

static void cli_opt_argv__help(void **state)
{
	struct t t;

	(void)state;
	assert_int_equal(parse(&t, &t_spec, "frob --help"), CLI_OPT_E_HELP);
	assert_int_equal(parse(&t, &t_spec, "frob x -h"), CLI_OPT_E_HELP);
}

static void cli_opt_check__says_where_to_give_it(void **state)
{
	struct t t;

	(void)state;
	good(&t, "frob");
	assert_int_equal(cli_opt_check(&t.cli, &t.cli.err), -EINVAL);
	assert_string_equal(t.cli.err.msg,
			    "POS is missing: give it here or as 'pos =' in "
			    "file");
}

/* -- the commands as users type them ------------------------------------- */

static void cli_send__as_documented(void **state)
{
	struct cli_send_opts *o;
	struct t t;

	(void)state;
	o = &t.o.send;
	assert_int_equal(parse(&t, &cli_send,
			       "send --dev ens1f0 --queues 16 --ram /dev/shm/a "
			       "--block ram1 --json [fd00::1]:7000"),
			 0);
	assert_string_equal(o->x.dev, "ens1f0");
	assert_int_equal(o->queues.n, 16);
	assert_string_equal(o->x.ram, "/dev/shm/a");
	assert_string_equal(o->block, "ram1");
	assert_string_equal(o->peer, "[fd00::1]:7000");
	assert_true(t.cli.std.json);
	assert_int_equal(cli_opt_check(&t.cli, &t.cli.err), 0);
}

static void cli_send__defaults(void **state)
{
	struct t t;

	(void)state;
	assert_int_equal(parse(&t, &cli_send, "send --queues 16"), 0);
	assert_int_equal(t.o.send.in_flight, 10 << 20);
	assert_int_equal(t.o.send.x.rx_memory, 32 << 20);
	assert_int_equal(t.o.send.x.stall_ns, 10000000000ull);
	assert_int_equal(t.o.send.x.port, 61952);
	assert_int_equal(t.o.send.x.lock_budget, 0);
	assert_int_equal(t.o.send.bandwidth, 0);
	assert_int_equal(t.o.send.x.busy_poll_ns, 0);
	assert_string_equal(t.o.send.block, "ram0");
	assert_null(t.o.send.x.dev);
	assert_null(t.o.send.x.ram);
}

static void cli_recv__defaults(void **state)
{
	struct t t;

	(void)state;
	assert_int_equal(parse(&t, &cli_recv, "recv"), 0);
	assert_null(t.o.recv.listen);
	assert_int_equal(t.o.recv.x.rx_memory, 32 << 20);
}

static void cli_send__budget_below_a_packet_is_refused(void **state)
{
	struct t t;

	(void)state;
	assert_int_equal(parse(&t, &cli_send, "send --lock-budget 511K p"),
			 -EINVAL);
	assert_int_equal(parse(&t, &cli_send, "send --lock-budget 512K p"), 0);
	assert_int_equal(parse(&t, &cli_send, "send --in-flight 0 p"), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cli_opt_init__gives_defaults),
		cmocka_unit_test(cli_opt_argv__value_apart_and_attached),
		cmocka_unit_test(cli_opt_argv__flags_after_the_positional),
		cmocka_unit_test(cli_opt_argv__two_dashes_end_the_flags),
		cmocka_unit_test(cli_opt_argv__letters_in_one_word),
		cmocka_unit_test(cli_opt_argv__last_one_wins),
		cmocka_unit_test(cli_opt_argv__option_that_may_stand_alone),
		cmocka_unit_test(cli_opt_argv__bad_value_names_flag_and_value),
		cmocka_unit_test(cli_opt_argv__missing_value),
		cmocka_unit_test(cli_opt_argv__value_where_there_is_none),
		cmocka_unit_test(cli_opt_argv__unknown_option),
		cmocka_unit_test(cli_opt_argv__abbreviation_is_refused),
		cmocka_unit_test(cli_opt_argv__one_argument_too_many),
		cmocka_unit_test(cli_opt_argv__help),
		cmocka_unit_test(cli_opt_check__says_where_to_give_it),
		cmocka_unit_test(cli_send__as_documented),
		cmocka_unit_test(cli_send__defaults),
		cmocka_unit_test(cli_recv__defaults),
		cmocka_unit_test(cli_send__budget_below_a_packet_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
