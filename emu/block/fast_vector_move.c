/* SPDX-License-Identifier: MIT */
/*
 * Vector moves of the block tier, in C for all hosts: the rows that say MOVE, unless masked, and VZEROUPPER. They are the most frequent vector
 * instructions by far, and a copy between two places in memory needs no vector unit of the host.
 */
#include "fast_simd.h"
#include "emu/isa/isa.h"

/* insn.native: units of which one must be usable; from bit 8 on the address bits that must be zero. */
enum { UNITS = 0xff, ALIGN_SHIFT = 8 };

/* From the first operand's end to `top`: legacy rows keep what is above 16 bytes, others clear all 64. */
#define CLEAR(e, reg, n, top) memset((e)->cpu.vec[reg].u8 + (n), 0, (top) - (n))

#define LOAD(n, top, A)                                                                                                \
	HANDLER(load_##n##_##top##_##A)                                                                                \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_##A(e, i), n);                                                   \
                                                                                                                       \
		NEED(e, i, i->native & UNITS);                                                                         \
		if (UNLIKELY(!p || ((uintptr_t)p & i->native >> ALIGN_SHIFT)))                                         \
			MISS(e, i);                                                                                    \
		ram_read(e->cpu.vec[i->reg].u8, p, n);                                                                 \
		CLEAR(e, i->reg, n, top);                                                                              \
		NEXT(e, i);                                                                                            \
	}
