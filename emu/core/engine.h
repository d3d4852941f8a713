/* SPDX-License-Identifier: MIT */
/*
 * The one interface behind which guest code runs: the emulator (emu/) and KVM (vmm/kvm/) implement it, the vcpu
 * process, tests, and later snapshots and debuggers use it.
 *
 * Threads: run() of a vCPU is called by one thread at a time; kick(), signal_msi(), set_route(), ram_written() and extint_changed()
 * may be called from any thread at any time and never block.
 */
#ifndef BULKHEAD_EMU_ENGINE_H
#define BULKHEAD_EMU_ENGINE_H

#include "cpu.h"
#include "proto/clock.h"
#include "proto/topology.h"

#include <stddef.h>

struct cpu_model; /* model/features.h */
struct counters;  /* proto/counters.h */

enum io_space { IO_PORT, IO_MMIO };

/*
 * What a vCPU can reach outside itself. All functions are called on the vCPU's own thread, from inside run().
 * `size` is 1, 2, 4 or (MMIO only) 8 bytes; what nothing answers reads as all-ones of that size. Wider or
 * page-crossing accesses have been split by the engine.
 */
struct engine_bus {
	void *ctx;
	uint64_t (*read)(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, unsigned size);
	void (*write)(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, uint64_t data, unsigned size);
	/* REP INS/OUTS: `count` items of `size` bytes each, packed in buf, all for the same port. */
	void (*read_string)(void *ctx, unsigned vcpu, uint16_t port, void *buf, uint32_t count, unsigned size);
	void (*write_string)(void *ctx, unsigned vcpu, uint16_t port, const void *buf, uint32_t count, unsigned size);
	/* The 8259's INT output, level. Cheap: polled. */
	bool (*extint_pending)(void *ctx, unsigned vcpu);
	/* Interrupt acknowledge: returns the vector (the 8259 answers spurious requests itself), or -EAGAIN. */
	int (*intack)(void *ctx, unsigned vcpu);
	/* EOI broadcast of a local APIC for a vector that was delivered level-triggered (SDM vol. 3, 10.8.5). */
	void (*eoi)(void *ctx, unsigned vcpu, uint8_t vector);
	/* One rate-limited diagnostic line ("unknown MSR 0x.. read"); may be NULL. */
	void (*log)(void *ctx, unsigned vcpu, const char *line);
};

/* Guest-physical RAM. Regions are page aligned, sorted, do not overlap. */
struct engine_ram {
	uint64_t gpa, size;
	uint8_t *host;
};

enum { ENGINE_MAX_RAM = 4, ENGINE_MAX_VCPUS = TOPOLOGY_MAX_CPUS, ENGINE_MAX_WRITERS = 64 };

struct engine_debug; /* debugger.h */
struct engine_trace; /* trace.h */
struct engine_hit;
struct engine_state;
struct code_notices;
struct native_memory;

struct engine_config {
	const struct engine_bus *bus;
	struct engine_ram ram[ENGINE_MAX_RAM];
	unsigned ram_count;
	unsigned vcpus;
	struct cpu_topology topology; /* all zeroes: one socket of so many cores */
	struct machine_clock clock; /* what local APICs and engine_state mean by a time */
	int kvm_fd;	       /* engine kvm: open /dev/kvm, owned by the caller until create() returns 0; else -1 */
	bool no_syscall; /* engine kvm: restore() refuses a processor that has SYSCALL switched on */
	bool mends_syscall; /* engine kvm: SYSCALL is finished for a KVM that does half of it (vmm/kvm/syscall.c) */
	bool no_fallback; /* engine kvm: what KVM cannot do ends the machine, and is not left to our emulator */
	size_t code_cache_bytes; /* engine emu: bound of what decoded and translated code takes, of all vCPUs together; 0: default */
	/* engine emu: memory for generated code, made before the sandbox forbids it (native/memory.h), which the caller owns;
	 * NULL: create() makes it. Without any the emulator works, too. */
	const struct native_memory *native;
	void *code_map;	       /* engine emu: zeroed memory for its code map (proto/code_map.h), which others may read; NULL: its own */
	size_t code_map_bytes;
	/* engine emu: who else writes guest memory and says so (proto/code_notice.h); each vCPU looks for itself. */
	const struct code_notices *writers[ENGINE_MAX_WRITERS];
	unsigned writer_count;
	uint32_t tsc_khz;      /* engine emu: frequency of the time-stamp counter; 0: 1,000,000 */
	bool tsc_is_hosts; /* engine emu: it begins as the host's, whose frequency tsc_khz is, and not at 0: for a KVM that has no other */
	bool lent;	       /* engine emu: runs stretches for another engine (run/stretch.h) */
	bool single_step;      /* engine emu: use only the single-step tier (tests, tracing) */
	unsigned translate_after; /* engine emu: how often a block is entered before it is translated; 0: default */
	bool no_translator;	  /* engine emu: never */
	bool check_ranges; /* engine emu: translated code compares each access with the page tables and aborts if they differ (tests) */
	/* engine emu: the first stretches of translated code from each place, and each so manyth, are undone, run again by single steps,
	 * and the states compared; a difference aborts (tests). 0: none is. */
	unsigned verify_every;
	/* engine emu: features of this host that are taken as missing (native/host.h), for the whole process (tests); NULL: none */
	const char *host_lacks;
	uint32_t mxcsr_mask; /* engine emu: the bits of MXCSR that there are (SDM vol. 1, 11.6.6); 0: FFFFh */
	bool no_tsc_deadline;  /* hide TSC-deadline mode (tests) */
	const struct engine_trace *trace; /* engine emu: who is told of instructions; NULL: nobody */
	struct counters *counters; /* what each vCPU counts, in an array; NULL: nobody wants to know */
	const struct cpu_model *cpu; /* read by create(); NULL: max, or host for KVM */
	char *cpu_error; /* CPU_MODEL_ERROR_MAX (model/features.h) bytes, or NULL: what create() did not like about it, with -ENOTSUP */
};

