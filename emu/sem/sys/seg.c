/* SPDX-License-Identifier: MIT */
/* Loading segment registers, and the instructions that only ask about segments (SDM vol. 2: MOV, LDS, LAR, LSL...). */
#include "internal.h"

/* Recomputing the mode is needed where segmentation is alive; in 64-bit mode only the bases of FS and GS count. */
void seg_loaded(struct emu *e, unsigned seg)
{
	if (e->code_size != 8 || seg == SEG_SS || seg == SEG_CS)
		mmu_mode_changed(e);
	else if (seg == SEG_FS || seg == SEG_GS)
		e->seg_base[seg] = e->cpu.seg[seg].base;
}

/* Common to MOV SS (#GP) and to inner stacks (#TS). The order of checks is the SDM's. */
int seg_check_ss(struct emu *e, uint16_t selector, unsigned cpl, enum vector vector, struct desc *d)
{
	if (selector_is_null(selector))
		return emu_fault_code(e, vector, 0);
	if (desc_read(e, selector, vector, d))
		return EMU_STOP;
	if ((selector & 3u) != cpl || desc_dpl(d) != cpl || !desc_is_writable_data(d))
		return emu_fault_code(e, vector, selector & ~3u);
	if (!desc_has(d, SEG_ATTR_P))
		return emu_fault_code(e, VEC_SS, selector & ~3u);
	return desc_set_accessed(e, d);
}

static int load_ss(struct emu *e, uint16_t selector)
{
	struct desc d;

	if (selector_is_null(selector) && e->code_size == 8 && e->cpl < 3 && (selector & 3) == e->cpl) {
		e->cpu.seg[SEG_SS] = segment_null(selector, e->cpl);
		return 0;
	}
	if (seg_check_ss(e, selector, e->cpl, VEC_GP, &d))
		return EMU_STOP;
	e->cpu.seg[SEG_SS] = desc_segment(&d, selector);
	return 0;
}

static bool data_load_allowed(const struct emu *e, uint16_t selector, const struct desc *d)
{
	uint32_t attr = desc_attr(d);
	bool conforming = (attr & (SEG_ATTR_CODE | SEG_ATTR_DC)) == (SEG_ATTR_CODE | SEG_ATTR_DC);

	if (!(attr & SEG_ATTR_S) || (attr & (SEG_ATTR_CODE | SEG_ATTR_RW)) == SEG_ATTR_CODE)
		return false;
	return conforming || ((selector & 3u) <= desc_dpl(d) && e->cpl <= desc_dpl(d));
}

static int load_data(struct emu *e, unsigned seg, uint16_t selector)
{
	struct desc d;

	if (selector_is_null(selector)) {
		/* The base reads as zero afterwards, also of FS and GS in 64-bit mode (Intel's behaviour). */
		e->cpu.seg[seg] = segment_null(selector, 0);
		return 0;
	}
	if (desc_read(e, selector, VEC_GP, &d))
		return EMU_STOP;
	if (!data_load_allowed(e, selector, &d))
		return emu_fault_code(e, VEC_GP, selector & ~3u);
	if (!desc_has(&d, SEG_ATTR_P))
		return emu_fault_code(e, VEC_NP, selector & ~3u);
	if (desc_set_accessed(e, &d))
		return EMU_STOP;
	e->cpu.seg[seg] = desc_segment(&d, selector);
	return 0;
}

int sys_load_segment(struct emu *e, unsigned seg, uint16_t selector)
{
	int r = 0;

	if (sys_real_or_v86(e))
		e->cpu.seg[seg] = segment_real(e, &e->cpu.seg[seg], selector);
	else
		r = seg == SEG_SS ? load_ss(e, selector) : load_data(e, seg, selector);
	if (!r)
		seg_loaded(e, seg);
	return r;
}

static bool is_inherited(const struct segment *s, unsigned cpl)
{
	bool conforming = (s->attr & (SEG_ATTR_CODE | SEG_ATTR_DC)) == (SEG_ATTR_CODE | SEG_ATTR_DC);

	return !selector_is_null(s->selector) && (conforming || ((s->attr >> SEG_ATTR_DPL_SHIFT) & 3) >= cpl);
}

