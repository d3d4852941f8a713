/* SPDX-License-Identifier: MIT */
/*
 * Provider P, x87: the transcendental instructions: operands, special values (the tables in SDM vol. 2), stack. The
 * functions themselves are in soft_trig.c and soft_log.c; their results are rounded once.
 */
#include "soft_x87.h"
#include "soft_wide.h"

#define ST0 soft_x87_unpack(&x->st[0])
#define ST1 soft_x87_unpack(&x->st[1])

/* ---- FSIN, FCOS, FSINCOS, FPTAN ------------------------------------------------------------------------ */

enum { TRIG_LIMIT = 63 }; /* |ST0| from 2^63 on: C2, and nothing is done */

static struct sf sin_any(const struct sf *a)
{
	return a->class == SF_FINITE ? soft_sin(a) : *a;
}

static struct sf cos_any(const struct sf *a)
{
	if (a->class == SF_ZERO)
		return wide_one();
	return a->class == SF_FINITE ? soft_cos(a) : *a;
}

static struct sf tan_any(const struct sf *a)
{
	return a->class == SF_FINITE ? soft_tan(a) : *a;
}

static struct sf one_any(const struct sf *a)
{
	return sf_is_nan(a) ? *a : wide_one();
}

typedef struct sf unary_fn(const struct sf *a);

/* What is common: a NaN, or an invalid operation, is the result as if it were the operand. */
static struct sf trig_operand(struct sf_env *env, struct sf a)
{
	struct sf r;

	if (sf_operands(env, &a, &a, &r))
		return r;
	if (a.class == SF_INF)
		return soft_x87_invalid(env);
	if (a.denormal)
		env->flags |= SF_DE;
	return a;
}

/* ST0 = fn(ST0); with `pushed`, that is pushed afterwards. */
static void trigonometric(struct fp_x87 *x, unary_fn *fn, unary_fn *pushed)
{
	struct sf_env env = soft_x87_env(x);
	struct sf a = ST0, r;

	x->depth = 1;
	if (a.class == SF_FINITE && a.exp >= TRIG_LIMIT) {
		soft_x87_status(x, &env, SOFT_C2);
		return;
	}
	a = trig_operand(&env, a);
	soft_x87_result(x, &env, SOFT_X87_PRECISION, fn(&a), 0, 1);
	if (!pushed || soft_x87_stopped(&env))
		return;
	x->st[1] = x->st[0];
	r = pushed(&a);
	soft_x87_result(x, &env, SOFT_X87_PRECISION, r, 0, 2);
}

void soft_fsin(struct fp_x87 *x)
{
	trigonometric(x, sin_any, 0);
}

void soft_fcos(struct fp_x87 *x)
{
	trigonometric(x, cos_any, 0);
}

void soft_fsincos(struct fp_x87 *x)
{
	trigonometric(x, sin_any, cos_any);
}

void soft_fptan(struct fp_x87 *x)
{
	trigonometric(x, tan_any, one_any);
}

/* ---- F2XM1 --------------------------------------------------------------------------------------------- */

/* Undefined beyond one: processors leave the operand as it is, and call that inexact. */
static struct sf exp2m1_any(struct sf_env *env, struct sf a)
{
	struct sf r;

	if (sf_operands(env, &a, &a, &r))
		return r;
	if (a.denormal)
		env->flags |= SF_DE;
	if (a.class == SF_INF && a.sign)
		return sf_from_u64(true, 1);
	if (a.class != SF_FINITE)
		return a;
	env->flags |= SF_PE;
	if (a.exp > 0 || (a.exp == 0 && a.sig != WIDE_ONE))
		return a;
	return soft_exp2m1(&a);
}

void soft_f2xm1(struct fp_x87 *x)
{
	struct sf_env env = soft_x87_env(x);

	soft_x87_result(x, &env, SOFT_X87_PRECISION, exp2m1_any(&env, ST0), 0, 1);
}

/* ---- of two operands, popping -------------------------------------------------------------------------- */

typedef struct sf pair_fn(struct sf_env *env, struct sf x, struct sf y);

/* ST1 = fn(ST0, ST1), pop */
static void popping(struct fp_x87 *x, pair_fn *fn)
{
	struct sf_env env = soft_x87_env(x);
	struct sf a = ST0, b = ST1, r;

	if (!sf_operands(&env, &a, &b, &r)) {
		r = fn(&env, a, b);
		if (!(env.flags & (SF_IE | SF_ZE)) && (a.denormal || b.denormal))
			env.flags |= SF_DE;
	}
	soft_x87_result(x, &env, SOFT_X87_PRECISION, r, 0, soft_x87_stopped(&env) ? 2 : 1);
}

static struct sf patan(struct sf_env *env, struct sf x, struct sf y)
{
	return soft_atan2(&y, &x);
}

void soft_fpatan(struct fp_x87 *x)
{
	popping(x, patan);
}

/* y times a logarithm, which may be zero or infinite: zero times infinity is invalid. A number counts as inexact. */
static struct sf times_log(struct sf_env *env, struct sf y, struct sf log)
{
	const bool sign = y.sign != log.sign;

	if (y.class == SF_INF || log.class == SF_INF) {
		if (y.class == SF_ZERO || log.class == SF_ZERO)
			return soft_x87_invalid(env);
		return sf_inf(sign);
	}
	log = wide_mul(y, log);
	if (log.class == SF_FINITE)
		env->flags |= log.exp < 1 - sf_f80.bias ? SF_UE | SF_PE : SF_PE;
	return log;
}

static struct sf yl2x(struct sf_env *env, struct sf x, struct sf y)
{
	if (x.class == SF_ZERO) {
		if (y.class == SF_FINITE)
			env->flags |= SF_ZE;
		return times_log(env, y, sf_inf(true));
	}
	if (x.sign)
		return soft_x87_invalid(env);
	return times_log(env, y, x.class == SF_INF ? x : soft_log2(&x));
}

void soft_fyl2x(struct fp_x87 *x)
{
	popping(x, yl2x);
}

/* The definition ends at 1 - sqrt(1/2); down to -1 the function goes on, and below, the operand is left as it is. */
static struct sf yl2xp1(struct sf_env *env, struct sf x, struct sf y)
{
	if (x.class == SF_INF && x.sign)
		return soft_x87_invalid(env);
	if (x.class == SF_FINITE && y.class == SF_FINITE && x.sign && x.exp >= 0) {
		env->flags |= SF_PE;
		return x;
	}
	if (y.class != SF_FINITE)
		return times_log(env, y, x);
	return times_log(env, y, x.class == SF_FINITE ? soft_log2p1(&x) : x);
}

void soft_fyl2xp1(struct fp_x87 *x)
{
	popping(x, yl2xp1);
}
