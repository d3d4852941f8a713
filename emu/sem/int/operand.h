/* SPDX-License-Identifier: MIT */
/* Operands of integer instructions by their place in the row: what the semantic functions of all modes use. */
#ifndef BULKHEAD_EMU_OPERAND_H
#define BULKHEAD_EMU_OPERAND_H

#include "emu/core/gpr.h"
#include "emu/isa/isa.h"
#include "emu/mmu/mmu.h"
#include "alu.h"

/* Size in bytes of operand `n`. */
unsigned operand_bytes(const struct insn *i, unsigned n);
/* Value of operand `n`, zero-extended; immediates as decoded. 0 or EMU_STOP. */
int operand_read(struct emu *e, const struct insn *i, unsigned n, uint64_t *v);
int operand_write(struct emu *e, const struct insn *i, unsigned n, uint64_t v);

/* new value = op(size, old, b, flags) */
typedef uint64_t alu_function(unsigned size, uint64_t a, uint64_t b, uint16_t *f);

/*
 * Operand 0 = op(operand 0, b), flags replaced. A memory operand is opened for writing first, so that its page fault
 * reports a write and nothing has changed; with LOCK the update is atomic. *old gets the value before, if not NULL.
 */
int operand_update(struct emu *e, const struct insn *i, alu_function *op, uint64_t b, uint64_t *old);
/* The same for memory at an explicit address (BTS with a register offset). */
int memory_update(struct emu *e, const struct insn *i, uint64_t linear, unsigned size, alu_function *op, uint64_t b,
		  uint64_t *old);
/* Compare-and-swap on memory: *old gets what was there; it is written back unchanged if it differs. */
int memory_cmpxchg(struct emu *e, const struct insn *i, uint64_t linear, unsigned size, uint64_t expected,
		   uint64_t desired, uint64_t *old);

/* The same, locked, for a value in two pages (split.c): what was there. *flags are replaced. */
uint64_t split_update(struct emu *e, const struct ram_halves *h, unsigned size, alu_function *op, uint64_t b, uint16_t *flags);
uint64_t split_cmpxchg(struct emu *e, const struct ram_halves *h, uint64_t expected, uint64_t desired);

/* Near transfer of control: truncation to the operand size, limit or canonical check. 0 or EMU_STOP (#GP). */
int branch_check(struct emu *e, const struct insn *i, uint64_t *target);

int near_push(struct emu *e, uint64_t v, unsigned size);
/* Reads the top without popping; near_release() pops. */
int near_peek(struct emu *e, uint64_t *v, unsigned size);
void near_release(struct emu *e, uint64_t bytes);

#endif
