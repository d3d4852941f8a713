/* SPDX-License-Identifier: MIT */
/* Semantics: BMI1 and BMI2 (SDM vol. 2). Operands are 32 bits, or 64 with VEX.W in 64-bit mode: i->size. */
#include "operand.h"

static unsigned bits_of(const struct insn *i)
{
	return 8u * i->size;
}

/* The E operand; and the register in VEX.vvvv. */
static int source(struct emu *e, const struct insn *i, uint64_t *v)
{
	*v = 0;
	if (i->is_mem)
		return emu_load(e, i, v, i->size);
	*v = reg_read(e, i->rm, i->size);
	return 0;
}

static uint64_t vvvv(const struct emu *e, const struct insn *i)
{
	return reg_read(e, i->vvvv, i->size);
}

/* SF and ZF of the result, CF as said, OF cleared. Undefined flags are cleared, too. */
static void set_flags(struct emu *e, const struct insn *i, uint64_t result, bool carry)
{
	const uint64_t sign = result >> (bits_of(i) - 1) & 1;

	emu_flags_set(e, RFLAGS_ARITH, (sign ? RFLAGS_SF : 0) | (result ? 0 : RFLAGS_ZF) | (carry ? RFLAGS_CF : 0));
}

#define SEM(name)                                                                                                      \
	isa_semantic sem_##name;                                                                                       \
	int sem_##name(struct emu *e, const struct insn *i)

SEM(bmi_andn)
{
	uint64_t v;

	if (source(e, i, &v))
		return EMU_STOP;
	v &= ~vvvv(e, i);
	set_flags(e, i, v, false);
	reg_write(e, i->reg, i->size, v);
	return 0;
}

/* The lowest set bit: reset it, mask up to it, isolate it. */
SEM(bmi_blsr)
{
	uint64_t v, r;

	if (source(e, i, &v))
		return EMU_STOP;
	r = v & (v - 1);
	set_flags(e, i, r, v == 0);
	reg_write(e, i->vvvv, i->size, r);
	return 0;
}

SEM(bmi_blsmsk)
{
	uint64_t v, r;

	if (source(e, i, &v))
		return EMU_STOP;
	r = truncate_to(v ^ (v - 1), i->size);
	set_flags(e, i, r, v == 0);
	reg_write(e, i->vvvv, i->size, r);
	return 0;
}

SEM(bmi_blsi)
{
	uint64_t v, r;

	if (source(e, i, &v))
		return EMU_STOP;
	r = v & (0 - v);
	set_flags(e, i, r, v != 0);
	reg_write(e, i->vvvv, i->size, r);
	return 0;
}

SEM(bmi_bextr)
{
	const unsigned start = vvvv(e, i) & 0xff, length = vvvv(e, i) >> 8 & 0xff;
	uint64_t v;

	if (source(e, i, &v))
		return EMU_STOP;
	v = start < 64 ? v >> start : 0;
	v = length < 64 ? v & ((1ull << length) - 1) : v;
	emu_flags_set(e, RFLAGS_ARITH, v ? 0 : RFLAGS_ZF);
	reg_write(e, i->reg, i->size, v);
	return 0;
}

SEM(bmi_bzhi)
{
	const unsigned from = vvvv(e, i) & 0xff;
	uint64_t v;

	if (source(e, i, &v))
		return EMU_STOP;
	if (from < bits_of(i))
		v &= (1ull << from) - 1;
	set_flags(e, i, v, from >= bits_of(i));
	reg_write(e, i->reg, i->size, v);
	return 0;
}

/* Bits selected by the mask are packed into the low end, or spread out from there. */
SEM(bmi_pext)
{
	uint64_t mask, r = 0, v = vvvv(e, i);

	if (source(e, i, &mask))
		return EMU_STOP;
	for (unsigned k = 0; mask; mask &= mask - 1, k++)
		r |= (v >> __builtin_ctzll(mask) & 1) << k;
	reg_write(e, i->reg, i->size, r);
	return 0;
}

SEM(bmi_pdep)
{
	uint64_t mask, r = 0, v = vvvv(e, i);

	if (source(e, i, &mask))
		return EMU_STOP;
	for (; mask; mask &= mask - 1, v >>= 1)
		r |= (v & 1) << __builtin_ctzll(mask);
	reg_write(e, i->reg, i->size, r);
	return 0;
}

/* If both destinations are one register it gets the high half (SDM vol. 2, MULX). */
SEM(bmi_mulx)
{
	uint64_t v;
	unsigned __int128 product;

	if (source(e, i, &v))
		return EMU_STOP;
	product = (unsigned __int128)reg_read(e, RDX, i->size) * v;
	reg_write(e, i->vvvv, i->size, (uint64_t)product);
	reg_write(e, i->reg, i->size, (uint64_t)(product >> bits_of(i)));
	return 0;
}

SEM(bmi_shlx)
{
	const unsigned count = (unsigned)vvvv(e, i) & (bits_of(i) - 1);
	uint64_t v;

	if (source(e, i, &v))
		return EMU_STOP;
	reg_write(e, i->reg, i->size, v << count);
	return 0;
}

SEM(bmi_shrx)
{
	const unsigned count = (unsigned)vvvv(e, i) & (bits_of(i) - 1);
	uint64_t v;

	if (source(e, i, &v))
		return EMU_STOP;
	reg_write(e, i->reg, i->size, v >> count);
	return 0;
}

SEM(bmi_sarx)
{
	const unsigned count = (unsigned)vvvv(e, i) & (bits_of(i) - 1);
	uint64_t v;

	if (source(e, i, &v))
		return EMU_STOP;
	reg_write(e, i->reg, i->size, (uint64_t)(sign_extend_from(v, i->size) >> count));
	return 0;
}

SEM(bmi_rorx)
{
	const unsigned count = (unsigned)i->imm & (bits_of(i) - 1);
	uint64_t v;

	if (source(e, i, &v))
		return EMU_STOP;
	if (count)
		v = v >> count | v << (bits_of(i) - count);
	reg_write(e, i->reg, i->size, v);
	return 0;
}
