/* SPDX-License-Identifier: MIT */
/* Fast handlers: AVX, AVX2 and FMA in 128 and 256 bits. All write zeroes above their own length (SDM vol. 1, 14.1.2). */
#include "fast_simd.h"
#include "emu/isa/isa.h"

#ifdef SIMD_NATIVE

/*
 * What is in ymm0 becomes the register at %0: its lower 32 bytes, and zeroes above them (instructions of 128 bits have
 * cleared the upper half of ymm0). VZEROUPPER spares the SSE code around this the transition penalties.
 */
#define STORE_YMM "\n\tvpxor %%xmm1, %%xmm1, %%xmm1\n\tvmovdqa %%ymm0, (%0)\n\tvmovdqa %%ymm1, 32(%0)\n\tvzeroupper"
#define REGISTER(e, r) (&(e)->cpu.vec[r])
#define CLOBBERS "xmm0", "xmm1", "memory"

/* What the handlers below do once they know where the last source is; r is the width of the registers: x or
 * y. */
#define COMPUTE_2(e, i, op, r, source)                                                                       \
	__asm__ volatile("vmovdqa (%1), %%" r "mm0\n\t" op " (%2), %%" r "mm0, %%" r "mm0" STORE_YMM         \
			 :                                                                                   \
			 : "r"(REGISTER(e, i->reg)), "r"(REGISTER(e, i->vvvv)), "r"(source)                  \
			 : CLOBBERS)
#define COMPUTE_1(e, i, op, r, source)                                                                       \
	__asm__ volatile(op " (%1), %%" r "mm0" STORE_YMM                                                    \
			 :                                                                                   \
			 : "r"(REGISTER(e, i->reg)), "r"(source)                                             \
			 : CLOBBERS)
/* FMA: the destination is an operand, too. */
#define COMPUTE_3(e, i, op, r, source)                                                                       \
	__asm__ volatile("vmovdqa (%0), %%" r "mm0\n\tvmovdqa (%1), %%" r "mm1\n\t" op " (%2), %%" r         \
			 "mm1, %%" r "mm0" STORE_YMM                                                         \
			 :                                                                                   \
			 : "r"(REGISTER(e, i->reg)), "r"(REGISTER(e, i->vvvv)), "r"(source)                  \
			 : CLOBBERS)
/* The last source is a register, or n bytes of memory. */
#define FROM_REGISTER(name, compute, op, r, ready)                                                           \
	HANDLER(name##_r)                                                                                    \
	{                                                                                                    \
		ready(e, i, SIMD_AVX);                                                                       \
		compute(e, i, op, r, REGISTER(e, i->rm));                                                    \
		NEXT(e, i);                                                                                  \
	}
#define FROM_MEMORY(name, compute, op, r, n, ready)                                                          \
	HANDLER(name##_m)                                                                                    \
	{                                                                                                    \
		const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), n);                                           \
                                                                                                             \
		ready(e, i, SIMD_AVX);                                                                       \
		if (UNLIKELY(!p))                                                                            \
			MISS(e, i);                                                                          \
		compute(e, i, op, r, p);                                                                     \
		NEXT(e, i);                                                                                  \
	}
#define OP(name, op, r, n, ready)                                                                            \
	FROM_REGISTER(name, COMPUTE_2, op, r, ready) FROM_MEMORY(name, COMPUTE_2, op, r, n, ready)
#define OP1_R(name, op, r, n, ready) FROM_REGISTER(name, COMPUTE_1, op, r, ready)
#define OP1_M(name, op, r, n, ready) FROM_MEMORY(name, COMPUTE_1, op, r, n, ready)
#define OP1(name, op, r, n, ready) OP1_R(name, op, r, n, ready) OP1_M(name, op, r, n, ready)
#define FUSED(name, op, r, n)											      \
	FROM_REGISTER(name, COMPUTE_3, op, r, NEED_FP) FROM_MEMORY(name, COMPUTE_3, op, r, n, NEED_FP)

