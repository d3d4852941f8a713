/* SPDX-License-Identifier: MIT */
/* What this host's processor can be asked. */
#include "oracle.h"

#include <cpuid.h>

bool host_has(unsigned feature)
{
	unsigned a, b, c, d;

	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
		b = c = 0;
	switch (feature) {
	case FEAT_AVX: return native_has_avx();
	case FEAT_AVX2: return b & bit_AVX2;
	case FEAT_BMI1: return b & bit_BMI;
	case FEAT_BMI2: return b & bit_BMI2;
	case FEAT_SHA: return b & bit_SHA;
	case FEAT_VAES: return c & bit_VAES;
	case FEAT_VPCLMULQDQ: return c & bit_VPCLMULQDQ;
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
