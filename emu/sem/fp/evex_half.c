/* SPDX-License-Identifier: MIT */
/*
 * AVX512-FP16: arithmetic of half precision, element by element in soft floating point: no host that we know of has it
 * everywhere. Comparisons, classes, exponents, significands and rounding are those of evex_special.c, conversions those of
 * evex_half_convert.c.
 */
#include "evex_half.h"
#include "emu/sem/fp/soft/soft_sse.h"

/* ---- arithmetic ---------------------------------------------------------------------------------------- */

/* The software provider's arithmetic at half precision. */
#define ARITHMETIC(P, F, op)                                                                                      \
	static uint64_t op##ph(struct fp_context *c, uint64_t a, uint64_t b)                                      \
	{                                                                                                         \
		struct sf_env env = half_env(c);                                                                  \
		const uint64_t r = soft_el_##op(&env, &sf_f16, a, b);                                             \
		c->flags |= env.flags;                                                                            \
		return r;                                                                                         \
	}                                                                                                         \
	HALF_SEM(op##ph)
FP_ARITHMETIC(ARITHMETIC, , )

/* x * y + z, where signs of numbers, but not of NaNs, are turned. */
static uint64_t multiply_add(struct fp_context *c, struct sf x, struct sf y, struct sf z, bool product, bool addend)
{
	struct sf_env env = half_env(c);

	x.sign ^= product && !sf_is_nan(&x);
	z.sign ^= addend && !sf_is_nan(&z);
	return half_finish(c, &env, &sf_f16, sf_fma(&env, x, y, z));
}

/* The digits name the order of the operands: 1 is the destination, 2 is H, 3 is W. */
#define FMA_FORM(name, x, y, z, product, addend)                                                                  \
	static uint64_t name(struct fp_context *c, uint64_t a, uint64_t b)                                        \
	{                                                                                                         \
		return multiply_add(c, half(x), half(y), half(z), product, addend);                               \
	}                                                                                                         \
	HALF_SEM(name)
#define FMA_FORMS(F, name, product, even, odd)                                                                    \
	FMA_FORM(name##132ph, c->old, b, a, product, c->index & 1 ? odd : even)                                   \
	FMA_FORM(name##213ph, a, c->old, b, product, c->index & 1 ? odd : even)                                   \
	FMA_FORM(name##231ph, a, b, c->old, product, c->index & 1 ? odd : even)
FP_FMA(FMA_FORMS, )

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
#define SCALAR_SEMS(F, op, product, even, odd) SCALAR_SEM(op##132) SCALAR_SEM(op##213) SCALAR_SEM(op##231)
FP_FMA_UNIFORM(SCALAR_SEMS, )

/* ---- complex numbers: the real part in the low half of 32 bits, the imaginary part in the high half ------------ */

static uint64_t real(uint64_t z)
{
	return z & 0xffff;
}

static uint64_t imaginary(uint64_t z)
{
	return z >> 16 & 0xffff;
}

/* What a has to do with b's imaginary part is added to z: the second of two roundings. `conjugate` is that of b. */
static uint64_t turn(struct fp_context *c, uint64_t a, uint64_t b, uint64_t re, uint64_t im, bool conjugate)
{
	const struct sf y = half(imaginary(b));

	re = multiply_add(c, half(imaginary(a)), y, half(re), !conjugate, false);
	im = multiply_add(c, half(real(a)), y, half(im), conjugate, false);
	return re | im << 16;
}

static uint64_t complex_multiply(struct fp_context *c, uint64_t a, uint64_t b, bool conjugate)
{
	const uint64_t re = mulph(c, real(a), real(b)), im = mulph(c, imaginary(a), real(b));

	return turn(c, a, b, re, im, conjugate);
}

static uint64_t complex_multiply_add(struct fp_context *c, uint64_t a, uint64_t b, bool conjugate)
{
	const struct sf x = half(real(b));
	const uint64_t re = multiply_add(c, half(real(a)), x, half(real(c->old)), false, false);
	const uint64_t im = multiply_add(c, half(imaginary(a)), x, half(imaginary(c->old)), false, false);

	return turn(c, a, b, re, im, conjugate);
}

/* "Execution occurs as if all MXCSR exceptions are masked" (SDM vol. 2, VFCMADDCPH): flags are set, #XM there is none. */
static int complex_elements(struct emu *e, const struct insn *i, fp_element_fn *fn)
{
	const uint32_t masks = e->cpu.mxcsr & MXCSR_MASKS;
	int r;

	e->cpu.mxcsr |= MXCSR_MASKS;
	r = evex_elements(e, i, fn);
	e->cpu.mxcsr = (e->cpu.mxcsr & ~(uint32_t)MXCSR_MASKS) | masks;
	return r;
}

#define COMPLEX_SEM(name, op, conjugate)                                                                          \
	static uint64_t name(struct fp_context *c, uint64_t a, uint64_t b)                                        \
	{                                                                                                         \
		return op(c, a, b, conjugate);                                                                    \
	}                                                                                                         \
	SEM(evex_##name)                                                                                          \
	{                                                                                                         \
		return complex_elements(e, i, name);                                                              \
	}
COMPLEX_SEM(fmulc, complex_multiply, false)
COMPLEX_SEM(fcmulc, complex_multiply, true)
COMPLEX_SEM(fmaddc, complex_multiply_add, false)
COMPLEX_SEM(fcmaddc, complex_multiply_add, true)

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
HALF_SEM(rcpph)

static uint64_t rsqrtph(struct fp_context *c, uint64_t a, uint64_t b)
{
	struct sf_env env = { .rc = SF_NEAREST };
	const struct sf root = sf_sqrt(&env, half(b));

	return reciprocal(sf_round(&env, &sf_f64, sf_f64.precision, root));
}
HALF_SEM(rsqrtph)

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
		      (order & (SF_LESS | SF_UNORDERED) ? RFLAGS_CF : 0) | (order & (SF_EQUAL | SF_UNORDERED) ? RFLAGS_ZF : 0) |
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
