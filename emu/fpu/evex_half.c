/* SPDX-License-Identifier: MIT */
/*
 * AVX512-FP16: arithmetic and conversions of half precision, element by element in soft floating point: no host that we
 * know of has them everywhere. Comparisons, classes, exponents, significands and rounding are those of evex_special.c.
 */
#include "evex_fp.h"
#include "soft/soft.h"

/* Half precision takes denormals as they are; the other formats follow MXCSR, as sources only. */
static struct sf_env env_of(const struct fp_context *c)
{
	return (struct sf_env){ .rc = (uint8_t)fp_rounding_of(c->mxcsr), .daz = c->mxcsr & MXCSR_DAZ };
}

static const struct sf_env as_it_is;

static struct sf half(uint64_t bits)
{
	return sf_unpack(&as_it_is, &sf_f16, bits & 0xffff);
}

/* Rounds into format f. An unmasked underflow is reported for every tiny result (SDM vol. 1, 4.9.1.5). */
static uint64_t finish(struct fp_context *c, struct sf_env *env, const struct sf_format *f, struct sf r)
{
	const uint64_t bits = sf_finish(env, f, r);

	c->flags |= env->flags | (env->tiny && !(c->mxcsr & MXCSR_UM) ? MXCSR_UE : 0u);
	return bits;
}

/* ---- arithmetic ---------------------------------------------------------------------------------------- */

