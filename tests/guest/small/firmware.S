/* SPDX-License-Identifier: MIT */
/*
 * What Multiboot kernels get from a loader, and what guests find that call the firmware: entered by Multiboot, it tells its
 * selectors, its command line and its modules, goes to real mode, calls the disk service, which does not exist, takes a
 * timer interrupt, and jumps to the reset vector.
 */
	.set	BASE, 0x100000
	.set	LOW, 0x7000	/* where the 16-bit part runs */
	.code32
	.globl	_start
	.section .start, "ax"
_start:
	jmp	enter
	.balign	4
header:
	.long	0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
	.long	header, _start, 0, 0, enter

/* Text at ESI to COM1. */
print:
	mov	$0x3f8, %dx
1:	lodsb
	test	%al, %al
	jz	2f
	outb	%al, %dx
	jmp	1b
2:	mov	$'\n', %al
	outb	%al, %dx
	ret

wrong:	mov	$1, %al
	outb	%al, $0x01
	hlt

enter:
	cld
	mov	$BASE, %esp
	cmp	$0x2badb002, %eax
	jne	wrong
	mov	%cs, %ax
	cmp	$0x08, %ax
	jne	wrong
	mov	%ds, %ax
	cmp	$0x10, %ax
	jne	wrong
	mov	16(%ebx), %esi	/* cmdline */
	call	print
	mov	20(%ebx), %ecx	/* mods_count */
	mov	24(%ebx), %edi	/* mods_addr */
3:	jecxz	4f
	mov	8(%edi), %esi
	call	print
	mov	(%edi), %esi	/* its first bytes, which the test has made text */
	call	print
	add	$16, %edi
	dec	%ecx
	jmp	3b
4:	mov	$sixteen, %esi
	mov	$LOW, %edi
	mov	$(end - sixteen), %ecx
	rep movsb
	lgdt	gdt_pointer
	ljmp	$0x18, $LOW	/* 16-bit code segment */

	.balign	8
gdt:	.quad	0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00009a000000ffff, 0x000092000000ffff
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.code16
sixteen:
	mov	$0x20, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	lidt	LOW + real_idt - sixteen
	mov	%cr0, %eax
	and	$~1, %al
	mov	%eax, %cr0
	ljmp	$0, $(LOW + real - sixteen)
real_idt:
	.word	0x3ff
	.long	0
real:
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$LOW, %sp
	clc
	mov	$0x0201, %ax	/* read a sector */
	mov	$0x0080, %dx
	int	$0x13
	jnc	bad
	int	$0x08		/* as IRQ 0 would: acknowledged, and back */
	mov	$(LOW + carry - sixteen), %si
	mov	$0x3f8, %dx
1:	lodsb
	test	%al, %al
	jz	2f
	outb	%al, %dx
	jmp	1b
2:	ljmp	$0xf000, $0xfff0
bad:	mov	$2, %al
	outb	%al, $0x01
	hlt
carry:	.asciz	"no such service\n"
end:
	.section .note.GNU-stack, "", @progbits
