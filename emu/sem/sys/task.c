/* SPDX-License-Identifier: MIT */
/* Hardware task switching (SDM vol. 3, 7.3), 32-bit and 16-bit TSS. Long mode has none. */
#include "internal.h"

#include <string.h>

enum { GPR_IN_TSS = 8, SEGS_IN_TSS = 6 };

/* The order of enum seg_index is that of the TSS: ES CS SS DS FS GS. */
struct tss32 {
	uint32_t link, stacks[6], cr3, eip, eflags, gpr[GPR_IN_TSS], seg[SEGS_IN_TSS], ldt;
	uint16_t trap, iomap;
};
_Static_assert(sizeof(struct tss32) == 104, "SDM vol. 3, figure 7-2");

struct tss16 {
	uint16_t link, stacks[6], ip, flags, gpr[GPR_IN_TSS], seg[4], ldt;
};
_Static_assert(sizeof(struct tss16) == 44, "SDM vol. 3, figure 7-10");

/* The part of a TSS that a switch writes back: from EIP to the last segment register. */
enum {
	TSS32_DYNAMIC = 32, TSS32_DYNAMIC_SIZE = 64,
	TSS16_DYNAMIC = 14, TSS16_DYNAMIC_SIZE = 28,
	DESC_BUSY_BIT = 1 << 9,
};

static bool is_32bit_tss(uint32_t attr)
{
	return attr & 8;
}

static int check_tss(struct emu *e, uint16_t selector, const struct desc *d, enum task_reason reason)
{
	enum vector wrong = reason == TASK_IRET ? VEC_TS : VEC_GP;
	unsigned type = desc_type(d), busy = reason == TASK_IRET ? 2 : 0;
	uint32_t need = is_32bit_tss(type) ? sizeof(struct tss32) - 1 : sizeof(struct tss16) - 1;

	if (desc_has(d, SEG_ATTR_S) || (type & ~8u) != (1u | busy))
		return emu_fault_code(e, wrong, selector & ~3u);
	if (!desc_has(d, SEG_ATTR_P))
		return emu_fault_code(e, VEC_NP, selector & ~3u);
	if (desc_segment(d, 0).limit < need)
		return emu_fault_code(e, VEC_TS, selector & ~3u);
	return 0;
}

/* Reads either layout into the 32-bit one; registers of a 16-bit TSS have upper halves of ones (SDM vol. 3, 7.6). */
static int read_tss(struct emu *e, uint64_t base, bool is_32bit, struct tss32 *t)
{
	struct tss16 s;

	if (is_32bit)
		return emu_sys_read(e, base, t, sizeof(*t));
	if (emu_sys_read(e, base, &s, sizeof(s)))
		return EMU_STOP;
	memset(t, 0, sizeof(*t));
	t->link = s.link;
	t->eip = s.ip;
	t->eflags = s.flags;
	for (unsigned n = 0; n < GPR_IN_TSS; n++)
		t->gpr[n] = 0xffff0000u | s.gpr[n];
	for (unsigned n = 0; n < 4; n++)
		t->seg[n] = s.seg[n];
	t->ldt = s.ldt;
	return 0;
}

static int save_old_task(struct emu *e, uint64_t flags, uint64_t next_rip)
{
	struct tss32 t = { .eip = (uint32_t)next_rip, .eflags = (uint32_t)flags };
	struct tss16 s = { .ip = (uint16_t)next_rip, .flags = (uint16_t)flags };

	for (unsigned n = 0; n < GPR_IN_TSS; n++) {
		t.gpr[n] = (uint32_t)e->cpu.gpr[n];
		s.gpr[n] = (uint16_t)e->cpu.gpr[n];
	}
	for (unsigned n = 0; n < SEGS_IN_TSS; n++)
		t.seg[n] = e->cpu.seg[n].selector;
	memcpy(s.seg, (uint16_t[]){ (uint16_t)t.seg[0], (uint16_t)t.seg[1], (uint16_t)t.seg[2], (uint16_t)t.seg[3] },
	       sizeof(s.seg));
	if (is_32bit_tss(e->cpu.tr.attr))
		return emu_sys_write(e, e->cpu.tr.base + TSS32_DYNAMIC, (uint8_t *)&t + TSS32_DYNAMIC, TSS32_DYNAMIC_SIZE);
	return emu_sys_write(e, e->cpu.tr.base + TSS16_DYNAMIC, (uint8_t *)&s + TSS16_DYNAMIC, TSS16_DYNAMIC_SIZE);
}

