/* SPDX-License-Identifier: MIT */
/* Soft floating point: the arithmetic of IEEE 754, with the x86 rules for NaNs. */
#include "soft.h"

static struct sf quieted(struct sf a)
{
	a.class = SF_QNAN;
	a.sig |= (u128)1 << 126;
	return a;
}

/*
 * x87: the only NaN; of a quiet and a signalling one the quiet one; else the larger significand, and of equal ones the
 * positive (SDM vol. 1, table 4-7).
 */
static struct sf x87_nan(const struct sf *a, const struct sf *b)
{
	bool take_a;

	if (a->class == SF_UNSUPPORTED || b->class == SF_UNSUPPORTED)
		return sf_default_nan();
	if (!sf_is_nan(a) || !sf_is_nan(b))
		take_a = sf_is_nan(a);
	else if (a->class != b->class)
		take_a = a->class == SF_QNAN;
	else if (a->sig != b->sig)
		take_a = a->sig > b->sig;
	else
		take_a = !a->sign;
	return quieted(take_a ? *a : *b);
}

/* The invalid operation: nothing is said about denormals. */
static struct sf invalid(struct sf_env *env)
{
	env->flags |= SF_IE;
	return sf_default_nan();
}

bool sf_operands(struct sf_env *env, const struct sf *a, const struct sf *b, struct sf *r)
{
	if (!sf_is_nan(a) && !sf_is_nan(b))
		return false;
	if (a->class >= SF_SNAN || b->class >= SF_SNAN)
		env->flags |= SF_IE;
	if (env->x87)
		*r = x87_nan(a, b);
	else
		*r = quieted(sf_is_nan(a) ? *a : *b);
	return true;
}

static void note_denormal(struct sf_env *env, const struct sf *a, const struct sf *b)
{
	if (a->denormal || b->denormal)
		env->flags |= SF_DE;
}

/* An exact zero is positive, but for rounding down; of equal signs it keeps the sign. */
static struct sf zero_sum(const struct sf_env *env, bool a, bool b)
{
	return sf_zero(a == b ? a : env->rc == SF_DOWN);
}

/* |a| + |b|, exponents ordered a >= b. The bits below make room for the carry. */
static struct sf add_magnitudes(struct sf a, struct sf b)
{
	const u128 x = a.sig >> 1 | (a.sig & 1), y = sf_shift_jam(b.sig, (uint32_t)(a.exp - b.exp) + 1);
	const u128 sum = x + y, sticky = x & y & 1; /* two sticky bits make no carry */

	return sf_make(a.sign, a.exp + 1, sticky ? sum - 1 : sum);
}

/* |a| - |b|, where a is not the smaller one. */
static struct sf sub_magnitudes(const struct sf_env *env, struct sf a, struct sf b)
{
	const u128 y = sf_shift_jam(b.sig, (uint32_t)(a.exp - b.exp));

	if (a.sig == y)
		return zero_sum(env, a.sign, !a.sign);
	/* What b has lost makes the exact difference smaller: the jammed bit takes that into account. */
	return sf_make(a.sign, a.exp, a.sig - y);
}

static bool is_smaller(const struct sf *a, const struct sf *b)
{
	return a->exp != b->exp ? a->exp < b->exp : a->sig < b->sig;
}

struct sf sf_add_finite(const struct sf_env *env, struct sf a, struct sf b)
{
	const bool swap = is_smaller(&a, &b);

	if (a.class == SF_ZERO && b.class == SF_ZERO)
		return zero_sum(env, a.sign, b.sign);
	if (a.class == SF_ZERO || b.class == SF_ZERO)
		return a.class == SF_ZERO ? b : a;
	if (a.sign == b.sign)
		return swap ? add_magnitudes(b, a) : add_magnitudes(a, b);
	return swap ? sub_magnitudes(env, b, a) : sub_magnitudes(env, a, b);
}

static struct sf add_numbers(struct sf_env *env, struct sf a, struct sf b)
{
	if (a.class == SF_INF && b.class == SF_INF && a.sign != b.sign)
		return invalid(env);
	note_denormal(env, &a, &b);
	if (a.class == SF_INF || b.class == SF_INF)
		return a.class == SF_INF ? a : b;
	return sf_add_finite(env, a, b);
}

struct sf sf_add(struct sf_env *env, struct sf a, struct sf b)
{
	struct sf r;

	return sf_operands(env, &a, &b, &r) ? r : add_numbers(env, a, b);
}

