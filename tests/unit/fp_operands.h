/* SPDX-License-Identifier: MIT */
/* Operands that floating-point units go wrong with, for comparing two of them. Deterministic: seeded per function. */
#ifndef BULKHEAD_TESTS_FP_OPERANDS_H
#define BULKHEAD_TESTS_FP_OPERANDS_H

#include <stdint.h>

struct fp_random {
	uint64_t state;
};

static inline uint64_t fp_next(struct fp_random *r)
{
	uint64_t x = r->state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static inline uint64_t fp_below(struct fp_random *r, uint64_t limit)
{
	return fp_next(r) % limit;
}

/* Fractions of `bits` bits: none, all, single bits, runs from either end, halfway patterns, random. */
static inline uint64_t fp_fraction(struct fp_random *r, unsigned bits)
{
	const uint64_t all = UINT64_MAX >> (64 - bits);
	const unsigned k = (unsigned)fp_below(r, bits);

	switch (fp_below(r, 8)) {
	case 0:
		return 0;
	case 1:
		return all;
	case 2:
		return 1ull << k;
	case 3:
		return all >> k;
	case 4:
		return all << k & all;
	case 5:
		return (fp_next(r) << k | 1ull << k >> 1) & all;
	case 6:
		return (1ull << k) + 1 - 2 * fp_below(r, 2);
	}
	return fp_next(r) & all;
}

/* Exponents: the edges of the range, near one, near the integers' limits, near `other`, or any. */
static inline unsigned fp_exponent(struct fp_random *r, unsigned bits, unsigned other)
{
	const unsigned max = (1u << bits) - 1, bias = max >> 1;
	const unsigned integers[] = { 15, 31, 32, 62, 63, 64 };

	switch (fp_below(r, 8)) {
	case 0:
		return (unsigned)fp_below(r, 3);
	case 1:
		return max - (unsigned)fp_below(r, 3);
	case 2:
		return (bias - 2 + (unsigned)fp_below(r, 4)) & max;
	case 3:
		return (bias + integers[fp_below(r, 6)] - (unsigned)fp_below(r, 2)) & max;
	case 4:
		return (bias + (unsigned)fp_below(r, 70)) & max;
	case 5:
	case 6:
		return (other - 3 + (unsigned)fp_below(r, 7)) & max;
	}
	return (unsigned)fp_next(r) & max;
}

/* An IEEE number; `other` is the number that it will meet. */
static inline uint64_t fp_number(struct fp_random *r, unsigned exponent_bits, unsigned fraction_bits, uint64_t other)
{
	const unsigned near = (unsigned)(other >> fraction_bits) & ((1u << exponent_bits) - 1);

	if (fp_below(r, 16) == 0)
		return other;
	return (fp_next(r) & 1) << (exponent_bits + fraction_bits) |
	       (uint64_t)fp_exponent(r, exponent_bits, near) << fraction_bits |
	       (fp_fraction(r, fraction_bits) & ((1ull << fraction_bits) - 1));
}

#endif
