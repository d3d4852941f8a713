/* SPDX-License-Identifier: MIT */
/* Entry of the 32-bit guests, their interrupt stubs, and the way into and out of a case. */
	.section .multiboot, "ax"
	.balign	4
	.long	0x1badb002, 0, -0x1badb002
	.globl	_start
_start:
	cli
	mov	$main_stack, %esp
	lgdt	boot_gdt_ptr
	ljmp	$8, $1f
1:	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%eax, %ss
	call	begin

	.text
	.globl	stubs
	.balign	16
stubs:
	.set	vector, 0
	.rept	256
	.balign	16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
	push	$0
	.endif
	push	$vector
	jmp	common
	.set	vector, vector + 1
	.endr

/* struct trap grows downwards from here; nothing returns. */
common:
	push	%eax
	push	%ecx
	push	%edx
	push	%ebx
	push	%ebp
	push	%esi
	push	%edi
	push	%ds
	push	%es
	push	%fs
	push	%gs
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	cld
	mov	%esp, %eax
	lss	main_again, %esp
	push	%eax
	call	on_trap

/* void enter(const struct start *s): an IRET to the state that it describes. */
	.globl	enter
enter:
	push	%ebp
	push	%ebx
	push	%esi
	push	%edi
	mov	%esp, saved_sp
	mov	20(%esp), %ebp
	testl	$0x20000, 8(%ebp)
	jnz	3f
	testl	$3, 4(%ebp)
	jz	1f
	pushl	16(%ebp)
	pushl	12(%ebp)
	jmp	2f
1:	mov	12(%ebp), %esp
2:	pushl	8(%ebp)
	pushl	4(%ebp)
	pushl	0(%ebp)
	mov	28(%ebp), %fs
	mov	32(%ebp), %gs
	mov	24(%ebp), %es
	jmp	4f
3:	pushl	32(%ebp)
	pushl	28(%ebp)
	pushl	20(%ebp)
	pushl	24(%ebp)
	pushl	16(%ebp)
	pushl	12(%ebp)
	pushl	8(%ebp)
	pushl	4(%ebp)
	pushl	0(%ebp)
4:	mov	36(%ebp), %eax
	mov	40(%ebp), %ebx
	mov	44(%ebp), %ecx
	mov	48(%ebp), %edx
	mov	52(%ebp), %esi
	mov	56(%ebp), %edi
	pushl	60(%ebp)
	testl	$0x20000, 8(%ebp)
	jnz	5f
	mov	20(%ebp), %ds
5:	pop	%ebp
	iret

/* Back to the caller of enter(). */
	.globl	leave
leave:
	mov	saved_sp, %esp
	pushl	$2
	popf
	pop	%edi
	pop	%esi
	pop	%ebx
	pop	%ebp
	ret

	.data
	.balign	8
boot_gdt:
	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff
boot_gdt_ptr:
	.word	23
	.long	boot_gdt
	.balign	4
main_again:
	.long	trap_main_stack, 0x10
saved_sp:
	.long	0
	.bss
	.balign	16
	.skip	16384
main_stack:
	.skip	8192
trap_main_stack:
	.section .note.GNU-stack, "", @progbits
