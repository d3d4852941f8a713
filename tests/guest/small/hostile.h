/* SPDX-License-Identifier: MIT */
/*
 * For hostile guests: every trap and interrupt arrives on a stack of its own, wherever the code that was interrupted had
 * put its stack pointer, and ends what was going on: try_run() returns its vector.
 */
#ifndef BULKHEAD_TESTS_HOSTILE_H
#define BULKHEAD_TESTS_HOSTILE_H

#include "guest.h"

enum { HOSTILE_CODE = 8, HOSTILE_DATA = 16, HOSTILE_USER_DATA = 0x20, HOSTILE_USER_CODE = 0x28, HOSTILE_TSS = 0x30 };
enum { HOSTILE_NO_TRAP = 256, HOSTILE_STACK = 8192 };

/* The loader's own page tables lie right behind a small image: what is large has an address of its own. */
#define HOSTILE_TABLES 0x600000ull

/* What the entry stubs leave on the stack of the trap. */
struct hostile_frame {
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

static uint8_t hostile_stack[HOSTILE_STACK] __attribute__((aligned(64)));
static uint64_t hostile_gdt[8] __attribute__((aligned(16)));
static uint32_t hostile_tss[32] __attribute__((aligned(16)));
static void *hostile_back[5];
static volatile uint64_t hostile_random_state;

static inline uint64_t hostile_random(void)
{
	uint64_t x = hostile_random_state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	hostile_random_state = x;
	return x;
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static inline struct hostile_frame *hostile_frame(void)
{
	return (struct hostile_frame *)(hostile_stack + HOSTILE_STACK) - 1;
}

static void hostile_trap(void)
{
	if (hostile_frame()->vector >= 32)
		lapic_eoi();
	__builtin_longjmp(hostile_back, 1);
}

struct hostile_table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void hostile_load_tables(void)
{
	struct hostile_table gdtr = { sizeof(hostile_gdt) - 1, (uintptr_t)hostile_gdt };

	hostile_gdt[HOSTILE_TSS / 8] &= ~(1ull << 41); /* not busy */
	__asm__ volatile("lgdt %0; ltr %w1" ::"m"(gdtr), "r"(HOSTILE_TSS));
}

/* All 256 vectors: a trap. Interrupt stack 1. */
static inline void hostile_init(void)
{
	uint64_t tss = (uintptr_t)hostile_tss, top = (uintptr_t)hostile_stack + HOSTILE_STACK;
	struct hostile_table idtr;
	uint8_t *gate;

	hostile_gdt[1] = 0x00af9b000000ffff;
	hostile_gdt[2] = 0x00cf93000000ffff;
	hostile_gdt[4] = 0x00cff3000000ffff;
	hostile_gdt[5] = 0x00affb000000ffff;
	hostile_gdt[6] = 0x0000890000000067 | (tss & 0xffffff) << 16 | (tss >> 24 & 0xff) << 56;
	hostile_gdt[7] = tss >> 32;
	hostile_tss[1] = hostile_tss[9] = (uint32_t)top; /* RSP0, IST1 */
	hostile_tss[25] = 0x68u << 16;			 /* no I/O bitmap */
	__asm__ volatile("sidt %0" : "=m"(idtr));
	gate = (uint8_t *)(uintptr_t)idtr.base;
	for (unsigned i = 0; i < 256; i++) {
		gate[16 * i + 4] = 1;
		set_handler((uint8_t)i, hostile_trap);
	}
	hostile_load_tables();
	hostile_random_state = rdtsc() | 1;
}

/* One shot of the local APIC's timer, vector 40h, after about this many bus ticks. */
static inline void hostile_timer(uint32_t ticks)
{
	lapic_init();
	mmio_write(LAYOUT_LAPIC_BASE + 0x3e0, 0xb);
	mmio_write(LAYOUT_LAPIC_BASE + 0x320, 0x40);
	mmio_write(LAYOUT_LAPIC_BASE + 0x380, ticks);
}

#endif
