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
#define HOST_PACKED(F, name, from, to) HOST_BINARY(name)
#define HOST_SCALAR(F, name, size) HOST_BINARY(name)
#define HOST_FLAGS(F, name, size)                                                                                 \
	HOST_SSE(name, #name " %%xmm1, %%xmm0\n\tlahf\n\tmovzbl %%ah, %%eax\n\tmovd %%eax, %%xmm0")
#define HOST_FROM_GPR(F, name)                                                                                    \
	HOST_SSE(name##32, "movd %%xmm1, %%eax\n\t" #name "l %%eax, %%xmm0")                                      \
	HOST_SSE(name##64, "movq %%xmm1, %%rax\n\t" #name "q %%rax, %%xmm0")
#define HOST_TO_GPR(F, name, size)                                                                                \
	HOST_SSE(name##32, #name " %%xmm1, %%eax\n\tmovq %%rax, %%xmm0")                                          \
	HOST_SSE(name##64, #name " %%xmm1, %%rax\n\tmovq %%rax, %%xmm0")
/* 4: the direction of MXCSR.RC */
#define HOST_ROUND_PACKED(F, name) HOST_SSE(name, #name " $4, %%xmm1, %%xmm0")
#define HOST_ROUND_SCALAR(F, name, size) HOST_SSE(name, #name " $4, %%xmm1, %%xmm0")
/* All products, and the sum in all elements: the caller clears what its immediate leaves out. */
#define HOST_DOT(F, name) HOST_SSE(name, #name " $0xff, %%xmm1, %%xmm0")

FP_OPERATIONS(HOST, )
