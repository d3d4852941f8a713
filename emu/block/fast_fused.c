/* SPDX-License-Identifier: MIT */
/*
 * Fast handlers: CMP or TEST together with the conditional branch behind it, in one dispatch. The flags are stored all
 * the same: somebody may look at them. On a TLB miss only the comparison is done, by the generic handler, which goes
 * on with the branch's own.
 */
#include "fast.h"
#include "emu/isa/isa.h"

#ifdef ALU_NATIVE
#define COMPARE(op, T, m, x, y, name)                                                                                  \
	uint16_t ax;                                                                                                   \
	bool taken;                                                                                                    \
	T x_ = x, y_ = y;                                                                                              \
                                                                                                                       \
	__asm__(op " %" m "3, %" m "2" SAVE_FLAGS : "=&a"(ax), "=@cc" name(taken) : "r"(x_), "r"(y_));                 \
	e->flags_image = ax;
#define CMP_1(x, y, cc, name) COMPARE("cmpb", uint8_t, "b", x, y, name)
#define CMP_4(x, y, cc, name) COMPARE("cmpl", uint32_t, "k", x, y, name)
#define CMP_8(x, y, cc, name) COMPARE("cmpq", uint64_t, "q", x, y, name)
#define TEST_1(x, y, cc, name) COMPARE("testb", uint8_t, "b", x, y, name)
#define TEST_4(x, y, cc, name) COMPARE("testl", uint32_t, "k", x, y, name)
#define TEST_8(x, y, cc, name) COMPARE("testq", uint64_t, "q", x, y, name)
#else
#define COMPARE(op, n, x, y, cc)                                                                                       \
	uint16_t f = 0;                                                                                                \
	bool taken;                                                                                                    \
                                                                                                                       \
	alu_##op##_##n(x, y, &f);                                                                                      \
	e->flags_image = f;                                                                                               \
	taken = flags_condition(f, cc);
#define CMP_1(x, y, cc, name) COMPARE(sub, 1, x, y, cc)
#define CMP_4(x, y, cc, name) COMPARE(sub, 4, x, y, cc)
#define CMP_8(x, y, cc, name) COMPARE(sub, 8, x, y, cc)
#define TEST_1(x, y, cc, name) COMPARE(and, 1, x, y, cc)
#define TEST_4(x, y, cc, name) COMPARE(and, 4, x, y, cc)
#define TEST_8(x, y, cc, name) COMPARE(and, 8, x, y, cc)
#endif

#define BRANCH                                                                                                         \
	do {                                                                                                           \
		const struct insn *j = i + 1;                                                                          \
                                                                                                                       \
		if (taken)                                                                                             \
			FOLLOW(e, j, 1);                                                                               \
		FOLLOW(e, j, 0);                                                                                       \
	} while (0)

