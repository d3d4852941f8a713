/* SPDX-License-Identifier: MIT */
/* The host's features from its CPUID, by the table that the guest's CPUID is made from: native/host.h. */
#include "host.h"

#include "emu/core/host.h"
#include "emu/isa/isa.h"
#include "emu/model/features.h"

#include <errno.h>
#include <pthread.h>
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

static struct cpu_feature_set host;
static bool known[FEAT_COUNT]; /* the same by features of the instruction table */

static void show(const struct cpu_feature_set *s)
{
	host = *s;
	memset(known, 0, sizeof(known));
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (cpu_features[f].isa < FEAT_COUNT && cpu_has(s, f))
			known[cpu_features[f].isa] = true;
	known[FEAT_BASE] = true;
}

static void ask(void)
{
	const uint64_t xcr0 = system_xcr0();
	struct cpu_feature_set s = { { 0 } };

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if ((cpu_features[f].xcr0 & ~xcr0) == 0 && is_shown(&cpu_features[f]))
			cpu_add(&s, f);
	cpu_drop_unmet(&s); /* what needs YMM registers, too, where the system does not save them */
	show(&s);
}

static void ask_once(void)
{
	static pthread_once_t asked = PTHREAD_ONCE_INIT;

	pthread_once(&asked, ask);
}

bool native_has(unsigned feature)
{
	ask_once();
	return known[feature];
}

int native_hide(const char *features)
{
	struct cpu_feature_set left;

	ask_once();
	left = host;
	while (*features) {
		const size_t length = strcspn(features, ",");
		const enum cpu_feature f = cpu_feature_find(features, length);

		if (f == CPUF_NONE)
			return -EINVAL;
		cpu_remove(&left, f);
		features += length + (features[length] != 0);
	}
	cpu_drop_unmet(&left);
	show(&left);
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
