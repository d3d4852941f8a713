/* SPDX-License-Identifier: MIT */
/* AVX floating point: the provider's 128-bit functions on each half, one set of exceptions for all elements. */
#include "sse_fp.h"

/* A 256-bit operand as the pair of halves that fp_run_with() takes, and back. */
static void split(union vec out[2], const union vec *v, unsigned n)
{
	memcpy(&out[0], v->u8, SSE_BYTES);
	if (n > SSE_BYTES)
		memcpy(&out[1], v->u8 + SSE_BYTES, SSE_BYTES);
}

static void write_halves(struct emu *e, const struct insn *i, const union vec d[2], unsigned n)
{
	union vec v;

	memcpy(v.u8, &d[0], SSE_BYTES);
	if (n > SSE_BYTES)
		memcpy(v.u8 + SSE_BYTES, &d[1], SSE_BYTES);
	vex_write(e, i, &v, n);
}

/* H into d[], W into s[]. */
static int operands(struct emu *e, const struct insn *i, union vec d[2], union vec s[2])
{
	const unsigned n = vex_bytes(i);
	union vec w;

	if (vex_source(e, i, n, &w))
		return EMU_STOP;
	split(s, &w, n);
	split(d, vex_first(e, i), n);
	return 0;
}

static int packed(struct emu *e, const struct insn *i, fp_sse_fn *fn)
{
	union vec d[2], s[2];

	if (operands(e, i, d, s) || fp_run_with(e, fn, d, s, 1u + i->vl, e->cpu.mxcsr, 0))
		return EMU_STOP;
	write_halves(e, i, d, vex_bytes(i));
	return 0;
}

/* The low element is computed, the rest of the low 128 bits comes from H. */
static int scalar(struct emu *e, const struct insn *i, unsigned size, fp_sse_fn *fn)
{
	union vec d = *vex_first(e, i), s;

	if (vex_source(e, i, i->is_mem ? size : SSE_BYTES, &s) || fp_run_with(e, fn, &d, &s, 1, e->cpu.mxcsr, 0))
		return EMU_STOP;
	vex_write(e, i, &d, SSE_BYTES);
	return 0;
}

