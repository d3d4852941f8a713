/* SPDX-License-Identifier: MIT */
/* FMA3 and F16C: one rounding each, computed by the provider. */
#include "sse_fp.h"

static int fma_packed(struct emu *e, const struct insn *i, fp_sse_fn *fn)
{
	const unsigned n = vex_bytes(i);
	union vec d = { .u64 = { 0 } }, s[2] = { { .u64 = { 0 } }, { .u64 = { 0 } } };

	if (vex_source(e, i, n, &s[1]))
		return EMU_STOP;
	memcpy(&s[0], vex_first(e, i), n);
	memcpy(&d, sse_reg(e, i), n);
	if (fp_run_with(e, fn, &d, s, 1, e->cpu.mxcsr, 0))
		return EMU_STOP;
	vex_write(e, i, &d, n);
	return 0;
}

/* The upper elements of the low 128 bits are the destination's own. */
static int fma_scalar(struct emu *e, const struct insn *i, unsigned size, fp_sse_fn *fn)
{
	union vec d = *sse_reg(e, i), s[2];

	if (vex_source(e, i, i->is_mem ? size : SSE_BYTES, &s[1]))
		return EMU_STOP;
	s[0] = *vex_first(e, i);
	if (fp_run_with(e, fn, &d, s, 1, e->cpu.mxcsr, 0))
		return EMU_STOP;
	vex_write(e, i, &d, SSE_BYTES);
	return 0;
}

#define PACKED_SEM(name)                                                                                          \
	SEM(fma_##name)                                                                                           \
	{                                                                                                         \
		return fma_packed(e, i, fp_##name);                                                               \
	}
FP_FMA_PACKED(PACKED_SEM)

#define SCALAR_SEM(name, size)                                                                                    \
	SEM(fma_##name)                                                                                           \
	{                                                                                                         \
		return fma_scalar(e, i, size, fp_##name);                                                         \
	}
#define SINGLE_SEM(name) SCALAR_SEM(name, 4)
#define DOUBLE_SEM(name) SCALAR_SEM(name, 8)
FP_FMA_UNIFORM(FP_FMA_SS, SINGLE_SEM)
FP_FMA_UNIFORM(FP_FMA_SD, DOUBLE_SEM)

/* ---- half precision ------------------------------------------------------------------------------------ */

SEM(f16c_cvtph2ps)
{
	union vec d, s[2] = { { .u64 = { 0 } } };

	if (vex_source(e, i, vex_bytes(i) / 2, &s[0]) || fp_run_with(e, fp_cvtph2ps, &d, s, 1, e->cpu.mxcsr, 0))
		return EMU_STOP;
	vex_write(e, i, &d, vex_bytes(i));
	return 0;
}

/* The instruction ignores FTZ (SDM vol. 2, VCVTPS2PH). */
SEM(f16c_cvtps2ph)
{
	const unsigned n = vex_bytes(i), imm = (uint8_t)i->imm;
	const uint32_t mxcsr = fp_directed(e->cpu.mxcsr & ~(uint32_t)MXCSR_FTZ, imm);
	union vec d, s[2] = { { .u64 = { 0 } } };

	memcpy(&s[0], sse_reg(e, i), n);
	if (fp_run_with(e, fp_cvtps2ph, &d, s, 1, mxcsr, 0))
		return EMU_STOP;
	/* Processors keep the flags of MXCSR even if the store faults. */
	if (i->is_mem)
		return simd_store(e, i, &d, n / 2);
	vex_put(e, i->rm, &d, n / 2);
	return 0;
}
