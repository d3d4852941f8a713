/* SPDX-License-Identifier: MIT */
/*
 * The emulator's inside: one struct emu per virtual processor, and the small interfaces between its rooms.
 *
 *   isa/     the instruction table            decode/  bytes -> struct insn
 *   sem/     what an instruction does         mmu/     linear -> physical -> host
 *   block/   running blocks of struct insn    apic/    local APIC and its timer
 *   run/     the run loop, single steps
 *
 * The rule of faults: a function that touches guest memory or checks architecture returns int; 0 means it happened,
 * EMU_STOP means it did not and the reason is recorded in e->fault (or e->stop). The caller returns at once and
 * must not have changed architectural state before the last operation that can fail.
 */
#ifndef BULKHEAD_EMU_EMU_H
#define BULKHEAD_EMU_EMU_H

#include "cpu.h"
#include "engine.h"
#include "insn.h"

#include <stdatomic.h>

enum { EMU_STOP = 1 };

enum vector {
	VEC_DE = 0, VEC_DB = 1, VEC_NMI = 2, VEC_BP = 3, VEC_OF = 4, VEC_BR = 5, VEC_UD = 6, VEC_NM = 7, VEC_DF = 8,
	VEC_TS = 10, VEC_NP = 11, VEC_SS = 12, VEC_GP = 13, VEC_PF = 14, VEC_MF = 16, VEC_AC = 17, VEC_MC = 18,
	VEC_XM = 19,
};

/* A recorded, not yet delivered exception. */
struct fault {
	bool pending;
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint64_t cr2;	/* VEC_PF */
	uint64_t dr6;	/* VEC_DB: bits to be ORed into DR6 */
};

struct tlb;	    /* mmu/ */
struct code_cache;  /* block/ */
struct block;	    /* block/ */
struct lapic;	    /* apic/ */
struct machine;	    /* what the vCPUs of one machine share: bus, RAM, APICs; emu_machine.h */

/*
 * The arithmetic flags while guest code runs, apart from cpu.rflags: on x86 hosts the cheapest thing to store after an
 * operation is what LAHF and SETO leave in AX. The layout belongs to core/flags.h; others use emu_flags_get() and
 * emu_flags_set().
 */
struct lazy_flags {
	uint16_t image;
};

struct emu {
	struct cpu cpu; /* first: handlers address registers with small displacements */
	struct lazy_flags lf;
	uint64_t seg_base[SEG_COUNT + 1]; /* base that address arithmetic really adds: in 64-bit mode zero but for FS, GS */
	int32_t budget;		/* instructions until the run loop looks at events; it does when this is < 0 */
	atomic_uint kicked;	/* written by any thread: something wants this vCPU's attention */
	struct fault fault;
	bool stop;		/* leave the block loop at this instruction boundary (mode change, HLT, kick...) */
	struct tlb *tlb;	/* of the current address space and privilege (mmu/) */
	uint64_t tlb_mask;	/* tag bits that must agree for a hit (mmu/tlb.h) */
	struct block *block;	/* running block, for exact retirement counts and self-modifying code */
	uint32_t mode_key;	/* what a decoded block depends on besides its bytes and address */
	struct code_cache *code;
	struct lapic *lapic;
	struct machine *machine;
	uint8_t simd;		/* vector units that guest code may use in this block (block/fast_simd.h) */
	uint8_t simd_live;	/* those of them whose flags are collected in the host's MXCSR just now */
	uint8_t x87_host;	/* exception flags that the host's x87 may have set (block/fast_x87.c) */
	uint32_t host_mxcsr;	/* the host's own, while simd_live */
	uint64_t retired;	/* guest instructions retired = retired - budget; emu_retired() */
	/* Derived from the architectural state by emu_mode_changed(). */
	uint8_t cpl;
	uint8_t code_size;	/* 2, 4 or 8 bytes: 16-bit, 32-bit or 64-bit code */
	uint8_t stack_size;	/* 2, 4 or 8 */
	bool long_mode;		/* EFER.LMA */
	bool paging;
	bool flat;		/* all bases 0 and all limits 4 GiB (or 64-bit mode): no segment checks are needed */
	/* Rooms keep their private state behind their own pointers; nothing is added here lightly. */
	struct interp *interp;
	struct mmu *mmu;
	struct sys *sys;
};

