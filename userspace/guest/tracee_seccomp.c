// SPDX-License-Identifier: GPL-2.0-or-later
/* tracee_seccomp.c - the kernel's answer, foretold
 *
 * Filters are classic BPF over struct seccomp_data: no loops, no packet, 16
 * words of scratch memory; the kernel has verified them when they were loaded,
 * so that what is left is arithmetic (kernel/seccomp.c names the instructions
 * it takes).  Of several filters all must allow.
 */
#include "tracee_seccomp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

struct machine {
	uint32_t a, x, mem[BPF_MEMWORDS];
	const struct seccomp_data *d;
};

static uint32_t alu(uint16_t op, uint32_t a, uint32_t v)
{
	switch (op) {
	case BPF_ADD:
		return a + v;
	case BPF_SUB:
		return a - v;
	case BPF_MUL:
		return a * v;
	case BPF_DIV:
		return v ? a / v : 0;
	case BPF_MOD:
		return v ? a % v : 0;
	case BPF_AND:
		return a & v;
	case BPF_OR:
		return a | v;
	case BPF_XOR:
		return a ^ v;
	case BPF_LSH:
		return v < 32 ? a << v : 0;
	case BPF_RSH:
		return v < 32 ? a >> v : 0;
	default: /* BPF_NEG */
		return -a;
	}
}

static bool jump_is_taken(uint16_t op, uint32_t a, uint32_t v)
{
	switch (op) {
	case BPF_JEQ:
		return a == v;
	case BPF_JGT:
		return a > v;
	case BPF_JGE:
		return a >= v;
	default: /* BPF_JSET */
		return a & v;
	}
}

/* BPF_LD and BPF_LDX: what is loaded. */
static bool load(const struct machine *m, const struct sock_filter *f,
		 uint32_t *ret_v)
{
	switch (BPF_MODE(f->code)) {
	case BPF_IMM:
		*ret_v = f->k;
		return true;
	case BPF_LEN:
		*ret_v = sizeof(*m->d);
		return true;
	case BPF_MEM:
		if (f->k >= BPF_MEMWORDS)
			return false;
		*ret_v = m->mem[f->k];
		return true;
	case BPF_ABS:
		if (f->k > sizeof(*m->d) - 4)
			return false;
		memcpy(ret_v, (const char *)m->d + f->k, 4);
		return true;
	default:
		return false;
	}
}

/* All but jumps and returns. */
static bool compute(struct machine *m, const struct sock_filter *f)
{
	switch (BPF_CLASS(f->code)) {
	case BPF_LD:
		return load(m, f, &m->a);
	case BPF_LDX:
		return load(m, f, &m->x);
	case BPF_ST:
	case BPF_STX:
		if (f->k >= BPF_MEMWORDS)
			return false;
		m->mem[f->k] = BPF_CLASS(f->code) == BPF_ST ? m->a : m->x;
		return true;
	case BPF_ALU:
		m->a = alu(BPF_OP(f->code), m->a,
			   BPF_SRC(f->code) == BPF_X ? m->x : f->k);
		return true;
	default: /* BPF_MISC */
		if (BPF_MISCOP(f->code) == BPF_TAX)
			m->x = m->a;
		else
			m->a = m->x;
		return true;
	}
}

uint32_t tracee_seccomp_run(const struct sock_filter *prog, unsigned int len,
			    const struct seccomp_data *d)
{
	struct machine m = { .d = d };
	const struct sock_filter *f;
	unsigned int pc;
	uint32_t v;

	for (pc = 0; pc < len; pc++) {
		f = &prog[pc];
		v = BPF_SRC(f->code) == BPF_X ? m.x : f->k;
		if (BPF_CLASS(f->code) == BPF_RET)
			return BPF_RVAL(f->code) == BPF_A ? m.a : f->k;
		if (BPF_CLASS(f->code) == BPF_JMP) {
			if (BPF_OP(f->code) == BPF_JA)
				pc += f->k;
			else
				pc += jump_is_taken(BPF_OP(f->code), m.a, v) ?
					      f->jt :
					      f->jf;
		} else if (!compute(&m, f)) {
			break;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

int tracee_seccomp_allows(pid_t tid, const struct seccomp_data *d)
{
	struct sock_filter *prog;
	unsigned long i;
	uint32_t action;
	long n;

	for (i = 0;; i++) {
		n = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, NULL);
		if (n < 0)
			return errno == ENOENT && i ? 1 : -errno;
		prog = calloc((size_t)n + 1, sizeof(*prog));
		if (!prog)
			return -ENOMEM;
		n = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, prog);
		action = n < 0 ? SECCOMP_RET_KILL_PROCESS :
				 tracee_seccomp_run(prog, (unsigned int)n, d) &
					 SECCOMP_RET_ACTION_FULL;
		free(prog);
		if (action != SECCOMP_RET_ALLOW && action != SECCOMP_RET_LOG)
			return 0;
	}
}
