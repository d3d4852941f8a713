/* SPDX-License-Identifier: MIT */
/*
 * Chaos in page tables and in code: entries of a window take random values, reserved bits and devices' addresses
 * included, while it is read, written and executed; then code that changes itself, and must do what it says.
 */
#include "hostile.h"

enum { ROUNDS = 60000, PAGE_2M = 0x200000, WINDOW_PAGES = 512, SMC_ROUNDS = 20000, FRAME_BYTES = 64 * 4096 };
enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_PS = 0x80 };
#define WINDOW 0x40000000ull /* its addresses; its frames are wherever the tables say */

static uint64_t *const pml4 = (uint64_t *)HOSTILE_TABLES;
static uint64_t *const pdpt = (uint64_t *)HOSTILE_TABLES + 512;
static uint64_t (*const pd)[512] = (uint64_t (*)[512])(HOSTILE_TABLES + 0x2000);
static uint64_t *const pt = (uint64_t *)(HOSTILE_TABLES + 0x6000);
static uint8_t *const frames = (uint8_t *)HOSTILE_TABLES + 0x10000;
static uint32_t seen[257];

static void map_memory(void)
{
	pml4[0] = (uintptr_t)pdpt | PTE_P | PTE_W | PTE_U;
	for (unsigned i = 0; i < 4; i++) {
		pdpt[i] = (uintptr_t)pd[i] | PTE_P | PTE_W | PTE_U;
		for (unsigned k = 0; k < 512; k++)
			pd[i][k] = ((uint64_t)i << 30 | (uint64_t)k * PAGE_2M) | PTE_P | PTE_W | PTE_PS;
	}
	pd[1][0] = (uintptr_t)pt | PTE_P | PTE_W | PTE_U;
	__asm__ volatile("mov %0, %%cr3" ::"r"((uintptr_t)pml4) : "memory");
}

/* Frames of our own mostly, holes and devices that bear it, the tables themselves read-only; any bits. */
static uint64_t random_entry(void)
{
	uint64_t r = hostile_random(), bits = hostile_random() & 0xfff;

	switch (r & 15) {
	case 0:
		return hostile_random();
	case 1:
		return (LAYOUT_HPET_BASE & ~0xfffull) | bits;
	case 2:
		return 0xd0000000 + (r >> 20 & 0xffff000) + bits;
	case 3:
		return ((uintptr_t)pt | bits | PTE_P) & ~(uint64_t)PTE_W;
	case 4:
		return (hostile_random() & 0x000ffffffffff000) | (bits & ~(uint64_t)PTE_W);
	default:
		return ((uintptr_t)frames + (r >> 8 & 63) * 4096) | bits | PTE_P | (r >> 20 & 1) << 63;
	}
}

static void scramble(void)
{
	unsigned n = hostile_random() & 7;

	pt[hostile_random() % WINDOW_PAGES] = random_entry();
	if (n == 0)
		pd[1][1 + hostile_random() % 511] = random_entry() & ~(uint64_t)PTE_W;
	if (n < 4)
		__asm__ volatile("invlpg (%0)" ::"r"(WINDOW + hostile_random() % (WINDOW_PAGES * 4096)) : "memory");
	if (n == 5)
		__asm__ volatile("mov %0, %%cr3" ::"r"((uintptr_t)pml4) : "memory");
	if (n == 6) {
		uint64_t cr4;

		__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
		__asm__ volatile("mov %0, %%cr4" ::"r"(cr4 ^ 1u << 7) : "memory");
	}
	if (n == 7) {
		uint64_t cr0;

		__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
		__asm__ volatile("mov %0, %%cr0" ::"r"(cr0 ^ 1u << 16) : "memory");
	}
}

