/* SPDX-License-Identifier: MIT */
/* General registers and rm operands of any width, for the system instructions, which are rare and varied. */
#include "internal.h"


uint64_t sys_truncate(uint64_t value, unsigned size)
{
	return size >= 8 ? value : value & ((1ull << (size * 8)) - 1);
}

uint64_t sys_reg(const struct emu *e, unsigned reg, unsigned size)
{
	return sys_truncate(e->cpu.gpr[reg], size);
}

/* 32-bit writes zero-extend, 16-bit ones merge (SDM vol. 1, 3.4.1.1). */
void sys_set_reg(struct emu *e, unsigned reg, unsigned size, uint64_t value)
{
	uint64_t *r = &e->cpu.gpr[reg];

	if (size >= 4)
		*r = sys_truncate(value, size);
	else
		*r = (*r & ~0xffffull) | (value & 0xffff);
}

int sys_read_rm(struct emu *e, const struct insn *i, unsigned size, uint64_t *value)
{
	*value = 0;
	if (i->is_mem)
		return emu_load(e, i, value, size);
	*value = sys_reg(e, i->rm, size);
	return 0;
}

int sys_write_rm(struct emu *e, const struct insn *i, unsigned size, uint64_t value)
{
	if (i->is_mem)
		return emu_store(e, i, &value, size);
	sys_set_reg(e, i->rm, size, value);
	return 0;
}

int sys_read_far_pointer(struct emu *e, const struct insn *i, uint16_t *selector, uint64_t *offset)
{
	uint64_t linear;

	/* Two accesses, each with its own alignment (SDM vol. 3, table 6-7). */
	*offset = 0;
	if (emu_linear(e, i, i->size + 2u, false, &linear) || emu_read(e, i->seg, linear, offset, i->size))
		return EMU_STOP;
	return emu_read(e, i->seg, linear + i->size, selector, 2);
}
