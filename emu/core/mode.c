/* SPDX-License-Identifier: MIT */
/* What is derived from the architectural state, so that nobody has to look at control registers for each instruction. */
#include "emu.h"
#include "machine.h"
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
	if ((e->cpl == 3 && ac && (c->cr0 & CR0_AM)) || emu_is_watched(e))
		e->tlb_mask |= TAG_SLOW;
}

static bool segment_flat_writable(const struct segment *s)
{
	const uint16_t kind = SEG_ATTR_S | SEG_ATTR_CODE | SEG_ATTR_DC | SEG_ATTR_RW;

	return segment_flat(s) && (s->attr & kind) == (SEG_ATTR_S | SEG_ATTR_RW);
}

static uint32_t mode_key(const struct emu *e, bool protected)
{
	const struct segment *s = e->cpu.seg;
	uint32_t key = (uint32_t)(e->code_size | e->stack_size << MODE_KEY_STACK_SHIFT);

	if (e->code_size == 8 || (protected && segment_flat(&s[SEG_CS])))
		key |= MODE_KEY_FLAT;
	if ((key & MODE_KEY_FLAT) && e->code_size == 4 && e->stack_size == 4 && segment_flat_writable(&s[SEG_SS]) &&
	    segment_flat_writable(&s[SEG_DS]) && segment_flat_writable(&s[SEG_ES]))
		key |= MODE_KEY_DATA32;
	return key;
}

/* SDM vol. 3, 2.5, 2.6, 13.1. */
static uint8_t units(const struct cpu *c)
{
	uint8_t units = 0;

	if ((c->cr0 & (CR0_EM | CR0_TS)) == 0 && (c->cr4 & CR4_OSFXSR))
		units |= UNIT_SSE;
	if (!(c->cr0 & CR0_TS) && (c->cr4 & CR4_OSXSAVE) && (c->xcr0 & 6) == 6)
		units |= UNIT_AVX;
	if ((units & UNIT_AVX) && (c->xcr0 & 0xe6) == 0xe6)
		units |= UNIT_AVX512;
	if (!(c->cr0 & (CR0_EM | CR0_TS)))
		units |= UNIT_X87;
	return units;
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
	e->mode_key = mode_key(e, protected);
	e->units = units(c);
	emu_derive_tlb_mask(e);
}
