/* SPDX-License-Identifier: MIT */
/* Far RET and IRET in all their forms (SDM vol. 2, RET and IRET). */
#include "internal.h"

/* What a return found on the stack. */
struct return_frame {
	uint64_t rip, flags, sp;
	uint16_t cs, ss;
	unsigned size;
	struct stack stack; /* after the pops so far */
	unsigned release;   /* parameter bytes of RET n */
};

static int check_return_code(struct emu *e, const struct return_frame *f, struct desc *d)
{
	unsigned rpl = f->cs & 3u;
	bool allowed;

	if (selector_is_null(f->cs))
		return emu_gp0(e);
	if (desc_read(e, f->cs, VEC_GP, d))
		return EMU_STOP;
	allowed = desc_is_code(d) && rpl >= e->cpl;
	if (allowed)
		allowed = desc_has(d, SEG_ATTR_DC) ? desc_dpl(d) <= rpl : desc_dpl(d) == rpl;
	if (e->long_mode && desc_has(d, SEG_ATTR_L) && desc_has(d, SEG_ATTR_DB))
		allowed = false;
	if (!allowed)
		return emu_fault_code(e, VEC_GP, f->cs & ~3u);
	if (!desc_has(d, SEG_ATTR_P))
		return emu_fault_code(e, VEC_NP, f->cs & ~3u);
	return 0;
}

static bool is_64bit_code(const struct emu *e, const struct desc *code)
{
	return e->long_mode && desc_has(code, SEG_ATTR_L);
}

/* SS that comes off the stack; 64-bit kernels may return to a null one (SDM vol. 2, IRET, "IA-32e mode"). */
static int check_return_ss(struct emu *e, const struct return_frame *f, const struct desc *code, struct segment *ss)
{
	unsigned rpl = f->cs & 3u;
	struct desc d;

	if (selector_is_null(f->ss) && is_64bit_code(e, code) && rpl < 3 && (f->ss & 3u) == rpl) {
		*ss = segment_null(f->ss, rpl);
		return 0;
	}
	if (seg_check_ss(e, f->ss, rpl, VEC_GP, &d))
		return EMU_STOP;
	*ss = desc_segment(&d, f->ss);
	return 0;
}

/* The new stack pointer is as wide as the new stack: with a 16-bit SS the upper bits of ESP stay what they were in
 * the kernel, which operating systems know and work around ("espfix"). */
static void load_return_sp(struct emu *e, uint64_t sp, const struct segment *ss, bool is_64bit)
{
	uint64_t *rsp = &e->cpu.gpr[RSP];

	if (is_64bit)
		*rsp = sp;
	else if (ss->attr & SEG_ATTR_DB)
		*rsp = (uint32_t)sp;
	else
		*rsp = (*rsp & ~0xffffull) | (sp & 0xffff);
}

static void commit_with_stack(struct emu *e, const struct return_frame *f, const struct desc *code,
			      const struct segment *ss)
{
	unsigned rpl = f->cs & 3u;
	bool outer = rpl > e->cpl;

	code_commit(e, f->cs, code, rpl);
	e->cpu.seg[SEG_SS] = *ss;
	load_return_sp(e, f->sp + f->release, ss, is_64bit_code(e, code));
	if (outer)
		seg_revoke_data(e, rpl);
}

/* ---- RET far ------------------------------------------------------------------------------------------------------ */

static int retf_real(struct emu *e, const struct return_frame *f, struct stack *s)
{
	if (f->rip > e->cpu.seg[SEG_CS].limit)
		return emu_gp0(e);
	e->cpu.seg[SEG_CS] = segment_real(e, &e->cpu.seg[SEG_CS], f->cs);
	s->sp += f->release;
	stack_commit_sp(e, s);
	mmu_mode_changed(e);
	return emu_jump(e, f->rip);
}

static int retf_outer(struct emu *e, struct return_frame *f, struct stack *s, struct desc *code)
{
	uint64_t values[2];
	struct segment ss;

	s->sp = (s->sp + f->release) & s->mask;
	if (stack_pop(e, s, values, 2, f->size))
		return EMU_STOP;
	f->sp = values[0];
	f->ss = (uint16_t)values[1];
	if (check_return_ss(e, f, code, &ss) || code_check_offset(e, code, f->rip) || desc_set_accessed(e, code))
		return EMU_STOP;
	commit_with_stack(e, f, code, &ss);
	mmu_mode_changed(e);
	return emu_jump(e, f->rip);
}