/* Why run() came back. */
enum engine_stop {
	ENGINE_KICKED,	      /* kick() was called; state is architectural; call run() again to go on */
	ENGINE_HALTED,	      /* HLT with interrupts off and no NMI source: only INIT could wake it */
	ENGINE_TRIPLE_FAULT,  /* shutdown (SDM vol. 3, 6.15 "Double Fault"); get_state() shows the state at the fault */
	ENGINE_ERROR,	      /* the engine cannot go on (KVM internal error); last_error() says why */
	ENGINE_DEBUG,	      /* what debug() asked for has come; debug_hit() says what */
};

struct engine; /* each implementation embeds it: first member `const struct engine_ops *ops` */

struct engine_ops {
	const char *name; /* "emu", "kvm" */

	/* 0, -ENOMEM, -EINVAL (bad config), -ENOTSUP (cpu wants what this engine has not), or the errno of what
	 * the engine needed (KVM). *out is owned by the caller. */
	int (*create)(const struct engine_config *config, struct engine **out);
	void (*destroy)(struct engine *e);

	/* Only while that vCPU is not inside run(). A new vCPU is in the state of cpu_reset(). 0 or -errno. */
	int (*get_state)(struct engine *e, unsigned vcpu, struct cpu *out);
	int (*set_state)(struct engine *e, unsigned vcpu, const struct cpu *in);

	/* The same for all that the processor is (state.h). restore(): -EINVAL, *field names what no processor can be, or
	 * what this engine's has not; nothing has changed then. Of several processors, all at once, none running, and from
	 * vCPU 0 on: its time is the others'. The counter and timers go on as if it had run since: the machine's clock says
	 * how long that is. */
	int (*save)(struct engine *e, unsigned vcpu, struct engine_state *out);
	int (*restore)(struct engine *e, unsigned vcpu, const struct engine_state *in, const char **field);

	/*
	 * What a debugger wants from now on (debugger.h), in place of what it wanted before; while no vCPU is inside run().
	 * -ENOSPC: more than the processor has; -EFAULT: nothing is mapped where point *which is to be put. Then nothing is set.
	 */
	int (*debug)(struct engine *e, const struct engine_debug *want, unsigned *which);
	void (*debug_hit)(struct engine *e, unsigned vcpu, struct engine_hit *out);
	/* Where a linear address leads just now, whatever the privilege; the guest cannot tell that it was asked. 0 or -EFAULT. */
	int (*translate)(struct engine *e, unsigned vcpu, uint64_t linear, uint64_t *gpa);

	/* Runs guest code; sleeps in HLT by itself until an interrupt, a timer or a kick. */
	enum engine_stop (*run)(struct engine *e, unsigned vcpu);
	void (*kick)(struct engine *e, unsigned vcpu);

	/* Delivers a message to the local APICs (SDM vol. 3, 10.11). -EINVAL if it is not a valid MSI. */
	int (*signal_msi)(struct engine *e, uint64_t addr, uint32_t data);
	/* IOAPIC pin -> message, so that the engine knows which vectors are level-triggered (KVM: EOI exits). */
	int (*set_route)(struct engine *e, unsigned pin, uint64_t addr, uint32_t data, bool masked);
	/*
	 * Guest RAM was written by somebody else than a vCPU (DMA, a loader): code made of it is dropped before the guest can
	 * know of the write by other means. Any thread; never blocks.
	 */
	void (*ram_written)(struct engine *e, uint64_t gpa, uint64_t size);
	/* The bus's extint_pending() may have changed: re-evaluate, wake whoever takes it. */
	void (*extint_changed)(struct engine *e);

	/* What the guest's CPUID shows of the table of features. */
	void (*features)(struct engine *e, struct cpu_feature_set *out);
	/* Guest instructions retired by this vCPU, 0 if the engine cannot tell. Any thread; exact while it is not inside run(). */
	uint64_t (*instructions)(struct engine *e, unsigned vcpu);
	const char *(*last_error)(struct engine *e);
};

struct engine {
	const struct engine_ops *ops;
};

extern const struct engine_ops engine_emu;
extern const struct engine_ops engine_kvm;

#endif
