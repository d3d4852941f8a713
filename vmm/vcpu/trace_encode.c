/* SPDX-License-Identifier: MIT */
/* An instruction as a record: what is different after it, and what it accessed (trace.h). */
#include "trace.h"

#include <string.h>

/* False: there is no room for it. */
static bool add(struct trace_insn *out, uint64_t address, enum trace_what what, const void *value, size_t size)
{
	struct trace_item item = {
		.address = address, .size = (uint16_t)size, .what = (uint8_t)what, .has_value = value != NULL
	};
	uint8_t *at = (uint8_t *)out + out->head.bytes;
	size_t bytes = sizeof(item) + trace_round(size);

	if (out->head.bytes + bytes > TRACE_RECORD_MAX || out->items == UINT8_MAX)
		return false;
	memcpy(at, &item, sizeof(item));
	memset(at + sizeof(item), 0, trace_round(size));
	if (value)
		memcpy(at + sizeof(item), value, size);
	out->head.bytes = (uint16_t)(out->head.bytes + bytes);
	out->items++;
	return true;
}

static void number(struct trace_insn *out, unsigned id, uint64_t before, uint64_t after)
{
	if (before != after)
		add(out, id, TRACE_REGISTER, &after, sizeof(after));
}

static void general(struct trace_insn *out, const struct cpu *b, const struct cpu *a)
{
	for (unsigned n = 0; n < 16; n++)
		number(out, TRACE_GPR + n, b->gpr[n], a->gpr[n]);
	number(out, TRACE_RFLAGS, b->rflags, a->rflags);
	for (unsigned n = 0; n < 6; n++)
		number(out, TRACE_SEGMENT + n, b->seg[n].selector, a->seg[n].selector);
	number(out, TRACE_BASE, b->seg[SEG_FS].base, a->seg[SEG_FS].base);
	number(out, TRACE_BASE + 1, b->seg[SEG_GS].base, a->seg[SEG_GS].base);
	number(out, TRACE_CR0, b->cr0, a->cr0);
	number(out, TRACE_CR2, b->cr2, a->cr2);
	number(out, TRACE_CR3, b->cr3, a->cr3);
	number(out, TRACE_CR4, b->cr4, a->cr4);
	number(out, TRACE_EFER, b->msr.efer, a->msr.efer);
}

static void floating(struct trace_insn *out, const struct cpu *b, const struct cpu *a)
{
	number(out, TRACE_MXCSR, b->mxcsr, a->mxcsr);
	number(out, TRACE_X87_CW, b->fpu.cw, a->fpu.cw);
	number(out, TRACE_X87_SW, b->fpu.sw, a->fpu.sw);
	for (unsigned n = 0; n < 8; n++)
		if (b->fpu.r[n].sig != a->fpu.r[n].sig || b->fpu.r[n].se != a->fpu.r[n].se) {
			uint8_t value[10];

			memcpy(value, &a->fpu.r[n].sig, 8);
			memcpy(value + 8, &a->fpu.r[n].se, 2);
			add(out, TRACE_ST + n, TRACE_REGISTER, value, sizeof(value));
		}
	for (unsigned n = 0; n < 8; n++)
		number(out, TRACE_K + n, b->k[n], a->k[n]);
}

/* As XMM if nothing above has changed, and so on. */
static void vectors(struct trace_insn *out, const struct cpu *b, const struct cpu *a)
{
	if (!memcmp(b->vec, a->vec, sizeof(a->vec)))
		return;
	for (unsigned n = 0; n < 32; n++) {
		const union vec *was = &b->vec[n], *is = &a->vec[n];
		size_t size = memcmp(was->u8 + 32, is->u8 + 32, 32) ? 64 : memcmp(was->u8 + 16, is->u8 + 16, 16) ? 32 : 16;

		if (memcmp(was, is, sizeof(*is)))
			add(out, TRACE_VECTOR + n, TRACE_REGISTER, is, size);
	}
}

void trace_encode(const struct engine_insn *i, struct trace_insn *out)
{
	*out = (struct trace_insn){
		.head = { .bytes = sizeof(*out), .kind = i->faulted ? TRACE_FAULT : TRACE_INSN },
		.linear = i->linear,
		.rip = i->before.rip,
		.count = i->count,
		.code_size = i->code_size,
		.cpl = i->cpl,
		.vector = i->vector,
		.error = i->error,
	};
	memcpy(out->bytes, i->bytes, sizeof(out->bytes));
	general(out, &i->before, &i->after);
	floating(out, &i->before, &i->after);
	vectors(out, &i->before, &i->after);
	for (unsigned n = 0; n < i->accesses; n++) {
		const struct engine_access *a = &i->access[n];
		size_t size = a->size <= ENGINE_ACCESS_BYTES ? a->size : 0;

		add(out, a->linear, a->write ? TRACE_WRITE : TRACE_READ, a->has_value ? a->value : NULL, size);
	}
}