static int retf(struct emu *e, const struct insn *i, unsigned release)
{
	struct return_frame f = { .size = i->size, .release = release };
	uint64_t values[2];
	struct stack s;
	struct desc code;

	stack_current(e, &s);
	if (stack_pop(e, &s, values, 2, i->size))
		return EMU_STOP;
	f.rip = values[0];
	f.cs = (uint16_t)values[1];
	if (sys_real_or_v86(e))
		return retf_real(e, &f, &s);
	if (check_return_code(e, &f, &code))
		return EMU_STOP;
	if ((f.cs & 3u) > e->cpl)
		return retf_outer(e, &f, &s, &code);
	if (code_check_offset(e, &code, f.rip) || desc_set_accessed(e, &code))
		return EMU_STOP;
	code_commit(e, f.cs, &code, e->cpl);
	s.sp += release;
	stack_commit_sp(e, &s);
	mmu_mode_changed(e);
	return emu_jump(e, f.rip);
}

int sem_retf(struct emu *e, const struct insn *i)
{
	return retf(e, i, 0);
}

int sem_retf_imm(struct emu *e, const struct insn *i)
{
	return retf(e, i, (uint16_t)i->imm);
}

/* ---- IRET ----------------------------------------------------------------------------------------------------------- */

/* The flags that IRET may change depend on the privilege it comes from (SDM vol. 2, IRET; vol. 1, 3.4.3). */
static uint64_t iret_flags_mask(const struct emu *e, unsigned size)
{
	uint64_t mask = RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID;

	if (e->cpl <= sys_iopl(e))
		mask |= RFLAGS_IF;
	if (e->cpl == 0)
		mask |= RFLAGS_IOPL | sys_virtual_flags(e);
	return size == 2 ? mask & 0xffff : mask;
}

/* Ends NMI blocking, even if the IRET faults (SDM vol. 3, 6.7.1), and makes the run loop look at what became
 * deliverable (pitfall: a latched NMI). */
static void iret_unblock(struct emu *e)
{
	if (e->cpu.nmi_blocked)
		emu_attention(e);
	e->cpu.nmi_blocked = false;
}

static int iret_real(struct emu *e, const struct insn *i)
{
	uint64_t v[3];
	struct stack s;
	uint64_t mask =
		RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID | RFLAGS_IF | RFLAGS_IOPL;

	stack_current(e, &s);
	if (stack_pop(e, &s, v, 3, i->size))
		return EMU_STOP;
	if (v[0] > e->cpu.seg[SEG_CS].limit)
		return emu_gp0(e);
	e->cpu.seg[SEG_CS] = segment_real(e, &e->cpu.seg[SEG_CS], (uint16_t)v[1]);
	stack_commit_sp(e, &s);
	emu_flags_set(e, i->size == 2 ? mask & 0xffff : mask, v[2]);
	mmu_mode_changed(e);
	return emu_jump(e, v[0]);
}

/* In virtual-8086 mode IOPL never changes; with VME and IOPL < 3, IF of the image goes to VIF (SDM vol. 3, 20.3.3). */
static int iret_v86_flags(struct emu *e, unsigned size, uint64_t image)
{
	uint64_t mask = RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID;
	uint64_t value = image & ~(uint64_t)RFLAGS_VIF;

	if (sys_iopl(e) == 3) {
		mask |= RFLAGS_IF;
	} else {
		if ((image & RFLAGS_TF) || ((image & RFLAGS_IF) && (e->cpu.rflags & RFLAGS_VIP)))
			return emu_gp0(e);
		if (image & RFLAGS_IF)
			value |= RFLAGS_VIF;
	}
	mask = size == 2 ? mask & 0xffff : mask;
	emu_flags_set(e, sys_iopl(e) == 3 ? mask : mask | RFLAGS_VIF, value);
	return 0;
}

static int iret_from_v86(struct emu *e, const struct insn *i)
{
	uint64_t v[3];
	struct stack s;

	if (sys_iopl(e) < 3 && !((e->cpu.cr4 & CR4_VME) && i->size == 2))
		return emu_gp0(e);
	stack_current(e, &s);
	if (stack_pop(e, &s, v, 3, i->size))
		return EMU_STOP;
	if (v[0] > e->cpu.seg[SEG_CS].limit)
		return emu_gp0(e);
	if (iret_v86_flags(e, i->size, v[2]))
		return EMU_STOP;
	e->cpu.seg[SEG_CS] = segment_real(e, &e->cpu.seg[SEG_CS], (uint16_t)v[1]);
	stack_commit_sp(e, &s);
	mmu_mode_changed(e);
	return emu_jump(e, v[0]);
}

