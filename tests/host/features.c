/* SPDX-License-Identifier: MIT */
/* What this host's processor has, by the features of the instruction table. */
#include "features.h"
#include "emu/isa/isa.h"

#include <cpuid.h>
#include <stddef.h>

enum { EAX, EBX, ECX, EDX };

/* Features that are not listed are part of every x86-64 processor, but for AVX and AVX512F, which the system has to save. */
static const struct {
	uint32_t leaf;
	uint8_t subleaf, reg, bit, feature;
} bits[] = {
	{ 1, 0, ECX, 0, FEAT_SSE3 }, { 1, 0, ECX, 1, FEAT_PCLMULQDQ }, { 1, 0, ECX, 3, FEAT_MONITOR },
	{ 1, 0, ECX, 9, FEAT_SSSE3 }, { 1, 0, ECX, 12, FEAT_FMA }, { 1, 0, ECX, 13, FEAT_CX16 }, { 1, 0, ECX, 19, FEAT_SSE41 },
	{ 1, 0, ECX, 20, FEAT_SSE42 }, { 1, 0, ECX, 22, FEAT_MOVBE }, { 1, 0, ECX, 23, FEAT_POPCNT },
	{ 1, 0, ECX, 25, FEAT_AES }, { 1, 0, ECX, 27, FEAT_XSAVE }, { 1, 0, ECX, 29, FEAT_F16C },
	{ 1, 0, ECX, 30, FEAT_RDRAND }, { 7, 0, EBX, 0, FEAT_FSGSBASE }, { 7, 0, EBX, 3, FEAT_BMI1 },
	{ 7, 0, EBX, 5, FEAT_AVX2 }, { 7, 0, EBX, 8, FEAT_BMI2 }, { 7, 0, EBX, 10, FEAT_INVPCID }, { 7, 0, EBX, 11, FEAT_RTM },
	{ 7, 0, EBX, 18, FEAT_RDSEED }, { 7, 0, EBX, 19, FEAT_ADX }, { 7, 0, EBX, 20, FEAT_SMAP },
	{ 7, 0, EBX, 23, FEAT_CLFLUSHOPT }, { 7, 0, EBX, 24, FEAT_CLWB }, { 7, 0, EBX, 29, FEAT_SHA },
	{ 7, 0, EBX, 17, FEAT_AVX512DQ }, { 7, 0, EBX, 21, FEAT_AVX512IFMA }, { 7, 0, EBX, 28, FEAT_AVX512CD },
	{ 7, 0, EBX, 30, FEAT_AVX512BW }, { 7, 0, ECX, 1, FEAT_AVX512VBMI }, { 7, 0, ECX, 6, FEAT_AVX512VBMI2 },
	{ 7, 0, ECX, 11, FEAT_AVX512VNNI }, { 7, 0, ECX, 12, FEAT_AVX512BITALG }, { 7, 0, ECX, 14, FEAT_AVX512VPOPCNTDQ },
	{ 7, 0, EDX, 23, FEAT_AVX512FP16 }, { 7, 1, EAX, 5, FEAT_AVX512BF16 },
	{ 7, 0, ECX, 3, FEAT_PKU }, { 7, 0, ECX, 8, FEAT_GFNI }, { 7, 0, ECX, 9, FEAT_VAES }, { 7, 0, ECX, 10, FEAT_VPCLMULQDQ },
	{ 7, 0, ECX, 16, FEAT_LA57 }, { 7, 0, ECX, 22, FEAT_RDPID }, { 7, 0, ECX, 25, FEAT_CLDEMOTE }, { 7, 0, ECX, 27, FEAT_MOVDIRI },
	{ 7, 0, ECX, 28, FEAT_MOVDIR64B }, { 7, 0, EDX, 14, FEAT_SERIALIZE }, { 7, 1, EAX, 4, FEAT_AVX_VNNI },
	{ 0xd, 1, EAX, 0, FEAT_XSAVEOPT }, { 0xd, 1, EAX, 1, FEAT_XSAVEC }, { 0xd, 1, EAX, 2, FEAT_XGETBV1 },
	{ 0xd, 1, EAX, 3, FEAT_XSAVES }, { 0x80000001, 0, ECX, 0, FEAT_LAHF64 }, { 0x80000001, 0, ECX, 5, FEAT_LZCNT },
	{ 0x80000001, 0, ECX, 6, FEAT_SSE4A }, { 0x80000001, 0, ECX, 8, FEAT_PREFETCHW },
	{ 0x80000001, 0, EDX, 27, FEAT_RDTSCP }, { 0x80000008, 0, EBX, 9, FEAT_WBNOINVD },
};

bool host_has(unsigned feature)
{
	if (feature == FEAT_AVX)
		return __builtin_cpu_supports("avx");
	if (feature == FEAT_AVX512F)
		return __builtin_cpu_supports("avx512f");
	for (unsigned n = 0; n < sizeof(bits) / sizeof(bits[0]); n++) {
		unsigned r[4];

		if (bits[n].feature != feature)
			continue;
		if (!__get_cpuid_count(bits[n].leaf, bits[n].subleaf, &r[EAX], &r[EBX], &r[ECX], &r[EDX]))
			return false;
		return r[bits[n].reg] >> bits[n].bit & 1;
	}
	return true;
}

static bool has(const void *ctx, unsigned feature)
{
	return host_has(feature);
}

bool host_has_row(unsigned row)
{
	/* Forms of all lengths are drawn. */
	if (isa_rows[row].map >= ISA_E0F && !__builtin_cpu_supports("avx512vl"))
		return false;
	return isa_row_exists(&isa_rows[row], has, NULL);
}
