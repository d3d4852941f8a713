/* SPDX-License-Identifier: MIT */
/*
 * Everything that one processor is between two instructions, for both engines: what struct cpu has, and what stands beside
 * it: the local APIC with what is on its way to it, what a debug exception still owes, the time-stamp counter. Snapshots
 * and moves of a processor from one engine to the other take exactly this.
 */
#ifndef BULKHEAD_EMU_STATE_H
#define BULKHEAD_EMU_STATE_H

#include "cpu.h"

enum { ENGINE_STATE_VERSION = 3, APIC_REGISTERS = 64, KVM_AIDS = 5 };

enum apic_pending { APIC_PENDING_INIT = 1, APIC_PENDING_SIPI = 2, APIC_PENDING_EXTINT = 4, APIC_PENDING_ALL = 7 };

/* The local APIC by its register page (SDM vol. 3, table 10-1): reg[n] stands at offset 16 * n; ICR[63:32] at 310h. */
struct apic_state {
	uint32_t reg[APIC_REGISTERS];
	uint32_t esr_pending;  /* errors since ESR was last written */
	uint64_t tsc_deadline; /* 0: disarmed */
	uint8_t pending;       /* enum apic_pending: arrived and not yet taken; an NMI is in struct cpu */
	uint8_t sipi_vector;
};

/* Fields that are truths are 0 or 1. */
struct engine_state {
	uint32_t version; /* ENGINE_STATE_VERSION */
	uint32_t bytes;	  /* of this structure */
	struct cpu cpu;	  /* msr.tsc_offset has no meaning: it belongs to one process */
	struct apic_state apic;
	uint64_t time_ns; /* when the state was taken, by the machine's clock; by it time goes on for who takes it over */
	uint64_t tsc;	  /* the guest's counter then */
	uint64_t debug_pending; /* bits of DR6 that a #DB will report before the next instruction, or after a MOV SS's successor */
	uint8_t task_trap; /* the T bit of a new task's TSS was set: #DB before its first instruction */
	uint8_t in_rep;	   /* between two iterations of a repeated instruction: RIP is still at it */
	uint8_t by_kvm;	   /* the engine that it was taken from */
	uint32_t tsc_khz;  /* frequency of the counter; 0: 1,000,000 */
	/* From MSR 4B564D00h on, what KVM does for guests that ask for it (the kernel's Documentation/virt/kvm/x86/msr.rst): kvmclock's
	 * two pages, asynchronous page faults, stolen time, EOI without an exit. The emulator has none of them. */
	uint64_t kvm_aid[KVM_AIDS];
};

/* By how much time has gone on since the state was taken: nothing, if it says that it is from the future. */
static inline uint64_t engine_state_age(const struct engine_state *s, uint64_t machine_ns)
{
	return machine_ns > s->time_ns ? machine_ns - s->time_ns : 0;
}

/*
 * Is it a state that a processor can be in, as far as an engine relies on it? It may come from a file. 0, or -EINVAL with
 * *field naming what is wrong.
 */
int engine_state_check(const struct engine_state *s, const char **field);

#endif
