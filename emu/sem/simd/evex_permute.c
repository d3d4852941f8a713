/* SPDX-License-Identifier: MIT */
/* AVX-512 permutations over whole vectors, blends. */
#include "evex.h"

/* One table: W, indexes in H. */
#define PERMUTE(name, elem)                                                                                       \
	static void lane_##name(union vec *d, const union vec *a, const union vec *b, unsigned n)                 \
	{                                                                                                         \
		const unsigned count = n / (unsigned)sizeof(d->elem[0]);                                          \
		for (unsigned k = 0; k < count; k++)                                                              \
			d->elem[k] = b->elem[a->elem[k] & (count - 1)];                                           \
	}                                                                                                         \
	EVEX_SHAPED(name, binary, lane_##name)
PERMUTE(permb, u8)
PERMUTE(permw, u16)

/* VPERMQ, VPERMPD with indexes in H. */
PERMUTE(permq_var, u64)

/* Two tables, of which W is the second one. VPERMI2x: V holds the indexes and is replaced; VPERMT2x: V is a table. */
#define PERMUTE2(s, elem)                                                                                         \
	static void permute2_##s(union vec *d, const union vec *index, const union vec *t1, const union vec *t2,  \
				 unsigned n)                                                                      \
	{                                                                                                         \
		const unsigned count = n / (unsigned)sizeof(d->elem[0]);                                          \
		for (unsigned k = 0; k < count; k++) {                                                            \
			const unsigned from = (unsigned)index->elem[k];                                           \
			d->elem[k] = (from & count ? t2 : t1)->elem[from & (count - 1)];                          \
		}                                                                                                 \
	}                                                                                                         \
	static void lane_permi2##s(union vec *d, const union vec *a, const union vec *b, unsigned n)              \
	{                                                                                                         \
		const union vec index = *d;                                                                       \
		permute2_##s(d, &index, a, b, n);                                                                 \
	}                                                                                                         \
	static void lane_permt2##s(union vec *d, const union vec *a, const union vec *b, unsigned n)              \
	{                                                                                                         \
		const union vec table = *d;                                                                       \
		permute2_##s(d, a, &table, b, n);                                                                 \
	}                                                                                                         \
	EVEX_SHAPED(permi2##s, ternary, lane_permi2##s)                                                           \
	EVEX_SHAPED(permt2##s, ternary, lane_permt2##s)
PERMUTE2(b, u8)
PERMUTE2(w, u16)
PERMUTE2(d, u32)
PERMUTE2(q, u64)

/* H:W shifted right by elements. */
#define ALIGN(name, elem)                                                                                         \
	static void lane_##name(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)   \
	{                                                                                                         \
		const unsigned count = n / (unsigned)sizeof(d->elem[0]), shift = imm & (count - 1);               \
		for (unsigned k = 0; k < count; k++)                                                              \
			d->elem[k] = k + shift < count ? b->elem[k + shift] : a->elem[k + shift - count];         \
	}                                                                                                         \
	EVEX_SHAPED(name, binary_imm, lane_##name)
ALIGN(alignd, u32)
ALIGN(alignq, u64)

/* VSHUFF32X4 and its kin: 128-bit parts, the lower half of the result from H, the upper one from W. */
static void lane_shuf128(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	const unsigned parts = n / SSE_BYTES, bits = parts == 4 ? 2 : 1;

	for (unsigned k = 0; k < parts; k++) {
		const unsigned from = imm >> bits * k & (parts - 1);

		memcpy(d->u8 + k * SSE_BYTES, (k < parts / 2 ? a : b)->u8 + from * SSE_BYTES, SSE_BYTES);
	}
}
EVEX_SHAPED(shuf128, binary_imm, lane_shuf128)

/* The mask chooses between H and W; with zeroing, between zero and W. The old destination plays no part. */
SEM(evex_blendm)
{
	const unsigned size = evex_row(i)->elem;
	const uint64_t mask = evex_mask(e, i);
	union vec b;

	if (evex_source(e, i, &b))
		return EMU_STOP;
	for (unsigned k = 0; k < EVEX_BYTES / size; k++)
		if (!(mask >> k & 1))
			memcpy(b.u8 + k * size, vex_first(e, i)->u8 + k * size, size);
	if (i->zero)
		evex_write(e, i, &b);
	else
		vex_write(e, i, &b, evex_bytes(i));
	return 0;
}