/* Address of the descriptor of the running task. */
static uint64_t current_tss_desc(const struct emu *e)
{
	return e->cpu.gdtr.base + (e->cpu.tr.selector & ~7u);
}

/* All that write_links() will write is writable (SDM vol. 3, 7.3, step 5): a page fault leaves both tasks as they were. */
static int probe_links(struct emu *e, const struct desc *tss, uint64_t new_base, enum task_reason reason)
{
	bool nested = reason == TASK_CALL || reason == TASK_INT;

	if (emu_sys_set_bits32(e, nested ? new_base : current_tss_desc(e) + 4, 0, 0))
		return EMU_STOP;
	return reason == TASK_IRET ? 0 : emu_sys_set_bits32(e, tss->linear + 4, 0, 0);
}

/* Everything that is written to memory. A fault here still belongs to the old task. */
static int write_links(struct emu *e, const struct desc *tss, uint64_t new_base, enum task_reason reason)
{
	uint16_t link = e->cpu.tr.selector;

	if (reason == TASK_CALL || reason == TASK_INT) {
		if (emu_sys_write(e, new_base, &link, 2))
			return EMU_STOP;
	} else if (emu_sys_set_bits32(e, current_tss_desc(e) + 4, 0, DESC_BUSY_BIT)) {
		return EMU_STOP;
	}
	return reason == TASK_IRET ? 0 : emu_sys_set_bits32(e, tss->linear + 4, DESC_BUSY_BIT, 0);
}

static void load_registers(struct emu *e, const struct tss32 *t, bool set_nt)
{
	uint64_t known = RFLAGS_ARITH | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM |
			 RFLAGS_AC | sys_virtual_flags(e) | RFLAGS_ID;

	for (unsigned n = 0; n < GPR_IN_TSS; n++)
		e->cpu.gpr[n] = t->gpr[n];
	e->cpu.rip = t->eip;
	emu_flags_set(e, known, t->eflags | (set_nt ? RFLAGS_NT : 0));
	/* Selectors are visible from here on, but nothing can be reached through them until each is checked. */
	for (unsigned n = 0; n < SEGS_IN_TSS; n++)
		e->cpu.seg[n] = segment_null((uint16_t)t->seg[n], t->seg[SEG_CS] & 3);
	e->cpu.ldtr = segment_null((uint16_t)t->ldt, 0);
	e->cpu.dr[7] &= ~0x55ull;
	e->cpu.cr0 |= CR0_TS;
}

static int load_ldt(struct emu *e, uint16_t selector)
{
	struct desc d;

	if (selector_is_null(selector))
		return 0;
	if (selector & 4)
		return emu_fault_code(e, VEC_TS, selector & ~3u);
	if (desc_read(e, selector, VEC_TS, &d))
		return EMU_STOP;
	if (desc_has(&d, SEG_ATTR_S) || desc_type(&d) != DESC_LDT || !desc_has(&d, SEG_ATTR_P))
		return emu_fault_code(e, VEC_TS, selector & ~3u);
	e->cpu.ldtr = desc_segment(&d, selector);
	return 0;
}

