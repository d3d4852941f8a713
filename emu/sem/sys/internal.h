/* SPDX-License-Identifier: MIT */
/*
 * What the files of sem/sys/ share among themselves: descriptors, stacks, events, far transfers.
 * Nothing outside this folder includes it but its unit tests.
 */
#ifndef BULKHEAD_EMU_SYS_INTERNAL_H
#define BULKHEAD_EMU_SYS_INTERNAL_H

#include "emu/apic/apic.h"
#include "emu/core/gpr.h"
#include "emu/core/machine.h"
#include "emu/isa/isa.h"
#include "emu/mmu/mmu.h"
#include "emu/model/features.h"
#include "rng.h"
#include "sys.h"

struct sys {
	/* DR6 bits earned by the running instruction (data and I/O breakpoints), or held back by a MOV SS. */
	uint64_t pending_dr6;
	/* A task switch to a TSS with its T bit set: #DB before the first instruction of the new task. */
	bool task_trap;
	/* A task switch is past its point of no return: later faults belong to the new task. */
	bool task_committed;
	/* What pending_dr6 was when the running instruction began: a fault takes back what the instruction earned. */
	uint64_t held_dr6;
	/* Control went to a handler with TF clear: the single-step trap of the instruction that did it is not taken. */
	bool no_single_step;
	struct rng rng;
};

/* ---- operands (reg.c) ---- */

/* The rm operand, register or memory. */
int sys_read_rm(struct emu *e, const struct insn *i, unsigned size, uint64_t *value);
int sys_write_rm(struct emu *e, const struct insn *i, unsigned size, uint64_t value);
/* A far pointer in memory: offset of i->size bytes, then the selector. */
int sys_read_far_pointer(struct emu *e, const struct insn *i, uint16_t *selector, uint64_t *offset);

/*
 * Registers that hold addresses (bases, MSRs) and invalidations go by the width that the processor has, whether
 * CR4.LA57 is set or not: all 57 bits may be loaded before 5-level paging is switched on (SDM vol. 3, 4.5.2, "5-level paging and
 * canonicality").
 */
static inline bool sys_canonical_register(const struct emu *e, uint64_t va)
{
	return cpu_is_canonical(va, emu_has_feature(e, FEAT_LA57) ? 57 : 48);
}

static inline bool sys_protected(const struct emu *e)
{
	return e->cpu.cr0 & CR0_PE;
}

static inline bool sys_v86(const struct emu *e)
{
	return e->cpu.rflags & RFLAGS_VM;
}

/* Real and virtual-8086 mode load segments by shifting the selector. */
static inline bool sys_real_or_v86(const struct emu *e)
{
	return !sys_protected(e) || sys_v86(e);
}

static inline unsigned sys_iopl(const struct emu *e)
{
	return (unsigned)(e->cpu.rflags & RFLAGS_IOPL) >> 12;
}

/* VIF and VIP exist with VME (SDM vol. 1, 3.4.3.3). */
static inline uint64_t sys_virtual_flags(const struct emu *e)
{
	return emu_has_cpu_feature(e, CPUF_VME) ? RFLAGS_VIF | RFLAGS_VIP : 0;
}

/* ---- descriptors (desc.c) ---- */

struct desc {
	uint64_t raw;	 /* the first eight bytes */
	uint64_t raw_hi; /* the second eight of a long mode system descriptor, else 0 */
	uint64_t linear; /* where it was read */
};

/* Types of system descriptors (SDM vol. 3, table 3-2). */
enum {
	DESC_TSS16 = 1, DESC_LDT = 2, DESC_TSS16_BUSY = 3, DESC_CALL16 = 4, DESC_TASK_GATE = 5, DESC_INT16 = 6,
	DESC_TRAP16 = 7, DESC_TSS32 = 9, DESC_TSS32_BUSY = 11, DESC_CALL32 = 12, DESC_INT32 = 14, DESC_TRAP32 = 15,
};

