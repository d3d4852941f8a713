/* SPDX-License-Identifier: MIT */
/* Long mode at 0x1000: greets over port 10h and ends by HLT with interrupts off. */
	.globl _start
	.section .start, "ax"
_start:
	cli
	lea	message(%rip), %rsi
	cld
1:	lodsb
	test	%al, %al
	jz	2f
	outb	%al, $0x10
	jmp	1b
2:	hlt
	jmp	2b
message:
	.asciz	"hello from 64 bits\n"
	.section .note.GNU-stack, "", @progbits
