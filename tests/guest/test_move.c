// SPDX-License-Identifier: GPL-2.0-or-later
/* Whole moves of a real QEMU's guest to another on this machine: it goes on
 * there and rests here, paused guests stay paused, wrong targets are refused
 * before anything happens, and no target runs before it is told to. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "t_move.h"

#define UUID_A "6f4a6d1e-3c56-4b8e-9d2a-0d5b1c7e8f90"
#define UUID_B "6f4a6d1e-3c56-4b8e-9d2a-0d5b1c7e8f91"

static struct t_vm_opts source = { .pace = 100 };
static struct t_vm_opts target = { .pace = 100, .is_target = true };

/* A capability or parameter of QEMU's, as text. */
static void t_setting(struct t_vm *vm, const char *name, char *text, size_t len)
{
	json_t *list = NULL, *params = NULL, *item;
	char *value;
	size_t i;

	*text = 0;
	assert_int_equal(qmp_run(vm->q.qmp, "query-migrate-capabilities", NULL,
				 &list, NULL),
			 0);
	assert_int_equal(qmp_run(vm->q.qmp, "query-migrate-parameters", NULL,
				 &params, NULL),
			 0);
	json_array_foreach(
		list, i,
		item) if (!strcmp(json_string_value(json_object_get(item,
								    "capability")),
				  name))
		snprintf(text, len, "%s",
			 json_is_true(json_object_get(item, "state")) ?
				 "true" :
				 "false");
	item = json_object_get(params, name);
	if (item) {
		value = json_dumps(item, JSON_ENCODE_ANY);
		snprintf(text, len, "%s", value);
		free(value);
	}
	json_decref(list);
	json_decref(params);
	assert_true(*text);
}

static void t_setting_is(struct t_vm *vm, const char *name, const char *want)
{
	char text[64];

	t_setting(vm, name, text, sizeof(text));
	assert_string_equal(text, want);
}

/* -- whole moves -------------------------------------------------------------------- */

static void guest__goes_on_at_the_target_and_rests_at_the_source(void **state)
{
	struct t_move *m = *state;

	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &target);
	t_move_to(m, T_MOVED);
	assert_true(m->harvested > 0);
	assert_true(m->n_device > 1000);
	t_vm_goes_on(&m->b);
	t_vm_rests(&m->a, "postmigrate");
	t_vm_tell(&m->b, "stop");
	t_vm_check(&m->b);
}

static void guest__does_not_run_at_the_target_before_it_is_told(void **state)
{
	struct t_move *m = *state;

	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &target);
	t_move_to(m, T_LOADED);
	t_vm_rests(&m->b, "paused");
	assert_int_equal(t_vm_beats(&m->b), 0);
}

/* Somebody says "cont" when QEMU has all but the last word of the source. */
static void guest__does_not_start_by_itself(void **state)
{
	struct t_move *m = *state;
	unsigned int i;

	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &target);
	t_move_to(m, T_HANDED);
	t_vm_tell(&m->b, "cont");
	for (i = 0; i < 100; i++) /* it is asked when it has worked */
		assert_string_equal(t_vm_state(&m->b), "inmigrate");
	t_move_step(m, T_LOADED);
	t_vm_rests(&m->b, "paused");
	assert_int_equal(t_vm_beats(&m->b), 0);
}

static void guest__paused_stays_paused(void **state)
{
	struct t_move *m = *state;

	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &target);
	t_vm_tell(&m->a, "stop");
	t_move_to(m, T_MOVED);
	assert_false(m->s->was_running);
	t_vm_rests(&m->b, "paused");
	t_vm_rests(&m->a, "postmigrate");
	t_vm_check(&m->b);
	t_vm_tell(&m->b, "cont");
	t_vm_goes_on(&m->b);
}

/* Writes SLP_EN and S3 to the i440FX's PM1a_CNT, and counts at 1000:0 when it
 * is woken: the firmware starts from the boot sector again without that. */
