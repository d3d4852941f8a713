/* SPDX-License-Identifier: MIT */
/* The handlers every instruction can have: the generic one, the end of a block, a dropped block. */
#include "block.h"
#include "emu/isa/coverage.h"
#include "emu/isa/isa.h"
#include "emu/mmu/mmu.h"

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

/* Leaves the block behind (r == 0 or a jump) or at (a fault) instruction i. */
static void leave(struct emu *e, const struct insn *i, int r)
{
	int32_t count = e->block ? (int32_t)(i - e->block->insns) + 1 : 1;

	if (e->fault.pending) {
		e->cpu.rip = emu_rip(e, i);
		count--;
	} else if (r == 0) {
		e->cpu.rip = emu_next_rip(e, i);
	}
	e->budget -= count;
	e->interp->patch = NULL;
}

void h_generic(struct emu *e, const struct insn *i)
{
	int r;

	if (__builtin_expect(e->simd_live, 0))
		simd_sync(e);
	r = insn_execute(e, i);
	if (__builtin_expect(r != 0 || e->stop, 0)) {
		leave(e, i, r);
		return;
	}
	NEXT(e, i);
}

/* The block was cut by its length, the page's end, or an instruction after which events are looked at. */
void h_end(struct emu *e, const struct insn *i)
{
	struct link *l = (struct link *)(uintptr_t)i;
	struct block *b = l->to[0];

	e->budget -= l->count;
	if (e->budget < 0 || !b || (l->cross[0] && tlb_fetch_ptr(e, b->pc) != b->host)) {
		e->cpu.rip = e->cpu.gpr[GPR_PC] + l->end;
		if (e->code_size != 8)
			e->cpu.rip = (uint32_t)e->cpu.rip;
		e->interp->patch = e->mode_key & MODE_KEY_FLAT ? &l->to[0] : NULL;
		return;
	}
	e->block = b;
	e->cpu.gpr[GPR_PC] = b->pc;
	GO(e, b->insns);
}

void h_dead(struct emu *e, const struct insn *i)
{
	e->cpu.rip = e->cpu.gpr[GPR_PC];
	e->interp->patch = NULL;
}
