/* SPDX-License-Identifier: MIT */
/* Delivery of exceptions and interrupts (SDM vol. 3, chapter 6): from the vector to the handler's first instruction. */
#include "internal.h"

#include <stdio.h>

/* Error code of faults about an IDT entry: index, IDT bit. EXT is added by exc_enter(). */
static uint32_t idt_error(const struct event *ev)
{
	return ev->vector * 8u + 2u;
}

/* ---- real mode and VME -------------------------------------------------------------------------------------------- */

static int enter_vector_table(struct emu *e, const struct event *ev, uint64_t flags, uint32_t entry, uint64_t clear)
{
	uint64_t frame[3] = { flags, e->cpu.seg[SEG_CS].selector, ev->return_rip };
	struct stack s;

	stack_current(e, &s);
	if (stack_push(e, &s, frame, 3, 2))
		return EMU_STOP;
	stack_commit_sp(e, &s);
	e->cpu.seg[SEG_CS] = segment_real(e, &e->cpu.seg[SEG_CS], (uint16_t)(entry >> 16));
	emu_flags_set(e, clear, 0);
	mmu_mode_changed(e);
	e->cpu.rip = entry & 0xffff;
	return 0;
}

static int enter_real(struct emu *e, const struct event *ev)
{
	uint32_t entry;

	if (ev->vector * 4u + 3u > e->cpu.idtr.limit)
		return emu_fault_code(e, VEC_GP, idt_error(ev));
	if (emu_sys_read(e, e->cpu.idtr.base + ev->vector * 4u, &entry, 4))
		return EMU_STOP;
	return enter_vector_table(e, ev, ev->flags, entry, RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
}

/* INT n of a virtual-8086 program that VME hands back to the program (SDM vol. 3, 20.3.3, methods 5 and 6). */
static int enter_vme(struct emu *e, const struct event *ev)
{
	uint64_t flags = ev->flags, clear = RFLAGS_TF | RFLAGS_RF;
	uint32_t entry;

	if (emu_read(e, SEG_DS, ev->vector * 4u, &entry, 4))
		return EMU_STOP;
	if (sys_iopl(e) == 3) {
		clear |= RFLAGS_IF;
	} else {
		flags = (flags & ~(uint64_t)RFLAGS_IF) | RFLAGS_IOPL | ((flags & RFLAGS_VIF) ? RFLAGS_IF : 0);
		clear |= RFLAGS_VIF;
	}
	return enter_vector_table(e, ev, flags, entry, clear);
}

int exc_enter_real(struct emu *e, const struct event *ev)
{
	return sys_v86(e) ? enter_vme(e, ev) : enter_real(e, ev);
}

/* ---- gates ------------------------------------------------------------------------------------------------------------ */

static int read_gate(struct emu *e, const struct event *ev, struct desc *gate)
{
	unsigned size = e->long_mode ? 16 : 8;
	uint32_t offset = ev->vector * size;
	uint64_t raw[2] = { 0, 0 };

	if (offset + size - 1 > e->cpu.idtr.limit)
		return emu_fault_code(e, VEC_GP, idt_error(ev));
	if (emu_sys_read(e, e->cpu.idtr.base + offset, raw, size))
		return EMU_STOP;
	*gate = (struct desc){ .raw = raw[0], .raw_hi = raw[1] };
	return 0;
}

static int check_gate(struct emu *e, const struct event *ev, const struct desc *gate)
{
	static const uint16_t types[2] = {
		1 << DESC_TASK_GATE | 1 << DESC_INT16 | 1 << DESC_TRAP16 | 1 << DESC_INT32 | 1 << DESC_TRAP32,
		1 << DESC_INT32 | 1 << DESC_TRAP32,
	};

	if (desc_has(gate, SEG_ATTR_S) || !(types[e->long_mode] >> desc_type(gate) & 1))
		return emu_fault_code(e, VEC_GP, idt_error(ev));
	if (ev->kind == EVENT_SOFTWARE && desc_dpl(gate) < e->cpl)
		return emu_fault_code(e, VEC_GP, idt_error(ev));
	if (!desc_has(gate, SEG_ATTR_P))
		return emu_fault_code(e, VEC_NP, idt_error(ev));
	return 0;
}

/* The handler's code segment, and the privilege it runs at. */
static int check_handler_code(struct emu *e, uint16_t selector, struct desc *code, unsigned *cpl)
{
	bool allowed;

	if (selector_is_null(selector))
		return emu_gp0(e);
	if (desc_read(e, selector, VEC_GP, code))
		return EMU_STOP;
	allowed = desc_is_code(code) && desc_dpl(code) <= e->cpl;
	if (e->long_mode)
		allowed = allowed && desc_has(code, SEG_ATTR_L) && !desc_has(code, SEG_ATTR_DB);
	*cpl = desc_has(code, SEG_ATTR_DC) ? e->cpl : desc_dpl(code);
	/* Out of virtual-8086 mode only to CPL 0 (SDM vol. 3, 20.3.1). */
	if (sys_v86(e))
		allowed = allowed && *cpl == 0;
	if (!allowed)
		return emu_fault_code(e, VEC_GP, selector & ~3u);
	if (!desc_has(code, SEG_ATTR_P))
		return emu_fault_code(e, VEC_NP, selector & ~3u);
	return 0;
}

static uint64_t handler_offset(const struct emu *e, const struct desc *gate)
{
	uint64_t offset = gate->raw & 0xffff;

	if (desc_type(gate) == DESC_INT16 || desc_type(gate) == DESC_TRAP16)
		return offset;
	offset |= gate->raw >> 32 & 0xffff0000;
	return e->long_mode ? offset | gate->raw_hi << 32 : offset;
}

static void commit_handler_flags(struct emu *e, const struct desc *gate)
{
	uint64_t clear = RFLAGS_TF | RFLAGS_NT | RFLAGS_VM | RFLAGS_RF;

	if (desc_type(gate) == DESC_INT16 || desc_type(gate) == DESC_INT32)
		clear |= RFLAGS_IF;
	emu_flags_set(e, clear, 0);
}

/* ---- long mode ---------------------------------------------------------------------------------------------------------- */

/* IST, the TSS's RSPn, or the running stack; always aligned, always with SS:RSP pushed (SDM vol. 3, 6.14.2). */
static int long_stack(struct emu *e, const struct desc *gate, unsigned cpl, struct stack *s)
{
	unsigned ist = gate->raw >> 32 & 7;
	int r = 0;

	*s = (struct stack){ .mask = ~0ull, .cpl = (uint8_t)cpl, .flat = true, .sp = e->cpu.gpr[RSP] };
	s->ss = cpl == e->cpl ? e->cpu.seg[SEG_SS] : segment_null((uint16_t)cpl, cpl);
	if (ist)
		r = tss_read_rsp(e, 0x24 + (ist - 1) * 8, &s->sp);
	else if (cpl < e->cpl)
		r = tss_read_rsp(e, 4 + cpl * 8, &s->sp);
	s->sp &= ~15ull;
	return r;
}

static int enter_long(struct emu *e, const struct event *ev, const struct desc *gate)
{
	uint16_t selector = (uint16_t)(gate->raw >> 16);
	uint64_t offset = handler_offset(e, gate);
	uint64_t frame[6] = {
		e->cpu.seg[SEG_SS].selector, e->cpu.gpr[RSP], ev->flags, e->cpu.seg[SEG_CS].selector, ev->return_rip, ev->error,
	};
	struct stack s;
	struct desc code;
	unsigned cpl;

	if (check_handler_code(e, selector, &code, &cpl) || long_stack(e, gate, cpl, &s))
		return EMU_STOP;
	if (!emu_is_canonical(e, offset))
		return emu_gp0(e);
	if (stack_push(e, &s, frame, ev->has_error ? 6 : 5, 8) || desc_set_accessed(e, &code))
		return EMU_STOP;
	code_commit(e, selector, &code, cpl);
	e->cpu.seg[SEG_SS] = s.ss;
	e->cpu.gpr[RSP] = s.sp;
	commit_handler_flags(e, gate);
	e->cpu.rip = offset;
	return 0;
}

/* ---- protected mode --------------------------------------------------------------------------------------------------------- */

static int inner_stack(struct emu *e, unsigned cpl, struct stack *s)
{
	uint16_t selector;
	struct desc d;

	*s = (struct stack){ .cpl = (uint8_t)cpl };
	if (tss_read_stack(e, cpl, &selector, &s->sp) || seg_check_ss(e, selector, cpl, VEC_TS, &d))
		return EMU_STOP;
	s->ss = desc_segment(&d, selector);
	s->mask = desc_has(&d, SEG_ATTR_DB) ? 0xffffffffull : 0xffffull;
	s->error = selector & 0xfffc;
	return 0;
}

static unsigned legacy_frame(const struct emu *e, const struct event *ev, bool inner, uint64_t *frame)
{
	static const uint8_t v86_order[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };
	unsigned count = 0;

	for (unsigned n = 0; sys_v86(e) && n < sizeof(v86_order); n++)
		frame[count++] = e->cpu.seg[v86_order[n]].selector;
	if (inner) {
		frame[count++] = e->cpu.seg[SEG_SS].selector;
		frame[count++] = e->cpu.gpr[RSP];
	}
	frame[count++] = ev->flags;
	frame[count++] = e->cpu.seg[SEG_CS].selector;
	frame[count++] = ev->return_rip;
	if (ev->has_error)
		frame[count++] = ev->error;
	return count;
}

static void leave_v86(struct emu *e)
{
	static const uint8_t data_segments[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };

	if (!sys_v86(e))
		return;
	for (unsigned n = 0; n < sizeof(data_segments); n++)
		e->cpu.seg[data_segments[n]] = segment_null(0, 0);
}

static int enter_legacy(struct emu *e, const struct event *ev, const struct desc *gate)
{
	unsigned size = desc_type(gate) & 8 ? 4 : 2, cpl, count;
	uint16_t selector = (uint16_t)(gate->raw >> 16);
	uint64_t offset = handler_offset(e, gate);
	uint64_t frame[10];
	struct stack s;
	struct desc code;
	bool inner;

	if (check_handler_code(e, selector, &code, &cpl))
		return EMU_STOP;
	inner = cpl < e->cpl;
	stack_current(e, &s);
	if (inner && inner_stack(e, cpl, &s))
		return EMU_STOP;
	count = legacy_frame(e, ev, inner, frame);
	if (code_check_offset(e, &code, offset) || stack_push(e, &s, frame, count, size) || desc_set_accessed(e, &code))
		return EMU_STOP;
	leave_v86(e);
	code_commit(e, selector, &code, cpl);
	e->cpu.seg[SEG_SS] = s.ss;
	stack_commit_sp(e, &s);
	commit_handler_flags(e, gate);
	e->cpu.rip = offset;
	return 0;
}

/* ---- task gates ------------------------------------------------------------------------------------------------------------- */

static int enter_task(struct emu *e, const struct event *ev, const struct desc *gate)
{
	uint16_t selector = (uint16_t)(gate->raw >> 16);
	uint64_t error = ev->error;
	struct desc tss;
	struct stack s;

	if (selector & 4)
		return emu_fault_code(e, VEC_GP, selector & ~3u);
	if (desc_read(e, selector, VEC_GP, &tss) || task_switch(e, selector, &tss, TASK_INT, ev->flags, ev->return_rip))
		return EMU_STOP;
	if (!ev->has_error)
		return 0;
	stack_current(e, &s);
	if (stack_push(e, &s, &error, 1, (e->cpu.tr.attr & 8) ? 4 : 2))
		return EMU_STOP;
	stack_commit_sp(e, &s);
	return 0;
}

/* ---- all of them -------------------------------------------------------------------------------------------------------------- */

static int enter_protected(struct emu *e, const struct event *ev)
{
	struct desc gate = { 0 };

	if (read_gate(e, ev, &gate) || check_gate(e, ev, &gate))
		return EMU_STOP;
	if (e->long_mode)
		return enter_long(e, ev, &gate);
	if (desc_type(&gate) == DESC_TASK_GATE)
		return enter_task(e, ev, &gate);
	return enter_legacy(e, ev, &gate);
}

static bool vector_has_ext_bit(uint8_t vector)
{
	return vector == VEC_TS || vector == VEC_NP || vector == VEC_SS || vector == VEC_GP;
}

int exc_enter(struct emu *e, const struct event *ev)
{
	int r;

	e->sys->task_committed = false;
	r = sys_protected(e) ? enter_protected(e, ev) : enter_real(e, ev);
	if (r) {
		/* EXT: the fault was met while delivering something the program did not ask for (SDM vol. 3, 6.13). */
		if (ev->kind != EVENT_SOFTWARE && vector_has_ext_bit(e->fault.vector))
			e->fault.error |= 1;
		return r;
	}
	e->cpu.shadow = 0;
	e->sys->no_single_step = true;
	if (e->cpu.activity == CPU_HALTED)
		e->cpu.activity = CPU_RUNNING;
	mmu_mode_changed(e);
	return 0;
}

static bool is_contributory(uint8_t vector)
{
	return vector == VEC_DE || (vector >= VEC_TS && vector <= VEC_GP);
}

bool exc_makes_double_fault(uint8_t first, uint8_t second)
{
	if (first == VEC_PF)
		return second == VEC_PF || is_contributory(second);
	return is_contributory(first) && is_contributory(second);
}

/* Faults push RF set, so that the restarted instruction passes its breakpoint; of the debug exceptions general detect
 * is one, and instruction breakpoints are excepted (SDM vol. 3, 17.3.1.1). */
static bool pushes_resume(const struct fault *f)
{
	if (f->vector == VEC_DB)
		return debug_is_general_detect(f->dr6);
	return f->vector != VEC_BP && f->vector != VEC_OF && f->vector != VEC_DF && f->vector != VEC_MC;
}

static struct event fault_event(struct emu *e, const struct fault *f)
{
	return (struct event){
		.kind = EVENT_EXCEPTION,
		.vector = f->vector,
		.has_error = f->has_error,
		.error = f->error,
		.flags = emu_flags_get(e) | (pushes_resume(f) ? RFLAGS_RF : 0),
		.return_rip = e->cpu.rip,
	};
}

/* Registers stay as they were at the fault, for the report. */
static void shut_down(struct emu *e, const struct fault *f)
{
	char line[96];

	e->cpu.activity = CPU_SHUTDOWN;
	e->fault.pending = false;
	if (!e->machine || !e->machine->bus.log)
		return;
	snprintf(line, sizeof(line), "triple fault: vector %u at %04x:%016llx cr2 %016llx", f->vector,
		 e->cpu.seg[SEG_CS].selector, (unsigned long long)e->cpu.rip, (unsigned long long)e->cpu.cr2);
	e->machine->bus.log(e->machine->bus.ctx, e->cpu.vcpu, line);
}

void exc_deliver_fault(struct emu *e)
{
	struct fault f = e->fault;

	/* #AC whose handler's stack is misaligned raises #AC for ever, on silicon too; here the CPU gives up. */
	for (unsigned attempt = 0; attempt < 8; attempt++) {
		struct event ev = fault_event(e, &f);

		e->fault.pending = false;
		if (f.vector == VEC_PF)
			e->cpu.cr2 = f.cr2;
		if (f.vector == VEC_DB)
			debug_on_delivery(e, f.dr6);
		if (!exc_enter(e, &ev))
			return;
		/* CR2 is written when the page fault is met, also if it is then reported as a double fault. */
		if (e->fault.vector == VEC_PF)
			e->cpu.cr2 = e->fault.cr2;
		if (f.vector == VEC_DF && (e->fault.vector == VEC_PF || is_contributory(e->fault.vector)))
			break;
		if (exc_makes_double_fault(f.vector, e->fault.vector))
			f = (struct fault){ .vector = VEC_DF, .has_error = true };
		else
			f = e->fault;
	}
	shut_down(e, &f);
}

static void deliver(struct emu *e, const struct event *ev)
{
	if (exc_enter(e, ev))
		exc_deliver_fault(e);
}

void exc_deliver_interrupt(struct emu *e, uint8_t vector)
{
	struct event ev = {
		.kind = EVENT_INTERRUPT,
		.vector = vector,
		.flags = emu_flags_get(e),
		.return_rip = e->cpu.rip,
	};

	deliver(e, &ev);
}

void exc_deliver_nmi(struct emu *e)
{
	e->cpu.nmi_blocked = true;
	exc_deliver_interrupt(e, VEC_NMI);
}

/* ---- INT n, INT3, INTO, INT1 ------------------------------------------------------------------------------------------------- */

static int software_event(struct emu *e, const struct insn *i, enum event_kind kind, uint8_t vector)
{
	struct event ev = {
		.kind = kind,
		.vector = vector,
		.flags = emu_flags_get(e),
		.return_rip = emu_next_rip(e, i),
	};

	return task_end(e, exc_enter(e, &ev));
}

int sem_int3(struct emu *e, const struct insn *i)
{
	return software_event(e, i, EVENT_SOFTWARE, VEC_BP);
}

int sem_into(struct emu *e, const struct insn *i)
{
	if (!(emu_flags_get(e) & RFLAGS_OF))
		return 0;
	return software_event(e, i, EVENT_SOFTWARE, VEC_OF);
}

/* INT1 is a hardware exception to privilege checks, and leaves DR6 alone (SDM vol. 2, INT n) unless a MOV SS before it
 * held back a breakpoint: both are the one #DB then. */
int sem_int1(struct emu *e, const struct insn *i)
{
	int r = software_event(e, i, EVENT_EXCEPTION, VEC_DB);

	if (!e->fault.pending && e->sys->pending_dr6)
		debug_on_delivery(e, debug_take_pending(e));
	return r;
}

/* In virtual-8086 mode INT n depends on IOPL and, with VME, on the TSS's redirection bit map; INT3, INTO and INT1
 * do not (SDM vol. 3, table 20-2). */
int sem_int_imm(struct emu *e, const struct insn *i)
{
	uint8_t vector = (uint8_t)i->imm;
	bool redirect = false;
	struct event ev = {
		.kind = EVENT_SOFTWARE,
		.vector = vector,
		.flags = emu_flags_get(e),
		.return_rip = emu_next_rip(e, i),
	};

	if (!sys_v86(e))
		return software_event(e, i, EVENT_SOFTWARE, vector);
	if ((e->cpu.cr4 & CR4_VME) && tss_vme_redirects(e, vector, &redirect))
		return EMU_STOP;
	if (redirect)
		return exc_enter_real(e, &ev) ? EMU_STOP : emu_jump(e, e->cpu.rip);
	if (sys_iopl(e) < 3)
		return emu_gp0(e);
	return software_event(e, i, EVENT_SOFTWARE, vector);
}