static inline uint32_t desc_attr(const struct desc *d)
{
	return (uint32_t)(d->raw >> 40) & 0xf0ff;
}

static inline unsigned desc_type(const struct desc *d)
{
	return (unsigned)(d->raw >> 40) & 0xf;
}

static inline unsigned desc_dpl(const struct desc *d)
{
	return (unsigned)(d->raw >> 45) & 3;
}

static inline bool desc_has(const struct desc *d, uint32_t attr)
{
	return desc_attr(d) & attr;
}

static inline bool desc_is_code(const struct desc *d)
{
	return (desc_attr(d) & (SEG_ATTR_S | SEG_ATTR_CODE)) == (SEG_ATTR_S | SEG_ATTR_CODE);
}

static inline bool desc_is_writable_data(const struct desc *d)
{
	return (desc_attr(d) & (SEG_ATTR_S | SEG_ATTR_CODE | SEG_ATTR_RW)) == (SEG_ATTR_S | SEG_ATTR_RW);
}

static inline bool selector_is_null(uint16_t selector)
{
	return (selector & ~3) == 0;
}

/* Reads a descriptor of the GDT or LDT. EMU_STOP: outside the table's limit (`vector` with the selector as error
 * code), or the table itself faulted. */
int desc_read(struct emu *e, uint16_t selector, enum vector vector, struct desc *d);
/* The upper half of a 16-byte descriptor; `d` holds the lower one. */
int desc_read_high(struct emu *e, uint16_t selector, enum vector vector, struct desc *d);
/* Sets the accessed bit in memory (locked) and in `d`, unless it is set already. */
int desc_set_accessed(struct emu *e, struct desc *d);
/* The hidden part of a segment register as this descriptor makes it. */
struct segment desc_segment(const struct desc *d, uint16_t selector);
struct segment desc_system_segment(const struct desc *d, uint16_t selector);
struct segment segment_null(uint16_t selector, unsigned dpl);
struct segment segment_real(const struct emu *e, const struct segment *old, uint16_t selector);
/* Flat segments that SYSCALL, SYSENTER and their returns force. */
struct segment segment_flat_code(uint16_t selector, unsigned dpl, bool is_64bit);
struct segment segment_flat_data(uint16_t selector, unsigned dpl);
bool segment_in_limit(const struct segment *s, uint64_t offset, unsigned size);

/* ---- stacks that are not loaded yet, frames (stack.c) ---- */

struct stack {
	struct segment ss;
	uint64_t sp;
	uint64_t mask;	/* wraps at 64 KiB, 4 GiB, or not */
	uint8_t cpl;	/* privilege of the accesses */
	uint16_t error; /* error code of #SS: the selector of a new stack, 0 for the current one */
	bool flat;	/* no base, no limit: 64-bit stacks */
};

void stack_current(const struct emu *e, struct stack *s);
/* Pushes values[0], values[1], ...; all or nothing within a contiguous stack. */
int stack_push(struct emu *e, struct stack *s, const uint64_t *values, unsigned count, unsigned size);
int stack_pop(struct emu *e, struct stack *s, uint64_t *values, unsigned count, unsigned size);
/* Puts the stack pointer back into RSP; does not touch SS. */
void stack_commit_sp(struct emu *e, const struct stack *s);

/* ---- segments (seg.c) ---- */

/* Loads a data segment or SS with all checks of MOV/POP Sreg (SDM vol. 2, MOV). Not for CS. */
int sys_load_segment(struct emu *e, unsigned seg, uint16_t selector);
/* SS for a privilege level that is not the current one. `vector` is #TS for inner stacks, #GP for returns. */
int seg_check_ss(struct emu *e, uint16_t selector, unsigned cpl, enum vector vector, struct desc *d);
/* Makes data segment registers unusable that a lower privilege must not inherit (IRET, RET far to outer levels); their
 * bases stay. */
