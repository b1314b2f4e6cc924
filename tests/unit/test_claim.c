// SPDX-License-Identifier: GPL-2.0-or-later
/* test_claim.c - a device's queues are one migration's at a time */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/claim.h"

static void claim_queues__second_comer(void **state)
{
	struct claim first = { 0 }, second = { 0 };
	struct xm_error e = { 0 };

	(void)state;
	assert_int_equal(claim_queues(&first, "lo", 2, 2, &e), 0);
	assert_int_equal(claim_queues(&second, "lo", 0, 4, &e), -EBUSY);
	assert_int_equal(e.reason, XM_REASON_DEVICE);
	assert_non_null(strstr(e.msg, "lo"));
	assert_non_null(strstr(e.msg, "queue 2"));
	assert_int_equal(second.n, 0);
	/* what it had got for a moment is free again, and others always were */
	assert_int_equal(claim_queues(&second, "lo", 0, 2, &e), 0);
	claim_drop(&second);
	assert_int_equal(claim_queues(&second, "lo", 4, 60, &e), 0);
	claim_drop(&second);
	claim_drop(&first);
	assert_int_equal(claim_queues(&second, "lo", 0, 4, &e), 0);
	claim_drop(&second);
}

static void claim_queues__of_a_killed_process(void **state)
{
	struct claim mine = { 0 };
	struct xm_error e = { 0 };
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(claim_queues(&mine, "lo", 0, 4, NULL) ? 1 : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(claim_queues(&mine, "lo", 0, 4, &e), 0);
	claim_drop(&mine);
	claim_drop(&mine); /* nothing left */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(claim_queues__second_comer),
		cmocka_unit_test(claim_queues__of_a_killed_process),
	};

	return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}