#define INTEGER(X)                                                                                                     \
	X(VPADDB, "vpaddb") X(VPADDW, "vpaddw") X(VPADDD, "vpaddd")                                                    \
	X(VPADDQ, "vpaddq") X(VPSUBB, "vpsubb") X(VPSUBW, "vpsubw")                                                    \
	X(VPSUBD, "vpsubd") X(VPSUBQ, "vpsubq") X(VPADDUSB, "vpaddusb")                                                \
	X(VPADDUSW, "vpaddusw") X(VPADDSB, "vpaddsb") X(VPADDSW, "vpaddsw")                                            \
	X(VPSUBUSB, "vpsubusb") X(VPSUBUSW, "vpsubusw") X(VPSUBSB, "vpsubsb")                                          \
	X(VPSUBSW, "vpsubsw") X(VPAND, "vpand") X(VPANDN, "vpandn")                                                    \
	X(VPOR, "vpor") X(VPXOR, "vpxor") X(VPCMPEQB, "vpcmpeqb")                                                      \
	X(VPCMPEQW, "vpcmpeqw") X(VPCMPEQD, "vpcmpeqd") X(VPCMPGTB, "vpcmpgtb")                                        \
	X(VPCMPGTW, "vpcmpgtw") X(VPCMPGTD, "vpcmpgtd") X(VPMINUB, "vpminub")                                          \
	X(VPMAXUB, "vpmaxub") X(VPMINSW, "vpminsw") X(VPMAXSW, "vpmaxsw")                                              \
	X(VPAVGB, "vpavgb") X(VPAVGW, "vpavgw") X(VPMULLW, "vpmullw")                                                  \
	X(VPMULHW, "vpmulhw") X(VPMULHUW, "vpmulhuw") X(VPMULUDQ, "vpmuludq")                                          \
	X(VPMADDWD, "vpmaddwd") X(VPSADBW, "vpsadbw") X(VPUNPCKLBW, "vpunpcklbw")                                      \
	X(VPUNPCKLWD, "vpunpcklwd") X(VPUNPCKLDQ, "vpunpckldq") X(VPUNPCKLQDQ, "vpunpcklqdq")                          \
	X(VPUNPCKHBW, "vpunpckhbw") X(VPUNPCKHWD, "vpunpckhwd") X(VPUNPCKHDQ, "vpunpckhdq")                            \
	X(VPUNPCKHQDQ, "vpunpckhqdq") X(VPACKSSWB, "vpacksswb") X(VPACKSSDW, "vpackssdw")                              \
	X(VPACKUSWB, "vpackuswb") X(VPSHUFB, "vpshufb") X(VPMULLD, "vpmulld")                                          \
	X(VPMINSD, "vpminsd") X(VPMAXSD, "vpmaxsd") X(VPMINUD, "vpminud")                                              \
	X(VPMAXUD, "vpmaxud") X(VPCMPEQQ, "vpcmpeqq") X(VPCMPGTQ, "vpcmpgtq")
/* Rows of both lengths. */
#define LOGIC(X)                                                                                                       \
	X(VANDPS, "vandps") X(VANDPD, "vandpd") X(VANDNPS, "vandnps")                                                  \
	X(VANDNPD, "vandnpd") X(VORPS, "vorps") X(VORPD, "vorpd")                                                      \
	X(VXORPS, "vxorps") X(VXORPD, "vxorpd") X(VUNPCKLPS, "vunpcklps")                                              \
	X(VUNPCKLPD, "vunpcklpd") X(VUNPCKHPS, "vunpckhps") X(VUNPCKHPD, "vunpckhpd")
