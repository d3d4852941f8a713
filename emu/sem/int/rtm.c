/* SPDX-License-Identifier: MIT */
/*
 * Transactional memory on a processor whose transactions always abort (SDM vol. 1, 16.3.5, RTM_ALWAYS_ABORT): software
 * must have a path without it, and gets there at once.
 */
#include "operand.h"

/* Status 0: no reason, not worth a retry. */
int sem_int_xbegin(struct emu *e, const struct insn *i)
{
	uint64_t target = emu_next_rip(e, i) + i->imm;

	if (branch_check(e, i, &target))
		return EMU_STOP;
	reg_write(e, RAX, 4, 0);
	return emu_jump(e, target);
}

/* Outside a transaction. */
int sem_int_xend(struct emu *e, const struct insn *i)
{
	return emu_gp0(e);
}

int sem_int_xtest(struct emu *e, const struct insn *i)
{
	e->flags_image = (uint16_t)((e->flags_image & ~IMG_ALL) | IMG_ZF);
	return 0;
}
