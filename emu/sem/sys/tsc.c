/* SPDX-License-Identifier: MIT */
/* RDTSC, RDTSCP, RDPMC, RDPID, RDRAND, RDSEED. */
#include "internal.h"
#include "emu/core/tsc.h"

static bool tsc_is_forbidden(const struct emu *e)
{
	return (e->cpu.cr4 & CR4_TSD) && e->cpl > 0;
}

static void load_edx_eax(struct emu *e, uint64_t value)
{
	e->cpu.gpr[RAX] = (uint32_t)value;
	e->cpu.gpr[RDX] = value >> 32;
}

int sem_rdtsc(struct emu *e, const struct insn *i)
{
	if (tsc_is_forbidden(e))
		return emu_gp0(e);
	load_edx_eax(e, emu_tsc(e));
	return 0;
}

int sem_rdtscp(struct emu *e, const struct insn *i)
{
	if (tsc_is_forbidden(e))
		return emu_gp0(e);
	load_edx_eax(e, emu_tsc(e));
	e->cpu.gpr[RCX] = (uint32_t)e->cpu.msr.tsc_aux;
	return 0;
}

int sem_rdpid(struct emu *e, const struct insn *i)
{
	e->cpu.gpr[i->rm] = (uint32_t)e->cpu.msr.tsc_aux;
	return 0;
}

/* CPUID 0Ah reports no counters, so every index is out of range (SDM vol. 2, RDPMC). */
int sem_rdpmc(struct emu *e, const struct insn *i)
{
	return emu_gp0(e);
}

int sem_rdrand(struct emu *e, const struct insn *i)
{
	reg_write(e, i->rm, i->size, rng_next(&e->sys->rng));
	emu_flags_set(e, RFLAGS_ARITH, RFLAGS_CF);
	return 0;
}