static const char suspends[512] = {
	"\xfa\xba\x04\x06\xb8\x00\x24\xef" /* cli; 0x604 <- 0x2400 */
	"\xeb\xfe"                         /* for ever */
};

static void guest__suspended_is_not_lost(void **state)
{
	struct t_vm_opts a = source;
	struct t_vm_opts b = target;
	struct t_move *m = *state;
	char boot[512];

	memcpy(boot, suspends, sizeof(boot));
	boot[510] = '\x55';
	boot[511] = '\xaa';
	a.boot = b.boot = boot;
	t_vm_start(&m->a, &a);
	T_UNTIL(!strcmp(t_vm_state(&m->a), "suspended"));
	t_vm_start(&m->b, &b);
	t_move_to(m, T_MOVED);
	assert_true(m->s->was_running);
	/* QEMU 7.2 wakes it for the move; it may have gone to sleep again. */
	assert_true(!strcmp(t_vm_state(&m->b), "running") ||
		    !strcmp(t_vm_state(&m->b), "suspended"));
	t_vm_rests(&m->a, "postmigrate");
}

/* Says that it is there by a byte at 0x601, and turns the i440FX off (S5) when
 * 0x5a is at 0x600. */
static const char turns_off[512] = {
	"\xfa\x31\xc0\x8e\xd8"     /* cli; ds <- 0 */
	"\xc6\x06\x01\x06\xa5"     /* 0x601 <- 0xa5 */
	"\x80\x3e\x00\x06\x5a"     /* is 0x5a at 0x600? */
	"\x75\xf9"                 /* ask again */
	"\xba\x04\x06\xb8\x00\x20" /* 0x604 <- 0x2000 */
	"\xef\xeb\xfe"             /* for ever */
};

/* "cont" is not answered in time, done, and the guest stops by itself in a state
 * in which QEMU refuses "cont".  It ran: the source must not have it back. */
static void guest__that_ran_at_the_target_is_not_refused(void **state)
{
	struct t_vm_opts a = source;
	struct t_vm_opts b = target;
	struct t_move *m = *state;
	char boot[512];

	memcpy(boot, turns_off, sizeof(boot));
	boot[510] = '\x55';
	boot[511] = '\xaa';
	a.boot = b.boot = boot;
	t_vm_start(&m->a, &a);
	T_UNTIL(m->a.mem[0x601] == 0xa5);
	t_vm_tell(&m->a, "stop");
	t_vm_start(&m->b, &b);
	json_decref(
		t_qemu_run(&m->b.q, "set-action", "{\"shutdown\": \"pause\"}"));
	t_move_to(m, T_COMMIT);
	m->to.map.block[0].hva[0x600] = 0x5a;
	kill(m->b.q.pid, SIGSTOP);
	T_OK(guest_target_run(m->t, false, &m->e));
	kill(m->b.q.pid, SIGCONT);
	T_UNTIL(!strcmp(t_vm_state(&m->b), "shutdown"));
	t_move_await(m, GUEST_RUNS);
	assert_string_equal(t_vm_state(&m->b), "shutdown");
}

static void guest__settings_are_as_before_at_both_ends(void **state)
{
	struct t_move *m = *state;

	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &target);
	assert_int_equal(qmp_run(m->a.q.qmp, "migrate-set-parameters",
				 json_pack("{s:i, s:i}", "max-bandwidth",
					   1234567, "downtime-limit", 77),
				 NULL, NULL),
			 0);
	assert_int_equal(qmp_run(m->a.q.qmp, "migrate-set-capabilities",
				 json_pack("{s:[{s:s, s:b}]}", "capabilities",
					   "capability", "auto-converge",
					   "state", 1),
				 NULL, NULL),
			 0);
	t_move_to(m, T_COPIED);
	/* Who is killed now leaves nothing behind. */
	t_setting_is(&m->a, "x-ignore-shared", "false");
	t_setting_is(&m->b, "x-ignore-shared", "false");
	t_setting_is(&m->b, "late-block-activate", "false");
	t_move_step(m, T_PAUSED);
	t_setting_is(&m->a, "x-ignore-shared", "true");
	t_setting_is(&m->a, "downtime-limit", "2000000");
	t_move_step(m, T_HANDED);
	t_setting_is(&m->b, "x-ignore-shared", "true");
	t_setting_is(&m->b, "late-block-activate", "true");
	t_move_step(m, T_LOADED);
	/* Nor at the target from here on, where the guest will run. */
	t_setting_is(&m->b, "x-ignore-shared", "false");
	t_setting_is(&m->b, "events", "false");
	t_setting_is(&m->b, "late-block-activate", "false");
	t_move_step(m, T_COMMIT);
	t_move_step(m, T_MOVED);
	t_setting_is(&m->a, "max-bandwidth", "1234567");
	t_setting_is(&m->a, "downtime-limit", "77");
	t_setting_is(&m->a, "auto-converge", "true");
	t_setting_is(&m->a, "x-ignore-shared", "false");
	t_setting_is(&m->a, "pause-before-switchover", "false");
	t_vm_goes_on(&m->b);
}

