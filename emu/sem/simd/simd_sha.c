/* SPDX-License-Identifier: MIT */
/* The SHA extensions in plain C (FIPS 180-4; SDM vol. 2, SHA1* and SHA256*). Element 3 is the first word. */
#include "simd.h"

static uint32_t rol(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static uint32_t choose(uint32_t x, uint32_t y, uint32_t z)
{
	return (x & y) ^ (~x & z);
}

static uint32_t majority(uint32_t x, uint32_t y, uint32_t z)
{
	return (x & y) ^ (x & z) ^ (y & z);
}

/* FIPS 180-4, 4.1.2: the large and small sigma functions, by right rotation (and shift). */
static uint32_t sigma(uint32_t v, unsigned a, unsigned b, unsigned c)
{
	return rol(v, 32 - a) ^ rol(v, 32 - b) ^ rol(v, 32 - c);
}

static uint32_t small_sigma(uint32_t v, unsigned a, unsigned b, unsigned shift)
{
	return rol(v, 32 - a) ^ rol(v, 32 - b) ^ v >> shift;
}

/* FIPS 180-4, 4.1.1 and 4.2.1: function and constant of each group of twenty rounds. */
static uint32_t sha1_f(unsigned group, uint32_t b, uint32_t c, uint32_t d)
{
	static const uint32_t k[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
	const uint32_t f = group == 0 ? choose(b, c, d) : group == 2 ? majority(b, c, d) : b ^ c ^ d;

	return f + k[group];
}

/* E of the first round is already added to its message word. */
FPU_INLINE void lane_sha1rnds4(union vec *out, const union vec *s, const union vec *w, unsigned n, unsigned imm)
{
	uint32_t a = s->u32[3], b = s->u32[2], c = s->u32[1], d = s->u32[0], e = 0;

	for (unsigned k = 4; k-- > 0;) {
		const uint32_t next = sha1_f(imm & 3, b, c, d) + rol(a, 5) + w->u32[k] + e;
		e = d;
		d = c;
		c = rol(b, 30);
		b = a;
		a = next;
	}
	out->u32[3] = a;
	out->u32[2] = b;
	out->u32[1] = c;
	out->u32[0] = d;
}

SEM(sse_sha1rnds4)
{
	return sse_binary_imm(e, i, lane_sha1rnds4);
}

FPU_INLINE void lane_sha1nexte(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	memcpy(d, b, SSE_BYTES);
	d->u32[3] += rol(a->u32[3], 30);
}

FPU_INLINE void lane_sha1msg1(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	d->u32[3] = a->u32[1] ^ a->u32[3];
	d->u32[2] = a->u32[0] ^ a->u32[2];
	d->u32[1] = b->u32[3] ^ a->u32[1];
	d->u32[0] = b->u32[2] ^ a->u32[0];
}

FPU_INLINE void lane_sha1msg2(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 3; k > 0; k--)
		d->u32[k] = rol(a->u32[k] ^ b->u32[k - 1], 1);
	d->u32[0] = rol(a->u32[0] ^ d->u32[3], 1);
}

FPU_INLINE void lane_sha256msg1(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 0; k < 4; k++)
		d->u32[k] = a->u32[k] + small_sigma(k < 3 ? a->u32[k + 1] : b->u32[0], 7, 18, 3);
}

FPU_INLINE void lane_sha256msg2(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 0; k < 4; k++)
		d->u32[k] = a->u32[k] + small_sigma(k < 2 ? b->u32[k + 2] : d->u32[k - 2], 17, 19, 10);
}

SSE_ONLY_SEM(sha1nexte)
SSE_ONLY_SEM(sha1msg1)
SSE_ONLY_SEM(sha1msg2)
SSE_ONLY_SEM(sha256msg1)
SSE_ONLY_SEM(sha256msg2)

/* The state is split over both operands: ABEF in the second, CDGH in the first. XMM0 has the words plus constants. */
SEM(sse_sha256rnds2)
{
	const union vec *wk = &e->cpu.vec[0], *cdgh = sse_reg(e, i);
	union vec abef, out;
	uint32_t s[8];

	if (sse_source(e, i, SSE_BYTES, &abef))
		return EMU_STOP;
	for (unsigned k = 0; k < 2; k++) {
		s[k] = abef.u32[3 - k];
		s[k + 2] = cdgh->u32[3 - k];
		s[k + 4] = abef.u32[1 - k];
		s[k + 6] = cdgh->u32[1 - k];
	}
	for (unsigned k = 0; k < 2; k++) {
		const uint32_t t1 = s[7] + sigma(s[4], 6, 11, 25) + choose(s[4], s[5], s[6]) + wk->u32[k];
		const uint32_t t2 = sigma(s[0], 2, 13, 22) + majority(s[0], s[1], s[2]);
		memmove(s + 1, s, 7 * sizeof(s[0]));
		s[4] += t1;
		s[0] = t1 + t2;
	}
	out.u32[3] = s[0];
	out.u32[2] = s[1];
	out.u32[1] = s[4];
	out.u32[0] = s[5];
	sse_write(e, i, &out);
	return 0;
}
