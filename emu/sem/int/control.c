/* SPDX-License-Identifier: MIT */
/* Semantics: near branches, calls and returns, stack instructions, BOUND. */
#include "operand.h"

#include <string.h>

static int jump_to(struct emu *e, const struct insn *i, uint64_t target)
{
	return branch_check(e, i, &target) ? EMU_STOP : emu_jump(e, target);
}

static int jump_relative(struct emu *e, const struct insn *i)
{
	return jump_to(e, i, emu_next_rip(e, i) + i->imm);
}

int sem_int_jcc(struct emu *e, const struct insn *i)
{
	return flags_condition(e->flags_image, isa_rows[i->id].opcode & 15) ? jump_relative(e, i) : 0;
}

int sem_int_jmp(struct emu *e, const struct insn *i)
{
	return jump_relative(e, i);
}

int sem_int_jmp_ind(struct emu *e, const struct insn *i)
{
	uint64_t target;

	return operand_read(e, i, 0, &target) ? EMU_STOP : jump_to(e, i, target);
}

int sem_int_jcxz(struct emu *e, const struct insn *i)
{
	return truncate_to(e->cpu.gpr[RCX], i->asize) == 0 ? jump_relative(e, i) : 0;
}

/* The counter is decremented only if the branch does not fault. */
int sem_int_loop(struct emu *e, const struct insn *i)
{
	uint64_t count = truncate_to(e->cpu.gpr[RCX] - 1, i->asize), target = emu_next_rip(e, i) + i->imm;
	bool zf = e->flags_image & IMG_ZF, go = count != 0;

	if (i->id == ISA_LOOPE)
		go &= zf;
	else if (i->id == ISA_LOOPNE)
		go &= !zf;
	if (go && branch_check(e, i, &target))
		return EMU_STOP;
	reg_write(e, RCX, i->asize, count);
	return go ? emu_jump(e, target) : 0;
}

static int call_to(struct emu *e, const struct insn *i, uint64_t target)
{
	if (branch_check(e, i, &target) || near_push(e, emu_next_rip(e, i), i->size))
		return EMU_STOP;
	return emu_jump(e, target);
}

int sem_int_call(struct emu *e, const struct insn *i)
{
	return call_to(e, i, emu_next_rip(e, i) + i->imm);
}

int sem_int_call_ind(struct emu *e, const struct insn *i)
{
	uint64_t target;

	return operand_read(e, i, 0, &target) ? EMU_STOP : call_to(e, i, target);
}

int sem_int_ret(struct emu *e, const struct insn *i)
{
	uint64_t target;

	if (near_peek(e, &target, i->size) || branch_check(e, i, &target))
		return EMU_STOP;
	near_release(e, i->size + i->imm);
	return emu_jump(e, target);
}

int sem_int_push(struct emu *e, const struct insn *i)
{
	uint64_t v;

	return operand_read(e, i, 0, &v) ? EMU_STOP : near_push(e, v, i->size);
}

/* POP computes the destination's address with rSP already incremented (SDM vol. 2, "POP"). */
int sem_int_pop(struct emu *e, const struct insn *i)
{
	uint64_t v, rsp = e->cpu.gpr[RSP];

	if (near_peek(e, &v, i->size))
		return EMU_STOP;
	near_release(e, i->size);
	if (operand_write(e, i, 0, v)) {
		e->cpu.gpr[RSP] = rsp;
		return EMU_STOP;
	}
	return 0;
}

/* Eight registers as one access, so that it happens completely or not at all. */
int sem_int_pusha(struct emu *e, const struct insn *i)
{
	uint64_t sp = e->cpu.gpr[RSP], linear;
	unsigned size = i->size, total = 8 * size;
	uint8_t image[32];

	for (unsigned n = 0; n < 8; n++)
		memcpy(image + (7 - n) * size, &e->cpu.gpr[n], size);
	sp = (sp - total) & size_mask(e->stack_size);
	if (emu_seg_linear(e, SEG_SS, sp, total, true, &linear) || emu_check_alignment(e, linear, size) ||
	    emu_write(e, SEG_SS, linear, image, total))
		return EMU_STOP;
	near_release(e, (uint64_t) - (int64_t)total);
	return 0;
}

int sem_int_popa(struct emu *e, const struct insn *i)
{
	uint64_t sp = e->cpu.gpr[RSP] & size_mask(e->stack_size), linear;
	unsigned size = i->size, total = 8 * size;
	uint8_t image[32];

	if (emu_seg_linear(e, SEG_SS, sp, total, false, &linear) || emu_check_alignment(e, linear, size) ||
	    emu_read(e, SEG_SS, linear, image, total))
		return EMU_STOP;
	for (unsigned n = 0; n < 8; n++) {
		uint64_t v = 0;

		memcpy(&v, image + (7 - n) * size, size);
		if (n != RSP)
			reg_write(e, n, size, v);
	}
	near_release(e, total);
	return 0;
}

/* Copies the enclosing frames' pointers (SDM vol. 2, "ENTER"). All pushes, and the write that the new frame's last byte
 * would need, are done or probed before RBP and RSP change. */
int sem_int_enter(struct emu *e, const struct insn *i)
{
	unsigned level = i->imm2 & 31, size = i->size;
	uint64_t mask = size_mask(e->stack_size), saved = e->cpu.gpr[RSP], bp = e->cpu.gpr[RBP], frame, v, linear;
	int stop;

	stop = near_push(e, bp, size);
	frame = e->cpu.gpr[RSP];
	for (unsigned n = 1; !stop && n < level; n++) {
		bp -= size;
		v = 0;
		stop = emu_seg_linear(e, SEG_SS, bp & mask, size, false, &linear) || emu_read(e, SEG_SS, linear, &v, size) ||
		       near_push(e, v, size);
	}
	if (!stop && level > 0)
		stop = near_push(e, frame, size);
	if (!stop) {
		uint64_t sp = (e->cpu.gpr[RSP] - (uint16_t)i->imm) & mask;

		stop = emu_seg_linear(e, SEG_SS, sp, size, true, &linear) || emu_probe_write(e, SEG_SS, linear, size);
	}
	if (stop) {
		e->cpu.gpr[RSP] = saved;
		return EMU_STOP;
	}
	near_release(e, (uint64_t) - (int64_t)(uint16_t)i->imm);
	reg_write(e, RBP, size, frame);
	return 0;
}

int sem_int_leave(struct emu *e, const struct insn *i)
{
	uint64_t saved = e->cpu.gpr[RSP], v;

	reg_write(e, RSP, e->stack_size, e->cpu.gpr[RBP]);
	if (near_peek(e, &v, i->size)) {
		e->cpu.gpr[RSP] = saved;
		return EMU_STOP;
	}
	near_release(e, i->size);
	reg_write(e, RBP, i->size, v);
	return 0;
}

int sem_int_bound(struct emu *e, const struct insn *i)
{
	int64_t index = sign_extend_from(e->cpu.gpr[i->reg], i->size), low, high;
	uint64_t lower = 0, upper = 0, linear;

	if (emu_linear(e, i, 2u * i->size, false, &linear) || emu_read(e, i->seg, linear, &lower, i->size) ||
	    emu_read(e, i->seg, linear + i->size, &upper, i->size))
		return EMU_STOP;
	low = sign_extend_from(lower, i->size);
	high = sign_extend_from(upper, i->size);
	return index < low || index > high ? emu_fault(e, VEC_BR) : 0;
}