struct sf sf_sub(struct sf_env *env, struct sf a, struct sf b)
{
	struct sf r;

	if (sf_operands(env, &a, &b, &r))
		return r;
	b.sign = !b.sign;
	return add_numbers(env, a, b);
}

/* The exact product of two significands of 64 bits. */
static struct sf mul_finite(const struct sf *a, const struct sf *b)
{
	const u128 product = (u128)(uint64_t)(a->sig >> 64) * (uint64_t)(b->sig >> 64);

	return sf_make(a->sign != b->sign, a->exp + b->exp + 1, product);
}

static struct sf mul_numbers(const struct sf *a, const struct sf *b)
{
	const bool sign = a->sign != b->sign;

	if (a->class == SF_INF || b->class == SF_INF)
		return sf_inf(sign);
	if (a->class == SF_ZERO || b->class == SF_ZERO)
		return sf_zero(sign);
	return mul_finite(a, b);
}

static bool is_zero_times_inf(const struct sf *a, const struct sf *b)
{
	return (a->class == SF_INF && b->class == SF_ZERO) || (a->class == SF_ZERO && b->class == SF_INF);
}

struct sf sf_mul(struct sf_env *env, struct sf a, struct sf b)
{
	struct sf r;

	if (sf_operands(env, &a, &b, &r))
		return r;
	if (is_zero_times_inf(&a, &b))
		return invalid(env);
	note_denormal(env, &a, &b);
	return mul_numbers(&a, &b);
}

/* 64 bits of significand each: 126 bits of quotient, and sticky. */
static struct sf div_finite(const struct sf *a, const struct sf *b)
{
	const uint64_t n = (uint64_t)(a->sig >> 64), d = (uint64_t)(b->sig >> 64);
	const u128 high = ((u128)n << 63) / d, rest = ((u128)n << 63) % d;
	const u128 low = (rest << 62) / d, sticky = (rest << 62) % d != 0;

	return sf_make(a->sign != b->sign, a->exp - b->exp + 2, high << 62 | low | sticky);
}

struct sf sf_div(struct sf_env *env, struct sf a, struct sf b)
{
	const bool sign = a.sign != b.sign;
	struct sf r;

	if (sf_operands(env, &a, &b, &r))
		return r;
	if (a.class == b.class && a.class != SF_FINITE)
		return invalid(env);
	/* Division by zero comes before denormals. */
	if (b.class == SF_ZERO && a.class != SF_INF) {
		env->flags |= SF_ZE;
		return sf_inf(sign);
	}
	note_denormal(env, &a, &b);
	if (a.class == SF_INF)
		return sf_inf(sign);
	if (b.class == SF_INF || a.class == SF_ZERO)
		return sf_zero(sign);
	return div_finite(&a, &b);
}

/* Digit by digit: 66 bits of root of a significand of 64 bits, and sticky. */
static struct sf sqrt_finite(const struct sf *a)
{
	const bool odd = a->exp & 1;
	u128 rest = 0, root = 0, bits = odd ? a->sig : a->sig >> 1;

	for (unsigned k = 0; k < 66; k++) {
		const u128 trial = root << 2 | 1;

		rest = rest << 2 | bits >> 126;
		bits <<= 2;
		root <<= 1;
		if (rest >= trial) {
			rest -= trial;
			root |= 1;
		}
	}
	return sf_make(false, (a->exp - odd) / 2, root << 62 | (rest != 0));
}

struct sf sf_sqrt(struct sf_env *env, struct sf a)
{
	struct sf r;

	if (sf_operands(env, &a, &a, &r))
		return r;
	if (a.sign && a.class != SF_ZERO)
		return invalid(env);
	note_denormal(env, &a, &a);
	return a.class == SF_FINITE ? sqrt_finite(&a) : a;
}

/* NaNs of a, b, c in this order; 0 * infinity is invalid only beside a number. */
struct sf sf_fma(struct sf_env *env, struct sf a, struct sf b, struct sf c)
{
	struct sf r, product;

	if (c.class == SF_SNAN)
		env->flags |= SF_IE;
	if (sf_operands(env, &a, &b, &r))
		return r;
	if (sf_is_nan(&c))
		return quieted(c);
	if (is_zero_times_inf(&a, &b))
		return invalid(env);
	product = mul_numbers(&a, &b);
	r = add_numbers(env, product, c);
	if (!sf_is_nan(&r))
		note_denormal(env, &a, &b);
	return r;
}