#define ELEMENT_SEM(name)                                                                                         \
	SEM(evex_##name)                                                                                          \
	{                                                                                                         \
		return evex_elements(e, i, name);                                                                 \
	}

#define BINARY(name, op)                                                                                          \
	static uint64_t name(struct fp_context *c, uint64_t a, uint64_t b)                                        \
	{                                                                                                         \
		struct sf_env env = env_of(c);                                                                    \
		return finish(c, &env, &sf_f16, op(&env, half(a), half(b)));                                      \
	}                                                                                                         \
	ELEMENT_SEM(name)
BINARY(addph, sf_add)
BINARY(subph, sf_sub)
BINARY(mulph, sf_mul)
BINARY(divph, sf_div)

static uint64_t sqrtph(struct fp_context *c, uint64_t a, uint64_t b)
{
	struct sf_env env = env_of(c);

	return finish(c, &env, &sf_f16, sf_sqrt(&env, half(b)));
}
ELEMENT_SEM(sqrtph)

/* The second operand if one is a NaN, or if both are zero. */
static uint64_t choose(struct fp_context *c, uint64_t a, uint64_t b, unsigned wanted)
{
	const struct sf x = half(a), y = half(b);
	struct sf_env env = env_of(c);
	const bool first = sf_compare(&env, &x, &y, true) == wanted;

	c->flags |= env.flags;
	return first ? a : b;
}

static uint64_t minph(struct fp_context *c, uint64_t a, uint64_t b)
{
	return choose(c, a, b, SF_LESS);
}
ELEMENT_SEM(minph)

static uint64_t maxph(struct fp_context *c, uint64_t a, uint64_t b)
{
	return choose(c, a, b, SF_GREATER);
}
ELEMENT_SEM(maxph)

/* x * y + z, where signs of numbers, but not of NaNs, are turned. */
static uint64_t multiply_add(struct fp_context *c, struct sf x, struct sf y, struct sf z, bool product, bool addend)
{
	struct sf_env env = env_of(c);

	x.sign ^= product && !sf_is_nan(&x);
	z.sign ^= addend && !sf_is_nan(&z);
	return finish(c, &env, &sf_f16, sf_fma(&env, x, y, z));
}

/* The digits name the order of the operands: 1 is the destination, 2 is H, 3 is W. */
#define FMA_FORM(name, x, y, z, product, addend)                                                                  \
	static uint64_t name(struct fp_context *c, uint64_t a, uint64_t b)                                        \
	{                                                                                                         \
		return multiply_add(c, half(x), half(y), half(z), product, addend);                               \
	}                                                                                                         \
	ELEMENT_SEM(name)
#define FMA_FORMS(name, suffix, product, addend)                                                                  \
	FMA_FORM(name##132##suffix, c->old, b, a, product, addend)                                                \
	FMA_FORM(name##213##suffix, a, c->old, b, product, addend)                                                \
	FMA_FORM(name##231##suffix, a, b, c->old, product, addend)
FMA_FORMS(fmadd, ph, false, false)
FMA_FORMS(fmsub, ph, false, true)
FMA_FORMS(fnmadd, ph, true, false)
FMA_FORMS(fnmsub, ph, true, true)
FMA_FORMS(fmaddsub, ph, false, !(c->index & 1))
FMA_FORMS(fmsubadd, ph, false, c->index & 1)

/* Scalars: what lies above the result is the destination's own, not H's. */
static int fma_scalar(struct emu *e, const struct insn *i, fp_element_fn *fn)
{
	const union vec upper = *sse_reg(e, i);

	if (evex_elements(e, i, fn))
		return EMU_STOP;
	memcpy(sse_reg(e, i)->u8 + 2, upper.u8 + 2, SSE_BYTES - 2);
	return 0;
}

#define SCALAR_SEM(name)                                                                                          \
	SEM(evex_##name##sh)                                                                                      \
	{                                                                                                         \
		return fma_scalar(e, i, name##ph);                                                                \
	}
#define SCALAR_SEMS(op) SCALAR_SEM(op##132) SCALAR_SEM(op##213) SCALAR_SEM(op##231)
SCALAR_SEMS(fmadd)
SCALAR_SEMS(fmsub)
SCALAR_SEMS(fnmadd)
SCALAR_SEMS(fnmsub)

/* ---- approximations: within 2^-11 * 1.5 by architecture; here the exact value rounded to half precision ----- */

static uint64_t reciprocal(struct sf a)
{
	struct sf_env env = { .rc = SF_NEAREST };

	return sf_finish(&env, &sf_f16, sf_div(&env, sf_from_u64(false, 1), a));
}

static uint64_t rcpph(struct fp_context *c, uint64_t a, uint64_t b)
{
	return reciprocal(half(b));
}
ELEMENT_SEM(rcpph)

static uint64_t rsqrtph(struct fp_context *c, uint64_t a, uint64_t b)
{
	struct sf_env env = { .rc = SF_NEAREST };
	const struct sf root = sf_sqrt(&env, half(b));

	return reciprocal(sf_round(&env, &sf_f64, sf_f64.precision, root));
}
ELEMENT_SEM(rsqrtph)

/* ---- comparison into flags ----------------------------------------------------------------------------- */

static int compare(struct emu *e, const struct insn *i, bool signalling)
{
	struct sf_env env = { .rc = SF_NEAREST };
	struct sf a, b;
	unsigned order;
	union vec v;

	if (evex_source(e, i, &v))
		return EMU_STOP;
	a = half(sse_reg(e, i)->u16[0]);
	b = half(v.u16[0]);
	order = sf_compare(&env, &a, &b, signalling);
	if (fp_collect(e, env.flags, evex_ignored(i)))
		return EMU_STOP;
	emu_flags_set(e, RFLAGS_ARITH,
		      (order & (SF_LESS | SF_UNORDERED) ? RFLAGS_CF : 0) |
			      (order & (SF_EQUAL | SF_UNORDERED) ? RFLAGS_ZF : 0) |
			      (order == SF_UNORDERED ? RFLAGS_PF : 0));
	return 0;
}

SEM(evex_comish)
{
	return compare(e, i, true);
}

SEM(evex_ucomish)
{
	return compare(e, i, false);
}

/* ---- conversions --------------------------------------------------------------------------------------- */

static uint64_t convert(struct fp_context *c, const struct sf_format *from, const struct sf_format *to, uint64_t bits)
{
	struct sf_env env = env_of(c);
	const struct sf a = sf_unpack(&env, from, bits);
	struct sf r = a;

	if (!sf_operands(&env, &a, &a, &r) && a.denormal)
		env.flags |= SF_DE;
	return finish(c, &env, to, r);
}

#define CONVERT(name, from, to)                                                                                   \
	static uint64_t name(struct fp_context *c, uint64_t a, uint64_t b)                                        \
	{                                                                                                         \
		return convert(c, &(from), &(to), b);                                                             \
	}                                                                                                         \
	ELEMENT_SEM(name)
CONVERT(half_to_single, sf_f16, sf_f32)
CONVERT(half_to_double, sf_f16, sf_f64)
CONVERT(single_to_half, sf_f32, sf_f16)
CONVERT(double_to_half, sf_f64, sf_f16)

static uint64_t to_integer(struct fp_context *c, uint64_t x, unsigned bits, bool is_signed, bool chop)
{
	struct sf_env env = env_of(c);
	uint64_t r;

	if (chop)
		env.rc = SF_CHOP;
	r = is_signed ? sf_to_signed(&env, half(x), bits) : sf_to_unsigned(&env, half(x), bits);
	c->flags |= env.flags;
	return r;
}

#define TO_INTEGER(name, bits, is_signed, chop)                                                                   \
	static uint64_t name(struct fp_context *c, uint64_t a, uint64_t b)                                        \
	{                                                                                                         \
		return to_integer(c, b, bits, is_signed, chop);                                                   \
	}                                                                                                         \
	ELEMENT_SEM(name)
TO_INTEGER(half_to_w, 16, true, false)
TO_INTEGER(half_to_w_chop, 16, true, true)
TO_INTEGER(half_to_uw, 16, false, false)
TO_INTEGER(half_to_uw_chop, 16, false, true)
TO_INTEGER(half_to_dq, 32, true, false)
TO_INTEGER(half_to_dq_chop, 32, true, true)
TO_INTEGER(half_to_udq, 32, false, false)
TO_INTEGER(half_to_udq_chop, 32, false, true)

static uint64_t from_integer(struct fp_context *c, int64_t v)
{
	struct sf_env env = env_of(c);

	return finish(c, &env, &sf_f16, sf_from_u64(v < 0, v < 0 ? -(uint64_t)v : (uint64_t)v));
}

#define FROM_INTEGER(name, type)                                                                                  \
	static uint64_t name(struct fp_context *c, uint64_t a, uint64_t b)                                        \
	{                                                                                                         \
		return from_integer(c, (type)b);                                                                  \
	}                                                                                                         \
	ELEMENT_SEM(name)
FROM_INTEGER(w_to_half, int16_t)
FROM_INTEGER(uw_to_half, uint16_t)
FROM_INTEGER(dq_to_half, int32_t)
FROM_INTEGER(udq_to_half, uint32_t)
