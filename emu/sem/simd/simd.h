/* SPDX-License-Identifier: MIT */
/*
 * What MMX and SSE semantics share: operands, stores, and the shape of lane functions.
 *
 * A lane function computes d = a op b over the first n bytes of its operands: 8 for MMX, 16 for SSE; VEX
 * rows will pass 32 and 64. d may be the same vector as a or b only where the function works element by
 * element; the helpers below always pass a separate d.
 */
#ifndef BULKHEAD_EMU_FPU_SIMD_H
#define BULKHEAD_EMU_FPU_SIMD_H

#include "emu/core/ram.h"
#include "emu/isa/isa.h"
#include "emu/mmu/mmu.h"

#include <string.h>

enum { MMX_BYTES = 8, SSE_BYTES = 16 };

typedef void lane_fn(union vec *d, const union vec *a, const union vec *b, unsigned n);
typedef void lane_imm_fn(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm);

#define FPU_INLINE static inline __attribute__((always_inline))

/* Linear address of the memory operand, without a call in the common case of 64-bit code. */
FPU_INLINE int simd_linear(struct emu *e, const struct insn *i, unsigned size, bool write, uint64_t *linear)
{
	if (UNLIKELY(e->code_size != 8 || i->asize != 8))
		return emu_linear(e, i, size, write, linear);
	*linear = emu_address_register(e, i->base) + (emu_address_register(e, i->index) << i->scale) +
		  (uint64_t)(int64_t)i->disp + e->seg_base[i->seg];
	return 0;
}

/* Memory operands of a size known at compile time: a TLB hit is a plain copy. */
FPU_INLINE int simd_read(struct emu *e, const struct insn *i, uint64_t linear, void *data, unsigned size)
{
	const uint8_t *p = tlb_read_ptr(e, linear, size);

	if (UNLIKELY(!p))
		return emu_read(e, i->seg, linear, data, size);
	ram_read(data, p, size);
	return 0;
}

FPU_INLINE int simd_write(struct emu *e, const struct insn *i, uint64_t linear, const void *data, unsigned size)
{
	uint8_t *p = tlb_write_ptr(e, linear, size);

	if (UNLIKELY(!p))
		return emu_write(e, i->seg, linear, data, size);
	ram_write(p, data, size);
	return 0;
}

FPU_INLINE int simd_load(struct emu *e, const struct insn *i, void *data, unsigned size)
{
	uint64_t linear;

	if (simd_linear(e, i, size, false, &linear))
		return EMU_STOP;
	return simd_read(e, i, linear, data, size);
}

FPU_INLINE int simd_store(struct emu *e, const struct insn *i, const void *data, unsigned size)
{
	uint64_t linear;

	if (simd_linear(e, i, size, true, &linear))
		return EMU_STOP;
	return simd_write(e, i, linear, data, size);
}

/* Memory operand of 16 bytes with the alignment check of legacy SSE (SDM vol. 2, 2.4 "Type 4"): #GP(0) before
 * any page fault. */
FPU_INLINE int sse_load(struct emu *e, const struct insn *i, void *data)
{
	uint64_t linear;

	if (simd_linear(e, i, SSE_BYTES, false, &linear))
		return EMU_STOP;
	if (UNLIKELY(linear & (SSE_BYTES - 1)))
		return emu_gp0(e);
	return simd_read(e, i, linear, data, SSE_BYTES);
}

FPU_INLINE int sse_store(struct emu *e, const struct insn *i, const void *data)
{
	uint64_t linear;

	if (simd_linear(e, i, SSE_BYTES, true, &linear))
		return EMU_STOP;
	if (UNLIKELY(linear & (SSE_BYTES - 1)))
		return emu_gp0(e);
	return simd_write(e, i, linear, data, SSE_BYTES);
}

FPU_INLINE union vec *sse_reg(struct emu *e, const struct insn *i)
{
	return &e->cpu.vec[i->reg];
}

/* The W operand: xmm register, or memory of `size` bytes (16: aligned). Only `size` bytes of *v count. */
FPU_INLINE int sse_source(struct emu *e, const struct insn *i, unsigned size, union vec *v)
{
	if (!i->is_mem) {
		memcpy(v, &e->cpu.vec[i->rm], SSE_BYTES);
		return 0;
	}
	if (size == SSE_BYTES)
		return sse_load(e, i, v);
	return simd_load(e, i, v, size);
}

