/* SPDX-License-Identifier: MIT */
/* Whose flags the host's MXCSR holds. */
#include "fast_simd.h"

#ifdef HOST_X86_64

enum { MXCSR_FLAGS = 0x3f, MXCSR_MASKS = 0x1f80 };

void mxcsr_sync(struct emu *e)
{
	uint32_t now;

	__asm__ volatile("stmxcsr %0" : "=m"(now));
	e->cpu.mxcsr |= now & MXCSR_FLAGS;
	e->mxcsr_live = 0;
	if ((now ^ e->host_mxcsr) & ~(uint32_t)MXCSR_FLAGS)
		__asm__ volatile("ldmxcsr %0" : : "m"(e->host_mxcsr));
}

/* The guest's flags may be more than the host's, but not the other way round: they would appear from nowhere. LDMXCSR is
 * slow and mostly not needed. */
static void load_mxcsr(struct emu *e)
{
	const uint32_t guest = e->cpu.mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(e->host_mxcsr));
	if ((e->host_mxcsr | MXCSR_FLAGS) != (guest | MXCSR_FLAGS) || (e->host_mxcsr & ~guest))
		__asm__ volatile("ldmxcsr %0" : : "m"(guest));
}

/* Loads the guest's MXCSR and runs the instruction again, if its unit is usable and nothing it raises can fault. */
void h_mxcsr_load(struct emu *e, const struct insn *i)
{
	if (e->mxcsr_live || !(e->units & (UNIT_SSE | UNIT_AVX | UNIT_AVX512)) || (e->cpu.mxcsr & MXCSR_MASKS) != MXCSR_MASKS)
		TAIL(h_generic(e, i));
	load_mxcsr(e);
	e->mxcsr_live = e->units;
	/* Not what stands in front of a translated block: that may have sent us here, and would again. */
	if (e->block && i == e->block->insns)
		TAIL(e->block->first(e, i));
	GO(e, i);
}

#else

void mxcsr_sync(struct emu *e)
{
	e->mxcsr_live = 0;
}

void h_mxcsr_load(struct emu *e, const struct insn *i)
{
	TAIL(h_generic(e, i));
}

#endif
