/* SPDX-License-Identifier: MIT */
/* AVX data movement: loads and stores, halves and scalars, duplications, VZEROUPPER and VZEROALL. */
#include "simd.h"

/* ---- whole registers ----------------------------------------------------------------------------------- */

/* VMOVUPS, VMOVDQU, VLDDQU ... */
SEM(avx_movu_load)
{
	union vec v;

	if (i->vl ? vex_source(e, i, AVX_BYTES, &v) : vex_source(e, i, SSE_BYTES, &v))
		return EMU_STOP;
	vex_write(e, i, &v, vex_bytes(i));
	return 0;
}

SEM(avx_movu_store)
{
	const union vec v = *sse_reg(e, i);

	if (i->is_mem)
		return i->vl ? simd_store(e, i, &v, AVX_BYTES) : simd_store(e, i, &v, SSE_BYTES);
	vex_put(e, i->rm, &v, vex_bytes(i));
	return 0;
}

/* The few VEX instructions that want alignment, to the vector length: #GP(0) before any page fault. */
static int check_aligned(struct emu *e, const struct insn *i, bool write)
{
	uint64_t linear;

	if (!i->is_mem)
		return 0;
	if (simd_linear(e, i, vex_bytes(i), write, &linear))
		return EMU_STOP;
	return linear & (vex_bytes(i) - 1) ? emu_gp0(e) : 0;
}

/* VMOVAPS, VMOVDQA, VMOVNTDQA ... */
SEM(avx_mova_load)
{
	return check_aligned(e, i, false) ? EMU_STOP : sem_avx_movu_load(e, i);
}

SEM(avx_mova_store)
{
	return check_aligned(e, i, true) ? EMU_STOP : sem_avx_movu_store(e, i);
}

/* ---- scalars and halves -------------------------------------------------------------------------------- */

/* The memory forms have no H operand and clear the rest; the register forms take it from H. */
static int load_low(struct emu *e, const struct insn *i, unsigned size)
{
	union vec v = { .u64 = { 0 } };

	if (i->is_mem) {
		if (simd_load(e, i, &v, size))
			return EMU_STOP;
	} else {
		v = *vex_first(e, i);
		memcpy(&v, &e->cpu.vec[i->rm], size);
	}
	vex_write(e, i, &v, SSE_BYTES);
	return 0;
}

SEM(avx_movss_load)
{
	return load_low(e, i, 4);
}

SEM(avx_movsd_load)
{
	return load_low(e, i, 8);
}

/* Opcode 11 between registers: the destination is in rm, the element in reg. */
static int move_low(struct emu *e, const struct insn *i, unsigned size)
{
	union vec v = *vex_first(e, i);

	memcpy(&v, sse_reg(e, i), size);
	vex_put(e, i->rm, &v, SSE_BYTES);
	return 0;
}

SEM(avx_movss_reg)
{
	return move_low(e, i, 4);
}

SEM(avx_movsd_reg)
{
	return move_low(e, i, 8);
}

SEM(avx_movq_load)
{
	union vec v = { .u64 = { 0 } };

	if (vex_source(e, i, 8, &v))
		return EMU_STOP;
	vex_write(e, i, &v, SSE_BYTES);
	return 0;
}

SEM(avx_movq_store)
{
	const union vec v = { .u64 = { sse_reg(e, i)->u64[0] } };

	if (i->is_mem)
		return simd_store(e, i, &v, 8);
	vex_put(e, i->rm, &v, SSE_BYTES);
	return 0;
}

SEM(avx_movd_load)
{
	union vec v = { .u64 = { 0 } };

	if (!i->is_mem)
		v.u64[0] = i->size == 8 ? e->cpu.gpr[i->rm] : (uint32_t)e->cpu.gpr[i->rm];
	else if (simd_load(e, i, &v, i->size))
		return EMU_STOP;
	vex_write(e, i, &v, SSE_BYTES);
	return 0;
}

/* VMOVLPS, VMOVHLPS, VMOVHPS, VMOVLHPS: one half is new, the other is H's. */
static int load_half(struct emu *e, const struct insn *i, unsigned half)
{
	union vec v = *vex_first(e, i);
	uint64_t value;

	if (!i->is_mem)
		value = e->cpu.vec[i->rm].u64[!half];
	else if (simd_load(e, i, &value, 8))
		return EMU_STOP;
	v.u64[half] = value;
	vex_write(e, i, &v, SSE_BYTES);
	return 0;
}

SEM(avx_movlps_load)
{
	return load_half(e, i, 0);
}

SEM(avx_movhps_load)
{
	return load_half(e, i, 1);
}

/* The 128-bit form reads 8 bytes, the 256-bit form 32. */
SEM(avx_movddup)
{
	union vec v;

	if (vex_source(e, i, i->vl ? AVX_BYTES : 8, &v))
		return EMU_STOP;
	v.u64[1] = v.u64[0];
	v.u64[3] = v.u64[2];
	vex_write(e, i, &v, vex_bytes(i));
	return 0;
}

/* ---- all registers ------------------------------------------------------------------------------------- */

/* Outside 64-bit mode only the first eight registers are touched. */
static void clear_from(struct emu *e, unsigned byte)
{
	const unsigned count = e->code_size == 8 ? 16 : 8;

	for (unsigned n = 0; n < count; n++)
		memset(e->cpu.vec[n].u8 + byte, 0, sizeof(e->cpu.vec[n]) - byte);
}

SEM(avx_zeroupper)
{
	clear_from(e, SSE_BYTES);
	return 0;
}

SEM(avx_zeroall)
{
	clear_from(e, 0);
	return 0;
}
