/* SPDX-License-Identifier: MIT */
/*
 * A running processor: struct emu, and what every room of the emulator does with it: faults, flags, RIP, the end of a
 * block, waking.
 *
 * The rule of faults: a function that touches guest memory or checks architecture returns int; 0 means it happened,
 * EMU_STOP means it did not and the reason is recorded in e->fault (or e->stop). The caller returns at once and
 * must not have changed architectural state before the last operation that can fail.
 */
#ifndef BULKHEAD_EMU_EMU_H
#define BULKHEAD_EMU_EMU_H

#include "cpu.h"
#include "host.h"
#include "insn.h"

#include <stdatomic.h>
#include <stddef.h>

enum { EMU_STOP = 1 };

#define EMU_MAXPHYADDR 39 /* CPUID 80000008h */

enum vector {
	VEC_DE = 0, VEC_DB = 1, VEC_NMI = 2, VEC_BP = 3, VEC_OF = 4, VEC_BR = 5, VEC_UD = 6, VEC_NM = 7, VEC_DF = 8,
	VEC_TS = 10, VEC_NP = 11, VEC_SS = 12, VEC_GP = 13, VEC_PF = 14, VEC_MF = 16, VEC_AC = 17, VEC_MC = 18,
	VEC_XM = 19,
	VEC_FOREIGN = 0xff, /* none: the instruction is not for us (run/stretch.h), and has not happened */
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

struct tlb;	    /* tlb.h */
struct machine;	    /* machine.h */
struct block;	    /* block/ */
struct code_cache;  /* block/ */
struct lapic;	    /* apic/ */
struct mmu;	    /* mmu/ */
struct sys;	    /* sem/sys/ */
struct jit;	    /* jit/ */
struct counters;    /* proto/counters.h */
struct engine_insn; /* trace.h */

/*
 * What a lower room tells an upper one. run/ knows all rooms and sets them when it makes a processor.
 */
struct emu_hooks {
	/* mmu/ to block/: the 64-byte pieces `granules` of a RAM page change. Returns the pieces that still hold decoded code. */
	uint64_t (*code_written)(struct emu *e, uint64_t page, uint64_t granules);
	/* mmu/ to run/: an explicit access, while DR7 or a debugger wants to know of it (machine.h, emu_is_watched()). */
	void (*data_accessed)(struct emu *e, uint64_t linear, unsigned size, bool write);
	/* mmu/ to jit/: translations or write permissions are not what they were: of global pages, too, or of the others alone; those
	 * of one page, which is no piece of a large one. */
	void (*translations_dropped)(struct emu *e, bool global);
	void (*page_dropped)(struct emu *e, uint64_t linear);
	/* block/ to jit/: a block has been entered often (it has its own first handler back); is not to be entered any more; the
	 * older half of them is about to be forgotten, with the memory for generated code; it has been. */
	void (*block_hot)(struct emu *e, struct block *b);
	void (*block_killed)(struct emu *e, struct block *b);
	void (*code_turns)(struct emu *e);
	void (*code_turned)(struct emu *e);
	/* And what else was kept of them can be given back to the host. */
	void (*code_given_back)(struct emu *e);
	/* jit/ to run/: one instruction in the single-step tier. */
	void (*step)(struct emu *e);
};

/*
 * Handlers look at the first cache line for each instruction, and at the general registers behind it: one register file
 * `slot`, in which ADDR_NONE and ADDR_PC stand before register 0. The architectural state is `cpu` alone.
 */
enum { SLOT_GPR = 8, SLOTS = SLOT_GPR + GPR_COUNT };

struct emu {
	union {
		uint64_t slot[SLOTS];
		struct {
			struct tlb *tlb;     /* of the current address space and privilege (mmu/) */
			uint64_t tlb_mask;   /* tag bits that must agree for a hit (tlb.h) */
			struct block *block; /* running block, for exact retirement counts and self-modifying code */
			struct code_cache *code;
			int32_t budget;	    /* instructions until the run loop looks at events; it does when this is < 0 */
			uint16_t flags_image; /* the arithmetic flags while guest code runs, apart from cpu.rflags: flags.h */
			bool stop;	    /* leave the block loop at this instruction boundary (its block was dropped) */
			uint8_t mxcsr_live; /* units whose flags are collected in the host's MXCSR just now (block/fast_simd.h) */
			uint8_t x87_host;   /* exception flags that the host's x87 may have set (block/fast_x87.c) */
			/* Derived from the architectural state by emu_derive_mode(). */
			uint8_t cpl;
			uint8_t code_size;  /* 2, 4 or 8 bytes: 16-bit, 32-bit or 64-bit code */
			uint8_t stack_size; /* 2, 4 or 8 */
			uint8_t units;	    /* enum emu_unit: what instructions may use without #UD and #NM */
			bool long_mode;	    /* EFER.LMA */
			bool paging;
			bool in_rep;	    /* a repeated instruction was left between two iterations */
			uint64_t none;	    /* slot of ADDR_NONE: always zero */
			uint64_t pc;	    /* slot of ADDR_PC: RIP of the first byte of the running block */
			struct cpu cpu;
		};
	};
	uint64_t seg_base[SEG_COUNT + 1]; /* base that address arithmetic really adds: in 64-bit mode zero but for FS, GS */
	struct fault fault;
	uint32_t mode_key;	/* what a decoded block depends on besides its bytes and address */
	uint32_t host_mxcsr;	/* the host's own, while mxcsr_live */
	uint32_t passes;	/* of the run loop: some are timed (run/) */
	uint64_t retired;	/* guest instructions retired = retired - budget; emu_retired() */
	struct lapic *lapic;
	struct machine *machine;
	atomic_uint kicked;	/* enum emu_kick, written by any thread: something wants this vCPU's attention */
	atomic_uint_fast64_t retired_told; /* emu_retired() for other threads: as it was at the last look at events */
	atomic_uint wakes;	/* counts wake-ups: HLT sleeps while it stays the same */
	struct counters *counters; /* this vCPU's; never NULL */
	uint64_t counted_before; /* instructions of earlier vcpu processes */
	atomic_bool sleeps;	/* it does, or is about to: who wakes it has to call the kernel */
	uint32_t pauses;	/* in a row (emu_pause()), the last of them when so many instructions had retired */
	uint64_t paused_at;
	bool attention;		/* budget < 0 means that events are to be looked at, not only that it is spent */
	atomic_bool idle;	/* nothing but another processor can make it run again (run/) */
	uint64_t rest_since_ns, rest_retired; /* since when, and since which instruction, it has done little (run/) */
	struct engine_insn *traced; /* the instruction that is being recorded; NULL: none ever is */
	uint64_t next_sample, last_sample; /* in retired instructions (run/trace.c) */
	bool tracing; /* its accesses are wanted */
	uint64_t next_event_ns;	/* when lapic_advance() wants to be called (run/) */
	const struct emu_hooks *hooks;
	/* Rooms keep their private state behind their own pointers; nothing is added here lightly. */
	struct mmu *mmu;
	struct sys *sys;
	struct jit *jit; /* NULL: nothing is translated */
};

_Static_assert(offsetof(struct emu, cpu.gpr) == SLOT_GPR * sizeof(uint64_t), "the register file is one array");
_Static_assert(offsetof(struct emu, none) == (SLOT_GPR + ADDR_NONE) * sizeof(uint64_t), "the register file is one array");
_Static_assert(offsetof(struct emu, pc) == (SLOT_GPR + ADDR_PC) * sizeof(uint64_t), "the register file is one array");

/* The part of an address that `base` or `index` of an instruction names. */
static inline __attribute__((always_inline)) uint64_t emu_address_register(const struct emu *e, ptrdiff_t r)
{
	return e->slot[SLOT_GPR + r];
}

enum emu_unit { UNIT_SSE = 1, UNIT_AVX = 2, UNIT_X87 = 4, UNIT_AVX512 = 8 };

/* ---- mode (mode.c) --------------------------------------------------------------------------------------------- */

/*
 * e->mode_key: code size, stack size, whether CS is flat (no base, no limit below 4 GiB, or 64-bit code), and for 32-bit
 * code with a 32-bit stack whether DS, ES and SS are flat and writable, too: then no access to them needs a check.
 */
enum { MODE_KEY_CODE_MASK = 15, MODE_KEY_STACK_SHIFT = 4, MODE_KEY_FLAT = 1 << 8, MODE_KEY_DATA32 = 1 << 9 };

/* Bytes of an address and of what is pushed in code that needs no look at segments but FS and GS: 8, 4, or 0 for other code. */
static inline unsigned mode_word(uint32_t key)
{
	return (key & MODE_KEY_CODE_MASK) == 8 ? 8 : key & MODE_KEY_DATA32 ? 4 : 0;
}

/* Recomputes what is derived from CS, SS, CPL, CR0, CR4, XCR0, EFER, RFLAGS.VM. Whoever changes these calls
 * mmu_mode_changed(), which does this, too. */
void emu_derive_mode(struct emu *e);
/* Recomputes e->tlb_mask from CPL, AC, CR0, CR4, DR7, and what a debugger watches. */
void emu_derive_tlb_mask(struct emu *e);

/* RFLAGS with the arithmetic flags folded in. */
uint64_t emu_flags_get(struct emu *e);
/* Replaces RFLAGS bits in `mask` by those of `value`; arithmetic ones too. Does not check privileges. */
void emu_flags_set(struct emu *e, uint64_t mask, uint64_t value);

/* ---- RIP and the end of a block (emu.c) -------------------------------------------------------------------------- */

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
	e->attention = true;
}

