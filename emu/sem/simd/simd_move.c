/* SPDX-License-Identifier: MIT */
/* MMX and SSE data movement: loads, stores, duplications, non-temporal and masked stores. */
#include "simd.h"

/* ---- whole registers ----------------------------------------------------------------------------------- */

/* MOVAPS, MOVAPD, MOVDQA, MOVNTDQA. A faulting load leaves its buffer alone, so it may go straight to the
 * register. */
SEM(sse_mova_load)
{
	return sse_source(e, i, SSE_BYTES, sse_reg(e, i));
}

/* MOVAPS, MOVAPD, MOVDQA, MOVNTPS, MOVNTPD, MOVNTDQ */
SEM(sse_mova_store)
{
	if (i->is_mem)
		return sse_store(e, i, sse_reg(e, i));
	memmove(&e->cpu.vec[i->rm], sse_reg(e, i), SSE_BYTES);
	return 0;
}

/* MOVUPS, MOVUPD, MOVDQU, LDDQU */
SEM(sse_movu_load)
{
	return sse_source_unaligned(e, i, sse_reg(e, i));
}

SEM(sse_movu_store)
{
	if (i->is_mem)
		return simd_store(e, i, sse_reg(e, i), SSE_BYTES);
	memmove(&e->cpu.vec[i->rm], sse_reg(e, i), SSE_BYTES);
	return 0;
}

/* ---- scalars: a load clears the rest of the register, a register move merges --------------------------- */

#define MOV_SCALAR(name, elem)                                                                                    \
	SEM(sse_##name##_load)                                                                                    \
	{                                                                                                         \
		union vec *d = sse_reg(e, i);                                                                     \
		__typeof__(d->elem[0]) value = e->cpu.vec[i->rm & 15].elem[0];                                    \
		if (i->is_mem) {                                                                                  \
			if (simd_load(e, i, &value, sizeof(value)))                                                \
				return EMU_STOP;                                                                  \
			memset(d, 0, SSE_BYTES);                                                                  \
		}                                                                                                 \
		d->elem[0] = value;                                                                               \
		return 0;                                                                                         \
	}                                                                                                         \
	SEM(sse_##name##_store)                                                                                   \
	{                                                                                                         \
		if (i->is_mem)                                                                                    \
			return simd_store(e, i, sse_reg(e, i), sizeof(e->cpu.vec[0].elem[0]));                     \
		e->cpu.vec[i->rm].elem[0] = sse_reg(e, i)->elem[0];                                               \
		return 0;                                                                                         \
	}
MOV_SCALAR(movss, u32)
MOV_SCALAR(movsd, u64)

/* F3 0F 7E and 66 0F D6: MOVQ clears the upper half of a register in both directions. */
SEM(sse_movq_load)
{
	union vec v;

	if (sse_source(e, i, 8, &v))
		return EMU_STOP;
	v.u64[1] = 0;
	sse_write(e, i, &v);
	return 0;
}

SEM(sse_movq_store)
{
	if (i->is_mem)
		return simd_store(e, i, sse_reg(e, i), 8);
	e->cpu.vec[i->rm].u64[0] = sse_reg(e, i)->u64[0];
	e->cpu.vec[i->rm].u64[1] = 0;
	return 0;
}

/* ---- halves -------------------------------------------------------------------------------------------- */

/* MOVLPS, MOVLPD from memory; the register form of MOVLPS is MOVHLPS. */
SEM(sse_movlps_load)
{
	if (i->is_mem)
		return simd_load(e, i, &sse_reg(e, i)->u64[0], 8);
	sse_reg(e, i)->u64[0] = e->cpu.vec[i->rm].u64[1];
	return 0;
}

SEM(sse_movlps_store)
{
	return simd_store(e, i, &sse_reg(e, i)->u64[0], 8);
}

/* MOVHPS, MOVHPD from memory; the register form of MOVHPS is MOVLHPS. */
SEM(sse_movhps_load)
{
	if (i->is_mem)
		return simd_load(e, i, &sse_reg(e, i)->u64[1], 8);
	sse_reg(e, i)->u64[1] = e->cpu.vec[i->rm].u64[0];
	return 0;
}

SEM(sse_movhps_store)
{
	return simd_store(e, i, &sse_reg(e, i)->u64[1], 8);
}

FPU_INLINE void lane_movsldup(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 0; k < n / 4; k++)
		d->u32[k] = b->u32[k & ~1u];
}

FPU_INLINE void lane_movshdup(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 0; k < n / 4; k++)
		d->u32[k] = b->u32[k | 1];
}
SSE_SEM(movsldup)
SSE_SEM(movshdup)

/* The 128-bit form reads only 8 bytes of memory. */
SEM(sse_movddup)
{
	union vec v;

	if (sse_source(e, i, 8, &v))
		return EMU_STOP;
	v.u64[1] = v.u64[0];
	sse_write(e, i, &v);
	return 0;
}

