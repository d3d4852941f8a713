/* SPDX-License-Identifier: MIT */
/* Fast handlers: INC, DEC, NEG, NOT, shifts, bit tests, IMUL, conversions, exchanges, no-operations. */
#include "fast.h"
#include "emu/isa/isa.h"
#include "emu/mmu/mmu.h"

#define UNARY(op, n, T)                                                                                                \
	HANDLER(op##_r_##n)                                                                                            \
	{                                                                                                              \
		uint16_t f = e->flags_image;                                                                              \
		const unsigned to = i->rm;                                                                             \
		T r = alu_##op##_##n(get_##n(e, to), &f);                                                              \
                                                                                                                       \
		e->flags_image = f;                                                                                       \
		set_##n(e, to, r);                                                                                     \
		NEXT(e, i);                                                                                            \
	}
#define UNARY_MEM(op, n, A)                                                                                            \
	HANDLER(op##_m_##n##_##A)                                                                                      \
	{                                                                                                              \
		uint8_t *p = tlb_write_ptr(e, EA_##A(e, i), n);                                                        \
		uint16_t f = e->flags_image;                                                                              \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		store_##n(p, alu_##op##_##n(load_##n(p), &f));                                                         \
		e->flags_image = f;                                                                                       \
		NEXT(e, i);                                                                                            \
	}
#define UNARY_OP(op)                                                                                                   \
	UNARY(op, 1, uint8_t) UNARY(op, 2, uint16_t) UNARY(op, 4, uint32_t) UNARY(op, 8, uint64_t)                     \
	UNARY_MEM(op, 1, 0) UNARY_MEM(op, 2, 0) UNARY_MEM(op, 4, 0) UNARY_MEM(op, 8, 0)                                \
	UNARY_MEM(op, 1, 1) UNARY_MEM(op, 2, 1) UNARY_MEM(op, 4, 1) UNARY_MEM(op, 8, 1)
UNARY_OP(inc)
UNARY_OP(dec)
UNARY_OP(neg)
#define UNARY_TABLE(op)                                                                                                \
	{                                                                                                              \
		{ op##_r_1, op##_m_1_0, op##_m_1_1 }, { op##_r_2, op##_m_2_0, op##_m_2_1 },                            \
		{ op##_r_4, op##_m_4_0, op##_m_4_1 }, { op##_r_8, op##_m_8_0, op##_m_8_1 },                            \
	}
static insn_handler *const unary[3][4][3] = { UNARY_TABLE(inc), UNARY_TABLE(dec), UNARY_TABLE(neg) };

HANDLER(not_4)
{
	e->cpu.gpr[i->rm] = (uint32_t)~e->cpu.gpr[i->rm];
	NEXT(e, i);
}
HANDLER(not_8)
{
	e->cpu.gpr[i->rm] = ~e->cpu.gpr[i->rm];
	NEXT(e, i);
}

/* Shifts of registers. By an immediate the count is masked and not zero; by CL it may be. */
#define SHIFT(op, n, T, mask)                                                                                          \
	HANDLER(op##_i_##n)                                                                                            \
	{                                                                                                              \
		uint16_t f = e->flags_image;                                                                              \
		const unsigned to = i->rm;                                                                             \
		T r = alu_##op##_##n(get_##n(e, to), (uint8_t)i->imm, &f);                                             \
                                                                                                                       \
		e->flags_image = f;                                                                                       \
		set_##n(e, to, r);                                                                                     \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(op##_c_##n)                                                                                            \
	{                                                                                                              \
		uint8_t count = (uint8_t)(e->cpu.gpr[RCX] & mask);                                                     \
		uint16_t f = e->flags_image;                                                                              \
		const unsigned to = i->rm;                                                                             \
		T r = get_##n(e, to);                                                                                  \
                                                                                                                       \
		if (count) {                                                                                           \
			r = alu_##op##_##n(r, count, &f);                                                              \
			e->flags_image = f;                                                                               \
		}                                                                                                      \
		set_##n(e, to, r);                                                                                     \
		NEXT(e, i);                                                                                            \
	}
#define SHIFT_OP(op) SHIFT(op, 4, uint32_t, 31) SHIFT(op, 8, uint64_t, 63)
SHIFT_OP(rol)
SHIFT_OP(ror)
SHIFT_OP(shl)
SHIFT_OP(shr)
SHIFT_OP(sar)
#define SHIFT_TABLE(op) { { op##_i_4, op##_i_8 }, { op##_c_4, op##_c_8 } }
static insn_handler *const shifts[8][2][2] = {
	[0] = SHIFT_TABLE(rol), [1] = SHIFT_TABLE(ror), [4] = SHIFT_TABLE(shl), [5] = SHIFT_TABLE(shr),
	[6] = SHIFT_TABLE(shl), [7] = SHIFT_TABLE(sar),
};

static inline void carry_from_bit(struct emu *e, uint64_t v, uint64_t bit)
{
	e->flags_image = (uint16_t)((e->flags_image & ~IMG_CF) | (v >> bit & 1) << 8);
}

#define BIT_TEST(n, mask)                                                                                              \
	HANDLER(bt_ri_##n)                                                                                             \
	{                                                                                                              \
		carry_from_bit(e, e->cpu.gpr[i->rm], i->imm & mask);                                                   \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(bt_rr_##n)                                                                                             \
	{                                                                                                              \
		carry_from_bit(e, e->cpu.gpr[i->rm], e->cpu.gpr[i->reg] & mask);                                       \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(bts_ri_##n)                                                                                            \
	{                                                                                                              \
		uint64_t v = get_##n(e, i->rm);                                                                        \
                                                                                                                       \
		carry_from_bit(e, v, i->imm & mask);                                                                   \
		e->cpu.gpr[i->rm] = v | 1ull << (i->imm & mask);                                                       \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(btr_ri_##n)                                                                                            \
	{                                                                                                              \
		uint64_t v = get_##n(e, i->rm);                                                                        \
                                                                                                                       \
		carry_from_bit(e, v, i->imm & mask);                                                                   \
		e->cpu.gpr[i->rm] = v & ~(1ull << (i->imm & mask));                                                    \
		NEXT(e, i);                                                                                            \
	}
BIT_TEST(4, 31)
BIT_TEST(8, 63)

/* BT with memory and an immediate: one aligned operand (a register would reach beyond it). */
HANDLER(bt_mi_8)
{
	const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), 8);

	if (UNLIKELY(!p))
		MISS(e, i);
	carry_from_bit(e, load_8(p), i->imm & 63);
	NEXT(e, i);
}

/* BT with memory and a 64-bit register: the bit string around the address. */
HANDLER(bt_mr_8)
{
	uint64_t bit = e->cpu.gpr[i->reg];
	const uint8_t *p = tlb_read_ptr(e, EA_1(e, i) + (uint64_t)((int64_t)bit >> 6) * 8, 8);

	if (UNLIKELY(!p))
		MISS(e, i);
	carry_from_bit(e, load_8(p), bit & 63);
	NEXT(e, i);
}

#define MULTIPLY(n, T)                                                                                                 \
	HANDLER(imul_rr_##n)                                                                                           \
	{                                                                                                              \
		uint16_t f;                                                                                            \
		const unsigned to = i->reg;                                                                            \
		T r = alu_imul_##n(get_##n(e, to), get_##n(e, i->rm), &f);                                             \
                                                                                                                       \
		e->flags_image = f;                                                                                       \
		set_##n(e, to, r);                                                                                     \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(imul_ri_##n)                                                                                           \
	{                                                                                                              \
		uint16_t f;                                                                                            \
		const unsigned to = i->reg;                                                                            \
		T r = alu_imul_##n(get_##n(e, i->rm), (T)i->imm, &f);                                                  \
                                                                                                                       \
		e->flags_image = f;                                                                                       \
		set_##n(e, to, r);                                                                                     \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(imul_rm_##n)                                                                                           \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), n);                                                     \
		const unsigned to = i->reg;                                                                            \
		uint16_t f;                                                                                            \
		T r;                                                                                                   \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		r = alu_imul_##n(get_##n(e, to), load_##n(p), &f);                                                     \
		e->flags_image = f;                                                                                       \
		set_##n(e, to, r);                                                                                     \
		NEXT(e, i);                                                                                            \
	}
MULTIPLY(4, uint32_t)
MULTIPLY(8, uint64_t)

static inline void multiply_rax(struct emu *e, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)e->cpu.gpr[RAX] * b;

	e->cpu.gpr[RAX] = (uint64_t)p;
	e->cpu.gpr[RDX] = (uint64_t)(p >> 64);
	e->flags_image = img_product(8, (uint64_t)p, (p >> 64) != 0);
}

HANDLER(mul_r_8)
{
	multiply_rax(e, e->cpu.gpr[i->rm]);
	NEXT(e, i);
}
HANDLER(mul_m_8)
{
	const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), 8);

	if (UNLIKELY(!p))
		MISS(e, i);
	multiply_rax(e, load_8(p));
	NEXT(e, i);
}

HANDLER(cwde)
{
	e->cpu.gpr[RAX] = (uint32_t)(int16_t)e->cpu.gpr[RAX];
	NEXT(e, i);
}
HANDLER(cdqe)
{
	e->cpu.gpr[RAX] = (uint64_t)(int32_t)e->cpu.gpr[RAX];
	NEXT(e, i);
}
HANDLER(cdq)
{
	e->cpu.gpr[RDX] = (uint32_t)((int32_t)e->cpu.gpr[RAX] >> 31);
	NEXT(e, i);
}
HANDLER(cqo)
{
	e->cpu.gpr[RDX] = (uint64_t)((int64_t)e->cpu.gpr[RAX] >> 63);
	NEXT(e, i);
}
HANDLER(xchg_8)
{
	uint64_t v = e->cpu.gpr[i->rm];

	e->cpu.gpr[i->rm] = e->cpu.gpr[i->reg];
	e->cpu.gpr[i->reg] = v;
	NEXT(e, i);
}
HANDLER(xchg_4)
{
	uint32_t v = (uint32_t)e->cpu.gpr[i->rm];

	e->cpu.gpr[i->rm] = (uint32_t)e->cpu.gpr[i->reg];
	e->cpu.gpr[i->reg] = v;
	NEXT(e, i);
}
HANDLER(bswap_4)
{
	e->cpu.gpr[i->reg] = __builtin_bswap32((uint32_t)e->cpu.gpr[i->reg]);
	NEXT(e, i);
}
HANDLER(bswap_8)
{
	e->cpu.gpr[i->reg] = __builtin_bswap64(e->cpu.gpr[i->reg]);
	NEXT(e, i);
}
HANDLER(nop)
{
	NEXT(e, i);
}

/* The kernel brackets each access to user memory with these: no mode change worth leaving the cache for. */
HANDLER(stac)
{
	if (UNLIKELY(e->cpl != 0))
		MISS(e, i);
	e->cpu.rflags |= RFLAGS_AC;
	emu_derive_tlb_mask(e);
	NEXT(e, i);
}
HANDLER(clac)
{
	if (UNLIKELY(e->cpl != 0))
		MISS(e, i);
	e->cpu.rflags &= ~(uint64_t)RFLAGS_AC;
	emu_derive_tlb_mask(e);
	NEXT(e, i);
}

/* ---- selection ---- */

static insn_handler *unary_handler(const struct emu *e, struct insn *i, unsigned op)
{
	if ((i->prefixes & PFX_LOCK) || (i->is_mem && (e->code_size != 8 || i->asize != 8)))
		return NULL;
	if (i->is_mem)
		return unary[op][size_index(i->size)][1 + !is_simple_address(i)];
	return i->size == 1 && i->rm >= REG8_AH ? NULL : unary[op][size_index(i->size)][0];
}

static insn_handler *shift_handler(struct insn *i)
{
	const struct isa_row *row = &isa_rows[i->id];
	unsigned count = row->op[1].kind;

	if (i->is_mem || i->size < 4)
		return NULL;
	if (count == OPK_CL)
		return shifts[row->ext][1][i->size == 8];
	if (count == OPK_ONE)
		i->imm = 1;
	i->imm &= i->size == 8 ? 63 : 31;
	return i->imm == 0 ? NULL : shifts[row->ext][0][i->size == 8];
}

static insn_handler *bit_handler(const struct emu *e, struct insn *i)
{
	bool wide = i->size == 8;

	if (i->size == 2)
		return NULL;
	if (i->is_mem) {
		if (!wide || e->code_size != 8 || i->asize != 8)
			return NULL;
		return i->id == ISA_BT_Ev_Ib ? bt_mi_8 : i->id == ISA_BT_Ev_Gv ? bt_mr_8 : NULL;
	}
	switch (i->id) {
	case ISA_BT_Ev_Ib:
		return wide ? bt_ri_8 : bt_ri_4;
	case ISA_BT_Ev_Gv:
		return wide ? bt_rr_8 : bt_rr_4;
	case ISA_BTS_Ev_Ib:
		return wide ? bts_ri_8 : bts_ri_4;
	case ISA_BTR_Ev_Ib:
		return wide ? btr_ri_8 : btr_ri_4;
	default:
		return NULL;
	}
}

static insn_handler *by_size(const struct insn *i, insn_handler *four, insn_handler *eight)
{
	return i->is_mem || i->size < 4 ? NULL : i->size == 8 ? eight : four;
}

insn_handler *fast_misc(const struct emu *e, struct insn *i)
{
	if ((isa_rows[i->id].attr & (ISA_COUNT1 | ISA_COUNT16)) == ISA_COUNT1)
		return shift_handler(i);
	switch (i->id) {
	case ISA_INC_Zv: case ISA_DEC_Zv:
		i->rm = i->reg;
		return unary_handler(e, i, i->id == ISA_DEC_Zv);
	case ISA_INC_Eb: case ISA_INC_Ev:
		return unary_handler(e, i, 0);
	case ISA_DEC_Eb: case ISA_DEC_Ev:
		return unary_handler(e, i, 1);
	case ISA_NEG_Eb: case ISA_NEG_Ev:
		return unary_handler(e, i, 2);
	case ISA_NOT_Ev:
		return by_size(i, not_4, not_8);
	case ISA_BT_Ev_Ib: case ISA_BT_Ev_Gv: case ISA_BTS_Ev_Ib: case ISA_BTR_Ev_Ib:
		return i->prefixes & PFX_LOCK ? NULL : bit_handler(e, i);
	case ISA_IMUL_Gv_Ev:
		if (i->is_mem)
			return e->code_size != 8 || i->asize != 8 || i->size < 4 ? NULL :
			       i->size == 8				   ? imul_rm_8 : imul_rm_4;
		return by_size(i, imul_rr_4, imul_rr_8);
	case ISA_IMUL_Gv_Ev_Ibs: case ISA_IMUL_Gv_Ev_Iz:
		return by_size(i, imul_ri_4, imul_ri_8);
	case ISA_MUL_Ev:
		if (i->is_mem)
			return e->code_size == 8 && i->asize == 8 && i->size == 8 ? mul_m_8 : NULL;
		return by_size(i, NULL, mul_r_8);
	case ISA_CBW:
		return by_size(i, cwde, cdqe);
	case ISA_CWD:
		return by_size(i, cdq, cqo);
	case ISA_XCHG_Ev_Gv:
		return by_size(i, xchg_4, xchg_8);
	case ISA_XCHG_Zv_rAX:
		i->rm = RAX;
		return by_size(i, xchg_4, xchg_8);
	case ISA_BSWAP:
		return by_size(i, bswap_4, bswap_8);
	case ISA_STAC:
		return stac;
	case ISA_CLAC:
		return clac;
	case ISA_NOP: case ISA_PAUSE: case ISA_ENDBR64: case ISA_ENDBR32: case ISA_LFENCE: case ISA_SFENCE:
	case ISA_NOP_0F18: case ISA_NOP_0F19: case ISA_NOP_0F1A: case ISA_NOP_0F1B: case ISA_NOP_0F1C:
	case ISA_NOP_0F1D: case ISA_NOP_0F1E: case ISA_NOP_0F1F: case ISA_PREFETCHW: case ISA_NOP_0F0D:
		return nop;
	default:
		return NULL;
	}
}
