/* SPDX-License-Identifier: MIT */
/*
 * Integer SIMD across elements: packing, unpacking, shuffles, horizontal sums, blends, insertion and
 * extraction. Instructions that VEX widens work on each 128-bit lane by itself; GROUP is that lane, or the
 * 64 bits of MMX.
 */
#include "evex.h"

/* Runs the statement for each 128-bit lane (or the one 64-bit lane of MMX); `g` is the lane's first byte,
 * `w` its width. */
#define FOR_GROUPS(n, g, w) for (unsigned w = (n) < SSE_BYTES ? (n) : SSE_BYTES, g = 0; g < (n); g += w)

/* Interleaves the low or high halves of each lane. */
#define UNPACK(name, elem, high)                                                                                  \
	FPU_INLINE void lane_##name(union vec *d, const union vec *a, const union vec *b, unsigned n)             \
	{                                                                                                         \
		FOR_GROUPS(n, g, w) {                                                                             \
			const unsigned half = w / sizeof(d->elem[0]) / 2, base = g / (unsigned)sizeof(d->elem[0]); \
			for (unsigned k = 0; k < half; k++) {                                                     \
				d->elem[base + 2 * k] = a->elem[base + k + ((high) ? half : 0)];                  \
				d->elem[base + 2 * k + 1] = b->elem[base + k + ((high) ? half : 0)];              \
			}                                                                                         \
		}                                                                                                 \
	}

UNPACK(punpcklbw, u8, false)
UNPACK(punpcklwd, u16, false)
UNPACK(punpckldq, u32, false)
UNPACK(punpcklqdq, u64, false)
UNPACK(punpckhbw, u8, true)
UNPACK(punpckhwd, u16, true)
UNPACK(punpckhdq, u32, true)
UNPACK(punpckhqdq, u64, true)
SSE_SEM(punpcklbw)
EVEX_SEM(punpcklbw)
SSE_SEM(punpcklwd)
EVEX_SEM(punpcklwd)
SSE_SEM(punpckldq)
EVEX_SEM(punpckldq)
SSE_SEM(punpcklqdq)
EVEX_SEM(punpcklqdq)
SIMD_SEM(punpckhbw)
EVEX_SEM(punpckhbw)
SIMD_SEM(punpckhwd)
EVEX_SEM(punpckhwd)
SIMD_SEM(punpckhdq)
EVEX_SEM(punpckhdq)
SSE_SEM(punpckhqdq)
EVEX_SEM(punpckhqdq)