/* ---- run/ ---------------------------------------------------------------------------------------------------- */

/* Recomputes everything derived after a change of CS, SS, CPL, CR0, CR4, EFER, RFLAGS.VM, and picks the block key. */
void emu_mode_changed(struct emu *e);

/* RFLAGS with the lazy arithmetic flags folded in. */
uint64_t emu_flags_get(struct emu *e);
/* Replaces RFLAGS bits in `mask` by those of `value`; arithmetic ones too. Does not check privileges. */
void emu_flags_set(struct emu *e, uint64_t mask, uint64_t value);

/* Sets the instruction pointer for the next instruction and ends the block. Call it last, then return EMU_STOP. */
int emu_jump(struct emu *e, uint64_t rip);

/* The address of the instruction that is running, and of the one after it, as seen in RIP (not linear). */
uint64_t emu_rip(const struct emu *e, const struct insn *i);
static inline uint64_t emu_next_rip(const struct emu *e, const struct insn *i)
{
	return emu_rip(e, i) + i->len;
}

/* Ends the block after this instruction, so that events are looked at (STI, MOV CR, port writes): returns EMU_STOP
 * after setting RIP to the next instruction. */
int emu_end_block(struct emu *e, const struct insn *i);

/* Makes the run loop look at interrupts at the next poll point. Own thread only. */
static inline void emu_attention(struct emu *e)
{
	e->retired -= (uint64_t)((int64_t)e->budget + 1);
	e->budget = -1;
}

/* Guest instructions retired by this vCPU; exact at block boundaries. */
static inline uint64_t emu_retired(const struct emu *e)
{
	return e->retired - (uint64_t)(int64_t)e->budget;
}

/* Any thread: wakes the vCPU from HLT and makes it poll. */
void emu_wake(struct emu *e);

/* ---- faults ---------------------------------------------------------------------------------------------------- */

int emu_fault(struct emu *e, enum vector vector);			  /* without error code */
int emu_fault_code(struct emu *e, enum vector vector, uint32_t error); /* #DF #TS #NP #SS #GP #AC */
static inline int emu_gp0(struct emu *e)
{
	return emu_fault_code(e, VEC_GP, 0);
}
static inline int emu_ud(struct emu *e)
{
	return emu_fault(e, VEC_UD);
}

/* ---- mmu/ ------------------------------------------------------------------------------------------------------ */

/* Linear address of the memory operand (+ `plus` bytes), with segment checks for an access of `size` bytes.
 * 0 or EMU_STOP (#GP, #SS). In 64-bit mode canonicality is checked by the access itself. */
int emu_linear(struct emu *e, const struct insn *i, unsigned size, bool write, uint64_t *linear);
/* The same for an explicit segment and offset (string instructions, stacks). */
int emu_seg_linear(struct emu *e, unsigned seg, uint64_t offset, unsigned size, bool write, uint64_t *linear);
/* Effective address without segment base, truncated to the address size (LEA). */
uint64_t emu_ea(const struct emu *e, const struct insn *i);

/* Accesses to linear addresses at the current privilege. A store that faults has written nothing, also across
 * pages. MMIO is forwarded to the bus with the access's own width. `seg` says #SS or #GP for non-canonical ones. */
int emu_read(struct emu *e, unsigned seg, uint64_t linear, void *data, unsigned size);
int emu_write(struct emu *e, unsigned seg, uint64_t linear, const void *data, unsigned size);
/* Checks that a write of [linear, linear+size) would succeed (sets A and D as that write would). */
int emu_probe_write(struct emu *e, unsigned seg, uint64_t linear, unsigned size);

/* #AC happens at CPL 3 with CR0.AM and EFLAGS.AC (SDM vol. 3, 6.15 "Alignment Check Exception"). The accesses above check
 * operands of 2, 4, 8 bytes and those of the x87 for it; whoever reads several at once asks for each one's alignment. */
static inline bool emu_checks_alignment(const struct emu *e)
{
	return e->cpl == 3 && (e->cpu.cr0 & CR0_AM) && (e->cpu.rflags & RFLAGS_AC);
}
int emu_check_alignment(struct emu *e, uint64_t linear, unsigned alignment);

/* Convenience for handlers: the memory operand of `i`. */
int emu_load(struct emu *e, const struct insn *i, void *data, unsigned size);
int emu_store(struct emu *e, const struct insn *i, const void *data, unsigned size);

