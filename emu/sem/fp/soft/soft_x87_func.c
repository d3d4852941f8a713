/* SPDX-License-Identifier: MIT */
/* Provider P, x87: remainders, scaling, extraction, rounding to integers. */
#include "soft_x87.h"

#define ST0 soft_x87_unpack(&x->st[0])
#define ST1 soft_x87_unpack(&x->st[1])

static void note_denormals(struct sf_env *env, const struct sf *a, const struct sf *b)
{
	if (a->denormal || b->denormal)
		env->flags |= SF_DE;
}

void soft_frndint(struct fp_x87 *x)
{
	struct sf_env env = soft_x87_env(x);
	const struct sf a = ST0;
	bool inexact = false, up = false;
	struct sf r;

	if (!sf_operands(&env, &a, &a, &r)) {
		note_denormals(&env, &a, &a);
		r = sf_to_integral(&env, a, &inexact);
		up = env.up;
	}
	soft_x87_result(x, &env, SOFT_X87_PRECISION, r, 0, 1);
	if (soft_x87_stopped(&env))
		return;
	env.flags |= inexact ? SF_PE : 0;
	soft_x87_status(x, &env, up ? SOFT_C1 : 0);
}

/* ---- FSCALE -------------------------------------------------------------------------------------------- */

/* The integer part of a finite number, as far as exponents can matter. */
static int32_t clamped_integer(struct sf b)
{
	const int32_t limit = 0x10000;
	struct sf_env chop = { .rc = SF_CHOP };
	bool inexact;
	int32_t n;

	b = sf_to_integral(&chop, b, &inexact);
	if (b.class == SF_FINITE && b.exp >= 16)
		n = limit;
	else
		n = (int32_t)sf_low_u64(&b);
	return b.sign ? -n : n;
}

static struct sf scale(struct sf_env *env, struct sf a, struct sf b)
{
	struct sf r;

	if (sf_operands(env, &a, &b, &r))
		return r;
	if (b.class == SF_INF && (b.sign ? a.class == SF_INF : a.class == SF_ZERO))
		return soft_x87_invalid(env);
	note_denormals(env, &a, &b);
	if (a.class != SF_FINITE)
		return a;
	if (b.class == SF_INF)
		return b.sign ? sf_zero(a.sign) : sf_inf(a.sign);
	a.exp += clamped_integer(b);
	return a;
}

void soft_fscale(struct fp_x87 *x)
{
	struct sf_env env = soft_x87_env(x);

	soft_x87_result(x, &env, SOFT_X87_PRECISION, scale(&env, ST0, ST1), 0, 2);
}

/* ---- FXTRACT ------------------------------------------------------------------------------------------- */

static struct sf exponent_of(const struct sf *a)
{
	switch (a->class) {
	case SF_ZERO:
		return sf_inf(true);
	case SF_INF:
		return sf_inf(false);
	case SF_FINITE:
		break;
	case SF_QNAN:
	case SF_SNAN:
	case SF_UNSUPPORTED:
		return *a;
	}
	return sf_from_u64(a->exp < 0, (uint64_t)(a->exp < 0 ? -a->exp : a->exp));
}

/* ST0 becomes the exponent, and the significand is pushed. */
void soft_fxtract(struct fp_x87 *x)
{
	struct sf_env env = soft_x87_env(x);
	struct sf a = ST0, r;

	if (sf_operands(&env, &a, &a, &r))
		a = r;
	else
		note_denormals(&env, &a, &a);
	if (a.class == SF_ZERO)
		env.flags |= SF_ZE;
	x->depth = 1;
	if (!soft_x87_stopped(&env)) {
		r = exponent_of(&a);
		a.exp = 0;
		x->depth = 2;
		x->st[0] = soft_x87_pack(&a);
		x->st[1] = soft_x87_pack(&r);
	}
	soft_x87_status(x, &env, 0);
}

/* ---- FPREM, FPREM1 ------------------------------------------------------------------------------------- */

/* Quotient bits of the last step: C0 C3 C1 are bits 2, 1 and 0. */
static unsigned quotient_codes(uint64_t q)
{
	return (q & 4 ? SOFT_C0 : 0) | (q & 2 ? SOFT_C3 : 0) | (q & 1 ? SOFT_C1 : 0);
}

/*
 * |a| - |b| * q * 2^(distance - n), for exponents `distance` apart, of which n < 64 are done in this step. `nearest`
 * for FPREM1's last step.
 */
static struct sf remainder_step(const struct sf *a, const struct sf *b, unsigned n, int32_t distance, bool nearest,
				uint64_t *q)
{
	/* One below: twice the divisor, so that the quotient can still round to one. */
	const bool below = distance < 0;
	const u128 dividend = (u128)(uint64_t)(a->sig >> 64) << n, divisor = (b->sig >> 64) << below;
	u128 rest = dividend % divisor;
	bool sign = a->sign;

	*q = (uint64_t)(dividend / divisor);
	if (nearest && (rest > divisor - rest || (rest == divisor - rest && *q & 1))) {
		rest = divisor - rest;
		sign = !sign;
		++*q;
	}
	if (rest == 0)
		return sf_zero(a->sign);
	return sf_make(sign, a->exp - (int32_t)n + 64, rest);
}

/* Finite, b not zero. Returns the remainder, or with C2 in *cc a number that is congruent to it and smaller than a. */
static struct sf remainder_of(const struct sf *a, const struct sf *b, bool nearest, unsigned *cc)
{
	const int32_t distance = a->exp - b->exp;
	struct sf r;
	uint64_t q;

	if (a->class == SF_ZERO || distance < (nearest ? -1 : 0))
		return *a;
	if (distance < 64) {
		r = remainder_step(a, b, distance < 0 ? 0 : (unsigned)distance, distance, nearest, &q);
		*cc = quotient_codes(q);
		return r;
	}
	/* The part of the distance that is done leaves a multiple of 32. */
	*cc = SOFT_C2;
	return remainder_step(a, b, ((unsigned)distance & 31) | 32, distance, false, &q);
}

static void partial_remainder(struct fp_x87 *x, bool nearest)
{
	struct sf_env env = soft_x87_env(x);
	const struct sf a = ST0, b = ST1;
	unsigned cc = 0;
	struct sf r;

	if (!sf_operands(&env, &a, &b, &r)) {
		if (a.class == SF_INF || b.class == SF_ZERO) {
			r = soft_x87_invalid(&env);
		} else {
			note_denormals(&env, &a, &b);
			r = b.class == SF_INF ? a : remainder_of(&a, &b, nearest, &cc);
		}
	}
	soft_x87_result(x, &env, SOFT_X87_PRECISION, r, 0, 2);
	soft_x87_status(x, &env, soft_x87_stopped(&env) ? 0 : cc);
}

void soft_fprem(struct fp_x87 *x)
{
	partial_remainder(x, false);
}

void soft_fprem1(struct fp_x87 *x)
{
	partial_remainder(x, true);
}