/* The selector becomes 0, also that of a null selector with RPL 1 to 3, and the descriptor unusable. Its base stays: in
 * 64-bit mode FS and GS go on adding theirs, whatever the selector (SDM vol. 2, IRET and RET, "Operation"). */
void seg_revoke_data(struct emu *e, unsigned cpl)
{
	static const uint8_t data_segments[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };

	for (unsigned n = 0; n < sizeof(data_segments); n++) {
		struct segment *s = &e->cpu.seg[data_segments[n]];
		uint64_t base = s->base;

		if (is_inherited(s, cpl))
			continue;
		*s = segment_null(0, 0);
		s->base = base;
	}
}

/* ---- MOV, PUSH, POP, LDS.. --------------------------------------------------------------------------------- */

/* What follows a segment load: SS opens the shadow, and outside 64-bit mode the shape of memory may have changed. */
static int after_load(struct emu *e, const struct insn *i, unsigned seg)
{
	if (seg == SEG_SS) {
		/* The second of two in a row does not extend the first (SDM vol. 3, 6.8.3). */
		if (!(e->cpu.shadow & SHADOW_MOV_SS))
			e->cpu.shadow = SHADOW_MOV_SS;
		return emu_end_block(e, i);
	}
	return e->code_size == 8 ? 0 : emu_end_block(e, i);
}

int sem_mov_from_sreg(struct emu *e, const struct insn *i)
{
	uint16_t selector;

	if (i->reg >= SEG_COUNT)
		return emu_ud(e);
	selector = e->cpu.seg[i->reg].selector;
	if (i->is_mem)
		return emu_store(e, i, &selector, 2);
	reg_write(e, i->rm, i->size, selector);
	return 0;
}

int sem_mov_to_sreg(struct emu *e, const struct insn *i)
{
	uint64_t selector;

	if (i->reg >= SEG_COUNT || i->reg == SEG_CS)
		return emu_ud(e);
	if (sys_read_rm(e, i, 2, &selector) || sys_load_segment(e, i->reg, (uint16_t)selector))
		return EMU_STOP;
	return after_load(e, i, i->reg);
}

static int push_sreg(struct emu *e, const struct insn *i, unsigned seg)
{
	struct stack s;
	uint64_t value = e->cpu.seg[seg].selector;

	stack_current(e, &s);
	if (stack_push(e, &s, &value, 1, i->size))
		return EMU_STOP;
	stack_commit_sp(e, &s);
	return 0;
}

static int pop_sreg(struct emu *e, const struct insn *i, unsigned seg)
{
	struct stack s;
	uint64_t value;

	stack_current(e, &s);
	if (stack_pop(e, &s, &value, 1, i->size))
		return EMU_STOP;
	/* POP SS: the pointer moves by the width of the old stack. */
	if (sys_load_segment(e, seg, (uint16_t)value))
		return EMU_STOP;
	stack_commit_sp(e, &s);
	return after_load(e, i, seg);
}

static int load_far_pointer(struct emu *e, const struct insn *i, unsigned seg)
{
	uint16_t selector;
	uint64_t offset;

	if (sys_read_far_pointer(e, i, &selector, &offset) || sys_load_segment(e, seg, selector))
		return EMU_STOP;
	reg_write(e, i->reg, i->size, offset);
	return e->code_size == 8 && seg != SEG_SS ? 0 : emu_end_block(e, i);
}

#define SREG_SEMANTIC(name, what, seg)                          \
	int sem_##name(struct emu *e, const struct insn *i)     \
	{                                                       \
		return what(e, i, seg);                         \
	}

SREG_SEMANTIC(push_es, push_sreg, SEG_ES)
SREG_SEMANTIC(push_cs, push_sreg, SEG_CS)
SREG_SEMANTIC(push_ss, push_sreg, SEG_SS)
SREG_SEMANTIC(push_ds, push_sreg, SEG_DS)
SREG_SEMANTIC(push_fs, push_sreg, SEG_FS)
SREG_SEMANTIC(push_gs, push_sreg, SEG_GS)
SREG_SEMANTIC(pop_es, pop_sreg, SEG_ES)
SREG_SEMANTIC(pop_ss, pop_sreg, SEG_SS)
SREG_SEMANTIC(pop_ds, pop_sreg, SEG_DS)
SREG_SEMANTIC(pop_fs, pop_sreg, SEG_FS)
SREG_SEMANTIC(pop_gs, pop_sreg, SEG_GS)
SREG_SEMANTIC(lds, load_far_pointer, SEG_DS)
SREG_SEMANTIC(les, load_far_pointer, SEG_ES)
SREG_SEMANTIC(lfs, load_far_pointer, SEG_FS)
SREG_SEMANTIC(lgs, load_far_pointer, SEG_GS)
SREG_SEMANTIC(lss, load_far_pointer, SEG_SS)

