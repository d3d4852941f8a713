/* SPDX-License-Identifier: MIT */
/* A random state of the flat machine's cases. */
#include "oracle.h"

#include <string.h>

void random_state(struct state *s)
{
	memset(s, 0, sizeof(*s));
	random_x87(&s->fx);
	s->fx.mxcsr = (uint32_t)rnd() & 0xe07f;
	s->fx.mxcsr |= rnd_below(4) ? 0x1f80 : (uint32_t)rnd() & 0x1f80;
	if (rnd_below(2))
		s->fx.mxcsr &= ~0x3fu;
	for (unsigned n = 0; n < 16; n++)
		random_bytes(s->fx.xmm[n], 16);
	for (unsigned n = 0; n < 16 && native_has_avx(); n++)
		random_bytes(s->ymm_high[n], 16);
	if (rnd_below(4) == 0) { /* equal operands */
		const unsigned to = rnd_below(16), from = rnd_below(16);
		memcpy(s->fx.xmm[to], s->fx.xmm[from], 16);
		memcpy(s->ymm_high[to], s->ymm_high[from], 16);
	}
	if (native_has_avx512())
		random_zmm(s);
	for (unsigned n = 0; n < 16; n++)
		s->gpr[n] = random_integer();
	s->rflags = 0x202 | (rnd() & RFLAGS_ARITH);
	for (unsigned n = 0; n < WINDOW_BYTES; n += 64)
		random_bytes(s->window + n, 64);
	s->vector = NO_FAULT;
}
