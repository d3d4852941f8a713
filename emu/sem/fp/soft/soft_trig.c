/* SPDX-License-Identifier: MIT */
/* Provider P, x87: sine, cosine, tangent, arc tangent. */
#include "soft_wide.h"
#include "soft_x87.h"

/*
 * Intel's pi for the reduction has 66 bits (SDM vol. 1, 8.3.8): this integer times 2^-64. So results near multiples of
 * pi differ from the true ones, the same on every processor that reduces like that.
 */
#define PI_66 WIDE(3, 0x243f6a8885a308d3)

/* a = quadrant * pi/2 + *r exactly, |*r| <= pi/4. Returns the quadrant, modulo 4. */
static unsigned reduce(const struct sf *a, struct sf *r)
{
	u128 rest = a->sig >> 64;
	unsigned q = 0;
	bool sign = a->sign;

	*r = *a;
	if (a->exp < -1)
		return 0;
	/* In units of 2^-65: the significand is doubled, modulo pi/2, until it has its place. */
	for (int32_t k = 0; k < a->exp + 2; k++) {
		rest <<= 1;
		q <<= 1;
		if (rest >= PI_66) {
			rest -= PI_66;
			q |= 1;
		}
	}
	if (rest > PI_66 >> 1) {
		rest = PI_66 - rest;
		sign = !sign;
		q++;
	}
	*r = sf_make(sign, 62, rest);
	return a->sign ? 4 - (q & 3) : q;
}

enum { TRIG_TERMS = 17 }; /* (pi/4)^34 / 34! < 2^-128 */

/* r * (1 - r^2/6 * (1 - r^2/20 * ...)) */
static struct sf sin_series(const struct sf *r)
{
	const u128 square = wide_square(r);
	u128 sum = WIDE_ONE;

	for (unsigned k = TRIG_TERMS; k > 0; k--)
		sum = WIDE_ONE - wide_mulhi(square, sum) / (2 * k * (2 * k + 1));
	return wide_below(wide_mul(*r, wide_from_fixed(false, sum)));
}

/* 1 - r^2/2 * (1 - r^2/12 * ...) */
static struct sf cos_series(const struct sf *r)
{
	const u128 square = wide_square(r);
	u128 sum = WIDE_ONE;

	for (unsigned k = TRIG_TERMS; k > 0; k--)
		sum = WIDE_ONE - wide_mulhi(square, sum) / (2 * k * (2 * k - 1));
	return wide_below(wide_from_fixed(false, sum));
}

/* In the quadrant's terms: one series or the other, with its sign. */
static struct sf sin_of(const struct sf *r, unsigned quadrant)
{
	struct sf s = quadrant & 1 ? cos_series(r) : sin_series(r);

	if (quadrant & 2)
		s.sign = !s.sign;
	return s;
}

struct sf soft_sin(const struct sf *a)
{
	struct sf r;
	const unsigned quadrant = reduce(a, &r);

	return sin_of(&r, quadrant);
}

struct sf soft_cos(const struct sf *a)
{
	struct sf r;
	const unsigned quadrant = reduce(a, &r);

	return sin_of(&r, quadrant + 1);
}

/* r + r^3/3, above r even if that cannot be seen. */
static struct sf tan_small(const struct sf *r)
{
	return wide_mul(*r, wide_from_fixed(false, (WIDE_ONE + wide_square(r) / 6) | 1));
}

struct sf soft_tan(const struct sf *a)
{
	enum { SMALL = -34 }; /* the next term is below 2^-130 */
	struct sf r;
	const unsigned quadrant = reduce(a, &r);

	if (r.exp >= SMALL)
		return wide_div(sin_of(&r, quadrant), sin_of(&r, quadrant + 1));
	r = tan_small(&r);
	if (quadrant & 1) {
		r = wide_div(wide_one(), r);
		r.sign = !r.sign;
	}
	return r;
}

/* ---- arc tangent --------------------------------------------------------------------------------------- */

enum { ATAN_TERMS = 51 }; /* tan(pi/8)^(2 * 51) < 2^-128 */

/* t - t^3/3 + t^5/5 ..., |t| <= tan(pi/8) */
static struct sf atan_series(const struct sf *t)
{
	const u128 square = wide_square(t);
	u128 sum = 0;

	if (t->class == SF_ZERO)
		return *t;
	for (unsigned k = ATAN_TERMS; k-- > 0;)
		sum = WIDE_ONE / (2 * k + 1) - wide_mulhi(square, sum);
	return wide_below(wide_mul(*t, wide_from_fixed(false, sum)));
}

/* atan(y/x) for positive y <= x: beyond pi/8, as pi/4 - atan((x - y)/(x + y)). */
static struct sf atan_octant(const struct sf *y, const struct sf *x)
{
	const struct sf t = wide_div(*y, *x);
	struct sf u;

	if (t.exp < -2 || (t.exp == -2 && t.sig < WIDE(0xd413cccfe7799211, 0)))
		return atan_series(&t);
	u = wide_div(wide_sub(*x, *y), wide_add(*x, *y));
	u = atan_series(&u);
	return wide_sub(wide_pi(-2), u);
}

/* Finite x and y, not zero, signs left out of account. */
static struct sf atan_quadrant(struct sf y, struct sf x)
{
	y.sign = x.sign = false;
	if (sf_order(&y, &x) & (SF_LESS | SF_EQUAL))
		return atan_octant(&y, &x);
	return wide_sub(wide_pi(-1), atan_octant(&x, &y));
}

/* The same for zeroes and infinities: as good as 0 : 1, 1 : 0, or 1 : 1. */
static struct sf atan_special(const struct sf *y, const struct sf *x)
{
	if (y->class == SF_INF && x->class == SF_INF)
		return wide_pi(-2);
	return y->class == SF_ZERO || x->class == SF_INF ? sf_zero(false) : wide_pi(-1);
}

struct sf soft_atan2(const struct sf *y, const struct sf *x)
{
	const bool finite = y->class == SF_FINITE && x->class == SF_FINITE;
	struct sf r = finite ? atan_quadrant(*y, *x) : atan_special(y, x);

	if (x->sign)
		r = r.class == SF_ZERO ? wide_pi(0) : wide_sub(wide_pi(0), r);
	r.sign = y->sign;
	return r;
}
