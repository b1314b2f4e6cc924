// SPDX-License-Identifier: GPL-2.0-or-later
#include "t_cli.h"

#include <sys/stat.h>
#include <unistd.h>

#define S 1000000000ll /* ns */

static const struct cli_progress half = {
	.done = 1ull << 30,
	.total = 2ull << 30,
	.gbit_per_s = 11.25,
	.eta_ms = 763,
	.losses = 3,
	.epoch = 1,
};

static void cli_say__one_line_on_stderr(void **state)
{
	struct t_said *t = *state;

	cli_say(&t->cli, CLI_ERROR, "%s: gone", "eth7");
	cli_warn(&t->cli, "careful");
	assert_string_equal(t_text(&t->err), "xdpmig: eth7: gone\n"
					     "xdpmig: warning: careful\n");
	assert_string_equal(t_text(&t->out), "");
}

static void cli_say__control_characters_are_harmless(void **state)
{
	struct t_said *t = *state;

	cli_info(&t->cli, "%s", "a\nb\033[2J");
	assert_string_equal(t_text(&t->err), "xdpmig: a?b?[2J\n");
}

/* C1 controls, by themselves, as UTF-8, and C0's in longer forms than they have. */
static void cli_say__only_characters_of_utf8(void **state)
{
	struct t_said *t = *state;

	cli_info(&t->cli, "%s",
		 "\x9b"
		 "2J \xc2\x9b"
		 "2J \xc0\x9b \xe0\x80\x9b \xf0\x80\x80\x9b \xc3");
	assert_string_equal(t_text(&t->err),
			    "xdpmig: ?2J ??2J ?? ??? ???? ?\n");
}

static void cli_say__other_alphabets(void **state)
{
	struct t_said *t = *state;

	/* a continuation byte may be that of CSI */
	cli_info(&t->cli, "%s",
		 "\xc3\xa9 \xd0\x9b \xe2\x82\xac \xf0\x9f\x90\xa7");
	assert_string_equal(
		t_text(&t->err),
		"xdpmig: \xc3\xa9 \xd0\x9b \xe2\x82\xac \xf0\x9f\x90\xa7\n");
}

static void cli_say__levels(void **state)
{
	struct t_said *t = *state;

	cli_debug(&t->cli, "debug");
	cli_out_set(&t->cli.out, &(struct cli_std){ .quiet = true });
	cli_info(&t->cli, "info");
	cli_warn(&t->cli, "warn");
	cli_out_set(&t->cli.out, &(struct cli_std){ .verbose = true });
	cli_debug(&t->cli, "more");
	assert_string_equal(t_text(&t->err), "xdpmig: warning: warn\n"
					     "xdpmig: more\n");
}

static void cli_say__journal_gets_the_level(void **state)
{
	struct t_said *t = *state;

	t->cli.out.is_journal = true;
	cli_say(&t->cli, CLI_ERROR, "gone");
	cli_warn(&t->cli, "careful");
	assert_string_equal(t_text(&t->err), "<3>gone\n<4>warning: careful\n");
}

