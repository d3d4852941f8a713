/* SPDX-License-Identifier: MIT */
/*
 * Flags that need not be saved. What an ADD, CMP, AND and their like leave can be had again from their operands, as long as these
 * are what they were. Where that is so up to the last place at which a block could be left before all flags are set
 * anew, a check may clobber them: only the way out makes them again.
 */
#include "translate.h"

#ifdef HOST_X86_64

static bool is_fixed(unsigned guest)
{
	return guest < GPR_COUNT && !is_in_memory(guest);
}

/* An operation of registers and immediates that is its own undoing, or changes none. */
bool has_recipe(const struct insn *i)
{
	static isa_semantic *const some[] = { sem_int_add, sem_int_sub, sem_int_cmp, sem_int_test,
					      sem_int_and, sem_int_or,	sem_int_xor };
	const struct isa_row *r = &isa_rows[i->id];

	if (i->is_mem || i->size < 4)
		return false;
	if (r->op[0].kind == OPK_AX)
		return r->sem == sem_int_cmp || r->sem == sem_int_test;
	if (!is_fixed(i->rm) || (r->op[1].kind != OPK_I &&
				 (!is_fixed(i->reg) || (i->reg == i->rm && r->sem != sem_int_test && r->sem != sem_int_cmp &&
							r->sem != sem_int_and && r->sem != sem_int_or && r->sem != sem_int_xor))))
		return false;
	for (unsigned n = 0; n < sizeof(some) / sizeof(some[0]); n++)
		if (some[n] == r->sem)
			return true;
	return false;
}

static uint32_t bit(unsigned guest)
{
	return guest < GPR_COUNT ? 1u << guest : 0;
}

static uint32_t operands(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	if (r->op[0].kind == OPK_AX)
		return bit(RAX);
	return bit(i->rm) | (r->op[1].kind == OPK_I ? 0 : bit(i->reg));
}

static uint32_t whole(unsigned reg)
{
	return bit(reg >= REG8_AH ? reg - REG8_AH : reg);
}

static uint32_t written_operand(const struct insn *i, const struct isa_operand *op)
{
	switch ((enum isa_kind)op->kind) {
	case OPK_G:
	case OPK_Z:
		return whole(i->reg);
	case OPK_E:
	case OPK_R:
		return i->is_mem ? 0 : whole(i->rm);
	case OPK_B:
		return bit(i->vvvv);
	case OPK_AL:
	case OPK_AX:
		return bit(RAX);
	case OPK_CL:
		return bit(RCX);
	case OPK_DX:
		return bit(RDX);
	case OPK_X:
	case OPK_Y:
		return UINT32_MAX;
	default:
		return 0;
	}
}

/* What rows do not name. */
static uint32_t written_besides(const struct insn *i)
{
	static isa_semantic *const some[] = { sem_int_mul, sem_int_imul1, sem_int_div,	  sem_int_idiv,
					      sem_int_cwd, sem_int_lahf,  sem_int_cmpxchg };
	const struct isa_row *r = &isa_rows[i->id];

	if (is_stack_insn(i) || is_branch(i))
		return bit(RSP) | bit(RBP) | (r->sem == sem_int_pop ? whole(r->op[0].kind == OPK_Z ? i->reg : i->rm) : 0);
	if (moves_stack_besides(i))
		return bit(RSP);
	for (unsigned n = 0; n < sizeof(some) / sizeof(some[0]); n++)
		if (some[n] == r->sem)
			return bit(RAX) | bit(RDX);
	return 0;
}

uint32_t written_registers(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];
	uint32_t mask = written_besides(i);

	for (unsigned n = 0; n < 4; n++)
		if (r->op[n].access & OPA_W)
			mask |= written_operand(i, &r->op[n]);
	return is_translatable(i) ? mask : UINT32_MAX;
}

/* With a memory operand, say. */
static bool sets_all(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	return is_translatable(i) && !(r->flags_read & ISA_FL_ARITH) && !is_vector(i) && !is_x87(i) && r->sem != sem_int_div &&
	       r->sem != sem_int_idiv && isa_flags_replaced(r) == ISA_FL_ARITH && !(r->attr & ISA_COUNT1);
}

/* Or leaves some as they were. */
static bool reads_flags(const struct insn *i)
{
	return (isa_rows[i->id].flags_read & ISA_FL_ARITH) || is_bit_string(i);
}

/* Can flags of instruction s, clobbered from k on, be made again wherever the block could be left before they are set anew? */
bool recipe_lasts(const struct tr *t, unsigned s, unsigned k)
{
	const uint32_t needed = operands(&t->insn[s]);
	uint32_t changed = 0, changed_at_exit;

	for (unsigned n = s + 1; n < k; n++)
		changed |= written_registers(&t->insn[n]);
	changed_at_exit = changed;
	for (; k < t->count; k++) {
		const enum event event = (enum event)t->event[k];

		if (event == EVENT_CLOBBERS)
			changed_at_exit = changed;
		if (event == EVENT_READS || reads_flags(&t->insn[k]) || (changed_at_exit & needed))
			return false;
		if (event == EVENT_SETS || (event == EVENT_CLOBBERS && sets_all(&t->insn[k])))
			return true;
		changed |= written_registers(&t->insn[k]);
	}
	return false;
}

/* The instruction with the host's registers. */
static struct insn renamed(const struct insn *i)
{
	struct insn h = *i;

	h.rm = h.rm == RSP ? HOST_RSP : h.rm;
	h.prefixes &= PFX_REX_W;
	h.reg = h.reg == RSP ? HOST_RSP : h.reg;
	return h;
}

/* Flags of instruction s into EFLAGS; S1 is lost. */
void put_recipe(struct tr *t, unsigned s)
{
	const struct insn *i = &t->insn[s];
	const struct isa_row *r = &isa_rows[i->id];
	const bool imm = r->op[1].kind == OPK_I, wide = i->size == 8;
	const unsigned d = i->rm == RSP ? HOST_RSP : i->rm;
	struct insn h;

	if (r->op[0].kind == OPK_AX) {
		put_insn(&t->c, i);
	} else if (r->sem == sem_int_cmp || r->sem == sem_int_test) {
		h = renamed(i);
		put_insn(&t->c, &h);
	} else if (r->sem == sem_int_add || r->sem == sem_int_sub) {
		const bool adds = r->sem == sem_int_add, to_reg = r->op[0].kind == OPK_G;
		const unsigned to = to_reg ? (i->reg == RSP ? HOST_RSP : i->reg) : d;
		const unsigned from = to_reg ? d : i->reg == RSP ? HOST_RSP : i->reg;

		put_regs(&t->c, wide, OP_STORE, to, S1);
		if (imm) {
			put_imm(&t->c, wide, adds ? 5 : 0, S1, (uint32_t)i->imm);
			put_imm(&t->c, wide, adds ? 0 : 5, S1, (uint32_t)i->imm);
		} else {
			put_regs(&t->c, wide, adds ? OP_SUB : OP_ADD, S1, from);
			put_regs(&t->c, wide, adds ? OP_ADD : OP_SUB, S1, from);
		}
	} else { /* of the result alone */
		const unsigned to = r->op[0].kind == OPK_G ? (i->reg == RSP ? HOST_RSP : i->reg) : d;

		put_regs(&t->c, wide, OP_TEST, to, to);
	}
}

#endif
