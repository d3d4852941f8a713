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

/* By the row's semantic function: register forms with a register, and with an immediate, of 4 and of 8 bytes. */
#define BOTH(name) { name##_4_quiet, name##_8_quiet }
static const struct quiet {
	isa_semantic *sem;
	insn_handler *of[2][2];
} quiets[] = {
	{ sem_int_add, { BOTH(add_rr), BOTH(add_ri) } }, { sem_int_or, { BOTH(or_rr), BOTH(or_ri) } },
	{ sem_int_and, { BOTH(and_rr), BOTH(and_ri) } }, { sem_int_sub, { BOTH(sub_rr), BOTH(sub_ri) } },
	{ sem_int_xor, { BOTH(xor_rr), BOTH(xor_ri) } }, { sem_int_inc, { BOTH(inc) } },
	{ sem_int_dec, { BOTH(dec) } },			 { sem_int_neg, { BOTH(neg) } },
	{ sem_int_imul2, { BOTH(imul_rr) } },		 { sem_int_imul3, { BOTH(imul_ri), BOTH(imul_ri) } },
	{ sem_int_rol, { BOTH(rol), BOTH(rol) } },	 { sem_int_ror, { BOTH(ror), BOTH(ror) } },
	{ sem_int_shl, { BOTH(shl), BOTH(shl) } },	 { sem_int_shr, { BOTH(shr), BOTH(shr) } },
	{ sem_int_sar, { BOTH(sar), BOTH(sar) } },
};

static bool has_immediate(const struct isa_row *r)
{
	return r->op[1].kind == OPK_I || r->op[2].kind == OPK_I;
}

static insn_handler *quiet_handler(const struct insn *i, const struct isa_row *r)
{
	for (unsigned n = 0; n < sizeof(quiets) / sizeof(quiets[0]) && i->size >= 4; n++)
		if (quiets[n].sem == r->sem)
			return quiets[n].of[has_immediate(r)][i->size == 8];
	return NULL;
}

enum effect {
	NEUTRAL, /* registers only, no flags */
	SETS,	 /* registers only, all flags replaced */
	KEEPS,	 /* registers only; of its flags some stay as they were */
	LOOKS,	 /* reads flags, or may leave the block */
};

/* COPY rows of general registers cannot fault without memory; LEA and the hints for a cache line only name some. */
static bool is_registers_only(const struct insn *i, const struct isa_row *r)
{
	const bool names = r->op[0].access == OPA_N || r->op[1].access == OPA_N;

	return i->fn != h_generic && (r->attr & ISA_COPY) && !(r->attr & (ISA_SSEX | ISA_AVXX | ISA_AVX512X)) &&
	       (!i->is_mem || names);
}

static enum effect effect_of(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];
	const unsigned replaced = isa_flags_replaced(r);

	if (!is_registers_only(i, r) || (r->flags_read & ISA_FL_ARITH))
		return LOOKS;
	/* A count in CL may be zero, and all flags stay. */
	if (replaced == 0)
		return r->flags_written & ISA_FL_ARITH ? LOOKS : NEUTRAL;
	return replaced == ISA_FL_ARITH ? SETS : KEEPS;
}

void fast_drop_dead_flags(struct insn *insns, unsigned count)
{
	bool dead = false;

	while (count-- > 0) {
		struct insn *i = &insns[count];
		enum effect effect = effect_of(i);
		insn_handler *quiet = dead && (effect == SETS || effect == KEEPS) ? quiet_handler(i, &isa_rows[i->id]) : NULL;

		if (quiet)
			i->fn = quiet; /* and now it leaves the flags alone: they are still dead before it */
		else if (effect != NEUTRAL)
			dead = effect == SETS;
	}
}
