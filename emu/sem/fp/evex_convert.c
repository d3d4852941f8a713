/* SPDX-License-Identifier: MIT */
/* AVX-512 conversions that no older instruction does: unsigned and 64-bit integers; BF16. */
#include "evex_fp.h"

/* The integer indefinite: what an invalid conversion gives (SDM vol. 1, 4.2.2; VCVTPS2UDQ). */
static uint64_t indefinite(struct fp_context *c, unsigned bits, bool is_signed)
{
	c->flags |= MXCSR_IE;
	return is_signed ? 1ull << (bits - 1) : low_bits(bits);
}

/* x as an integer of `bits`. Invalid is what does not fit after rounding. */
static uint64_t to_integer(struct fp_context *c, uint64_t x, unsigned bits, bool is_signed, enum fp_rounding rounding)
{
	const struct fp_format *f = c->f;
	const bool negative = fp_sign(f, x);
	bool exact = true;
	uint64_t s, r, most;
	int exponent;

	if (fp_is_nan(f, x) || fp_is_infinity(f, x))
		return indefinite(c, bits, is_signed);
	x = fp_operand(c, x, false);
	s = fp_significand(f, x, &exponent);
	if (exponent + (int)f->fraction > 63) /* 2^64 or more */
		return indefinite(c, bits, is_signed);
	r = exponent >= 0 ? s << exponent : fp_shift_round(s, (unsigned)-exponent, negative, rounding, &exact);
	most = is_signed ? low_bits(bits - 1) + negative : negative ? 0 : low_bits(bits);
	if (r > most)
		return indefinite(c, bits, is_signed);
	c->flags |= exact ? 0 : MXCSR_PE;
	return negative ? 0 - r : r;
}

static uint64_t from_integer(struct fp_context *c, const struct fp_format *f, uint64_t v, bool negative)
{
	return v ? fp_pack(c, f, negative, negative ? 0 - v : v, 0) : 0;
}

/* ---- vectors: the destination in the name, the source's format in the row --------------------------------------- */

#define TO_INTEGER(name, bits, is_signed, rounding)                                                               \
	static uint64_t element_##name(struct fp_context *c, uint64_t a, uint64_t b)                              \
	{                                                                                                         \
		return to_integer(c, b, bits, is_signed, rounding);                                               \
	}
TO_INTEGER(udq, 32, false, fp_rounding_of(c->mxcsr))
TO_INTEGER(udq_truncated, 32, false, FP_TRUNCATE)
TO_INTEGER(qq, 64, true, fp_rounding_of(c->mxcsr))
TO_INTEGER(qq_truncated, 64, true, FP_TRUNCATE)
TO_INTEGER(uqq, 64, false, fp_rounding_of(c->mxcsr))
TO_INTEGER(uqq_truncated, 64, false, FP_TRUNCATE)

#define FROM_INTEGER(name, format, negative)                                                                      \
	static uint64_t element_##name(struct fp_context *c, uint64_t a, uint64_t b)                              \
	{                                                                                                         \
		return from_integer(c, &(format), b, negative);                                                   \
	}
FROM_INTEGER(signed_to_ps, fp_single, (int64_t)b < 0)
FROM_INTEGER(signed_to_pd, fp_double, (int64_t)b < 0)
FROM_INTEGER(unsigned_to_ps, fp_single, false)
FROM_INTEGER(unsigned_to_pd, fp_double, false)

