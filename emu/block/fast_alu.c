/* SPDX-License-Identifier: MIT */
/* Fast handlers: arithmetic and logic. Each form exists with its flags and, for registers, without (dead flags). */
#include "fast.h"
#include "emu/isa/isa.h"

/* reg op= reg, reg op= imm, reg op= mem, mem op= reg, mem op= imm */
#define OP_REG(op, n, T)                                                                                               \
	HANDLER(op##_rr_##n)                                                                                           \
	{                                                                                                              \
		uint16_t f = e->flags_image;                                                                              \
		const unsigned to = i->rm;                                                                             \
		T r = alu_##op##_##n(get_##n(e, to), get_##n(e, i->reg), &f);                                          \
                                                                                                                       \
		e->flags_image = f;                                                                                       \
		set_##n(e, to, r);                                                                                     \
		NEXT(e, i);                                                                                            \
	}                                                                                                              \
	HANDLER(op##_ri_##n)                                                                                           \
	{                                                                                                              \
		uint16_t f = e->flags_image;                                                                              \
		const unsigned to = i->rm;                                                                             \
		T r = alu_##op##_##n(get_##n(e, to), (T)i->imm, &f);                                                   \
                                                                                                                       \
		e->flags_image = f;                                                                                       \
		set_##n(e, to, r);                                                                                     \
		NEXT(e, i);                                                                                            \
	}
#define OP_RM(op, n, T, A)                                                                                             \
	HANDLER(op##_rm_##n##_##A)                                                                                     \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_##A(e, i), n);                                                   \
		const unsigned to = i->reg;                                                                            \
		uint16_t f = e->flags_image;                                                                              \
		T r;                                                                                                   \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		r = alu_##op##_##n(get_##n(e, to), load_##n(p), &f);                                                   \
		e->flags_image = f;                                                                                       \
		set_##n(e, to, r);                                                                                     \
		NEXT(e, i);                                                                                            \
	}
#define OP_MEM(op, name, n, T, A, B)                                                                                   \
	HANDLER(op##_##name##_##n##_##A)                                                                               \
	{                                                                                                              \
		uint8_t *p = tlb_write_ptr(e, EA_##A(e, i), n);                                                        \
		uint16_t f = e->flags_image;                                                                              \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		store_##n(p, alu_##op##_##n(load_##n(p), B, &f));                                                      \
		e->flags_image = f;                                                                                       \
		NEXT(e, i);                                                                                            \
	}
#define OP_ADDRESS(op, n, T, A)                                                                                        \
	OP_RM(op, n, T, A)                                                                                             \
	OP_MEM(op, mr, n, T, A, get_##n(e, i->reg))                                                                    \
	OP_MEM(op, mi, n, T, A, (T)i->imm)
#define OP_SIZE(op, n, T) OP_REG(op, n, T) OP_ADDRESS(op, n, T, 0) OP_ADDRESS(op, n, T, 1) OP_ADDRESS(op, n, T, 2)
#define OP(op) OP_SIZE(op, 1, uint8_t) OP_SIZE(op, 2, uint16_t) OP_SIZE(op, 4, uint32_t) OP_SIZE(op, 8, uint64_t)

OP(add)
OP(or)
OP(adc)
OP(sbb)
OP(and)
OP(sub)
OP(xor)

/* Comparisons write no result. */
#define CMP_BODY(op, n, a, b)                                                                                          \
	uint16_t f = e->flags_image;                                                                                      \
                                                                                                                       \
	alu_##op##_##n(a, b, &f);                                                                                      \
	e->flags_image = f;                                                                                               \
	NEXT(e, i);
#define CMP_MEM(name, op, form, n, T, A, a, b)                                                                         \
	HANDLER(name##_##form##_##n##_##A)                                                                             \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_##A(e, i), n);                                                   \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		CMP_BODY(op, n, a, b)                                                                                  \
	}
#define CMP_ADDRESS(name, op, n, T, A)                                                                                 \
	CMP_MEM(name, op, rm, n, T, A, get_##n(e, i->reg), load_##n(p))                                                \
	CMP_MEM(name, op, mr, n, T, A, load_##n(p), get_##n(e, i->reg))                                                \
	CMP_MEM(name, op, mi, n, T, A, load_##n(p), (T)i->imm)
#define CMP_SIZE(name, op, n, T)                                                                                       \
	HANDLER(name##_rr_##n)                                                                                         \
	{                                                                                                              \
		CMP_BODY(op, n, get_##n(e, i->rm), get_##n(e, i->reg))                                                 \
	}                                                                                                              \
	HANDLER(name##_ri_##n)                                                                                         \
	{                                                                                                              \
		CMP_BODY(op, n, get_##n(e, i->rm), (T)i->imm)                                                          \
	}                                                                                                              \
	CMP_ADDRESS(name, op, n, T, 0) CMP_ADDRESS(name, op, n, T, 1) CMP_ADDRESS(name, op, n, T, 2)
#define CMP_OP(name, op)                                                                                               \
	CMP_SIZE(name, op, 1, uint8_t) CMP_SIZE(name, op, 2, uint16_t) CMP_SIZE(name, op, 4, uint32_t)                 \
	CMP_SIZE(name, op, 8, uint64_t)
CMP_OP(cmp, sub)
CMP_OP(test, and)

/* Those with memory: by address form. */
enum form { RR, RI, RM, MR = RM + ADDRESS_FORMS, MI = MR + ADDRESS_FORMS, FORMS = MI + ADDRESS_FORMS };

#define ADDRESSES(name, n) name##_##n##_0, name##_##n##_1, name##_##n##_2
#define FORMS_OF(op, n)                                                                                                \
	{                                                                                                              \
		op##_rr_##n, op##_ri_##n, ADDRESSES(op##_rm, n), ADDRESSES(op##_mr, n), ADDRESSES(op##_mi, n),         \
	}
#define SIZES_OF(op) { FORMS_OF(op, 1), FORMS_OF(op, 2), FORMS_OF(op, 4), FORMS_OF(op, 8) }

static insn_handler *const handlers[9][4][FORMS] = {
	SIZES_OF(add), SIZES_OF(or), SIZES_OF(adc), SIZES_OF(sbb), SIZES_OF(and), SIZES_OF(sub), SIZES_OF(xor),
	SIZES_OF(cmp), SIZES_OF(test),
};

/* Which of the operations the row is, or -1. */
static int operation(const struct isa_row *r)
{
	static isa_semantic *const sems[] = { sem_int_add, sem_int_or,	sem_int_adc, sem_int_sbb, sem_int_and,
					      sem_int_sub, sem_int_xor, sem_int_cmp, sem_int_test };

	for (unsigned n = 0; n < sizeof(sems) / sizeof(sems[0]); n++)
		if (sems[n] == r->sem)
			return (int)n;
	return -1;
}

static bool high_byte(unsigned r)
{
	return r >= REG8_AH;
}

/* Brings the operands into one of the forms. -1: no fast form. */
static int form_of(const struct emu *e, struct insn *i)
{
	const struct isa_row *row = &isa_rows[i->id];
	unsigned a = row->op[0].kind, b = row->op[1].kind;
	enum address_form address = i->is_mem ? address_form(e, i) : ADDRESS_NONE;

	if (i->prefixes & PFX_LOCK)
		return -1;
	if (i->is_mem && address == ADDRESS_NONE)
		return -1;
	if (i->size == 1 &&
	    ((!i->is_mem && high_byte(i->rm)) || (b != OPK_I && high_byte(i->reg)) || (a == OPK_G && high_byte(i->reg))))
		return -1;
	if (a == OPK_AL || a == OPK_AX) {
		i->rm = RAX;
		return RI;
	}
	if (b == OPK_I)
		return !i->is_mem ? RI : MI + (int)address;
	if (i->is_mem)
		return (a == OPK_G ? RM : MR) + (int)address;
	if (a == OPK_G) {
		uint8_t source = i->rm;

		i->rm = i->reg;
		i->reg = source;
	}
	return RR;
}

insn_handler *fast_alu(const struct emu *e, struct insn *i)
{
	int op = operation(&isa_rows[i->id]), form;

	if (op < 0)
		return NULL;
	form = form_of(e, i);
	return form < 0 ? NULL : handlers[op][size_index(i->size)][form];
}