static int iret_to_v86(struct emu *e, const struct return_frame *f, struct stack *s)
{
	static const uint8_t order[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	uint64_t v[6];

	if (stack_pop(e, s, v, 6, 4))
		return EMU_STOP;
	if (f->rip > 0xffff)
		return emu_gp0(e);
	emu_flags_set(e, iret_flags_mask(e, 4) | RFLAGS_VM, f->flags);
	e->cpu.seg[SEG_CS] = segment_real(e, &e->cpu.seg[SEG_CS], f->cs);
	e->cpu.seg[SEG_SS] = segment_real(e, &e->cpu.seg[SEG_SS], (uint16_t)v[1]);
	for (unsigned n = 0; n < sizeof(order); n++)
		e->cpu.seg[order[n]] = segment_real(e, &e->cpu.seg[order[n]], (uint16_t)v[2 + n]);
	e->cpu.gpr[RSP] = (uint32_t)v[0];
	mmu_mode_changed(e);
	return emu_jump(e, f->rip);
}

/* NT set: back to the task whose selector is in the back link of the current TSS. */
static int iret_task(struct emu *e, const struct insn *i)
{
	uint16_t selector;
	struct desc tss;

	if (emu_sys_read(e, e->cpu.tr.base, &selector, 2))
		return EMU_STOP;
	if (selector & 4)
		return emu_fault_code(e, VEC_TS, selector & ~3u);
	if (desc_read(e, selector, VEC_TS, &tss))
		return EMU_STOP;
	return task_end(e, task_switch(e, selector, &tss, TASK_IRET, emu_flags_get(e), emu_next_rip(e, i)));
}

static int iret_frame(struct emu *e, struct return_frame *f, struct stack *s)
{
	uint64_t v[5];
	unsigned count = e->code_size == 8 ? 5 : 3;

	stack_current(e, s);
	if (stack_pop(e, s, v, count, f->size))
		return EMU_STOP;
	f->rip = v[0];
	f->cs = (uint16_t)v[1];
	f->flags = v[2];
	if (count == 5) {
		f->sp = v[3];
		f->ss = (uint16_t)v[4];
	}
	return 0;
}

/* To a less privileged level outside 64-bit mode SS:ESP still wait on the stack. */
static int iret_outer_stack(struct emu *e, struct return_frame *f, struct stack *s)
{
	uint64_t v[2];

	if (stack_pop(e, s, v, 2, f->size))
		return EMU_STOP;
	f->sp = v[0];
	f->ss = (uint16_t)v[1];
	return 0;
}

static int iret_protected(struct emu *e, const struct insn *i)
{
	struct return_frame f = { .size = i->size };
	struct segment ss;
	struct stack s;
	struct desc code;
	uint64_t mask = iret_flags_mask(e, i->size);
	bool with_stack;

	if (iret_frame(e, &f, &s))
		return EMU_STOP;
	if (!e->long_mode && i->size == 4 && e->cpl == 0 && (f.flags & RFLAGS_VM))
		return iret_to_v86(e, &f, &s);
	if (check_return_code(e, &f, &code))
		return EMU_STOP;
	with_stack = e->code_size == 8 || (f.cs & 3u) > e->cpl;
	if (with_stack && e->code_size != 8 && iret_outer_stack(e, &f, &s))
		return EMU_STOP;
	if (with_stack && check_return_ss(e, &f, &code, &ss))
		return EMU_STOP;
	if (code_check_offset(e, &code, f.rip) || desc_set_accessed(e, &code))
		return EMU_STOP;
	if (with_stack) {
		commit_with_stack(e, &f, &code, &ss);
	} else {
		code_commit(e, f.cs, &code, e->cpl);
		stack_commit_sp(e, &s);
	}
	emu_flags_set(e, mask, f.flags);
	mmu_mode_changed(e);
	return emu_jump(e, f.rip);
}

static int iret(struct emu *e, const struct insn *i)
{
	iret_unblock(e);
	if (!sys_protected(e))
		return iret_real(e, i);
	if (sys_v86(e))
		return iret_from_v86(e, i);
	if ((e->cpu.rflags & RFLAGS_NT) && e->long_mode)
		return emu_gp0(e);
	if (e->cpu.rflags & RFLAGS_NT)
		return iret_task(e, i);
	return iret_protected(e, i);
}

int sem_iret(struct emu *e, const struct insn *i)
{
	uint64_t old = e->cpu.rflags;
	int r = iret(e, i);

	if (!(old & RFLAGS_IF) && (e->cpu.rflags & RFLAGS_IF))
		sys_interrupts_enabled(e);
	return r;
}
