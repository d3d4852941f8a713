/* SPDX-License-Identifier: MIT */
/* Soft floating point: formats, taking numbers apart, rounding and putting them together. */
#include "soft.h"

const struct sf_format sf_f16 = { .precision = 11, .width = 16, .bias = 15 };
const struct sf_format sf_bf16 = { .precision = 8, .width = 16, .bias = 127 };
const struct sf_format sf_f32 = { .precision = 24, .width = 32, .bias = 127 };
const struct sf_format sf_f64 = { .precision = 53, .width = 64, .bias = 1023 };
const struct sf_format sf_f80 = { .precision = 64, .width = 80, .bias = 16383 };

/* The x87 wraps the exponent of an unmasked overflow or underflow by this (SDM vol. 1, 8.5.4 and 8.5.5). */
enum { X87_EXPONENT_WRAP = 24576 };

struct sf sf_make(bool sign, int32_t exp, u128 sig)
{
	unsigned shift;

	if (sig == 0)
		return sf_zero(sign);
	shift = sf_clz(sig);
	return (struct sf){ .class = SF_FINITE, .sign = sign, .exp = exp - (int32_t)shift, .sig = sig << shift };
}

struct sf sf_from_u64(bool sign, uint64_t value)
{
	return sf_make(sign, 63, (u128)value << 64);
}

struct sf sf_zero(bool sign)
{
	return (struct sf){ .class = SF_ZERO, .sign = sign };
}

struct sf sf_inf(bool sign)
{
	return (struct sf){ .class = SF_INF, .sign = sign };
}

struct sf sf_default_nan(void)
{
	return (struct sf){ .class = SF_QNAN, .sign = true, .sig = (u128)3 << 126 };
}

/* Exponent field zero. */
static struct sf unpack_denormal(const struct sf_env *env, const struct sf_format *f, bool sign, uint64_t fraction)
{
	struct sf a;

	if (fraction == 0 || env->daz)
		return sf_zero(sign);
	a = sf_make(sign, 1 - f->bias, (u128)fraction << (128 - f->precision));
	a.denormal = true;
	return a;
}

struct sf sf_unpack(const struct sf_env *env, const struct sf_format *f, uint64_t bits)
{
	const unsigned stored = f->precision - 1u;
	const uint64_t fraction = bits & ((1ull << stored) - 1);
	const int32_t biased = (int32_t)(bits >> stored) & (2 * f->bias + 1);
	const bool sign = bits >> (f->width - 1) & 1;
	struct sf a = { .sign = sign, .sig = (u128)1 << 127 | (u128)fraction << (128 - f->precision) };

	if (biased == 0)
		return unpack_denormal(env, f, sign, fraction);
	a.exp = biased - f->bias;
	a.class = SF_FINITE;
	if (biased == 2 * f->bias + 1)
		a.class = fraction == 0 ? SF_INF : a.sig >> 126 & 1 ? SF_QNAN : SF_SNAN;
	return a;
}

/* Is the magnitude rounded up, when `rest` below `unit` is dropped? */
static bool rounds_up(unsigned rc, bool sign, u128 rest, u128 unit, bool odd)
{
	switch (rc) {
	case SF_NEAREST:
		return rest > unit >> 1 || (rest == unit >> 1 && odd);
	case SF_DOWN:
		return sign && rest;
	case SF_UP:
		return !sign && rest;
	}
	return false;
}

/* Keeps the `precision` uppermost bits of sig. True if that was inexact. */
static bool round_sig(struct sf *a, unsigned precision, unsigned rc, bool *up)
{
	const u128 unit = (u128)1 << (128 - precision), rest = a->sig & (unit - 1);

	*up = rounds_up(rc, a->sign, rest, unit, (a->sig & unit) != 0);
	a->sig -= rest;
	if (*up) {
		a->sig += unit;
		if (a->sig == 0) {
			a->sig = (u128)1 << 127;
			a->exp++;
		}
	}
	return rest != 0;
}