/* ---- LAR, LSL, VERR, VERW, ARPL ---------------------------------------------------------------------------- */

/* Bit n: LAR (LSL) accepts system descriptor type n, outside and inside long mode (SDM vol. 2, tables 3-50, 3-52). */
static const uint16_t lar_types[2] = { 0x1a3e, 0x1a04 };
static const uint16_t lsl_types[2] = { 0x0a0e, 0x0a04 };

/* Reads a descriptor for the asking instructions: whatever is wrong with the selector only clears ZF. A fault of
 * the table's memory is real. *found says whether *d is valid. */
static int peek_descriptor(struct emu *e, uint16_t selector, struct desc *d, bool *found)
{
	*found = false;
	if (selector_is_null(selector))
		return 0;
	if (desc_read(e, selector, VEC_GP, d)) {
		if (e->fault.vector != VEC_GP)
			return EMU_STOP;
		e->fault.pending = false;
		return 0;
	}
	*found = true;
	return 0;
}

static bool peek_privilege(const struct emu *e, uint16_t selector, const struct desc *d)
{
	bool conforming = desc_is_code(d) && desc_has(d, SEG_ATTR_DC);

	return conforming || (e->cpl <= desc_dpl(d) && (selector & 3u) <= desc_dpl(d));
}

static void set_zf(struct emu *e, bool set)
{
	emu_flags_set(e, RFLAGS_ZF, set ? RFLAGS_ZF : 0);
}

static int lar_lsl(struct emu *e, const struct insn *i, const uint16_t types[2], bool is_lar)
{
	uint64_t selector;
	struct desc d;
	bool found;

	if (sys_read_rm(e, i, 2, &selector) || peek_descriptor(e, (uint16_t)selector, &d, &found))
		return EMU_STOP;
	if (found && !desc_has(&d, SEG_ATTR_S))
		found = types[e->long_mode] >> desc_type(&d) & 1;
	if (found)
		found = peek_privilege(e, (uint16_t)selector, &d);
	set_zf(e, found);
	if (!found)
		return 0;
	if (is_lar)
		reg_write(e, i->reg, i->size, (d.raw >> 32) & 0x00ffff00);
	else
		reg_write(e, i->reg, i->size, desc_segment(&d, 0).limit);
	return 0;
}

int sem_lar(struct emu *e, const struct insn *i)
{
	return lar_lsl(e, i, lar_types, true);
}

int sem_lsl(struct emu *e, const struct insn *i)
{
	return lar_lsl(e, i, lsl_types, false);
}

static int verify(struct emu *e, const struct insn *i, bool for_write)
{
	uint64_t selector;
	struct desc d;
	bool found;

	if (sys_read_rm(e, i, 2, &selector) || peek_descriptor(e, (uint16_t)selector, &d, &found))
		return EMU_STOP;
	if (found)
		found = desc_has(&d, SEG_ATTR_S) && peek_privilege(e, (uint16_t)selector, &d);
	if (found)
		found = for_write ? desc_is_writable_data(&d) : !desc_is_code(&d) || desc_has(&d, SEG_ATTR_RW);
	set_zf(e, found);
	return 0;
}

int sem_verr(struct emu *e, const struct insn *i)
{
	return verify(e, i, false);
}

int sem_verw(struct emu *e, const struct insn *i)
{
	return verify(e, i, true);
}

int sem_arpl(struct emu *e, const struct insn *i)
{
	uint64_t dest, rpl = e->cpu.gpr[i->reg] & 3;

	if (sys_read_rm(e, i, 2, &dest))
		return EMU_STOP;
	if ((dest & 3) >= rpl) {
		set_zf(e, false);
		return 0;
	}
	if (sys_write_rm(e, i, 2, (dest & ~3ull) | rpl))
		return EMU_STOP;
	set_zf(e, true);
	return 0;
}
