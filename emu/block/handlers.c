/* SPDX-License-Identifier: MIT */
/* The handlers every instruction can have: the generic one, the end of a block, a dropped block. */
#include "internal.h"
#include "emu/isa/coverage.h"
#include "emu/isa/isa.h"
#include "emu/mmu/mmu.h"

void block_leave(struct emu *e, const struct insn *i, int r)
{
	int32_t count = e->block ? (int32_t)(i - e->block->insns) + 1 : 1;

	if (e->fault.pending) {
		e->cpu.rip = emu_rip(e, i);
		count--;
	} else if (r == 0) {
		e->cpu.rip = emu_next_rip(e, i);
	}
	e->budget -= count;
	e->code->patch = NULL;
}

void h_generic(struct emu *e, const struct insn *i)
{
	int r;

	if (UNLIKELY(e->mxcsr_live))
		mxcsr_sync(e);
	r = insn_execute(e, i);
	if (UNLIKELY(r != 0 || e->stop)) {
		block_leave(e, i, r);
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
		e->cpu.rip = e->pc + l->end;
		if (e->code_size != 8)
			e->cpu.rip = (uint32_t)e->cpu.rip;
		e->code->patch = e->mode_key & MODE_KEY_FLAT ? &l->to[0] : NULL;
		return;
	}
	e->block = b;
	e->pc = b->pc;
	GO(e, b->insns);
}

void h_dead(struct emu *e, const struct insn *i)
{
	e->cpu.rip = e->pc;
	e->code->patch = NULL;
}

/* Stands in front of the first instruction of a block that has not been entered often. */
void h_count(struct emu *e, const struct insn *i)
{
	struct block *b = e->block;

	if (UNLIKELY(--b->heat == 0)) {
		e->hooks->block_hot(e, b);
		GO(e, i);
	}
	TAIL(b->first(e, i));
}
