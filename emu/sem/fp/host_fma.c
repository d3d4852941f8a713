/* SPDX-License-Identifier: MIT */
/*
 * Provider H, FMA and F16C: as host_sse.c, for instructions that only some hosts have. They work on whole YMM
 * registers; elements beyond the guest's operand are zero, and 0 * 0 + 0 raises nothing.
 */
#include "host_mxcsr.h"
#include "provider_table.h"

/* ymm0 is d[0], ymm1 and ymm2 are s[0] and s[1]; SSE code of the caller does not pay for dirty upper halves. */
#define HOST_AVX(name, body)                                                                                      \
	__attribute__((noinline)) uint32_t host_##name(union vec *d, const union vec *s, uint32_t mxcsr)            \
	{                                                                                                         \
		const uint32_t host = host_mxcsr_enter(mxcsr);                                                    \
		uint32_t flags;                                                                                   \
		__asm__ volatile("vmovdqu (%[d]), %%ymm0\n\t"                                                     \
				 "vmovdqu (%[s]), %%ymm1\n\t"                                                     \
				 "vmovdqu 64(%[s]), %%ymm2\n\t" body "\n\t"                                       \
				 "vmovdqu %%ymm0, (%[d])\n\t"                                                     \
				 "vstmxcsr %[flags]\n\t"                                                          \
				 "vzeroupper"                                                                     \
				 : [flags] "=m"(flags)                                                            \
				 : [d] "r"(d), [s] "r"(s)                                                         \
				 : "xmm0", "xmm1", "xmm2", "memory");                                             \
		host_mxcsr_leave(host, mxcsr);                                                                    \
		return flags & MXCSR_STICKY;                                                                      \
	}
_Static_assert(sizeof(union vec) == 64, "the assembler above");

#define HOST_FMA(name) HOST_AVX(name, "v" #name " %%ymm2, %%ymm1, %%ymm0")
#define HOST_FMA_LOW(name) HOST_AVX(name, "v" #name " %%xmm2, %%xmm1, %%xmm0")
FP_FMA_PACKED(HOST_FMA)
FP_FMA_SCALAR(HOST_FMA_LOW)

HOST_AVX(cvtph2ps, "vcvtph2ps %%xmm1, %%ymm0")
HOST_AVX(cvtps2ph, "vcvtps2ph $4, %%ymm1, %%xmm0") /* 4: the direction of MXCSR.RC */
