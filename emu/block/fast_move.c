/* SPDX-License-Identifier: MIT */
/* Fast handlers: moves, extensions, LEA, PUSH, POP, LEAVE, CMOVcc, SETcc. */
#include "fast.h"
#include "emu/isa/isa.h"

#define LOAD(n, A)                                                                                                     \
	HANDLER(load_##n##_##A)                                                                                        \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_##A(e, i), n);                                                   \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		set_##n(e, i->reg, load_##n(p));                                                                       \
		NEXT(e, i);                                                                                            \
	}
#define STORE(n, A)                                                                                                    \
	HANDLER(store_##n##_##A)                                                                                       \
	{                                                                                                              \
		uint8_t *p = tlb_write_ptr(e, EA_##A(e, i), n);                                                        \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		store_##n(p, get_##n(e, i->reg));                                                                      \
		NEXT(e, i);                                                                                            \
	}
#define STORE_IMM(n, A, T)                                                                                             \
	HANDLER(store_imm_##n##_##A)                                                                                   \
	{                                                                                                              \
		uint8_t *p = tlb_write_ptr(e, EA_##A(e, i), n);                                                        \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		store_##n(p, (T)i->imm);                                                                               \
		NEXT(e, i);                                                                                            \
	}
/* Extending loads and moves: from n bytes of type S to m bytes of type D. */
#define EXTEND_FROM_MEMORY(name, n, S, m, D, A)                                                                        \
	HANDLER(name##_##m##_##A)                                                                                      \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_##A(e, i), n);                                                   \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		set_##m(e, i->reg, (uint##D##_t)(int##D##_t)(S)load_##n(p));                                           \
		NEXT(e, i);                                                                                            \
	}
#define EXTEND(name, n, S, m, D)                                                                                       \
	EXTEND_FROM_MEMORY(name, n, S, m, D, 0)                                                                        \
	EXTEND_FROM_MEMORY(name, n, S, m, D, 1)                                                                        \
	EXTEND_FROM_MEMORY(name, n, S, m, D, 2)                                                                        \
	HANDLER(name##_##m##_r)                                                                                        \
	{                                                                                                              \
		set_##m(e, i->reg, (uint##D##_t)(int##D##_t)(S)get_##n(e, i->rm));                                     \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	static insn_handler *const name##_##m[] = { name##_##m##_0, name##_##m##_1, name##_##m##_2, name##_##m##_r };

#define MOVES_A(n, T, A) LOAD(n, A) STORE(n, A) STORE_IMM(n, A, T)
#define MOVES(n, T) MOVES_A(n, T, 0) MOVES_A(n, T, 1) MOVES_A(n, T, 2)
MOVES(1, uint8_t)
MOVES(2, uint16_t)
MOVES(4, uint32_t)
MOVES(8, uint64_t)
EXTEND(movzx1, 1, uint8_t, 4, 32)
EXTEND(movzx2, 2, uint16_t, 4, 32)
EXTEND(movsx1, 1, int8_t, 4, 32)
EXTEND(movsx1, 1, int8_t, 8, 64)
EXTEND(movsx2, 2, int16_t, 4, 32)
EXTEND(movsx2, 2, int16_t, 8, 64)
EXTEND(movsx4, 4, int32_t, 8, 64)

/* MOVZX from AH, CH, DH, BH: how compilers take the second byte of a word. */
HANDLER(movzx_high)
{
	set_4(e, i->reg, (uint8_t)(e->cpu.gpr[i->rm - REG8_AH] >> 8));
	NEXT(e, i);
}

#define ROW_A(name, n) { name##_##n##_0, name##_##n##_1, name##_##n##_2 }
#define TABLE_A(name) { ROW_A(name, 1), ROW_A(name, 2), ROW_A(name, 4), ROW_A(name, 8) }
static insn_handler *const loads[4][ADDRESS_FORMS] = TABLE_A(load);
static insn_handler *const stores[4][ADDRESS_FORMS] = TABLE_A(store);
static insn_handler *const stores_imm[4][ADDRESS_FORMS] = TABLE_A(store_imm);

#define MOVE_RR(n)                                                                                                     \
	HANDLER(move_rr_##n)                                                                                           \
	{                                                                                                              \
		set_##n(e, i->rm, get_##n(e, i->reg));                                                                 \
		NEXT(e, i);                                                                                            \
	}
MOVE_RR(1)
MOVE_RR(2)
MOVE_RR(4)
MOVE_RR(8)
static insn_handler *const moves_rr[4] = { move_rr_1, move_rr_2, move_rr_4, move_rr_8 };

#define MOVE_RI(n, T)                                                                                                  \
	HANDLER(move_ri_##n)                                                                                           \
	{                                                                                                              \
		set_##n(e, i->rm, (T)i->imm);                                                                          \
		NEXT(e, i);                                                                                            \
	}
MOVE_RI(1, uint8_t)
MOVE_RI(2, uint16_t)
MOVE_RI(4, uint32_t)
MOVE_RI(8, uint64_t)
static insn_handler *const moves_ri[4] = { move_ri_1, move_ri_2, move_ri_4, move_ri_8 };

HANDLER(lea_8_0)
{
	e->cpu.gpr[i->reg] = EA_0(e, i);
	NEXT(e, i);
}
HANDLER(lea_8_1)
{
	e->cpu.gpr[i->reg] =
		emu_address_register(e, i->base) + (emu_address_register(e, i->index) << i->scale) + (uint64_t)(int64_t)i->disp;
	NEXT(e, i);
}
HANDLER(lea_4)
{
	e->cpu.gpr[i->reg] = (uint32_t)(emu_address_register(e, i->base) + (emu_address_register(e, i->index) << i->scale) +
					(uint32_t)i->disp);
	NEXT(e, i);
}

/* ---- stack: words of the mode's own size ---- */

/* POP of the stack pointer: the loaded value wins. */
#define STACK(n, T, A)                                                                                                 \
	HANDLER(push_r_##n)                                                                                            \
	{                                                                                                              \
		T sp = (T)(e->cpu.gpr[RSP] - n);                                                                       \
		uint8_t *p = tlb_write_ptr(e, sp, n);                                                                  \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		store_##n(p, get_##n(e, i->reg));                                                                      \
		e->cpu.gpr[RSP] = sp;                                                                                  \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(push_i_##n)                                                                                            \
	{                                                                                                              \
		T sp = (T)(e->cpu.gpr[RSP] - n);                                                                       \
		uint8_t *p = tlb_write_ptr(e, sp, n);                                                                  \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		store_##n(p, (T)i->imm);                                                                               \
		e->cpu.gpr[RSP] = sp;                                                                                  \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(push_m_##n)                                                                                            \
	{                                                                                                              \
		T sp = (T)(e->cpu.gpr[RSP] - n), v;                                                                    \
		const uint8_t *q = tlb_read_ptr(e, EA_##A(e, i), n);                                                   \
		uint8_t *p;                                                                                            \
                                                                                                                       \
		if (UNLIKELY(!q))                                                                                      \
			MISS(e, i);                                                                                    \
		v = load_##n(q);                                                                                       \
		p = tlb_write_ptr(e, sp, n);                                                                           \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		store_##n(p, v);                                                                                       \
		e->cpu.gpr[RSP] = sp;                                                                                  \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(pop_r_##n)                                                                                             \
	{                                                                                                              \
		T sp = get_##n(e, RSP);                                                                                \
		const uint8_t *p = tlb_read_ptr(e, sp, n);                                                             \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		e->cpu.gpr[RSP] = (T)(sp + n);                                                                         \
		e->cpu.gpr[i->reg] = load_##n(p);                                                                      \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(leave_##n)                                                                                             \
	{                                                                                                              \
		T bp = get_##n(e, RBP);                                                                                \
		const uint8_t *p = tlb_read_ptr(e, bp, n);                                                             \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		e->cpu.gpr[RSP] = (T)(bp + n);                                                                         \
		e->cpu.gpr[RBP] = load_##n(p);                                                                         \
		NEXT(e, i);                                                                                            \
	}
STACK(8, uint64_t, 1)
STACK(4, uint32_t, 2)

/* Two of a kind in a row, with one look at the TLB: prologues and epilogues. Page crossings do the first alone. */
#define STACK_PAIR(n, T)                                                                                               \
	HANDLER(push_push_##n)                                                                                         \
	{                                                                                                              \
		T sp = (T)(e->cpu.gpr[RSP] - 2 * n);                                                                   \
		uint8_t *p = tlb_write_ptr(e, sp, 2 * n);                                                              \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		store_##n(p + n, get_##n(e, i->reg));                                                                  \
		store_##n(p, get_##n(e, i[1].reg));                                                                    \
		e->cpu.gpr[RSP] = sp;                                                                                  \
		GO(e, i + 2);                                                                                          \
	}                                                                                                              \
	HANDLER(pop_pop_##n)                                                                                           \
	{                                                                                                              \
		T sp = get_##n(e, RSP);                                                                                \
		const uint8_t *p = tlb_read_ptr(e, sp, 2 * n);                                                         \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		e->cpu.gpr[i->reg] = load_##n(p);                                                                      \
		e->cpu.gpr[i[1].reg] = load_##n(p + n);                                                                \
		e->cpu.gpr[RSP] = (T)(sp + 2 * n);                                                                     \
		GO(e, i + 2);                                                                                          \
	}
STACK_PAIR(8, uint64_t)
STACK_PAIR(4, uint32_t)

insn_handler *fast_stack_pair(const struct insn *i)
{
	insn_handler *fn = i->fn;

	if (fn != i[1].fn || i[0].reg == RSP || i[1].reg == RSP)
		return NULL;
	return fn == push_r_8	? push_push_8
	       : fn == pop_r_8	? pop_pop_8
	       : fn == push_r_4 ? push_push_4
	       : fn == pop_r_4	? pop_pop_4
				: NULL;
}

/* ---- conditional moves ---- */

#define CONDITIONAL(cc)                                                                                                \
	HANDLER(cmov_4_##cc)                                                                                           \
	{                                                                                                              \
		e->cpu.gpr[i->reg] =                                                                                   \
			(uint32_t)(flags_condition(e->flags_image, cc) ? e->cpu.gpr[i->rm] : e->cpu.gpr[i->reg]);         \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(cmov_8_##cc)                                                                                           \
	{                                                                                                              \
		e->cpu.gpr[i->reg] = flags_condition(e->flags_image, cc) ? e->cpu.gpr[i->rm] : e->cpu.gpr[i->reg];        \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(set_r_##cc)                                                                                            \
	{                                                                                                              \
		set_1(e, i->rm, flags_condition(e->flags_image, cc));                                                     \
		NEXT(e, i);                                                                                            \
	}
/* With a memory operand. */
#define CONDITIONAL_MEMORY(cc, A)                                                                                      \
	HANDLER(set_m_##cc##_##A)                                                                                      \
	{                                                                                                              \
		uint8_t *p = tlb_write_ptr(e, EA_##A(e, i), 1);                                                        \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		store_1(p, flags_condition(e->flags_image, cc));                                                                \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(cmov_m_4_##cc##_##A)                                                                                   \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_##A(e, i), 4);                                                   \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		set_4(e, i->reg, flags_condition(e->flags_image, cc) ? load_4(p) : get_4(e, i->reg));                     \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(cmov_m_8_##cc##_##A)                                                                                   \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_##A(e, i), 8);                                                   \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		set_8(e, i->reg, flags_condition(e->flags_image, cc) ? load_8(p) : get_8(e, i->reg));                     \
		NEXT(e, i);                                                                                            \
	}
#define CONDITIONALS_OF(cc) CONDITIONAL(cc) CONDITIONAL_MEMORY(cc, 1) CONDITIONAL_MEMORY(cc, 2)
#define ALL_CC(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)
ALL_CC(CONDITIONALS_OF)
enum { CMOV_4, CMOV_8, SET_R, CMOV_M_4, CMOV_M_8, SET_M, CMOV_32_4, CMOV_32_8, SET_32, CONDITIONALS };
#define MEMORY_CC(cc, A) cmov_m_4_##cc##_##A, cmov_m_8_##cc##_##A, set_m_##cc##_##A
#define ENTRY_CC(cc) { cmov_4_##cc, cmov_8_##cc, set_r_##cc, MEMORY_CC(cc, 1), MEMORY_CC(cc, 2) },
static insn_handler *const conditional[16][CONDITIONALS] = { ALL_CC(ENTRY_CC) };

/* ---- selection ---- */

static bool high_byte(unsigned r)
{
	return r >= REG8_AH;
}

/* By address form; registers come last. */
static insn_handler *extension(const struct emu *e, const struct insn *i, insn_handler *const table[ADDRESS_FORMS + 1])
{
	return table[i->is_mem ? (int)address_form(e, i) : ADDRESS_FORMS];
}

static insn_handler *conditional_move(const struct emu *e, const struct insn *i)
{
	unsigned kind = !i->is_mem ? CMOV_4 : address_form(e, i) == ADDRESS_32 ? CMOV_32_4 : CMOV_M_4;

	return i->size == 2 ? NULL : conditional[i->id - ISA_CMOVO][kind + (i->size == 8)];
}

static insn_handler *conditional_set(const struct emu *e, const struct insn *i)
{
	unsigned kind = !i->is_mem ? SET_R : address_form(e, i) == ADDRESS_32 ? SET_32 : SET_M;

	return !i->is_mem && high_byte(i->rm) ? NULL : conditional[i->id - ISA_SETO][kind];
}

static insn_handler *lea(const struct emu *e, const struct insn *i)
{
	if (i->size == 4 && (i->asize == 8 || i->asize == 4))
		return lea_4;
	if (i->size != 8 || e->code_size != 8 || i->asize != 8)
		return NULL;
	return i->index == ADDR_NONE ? lea_8_0 : lea_8_1;
}

/* Accumulator and an address that stands in the instruction: in 32-bit code a move like any other. */
static insn_handler *move_offset(const struct emu *e, struct insn *i, bool to_reg)
{
	i->base = i->index = ADDR_NONE;
	i->disp = (int32_t)i->imm;
	i->reg = RAX;
	if (address_form(e, i) != ADDRESS_32 || i->imm > UINT32_MAX)
		return NULL;
	return (to_reg ? loads : stores)[size_index(i->size)][ADDRESS_32];
}

static insn_handler *move_reg_rm(const struct emu *e, struct insn *i, bool to_reg)
{
	unsigned n = size_index(i->size);

	if (i->size == 1 && (high_byte(i->reg) || (!i->is_mem && high_byte(i->rm))))
		return NULL;
	if (i->is_mem)
		return (to_reg ? loads : stores)[n][address_form(e, i)];
	if (to_reg) {
		uint8_t source = i->rm;

		i->rm = i->reg;
		i->reg = source;
	}
	return moves_rr[n];
}

static insn_handler *stack_handler(const struct emu *e, struct insn *i)
{
	const bool wide = e->code_size == 8;

	if (i->size == 0 || i->size != fast_word(e))
		return NULL;
	switch (i->id) {
	case ISA_PUSH_Zv:
		return wide ? push_r_8 : push_r_4;
	case ISA_PUSH_Iz:
	case ISA_PUSH_Ibs:
		return wide ? push_i_8 : push_i_4;
	case ISA_PUSH_Ev:
		if (i->is_mem)
			return address_form(e, i) == ADDRESS_32 ? wide ? NULL : push_m_4 : push_m_8;
		i->reg = i->rm;
		return wide ? push_r_8 : push_r_4;
	case ISA_POP_Zv:
		return wide ? pop_r_8 : pop_r_4;
	default:
		return wide ? leave_8 : leave_4;
	}
}

insn_handler *fast_move(const struct emu *e, struct insn *i)
{
	if (i->id == ISA_LEA)
		return lea(e, i);
	if (i->is_mem && address_form(e, i) == ADDRESS_NONE)
		return NULL;
	if (i->id >= ISA_CMOVO && i->id <= ISA_CMOVNLE)
		return conditional_move(e, i);
	if (i->id >= ISA_SETO && i->id <= ISA_SETNLE)
		return conditional_set(e, i);
	switch (i->id) {
	case ISA_MOV_Eb_Gb:
	case ISA_MOV_Ev_Gv:
		return move_reg_rm(e, i, false);
	case ISA_MOV_Gb_Eb:
	case ISA_MOV_Gv_Ev:
		return move_reg_rm(e, i, true);
	case ISA_MOV_Zb_Ib:
	case ISA_MOV_Zv_Iv:
		i->rm = i->reg;
		return i->size == 1 && high_byte(i->rm) ? NULL : moves_ri[size_index(i->size)];
	case ISA_MOV_Eb_Ib:
	case ISA_MOV_Ev_Iz:
		if (i->is_mem)
			return stores_imm[size_index(i->size)][address_form(e, i)];
		return i->size == 1 && high_byte(i->rm) ? NULL : moves_ri[size_index(i->size)];
	case ISA_MOV_AL_Ob:
	case ISA_MOV_rAX_Ov:
		return move_offset(e, i, true);
	case ISA_MOV_Ob_AL:
	case ISA_MOV_Ov_rAX:
		return move_offset(e, i, false);
	case ISA_MOVZX_Gv_Eb:
		if (i->size == 2)
			return NULL;
		return !i->is_mem && high_byte(i->rm) ? movzx_high : extension(e, i, movzx1_4);
	case ISA_MOVZX_Gv_Ew:
		return i->size == 2 ? NULL : extension(e, i, movzx2_4);
	case ISA_MOVSX_Gv_Eb:
		if (i->size == 2 || (!i->is_mem && high_byte(i->rm)))
			return NULL;
		return extension(e, i, i->size == 4 ? movsx1_4 : movsx1_8);
	case ISA_MOVSX_Gv_Ew:
		if (i->size == 2)
			return NULL;
		return extension(e, i, i->size == 4 ? movsx2_4 : movsx2_8);
	case ISA_MOVSXD_Gv_Ed:
		return i->size == 8 ? extension(e, i, movsx4_8) : NULL;
	case ISA_PUSH_Zv:
	case ISA_PUSH_Iz:
	case ISA_PUSH_Ibs:
	case ISA_PUSH_Ev:
	case ISA_POP_Zv:
	case ISA_LEAVE:
		return stack_handler(e, i);
	default:
		return NULL;
	}
}
