/* SPDX-License-Identifier: MIT */
/* Provider P, SSE: MXCSR and elements of vectors, for the instructions of provider.h. */
#ifndef BULKHEAD_EMU_FPU_SOFT_SOFT_SSE_H
#define BULKHEAD_EMU_FPU_SOFT_SOFT_SSE_H

#include "emu/sem/fp/provider_table.h"
#include "soft.h"

enum { SOFT_MXCSR_DAZ = 1 << 6, SOFT_MXCSR_MASK_SHIFT = 7, SOFT_MXCSR_RC_SHIFT = 13, SOFT_MXCSR_FTZ = 1 << 15 };

static inline struct sf_env soft_env(uint32_t mxcsr)
{
	return (struct sf_env){ .rc = mxcsr >> SOFT_MXCSR_RC_SHIFT & 3,
				.daz = mxcsr & SOFT_MXCSR_DAZ,
				.ftz = mxcsr & SOFT_MXCSR_FTZ,
				.unmasked = ~mxcsr >> SOFT_MXCSR_MASK_SHIFT & (SF_OE | SF_UE) };
}

/* Element k of a vector of numbers in format f. */
static inline uint64_t soft_bits(const union vec *v, const struct sf_format *f, unsigned k)
{
	return f->width == 64 ? v->u64[k] : f->width == 32 ? v->u32[k] : v->u16[k];
}

static inline void soft_put(union vec *v, const struct sf_format *f, unsigned k, uint64_t bits)
{
	if (f->width == 64)
		v->u64[k] = bits;
	else if (f->width == 32)
		v->u32[k] = (uint32_t)bits;
	else
		v->u16[k] = (uint16_t)bits;
}

static inline struct sf soft_element(const struct sf_env *env, const union vec *v, const struct sf_format *f, unsigned k)
{
	return sf_unpack(env, f, soft_bits(v, f, k));
}

/* One element of the result from those of both operands, in any format: soft_el_add(). The bits that are not taken apart are
 * for MIN and MAX. */
typedef uint64_t soft_element_fn(struct sf_env *env, const struct sf_format *f, uint64_t a, uint64_t b);
#define SOFT_ELEMENT(P, F, op) soft_element_fn soft_el_##op;
FP_ARITHMETIC(SOFT_ELEMENT, , )

#define SOFT_PS (&sf_f32)
#define SOFT_PD (&sf_f64)
#define SOFT_SS (&sf_f32)
#define SOFT_SD (&sf_f64)

/* One definition for each of the four types: packed ones with all elements of 16 bytes, scalar ones with one. */
#define SOFT_TYPED(F, op) F(op##ps, op, SOFT_PS, 4) F(op##pd, op, SOFT_PD, 2) F(op##ss, op, SOFT_SS, 1) F(op##sd, op, SOFT_SD, 1)

#endif
