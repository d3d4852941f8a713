/* SPDX-License-Identifier: MIT */
	.text
/*
 * SYSCALL: RCX is where the program goes on, R11 its flags. All but these and RAX comes back as it was. The program's stack is left
 * alone: the 128 bytes below RSP are in use (System V ABI, x86-64, 3.2.2).
 */
	.globl	system_call
system_call:
	mov	%rsp, program_rsp(%rip)
	lea	kernel_stack_top(%rip), %rsp
	push	%rcx
	push	%r11
	push	%r9
	push	%r8
	push	%r10
	push	%rdx
	push	%rsi
	push	%rdi
	mov	%rsp, %rdi
	mov	%rax, %rsi
	call	on_system_call
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%r10
	pop	%r8
	pop	%r9
	popfq
	pop	%rcx
	mov	program_rsp(%rip), %rsp
	jmp	*%rcx

	.globl	enter_program
enter_program:
	mov	%rsi, %rsp
	mov	%rdi, %rcx
	xor	%eax, %eax
	xor	%ebx, %ebx
	xor	%edx, %edx		/* no function to be called at exit */
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%ebp, %ebp		/* the outermost frame */
	jmp	*%rcx

/* Exceptions: 32 stubs of 16 bytes, on a stack of their own (IST 1). None returns. */
	.balign	16
	.globl	fault_stubs
fault_stubs:
	.set	vector, 0
	.rept	32
	.balign	16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	pushq	$0
	.endif
	pushq	$vector
	jmp	fault
	.set	vector, vector + 1
	.endr
fault:	pop	%rdi
	pop	%rsi			/* error code */
	mov	(%rsp), %rdx		/* RIP */
	mov	%cr2, %rcx
	and	$-16, %rsp
	call	on_fault

	.bss
	.balign	16
program_rsp:
	.skip	16
	.skip	16384
kernel_stack_top:
	.skip	8192
	.globl	fault_stack_top
fault_stack_top:
	.section .note.GNU-stack, "", @progbits