static int load_code(struct emu *e, uint16_t selector, struct desc *d)
{
	unsigned rpl = selector & 3u;

	if (desc_read(e, selector, VEC_TS, d))
		return EMU_STOP;
	if (selector_is_null(selector) || !desc_is_code(d) || (desc_has(d, SEG_ATTR_DC) ? desc_dpl(d) > rpl : desc_dpl(d) != rpl))
		return emu_fault_code(e, VEC_TS, selector & ~3u);
	if (!desc_has(d, SEG_ATTR_P))
		return emu_fault_code(e, VEC_NP, selector & ~3u);
	if (desc_set_accessed(e, d))
		return EMU_STOP;
	code_commit(e, selector, d, rpl);
	return 0;
}

/* The checks are those of MOV Sreg, but #GP becomes #TS. */
static int load_data_segments(struct emu *e)
{
	static const uint8_t order[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };

	for (unsigned n = 0; n < sizeof(order); n++) {
		if (!sys_load_segment(e, order[n], e->cpu.seg[order[n]].selector))
			continue;
		if (e->fault.vector == VEC_GP)
			e->fault.vector = VEC_TS;
		return EMU_STOP;
	}
	return 0;
}

static int load_segments(struct emu *e, const struct tss32 *t)
{
	uint16_t cs = (uint16_t)t->seg[SEG_CS], ss = (uint16_t)t->seg[SEG_SS];
	struct desc d;

	if (sys_v86(e)) {
		for (unsigned n = 0; n < SEGS_IN_TSS; n++)
			e->cpu.seg[n] = segment_real(e, &e->cpu.seg[n], (uint16_t)t->seg[n]);
		mmu_mode_changed(e);
		return 0;
	}
	if (load_code(e, cs, &d))
		return EMU_STOP;
	mmu_mode_changed(e);
	if (seg_check_ss(e, ss, cs & 3, VEC_TS, &d))
		return EMU_STOP;
	e->cpu.seg[SEG_SS] = desc_segment(&d, ss);
	mmu_mode_changed(e);
	if (load_data_segments(e))
		return EMU_STOP;
	return e->cpu.rip > e->cpu.seg[SEG_CS].limit ? emu_gp0(e) : 0;
}

static int load_new_task(struct emu *e, const struct tss32 *t, const struct desc *tss, uint16_t selector, bool set_nt)
{
	uint32_t attr = desc_attr(tss);

	e->sys->task_committed = true;
	e->cpu.tr = desc_segment(tss, selector);
	e->cpu.tr.attr |= 2; /* busy */
	load_registers(e, t, set_nt);
	mmu_mode_changed(e);
	if (is_32bit_tss(attr) && (e->cpu.cr0 & CR0_PG) && cr3_write(e, t->cr3))
		return EMU_STOP;
	if (load_ldt(e, (uint16_t)t->ldt) || load_segments(e, t))
		return EMU_STOP;
	e->sys->task_trap = is_32bit_tss(attr) && (t->trap & 1);
	return 0;
}

int task_switch(struct emu *e, uint16_t selector, struct desc *tss, enum task_reason reason, uint64_t flags,
		uint64_t next_rip)
{
	struct segment segment = desc_segment(tss, selector);
	struct tss32 image;

	e->sys->task_committed = false;
	if (check_tss(e, selector, tss, reason))
		return EMU_STOP;
	if (reason == TASK_IRET)
		flags &= ~(uint64_t)RFLAGS_NT;
	if (read_tss(e, segment.base, is_32bit_tss(segment.attr), &image) || probe_links(e, tss, segment.base, reason) ||
	    save_old_task(e, flags, next_rip) || write_links(e, tss, segment.base, reason))
		return EMU_STOP;
	return load_new_task(e, &image, tss, selector, reason == TASK_CALL || reason == TASK_INT);
}

/* The run loop would report a fault at the instruction that started the switch; past the commit it must be reported
 * in the new task, so it is delivered here. */
int task_end(struct emu *e, int result)
{
	if (result && !e->sys->task_committed)
		return EMU_STOP;
	if (result)
		exc_deliver_fault(e);
	e->sys->task_committed = false;
	emu_attention(e);
	return emu_jump(e, e->cpu.rip);
}
