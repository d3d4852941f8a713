/* SPDX-License-Identifier: MIT */
/* When fast vector handlers may run, and whose flags the host's MXCSR holds. */
#include "fast_simd.h"

uint8_t simd_usable(const struct emu *e)
{
	const struct cpu *c = &e->cpu;
	uint8_t units = 0;

	if ((c->cr0 & (CR0_EM | CR0_TS)) == 0 && (c->cr4 & CR4_OSFXSR))
		units |= SIMD_SSE;
	if (!(c->cr0 & CR0_TS) && (c->cr4 & CR4_OSXSAVE) && (c->xcr0 & 6) == 6)
		units |= SIMD_AVX;
	if ((units & SIMD_AVX) && (c->xcr0 & 0xe6) == 0xe6)
		units |= SIMD_AVX512;
	if (!(c->cr0 & (CR0_EM | CR0_TS)))
		units |= SIMD_X87;
	return units;
}

#ifdef SIMD_NATIVE

enum { MXCSR_FLAGS = 0x3f, MXCSR_MASKS = 0x1f80 };

void simd_sync(struct emu *e)
{
	uint32_t now;

	__asm__ volatile("stmxcsr %0" : "=m"(now));
	e->cpu.mxcsr |= now & MXCSR_FLAGS;
	e->simd_live = 0;
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
void h_simd_enter(struct emu *e, const struct insn *i)
{
	if (e->simd_live || !(e->simd & (SIMD_SSE | SIMD_AVX | SIMD_AVX512)) || (e->cpu.mxcsr & MXCSR_MASKS) != MXCSR_MASKS)
		TAIL(h_generic(e, i));
	load_mxcsr(e);
	e->simd_live = e->simd;
	GO(e, i);
}

#else

void simd_sync(struct emu *e)
{
	e->simd_live = 0;
}

void h_simd_enter(struct emu *e, const struct insn *i)
{
	TAIL(h_generic(e, i));
}

#endif
