/* SPDX-License-Identifier: MIT */
/*
 * Fast handlers without flags, for operations whose flags are overwritten before anybody can look.
 *
 * Somebody may look at every instruction that can leave the block: memory accesses fault, generic handlers may do
 * anything. So flags are dead only where nothing but register operations stands before the next one that sets them all.
 */
#include "fast.h"
#include "emu/isa/isa.h"

#define BINARY(op, n, T, expression)                                                                                   \
	HANDLER(op##_rr_##n##_quiet)                                                                                   \
	{                                                                                                              \
		const T a = get_##n(e, i->rm), b = get_##n(e, i->reg);                                                 \
                                                                                                                       \
		set_##n(e, i->rm, (T)(expression));                                                                    \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(op##_ri_##n##_quiet)                                                                                   \
	{                                                                                                              \
		const T a = get_##n(e, i->rm), b = (T)i->imm;                                                          \
                                                                                                                       \
		set_##n(e, i->rm, (T)(expression));                                                                    \
		NEXT(e, i);                                                                                            \
	}
#define UNARY(op, n, T, expression)                                                                                    \
	HANDLER(op##_##n##_quiet)                                                                                      \
	{                                                                                                              \
		const T a = get_##n(e, i->rm);                                                                         \
                                                                                                                       \
		set_##n(e, i->rm, (T)(expression));                                                                    \
		NEXT(e, i);                                                                                            \
	}
/* The count is masked and not zero. */
#define SHIFT(op, n, T, bits, expression)                                                                              \
	HANDLER(op##_##n##_quiet)                                                                                      \
	{                                                                                                              \
		const T a = get_##n(e, i->rm);                                                                         \
		const unsigned b = (unsigned)i->imm & (bits - 1);                                                      \
                                                                                                                       \
		set_##n(e, i->rm, (T)(expression));                                                                    \
		NEXT(e, i);                                                                                            \
	}
#define IMUL(n, T)                                                                                                     \
	HANDLER(imul_rr_##n##_quiet)                                                                                   \
	{                                                                                                              \
		set_##n(e, i->reg, (T)(get_##n(e, i->reg) * get_##n(e, i->rm)));                                       \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(imul_ri_##n##_quiet)                                                                                   \
	{                                                                                                              \
		set_##n(e, i->reg, (T)(get_##n(e, i->rm) * (T)i->imm));                                                \
		NEXT(e, i);                                                                                            \
	}
#define SIZE(n, T, S, bits)                                                                                            \
	BINARY(add, n, T, a + b) BINARY(or, n, T, a | b) BINARY(and, n, T, a & b) BINARY(sub, n, T, a - b)             \
	BINARY(xor, n, T, a ^ b) UNARY(inc, n, T, a + 1) UNARY(dec, n, T, a - 1) UNARY(neg, n, T, 0 - a)               \
	SHIFT(rol, n, T, bits, a << b | a >> ((bits - b) & (bits - 1)))                                                \
	SHIFT(ror, n, T, bits, a >> b | a << ((bits - b) & (bits - 1)))                                                \
	SHIFT(shl, n, T, bits, a << b) SHIFT(shr, n, T, bits, a >> b) SHIFT(sar, n, T, bits, (S)a >> b) IMUL(n, T)
SIZE(4, uint32_t, int32_t, 32u)
SIZE(8, uint64_t, int64_t, 64u)

/* By opcode bits 3..5 (SDM vol. 2, table A-2): ADD OR ADC SBB AND SUB XOR CMP. */
#define BOTH(name) { name##_4_quiet, name##_8_quiet }
static insn_handler *const binary[8][2][2] = {
	[0] = { BOTH(add_rr), BOTH(add_ri) }, [1] = { BOTH(or_rr), BOTH(or_ri) }, [4] = { BOTH(and_rr), BOTH(and_ri) },
	[5] = { BOTH(sub_rr), BOTH(sub_ri) }, [6] = { BOTH(xor_rr), BOTH(xor_ri) },
};
/* By ModRM.reg of opcodes c0, c1, d0..d3. */
static insn_handler *const shifts[8][2] = {
	[0] = BOTH(rol), [1] = BOTH(ror), [4] = BOTH(shl), [5] = BOTH(shr), [6] = BOTH(shl), [7] = BOTH(sar),
};
static insn_handler *const steps[2][2] = { BOTH(inc), BOTH(dec) }, *const negations[2] = BOTH(neg);
static insn_handler *const products[2][2] = { BOTH(imul_rr), BOTH(imul_ri) };

enum effect {
	NEUTRAL, /* registers only, no flags */
	SETS,	 /* registers only, all flags replaced */
	KEEPS,	 /* registers only; of its flags some stay as they were */
	LOOKS,	 /* reads flags, or may leave the block */
};

static bool is_immediate(const struct insn *i)
{
	return isa_rows[i->id].op[1].kind == OPK_I;
}

/* What stands in the rows of opcodes 00..3f and 80..83. `quiet` is filled if there is a handler without flags. */
static enum effect arithmetic(const struct insn *i, insn_handler **quiet)
{
	unsigned op = (i->id - ISA_ADD_Eb_Gb) / (ISA_OR_Eb_Gb - ISA_ADD_Eb_Gb);

	if (op == 2 || op == 3)
		return LOOKS;
	if (i->size >= 4)
		*quiet = binary[op][is_immediate(i)][i->size == 8];
	return SETS;
}

static enum effect shift(const struct insn *i, insn_handler **quiet)
{
	const struct isa_row *row = &isa_rows[i->id];

	if (row->op[1].kind == OPK_CL)
		return LOOKS;
	*quiet = shifts[row->ext][i->size == 8];
	return row->ext < 4 ? KEEPS : SETS;
}

static enum effect other(const struct insn *i, insn_handler **quiet)
{
	const bool wide = i->size == 8, big = i->size >= 4;

	switch (i->id) {
	case ISA_MOV_Eb_Gb: case ISA_MOV_Ev_Gv: case ISA_MOV_Gb_Eb: case ISA_MOV_Gv_Ev: case ISA_MOV_Zb_Ib:
	case ISA_MOV_Zv_Iv: case ISA_MOV_Eb_Ib: case ISA_MOV_Ev_Iz: case ISA_MOVZX_Gv_Eb: case ISA_MOVZX_Gv_Ew:
	case ISA_MOVSX_Gv_Eb: case ISA_MOVSX_Gv_Ew: case ISA_MOVSXD_Gv_Ed: case ISA_LEA: case ISA_NOT_Ev:
	case ISA_BSWAP: case ISA_CBW: case ISA_CWD: case ISA_NOP_0F1F: case ISA_NOP:
		return NEUTRAL;
	case ISA_TEST_Eb_Gb: case ISA_TEST_Ev_Gv: case ISA_TEST_AL_Ib: case ISA_TEST_rAX_Iz: case ISA_TEST_Eb_Ib:
	case ISA_TEST_Ev_Iz:
		return SETS;
	case ISA_INC_Ev: case ISA_DEC_Ev:
		*quiet = big ? steps[i->id == ISA_DEC_Ev][wide] : NULL;
		return KEEPS;
	case ISA_NEG_Ev:
		*quiet = big ? negations[wide] : NULL;
		return SETS;
	case ISA_IMUL_Gv_Ev: case ISA_IMUL_Gv_Ev_Ibs: case ISA_IMUL_Gv_Ev_Iz:
		*quiet = products[i->id != ISA_IMUL_Gv_Ev][wide];
		return SETS;
	default:
		return LOOKS;
	}
}

static enum effect effect_of(const struct insn *i, insn_handler **quiet)
{
	if (i->fn == h_generic || (i->is_mem && i->id != ISA_LEA && i->id != ISA_NOP_0F1F))
		return LOOKS;
	if (i->id >= ISA_ADD_Eb_Gb && i->id <= ISA_CMP_Ev_Ibs)
		return arithmetic(i, quiet);
	if (i->id >= ISA_ROL_Eb_Ib && i->id <= ISA_SAR_Ev_CL)
		return shift(i, quiet);
	return other(i, quiet);
}

void fast_drop_dead_flags(struct insn *insns, unsigned count)
{
	bool dead = false;

	while (count-- > 0) {
		insn_handler *quiet = NULL;
		enum effect effect = effect_of(&insns[count], &quiet);

		if (dead && quiet)
			insns[count].fn = quiet; /* and now it leaves the flags alone: they are still dead before it */
		else if (effect != NEUTRAL)
			dead = effect == SETS;
	}
}
