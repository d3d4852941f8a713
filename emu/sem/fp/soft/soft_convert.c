/* SPDX-License-Identifier: MIT */
/* Soft floating point: comparison, and conversion from and to integers. */
#include "soft.h"

/* Of positive, negative or zero numbers as if they were integers: sign and magnitude. */
static int order_magnitudes(const struct sf *a, const struct sf *b)
{
	if (a->class != b->class)
		return a->class < b->class ? -1 : 1; /* SF_ZERO, SF_FINITE, SF_INF */
	if (a->class != SF_FINITE)
		return 0;
	if (a->exp != b->exp)
		return a->exp < b->exp ? -1 : 1;
	return a->sig < b->sig ? -1 : a->sig > b->sig;
}

unsigned sf_order(const struct sf *a, const struct sf *b)
{
	int order;

	if (a->class == SF_ZERO && b->class == SF_ZERO)
		return SF_EQUAL;
	if (a->sign != b->sign)
		return a->sign ? SF_LESS : SF_GREATER;
	order = order_magnitudes(a, b);
	if (order == 0)
		return SF_EQUAL;
	return (order < 0) != a->sign ? SF_LESS : SF_GREATER;
}

unsigned sf_compare(struct sf_env *env, const struct sf *a, const struct sf *b, bool signalling)
{
	if (sf_is_nan(a) || sf_is_nan(b)) {
		if (signalling || a->class >= SF_SNAN || b->class >= SF_SNAN)
			env->flags |= SF_IE;
		return SF_UNORDERED;
	}
	if (a->denormal || b->denormal)
		env->flags |= SF_DE;
	return sf_order(a, b);
}

/* Less than 2^63 here: one rounding with as many bits as stand before the point. */
struct sf sf_to_integral(struct sf_env *env, struct sf a, bool *inexact)
{
	struct sf_env quiet = { .rc = env->rc };
	const struct sf_format wide = { .precision = 1, .width = 0, .bias = 16383 };
	struct sf r = a;

	*inexact = env->up = false;
	if (a.class != SF_FINITE || a.exp >= 127)
		return a;
	if (a.exp < 0) {
		/* Between zero and one, in units of 2^-127. */
		a.sig = sf_shift_jam(a.sig, (uint32_t)-a.exp);
		*inexact = true;
		env->up =
			quiet.rc == SF_NEAREST ? a.sig > (u128)1 << 126 : quiet.rc != SF_CHOP && (quiet.rc == SF_DOWN) == a.sign;
		return env->up ? sf_from_u64(a.sign, 1) : sf_zero(a.sign);
	}
	r = sf_round(&quiet, &wide, (unsigned)a.exp + 1, a);
	*inexact = quiet.flags & SF_PE;
	env->up = quiet.up;
	return r;
}

uint64_t sf_low_u64(const struct sf *a)
{
	if (a->class != SF_FINITE || a->exp < 0 || a->exp > 127)
		return 0;
	return (uint64_t)(a->sig >> (127 - a->exp));
}

/* Is the integer |a| at most `limit`? */
static bool is_at_most(const struct sf *a, uint64_t limit)
{
	return a->class == SF_ZERO || (a->class == SF_FINITE && a->exp < 64 && sf_low_u64(a) <= limit);
}

uint64_t sf_to_signed(struct sf_env *env, struct sf a, unsigned bits)
{
	const uint64_t least = 1ull << (bits - 1), all = least << 1 ? (least << 1) - 1 : UINT64_MAX;
	bool inexact;
	uint64_t value;

	a = sf_to_integral(env, a, &inexact);
	if (!is_at_most(&a, a.sign ? least : least - 1)) {
		env->flags |= SF_IE;
		env->up = false;
		return least;
	}
	if (inexact)
		env->flags |= SF_PE;
	value = sf_low_u64(&a);
	return (a.sign ? -value : value) & all;
}

uint64_t sf_to_unsigned(struct sf_env *env, struct sf a, unsigned bits)
{
	const uint64_t all = UINT64_MAX >> (64 - bits);
	bool inexact;

	a = sf_to_integral(env, a, &inexact);
	if (!is_at_most(&a, a.sign ? 0 : all)) {
		env->flags |= SF_IE;
		return all;
	}
	if (inexact)
		env->flags |= SF_PE;
	return sf_low_u64(&a);
}
