// SPDX-License-Identifier: GPL-2.0-or-later
/* test_child.c - what a command in a process of its own comes to */
#include "cli/child.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Memory is not empty when it is new: it may hold what another child said. */
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_realloc(void *p, size_t size)
{
	static const char line[] = "{\"event\":\"result\",\"total_ms\":1}";
	char *grown = __real_realloc(p, size);

	if (grown && !p && size > sizeof(line))
		memcpy(grown, line, sizeof(line));
	return grown;
}

/* What the child does, but for its last one. */
struct does {
	bool tells, dies, fails;
};

static int cmd_frob(struct cli_ctx *cli, const void *opts)
{
	const struct does *does = opts;
	json_t *o;

	if (does->tells) {
		o = cli_event_new("progress");
		cli_put_real(o, "gbit_per_s", 7);
		cli_event_emit(cli, o);
		fflush(cli->out.out);
	}
	if (does->dies)
		(void)raise(SIGKILL);
	cli_put_u64(cli_result(cli), "total_ms", 812);
	return does->fails ?
		       xm_fail(&cli->err, -EIO, XM_REASON_DEVICE, "it broke") :
		       0;
}

static int t_run(struct does does, json_t **ret_result, struct xm_error *e)
{
	static const struct cli_spec spec = { .name = "frob" };
	const struct child_job job = { .spec = &spec,
				       .run = cmd_frob,
				       .opts = &does };
	static struct cli_ctx cli = { .signal_fd = -1 };

	*e = (struct xm_error){ 0 };
	return child_run(&cli, &job, ret_result, e);
}

static void child_run__has_the_result(void **state)
{
	struct xm_error e;
	json_t *result;

	(void)state;
	assert_int_equal(t_run((struct does){ .tells = true }, &result, &e), 0);
	assert_int_equal(child_failure(result, &e), 0);
	assert_true(child_number(result, "total_ms") == 812);
	json_decref(result);
}

static void child_run__has_the_result_of_a_failure(void **state)
{
	struct xm_error e;
	json_t *result;

	(void)state;
	assert_int_equal(t_run((struct does){ .fails = true }, &result, &e), 0);
	assert_int_equal(child_failure(result, &e), -EPROTO);
	assert_int_equal(e.reason, XM_REASON_DEVICE);
	assert_string_equal(e.msg, "it broke");
	json_decref(result);
}

static void t_died(struct does does)
{
	struct xm_error e;
	json_t *result;

	assert_int_equal(t_run(does, &result, &e), -EIO);
	assert_int_equal(e.reason, XM_REASON_INTERNAL);
	assert_non_null(strstr(e.msg, "'frob' was killed (signal 9)"));
}

static void child_run__one_that_said_nothing(void **state)
{
	(void)state;
	t_died((struct does){ .dies = true });
}

/* The last line is an event, and no figures of a result. */
static void child_run__one_that_died_half_way(void **state)
{
	(void)state;
	t_died((struct does){ .tells = true, .dies = true });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(child_run__has_the_result),
		cmocka_unit_test(child_run__has_the_result_of_a_failure),
		cmocka_unit_test(child_run__one_that_said_nothing),
		cmocka_unit_test(child_run__one_that_died_half_way),
	};

	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
