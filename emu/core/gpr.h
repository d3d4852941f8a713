/* SPDX-License-Identifier: MIT */
/* General registers and numbers of 1, 2, 4 or 8 bytes. */
#ifndef BULKHEAD_EMU_GPR_H
#define BULKHEAD_EMU_GPR_H

#include "emu.h"

static inline uint64_t size_mask(unsigned size)
{
	return UINT64_MAX >> (64 - 8 * size);
}

static inline uint64_t truncate_to(uint64_t v, unsigned size)
{
	return v & size_mask(size);
}

static inline int64_t sign_extend_from(uint64_t v, unsigned size)
{
	return (int64_t)(v << (64 - 8 * size)) >> (64 - 8 * size);
}

/* General registers. size 1: `r` may be one of REG8_AH.. ; 32-bit writes clear the upper half (SDM vol. 1, 3.4.1.1). */
static inline uint64_t reg_read(const struct emu *e, unsigned r, unsigned size)
{
	if (size == 1 && r >= REG8_AH)
		return e->cpu.gpr[r - REG8_AH] >> 8 & 0xff;
	return e->cpu.gpr[r] & size_mask(size);
}

static inline void reg_write(struct emu *e, unsigned r, unsigned size, uint64_t v)
{
	uint64_t *g = e->cpu.gpr;

	switch (size) {
	case 1:
		if (r >= REG8_AH)
			g[r - REG8_AH] = (g[r - REG8_AH] & ~0xff00ull) | (v & 0xff) << 8;
		else
			g[r] = (g[r] & ~0xffull) | (v & 0xff);
		break;
	case 2:
		g[r] = (g[r] & ~0xffffull) | (v & 0xffff);
		break;
	case 4:
		g[r] = (uint32_t)v;
		break;
	default:
		g[r] = v;
		break;
	}
}

#endif
