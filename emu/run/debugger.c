/* SPDX-License-Identifier: MIT */
/*
 * The emulator under a debugger (core/debugger.h): while it wants anything, each instruction runs by itself in the
 * single-step tier, whose loop looks for points. That is ten times slower than translated code, or more, and it is exact: no
 * block has to be cut, found or dropped for a breakpoint, memory stays as it is, and points are linear addresses that need
 * not be mapped yet. Whoever wants nothing pays one look for each slice of the run loop.
 */
#include "engine_emu.h"
#include "run.h"
#include "emu/block/block.h"
#include "emu/core/machine.h"
#include "emu/core/trace.h"
#include "emu/mmu/mmu.h"
#include "emu/sem/sys/sys.h"

static bool is_code(const struct engine_point *p)
{
	return p->kind == ENGINE_POINT_SOFT || p->kind == ENGINE_POINT_HARD;
}

int debugger_set(struct engine *engine, const struct engine_debug *want, unsigned *which)
{
	struct machine *m = engine_emu_vcpu(engine, 0)->machine;

	m->debug = *want;
	m->watches = m->config.trace && m->config.trace->wants;
	for (unsigned n = 0; n < want->count; n++)
		m->watches |= !is_code(&want->point[n]);
	for (unsigned n = 0; n < m->vcpus; n++) {
		m->hit[n] = (struct engine_hit){ 0 };
		mmu_mode_changed(m->emu[n]);
	}
	return 0;
}

void debugger_hit(struct engine *engine, unsigned vcpu, struct engine_hit *out)
{
	*out = engine_emu_vcpu(engine, 0)->machine->hit[vcpu];
}

int debugger_translate(struct engine *engine, unsigned vcpu, uint64_t linear, uint64_t *gpa)
{
	return mmu_translate(engine_emu_vcpu(engine, vcpu), linear, gpa);
}

static bool wants(const struct engine_point *p, bool write)
{
	return p->kind == ENGINE_POINT_ACCESS || p->kind == (write ? ENGINE_POINT_WRITE : ENGINE_POINT_READ);
}

static void note(struct emu *e, const struct engine_point *p)
{
	e->machine->hit[e->cpu.vcpu] = (struct engine_hit){ ENGINE_HIT_POINT, *p };
}

void debugger_data(struct emu *e, uint64_t linear, unsigned size, bool write)
{
	const struct engine_debug *d = &e->machine->debug;

	if (e->cpu.dr[7] & 0xff)
		sys_debug_data(e, linear, size, write);
	trace_data(e, linear, size, write);
	for (unsigned n = 0; e->machine->watches && n < d->count; n++) {
		const struct engine_point *p = &d->point[n];

		if (wants(p, write) && linear - p->address + size - 1 < (uint64_t)size + p->size - 1)
			note(e, p);
	}
}

/* An instruction that is resumed has met its breakpoint before: RF says so, or that a repeated one goes on. */
static const struct engine_point *find_breakpoint(const struct emu *e)
{
	const struct engine_debug *d = &e->machine->debug;
	uint64_t linear = e->cpu.rip + e->seg_base[SEG_CS];

	if (e->in_rep || (e->cpu.rflags & RFLAGS_RF))
		return NULL;
	linear = e->code_size == 8 ? linear : (uint32_t)linear;
	for (unsigned n = 0; n < d->count; n++)
		if (is_code(&d->point[n]) && d->point[n].address == linear)
			return &d->point[n];
	return NULL;
}

bool debugger_holds_interrupts(const struct emu *e)
{
	return e->machine->debug.step >> e->cpu.vcpu & 1 && e->cpu.activity == CPU_RUNNING;
}

bool debugger_slice(struct emu *e)
{
	struct engine_hit *hit = &e->machine->hit[e->cpu.vcpu];
	bool step = debugger_holds_interrupts(e);

	while (e->budget >= 0 && e->cpu.activity == CPU_RUNNING) {
		const struct engine_point *p = step ? NULL : find_breakpoint(e);

		*hit = (struct engine_hit){ step ? ENGINE_HIT_STEP : ENGINE_HIT_NONE, { 0 } };
		if (p)
			note(e, p);
		else
			run_on(e, true);
		if (hit->why != ENGINE_HIT_NONE)
			return true;
	}
	return false;
}