/* -- wrong targets ------------------------------------------------------------------ */

static void t_refused(struct t_move *m, const char *text)
{
	T_OK(guest_source_qemu(&m->s, m->a.q.socket, &m->e));
	T_OK(guest_target_qemu(&m->t, m->b.q.socket, &m->e));
	assert_int_equal(guest_target_make(m->t, &m->s->id, &m->to, &m->e),
			 -EINVAL);
	assert_int_equal(m->e.reason, XM_REASON_REFUSED);
	if (!strstr(m->e.msg, text))
		fail_msg("'%s' does not say %s", m->e.msg, text);
	assert_int_equal(m->to.map.n_blocks, 0);
	guest_target_abandon(m->t);
	assert_string_equal(t_vm_state(&m->b), "inmigrate");
	t_vm_goes_on(&m->a);
}

static void guest_target_make__refuses_another_uuid(void **state)
{
	struct t_vm_opts a = source, b = target;
	struct t_move *m = *state;

	a.uuid = UUID_A;
	b.uuid = UUID_B;
	t_vm_start(&m->a, &a);
	t_vm_start(&m->b, &b);
	t_refused(m, UUID_A);
}

static void guest_target_make__refuses_no_uuid_for_one(void **state)
{
	struct t_vm_opts a = source;
	struct t_move *m = *state;

	a.uuid = UUID_A;
	t_vm_start(&m->a, &a);
	t_vm_start(&m->b, &target);
	t_refused(m, "UUID");
}

static void guest_target_make__refuses_another_machine(void **state)
{
	struct t_vm_opts b = target;
	struct t_move *m = *state;

	b.machine = "q35";
	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &b);
	t_refused(m, "machine type");
}

static void guest_target_make__refuses_another_size(void **state)
{
	struct t_vm_opts b = target;
	struct t_move *m = *state;

	b.mib = T_VM_MIB * 2;
	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &b);
	t_refused(m, "RAM block");
}

static void guest_target_make__refuses_memory_without_devices(void **state)
{
	struct guest_identity want = { .n_blocks = 1 };
	struct t_move *m = *state;

	t_vm_start(&m->b, &target);
	T_OK(guest_target_qemu(&m->t, m->b.q.socket, &m->e));
	assert_int_equal(guest_target_make(m->t, &want, &m->to, &m->e),
			 -EINVAL);
	assert_non_null(strstr(m->e.msg, "--ram"));
}

