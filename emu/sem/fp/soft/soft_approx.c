/* SPDX-License-Identifier: MIT */
/*
 * Provider P: VRCP14xx and VRSQRT14xx by division, rounded to nearest, and cut to 14 bits of fraction. Their relative
 * error must be below 2^-14.
 */
#include "emu/sem/fp/provider_table.h"

#include <string.h>

enum { DROPPED32 = 23 - 14, DROPPED64 = 52 - 14 };

/* Cut towards zero; NaNs keep their payload. */
static void cut32(union vec *v)
{
	for (unsigned k = 0; k < 4; k++)
		if ((v->u32[k] & 0x7fffffff) <= 0x7f800000)
			v->u32[k] &= ~((1u << DROPPED32) - 1);
}

static void cut64(union vec *v)
{
	for (unsigned k = 0; k < 2; k++)
		if ((v->u64[k] & 0x7fffffffffffffff) <= 0x7ff0000000000000)
			v->u64[k] &= ~((1ull << DROPPED64) - 1);
}

static const union vec one32 = { .u32 = { 0x3f800000, 0x3f800000, 0x3f800000, 0x3f800000 } };
static const union vec one64 = { .u64 = { 0x3ff0000000000000, 0x3ff0000000000000 } };

/* 1 / s or 1 / sqrt(s), 16 bytes at a time, to nearest. */
static void quotient(union vec *d, const union vec *s, uint32_t mxcsr, bool twice, bool root)
{
	mxcsr &= ~0x6000u; /* RC */
	for (unsigned at = 0; at < sizeof(*d); at += 16) {
		union vec q = twice ? one64 : one32, v;

		memcpy(&v, s->u8 + at, 16);
		if (root && twice)
			soft_sqrtpd(&v, &v, mxcsr);
		else if (root)
			soft_sqrtps(&v, &v, mxcsr);
		if (twice) {
			soft_divpd(&q, &v, mxcsr);
			cut64(&q);
		} else {
			soft_divps(&q, &v, mxcsr);
			cut32(&q);
		}
		memcpy(d->u8 + at, &q, 16);
	}
}

#define APPROXIMATION(name, twice, root)                                                                          \
	uint32_t soft_##name(union vec *d, const union vec *s, uint32_t mxcsr)                                    \
	{                                                                                                         \
		quotient(d, s, mxcsr, twice, root);                                                               \
		return 0;                                                                                         \
	}
APPROXIMATION(rcp14ps, false, false)
APPROXIMATION(rcp14pd, true, false)
APPROXIMATION(rsqrt14ps, false, true)
APPROXIMATION(rsqrt14pd, true, true)
