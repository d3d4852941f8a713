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
#define UNARY_ADDRESS(op, A) UNARY_MEM(op, 1, A) UNARY_MEM(op, 2, A) UNARY_MEM(op, 4, A) UNARY_MEM(op, 8, A)
#define UNARY_OP(op)                                                                                                   \
	UNARY(op, 1, uint8_t) UNARY(op, 2, uint16_t) UNARY(op, 4, uint32_t) UNARY(op, 8, uint64_t)                     \
	UNARY_ADDRESS(op, 0) UNARY_ADDRESS(op, 1) UNARY_ADDRESS(op, 2)
UNARY_OP(inc)
UNARY_OP(dec)
UNARY_OP(neg)
/* By address form; registers come last. */
#define UNARY_ROW(op, n) { op##_m_##n##_0, op##_m_##n##_1, op##_m_##n##_2, op##_r_##n }
#define UNARY_TABLE(op) { UNARY_ROW(op, 1), UNARY_ROW(op, 2), UNARY_ROW(op, 4), UNARY_ROW(op, 8) }
static insn_handler *const unary[3][4][ADDRESS_FORMS + 1] = { UNARY_TABLE(inc), UNARY_TABLE(dec), UNARY_TABLE(neg) };

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
HANDLER(bt_mi_4)
{
	const uint8_t *p = tlb_read_ptr(e, EA_2(e, i), 4);

	if (UNLIKELY(!p))
		MISS(e, i);
	carry_from_bit(e, load_4(p), i->imm & 31);
	NEXT(e, i);
}

/* BT with memory and a register: the bit string around the address. */
HANDLER(bt_mr_8)
{
	uint64_t bit = e->cpu.gpr[i->reg];
	const uint8_t *p = tlb_read_ptr(e, EA_1(e, i) + (uint64_t)((int64_t)bit >> 6) * 8, 8);

	if (UNLIKELY(!p))
		MISS(e, i);
	carry_from_bit(e, load_8(p), bit & 63);
	NEXT(e, i);
}
HANDLER(bt_mr_4)
{
	uint32_t bit = get_4(e, i->reg);
	const uint8_t *p = tlb_read_ptr(e, EA_2(e, i) + (uint32_t)((int32_t)bit >> 5) * 4, 4);

	if (UNLIKELY(!p))
		MISS(e, i);
	carry_from_bit(e, load_4(p), bit & 31);
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
	}
