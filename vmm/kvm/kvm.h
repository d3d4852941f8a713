/* SPDX-License-Identifier: MIT */
/*
 * The KVM engine's inside. KVM keeps the local APICs (split irqchip); everything else - 8259, IOAPIC, timers - lives in
 * the daemons. See Documentation/virt/kvm/api.rst of the kernel for each call.
 */
#ifndef BULKHEAD_VMM_KVM_KVM_H
#define BULKHEAD_VMM_KVM_KVM_H

#include "emu/core/debugger.h"
#include "emu/core/engine.h"
#include "emu/model/features.h"
#include "proto/layout.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>

/* Newer than some <linux/kvm.h>. */
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif

/* How long a stretch in the emulator pays (fallback.c). */
struct kvm_stretch {
	unsigned limit;		    /* instructions of the next one */
	uint64_t ended_ns, took_ns; /* the latest: until when, and for how long, what it costs to take the state out and in included */
	struct cpu before, after;
};

/* How a vCPU's page faults are watched, where KVM breaks SYSCALL (syscall.c). */
struct kvm_mend {
	uint64_t idt_base, cr3; /* by which `gate` was found */
	const uint8_t *gate;	/* of page faults, in guest memory; NULL: there is none */
	uint64_t handler;	/* linear; the breakpoint stands there. 0: nowhere */
	bool passing;		/* it is away for one instruction */
};

struct kvm_vcpu {
	int fd;
	struct kvm_run *run;
	struct counters *counters; /* NULL: nobody counts */
	bool has_vector; /* of the 8259, acknowledged there, and not yet KVM's */
	uint8_t vector;
	atomic_bool kicked;
	atomic_uint idle_looks; /* how often in a row it was found where only another vCPU can wake it */
	atomic_bool inside;   /* its thread is in run() and `thread` is valid */
	pthread_t thread;
	bool owes; /* KVM has not yet heard that it was answered: its registers are of before (KVM_EXIT_IO, KVM_EXIT_MMIO) */
	uint8_t *area; /* for its extended state: k->xsave_bytes */
	struct kvm_stretch stretch;
	struct kvm_mend mend;
};

enum { KVM_SLOTS = 4, KVM_MSR_ROWS = 32 };

/* A byte of guest memory in whose place an INT3 stands. */
struct kvm_patch {
	uint8_t *host;
	uint8_t byte;
};

struct kvm_engine {
	struct engine base; /* first */
	struct engine_bus bus;
	int kvm_fd, vm_fd;
	struct engine_ram ram[ENGINE_MAX_RAM];
	unsigned ram_count;
	unsigned vcpus;
	struct cpu_topology topology;
	size_t run_size;
	uint64_t tsc_khz;
	uint64_t tsc_saved, tsc_saved_ns; /* whole.c: the latest reading of vCPU 0's */
	struct machine_clock clock;
	size_t xsave_bytes; /* of the area that holds a vCPU's extended state; 0: this KVM has no XSAVE */
	bool has_xcrs;
	bool has_msr[KVM_MSR_ROWS]; /* state.c: which of its registers this KVM has */
	struct engine *emulator; /* for what KVM cannot do (fallback.c) */
	bool no_syscall;	 /* of struct engine_config */
	bool mends_syscall;	 /* the same. Then a vCPU's `run` has its registers after each exit, and the sregs that it is given */
	bool falls_back;	 /* it is asked while the guest runs */
	bool has_triple_fault;	 /* one that is on its way is part of a vCPU's events (KVM_CAP_X86_TRIPLE_FAULT_EVENT) */
	bool tells_failures;	 /* an instruction that it cannot do leaves no #UD behind (KVM_CAP_EXIT_ON_EMULATION_FAILURE) */
	struct cpu_model cpu;
	struct cpu_feature_set features; /* what the guest's CPUID shows */
	struct kvm_vcpu vcpu[ENGINE_MAX_VCPUS];
	pthread_mutex_t route_lock;
	struct kvm_irq_routing_entry route[LAYOUT_IOAPIC_PINS];
	bool routed[LAYOUT_IOAPIC_PINS];
	struct engine_debug debug; /* debugger.c, as all up to `error` */
	struct engine_hit hit[ENGINE_MAX_VCPUS];
	struct kvm_guest_debug guest_debug; /* of all vCPUs; what each has beside it debugger.c adds */
	uint32_t debug_flags; /* KVM_GUESTDBG_* that this KVM has beside the usual ones */
	uint8_t slot[KVM_SLOTS]; /* which point stands in each debug register */
	struct kvm_patch patch[ENGINE_MAX_POINTS];
	unsigned patches;
	char error[384];
};

/* Each returns 0 or -errno and leaves a sentence in k->error when it fails. */
int kvm_fail(struct kvm_engine *k, const char *what);
int kvm_set_cpuid(struct kvm_engine *k, unsigned vcpu);
/* Takes from the leaves what the model has not, and what no guest is offered, and tells what is left. `host` and `max` keep bits that the table does not
 * know, the levels do not. -ENOTSUP: the model wants more than there is; `error` names it. */
int kvm_model_apply(const struct cpu_model *m, struct kvm_cpuid2 *leaves, struct cpu_feature_set *out,
		    char error[CPU_MODEL_ERROR_MAX]);
int kvm_state_get(struct kvm_engine *k, unsigned vcpu, struct cpu *out);
int kvm_state_set(struct kvm_engine *k, unsigned vcpu, const struct cpu *in);
/* What differs between two states of a processor of which KVM has the first one. */
int kvm_state_change(struct kvm_engine *k, unsigned vcpu, const struct cpu *before, const struct cpu *after);
/* Once, when the first vCPU is there. */
void kvm_state_init(struct kvm_engine *k);
/* One model-specific register: 0, or -EINVAL if this KVM has it not or refuses the value. */
int kvm_msr_set(int fd, uint32_t number, uint64_t value);
int kvm_msr_get(int fd, uint32_t number, uint64_t *value);

