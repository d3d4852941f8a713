/* SPDX-License-Identifier: MIT */
/* Fast handlers: SSE and SSE2 arithmetic, logic, comparison, conversion, moves. */
#include "fast_simd.h"
#include "emu/isa/isa.h"

#ifdef SIMD_NATIVE

/* vec[reg] = vec[reg] op vec[rm], or op memory of n bytes; 16 bytes must be aligned (the generic handler faults). */
#define OP(ID, op, n, ready, unit)                                                                                     \
	HANDLER(ID##_r)                                                                                                \
	{                                                                                                              \
		ready(e, i, unit);                                                                                     \
		__asm__("movdqa %0, %%xmm0\n\t" op " %1, %%xmm0\n\tmovdqa %%xmm0, %0"                                  \
			: "+m"(MEMORY_OUT(16, &e->cpu.vec[i->reg]))                                                    \
			: "m"(MEMORY(n, &e->cpu.vec[i->rm]))                                                           \
			: "xmm0");                                                                                     \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(ID##_m)                                                                                                \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), n);                                                     \
                                                                                                                       \
		ready(e, i, unit);                                                                                     \
		if (UNLIKELY(!p || (n == 16 && ((uintptr_t)p & 15))))                                                  \
			MISS(e, i);                                                                                    \
		__asm__("movdqa %0, %%xmm0\n\t" op " %1, %%xmm0\n\tmovdqa %%xmm0, %0"                                  \
			: "+m"(MEMORY_OUT(16, &e->cpu.vec[i->reg]))                                                    \
			: "m"(MEMORY(n, p))                                                                            \
			: "xmm0");                                                                                     \
		NEXT(e, i);                                                                                            \
	}

#define INTEGER(X)                                                                                                     \
	X(PADDB, "paddb") X(PADDW, "paddw") X(PADDD, "paddd")                                                          \
	X(PADDQ, "paddq") X(PSUBB, "psubb") X(PSUBW, "psubw")                                                          \
	X(PSUBD, "psubd") X(PSUBQ, "psubq") X(PADDUSB, "paddusb")                                                      \
	X(PADDUSW, "paddusw") X(PADDSB, "paddsb") X(PADDSW, "paddsw")                                                  \
	X(PSUBUSB, "psubusb") X(PSUBUSW, "psubusw") X(PSUBSB, "psubsb")                                                \
	X(PSUBSW, "psubsw") X(PAND, "pand") X(PANDN, "pandn")                                                          \
	X(POR, "por") X(PXOR, "pxor") X(PCMPEQB, "pcmpeqb")                                                            \
	X(PCMPEQW, "pcmpeqw") X(PCMPEQD, "pcmpeqd") X(PCMPGTB, "pcmpgtb")                                              \
	X(PCMPGTW, "pcmpgtw") X(PCMPGTD, "pcmpgtd") X(PMINUB, "pminub")                                                \
	X(PMAXUB, "pmaxub") X(PMINSW, "pminsw") X(PMAXSW, "pmaxsw")                                                    \
	X(PAVGB, "pavgb") X(PAVGW, "pavgw") X(PMULLW, "pmullw")                                                        \
	X(PMULHW, "pmulhw") X(PMULHUW, "pmulhuw") X(PMULUDQ, "pmuludq")                                                \
	X(PMADDWD, "pmaddwd") X(PSADBW, "psadbw") X(PUNPCKLBW, "punpcklbw")                                            \
	X(PUNPCKLWD, "punpcklwd") X(PUNPCKLDQ, "punpckldq") X(PUNPCKLQDQ, "punpcklqdq")                                \
	X(PUNPCKHBW, "punpckhbw") X(PUNPCKHWD, "punpckhwd") X(PUNPCKHDQ, "punpckhdq")                                  \
	X(PUNPCKHQDQ, "punpckhqdq") X(PACKSSWB, "packsswb") X(PACKSSDW, "packssdw")                                    \
	X(PACKUSWB, "packuswb") X(PSHUFB, "pshufb") X(PSLLW, "psllw")                                                  \
	X(PSLLD, "pslld") X(PSLLQ, "psllq") X(PSRLW, "psrlw")                                                          \
	X(PSRLD, "psrld") X(PSRLQ, "psrlq") X(PSRAW, "psraw")                                                          \
	X(PSRAD, "psrad")
#define INTEGER_SSE4(X)                                                                                                \
	X(PMULLD, "pmulld") X(PMINSD, "pminsd") X(PMAXSD, "pmaxsd")                                                    \
	X(PMINUD, "pminud") X(PMAXUD, "pmaxud") X(PCMPEQQ, "pcmpeqq")                                                  \
	X(PCMPGTQ, "pcmpgtq")
#define LOGIC(X)                                                                                                       \
	X(ANDPS, "andps") X(ANDPD, "andpd") X(ANDNPS, "andnps")                                                        \
	X(ANDNPD, "andnpd") X(ORPS, "orps") X(ORPD, "orpd")                                                            \
	X(XORPS, "xorps") X(XORPD, "xorpd") X(UNPCKLPS, "unpcklps")                                                    \
	X(UNPCKLPD, "unpcklpd") X(UNPCKHPS, "unpckhps") X(UNPCKHPD, "unpckhpd")
#define FP_PACKED(X)                                                                                                   \
	X(ADDPS, "addps") X(ADDPD, "addpd") X(SUBPS, "subps")                                                          \
	X(SUBPD, "subpd") X(MULPS, "mulps") X(MULPD, "mulpd")                                                          \
	X(DIVPS, "divps") X(DIVPD, "divpd") X(MINPS, "minps")                                                          \
	X(MINPD, "minpd") X(MAXPS, "maxps") X(MAXPD, "maxpd")                                                          \
	X(SQRTPS, "sqrtps") X(SQRTPD, "sqrtpd")
#define FP_SCALAR(X)                                                                                                   \
	X(ADDSS, "addss", 4) X(ADDSD, "addsd", 8) X(SUBSS, "subss", 4)                                                 \
	X(SUBSD, "subsd", 8) X(MULSS, "mulss", 4) X(MULSD, "mulsd", 8)                                                 \
	X(DIVSS, "divss", 4) X(DIVSD, "divsd", 8) X(MINSS, "minss", 4)                                                 \
	X(MINSD, "minsd", 8) X(MAXSS, "maxss", 4) X(MAXSD, "maxsd", 8)                                                 \
	X(SQRTSS, "sqrtss", 4) X(SQRTSD, "sqrtsd", 8)
#define CONVERT(X)                                                                                                     \
	X(CVTSS2SD, "cvtss2sd", 4) X(CVTSD2SS, "cvtsd2ss", 8) X(CVTDQ2PD, "cvtdq2pd", 8) X(CVTPS2PD, "cvtps2pd", 8)    \
	X(CVTDQ2PS, "cvtdq2ps", 16) X(CVTTPS2DQ, "cvttps2dq", 16) X(CVTPD2PS, "cvtpd2ps", 16)

#define X(ID, op) OP(ID##_V_W, op, 16, NEED, SIMD_SSE)
INTEGER(X)
#undef X
#define X(ID, op) OP(ID, op, 16, NEED, SIMD_SSE)
INTEGER_SSE4(X)
LOGIC(X)
#undef X
#define X(ID, op) OP(ID, op, 16, NEED_FP, SIMD_SSE)
FP_PACKED(X)
#undef X
#define X(ID, op, n) OP(ID, op, n, NEED_FP, SIMD_SSE)
FP_SCALAR(X)
CONVERT(X)
#undef X

/* Shifts by an immediate: the form that takes its count from a register gives the same for every count. */
#define SHIFT_IMM(ID, op)                                                                                              \
	HANDLER(ID##_U_Ib_r)                                                                                           \
	{                                                                                                              \
		NEED(e, i, SIMD_SSE);                                                                                  \
		__asm__("movdqa %0, %%xmm0\n\tmovd %1, %%xmm1\n\t" op " %%xmm1, %%xmm0\n\tmovdqa %%xmm0, %0"           \
			: "+m"(MEMORY_OUT(16, &e->cpu.vec[i->rm]))                                                     \
			: "r"((uint32_t)(uint8_t)i->imm)                                                               \
			: "xmm0", "xmm1");                                                                             \
		NEXT(e, i);                                                                                            \
	}
#define SHIFTS(X)                                                                                                      \
	X(PSLLW, "psllw") X(PSLLD, "pslld") X(PSLLQ, "psllq")                                                          \
	X(PSRLW, "psrlw") X(PSRLD, "psrld") X(PSRLQ, "psrlq")                                                          \
	X(PSRAW, "psraw") X(PSRAD, "psrad")
#define X SHIFT_IMM
SHIFTS(X)
#undef X

/* ---- comparison and conversion with general registers ---- */

#define COMPARE(ID, op, n)                                                                                             \
	HANDLER(ID##_r)                                                                                                \
	{                                                                                                              \
		uint16_t ax;                                                                                           \
                                                                                                                       \
		NEED_FP(e, i, SIMD_SSE);                                                                               \
		__asm__("movdqa %1, %%xmm0\n\t" op " %2, %%xmm0\n\tlahf\n\tmov $0, %%al"                               \
			: "=a"(ax)                                                                                     \
			: "m"(MEMORY(16, &e->cpu.vec[i->reg])), "m"(MEMORY(n, &e->cpu.vec[i->rm]))                     \
			: "xmm0", "cc");                                                                               \
		e->flags_image = ax & IMG_ALL;                                                                            \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(ID##_m)                                                                                                \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), n);                                                     \
		uint16_t ax;                                                                                           \
                                                                                                                       \
		NEED_FP(e, i, SIMD_SSE);                                                                               \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		__asm__("movdqa %1, %%xmm0\n\t" op " %2, %%xmm0\n\tlahf\n\tmov $0, %%al"                               \
			: "=a"(ax)                                                                                     \
			: "m"(MEMORY(16, &e->cpu.vec[i->reg])), "m"(MEMORY(n, p))                                      \
			: "xmm0", "cc");                                                                               \
		e->flags_image = ax & IMG_ALL;                                                                            \
		NEXT(e, i);                                                                                            \
	}
#define COMPARISONS(X) X(UCOMISS, "ucomiss", 4) X(UCOMISD, "ucomisd", 8) X(COMISS, "comiss", 4) X(COMISD, "comisd", 8)
#define X COMPARE
COMPARISONS(X)
#undef X

/* From a general register or memory of 4 or 8 bytes. */
#define FROM_INTEGER(ID, op, s, n)                                                                                     \
	HANDLER(ID##_##n##_r)                                                                                          \
	{                                                                                                              \
		NEED_FP(e, i, SIMD_SSE);                                                                               \
		__asm__("movdqa %0, %%xmm0\n\t" op s " %1, %%xmm0\n\tmovdqa %%xmm0, %0"                                \
			: "+m"(MEMORY_OUT(16, &e->cpu.vec[i->reg]))                                                    \
			: "r"(get_##n(e, i->rm))                                                                       \
			: "xmm0");                                                                                     \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(ID##_##n##_m)                                                                                          \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), n);                                                     \
                                                                                                                       \
		NEED_FP(e, i, SIMD_SSE);                                                                               \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		__asm__("movdqa %0, %%xmm0\n\t" op s " %1, %%xmm0\n\tmovdqa %%xmm0, %0"                                \
			: "+m"(MEMORY_OUT(16, &e->cpu.vec[i->reg]))                                                    \
			: "m"(MEMORY(n, p))                                                                            \
			: "xmm0");                                                                                     \
		NEXT(e, i);                                                                                            \
	}
FROM_INTEGER(CVTSI2SS, "cvtsi2ss", "l", 4)
FROM_INTEGER(CVTSI2SS, "cvtsi2ss", "q", 8)
FROM_INTEGER(CVTSI2SD, "cvtsi2sd", "l", 4)
FROM_INTEGER(CVTSI2SD, "cvtsi2sd", "q", 8)

#define TO_INTEGER(ID, op, T, m, n)                                                                                    \
	HANDLER(ID##_##n##_r)                                                                                          \
	{                                                                                                              \
		T v;                                                                                                   \
                                                                                                                       \
		NEED_FP(e, i, SIMD_SSE);                                                                               \
		__asm__(op " %1, %0" : "=r"(v) : "m"(MEMORY(m, &e->cpu.vec[i->rm])));                                  \
		set_##n(e, i->reg, v);                                                                                 \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(ID##_##n##_m)                                                                                          \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), m);                                                     \
		T v;                                                                                                   \
                                                                                                                       \
		NEED_FP(e, i, SIMD_SSE);                                                                               \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		__asm__(op " %1, %0" : "=r"(v) : "m"(MEMORY(m, p)));                                                   \
		set_##n(e, i->reg, v);                                                                                 \
		NEXT(e, i);                                                                                            \
	}
#define TO_INTEGERS(ID, op, m) TO_INTEGER(ID, op, uint32_t, m, 4) TO_INTEGER(ID, op, uint64_t, m, 8)
TO_INTEGERS(CVTTSS2SI, "cvttss2si", 4)
TO_INTEGERS(CVTTSD2SI, "cvttsd2si", 8)
TO_INTEGERS(CVTSS2SI, "cvtss2si", 4)
TO_INTEGERS(CVTSD2SI, "cvtsd2si", 8)

/* ---- moves ---- */

#define VEC(e, r) ((e)->cpu.vec[r])

HANDLER(move_r)
{
	NEED(e, i, SIMD_SSE);
	memcpy(&VEC(e, i->reg), &VEC(e, i->rm), 16);
	NEXT(e, i);
}
HANDLER(move_back_r)
{
	NEED(e, i, SIMD_SSE);
	memcpy(&VEC(e, i->rm), &VEC(e, i->reg), 16);
	NEXT(e, i);
}

#define LOAD_16(name, aligned)                                                                                         \
	HANDLER(name)                                                                                                  \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), 16);                                                    \
                                                                                                                       \
		NEED(e, i, SIMD_SSE);                                                                                  \
		if (UNLIKELY(!p || (aligned && ((uintptr_t)p & 15))))                                                  \
			MISS(e, i);                                                                                    \
		memcpy(&VEC(e, i->reg), p, 16);                                                                        \
		NEXT(e, i);                                                                                            \
	}
LOAD_16(load_u, 0)
LOAD_16(load_a, 1)
#define STORE_16(name, aligned)                                                                                        \
	HANDLER(name)                                                                                                  \
	{                                                                                                              \
		uint8_t *p = tlb_write_ptr(e, EA_1(e, i), 16);                                                         \
                                                                                                                       \
		NEED(e, i, SIMD_SSE);                                                                                  \
		if (UNLIKELY(!p || (aligned && ((uintptr_t)p & 15))))                                                  \
			MISS(e, i);                                                                                    \
		memcpy(p, &VEC(e, i->reg), 16);                                                                        \
		NEXT(e, i);                                                                                            \
	}
STORE_16(store_u, 0)
STORE_16(store_a, 1)

/* Scalars and halves: `at` is the 64-bit half; zeroing loads clear the rest of the 128 bits. */
#define LOAD_ZERO(n)                                                                                                   \
	HANDLER(load_zero_##n)                                                                                         \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), n);                                                     \
                                                                                                                       \
		NEED(e, i, SIMD_SSE);                                                                                  \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		VEC(e, i->reg).u64[0] = load_##n(p);                                                                   \
		VEC(e, i->reg).u64[1] = 0;                                                                             \
		NEXT(e, i);                                                                                            \
	}
LOAD_ZERO(4)
LOAD_ZERO(8)
#define STORE_PART(name, n, from)                                                                                      \
	HANDLER(name)                                                                                                  \
	{                                                                                                              \
		uint8_t *p = tlb_write_ptr(e, EA_1(e, i), n);                                                          \
                                                                                                                       \
		NEED(e, i, SIMD_SSE);                                                                                  \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		store_##n(p, VEC(e, i->reg).from);                                                                     \
		NEXT(e, i);                                                                                            \
	}
STORE_PART(store_low_4, 4, u32[0])
STORE_PART(store_low_8, 8, u64[0])
STORE_PART(store_high_8, 8, u64[1])
#define LOAD_HALF(name, at)                                                                                            \
	HANDLER(name)                                                                                                  \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), 8);                                                     \
                                                                                                                       \
		NEED(e, i, SIMD_SSE);                                                                                  \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		VEC(e, i->reg).u64[at] = load_8(p);                                                                    \
		NEXT(e, i);                                                                                            \
	}
LOAD_HALF(load_low, 0)
LOAD_HALF(load_high, 1)

#define REGISTERS(name, statement)                                                                                     \
	HANDLER(name)                                                                                                  \
	{                                                                                                              \
		NEED(e, i, SIMD_SSE);                                                                                  \
		statement;                                                                                             \
		NEXT(e, i);                                                                                            \
	}
REGISTERS(movss_r, VEC(e, i->reg).u32[0] = VEC(e, i->rm).u32[0])
REGISTERS(movsd_r, VEC(e, i->reg).u64[0] = VEC(e, i->rm).u64[0])
REGISTERS(movhlps_r, VEC(e, i->reg).u64[0] = VEC(e, i->rm).u64[1])
REGISTERS(movlhps_r, VEC(e, i->reg).u64[1] = VEC(e, i->rm).u64[0])
REGISTERS(movq_r, VEC(e, i->reg).u64[0] = VEC(e, i->rm).u64[0]; VEC(e, i->reg).u64[1] = 0)
REGISTERS(movd_from_4, VEC(e, i->reg).u64[0] = get_4(e, i->rm); VEC(e, i->reg).u64[1] = 0)
REGISTERS(movd_from_8, VEC(e, i->reg).u64[0] = get_8(e, i->rm); VEC(e, i->reg).u64[1] = 0)
REGISTERS(movd_to_4, set_4(e, i->rm, VEC(e, i->reg).u32[0]))
REGISTERS(movd_to_8, set_8(e, i->rm, VEC(e, i->reg).u64[0]))

HANDLER(pmovmskb_r)
{
	uint32_t v;

	NEED(e, i, SIMD_SSE);
	__asm__("movdqa %1, %%xmm0\n\tpmovmskb %%xmm0, %0" : "=r"(v) : "m"(MEMORY(16, &VEC(e, i->rm))) : "xmm0");
	set_4(e, i->reg, v);
	NEXT(e, i);
}

HANDLER(pshufd_r)
{
	const union vec *s = &VEC(e, i->rm);
	const unsigned imm = (uint8_t)i->imm;
	uint32_t a, b, c, d;

	NEED(e, i, SIMD_SSE);
	a = s->u32[imm & 3], b = s->u32[imm >> 2 & 3], c = s->u32[imm >> 4 & 3], d = s->u32[imm >> 6];
	VEC(e, i->reg).u64[0] = a | (uint64_t)b << 32;
	VEC(e, i->reg).u64[1] = c | (uint64_t)d << 32;
	NEXT(e, i);
}

/* The low half from the destination, the high half from the source. */
HANDLER(shufps_r)
{
	const union vec *s = &VEC(e, i->rm), *t = &VEC(e, i->reg);
	const unsigned imm = (uint8_t)i->imm;
	uint32_t a, b, c, d;

	NEED(e, i, SIMD_SSE);
	a = t->u32[imm & 3], b = t->u32[imm >> 2 & 3], c = s->u32[imm >> 4 & 3], d = s->u32[imm >> 6];
	VEC(e, i->reg).u64[0] = a | (uint64_t)b << 32;
	VEC(e, i->reg).u64[1] = c | (uint64_t)d << 32;
	NEXT(e, i);
}

/* ---- selection ---- */

struct pair {
	insn_handler *r, *m;
};

static const struct pair handlers[ISA_COUNT] = {
#define X(ID, op) [ISA_##ID##_V_W] = { ID##_V_W_r, ID##_V_W_m },
	INTEGER(X)
#undef X
#define X(ID, ...) [ISA_##ID] = { ID##_r, ID##_m },
	INTEGER_SSE4(X) LOGIC(X) FP_PACKED(X) FP_SCALAR(X) CONVERT(X) COMPARISONS(X)
#undef X
#define X(ID, op) [ISA_##ID##_U_Ib] = { ID##_U_Ib_r, NULL },
	SHIFTS(X)
#undef X
	[ISA_MOVUPS_V_W] = { move_r, load_u }, [ISA_MOVUPS_W_V] = { move_back_r, store_u },
	[ISA_MOVUPD_V_W] = { move_r, load_u }, [ISA_MOVUPD_W_V] = { move_back_r, store_u },
	[ISA_MOVDQU_V_W] = { move_r, load_u }, [ISA_MOVDQU_W_V] = { move_back_r, store_u },
	[ISA_MOVAPS_V_W] = { move_r, load_a }, [ISA_MOVAPS_W_V] = { move_back_r, store_a },
	[ISA_MOVAPD_V_W] = { move_r, load_a }, [ISA_MOVAPD_W_V] = { move_back_r, store_a },
	[ISA_MOVDQA_V_W] = { move_r, load_a }, [ISA_MOVDQA_W_V] = { move_back_r, store_a },
	[ISA_MOVNTPS] = { NULL, store_a }, [ISA_MOVNTPD] = { NULL, store_a }, [ISA_MOVNTDQ] = { NULL, store_a },
	[ISA_MOVSS_V_W] = { movss_r, load_zero_4 }, [ISA_MOVSS_W_V] = { NULL, store_low_4 },
	[ISA_MOVSD_V_W] = { movsd_r, load_zero_8 }, [ISA_MOVSD_W_V] = { NULL, store_low_8 },
	[ISA_MOVQ_V_W] = { movq_r, load_zero_8 }, [ISA_MOVQ_W_V] = { NULL, store_low_8 },
	[ISA_MOVLPS_V_M] = { NULL, load_low }, [ISA_MOVLPD_V_M] = { NULL, load_low },
	[ISA_MOVHPS_V_M] = { NULL, load_high }, [ISA_MOVHPD_V_M] = { NULL, load_high },
	[ISA_MOVLPS_M_V] = { NULL, store_low_8 }, [ISA_MOVLPD_M_V] = { NULL, store_low_8 },
	[ISA_MOVHPS_M_V] = { NULL, store_high_8 }, [ISA_MOVHPD_M_V] = { NULL, store_high_8 },
	[ISA_MOVHLPS] = { movhlps_r, NULL }, [ISA_MOVLHPS] = { movlhps_r, NULL },
	[ISA_PMOVMSKB_U] = { pmovmskb_r, NULL }, [ISA_PSHUFD] = { pshufd_r, NULL }, [ISA_SHUFPS] = { shufps_r, NULL },
};

/* Rows whose other operand is a general register of 4 or 8 bytes. */
static const struct {
	uint16_t id;
	struct pair of[2];
} sized[] = {
#define PAIRS(ID) { ISA_##ID, { { ID##_4_r, ID##_4_m }, { ID##_8_r, ID##_8_m } } }
	PAIRS(CVTSI2SS), PAIRS(CVTSI2SD), PAIRS(CVTTSS2SI), PAIRS(CVTTSD2SI), PAIRS(CVTSS2SI), PAIRS(CVTSD2SI),
	{ ISA_MOVD_V_Ey, { { movd_from_4, load_zero_4 }, { movd_from_8, load_zero_8 } } },
	{ ISA_MOVD_Ey_V, { { movd_to_4, store_low_4 }, { movd_to_8, store_low_8 } } },
};

static bool needs_sse4(unsigned id)
{
	switch (id) {
#define X(ID, op) case ISA_##ID:
	INTEGER_SSE4(X)
#undef X
	case ISA_PSHUFB_V_W:
		return true;
	default:
		return false;
	}
}

insn_handler *fast_sse(const struct emu *e, struct insn *i)
{
	const struct pair *p = &handlers[i->id];

	if (e->code_size != 8 || i->asize != 8 || (needs_sse4(i->id) && !__builtin_cpu_supports("sse4.2")))
		return NULL;
	for (unsigned n = 0; n < sizeof(sized) / sizeof(sized[0]); n++) {
		if (sized[n].id == i->id)
			p = &sized[n].of[i->size == 8];
	}
	return i->is_mem ? p->m : p->r;
}

#else

insn_handler *fast_sse(const struct emu *e, struct insn *i)
{
	return NULL;
}

#endif