/* The low MMX unpacks read only 4 bytes of memory. */
#define MMX_UNPACK_LOW(name)                                                                                      \
	SEM(mmx_##name)                                                                                           \
	{                                                                                                         \
		return mmx_binary_sized(e, i, 4, lane_##name);                                                    \
	}
MMX_UNPACK_LOW(punpcklbw)
MMX_UNPACK_LOW(punpcklwd)
MMX_UNPACK_LOW(punpckldq)

#define PACK(name, from, to, saturate)                                                                            \
	FPU_INLINE void lane_##name(union vec *d, const union vec *a, const union vec *b, unsigned n)             \
	{                                                                                                         \
		FOR_GROUPS(n, g, w) {                                                                             \
			const unsigned count = w / (unsigned)sizeof(d->from[0]);                                  \
			const unsigned src = g / (unsigned)sizeof(d->from[0]), dst = g / (unsigned)sizeof(d->to[0]); \
			for (unsigned k = 0; k < count; k++) {                                                    \
				d->to[dst + k] = (__typeof__(d->to[0]))saturate(a->from[src + k]);                \
				d->to[dst + count + k] = (__typeof__(d->to[0]))saturate(b->from[src + k]);        \
			}                                                                                         \
		}                                                                                                 \
	}

PACK(packsswb, i16, i8, sat_i8)
PACK(packuswb, i16, u8, sat_u8)
PACK(packssdw, i32, i16, sat_i16)
PACK(packusdw, i32, u16, sat_u16)
SIMD_SEM(packsswb)
EVEX_SEM(packsswb)
SIMD_SEM(packuswb)
EVEX_SEM(packuswb)
SIMD_SEM(packssdw)
EVEX_SEM(packssdw)
SSE_SEM(packusdw)
EVEX_SEM(packusdw)

/* Sums and differences of neighbours: the first operand fills the low half of each lane. */
#define HORIZONTAL(name, elem, expr)                                                                              \
	FPU_INLINE void lane_##name(union vec *d, const union vec *a, const union vec *b, unsigned n)             \
	{                                                                                                         \
		FOR_GROUPS(n, g, w) {                                                                             \
			const unsigned half = w / sizeof(d->elem[0]) / 2, base = g / (unsigned)sizeof(d->elem[0]); \
			for (unsigned k = 0; k < 2 * half; k++) {                                                 \
				const union vec *v = k < half ? a : b;                                            \
				const __typeof__(d->elem[0]) x = v->elem[base + 2 * (k % half)];                  \
				const __typeof__(d->elem[0]) y = v->elem[base + 2 * (k % half) + 1];              \
				d->elem[base + k] = (__typeof__(d->elem[0]))(expr);                               \
			}                                                                                         \
		}                                                                                                 \
	}                                                                                                         \
	SIMD_SEM(name)

HORIZONTAL(phaddw, u16, x + y)
HORIZONTAL(phaddd, u32, x + y)
HORIZONTAL(phaddsw, i16, sat_i16(x + y))
HORIZONTAL(phsubw, u16, x - y)
HORIZONTAL(phsubd, u32, x - y)
HORIZONTAL(phsubsw, i16, sat_i16(x - y))

FPU_INLINE void lane_pmaddwd(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	/* -32768 * -32768 twice wraps to 80000000h: the sum is unsigned. */
	for (unsigned k = 0; k < n / 4; k++)
		d->u32[k] = (uint32_t)(a->i16[2 * k] * b->i16[2 * k]) + (uint32_t)(a->i16[2 * k + 1] * b->i16[2 * k + 1]);
}
SIMD_SEM(pmaddwd)
EVEX_SEM(pmaddwd)

FPU_INLINE void lane_pmaddubsw(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 0; k < n / 2; k++)
		d->i16[k] = (int16_t)sat_i16(a->u8[2 * k] * b->i8[2 * k] + a->u8[2 * k + 1] * b->i8[2 * k + 1]);
}
SIMD_SEM(pmaddubsw)
EVEX_SEM(pmaddubsw)

FPU_INLINE unsigned abs_diff(unsigned x, unsigned y)
{
	return x > y ? x - y : y - x;
}

FPU_INLINE void lane_psadbw(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned q = 0; q < n / 8; q++) {
		unsigned sum = 0;
		for (unsigned k = 8 * q; k < 8 * q + 8; k++)
			sum += abs_diff(a->u8[k], b->u8[k]);
		d->u64[q] = sum;
	}
}
SIMD_SEM(psadbw)
EVEX_SEM(psadbw)

FPU_INLINE void lane_pshufb(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	FOR_GROUPS(n, g, w)
	for (unsigned k = g; k < g + w; k++)
		d->u8[k] = b->u8[k] & 0x80 ? 0 : a->u8[g + (b->u8[k] & (w - 1))];
}
SIMD_SEM(pshufb)
EVEX_SEM(pshufb)

FPU_INLINE void lane_phminposuw(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	unsigned best = 0;

	for (unsigned k = 1; k < 8; k++)
		if (b->u16[k] < b->u16[best])
			best = k;
	d->u64[0] = b->u16[best] | (uint64_t)best << 16;
	d->u64[1] = 0;
}
SSE_SEM(phminposuw)

/* ---- with an immediate --------------------------------------------------------------------------------- */

FPU_INLINE void lane_pshufd(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned k = 0; k < n / 4; k++)
		d->u32[k] = b->u32[(k & ~3u) + (imm >> 2 * (k & 3) & 3)];
}

/* PSHUFLW, PSHUFHW: `first` is the quadword of each lane that is shuffled, the other one is copied. */
FPU_INLINE void shuffle_words(union vec *d, const union vec *b, unsigned n, unsigned imm, unsigned first)
{
	for (unsigned k = 0; k < n / 2; k++) {
		const bool inside = (k >> 2 & 1) == first;
		d->u16[k] = b->u16[inside ? (k & ~3u) + (imm >> 2 * (k & 3) & 3) : k];
	}
}

FPU_INLINE void lane_pshuflw(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	shuffle_words(d, b, n, imm, 0);
}

FPU_INLINE void lane_pshufhw(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	shuffle_words(d, b, n, imm, 1);
}

FPU_INLINE void lane_shufps(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned k = 0; k < n / 4; k++)
		d->u32[k] = (k & 2 ? b : a)->u32[(k & ~3u) + (imm >> 2 * (k & 3) & 3)];
}

