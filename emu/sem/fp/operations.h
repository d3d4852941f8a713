/* SPDX-License-Identifier: MIT */
/*
 * The floating-point operations of SSE and its descendants, each once. What exists for every operation is made from these
 * lists: the functions of both providers and the choice between them (provider.h), and the semantic functions of legacy, VEX
 * and EVEX forms, half precision included. An operation that is new here needs a row for each of its encodings (isa/) and,
 * if its arithmetic is new, one function in soft/.
 *
 * A list hands its entries to macros that start with P, one for each shape, together with a word F of the user's own:
 *
 *   P_PACKED(F, name, from, to)  all elements: `from` bytes of the source give `to` bytes of result; the wider ones are 16
 *   P_SCALAR(F, name, size)      the lowest element, of `size` bytes in the source
 *   P_FLAGS(F, name, size)       compares the lowest elements; the result are flags
 *   P_FROM_GPR(F, name)          from a general register: name32 and name64
 *   P_TO_GPR(F, name, size)      into one: name32 and name64
 *   P_ROUND_PACKED(F, name), P_ROUND_SCALAR(F, name, size)  to an integer, in a direction
 *   P_DOT(F, name)               a sum of products
 */
#ifndef BULKHEAD_EMU_FPU_OPERATIONS_H
#define BULKHEAD_EMU_FPU_OPERATIONS_H

/* M(P, F, op) for the operations on single elements that come in all types: packed or scalar, of 32 or 64 bits. */
#define FP_ARITHMETIC(M, P, F)                                                                                    \
	M(P, F, add) M(P, F, sub) M(P, F, mul) M(P, F, div) M(P, F, min) M(P, F, max) M(P, F, sqrt)
/* In the order of CMPxx's immediate. */
#define FP_COMPARISONS(M, P, F)                                                                                   \
	M(P, F, cmpeq) M(P, F, cmplt) M(P, F, cmple) M(P, F, cmpunord)                                            \
	M(P, F, cmpneq) M(P, F, cmpnlt) M(P, F, cmpnle) M(P, F, cmpord)

#define FP_TYPED(P, F, op)                                                                                        \
	P##_PACKED(F, op##ps, 16, 16) P##_PACKED(F, op##pd, 16, 16) P##_SCALAR(F, op##ss, 4) P##_SCALAR(F, op##sd, 8)

/* With legacy, VEX and EVEX forms that differ in nothing but width, upper elements and masks. */
#define FP_ALL_FORMS(P, F)                                                                                        \
	FP_ARITHMETIC(FP_TYPED, P, F)                                                                             \
	P##_PACKED(F, cvtps2pd, 8, 16) P##_PACKED(F, cvtpd2ps, 16, 8)                                             \
	P##_PACKED(F, cvtdq2ps, 16, 16) P##_PACKED(F, cvtdq2pd, 8, 16)                                            \
	P##_PACKED(F, cvtps2dq, 16, 16) P##_PACKED(F, cvttps2dq, 16, 16)                                          \
	P##_PACKED(F, cvtpd2dq, 16, 8) P##_PACKED(F, cvttpd2dq, 16, 8)                                            \
	P##_SCALAR(F, cvtss2sd, 4) P##_SCALAR(F, cvtsd2ss, 8)                                                     \
	P##_FROM_GPR(F, cvtsi2ss) P##_FROM_GPR(F, cvtsi2sd)
/* The results are in no vector: VEX rows name the legacy function. */
#define FP_NO_VECTOR(P, F)                                                                                        \
	P##_TO_GPR(F, cvtss2si, 4) P##_TO_GPR(F, cvttss2si, 4) P##_TO_GPR(F, cvtsd2si, 8) P##_TO_GPR(F, cvttsd2si, 8) \
	P##_FLAGS(F, comiss, 4) P##_FLAGS(F, comisd, 8) P##_FLAGS(F, ucomiss, 4) P##_FLAGS(F, ucomisd, 8)
/* With legacy and VEX forms. */
#define FP_LEGACY_AND_VEX(P, F)                                                                                   \
	P##_PACKED(F, rcpps, 16, 16) P##_SCALAR(F, rcpss, 4) P##_PACKED(F, rsqrtps, 16, 16) P##_SCALAR(F, rsqrtss, 4) \
	P##_PACKED(F, addsubps, 16, 16) P##_PACKED(F, addsubpd, 16, 16)                                           \
	P##_PACKED(F, haddps, 16, 16) P##_PACKED(F, haddpd, 16, 16)                                               \
	P##_PACKED(F, hsubps, 16, 16) P##_PACKED(F, hsubpd, 16, 16)                                               \
	P##_ROUND_PACKED(F, roundps) P##_ROUND_PACKED(F, roundpd)                                                 \
	P##_ROUND_SCALAR(F, roundss, 4) P##_ROUND_SCALAR(F, roundsd, 8)
/* With forms that are put together by hand: CMPxx by its immediate, DPxx step by step. */
#define FP_PARTS(P, F) FP_COMPARISONS(FP_TYPED, P, F) P##_DOT(F, dpps) P##_DOT(F, dppd)

#define FP_OPERATIONS(P, F) FP_ALL_FORMS(P, F) FP_NO_VECTOR(P, F) FP_LEGACY_AND_VEX(P, F) FP_PARTS(P, F)

/* F(name) for each function of a provider. */
#define FP_NAME_PACKED(F, name, from, to) F(name)
#define FP_NAME_SCALAR(F, name, size) F(name)
#define FP_NAME_FLAGS(F, name, size) F(name)
#define FP_NAME_FROM_GPR(F, name) F(name##32) F(name##64)
#define FP_NAME_TO_GPR(F, name, size) F(name##32) F(name##64)
#define FP_NAME_ROUND_PACKED(F, name) F(name)
#define FP_NAME_ROUND_SCALAR(F, name, size) F(name)
#define FP_NAME_DOT(F, name) F(name)
#define FP_SSE_ALL(F) FP_OPERATIONS(FP_NAME, F)

/* ---- fused multiply-add ---- */

/* M(F, op, product, even, odd): whether the product, and the addend of even and of odd elements, change their signs. */
#define FP_FMA_UNIFORM(M, F)                                                                                      \
	M(F, fmadd, false, false, false) M(F, fmsub, false, true, true)                                           \
	M(F, fnmadd, true, false, false) M(F, fnmsub, true, true, true)
/* These are packed only. */
#define FP_FMA_ALTERNATING(M, F) M(F, fmaddsub, false, true, false) M(F, fmsubadd, false, false, true)
#define FP_FMA(M, F) FP_FMA_UNIFORM(M, F) FP_FMA_ALTERNATING(M, F)

/* The three orders of operands are kept apart for the sake of NaNs. */
#define FP_FMA_ORDERS(F, op, type) F(op##132##type) F(op##213##type) F(op##231##type)
#define FP_FMA_PS(F, op, product, even, odd) FP_FMA_ORDERS(F, op, ps)
#define FP_FMA_PD(F, op, product, even, odd) FP_FMA_ORDERS(F, op, pd)
#define FP_FMA_SS(F, op, product, even, odd) FP_FMA_ORDERS(F, op, ss)
#define FP_FMA_SD(F, op, product, even, odd) FP_FMA_ORDERS(F, op, sd)
#define FP_FMA_PACKED(F) FP_FMA(FP_FMA_PS, F) FP_FMA(FP_FMA_PD, F)
#define FP_FMA_SCALAR(F) FP_FMA_UNIFORM(FP_FMA_SS, F) FP_FMA_UNIFORM(FP_FMA_SD, F)

#endif