/* Implicit supervisor accesses (descriptor tables, TSS, IDT, inner stacks): CPL 0 whatever the current one, SMAP's
 * AC override does not apply (SDM vol. 3, 4.6). */
int emu_sys_read(struct emu *e, uint64_t linear, void *data, unsigned size);
int emu_sys_write(struct emu *e, uint64_t linear, const void *data, unsigned size);
/* Atomic compare-and-swap of an 8-byte aligned or unaligned dword in a descriptor (accessed and busy bits). */
int emu_sys_set_bits32(struct emu *e, uint64_t linear, uint32_t bits, uint32_t clear);

/* The only ways to change translations (design.md, 2.10 "Flush API"). */
void mmu_flush_all(struct emu *e);			  /* CR0, CR4, EFER, INVPCID all */
void mmu_flush_nonglobal(struct emu *e);		  /* MOV CR3 without PCID */
void mmu_flush_pcid(struct emu *e, unsigned pcid);	  /* INVPCID single context, MOV CR3 */
void mmu_switch_pcid(struct emu *e);			  /* MOV CR3 with bit 63 */
void mmu_flush_page(struct emu *e, uint64_t linear);	  /* INVLPG */
void mmu_flush_page_pcid(struct emu *e, uint64_t linear, unsigned pcid);
/* PAE: loads cpu.pdpte from CR3, checking reserved bits. 0 or EMU_STOP (#GP). */
int mmu_load_pdptes(struct emu *e, uint64_t cr3);
/* Guest RAM was changed by somebody else (DMA, a loader): decoded code made from it is dropped. The vCPU's own thread,
 * or while it is not inside run(). */
void emu_invalidate_phys(struct emu *e, uint64_t gpa, uint64_t size);
#define EMU_MAXPHYADDR 39 /* CPUID 80000008h */

/* ---- sem/sys/ ------------------------------------------------------------------------------------------------------ */

int sys_init(struct emu *e);
void sys_fini(struct emu *e);
/* Delivers e->fault (and #DF, triple fault after it): afterwards RIP is at the handler, or activity is
 * CPU_SHUTDOWN. e->cpu.rip must be the address that the exception pushes. */
void exc_deliver_fault(struct emu *e);
/* Delivers an external interrupt or NMI at an instruction boundary. */
void exc_deliver_interrupt(struct emu *e, uint8_t vector);
void exc_deliver_nmi(struct emu *e);
/* May this vCPU touch [port, port+size) at its CPL/IOPL (TSS I/O bitmap)? 0 or EMU_STOP (#GP). */
int sys_check_port(struct emu *e, uint16_t port, unsigned size);
/* INIT (SDM vol. 3, table 9-1): afterwards a processor other than 0 waits for SIPI. Resets the local APIC too. */
void sys_init_signal(struct emu *e);
/* Start-up IPI; does nothing unless the processor waits for one. */
void sys_sipi(struct emu *e, uint8_t vector);
/* Loads a data segment or SS with all checks of MOV/POP Sreg (SDM vol. 2, MOV). Not for CS. */
int sys_load_segment(struct emu *e, unsigned seg, uint16_t selector);
/* Code and data breakpoints, single-step: called by the single-step tier around each instruction when
 * RFLAGS.TF or DR7 asks for it. sys_debug_active() tells that the block tier must not be used. */
bool sys_debug_active(const struct emu *e);
/* Instruction breakpoints; EMU_STOP = #DB recorded. `resumed`: a repeated instruction goes on with its next iteration,
 * whose breakpoint has been looked at already. */
int sys_debug_before(struct emu *e, bool resumed);
/* Traps: `branched` says that the instruction was a branch and taken, which DEBUGCTL.BTF asks about. */
int sys_debug_after(struct emu *e, bool tf_was_set, bool branched);
/* The instruction faulted: breakpoints that it met before are not reported (SDM vol. 3, 17.2.4). */
void sys_debug_fault(struct emu *e);
/* A trap that MOV SS held back is due before the next instruction, and before any interrupt. */
bool sys_debug_trap_due(const struct emu *e);
/* The running instruction has met a breakpoint: repeated ones stop after this iteration. */
bool sys_debug_trap_pending(const struct emu *e);
/* Data breakpoint check, called for each access of the single-step tier while DR7 arms one. */
void sys_debug_data(struct emu *e, uint64_t linear, unsigned size, bool write);

