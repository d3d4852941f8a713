/* SPDX-License-Identifier: MIT */
/*
 * Instead of start.S: the same guest in ring 3, whose ports are served by ring 0. Where KVM interprets ring 0, being one machine
 * below another, ring 3 is the processor itself, with all of its instructions.
 */
	.section .start, "ax"
	.globl	_start
_start:
	sub	$8, %rsp
	fninit
	call	frame_enable_vectors
	lgdt	gdt_pointer
	lea	task(%rip), %rax	/* below 16 MiB: three bytes of its descriptor's base */
	mov	%ax, task_descriptor + 2
	shr	$16, %eax
	mov	%al, task_descriptor + 4
	movq	$port_stack, task + 4	/* RSP0 */
	mov	$0x28, %eax
	ltr	%ax
	lea	port(%rip), %rax	/* below 16 MiB again */
	mov	%ax, gate
	shr	$16, %eax
	mov	%ax, gate + 6
	lidt	idt_pointer
	mov	$0x1000, %edi		/* user: the tables from 1000h on */
1:	orb	$4, (%rdi)
	add	$8, %edi
	cmp	$0x4000, %edi
	jb	1b
	mov	%cr3, %rax
	mov	%rax, %cr3
	mov	%rsp, %rax
	pushq	$0x1b
	push	%rax
	pushq	$2
	pushq	$0x23
	pushq	$user
	iretq
user:	call	guest_main
	xor	%edi, %edi
	call	frame_exit

/*
 * #GP: an instruction that ring 3 may not run. Those that guest.h has are done here: OUT and IN of AL, with DX or a byte for the port.
 */
port:	add	$8, %rsp		/* error code */
	push	%rcx
	push	%rdx
	mov	16(%rsp), %rcx		/* RIP */
	incq	16(%rsp)
	testb	$8, (%rcx)		/* ECh to EFh, or E4h to E7h */
	jnz	1f
	incq	16(%rsp)
	movzbl	1(%rcx), %edx
1:	testb	$2, (%rcx)
	jnz	2f
	inb	%dx, %al
	jmp	3f
2:	outb	%al, %dx
3:	pop	%rdx
	pop	%rcx
	iretq

	.data
	.balign	8
gdt:	.quad	0
	.quad	0x00af9b000000ffff, 0x00cf93000000ffff	/* 08, 10: code and data of ring 0 */
	.quad	0x00cff3000000ffff, 0x00affb000000ffff	/* 18, 20: data and code of ring 3 */
task_descriptor:
	.quad	0x0000890000000067, 0
gdt_pointer:
	.word	55
	.quad	gdt
idt_pointer:
	.word	13 * 16 + 15
	.quad	idt
	.balign	8
idt:	.skip	13 * 16
gate:	.word	0, 0x08
	.byte	0, 0x8e			/* present, interrupt gate */
	.word	0
	.quad	0
	.bss
	.balign	16
task:	.skip	104
	.balign	16
	.skip	4096
port_stack:
	.section .note.GNU-stack, "", @progbits
