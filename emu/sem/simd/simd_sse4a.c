/* SPDX-License-Identifier: MIT */
/* SSE4a: bit fields of the low quadword (AMD64 APM vol. 4, EXTRQ and INSERTQ). The upper quadword is undefined. */
#include "simd.h"

/* Length 0 means 64. A field that runs over bit 63 is undefined; processors cut it off. */
static uint64_t field_mask(unsigned length)
{
	return length & 63 ? (1ull << (length & 63)) - 1 : UINT64_MAX;
}

static void extract(union vec *v, unsigned length, unsigned index)
{
	v->u64[0] = v->u64[0] >> (index & 63) & field_mask(length);
	v->u64[1] = 0;
}

static void insert(union vec *v, uint64_t source, unsigned length, unsigned index)
{
	const uint64_t mask = field_mask(length) << (index & 63);

	v->u64[0] = (v->u64[0] & ~mask) | (source << (index & 63) & mask);
	v->u64[1] = 0;
}

SEM(sse_extrqi)
{
	extract(&e->cpu.vec[i->rm], (unsigned)i->imm, i->imm2);
	return 0;
}

SEM(sse_extrq)
{
	const union vec *how = &e->cpu.vec[i->rm];

	extract(sse_reg(e, i), how->u8[0], how->u8[1]);
	return 0;
}

SEM(sse_insertqi)
{
	insert(sse_reg(e, i), e->cpu.vec[i->rm].u64[0], (unsigned)i->imm, i->imm2);
	return 0;
}

SEM(sse_insertq)
{
	const union vec source = e->cpu.vec[i->rm];

	insert(sse_reg(e, i), source.u64[0], source.u8[8], source.u8[9]);
	return 0;
}
