/* SPDX-License-Identifier: MIT */
/* Integer SIMD, element by element: arithmetic, logic, comparison, shifts (SDM vol. 2, the P* instructions). */
#include "evex.h"

/* Logic. The floating-point spellings (ANDPS, ANDPD, ...) are the same operation. */
LANES(pand, u64, x & y)
LANES(pandn, u64, ~x & y)
LANES(por, u64, x | y)
LANES(pxor, u64, x ^ y)
SIMD_SEM(pand)
EVEX_SEM(pand)
SIMD_SEM(pandn)
EVEX_SEM(pandn)
SIMD_SEM(por)
EVEX_SEM(por)
SIMD_SEM(pxor)
EVEX_SEM(pxor)

/* Wrapping arithmetic is done on unsigned elements; promoted products are kept unsigned, too. */
LANES(paddb, u8, x + y)
LANES(paddw, u16, x + y)
LANES(paddd, u32, x + y)
LANES(paddq, u64, x + y)
LANES(psubb, u8, x - y)
LANES(psubw, u16, x - y)
LANES(psubd, u32, x - y)
LANES(psubq, u64, x - y)
LANES(pmullw, u16, (uint32_t)x * y)
LANES(pmulhw, i16, ((int32_t)x * y) >> 16)
LANES(pmulhuw, u16, ((uint32_t)x * y) >> 16)
LANES(pmuludq, u64, (x & UINT32_MAX) * (y & UINT32_MAX))
LANES(pmuldq, i64, (int64_t)(int32_t)x * (int32_t)y)
LANES(pmulld, u32, x * y)
LANES(pmulhrsw, i16, ((((int32_t)x * y) >> 14) + 1) >> 1)
SIMD_SEM(paddb)
EVEX_SEM(paddb)
SIMD_SEM(paddw)
EVEX_SEM(paddw)
SIMD_SEM(paddd)
EVEX_SEM(paddd)
SIMD_SEM(paddq)
EVEX_SEM(paddq)
SIMD_SEM(psubb)
EVEX_SEM(psubb)
SIMD_SEM(psubw)
EVEX_SEM(psubw)
SIMD_SEM(psubd)
EVEX_SEM(psubd)
SIMD_SEM(psubq)
EVEX_SEM(psubq)
SIMD_SEM(pmullw)
EVEX_SEM(pmullw)
SIMD_SEM(pmulhw)
EVEX_SEM(pmulhw)
SIMD_SEM(pmulhuw)
EVEX_SEM(pmulhuw)
SIMD_SEM(pmuludq)
EVEX_SEM(pmuludq)
SSE_SEM(pmuldq)
EVEX_SEM(pmuldq)
SSE_SEM(pmulld)
EVEX_SEM(pmulld)
SIMD_SEM(pmulhrsw)
EVEX_SEM(pmulhrsw)

LANES(paddsb, i8, sat_i8(x + y))
LANES(paddsw, i16, sat_i16(x + y))
LANES(paddusb, u8, sat_u8(x + y))
LANES(paddusw, u16, sat_u16(x + y))
LANES(psubsb, i8, sat_i8(x - y))
LANES(psubsw, i16, sat_i16(x - y))
LANES(psubusb, u8, sat_u8(x - y))
LANES(psubusw, u16, sat_u16(x - y))
LANES(pavgb, u8, (x + y + 1) >> 1)
LANES(pavgw, u16, (x + y + 1) >> 1)
SIMD_SEM(paddsb)
EVEX_SEM(paddsb)
SIMD_SEM(paddsw)
EVEX_SEM(paddsw)
SIMD_SEM(paddusb)
EVEX_SEM(paddusb)
SIMD_SEM(paddusw)
EVEX_SEM(paddusw)
SIMD_SEM(psubsb)
EVEX_SEM(psubsb)
SIMD_SEM(psubsw)
EVEX_SEM(psubsw)
SIMD_SEM(psubusb)
EVEX_SEM(psubusb)
SIMD_SEM(psubusw)
EVEX_SEM(psubusw)
SIMD_SEM(pavgb)
EVEX_SEM(pavgb)
SIMD_SEM(pavgw)
EVEX_SEM(pavgw)

