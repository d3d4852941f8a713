/* SPDX-License-Identifier: MIT */
/* What the virtual processors of one machine share. */
#ifndef BULKHEAD_EMU_MACHINE_H
#define BULKHEAD_EMU_MACHINE_H

#include "debugger.h"
#include "emu.h"
#include "engine.h"
#include "tsc.h"
#include "proto/clock.h"
#include "proto/code_map.h"
#include "proto/counters.h"

#include <pthread.h>

struct machine {
	struct engine_bus bus;
	struct engine_ram ram[ENGINE_MAX_RAM];
	unsigned ram_count;
	unsigned vcpus;
	struct cpu_topology topology;
	struct emu *emu[ENGINE_MAX_VCPUS];
	struct engine_config config; /* .cpu is read by machine_init() only */
	struct cpu_feature_set features; /* what CPUID shows */
	uint64_t isa_features[2];	 /* the same by enum isa_feature */
	uint64_t xcr0_supported, cr4_supported;
	struct code_map *code_map;	/* which pieces of RAM hold decoded code of whom; see code for access */
	size_t code_map_bytes;
	struct code_map_view code;
	pthread_mutex_t split_lock;	/* of locked operations on two pages (sem/int/split.c) */
	uint32_t tsc_khz;		/* frequency of the time-stamp counter; 0: the nominal one (tsc.h) */
	bool tsc_is_hosts;		/* it is the host's, plus tsc_offset; tsc_khz says how often that ticks */
	struct tsc_moment moment;	/* of the latest save or restore of vCPU 0: all others go by it (core/state.h) */
	struct engine_debug debug;	/* changes while no vCPU runs */
	struct engine_hit hit[ENGINE_MAX_VCPUS];
	bool watches;			/* debug has points for data */
	struct counters *own_counters;	/* if nobody has lent us any */
	char error[256];
};

/* Is a feature of the instruction table (enum isa_feature, below 128) present in this guest's CPUID? Cheap. */
static inline bool machine_has_feature(const struct machine *m, unsigned feature)
{
	return m->isa_features[feature / 64] >> (feature % 64) & 1;
}

static inline bool emu_has_feature(const struct emu *e, unsigned feature)
{
	return machine_has_feature(e->machine, feature);
}

/* The same by enum cpu_feature: also what gates no instruction. */
static inline bool emu_has_cpu_feature(const struct emu *e, unsigned feature)
{
	return cpu_has(&e->machine->features, feature);
}

/* Which bits MXCSR has; the others raise #GP. */
static inline uint32_t emu_mxcsr_mask(const struct emu *e)
{
	return e->machine && e->machine->config.mxcsr_mask ? e->machine->config.mxcsr_mask : 0xffff;
}

/* Has somebody to hear of each access to data? The guest, by its DR7, or a debugger. */
static inline bool emu_is_watched(const struct emu *e)
{
	return (e->cpu.dr[7] & 0xff) || e->machine->watches;
}

/* The machine's clock. */
static inline uint64_t emu_now_ns(const struct emu *e)
{
	return machine_ns(&e->machine->config.clock);
}

#endif
