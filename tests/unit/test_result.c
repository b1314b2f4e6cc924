// SPDX-License-Identifier: GPL-2.0-or-later
#include "t_cli.h"

#include "util/reason.h"

#include <errno.h>
#include <math.h>

static struct t_said *with_json(void **state)
{
	struct t_said *t = *state;

	t->cli.out.json = true;
	return t;
}

static void cli_event_emit__is_one_line_event_first(void **state)
{
	struct t_said *t = with_json(state);
	json_t *o = cli_event_new("start");

	cli_put_str(o, "command", "send");
	cli_put_u64(o, "channels", 16);
	cli_event_emit(&t->cli, o);
	assert_string_equal(t_text(&t->out),
			    "{\"event\":\"start\",\"schema\":1,"
			    "\"command\":\"send\",\"channels\":16}\n");
}

static void cli_event_emit__is_silent_without_json(void **state)
{
	struct t_said *t = *state;

	cli_event_emit(&t->cli, cli_event_new("start"));
	assert_string_equal(t_text(&t->out), "");
}

static void cli_put__types(void **state)
{
	struct t_said *t = with_json(state);
	json_t *o = cli_event_new("x");

	cli_put_int(o, "int", -5);
	cli_put_real(o, "real", 11.2346);
	cli_put_bool(o, "yes", true);
	cli_put_str(o, "none", NULL);
	cli_put_str(o, "quote", "a\"b\n");
	cli_put_u64(o, "huge", UINT64_MAX);
	cli_event_emit(&t->cli, o);
	assert_string_equal(t_text(&t->out),
			    "{\"event\":\"x\",\"schema\":1,\"int\":-5,"
			    "\"real\":11.235,\"yes\":true,\"none\":null,"
			    "\"quote\":\"a\\\"b\\n\","
			    "\"huge\":9223372036854775807}\n");
}

static void cli_put_str__not_utf8(void **state)
{
	struct t_said *t = with_json(state);
	json_t *o = cli_event_new("x");

	cli_put_str(o, "file",
		    "/a\xff\xfe"
		    "b");
	cli_event_emit(&t->cli, o);
	assert_has(t_text(&t->out), "\"file\":\"/a\?\?b\"");
}

static void cli_put_real__not_a_number_is_left_out(void **state)
{
	struct t_said *t = with_json(state);
	json_t *o = cli_event_new("x");

	cli_put_real(o, "nan", (double)NAN);
	cli_put_real(o, "inf", (double)INFINITY);
	cli_event_emit(&t->cli, o);
	assert_string_equal(t_text(&t->out),
			    "{\"event\":\"x\",\"schema\":1}\n");
}

static void cli_put_ms__only_between_two_times(void **state)
{
	struct t_said *t = with_json(state);
	struct xm_time from = { 5 * XM_MS }, to = { 7 * XM_MS + 250 * XM_US };
	struct xm_time never = { 0 };
	json_t *o = cli_event_new("x");

	cli_put_ms(o, "both", from, to);
	cli_put_ms(o, "not_begun", never, to);
	cli_put_ms(o, "not_ended", from, never);
	cli_event_emit(&t->cli, o);
	assert_string_equal(t_text(&t->out),
			    "{\"event\":\"x\",\"schema\":1,\"both\":2.25}\n");
}

static void cli_put__nothing_into_nothing(void **state)
{
	(void)state;
	cli_put_u64(NULL, "a", 1);
	cli_put_str(NULL, "a", "b");
	assert_null(cli_put_object(NULL, "a"));
	assert_null(cli_put_array(NULL, "a"));
	assert_null(cli_add_object(NULL));
}

static void cli_result_emit__success(void **state)
{
	struct t_said *t = with_json(state);
	json_t *channels;
	int i;

	cli_put_u64(cli_result(&t->cli), "total_ms", 812);
	channels = cli_put_array(cli_result(&t->cli), "channels");
	for (i = 0; i < 2; i++)
		cli_put_int(cli_add_object(channels), "queue", i);
	cli_result_emit(&t->cli, CLI_EXIT_DONE);
	assert_string_equal(t_text(&t->out),
			    "{\"event\":\"result\",\"schema\":1,"
			    "\"status\":\"completed\",\"exit_status\":0,"
			    "\"total_ms\":812,\"channels\":[{\"queue\":0},"
			    "{\"queue\":1}]}\n");
}

static void cli_result_emit__success_by_another_word(void **state)
{
	struct t_said *t = with_json(state);

	cli_put_str(cli_result(&t->cli), "status", "planned");
	cli_result_emit(&t->cli, CLI_EXIT_DONE);
	assert_string_equal(t_text(&t->out),
			    "{\"event\":\"result\",\"schema\":1,"
			    "\"status\":\"planned\",\"exit_status\":0}\n");
}

