/* SPDX-License-Identifier: MIT */
/* Provider H, SSE: the host executes the guest's instruction on operand images (see provider.h). */
#include "host_mxcsr.h"
#include "provider_table.h"

/*
 * xmm0 is the first operand and result, xmm1 the second one, eax is free. No floating point of ours may
 * stand between host_mxcsr_enter() and host_mxcsr_leave(): these functions have none, and are not inlined into anything.
 * They use the baseline of SSE4.1; a host without an instruction has to hide it in the guest's CPUID.
 */
#define HOST_SSE(name, body)                                                                                      \
	__attribute__((noinline)) uint32_t host_##name(union vec *d, const union vec *s, uint32_t mxcsr)            \
	{                                                                                                         \
		const uint32_t host = host_mxcsr_enter(mxcsr);                                                               \
		uint32_t flags;                                                                                   \
		__asm__ volatile("movdqu (%[d]), %%xmm0\n\t"                                                      \
				 "movdqu (%[s]), %%xmm1\n\t" body "\n\t"                                          \
				 "movdqu %%xmm0, (%[d])\n\t"                                                      \
				 "stmxcsr %[flags]"                                                               \
				 : [flags] "=m"(flags)                                                            \
				 : [d] "r"(d), [s] "r"(s)                                                         \
				 : "xmm0", "xmm1", "rax", "cc", "memory");                                        \
		host_mxcsr_leave(host, mxcsr);                                                                    \
		return flags & MXCSR_STICKY;                                                                      \
	}

#define HOST_BINARY(name) HOST_SSE(name, #name " %%xmm1, %%xmm0")
#define HOST_TYPED(op) HOST_BINARY(op##ps) HOST_BINARY(op##pd) HOST_BINARY(op##ss) HOST_BINARY(op##sd)
#define HOST_IMM(name, insn, imm) HOST_SSE(name, #insn " $" #imm ", %%xmm1, %%xmm0")
#define HOST_TYPED_IMM(name, insn, imm)                                                                           \
	HOST_IMM(name##ps, insn##ps, imm) HOST_IMM(name##pd, insn##pd, imm)                                       \
	HOST_IMM(name##ss, insn##ss, imm) HOST_IMM(name##sd, insn##sd, imm)

HOST_TYPED(add)
HOST_TYPED(sub)
HOST_TYPED(mul)
HOST_TYPED(div)
HOST_TYPED(min)
HOST_TYPED(max)
HOST_TYPED(sqrt)

HOST_TYPED_IMM(cmpeq, cmp, 0)
HOST_TYPED_IMM(cmplt, cmp, 1)
HOST_TYPED_IMM(cmple, cmp, 2)
HOST_TYPED_IMM(cmpunord, cmp, 3)
HOST_TYPED_IMM(cmpneq, cmp, 4)
HOST_TYPED_IMM(cmpnlt, cmp, 5)
HOST_TYPED_IMM(cmpnle, cmp, 6)
HOST_TYPED_IMM(cmpord, cmp, 7)
HOST_TYPED_IMM(round, round, 4) /* 4: the direction of MXCSR.RC */

HOST_BINARY(rcpps)
HOST_BINARY(rcpss)
HOST_BINARY(rsqrtps)
HOST_BINARY(rsqrtss)
HOST_BINARY(addsubps)
HOST_BINARY(addsubpd)
HOST_BINARY(haddps)
HOST_BINARY(haddpd)
HOST_BINARY(hsubps)
HOST_BINARY(hsubpd)
HOST_IMM(dpps, dpps, 0xff) /* the caller clears what its immediate leaves out */
HOST_IMM(dppd, dppd, 0x33)

#define HOST_COMPARE(name)                                                                                        \
	HOST_SSE(name, #name " %%xmm1, %%xmm0\n\tlahf\n\tmovzbl %%ah, %%eax\n\tmovd %%eax, %%xmm0")
HOST_COMPARE(comiss)
HOST_COMPARE(comisd)
HOST_COMPARE(ucomiss)
HOST_COMPARE(ucomisd)

HOST_BINARY(cvtps2pd)
HOST_BINARY(cvtpd2ps)
HOST_BINARY(cvtss2sd)
HOST_BINARY(cvtsd2ss)
HOST_BINARY(cvtdq2ps)
HOST_BINARY(cvtdq2pd)
HOST_BINARY(cvtps2dq)
HOST_BINARY(cvttps2dq)
HOST_BINARY(cvtpd2dq)
HOST_BINARY(cvttpd2dq)

HOST_SSE(cvtsi2ss32, "movd %%xmm1, %%eax\n\tcvtsi2ssl %%eax, %%xmm0")
HOST_SSE(cvtsi2ss64, "movq %%xmm1, %%rax\n\tcvtsi2ssq %%rax, %%xmm0")
HOST_SSE(cvtsi2sd32, "movd %%xmm1, %%eax\n\tcvtsi2sdl %%eax, %%xmm0")
HOST_SSE(cvtsi2sd64, "movq %%xmm1, %%rax\n\tcvtsi2sdq %%rax, %%xmm0")

#define HOST_TO_INT(name)                                                                                         \
	HOST_SSE(name##32, #name " %%xmm1, %%eax\n\tmovq %%rax, %%xmm0")                                          \
	HOST_SSE(name##64, #name " %%xmm1, %%rax\n\tmovq %%rax, %%xmm0")
HOST_TO_INT(cvtss2si)
HOST_TO_INT(cvttss2si)
HOST_TO_INT(cvtsd2si)
HOST_TO_INT(cvttsd2si)
