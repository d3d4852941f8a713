/* SPDX-License-Identifier: MIT */
/*
 * What some KVMs cannot do: CMPXCHG16B and FXSAVE where they interpret, SIMD and x87 accesses to a device everywhere. The results
 * are those of the SDM (vol. 2, the pages of each instruction), whoever runs them. Repeated, with plain code between.
 */
#include "guest.h"

enum { ROUNDS = 200, UNCLAIMED = 0xd0000000 };

static uint64_t pair[2] __attribute__((aligned(16)));
static uint8_t area[512] __attribute__((aligned(16))), other[512] __attribute__((aligned(16)));

static void enable_sse(void)
{
	uint64_t cr0, cr4;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" ::"r"((cr0 & ~0xcull) | 2)); /* EM, TS off; MP on */
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 0x600)); /* OSFXSR, OSXMMEXCPT */
}

/* Returns ZF; *lo and *hi are RAX and RDX afterwards. */
static bool exchange(uint64_t *lo, uint64_t *hi, uint64_t new_lo, uint64_t new_hi)
{
	bool equal;

	__asm__ volatile("lock cmpxchg16b %1" : "=@ccz"(equal), "+m"(pair), "+a"(*lo), "+d"(*hi) : "b"(new_lo), "c"(new_hi));
	return equal;
}

static void exchanges(uint64_t n)
{
	uint64_t lo = n, hi = ~n;

	pair[0] = n;
	pair[1] = ~n;
	check(exchange(&lo, &hi, n + 1, n + 2) && pair[0] == n + 1 && pair[1] == n + 2, "equal: the new pair is stored");
	check(lo == n && hi == ~n, "equal: RDX:RAX stay");
	lo = hi = 0;
	check(!exchange(&lo, &hi, 5, 6) && pair[0] == n + 1 && pair[1] == n + 2, "not equal: memory stays");
	check(lo == n + 1 && hi == n + 2, "not equal: RDX:RAX are the old pair");
}

static void saves(uint64_t n)
{
	uint64_t value[2] = { n * 0x0101010101010101, ~n }, back[2];
	uint32_t mxcsr = 0x1f80 | (n & 1) << 15;

	__asm__ volatile("fninit; fld1; fldpi; ldmxcsr %0" ::"m"(mxcsr));
	__asm__ volatile("movdqu %0, %%xmm7" ::"m"(value));
	__asm__ volatile("fxsave64 %0" : "=m"(area));
	__asm__ volatile("fninit; pxor %%xmm7, %%xmm7" ::: "memory");
	check(*(uint16_t *)area == 0x37f && area[4] == 0xc0, "FXSAVE: control word, two registers in use");
	check(*(uint32_t *)(area + 24) == mxcsr, "FXSAVE: MXCSR");
	__asm__ volatile("fxrstor64 %0" ::"m"(area));
	__asm__ volatile("movdqu %%xmm7, %0" : "=m"(back));
	check(back[0] == value[0] && back[1] == value[1], "FXRSTOR: XMM7");
	__asm__ volatile("fxsave64 %0" : "=m"(other));
	/* But for the last instruction's opcode and addresses: AMD's processors do not keep them (APM vol. 2, 11.4.4). */
	for (unsigned i = 0; i < 416; i++)
		check(other[i] == area[i] || (i >= 6 && i < 24), "FXSAVE after FXRSTOR is the same");
}

/* Ones, since nobody drives the bus. */
static void devices(void)
{
	uint64_t value[2] = { 0, 0 };

	__asm__ volatile("movdqu (%1), %%xmm0; movdqu %%xmm0, %0" : "=m"(value) : "r"((uint64_t)UNCLAIMED));
	check(value[0] == ~0ull && value[1] == ~0ull, "MOVDQU from a device");
	__asm__ volatile("movdqu %%xmm0, (%0)" ::"r"((uint64_t)UNCLAIMED) : "memory");
	value[0] = 0;
	__asm__ volatile("movq (%1), %%mm0; movq %%mm0, %0; emms" : "=m"(value[0]) : "r"((uint64_t)UNCLAIMED));
	check(value[0] == ~0ull, "MOVQ from a device");
}

void guest_main(void)
{
	enable_sse();
	for (uint64_t n = 1; n <= ROUNDS; n++) {
		exchanges(n);
		saves(n);
		if (n % 50 == 0)
			devices();
	}
	print("exact\n");
	finish(0);
}
