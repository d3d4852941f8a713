/* SPDX-License-Identifier: MIT */
/* Frames on stacks that may not be loaded yet: interrupts, call gates, returns. Registers change only at commit. */
#include "internal.h"

#include <string.h>

enum { FRAME_MAX = 32 * 8 }; /* a call gate copies at most 31 parameters, and pushes four more */

void stack_current(const struct emu *e, struct stack *s)
{
	*s = (struct stack){
		.ss = e->cpu.seg[SEG_SS],
		.sp = e->cpu.gpr[RSP],
		.mask = e->stack_size == 8   ? ~0ull
			: e->stack_size == 4 ? 0xffffffffull
					     : 0xffffull,
		.cpl = e->cpl,
		.flat = e->stack_size == 8,
	};
}

static int stack_linear(struct emu *e, const struct stack *s, uint64_t offset, unsigned size, uint64_t *linear)
{
	bool good = s->flat ? emu_is_canonical(e, offset) && emu_is_canonical(e, offset + size - 1)
			    : segment_in_limit(&s->ss, offset, size);

	if (!good)
		return emu_fault_code(e, VEC_SS, s->error);
	*linear = s->flat ? offset : (uint32_t)(s->ss.base + offset);
	return 0;
}

static int stack_access(struct emu *e, const struct stack *s, uint64_t offset, void *data, unsigned size, bool write)
{
	uint64_t linear = 0;

	if (stack_linear(e, s, offset, size, &linear))
		return EMU_STOP;
	if (s->cpl == e->cpl)
		return write ? emu_write(e, SEG_SS, linear, data, size) : emu_read(e, SEG_SS, linear, data, size);
	return write ? emu_sys_write(e, linear, data, size) : emu_sys_read(e, linear, data, size);
}

/* `bytes` below (push) or above (pop) the pointer do not wrap around the end of the stack. */
static bool stack_is_contiguous(const struct stack *s, uint64_t start, unsigned bytes)
{
	return ((start + bytes - 1) & s->mask) >= start;
}

static int push_each(struct emu *e, struct stack *s, const uint64_t *values, unsigned count, unsigned size)
{
	for (unsigned n = 0; n < count; n++) {
		uint64_t value = values[n];

		s->sp = (s->sp - size) & s->mask;
		if (stack_access(e, s, s->sp, &value, size, true))
			return EMU_STOP;
	}
	return 0;
}

int stack_push(struct emu *e, struct stack *s, const uint64_t *values, unsigned count, unsigned size)
{
	unsigned bytes = count * size;
	uint64_t start = (s->sp - bytes) & s->mask;
	uint8_t frame[FRAME_MAX];

	if (bytes > sizeof(frame) || !stack_is_contiguous(s, start, bytes) || emu_checks_alignment(e))
		return push_each(e, s, values, count, size);
	for (unsigned n = 0; n < count; n++)
		memcpy(frame + (count - 1 - n) * size, &values[n], size);
	if (stack_access(e, s, start, frame, bytes, true))
		return EMU_STOP;
	s->sp = start;
	return 0;
}

static int pop_each(struct emu *e, struct stack *s, uint64_t *values, unsigned count, unsigned size)
{
	for (unsigned n = 0; n < count; n++) {
		values[n] = 0;
		if (stack_access(e, s, s->sp & s->mask, &values[n], size, false))
			return EMU_STOP;
		s->sp = (s->sp + size) & s->mask;
	}
	return 0;
}

int stack_pop(struct emu *e, struct stack *s, uint64_t *values, unsigned count, unsigned size)
{
	unsigned bytes = count * size;
	uint64_t start = s->sp & s->mask;
	uint8_t frame[FRAME_MAX];

	if (bytes > sizeof(frame) || !stack_is_contiguous(s, start, bytes) || emu_checks_alignment(e))
		return pop_each(e, s, values, count, size);
	if (stack_access(e, s, start, frame, bytes, false))
		return EMU_STOP;
	for (unsigned n = 0; n < count; n++) {
		values[n] = 0;
		memcpy(&values[n], frame + n * size, size);
	}
	s->sp = (start + bytes) & s->mask;
	return 0;
}

void stack_commit_sp(struct emu *e, const struct stack *s)
{
	uint64_t *rsp = &e->cpu.gpr[RSP];

	if (s->mask == 0xffff)
		*rsp = (*rsp & ~0xffffull) | (s->sp & 0xffff);
	else
		*rsp = s->sp & s->mask;
}
