/* SPDX-License-Identifier: MIT */
/* Far JMP, CALL and RET, with call gates (SDM vol. 3, 5.8). IRET is in ret.c, task gates in task.c. */
#include "internal.h"

enum { MAX_PARAMETERS = 31 };

struct far_target {
	uint16_t selector;
	uint64_t offset;
	bool is_call;
	unsigned size; /* operand size: width of what CALL pushes */
};

/* A 64-bit code segment has no limit; the offset must be canonical instead. */
int code_check_offset(struct emu *e, const struct desc *d, uint64_t offset)
{
	bool good = e->long_mode && desc_has(d, SEG_ATTR_L) ? emu_is_canonical(e, offset) : offset <= desc_segment(d, 0).limit;

	return good ? 0 : emu_gp0(e);
}

static bool code_size_is_valid(const struct emu *e, const struct desc *d)
{
	return !(e->long_mode && desc_has(d, SEG_ATTR_L) && desc_has(d, SEG_ATTR_DB));
}

int code_check_direct(struct emu *e, uint16_t selector, const struct desc *d)
{
	unsigned dpl = desc_dpl(d);
	bool allowed = desc_has(d, SEG_ATTR_DC) ? dpl <= e->cpl : (selector & 3u) <= e->cpl && dpl == e->cpl;

	if (!allowed || !code_size_is_valid(e, d))
		return emu_fault_code(e, VEC_GP, selector & ~3u);
	if (!desc_has(d, SEG_ATTR_P))
		return emu_fault_code(e, VEC_NP, selector & ~3u);
	return 0;
}

void code_commit(struct emu *e, uint16_t selector, const struct desc *d, unsigned cpl)
{
	e->cpu.seg[SEG_CS] = desc_segment(d, (uint16_t)((selector & ~3u) | cpl));
}

static int finish(struct emu *e, uint64_t rip)
{
	mmu_mode_changed(e);
	return emu_jump(e, rip);
}

/* ---- real and virtual-8086 mode ------------------------------------------------------------------------------ */

static int far_real(struct emu *e, const struct insn *i, const struct far_target *t)
{
	struct stack s;
	uint64_t frame[2] = { e->cpu.seg[SEG_CS].selector, emu_next_rip(e, i) };

	if (t->offset > e->cpu.seg[SEG_CS].limit)
		return emu_gp0(e);
	if (t->is_call) {
		stack_current(e, &s);
		if (stack_push(e, &s, frame, 2, t->size))
			return EMU_STOP;
		stack_commit_sp(e, &s);
	}
	e->cpu.seg[SEG_CS] = segment_real(e, &e->cpu.seg[SEG_CS], t->selector);
	return finish(e, t->offset);
}

/* ---- code segments --------------------------------------------------------------------------------------------- */

/* Pushes CS:RIP on the current stack and goes to a segment of the same privilege. */
static int far_same_level(struct emu *e, const struct insn *i, const struct far_target *t, struct desc *code,
			  unsigned push_size)
{
	struct stack s;
	uint64_t frame[2] = { e->cpu.seg[SEG_CS].selector, emu_next_rip(e, i) };

	if (code_check_offset(e, code, t->offset) || desc_set_accessed(e, code))
		return EMU_STOP;
	if (t->is_call) {
		stack_current(e, &s);
		if (stack_push(e, &s, frame, 2, push_size))
			return EMU_STOP;
		stack_commit_sp(e, &s);
	}
	code_commit(e, t->selector, code, e->cpl);
	return finish(e, t->offset);
}

/* ---- call gates -------------------------------------------------------------------------------------------------- */

static unsigned gate_size(const struct emu *e, const struct desc *gate)
{
	if (e->long_mode)
		return 8;
	return desc_type(gate) == DESC_CALL32 ? 4 : 2;
}

static uint64_t gate_offset(const struct desc *gate, unsigned size)
{
	uint64_t offset = (gate->raw & 0xffff) | (gate->raw >> 32 & 0xffff0000);

	if (size == 8)
		offset |= gate->raw_hi << 32;
	return truncate_to(offset, size);
}

