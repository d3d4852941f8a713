/* SPDX-License-Identifier: MIT */
/* A random state of registers. */
#include "silicon.h"

#include <string.h>

static bool one_in(unsigned n)
{
	return rnd_below(n) == 0;
}

/* Opmasks, and what only AVX-512 has of vectors. */
static void random_zmm(struct state *s)
{
	static const uint64_t masks[] = { 0, 1, 0x8000000000000000, UINT64_MAX, 0x5555555555555555, 0xff, 0xfe, 0xffff, 3, 2 };

	for (unsigned n = 0; n < 16; n++) {
		random_bytes(s->zmm_high[n], sizeof(s->zmm_high[n]));
		random_bytes(s->zmm16[n], sizeof(s->zmm16[n]));
	}
	for (unsigned n = 0; n < 8; n++)
		s->k[n] = rnd_below(2) ? rnd() : masks[rnd_below(sizeof(masks) / sizeof(masks[0]))];
}

static void make_equal_registers(struct state *s)
{
	const unsigned to = rnd_below(16), from = rnd_below(16);

	memcpy(s->fx.xmm[to], s->fx.xmm[from], sizeof(s->fx.xmm[to]));
	memcpy(s->ymm_high[to], s->ymm_high[from], sizeof(s->ymm_high[to]));
	memcpy(s->zmm_high[to], s->zmm_high[from], sizeof(s->zmm_high[to]));
	memcpy(s->zmm16[from], s->zmm16[to], sizeof(s->zmm16[to]));
}

void random_state(struct state *s, enum vectors vectors)
{
	memset(s, 0, sizeof(*s));
	random_x87(&s->fx);
	s->fx.mxcsr = (uint32_t)rnd() & 0xe07f;
	s->fx.mxcsr |= rnd_below(4) ? 0x1f80 : (uint32_t)rnd() & 0x1f80;
	for (unsigned n = 0; n < 16; n++)
		random_bytes(s->fx.xmm[n], 16);
	for (unsigned n = 0; n < 16 && vectors >= VECTORS_YMM; n++)
		random_bytes(s->ymm_high[n], 16);
	if (vectors >= VECTORS_ZMM)
		random_zmm(s);
	if (one_in(4))
		make_equal_registers(s);
	for (unsigned n = 0; n < 16; n++)
		s->gpr[n] = random_integer();
	s->rflags = 0x202 | (rnd() & RFLAGS_ARITH);
}

/* Where the double word of a vector register is kept. */
static uint8_t *element(struct state *s, unsigned reg, unsigned n)
{
	if (reg >= 16)
		return s->zmm16[reg - 16] + 4 * n;
	return n < 4 ? s->fx.xmm[reg] + 4 * n : n < 8 ? s->ymm_high[reg] + 4 * (n - 4) : s->zmm_high[reg] + 4 * (n - 8);
}

void tame_indexes(struct state *s, unsigned reg, bool quads, unsigned scale)
{
	for (unsigned n = 0; n < 16; n++) {
		const int32_t offset = one_in(64) ? -0x4000000 : (int32_t)(rnd_below(480) >> scale);
		int32_t before;

		if (n % 2 == 0 || !quads) {
			memcpy(element(s, reg, n), &offset, 4);
			continue;
		}
		memcpy(&before, element(s, reg, n - 1), 4);
		before >>= 31; /* its sign */
		memcpy(element(s, reg, n), &before, 4);
	}
}
