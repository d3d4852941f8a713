/* SPDX-License-Identifier: MIT */
/*
 * EVEX floating point by the provider: its functions of 16 (FMA: 32) bytes on each part of the vectors, one set of
 * exceptions for all elements. Elements that the mask leaves out are computed on 1.0, which raises nothing.
 */
#include "evex_fp.h"

enum { PARTS = EVEX_BYTES / SSE_BYTES };

static void benign(union vec *v, unsigned size, uint64_t mask)
{
	const uint64_t one = size == 8 ? 0x3ff0000000000000 : size == 4 ? 0x3f800000 : 0x3c00;

	for (unsigned k = 0; k < EVEX_BYTES / size; k++)
		if (!(mask >> k & 1))
			memcpy(v->u8 + k * size, &one, size);
}

/* `step` bytes of v for each part of p[], and back. */
static void split(union vec p[PARTS], const union vec *v, unsigned step)
{
	for (unsigned k = 0; k < PARTS && (k + 1) * step <= EVEX_BYTES; k++) {
		p[k].u64[0] = p[k].u64[1] = p[k].u64[2] = p[k].u64[3] = 0;
		memcpy(&p[k], v->u8 + k * step, step);
	}
}

static void join(union vec *v, const union vec p[PARTS], unsigned step)
{
	for (unsigned k = 0; k < PARTS && (k + 1) * step <= EVEX_BYTES; k++)
		memcpy(v->u8 + k * step, &p[k], step);
}

/* W, with nothing in it that could raise an exception of its own. */
static int packed_source(struct emu *e, const struct insn *i, union vec *v)
{
	const struct isa_row *r = evex_row(i);
	const unsigned count = (evex_bytes(i) >> (r->tuple == ISA_HV || r->tuple == ISA_HVM)) / r->esize;

	if (evex_source(e, i, v))
		return EMU_STOP;
	benign(v, r->esize, evex_mask(e, i) & low_bits(count));
	return 0;
}

static int run(struct emu *e, const struct insn *i, fp_sse_fn *fn, union vec *d, const union vec *s, unsigned count)
{
	return fp_run_with(e, fn, d, s, count, evex_mxcsr(e, i), evex_ignored(i));
}

/* Steps in bytes: of the source and of the result for each part of 16 (or, half precision, 32) bytes of the wider one. */
static int evex_packed(struct emu *e, const struct insn *i, fp_sse_fn *fn, unsigned from, unsigned to)
{
	const unsigned wide = from > to ? from : to, count = evex_bytes(i) < wide ? 1 : evex_bytes(i) / wide;
	union vec a = *vex_first(e, i), b, d[PARTS], s[PARTS + 1] = { { .u64 = { 0 } } };

	if (packed_source(e, i, &b))
		return EMU_STOP;
	benign(&a, evex_row(i)->esize, evex_mask(e, i));
	split(s, &b, from);
	split(d, &a, SSE_BYTES);
	if (run(e, i, fn, d, s, count))
		return EMU_STOP;
	join(&a, d, to);
	evex_put(e, i, i->reg, &a, evex_bytes(i) * to / wide);
	return 0;
}

/* Result in the low element, the rest of the low 128 bits from H. Here and below the row knows the size of the source, too. */
static int evex_scalar(struct emu *e, const struct insn *i, fp_sse_fn *fn, unsigned size)
{
	union vec d = *vex_first(e, i), s;

	if (evex_source(e, i, &s) || ((evex_mask(e, i) & 1) && run(e, i, fn, &d, &s, 1)))
		return EMU_STOP;
	evex_put_scalar(e, i, i->reg, &d, vex_first(e, i));
	return 0;
}

FP_FORM_PACKED(evex, cvtph2ps, 16, 32)

/* The immediate rounds; only exceptions can be suppressed between registers. */
SEM(evex_cvtps2ph)
{
	const unsigned imm = (uint8_t)i->imm, n = evex_bytes(i);
	const uint32_t mxcsr = fp_directed(evex_mxcsr(e, i) & ~(uint32_t)MXCSR_FTZ, imm);
	union vec v = *sse_reg(e, i), d[PARTS], s[PARTS + 1] = { { .u64 = { 0 } } };

	benign(&v, 4, evex_mask(e, i) & low_bits(n / 4));
	split(s, &v, 32);
	if (fp_run_with(e, fp_cvtps2ph, d, s, n > 32 ? 2 : 1, mxcsr, evex_ignored(i)))
		return EMU_STOP;
	join(&v, d, 16);
	return evex_store(e, i, &v);
}

/* ---- fused multiply-add: s[0] is H, s[1] W -------------------------------------------------------------------- */

