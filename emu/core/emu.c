/* SPDX-License-Identifier: MIT */
/* Flags, RIP and faults of a running processor. */
#include "emu.h"
#include "flags.h"

uint64_t emu_flags_get(struct emu *e)
{
	return (e->cpu.rflags & ~(uint64_t)RFLAGS_ARITH) | flags_to_arith(e->flags_image) | RFLAGS_FIXED;
}

void emu_flags_set(struct emu *e, uint64_t mask, uint64_t value)
{
	uint16_t arith = flags_from_arith(mask & RFLAGS_ARITH);

	e->flags_image = (uint16_t)((e->flags_image & ~arith) | (flags_from_arith(value) & arith));
	e->cpu.rflags = (e->cpu.rflags & ~mask) | (value & mask) | RFLAGS_FIXED;
	if (mask & RFLAGS_AC)
		emu_derive_tlb_mask(e);
}

uint64_t emu_rip(const struct emu *e, const struct insn *i)
{
	uint64_t rip = e->pc + i->off;

	return e->code_size == 8 ? rip : (uint32_t)rip;
}

int emu_jump(struct emu *e, uint64_t rip)
{
	e->cpu.rip = rip;
	return EMU_STOP;
}

int emu_end_block(struct emu *e, const struct insn *i)
{
	return emu_jump(e, emu_next_rip(e, i));
}

int emu_fault(struct emu *e, enum vector vector)
{
	e->fault = (struct fault){ .pending = true, .vector = (uint8_t)vector };
	return EMU_STOP;
}

int emu_fault_code(struct emu *e, enum vector vector, uint32_t error)
{
	e->fault = (struct fault){ .pending = true, .vector = (uint8_t)vector, .has_error = true, .error = error };
	return EMU_STOP;
}
