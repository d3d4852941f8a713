/* SPDX-License-Identifier: MIT */
/*
 * Processor features and models: what --cpu names, and what a guest's processor then has. One table (features.def) says
 * for each feature where CPUID shows it, what it gates and what it needs. Pure: the command line, the supervisor and both
 * engines read models with the same functions.
 */
#ifndef BULKHEAD_EMU_FEATURES_H
#define BULKHEAD_EMU_FEATURES_H

#include "emu/core/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cpu_feature {
	CPUF_NONE,
#define F(id, ...) CPUF_##id,
#include "features.def"
#undef F
	CPUF_COUNT,
};

enum cpu_feature_level { CPUF_BASELINE, CPUF_KERNEL, CPUF_V2, CPUF_V3, CPUF_V4, CPUF_MAX };
enum cpu_feature_status { CPUF_OFFERED, CPUF_HIDDEN, CPUF_ABSENT, CPUF_STATUS = 3, CPUF_SILENT = 4 };
enum cpuid_register { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

struct cpu_feature_row {
	const char *name, *help;
	uint32_t leaf;
	uint8_t subleaf, reg, bit;
	uint8_t isa; /* enum isa_feature */
	uint8_t level, status;
	uint8_t needs[2];
	uint64_t cr4, xcr0;
};

/* By enum cpu_feature; the row of CPUF_NONE is empty. */
extern const struct cpu_feature_row cpu_features[CPUF_COUNT];

/* Registers, or bits of them, that exist only with a feature (msrs.def). */
struct cpu_msr_row {
	uint32_t first, last;
	uint64_t bits;
	uint8_t feature;
	bool refused; /* setting the bits without it raises #GP; else they stay 0 */
};

enum {
#define M(feature, first, last, bits, what) CPU_MSR_AT_##feature##_##first##_##last##_##what,
#include "msrs.def"
#undef M
	CPU_MSR_ROWS,
};
extern const struct cpu_msr_row cpu_msrs[CPU_MSR_ROWS];

_Static_assert(CPUF_COUNT <= 192, "a set has a bit for each feature");

static inline void cpu_add(struct cpu_feature_set *s, unsigned feature)
{
	s->bits[feature / 64] |= 1ull << (feature % 64);
}
static inline void cpu_remove(struct cpu_feature_set *s, unsigned feature)
{
	s->bits[feature / 64] &= ~(1ull << (feature % 64));
}

/* The feature of this name: as Linux prints it, or another usual one (sse3, lzcnt, sse4.1). CPUF_NONE: there is none. */
enum cpu_feature cpu_feature_find(const char *name, size_t len);
/* Adds what its members need, and what those need. */
void cpu_close_over_needs(struct cpu_feature_set *s);
/* Removes members that lack what they need. */
void cpu_drop_unmet(struct cpu_feature_set *s);
/* Does this leaf of CPUID exist? Some came with a feature: without it they read as zero, or are beyond the last one. */
bool cpu_leaf_exists(const struct cpu_feature_set *s, uint32_t leaf);
/* What the emulator has, offered unasked or not. */
struct cpu_feature_set cpu_emulated(void);
uint64_t cpu_cr4_bits(const struct cpu_feature_set *s);
uint64_t cpu_xcr0_bits(const struct cpu_feature_set *s);

enum cpu_base { CPU_BASE_MAX, CPU_BASE_V2, CPU_BASE_V3, CPU_BASE_V4, CPU_BASE_HOST, CPU_BASES };

struct cpu_base_row {
	const char *name, *help;
};
extern const struct cpu_base_row cpu_bases[CPU_BASES];

struct cpu_model {
	enum cpu_base base;
	struct cpu_feature_set possible; /* what it has where the engine has it */
	struct cpu_feature_set wanted;	 /* the part of it without which it is not this model */
};

enum { CPU_MODEL_TEXT_MAX = 1024, CPU_MODEL_ERROR_MAX = 200 };

/*
 * Reads MODEL[,+feature|,-feature|,feature=on|off...]. What is turned on brings what it needs, what is turned off takes
 * away what needs it. -EINVAL: `error` says which word is wrong, and what would be right.
 */
int cpu_model_parse(struct cpu_model *m, const char *text, char error[CPU_MODEL_ERROR_MAX]);
/*
 * The features that this model has on an engine with `available`. -ENOTSUP: `error` names what the model must have and
 * the engine (`who`, as in "the emulator") has not.
 */
int cpu_model_resolve(const struct cpu_model *m, const struct cpu_feature_set *available, const char *who,
		      struct cpu_feature_set *out, char error[CPU_MODEL_ERROR_MAX]);
/* May CPUID show bits that the table does not know? Only where the model is "whatever there is". */
static inline bool cpu_model_is_open(const struct cpu_model *m)
{
	return m->base == CPU_BASE_HOST || m->base == CPU_BASE_MAX;
}

#endif