static void emit_failure(struct t_said *t, enum xm_reason reason)
{
	xm_fail(&t->cli.err, -EIO, reason, "it broke");
	cli_result_emit(&t->cli, cli_exit_status(reason));
}

static void cli_result_emit__failure(void **state)
{
	struct t_said *t = with_json(state);

	cli_put_str(cli_result(&t->cli), "status", "planned");
	cli_put_u64(cli_result(&t->cli), "frames_sent", 7);
	emit_failure(t, XM_REASON_REFUSED);
	assert_string_equal(t_text(&t->out),
			    "{\"event\":\"result\",\"schema\":1,"
			    "\"status\":\"failed\",\"exit_status\":3,"
			    "\"reason\":\"refused\",\"message\":\"it broke\","
			    "\"frames_sent\":7}\n");
}

static void cli_result_emit__cancelled(void **state)
{
	struct t_said *t = with_json(state);

	emit_failure(t, XM_REASON_CANCELLED);
	assert_has(t_text(&t->out), "\"status\":\"cancelled\"");
	assert_has(t_text(&t->out), "\"exit_status\":4");
}

static void cli_result_emit__outcome_unknown(void **state)
{
	struct t_said *t = with_json(state);

	emit_failure(t, XM_REASON_UNKNOWN_OUTCOME);
	assert_has(t_text(&t->out), "\"status\":\"unknown\"");
	assert_has(t_text(&t->out), "\"exit_status\":6");
}

static void cli_result_emit__pretty_is_the_same_object(void **state)
{
	struct t_said *t = with_json(state);
	json_t *o;

	t->cli.out.pretty = true;
	cli_put_u64(cli_result(&t->cli), "total_ms", 812);
	cli_result_emit(&t->cli, CLI_EXIT_DONE);
	assert_has(t_text(&t->out), "\n  \"event\": \"result\"");
	o = json_loads(t_text(&t->out), 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(o, "total_ms")),
			 812);
	json_decref(o);
}

static void cli_result_emit__nothing_to_say_is_no_text(void **state)
{
	struct t_said *t = *state;

	cli_result_emit(&t->cli, CLI_EXIT_DONE);
	assert_string_equal(t_text(&t->out), "");
}

static void cli_result_emit__failure_as_text_has_no_message(void **state)
{
	struct t_said *t = *state;

	cli_put_u64(cli_result(&t->cli), "frames_sent", 7);
	emit_failure(t, XM_REASON_STALLED);
	assert_string_equal(t_text(&t->out), "status               failed\n"
					     "reason               stalled\n"
					     "frames sent          7\n");
}

static void cli_result_text__units_from_names(void **state)
{
	struct t_said *t = *state;
	json_t *o = cli_result(&t->cli);

	cli_put_u64(o, "total_ms", 812);
	cli_put_u64(o, "setup_ms", 12345);
	cli_put_real(o, "downtime_ms", 49.8449);
	cli_put_u64(o, "ram_bytes_sent", 5ull << 30);
	cli_put_u64(o, "bytes_copied", 0);
	cli_put_u64(o, "locked_bytes", 512 << 10);
	cli_put_u64(o, "mtu_bytes", 65535);
	cli_put_real(o, "gbit_per_s", 11.2345);
	cli_put_u64(o, "zero_pages", 3);
	cli_put_bool(o, "native", false);
	cli_put_str(o, "engine", "copy-sg");
	cli_put_str(o, "trace", NULL);
	cli_result_emit(&t->cli, CLI_EXIT_DONE);
	assert_string_equal(t_text(&t->out),
			    "total                812 ms\n"
			    "setup                12.3 s\n"
			    "downtime             49.84 ms\n"
			    "ram sent             5.00 GiB\n"
			    "copied               0 B\n"
			    "locked               512.00 KiB\n"
			    "mtu                  65535 B\n"
			    "rate                 11.23 Gbit/s\n"
			    "zero pages           3\n"
			    "native               no\n"
			    "engine               copy-sg\n"
			    "trace                -\n");
}

static void cli_result_text__counters_without_zeros(void **state)
{
	struct t_said *t = *state;
	json_t *drops = cli_put_object(cli_result(&t->cli), "drops");
	json_t *none = cli_put_object(cli_result(&t->cli), "losses");

	cli_put_u64(drops, "bad_magic", 0);
	cli_put_u64(drops, "runt", 3);
	cli_put_u64(none, "late", 0);
	cli_result_emit(&t->cli, CLI_EXIT_DONE);
	assert_string_equal(t_text(&t->out), "drops:\n"
					     "  runt               3\n"
					     "losses:\n"
					     "  none\n");
}