#define REGISTERS(op, n, T, cc, name)                                                                                  \
	HANDLER(op##_rr_##n##_##cc)                                                                                    \
	{                                                                                                              \
		op##_##n(get_##n(e, i->rm), get_##n(e, i->reg), cc, name) BRANCH;                                      \
	}                                                                                                              \
	HANDLER(op##_ri_##n##_##cc)                                                                                    \
	{                                                                                                              \
		op##_##n(get_##n(e, i->rm), (T)i->imm, cc, name) BRANCH;                                               \
	}
#define MEMORY(op, form, n, A, x, y, cc, name)                                                                         \
	HANDLER(op##_##form##A##_##n##_##cc)                                                                           \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_##A(e, i), n);                                                   \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		op##_##n(x, y, cc, name) BRANCH;                                                                       \
	}
#define IMMEDIATE(op, n, T, cc, name)                                                                                  \
	MEMORY(op, mi, n, 0, load_##n(p), (T)i->imm, cc, name)                                                         \
	MEMORY(op, mi, n, 1, load_##n(p), (T)i->imm, cc, name)                                                         \
	MEMORY(op, mi, n, 2, load_##n(p), (T)i->imm, cc, name)
#define FUSED_SIZE(n, T, cc, name)                                                                                     \
	REGISTERS(CMP, n, T, cc, name)                                                                                 \
	REGISTERS(TEST, n, T, cc, name)                                                                                \
	MEMORY(CMP, rm, n, 0, get_##n(e, i->reg), load_##n(p), cc, name)                                               \
	MEMORY(CMP, rm, n, 2, get_##n(e, i->reg), load_##n(p), cc, name)                                               \
	MEMORY(CMP, mr, n, 0, load_##n(p), get_##n(e, i->reg), cc, name)                                               \
	MEMORY(CMP, mr, n, 2, load_##n(p), get_##n(e, i->reg), cc, name)                                               \
	IMMEDIATE(CMP, n, T, cc, name)                                                                                 \
	IMMEDIATE(TEST, n, T, cc, name)
#define FUSED(cc, name)                                                                                                \
	FUSED_SIZE(1, uint8_t, cc, name) FUSED_SIZE(4, uint32_t, cc, name) FUSED_SIZE(8, uint64_t, cc, name)
FUSED(2, "b")
FUSED(3, "ae")
FUSED(4, "e")
FUSED(5, "ne")
FUSED(6, "be")
FUSED(7, "a")
FUSED(8, "s")
FUSED(9, "ns")
FUSED(12, "l")
FUSED(13, "ge")
FUSED(14, "le")
FUSED(15, "g")

/* Those with memory by address form; a missing one keeps comparison and branch apart. */
enum form {
	CMP_RR, CMP_RI, CMP_RM, CMP_MR = CMP_RM + ADDRESS_FORMS, CMP_MI = CMP_MR + ADDRESS_FORMS,
	TEST_RR = CMP_MI + ADDRESS_FORMS, TEST_RI, TEST_MI, FORMS = TEST_MI + ADDRESS_FORMS
};

#define ADDRESSES(name, n, cc) name##0_##n##_##cc, name##1_##n##_##cc, name##2_##n##_##cc
#define TABLE_SIZE(n, cc)                                                                                              \
	{                                                                                                              \
		CMP_rr_##n##_##cc, CMP_ri_##n##_##cc, CMP_rm0_##n##_##cc, NULL, CMP_rm2_##n##_##cc,                    \
			CMP_mr0_##n##_##cc, NULL, CMP_mr2_##n##_##cc, ADDRESSES(CMP_mi, n, cc), TEST_rr_##n##_##cc,    \
			TEST_ri_##n##_##cc, ADDRESSES(TEST_mi, n, cc),                                                 \
	}
#define TABLE(cc) [cc] = { [0] = TABLE_SIZE(1, cc), [2] = TABLE_SIZE(4, cc), [3] = TABLE_SIZE(8, cc) }
static insn_handler *const handlers[16][4][FORMS] = {
	TABLE(2), TABLE(3), TABLE(4), TABLE(5), TABLE(6), TABLE(7), TABLE(8), TABLE(9), TABLE(12), TABLE(13), TABLE(14),
	TABLE(15),
};

/* The operands have been brought into form by fast_alu(): register forms work on rm, and on reg or imm. -1: none. */
static int form_of(const struct emu *e, const struct insn *i)
{
	const int address = i->is_mem ? (int)address_form(e, i) : 0;

	switch (i->id) {
	case ISA_CMP_Eb_Gb:
	case ISA_CMP_Ev_Gv:
		return !i->is_mem ? CMP_RR : CMP_MR + address;
	case ISA_CMP_Gb_Eb:
	case ISA_CMP_Gv_Ev:
		return !i->is_mem ? CMP_RR : CMP_RM + address;
	case ISA_CMP_AL_Ib:
	case ISA_CMP_rAX_Iz:
		return CMP_RI;
	case ISA_CMP_Eb_Ib:
	case ISA_CMP_Ev_Iz:
	case ISA_CMP_Ev_Ibs:
		return !i->is_mem ? CMP_RI : CMP_MI + address;
	case ISA_TEST_Eb_Gb:
	case ISA_TEST_Ev_Gv:
		return !i->is_mem ? TEST_RR : -1;
	case ISA_TEST_AL_Ib:
	case ISA_TEST_rAX_Iz:
		return TEST_RI;
	case ISA_TEST_Eb_Ib:
	case ISA_TEST_Ev_Iz:
		return !i->is_mem ? TEST_RI : TEST_MI + address;
	default:
		return -1;
	}
}

insn_handler *fast_fused(const struct emu *e, const struct insn *i, const struct insn *branch)
{
	int form = form_of(e, i);

	if (form < 0 || isa_rows[branch->id].sem != sem_int_jcc)
		return NULL;
	return handlers[isa_rows[branch->id].opcode & 15][size_index(i->size)][form];
}
