// SPDX-License-Identifier: GPL-2.0-or-later
/* tracee_frame.c - a signal frame that no signal made
 *
 * What rt_sigreturn(2) restores is what the kernel saves when it delivers a
 * signal; the layout is ABI (arch/x86/include/uapi/asm/sigcontext.h and
 * ucontext.h).  Ascending addresses:
 *
 *   frame->restorer   where "syscall; ret" returns to: the C library's own
 *                     __restore_rt, which does rt_sigreturn
 *   frame             the ucontext.  The siginfo that would follow is for
 *                     handlers only; rt_sigreturn does not read it
 *   (to 64 bytes)
 *   xstate            as the XSAVE instruction writes it, not compacted
 *   128 bytes         the red zone, which belongs to the interrupted code
 *   the thread's stack pointer
 *
 * The signal stack (sigaltstack) cannot be read from outside.  rt_sigreturn
 * sets it from the frame, but ignores one that is not valid: ours is not.
 *
 * xstate: the frame says which features it holds, and all others are set to
 * their initial state.  NT_X86_XSTATE gives every feature the machine has; a
 * thread that never asked for AMX may not restore its tile data, and the whole
 * state would be refused.  So: all features of the machine without the tile
 * data, unless the thread has some.
 */
#include "tracee_frame.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#define RED_ZONE   128
#define XSTATE_MIN 576 /* legacy area and header */
#define XFP_SSE    3ULL
#define XTILE_DATA (1ULL << 18)

#define UC_FLAGS 7 /* FP_XSTATE | SIGCONTEXT_SS | STRICT_RESTORE_SS */
/* No mode of a signal stack: EINVAL, and so no change. */
#define NO_STACK 0x5555

struct frame {
	uint64_t restorer;
	/* struct ucontext of the kernel; the C library's is longer */
	uint64_t flags;
	uint64_t link;
	stack_t stack;
	struct sigcontext mc;
	uint64_t mask;
};
_Static_assert(sizeof(struct sigcontext) == 256, "sigcontext");
_Static_assert(offsetof(struct frame, mask) == 8 + 296, "uc_sigmask");

/* -- code --------------------------------------------------------------------- */

bool tracee_code_scan(struct tracee_code *code, const void *text, size_t len,
		      uint64_t addr)
{
	static const uint8_t call[] = { 0x0f, 0x05, 0xc3 };
	static const struct {
		uint8_t len, code[9];
	} back[] = {
		{ 9, { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 } },
		{ 7, { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 } },
	};
	const uint8_t *at;
	unsigned int i;

	if (!code->syscall) {
		at = memmem(text, len, call, sizeof(call));
		if (at)
			code->syscall =
				addr + (uint64_t)(at - (const uint8_t *)text);
	}
	for (i = 0; i < 2 && !code->sigreturn; i++) {
		at = memmem(text, len, back[i].code, back[i].len);
		if (!at)
			continue;
		code->sigreturn = addr + (uint64_t)(at - (const uint8_t *)text);
		code->sigreturn_len = back[i].len;
	}
	return code->syscall && code->sigreturn;
}

/* -- registers ------------------------------------------------------------------ */

void tracee_frame_resume(const struct user_regs_struct *regs,
			 struct user_regs_struct *ret_regs)
{
	*ret_regs = *regs;
	if ((int)regs->orig_rax == -1)
		return; /* not in a system call */
	switch (-(long long)regs->rax) {
	case TRACEE_ERESTART_BLOCK:
		if (regs->orig_rax == SYS_restart_syscall) {
			/* Which call it was, only the kernel knows, and it
			 * forgets it in a sigreturn. */
			ret_regs->rax = (unsigned long long)-EINTR;
			break;
		}
		/* fall through */
	case TRACEE_ERESTARTSYS:
	case TRACEE_ERESTARTNOINTR:
	case TRACEE_ERESTARTNOHAND:
		ret_regs->rax = regs->orig_rax;
		ret_regs->rip -= 2;
		break;
	default:
		break;
	}
}

