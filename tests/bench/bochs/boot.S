/* SPDX-License-Identifier: MIT */
/*
 * A bootable floppy for Bochs, which loads no kernels itself: reads 16 sectors to 8000h, enters long mode with the first
 * GiB mapped to itself, calls bench_main().
 */
	.code16
	.globl	_start
_start:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	movw	$0x0210, %ax		/* read 16 sectors */
	movw	$0x8000, %bx
	movw	$0x0002, %cx		/* cylinder 0, sector 2 */
	movb	$0, %dh
	int	$0x13
	inb	$0x92, %al
	orb	$2, %al
	outb	%al, $0x92
	/* PML4 at 70000h, PDPT at 71000h with one page of 1 GiB would need PDPE1GB: 2 MiB pages at 72000h instead. */
	movw	$0x7000, %ax
	movw	%ax, %es
	xorw	%di, %di
	xorw	%ax, %ax
	movw	$0x1800, %cx
	rep	stosw
	movw	$0x1003, %es:0
	movw	$7, %es:2
	movw	$0x2003, %es:0x1000
	movw	$7, %es:0x1002
	xorl	%eax, %eax
	movw	$0x2000, %di
1:	movl	%eax, %ebx
	orl	$0x83, %ebx
	movl	%ebx, %es:(%di)
	addl	$0x200000, %eax
	addw	$8, %di
	cmpw	$0x3000, %di
	jb	1b
	movl	$0x70000, %eax
	movl	%eax, %cr3
	movl	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	lgdt	gdt_pointer
	movl	$0x80000011, %eax
	movl	%eax, %cr0
	ljmp	$8, $long_mode
	.code64
long_mode:
	movl	$0x7c00, %esp
	movl	$0x8000, %eax
	jmp	*%rax
	.balign	8
gdt:	.quad	0, 0x00af9b000000ffff
gdt_pointer:
	.word	15
	.long	gdt
	.org	510
	.word	0xaa55
