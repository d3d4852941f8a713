/* SPDX-License-Identifier: MIT */
/* SSE floating point: arithmetic, comparison and conversion, with MXCSR and its exceptions. */
#include "sse_fp.h"

/*
 * Flags of an operation that has an unmasked exception, from those of the same operation with all masked.
 * Exceptions of operands stop the instruction before results are looked at (SDM vol. 1, 11.5.3), so O, U
 * and P are not reported.
 */
static uint32_t fault_flags(uint32_t flags, uint32_t unmasked)
{
	return flags & unmasked & MXCSR_PRE ? flags & MXCSR_PRE : flags;
}

/*
 * Flags with overflow or underflow (`open`) unmasked, of a run on copies: the result of such an exception is never seen,
 * and what there is to say about it differs from the masked response (provider.h).
 */
static uint32_t unmasked_flags(fp_sse_fn *fn, const union vec *d, const union vec *s, unsigned count, uint32_t mxcsr,
			       uint32_t open)
{
	uint32_t flags = 0;

	for (unsigned k = 0; k < count; k++) {
		union vec scratch;

		memcpy(&scratch, &d[k], sizeof(scratch));
		flags |= fn(&scratch, &s[k], mxcsr & ~(open << MXCSR_MASK_SHIFT));
	}
	return flags;
}

int fp_collect(struct emu *e, uint32_t flags, uint32_t ignore)
{
	const uint32_t unmasked = ~(e->cpu.mxcsr >> MXCSR_MASK_SHIFT) & MXCSR_FLAGS & ~ignore;

	flags &= ~ignore;
	if (flags & unmasked) {
		e->cpu.mxcsr |= fault_flags(flags, unmasked);
		return emu_fault(e, e->cpu.cr4 & CR4_OSXMMEXCPT ? VEC_XM : VEC_UD);
	}
	e->cpu.mxcsr |= flags;
	return 0;
}

int fp_run_with(struct emu *e, fp_sse_fn *fn, union vec *d, const union vec *s, unsigned count, uint32_t mxcsr,
		uint32_t ignore)
{
	const uint32_t unmasked = ~(e->cpu.mxcsr >> MXCSR_MASK_SHIFT) & MXCSR_FLAGS & ~ignore;
	const uint32_t open = unmasked & (MXCSR_OE | MXCSR_UE);
	uint32_t flags = 0;

	/* With an exception unmasked it matters what this instruction raises; else what is set already does not. */
	mxcsr |= MXCSR_MASKS;
	if (unmasked)
		mxcsr &= ~(uint32_t)MXCSR_FLAGS;
	/* FTZ acts only on masked underflow. */
	if (unmasked & MXCSR_UE)
		mxcsr &= ~(uint32_t)MXCSR_FTZ;
	if (open)
		flags = unmasked_flags(fn, d, s, count, mxcsr, open);
	if (flags & open)
		return fp_collect(e, flags, ignore);
	for (unsigned k = 0; k < count; k++)
		flags |= fn(&d[k], &s[k], mxcsr);
	return fp_collect(e, flags, ignore);
}

FPU_INLINE int run(struct emu *e, fp_sse_fn *fn, union vec *d, const union vec *s)
{
	return fp_run_with(e, fn, d, s, 1, e->cpu.mxcsr, 0);
}

/* V = fn(V, W) with a memory operand of `size` bytes. */
static int binary(struct emu *e, const struct insn *i, unsigned size, fp_sse_fn *fn, uint32_t mxcsr, uint32_t ignore)
{
	union vec d, s;

	if (sse_source(e, i, size, &s))
		return EMU_STOP;
	memcpy(&d, sse_reg(e, i), SSE_BYTES);
	if (fp_run_with(e, fn, &d, &s, 1, mxcsr, ignore))
		return EMU_STOP;
	sse_write(e, i, &d);
	return 0;
}

static int sse_packed(struct emu *e, const struct insn *i, fp_sse_fn *fn, unsigned from, unsigned to)
{
	return binary(e, i, from, fn, e->cpu.mxcsr, 0);
}

static int sse_scalar(struct emu *e, const struct insn *i, fp_sse_fn *fn, unsigned size)
{
	return binary(e, i, size, fn, e->cpu.mxcsr, 0);
}

