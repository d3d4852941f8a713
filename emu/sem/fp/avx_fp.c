/* SPDX-License-Identifier: MIT */
/* AVX floating point: the provider's 128-bit functions on each half, one set of exceptions for all elements. */
#include "sse_fp.h"

/* The operand as what fp_run_with() takes: `step` bytes for each half of 16 bytes of the wider operand. What is more than that
 * has no meaning. */
static void split(union vec out[2], const union vec *v, const struct insn *i, unsigned step)
{
	memcpy(&out[0], v->u8, SSE_BYTES);
	if (i->vl)
		memcpy(&out[1], v->u8 + step, SSE_BYTES);
}

static void write_halves(struct emu *e, const struct insn *i, const union vec d[2], unsigned step)
{
	union vec v;

	memcpy(v.u8, &d[0], SSE_BYTES);
	if (i->vl)
		memcpy(v.u8 + step, &d[1], SSE_BYTES);
	vex_write(e, i, &v, vex_bytes(i) / SSE_BYTES * step);
}

/* H into d[], W into s[]. */
static int operands(struct emu *e, const struct insn *i, union vec d[2], union vec s[2], unsigned from)
{
	union vec w;

	if (vex_source(e, i, vex_bytes(i) / SSE_BYTES * from, &w))
		return EMU_STOP;
	split(s, &w, i, from);
	split(d, vex_first(e, i), i, SSE_BYTES);
	return 0;
}

static int halves(struct emu *e, const struct insn *i, fp_sse_fn *fn, unsigned from, unsigned to, uint32_t mxcsr, uint32_t ignore)
{
	union vec d[2], s[2];

	if (operands(e, i, d, s, from) || fp_run_with(e, fn, d, s, 1u + i->vl, mxcsr, ignore))
		return EMU_STOP;
	write_halves(e, i, d, to);
	return 0;
}

/* The low element is computed, the rest of the low 128 bits comes from H. */
static int lowest(struct emu *e, const struct insn *i, fp_sse_fn *fn, unsigned size, uint32_t mxcsr, uint32_t ignore)
{
	union vec d = *vex_first(e, i), s;

	if (vex_source(e, i, i->is_mem ? size : SSE_BYTES, &s) || fp_run_with(e, fn, &d, &s, 1, mxcsr, ignore))
		return EMU_STOP;
	vex_write(e, i, &d, SSE_BYTES);
	return 0;
}

static int avx_packed(struct emu *e, const struct insn *i, fp_sse_fn *fn, unsigned from, unsigned to)
{
	return halves(e, i, fn, from, to, e->cpu.mxcsr, 0);
}

static int avx_scalar(struct emu *e, const struct insn *i, fp_sse_fn *fn, unsigned size)
{
	return lowest(e, i, fn, size, e->cpu.mxcsr, 0);
}

static int avx_round_packed(struct emu *e, const struct insn *i, fp_sse_fn *fn)
{
	return halves(e, i, fn, SSE_BYTES, SSE_BYTES, fp_directed(e->cpu.mxcsr, (uint8_t)i->imm), i->imm & 8 ? MXCSR_PE : 0);
}

static int avx_round_scalar(struct emu *e, const struct insn *i, fp_sse_fn *fn, unsigned size)
{
	return lowest(e, i, fn, size, fp_directed(e->cpu.mxcsr, (uint8_t)i->imm), i->imm & 8 ? MXCSR_PE : 0);
}

static int avx_from_gpr(struct emu *e, const struct insn *i, fp_sse_fn *fn32, fp_sse_fn *fn64)
{
	union vec d = *vex_first(e, i), s;

	s.u64[0] = e->cpu.gpr[i->rm & 15];
	if ((i->is_mem && emu_load(e, i, &s, i->size)) || fp_run_with(e, i->size == 8 ? fn64 : fn32, &d, &s, 1, e->cpu.mxcsr, 0))
		return EMU_STOP;
	vex_write(e, i, &d, SSE_BYTES);
	return 0;
}

FP_ALL_FORMS(FP_FORM, avx)
FP_LEGACY_AND_VEX(FP_FORM, avx)

