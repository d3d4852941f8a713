/* SPDX-License-Identifier: MIT */
/* AVX512-FP16: conversions of half precision from and to the other formats, integers and general registers; VMOVW. */
#include "evex_half.h"

/* ---- formats ---------------------------------------------------------------------------------------------- */

static uint64_t convert(struct fp_context *c, const struct sf_format *from, const struct sf_format *to, uint64_t bits)
{
	struct sf_env env = half_env(c);
	const struct sf a = sf_unpack(&env, from, bits);
	struct sf r = a;

	if (!sf_operands(&env, &a, &a, &r) && a.denormal)
		env.flags |= SF_DE;
	return half_finish(c, &env, to, r);
}

#define CONVERT(name, from, to)                                                                                   \
	static uint64_t name(struct fp_context *c, uint64_t a, uint64_t b)                                        \
	{                                                                                                         \
		return convert(c, &(from), &(to), b);                                                             \
	}                                                                                                         \
	HALF_SEM(name)
CONVERT(half_to_single, sf_f16, sf_f32)
CONVERT(half_to_double, sf_f16, sf_f64)
CONVERT(single_to_half, sf_f32, sf_f16)
CONVERT(double_to_half, sf_f64, sf_f16)

static uint64_t to_integer(struct fp_context *c, uint64_t x, unsigned bits, bool is_signed, bool chop)
{
	struct sf_env env = half_env(c);
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
	HALF_SEM(name)
TO_INTEGER(half_to_w, 16, true, false)
TO_INTEGER(half_to_w_chop, 16, true, true)
TO_INTEGER(half_to_uw, 16, false, false)
TO_INTEGER(half_to_uw_chop, 16, false, true)
TO_INTEGER(half_to_dq, 32, true, false)
TO_INTEGER(half_to_dq_chop, 32, true, true)
TO_INTEGER(half_to_udq, 32, false, false)
TO_INTEGER(half_to_udq_chop, 32, false, true)
TO_INTEGER(half_to_qq, 64, true, false)
TO_INTEGER(half_to_qq_chop, 64, true, true)
TO_INTEGER(half_to_uqq, 64, false, false)
TO_INTEGER(half_to_uqq_chop, 64, false, true)

static uint64_t from_unsigned(struct fp_context *c, uint64_t v)
{
	struct sf_env env = half_env(c);

	return half_finish(c, &env, &sf_f16, sf_from_u64(false, v));
}

static uint64_t from_signed(struct fp_context *c, int64_t v)
{
	struct sf_env env = half_env(c);

	return half_finish(c, &env, &sf_f16, sf_from_u64(v < 0, v < 0 ? -(uint64_t)v : (uint64_t)v));
}

#define FROM_INTEGER(name, how, type)                                                                             \
	static uint64_t name(struct fp_context *c, uint64_t a, uint64_t b)                                        \
	{                                                                                                         \
		return how(c, (type)b);                                                                           \
	}                                                                                                         \
	HALF_SEM(name)
FROM_INTEGER(w_to_half, from_signed, int16_t)
FROM_INTEGER(uw_to_half, from_unsigned, uint16_t)
FROM_INTEGER(dq_to_half, from_signed, int32_t)
FROM_INTEGER(udq_to_half, from_unsigned, uint32_t)
FROM_INTEGER(qq_to_half, from_signed, int64_t)
FROM_INTEGER(uqq_to_half, from_unsigned, uint64_t)

/* ---- general registers ---------------------------------------------------------------------------------- */

/* E, of `size` bytes. */
static int load_general(struct emu *e, const struct insn *i, unsigned size, uint64_t *v)
{
	*v = e->cpu.gpr[i->rm & 15] & low_bits(8 * size);
	return i->is_mem ? emu_load(e, i, v, size) : 0;
}

static int half_from_general(struct emu *e, const struct insn *i, bool is_signed)
{
	struct fp_context c = { .f = &fp_half, .mxcsr = evex_mxcsr(e, i) };
	union vec d = *vex_first(e, i);
	uint64_t v, r;

	if (load_general(e, i, i->size, &v))
		return EMU_STOP;
	r = is_signed ? from_signed(&c, i->size == 8 ? (int64_t)v : (int32_t)v) : from_unsigned(&c, v);
	if (fp_collect(e, c.flags, evex_ignored(i)))
		return EMU_STOP;
	d.u16[0] = (uint16_t)r;
	vex_write(e, i, &d, SSE_BYTES);
	return 0;
}

static int half_to_general(struct emu *e, const struct insn *i, bool is_signed, bool chop)
{
	struct fp_context c = { .f = &fp_half, .mxcsr = evex_mxcsr(e, i) };
	union vec s;
	uint64_t r;

	if (evex_source(e, i, &s))
		return EMU_STOP;
	r = to_integer(&c, s.u16[0], 8u * i->size, is_signed, chop);
	if (fp_collect(e, c.flags, evex_ignored(i)))
		return EMU_STOP;
	e->cpu.gpr[i->reg] = r;
	return 0;
}

SEM(evex_cvtsi2sh)
{
	return half_from_general(e, i, true);
}

SEM(evex_cvtusi2sh)
{
	return half_from_general(e, i, false);
}

SEM(evex_cvtsh2si)
{
	return half_to_general(e, i, true, false);
}

SEM(evex_cvttsh2si)
{
	return half_to_general(e, i, true, true);
}

SEM(evex_cvtsh2usi)
{
	return half_to_general(e, i, false, false);
}

SEM(evex_cvttsh2usi)
{
	return half_to_general(e, i, false, true);
}

/* VMOVW: a word, zeroes above it in either kind of register. */
SEM(evex_movw_load)
{
	union vec v = { .u64 = { 0 } };

	if (load_general(e, i, 2, &v.u64[0]))
		return EMU_STOP;
	vex_write(e, i, &v, SSE_BYTES);
	return 0;
}

SEM(evex_movw_store)
{
	const uint16_t v = sse_reg(e, i)->u16[0];

	if (i->is_mem)
		return simd_store(e, i, &v, sizeof(v));
	e->cpu.gpr[i->rm & 15] = v;
	return 0;
}
