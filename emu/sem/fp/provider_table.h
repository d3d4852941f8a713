/* SPDX-License-Identifier: MIT */
/* The functions of each provider, as provider.c sees them: host_addps(), soft_addps(). */
#ifndef BULKHEAD_EMU_FPU_PROVIDER_TABLE_H
#define BULKHEAD_EMU_FPU_PROVIDER_TABLE_H

#include "emu/core/host.h"
#include "provider.h"

/* FMA3 and F16C: not all x86-64 hosts have them. */
#define FP_FMA_ALL(F) FP_FMA_PACKED(F) FP_FMA_SCALAR(F) F(cvtph2ps) F(cvtps2ph)

/* AVX-512's approximations. */
#define FP_APPROX_ALL(F) F(rcp14ps) F(rcp14pd) F(rsqrt14ps) F(rsqrt14pd)

#define FP_SOFT_SSE(name) fp_sse_fn soft_##name;
#define FP_SOFT_X87(name) fp_x87_fn soft_##name;
FP_SSE_ALL(FP_SOFT_SSE)
FP_FMA_ALL(FP_SOFT_SSE)
FP_APPROX_ALL(FP_SOFT_SSE)
FP_X87_ALL(FP_SOFT_X87)

#ifdef HOST_X86_64
#define FP_HOST_SSE(name) fp_sse_fn host_##name;
#define FP_HOST_X87(name) fp_x87_fn host_##name;
FP_SSE_ALL(FP_HOST_SSE)
FP_FMA_ALL(FP_HOST_SSE)
FP_APPROX_ALL(FP_HOST_SSE)
FP_X87_ALL(FP_HOST_X87)
#endif

#endif
