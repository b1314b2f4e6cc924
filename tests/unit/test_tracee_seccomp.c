// SPDX-License-Identifier: GPL-2.0-or-later
/* What a seccomp filter answers, and what we say it would. */
#include "guest/tracee_seccomp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static uint32_t run_nr(const struct sock_filter *f, unsigned int n, int nr)
{
	struct seccomp_data d = { .nr = nr,
				  .arch = 0xc000003e,
				  .instruction_pointer = 0x123456789abcULL,
				  .args = { 0x100000002ULL, 7 } };

	return tracee_seccomp_run(f, n, &d);
}

static void tracee_seccomp_run__jumps(void **state)
{
	const struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 3, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 400, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x40, 2, 0),
		BPF_STMT(BPF_JMP | BPF_JA, 2),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	(void)state;
	assert_int_equal(run_nr(f, N(f), 3), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run_nr(f, N(f), 401), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run_nr(f, N(f), 0x41), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run_nr(f, N(f), 4), SECCOMP_RET_ALLOW);
	assert_int_equal(run_nr(f, N(f), 400), SECCOMP_RET_ALLOW);
}

static void tracee_seccomp_run__computes(void **state)
{
	const struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[0]) + 4), /* 1 */
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 9),               /* 10 */
		BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LDX | BPF_W | BPF_MEM, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[1])), /* 7 */
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0),           /* 70 */
		BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 1),           /* 140 */
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf0),        /* 128 */
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),  /* 64 */
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0), /* -64 */
		BPF_STMT(BPF_ALU | BPF_NEG, 0),         /* 64 */
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 3), /* 21 */
		BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 1), /* 20 */
		BPF_STMT(BPF_ALU | BPF_OR | BPF_X, 0),  /* 148 */
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 2), /* 37 */
		BPF_STMT(BPF_RET | BPF_A, 0),
	};

	(void)state;
	assert_int_equal(run_nr(f, N(f), 1), 37);
}

/* What no kernel accepts is never taken for leave to go on. */
static void tracee_seccomp_run__nonsense_kills(void **state)
{
	const struct sock_filter past[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, sizeof(struct seccomp_data)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_filter mem[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_MEM, BPF_MEMWORDS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	(void)state;
	assert_int_equal(run_nr(past, 2, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run_nr(mem, 2, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run_nr(past, 0, 0), SECCOMP_RET_KILL_PROCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tracee_seccomp_run__jumps),
		cmocka_unit_test(tracee_seccomp_run__computes),
		cmocka_unit_test(tracee_seccomp_run__nonsense_kills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