/* ROUNDxx: the immediate gives the direction and may suppress PE (bit 3). */
static int sse_round_scalar(struct emu *e, const struct insn *i, fp_sse_fn *fn, unsigned size)
{
	return binary(e, i, size, fn, fp_directed(e->cpu.mxcsr, (uint8_t)i->imm), i->imm & 8 ? MXCSR_PE : 0);
}

static int sse_round_packed(struct emu *e, const struct insn *i, fp_sse_fn *fn)
{
	return sse_round_scalar(e, i, fn, SSE_BYTES);
}

/* Legacy CMPxx has eight predicates; the upper bits of the immediate are ignored. */
#define PREDICATE(P, type, op) fp_##op##type,
#define CMP_SEM(type, size)                                                                                       \
	SEM(sse_cmp##type)                                                                                        \
	{                                                                                                         \
		static fp_sse_fn *const predicates[8] = { FP_COMPARISONS(PREDICATE, , type) };                    \
		return sse_scalar(e, i, predicates[i->imm & 7], size);                                            \
	}
CMP_SEM(ps, 16)
CMP_SEM(pd, 16)
CMP_SEM(ss, 4)
CMP_SEM(sd, 8)

/* DPPS multiplies, then adds neighbours once or twice: an unmasked exception of one step stops the next
 * ones. */
static int dot_steps(struct emu *e, const union vec *a, const union vec *b, unsigned count, fp_sse_fn *mul,
		     fp_sse_fn *hadd, unsigned adds)
{
	union vec d[2];

	if ((e->cpu.mxcsr & MXCSR_MASKS) == MXCSR_MASKS)
		return 0;
	memcpy(d, a, count * sizeof(d[0]));
	if (fp_run_with(e, mul, d, b, count, e->cpu.mxcsr, 0))
		return EMU_STOP;
	while (adds--)
		if (fp_run_with(e, hadd, d, d, count, e->cpu.mxcsr, 0))
			return EMU_STOP;
	return 0;
}

/* DPPS, DPPD: products that the immediate leaves out are +0, which 0 * 0 is without raising anything; sums
 * that it does not store become +0. */
#define DOT_SEM(type, elem, elements)                                                                             \
	int fp_dot_##type(struct emu *e, union vec *d, union vec *s, unsigned count, unsigned imm)                \
	{                                                                                                         \
		for (unsigned k = 0; k < (elements); k++)                                                         \
			for (unsigned c = 0; c < count && !(imm >> (4 + k) & 1); c++)                             \
				d[c].elem[k] = s[c].elem[k] = 0;                                                  \
		if (dot_steps(e, d, s, count, fp_mul##type, fp_hadd##type, (elements) / 2) ||                     \
		    fp_run_with(e, fp_dp##type, d, s, count, e->cpu.mxcsr, 0))                                    \
			return EMU_STOP;                                                                          \
		for (unsigned k = 0; k < (elements); k++)                                                         \
			for (unsigned c = 0; c < count && !(imm >> k & 1); c++)                                   \
				d[c].elem[k] = 0;                                                                 \
		return 0;                                                                                         \
	}                                                                                                         \
	SEM(sse_dp##type)                                                                                         \
	{                                                                                                         \
		union vec d, s;                                                                                   \
		if (sse_source(e, i, SSE_BYTES, &s))                                                              \
			return EMU_STOP;                                                                          \
		memcpy(&d, sse_reg(e, i), SSE_BYTES);                                                             \
		if (fp_dot_##type(e, &d, &s, 1, (uint8_t)i->imm))                                                 \
			return EMU_STOP;                                                                          \
		sse_write(e, i, &d);                                                                              \
		return 0;                                                                                         \
	}
DOT_SEM(ps, u32, 4)
DOT_SEM(pd, u64, 2)

/* COMISx, UCOMISx: ZF PF CF; OF SF AF are cleared. */
static int sse_flags(struct emu *e, const struct insn *i, fp_sse_fn *fn, unsigned size)
{
	union vec d, s;

	if (sse_source(e, i, size, &s))
		return EMU_STOP;
	memcpy(&d, sse_reg(e, i), SSE_BYTES);
	if (run(e, fn, &d, &s))
		return EMU_STOP;
	emu_flags_set(e, RFLAGS_ARITH, d.u64[0] & (RFLAGS_ZF | RFLAGS_PF | RFLAGS_CF));
	return 0;
}

/* ---- general registers --------------------------------------------------------------------------------- */

static int sse_from_gpr(struct emu *e, const struct insn *i, fp_sse_fn *fn32, fp_sse_fn *fn64)
{
	const bool wide = i->prefixes & PFX_REX_W;
	union vec d, s;

	if (i->is_mem) {
		if (emu_load(e, i, &s, wide ? 8 : 4))
			return EMU_STOP;
	} else {
		s.u64[0] = e->cpu.gpr[i->rm];
	}
	memcpy(&d, sse_reg(e, i), SSE_BYTES);
	if (run(e, wide ? fn64 : fn32, &d, &s))
		return EMU_STOP;
	sse_write(e, i, &d);
	return 0;
}

static int sse_to_gpr(struct emu *e, const struct insn *i, fp_sse_fn *fn32, fp_sse_fn *fn64, unsigned size)
{
	union vec d = { .u64 = { 0 } }, s;

	if (sse_source(e, i, size, &s))
		return EMU_STOP;
	if (run(e, i->prefixes & PFX_REX_W ? fn64 : fn32, &d, &s))
		return EMU_STOP;
	e->cpu.gpr[i->reg] = d.u64[0];
	return 0;
}

FP_ALL_FORMS(FP_FORM, sse)
FP_NO_VECTOR(FP_FORM, sse)
FP_LEGACY_AND_VEX(FP_FORM, sse)

/* ---- MMX registers: the packed instruction on two elements, the rest zero, which raises nothing. The
 * transition to MMX comes before #XM. ---- */

/* CVTPI2PS keeps the upper half of its destination. With a memory operand nothing of MMX is touched. */
SEM(sse_cvtpi2ps)
{
	union vec d, s = { .u64 = { 0 } };

	if (mmx_source(e, i, MMX_BYTES, &s))
		return EMU_STOP;
	if (!i->is_mem)
		mmx_enter(e);
	if (run(e, fp_cvtdq2ps, &d, &s))
		return EMU_STOP;
	sse_reg(e, i)->u64[0] = d.u64[0];
	return 0;
}

SEM(sse_cvtpi2pd)
{
	union vec d, s = { .u64 = { 0 } };

	if (mmx_source(e, i, MMX_BYTES, &s))
		return EMU_STOP;
	if (!i->is_mem)
		mmx_enter(e);
	if (run(e, fp_cvtdq2pd, &d, &s))
		return EMU_STOP;
	sse_write(e, i, &d);
	return 0;
}

static int to_mmx(struct emu *e, const struct insn *i, unsigned size, fp_sse_fn *fn)
{
	union vec d, s;

	if (sse_source(e, i, size, &s))
		return EMU_STOP;
	if (size == MMX_BYTES)
		s.u64[1] = 0;
	mmx_enter(e);
	if (run(e, fn, &d, &s))
		return EMU_STOP;
	mmx_set(e, i->reg, d.u64[0]);
	return 0;
}

SEM(sse_cvtps2pi)
{
	return to_mmx(e, i, 8, fp_cvtps2dq);
}

SEM(sse_cvttps2pi)
{
	return to_mmx(e, i, 8, fp_cvttps2dq);
}

SEM(sse_cvtpd2pi)
{
	return to_mmx(e, i, SSE_BYTES, fp_cvtpd2dq);
}

SEM(sse_cvttpd2pi)
{
	return to_mmx(e, i, SSE_BYTES, fp_cvttpd2dq);
}

/* ---- MXCSR --------------------------------------------------------------------------------------------- */

SEM(sse_ldmxcsr)
{
	uint32_t value;

	if (emu_load(e, i, &value, sizeof(value)))
		return EMU_STOP;
	if (value & ~emu_mxcsr_mask(e))
		return emu_gp0(e);
	e->cpu.mxcsr = value;
	return 0;
}

SEM(sse_stmxcsr)
{
	return emu_store(e, i, &e->cpu.mxcsr, sizeof(e->cpu.mxcsr));
}