#define DOT_SEM(type)                                                                                             \
	SEM(avx_dp##type)                                                                                         \
	{                                                                                                         \
		union vec d[2], s[2];                                                                             \
		if (operands(e, i, d, s, SSE_BYTES) || fp_dot_##type(e, d, s, 1u + i->vl, (uint8_t)i->imm))                  \
			return EMU_STOP;                                                                          \
		write_halves(e, i, d, SSE_BYTES);                                                              \
		return 0;                                                                                         \
	}
DOT_SEM(ps)
DOT_SEM(pd)

/* ---- comparison: 32 predicates (SDM vol. 2, table 3-1 of CMPPD) ---------------------------------------- */

/* What makes predicates 0..15 true; 16..31 are the same ones. */
static const uint8_t predicate[16] = {
	FP_EQUAL,
	FP_LESS,
	FP_LESS | FP_EQUAL,
	FP_UNORDERED,
	FP_LESS | FP_GREATER | FP_UNORDERED,
	FP_EQUAL | FP_GREATER | FP_UNORDERED,
	FP_GREATER | FP_UNORDERED,
	FP_LESS | FP_EQUAL | FP_GREATER,
	FP_EQUAL | FP_UNORDERED,
	FP_LESS | FP_UNORDERED,
	FP_LESS | FP_EQUAL | FP_UNORDERED,
	0,
	FP_LESS | FP_GREATER,
	FP_EQUAL | FP_GREATER,
	FP_GREATER,
	FP_LESS | FP_EQUAL | FP_GREATER | FP_UNORDERED,
};

unsigned fp_predicate_holds(unsigned p)
{
	return predicate[p & 15];
}

/* 16..31 are the other way round. */
bool fp_predicate_signals(unsigned p)
{
	return (0x6666 >> (p & 15) & 1) != (p >> 4);
}

/* The three comparisons that all others are made of, of one type. */
struct compare_fns {
	fp_sse_fn *eq, *lt, *unord;
};

/* d = predicate(d, s) bit by bit; flags are somebody else's business. */
static void combine(const struct compare_fns *f, union vec *d, const union vec *s, unsigned holds, uint32_t mxcsr)
{
	union vec eq = *d, lt = *d, unord = *d;

	f->eq(&eq, s, mxcsr);
	f->lt(&lt, s, mxcsr);
	f->unord(&unord, s, mxcsr);
	for (unsigned k = 0; k < 2; k++) {
		const uint64_t greater = ~(eq.u64[k] | lt.u64[k] | unord.u64[k]);

		d->u64[k] = (holds & FP_EQUAL ? eq.u64[k] : 0) | (holds & FP_LESS ? lt.u64[k] : 0) |
			    (holds & FP_UNORDERED ? unord.u64[k] : 0) | (holds & FP_GREATER ? greater : 0);
	}
}

static int compare(struct emu *e, const struct compare_fns *f, union vec *d, const union vec *s, unsigned count,
		   unsigned p)
{
	union vec scratch[2];

	memcpy(scratch, d, count * sizeof(scratch[0]));
	if (fp_run_with(e, fp_predicate_signals(p) ? f->lt : f->eq, scratch, s, count, e->cpu.mxcsr, 0))
		return EMU_STOP;
	for (unsigned k = 0; k < count; k++)
		combine(f, &d[k], &s[k], fp_predicate_holds(p), e->cpu.mxcsr | MXCSR_MASKS);
	return 0;
}

static int compare_packed(struct emu *e, const struct insn *i, const struct compare_fns *f)
{
	union vec d[2], s[2];

	if (operands(e, i, d, s, SSE_BYTES) || compare(e, f, d, s, 1u + i->vl, (unsigned)i->imm & 31))
		return EMU_STOP;
	write_halves(e, i, d, SSE_BYTES);
	return 0;
}

/* The mask covers the low element only. */
static int compare_scalar(struct emu *e, const struct insn *i, unsigned size, const struct compare_fns *f)
{
	union vec d = *vex_first(e, i), s, r = d;

	if (vex_source(e, i, i->is_mem ? size : SSE_BYTES, &s) || compare(e, f, &r, &s, 1, (unsigned)i->imm & 31))
		return EMU_STOP;
	memcpy(&d, &r, size);
	vex_write(e, i, &d, SSE_BYTES);
	return 0;
}

#define COMPARE_FNS(type) &(const struct compare_fns){ fp_cmpeq##type, fp_cmplt##type, fp_cmpunord##type }

SEM(avx_cmpps)
{
	return compare_packed(e, i, COMPARE_FNS(ps));
}

SEM(avx_cmppd)
{
	return compare_packed(e, i, COMPARE_FNS(pd));
}

SEM(avx_cmpss)
{
	return compare_scalar(e, i, 4, COMPARE_FNS(ss));
}

SEM(avx_cmpsd)
{
	return compare_scalar(e, i, 8, COMPARE_FNS(sd));
}