#define STORE(n, A)                                                                                                    \
	HANDLER(store_##n##_##A)                                                                                       \
	{                                                                                                              \
		uint8_t *p = tlb_write_ptr(e, EA_##A(e, i), n);                                                        \
                                                                                                                       \
		NEED(e, i, i->native & UNITS);                                                                         \
		if (UNLIKELY(!p || ((uintptr_t)p & i->native >> ALIGN_SHIFT)))                                         \
			MISS(e, i);                                                                                    \
		ram_write(p, e->cpu.vec[i->reg].u8, n);                                                                \
		NEXT(e, i);                                                                                            \
	}
/* Between registers, perhaps from one to itself. */
#define COPY(name, to, from, n, top)                                                                                   \
	HANDLER(name##_##n##_##top)                                                                                    \
	{                                                                                                              \
		NEED(e, i, i->native & UNITS);                                                                         \
		memmove(e->cpu.vec[to].u8, e->cpu.vec[from].u8, n);                                                    \
		CLEAR(e, to, n, top);                                                                                  \
		NEXT(e, i);                                                                                            \
	}
#define FROM_GENERAL(n, top)                                                                                           \
	HANDLER(from_general_##n##_##top)                                                                              \
	{                                                                                                              \
		NEED(e, i, i->native & UNITS);                                                                         \
		e->cpu.vec[i->reg].u64[0] = get_##n(e, i->rm);                                                         \
		CLEAR(e, i->reg, 8, top);                                                                              \
		NEXT(e, i);                                                                                            \
	}
#define TO_GENERAL(n, T)                                                                                               \
	HANDLER(to_general_##n)                                                                                        \
	{                                                                                                              \
		NEED(e, i, i->native & UNITS);                                                                         \
		set_##n(e, i->rm, (T)e->cpu.vec[i->reg].u64[0]);                                                       \
		NEXT(e, i);                                                                                            \
	}

HANDLER(zeroupper)
{
	NEED(e, i, UNIT_AVX);
	for (unsigned n = 0; n < 16; n++)
		memset(&e->cpu.vec[n].u8[16], 0, 48);
	NEXT(e, i);
}

#define LOADS(n, top) LOAD(n, top, 0) LOAD(n, top, 1) LOAD(n, top, 2)
#define STORES(n) STORE(n, 0) STORE(n, 1) STORE(n, 2)
#define COPIES(n, top) COPY(copy, i->reg, i->rm, n, top) COPY(copy_back, i->rm, i->reg, n, top)
LOADS(4, 16) LOADS(8, 16) LOADS(16, 16)
LOADS(2, 64) LOADS(4, 64) LOADS(8, 64) LOADS(16, 64) LOADS(32, 64) LOADS(64, 64)
STORES(2) STORES(4) STORES(8) STORES(16) STORES(32) STORES(64)
COPIES(8, 16) COPIES(16, 16)
COPIES(8, 64) COPIES(16, 64) COPIES(32, 64) COPIES(64, 64)
FROM_GENERAL(4, 16) FROM_GENERAL(8, 16) FROM_GENERAL(4, 64) FROM_GENERAL(8, 64)
TO_GENERAL(4, uint32_t) TO_GENERAL(8, uint64_t)

/* By the logarithm of the size; where there is none, the host's form does it. */
enum { SIZES = 7 };
#define FORMS(name) { name##_0, name##_1, name##_2 }
static insn_handler *const loads[2][SIZES][ADDRESS_FORMS] = {
	{ [2] = FORMS(load_4_16), [3] = FORMS(load_8_16), [4] = FORMS(load_16_16) },
	{ [1] = FORMS(load_2_64), [2] = FORMS(load_4_64), [3] = FORMS(load_8_64), [4] = FORMS(load_16_64),
	  [5] = FORMS(load_32_64), [6] = FORMS(load_64_64) },
};
static insn_handler *const stores[SIZES][ADDRESS_FORMS] = {
	[1] = FORMS(store_2), [2] = FORMS(store_4), [3] = FORMS(store_8), [4] = FORMS(store_16), [5] = FORMS(store_32),
	[6] = FORMS(store_64),
};
static insn_handler *const copies[2][SIZES] = {
	{ [3] = copy_8_16, [4] = copy_16_16 },
	{ [3] = copy_8_64, [4] = copy_16_64, [5] = copy_32_64, [6] = copy_64_64 },
};
static insn_handler *const copies_back[2][SIZES] = {
	{ [3] = copy_back_8_16, [4] = copy_back_16_16 },
	{ [3] = copy_back_8_64, [4] = copy_back_16_64, [5] = copy_back_32_64, [6] = copy_back_64_64 },
};
static insn_handler *const from_general[2][SIZES] = {
	{ [2] = from_general_4_16, [3] = from_general_8_16 },
	{ [2] = from_general_4_64, [3] = from_general_8_64 },
};
static insn_handler *const to_general[SIZES] = { [2] = to_general_4, [3] = to_general_8 };

/* The operand in ModRM.reg is a vector register; the other one is the destination of stores. */
static insn_handler *handler_of(const struct emu *e, const struct insn *i, const struct isa_row *r, unsigned size)
{
	const bool store = r->op[1].kind == OPK_V, clears_all = !(r->attr & ISA_SSEX);
	const unsigned other = r->op[store ? 0 : 1].kind;
	const enum address_form form = address_form(e, i);

	if (i->is_mem)
		return form == ADDRESS_NONE ? NULL : store ? stores[size][form] : loads[clears_all][size][form];
	if (other == OPK_E)
		return store ? to_general[size] : from_general[clears_all][size];
	return (store ? copies_back : copies)[clears_all][size];
}

static uint32_t unit_of(const struct isa_row *r)
{
	return r->attr & ISA_AVX512X ? UNIT_AVX512 : r->attr & ISA_AVXX ? UNIT_AVX : UNIT_SSE;
}

insn_handler *fast_vector_move(const struct emu *e, struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];
	unsigned to, from, bytes;
	insn_handler *fn;

	if (i->id == ISA_VZEROUPPER && e->code_size == 8)
		return zeroupper;
	if (!(r->attr & ISA_MOVE) || i->mask || !fast_word(e))
		return NULL;
	to = isa_operand_bytes(i, 0);
	from = isa_operand_bytes(i, 1);
	bytes = to < from ? to : from;
	fn = handler_of(e, i, r, bytes ? (unsigned)__builtin_ctz(bytes) : 0);
	if (fn)
		i->native = (unit_of(r) | (isa_exception_class(r) == 1 ? bytes - 1 : 0) << ALIGN_SHIFT) & INT32_MAX;
	return fn;
}
