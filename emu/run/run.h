/* SPDX-License-Identifier: MIT */
/* Running a virtual processor: the loop around the tiers. */
#ifndef BULKHEAD_EMU_RUN_H
#define BULKHEAD_EMU_RUN_H

#include "emu/core/emu.h"
#include "emu/core/engine.h"

/* Derives from m->config.cpu what the machine's processors have; before any is created. 0, -ENOTSUP. */
int machine_init(struct machine *m);

/* Runs guest code until there is a reason to come back (engine.h). */
enum engine_stop emu_run(struct emu *e);
/* A block and what is linked behind it, or one instruction; a fault is recorded, not delivered. */
void emu_advance(struct emu *e, bool step_only);
/* The same, and delivers the fault. */
void run_on(struct emu *e, bool step_only);

/*
 * The single-step tier: fetches, decodes and runs exactly one instruction with the state in e->cpu; e->cpu.rip is right
 * afterwards. Traps after it are recorded as a fault with RIP behind it. Whoever finds an instruction that it cannot run in
 * a faster way calls this and goes on at RIP.
 */
void step_one(struct emu *e);

/* INIT and SIPI that have come. */
void run_start_up(struct emu *e);

/* stretch.c: does the instruction ask something of the processor that an engine which lends its state keeps? */
bool stretch_is_foreign(const struct insn *i);

/* debugger.c: what a debugger wants (core/debugger.h), and the run loop while it wants anything. */
int debugger_set(struct engine *engine, const struct engine_debug *want, unsigned *which);
void debugger_hit(struct engine *engine, unsigned vcpu, struct engine_hit *out);
int debugger_translate(struct engine *engine, unsigned vcpu, uint64_t linear, uint64_t *gpa);
/* The hook data_accessed. */
void debugger_data(struct emu *e, uint64_t linear, unsigned size, bool write);
/* Instruction by instruction until something has to be looked at; true: the debugger has to. */
bool debugger_slice(struct emu *e);
/* A running processor that is to do one instruction is not interrupted before it. */
bool debugger_holds_interrupts(const struct emu *e);

/*
 * trace.c: who is told of instructions (core/trace.h). create(): 0, or -1 if there is no memory. step(): step_one(), and tells
 * of it.
 */
int trace_create(struct emu *e);
void trace_destroy(struct emu *e);
void trace_step(struct emu *e);
void trace_data(struct emu *e, uint64_t linear, unsigned size, bool write);
void trace_interrupt(struct emu *e, uint8_t vector, bool by_8259);
void trace_sample(struct emu *e);
/* How many instructions until it may be time for a sample, at most `slice`. */
int32_t trace_slice(const struct emu *e, int32_t slice);
/* Memory as the guest sees it just now, without a trace; returns how many bytes there are. */
unsigned trace_peek(const struct emu *e, uint64_t linear, uint8_t *out, unsigned size);

/* state.c: save and restore of struct engine_ops. */
int emu_save(struct engine *engine, unsigned vcpu, struct engine_state *out);
int emu_restore(struct engine *engine, unsigned vcpu, const struct engine_state *in, const char **field);

#endif
