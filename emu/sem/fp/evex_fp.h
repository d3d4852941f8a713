/* SPDX-License-Identifier: MIT */
/*
 * EVEX floating point: control bits with embedded rounding, and instructions that are computed element by element on bit
 * images, because no older instruction does what they do.
 */
#ifndef BULKHEAD_EMU_FPU_EVEX_FP_H
#define BULKHEAD_EMU_FPU_EVEX_FP_H

#include "emu/sem/simd/evex.h"
#include "sse_fp.h"

enum { MXCSR_IE = 0x01, MXCSR_DE = 0x02, MXCSR_ZE = 0x04, MXCSR_DAZ = 0x40 };
enum fp_rounding { FP_NEAREST, FP_DOWN, FP_UP, FP_TRUNCATE };

/* MXCSR for this instruction: embedded rounding replaces RC, suppression of exceptions masks them all. */
FPU_INLINE uint32_t evex_mxcsr(const struct emu *e, const struct insn *i)
{
	uint32_t mxcsr = e->cpu.mxcsr;

	if (evex_suppresses(i))
		mxcsr |= MXCSR_MASKS;
	if (evex_suppresses(i) && (evex_row(i)->evex & ISA_ER))
		mxcsr = (mxcsr & ~(uint32_t)MXCSR_RC) | (uint32_t)i->imm2 << MXCSR_RC_SHIFT;
	return mxcsr;
}

/* Flags that it must not raise. */
FPU_INLINE uint32_t evex_ignored(const struct insn *i)
{
	return evex_suppresses(i) ? MXCSR_FLAGS : 0;
}

/* A binary interchange format: bits of the fraction and of the exponent. */
struct fp_format {
	unsigned fraction, exponent;
};

extern const struct fp_format fp_half, fp_single, fp_double;

/* What an element function sees of its instruction, and the flags that it raises. */
struct fp_context {
	const struct fp_format *f; /* of the source elements */
	uint32_t mxcsr, flags;
	unsigned imm;
	unsigned index; /* of the element */
	uint64_t old; /* the element's destination before */
};

/* b is W's element, a the one of H (no meaning if the row has none). The result is an image of the row's `elem` bytes. */
typedef uint64_t fp_element_fn(struct fp_context *c, uint64_t a, uint64_t b);

/* V = fn(H, W) for the elements that the mask selects, packed or scalar as the row says; and the same into an opmask,
 * where the result is 0 or 1. */
int evex_elements(struct emu *e, const struct insn *i, fp_element_fn *fn);
int evex_elements_opmask(struct emu *e, const struct insn *i, fp_element_fn *fn);

FPU_INLINE enum fp_rounding fp_rounding_of(uint32_t mxcsr)
{
	return (enum fp_rounding)(mxcsr >> MXCSR_RC_SHIFT & 3);
}

/* ---- images: sign, exponent field, fraction ---- */

FPU_INLINE uint64_t fp_fraction(const struct fp_format *f, uint64_t x)
{
	return x & low_bits(f->fraction);
}

FPU_INLINE unsigned fp_field(const struct fp_format *f, uint64_t x)
{
	return (unsigned)(x >> f->fraction & low_bits(f->exponent));
}

FPU_INLINE bool fp_sign(const struct fp_format *f, uint64_t x)
{
	return x >> (f->fraction + f->exponent) & 1;
}

FPU_INLINE uint64_t fp_sign_bit(const struct fp_format *f)
{
	return 1ull << (f->fraction + f->exponent);
}

FPU_INLINE int fp_bias(const struct fp_format *f)
{
	return (1 << (f->exponent - 1)) - 1;
}

FPU_INLINE uint64_t fp_infinity(const struct fp_format *f, bool negative)
{
	return low_bits(f->exponent) << f->fraction | (negative ? fp_sign_bit(f) : 0);
}

FPU_INLINE uint64_t fp_quiet_bit(const struct fp_format *f)
{
	return 1ull << (f->fraction - 1);
}

/* QNaN floating-point indefinite. */
FPU_INLINE uint64_t fp_indefinite(const struct fp_format *f)
{
	return fp_infinity(f, true) | fp_quiet_bit(f);
}

FPU_INLINE bool fp_is_nan(const struct fp_format *f, uint64_t x)
{
	return fp_field(f, x) == low_bits(f->exponent) && fp_fraction(f, x);
}

FPU_INLINE bool fp_is_snan(const struct fp_format *f, uint64_t x)
{
	return fp_is_nan(f, x) && !(x & fp_quiet_bit(f));
}

FPU_INLINE bool fp_is_infinity(const struct fp_format *f, uint64_t x)
{
	return fp_field(f, x) == low_bits(f->exponent) && !fp_fraction(f, x);
}

FPU_INLINE bool fp_is_zero(const struct fp_format *f, uint64_t x)
{
	return !(x & ~fp_sign_bit(f));
}

FPU_INLINE bool fp_is_denormal(const struct fp_format *f, uint64_t x)
{
	return fp_field(f, x) == 0 && fp_fraction(f, x);
}

/* 2^exponent as a normal number. */
FPU_INLINE uint64_t fp_power(const struct fp_format *f, int exponent)
{
	return (uint64_t)(exponent + fp_bias(f)) << f->fraction;
}

/* An operand as arithmetic sees it: denormals are zero with DAZ, and raise DE without, if `report`. */
uint64_t fp_operand(struct fp_context *c, uint64_t x, bool report);

/* A NaN operand made quiet; SNaN raises IE. */
uint64_t fp_quiet(struct fp_context *c, uint64_t x);

/* A finite number other than zero is significand * 2^exponent with `fraction` + 1 bits (fewer if denormal). */
uint64_t fp_significand(const struct fp_format *f, uint64_t x, int *exponent);

/* significand * 2^exponent in format f, rounded as MXCSR says, with the flags that this raises. */
uint64_t fp_pack(struct fp_context *c, const struct fp_format *f, bool negative, uint64_t significand, int exponent);

/* v / 2^shift as an integer, rounded; *exact says whether nothing was lost. shift >= 0. */
uint64_t fp_shift_round(uint64_t v, unsigned shift, bool negative, enum fp_rounding rounding, bool *exact);

#endif
