/* SPDX-License-Identifier: MIT */
/* The smallest guest: 16-bit code at 0000:0000 that greets on COM1 and leaves code 7 in the plain exit port. */
	.code16
	.globl _start
	.section .start, "ax"
_start:
	xor	%ax, %ax
	mov	%ax, %ds
	mov	$message, %si
	mov	$0x3f8, %dx
	cld
1:	lodsb
	test	%al, %al
	jz	2f
	outb	%al, %dx
	jmp	1b
2:	mov	$7, %al
	outb	%al, $0x01
	hlt
message:
	.asciz	"hello from 16 bits\n"
	.section .note.GNU-stack, "", @progbits