/* xstate.c: x87 to PKRU, between struct cpu and a vCPU. init() asks what this KVM has; the others: -ENOTSUP without XSAVE. */
void kvm_xstate_init(struct kvm_engine *k);
int kvm_xstate_set(struct kvm_engine *k, unsigned vcpu, const struct cpu *in);
int kvm_xstate_get(struct kvm_engine *k, unsigned vcpu, struct cpu *out);
/* Has the host's processor the components of XCR0 where the emulator's has them, so that a guest can go from one to the other? */
bool kvm_xstate_is_ours(uint64_t xcr0);
/* A vCPU's XSAVE area, into its `area`. */
int kvm_xstate_read(const struct kvm_engine *k, unsigned vcpu);
/* The same with an XSAVE area of `bytes` in the standard form. */
void kvm_xstate_out(uint8_t *area, size_t bytes, const struct cpu *in);
void kvm_xstate_in(struct cpu *out, uint8_t *area, size_t bytes);

/* whole.c: save and restore of struct engine_ops. */
int kvm_save(struct engine *e, unsigned vcpu, struct engine_state *out);
int kvm_restore(struct engine *e, unsigned vcpu, const struct engine_state *in, const char **field);

/* lint0.c. open(): in the page of a first processor that takes the 8259's interrupts without having a word in it. takes(): does this
 * processor take them? Only its own thread asks, outside KVM_RUN. */
void kvm_lint0_open(struct kvm_lapic_state *page);
bool kvm_lint0_takes(struct kvm_engine *k, unsigned vcpu);

/* exits.c. name(): NULL: none of x86, or newer than this program. answer(): true: the guest goes on with it; false: there is no answer. */
const char *kvm_exit_name(uint32_t reason);
bool kvm_exit_answer(struct kvm_run *run);

/* gave_up.c: KVM_EXIT_INTERNAL_ERROR and KVM_EXIT_SHUTDOWN. Has the guest shut down, or is it a limit of KVM? Then k->error tells
 * which. */
enum engine_stop kvm_gave_up(struct kvm_engine *k, unsigned vcpu);
/* Any other exit that nobody serves: ENGINE_ERROR, k->error names it, and the instruction. */
enum engine_stop kvm_unserved(struct kvm_engine *k, unsigned vcpu);
/* KVM_RUN itself has failed, with errno: the same. */
enum engine_stop kvm_run_failed(struct kvm_engine *k, unsigned vcpu);
enum engine_stop kvm_shut_down(struct kvm_engine *k, unsigned vcpu);

/* fallback.c: our emulator for what KVM cannot do. create(): 0 or -errno. */
int kvm_fallback_create(struct kvm_engine *k, const struct engine_config *config);
void kvm_fallback_destroy(struct kvm_engine *k);
/* After KVM_EXIT_INTERNAL_ERROR. False: nothing has happened, it is not to be had, or does not help. True: it has run what KVM could not,
 * and the guest goes on, unless *stop says otherwise (not ENGINE_KICKED). */
bool kvm_fallback(struct kvm_engine *k, unsigned vcpu, enum engine_stop *stop);

/* What KVM was about to deliver to a vCPU that stands still is delivered: nothing is on its way into it that its state would not
 * tell. -EBUSY: it has to run for that. */
int kvm_settle(struct kvm_engine *k, unsigned vcpu);

/* debugger.c: debug, debug_hit, translate of struct engine_ops. */
int kvm_debug(struct engine *e, const struct engine_debug *want, unsigned *which);
void kvm_debug_hit(struct engine *e, unsigned vcpu, struct engine_hit *out);
int kvm_translate(struct engine *e, unsigned vcpu, uint64_t linear, uint64_t *gpa);
/* It is to do one instruction, without an interrupt before it. */
bool kvm_debug_holds_interrupts(const struct kvm_engine *k, unsigned vcpu);
/* Tells KVM what a vCPU stops for, when that has changed. 0 or -errno. */
int kvm_debug_tell(struct kvm_engine *k, unsigned vcpu);
/* Guest memory at a linear address, up to the end of its page; NULL: there is none. */
uint8_t *kvm_host_of(struct kvm_engine *k, unsigned vcpu, uint64_t linear);
/* KVM_EXIT_DEBUG. True: the debugger is to hear of it; false: it was the guest's own, and has been given back to it. */
bool kvm_debug_exit(struct kvm_engine *k, unsigned vcpu);

/* syscall.c; all do nothing but with `mends_syscall`. init(): a vCPU that has just been made. watch(): before each KVM_RUN. */
int kvm_mend_init(struct kvm_engine *k, unsigned vcpu);
int kvm_mend_watch(struct kvm_engine *k, unsigned vcpu);
/* KVM_EXIT_DEBUG. True: it was the watch's, and the guest goes on. */
bool kvm_mend_exit(struct kvm_engine *k, unsigned vcpu);
/* A vCPU that stands still is not in the middle of a SYSCALL afterwards. */
int kvm_mend_settle(struct kvm_engine *k, unsigned vcpu);

/* What the guest has been told by devices reaches its registers, without an instruction more. As kvm_step(), but true: that is done. */
bool kvm_complete(struct kvm_engine *k, unsigned vcpu, enum engine_stop *stop);
/* One KVM_RUN and what it asked for: true if the guest goes on, false with *stop set. */
bool kvm_step(struct kvm_engine *k, unsigned vcpu, enum engine_stop *stop);

#endif
