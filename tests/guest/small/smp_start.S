/* SPDX-License-Identifier: MIT */
/* Where further processors begin: 16-bit code that is copied below 1 MiB, then long mode with the first one's page tables. */
	.section .rodata
	.globl smp_trampoline, smp_trampoline_end, smp_trampoline_cr3
	.code16
smp_trampoline:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	gdt_ptr - smp_trampoline
	mov	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	mov	%eax, %cr4
	mov	smp_trampoline_cr3 - smp_trampoline, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	$0x80000011, %eax	/* PG, ET, PE; caches on */
	mov	%eax, %cr0
	ljmpl	*(far - smp_trampoline)
	.balign 8
gdt:	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
gdt_ptr:
	.word	gdt_ptr - gdt - 1
	.long	gdt
far:	.long	smp_entry
	.word	8
	.balign 8
smp_trampoline_cr3:
	.quad	0
smp_trampoline_end:

	.text
	.code64
smp_entry:
	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	/* A stack by the number of the APIC id among those that have come; a new one takes the next number. */
	mov	$1, %eax
	cpuid
	shr	$24, %ebx
	mov	%ebx, %edi
	lea	smp_number(%rip), %rdx
	movzbl	(%rdx,%rdi), %esi
	test	%esi, %esi
	jnz	1f
	mov	$1, %esi
	lock xadd %esi, smp_next(%rip)
	mov	%sil, (%rdx,%rdi)
1:	mov	%esi, %eax
	shl	$11, %rax
	lea	smp_stacks(%rip), %rsp
	add	%rax, %rsp
	call	smp_begin		/* (APIC id, number) */
2:	cli
	hlt
	jmp	2b

	.data
	.balign 4
smp_next:
	.long	1
	.bss
smp_number:
	.skip	256
	.balign 16
smp_stacks:
	.skip	65 * 2048
	.section .note.GNU-stack, "", @progbits