LANES(pcmpeqb, u8, x == y ? -1 : 0)
LANES(pcmpeqw, u16, x == y ? -1 : 0)
LANES(pcmpeqd, u32, x == y ? -1 : 0)
LANES(pcmpeqq, u64, x == y ? -1 : 0)
LANES(pcmpgtb, i8, x > y ? -1 : 0)
LANES(pcmpgtw, i16, x > y ? -1 : 0)
LANES(pcmpgtd, i32, x > y ? -1 : 0)
LANES(pcmpgtq, i64, x > y ? -1 : 0)
SIMD_SEM(pcmpeqb)
SIMD_SEM(pcmpeqw)
SIMD_SEM(pcmpeqd)
SSE_SEM(pcmpeqq)
SIMD_SEM(pcmpgtb)
SIMD_SEM(pcmpgtw)
SIMD_SEM(pcmpgtd)
SSE_SEM(pcmpgtq)

LANES(pminub, u8, x < y ? x : y)
LANES(pminuw, u16, x < y ? x : y)
LANES(pminud, u32, x < y ? x : y)
LANES(pminsb, i8, x < y ? x : y)
LANES(pminsw, i16, x < y ? x : y)
LANES(pminsd, i32, x < y ? x : y)
LANES(pmaxub, u8, x > y ? x : y)
LANES(pmaxuw, u16, x > y ? x : y)
LANES(pmaxud, u32, x > y ? x : y)
LANES(pmaxsb, i8, x > y ? x : y)
LANES(pmaxsw, i16, x > y ? x : y)
LANES(pmaxsd, i32, x > y ? x : y)
SIMD_SEM(pminub)
EVEX_SEM(pminub)
SSE_SEM(pminuw)
EVEX_SEM(pminuw)
SSE_SEM(pminud)
EVEX_SEM(pminud)
SSE_SEM(pminsb)
EVEX_SEM(pminsb)
SIMD_SEM(pminsw)
EVEX_SEM(pminsw)
SSE_SEM(pminsd)
EVEX_SEM(pminsd)
SIMD_SEM(pmaxub)
EVEX_SEM(pmaxub)
SSE_SEM(pmaxuw)
EVEX_SEM(pmaxuw)
SSE_SEM(pmaxud)
EVEX_SEM(pmaxud)
SSE_SEM(pmaxsb)
EVEX_SEM(pmaxsb)
SIMD_SEM(pmaxsw)
EVEX_SEM(pmaxsw)
SSE_SEM(pmaxsd)
EVEX_SEM(pmaxsd)

/* One-operand instructions: the first operand is only written. */
LANES(pabsb, u8, (int8_t)y < 0 ? 0 - y : y)
LANES(pabsw, u16, (int16_t)y < 0 ? 0 - y : y)
LANES(pabsd, u32, (int32_t)y < 0 ? 0 - y : y)
SIMD_SEM(pabsb)
EVEX_SEM(pabsb)
SIMD_SEM(pabsw)
EVEX_SEM(pabsw)
SIMD_SEM(pabsd)
EVEX_SEM(pabsd)

LANES(psignb, u8, (int8_t)y < 0 ? 0 - x : y ? x : 0)
LANES(psignw, u16, (int16_t)y < 0 ? 0 - x : y ? x : 0)
LANES(psignd, u32, (int32_t)y < 0 ? 0 - x : y ? x : 0)
SIMD_SEM(psignb)
SIMD_SEM(psignw)
SIMD_SEM(psignd)

/*
 * Shifts. The count is one number for all elements: the low 64 bits of the second operand, or an immediate.
 * A count that is too large clears (PSRA: fills with the sign).
 */
