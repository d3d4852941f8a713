/* SPDX-License-Identifier: MIT */
/* The entry state of control.proto to struct cpu. */
#include "vcpu.h"

static void segment_apply(struct segment *to, const Bulkhead__Segment *from)
{
	*to = (struct segment){
		.base = from->linear_base,
		.limit = from->limit,
		.attr = from->attr,
		.selector = (uint16_t)from->selector,
	};
}

void entry_apply(struct cpu *cpu, const Bulkhead__EntryState *e)
{
	for (size_t i = 0; i < e->n_gpr && i < GPR_COUNT; i++)
		cpu->gpr[i] = e->gpr[i];
	for (size_t i = 0; i < e->n_seg && i < SEG_COUNT; i++)
		segment_apply(&cpu->seg[i], e->seg[i]);
	if (e->tr)
		segment_apply(&cpu->tr, e->tr);
	if (e->ldtr)
		segment_apply(&cpu->ldtr, e->ldtr);
	if (e->has_rip)
		cpu->rip = e->rip;
	if (e->has_rflags)
		cpu->rflags = e->rflags | RFLAGS_FIXED;
	if (e->has_gdt_base)
		cpu->gdtr = (struct dtable){ e->gdt_base, (uint16_t)e->gdt_limit };
	if (e->has_idt_base)
		cpu->idtr = (struct dtable){ e->idt_base, (uint16_t)e->idt_limit };
	if (e->has_cr0)
		cpu->cr0 = e->cr0;
	if (e->has_cr3)
		cpu->cr3 = e->cr3;
	if (e->has_cr4)
		cpu->cr4 = e->cr4;
	if (e->has_efer)
		cpu->msr.efer = e->efer;
	if (e->has_mtrr_def_type)
		cpu->msr.mtrr_def_type = e->mtrr_def_type;
}
