/* SPDX-License-Identifier: MIT */
/*
 * Random bytes as code: first in user mode, where the kernel's memory is out of reach and every round must come back by
 * a trap or by the timer; then in kernel mode, where the guest may well destroy itself, in ways that the machine
 * survives. Half of the bytes are shaped like instructions (escapes, VEX, EVEX, prefixes), else most would fault at once.
 */
#include "hostile.h"

enum { USER_ROUNDS = 20000, KERNEL_ROUNDS = 20000, CODE_BYTES = 256, PAGE_2M = 0x200000 };
enum { ARENA = 0x800000, ARENA_SIZE = 0x200000 }; /* code in its middle, data all around */
enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_PS = 0x80 };

static uint64_t *const pml4 = (uint64_t *)HOSTILE_TABLES;
static uint64_t *const pdpt = (uint64_t *)HOSTILE_TABLES + 512;
static uint64_t (*const pd)[512] = (uint64_t (*)[512])(HOSTILE_TABLES + 0x2000);
static uint32_t seen[257];
static uint64_t entry_regs[16];

static void map_memory(void)
{
	pml4[0] = (uintptr_t)pdpt | PTE_P | PTE_W | PTE_U;
	for (unsigned i = 0; i < 4; i++) {
		pdpt[i] = (uintptr_t)pd[i] | PTE_P | PTE_W | PTE_U;
		for (unsigned k = 0; k < 512; k++)
			pd[i][k] = ((uint64_t)i << 30 | (uint64_t)k * PAGE_2M) | PTE_P | PTE_W | PTE_PS;
	}
	pd[0][ARENA / PAGE_2M] |= PTE_U;
}

/* What kernel rounds may have turned off or bent. */
static void mend(void)
{
	uint64_t cr0 = 0x80010033, cr4 = 0x620 | 1u << 18;
	uint32_t eax = 1, ecx = 0;

	__asm__ volatile("cpuid" : "+a"(eax), "+c"(ecx)::"rbx", "rdx");
	if (!(ecx & 1u << 26))
		cr4 &= ~(1ull << 18);
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4));
	__asm__ volatile("mov %0, %%cr3" ::"r"((uintptr_t)pml4) : "memory");
	__asm__ volatile("mov %0, %%cr0; clts" ::"r"(cr0));
	__asm__ volatile("mov %0, %%dr7; mov %0, %%cr8; fninit" ::"r"(0ull));
	hostile_load_tables();
	if (cr4 & 1u << 18)
		__asm__ volatile("xsetbv" ::"a"(ecx & 1u << 28 ? 7 : 3), "d"(0), "c"(0));
}

static uint8_t shape(uint8_t *p, uint64_t r)
{
	static const uint8_t lead[] = { 0x0f, 0xc5, 0xc4, 0x62, 0x66, 0xf2, 0xf3, 0x48, 0xf0, 0xd9, 0xdd, 0x67, 0x64, 0x4c };

	p[0] = lead[r % sizeof(lead)];
	if (p[0] == 0xc4)
		p[1] = (uint8_t)(0xe1 + (r >> 8) % 3);
	else if (p[0] == 0x62)
		p[1] = (uint8_t)(0xf1 + (r >> 8) % 3);
	else
		return 1;
	return 2;
}

static void fill_code(uint8_t *code)
{
	for (unsigned i = 0; i < CODE_BYTES;) {
		uint64_t r = hostile_random();

		if (r & 1)
			i += shape(code + i, r >> 32);
		for (unsigned n = r >> 1 & 7; n && i < CODE_BYTES; n--)
			code[i++] = (uint8_t)hostile_random();
	}
}

static void fill_regs(void)
{
	for (unsigned i = 0; i < 16; i++) {
		uint64_t r = hostile_random();

		entry_regs[i] = r & 3 ? ARENA + (r >> 32) % ARENA_SIZE : r >> (r >> 8 & 63);
	}
}

static void enter(uint64_t rip, uint64_t cs, uint64_t ss, uint64_t flags)
{
	__asm__ volatile("push %3; push %c5(%%rbx); push %2; push %1; push %0\n"
			 "	mov (%%rbx), %%rax\n	mov 8(%%rbx), %%rcx\n	mov 16(%%rbx), %%rdx\n"
			 "	mov 40(%%rbx), %%rbp\n	mov 48(%%rbx), %%rsi\n	mov 56(%%rbx), %%rdi\n"
			 "	mov 64(%%rbx), %%r8\n	mov 72(%%rbx), %%r9\n	mov 80(%%rbx), %%r10\n"
			 "	mov 88(%%rbx), %%r11\n	mov 96(%%rbx), %%r12\n	mov 104(%%rbx), %%r13\n"
			 "	mov 112(%%rbx), %%r14\n	mov 120(%%rbx), %%r15\n	mov 24(%%rbx), %%rbx\n"
			 "	iretq\n" ::"r"(rip),
			 "r"(cs), "r"(flags), "r"(ss), "b"(entry_regs), "i"(32)
			 : "memory");
}

static void one_round(bool user)
{
	volatile bool in_user = user;

	mend();
	fill_code((uint8_t *)ARENA + ARENA_SIZE / 2);
	fill_regs();
	hostile_timer(20000 + (uint32_t)(hostile_random() & 0xffff));
	if (!__builtin_setjmp(hostile_back))
		enter(ARENA + ARENA_SIZE / 2 + (hostile_random() & 15), in_user ? HOSTILE_USER_CODE | 3 : HOSTILE_CODE,
		      in_user ? HOSTILE_USER_DATA | 3 : HOSTILE_DATA, 0x202);
	seen[hostile_frame()->vector & 0xff]++;
}

static void report(const char *what)
{
	mend();
	outb(LAYOUT_COM1 + 3, 3);
	outb(LAYOUT_COM1 + 4, 3);
	print(what);
	for (unsigned v = 0; v < 256; v++) {
		if (!seen[v])
			continue;
		print(" ");
		print_dec(v);
		print(":");
		print_dec(seen[v]);
		seen[v] = 0;
	}
	print("\n");
}

void guest_main(void)
{
	static volatile unsigned n;
	uint64_t efer = rdmsr(0xc0000080);

	print("random begins\n");
	hostile_init();
	map_memory();
	wrmsr(0xc0000080, efer & ~1ull); /* SYSCALL would enter the kernel wherever LSTAR says */
	for (n = 0; n < USER_ROUNDS; n++)
		one_round(true);
	report("user mode over, traps");
	for (n = 0; n < KERNEL_ROUNDS; n++)
		one_round(false);
	report("kernel mode over, traps");
	finish(0);
}
