/* SPDX-License-Identifier: MIT */
/* Provider P, x87: loads, stores and constants. */
#include "soft_x87.h"

#include <string.h>

enum { BCD_BYTES = 9 };

/* ---- loads --------------------------------------------------------------------------------------------- */

static void load_ieee(struct fp_x87 *x, const struct sf_format *f)
{
	struct sf_env env = soft_x87_env(x);
	uint64_t bits = 0;
	struct sf a, r;

	memcpy(&bits, x->mem, f->width / 8);
	a = sf_unpack(&env, f, bits);
	if (!sf_operands(&env, &a, &a, &r)) {
		r = a;
		env.flags |= a.denormal ? SF_DE : 0;
	}
	/* An unmasked denormal is pushed all the same. */
	x->depth = env.flags & env.unmasked & SF_IE ? 0 : 1;
	if (x->depth == 1)
		x->st[0] = soft_x87_pack(&r);
	soft_x87_status(x, &env, 0);
}

void soft_fld_m32(struct fp_x87 *x)
{
	load_ieee(x, &sf_f32);
}

void soft_fld_m64(struct fp_x87 *x)
{
	load_ieee(x, &sf_f64);
}

static void load_number(struct fp_x87 *x, struct sf a)
{
	struct sf_env env = soft_x87_env(x);

	soft_x87_result(x, &env, SOFT_X87_PRECISION, a, 0, 1);
}

static void load_integer(struct fp_x87 *x, unsigned bits)
{
	int64_t value = 0;

	memcpy(&value, x->mem, bits / 8);
	value = (int64_t)((uint64_t)value << (64 - bits)) >> (64 - bits);
	load_number(x, value < 0 ? sf_from_u64(true, -(uint64_t)value) : sf_from_u64(false, (uint64_t)value));
}

void soft_fild_m16(struct fp_x87 *x)
{
	load_integer(x, 16);
}

void soft_fild_m32(struct fp_x87 *x)
{
	load_integer(x, 32);
}

void soft_fild_m64(struct fp_x87 *x)
{
	load_integer(x, 64);
}

/* Digits above nine are undefined: they count with their value. */
void soft_fbld(struct fp_x87 *x)
{
	uint64_t value = 0;

	for (unsigned k = BCD_BYTES; k-- > 0;)
		value = value * 100 + (x->mem[k] >> 4) * 10u + (x->mem[k] & 15);
	load_number(x, sf_from_u64(x->mem[BCD_BYTES] >> 7, value));
}

/* ---- constants: more bits than the register has, rounded as RC says, but not reported (SDM vol. 2, FLD1) -- */

static void constant(struct fp_x87 *x, int exp, uint64_t high, uint64_t low)
{
	struct sf_env env = { .rc = x->cw >> 10 & 3 };
	const struct sf a = sf_round(&env, &sf_f80, SOFT_X87_PRECISION, sf_make(false, exp, (u128)high << 64 | low));

	x->st[0] = soft_x87_pack(&a);
	x->depth = 1;
	x->sw = 0;
}

#define CONSTANT(name, exp, high, low)                                                                            \
	void soft_##name(struct fp_x87 *x)                                                                        \
	{                                                                                                         \
		constant(x, exp, high, low);                                                                      \
	}
CONSTANT(fld1, 0, 0x8000000000000000, 0)
CONSTANT(fldl2t, 1, 0xd49a784bcd1b8afe, 0x492bf6ff4dafdb4c)
CONSTANT(fldl2e, 0, 0xb8aa3b295c17f0bb, 0xbe87fed0691d3e88)
CONSTANT(fldpi, 1, 0xc90fdaa22168c234, 0xc4c6628b80dc1cd1)
CONSTANT(fldlg2, -2, 0x9a209a84fbcff798, 0x8f8959ac0b7c9178)
CONSTANT(fldln2, -1, 0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af)
CONSTANT(fldz, 0, 0, 0)

/* ---- stores: depth 0 says that it happened ------------------------------------------------------------- */

/*
 * Denormal operands are not reported. An unmasked overflow or underflow stores nothing (SDM vol. 1, 8.5.4), which is not
 * inexact.
 */
static void store_ieee(struct fp_x87 *x, const struct sf_format *f)
{
	struct sf_env env = soft_x87_env(x);
	const struct sf a = soft_x87_unpack(&x->st[0]);
	struct sf r = a;
	uint64_t bits;

	sf_operands(&env, &a, &a, &r);
	bits = sf_finish(&env, f, r);
	x->depth = env.flags & env.unmasked & (SF_IE | SF_OE | SF_UE) ? 1 : 0;
	if (x->depth == 0)
		memcpy(x->mem, &bits, f->width / 8);
	else
		env.flags &= ~(uint32_t)SF_PE;
	soft_x87_status(x, &env, env.up && x->depth == 0 ? SOFT_C1 : 0);
}

void soft_fstp_m32(struct fp_x87 *x)
{
	store_ieee(x, &sf_f32);
}

void soft_fstp_m64(struct fp_x87 *x)
{
	store_ieee(x, &sf_f64);
}

/* Stores `bytes` of data unless IE is unmasked. */
static void store(struct fp_x87 *x, struct sf_env *env, const void *data, unsigned bytes)
{
	x->depth = soft_x87_stopped(env) ? 1 : 0;
	if (x->depth == 0)
		memcpy(x->mem, data, bytes);
	soft_x87_status(x, env, env->up ? SOFT_C1 : 0);
}

static void store_integer(struct fp_x87 *x, unsigned bits, bool chop)
{
	struct sf_env env = soft_x87_env(x);
	uint64_t value;

	if (chop)
		env.rc = SF_CHOP;
	value = sf_to_signed(&env, soft_x87_unpack(&x->st[0]), bits);
	store(x, &env, &value, bits / 8);
}

#define STORE_INTEGER(name, bits, chop)                                                                           \
	void soft_##name##bits(struct fp_x87 *x)                                                                  \
	{                                                                                                         \
		store_integer(x, bits, chop);                                                                     \
	}
STORE_INTEGER(fistp_m, 16, false)
STORE_INTEGER(fistp_m, 32, false)
STORE_INTEGER(fistp_m, 64, false)
STORE_INTEGER(fisttp_m, 16, true)
STORE_INTEGER(fisttp_m, 32, true)
STORE_INTEGER(fisttp_m, 64, true)

static void bcd_digits(uint8_t bcd[BCD_BYTES], uint64_t value)
{
	for (unsigned k = 0; k < BCD_BYTES; k++, value /= 100)
		bcd[k] = (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

/* Packed decimal of 18 digits; the indefinite is FFFF C000.... */
void soft_fbstp(struct fp_x87 *x)
{
	static const uint8_t indefinite[BCD_BYTES + 1] = { [7] = 0xc0, [8] = 0xff, [9] = 0xff };
	static const uint64_t limit = 1000000000000000000;
	struct sf_env env = soft_x87_env(x);
	const struct sf a = soft_x87_unpack(&x->st[0]);
	uint8_t bcd[BCD_BYTES + 1] = { [BCD_BYTES] = a.sign ? 0x80 : 0 };
	bool inexact;
	const struct sf whole = sf_to_integral(&env, a, &inexact);
	const uint64_t value = sf_low_u64(&whole);

	if (whole.class >= SF_INF || whole.exp > 62 || value >= limit) {
		soft_x87_invalid(&env);
		env.up = false;
		memcpy(bcd, indefinite, sizeof(bcd));
	} else {
		env.flags |= inexact ? SF_PE : 0;
		bcd_digits(bcd, value);
	}
	store(x, &env, bcd, sizeof(bcd));
}
