/* SPDX-License-Identifier: MIT */
/* PUSHF, POPF, CLI, STI with IOPL, VME and PVI (SDM vol. 3, 20.3 and 20.4); CLAC, STAC; HLT; UD. */
#include "internal.h"

static bool event_waiting(struct emu *e)
{
	const struct engine_bus *bus = &e->machine->bus;

	if (atomic_load_explicit(&e->kicked, memory_order_relaxed) || lapic_pending(e->lapic) >= 0)
		return true;
	return bus->extint_pending && bus->extint_pending(bus->ctx, e->cpu.vcpu);
}

/* The full look at events costs a clock reading, and IF is set far more often than an interrupt waits for it. */
void sys_interrupts_enabled(struct emu *e)
{
	if (event_waiting(e))
		emu_attention(e);
}

/* After flags changed: interrupts may have become deliverable, single-step may have begun. */
static int flags_changed(struct emu *e, const struct insn *i, uint64_t old)
{
	uint64_t changed = old ^ e->cpu.rflags;

	if (changed & e->cpu.rflags & RFLAGS_IF)
		sys_interrupts_enabled(e);
	return (changed & RFLAGS_TF) || e->budget < 0 ? emu_end_block(e, i) : 0;
}

int sem_pushf(struct emu *e, const struct insn *i)
{
	uint64_t image = emu_flags_get(e) & ~(uint64_t)(RFLAGS_VM | RFLAGS_RF);
	struct stack s;

	if (sys_v86(e) && sys_iopl(e) < 3) {
		if (!(e->cpu.cr4 & CR4_VME) || i->size != 2)
			return emu_gp0(e);
		image = (image & ~(uint64_t)RFLAGS_IF) | RFLAGS_IOPL | ((image & RFLAGS_VIF) ? RFLAGS_IF : 0);
	}
	stack_current(e, &s);
	if (stack_push(e, &s, &image, 1, i->size))
		return EMU_STOP;
	stack_commit_sp(e, &s);
	return 0;
}

/* Virtual-8086 mode with VME: IF of the image is VIF, IOPL stays, TF and a pending virtual interrupt trap. */
static int popf_vme(struct emu *e, uint64_t image, uint64_t *mask, uint64_t *value)
{
	if ((image & RFLAGS_TF) || ((image & RFLAGS_IF) && (e->cpu.rflags & RFLAGS_VIP)))
		return emu_gp0(e);
	*mask = (*mask & 0xffff & ~(uint64_t)RFLAGS_IF) | RFLAGS_VIF;
	*value = (image & ~(uint64_t)RFLAGS_VIF) | ((image & RFLAGS_IF) ? RFLAGS_VIF : 0);
	return 0;
}

static uint64_t popf_mask(const struct emu *e, unsigned size)
{
	uint64_t mask = RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID | RFLAGS_RF;

	if (!sys_protected(e) || e->cpl == 0)
		mask |= RFLAGS_IOPL;
	if (!sys_protected(e) || e->cpl <= sys_iopl(e))
		mask |= RFLAGS_IF;
	return size == 2 ? mask & 0xffff : mask;
}

int sem_popf(struct emu *e, const struct insn *i)
{
	uint64_t image, value, mask = popf_mask(e, i->size), old = e->cpu.rflags;
	bool vme = sys_v86(e) && sys_iopl(e) < 3;
	struct stack s;

	if (vme && (!(e->cpu.cr4 & CR4_VME) || i->size != 2))
		return emu_gp0(e);
	stack_current(e, &s);
	if (stack_pop(e, &s, &image, 1, i->size))
		return EMU_STOP;
	value = image;
	if (vme && popf_vme(e, image, &mask, &value))
		return EMU_STOP;
	stack_commit_sp(e, &s);
	emu_flags_set(e, mask, value & ~(uint64_t)RFLAGS_RF);
	return flags_changed(e, i, old);
}

/* Which flag CLI and STI work on here: IF, VIF, or none (#GP). */
static uint64_t interrupt_flag(const struct emu *e)
{
	if (!sys_protected(e) || e->cpl <= sys_iopl(e))
		return RFLAGS_IF;
	if (sys_v86(e))
		return (e->cpu.cr4 & CR4_VME) ? RFLAGS_VIF : 0;
	return (e->cpu.cr4 & CR4_PVI) && e->cpl == 3 ? RFLAGS_VIF : 0;
}

int sem_cli(struct emu *e, const struct insn *i)
{
	uint64_t flag = interrupt_flag(e);

	if (!flag)
		return emu_gp0(e);
	e->cpu.rflags &= ~flag;
	return 0;
}

/*
 * One instruction more without interrupts (SDM vol. 2, STI; pitfall: "sti; hlt"). The shadow, for which the run
 * loop single-steps, is opened only if something waits to be delivered or the run loop could come in between: what
 * arrives later than this instruction may as well have arrived after the next one.
 */
int sem_sti(struct emu *e, const struct insn *i)
{
	uint64_t flag = interrupt_flag(e);

	if (!flag || (flag == RFLAGS_VIF && (e->cpu.rflags & RFLAGS_VIP)))
		return emu_gp0(e);
	if (flag == RFLAGS_VIF || (e->cpu.rflags & RFLAGS_IF)) {
		e->cpu.rflags |= flag;
		return 0;
	}
	e->cpu.rflags |= RFLAGS_IF;
	if (i->followed && !event_waiting(e)) /* nothing is delivered before the next one anyway */
		return 0;
	e->cpu.shadow |= SHADOW_STI;
	emu_attention(e);
	return emu_end_block(e, i);
}

int sem_hlt(struct emu *e, const struct insn *i)
{
	e->cpu.activity = CPU_HALTED;
	return emu_end_block(e, i);
}

/* emu_flags_set() tells the MMU, for which AC decides about SMAP. */
int sem_clac(struct emu *e, const struct insn *i)
{
	if (e->cpl > 0)
		return emu_ud(e);
	emu_flags_set(e, RFLAGS_AC, 0);
	return 0;
}

int sem_stac(struct emu *e, const struct insn *i)
{
	if (e->cpl > 0)
		return emu_ud(e);
	emu_flags_set(e, RFLAGS_AC, RFLAGS_AC);
	return 0;
}

int sem_ud(struct emu *e, const struct insn *i)
{
	return emu_ud(e);
}