/* JOURNAL_STREAM names the file that stderr was when systemd made it. */
static void cli_out_open__journal_is_recognised(void **state)
{
	char path[] = "/tmp/test_out.XXXXXX", stream[64];
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");
	struct cli_out out;
	struct stat st;

	(void)state;
	assert_non_null(f);
	unlink(path);
	assert_int_equal(fstat(fd, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu",
		 (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	cli_out_open(&out, f, f);
	assert_true(out.is_journal);
	assert_false(out.is_terminal);
	snprintf(stream, sizeof(stream), "%llu:%llu",
		 (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	cli_out_open(&out, f, f);
	assert_false(out.is_journal);
	setenv("JOURNAL_STREAM", "junk", 1);
	cli_out_open(&out, f, f);
	assert_false(out.is_journal);
	unsetenv("JOURNAL_STREAM");
	fclose(f);
}

static void cli_progress_at__line_every_5_seconds(void **state)
{
	struct t_said *t = *state;
	size_t line;

	cli_progress_at(&t->cli, &half, 100 * S);
	assert_string_equal(t_text(&t->err),
			    "xdpmig: epoch 1   50 %  1024.0 MiB left  11.25 "
			    "Gbit/s  ETA 1 s  3 resent\n");
	line = strlen(t_text(&t->err));
	cli_progress_at(&t->cli, &half, 105 * S - 1);
	assert_int_equal(strlen(t_text(&t->err)), line);
	cli_progress_at(&t->cli, &half, 105 * S);
	assert_int_equal(strlen(t_text(&t->err)), 2 * line);
}

static void cli_progress_at__eta_not_known(void **state)
{
	struct cli_progress p = half;
	struct t_said *t = *state;

	p.eta_ms = -1;
	cli_progress_at(&t->cli, &p, S);
	assert_has_not(t_text(&t->err), "ETA");
}

static void cli_progress_at__nothing_to_send_is_all_done(void **state)
{
	const struct cli_progress p = { .epoch = 1 };
	struct t_said *t = *state;

	cli_progress_at(&t->cli, &p, S);
	assert_has(t_text(&t->err), "100 %  0.0 MiB left");
}

static void cli_progress_at__more_done_than_expected(void **state)
{
	const struct cli_progress p = { .done = 2 << 20, .total = 1 << 20 };
	struct t_said *t = *state;

	cli_progress_at(&t->cli, &p, S);
	assert_has(t_text(&t->err), "100 %  0.0 MiB left");
}

static void cli_progress_at__terminal_line_is_rewritten(void **state)
{
	struct t_said *t = *state;

	t->cli.out.is_terminal = true;
	cli_progress_at(&t->cli, &half, S);
	assert_int_equal(strncmp(t_text(&t->err), "\repoch 1   50 %", 15), 0);
	assert_has_not(t_text(&t->err), "\n");
	/* a message takes the line's place */
	cli_warn(&t->cli, "careful");
	assert_has(t_text(&t->err), "\r\033[Kxdpmig: warning: careful\n");
	/* and there is none left to end */
	cli_out_end_line(&t->cli.out);
	assert_has_not(t_text(&t->err), "\n\n");
}

static void cli_progress_at__terminal_line_is_left_at_the_end(void **state)
{
	struct t_said *t = *state;

	t->cli.out.is_terminal = true;
	cli_progress_at(&t->cli, &half, S);
	cli_out_end_line(&t->cli.out);
	assert_has(t_text(&t->err), "resent\033[K\n");
}

static void cli_progress_at__quiet(void **state)
{
	struct t_said *t = *state;

	cli_out_set(&t->cli.out, &(struct cli_std){ .quiet = true });
	cli_progress_at(&t->cli, &half, S);
	assert_string_equal(t_text(&t->err), "");
}

static void cli_progress_at__json_event_every_second(void **state)
{
	struct t_said *t = *state;

	cli_out_set(&t->cli.out, &(struct cli_std){ .json = true });
	cli_progress_at(&t->cli, &half, S);
	cli_progress_at(&t->cli, &half, 2 * S - 1);
	assert_string_equal(t_text(&t->err), "");
	assert_string_equal(t_text(&t->out),
			    "{\"event\":\"progress\",\"schema\":1,\"epoch\":1,"
			    "\"ram_bytes_done\":1073741824,"
			    "\"ram_bytes_total\":2147483648,"
			    "\"gbit_per_s\":11.25,\"eta_ms\":763,"
			    "\"frames_resent\":3}\n");
}

static void cli_progress_at__json_field_stays_when_not_known(void **state)
{
	struct cli_progress p = half;
	struct t_said *t = *state;

	p.eta_ms = -1;
	cli_out_set(&t->cli.out, &(struct cli_std){ .json = true });
	cli_progress_at(&t->cli, &p, S);
	assert_has(t_text(&t->out), "\"eta_ms\":null");
}

static void cli_out_set__pretty_is_json(void **state)
{
	struct t_said *t = *state;

	cli_out_set(&t->cli.out, &(struct cli_std){ .pretty = true });
	assert_true(t->cli.out.json);
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, t_said_setup, t_said_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(cli_say__one_line_on_stderr),
		CASE(cli_say__control_characters_are_harmless),
		CASE(cli_say__only_characters_of_utf8),
		CASE(cli_say__other_alphabets),
		CASE(cli_say__levels),
		CASE(cli_say__journal_gets_the_level),
		CASE(cli_out_open__journal_is_recognised),
		CASE(cli_progress_at__line_every_5_seconds),
		CASE(cli_progress_at__eta_not_known),
		CASE(cli_progress_at__nothing_to_send_is_all_done),
		CASE(cli_progress_at__more_done_than_expected),
		CASE(cli_progress_at__terminal_line_is_rewritten),
		CASE(cli_progress_at__terminal_line_is_left_at_the_end),
		CASE(cli_progress_at__quiet),
		CASE(cli_progress_at__json_event_every_second),
		CASE(cli_progress_at__json_field_stays_when_not_known),
		CASE(cli_out_set__pretty_is_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
