/* SPDX-License-Identifier: MIT */
/* The host's features from its CPUID, by the table that the guest's CPUID is made from: native/host.h. */
#include "host.h"

#include "emu/core/host.h"
#include "emu/isa/isa.h"
#include "emu/model/features.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

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

static struct cpu_feature_set ask(void)
{
	const uint64_t xcr0 = system_xcr0();
	struct cpu_feature_set s = { { 0 } };

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if ((cpu_features[f].xcr0 & ~xcr0) == 0 && is_shown(&cpu_features[f]))
			cpu_add(&s, f);
	cpu_drop_unmet(&s); /* what needs YMM registers, too, where the system does not save them */
	return s;
}

static struct cpu_feature_set host;
static atomic_bool asked; /* several threads may ask at once: all find the same */

static const struct cpu_feature_set *host_features(void)
{
	if (!atomic_load_explicit(&asked, memory_order_acquire)) {
		host = ask();
		atomic_store_explicit(&asked, true, memory_order_release);
	}
	return &host;
}

bool native_has(unsigned feature)
{
	const struct cpu_feature_set *s = host_features();

	if (feature == FEAT_BASE)
		return true;
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (cpu_features[f].isa == feature && cpu_has(s, f))
			return true;
	return false;
}

int native_hide(const char *features)
{
	struct cpu_feature_set left = *host_features();

	while (*features) {
		const size_t length = strcspn(features, ",");
		const enum cpu_feature f = cpu_feature_find(features, length);

		if (f == CPUF_NONE)
			return -EINVAL;
		cpu_remove(&left, f);
		features += length + (features[length] != 0);
	}
	cpu_drop_unmet(&left);
	host = left;
	return 0;
}

#else

bool native_has(unsigned feature)
{
	return false;
}

int native_hide(const char *features)
{
	return 0;
}

#endif
