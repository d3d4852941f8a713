/* SPDX-License-Identifier: MIT */
/* The run loop of one vCPU: blocks, single steps, faults, interrupts, HLT. */
#include "run.h"
#include "emu/apic/apic.h"
#include "emu/block/block.h"
#include "emu/core/machine.h"
#include "emu/jit/jit.h"
#include "emu/mmu/mmu.h"
#include "emu/sem/sys/sys.h"

#include <errno.h>

enum {
	SLICE = 20000,	    /* instructions between looks at the clock: below 100 us */
	SHORT_SLICE = 4000, /* between looks for interrupts of other processors, which wait for an answer */
};

/* ---- events ---- */

static void tell_retired(struct emu *e)
{
	atomic_store_explicit(&e->retired_told, emu_retired(e), memory_order_relaxed);
	atomic_store_explicit(&e->counters->of[COUNTER_INSTRUCTIONS], e->counted_before + emu_retired(e), memory_order_relaxed);
}

static void refill(struct emu *e)
{
	int32_t slice = e->machine->vcpus > 1 ? SHORT_SLICE : SLICE;

	trace_sample(e);
	if (e->budget < 0) {
		slice = trace_slice(e, slice);
		e->retired += (uint64_t)((int64_t)slice - e->budget);
		e->budget = slice;
	}
	e->attention = false;
	tell_retired(e);
}

/* What interrupts a repeated instruction between two iterations pushes RF set (SDM vol. 3, 17.3.1.1). */
static void mark_resume(struct emu *e)
{
	if (e->in_rep)
		e->cpu.rflags |= RFLAGS_RF;
	e->in_rep = false;
}

/* Delivers at most one interrupt. True if something was delivered. */
static bool deliver_interrupt(struct emu *e)
{
	const struct engine_bus *bus = &e->machine->bus;
	bool by_8259 = false;
	int vector;

	if (!(e->cpu.rflags & RFLAGS_IF) || e->cpu.shadow)
		return false;
	vector = e->lapic ? lapic_pending(e->lapic) : -1;
	if (vector >= 0) {
		lapic_ack(e->lapic, (uint8_t)vector);
	} else if (bus->extint_pending && bus->extint_pending(bus->ctx, e->cpu.vcpu) &&
		   (!e->lapic || lapic_accepts_extint(e->lapic))) {
		vector = bus->intack ? bus->intack(bus->ctx, e->cpu.vcpu) : -EAGAIN;
		by_8259 = true;
	}
	if (vector < 0)
		return false;
	e->cpu.activity = CPU_RUNNING;
	mark_resume(e);
	counter_add(&e->counters->vector[vector], 1);
	trace_interrupt(e, (uint8_t)vector, by_8259);
	exc_deliver_interrupt(e, (uint8_t)vector);
	return true;
}

static bool deliver_nmi(struct emu *e)
{
	if (e->lapic && lapic_take_nmi(e->lapic))
		e->cpu.nmi_pending = true;
	if (!e->cpu.nmi_pending || e->cpu.nmi_blocked || (e->cpu.shadow & SHADOW_MOV_SS))
		return false;
	e->cpu.nmi_pending = false;
	e->cpu.activity = CPU_RUNNING;
	mark_resume(e);
	exc_deliver_nmi(e);
	return true;
}

void run_start_up(struct emu *e)
{
	int vector;

	if (e->lapic && lapic_take_init(e->lapic))
		sys_init_signal(e);
	vector = e->lapic ? lapic_take_sipi(e->lapic) : -1;
	if (vector >= 0)
		sys_sipi(e, (uint8_t)vector);
}

/* Everything that can happen at an instruction boundary, in the order of SDM vol. 3, table 6-2. */
static void events(struct emu *e)
{
	atomic_store(&e->idle, false); /* is_dead() */
	atomic_fetch_and(&e->kicked, ~(unsigned)EMU_KICK_EVENT);
	mmu_poll(e);
	e->next_event_ns = e->lapic ? lapic_advance(e->lapic, emu_now_ns(e)) : UINT64_MAX;
	run_start_up(e);
	if (e->cpu.activity == CPU_RUNNING || e->cpu.activity == CPU_HALTED) {
		if (!sys_debug_trap_due(e) && !debugger_holds_interrupts(e) && !deliver_nmi(e))
			deliver_interrupt(e);
	}
	refill(e);
	block_forget_way(e);
}

/* ---- the end ---- */

/* In HLT with interrupts off, or waiting for SIPI: only NMI, INIT or SIPI could end it. */
static bool is_idle(const struct emu *e)
{
	return e->cpu.activity == CPU_WAIT_SIPI ||
	       (e->cpu.activity == CPU_HALTED && !(e->cpu.rflags & RFLAGS_IF) && !e->cpu.nmi_pending);
}

/* All are idle, and nothing is on its way to any. How often they have been woken, all together: *wakes. */
static bool all_idle(const struct machine *m, uint64_t *wakes)
{
	*wakes = 0;
	for (unsigned n = 0; n < m->vcpus; n++) {
		struct emu *e = m->emu[n];

		if (atomic_load(&e->kicked) || !atomic_load(&e->idle))
			return false;
		*wakes += atomic_load(&e->wakes);
	}
	return true;
}

/*
 * HLT that nothing can end: with all processors idle there is nobody to send an NMI, INIT or SIPI. Each says so before it looks at
 * the others, and takes it back before it takes what has come (events()); so the last one sees all. If the second look finds that
 * nobody was woken since the first, all were idle at once in between, and so they stay.
 */
