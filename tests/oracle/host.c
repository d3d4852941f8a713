/* SPDX-License-Identifier: MIT */
/* What this host's processor can be asked. */
#include "oracle.h"

#include <cpuid.h>

bool host_has(unsigned feature)
{
	unsigned a, b, c, d;

	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
		b = c = d = 0;
	switch (feature) {
	case FEAT_AVX: return native_has_avx();
	case FEAT_AVX2: return b & bit_AVX2;
	case FEAT_BMI1: return b & bit_BMI;
	case FEAT_BMI2: return b & bit_BMI2;
	case FEAT_SHA: return b & bit_SHA;
	case FEAT_VAES: return c & bit_VAES;
	case FEAT_VPCLMULQDQ: return c & bit_VPCLMULQDQ;
	case FEAT_GFNI: return c & bit_GFNI;
	case FEAT_AVX512F: return native_has_avx512();
	case FEAT_AVX512CD: return b & bit_AVX512CD;
	case FEAT_AVX512BW: return b & bit_AVX512BW;
	case FEAT_AVX512DQ: return b & bit_AVX512DQ;
	case FEAT_AVX512IFMA: return b & bit_AVX512IFMA;
	case FEAT_AVX512VBMI: return c & bit_AVX512VBMI;
	case FEAT_AVX512VBMI2: return c & bit_AVX512VBMI2;
	case FEAT_AVX512VNNI: return c & bit_AVX512VNNI;
	case FEAT_AVX512BITALG: return c & bit_AVX512BITALG;
	case FEAT_AVX512VPOPCNTDQ: return c & bit_AVX512VPOPCNTDQ;
	case FEAT_AVX512FP16: return d & (1u << 23);
	case FEAT_AVX512BF16: __cpuid_count(7, 1, a, b, c, d); return a & bit_AVX512BF16;
	case FEAT_AVX_VNNI: __cpuid_count(7, 1, a, b, c, d); return a & bit_AVXVNNI;
	default: break;
	}
	__cpuid(1, a, b, c, d);
	switch (feature) {
	case FEAT_FMA: return c & bit_FMA;
	case FEAT_F16C: return c & bit_F16C;
	case FEAT_SSE3: return c & bit_SSE3;
	case FEAT_SSSE3: return c & bit_SSSE3;
	case FEAT_SSE41: return c & bit_SSE4_1;
	case FEAT_SSE42: return c & bit_SSE4_2;
	case FEAT_AES: return c & bit_AES;
	case FEAT_PCLMULQDQ: return c & bit_PCLMUL;
	default: return true;
	}
}