/* The stack of a more privileged level, as the TSS gives it. */
static int inner_stack(struct emu *e, unsigned cpl, struct stack *s)
{
	uint16_t selector;
	struct desc d;

	*s = (struct stack){ .cpl = (uint8_t)cpl, .mask = ~0ull, .flat = true };
	if (e->long_mode) {
		s->ss = segment_null((uint16_t)cpl, cpl);
		return tss_read_rsp(e, 4 + cpl * 8, &s->sp);
	}
	if (tss_read_stack(e, cpl, &selector, &s->sp) || seg_check_ss(e, selector, cpl, VEC_TS, &d))
		return EMU_STOP;
	s->ss = desc_segment(&d, selector);
	s->mask = desc_has(&d, SEG_ATTR_DB) ? 0xffffffffull : 0xffffull;
	s->error = selector & 0xfffc;
	s->flat = false;
	return 0;
}

static int call_gate_inner(struct emu *e, const struct insn *i, const struct far_target *t, const struct desc *gate,
			   struct desc *code)
{
	unsigned size = gate_size(e, gate), cpl = desc_dpl(code), count = 0;
	unsigned parameters = size == 8 ? 0 : gate->raw >> 32 & MAX_PARAMETERS;
	uint64_t frame[4 + MAX_PARAMETERS], copied[MAX_PARAMETERS];
	struct stack s, old;

	stack_current(e, &old);
	if (inner_stack(e, cpl, &s) || stack_pop(e, &old, copied, parameters, size))
		return EMU_STOP;
	frame[count++] = e->cpu.seg[SEG_SS].selector;
	frame[count++] = e->cpu.gpr[RSP];
	while (parameters > 0)
		frame[count++] = copied[--parameters];
	frame[count++] = e->cpu.seg[SEG_CS].selector;
	frame[count++] = emu_next_rip(e, i);
	if (code_check_offset(e, code, t->offset) || stack_push(e, &s, frame, count, size) || desc_set_accessed(e, code))
		return EMU_STOP;
	code_commit(e, t->selector, code, cpl);
	e->cpu.seg[SEG_SS] = s.ss;
	stack_commit_sp(e, &s);
	return finish(e, t->offset);
}

static int gate_check(struct emu *e, uint16_t selector, const struct desc *gate)
{
	unsigned dpl = desc_dpl(gate);

	if (dpl < e->cpl || dpl < (selector & 3u))
		return emu_fault_code(e, VEC_GP, selector & ~3u);
	if (!desc_has(gate, SEG_ATTR_P))
		return emu_fault_code(e, VEC_NP, selector & ~3u);
	return 0;
}

static int call_gate_check_code(struct emu *e, uint16_t selector, const struct desc *code, bool is_call)
{
	unsigned dpl = desc_dpl(code);
	bool allowed = desc_is_code(code) && dpl <= e->cpl;

	if (!is_call && !desc_has(code, SEG_ATTR_DC))
		allowed = allowed && dpl == e->cpl;
	if (e->long_mode)
		allowed = allowed && desc_has(code, SEG_ATTR_L) && !desc_has(code, SEG_ATTR_DB);
	if (!allowed)
		return emu_fault_code(e, VEC_GP, selector & ~3u);
	if (!desc_has(code, SEG_ATTR_P))
		return emu_fault_code(e, VEC_NP, selector & ~3u);
	return 0;
}

static int far_call_gate(struct emu *e, const struct insn *i, const struct far_target *via, struct desc *gate)
{
	struct far_target t = *via;
	struct desc code;
	unsigned size = gate_size(e, gate);

	if (gate_check(e, via->selector, gate))
		return EMU_STOP;
	if (size == 8) {
		if (desc_read_high(e, via->selector, VEC_GP, gate))
			return EMU_STOP;
		if (gate->raw_hi >> 40 & 0x1f)
			return emu_fault_code(e, VEC_GP, via->selector & ~3u);
	}
	t.selector = (uint16_t)(gate->raw >> 16);
	t.offset = gate_offset(gate, size);
	if (selector_is_null(t.selector))
		return emu_gp0(e);
	if (desc_read(e, t.selector, VEC_GP, &code) || call_gate_check_code(e, t.selector, &code, via->is_call))
		return EMU_STOP;
	if (via->is_call && !desc_has(&code, SEG_ATTR_DC) && desc_dpl(&code) < e->cpl)
		return call_gate_inner(e, i, &t, gate, &code);
	return far_same_level(e, i, &t, &code, size);
}