void seg_revoke_data(struct emu *e, unsigned cpl);
/* After a segment register was written: keeps what is derived in step. */
void seg_loaded(struct emu *e, unsigned seg);

/* ---- code segments and far transfers (far.c) ---- */

/* Offset within a code segment: limit, or canonical form. #GP(0). */
int code_check_offset(struct emu *e, const struct desc *d, uint64_t offset);
/* Is it a code segment that JMP or CALL may reach directly from here? #GP(selector), #NP(selector). */
int code_check_direct(struct emu *e, uint16_t selector, const struct desc *d);
void code_commit(struct emu *e, uint16_t selector, const struct desc *d, unsigned cpl);

/* ---- events (exc.c) ---- */

enum event_kind {
	EVENT_INTERRUPT, /* external interrupt or NMI */
	EVENT_EXCEPTION, /* faults, and INT1 */
	EVENT_SOFTWARE,	 /* INT n, INT3, INTO: gate DPL is checked, EXT is clear */
};

struct event {
	enum event_kind kind;
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint64_t flags;	     /* the RFLAGS image to push */
	uint64_t return_rip;
};

/* Transfers control to the handler. EMU_STOP: a fault was recorded and, unless sys->task_committed is set, nothing
 * but memory below the stack pointer changed. On success cpu.rip is the handler. */
int exc_enter(struct emu *e, const struct event *ev);
/* Interrupt through the real mode vector table; also virtual-8086 mode with VME redirection. */
int exc_enter_real(struct emu *e, const struct event *ev);
/* The second exception while delivering the first (SDM vol. 3, table 6-5). */
bool exc_makes_double_fault(uint8_t first, uint8_t second);

/* ---- tasks (task.c) ---- */

enum task_reason { TASK_JMP, TASK_CALL, TASK_IRET, TASK_INT };

/* `flags` and `next_rip` are what the old task's TSS is to hold. */
int task_switch(struct emu *e, uint16_t selector, struct desc *tss, enum task_reason reason, uint64_t flags,
		uint64_t next_rip);
/* Ends an instruction that may have switched tasks: delivers a fault of the new task there. */
int task_end(struct emu *e, int result);
int tss_read_stack(struct emu *e, unsigned cpl, uint16_t *ss, uint64_t *sp);
int tss_read_rsp(struct emu *e, unsigned slot_offset, uint64_t *rsp);
/* VME interrupt redirection bit map: true when INT n goes to the virtual-8086 program's own handler. */
int tss_vme_redirects(struct emu *e, uint8_t vector, bool *redirect);

/* IF went from 0 to 1: the run loop is called if an interrupt waits (flags.c). */
void sys_interrupts_enabled(struct emu *e);

/* ---- debug (debug.c) ---- */

void debug_on_delivery(struct emu *e, uint64_t dr6);
bool debug_is_general_detect(uint64_t dr6);
/* DR6 bits that were earned and not yet reported; they are gone afterwards. */
uint64_t debug_take_pending(struct emu *e);
void debug_io(struct emu *e, uint16_t port, unsigned size);

/* ---- control registers, MSRs, CPUID ---- */

int cr0_write(struct emu *e, uint64_t value);
int cr3_write(struct emu *e, uint64_t value);
int cr4_write(struct emu *e, uint64_t value);
uint64_t cr4_supported(const struct emu *e);
/* 0, or -EINVAL: the access raises #GP(0). */
int msr_read(struct emu *e, uint32_t msr, uint64_t *value);
int msr_write(struct emu *e, uint32_t msr, uint64_t value);

struct cpuid_regs {
	uint32_t r[4]; /* EAX, EBX, ECX, EDX */
};
struct cpuid_regs cpuid_read(const struct emu *e, uint32_t leaf, uint32_t subleaf);

/* Bits of XCR0 that the processor model has. */
static inline uint64_t sys_xcr0_supported(const struct emu *e)
{
	return e->machine->xcr0_supported;
}

#endif
