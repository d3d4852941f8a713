/* SPDX-License-Identifier: MIT */
/* Exact arithmetic on bit images of floating-point numbers, element by element (see evex_fp.h). */
#include "evex_fp.h"

const struct fp_format fp_half = { 10, 5 }, fp_single = { 23, 8 }, fp_double = { 52, 11 };

uint64_t fp_operand(struct fp_context *c, uint64_t x, bool report)
{
	if (!fp_is_denormal(c->f, x))
		return x;
	if (c->mxcsr & MXCSR_DAZ)
		return x & fp_sign_bit(c->f);
	c->flags |= report ? MXCSR_DE : 0;
	return x;
}

uint64_t fp_quiet(struct fp_context *c, uint64_t x)
{
	c->flags |= fp_is_snan(c->f, x) ? MXCSR_IE : 0;
	return x | fp_quiet_bit(c->f);
}

uint64_t fp_significand(const struct fp_format *f, uint64_t x, int *exponent)
{
	const unsigned field = fp_field(f, x);

	*exponent = (int)(field ? field : 1) - fp_bias(f) - (int)f->fraction;
	return fp_fraction(f, x) | (field ? 1ull << f->fraction : 0);
}

uint64_t fp_shift_round(uint64_t v, unsigned shift, bool negative, enum fp_rounding rounding, bool *exact)
{
	const unsigned s = shift > 63 ? 63 : shift;
	uint64_t whole, rest, half;

	/* Beyond 63 all that counts is that something is left, and less than a half. */
	if (shift > 63)
		v = v ? 1 : 0;
	whole = s ? v >> s : v;
	rest = v & low_bits(s);
	half = s ? 1ull << (s - 1) : 0;
	*exact = rest == 0;
	switch (rounding) {
	case FP_NEAREST:
		return whole + (rest && (rest > half || (rest == half && (whole & 1))));
	case FP_DOWN:
		return whole + (rest && negative);
	case FP_UP:
		return whole + (rest && !negative);
	case FP_TRUNCATE:
		break;
	}
	return whole;
}

/*
 * What an unmasked overflow or underflow tells by PE is whether anything was lost with an exponent without limits (SDM vol.
 * 1, 4.9.1.4 to 4.9.1.6): `unlimited` says that nothing was.
 */
static uint64_t overflow(struct fp_context *c, const struct fp_format *f, bool negative, bool unlimited)
{
	const enum fp_rounding r = fp_rounding_of(c->mxcsr);
	const bool to_infinity = r == FP_NEAREST || r == (negative ? FP_DOWN : FP_UP);

	c->flags |= MXCSR_OE | (unlimited && !(c->mxcsr & MXCSR_OM) ? 0 : MXCSR_PE);
	return fp_infinity(f, negative) - (to_infinity ? 0 : 1); /* one less is the largest finite number */
}

/* Tiny results: unmasked, every one is reported; masked, only inexact ones, and with FTZ they become zero. */
static uint64_t underflow(struct fp_context *c, const struct fp_format *f, bool negative, uint64_t image, bool exact,
			  bool unlimited)
{
	if (!(c->mxcsr & MXCSR_UM)) {
		c->flags |= MXCSR_UE | (unlimited ? 0 : MXCSR_PE);
		return image;
	}
	if (c->mxcsr & MXCSR_FTZ) {
		c->flags |= MXCSR_UE | MXCSR_PE;
		return negative ? fp_sign_bit(f) : 0;
	}
	c->flags |= exact ? 0 : MXCSR_UE | MXCSR_PE;
	return image;
}

/* v without its lowest `lost` bits, rounded; fewer than none are zeroes to be appended. */
static uint64_t drop_bits(uint64_t v, int lost, bool negative, enum fp_rounding rounding, bool *exact)
{
	*exact = true;
	return lost <= 0 ? v << -lost : fp_shift_round(v, (unsigned)lost, negative, rounding, exact);
}

/* Tininess is detected after rounding (SDM vol. 1, 4.9.1.5). Rounding carries from the fraction into the exponent field
 * by itself. */
