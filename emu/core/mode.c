/* SPDX-License-Identifier: MIT */
/* What is derived from the architectural state, so that nobody has to look at control registers for each instruction. */
#include "emu.h"
#include "tlb.h"

static bool segment_flat(const struct segment *s)
{
	return s->base == 0 && s->limit == UINT32_MAX && !(s->attr & SEG_ATTR_UNUSABLE);
}

void emu_derive_tlb_mask(struct emu *e)
{
	const struct cpu *c = &e->cpu;
	bool ac = c->rflags & RFLAGS_AC;

	e->tlb_mask = PAGE_MASK | TAG_INVALID;
	if (e->cpl != 3 && !ac && (c->cr4 & CR4_SMAP))
		e->tlb_mask |= TAG_USER;
	if ((e->cpl == 3 && ac && (c->cr0 & CR0_AM)) || (c->dr[7] & 0xff))
		e->tlb_mask |= TAG_SLOW;
}

void emu_derive_mode(struct emu *e)
{
	struct cpu *c = &e->cpu;
	bool protected = c->cr0 & CR0_PE, code64;

	e->long_mode = c->msr.efer & EFER_LMA;
	e->paging = c->cr0 & CR0_PG;
	e->cpl = (uint8_t)(!protected ? 0 : c->rflags & RFLAGS_VM ? 3 : cpu_cpl(c));
	code64 = e->long_mode && (c->seg[SEG_CS].attr & SEG_ATTR_L);
	e->code_size = code64 ? 8 : c->seg[SEG_CS].attr & SEG_ATTR_DB ? 4 : 2;
	e->stack_size = code64 ? 8 : c->seg[SEG_SS].attr & SEG_ATTR_DB ? 4 : 2;
	for (unsigned n = 0; n < SEG_COUNT; n++)
		e->seg_base[n] = code64 && n != SEG_FS && n != SEG_GS ? 0 : c->seg[n].base;
	e->mode_key = (uint32_t)(e->code_size | e->stack_size << MODE_KEY_STACK_SHIFT);
	if (code64 || (protected && segment_flat(&c->seg[SEG_CS])))
		e->mode_key |= MODE_KEY_FLAT;
	emu_derive_tlb_mask(e);
}
