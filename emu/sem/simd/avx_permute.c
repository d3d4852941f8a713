/* SPDX-License-Identifier: MIT */
/* AVX and AVX2: broadcasts, permutations within and across lanes, 128-bit halves. */
#include "evex.h"

/* ---- broadcasts ---------------------------------------------------------------------------------------- */

static int broadcast(struct emu *e, const struct insn *i, unsigned size)
{
	union vec s, d;

	if (vex_source(e, i, size, &s))
		return EMU_STOP;
	for (unsigned at = 0; at < vex_bytes(i); at += size)
		memcpy(d.u8 + at, &s, size);
	vex_write(e, i, &d, vex_bytes(i));
	return 0;
}

SEM(avx_broadcastb)
{
	return broadcast(e, i, 1);
}

SEM(avx_broadcastw)
{
	return broadcast(e, i, 2);
}

SEM(avx_broadcastd)
{
	return broadcast(e, i, 4);
}

SEM(avx_broadcastq)
{
	return broadcast(e, i, 8);
}

SEM(avx_broadcast128)
{
	return broadcast(e, i, SSE_BYTES);
}

/* ---- within lanes -------------------------------------------------------------------------------------- */

FPU_INLINE void lane_permilps(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 0; k < n / 4; k++)
		d->u32[k] = a->u32[(k & ~3u) + (b->u32[k] & 3)];
}
VEX_SEM(permilps)
EVEX_SEM(permilps)

FPU_INLINE void lane_permilpd(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 0; k < n / 8; k++)
		d->u64[k] = a->u64[(k & ~1u) + (b->u64[k] >> 1 & 1)];
}
VEX_SEM(permilpd)
EVEX_SEM(permilpd)

FPU_INLINE void lane_permilpd_imm(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned k = 0; k < n / 8; k++)
		d->u64[k] = b->u64[(k & ~1u) + (imm >> k & 1)];
}
VEX_SEM_IMM(permilpd_imm)
EVEX_SEM_IMM(permilpd_imm)

/* ---- across lanes -------------------------------------------------------------------------------------- */

/* VPERMD, VPERMPS: the indexes are in the first operand. */
FPU_INLINE void lane_permd(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 0; k < n / 4; k++)
		d->u32[k] = b->u32[a->u32[k] & (n / 4 - 1)];
}
VEX_SEM(permd)
EVEX_SHAPED(permd, binary, lane_permd)

/* VPERMQ, VPERMPD */
FPU_INLINE void lane_permq(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned k = 0; k < n / 8; k++)
		d->u64[k] = b->u64[(k & ~3u) + (imm >> 2 * (k & 3) & 3)];
}
VEX_SEM_IMM(permq)
EVEX_SEM_IMM(permq)

/* VPERM2F128, VPERM2I128: each half is one of four, or zero. */
FPU_INLINE void lane_perm2x128(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned half = 0; half < 2; half++) {
		const unsigned pick = imm >> 4 * half;

		if (pick & 8)
			memset(d->u8 + half * SSE_BYTES, 0, SSE_BYTES);
		else
			memcpy(d->u8 + half * SSE_BYTES, (pick & 2 ? b : a)->u8 + (pick & 1) * SSE_BYTES, SSE_BYTES);
	}
}
VEX_SEM_IMM(perm2x128)

SEM(avx_insert128)
{
	union vec d = *vex_first(e, i), s;

	if (vex_source(e, i, SSE_BYTES, &s))
		return EMU_STOP;
	memcpy(d.u8 + (i->imm & 1) * SSE_BYTES, &s, SSE_BYTES);
	vex_write(e, i, &d, AVX_BYTES);
	return 0;
}

SEM(avx_extract128)
{
	union vec v;

	memcpy(&v, sse_reg(e, i)->u8 + (i->imm & 1) * SSE_BYTES, SSE_BYTES);
	if (i->is_mem)
		return simd_store(e, i, &v, SSE_BYTES);
	vex_put(e, i->rm, &v, SSE_BYTES);
	return 0;
}