/* Too large: infinity, or the largest number when rounding goes the other way. */
static struct sf overflow(struct sf_env *env, const struct sf_format *f, unsigned precision, bool sign)
{
	env->flags |= SF_OE | SF_PE;
	env->up = rounds_up(env->rc, sign, 3, 4, true);
	if (env->up)
		return sf_inf(sign);
	return (struct sf){ .class = SF_FINITE, .sign = sign, .exp = f->bias, .sig = ~(u128)0 << (128 - precision) };
}

/* Smaller than the normal numbers, even when rounded with unbounded exponent. */
static struct sf underflow(struct sf_env *env, const struct sf_format *f, unsigned precision, struct sf a)
{
	const int32_t emin = 1 - f->bias;

	if (env->ftz) {
		env->flags |= SF_UE | SF_PE;
		return sf_zero(a.sign);
	}
	a.sig = sf_shift_jam(a.sig, (uint32_t)(emin - a.exp));
	a.exp = emin;
	if (round_sig(&a, precision, env->rc, &env->up))
		env->flags |= SF_UE | SF_PE;
	if (a.sig == 0)
		return sf_zero(a.sign);
	return a;
}

static bool is_in_range(const struct sf_format *f, const struct sf *a)
{
	return a->exp >= 1 - f->bias && a->exp <= f->bias;
}

/* The result of an unmasked overflow or underflow: `a`, rounded already, scaled into the range if it can be. SSE has no
 * result then, and any that raises nothing more will do. */
static struct sf wrapped(struct sf_env *env, const struct sf_format *f, struct sf a, bool inexact, bool is_large)
{
	a.exp += is_large ? -X87_EXPONENT_WRAP : X87_EXPONENT_WRAP;
	env->flags |= (is_large ? SF_OE : SF_UE) | (inexact ? SF_PE : 0u);
	if (!env->x87)
		return is_large ? sf_inf(a.sign) : sf_zero(a.sign);
	if (is_in_range(f, &a))
		return a;
	/* FSCALE can do that: infinity or zero, in whatever direction is rounded. */
	env->flags |= SF_PE;
	env->up = is_large;
	return is_large ? sf_inf(a.sign) : sf_zero(a.sign);
}

struct sf sf_round(struct sf_env *env, const struct sf_format *f, unsigned precision, struct sf a)
{
	struct sf r = a;
	bool inexact;

	env->up = false;
	if (a.class != SF_FINITE)
		return a;
	inexact = round_sig(&r, precision, env->rc, &env->up);
	if (r.exp > f->bias) {
		if (env->unmasked & SF_OE)
			return wrapped(env, f, r, inexact, true);
		return overflow(env, f, precision, a.sign);
	}
	if (r.exp < 1 - f->bias) {
		if (env->unmasked & SF_UE)
			return wrapped(env, f, r, inexact, false);
		return underflow(env, f, precision, a);
	}
	if (inexact)
		env->flags |= SF_PE;
	return r;
}

uint64_t sf_pack(const struct sf_format *f, const struct sf *a)
{
	const unsigned stored = f->precision - 1u;
	const uint64_t sign = (uint64_t)a->sign << (f->width - 1);
	const uint64_t top = (uint64_t)(a->sig >> (128 - f->precision)), fraction = top & ((1ull << stored) - 1);
	uint64_t biased = 2u * (unsigned)f->bias + 1;

	switch (a->class) {
	case SF_ZERO:
		return sign;
	case SF_INF:
		return sign | biased << stored;
	case SF_FINITE:
		biased = top >> stored ? (uint64_t)(a->exp + f->bias) : 0;
		return sign | biased << stored | fraction;
	case SF_QNAN:
	case SF_SNAN:
	case SF_UNSUPPORTED:
		break;
	}
	return sign | biased << stored | fraction | 1ull << (stored - 1);
}

uint64_t sf_finish(struct sf_env *env, const struct sf_format *f, struct sf a)
{
	a = sf_round(env, f, f->precision, a);
	return sf_pack(f, &a);
}
