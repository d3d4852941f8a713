/* SPDX-License-Identifier: MIT */
/* Entry of the small long-mode guests, and the interrupt stubs that call handlers[vector]. */
	.text
	.globl _start
	.section .start, "ax"
_start:
	cli
	lea	stack_top(%rip), %rsp
	lgdt	gdt_ptr(%rip)
	pushq	$8
	lea	1f(%rip), %rax
	pushq	%rax
	lretq
1:	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	lea	bss_start(%rip), %rdi
	lea	bss_end(%rip), %rcx
	sub	%rdi, %rcx
	xor	%eax, %eax
	cld
	rep stosb
	call	build_idt
	call	guest_main
	mov	$255, %edi
	call	finish

	.text
	.balign 16
	.globl stubs
/* 256 stubs of 16 bytes each: push the vector (and a dummy error code where the CPU pushes none), go on. */
stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
	pushq	$0
	.endif
	pushq	$vector
	jmp	common
	.set vector, vector + 1
	.endr

common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	cld
	mov	72(%rsp), %rdi		/* vector */
	mov	80(%rsp), %rsi		/* error code */
	mov	88(%rsp), %rdx		/* RIP */
	call	dispatch
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

	.balign 8
gdt:	.quad	0
	.quad	0x00af9b000000ffff	/* 08: 64-bit code */
	.quad	0x00cf93000000ffff	/* 10: data */
gdt_ptr:
	.word	gdt_ptr - gdt - 1
	.quad	gdt

	.bss
	.balign 16
	.skip	16384
stack_top:
	.section .note.GNU-stack, "", @progbits
