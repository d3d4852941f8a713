/* SPDX-License-Identifier: MIT */
/*
 * The guest of `bulkhead demo`. It is entered at guest-physical 0x1000 in long mode, writes a greeting to COM1 as any
 * careful driver does (wait until the transmit holding register is empty: LSR bit 5), and leaves through the plain
 * exit port with code 0. Position-independent: it sits in the read-only data of our own program.
 */
	.section .rodata.demo, "a"
	.globl demo_image, demo_image_end
	.balign 16
demo_image:
	lea	greeting(%rip), %rsi
1:	lodsb
	test	%al, %al
	jz	3f
	mov	%al, %bl
	mov	$0x3fd, %dx
2:	in	%dx, %al
	test	$0x20, %al
	jz	2b
	mov	$0x3f8, %dx
	mov	%bl, %al
	out	%al, %dx
	jmp	1b
3:	mov	$0x3fd, %dx
	in	%dx, %al
	test	$0x40, %al	/* LSR bit 6: the last bit has left */
	jz	3b
	xor	%eax, %eax
	out	%al, $0x01
4:	cli
	hlt
	jmp	4b
greeting:
	.ascii	"Hello from a virtual machine in watertight compartments.\r\n"
	.ascii	"This text left the guest one byte at a time through a UART\r\n"
	.ascii	"that is a process of its own: no files, no network, no guest memory.\r\n"
	.byte	0
demo_image_end:
	.section .note.GNU-stack, "", @progbits
