/* SPDX-License-Identifier: MIT */
/* What the floating-point semantics of SSE, AVX and FMA share: MXCSR and its exceptions. */
#ifndef BULKHEAD_EMU_FPU_SSE_FP_H
#define BULKHEAD_EMU_FPU_SSE_FP_H

#include "provider.h"
#include "emu/sem/simd/simd.h"

enum {
	MXCSR_PRE = 0x07,	/* IE, DE, ZE: found before anything is computed */
	MXCSR_OE = 0x08,
	MXCSR_UE = 0x10,
	MXCSR_PE = 0x20,
	MXCSR_FLAGS = 0x3f,
	MXCSR_MASKS = 0x1f80,
	MXCSR_MASK_SHIFT = 7,
	MXCSR_OM = 1 << 10,
	MXCSR_UM = 1 << 11,
	MXCSR_RC_SHIFT = 13,
	MXCSR_RC = 3 << MXCSR_RC_SHIFT,
	MXCSR_FTZ = 1 << 15,
};

/*
 * Runs fn with control bits `mxcsr` (the guest's, or with another rounding) on `count` pairs d[], s[] that make up one
 * instruction, and collects its exceptions, but those in `ignore`, in the guest's MXCSR. EMU_STOP: one is unmasked
 * (#XM); then d[] has no meaning.
 */
int fp_run_with(struct emu *e, fp_sse_fn *fn, union vec *d, const union vec *s, unsigned count, uint32_t mxcsr,
		uint32_t ignore);

/* The same for flags that were found otherwise, with the guest's masks in mind. */
int fp_collect(struct emu *e, uint32_t flags, uint32_t ignore);

/*
 * The semantic functions of the forms that `isa` has of the operations in a list of operations.h: a function of `isa`_ and the
 * shape runs the instruction, with the provider's arithmetic.
 */
#define FP_FORM(isa, name, shape, ...)                                                                            \
	SEM(isa##_##name)                                                                                         \
	{                                                                                                         \
		return isa##_##shape(e, i, __VA_ARGS__);                                                          \
	}
#define FP_FORM_PACKED(isa, name, from, to) FP_FORM(isa, name, packed, fp_##name, from, to)
#define FP_FORM_SCALAR(isa, name, size) FP_FORM(isa, name, scalar, fp_##name, size)
#define FP_FORM_FLAGS(isa, name, size) FP_FORM(isa, name, flags, fp_##name, size)
#define FP_FORM_FROM_GPR(isa, name) FP_FORM(isa, name, from_gpr, fp_##name##32, fp_##name##64)
#define FP_FORM_TO_GPR(isa, name, size) FP_FORM(isa, name, to_gpr, fp_##name##32, fp_##name##64, size)
#define FP_FORM_ROUND_PACKED(isa, name) FP_FORM(isa, name, round_packed, fp_##name)
#define FP_FORM_ROUND_SCALAR(isa, name, size) FP_FORM(isa, name, round_scalar, fp_##name, size)

/* MXCSR with the direction that an immediate asks for, unless it leaves that to MXCSR (ROUNDPS, VCVTPS2PH). */
FPU_INLINE uint32_t fp_directed(uint32_t mxcsr, unsigned imm)
{
	return imm & 4 ? mxcsr : (mxcsr & ~(uint32_t)MXCSR_RC) | (imm & 3) << MXCSR_RC_SHIFT;
}

/* Comparison predicates 0..31: which relations make one true, and whether a quiet NaN raises IE. */
enum { FP_LESS = 1, FP_EQUAL = 2, FP_GREATER = 4, FP_UNORDERED = 8 };
unsigned fp_predicate_holds(unsigned p);
bool fp_predicate_signals(unsigned p);

/* DPPS and DPPD of `count` pairs; s[] is changed. */
int fp_dot_ps(struct emu *e, union vec *d, union vec *s, unsigned count, unsigned imm);
int fp_dot_pd(struct emu *e, union vec *d, union vec *s, unsigned count, unsigned imm);

#endif