static bool is_dead(struct emu *e)
{
	uint64_t before, after;

	if (!is_idle(e))
		return false;
	atomic_store(&e->idle, true);
	return all_idle(e->machine, &before) && all_idle(e->machine, &after) && before == after;
}

/* False: the instruction at RIP was run by itself. */
static bool advance(struct emu *e, bool step_only)
{
	bool shadowed = e->cpu.shadow;

	e->stop = false;
	mmu_poll(e); /* every serialising instruction leads here before the next one runs */
	if (!step_only && !shadowed && !sys_debug_active(e)) {
		e->in_rep = false;
		if (block_advance(e))
			return true;
		step_one(e);
		return false;
	}
	block_forget_way(e);
	if (e->traced)
		trace_step(e);
	else
		step_one(e);
	if (shadowed) /* events are looked at right after the shadow */
		emu_attention(e);
	return false;
}

enum { TIMED = 64 /* one pass of so many */ };

static void advance_timed(struct emu *e, bool step_only)
{
	const uint64_t start = emu_now_ns(e);
	uint64_t translated = 0, took;
	bool blocks;

	jit_time(e, &translated);
	blocks = advance(e, step_only);
	jit_time(e, NULL);
	took = emu_now_ns(e) - start;
	counter_add(&e->counters->of[COUNTER_TRANSLATED_NS], TIMED * translated);
	if (took > translated)
		counter_add(&e->counters->of[blocks ? COUNTER_BLOCK_NS : COUNTER_STEP_NS], TIMED * (took - translated));
}

void emu_advance(struct emu *e, bool step_only)
{
	if (UNLIKELY(++e->passes % TIMED == 0))
		advance_timed(e, step_only);
	else
		advance(e, step_only);
}

void run_on(struct emu *e, bool step_only)
{
	emu_advance(e, step_only);
	if (e->fault.pending) {
		counter_add(&e->counters->of[COUNTER_EXCEPTIONS], 1);
		mark_resume(e);
		exc_deliver_fault(e);
		block_forget_way(e);
	}
}

/* The budget is spent, and nothing else is the matter. */
static bool may_refill(const struct emu *e)
{
	return !e->attention && e->cpu.activity == CPU_RUNNING && !atomic_load_explicit(&e->kicked, memory_order_relaxed);
}

/* Runs until something has to be looked at; true: a debugger has to. That there is none costs one look a slice. */
static bool run_slice(struct emu *e)
{
	bool step_only = e->machine->config.single_step;
	unsigned slices = e->machine->vcpus > 1 ? SLICE / SHORT_SLICE : 1;

	if (engine_debug_is_on(&e->machine->debug))
		return debugger_slice(e);
	for (;;) {
		while (e->budget >= 0 && e->cpu.activity == CPU_RUNNING)
			run_on(e, step_only);
		if (--slices == 0 || !may_refill(e))
			return false;
		refill(e);
	}
}

/* ---- rest ---- */

enum { REST_INSNS = 20 << 20 };
#define REST_NS (10 * CLOCK_NS_PER_S)

/* A guest that has done next to nothing for a while, timers perhaps, gives back what its code takes in the host. Returns when to look
 * again. */
static uint64_t rest(struct emu *e)
{
	const uint64_t now = emu_now_ns(e), retired = emu_retired(e);
	bool over;

	if (!block_holds_memory(e))
		return UINT64_MAX;
	over = now - e->rest_since_ns >= REST_NS;
	if (over && retired - e->rest_retired < REST_INSNS)
		block_give_back(e);
	if (over || retired - e->rest_retired >= REST_INSNS) {
		e->rest_since_ns = now;
		e->rest_retired = retired;
	}
	return e->rest_since_ns + REST_NS;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static enum engine_stop run(struct emu *e)
{
	unsigned wakes;

	emu_attention(e);
	for (;;) {
		wakes = atomic_load(&e->wakes);
		if (atomic_load_explicit(&e->kicked, memory_order_relaxed) & EMU_KICK_STOP) {
			atomic_fetch_and(&e->kicked, ~(unsigned)EMU_KICK_STOP);
			return ENGINE_KICKED;
		}
		events(e);
		if (e->cpu.activity == CPU_RUNNING && run_slice(e))
			return ENGINE_DEBUG;
		if (e->cpu.activity == CPU_SHUTDOWN)
			return ENGINE_TRIPLE_FAULT;
		if (e->cpu.activity != CPU_RUNNING) {
			if (e->budget >= 0)
				emu_attention(e);
			wakes = atomic_load(&e->wakes);
			events(e);
			if (e->cpu.activity == CPU_RUNNING)
				continue;
			if (atomic_load(&e->kicked) & EMU_KICK_STOP)
				continue;
			if (is_dead(e))
				return ENGINE_HALTED;
			/* `wakes` was read before events() looked for work: whatever arrived since has changed it, and
			 * emu_sleep() does not sleep. */
			counter_add(&e->counters->of[COUNTER_HALT], 1);
			emu_sleep(e, wakes, earlier(e->next_event_ns, rest(e)));
		}
	}
}

enum engine_stop emu_run(struct emu *e)
{
	enum engine_stop why = run(e);

	tell_retired(e);
	if (e->machine->vcpus > 1)
		mmu_close_all(e);
	return why;
}
