// SPDX-License-Identifier: GPL-2.0-or-later
/* A QEMU dies in the middle of a move: that is an error, never a hang, and the
 * guest comes back to its source if it is the target's. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "t_move.h"

/* Turn until it is said that the source's QEMU is gone. */
static void t_source_gone(struct t_move *m, enum t_step step)
{
	struct pollfd fds[GUEST_FDS_MAX];
	unsigned int news;
	int r = 0, left = 200;

	t_move_to(m, step);
	t_vm_kill(&m->a);
	while (!r && left--) {
		poll(fds, guest_source_fds(m->s, fds), 100);
		r = guest_source_turn(m->s, &news, &m->e);
	}
	assert_int_equal(r, -ESRCH);
	assert_non_null(strstr(m->e.msg, "the guest's QEMU (process "));
	memset(&m->e, 0, sizeof(m->e));
	assert_int_equal(guest_source_resume(m->s, &m->e), -ESRCH);
}

static void guest_source_turn__says_that_qemu_died_opened(void **state)
{
	t_source_gone(*state, T_OPEN);
}

static void guest_source_turn__says_that_qemu_died_copied(void **state)
{
	t_source_gone(*state, T_COPIED);
}

static void guest_source_turn__says_that_qemu_died_paused(void **state)
{
	t_source_gone(*state, T_PAUSED);
}

static void guest_source_turn__says_that_qemu_died_handed_over(void **state)
{
	t_source_gone(*state, T_HANDED);
}

static void guest_source_harvest__says_that_qemu_died(void **state)
{
	struct t_move *m = *state;
	uint64_t pages;

	t_move_to(m, T_COPIED);
	t_vm_kill(&m->a);
	assert_int_equal(guest_source_harvest(m->s, m->dirty, &pages, &m->e),
			 -ESRCH);
	assert_true(*m->e.msg);
}

static void guest_source_pause__says_that_qemu_died(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_COPIED);
	t_vm_kill(&m->a);
	assert_int_equal(guest_source_pause(m->s, &m->e), -ESRCH);
	assert_non_null(strstr(m->e.msg, "is gone"));
}

static void t_target_gone(struct t_move *m, enum t_step step)
{
	struct pollfd fds[GUEST_FDS_MAX];
	unsigned int news;
	int r = 0, left = 200;

	t_move_to(m, step);
	t_vm_kill(&m->b);
	while (!r && left--) {
		poll(fds, guest_target_fds(m->t, fds), 100);
		r = guest_target_turn(m->t, &news, &m->e);
	}
	assert_int_equal(r, -ESRCH);
	assert_non_null(strstr(m->e.msg, "the target's QEMU (process "));
	guest_target_abandon(m->t);
	memset(&m->e, 0, sizeof(m->e));
	T_OK(guest_source_resume(m->s, &m->e));
	t_vm_is_well(&m->a);
}

static void guest_target_turn__says_that_qemu_died_waiting(void **state)
{
	t_target_gone(*state, T_COPIED);
}

static void guest_target_turn__says_that_qemu_died_loading(void **state)
{
	t_target_gone(*state, T_HANDED);
}

static void guest_target_turn__says_that_qemu_died_loaded(void **state)
{
	t_target_gone(*state, T_COMMIT);
}

static void guest_target_run__of_a_dead_qemu_certainly_fails(void **state)
{
	struct t_move *m = *state;

	t_move_to(m, T_COMMIT);
	t_vm_kill(&m->b);
	assert_int_equal(guest_target_run(m->t, false, &m->e), -ESRCH);
}

#define CASE(f) \
	cmocka_unit_test_setup_teardown(f, t_move_setup, t_move_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(guest_source_turn__says_that_qemu_died_opened),
		CASE(guest_source_turn__says_that_qemu_died_copied),
		CASE(guest_source_turn__says_that_qemu_died_paused),
		CASE(guest_source_turn__says_that_qemu_died_handed_over),
		CASE(guest_source_harvest__says_that_qemu_died),
		CASE(guest_source_pause__says_that_qemu_died),
		CASE(guest_target_turn__says_that_qemu_died_waiting),
		CASE(guest_target_turn__says_that_qemu_died_loading),
		CASE(guest_target_turn__says_that_qemu_died_loaded),
		CASE(guest_target_run__of_a_dead_qemu_certainly_fails),
	};

	if (!t_vm_possible())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