/* ---- general registers and MMX ------------------------------------------------------------------------- */

static unsigned movd_size(const struct insn *i)
{
	return i->prefixes & PFX_REX_W ? 8 : 4;
}

static int load_gpr(struct emu *e, const struct insn *i, uint64_t *value)
{
	*value = 0;
	if (i->is_mem)
		return simd_load(e, i, value, movd_size(i));
	*value = movd_size(i) == 8 ? e->cpu.gpr[i->rm] : (uint32_t)e->cpu.gpr[i->rm];
	return 0;
}

static int store_gpr(struct emu *e, const struct insn *i, uint64_t value)
{
	if (i->is_mem)
		return simd_store(e, i, &value, movd_size(i));
	e->cpu.gpr[i->rm] = movd_size(i) == 8 ? value : (uint32_t)value;
	return 0;
}

SEM(sse_movd_load)
{
	uint64_t value;

	if (load_gpr(e, i, &value))
		return EMU_STOP;
	sse_reg(e, i)->u64[0] = value;
	sse_reg(e, i)->u64[1] = 0;
	return 0;
}

SEM(sse_movd_store)
{
	return store_gpr(e, i, sse_reg(e, i)->u64[0]);
}

SEM(mmx_movd_load)
{
	uint64_t value;

	if (load_gpr(e, i, &value))
		return EMU_STOP;
	mmx_enter(e);
	mmx_set(e, i->reg, value);
	return 0;
}

SEM(mmx_movd_store)
{
	if (store_gpr(e, i, mmx_get(e, i->reg)))
		return EMU_STOP;
	mmx_enter(e);
	return 0;
}

SEM(mmx_movq_load)
{
	union vec v;

	if (mmx_source(e, i, MMX_BYTES, &v))
		return EMU_STOP;
	mmx_enter(e);
	mmx_set(e, i->reg, v.u64[0]);
	return 0;
}

/* MOVQ mm/m64, mm and MOVNTQ */
SEM(mmx_movq_store)
{
	const uint64_t value = mmx_get(e, i->reg);

	if (i->is_mem && simd_store(e, i, &value, MMX_BYTES))
		return EMU_STOP;
	mmx_enter(e);
	if (!i->is_mem)
		mmx_set(e, i->rm, value);
	return 0;
}

SEM(sse_movq2dq)
{
	sse_reg(e, i)->u64[0] = mmx_get(e, i->rm);
	sse_reg(e, i)->u64[1] = 0;
	mmx_enter(e);
	return 0;
}

SEM(sse_movdq2q)
{
	mmx_enter(e);
	mmx_set(e, i->reg, e->cpu.vec[i->rm].u64[0]);
	return 0;
}

SEM(mmx_emms)
{
	mmx_enter(e);
	e->cpu.fpu.tag = 0;
	return 0;
}

/* ---- MASKMOVQ, MASKMOVDQU: bytes whose mask has its sign bit set go to DS:rDI -------------------------- */

static uint64_t rdi_offset(const struct emu *e, const struct insn *i)
{
	const uint64_t rdi = e->cpu.gpr[RDI];

	return i->asize == 8 ? rdi : i->asize == 4 ? (uint32_t)rdi : (uint16_t)rdi;
}

/* Length of the run of selected bytes that starts at `from`. */
static unsigned selected_run(const union vec *mask, unsigned from, unsigned n)
{
	unsigned k = from;

	while (k < n && mask->i8[k] < 0)
		k++;
	return k - from;
}

/* Only the selected bytes are touched: another processor may be writing the ones between them. All are
 * probed first, so that a fault leaves nothing written. */
static int masked_store(struct emu *e, const struct insn *i, const union vec *data, const union vec *mask, unsigned n)
{
	uint64_t linear;
	unsigned run;

	if (emu_seg_linear(e, i->seg, rdi_offset(e, i), n, true, &linear))
		return EMU_STOP;
	for (unsigned k = 0; k < n; k += run + 1) {
		run = selected_run(mask, k, n);
		if (run && emu_probe_write(e, i->seg, linear + k, run))
			return EMU_STOP;
	}
	for (unsigned k = 0; k < n; k += run + 1) {
		run = selected_run(mask, k, n);
		if (run && emu_write(e, i->seg, linear + k, &data->u8[k], run))
			return EMU_STOP;
	}
	return 0;
}

SEM(sse_maskmovdqu)
{
	return masked_store(e, i, sse_reg(e, i), &e->cpu.vec[i->rm], SSE_BYTES);
}

SEM(mmx_maskmovq)
{
	const union vec data = { .u64 = { mmx_get(e, i->reg) } }, mask = { .u64 = { mmx_get(e, i->rm) } };

	if (masked_store(e, i, &data, &mask, MMX_BYTES))
		return EMU_STOP;
	mmx_enter(e);
	return 0;
}
