/* SPDX-License-Identifier: MIT */
/* Provider P, SSE conversions, and the reciprocal approximations. */
#include "soft_sse.h"

/* ---- between formats ----------------------------------------------------------------------------------- */

static uint64_t convert(struct sf_env *env, const struct sf_format *from, const struct sf_format *to, uint64_t bits)
{
	const struct sf a = sf_unpack(env, from, bits);
	struct sf r;

	if (sf_operands(env, &a, &a, &r))
		return sf_pack(to, &r);
	if (a.denormal)
		env->flags |= SF_DE;
	return sf_finish(env, to, a);
}

uint32_t soft_cvtps2pd(union vec *d, const union vec *s, uint32_t mxcsr)
{
	struct sf_env env = soft_env(mxcsr);
	const uint32_t from[2] = { s->u32[0], s->u32[1] };

	for (unsigned k = 0; k < 2; k++)
		d->u64[k] = convert(&env, &sf_f32, &sf_f64, from[k]);
	return env.flags;
}

uint32_t soft_cvtpd2ps(union vec *d, const union vec *s, uint32_t mxcsr)
{
	struct sf_env env = soft_env(mxcsr);
	const uint64_t from[2] = { s->u64[0], s->u64[1] };

	for (unsigned k = 0; k < 2; k++)
		d->u32[k] = (uint32_t)convert(&env, &sf_f64, &sf_f32, from[k]);
	d->u64[1] = 0;
	return env.flags;
}

uint32_t soft_cvtss2sd(union vec *d, const union vec *s, uint32_t mxcsr)
{
	struct sf_env env = soft_env(mxcsr);

	d->u64[0] = convert(&env, &sf_f32, &sf_f64, s->u32[0]);
	return env.flags;
}

uint32_t soft_cvtsd2ss(union vec *d, const union vec *s, uint32_t mxcsr)
{
	struct sf_env env = soft_env(mxcsr);

	d->u32[0] = (uint32_t)convert(&env, &sf_f64, &sf_f32, s->u64[0]);
	return env.flags;
}

/* ---- from integers ------------------------------------------------------------------------------------- */

static uint64_t from_integer(struct sf_env *env, const struct sf_format *f, int64_t value)
{
	const bool sign = value < 0;

	return sf_finish(env, f, value == 0 ? sf_zero(false) : sf_from_u64(sign, sign ? -(uint64_t)value : (uint64_t)value));
}

uint32_t soft_cvtdq2ps(union vec *d, const union vec *s, uint32_t mxcsr)
{
	struct sf_env env = soft_env(mxcsr);

	for (unsigned k = 0; k < 4; k++)
		d->u32[k] = (uint32_t)from_integer(&env, &sf_f32, s->i32[k]);
	return env.flags;
}

uint32_t soft_cvtdq2pd(union vec *d, const union vec *s, uint32_t mxcsr)
{
	struct sf_env env = soft_env(mxcsr);
	const int32_t from[2] = { s->i32[0], s->i32[1] };

	for (unsigned k = 0; k < 2; k++)
		d->u64[k] = from_integer(&env, &sf_f64, from[k]);
	return env.flags;
}

#define FROM_INTEGER(name, format, element)                                                                       \
	uint32_t soft_##name(union vec *d, const union vec *s, uint32_t mxcsr)                                    \
	{                                                                                                         \
		struct sf_env env = soft_env(mxcsr);                                                              \
		soft_put(d, format, 0, from_integer(&env, format, s->element[0]));                                \
		return env.flags;                                                                                 \
	}
FROM_INTEGER(cvtsi2ss32, SOFT_SS, i32)
FROM_INTEGER(cvtsi2ss64, SOFT_SS, i64)
FROM_INTEGER(cvtsi2sd32, SOFT_SD, i32)
FROM_INTEGER(cvtsi2sd64, SOFT_SD, i64)

/* ---- to integers: a denormal is not reported ----------------------------------------------------------- */

/* `chop` for the CVTT forms. */
static struct sf_env integer_env(uint32_t mxcsr, bool chop)
{
	struct sf_env env = soft_env(mxcsr);

	if (chop)
		env.rc = SF_CHOP;
	return env;
}