/* Whichever order this QEMU has them in, a source may have the other. */
static void guest_target_make__keeps_the_order_of_the_source(void **state)
{
	struct t_move *m = *state;
	struct guest_identity want;

	t_qemu_start(&m->b.q, -1,
		     "-incoming defer -machine pc -m 96 "
		     "-object memory-backend-memfd,id=a,size=32M,share=on "
		     "-object memory-backend-memfd,id=b,size=64M,share=on "
		     "-numa node,memdev=a -numa node,memdev=b");
	T_OK(guest_target_qemu(&m->t, m->b.q.socket, &m->e));
	want = m->t->id;
	assert_int_equal(want.n_blocks, 2);
	want.block[0] = m->t->id.block[1];
	want.block[1] = m->t->id.block[0];
	T_OK(guest_target_make(m->t, &want, &m->to, &m->e));
	assert_string_equal(m->to.map.block[0].name, want.block[0].name);
	assert_string_equal(m->to.map.block[1].name, want.block[1].name);
	assert_true(m->to.map.block[0].len == want.block[0].len);
	assert_true(m->to.map.block[1].len == want.block[1].len);
	assert_true(want.block[0].len != want.block[1].len);
}

/* -- the target's end --------------------------------------------------------------- */

static void
guest_target_abandon__without_device_state_it_can_be_used_again(void **state)
{
	struct t_move *m = *state;

	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &target);
	t_move_to(m, T_COPIED);
	guest_target_abandon(m->t);
	t_setting_is(&m->b, "x-ignore-shared", "false");
	T_OK(guest_source_resume(m->s, &m->e));
	t_move_close(m);
	t_move_to(m, T_MOVED);
	t_vm_goes_on(&m->b);
	t_vm_tell(&m->b, "stop");
	t_vm_check(&m->b);
}

static void guest_target_abandon__loaded_never_runs(void **state)
{
	struct t_move *m = *state;

	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &target);
	t_move_to(m, T_LOADED);
	guest_target_abandon(m->t);
	t_vm_has_quit(&m->b);
	T_OK(guest_source_resume(m->s, &m->e));
	t_vm_goes_on(&m->a);
}

static void guest_target_abandon__with_device_state_it_quits(void **state)
{
	struct t_move *m = *state;

	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &target);
	t_move_to(m, T_PAUSED);
	guest_target_abandon(m->t);
	t_vm_has_quit(&m->b);
}

static void guest_target_turn__says_that_rubbish_did_not_load(void **state)
{
	static const char rubbish[4096] = "no device state at all";
	struct pollfd fds[GUEST_FDS_MAX];
	struct t_move *m = *state;
	unsigned int news;
	int r = 0, left = 200;

	t_vm_start(&m->a, &source);
	t_vm_start(&m->b, &target);
	t_move_open(m);
	T_OK(guest_target_begin(m->t, &m->e));
	assert_true(guest_target_write_device(m->t, rubbish, sizeof(rubbish),
					      &m->e) > 0);
	while (!r && left--) {
		poll(fds, guest_target_fds(m->t, fds), 200);
		r = guest_target_turn(m->t, &news, &m->e);
		assert_false(news & GUEST_LOADED);
	}
	assert_true(r == -EIO || r == -ESRCH);
	assert_non_null(strstr(m->e.msg, "could not load the guest"));
	guest_target_abandon(m->t);
	t_vm_has_quit(&m->b);
}

#define CASE(f) \
	cmocka_unit_test_setup_teardown(f, t_move_setup_none, t_move_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(guest__goes_on_at_the_target_and_rests_at_the_source),
		CASE(guest__does_not_run_at_the_target_before_it_is_told),
		CASE(guest__does_not_start_by_itself),
		CASE(guest__paused_stays_paused),
		CASE(guest__suspended_is_not_lost),
		CASE(guest__that_ran_at_the_target_is_not_refused),
		CASE(guest__settings_are_as_before_at_both_ends),
		CASE(guest_target_make__refuses_another_uuid),
		CASE(guest_target_make__refuses_no_uuid_for_one),
		CASE(guest_target_make__refuses_another_machine),
		CASE(guest_target_make__refuses_another_size),
		CASE(guest_target_make__refuses_memory_without_devices),
		CASE(guest_target_make__keeps_the_order_of_the_source),
		CASE(guest_target_abandon__without_device_state_it_can_be_used_again),
		CASE(guest_target_abandon__loaded_never_runs),
		CASE(guest_target_abandon__with_device_state_it_quits),
		CASE(guest_target_turn__says_that_rubbish_did_not_load),
	};

	if (!t_vm_possible())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
