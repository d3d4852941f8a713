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
#define EXTEND(name, n, S, m, D)                                                                                       \
	HANDLER(name##_##m##_0)                                                                                        \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_0(e, i), n);                                                     \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		set_##m(e, i->reg, (uint##D##_t)(int##D##_t)(S)load_##n(p));                                           \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(name##_##m##_1)                                                                                        \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), n);                                                     \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		set_##m(e, i->reg, (uint##D##_t)(int##D##_t)(S)load_##n(p));                                           \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(name##_##m##_r)                                                                                        \
	{                                                                                                              \
		set_##m(e, i->reg, (uint##D##_t)(int##D##_t)(S)get_##n(e, i->rm));                                     \
		NEXT(e, i);                                                                                            \
	}

#define ALL_SIZES_A(M) M(1, 0) M(1, 1) M(2, 0) M(2, 1) M(4, 0) M(4, 1) M(8, 0) M(8, 1)
ALL_SIZES_A(LOAD)
ALL_SIZES_A(STORE)
STORE_IMM(1, 0, uint8_t) STORE_IMM(1, 1, uint8_t)
STORE_IMM(2, 0, uint16_t) STORE_IMM(2, 1, uint16_t)
STORE_IMM(4, 0, uint32_t) STORE_IMM(4, 1, uint32_t)
STORE_IMM(8, 0, uint64_t) STORE_IMM(8, 1, uint64_t)
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

#define TABLE_A(name)                                                                                                  \
	{                                                                                                              \
		{ name##_1_0, name##_1_1 }, { name##_2_0, name##_2_1 }, { name##_4_0, name##_4_1 },                    \
		{ name##_8_0, name##_8_1 },                                                                            \
	}
static insn_handler *const loads[4][2] = TABLE_A(load);
static insn_handler *const stores[4][2] = TABLE_A(store);
static insn_handler *const stores_imm[4][2] = TABLE_A(store_imm);

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
	e->cpu.gpr[i->reg] = emu_address_register(e, i->base) + (emu_address_register(e, i->index) << i->scale) + (uint64_t)(int64_t)i->disp;
	NEXT(e, i);
}
HANDLER(lea_4)
{
	e->cpu.gpr[i->reg] = (uint32_t)(emu_address_register(e, i->base) + (emu_address_register(e, i->index) << i->scale) + (uint32_t)i->disp);
	NEXT(e, i);
}

/* ---- stack, 64-bit ---- */

HANDLER(push_r)
{
	uint64_t sp = e->cpu.gpr[RSP] - 8;
	uint8_t *p = tlb_write_ptr(e, sp, 8);

	if (UNLIKELY(!p))
		MISS(e, i);
	store_8(p, e->cpu.gpr[i->reg]);
	e->cpu.gpr[RSP] = sp;
	NEXT(e, i);
}
HANDLER(push_i)
{
	uint64_t sp = e->cpu.gpr[RSP] - 8;
	uint8_t *p = tlb_write_ptr(e, sp, 8);

	if (UNLIKELY(!p))
		MISS(e, i);
	store_8(p, i->imm);
	e->cpu.gpr[RSP] = sp;
	NEXT(e, i);
}
HANDLER(push_m)
{
	uint64_t sp = e->cpu.gpr[RSP] - 8, v;
	const uint8_t *q = tlb_read_ptr(e, EA_1(e, i), 8);
	uint8_t *p;

	if (UNLIKELY(!q))
		MISS(e, i);
	v = load_8(q);
	p = tlb_write_ptr(e, sp, 8);
	if (UNLIKELY(!p))
		MISS(e, i);
	store_8(p, v);
	e->cpu.gpr[RSP] = sp;
	NEXT(e, i);
}
HANDLER(pop_r)
{
	uint64_t sp = e->cpu.gpr[RSP];
	const uint8_t *p = tlb_read_ptr(e, sp, 8);

	if (UNLIKELY(!p))
		MISS(e, i);
	e->cpu.gpr[RSP] = sp + 8;
	e->cpu.gpr[i->reg] = load_8(p); /* POP RSP: the loaded value wins */
	NEXT(e, i);
}
/* Two of a kind in a row, with one look at the TLB: prologues and epilogues. Page crossings do the first alone. */
HANDLER(push_push)
{
	uint64_t sp = e->cpu.gpr[RSP] - 16;
	uint8_t *p = tlb_write_ptr(e, sp, 16);

	if (UNLIKELY(!p))
		MISS(e, i);
	store_8(p + 8, e->cpu.gpr[i->reg]);
	store_8(p, e->cpu.gpr[i[1].reg]);
	e->cpu.gpr[RSP] = sp;
	GO(e, i + 2);
}
HANDLER(pop_pop)
{
	uint64_t sp = e->cpu.gpr[RSP];
	const uint8_t *p = tlb_read_ptr(e, sp, 16);

	if (UNLIKELY(!p))
		MISS(e, i);
	e->cpu.gpr[i->reg] = load_8(p);
	e->cpu.gpr[i[1].reg] = load_8(p + 8);
	e->cpu.gpr[RSP] = sp + 16;
	GO(e, i + 2);
}

insn_handler *fast_stack_pair(const struct insn *i)
{
	if (i[0].fn != i[1].fn || i[0].reg == RSP || i[1].reg == RSP)
		return NULL;
	return i->fn == push_r ? push_push : i->fn == pop_r ? pop_pop : NULL;
}

HANDLER(leave_8)
{
	uint64_t bp = e->cpu.gpr[RBP];
	const uint8_t *p = tlb_read_ptr(e, bp, 8);

	if (UNLIKELY(!p))
		MISS(e, i);
	e->cpu.gpr[RSP] = bp + 8;
	e->cpu.gpr[RBP] = load_8(p);
	NEXT(e, i);
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
	}                                                                                                              \
	HANDLER(set_m_##cc)                                                                                            \
	{                                                                                                              \
		uint8_t *p = tlb_write_ptr(e, EA_1(e, i), 1);                                                          \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		*p = flags_condition(e->flags_image, cc);                                                                 \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(cmov_m_4_##cc)                                                                                         \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), 4);                                                     \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		set_4(e, i->reg, flags_condition(e->flags_image, cc) ? load_4(p) : get_4(e, i->reg));                     \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(cmov_m_8_##cc)                                                                                         \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), 8);                                                     \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		set_8(e, i->reg, flags_condition(e->flags_image, cc) ? load_8(p) : get_8(e, i->reg));                     \
		NEXT(e, i);                                                                                            \
	}
#define ALL_CC(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)
ALL_CC(CONDITIONAL)
enum { CMOV_4, CMOV_8, SET_R, CMOV_M_4, CMOV_M_8, SET_M, CONDITIONALS };
#define ENTRY_CC(cc) { cmov_4_##cc, cmov_8_##cc, set_r_##cc, cmov_m_4_##cc, cmov_m_8_##cc, set_m_##cc },
static insn_handler *const conditional[16][CONDITIONALS] = { ALL_CC(ENTRY_CC) };

/* ---- selection ---- */

static bool high_byte(unsigned r)
{
	return r >= REG8_AH;
}

static insn_handler *extension(struct insn *i, insn_handler *m0, insn_handler *m1, insn_handler *r)
{
	if (i->is_mem)
		return is_simple_address(i) ? m0 : m1;
	return r;
}

static insn_handler *move_reg_rm(struct insn *i, bool to_reg)
{
	unsigned n = size_index(i->size);

	if (i->size == 1 && (high_byte(i->reg) || (!i->is_mem && high_byte(i->rm))))
		return NULL;
	if (i->is_mem)
		return (to_reg ? loads : stores)[n][!is_simple_address(i)];
	if (to_reg) {
		uint8_t source = i->rm;

		i->rm = i->reg;
		i->reg = source;
	}
	return moves_rr[n];
}

static insn_handler *stack_handler(const struct emu *e, struct insn *i)
{
	if (e->code_size != 8 || i->size != 8)
		return NULL;
	switch (i->id) {
	case ISA_PUSH_Zv:
		return push_r;
	case ISA_PUSH_Iz: case ISA_PUSH_Ibs:
		return push_i;
	case ISA_PUSH_Ev:
		if (i->is_mem)
			return push_m;
		i->reg = i->rm;
		return push_r;
	case ISA_POP_Zv:
		return pop_r;
	default:
		return leave_8;
	}
}

insn_handler *fast_move(const struct emu *e, struct insn *i)
{
	if (i->is_mem && (e->code_size != 8 || i->asize != 8))
		return NULL;
	if (i->id >= ISA_CMOVO && i->id <= ISA_CMOVNLE)
		return i->size == 2 ? NULL :
				      conditional[i->id - ISA_CMOVO][(i->is_mem ? CMOV_M_4 : CMOV_4) + (i->size == 8)];
	if (i->id >= ISA_SETO && i->id <= ISA_SETNLE)
		return i->is_mem	 ? conditional[i->id - ISA_SETO][SET_M] :
		       high_byte(i->rm) ? NULL :
					  conditional[i->id - ISA_SETO][SET_R];
	switch (i->id) {
	case ISA_MOV_Eb_Gb: case ISA_MOV_Ev_Gv:
		return move_reg_rm(i, false);
	case ISA_MOV_Gb_Eb: case ISA_MOV_Gv_Ev:
		return move_reg_rm(i, true);
	case ISA_MOV_Zb_Ib: case ISA_MOV_Zv_Iv:
		i->rm = i->reg;
		return i->size == 1 && high_byte(i->rm) ? NULL : moves_ri[size_index(i->size)];
	case ISA_MOV_Eb_Ib: case ISA_MOV_Ev_Iz:
		if (i->is_mem)
			return stores_imm[size_index(i->size)][!is_simple_address(i)];
		return i->size == 1 && high_byte(i->rm) ? NULL : moves_ri[size_index(i->size)];
	case ISA_MOVZX_Gv_Eb:
		if (i->size == 2)
			return NULL;
		return !i->is_mem && high_byte(i->rm) ? movzx_high : extension(i, movzx1_4_0, movzx1_4_1, movzx1_4_r);
	case ISA_MOVZX_Gv_Ew:
		return i->size == 2 ? NULL : extension(i, movzx2_4_0, movzx2_4_1, movzx2_4_r);
	case ISA_MOVSX_Gv_Eb:
		if (i->size == 2 || (!i->is_mem && high_byte(i->rm)))
			return NULL;
		return i->size == 4 ? extension(i, movsx1_4_0, movsx1_4_1, movsx1_4_r) :
				      extension(i, movsx1_8_0, movsx1_8_1, movsx1_8_r);
	case ISA_MOVSX_Gv_Ew:
		if (i->size == 2)
			return NULL;
		return i->size == 4 ? extension(i, movsx2_4_0, movsx2_4_1, movsx2_4_r) :
				      extension(i, movsx2_8_0, movsx2_8_1, movsx2_8_r);
	case ISA_MOVSXD_Gv_Ed:
		return i->size == 8 ? extension(i, movsx4_8_0, movsx4_8_1, movsx4_8_r) : NULL;
	case ISA_LEA:
		if (i->size == 2)
			return NULL;
		return i->size == 4 ? lea_4 : i->index == ADDR_NONE ? lea_8_0 : lea_8_1;
	case ISA_PUSH_Zv: case ISA_PUSH_Iz: case ISA_PUSH_Ibs: case ISA_PUSH_Ev: case ISA_POP_Zv: case ISA_LEAVE:
		return stack_handler(e, i);
	default:
		return NULL;
	}
}
