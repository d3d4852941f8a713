/* SPDX-License-Identifier: MIT */
/*
 * Eight bodies under gravity, by every kind of arithmetic that CPUID shows: the same source for each (nbody_step.h). SSE2, AVX2
 * and AVX-512 round alike and must agree to the bit; x87 has 64 bits of precision and an energy of its own.
 */
#include "frame.h"
#include "print.h"

enum { BODIES = 8, STEPS = 20000 };
#define TIME_STEP 0.001
/* Nobody comes nearer than this, so a body may be counted among those that draw it. */
#define SOFTENING 0.01

#define REAL double
#define ROOT(x) __builtin_sqrt(x)
#define NAME(what) sse2_##what
#include "nbody_step.h"
#undef NAME

#pragma GCC push_options
#pragma GCC target("avx2,prefer-vector-width=256")
#define NAME(what) avx2_##what
#include "nbody_step.h"
#undef NAME
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,prefer-vector-width=512")
#define NAME(what) avx512_##what
#include "nbody_step.h"
#undef NAME
#pragma GCC pop_options

#undef REAL
#undef ROOT
#define REAL long double
#define ROOT(x) __builtin_sqrtl(x)
#define NAME(what) x87_##what
#include "nbody_step.h"
#undef NAME

static void cpuid(uint32_t leaf, uint32_t *b, uint32_t *c)
{
	uint32_t a = leaf, d;

	*c = 0;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(*b), "+c"(*c), "=d"(d));
}

/* Which registers the system keeps: XCR0. */
static uint32_t kept(void)
{
	uint32_t b, c, a, d;

	cpuid(1, &b, &c);
	if (!(c & 1 << 27)) /* OSXSAVE */
		return 0;
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return a;
}

static bool has_avx2(void)
{
	uint32_t b, c;

	cpuid(7, &b, &c);
	return (kept() & 6) == 6 && b & 1 << 5;
}

static bool has_avx512(void)
{
	uint32_t b, c, wanted = 1u << 16 | 1u << 17 | 1u << 31; /* F, DQ, VL */

	cpuid(7, &b, &c);
	return (kept() & 0xe6) == 0xe6 && (b & wanted) == wanted;
}

/* Fixed point with nine decimals, and the bits of it. */
static void say(const char *what, double energy)
{
	uint64_t bits;
	bool is_negative = energy < 0;
	uint64_t billionths = (uint64_t)((is_negative ? -energy : energy) * 1e9 + 0.5);

	__builtin_memcpy(&bits, &energy, sizeof(bits));
	print(what);
	print(is_negative ? " -" : " ");
	print_dec(billionths / 1000000000);
	print(".");
	for (uint64_t place = 100000000; place; place /= 10)
		print_dec(billionths / place % 10);
	print(" ");
	print_hex(bits);
	print("\n");
}

void guest_main(void)
{
	frame_enable_vectors();
	say("start ", sse2_energy_after(0));
	say("x87   ", (double)x87_energy_after(STEPS));
	say("sse2  ", sse2_energy_after(STEPS));
	if (has_avx2())
		say("avx2  ", avx2_energy_after(STEPS));
	if (has_avx512())
		say("avx512", avx512_energy_after(STEPS));
}
