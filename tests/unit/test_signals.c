// SPDX-License-Identifier: GPL-2.0-or-later
#include "t_cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

struct t {
	struct cli_ctx cli;
	struct t_text out, err;
	struct xm_error e;
};

static int setup(void **state)
{
	static struct t t;

	memset(&t, 0, sizeof(t));
	t.cli.signal_fd = -1;
	cli_out_open(&t.cli.out, t_text_open(&t.out), t_text_open(&t.err));
	*state = &t;
	return cli_signals_open(&t.cli, &t.e);
}

static int teardown(void **state)
{
	struct t *t = *state;

	close(t->cli.signal_fd);
	t_text_close(&t->out);
	t_text_close(&t->err);
	return 0;
}

/* Blocked and sent to this thread: there at once. */
static void hit(struct t *t, int sig)
{
	struct pollfd p = { .fd = t->cli.signal_fd, .events = POLLIN };

	assert_int_equal(raise(sig), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
}

static void cli_signals_cancel__first_one_cancels(void **state)
{
	struct t *t = *state;

	hit(t, SIGINT);
	assert_true(cli_signals_cancel(&t->cli, false, &t->e));
	assert_int_equal(t->e.reason, XM_REASON_CANCELLED);
	assert_int_equal(t->e.err, -ECANCELED);
	assert_string_equal(t->e.msg, "cancelled by SIGINT");
	assert_true(t->cli.cancelled);
	assert_int_equal(cli_exit_status(t->e.reason), CLI_EXIT_NOT_DONE);
}

static void cli_signals_cancel__terminate_and_hangup_too(void **state)
{
	struct t *t = *state;

	hit(t, SIGHUP);
	assert_true(cli_signals_cancel(&t->cli, false, &t->e));
	assert_string_equal(t->e.msg, "cancelled by SIGHUP");
	t->cli.cancelled = false;
	t->e = (struct xm_error){ 0 };
	hit(t, SIGTERM);
	assert_true(cli_signals_cancel(&t->cli, false, &t->e));
	assert_string_equal(t->e.msg, "cancelled by SIGTERM");
}

static void cli_signals_cancel__second_one_adds_nothing(void **state)
{
	struct t *t = *state;

	hit(t, SIGINT);
	assert_true(cli_signals_cancel(&t->cli, false, &t->e));
	hit(t, SIGINT);
	assert_false(cli_signals_cancel(&t->cli, false, &t->e));
	assert_string_equal(t_text(&t->err), "xdpmig: already cancelling\n");
}

static void cli_signals_cancel__not_after_commit(void **state)
{
	struct t *t = *state;

	hit(t, SIGINT);
	assert_false(cli_signals_cancel(&t->cli, true, &t->e));
	assert_int_equal(t->e.err, 0);
	assert_false(t->cli.cancelled);
	assert_has(t_text(&t->err), "cannot be cancelled any more");
}

static void cli_signals_cancel__nothing_there(void **state)
{
	struct t *t = *state;

	assert_false(cli_signals_cancel(&t->cli, false, &t->e));
	assert_int_equal(t->e.err, 0);
	assert_string_equal(t_text(&t->err), "");
}

static void ctrl_z_does_not_stop_a_migration(void **state)
{
	struct sigaction stop;

	(void)state;
	assert_int_equal(raise(SIGTSTP), 0); /* and we are still here */
	assert_int_equal(sigaction(SIGTSTP, NULL, &stop), 0);
	assert_ptr_equal(stop.sa_handler, SIG_IGN);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(cli_signals_cancel__first_one_cancels),
		CASE(cli_signals_cancel__terminate_and_hangup_too),
		CASE(cli_signals_cancel__second_one_adds_nothing),
		CASE(cli_signals_cancel__not_after_commit),
		CASE(cli_signals_cancel__nothing_there),
		CASE(ctrl_z_does_not_stop_a_migration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