static uint32_t ps_to_dq(union vec *d, const union vec *s, struct sf_env env)
{
	for (unsigned k = 0; k < 4; k++)
		d->u32[k] = (uint32_t)sf_to_signed(&env, soft_element(&env, s, SOFT_PS, k), 32);
	return env.flags;
}

static uint32_t pd_to_dq(union vec *d, const union vec *s, struct sf_env env)
{
	const union vec from = *s;

	for (unsigned k = 0; k < 2; k++)
		d->u32[k] = (uint32_t)sf_to_signed(&env, soft_element(&env, &from, SOFT_PD, k), 32);
	d->u64[1] = 0;
	return env.flags;
}

/* Into a general register: 32 bits are zero-extended. */
static uint32_t to_register(union vec *d, const union vec *s, struct sf_env env, const struct sf_format *f,
			    unsigned bits)
{
	d->u64[0] = sf_to_signed(&env, soft_element(&env, s, f, 0), bits);
	d->u64[1] = 0;
	return env.flags;
}

#define TO_PACKED(name, fn, chop)                                                                                 \
	uint32_t soft_##name(union vec *d, const union vec *s, uint32_t mxcsr)                                    \
	{                                                                                                         \
		return fn(d, s, integer_env(mxcsr, chop));                                                        \
	}
TO_PACKED(cvtps2dq, ps_to_dq, false)
TO_PACKED(cvttps2dq, ps_to_dq, true)
TO_PACKED(cvtpd2dq, pd_to_dq, false)
TO_PACKED(cvttpd2dq, pd_to_dq, true)

#define TO_REGISTER(name, format, chop, bits)                                                                     \
	uint32_t soft_##name##bits(union vec *d, const union vec *s, uint32_t mxcsr)                              \
	{                                                                                                         \
		return to_register(d, s, integer_env(mxcsr, chop), format, bits);                                 \
	}
TO_REGISTER(cvtss2si, SOFT_SS, false, 32)
TO_REGISTER(cvtss2si, SOFT_SS, false, 64)
TO_REGISTER(cvttss2si, SOFT_SS, true, 32)
TO_REGISTER(cvttss2si, SOFT_SS, true, 64)
TO_REGISTER(cvtsd2si, SOFT_SD, false, 32)
TO_REGISTER(cvtsd2si, SOFT_SD, false, 64)
TO_REGISTER(cvttsd2si, SOFT_SD, true, 32)
TO_REGISTER(cvttsd2si, SOFT_SD, true, 64)

/* ---- RCPPS, RSQRTPS ------------------------------------------------------------------------------------ */

/*
 * The architecture promises a relative error of at most 1.5 * 2^-12, and processors differ within it. Here: the exact
 * value rounded to 12 bits, which is within 2^-12. MXCSR is neither looked at nor touched; denormal operands count as
 * zero, denormal results become zero (SDM vol. 2, RCPPS).
 */
enum { APPROXIMATION_BITS = 12 };

static uint32_t approximate(uint32_t bits, bool is_root)
{
	struct sf_env env = { .daz = true, .ftz = true, .rc = SF_NEAREST };
	struct sf a = sf_unpack(&env, &sf_f32, bits);

	if (is_root)
		a = sf_sqrt(&env, a);
	a = sf_round(&env, &sf_f32, sf_f32.precision, a);
	a = sf_div(&env, sf_from_u64(false, 1), a);
	a = sf_round(&env, &sf_f32, APPROXIMATION_BITS, a);
	return (uint32_t)sf_pack(&sf_f32, &a);
}

#define APPROXIMATION(name, is_root, count)                                                                       \
	uint32_t soft_##name(union vec *d, const union vec *s, uint32_t mxcsr)                                    \
	{                                                                                                         \
		for (unsigned k = 0; k < (count); k++)                                                            \
			d->u32[k] = approximate(s->u32[k], is_root);                                              \
		return 0;                                                                                         \
	}
APPROXIMATION(rcpps, false, 4)
APPROXIMATION(rcpss, false, 1)
APPROXIMATION(rsqrtps, true, 4)
APPROXIMATION(rsqrtss, true, 1)