static void cli_result_text__flat_objects_are_a_table(void **state)
{
	struct t_said *t = *state;
	json_t *a = cli_put_array(cli_result(&t->cli), "channels");
	json_t *o = cli_add_object(a);

	cli_put_u64(o, "queue", 0);
	cli_put_u64(o, "ram_bytes_sent", 10 << 20);
	cli_put_str(o, "engine", "copy-sg");
	o = cli_add_object(a);
	cli_put_u64(o, "queue", 11);
	cli_put_str(o, "engine", "x");
	cli_result_emit(&t->cli, CLI_EXIT_DONE);
	assert_string_equal(t_text(&t->out), "channels:\n"
					     "  queue   ram sent  engine\n"
					     "      0  10.00 MiB  copy-sg\n"
					     "     11          -  x\n");
}

/* Nothing is left out because another row is the first. */
static void cli_result_text__rows_of_two_kinds_are_no_table(void **state)
{
	struct t_said *t = *state;
	json_t *a = cli_put_array(cli_result(&t->cli), "channels");
	json_t *o = cli_add_object(a);

	cli_put_str(o, "name", "a");
	o = cli_add_object(a);
	cli_put_str(o, "name", "b");
	cli_put_str(o, "engine", "x");
	cli_result_emit(&t->cli, CLI_EXIT_DONE);
	assert_string_equal(t_text(&t->out), "channels:\n"
					     "  name               a\n\n"
					     "  name               b\n"
					     "  engine             x\n");
}

static void put_details(struct t_said *t)
{
	json_t *a = cli_put_array(cli_result(&t->cli), "per_channel");

	cli_put_u64(cli_add_object(a), "queue", 7);
	cli_put_u64(cli_result(&t->cli), "pages", 1);
	cli_result_emit(&t->cli, CLI_EXIT_DONE);
}

static void cli_result_emit__text_is_without_details(void **state)
{
	struct t_said *t = *state;

	put_details(t);
	assert_string_equal(t_text(&t->out), "pages                1\n");
}

static void cli_result_emit__verbose_text_has_details(void **state)
{
	struct t_said *t = *state;

	t->cli.out.level = CLI_DEBUG;
	put_details(t);
	assert_string_equal(t_text(&t->out), "per channel:\n"
					     "  queue\n"
					     "      7\n"
					     "pages                1\n");
}

static void cli_result_emit__json_has_details(void **state)
{
	struct t_said *t = with_json(state);

	put_details(t);
	assert_has(t_text(&t->out), "\"per_channel\":[{\"queue\":7}]");
}

static void cli_result_text__deep_objects_are_blocks(void **state)
{
	struct t_said *t = *state;
	json_t *a = cli_put_array(cli_result(&t->cli), "devices");
	int i;

	for (i = 0; i < 2; i++) {
		json_t *o = cli_add_object(a);

		cli_put_str(o, "device", i ? "b" : "a");
		cli_put_u64(o, "first_queue", 0);
		cli_put_u64(cli_put_object(o, "verdicts"), "redirect", 1);
	}
	(void)cli_put_array(cli_result(&t->cli), "empty");
	cli_result_emit(&t->cli, CLI_EXIT_DONE);
	assert_string_equal(t_text(&t->out), "devices:\n"
					     "  device             a\n"
					     "  first queue        0\n"
					     "  verdicts:\n"
					     "    redirect         1\n"
					     "\n"
					     "  device             b\n"
					     "  first queue        0\n"
					     "  verdicts:\n"
					     "    redirect         1\n"
					     "empty:\n"
					     "  none\n");
}

static void cli_result_text__control_characters_are_harmless(void **state)
{
	struct t_said *t = *state;

	cli_put_str(cli_result(&t->cli), "trace", "a\033[2Jb");
	cli_result_emit(&t->cli, CLI_EXIT_DONE);
	assert_string_equal(t_text(&t->out), "trace                a?[2Jb\n");
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, t_said_setup, t_said_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(cli_event_emit__is_one_line_event_first),
		CASE(cli_event_emit__is_silent_without_json),
		CASE(cli_put__types),
		CASE(cli_put_str__not_utf8),
		CASE(cli_put_real__not_a_number_is_left_out),
		CASE(cli_put_ms__only_between_two_times),
		CASE(cli_put__nothing_into_nothing),
		CASE(cli_result_emit__success),
		CASE(cli_result_emit__success_by_another_word),
		CASE(cli_result_emit__failure),
		CASE(cli_result_emit__cancelled),
		CASE(cli_result_emit__outcome_unknown),
		CASE(cli_result_emit__pretty_is_the_same_object),
		CASE(cli_result_emit__nothing_to_say_is_no_text),
		CASE(cli_result_emit__failure_as_text_has_no_message),
		CASE(cli_result_text__units_from_names),
		CASE(cli_result_text__counters_without_zeros),
		CASE(cli_result_text__flat_objects_are_a_table),
		CASE(cli_result_text__rows_of_two_kinds_are_no_table),
		CASE(cli_result_emit__text_is_without_details),
		CASE(cli_result_emit__verbose_text_has_details),
		CASE(cli_result_emit__json_has_details),
		CASE(cli_result_text__deep_objects_are_blocks),
		CASE(cli_result_text__control_characters_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