#define FP_PACKED(X)                                                                                                   \
	X(VADDPS, "vaddps") X(VADDPD, "vaddpd") X(VSUBPS, "vsubps")                                                    \
	X(VSUBPD, "vsubpd") X(VMULPS, "vmulps") X(VMULPD, "vmulpd")                                                    \
	X(VDIVPS, "vdivps") X(VDIVPD, "vdivpd") X(VMINPS, "vminps")                                                    \
	X(VMINPD, "vminpd") X(VMAXPS, "vmaxps") X(VMAXPD, "vmaxpd")
#define FP_SCALAR(X)                                                                                                   \
	X(VADDSS, "vaddss", 4) X(VADDSD, "vaddsd", 8) X(VSUBSS, "vsubss", 4)                                           \
	X(VSUBSD, "vsubsd", 8) X(VMULSS, "vmulss", 4) X(VMULSD, "vmulsd", 8)                                           \
	X(VDIVSS, "vdivss", 4) X(VDIVSD, "vdivsd", 8) X(VMINSS, "vminss", 4)                                           \
	X(VMINSD, "vminsd", 8) X(VMAXSS, "vmaxss", 4) X(VMAXSD, "vmaxsd", 8)                                           \
	X(VSQRTSS, "vsqrtss", 4) X(VSQRTSD, "vsqrtsd", 8)
#define FMA_PACKED(X)                                                                                                  \
	X(VFMADD132PS, "vfmadd132ps") X(VFMADD132PD, "vfmadd132pd") X(VFMADD213PS, "vfmadd213ps")                      \
	X(VFMADD213PD, "vfmadd213pd") X(VFMADD231PS, "vfmadd231ps") X(VFMADD231PD, "vfmadd231pd")                      \
	X(VFMSUB132PS, "vfmsub132ps") X(VFMSUB132PD, "vfmsub132pd") X(VFMSUB213PS, "vfmsub213ps")                      \
	X(VFMSUB213PD, "vfmsub213pd") X(VFMSUB231PS, "vfmsub231ps") X(VFMSUB231PD, "vfmsub231pd")                      \
	X(VFNMADD132PS, "vfnmadd132ps") X(VFNMADD132PD, "vfnmadd132pd") X(VFNMADD213PS, "vfnmadd213ps")                \
	X(VFNMADD213PD, "vfnmadd213pd") X(VFNMADD231PS, "vfnmadd231ps") X(VFNMADD231PD, "vfnmadd231pd")                \
	X(VFNMSUB132PS, "vfnmsub132ps") X(VFNMSUB132PD, "vfnmsub132pd") X(VFNMSUB213PS, "vfnmsub213ps")                \
	X(VFNMSUB213PD, "vfnmsub213pd") X(VFNMSUB231PS, "vfnmsub231ps") X(VFNMSUB231PD, "vfnmsub231pd")
#define FMA_SCALAR(X)                                                                                                  \
	X(VFMADD132SS, "vfmadd132ss", 4) X(VFMADD132SD, "vfmadd132sd", 8) X(VFMADD213SS, "vfmadd213ss", 4)             \
	X(VFMADD213SD, "vfmadd213sd", 8) X(VFMADD231SS, "vfmadd231ss", 4) X(VFMADD231SD, "vfmadd231sd", 8)             \
	X(VFMSUB132SS, "vfmsub132ss", 4) X(VFMSUB132SD, "vfmsub132sd", 8) X(VFMSUB213SS, "vfmsub213ss", 4)             \
	X(VFMSUB213SD, "vfmsub213sd", 8) X(VFMSUB231SS, "vfmsub231ss", 4) X(VFMSUB231SD, "vfmsub231sd", 8)             \
	X(VFNMADD132SS, "vfnmadd132ss", 4) X(VFNMADD132SD, "vfnmadd132sd", 8) X(VFNMADD213SS, "vfnmadd213ss", 4)       \
	X(VFNMADD213SD, "vfnmadd213sd", 8) X(VFNMADD231SS, "vfnmadd231ss", 4) X(VFNMADD231SD, "vfnmadd231sd", 8)       \
	X(VFNMSUB132SS, "vfnmsub132ss", 4) X(VFNMSUB132SD, "vfnmsub132sd", 8) X(VFNMSUB213SS, "vfnmsub213ss", 4)       \
	X(VFNMSUB213SD, "vfnmsub213sd", 8) X(VFNMSUB231SS, "vfnmsub231ss", 4) X(VFNMSUB231SD, "vfnmsub231sd", 8)

