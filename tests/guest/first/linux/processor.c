/* SPDX-License-Identifier: MIT */
#include "../frame.h"
#include "../print.h"
#include "linux.h"

enum {
	MSR_EFER = 0xc0000080,
	MSR_STAR = 0xc0000081,
	MSR_LSTAR = 0xc0000082,
	MSR_FMASK = 0xc0000084,
	MSR_FS_BASE = 0xc0000100,
	EFER_SCE = 1,
	FLAGS_CLEARED = 0x700, /* DF, IF, TF */

	CODE = 8,
	TASK = 24,
	GATE = 0x8e, /* present, interrupt gate */

	PRESENT_WRITABLE = 3,
	LARGE_PAGE = 0x200000,
	PAGE_DIRECTORY = 0x3000,
	VECTORS = 32,
};

struct __attribute__((packed)) table_pointer {
	uint16_t limit;
	uint64_t base;
};

struct gate {
	uint16_t offset_0;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_16;
	uint32_t offset_32;
	uint32_t reserved;
};

extern uint8_t fault_stubs[VECTORS][16], fault_stack_top[], system_call[];
_Noreturn void on_fault(uint64_t vector, uint64_t error, uint64_t rip, uint64_t address);

static uint64_t gdt[5] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
static struct gate idt[VECTORS];
static uint32_t task[26]; /* 64-bit TSS; IST 1 is at 24h (SDM vol. 3, 8.7) */
static uint64_t first_pages[512] __attribute__((aligned(PAGE)));

static uint64_t rdmsr(uint32_t n)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(n));
	return (uint64_t)high << 32 | low;
}

static void wrmsr(uint32_t n, uint64_t v)
{
	__asm__ volatile("wrmsr" ::"c"(n), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

void set_fs_base(uint64_t base)
{
	wrmsr(MSR_FS_BASE, base);
}

uint64_t fs_base(void)
{
	return rdmsr(MSR_FS_BASE);
}

/* From the processor if it has some; else from its clock, which is enough for a program that runs alone. */
uint64_t random_word(void)
{
	uint32_t a = 1, b, c = 0, d;
	uint64_t word;
	bool is_random = false;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	for (int tries = 0; c & 1 << 30 && !is_random && tries < 10; tries++)
		__asm__ volatile("rdrand %0" : "=r"(word), "=@ccc"(is_random));
	if (is_random)
		return word;
	__asm__ volatile("rdtsc" : "=a"(a), "=d"(d));
	return sum_add(SUM_START, (uint64_t)d << 32 | a);
}

static void load_gdt(void)
{
	uint64_t base = (uintptr_t)task, stack = (uintptr_t)fault_stack_top;
	struct table_pointer pointer = { sizeof(gdt) - 1, (uintptr_t)gdt };

	task[9] = (uint32_t)stack;
	task[10] = (uint32_t)(stack >> 32);
	gdt[3] = (sizeof(task) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
	gdt[4] = base >> 32;
	__asm__ volatile("lgdt %0\n"
			 "mov $16, %%eax; mov %%eax, %%ds; mov %%eax, %%es; mov %%eax, %%ss\n"
			 "pushq $8; lea 1f(%%rip), %%rax; pushq %%rax; lretq\n"
			 "1: mov $24, %%eax; ltr %%ax" ::"m"(pointer)
			 : "rax", "memory");
}

static void load_idt(void)
{
	struct table_pointer pointer = { sizeof(idt) - 1, (uintptr_t)idt };

	for (unsigned i = 0; i < VECTORS; i++) {
		uint64_t stub = (uintptr_t)fault_stubs[i];

		idt[i] = (struct gate){
			.offset_0 = (uint16_t)stub,
			.selector = CODE,
			.ist = 1,
			.type = GATE,
			.offset_16 = (uint16_t)(stub >> 16),
			.offset_32 = (uint32_t)(stub >> 32),
		};
	}
	__asm__ volatile("lidt %0" ::"m"(pointer));
}

/* A program that follows a null pointer, or goes where no memory is, is to fault: neither is mapped any more. */
static void take_out_pages(void)
{
	uint64_t *directory = (uint64_t *)(uintptr_t)PAGE_DIRECTORY;

	for (unsigned i = 1; i < 512; i++)
		first_pages[i] = (uint64_t)i * PAGE | PRESENT_WRITABLE;
	directory[0] = (uintptr_t)first_pages | PRESENT_WRITABLE;
	for (unsigned i = FRAME_MEMORY_END / LARGE_PAGE; i < 512; i++)
		directory[i] = 0;
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" ::: "rax", "memory");
}

void processor_init(void)
{
	frame_enable_vectors();
	load_gdt();
	load_idt();
	take_out_pages();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	wrmsr(MSR_STAR, (uint64_t)CODE << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)system_call);
	wrmsr(MSR_FMASK, FLAGS_CLEARED);
}

/* SIGFPE, SIGTRAP, SIGILL, and SIGSEGV for all the rest. */
static uint8_t signal_of(uint64_t vector)
{
	switch (vector) {
	case 0:
	case 16:
	case 19:
		return 8;
	case 1:
	case 3:
		return 5;
	case 6:
		return 4;
	}
	return 11;
}

_Noreturn void on_fault(uint64_t vector, uint64_t error, uint64_t rip, uint64_t address)
{
	print("linux-ring0: the program faulted: vector ");
	print_dec(vector);
	print(", error ");
	print_hex(error);
	print(", rip ");
	print_hex(rip);
	print(", cr2 ");
	print_hex(address);
	print("\n");
	frame_exit((uint8_t)(128 + signal_of(vector)));
}
