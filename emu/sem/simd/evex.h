/* SPDX-License-Identifier: MIT */
/*
 * What EVEX semantics share: operands with broadcast and fault suppression, writes under a mask, opmask results.
 *
 * An instruction loads its source, computes all elements into a temporary, and writes those whose mask bit is set; the
 * others keep their value or become zero (SDM vol. 1, 15.6). Sizes come from the row: `esize` of a source element, `elem`
 * of the destination's. Lane functions run over all 64 bytes, whatever the vector length: a constant that the compiler
 * can use; what is beyond the length is not written. Those that look across the whole vector get its length.
 */
#ifndef BULKHEAD_EMU_FPU_EVEX_H
#define BULKHEAD_EMU_FPU_EVEX_H

#include "simd.h"

enum { EVEX_BYTES = 64 };

FPU_INLINE const struct isa_row *evex_row(const struct insn *i)
{
	return &isa_rows[i->id];
}

FPU_INLINE unsigned evex_bytes(const struct insn *i)
{
	return 16u << i->vl;
}

/* k0 as a mask means all elements. */
FPU_INLINE uint64_t evex_mask(const struct emu *e, const struct insn *i)
{
	return i->mask ? e->cpu.k[i->mask] : UINT64_MAX;
}

FPU_INLINE uint64_t low_bits(unsigned n)
{
	return n >= 64 ? UINT64_MAX : (1ull << n) - 1;
}

/* EVEX.b between registers: L'L is the rounding, if the row rounds, and no exception is reported (SDM vol. 2, 2.7.7). */
FPU_INLINE bool evex_suppresses(const struct insn *i)
{
	return i->bcst && !i->is_mem;
}

/* Size of the memory operand. */
FPU_INLINE unsigned evex_memory_bytes(const struct insn *i)
{
	return isa_evex_bytes(evex_row(i), i->vl, i->bcst && i->is_mem, i->prefixes & PFX_REX_W);
}

/* The W operand: register, memory or broadcast. Elements that the mask leaves out do not fault, unless the row says NF. */
int evex_source(struct emu *e, const struct insn *i, union vec *v);

/* Elements of `size` bytes that `mask` selects, `bytes` in all, between memory and *v: no others are accessed. A store
 * that faults has written nothing. */
int evex_load_elements(struct emu *e, const struct insn *i, union vec *v, unsigned bytes, unsigned size, uint64_t mask);
int evex_store_elements(struct emu *e, const struct insn *i, const union vec *v, unsigned bytes, unsigned size,
			uint64_t mask);

/* Register `reg` = the first n bytes of *d under the instruction's mask, in elements of the row; zeroes above. */
void evex_put(struct emu *e, const struct insn *i, unsigned reg, const union vec *d, unsigned n);

FPU_INLINE void evex_write(struct emu *e, const struct insn *i, const union vec *d)
{
	evex_put(e, i, i->reg, d, evex_bytes(i));
}

/* Result in element 0 under bit 0 of the mask, the rest of the low 128 bits from `upper`, zeroes above. */
void evex_put_scalar(struct emu *e, const struct insn *i, unsigned reg, const union vec *d, const union vec *upper);

/* Rows whose destination is W: the low part of *v, of as many bytes as the tuple says, under the mask. */
int evex_store(struct emu *e, const struct insn *i, const union vec *v);

/* Opmask destination: the bits of `result` for the row's source elements, under the mask; all others are zero. */
void evex_put_opmask(struct emu *e, const struct insn *i, uint64_t result);

/* ---- the shapes of instructions ---- */

typedef uint64_t lane_test_fn(const union vec *a, const union vec *b);

int evex_binary(struct emu *e, const struct insn *i, lane_fn *fn);		/* V = fn(H, W) */
int evex_binary_imm(struct emu *e, const struct insn *i, lane_imm_fn *fn);	/* V = fn(H, W, imm8) */
int evex_ternary(struct emu *e, const struct insn *i, lane_fn *fn);		/* V = fn(V, H, W): *d is V before */
int evex_ternary_imm(struct emu *e, const struct insn *i, lane_imm_fn *fn);
int evex_test(struct emu *e, const struct insn *i, lane_test_fn *fn);		/* K = fn(H, W) */

/* Lane functions of constant length. */
#define EVEX_WHOLE(name)                                                                                          \
	static void whole_##name(union vec *d, const union vec *a, const union vec *b, unsigned n)                \
	{                                                                                                         \
		lane_##name(d, a, b, EVEX_BYTES);                                                                 \
	}

#define EVEX_WHOLE_IMM(name)                                                                                      \
	static void whole_##name(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)  \
	{                                                                                                         \
		lane_##name(d, a, b, EVEX_BYTES, imm);                                                            \
	}

#define EVEX_SHAPED(name, shape, lanes)                                                                           \
	SEM(evex_##name)                                                                                          \
	{                                                                                                         \
		return evex_##shape(e, i, lanes);                                                                 \
	}

#define EVEX_SEM(name) EVEX_WHOLE(name) EVEX_SHAPED(name, binary, whole_##name)
#define EVEX_SEM_IMM(name) EVEX_WHOLE_IMM(name) EVEX_SHAPED(name, binary_imm, whole_##name)
#define EVEX_SEM3(name) EVEX_WHOLE(name) EVEX_SHAPED(name, ternary, whole_##name)
#define EVEX_SEM3_IMM(name) EVEX_WHOLE_IMM(name) EVEX_SHAPED(name, ternary_imm, whole_##name)

#endif