FPU_INLINE int sse_source_unaligned(struct emu *e, const struct insn *i, union vec *v)
{
	if (i->is_mem)
		return simd_load(e, i, v, SSE_BYTES);
	memcpy(v, &e->cpu.vec[i->rm], SSE_BYTES);
	return 0;
}

FPU_INLINE void sse_write(struct emu *e, const struct insn *i, const union vec *v)
{
	memcpy(&e->cpu.vec[i->reg], v, SSE_BYTES);
}

/* V = V op W, as every two-operand legacy SSE instruction does; bytes above 16 are kept. */
FPU_INLINE int sse_binary(struct emu *e, const struct insn *i, lane_fn *fn)
{
	union vec b, d;

	if (sse_source(e, i, SSE_BYTES, &b))
		return EMU_STOP;
	fn(&d, sse_reg(e, i), &b, SSE_BYTES);
	sse_write(e, i, &d);
	return 0;
}

FPU_INLINE int sse_binary_imm(struct emu *e, const struct insn *i, lane_imm_fn *fn)
{
	union vec b, d;

	if (sse_source(e, i, SSE_BYTES, &b))
		return EMU_STOP;
	fn(&d, sse_reg(e, i), &b, SSE_BYTES, (uint8_t)i->imm);
	sse_write(e, i, &d);
	return 0;
}

/* ---- VEX: V = H op W over the vector length, everything above it cleared, memory unaligned (SDM vol. 1, 14.3) ---- */

enum { AVX_BYTES = 32 };

FPU_INLINE unsigned vex_bytes(const struct insn *i)
{
	return i->vl ? AVX_BYTES : SSE_BYTES;
}

/* The register gets `n` bytes of *v, zeroes above. */
FPU_INLINE void vex_put(struct emu *e, unsigned reg, const union vec *v, unsigned n)
{
	memcpy(&e->cpu.vec[reg], v, n);
	memset(e->cpu.vec[reg].u8 + n, 0, sizeof(*v) - n);
}

FPU_INLINE void vex_write(struct emu *e, const struct insn *i, const union vec *v, unsigned n)
{
	vex_put(e, i->reg, v, n);
}

FPU_INLINE const union vec *vex_first(const struct emu *e, const struct insn *i)
{
	return &e->cpu.vec[i->vvvv];
}

/* The W operand: register, or memory of `size` bytes. Only `size` bytes of *v count. */
FPU_INLINE int vex_source(struct emu *e, const struct insn *i, unsigned size, union vec *v)
{
	if (i->is_mem)
		return simd_load(e, i, v, size);
	memcpy(v, &e->cpu.vec[i->rm], size);
	return 0;
}

/* Lane functions get the length as a constant. `source` is the size of W, 0 for the vector length. */
FPU_INLINE int vex_binary_n(struct emu *e, const struct insn *i, unsigned n, unsigned source, lane_fn *fn)
{
	union vec b, d;

	if (vex_source(e, i, source ? source : n, &b))
		return EMU_STOP;
	fn(&d, vex_first(e, i), &b, n);
	vex_write(e, i, &d, n);
	return 0;
}

FPU_INLINE int vex_binary(struct emu *e, const struct insn *i, lane_fn *fn)
{
	return i->vl ? vex_binary_n(e, i, AVX_BYTES, 0, fn) : vex_binary_n(e, i, SSE_BYTES, 0, fn);
}

FPU_INLINE int vex_binary_imm_n(struct emu *e, const struct insn *i, unsigned n, lane_imm_fn *fn)
{
	union vec b, d;

	if (vex_source(e, i, n, &b))
		return EMU_STOP;
	fn(&d, vex_first(e, i), &b, n, (uint8_t)i->imm);
	vex_write(e, i, &d, n);
	return 0;
}

FPU_INLINE int vex_binary_imm(struct emu *e, const struct insn *i, lane_imm_fn *fn)
{
	return i->vl ? vex_binary_imm_n(e, i, AVX_BYTES, fn) : vex_binary_imm_n(e, i, SSE_BYTES, fn);
}

/*
 * MMX registers are the significands of the physical x87 registers. Every MMX instruction sets TOP to 0 and
 * marks all registers valid (EMMS: empty); a written register gets the exponent ffff (SDM vol. 1, 9.5 and
 * vol. 3, 12.2).
 */
