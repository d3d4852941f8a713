/* SPDX-License-Identifier: MIT */
/* Provider P, x87: registers, arithmetic and comparison. */
#include "soft_x87.h"

#include <string.h>

struct sf_env soft_x87_env(const struct fp_x87 *x)
{
	return (struct sf_env){ .rc = x->cw >> 10 & 3, .unmasked = ~(uint32_t)x->cw & SF_FLAGS, .x87 = true };
}

/* The control word's precision; the reserved value is the full one. */
static unsigned precision_of(const struct fp_x87 *x)
{
	static const uint8_t precision[4] = { 24, 64, 53, 64 };

	return precision[x->cw >> 8 & 3];
}

/* Exponent zero: a pseudo-denormal, integer bit set, has the value of exponent one, and counts as denormal. */
static struct sf unpack_denormal(const struct x87_reg *r)
{
	struct sf a = sf_make(r->se >> 15, 1 - sf_f80.bias, (u128)r->sig << 64);

	a.denormal = r->sig != 0;
	return a;
}

struct sf soft_x87_unpack(const struct x87_reg *r)
{
	const int32_t biased = r->se & 0x7fff;
	struct sf a = { .class = SF_FINITE, .sign = r->se >> 15, .sig = (u128)r->sig << 64, .exp = biased - sf_f80.bias };

	if (biased == 0)
		return unpack_denormal(r);
	if (!(r->sig >> 63))
		a.class = SF_UNSUPPORTED;
	else if (biased == 0x7fff)
		a.class = r->sig << 1 == 0 ? SF_INF : r->sig >> 62 & 1 ? SF_QNAN : SF_SNAN;
	return a;
}

struct x87_reg soft_x87_pack(const struct sf *a)
{
	const uint16_t sign = (uint16_t)(a->sign << 15);
	const uint64_t sig = (uint64_t)(a->sig >> 64);

	switch (a->class) {
	case SF_ZERO:
		return (struct x87_reg){ .se = sign };
	case SF_INF:
		return (struct x87_reg){ .sig = 1ull << 63, .se = sign | 0x7fff };
	case SF_FINITE:
		return (struct x87_reg){ .sig = sig, .se = (uint16_t)(sign | (sig >> 63 ? a->exp + sf_f80.bias : 0)) };
	case SF_QNAN:
	case SF_SNAN:
	case SF_UNSUPPORTED:
		break;
	}
	return (struct x87_reg){ .sig = sig | 3ull << 62, .se = sign | 0x7fff };
}

void soft_x87_status(struct fp_x87 *x, const struct sf_env *env, unsigned cc)
{
	const unsigned summary = env->flags & env->unmasked ? SOFT_ES | SOFT_B : 0;

	x->sw = (uint16_t)(env->flags | summary | cc);
}

void soft_x87_result(struct fp_x87 *x, struct sf_env *env, unsigned precision, struct sf a, unsigned n, unsigned depth)
{
	x->depth = (uint16_t)depth;
	env->up = false;
	if (!soft_x87_stopped(env)) {
		a = sf_round(env, &sf_f80, precision, a);
		x->st[n] = soft_x87_pack(&a);
	} else {
		env->flags &= SF_PRE;
	}
	soft_x87_status(x, env, env->up ? SOFT_C1 : 0);
}

struct sf soft_x87_invalid(struct sf_env *env)
{
	env->flags |= SF_IE;
	return sf_default_nan();
}

/* ---- memory operands ----------------------------------------------------------------------------------- */

static struct sf from_ieee(const struct fp_x87 *x, const struct sf_format *f)
{
	const struct sf_env env = { 0 };
	uint64_t bits = 0;

	memcpy(&bits, x->mem, f->width / 8);
	return sf_unpack(&env, f, bits);
}

static struct sf from_integer(const struct fp_x87 *x, unsigned bits)
{
	int64_t value = 0;

