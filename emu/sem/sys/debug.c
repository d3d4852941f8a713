/* SPDX-License-Identifier: MIT */
/* Debug registers, breakpoints and single-step (SDM vol. 3, chapter 17.2 and 17.3). */
#include "internal.h"

#define DR6_FIXED 0xffff0ff0ull
#define DR6_BITS 0xe00full /* B0..B3, BD, BS, BT */
#define DR6_B 0xfull
#define DR6_BD (1ull << 13)
#define DR6_BS (1ull << 14)
#define DR6_BT (1ull << 15)
#define DR7_FIXED (1ull << 10)
#define DR7_BITS 0xffff23ffull
#define DR7_GD (1ull << 13)
#define DR7_ENABLES 0xffull
#define DEBUGCTL_LBR (1ull << 0)
#define DEBUGCTL_BTF (1ull << 1)

enum breakpoint_kind { BP_EXECUTE, BP_WRITE, BP_IO, BP_ACCESS };

static bool armed(const struct cpu *c, unsigned n)
{
	return c->dr[7] >> (n * 2) & 3;
}

static enum breakpoint_kind kind(const struct cpu *c, unsigned n)
{
	return c->dr[7] >> (16 + n * 4) & 3;
}

static unsigned length(const struct cpu *c, unsigned n)
{
	static const uint8_t bytes[4] = { 1, 2, 8, 4 };

	return bytes[c->dr[7] >> (18 + n * 4) & 3];
}

/* The low bits of the address are masked by the length: breakpoints are aligned. */
static bool hits(const struct cpu *c, unsigned n, uint64_t start, unsigned size)
{
	uint64_t first = c->dr[n] & ~(uint64_t)(length(c, n) - 1);

	return start <= first + length(c, n) - 1 && first <= start + size - 1;
}

/* RF asks for the single-step tier too, so that it is cleared after exactly one instruction. */
bool sys_debug_active(const struct emu *e)
{
	return (e->cpu.rflags & (RFLAGS_TF | RFLAGS_RF)) || (e->cpu.dr[7] & DR7_ENABLES) || e->sys->pending_dr6 ||
	       e->sys->task_trap;
}

static int raise_db(struct emu *e, uint64_t dr6)
{
	emu_fault(e, VEC_DB);
	e->fault.dr6 = dr6;
	return EMU_STOP;
}

int sys_debug_before(struct emu *e, bool resumed)
{
	uint64_t linear = e->seg_base[SEG_CS] + e->cpu.rip, dr6 = 0;
	bool rf = e->cpu.rflags & RFLAGS_RF;

	if (e->sys->task_trap) {
		e->sys->task_trap = false;
		return raise_db(e, DR6_BT | debug_take_pending(e));
	}
	if (sys_debug_trap_due(e))
		return raise_db(e, debug_take_pending(e));
	/* Gone before the instruction runs: INT n pushes it clear, faults push it set whatever it was, and IRET and task
	 * switches load it for the next instruction (SDM vol. 3, 17.3.1.1). */
	e->cpu.rflags &= ~(uint64_t)RFLAGS_RF;
	e->sys->no_single_step = false;
	e->sys->held_dr6 = e->sys->pending_dr6;
	/* MOV SS holds back instruction breakpoints of the next instruction (SDM vol. 3, 6.8.3). */
	if (rf || resumed || !(e->cpu.dr[7] & DR7_ENABLES) || (e->cpu.shadow & SHADOW_MOV_SS))
		return 0;
	if (e->code_size != 8)
		linear = (uint32_t)linear;
	for (unsigned n = 0; n < 4; n++) {
		if (armed(&e->cpu, n) && kind(&e->cpu, n) == BP_EXECUTE && e->cpu.dr[n] == linear)
			dr6 |= 1u << n;
	}
	return dr6 ? raise_db(e, dr6) : 0;
}

int sys_debug_after(struct emu *e, bool tf_was_set, bool branched)
{
	uint64_t dr6 = e->sys->pending_dr6;

	tf_was_set = tf_was_set && !e->sys->no_single_step;
	if (e->cpu.msr.debugctl & DEBUGCTL_BTF)
		tf_was_set = tf_was_set && branched;
	e->sys->no_single_step = false;
	/* Traps of MOV SS and POP SS wait until after the next instruction; their single-step trap is lost. */
	if (e->cpu.shadow & SHADOW_MOV_SS)
		return 0;
	if (tf_was_set)
		dr6 |= DR6_BS;
	/* A new task's T bit traps before its first instruction: all of it is one exception. */
	e->sys->pending_dr6 = e->sys->task_trap ? dr6 : 0;
	return dr6 && !e->sys->task_trap ? raise_db(e, dr6) : 0;
}