/* Guest TSC now: the host's clock at the frequency that CPUID 15h/16h reports, plus tsc_offset. */
uint64_t sys_tsc(const struct emu *e);
uint64_t sys_tsc_hz(void);
/* Converts a guest TSC value to CLOCK_MONOTONIC nanoseconds. */
uint64_t sys_tsc_to_ns(const struct emu *e, uint64_t tsc);

/* Derives from m->config.cpu what the machine's processors have; before any is created. 0, -ENOTSUP. */
int sys_model_init(struct machine *m);
/* Is a feature of the instruction table (isa.h, enum isa_feature) present in this guest's CPUID? Cheap. */
bool sys_has_feature(const struct emu *e, unsigned feature);
/* The same by enum cpu_feature: also what gates no instruction. */
bool sys_has_cpu_feature(const struct emu *e, enum cpu_feature feature);

/* ---- sem/fp/ ------------------------------------------------------------------------------------------------------ */
void fpu_reset(struct cpu *c);			      /* FNINIT + MXCSR default, part of cpu_reset */
/* XSAVE geometry for CPUID leaf 0Dh: bytes needed for the components in `xcr0`. */
uint32_t xsave_size(uint64_t xcr0, bool compacted);
/* One extended component (from 2 on): its size, 0 if there is none; place in the standard form; alignment. */
uint32_t xsave_component(unsigned k, uint32_t *offset, bool *align64);
#define EMU_XCR0_SUPPORTED 0x2e7ull /* x87, SSE, AVX, opmask, ZMM_Hi256, Hi16_ZMM, PKRU: what the emulator has at most. Of
 * these, what the processor model has: sys_xcr0_supported() */

/* ---- apic/ ----------------------------------------------------------------------------------------------------- */
struct lapic *lapic_create(struct machine *m, struct emu *e, unsigned id);
void lapic_destroy(struct lapic *a);
/* What INIT does to the APIC: reset, but its base and mode stay. Called by sys_init_signal(). */
void lapic_init_signal(struct lapic *a);
/* The memory-mapped page at cpu.msr.apic_base; offset 0..0xfff. Own thread. */
uint32_t lapic_mmio_read(struct lapic *a, uint32_t offset);
void lapic_mmio_write(struct lapic *a, uint32_t offset, uint32_t value);
/* x2APIC MSRs 800h..8ffh and IA32_APIC_BASE, IA32_TSC_DEADLINE. 0 or -EINVAL (#GP). */
int lapic_msr_read(struct lapic *a, uint32_t msr, uint64_t *value);
int lapic_msr_write(struct lapic *a, uint32_t msr, uint64_t value);
uint8_t lapic_cr8_read(struct lapic *a);
void lapic_cr8_write(struct lapic *a, uint8_t tpr);
/* Highest-priority vector that may be delivered now, or -1. lapic_ack() moves it from IRR to ISR. */
int lapic_pending(struct lapic *a);
void lapic_ack(struct lapic *a, uint8_t vector);
bool lapic_accepts_extint(struct lapic *a); /* LVT0 unmasked ExtINT, or APIC disabled: virtual wire */
bool lapic_take_nmi(struct lapic *a);
bool lapic_take_init(struct lapic *a);
int lapic_take_sipi(struct lapic *a);	    /* vector or -1 */
/* Fires what is due; returns the next deadline in CLOCK_MONOTONIC ns, UINT64_MAX if none. Own thread. */
uint64_t lapic_advance(struct lapic *a, uint64_t now_ns);
/* A message to all APICs of the machine. Any thread. -EINVAL for an invalid one. */
int lapic_deliver_msi(struct machine *m, uint64_t addr, uint32_t data);

/* What the vCPUs of one machine share. */
struct machine {
	struct engine_bus bus;
	struct engine_ram ram[ENGINE_MAX_RAM];
	unsigned ram_count;
	unsigned vcpus;
	struct emu *emu[ENGINE_MAX_VCPUS];
	struct engine_config config; /* .cpu is read by sys_model_init() only */
	struct cpu_feature_set features; /* what CPUID shows */
	uint64_t isa_features[2];	 /* the same by enum isa_feature */
	uint64_t xcr0_supported, cr4_supported;
	char error[256];
};

#endif
