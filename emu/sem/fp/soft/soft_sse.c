/* SPDX-License-Identifier: MIT */
/* Provider P, SSE arithmetic and comparison. */
#include "soft_sse.h"

static uint32_t each(union vec *d, const union vec *s, uint32_t mxcsr, const struct sf_format *f, unsigned count,
		     soft_element_fn *fn)
{
	struct sf_env env = soft_env(mxcsr);

	for (unsigned k = 0; k < count; k++)
		soft_put(d, f, k, fn(&env, f, soft_bits(d, f, k), soft_bits(s, f, k)));
	return env.flags;
}

#define ARITHMETIC(op)                                                                                            \
	uint64_t soft_el_##op(struct sf_env *env, const struct sf_format *f, uint64_t a, uint64_t b)                 \
	{                                                                                                         \
		return sf_finish(env, f, sf_##op(env, sf_unpack(env, f, a), sf_unpack(env, f, b)));               \
	}
ARITHMETIC(add)
ARITHMETIC(sub)
ARITHMETIC(mul)
ARITHMETIC(div)

uint64_t soft_el_sqrt(struct sf_env *env, const struct sf_format *f, uint64_t a, uint64_t b)
{
	return sf_finish(env, f, sf_sqrt(env, sf_unpack(env, f, b)));
}

/* MIN and MAX give the second operand if one is a NaN, or if both are zero (SDM vol. 2, MINPS). */
static uint64_t choose(struct sf_env *env, const struct sf_format *f, uint64_t a, uint64_t b, unsigned wanted)
{
	const struct sf x = sf_unpack(env, f, a), y = sf_unpack(env, f, b);

	/* With DAZ, a denormal operand is a zero, also as the result. */
	if (sf_compare(env, &x, &y, true) == wanted)
		return x.class == SF_ZERO ? sf_pack(f, &x) : a;
	return y.class == SF_ZERO ? sf_pack(f, &y) : b;
}

uint64_t soft_el_min(struct sf_env *env, const struct sf_format *f, uint64_t a, uint64_t b)
{
	return choose(env, f, a, b, SF_LESS);
}

uint64_t soft_el_max(struct sf_env *env, const struct sf_format *f, uint64_t a, uint64_t b)
{
	return choose(env, f, a, b, SF_GREATER);
}

/* ROUNDxx: PE, but neither DE nor UE. */
static uint64_t soft_el_round(struct sf_env *env, const struct sf_format *f, uint64_t a, uint64_t b)
{
	struct sf x = sf_unpack(env, f, b);
	bool inexact;

	if (x.class == SF_SNAN)
		env->flags |= SF_IE;
	x = sf_to_integral(env, x, &inexact);
	if (inexact)
		env->flags |= SF_PE;
	return sf_pack(f, &x);
}

/* An element of all ones where one of `holds` is true. */
static uint64_t compare(struct sf_env *env, const struct sf_format *f, uint64_t a, uint64_t b, unsigned holds,
			bool signalling)
{
	const struct sf x = sf_unpack(env, f, a), y = sf_unpack(env, f, b);

	return sf_compare(env, &x, &y, signalling) & holds ? UINT64_MAX : 0;
}

#define COMPARISON(name, holds, signalling)                                                                       \
	static uint64_t soft_el_##name(struct sf_env *env, const struct sf_format *f, uint64_t a, uint64_t b)          \
	{                                                                                                         \
		return compare(env, f, a, b, holds, signalling);                                                  \
	}
COMPARISON(cmpeq, SF_EQUAL, false)
COMPARISON(cmplt, SF_LESS, true)
COMPARISON(cmple, SF_LESS | SF_EQUAL, true)
COMPARISON(cmpunord, SF_UNORDERED, false)
COMPARISON(cmpneq, SF_LESS | SF_GREATER | SF_UNORDERED, false)
COMPARISON(cmpnlt, SF_EQUAL | SF_GREATER | SF_UNORDERED, true)
COMPARISON(cmpnle, SF_GREATER | SF_UNORDERED, true)
COMPARISON(cmpord, SF_LESS | SF_EQUAL | SF_GREATER, false)

#define SOFT_EACH(name, op, format, count)                                                                        \
	uint32_t soft_##name(union vec *d, const union vec *s, uint32_t mxcsr)                                    \
	{                                                                                                         \
		return each(d, s, mxcsr, format, count, soft_el_##op);                                                      \
	}
#define SOFT_ELEMENTS(P, F, op) SOFT_TYPED(SOFT_EACH, op)
FP_ARITHMETIC(SOFT_ELEMENTS, , )
FP_COMPARISONS(SOFT_ELEMENTS, , )
SOFT_ELEMENTS(, , round)

/* ---- neighbours ---------------------------------------------------------------------------------------- */

static uint32_t addsub(union vec *d, const union vec *s, uint32_t mxcsr, const struct sf_format *f, unsigned count)
{
	struct sf_env env = soft_env(mxcsr);

	for (unsigned k = 0; k < count; k++)
		soft_put(d, f, k, (k & 1 ? soft_el_add : soft_el_sub)(&env, f, soft_bits(d, f, k), soft_bits(s, f, k)));
	return env.flags;
}

/* Pairs of d, then pairs of s. */
static uint32_t horizontal(union vec *d, const union vec *s, struct sf_env env, const struct sf_format *f,
			   unsigned count, soft_element_fn *fn)
{
	const union vec from[2] = { *d, *s };

	for (unsigned k = 0; k < count; k++) {
		const union vec *v = &from[2 * k / count];
		const unsigned at = 2 * k % count;

		soft_put(d, f, k, fn(&env, f, soft_bits(v, f, at), soft_bits(v, f, at + 1)));
	}
	return env.flags;
}

#define SOFT_NEIGHBOURS(type, format, count)                                                                      \
	uint32_t soft_addsub##type(union vec *d, const union vec *s, uint32_t mxcsr)                              \
	{                                                                                                         \
		return addsub(d, s, mxcsr, format, count);                                                        \
	}                                                                                                         \
	uint32_t soft_hadd##type(union vec *d, const union vec *s, uint32_t mxcsr)                                \
	{                                                                                                         \
		return horizontal(d, s, soft_env(mxcsr), format, count, soft_el_add);                                     \
	}                                                                                                         \
	uint32_t soft_hsub##type(union vec *d, const union vec *s, uint32_t mxcsr)                                \
	{                                                                                                         \
		return horizontal(d, s, soft_env(mxcsr), format, count, soft_el_sub);                                     \
	}
SOFT_NEIGHBOURS(ps, SOFT_PS, 4)
SOFT_NEIGHBOURS(pd, SOFT_PD, 2)

/* (0 + 1) + (2 + 3), each step rounded (SDM vol. 2, DPPS). */
uint32_t soft_dpps(union vec *d, const union vec *s, uint32_t mxcsr)
{
	uint32_t flags = soft_mulps(d, s, mxcsr);

	flags |= soft_haddps(d, d, mxcsr);
	return flags | soft_haddps(d, d, mxcsr);
}

uint32_t soft_dppd(union vec *d, const union vec *s, uint32_t mxcsr)
{
	const uint32_t flags = soft_mulpd(d, s, mxcsr);

	return flags | soft_haddpd(d, d, mxcsr);
}

/* ---- RFLAGS as LAHF gives them ------------------------------------------------------------------------- */

static uint32_t compare_flags(union vec *d, const union vec *s, uint32_t mxcsr, const struct sf_format *f,
			      bool signalling)
{
	enum { CF = 0x01, FIXED = 0x02, PF = 0x04, ZF = 0x40 };
	struct sf_env env = soft_env(mxcsr);
	const struct sf a = soft_element(&env, d, f, 0), b = soft_element(&env, s, f, 0);
	const unsigned order = sf_compare(&env, &a, &b, signalling);

	d->u64[1] = 0;
	d->u64[0] = FIXED | (order & (SF_LESS | SF_UNORDERED) ? CF : 0) | (order & (SF_EQUAL | SF_UNORDERED) ? ZF : 0) |
		    (order == SF_UNORDERED ? PF : 0);
	return env.flags;
}

#define SOFT_COMPARE(name, format, signalling)                                                                    \
	uint32_t soft_##name(union vec *d, const union vec *s, uint32_t mxcsr)                                    \
	{                                                                                                         \
		return compare_flags(d, s, mxcsr, format, signalling);                                            \
	}
SOFT_COMPARE(comiss, SOFT_SS, true)
SOFT_COMPARE(comisd, SOFT_SD, true)
SOFT_COMPARE(ucomiss, SOFT_SS, false)
SOFT_COMPARE(ucomisd, SOFT_SD, false)