#define SHIFT_LANES(name, elem, in_range, overflow)                                                                \
	FPU_INLINE void shift_##name(union vec *d, const union vec *a, uint64_t count, unsigned n)                \
	{                                                                                                         \
		const unsigned bits = 8 * sizeof(d->elem[0]);                                                     \
		for (unsigned k = 0; k < n / sizeof(d->elem[0]); k++) {                                           \
			const __typeof__(d->elem[0]) x = a->elem[k];                                              \
			const unsigned c = (unsigned)count;                                                       \
			(void)x;                                                                                  \
			d->elem[k] = (__typeof__(d->elem[0]))(count < bits ? (in_range) : (overflow));            \
		}                                                                                                 \
	}                                                                                                         \
	FPU_INLINE void lane_##name(union vec *d, const union vec *a, const union vec *b, unsigned n)             \
	{                                                                                                         \
		shift_##name(d, a, b->u64[0], n);                                                                 \
	}                                                                                                         \
	EVEX_SEM(name)                                                                                            \
	SEM(evex_##name##i)                                                                                       \
	{                                                                                                         \
		union vec a, d;                                                                                   \
		if (evex_source(e, i, &a))                                                                        \
			return EMU_STOP;                                                                          \
		shift_##name(&d, &a, (uint8_t)i->imm, EVEX_BYTES);                                                \
		evex_put(e, i, i->vvvv, &d, evex_bytes(i));                                                       \
		return 0;                                                                                         \
	}

#define SHIFT(name, elem, in_range, overflow)                                                                     \
	SHIFT_LANES(name, elem, in_range, overflow)                                                               \
	SEM(mmx_##name)                                                                                           \
	{                                                                                                         \
		return mmx_binary(e, i, lane_##name);                                                             \
	}                                                                                                         \
	SSE_ONLY_SEM(name)                                                                                        \
	SEM(avx_##name)                                                                                           \
	{                                                                                                         \
		return i->vl ? vex_binary_n(e, i, AVX_BYTES, SSE_BYTES, lane_##name) :                            \
			       vex_binary_n(e, i, SSE_BYTES, SSE_BYTES, lane_##name);                             \
	}                                                                                                         \
	SEM(avx_##name##i)                                                                                        \
	{                                                                                                         \
		union vec d;                                                                                      \
		shift_##name(&d, &e->cpu.vec[i->rm], (uint8_t)i->imm, AVX_BYTES);                                 \
		vex_put(e, i->vvvv, &d, vex_bytes(i));                                                            \
		return 0;                                                                                         \
	}                                                                                                         \
	SEM(mmx_##name##i)                                                                                        \
	{                                                                                                         \
		union vec a, d;                                                                                   \
		a.u64[0] = mmx_get(e, i->rm);                                                                     \
		shift_##name(&d, &a, (uint8_t)i->imm, MMX_BYTES);                                                 \
		mmx_enter(e);                                                                                     \
		mmx_set(e, i->rm, d.u64[0]);                                                                      \
		return 0;                                                                                         \
	}                                                                                                         \
	SEM(sse_##name##i)                                                                                        \
	{                                                                                                         \
		union vec d;                                                                                      \
		shift_##name(&d, &e->cpu.vec[i->rm], (uint8_t)i->imm, SSE_BYTES);                                 \
		memcpy(&e->cpu.vec[i->rm], &d, SSE_BYTES);                                                        \
		return 0;                                                                                         \
	}

SHIFT(psllw, u16, x << c, 0)
SHIFT(pslld, u32, x << c, 0)
SHIFT(psllq, u64, x << c, 0)
SHIFT(psrlw, u16, x >> c, 0)
SHIFT(psrld, u32, x >> c, 0)
SHIFT(psrlq, u64, x >> c, 0)
SHIFT(psraw, i16, x >> c, x >> 15)
SHIFT(psrad, i32, x >> c, x >> 31)
SHIFT_LANES(psraq, i64, x >> c, x >> 63) /* EVEX only */

/* Variable shifts: each element has its own count. */
LANES(psllvd, u32, y < 32 ? x << y : 0)
LANES(psllvq, u64, y < 64 ? x << y : 0)
LANES(psrlvd, u32, y < 32 ? x >> y : 0)
LANES(psrlvq, u64, y < 64 ? x >> y : 0)
LANES(psravd, i32, x >> ((uint32_t)y < 32 ? y : 31))
VEX_SEM(psllvd)
EVEX_SEM(psllvd)
VEX_SEM(psllvq)
EVEX_SEM(psllvq)
VEX_SEM(psrlvd)
EVEX_SEM(psrlvd)
VEX_SEM(psrlvq)
EVEX_SEM(psrlvq)
VEX_SEM(psravd)
EVEX_SEM(psravd)

/* Byte shifts of each 128-bit lane. */
static void byte_shift(union vec *d, const union vec *s, const struct insn *i, unsigned n, bool left)
{
	const int count = (uint8_t)i->imm > SSE_BYTES ? SSE_BYTES : (uint8_t)i->imm;

	for (unsigned g = 0; g < n; g += SSE_BYTES) {
		uint8_t wide[3 * SSE_BYTES] = { 0 };

		memcpy(wide + SSE_BYTES, s->u8 + g, SSE_BYTES);
		memcpy(d->u8 + g, wide + SSE_BYTES + (left ? -count : count), SSE_BYTES);
	}
}

SEM(sse_pslldq)
{
	byte_shift(&e->cpu.vec[i->rm], &e->cpu.vec[i->rm], i, SSE_BYTES, true);
	return 0;
}

SEM(sse_psrldq)
{
	byte_shift(&e->cpu.vec[i->rm], &e->cpu.vec[i->rm], i, SSE_BYTES, false);
	return 0;
}

static int vex_byte_shift(struct emu *e, const struct insn *i, bool left)
{
	union vec d;

	byte_shift(&d, &e->cpu.vec[i->rm], i, vex_bytes(i), left);
	vex_put(e, i->vvvv, &d, vex_bytes(i));
	return 0;
}

SEM(avx_pslldq)
{
	return vex_byte_shift(e, i, true);
}

SEM(avx_psrldq)
{
	return vex_byte_shift(e, i, false);
}

static int evex_byte_shift(struct emu *e, const struct insn *i, bool left)
{
	union vec s, d;

	if (evex_source(e, i, &s))
		return EMU_STOP;
	byte_shift(&d, &s, i, evex_bytes(i), left);
	vex_put(e, i->vvvv, &d, evex_bytes(i));
	return 0;
}

SEM(evex_pslldq)
{
	return evex_byte_shift(e, i, true);
}

SEM(evex_psrldq)
{
	return evex_byte_shift(e, i, false);
}

/* PTEST: ZF = (a AND b) == 0, CF = (NOT a AND b) == 0, the others cleared. VTESTPS and VTESTPD look at signs only. */
static void test_flags(struct emu *e, const union vec *a, const union vec *b, unsigned n, uint64_t mask)
{
	uint64_t both = 0, only_b = 0;

	for (unsigned k = 0; k < n / 8; k++) {
		both |= a->u64[k] & b->u64[k] & mask;
		only_b |= ~a->u64[k] & b->u64[k] & mask;
	}
	emu_flags_set(e, RFLAGS_ARITH, (both ? 0 : RFLAGS_ZF) | (only_b ? 0 : RFLAGS_CF));
}

SEM(sse_ptest)
{
	union vec b;

	if (sse_source(e, i, SSE_BYTES, &b))
		return EMU_STOP;
	test_flags(e, sse_reg(e, i), &b, SSE_BYTES, UINT64_MAX);
	return 0;
}

#define VEX_TEST(name, mask)                                                                                      \
	SEM(avx_##name)                                                                                           \
	{                                                                                                         \
		union vec b;                                                                                      \
		if (vex_source(e, i, vex_bytes(i), &b))                                                           \
			return EMU_STOP;                                                                          \
		test_flags(e, sse_reg(e, i), &b, vex_bytes(i), mask);                                             \
		return 0;                                                                                         \
	}
VEX_TEST(ptest, UINT64_MAX)
VEX_TEST(testps, 0x8000000080000000)
VEX_TEST(testpd, 0x8000000000000000)