FPU_INLINE void mmx_enter(struct emu *e)
{
	e->cpu.fpu.sw &= (uint16_t)~0x3800;
	e->cpu.fpu.tag = 0xff;
}

FPU_INLINE uint64_t mmx_get(const struct emu *e, unsigned n)
{
	return e->cpu.fpu.r[n & 7].sig;
}

FPU_INLINE void mmx_set(struct emu *e, unsigned n, uint64_t value)
{
	e->cpu.fpu.r[n & 7] = (struct x87_reg){ .sig = value, .se = 0xffff };
}

/* The Q operand; memory operands may be narrower (PUNPCKLBW reads 4 bytes). */
FPU_INLINE int mmx_source(struct emu *e, const struct insn *i, unsigned size, union vec *v)
{
	v->u64[0] = 0;
	if (i->is_mem)
		return simd_load(e, i, v, size);
	v->u64[0] = mmx_get(e, i->rm);
	return 0;
}

FPU_INLINE int mmx_binary_sized(struct emu *e, const struct insn *i, unsigned size, lane_fn *fn)
{
	union vec a, b, d;

	if (mmx_source(e, i, size, &b))
		return EMU_STOP;
	a.u64[0] = mmx_get(e, i->reg);
	fn(&d, &a, &b, MMX_BYTES);
	mmx_enter(e);
	mmx_set(e, i->reg, d.u64[0]);
	return 0;
}

FPU_INLINE int mmx_binary(struct emu *e, const struct insn *i, lane_fn *fn)
{
	return mmx_binary_sized(e, i, MMX_BYTES, fn);
}

/*
 * LANES(name, elem, expr): lane function `lane_<name>` that computes each element of type `elem` (a member
 * of union vec) as `expr` of x (first operand) and y (second operand).
 */
#define LANES(name, elem, expr)                                                                                   \
	FPU_INLINE void lane_##name(union vec *d, const union vec *a, const union vec *b, unsigned n)             \
	{                                                                                                         \
		for (unsigned k = 0; k < n / sizeof(d->elem[0]); k++) {                                           \
			const __typeof__(d->elem[0]) x = a->elem[k], y = b->elem[k];                              \
			(void)x;                                                                                  \
			d->elem[k] = (__typeof__(d->elem[0]))(expr);                                              \
		}                                                                                                 \
	}

/* A semantic function with a body of its own. */
#define SEM(name)                                                                                                 \
	isa_semantic sem_##name;                                                                                  \
	int sem_##name(struct emu *e, const struct insn *i)

/* Semantic functions over a lane function: of legacy SSE, of VEX, of both; and with their MMX twin. */
#define SSE_ONLY_SEM(name)                                                                                        \
	SEM(sse_##name)                                                                                           \
	{                                                                                                         \
		return sse_binary(e, i, lane_##name);                                                             \
	}

#define VEX_SEM(name)                                                                                             \
	SEM(avx_##name)                                                                                           \
	{                                                                                                         \
		return vex_binary(e, i, lane_##name);                                                             \
	}

#define SSE_SEM(name) SSE_ONLY_SEM(name) VEX_SEM(name)

#define SIMD_SEM(name)                                                                                            \
	SEM(mmx_##name)                                                                                           \
	{                                                                                                         \
		return mmx_binary(e, i, lane_##name);                                                             \
	}                                                                                                         \
	SSE_SEM(name)

#define VEX_SEM_IMM(name)                                                                                         \
	SEM(avx_##name)                                                                                           \
	{                                                                                                         \
		return vex_binary_imm(e, i, lane_##name);                                                         \
	}

#define SSE_SEM_IMM(name)                                                                                         \
	SEM(sse_##name)                                                                                           \
	{                                                                                                         \
		return sse_binary_imm(e, i, lane_##name);                                                         \
	}                                                                                                         \
	VEX_SEM_IMM(name)

/* Saturation to the range of the destination element. */
FPU_INLINE int sat_i8(int v)
{
	return v < INT8_MIN ? INT8_MIN : v > INT8_MAX ? INT8_MAX : v;
}

FPU_INLINE int sat_u8(int v)
{
	return v < 0 ? 0 : v > UINT8_MAX ? UINT8_MAX : v;
}

FPU_INLINE int sat_i16(int v)
{
	return v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v;
}

FPU_INLINE int sat_u16(int v)
{
	return v < 0 ? 0 : v > UINT16_MAX ? UINT16_MAX : v;
}

#endif