static void context_fill(struct sigcontext *mc,
			 const struct user_regs_struct *regs)
{
	mc->r8 = regs->r8;
	mc->r9 = regs->r9;
	mc->r10 = regs->r10;
	mc->r11 = regs->r11;
	mc->r12 = regs->r12;
	mc->r13 = regs->r13;
	mc->r14 = regs->r14;
	mc->r15 = regs->r15;
	mc->rdi = regs->rdi;
	mc->rsi = regs->rsi;
	mc->rbp = regs->rbp;
	mc->rbx = regs->rbx;
	mc->rdx = regs->rdx;
	mc->rax = regs->rax;
	mc->rcx = regs->rcx;
	mc->rsp = regs->rsp;
	mc->rip = regs->rip;
	mc->eflags = regs->eflags;
	mc->cs = (unsigned short)regs->cs;
	mc->__pad0 = (unsigned short)regs->ss; /* named ss in the kernel */
}

/* -- xstate --------------------------------------------------------------------- */

/* Bytes up to the end of the last feature in @mask; 0: not understood. */
static size_t xstate_size(uint64_t mask)
{
	size_t end = XSTATE_MIN;
	unsigned int i, a, b, c, d;

	for (i = 2; i < 63; i++) {
		if (!(mask & 1ULL << i))
			continue;
		if (!__get_cpuid_count(0xd, i, &a, &b, &c, &d) || !a || !b)
			return 0;
		if (end < (size_t)a + b)
			end = (size_t)a + b;
	}
	return end;
}

/* Copy @xstate to @to and mark it as a signal frame's.  Bytes, or -ENOTSUP. */
static int xstate_fill(uint8_t *to, const uint8_t *xstate, size_t xlen)
{
	const size_t sw_off = 464; /* sw_reserved of the legacy area */
	struct _fpx_sw_bytes sw = { .magic1 = FP_XSTATE_MAGIC1 };
	const uint32_t magic2 = FP_XSTATE_MAGIC2;
	uint64_t machine, in_use;
	size_t len;

	if (xlen < XSTATE_MIN)
		return -ENOTSUP;
	memcpy(&machine, xstate + sw_off, sizeof(machine)); /* XCR0 */
	memcpy(&in_use, xstate + 512, sizeof(in_use));
	sw.xstate_bv = (machine & ~XTILE_DATA) | in_use | XFP_SSE;
	len = xstate_size(sw.xstate_bv);
	if (!len || len > xlen)
		return -ENOTSUP;
	sw.xstate_size = (uint32_t)len;
	sw.extended_size = (uint32_t)(len + sizeof(magic2));
	memcpy(to, xstate, len);
	memcpy(to + sw_off, &sw, sizeof(sw));
	memcpy(to + len, &magic2, sizeof(magic2));
	return (int)(len + sizeof(magic2));
}

int tracee_frame_build(void *buf, size_t size, const struct tracee_code *code,
		       const struct user_regs_struct *regs, uint64_t mask,
		       const void *xstate, size_t xlen, uint64_t *ret_addr)
{
	/* The kernel may touch as much as the largest state has. */
	uint64_t x_at = (regs->rsp - RED_ZONE - xlen - 64) & ~63ULL;
	uint64_t at = (x_at - sizeof(struct frame)) & ~15ULL;
	size_t x_off = (size_t)(x_at - at);
	struct frame f = {
		.restorer = code->sigreturn,
		.flags = UC_FLAGS,
		.stack = { .ss_flags = NO_STACK },
		.mask = mask,
	};
	int xused;

	if (x_off + xlen + sizeof(uint32_t) > size)
		return -ENOTSUP;
	context_fill(&f.mc, regs);
	f.mc.fpstate = (struct _fpstate *)x_at;
	memset(buf, 0, x_off);
	memcpy(buf, &f, sizeof(f));
	xused = xstate_fill((uint8_t *)buf + x_off, xstate, xlen);
	if (xused < 0)
		return xused;
	*ret_addr = at;
	return (int)x_off + xused;
}

#endif