#define X(ID, op) OP(ID##_x, op, "x", 16, NEED) OP(ID##_y, op, "y", 32, NEED)
INTEGER(X)
LOGIC(X)
#undef X
#define X(ID, op) OP(ID##_x, op, "x", 16, NEED_FP) OP(ID##_y, op, "y", 32, NEED_FP)
FP_PACKED(X)
#undef X
#define X(ID, op, n) OP(ID, op, "x", n, NEED_FP)
FP_SCALAR(X)
X(VCVTSS2SD, "vcvtss2sd", 4)
X(VCVTSD2SS, "vcvtsd2ss", 8)
#undef X
#define X(ID, op) FUSED(ID##_x, op, "x", 16) FUSED(ID##_y, op, "y", 32)
FMA_PACKED(X)
#undef X
#define X(ID, op, n) FUSED(ID, op, "x", n)
FMA_SCALAR(X)
#undef X
OP1(VSQRTPS_x, "vsqrtps", "x", 16, NEED_FP)
OP1(VSQRTPS_y, "vsqrtps", "y", 32, NEED_FP)
OP1(VSQRTPD_x, "vsqrtpd", "x", 16, NEED_FP)
OP1(VSQRTPD_y, "vsqrtpd", "y", 32, NEED_FP)
OP1(move_x, "vmovdqu", "x", 16, NEED)
OP1(move_y, "vmovdqu", "y", 32, NEED)
OP1_M(load_4, "vmovd", "x", 4, NEED)
OP1(load_8, "vmovq", "x", 8, NEED)
OP1(broadcast_d_x, "vbroadcastss", "x", 4, NEED)
OP1(broadcast_d_y, "vbroadcastss", "y", 4, NEED)
OP1(broadcast_q_x, "vpbroadcastq", "x", 8, NEED)
OP1(broadcast_q_y, "vpbroadcastq", "y", 8, NEED)

/* Aligned forms fault in the generic handler. */
#define LOAD_ALIGNED(name, n, to)                                                                                      \
	HANDLER(name)                                                                                                  \
	{                                                                                                              \
		if (UNLIKELY(EA_1(e, i) & (n - 1)))                                                                    \
			MISS(e, i);                                                                                    \
		TAIL(to(e, i));                                                                                        \
	}
LOAD_ALIGNED(load_a_x, 16, move_x_m)
LOAD_ALIGNED(load_a_y, 32, move_y_m)

#define STORE(name, n, aligned)                                                                                        \
	HANDLER(name)                                                                                                  \
	{                                                                                                              \
		uint8_t *p = tlb_write_ptr(e, EA_1(e, i), n);                                                          \
                                                                                                                       \
		NEED(e, i, SIMD_AVX);                                                                                  \
		if (UNLIKELY(!p || (aligned && ((uintptr_t)p & (n - 1)))))                                             \
			MISS(e, i);                                                                                    \
		ram_write(p, REGISTER(e, i->reg), n);                                                                  \
		NEXT(e, i);                                                                                            \
	}
STORE(store_u_x, 16, 0)
STORE(store_u_y, 32, 0)
STORE(store_a_x, 16, 1)
STORE(store_a_y, 32, 1)
STORE(store_low_4, 4, 0)
STORE(store_low_8, 8, 0)

HANDLER(zeroupper)
{
	NEED(e, i, SIMD_AVX);
	for (unsigned n = 0; n < 16; n++)
		memset(&e->cpu.vec[n].u8[16], 0, 48);
	NEXT(e, i);
}

/* ---- selection ---- */