/* The provider's function on each half, with the operands that it wants side by side. */
static uint32_t fma_halves(fp_sse_fn *fn, union vec *d, const union vec *s, uint32_t mxcsr)
{
	uint32_t flags = 0;

	for (unsigned at = 0; at < EVEX_BYTES; at += AVX_BYTES) {
		union vec half, operands[2];

		memcpy(&half, d->u8 + at, AVX_BYTES);
		memcpy(&operands[0], s[0].u8 + at, AVX_BYTES);
		memcpy(&operands[1], s[1].u8 + at, AVX_BYTES);
		flags |= fn(&half, operands, mxcsr);
		memcpy(d->u8 + at, &half, AVX_BYTES);
	}
	return flags;
}

static int fma_packed(struct emu *e, const struct insn *i, fp_sse_fn *fn)
{
	const unsigned size = evex_row(i)->esize;
	const uint64_t mask = evex_mask(e, i) & low_bits(evex_bytes(i) / size);
	union vec d = *sse_reg(e, i), s[2] = { *vex_first(e, i) };

	if (evex_source(e, i, &s[1]))
		return EMU_STOP;
	benign(&d, size, mask);
	benign(&s[0], size, mask);
	benign(&s[1], size, mask);
	if (run(e, i, fn, &d, s, 1))
		return EMU_STOP;
	evex_write(e, i, &d);
	return 0;
}

/* Elements above the lowest are the destination's own. */
static int fma_scalar(struct emu *e, const struct insn *i, fp_sse_fn *fn)
{
	const union vec upper = *sse_reg(e, i);
	union vec d = upper, s[2] = { *vex_first(e, i) };

	if (evex_source(e, i, &s[1]) || ((evex_mask(e, i) & 1) && run(e, i, fn, &d, s, 1)))
		return EMU_STOP;
	evex_put_scalar(e, i, i->reg, &d, &upper);
	return 0;
}

#define FMA_PACKED_SEM(name)                                                                                      \
	static uint32_t whole_##name(union vec *d, const union vec *s, uint32_t mxcsr)                            \
	{                                                                                                         \
		return fma_halves(fp_##name, d, s, mxcsr);                                                        \
	}                                                                                                         \
	SEM(evex_##name)                                                                                          \
	{                                                                                                         \
		return fma_packed(e, i, whole_##name);                                                            \
	}
#define FMA_SCALAR_SEM(name)                                                                                      \
	SEM(evex_##name)                                                                                          \
	{                                                                                                         \
		return fma_scalar(e, i, fp_##name);                                                               \
	}
FP_FMA_PACKED(FMA_PACKED_SEM)
FP_FMA_SCALAR(FMA_SCALAR_SEM)

/* ---- flags and general registers ------------------------------------------------------------------------------ */

static int evex_flags(struct emu *e, const struct insn *i, fp_sse_fn *fn, unsigned size)
{
	union vec d = *sse_reg(e, i), s;

	if (evex_source(e, i, &s) || run(e, i, fn, &d, &s, 1))
		return EMU_STOP;
	emu_flags_set(e, RFLAGS_ARITH, d.u64[0] & (RFLAGS_ZF | RFLAGS_PF | RFLAGS_CF));
	return 0;
}

static int evex_from_gpr(struct emu *e, const struct insn *i, fp_sse_fn *fn32, fp_sse_fn *fn64)
{
	union vec d = *vex_first(e, i), s;

	s.u64[0] = e->cpu.gpr[i->rm & 15];
	if ((i->is_mem && emu_load(e, i, &s, i->size)) || run(e, i, i->size == 8 ? fn64 : fn32, &d, &s, 1))
		return EMU_STOP;
	vex_write(e, i, &d, SSE_BYTES);
	return 0;
}

static int evex_to_gpr(struct emu *e, const struct insn *i, fp_sse_fn *fn32, fp_sse_fn *fn64, unsigned size)
{
	union vec d = { .u64 = { 0 } }, s;

	if (evex_source(e, i, &s) || run(e, i, i->size == 8 ? fn64 : fn32, &d, &s, 1))
		return EMU_STOP;
	e->cpu.gpr[i->reg] = d.u64[0];
	return 0;
}

FP_ALL_FORMS(FP_FORM, evex)
FP_NO_VECTOR(FP_FORM, evex)

/* ---- approximations --------------------------------------------------------------------------------------------- */

/* VRCP14xx, VRSQRT14xx raise nothing; on single elements the provider computes whole vectors all the same. */
static int approximate(struct emu *e, const struct insn *i, fp_sse_fn *single, fp_sse_fn *twice)
{
	union vec s, d = { .u64 = { 0 } };

	if (evex_source(e, i, &s))
		return EMU_STOP;
	(evex_row(i)->esize == 8 ? twice : single)(&d, &s, e->cpu.mxcsr | MXCSR_MASKS);
	if (evex_row(i)->tuple == ISA_T1S)
		evex_put_scalar(e, i, i->reg, &d, vex_first(e, i));
	else
		evex_write(e, i, &d);
	return 0;
}

SEM(evex_rcp14)
{
	return approximate(e, i, fp_rcp14ps, fp_rcp14pd);
}

SEM(evex_rsqrt14)
{
	return approximate(e, i, fp_rsqrt14ps, fp_rsqrt14pd);
}