#define MULTIPLY_MEMORY(n, T, A)                                                                                       \
	HANDLER(imul_rm_##n##_##A)                                                                                     \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_##A(e, i), n);                                                   \
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
MULTIPLY_MEMORY(4, uint32_t, 1) MULTIPLY_MEMORY(4, uint32_t, 2)
MULTIPLY_MEMORY(8, uint64_t, 1) MULTIPLY_MEMORY(8, uint64_t, 2)

/* MUL of the accumulator. */
#define MULTIPLY_WIDE(n, T, D)                                                                                         \
	static inline void multiply_rax_##n(struct emu *e, T b)                                                        \
	{                                                                                                              \
		D p = (D)get_##n(e, RAX) * b;                                                                          \
                                                                                                                       \
		set_##n(e, RAX, (T)p);                                                                                 \
		set_##n(e, RDX, (T)(p >> 8 * n));                                                                      \
		e->flags_image = img_product(n, (T)p, (p >> 8 * n) != 0);                                                 \
	}                                                                                                              \
	HANDLER(mul_r_##n)                                                                                             \
	{                                                                                                              \
		multiply_rax_##n(e, get_##n(e, i->rm));                                                                \
		NEXT(e, i);                                                                                            \
	}
#define MULTIPLY_WIDE_MEMORY(n, A)                                                                                     \
	HANDLER(mul_m_##n##_##A)                                                                                       \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_##A(e, i), n);                                                   \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		multiply_rax_##n(e, load_##n(p));                                                                      \
		NEXT(e, i);                                                                                            \
	}
MULTIPLY_WIDE(4, uint32_t, uint64_t)
MULTIPLY_WIDE(8, uint64_t, unsigned __int128)
MULTIPLY_WIDE_MEMORY(4, 1) MULTIPLY_WIDE_MEMORY(4, 2) MULTIPLY_WIDE_MEMORY(8, 1) MULTIPLY_WIDE_MEMORY(8, 2)

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
	int form = i->is_mem ? (int)address_form(e, i) : ADDRESS_FORMS;

	if ((i->prefixes & PFX_LOCK) || form == ADDRESS_NONE || (!i->is_mem && i->size == 1 && i->rm >= REG8_AH))
		return NULL;
	return unary[op][size_index(i->size)][form];
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

static insn_handler *by_address(const struct emu *e, const struct insn *i, insn_handler *full, insn_handler *narrow)
{
	switch (address_form(e, i)) {
	case ADDRESS_SIMPLE:
	case ADDRESS_FULL:
		return full;
	case ADDRESS_32:
		return narrow;
	case ADDRESS_FORMS:
	case ADDRESS_NONE:
		break;
	}
	return NULL;
}

static insn_handler *bit_handler(const struct emu *e, struct insn *i)
{
	bool wide = i->size == 8;

	if (i->size == 2)
		return NULL;
	if (i->is_mem) {
		if (i->id == ISA_BT_Ev_Ib)
			return wide ? by_address(e, i, bt_mi_8, NULL) : by_address(e, i, NULL, bt_mi_4);
		if (i->id == ISA_BT_Ev_Gv)
			return wide ? by_address(e, i, bt_mr_8, NULL) : by_address(e, i, NULL, bt_mr_4);
		return NULL;
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

static insn_handler *product_from_memory(const struct emu *e, const struct insn *i)
{
	if (i->size == 2)
		return NULL;
	return i->size == 8 ? by_address(e, i, imul_rm_8_1, imul_rm_8_2) : by_address(e, i, imul_rm_4_1, imul_rm_4_2);
}

static insn_handler *wide_product_from_memory(const struct emu *e, const struct insn *i)
{
	if (i->size == 2)
		return NULL;
	return i->size == 8 ? by_address(e, i, mul_m_8_1, mul_m_8_2) : by_address(e, i, mul_m_4_1, mul_m_4_2);
}

insn_handler *fast_misc(const struct emu *e, struct insn *i)
{
	if ((isa_rows[i->id].attr & (ISA_COUNT1 | ISA_COUNT16)) == ISA_COUNT1)
		return shift_handler(i);
	switch (i->id) {
	case ISA_INC_Zv:
	case ISA_DEC_Zv:
		i->rm = i->reg;
		return unary_handler(e, i, i->id == ISA_DEC_Zv);
	case ISA_INC_Eb:
	case ISA_INC_Ev:
		return unary_handler(e, i, 0);
	case ISA_DEC_Eb:
	case ISA_DEC_Ev:
		return unary_handler(e, i, 1);
	case ISA_NEG_Eb:
	case ISA_NEG_Ev:
		return unary_handler(e, i, 2);
	case ISA_NOT_Ev:
		return by_size(i, not_4, not_8);
	case ISA_BT_Ev_Ib:
	case ISA_BT_Ev_Gv:
	case ISA_BTS_Ev_Ib:
	case ISA_BTR_Ev_Ib:
		return i->prefixes & PFX_LOCK ? NULL : bit_handler(e, i);
	case ISA_IMUL_Gv_Ev:
		return i->is_mem ? product_from_memory(e, i) : by_size(i, imul_rr_4, imul_rr_8);
	case ISA_IMUL_Gv_Ev_Ibs:
	case ISA_IMUL_Gv_Ev_Iz:
		return by_size(i, imul_ri_4, imul_ri_8);
	case ISA_MUL_Ev:
		return i->is_mem ? wide_product_from_memory(e, i) : by_size(i, mul_r_4, mul_r_8);
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
	case ISA_NOP:
	case ISA_ENDBR64:
	case ISA_ENDBR32:
	case ISA_LFENCE:
	case ISA_NOP_0F18:
	case ISA_NOP_0F19:
	case ISA_NOP_0F1A:
	case ISA_NOP_0F1B:
	case ISA_NOP_0F1C:
	case ISA_NOP_0F1D:
	case ISA_NOP_0F1E:
	case ISA_NOP_0F1F:
	case ISA_PREFETCHW:
	case ISA_NOP_0F0D:
		return nop;
	default:
		return NULL;
	}
}
