/* SPDX-License-Identifier: MIT */
/*
 * Telling each instruction (core/trace.h): in the single-step tier, whose state is architectural before and after it. The
 * accesses come by the hook that debug registers have, too.
 */
#include "run.h"
#include "emu/core/machine.h"
#include "emu/core/ram.h"
#include "emu/core/trace.h"
#include "emu/mmu/mmu.h"

#include <stdlib.h>
#include <string.h>

int trace_create(struct emu *e)
{
	if (!e->machine->config.trace || !e->machine->config.trace->wants)
		return 0;
	e->machine->watches = true;
	e->traced = calloc(1, sizeof(*e->traced));
	return e->traced ? 0 : -1;
}

void trace_destroy(struct emu *e)
{
	free(e->traced);
	e->traced = NULL;
}

/* NULL: no RAM. */
static const uint8_t *find_ram(const struct emu *e, uint64_t gpa, size_t size)
{
	for (unsigned n = 0; n < e->machine->ram_count; n++) {
		const struct engine_ram *r = &e->machine->ram[n];

		if (gpa >= r->gpa && gpa - r->gpa < r->size && size <= r->size - (gpa - r->gpa))
			return r->host + (gpa - r->gpa);
	}
	return NULL;
}

/* As many bytes as can be had without disturbing anything. */
unsigned trace_peek(const struct emu *e, uint64_t linear, uint8_t *out, unsigned size)
{
	unsigned done = 0;

	while (done < size) {
		unsigned piece = PAGE_SIZE - (unsigned)((linear + done) & (PAGE_SIZE - 1));
		const uint8_t *from;
		uint64_t gpa;

		piece = piece < size - done ? piece : size - done;
		from = mmu_translate(e, linear + done, &gpa) ? NULL : find_ram(e, gpa, piece);
		if (!from)
			break;
		ram_read_pieces(out + done, from, piece);
		done += piece;
	}
	return done;
}

void trace_data(struct emu *e, uint64_t linear, unsigned size, bool write)
{
	struct engine_insn *t = e->traced;
	struct engine_access *a;

	if (!t || !e->tracing || t->accesses == ENGINE_ACCESSES)
		return;
	a = &t->access[t->accesses++];
	*a = (struct engine_access){ .linear = linear,
				     .size = (uint16_t)(size < UINT16_MAX ? size : UINT16_MAX),
				     .write = write };
	if (size <= ENGINE_ACCESS_BYTES)
		a->has_value = trace_peek(e, linear, a->value, size) == size;
}

static uint64_t linear_of(const struct emu *e, uint64_t rip)
{
	uint64_t linear = rip + e->seg_base[SEG_CS];

	return e->code_size == 8 ? linear : (uint32_t)linear;
}

static void begin(struct emu *e, uint64_t linear)
{
	struct engine_insn *t = e->traced;

	t->linear = linear;
	t->code_size = e->code_size;
	t->cpl = e->cpl;
	t->accesses = 0;
	t->count = (uint8_t)trace_peek(e, linear, t->bytes, sizeof(t->bytes));
	t->before = e->cpu;
	t->before.rflags = emu_flags_get(e);
}

static void end(struct emu *e)
{
	struct engine_insn *t = e->traced;

	t->after = e->cpu;
	t->after.rflags = emu_flags_get(e);
	t->faulted = e->fault.pending;
	t->vector = e->fault.pending ? e->fault.vector : 0;
	t->error = e->fault.pending ? e->fault.error : 0;
	e->machine->config.trace->insn(e->machine->config.trace->ctx, e->cpu.vcpu, t);
}

void trace_step(struct emu *e)
{
	const struct engine_trace *trace = e->machine->config.trace;
	uint64_t linear = linear_of(e, e->cpu.rip);

	e->tracing = trace->wants(trace->ctx, e->cpu.vcpu, linear, e->cpl);
	if (e->tracing)
		begin(e, linear);
	step_one(e);
	if (e->tracing)
		end(e);
	e->tracing = false;
}

void trace_interrupt(struct emu *e, uint8_t vector, bool by_8259)
{
	const struct engine_trace *trace = e->machine->config.trace;

	if (trace && trace->interrupt)
		trace->interrupt(trace->ctx, e->cpu.vcpu, vector, linear_of(e, e->cpu.rip), by_8259);
}

/* The chain of frame pointers, as far as there is memory and it climbs. */
static uint8_t walk(const struct emu *e, uint64_t out[ENGINE_FRAMES])
{
	const unsigned word = e->code_size;
	uint64_t at = e->cpu.gpr[RBP], pair[2];
	uint8_t n = 0;

	while (word > 2 && n < ENGINE_FRAMES && at && !(at & (word - 1))) {
		uint32_t half[2];

		if (trace_peek(e, at, word == 8 ? (uint8_t *)pair : (uint8_t *)half, 2 * word) != 2 * word)
			break;
		if (word == 4) {
			pair[0] = half[0];
			pair[1] = half[1];
		}
		if (!pair[1] || pair[0] <= at)
			break;
		out[n++] = pair[1];
		at = pair[0];
	}
	return n;
}

static void look(const struct emu *e, struct engine_sample *s)
{
	s->linear = linear_of(e, e->cpu.rip);
	s->code_size = e->code_size;
	s->cpl = e->cpl;
	s->code_bytes = (uint8_t)trace_peek(e, s->linear, s->code, sizeof(s->code));
	s->frames = walk(e, s->frame);
}

/* At a look at events: is it time for a sample? How many instructions until the next. */
void trace_sample(struct emu *e)
{
	const struct engine_trace *trace = e->machine->config.trace;
	uint64_t retired = emu_retired(e);
	struct engine_sample s = { 0 };

	if (!trace || !trace->sample || retired < e->next_sample || e->cpu.activity != CPU_RUNNING)
		return;
	s.retired = retired - e->last_sample;
	look(e, &s);
	e->next_sample = trace->sample(trace->ctx, e->cpu.vcpu, &s);
	e->next_sample = e->next_sample ? retired + e->next_sample : UINT64_MAX;
	e->last_sample = retired;
}

int32_t trace_slice(const struct emu *e, int32_t slice)
{
	const struct engine_trace *trace = e->machine->config.trace;
	uint64_t retired, left;

	if (!trace || !trace->sample)
		return slice;
	retired = emu_retired(e);
	left = e->next_sample > retired ? e->next_sample - retired : 1;
	return left < (uint64_t)slice ? (int32_t)left : slice;
}