#define CONVERT_SEM(name, element)                                                                                \
	SEM(evex_##name)                                                                                          \
	{                                                                                                         \
		return evex_elements(e, i, element_##element);                                                    \
	}
CONVERT_SEM(cvtps2udq, udq)
CONVERT_SEM(cvtpd2udq, udq)
CONVERT_SEM(cvttps2udq, udq_truncated)
CONVERT_SEM(cvttpd2udq, udq_truncated)
CONVERT_SEM(cvtps2qq, qq)
CONVERT_SEM(cvtpd2qq, qq)
CONVERT_SEM(cvttps2qq, qq_truncated)
CONVERT_SEM(cvttpd2qq, qq_truncated)
CONVERT_SEM(cvtps2uqq, uqq)
CONVERT_SEM(cvtpd2uqq, uqq)
CONVERT_SEM(cvttps2uqq, uqq_truncated)
CONVERT_SEM(cvttpd2uqq, uqq_truncated)
CONVERT_SEM(cvtqq2ps, signed_to_ps)
CONVERT_SEM(cvtqq2pd, signed_to_pd)
CONVERT_SEM(cvtudq2ps, unsigned_to_ps)
CONVERT_SEM(cvtudq2pd, unsigned_to_pd)
CONVERT_SEM(cvtuqq2ps, unsigned_to_ps)
CONVERT_SEM(cvtuqq2pd, unsigned_to_pd)

/* ---- general registers ------------------------------------------------------------------------------------------ */

static int gpr_to_float(struct emu *e, const struct insn *i, const struct fp_format *f)
{
	struct fp_context c = { .f = f, .mxcsr = evex_mxcsr(e, i) };
	union vec d = *vex_first(e, i);
	uint64_t v = 0, r;

	if (!i->is_mem)
		v = e->cpu.gpr[i->rm & 15] & low_bits(8u * i->size);
	else if (emu_load(e, i, &v, i->size))
		return EMU_STOP;
	r = from_integer(&c, f, v, false);
	if (fp_collect(e, c.flags, evex_ignored(i)))
		return EMU_STOP;
	memcpy(&d, &r, f == &fp_double ? 8 : 4);
	vex_write(e, i, &d, SSE_BYTES);
	return 0;
}

static int float_to_gpr(struct emu *e, const struct insn *i, bool truncate)
{
	const bool twice = evex_row(i)->esize == 8;
	struct fp_context c = { .f = twice ? &fp_double : &fp_single, .mxcsr = evex_mxcsr(e, i) };
	union vec s;
	uint64_t r;

	if (evex_source(e, i, &s))
		return EMU_STOP;
	r = to_integer(&c, twice ? s.u64[0] : s.u32[0], 8u * i->size, false, truncate ? FP_TRUNCATE : fp_rounding_of(c.mxcsr));
	if (fp_collect(e, c.flags, evex_ignored(i)))
		return EMU_STOP;
	e->cpu.gpr[i->reg] = r & low_bits(8u * i->size);
	return 0;
}

SEM(evex_cvtusi2ss)
{
	return gpr_to_float(e, i, &fp_single);
}

SEM(evex_cvtusi2sd)
{
	return gpr_to_float(e, i, &fp_double);
}

SEM(evex_cvtss2usi)
{
	return float_to_gpr(e, i, false);
}

SEM(evex_cvttss2usi)
{
	return float_to_gpr(e, i, true);
}

SEM(evex_cvtsd2usi)
{
	return float_to_gpr(e, i, false);
}

SEM(evex_cvttsd2usi)
{
	return float_to_gpr(e, i, true);
}

/* ---- BF16: neither reads nor changes MXCSR; denormals are zero, rounding is to nearest even ---------------------- */

static uint16_t to_bf16(uint32_t x)
{
	if (fp_is_nan(&fp_single, x))
		return (uint16_t)(x >> 16 | 0x40);
	if (fp_is_denormal(&fp_single, x))
		return (uint16_t)(x >> 16 & 0x8000);
	return (uint16_t)((x + 0x7fff + (x >> 16 & 1)) >> 16);
}

SEM(evex_cvtneps2bf16)
{
	union vec s, d;

	if (evex_source(e, i, &s))
		return EMU_STOP;
	for (unsigned k = 0; k < EVEX_BYTES / 4; k++)
		d.u16[k] = to_bf16(s.u32[k]);
	evex_put(e, i, i->reg, &d, evex_bytes(i) / 2);
	return 0;
}

/* The low half of the result from W, the high half from H. */
SEM(evex_cvtne2ps2bf16)
{
	const unsigned count = evex_bytes(i) / 4;
	union vec s, d;

	if (evex_source(e, i, &s))
		return EMU_STOP;
	for (unsigned k = 0; k < count; k++) {
		d.u16[k] = to_bf16(s.u32[k]);
		d.u16[count + k] = to_bf16(vex_first(e, i)->u32[k]);
	}
	evex_write(e, i, &d);
	return 0;
}

/* Two multiply-adds into each single: the odd elements of the pairs first (SDM vol. 2, VDPBF16PS). */
SEM(evex_dpbf16ps)
{
	enum { CONTROL = MXCSR_MASKS | MXCSR_DAZ | MXCSR_FTZ };
	union vec w, d = *sse_reg(e, i);

	if (evex_source(e, i, &w))
		return EMU_STOP;
	for (unsigned odd = 2; odd-- > 0;) {
		union vec a = *vex_first(e, i), b = w;

		for (unsigned k = 0; k < EVEX_BYTES / 4; k++) {
			a.u32[k] = odd ? a.u32[k] & 0xffff0000 : a.u32[k] << 16;
			b.u32[k] = odd ? b.u32[k] & 0xffff0000 : b.u32[k] << 16;
		}
		for (unsigned at = 0; at < EVEX_BYTES; at += AVX_BYTES) {
			union vec half, s[2];

			memcpy(&half, d.u8 + at, AVX_BYTES);
			memcpy(&s[0], a.u8 + at, AVX_BYTES);
			memcpy(&s[1], b.u8 + at, AVX_BYTES);
			fp_fmadd231ps(&half, s, CONTROL);
			memcpy(d.u8 + at, &half, AVX_BYTES);
		}
	}
	evex_write(e, i, &d);
	return 0;
}
