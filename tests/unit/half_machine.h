/* SPDX-License-Identifier: MIT */
/*
 * For the tests of AVX512-FP16: a flat machine, and half precision by integers. All finite halves are multiples of 2^-24,
 * so that sums and products are integers, and each is rounded once here, in a way of its own.
 */
#ifndef BULKHEAD_TESTS_HALF_MACHINE_H
#define BULKHEAD_TESTS_HALF_MACHINE_H

#include "flat.h"
#include "fp_operands.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t *window; /* the guest has it at WINDOW */
static struct emu *machine;

#define STEP(...) flat_step(machine, (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))

enum { IE = 1, DE = 2, ZE = 4, OE = 8, UE = 16, PE = 32, FLAGS = 63, DAZ = 0x40, FTZ = 0x8000, RC_SHIFT = 13 };
enum { NEAREST, DOWN, UP, CHOP };

static inline struct cpu *setup(void)
{
	machine = flat_machine(CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE, 0xe7, 0);
	window = flat_window();
	return &machine->cpu;
}

/* ---- the reference ------------------------------------------------------------------------------------- */

typedef __int128 wide;

/* A finite half in units of 2^-24. */
static inline wide units(uint16_t h)
{
	const unsigned exponent = h >> 10 & 31;
	const wide v = exponent ? (wide)(0x400 | (h & 0x3ff)) << (exponent - 1) : (wide)(h & 0x3ff);

	return h >> 15 ? -v : v;
}

static inline bool is_finite(uint16_t h)
{
	return (h & 0x7c00) != 0x7c00;
}

/*
 * The half nearest to n/d in the direction rc, n and d not negative and d positive, in units of 2^-24: counts up from the
 * largest half that is not above it. Flags as a masked operation raises them.
 */
static inline uint16_t rounded(wide n, wide d, bool negative, unsigned rc, unsigned *flags)
{
	const uint16_t sign = negative ? 0x8000 : 0;
	uint16_t below = 0;
	wide low, high;
	bool up;

	for (unsigned bit = 0x4000; bit; bit >>= 1)
		if ((below | bit) <= 0x7bff && units((uint16_t)(below | bit)) * d <= n)
			below |= (uint16_t)bit;
	low = units(below) * d;
	if (low == n)
		return sign | below;
	/* Above the largest one lies 65536, were there one more exponent. */
	high = (below == 0x7bff ? (wide)65536 << 24 : units((uint16_t)(below + 1))) * d;
	up = rc == NEAREST ? 2 * n > low + high || (2 * n == low + high && (below & 1)) : rc == (negative ? DOWN : UP);
	*flags |= PE;
	if (below == 0x7bff && (n >= high || up)) {
		*flags |= OE;
		return sign | (n >= high && !up ? 0x7bff : 0x7c00);
	}
	/* Tiny: below 2^-14 also when rounded to 11 bits without a limit. There the spacing is half of that here. */
	if (below < 0x400) {
		const wide edge = (wide)1 << 10;	      /* 2^-14 in units */
		const wide last = 4 * n - (4 * edge - 2) * d; /* against the largest number of 11 bits below the edge, times 4 */
		const bool to_edge = rc == NEAREST ? 4 * n >= (4 * edge - 1) * d : rc == (negative ? DOWN : UP) && last > 0;

		if (!to_edge)
			*flags |= UE;
	}
	return sign | (uint16_t)(below + up);
}

static inline unsigned denormal_flag(uint16_t h)
{
	return (h & 0x7c00) == 0 && (h & 0x3ff) ? DE : 0;
}

/* n / 2^shift of any sign; an exact zero sum is negative only when rounding down. */
static inline uint16_t rounded_sum(wide n, unsigned shift, bool negative_zero, unsigned rc, unsigned *flags)
{
	if (n == 0)
		return negative_zero ? 0x8000 : 0;
	return rounded(n < 0 ? -n : n, (wide)1 << shift, n < 0, rc, flags);
}

/* x * y and +-(x * y) + z of finite numbers, with the flags that they raise. */
static inline uint16_t ref_product(uint16_t x, uint16_t y, unsigned rc, unsigned *flags)
{
	*flags |= denormal_flag(x) | denormal_flag(y);
	return rounded_sum(units(x) * units(y), 24, (x ^ y) >> 15, rc, flags);
}

static inline uint16_t ref_fma(bool minus, uint16_t x, uint16_t y, uint16_t z, unsigned rc, unsigned *flags)
{
	const bool negative = ((x ^ y) >> 15) != minus, both_zero = !((x & 0x7fff && y & 0x7fff) || z & 0x7fff);
	const wide product = minus ? -units(x) * units(y) : units(x) * units(y);

	*flags |= denormal_flag(x) | denormal_flag(y) | denormal_flag(z);
	return rounded_sum(product + (units(z) << 24), 24, both_zero && negative == z >> 15 ? negative : rc == DOWN, rc, flags);
}

static inline uint16_t some_half(struct fp_random *r)
{
	uint16_t h;

	do
		h = (uint16_t)fp_number(r, 5, 10, fp_next(r));
	while (!is_finite(h));
	return h;
}

#endif