/* Each bit of the immediate selects one element; VEX.256 goes on with the next bits. */
FPU_INLINE void lane_shufpd(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned k = 0; k < n / 8; k++)
		d->u64[k] = (k & 1 ? b : a)->u64[(k & ~1u) + (imm >> k & 1)];
}

FPU_INLINE void lane_blendps(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned k = 0; k < n / 4; k++)
		d->u32[k] = (imm >> k & 1 ? b : a)->u32[k];
}

FPU_INLINE void lane_blendpd(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned k = 0; k < n / 8; k++)
		d->u64[k] = (imm >> k & 1 ? b : a)->u64[k];
}

FPU_INLINE void lane_pblendw(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned k = 0; k < n / 2; k++)
		d->u16[k] = (imm >> (k & 7) & 1 ? b : a)->u16[k];
}

FPU_INLINE void lane_palignr(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	FOR_GROUPS(n, g, w)
	for (unsigned k = 0; k < w; k++) {
		const unsigned from = k + imm;
		d->u8[g + k] = from < w ? b->u8[g + from] : from < 2 * w ? a->u8[g + from - w] : 0;
	}
}

FPU_INLINE void lane_mpsadbw(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned k = 0; k < n / 2; k++) {
		const unsigned lane = k / 8, pick = imm >> 3 * lane; /* each lane has three bits */
		const unsigned a0 = 16 * lane + (pick & 4) + k % 8, b0 = 16 * lane + 4 * (pick & 3);
		unsigned sum = 0;

		for (unsigned j = 0; j < 4; j++)
			sum += abs_diff(a->u8[a0 + j], b->u8[b0 + j]);
		d->u16[k] = (uint16_t)sum;
	}
}

SSE_SEM_IMM(pshufd)
EVEX_SEM_IMM(pshufd)
SSE_SEM_IMM(pshuflw)
EVEX_SEM_IMM(pshuflw)
SSE_SEM_IMM(pshufhw)
EVEX_SEM_IMM(pshufhw)
SSE_SEM_IMM(shufps)
EVEX_SEM_IMM(shufps)
SSE_SEM_IMM(shufpd)
EVEX_SEM_IMM(shufpd)
SSE_SEM_IMM(blendps)
SSE_SEM_IMM(blendpd)
SSE_SEM_IMM(pblendw)
SSE_SEM_IMM(palignr)
EVEX_SEM_IMM(palignr)
SSE_SEM_IMM(mpsadbw)

SEM(mmx_palignr)
{
	union vec a, b, d;

	if (mmx_source(e, i, MMX_BYTES, &b))
		return EMU_STOP;
	a.u64[0] = mmx_get(e, i->reg);
	lane_palignr(&d, &a, &b, MMX_BYTES, (uint8_t)i->imm);
	mmx_enter(e);
	mmx_set(e, i->reg, d.u64[0]);
	return 0;
}

SEM(mmx_pshufw)
{
	union vec b, d;

	if (mmx_source(e, i, MMX_BYTES, &b))
		return EMU_STOP;
	shuffle_words(&d, &b, MMX_BYTES, (uint8_t)i->imm, 0);
	mmx_enter(e);
	mmx_set(e, i->reg, d.u64[0]);
	return 0;
}

/* ---- variable blends: the mask is XMM0 or the fourth VEX operand, sign bit of each element -------------- */

