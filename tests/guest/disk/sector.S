/* SPDX-License-Identifier: MIT */
/*
 * The first sector of a disk, started by a PC's BIOS at 0000:7c00 with its drive's number in DL (BIOS Boot Specification 1.01, 5.1). It
 * prints its disk's name (the character at f0h) through INT 10h, reads sector 5 through INT 13h and prints the text in
 * there. The sector's last byte counts: the first time it is written back and the machine reset; the second time the machine
 * ends with code 3.
 */
	.code16
	.globl _start
	.section .start, "ax"
_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$0x7c00, %sp
	sti
	cld
	mov	%dl, drive
	mov	$hello, %si
	call	print
	mov	$0x42, %ah	/* extended read */
	call	transfer
	mov	$0x8000, %si
	call	print
	cmpb	$0, 0x8000 + 511
	jne	second
	incb	0x8000 + 511
	mov	$0x4300, %ax	/* extended write */
	call	transfer
	call	settle
	mov	$0xcf9, %dx	/* reset */
	mov	$6, %al
	out	%al, %dx
	jmp	stop
second:
	mov	$bye, %si
	call	print
	call	settle
	mov	$0x501, %dx	/* exit: twice this and one */
	mov	$1, %al
	out	%al, %dx
stop:
	cli
	hlt
	jmp	stop

/* The BIOS keeps the last character back, which may be drawn over: until the next clock ticks. */
settle:
	mov	$3, %cx
1:	hlt
	loop	1b
	ret

transfer:
	mov	drive, %dl
	mov	$packet, %si
	int	$0x13
	jnc	1f
	mov	$failed, %si
	call	print
	jmp	stop
1:	ret

print:
	lodsb
	test	%al, %al
	jz	1f
	mov	$0x0e, %ah	/* teletype */
	mov	$7, %bx
	int	$0x10
	jmp	print
1:	ret

	.org	0xf0 - 20
hello:	.ascii	"boot sector of disk "
name:	.byte	'?', '\r', '\n', 0
bye:	.asciz	"second time\r\n"
failed:	.asciz	"the disk cannot be read\r\n"
drive:	.byte	0
	.balign	4
packet:	.byte	16, 0
	.word	1, 0x8000, 0
	.quad	5
	.org	510
	.word	0xaa55
