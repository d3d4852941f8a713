/* SPDX-License-Identifier: MIT */
/*
 * The frame-port machine's entry state out of Multiboot's, so that the same guest runs on machines that have never heard of it:
 * tables from 1000h map the first gigabyte to itself in pages of 2 MiB, SSE is on, RSP is 8 below 1f0000h, and a
 * Multiboot module becomes the program at 2000000h. Then on to _start.
 */
	.section .multiboot, "ax"
	.balign	4
	.long	0x1badb002, 0, -0x1badb002
	.code32
	.globl	multiboot_start
multiboot_start:
	cli
	cld
	mov	$0x1f0000, %esp
	call	take_module
	call	map
	mov	$0x1000, %eax
	mov	%eax, %cr3
	mov	%cr4, %eax
	or	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	mov	%eax, %cr4
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax		/* LME */
	wrmsr
	mov	$0x80010033, %eax
	mov	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$8, $wide

/* Three tables: 1000h to 3fffh. */
map:	mov	$0x1000, %edi
	mov	$0x3000 / 4, %ecx
	xor	%eax, %eax
	rep stosl
	movl	$0x2003, 0x1000
	movl	$0x3003, 0x2000
	mov	$0x83, %eax
	mov	$0x3000, %edi
1:	mov	%eax, (%edi)
	add	$0x200000, %eax
	add	$8, %edi
	cmp	$0x4000, %edi
	jb	1b
	ret

/* EBX: Multiboot's information; flag 3: a list of modules. Copied from the end, since the module may lie across the place. */
take_module:
	movl	$0, 0x2000000
	testb	$8, (%ebx)
	jz	1f
	cmpl	$0, 20(%ebx)
	je	1f
	mov	24(%ebx), %eax
	mov	(%eax), %esi
	mov	4(%eax), %ecx
	sub	%esi, %ecx
	mov	%ecx, %edx
	lea	-1(%esi, %ecx), %esi
	lea	0x200000f(%ecx), %edi
	std
	rep movsb
	cld
	mov	%edx, 0x2000000
1:	movl	$0, 0x2000004
	movl	$0, 0x2000008
	movl	$0, 0x200000c
	ret

	.code64
wide:	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$0x1efff8, %esp
	jmp	_start

	.balign	8
gdt:	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word	23
	.long	gdt
	.section .note.GNU-stack, "", @progbits