#define BLENDV(name, elem, top)                                                                                   \
	SEM(sse_##name)                                                                                           \
	{                                                                                                         \
		const union vec *mask = &e->cpu.vec[0];                                                           \
		union vec d, b;                                                                                   \
		if (sse_source(e, i, SSE_BYTES, &b))                                                              \
			return EMU_STOP;                                                                          \
		for (unsigned k = 0; k < SSE_BYTES / sizeof(d.elem[0]); k++)                                      \
			d.elem[k] = (mask->elem[k] >> (top)) ? b.elem[k] : sse_reg(e, i)->elem[k];                \
		sse_write(e, i, &d);                                                                              \
		return 0;                                                                                         \
	}                                                                                                         \
	SEM(avx_##name)                                                                                           \
	{                                                                                                         \
		const union vec *mask = &e->cpu.vec[i->imm2];                                                     \
		union vec d, b;                                                                                   \
		if (vex_source(e, i, vex_bytes(i), &b))                                                           \
			return EMU_STOP;                                                                          \
		for (unsigned k = 0; k < vex_bytes(i) / sizeof(d.elem[0]); k++)                                   \
			d.elem[k] = (mask->elem[k] >> (top)) ? b.elem[k] : vex_first(e, i)->elem[k];              \
		vex_write(e, i, &d, vex_bytes(i));                                                                \
		return 0;                                                                                         \
	}
BLENDV(pblendvb, u8, 7)
BLENDV(blendvps, u32, 31)
BLENDV(blendvpd, u64, 63)

/* ---- widening: reads only as much memory as it needs, unaligned ---------------------------------------- */

#define EXTEND(name, from, to, size)                                                                              \
	SEM(sse_##name)                                                                                           \
	{                                                                                                         \
		union vec b, d;                                                                                   \
		if (sse_source(e, i, size, &b))                                                                   \
			return EMU_STOP;                                                                          \
		for (unsigned k = 0; k < SSE_BYTES / sizeof(d.to[0]); k++)                                        \
			d.to[k] = b.from[k];                                                                      \
		sse_write(e, i, &d);                                                                              \
		return 0;                                                                                         \
	}                                                                                                         \
	SEM(avx_##name)                                                                                           \
	{                                                                                                         \
		union vec b, d;                                                                                   \
		if (vex_source(e, i, (size) << i->vl, &b))                                                        \
			return EMU_STOP;                                                                          \
		for (unsigned k = 0; k < vex_bytes(i) / sizeof(d.to[0]); k++)                                     \
			d.to[k] = b.from[k];                                                                      \
		vex_write(e, i, &d, vex_bytes(i));                                                                \
		return 0;                                                                                         \
	}
EXTEND(pmovsxbw, i8, i16, 8)
EXTEND(pmovsxbd, i8, i32, 4)
EXTEND(pmovsxbq, i8, i64, 2)
EXTEND(pmovsxwd, i16, i32, 8)
EXTEND(pmovsxwq, i16, i64, 4)
EXTEND(pmovsxdq, i32, i64, 8)
EXTEND(pmovzxbw, u8, u16, 8)
EXTEND(pmovzxbd, u8, u32, 4)
EXTEND(pmovzxbq, u8, u64, 2)
EXTEND(pmovzxwd, u16, u32, 8)
EXTEND(pmovzxwq, u16, u64, 4)
EXTEND(pmovzxdq, u32, u64, 8)

/* ---- single elements ----------------------------------------------------------------------------------- */

/* The E operand of an insertion: the low bytes of a general register, or memory of that size. The decoder
 * numbers AH..BH where a row says "byte"; here the register is a 32-bit one. */
static int gpr_source(struct emu *e, const struct insn *i, unsigned size, uint64_t *value)
{
	*value = 0;
	if (i->is_mem)
		return emu_load(e, i, value, size);
	*value = e->cpu.gpr[i->rm & 15];
	return 0;
}

/* The E operand of an extraction: a register is zero-extended to 64 bits. */
static int gpr_result(struct emu *e, const struct insn *i, unsigned size, uint64_t value)
{
	if (i->is_mem)
		return emu_store(e, i, &value, size);
	e->cpu.gpr[i->rm & 15] = value;
	return 0;
}

/* PINSRD and PEXTRD are PINSRQ and PEXTRQ with REX.W. */
static unsigned dq_size(const struct insn *i)
{
	return i->prefixes & PFX_REX_W ? 8 : 4;
}

static int insert(struct emu *e, const struct insn *i, unsigned size)
{
	const unsigned slot = (unsigned)i->imm & (SSE_BYTES / size - 1);
	uint64_t value;

	if (gpr_source(e, i, size, &value))
		return EMU_STOP;
	memcpy(&sse_reg(e, i)->u8[slot * size], &value, size);
	return 0;
}

static int vex_insert(struct emu *e, const struct insn *i, unsigned size)
{
	const unsigned slot = (unsigned)i->imm & (SSE_BYTES / size - 1);
	union vec d = *vex_first(e, i);
	uint64_t value;

	if (gpr_source(e, i, size, &value))
		return EMU_STOP;
	memcpy(&d.u8[slot * size], &value, size);
	vex_write(e, i, &d, SSE_BYTES);
	return 0;
}

static int extract(struct emu *e, const struct insn *i, unsigned size)
{
	const unsigned slot = (unsigned)i->imm & (SSE_BYTES / size - 1);
	uint64_t value = 0;

	memcpy(&value, &sse_reg(e, i)->u8[slot * size], size);
	return gpr_result(e, i, size, value);
}

SEM(sse_pinsrb)
{
	return insert(e, i, 1);
}

SEM(sse_pinsrw)
{
	return insert(e, i, 2);
}

SEM(sse_pinsrd)
{
	return insert(e, i, dq_size(i));
}

SEM(avx_pinsrb)
{
	return vex_insert(e, i, 1);
}

SEM(avx_pinsrw)
{
	return vex_insert(e, i, 2);
}

SEM(avx_pinsrd)
{
	return vex_insert(e, i, dq_size(i));
}

SEM(sse_pextrb)
{
	return extract(e, i, 1);
}

/* 0F 3A 15: register or memory in rm. */
SEM(sse_pextrw_m)
{
	return extract(e, i, 2);
}

SEM(sse_pextrd)
{
	return extract(e, i, dq_size(i));
}

SEM(sse_extractps)
{
	return extract(e, i, 4);
}

/* 0F C5: the general register is in reg, the vector in rm. */
SEM(sse_pextrw)
{
	e->cpu.gpr[i->reg] = e->cpu.vec[i->rm].u16[i->imm & 7];
	return 0;
}

SEM(mmx_pextrw)
{
	e->cpu.gpr[i->reg] = mmx_get(e, i->rm) >> 16 * (i->imm & 3) & 0xffff;
	mmx_enter(e);
	return 0;
}

SEM(mmx_pinsrw)
{
	const unsigned shift = 16 * (i->imm & 3);
	uint64_t value, old = mmx_get(e, i->reg);

	if (gpr_source(e, i, 2, &value))
		return EMU_STOP;
	mmx_enter(e);
	mmx_set(e, i->reg, (old & ~(0xffffull << shift)) | (value & 0xffff) << shift);
	return 0;
}

/* INSERTPS: a memory operand is one dword, imm[7:6] then has no meaning. */
static int insert_single(struct emu *e, const struct insn *i, union vec *d)
{
	const unsigned imm = (uint8_t)i->imm;
	union vec b;

	if (vex_source(e, i, i->is_mem ? 4 : SSE_BYTES, &b))
		return EMU_STOP;
	d->u32[imm >> 4 & 3] = b.u32[i->is_mem ? 0 : imm >> 6];
	for (unsigned k = 0; k < 4; k++)
		if (imm >> k & 1)
			d->u32[k] = 0;
	return 0;
}

SEM(sse_insertps)
{
	return insert_single(e, i, sse_reg(e, i));
}

SEM(avx_insertps)
{
	union vec d = *vex_first(e, i);

	if (insert_single(e, i, &d))
		return EMU_STOP;
	vex_write(e, i, &d, SSE_BYTES);
	return 0;
}

/* ---- sign masks ---------------------------------------------------------------------------------------- */

/* Sign bits of eight bytes, gathered by one multiplication: bit 8k+7 lands in bit 56+k, without carries. */
static uint64_t sign_bits(uint64_t v)
{
	return (v & 0x8080808080808080) * 0x0002040810204081 >> 56;
}

SEM(sse_pmovmskb)
{
	const union vec *v = &e->cpu.vec[i->rm];

	e->cpu.gpr[i->reg] = sign_bits(v->u64[0]) | sign_bits(v->u64[1]) << 8;
	return 0;
}

SEM(mmx_pmovmskb)
{
	e->cpu.gpr[i->reg] = sign_bits(mmx_get(e, i->rm));
	mmx_enter(e);
	return 0;
}

SEM(avx_pmovmskb)
{
	const union vec *v = &e->cpu.vec[i->rm];
	uint64_t mask = 0;

	for (unsigned k = 0; k < vex_bytes(i) / 8; k++)
		mask |= sign_bits(v->u64[k]) << 8 * k;
	e->cpu.gpr[i->reg] = mask;
	return 0;
}

/* i->vl is 0 in legacy SSE. */
SEM(sse_movmskps)
{
	const union vec *v = &e->cpu.vec[i->rm];
	uint64_t mask = 0;

	for (unsigned k = 0; k < vex_bytes(i) / 4; k++)
		mask |= (uint64_t)(v->u32[k] >> 31) << k;
	e->cpu.gpr[i->reg] = mask;
	return 0;
}

SEM(sse_movmskpd)
{
	const union vec *v = &e->cpu.vec[i->rm];
	uint64_t mask = 0;

	for (unsigned k = 0; k < vex_bytes(i) / 8; k++)
		mask |= v->u64[k] >> 63 << k;
	e->cpu.gpr[i->reg] = mask;
	return 0;
}
