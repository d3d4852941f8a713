/* SPDX-License-Identifier: MIT */
/* Prints what a frame machine's kernel is entered with, checks what the interface promises of it, and tells of its program. */
#include "frame.h"

struct entry {
	uint64_t rsp, rflags, cr0, cr3, cr4;
	uint16_t cs;
};

/* Before the compiler's code has touched the stack. */
__asm__(".section .start, \"ax\"\n"
	".globl _start\n"
	"_start:\n"
	"	mov %rsp, entry\n"
	"	pushf\n"
	"	popq entry+8\n"
	"	mov %cr0, %rax\n"
	"	mov %rax, entry+16\n"
	"	mov %cr3, %rax\n"
	"	mov %rax, entry+24\n"
	"	mov %cr4, %rax\n"
	"	mov %rax, entry+32\n"
	"	mov %cs, entry+40\n"
	"	movups entry, %xmm0\n" /* no #UD: SSE is on. And a KVM that emulates ring 0 knows this one. */
	"	jmp kernel\n"
	".text\n");

struct entry entry;

static void show(const char *name, uint64_t value)
{
	print(name);
	print(" ");
	print_number(value, 16);
	print("\n");
}

static void want(const char *what, int holds)
{
	if (holds)
		return;
	print("not so: ");
	print(what);
	print("\n");
	leave(1);
}

enum { PRESENT_RW = 3, LARGE = 0x80, IF = 0x200, OSFXSR = 1 << 9, OSXMMEXCPT = 1 << 10, ACCESSED_DIRTY = 0x60 };

/* SDM vol. 3, 4.5.4: entries of the three tables. */
static void check_tables(void)
{
	const uint64_t *pml4 = (const uint64_t *)0x1000, *pdpt = (const uint64_t *)0x2000, *pd = (const uint64_t *)0x3000;

	want("tables from 0x1000", entry.cr3 == 0x1000 && (pml4[0] & ~(uint64_t)ACCESSED_DIRTY) == (0x2000 | PRESENT_RW) &&
					   (pdpt[0] & ~(uint64_t)ACCESSED_DIRTY) == (0x3000 | PRESENT_RW));
	for (uint64_t i = 0; i < 512; i++)
		want("1 GiB in 2 MiB pages", (pd[i] & ~(uint64_t)ACCESSED_DIRTY) == (i << 21 | LARGE | PRESENT_RW));
	want("no more than 1 GiB", !pdpt[1] && !pml4[1]);
}

static void tell_program(void)
{
	const uint64_t bytes = *(const uint64_t *)LAYOUT_FRAME_PROGRAM;
	const uint8_t *program = (const uint8_t *)LAYOUT_FRAME_PROGRAM + LAYOUT_FRAME_PROGRAM_BYTES;
	uint32_t sum = 0;

	for (uint64_t i = 0; i < bytes; i++)
		sum = sum * 31 + program[i];
	show("program bytes", bytes);
	show("program sum", sum);
}

_Noreturn void kernel(void);
_Noreturn void kernel(void)
{
	show("rsp", entry.rsp);
	show("cr0", entry.cr0);
	show("cr4", entry.cr4);
	want("stack", entry.rsp == 0x1f0000 - 8);
	want("interrupts off", !(entry.rflags & IF));
	want("SSE on", (entry.cr4 & (OSFXSR | OSXMMEXCPT)) == (OSFXSR | OSXMMEXCPT));
	want("ring 0", (entry.cs & 3) == 0);
	check_tables();
	*(volatile uint64_t *)0x1800000 = 1;
	*(volatile uint32_t *)(64u * 1024 * 1024 - 4) = 1;
	want("64 MiB", *(volatile uint32_t *)(64u * 1024 * 1024 - 4) == 1);
	want("nothing behind them", *(volatile uint32_t *)(64u * 1024 * 1024) == 0xffffffff);
	tell_program();
	leave(42);
}
