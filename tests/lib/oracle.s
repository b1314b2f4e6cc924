# SPDX-License-Identifier: GPL-2.0-or-later
# oracle.s - a guest in one boot sector, whose memory tells of every mistake
#
# For ever, it adds one to the first byte of each 4 KiB page from 1 MiB upward,
# page after page, and writes "B" on the serial port after each BEAT pages
# ("A" before the first).  So at any moment all of these bytes are equal, but
# that those above the page it has come to are one behind: a page that was
# lost, or is old, or came in the wrong order, shows (oracle_check.py).  The
# same guest in QEMU's own tests has found many a bug.
#
# Symbols given to the assembler (live.sh):
#   PAGES   how many
#   PACE    pages in each of 250 ticks a second, asleep in between, so that the
#           timer and its interrupts migrate too; 0: as fast as can be
#   BEAT    pages for each "B"
.set	FIRST, 0x100000
.set	END, FIRST + PAGES * 4096
.set	PORT, 0x3f8
.set	IDT, 0x8000
.set	TICKS, 1193182 / 250

.macro	outbyte port, value
	mov	$\value, %al
	out	%al, $\port
.endm

.text
.code16
.globl	_start
_start:
	cli
	ljmp	$0, $1f
1:	xor	%ax, %ax
	mov	%ax, %ds
	in	$0x92, %al		# address line 20
	or	$2, %al
	out	%al, $0x92
	lgdt	gdt_at
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmp	$8, $protected

.code32
protected:
	mov	$16, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$0x7000, %esp
	mov	$FIRST, %eax		# the firmware has been here
1:	movb	$0, (%eax)
	add	$4096, %eax
	cmp	$END, %eax
	jb	1b
	mov	$'A', %bl
	call	say
.if PACE
	movl	$tick, IDT + 0x20 * 8	# vector 0x20: an interrupt gate
	movl	$tick, IDT + 0x20 * 8 + 4
	movw	$8, IDT + 0x20 * 8 + 2
	movw	$0x8e00, IDT + 0x20 * 8 + 4
	movw	$0, IDT + 0x20 * 8 + 6
	lidt	idt_at
	outbyte	0x20, 0x11		# both PICs: vectors 0x20 and 0x28
	outbyte	0xa0, 0x11
	outbyte	0x21, 0x20
	outbyte	0xa1, 0x28
	outbyte	0x21, 4
	outbyte	0xa1, 2
	outbyte	0x21, 1
	outbyte	0xa1, 1
	outbyte	0x21, 0xfe		# but the timer, all masked
	outbyte	0xa1, 0xff
	outbyte	0x43, 0x34		# timer 0, again and again
	outbyte	0x40, (TICKS & 255)
	outbyte	0x40, (TICKS >> 8)
	sti
	mov	$PACE, %ecx
.endif
	mov	$BEAT, %edx
round:
	mov	$FIRST, %eax
page:
	incb	(%eax)
.if PACE
	dec	%ecx
	jnz	1f
	hlt
	mov	$PACE, %ecx
1:
.endif
	add	$4096, %eax
	dec	%edx
	jnz	1f
	mov	$'B', %bl
	call	say
	mov	$BEAT, %edx
1:	cmp	$END, %eax
	jb	page
	jmp	round

say:	push	%eax
	mov	$PORT + 5, %dx		# room for both bytes
1:	in	%dx, %al
	test	$0x20, %al
	jz	1b
	mov	$PORT, %dx
	mov	%bl, %al
	out	%al, %dx
	mov	$PORT + 5, %dx
1:	in	%dx, %al
	test	$0x20, %al
	jz	1b
	mov	$PORT, %dx
	mov	$'\n', %al
	out	%al, %dx
	pop	%eax
	ret

.if PACE
tick:	push	%eax
	outbyte	0x20, 0x20		# end of interrupt
	pop	%eax
	iret
idt_at:	.word	0x21 * 8 - 1
	.long	IDT
.endif

.balign	8
gdt:	.quad	0
	.quad	0x00cf9a000000ffff	# code, flat
	.quad	0x00cf92000000ffff	# data, flat
gdt_at:	.word	. - gdt - 1
	.long	gdt

.org	510
	.word	0xaa55