/* Guest instructions retired by this vCPU; exact at block boundaries. Own thread only. */
static inline uint64_t emu_retired(const struct emu *e)
{
	return e->retired - (uint64_t)(int64_t)e->budget;
}

/* ---- faults (emu.c) ------------------------------------------------------------------------------------------------ */

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

/* A linear address has the form that the paging mode wants: bits above the width repeat the highest one. */
static inline bool emu_is_canonical(const struct emu *e, uint64_t linear)
{
	return cpu_is_canonical(linear, e->cpu.cr4 & CR4_LA57 ? 57 : 48);
}

/* ---- waking (wake.c) ----------------------------------------------------------------------------------------------- */

/* Bits of e->kicked. */
enum emu_kick {
	EMU_KICK_EVENT = 1,
	EMU_KICK_STOP = 2,
	EMU_KICK_CODE = 4, /* mmu/: somebody has changed code, or wants to decode some */
};

/* Any thread: wakes the vCPU from HLT and makes it poll. */
void emu_wake(struct emu *e);
/* Own thread: sleeps until emu_wake() has been called since e->wakes was `wakes`, or the machine's clock is `until_ns` (UINT64_MAX: never). */
void emu_sleep(struct emu *e, unsigned wakes, uint64_t until_ns);
/*
 * Own thread: PAUSE. Who spins waits for another processor, which may be waiting for the host's: then that is given away. What has
 * come meanwhile is looked at.
 */
void emu_pause(struct emu *e);

#endif
