/* SPDX-License-Identifier: MIT */
/* One instruction by its row: the checks that all semantic functions rely on, then the function. */
#include "sem.h"
#include "emu/isa/coverage.h"
#include "emu/isa/isa.h"

/* #NM and #UD by CR0 and CR4, pending x87 exceptions (SDM vol. 3, 2.5, 13.1; vol. 1, 8.7). */
static int check_fpu(struct emu *e, uint32_t attr)
{
	const struct cpu *c = &e->cpu;

	if ((attr & ISA_SSEX) && ((c->cr0 & CR0_EM) || !(c->cr4 & CR4_OSFXSR)))
		return emu_ud(e);
	if ((attr & ISA_AVXX) && (!(c->cr4 & CR4_OSXSAVE) || (c->xcr0 & 6) != 6))
		return emu_ud(e);
	if ((attr & ISA_AVX512X) && (!(c->cr4 & CR4_OSXSAVE) || (c->xcr0 & 0xe6) != 0xe6))
		return emu_ud(e);
	if ((attr & ISA_MMXX) && (c->cr0 & CR0_EM))
		return emu_ud(e);
	if ((c->cr0 & CR0_TS) || ((attr & ISA_FP) && (c->cr0 & CR0_EM)))
		return emu_fault(e, VEC_NM);
	if ((attr & (ISA_FP | ISA_MMXX)) && !(attr & ISA_FPNW) && (c->fpu.sw & 0x80) && (c->cr0 & CR0_NE))
		return emu_fault(e, VEC_MF);
	return 0;
}

int insn_execute(struct emu *e, const struct insn *i)
{
	const struct isa_row *row = &isa_rows[i->id];

	if ((row->modes & ISA_MODE_PROT) && (!(e->cpu.cr0 & CR0_PE) || (e->cpu.rflags & RFLAGS_VM)))
		return emu_ud(e);
	if (row->attr & (ISA_PRIV | ISA_FP | ISA_SSEX | ISA_MMXX | ISA_AVXX | ISA_AVX512X)) {
		if ((row->attr & ISA_PRIV) && e->cpl != 0)
			return emu_gp0(e);
		if ((row->attr & (ISA_FP | ISA_SSEX | ISA_MMXX | ISA_AVXX | ISA_AVX512X)) && check_fpu(e, row->attr))
			return EMU_STOP;
	}
	isa_cover(i->id);
	return row->sem ? row->sem(e, i) : emu_ud(e);
}
