/* SPDX-License-Identifier: MIT */
/*
 * Entry: long mode, a stack, SSE on, interrupts off (frame.h). The loader has cleared .bss, as an ELF file asks for. The x87 unit is as
 * it comes out of a reset, with registers that count as full and exceptions that are not masked (SDM vol. 3, table 10-1).
 */
	.section .start, "ax"
	.globl	_start
_start:
	sub	$8, %rsp		/* entered like a function */
	fninit
	call	guest_main
	xor	%edi, %edi
	call	frame_exit
	.section .note.GNU-stack, "", @progbits