/* ---- tasks --------------------------------------------------------------------------------------------------------- */

static int far_task(struct emu *e, const struct insn *i, const struct far_target *t, uint16_t selector, struct desc *tss)
{
	enum task_reason reason = t->is_call ? TASK_CALL : TASK_JMP;

	return task_end(e, task_switch(e, selector, tss, reason, emu_flags_get(e), emu_next_rip(e, i)));
}

static int far_task_gate(struct emu *e, const struct insn *i, const struct far_target *t, const struct desc *gate)
{
	uint16_t selector = (uint16_t)(gate->raw >> 16);
	struct desc tss;

	if (gate_check(e, t->selector, gate))
		return EMU_STOP;
	if (selector & 4)
		return emu_fault_code(e, VEC_GP, selector & ~3u);
	if (desc_read(e, selector, VEC_GP, &tss))
		return EMU_STOP;
	return far_task(e, i, t, selector, &tss);
}

static int far_system(struct emu *e, const struct insn *i, const struct far_target *t, struct desc *d)
{
	unsigned type = desc_type(d);

	if (e->long_mode && type != DESC_CALL32)
		return emu_fault_code(e, VEC_GP, t->selector & ~3u);
	switch (type) {
	case DESC_CALL16:
	case DESC_CALL32:
		return far_call_gate(e, i, t, d);
	case DESC_TSS16:
	case DESC_TSS32:
		/* A selector in the LDT cannot name a TSS. */
		if ((t->selector & 4) || gate_check(e, t->selector, d))
			return e->fault.pending ? EMU_STOP : emu_fault_code(e, VEC_GP, t->selector & ~3u);
		return far_task(e, i, t, t->selector, d);
	case DESC_TASK_GATE:
		return far_task_gate(e, i, t, d);
	}
	return emu_fault_code(e, VEC_GP, t->selector & ~3u);
}

static int far_transfer(struct emu *e, const struct insn *i, const struct far_target *t)
{
	struct desc d;

	if (sys_real_or_v86(e))
		return far_real(e, i, t);
	if (selector_is_null(t->selector))
		return emu_gp0(e);
	if (desc_read(e, t->selector, VEC_GP, &d))
		return EMU_STOP;
	if (!desc_has(&d, SEG_ATTR_S))
		return far_system(e, i, t, &d);
	if (!desc_is_code(&d))
		return emu_fault_code(e, VEC_GP, t->selector & ~3u);
	if (code_check_direct(e, t->selector, &d))
		return EMU_STOP;
	return far_same_level(e, i, t, &d, t->size);
}

/* ptr16:16 or ptr16:32 in the instruction; decode.h says where imm holds the selector. */
static struct far_target immediate_target(const struct insn *i, bool is_call)
{
	return (struct far_target){
		.selector = (uint16_t)(i->imm >> 32),
		.offset = truncate_to(i->imm, i->size),
		.is_call = is_call,
		.size = i->size,
	};
}

int sem_call_far_imm(struct emu *e, const struct insn *i)
{
	struct far_target t = immediate_target(i, true);

	return far_transfer(e, i, &t);
}

int sem_jmp_far_imm(struct emu *e, const struct insn *i)
{
	struct far_target t = immediate_target(i, false);

	return far_transfer(e, i, &t);
}

static int far_memory(struct emu *e, const struct insn *i, bool is_call)
{
	struct far_target t = { .is_call = is_call, .size = i->size };

	if (sys_read_far_pointer(e, i, &t.selector, &t.offset))
		return EMU_STOP;
	return far_transfer(e, i, &t);
}

int sem_call_far_mem(struct emu *e, const struct insn *i)
{
	return far_memory(e, i, true);
}

int sem_jmp_far_mem(struct emu *e, const struct insn *i)
{
	return far_memory(e, i, false);
}