static void use(uint64_t addr, unsigned how)
{
	uint64_t v = hostile_random(), count = 1 + (v & 0x1fff), to = addr;
	void (*code)(void) = (void (*)(void))addr;

	switch (how & 7) {
	case 0:
		(void)*(volatile uint8_t *)addr;
		break;
	case 1:
		(void)*(volatile uint64_t *)addr;
		break;
	case 2:
		*(volatile uint64_t *)addr = v;
		break;
	case 3:
		*(volatile uint16_t *)addr = (uint16_t)v;
		break;
	case 4:
		__asm__ volatile("lock xaddq %0, (%1)" : "+r"(v) : "r"(addr) : "memory");
		break;
	case 5:
		__asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(0xc3) : "memory");
		break;
	case 6:
		__asm__ volatile("rep movsb" : "+D"(to), "+c"(count) : "S"(addr ^ 0x5008) : "memory");
		break;
	case 7:
		*(volatile uint8_t *)addr = 0xc3; /* RET */
		code();
		break;
	}
}

/* Global translations outlive a load of CR3, but not CR4.PGE. And what was executed on a device's page is not known. */
static void calm_down(void)
{
	uint64_t cr4;

	__asm__ volatile("cld; mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4 & ~(1ull << 7)) : "memory");
}

static void chaos(void)
{
	static volatile unsigned n;

	for (n = 0; n < ROUNDS; n++) {
		if (!__builtin_setjmp(hostile_back)) {
			scramble();
			use(WINDOW + hostile_random() % (WINDOW_PAGES * 4096 - 8), (unsigned)(hostile_random() >> 20));
			seen[HOSTILE_NO_TRAP]++;
		} else {
			seen[hostile_frame()->vector & 0xff]++;
		}
	}
	calm_down();
}

/* mov $imm32, %eax; add $imm8, %eax; ret, at any offset, also across pages; written through another mapping as well. */
static uint32_t run_patched(uint8_t *code, uint8_t *alias, uint32_t imm, uint8_t add)
{
	uint32_t (*f)(void) = (uint32_t(*)(void))code;

	alias[0] = 0xb8;
	for (unsigned i = 0; i < 4; i++)
		alias[1 + i] = (uint8_t)(imm >> (8 * i));
	alias[5] = 0x83;
	alias[6] = 0xc0;
	alias[7] = add;
	alias[8] = 0xc3;
	__asm__ volatile("xor %%eax, %%eax; cpuid" ::: "rax", "rbx", "rcx", "rdx", "memory");
	return f();
}

/* A loop that raises its own immediate: incb imm(%rip); mov $imm, %al; dec %ecx; jnz; movzbl; ret. */
static uint32_t run_rising(uint8_t *code, uint32_t times)
{
	static const uint8_t image[] = { 0xfe, 0x05, 0x01, 0, 0, 0, 0xb0, 0x00, 0xff, 0xc9, 0x75, 0xf4, 0x0f, 0xb6, 0xc0, 0xc3 };
	uint32_t result;

	for (unsigned i = 0; i < sizeof(image); i++)
		code[i] = image[i];
	__asm__ volatile("call *%1" : "=a"(result), "+r"(code), "+c"(times)::"memory");
	return result;
}

static void self_modifying(void)
{
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		pt[i] = ((uintptr_t)frames + (uint64_t)(i % 64) * 4096) | PTE_P | PTE_W;
	__asm__ volatile("mov %0, %%cr3" ::"r"((uintptr_t)pml4) : "memory");
	for (unsigned n = 0; n < SMC_ROUNDS; n++) {
		uint64_t off = hostile_random() % (FRAME_BYTES - 64);
		uint32_t imm = (uint32_t)hostile_random(), times = 1 + (imm & 63);
		uint8_t *alias = (uint8_t *)(n & 1 ? WINDOW + off + FRAME_BYTES : (uintptr_t)frames + off);

		check(run_patched((uint8_t *)WINDOW + off, alias, imm, 5) == imm + 5, "patched code ran as it was before");
		check(run_rising((uint8_t *)WINDOW + off, times) == times, "code that changes itself lost a change");
	}
}

void guest_main(void)
{
	static uint64_t efer;

	print("pages begin\n");
	hostile_init();
	efer = rdmsr(0xc0000080);
	wrmsr(0xc0000080, efer | 1u << 11); /* NXE */
	map_memory();
	chaos();
	print("chaos over, page faults: ");
	print(seen[14] ? "some" : "none");
	print(", without: ");
	print(seen[HOSTILE_NO_TRAP] ? "some\n" : "none\n");
	self_modifying();
	print("self-modifying over\n");
	finish(0);
}
