/* SPDX-License-Identifier: MIT */
/* The host's features from its CPUID, by the table that the guest's CPUID is made from: native/host.h. */
#include "host.h"

#include "emu/core/host.h"
#include "emu/isa/isa.h"
#include "emu/model/features.h"

#include <pthread.h>

#ifdef HOST_X86_64
#include <cpuid.h>

/* State that the host's system saves; x87 and SSE where it cannot say. */
static uint64_t system_xcr0(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return 3;
	__asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return a | (uint64_t)d << 32;
}

static bool is_shown(const struct cpu_feature_row *row)
{
	unsigned r[4];

	if (!__get_cpuid_count(row->leaf, row->subleaf, &r[CPUID_EAX], &r[CPUID_EBX], &r[CPUID_ECX], &r[CPUID_EDX]))
		return false;
	return r[row->reg] >> row->bit & 1;
}

/* By features of the instruction table. */
static bool known[FEAT_COUNT];

static void ask(void)
{
	const uint64_t xcr0 = system_xcr0();
	struct cpu_feature_set s = { { 0 } };

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if ((cpu_features[f].xcr0 & ~xcr0) == 0 && is_shown(&cpu_features[f]))
			cpu_add(&s, f);
	cpu_drop_unmet(&s); /* what needs YMM registers, too, where the system does not save them */
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (cpu_features[f].isa < FEAT_COUNT && cpu_has(&s, f))
			known[cpu_features[f].isa] = true;
	known[FEAT_BASE] = true;
}

bool native_has(unsigned feature)
{
	static pthread_once_t asked = PTHREAD_ONCE_INIT;

	pthread_once(&asked, ask);
	return known[feature];
}

#else

bool native_has(unsigned feature)
{
	return false;
}

#endif
