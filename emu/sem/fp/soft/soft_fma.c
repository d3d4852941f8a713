/* SPDX-License-Identifier: MIT */
/* Provider P, FMA3 and F16C. */
#include "soft_sse.h"

/* Signs of product and addend, for even and odd elements. */
struct fma_signs {
	bool product;
	bool addend[2];
};
#define SIGNS(F, op, product, even, odd) static const struct fma_signs op = { product, { even, odd } };
FP_FMA(SIGNS, )

/* A NaN keeps its sign. */
static void negate_if(struct sf *a, bool negate)
{
	if (!sf_is_nan(a))
		a->sign ^= negate;
}

static uint64_t element(struct sf_env *env, const struct sf_format *f, const uint64_t v[3], const struct fma_signs *signs,
			unsigned k)
{
	struct sf a = sf_unpack(env, f, v[0]), b = sf_unpack(env, f, v[1]), c = sf_unpack(env, f, v[2]);

	negate_if(&a, signs->product);
	negate_if(&c, signs->addend[k & 1]);
	return sf_finish(env, f, sf_fma(env, a, b, c));
}

/* `order` names the operands 1 to 3 in the order of a * b + c, as the mnemonic does: 132, 213, 231. */
static uint32_t fma_packed(union vec *d, const union vec *s, uint32_t mxcsr, const struct sf_format *f, unsigned count,
		    const struct fma_signs *signs, unsigned order)
{
	const union vec *const operand[3] = { d, &s[0], &s[1] };
	const union vec *const a = operand[order / 100 - 1], *const b = operand[order / 10 % 10 - 1],
			       *const c = operand[order % 10 - 1];
	struct sf_env env = soft_env(mxcsr);

	for (unsigned k = 0; k < count; k++) {
		const uint64_t v[3] = { soft_bits(a, f, k), soft_bits(b, f, k), soft_bits(c, f, k) };

		soft_put(d, f, k, element(&env, f, v, signs, k));
	}
	return env.flags;
}

/* VEX clears what lies above a scalar's 16 bytes. */
static uint32_t fma_scalar(union vec *d, const union vec *s, uint32_t mxcsr, const struct sf_format *f,
			   const struct fma_signs *signs, unsigned order)
{
	const uint32_t flags = fma_packed(d, s, mxcsr, f, 1, signs, order);

	d->u64[2] = d->u64[3] = 0;
	return flags;
}

#define SOFT_FMA(op, order, type, format, count)                                                                  \
	uint32_t soft_##op##order##type(union vec *d, const union vec *s, uint32_t mxcsr)                         \
	{                                                                                                         \
		return fma_packed(d, s, mxcsr, format, count, &op, order);                                               \
	}
#define SOFT_FMA_LOW(op, order, type, format)                                                                     \
	uint32_t soft_##op##order##type(union vec *d, const union vec *s, uint32_t mxcsr)                         \
	{                                                                                                         \
		return fma_scalar(d, s, mxcsr, format, &op, order);                                               \
	}
#define SOFT_FMA_PACKED(F, op, product, even, odd)                                                                \
	SOFT_FMA(op, 132, ps, SOFT_PS, 8) SOFT_FMA(op, 213, ps, SOFT_PS, 8) SOFT_FMA(op, 231, ps, SOFT_PS, 8)     \
	SOFT_FMA(op, 132, pd, SOFT_PD, 4) SOFT_FMA(op, 213, pd, SOFT_PD, 4) SOFT_FMA(op, 231, pd, SOFT_PD, 4)
#define SOFT_FMA_SCALAR(F, op, product, even, odd)                                                                \
	SOFT_FMA_LOW(op, 132, ss, SOFT_SS) SOFT_FMA_LOW(op, 213, ss, SOFT_SS) SOFT_FMA_LOW(op, 231, ss, SOFT_SS)  \
	SOFT_FMA_LOW(op, 132, sd, SOFT_SD) SOFT_FMA_LOW(op, 213, sd, SOFT_SD) SOFT_FMA_LOW(op, 231, sd, SOFT_SD)

FP_FMA(SOFT_FMA_PACKED, )
FP_FMA_UNIFORM(SOFT_FMA_SCALAR, )

/* ---- half precision ------------------------------------------------------------------------------------ */

/* Denormal halves are exact in single precision: MXCSR.DAZ does not apply, and DE is not raised (SDM vol. 2). */
uint32_t soft_cvtph2ps(union vec *d, const union vec *s, uint32_t mxcsr)
{
	struct sf_env env = { .rc = SF_NEAREST };
	const union vec from = *s;

	for (unsigned k = 0; k < 8; k++) {
		const struct sf a = soft_element(&env, &from, &sf_f16, k);

		if (a.class == SF_SNAN)
			env.flags |= SF_IE;
		d->u32[k] = (uint32_t)sf_finish(&env, &sf_f32, a);
	}
	return env.flags;
}

/* FTZ does not apply to the result, DAZ does to the operand. */
uint32_t soft_cvtps2ph(union vec *d, const union vec *s, uint32_t mxcsr)
{
	struct sf_env env = soft_env(mxcsr);
	const union vec from = *s;

	env.ftz = false;
	for (unsigned k = 0; k < 8; k++) {
		const struct sf a = soft_element(&env, &from, &sf_f32, k);

		if (a.class == SF_SNAN)
			env.flags |= SF_IE;
		if (a.denormal)
			env.flags |= SF_DE;
		d->u16[k] = (uint16_t)sf_finish(&env, &sf_f16, a);
	}
	d->u64[2] = d->u64[3] = 0;
	return env.flags;
}
