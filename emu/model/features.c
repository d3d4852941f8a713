/* SPDX-License-Identifier: MIT */
/* The table of processor features, and sets of them: features.h. */
#include "features.h"

#include "emu/isa/isa.h"

#include <string.h>

#define OFFERED CPUF_OFFERED
#define HIDDEN CPUF_HIDDEN
#define ABSENT CPUF_ABSENT
#define SILENT CPUF_SILENT

const struct cpu_feature_row cpu_features[CPUF_COUNT] = {
#define F(id, name_, leaf_, subleaf_, reg_, bit_, isa_, level_, status_, a, b, cr4_, xcr0_, help_)                 \
	[CPUF_##id] = { .name = name_, .help = help_, .leaf = leaf_, .subleaf = subleaf_, .reg = CPUID_##reg_,     \
			.bit = bit_, .isa = FEAT_##isa_, .level = CPUF_##level_, .status = status_,                \
			.needs = { CPUF_##a, CPUF_##b }, .cr4 = cr4_, .xcr0 = xcr0_ },
#include "features.def"
#undef F
};

#define ALL UINT64_MAX
#define REFUSED true
#define IGNORED false

const struct cpu_msr_row cpu_msrs[CPU_MSR_ROWS] = {
#define M(feature_, first_, last_, bits_, what)                                                                    \
	{ .first = first_, .last = last_, .bits = bits_, .feature = CPUF_##feature_, .refused = what },
#include "msrs.def"
#undef M
};

/* Leaves of CPUID that came with a feature (SDM vol. 2, CPUID; vol. 3, 10.12.8 for 0Bh). */
static const struct {
	uint32_t first, last;
	enum cpu_feature feature;
} leaves[] = {
	{ 0x5, 0x5, CPUF_MONITOR }, { 0xb, 0xb, CPUF_X2APIC }, { 0xd, 0xd, CPUF_XSAVE }, { 0x1f, 0x1f, CPUF_X2APIC },
	{ 0x40000000, 0x4fffffff, CPUF_HYPERVISOR },
};

/* Names that manuals and compilers use, where Linux has another one. */
static const struct {
	const char *name;
	enum cpu_feature feature;
} aliases[] = {
	{ "sse3", CPUF_SSE3 }, { "lzcnt", CPUF_ABM }, { "sha", CPUF_SHA_NI }, { "prefetchw", CPUF_PREFETCHW },
	{ "lahf", CPUF_LAHF_LM }, { "cmpxchg16b", CPUF_CX16 }, { "cmpxchg8b", CPUF_CX8 }, { "pclmul", CPUF_PCLMULQDQ },
	{ "tsc_deadline", CPUF_TSC_DEADLINE }, { "invtsc", CPUF_NONSTOP_TSC }, { "avx512vbmi2", CPUF_AVX512_VBMI2 },
	{ "avx512vnni", CPUF_AVX512_VNNI }, { "avx512bitalg", CPUF_AVX512_BITALG }, { "avx512bf16", CPUF_AVX512_BF16 },
	{ "avx512vpopcntdq", CPUF_AVX512_VPOPCNTDQ }, { "avx512fp16", CPUF_AVX512_FP16 }, { "avxvnni", CPUF_AVX_VNNI },
	{ "avx512_ifma", CPUF_AVX512IFMA }, { "avx512_vbmi", CPUF_AVX512VBMI },
};

/* Letters of either case; dots and dashes are what Linux writes as underscores. */
static bool is_name(const char *name, const char *text, size_t len)
{
	if (strlen(name) != len)
		return false;
	for (size_t n = 0; n < len; n++) {
		char c = text[n];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + ('a' - 'A'));
		if (c == '.' || c == '-')
			c = '_';
		if (c != name[n])
			return false;
	}
	return true;
}

enum cpu_feature cpu_feature_find(const char *name, size_t len)
{
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (is_name(cpu_features[f].name, name, len))
			return (enum cpu_feature)f;
	for (size_t n = 0; n < sizeof(aliases) / sizeof(aliases[0]); n++)
		if (is_name(aliases[n].name, name, len))
			return aliases[n].feature;
	return CPUF_NONE;
}

static bool same(const struct cpu_feature_set *a, const struct cpu_feature_set *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

void cpu_close_over_needs(struct cpu_feature_set *s)
{
	struct cpu_feature_set before;

	do {
		before = *s;
		for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
			for (unsigned n = 0; n < 2 && cpu_has(s, f); n++)
				cpu_add(s, cpu_features[f].needs[n]);
		cpu_remove(s, CPUF_NONE);
	} while (!same(&before, s));
}

static bool is_met(const struct cpu_feature_set *s, const struct cpu_feature_row *row)
{
	for (unsigned n = 0; n < 2; n++)
		if (row->needs[n] != CPUF_NONE && !cpu_has(s, row->needs[n]))
			return false;
	return true;
}

void cpu_drop_unmet(struct cpu_feature_set *s)
{
	struct cpu_feature_set before;

	do {
		before = *s;
		for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
			if (!is_met(s, &cpu_features[f]))
				cpu_remove(s, f);
	} while (!same(&before, s));
}

bool cpu_leaf_exists(const struct cpu_feature_set *s, uint32_t leaf)
{
	for (size_t n = 0; n < sizeof(leaves) / sizeof(leaves[0]); n++)
		if (leaf >= leaves[n].first && leaf <= leaves[n].last)
			return cpu_has(s, leaves[n].feature);
	return true;
}

struct cpu_feature_set cpu_emulated(void)
{
	struct cpu_feature_set s = { { 0 } };

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if ((cpu_features[f].status & CPUF_STATUS) != CPUF_ABSENT)
			cpu_add(&s, f);
	return s;
}

uint64_t cpu_cr4_bits(const struct cpu_feature_set *s)
{
	uint64_t bits = 0;

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		bits |= cpu_has(s, f) ? cpu_features[f].cr4 : 0;
	return bits;
}

uint64_t cpu_xcr0_bits(const struct cpu_feature_set *s)
{
	uint64_t bits = 0;

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		bits |= cpu_has(s, f) ? cpu_features[f].xcr0 : 0;
	return bits;
}
