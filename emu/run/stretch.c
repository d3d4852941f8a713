/* SPDX-License-Identifier: MIT */
/* stretch.h: single steps, since code and page tables may have changed without a word since the last one. */
#include "stretch.h"
#include "engine_emu.h"
#include "run.h"
#include "emu/core/flags.h"
#include "emu/core/machine.h"
#include "emu/mmu/mmu.h"
#include "emu/isa/isa.h"
#include "emu/sem/sys/sys.h"

enum { OWED_MOST = 16 };

bool stretch_is_foreign(const struct insn *i)
{
	switch (i->id) {
	case ISA_CPUID:
	case ISA_RDTSC:
	case ISA_RDTSCP:
	case ISA_RDPMC:
	case ISA_MONITOR:
	case ISA_MWAIT:
	case ISA_PAUSE:
	case ISA_XSETBV:
	case ISA_INVPCID:
		return true;
	case ISA_SWAPGS:
	case ISA_CLTS:
	case ISA_LGDT:
	case ISA_LIDT:
	case ISA_LLDT:
	case ISA_LTR:
		return false;
	default: /* control registers, model-specific ones, INVLPG, HLT */
		return isa_rows[i->id].attr & ISA_PRIV;
	}
}

static void borrow(struct emu *e, const struct cpu *in)
{
	const uint8_t vcpu = e->cpu.vcpu;

	e->cpu = *in;
	e->cpu.vcpu = vcpu;
	e->cpu.rflags |= RFLAGS_FIXED;
	e->flags_image = flags_from_arith(in->rflags);
	e->fault.pending = false;
	e->in_rep = false;
	sys_debug_restore(e, 0, 0);
	mmu_mode_changed(e);
	mmu_flush_all(e);
}

static void give_back(struct emu *e, struct cpu *out)
{
	*out = e->cpu;
	out->rflags = emu_flags_get(e);
}

static void deliver(struct emu *e, const struct stretch *s)
{
	switch (s->event) {
	case STRETCH_NO_EVENT:
		break;
	case STRETCH_EXCEPTION:
		e->fault = (struct fault){
			.pending = true, .vector = s->vector, .has_error = s->has_error, .error = s->error, .cr2 = s->cpu->cr2
		};
		exc_deliver_fault(e);
		break;
	case STRETCH_INTERRUPT:
		exc_deliver_interrupt(e, s->vector);
		break;
	case STRETCH_NMI:
		exc_deliver_nmi(e);
		break;
	}
}

/* False: it is not for us, and has not happened. */
static bool step(struct emu *e)
{
	const uint8_t shadow = e->cpu.shadow;

	mmu_poll(e);
	step_one(e);
	if (e->fault.pending && e->fault.vector == VEC_FOREIGN) {
		e->fault.pending = false;
		e->cpu.shadow = shadow;
		return false;
	}
	if (e->fault.pending)
		exc_deliver_fault(e);
	return true;
}

static bool owes_trap(const struct emu *e)
{
	uint64_t pending;
	uint8_t task;

	sys_debug_save(e, &pending, &task);
	return pending || task || e->in_rep;
}

/* An interrupt may come that could not before, or a device was written to, which may raise one. */
static bool is_time_to_look(const struct emu *e, bool was_enabled)
{
	return e->attention || (!was_enabled && (e->cpu.rflags & RFLAGS_IF));
}

void emu_stretch(struct engine *engine, unsigned vcpu, struct stretch *s)
{
	struct emu *e = engine_emu_vcpu(engine, vcpu);
	bool enabled, go_on = true;

	borrow(e, s->cpu);
	e->budget = (int32_t)s->limit + OWED_MOST;
	e->attention = false;
	s->done = s->event != STRETCH_NO_EVENT;
	deliver(e, s);
	while (go_on && s->done < s->limit + (owes_trap(e) ? OWED_MOST : 0) && e->cpu.activity == CPU_RUNNING) {
		enabled = e->cpu.rflags & RFLAGS_IF;
		if (!step(e))
			break;
		s->done++;
		go_on = owes_trap(e) || !is_time_to_look(e, enabled);
	}
	give_back(e, s->cpu);
}
