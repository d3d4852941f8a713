/* SPDX-License-Identifier: MIT */
/*
 * x87 architecture shared by the semantic functions: register stack, tags, stack faults, status word, pointers.
 *
 * Exceptions: an unmasked one only sets ES; the next waiting x87 or MMX instruction takes #MF (dispatcher).
 * What an instruction still does when it raises an unmasked exception is decided here or by the provider.
 */
#ifndef BULKHEAD_EMU_FPU_X87_H
#define BULKHEAD_EMU_FPU_X87_H

#include "provider.h"
#include "emu/sem/simd/simd.h"

enum {
	X87_IE = 0x01, X87_DE = 0x02, X87_ZE = 0x04, X87_OE = 0x08, X87_UE = 0x10, X87_PE = 0x20,
	X87_EXC = 0x3f, X87_PRE = X87_IE | X87_DE | X87_ZE,
	X87_SF = 0x40, X87_ES = 0x80,
	X87_C0 = 0x100, X87_C1 = 0x200, X87_C2 = 0x400, X87_C3 = 0x4000, X87_B = 0x8000,
	X87_TOP_SHIFT = 11, X87_TOP = 7 << X87_TOP_SHIFT,
	X87_CC = X87_C0 | X87_C1 | X87_C2 | X87_C3,
	X87_CW_INIT = 0x37f, X87_CW_FIXED = 0x40, X87_CW_WRITABLE = 0x1f3f,
};

/* The default NaN ("real indefinite"). */
#define X87_INDEFINITE ((struct x87_reg){ .sig = 0xc000000000000000, .se = 0xffff })

static inline unsigned x87_top(const struct x87 *f)
{
	return f->sw >> X87_TOP_SHIFT & 7;
}

static inline unsigned x87_physical(const struct x87 *f, unsigned n)
{
	return (x87_top(f) + n) & 7;
}

static inline bool x87_is_empty(const struct x87 *f, unsigned n)
{
	return !(f->tag >> x87_physical(f, n) & 1);
}

static inline struct x87_reg x87_get(const struct x87 *f, unsigned n)
{
	return f->r[x87_physical(f, n)];
}

static inline void x87_set(struct x87 *f, unsigned n, struct x87_reg value)
{
	const unsigned p = x87_physical(f, n);

	f->r[p] = value;
	f->tag |= (uint8_t)(1u << p);
}

static inline void x87_free(struct x87 *f, unsigned n)
{
	f->tag &= (uint8_t) ~(1u << x87_physical(f, n));
}

static inline void x87_rotate(struct x87 *f, int by)
{
	f->sw = (uint16_t)((f->sw & ~X87_TOP) | ((x87_top(f) + (unsigned)by) & 7) << X87_TOP_SHIFT);
}

static inline void x87_pop(struct x87 *f)
{
	x87_free(f, 0);
	x87_rotate(f, 1);
}

static inline void x87_push(struct x87 *f, struct x87_reg value)
{
	x87_rotate(f, -1);
	x87_set(f, 0, value);
}

static inline void x87_cc(struct x87 *f, unsigned mask, unsigned value)
{
	f->sw = (uint16_t)((f->sw & ~mask) | (value & mask));
}

/* Recomputes ES and B from flags and masks. */
void x87_summarise(struct x87 *f);

/* Loads CW with its fixed and reserved bits. */
void x87_set_cw(struct x87 *f, uint16_t cw);

/* Notes the instruction pointer of a non-control instruction. Call it once nothing can fault any more. */
void x87_note(struct emu *e, const struct insn *i);
/* Loads FCS and FDS, which are zero on processors that keep none (CPUID.7.EBX[13]). */
void x87_set_selectors(struct emu *e, uint16_t fcs, uint16_t fds);

/* Adds exception flags (and SF) to the status word; true if one of them is unmasked. */
bool x87_raise(struct emu *e, const struct insn *i, unsigned flags);

/* Stack faults: IE, SF, and C1 that tells overflow from underflow. True if unmasked: the instruction does
 * nothing. */
bool x87_underflow(struct emu *e, const struct insn *i);
bool x87_overflow(struct emu *e, const struct insn *i);

/* Takes over status of a provider call: condition codes in `cc`, exception flags. True if an exception of
 * the operands (IE, DE, ZE) is unmasked: there is no result then. */
bool x87_finish(struct emu *e, const struct insn *i, const struct fp_x87 *x, unsigned cc);

/* Images of x87.def's environment forms, also used by FXSAVE and XSAVE. */
uint16_t x87_full_tags(const struct x87 *f);
void x87_init(struct x87 *f);

#endif
