/* SPDX-License-Identifier: MIT */
/* Arithmetic with significands of 128 bits (soft_wide.h). */
#include "soft_wide.h"

u128 wide_mulhi(u128 a, u128 b)
{
	const uint64_t ah = (uint64_t)(a >> 64), al = (uint64_t)a, bh = (uint64_t)(b >> 64), bl = (uint64_t)b;
	const u128 low = (u128)al * bl, cross1 = (u128)ah * bl, cross2 = (u128)al * bh;
	const u128 middle = (low >> 64) + (uint64_t)cross1 + (uint64_t)cross2;

	return (u128)ah * bh + (cross1 >> 64) + (cross2 >> 64) + (middle >> 64);
}

struct sf wide_mul(struct sf a, struct sf b)
{
	const bool sign = a.sign != b.sign;

	if (a.class == SF_ZERO || b.class == SF_ZERO)
		return sf_zero(sign);
	return sf_make(sign, a.exp + b.exp + 1, wide_mulhi(a.sig, b.sig) | (a.sig * b.sig != 0));
}

/* Digit by digit; the remainder is kept below the divisor, and doubling it may need a 129th bit. */
struct sf wide_div(struct sf a, struct sf b)
{
	const bool whole = a.sig >= b.sig;
	u128 rest = whole ? a.sig - b.sig : a.sig, quotient = whole;

	if (a.class == SF_ZERO)
		return sf_zero(a.sign != b.sign);
	for (unsigned k = 0; k < 127; k++) {
		const bool carry = rest >> 127;

		rest <<= 1;
		quotient <<= 1;
		if (carry || rest >= b.sig) {
			rest -= b.sig;
			quotient |= 1;
		}
	}
	return sf_make(a.sign != b.sign, a.exp - b.exp, quotient | (rest != 0));
}

struct sf wide_add(struct sf a, struct sf b)
{
	static const struct sf_env nearest = { .rc = SF_NEAREST };

	return sf_add_finite(&nearest, a, b);
}

struct sf wide_sub(struct sf a, struct sf b)
{
	b.sign = !b.sign;
	return wide_add(a, b);
}

u128 wide_fraction(const struct sf *a)
{
	if (a->class == SF_ZERO || a->exp < -128)
		return 0;
	return a->sig >> (-1 - a->exp);
}

u128 wide_square(const struct sf *a)
{
	if (a->class == SF_ZERO || a->exp < -64)
		return 0;
	return wide_mulhi(a->sig, a->sig) >> (-2 - 2 * a->exp);
}

struct sf wide_from_fixed(bool sign, u128 value)
{
	return sf_make(sign, 0, value);
}

struct sf wide_below(struct sf a)
{
	if (a.sig != WIDE_ONE) {
		a.sig--;
		return a;
	}
	a.sig = ~(u128)0;
	a.exp--;
	return a;
}

static struct sf constant(int exp, u128 sig)
{
	return (struct sf){ .class = SF_FINITE, .exp = exp, .sig = sig };
}

struct sf wide_one(void)
{
	return constant(0, WIDE_ONE);
}

struct sf wide_pi(int scale)
{
	return constant(1 + scale, WIDE(0xc90fdaa22168c234, 0xc4c6628b80dc1cd1));
}

struct sf wide_ln2(void)
{
	return constant(-1, WIDE(0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af));
}

struct sf wide_log2_e(int scale)
{
	return constant(scale, WIDE(0xb8aa3b295c17f0bb, 0xbe87fed0691d3e88));
}
