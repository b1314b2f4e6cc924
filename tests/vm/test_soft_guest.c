// SPDX-License-Identifier: GPL-2.0-or-later
/* A real QEMU's guest moves on a kernel that can only log by soft-dirty bits: it
 * is stopped for each harvest, runs on, and not a page is old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../guest/t_move.h"

#include "guest/dirtylog_priv.h"

/* As fast as it can: a timer's interrupts are dear where all is emulated twice. */
static const struct t_vm_opts no_timer = { .pace = 0 };

static void start_both(struct t_move *m)
{
	struct t_vm_opts opts = no_timer;

	t_vm_start(&m->a, &opts);
	opts.is_target = true;
	t_vm_start(&m->b, &opts);
}

static void guest__moves(void **state)
{
	struct t_move *m = *state;

	start_both(m);
	t_move_to(m, T_MOVED);
	assert_true(m->s->has_drain);
	t_vm_goes_on(&m->b);
	t_vm_rests(&m->a, "postmigrate");
	t_vm_tell(&m->b, "stop");
	t_vm_check(&m->b);
}

/* Stopped for each harvest, it writes on in between; when it is paused, both
 * memories are the same. */
static void guest__writes_between_harvests(void **state)
{
	struct t_move *m = *state;
	unsigned int i;

	start_both(m);
	t_move_to(m, T_COPIED);
	assert_int_equal(t_vm_stops(&m->a), 1);
	assert_true(m->harvested >= m->a.pages);
	for (i = 0; i < 3; i++) {
		t_vm_goes_on(&m->a);
		t_move_epoch(m);
	}
	assert_int_equal(t_vm_stops(&m->a), 4);
	assert_true(m->harvested >= 4 * m->a.pages);
	T_OK(guest_source_pause(m->s, &m->e));
	t_move_await(m, GUEST_PAUSED);
	t_move_epoch(m);
	for (i = 0; i < m->from.map.n_blocks; i++)
		assert_memory_equal(m->from.map.block[i].hva,
				    m->to.map.block[i].hva,
				    m->from.map.block[i].len);
	T_OK(guest_source_resume(m->s, &m->e));
	t_vm_goes_on(&m->a);
}

static void guest__comes_back(void **state)
{
	struct t_move *m = *state;

	t_vm_start(&m->a, &no_timer);
	t_move_to(m, T_PAUSED);
	T_OK(guest_source_resume(m->s, &m->e));
	t_vm_goes_on(&m->a);
	t_vm_tell(&m->a, "stop");
	t_vm_check(&m->a);
}

#define CASE(f) \
	cmocka_unit_test_setup_teardown(f, t_move_setup_none, t_move_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(guest__moves),
		CASE(guest__writes_between_harvests),
		CASE(guest__comes_back),
	};

	if (!t_vm_possible())
		return 0;
	if (dirtylog_uffd.is_known() || !dirtylog_soft.is_known()) {
		puts("1..0 # SKIP needs a kernel with soft-dirty and without PAGEMAP_SCAN");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
