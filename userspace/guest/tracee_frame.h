/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tracee_frame.h - a thread's state, laid out so that it restores itself
 *
 * x86-64 only; nothing here does a system call.  Used by tracee.c.
 */
#ifndef XM_GUEST_TRACEE_FRAME_H
#define XM_GUEST_TRACEE_FRAME_H

#if defined(__x86_64__)

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

/* What the kernel puts into rax of a system call that it would restart. */
#define TRACEE_ERESTARTSYS    512
#define TRACEE_ERESTARTNOINTR 513
#define TRACEE_ERESTARTNOHAND 514
#define TRACEE_ERESTART_BLOCK 516

/* Code of the target that we borrow. */
struct tracee_code {
	uint64_t syscall;      /* of "syscall; ret" */
	uint64_t sigreturn;    /* of "mov $15, %rax; syscall" */
	uint8_t sigreturn_len; /* bytes up to and with its "syscall" */
};

/* Look for both in @text, @len bytes that are at @addr in the target, and note
 * in @code what it has not yet.  True when it has both. */
bool tracee_code_scan(struct tracee_code *code, const void *text, size_t len,
		      uint64_t addr);

/* Room for the largest xstate known (11 KiB with AMX) and some. */
#define TRACEE_XSTATE_MAX 32768

/* The general registers as the kernel would leave them in user code if the
 * thread went on from @regs, a stop in the kernel's signal path; with what a
 * sigreturn cannot carry replaced by the next best (tracee.c). */
void tracee_frame_resume(const struct user_regs_struct *regs,
			 struct user_regs_struct *ret_regs);

/* Build the frame below stack pointer @regs->rsp into @buf (@size bytes).
 * @regs: from tracee_frame_resume(); @xstate: @xlen bytes of NT_X86_XSTATE;
 * @mask: of the thread's signals.  Returns the bytes used, with @ret_addr where
 * they belong in the target; -ENOTSUP: an xstate not understood, or @buf is too
 * small. */
int tracee_frame_build(void *buf, size_t size, const struct tracee_code *code,
		       const struct user_regs_struct *regs, uint64_t mask,
		       const void *xstate, size_t xlen, uint64_t *ret_addr);

#endif
#endif