struct forms {
	insn_handler *r[2], *m[2]; /* by length */
};

static const struct forms handlers[ISA_COUNT] = {
#define X(ID, op)                                                                                                      \
	[ISA_##ID##_x] = { { ID##_x_r, NULL }, { ID##_x_m, NULL } }, [ISA_##ID##_y] = { { NULL, ID##_y_r }, { NULL, ID##_y_m } },
	INTEGER(X)
#undef X
#define X(ID, ...) [ISA_##ID] = { { ID##_x_r, ID##_y_r }, { ID##_x_m, ID##_y_m } },
	LOGIC(X) FP_PACKED(X) FMA_PACKED(X) X(VSQRTPS) X(VSQRTPD)
#undef X
#define X(ID, ...) [ISA_##ID] = { { ID##_r, ID##_r }, { ID##_m, ID##_m } },
	FP_SCALAR(X) FMA_SCALAR(X) X(VCVTSS2SD) X(VCVTSD2SS)
#undef X
#define LOADS(ID, x, y) [ISA_##ID] = { { move_x_r, move_y_r }, { x, y } }
	LOADS(VMOVUPS_V_W, move_x_m, move_y_m), LOADS(VMOVUPD_V_W, move_x_m, move_y_m),
	LOADS(VMOVDQU_V_W, move_x_m, move_y_m), LOADS(VMOVAPS_V_W, load_a_x, load_a_y),
	LOADS(VMOVAPD_V_W, load_a_x, load_a_y), LOADS(VMOVDQA_V_W, load_a_x, load_a_y),
#define STORES(ID, x, y) [ISA_##ID] = { { NULL, NULL }, { x, y } }
	STORES(VMOVUPS_W_V, store_u_x, store_u_y), STORES(VMOVUPD_W_V, store_u_x, store_u_y),
	STORES(VMOVDQU_W_V, store_u_x, store_u_y), STORES(VMOVAPS_W_V, store_a_x, store_a_y),
	STORES(VMOVAPD_W_V, store_a_x, store_a_y), STORES(VMOVDQA_W_V, store_a_x, store_a_y),
	STORES(VMOVSS_V_M, load_4_m, load_4_m), STORES(VMOVSD_V_M, load_8_m, load_8_m),
	STORES(VMOVSS_M_V, store_low_4, store_low_4), STORES(VMOVSD_M_V, store_low_8, store_low_8),
	[ISA_VMOVQ_V_W] = { { load_8_r, NULL }, { load_8_m, NULL } }, STORES(VMOVQ_W_V, store_low_8, NULL),
	STORES(VBROADCASTSS_V_M, broadcast_d_x_m, broadcast_d_y_m), STORES(VBROADCASTSD_V_M, NULL, broadcast_q_y_m),
	[ISA_VBROADCASTSS_V_U] = { { broadcast_d_x_r, broadcast_d_y_r }, { NULL, NULL } },
	[ISA_VBROADCASTSD_V_U] = { { NULL, broadcast_q_y_r }, { NULL, NULL } },
	[ISA_VPBROADCASTD] = { { broadcast_d_x_r, broadcast_d_y_r }, { broadcast_d_x_m, broadcast_d_y_m } },
	[ISA_VPBROADCASTQ] = { { broadcast_q_x_r, broadcast_q_y_r }, { broadcast_q_x_m, broadcast_q_y_m } },
};

insn_handler *fast_avx(const struct emu *e, struct insn *i)
{
	const struct forms *f = &handlers[i->id];

	if (e->code_size != 8 || i->vl > 1)
		return NULL;
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
		return NULL;
	if (i->id == ISA_VZEROUPPER)
		return zeroupper;
	return i->is_mem ? i->asize == 8 ? f->m[i->vl] : NULL : f->r[i->vl];
}

#else

insn_handler *fast_avx(const struct emu *e, struct insn *i)
{
	return NULL;
}

#endif