	memcpy(&value, x->mem, bits / 8);
	value = (int64_t)((uint64_t)value << (64 - bits)) >> (64 - bits);
	if (value == 0)
		return sf_zero(false);
	return sf_from_u64(value < 0, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/* ---- arithmetic ---------------------------------------------------------------------------------------- */

typedef struct sf binary_fn(struct sf_env *env, struct sf a, struct sf b);

static struct sf sub_reversed(struct sf_env *env, struct sf a, struct sf b)
{
	return sf_sub(env, b, a);
}

static struct sf div_reversed(struct sf_env *env, struct sf a, struct sf b)
{
	return sf_div(env, b, a);
}

/* ST(dest) = a op b */
static void arithmetic(struct fp_x87 *x, binary_fn *op, struct sf a, struct sf b, unsigned dest, unsigned depth)
{
	struct sf_env env = soft_x87_env(x);

	soft_x87_result(x, &env, precision_of(x), op(&env, a, b), dest, depth);
}

#define ST0 soft_x87_unpack(&x->st[0])
#define ST1 soft_x87_unpack(&x->st[1])

#define SOFT_ARITH(name, op)                                                                                      \
	void soft_f##name(struct fp_x87 *x)                                                                       \
	{                                                                                                         \
		arithmetic(x, op, ST0, ST1, 0, 2);                                                                \
	}                                                                                                         \
	void soft_f##name##_rev(struct fp_x87 *x)                                                                 \
	{                                                                                                         \
		arithmetic(x, op, ST1, ST0, 1, 2);                                                                \
	}                                                                                                         \
	void soft_f##name##_m32(struct fp_x87 *x)                                                                 \
	{                                                                                                         \
		arithmetic(x, op, ST0, from_ieee(x, &sf_f32), 0, 1);                                              \
	}                                                                                                         \
	void soft_f##name##_m64(struct fp_x87 *x)                                                                 \
	{                                                                                                         \
		arithmetic(x, op, ST0, from_ieee(x, &sf_f64), 0, 1);                                              \
	}                                                                                                         \
	void soft_fi##name##_m16(struct fp_x87 *x)                                                                \
	{                                                                                                         \
		arithmetic(x, op, ST0, from_integer(x, 16), 0, 1);                                                \
	}                                                                                                         \
	void soft_fi##name##_m32(struct fp_x87 *x)                                                                \
	{                                                                                                         \
		arithmetic(x, op, ST0, from_integer(x, 32), 0, 1);                                                \
	}
SOFT_ARITH(add, sf_add)
SOFT_ARITH(mul, sf_mul)
SOFT_ARITH(sub, sf_sub)
SOFT_ARITH(subr, sub_reversed)
SOFT_ARITH(div, sf_div)
SOFT_ARITH(divr, div_reversed)

void soft_fsqrt(struct fp_x87 *x)
{
	struct sf_env env = soft_x87_env(x);

	soft_x87_result(x, &env, precision_of(x), sf_sqrt(&env, ST0), 0, 1);
}

/* ---- comparison ---------------------------------------------------------------------------------------- */

static void compare(struct fp_x87 *x, struct sf a, struct sf b, bool signalling, unsigned depth)
{
	struct sf_env env = soft_x87_env(x);
	const unsigned order = sf_compare(&env, &a, &b, signalling);
	unsigned cc = 0;

	if (order & (SF_LESS | SF_UNORDERED))
		cc |= SOFT_C0;
	if (order & (SF_EQUAL | SF_UNORDERED))
		cc |= SOFT_C3;
	if (order == SF_UNORDERED)
		cc |= SOFT_C2;
	x->depth = (uint16_t)depth;
	soft_x87_status(x, &env, cc);
}

void soft_fcom(struct fp_x87 *x)
{
	compare(x, ST0, ST1, true, 2);
}

void soft_fucom(struct fp_x87 *x)
{
	compare(x, ST0, ST1, false, 2);
}

void soft_fcom_m32(struct fp_x87 *x)
{
	compare(x, ST0, from_ieee(x, &sf_f32), true, 1);
}

void soft_fcom_m64(struct fp_x87 *x)
{
	compare(x, ST0, from_ieee(x, &sf_f64), true, 1);
}

void soft_ficom_m16(struct fp_x87 *x)
{
	compare(x, ST0, from_integer(x, 16), true, 1);
}

void soft_ficom_m32(struct fp_x87 *x)
{
	compare(x, ST0, from_integer(x, 32), true, 1);
}

void soft_ftst(struct fp_x87 *x)
{
	compare(x, ST0, sf_zero(false), true, 1);
}

/* C3 C2 C0 are ZF PF CF. */
static void compare_flags(struct fp_x87 *x, bool signalling)
{
	enum { CF = 0x01, PF = 0x04, ZF = 0x40 };

	compare(x, ST0, ST1, signalling, 2);
	x->eflags = (uint16_t)((x->sw & SOFT_C0 ? CF : 0) | (x->sw & SOFT_C2 ? PF : 0) | (x->sw & SOFT_C3 ? ZF : 0));
	x->sw &= (uint16_t) ~(SOFT_C0 | SOFT_C2 | SOFT_C3);
}

void soft_fcomi(struct fp_x87 *x)
{
	compare_flags(x, true);
}

void soft_fucomi(struct fp_x87 *x)
{
	compare_flags(x, false);
}

void soft_fxam(struct fp_x87 *x)
{
	static const uint16_t codes[] = {
		[SF_ZERO] = SOFT_C3, [SF_FINITE] = SOFT_C2, [SF_INF] = SOFT_C2 | SOFT_C0,
		[SF_QNAN] = SOFT_C0, [SF_SNAN] = SOFT_C0,   [SF_UNSUPPORTED] = 0,
	};
	const struct sf a = ST0;

	x->depth = 1;
	x->sw = (uint16_t)(codes[a.class] | (a.denormal ? SOFT_C3 : 0) | (x->st[0].se >> 15 ? SOFT_C1 : 0));
}
