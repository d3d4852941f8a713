/* SPDX-License-Identifier: MIT */
/* Provider H, AVX-512: VRCP14xx and VRSQRT14xx on whole ZMM registers. */
#include "host_mxcsr.h"
#include "provider_table.h"

#define HOST_512(name)                                                                                            \
	__attribute__((noinline)) uint32_t host_##name(union vec *d, const union vec *s, uint32_t mxcsr)          \
	{                                                                                                         \
		const uint32_t host = host_mxcsr_enter(mxcsr);                                                    \
		__asm__ volatile("v" #name " (%[s]), %%zmm0\n\t"                                                  \
				 "vmovdqu64 %%zmm0, (%[d])\n\t"                                                   \
				 "vzeroupper"                                                                     \
				 :                                                                                \
				 : [d] "r"(d), [s] "r"(s)                                                         \
				 : "xmm0", "memory");                                                             \
		host_mxcsr_leave(host, mxcsr);                                                                    \
		return 0;                                                                                         \
	}
HOST_512(rcp14ps)
HOST_512(rcp14pd)
HOST_512(rsqrt14ps)
HOST_512(rsqrt14pd)
