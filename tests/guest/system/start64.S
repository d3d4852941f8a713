/* SPDX-License-Identifier: MIT */
/*
 * Entry of the 64-bit guests: long mode with the first gigabyte mapped to itself for the supervisor, and once more at
 * 40000000h for user mode. Interrupt stubs, and the way into and out of a case.
 */
	.section .multiboot, "ax"
	.balign	4
	.long	0x1badb002, 0, -0x1badb002
	.code32
	.globl	_start
_start:
	cli
	mov	$main_stack, %esp
	mov	$pd, %edi
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	shl	$21, %eax
	or	$0x83, %eax
	mov	%eax, (%edi, %ecx, 8)
	or	$0x87, %eax
	mov	%eax, 4096(%edi, %ecx, 8)
	inc	%ecx
	cmp	$512, %ecx
	jb	1b
	movl	$pd + 3, pdpt
	movl	$pd + 4096 + 7, pdpt + 8
	movl	$pdpt + 7, pml4
	mov	$pml4, %eax
	mov	%eax, %cr3
	mov	%cr4, %eax
	or	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	mov	%eax, %cr4
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x901, %eax		/* SCE, LME, NXE */
	wrmsr
	mov	$0x80010033, %eax
	mov	%eax, %cr0
	lgdt	boot_gdt_ptr
	ljmp	$8, $1f
	.code64
1:	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%eax, %ss
	mov	$main_stack, %rsp
	call	begin

	.text
	.globl	stubs
	.balign	16
stubs:
	.set	vector, 0
	.rept	256
	.balign	16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
	pushq	$0
	.endif
	pushq	$vector
	jmp	common
	.set	vector, vector + 1
	.endr

common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	mov	%ds, %eax
	push	%rax
	mov	%es, %eax
	push	%rax
	mov	%fs, %eax
	push	%rax
	mov	%gs, %eax
	push	%rax
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	cld
	mov	%rsp, %rdi
	mov	$trap_main_stack, %rsp
	call	on_trap

	.globl	enter
enter:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, saved_sp
	mov	%rdi, %rbp
	pushq	32(%rbp)
	pushq	24(%rbp)
	pushq	16(%rbp)
	pushq	8(%rbp)
	pushq	0(%rbp)
	mov	40(%rbp), %eax
	mov	%eax, %ds
	mov	48(%rbp), %eax
	mov	%eax, %es
	mov	56(%rbp), %eax
	mov	%eax, %fs
	mov	64(%rbp), %eax
	mov	%eax, %gs
	mov	72(%rbp), %rax
	mov	80(%rbp), %rbx
	mov	88(%rbp), %rcx
	mov	96(%rbp), %rdx
	mov	104(%rbp), %rsi
	mov	112(%rbp), %rdi
	mov	120(%rbp), %rbp
	iretq

	.globl	leave
leave:
	mov	saved_sp, %rsp
	pushq	$2
	popfq
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret

	.data
	.balign	8
boot_gdt:
	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_ptr:
	.word	23
	.long	boot_gdt, 0
	.balign	8
saved_sp:
	.quad	0
	.bss
	.balign	4096
	.globl	pml4, pdpt, pd
pml4:	.skip	4096
pdpt:	.skip	4096
pd:	.skip	8192
	.balign	16
	.skip	16384
main_stack:
	.skip	8192
trap_main_stack:
	.section .note.GNU-stack, "", @progbits
