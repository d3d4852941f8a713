/* SPDX-License-Identifier: MIT */
/* Instructions as text: insn_text.h. */
#include "insn_text.h"
#include "disasm.h"

#include <stdio.h>
#include <string.h>

static const uint8_t *value_of(const struct trace_item *t)
{
	return (const uint8_t *)(t + 1);
}

static bool is_number(const struct trace_item *t)
{
	return t->size == 1 || t->size == 2 || t->size == 4 || t->size == 8;
}

/* Little-endian bytes, the most significant digit first; numbers without leading zeroes. */
static void put_value(struct sink *out, const struct trace_item *t)
{
	uint64_t n = 0;

	if (!t->has_value) {
		sink_print(out, "?");
		return;
	}
	if (is_number(t)) {
		memcpy(&n, value_of(t), t->size);
		sink_print(out, "0x%llx", (unsigned long long)n);
		return;
	}
	sink_print(out, "0x");
	for (unsigned i = t->size; i--;)
		sink_print(out, "%02x", value_of(t)[i]);
}

static void put_access(struct sink *out, const struct trace_insn *i, const struct trace_item *t)
{
	sink_print(out, "TID%u: ", i->head.vcpu);
	if (t->what == TRACE_READ) {
		sink_print(out, "Read ");
		put_value(out, t);
		sink_print(out, " = *(UINT%u*)0x%016llx\n", t->size * 8u, (unsigned long long)t->address);
		return;
	}
	sink_print(out, "Write *(UINT%u*)0x%016llx = ", t->size * 8u, (unsigned long long)t->address);
	put_value(out, t);
	sink_print(out, "\n");
}

static void put_accesses(struct sink *out, const struct trace_insn *i, enum trace_what what)
{
	for (const struct trace_item *t = trace_next_item(i, NULL); t; t = trace_next_item(i, t))
		if (t->what == what)
			put_access(out, i, t);
}

static bool is_vector(const struct trace_item *t)
{
	return t->address >= TRACE_VECTOR;
}

static void put_registers(struct sink *out, const struct trace_insn *i)
{
	const char *separator = " | ";
	char room[16];

	for (const struct trace_item *t = trace_next_item(i, NULL); t; t = trace_next_item(i, t)) {
		if (t->what != TRACE_REGISTER || is_vector(t))
			continue;
		sink_print(out, "%s%s = ", separator, trace_register_name((unsigned)t->address, t->size, room));
		put_value(out, t);
		separator = ", ";
	}
	sink_print(out, "\n");
}

static void put_vectors(struct sink *out, const struct trace_insn *i)
{
	char room[16];

	for (const struct trace_item *t = trace_next_item(i, NULL); t; t = trace_next_item(i, t)) {
		const char *name;

		if (t->what != TRACE_REGISTER || !is_vector(t))
			continue;
		name = trace_register_name((unsigned)(t->address < TRACE_REGISTERS ? t->address : TRACE_REGISTERS), t->size,
					   room);
		sink_print(out, "TID%u: %s := ", i->head.vcpu, name);
		put_value(out, t);
		sink_print(out, "\n");
	}
}

static void put_instruction(struct sink *out, const struct trace_insn *i)
{
	struct disasm d = { .set = "-", .text = "(not there)" };

	if (i->count)
		disasm(i->bytes, i->count, i->code_size, i->linear, &d);
	sink_print(out, "TID%u: INS 0x%016llx             %-8s %-40s", i->head.vcpu, (unsigned long long)i->linear, d.set,
		   d.text);
	put_registers(out, i);
}

static void put_event(struct sink *out, const struct trace_insn *i)
{
	if (i->head.kind == TRACE_INTERRUPT)
		sink_print(out, "TID%u: # interrupt 0x%02x before 0x%016llx\n", i->head.vcpu, i->vector,
			   (unsigned long long)i->linear);
	else
		sink_print(out, "TID%u: # exception %u, error code 0x%x\n", i->head.vcpu, i->vector, i->error);
}

void insn_text(struct sink *out, const struct trace_insn *i)
{
	if (i->head.kind == TRACE_INTERRUPT) {
		put_event(out, i);
		return;
	}
	put_accesses(out, i, TRACE_READ);
	put_instruction(out, i);
	put_vectors(out, i);
	put_accesses(out, i, TRACE_WRITE);
	if (i->head.kind == TRACE_FAULT)
		put_event(out, i);
}
