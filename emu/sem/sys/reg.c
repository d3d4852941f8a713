/* SPDX-License-Identifier: MIT */
/* The rm operand of any width, for the system instructions, which are rare and varied. */
#include "internal.h"

int sys_read_rm(struct emu *e, const struct insn *i, unsigned size, uint64_t *value)
{
	*value = 0;
	if (i->is_mem)
		return emu_load(e, i, value, size);
	*value = reg_read(e, i->rm, size);
	return 0;
}

int sys_write_rm(struct emu *e, const struct insn *i, unsigned size, uint64_t value)
{
	if (i->is_mem)
		return emu_store(e, i, &value, size);
	reg_write(e, i->rm, size, value);
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
