/* SPDX-License-Identifier: MIT */
/* What the files of AVX512-FP16 share: half precision to and from soft floating point. */
#ifndef BULKHEAD_EMU_FPU_EVEX_HALF_H
#define BULKHEAD_EMU_FPU_EVEX_HALF_H

#include "evex_fp.h"
#include "emu/sem/fp/soft/soft.h"

/* Half precision takes denormals as they are; the other formats follow MXCSR, as sources only. */
FPU_INLINE struct sf_env half_env(const struct fp_context *c)
{
	return (struct sf_env){ .rc = (uint8_t)fp_rounding_of(c->mxcsr),
				.daz = c->mxcsr & MXCSR_DAZ,
				.unmasked = ~c->mxcsr >> MXCSR_MASK_SHIFT & (MXCSR_OE | MXCSR_UE) };
}

FPU_INLINE struct sf half(uint64_t bits)
{
	const struct sf_env as_it_is = { .daz = false };

	return sf_unpack(&as_it_is, &sf_f16, bits & 0xffff);
}

/* Rounds into format f. */
FPU_INLINE uint64_t half_finish(struct fp_context *c, struct sf_env *env, const struct sf_format *f, struct sf r)
{
	const uint64_t bits = sf_finish(env, f, r);

	c->flags |= env->flags;
	return bits;
}

/* The semantic function of an element function. */
#define HALF_SEM(name)                                                                                            \
	SEM(evex_##name)                                                                                          \
	{                                                                                                         \
		return evex_elements(e, i, name);                                                                 \
	}

#endif