void sys_debug_fault(struct emu *e)
{
	e->sys->pending_dr6 = e->sys->held_dr6;
}

/* MOV SS holds traps back until an exception is delivered or the next instruction is done (SDM vol. 2, MOV): after a fault
 * of that instruction they are due before the first instruction of its handler. */
bool sys_debug_trap_due(const struct emu *e)
{
	return e->sys->pending_dr6 && !(e->cpu.shadow & SHADOW_MOV_SS);
}

uint64_t debug_take_pending(struct emu *e)
{
	uint64_t dr6 = e->sys->pending_dr6;

	e->sys->pending_dr6 = e->sys->held_dr6 = 0;
	return dr6;
}

bool sys_debug_trap_pending(const struct emu *e)
{
	return e->sys->pending_dr6 != 0;
}

void sys_debug_data(struct emu *e, uint64_t linear, unsigned size, bool write)
{
	for (unsigned n = 0; n < 4; n++) {
		enum breakpoint_kind k = kind(&e->cpu, n);

		if (armed(&e->cpu, n) && (k == BP_ACCESS || (k == BP_WRITE && write)) && hits(&e->cpu, n, linear, size))
			e->sys->pending_dr6 |= 1u << n;
	}
}

void debug_io(struct emu *e, uint16_t port, unsigned size)
{
	if (!(e->cpu.dr[7] & DR7_ENABLES) || !(e->cpu.cr4 & CR4_DE))
		return;
	for (unsigned n = 0; n < 4; n++) {
		if (armed(&e->cpu, n) && kind(&e->cpu, n) == BP_IO && hits(&e->cpu, n, port, size))
			e->sys->pending_dr6 |= 1u << n;
	}
}

/*
 * Delivery makes DR6 visible and lifts general detect, so that the handler can use the registers. B0..B3 tell about this
 * exception only, as on all processors that were asked: "certain debug exceptions may clear bits 0-3. The remaining
 * contents of the DR6 register are never cleared by the processor" (SDM vol. 3, 17.2.3).
 */
void debug_on_delivery(struct emu *e, uint64_t dr6)
{
	e->cpu.dr[6] = (e->cpu.dr[6] & ~DR6_B) | dr6;
	e->cpu.dr[7] &= ~DR7_GD;
	e->cpu.msr.debugctl &= ~(DEBUGCTL_LBR | DEBUGCTL_BTF);
}

bool debug_is_general_detect(uint64_t dr6)
{
	return dr6 & DR6_BD;
}

/* DR4 and DR5 are the old names of DR6 and DR7 until CR4.DE is set. */
static int debug_register(struct emu *e, const struct insn *i, unsigned *n)
{
	*n = i->reg;
	if (*n > 7)
		return emu_ud(e);
	if (*n == 4 || *n == 5) {
		if (e->cpu.cr4 & CR4_DE)
			return emu_ud(e);
		*n += 2;
	}
	if (e->cpl > 0)
		return emu_gp0(e);
	return (e->cpu.dr[7] & DR7_GD) ? raise_db(e, DR6_BD | debug_take_pending(e)) : 0;
}

int sem_mov_from_dr(struct emu *e, const struct insn *i)
{
	unsigned n;

	if (debug_register(e, i, &n))
		return EMU_STOP;
	reg_write(e, i->rm, e->code_size == 8 ? 8 : 4, e->cpu.dr[n]);
	return 0;
}

int sem_mov_to_dr(struct emu *e, const struct insn *i)
{
	uint64_t value = reg_read(e, i->rm, e->code_size == 8 ? 8 : 4);
	unsigned n;

	if (debug_register(e, i, &n))
		return EMU_STOP;
	if (n >= 6 && value >> 32)
		return emu_gp0(e);
	if (n == 6)
		value = (value & DR6_BITS) | DR6_FIXED;
	if (n == 7)
		value = (value & DR7_BITS) | DR7_FIXED;
	e->cpu.dr[n] = value;
	mmu_mode_changed(e);
	return emu_end_block(e, i);
}

void sys_debug_save(const struct emu *e, uint64_t *pending, uint8_t *task_trap)
{
	*pending = e->sys->pending_dr6;
	*task_trap = e->sys->task_trap;
}

void sys_debug_restore(struct emu *e, uint64_t pending, uint8_t task_trap)
{
	e->sys->pending_dr6 = e->sys->held_dr6 = pending;
	e->sys->task_trap = task_trap;
	e->sys->no_single_step = false;
}
