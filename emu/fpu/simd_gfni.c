/* SPDX-License-Identifier: MIT */
/* Galois field arithmetic on bytes, in plain C (SDM vol. 2, GF2P8MULB, GF2P8AFFINEQB, GF2P8AFFINEINVQB). */
#include "simd.h"

/* Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, the field of AES. */
static uint8_t multiply(uint8_t a, uint8_t b)
{
	unsigned x = a, product = 0;

	for (unsigned y = b; y; y >>= 1) {
		product ^= y & 1 ? x : 0;
		x = x << 1 ^ (x & 0x80 ? 0x11b : 0);
	}
	return (uint8_t)product;
}

/* x^254, which is 1/x, and 0 for 0: six squarings and products, and a last squaring. */
static uint8_t inverse(uint8_t x)
{
	uint8_t r = x;

	for (unsigned k = 0; k < 6; k++)
		r = multiply(multiply(r, r), x);
	return multiply(r, r);
}

/* Row 7 of the matrix is its lowest byte. */
static uint8_t affine(const uint8_t *matrix, uint8_t x, unsigned imm)
{
	unsigned out = imm;

	for (unsigned bit = 0; bit < 8; bit++)
		out ^= (unsigned)__builtin_parity(matrix[7 - bit] & x) << bit;
	return (uint8_t)out;
}

FPU_INLINE void lane_gf2p8mulb(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		d->u8[k] = multiply(a->u8[k], b->u8[k]);
}
SSE_ONLY_SEM(gf2p8mulb)

/* Each quadword of the second operand is the matrix for the eight bytes beside it. */
FPU_INLINE void lane_gf2p8affineqb(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned k = 0; k < n; k++)
		d->u8[k] = affine(b->u8 + (k & ~7u), a->u8[k], imm);
}

FPU_INLINE void lane_gf2p8affineinvqb(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned k = 0; k < n; k++)
		d->u8[k] = affine(b->u8 + (k & ~7u), inverse(a->u8[k]), imm);
}

SEM(sse_gf2p8affineqb)
{
	return sse_binary_imm(e, i, lane_gf2p8affineqb);
}

SEM(sse_gf2p8affineinvqb)
{
	return sse_binary_imm(e, i, lane_gf2p8affineinvqb);
}