uint64_t fp_pack(struct fp_context *c, const struct fp_format *f, bool negative, uint64_t significand, int exponent)
{
	const enum fp_rounding rounding = fp_rounding_of(c->mxcsr);
	const int top = 63 - __builtin_clzll(significand), least = 1 - fp_bias(f);
	const int high = exponent + top, lost = top - (int)f->fraction, deeper = high < least ? least - high : 0;
	const uint64_t sign = negative ? fp_sign_bit(f) : 0;
	bool exact, unlimited;
	const uint64_t normal = drop_bits(significand, lost, negative, rounding, &unlimited);
	uint64_t r = drop_bits(significand, lost + deeper, negative, rounding, &exact);

	if (high > fp_bias(f) + 1)
		return overflow(c, f, negative, unlimited);
	if (deeper > 1 || (deeper && normal >> (f->fraction + 1) == 0))
		return underflow(c, f, negative, sign | r, exact, unlimited);
	if (!deeper)
		r += (uint64_t)(high + fp_bias(f) - 1) << f->fraction;
	if (r >= fp_infinity(f, false))
		return overflow(c, f, negative, unlimited);
	c->flags |= exact ? 0 : MXCSR_PE;
	return sign | r;
}

/* ---- instructions ---------------------------------------------------------------------------------------- */

static uint64_t get_element(const union vec *v, unsigned k, unsigned size)
{
	return size == 8 ? v->u64[k] : size == 4 ? v->u32[k] : v->u16[k];
}

static void set_element(union vec *v, unsigned k, unsigned size, uint64_t value)
{
	if (size == 8)
		v->u64[k] = value;
	else if (size == 4)
		v->u32[k] = (uint32_t)value;
	else
		v->u16[k] = (uint16_t)value;
}

/* Half precision knows neither DAZ nor FTZ (AVX512-FP16: denormals are always numbers). */
static struct fp_context context_of(const struct emu *e, const struct insn *i)
{
	const unsigned size = evex_row(i)->esize;
	struct fp_context c = { .f = size == 8	 ? &fp_double
				     : size == 4 ? &fp_single
						 : &fp_half,
				.mxcsr = evex_mxcsr(e, i),
				.imm = (uint8_t)i->imm };

	if (size == 2)
		c.mxcsr &= ~(uint32_t)(MXCSR_DAZ | MXCSR_FTZ);
	return c;
}

static unsigned element_count(const struct insn *i)
{
	const struct isa_row *r = evex_row(i);

	if (r->tuple == ISA_T1S)
		return 1;
	return (evex_bytes(i) >> (r->tuple == ISA_HV ? 1 : r->tuple == ISA_QV ? 2 : 0)) / r->esize;
}

/* All selected elements: one set of exceptions for the instruction. */
static int run_elements(struct emu *e, const struct insn *i, fp_element_fn *fn, union vec *d, uint64_t *bits)
{
	const struct isa_row *r = evex_row(i);
	const union vec *a = vex_first(e, i);
	struct fp_context c = context_of(e, i);
	const uint64_t mask = evex_mask(e, i);
	union vec b;

	if (evex_source(e, i, &b))
		return EMU_STOP;
	for (unsigned k = 0; k < element_count(i); k++) {
		uint64_t v;

		if (!(mask >> k & 1))
			continue;
		c.index = k;
		c.old = get_element(&e->cpu.vec[i->reg], k, r->elem);
		v = fn(&c, get_element(a, k, r->esize), get_element(&b, k, r->esize));
		if (bits)
			*bits |= (v & 1) << k;
		else
			set_element(d, k, r->elem, v);
	}
	return fp_collect(e, c.flags, evex_ignored(i));
}

int evex_elements(struct emu *e, const struct insn *i, fp_element_fn *fn)
{
	const struct isa_row *r = evex_row(i);
	union vec d = { .u64 = { 0 } };

	if (run_elements(e, i, fn, &d, NULL))
		return EMU_STOP;
	if (r->tuple == ISA_T1S)
		evex_put_scalar(e, i, i->reg, &d, vex_first(e, i));
	else
		evex_put(e, i, i->reg, &d, element_count(i) * r->elem);
	return 0;
}

int evex_elements_opmask(struct emu *e, const struct insn *i, fp_element_fn *fn)
{
	uint64_t bits = 0;

	if (run_elements(e, i, fn, NULL, &bits))
		return EMU_STOP;
	evex_put_opmask(e, i, bits);
	return 0;
}
