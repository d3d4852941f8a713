/* SPDX-License-Identifier: MIT */
/*
 * The floating-point provider: who computes. Everything else of sem/fp/ is architecture in plain C.
 *
 * H (host_sse.c, host_x87.c, host_fma.c): an x86-64 host runs the instruction itself on operand images, with the
 * guest's control bits. P (soft/): portable C, for every host. provider.c sends each call to one of them; P also does
 * what the host cannot, so that a guest sees the same processor everywhere.
 *
 * Contract: a function has no effect but on its arguments; the host's own MXCSR and x87 control bits are as
 * before when it returns (sticky flags may differ); no exception of the guest's arithmetic ever becomes a
 * signal.
 */
#ifndef BULKHEAD_EMU_FPU_PROVIDER_H
#define BULKHEAD_EMU_FPU_PROVIDER_H

#include "emu/core/cpu.h"
#include "operations.h"

/*
 * SSE. `mxcsr` is the guest's with all exceptions masked; flags set in it are flags of no interest to the
 * caller. d is the first operand and the result, of 16 bytes; returns the MXCSR flags (bits 0..5) raised,
 * exact but for those of no interest. Instructions with an integer result put it into d->u64[0];
 * comparisons into RFLAGS put SF ZF AF PF CF there as LAHF gives them. ROUNDxx goes in the direction of mxcsr, DPxx adds all
 * products: their immediates are the caller's business.
 *
 * A caller who only wants flags may leave overflow or underflow unmasked, and P computes, whoever was chosen: UE is raised
 * for every tiny result, exact or not, PE if the result, rounded without limits of the exponent, is inexact (SDM vol. 1,
 * 4.9.1.4 to 4.9.1.6). d has no meaning then.
 */
typedef uint32_t fp_sse_fn(union vec *d, const union vec *s, uint32_t mxcsr);

#define FP_DECLARE_SSE(name) fp_sse_fn fp_##name;
FP_SSE_ALL(FP_DECLARE_SSE)

/*
 * FMA3, on 32 bytes: d is the first operand and the result, s[0] the second, s[1] the third one. Half precision: cvtph2ps
 * makes 8 elements of s[0], cvtps2ph rounds as mxcsr says.
 */
FP_FMA_PACKED(FP_DECLARE_SSE)
FP_FMA_SCALAR(FP_DECLARE_SSE)
fp_sse_fn fp_cvtph2ps, fp_cvtps2ph;

/* CPUID asks. Always: where the host has not, P does. */
bool fp_has_fma(void);
bool fp_has_f16c(void);

/*
 * AVX-512's approximations of 1/x and 1/sqrt(x), on 64 bytes; they raise nothing. The relative error is below 2^-14, and
 * the makers of processors choose the bits: H gives its host's own, P the rounded quotient cut to 14 bits of fraction.
 */
fp_sse_fn fp_rcp14ps, fp_rcp14pd, fp_rsqrt14ps, fp_rsqrt14pd;

/*
 * x87. One instruction on register images, with the guest's control word, its exception masks included: the
 * result is the unit's own, also for unmasked exceptions (biased results, operands left alone).
 */
struct fp_x87 {
	struct x87_reg st[3];	/* in: the operands of the function, ST0 first; out: the stack afterwards */
	uint8_t mem[16];	/* in: memory operand of loads and arithmetic; out: what a store wrote */
	uint16_t cw;		/* in */
	uint16_t sw;		/* out: exception flags, SF, ES, C0..C3 of this instruction alone; TOP has no meaning */
	uint16_t depth;		/* out: number of registers on the stack */
	uint16_t eflags;	/* out: ZF PF CF of FCOMI and FUCOMI */
};
typedef void fp_x87_fn(struct fp_x87 *x);

/* Arithmetic: ST0 = ST0 op (ST1, m32, m64, m16int, m32int). */
#define FP_X87_ARITH(F, op) F(f##op) F(f##op##_m32) F(f##op##_m64) F(fi##op##_m16) F(fi##op##_m32)
#define FP_X87_ALL(F)                                                                                             \
	FP_X87_ARITH(F, add) FP_X87_ARITH(F, mul) FP_X87_ARITH(F, sub) FP_X87_ARITH(F, subr)                      \
	FP_X87_ARITH(F, div) FP_X87_ARITH(F, divr) FP_X87_ARITH(F, com)                                           \
	F(fadd_rev) F(fmul_rev) F(fsub_rev) F(fsubr_rev) F(fdiv_rev) F(fdivr_rev) /* to ST1: FSUB ST1, ST0 */ \
	F(fucom) F(fcomi) F(fucomi) F(ftst) F(fxam)                                                               \
	F(fsqrt) F(frndint) F(fsin) F(fcos) F(fsincos) F(fptan) F(fpatan) F(f2xm1) F(fyl2x) F(fyl2xp1)            \
	F(fscale) F(fxtract) F(fprem) F(fprem1)                                                                   \
	F(fld_m32) F(fld_m64) F(fild_m16) F(fild_m32) F(fild_m64) F(fbld)                                         \
	F(fld1) F(fldl2t) F(fldl2e) F(fldpi) F(fldlg2) F(fldln2) F(fldz)                                          \
	/* Stores pop: depth 0 says that the store happened. */                                                   \
	F(fstp_m32) F(fstp_m64) F(fistp_m16) F(fistp_m32) F(fistp_m64) F(fisttp_m16) F(fisttp_m32) F(fisttp_m64)  \
	F(fbstp)

#define FP_DECLARE_X87(name) fp_x87_fn fp_##name;
FP_X87_ALL(FP_DECLARE_X87)

/* ---- choice -------------------------------------------------------------------------------------------- */

enum fp_choice {
	FP_AUTOMATIC, /* H, and P for what the host lacks */
	FP_PORTABLE,  /* P for everything */
};

/*
 * Chooses by the environment, BULKHEAD_FP=portable or anything else for FP_AUTOMATIC; calls after the first one do
 * nothing. Before it, H does what every x86-64 host can, and P the rest.
 */
void fp_provider_init(void);

/* Chooses whenever no function is running: for tests. */
void fp_select(enum fp_choice choice);

/* For reports: "host", "host+portable" or "portable". */
const char *fp_provider_name(void);

#endif