#define PACKED_SEM(name)                                                                                          \
	SEM(avx_##name)                                                                                           \
	{                                                                                                         \
		return packed(e, i, fp_##name);                                                                   \
	}
#define SCALAR_SEM(name, size)                                                                                    \
	SEM(avx_##name)                                                                                           \
	{                                                                                                         \
		return scalar(e, i, size, fp_##name);                                                             \
	}
#define TYPED_SEM(op) PACKED_SEM(op##ps) PACKED_SEM(op##pd) SCALAR_SEM(op##ss, 4) SCALAR_SEM(op##sd, 8)

TYPED_SEM(add)
TYPED_SEM(sub)
TYPED_SEM(mul)
TYPED_SEM(div)
TYPED_SEM(min)
TYPED_SEM(max)
TYPED_SEM(sqrt)
PACKED_SEM(rcpps)
PACKED_SEM(rsqrtps)
SCALAR_SEM(rcpss, 4)
SCALAR_SEM(rsqrtss, 4)
PACKED_SEM(addsubps)
PACKED_SEM(addsubpd)
PACKED_SEM(haddps)
PACKED_SEM(haddpd)
PACKED_SEM(hsubps)
PACKED_SEM(hsubpd)
PACKED_SEM(cvtdq2ps)
PACKED_SEM(cvtps2dq)
PACKED_SEM(cvttps2dq)
SCALAR_SEM(cvtss2sd, 4)
SCALAR_SEM(cvtsd2ss, 8)

/* Widening: 8 bytes of the source for each half of the result. */
static int widen(struct emu *e, const struct insn *i, fp_sse_fn *fn)
{
	const unsigned n = vex_bytes(i);
	union vec d[2], s[2], w;

	if (vex_source(e, i, n / 2, &w))
		return EMU_STOP;
	s[0].u64[0] = w.u64[0];
	s[1].u64[0] = n == AVX_BYTES ? w.u64[1] : 0;
	if (fp_run_with(e, fn, d, s, 1u + i->vl, e->cpu.mxcsr, 0))
		return EMU_STOP;
	write_halves(e, i, d, n);
	return 0;
}

/* Narrowing: each half of the source gives 8 bytes. */
static int narrow(struct emu *e, const struct insn *i, fp_sse_fn *fn)
{
	union vec d[2], s[2];

	if (operands(e, i, d, s) || fp_run_with(e, fn, d, s, 1u + i->vl, e->cpu.mxcsr, 0))
		return EMU_STOP;
	d[0].u64[1] = i->vl ? d[1].u64[0] : 0;
	vex_write(e, i, d, SSE_BYTES);
	return 0;
}

#define WIDTH_SEM(how, name)                                                                                      \
	SEM(avx_##name)                                                                                           \
	{                                                                                                         \
		return how(e, i, fp_##name);                                                                      \
	}
WIDTH_SEM(widen, cvtps2pd)
WIDTH_SEM(widen, cvtdq2pd)
WIDTH_SEM(narrow, cvtpd2ps)
WIDTH_SEM(narrow, cvtpd2dq)
WIDTH_SEM(narrow, cvttpd2dq)

static int from_integer(struct emu *e, const struct insn *i, fp_sse_fn *fn32, fp_sse_fn *fn64)
{
	union vec d = *vex_first(e, i), s;

	s.u64[0] = e->cpu.gpr[i->rm & 15];
	if ((i->is_mem && emu_load(e, i, &s, i->size)) ||
	    fp_run_with(e, i->size == 8 ? fn64 : fn32, &d, &s, 1, e->cpu.mxcsr, 0))
		return EMU_STOP;
	vex_write(e, i, &d, SSE_BYTES);
	return 0;
}

SEM(avx_cvtsi2ss)
{
	return from_integer(e, i, fp_cvtsi2ss32, fp_cvtsi2ss64);
}

SEM(avx_cvtsi2sd)
{
	return from_integer(e, i, fp_cvtsi2sd32, fp_cvtsi2sd64);
}

/* ---- rounding, dot products ---------------------------------------------------------------------------- */

static uint32_t rounding(const struct emu *e, unsigned imm)
{
	if (imm & 4)
		return e->cpu.mxcsr;
	return (e->cpu.mxcsr & ~(uint32_t)MXCSR_RC) | (imm & 3) << MXCSR_RC_SHIFT;
}

static int round_packed(struct emu *e, const struct insn *i, fp_sse_fn *fn)
{
	const unsigned imm = (uint8_t)i->imm;
	union vec d[2], s[2];

	if (operands(e, i, d, s) ||
	    fp_run_with(e, fn, d, s, 1u + i->vl, rounding(e, imm), imm & 8 ? MXCSR_PE : 0))
		return EMU_STOP;
	write_halves(e, i, d, vex_bytes(i));
	return 0;
}

static int round_scalar(struct emu *e, const struct insn *i, unsigned size, fp_sse_fn *fn)
{
	const unsigned imm = (uint8_t)i->imm;
	union vec d = *vex_first(e, i), s;

	if (vex_source(e, i, i->is_mem ? size : SSE_BYTES, &s) ||
	    fp_run_with(e, fn, &d, &s, 1, rounding(e, imm), imm & 8 ? MXCSR_PE : 0))
		return EMU_STOP;
	vex_write(e, i, &d, SSE_BYTES);
	return 0;
}

SEM(avx_roundps)
{
	return round_packed(e, i, fp_roundps);
}

SEM(avx_roundpd)
{
	return round_packed(e, i, fp_roundpd);
}

SEM(avx_roundss)
{
	return round_scalar(e, i, 4, fp_roundss);
}

SEM(avx_roundsd)
{
	return round_scalar(e, i, 8, fp_roundsd);
}

#define DOT_SEM(type)                                                                                             \
	SEM(avx_dp##type)                                                                                         \
	{                                                                                                         \
		union vec d[2], s[2];                                                                             \
		if (operands(e, i, d, s) || fp_dot_##type(e, d, s, 1u + i->vl, (uint8_t)i->imm))                  \
			return EMU_STOP;                                                                          \
		write_halves(e, i, d, vex_bytes(i));                                                              \
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

	if (operands(e, i, d, s) || compare(e, f, d, s, 1u + i->vl, (unsigned)i->imm & 31))
		return EMU_STOP;
	write_halves(e, i, d, vex_bytes(i));
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
