/* SPDX-License-Identifier: MIT */
/*
 * Handlers of the block tier for the hot forms: what they share.
 *
 * A fast handler is a leaf: registers, one TLB probe, the operation, and a jump to the next handler. Whatever is out of
 * the ordinary (TLB miss, device, code page, page crossing, fault) makes it run the whole instruction through
 * h_generic() instead, before it has changed anything. No address of a local may escape, or the compiler would keep
 * a stack frame and no tail call. Handlers with memory operands are for 64-bit code and for 32-bit code in flat segments
 * (MODE_KEY_DATA32).
 */
#ifndef BULKHEAD_EMU_FAST_H
#define BULKHEAD_EMU_FAST_H

#include "emu/core/ram.h"
#include "emu/sem/int/alu.h"
#include "internal.h"

#include <string.h>

#define HANDLER(name) static void name(struct emu *e, const struct insn *i)
#define MISS(e, i) TAIL(h_generic((e), (i)))

/* Address forms: base and displacement; everything; 32-bit addresses in segments that add nothing. */
#define REG(e, r) emu_address_register((e), (r))
#define EA_0(e, i) (REG(e, (i)->base) + (uint64_t)(int64_t)(i)->disp)
#define EA_1(e, i)                                                                                                     \
	(REG(e, (i)->base) + (REG(e, (i)->index) << (i)->scale) + (uint64_t)(int64_t)(i)->disp + (e)->seg_base[(i)->seg])
#define EA_2(e, i) ((uint32_t)(REG(e, (i)->base) + (REG(e, (i)->index) << (i)->scale) + (uint32_t)(i)->disp))

enum address_form { ADDRESS_SIMPLE, ADDRESS_FULL, ADDRESS_32, ADDRESS_FORMS, ADDRESS_NONE = -1 };

static inline enum address_form address_form(const struct emu *e, const struct insn *i)
{
	const bool plain = i->seg != SEG_FS && i->seg != SEG_GS;

	if (e->code_size == 8 && i->asize == 8)
		return plain && i->index == ADDR_NONE ? ADDRESS_SIMPLE : ADDRESS_FULL;
	if (!plain || i->asize != 4)
		return ADDRESS_NONE;
	/* CS of 32-bit code is not writable. */
	return e->code_size == 8 || ((e->mode_key & MODE_KEY_DATA32) && i->seg != SEG_CS) ? ADDRESS_32 : ADDRESS_NONE;
}

/* Where stack, branch and pointer operands of the mode's own size have fast handlers: 8, 4, or 0 for nowhere. */
static inline unsigned fast_word(const struct emu *e)
{
	return mode_word(e->mode_key);
}

#define SIZED(n, T)                                                                                                    \
	static inline T load_##n(const uint8_t *p)                                                                     \
	{                                                                                                              \
		return ram_load_##n(p);                                                                                \
	}                                                                                                              \
	static inline void store_##n(uint8_t *p, T v)                                                                  \
	{                                                                                                              \
		ram_store_##n(p, v);                                                                                   \
	}                                                                                                              \
	static inline T get_##n(const struct emu *e, unsigned r)                                                       \
	{                                                                                                              \
		return (T)e->cpu.gpr[r];                                                                               \
	}
SIZED(1, uint8_t)
SIZED(2, uint16_t)
SIZED(4, uint32_t)
SIZED(8, uint64_t)

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SET_LOW(e, r, v) memcpy(&(e)->cpu.gpr[r], &(v), sizeof(v))
#else
#define SET_LOW(e, r, v)                                                                                               \
	((e)->cpu.gpr[r] = ((e)->cpu.gpr[r] & ~(UINT64_MAX >> (64 - 8 * sizeof(v)))) | (v))
#endif
static inline void set_1(struct emu *e, unsigned r, uint8_t v)
{
	SET_LOW(e, r, v);
}
static inline void set_2(struct emu *e, unsigned r, uint16_t v)
{
	SET_LOW(e, r, v);
}
static inline void set_4(struct emu *e, unsigned r, uint32_t v)
{
	e->cpu.gpr[r] = v;
}
static inline void set_8(struct emu *e, unsigned r, uint64_t v)
{
	e->cpu.gpr[r] = v;
}

/* 1, 2, 4, 8 -> 0..3 */
static inline unsigned size_index(unsigned size)
{
	return size == 8 ? 3 : size >> 1;
}

/* ---- going to other blocks ---- */

/* The direct branch `j` cannot be followed inside the cache: RIP is set and the run loop finds the block. */
insn_handler h_leave_0, h_leave_1;
/* It can, if the target's page still leads where it did. The budget has been charged. */
insn_handler h_cross_0, h_cross_1;

#define ENTER(e, b)                                                                                                    \
	do {                                                                                                           \
		struct block *enter_ = (b);                                                                            \
		(e)->block = enter_;                                                                                   \
		(e)->pc = enter_->pc;                                                                     \
		GO((e), enter_->insns);                                                                                \
	} while (0)

/*
 * Follows side `k` (0 not taken, 1 taken) of the branch `j`, whose link stands behind it. A target in another page is
 * entered only if its page still leads where it did: in line for branches that mostly go far (NEAR 0), else elsewhere.
 */
#define FOLLOW_(e, j, k, NEAR)                                                                                         \
	do {                                                                                                           \
		const struct link *l_ = (const struct link *)((j) + 1);                                                \
		struct block *b_ = l_->to[k];                                                                          \
                                                                                                                       \
		if (UNLIKELY(((e)->budget -= l_->count) < 0 || !b_))                                                   \
			TAIL(h_leave_##k((e), (j)));                                                                   \
		if (NEAR && UNLIKELY(l_->cross[k]))                                                                    \
			TAIL(h_cross_##k((e), (j)));                                                                   \
		if (!NEAR && l_->cross[k] && UNLIKELY(tlb_fetch_ptr((e), b_->pc) != b_->host))                         \
			TAIL(h_leave_##k((e), (j)));                                                                   \
		ENTER((e), b_);                                                                                        \
	} while (0)
#define FOLLOW(e, j, k) FOLLOW_(e, j, k, 1)
#define FOLLOW_FAR(e, j, k) FOLLOW_(e, j, k, 0)

/*
 * The block for `pc` if it is at hand, for code whose word has that many bytes. All of that has one mode key, so the entry
 * needs no check of it; note_jump() fills it.
 */
static inline __attribute__((always_inline)) struct block *block_at(const struct emu *e, unsigned word, uint64_t pc)
{
	const struct jump_entry *j = jump_slot(e->code, word, pc);

	if (UNLIKELY(j->pc != pc || j->host != tlb_fetch_ptr(e, pc)))
		return NULL;
	return j->block;
}

/* Runs an instruction that jumps to `pc` the generic way, after noting the block there, if any, for the next time. */
void note_jump(struct emu *e, uint64_t pc);
#define JUMP_MISS(e, i, pc)                                                                                            \
	do {                                                                                                           \
		note_jump((e), (pc));                                                                                  \
		MISS((e), (i));                                                                                        \
	} while (0)

/* Handlers by row; they may rewrite the instruction (operands swapped, accumulator made explicit). NULL: none. */
insn_handler *fast_move(const struct emu *e, struct insn *i);
insn_handler *fast_alu(const struct emu *e, struct insn *i);
insn_handler *fast_misc(const struct emu *e, struct insn *i);
insn_handler *fast_vector_move(const struct emu *e, struct insn *i);
insn_handler *fast_native(const struct emu *e, struct insn *i);
insn_handler *fast_x87(const struct emu *e, struct insn *i);

#endif
